"""Why a lockfile is stale: pyproject.toml against what uv.lock was made for.

An explanation, not a verdict: that is uv's (`uv lock --check`). uv keeps in uv.lock what it has
read (`requires-python`, `[options]`, `[manifest]`, and `[package.metadata]` of every local source),
as seen with uv 0.9.0 and 0.13.9. Where the two spell one thing in two ways, such as
`platform_system == 'Windows'` and `sys_platform == 'win32'`, no difference is reported.
"""

import functools
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from packaging import requirements
from packaging.dependency_groups import DependencyGroupResolver
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from uvflow.errors import UvflowError
from uvflow.lockfile.packages import LockedPackage, Lockfile, Table, read_local_part
from uvflow.project.manifest import (
    Project,
    Workspace,
    canonical_name,
    parse_manifest,
    project_name,
    table_at,
)

INDEX = "the index"
_OWN_INDEX = "an index of its own"

# Keys of uv.lock → of [tool.uv] or uv.toml, the variable that overrides both, and uv's default.
_OPTIONS = (
    ("resolution-mode", "resolution", "UV_RESOLUTION", "highest"),
    ("prerelease-mode", "prerelease", "UV_PRERELEASE", "if-necessary-or-explicit"),
    ("fork-strategy", "fork-strategy", "UV_FORK_STRATEGY", "requires-python"),
)
_REQUIREMENTS = (
    ("constraints", "constraint-dependencies"),
    ("overrides", "override-dependencies"),
    ("build-constraints", "build-constraint-dependencies"),
)
_MARKERS = (("supported-markers", "environments"), ("required-markers", "required-environments"))

# Where requirements stand in a pyproject.toml → what messages call it.
_PLACES = {
    "dependencies": "dependencies",
    "optional-dependencies": "extra",
    "dependency-groups": "group",
}

# Where markers are tried out, to see whether two of them mean the same.
_PLATFORMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
)
_MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")
_IMPLEMENTATIONS = ("CPython", "PyPy")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that changed since uv.lock was made.

    `place` is where it stands, in words. `locked` is empty for what was added, `wanted` for what
    was removed. `member` names the package whose pyproject.toml it is in, empty where there is only
    one.
    """

    place: str
    locked: str = ""
    wanted: str = ""
    member: str = ""

    def __str__(self) -> str:
        where = f"{self.member}: {self.place}" if self.member else self.place
        if not self.locked:
            return f"{where}: `{self.wanted}` was added"
        if not self.wanted:
            return f"{where}: `{self.locked}` was removed"
        return f"{where}: `{self.locked}` became `{self.wanted}`"


@dataclass(frozen=True, kw_only=True)
class ComparableRequirement:
    """A requirement (PEP 508) with its source (uv docs, "Dependency sources").

    `extra` is the extra it belongs to, and not part of `marker`. `source` is a path, a URL or an
    index; it and `editable` are None where they are not known.
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


_T = TypeVar("_T")
_Section = tuple[str, str]  # a key of _PLACES; the name of the extra or the group, or nothing
_Sections = dict[_Section, list[ComparableRequirement]]


def differences(
    project: Project, environ: Mapping[str, str] = os.environ
) -> tuple[Difference, ...]:
    """What changed since uv.lock was made, as far as reading shows.

    Empty where uv.lock or a pyproject.toml is not what uv reads: uv says what is wrong with it.
    """
    try:
        lockfile = read_local_part(project.lockfile)
        workspace = Workspace.at(project.workspace)
        pythons = SpecifierSet(lockfile.table["requires-python"])
        changes = [*_python(pythons, workspace), *_membership(lockfile, workspace)]
        for package in lockfile.local_packages:
            member = package.name if len(lockfile.local_packages) > 1 else ""
            of_package = _package(package, workspace, pythons)
            changes += [replace(difference, member=member) for difference in of_package]
        changes += _options(table_at(lockfile.table, "options"), workspace, environ)
        changes += _manifest(lockfile.table, workspace, pythons)
        return tuple(dict.fromkeys(changes))
    except (OSError, UvflowError, ValueError, TypeError, KeyError, AttributeError, ExceptionGroup):
        return ()


