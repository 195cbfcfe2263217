"""pyproject.toml, read and validated: the project, its workspace and its members."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from uvflow.errors import UsageError
from uvflow.files import read_bytes
from uvflow.paths import LOCKFILE, MANIFEST, OWN_SETTINGS, project_root
from uvflow.project import profiles, schema
from uvflow.project.profiles import ALL, Names, Profile, Profiles

Table = Mapping[str, Any]

# What uvflow reads of PEP 621, PEP 735 and PEP 518, and of the tables of uv.
_SHAPE = {
    "project": {
        "name": str,
        "version": str,
        "requires-python": str,
        "dependencies": [str],
        "optional-dependencies": {"*": [str]},
        "dynamic": [str],
        "scripts": {"*": str},
        "urls": {"*": str},
    },
    "dependency-groups": {"*": [(str, dict)]},
    "build-system": {"requires": [str]},
    "tool": {
        "fastapi": {},
        "uv": {
            "default-groups": (str, list),
            "index": [{"name": str, "url": str}],
            "no-binary-package": [str],
            "package": bool,
            "required-version": str,
            "sources": dict,
            "workspace": {"members": [str], "exclude": [str]},
        },
        "uvflow": {"profiles": {}, "docker": {}},
    },
}


class Project(NamedTuple):
    """A directory tree with a pyproject.toml; `workspace` is where its uv.lock is."""

    root: Path
    workspace: Path
    manifest: Table

    @classmethod
    def load(cls, root: Path) -> "Project":
        """The project at `root`; raises UsageError as `parse_manifest` does.

        Also for the members of its workspace: uv prints their names unescaped.
        """
        manifest, workspace = parse_manifest(root / MANIFEST), workspace_of(root)
        if workspace != root or "workspace" in table_at(manifest, "tool", "uv"):
            Workspace.at(workspace)
        return cls(root=root, workspace=workspace, manifest=manifest)

    @classmethod
    def find(cls, start: Path) -> "Project":
        """The project that contains `start`; raises UsageError if none does."""
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
    def directories(self) -> tuple[Path, ...]:
        """The root of the workspace and its members."""
        members = member_directories(self.workspace, manifest_in(self.workspace))
        return (self.workspace, *sorted(members - {self.workspace}))

    @property
    def metadata(self) -> Table:
        """`[project]`, empty where it is missing."""
        return self.table("project")

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", self.root.name))

    @property
    def shared_profiles(self) -> Profiles:
        """The profiles of `[tool.uvflow]`; raises UsageError if that is not valid."""
        return profiles.read(self.table("tool", "uvflow"), str(self.root / MANIFEST))

    @property
    def profiles(self) -> Profiles:
        """As `shared_profiles`, with additions and changes of a person's own uvflow.local.toml."""
        path, shared = self.root / OWN_SETTINGS, self.table("tool", "uvflow")
        own = schema.parse(read_bytes(path), str(path)) if path.exists() else {}
        return profiles.read(shared, str(self.root / MANIFEST), own, str(path))

    def check_selection(self, profile: Profile) -> None:
        """Raises UsageError for a group, extra or member of `profile` that does not exist."""
        if not (profile.groups or profile.extras or profile.package):
            return
        workspace = Workspace.at(self.workspace)
        try:
            members = {project_name(table): table for table in workspace.members.values()}
        except KeyError:
            return  # uv says which project has no name
        selected = [*members.values()]
        if profile.package not in {None, ALL}:
            package = canonical_name(str(profile.package))
            _require_known(profile, "package", "members", (package,), members)
            selected = [members[package]]
        elif profile.package is None and "project" in self.manifest:
            selected = [self.manifest]
        groups = {name for table in (*selected, workspace.root) for name in group_names(table)}
        _require_known(profile, "groups", "groups", profile.groups or (), groups)
        projects = [table["project"] for table in selected]
        if not any("optional-dependencies" in each.get("dynamic", ()) for each in projects):
            extras = {name for each in projects for name in each.get("optional-dependencies", ())}
            _require_known(profile, "extras", "extras", profile.extras, extras)

    def table(self, *keys: str) -> Table:
        """The table at `keys`, empty where it is missing."""
        return table_at(self.manifest, *keys)


def parse_manifest(path: Path) -> Table:
    """A pyproject.toml as a table; raises UsageError for invalid TOML or a wrong type."""
    return _parsed(read_bytes(path), str(path))


def manifest_in(directory: Path) -> Table:
    """The pyproject.toml in a directory; empty without one, as beside a setup.py."""
    path = directory / MANIFEST
    return parse_manifest(path) if path.is_file() else {}


parse_table = lru_cache(maxsize=64)(schema.parse)  # one command reads a file in several places


@lru_cache(maxsize=64)  # as above
def _parsed(data: bytes, source: str) -> Table:
    manifest = parse_table(data, source)
    schema.validate(manifest, _SHAPE, source)
    return manifest


