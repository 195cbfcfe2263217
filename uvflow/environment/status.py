"""`uvflow status`: one verdict with reasons. Offline, and writes nothing."""

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from uvflow.environment import integrity, relocation
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment, distributions
from uvflow.environment.integrity import Damage
from uvflow.errors import DamagedError, OutOfSyncError, StaleLockfileError, UvMissingError
from uvflow.fingerprint import in_sync_message, profile_with_origin
from uvflow.lockfile.check import Freshness, LockfileCheck, failure_reason, start_check
from uvflow.process import Completed, Running
from uvflow.project.manifest import Project
from uvflow.project.profiles import SET_ASIDE, Choice
from uvflow.state import locks
from uvflow.state.journal import LastSync
from uvflow.uv import Uv, find


class Level(StrEnum):
    """How something stands, better ones first; the values are read by people."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    OUT_OF_SYNC = "out of sync"
    STALE = "stale"
    UNUSABLE = "unusable"
    DAMAGED = "damaged"


_RANKS = list(Level)
_EXIT_CODES = {
    Level.OUT_OF_SYNC: OutOfSyncError.exit_code,
    Level.STALE: StaleLockfileError.exit_code,
    Level.UNUSABLE: UvMissingError.exit_code,
    Level.DAMAGED: DamagedError.exit_code,
}
_HEADLINES = {
    Level.OK: "In sync",
    Level.UNKNOWN: "In sync as far as can be told",
    Level.OUT_OF_SYNC: "Out of sync",
    Level.STALE: "Lockfile stale",
    Level.UNUSABLE: "No usable uv",
    Level.DAMAGED: "Environment damaged",
}

_SHOWN = 5  # how many lines there are of one aspect


@dataclass(frozen=True, kw_only=True)
class Check:
    """One sentence about one aspect, and what to type."""

    aspect: str
    state: Level
    message: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a project's environment stands; `reasons` tell of every aspect at least once."""

    profile: str
    chosen_by: str
    environment: Path
    reasons: tuple[Check, ...]

    @property
    def worst(self) -> Check:
        """The reason for the verdict."""
        return max(self.reasons, key=lambda reason: _RANKS.index(reason.state))

    @property
    def verdict(self) -> Level:
        """The worst standing; notes do not count."""
        return Level.OK if self.worst.state is Level.NOTE else self.worst.state

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES.get(self.verdict, 0)


def headline(status: Status) -> str:
    """The verdict as one short line."""
    return f"{_HEADLINES[status.verdict]}: {profile_with_origin(status.profile, status.chosen_by)}"


def verdict_line(status: Status) -> str:
    """The verdict with its first reason, for `uvflow sync --check`."""
    if status.verdict is Level.OK:
        return in_sync_message(status.profile, status.chosen_by)
    worst = status.worst
    others = sum((r.aspect, r.state) == (worst.aspect, worst.state) for r in status.reasons) - 1
    more = f" (and {others} more, see `uvflow status`)" if others else ""
    return f"{headline(status)}; {worst.aspect}: {worst.message}{more}"


def format_rows(status: Status, *, verbose: bool) -> Iterator[tuple[str, str, str]]:
    """Aspect, standing and message, padded to columns; a hint is a row of its own."""
    wide = max(len(reason.aspect) for reason in status.reasons)
    width = max(len(reason.state) for reason in status.reasons)
    for aspect, some in itertools.groupby(status.reasons, key=lambda reason: reason.aspect):
        reasons = list(some)
        shown = reasons if verbose else reasons[:_SHOWN]
        for place, reason in enumerate(shown):
            label = "" if place else aspect
            yield label.ljust(wide), reason.state.ljust(width), reason.message
        blank = " " * wide, " " * width
        if len(shown) < len(reasons):
            yield *blank, f"and {len(reasons) - len(shown)} more (`--verbose` tells them)"
        for hint in dict.fromkeys(reason.hint for reason in shown if reason.hint):
            yield *blank, f"hint: {hint}"


def status_as_json(status: Status) -> dict[str, Any]:
    return {
        "profile": status.profile,
        "chosen_by": status.chosen_by,
        "environment": str(status.environment),
        "verdict": status.verdict,
        "reasons": [asdict(reason) for reason in status.reasons],
    }


_SILENT = "only uv could tell"
_PLACE = "UV_PROJECT_ENVIRONMENT"


