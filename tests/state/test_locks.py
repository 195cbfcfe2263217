import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from uvflow.state import locks
from uvflow.state.locks import EXCLUSIVE, SHARED, is_directory_locked, leases
from uvflow.state.store import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no directory")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who")

HOLD = """
import sys
from pathlib import Path
from uvflow.state.locks import EXCLUSIVE, lock_directory
lock_directory(Path(sys.argv[2]), EXCLUSIVE)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("first", "second", "is_granted"),
    [
        (EXCLUSIVE, EXCLUSIVE, False),
        (EXCLUSIVE, SHARED, False),
        (SHARED, EXCLUSIVE, False),
        (SHARED, SHARED, True),
    ],
)
def test_one_process_holds_it_exclusively_or_several_share_it(
    tmp_path: Path, first: int, second: int, *, is_granted: bool
) -> None:
    with ExitStack() as held:
        hold(tmp_path, first, held)
        assert hold(tmp_path, second, held) == is_granted
        assert is_directory_locked(tmp_path)
    assert not is_directory_locked(tmp_path)


def hold(directory: Path, mode: int, held: ExitStack) -> bool:
    descriptor = locks.lock_directory(directory, mode)
    if descriptor is None:
        return False
    held.callback(os.close, descriptor)
    return True


def test_locking_changes_nothing_on_disk(tmp_path: Path) -> None:
    before = tmp_path.stat()
    with ExitStack() as held:
        hold(tmp_path, EXCLUSIVE, held)
        assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat() == before


@pytest.mark.parametrize("name", ["gone", "file"])
def test_only_a_directory_can_be_locked(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=name):
        locks.lock_directory(tmp_path / name, EXCLUSIVE)
    assert not is_directory_locked(tmp_path / name)


def test_a_free_directory_has_no_holder(tmp_path: Path) -> None:
    assert leases(State.of(tmp_path / "project"), tmp_path) == ()


@linux_only
def test_the_holder_is_described_as_it_was_called(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "uvflow").write_text(HOLD)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "uvflow", "sync", tmp_path / "a b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    [holder] = leases(State.of(tmp_path / "project"), tmp_path / "a b")
    process.communicate("\n")
    description = re.escape(f"`uvflow sync '{tmp_path / 'a b'}'` (pid {process.pid}, for ")
    assert re.fullmatch(rf"{description}[0-5]?\d s\)", holder)
