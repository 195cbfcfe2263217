"""Several sources of dependencies: which one counts, and whether the others agree."""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name
from packaging.version import Version

from uvflow import findings
from uvflow.errors import shell_command
from uvflow.findings import Finding, Origin
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry, merge_entries
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Requirement, with_buckets
from uvflow.migrate.pins import as_pin
from uvflow.paths import MANIFEST


class Source(NamedTuple):
    """What one place declares; `title` is its name in messages.

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
    """The import of `formats` and of `requirements` files for a [project] with `declared`.

    The first with dependencies counts: [project] with the tables of other tools in pyproject.toml,
    then the files of `formats` in their order, then the requirements files, then what is aside.
    Another one has to be an export of its lock file, or the pins of its dependencies, or is an
    ERROR finding: two lists added up are a third one that nobody has tested. The files in `built`
    are read by a build, and stay.
    """
    left = {*built, *(path for source in formats for path in source.imported.left)}
    requirements = _without_left(requirements, left)
    # A lock file, or settings alone, are beside whatever counts.
    tables = [s for s in formats if s.path == MANIFEST or not s.imported.requirements]
    others = [source for source in formats if source not in tables]
    together = ImportedRequirements()
    for source in tables:
        together = together.with_more(source.imported)
    if not (others or together.requirements or together.pins):
        # The entries of requirements files are compared one by one when they are written.
        return together.with_more(requirements)
    title = f"[project] of {MANIFEST}"
    if not declared:
        title = next((table.title for table in tables if table.imported.dependencies), title)
    counting = Source(title=title, path=MANIFEST, imported=together, declared=tuple(declared))
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


def _without_left(requirements: ImportedRequirements, left: Container[str]) -> ImportedRequirements:
    """`requirements` without those of the files `left`, which a build goes on reading."""
    moves = {r.origin: Bucket.LEFT for r in requirements.dependencies if r.origin.path in left}
    return replace(
        requirements,
        dependencies=tuple(r for r in requirements.dependencies if r.origin not in moves),
        files=with_buckets(requirements.files, moves),
    )


def _left_aside(source: Source, counting: Source) -> ImportedRequirements:
    """An environment that another tool goes on making, with a finding of what only it has."""
    known = {requirement.name for requirement in counting.imported.requirements}
    known |= {canonicalize_name(re.split(r"[^\w.-]", text)[0]) for text in counting.declared}
    missing = [r.text for r in source.imported.dependencies if r.name not in known]
    origin = Origin(path=source.path, line=1)
    if missing:
        message = f"{counting.title} does not have what this has: {', '.join(missing)}"
        alone = shell_command("--from", source.path)
        hint = f"add what is needed; or {alone} takes this file alone"
        found = findings.action("not-imported", message, origin, hint)
    else:
        message = f"all that is on PyPI of this is in {counting.title}"
        found = findings.warning("left-aside", message, origin)
    files = (
        file._replace(outcomes=dict.fromkeys(file.outcomes, Bucket.LEFT))
        for file in source.imported.files
    )
    return ImportedRequirements(files=tuple(files), findings=(*source.imported.errors, found))


def _compared(source: Source, counting: Source) -> ImportedRequirements:
    """What `source` adds to the one that is `counting`: old pins, further groups, or an ERROR."""
    imported = source.imported
    counting_lists = {"": counting.imported.dependencies, **counting.imported.groups}
    known = {str(canonicalize_name(group)): each for group, each in counting_lists.items()}
    moves: dict[Origin, Bucket] = {}
    pins: list[Pin] = []
    groups: dict[str, tuple[Entry, ...]] = {}
    found: list[Finding] = []
    locked = {(pin.name, Version(pin.version)) for pin in counting.imported.pins}
    for group, entries in {"": imported.dependencies, **imported.groups}.items():
        if not entries:
            continue
        first = entries[0].origin
        own = _exact_pins(entries)
        same = known.get(canonicalize_name(group))
        meanings = [_meaning(entry) for entry in same or ()]
        if all(_meaning(entry) in meanings for entry in entries):
            moves |= dict.fromkeys((entry.origin for entry in entries), Bucket.MERGED)
            found.append(findings.warning("export", f"{counting.title} has the same", first))
        elif own and all((pin.name, Version(pin.version)) in locked for pin in own):
            moves |= dict.fromkeys((entry.origin for entry in entries), Bucket.MERGED)
            message = f"this is an export of the lock file of {counting.title}"
            found.append(findings.warning("export", message, first))
        elif not group and _is_compiled(own, counting):
            pins += own
            message = f"its versions are kept; {counting.title} says what is needed"
            found.append(findings.warning("pins-only", message, first))
        elif group and (same is None or _is_tests_require(same)):  # nothing installed that list
            groups[group] = entries
        else:
            message = f"two sources of dependencies: {counting.title} and {first.path}"
            without, alone = (shell_command(o, first.path) for o in ("--ignore", "--from"))
            hint = f"{without} leaves this one out, {alone} takes it alone"
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


def _exact_pins(entries: Sequence[Entry]) -> list[Pin]:
    """`entries` as pins; empty where one of them is anything else."""
    named = [e for e in entries if isinstance(e, Requirement) and e.source is None]
    pins = [as_pin(entry) for entry in named]
    is_exact = len(pins) == len(entries) and all(pin.version for pin in pins)
    return pins if is_exact else []


def _is_compiled(pins: list[Pin], counting: Source) -> bool:
    """Whether `pins` have a version for all that `counting` requires, which has no lock file."""
    required = {requirement.name for requirement in counting.imported.dependencies}
    is_alone = not (counting.imported.pins or counting.declared)
    return bool(pins) and is_alone and required <= {pin.name for pin in pins}


def _meaning(entry: Entry) -> object:
    """A value that is equal for two entries that require the same in other words."""
    if not isinstance(entry, Requirement) or entry.name is None:
        return entry
    parsed = Pep508(entry.text)
    marker = str(parsed.marker or "")
    return entry.name, sorted(parsed.extras), parsed.specifier, marker, parsed.url, entry.source
