"""Edits to pyproject.toml: what is to be added, and the text with it. Pure.

What its author wrote stays byte for byte.
"""

import copy
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, Table

from uvflow import findings
from uvflow.errors import UsageError
from uvflow.findings import Finding
from uvflow.migrate.merge import pinned_version
from uvflow.migrate.model import ImportedRequirements, IncludeGroup, Pin, Requirement
from uvflow.migrate.toml_text import ArrayLine, extend_array, literal

Keys = tuple[str, ...]  # the path to a value
Values = Mapping[str, Any]  # a parsed table

UV: Keys = ("tool", "uv")
_DEPENDENCIES: Keys = ("project", "dependencies")
_GROUPS = "dependency-groups"


@dataclass(frozen=True, kw_only=True)
class PyprojectEdits:
    """What is to be added: lines of arrays with what stands below them, values, and indexes.

    `existing` are requirements that the file had already. `pins` are exact versions that stay out
    of it, since the file already says which versions it accepts: they belong in the lockfile.
    """

    arrays: dict[Keys, list[ArrayLine]] = field(default_factory=dict)
    tails: dict[Keys, tuple[str, ...]] = field(default_factory=dict)
    values: dict[Keys, Any] = field(default_factory=dict)
    indexes: list[Values] = field(default_factory=list)
    existing: list[Requirement] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class EditedPyproject:
    """A new text, and what was added to the old one."""

    text: str
    edits: PyprojectEdits


def edit(text: str, imported: ImportedRequirements) -> EditedPyproject:
    """`text` with everything that `imported` asks for and that is not in it yet.

    The order, comments, indentation and line ends of what it has survive; where nothing is missing,
    the text is returned unchanged. Every requirement has to have its name. Raises UsageError where
    `text` is not TOML, or is written in a way that cannot be edited faithfully.
    """
    before = _parse(text)
    edits = decide(before, imported)
    return EditedPyproject(text=_apply(text, before, edits), edits=edits)


def with_project(text: str, base: str) -> str:
    """`text`, which has no `[project]`, with the one of `base` (what `uv init` writes).

    It goes to the top, but below a comment that stands by itself there (such as a licence).
    """
    newline = _newline(text)
    table = base.replace("\n", newline)
    head = re.match(rf"(?:#[^\n]*\n)+{newline}", text)
    at = head.end() if head else 0
    if not re.match(r"\s*(?:[\[#]|\Z)", text[at:]):  # keys of the root would become its own
        return f"{text.rstrip()}{newline}{newline}{table}"
    rest = text[at:].lstrip("\r\n")
    return f"{text[:at]}{table}{newline if rest else ''}{rest}"


def with_python(text: str, requires_python: str) -> str:
    """`text` with another `requires-python` in its `[project]`, or with one for the first time."""
    edits = PyprojectEdits(values={("project", "requires-python"): requires_python})
    return _apply(text, _parse(text), edits)


# What is to be added.


def decide(before: Values, imported: ImportedRequirements) -> PyprojectEdits:
    """What `imported` asks for beyond what a pyproject.toml that is parsed as `before` has.

    Every requirement has to have its name. Raises UsageError where a value that is to be edited has
    another type.
    """
    _check_types(before)
    edits = PyprojectEdits()
    _decide_project(before, imported, edits)
    # A group keeps the spelling of the file: PEP 735 compares the names normalised.
    spellings = {canonicalize_name(key): key for key in before.get(_GROUPS, ())}
    for name, entries in imported.groups.items():
        path = (_GROUPS, spellings.get(canonicalize_name(name), name))
        _decide_list(before, path, entries, edits)
        _decide_tail(before, path, imported.tails.get(name, ()), edits)
    _decide_list(before, (*UV, "constraint-dependencies"), imported.constraints, edits)
    for key, value in imported.settings.items():
        _decide_setting(before, (*UV, key), value, edits)
    for name, source in imported.sources.items():
        _decide_setting(before, (*UV, "sources", name), source, edits)
    existing = _at(before, (*UV, "index")) or ()
    urls = {str(i.get("url", "")).rstrip("/") for i in existing if isinstance(i, Mapping)}
    edits.indexes.extend(i for i in imported.indexes if str(i["url"]).rstrip("/") not in urls)
    return edits


_TABLES: tuple[Keys, ...] = (("project",), (_GROUPS,), ("tool",), UV, (*UV, "sources"))
_LISTS: tuple[Keys, ...] = (_DEPENDENCIES, (*UV, "index"), (*UV, "constraint-dependencies"))


def _check_types(before: Values) -> None:
    groups = before.get(_GROUPS)
    names = groups if isinstance(groups, dict) else ()
    lists = (*_LISTS, *((_GROUPS, name) for name in names))
    for paths, kind, wanted in ((_TABLES, dict, "table"), (lists, list, "list")):
        for path in paths:
            value = _at(before, path)
            if value is not None and not isinstance(value, kind):
                raise UsageError(f"pyproject.toml: `{'.'.join(path)}` is not a {wanted}")


