"""Is an environment what its installer left, and healing it where it is not.

Used after each sync, and by `uvflow verify`. What is told of an environment comes from its RECORD
files (environment.py); what is done here is to install again what they tell is damaged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from uvflow import environment
from uvflow.environment import Damage, Environment
from uvflow.errors import DamagedError
from uvflow.state import Tell

# A repair may bring to light what the damage hid: unfinished installs, then files that nobody owns.
_ROUNDS = 3


class Depth(IntEnum):
    """How closely to look. The costs are for 13,000 files in 55 distributions."""

    COMMITMENT = 0  # what an interrupted uv leaves, by the metadata alone; 7 ms
    FILES = 1  # every recorded file is there with its size, and no others are; 120 ms
    HASHES = 2  # every recorded file is what was installed; 0.5 to 2 s


@dataclass(frozen=True, kw_only=True)
class Patient:
    """An environment, and how it is filled.

    `install` installs what is missing of it; `forget_cached` drops the named distributions from
    uv's cache. What lies outside `workspace` is never removed whole.
    """

    environment: Path
    workspace: Path
    install: Callable[[], None]
    forget_cached: Callable[[tuple[str, ...]], None]


def heal(patient: Patient, depth: Depth, tell: Tell) -> tuple[str, ...]:
    """Install again what is damaged, until nothing is; returns the names of the distributions.

    Raises DamagedError when the environment does not heal, and what `patient.install` raises.
    """
    repaired: dict[str, None] = {}
    for _ in range(_ROUNDS):
        damages = examine(Environment.at(patient.environment), depth)
        if not damages:
            return tuple(repaired)
        tell(f"Repairing {patient.environment.name}: {summary(damages)}")
        repaired.update(dict.fromkeys(environment.for_reinstall(damages)))
        _repair(patient, damages)
        patient.install()
        depth = max(depth, Depth.FILES)
    damages = examine(Environment.at(patient.environment), depth)
    if damages:
        raise DamagedError(
            f"{patient.environment} is damaged, and does not heal",
            cause=summary(damages),
            hint=f"remove {patient.environment} and sync again; `uv cache clean` if that fails too",
        )
    return tuple(repaired)


def examine(there: Environment, depth: Depth) -> tuple[Damage, ...]:
    """What is wrong with an environment; later evidence only where earlier evidence is whole."""
    found = environment.unfinished(there)
    if found or depth is Depth.COMMITMENT:
        return found
    missing = environment.missing(there)
    edited = environment.edited(there) if depth is Depth.HASHES else ()
    # Orphans can be told only where every RECORD is whole.
    return (*missing, *edited) or environment.orphans(there)


def survey(there: Environment, depth: Depth) -> tuple[Damage, ...]:
    """Everything that is wrong with an environment, as far as it can be told at once."""
    unfinished = environment.unfinished(there)
    if not there.path.is_dir():
        return unfinished
    missing = environment.missing(there)
    edited = environment.edited(there) if depth is Depth.HASHES else ()
    # Orphans can be told only where every RECORD is whole.
    orphans = () if unfinished else environment.orphans(there)
    return tuple(dict.fromkeys((*unfinished, *missing, *edited, *orphans)))


def summary(damages: tuple[Damage, ...]) -> str:
    """The first three, and how many more there are."""
    first, others = damages[:3], len(damages[3:])
    return ", ".join(map(str, first)) + (f" and {others} more" if others else "")


def remove_ruins(patient: Patient, tell: Tell) -> None:
    """Empty an environment without its foundations; call it before uv runs.

    uv would refuse to go on with it for good, or take the base Python for the environment and
    remove from that what the lockfile does not list (see `environment.foundations`). Raises
    DamagedError and UsageError where it is not the project's own.
    """
    there = Environment.at(patient.environment)
    damages = environment.foundations(there)
    if there.path.exists() and damages:
        tell(f"Making {patient.environment.name} anew: {summary(damages)}")
        _remove_whole(patient, there, damages)


def _repair(patient: Patient, damages: tuple[Damage, ...]) -> None:
    there = Environment.at(patient.environment)
    if not there.path.exists():
        return
    if environment.needs_rebuild(damages):
        _remove_whole(patient, there, damages)
        return
    shared = environment.shared_with_cache(there, damages)
    if shared:  # uv would install the same damage again
        patient.forget_cached(shared)
    environment.forget_distributions(there, environment.for_reinstall(damages))
    environment.remove_orphans(there, damages)


def _remove_whole(patient: Patient, there: Environment, damages: tuple[Damage, ...]) -> None:
    """Only what is the project's own is removed, never a Python that is used as an environment."""
    if not there.path.is_relative_to(patient.workspace):
        raise DamagedError(
            f"{there.path} is damaged, and lies outside the project",
            cause=summary(damages),
            hint="name another directory for the environment, or empty this one and sync again",
        )
    environment.remove(there)
