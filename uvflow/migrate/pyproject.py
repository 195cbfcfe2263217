"""Edits to pyproject.toml: what is to be added, and the text with it. Pure.

What its author wrote stays byte for byte.
"""

import copy
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
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
from uvflow.migrate.toml_text import ArrayLine, extended, literal

Keys = tuple[str, ...]  # what leads to a value
Values = Mapping[str, Any]  # a table of TOML, read

UV: Keys = ("tool", "uv")
_DEPENDENCIES: Keys = ("project", "dependencies")
_GROUPS = "dependency-groups"


@dataclass(frozen=True, kw_only=True)
class PyprojectEdits:
    """What is to be added: lines of arrays with what stands below them, values, and indexes.

    `there` are requirements that the file had already. `pins` are exact versions that stay out of
    it, since the file already says which versions it takes: the lockfile is where they belong.
    """

    arrays: dict[Keys, list[ArrayLine]] = field(default_factory=dict)
    tails: dict[Keys, tuple[str, ...]] = field(default_factory=dict)
    values: dict[Keys, Any] = field(default_factory=dict)
    indexes: list[Values] = field(default_factory=list)
    there: list[Requirement] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def decide(before: Values, imported: ImportedRequirements) -> PyprojectEdits:
    """What `imported` asks for beyond what a pyproject.toml that is read as `before` has.

    Every requirement has to have its name. Raises UsageError where a value that is to be edited has
    another type.
    """
    _check(before)
    additions = PyprojectEdits()
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


def _decide_project(
    before: Values, imported: ImportedRequirements, additions: PyprojectEdits
) -> None:
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
        yield findings.action(
            "dynamic-dependencies",
            f"`{requirement.text}` was not written: the dependencies are dynamic",
            requirement.origin,
            'remove "dependencies" from `dynamic` in [project], or add it where they are read',
        )


def _decide_list(
    before: Values,
    path: Keys,
    entries: Iterable[Requirement | IncludeGroup],
    additions: PyprojectEdits,
) -> None:
    there = _at(before, path)
    lines = [_line(entry) for entry in _missing(there or (), entries, additions)]
    if lines or (there is None and path[0] == _GROUPS):
        additions.arrays[path] = lines


