"""What an import adds to a pyproject.toml: nothing twice, and what is there stays. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from uvflow.arrays import Line, literal
from uvflow.errors import UsageError
from uvflow.imports.merge import pinned_version
from uvflow.imports.model import Finding, Import, IncludeGroup, Pin, Requirement, Severity

Keys = tuple[str, ...]  # what leads to a value
Values = Mapping[str, Any]  # a table of TOML, read

UV: Keys = ("tool", "uv")
_DEPENDENCIES: Keys = ("project", "dependencies")
_GROUPS = "dependency-groups"


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What is to be added: lines of arrays with what stands below them, values, and indexes.

    `there` are requirements that the file had already. `pins` are exact versions that stay out of
    it, since the file already says which versions it takes: the lockfile is where they belong.
    """

    arrays: dict[Keys, list[Line]] = field(default_factory=dict)
    tails: dict[Keys, tuple[str, ...]] = field(default_factory=dict)
    values: dict[Keys, Any] = field(default_factory=dict)
    indexes: list[Values] = field(default_factory=list)
    there: list[Requirement] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def decide(before: Values, imported: Import) -> Additions:
    """What `imported` asks for beyond what a pyproject.toml that is read as `before` has.

    Every requirement has to have its name. Raises UsageError where a value that is to be edited has
    another type.
    """
    _check(before)
    additions = Additions()
    _decide_project(before, imported, additions)
    for name, entries in imported.groups.items():
        path = (_GROUPS, _spelled(name, before.get(_GROUPS, {})))
        _decide_list(before, path, entries, additions)
        _decide_tail(before, path, imported.tails.get(name, ()), additions)
    _decide_list(before, (*UV, "constraint-dependencies"), imported.constraints, additions)
    for key, value in imported.settings.items():
        _decide_setting(before, (*UV, key), value, additions)
    for name, source in imported.sources.items():
        _decide_setting(before, (*UV, "sources", name), source, additions)
    _decide_indexes(before, imported.indexes, additions)
    return additions


_TABLES: tuple[Keys, ...] = (
    ("project",),
    (_GROUPS,),
    ("tool",),
    UV,
    (*UV, "sources"),
)
_LISTS: tuple[Keys, ...] = (_DEPENDENCIES, (*UV, "index"), (*UV, "constraint-dependencies"))


def _check(before: Values) -> None:
    groups = before.get(_GROUPS)
    names = groups if isinstance(groups, dict) else ()
    lists = (*_LISTS, *((_GROUPS, name) for name in names))
    for paths, kind, wanted in ((_TABLES, dict, "table"), (lists, list, "list")):
        for path in paths:
            there = _at(before, path)
            if there is not None and not isinstance(there, kind):
                raise UsageError(f"pyproject.toml: `{'.'.join(path)}` is no {wanted}")


def _decide_project(before: Values, imported: Import, additions: Additions) -> None:
    if imported.requires_python and not _at(before, ("project", "requires-python")):
        additions.values["project", "requires-python"] = imported.requires_python
    if "dependencies" in (_at(before, ("project", "dynamic")) or ()):
        additions.findings.extend(_left_dynamic(before, imported.dependencies))
        return
    _decide_list(before, _DEPENDENCIES, imported.dependencies, additions)
    _decide_tail(before, _DEPENDENCIES, imported.tails.get("", ()), additions)


def _left_dynamic(before: Values, wanted: Iterable[Requirement]) -> Iterator[Finding]:
    """PEP 621: what `dynamic` names is the build backend's to say, and must not be written."""
    read = _at(before, ("tool", "setuptools", "dynamic", "dependencies"))
    files = read.get("file", ()) if isinstance(read, Mapping) else ()
    for requirement in wanted:
        if requirement.origin.path in ((files,) if isinstance(files, str) else files):
            continue
        yield Finding(
            severity=Severity.ACTION,
            code="dynamic-dependencies",
            message=f"`{requirement.text}` was not written: the dependencies are dynamic",
            origin=requirement.origin,
            hint='remove "dependencies" from `dynamic` in [project], or add it where they are read',
        )


