"""Requirements of one name: what says the same becomes one, what contradicts is found."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from packaging.requirements import Requirement as Pep508
from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from uvflow.imports.model import Finding, IncludeGroup, Origin, Requirement, Severity

Entry = Requirement | IncludeGroup


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A list without what is said twice; `dropped` are the origins of what was."""

    entries: tuple[Entry, ...]
    dropped: tuple[Origin, ...]
    findings: tuple[Finding, ...]


def merge(entries: Iterable[Entry]) -> Merged:
    """Drop every entry that another one of its name and marker implies.

    Two that cannot both hold stay, with an ERROR finding that names both lines.
    """
    piles: dict[object, _Pile] = {}
    for place, entry in enumerate(entries):
        piles.setdefault(_key(entry), _Pile()).add(place, entry)
    kept = {place: entry for pile in piles.values() for place, entry in pile.kept.items()}
    return Merged(
        entries=tuple(kept[place] for place in sorted(kept)),
        dropped=tuple(origin for pile in piles.values() for origin in pile.dropped),
        findings=tuple(finding for pile in piles.values() for finding in pile.findings),
    )


def _key(entry: Entry) -> object:
    if isinstance(entry, IncludeGroup):
        return entry.group
    return (entry.name or entry.text, entry.marker)


@dataclass(kw_only=True)
class _Pile:
    """The entries of one key, by their place in the list."""

    kept: dict[int, Entry] = field(default_factory=dict)
    dropped: list[Origin] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, place: int, entry: Entry) -> None:
        implying = next((p for p, e in self.kept.items() if _implies(e, entry)), None)
        if implying is not None:
            self.kept[implying] = self._absorb(self.kept[implying], entry)
            return
        for implied in [p for p, e in self.kept.items() if _implies(entry, e)]:
            entry = self._absorb(entry, self.kept.pop(implied))
            place = min(place, implied)
        other = next((e for e in self.kept.values() if contradict(e, entry)), None)
        self.findings += [_conflict(other, entry)] if other else []
        self.kept[place] = entry

    def _absorb(self, entry: Entry, redundant: Entry) -> Entry:
        """`entry` with the comments and hashes of what it makes redundant."""
        self.dropped.append(redundant.origin)
        self.findings.append(_merged(entry, redundant))
        is_new = redundant.comment not in ("", entry.comment)
        comment = entry.comment or redundant.comment
        lost = (redundant.comment,) if is_new and entry.comment else ()
        entry = replace(entry, comment=comment, above=(*entry.above, *redundant.above, *lost))
        if isinstance(entry, Requirement) and isinstance(redundant, Requirement):
            return replace(entry, hashes=tuple(dict.fromkeys((*entry.hashes, *redundant.hashes))))
        return entry


def _implies(entry: Entry, other: Entry) -> bool:
    """Whether `entry` says all that `other` says."""
    if isinstance(entry, IncludeGroup) or isinstance(other, IncludeGroup):
        return entry.__class__ is other.__class__
    if other.source not in (None, entry.source) or not {*other.extras} <= {*entry.extras}:
        return False
    if entry.name is None or other.name is None:
        return entry.extras == other.extras
    if _clauses(other.text) <= _clauses(entry.text):
        return True
    return _pin_is_in(specifiers(entry), specifiers(other)) is True


def contradict(entry: Entry, other: Entry) -> bool:
    """Whether two entries of one name cannot both hold: two places, or a pin the other excludes.

    Ranges are left to the resolver, which knows the versions there are.
    """
    if isinstance(entry, IncludeGroup) or isinstance(other, IncludeGroup):
        return False
    if entry.name is None or other.name is None:
        return False
    if entry.source is not None and other.source is not None:
        return entry.source != other.source
    ours, theirs = specifiers(entry), specifiers(other)
    return _pin_is_in(ours, theirs) is False or _pin_is_in(theirs, ours) is False


@functools.lru_cache(maxsize=10_000)
def _parsed(text: str) -> SpecifierSet:
    return Pep508(text).specifier


@functools.lru_cache(maxsize=10_000)
def _clauses(text: str) -> frozenset[Specifier]:
    return frozenset(_parsed(text))


def specifiers(requirement: Requirement) -> SpecifierSet:
    """The version specifiers (PEP 440) of a requirement whose name is known."""
    return _parsed(requirement.text)


def pinned_version(requirement: Requirement) -> str | None:
    """The version of an exact pin, `==V` or `===V` and nothing else, as it is written."""
    found = [*specifiers(requirement)] if requirement.name else []
    if len(found) != 1 or found[0].operator not in ("==", "==="):
        return None
    return None if found[0].version.endswith(".*") else found[0].version


def _pin_is_in(pinned: SpecifierSet, others: SpecifierSet) -> bool | None:
    """Whether the exact pin of one side is in the other; None where there is no pin."""
    for specifier in pinned:
        if specifier.operator == "==" and not specifier.version.endswith(".*"):
            return others.contains(Version(specifier.version), prereleases=True)
    return None


def _merged(entry: Entry, redundant: Entry) -> Finding:
    return Finding(
        severity=Severity.NOTE,
        code="merged",
        message=f"{told(redundant)} is in {told(entry)} ({entry.origin})",
        origin=redundant.origin,
    )


def _conflict(first: Entry, second: Entry) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="conflict",
        message=f"{told(second)} contradicts {told(first)} ({first.origin})",
        origin=second.origin,
        hint="take one of the two lines out",
    )


def told(entry: Entry) -> str:
    return f"`{entry.text if isinstance(entry, Requirement) else f'-r {entry.group}'}`"
