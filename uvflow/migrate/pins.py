"""Old pins and hashes: a seed lockfile of them, and how a finished lockfile compares.

A uv.lock of nothing but names, versions and sources makes `uv lock` prefer those versions. That was
seen with uv 0.9 to 0.13 but is not documented, so the result is compared each time.
"""

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from uvflow import findings
from uvflow.errors import shell_command
from uvflow.findings import Finding, Origin
from uvflow.lockfile.packages import LockedPackage, Node, parse_lockfile
from uvflow.migrate.includes import Includes
from uvflow.migrate.indexes import PYPI
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import (
    Entry,
    cannot_both_hold,
    describe_conflict,
    describe_entry,
    merge_entries,
    pinned_version,
)
from uvflow.migrate.model import (
    Bucket,
    ImportedRequirements,
    LineResult,
    Pin,
    Requirement,
    Role,
    reachable,
    source_entries,
)
from uvflow.migrate.toml_text import literal
from uvflow.redaction import redacted

_MAX_FORKS = 16  # a resolution takes its time for each

Graph = Mapping[str, tuple[LockedPackage, ...]]
Text = bytes | str  # of a uv.lock


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
    """Decides which requirements become pins; `wanted` is by name, `pins` by name and marker."""

    outcomes: LineOutcomes
    wanted: dict[str, list[Requirement]] = field(default_factory=dict)
    pins: dict[tuple[str, str], Pin] = field(default_factory=dict)

    def add_compiled(self, requirement: Requirement) -> None:
        version, source = pinned_version(requirement), requirement.source
        if version and source is None:
            self._add_pin(requirement, version)
            return
        wanted = self.wanted.get(requirement.name or "", [])
        if source is None:
            is_wanted = any(other.text == requirement.text for other in wanted)
        else:
            is_wanted = any(other.source == source for other in wanted)
        if is_wanted:
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


def seed_lockfile(imported: ImportedRequirements, requires_python: str) -> str:
    """A first uv.lock (version 1) of the pins of `imported`, or "" where there are none.

    `requires_python` is the one that pyproject.toml will have.
    """
    pins = sorted(_merged(imported.pins), key=lambda pin: (pin.name, Version(pin.version)))
    if not pins:
        return ""
    forks = _forks(pins)
    tables = [{"version": 1, "requires-python": requires_python, "resolution-markers": [*forks]}]
    sources = imported.sources
    for pin in pins:
        # uv compares the registry only where a package is bound to an index by its name.
        bound = {entry.get("index") for entry in source_entries(sources.get(pin.name, {}))}
        urls = (str(index["url"]) for index in imported.indexes if index.get("name") in bound)
        tables.append(
            {
                "name": pin.name,
                "version": pin.version,
                "source": {"git": pin.git} if pin.git else {"registry": next(urls, PYPI)},
                "resolution-markers": [fork for fork in forks if pin.marker in forks[fork]],
            }
        )
    texts = (
        "".join(f"{key} = {literal(value)}\n" for key, value in table.items() if value)
        for table in tables
    )
    return "\n[[package]]\n".join(texts)


def _merged(pins: Iterable[Pin]) -> Iterable[Pin]:
    """One pin for each version: uv refuses a lockfile that has a package twice."""
    merged: dict[tuple[str, Version], Pin] = {}
    for pin in pins:
        known = merged.setdefault((pin.name, Version(pin.version)), pin)
        if pin.marker != known.marker:
            either = f"({known.marker}) or ({pin.marker})"
            marker = either if known.marker and pin.marker else ""
            merged[pin.name, Version(pin.version)] = replace(known, marker=marker)
    return merged.values()


def _forks(pins: Iterable[Pin]) -> dict[str, frozenset[str]]:
    """The markers to resolve apart, each with the markers of the pins that hold within it.

    uv starts with the forks of an existing lockfile; so a package that was pinned to one version
    for an old Python and to another for a new one keeps both. `pins` are sorted by name.
    """
    splits: dict[tuple[str, ...], None] = {}
    for _, group in itertools.groupby(pins, lambda pin: pin.name):
        same = list(group)
        if len({pin.version for pin in same}) > 1 and all(pin.marker for pin in same):
            splits[tuple(pin.marker for pin in same)] = None
    if not splits or math.prod(map(len, splits)) > _MAX_FORKS:
        return {}
    forks: dict[str, frozenset[str]] = {}
    for combination in itertools.product(*splits):
        markers = dict.fromkeys(combination)  # each once
        forks[" and ".join(f"({marker})" for marker in markers)] = frozenset(markers)
    return forks


