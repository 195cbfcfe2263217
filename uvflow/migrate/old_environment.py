"""The environment that was there before an import: what nobody declares, and versions to keep.

Its metadata is read ("Core metadata specifications", packaging.python.org); nothing of it is run.
"""

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow import findings
from uvflow.environment.installed import Distribution, Environment, distributions
from uvflow.files import read_regular
from uvflow.findings import Finding, Origin
from uvflow.lockfile.packages import Node
from uvflow.migrate.model import Pin, reachable
from uvflow.migrate.plan import relative_name

# What is in an environment to install the rest with; uv needs none of it.
_INSTALLERS = {"pip", "setuptools", "wheel", "uv", "pkg-resources"}


@dataclass(frozen=True, kw_only=True)
class InstalledPackage:
    """A distribution of the environment; `origin` is where its metadata has the version."""

    name: str
    version: str
    origin: Origin
    needs: tuple[Parsed, ...] = ()


Packages = Mapping[str, InstalledPackage]
Values = Mapping[str, Any]  # of a pyproject.toml


def read_installed(environment: Path, root: Path) -> Packages:
    """What is installed in `environment`, by normalised name; empty where there is nothing.

    Origins are relative to `root`.
    """
    found = (_read(d, root) for d in distributions(Environment.at(environment)))
    return {package.name: package for package in found}


def _read(distribution: Distribution, root: Path) -> InstalledPackage:
    path = distribution.path
    if path.is_dir():  # or a legacy .egg-info or .egg-link, which may be a file
        path /= "METADATA" if path.suffix == ".dist-info" else "PKG-INFO"
    try:
        data = read_regular(path)
        metadata, _ = parse_email(data)
    except (OSError, ValueError):
        data, metadata = b"", {}
    above = re.split(rb"^Version:", data, maxsplit=1, flags=re.MULTILINE)[0]
    return InstalledPackage(
        name=distribution.name,
        version=metadata.get("version", distribution.version),
        origin=Origin(path=relative_name(path, root), line=above.count(b"\n") + 1),
        needs=tuple(_parsed(metadata.get("requires_dist", ()))),
    )


def undeclared_packages(
    installed: Packages, values: Values, pins: Iterable[Pin], own: Iterable[str]
) -> tuple[InstalledPackage, ...]:
    """What neither `values` (of pyproject.toml) nor `pins` name, nor anything they bring along.

    `own` are names of the project itself.
    """
    declared = _declared(installed, values, pins, own)
    known = {*declared, *_INSTALLERS, *map(canonicalize_name, own)}
    return tuple(package for name, package in sorted(installed.items()) if name not in known)


def undeclared_finding(packages: Iterable[InstalledPackage], environment: str) -> Finding:
    """One WARNING about all of them."""
    packages = tuple(packages)
    return findings.warning(
        "undeclared-packages",
        f"packages in {environment} that no file declares are not kept:"
        f" {', '.join(f'{package.name} {package.version}'.rstrip() for package in packages)}",
        None,
        f"`uv add {' '.join(package.name for package in packages)}`, or those that are needed",
    )


def versions_to_keep(
    installed: Packages, values: Values, pins: Iterable[Pin], own: Iterable[str]
) -> tuple[Pin, ...]:
    """The versions of what is declared without a pin, and of what that brings along, as more pins.

    Only where they are allowed, and only of what an index has.
    """
    pins, wanted = tuple(pins), tuple(_requirements(values))
    fixed = {
        *(pin.name for pin in pins),
        *(canonicalize_name(r.name) for r in wanted if any(map(_is_exact, r.specifier))),
        *_names_from_elsewhere(values),
        *map(canonicalize_name, own),
    }
    return tuple(
        Pin(name=name, version=installed[name].version, origin=installed[name].origin)
        for name in sorted(_declared(installed, values, pins, own) & installed.keys() - fixed)
        if _is_allowed(installed[name], wanted, _uv_requirements(values))
    )


def kept_finding(pins: Iterable[Pin], environment: str) -> Finding:
    """One NOTE about all of them."""
    versions = ", ".join(f"{pin.name} {pin.version}" for pin in pins)
    return findings.note(
        "installed-versions",
        f"versions that are installed in {environment} are kept where possible: {versions}",
        None,
        "`--fresh` does without",
    )


def _declared(
    installed: Packages, values: Values, pins: Iterable[Pin], own: Iterable[str]
) -> set[str]:
    """The names of what is declared, and of everything that it brings along in `installed`."""
    is_dynamic = "dependencies" in values.get("project", {}).get("dynamic", ())
    roots = {
        *(node for requirement in _requirements(values) for node in _nodes(requirement)),
        *((pin.name, "") for pin in pins),
        *((canonicalize_name(name), "") for name in own if is_dynamic),
    }
    return {name for name, _ in reachable(roots, functools.partial(_needs, installed))}


def _nodes(requirement: Parsed) -> Iterator[Node]:
    name = canonicalize_name(requirement.name)
    return (
        (name, canonicalize_name(extra) if extra else "") for extra in ("", *requirement.extras)
    )


def _needs(installed: Packages, node: Node) -> Iterator[Node]:
    """Whatever a marker says about Pythons and platforms: that it is installed is enough."""
    name, extra = node
    for requirement in installed[name].needs if name in installed else ():
        marker = str(requirement.marker or "")
        if f'extra == "{extra}"' in marker if extra else "extra" not in marker:
            yield from _nodes(requirement)


def _requirements(values: Values) -> Iterator[Parsed]:
    """Those of the project, of its extras and of its groups."""
    project = values.get("project", {})
    lists = (
        project.get("dependencies", ()),
        *project.get("optional-dependencies", {}).values(),
        *values.get("dependency-groups", {}).values(),
        values.get("tool", {}).get("uv", {}).get("dev-dependencies", ()),
    )
    return (requirement for texts in lists for requirement in _parsed(texts))


def _parsed(texts: Iterable[object]) -> Iterator[Parsed]:
    for text in texts:
        with contextlib.suppress(InvalidRequirement):
            if isinstance(text, str):  # and not an include of a group
                yield Parsed(text)


def _is_exact(specifier: Specifier) -> bool:
    return specifier.operator in ("==", "===") and not specifier.version.endswith(".*")


def _names_from_elsewhere(values: Values) -> Iterator[str]:
    """What comes from a URL, a repository or a path."""
    for name, source in values.get("tool", {}).get("uv", {}).get("sources", {}).items():
        entries = source if isinstance(source, list) else [source]
        if any("index" not in entry for entry in entries):
            yield canonicalize_name(name)


def _uv_requirements(values: Values) -> Iterator[Parsed]:
    uv = values.get("tool", {}).get("uv", {})
    for key in ("constraint-dependencies", "override-dependencies"):
        yield from _parsed(uv.get(key, ()))


def _is_allowed(
    package: InstalledPackage, wanted: Iterable[Parsed], limits: Iterable[Parsed]
) -> bool:
    """By one of the requirements at least: others may be for other Pythons; and by every limit."""
    try:
        version = Version(package.version)
    except InvalidVersion:
        return False
    own = [r.specifier for r in wanted if canonicalize_name(r.name) == package.name]
    further = [r for r in limits if canonicalize_name(r.name) == package.name and not r.marker]
    return (not own or any(s.contains(version, prereleases=True) for s in own)) and all(
        r.specifier.contains(version, prereleases=True) for r in further
    )
