"""uv.lock as values: the only reader of that file.

The format is uv's own (uv docs, "Project structure"): every uv since 0.5 reads version 1, and its
revisions only add keys.
"""

import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from uvflow.errors import UsageError
from uvflow.project import schema
from uvflow.project.manifest import Project

# uv.lock is written by uv alone, one source a line.
_LOCAL_SOURCE = re.compile(
    r'^source = \{ (?P<kind>editable|virtual|directory|path) = (?P<path>"(?:[^"\\]|\\.)*") \}$',
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class LocalSource:
    """A file or directory that uv.lock names as a source; `path` is absolute."""

    path: Path
    is_built: bool


def local_sources(project: Project) -> tuple[LocalSource, ...]:
    """The project itself, its workspace's members and what else is locked from a path."""
    text = _text(project.lockfile)
    return tuple(
        LocalSource(
            path=project.workspace / tomllib.loads(f"path = {found['path']}")["path"],
            is_built=found["kind"] != "virtual",
        )
        for found in _LOCAL_SOURCE.finditer(text)
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


Table = Mapping[str, Any]

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
            "wheels": [dict],
        }
    ],
}

_LOCAL = ("editable", "virtual", "directory")
_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBC_MINOR = 41  # Debian 13 "trixie" has glibc 2.41


@dataclass(frozen=True, kw_only=True)
class Package:
    """One `[[package]]`. `local` is its directory relative to the lockfile, if it has one."""

    name: str
    table: Table

    @property
    def version(self) -> str | None:
        """None where the version is dynamic."""
        version: str | None = self.table.get("version")
        return version

    @property
    def source(self) -> Table:
        source: Table = self.table.get("source", {})
        return source

    @property
    def local(self) -> str | None:
        return next((str(self.source[kind]) for kind in _LOCAL if kind in self.source), None)

    @property
    def wheels(self) -> tuple[str, ...]:
        """The file names of its wheels."""
        listed = (_file_name(wheel) for wheel in self.table.get("wheels", ()))
        direct = (str(self.source.get(kind, "")) for kind in ("url", "path"))
        return (*listed, *(_base_name(name) for name in direct if ".whl" in name))


@dataclass(frozen=True, kw_only=True)
class TargetPlatform:
    """What the environment of an image is made for."""

    python: str
    platform: str

    @property
    def environment(self) -> dict[str, str]:
        """The marker environment of PEP 508."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": _MACHINES[self.platform],
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }

    @property
    def tags(self) -> frozenset[Tag]:
        """What a wheel may be tagged with to fit (PEP 425, PEP 600)."""
        version = tuple(map(int, self.python.split(".")))
        platforms = list(_platforms(_MACHINES[self.platform]))
        interpreter = f"cp{self.python.replace('.', '')}"
        return frozenset(
            (
                *cpython_tags(version, [interpreter], platforms),
                *compatible_tags(version, interpreter, platforms),
            )
        )


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The packages of a lockfile by name; a fork of the resolution has several of one name."""

    by_name: Mapping[str, tuple[Package, ...]]
    requires_python: str
    members: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[Package, ...]:
        return tuple(package for packages in self.by_name.values() for package in packages)

    def local(self, directory: str) -> Package | None:
        """The local package in `directory`, relative to the lockfile."""
        return next((p for p in self.packages if p.local == directory), None)


def read_lockfile(data: bytes, source: str) -> Lock:
    """The lockfile `data`; raises UsageError where it is not one."""
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{source} is not valid TOML", cause=str(error)) from error
    if table.get("version") != 1:
        raise UsageError(
            f"{source} has the version {table.get('version')}; uvflow reads version 1",
            hint="`pip install --upgrade uvflow`",
        )
    schema.validate(table, _SHAPE, source)
    by_name: dict[str, tuple[Package, ...]] = {}
    for entry in table.get("package", ()):
        name = entry.get("name", "")
        by_name[name] = (*by_name.get(name, ()), Package(name=name, table=entry))
    return Lock(
        by_name=by_name,
        requires_python=table.get("requires-python", ""),
        members=tuple(table.get("manifest", {}).get("members", ())),
    )


def closure(
    lock: Lock,
    roots: Iterable[Package],
    target: TargetPlatform,
    *,
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
) -> tuple[Package, ...]:
    """What `uv sync` installs for `roots` with these extras and dependency groups, by name."""
    found: dict[int, Package] = {}
    done: set[tuple[int, str]] = set()
    waiting = [(root, extra) for root in roots for extra in ("", *extras)]
    edges = [edge for root, extra in waiting if not extra for edge in _of_groups(root, groups)]
    while waiting or edges:
        for edge in edges:
            waiting += _followed(lock, edge, target)
        edges = []
        if waiting:
            package, extra = waiting.pop()
            found[id(package)] = package
            if (id(package), extra) not in done:
                done.add((id(package), extra))
                edges = _edges(package, extra)
    return tuple(sorted(found.values(), key=lambda package: package.name))