class Moved(NamedTuple):
    """A pin that was not kept; `new` are the locked versions, none where nothing requires it."""

    pin: Pin
    new: tuple[str, ...]

    @property
    def finding(self) -> Finding:
        old = f"{self.pin.name} {self.pin.commit[:8] or self.pin.version}"
        if self.new:
            message = f"{old} became {', '.join(self.new)}"
            hint = "check that this version works; uv could not lock the old one"
            return findings.action("pin-moved", message, self.pin.origin, hint)
        message = f"{old} is not locked: nothing requires it"
        added = shell_command("uv", "add", f"{self.pin.name}=={self.pin.version}")
        hint = f"if it is needed, {added}"
        return findings.warning("pin-moved", message, self.pin.origin, hint)


class Comparison(NamedTuple):
    """The old pins, by whether the finished lockfile has them."""

    kept: tuple[Pin, ...] = ()
    moved: tuple[Moved, ...] = ()


def compare_pins(pins: Iterable[Pin], lockfile: Text) -> Comparison:
    """Compare `pins` with the text of a uv.lock; raises UsageError where it is not a lockfile."""
    locked = parse_lockfile(lockfile).by_name
    kept, moved = [], []
    for pin in pins:
        packages = locked.get(pin.name, ())
        if any(_has_pin(package, pin) for package in packages):
            kept.append(pin)
        else:
            moved.append(Moved(pin=pin, new=tuple(package.version for package in packages)))
    return Comparison(kept=tuple(kept), moved=tuple(moved))


def _has_pin(package: LockedPackage, pin: Pin) -> bool:
    if pin.git:
        return str(package.source.get("git", "")).endswith(f"#{pin.commit}")
    return _is_same_version(pin.version, package.version)


def _is_same_version(pinned: str, version: str) -> bool:
    """As `==` has it (PEP 440): a pin without a local version takes any, as in `1.0+cpu`."""
    return SpecifierSet(f"=={pinned}").contains(version, prereleases=True)


def missing_hashes(includes: Includes, results: Mapping[Origin, LineResult]) -> Iterator[Finding]:
    """An ERROR for each requirement without a hash in a file with `--require-hashes`."""
    hint = "add its hash, or take `--require-hashes` out: uv.lock has a hash for everything"
    for option in includes.lines():
        if not option.values("--require-hashes"):
            continue
        paths = includes.with_included(option.origin.path)
        for line in itertools.chain.from_iterable(includes.files[path].lines for path in paths):
            result = results.get(line.origin, LineResult())
            if result.requirement and not result.requirement.hashes:
                text = redacted(line.requirement)
                message = f"`{text}` has no hash, and {option.origin} requires one"
                yield findings.error("hash-missing", message, line.origin, hint)


def check_hashes(imported: ImportedRequirements, lockfile: Text) -> tuple[int, tuple[Finding, ...]]:
    """Compare the hashes of the old files with a uv.lock; the number of packages compared.

    A package without any of its hashes is an ERROR, as pip would refuse it. A package with files
    that have none of them is a WARNING: uv may install one of these; so is an index that gives no
    hashes. Hashes of other algorithms and packages locked in another version are skipped. Raises
    UsageError for what is not a lockfile.
    """
    locked = parse_lockfile(lockfile).by_name
    compared = 0
    found: list[Finding] = []
    unhashed: dict[str, Origin] = {}
    for old in _old_hashes(imported):
        packages = [
            package
            for package in locked.get(old.name, ())
            if not old.version or _is_same_version(old.version, package.version)
        ]
        hashes = _comparable_hashes(old, packages)
        new = len(hashes.difference(old.hashes))
        if hashes:
            compared += 1
        name = f"{old.name} {old.version}".rstrip()
        if any("registry" in package.source and not package.hashes for package in packages):
            unhashed[name] = old.origin
        if new and new == len(hashes):
            message = f"no wheel or sdist of {name} has the expected hash"
            hint = "check whether the index still serves the same files"
            found.append(findings.error("hash-mismatch", message, old.origin, hint))
        elif new:
            message = f"{new} of {len(hashes)} files of {name} have no hash here"
            hint = "files were added to the release since, or not all hashes were recorded"
            found.append(findings.warning("hash-new-archives", message, old.origin, hint))
    if unhashed:
        message = f"the index gives no hash to compare of {', '.join(unhashed)}"
        hint = "uv.lock has none either, and uv takes whatever file the index serves"
        origin = next(iter(unhashed.values()))
        found.append(findings.warning("hash-not-given", message, origin, hint))
    return compared, tuple(found)


