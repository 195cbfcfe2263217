from pathlib import Path

import pytest

from uvflow.standing import (
    Reason,
    Standing,
    Status,
    as_json,
    headline,
    rows,
    verdict_line,
)


def status(*states: Standing) -> Status:
    reasons = (Reason(aspect=f"a{n}", state=s, message=f"m{n}") for n, s in enumerate(states))
    return Status(
        profile="dev", chosen_by="", environment=Path("/shop/.venv"), reasons=tuple(reasons)
    )


@pytest.mark.parametrize(
    ("states", "verdict", "code"),
    [
        ((Standing.OK,), Standing.OK, 0),
        ((Standing.OK, Standing.NOTE), Standing.OK, 0),
        ((Standing.NOTE, Standing.UNKNOWN), Standing.UNKNOWN, 0),
        ((Standing.OUT_OF_SYNC, Standing.UNKNOWN), Standing.OUT_OF_SYNC, 4),
        ((Standing.STALE, Standing.OUT_OF_SYNC), Standing.STALE, 3),
        ((Standing.STALE, Standing.UNUSABLE), Standing.UNUSABLE, 7),
        ((Standing.DAMAGED, Standing.STALE, Standing.OUT_OF_SYNC), Standing.DAMAGED, 5),
    ],
)
def test_the_worst_decides(states: tuple[Standing, ...], verdict: Standing, code: int) -> None:
    assert (status(*states).verdict, status(*states).exit_code) == (verdict, code)


def test_the_verdict_in_words() -> None:
    assert headline(status(Standing.OK)) == "In sync: dev"
    assert headline(status(Standing.UNKNOWN)) == "In sync as far as can be told: dev"
    assert headline(status(Standing.OUT_OF_SYNC)) == "Out of sync: dev"
    assert headline(status(Standing.STALE)) == "Lockfile stale: dev"
    assert headline(status(Standing.UNUSABLE)) == "No usable uv: dev"
    assert headline(status(Standing.DAMAGED)) == "Environment damaged: dev"
    assert verdict_line(status(Standing.NOTE)) == "Already in sync: dev"
    assert verdict_line(status(Standing.OK, Standing.STALE)) == "Lockfile stale: dev; a1: m1"


def test_one_line_tells_how_many_more_there_are() -> None:
    removed = Reason(aspect="lockfile", state=Standing.STALE, message="`six` was removed")
    reasons = (removed, removed, removed, Reason(aspect="uv", state=Standing.OK, message="uv 1"))
    told = Status(profile="dev", chosen_by="", environment=Path(), reasons=reasons)
    assert verdict_line(told) == (
        "Lockfile stale: dev; lockfile: `six` was removed (and 2 more, see `uvflow status`)"
    )


def test_rows_are_aligned_and_hints_told_once() -> None:
    reasons = (
        Reason(aspect="lockfile", state=Standing.STALE, message="one", hint="do"),
        Reason(aspect="lockfile", state=Standing.STALE, message="two", hint="do"),
        Reason(aspect="uv", state=Standing.OK, message="three"),
    )
    told = Status(profile="dev", chosen_by="", environment=Path(), reasons=reasons)
    assert list(rows(told, verbose=False)) == [
        ("lockfile", "stale", "one"),
        ("        ", "stale", "two"),
        ("        ", "     ", "hint: do"),
        ("uv      ", "ok   ", "three"),
    ]


def test_json_has_every_reason() -> None:
    assert as_json(status(Standing.OK)) == {
        "profile": "dev",
        "chosen_by": "",
        "environment": str(Path("/shop/.venv")),
        "verdict": "ok",
        "reasons": [{"aspect": "a0", "state": "ok", "message": "m0", "hint": ""}],
    }
