"""What is claimed of the images that `uvflow docker` makes, to be judged by measured medians.

Sizes are claimed as differences: what is left out or added does not depend on the service, and its
share does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.docker.contenders import DEFAULT, DISTROLESS, EXAMPLE, SKETCH
from benchmarks.docker.race import Turn

Medians = Mapping[str, Turn]  # by the name of the contender


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Each of `values`, which are by the name of the service, is to be `limit` at most."""

    text: str
    values: Mapping[str, float]
    limit: float

    @property
    def holds(self) -> bool:
        return max(self.values.values()) <= self.limit


def claims(measured: Mapping[str, Medians]) -> Iterator[Claim]:
    """The claims about `measured`, which is by the name of the service."""
    ours, smallest, sketch, example = (c.name for c in (DEFAULT, DISTROLESS, SKETCH, EXAMPLE))
    judged: tuple[tuple[str, Callable[[Medians], float], float], ...] = (
        (f"image: {ours} - {sketch}, MB", lambda m: m[ours].image - m[sketch].image, -250),
        (f"image: {ours} - {example}, MB", lambda m: m[ours].image - m[example].image, 15),
        (f"image: {smallest} - {example}, MB", lambda m: m[smallest].image - m[example].image, -50),
        (f"cold build: {ours} / {sketch}", lambda m: m[ours].cold / m[sketch].cold, 0.75),
        (f"rebuild after an edit: {ours} / {sketch}", lambda m: m[ours].edit / m[sketch].edit, 0.1),
        (f"start: {ours} / {example}", lambda m: m[ours].start / m[example].start, 0.8),
        (f"pushed after an edit: {ours}, MB", lambda m: m[ours].pushed, 0.2),
    )
    for text, value, limit in judged:
        values = {service: value(medians) for service, medians in measured.items()}
        yield Claim(text=text, values=values, limit=limit)
