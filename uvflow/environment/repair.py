"""Repair an environment: find what is damaged, and remove it so that uv reinstalls it.

`environment.sync` runs uv between the rounds; nothing here calls uv. What is damaged is read from
RECORD files (integrity.py).
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from uvflow.environment import integrity, known_defects
from uvflow.environment.installed import (
    BYTE_CODE,
    Environment,
    directory_entries,
    distributions,
    is_created_since,
    leftover_data_directories,
)
from uvflow.environment.integrity import Damage, DamageKind
from uvflow.environment.ownership import make_room
from uvflow.environment.relocation import relocation_problems
from uvflow.errors import unwritable
from uvflow.files import is_inside, remove
from uvflow.state.store import Progress, State

_SHOWN = 3  # reasons in one line


class Depth(IntEnum):
    """How closely to look. The costs are for 13,000 files in 55 distributions."""

    METADATA = 0  # only the metadata, which shows what an interrupted uv leaves; 7 ms
    SIZES = 1  # every recorded file exists with its size, and no others do; 120 ms
    HASHES = 2  # every recorded file has its hash; 0.5 to 2 s


def find_damage(environment: Environment, depth: Depth) -> tuple[Damage, ...]:
    """What is wrong with an environment; a repair may reveal more."""
    unfinished = integrity.metadata_damage(environment)
    if depth is Depth.METADATA or not environment.path.is_dir():
        return unfinished
    sizes = integrity.size_damage(environment)
    hashes = integrity.hash_damage(environment) if depth is Depth.HASHES else ()
    # Orphans can only be identified where every RECORD is complete.
    is_whole = all(map(known_defects.can_be_defect, unfinished))
    orphans = integrity.orphans(environment) if is_whole else ()
    return tuple(dict.fromkeys((*unfinished, *sizes, *hashes, *orphans)))


def summary(reasons: Iterable[object]) -> str:
    """The first three reasons, and the number of others."""
    texts = tuple(map(str, reasons))
    others = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {others} more" if others > 0 else "")


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """What a repair has seen and done, up to now or in the end.

    `damages` and `known_defects` are of the last inspection, `seen` is both of the one before it.
    `refetched` are distributions that were dropped from uv's cache before they were reinstalled,
    `repaired` all that were reinstalled, `removed` the orphans.
    """

    repaired: tuple[str, ...] = ()
    removed: tuple[Damage, ...] = ()
    known_defects: tuple[Damage, ...] = ()
    damages: tuple[Damage, ...] = ()
    seen: tuple[Damage, ...] = ()
    refetched: frozenset[str] = frozenset()

    def inspected(self, environment: Environment, depth: Depth, state: State) -> "RepairResult":
        """This result after another inspection of the environment."""
        problems = find_damage(environment, depth)
        known = known_defects.select_known(state, environment, problems)
        seen = (*self.damages, *self.known_defects)
        defects = tuple(p for p in problems if p in known or (p in seen and self._is_defect(p)))
        damages = tuple(problem for problem in problems if problem not in defects)
        return replace(self, damages=damages, known_defects=defects, seen=seen)

    def _is_defect(self, damage: Damage) -> bool:
        """Whether this damage, which is back after a repair, comes from the wheel itself.

        A distribution that was downloaded again is as its wheel has it. An orphan was removed, so
        uv has reinstalled it: uv before 0.12 installs files that the wheel's RECORD does not list.
        """
        return known_defects.can_be_defect(damage) and (
            damage.kind is DamageKind.ORPHAN or damage.distribution in self.refetched
        )

    def to_refetch(self, environment: Environment) -> tuple[str, ...]:
        """The distributions that uv would reinstall from its cache with the same damage."""
        if integrity.needs_rebuild(self.damages):
            return ()
        again = (d for d in self.damages if d in self.seen and known_defects.can_be_defect(d))
        shared = integrity.shared_with_cache(environment, self.damages)
        return tuple(sorted({*shared, *integrity.damaged_distributions(again)}))

    def finished(self, environment: Environment, state: State) -> "RepairResult":
        """The final result: known defects are recorded, and do not count as removed."""
        if self.known_defects:
            known_defects.record_defects(state, environment, self.known_defects)
        removed = tuple(d for d in self.removed if d not in self.known_defects)
        return replace(self, removed=removed)


def remove_damaged(
    environment: Environment,
    result: RepairResult,
    *,
    refetched: Iterable[str],
    reinstallable: Callable[[tuple[str, ...]], tuple[str, ...]],
) -> RepairResult:
    """Remove the `damages` of `result`, so that the next `uv sync` reinstalls what they affect.

    `reinstallable` selects, of distributions that an orphan may come from, those that uv would
    reinstall. Raises DiskError, and what `clear_unusable` raises.
    """
    damages = result.damages
    if not environment.path.exists():
        pass  # uv recreates it
    elif integrity.needs_rebuild(damages):
        make_room(environment, map(str, damages))
    else:
        suspects = integrity.possible_owners(environment, damages)
        names = (
            *integrity.damaged_distributions(damages),
            *(reinstallable(suspects) if suspects else ()),
        )
        remove_metadata(environment, names)
        drop_byte_code(environment)  # it may be of another version and match in time and size
        remove_orphans(environment, damages)
    orphans = (damage for damage in damages if damage.kind is DamageKind.ORPHAN)
    names = integrity.damaged_distributions(damages)
    return replace(
        result,
        refetched=result.refetched.union(refetched),
        repaired=tuple(dict.fromkeys((*result.repaired, *names))),
        removed=tuple(dict.fromkeys((*result.removed, *orphans))),
    )


def remove_metadata(environment: Environment, names: Iterable[str]) -> None:
    """Remove the metadata of distributions, so that the next `uv sync` reinstalls them.

    uv overwrites their files in every link mode; `remove_orphans` removes what the new version does
    not have. Raises DiskError.
    """
    names = set(names)
    for data in leftover_data_directories(environment):
        if data.name in names:
            _remove(data.path, environment)
    for distribution in distributions(environment):
        if distribution.name in names:
            # First, so that an interruption here leaves damage that is visible.
            _remove(distribution.path / "METADATA", environment)
            _remove(distribution.path, environment)


def remove_orphans(environment: Environment, damages: Iterable[Damage]) -> None:
    """Remove the orphans among `damages`. Raises DiskError."""
    for damage in damages:
        if damage.kind is DamageKind.ORPHAN:
            _remove(environment.path / damage.path, environment)


def drop_byte_code(environment: Environment) -> None:
    """Remove the byte code in site-packages; Python and uv compile it again.

    No RECORD lists it, and Python uses it where time and size of its source match. It may be of
    another version, or truncated, which makes every import fail (importlib does not catch
    EOFError). Raises DiskError.
    """
    for site_packages in environment.site_packages:
        for folder, _, names in os.walk(site_packages):
            if folder.endswith("__pycache__"):
                for name in filter(BYTE_CODE.search, names):
                    _remove(Path(folder, name), environment)


def clear_unusable(environment: Environment, progress: Progress, *, created_since: float) -> None:
    """Set aside an environment that lacks basics or was created elsewhere, before uv runs.

    In the first, uv would always fail, or use the base Python as the environment and remove from
    that what the lockfile does not list (see `integrity.missing_basics`); in the second it would
    leave scripts that run another Python. An environment created after `created_since` (seconds
    since the epoch), when the machine may have gone down, is set aside as well: no RECORD says
    whether its own files reached the disk. Raises DamagedError where something in it is not an
    environment's.
    """
    path = environment.path
    if not path.exists() or (path.is_dir() and not directory_entries(path)):
        return  # uv fills an empty directory
    reasons = [*map(str, integrity.missing_basics(environment)), *relocation_problems(environment)]
    if is_created_since(environment, created_since):
        reasons.append("it was being created when the machine may have gone down")
    if reasons:
        progress(f"Recreating {path.name}: {summary(reasons)}")
        make_room(environment, reasons)


def _remove(path: Path, environment: Environment) -> None:
    """Never through a link that leads out of the environment."""
    if not is_inside(path.parent, environment.path):
        return
    try:
        remove(path)
    except NotADirectoryError:
        return  # it never existed: a legacy .egg-info may be a file
    except OSError as error:
        raise unwritable(str(path), error) from error
