"""After any interruption the next `uvflow sync` ends with an intact environment, or says why."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rig import BIN, Command, Tree

from uvflow import environment
from uvflow.environment import Environment
from uvflow.state import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "requests==2.32.3"]

[dependency-groups]
dev = ["iniconfig"]
"""
UV = shutil.which("uv", path=str(BIN))


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    return root


def scripted_uv(directory: Path, on_sync: str) -> dict[str, str]:
    """Real uv, but for `uv sync`, which is what the shell script `on_sync` says."""
    path = directory / "scripted" / "uv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nif [ "$1" = sync ]; then\n{on_sync}\nfi\nexec {UV} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"UVFLOW_UV": str(path)}


def assert_intact(root: Path, *names: str) -> None:
    there = Environment.at(root / ".venv")
    assert environment.unfinished(there) == ()
    assert environment.missing(there) == ()
    assert environment.edited(there) == ()
    assert environment.orphans(there) == ()
    assert {d.name for d in environment.distributions(there)} == set(names)


DEV = ("certifi", "idna", "iniconfig", "requests", "six")
PROD = ("certifi", "idna", "requests", "six")

WAYS_TO_DIE = {
    "before it has done anything": "true",
    "with a distribution half there": (
        f'{UV} "$@"; cd .venv/lib/*/site-packages; rm six/data.txt; rm six-*/RECORD'
    ),
    "with files missing behind a whole RECORD": (
        f'{UV} "$@"; cd .venv/lib/*/site-packages; rm -r six idna/data.txt'
    ),
    "with an uninstall begun": (
        f'{UV} "$@"; cd .venv/lib/*/site-packages; rm -r iniconfig-*.dist-info'
    ),
    "with an empty environment": "mkdir -p .venv/lib/python3.99/site-packages",
    "with a file truncated": f'{UV} "$@"; cd .venv/lib/*/site-packages; : > idna/__init__.py',
}


@pytest.mark.parametrize("way", WAYS_TO_DIE)
@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_a_sync_killed_with_uv_is_healed_by_the_next(
    shop: Path, uvflow: Command, way: str, profile: str
) -> None:
    dying = scripted_uv(shop, f"({WAYS_TO_DIE[way]}); kill -9 $PPID; exit 1")
    assert uvflow("sync", "--dev", cwd=shop, environ=dying).code == -signal.SIGKILL
    done = uvflow("sync", f"--{profile}", cwd=shop)
    assert done.code == 0, done.err
    assert_intact(shop, *(DEV if profile == "dev" else PROD))
    assert uvflow("sync", f"--{profile}", cwd=shop).err == f"Already in sync: {profile}\n"


def test_what_another_tool_left_unfinished_is_repaired_and_named(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    [record] = shop.glob(".venv/lib/*/site-packages/idna-*/RECORD")
    record.unlink()
    done = uvflow("sync", cwd=shop)
    assert done.code == 0
    told = [line for line in done.err.splitlines() if line.startswith("Repairing")]
    place = record.parent.relative_to(shop / ".venv").as_posix()
    assert told == [f"Repairing .venv: idna: unfinished install: {place} (no RECORD)"]
    assert_intact(shop, *DEV)


def test_an_environment_that_does_not_heal_is_5_with_its_damage(
    shop: Path, uvflow: Command
) -> None:
    breaking = scripted_uv(shop, f'{UV} "$@"; rm .venv/lib/*/site-packages/six-*/RECORD; exit 0')
    done = uvflow("sync", cwd=shop, environ=breaking)
    assert done.code == 5
    said = done.err[done.err.index("error:") :].splitlines()
    assert said[0] == f"error: {shop / '.venv'} is damaged, and does not heal"
    assert said[1].startswith("  cause: six: unfinished install: lib/python3")
    assert uvflow("sync", cwd=shop).code == 0
    assert_intact(shop, *DEV)


def test_an_environment_outside_the_project_is_never_removed(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    outside = {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "outside")}
    assert uvflow("sync", cwd=shop, environ=outside).code == 0
    (tmp_path / "outside" / "keep").write_text("mine")
    breaking = scripted_uv(shop, f"rm {tmp_path}/outside/pyvenv.cfg; exit 0")
    done = uvflow("sync", "--prod", cwd=shop, environ={**outside, **breaking})
    assert done.code == 5
    assert f"error: {tmp_path / 'outside'} is damaged, and lies outside the project\n" in done.err
    assert (tmp_path / "outside" / "keep").read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_uv_too_and_leaves_the_journal(
    shop: Path, uvflow: Command, number: signal.Signals
) -> None:
    slow = scripted_uv(shop, 'echo $$ > "$PWD/pid"; exec sleep 60')
    with subprocess.Popen(
        [BIN / "uvflow", "sync"], cwd=shop, env={**os.environ, **slow}, stderr=subprocess.PIPE
    ) as process:
        while not (shop / "pid").exists() or not (shop / "pid").read_text():
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert err == b"error: interrupted\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((shop / "pid").read_text()), 0)
    assert State.of(shop).recall("dev.journal")
    assert uvflow("sync", cwd=shop).code == 0
    assert State.of(shop).recall("dev.journal") is None
    assert_intact(shop, *DEV)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_killing_uvflow_takes_uv_with_it(shop: Path) -> None:
    slow = scripted_uv(shop, 'echo $$ > "$PWD/pid"; exec sleep 60')
    with subprocess.Popen(
        [BIN / "uvflow", "sync"], cwd=shop, env={**os.environ, **slow}
    ) as process:
        while not (shop / "pid").exists() or not (shop / "pid").read_text():
            time.sleep(0.02)
        process.kill()
    time.sleep(0.2)
    assert not is_running(int((shop / "pid").read_text()))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("command", ["sync", "verify"])
def test_uv_is_not_run_before_the_ruins_are_gone(shop: Path, uvflow: Command, command: str) -> None:
    """Its `python` is only a link to the base Python then, which uv would take for it."""
    uvflow("sync", cwd=shop)
    (shop / ".venv" / "pyvenv.cfg").unlink()
    looking = scripted_uv(shop, f'ls .venv/bin/python > seen 2>&1; exec {UV} "$@"')
    done = uvflow(
        command, *(["--repair"] if command == "verify" else []), cwd=shop, environ=looking
    )
    assert done.code == 0, done.err
    assert "Making .venv anew: missing pyvenv.cfg: pyvenv.cfg\n" in done.err
    assert "No such file" in (shop / "seen").read_text()
    assert_intact(shop, *DEV)


def test_a_directory_that_is_no_environment_is_left_alone(shop: Path, uvflow: Command) -> None:
    (shop / ".venv").mkdir()
    (shop / ".venv" / "thesis.txt").write_text("mine")
    done = uvflow("sync", cwd=shop)
    assert done.code == 2
    assert f"error: {shop / '.venv'} is no virtual environment, so it is left as it is" in done.err
    assert (shop / ".venv" / "thesis.txt").read_text() == "mine"
