"""Old pins and hashes: a seed lockfile from them, and how the finished one compares. Pure.

A uv.lock of nothing but names, versions and sources makes `uv lock` prefer those versions. That was
seen with uv 0.9 to 0.13 but is not documented, so the result is compared each time.
"""

import functools
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name
from packaging.version import Version

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.lockfile.packages import Locked, Node, is_same_version, packages
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.includes import Includes
from uvflow.migrate.indexes import PYPI
from uvflow.migrate.merge import Entry, pinned_version
from uvflow.migrate.model import ImportedRequirements, Pin, Requirement, reachable
from uvflow.redaction import redacted

_MOST_FORKS = 16  # a resolution takes its time for each


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A pin that was not kept; `new` are the versions in its place, none where nobody needs it."""

    pin: Pin
    new: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What became of the old pins."""

    kept: tuple[Pin, ...]
    moved: tuple[Moved, ...]


def seed_lockfile(imported: ImportedRequirements, requires_python: str) -> str:
    """A first uv.lock (version 1) of the pins of `imported`, or "" where there are none.

    `requires_python` is what pyproject.toml will say.
    """
    pins = sorted(imported.pins, key=lambda pin: (pin.name, Version(pin.version)))
    if not pins:
        return ""
    forks = _forks(pins)
    head = ["version = 1", f"requires-python = {_quoted(requires_python)}"]
    head += [f"resolution-markers = {_array(forks)}"] if forks else []
    registries = {pin.name: _registry(pin.name, imported) for pin in pins}
    tables = (_package(pin, registries[pin.name], forks) for pin in pins)
    return "\n".join((*head, "", *tables))


def as_constraints(pins: Iterable[Pin]) -> tuple[str, ...]:
    """`pins` as constraint-dependencies, should a first uv.lock ever not be taken any more."""
    return tuple(
        f"{pin.name}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}" for pin in pins
    )


def compare_pins(pins: Iterable[Pin], lockfile: str) -> Comparison:
    """What the text of a uv.lock made of `pins`; raises UsageError where it is no lockfile."""
    locked = packages(lockfile)
    kept, moved = [], []
    for pin in pins:
        versions = tuple(package.version for package in locked.get(pin.name, ()))
        if any(is_same_version(pin.version, version) for version in versions):
            kept.append(pin)
        else:
            moved.append(Moved(pin=pin, new=versions))
    return Comparison(kept=tuple(kept), moved=tuple(moved))


def _forks(pins: Iterable[Pin]) -> dict[str, frozenset[str]]:
    """The markers to resolve apart, each with the markers of the pins that hold within it.

    uv starts with the forks of the lockfile that is there; so a package that was pinned to one
    version for an old Python and to another for a new one keeps both.
    """
    splits = dict.fromkeys(filter(None, map(_split, _by_name(pins).values())))
    if not splits or math.prod(map(len, splits)) > _MOST_FORKS:
        return {}
    combined = map(dict.fromkeys, itertools.product(*splits))
    return {" and ".join(f"({m})" for m in markers): frozenset(markers) for markers in combined}


def _by_name(pins: Iterable[Pin]) -> dict[str, list[Pin]]:
    return {name: list(same) for name, same in itertools.groupby(pins, lambda pin: pin.name)}


def _split(same: list[Pin]) -> tuple[str, ...]:
    """The markers of a package that was pinned to several versions, each with a marker."""
    is_split = len({pin.version for pin in same}) > 1 and all(pin.marker for pin in same)
    return tuple(pin.marker for pin in same) if is_split else ()


def _package(pin: Pin, registry: str, forks: Mapping[str, frozenset[str]]) -> str:
    within = [fork for fork, markers in forks.items() if pin.marker in markers]
    lines = (
        "[[package]]",
        f"name = {_quoted(pin.name)}",
        f"version = {_quoted(pin.version)}",
        f"source = {{ registry = {_quoted(registry)} }}",
        *((f"resolution-markers = {_array(within)}",) if within else ()),
    )
    return "\n".join(lines) + "\n"


def _registry(name: str, imported: ImportedRequirements) -> str:
    """uv compares it only where a package is taken from an index by its name."""
    source = imported.sources.get(name, {})
    wanted = {entry.get("index") for entry in (source if isinstance(source, list) else [source])}
    urls = (str(index["url"]) for index in imported.indexes if index.get("name") in wanted)
    return next(urls, PYPI)


def _quoted(text: str) -> str:
    return json.dumps(text)  # JSON's strings are TOML's basic strings


