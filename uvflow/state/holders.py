"""Which living process holds a lock, for a message: the records of the state, and proc(5)."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from uvflow.fingerprint import read_file
from uvflow.state.leases import is_alive

_TICKS = 100  # in a second, on every Linux (USER_HZ)
_UNKNOWN = "a process of another user, or one with a different UVFLOW_CACHE_DIR"


class Holder(NamedTuple):
    """A process that has taken or inherited a lock, `since` when (seconds since 1970)."""

    command: str
    pid: int
    since: int
    origin: str = ""
    root: str = ""

    def __str__(self) -> str:
        age = max(0, int(time.time()) - self.since)
        return f"`{self.command}`{self.origin} (pid {self.pid}, for {age} s)"


def read_holder(path: Path) -> Holder | None:
    """What `leases.new_record` gave; None where that cannot be read."""
    try:
        record = os.fsdecode(read_file(str(path), is_own=True))
        pid, since, root, command = record.split("\n", 3)
        return Holder(command, int(pid), int(since), root=root)
    except (OSError, ValueError):
        return None


def describe(places: Iterable[Path], records: Iterable[Path]) -> str:
    """A process that has locked one of `places`, by its record where it has one."""
    known = {record.pid: record for record in map(read_holder, records) if record}
    for holder in _living_holders(places):
        return str(known.get(holder.pid, holder))
    return next((str(record) for record in known.values() if is_alive(record.pid)), _UNKNOWN)


def describe_lease(lease: Path) -> str:
    """The command that has taken a lease, or a child that it has left behind."""
    record = read_holder(lease)
    living = {holder.pid: holder for holder in _living_holders([lease])}
    if record is None:
        return next(map(str, living.values()), _UNKNOWN)
    if is_alive(record.pid) and (not living or record.pid in living):
        return str(record)
    origin = f", started by `{record.command}`"
    children = (str(holder._replace(origin=origin)) for holder in living.values())
    return next(children, f"a process{origin.removeprefix(',')}")


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


def _living_holders(places: Iterable[Path]) -> Iterator[Holder]:
    """On Linux only, and of other users only those that took the lock themselves."""
    if sys.platform != "linux":
        return
    places = tuple(places)
    ids = set().union(*map(takers, places))
    for process in Path("/proc").iterdir():
        # It may end meanwhile, or /proc be mounted hidepid.
        with contextlib.suppress(OSError, ValueError, IndexError):
            is_taker = process.name in ids
            if process.name.isdecimal() and _holds_lock(process, places, is_taker=is_taker):
                yield Holder(_command(process), int(process.name), _started(process))


def _holds_lock(process: Path, places: tuple[Path, ...], *, is_taker: bool) -> bool:
    """Whether one of its descriptors holds a lock on one of `places`, inherited or not."""
    try:
        descriptors = list((process / "fd").iterdir())
    except PermissionError:  # another user's
        return is_taker
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if b"FLOCK" in (process / "fdinfo" / descriptor.name).read_bytes():
                status = descriptor.stat()
                if any(os.path.samestat(status, place.stat()) for place in places):
                    return True
    return False


def _command(process: Path) -> str:
    """The command line as the user typed it, without the Python that runs `uvflow`."""
    raw = (process / "cmdline").read_bytes().decode(errors="replace")
    words = raw.removesuffix("\0").split("\0")
    runner, *script = [Path(word).name for word in words[:2]]
    if runner.startswith("python") and script == ["uvflow"]:
        words = ["uvflow", *words[2:]]
    return shlex.join(words)


def _started(process: Path) -> int:
    """Seconds since 1970: field 22 of proc_pid_stat(5), in ticks since boot.

    Field 2 is a name in parentheses, which may contain anything.
    """
    after_name = (process / "stat").read_text(errors="replace").rpartition(")")[2]
    ticks = int(after_name.split()[22 - 3])
    uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    return int(time.time() - uptime + ticks / _TICKS)
