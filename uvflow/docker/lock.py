"""uv.lock, as far as an image depends on it: what is installed, and what has to be built. Pure.

The format is uv's own (uv docs, "Project structure"): version 1 is read by every uv since 0.5, and
its revisions only add keys.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from uvflow import shape
from uvflow.errors import UsageError

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
class Target:
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


def read(data: bytes, source: str) -> Lock:
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
    shape.check(table, _SHAPE, source)
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
    target: Target,
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


def _followed(lock: Lock, edge: Table, target: Target) -> Iterator[tuple[Package, str]]:
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


def built(packages: Iterable[Package], target: Target) -> tuple[Package, ...]:
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
