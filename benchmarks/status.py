"""`uvflow status` in three situations, beside `uv sync --locked --check` and bare Python.

    uv run benchmarks/status.py [--distributions 55] [--files 240] [--rounds 40]

Builds a wheel of this checkout and an environment of local packages with some 13,000 files, then
runs the commands in turns, in random order, and prints wall and CPU time (medians and the least).
No network.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
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
STALE = 3, 1  # the exit codes of `uvflow status` and of uv for a stale lockfile


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        environ = environment(place)
        scripts = install_uvflow(place, environ)
        project = build_project(place, options, environ)
        subprocess.run(
            [scripts / "uvflow", "sync"], cwd=project, env=environ, check=True, capture_output=True
        )
        files = sum(path.is_file() for path in (project / ".venv").rglob("*"))
        print(f"{options.distributions} distributions, {files} files, {options.rounds} rounds\n")
        print(HEAD)

        def compare(situation: str, codes: tuple[int, int] = (0, 0)) -> None:
            contestants = [
                Contestant("bare Python", [scripts / "python", "-c", "pass"]),
                Contestant("uvflow status", [scripts / "uvflow", "status"], codes[0]),
                Contestant("uv sync --locked --check", UV_CHECK, codes[1]),
            ]
            race(contestants, options.rounds, project, environ)
            print(situation)
            for contestant in contestants:
                print(contestant)

        compare("in sync, with a snapshot")
        for snapshot in (place / "uvflow").rglob("*.fingerprint"):
            snapshot.unlink()
        compare("in sync, without a snapshot")
        require_something_else(project)
        compare("the lockfile is stale", STALE)


UV_CHECK = ["uv", "sync", "--locked", "--check"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distributions", type=int, default=55)
    parser.add_argument("--files", type=int, default=240, help="of each distribution")
    parser.add_argument("--rounds", type=int, default=40)
    return parser.parse_args()


def build_project(place: Path, options: argparse.Namespace, environ: dict[str, str]) -> Path:
    """A locked project that depends on wheels of a local index."""
    names = [f"package-{number:02}" for number in range(options.distributions)]
    for name in names:
        add_wheel(place / "index", name, "1.0", more=modules(name, options.files))
    environ["UV_DEFAULT_INDEX"] = (place / "index").as_uri()
    project = place / "project"
    project.mkdir()
    dependencies = ", ".join(f'"{name}"' for name in names)
    (project / "pyproject.toml").write_text(MANIFEST.format(dependencies=dependencies))
    subprocess.run(["uv", "lock", "-q"], cwd=project, env=environ, check=True)
    return project


def modules(name: str, count: int) -> Mapping[str, str]:
    package = name.replace("-", "_")
    return {f"{package}/part{n % 10}/module{n}.py": f"number = {n}\n" * 40 for n in range(count)}


def require_something_else(project: Path) -> None:
    manifest = project / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('"package-00"', '"package-00>=1"'))


if __name__ == "__main__":
    main()
