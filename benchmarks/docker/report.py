"""What was measured as the tables of page.md. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.docker.claims import Claim
from benchmarks.docker.race import Turn

HEADS = (
    "",
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


def measured(turns: Mapping[str, Turn]) -> Iterator[str]:
    """The lines of the table of turns, each under the name of its contender."""
    yield _row(HEADS)
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


def around(machine: Mapping[str, object]) -> Iterator[str]:
    """The lines of the table of what was measured on."""
    yield _row(("measured with", ""))
    yield "|---|--:|"
    yield from (_row((name, str(value))) for name, value in machine.items())


def judged(claims: Sequence[Claim]) -> Iterator[str]:
    """The lines of the table of claims."""
    yield _row(("claim", "measured", "at most", ""))
    yield "|---|--:|--:|---|"
    for claim in claims:
        verdict = "holds" if claim.holds else "**does not hold**"
        yield _row((claim.text, f"{claim.value:.3f}", f"{claim.limit:.2f}", verdict))


def into(page: str, table: Sequence[str]) -> str:
    """`page` with `table` in place of the one that has the same head."""
    old = rf"^{re.escape(table[0])}\n(\|.*\n)*"
    return re.sub(old, lambda _: "\n".join((*table, "")), page, flags=re.MULTILINE)


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
