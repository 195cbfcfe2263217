"""Markers (PEP 508) put together as trees, so that an `or` gets its parentheses. Pure."""

import functools
import operator
import re
from collections.abc import Callable, Iterable

from packaging.markers import Marker
from packaging.specifiers import Specifier

from uvflow.migrate.formats.versions import Clauses, python_parts

_ALL = 3  # numbers of a Python's version


def all_of(*markers: str) -> str:
    """Where each of `markers` holds, "" for everywhere; raises ValueError for what is not one."""
    return _joined(markers, operator.and_)


def _joined(markers: Iterable[str], join: Callable[[Marker, Marker], Marker]) -> str:
    try:
        given = [Marker(marker) for marker in markers if marker]
    except RecursionError as error:
        raise ValueError("a marker is nested too deeply") from error
    if not given:
        return ""
    text = str(functools.reduce(join, given))
    return text if "'" in text else text.replace('"', "'")


@functools.cache  # many dependencies have the same
def python_marker(text: str) -> str:
    """The marker of a constraint of Pythons, such as `^3.9 || ~3.7`."""
    parts = python_parts(text)
    if () in parts:
        return ""
    return _joined((_of_part(part) for part in parts), operator.or_)


def _of_part(clauses: Clauses) -> str:
    ends = re.fullmatch(r">=(\d+)\.(\d+) <(\d+)\.(\d+)", " ".join(clauses))
    if ends and (ends[1], int(ends[2]) + 1) == (ends[3], int(ends[4])):
        clauses = (f"=={ends[1]}.{ends[2]}.*",)
    return all_of(*map(_of_clause, clauses))


def _of_clause(clause: str) -> str:
    """`python_version` has two numbers; Poetry compares with all three."""
    one = Specifier(clause)
    numbers = one.version.count(".") + 1
    if one.operator in (">=", "<") and numbers < _ALL:
        return f"python_version {one.operator} '{one.version}'"
    if one.operator == "==" and numbers == _ALL and one.version.endswith(".*"):
        return f"python_version == '{one.version.removesuffix('.*')}'"
    if one.operator == "!=" and numbers == _ALL and one.version.endswith(".*"):
        major, minor, _ = one.version.split(".")
        return f"python_version < '{major}.{minor}' or python_version >= '{major}.{int(minor) + 1}'"
    is_minor = numbers < _ALL and not one.version.endswith("*")
    return f"python_full_version {one.operator} '{one.version}{'.0' if is_minor else ''}'"


def platform_marker(text: str) -> str:
    """The marker of platforms such as `linux|darwin` or `!=win32`."""
    words = (re.fullmatch(r"\s*([=!]=)?\s*(\S+)\s*", word) for word in re.split(r"\|\|?", text))
    markers = [f"sys_platform {word[1] or '=='} '{word[2]}'" for word in words if word]
    return "" if text.strip() == "*" else _joined(markers, operator.or_)
