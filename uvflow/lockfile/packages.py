"""uv.lock as values: the only reader of that file.

The format is uv's own (uv docs, "Project structure"): every uv since 0.5 reads version 1, and its
revisions only add keys.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from uvflow.errors import UsageError, UvflowError
from uvflow.files import read_bytes
from uvflow.paths import LOCKFILE
from uvflow.project import schema
from uvflow.project.manifest import Project

Table = Mapping[str, Any]
Node = tuple[str, str]  # a package's name and one of its extras, "" for the package itself

_SOURCE = {"*": str}
_EDGES = [{"name": str, "version": str, "source": _SOURCE, "marker": str, "extra": [str]}]
_SHAPE = {
    "requires-python": str,
    "manifest": {"members": [str]},
    "package": [
        {
            "name": str,
            "version": str,
            "source": _SOURCE,
            "dependencies": _EDGES,
            "optional-dependencies": {"*": _EDGES},
            "dev-dependencies": {"*": _EDGES},
            "sdist": {"hash": str},
            "wheels": [{"filename": str, "url": str, "path": str, "hash": str}],
        }
    ],
}

_DIRECTORIES = ("editable", "virtual", "directory")

# Only uv writes uv.lock, with one source a line. A line end is found 20 times as fast as "^".
_PACKAGE = "\n[[package]]\n"
_HAS_PATH = rf"\nsource = \{{ (?:{'|'.join(_DIRECTORIES)}|path) = .*"


class LockedPackage:
    """One `[[package]]` of uv.lock; `table` has all its keys."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @property
    def name(self) -> str:
        """Normalised, as uv writes it."""
        return str(self.table.get("name", ""))

    @property
    def version(self) -> str:
        """Empty where the version is dynamic."""
        return str(self.table.get("version", ""))

    @property
    def source(self) -> Table:
        source: Table = self.table.get("source", {})
        return source

    @property
    def directory(self) -> str | None:
        """Its directory relative to the lockfile; None for a package that is not local."""
        return next((self.source[kind] for kind in _DIRECTORIES if kind in self.source), None)

    @property
    def wheels(self) -> tuple[str, ...]:
        """The file names of its wheels."""
        rows = self.table.get("wheels", ())
        listed = (row.get("filename") or row.get("url") or row.get("path", "") for row in rows)
        direct = (self.source.get(kind, "") for kind in ("url", "path"))
        places = (*listed, *(place for place in direct if ".whl" in place))
        return tuple(unquote(place.rpartition("/")[2].partition("#")[0]) for place in places)

    @property
    def hashes(self) -> frozenset[str]:
        """The hashes of its wheels and its sdist, as `algorithm:digest`."""
        files = (self.table.get("sdist", {}), *self.table.get("wheels", ()))
        return frozenset(file["hash"] for file in files if "hash" in file)

    @cached_property
    def needs(self) -> Mapping[str, tuple[Node, ...]]:
        """What the package ("") and each extra need on every platform and every Python."""
        extras = {"": self.table.get("dependencies", ())}
        extras |= self.table.get("optional-dependencies", {})
        return {
            extra: tuple(edge_nodes(edge for edge in edges if "marker" not in edge))
            for extra, edges in extras.items()
        }


def edge_nodes(edges: Iterable[Table]) -> Iterator[Node]:
    """What rows of dependencies name."""
    return ((edge["name"], extra) for edge in edges for extra in ("", *edge.get("extra", ())))


class Lockfile:
    """A uv.lock; `table` has all its keys. Where a resolution forks, packages share a name."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.packages = tuple(map(LockedPackage, table.get("package", ())))

    @property
    def requires_python(self) -> str:
        return str(self.table.get("requires-python", ""))

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the workspace's members; empty without other members."""
        return tuple(self.table.get("manifest", {}).get("members", ()))

    @cached_property
    def by_name(self) -> Mapping[str, tuple[LockedPackage, ...]]:
        packages: dict[str, tuple[LockedPackage, ...]] = {}
        for package in self.packages:
            packages[package.name] = (*packages.get(package.name, ()), package)
        return packages

    @cached_property
    def local_packages(self) -> tuple[LockedPackage, ...]:
        return tuple(package for package in self.packages if package.directory is not None)

    def package_at(self, path: str) -> LockedPackage | None:
        """The package whose directory, wheel or sdist is at `path`, relative to the lockfile."""
        for package in self.packages:
            if path in {package.directory, package.source.get("path")}:
                return package
        return None


def read_lockfile(path: Path) -> Lockfile:
    """The uv.lock at `path`; raises as `parse_lockfile` does, and DiskError."""
    return parse_lockfile(read_bytes(path), str(path))


def parse_lockfile(text: bytes | str, source: str = LOCKFILE) -> Lockfile:
    """A uv.lock from the `text` of the file `source`; raises UsageError if it is not valid."""
    lockfile = _parsed(text, source)
    if lockfile.table.get("version") != 1:
        raise UsageError(
            f"{source} has the version {lockfile.table.get('version')}; uvflow reads version 1",
            hint="`pip install --upgrade uvflow`",
        )
    return lockfile


def read_local_part(path: Path) -> Lockfile:
    """As `read_lockfile`, of any version and without indexed packages: 16 ms instead of 1 s."""
    head, *packages = _read(path).split(_PACKAGE)
    local = (package for package in packages if re.search(_HAS_PATH, package))
    return _parsed(_PACKAGE.join((head, *local)), str(path))


def _read(path: Path) -> str:
    return read_bytes(path).decode(errors="replace").replace("\r\n", "\n")


@lru_cache(maxsize=4)  # one command reads uv.lock in several places
def _parsed(text: bytes | str, source: str) -> Lockfile:
    table = schema.parse(text, source)
    schema.validate(table, _SHAPE, source)
    return Lockfile(table)


class LocalSource(NamedTuple):
    """A file or directory that uv.lock names as the source of a package; `path` is absolute.

    `kind` is uv's: `editable`, `virtual`, `directory` or `path`.
    """

    name: str
    kind: str
    path: Path

    @property
    def is_built(self) -> bool:
        return self.kind != "virtual"


def local_sources(project: Project) -> tuple[LocalSource, ...]:
    """The project itself, the members of its workspace, and all else that is locked from a path.

    Empty if uv.lock cannot be read: uv says what is wrong with it.
    """
    try:
        text = f"\n{_read(project.lockfile)}"
        found = ((match.start(), match.end()) for match in re.finditer(_HAS_PATH, text))
        # Without their dependencies, which may be hundreds of lines.
        heads = (text[text.rfind(_PACKAGE, 0, start) : end] for start, end in found)
        lockfile = _parsed("\n".join(heads), str(project.lockfile))
    except UvflowError:
        return ()
    return tuple(
        LocalSource(name=package.name, kind=kind, path=project.workspace / path)
        for package in lockfile.packages
        for kind, path in package.source.items()
        if kind in (*_DIRECTORIES, "path")
    )
