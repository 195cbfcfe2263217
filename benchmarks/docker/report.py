"""What was measured as docs/explanation/docker-measured.md: page.md with its tables. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.docker.claims import Claim
from benchmarks.docker.race import Turn

HEADS = (
    "image",
    "compressed",
    "cold build",
    "rebuild after an edit",
    "after one more dependency",
    "start to first 200",
    "pushed after an edit",
    "user",
    "uv, gcc inside",
)


def page(template: str, told: Mapping[str, Any]) -> str:
    """`template` with the tables of `told`, which is what compare.py writes as JSON."""
    for lines in tables(told):
        template = into(template, lines)
    return template


def tables(told: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The lines of each table: what was measured of each service, claimed, and with what."""
    claims = [Claim(**claim) for claim in told["claims"]]
    measured_tables = (tuple(measured(*service)) for service in medians_of(told).items())
    return (*measured_tables, tuple(judged(claims)), tuple(around(told["services"])))


def medians_of(told: Mapping[str, Any]) -> dict[str, dict[str, Turn]]:
    """The medians, by the name of the service and that of the contender."""
    return {
        service: {name: Turn(**turn) for name, turn in of["medians"].items()}
        for service, of in told["services"].items()
    }


def measured(service: str, turns: Mapping[str, Turn]) -> Iterator[str]:
    """The lines of the table of turns, each under the name of its contender."""
    yield _row((service, *HEADS))
    yield f"|---{'|--:' * 7}|---|---|"
    yield from (row(name, turn) for name, turn in turns.items())


def row(name: str, turn: Turn) -> str:
    cells = (
        name,
        f"{turn.image:.0f} MB",
        f"{turn.compressed:.0f} MB",
        *(_seconds(s) for s in (turn.cold, turn.edit, turn.dependency, turn.start)),
        f"{turn.pushed:.2f} MB",
        turn.user,
        ", ".join(turn.programs) or "–",  # noqa: RUF001  the sign for none
    )
    return _row(cells)


def around(services: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table of what each service was measured with."""
    yield _row(("measured with", *services))
    yield f"|---{'|--:' * len(services)}|"
    machines = [of["machine"] for of in services.values()]
    yield from (_row((name, *(str(each[name]) for each in machines))) for name in machines[0])


def judged(claims: Sequence[Claim]) -> Iterator[str]:
    """The lines of the table of claims."""
    services = [*claims[0].values]
    yield _row(("claim", *services, "at most", ""))
    yield f"|---{'|--:' * len(services)}|--:|---|"
    for claim in claims:
        verdict = "holds" if claim.holds else "**does not hold**"
        values = [_figure(claim.values[service]) for service in services]
        yield _row((claim.text, *values, f"{claim.limit:g}", verdict))


def into(page: str, table: Sequence[str]) -> str:
    """`page` with `table` in place of that with the same head; raises ValueError for none."""
    old = rf"^{re.escape(table[0])}\n(\|.*\n)*"
    renewed, count = re.subn(old, lambda _: "\n".join((*table, "")), page, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{count} tables begin with {table[0]}")
    return renewed


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def _figure(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1 else f"{value:.0f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
