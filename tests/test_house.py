"""Who may import what: the house plan, held by a test."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import uvflow
from uvflow.__main__ import SPELLINGS

HOUSE = Path(uvflow.__file__).parent
ROOMS = {
    ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts): path
    for path in sorted(HOUSE.rglob("*.py"))
}

# A package → the only rooms that import it.
GUARDED = {
    "click": {room for room in ROOMS if room.startswith("uvflow.cli.")},
    "subprocess": {"uvflow.uv"},
    "filelock": {"uvflow.state"},
    "platformdirs": {"uvflow.state"},
    "tomlkit": {"uvflow.pyproject"},
}

DOOR = {"uvflow", "uvflow.__main__", "uvflow.paths", "uvflow.snapshot"}
COMMANDS = {f"uvflow.{name}" for name in ("init", "sync", "run", "status", "undo", "verify")}

# Pure rooms: values in, values out. They read no file and start no process.
PURE = {
    *(room for room in ROOMS if room.startswith("uvflow.imports")),
    "uvflow.accounts",
    "uvflow.additions",
    "uvflow.arrays",
    "uvflow.profiles",
    "uvflow.pyproject",
    "uvflow.redaction",
    "uvflow.docker.render",
}
IMPURE = {"subprocess", "shutil", "tempfile", "socket", "urllib.request", "uvflow.files"}


def imported(room: str) -> Iterator[str]:
    """Every module that the source of `room` names in an import, at the top or inside."""
    for node in ast.walk(ast.parse(ROOMS[room].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", GUARDED)
def test_a_guarded_package_has_its_one_importer(package: str) -> None:
    importers = {room for room in ROOMS if package in {m.split(".")[0] for m in imported(room)}}
    assert importers <= GUARDED[package]


def test_only_the_command_line_imports_commands() -> None:
    importers = {room for room in ROOMS if COMMANDS & set(imported(room))}
    assert {room for room in importers if not room.startswith("uvflow.cli.")} <= COMMANDS


@pytest.mark.parametrize("room", sorted(PURE & ROOMS.keys()))
def test_pure_rooms_read_and_run_nothing(room: str) -> None:
    assert not IMPURE & set(imported(room))
    calls = {n.id for n in ast.walk(ast.parse(ROOMS[room].read_text())) if isinstance(n, ast.Name)}
    assert "open" not in calls


def test_one_room_alone_asks_the_web() -> None:
    asking = {"http.client", "urllib.error", "socket"}
    assert {room for room in ROOMS if asking & set(imported(room))} == {"uvflow.fetching"}


def test_only_the_door_opens_the_command_line() -> None:
    importers = {room for room in ROOMS if any(m.startswith("uvflow.cli") for m in imported(room))}
    assert {room for room in importers if not room.startswith("uvflow.cli.")} == {"uvflow.__main__"}


def test_a_sync_without_options_does_without_click() -> None:
    code = "import sys, uvflow.cli.synced, uvflow.sync, filelock; print('click' in sys.modules)"
    assert python(code) == "False\n"


def test_the_door_loads_nothing_beyond_bare_python() -> None:
    listing = "import sys; print('\\n'.join(sys.modules))"
    bare = set(python(listing).split())
    door = set(python(f"import uvflow.__main__; {listing}").split())
    assert door - bare == DOOR


def test_the_door_knows_whole_spellings_of_sync_alone() -> None:
    assert SPELLINGS == {("sync",): None, ("sync", "--dev"): "dev", ("sync", "--prod"): "prod"}


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
