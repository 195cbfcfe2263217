"""Is uv.lock what the project asks for? uv's verdict, with the reasons."""

import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from uvflow.errors import StaleLockfileError, UvflowError
from uvflow.lockfile import packages
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.project.manifest import Project, Workspace
from uvflow.uv import ERROR, Uv

_CHECK = ("lock", "--check", "--offline", "--color=never")

# No code of what is not ours; why uv would resolve again.
_LOOKING_ONLY = ("--no-build", "--verbose")

_WHY = re.compile(r"(?:Resolving despite|Ignoring) existing lockfile due to (.+)")
_NO_INDEX = re.compile(r"missing (?:local|remote) index: `(\S+)` `(\S+)` from `(.+)`")

UPDATE = "`uv lock` updates the lockfile"
_RESTORE = f"put {LOCKFILE} back from version control, or remove it and `uv lock`"
_ANOTHER = "`uv self update`, or name another uv in UVFLOW_UV"
_ASK = "`uv lock --check` says more"

_REASONS = 3  # how many are told in one line


class Freshness(StrEnum):
    """The values are read by people."""

    FRESH = "ok"
    UNTOLD = "unknown"  # only a build would tell, and it was not made
    STALE = "stale"  # or not to be used as it is
    NO_UV = "unusable"  # the project asks for another version of uv


@dataclass(frozen=True, kw_only=True)
class LockfileCheck:
    """What is to be said of a lockfile; `reasons` are sentences, at least one."""

    verdict: Freshness
    reasons: tuple[str, ...]
    hint: str = ""


def start_check(
    project: Project, uv: Uv | None, environ: Mapping[str, str]
) -> Callable[[], LockfileCheck]:
    """Ask uv, offline, writing nothing and running no code of the project's.

    What is returned waits for the answer. Where uv would have to build a source to know, or there
    is no uv, what can be read has to do.
    """
    if not project.lockfile.exists():
        return lambda: missing_lockfile(project)
    if uv is None:
        return lambda: _read(project, environ, "there is no uv to ask")
    builds = _needs_build(project)
    if builds:
        unasked = f"only building {builds} would tell for sure"
        return lambda: _read(project, environ, unasked, "`uv lock --check` builds and tells")
    question = uv.start((*_CHECK, *_LOOKING_ONLY), cwd=project.root, environ=environ)
    read = functools.cache(lambda: _differences(project, environ))
    if _is_edited(project):
        read()  # while uv is at work
    return lambda: _told(question.wait(), read)


def missing_lockfile(project: Project) -> LockfileCheck:
    """What is to be said where there is no uv.lock."""
    return LockfileCheck(
        verdict=Freshness.STALE,
        reasons=(f"there is no {project.lockfile.name} in {project.workspace}",),
        hint="`uv lock` makes one; `uvflow init` first where there are requirements files",
    )


def stale_lockfile_error(
    project: Project, uv: Uv, environ: Mapping[str, str]
) -> StaleLockfileError | None:
    """Why uv has refused to sync, if that is the lockfile.

    What had to be built for that has been built by uv before, so it is asked without reserve.
    """
    answer = uv.capture(_CHECK, cwd=project.root, environ=environ)
    if answer.code == 0 or "needs to be updated" not in answer.err:
        return None
    return StaleLockfileError(
        f"{LOCKFILE} is not what {MANIFEST} asks for; the environment is as it was",
        cause=", ".join(_differences(project, environ)[:_REASONS]) or None,
        hint=f"{UPDATE}, then sync again",
    )


def _needs_build(project: Project) -> str:
    """What uv would build, and so run the code of; empty where there is nothing."""
    try:
        locked = [source.path for source in packages.local_sources(project) if source.is_built]
        untold = Workspace.at(project.workspace).untold(locked)
    except (UvflowError, ValueError, TypeError, AttributeError):
        return ""  # uv says what is wrong with a pyproject.toml, and builds nothing then
    names = (Path(os.path.relpath(path, project.workspace)).as_posix() for path in untold)
    return ", ".join(f"`{name}`" for name in names)


def _read(
    project: Project, environ: Mapping[str, str], unasked: str, hint: str = ""
) -> LockfileCheck:
    found = _differences(project, environ)
    if found:
        return LockfileCheck(verdict=Freshness.STALE, reasons=found, hint=UPDATE)
    said = f"no difference was found by reading; {unasked}"
    return LockfileCheck(verdict=Freshness.UNTOLD, reasons=(said,), hint=hint)


def _differences(project: Project, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What changed since uv.lock was made, as far as reading tells."""
    from uvflow.lockfile.differences import differences  # 25 ms, for a stale lockfile alone

    return tuple(map(str, differences(project, environ)))


def _is_edited(project: Project) -> bool:
    """Whether it seems that the lockfile is older than what it was made for."""
    try:
        locked = project.lockfile.stat().st_mtime_ns
        return (project.root / MANIFEST).stat().st_mtime_ns > locked
    except OSError:
        return False


def _told(answer: Completed, read: Callable[[], tuple[str, ...]]) -> LockfileCheck:
    """`read` gives what changed since uv.lock was made, as far as reading tells."""
    if answer.code == 0:
        return LockfileCheck(verdict=Freshness.FRESH, reasons=(f"is what {MANIFEST} asks for",))
    said = failure_reason(answer)
    if said.startswith("Required uv version"):
        return LockfileCheck(
            verdict=Freshness.NO_UV, reasons=(said.partition(". ")[0],), hint=_ANOTHER
        )
    found = read() or _reason_of_uv(answer)
    if found:
        return LockfileCheck(verdict=Freshness.STALE, reasons=found, hint=UPDATE)
    if said.startswith(f"Failed to parse `{LOCKFILE}`"):
        return LockfileCheck(verdict=Freshness.STALE, reasons=(said,), hint=_RESTORE)
    return LockfileCheck(verdict=Freshness.STALE, reasons=(f"uv cannot tell: {said}",), hint=_ASK)


def _reason_of_uv(answer: Completed) -> tuple[str, ...]:
    """Why uv would resolve again, from what it says for those who work on it."""
    why = _WHY.search(answer.err)
    if not why:
        return ()
    index = _NO_INDEX.fullmatch(why[1])
    if index:
        name, version, place = index.groups()
        return (f"{name} {version} is locked from {place}, which is no index any more",)
    return (f"uv found {why[1].rstrip(':')}",)


def failure_reason(answer: Completed) -> str:
    """What uv gives as the reason for a failure, as one line."""
    lines = answer.err.splitlines()
    first = next((n for n, line in enumerate(lines) if ERROR.match(line)), None)
    if first is None:
        return lines[-1].strip() if lines else f"uv failed with exit code {answer.code}"
    cause = lines[first + 1] if first + 1 < len(lines) else ""
    causes = re.match(r"  (?:cause:|Caused by:|[├╰]─▶) (.*)", cause)
    said = ERROR.sub("", lines[first]).removesuffix(":")
    return f"{said}: {causes[1]}" if causes else said
