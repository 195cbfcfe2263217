from pathlib import Path

import pytest

from uvflow.errors import BusyError, UsageError
from uvflow.migrate.undo import undo
from uvflow.state import backup, locks
from uvflow.state.backup import DirectoryBackup, UndoResult
from uvflow.state.store import State


def change(root: Path) -> None:
    """What an init does: edits a file, creates one, leaves two as they are, a new .venv."""
    root.joinpath("edited").write_bytes(b"old")
    root.joinpath("unchanged").write_bytes(b"old")
    state = State.of(root)
    files = tuple(root / name for name in ("edited", "unchanged", "created", "never there"))
    trees = (DirectoryBackup.of(root / ".venv"),)
    with (
        locks.mutex(state, "a test"),
        backup.restored_on_failure(state, files=files, trees=trees) as by,
    ):
        by.set_aside_trees()
        by.write(root / "edited", b"new")
        by.write(root / "created", b"")
        (root / ".venv").mkdir()


def test_undo_tells_what_it_restored_and_removed(tmp_path: Path) -> None:
    change(tmp_path)
    removed = (tmp_path / "created", tmp_path / ".venv")
    assert undo(tmp_path) == UndoResult(restored=(tmp_path / "edited",), removed=removed)
    assert (tmp_path / "edited").read_bytes() == b"old"


def test_there_is_one_undo(tmp_path: Path) -> None:
    change(tmp_path)
    undo(tmp_path)
    with pytest.raises(UsageError):
        undo(tmp_path)


def test_undo_waits_for_another_uvflow(tmp_path: Path) -> None:
    with locks.mutex(State.of(tmp_path), "a test"), pytest.raises(BusyError):
        undo(tmp_path, timeout=0)
