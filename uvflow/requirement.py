"""A requirement as pyproject.toml writes it and as uv.lock notes it, read into one form. Pure."""

import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging import requirements
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from uvflow.workspace import normalised

Table = Mapping[str, Any]

INDEX = "the index"
_OWN_INDEX = "an index of its own"

# Where markers are tried out, to see whether two of them mean the same.
_PLATFORMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
)
_MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")
_IMPLEMENTATIONS = ("CPython", "PyPy")


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a project asks for (PEP 508), with its source (uv docs, "Dependency sources").

    `extra` is the extra it belongs to, no part of `marker`. `source` is a place, an address or an
    index; it and `editable` are None where they are not told.
    """

    name: str
    extras: frozenset[str] = frozenset()
    specifier: SpecifierSet
    marker: str = ""
    extra: str = ""
    source: str | None = None
    editable: bool | None = None

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.name}{extras}{self.specifier}" + (f" ; {self.marker}" if self.marker else "")

    def with_source(self) -> str:
        editable = " (editable)" if self.editable else ""
        return f"{self} from {self.source or INDEX}{editable}"


def noted(row: Table, workspace: Path) -> Requirement:
    """A row of `requires-dist`, `requires-dev` or `[manifest]` of uv.lock."""
    # uv writes "A and extra == 'x'", with what it says about the extra last.
    marker, extra = row.get("marker", ""), ""
    found = re.fullmatch(r"(?:(.*) and )?extra == '([^']*)'", marker)
    if found:
        marker, extra = found[1] or "", found[2]
    return Requirement(
        name=row["name"],
        extras=frozenset(row.get("extras", ())),
        specifier=SpecifierSet(row.get("specifier", "")),
        marker=marker,
        extra=extra,
        source=_noted_source(row, workspace),
        editable="editable" in row,
    )


def _noted_source(row: Table, workspace: Path) -> str:
    match row:
        case {"editable": path} | {"virtual": path} | {"directory": path} | {"path": path}:
            return _place(workspace / path)
        case {"git": url}:
            parts = urlsplit(url)
            reference = re.search(r"(?:rev|tag|branch)=([^&]*)", parts.query)
            return _commit(url, unquote(reference[1]) if reference else "")
        case {"url": url}:
            return str(url)
        case {"index": _}:
            return _OWN_INDEX
    return INDEX


def _place(path: PurePath) -> str:
    return Path(os.path.normpath(path)).as_posix()


def _commit(url: str, reference: str) -> str:
    address = urlsplit(url.removeprefix("git+"))._replace(query="", fragment="").geturl()
    return f"{address}@{reference}" if reference else address


def asked(text: str, source: Any, base: Path, members: Mapping[str, Path]) -> Requirement:
    """A requirement of a pyproject.toml in `base`, with its entry of `[tool.uv.sources]`.

    `members` are the directories of the workspace's by their names. Raises ValueError.
    """
    parsed = requirements.Requirement(text)
    name = normalised(parsed.name)
    return Requirement(
        name=name,
        extras=frozenset(map(normalised, parsed.extras)),
        specifier=parsed.specifier,
        marker=str(parsed.marker or ""),
        source=_asked_source(parsed.url, source, base, members.get(name)),
        editable=source.get("editable") if isinstance(source, Mapping) else None,
    )


def _asked_source(url: str | None, source: Any, base: Path, member: Path | None) -> str | None:
    match source:
        case {"workspace": True}:
            return _place(member) if member else None
        case {"path": path}:
            return _place(base / path)
        case {"git": address}:
            kinds = (source.get(kind) for kind in ("rev", "tag", "branch"))
            return _commit(address, next(filter(None, kinds), ""))
        case {"url": address}:
            return str(address)
        case {"index": _}:
            return _OWN_INDEX
        case None:
            return _direct(url) if url else INDEX
    return None  # several, by marker


def _direct(url: str) -> str:
    """Where a requirement with an address of its own comes from (PEP 508, "name @ url")."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        from urllib.request import url2pathname  # noqa: PLC0415  20 ms, and seldom needed

        return _place(PurePath(url2pathname(parts.path)))
    if parts.scheme.startswith("git+"):
        head, _, reference = parts.path.partition("@")
        return _commit(parts._replace(path=head).geturl(), reference)
    return url


def is_same(one: Requirement, other: Requirement, pythons: SpecifierSet) -> bool:
    """Whether both ask for the same on every Python of `pythons`; what is not told is no reason."""
    return (
        (one.name, one.extras, one.specifier) == (other.name, other.extras, other.specifier)
        and (one.source == other.source or None in {one.source, other.source})
        and (one.editable == other.editable or None in {one.editable, other.editable})
        and is_same_marker(one.marker, other.marker, pythons)
    )


def is_same_marker(one: str, other: str, pythons: SpecifierSet) -> bool:
    """Whether two markers hold in the same environments; tried out, since uv rewrites them."""
    if one == other:
        return True
    holds = [Marker(text).evaluate if text else _always for text in (one, other)]
    return all(
        holds[0](environment) == holds[1](environment)
        for environment in _environments(f"{one} {other}", pythons)
    )


def _always(_environment: object) -> bool:
    return True


def _environments(markers: str, pythons: SpecifierSet) -> Iterable[dict[str, str]]:
    named = re.findall(r"3\.\d+(?:\.\d+)?", markers)
    usual = (f"3.{minor}.{patch}" for minor in range(8, 16) for patch in (0, 50))
    versions = [v for v in dict.fromkeys((*usual, *map(_whole, named))) if v in pythons]
    for version, platform, machine, implementation in itertools.product(
        versions, _PLATFORMS, _MACHINES, _IMPLEMENTATIONS
    ):
        yield {
            **platform,
            "python_full_version": version,
            "python_version": version.rpartition(".")[0],
            "implementation_version": version,
            "platform_machine": machine,
            "platform_python_implementation": implementation,
            "implementation_name": implementation.lower(),
            "extra": "",
        }


def _whole(version: str) -> str:
    return version if version.count(".") == 2 else f"{version}.0"  # noqa: PLR2004  major.minor.patch
