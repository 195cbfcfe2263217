"""`uvflow undo`: put back what the last `init` changed."""

import os
from dataclasses import dataclass
from pathlib import Path

from uvflow.environment.ownership import check_not_running_from
from uvflow.migrate.plan import relative_name
from uvflow.state import backup, locks
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress, State, no_progress


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """What is as it was before, relative to the root (POSIX); and whole paths of environments.

    `kept` is where one is now that was changed since. Those that are `not_restored` stay as they
    are, since what was there before is not kept any more.
    """

    restored: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()


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
        done = backup.restore_last(state, even_if_edited=even_if_edited, progress=progress)
    restored = tuple(path for path in done.paths if os.path.lexists(path))
    removed = tuple(path for path in done.paths if path not in (*restored, *done.kept))
    return UndoResult(
        restored=tuple(relative_name(path, root) for path in restored),
        removed=tuple(relative_name(path, root) for path in removed),
        kept=tuple(map(str, done.kept.values())),
        not_restored=tuple(map(str, done.lost)),
    )