def _old_hashes(imported: ImportedRequirements) -> Iterable[Pin]:
    """The hashes of each package, of which several lines may have some; version "" for any."""
    by_key: dict[tuple[str, str], Pin] = {}
    required = (*imported.requirements, *imported.constraints)
    pins = [pin for pin in imported.pins if pin.hashes]
    pins += [as_pin(requirement) for requirement in required if requirement.hashes]
    for pin in pins:
        known = by_key.setdefault((pin.name, pin.version), pin)
        by_key[pin.name, pin.version] = replace(known, hashes=(*known.hashes, *pin.hashes))
    return by_key.values()


def _comparable_hashes(old: Pin, packages: Iterable[LockedPackage]) -> set[str]:
    algorithms = tuple(f"{text.partition(':')[0]}:" for text in old.hashes)
    return {h for package in packages for h in package.hashes if h.startswith(algorithms)}


def as_pin(requirement: Requirement) -> Pin:
    """The exact version of `requirement` as a pin; its version is "" where it has none."""
    return Pin(
        name=requirement.name or "",
        version=pinned_version(requirement) or "",
        origin=requirement.origin,
        hashes=requirement.hashes,
        marker=requirement.marker,
    )


def direct_only(imported: ImportedRequirements, lockfile: Text) -> ImportedRequirements:
    """`imported` without the exact pins that others of its requirements bring along anyway.

    They become pins of a first lockfile. `lockfile` is the text of a uv.lock of all of `imported`;
    a need with a marker does not count, since it does not hold everywhere. Raises UsageError for
    what is not a lockfile.
    """
    graph = parse_lockfile(lockfile).by_name
    pins = list(imported.pins)

    def direct(entries: Iterable[Entry]) -> tuple[Any, ...]:
        transitive = _transitive(entries, imported.dependencies, graph)
        pins.extend(as_pin(pin) for pin in reversed(transitive.values()))
        return tuple(entry for entry in entries if _place(entry) not in transitive)

    dependencies = direct(imported.dependencies)
    groups = {name: direct(entries) for name, entries in imported.groups.items()}
    return replace(imported, dependencies=dependencies, groups=groups, pins=tuple(pins))


def _transitive(
    entries: Iterable[Entry], base: Iterable[Requirement], graph: Graph
) -> dict[tuple[Origin, str], Requirement]:
    """The exact pins among `entries` that the rest of these and `base` bring along."""

    @functools.cache
    def needs(node: Node) -> set[Node]:  # of every locked version of the package
        name, extra = node
        versions = [set(package.needs.get(extra, ())) for package in graph.get(name, ())]
        return set.intersection(*versions) if versions else set()

    own = [entry for entry in entries if isinstance(entry, Requirement)]
    bringing = [r for r in (*base, *own) if not r.marker]
    transitive: dict[tuple[Origin, str], Requirement] = {}
    for pin in reversed(own):  # of packages that need each other, the first in the file stays
        if pin.source is not None or pin.marker or pinned_version(pin) is None:
            continue
        others = [r for r in bringing if r.name != pin.name and _place(r) not in transitive]
        roots = (node for other in others for node in nodes(other.name, other.extras))
        brought = reachable(roots, needs)
        if nodes(pin.name, pin.extras).issubset(brought):
            transitive[_place(pin)] = pin
    return transitive


def _place(entry: Entry) -> tuple[Origin, str]:
    """A key of an entry: several requirements of a list may be on one line."""
    return entry.origin, entry.text if isinstance(entry, Requirement) else entry.group


def nodes(name: str | None, extras: Iterable[str]) -> set[Node]:
    """The package `name` and each of its `extras`, as nodes of a dependency graph."""
    return {(canonicalize_name(name or ""), canonicalize_name(e)) for e in ("", *extras)}
