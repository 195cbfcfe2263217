"""Why a lockfile is stale: pyproject.toml against what uv.lock was made for.

An explanation, not a verdict. The verdict is that of `uv lock --check`, which says what setting has
changed, but not what requirement. uv.lock has what uv read for it (`[package.metadata]` of every
local source, seen with uv 0.9.0 and 0.13.9). Markers and sources are not compared, since uv writes
them in another form.
"""

from collections.abc import Iterable, Iterator, Mapping

from packaging.dependency_groups import DependencyGroupResolver
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_version

from uvflow.errors import UvflowError
from uvflow.lockfile.packages import LockedPackage, Table, read_local_part
from uvflow.project.manifest import Project, Workspace, canonical_name, project_name, table_at

# What a project may declare as dynamic → what messages call it.
_DYNAMIC = {"dependencies": "dependencies", "optional-dependencies": "extra"}

_Sections = dict[str, list[Requirement]]  # by their place, such as `group dev`


def differences(project: Project) -> tuple[str, ...]:
    """What changed since uv.lock was made, as far as reading shows.

    Empty if uv.lock or a pyproject.toml is not valid: uv says what is wrong with it.
    """
    try:
        lockfile = read_local_part(project.lockfile)
        if not lockfile.requires_python:  # uv always writes it
            return ()
        workspace = Workspace.at(project.workspace)
        root = lockfile.package_at(".")
        locked = set(lockfile.members or ([root.name] if root else []))
        wanted = {project_name(table) for table in workspace.members.values()}
        changes = [_change("workspace members", name, "") for name in sorted(locked - wanted)]
        changes += (_change("workspace members", "", name) for name in sorted(wanted - locked))
        if "project" not in workspace.root:  # then uv.lock has its groups elsewhere
            table = {"requires-dev": table_at(lockfile.table, "manifest", "dependency-groups")}
            texts = {"dependencies": (), **_groups(workspace.root)}
            sourced = _sourced(workspace, ".")
            changes += _changes(_locked_sections(table, sourced), _sections(texts, sourced))
        for package in lockfile.local_packages:
            member = f"{package.name}: " if len(lockfile.local_packages) > 1 else ""
            changes += [member + change for change in _package(package, workspace)]
        return tuple(dict.fromkeys(changes))
    except (OSError, UvflowError, ValueError, TypeError, KeyError, AttributeError, ExceptionGroup):
        return ()


def _change(place: str, locked: str, wanted: str) -> str:
    """`locked` is empty for what was added, `wanted` for what was removed."""
    if not locked:
        return f"{place}: `{wanted}` was added"
    if not wanted:
        return f"{place}: `{locked}` was removed"
    return f"{place}: `{locked}` became `{wanted}`"


def _package(package: LockedPackage, workspace: Workspace) -> Iterator[str]:
    folder = str(package.directory)
    manifest = workspace.manifest(folder)
    if "project" not in manifest:
        return
    project = manifest["project"]
    dynamic = project.get("dynamic", ())  # only a build knows these
    version = project.get("version", "")
    written = canonicalize_version(version, strip_trailing_zero=False)  # as uv.lock has it
    if package.version not in {"", version, written} and "version" not in dynamic:
        yield _change("version", package.version, version)
    sourced = _sourced(workspace, folder)
    texts = {"dependencies": project.get("dependencies", ())}
    for extra, some in project.get("optional-dependencies", {}).items():
        texts[f"extra {canonical_name(extra)}"] = some
    unknown = {_DYNAMIC[kind] for kind in dynamic if kind in _DYNAMIC}
    yield from _changes(
        _locked_sections(table_at(package.table, "metadata"), sourced),
        _sections(texts | _groups(manifest), sourced),
        unknown,
    )


def _sourced(workspace: Workspace, folder: str) -> set[str]:
    """The names of what is not from an index: uv.lock has no specifiers of these."""
    return {name for name, source in workspace.sources(folder).items() if "index" not in source}


def _locked_sections(metadata: Table, sourced: set[str]) -> _Sections:
    rows: dict[str, list[Table]] = {"dependencies": []}
    rows |= {f"extra {name}": [] for name in metadata.get("provides-extras", ())}
    for row in metadata.get("requires-dist", ()):
        # uv writes "A and extra == 'x'", always with the extra at the end.
        _, of_extra, name = row.get("marker", "").rpartition("extra == ")
        place = "extra " + name.strip("'") if of_extra else "dependencies"
        rows.setdefault(place, []).append(row)
    rows |= {f"group {name}": some for name, some in metadata.get("requires-dev", {}).items()}
    texts = {place: [_requirement_text(row) for row in some] for place, some in rows.items()}
    return _sections(texts, sourced)


def _requirement_text(row: Table) -> str:
    return f"{row['name']}[{','.join(row.get('extras', ()))}]{row.get('specifier', '')}"


def _sections(texts: Mapping[str, Iterable[str]], sourced: set[str]) -> _Sections:
    return {place: [_comparable(text, sourced) for text in some] for place, some in texts.items()}


def _comparable(text: str, sourced: set[str]) -> Requirement:
    """A requirement (PEP 508) without what is not compared; raises ValueError."""
    requirement = Requirement(text)
    requirement.name = canonical_name(requirement.name)
    requirement.extras = set(map(canonical_name, requirement.extras))
    requirement.marker = requirement.url = None
    if requirement.name in sourced:
        requirement.specifier = SpecifierSet()
    return requirement


def _groups(manifest: Table) -> dict[str, Iterable[str]]:
    """The dependency groups with what they include (PEP 735), and uv's older `dev-dependencies`."""
    declared = table_at(manifest, "dependency-groups")
    resolver = DependencyGroupResolver(declared)
    groups: dict[str, Iterable[str]] = {}
    for name in declared:
        groups[f"group {canonical_name(name)}"] = [*map(str, resolver.resolve(name))]
    older = table_at(manifest, "tool", "uv").get("dev-dependencies")
    if older is not None:
        groups["group dev"] = [*groups.get("group dev", ()), *older]
    return groups


def _changes(locked: _Sections, wanted: _Sections, unknown: Iterable[str] = ()) -> Iterator[str]:
    for place in dict.fromkeys((*locked, *wanted)):
        kind, _, name = place.partition(" ")
        if kind in unknown:
            continue
        if not (place in locked and place in wanted):
            yield _change(kind, name if place in locked else "", name if place in wanted else "")
            continue
        added = [new for new in wanted[place] if new not in locked[place]]
        removed = [old for old in locked[place] if old not in wanted[place]]
        for old in removed:
            successor = next((new for new in added if new.name == old.name), None)
            if successor:
                added.remove(successor)
            yield _change(place, str(old), str(successor or ""))
        for new in added:
            yield _change(place, "", str(new))
