"""Repair an environment: remove what is damaged, so that uv installs it again.

Used after each sync and by `uvflow verify --repair`. What is damaged is read from RECORD files
(integrity.py).
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

from uvflow.environment import integrity, known_defects, relocation
from uvflow.environment.installed import (
    BYTE_CODE,
    Environment,
    directory_entries,
    distributions,
    is_made_since,
    is_whole_python,
    leftover_data_directories,
)
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.errors import DamagedError, UsageError, unwritable
from uvflow.state.store import Progress, State

# A repair may bring to light what the damage hid: unfinished installs, then files that nobody owns;
# and what a distribution from uv's cache does not mend, one that is fetched anew may.
_ROUNDS = 4

_SHOWN = 3  # how many are told in one line


class Depth(IntEnum):
    """How closely to look. The costs are for 13,000 files in 55 distributions."""

    METADATA = 0  # what an interrupted uv leaves, by the metadata alone; 7 ms
    SIZES = 1  # every recorded file is there with its size, and no others are; 120 ms
    HASHES = 2  # every recorded file is what was installed; 0.5 to 2 s


@dataclass(frozen=True, kw_only=True)
class Patient:
    """An environment, and how it is filled.

    `fill` makes it what it should be, for the first time; `install` installs what is missing of it
    after that; `forget_cached` drops the named distributions from uv's cache. `given_back` are
    those of the named that are installed again when they are forgotten. What lies outside
    `workspace` is never removed whole.
    """

    environment: Path
    workspace: Path
    state: State
    fill: Callable[[], None]
    install: Callable[[], None]
    forget_cached: Callable[[tuple[str, ...]], None]
    given_back: Callable[[tuple[str, ...]], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """What was done: distributions installed again, orphans removed; and what wheels brought so.

    `filled` is when uv was last at work, in seconds of `time.monotonic`.
    """

    repaired: tuple[str, ...] = ()
    removed: tuple[Damage, ...] = ()
    flaws: tuple[Damage, ...] = ()
    filled: float = field(default=0.0, compare=False)


def repair(patient: Patient, depth: Depth, progress: Progress) -> RepairResult:
    """Fill it, and install again what is damaged until nothing is but what its wheel brought so.

    Raises DamagedError when the environment does not heal, and what `patient` raises.
    """
    course = _look_before(patient, depth)
    if course.damages:
        course = _take_away(patient, course, progress)
        depth = max(depth, Depth.SIZES)
    patient.fill()
    for _ in range(_ROUNDS):
        course = _look(patient, depth, course)
        if not course.damages:
            return _repair_result(patient, course)
        course = _take_away(patient, course, progress)
        patient.install()
        depth = max(depth, Depth.SIZES)
    course = _look(patient, depth, course)
    if course.damages:
        raise DamagedError(
            f"{patient.environment} is damaged, and does not heal",
            cause=summary(course.damages),
            hint=f"remove {patient.environment} and sync again; `uv cache clean` if that fails too",
        )
    return _repair_result(patient, course)


@dataclass(frozen=True, kw_only=True)
class _Progress:
    """What has been seen and done so far.

    `damages` and `flaws` are of the last look, `seen` is all of the one before; `fetched` are the
    distributions whose cached copy was dropped before they were installed again, `looked` when the
    last look began, after uv was at work (seconds of `time.monotonic`).
    """

    looked: float = 0.0
    damages: tuple[Damage, ...] = ()
    flaws: tuple[Damage, ...] = ()
    seen: tuple[Damage, ...] = ()
    fetched: frozenset[str] = frozenset()
    repaired: tuple[str, ...] = ()
    removed: tuple[Damage, ...] = ()


def _look_before(patient: Patient, depth: Depth) -> _Progress:
    """uv refuses to go on where the metadata of a distribution is torn; what nobody owns it may."""
    if integrity.missing_basics(Environment.at(patient.environment)):
        return _Progress()
    course = _look(patient, depth, _Progress())
    return replace(course, damages=tuple(d for d in course.damages if d.distribution))


def _look(patient: Patient, depth: Depth, course: _Progress) -> _Progress:
    there = Environment.at(patient.environment)
    seen = (*course.damages, *course.flaws)
    looked = time.monotonic()
    found = find_damage(there, depth)
    known = known_defects.known(patient.state, there, found)
    own = tuple(d for d in found if d in known or (d in seen and _is_proven(d, course)))
    damages = tuple(damage for damage in found if damage not in own)
    return replace(course, damages=damages, flaws=own, seen=seen, looked=looked)


def _is_proven(damage: Damage, course: _Progress) -> bool:
    """Whether it is the wheel that brings this, seeing that it is there again.

    What was fetched anew is as its wheel has it. An orphan was removed, so uv has brought it back:
    uv before 0.12 installs files that the wheel's RECORD does not list.
    """
    return known_defects.can_be_defect(damage) and (
        damage.kind is DamageKind.ORPHAN or damage.distribution in course.fetched
    )


def _repair_result(patient: Patient, course: _Progress) -> RepairResult:
    if course.flaws:
        known_defects.record_defects(
            patient.state, Environment.at(patient.environment), course.flaws
        )
    removed = tuple(d for d in course.removed if d not in course.flaws)
    return RepairResult(
        repaired=course.repaired, removed=removed, flaws=course.flaws, filled=course.looked
    )


def _take_away(patient: Patient, course: _Progress, progress: Progress) -> _Progress:
    progress(f"Repairing {patient.environment.name}: {summary(course.damages)}")
    names = integrity.damaged_distributions(course.damages)
    fetched = _remove_damaged(patient, course)
    return replace(
        course,
        fetched=course.fetched.union(fetched),
        repaired=tuple(dict.fromkeys((*course.repaired, *names))),
        removed=tuple(dict.fromkeys((*course.removed, *_orphans(course.damages)))),
    )


def _orphans(damages: Iterable[Damage]) -> Iterator[Damage]:
    return (damage for damage in damages if damage.kind is DamageKind.ORPHAN)


def _remove_damaged(patient: Patient, course: _Progress) -> tuple[str, ...]:
    """Take away what is damaged; returns the names of what uv has to fetch anew."""
    there = Environment.at(patient.environment)
    if not there.path.exists():
        return ()
    if integrity.needs_rebuild(course.damages):
        _remove_whole(patient, there, map(str, course.damages))
        return ()
    again = (d for d in course.damages if d in course.seen and known_defects.can_be_defect(d))
    shared = integrity.shared_with_cache(there, course.damages)  # uv would install the same again
    fetched = tuple(sorted({*shared, *integrity.damaged_distributions(again)}))
    if fetched:
        patient.forget_cached(fetched)
    suspects = integrity.possible_owners(there, course.damages)
    if suspects:
        suspects = patient.given_back(suspects)
    damaged = integrity.damaged_distributions(course.damages)
    forget_distributions(there, (*damaged, *suspects))
    drop_byte_code(there)  # it may be of another version, and fit by time and size
    remove_orphans(there, course.damages)
    return fetched


def find_damage(there: Environment, depth: Depth) -> tuple[Damage, ...]:
    """Everything that is wrong with an environment, as far as it can be told at once."""
    unfinished = integrity.metadata_damage(there)
    if depth is Depth.METADATA or not there.path.is_dir():
        return unfinished
    missing = integrity.size_damage(there)
    edited = integrity.hash_damage(there) if depth is Depth.HASHES else ()
    # Orphans can be told only where every RECORD is whole.
    is_whole = all(map(known_defects.can_be_defect, unfinished))
    orphans = integrity.orphans(there) if is_whole else ()
    return tuple(dict.fromkeys((*unfinished, *missing, *edited, *orphans)))


def summary(reasons: Iterable[object]) -> str:
    """The first three, and how many more there are."""
    told = tuple(map(str, reasons))
    others = len(told[_SHOWN:])
    return ", ".join(told[:_SHOWN]) + (f" and {others} more" if others else "")


def clear_unusable(patient: Patient, progress: Progress, *, lost_since: float = math.inf) -> None:
    """Empty an environment without its foundations, or of another place; call it before uv runs.

    uv would refuse to go on with the first for good, or take the base Python for the environment
    and remove from that what the lockfile does not list (see `proof.foundations`); in the
    second it leaves scripts that run another Python. So is one emptied that was made after
    `lost_since` (seconds since the epoch): no RECORD tells whether its own files reached the disk.
    Raises DamagedError and UsageError where it is not the project's own.
    """
    there = Environment.at(patient.environment)
    if not there.path.exists():
        return
    reasons = [*map(str, integrity.missing_basics(there)), *relocation.relocation_problems(there)]
    if is_made_since(there, lost_since):
        reasons.append("it was being made when the machine may have gone down")
    if reasons:
        progress(f"Making {patient.environment.name} anew: {summary(reasons)}")
        _remove_whole(patient, there, reasons)


def _remove_whole(patient: Patient, there: Environment, reasons: Iterable[str]) -> None:
    """Only what is the project's own is removed, never a Python that is used as an environment."""
    if not there.path.is_relative_to(patient.workspace):
        raise DamagedError(
            f"{there.path} is damaged, and lies outside the project",
            cause=summary(reasons),
            hint="name another directory for the environment, or empty this one and sync again",
        )
    empty_environment(there)


