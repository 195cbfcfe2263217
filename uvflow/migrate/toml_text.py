"""Edits of a TOML file that keep its text byte for byte, and are in its style.

The only importer of tomlkit.
"""

import copy
import functools
import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, Comment, InlineTable, Integer, Table, Trivia

from uvflow.errors import UsageError
from uvflow.migrate.toml_lines import (
    TOKEN,
    Keys,
    Statement,
    TomlFile,
    TomlLine,
    pieces_of,
    value_at,
)
from uvflow.paths import MANIFEST
from uvflow.project import schema

Values = Mapping[str, Any]  # a parsed table


@dataclass(frozen=True, kw_only=True)
class TomlEdits:
    """What to add to a file: lines of arrays, values, tables; and what to remove before.

    `tables` are appended to the array of tables at their path. A value may be a TomlLine. The paths
    in `removed` go with their comments, and so does a table that has nothing left.
    """

    removed: list[Keys] = field(default_factory=list)
    arrays: dict[Keys, list[TomlLine]] = field(default_factory=dict)
    values: dict[Keys, Any] = field(default_factory=dict)
    tables: dict[Keys, list[Values]] = field(default_factory=dict)


@functools.lru_cache(maxsize=2)  # a long file takes a while, and is verified before it is used
def parsed(text: str) -> Values:
    """The values of the pyproject.toml `text`; raises UsageError where it is not TOML."""
    return schema.parse(text, MANIFEST)


_NEW = "\0"  # marks new tables, which get a blank line above; no TOML has this character


def apply_edits(text: str, edits: TomlEdits) -> str:
    """`text` with `edits`, verified by its values; unchanged without any.

    Raises UsageError where `text` is not TOML, or cannot be edited faithfully.
    """
    mark = schema.BYTE_ORDER_MARK
    if text.startswith(mark):
        return mark + apply_edits(text.removeprefix(mark), edits)
    before = without(parsed(text), edits.removed)
    if not (edits.removed or edits.arrays or edits.values or edits.tables):
        return text
    return _verified_edit(_edited(text, edits), before, edits)


def _edited(text: str, edits: TomlEdits) -> str:
    newline = line_end(text)
    unix = _without_lines(text.replace(newline, "\n"), edits.removed)
    if not unix.endswith("\n"):  # to append something
        unix += "\n"
    try:
        document: Any = tomlkit.parse(unix)
    except TOMLKitError as error:
        raise _not_editable(str(error)) from error
    if tomlkit.dumps(document) != unix:
        raise _not_editable("a parser does not give its text back unchanged")
    # The metadata of a project stands above its lists, settings below them.
    ahead = [path for path in edits.values if path[0] == "project"]
    for path in ahead:
        _set_value(document, path, edits.values[path])
    for path, lines in edits.arrays.items():
        _extend(document, path, lines)
    for path in (path for path in edits.values if path not in ahead):
        _set_value(document, path, edits.values[path])
    for path, tables in edits.tables.items():
        _append_tables(document, path, tables)
    new = _space_tables(tomlkit.dumps(document))
    last = text.rpartition("\n")[2]
    if last and new.endswith(f"\n{last}\n"):  # it had no newline, and is still the last line
        new = new.removesuffix("\n")
    return new.replace("\n", newline)


def without(values: Values, removed: Collection[Keys]) -> dict[str, Any]:
    """`values` without the paths `removed`, and without the tables that have nothing left."""
    left = dict(values)
    for key in values:
        below = [path[1:] for path in removed if path[:1] == (key,)]
        if () in below:
            del left[key]
        elif below:
            left[key] = without(values[key], below)
            if values[key] and not left[key]:
                del left[key]
    return left


