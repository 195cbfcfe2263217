"""Which projects uvflow remembers, and forgetting them."""

import contextlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uvflow.errors import BusyError, UsageError
from uvflow.paths import state_name
from uvflow.state import backup, locks
from uvflow.state.leases import MUTEX
from uvflow.state.locks import HOLDER
from uvflow.state.store import State, cache_root, read_json, require_private

_YEAR_9999 = 253_370_764_800  # seconds since 1970: the last year that dates can have

_STATE_NAME = re.compile(r".*-[0-9a-f]{32}")  # paths.state_name


@dataclass(frozen=True, kw_only=True)
class KnownProject:
    """A project that something is kept of.

    `root` is None where the file that names it is damaged. `size` is in bytes. `last_used` is when
    uvflow last changed something there, in seconds since 1970.
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

    @property
    def row(self) -> str:
        """One line for a person: when (local time), how much, what."""
        day = self._last_used.astimezone().strftime("%Y-%m-%d %H:%M")
        size = f"{math.ceil(self.size / 1024)} KiB"
        return f"{day}  {size:>10}  {self.name}{'  (gone)' if self.is_gone else ''}"

    def as_json(self) -> dict[str, Any]:
        """`last_used` as in RFC 3339, in UTC; `size` in bytes."""
        return {
            "root": None if self.root is None else str(self.root),
            "is_gone": self.is_gone,
            "directory": str(self.directory),
            "size": self.size,
            "last_used": self._last_used.isoformat(timespec="seconds"),
        }

    @property
    def _last_used(self) -> datetime:
        return datetime.fromtimestamp(self.last_used, tz=UTC)


@dataclass(frozen=True, kw_only=True)
class ForgetResult:
    """What was forgotten, and what was kept, each with the reason."""

    forgotten: tuple[KnownProject, ...]
    kept: tuple[tuple[KnownProject, str], ...]

    @property
    def exit_code(self) -> int:
        return BusyError.exit_code if self.kept else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "forgotten": [project.as_json() for project in self.forgotten],
            "left": [{**kept.as_json(), "reason": reason} for kept, reason in self.kept],
        }


def known_projects() -> tuple[KnownProject, ...]:
    """The projects that something is kept of, the one used last first; raises DiskError."""
    projects = cache_root() / "projects"
    require_private(projects.parent, projects)
    found = map(_known_project, _directories(projects))
    return tuple(sorted(filter(None, found), key=lambda one: (-one.last_used, one.name)))


def _directories(projects: Path) -> list[Path]:
    try:
        paths = [path for path in projects.iterdir() if _STATE_NAME.fullmatch(path.name)]
        return [path for path in paths if not path.is_symlink()]  # none that uvflow made
    except OSError:
        return []


def _known_project(directory: Path) -> KnownProject | None:
    """None where nothing is kept but the mutex, which is never removed."""
    stats = []
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):  # another process may just have removed it
            if path.name != MUTEX and (path.is_symlink() or path.is_file()):
                stats.append(path.lstat())
    if not stats:
        return None
    holder = _holder(directory)
    since = holder.get("since")
    if not (isinstance(since, int | float) and 0 <= since <= _YEAR_9999):
        changed = max(status.st_mtime for status in stats)
        since = min(max(changed, 0.0), _YEAR_9999)
    return KnownProject(
        directory=directory,
        root=_root(holder.get("root"), directory),
        size=sum(status.st_size for status in stats),
        last_used=float(since),
    )


def _holder(directory: Path) -> dict[str, Any]:
    """Who has used the project last, or one of its environments."""
    holders = map(read_json, directory.glob(f"*{HOLDER}"))
    return max(holders, key=lambda holder: str(holder.get("since", "")), default={})


def _root(path: object, directory: Path) -> Path | None:
    """`path`, if that is the root that the directory is named after."""
    try:
        is_its_own = isinstance(path, str) and state_name(path) == directory.name
    except ValueError:  # not a path
        return None
    return Path(str(path)) if is_its_own else None


def project_at(projects: Iterable[KnownProject], path: Path) -> KnownProject:
    """The one at `path`, existing or gone; raises UsageError where nothing is kept of it."""
    name = state_name(str(path))
    project = next((one for one in projects if one.directory.name == name), None)
    if project is None:
        raise UsageError(
            f"nothing is remembered of {path}", hint="`uvflow cache list` shows what is"
        )
    return project


def forget(projects: Iterable[KnownProject], command: str) -> ForgetResult:
    """Forget what is kept of `projects`, the backups of `init` as well; raises DiskError."""
    tried = [(project, _forget(project, command)) for project in projects]
    return ForgetResult(
        forgotten=tuple(project for project, reason in tried if not reason),
        kept=tuple((project, reason) for project, reason in tried if reason),
    )


def _forget(project: KnownProject, command: str) -> str:
    """Why nothing was forgotten; empty where it was."""
    state = State(directory=project.directory, root=project.root or project.directory)
    try:
        with locks.mutex(state, command, timeout=0):
            if not project.is_gone and locks.has_leases(state):
                return "a command of `uvflow run` is using it"
            if not project.is_gone and backup.is_unfinished(state):
                return (
                    "an init was cut short there, and `uvflow init` puts back what it had changed"
                )
            state.clear()
    except BusyError:
        return "another uvflow process is using it"
    return ""
