"""A plan into the text of a pyproject.toml: what its author wrote stays, to the byte. Pure."""

import copy
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, Table

from uvflow.additions import UV, Additions, Keys, Values, decide
from uvflow.arrays import Line, extended, literal
from uvflow.errors import UsageError
from uvflow.imports.model import Finding, Import, Pin, Requirement


@dataclass(frozen=True, kw_only=True)
class Edited:
    """What became of the text.

    `there` are requirements that the file had already. `pins` are exact versions that stayed out of
    it, since the file already says which versions it takes: the lockfile is where they belong.
    """

    text: str
    there: tuple[Requirement, ...] = ()
    pins: tuple[Pin, ...] = ()
    findings: tuple[Finding, ...] = ()


def edited(text: str, imported: Import) -> Edited:
    """`text` with everything in it that `imported` asks for and that is not there yet.

    Order, comments, indentation and line ends of what is there survive; where nothing is missing,
    the text is returned as it came. Every requirement has to have its name. Raises UsageError where
    `text` is no TOML, or is written in a way that cannot be edited faithfully.
    """
    before = _parsed(text)
    additions = decide(before, imported)
    return Edited(
        text=_proved(_applied(text, additions), _expected(before, additions)),
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
        return edited(text, Import(requires_python=requires_python)).text
    newline = _newline(text)
    document: Any = _document(_with_newlines(text, newline))
    document["project"]["requires-python"] = requires_python
    expected["project"]["requires-python"] = requires_python
    new = _as_ended(tomlkit.dumps(document), text).replace("\n", newline)
    return _proved(new, expected)


# The change, carried out on the text.

# A mark on the headers of tables that are new, gone before anybody sees it.
_NEW = "new, by uvflow, for a moment"

# What stands for an array until all else is done: tomlkit takes long to read a long one.
_STAND_IN = "an array, by uvflow, for a moment: "


def _applied(text: str, additions: Additions) -> str:
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
        return tomlkit.value(extended("[]", [Line(value=item) for item in value], ()))
    return tomlkit.value(literal(value))


def _add_indexes(document: Any, indexes: Iterable[Values]) -> None:
    for index in indexes:
        uv = _table(document, UV)
        if isinstance(uv.get("index"), Array):
            there = uv["index"].as_string()
            uv["index"] = tomlkit.value(extended(there, [Line(value=index)], ()))
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


def _expected(before: Values, additions: Additions) -> dict[str, Any]:
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


def _proved(text: str, expected: Values) -> str:
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