def _of_groups(root: Package, groups: tuple[str, ...]) -> Iterator[Table]:
    for group in groups:
        yield from root.table.get("dev-dependencies", {}).get(group, ())


def _edges(package: Package, extra: str) -> list[Table]:
    if extra:
        return list(package.table.get("optional-dependencies", {}).get(extra, ()))
    return list(package.table.get("dependencies", ()))


def _followed(lock: Lock, edge: Table, target: TargetPlatform) -> Iterator[tuple[Package, str]]:
    marker = edge.get("marker")
    if marker and not Marker(marker).evaluate(target.environment):
        return
    for package in lock.by_name.get(edge.get("name", ""), ()):
        if any(
            key in edge and edge[key] != package.table.get(key) for key in ("version", "source")
        ):
            continue
        for extra in ("", *edge.get("extra", ())):
            yield package, extra


def packages_to_build(packages: Iterable[Package], target: TargetPlatform) -> tuple[Package, ...]:
    """Those of `packages` that uv builds on `target`, since no wheel of theirs fits it."""
    tags = target.tags
    return tuple(p for p in packages if p.local is None and not _has_wheel(p, tags))


def _has_wheel(package: Package, tags: frozenset[Tag]) -> bool:
    return any(_fits(name, tags) for name in package.wheels)


def _fits(file_name: str, tags: frozenset[Tag]) -> bool:
    try:
        return not tags.isdisjoint(parse_wheel_filename(file_name)[3])
    except InvalidWheelFilename:
        return False


def _file_name(wheel: Table) -> str:
    return _base_name(str(wheel.get("filename") or wheel.get("url") or wheel.get("path") or ""))


def _base_name(address: str) -> str:
    return unquote(address.rpartition("/")[2].partition("#")[0])


def _platforms(machine: str) -> Iterator[str]:
    """The platform tags of a glibc system (PEP 600), and the three older names of some."""
    yield from (f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR, 4, -1))
    yield from (f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1"))
    yield f"linux_{machine}"


Node = tuple[str, str]  # a package's name and one of its extras, "" for the package itself


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A package of a uv.lock.

    `wheels` are the file names of its wheels, and `is_built` tells that it can be made of a source.
    `hashes` are those of all its archives, as `algorithm:digest`. `needs` are the packages that it,
    or one of its extras, needs on every platform and every Python.
    """

    name: str
    version: str
    hashes: frozenset[str]
    needs: Mapping[str, tuple[Node, ...]]
    wheels: tuple[str, ...] = ()
    is_built: bool = True


def packages(text: str) -> dict[str, tuple[Locked, ...]]:
    """The packages of the uv.lock `text`, by normalised name; raises UsageError for no lockfile."""
    found: dict[str, tuple[Locked, ...]] = {}
    for table in _tables(text):
        package = _package(table)
        found[package.name] = (*found.get(package.name, ()), package)
    return found


def registries(text: str) -> dict[str, str]:
    """Where the packages of the uv.lock `text` are from: the URL, or the path, of an index."""
    places = ((str(t["name"]), t.get("source", {}).get("registry")) for t in _tables(text))
    return {canonicalize_name(name): str(place) for name, place in places if place}


def _tables(text: str) -> list[Table]:
    try:
        tables: list[Table] = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError("uv.lock is not valid TOML", cause=str(error)) from error
    return tables


def _package(table: Table) -> Locked:
    archives = [table.get("sdist", {}), *table.get("wheels", ())]
    extras: Table = table.get("optional-dependencies", {})
    return Locked(
        name=canonicalize_name(str(table["name"])),
        version=str(table.get("version", "")),
        hashes=frozenset(str(a["hash"]) for a in archives if "hash" in a),
        needs={
            "": tuple(_needs(table.get("dependencies", ()))),
            **{extra: tuple(_needs(entries)) for extra, entries in extras.items()},
        },
        wheels=tuple(map(_wheel_file_name, table.get("wheels", ()))),
        is_built="sdist" in table or "registry" not in table.get("source", {}),
    )


def _wheel_file_name(wheel: Table) -> str:
    place = wheel.get("url") or wheel.get("path") or wheel.get("filename") or ""
    return posixpath.basename(str(place).partition("#")[0])


def _needs(entries: list[Table]) -> Iterator[Node]:
    for entry in entries:
        if "marker" not in entry:
            name = canonicalize_name(str(entry["name"]))
            yield from ((name, extra) for extra in ("", *entry.get("extra", ())))


def is_same_version(pinned: str, version: str) -> bool:
    """As `==` has it (PEP 440): a pin without a local version takes any, as in `1.0+cpu`."""
    try:
        old, new = Version(pinned), Version(version)
    except InvalidVersion:
        return pinned == version
    return old == new or (old.local is None and old.public == new.public)
