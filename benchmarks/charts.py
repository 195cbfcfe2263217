"""Charts of what was measured, as SVG: drawn from docs/explanation/recorded.json and
docker-measured.json, and from nothing else.

    uv run benchmarks/charts.py          write them to docs/pictures
    uv run benchmarks/charts.py --check  fail where one is not current

Each chart says when its figures were measured, with what, and how to repeat that. Who measures
anew changes the figures, and the date, in the JSON.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
EXPLANATION, PICTURES = DOCS / "explanation", DOCS / "pictures"

WIDTH, ROW, TOP, BOTTOM, LABELS = 760, 34, 64, 56, 190
OURS, OTHERS = "#5b3cc4", "#8a93a3"
GOOD, BAD, UNTIDY, FAILING = "#2f855a", "#c53030", "#d69e2e", "#4a5568"


def main() -> int:
    stale = {path: text for path, text in charts().items() if text_of(path) != text}
    for path, text in stale.items():
        if "--check" in sys.argv[1:]:
            print(f"{path.name} is not current: `python benchmarks/charts.py` draws it anew")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if stale and "--check" in sys.argv[1:] else 0


def text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def charts() -> dict[Path, str]:
    """The text of each chart, by its path."""
    recorded = json.loads((EXPLANATION / "recorded.json").read_text(encoding="utf-8"))
    images = json.loads((EXPLANATION / "docker-measured.json").read_text(encoding="utf-8"))
    django = images["services"]["Django"]["medians"]
    return {
        PICTURES / "kills.svg": kills(recorded["kills"]),
        PICTURES / "nothing-to-do.svg": nothing_to_do(recorded["nothing to do"]),
        PICTURES / "images.svg": measured_images(django, recorded["images"]),
    }


def kills(told: Mapping[str, Any]) -> str:
    """One bar for each command: what 1,000 killed syncs of it left once another had run."""
    colors = (GOOD, BAD, UNTIDY, FAILING)
    rows = list(told["rows"].items())
    total = max(sum(counts) for _, counts in rows)
    parts: list[str] = []
    for number, (command, counts) in enumerate(rows):
        y, x = TOP + number * ROW, float(LABELS)
        parts.append(label(command, y))
        for count, color in zip(counts, colors, strict=True):
            width = (WIDTH - LABELS - 20) * count / total
            parts.append(bar(x, y, width, color))
            if width > ROW:
                parts.append(text(x + width / 2, y + 17, f"{count:,}", "middle", "#fff"))
            x += width
    legend = y + ROW + 16
    for number, (kind, color) in enumerate(zip(told["kinds"], colors, strict=True)):
        x = 20 + number * (WIDTH - 40) / len(colors)
        parts += [bar(x, legend - 10, 12, color, 12), text(x + 18, legend, kind)]
    title = f"{total:,} syncs killed at random instants: what the next sync leaves"
    return picture(title, parts, legend + 10, told)


def nothing_to_do(told: Mapping[str, Any]) -> str:
    rows = {name: (value, f"{value} ms") for name, value in told["rows"].items()}
    title = "CPU time with nothing to do"
    return picture(title, bars(rows, LABELS, WIDTH - 20), TOP + len(rows) * ROW, told)


def measured_images(medians: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """Two columns of bars: how large the image is, and how long an edit takes to be in it."""
    sizes = {name: (turn["image"], f"{turn['image']:.0f} MB") for name, turn in medians.items()}
    edits = {name: (turn["edit"], f"{turn['edit']:.1f} s") for name, turn in medians.items()}
    middle = (LABELS + WIDTH) / 2
    parts = [
        text(LABELS, TOP - 8, "image, unpacked"),
        text(middle + 20, TOP - 8, "rebuild after an edit"),
        *bars(sizes, LABELS, middle - 10),
        *bars(edits, middle + 20, WIDTH - 20, labels=False),
    ]
    title = "One Django service, nine Dockerfiles"
    return picture(title, parts, TOP + len(sizes) * ROW, told)


def bars(
    rows: Mapping[str, tuple[float, str]], left: float, right: float, *, labels: bool = True
) -> Iterator[str]:
    """A bar for each row from `left` on; the longest leaves room for its value before `right`."""
    longest = max(value for value, _ in rows.values())
    for number, (name, (value, shown)) in enumerate(rows.items()):
        y, width = TOP + number * ROW, (right - left - 60) * value / longest
        if labels:
            yield label(name, y)
        yield bar(left, y, width, OURS if name.startswith("uvflow") else OTHERS)
        yield text(left + width + 6, y + 17, shown)


def picture(title: str, parts: Iterable[str], bottom: float, told: Mapping[str, Any]) -> str:
    """The whole SVG, white so that it can be read on any page."""
    height = bottom + BOTTOM
    notes = f"Measured {told['date']}: {told['with']}", f"Repeat: {told['repeat']}"
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img"',
        'font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#fff"/>',
        f'<text x="20" y="30" font-size="17" font-weight="600">{escape(title)}</text>',
        *parts,
        *(text(20, height - 32 + 16 * number, note) for number, note in enumerate(notes)),
        "</svg>",
    )
    return "\n".join(lines) + "\n"


def label(name: str, y: float) -> str:
    return text(LABELS - 10, y + 17, name, "end")


def bar(x: float, y: float, width: float, color: str, height: int = 24) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{color}"/>'


def text(x: float, y: float, words: str, anchor: str = "start", color: str = "#222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"'
    return f"<text {place}>{escape(words)}</text>"


if __name__ == "__main__":
    sys.exit(main())
