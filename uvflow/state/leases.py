"""Locks of files and directories, and the leases of commands; nothing here waits.

Part of the short path of `uvflow run`, so it imports only what bare Python has loaded, and filelock
on Windows. locks.py has the functions that wait, and says how the locks work together.
"""

import os
import sys
import time

from uvflow.paths import digest

if sys.platform == "win32":
    EXCLUSIVE, SHARED, OPEN, DIRECTORY = 0, 1, os.O_RDWR, os.O_RDONLY  # opening a directory fails
else:
    import fcntl

    EXCLUSIVE, SHARED, OPEN = fcntl.LOCK_EX, fcntl.LOCK_SH, os.O_RDWR | os.O_NOFOLLOW
    DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

MUTEX = "lock"  # ends the name of a file that a mutex locks; never removed
HOLDER = "holder"  # ends the name of a file about the process that took a mutex last
LEASES = "UVFLOW_LEASES"  # the leases of the commands of `uvflow run` that started this process


class Lease:
    """Lasts until every process that has inherited `descriptors` has ended.

    A process that has `variables` in its environment may change what the lease protects.
    """

    def __init__(self, descriptors: tuple[int, ...], variables: dict[str, str]) -> None:
        self.descriptors = descriptors
        self.variables = variables


def environment_digest(environment: str) -> str:
    """The start of the names of an environment's files, the same for every path to it."""
    return f"{digest(os.fsencode(os.path.realpath(environment))):032x}"


def mutex_file(state: str, environment: str | None = None) -> str:
    """The file to lock for an environment, or for the whole project."""
    name = f"{environment_digest(environment)}.{MUTEX}" if environment else MUTEX
    return os.path.join(state, name)


def new_record(command: str, root: str = "") -> bytes:
    """The content of a holder or lease file of this process (see `locks.read_holder`)."""
    return os.fsencode(f"{os.getpid()}\n{int(time.time())}\n{root}\n{command}")


def share(state: str, root: str, environment: str) -> list[int] | None:
    """Descriptors that keep `environment` from being changed; None while a process changes it.

    As `locks.shared_mutex`, which waits. Raises OSError where the state cannot be locked.
    """
    places = (root, mutex_file(state)), (environment, mutex_file(state, environment))
    held: list[int] = []
    is_taken = False
    try:
        is_taken = all(take(directory, file, SHARED, held) for directory, file in places)
    finally:
        if not is_taken:
            close(held)
    return held if is_taken else None


def take(directory: str, file: str, mode: int, held: list[int]) -> bool:
    """Lock a directory and its file in the state; returns whether no other process holds them.

    Adds to `held` what it has locked. Raises OSError where the file cannot be locked.
    """
    if not take_directory(directory, mode, held):
        return False
    if mode == SHARED and not os.access(os.path.dirname(file), os.W_OK):
        return True
    return _hold(file, OPEN | os.O_CREAT, mode, held)


def take_directory(directory: str, mode: int, held: list[int]) -> bool:
    """As `take`, without a file; True as well where the directory cannot be locked."""
    try:
        return _hold(directory, DIRECTORY, mode, held)
    except OSError:
        return True


def try_to_lease(state: str, environment: str, command: str) -> Lease | None:
    """Record that `command` runs in `environment`, while a mutex keeps that from being changed.

    None while another process looks for leases. Raises OSError where neither the state nor the
    environment can be locked.
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
        if not lease:  # else the directory is locked: enough if the state is read-only
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
    """The id of the process that took a lease, from its name; "0" for another name."""
    digits = lease.rpartition(".")[2].partition("-")[0]
    return digits if digits.isdecimal() else "0"


def is_alive(pid: int) -> bool:
    """Whether a process exists; on Windows, where `os.kill` would end it, always true."""
    if sys.platform != "win32":
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:  # another user's
            return True
    return True


def is_locked(path: str | os.PathLike[str], mode: int = EXCLUSIVE) -> bool:
    """Whether a process holds a lock on a directory or a file that excludes `mode`.

    Writes nothing and raises nothing: what does not exist or cannot be locked is not locked.
    """
    held: list[int] = []
    try:
        return not _hold(path, DIRECTORY if os.path.isdir(path) else OPEN, mode, held)
    except OSError:
        return False
    finally:
        close(held)


def close(descriptors: list[int]) -> None:
    """Close `descriptors`, which releases their locks, and empty the list."""
    while descriptors:
        os.close(descriptors.pop())


def _hold(path: str | os.PathLike[str], flags: int, mode: int, held: list[int]) -> bool:
    """Lock `path` and add its descriptor to `held`; False where another process has it locked.

    Raises OSError where it does not exist or cannot be locked.
    """
    descriptor = os.open(path, flags, 0o600)
    is_held = False
    try:
        # A directory may have been replaced meanwhile; a file that is gone was a lease, now void.
        is_held = lock(descriptor, mode) and (flags != DIRECTORY or is_at(path, descriptor))
    finally:
        if is_held:
            held.append(descriptor)
        else:
            os.close(descriptor)
    return is_held


def is_at(path: str | os.PathLike[str], descriptor: int) -> bool:
    """Whether `descriptor` is of the directory that is now at `path`, and not of an earlier one."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def lock(descriptor: int, mode: int) -> bool:
    """Lock an open file or directory; False where another process has it locked."""
    if sys.platform != "win32":  # as filelock does, but shared as well, and without its 45 ms
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
    import filelock

    return filelock.lock_descriptor(descriptor, blocking=False)
