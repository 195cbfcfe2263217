"""Why a lockfile is stale: what the project asks for now, against what uv.lock was made for.

An explanation, not a verdict: that is uv's (`uv lock --check`). uv notes in uv.lock what it has
read (`requires-python`, `[options]`, `[manifest]`, and `[package.metadata]` of every local source);
learnt from uv 0.9.0 and 0.13.9. Where the two spell one thing in two ways, such as
`platform_system == 'Windows'` and `sys_platform == 'win32'`, no difference is told.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from packaging.specifiers import SpecifierSet

from uvflow import requirement
from uvflow.errors import UvflowError
from uvflow.project import Project, parse_manifest
from uvflow.requirement import Requirement
from uvflow.workspace import Workspace, at, name_of, normalised

Table = Mapping[str, Any]

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

# uv.lock is written by uv alone, one source a line.
_PACKAGE = "\n[[package]]\n"
_IS_LOCAL = re.compile(r"^source = \{ (?:editable|virtual|directory) = ", re.MULTILINE)

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
        lock = tomllib.loads(_local_part(project.lockfile.read_text(encoding="utf-8")))
        found = _differences(lock, Workspace.at(project.workspace), environ)
        return tuple(dict.fromkeys(found))
    except (OSError, UvflowError, ValueError, TypeError, KeyError, AttributeError):
        return ()


def _local_part(lockfile: str) -> str:
    """The part of uv.lock that is read here: all but the packages of indexes, nearly all of it."""
    head, *packages = lockfile.split(_PACKAGE)
    return _PACKAGE.join((head, *filter(_IS_LOCAL.search, packages)))


def _differences(
    lock: Table, workspace: Workspace, environ: Mapping[str, str]
) -> Iterator[Difference]:
    pythons = SpecifierSet(lock["requires-python"])
    yield from _python(pythons, workspace)
    yield from _membership(lock, workspace)
    local = [package for package in lock.get("package", ()) if _folder(package) is not None]
    for package in local:
        owner = package["name"] if len(local) > 1 else ""
        for difference in _package(package, workspace, pythons):
            yield replace(difference, member=owner)
    yield from _options(lock, workspace, environ)
    yield from _manifest(lock, workspace, pythons)


def _python(then: SpecifierSet, workspace: Workspace) -> Iterator[Difference]:
    asked = [
        at(table, "project").get("requires-python", "") for table in workspace.members.values()
    ]
    now = ",".join(dict.fromkeys(filter(None, asked)))
    if now and not _same_pythons(then, SpecifierSet(now)):
        yield Difference(place="requires-python", then=str(then), now=now)


def _same_pythons(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether both take the same versions; uv notes the intersection of what members ask for."""
    named = re.findall(r"\d+(?:\.\d+)+", f"{one} {other}")
    usual = (f"{major}.{minor}.{p}" for major in (2, 3, 4) for minor in range(30) for p in (0, 50))
    return all((version in one) == (version in other) for version in (*named, *usual))


def _membership(lock: Table, workspace: Workspace) -> Iterator[Difference]:
    now = {name_of(table) for table in workspace.members.values()}
    then = set(at(lock, "manifest").get("members", ()))
    if then:
        yield from _sets("workspace members", then, now)
        return
    alone = {name_of(workspace.root)} if "project" in workspace.root else set()
    then = {package["name"] for package in lock.get("package", ()) if _folder(package) == "."}
    yield from _option("name", "".join(then), "".join(alone))
    yield from _sets("workspace members", set(), now - alone)


def _folder(package: Table) -> str | None:
    """Where a package's source is, relative to the workspace, if it is a directory."""
    kinds = ("editable", "virtual", "directory")
    return next((package["source"][kind] for kind in kinds if kind in package["source"]), None)


def _package(package: Table, workspace: Workspace, pythons: SpecifierSet) -> Iterator[Difference]:
    folder = str(_folder(package))
    manifest = workspace.manifest(folder)
    if "project" not in manifest:
        return
    dynamic = manifest["project"].get("dynamic", ())  # of which only a build tells
    if "version" in package and "version" not in dynamic:
        yield from _option("version", package["version"], manifest["project"].get("version", ""))
    yield from _kind(package, folder, manifest, workspace)
    then = _sections_then(package, workspace)
    now = _sections_now(folder, manifest, workspace)
    for kind, name in dict.fromkeys((*then, *now)):
        if kind not in dynamic:
            yield from _section((kind, name), then, now, pythons)


def _kind(
    package: Table, folder: str, manifest: Table, workspace: Workspace
) -> Iterator[Difference]:
    """Whether uv builds and installs it (uv docs, "Build systems")."""
    is_package = at(manifest, "tool", "uv").get("package", "build-system" in manifest or None)
    if is_package is None and len(workspace.members) == 1:
        is_package = False  # in a workspace another member may ask for it, and then uv builds it
    if is_package is not None and folder in workspace.members:
        words = {True: "installed", False: "not installed"}
        then = "virtual" not in package["source"]
        yield from _option("the project itself", words[then], words[bool(is_package)])


