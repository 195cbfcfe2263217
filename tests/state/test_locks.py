import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from uvflow.state import locks
from uvflow.state.locks import ALONE, TOGETHER, directory_holder, is_directory_locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no directory")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell who")

HOLD = """
import sys
from pathlib import Path
from uvflow.state.locks import ALONE, lock_directory
lock_directory(Path(sys.argv[2]), ALONE)
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("first", "second", "is_let_in"),
    [
        (ALONE, ALONE, False),
        (ALONE, TOGETHER, False),
        (TOGETHER, ALONE, False),
        (TOGETHER, TOGETHER, True),
    ],
)
def test_one_is_alone_or_any_number_together(
    tmp_path: Path, first: int, second: int, *, is_let_in: bool
) -> None:
    with ExitStack() as held:
        enter(tmp_path, first, held)
        assert enter(tmp_path, second, held) == is_let_in
        assert is_directory_locked(tmp_path)
    assert not is_directory_locked(tmp_path)


def enter(directory: Path, way: int, held: ExitStack) -> bool:
    descriptor = locks.lock_directory(directory, way)
    if descriptor is None:
        return False
    held.callback(os.close, descriptor)
    return True


def test_locking_leaves_nothing_behind(tmp_path: Path) -> None:
    before = tmp_path.stat()
    with ExitStack() as held:
        enter(tmp_path, ALONE, held)
        assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat() == before


@pytest.mark.parametrize("name", ["gone", "file"])
def test_only_a_directory_can_be_locked(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=name):
        locks.lock_directory(tmp_path / name, ALONE)
    assert not is_directory_locked(tmp_path / name)


def test_nobody_is_told_of_what_is_free(tmp_path: Path) -> None:
    assert directory_holder(tmp_path) is None


@linux_only
def test_the_holder_is_told_as_it_was_called(tmp_path: Path) -> None:
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
    told = directory_holder(tmp_path / "a b")
    process.communicate("\n")
    assert told is not None
    assert (told.pid, told.command) == (process.pid, f"uvflow sync '{tmp_path / 'a b'}'")
    assert 0 <= told.age < 60
