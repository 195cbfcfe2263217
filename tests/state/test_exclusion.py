"""One uvflow process at a time, whatever user, TMPDIR, HOME and path spelling others have."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

# STRESS_PROCESSES=50 STRESS_ROUNDS=20 is the long run.
PROCESSES = int(os.environ.get("STRESS_PROCESSES", "8"))
ROUNDS = int(os.environ.get("STRESS_ROUNDS", "10"))

IS_ROOT = sys.platform != "win32" and os.geteuid() == 0
NOBODYS = 20_000  # the first of the user ids that belong to nobody on most machines

# Imports are done before: the other user may not read where they come from.
BECOME = """
import os, random, sys, time
from pathlib import Path
from uvflow.errors import BusyError
from uvflow.state import locks
from uvflow.state.store import State

root, user = Path(sys.argv[1]), int(sys.argv[2])
os.environ["UVFLOW_CACHE_DIR"] = os.environ["HOME"] + "/imports"
with locks.mutex(State.of(root / "imports"), "uvflow sync"):
    del os.environ["UVFLOW_CACHE_DIR"]
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
state = State.of(root)
"""
WORK = """
random.seed(sys.argv[3])
environment = root / ".venv" if sys.argv[5] == "environment" else None
for _ in range(int(sys.argv[4])):
    with locks.mutex(state, "uvflow sync", environment=environment, timeout=-1):
        start = time.monotonic_ns()
        time.sleep(random.uniform(0, 0.003))
        print(start, time.monotonic_ns())
    time.sleep(random.uniform(0, 0.003))
"""
HOLD = """
with locks.mutex(state, "uvflow sync"):
    print("held", flush=True)
    sys.stdin.readline()
"""
ENTER = """
try:
    with locks.mutex(state, "uvflow sync", timeout=float(sys.argv[3]), progress=print):
        print("entered")
except BusyError as error:
    print(error.exit_code, error.cause)
"""
RUN = """
with locks.shared_mutex(state, root / ".venv"):
    locks.take_lease(state, root / ".venv", "uvflow run server")
os.execv("/bin/sh", ["sh", "-c", "echo held; read line"])
"""
CHANGE = """
settings = {"timeout": float(sys.argv[3]), "progress": print}
try:
    with locks.mutex(state, "uvflow sync", environment=root / ".venv", **settings):
        print("entered")
except BusyError as error:
    print(error.exit_code, error.cause)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can read, with a project in it."""
    with tempfile.TemporaryDirectory(prefix="uvflow-users-") as directory:
        place = Path(directory)
        place.chmod(0o755)
        (place / "project" / ".venv" / "bin").mkdir(parents=True)
        (place / "link").symlink_to(place / "project")
        yield place


def start(place: Path, code: str, root: Path, user: int, *words: object) -> "subprocess.Popen[str]":
    """Run `code` as `user` (0: this one), with a home and a TMPDIR of its own."""
    home = tempfile.mkdtemp(dir=place)
    Path(home).chmod(0o777)
    environ = {**os.environ, "TMPDIR": home, "HOME": home}
    return subprocess.Popen(
        [sys.executable, "-c", BECOME + code, root, str(user), *map(str, words)],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("what", ["project", "environment"])
def test_no_two_processes_hold_a_mutex_at_once(place: Path, what: str) -> None:
    spellings = (place / "project", place / "link", place / "project" / ".." / "project")
    users = [NOBODYS + n if IS_ROOT else 0 for n in range(PROCESSES)]
    workers = [
        start(place, WORK, spellings[n % 3], user, n, ROUNDS, what) for n, user in enumerate(users)
    ]
    outputs = [worker.communicate(timeout=60 + PROCESSES * ROUNDS)[0] for worker in workers]
    held = sorted(
        tuple(map(int, line.split())) for output in outputs for line in output.splitlines()
    )
    assert len(held) == PROCESSES * ROUNDS
    assert [(one, other) for one, other in pairwise(held) if other[0] < one[1]] == []


OTHERS = [
    pytest.param((0, 0), id="home"),
    pytest.param(
        (NOBODYS, NOBODYS + 1),
        id="user",
        marks=pytest.mark.skipif(not IS_ROOT, reason="only root can become two users"),
    ),
]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who")


@linux_only
@pytest.mark.parametrize("users", OTHERS)
@pytest.mark.parametrize(("inside", "outside"), [(HOLD, ENTER), (RUN, CHANGE)], ids=["sync", "run"])
def test_a_waiting_process_reports_who_holds_the_lock(
    place: Path, inside: str, outside: str, users: tuple[int, int]
) -> None:
    root = place / "project"
    one = start(place, inside, root, users[0])
    assert one.stdout is not None
    assert one.stdout.readline() == "held\n"
    output = start(place, outside, place / "link", users[1], 0.7).communicate()[0]
    awaited = "another uvflow process" if inside == HOLD else "a command to end"
    assert re.fullmatch(
        rf"Waiting for {awaited}: (process {one.pid}, .*)\n6 \1\n",
        output,
        re.DOTALL,
    )
    one.communicate("\n")
    other = start(place, outside, root, users[1], 0)
    assert other.communicate()[0] == "entered\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no directory")
@pytest.mark.parametrize("users", OTHERS)
@pytest.mark.parametrize(("inside", "outside"), [(HOLD, ENTER), (RUN, CHANGE)], ids=["sync", "run"])
def test_a_killed_process_holds_no_lock(
    place: Path, inside: str, outside: str, users: tuple[int, int]
) -> None:
    one = start(place, inside, place / "project", users[0])
    assert one.stdout is not None
    assert one.stdout.readline() == "held\n"
    one.kill()
    one.communicate()
    other = start(place, outside, place / "project", users[1], 0)
    assert other.communicate()[0] == "entered\n"
