"""`uvflow verify`: the files of an environment against its RECORD files, and mending them."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from uvflow import flaws, healing, proof
from uvflow.environment import Environment
from uvflow.errors import DamagedError
from uvflow.healing import Depth, Healed
from uvflow.profiles import Choice
from uvflow.project import Project
from uvflow.proof import Damage
from uvflow.snapshot import named
from uvflow.state import DEFAULT_TIMEOUT, Tell
from uvflow.sync import repair
from uvflow.work import Work

_SHOWN = 5  # how many files of one distribution are told


@dataclass(frozen=True, kw_only=True)
class Verified:
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
    healed: Healed = field(default_factory=Healed)

    @property
    def exit_code(self) -> int:
        return DamagedError.exit_code if self.damages else 0


def verify(project: Project, choice: Choice, depth: Depth) -> Verified:
    """Everything that is wrong with the environment's files; writes nothing."""
    return _verified(Work.of(project, choice), depth)


def heal(
    project: Project, choice: Choice, depth: Depth, *, timeout: float = DEFAULT_TIMEOUT, tell: Tell
) -> Verified:
    """As `verify`, once what is damaged has been installed again; raises what `repair` raises."""
    work = Work.of(project, choice)
    found = _verified(work, depth)
    if not found.damages:
        return found
    healed = repair(work, depth, timeout=timeout, tell=tell)
    return replace(_verified(work, depth), healed=healed)


def _verified(work: Work, depth: Depth) -> Verified:
    there = Environment.at(work.environment)
    found = healing.examine(there, depth)
    known = flaws.known(work.state, there, found)
    damages = tuple(damage for damage in found if damage not in known)
    return Verified(
        profile=work.profile.name,
        chosen_by=work.chosen_by,
        environment=there.path,
        damages=damages,
        poisoned=proof.shared_with_cache(there, damages),
        flaws=known,
    )


def lines(verified: Verified, *, verbose: bool) -> Iterator[str]:
    """What is damaged, at most a few files of each distribution unless `verbose`."""
    ordered = sorted(verified.damages, key=lambda damage: damage.distribution)
    for _, some in itertools.groupby(ordered, key=lambda damage: damage.distribution):
        damages = list(some)
        shown = damages if verbose else damages[:_SHOWN]
        yield from map(str, shown)
        if len(shown) < len(damages):
            yield f"  and {len(damages) - len(shown)} more (`--verbose` tells them)"
    yield from map(flaws.told, verified.flaws)
    if verified.poisoned:
        names = ", ".join(verified.poisoned)
        yield f"uv's cache has the same damage, and would install it anywhere: {names}"


def outcome(verified: Verified) -> str:
    """The verdict as one line."""
    profile = named(verified.profile, verified.chosen_by)
    if verified.damages:
        return f"Damaged: {profile}; `uvflow verify --repair` installs it again"
    done = list(verified.healed.repaired)
    if verified.healed.removed:
        done.append(f"{len(verified.healed.removed)} without an owner removed")
    if done:
        return f"Repaired: {profile}; {', '.join(done)}"
    return f"Intact: {profile}"


def as_json(verified: Verified) -> dict[str, Any]:
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