def _decide_list(
    before: Values,
    path: Keys,
    entries: Iterable[Requirement | IncludeGroup],
    additions: Additions,
) -> None:
    there = _at(before, path)
    lines = [_line(entry) for entry in _missing(there or (), entries, additions)]
    if lines or (there is None and path[0] == _GROUPS):
        additions.arrays[path] = lines


def _missing(
    there: Iterable[Any], entries: Iterable[Requirement | IncludeGroup], additions: Additions
) -> Iterator[Requirement | IncludeGroup]:
    """The entries that are not `there`; what is there in other words stays, and is told."""
    tables = [entry for entry in there if isinstance(entry, Mapping)]
    included = {canonicalize_name(str(table.get("include-group", ""))) for table in tables}
    known: dict[tuple[str, str], list[str]] = {}
    for text in (entry for entry in there if isinstance(entry, str)):
        known.setdefault(_slot(text), []).append(text)
    for entry in entries:
        if isinstance(entry, IncludeGroup):
            if canonicalize_name(entry.group) not in included:
                yield entry
        elif known and _slot(entry.text) in known:  # reading takes its time
            _compare(entry, known[_slot(entry.text)], additions)
        else:
            yield entry


def _slot(text: str) -> tuple[str, str]:
    """A requirement's name and marker: two that share both speak of the same thing."""
    try:
        parsed = Parsed(text)
    except InvalidRequirement:
        return text, ""
    return canonicalize_name(parsed.name), str(parsed.marker or "")


def _compare(entry: Requirement, there: list[str], additions: Additions) -> None:
    additions.there.append(entry)
    if entry.text in there or any(Parsed(entry.text) == Parsed(text) for text in there):
        return
    version = pinned_version(entry)
    if version and all(Parsed(t).specifier.contains(version, prereleases=True) for t in there):
        additions.pins.append(Pin(name=_slot(entry.text)[0], version=version, origin=entry.origin))
        return
    additions.findings.append(
        Finding(
            severity=Severity.ACTION,
            code="already-there",
            message=f"pyproject.toml says `{there[0]}`; `{entry.text}` was not written",
            origin=entry.origin,
            hint="write into pyproject.toml which of the two it is to be",
        )
    )


def _line(entry: Requirement | IncludeGroup) -> Line:
    value: Any = entry.text if isinstance(entry, Requirement) else {"include-group": entry.group}
    return Line(value=value, comment=entry.comment, above=entry.above)


def _decide_tail(before: Values, path: Keys, tail: tuple[str, ...], additions: Additions) -> None:
    """Comments below the last entry come with the list, never again where it is there already."""
    if tail and (path in additions.arrays or not _at(before, path)):
        additions.arrays.setdefault(path, [])
        additions.tails[path] = tail


def _decide_setting(before: Values, path: Keys, value: Any, additions: Additions) -> None:
    there = _at(before, path)
    if there is None:
        additions.values[path] = value
    elif isinstance(value, (list, tuple)) and isinstance(there, list):
        missing = [Line(value=item) for item in value if item not in there]
        if missing:
            additions.arrays[path] = missing
    elif there != value:
        additions.findings.append(
            Finding(
                severity=Severity.ACTION,
                code="setting-differs",
                message=f"pyproject.toml has another `{'.'.join(path)}`; it stays as it is",
                hint=f"the files ask for `{literal(value)}`",
            )
        )


def _decide_indexes(before: Values, indexes: Iterable[Values], additions: Additions) -> None:
    there = _at(before, (*UV, "index")) or ()
    by_url = {str(i.get("url", "")).rstrip("/") for i in there if isinstance(i, Mapping)}
    additions.indexes.extend(i for i in indexes if str(i["url"]).rstrip("/") not in by_url)


def _spelled(name: str, there: Iterable[str]) -> str:
    """A group's name as the file spells it (PEP 735 compares them normalised)."""
    same = (key for key in there if canonicalize_name(key) == canonicalize_name(name))
    return next(same, name)


def _at(table: Any, path: Keys) -> Any:
    for key in path:
        if not isinstance(table, Mapping) or key not in table:
            return None
        table = table[key]
    return table
