"""`uvflow status`: one verdict with reasons. Offline, and writes nothing."""

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from uvflow.environment import integrity
from uvflow.environment.context import Subject, SyncContext, is_sync_running
from uvflow.environment.copies import outdated_copies
from uvflow.environment.inputs import check_inputs
from uvflow.environment.installed import Environment, python_version
from uvflow.environment.integrity import Damage, DamageKind, missing_basics
from uvflow.environment.interpreter import broken_interpreter, own_interpreter
from uvflow.environment.ownership import foreign_entries
from uvflow.environment.repair import Depth, Past, find_damage
from uvflow.errors import DamagedError, OutOfSyncError, StaleLockfileError, UvMissingError
from uvflow.fingerprint import in_sync_message
from uvflow.lockfile.check import (
    ASK,
    FRESH,
    Level,
    LockfileCheck,
    check_lockfile,
    failure_reason,
    sources_to_build,
)
from uvflow.process import Completed
from uvflow.project.profiles import SET_ASIDE
from uvflow.state import journal
from uvflow.state.journal import LastSync
from uvflow.uv import Uv

_ONLY_UV_KNOWS = "cannot be checked without uv"
_CHANGED_SOURCE = "has changed at its source since it was installed"
_REINSTALLED = "is to be installed again"  # as a wheel for another platform
# What uv says of a lockfile with nothing for this platform or Python; its hint names the ways out.
_NO_WHEEL = r"can't be installed because it doesn't have .*(?:\n+hint: (?P<hint>.+))?"
_LOCATION = "UV_PROJECT_ENVIRONMENT"
_SHOWN = 5  # lines for one aspect

# The verdict in words, and its exit code.
_VERDICTS = {
    Level.OK: ("In sync", 0),
    Level.UNKNOWN: ("In sync as far as known", 0),
    Level.OUT_OF_SYNC: ("Out of sync", OutOfSyncError.exit_code),
    Level.STALE: ("Lockfile stale", StaleLockfileError.exit_code),
    Level.UNUSABLE: ("No usable uv", UvMissingError.exit_code),
    Level.DAMAGED: ("Environment damaged", DamagedError.exit_code),
}
_UNASKED = "Unknown", OutOfSyncError.exit_code


class Check(NamedTuple):
    """One sentence about one aspect; `hint` is what to type."""

    aspect: str
    level: Level
    message: str
    hint: str = ""


class Status(NamedTuple):
    """The verdict on a project's environment; `checks` cover every aspect at least once."""

    subject: Subject
    checks: tuple[Check, ...]
    receipt_digest: str | None = None  # SHA-256, of the live release
    is_unasked: bool = False  # uv would have started an interpreter of the project, or has failed

    @property
    def worst(self) -> Check:
        """The reason for the verdict."""
        return max(self.checks, key=lambda check: list(Level).index(check.level))

    @property
    def verdict(self) -> Level:
        """The worst level; notes do not count."""
        return Level.OK if self.worst.level is Level.NOTE else self.worst.level

    @property
    def headline(self) -> str:
        """The verdict as one short line."""
        return f"{self._words_and_code[0]}: {self.subject}"

    @property
    def exit_code(self) -> int:
        return self._words_and_code[1]

    @property
    def _words_and_code(self) -> tuple[str, int]:
        is_unasked = self.is_unasked and self.verdict is Level.UNKNOWN
        return _UNASKED if is_unasked else _VERDICTS[self.verdict]


def status(context: SyncContext) -> Status:
    """Look at lockfile, environment, uv and variables; problems are reported, not raised."""
    look, receipt = _Look(context), None
    if context.live_release:
        from uvflow.environment.releases import receipt_digest  # few profiles have them

        receipt = receipt_digest(context)
    return Status(
        subject=context.subject,
        receipt_digest=receipt,
        is_unasked=bool(look.unasked or (look.lockfile and look.lockfile.hint == ASK)),
        checks=(
            *_lockfile_checks(look),
            *_environment_checks(look),
            *_disk_checks(look),
            *_uv_checks(look),
            *_variable_checks(context, os.environ),
            *_journal_checks(look),
        ),
    )


