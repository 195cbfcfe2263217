import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from uvflow.errors import BusyError, DiskError
from uvflow.state import locks
from uvflow.state.store import State

HOLD = """
import sys
from pathlib import Path
from uvflow.state import locks
from uvflow.state.store import State
with locks.mutex(State.of(Path(sys.argv[1])), "uvflow sync --prod"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held(tmp_path: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lock until it is killed or told to continue."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_file_is_read_until_it_is_deleted(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    assert state.read("dev.fingerprint") is None
    state.write("dev.fingerprint", b"one")
    state.write("dev.fingerprint", b"two")
    assert state.read("dev.fingerprint") == b"two"
    state.delete("dev.fingerprint")
    state.delete("dev.fingerprint")
    assert state.read("dev.fingerprint") is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_the_state_is_readable_by_its_user_only(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    with locks.mutex(state, "uvflow sync"):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.directory.iterdir()}
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    assert modes == {"lock": 0o600, "holder.json": 0o600}


def test_the_cache_directory_is_tagged_and_explained(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("last-profile", b"dev")
    cache = state.directory.parent.parent
    assert (
        (cache / "CACHEDIR.TAG")
        .read_text()
        .startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    )
    assert "Deleting any of it loses nothing" in (cache / "README").read_text()


def test_waiting_is_reported_with_the_holder(tmp_path: Path, held: "subprocess.Popen[str]") -> None:
    messages: list[str] = []
    with (
        pytest.raises(BusyError) as caught,
        locks.mutex(State.of(tmp_path), "uvflow sync", timeout=0.7, progress=messages.append),
    ):
        pass
    held.communicate("\n")
    [line] = messages
    expected = (
        rf"Waiting for another uvflow process: `uvflow sync --prod` \(pid {held.pid}, for \d s\)"
    )
    assert re.fullmatch(expected, line)
    assert caught.value.exit_code == 6
    assert caught.value.message == f"another uvflow process is using {tmp_path}"


def test_a_killed_holder_frees_the_lock_at_once(
    tmp_path: Path, held: "subprocess.Popen[str]"
) -> None:
    held.kill()
    held.communicate()
    with locks.mutex(State.of(tmp_path), "uvflow sync", timeout=0):
        pass


def test_a_short_wait_is_not_reported(tmp_path: Path, held: "subprocess.Popen[str]") -> None:
    messages: list[str] = []
    assert held.stdin is not None
    held.stdin.write("\n")
    held.stdin.flush()
    with locks.mutex(State.of(tmp_path), "uvflow sync", progress=messages.append):
        pass
    held.communicate()
    assert messages == []


def test_the_holder_is_this_process(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    with locks.mutex(state, "uvflow init"):
        holder = json.loads(state.read("holder.json") or b"")
    assert (holder["pid"], holder["command"]) == (os.getpid(), "uvflow init")


def test_an_unreadable_holder_is_described_as_unknown(
    tmp_path: Path, held: "subprocess.Popen[str]"
) -> None:
    state = State.of(tmp_path)
    state.write("holder.json", b"[1, 2")
    with pytest.raises(BusyError) as caught, locks.mutex(state, "uvflow sync", timeout=0):
        pass
    held.communicate("\n")
    assert caught.value.cause == "unknown process"


def test_a_state_that_cannot_be_created_is_a_disk_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UVFLOW_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DiskError) as caught, locks.mutex(State.of(tmp_path), "uvflow sync"):
        pass
    assert caught.value.exit_code == 8


def test_a_file_that_is_not_durable_is_read_until_it_is_deleted(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("known", b"this", durable=False)
    assert state.read("known") == b"this"
    state.delete("known", durable=False)
    assert state.read("known") is None
    state.delete("known", durable=False)


def test_the_next_lock_removes_interrupted_writes(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("name", b"whole")
    (state.directory / ".name.uvflow-unfinished-x").touch()
    with locks.mutex(state, "uvflow sync"):
        assert state.read("name") == b"whole"
        assert [path.name for path in state.directory.glob("*unfinished*")] == []
