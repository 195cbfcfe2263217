"""`uvflow undo`: put back what the last `init` changed."""

from pathlib import Path

from uvflow.environment.ownership import check_not_running_from
from uvflow.state import backup, locks
from uvflow.state.backup import UndoResult
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress, State, no_progress


def undo(
    root: Path,
    *,
    even_if_edited: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> UndoResult:
    """Put back what the last `init` in `root` changed, or what an interrupted one had changed.

    The environment, too; what is there now is removed if it is as init made it. Raises UsageError
    (2) where there is nothing to undo, or where a file or the environment was changed since, unless
    `even_if_edited`: then the environment that is there now is set aside. DamagedError (5) where
    uvflow runs from it, BusyError (6), DiskError (8).
    """
    state = State.of(root)
    with locks.mutex(state, "uvflow undo", timeout=timeout, progress=progress) as mutex:
        for directory in backup.directories(state):
            if directory.is_replaced:
                check_not_running_from(directory.path)
                mutex.claim(directory.path, make=False)
        return backup.restore_last(state, even_if_edited=even_if_edited, progress=progress)
