"""What a virtual environment or an installer makes may go; what is the user's stays."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mounts import mounted, mounting
from rig import Command
from venvs import INFO, SCRIPTS, SITE, Venv

from uvflow.environment import ownership
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import needs_rebuild
from uvflow.environment.ownership import (
    check_location,
    check_not_running_from,
    check_replaceable,
    foreign_entries,
    make_room,
    rename_obstacle,
    users_files,
)
from uvflow.errors import DamagedError, UsageError
from uvflow.files import remove


def location(environment: Path, workspace: Path, configured: str | None = None) -> None:
    check_location(
        environment, workspace, configured=configured, is_users_choice=configured is None
    )


def test_a_directory_of_its_own_can_be_the_environment(tmp_path: Path) -> None:
    workspace = tmp_path / "shop"
    location(workspace / ".venv", workspace, "sub/.venv")
    location(tmp_path / "elsewhere", workspace)  # named by the user's own variable


@pytest.mark.parametrize("name", [".", "..", "../..", "repository", ".git", ".git/hooks"])
def test_what_holds_a_project_a_home_or_a_repository_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    workspace = tmp_path / "home" / "shop"
    (workspace / "repository" / ".git").mkdir(parents=True)
    (workspace / ".git").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for configured in (None, name):
        with pytest.raises(UsageError, match="cannot be the environment"):
            location(workspace / name, workspace, configured)


def test_a_profile_cannot_lead_out(tmp_path: Path) -> None:
    workspace = tmp_path / "shop"
    workspace.mkdir()
    (workspace / "link").symlink_to(tmp_path)
    for name in ("../other", "link/other", str(workspace / ".venv")):
        with pytest.raises(UsageError, match="cannot be the environment"):
            location(workspace / name, workspace, name)


def test_an_environment_is_all_made_by_installers(venv: Venv) -> None:
    environment = Environment(venv.path)
    assert foreign_entries(environment) == []
    assert list(users_files(environment)) == []


@pytest.mark.parametrize("name", ["notes.txt", "src/lib/a.py", "app.py", ".git/config"])
def test_other_entries_at_the_top_are_the_users(venv: Venv, name: str) -> None:
    (venv.path / name).parent.mkdir(parents=True, exist_ok=True)
    (venv.path / name).touch()
    assert foreign_entries(Environment(venv.path)) == [name.split("/", maxsplit=1)[0]]
    assert list(users_files(Environment(venv.path))) == [name]


@pytest.mark.parametrize(
    "name",
    [
        *(f"{SCRIPTS}/deploy", f"{SITE}/mine.py", f"{SITE}/six/patch.py", f"{SITE}/a.pth"),
        f"{SITE}/compiled_without_source.pyc",
        *(f"{SCRIPTS}/{name}" for name in ("python-lint.sh", "activate-prod.sh", "pydoc-serve")),
        *(f"{SITE}/{name}" for name in ("model.data/weights.bin", "trial-1.data/x.csv")),
        *(f"{SITE}/{name}" for name in ("results.dist-info/table.csv", "a/b.egg-info/PKG-INFO")),
        *(f"{INFO}/notes.txt", f"{SITE}/six/easy-install.pth"),
    ],
)
def test_other_files_below_are_the_users_too(venv: Venv, name: str) -> None:
    (venv.path / name).parent.mkdir(parents=True, exist_ok=True)
    (venv.path / name).write_text("mine")
    assert foreign_entries(Environment(venv.path)) == []
    assert list(users_files(Environment(venv.path))) == [name]


def test_a_script_of_the_users_is_no_launcher(venv: Venv) -> None:
    script = venv.path / SCRIPTS / "deploy"
    script.write_text("#!/usr/bin/env python\nimport sys\nprint(sys.argv[0])\nsys.exit(main())\n")
    assert list(users_files(Environment(venv.path))) == [f"{SCRIPTS}/deploy"]


# Of what pip is, links and copies change nothing, and to install it takes the most time.
@pytest.mark.parametrize("options", [[], ["--copies", "--without-pip"]])
def test_what_the_venv_of_python_makes_is_all_its_own(tmp_path: Path, options: list[str]) -> None:
    words = [sys.executable, "-m", "venv", *options, str(tmp_path / ".venv")]
    subprocess.run(words, check=True, env={**os.environ, "HOME": str(tmp_path)})
    assert list(users_files(Environment(tmp_path / ".venv"))) == []
    infos = list(tmp_path.glob(".venv/[lL]ib/**/pip-*.dist-info"))
    assert len(infos) == (0 if options else 1)
    for info in infos:
        (info / "RECORD").unlink()  # as an interrupted installer leaves it
    users = users_files(Environment(tmp_path / ".venv"))
    assert [name for name in users if ".dist-info/" in name] == []


def test_a_link_to_a_directory_is_the_users(venv: Venv, tmp_path: Path) -> None:
    (venv.at / "data").symlink_to(tmp_path)
    assert list(users_files(Environment(venv.path))) == [f"{SITE}/data"]


def test_uv_makes_an_environment_anew_where_there_is_room(venv: Venv) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    make_room(Environment(venv.path), ["missing pyvenv.cfg"])
    assert not venv.path.exists()
    assert [path.name for path in venv.root.glob(".venv*")] == [".venv.before-rebuild"]
    venv.sync("--locked")
    assert venv.damages() == ()


def refusal(path: Path) -> str:
    with pytest.raises(DamagedError) as caught:
        check_replaceable(Environment(path), cause=None, hint="")
    return caught.value.message


def test_a_file_is_not_an_environment(tmp_path: Path) -> None:
    (tmp_path / ".venv").write_text("the name of an environment, for a plugin of the shell")
    message = f"{tmp_path / '.venv'} is not a virtual environment, so nothing in it was touched"
    assert refusal(tmp_path / ".venv") == message


@pytest.mark.parametrize("name", [".project", "rye-venv.json"])
def test_what_other_tools_write_into_environments_is_theirs(venv: Venv, name: str) -> None:
    (venv.path / name).parent.mkdir(parents=True, exist_ok=True)
    (venv.path / name).touch()
    check_replaceable(Environment(venv.path), cause=None, hint="")
    assert list(users_files(Environment(venv.path))) == []


@pytest.mark.parametrize("name", [".uvflow-set-aside", "uvflow-receipt.json"])
def test_what_a_killed_write_leaves_is_ours(venv: Venv, name: str) -> None:
    environment = Environment(venv.path)
    (venv.path / f".{name}.uvflow-unfinished-x").touch()
    assert foreign_entries(environment) == []
    assert list(users_files(environment)) == []


def test_uvflow_does_not_rename_the_environment_that_it_runs_from() -> None:
    check_not_running_from(Path(sys.prefix, "another"))
    with pytest.raises(DamagedError, match="uvflow is running from"):
        check_not_running_from(Path(sys.prefix))


def test_a_directory_can_be_renamed_unless_it_is_mounted_there(tmp_path: Path) -> None:
    assert rename_obstacle(tmp_path) == ""
    assert rename_obstacle(Path("/")) == "it is a mount point"


@mounting
@pytest.mark.parametrize("command", ["sync", "verify --repair", "run true"])
def test_an_environment_is_not_changed_while_something_is_mounted_in_it(
    venv: Venv, command: str
) -> None:
    (venv.at / "six").rename(venv.root / "mine")
    (venv.at / "six").mkdir()
    (venv.path / "pyvenv.cfg").unlink()
    done = mounted(f"mount --bind mine .venv/{SITE}/six; uvflow {command}", venv.root)
    assert done.returncode == 5
    assert done.stderr.splitlines()[-2:] == [
        f"error: {venv.at}/six is mounted in {venv.path}, which has to be changed",
        f"hint: `umount {venv.at}/six`, then sync again",
    ]
    assert (venv.root / "mine" / "data.txt").exists()
    assert [path.name for path in venv.root.glob(".venv*")] == [".venv"]


@mounting
def test_an_environment_with_a_mount_in_it_may_be_in_sync(venv: Venv, uvflow: Command) -> None:
    assert uvflow("sync", cwd=venv.root).code == 0
    shutil.copytree(venv.at / "six", venv.root / "mine")
    (venv.root / "uv.toml").touch()
    done = mounted(f"mount --bind mine .venv/{SITE}/six; uvflow sync", venv.root)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        0,
        "Already in sync: dev (as last time)",
    )


@mounting
def test_a_mount_is_neither_renamed_nor_removed(tmp_path: Path) -> None:
    for name in ("tree/in side", "source"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "source" / "mine").touch()
    (tmp_path / "change.py").write_text(
        "import pathlib, uvflow.files as files\n"
        "tree = pathlib.Path('tree')\n"
        "aside = lambda tree: files.set_aside(tree, pathlib.Path('aside'))\n"
        "for change in (files.remove, files.remove_set_aside, aside):\n"
        "    try:\n        change(tree)\n"
        "    except OSError as error:\n        print(error.filename)\n"
    )
    script = f"mount --bind source 'tree/in side'; {sys.executable} change.py"
    done = mounted(script, tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path / "tree" / "in side")] * 3
    assert (tmp_path / "source" / "mine").exists()


def cannot_rename(*_paths: Path) -> None:
    raise OSError(16, "Device or resource busy")


def test_a_mount_point_is_emptied_where_installers_made_all_of_it(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    monkeypatch.setattr(ownership, "set_aside", cannot_rename)
    make_room(Environment(venv.path), ["missing pyvenv.cfg"])
    assert list(venv.path.iterdir()) == []
    venv.sync("--locked")


def test_a_mount_point_with_files_of_the_users_is_left_alone(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    (venv.at / "mine.py").touch()
    monkeypatch.setattr(ownership, "set_aside", cannot_rename)
    with pytest.raises(DamagedError, match="cannot be set aside"):
        make_room(Environment(venv.path), ["moved"])
    assert (venv.path / "pyvenv.cfg").exists()


@pytest.mark.parametrize("removed", range(1, 6))  # with `python` there uv would change its base
def test_emptying_cut_short_is_seen_and_uv_does_not_refuse(
    venv: Venv, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    monkeypatch.setattr(ownership, "set_aside", cannot_rename)
    monkeypatch.setattr(ownership, "remove", removing(removed, remove))
    with pytest.raises(KeyboardInterrupt):
        make_room(Environment(venv.path), ["missing pyvenv.cfg"])
    assert not (venv.path / SCRIPTS).exists()
    assert needs_rebuild(venv.damages())
    venv.sync("--locked")


def removing(count: int, remove_one: Callable[[Path], None]) -> Callable[[Path], None]:
    """`remove_one` for the first `count` calls, and Ctrl-C in the next one."""
    left = iter(range(count))

    def remove_while_it_lasts(path: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        remove_one(path)

    return remove_while_it_lasts


def test_what_an_interrupted_uv_venv_leaves_makes_room(tmp_path: Path) -> None:
    place = tmp_path / ".venv"
    (place / SCRIPTS).mkdir(parents=True)
    for name in (".gitignore", "CACHEDIR.TAG"):
        (place / name).write_text("")
    make_room(Environment(place), ["missing pyvenv.cfg"])
    assert not place.exists()


@pytest.mark.parametrize(
    "names",
    [
        ("notes.txt",),
        ("bin/tool",),
        ("CACHEDIR.TAG", "notes.txt"),
        ("lib/python3.11/os.py", "lib/python3.11/site-packages/six.py"),
    ],
)
def test_what_is_not_a_virtual_environment_is_left_as_it_is(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(DamagedError):
        make_room(Environment(tmp_path), ["missing pyvenv.cfg"])
    assert all((tmp_path / name).exists() for name in names)
