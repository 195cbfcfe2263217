"""Requirements of one name: duplicates become one, and conflicts are found."""

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from packaging.requirements import Requirement as Pep508
from packaging.specifiers import Specifier, SpecifierSet

from uvflow import findings
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, IncludeGroup, Requirement, reachable

Entry = Requirement | IncludeGroup
Lists = Mapping[str, tuple[Entry, ...]]


def merge_entries(entries: Iterable[Entry], outcomes: LineOutcomes) -> tuple[Entry, ...]:
    """`entries` without those that another one of their name and marker implies.

    Two that cannot both hold stay, with an ERROR finding that names both lines.
    """
    piles = defaultdict[object, dict[int, Entry]](dict)  # by their places in the list
    for place, entry in enumerate(entries):
        key: object
        if isinstance(entry, IncludeGroup):
            key = entry.group
        else:
            key = (entry.name or entry.text, entry.marker)
        _add(piles[key], place, entry, outcomes)
    kept = {place: entry for pile in piles.values() for place, entry in pile.items()}
    return tuple(kept[place] for place in sorted(kept))


def _add(kept: dict[int, Entry], place: int, entry: Entry, outcomes: LineOutcomes) -> None:
    """Add `entry` to those of its name and marker that are `kept`, by their places."""
    for known_place, known in kept.items():
        if _implies(known, entry):
            kept[known_place] = _absorb(known, entry, outcomes)
            return
    for known_place, known in [*kept.items()]:
        if _implies(entry, known):
            entry = _absorb(entry, kept.pop(known_place), outcomes)
            place = min(place, known_place)
    conflicting = [known for known in kept.values() if cannot_both_hold(known, entry)]
    if conflicting:
        outcomes.record_conflict(describe_conflict(entry, conflicting[0]), entry.origin)
    kept[place] = entry


def _absorb(entry: Entry, redundant: Entry, outcomes: LineOutcomes) -> Entry:
    """`entry` with the comments and hashes of the entry it makes redundant."""
    message = f"{describe_entry(redundant)} is covered by {describe_entry(entry)} ({entry.origin})"
    outcomes.record_findings(findings.note("merged", message, redundant.origin))
    outcomes.record_bucket(Bucket.MERGED, redundant.origin)
    above = (*entry.above, *redundant.above)
    if entry.comment and redundant.comment not in ("", entry.comment):
        above = (*above, redundant.comment)
    entry = entry._replace(comment=entry.comment or redundant.comment, above=above)
    if isinstance(entry, Requirement) and isinstance(redundant, Requirement):
        return entry._replace(hashes=tuple(dict.fromkeys((*entry.hashes, *redundant.hashes))))
    return entry


def _implies(entry: Entry, other: Entry) -> bool:
    """Whether `other` adds nothing to `entry`."""
    if isinstance(entry, IncludeGroup) or isinstance(other, IncludeGroup):
        return isinstance(entry, IncludeGroup) and isinstance(other, IncludeGroup)
    if other.source not in (None, entry.source) or not {*other.extras} <= {*entry.extras}:
        return False
    if entry.name is None or other.name is None:
        return entry.extras == other.extras
    if {*_specifiers(other.text)} <= {*_specifiers(entry.text)}:
        return True
    return _pin_is_in(_specifiers(entry.text), _specifiers(other.text)) is True


def cannot_both_hold(entry: Entry, other: Entry) -> bool:
    """Whether two entries of one name have different sources, or a pin that the other excludes.

    Ranges are left to the resolver, which knows the versions that exist.
    """
    if isinstance(entry, IncludeGroup) or isinstance(other, IncludeGroup):
        return False
    if entry.name is None or other.name is None:
        return False
    if entry.source is not None and other.source is not None:
        return entry.source != other.source
    ours, theirs = _specifiers(entry.text), _specifiers(other.text)
    return _pin_is_in(ours, theirs) is False or _pin_is_in(theirs, ours) is False


@functools.lru_cache(maxsize=10_000)
def _specifiers(text: str) -> SpecifierSet:
    return Pep508(text).specifier


def pinned_version(requirement: Requirement) -> str | None:
    """The version of an exact pin, `==V` or `===V` and nothing else, as it is written."""
    clauses = [*_specifiers(requirement.text)] if requirement.name else []
    return clauses[0].version if len(clauses) == 1 and is_exact(clauses[0]) else None


def is_exact(clause: Specifier) -> bool:
    return clause.operator in ("==", "===") and not clause.version.endswith(".*")


