from pathlib import Path

import pytest

from uvflow.environment import Damage, Kind
from uvflow.status import (
    Reason,
    Standing,
    Status,
    Verified,
    as_json,
    changes,
    damage_lines,
    headline,
    outcome,
    rows,
    verdict_line,
)


def status(*states: Standing) -> Status:
    reasons = (Reason(aspect=f"a{n}", state=s, message=f"m{n}") for n, s in enumerate(states))
    return Status(
        profile="dev", chosen_by="", environment=Path("/shop/.venv"), reasons=tuple(reasons)
    )


def verified(*damages: Damage, repaired: tuple[str, ...] = ()) -> Verified:
    return Verified(
        profile="dev",
        chosen_by="by default",
        environment=Path("/shop/.venv"),
        damages=damages,
        repaired=repaired,
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
    assert verdict_line(status(Standing.NOTE)) == "Already in sync: dev"
    assert verdict_line(status(Standing.OK, Standing.STALE)) == "Stale: dev; a1: m1"


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


def test_what_uv_would_change_is_one_sentence_a_distribution() -> None:
    said = """Would use project environment at: .venv
Would uninstall 3 packages
Would install 4 packages
 - attrs==23.1.0
 + attrs==25.1.0
 + idna==3.10
 - toml==0.10.1
 ~ shop==0.1.0 (from file:///shop)
 - lib==0.1.0 (from file:///shop/lib)
 + lib @ file:///shop/lib
error: The environment is outdated; run `uv sync` to update the environment
"""
    assert changes(said) == (
        "attrs is 23.1.0 instead of 25.1.0",
        "idna 3.10 is missing",
        "toml 0.10.1 is not asked for",
        "shop is not what its source is now",
        "lib is not what its source is now",
    )


def test_a_few_files_of_each_distribution_are_told() -> None:
    many = [Damage(kind=Kind.MISSING, path=f"a/{n}", distribution="a") for n in range(7)]
    stray = Damage(kind=Kind.ORPHAN, path="stray.py")
    told = list(damage_lines(verified(*many, stray), verbose=False))
    assert told == [
        "orphan: stray.py",
        *(f"a: missing: a/{n}" for n in range(5)),
        "  and 2 more (`--verbose` tells them)",
    ]
    assert len(list(damage_lines(verified(*many, stray), verbose=True))) == 8


def test_the_outcome_in_words() -> None:
    stray = Damage(kind=Kind.ORPHAN, path="stray.py")
    assert outcome(verified()) == "Intact: dev (by default)"
    assert outcome(verified(repaired=("a", "b"))) == "Repaired: dev (by default); a, b"
    assert outcome(verified(stray)) == (
        "Damaged: dev (by default); `uvflow verify --repair` installs it again"
    )
