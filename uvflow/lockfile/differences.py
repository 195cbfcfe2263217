"""Why a lockfile is stale: pyproject.toml against what uv.lock was made for.

An explanation, not a verdict: that is uv's (`uv lock --check`), which also says which setting has
changed, but not which requirement. uv keeps in uv.lock what it has read (`[manifest]`, and
`[package.metadata]` of every local source), as seen with uv 0.9.0 and 0.13.9. Markers are not
compared, since it rewrites them.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging import requirements
from packaging.dependency_groups import DependencyGroupResolver
from packaging.specifiers import SpecifierSet

from uvflow.errors import UvflowError
from uvflow.lockfile.packages import LockedPackage, Lockfile, Table, read_local_part
from uvflow.project.manifest import Project, Workspace, canonical_name, project_name, table_at

INDEX = "the index"
_OWN_INDEX = "an index of its own"

_REQUIREMENTS = {
    "constraints": "constraint-dependencies",
    "overrides": "override-dependencies",
    "build-constraints": "build-constraint-dependencies",
}

# What a project may declare dynamic → what messages call it.
_DYNAMIC = {"dependencies": "dependencies", "optional-dependencies": "extra"}


@dataclass(frozen=True, kw_only=True)
class ComparableRequirement:
    """A requirement (PEP 508) with its source (uv docs, "Dependency sources").

    `extra` is the extra it belongs to. `source` is a path, a URL or an index; it and `editable` are
    None where they are not known.
    """

    name: str
    extras: frozenset[str] = frozenset()
    specifier: SpecifierSet
    extra: str = ""
    source: str | None = None
    editable: bool | None = None

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.name}{extras}{self.specifier}"

    def with_source(self) -> str:
        editable = " (editable)" if self.editable else ""
        return f"{self} from {self.source or INDEX}{editable}"


_Sections = dict[str, list[ComparableRequirement]]  # by their place, such as `group dev`


def differences(project: Project) -> tuple[str, ...]:
    """What changed since uv.lock was made, as far as reading shows.

    Empty where uv.lock or a pyproject.toml is not what uv reads: uv says what is wrong with it.
    """
    try:
        lockfile = read_local_part(project.lockfile)
        if not lockfile.requires_python:  # which uv always writes
            return ()
        workspace = Workspace.at(project.workspace)
        changes = [*_membership(lockfile, workspace)]
        for package in lockfile.local_packages:
            member = f"{package.name}: " if len(lockfile.local_packages) > 1 else ""
            changes += [member + change for change in _package(package, workspace)]
        changes += _manifest(lockfile, workspace)
        return tuple(dict.fromkeys(changes))
    except (OSError, UvflowError, ValueError, TypeError, KeyError, AttributeError, ExceptionGroup):
        return ()


def _membership(lockfile: Lockfile, workspace: Workspace) -> Iterator[str]:
    root = lockfile.package_at(".")
    locked = set(lockfile.members or ([root.name] if root else []))
    wanted = {project_name(table) for table in workspace.members.values()}
    for name in sorted(locked ^ wanted):
        yield _change(
            "workspace members", *(name if name in names else "" for names in (locked, wanted))
        )


def _change(place: str, locked: str, wanted: str) -> str:
    """`locked` is empty for what was added, `wanted` for what was removed."""
    if not locked:
        return f"{place}: `{wanted}` was added"
    return f"{place}: `{locked}` " + (f"became `{wanted}`" if wanted else "was removed")


def _package(package: LockedPackage, workspace: Workspace) -> Iterator[str]:
    folder = str(package.directory)
    manifest = workspace.manifest(folder)
    if "project" not in manifest:
        return
    project = manifest["project"]
    dynamic = project.get("dynamic", ())  # of these only a build tells
    version = project.get("version", "")
    if package.version not in {"", version} and "version" not in dynamic:
        yield _change("version", package.version, version)
    locked = _locked_sections(table_at(package.table, "metadata"), workspace)
    texts = {"dependencies": project.get("dependencies", ())}
    for extra, some in project.get("optional-dependencies", {}).items():
        texts[f"extra {canonical_name(extra)}"] = some
    wanted = _wanted_sections(texts | _groups(manifest), folder, workspace)
    unknown = [_DYNAMIC[kind] for kind in dynamic if kind in _DYNAMIC]
    for place in dict.fromkeys((*locked, *wanted)):
        if place.partition(" ")[0] not in unknown:
            yield from _section(place, locked, wanted)


def _locked_sections(metadata: Table, workspace: Workspace) -> _Sections:
    sections: _Sections = {"dependencies": []}
    sections |= {f"extra {name}": [] for name in metadata.get("provides-extras", ())}
    for row in metadata.get("requires-dist", ()):
        locked = from_lockfile(row, workspace.path)
        place = f"extra {locked.extra}" if locked.extra else "dependencies"
        sections.setdefault(place, []).append(locked)
    return sections | _locked_groups(metadata.get("requires-dev", {}), workspace)


def _locked_groups(table: Table, workspace: Workspace) -> _Sections:
    return {
        f"group {group}": [from_lockfile(row, workspace.path) for row in rows]
        for group, rows in table.items()
    }


def _groups(manifest: Table) -> dict[str, Iterable[str]]:
    """The dependency groups with what they include (PEP 735), and uv's older `dev-dependencies`."""
    declared = table_at(manifest, "dependency-groups")
    resolver = DependencyGroupResolver(declared)
    groups = {
        f"group {canonical_name(name)}": [*map(str, resolver.resolve(name))] for name in declared
    }
    older = table_at(manifest, "tool", "uv").get("dev-dependencies")
    if older is not None:
        groups["group dev"] = [*groups.get("group dev", ()), *older]
    return {**groups}


