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
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow import findings
from uvflow.environment.installed import Distribution, Environment, distributions
from uvflow.files import read_regular
from uvflow.findings import Finding, Origin
from uvflow.lockfile.packages import Node
from uvflow.migrate.merge import is_exact
from uvflow.migrate.model import Pin, reachable, source_entries
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


@dataclass(frozen=True, kw_only=True)
class OldEnvironment:
    """What is `installed`, and what is asked for by `values` (of pyproject.toml) and by `pins`.

    `own` are names of the project itself.
    """

    installed: Packages
    values: Values
    pins: tuple[Pin, ...] = ()
    own: tuple[str, ...] = ()

    def undeclared_packages(self) -> tuple[InstalledPackage, ...]:
        """What is not asked for, nor brought along by anything that is."""
        known = {*self._declared, *_INSTALLERS, *map(canonicalize_name, self.own)}
        return tuple(self.installed[name] for name in sorted(self.installed.keys() - known))

    def versions_to_keep(self) -> tuple[Pin, ...]:
        """The versions of what is declared without a pin, and of what that brings along, as pins.

        Only where they are allowed, and only of what an index has.
        """
        uv = self.values.get("tool", {}).get("uv", {})
        limits = ("constraint-dependencies", "override-dependencies")
        further = [r for key in limits for r in _parsed(uv.get(key, ()))]
        fixed = {
            *(pin.name for pin in self.pins),
            *(canonicalize_name(r.name) for r in self._wanted if any(map(is_exact, r.specifier))),
            *(  # what comes from a URL, a repository or a path
                canonicalize_name(name)
                for name, source in uv.get("sources", {}).items()
                if any("index" not in entry for entry in source_entries(source))
            ),
            *map(canonicalize_name, self.own),
        }
        return tuple(
            Pin(name=name, version=self.installed[name].version, origin=self.installed[name].origin)
            for name in sorted(self._declared & self.installed.keys() - fixed)
            if _is_allowed(self.installed[name], self._wanted, further)
        )

    @functools.cached_property
    def _wanted(self) -> list[Parsed]:
        """The requirements of the project, of its extras and of its groups."""
        project = self.values.get("project", {})
        lists = (
            project.get("dependencies", ()),
            *project.get("optional-dependencies", {}).values(),
            *self.values.get("dependency-groups", {}).values(),
            self.values.get("tool", {}).get("uv", {}).get("dev-dependencies", ()),
        )
        return [requirement for texts in lists for requirement in _parsed(texts)]

    @functools.cached_property
    def _declared(self) -> set[str]:
        """The names of what is declared, and of everything that it brings along."""

        def needs(node: Node) -> Iterator[Node]:
            """Whatever a marker says about Pythons and platforms: that it is there is enough."""
            name, extra = node
            for requirement in self.installed[name].needs if name in self.installed else ():
                marker = str(requirement.marker or "")
                if f'extra == "{extra}"' in marker if extra else "extra" not in marker:
                    yield from _nodes(requirement)

        is_dynamic = "dependencies" in self.values.get("project", {}).get("dynamic", ())
        roots = {
            *(node for requirement in self._wanted for node in _nodes(requirement)),
            *((pin.name, "") for pin in self.pins),
            *((canonicalize_name(name), "") for name in self.own if is_dynamic),
        }
        return {name for name, _ in reachable(roots, needs)}


def _nodes(requirement: Parsed) -> Iterator[Node]:
    name = canonicalize_name(requirement.name)
    return (
        (name, canonicalize_name(extra) if extra else "") for extra in ("", *requirement.extras)
    )


def _parsed(texts: Iterable[object]) -> Iterator[Parsed]:
    for text in texts:
        with contextlib.suppress(InvalidRequirement):
            if isinstance(text, str):  # and not an include of a group
                yield Parsed(text)


def _is_allowed(
    package: InstalledPackage, wanted: Iterable[Parsed], limits: Iterable[Parsed]
) -> bool:
    """By one of the requirements at least: others may be for other Pythons; and by every limit."""
    own = [r for r in wanted if canonicalize_name(r.name) == package.name]
    further = [r for r in limits if canonicalize_name(r.name) == package.name and not r.marker]
    try:
        version = Version(package.version)
    except InvalidVersion:
        return False
    return (not own or any(r.specifier.contains(version, prereleases=True) for r in own)) and all(
        r.specifier.contains(version, prereleases=True) for r in further
    )


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


def kept_finding(pins: Iterable[Pin], environment: str) -> Finding:
    """One NOTE about all of them."""
    versions = ", ".join(f"{pin.name} {pin.version}" for pin in pins)
    return findings.note(
        "installed-versions",
        f"versions that are installed in {environment} are kept where possible: {versions}",
        None,
        "`--fresh` does without",
    )