_CHECK = ("sync", "--check", "--offline", "--no-python-downloads", "--color=never")


class _Look:
    """What was inspected; only uv where nothing has changed since the last sync.

    `lockfile` is None where that is so, `comparison` where uv did not compare the environment;
    `moved` is the sentence of `relocation_problem`, `unasked` that of interpreter.py. While a sync
    is running, what is damaged is not known.
    """

    def __init__(self, context: SyncContext) -> None:
        self.context = context
        self.environment = Environment(context.environment)
        self.damages: tuple[Damage, ...] = ()
        self.moved = self.unasked = ""
        self.lockfile: LockfileCheck | None = None
        self.comparison: Completed | None = None
        self.is_running = False
        self.uv: Uv | UvMissingError
        try:
            self.uv = context.find_uv()
        except UvMissingError as error:
            self.uv = error
        if not context.is_current():
            self._inspect()

    def _inspect(self) -> None:
        context, environment = self.context, self.environment
        check_inputs(context.project)
        self.unasked = own_interpreter(context)
        self.is_running = is_sync_running(context)
        if self.exists and not self.is_running:
            past = Past.of(context, environment)
            self.damages, _ = find_damage(environment, Depth.METADATA, past)
            self.moved = integrity.relocation_problem(environment)
        is_asked = not self.unasked and integrity.can_be_read_by_uv(environment)
        self._compare(self.uv if is_asked and isinstance(self.uv, Uv) else None)

    def _compare(self, uv: Uv | None) -> None:
        """Ask uv what is wrong with the lockfile, and with the environment."""
        project, environ = self.context.project, self.context.environ
        basics = missing_basics(self.environment)
        is_answering = all(d.kind is not DamageKind.BROKEN_INTERPRETER for d in basics)
        if uv and is_answering and self.exists and project.lockfile.exists():
            question = (*_CHECK, *self.context.profile.selection())
            if not sources_to_build(project):
                both = (*question, "--locked", "--no-build")  # most often all is well
                answer = uv.capture(both, cwd=project.root, environ=environ)
                if answer.code == 0:
                    self.comparison, self.lockfile = answer, FRESH
                    return
            # `--frozen`, since the other check says whether the lockfile is stale.
            answer = uv.capture((*question, "--frozen"), cwd=project.root, environ=environ)
            broken = broken_interpreter(self.environment, answer.err)
            if broken:
                is_answering, self.damages = False, (broken, *self.damages)
            else:
                self.comparison = answer
        if not is_answering:  # uv asks the environment's Python, and has to take another
            environ = {**environ, _LOCATION: str(self.environment.path / "none")}
        self.lockfile = check_lockfile(project, uv, environ, self.unasked)

    @property
    def exists(self) -> bool:
        return self.environment.path.is_dir()

    @property
    def name(self) -> str:
        """The environment's path, relative to the workspace where it is inside."""
        path, workspace = self.environment.path, self.context.project.workspace
        is_within = path.is_relative_to(workspace)
        return (path.relative_to(workspace) if is_within else path).as_posix()

    @property
    def is_stale(self) -> bool:
        return self.lockfile is not None and self.lockfile.verdict is Level.STALE

    @property
    def sync(self) -> str:
        """What to type for a sync that succeeds."""
        name, flag = self.context.profile.name, ""
        if not self.context.chosen_by:  # by a flag, which has to be given again
            flag = f" --{name}" if name in {"dev", "prod"} else f" --profile {name}"
        first = "`uv lock`, then " if self.is_stale else ""
        return f"{first}`uvflow sync{flag}`"

    def repair_by(self, verb: str) -> str:
        """A hint for damage; a sync does not recreate what holds files of the user."""
        is_unusable = self.moved or integrity.needs_rebuild(self.damages)
        if is_unusable and foreign_entries(self.environment):
            return f"move {self.name} aside, then {self.sync}"
        return f"{self.sync} {verb} it"


