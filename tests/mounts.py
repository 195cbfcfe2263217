"""File systems of a test's own, in a namespace of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rig import BIN


def can_mount() -> bool:
    """Whether a namespace with mounts of its own can be created here; Linux only (unshare(1))."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    mounted = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs t /mnt"]
    return subprocess.run(mounted, check=False, capture_output=True).returncode == 0


mounting = pytest.mark.skipif(not can_mount(), reason="mounts file systems of its own")


def mounted(script: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a shell script that may mount what it likes."""
    environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    words = ["unshare", "-rm", "sh", "-euc", script]
    return subprocess.run(
        words, cwd=cwd, env=environ, check=False, capture_output=True, text=True, timeout=120
    )


def read_only(directory: Path, command: str, *, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command while `directory` cannot be written."""
    place = f"'{directory}'"
    mount = f'mount --bind {place} {place}; mount -o remount,bind,ro {place}; cd "$PWD"'
    return mounted(f"{mount}; {command}", cwd)