def _decide_project(before: Values, imported: ImportedRequirements, edits: PyprojectEdits) -> None:
    if imported.requires_python and not _at(before, ("project", "requires-python")):
        edits.values["project", "requires-python"] = imported.requires_python
    if "dependencies" in (_at(before, ("project", "dynamic")) or ()):
        # PEP 621: they are for the build backend to say, and must not be written.
        read = _at(before, ("tool", "setuptools", "dynamic", "dependencies"))
        files = read.get("file", ()) if isinstance(read, Mapping) else ()
        files = (files,) if isinstance(files, str) else files
        edits.findings.extend(
            findings.action(
                "dynamic-dependencies",
                f"`{requirement.text}` was not written: the dependencies are dynamic",
                requirement.origin,
                'remove "dependencies" from `dynamic` in [project], or add it where they are read',
            )
            for requirement in imported.dependencies
            if requirement.origin.path not in files
        )
        return
    _decide_list(before, _DEPENDENCIES, imported.dependencies, edits)
    _decide_tail(before, _DEPENDENCIES, imported.tails.get("", ()), edits)


def _decide_list(
    before: Values, path: Keys, entries: Iterable[Requirement | IncludeGroup], edits: PyprojectEdits
) -> None:
    """Add what is missing; an entry that differs in wording only stays as it is."""
    existing = _at(before, path)
    included: set[str] = set()
    known: dict[tuple[str, str], list[str]] = {}
    for item in existing or ():
        if isinstance(item, Mapping):
            included.add(canonicalize_name(str(item.get("include-group", ""))))
        elif isinstance(item, str):
            known.setdefault(_name_and_marker(item), []).append(item)
    lines = []
    for entry in entries:
        value: Any
        if isinstance(entry, IncludeGroup):
            value = {"include-group": entry.group}
            is_missing = canonicalize_name(entry.group) not in included
        else:
            value = entry.text
            same = known.get(_name_and_marker(value)) if known else None  # parsing takes its time
            is_missing = same is None
            if same:
                _compare(entry, same, edits)
        if is_missing:
            lines.append(ArrayLine(value=value, comment=entry.comment, above=entry.above))
    if lines or (existing is None and path[0] == _GROUPS):
        edits.arrays[path] = lines


def _name_and_marker(text: str) -> tuple[str, str]:
    """Two requirements that share both are about the same thing."""
    try:
        parsed = Parsed(text)
    except InvalidRequirement:
        return text, ""
    return canonicalize_name(parsed.name), str(parsed.marker or "")


def _compare(entry: Requirement, existing: list[str], edits: PyprojectEdits) -> None:
    edits.existing.append(entry)
    if entry.text in existing or any(Parsed(entry.text) == Parsed(text) for text in existing):
        return
    version = pinned_version(entry)
    if version and all(Parsed(t).specifier.contains(version, prereleases=True) for t in existing):
        name, _ = _name_and_marker(entry.text)
        edits.pins.append(Pin(name=name, version=version, origin=entry.origin))
        return
    edits.findings.append(
        findings.action(
            "already-there",
            f"pyproject.toml says `{existing[0]}`; `{entry.text}` was not written",
            entry.origin,
            "write the one that counts into pyproject.toml",
        )
    )


def _decide_tail(before: Values, path: Keys, tail: tuple[str, ...], edits: PyprojectEdits) -> None:
    """Comments below the last entry come with the list, and never twice."""
    if tail and (path in edits.arrays or not _at(before, path)):
        edits.arrays.setdefault(path, [])
        edits.tails[path] = tail


def _decide_setting(before: Values, path: Keys, value: Any, edits: PyprojectEdits) -> None:
    existing = _at(before, path)
    if existing is None:
        edits.values[path] = value
    elif isinstance(value, (list, tuple)) and isinstance(existing, list):
        missing = [ArrayLine(value=item) for item in value if item not in existing]
        if missing:
            edits.arrays[path] = missing
    elif existing != value:
        edits.findings.append(
            findings.action(
                "setting-differs",
                f"pyproject.toml has a different `{'.'.join(path)}`, which stays",
                None,
                f"the files ask for `{literal(value)}`",
            )
        )


def _at(table: Any, path: Keys) -> Any:
    for key in path:
        if not isinstance(table, Mapping) or key not in table:
            return None
        table = table[key]
    return table


# The edits, made to the text, and verified.

# A comment on the headers of new tables, removed before the text is returned.
_NEW = "new, by uvflow, for a moment"

# A placeholder for an array until all else is done: tomlkit is slow at parsing long ones.
_PLACEHOLDER = "an array, by uvflow, for a moment: "


