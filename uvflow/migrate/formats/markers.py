"""Markers (PEP 508) put together as trees, so that an `or` gets its parentheses. Pure."""

import functools
import operator
import re
from collections.abc import Callable, Iterable

from packaging.markers import Marker

from uvflow.migrate.formats.versions import Clauses, python_parts

_PYTHON = re.compile(r"(?P<operator>[=!<>~]=|[<>])(?P<version>\d+(?:\.\d+)*)(?P<all>\.\*)?")


def all_of(*markers: str) -> str:
    """Where each of `markers` holds, "" for everywhere; raises ValueError for what is not one."""
    return _joined(markers, operator.and_)


def _joined(markers: Iterable[str], join: Callable[[Marker, Marker], Marker]) -> str:
    given = [Marker(marker) for marker in markers if marker]
    if not given:
        return ""
    text = str(functools.reduce(join, given))
    return text if "'" in text else text.replace('"', "'")


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
    match = _PYTHON.fullmatch(clause)
    if match is None:
        raise ValueError(clause)
    numbers, compared = match["version"].split("."), match["operator"]
    version, is_minor = match["version"], len(numbers) <= 2  # noqa: PLR2004  major and minor
    after = ".".join((*numbers[:-1], str(int(numbers[-1]) + 1)))
    if match["all"] and is_minor:
        if compared == "!=":
            return f"python_version < '{version}' or python_version >= '{after}'"
        if len(numbers) == 1:
            return f"python_version >= '{version}' and python_version < '{after}'"
        return f"python_version == '{version}'"
    if is_minor and compared in (">=", "<"):
        return f"python_version {compared} '{version}'"
    full = ".".join((*numbers, "0")) if is_minor else version
    return f"python_full_version {compared} '{full}{match['all'] or ''}'"


def platform_marker(text: str) -> str:
    """The marker of platforms such as `linux|darwin` or `!=win32`."""
    words = (re.fullmatch(r"\s*([=!]=)?\s*(\S+)\s*", word) for word in re.split(r"\|\|?", text))
    markers = [f"sys_platform {word[1] or '=='} '{word[2]}'" for word in words if word]
    return "" if text.strip() == "*" else _joined(markers, operator.or_)
