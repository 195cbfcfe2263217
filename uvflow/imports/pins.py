"""Old pins → a first uv.lock, and the proof that the finished one kept them.

A uv.lock of nothing but names, versions and sources makes `uv lock` prefer those versions. That is
seen to work with uv 0.9 to 0.13 and promised nowhere, so what came of it is compared each time.
"""

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.version import Version

from uvflow.imports.indexes import PYPI
from uvflow.imports.lockfile import is_same_version, packages
from uvflow.imports.model import Import, Pin

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


def seed(imported: Import, requires_python: str) -> str:
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


def compare(pins: Iterable[Pin], lockfile: str) -> Comparison:
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


def _registry(name: str, imported: Import) -> str:
    """uv compares it only where a package is taken from an index by its name."""
    source = imported.sources.get(name, {})
    wanted = {entry.get("index") for entry in (source if isinstance(source, list) else [source])}
    urls = (str(index["url"]) for index in imported.indexes if index.get("name") in wanted)
    return next(urls, PYPI)


def _quoted(text: str) -> str:
    return json.dumps(text)  # JSON's strings are TOML's basic strings


def _array(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"
