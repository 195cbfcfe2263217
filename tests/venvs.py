"""Environments created by the real uv, to be damaged; the fixture `venv` is one."""

import os
import sys
from pathlib import Path

import pytest

from uvflow import uv
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage, DamageKind, file_damage, metadata_damage
from uvflow.environment.ownership import sort_unowned

PROJECT = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["requests", "six==1.17.0"]
"""
WINDOWS = os.name == "nt"
LIB = "Lib" if WINDOWS else f"lib/python3.{sys.version_info[1]}"
SITE = f"{LIB}/site-packages"
SCRIPTS = "Scripts" if WINDOWS else "bin"
EXE = ".exe" if WINDOWS else ""

posix_only = pytest.mark.skipif(WINDOWS, reason="links and modes of POSIX")
symlink = pytest.param("symlink", marks=posix_only)


class Venv:
    """An environment created by the real uv; `at` is its site-packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".venv"
        self.at = self.path / SITE
        self.sync()

    def sync(self, *arguments: str) -> None:
        self.uv("sync", *arguments)

    def uv(self, *arguments: str) -> None:
        completed = uv.find().capture(arguments, cwd=self.root)
        assert completed.code == 0, completed.err

    def damages(self) -> tuple[Damage, ...]:
        environment = Environment(self.path)
        found = (*metadata_damage(environment), *file_damage(environment, by_hash=True))
        return tuple(dict.fromkeys(found))

    def unowned(self) -> tuple[str, ...]:
        return tuple(sort_unowned(Environment(self.path))[1])


def damage(kind: DamageKind, path: str, distribution: str = "six", detail: str = "") -> Damage:
    return Damage(kind=kind, path=path, distribution=distribution, detail=detail)


INFO = f"{SITE}/six-1.17.0.dist-info"


def replace(path: Path, text: str) -> None:
    """Write as an editor does: a new file, so that a link to uv's cache is cut."""
    path.unlink()
    path.write_text(text)
