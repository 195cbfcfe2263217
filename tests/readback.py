"""What BuildKit reads out of a Dockerfile's words, written anew from its parser's documented rules.

Small, and kept apart from the parser of uvflow: it is here to disagree.
"""

import csv
import re


def lines(text: str) -> list[str]:
    """Instructions, each on one line: a backslash at a line's end goes on, comments are dropped."""
    kept = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", "", "\n".join(kept))
    return [line.strip() for line in joined.split("\n") if line.strip()]


def value(quoted: str) -> str:
    """A word of ENV: quotes are taken off, in double quotes a backslash escapes \\ " and $."""
    found, position, inside = "", 0, False
    while position < len(quoted):
        char = quoted[position]
        if char == '"':
            inside = not inside
        elif char == "\\" and (not inside or quoted[position + 1] in '\\"$'):
            position += 1
            found += quoted[position]
        else:
            assert char not in "$'" or (inside and char == "'"), "expands, or opens a quote"
            found += char
        position += 1
    assert not inside
    return found


def mount(flag: str) -> dict[str, str | None]:
    """A `--mount=…`: unescape the flag, split the fields of CSV, then each value as a word."""
    assert flag.startswith("--mount=")
    raw = re.sub(r"\\(.)", r"\1", flag.removeprefix("--mount="))
    assert not re.search(r"(?<!\\) ", flag), "a blank ends the flag"
    fields = (field.partition("=") for field in next(csv.reader([raw])))
    return {key: value(text) if is_pair else None for key, is_pair, text in fields}
