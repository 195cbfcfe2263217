"""The pyproject.toml files of a workspace: of its root, its members and its local sources."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvflow.paths import MANIFEST
from uvflow.project import member_directories, parse_manifest

Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The tables of the root and of the members, by their directories relative to `path`."""

    path: Path
    root: Table
    members: Mapping[str, Table]

    @classmethod
    def at(cls, path: Path) -> "Workspace":
        """The workspace whose root is `path`; raises UsageError where a file is no TOML."""
        root = parse_manifest(path / MANIFEST)
        return cls(path=path, root=root, members=dict(_members(path, root)))

    def manifest(self, folder: str) -> Table:
        """Empty where there is none, as beside a setup.py, of which only a build tells."""
        path = self.path / folder / MANIFEST
        return self.members.get(folder) or (parse_manifest(path) if path.is_file() else {})

    def sources(self, folder: str) -> Table:
        """`[tool.uv.sources]`; those of the root hold for its members as well."""
        shared = at(self.root, "tool", "uv", "sources") if folder in self.members else {}
        own = at(self.manifest(folder), "tool", "uv", "sources")
        return {normalised(name): source for name, source in {**shared, **own}.items()}

    def untold(self, besides: Iterable[Path]) -> tuple[Path, ...]:
        """The directories of sources whose metadata only a build tells, which runs their code.

        Looks at the members, at `besides`, and at what they have from a path.
        """
        found: dict[Path, bool] = {}
        waiting = [*(self.path / folder for folder in self.members), *besides]
        while waiting:
            directory = waiting.pop().resolve()
            if directory not in found and directory.is_dir():
                folder = directory.as_posix()
                found[directory] = _is_untold(self.manifest(folder))
                waiting.extend(directory / path for path in _paths(self.sources(folder)))
        return tuple(sorted(path for path, is_untold in found.items() if is_untold))


def at(table: Table, *keys: str) -> Table:
    """The table at `keys`, empty where it is missing."""
    for key in keys:
        table = table.get(key, {})
    return table


def name_of(manifest: Table) -> str:
    """The normalised name of a project; raises KeyError where it has none."""
    return normalised(manifest["project"]["name"])


def normalised(name: str) -> str:
    """PEP 503; `packaging`, which has this as well, takes 40 ms to import."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _members(workspace: Path, root: Table) -> Iterator[tuple[str, Table]]:
    """The projects of a workspace (uv docs, "Using workspaces")."""
    if "project" in root:
        yield ".", root
    folders = member_directories(workspace, at(root, "tool", "uv", "workspace"))
    for path in sorted(folders - {workspace}):
        manifest = parse_manifest(path / MANIFEST) if (path / MANIFEST).is_file() else {}
        if "project" in manifest and at(manifest, "tool", "uv").get("managed", True):
            yield Path(os.path.relpath(path, workspace)).as_posix(), manifest


def _is_untold(manifest: Table) -> bool:
    return "project" not in manifest or bool(manifest["project"].get("dynamic"))


def _paths(sources: Table) -> Iterator[str]:
    for source in sources.values():
        for table in source if isinstance(source, list) else [source]:
            if "path" in table:
                yield table["path"]
