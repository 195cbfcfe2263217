"""`uvflow verify`: the files of an environment against its RECORD files, and mending them."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from uvflow.environment import integrity, known_defects, repair
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage
from uvflow.environment.repair import Depth, RepairResult
from uvflow.environment.sync import repair_environment
from uvflow.errors import DamagedError
from uvflow.fingerprint import profile_with_origin
from uvflow.project.manifest import Project
from uvflow.project.profiles import Choice
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress

_SHOWN = 5  # how many files of one distribution are told


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the RECORD files tell of an environment.

    `poisoned` are the distributions whose damage is in uv's cache as well; `flaws` are no damage:
    their wheels are known to bring them along, against their own RECORD.
    """

    profile: str
    chosen_by: str
    environment: Path
    damages: tuple[Damage, ...]
    poisoned: tuple[str, ...] = ()
    flaws: tuple[Damage, ...] = ()
    healed: RepairResult = field(default_factory=RepairResult)

    @property
    def exit_code(self) -> int:
        return DamagedError.exit_code if self.damages else 0


def verify(project: Project, choice: Choice, depth: Depth) -> Verification:
    """Everything that is wrong with the environment's files; writes nothing."""
    return _verification(SyncContext.of(project, choice), depth)


def verify_and_repair(
    project: Project,
    choice: Choice,
    depth: Depth,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress,
) -> Verification:
    """As `verify`, once what is damaged has been installed again; raises what `repair` raises."""
    work = SyncContext.of(project, choice)
    found = _verification(work, depth)
    if not found.damages:
        return found
    healed = repair_environment(work, depth, timeout=timeout, progress=progress)
    return replace(_verification(work, depth), healed=healed)


def _verification(work: SyncContext, depth: Depth) -> Verification:
    there = Environment.at(work.environment)
    found = repair.find_damage(there, depth)
    known = known_defects.known(work.state, there, found)
    damages = tuple(damage for damage in found if damage not in known)
    return Verification(
        profile=work.profile.name,
        chosen_by=work.chosen_by,
        environment=there.path,
        damages=damages,
        poisoned=integrity.shared_with_cache(there, damages),
        flaws=known,
    )


def damage_lines(verified: Verification, *, verbose: bool) -> Iterator[str]:
    """What is damaged, at most a few files of each distribution unless `verbose`."""
    ordered = sorted(verified.damages, key=lambda damage: damage.distribution)
    for _, some in itertools.groupby(ordered, key=lambda damage: damage.distribution):
        damages = list(some)
        shown = damages if verbose else damages[:_SHOWN]
        yield from map(str, shown)
        if len(shown) < len(damages):
            yield f"  and {len(damages) - len(shown)} more (`--verbose` tells them)"
    yield from map(known_defects.describe_defect, verified.flaws)
    if verified.poisoned:
        names = ", ".join(verified.poisoned)
        yield f"uv's cache has the same damage, and would install it anywhere: {names}"


def verdict(verified: Verification) -> str:
    """The verdict as one line."""
    profile = profile_with_origin(verified.profile, verified.chosen_by)
    if verified.damages:
        return f"Damaged: {profile}; `uvflow verify --repair` installs it again"
    done = list(verified.healed.repaired)
    if verified.healed.removed:
        done.append(f"{len(verified.healed.removed)} without an owner removed")
    if done:
        return f"Repaired: {profile}; {', '.join(done)}"
    return f"Intact: {profile}"


def verification_as_json(verified: Verification) -> dict[str, Any]:
    return {
        "profile": verified.profile,
        "chosen_by": verified.chosen_by,
        "environment": str(verified.environment),
        "damages": [asdict(damage) for damage in verified.damages],
        "poisoned": list(verified.poisoned),
        "flaws": [asdict(flaw) for flaw in verified.flaws],
        "repaired": list(verified.healed.repaired),
        "removed": [damage.path for damage in verified.healed.removed],
    }
