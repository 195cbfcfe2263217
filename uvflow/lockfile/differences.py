"""Why a lockfile is stale: pyproject.toml against what uv.lock was made for.

An explanation, not a verdict: that is uv's (`uv lock --check`). uv keeps in uv.lock what it has
read (`requires-python`, `[options]`, `[manifest]`, and `[package.metadata]` of every local source),
as seen with uv 0.9.0 and 0.13.9. Where the two spell one thing in two ways, such as
`platform_system == 'Windows'` and `sys_platform == 'win32'`, no difference is reported.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging import requirements
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

# Where markers are tried out, to see whether two of them mean the same.
_PLATFORMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
)
_MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")
_IMPLEMENTATIONS = ("CPython", "PyPy")


@dataclass(frozen=True, kw_only=True)
class ComparableRequirement:
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


def from_lockfile(row: Table, workspace: Path) -> ComparableRequirement:
    """A row of `requires-dist`, `requires-dev` or `[manifest]` of uv.lock."""
    # uv writes "A and extra == 'x'", with what it says about the extra last.
    marker, extra = row.get("marker", ""), ""
    found = re.fullmatch(r"(?:(.*) and )?extra == '([^']*)'", marker)
    if found:
        marker, extra = found[1] or "", found[2]
    return ComparableRequirement(
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


def from_pyproject(
    text: str, source: Any, base: Path, members: Mapping[str, Path]
) -> ComparableRequirement:
    """A requirement of a pyproject.toml in `base`, with its entry of `[tool.uv.sources]`.

    `members` are the directories of the workspace's by their names. Raises ValueError.
    """
    parsed = requirements.Requirement(text)
    name = canonical_name(parsed.name)
    return ComparableRequirement(
        name=name,
        extras=frozenset(map(canonical_name, parsed.extras)),
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
        from urllib.request import url2pathname  # 20 ms, and seldom needed

        return _place(PurePath(url2pathname(parts.path)))
    if parts.scheme.startswith("git+"):
        head, _, reference = parts.path.partition("@")
        return _commit(parts._replace(path=head).geturl(), reference)
    return url


def is_same_requirement(
    one: ComparableRequirement, other: ComparableRequirement, pythons: SpecifierSet
) -> bool:
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


# What uv.lock notes → [tool.uv] or uv.toml, the variable above both, and uv's own choice.
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

# Where requirements stand in a pyproject.toml, and how that is told.
_PLACES = {
    "dependencies": "dependencies",
    "optional-dependencies": "extra",
    "dependency-groups": "group",
}
_Section = tuple[str, str]  # a key of _PLACES; the name of the extra or the group, or nothing


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as it was when uv.lock was made.

    `place` is where it stands, in words. `then` is empty for what was added, `now` for what was
    removed. `member` names the package whose pyproject.toml it is in, empty where there is but one.
    """

    place: str
    then: str = ""
    now: str = ""
    member: str = ""

    def __str__(self) -> str:
        where = f"{self.member}: {self.place}" if self.member else self.place
        if not self.then:
            return f"{where}: `{self.now}` was added"
        if not self.now:
            return f"{where}: `{self.then}` was removed"
        return f"{where}: `{self.then}` became `{self.now}`"


def differences(
    project: Project, environ: Mapping[str, str] = os.environ
) -> tuple[Difference, ...]:
    """What changed since uv.lock was made, as far as reading tells.

    Empty where uv.lock or a pyproject.toml is not what uv reads: uv says what is wrong with it.
    """
    try:
        locked = read_local_part(project.lockfile)
        found = _differences(locked, Workspace.at(project.workspace), environ)
        return tuple(dict.fromkeys(found))
    except (OSError, UvflowError, ValueError, TypeError, KeyError, AttributeError):
        return ()


def _differences(
    locked: Lockfile, workspace: Workspace, environ: Mapping[str, str]
) -> Iterator[Difference]:
    pythons = SpecifierSet(locked.table["requires-python"])
    yield from _python(pythons, workspace)
    yield from _membership(locked, workspace)
    for package in locked.local_packages:
        member = package.name if len(locked.local_packages) > 1 else ""
        for difference in _package(package, workspace, pythons):
            yield replace(difference, member=member)
    yield from _options(locked.table, workspace, environ)
    yield from _manifest(locked.table, workspace, pythons)


def _python(then: SpecifierSet, workspace: Workspace) -> Iterator[Difference]:
    asked = [
        table_at(table, "project").get("requires-python", "")
        for table in workspace.members.values()
    ]
    now = ",".join(dict.fromkeys(filter(None, asked)))
    if now and not _same_pythons(then, SpecifierSet(now)):
        yield Difference(place="requires-python", then=str(then), now=now)


