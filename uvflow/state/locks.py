"""Who may change a project: the mutex that one process holds, and the leases of running commands.

The mutex is a locked file in the project's state together with a lock on the project's root
directory, which also excludes processes with another state: those of another user, or with another
cache directory. A lease is the same for an environment. Whoever may read a directory can lock it
(flock(2)): nothing is written, nothing stays behind, and the lock ends with its process. Windows
cannot lock directories, nor can file systems that require a writable file, such as NFS; there only
the file in the state is locked.
"""

import contextlib
import errno
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from uvflow.errors import BusyError, DiskError, unwritable
from uvflow.files import remove_unfinished
from uvflow.paths import digest
from uvflow.state.store import MUTEX, Progress, State, no_progress

if TYPE_CHECKING:
    import filelock

_OPEN_OWN = os.O_RDWR  # to open a file of the state, which is never a link
if sys.platform == "win32":
    EXCLUSIVE = SHARED = 0
else:
    import fcntl

    EXCLUSIVE, SHARED = fcntl.LOCK_EX, fcntl.LOCK_SH
    _OPEN_OWN |= os.O_NOFOLLOW

DEFAULT_TIMEOUT = 300.0  # seconds

HOLDER = "holder.json"  # who holds the mutex, or held it last

_POLL_SECONDS = 0.05  # also the shortest timeout: testing a lock holds it for an instant
_QUIET_SECONDS = 0.5  # a shorter wait is not reported


@contextlib.contextmanager
def mutex(
    state: State,
    command: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> Iterator[None]:
    """Hold the project's mutex: one process at a time changes the project or its environments.

    `progress` is called once, within a second, where another process holds it. Raises BusyError
    after `timeout` seconds (negative: never) and DiskError where the state cannot be locked.
    """
    import filelock  # 45 ms, and nothing that only reads needs the mutex

    state.make()
    lock = filelock.FileLock(
        state.directory / MUTEX, mode=0o600, fallback_to_soft=False, preserve_lock_file=True
    )
    with contextlib.ExitStack() as held:

        def blocker() -> str | None:
            if _is_taken(lock, state.root, held):
                return None
            if _is_locked_in_state(state):
                return _describe(state.read(HOLDER))
            return _describe_outsider(state.root)

        _wait("another uvflow process", blocker, state.root, _QUIET_SECONDS, timeout, progress)
        remove_unfinished(state.directory)
        state.write(HOLDER, _holder(command, state.root), durable=False)
        yield


def _is_taken(lock: "filelock.BaseFileLock", root: Path, held: contextlib.ExitStack) -> bool:
    """Take the lock in the state and the one on the root, or neither."""
    import filelock

    with contextlib.ExitStack() as taken:
        with contextlib.suppress(OSError):  # directories cannot be locked: the file has to do
            descriptor = lock_directory(root, EXCLUSIVE)
            if descriptor is None:
                return False
            taken.callback(os.close, descriptor)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            raise DiskError(f"{lock.lock_file} cannot be locked", cause=str(error)) from error
        taken.callback(lock.release)
        held.enter_context(taken.pop_all())
    return True


def is_mutex_held(state: State) -> bool:
    """Whether a uvflow process is changing the project; writes nothing."""
    return _is_locked_in_state(state) or is_directory_locked(state.root)


def _is_locked_in_state(state: State) -> bool:
    try:
        return _is_locked(state.directory / MUTEX)
    except OSError:  # a state that may be read, but not written
        return False


def take_lease(state: State, environment: Path, command: str) -> tuple[int, ...]:
    """Record that `command` runs in `environment`, while holding the mutex.

    Returns the file descriptors of the lease, which lasts until every process that has inherited
    them has ended. Raises DiskError.
    """
    leases(state, environment)  # removes leases of ended commands
    path = state.directory / f"{_lease_prefix(environment)}{os.getpid()}"
    try:
        descriptor = os.open(path, _OPEN_OWN | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, _holder(command, state.root))
        _try_to_lock(descriptor)
    except OSError as error:
        raise unwritable(str(path), error) from error
    lease = [descriptor]
    with contextlib.suppress(OSError):  # directories cannot be locked
        of_directory = lock_directory(environment, SHARED)
        lease += [] if of_directory is None else [of_directory]
    for part in lease:
        os.set_inheritable(part, True)
    return tuple(lease)


def leases(state: State, environment: Path) -> tuple[str, ...]:
    """Descriptions of the commands that run in `environment`; removes leases of ended ones."""
    files = sorted(state.directory.glob(f"{_lease_prefix(environment)}*"))
    ours = tuple(_describe(state.read(path.name)) for path in files if _is_leased(path))
    # Where the environment is the root itself, its lock is our own mutex.
    is_root = os.path.realpath(environment) == os.path.realpath(state.root)
    if ours or is_root or not is_directory_locked(environment):
        return ours
    return (_describe_outsider(environment),)


def await_leases(state: State, environment: Path, *, timeout: float, progress: Progress) -> None:
    """Wait until no command runs in `environment`, while holding the mutex.

    Raises BusyError after `timeout` seconds (negative: never).
    """
    _wait(
        "a command to end",
        lambda: next(iter(leases(state, environment)), None),
        state.root,
        0,
        timeout,
        progress,
    )


def has_leases(state: State) -> bool:
    """Whether a command runs in any of the project's environments."""
    return any(_is_leased(path) for path in state.directory.glob("*.lease.*"))


def _wait(  # noqa: PLR0913, PLR0917  one loop for the mutex and for leases
    awaited: str,
    blocker: Callable[[], str | None],
    root: Path,
    quiet_seconds: float,
    timeout: float,
    progress: Progress,
) -> None:
    started = time.monotonic()
    is_announced = False
    while description := blocker():
        waited = time.monotonic() - started
        if not is_announced and waited >= quiet_seconds:
            progress(f"Waiting for {awaited}: {description}")
            is_announced = True
        if timeout >= 0 and waited >= max(timeout, _POLL_SECONDS):
            raise BusyError(
                f"another uvflow process is using {root}",
                cause=description,
                hint="try again when it is done, or wait longer with `--timeout SECONDS`",
            )
        time.sleep(_POLL_SECONDS)


def _lease_prefix(environment: Path) -> str:
    return f"{digest(os.fsencode(os.path.realpath(environment))):032x}.lease."


def _is_leased(path: Path) -> bool:
    """Whether a process still holds the lease; removes its file if not."""
    held = _is_locked(path)
    if not held:
        path.unlink(missing_ok=True)
    return held


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, _OPEN_OWN)
    except FileNotFoundError:
        return False
    try:
        return not _try_to_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor: int) -> bool:
    import filelock  # as above

    return filelock.lock_descriptor(descriptor, blocking=False)


