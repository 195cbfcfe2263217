"""`uvflow sync` with nothing to do, beside `uv sync --locked` and bare Python.

    uv run benchmarks/nothing_to_do.py [--packages 100] [--rounds 60]

Builds a wheel of this checkout and a project of small local packages, then runs the three commands
in turns, in random order, and prints wall and CPU time (medians and the least) and their ratios.
No network.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.append(f"{sys.path[0]}/tests")

from wheels import add_wheel

from benchmarks.contest import HEAD, Contestant, environment, install_uvflow, race

MANIFEST = """[project]
name = "bench"
version = "0"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        environ = environment(place)
        scripts = install_uvflow(place, environ)
        project = build_project(place, options.packages, environ)
        contestants = [
            Contestant("bare Python", [scripts / "python", "-c", "pass"]),
            Contestant("uvflow sync", [scripts / "uvflow", "sync"]),
            Contestant("uv sync --locked", ["uv", "sync", "--locked"]),
        ]
        race(contestants, options.rounds, project, environ)
        report(contestants)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=60)
    return parser.parse_args()


def build_project(place: Path, packages: int, environ: dict[str, str]) -> Path:
    """A locked project that depends on `packages` small wheels of a local index."""
    names = [f"package-{number:03}" for number in range(packages)]
    for name in names:
        add_wheel(place / "index", name, "1.0")
    environ["UV_DEFAULT_INDEX"] = (place / "index").as_uri()
    project = place / "project"
    project.mkdir()
    dependencies = ", ".join(f'"{name}"' for name in names)
    (project / "pyproject.toml").write_text(MANIFEST.format(dependencies=dependencies))
    subprocess.run(["uv", "lock", "-q"], cwd=project, env=environ, check=True)
    return project


def report(contestants: Sequence[Contestant]) -> None:
    print(HEAD)
    for contestant in contestants:
        print(contestant)
    bare, ours, theirs = contestants
    wall = statistics.median(ours.wall) / statistics.median(theirs.wall)
    cpu = statistics.median(ours.cpu) - statistics.median(bare.cpu)
    print(f"\nuvflow / uv, wall: {wall:.2f}")
    print(f"uvflow - bare Python, CPU: {cpu:+.1f} ms")


if __name__ == "__main__":
    main()
