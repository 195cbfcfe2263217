"""Is a live release whole at every instant, and does what runs in one keep what it began with?

    uv run benchmarks/releases.py [--kills 100] [--switches 50] [--seed 1]

Kills: from a live release with the old lockfile, a sync of the new one is killed at a random
instant. The link has to lead to a verified environment, old or new; the next sync has to make the
new one live, and every other directory is a release, or marked as unfinished.

Switches: syncs of two lockfiles and rollbacks alternate, while a service answers a request every
10 ms, for each of which it imports a module of its environment, and commands are started under
`uvflow run` that import them all. No request may fail, and no import.

The exit code is 1 where one of this was otherwise.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kills_world import DEVELOPMENT, PACKAGES, Rig
from uvflow.environment.installed import Environment
from uvflow.environment.repair import Depth, Past, find_damage

MODULES = [f"{'a' if n % 3 else 'z'}_pkg{n:02}" for n in range(PACKAGES) if n not in DEVELOPMENT]
SHARED = range(50, 100)  # the modules of a package that are in both of its versions

IMPORT_ALL = f"""
import importlib
for name in {MODULES!r}:
    for i in range({SHARED.start}, {SHARED.stop}):
        importlib.import_module(f"{{name}}.part{{i % 10}}.module_{{i}}")
"""
SERVICE = f"""
import http.server, importlib, itertools, sys
names = itertools.cycle(
    f"{{name}}.part{{i % 10}}.module_{{i}}" for i in range({SHARED.start}, {SHARED.stop})
    for name in {MODULES!r}
)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name = next(names)
        sys.modules.pop(name, None)
        held = importlib.import_module(name).HELD.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(held)))
        self.end_headers()
        self.wfile.write(held)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--switches", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="uvflow-releases-") as directory:
        rig = Rig.built(Path(directory) / "rig")
        wrong = [*killed(rig, options.kills, options.seed), *switched(rig, options.switches)]
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


def sync(rig: Rig) -> "subprocess.CompletedProcess[str]":
    return rig.run(rig.sync("uvflow", "released"), "hardlink")


def uvflow(rig: Rig, *words: str) -> "subprocess.CompletedProcess[str]":
    return rig.run((sys.executable, "-m", "uvflow", *words), "hardlink")


def live(rig: Rig) -> Path:
    link = rig.project / ".venv-released"
    return rig.project / link.readlink()


def versions(environment: Path) -> list[str]:
    return sorted(path.name for path in environment.glob("lib/*/site-packages/*.dist-info"))


def killed(rig: Rig, kills: int, seed: int) -> Iterator[str]:
    """What was wrong after each of the kills."""
    draw = random.Random(seed)
    whole = {}
    for lock in ("old", "new"):
        rig.use_lock(lock)
        began = time.perf_counter()
        sync(rig)
        lasted = time.perf_counter() - began
        whole[lock] = versions(live(rig))
    landed = 0
    while landed < kills:
        rig.use_lock("old")
        sync(rig)
        rig.use_lock("new")
        words, instant = rig.sync("uvflow", "released"), draw.uniform(0, 1.2 * lasted)
        if rig.kill(words, "hardlink", signal.SIGKILL, instant) is not None:
            continue
        landed += 1
        environment = live(rig)
        if versions(environment) not in whole.values():
            yield f"killed after {instant:.3f} s: {environment.name} is neither old nor new"
        damages, _ = find_damage(Environment(environment), Depth.HASHES, Past())
        if damages:
            yield f"killed after {instant:.3f} s: {environment.name}: {damages[0]}"
        done = sync(rig)
        if done.returncode or versions(live(rig)) != whole["new"]:
            yield f"killed after {instant:.3f} s, then: {done.stderr}"
        listed = json.loads(uvflow(rig, "releases", "--profile", "released", "--json").stdout)
        names = {release["name"] for release in listed["releases"]}
        kept = {path.name for path in live(rig).parent.glob("*-*")}
        unmarked = {name for name in kept if f"{name}.unfinished" not in kept and "." not in name}
        if left := unmarked - names:
            yield f"killed after {instant:.3f} s: {left} is left"
    print(f"{landed} kills")


class Traffic:
    """Requests to a service, and commands, until it is over; `failed` are those that did."""

    def __init__(self, rig: Rig, url: str) -> None:
        self.rig = rig
        self.url = url
        self.requests = self.commands = 0
        self.failed: list[str] = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.ask), threading.Thread(target=self.start)]

    def ask(self) -> None:
        while not self.is_over.wait(0.01):
            self.requests += 1
            try:
                with urllib.request.urlopen(self.url, timeout=10) as answer:
                    answer.read()
            except OSError as error:
                self.failed.append(f"a request failed: {error}")

    def start(self) -> None:
        while not self.is_over.is_set():
            self.commands += 1
            done = uvflow(self.rig, *RUN, IMPORT_ALL)
            if done.returncode:
                self.failed.append(f"a command failed: {done.stderr[-500:]}")


RUN = ("run", "--profile", "released", "--", "python", "-c")


def switched(rig: Rig, switches: int) -> Iterator[str]:
    """What has failed while syncs and rollbacks alternated."""
    if not switches:
        return
    words = (sys.executable, "-m", "uvflow", *RUN, SERVICE)
    environ, place = rig.environ("hardlink"), rig.project
    with subprocess.Popen(
        words, cwd=place, env=environ, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        traffic = Traffic(rig, f"http://127.0.0.1:{int(service.stdout.readline())}/")
        for thread in traffic.threads:
            thread.start()
        longest = 0.0
        for number in range(switches):
            is_new = any(name.endswith("-2.0.dist-info") for name in versions(live(rig)))
            rig.use_lock("old" if is_new else "new")  # so that there is something to sync
            began = time.perf_counter()
            done = uvflow(rig, "rollback", "--profile", "released") if number % 2 else sync(rig)
            if number % 2:
                longest = max(longest, time.perf_counter() - began)
            if done.returncode:
                traffic.failed.append(done.stderr)
        traffic.is_over.set()
        for thread in traffic.threads:
            thread.join()
        service.send_signal(signal.SIGTERM)
    print(f"{switches} switches, {traffic.requests} requests, {traffic.commands} commands;")
    print(f"the longest rollback took {longest:.2f} s, with the start of Python and the check")
    yield from traffic.failed


if __name__ == "__main__":
    sys.exit(main())
