"""Types of the fixtures in conftest, a sample project, and where the commands under test are."""

import contextlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uvflow.__main__ import find_in_sync, parse_command_line
from uvflow.fingerprint import CHANGED, in_sync_message
from uvflow.state.backup import ReversibleChange, restored_on_failure
from uvflow.state.store import State

BIN = Path(sysconfig.get_path("scripts"))

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0"]

[dependency-groups]
dev = ["iniconfig"]
"""


@dataclass(frozen=True)
class Result:
    """The result of a command: its exit code and its two streams."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
Tree = Callable[[Mapping[str, str]], Path]


def changing(root: Path) -> contextlib.AbstractContextManager[ReversibleChange]:
    """A change of a project's two files, as `init` makes it."""
    files = (root / "pyproject.toml", root / "uv.lock")
    return restored_on_failure(State.of(root), files=files)


def already_in_sync(words: tuple[str, ...]) -> str | None:
    """What the fast path says of a command line; None where it leaves that to the command line."""
    CHANGED.clear()  # as in a process of its own
    parsed = parse_command_line(words)
    found = parsed and find_in_sync(parsed)
    return in_sync_message(*found[:2]) if found else None


def by_click(*words: str, cwd: Path) -> Result:
    """What the command line answers, without the fast path or the short path of `run` before it."""
    code = "import sys; from uvflow.cli.main import main; sys.argv[0] = 'uvflow'; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


_AUTHOR = {
    f"GIT_{who}_{what}": "x@example.com"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def git(root: Path, *words: str) -> str:
    """The output of git, with somebody as the author."""
    environ = {**os.environ, **_AUTHOR}
    return subprocess.run(
        ("git", *words), cwd=root, check=True, env=environ, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def is_running(pid: int) -> bool:
    """Whether a process of Linux exists, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
