"""What a finished uv.lock says of packages: versions, hashes, and who needs whom."""

import posixpath
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow.errors import UsageError

Table = Mapping[str, Any]
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
        wheels=tuple(map(_file_name, table.get("wheels", ()))),
        is_built="sdist" in table or "registry" not in table.get("source", {}),
    )


def _file_name(wheel: Table) -> str:
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
