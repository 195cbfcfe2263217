"""`uvflow sync` with nothing to do, beside `uv sync --locked` and bare Python.

    uv run benchmarks/nothing_to_do.py [--packages 100] [--rounds 60]

Builds a wheel of this checkout and a project of small local packages, then runs the three commands
in turns, in random order, and prints medians of wall and CPU time and their ratios. No network.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

if sys.platform != "win32":
    import resource

from wheels import add_wheel  # noqa: E402  the tests' own index builder

MANIFEST = """[project]
name = "bench"
version = "0"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""


@dataclass(frozen=True)
class Contestant:
    name: str
    command: Sequence[str | Path]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


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
        for _ in range(2):
            subprocess.run(
                contestants[1].command, cwd=project, env=environ, check=True, capture_output=True
            )
        race(contestants, options.rounds, project, environ)
        report(contestants)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=60)
    return parser.parse_args()


def environment(place: Path) -> dict[str, str]:
    """This one's, without what would change uv, or keep Python from writing its byte code."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("UV", "PYTHON"))}
    return {
        **kept,
        "UVFLOW_CACHE_DIR": str(place / "uvflow"),
        "UV_CACHE_DIR": str(place / "uv"),
        "UV_PYTHON": sys.executable,
        "VIRTUAL_ENV": "",
    }


def install_uvflow(place: Path, environ: Mapping[str, str]) -> Path:
    """A wheel of this checkout in an environment of its own; returns where its scripts are."""
    # With the machine's own uv cache: uvflow's dependencies need not be fetched again.
    outside = {name: value for name, value in environ.items() if name != "UV_CACHE_DIR"}

    def uv(*arguments: str | Path) -> None:
        subprocess.run(["uv", *arguments], env=outside, check=True)

    uv("build", "-q", "--wheel", "--out-dir", place / "dist", ROOT)
    uv("venv", "-q", place / "tool")
    uv("pip", "install", "-q", "--python", place / "tool", *(place / "dist").glob("*.whl"))
    return place / "tool" / ("Scripts" if sys.platform == "win32" else "bin")


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


def race(
    contestants: Sequence[Contestant], rounds: int, cwd: Path, environ: Mapping[str, str]
) -> None:
    for _ in range(rounds):
        for contestant in random.sample(contestants, len(contestants)):
            wall, cpu = measure(contestant.command, cwd, environ)
            contestant.wall.append(wall)
            contestant.cpu.append(cpu)


def measure(
    command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str]
) -> tuple[float, float]:
    """Wall and CPU time of one run, in milliseconds."""
    before, start = cpu_of_children(), time.perf_counter()
    subprocess.run(command, cwd=cwd, env=environ, check=True, capture_output=True)
    wall, cpu = time.perf_counter() - start, cpu_of_children() - before
    return wall * 1000, cpu * 1000


def cpu_of_children() -> float:
    if sys.platform == "win32":
        times = os.times()
        return times.children_user + times.children_system
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(contestants: Sequence[Contestant]) -> None:
    print(f"{'':18} {'wall, ms':>10} {'CPU, ms':>10}")
    for c in contestants:
        print(f"{c.name:18} {statistics.median(c.wall):10.1f} {statistics.median(c.cpu):10.1f}")
    bare, ours, theirs = contestants
    wall = statistics.median(ours.wall) / statistics.median(theirs.wall)
    cpu = statistics.median(ours.cpu) - statistics.median(bare.cpu)
    print(f"\nuvflow / uv, wall: {wall:.2f}")
    print(f"uvflow - bare Python, CPU: {cpu:+.1f} ms")


if __name__ == "__main__":
    main()
