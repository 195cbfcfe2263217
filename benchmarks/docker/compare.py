"""Images compared: those of `uvflow docker` beside five others, for one Django service.

    uv run benchmarks/docker/compare.py [--rounds 3] [--json FILE] [--page FILE]

Needs a Linux engine with BuildKit that `docker` on PATH and DOCKER_HOST lead to; on a Debian
machine `.ci/engine` starts one. Nothing else should run meanwhile. In each round, in random order,
every contender is built with nothing cached, started, built again after an edit of one source file,
and built again after one more dependency. Claims are judged by the medians, and the exit code is 1
where one does not hold. About seven minutes a round; a round leaves 6 GB of build cache behind,
which `docker builder prune` removes.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.append(f"{sys.path[0]}/tests")

import engine as engines  # the engine that the tests use

from benchmarks.docker import contenders, report
from benchmarks.docker.claims import claims
from benchmarks.docker.race import Turn, median, race


def main() -> int:
    options = _options()
    engine = engines.find()
    if isinstance(engine, str):
        sys.exit(engine)
    machine = _machine(engine, options.rounds)
    turns: dict[str, list[Turn]] = {one.name: [] for one in contenders.EVERY}
    with tempfile.TemporaryDirectory(prefix="compared-") as directory:
        for name, turn in race(engine, Path(directory), contenders.EVERY, options.rounds):
            turns[name].append(turn)
            print(report.row(name, turn), flush=True)
    medians = {name: median(of) for name, of in turns.items()}
    judged = tuple(claims(medians))
    for lines in (report.measured(medians), report.judged(judged), report.around(machine)):
        table = tuple(lines)
        print("", *table, sep="\n")
        if options.page:
            options.page.write_text(report.into(options.page.read_text(), table))
    if options.json:
        told = {
            "machine": machine,
            "turns": {name: [asdict(turn) for turn in of] for name, of in turns.items()},
            "medians": {name: asdict(turn) for name, turn in medians.items()},
            "claims": [asdict(claim) for claim in judged],
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(claim.holds for claim in judged) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--page", type=Path, metavar="FILE", help="renew the tables in it")
    return parser.parse_args()


def _machine(engine: engines.Engine, rounds: int) -> dict[str, object]:
    return {
        "rounds": rounds,
        "engine": engine.docker("version", "--format={{.Server.Version}}").stdout.strip(),
        "processors": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
