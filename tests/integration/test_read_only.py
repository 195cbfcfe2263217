"""What is in sync is in sync where nothing can be written, too."""

import shutil
import subprocess
from pathlib import Path

import pytest
from mounts import mounting, read_only
from rig import MANIFEST, Command, Tree

from uvflow.state.store import State, cache_root

pytestmark = mounting

COMMANDS = {
    "sync": "Already in sync: dev (as last time)\n",
    "sync --dev": "Already in sync: dev\n",
    "run -- python -c 'import six'": "",
}


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_a_state_that_cannot_be_written_is_no_obstacle(
    shop: Path, uvflow: Command, command: str
) -> None:
    uvflow("sync", cwd=shop)
    done = read_only(cache_root(), f"uvflow {command}", cwd=shop)
    assert (done.returncode, done.stderr) == (0, COMMANDS[command])


@pytest.mark.parametrize("command", ["sync --dev", "run --dev -- python -c 'import six'"])
@pytest.mark.parametrize("place", ["project", "state", "file"])
def test_an_environment_that_uv_made_is_in_sync_everywhere(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: str
) -> None:
    subprocess.run(["uv", "sync", "-q", "--locked"], cwd=shop, check=True)
    cache_root().mkdir()
    if place == "file":  # nor can the state be created
        (tmp_path / "file").touch()
        monkeypatch.setenv("UVFLOW_CACHE_DIR", str(tmp_path / "file" / "state"))
    directory = shop if place == "project" else cache_root() if place == "state" else tmp_path
    done = read_only(directory, f"uvflow {command}", cwd=shop)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr in ("", "Already in sync: dev\n")


def test_another_profile_in_sync_is_not_remembered_where_nothing_can_be(
    shop: Path, uvflow: Command
) -> None:
    profile = '\n[tool.uvflow.profiles.prod]\nenvironment = ".venv-prod"\n'
    (shop / "pyproject.toml").write_text(MANIFEST + profile)
    for flag in ("--prod", "--dev"):
        uvflow("sync", flag, cwd=shop)
    done = read_only(cache_root(), "uvflow sync --prod", cwd=shop)
    assert (done.returncode, done.stderr) == (0, "Already in sync: prod\n")


def test_a_sync_that_has_work_to_do_names_the_state_and_the_way_out(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    shutil.rmtree(shop / ".venv")
    done = read_only(cache_root(), "uvflow sync", cwd=shop)
    assert done.returncode == 8
    assert done.stderr == (
        f"error: {State.of(shop).directory} cannot be written\n"
        "  cause: Read-only file system\n"
        "hint: UVFLOW_CACHE_DIR can name another directory for what uvflow remembers\n"
    )


@pytest.mark.parametrize("command", ["sync --prod", "run --prod -- python"])
def test_an_environment_that_cannot_be_changed_is_named(
    shop: Path, uvflow: Command, command: str
) -> None:
    uvflow("sync", "--dev", cwd=shop)
    done = read_only(shop, f"uvflow {command}", cwd=shop)
    assert done.returncode == 8
    assert done.stderr == (
        f"error: {shop / '.venv'} cannot be written\n"
        "  cause: Read-only file system\n"
        "hint: UV_PROJECT_ENVIRONMENT can name another place for the environment\n"
    )
    assert uvflow("sync", "--dev", cwd=shop).err == "Already in sync: dev\n"


def test_a_repair_that_cannot_write_is_one_error(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--dev", cwd=shop)
    next(shop.glob(".venv/lib/*/site-packages/six/__init__.py")).unlink()
    done = read_only(shop, "uvflow verify --repair", cwd=shop)
    assert done.returncode == 8
    assert done.stderr == (
        f"error: {shop / '.venv'} cannot be written\n"
        "  cause: Read-only file system\n"
        "hint: UV_PROJECT_ENVIRONMENT can name another place for the environment\n"
    )


def test_an_environment_that_cannot_be_created_is_named(shop: Path) -> None:
    done = read_only(shop, "uvflow sync", cwd=shop)
    assert done.returncode == 8
    assert done.stderr.startswith(f"error: {shop / '.venv'} cannot be written\n")
    assert not list(State.of(shop).directory.glob("*.journal"))


def test_a_stale_lockfile_is_3_where_nothing_can_be_written(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    (shop / "pyproject.toml").write_text(MANIFEST.replace("six==1.16.0", "six==1.17.0"))
    for directory in (shop, cache_root()):
        assert read_only(directory, "uvflow sync", cwd=shop).returncode == 3
