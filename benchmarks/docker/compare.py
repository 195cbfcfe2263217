"""Images compared: those of `uvflow docker` beside five others, for two services.

    uv run benchmarks/docker/compare.py [--service NAME]... [--rounds 3] [--json FILE] [--page FILE]
    uv run benchmarks/docker/compare.py --measured FILE --page FILE

Needs a Linux engine with BuildKit that `docker` on PATH and DOCKER_HOST lead to; on a Debian
machine `.ci/engine` starts one. Nothing else should run meanwhile. In each round, in random order,
every contender is built with nothing cached; all are started in turns; then each is built again
after an edit of one source file, and after one more dependency. Claims are judged by the medians,
and the exit code is 1 where one does not hold. About seven minutes a round for each service; a
round leaves 6 GB of build cache behind, which `docker builder prune` removes. What is published are
docs/explanation/docker-measured.json and docker-measured.md, the page with the tables of that;
`--measured` writes the page alone; `--service` measures one, and keeps what FILE has of others.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.append(f"{sys.path[0]}/tests")

import engine as engines  # the engine that the tests use

from benchmarks.docker import contenders, report, service
from benchmarks.docker.claims import Claim, claims
from benchmarks.docker.race import Turn, median, race

TEMPLATE = Path(__file__).with_name("page.md")


def main() -> int:
    options = _options()
    told = json.loads(options.measured.read_text()) if options.measured else _told(options)
    for table in report.tables(told):
        print("", *table, sep="\n")
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    if options.page:
        template = TEMPLATE.read_text(encoding="utf-8")
        options.page.write_text(report.page(template, told), encoding="utf-8")
    return 0 if all(Claim(**claim).holds for claim in told["claims"]) else 1


def _told(options: argparse.Namespace) -> dict[str, Any]:
    """Everything measured, as it is written: shaped as JSON is."""
    engine = engines.find()
    if isinstance(engine, str):
        sys.exit(engine)
    kept = options.json and options.service and options.json.exists()
    services = json.loads(options.json.read_text())["services"] if kept else {}
    for served in service.EVERY:
        if not options.service or served.name in options.service:
            machine = _machine(engine, options.rounds)
            turns = _turns(engine, served, options.rounds)
            services[served.name] = {
                "machine": machine,
                "turns": {name: [asdict(turn) for turn in of] for name, of in turns.items()},
                "medians": {name: asdict(median(of)) for name, of in turns.items()},
            }
    judged = claims(report.medians_of({"services": services}))
    return {"services": services, "claims": [asdict(claim) for claim in judged]}


def _turns(engine: engines.Engine, served: service.Service, rounds: int) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {one.name: [] for one in contenders.EVERY}
    with tempfile.TemporaryDirectory(prefix="compared-") as directory:
        for name, turn in race(engine, Path(directory), served, contenders.EVERY, rounds):
            turns[name].append(turn)
            print(report.row(name, turn), flush=True)
    return turns


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [served.name for served in service.EVERY]
    parser.add_argument("--service", action="append", choices=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page with its tables")
    before = "of an earlier run: measure nothing"
    parser.add_argument("--measured", type=Path, metavar="FILE", help=before)
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
