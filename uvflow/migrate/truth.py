"""Several sources of dependencies: which one counts, and whether the others agree. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from packaging.utils import canonicalize_name
from packaging.version import Version

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.merge import Entry
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Requirement, with_buckets
from uvflow.migrate.pins import as_pin
from uvflow.paths import MANIFEST


@dataclass(frozen=True, kw_only=True)
class Source:
    """What one place declares; `title` is what a user calls it."""

    title: str
    path: str
    imported: ImportedRequirements = field(default_factory=ImportedRequirements)
    has_dependencies: bool = False  # in [project], where they stay


def settle(
    formats: Sequence[Source], requirements: ImportedRequirements, *, has_dependencies: bool
) -> ImportedRequirements:
    """What `formats` and `requirements` files add to [project], which may have dependencies.

    The first with dependencies counts: [project] with the tables of other tools in pyproject.toml,
    then the files of `formats` in their order, then the requirements files. What comes after it has
    to be an export of its lock file, or the pins of its dependencies, or else is an ERROR finding:
    two lists added up are a third one that nobody has tested.
    """
    if not formats:  # its entries are compared one by one when they are written
        return requirements
    requirements = _without_left(requirements, {p for s in formats for p in s.imported.left})
    tables = [source for source in formats if source.path == MANIFEST]
    together = ImportedRequirements()
    for source in tables:
        together = together.with_more(source.imported)
    title = tables[0].title if tables and not has_dependencies else f"[project] of {MANIFEST}"
    counting = Source(
        title=title, path=MANIFEST, imported=together, has_dependencies=has_dependencies
    )
    files = [source for source in formats if source not in tables]
    for source in (*files, Source(title="", path="", imported=requirements)):
        if counting.has_dependencies or counting.imported.dependencies:
            together = together.with_more(_compared(source, counting))
        else:
            together, counting = together.with_more(source.imported), source
    return together


def _without_left(
    requirements: ImportedRequirements, left: Collection[str]
) -> ImportedRequirements:
    """`requirements` without the dependencies of files that a build goes on reading."""
    moves = {r.origin: Bucket.LEFT for r in requirements.dependencies if r.origin.path in left}
    return replace(
        requirements,
        dependencies=tuple(r for r in requirements.dependencies if r.origin not in moves),
        files=with_buckets(requirements.files, moves),
    )


def _compared(source: Source, counting: Source) -> ImportedRequirements:
    """What `source` adds to the one that is `counting`: old pins, further groups, or an ERROR."""
    imported, winner = source.imported, counting.imported
    known = {(pin.name, Version(pin.version)) for pin in winner.pins}
    wanted = {requirement.name for requirement in winner.dependencies}
    moves: dict[Origin, Bucket] = {}
    pins: list[Pin] = []
    groups: dict[str, tuple[Entry, ...]] = {}
    found: list[Finding] = []
    for group, entries in {"": imported.dependencies, **imported.groups}.items():
        if not entries:
            continue
        own = [as_pin(e) for e in entries if isinstance(e, Requirement) and e.source is None]
        are_pins = len(own) == len(entries) and all(pin.version for pin in own)
        is_export = are_pins and all((pin.name, Version(pin.version)) in known for pin in own)
        # Where a lock file has the versions, more of them are not what it says.
        is_compiled = are_pins and not (group or known or counting.has_dependencies)
        covers = is_compiled and wanted <= {pin.name for pin in own}
        first = entries[0].origin
        if is_export:
            moves |= dict.fromkeys((pin.origin for pin in own), Bucket.MERGED)
            message = f"this is an export of the lock file of {counting.title}"
            found.append(findings.warning("export", message, first))
        elif covers:
            pins += own
            message = f"its versions are kept; {counting.title} says what is needed"
            found.append(findings.warning("pins-only", message, first))
        elif group and canonicalize_name(group) not in map(canonicalize_name, winner.groups):
            groups[group] = entries
        else:
            found.append(_two_sources(first, counting))
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


def _two_sources(origin: Origin, counting: Source) -> Finding:
    message = f"two sources of dependencies: {counting.title} and {origin.path}"
    hint = f"`--ignore {origin.path}` leaves this one out, `--from {origin.path}` takes it alone"
    return findings.error("two-sources", message, origin, hint)
