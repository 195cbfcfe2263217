"""`uvflow status`, `uvflow verify`: one verdict with reasons. Offline, and writes nothing."""

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from uvflow import elsewhere, environment, healing, lockfile
from uvflow.environment import Damage, Environment
from uvflow.errors import DamagedError, OutOfSyncError, StaleLockfileError, UvMissingError
from uvflow.healing import Depth
from uvflow.lockfile import Judgement, Verdict
from uvflow.profiles import SET_ASIDE, Choice
from uvflow.project import Project
from uvflow.snapshot import in_sync, named
from uvflow.state import DEFAULT_TIMEOUT, Tell
from uvflow.sync import Sync, repair
from uvflow.uv import Answer, Uv, find


class Standing(StrEnum):
    """How something stands, better ones first; the values are read by people."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    OUT_OF_SYNC = "out of sync"
    STALE = "stale"
    UNUSABLE = "unusable"
    DAMAGED = "damaged"


_RANKS = list(Standing)
_EXIT_CODES = {
    Standing.OUT_OF_SYNC: OutOfSyncError.exit_code,
    Standing.STALE: StaleLockfileError.exit_code,
    Standing.UNUSABLE: UvMissingError.exit_code,
    Standing.DAMAGED: DamagedError.exit_code,
}


_SHOWN = 5  # how many lines there are of one aspect, or of one distribution


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One sentence about one aspect, and what to type."""

    aspect: str
    state: Standing
    message: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a project's environment stands; `reasons` tell of every aspect at least once."""

    profile: str
    chosen_by: str
    environment: Path
    reasons: tuple[Reason, ...]

    @property
    def worst(self) -> Reason:
        """The reason for the verdict."""
        return max(self.reasons, key=lambda reason: _RANKS.index(reason.state))

    @property
    def verdict(self) -> Standing:
        """The worst standing; notes do not count."""
        return Standing.OK if self.worst.state is Standing.NOTE else self.worst.state

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES.get(self.verdict, 0)


def status(project: Project, choice: Choice) -> Status:
    """Look at lockfile, environment, uv and variables; what is wrong is told, not raised."""
    look = _Look.at(Sync.of(project, choice))
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
    """What all the aspects need to know; `judgement` is None where a snapshot tells enough."""

    work: Sync
    there: Environment
    uv: Uv | None
    without_uv: UvMissingError | None
    judgement: Judgement | None

    @classmethod
    def at(cls, work: Sync) -> "_Look":
        uv, without_uv = _found_uv(work.environ)
        is_current = work.is_current()
        return cls(
            work=work,
            there=Environment.at(work.environment),
            uv=uv,
            without_uv=without_uv,
            judgement=None if is_current else lockfile.judge(work.project, uv, work.environ),
        )

    @property
    def exists(self) -> bool:
        return self.there.path.is_dir()


def _found_uv(environ: Mapping[str, str]) -> tuple[Uv | None, UvMissingError | None]:
    try:
        return find(environ), None
    except UvMissingError as error:
        return None, error


def _of_lockfile(look: _Look) -> Iterator[Reason]:
    judgement = look.judgement
    if judgement is None:
        yield Reason(aspect="lockfile", state=Standing.OK, message="is as it was synced")
        return
    if judgement.verdict is Verdict.NO_UV:
        yield Reason(aspect="lockfile", state=Standing.UNKNOWN, message="uv does not say")
        return
    standing = Standing(judgement.verdict)
    for sentence in judgement.reasons:
        yield Reason(aspect="lockfile", state=standing, message=sentence, hint=judgement.hint)


def _of_environment(look: _Look) -> Iterator[Reason]:
    """The environment against the lockfile and the profile."""
    name, profile = look.there.path.name, look.work.profile.name
    if not look.exists:
        yield _out_of_sync(look, f"there is no {name}")
        return
    deviations = _deviations(look)
    if deviations is None:
        yield Reason(aspect="environment", state=Standing.UNKNOWN, message="uv does not say")
    elif deviations:
        yield from (_out_of_sync(look, sentence) for sentence in deviations)
    else:
        message = f"{name} is what the lockfile and {profile} say"
        yield Reason(aspect="environment", state=Standing.OK, message=message)


