"""Versions as Poetry and others write them: caret, tilde, unions → PEP 440. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_version
from packaging.version import Version

Clauses = tuple[str, ...]  # of PEP 440, all of which hold

_CLAUSE = re.compile(r"(?P<operator>\^|~=?|[=!<>]=|[=<>])?\s*v?(?P<version>\d[^\s,]*)[\s,]*")
_EXACT = re.compile(r"==[\d.]+")
_MOST_EXCLUDED = 20  # versions between the parts of a union
_LOWEST = Version("0.dev0")


class Constraint(NamedTuple):
    """The PEP 440 specifier of a constraint, "" for any version.

    `dropped` are the parts of a union that it does not admit.
    """

    specifier: str
    dropped: tuple[str, ...] = ()


def read_constraint(text: str, locked: Iterable[str] = ()) -> Constraint:
    """A constraint such as `^1.2, !=1.3`; of a union that PEP 440 cannot say, one part.

    That is the one with a `locked` version, or else the highest. Raises ValueError for what Poetry
    refuses as well.
    """
    return _union([_clauses(part) for part in _parts(text)], locked)


def read_python(text: str) -> Constraint:
    """The same for Pythons: `3.9` stands for all of its patch releases, Python 2 is dropped."""
    parts = python_parts(text)
    old = [part for part in parts if part and SpecifierSet(",".join(part)).contains("2.7")]
    new = [part for part in parts if part not in old]
    constraint = _union(new or parts)
    dropped = map(",".join, old if new else ())
    return constraint._replace(dropped=(*constraint.dropped, *dropped))


def python_parts(text: str) -> list[Clauses]:
    """The parts of a union of Pythons."""
    return [
        tuple(f"{c}.*" if re.fullmatch(r"==\d+(\.\d+)?", c) else c for c in _clauses(part))
        for part in _parts(text)
    ]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\|\|?", text)]


def _clauses(text: str) -> Clauses:
    if text in ("*", "x"):
        return ()
    clauses: list[str] = []
    at = 0
    while at < len(text) or not clauses:
        match = _CLAUSE.match(text, at)
        if match is None:
            raise ValueError(text)
        operator, version = match["operator"] or "=", match["version"]
        if operator in ("^", "~"):
            first = Version(version)
            clauses += [f">={first}", f"<{_bumped(first, is_caret=operator == '^')}"]
        else:
            plain = version if version.endswith(".*") else Version(version)
            clauses.append(str(Specifier(f"{'==' if operator == '=' else operator}{plain}")))
        at = match.end()
    return tuple(clauses)


def _bumped(version: Version, *, is_caret: bool) -> Version:
    """The first version that is out: caret bumps the first number that is not 0, tilde the minor.

    The number of components stays.
    """
    numbers = version.release
    at = min(1, len(numbers) - 1)
    if is_caret:
        at = next((n for n, number in enumerate(numbers) if number), len(numbers) - 1)
    return _with_release(version, (*numbers[:at], numbers[at] + 1, *(0 for _ in numbers[at + 1 :])))


def _with_release(version: Version, numbers: Iterable[int]) -> Version:
    epoch = f"{version.epoch}!" if version.epoch else ""
    return Version(f"{epoch}{'.'.join(map(str, numbers))}")


def _union(parts: list[Clauses], locked: Iterable[str] = ()) -> Constraint:
    if len(parts) == 1 or () in parts:
        return Constraint(specifier=",".join(() if () in parts else parts[0]))
    try:
        return Constraint(specifier=",".join(_hull(parts)))
    except ValueError:
        parts = sorted(parts, key=lambda part: min(map(_version, part)))
        texts = [*locked]
        fitting = (p for p in parts if any(SpecifierSet(",".join(p)).filter(texts, True)))
        chosen = next(fitting, parts[-1])
        dropped = (part for part in parts if part is not chosen)
        return Constraint(specifier=",".join(chosen), dropped=tuple(map(",".join, dropped)))


def _version(clause: str) -> Version:
    return Version(Specifier(clause).version.removesuffix(".*"))


def _range(clauses: Clauses) -> tuple[Version, Version | None]:
    """The first version, and the first one behind; ValueError for what has other ends."""
    lower, upper = _LOWEST, None
    for clause in clauses:
        version = _version(clause)
        if clause.startswith(">="):
            lower = version
        elif clause.startswith("<") and "=" not in clause:
            upper = version
        elif clause.startswith("==") and clause.endswith(".*"):
            *head, last = version.release
            lower, upper = version, _with_release(version, (*head, last + 1))
        else:
            raise ValueError(clause)
    return lower, upper


def _hull(parts: list[Clauses]) -> Clauses:
    """All from the first part to the last, less what is between them.

    An exact version may be the last, or all of them are. Raises ValueError where PEP 440 cannot
    say that.
    """
    parts = sorted(dict.fromkeys(parts), key=lambda part: min(map(_version, part)))
    numbers = {part[0].count(".") if _EXACT.fullmatch(",".join(part)) else -1 for part in parts}
    if len(numbers) == 1 and min(numbers) > 0:
        parts = [*((f"{clause}.*",) for (clause,) in parts[:-1]), parts[-1]]
    last = _version(parts[-1][0]) if _EXACT.fullmatch(",".join(parts[-1])) else None
    ranges = [*map(_range, parts[:-1] if last else parts), *([(last, last)] if last else [])]
    (first, end), *others = sorted(ranges, key=lambda versions: versions[0])
    excluded: list[str] = []
    for start, further in others:
        if end is None:
            break
        if start > end:
            excluded += _between(end, start)
        end = max(end, further) if further else None
    lower = (f">={first}",) if first != _LOWEST else ()
    upper = f"<{'=' if end == last else ''}{end}"
    return (*lower, *((upper,) if end else ()), *excluded)


def _between(end: Version, start: Version) -> list[str]:
    """A gap as whole prefixes of one level: from 1.5 to 1.7, but not from 1.5 to 2.1."""
    both = [Version(canonicalize_version(version)) for version in (end, start)]  # no zeros behind
    length = max(len(version.release) for version in both)
    (*head, first), (*other, last) = (
        (*version.release, *(0,) * length)[:length] for version in both
    )
    is_odd = end.is_prerelease or start.is_prerelease or end.epoch != start.epoch
    if is_odd or head != other or last - first > _MOST_EXCLUDED:
        raise ValueError(f"{end}, {start}")
    return [f"!={_with_release(end, (*head, number))}.*" for number in range(first, last)]
