"""Arrays of TOML as text: entries are added in the array's own style, and comments kept. Pure."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# A key that needs no quotes (TOML 1.0, "Keys").
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class ArrayLine:
    """A line of an array: its value, the comment after it, the comment lines above it."""

    value: Any
    comment: str = ""
    above: tuple[str, ...] = ()


# A token of an array: a string (TOML has four kinds), a comment, white space, or a character.
_TOKEN = re.compile(
    r"""
      "{3} (?:\\.|[^\\])*? "{3,5} | '{3} .*? '{3,5}
    | " (?:\\.|[^"\\])* " | ' [^']* '
    | \# [^\n]* | \s+ | .
    """,
    re.DOTALL | re.VERBOSE,
)


def extend_array(array: str, lines: Iterable[ArrayLine], tail: tuple[str, ...]) -> str:
    """The text of an array with one more line for each of `lines`, and `tail` below them."""
    indent, closing, head = _split(array)
    added: list[str] = []
    for line in lines:
        added += map(_comment, line.above)
        added.append(f"{literal(line.value)}, {_comment(line.comment)}".rstrip())
    added += map(_comment, tail)
    if not added:
        return array
    return "\n".join((head, *(f"{indent}{text}" for text in added), f"{closing}]"))


def _split(array: str) -> tuple[str, str, str]:
    """An array's indentation, that of its closing bracket, and its text above that bracket."""
    inside = array[1:-1]
    if "\n" not in inside:
        return "    ", "", "[" + "".join(f"\n    {entry}," for entry in _entries(inside))
    first = re.search(r"\n([ \t]*)[^\s#]", inside) or re.search(r"\n([ \t]*)#", inside)
    closing = re.search(r"\n([ \t]*)\Z", inside)
    end, has_comma = 0, True  # of the last value, which comments may follow
    for match in _TOKEN.finditer(inside):
        if not match[0].isspace() and not match[0].startswith("#"):
            end, has_comma = match.end(), match[0] == ","
    head = f"[{inside[:end]}{'' if has_comma else ','}{inside[end:]}".rstrip()
    return first[1] if first else "    ", closing[1] if closing else "", head


def _entries(inside: str) -> Iterator[str]:
    """The entries of an array that is on one line."""
    entry, depth = "", 0
    for match in _TOKEN.finditer(inside):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        if match[0] == "," and depth == 0:
            yield entry.strip()
            entry = ""
        else:
            entry += match[0]
    if entry.strip():
        yield entry.strip()


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
