"""A list of everything that was installed → what is wanted of it, and pins for the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from packaging.utils import canonicalize_name

from uvflow.imports.lockfile import Locked, Node, packages
from uvflow.imports.merge import Entry, pinned_version
from uvflow.imports.model import Import, Pin, Requirement

Graph = Mapping[str, tuple[Locked, ...]]


def direct_only(imported: Import, lockfile: str) -> Import:
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
    reached = [_reached(_nodes(requirement), graph) for requirement in bringing]
    found = []
    for requirement in filter(_is_plain_pin, own):
        nodes = _nodes(requirement)
        back = _reached(nodes, graph)
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


def _reached(start: Iterable[Node], graph: Graph) -> set[Node]:
    found, waiting = set[Node](), list(start)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += _needs(node, graph)
    return found


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