def _without_lines(text: str, removed: Collection[Keys]) -> str:
    """`text` without the lines of the paths `removed`, and the blank ones above their headers."""
    if not removed:
        return text

    def is_gone(statement: Statement) -> bool:
        return any(statement.path[: len(path)] == path for path in removed)

    file = TomlFile.parse(MANIFEST, text)
    left = without(file.values, removed)
    tables: list[list[Statement]] = [[]]  # each a header, and what stands below it
    for statement in file.statements:
        if statement.is_header:
            tables.append([])
        tables[-1].append(statement)
    lines = text.split("\n")
    dropped: set[int] = set()  # their numbers
    for table in tables:
        gone = [s for s in table if is_gone(s)]
        is_empty = all(is_gone(s) or s.is_header or s.is_tail for s in table)
        header = table[0] if table and table[0].is_header else None
        if header and is_empty and (gone or value_at(left, header.path) is None):
            gone = table
        for statement in gone:
            first = statement.first
            while statement.is_header and first > 1 and not lines[first - 2].strip():
                first -= 1
            dropped.update(range(first, statement.end + 1))
    kept = (line for number, line in enumerate(lines, 1) if number not in dropped)
    return "\n".join(kept).lstrip("\n")


def line_end(text: str) -> str:
    """CRLF where every line of `text` ends with it; a file with both keeps both."""
    return "\r\n" if text.count("\r\n") == text.count("\n") > 0 else "\n"


def _table(document: Any, keys: Keys) -> Any:
    table = document
    for depth, key in enumerate(keys, 1):
        if isinstance(table, InlineTable):
            raise _not_editable(f"`{'.'.join(keys[: depth - 1])}` is written on one line")
        if key not in table:
            is_super_table = True if keys[:depth] == ("tool",) else None  # it has no header then
            table[key] = tomlkit.table(is_super_table=is_super_table)
            table[key].trivia.indent = _NEW
        elif isinstance(table[key], Table) and table[key].is_super_table():
            table[key].trivia.indent = _NEW  # it gets a header of its own with its first value
        table = table[key]
    return table


def _set_value(document: Any, path: Keys, given: Any) -> None:
    line = given if isinstance(given, TomlLine) else TomlLine(value=given)
    table = _table(document, path[:-1])
    if isinstance(line.value, (list, tuple)):
        text = extend_array("[]", [TomlLine(value=item) for item in line.value])
    else:
        text = literal(line.value)
    for comment in line.above:
        table.add(Comment(Trivia(comment=_comment(comment))))
    table[path[-1]] = _as_written(text, _comment(line.comment))


def _extend(document: Any, path: Keys, lines: Iterable[TomlLine]) -> None:
    table, key = _table(document, path[:-1]), path[-1]
    array = str(table[key].as_string()) if key in table else "[]"
    table[key] = _as_written(extend_array(array, lines))


def _as_written(text: str, comment: str = "") -> Integer:
    """An item with any `text`, which is not parsed: tomlkit is slow at long arrays."""
    return Integer(0, Trivia(comment_ws="  " if comment else "", comment=comment), text)


def _append_tables(document: Any, path: Keys, tables: Iterable[Values]) -> None:
    parent, key = _table(document, path[:-1]), path[-1]
    if isinstance(parent.get(key), Array):  # of inline tables
        _extend(document, path, [TomlLine(value=values) for values in tables])
        return
    for values in tables:
        table = tomlkit.table()
        table.trivia.indent = _NEW
        table.update(values)
        if key not in parent:
            parent[key] = tomlkit.aot()
        parent[key].append(table)


# What begins with a header, at the beginning of a line.
_TABLE = re.compile(
    rf"^(?={_NEW}?[ \t]*\[{{1,2}}[^\[\]{{}},\n]+\]{{1,2}}[ \t]*(?:#.*)?$)", re.MULTILINE
)


def _space_tables(text: str) -> str:
    """A blank line above and below every new table."""
    spaced = []
    for table, below in itertools.pairwise((*_TABLE.split(text), "")):
        is_close = table[len(table.rstrip()) :].count("\n") == 1
        is_new = _NEW in (table[:1], below[:1])
        spaced.append(f"{table}\n" if is_new and is_close and below else table)
    return "".join(spaced).replace(_NEW, "")


