"""Constraints and compiled files: which lines become old pins, which constraint-dependencies."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from packaging.version import Version

from uvflow import findings
from uvflow.findings import Finding
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import contradict, describe_entry, merge_entries, pinned_version
from uvflow.migrate.model import Bucket, Pin, Requirement


@dataclass(kw_only=True)
class SortedConstraints:
    """What holds versions: `pins` softly, by a first lockfile, `constraints` for good."""

    ledger: LineOutcomes
    pins: dict[tuple[str, str], Pin] = field(default_factory=dict)
    constraints: tuple[Requirement, ...] = ()


def sort_constraints(
    wanted: Iterable[Requirement],
    compiled: Iterable[Requirement],
    constraining: Iterable[Requirement],
    ledger: LineOutcomes,
) -> SortedConstraints:
    """Pins of `compiled` files, and of `constraining` ones for packages that are wanted.

    Every other constraint stays one. One that contradicts a wanted requirement is an ERROR finding,
    as pip fails with it; a compiled file may be older than its source, and then versions move.
    """
    found = SortedConstraints(ledger=ledger)
    by_name: dict[str, list[Requirement]] = {}
    for requirement in wanted:
        by_name.setdefault(requirement.name or "", []).append(requirement)
    for requirement in compiled:
        _take_compiled(requirement, by_name.get(requirement.name or "", []), found)
    left = [
        c for c in constraining if not _take_constraint(c, by_name.get(c.name or "", []), found)
    ]
    merged = merge_entries(left)
    ledger.note(*merged.findings)
    ledger.mark(Bucket.MERGED, *merged.dropped)
    ledger.mark(Bucket.SETTING, *(entry.origin for entry in merged.entries))
    found.constraints = tuple(e for e in merged.entries if isinstance(e, Requirement))
    return found


def _take_compiled(
    requirement: Requirement, wanted: list[Requirement], found: SortedConstraints
) -> None:
    version = pinned_version(requirement)
    if version and requirement.source is None:
        _pin(requirement, version, found)
    elif any(_is_same(requirement, other) for other in wanted):
        found.ledger.mark(Bucket.MERGED, requirement.origin)
    else:
        message = (
            f"{describe_entry(requirement)} is not a pin, nor is it what the `.in` file asks for"
        )
        hint = "write it into the `.in` file, if it is wanted"
        _leave(requirement, "not-a-pin", message, hint, found.ledger)


def _is_same(requirement: Requirement, other: Requirement) -> bool:
    if requirement.source is None:
        return requirement.text == other.text
    return requirement.source == other.source


def _take_constraint(
    constraint: Requirement, wanted: list[Requirement], found: SortedConstraints
) -> bool:
    """Whether `constraint` is dealt with: as a pin, or because it cannot be one."""
    if constraint.source is not None or constraint.name is None:
        message = f"{describe_entry(constraint)}: uv takes no constraints by URL or path"
        hint = "write it as a source of the package in [tool.uv.sources]"
        _leave(constraint, "constraint-by-url", message, hint, found.ledger)
        return True
    against = [
        w for w in wanted if constraint.marker in ("", w.marker) and contradict(w, constraint)
    ]
    found.ledger.note(*(_contradiction(constraint, other) for other in against))
    version = pinned_version(constraint)
    if version and wanted and not constraint.marker:
        _pin(constraint, version, found)
        return True
    return False


def _pin(requirement: Requirement, version: str, found: SortedConstraints) -> None:
    """The first pin of a name counts: the project's files are read before those of groups."""
    name = requirement.name or ""
    known = found.pins.setdefault(
        (name, requirement.marker),
        Pin(
            name=name,
            version=str(Version(version)),
            origin=requirement.origin,
            hashes=requirement.hashes,
            marker=requirement.marker,
        ),
    )
    if known.origin == requirement.origin:
        found.ledger.mark(Bucket.IMPORTED, requirement.origin)
    elif Version(known.version) == Version(version):
        found.ledger.mark(Bucket.MERGED, requirement.origin)
        hashes = tuple(dict.fromkeys((*known.hashes, *requirement.hashes)))
        found.pins[name, requirement.marker] = replace(known, hashes=hashes)
    else:
        message = (
            f"{describe_entry(requirement)} gives way to the pin {known.version} ({known.origin})"
        )
        hint = "the lockfile has one version for all; compile the files together next time"
        _leave(requirement, "pin-conflict", message, hint, found.ledger)


def _contradiction(constraint: Requirement, wanted: Requirement) -> Finding:
    return findings.error(
        "conflict",
        f"the constraint {describe_entry(constraint)} contradicts {describe_entry(wanted)}"
        f" ({wanted.origin})",
        constraint.origin,
        "take one of the two lines out",
    )


def _leave(
    requirement: Requirement, code: str, message: str, hint: str, ledger: LineOutcomes
) -> None:
    origin = requirement.origin
    ledger.note(findings.action(code, message, origin, hint))
    ledger.mark(Bucket.ACTION, origin)
