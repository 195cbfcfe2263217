"""Repair an environment: find what is damaged, and remove it so that uv reinstalls it.

fill.py runs uv between the rounds; nothing here does. What is damaged is read from
RECORD files (integrity.py).

A wheel may have a known defect: its own RECORD lists a file that it does not contain, or another
size or hash, so that what uv installs always looks damaged. That is a defect where a distribution
that was downloaded and reinstalled has the very same problem. It is remembered with a digest of the
file and of RECORD, so that any later change to either counts as damage.
"""

import contextlib
import itertools
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from uvflow import fingerprint
from uvflow.environment import integrity
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import (
    BYTE_CODE,
    Environment,
    directory_entries,
    read_quickly,
)
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.environment.interpreter import cache_directory
from uvflow.environment.ownership import make_room, sort_unowned, users_files
from uvflow.environment.records import read_record
from uvflow.errors import DamagedError, disk_errors
from uvflow.files import is_inside, move_by_hand, remove
from uvflow.state import journal
from uvflow.state.journal import LastSync
from uvflow.state.store import Progress, State

_SHOWN = 3  # reasons in one line
_DEFECTS = "known-defects.json"
_OF_FILES = (DamageKind.MISSING, DamageKind.TRUNCATED, DamageKind.EDITED, DamageKind.REPLACED)


class Depth(IntEnum):
    """How closely to look. The costs are for 13,000 files in 55 distributions."""

    METADATA = 0  # only the metadata, which shows what an interrupted uv leaves; 7 ms
    SIZES = 1  # every recorded file exists with its size, and no others do; 120 ms
    HASHES = 2  # every recorded file has its hash; 0.5 to 2 s


class Past(NamedTuple):
    """What is known of an environment from before.

    `began` is when the first sync that was interrupted did, in seconds since the epoch, infinity
    without one; `cache` is then that of uv, where that is known. `defects` are those of wheels.
    """

    last_sync: LastSync = LastSync.FINISHED
    began: float = math.inf
    cache: Path | None = None
    fingerprints: Mapping[str, bytes] = MappingProxyType({})
    defects: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, context: SyncContext, environment: Environment) -> "Past":
        """Read this before a sync is marked as running, which drops the fingerprints."""
        state = context.state
        began = journal.first_started(state, environment.path)
        return cls(
            last_sync=journal.last_sync(state, environment.path),
            began=began,
            cache=cache_directory(context) if math.isfinite(began) else None,
            fingerprints=journal.fingerprints(state, environment.path),
            defects=state.read_json(_DEFECTS),
        )

    def configuration(self, environment: Environment) -> bytes | None:
        """pyvenv.cfg as the last sync left it; None where that is unknown, or uv has remade it."""
        script = f"identity {environment.scripts / 'activate'}"  # made with the environment
        try:
            _, identity = fingerprint.record([script])
        except OSError:  # a link to itself
            return None
        for answers in map(fingerprint.recorded_answers, self.fingerprints.values()):
            content = answers.get(os.fsencode(f"content {environment.path / 'pyvenv.cfg'}"), b"-")
            if content != b"-" and identity == answers.get(os.fsencode(script)):
                return content[1:]
        return None

    @property
    def is_interrupted(self) -> bool:
        return self.last_sync >= LastSync.INTERRUPTED

    @property
    def depth(self) -> Depth:
        if self.last_sync is LastSync.UNFLUSHED:
            return Depth.HASHES
        return Depth.METADATA if self.last_sync is LastSync.FINISHED else Depth.SIZES


def find_damage(
    environment: Environment, depth: Depth, past: Past
) -> tuple[tuple[Damage, ...], tuple[Damage, ...]]:
    """What is damaged, and the known defects of wheels; a repair may reveal more."""
    problems = _find_problems(environment, depth, past)
    defects = select_known(past.defects, environment, problems)
    return tuple(problem for problem in problems if problem not in defects), defects


