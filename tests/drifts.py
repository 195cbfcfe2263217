"""A synced environment, and ways in which it may come to differ from that."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "idna"]

[dependency-groups]
dev = ["iniconfig"]
"""


def pip(root: Path, *arguments: str) -> None:
    environ = {**os.environ, "VIRTUAL_ENV": str(root / ".venv")}
    del environ["UV_PYTHON"]
    command = ["uv", "pip", *arguments]
    subprocess.run(command, cwd=root, env=environ, check=True, capture_output=True)


def inside(root: Path, pattern: str) -> Path:
    [path] = (root / ".venv").glob(f"[Ll]ib/**/site-packages/{pattern}")
    return path


def truncate(root: Path) -> None:
    inside(root, "idna/data.txt").write_text("")


def overwrite(root: Path) -> None:
    inside(root, "idna/data.txt").write_bytes(b"data\n" * 99 + b"atad\n")


# A name → (what happens, the command that reports it, its message).
DRIFT: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a deleted file": (
        lambda root: inside(root, "idna/data.txt").unlink(),
        "verify",
        "idna: missing: SITE/idna/data.txt",
    ),
    "a deleted package": (
        lambda root: shutil.rmtree(inside(root, "idna")),
        "verify",
        "idna: missing: SITE/idna/__init__.py",
    ),
    "an edited file": (overwrite, "verify", "idna: edited: SITE/idna/data.txt (sha256 differs)"),
    "a truncated file": (
        truncate,
        "verify",
        "idna: truncated: SITE/idna/data.txt (0 bytes, installed with 500)",
    ),
    "a missing script": (
        lambda root: next(root.glob(".venv/[bS]*/idna*")).unlink(),
        "verify",
        "idna: missing: bin/idna",
    ),
    "a missing RECORD": (
        lambda root: inside(root, "idna-*/RECORD").unlink(),
        "status",
        "idna: unfinished install: SITE/idna-3.10.dist-info (no RECORD)",
    ),
    "a missing METADATA": (
        lambda root: inside(root, "idna-*/METADATA").unlink(),
        "status",
        "idna: no metadata: SITE/idna-3.10.dist-info",
    ),
    "a missing pyvenv.cfg": (
        lambda root: (root / ".venv/pyvenv.cfg").unlink(),
        "status",
        "missing pyvenv.cfg: pyvenv.cfg",
    ),
    "an extra module": (
        lambda root: inside(root, "idna").with_name("stray.py").write_text(""),
        "verify",
        "orphan: SITE/stray.py",
    ),
    "an extra distribution": (
        lambda root: pip(root, "install", "toml==0.10.2"),
        "status",
        "toml 0.10.2 is not asked for",
    ),
    "a wrong version": (
        lambda root: pip(root, "install", "six==1.15.0"),
        "status",
        "six is 1.15.0 instead of 1.16.0",
    ),
    "a missing dist-info": (
        lambda root: shutil.rmtree(inside(root, "idna-*.dist-info")),
        "status",
        "idna 3.10 is missing",
    ),
}