def _out_of_sync(look: _Look, message: str) -> Reason:
    flag = {"dev": " --dev", "prod": " --prod"}
    name = look.work.profile.name
    asked = "" if look.work.chosen_by else flag.get(name, f" --profile {name}")
    return Reason(
        aspect="environment",
        state=Standing.OUT_OF_SYNC,
        message=message,
        hint=f"`uvflow sync{asked}`",
    )


def _deviations(look: _Look) -> tuple[str, ...] | None:
    """Sentences about what uv would change; None where it does not say."""
    if look.judgement is None:
        return ()
    unusable = look.judgement.verdict is Verdict.NO_UV or not look.work.project.lockfile.exists()
    if look.uv is None or unusable:
        return None
    answer = _checked(look.work, look.uv)
    if answer.code == 0:
        return ()
    if "Would replace" in answer.err:
        return (_another_python(look),)
    refusal = lockfile.problem(answer)
    return changes(answer.err) or (None if refusal in look.judgement.reasons else (refusal,))


def _checked(work: Sync, uv: Uv) -> Answer:
    """What uv would do; `--frozen`, since what is asked is not whether the lockfile is stale."""
    arguments = ("sync", "--frozen", "--check", "--offline", *work.profile.selection())
    return uv.ask((*arguments, "--color=never"), cwd=work.project.root, environ=work.environ)


# ` + six==1.16.0`, ` - six==1.15.0`, ` ~ shop==0.1.0 (from file:///…)`, ` + lib @ file:///…`
_CHANGE = re.compile(r"^ ([-+~]) ([^\s=]+)(?:==(\S+))?", re.MULTILINE)


def changes(said: str) -> tuple[str, ...]:
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
    return f"{name} is not what its source is now"


def _another_python(look: _Look) -> str:
    """uv makes an environment anew when it has the wrong Python, or one that does not run."""
    found = elsewhere.python_version(look.there) or "a Python that does not run"
    asked = look.work.profile.python
    required = look.work.project.metadata.get("requires-python")
    if asked:
        return f"it has Python {found}, and the profile asks for {asked}"
    return f"it has Python {found}, and uv would take another (requires-python: {required})"


def _of_files(look: _Look) -> Iterator[Reason]:
    """The environment against the disk, by the metadata alone: `uvflow verify` sees more."""
    damages = environment.unfinished(look.there) if look.exists else ()
    for damage in damages:
        yield Reason(
            aspect="files",
            state=Standing.DAMAGED,
            message=str(damage),
            hint="`uvflow sync` repairs it",
        )
    if look.exists and not damages:
        count = len(environment.distributions(look.there))
        yield Reason(
            aspect="files",
            state=Standing.OK,
            message=f"{count} distributions, none of them half installed",
        )


def _of_origin(look: _Look) -> Iterator[Reason]:
    if not look.exists:
        return
    foreign = elsewhere.made_elsewhere(look.there)
    for sentence in foreign:
        yield Reason(
            aspect="origin",
            state=Standing.DAMAGED,
            message=sentence,
            hint=f"remove {look.there.path.name}, then `uvflow sync`",
        )
    if not foreign:
        version = elsewhere.python_version(look.there)
        message = f"made here, with Python {version}" if version else "made here"
        yield Reason(aspect="origin", state=Standing.OK, message=message)


def _of_uv(look: _Look) -> Iterator[Reason]:
    if look.uv is None:
        error = look.without_uv
        message, hint = (error.message, error.hint or "") if error else ("", "")
        yield Reason(aspect="uv", state=Standing.UNUSABLE, message=message, hint=hint)
    elif look.judgement is not None and look.judgement.verdict is Verdict.NO_UV:
        yield Reason(aspect="uv", state=Standing.UNUSABLE, message=look.judgement.reasons[0])
    else:
        yield Reason(aspect="uv", state=Standing.OK, message=f"uv {look.uv.version}")


def _of_variables(work: Sync, environ: Mapping[str, str]) -> Iterator[Reason]:
    """Variables that say something else than the profile."""
    for name in SET_ASIDE:
        if environ.get(name):
            yield _note(f"{name} is set aside: the profile decides")
    decided = {"UV_PROJECT_ENVIRONMENT": work.profile.environment, "UV_PYTHON": work.profile.python}
    for name, value in decided.items():
        if value and environ.get(name, value) != value:
            yield _note(f"{name} is set aside: the profile says {value}")
    active = environ.get("VIRTUAL_ENV")
    if active and os.path.realpath(active) != os.path.realpath(work.environment):
        yield _note(f"another environment is activated: {active}")