def _same_pythons(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether both take the same versions; uv notes the intersection of what members ask for."""
    named = re.findall(r"\d+(?:\.\d+)+", f"{one} {other}")
    usual = (f"{major}.{minor}.{p}" for major in (2, 3, 4) for minor in range(30) for p in (0, 50))
    return all((version in one) == (version in other) for version in (*named, *usual))


def _membership(locked: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    now = {project_name(table) for table in workspace.members.values()}
    if locked.members:
        yield from _sets("workspace members", set(locked.members), now)
        return
    alone = project_name(workspace.root) if "project" in workspace.root else ""
    root = locked.package_at(".")
    yield from _option("name", root.name if root else "", alone)
    yield from _sets("workspace members", set(), now - {alone})


def _package(
    package: LockedPackage, workspace: Workspace, pythons: SpecifierSet
) -> Iterator[Difference]:
    folder = str(package.directory)
    manifest = workspace.manifest(folder)
    if "project" not in manifest:
        return
    dynamic = manifest["project"].get("dynamic", ())  # of which only a build tells
    if package.version and "version" not in dynamic:
        yield from _option("version", package.version, manifest["project"].get("version", ""))
    yield from _kind(package, folder, manifest, workspace)
    then = _sections_then(package, workspace)
    now = _sections_now(folder, manifest, workspace)
    for kind, name in dict.fromkeys((*then, *now)):
        if kind not in dynamic:
            yield from _section((kind, name), then, now, pythons)


def _kind(
    package: LockedPackage, folder: str, manifest: Table, workspace: Workspace
) -> Iterator[Difference]:
    """Whether uv builds and installs it (uv docs, "Build systems")."""
    is_package = table_at(manifest, "tool", "uv").get("package", "build-system" in manifest or None)
    if is_package is None and len(workspace.members) == 1:
        is_package = False  # in a workspace another member may ask for it, and then uv builds it
    if is_package is not None and folder in workspace.members:
        words = {True: "installed", False: "not installed"}
        then = "virtual" not in package.source
        yield from _option("the project itself", words[then], words[bool(is_package)])


def _sections_then(
    package: LockedPackage, workspace: Workspace
) -> dict[_Section, list[ComparableRequirement]]:
    metadata = package.table.get("metadata", {})
    sections: dict[_Section, list[ComparableRequirement]] = {("dependencies", ""): []}
    for extra in metadata.get("provides-extras", ()):
        sections["optional-dependencies", extra] = []
    for row in metadata.get("requires-dist", ()):
        noted = from_lockfile(row, workspace.path)
        section = ("optional-dependencies", noted.extra) if noted.extra else ("dependencies", "")
        sections.setdefault(section, []).append(noted)
    for group, rows in metadata.get("requires-dev", {}).items():
        sections["dependency-groups", group] = [from_lockfile(row, workspace.path) for row in rows]
    return sections


def _sections_now(
    folder: str, manifest: Table, workspace: Workspace
) -> dict[_Section, list[ComparableRequirement]]:
    project = manifest["project"]
    texts: dict[_Section, Iterable[str]] = {
        ("dependencies", ""): project.get("dependencies", ()),
        **{
            ("optional-dependencies", canonical_name(extra)): some
            for extra, some in project.get("optional-dependencies", {}).items()
        },
        **{("dependency-groups", name): group for name, group in _groups(manifest).items()},
    }
    return {section: _requirements(workspace, folder, some) for section, some in texts.items()}


def _requirements(
    workspace: Workspace, folder: str, texts: Iterable[str]
) -> list[ComparableRequirement]:
    sources = workspace.sources(folder)
    places = {
        project_name(table): workspace.path / path for path, table in workspace.members.items()
    }
    named = ((re.match(r"[\w.-]*", text.strip()), text) for text in texts)
    return [
        from_pyproject(
            text,
            sources.get(canonical_name(name[0] if name else "")),
            workspace.path / folder,
            places,
        )
        for name, text in named
    ]


def _groups(manifest: Table) -> dict[str, list[str]]:
    """The dependency groups with what they include (PEP 735), and uv's older `dev-dependencies`."""
    declared = table_at(manifest, "dependency-groups")
    tables: dict[str, Any] = {canonical_name(name): group for name, group in declared.items()}

    def flat(name: str) -> Iterator[str]:
        for entry in tables[name]:
            if isinstance(entry, str):
                yield entry
            else:
                yield from flat(canonical_name(entry["include-group"]))

    groups = {name: list(flat(name)) for name in tables}
    older = table_at(manifest, "tool", "uv").get("dev-dependencies")
    return groups if older is None else {**groups, "dev": [*groups.get("dev", ()), *older]}


def _section(
    section: _Section,
    then: Mapping[_Section, list[ComparableRequirement]],
    now: Mapping[_Section, list[ComparableRequirement]],
    pythons: SpecifierSet,
) -> Iterator[Difference]:
    kind, name = section
    if section not in then or section not in now:
        names = ({name} if section in sections else set() for sections in (then, now))
        yield from _sets(_PLACES[kind], *names)
        return
    yield from _compared(f"{_PLACES[kind]} {name}".strip(), then[section], now[section], pythons)


def _compared(
    place: str,
    then: list[ComparableRequirement],
    now: list[ComparableRequirement],
    pythons: SpecifierSet,
) -> Iterator[Difference]:
    gone = [old for old in then if not any(is_same_requirement(old, new, pythons) for new in now)]
    come = [new for new in now if not any(is_same_requirement(old, new, pythons) for old in then)]
    for old in gone:
        successor = next((new for new in come if new.name == old.name), None)
        if successor is None:
            yield Difference(place=place, then=str(old))
            continue
        come.remove(successor)
        with_source = str(old) == str(successor)
        before, after = (w.with_source() if with_source else str(w) for w in (old, successor))
        yield Difference(place=place, then=before, now=after)
    yield from (Difference(place=place, now=str(new)) for new in come)


def _options(lock: Table, workspace: Workspace, environ: Mapping[str, str]) -> Iterator[Difference]:
    """Where there is a uv.toml, uv does not look for these in pyproject.toml."""
    file = workspace.path / "uv.toml"
    chosen = parse_manifest(file) if file.is_file() else table_at(workspace.root, "tool", "uv")
    noted = table_at(lock, "options")
    for then, now, variable, default in _OPTIONS:
        wanted = environ.get(variable) or str(chosen.get(now, default))
        yield from _option(now, noted.get(then, default), wanted)
    then, now = (
        str(noted.get("exclude-newer", noted.get("exclude-newer-span", ""))),
        environ.get("UV_EXCLUDE_NEWER") or str(chosen.get("exclude-newer", "")),
    )
    # A date or a span is noted as a time stamp, which depends on where and when that was done.
    if not then or not now or _is_timestamp(now):
        yield from _option("exclude-newer", then, now)


def _is_timestamp(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) is not None


def _manifest(lock: Table, workspace: Workspace, pythons: SpecifierSet) -> Iterator[Difference]:
    noted, asked = table_at(lock, "manifest"), table_at(workspace.root, "tool", "uv")
    for then, now in _REQUIREMENTS:
        before = [from_lockfile(row, workspace.path) for row in noted.get(then, ())]
        yield from _compared(
            now, before, _requirements(workspace, ".", asked.get(now, ())), pythons
        )
    left_out = map(canonical_name, asked.get("exclude-dependencies", ()))
    yield from _sets("exclude-dependencies", set(noted.get("excludes", ())), set(left_out))
    for then, now in _MARKERS:
        yield from _markers(now, lock.get(then, []), asked.get(now, []), pythons)
    yield from _sets("conflicts", _conflicts(lock, ""), _all_conflicts(workspace))
    yield from _sets("dependency-metadata", *(_overrides(table) for table in (noted, asked)))
    if "project" not in workspace.root:
        yield from _groups_of_nobody(noted, workspace, pythons)


def _markers(
    place: str, then: list[str], now: list[str] | str, pythons: SpecifierSet
) -> Iterator[Difference]:
    asked = [now] if isinstance(now, str) else now

    def without(some: list[str], others: list[str]) -> set[str]:
        return {
            marker
            for marker in some
            if not any(is_same_marker(marker, other, pythons) for other in others)
        }

    yield from _sets(place, without(then, asked), without(asked, then))


def _all_conflicts(workspace: Workspace) -> set[str]:
    tables = ((table, project_name(table)) for table in workspace.members.values())
    return {text for t, name in tables for text in _conflicts(table_at(t, "tool", "uv"), name)}


def _conflicts(table: Table, owner: str) -> set[str]:
    """Each set of what may not be installed together, as `api[web] + api:dev`."""
    return {
        " + ".join(sorted(_conflicting(item, owner) for item in items))
        for items in table.get("conflicts", ())
    }


def _conflicting(item: Table, owner: str) -> str:
    package = canonical_name(item.get("package", owner))
    if "extra" in item:
        return f"{package}[{canonical_name(item['extra'])}]"
    return f"{package}:{canonical_name(item['group'])}" if "group" in item else package


def _overrides(table: Table) -> set[str]:
    rows = table.get("dependency-metadata", ())
    return {f"{canonical_name(row['name'])} {row.get('version', '')}".strip() for row in rows}


def _groups_of_nobody(
    noted: Table, workspace: Workspace, pythons: SpecifierSet
) -> Iterator[Difference]:
    """The dependency groups of a workspace whose root is no project."""
    then = {
        ("dependency-groups", name): [from_lockfile(row, workspace.path) for row in rows]
        for name, rows in noted.get("dependency-groups", {}).items()
    }
    now = {
        ("dependency-groups", name): _requirements(workspace, ".", texts)
        for name, texts in _groups(workspace.root).items()
    }
    for section in dict.fromkeys((*then, *now)):
        yield from _section(section, then, now, pythons)


def _option(place: str, then: str, now: str) -> Iterator[Difference]:
    if then != now:
        yield Difference(place=place, then=then, now=now)


def _sets(place: str, then: set[str], now: set[str]) -> Iterator[Difference]:
    yield from (Difference(place=place, then=name) for name in sorted(then - now))
    yield from (Difference(place=place, now=name) for name in sorted(now - then))
