"""Running commands in turns and measuring them, for the benchmarks that compare commands."""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.platform != "win32":
    import resource

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Contestant:
    """A command, the exit code it has to have, and how long its runs took, in milliseconds."""

    name: str
    command: Sequence[str | Path]
    code: int = 0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        wall, cpu = statistics.median(self.wall), statistics.median(self.cpu)
        return ROW.format(self.name, wall, min(self.wall), cpu, min(self.cpu))


ROW = "{:26} {:10.1f} {:7.1f} {:10.1f} {:7.1f}"
HEAD = "{:26} {:>10} {:>7} {:>10} {:>7}".format("", "wall, ms", "least", "CPU, ms", "least")


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


def race(
    contestants: Sequence[Contestant],
    rounds: int,
    cwd: Path,
    environ: Mapping[str, str],
    before: Callable[[], None] = lambda: None,
) -> None:
    """Run each once without measuring, then all of them in `rounds` random orders.

    `before` is called before each run.
    """
    for contestant in contestants:
        before()
        _measure(contestant, cwd, environ)
    for _ in range(rounds):
        for contestant in random.sample(contestants, len(contestants)):
            before()
            wall, cpu = _measure(contestant, cwd, environ)
            contestant.wall.append(wall)
            contestant.cpu.append(cpu)


def _measure(contestant: Contestant, cwd: Path, environ: Mapping[str, str]) -> tuple[float, float]:
    """Wall and CPU time of one run with its children, in milliseconds."""
    before, start = _cpu_of_children(), time.perf_counter()
    done = subprocess.run(
        contestant.command, cwd=cwd, env=environ, check=False, capture_output=True, text=True
    )
    wall, cpu = time.perf_counter() - start, _cpu_of_children() - before
    if done.returncode != contestant.code:
        sys.exit(f"{contestant.name}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return wall * 1000, cpu * 1000


def _cpu_of_children() -> float:
    if sys.platform == "win32":
        times = os.times()
        return times.children_user + times.children_system
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