# What a virtual environment has at its top; packages may add data files.
_USUAL = {
    *(".gitignore", ".lock", ".uvflow-journal", "CACHEDIR.TAG"),
    *("bin", "include", "lib", "lib64", "share", "Include", "Lib", "Scripts"),
}


def forget_distributions(environment: Environment, names: Iterable[str]) -> None:
    """Remove the metadata of the named, so that the next `uv sync` installs them again.

    uv overwrites their files, whatever its link mode; what the new version does not have is left
    to `remove_orphans`. Raises DiskError.
    """
    names = set(names)
    for half in leftover_data_directories(environment):
        if half.name in names:
            _remove(half.path)
    for distribution in distributions(environment):
        if distribution.name in names:
            # First, so that being interrupted here leaves a ghost, which is seen.
            _remove(distribution.path / "METADATA")
            _remove(distribution.path)


def remove_orphans(environment: Environment, damages: Iterable[Damage]) -> None:
    """Remove the orphans among `damages`. Raises DiskError."""
    for damage in damages:
        if damage.kind is DamageKind.ORPHAN:
            _remove(environment.path / damage.path)


def drop_byte_code(environment: Environment) -> None:
    """Remove the byte code in site-packages, which Python and uv make anew from the sources.

    No RECORD lists it, and Python takes it for the source's where time and size of that fit: it
    may be the byte code of another version, or cut short, which fails each import for good
    (importlib does not catch EOFError). Raises DiskError.
    """
    for site_packages in environment.site_packages:
        for folder, _, names in os.walk(site_packages):
            if folder.endswith("__pycache__"):
                for name in filter(BYTE_CODE.search, names):
                    _remove(Path(folder, name))


