"""A sync that has work to do, by `uvflow sync` beside `uv sync --locked`.

    uv run benchmarks/real_sync.py [--distributions 55] [--files 240] [--rounds 9]

Makes the environment of benchmarks/status.py from nothing, puts back one distribution that is not
there, and looks at an environment that is in sync while nothing is remembered of it (once in its
life: then uv is asked where it is as well). Prints wall and CPU time (medians and the least). No
network.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import status
from benchmarks.contest import HEAD, Contestant, environment, install_uvflow, race


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        environ = environment(place)
        scripts = install_uvflow(place, environ)
        project = status.build_project(place, options, environ)
        print(f"{options.distributions} distributions, {options.rounds} rounds\n")
        print(HEAD)

        def forget_all() -> None:
            shutil.rmtree(place / "uvflow", ignore_errors=True)

        def remove_all() -> None:
            forget_all()
            shutil.rmtree(project / ".venv", ignore_errors=True)

        def remove_one() -> None:
            for path in project.glob(".venv/lib/*/site-packages/package_00*"):
                shutil.rmtree(path)

        situations = {
            "from nothing": remove_all,
            "one distribution more": remove_one,
            "in sync, and not known": forget_all,
        }
        for situation, before in situations.items():
            theirs = Contestant("uv sync --locked", ["uv", "sync", "--locked"])
            ours = Contestant("uvflow sync", [scripts / "uvflow", "sync"])
            race([theirs, ours], options.rounds, project, environ, before=before)
            more = statistics.median(ours.wall) - statistics.median(theirs.wall)
            print(situation, theirs, ours, f"{'':26} {more:+10.1f}", sep="\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distributions", type=int, default=55)
    parser.add_argument("--files", type=int, default=240, help="of each distribution")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
