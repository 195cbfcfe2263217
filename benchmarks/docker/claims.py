"""What is claimed of the images that `uvflow docker` makes, to be judged by measured medians."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.docker.contenders import DEFAULT, DISTROLESS, EXAMPLE, SKETCH
from benchmarks.docker.race import Turn


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`value` is to be `limit` at most."""

    text: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        return self.value <= self.limit


def claims(medians: Mapping[str, Turn]) -> Iterator[Claim]:
    ours, smallest = medians[DEFAULT.name], medians[DISTROLESS.name]
    sketch, example = medians[SKETCH.name], medians[EXAMPLE.name]
    for text, mine, other, limit in (
        (f"image: {DEFAULT.name} / {SKETCH.name}", ours.image, sketch.image, 0.40),
        (f"rebuild after an edit: {DEFAULT.name} / {SKETCH.name}", ours.edit, sketch.edit, 0.05),
        (f"cold build: {DEFAULT.name} / {SKETCH.name}", ours.cold, sketch.cold, 0.35),
        (f"image: {DEFAULT.name} / {EXAMPLE.name}", ours.image, example.image, 1.05),
        (f"start: {DEFAULT.name} / {EXAMPLE.name}", ours.start, example.start, 0.60),
        (f"image: {DISTROLESS.name} / {EXAMPLE.name}", smallest.image, example.image, 0.70),
        (f"pushed after an edit, MB: {DEFAULT.name}", ours.pushed, 1.0, 0.20),
    ):
        yield Claim(text=text, value=mine / other, limit=limit)
