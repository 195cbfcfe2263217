"""Who may change what: the mutexes of projects and environments, and the leases of commands.

One process at a time holds the mutex of an environment, whatever project it works for, and only
while no command runs there. The mutex of a project is held by one process that changes all of it,
or shared by those that change its environments. A process that waits holds none: no deadlock.

A mutex is a locked file in the project's state together with a lock on the directory itself, which
also excludes processes with another state: of another project, of another user, or with another
cache directory. A lease is the same, on the `bin` of an environment. Whoever may read a directory
can lock it (flock(2)): nothing is written, nothing stays behind, and the lock ends with its
process. Windows cannot lock directories, nor can file systems that require a writable file, such as
NFS; there only the file in the state is locked. Windows has no shared locks, either: processes that
change different environments of a project wait for each other there.
"""

import contextlib
import glob
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from uvflow.errors import BusyError, disk_errors
from uvflow.files import remove_unfinished
from uvflow.fingerprint import read_file
from uvflow.state import leases
from uvflow.state.leases import EXCLUSIVE, HOLDER, LEASES, MUTEX, SHARED, Lease, is_alive, is_locked
from uvflow.state.store import ELSEWHERE, OTHER_ENVIRONMENT, Progress, State, no_progress

DEFAULT_TIMEOUT = 300.0  # seconds

_POLL_SECONDS = 0.05  # also the shortest timeout: testing a lock holds it for an instant
_QUIET_SECONDS = 0.5  # a shorter wait is not reported


class _Lock(NamedTuple):
    """What a mutex locks: a directory, and a file in the state."""

    directory: Path
    file: Path

    @property
    def holder(self) -> Path:
        return self.file.with_name(self.file.name.removesuffix(MUTEX) + HOLDER)

    @property
    def holders(self) -> list[Path]:
        """The files about processes that may hold it: several share the mutex of a project."""
        is_shared = self.file.name == MUTEX
        return sorted(self.file.parent.glob(f"*{HOLDER}")) if is_shared else [self.holder]


class _Blocker(NamedTuple):
    """A process that has to end first: what to wait for, the error, and which process it is."""

    awaited: str
    busy: str
    describe: Callable[[], str]