def _array(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


_IN_URL = re.compile(r"#(?:.*&)?sha(?:256|384|512)=")


@dataclass(frozen=True, kw_only=True)
class HashCheck:
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


def missing_hashes(includes: Includes) -> Iterator[Finding]:
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
    return findings.error(
        "hash-missing",
        f"`{redacted(line.requirement)}` has no hash, and {demand.origin} demands one",
        line.origin,
        "add its hash, or take `--require-hashes` out: uv.lock has a hash for everything",
    )


def check_hashes(imported: ImportedRequirements, lockfile: str) -> HashCheck:
    """Compare the hashes of the old files with those in the text of a uv.lock.

    A package none of whose archives has a given hash is an ERROR, as pip would refuse it. Archives
    that have none are a WARNING: a release has got new ones, and uv may install one of them. What
    is locked in another version is not looked at. Raises UsageError for what is no lockfile.
    """
    locked = packages(lockfile)
    found = [(given, _archives(given, locked)) for given in _given(imported)]
    looked_at = [(given, hashes) for given, hashes in found if hashes]
    return HashCheck(
        expected=len(looked_at),
        verified=sum(bool(hashes & given.hashes) for given, hashes in looked_at),
        findings=tuple(f for given, hashes in looked_at for f in _difference(given, hashes)),
    )


def _given(imported: ImportedRequirements) -> tuple[_Given, ...]:
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
        yield findings.error(
            "hash-mismatch",
            f"no archive of {name} has the hash that is asked for",
            given.origin,
            "make sure that the index serves what it served before",
        )
    elif new:
        yield findings.warning(
            "hash-new-archives",
            f"{new} of {len(archives)} archives of {name} have no hash here",
            given.origin,
            "the release has got new archives since, or the hashes were not all written down",
        )


# What a wheel's platform tag begins with (PEP 425, PEP 600, PEP 656) → `sys_platform`, its name.
_FAMILIES = {
    "win": ("win32", "Windows"),
    "macosx": ("darwin", "macOS"),
    "manylinux": ("linux", "Linux"),
    "musllinux": ("linux", "Linux"),
    "linux": ("linux", "Linux"),
}


def single_platform_findings(
    imported: ImportedRequirements, lockfile: str, here: str
) -> Iterator[Finding]:
    """A WARNING for each requirement that can be had on another platform than `here` alone.

    `here` is a `sys.platform`, `lockfile` the text of a uv.lock of `imported`. `pip freeze` on
    Windows lists pywin32, say, which has no source and no archive for anything else.
    """
    locked = packages(lockfile)
    for requirement in imported.requirements:
        if requirement.marker or requirement.source is not None:
            continue
        families = {_family(package) for package in locked.get(requirement.name or "", ())}
        found = _FAMILIES.get(families.pop() if len(families) == 1 else "")
        if found and found[0] != here:
            yield _told(requirement, *found)


def _family(package: Locked) -> str:
    """The one platform that all archives of a package are for, or nothing."""
    tags = [wheel.removesuffix(".whl").rpartition("-")[2] for wheel in package.wheels]
    found = {next((f for f in _FAMILIES if tag.startswith(f)), "") for tag in tags}
    names = {_FAMILIES.get(family, ("",))[0] for family in found}
    return "" if package.is_built or len(names) != 1 else found.pop()


def _told(requirement: Requirement, platform: str, name: str) -> Finding:
    return findings.warning(
        "other-platform",
        f"`{requirement.text}` has archives for {name} alone, and is wanted everywhere",
        requirement.origin,
        f"`{requirement.text} ; sys_platform == '{platform}'`",
    )


Graph = Mapping[str, tuple[Locked, ...]]


def direct_only(imported: ImportedRequirements, lockfile: str) -> ImportedRequirements:
    """`imported` without the exact pins that another of its requirements brings along anyway.

    They become pins of a first lockfile. `lockfile` is the text of a uv.lock of all of `imported`;
    a need with a marker does not count, since it does not hold everywhere. Raises UsageError for
    what is no lockfile.
    """
    graph = packages(lockfile)
    brought = {"": _brought(imported.dependencies, (), graph)}
    for name, entries in imported.groups.items():
        brought[name] = _brought(entries, imported.dependencies, graph)
    return replace(
        imported,
        dependencies=tuple(e for e in imported.dependencies if e not in brought[""]),
        groups={
            n: tuple(e for e in es if e not in brought[n]) for n, es in imported.groups.items()
        },
        pins=(*imported.pins, *(_pin(entry) for entries in brought.values() for entry in entries)),
    )


def _brought(
    entries: Iterable[Entry], base: Iterable[Requirement], graph: Graph
) -> list[Requirement]:
    own = [entry for entry in entries if isinstance(entry, Requirement)]
    bringing = [r for r in (*base, *own) if not r.marker]
    needs = functools.partial(_needs, graph=graph)
    reached = [{*reachable(_nodes(requirement), needs)} for requirement in bringing]
    found = []
    for requirement in filter(_is_plain_pin, own):
        nodes = _nodes(requirement)
        back = {*reachable(nodes, needs)}
        for other, from_there in zip(bringing, reached, strict=True):
            # Of packages that need each other, the first in the file stays.
            is_first = other.origin < requirement.origin or not back.issuperset(_nodes(other))
            if other.name != requirement.name and from_there.issuperset(nodes) and is_first:
                found.append(requirement)
                break
    return found


def _is_plain_pin(requirement: Requirement) -> bool:
    is_plain = requirement.source is None and not requirement.marker
    return is_plain and pinned_version(requirement) is not None


def _nodes(requirement: Requirement) -> set[Node]:
    extras = map(canonicalize_name, requirement.extras)
    return {(requirement.name or "", extra) for extra in ("", *extras)}


def _needs(node: Node, graph: Graph) -> set[Node]:
    """What every locked version of a package needs."""
    name, extra = node
    needs = [set(package.needs.get(extra, ())) for package in graph.get(name, ())]
    return set.intersection(*needs) if needs else set()


def _pin(requirement: Requirement) -> Pin:
    return Pin(
        name=requirement.name or "",
        version=pinned_version(requirement) or "",
        origin=requirement.origin,
        hashes=requirement.hashes,
    )
