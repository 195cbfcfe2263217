"""The charts of benchmarks/charts.py are of the figures that the pages tell."""

import json
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import charts

RECORDED = json.loads((charts.EXPLANATION / "recorded.json").read_text(encoding="utf-8"))


def numbers_of(page: str, name: str) -> list[float]:
    """The numbers in the row of a table that begins with the code `name`."""
    lines = (charts.EXPLANATION / page).read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in lines if re.match(rf"\| [^|]*`{re.escape(name)}`", line))
    cells = row.split("|")[2:-1]
    return [float(cell.replace(",", "")) for cell in cells if re.search(r"\d", cell)]


def test_the_charts_are_current() -> None:
    drawn = charts.charts()
    assert {path: charts.text_of(path) for path in drawn} == drawn


def test_the_figures_are_those_of_the_pages() -> None:
    for command, counts in RECORDED["kills"]["rows"].items():
        kills, *told = numbers_of("sync.md", command)
        assert counts[:3] == told
        assert sum(counts) == kills
    for command, milliseconds in RECORDED["nothing to do"]["rows"].items():
        assert numbers_of("fast-path.md", command)[0] == milliseconds


def test_a_bar_is_as_long_as_its_figure() -> None:
    drawn = "".join(charts.bars({"a": (1.0, "1 s"), "uvflow": (4.0, "4 s")}, 0, 460))
    assert re.findall(r'width="([\d.]+)"', drawn) == ["100.0", "400.0"]
    assert re.findall(r'fill="(#5b3cc4|#8a93a3)"', drawn) == [charts.OTHERS, charts.OURS]
