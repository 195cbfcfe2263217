"""The journal: a marker written before uv runs and removed once the environment is verified.

The workspace's state has one for each profile: `<profile>.journal` while a sync is running,
`<profile>.fingerprint` when it is done (of a member, `<profile>@<digest>.fingerprint`), and in
`last-profile` the profile that was synced last. Profiles and members may share an environment, so
what counts is which environment an entry is about.

The environment itself has a copy of the journal, for uvflow processes with another state: those of
another user or another project, or in the next container.
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
from uvflow.files import read_regular, remove_unfinished, write_whole
from uvflow.state.store import State

JOURNAL, FINGERPRINT = ".journal", ".fingerprint"
COPY = ".uvflow-journal"  # in the environment
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # changes with every boot; Linux
_LAST_PROFILE = "last-profile"


class LastSync(IntEnum):
    """How the last sync of an environment ended; a greater value is worse."""

    FINISHED = 0
    REBOOTED = 1  # finished, but the machine rebooted since: not all may have reached the disk
    INTERRUPTED = 2  # killed; what it had written can be read
    UNFLUSHED = 3  # the machine went down meanwhile: files may have the right name and no contents


def mark_running(state: State, profile: str, environment: Path) -> None:
    """Mark a sync as running, and drop every fingerprint of the environment.

    A marker from before the last reboot is kept, because a second interruption must not hide that
    files may never have reached the disk.
    """
    _delete(state, FINGERPRINT, environment)
    is_flushed = last_sync(state, environment) < LastSync.UNFLUSHED
    entry = {
        "profile": profile,
        "environment": str(environment),
        "pid": os.getpid(),
        "boot": _boot_id() if is_flushed else None,
    }
    data = json.dumps(entry).encode()
    if _outcome(state.directory / (profile + JOURNAL)) < LastSync.UNFLUSHED:
        state.write(profile + JOURNAL, data)
    if _outcome(environment / COPY) < LastSync.UNFLUSHED and (environment / "pyvenv.cfg").exists():
        _write_copy(environment / COPY, data)


def copy_into(state: State, profile: str, environment: Path) -> bool:
    """Give an environment that uv is creating its copy of the journal; returns whether it has one.

    Not flushed: that would also flush what uv has written so far, and make uv wait. If a power
    failure leaves the copy empty, it still counts as a journal.
    """
    if not (environment / "pyvenv.cfg").exists():
        return False
    if not (environment / COPY).exists():
        _write_copy(environment / COPY, state.read(profile + JOURNAL) or b"", flush=False)
    return True


def remove_copy(environment: Path) -> None:
    """The environment has been verified: remove its copy of the journal. Raises DiskError."""
    try:
        (environment / COPY).unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise unwritable(str(environment / COPY), error) from error
    remove_unfinished(environment, COPY)


def record_sync(state: State, environment: Path, fingerprints: Mapping[str, bytes]) -> None:
    """Record a sync of a verified environment, with its fingerprint by name, if it can have one.

    The journal is dropped without a flush: a power failure that brings it back may have lost files.
    """
    for name, encoded in fingerprints.items():
        state.write(name, encoded)
    for name in _entries(state, JOURNAL, environment):
        state.delete(name, durable=False)


def record_profile(state: State, profile: str) -> None:
    """Make `profile` the one that is meant where none is named."""
    if last_profile(state) != profile:
        state.write(_LAST_PROFILE, profile.encode())


def cancel(state: State, environment: Path) -> None:
    """Remove the journal and its copy: the environment is intact, whether in sync or not."""
    remove_copy(environment)
    delete_entries(state, environment)


def delete_entries(state: State, environment: Path) -> None:
    """Delete the journal, but not the environment's copy of it."""
    _delete(state, JOURNAL, environment)


def last_sync(state: State, environment: Path) -> LastSync:
    """How the last sync of the environment ended, by whatever profile."""
    boot = (_boot_id() or "").encode()
    known = (state.read(name) or b"" for name in _entries(state, FINGERPRINT, environment))
    is_older = any(boot not in encoded for encoded in known)  # it holds the boot id of its sync
    finished = LastSync.REBOOTED if is_older else LastSync.FINISHED
    return max(finished, *map(_outcome, _journals(state, environment)))


def environments(state: State) -> set[Path]:
    """The environments that any profile was synced into, finished or not."""
    found = (
        environment_of(state.read(path.name) or b"")
        for kind, environment_of in _ENVIRONMENT_OF.items()
        for path in state.directory.glob(f"*{kind}")
    )
    return {Path(environment) for environment in found if environment}


def first_started(state: State, environment: Path) -> float:
    """When the first unfinished sync began, in seconds since the epoch; infinity without one."""
    times = [math.inf]
    for journal in _journals(state, environment):
        with contextlib.suppress(OSError):
            times.append(journal.stat().st_mtime)
    return min(times)


def last_profile(state: State) -> str | None:
    """The profile that was synced last, if known."""
    name = state.read(_LAST_PROFILE)
    return None if name is None else name.decode(errors="replace")


def _write_copy(path: Path, data: bytes, *, flush: bool = True) -> None:
    with contextlib.suppress(DiskError):  # then uv cannot change the environment either
        write_whole(path, data, flush=flush)


def _journals(state: State, environment: Path) -> tuple[Path, ...]:
    """The files that may be a journal of the environment."""
    names = _entries(state, JOURNAL, environment)
    return (environment / COPY, *(state.directory / name for name in names))


def _outcome(journal: Path) -> LastSync:
    """What a journal says; FINISHED without one, UNFLUSHED where it cannot be read."""
    try:
        boot = json.loads(read_regular(journal))["boot"]
    except (FileNotFoundError, NotADirectoryError):
        return LastSync.FINISHED
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return LastSync.UNFLUSHED
    # Without a boot id to compare (other systems than Linux), the machine may have gone down.
    is_same_boot = boot is not None and boot == _boot_id()
    return LastSync.INTERRUPTED if is_same_boot else LastSync.UNFLUSHED


def _delete(state: State, kind: str, environment: Path) -> None:
    for name in _entries(state, kind, environment):
        state.delete(name)


def _entries(state: State, kind: str, environment: Path) -> tuple[str, ...]:
    names = (path.name for path in state.directory.glob(f"*{kind}"))
    wanted = (None, str(environment))  # an unreadable one may be about this environment
    return tuple(n for n in names if _ENVIRONMENT_OF[kind](state.read(n) or b"") in wanted)


def _environment_of_journal(journal: bytes) -> str | None:
    try:
        return str(json.loads(journal)["environment"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


_ENVIRONMENT_OF: Mapping[str, Callable[[bytes], str | None]] = {
    JOURNAL: _environment_of_journal,
    FINGERPRINT: fingerprint.environment_of,
}


def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
