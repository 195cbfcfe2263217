from pathlib import Path

import pytest

from uvflow.environment.context import Subject
from uvflow.environment.status import (
    Check,
    Status,
    format_rows,
    planned_changes,
    status_as_json,
    verdict_line,
)
from uvflow.lockfile.check import Level

DEV = Subject("dev", "", Path("/shop/.venv"))


def status(*states: Level) -> Status:
    reasons = (Check(aspect=f"a{n}", level=s, message=f"m{n}") for n, s in enumerate(states))
    return Status(subject=DEV, checks=tuple(reasons))


@pytest.mark.parametrize(
    ("states", "verdict", "code"),
    [
        ((Level.OK,), Level.OK, 0),
        ((Level.OK, Level.NOTE), Level.OK, 0),
        ((Level.NOTE, Level.UNKNOWN), Level.UNKNOWN, 0),
        ((Level.OUT_OF_SYNC, Level.UNKNOWN), Level.OUT_OF_SYNC, 4),
        ((Level.STALE, Level.OUT_OF_SYNC), Level.STALE, 3),
        ((Level.STALE, Level.UNUSABLE), Level.UNUSABLE, 7),
        ((Level.DAMAGED, Level.STALE, Level.OUT_OF_SYNC), Level.DAMAGED, 5),
    ],
)
def test_the_worst_decides(states: tuple[Level, ...], verdict: Level, code: int) -> None:
    assert (status(*states).verdict, status(*states).exit_code) == (verdict, code)


def test_the_verdict_in_words() -> None:
    assert status(Level.OK).headline == "In sync: dev"
    assert status(Level.UNKNOWN).headline == "In sync as far as known: dev"
    assert status(Level.OUT_OF_SYNC).headline == "Out of sync: dev"
    assert status(Level.STALE).headline == "Lockfile stale: dev"
    assert status(Level.UNUSABLE).headline == "No usable uv: dev"
    assert status(Level.DAMAGED).headline == "Environment damaged: dev"
    assert verdict_line(status(Level.NOTE)) == "Already in sync: dev"
    assert verdict_line(status(Level.OK, Level.STALE)) == "Lockfile stale: dev; a1: m1"


def test_one_line_has_the_number_of_other_reasons() -> None:
    removed = Check(aspect="lockfile", level=Level.STALE, message="`six` was removed")
    reasons = (removed, removed, removed, Check(aspect="uv", level=Level.OK, message="uv 1"))
    stale = Status(subject=DEV, checks=reasons)
    assert verdict_line(stale) == (
        "Lockfile stale: dev; lockfile: `six` was removed (and 2 more, see `uvflow status`)"
    )


def test_rows_are_aligned_and_hints_appear_once() -> None:
    reasons = (
        Check(aspect="lockfile", level=Level.STALE, message="one", hint="do"),
        Check(aspect="lockfile", level=Level.STALE, message="two", hint="do"),
        Check(aspect="uv", level=Level.OK, message="three"),
    )
    assert list(format_rows(reasons, verbose=False)) == [
        ("lockfile", "stale", "one"),
        ("        ", "stale", "two"),
        ("        ", "     ", "hint: do"),
        ("uv      ", "ok   ", "three"),
    ]


def test_json_has_every_reason() -> None:
    assert status_as_json(status(Level.OK)) == {
        "profile": "dev",
        "chosen_by": "",
        "environment": str(Path("/shop/.venv")),
        "verdict": "ok",
        "checks": [{"aspect": "a0", "level": "ok", "message": "m0", "hint": ""}],
        "receipt_digest": None,
    }


def test_planned_changes_are_one_sentence_for_each_distribution() -> None:
    output = """Would use project environment at: .venv
Would uninstall 3 packages
Would install 4 packages
 - attrs==23.1.0
 + attrs==25.1.0
 + idna==3.10
 - toml==0.10.1
 ~ shop==0.1.0 (from file:///shop)
 ~ six==1.17.0
 - lib==0.1.0 (from file:///shop/lib)
 + lib @ file:///shop/lib
error: The environment is outdated; run `uv sync` to update the environment
"""
    assert planned_changes(output) == (
        "attrs is 23.1.0 instead of 25.1.0",
        "idna 3.10 is missing",
        "toml 0.10.1 is not asked for",
        "shop has changed at its source since it was installed",
        "six is to be installed again",
        "lib has changed at its source since it was installed",
    )
