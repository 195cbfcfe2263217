"""The tables of benchmarks/docker/compare.py, and the page that shows what it measured."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.docker import report
from benchmarks.docker.claims import Claim, claims
from benchmarks.docker.race import Turn, median

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "docker-measured.md"
TEMPLATE = (ROOT / "benchmarks" / "docker" / "page.md").read_text(encoding="utf-8")


def turn(**numbers: float) -> Turn:
    """A turn in which everything that is not named is 1."""
    ones = ("image", "compressed", "cold", "edit", "dependency", "start", "pushed")
    measured = {**dict.fromkeys(ones, 1.0), **numbers}
    return Turn(**measured, user="root", programs=("gcc",))


def test_a_median_is_one_of_each_column() -> None:
    turns = (turn(cold=9.0, edit=1.0), turn(cold=1.0, edit=3.0), turn(cold=2.0, edit=2.0))
    assert median(turns) == turn(cold=2.0, edit=2.0)


def test_a_claim_is_judged_by_what_it_is_at_most() -> None:
    assert Claim(text="", values={"Django": 0.1, "FastAPI": 0.4}, limit=0.4).holds
    assert not Claim(text="", values={"Django": 0.1, "FastAPI": 0.41}, limit=0.4).holds


def test_a_table_takes_the_place_of_the_one_with_its_head() -> None:
    page = "Text\n\n| a |\n|---|\n| old |\n| old |\n\n| b |\n|---|\n"
    renewed = "Text\n\n| a |\n|---|\n| new |\n\n| b |\n|---|\n"
    assert report.into(page, ("| a |", "|---|", "| new |")) == renewed


def test_a_table_that_has_no_place_is_told() -> None:
    with pytest.raises(ValueError, match="0 tables begin with"):
        report.into("Text\n", ("| a |", "|---|"))


def told() -> dict[str, Any]:
    """Made up, and shaped as what compare.py writes."""
    services = ("Django", "FastAPI")
    slow, fast = turn(image=561.4, cold=27.0), turn(image=221.0, cold=5.61, edit=0.251)
    return {
        "services": {
            "Django": {
                "machine": {"rounds": 3, "engine": "26.1"},
                "medians": {"sketch": asdict(slow), "uvflow": asdict(fast)},
            },
            "FastAPI": {
                "machine": {"rounds": 2, "engine": "26.2"},
                "medians": {"uvflow": asdict(turn(start=2))},
            },
        },
        "claims": [
            asdict(Claim(text=text, values=dict(zip(services, values, strict=True)), limit=limit))
            for text, values, limit in (
                ("cold: uvflow / sketch", (0.1, 0.21), 0.2),
                ("image: uvflow - sketch", (-340.4, -341.6), -250),
            )
        ],
    }


def test_the_page_is_its_template_with_the_tables_of_the_data() -> None:
    shown = report.page(TEMPLATE, json.loads(json.dumps(told())))
    added = [line for line in shown.splitlines() if line not in TEMPLATE.splitlines()]
    assert added == [
        "| sketch | 561 MB | 1 MB | 27.0 s | 1.0 s | 1.0 s | 1.0 s | 1.00 MB | root | gcc |",
        "| uvflow | 221 MB | 1 MB | 5.6 s | 0.25 s | 1.0 s | 1.0 s | 1.00 MB | root | gcc |",
        "| uvflow | 1 MB | 1 MB | 1.0 s | 1.0 s | 1.0 s | 2.0 s | 1.00 MB | root | gcc |",
        "| cold: uvflow / sketch | 0.10 | 0.21 | 0.2 | **does not hold** |",
        "| image: uvflow - sketch | -340 | -342 | -250 | holds |",
        "| rounds | 3 | 2 |",
        "| engine | 26.1 | 26.2 |",
    ]
    assert [line for line in TEMPLATE.splitlines() if line not in shown.splitlines()] == []


@pytest.mark.skipif(not PAGE.exists(), reason=f"{PAGE.name} is not published yet")
def test_the_published_page_shows_the_published_data() -> None:
    data = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == report.page(TEMPLATE, data)
    assert data["claims"] == [asdict(claim) for claim in claims(report.medians_of(data))]
