"""`uvflow undo`: put back what the last `init` changed."""

import os
from dataclasses import dataclass
from pathlib import Path

from uvflow.state import backup, locks
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress, State, no_progress


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """The paths, relative to the root (POSIX), that are as they were before."""

    restored: tuple[str, ...]
    removed: tuple[str, ...]


def undo(
    root: Path,
    *,
    even_if_edited: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> UndoResult:
    """Put back what the last `init` in `root` changed, or what an interrupted one had changed.

    An environment that init made is removed; one that existed before stays as it is now. Raises
    UsageError (2) where there is nothing to undo or a file was edited since, unless
    `even_if_edited`; BusyError (6), DiskError (8).
    """
    state = State.of(root)
    with locks.mutex(state, "uvflow undo", timeout=timeout, progress=progress):
        paths = backup.restore_last(state, even_if_edited=even_if_edited)
    names = [(path, Path(os.path.relpath(path, root)).as_posix()) for path in paths]
    return UndoResult(
        restored=tuple(name for path, name in names if path.exists()),
        removed=tuple(name for path, name in names if not path.exists()),
    )
