"""Packages bound to the index that has their version, where uv would stop at an earlier one.

uv stops at the first index that has a name, so that nobody's package comes in by the name of one's
own (uv docs, "Searching across multiple indexes"); pip takes the best version of all. A source says
of one package alone where it is, and leaves that guard up for all others.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from uvflow import pyproject
from uvflow.files import Before, read_bytes, write_whole
from uvflow.imports.indexes import PYPI, is_pypi
from uvflow.imports.lockfile import registries
from uvflow.imports.model import Finding, Import, Requirement, Severity
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.plan import Plan
from uvflow.uv import Uv

_MOST = 20  # times that uv names more packages
_STOPPED_AT = re.compile(r"`([\w.-]+)` was found on \S+, but not at the requested version")
_PYPI = {"name": "pypi", "url": PYPI, "default": True}  # where uv looks last without being told

Index = Mapping[str, Any]


def bound(work: Plan, first: Before, *, uv: Uv, environ: Mapping[str, str]) -> Plan | None:
    """`work` with a source for each package that uv misses; None where that is not enough.

    uv.lock has to be that of a search on all indexes, and `first` is what it was before: where uv
    has one that fits, it does not look at the indexes again.
    """
    found = dict(_found(work))
    missed = dict[str, Index]()
    for _ in range(_MOST):
        bound = _bound(work, missed)
        write_whole(work.root / MANIFEST, bound.text.encode())
        first.put_back()
        answer = uv.ask(("lock",), cwd=work.root, environ=environ)
        if answer.code == 0:
            return bound
        named = set(_STOPPED_AT.findall(answer.err)) & found.keys() - missed.keys()
        if not named:
            return None
        missed |= {name: found[name] for name in named}
    return None


def _found(work: Plan) -> Iterator[tuple[str, Index]]:
    """Where uv.lock has the packages from that a source can speak of: those of the lists."""
    taken = registries(read_bytes(work.root / LOCKFILE).decode())
    for name in {r.name for r in work.imported.requirements if r.name and r.source is None}:
        index = _index_at(taken.get(name, ""), work)
        if index:
            yield name, index


def _index_at(place: str, work: Plan) -> Index | None:
    known = (index for index in work.imported.indexes if _is_same(str(index["url"]), place))
    return next(known, _PYPI if is_pypi(place) else None)


def _is_same(url: str, place: str) -> bool:
    """uv.lock has the path of an index that is a directory."""
    return url.removeprefix("file://").rstrip("/") == place.rstrip("/")


def _bound(work: Plan, missed: Mapping[str, Index]) -> Plan:
    def place(requirement: Requirement) -> Requirement:
        index = missed.get(requirement.name or "")
        return replace(requirement, source={"index": index["name"]}) if index else requirement

    is_new = any(index is _PYPI for index in missed.values())
    indexes = (*work.imported.indexes, *((_PYPI,) if is_new else ()))
    imported = replace(work.imported.with_each(place), indexes=indexes)
    lists = Import(dependencies=imported.dependencies, groups=imported.groups, indexes=indexes)
    text = pyproject.edited(work.text, lists).text
    return replace(work, text=text, imported=imported).told(*_findings(imported, missed))


def _findings(imported: Import, missed: Mapping[str, Index]) -> Iterator[Finding]:
    for requirement in imported.requirements:
        index = missed.get(requirement.name or "")
        if index:
            yield Finding(
                severity=Severity.WARNING,
                code="index-bound",
                message=f"`{requirement.text}` is not on the first index that has the name: it is"
                f" bound to {index['url']}",
                origin=requirement.origin,
                hint=f"should that be a stranger's, change `{requirement.name}` in"
                " [tool.uv.sources]",
            )
