"""That a sync of an environment is under way: told before uv runs, until its work is proven.

Kept in the project's state, one entry for each profile: `<profile>.journal` while a sync is under
way, `<profile>.snapshot` when it is done, and in `profile` the one that was synced last. Several
profiles may share an environment, so what counts is which environment an entry is about.

The environment itself has a copy of the journal, from the instant at which there is one: it is for
those who have another state, be it another user, another project, or the next container.
"""

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path

from uvflow import fingerprint
from uvflow.errors import DiskError, unwritable
from uvflow.files import remove_unfinished, write_whole
from uvflow.state.store import State

JOURNAL, SNAPSHOT = ".journal", ".snapshot"
COPY = ".uvflow-journal"  # in the environment
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # another for each start of the machine; Linux
_LAST = "profile"


class LastSync(IntEnum):
    """What became of the last sync of an environment, worse ones last."""

    NONE = 0  # it was finished, as far as is known
    RESTARTED = 1  # so it was; but then the machine may have gone down before all was on its disk
    KILLED = 2  # it was cut short, and what it had written is there
    LOST = 3  # the machine went down, or may have: what it had written may be names without data


def begin(state: State, profile: str, environment: Path) -> None:
    """From here on the environment is in the making, whatever was known of it.

    Where data may be lost that is told already, and what tells it is left as it is: being killed
    after that does not make good again what came before.
    """
    _forget(state, SNAPSHOT, environment)
    told = {
        "profile": profile,
        "environment": str(environment),
        "pid": os.getpid(),
        "boot": _boot_id() if last_sync(state, environment) < LastSync.LOST else None,
    }
    data = json.dumps(told).encode()
    if _judged(state.directory / (profile + JOURNAL)) < LastSync.LOST:
        state.remember(profile + JOURNAL, data)
    if _judged(environment / COPY) < LastSync.LOST and (environment / "pyvenv.cfg").exists():
        _copy(environment / COPY, data)


def accompany(state: State, profile: str, environment: Path) -> bool:
    """Give an environment that uv is making its copy of the journal; whether that is done.

    Not flushed, which would flush with it what uv has written by then, and keep uv waiting. An
    empty copy tells enough.
    """
    if not (environment / "pyvenv.cfg").exists():
        return False
    if not (environment / COPY).exists():
        _copy(environment / COPY, state.recall(profile + JOURNAL) or b"", flush=False)
    return True


def settle(environment: Path) -> None:
    """The environment is proven, and says so by itself. Raises DiskError."""
    try:
        (environment / COPY).unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise unwritable(str(environment / COPY), error) from error
    remove_unfinished(environment, COPY)


def finish(state: State, profile: str, environment: Path, sealed: bytes | None) -> None:
    """What is settled is what the profile says; `sealed` is its snapshot, if it can have one.

    Where a power failure brings the journal back it is right to: no data is on the disk for sure.
    """
    if sealed is not None:
        state.remember(profile + SNAPSHOT, sealed)
    if last_profile(state) != profile:
        state.remember(_LAST, profile.encode())
    for name in _about(state, JOURNAL, environment):
        state.drop(name)


def drop(state: State, environment: Path) -> None:
    """Nothing is under way any more: the environment is intact, be it in sync or not."""
    settle(environment)
    withdraw(state, environment)


def withdraw(state: State, environment: Path) -> None:
    """The environment of before is back in its place, and has its own copy of its own journal."""
    _forget(state, JOURNAL, environment)


def last_sync(state: State, environment: Path) -> LastSync:
    """What became of the last sync of the environment, by whatever profile."""
    worst = max(map(_judged, _journals(state, environment)))
    return max(worst, _since_finished(state, environment))


def first_started(state: State, environment: Path) -> float:
    """When the first sync that was not finished began, in seconds since the epoch."""
    return min(map(_changed, _journals(state, environment)))


def last_profile(state: State) -> str | None:
    """The profile that was synced last, as far as that is remembered."""
    name = state.recall(_LAST)
    return None if name is None else name.decode(errors="replace")


def _copy(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Where that cannot be, uv cannot change the environment either."""
    with contextlib.suppress(DiskError):
        write_whole(path, data, flush=flush)


def _journals(state: State, environment: Path) -> tuple[Path, ...]:
    """Where there may be one."""
    names = _about(state, JOURNAL, environment)
    return (environment / COPY, *(state.directory / name for name in names))


def _judged(journal: Path) -> LastSync:
    """Where it cannot be told whether the machine went down, it is taken to have done so."""
    try:
        then = json.loads(journal.read_bytes())["boot"]
    except (FileNotFoundError, NotADirectoryError):
        return LastSync.NONE
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return LastSync.LOST
    is_of_now = then is not None and then == _boot_id()
    return LastSync.KILLED if is_of_now else LastSync.LOST


def _since_finished(state: State, environment: Path) -> LastSync:
    """A snapshot holds the start of the machine in which it was taken."""
    boot = (_boot_id() or "").encode()
    known = (state.recall(name) or b"" for name in _about(state, SNAPSHOT, environment))
    is_older = any(boot not in taken for taken in known)
    return LastSync.RESTARTED if is_older else LastSync.NONE


def _changed(journal: Path) -> float:
    try:
        return journal.stat().st_mtime
    except OSError:
        return math.inf


def _forget(state: State, kind: str, environment: Path) -> None:
    for name in _about(state, kind, environment):
        state.forget(name)


def _about(state: State, kind: str, environment: Path) -> tuple[str, ...]:
    names = (path.name for path in state.directory.glob(f"*{kind}"))
    wanted = (None, str(environment))  # what cannot be read may be about this one
    return tuple(n for n in names if _ENVIRONMENT_OF[kind](state.recall(n) or b"") in wanted)


def _environment_of_journal(journal: bytes) -> str | None:
    try:
        return str(json.loads(journal)["environment"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


_ENVIRONMENT_OF: Mapping[str, Callable[[bytes], str | None]] = {
    JOURNAL: _environment_of_journal,
    SNAPSHOT: fingerprint.environment_of,
}


def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
