"""A synced environment, and ways in which it may come to differ from that."""

import os
import re
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


def leave_link(root: Path, path: Path) -> None:
    """Move what is at `path` out of the environment, and leave a link to it."""
    shutil.rmtree(root / "elsewhere", ignore_errors=True)
    (root / "elsewhere").mkdir()
    path.symlink_to(path.rename(root / "elsewhere" / path.name))


def edit(root: Path, name: str, pattern: str, new: str) -> None:
    path = root / ".venv" / name
    path.write_text(re.sub(pattern, new, path.read_text()))


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def make_pipe(root: Path) -> None:
    data = inside(root, "idna/data.txt")
    data.unlink()
    os.mkfifo(data)


def give_to_conda(root: Path) -> None:
    inside(root, "idna-*/INSTALLER").write_text("conda\n")
    inside(root, "idna/__init__.py").unlink()


def start_another_program(root: Path, name: str = "python") -> None:
    (root / ".venv/bin" / name).unlink()
    (root / ".venv/bin" / name).symlink_to(shutil.which("true") or "")


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
    "an origin that uv cannot read": (
        lambda root: inside(root, "idna-*/uv_cache.json").write_text(""),
        "status",
        "idna: edited: SITE/idna-3.10.dist-info/uv_cache.json (uv cannot read it)",
    ),
    "an origin that is none of its own": (
        lambda root: (
            inside(root, "idna-*/RECORD")
            .with_name("direct_url.json")
            .write_text('{"url": "file:///elsewhere", "dir_info": {"editable": true}}')
        ),
        "status",
        "idna: edited: SITE/idna-3.10.dist-info/direct_url.json (RECORD does not list it)",
    ),
    "an empty RECORD": (
        lambda root: inside(root, "idna-*/RECORD").write_text(""),
        "status",
        "idna: unfinished install: SITE/idna-3.10.dist-info/RECORD (truncated)",
    ),
    "a leftover .data": (
        lambda root: (inside(root, "idna").parent / "idna-9.data/data").mkdir(parents=True),
        "status",
        "unfinished install: SITE/idna-9.data",
    ),
    "a directory for a file": (
        lambda root: make_directory(inside(root, "idna/data.txt")),
        "verify",
        "idna: replaced: SITE/idna/data.txt (a directory)",
    ),
    "a file for a package": (
        lambda root: make_file(inside(root, "idna")),
        "verify",
        "idna: replaced: SITE/idna (not a directory)",
    ),
    "a module that conda has": (give_to_conda, "verify", "idna: missing: SITE/idna/__init__.py"),
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
if os.name != "nt":
    DRIFT |= {
        "a link for a file": (
            lambda root: leave_link(root, inside(root, "idna/data.txt")),
            "verify",
            "idna: replaced: SITE/idna/data.txt (a link to ",
        ),
        "a link for a package": (
            lambda root: leave_link(root, inside(root, "idna")),
            "status",
            "idna: replaced: SITE/idna (a link to ",
        ),
        "a pipe for a file": (
            make_pipe,
            "verify",
            "idna: replaced: SITE/idna/data.txt (not a regular file)",
        ),
        "a link for site-packages": (
            lambda root: leave_link(root, inside(root, "idna").parent),
            "verify",
            "missing site-packages: SITE (a link to ",
        ),
        "a script that is not executable": (
            lambda root: (root / ".venv/bin/idna").chmod(0o644),
            "verify",
            "idna: edited: bin/idna (not executable)",
        ),
        "an empty activate": (
            lambda root: (root / ".venv/bin/activate").write_text(""),
            "status",
            "truncated: bin/activate (empty)",
        ),
        "a directory for activate": (
            lambda root: make_directory(root / ".venv/bin/activate"),
            "status",
            "replaced: bin/activate (a directory)",
        ),
        "a link to itself for activate": (
            lambda root: link_to_itself(root / ".venv/bin/activate"),
            "status",
            "missing: bin/activate (Too many levels of symbolic links)",
        ),
        "a missing python3": (
            lambda root: (root / ".venv/bin/python3").unlink(),
            "status",
            "missing: bin/python3",
        ),
        "another python3": (
            lambda root: start_another_program(root, "python3"),
            "status",
            "replaced: bin/python3 (it is not bin/python)",
        ),
        "a missing activate": (
            lambda root: (root / ".venv/bin/activate").unlink(),
            "status",
            "missing: bin/activate",
        ),
        "an activate from elsewhere": (
            lambda root: edit(root, "bin/activate", re.escape(f"{root}/.venv"), "/gone/.venv"),
            "status",
            "it was created at /gone/.venv, and its scripts point there",
        ),
        "system packages": (
            lambda root: edit(root, "pyvenv.cfg", "packages = false", "packages = true"),
            "status",
            "edited: pyvenv.cfg (include-system-site-packages = true, at the last sync false)",
        ),
        "another home": (
            lambda root: edit(root, "pyvenv.cfg", "home = .*", "home = /"),
            "status",
            "broken interpreter: bin/python (it leads to ",
        ),
        "another program": (
            start_another_program,
            "status",
            "broken interpreter: bin/python (it leads to ",
        ),
    }