def empty_environment(environment: Environment) -> None:
    """Empty a broken environment, so that the next `uv sync` makes it anew.

    The directory itself stays; it may be a link, or the mount point of a volume. Raises
    UsageError where this is no virtual environment, with nothing removed, and DiskError.
    """
    if not environment.path.is_dir():
        return
    if not _is_virtual(environment):
        raise UsageError(
            f"{environment.path} is no virtual environment, so it is left as it is",
            hint="name another directory for the environment, or empty this one",
        )
    configuration = environment.path / "pyvenv.cfg"
    _remove(environment.scripts)  # first: see `foundations` for what uv would do with it
    _keep(configuration)  # last: where it is there, uv replaces what is left, and else refuses
    for path in (Path(entry.path) for entry in directory_entries(environment.path)):
        if path != configuration:
            _remove(path)
    _remove(configuration)


def _is_virtual(environment: Environment) -> bool:
    if is_whole_python(environment):
        return False
    if (environment.path / "pyvenv.cfg").exists():
        return True
    names = {entry.name for entry in directory_entries(environment.path)}
    has_traces = not names or "CACHEDIR.TAG" in names or environment.site_packages
    return names <= _USUAL and bool(has_traces)  # uv begins with CACHEDIR.TAG


def _keep(configuration: Path) -> None:
    try:
        configuration.touch()
    except OSError as error:
        raise unwritable(str(configuration), error) from error


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return  # it is gone, or was never there: a legacy .egg-info may be a file
    except OSError as error:
        raise unwritable(str(path), error) from error
