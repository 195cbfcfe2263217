"""Which projects uvflow remembers, and forgetting them."""

import contextlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvflow.console import size_text
from uvflow.errors import BusyError, UsageError, disk_errors
from uvflow.files import remove
from uvflow.paths import state_name
from uvflow.state import backup, leases, locks
from uvflow.state.journal import FINGERPRINT, JOURNAL
from uvflow.state.leases import HOLDER, MUTEX
from uvflow.state.locks import read_holder
from uvflow.state.store import BACKUP, ELSEWHERE, State, cache_root, is_tagged, require_private

_STATE_NAME = re.compile(r".*-[0-9a-f]{32}")  # paths.state_name
_OWN_FILES = (MUTEX, BACKUP, "last-profile", f"*{HOLDER}", f"*{JOURNAL}", f"*{FINGERPRINT}")


@dataclass(frozen=True, kw_only=True)
class KnownProject:
    """A project that uvflow remembers something of, in `directory`.

    `root` is None where the file that names it is damaged. `size` is in bytes. `last_used` is when
    uvflow last changed something in `directory`, in seconds since 1970.
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
        """One line for a person: last use (local time), size, name."""
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.last_used))
        suffix = "  (gone)" if self.is_gone else ""
        return f"{day}  {size_text(self.size):>10}  {self.name}{suffix}"

    def as_json(self) -> dict[str, Any]:
        """With `last_used` as in RFC 3339, in UTC."""
        return {
            "root": None if self.root is None else str(self.root),
            "is_gone": self.is_gone,
            "directory": str(self.directory),
            "size": self.size,
            "last_used": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(self.last_used)),
        }


def known_projects() -> tuple[KnownProject, ...]:
    """The projects that uvflow remembers, the most recently used one first; raises DiskError.

    Looks only into a cache that uvflow has tagged, and there at directories with files of uvflow.
    """
    projects = cache_root() / "projects"
    require_private(projects.parent, projects)
    if not is_tagged(projects.parent):
        return ()
    found = []
    for directory in projects.glob("*"):
        is_named = _STATE_NAME.fullmatch(directory.name) and not directory.is_symlink()
        if is_named and any(next(directory.glob(own), None) for own in _OWN_FILES):
            found.append(_known_project(directory))
    return tuple(sorted(filter(None, found), key=lambda one: (-one.last_used, one.name)))


def _known_project(directory: Path) -> KnownProject | None:
    """None where nothing is kept but the mutex, which is never removed."""
    stats = []
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if path.name != MUTEX and (path.is_symlink() or path.is_file()):
                stats.append(path.lstat())
    if not stats:
        return None
    root = None
    for holder in filter(None, map(read_holder, directory.glob(f"*{HOLDER}"))):
        with contextlib.suppress(ValueError):  # of a damaged file: not a path
            if state_name(holder.root) == directory.name:
                root = Path(holder.root)
    return KnownProject(
        directory=directory,
        root=root,
        size=sum(status.st_size for status in stats),
        last_used=max(status.st_mtime for status in stats),
    )


def project_at(projects: Iterable[KnownProject], path: Path) -> KnownProject:
    """The project at `path`, which may be gone; raises UsageError if it is not remembered."""
    name = state_name(str(path))
    project = next((one for one in projects if one.directory.name == name), None)
    if project is None:
        raise UsageError(
            f"nothing is remembered of {path}", hint="`uvflow cache list` shows what is"
        )
    return project


def forget(project: KnownProject) -> str:
    """Remove what is kept of a project, including the backup of `init`; raises DiskError.

    Returns why it is kept instead, or an empty text.
    """
    state = State(directory=project.directory, root=project.root or project.directory)
    try:
        with locks.mutex(state, "uvflow cache", timeout=0):
            if not project.is_gone and leases.running_leases(str(state.directory)):
                return "a command of `uvflow run` is using it"
            if not project.is_gone and backup.is_unfinished(state):
                return "an init was cut short there; `uvflow init` puts back what it had changed"
            for path in state.directory.iterdir():
                if path.name != MUTEX:  # a process may be waiting for it
                    with disk_errors(path, hint=ELSEWHERE):
                        remove(path)
    except BusyError:
        return "another uvflow process is using it"
    return ""
