"""Whether uv.lock matches pyproject.toml: uv's verdict, with the reasons."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from uvflow.errors import StaleLockfileError, UsageError, UvflowError
from uvflow.lockfile import packages
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.project.manifest import Project, Workspace
from uvflow.uv import ANOTHER, ERROR, REFUSAL, REQUIRED, Uv

# So that uv runs no code of the project, and prints why it would resolve again.
_READ_ONLY = ("--offline", "--no-build", "--no-python-downloads", "--verbose")
_CHECK = ("lock", "--check", *_READ_ONLY, "--color=never")

_WHY = r"(?:Resolving despite|Ignoring) existing lockfile due to (.+)"
_NO_INDEX = "missing (?:local|remote) index: "

UPDATE = "`uv lock` updates the lockfile"
_RESTORE = f"put {LOCKFILE} back from version control, or remove it and `uv lock`"
_UNSET = "unset {} for this project, or lock with the same value everywhere"
ASK = "`uv lock --check` says more"

# Variables that name indexes, that choose versions, and that choose sources.
_OF_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_OF_VERSIONS = ("UV_RESOLUTION", "UV_PRERELEASE", "UV_FORK_STRATEGY", "UV_EXCLUDE_NEWER")
_OF_SOURCES = ("UV_NO_SOURCES", "UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_NO_INDEX", "UV_FIND_LINKS")

_REASONS = 3  # how many one line has room for


class Level(StrEnum):
    """The level of a check, from good to bad; users see the values."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"  # of a lockfile: uv fails, or would have to build to know
    OUT_OF_SYNC = "out of sync"
    STALE = "stale"  # or not usable as it is
    UNUSABLE = "unusable"  # uv, or this version of it
    DAMAGED = "damaged"


class LockfileCheck(NamedTuple):
    """A verdict on a lockfile; `reasons` are sentences, at least one."""

    verdict: Level
    reasons: tuple[str, ...]
    hint: str = ""


FRESH = LockfileCheck(verdict=Level.OK, reasons=(f"is what {MANIFEST} asks for",))


def check_lockfile(
    project: Project, uv: Uv | None, environ: Mapping[str, str], unasked: str = ""
) -> LockfileCheck:
    """Ask uv, offline, without writing and without running code of the project.

    If uv would have to build a source, or `uv` is None (for the reason `unasked`), only what can be
    read is compared.
    """
    if not project.lockfile.exists():
        return missing_lockfile(project)
    if uv is None:
        return _read(project, unasked or "uv was not asked")
    builds = sources_to_build(project)
    if builds:
        unbuilt = f"uv would have to build {builds} to know"
        return _read(project, unbuilt, "`uv lock --check` builds and checks")
    answer = uv.capture(_CHECK, cwd=project.root, environ=environ)
    return _verdict(project, uv, environ, answer)


def missing_lockfile(project: Project) -> LockfileCheck:
    return LockfileCheck(
        verdict=Level.STALE,
        reasons=(f"no {project.lockfile.name} in {project.workspace}",),
        hint="`uv lock` makes one; `uvflow init` first where there are requirements files",
    )


def stale_lockfile_error(
    project: Project, uv: Uv, environ: Mapping[str, str], *, has_failed: bool
) -> StaleLockfileError | None:
    """The error to report if uv refuses to sync because of the lockfile, or would refuse.

    Before a sync, `has_failed` is false; what uv only logs counts then if reading finds it, too.
    """
    answer = uv.capture(_CHECK, cwd=project.root, environ=environ)
    is_refused = re.search(REFUSAL, answer.err) is not None
    if answer.code == 0 or not (is_refused or re.search(_WHY, answer.err)):
        return None
    if not (is_refused or has_failed or _differences(project)):
        return None
    return stale_error(_verdict(project, uv, environ, answer))


def stale_error(check: LockfileCheck) -> StaleLockfileError:
    """The error of a sync for a lockfile that it cannot use."""
    is_readable = check.hint not in {_RESTORE, ANOTHER}
    problem = f"is not what {MANIFEST} asks for" if is_readable else "cannot be used"
    return StaleLockfileError(
        f"{LOCKFILE} {problem}; the environment is as it was",
        cause=", ".join(check.reasons[:_REASONS]),
        hint=f"{check.hint}, then sync again" if check.hint == UPDATE else check.hint,
    )


