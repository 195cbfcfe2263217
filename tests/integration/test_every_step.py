"""Killed before and after every step of ours: the next uvflow ends with what was promised."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dying import count_steps, die_at
from rig import MANIFEST, Command, Tree

from uvflow.environment import repair
from uvflow.environment.installed import Environment
from uvflow.environment.repair import Depth, Past
from uvflow.files import SET_ASIDE
from uvflow.project.profiles import BUILT_IN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")

PIP_PROJECT = {
    "requirements.txt": "six==1.16.0\n",
    "requirements-dev.txt": "-r requirements.txt\niniconfig\n",
    "setup.py": "print('mine')\n",
}


STEPS = """
[[tool.uvflow.setup]]
name = "settings"
copy = { from = "settings.example", to = "settings" }

[[tool.uvflow.setup]]
name = "database"
run = ["python", "-c", "open('database', 'w').write('made')"]
creates = ["database"]
"""


def sample(steps: int, *, each: int = 8) -> Iterator[int]:
    """Some of the steps in the default run; with EVERY_STEP=1, as in CI, all of them."""
    return iter(range(1, steps + 1, 1 if os.environ.get("EVERY_STEP") else each))


@pytest.mark.parametrize(("first", "then"), [("dev", "prod"), ("prod", "dev")])
def test_sync_repairs_after_every_step(
    tree: Tree, uvflow: Command, first: str, then: str, tmp_path: Path
) -> None:
    root, state = tree({"pyproject.toml": MANIFEST}), tmp_path / "uvflow-cache"
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    uvflow("sync", "--profile", first, cwd=root)
    restore = keep(root, state)
    steps = count_steps("sync", f"--{then}", cwd=root)
    assert steps > 10
    for step in sample(steps):
        restore()
        die_at(step, "sync", f"--{then}", cwd=root)
        done = uvflow("sync", f"--{then}", "--timeout", "0", cwd=root)
        assert done.code == 0, (step, done.err)
        assert repair.find_damage(Environment(root / ".venv"), Depth.HASHES, Past())[0] == (), step
        assert list(root.rglob("*.uvflow-*")) == [], step
        check = ["uv", *BUILT_IN[then].sync_arguments(), "--check"]
        assert subprocess.run(check, cwd=root, check=False).returncode == 0, step


@pytest.fixture(params=[False, True], ids=["fresh", "with an environment"])
def pip_project(tree: Tree, request: pytest.FixtureRequest) -> Path:
    root = tree(PIP_PROJECT)
    if request.param:
        subprocess.run(["uv", "venv", "-q"], cwd=root, check=True)
        words = ("uv", "pip", "install", "-q", "--python", ".venv", "six==1.15.0", "toml")
        subprocess.run(words, cwd=root, check=True)
    return root


def test_after_every_step_of_init_the_tree_is_old_or_new(
    pip_project: Path, uvflow: Command, tmp_path: Path
) -> None:
    root, state, old = pip_project, tmp_path / "uvflow-cache", contents(pip_project)
    uvflow("init", cwd=root)  # the first one creates the state directory
    uvflow("undo", cwd=root)
    restore = keep(root, state)
    steps = count_steps("init", cwd=root)
    new = contents(root)
    assert {"pyproject.toml", "uv.lock", ".venv/pyvenv.cfg"} < new.keys()
    assert uvflow("undo", cwd=root).code == 0
    assert contents(root) == old
    assert steps > 20
    for step in sample(steps, each=20):
        restore()
        die_at(step, "init", cwd=root)
        sync = uvflow("sync", cwd=root)
        # Unless it was killed between what uv has written and the note of that.
        is_unknown = "was not put back, since it changed" in sync.err
        assert contents(root) in (old, new) or is_unknown, (step, sync.err)
        undo = uvflow("undo", *(("--force",) if is_unknown else ()), cwd=root)
        found = contents(root).items()
        now = {name: data for name, data in found if not name.startswith(".venv.after-init")}
        assert now == old, (step, sync.err, undo.err)
        assert "Traceback" not in sync.err + undo.err


def test_undo_is_done_completely_or_not_at_all(
    pip_project: Path, uvflow: Command, tmp_path: Path
) -> None:
    root, state, old = pip_project, tmp_path / "uvflow-cache", contents(pip_project)
    uvflow("init", cwd=root)
    new = contents(root)
    restore = keep(root, state)
    steps = count_steps("undo", cwd=root)
    for step in sample(steps, each=30):
        restore()
        die_at(step, "undo", cwd=root)
        sync = uvflow("sync", cwd=root)
        assert contents(root) in (old, new), (step, sync.err)
        undo = uvflow("undo", cwd=root)
        assert contents(root) == old, (step, sync.err, undo.err)
        assert "Traceback" not in sync.err + undo.err


def test_setup_goes_on_at_the_step_in_which_it_was_killed(
    tree: Tree, uvflow: Command, tmp_path: Path
) -> None:
    files = {"pyproject.toml": MANIFEST + STEPS, "settings.example": "DEBUG=1\n"}
    root, state = tree(files), tmp_path / "uvflow-cache"
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    uvflow("sync", "--dev", cwd=root)  # the kills of a sync have a test of their own
    restore = keep(root, state)
    steps = count_steps("setup", cwd=root)
    new = contents(root)
    assert {"settings", "database"} < new.keys()
    assert steps > 10
    for step in sample(steps):
        restore()
        die_at(step, "setup", cwd=root)
        done = uvflow("setup", "--timeout", "0", cwd=root)
        assert done.code == 0, (step, done.err)
        assert contents(root).keys() == new.keys(), (step, done.err)
        assert uvflow("setup", "--check", cwd=root).code == 0, step


def keep(*places: Path) -> Callable[[], None]:
    """Copy `places`; returns what puts the copies back, so that each kill meets the same state."""
    for place in places:
        shutil.copytree(place, f"{place}.before", symlinks=True)

    def restore() -> None:
        for place in places:
            shutil.rmtree(place)
            shutil.copytree(f"{place}.before", place, symlinks=True)

    return restore


def contents(root: Path) -> dict[str, bytes]:
    """Every path, and the bytes of files, but for the mark, which has the number of an inode."""
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*")}
    empty = {name for name, path in paths.items() if path.is_dir() or path.name == SET_ASIDE}
    return {name: b"" if name in empty else path.read_bytes() for name, path in paths.items()}
