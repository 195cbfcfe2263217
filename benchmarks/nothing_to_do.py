"""What uvflow costs beside uv and bare Python: with nothing to do, with nothing known, with work.

    uv run benchmarks/nothing_to_do.py [--packages 100] [--rounds 40]

Builds a wheel of this checkout and projects of small local packages, then runs the commands of each
situation in turns, in random order. Prints the CPU time of each with its children (the median, in
milliseconds), the ratio to the command that it is held to, and what it costs beyond that (the
median of the rounds) beside what it may cost. No network.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.append(f"{sys.path[0]}/tests")

from wheels import add_wheel

from benchmarks.contest import Contestant, environment, install_uvflow, race

MANIFEST = """[project]
name = "bench"
version = "0"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[dependency-groups]
dev = []
"""
ROW = "{:28} {:>8} {:>8} {:>9} {:>9}"
FEW, MANY = 20, 400  # packages, to see what one more of them costs
SYNC = ("sync", "--locked")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The projects and the commands of one run."""

    place: Path
    environ: dict[str, str]
    scripts: Path
    rounds: int
    costs: dict[str, float] = field(default_factory=dict)

    def python(self) -> Contestant:
        return Contestant("bare Python", [self.scripts / "python", "-c", "pass"])

    def uvflow(self, *words: str) -> Contestant:
        return Contestant(f"uvflow {' '.join(words)}", [self.scripts / "uvflow", *words])

    def compare(
        self,
        project: Path,
        contestants: Sequence[Contestant],
        allowed: Mapping[str, float],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Hold all to the first; `allowed` are milliseconds by the name of a contestant."""
        race(contestants, self.rounds, project, self.environ, before)
        reference = contestants[0]
        print(ROW.format("CPU, ms", "median", "ratio", "beyond", "at most"))
        for one in contestants:
            ratio = statistics.median(one.cpu) / statistics.median(reference.cpu)
            beyond = statistics.median(a - b for a, b in zip(one.cpu, reference.cpu, strict=True))
            wanted = f"{allowed[one.name]:+.1f}" if one.name in allowed else ""
            shown = (f"{statistics.median(one.cpu):.1f}", f"{ratio:.2f}", f"{beyond:+.1f}", wanted)
            print(ROW.format(one.name, *shown))
            self.costs[f"{project.name} {one.name}"] = beyond


def uv(*words: str) -> Contestant:
    return Contestant(f"uv {' '.join(words)}", ["uv", *words])


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        environ = environment(place)
        scripts = install_uvflow(place, environ)
        bench = Bench(place=place, environ=environ, scripts=scripts, rounds=options.rounds)
        project = build_project(bench, options.packages)
        nothing_to_do(bench, project)
        nothing_known(bench, project)
        work_to_do(bench)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=40)
    return parser.parse_args()


def build_project(bench: Bench, packages: int) -> Path:
    """A synced project that depends on `packages` small wheels of a local index."""
    names = [f"package-{number:03}" for number in range(packages)]
    index = bench.place / f"index-{packages}"
    for name in names:
        add_wheel(index, name, "1.0")
    bench.environ["UV_DEFAULT_INDEX"] = index.as_uri()
    project = bench.place / f"{packages}-packages"
    project.mkdir()
    dependencies = ", ".join(f'"{name}"' for name in names)
    (project / "pyproject.toml").write_text(MANIFEST.format(dependencies=dependencies))
    for words in (("uv", "lock"), (str(bench.scripts / "uvflow"), "sync")):
        subprocess.run(words, cwd=project, env=bench.environ, check=True, capture_output=True)
    return project


def nothing_to_do(bench: Bench, project: Path) -> None:
    print(f"\nIn sync, {project.name}:\n")
    at_most = {
        **dict.fromkeys(("sync", "sync -q", "sync --dev", "sync --profile dev"), 5.0),
        "sync --check": 5.0,
        "sync --json": 20.0,
        "run -- true": 10.0,
        "--version": 10.0,
    }
    ours = [bench.uvflow(*words.split()) for words in at_most]
    theirs = [uv(*SYNC), uv("run", "--locked", "true")]
    allowed = {f"uvflow {words}": cost for words, cost in at_most.items()}
    bench.compare(project, [bench.python(), *ours, *theirs], allowed)


def nothing_known(bench: Bench, project: Path) -> None:
    print(f"\nIn sync, but nothing is remembered of it, {project.name}:\n")
    for remembered in (bench.place / "uvflow").rglob("*.fingerprint"):
        remembered.unlink()
    contestants = [uv(*SYNC, "--check"), bench.uvflow("status")]
    bench.compare(project, contestants, {"uvflow status": 60.0})


def work_to_do(bench: Bench) -> None:
    for packages in (FEW, MANY):
        project = build_project(bench, packages)
        print(f"\nOne package is missing, {project.name}:\n")

        def remove_one(project: Path = project) -> None:
            for path in project.glob(".venv/[Ll]ib/**/package_000*"):
                shutil.rmtree(path)

        theirs, ours = uv(*SYNC), bench.uvflow("sync")
        bench.compare(project, [theirs, ours], {"uvflow sync": 70.0}, remove_one)
    few, many = (bench.costs[f"{packages}-packages uvflow sync"] for packages in (FEW, MANY))
    print(f"\nFor each package more: {(many - few) / (MANY - FEW):+.3f} ms, at most +0.080 ms")


if __name__ == "__main__":
    main()