def _holder(command: str, root: Path) -> bytes:
    holder = {"pid": os.getpid(), "command": command, "since": time.time(), "root": str(root)}
    return json.dumps(holder).encode()


def _describe(holder: bytes | None) -> str:
    try:
        known = json.loads(holder or b"")
        return _description(known["command"], known["pid"], time.time() - known["since"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "unknown process"


def _describe_outsider(directory: Path) -> str:
    """Who has locked `directory` without being described in our state; known on Linux only."""
    if sys.platform == "linux":
        for pid in _pids(directory):
            # The process may have ended by now, or be another user's and /proc mounted hidepid.
            with contextlib.suppress(OSError, ValueError, IndexError):
                return _description(_command(pid), pid, _age(pid))
    return "a process of another user, or one with a different UVFLOW_CACHE_DIR"


def _description(command: object, pid: object, age: float) -> str:
    return f"`{command}` (pid {pid}, for {max(0, round(age))} s)"


def lock_directory(directory: Path, mode: int) -> int | None:
    """A descriptor that holds the lock until it is closed; None where another process has it.

    `mode` is EXCLUSIVE or SHARED. Raises OSError where the directory does not exist or cannot be
    locked.
    """
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), str(directory))


def is_directory_locked(directory: Path) -> bool:
    """Whether a process has locked it, in either mode; writes nothing and raises nothing."""
    try:
        descriptor = lock_directory(directory, EXCLUSIVE)
    except OSError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


if sys.platform == "linux":

    def _pids(directory: Path) -> Iterator[int]:
        """The processes that have locked `directory`, from proc_locks(5).

        Of `1: FLOCK  ADVISORY  WRITE 2012 08:03:1234 0 EOF` the fifth field is the pid, the sixth
        device and inode.
        """
        try:
            status = directory.stat()
            lines = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        for words in map(str.split, lines):
            if words[1:2] == ["FLOCK"] and words[5:6] == [f"{device}:{status.st_ino}"]:
                yield int(words[4])

    def _command(pid: int) -> str:
        """The command line as the user typed it, without the Python that runs `uvflow`."""
        raw = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        words = raw.removesuffix("\0").split("\0")
        runner, *script = [Path(word).name for word in words[:2]]
        if runner.startswith("python") and script == ["uvflow"]:
            words = ["uvflow", *words[2:]]
        return shlex.join(words)

    def _age(pid: int) -> float:
        """Seconds since the process started: field 22 of proc_pid_stat(5), in ticks since boot.

        Field 2 is a name in parentheses, which may contain anything.
        """
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        started = int(after_name.split()[22 - 3]) / os.sysconf("SC_CLK_TCK")
        now = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return max(0.0, now - started)