def sources_to_build(project: Project) -> str:
    """The names of what uv would build, which runs their code; empty if nothing."""
    try:
        locked = [source.path for source in packages.local_sources(project) if source.is_built]
        sources = Workspace.at(project.workspace).sources_to_build(locked)
    except (UvflowError, ValueError, TypeError, AttributeError):
        return ""  # uv says what is wrong with a pyproject.toml, and builds nothing then
    names = (Path(os.path.relpath(path, project.workspace)).as_posix() for path in sources)
    return ", ".join(f"`{name}`" for name in names)


def _read(project: Project, unasked: str, hint: str = "") -> LockfileCheck:
    try:
        packages.read_lockfile(project.lockfile)
    except UsageError as error:
        return LockfileCheck(verdict=Level.STALE, reasons=(str(error),), hint=_RESTORE)
    reasons = _differences(project)
    if reasons:
        return LockfileCheck(verdict=Level.STALE, reasons=reasons, hint=UPDATE)
    reason = f"reading shows no difference; {unasked}"
    return LockfileCheck(verdict=Level.UNKNOWN, reasons=(reason,), hint=hint)


def _differences(project: Project) -> tuple[str, ...]:
    from uvflow.lockfile.differences import differences  # 25 ms, for a stale lockfile only

    return differences(project)


def _verdict(
    project: Project, uv: Uv, environ: Mapping[str, str], answer: Completed
) -> LockfileCheck:
    if answer.code == 0:
        return FRESH
    failure = failure_reason(answer)
    first = failure.partition(". ")[0]
    if failure.startswith(REQUIRED):
        return LockfileCheck(verdict=Level.UNUSABLE, reasons=(first,), hint=ANOTHER)
    reasons, hint = _differences(project), UPDATE
    why = re.search(_WHY, answer.err)  # from uv's debug messages
    if why and not reasons:
        found = why[1].partition(": `Conflicts(")[0]  # a dump of uv's own data follows
        reasons = (f"uv found {found.rstrip(':')}",)
    if reasons:
        variables = _variables_to_blame(project, uv, environ, why)
        if variables:
            reasons = (f"{variables} is set; {reasons[0]}", *reasons[1:])
            hint = _UNSET.format(variables)
    elif failure.startswith(f"Failed to parse `{LOCKFILE}`"):
        reasons, hint = (failure,), _RESTORE
    elif "uses an unsupported schema version" in failure:
        reasons, hint = (first,), ANOTHER
    elif re.search(REFUSAL, failure):
        written = "another version of uv may have written it"
        reasons = (f"reading shows no difference; {written}",)
    else:
        reason = f"uv cannot check it: {failure}"
        return LockfileCheck(verdict=Level.UNKNOWN, reasons=(reason,), hint=ASK)
    return LockfileCheck(verdict=Level.STALE, reasons=reasons, hint=hint)


def _variables_to_blame(
    project: Project, uv: Uv, environ: Mapping[str, str], why: re.Match[str] | None
) -> str:
    """The variables without which uv would accept the lockfile."""
    if why and re.match(_NO_INDEX, why[1]):
        return ", ".join(name for name in _OF_INDEXES if environ.get(name))
    found = {name for name in (*_OF_VERSIONS, *_OF_SOURCES) if environ.get(name)}
    if found:
        without = {name: value for name, value in environ.items() if name not in found}
        if uv.capture(_CHECK, cwd=project.root, environ=without).code == 0:
            return ", ".join(sorted(found))
    return ""


def failure_reason(answer: Completed) -> str:
    """The reason that uv gives for a failure, in one line."""
    lines = answer.err.splitlines()
    first = next((n for n, line in enumerate(lines) if re.match(ERROR, line)), None)
    if first is None:
        return lines[-1].strip() if lines else f"uv failed with exit code {answer.code}"
    message = re.sub(ERROR, "", lines[first]).removesuffix(":")
    below = "".join(lines[first + 1 : first + 2])
    cause = re.match(r"  (?:cause:|Caused by:|[├╰]─▶) (.*)", below)
    return f"{message}: {cause[1]}" if cause else message
