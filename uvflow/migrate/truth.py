"""Several sources of dependencies: which one counts, and whether the others agree. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name
from packaging.version import Version

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry, merge_entries
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Requirement, with_buckets
from uvflow.migrate.pins import as_pin
from uvflow.paths import MANIFEST


class Source(NamedTuple):
    """What one place declares; `title` is what a user calls it.

    One that `is_aside` counts only where there is no other. `declared` are the dependencies in
    [project], where they stay.
    """

    title: str
    path: str
    is_aside: bool = False
    declared: tuple[str, ...] = ()
    imported: ImportedRequirements = ImportedRequirements()


def settle(
    formats: Sequence[Source],
    requirements: ImportedRequirements,
    declared: Iterable[str] = (),
    built: Iterable[str] = (),
) -> ImportedRequirements:
    """What `formats` and `requirements` files add to [project], whose dependencies are `declared`.

    A build goes on reading the files in `built`.

    The first with dependencies counts: [project] with the tables of other tools in pyproject.toml,
    then the files of `formats` in their order, then the requirements files, then what is aside.
    What comes after it has to be an export of its lock file, or the pins of its dependencies, or
    else is an ERROR finding: two lists added up are a third one that nobody has tested.
    """
    left = {*built, *(path for source in formats for path in source.imported.left)}
    moves = {r.origin: Bucket.LEFT for r in requirements.dependencies if r.origin.path in left}
    requirements = replace(
        requirements,
        dependencies=tuple(r for r in requirements.dependencies if r.origin not in moves),
        files=with_buckets(requirements.files, moves),
    )
    # A lock file, or settings alone, are beside whatever counts.
    tables = [s for s in formats if s.path == MANIFEST or not s.imported.requirements]
    others = [source for source in formats if source not in tables]
    together = ImportedRequirements()
    for source in tables:
        together = together.with_more(source.imported)
    if not (others or together.requirements or together.pins):
        # The entries of requirements files are compared one by one when they are written.
        return together.with_more(requirements)
    titles = [] if declared else [table.title for table in tables if table.imported.dependencies]
    counting = Source(
        title=(*titles, f"[project] of {MANIFEST}")[0],
        path=MANIFEST,
        imported=together,
        declared=tuple(declared),
    )
    first = next((file.path for file in requirements.files), "")
    others.append(Source(title=first, path=first, imported=requirements))
    for source in sorted(others, key=lambda source: source.is_aside):
        if not (counting.declared or counting.imported.dependencies):
            together, counting = together.with_more(source.imported), source
        elif source.is_aside:
            together = together.with_more(_left_aside(source, counting))
        else:
            together = together.with_more(_compared(source, counting))
    return _with_one_test_group(together)


def _with_one_test_group(imported: ImportedRequirements) -> ImportedRequirements:
    """`imported` with what `tests_require` and requirements files ask for in one list."""
    entries = imported.groups.get("test", ())
    if not _is_tests_require(entries):
        return imported
    outcomes = LineOutcomes()
    return replace(
        imported,
        groups={**imported.groups, "test": merge_entries(entries, outcomes)},
        files=with_buckets(imported.files, outcomes.buckets),
        findings=(*imported.findings, *outcomes.findings),
    )


def _is_tests_require(entries: Sequence[Entry]) -> bool:
    """Whether `entries` begin with those of setuptools, which has no other group."""
    return bool(entries) and entries[0].origin.path in ("setup.cfg", "setup.py")


def _left_aside(source: Source, counting: Source) -> ImportedRequirements:
    """An environment that another tool goes on making; a finding says what only that one has."""
    known = {requirement.name for requirement in counting.imported.requirements}
    known |= {canonicalize_name(re.split(r"[^\w.-]", text)[0]) for text in counting.declared}
    missing = [r.text for r in source.imported.dependencies if r.name not in known]
    origin = Origin(path=source.path, line=1)
    if missing:
        message = f"{counting.title} does not have what this has: {', '.join(missing)}"
        hint = f"add what is needed; or `--from {source.path}` takes this file alone"
        found = findings.action("not-imported", message, origin, hint)
    else:
        message = f"all that is on PyPI of this is in {counting.title}"
        found = findings.warning("left-aside", message, origin)
    files = (
        file._replace(outcomes=dict.fromkeys(file.outcomes, Bucket.LEFT))
        for file in source.imported.files
    )
    return ImportedRequirements(files=tuple(files), findings=(*source.imported.errors, found))


def _meaning(entry: Entry) -> object:
    """What two lines have in common that ask for the same in other words."""
    if not isinstance(entry, Requirement) or entry.name is None:
        return entry
    parsed = Pep508(entry.text)
    marker = str(parsed.marker or "")
    return entry.name, sorted(parsed.extras), parsed.specifier, marker, parsed.url, entry.source


def _compared(source: Source, counting: Source) -> ImportedRequirements:
    """What `source` adds to the one that is `counting`: old pins, further groups, or an ERROR."""
    imported, winner = source.imported, counting.imported
    known = {(pin.name, Version(pin.version)) for pin in winner.pins}
    wanted = {requirement.name for requirement in winner.dependencies}
    moves: dict[Origin, Bucket] = {}
    pins: list[Pin] = []
    groups: dict[str, tuple[Entry, ...]] = {}
    found: list[Finding] = []
    same = {str(canonicalize_name(group)): entries for group, entries in winner.groups.items()}
    same[""] = winner.dependencies
    for group, entries in {"": imported.dependencies, **imported.groups}.items():
        if not entries:
            continue
        there = [_meaning(entry) for entry in same.get(canonicalize_name(group), ())]
        own = [as_pin(e) for e in entries if isinstance(e, Requirement) and e.source is None]
        are_pins = len(own) == len(entries) and all(pin.version for pin in own)
        is_export = are_pins and all((pin.name, Version(pin.version)) in known for pin in own)
        # Where a lock file has the versions, more of them are not what it says.
        is_compiled = are_pins and not (group or known or counting.declared)
        covers = is_compiled and wanted <= {pin.name for pin in own}
        first = entries[0].origin
        is_same = all(_meaning(entry) in there for entry in entries)
        if is_same or is_export:
            moves |= dict.fromkeys((entry.origin for entry in entries), Bucket.MERGED)
            message = f"this is an export of the lock file of {counting.title}"
            message = f"{counting.title} has the same" if is_same else message
            found.append(findings.warning("export", message, first))
        elif covers:
            pins += own
            message = f"its versions are kept; {counting.title} says what is needed"
            found.append(findings.warning("pins-only", message, first))
        elif group and (
            canonicalize_name(group) not in same
            or _is_tests_require(same[canonicalize_name(group)])  # nothing installed that list
        ):
            groups[group] = entries
        else:
            message = f"two sources of dependencies: {counting.title} and {first.path}"
            hint = (
                f"`--ignore {first.path}` leaves this one out, `--from {first.path}` takes it alone"
            )
            found.append(findings.error("two-sources", message, first, hint))
    if not groups:  # its options were for what is not imported
        imported = replace(imported, indexes=(), settings={}, constraints=(), tails={})
    return replace(
        imported,
        dependencies=(),
        groups=groups,
        pins=(*imported.pins, *pins),
        files=with_buckets(imported.files, moves),
        findings=(*imported.findings, *found),
    )