def _find_problems(environment: Environment, depth: Depth, past: Past) -> tuple[Damage, ...]:
    unfinished = integrity.metadata_damage(environment)
    if not integrity.needs_rebuild(unfinished):
        edited = integrity.configuration_damage(environment, past.configuration(environment))
        unfinished = (*edited, *unfinished)
    if depth is Depth.METADATA or not environment.path.is_dir():
        return unfinished
    found = [*unfinished, *integrity.file_damage(environment, by_hash=depth is Depth.HASHES)]
    # Leftovers can only be identified where every RECORD is complete.
    if math.isfinite(past.began) and all(map(can_be_defect, unfinished)):
        left, _ = sort_unowned(environment, past.began, past.cache)
        found += (Damage(kind=DamageKind.LEFTOVER, path=path) for path in left)
    return tuple(dict.fromkeys(found))


def can_be_defect(damage: Damage) -> bool:
    """Whether a wheel can cause this; an unfinished install is never due to the wheel."""
    return damage.kind in _OF_FILES


def describe_defect(defect: Damage) -> str:
    return f"{defect}: the wheel itself is like this, and its RECORD is wrong"


def select_known(
    known: Mapping[str, Any], environment: Environment, damages: Iterable[Damage]
) -> tuple[Damage, ...]:
    """Those of `damages` that are `known` (the content of _DEFECTS), and have not changed since."""
    found = _defect_entries(environment, damages) if known else ()
    return tuple(damage for damage, name, digest in found if known.get(name) == digest)


def record_defects(state: State, environment: Environment, defects: Iterable[Damage]) -> None:
    """Remember `defects` of what is installed in `environment`, for all. Raises DiskError."""
    found = {name: digest for _, name, digest in _defect_entries(environment, defects)}
    state.write(_DEFECTS, json.dumps(state.read_json(_DEFECTS) | found).encode())


def _defect_entries(
    environment: Environment, damages: Iterable[Damage]
) -> Iterator[tuple[Damage, str, str]]:
    """The damages, each with a name and a digest of its files and of RECORD.

    They are the same in every environment: without the rows of scripts, which name their Python.
    """
    import hashlib  # 3 ms, and only needed where there are defects

    records = {one.name: one.record for one in environment.distributions}
    for damage in damages:
        path = environment.path / damage.path
        files = sorted(filter(Path.is_file, path.rglob("*"))) if path.is_dir() else [path]
        record = read_record(records.get(damage.distribution, "")) or ""
        parts = [row.encode() for row in record.splitlines() if not row.startswith("..")]
        for file in files:
            parts += [os.fsencode(environment.relative(file)), read_quickly(str(file)) or b""]
        yield damage, str(damage), hashlib.sha256(b"\0".join(parts)).hexdigest()


def summary(reasons: Iterable[object]) -> str:
    """The first three reasons, and the number of others."""
    texts = tuple(map(str, reasons))
    others = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {others} more" if others > 0 else "")


class RepairResult(NamedTuple):
    """What a repair has done.

    `repaired` are distributions that were reinstalled, and files of the environment itself that
    were put back; `removed` are the paths of all else that was removed. `kept` are damaged
    distributions that uv would not reinstall, and that stay as they are.
    """

    repaired: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    known_defects: tuple[Damage, ...] = ()


def check_removable(
    environment: Environment, damages: Iterable[Damage], names: Collection[str]
) -> None:
    """Raises DamagedError where the user's files are in the place of a file of `names`."""
    for damage in damages:
        path = environment.path / damage.path
        if damage.kind is not DamageKind.REPLACED or damage.distribution not in names:
            continue
        users = None if path.is_symlink() else next(users_files(environment, path), None)
        if users is not None:
            raise DamagedError(
                f"{path} is in the place of a file, and no installer made"
                f" {environment.path / users}",
                hint=move_by_hand(path),
            )