def _note(message: str) -> Reason:
    return Reason(aspect="variables", state=Standing.NOTE, message=message)


def _of_journal(look: _Look) -> Iterator[Reason]:
    """A sync that got as far as its snapshot was done."""
    if look.judgement is None or not look.work.was_interrupted:
        return
    is_busy = look.work.state.is_busy()
    yield Reason(
        aspect="sync",
        state=Standing.OUT_OF_SYNC,
        message="a sync is under way" if is_busy else "the last sync was cut short",
        hint="" if is_busy else "`uvflow sync` finishes it",
    )


def headline(status: Status) -> str:
    """The verdict as one short line."""
    profile = named(status.profile, status.chosen_by)
    if status.verdict is Standing.OK:
        return f"In sync: {profile}"
    if status.verdict is Standing.UNKNOWN:
        return f"In sync as far as can be told: {profile}"
    return f"{status.verdict.capitalize()}: {profile}"


def verdict_line(status: Status) -> str:
    """The verdict with its first reason, for `uvflow sync --check`."""
    if status.verdict is Standing.OK:
        return in_sync(status.profile, status.chosen_by)
    return f"{headline(status)}; {status.worst.aspect}: {status.worst.message}"


def rows(status: Status, *, verbose: bool) -> Iterator[tuple[str, str, str]]:
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


def as_json(status: Status) -> dict[str, Any]:
    return {
        "profile": status.profile,
        "chosen_by": status.chosen_by,
        "environment": str(status.environment),
        "verdict": status.verdict,
        "reasons": [asdict(reason) for reason in status.reasons],
    }


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the RECORD files tell of an environment.

    `poisoned` are the distributions whose damage is in uv's cache as well; `repaired` those that
    were installed again.
    """

    profile: str
    chosen_by: str
    environment: Path
    damages: tuple[Damage, ...]
    poisoned: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[Standing.DAMAGED] if self.damages else 0


def verify(project: Project, choice: Choice, depth: Depth) -> Verified:
    """Everything that is wrong with the environment's files; writes nothing."""
    return _verified(Sync.of(project, choice), depth, repaired=())


def heal(
    project: Project, choice: Choice, depth: Depth, *, timeout: float = DEFAULT_TIMEOUT, tell: Tell
) -> Verified:
    """As `verify`, once what is damaged has been installed again; raises what `repair` raises."""
    work = Sync.of(project, choice)
    found = _verified(work, depth, repaired=())
    if not found.damages:
        return found
    return _verified(work, depth, repaired=repair(work, depth, timeout=timeout, tell=tell))


def _verified(work: Sync, depth: Depth, *, repaired: tuple[str, ...]) -> Verified:
    there = Environment.at(work.environment)
    damages = healing.survey(there, depth)
    return Verified(
        profile=work.profile.name,
        chosen_by=work.chosen_by,
        environment=there.path,
        damages=damages,
        poisoned=environment.shared_with_cache(there, damages),
        repaired=repaired,
    )


def damage_lines(verified: Verified, *, verbose: bool) -> Iterator[str]:
    """What is damaged, at most a few files of each distribution unless `verbose`."""
    ordered = sorted(verified.damages, key=lambda damage: damage.distribution)
    for _, some in itertools.groupby(ordered, key=lambda damage: damage.distribution):
        damages = list(some)
        shown = damages if verbose else damages[:_SHOWN]
        yield from map(str, shown)
        if len(shown) < len(damages):
            yield f"  and {len(damages) - len(shown)} more (`--verbose` tells them)"
    if verified.poisoned:
        names = ", ".join(verified.poisoned)
        yield f"uv's cache has the same damage, and would install it anywhere: {names}"


def outcome(verified: Verified) -> str:
    """The verdict as one line."""
    profile = named(verified.profile, verified.chosen_by)
    if verified.damages:
        return f"Damaged: {profile}; `uvflow verify --repair` installs it again"
    if verified.repaired:
        return f"Repaired: {profile}; {', '.join(verified.repaired)}"
    return f"Intact: {profile}"


def damage_as_json(verified: Verified) -> dict[str, Any]:
    return {
        "profile": verified.profile,
        "chosen_by": verified.chosen_by,
        "environment": str(verified.environment),
        "damages": [asdict(damage) for damage in verified.damages],
        "poisoned": list(verified.poisoned),
        "repaired": list(verified.repaired),
    }
