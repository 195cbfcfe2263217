"""One uvflow at a time, whatever TMPDIR, HOME and spelling of the path the others have."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

# STRESS_PROCESSES=50 STRESS_ROUNDS=20 is the long run.
PROCESSES = int(os.environ.get("STRESS_PROCESSES", "8"))
ROUNDS = int(os.environ.get("STRESS_ROUNDS", "10"))

WORKER = """
import random, sys, time
from pathlib import Path
from uvflow.state import State

state = State.of(Path(sys.argv[1]))
random.seed(sys.argv[2])
for _ in range(int(sys.argv[3])):
    with state.exclusive("uvflow sync", timeout=-1):
        start = time.monotonic_ns()
        time.sleep(random.uniform(0, 0.003))
        print(start, time.monotonic_ns())
    time.sleep(random.uniform(0, 0.003))
"""


def test_no_two_hold_the_lock_at_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    spellings = (tmp_path / "real", tmp_path / "link", tmp_path / "real" / ".." / "real")
    workers = [start(tmp_path, spellings[n % 3], n) for n in range(PROCESSES)]
    outputs = [worker.communicate(timeout=60 + PROCESSES * ROUNDS)[0] for worker in workers]
    held = sorted(
        tuple(map(int, line.split())) for output in outputs for line in output.splitlines()
    )
    assert len(held) == PROCESSES * ROUNDS
    assert [(one, other) for one, other in pairwise(held) if other[0] < one[1]] == []


def start(tmp_path: Path, root: Path, number: int) -> "subprocess.Popen[str]":
    place = tmp_path / f"machine-{number}"
    place.mkdir()
    environ = {**os.environ, "TMPDIR": str(place), "HOME": str(place)}
    command = [sys.executable, "-c", WORKER, str(root), str(number), str(ROUNDS)]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
