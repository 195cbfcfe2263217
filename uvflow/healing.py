"""Is an environment what its installer left, and healing it where it is not.

Used after each sync, and by `uvflow verify`. What is told of an environment comes from its RECORD
files (proof.py); what is done here is to install again what they tell is damaged.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

from uvflow import elsewhere, flaws, proof, removal
from uvflow.environment import Environment, is_made_since
from uvflow.errors import DamagedError
from uvflow.proof import Damage, Kind
from uvflow.state import State, Tell

# A repair may bring to light what the damage hid: unfinished installs, then files that nobody owns;
# and what a distribution from uv's cache does not mend, one that is fetched anew may.
_ROUNDS = 4

_SHOWN = 3  # how many are told in one line


class Depth(IntEnum):
    """How closely to look. The costs are for 13,000 files in 55 distributions."""

    COMMITMENT = 0  # what an interrupted uv leaves, by the metadata alone; 7 ms
    FILES = 1  # every recorded file is there with its size, and no others are; 120 ms
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
class Healed:
    """What was done: distributions installed again, orphans removed; and what wheels brought so.

    `filled` is when uv was last at work, in seconds of `time.monotonic`.
    """

    repaired: tuple[str, ...] = ()
    removed: tuple[Damage, ...] = ()
    flaws: tuple[Damage, ...] = ()
    filled: float = field(default=0.0, compare=False)


def heal(patient: Patient, depth: Depth, tell: Tell) -> Healed:
    """Fill it, and install again what is damaged until nothing is but what its wheel brought so.

    Raises DamagedError when the environment does not heal, and what `patient` raises.
    """
    course = _look_before(patient, depth)
    if course.damages:
        course = _take_away(patient, course, tell)
        depth = max(depth, Depth.FILES)
    patient.fill()
    for _ in range(_ROUNDS):
        course = _look(patient, depth, course)
        if not course.damages:
            return _healed(patient, course)
        course = _take_away(patient, course, tell)
        patient.install()
        depth = max(depth, Depth.FILES)
    course = _look(patient, depth, course)
    if course.damages:
        raise DamagedError(
            f"{patient.environment} is damaged, and does not heal",
            cause=summary(course.damages),
            hint=f"remove {patient.environment} and sync again; `uv cache clean` if that fails too",
        )
    return _healed(patient, course)


@dataclass(frozen=True, kw_only=True)
class _Course:
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


def _look_before(patient: Patient, depth: Depth) -> _Course:
    """uv refuses to go on where the metadata of a distribution is torn; what nobody owns it may."""
    if proof.foundations(Environment.at(patient.environment)):
        return _Course()
    course = _look(patient, depth, _Course())
    return replace(course, damages=tuple(d for d in course.damages if d.distribution))


def _look(patient: Patient, depth: Depth, course: _Course) -> _Course:
    there = Environment.at(patient.environment)
    seen = (*course.damages, *course.flaws)
    looked = time.monotonic()
    found = examine(there, depth)
    known = flaws.known(patient.state, there, found)
    own = tuple(d for d in found if d in known or (d in seen and _is_proven(d, course)))
    damages = tuple(damage for damage in found if damage not in own)
    return replace(course, damages=damages, flaws=own, seen=seen, looked=looked)


def _is_proven(damage: Damage, course: _Course) -> bool:
    """Whether it is the wheel that brings this, seeing that it is there again.

    What was fetched anew is as its wheel has it. An orphan was removed, so uv has brought it back:
    uv before 0.12 installs files that the wheel's RECORD does not list.
    """
    return flaws.can_be_one(damage) and (
        damage.kind is Kind.ORPHAN or damage.distribution in course.fetched
    )


def _healed(patient: Patient, course: _Course) -> Healed:
    if course.flaws:
        flaws.remember(patient.state, Environment.at(patient.environment), course.flaws)
    removed = tuple(d for d in course.removed if d not in course.flaws)
    return Healed(
        repaired=course.repaired, removed=removed, flaws=course.flaws, filled=course.looked
    )


def _take_away(patient: Patient, course: _Course, tell: Tell) -> _Course:
    tell(f"Repairing {patient.environment.name}: {summary(course.damages)}")
    names = proof.for_reinstall(course.damages)
    fetched = _repair(patient, course)
    return replace(
        course,
        fetched=course.fetched.union(fetched),
        repaired=tuple(dict.fromkeys((*course.repaired, *names))),
        removed=tuple(dict.fromkeys((*course.removed, *_orphans(course.damages)))),
    )


def _orphans(damages: Iterable[Damage]) -> Iterator[Damage]:
    return (damage for damage in damages if damage.kind is Kind.ORPHAN)


def _repair(patient: Patient, course: _Course) -> tuple[str, ...]:
    """Take away what is damaged; returns the names of what uv has to fetch anew."""
    there = Environment.at(patient.environment)
    if not there.path.exists():
        return ()
    if proof.needs_rebuild(course.damages):
        _remove_whole(patient, there, map(str, course.damages))
        return ()
    again = (d for d in course.damages if d in course.seen and flaws.can_be_one(d))
    shared = proof.shared_with_cache(there, course.damages)  # uv would install the same again
    fetched = tuple(sorted({*shared, *proof.for_reinstall(again)}))
    if fetched:
        patient.forget_cached(fetched)
    suspects = proof.possible_owners(there, course.damages)
    if suspects:
        suspects = patient.given_back(suspects)
    damaged = proof.for_reinstall(course.damages)
    removal.forget_distributions(there, (*damaged, *suspects))
    removal.drop_byte_code(there)  # it may be of another version, and fit by time and size
    removal.remove_orphans(there, course.damages)
    return fetched


def examine(there: Environment, depth: Depth) -> tuple[Damage, ...]:
    """Everything that is wrong with an environment, as far as it can be told at once."""
    unfinished = proof.unfinished(there)
    if depth is Depth.COMMITMENT or not there.path.is_dir():
        return unfinished
    missing = proof.missing(there)
    edited = proof.edited(there) if depth is Depth.HASHES else ()
    # Orphans can be told only where every RECORD is whole.
    is_whole = all(map(flaws.can_be_one, unfinished))
    orphans = proof.orphans(there) if is_whole else ()
    return tuple(dict.fromkeys((*unfinished, *missing, *edited, *orphans)))


def summary(reasons: Iterable[object]) -> str:
    """The first three, and how many more there are."""
    told = tuple(map(str, reasons))
    others = len(told[_SHOWN:])
    return ", ".join(told[:_SHOWN]) + (f" and {others} more" if others else "")


def remove_ruins(patient: Patient, tell: Tell, *, lost_since: float = math.inf) -> None:
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
    reasons = [*map(str, proof.foundations(there)), *elsewhere.moved(there)]
    if is_made_since(there, lost_since):
        reasons.append("it was being made when the machine may have gone down")
    if reasons:
        tell(f"Making {patient.environment.name} anew: {summary(reasons)}")
        _remove_whole(patient, there, reasons)


def _remove_whole(patient: Patient, there: Environment, reasons: Iterable[str]) -> None:
    """Only what is the project's own is removed, never a Python that is used as an environment."""
    if not there.path.is_relative_to(patient.workspace):
        raise DamagedError(
            f"{there.path} is damaged, and lies outside the project",
            cause=summary(reasons),
            hint="name another directory for the environment, or empty this one and sync again",
        )
    removal.remove(there)