def _verified_edit(text: str, before: Values, edits: TomlEdits) -> str:
    """`text`, if its values are those of `before` and the edits; raises UsageError otherwise."""
    after = copy.deepcopy(dict(before))

    def parent(path: Keys) -> dict[str, Any]:
        table = after
        for key in path[:-1]:
            table = table.setdefault(key, {})
        return table

    for path, value in edits.values.items():
        parent(path)[path[-1]] = value.value if isinstance(value, TomlLine) else value
    lists: dict[Keys, list[Any]] = dict(edits.tables)
    for path, lines in edits.arrays.items():
        lists[path] = [line.value for line in lines if line.value is not None]
    for path, new in lists.items():
        parent(path)[path[-1]] = [*parent(path).get(path[-1], ()), *new]
    if _comparable(parsed(text)) != _comparable(after):
        raise _not_editable("the edited file would not mean what was intended")
    return text


def _comparable(values: Values) -> str:
    return json.dumps(values, sort_keys=True, default=repr)  # tuples as lists, dates as text


def lenient_values(text: str) -> dict[str, Any]:
    """The values of a TOML file; nothing where it is not one."""
    try:
        return schema.parse(text, "")
    except UsageError:
        return {}


def _not_editable(cause: str) -> UsageError:
    return UsageError(
        "pyproject.toml cannot be edited without changing what its author wrote",
        cause=cause,
        hint="write its tables as [project], [dependency-groups] and [tool.uv], then try again",
    )


# A key that needs no quotes (TOML 1.0, "Keys").
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def extend_array(array: str, lines: Iterable[TomlLine]) -> str:
    """The text of `array` with one more line for each of `lines`."""
    indent, closing, head = _split(array)
    added: list[str] = []
    for line in lines:
        added += map(_comment, line.above)
        if line.value is not None:
            added.append(f"{literal(line.value)}, {_comment(line.comment)}".rstrip())
    if not added:
        return array
    return "\n".join((head, *(f"{indent}{text}" for text in added), f"{closing}]"))


def _split(array: str) -> tuple[str, str, str]:
    """An array's indentation, that of its closing bracket, and its text above that bracket."""
    inside = array[1:-1]
    if "\n" not in inside:
        entries = (piece.text.rstrip() for piece in pieces_of(inside, ","))
        return "    ", "", "[" + "".join(f"\n    {entry}," for entry in entries)
    first = re.search(r"\n([ \t]*)[^\s#]", inside) or re.search(r"\n([ \t]*)#", inside)
    closing = re.search(r"\n([ \t]*)\Z", inside)
    end, comma = 0, ""  # of the last value, which comments may follow
    for match in TOKEN.finditer(inside):
        if not match[0].isspace() and not match[0].startswith("#"):
            end, comma = match.end(), "" if match[0] == "," else ","
    head = f"[{inside[:end]}{comma}{inside[end:]}".rstrip()
    return first[1] if first else "    ", closing[1] if closing else "", head


def _comment(text: str) -> str:
    """TOML 1.0 allows no control characters except tab in a comment."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", text).rstrip()


def literal(value: Any) -> str:
    """`value` as TOML on one line, in the style of uv's own edits."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case dict():
            keys = (key if _BARE_KEY.fullmatch(key) else _string(key) for key in value)
            pairs = zip(keys, map(literal, value.values()), strict=True)
            return f"{{ {', '.join(f'{key} = {item}' for key, item in pairs)} }}"
        case list() | tuple():
            return f"[{', '.join(map(literal, value))}]"
        case _:
            return str(value)


def _string(text: str) -> str:
    """A literal string where that avoids escapes, else a basic one, whose escapes are JSON's."""
    if '"' in text and not re.search(r"['\x00-\x1f\x7f]", text):
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
