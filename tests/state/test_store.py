import contextlib
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

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")

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


@posix_only
def test_the_state_is_readable_by_its_user_only(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    with locks.mutex(state, "uvflow sync"):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.directory.iterdir()}
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    assert modes == {"lock": 0o600, "holder": 0o600}


@posix_only
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_the_state_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with locks.mutex(State.of(tmp_path), "uvflow sync"):
            State.of(tmp_path).write("last-profile", b"dev")
    finally:
        os.umask(before)
    cache = tmp_path / "uvflow-cache"
    assert {p for p in (cache, *cache.rglob("*")) if p.stat().st_mode & 0o077} == set()


@posix_only
@pytest.mark.parametrize("level", ["uvflow-cache", "uvflow-cache/projects", "project"])
def test_a_level_that_others_may_write_to_is_refused(tmp_path: Path, level: str) -> None:
    directory = made_level(tmp_path, level)
    directory.chmod(0o770)
    error = refusal(tmp_path)
    assert error.exit_code == 8
    assert error.message == f"{directory} cannot hold what uvflow remembers: others may write to it"
    assert error.hint == (
        f"`chmod go-w {directory}` if only you have written there, or set UVFLOW_CACHE_DIR to a "
        "directory that only you can write to"
    )
    directory.chmod(0o755)  # that others may look is harmless: the files in it are private
    State.of(tmp_path).write("last-profile", b"dev")


@posix_only
@pytest.mark.parametrize("level", ["uvflow-cache", "uvflow-cache/projects", "project"])
def test_a_level_that_is_a_link_is_refused(tmp_path: Path, level: str) -> None:
    directory = made_level(tmp_path, level)
    directory.rename(tmp_path / "real")
    directory.symlink_to(tmp_path / "real")
    error = refusal(tmp_path)
    assert error.message == f"{directory} cannot hold what uvflow remembers: it is a link"
    assert error.hint == "set UVFLOW_CACHE_DIR to a directory that only you can write to"


@pytest.mark.skipif("not hasattr(os, 'geteuid') or os.geteuid()", reason="only root can chown")
@pytest.mark.parametrize("level", ["uvflow-cache", "uvflow-cache/projects", "project"])
def test_a_level_of_another_user_is_refused(tmp_path: Path, level: str) -> None:
    os.chown(made_level(tmp_path, level), 65534, -1)
    assert refusal(tmp_path).message.endswith("it belongs to another user")


@posix_only
def test_a_file_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("one", b"1")
    (state.directory / "link").symlink_to("one")
    os.mkfifo(state.directory / "pipe")
    assert (state.read("one"), state.read("link"), state.read("pipe")) == (b"1", None, None)


@posix_only
@pytest.mark.parametrize("name", ["CACHEDIR.TAG", "projects/lock", "projects/file"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    state = State.of(tmp_path)
    link = tmp_path / "uvflow-cache" / name
    if name.startswith("projects/"):
        link = state.directory / link.name
    link.parent.mkdir(mode=0o700, parents=True)
    link.symlink_to(victim)
    with contextlib.suppress(DiskError), locks.mutex(state, "uvflow sync"):
        state.write("file", b"theirs")
    assert victim.read_text() == "mine"


@posix_only
def test_a_link_is_no_lease(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    (tmp_path / "victim").write_text("mine")
    state.make()
    lease = locks.take_lease(state, tmp_path, "uvflow run")
    for descriptor in lease.descriptors:
        os.close(descriptor)
    [path] = state.directory.glob("*.lease.*")
    path.unlink()
    path.symlink_to(tmp_path / "victim")
    assert not locks.is_leased(state, tmp_path)
    assert (tmp_path / "victim").read_text() == "mine"


def made_level(root: Path, level: str) -> Path:
    State.of(root).make()
    return State.of(root).directory if level == "project" else root / level


def refusal(root: Path) -> DiskError:
    with pytest.raises(DiskError) as caught:
        State.of(root)
    return caught.value


def test_the_cache_directory_is_tagged_and_explained(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("last-profile", b"dev")
    cache = state.directory.parent.parent
    assert (
        (cache / "CACHEDIR.TAG")
        .read_text()
        .startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    )
    assert "Deleting any of it loses nothing" in (cache / "CACHEDIR.TAG").read_text()


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
        holder = locks.read_holder(state.directory / "holder")
    assert holder
    assert (holder.pid, holder.command, holder.root) == (os.getpid(), "uvflow init", str(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who")
def test_a_holder_without_a_record_is_described_by_its_process(
    tmp_path: Path, held: "subprocess.Popen[str]"
) -> None:
    state = State.of(tmp_path)
    state.write("holder", b"[1, 2")
    with pytest.raises(BusyError) as caught, locks.mutex(state, "uvflow sync", timeout=0):
        pass
    held.communicate("\n")
    assert f"process {held.pid}," in str(caught.value.cause)


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
