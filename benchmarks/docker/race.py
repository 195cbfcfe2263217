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
from benchmarks.docker.service import Service

PROGRAMS = frozenset({"uv", "gcc"})  # what an image has no use for
STARTS = 5  # of each image in each round


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
    engine: Engine, place: Path, served: Service, entered: Sequence[Contender], rounds: int
) -> Iterator[tuple[str, Turn]]:
    """The name of a contender and its turn, as they are over; their order is random."""
    project = place / "service"
    served.lock(project)
    _fetch(engine, project, place, served, entered)
    layers = measures.Layers(engine)
    for number in range(rounds):
        order = random.sample(entered, len(entered))
        rivals = [_Rival.of(contender, served, project, place / f"{number}") for contender in order]
        cold = [rival.build(engine, "new", "--no-cache") for rival in rivals]
        starts = _starts(engine, rivals)
        for rival, seconds in zip(rivals, cold, strict=True):
            yield rival.contender.name, _turn(engine, layers, rival, seconds, starts[rival.tag])


def _fetch(
    engine: Engine, project: Path, place: Path, served: Service, entered: Sequence[Contender]
) -> None:
    """Have every base image here, so that no build has to wait for one."""
    for contender in entered:
        root = place / contender.tag
        shutil.copytree(project, root)
        contender.prepare(root, served, "")
        for image in contenders.images_named(root):
            if engine.docker("image", "inspect", image, check=False).returncode:
                engine.docker("pull", image)


@dataclass(frozen=True, kw_only=True)
class _Rival:
    """A contender in one round: a project of its own, and caches of its own."""

    contender: Contender
    served: Service
    root: Path
    nonce: str

    @classmethod
    def of(cls, contender: Contender, served: Service, project: Path, place: Path) -> "_Rival":
        root = place / contender.tag
        shutil.copytree(project, root)
        rival = cls(contender=contender, served=served, root=root, nonce=uuid.uuid4().hex)
        rival.edit(1)
        rival.prepare()
        return rival

    @property
    def tag(self) -> str:
        return f"compared-{self.contender.tag}"

    def edit(self, number: int) -> None:
        self.served.edit(self.root, f"{self.nonce} {number}")

    def prepare(self) -> None:
        self.contender.prepare(self.root, self.served, self.nonce)

    def build(self, engine: Engine, version: str, *options: str) -> float:
        """Seconds."""
        tag, caches = f"{self.tag}:{version}", measures.own_caches(self.nonce)
        return measures.seconds_to_build(engine, self.root, tag, *options, *caches)


def _starts(engine: Engine, rivals: Sequence[_Rival]) -> dict[str, float]:
    """Medians of seconds, by tag: all in turns, since a machine is not always equally fast."""
    seconds: dict[str, list[float]] = {rival.tag: [] for rival in rivals}
    for _ in range(STARTS):
        for rival in random.sample(rivals, len(rivals)):
            taken = measures.seconds_to_answer(engine, f"{rival.tag}:new")
            seconds[rival.tag].append(taken)
    return {tag: statistics.median(of) for tag, of in seconds.items()}


def _turn(
    engine: Engine, layers: measures.Layers, rival: _Rival, cold: float, start: float
) -> Turn:
    first, second, third = (f"{rival.tag}:{version}" for version in ("new", "edited", "more"))
    rival.edit(2)
    edit = rival.build(engine, "edited")
    service.with_one_more(rival.root)
    rival.prepare()
    dependency = rival.build(engine, "more")
    turn = Turn(
        image=measures.megabytes(engine, first),
        compressed=layers.megabytes(first),
        cold=cold,
        edit=edit,
        dependency=dependency,
        start=start,
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