def _python(locked: SpecifierSet, workspace: Workspace) -> Iterator[Difference]:
    """uv locks the intersection of what the members ask for."""
    asked = (
        table_at(table, "project").get("requires-python", "")
        for table in workspace.members.values()
    )
    wanted = ",".join(dict.fromkeys(filter(None, asked)))
    if not wanted:
        return
    named = re.findall(r"\d+(?:\.\d+)+", f"{locked} {wanted}")
    usual = (f"{major}.{minor}.{p}" for major in (2, 3, 4) for minor in range(30) for p in (0, 50))
    versions, allowed = (*named, *usual), SpecifierSet(wanted)
    if any((version in locked) != (version in allowed) for version in versions):
        yield Difference(place="requires-python", locked=str(locked), wanted=wanted)


def _membership(lockfile: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    wanted = {project_name(table) for table in workspace.members.values()}
    if lockfile.members:
        yield from _sets("workspace members", set(lockfile.members), wanted)
        return
    root, name = lockfile.package_at("."), ""
    if "project" in workspace.root:
        name = project_name(workspace.root)
    yield from _option("name", root.name if root else "", name)
    yield from _sets("workspace members", set(), wanted - {name})


def _package(
    package: LockedPackage, workspace: Workspace, pythons: SpecifierSet
) -> Iterator[Difference]:
    folder = str(package.directory)
    manifest = workspace.manifest(folder)
    if "project" not in manifest:
        return
    dynamic = manifest["project"].get("dynamic", ())  # of these only a build tells
    if package.version and "version" not in dynamic:
        yield from _option("version", package.version, manifest["project"].get("version", ""))
    # Whether uv builds and installs it (uv docs, "Build systems").
    is_package = table_at(manifest, "tool", "uv").get("package", "build-system" in manifest or None)
    if is_package is None and len(workspace.members) == 1:
        is_package = False  # in a workspace another member may ask for it, and then uv builds it
    if is_package is not None and folder in workspace.members:
        words = {True: "installed", False: "not installed"}
        is_locked = "virtual" not in package.source
        yield from _option("the project itself", words[is_locked], words[bool(is_package)])
    locked = _locked_sections(package, workspace)
    texts = {("dependencies", ""): manifest["project"].get("dependencies", ())}
    for extra, some in manifest["project"].get("optional-dependencies", {}).items():
        texts["optional-dependencies", canonical_name(extra)] = some
    wanted = {section: _requirements(workspace, folder, some) for section, some in texts.items()}
    wanted |= _wanted_groups(folder, manifest, workspace)
    for kind, name in dict.fromkeys((*locked, *wanted)):
        if kind not in dynamic:
            yield from _section((kind, name), locked, wanted, pythons)


def _locked_sections(package: LockedPackage, workspace: Workspace) -> _Sections:
    metadata = table_at(package.table, "metadata")
    sections: _Sections = {("dependencies", ""): []}
    for extra in metadata.get("provides-extras", ()):
        sections["optional-dependencies", extra] = []
    for row in metadata.get("requires-dist", ()):
        locked = from_lockfile(row, workspace.path)
        section = ("optional-dependencies", locked.extra) if locked.extra else ("dependencies", "")
        sections.setdefault(section, []).append(locked)
    return sections | _locked_groups(metadata.get("requires-dev", {}), workspace)


def _locked_groups(table: Table, workspace: Workspace) -> _Sections:
    return {
        ("dependency-groups", group): [from_lockfile(row, workspace.path) for row in rows]
        for group, rows in table.items()
    }


def _wanted_groups(folder: str, manifest: Table, workspace: Workspace) -> _Sections:
    """The dependency groups with what they include (PEP 735), and uv's older `dev-dependencies`."""
    declared = table_at(manifest, "dependency-groups")
    resolver = DependencyGroupResolver(declared)
    groups = {canonical_name(name): [*map(str, resolver.resolve(name))] for name in declared}
    older = table_at(manifest, "tool", "uv").get("dev-dependencies")
    if older is not None:
        groups["dev"] = [*groups.get("dev", ()), *older]
    return {
        ("dependency-groups", name): _requirements(workspace, folder, texts)
        for name, texts in groups.items()
    }


def _requirements(
    workspace: Workspace, folder: str, texts: Iterable[str]
) -> list[ComparableRequirement]:
    sources = workspace.sources(folder)
    members = {
        project_name(table): workspace.path / path for path, table in workspace.members.items()
    }
    named = ((re.match(r"[\w.-]*", text.strip()), text) for text in texts)
    return [
        from_pyproject(
            text,
            sources.get(canonical_name(name[0] if name else "")),
            workspace.path / folder,
            members,
        )
        for name, text in named
    ]


def _section(
    section: _Section, locked: _Sections, wanted: _Sections, pythons: SpecifierSet
) -> Iterator[Difference]:
    kind, name = section
    if section not in locked or section not in wanted:
        names = ({name} if section in sections else set() for sections in (locked, wanted))
        yield from _sets(_PLACES[kind], *names)
        return
    place = f"{_PLACES[kind]} {name}".strip()
    yield from _changed(place, locked[section], wanted[section], pythons)


def _changed(
    place: str,
    locked: list[ComparableRequirement],
    wanted: list[ComparableRequirement],
    pythons: SpecifierSet,
) -> Iterator[Difference]:
    is_same = functools.partial(is_same_requirement, pythons=pythons)
    added = _without(wanted, locked, is_same)
    for old in _without(locked, wanted, is_same):
        successor = next((new for new in added if new.name == old.name), None)
        if successor is None:
            yield Difference(place=place, locked=str(old))
            continue
        added.remove(successor)
        needs_source = str(old) == str(successor)
        before, after = (r.with_source() if needs_source else str(r) for r in (old, successor))
        yield Difference(place=place, locked=before, wanted=after)
    yield from (Difference(place=place, wanted=str(new)) for new in added)


def _without(some: list[_T], others: list[_T], is_same: Callable[[_T, _T], bool]) -> list[_T]:
    return [one for one in some if not any(is_same(one, other) for other in others)]


def _options(
    options: Table, workspace: Workspace, environ: Mapping[str, str]
) -> Iterator[Difference]:
    """Where there is a uv.toml, uv does not look for these in pyproject.toml."""
    file = workspace.path / "uv.toml"
    chosen = parse_manifest(file) if file.is_file() else table_at(workspace.root, "tool", "uv")
    for key, name, variable, default in _OPTIONS:
        wanted = environ.get(variable) or str(chosen.get(name, default))
        yield from _option(name, options.get(key, default), wanted)
    locked = str(options.get("exclude-newer", options.get("exclude-newer-span", "")))
    wanted = environ.get("UV_EXCLUDE_NEWER") or str(chosen.get("exclude-newer", ""))
    # uv locks a date or a span as a time stamp, which depends on where and when that was done.
    is_timestamp = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", wanted)
    if not locked or not wanted or is_timestamp:
        yield from _option("exclude-newer", locked, wanted)


def _manifest(table: Table, workspace: Workspace, pythons: SpecifierSet) -> Iterator[Difference]:
    """`table` is that of uv.lock, which has `[manifest]`."""
    manifest, settings = table_at(table, "manifest"), table_at(workspace.root, "tool", "uv")
    for key, name in _REQUIREMENTS:
        locked = [from_lockfile(row, workspace.path) for row in manifest.get(key, ())]
        wanted = _requirements(workspace, ".", settings.get(name, ()))
        yield from _changed(name, locked, wanted, pythons)
    excluded = set(map(canonical_name, settings.get("exclude-dependencies", ())))
    yield from _sets("exclude-dependencies", set(manifest.get("excludes", ())), excluded)
    is_same = functools.partial(is_same_marker, pythons=pythons)
    for key, name in _MARKERS:
        old, new = table.get(key, []), settings.get(name, [])
        new = [new] if isinstance(new, str) else new
        yield from _sets(name, {*_without(old, new, is_same)}, {*_without(new, old, is_same)})
    members = ((t, project_name(t)) for t in workspace.members.values())
    conflicts = (_conflicts(table_at(t, "tool", "uv"), name) for t, name in members)
    yield from _sets("conflicts", _conflicts(table, ""), set().union(*conflicts))
    # Static metadata, as `name version` of what it is for.
    metadata = (
        {f"{canonical_name(row['name'])} {row.get('version', '')}".strip() for row in rows}
        for rows in (t.get("dependency-metadata", ()) for t in (manifest, settings))
    )
    yield from _sets("dependency-metadata", *metadata)
    if "project" not in workspace.root:
        locked_groups = _locked_groups(manifest.get("dependency-groups", {}), workspace)
        wanted_groups = _wanted_groups(".", workspace.root, workspace)
        for section in dict.fromkeys((*locked_groups, *wanted_groups)):
            yield from _section(section, locked_groups, wanted_groups, pythons)


def _conflicts(table: Table, owner: str) -> set[str]:
    """Each set of what may not be installed together, as `api[web] + api:dev`."""

    def name(item: Table) -> str:
        package = canonical_name(item.get("package", owner))
        if "extra" in item:
            return f"{package}[{canonical_name(item['extra'])}]"
        return f"{package}:{canonical_name(item['group'])}" if "group" in item else package

    return {" + ".join(sorted(map(name, items))) for items in table.get("conflicts", ())}


def _option(place: str, locked: str, wanted: str) -> Iterator[Difference]:
    if locked != wanted:
        yield Difference(place=place, locked=locked, wanted=wanted)


def _sets(place: str, locked: set[str], wanted: set[str]) -> Iterator[Difference]:
    yield from (Difference(place=place, locked=name) for name in sorted(locked - wanted))
    yield from (Difference(place=place, wanted=name) for name in sorted(wanted - locked))


def from_lockfile(row: Table, workspace: Path) -> ComparableRequirement:
    """A row of `requires-dist`, `requires-dev` or `[manifest]` of uv.lock."""
    # uv writes "A and extra == 'x'", with what it says about the extra last.
    marker, extra = row.get("marker", ""), ""
    of_extra = re.fullmatch(r"(?:(.*) and )?extra == '([^']*)'", marker)
    if of_extra:
        marker, extra = of_extra[1] or "", of_extra[2]
    source = INDEX
    match row:
        case {"editable": path} | {"virtual": path} | {"directory": path} | {"path": path}:
            source = _place(workspace / path)
        case {"git": url}:
            reference = re.search(r"(?:rev|tag|branch)=([^&]*)", urlsplit(url).query)
            source = _commit(url, unquote(reference[1]) if reference else "")
        case {"url": url}:
            source = str(url)
        case {"index": _}:
            source = _OWN_INDEX
    return ComparableRequirement(
        name=row["name"],
        extras=frozenset(row.get("extras", ())),
        specifier=SpecifierSet(row.get("specifier", "")),
        marker=marker,
        extra=extra,
        source=source,
        editable="editable" in row,
    )


def from_pyproject(
    text: str, source: Any, base: Path, members: Mapping[str, Path]
) -> ComparableRequirement:
    """A requirement of a pyproject.toml in `base`, with its entry of `[tool.uv.sources]`.

    `members` are the directories of the workspace's members by their names. Raises ValueError.
    """
    parsed = requirements.Requirement(text)
    name = canonical_name(parsed.name)
    return ComparableRequirement(
        name=name,
        extras=frozenset(map(canonical_name, parsed.extras)),
        specifier=parsed.specifier,
        marker=str(parsed.marker or ""),
        source=_wanted_source(parsed.url, source, base, members.get(name)),
        editable=source.get("editable") if isinstance(source, Mapping) else None,
    )


def _wanted_source(url: str | None, source: Any, base: Path, member: Path | None) -> str | None:
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
            return _direct_reference(url) if url else INDEX
    return None  # several, by marker


def _direct_reference(url: str) -> str:
    """The source of `name @ url` (PEP 508)."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        from urllib.request import url2pathname  # 20 ms, and seldom needed

        return _place(PurePath(url2pathname(parts.path)))
    if parts.scheme.startswith("git+"):
        head, _, reference = parts.path.partition("@")
        return _commit(parts._replace(path=head).geturl(), reference)
    return url


def _place(path: PurePath) -> str:
    return Path(os.path.normpath(path)).as_posix()


def _commit(url: str, reference: str) -> str:
    address = urlsplit(url.removeprefix("git+"))._replace(query="", fragment="").geturl()
    return f"{address}@{reference}" if reference else address


def is_same_requirement(
    one: ComparableRequirement, other: ComparableRequirement, pythons: SpecifierSet
) -> bool:
    """Whether both mean the same on every Python of `pythons`; what is not known is the same."""
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
    markers = [Marker(text) if text else None for text in (one, other)]
    return all(
        len({marker is None or marker.evaluate(environment) for marker in markers}) == 1
        for environment in _environments(f"{one} {other}", pythons)
    )


def _environments(markers: str, pythons: SpecifierSet) -> Iterable[dict[str, str]]:
    named = (
        version if version.count(".") == 2 else f"{version}.0"  # noqa: PLR2004  major.minor.patch
        for version in re.findall(r"3\.\d+(?:\.\d+)?", markers)
    )
    usual = (f"3.{minor}.{patch}" for minor in range(8, 16) for patch in (0, 50))
    versions = [version for version in dict.fromkeys((*usual, *named)) if version in pythons]
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
