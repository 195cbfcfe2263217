"""Requirements of different lists that cannot both hold, and what `--on-conflict` makes of them."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from uvflow.imports.merge import Entry, contradict, told
from uvflow.imports.model import (
    Finding,
    IncludeGroup,
    OnConflict,
    Origin,
    Requirement,
    Severity,
)

Lists = Mapping[str, tuple[Entry, ...]]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The lists as far as they fit together; `dropped` gave way, `settings` declare the rest."""

    lists: Lists
    settings: Mapping[str, Any]
    dropped: tuple[Origin, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class _Conflict:
    """Two requirements of one name, each with the group it is in; "" is the project."""

    first: tuple[str, Requirement]
    second: tuple[str, Requirement]

    @property
    def groups(self) -> tuple[str, str]:
        return self.first[0], self.second[0]


def settle(lists: Lists, on_conflict: OnConflict) -> Settled:
    """Find what contradicts between `lists`, by the project's name "" or a group's.

    uv resolves the project and all its groups as one, unless groups are declared as conflicting
    (uv docs, "Conflicting dependencies"). None can be kept apart from the project: there `declare`
    takes the project's line, as `prefer-base` does.
    """
    found = tuple(_conflicts(lists))
    yielding = tuple(c for c in found if on_conflict != "fail" and _has_base(c))
    dropped = {c.second[1].origin for c in yielding}
    left = [c for c in found if dropped.isdisjoint((c.first[1].origin, c.second[1].origin))]
    declared = [c for c in left if on_conflict == "declare" and _is_declarable(c, lists)]
    pairs = dict.fromkeys(c.groups for c in declared)
    return Settled(
        lists={n: tuple(e for e in lists[n] if not n or e.origin not in dropped) for n in lists},
        settings={"conflicts": [[{"group": g} for g in pair] for pair in pairs]} if pairs else {},
        dropped=tuple(sorted(dropped)),
        findings=(
            *map(_yielded, yielding),
            *map(_declared, declared),
            *(_undecided(c, lists) for c in left if c not in declared),
        ),
    )


def _conflicts(lists: Lists) -> Iterator[_Conflict]:
    by_name: dict[str, list[tuple[str, Requirement]]] = {}
    for group, entries in lists.items():
        for entry in entries:
            if isinstance(entry, Requirement) and entry.name:
                by_name.setdefault(entry.name, []).append((group, entry))
    for same in by_name.values():
        if len({(entry.text, str(entry.source)) for _, entry in same}) == 1:
            continue  # a thousand lists that agree are half a million pairs
        for first, second in itertools.combinations(same, 2):
            if _is_conflict(*first, *second):
                yield _Conflict(first=first, second=second)


def _is_conflict(group: str, one: Requirement, other_group: str, other: Requirement) -> bool:
    """Within a list, what has one marker has been compared when it was merged.

    Sources hold for the whole project: uv wants markers on both, or there can be only one.
    """
    if one.marker == other.marker:
        return group != other_group and contradict(one, other)
    is_apart = one.marker and other.marker
    return not is_apart and None not in (one.source, other.source) and one.source != other.source


def _has_base(conflict: _Conflict) -> bool:
    """Whether it is between the project and one of its groups; the project comes first."""
    return conflict.groups[0] == "" != conflict.groups[1]


def _is_declarable(conflict: _Conflict, lists: Lists) -> bool:
    """Groups can be kept apart, but not from the project, nor from a group they include."""
    first, second = conflict.groups
    return (
        "" not in conflict.groups
        and second not in _within(first, lists)
        and first not in _within(second, lists)
    )


def _within(group: str, lists: Lists) -> set[str]:
    found, waiting = set[str](), [group]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += [e.group for e in lists.get(here, ()) if isinstance(e, IncludeGroup)]
    return found


def _yielded(conflict: _Conflict) -> Finding:
    message = f"{_contradiction(conflict)}: the project's is taken"
    return _finding(conflict, Severity.ACTION, message, None)


def _declared(conflict: _Conflict) -> Finding:
    first, second = conflict.groups
    message = f"{_contradiction(conflict)}: groups {first} and {second} cannot be synced together"
    return _finding(conflict, Severity.WARNING, message, None)


def _undecided(conflict: _Conflict, lists: Lists) -> Finding:
    hint = "make the two lines agree"
    if _has_base(conflict):
        hint += ", or take the project's with `--on-conflict=prefer-base`"
    elif _is_declarable(conflict, lists):
        hint += ", or keep the two groups apart with `--on-conflict=declare`"
    return _finding(conflict, Severity.ERROR, _contradiction(conflict), hint)


def _contradiction(conflict: _Conflict) -> str:
    first = conflict.first[1]
    return f"{told(conflict.second[1])} contradicts {told(first)} ({first.origin})"


def _finding(conflict: _Conflict, severity: Severity, message: str, hint: str | None) -> Finding:
    origin = conflict.second[1].origin
    return Finding(severity=severity, code="conflict", message=message, origin=origin, hint=hint)
