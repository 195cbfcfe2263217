"""Contenders in turns: each is built, started, edited and given one more dependency."""

import random
import shutil
import statistics
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from engine import Engine

from benchmarks.docker import contenders, measures, service
from benchmarks.docker.contenders import Contender

PROGRAMS = frozenset({"uv", "gcc"})  # what an image has no use for


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one contender is in one round: megabytes (10^6 bytes) and seconds."""

    image: float
    compressed: float
    cold: float
    edit: float
    dependency: float
    start: float
    pushed: float
    user: str
    programs: tuple[str, ...]


def race(
    engine: Engine, place: Path, entered: Sequence[Contender], rounds: int
) -> Iterator[tuple[str, Turn]]:
    """The name of a contender and its turn, as they are over; their order is random."""
    project = place / "service"
    service.locked(project)
    _fetch(engine, project, place, entered)
    layers = measures.Layers(engine)
    for number in range(rounds):
        for contender in random.sample(entered, len(entered)):
            root = place / f"{number}-{contender.tag}"
            shutil.copytree(project, root)
            yield contender.name, _turn(engine, layers, contender, root)


def _fetch(engine: Engine, project: Path, place: Path, entered: Sequence[Contender]) -> None:
    """Have every base image here, so that no build has to wait for one."""
    for contender in entered:
        root = place / contender.tag
        shutil.copytree(project, root)
        contender.prepare(root, "")
        for image in contenders.images_named(root):
            if engine.docker("image", "inspect", image, check=False).returncode:
                engine.docker("pull", image)


def _turn(engine: Engine, layers: measures.Layers, contender: Contender, root: Path) -> Turn:
    nonce = uuid.uuid4().hex
    first, second, third = (f"compared-{contender.tag}:{n}" for n in ("new", "edited", "more"))
    caches = measures.own_caches(nonce)

    service.edited(root, f"{nonce} 1")
    contender.prepare(root, nonce)
    cold = measures.seconds_to_build(engine, root, first, "--no-cache", *caches)
    starts = [measures.seconds_to_answer(engine, first) for _ in range(3)]

    service.edited(root, f"{nonce} 2")
    edit = measures.seconds_to_build(engine, root, second, *caches)

    service.with_one_more(root)
    contender.prepare(root, nonce)
    dependency = measures.seconds_to_build(engine, root, third, *caches)

    turn = Turn(
        image=measures.megabytes(engine, first),
        compressed=layers.megabytes(first),
        cold=cold,
        edit=edit,
        dependency=dependency,
        start=statistics.median(starts),
        pushed=layers.megabytes(second, beyond=layers.of(first)),
        user=engine.inspect(first)["Config"]["User"] or "root",
        programs=tuple(sorted(PROGRAMS & measures.programs(engine, first))),
    )
    engine.docker("image", "rm", "--force", first, second, third)
    return turn


def median(turns: Sequence[Turn]) -> Turn:
    """The median of every number."""
    columns = [field.name for field in fields(Turn) if field.type is float]
    found = {name: statistics.median(getattr(turn, name) for turn in turns) for name in columns}
    return replace(turns[0], **found)
