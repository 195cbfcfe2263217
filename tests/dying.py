"""Kills uvflow right before the nth step by which it changes the disk or starts a process.

The steps are Python's own audit events (PEP 578), so that uvflow needs no code for this. To die
after a step is to die before the next one.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

_CHANGES = (
    "fcntl.flock",
    "open",
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
    "subprocess.Popen",
)

_PROGRAM = f"""
import os, signal, sys
at, counted = int(sys.argv.pop(1)), 0
sys.argv[0] = "uvflow"

def step(event, arguments):
    global counted
    if event not in {_CHANGES!r}:
        return
    if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    counted += 1
    if counted == at:
        os.kill(os.getpid(), signal.SIGKILL)

from uvflow.__main__ import execute
sys.addaudithook(step)
code = execute()
if not at:
    print(counted)
sys.exit(code)
"""


def count_steps(*arguments: str, cwd: Path) -> int:
    """Run uvflow to its end; returns how many steps that takes."""
    done = _run(0, arguments, cwd)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def die_at(step: int, *arguments: str, cwd: Path) -> None:
    """Run uvflow and kill it before `step`, from 1."""
    done = _run(step, arguments, cwd)
    assert done.returncode == -signal.SIGKILL, (step, done.returncode, done.stderr)


def _run(step: int, arguments: tuple[str, ...], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(step), *arguments],
        cwd=cwd,
        env=os.environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