def _lockfile_checks(look: _Look) -> Iterator[Check]:
    if look.lockfile is None:
        yield Check("lockfile", Level.OK, "is as it was at the last sync")
    elif look.lockfile.verdict is Level.UNUSABLE:
        yield Check("lockfile", Level.UNKNOWN, _ONLY_UV_KNOWS)
    else:
        level, hint = look.lockfile.verdict, look.lockfile.hint
        for reason in look.lockfile.reasons:
            yield Check("lockfile", level, reason, hint)


def _environment_checks(look: _Look) -> Iterator[Check]:
    """The environment against the lockfile and the profile."""
    level, hint = Level.OUT_OF_SYNC, look.sync
    deviations = _deviations(look)
    if not look.exists:
        is_named = not look.context.profile.environment and os.environ.get(_LOCATION)
        deviations = (f"there is no {look.name}" + (f" ({_LOCATION})" if is_named else ""),)
    elif look.unasked:
        level, hint, deviations = Level.UNKNOWN, f"{look.sync} starts it", (look.unasked,)
    elif deviations is None:
        reason = "not compared: uv cannot use the lockfile" if look.is_stale else _ONLY_UV_KNOWS
        level, hint, deviations = Level.UNKNOWN, "", (reason,)
    elif not deviations:
        profile = look.context.profile.name
        sentence = f"{look.name} has what uv.lock and the profile {profile} ask for"
        level, hint, deviations = Level.OK, "", (sentence,)
    elif look.comparison and (found := re.search(_NO_WHEEL, look.comparison.err)):
        hint = found["hint"] or "take another version of it, or another Python"
    for message in deviations:
        yield Check("environment", level, message, hint)


def _deviations(look: _Look) -> tuple[str, ...] | None:
    """Sentences about what uv would change; None where that is unknown."""
    if look.lockfile is None:
        return ()
    if look.comparison is None or look.lockfile.verdict is Level.UNUSABLE:
        return None
    if look.comparison.code == 0:
        return tuple(f"{name} {_CHANGED_SOURCE}" for name in outdated_copies(look.context))
    if "Would replace" in look.comparison.err:
        if integrity.needs_rebuild(look.damages):
            return ("uv would recreate it",)
        version = python_version(look.environment) or "a Python that does not run"
        required = look.context.project.metadata.get("requires-python")
        other = f"uv would use another (requires-python: {required})"
        if wanted := look.context.profile.python:
            other = f"the profile asks for {wanted}"
        elif wanted := look.context.environ.get("UV_PYTHON"):
            other = f"UV_PYTHON is {wanted}"
        return (f"it has Python {version}, and {other}",)
    changes = planned_changes(look.comparison.err)
    if changes:
        return changes
    # uv could not compare; where that is due to the lockfile, the lockfile check has the reason.
    reason = failure_reason(look.comparison)
    first = reason.partition(". ")[0]
    is_reported = any(first in other for other in look.lockfile.reasons) or "`--frozen`" in reason
    return None if is_reported else (reason,)


# ` + six==1.16.0`, ` - six==1.15.0`, ` ~ shop==0.1.0 (from file:///…)`, ` + lib @ file:///…`
_CHANGE = r"(?m)^ ([-+~]) ([^\s=]+)(?:==(\S+))?( \(from| @)?"


def planned_changes(output: str) -> tuple[str, ...]:
    """A sentence for each distribution that `uv sync --check` lists."""
    changes: dict[str, dict[str, str]] = {}
    sourced = set()
    for sign, name, version, source in re.findall(_CHANGE, output):
        changes.setdefault(name, {})[sign] = version
        if source:
            sourced.add(name)
    sentences = []
    for name, change in changes.items():
        installed, wanted = change.get("-", ""), change.get("+", "")
        if set(change) == {"+"}:
            sentences.append(f"{name} {wanted}".strip() + " is missing")
        elif set(change) == {"-"}:
            sentences.append(f"{name} {installed} is not asked for")
        elif wanted and installed != wanted:
            sentences.append(f"{name} is {installed} instead of {wanted}")
        else:
            sentences.append(f"{name} {_CHANGED_SOURCE if name in sourced else _REINSTALLED}")
    return tuple(sentences)