def status(project: Project, choice: Choice) -> Status:
    """Look at lockfile, environment, uv and variables; what is wrong is told, not raised."""
    look = _Look.at(SyncContext.of(project, choice))
    return Status(
        profile=look.work.profile.name,
        chosen_by=look.work.chosen_by,
        environment=look.there.path,
        reasons=(
            *_of_lockfile(look),
            *_of_environment(look),
            *_of_files(look),
            *_of_origin(look),
            *_of_uv(look),
            *_of_variables(look.work, os.environ),
            *_of_journal(look),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What was found.

    `judgement` is None where a snapshot tells enough, `check` where uv was not asked about the
    environment; `foreign` are the sentences of `elsewhere`.
    """

    work: SyncContext
    there: Environment
    damages: tuple[Damage, ...]
    foreign: tuple[str, ...]
    uv: Uv | None
    without_uv: UvMissingError | None
    judgement: LockfileCheck | None
    check: Completed | None

    @classmethod
    def at(cls, work: SyncContext) -> "_Look":
        """Both questions to uv are asked at once, and the environment looked at meanwhile."""
        uv, without_uv = _found_uv(work.environ)
        judging = checking = None
        if not work.is_current():
            checking = _begin_to_check(work, uv)
            judging = start_check(work.project, uv, work.environ)
        there = Environment.at(work.environment)
        exists = there.path.is_dir()
        return cls(
            work=work,
            there=there,
            damages=integrity.metadata_damage(there) if exists else (),
            foreign=relocation.origin_problems(there) if exists else (),
            uv=uv,
            without_uv=without_uv,
            judgement=judging() if judging else None,
            check=checking.wait() if checking else None,
        )

    @property
    def exists(self) -> bool:
        return self.there.path.is_dir()

    @property
    def name(self) -> str:
        """The environment as it is told: relative to the workspace where it lies in there."""
        path = self.there.path
        return (
            path.relative_to(self.work.project.workspace) if self.is_within else path
        ).as_posix()

    @property
    def is_within(self) -> bool:
        return self.there.path.is_relative_to(self.work.project.workspace)

    @property
    def is_remade(self) -> bool:
        """Whether a sync makes it anew by itself; it never does that outside the workspace."""
        is_moved = any(
            sentence in self.foreign for sentence in relocation.relocation_problems(self.there)
        )
        return self.is_within and (is_moved or integrity.needs_rebuild(self.damages))

    @property
    def is_stale(self) -> bool:
        return self.judgement is not None and self.judgement.verdict is Freshness.STALE

    @property
    def sync(self) -> str:
        """What to type for a sync that succeeds."""
        flag = {"dev": " --dev", "prod": " --prod"}
        name = self.work.profile.name
        asked = "" if self.work.chosen_by else flag.get(name, f" --profile {name}")
        return f"{'`uv lock`, then ' if self.is_stale else ''}`uvflow sync{asked}`"


def _found_uv(environ: Mapping[str, str]) -> tuple[Uv | None, UvMissingError | None]:
    try:
        return find(environ), None
    except UvMissingError as error:
        return None, error


def _begin_to_check(work: SyncContext, uv: Uv | None) -> Running | None:
    """What uv would do; `--frozen`, since what is asked is not whether the lockfile is stale."""
    if uv is None or not work.environment.is_dir() or not work.project.lockfile.exists():
        return None
    arguments = ("sync", "--frozen", "--check", "--offline", *work.profile.selection())
    return uv.start((*arguments, "--color=never"), cwd=work.project.root, environ=work.environ)


def _of_lockfile(look: _Look) -> Iterator[Check]:
    judgement = look.judgement
    if judgement is None:
        yield Check(aspect="lockfile", state=Level.OK, message="is as it was at the last sync")
        return
    if judgement.verdict is Freshness.NO_UV:
        yield Check(aspect="lockfile", state=Level.UNKNOWN, message=_SILENT)
        return
    standing = Level(judgement.verdict)
    for sentence in judgement.reasons:
        yield Check(aspect="lockfile", state=standing, message=sentence, hint=judgement.hint)


def _of_environment(look: _Look) -> Iterator[Check]:
    """The environment against the lockfile and the profile."""
    profile = look.work.profile.name
    if not look.exists:
        chosen = "" if look.work.profile.environment else look.work.environ.get(_PLACE)
        yield _out_of_sync(look, f"there is no {look.name}" + (f" ({_PLACE})" if chosen else ""))
        return
    deviations = _deviations(look)
    if deviations is None:
        message = "not compared: uv cannot use the lockfile" if look.is_stale else _SILENT
        yield Check(aspect="environment", state=Level.UNKNOWN, message=message)
    elif deviations:
        yield from (_out_of_sync(look, sentence) for sentence in deviations)
    else:
        message = f"{look.name} has what uv.lock and the profile {profile} ask for"
        yield Check(aspect="environment", state=Level.OK, message=message)


def _out_of_sync(look: _Look, message: str) -> Check:
    return Check(aspect="environment", state=Level.OUT_OF_SYNC, message=message, hint=look.sync)


def _deviations(look: _Look) -> tuple[str, ...] | None:
    """Sentences about what uv would change; None where it does not say."""
    if look.judgement is None:
        return ()
    if look.check is None or look.judgement.verdict is Freshness.NO_UV:
        return None
    if look.check.code == 0:
        return ()
    if "Would replace" in look.check.err:
        return (_another_python(look),)
    return planned_changes(look.check.err) or _refused(look.check, look.judgement)


# ` + six==1.16.0`, ` - six==1.15.0`, ` ~ shop==0.1.0 (from file:///…)`, ` + lib @ file:///…`
_CHANGE = re.compile(r"^ ([-+~]) ([^\s=]+)(?:==(\S+))?", re.MULTILINE)


def planned_changes(said: str) -> tuple[str, ...]:
    """Sentences about what `uv sync --check` lists, one a distribution."""
    found: dict[str, dict[str, str]] = {}
    for sign, name, version in _CHANGE.findall(said):
        found.setdefault(name, {})[sign] = version
    return tuple(_sentence(name, change) for name, change in found.items())


def _sentence(name: str, change: Mapping[str, str]) -> str:
    if set(change) == {"+"}:
        return f"{name} {change['+']}".strip() + " is missing"
    if set(change) == {"-"}:
        return f"{name} {change['-']} is not asked for"
    then, now = change.get("-", ""), change.get("+", "")
    if now and then != now:
        return f"{name} is {then} instead of {now}"
    return f"{name} has changed at its source since it was installed"


def _refused(check: Completed, judgement: LockfileCheck) -> tuple[str, ...] | None:
    """Why uv does not compare, unless that is the lockfile, of which is told."""
    refusal = failure_reason(check)
    is_told = any(refusal in reason for reason in judgement.reasons) or "`--frozen`" in refusal
    return None if is_told else (refusal,)


def _another_python(look: _Look) -> str:
    """uv makes an environment anew when it has the wrong Python, or one that does not run."""
    if integrity.needs_rebuild(look.damages):
        return "uv would make it anew"
    found = relocation.python_version(look.there) or "a Python that does not run"
    asked = look.work.profile.python
    required = look.work.project.metadata.get("requires-python")
    if asked:
        return f"it has Python {found}, and the profile asks for {asked}"
    return f"it has Python {found}, and uv would take another (requires-python: {required})"


def _of_files(look: _Look) -> Iterator[Check]:
    """The environment against the disk, by the metadata alone: `uvflow verify` sees more."""
    is_lost = integrity.needs_rebuild(look.damages) and not look.is_within
    hint = _by_hand(look) if is_lost else f"{look.sync} repairs it"
    for damage in look.damages:
        yield Check(
            aspect="files",
            state=Level.DAMAGED,
            message=str(damage),
            hint=hint,
        )
    if look.exists and not look.damages:
        count = len(distributions(look.there))
        yield Check(
            aspect="files",
            state=Level.OK,
            message=f"{count} distributions, none half installed (`uvflow verify` looks closer)",
        )


def _by_hand(look: _Look) -> str:
    verb = "remove" if look.is_within else "empty"  # elsewhere a directory may be a mount point
    return f"{verb} {look.name}, then {look.sync}"


def _of_origin(look: _Look) -> Iterator[Check]:
    for sentence in look.foreign:
        hint = f"{look.sync} makes it anew" if look.is_remade else _by_hand(look)
        yield Check(aspect="origin", state=Level.DAMAGED, message=sentence, hint=hint)
    if look.exists and not look.foreign:
        version = relocation.python_version(look.there)
        message = f"made here, with Python {version}" if version else "made here"
        yield Check(aspect="origin", state=Level.OK, message=message)


def _of_uv(look: _Look) -> Iterator[Check]:
    if look.uv is None:
        error = look.without_uv
        message, hint = (error.message, error.hint or "") if error else ("", "")
        yield Check(aspect="uv", state=Level.UNUSABLE, message=message, hint=hint)
    elif look.judgement is not None and look.judgement.verdict is Freshness.NO_UV:
        yield Check(
            aspect="uv",
            state=Level.UNUSABLE,
            message=look.judgement.reasons[0],
            hint=look.judgement.hint,
        )
    else:
        yield Check(aspect="uv", state=Level.OK, message=f"uv {look.uv.version}")


def _of_variables(work: SyncContext, environ: Mapping[str, str]) -> Iterator[Check]:
    """Variables that say something else than the profile."""
    for name in SET_ASIDE:
        if environ.get(name):
            yield _note(f"{name} has no effect: the profile decides")
    decided = {_PLACE: work.profile.environment, "UV_PYTHON": work.profile.python}
    for name, value in decided.items():
        if value and environ.get(name, value) != value:
            yield _note(f"{name} has no effect: the profile says {value}")
    active = environ.get("VIRTUAL_ENV")
    if active and os.path.realpath(active) != os.path.realpath(work.environment):
        yield _note(f"another environment is activated: {active}")


def _note(message: str) -> Check:
    return Check(aspect="variables", state=Level.NOTE, message=message)


def _of_journal(look: _Look) -> Iterator[Check]:
    """A sync that got as far as its snapshot was done."""
    if look.judgement is None or look.work.interruption < LastSync.INTERRUPTED:
        return
    is_busy = locks.is_mutex_held(look.work.state)
    yield Check(
        aspect="sync",
        state=Level.OUT_OF_SYNC,
        message="a sync is under way" if is_busy else "the last sync did not get to its end",
        hint="" if is_busy else look.sync,
    )