def workspace_of(root: Path) -> Path:
    """The workspace that has `root` as a member: its own, or the nearest project above."""
    for directory in (root, *root.parents):
        manifest = manifest_in(directory)
        if "workspace" in table_at(manifest, "tool", "uv"):
            is_member = root in {directory, *member_directories(directory, manifest)}
            return directory if is_member else root
        if directory != root and (directory / MANIFEST).is_file():
            return root  # uv looks no further than this project, which is not a workspace
    return root


def member_directories(directory: Path, manifest: Table) -> set[Path]:
    """The members in `[tool.uv.workspace]` of `directory` (uv docs, "Using workspaces").

    Raises UsageError for an invalid pattern, and for a path that is not one line of visible
    characters.
    """
    workspace = table_at(manifest, "tool", "uv", "workspace")

    def matched(key: str) -> set[Path]:
        # uv accepts absolute patterns, Path.glob does not; "." is the root itself.
        places = (directory / str(pattern) for pattern in workspace.get(key, ()))
        patterns = {os.path.relpath(place, directory) for place in places} - {"."}
        found = (path for pattern in patterns for path in directory.glob(pattern))
        try:
            return {Path(os.path.normpath(path)) for path in found}
        except ValueError as error:  # `a**`, for Python before 3.13
            what = f"{directory / MANIFEST}: invalid pattern in tool.uv.workspace.{key}"
            raise UsageError(what, cause=str(error)) from error

    members = matched("members") - matched("exclude")
    for path in members:
        name, source = os.path.relpath(path, directory), str(directory / MANIFEST)
        schema.validate(name, str, source, "tool.uv.workspace.members")
    return members


class Workspace(NamedTuple):
    """The tables of the root and of the members, by their directories relative to `path`."""

    path: Path
    root: Table
    members: Mapping[str, Table]

    @classmethod
    def at(cls, path: Path) -> "Workspace":
        """The workspace whose root is `path`; raises UsageError as `parse_manifest` does."""
        root = parse_manifest(path / MANIFEST)
        members = {".": root} if "project" in root else {}
        for directory in sorted(member_directories(path, root) - {path}):
            manifest = manifest_in(directory)
            if "project" in manifest and table_at(manifest, "tool", "uv").get("managed", True):
                members[Path(os.path.relpath(directory, path)).as_posix()] = manifest
        return cls(path=path, root=root, members=members)

    def manifest(self, folder: str) -> Table:
        return self.members.get(folder) or manifest_in(self.path / folder)

    def sources(self, folder: str) -> Table:
        """`[tool.uv.sources]`, of which those of the root also hold for its members."""
        shared = table_at(self.root, "tool", "uv", "sources") if folder in self.members else {}
        own = table_at(self.manifest(folder), "tool", "uv", "sources")
        return {canonical_name(name): source for name, source in {**shared, **own}.items()}

    def sources_to_build(self, besides: Iterable[Path]) -> tuple[Path, ...]:
        """The directories that uv has to build, which runs their code, to get their metadata.

        Looks at the members, at `besides`, and at the sources of these that are paths.
        """
        needs_build: dict[Path, bool] = {}
        waiting = [*(self.path / folder for folder in self.members), *besides]
        while waiting:
            directory = waiting.pop().resolve()
            if directory not in needs_build and directory.is_dir():
                folder = directory.as_posix()
                project = self.manifest(folder).get("project")
                needs_build[directory] = project is None or bool(project.get("dynamic"))
                for source in self.sources(folder).values():
                    tables = source if isinstance(source, list) else [source]
                    waiting += [directory / table["path"] for table in tables if "path" in table]
        return tuple(sorted(path for path, needed in needs_build.items() if needed))


def table_at(table: Table, *keys: str) -> Table:
    """The table at `keys`, empty where it is missing."""
    for key in keys:
        table = table.get(key, {})
    return table


def group_names(manifest: Table) -> Iterator[str]:
    """The dependency groups (PEP 735), and `dev` for uv's older `dev-dependencies`."""
    yield from manifest.get("dependency-groups", ())
    if "dev-dependencies" in table_at(manifest, "tool", "uv"):
        yield "dev"


def default_groups(uv_table: Table, groups: Iterable[str]) -> tuple[str, ...]:
    """The groups that `uv sync` installs without an option (uv docs, "Default groups")."""
    names = uv_table.get("default-groups", ["dev"])
    return tuple(groups) if names == "all" else tuple(names)


def _require_known(
    profile: Profile, key: str, what: str, names: Names, known: Iterable[str]
) -> None:
    if names == ALL:
        return
    normalised = set(map(canonical_name, known))
    for name in names:
        if canonical_name(name) not in normalised:
            raise UsageError(
                f"{profile.where}: `{key}` has `{name}`, which does not exist",
                hint=schema.suggestion(name, sorted(known), what) if normalised else None,
            )


def project_name(manifest: Table) -> str:
    """The normalised name of a project; raises KeyError if it has none."""
    return canonical_name(manifest["project"]["name"])


def canonical_name(name: str) -> str:
    """A name normalised by PEP 503; `packaging`, which does the same, takes 40 ms to import."""
    return re.sub(r"[-_.]+", "-", name).lower()