@contextlib.contextmanager
def mutex(
    state: State,
    command: str,
    *,
    environment: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> Iterator["Mutex"]:
    """Hold the mutex of `environment`, while no command runs in it, or of the whole project.

    `progress` is called within a second if another process has to end first. Raises BusyError
    after `timeout` seconds (negative: never), and DiskError where the state cannot be locked.
    """
    state.make()
    lock = _lock_of(state, environment)
    with contextlib.closing(Mutex(state, timeout=timeout, progress=progress)) as held:
        if environment is None:
            held.take((lock, EXCLUSIVE))
            remove_unfinished(state.directory)  # nobody else is writing there
        else:
            held.take((_lock_of(state), SHARED), (lock, EXCLUSIVE), unleased=environment)
        record = leases.new_record(command, str(state.root))
        state.write(lock.holder.name, record, durable=False)
        yield held


@contextlib.contextmanager
def shared_mutex(
    state: State,
    environment: Path,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> Iterator[None]:
    """Keep `environment` from being changed; any number of processes may do that at once.

    Where the state cannot be written, only the directories are locked. Raises BusyError, DiskError.
    """
    with contextlib.closing(Mutex(state, timeout=timeout, progress=progress)) as held:
        held.take((_lock_of(state), SHARED), (_lock_of(state, environment), SHARED))
        yield


def _lock_of(state: State, environment: Path | None = None) -> _Lock:
    place = os.path.realpath(environment) if environment else None
    return _Lock(Path(place or state.root), Path(leases.mutex_file(str(state.directory), place)))


class Mutex:
    """The locks that this process holds until it closes them."""

    def __init__(self, state: State, *, timeout: float, progress: Progress) -> None:
        self._state = state
        self._timeout = timeout
        self._progress = progress
        self._descriptors: list[int] = []
        self._made: list[tuple[Path, os.stat_result]] = []

    def take(self, *wanted: tuple[_Lock, int], unleased: Path | None = None) -> None:
        """Wait, holding nothing, until all are free and no command runs in `unleased`."""

        def blocker() -> _Blocker | None:
            for lock, mode in wanted:
                directory, file = str(lock.directory), str(lock.file)
                with disk_errors(file, hint=ELSEWHERE):
                    is_taken = leases.take(directory, file, mode, self._descriptors)
                if not is_taken:
                    self.close()
                    return _other_process(lock.directory, lock.file, holders=lock.holders)
            found = _lease_blocker(self._state, unleased) if unleased else None
            if found:
                self.close()
            return found

        _wait(blocker, self._timeout, self._progress)

    def claim(self, environment: Path, *, make: bool = True) -> bool:
        """Lock the directory that is now at `environment`; returns whether it was not locked yet.

        With `make` it is created if it does not exist, so that there is something to lock: uv fills
        an empty directory. Waits for processes with another state, and until no command runs there.
        Raises BusyError, and DiskError where it cannot be created.
        """
        directory, held = Path(os.path.realpath(environment)), self._descriptors
        before = len(held)

        def blocker() -> _Blocker | None:
            made = None
            with disk_errors(directory, hint=OTHER_ENVIRONMENT):
                if make and not os.path.lexists(directory):
                    directory.mkdir(parents=True, exist_ok=True)
                    made = directory.stat()
            is_ours = any(leases.is_at(directory, descriptor) for descriptor in held)
            if not is_ours and not leases.take_directory(str(directory), EXCLUSIVE, held):
                return _other_process(directory)
            if made:
                self._made.append((directory, made))
            return _lease_blocker(self._state, environment)

        _wait(blocker, self._timeout, self._progress)
        return len(self._descriptors) > before

    def close(self) -> None:
        for path, made in self._made:
            with contextlib.suppress(OSError):  # most often since uv has filled it
                if os.path.samestat(path.stat(), made):
                    path.rmdir()
        leases.close(self._descriptors)


def is_mutex_held(state: State, environment: Path) -> bool:
    """Whether a process is changing the environment, or all of the project; writes nothing."""
    locks = (_lock_of(state), _lock_of(state, environment))
    places = (place for lock in locks for place in (lock.directory, lock.file))
    return any(is_locked(place, SHARED) for place in places)


def take_lease(
    state: State,
    environment: Path,
    command: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> Lease:
    """Record that `command` runs in `environment`, while a mutex keeps that from being changed.

    Raises BusyError, and DiskError where neither the state nor the environment can be locked.
    """
    scripts = environment / "bin"
    taken: list[Lease] = []

    def blocker() -> _Blocker | None:
        with disk_errors(state.directory, hint=ELSEWHERE):
            lease = leases.try_to_lease(str(state.directory), str(environment), command)
        if lease is None:
            return _other_process(scripts)
        taken.append(lease)
        return None

    _wait(blocker, timeout, progress)
    return taken[0]


def is_leased(state: State, environment: Path) -> bool:
    """Whether a command runs in `environment`, other than those that started this process."""
    return _lease_blocker(state, environment) is not None


def _lease_blocker(state: State, environment: Path) -> _Blocker | None:
    place, scripts = str(environment), environment / "bin"
    inherited = os.environ.get(LEASES, "").split()
    own = [name for name in inherited if name.startswith(leases.environment_digest(place))]
    running = map(Path, leases.running_leases(str(state.directory), place))
    others = [path for path in running if path.name not in own]
    if others:
        describe = partial(describe_lease, others[0])
    # Only Linux lists who has locked a directory; elsewhere that may always be our own parent.
    elif is_locked(scripts) and not (own and takers(scripts) <= set(map(leases.taker, own))):
        describe = partial(describe_holder, [scripts])
    else:
        return None
    return _Blocker("a command to end", f"a command is running in {environment}", describe)


def _other_process(directory: Path, *files: Path, holders: Iterable[Path] = ()) -> _Blocker:
    return _Blocker(
        "another uvflow process",
        f"another uvflow process is using {directory}",
        partial(describe_holder, (directory, *files), holders),
    )


def _wait(blocker: Callable[[], _Blocker | None], timeout: float, progress: Progress) -> None:
    started = time.monotonic()
    announced = set()
    while found := blocker():
        waited = time.monotonic() - started
        if found.awaited not in announced and waited >= _QUIET_SECONDS:
            progress(f"Waiting for {found.awaited}: {found.describe()}")
            announced.add(found.awaited)
        if timeout >= 0 and waited >= max(timeout, _POLL_SECONDS):
            raise BusyError(
                found.busy,
                cause=found.describe(),
                hint="try again when it is done, or wait longer with `--timeout SECONDS`",
            )
        time.sleep(_POLL_SECONDS)


class Holder(NamedTuple):
    """A process that has taken a lock; `since` is in seconds since 1970."""

    command: str
    pid: int
    since: int
    root: str

    def __str__(self) -> str:
        age = max(0, int(time.time()) - self.since)
        return f"`{self.command}` (pid {self.pid}, for {age} s)"


def read_holder(path: Path) -> Holder | None:
    """The process that wrote `path` by `leases.new_record`; None where that cannot be read."""
    try:
        record = os.fsdecode(read_file(str(path), is_own=True))
        pid, since, root, command = record.split("\n", 3)
        return Holder(command, int(pid), int(since), root)
    except (OSError, ValueError):
        return None


def describe_holder(places: Iterable[Path], holders: Iterable[Path] = ()) -> str:
    """A process that has locked one of `places`, as one of the files `holders` describes it."""
    pids = set().union(*map(takers, places))
    for holder in filter(None, map(read_holder, holders)):
        if is_alive(holder.pid) and (str(holder.pid) in pids or not pids):
            return str(holder)
    living = sorted(pid for pid in pids if is_alive(int(pid)))
    process = f"process {living[0]}," if living else "a process"
    return f"{process} of another user, or with a different UVFLOW_CACHE_DIR"


def describe_lease(lease: Path) -> str:
    """The command that has taken a lease; it may have ended and left a child that holds it."""
    holder = read_holder(lease)
    if holder is None:
        return "a command of `uvflow run`"
    if is_alive(holder.pid):
        return str(holder)
    pid = next(_inheritors(lease), None)
    return f"{f'process {pid}' if pid else 'a process'}, started by `{holder.command}`"


def _inheritors(lease: Path) -> Iterator[str]:
    """The ids of the processes that hold a lease, as far as this user may see; on Linux only.

    They inherited it from the process that locked it, and /proc/locks names only that. So look for
    it among the descriptors of every process, see proc_pid_fdinfo(5).
    """
    place = os.path.realpath(lease)
    for name in glob.iglob("/proc/[0-9]*/fd/*"):  # noqa: PTH207 (it passes over ended processes)
        descriptor, process = Path(name), Path(name).parents[1]
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) == place:
                information = process / "fdinfo" / descriptor.name
                if "FLOCK" in information.read_text(encoding="utf-8"):
                    yield process.name


def takers(place: Path) -> set[str]:
    """The ids of the processes that took a lock on `place`, living or not; on Linux only.

    proc_locks(5) has lines such as `1: FLOCK  ADVISORY  WRITE 2012 08:03:1234 0 EOF`, with the id
    of the process, and the device and inode of the file.
    """
    if sys.platform != "linux":
        return set()
    try:
        status = place.stat()
        locks = Path("/proc/locks").read_text(encoding="utf-8")
    except OSError:
        return set()
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return set(re.findall(rf"(?m)^\d+: FLOCK +\w+ +\w+ +(\d+) {file} ", locks))
