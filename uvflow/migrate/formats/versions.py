"""Version constraints as Poetry has them, with caret, tilde and unions → PEP 440. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_version
from packaging.version import Version

Clauses = tuple[str, ...]  # of PEP 440, joined by "and"

_CLAUSE = re.compile(r"(?P<operator>\^|~=?|[=!<>]=|[=<>])?\s*v?(?P<version>\d[^\s,]*)[\s,]*")
_EXACT = re.compile(r"==[\d.]+")
_MAX_EXCLUDED = 20  # versions between two parts of a union
_LOWEST = Version("0.dev0")


class Constraint(NamedTuple):
    """A PEP 440 specifier, "" for any version, and the parts of a union that it excludes."""

    specifier: str
    dropped: tuple[str, ...] = ()


def read_constraint(text: str, locked: Iterable[str] = ()) -> Constraint:
    """Translate `text`, such as `^1.2, !=1.3 || ^2`; raises ValueError where Poetry refuses it.

    Of a union without an equivalent it takes the part with a `locked` version, or the highest.
    """
    return _union([_clauses(part) for part in _parts(text)], locked)


def read_python(text: str) -> Constraint:
    """The same for Pythons: `3.9` includes its patch releases, Python 2 is dropped."""
    parts = python_parts(text)
    old = [part for part in parts if part and SpecifierSet(",".join(part)).contains("2.7")]
    new = [part for part in parts if part not in old]
    if not new:
        return _union(parts)
    constraint = _union(new)
    return constraint._replace(dropped=(*constraint.dropped, *map(",".join, old)))


def python_parts(text: str) -> list[Clauses]:
    """The parts of a union of Pythons, `3.9` as `==3.9.*`."""
    return [
        tuple(re.sub(r"^(==\d+(\.\d+)?)$", r"\1.*", clause) for clause in _clauses(part))
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
    """The next version after a bump of the first number that is not 0 (caret), or of the minor."""
    numbers = version.release
    place = min(1, len(numbers) - 1)
    if is_caret:
        place = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    zeros = (0,) * len(numbers[place + 1 :])
    return _with_release(version, (*numbers[:place], numbers[place] + 1, *zeros))


def _with_release(version: Version, numbers: Iterable[int]) -> Version:
    epoch = f"{version.epoch}!" if version.epoch else ""
    return Version(f"{epoch}{'.'.join(map(str, numbers))}")


def _union(parts: list[Clauses], locked: Iterable[str] = ()) -> Constraint:
    if () in parts:
        return Constraint(specifier="")
    if len(parts) == 1:
        return Constraint(specifier=",".join(parts[0]))
    try:
        return Constraint(specifier=",".join(_hull(parts)))
    except ValueError:
        versions = [*locked]
        texts = [",".join(part) for part in sorted(parts, key=_start)]
        fitting = (text for text in texts if any(SpecifierSet(text).filter(versions, True)))
        chosen = next(fitting, texts[-1])
        return Constraint(specifier=chosen, dropped=tuple(t for t in texts if t != chosen))


def _start(part: Clauses) -> Version:
    return min(map(_version, part))


def _version(clause: str) -> Version:
    return Version(Specifier(clause).version.removesuffix(".*"))


def _range(clauses: Clauses) -> tuple[Version, Version | None]:
    """Its first version, and the first one after it; raises ValueError for `>`, `<=` and `!=`."""
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
    """From the first part to the last, less the gaps; raises ValueError without an equivalent."""
    parts = sorted(dict.fromkeys(parts), key=_start)
    exact = [part for part in parts if _EXACT.fullmatch(",".join(part))]
    levels = {clause.count(".") for (clause,) in exact}
    if exact == parts and len(levels) == 1 and levels != {0}:
        parts = [*((f"{clause}.*",) for (clause,) in parts[:-1]), parts[-1]]
    last = _version(parts[-1][0]) if parts[-1] in exact else None
    ranges = [_range(part) for part in parts if not (last and part is parts[-1])]
    if last:
        ranges.append((last, last))
    (first, end), *others = sorted(ranges, key=lambda versions: versions[0])
    excluded: list[str] = []
    for start, further in others:
        if end is None:
            break
        if start > end:
            excluded += _between(end, start)
        end = max(end, further) if further else None
    clauses = [f">={first}"] if first != _LOWEST else []
    if end:
        clauses.append(f"<={end}" if end == last else f"<{end}")
    return (*clauses, *excluded)


def _between(end: Version, start: Version) -> list[str]:
    """A gap as whole prefixes of one level: from 1.5 to 1.7, but not from 1.5 to 2.1."""
    # Without zeros at the end, as far as the other one goes.
    releases = [Version(canonicalize_version(version)).release for version in (end, start)]
    length = max(map(len, releases))
    (*head, first), (*other, last) = ((*r, *(0,) * length)[:length] for r in releases)
    is_odd = end.is_prerelease or start.is_prerelease or end.epoch != start.epoch
    if is_odd or head != other or last - first > _MAX_EXCLUDED:
        raise ValueError(f"{end}, {start}")
    return [f"!={_with_release(end, (*head, number))}.*" for number in range(first, last)]
