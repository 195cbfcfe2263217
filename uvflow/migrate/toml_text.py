"""TOML with its comments and lines: what is added is in the style of what is there. Pure.

The text of an author stays byte for byte; the only importer of tomlkit.
"""

import copy
import itertools
import json
import re
from collections.abc import Iterable, Mapping
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
    """What is to be added to a file: lines of arrays, values, tables; and what is `removed`.

    `tables` are appended to the array of tables at their path. A value may be a TomlLine. What is
    removed goes first, with its comments, and so does a table that has nothing left.
    """

    removed: list[Keys] = field(default_factory=list)
    arrays: dict[Keys, list[TomlLine]] = field(default_factory=dict)
    values: dict[Keys, Any] = field(default_factory=dict)
    tables: dict[Keys, list[Values]] = field(default_factory=dict)


_NEW = "\0"  # above new tables, before there is a blank line; no TOML has it


def apply_edits(text: str, edits: TomlEdits) -> str:
    """`text` with `edits`, verified to mean what it meant and these; unchanged without any.

    Raises UsageError where `text` is not TOML, or cannot be edited faithfully.
    """
    mark = schema.BYTE_ORDER_MARK
    if text.startswith(mark):
        return mark + apply_edits(text.removeprefix(mark), edits)
    before = without(schema.parse(text, MANIFEST), edits.removed)
    if not (edits.removed or edits.arrays or edits.values or edits.tables):
        return text
    newline = line_end(text)
    unix = _without_lines(text.replace(newline, "\n"), edits.removed)
    unix = unix if unix.endswith("\n") else f"{unix}\n"  # to append something
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
    return _verified_edit(new.replace("\n", newline), before, edits)


def without(values: Values, removed: Iterable[Keys]) -> dict[str, Any]:
    """`values` without what is at the paths `removed`, and without the tables this empties."""

    def remaining(table: Values, path: Keys) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in table.items():
            if (*path, key) in gone:
                continue
            is_around = any(keys[: len(path) + 1] == (*path, key) for keys in gone)
            new = remaining(value, (*path, key)) if is_around else value
            if new or new == value:
                kept[key] = new
        return kept

    gone = {*removed}
    return remaining(values, ())


def _without_lines(text: str, removed: Iterable[Keys]) -> str:
    """The same of the text: whole lines, and the blank ones above a header that goes."""
    gone = {*removed}
    if not gone:
        return text
    lines = text.split("\n")
    blocks: list[list[Statement]] = [[]]  # a header, and what stands below it
    file = TomlFile.parse(MANIFEST, text)
    left = without(file.values, gone)
    for statement in file.statements:
        blocks += [[]] if statement.is_header else []
        blocks[-1].append(statement)
    dropped: set[int] = set()
    for block in blocks:
        out, stays = [], False
        for s in block:
            is_out = any(s.path[:n] in gone for n in range(1, len(s.path) + 1))
            out += [s] if is_out else []
            stays |= not (is_out or s.is_header or s.is_tail)
        is_gone = bool(out) or (bool(block) and value_at(left, block[0].path) is None)
        if block and block[0].is_header and is_gone and not stays:
            out = block
        for s in out:
            dropped.update(range(s.first, s.end + 1))
            blank = s.first - 1
            while s.is_header and blank and not lines[blank - 1].strip():
                dropped.add(blank)
                blank -= 1
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
            table[key] = tomlkit.table(is_super_table=True if keys[:depth] == ("tool",) else None)
            table[key].trivia.indent = _NEW
        elif isinstance(table[key], Table) and table[key].is_super_table():
            table[key].trivia.indent = _NEW  # it gets a header of its own with its first value
        table = table[key]
    return table


def _set_value(document: Any, path: Keys, given: Any) -> None:
    """A list gets one entry per line."""
    line = given if isinstance(given, TomlLine) else TomlLine(value=given)
    table, value = _table(document, path[:-1]), line.value
    is_list = isinstance(value, (list, tuple))
    entries = [TomlLine(value=item) for item in value] if is_list else []
    text = extend_array("[]", entries) if is_list else literal(value)
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
    """In whichever of TOML's two forms the array has."""
    parent, key = _table(document, path[:-1]), path[-1]
    if isinstance(parent.get(key), Array):
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
    """`text`, if it means what the old one did, with the edits; raises UsageError otherwise."""
    after = copy.deepcopy(dict(before))
    for path, value in edits.values.items():
        plain = value.value if isinstance(value, TomlLine) else value
        _plain(after, path[:-1])[path[-1]] = plain
    lists = {p: [e.value for e in edits.arrays[p] if e.value is not None] for p in edits.arrays}
    for path, new in (lists | edits.tables).items():
        table = _plain(after, path[:-1])
        table[path[-1]] = [*table.get(path[-1], ()), *new]  # a list of the edits stays
    both = (schema.parse(text, MANIFEST), after)
    # With tuples as lists, and dates as text.
    written, meant = (json.dumps(values, sort_keys=True, default=repr) for values in both)
    if written != meant:
        raise _not_editable("the edited file would not mean what was intended")
    return text


def _plain(table: dict[str, Any], path: Keys) -> dict[str, Any]:
    for key in path:
        table = table.setdefault(key, {})
    return table


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
    """The text of an array with one more line for each of `lines`."""
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
    end, has_comma = 0, True  # of the last value, which comments may follow
    for match in TOKEN.finditer(inside):
        if not match[0].isspace() and not match[0].startswith("#"):
            end, has_comma = match.end(), match[0] == ","
    head = f"[{inside[:end]}{'' if has_comma else ','}{inside[end:]}".rstrip()
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