def _pin_is_in(pinned: SpecifierSet, others: SpecifierSet) -> bool | None:
    """Whether the exact pin in `pinned` is one of `others`; None without an exact pin."""
    for clause in pinned:
        if is_exact(clause):
            return others.contains(clause.version, prereleases=True)
    return None


def describe_entry(entry: Entry) -> str:
    return f"`-r {entry.group}`" if isinstance(entry, IncludeGroup) else f"`{entry.text}`"


def describe_conflict(entry: Entry, other: Entry) -> str:
    return f"{describe_entry(entry)} conflicts with {describe_entry(other)} ({other.origin})"


class _Conflict(NamedTuple):
    """Two requirements of one name, with the groups they are in; "" is the project."""

    first: Requirement
    second: Requirement
    groups: tuple[str, str]

    @property
    def has_base(self) -> bool:
        """Whether it is between the project, which comes first, and one of its groups."""
        return self.groups[0] == "" and self.groups[1] != ""


def resolve_conflicts(lists: Lists, outcomes: LineOutcomes) -> tuple[Lists, dict[str, Any]]:
    """The lists without the lines that conflicts drop, and the settings that declare the others.

    A list is the project's, "", or that of the group of its name. uv resolves the project and all
    its groups as one, unless groups are declared as conflicting (uv docs, "Conflicting
    dependencies"). No group can be kept apart from the project: there `declare` uses the project's
    line, as `prefer-base` does.
    """
    on_conflict = outcomes.options.on_conflict
    conflicts = tuple(_conflicts(lists))
    dropped = {c.second.origin for c in conflicts if on_conflict != "fail" and c.has_base}
    declared: list[tuple[str, str]] = []
    for conflict in conflicts:
        origin = conflict.second.origin
        message = describe_conflict(conflict.second, conflict.first)
        if conflict.has_base and on_conflict != "fail":
            message += ": the project's line is used"
            outcomes.record_findings(findings.action("conflict", message, origin))
        elif origin in dropped or conflict.first.origin in dropped:
            continue
        elif on_conflict == "declare" and _is_declarable(conflict, lists):
            declared.append(conflict.groups)
            message += f": groups {' and '.join(conflict.groups)} cannot be synced together"
            outcomes.record_findings(findings.warning("conflict", message, origin))
        else:
            outcomes.record_conflict(message, origin, _way_out(conflict, lists))
    settings: dict[str, Any] = {}
    if declared:
        pairs = dict.fromkeys(declared)
        settings["conflicts"] = [[{"group": group} for group in pair] for pair in pairs]
    left = {
        name: tuple(e for e in entries if name == "" or e.origin not in dropped)
        for name, entries in lists.items()
    }
    return left, settings


def _conflicts(lists: Lists) -> Iterator[_Conflict]:
    by_name = defaultdict[str, list[tuple[str, Requirement]]](list)
    for group, entries in lists.items():
        for entry in entries:
            if isinstance(entry, Requirement) and entry.name:
                by_name[entry.name].append((group, entry))
    for same in by_name.values():
        if len({(entry.text, str(entry.source)) for _, entry in same}) == 1:
            continue  # a thousand lists that agree are half a million pairs
        for (group, one), (other_group, other) in itertools.combinations(same, 2):
            if one.marker == other.marker:
                # Within one list they were compared when that was merged.
                is_conflict = group != other_group and cannot_both_hold(one, other)
            else:
                # Two sources of one package need a marker each (uv docs, "Multiple sources").
                have_markers = one.marker and other.marker
                have_sources = one.source is not None and other.source is not None
                is_conflict = have_sources and not have_markers and one.source != other.source
            if is_conflict:
                yield _Conflict(first=one, second=other, groups=(group, other_group))


def _is_declarable(conflict: _Conflict, lists: Lists) -> bool:

    def included(group: str) -> list[str]:
        return [e.group for e in lists.get(group, ()) if isinstance(e, IncludeGroup)]

    first, second = conflict.groups
    has_sources = conflict.first.source is not None and conflict.second.source is not None
    if "" in conflict.groups or has_sources:  # sources hold for the whole project
        return False
    return second not in reachable([first], included) and first not in reachable([second], included)


def _way_out(conflict: _Conflict, lists: Lists) -> str:
    hint = "make the two lines agree"
    if conflict.has_base:
        return f"{hint}, or use the project's with `--on-conflict=prefer-base`"
    if _is_declarable(conflict, lists):
        return f"{hint}, or keep the two groups apart with `--on-conflict=declare`"
    return hint
