"""`uvflow cache`, as installed: what is remembered, and forgetting it."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rig import Command

from uvflow.files import SET_ASIDE
from uvflow.state import locks
from uvflow.state.backup import restored_on_failure
from uvflow.state.store import State

MANIFEST = '[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\n'


@pytest.fixture
def projects(tmp_path: Path, uvflow: Command) -> tuple[Path, Path]:
    """Two synced projects, `one` before `two`."""
    roots = tmp_path / "one", tmp_path / "two"
    for root in roots:
        root.mkdir()
        (root / "pyproject.toml").write_text(MANIFEST.format(name=root.name))
        subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
        assert uvflow("sync", cwd=root).code == 0
    return roots


def kept(root: Path) -> set[str]:
    return {path.name for path in State.of(root).directory.iterdir()}


def test_dir_is_where_it_is_kept(uvflow: Command, tmp_path: Path) -> None:
    done = uvflow("cache", "dir")
    assert (done.code, done.out, done.err) == (0, f"{tmp_path / 'uvflow-cache'}\n", "")
    assert json.loads(uvflow("cache", "dir", "--json").out) == {
        "schema_version": 2,
        "command": "cache dir",
        "exit_code": 0,
        "directory": str(tmp_path / "uvflow-cache"),
    }


def test_list_has_the_last_used_first(projects: tuple[Path, Path], uvflow: Command) -> None:
    one, two = projects
    shutil.rmtree(one)
    done = uvflow("cache", "list")
    lines = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d +\d+ KiB  ", "", s) for s in done.out.splitlines()]
    assert lines == [str(two), f"{one}  (gone)"]


def test_list_as_json(projects: tuple[Path, Path], uvflow: Command) -> None:
    data = json.loads(uvflow("cache", "list", "--json").out)
    assert [project["root"] for project in data["projects"]] == [str(r) for r in projects[::-1]]
    directory = State.of(projects[1]).directory
    size = sum(path.stat().st_size for path in directory.iterdir())
    [project, _] = data["projects"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", project.pop("last_used"))
    assert project == {
        "root": str(projects[1]),
        "is_gone": False,
        "directory": str(directory),
        "size": size,
    }


def test_nothing_remembered_is_an_empty_list(uvflow: Command, tmp_path: Path) -> None:
    done = uvflow("cache", "list")
    assert (done.code, done.out, done.err) == (0, "", "Nothing is remembered\n")
    for command in ("clear", "prune"):
        done = uvflow("cache", command)
        assert (done.code, done.out, done.err) == (0, "", "No project to forget\n")
    assert not (tmp_path / "uvflow-cache").exists()


def test_prune_forgets_what_is_gone(projects: tuple[Path, Path], uvflow: Command) -> None:
    one, two = projects
    assert uvflow("cache", "prune").out == ""
    shutil.rmtree(one)
    done = uvflow("cache", "prune")
    assert (done.code, done.out) == (0, f"Forgot {one}\n")
    assert kept(one) == {"lock"}
    assert "dev.fingerprint" in kept(two)


@pytest.fixture
def replaced(tmp_path: Path, uvflow: Command) -> Path:
    """A project of which init has set the environment aside; returns where that is."""
    root = tmp_path / "three"
    root.mkdir()
    (root / "requirements.txt").write_text("six\n")
    uv = ("uv", "pip", "install", "-q", "--python", ".venv", "six==1.15.0", "toml")
    for command in (("uv", "venv", "-q"), uv):
        subprocess.run(command, cwd=root, check=True)
    assert uvflow("init", cwd=root).code == 0
    return root / ".venv.before-init"


def test_prune_removes_what_init_set_aside(replaced: Path, uvflow: Command) -> None:
    done = uvflow("cache", "prune")
    assert re.fullmatch(rf"Removed {re.escape(str(replaced))} \(\d+ KiB\)\n", done.out)
    assert not replaced.exists()
    assert (replaced.parent / ".venv").exists()
    done = uvflow("undo", cwd=replaced.parent)
    assert done.code == 0
    why = "stays as it is now: what was there before init is not kept any more"
    assert done.err.splitlines() == [
        "Put back: nothing",
        "Removed: pyproject.toml, uv.lock",
        f"warning: {replaced.parent / '.venv'} {why}",
    ]


def test_prune_keeps_files_of_the_users(replaced: Path, uvflow: Command) -> None:
    (replaced / "notes.txt").write_text("mine")
    data = json.loads(uvflow("cache", "prune", "--json").out)
    [kept] = data["kept"]
    assert kept.pop("size") > 0
    reason = "it holds files that no installer made, such as notes.txt"
    assert (data["removed"], kept) == ([], {"path": str(replaced), "reason": reason})
    assert (replaced / "notes.txt").read_text() == "mine"


def test_prune_removes_nothing_without_our_mark(replaced: Path, uvflow: Command) -> None:
    root = replaced.parent
    (root / ".venv.before-init-2").mkdir()
    (root / ".venv.old").symlink_to(replaced)
    (replaced / SET_ASIDE).unlink()
    assert uvflow("cache", "prune").out == ""
    assert {path.name for path in root.glob(".venv.*")} == {
        replaced.name,
        ".venv.before-init-2",
        ".venv.old",
    }


def test_prune_leaves_a_project_at_work_alone(replaced: Path, uvflow: Command) -> None:
    with locks.mutex(State.of(replaced.parent), "uvflow sync"):
        done = uvflow("cache", "prune")
    assert "is kept: another uvflow process is using the project" in done.err
    assert replaced.exists()


def test_clear_forgets_all_and_loses_nothing(projects: tuple[Path, Path], uvflow: Command) -> None:
    one, two = projects
    done = uvflow("cache", "clear")
    assert (done.code, done.out) == (0, f"Forgot {two}\nForgot {one}\n")
    assert uvflow("cache", "list").out == ""
    done = uvflow("sync", cwd=one)
    assert (done.code, done.err.splitlines()[-1]) == (0, "Synced: dev (by default)")


def test_clear_forgets_the_named(projects: tuple[Path, Path], uvflow: Command) -> None:
    one, two = projects
    assert uvflow("cache", "clear", os.path.relpath(one, two), cwd=two).out == f"Forgot {one}\n"
    assert "dev.fingerprint" in kept(two)
    done = uvflow("cache", "clear", "nope", cwd=two)
    assert done.code == 2
    assert done.err == (
        "error: nothing is remembered of nope\nhint: `uvflow cache list` shows what is\n"
    )


def test_a_project_at_work_is_left_and_named(projects: tuple[Path, Path], uvflow: Command) -> None:
    one, two = projects
    with locks.mutex(State.of(two), "uvflow sync"):
        done = uvflow("cache", "clear")
    assert (done.code, done.out) == (6, f"Forgot {one}\n")
    assert done.err == f"warning: {two} is kept: another uvflow process is using it\n"
    assert "dev.fingerprint" in kept(two)


def test_a_project_in_which_a_command_runs_is_left(
    projects: tuple[Path, Path], uvflow: Command
) -> None:
    one, two = projects
    lease = locks.take_lease(State.of(two), two / ".venv", "uvflow run server")
    try:
        data = json.loads(uvflow("cache", "clear", "--json").out)
    finally:
        for descriptor in lease.descriptors:
            os.close(descriptor)
    assert data["exit_code"] == 6
    assert [[p["root"] for p in data[key]] for key in ("forgotten", "left")] == [
        [str(one)],
        [str(two)],
    ]
    assert [left["reason"] for left in data["left"]] == ["a command of `uvflow run` is using it"]
    assert "dev.fingerprint" in kept(two)


def test_what_is_still_to_be_put_back_is_left(projects: tuple[Path, Path], uvflow: Command) -> None:
    one, two = projects
    for root in projects:
        with contextlib.suppress(SystemExit), restored_on_failure(State.of(root), files=()):
            unfinished = State.of(root).read("backup.json") or b""
            sys.exit("as if killed")
        State.of(root).write("backup.json", unfinished)
    shutil.rmtree(one)
    done = uvflow("cache", "clear")
    assert (done.code, done.out) == (6, f"Forgot {one}\n")
    assert done.err == (
        f"warning: {two} is kept: an init was cut short there; "
        "`uvflow init` puts back what it had changed\n"
    )
    assert "backup.json" in kept(two)


def test_what_is_not_ours_stays(
    projects: tuple[Path, Path], uvflow: Command, tmp_path: Path
) -> None:
    mine = tmp_path / "uvflow-cache/projects/mine"
    mine.mkdir()
    (mine / "file").write_text("")
    (mine.with_name("a-file")).write_text("")
    assert len(uvflow("cache", "clear").out.splitlines()) == len(projects)
    assert (mine / "file").exists()


def test_a_state_that_does_not_say_whose_it_is_is_listed_and_not_pruned(
    projects: tuple[Path, Path], uvflow: Command
) -> None:
    one, two = projects
    for root, damaged in ((one, b"1\n2\n/nowhere\nuvflow sync"), (two, b"\xff")):
        [holder] = State.of(root).directory.glob("*holder")
        holder.write_bytes(damaged)
    names = {State.of(root).directory.name for root in projects}
    assert {line.split()[-1] for line in uvflow("cache", "list").out.splitlines()} == names
    assert uvflow("cache", "prune").out == ""
    done = uvflow("cache", "clear")
    assert {line.removeprefix("Forgot ") for line in done.out.splitlines()} == names
    assert kept(one) == kept(two) == {"lock"}