def remove_damaged(
    environment: Environment, damages: Iterable[Damage], names: Collection[str]
) -> list[str]:
    """Remove leftovers, and of the distributions `names` what keeps uv from reinstalling them.

    Returns the paths of what had no place there. Raises DiskError.
    """
    drop_byte_code(environment, names)  # it may be of another version and match in time and size
    remove_metadata(environment, names)
    removed = []
    for damage in damages:
        path = environment.path / damage.path
        is_data_directory = damage.kind is DamageKind.UNFINISHED and not damage.distribution
        if damage.distribution and damage.distribution not in names:
            continue
        if is_data_directory or damage.kind in {DamageKind.LEFTOVER, DamageKind.REPLACED}:
            removed.append(damage.path)
            _remove(path, environment)
            _remove_empty(path.parent, environment)
        elif damage.distribution and path.is_symlink():
            _remove(path, environment)  # or uv might write through it
    return removed


def _remove_empty(directory: Path, environment: Environment) -> None:
    """Remove a directory, and those it is in, as far as nothing is in them any more."""
    lasting = {environment.path, environment.scripts, *environment.site_packages}
    while directory not in lasting and directory.is_relative_to(environment.path):
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent


def remove_metadata(environment: Environment, names: Collection[str]) -> None:
    """Remove the metadata of distributions, so that the next `uv sync` reinstalls them.

    uv overwrites their files in every link mode; what the new version does not have is a leftover.
    Raises DiskError.
    """
    for distribution in environment.distributions:
        if distribution.name in names:
            # First, so that an interruption here leaves damage that is visible.
            _remove(distribution.path / "METADATA", environment)
            _remove(distribution.path, environment)


def drop_byte_code(environment: Environment, names: Collection[str] | None = None) -> None:
    """Remove the byte code of the distributions `names`, or all in site-packages.

    Python and uv compile it again. No RECORD lists it, and Python uses it where time and size of
    its source match. It may be of another version, or truncated, which makes every import fail
    (importlib does not catch EOFError). Raises DiskError.
    """
    modules = {
        row.path.removesuffix(".py")
        for distribution in environment.distributions
        if distribution.name in (names or ())
        for row in integrity.recorded_rows(distribution)
    }
    for folder, _, files in itertools.chain(*map(os.walk, environment.site_packages)):
        above, name = os.path.split(os.path.normcase(folder))
        if name != "__pycache__":
            continue
        for file in files:
            is_of_names = names is None or f"{above}{os.sep}{file.partition('.')[0]}" in modules
            if is_of_names and re.search(BYTE_CODE, file):
                _remove(Path(folder, file), environment)


def clear_unusable(
    environment: Environment, progress: Progress, past: Past, more: Iterable[str] = ()
) -> Path | None:
    """Set aside an environment that lacks basics or was created elsewhere, before uv runs.

    In the first, uv would always fail, or use the base Python as the environment and remove from
    that what the lockfile does not list (see `integrity.missing_basics`); in the second it would
    leave scripts that run another Python. One that was being created when the machine may have gone
    down is set aside as well: no RECORD says whether its own files reached the disk. And one with
    `more` reasons: links out that nobody is known to have made on purpose, or another Python.

    Returns where it is then. Raises DamagedError where something in it is not an environment's.
    """
    path = environment.path
    if not path.exists() or (path.is_dir() and not directory_entries(path)):
        return None  # uv fills an empty directory
    reasons = [*reasons_to_recreate(environment), *more]
    created = -math.inf
    with contextlib.suppress(OSError):
        created = (path / "pyvenv.cfg").stat().st_mtime
    if past.last_sync is LastSync.UNFLUSHED and created >= past.began:
        reasons.append("it was being created when the machine may have gone down")
    if reasons:
        progress(f"Recreating {path.name}: {summary(reasons)}")
        return make_room(environment, reasons)
    return None


def reasons_to_recreate(environment: Environment) -> list[str]:
    """Why an environment cannot be used: what uv does not put back, or another place of origin."""
    basics = map(str, integrity.missing_basics(environment))
    return [*basics, *filter(None, [integrity.relocation_problem(environment)])]


def _remove(path: Path, environment: Environment) -> None:
    """Never through a link that leads out of the environment."""
    if not is_inside(path.parent, environment.path):
        return
    # It may never have existed: a legacy .egg-info may be a file.
    with disk_errors(path), contextlib.suppress(NotADirectoryError):
        remove(path)