def _sections_then(package: Table, workspace: Workspace) -> dict[_Section, list[Requirement]]:
    metadata = package.get("metadata", {})
    sections: dict[_Section, list[Requirement]] = {("dependencies", ""): []}
    for extra in metadata.get("provides-extras", ()):
        sections["optional-dependencies", extra] = []
    for row in metadata.get("requires-dist", ()):
        noted = requirement.noted(row, workspace.path)
        section = ("optional-dependencies", noted.extra) if noted.extra else ("dependencies", "")
        sections.setdefault(section, []).append(noted)
    for group, rows in metadata.get("requires-dev", {}).items():
        sections["dependency-groups", group] = [
            requirement.noted(row, workspace.path) for row in rows
        ]
    return sections


def _sections_now(
    folder: str, manifest: Table, workspace: Workspace
) -> dict[_Section, list[Requirement]]:
    project = manifest["project"]
    texts: dict[_Section, Iterable[str]] = {
        ("dependencies", ""): project.get("dependencies", ()),
        **{
            ("optional-dependencies", normalised(extra)): some
            for extra, some in project.get("optional-dependencies", {}).items()
        },
        **{("dependency-groups", name): group for name, group in _groups(manifest).items()},
    }
    return {section: _requirements(workspace, folder, some) for section, some in texts.items()}


def _requirements(workspace: Workspace, folder: str, texts: Iterable[str]) -> list[Requirement]:
    sources = workspace.sources(folder)
    places = {name_of(table): workspace.path / path for path, table in workspace.members.items()}
    named = ((re.match(r"[\w.-]*", text.strip()), text) for text in texts)
    return [
        requirement.asked(
            text,
            sources.get(normalised(name[0] if name else "")),
            workspace.path / folder,
            places,
        )
        for name, text in named
    ]


def _groups(manifest: Table) -> dict[str, list[str]]:
    """The dependency groups with what they include (PEP 735), and uv's older `dev-dependencies`."""
    declared = at(manifest, "dependency-groups")
    tables: dict[str, Any] = {normalised(name): group for name, group in declared.items()}

    def flat(name: str) -> Iterator[str]:
        for entry in tables[name]:
            if isinstance(entry, str):
                yield entry
            else:
                yield from flat(normalised(entry["include-group"]))

    groups = {name: list(flat(name)) for name in tables}
    older = at(manifest, "tool", "uv").get("dev-dependencies")
    return groups if older is None else {**groups, "dev": [*groups.get("dev", ()), *older]}


def _section(
    section: _Section,
    then: Mapping[_Section, list[Requirement]],
    now: Mapping[_Section, list[Requirement]],
    pythons: SpecifierSet,
) -> Iterator[Difference]:
    kind, name = section
    if section not in then or section not in now:
        names = ({name} if section in sections else set() for sections in (then, now))
        yield from _sets(_PLACES[kind], *names)
        return
    yield from _compared(f"{_PLACES[kind]} {name}".strip(), then[section], now[section], pythons)


def _compared(
    place: str, then: list[Requirement], now: list[Requirement], pythons: SpecifierSet
) -> Iterator[Difference]:
    gone = [old for old in then if not any(requirement.is_same(old, new, pythons) for new in now)]
    come = [new for new in now if not any(requirement.is_same(old, new, pythons) for old in then)]
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
    chosen = parse_manifest(file) if file.is_file() else at(workspace.root, "tool", "uv")
    noted = at(lock, "options")
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
    noted, asked = at(lock, "manifest"), at(workspace.root, "tool", "uv")
    for then, now in _REQUIREMENTS:
        before = [requirement.noted(row, workspace.path) for row in noted.get(then, ())]
        yield from _compared(
            now, before, _requirements(workspace, ".", asked.get(now, ())), pythons
        )
    left_out = map(normalised, asked.get("exclude-dependencies", ()))
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
            if not any(requirement.is_same_marker(marker, other, pythons) for other in others)
        }

    yield from _sets(place, without(then, asked), without(asked, then))


def _all_conflicts(workspace: Workspace) -> set[str]:
    tables = ((table, name_of(table)) for table in workspace.members.values())
    return {text for t, name in tables for text in _conflicts(at(t, "tool", "uv"), name)}


def _conflicts(table: Table, owner: str) -> set[str]:
    """Each set of what may not be installed together, as `api[web] + api:dev`."""
    return {
        " + ".join(sorted(_conflicting(item, owner) for item in items))
        for items in table.get("conflicts", ())
    }


def _conflicting(item: Table, owner: str) -> str:
    package = normalised(item.get("package", owner))
    if "extra" in item:
        return f"{package}[{normalised(item['extra'])}]"
    return f"{package}:{normalised(item['group'])}" if "group" in item else package


def _overrides(table: Table) -> set[str]:
    rows = table.get("dependency-metadata", ())
    return {f"{normalised(row['name'])} {row.get('version', '')}".strip() for row in rows}


def _groups_of_nobody(
    noted: Table, workspace: Workspace, pythons: SpecifierSet
) -> Iterator[Difference]:
    """The dependency groups of a workspace whose root is no project."""
    then = {
        ("dependency-groups", name): [requirement.noted(row, workspace.path) for row in rows]
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
