"""The tables of benchmarks/docker/compare.py."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.docker import report
from benchmarks.docker.claims import Claim
from benchmarks.docker.race import Turn, median


def turn(**numbers: float) -> Turn:
    """A turn in which everything that is not named is 1."""
    ones = ("image", "compressed", "cold", "edit", "dependency", "start", "pushed")
    measured = {**dict.fromkeys(ones, 1.0), **numbers}
    return Turn(**measured, user="root", programs=("gcc",))


def test_a_median_is_one_of_each_column() -> None:
    turns = (turn(cold=9.0, edit=1.0), turn(cold=1.0, edit=3.0), turn(cold=2.0, edit=2.0))
    assert median(turns) == turn(cold=2.0, edit=2.0)


def test_a_claim_is_judged_by_what_it_is_at_most() -> None:
    assert Claim(text="", value=0.4, limit=0.4).holds
    assert not Claim(text="", value=0.41, limit=0.4).holds


def test_a_table_takes_the_place_of_the_one_with_its_head() -> None:
    page = "Text\n\n| a |\n|---|\n| old |\n| old |\n\n| b |\n|---|\n"
    renewed = "Text\n\n| a |\n|---|\n| new |\n\n| b |\n|---|\n"
    assert report.into(page, ("| a |", "|---|", "| new |")) == renewed
