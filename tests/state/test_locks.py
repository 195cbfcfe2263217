import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from uvflow.errors import BusyError, DiskError
from uvflow.state import leases, locks
from uvflow.state.leases import EXCLUSIVE, SHARED, Lease, is_locked
from uvflow.state.locks import is_leased, is_mutex_held
from uvflow.state.store import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no directory")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who")

HOLD = """
import sys
from uvflow.state.leases import EXCLUSIVE, take_directory
take_directory(sys.argv[1], EXCLUSIVE, [])
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
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def hold(directory: Path, mode: int, held: ExitStack) -> bool:
    descriptors: list[int] = []
    held.callback(leases.close, descriptors)
    return leases.take_directory(str(directory), mode, descriptors)


def test_locking_changes_nothing_on_disk(tmp_path: Path) -> None:
    def changed() -> tuple[int, int]:
        status = tmp_path.stat()
        return status.st_mtime_ns, status.st_ctime_ns

    before = changed()
    with ExitStack() as held:
        hold(tmp_path, EXCLUSIVE, held)
        assert list(tmp_path.iterdir()) == []
    assert changed() == before


@pytest.mark.parametrize("name", ["gone", "file"])
def test_only_a_directory_can_be_locked(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    held: list[int] = []
    assert leases.take_directory(str(tmp_path / name), EXCLUSIVE, held)  # nobody has it locked
    assert held == []
    assert not is_locked(tmp_path / name)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "shop" / ".venv" / "bin").mkdir(parents=True)
    return tmp_path / "shop" / ".venv"


@pytest.fixture
def state(environment: Path) -> State:
    return State.of(environment.parent)


@pytest.fixture
def other(tmp_path: Path) -> State:
    """The state of another project."""
    (tmp_path / "other").mkdir()
    return State.of(tmp_path / "other")


def is_free(state: State, environment: Path | None) -> bool:
    """Whether the mutex of an environment, or of the whole project, can be taken."""
    try:
        with locks.mutex(state, "uvflow sync", environment=environment, timeout=0):
            return True
    except BusyError:
        return False


def test_environments_of_one_project_do_not_exclude_each_other(
    state: State, environment: Path
) -> None:
    with locks.mutex(state, "uvflow sync", environment=environment):
        assert is_free(state, environment.with_name(".venv-prod"))
        assert not is_free(state, environment)


def test_a_project_as_a_whole_excludes_its_environments(state: State, environment: Path) -> None:
    with locks.mutex(state, "uvflow init"):
        assert not is_free(state, environment)
        assert not is_free(state, None)
    with locks.mutex(state, "uvflow sync", environment=environment):
        assert not is_free(state, None)


def test_projects_that_share_an_environment_exclude_each_other(
    state: State, other: State, environment: Path
) -> None:
    link = environment.with_name("link")
    link.symlink_to(environment)
    with locks.mutex(state, "uvflow sync", environment=environment):
        assert not is_free(other, environment)
        assert not is_free(other, link)
        assert is_free(other, environment.with_name(".venv-prod"))


def test_projects_that_create_an_environment_exclude_each_other(
    state: State, other: State, tmp_path: Path
) -> None:
    shared = tmp_path / "environments" / "shared"
    with (
        locks.mutex(state, "uvflow sync", environment=shared) as mutex,
        locks.mutex(other, "uvflow sync", environment=shared, timeout=0) as late,
    ):
        assert mutex.claim(shared)
        assert not mutex.claim(shared)
        with pytest.raises(BusyError, match=str(shared)):
            late.claim(shared)
    assert not shared.exists()


def test_a_directory_that_was_filled_stays(state: State, tmp_path: Path) -> None:
    with locks.mutex(state, "uvflow sync", environment=tmp_path / "new") as mutex:
        mutex.claim(tmp_path / "new")
        (tmp_path / "new" / "pyvenv.cfg").touch()
    assert (tmp_path / "new" / "pyvenv.cfg").exists()


def test_an_empty_directory_of_the_users_stays(state: State, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with locks.mutex(state, "uvflow sync", environment=tmp_path / "empty") as mutex:
        mutex.claim(tmp_path / "empty")
    assert (tmp_path / "empty").is_dir()


def test_an_environment_that_was_replaced_is_claimed_again(
    state: State, other: State, environment: Path
) -> None:
    with locks.mutex(state, "uvflow sync", environment=environment) as mutex:
        environment.rename(environment.with_name("aside"))
        assert mutex.claim(environment)
        assert not is_free(other, environment)


def test_an_environment_that_cannot_be_created_is_named(state: State, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        locks.mutex(state, "uvflow sync", environment=tmp_path / "file" / "new") as mutex,
        pytest.raises(DiskError) as caught,
    ):
        mutex.claim(tmp_path / "file" / "new")
    assert caught.value.message == f"{tmp_path / 'file' / 'new'} cannot be written"
    assert "UV_PROJECT_ENVIRONMENT" in str(caught.value.hint)


def test_any_number_share_what_nobody_changes(
    state: State, other: State, environment: Path
) -> None:
    with locks.shared_mutex(state, environment), locks.shared_mutex(other, environment, timeout=0):
        assert not is_free(state, environment)
        assert not is_free(other, environment)
    with (
        locks.mutex(state, "uvflow sync", environment=environment),
        pytest.raises(BusyError),
        locks.shared_mutex(other, environment, timeout=0),
    ):
        pass


def test_sharing_writes_nothing_where_there_is_no_state(state: State, environment: Path) -> None:
    with locks.shared_mutex(state, environment):
        assert not state.directory.exists()


@pytest.fixture
def lease(state: State, environment: Path) -> Iterator[Lease]:
    state.make()
    lease = locks.take_lease(state, environment, "uvflow run server")
    yield lease
    for descriptor in lease.descriptors:
        os.close(descriptor)


@pytest.mark.usefixtures("lease")
def test_a_command_keeps_all_projects_from_its_environment(
    state: State, other: State, environment: Path
) -> None:
    assert is_leased(state, environment)
    assert not is_free(state, environment)
    assert not is_free(other, environment)
    assert is_free(state, environment.with_name(".venv-prod"))


def test_a_child_of_a_command_may_change_its_environment(
    state: State, other: State, environment: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lease.variables.items():
        monkeypatch.setenv(name, value)
    assert is_free(state, environment)
    assert is_free(other, environment)


def test_a_child_of_a_command_waits_for_other_commands(
    state: State, environment: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = locks.take_lease(state, environment, "uvflow run worker")
    monkeypatch.setenv("UVFLOW_LEASES", lease.variables["UVFLOW_LEASES"])
    assert not is_free(state, environment)
    monkeypatch.setenv("UVFLOW_LEASES", another.variables["UVFLOW_LEASES"])
    assert not is_free(state, environment)
    for descriptor in another.descriptors:
        os.close(descriptor)


def test_a_child_of_a_child_is_one_of_both(
    state: State, environment: Path, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UVFLOW_LEASES", lease.variables["UVFLOW_LEASES"])
    inner = locks.take_lease(state, environment, "uvflow run worker")
    monkeypatch.setenv("UVFLOW_LEASES", inner.variables["UVFLOW_LEASES"])
    assert is_free(state, environment)
    for descriptor in inner.descriptors:
        os.close(descriptor)


def test_a_lease_needs_no_state_that_can_be_written(
    environment: Path, other: State, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    nowhere = State(directory=tmp_path / "file" / "state", root=environment.parent)
    lease = locks.take_lease(nowhere, environment, "uvflow run server")
    assert not is_free(other, environment)
    for descriptor in lease.descriptors:
        os.close(descriptor)
    assert is_free(other, environment)


def test_a_mutex_is_held_while_it_is_exclusive(
    state: State, other: State, environment: Path
) -> None:
    with locks.shared_mutex(state, environment):
        assert not is_mutex_held(state, environment)
    for holder, place in ((state, environment), (other, environment), (state, None)):
        with locks.mutex(holder, "uvflow sync", environment=place):
            assert is_mutex_held(state, environment)


@linux_only
def test_a_holder_with_another_state_is_described_by_its_pid(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    description = locks.describe_holder([tmp_path])
    process.communicate("\n")
    of = "of another user, or with a different UVFLOW_CACHE_DIR"
    assert description == f"process {process.pid}, {of}"
    assert locks.describe_holder([tmp_path]) == f"a process {of}"
