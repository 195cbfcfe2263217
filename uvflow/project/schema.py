"""TOML, parsed and validated: the keys, types and values that a format has. Pure."""

import contextlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from uvflow.console import harmless
from uvflow.errors import UsageError

BYTE_ORDER_MARK = "\N{BOM}"  # at the start of a file, as uv reads it

_LINE = "one line of visible characters"
_NAMES = {bool: "true or false", dict: "a table", list: "a list", str: "a string"}


class OnlyKeys(dict[str, Any]):
    """The shape of a table in which any other key is an error, as in the tables of uvflow."""


class Rule(NamedTuple):
    """The shape of a value, by the keywords of JSON Schema that `_agrees` knows, and in words.

    A `pattern` has to match the whole text, which must be one line of visible characters.
    """

    wanted: str
    keywords: Mapping[str, Any]


_DEEPEST = 100  # levels of nesting; thousands exhaust Python's stack, or take tomllib seconds
_DEEP_KEY = (
    r"""(?:^|[\[{,])[ \t]*+(?:(?:[\w-]++|"[^"]*+"|'[^']*+')[ \t]*+\.[ \t]*+)"""
    rf"{{{_DEEPEST}}}"
)

# A bound on memory: tomllib may need 1 KiB for a table, and 0.2 KiB for a value. A lockfile of
# 12 MiB has half as many.
_MOST_VALUES = 1_000_000
# Strings, comments, braces, the ends of lines, and a comma at the end of an inline table.
_TOKENS = r"""(?xs)
    \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3} .*? '{3,5} | "(?:\\.|[^"\\\n])*+" | '[^'\n]*+'
    | \#[^\n]*+ | [{}] | \r?\n | ,(?=(?:\s|\#[^\n]*+)*+})
"""
_TABLES = r"\n[ \t]*+(?:\[[^=\n]*|[^.=\n]*\.[^=\n]*(?==))"  # headers, dotted keys


def parse(data: bytes | str, source: str) -> dict[str, Any]:
    """The TOML `data` of the file `source`; raises UsageError if it is not valid."""
    problem = f"more than {_DEEPEST} levels are nested"
    try:
        text = data if isinstance(data, str) else data.decode()
        text = text.removeprefix(BYTE_ORDER_MARK)
        if _value_count(text) > _MOST_VALUES:
            raise UsageError(f"{source} is too large", cause=f"more than {_MOST_VALUES:,} values")
        dotted = (line for line in text.split("\n") if line.count(".") >= _DEEPEST)
        if not any(re.search(_DEEP_KEY, line) for line in dotted):
            table = _loads(text)
            if not _is_deep(table):
                return table
    except RecursionError:
        pass
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"{error} (at line {line})"
    except ValueError as error:  # with line and column, but for an integer of too many digits
        problem = str(error)
    raise UsageError(f"{source} is not valid TOML", cause=problem)


def _loads(text: str) -> dict[str, Any]:
    """Inline tables over several lines are read as well, as by uv (TOML 1.1); raises ValueError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with contextlib.suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(_on_one_line(text))
        raise


def _on_one_line(text: str) -> str:
    """`text` with each inline table on one line, and without a comma at its end."""
    depth = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal depth
        found = match[0]
        depth += (found == "{") - (found == "}")
        return "" if depth > 0 and found[0] in "#,\r\n" else found

    return re.sub(_TOKENS, replaced, text)


def _value_count(text: str) -> int:
    """How many values or lines a text has; a table or a part of a dotted key counts as 8."""
    tables = sum(1 + match[0].count(".") for match in re.finditer(_TABLES, text))
    return max(text.count("\n"), sum(map(text.count, "=,[{")) + 8 * tables)


def _is_deep(table: dict[str, Any]) -> bool:
    level: list[Any] = [table]
    for _ in range(_DEEPEST):
        contents = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for items in contents for item in items if isinstance(item, (dict, list))]
    return bool(level)


def validate(value: Any, shape: Any, source: str, key: str = "") -> None:
    """Raises UsageError, with the file `source` and the key, for a value of another shape.

    A shape is a type, a tuple of alternative types, a Rule, a list with the shape of all items, or
    a table of shapes. In a table every key is optional, and "*" stands for every other key. Keys
    and texts must be one line of visible characters.
    """
    match shape:
        case Rule():
            _require(_agrees(value, shape.keywords), shape.wanted, value, source, key)
        case [each]:
            wanted = "a list of strings" if each is str else _NAMES[list]
            _require(isinstance(value, list), wanted, value, source, key)
            for number, item in enumerate(value):
                validate(item, each, source, f"{key}[{number}]")
        case Mapping():
            _require(isinstance(value, Mapping), _NAMES[dict], value, source, key)
            for name, item in value.items():
                path = f"{key}.{name}" if key else name
                _require(_is_line(name), f"{_LINE} as a key", name, source, key)
                if name in shape or "*" in shape:
                    validate(item, shape.get(name, shape.get("*")), source, path)
                elif isinstance(shape, OnlyKeys):
                    hint = suggestion(name, shape, "known keys")
                    raise UsageError(f"{source}: unknown key `{path}`", hint=hint)
        case _:
            types = shape if isinstance(shape, tuple) else (shape,)
            wanted = " or ".join(_NAMES[one] for one in types)
            _require(isinstance(value, types), wanted, value, source, key)
            parts = (*value, *value.values()) if isinstance(value, dict) else (value,)
            for text in value if isinstance(value, list) else parts:
                _require(_is_line(text), _LINE, text, source, key)


def _is_line(value: object) -> bool:
    """Whether a text is one line of visible characters; uv prints names and values unescaped."""
    return not isinstance(value, str) or harmless(value) == value


def _require(is_right: object, wanted: str, value: Any, source: str, key: str) -> None:
    if not is_right:
        place = f"{source}: `{key}`" if key else source
        raise UsageError(f"{place} must be {wanted}, not {value!r:.99}")


def _agrees(value: Any, keywords: Mapping[str, Any]) -> bool:
    match keywords:
        case {"anyOf": several}:
            return any(_agrees(value, one) for one in several)
        case {"enum": texts}:
            return isinstance(value, type(texts[0])) and value in texts
        case {"type": "integer", "minimum": low, "maximum": high}:
            return type(value) is int and low <= value <= high
        case {"type": "array", "items": each, **rest}:
            is_list = isinstance(value, list) and len(value) >= rest.get("minItems", 0)
            return is_list and all(_agrees(item, each) for item in value)
        case {"type": "object", "propertyNames": name, "additionalProperties": each}:
            return isinstance(value, Mapping) and all(
                _agrees(key, name) and _agrees(item, each) for key, item in value.items()
            )
        case {"type": "string", "pattern": pattern}:
            is_line = isinstance(value, str) and value.isprintable()
            return is_line and re.fullmatch(pattern, value) is not None
    return isinstance(value, str)


def suggestion(name: str, known: Iterable[str], what: str) -> str:
    """A hint for a `name` that is not in `known`; `what` is the plural for these."""
    import difflib  # 1 ms, and needed for a mistake only

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean `{close[0]}`?" if close else f"{what}: {', '.join(known)}"
