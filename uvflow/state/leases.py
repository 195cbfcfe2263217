"""Locks of files and directories, and the leases of commands, where nobody has to be waited for.

Part of the short path of `uvflow run`, so it imports what bare Python has loaded, and filelock on
Windows. What waits is in locks.py, which also says how the locks work together.
"""

import os
import sys
import time

from uvflow.paths import digest

if sys.platform == "win32":
    EXCLUSIVE, SHARED, OPEN, DIRECTORY = 0, 1, os.O_RDWR, os.O_RDONLY  # which opens none there
else:
    import fcntl

    EXCLUSIVE, SHARED, OPEN = fcntl.LOCK_EX, fcntl.LOCK_SH, os.O_RDWR | os.O_NOFOLLOW
    DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

MUTEX = "lock"  # ends the name of a file that a mutex locks; never removed
HOLDER = "holder"  # ends that of a file that says who holds a mutex, or held it last
LEASES = "UVFLOW_LEASES"  # the leases of the commands of `uvflow run` that started this process


class Lease:
    """It lasts until every process that has inherited the descriptors has ended.

    With `variables` in its environment a process may change what the lease protects.
    """

    def __init__(self, descriptors: tuple[int, ...], variables: dict[str, str]) -> None:
        self.descriptors = descriptors
        self.variables = variables


def environment_digest(environment: str) -> str:
    """What the names of the files of an environment begin with, whatever path leads there."""
    return f"{digest(os.fsencode(os.path.realpath(environment))):032x}"


def mutex_file(state: str, environment: str | None = None) -> str:
    """The file that is locked with an environment, or with the whole project."""
    name = f"{environment_digest(environment)}.{MUTEX}" if environment else MUTEX
    return os.path.join(state, name)


def new_record(command: str, root: str = "") -> bytes:
    """What the state keeps of this process, once that has taken a lock."""
    return os.fsencode(f"{os.getpid()}\n{int(time.time())}\n{root}\n{command}")


def share(state: str, root: str, environment: str) -> list[int] | None:
    """Descriptors that keep `environment` from being changed; None where a process changes it.

    As `locks.shared_mutex`, which waits. Raises OSError where the state cannot be locked.
    """
    places = (root, mutex_file(state)), (environment, mutex_file(state, environment))
    held: list[int] = []
    try:
        if all(take(directory, file, SHARED, held) for directory, file in places):
            held, taken = [], held
            return taken
    finally:
        close(held)
    return None


def take(directory: str, file: str, mode: int, held: list[int]) -> bool:
    """Lock a directory and its file in the state; returns whether no process has them locked.

    What could be locked is added to `held`. Raises OSError where the file cannot be.
    """
    if not take_directory(directory, mode, held):
        return False
    if mode == SHARED and not os.access(os.path.dirname(file), os.W_OK):
        return True
    return _hold(file, OPEN | os.O_CREAT, mode, held)


def take_directory(directory: str, mode: int, held: list[int]) -> bool:
    """As `take`, without a file: where the directory cannot be locked, nothing is added."""
    try:
        return _hold(directory, DIRECTORY, mode, held)
    except OSError:  # it cannot be locked, or does not exist
        return True


def try_to_lease(state: str, environment: str, command: str) -> Lease | None:
    """Record that `command` runs in `environment`, while a mutex keeps that from being changed.

    None where a process looks just now whether there is a lease. Raises OSError where neither the
    state nor the environment can be locked.
    """
    running_leases(state, environment)  # removes those of ended commands
    name = f"{environment_digest(environment)}.lease.{os.getpid()}-{time.time_ns()}"
    lease: list[int] = []
    if not take_directory(os.path.join(environment, "bin"), SHARED, lease):
        return None
    try:
        descriptor = os.open(os.path.join(state, name), OPEN | os.O_CREAT | os.O_EXCL, 0o600)
        lock(descriptor, EXCLUSIVE)
        lease.append(descriptor)
        os.write(descriptor, new_record(command))
    except OSError:
        if not lease:  # else the directory is locked, which has to do in a place that is read-only
            raise
    for descriptor in lease:
        os.set_inheritable(descriptor, True)
    leases = f"{os.environ.get(LEASES, '')} {name}".strip()
    return Lease(tuple(lease), {LEASES: leases})


def running_leases(state: str, environment: str | None = None) -> list[str]:
    """The files of the leases of commands that have not ended; removes the others."""
    beginning = f"{environment_digest(environment) if environment else ''}.lease."
    try:
        names = sorted(name for name in os.listdir(state) if beginning in name)
    except OSError:
        return []
    running = []
    for path in (os.path.join(state, name) for name in names):
        if is_locked(path):
            running.append(path)
        # A process that is alive may be about to lock it; Windows lets no two in at once.
        elif sys.platform == "win32" or not is_alive(int(taker(path))):
            try:
                os.unlink(path)
            except OSError:
                pass
    return running


def taker(lease: str) -> str:
    """The process that took it, from its name."""
    digits = lease.rpartition(".")[2].partition("-")[0]
    return digits if digits.isdecimal() else "0"


def is_alive(pid: int) -> bool:
    """True on Windows, where `os.kill` would end it, and a lock ends with its first process."""
    if sys.platform != "win32":
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:  # another user's
            return True
    return True


def is_locked(path: str | os.PathLike[str], mode: int = EXCLUSIVE) -> bool:
    """Whether a process holds a lock that excludes `mode` on a directory or a file.

    Writes nothing and raises nothing.
    """
    held: list[int] = []
    try:
        return not _hold(path, DIRECTORY if os.path.isdir(path) else OPEN, mode, held)
    except OSError:  # it does not exist, or cannot be locked, or not by who may only read it
        return False
    finally:
        close(held)


def close(descriptors: list[int]) -> None:
    """Release the locks that they hold."""
    while descriptors:
        os.close(descriptors.pop())


def _hold(path: str | os.PathLike[str], flags: int, mode: int, held: list[int]) -> bool:
    """Lock what is at `path`, and add it to `held`; False where another process has it locked.

    Raises OSError where that does not exist, or cannot be locked.
    """
    descriptors = [os.open(path, flags, 0o600)]
    try:
        is_held = lock(descriptors[0], mode)
        # A directory may have been replaced meanwhile; a file that is gone was a lease, now void.
        is_held = is_held and (flags != DIRECTORY or is_at(path, descriptors[0]))
        if is_held:
            held.append(descriptors.pop())
        return is_held
    finally:
        close(descriptors)


def is_at(path: str | os.PathLike[str], descriptor: int) -> bool:
    """Whether `descriptor` is of the directory that is there now: it may have been replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def lock(descriptor: int, mode: int) -> bool:
    """Lock an open file; returns whether no other process has it locked."""
    if sys.platform != "win32":  # as filelock does, but shared as well, and without its 45 ms
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
    import filelock

    return filelock.lock_descriptor(descriptor, blocking=False)
