"""Versions as Poetry and others write them: caret, tilde, unions → PEP 440. Pure."""

import re

from packaging.specifiers import InvalidSpecifier, Specifier

_BOUND = re.compile(
    r"(?P<operator>\^|~(?!=))\s*v?(?P<version>(?P<epoch>\d+!)?(?P<release>\d+(?:\.\d+)*).*)"
)


def pep440_specifier(text: str) -> str:
    """The PEP 440 specifier of a constraint such as `^1.2, !=1.3`, "" for any version.

    Raises ValueError for what Poetry refuses as well.
    """
    if text.strip() in ("*", "x"):
        return ""
    clauses = [clause for part in text.split(",") for clause in _clauses(part.strip())]
    try:
        return ",".join(str(Specifier(clause)) for clause in clauses)
    except InvalidSpecifier as error:
        raise ValueError(text) from error


def _clauses(text: str) -> list[str]:
    match = _BOUND.fullmatch(text)
    if match:
        return [f">={match['version']}", f"<{_next(match)}"]
    is_plain = re.match(r"v?\d", text)
    return [f"=={text.removeprefix('v')}" if is_plain else text]


def _next(match: re.Match[str]) -> str:
    """The first version that is out: caret bumps the first number that is not 0."""
    numbers = [int(number) for number in match["release"].split(".")]
    if match["operator"] == "^":
        at = next((n for n, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        at = min(1, len(numbers) - 1)
    return ".".join(map(str, (*numbers[:at], numbers[at] + 1, *(0 for _ in numbers[at + 1 :]))))