def _wanted_sections(
    texts: Mapping[str, Iterable[str]], folder: str, workspace: Workspace
) -> _Sections:
    sources, base = workspace.sources(folder), workspace.path / folder
    members = {
        project_name(table): workspace.path / path for path, table in workspace.members.items()
    }
    return {
        place: [from_pyproject(text, sources, base, members) for text in some]
        for place, some in texts.items()
    }


def _section(place: str, locked: _Sections, wanted: _Sections) -> Iterator[str]:
    if place in locked and place in wanted:
        yield from _changed(place, locked[place], wanted[place])
        return
    kind, _, name = place.partition(" ")
    yield _change(kind, name if place in locked else "", name if place in wanted else "")


def _changed(
    place: str,
    locked: list[ComparableRequirement],
    wanted: list[ComparableRequirement],
) -> Iterator[str]:
    def without(
        some: list[ComparableRequirement], others: list[ComparableRequirement]
    ) -> list[ComparableRequirement]:
        return [r for r in some if not any(is_same_requirement(r, o) for o in others)]

    added = without(wanted, locked)
    for old in without(locked, wanted):
        successor = next((new for new in added if new.name == old.name), None)
        if successor is None:
            yield _change(place, str(old), "")
            continue
        added.remove(successor)
        needs_source = str(old) == str(successor)
        yield _change(
            place, *(r.with_source() if needs_source else str(r) for r in (old, successor))
        )
    yield from (_change(place, "", str(new)) for new in added)


def _manifest(lockfile: Lockfile, workspace: Workspace) -> Iterator[str]:
    """What holds for the whole workspace."""
    manifest = table_at(lockfile.table, "manifest")
    settings = table_at(workspace.root, "tool", "uv")
    locked = {
        name: [from_lockfile(row, workspace.path) for row in manifest.get(key, ())]
        for key, name in _REQUIREMENTS.items()
    }
    texts = {name: settings.get(name, ()) for name in _REQUIREMENTS.values()}
    if "project" not in workspace.root:
        locked |= _locked_groups(manifest.get("dependency-groups", {}), workspace)
        texts |= _groups(workspace.root)
    wanted = _wanted_sections(texts, ".", workspace)
    for place in dict.fromkeys((*locked, *wanted)):
        yield from _section(place, locked, wanted)


def from_lockfile(row: Table, workspace: Path) -> ComparableRequirement:
    """A row of `requires-dist`, `requires-dev` or `[manifest]` of uv.lock."""
    # uv writes "A and extra == 'x'", with what it says about the extra last.
    extra = re.search(r"(?:^| and )extra == '([^']*)'$", row.get("marker", ""))
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
        extra=extra[1] if extra else "",
        source=source,
        editable="editable" in row,
    )


def from_pyproject(
    text: str, sources: Table, base: Path, members: Mapping[str, Path]
) -> ComparableRequirement:
    """A requirement of a pyproject.toml in `base`, with its entry of `[tool.uv.sources]`.

    `members` are the directories of the workspace's members by their names. Raises ValueError.
    """
    parsed = requirements.Requirement(text)
    name = canonical_name(parsed.name)
    source = sources.get(name)
    return ComparableRequirement(
        name=name,
        extras=frozenset(map(canonical_name, parsed.extras)),
        specifier=parsed.specifier,
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


def _direct_reference(url: str) -> str | None:
    """The source of `name @ url` (PEP 508)."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return None  # uv.lock has it as a path
    if parts.scheme.startswith("git+"):
        head, _, reference = parts.path.partition("@")
        return _commit(parts._replace(path=head).geturl(), reference)
    return url


def _place(path: Path) -> str:
    return Path(os.path.normpath(path)).as_posix()


def _commit(url: str, reference: str) -> str:
    address = urlsplit(url.removeprefix("git+"))._replace(query="", fragment="").geturl()
    return f"{address}@{reference}" if reference else address


def is_same_requirement(one: ComparableRequirement, other: ComparableRequirement) -> bool:
    """Whether both mean the same but for their markers; what is not known is the same."""
    return (
        (one.name, one.extras, one.specifier) == (other.name, other.extras, other.specifier)
        and (one.source == other.source or None in {one.source, other.source})
        and (one.editable == other.editable or None in {one.editable, other.editable})
    )
