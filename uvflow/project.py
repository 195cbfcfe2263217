"""Project: what pyproject.toml says, read with tomllib and checked."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvflow import profiles, shape
from uvflow.errors import UsageError
from uvflow.files import read_bytes
from uvflow.paths import LOCKFILE, MANIFEST, project_root
from uvflow.profiles import Profiles

Table = Mapping[str, Any]

# PEP 621, PEP 735 and PEP 518, and of uv's tables what is read here.
_SHAPE = {
    "project": {
        "name": str,
        "version": str,
        "requires-python": str,
        "dependencies": [str],
        "optional-dependencies": {"*": [str]},
        "dynamic": [str],
        "scripts": {"*": str},
    },
    "dependency-groups": {"*": [(str, dict)]},
    "build-system": {"requires": [str]},
    "tool": {
        "uv": {
            "default-groups": (str, list),
            "index": [{"name": str, "url": str}],
            "no-binary-package": [str],
            "package": bool,
            "required-version": str,
            "sources": dict,
            "workspace": {"members": [str], "exclude": [str]},
        }
    },
}


@dataclass(frozen=True, kw_only=True)
class Project:
    """A directory tree with a pyproject.toml; `workspace` is where its uv.lock is."""

    root: Path
    workspace: Path
    manifest: Table

    @classmethod
    def load(cls, root: Path) -> "Project":
        """Raises UsageError where pyproject.toml is no TOML or says things of the wrong type."""
        return cls(
            root=root, workspace=workspace_of(root), manifest=parse_manifest(root / MANIFEST)
        )

    @classmethod
    def find(cls, start: Path) -> "Project":
        """The project that `start` lies in; raises UsageError where there is none."""
        root = project_root(str(start))
        if root is None:
            raise UsageError(
                f"no {MANIFEST} in {start} or above it",
                hint="`uvflow init` makes a project of this directory",
            )
        return cls.load(Path(root))

    @property
    def lockfile(self) -> Path:
        return self.workspace / LOCKFILE

    @property
    def metadata(self) -> Table:
        """`[project]`, or nothing."""
        return self.table("project")

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", self.root.name))

    @property
    def profiles(self) -> Profiles:
        """The profiles of `[tool.uvflow]`; raises UsageError where that is not valid."""
        return profiles.read(self.table("tool", "uvflow"), str(self.root / MANIFEST))

    def table(self, *keys: str) -> Table:
        """The table at `keys`, empty where it is missing; raises UsageError for anything else."""
        found: Any = self.manifest
        for depth, key in enumerate(keys, 1):
            found = found.get(key, {})
            if not isinstance(found, Mapping):
                raise UsageError(f"{self.root / MANIFEST}: `{'.'.join(keys[:depth])}` is no table")
        table: Table = found
        return table


def parse_manifest(path: Path) -> Table:
    """A pyproject.toml as a table.

    Raises UsageError where it is no TOML or says things of the wrong type, DiskError unread.
    """
    try:
        manifest = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML", cause=str(error)) from error
    shape.check(manifest, _SHAPE, str(path))
    return manifest


def workspace_of(root: Path) -> Path:
    """The nearest directory upwards whose `[tool.uv.workspace]` has `root` as a member."""
    for directory in (root, *root.parents):
        if not (directory / MANIFEST).is_file():
            continue
        match parse_manifest(directory / MANIFEST):
            case {"tool": {"uv": {"workspace": dict(workspace)}}}:
                return directory if _is_member(root, directory, workspace) else root
    return root


def _is_member(root: Path, directory: Path, workspace: Table) -> bool:
    return root == directory or root in member_directories(directory, workspace)


def member_directories(directory: Path, workspace: Table) -> set[Path]:
    """Where `[tool.uv.workspace]` of `directory` has members (uv docs, "Using workspaces")."""

    def matched(key: str) -> set[Path]:
        # uv takes absolute patterns as well, and Path.glob does not; "." is the root itself.
        places = (directory / str(pattern) for pattern in workspace.get(key, ()))
        patterns = {os.path.relpath(place, directory) for place in places} - {"."}
        found = (path for pattern in patterns for path in directory.glob(pattern))
        return {Path(os.path.normpath(path)) for path in found}

    return matched("members") - matched("exclude")