def _apply(text: str, before: Values, edits: PyprojectEdits) -> str:
    """`text`, which is parsed as `before`, with `edits`; verified to mean nothing else."""
    if not (edits.arrays or edits.values or edits.indexes):
        return text
    newline = _newline(text)
    unix = text.replace(newline, "\n")
    document = _document(unix if unix.endswith("\n") else f"{unix}\n")  # to append something
    arrays: list[str] = []
    for path, lines in edits.arrays.items():
        table = _table(document, path[:-1])
        array = str(table[path[-1]].as_string()) if path[-1] in table else "[]"
        table[path[-1]] = f"{_PLACEHOLDER}{len(arrays)}"
        arrays.append(extend_array(array, lines, edits.tails.get(path, ())))
    for path, value in edits.values.items():
        is_list = isinstance(value, (list, tuple))  # one entry per line
        items = [ArrayLine(value=item) for item in value] if is_list else []
        new_value = extend_array("[]", items, ()) if is_list else literal(value)
        _table(document, path[:-1])[path[-1]] = tomlkit.value(new_value)
    _add_indexes(document, edits.indexes)
    new = _space_tables(tomlkit.dumps(document))
    new = re.sub(f'"{_PLACEHOLDER}(\\d+)"', lambda match: arrays[int(match[1])], new)
    last = text.rpartition("\n")[2]
    if last and new.endswith(f"\n{last}\n"):  # it had no newline, and is still the last line
        new = new.removesuffix("\n")
    return _verified_edit(new.replace("\n", newline), before, edits)


def _newline(text: str) -> str:
    """CRLF where every line of `text` ends with it; a file with both keeps both."""
    return "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"


def _document(text: str) -> tomlkit.TOMLDocument:
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise _not_editable(str(error)) from error
    if tomlkit.dumps(document) != text:
        raise _not_editable("a parser does not give its text back unchanged")
    return document


def _table(document: Any, keys: Keys) -> Any:
    table = document
    for depth, key in enumerate(keys, 1):
        if key not in table:
            table[key] = tomlkit.table(is_super_table=True if keys[:depth] == ("tool",) else None)
            table[key].comment(_NEW)
        elif isinstance(table[key], Table) and table[key].is_super_table():
            table[key].comment(_NEW)  # it gets a header of its own with its first value
        table = table[key]
    return table


def _add_indexes(document: Any, indexes: Iterable[Values]) -> None:
    for index in indexes:
        uv = _table(document, UV)
        if isinstance(uv.get("index"), Array):
            existing = uv["index"].as_string()
            uv["index"] = tomlkit.value(extend_array(existing, [ArrayLine(value=index)], ()))
            continue
        table = tomlkit.table()
        table.comment(_NEW)
        table.update(index)
        if "index" not in uv:
            uv["index"] = tomlkit.aot()
        uv["index"].append(table)


_HEADER = re.compile(r"[ \t]*\[{1,2}[^\[\]{},]+\]{1,2}[ \t]*(?:#.*)?$")


def _space_tables(text: str) -> str:
    """A blank line above and below every new table."""
    lines: list[str] = []
    is_new = False
    for line in text.splitlines(keepends=True):
        if not _HEADER.match(line):  # a value, and comments of the user's
            lines.append(line)
            continue
        was_new, is_new = is_new, line.rstrip().endswith(f"] # {_NEW}")
        if (is_new or was_new) and lines and lines[-1].strip():
            lines.append("\n")
        lines.append(line.replace(f" # {_NEW}", ""))
    return "".join(lines).rstrip("\n") + "\n" if is_new else "".join(lines)


def _verified_edit(text: str, before: Values, edits: PyprojectEdits) -> str:
    """`text`, if it means what the old one did, with the edits; raises UsageError otherwise."""
    after = copy.deepcopy(dict(before))
    for path, lines in edits.arrays.items():
        _plain(after, path[:-1]).setdefault(path[-1], []).extend(line.value for line in lines)
    for path, value in edits.values.items():
        _plain(after, path[:-1])[path[-1]] = value
    if edits.indexes:
        _plain(after, UV).setdefault("index", []).extend(map(dict, edits.indexes))
    if _parse(text) != _as_lists(after):
        raise _not_editable("the edited file would not mean what was intended")
    return text


def _plain(table: dict[str, Any], path: Keys) -> dict[str, Any]:
    for key in path:
        table = table.setdefault(key, {})
    return table


def _as_lists(value: Any) -> Any:
    """Tuples as the lists that a TOML parser gives."""
    if isinstance(value, Mapping):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError("pyproject.toml is not valid TOML", cause=str(error)) from error


def _not_editable(cause: str) -> UsageError:
    return UsageError(
        "pyproject.toml cannot be edited without changing what its author wrote",
        cause=cause,
        hint="write its tables as [project], [dependency-groups] and [tool.uv], then try again",
    )
