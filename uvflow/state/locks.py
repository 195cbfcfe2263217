"""A lock on a directory itself, for what has nothing else in common: two users, or two homes.

Who may read a directory can lock it (flock(2)). Nothing is written, nothing is left behind, and
the lock ends with its process. There is none on Windows, nor where the file system wants a file
that can be written to, as NFS does.
"""

import contextlib
import errno
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if sys.platform == "win32":
    ALONE = TOGETHER = 0
else:
    import fcntl

    ALONE, TOGETHER = fcntl.LOCK_EX, fcntl.LOCK_SH


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that has a directory locked; `age` in seconds since it was started."""

    pid: int
    command: str
    age: float


def lock_directory(directory: Path, way: int) -> int | None:
    """A descriptor that holds the lock until it is closed; None where another process is in.

    Any number of processes can be in TOGETHER, and one ALONE. Raises OSError where there is no
    such directory, or no such lock.
    """
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, way | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), str(directory))


def is_directory_locked(directory: Path) -> bool:
    """Whether a process is in, in whatever way; writes nothing and raises nothing."""
    try:
        descriptor = lock_directory(directory, ALONE)
    except OSError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def directory_holder(directory: Path) -> Holder | None:
    """One of those who are in, as far as Linux tells (proc_locks(5)); other systems do not."""
    if sys.platform == "linux":
        for pid in _pids(directory):
            # The process may be gone by now, or another's whose /proc is mounted with hidepid.
            with contextlib.suppress(OSError, ValueError, IndexError):
                return Holder(pid=pid, command=_command(pid), age=_age(pid))
    return None


if sys.platform == "linux":

    def _pids(directory: Path) -> Iterator[int]:
        """Lines read `1: FLOCK  ADVISORY  WRITE 2012 08:03:1234 0 EOF`: pid, device and inode."""
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
        """The command line as it was typed: the Python that runs a script is left out."""
        raw = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        words = raw.removesuffix("\0").split("\0")
        runner, *script = [Path(word).name for word in words[:2]]
        if runner.startswith("python") and script == ["uvflow"]:
            words = ["uvflow", *words[2:]]
        return shlex.join(words)

    def _age(pid: int) -> float:
        """Now, less field 22 of proc_pid_stat(5), in clock ticks; both count from boot.

        Field 2 is a name in parentheses that may hold anything.
        """
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        began = int(after_name.split()[22 - 3]) / os.sysconf("SC_CLK_TCK")
        now = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return max(0.0, now - began)
