"""Constraints and compiled files: which lines become old pins, which constraint-dependencies."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from packaging.version import Version

from uvflow.migrate.includes import Includes
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import (
    cannot_both_hold,
    describe_conflict,
    describe_entry,
    merge_entries,
    pinned_version,
)
from uvflow.migrate.model import Bucket, Pin, Requirement, Role
from uvflow.migrate.pins import as_pin


def sort_constraints(
    wanted: Iterable[Requirement], includes: Includes, outcomes: LineOutcomes
) -> tuple[tuple[Pin, ...], tuple[Requirement, ...]]:
    """The pins of a first lockfile, and the constraints that stay in pyproject.toml.

    Pins come from compiled files, and from constraints for packages that are wanted; every other
    constraint stays one. One that conflicts with a wanted requirement is an ERROR finding, as pip
    fails with it; a compiled file may be older than its source, and then versions move.
    """
    by_role = defaultdict[Role, list[Requirement]](list)
    for origin, result in outcomes.results.items():
        if result.requirement:
            by_role[includes.roles[origin.path].role].append(result.requirement)
    sorter = _Sorter(outcomes=outcomes)
    for requirement in wanted:
        sorter.wanted.setdefault(requirement.name or "", []).append(requirement)
    for requirement in by_role[Role.PINS]:
        sorter.add_compiled(requirement)
    left = [c for c in by_role[Role.CONSTRAINTS] if not sorter.settle(c)]
    merged = merge_entries(left, outcomes)
    outcomes.record_bucket(Bucket.SETTING, *(entry.origin for entry in merged))
    return tuple(sorter.pins.values()), tuple(e for e in merged if isinstance(e, Requirement))


@dataclass(kw_only=True)
class _Sorter:
    """`wanted` is by name, `pins` by name and marker."""

    outcomes: LineOutcomes
    wanted: dict[str, list[Requirement]] = field(default_factory=dict)
    pins: dict[tuple[str, str], Pin] = field(default_factory=dict)

    def add_compiled(self, requirement: Requirement) -> None:
        version = pinned_version(requirement)
        is_by_name = requirement.source is None
        if version and is_by_name:
            self._add_pin(requirement, version)
        elif any(
            wanted.text == requirement.text if is_by_name else wanted.source == requirement.source
            for wanted in self.wanted.get(requirement.name or "", ())
        ):
            self.outcomes.record_bucket(Bucket.MERGED, requirement.origin)
        else:
            entry = describe_entry(requirement)
            message = f"{entry} is not a pin, and the `.in` file does not ask for it"
            hint = "add it to the `.in` file if it is needed"
            self.outcomes.needs_action("not-a-pin", message, requirement.origin, hint)

    def settle(self, constraint: Requirement) -> bool:
        """Whether `constraint` became a pin, or cannot be a constraint at all."""
        if constraint.source is not None or constraint.name is None:
            message = f"{describe_entry(constraint)}: uv does not accept constraints by URL or path"
            hint = "make it a source of the package in [tool.uv.sources]"
            self.outcomes.needs_action("constraint-by-url", message, constraint.origin, hint)
            return True
        wanted = self.wanted.get(constraint.name, [])
        for other in wanted:
            if constraint.marker in ("", other.marker) and cannot_both_hold(other, constraint):
                message = f"the constraint {describe_conflict(constraint, other)}"
                self.outcomes.record_conflict(message, constraint.origin)
        version = pinned_version(constraint)
        if version and wanted and not constraint.marker:
            self._add_pin(constraint, version)
            return True
        return False

    def _add_pin(self, requirement: Requirement, version: str) -> None:
        """The first pin of a name counts: the project's files are read before those of groups."""
        key = (requirement.name or "", requirement.marker)
        pin = replace(as_pin(requirement), version=str(Version(version)))
        known = self.pins.setdefault(key, pin)
        if known is pin:
            self.outcomes.record_bucket(Bucket.IMPORTED, requirement.origin)
        elif Version(known.version) == Version(version):
            self.outcomes.record_bucket(Bucket.MERGED, requirement.origin)
            hashes = tuple(dict.fromkeys((*known.hashes, *requirement.hashes)))
            self.pins[key] = replace(known, hashes=hashes)
        else:
            used = f"the pin {known.version} ({known.origin}), which is used"
            message = f"{describe_entry(requirement)} conflicts with {used}"
            hint = "the lockfile has one version for all; compile the files together next time"
            self.outcomes.needs_action("pin-conflict", message, requirement.origin, hint)
