"""A `uvflow init` that cannot go on leaves no trace: real file systems, real signals."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from mounts import mounted, mounting
from rig import BIN, Command, Tree

from uvflow.uv import find

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts and signals of POSIX")

FILES = {
    "requirements.txt": "requests==2.28.0\nsix\n",
    "requirements-dev.txt": "-r requirements.txt\npytest==8.0.0\n",
}


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every path below `root`, with its mode and its bytes."""
    return {
        path.relative_to(root).as_posix(): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in root.rglob("*")
    }


@mounting
@pytest.mark.parametrize(
    "kilobytes",
    [pytest.param(8, id="for the manifest"), pytest.param(96, id="for the environment")],
)
def test_a_disk_without_room_leaves_no_trace(tree: Tree, tmp_path: Path, kilobytes: int) -> None:
    root = tree(FILES)
    done = mounted(
        f"mkdir disk after; mount -t tmpfs -o size={kilobytes}k,mode=755 t disk\n"
        f"cp -a {root}/. disk; cd disk; uvflow init || code=$?; cp -a . ../after; exit $code",
        tmp_path,
    )
    assert done.returncode == 8, done.stderr
    assert "No space left on device" in done.stderr
    assert everything(tmp_path / "after") == everything(root)


@mounting
def test_a_read_only_file_system_is_reported(tree: Tree) -> None:
    root = tree(FILES)
    done = mounted("mount --bind . .; mount -o remount,bind,ro .; cd $PWD; uvflow init", root)
    assert (done.returncode, done.stderr) == (
        8,
        f"error: {root / 'pyproject.toml'} cannot be written\n  cause: Read-only file system\n",
    )


@mounting
@pytest.mark.parametrize("mount", ["--bind .venv .venv", "-t tmpfs t .venv"])
def test_an_environment_that_cannot_be_renamed_is_changed_in_place(tree: Tree, mount: str) -> None:
    root = tree(FILES)
    done = mounted(
        f"mkdir .venv; mount {mount}; uv venv -q; uv pip install -q --python .venv toml\n"
        "uvflow init --dry-run; test -d .venv/lib/python*/site-packages/toml; uvflow init\n"
        "test ! -d .venv/lib/python*/site-packages/toml; uvflow undo",
        root,
    )
    assert done.returncode == 0, done.stderr
    unkept = f"{root / '.venv'} is changed in place, since it is a mount point: "
    assert done.stderr.count(unkept) == 2
    assert done.stderr.endswith(
        f"Removed: pyproject.toml, uv.lock\nwarning: {root / '.venv'} stays as it is now: what was"
        " there before init is not kept any more\n"
    )
    assert {path.name for path in root.iterdir()} == {*FILES, ".venv"}


WAITING = """\
#!{python}
import os, subprocess, sys, time
uv = {uv!r}
if sys.argv[1] == "sync" and "--dry-run" not in sys.argv:
    subprocess.run([uv, *sys.argv[1:]])
    print("waiting", file=sys.stderr, flush=True)
    for _ in range(1000):
        time.sleep(0.05)  # a signal that comes right before a sleep is heeded after it
os.execv(uv, [uv, *sys.argv[1:]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_environment_that_was_synced_is_put_back_after_a_signal(
    tree: Tree, tmp_path: Path, number: signal.Signals
) -> None:
    root = tree(FILES)
    subprocess.run([find().path, "venv", "-q"], cwd=root, check=True)
    before = everything(root)
    script = tmp_path / "waiting-uv"
    script.write_text(WAITING.format(python=sys.executable, uv=find().path))
    script.chmod(0o755)
    environ = {**os.environ, "UVFLOW_UV": str(script)}
    with subprocess.Popen(
        [BIN / "uvflow", "init"], cwd=root, env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        assert any(line == "waiting\n" for line in process.stderr)
        assert everything(root) != before
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    assert everything(root) == before


def test_two_at_once_end_with_one_project(tree: Tree, uvflow: Command) -> None:
    root = tree(FILES)
    both = [
        subprocess.Popen(
            [BIN / "uvflow", "init"], cwd=root, stderr=subprocess.PIPE, encoding="utf-8"
        )
        for _ in "12"
    ]
    outputs = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("project is already a locked uv project" in err for err in outputs) == 1
    assert uvflow("sync", cwd=root).err == "Already in sync: dev (as last time)\n"
