"""The journal: a marker written before uv runs and removed once the environment is verified.

The state of a workspace has these entries for each profile: `<profile>.journal` while a sync runs,
and `<profile>.fingerprint` afterwards (for a member, `<profile>@<digest>.fingerprint`).
`last-profile` names the profile that was synced last. Profiles and members may share an
environment, so entries are looked up by the environment that is written in them.

The environment itself has a copy of the journal, for uvflow processes with another state: those of
another user or project, or in the next container.
"""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType

from uvflow import fingerprint
from uvflow.errors import DiskError, disk_errors
from uvflow.files import read_regular, remove, remove_unfinished, write_whole
from uvflow.state.store import State

JOURNAL, FINGERPRINT = ".journal", ".fingerprint"
COPY = ".uvflow-journal"  # in the environment
RECORDS = ".uvflow-records"  # in the environment: its RECORD files as they were before uv ran
FETCHED = ".uvflow-fetched"  # there, too: what a repair has uv fetch before it removes anything
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # changes with every boot; Linux only
_LAST_PROFILE = "last-profile"
_MADE = "made"  # in the state: the environment that uv made last


class LastSync(IntEnum):
    """How the last sync of an environment ended; a greater value is worse."""

    FINISHED = 0
    REBOOTED = 1  # finished, but the machine rebooted since: some data may not be on the disk
    INTERRUPTED = 2  # killed; what it had written can be read
    UNFLUSHED = 3  # cut short by a crash of the machine: files may have a name and no content


def fingerprints(state: State, environment: Path) -> Mapping[str, bytes]:
    """The fingerprints of the environment by their file names."""
    return _entries(state, FINGERPRINT, environment)


