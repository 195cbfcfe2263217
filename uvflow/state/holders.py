"""Which living process holds a lock, for a message: the records of the state, and proc(5)."""

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from uvflow.fingerprint import read_file
from uvflow.state.leases import is_alive


class Holder(NamedTuple):
    """A process that has taken a lock, `since` when (seconds since 1970)."""

    command: str
    pid: int
    since: int
    root: str

    def __str__(self) -> str:
        age = max(0, int(time.time()) - self.since)
        return f"`{self.command}` (pid {self.pid}, for {age} s)"


def read_holder(path: Path) -> Holder | None:
    """What `leases.new_record` gave; None where that cannot be read."""
    try:
        record = os.fsdecode(read_file(str(path), is_own=True))
        pid, since, root, command = record.split("\n", 3)
        return Holder(command, int(pid), int(since), root)
    except (OSError, ValueError):
        return None


def describe(places: Iterable[Path], records: Iterable[Path] = ()) -> str:
    """A process that has locked one of `places`, by its record where it has one."""
    pids = set().union(*map(takers, places))
    for record in filter(None, map(read_holder, records)):
        if is_alive(record.pid) and (str(record.pid) in pids or not pids):
            return str(record)
    living = sorted(pid for pid in pids if is_alive(int(pid)))
    process = f"process {living[0]}," if living else "a process"
    return f"{process} of another user, or with a different UVFLOW_CACHE_DIR"


def describe_lease(lease: Path) -> str:
    """The command that has taken a lease; it may have ended and left a child that holds it."""
    record = read_holder(lease)
    if record is None or is_alive(record.pid):
        return str(record or "a command of `uvflow run`")
    return f"a process started by `{record.command}`, which has ended; `fuser {lease}` finds it"


def takers(place: Path) -> set[str]:
    """The ids of the processes that took a lock on `place`, living or not; on Linux only.

    Of `1: FLOCK  ADVISORY  WRITE 2012 08:03:1234 0 EOF` in proc_locks(5) the fifth field is the
    pid, the sixth device and inode.
    """
    if sys.platform != "linux":
        return set()
    try:
        status = place.stat()
        lines = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    where = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    locks = map(str.split, lines)
    return {words[4] for words in locks if words[1:2] == ["FLOCK"] and words[5:6] == [where]}
