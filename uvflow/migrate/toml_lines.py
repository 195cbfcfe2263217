"""A TOML file with the line and the comments of each key."""

import functools
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from uvflow.findings import Origin
from uvflow.project import schema

Keys = tuple[str, ...]  # the path to a value
Path = tuple[str | int, ...]  # the same, with places in arrays


@dataclass(frozen=True, kw_only=True)
class TomlLine:
    """A line of an array or a table: its value, the comment after it, the comment lines above it.

    Without a value it is comment lines below the last value.
    """

    value: Any = None
    comment: str = ""
    above: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TomlEntry(TomlLine):
    """A key of a table, or the number of an item of an array, with its place."""

    key: str | int
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class TomlFile:
    """`values` are its parsed content; `path` is relative to the project root (POSIX)."""

    path: str
    text: str
    values: Mapping[str, Any]

    @classmethod
    def parse(
        cls, path: str, data: bytes | str, shape: Mapping[str, Any] | None = None
    ) -> "TomlFile":
        """Raises UsageError where `data` is not TOML, or has not this shape (project/schema.py)."""
        values = schema.parse(data, path)
        schema.validate(values, shape or {}, path)
        text = data if isinstance(data, str) else data.decode()
        text = text.removeprefix(schema.BYTE_ORDER_MARK).replace("\r\n", "\n")
        return cls(path=path, text=text, values=values)

    def value(self, *path: str | int) -> Any:
        return value_at(self.values, path)

    def entries(self, *path: str | int) -> tuple[TomlEntry, ...]:
        """The keys of the table at `path`, or the items of the array; empty for anything else."""
        match self.value(*path):
            case dict(table):
                return tuple(self.entry(*path, key) for key in table)
            case list(array):
                return tuple(self.entry(*path, number) for number in range(len(array)))
        return ()

    def entry(self, *path: str | int) -> TomlEntry:
        """The key or item at `path`, with its comments."""
        statement = self.statement(*path)
        return TomlEntry(
            key=path[-1],
            value=self.value(*path),
            origin=self.origin(*path),
            comment=statement.comment,
            above=statement.above,
        )

    def origin(self, *path: str | int) -> Origin:
        """The place of the first unit at `path`, or of its statement."""
        here = Origin(path=self.path, line=self.statement(*path).line)
        return next(iter(self.units(*path)), here)

    def statement(self, *path: str | int) -> "Statement":
        """The header or the key at `path`, or the nearest one around it."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, Statement(line=1, first=1))

    @property
    def comments(self) -> tuple[str, ...]:
        """All comments except those within the lines of a value."""
        own = (one for statement in self.statements for one in (statement, *statement.items))
        return tuple(text for one in own for text in (*one.above, one.comment) if text)

    def tail(self, *path: str | int) -> tuple[str, ...]:
        """The comment lines below the last item of an array, or key of a table with a header."""
        tails = [s.above for s in self.statements if s.is_tail and s.path == path]
        if isinstance(self.value(*path), list) and path in self._places:
            array = _split(self._places[path].text)[1]
            tails += [piece.above for piece in pieces_of(array[1:-1], ",") if not piece.text]
        return tuple(line for lines in tails for line in lines)

    def units(self, *path: str | int) -> dict[Origin, Path]:
        """The logical lines at `path`: each is a key, or an item on a line of its own.

        Of several keys on one line it is the first.
        """
        units: dict[Origin, Path] = {}
        statements = [s for s in self.statements if s.path[: len(path)] == path]
        around = self.statement(*path)
        if around.path and not around.is_header and path[: len(around.path)] == around.path:
            statements = [around]  # the key that `path` is, or is in
        for statement in statements:
            if statement.is_header or statement.is_tail:
                continue
            has_lines = len({item.line for item in statement.items}) > 1
            for one in statement.items if has_lines else (statement,):
                units.setdefault(Origin(path=self.path, line=one.line), one.path)
        return units

    @property
    def statements(self) -> tuple["Statement", ...]:
        return _statements(self.text)

    @functools.cached_property
    def _places(self) -> Mapping[Path, "Statement"]:
        """The statements by path; a table without a header has the one of its first key."""
        own = [statement for statement in reversed(self.statements) if not statement.is_tail]
        around = {s.path[:depth]: s for s in own for depth in range(1, len(s.path))}
        return around | {one.path: one for s in own for one in (s, *s.items)}


def value_at(values: Any, path: Path) -> Any:
    """The value at `path`, or None."""
    for key in path:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            return None
    return values


@dataclass(kw_only=True)
class Statement:
    """A header, a key with its value, an item of an array, or the comments at a table's end."""

    line: int
    first: int  # line, where its comments begin
    end: int = 0  # its last line
    text: str = ""
    comment: str = ""
    above: tuple[str, ...] = ()
    is_complete: bool = False
    path: Path = ()
    is_header: bool = False
    is_tail: bool = False
    items: tuple["Statement", ...] = ()