def mark_running(
    state: State,
    profile: str,
    environment: Path,
    records: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Mark a sync as running, and drop every fingerprint of the environment.

    Keeps `records`, the texts of its RECORD files by their directories. An earlier journal stays,
    with what it kept: a second interruption must not hide when the first was, nor that its files
    may never have reached the disk.
    """
    delete_entries(state, FINGERPRINT, environment)
    last = last_sync(state, environment)
    boot = _boot_id() if last < LastSync.UNFLUSHED else None
    data = json.dumps({"environment": str(environment), "boot": boot}).encode()
    if profile + JOURNAL not in _entries(state, JOURNAL, environment):
        state.write(profile + JOURNAL, data)
    if not (environment / "pyvenv.cfg").exists():
        return
    if not _outcome(environment / COPY):
        _write_copy(environment / COPY, data)
    known = kept_records(environment) if last >= LastSync.INTERRUPTED else {}
    top = f"{environment}{os.sep}"
    found = {place.removeprefix(top): text for place, text in records.items() if text}
    parts = (f"{place}\0{text}" for place, text in {**found, **known}.items())
    kept = "\0".join(parts).encode(errors="surrogateescape")
    _write_copy(environment / RECORDS, kept, flush=False)


def kept_records(environment: Path) -> dict[str, str]:
    """The texts of the RECORD files that `mark_running` kept, by their directories in it."""
    path = environment / RECORDS
    try:
        kept = b"" if path.is_symlink() else read_regular(path)
    except OSError:
        return {}
    parts = kept.decode(errors="surrogateescape").split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=False))


def copy_into(state: State, profile: str, environment: Path) -> bool:
    """Give an environment that uv is creating its copy of the journal; returns whether it has one.

    Without a flush, which would also flush what uv has written so far, and make uv wait. If a power
    failure leaves the copy empty, it still counts as a journal.
    """
    try:
        if not (environment / "pyvenv.cfg").stat().st_size:  # uv is about to write it
            return False
    except OSError:
        return False
    if not (environment / COPY).exists():
        with contextlib.suppress(DiskError):
            state.write(_MADE, _identity(environment), durable=False)
        _write_copy(environment / COPY, state.read(profile + JOURNAL) or b"", flush=False)
        with contextlib.suppress(OSError):  # uv may have begun before
            began = (state.directory / (profile + JOURNAL)).stat().st_mtime
            os.utime(environment / COPY, (began, began))
    return True


def is_made_by_uv(state: State, environment: Path) -> bool:
    """Whether it is the environment that uv made last during a sync, and not another since."""
    return state.read(_MADE) == _identity(environment)


def _identity(environment: Path) -> bytes:
    path = Path(os.path.realpath(environment)) / "pyvenv.cfg"
    try:
        return f"{path.stat().st_mtime_ns} {path}\n".encode() + read_regular(path)
    except OSError:
        return b""


def remove_copy(environment: Path) -> None:
    """Remove from a verified environment the copy of the journal and what is kept beside it."""
    for name in (RECORDS, FETCHED, COPY):
        with disk_errors(environment / name):
            remove(environment / name)
        remove_unfinished(environment, name)


def end_sync(state: State, environment: Path, fingerprints: Mapping[str, bytes]) -> None:
    """Write the fingerprints of an environment that is verified, or unchanged; drop the journal.

    That is dropped without a flush: a power failure that brings it back may have lost files.
    """
    remove_copy(environment)
    for name, encoded in fingerprints.items():
        state.write(name, encoded)
    for name in _entries(state, JOURNAL, environment):
        state.delete(name, durable=False)


def record_profile(state: State, profile: str) -> None:
    """Make `profile` the one that commands use where none is named."""
    if last_profile(state) != profile:
        state.write(_LAST_PROFILE, profile.encode())


def delete_entries(state: State, kind: str, environment: Path) -> None:
    """Delete the fingerprints or journals of the environment, but not the copy in it."""
    for name in _entries(state, kind, environment):
        state.delete(name)


def last_sync(state: State, environment: Path) -> LastSync:
    """How the last sync of the environment ended, with any profile."""
    boot = (_boot_id() or "").encode()  # a fingerprint contains that of its sync
    is_older = any(boot not in encoded for encoded in fingerprints(state, environment).values())
    finished = LastSync.REBOOTED if is_older else LastSync.FINISHED
    return max(finished, *map(_outcome, _journals(state, environment)))


def environments(state: State) -> set[Path]:
    """The environments that any profile was synced into, finished or not."""
    entries = _contents(state, JOURNAL, FINGERPRINT).items()
    found = (_environment_of(name, content) for name, content in entries)
    return {Path(environment) for environment in found if environment}


def first_started(state: State, environment: Path) -> float:
    """When the first unfinished sync began, in seconds since 1970; infinity without one."""
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
    with contextlib.suppress(DiskError, OSError):  # then uv cannot change the environment either
        if path.is_symlink():
            path.unlink()  # else its target would be written
        write_whole(path, data, flush=flush)


def _journals(state: State, environment: Path) -> tuple[Path, ...]:
    """The files that may be a journal of the environment."""
    names = _entries(state, JOURNAL, environment)
    return (environment / COPY, *(state.directory / name for name in names))


def _outcome(journal: Path) -> LastSync:
    """The outcome by a journal; FINISHED without one, UNFLUSHED where it cannot be read."""
    try:
        boot = json.loads(read_regular(journal))["boot"]
    except (FileNotFoundError, NotADirectoryError):
        return LastSync.FINISHED
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return LastSync.UNFLUSHED
    # Without a boot id to compare (not on Linux), the machine may have crashed.
    is_same_boot = boot is not None and boot == _boot_id()
    return LastSync.INTERRUPTED if is_same_boot else LastSync.UNFLUSHED


def _entries(state: State, kind: str, environment: Path) -> dict[str, bytes]:
    wanted = (None, str(environment))  # an unreadable one may be about this environment
    entries = _contents(state, kind).items()
    return {name: content for name, content in entries if _environment_of(name, content) in wanted}


def _contents(state: State, *kinds: str) -> dict[str, bytes]:
    """The journals or fingerprints by their file names; empty bytes where they cannot be read."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # there is none
        names = [n for n in os.listdir(state.directory) if n.endswith(kinds)]  # noqa: PTH208  a glob takes 0.2 ms
    return {name: state.read(name) or b"" for name in names}


def _environment_of(name: str, content: bytes) -> str | None:
    """The environment that a journal or a fingerprint is about; None where it cannot be read."""
    if name.endswith(FINGERPRINT):
        return fingerprint.environment_of(content)
    try:
        return str(json.loads(content)["environment"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:
        return None
