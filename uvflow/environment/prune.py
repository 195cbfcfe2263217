"""Remove what was set aside beside the environments of known projects (`uvflow cache prune`)."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from uvflow.environment.ownership import reason_to_keep, set_aside_beside
from uvflow.errors import BusyError, DiskError, disk_errors
from uvflow.files import directory_size, is_inside, remove_set_aside
from uvflow.state import backup, journal, locks
from uvflow.state.inventory import KnownProject
from uvflow.state.store import State


class SetAside(NamedTuple):
    """An environment that was set aside; `size` in bytes, and why it is kept if it is."""

    path: Path
    size: int
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        reason = {"reason": self.reason} if self.reason else {}
        return {"path": str(self.path), "size": self.size, **reason}


def prune(projects: Iterable[KnownProject]) -> tuple[SetAside, ...]:
    """Remove what was set aside where installers made all of it; raises DiskError.

    What lies outside the project stays as well, and what an interrupted init needs.
    """
    found: list[SetAside] = []
    for state in (State(directory=p.directory, root=p.root) for p in projects if p.root):
        asides, reason = _set_aside(state), "an interrupted init needs it"
        if not asides:
            continue  # the mutex would make it the project that was used last
        try:
            with locks.mutex(state, "uvflow cache prune", timeout=0):
                if not backup.is_unfinished(state):
                    found += (_removed(path, state.root) for path in _set_aside(state))
                    continue
        except BusyError:
            reason = "another uvflow process is using the project"
        found += (SetAside(path, directory_size(path), reason) for path in asides)
    return tuple(found)


def _set_aside(state: State) -> list[Path]:
    places = journal.environments(state)
    with contextlib.suppress(DiskError):  # a damaged backup, which nothing can be put back from
        places.update(directory.path for directory in backup.directories(state))
    return sorted({path for place in places for path, _ in set_aside_beside(place)})


def _removed(path: Path, root: Path) -> SetAside:
    size, reason = directory_size(path), reason_to_keep(path)
    if not is_inside(path, root):
        return SetAside(path, size, f"it is outside {root}")
    if reason:
        return SetAside(path, size, f"it {reason}")
    with disk_errors(path):
        remove_set_aside(path)
    return SetAside(path, size)