_BARE_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*")
_HEADER = re.compile(r"\[(?P<array>\[?)(?P<keys>.*?)\]+\s*", re.DOTALL)

# A token of TOML: a string (it has four kinds), a comment, white space, a word, or a character.
TOKEN = re.compile(
    r"""
      "{3} (?:\\.|[^\\])*? "{3,5} | '{3} .*? '{3,5}
    | " (?:\\.|[^"\\])* " | ' [^']* '
    | \# [^\n]* | \s+ | \w+ | .
    """,
    re.DOTALL | re.VERBOSE,
)


_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}


def pieces_of(text: str, end: str, line: int = 1) -> list[Statement]:
    """Cut `text`, which begins in `line`, at each `end` outside of brackets.

    The comments belong to the piece they stand above or behind; a blank line below comments sets
    them apart from what follows.
    """
    pieces: list[Statement] = []
    depth = 0
    for token in TOKEN.findall(text):
        last = pieces[-1] if pieces else Statement(line=line, first=line, is_complete=True)
        depth += _DEEPER.get(token, 0)
        lines = token.count("\n")
        is_comment = depth == 0 and token.startswith("#")
        if depth == 0 and (token == end or (token.isspace() and end in token)):
            if last.text or lines > 1:
                last.is_complete = True
        elif token.isspace():
            if last.text:
                last.text += token
        elif is_comment and last.text and last.end == line:
            last.comment = token.rstrip()
        else:
            if last.is_complete:
                last = Statement(line=line, first=line)
                pieces.append(last)
            if not last.text:
                last.line = line
            last.end = line + lines
            if is_comment:
                last.above += (token.rstrip(),)
            else:
                last.text += token
        line += lines
    return pieces


@functools.lru_cache(maxsize=4)  # a file is read, then edited, then compared
def _statements(text: str) -> tuple[Statement, ...]:
    return tuple(_read_statements(text))


def _read_statements(text: str) -> Iterator[Statement]:
    table: Path = ()
    arrays = Counter[Path]()
    apart: list[Statement] = []  # comments that belong to the next key, or end the table
    for piece in pieces_of(text, "\n"):
        header = _HEADER.fullmatch(piece.text)
        if header:
            yield from (replace(comments, path=table, is_tail=True) for comments in apart)
            keys = _keys(header["keys"])
            if header["array"]:
                arrays[(*_numbered(keys[:-1], arrays), keys[-1])] += 1
            table = _numbered(keys, arrays)
            yield replace(piece, path=table, is_header=True)
        elif piece.text:
            name, value = _split(piece.text)
            for comments in reversed(apart):
                piece.first, piece.above = comments.first, comments.above + piece.above
            path, line = (*table, *_keys(name)), piece.end - value.count("\n")
            items = pieces_of(value[1:-1], ",", line) if value.startswith("[") else ()
            numbered = enumerate(item for item in items if item.text)
            numbered_items = (replace(item, path=(*path, number)) for number, item in numbered)
            yield replace(piece, path=path, items=tuple(numbered_items))
        apart = [] if piece.text else [*apart, piece]
    yield from (replace(comments, path=table, is_tail=True) for comments in apart)


def _split(text: str) -> tuple[str, str]:
    """A key and its value: the first `=` that is in no string."""
    tokens = TOKEN.findall(text)
    at = tokens.index("=")
    return "".join(tokens[:at]), "".join(tokens[at + 1 :]).strip()


def _keys(text: str) -> Keys:
    """The keys of `a."b.c".d`."""
    bare = _BARE_KEY.fullmatch(text)  # as most are
    if bare:
        return (bare[1],)
    table: Any = tomllib.loads(f"{text} = 0") if text else 0
    keys: Keys = ()
    while isinstance(table, dict):
        ((key, table),) = table.items()
        keys = (*keys, key)
    return keys


def _numbered(keys: Keys, arrays: Mapping[Path, int]) -> Path:
    """`keys` with the place of the last table of each array of tables."""
    path: Path = ()
    for key in keys:
        path = (*path, key)
        if arrays.get(path):
            path = (*path, arrays[path] - 1)
    return path
