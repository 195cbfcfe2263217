"""Which projects uvflow remembers, and forgetting them."""

import contextlib
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uvflow.errors import BusyError, UsageError
from uvflow.paths import state_name
from uvflow.state import backup, locks
from uvflow.state.locks import HOLDER
from uvflow.state.store import MUTEX, State, cache_root

_YEAR_9999 = 253_370_764_800  # seconds since 1970: the last year that dates can have

_STATE_NAME = re.compile(r".*-[0-9a-f]{32}")  # paths.state_name


@dataclass(frozen=True, kw_only=True)
class KnownProject:
    """A project with something kept of it.

    `root` is None where what says it is damaged. `size` is in bytes. `last_used` is when uvflow
    last changed something there, in seconds since 1970.
    """

    directory: Path
    root: Path | None
    size: int
    last_used: float

    @property
    def is_gone(self) -> bool:
        return self.root is not None and not self.root.exists()

    @property
    def name(self) -> str:
        return str(self.root or self.directory.name)


@dataclass(frozen=True, kw_only=True)
class KeptProject:
    """A project of which something is still needed, with the reason."""

    project: KnownProject
    reason: str


@dataclass(frozen=True, kw_only=True)
class ForgetResult:
    """What was forgotten, and what was left."""

    gone: tuple[KnownProject, ...]
    left: tuple[KeptProject, ...]

    @property
    def exit_code(self) -> int:
        return BusyError.exit_code if self.left else 0


def known_projects() -> tuple[KnownProject, ...]:
    """The projects that something is kept of, the one used last first; raises nothing."""
    found = (_known_project(path) for path in _directories(cache_root() / "projects"))
    return tuple(sorted(filter(None, found), key=lambda one: (-one.last_used, one.name)))


def _directories(projects: Path) -> list[Path]:
    try:
        return [path for path in projects.iterdir() if _STATE_NAME.fullmatch(path.name)]
    except OSError:
        return []


def _known_project(directory: Path) -> KnownProject | None:
    """None where nothing is left but the lock, which is never removed."""
    stats = _stats(directory)
    if not stats:
        return None
    holder = _holder(directory)
    changed = max(status.st_mtime for status in stats)
    return KnownProject(
        directory=directory,
        root=_root(holder.get("root"), directory),
        size=sum(status.st_size for status in stats),
        last_used=_moment_of(holder.get("since"), changed),
    )


def _moment_of(since: object, changed: float) -> float:
    if isinstance(since, int | float) and 0 <= since <= _YEAR_9999:
        return float(since)
    return min(max(changed, 0.0), _YEAR_9999)


def _stats(directory: Path) -> list[os.stat_result]:
    stats = []
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):  # another uvflow may just have removed it
            if path.name != MUTEX and (path.is_symlink() or path.is_file()):
                stats.append(path.lstat())
    return stats


def _holder(directory: Path) -> dict[str, Any]:
    try:
        told = json.loads((directory / HOLDER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _root(told: object, directory: Path) -> Path | None:
    """The root, if that is what the directory is named after."""
    try:
        is_its_own = isinstance(told, str) and state_name(told) == directory.name
    except ValueError:  # no path at all
        return None
    return Path(str(told)) if is_its_own else None


def project_at(projects: Iterable[KnownProject], path: Path) -> KnownProject:
    """The one at `path`, there or gone; raises UsageError where nothing is kept of it."""
    found = (one for one in projects if one.directory.name == state_name(str(path)))
    project = next(found, None)
    if project is None:
        raise UsageError(
            f"nothing is remembered of {path}", hint="`uvflow cache list` tells what is"
        )
    return project


def format_row(project: KnownProject) -> str:
    """One line for a person: when, how much, what."""
    day = _moment(project).strftime("%Y-%m-%d %H:%M")
    size = f"{math.ceil(project.size / 1024)} KiB"
    gone = "  (gone)" if project.is_gone else ""
    return f"{day}  {size:>10}  {project.name}{gone}"


def project_as_json(project: KnownProject) -> dict[str, Any]:
    """`last_used` as RFC 3339 has it, in UTC; `size` in bytes."""
    return {
        "root": None if project.root is None else str(project.root),
        "is_gone": project.is_gone,
        "directory": str(project.directory),
        "size": project.size,
        "last_used": _moment(project).astimezone(UTC).isoformat(timespec="seconds"),
    }


def _moment(project: KnownProject) -> datetime:
    """In the local time zone."""
    return datetime.fromtimestamp(project.last_used, tz=UTC).astimezone()


def forget(projects: Iterable[KnownProject], command: str) -> ForgetResult:
    """Forget what is kept of `projects`, the backups of `init` as well; raises DiskError."""
    tried = [(project, _forget(project, command)) for project in projects]
    return ForgetResult(
        gone=tuple(project for project, reason in tried if not reason),
        left=tuple(
            KeptProject(project=project, reason=reason) for project, reason in tried if reason
        ),
    )


def _forget(project: KnownProject, command: str) -> str:
    """Why nothing was forgotten; empty where it was."""
    state = State(directory=project.directory, root=project.root or project.directory)
    try:
        with locks.mutex(state, command, timeout=0):
            reason = "" if project.is_gone else _needed(state)
            if not reason:
                state.clear()
            return reason
    except BusyError:
        return "a uvflow is at work there"


def _needed(state: State) -> str:
    if locks.has_leases(state):
        return "a command of `uvflow run` is at work there"
    if backup.is_unfinished(state):
        return "an init was cut short there, and `uvflow init` puts back what it had changed"
    return ""