def _missing(
    there: Iterable[Any], entries: Iterable[Requirement | IncludeGroup], additions: PyprojectEdits
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


def _compare(entry: Requirement, there: list[str], additions: PyprojectEdits) -> None:
    additions.there.append(entry)
    if entry.text in there or any(Parsed(entry.text) == Parsed(text) for text in there):
        return
    version = pinned_version(entry)
    if version and all(Parsed(t).specifier.contains(version, prereleases=True) for t in there):
        additions.pins.append(Pin(name=_slot(entry.text)[0], version=version, origin=entry.origin))
        return
    additions.findings.append(
        findings.action(
            "already-there",
            f"pyproject.toml says `{there[0]}`; `{entry.text}` was not written",
            entry.origin,
            "write into pyproject.toml which of the two it is to be",
        )
    )


def _line(entry: Requirement | IncludeGroup) -> ArrayLine:
    value: Any = entry.text if isinstance(entry, Requirement) else {"include-group": entry.group}
    return ArrayLine(value=value, comment=entry.comment, above=entry.above)


def _decide_tail(
    before: Values, path: Keys, tail: tuple[str, ...], additions: PyprojectEdits
) -> None:
    """Comments below the last entry come with the list, never again where it is there already."""
    if tail and (path in additions.arrays or not _at(before, path)):
        additions.arrays.setdefault(path, [])
        additions.tails[path] = tail


def _decide_setting(before: Values, path: Keys, value: Any, additions: PyprojectEdits) -> None:
    there = _at(before, path)
    if there is None:
        additions.values[path] = value
    elif isinstance(value, (list, tuple)) and isinstance(there, list):
        missing = [ArrayLine(value=item) for item in value if item not in there]
        if missing:
            additions.arrays[path] = missing
    elif there != value:
        additions.findings.append(
            findings.action(
                "setting-differs",
                f"pyproject.toml has another `{'.'.join(path)}`; it stays as it is",
                None,
                f"the files ask for `{literal(value)}`",
            )
        )


def _decide_indexes(before: Values, indexes: Iterable[Values], additions: PyprojectEdits) -> None:
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


@dataclass(frozen=True, kw_only=True)
class EditedPyproject:
    """What became of the text.

    `there` are requirements that the file had already. `pins` are exact versions that stayed out of
    it, since the file already says which versions it takes: the lockfile is where they belong.
    """

    text: str
    there: tuple[Requirement, ...] = ()
    pins: tuple[Pin, ...] = ()
    findings: tuple[Finding, ...] = ()


def edit(text: str, imported: ImportedRequirements) -> EditedPyproject:
    """`text` with everything in it that `imported` asks for and that is not there yet.

    Order, comments, indentation and line ends of what is there survive; where nothing is missing,
    the text is returned as it came. Every requirement has to have its name. Raises UsageError where
    `text` is no TOML, or is written in a way that cannot be edited faithfully.
    """
    before = _parsed(text)
    additions = decide(before, imported)
    return EditedPyproject(
        text=_verified_edit(_applied(text, additions), _expected(before, additions)),
        there=tuple(additions.there),
        pins=tuple(additions.pins),
        findings=tuple(additions.findings),
    )


def with_project(text: str, base: str) -> str:
    """`text`, which has no `[project]`, with the one of `base` (what `uv init` writes).

    It goes to the top, but below a comment that stands for itself there (a licence, say).
    """
    newline = _newline(text)
    table = base.replace("\n", newline)
    head = re.match(rf"(?:#[^\n]*\n)+{newline}", text)
    at = head.end() if head else 0
    if not re.match(r"\s*(?:[\[#]|\Z)", text[at:]):  # keys of the root would become the table's
        return f"{text.rstrip()}{newline}{newline}{table}"
    rest = text[at:].lstrip("\r\n")
    return f"{text[:at]}{table}{newline if rest else ''}{rest}"


def with_python(text: str, requires_python: str) -> str:
    """`text` with another `requires-python` in its `[project]`, or with one for the first time."""
    expected = _parsed(text)
    if "requires-python" not in expected["project"]:
        return edit(text, ImportedRequirements(requires_python=requires_python)).text
    newline = _newline(text)
    document: Any = _document(_with_newlines(text, newline))
    document["project"]["requires-python"] = requires_python
    expected["project"]["requires-python"] = requires_python
    new = _as_ended(tomlkit.dumps(document), text).replace("\n", newline)
    return _verified_edit(new, expected)


# The change, carried out on the text.

# A mark on the headers of tables that are new, gone before anybody sees it.
_NEW = "new, by uvflow, for a moment"

# What stands for an array until all else is done: tomlkit takes long to read a long one.
_STAND_IN = "an array, by uvflow, for a moment: "


def _applied(text: str, additions: PyprojectEdits) -> str:
    if not (additions.arrays or additions.values or additions.indexes):
        return text
    newline = _newline(text)
    document = _document(_with_newlines(text, newline))
    arrays: list[str] = []
    for path, lines in additions.arrays.items():
        arrays.append(extended(_array(document, path), lines, additions.tails.get(path, ())))
        _table(document, path[:-1])[path[-1]] = f"{_STAND_IN}{len(arrays) - 1}"
    for path, value in additions.values.items():
        _table(document, path[:-1])[path[-1]] = _value(value)
    _add_indexes(document, additions.indexes)
    new = _with_arrays(_spaced(tomlkit.dumps(document)), arrays)
    return _as_ended(new, text).replace("\n", newline)


def _with_arrays(text: str, arrays: list[str]) -> str:
    return re.sub(f'"{_STAND_IN}(\\d+)"', lambda match: arrays[int(match[1])], text)


def _newline(text: str) -> str:
    """CRLF where every line of `text` ends with it: a file of both is left a file of both."""
    return "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"


def _with_newlines(text: str, newline: str) -> str:
    """`text` with LF for `newline`, and one at its end, so that something can follow."""
    unix = text.replace(newline, "\n")
    return unix if unix.endswith("\n") else f"{unix}\n"


def _as_ended(new: str, text: str) -> str:
    """`new` without a newline at its end where `text` has none, and its last line is still last."""
    last = text.rpartition("\n")[2]
    return new.removesuffix("\n") if last and new.endswith(f"\n{last}\n") else new


def _document(text: str) -> tomlkit.TOMLDocument:
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise _not_editable(str(error)) from error
    if tomlkit.dumps(document) != text:
        raise _not_editable("its text does not come back from a parser as it was")
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


def _array(document: Any, path: Keys) -> str:
    """The text of the array that is there, or of an empty one."""
    table = _table(document, path[:-1])
    return str(table[path[-1]].as_string()) if path[-1] in table else "[]"


def _value(value: Any) -> Any:
    """`value` as an item of TOML, lists with an entry a line."""
    if isinstance(value, (list, tuple)):
        return tomlkit.value(extended("[]", [ArrayLine(value=item) for item in value], ()))
    return tomlkit.value(literal(value))


def _add_indexes(document: Any, indexes: Iterable[Values]) -> None:
    for index in indexes:
        uv = _table(document, UV)
        if isinstance(uv.get("index"), Array):
            there = uv["index"].as_string()
            uv["index"] = tomlkit.value(extended(there, [ArrayLine(value=index)], ()))
            continue
        table = tomlkit.table()
        table.comment(_NEW)
        table.update(index)
        if "index" not in uv:
            uv["index"] = tomlkit.aot()
        uv["index"].append(table)


_HEADER = re.compile(r"[ \t]*\[{1,2}[^\[\]{},]+\]{1,2}[ \t]*(?:#.*)?$")


def _spaced(text: str) -> str:
    """A blank line above and below every table that is new."""
    lines: list[str] = []
    is_new = False
    for line in text.splitlines(keepends=True):
        if not _HEADER.match(line):  # whose comments are the user's
            lines.append(line)
            continue
        was_new, is_new = is_new, line.rstrip().endswith(f"] # {_NEW}")
        if (is_new or was_new) and lines and lines[-1].strip():
            lines.append("\n")
        lines.append(line.replace(f" # {_NEW}", ""))
    return "".join(lines).rstrip("\n") + "\n" if is_new else "".join(lines)


# The proof: what the new text means is what the old one meant, and the additions.


def _expected(before: Values, additions: PyprojectEdits) -> dict[str, Any]:
    after = copy.deepcopy(dict(before))
    for path, lines in additions.arrays.items():
        _plain(after, path[:-1]).setdefault(path[-1], []).extend(line.value for line in lines)
    for path, value in additions.values.items():
        _plain(after, path[:-1])[path[-1]] = value
    if additions.indexes:
        _plain(after, UV).setdefault("index", []).extend(map(dict, additions.indexes))
    return after


def _plain(table: dict[str, Any], path: Keys) -> dict[str, Any]:
    for key in path:
        table = table.setdefault(key, {})
    return table


def _verified_edit(text: str, expected: Values) -> str:
    if _parsed(text) != _as_lists(expected):
        raise _not_editable("the edited file would not say what was meant")
    return text


def _as_lists(value: Any) -> Any:
    """Tuples as the lists that a TOML parser gives."""
    if isinstance(value, Mapping):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _parsed(text: str) -> dict[str, Any]:
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
