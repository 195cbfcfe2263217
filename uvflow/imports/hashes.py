"""Hashes of requirements files: one where there has to be one, and uv.lock's are among them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from uvflow.imports.includes import Includes
from uvflow.imports.lockfile import Locked, is_same_version, packages
from uvflow.imports.merge import pinned_version
from uvflow.imports.model import Finding, Import, Origin, Severity
from uvflow.imports.requirements import Line
from uvflow.redaction import redacted

_IN_URL = re.compile(r"#(?:.*&)?sha(?:256|384|512)=")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """`verified` of `expected` packages are in uv.lock with hashes that the old files give."""

    expected: int
    verified: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class _Given:
    """The hashes that the old files give for a package, in one version or (for "") in any."""

    name: str
    version: str
    hashes: frozenset[str]
    origin: Origin


def missing(includes: Includes) -> Iterator[Finding]:
    """An ERROR for each requirement without a hash that pip reads along with `--require-hashes`."""
    if not any(line.values("--require-hashes") for line in includes.lines()):
        return
    for start in includes.roles:
        lines = [
            line for path in includes.edges.reachable(start) for line in includes.files[path].lines
        ]
        demand = next((line for line in lines if line.values("--require-hashes")), None)
        for line in lines if demand else ():
            if demand and line.requirement and not _has_hash(line):
                yield _missing(line, demand)


def _has_hash(line: Line) -> bool:
    return bool(line.values("--hash")) or _IN_URL.search(line.requirement) is not None


def _missing(line: Line, demand: Line) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="hash-missing",
        message=f"`{redacted(line.requirement)}` has no hash, and {demand.origin} demands one",
        origin=line.origin,
        hint="add its hash, or take `--require-hashes` out: uv.lock has a hash for everything",
    )


def prove(imported: Import, lockfile: str) -> Proof:
    """Compare the hashes of the old files with those in the text of a uv.lock.

    A package none of whose archives has a given hash is an ERROR, as pip would refuse it. Archives
    that have none are a WARNING: a release has got new ones, and uv may install one of them. What
    is locked in another version is not looked at. Raises UsageError for what is no lockfile.
    """
    locked = packages(lockfile)
    found = [(given, _archives(given, locked)) for given in _given(imported)]
    looked_at = [(given, hashes) for given, hashes in found if hashes]
    return Proof(
        expected=len(looked_at),
        verified=sum(bool(hashes & given.hashes) for given, hashes in looked_at),
        findings=tuple(f for given, hashes in looked_at for f in _difference(given, hashes)),
    )


def _given(imported: Import) -> tuple[_Given, ...]:
    """By name and version: several lines may give hashes of one package."""
    said = [
        *((p.name, p.version, p.hashes, p.origin) for p in imported.pins),
        *(
            (r.name or "", pinned_version(r) or "", r.hashes, r.origin)
            for r in (*imported.requirements, *imported.constraints)
        ),
    ]
    found: dict[tuple[str, str], _Given] = {}
    for name, version, hashes, origin in said:
        known = found.get((name, version))
        union = frozenset(hashes) | (known.hashes if known else frozenset())
        if hashes:
            found[name, version] = _Given(
                name=name, version=version, hashes=union, origin=known.origin if known else origin
            )
    return tuple(found.values())


def _archives(given: _Given, locked: dict[str, tuple[Locked, ...]]) -> frozenset[str]:
    """The hashes of the package in uv.lock, as far as the old files use the same algorithm."""
    algorithms = {text.partition(":")[0] for text in given.hashes}
    return frozenset(
        text
        for package in locked.get(given.name, ())
        if not given.version or is_same_version(given.version, package.version)
        for text in package.hashes
        if text.partition(":")[0] in algorithms
    )


def _difference(given: _Given, archives: frozenset[str]) -> Iterator[Finding]:
    name = f"{given.name} {given.version}".rstrip()
    new = len(archives - given.hashes)
    if new == len(archives):
        yield Finding(
            severity=Severity.ERROR,
            code="hash-mismatch",
            message=f"no archive of {name} has the hash that is asked for",
            origin=given.origin,
            hint="make sure that the index serves what it served before",
        )
    elif new:
        yield Finding(
            severity=Severity.WARNING,
            code="hash-new-archives",
            message=f"{new} of {len(archives)} archives of {name} have no hash here",
            origin=given.origin,
            hint="the release has got new archives since, or the hashes were not all written down",
        )