def _disk_checks(look: _Look) -> Iterator[Check]:
    """The environment against the disk, by the metadata only; `uvflow verify` checks more."""
    for damage in look.damages:
        yield Check("files", Level.DAMAGED, str(damage), look.repair_by("repairs"))
    if look.is_running:
        yield Check("files", Level.UNKNOWN, "not checked: a sync is changing them")
    elif look.exists and not look.damages:
        count = len(look.environment.distributions)
        what = f"{count} distribution{'s' if count != 1 else ''}"
        message = f"{what}, none half installed (`uvflow verify` checks each file)"
        yield Check("files", Level.OK, message)
    if look.moved:
        yield Check("origin", Level.DAMAGED, look.moved, look.repair_by("recreates"))
    elif look.exists:
        version = python_version(look.environment)
        message = f"created here, with Python {version}" if version else "created here"
        yield Check("origin", Level.OK, message)


def _uv_checks(look: _Look) -> Iterator[Check]:
    if look.lockfile is not None and look.lockfile.verdict is Level.UNUSABLE:
        yield Check("uv", Level.UNUSABLE, look.lockfile.reasons[0], look.lockfile.hint)
    elif isinstance(look.uv, Uv):
        yield Check("uv", Level.OK, f"uv {look.uv.version}")
    else:
        yield Check("uv", Level.UNUSABLE, look.uv.message, look.uv.hint or "")


def _variable_checks(context: SyncContext, environ: Mapping[str, str]) -> Iterator[Check]:
    """Variables that conflict with the profile."""
    messages = [
        f"{name} has no effect: the profile decides" for name in SET_ASIDE if environ.get(name)
    ]
    decided = {_LOCATION: context.profile.environment, "UV_PYTHON": context.profile.python}
    messages += [
        f"{name} has no effect: the profile says {value}"
        for name, value in decided.items()
        if value and environ.get(name, value) != value
    ]
    active = environ.get("VIRTUAL_ENV")
    if active and os.path.realpath(active) != os.path.realpath(context.environment):
        messages.append(f"another environment is activated: {active}")
    for message in messages:
        yield Check("variables", Level.NOTE, message)


def _journal_checks(look: _Look) -> Iterator[Check]:
    """No checks where a fingerprint is current: that sync was finished."""
    state, environment = look.context.state, look.environment.path
    if look.lockfile is None or journal.last_sync(state, environment) < LastSync.INTERRUPTED:
        return
    if look.is_running:
        yield Check("sync", Level.OUT_OF_SYNC, "a sync is running")
    else:
        yield Check("sync", Level.OUT_OF_SYNC, "the last sync was interrupted", look.sync)


def verdict_line(status: Status) -> str:
    """The verdict with its first reason, for `uvflow sync --check`."""
    if status.verdict is Level.OK:
        return in_sync_message(status.subject.profile, status.subject.chosen_by)
    worst = status.worst
    others = sum((c.aspect, c.level) == (worst.aspect, worst.level) for c in status.checks) - 1
    more = f" (and {others} more, see `uvflow status`)" if others else ""
    return f"{status.headline}; {worst.aspect}: {worst.message}{more}"


def format_rows(checks: Sequence[Check], *, verbose: bool) -> Iterator[tuple[str, str, str]]:
    """Aspect, level and message, padded to columns; a hint is a row of its own."""
    width = max((len(check.aspect) for check in checks), default=0)
    level_width = max((len(check.level) for check in checks), default=0)
    for aspect, group in itertools.groupby(checks, key=lambda check: check.aspect):
        about = list(group)
        shown = about if verbose else about[:_SHOWN]
        for place, check in enumerate(shown):
            label = "" if place else aspect
            yield label.ljust(width), check.level.ljust(level_width), check.message
        blank = " " * width, " " * level_width
        if len(shown) < len(about):
            yield *blank, f"and {len(about) - len(shown)} more (`--verbose` lists them)"
        for hint in dict.fromkeys(check.hint for check in shown if check.hint):
            yield *blank, f"hint: {hint}"


def status_as_json(status: Status) -> dict[str, Any]:
    return {
        **status.subject.as_json(),
        "verdict": status.verdict,
        "checks": [check._asdict() for check in status.checks],
        "receipt_digest": status.receipt_digest,
    }
