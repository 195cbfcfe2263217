"""The environment before an import: packages that nobody declares, and versions to keep.

Its metadata is read ("Core metadata specifications", packaging.python.org); nothing of it is run.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow.environment.installed import Distribution, Environment
from uvflow.files import read_regular
from uvflow.findings import Origin
from uvflow.lockfile.packages import Node
from uvflow.migrate.merge import is_exact
from uvflow.migrate.model import Pin, reachable, source_entries
from uvflow.migrate.pins import nodes
from uvflow.migrate.plan import relative_name
from uvflow.project.manifest import Table, table_at

# Packages that install others; uv needs none of them.
_INSTALLERS = {"pip", "setuptools", "wheel", "uv", "pkg-resources"}


@dataclass(frozen=True, kw_only=True)
class InstalledPackage(Pin):
    """A distribution of the environment; `origin` is its metadata."""

    needs: tuple[Parsed, ...] = ()


Packages = Mapping[str, InstalledPackage]


def read_installed(environment: Path, root: Path) -> Packages:
    """What is installed in `environment`, by normalised name; origins are relative to `root`."""
    found = (_read(d, root) for d in Environment(environment).distributions)
    return {package.name: package for package in found}


def _read(distribution: Distribution, root: Path) -> InstalledPackage:
    from packaging.metadata import parse_email  # 20 ms, where there is an environment only

    path = distribution.path
    if path.is_dir():  # or a legacy .egg-info or .egg-link, which may be a file
        path /= "METADATA" if path.suffix == ".dist-info" else "PKG-INFO"
    try:
        metadata, _ = parse_email(read_regular(path))
    except (OSError, ValueError):
        metadata = {}
    return InstalledPackage(
        name=distribution.name,
        version=metadata.get("version", distribution.version),
        origin=Origin(path=relative_name(path, root), line=1),
        needs=tuple(_parsed(metadata.get("requires_dist", ()))),
    )


@dataclass(frozen=True, kw_only=True)
class OldEnvironment:
    """What is `installed`, beside the `values` of pyproject.toml and `pins` that declare packages.

    `own` are names of the project itself.
    """

    installed: Packages
    values: Table
    pins: tuple[Pin, ...] = ()
    own: tuple[str, ...] = ()

    def undeclared_packages(self) -> tuple[InstalledPackage, ...]:
        """What is not declared, nor required by anything that is."""
        known = {*self._declared, *_INSTALLERS, *map(canonicalize_name, self.own)}
        return tuple(self.installed[name] for name in sorted(self.installed.keys() - known))

    def versions_to_keep(self) -> tuple[InstalledPackage, ...]:
        """The versions of what is declared without a pin, and of what that requires, as pins.

        Only where the project allows them, and only of packages from an index.
        """
        uv = table_at(self.values, "tool", "uv")
        texts = (*uv.get("constraint-dependencies", ()), *uv.get("override-dependencies", ()))
        limits = [limit for limit in _parsed(texts) if not limit.marker]
        pinned = (r.name for r in self._wanted if any(map(is_exact, r.specifier)))
        elsewhere = (  # a URL, a repository or a path
            name
            for name, source in uv.get("sources", {}).items()
            if any("index" not in entry for entry in source_entries(source))
        )
        fixed = (*(pin.name for pin in self.pins), *pinned, *elsewhere, *self.own)
        free = self._declared & self.installed.keys() - {*map(canonicalize_name, fixed)}
        packages = (self.installed[name] for name in sorted(free))
        return tuple(
            package
            for package in packages
            # By one requirement at least: others may be for other Pythons.
            if any(_admitted(package, self._wanted) or [True]) and all(_admitted(package, limits))
        )

    @functools.cached_property
    def _wanted(self) -> list[Parsed]:
        project = table_at(self.values, "project")
        lists = (
            project.get("dependencies", ()),
            *project.get("optional-dependencies", {}).values(),
            *self.values.get("dependency-groups", {}).values(),
            table_at(self.values, "tool", "uv").get("dev-dependencies", ()),
        )
        return [requirement for texts in lists for requirement in _parsed(texts)]

    @functools.cached_property
    def _declared(self) -> set[str]:
        """The names of what is declared, and of everything that it requires."""

        def needs(node: Node) -> Iterator[Node]:
            """Without a look at markers for Pythons and platforms: it is installed after all."""
            name, extra = node
            if name not in self.installed:
                return
            for requirement in self.installed[name].needs:
                marker = str(requirement.marker or "")
                is_of_node = f'extra == "{extra}"' in marker if extra else "extra" not in marker
                if is_of_node:
                    yield from nodes(requirement.name, requirement.extras)

        is_dynamic = "dependencies" in table_at(self.values, "project").get("dynamic", ())
        roots = {
            *(node for wanted in self._wanted for node in nodes(wanted.name, wanted.extras)),
            *((pin.name, "") for pin in self.pins),
            *((canonicalize_name(name), "") for name in self.own if is_dynamic),
        }
        return {name for name, _ in reachable(roots, needs)}


def _parsed(texts: Iterable[object]) -> Iterator[Parsed]:
    for text in texts:
        with contextlib.suppress(InvalidRequirement):
            if isinstance(text, str):  # an include of a group is a table
                yield Parsed(text)


def _admitted(package: InstalledPackage, requirements: Iterable[Parsed]) -> list[bool]:
    """For each of `requirements` of the package, whether it admits the version."""
    specifiers = (r.specifier for r in requirements if canonicalize_name(r.name) == package.name)
    try:
        version = Version(package.version)
    except InvalidVersion:
        return [False]
    return [specifier.contains(version, prereleases=True) for specifier in specifiers]
