"""The first lockfile of an import: old versions kept where that is possible, and verified.

uv stops at the first index that has a name, so that nobody can publish a package under the name of
a private one (uv docs, "Searching across multiple indexes"); pip takes the best version of all. So
where uv finds no solution the other indexes are tried, and then fewer Pythons.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uvflow import findings
from uvflow.errors import NetworkError
from uvflow.files import read_bytes
from uvflow.findings import Severity
from uvflow.lockfile.packages import parse_lockfile
from uvflow.migrate import lock_fallback, pins, pyproject
from uvflow.migrate.indexes import PYPI, is_pypi
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.migrate.pins import Comparison
from uvflow.migrate.plan import InitResult, Plan
from uvflow.migrate.report import needs_user_error
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.state.backup import ReversibleChange
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Streamed, Uv

_SETTLED = "uv's error above is settled"  # its output has gone to the terminal already
_MOST_ROUNDS = 30  # times that uv names one more package
_WITHOUT_LOCK = "`--no-lock` writes pyproject.toml only, to try it with uv"


def write_lockfile(
    plan: Plan,
    *,
    uv: Uv,
    environ: Mapping[str, str],
    files: ReversibleChange,
    progress: Progress = no_progress,
) -> InitResult:
    """Write uv.lock for `plan`, whose pyproject.toml is written, and compare it with the old files.

    Where the old versions fit together for some Pythons only, and none are declared, pyproject.toml
    is narrowed to these. Raises UvFailedError where uv finds no solution, ImportNeedsUserError
    where a hash differs.
    """
    path = plan.root / LOCKFILE
    if plan.seed:
        files.write(path, plan.seed.encode())
    before = read_bytes(path) if path.exists() else b""
    locking = Locking(plan=plan, uv=uv, environ=environ, files=files, before=before)
    with files.uv_at_work(path):
        first = uv.run(("lock",), cwd=plan.root, environ=environ)
    if first.code == 0:
        files.adopt(path)
    else:
        plan = _retry(locking, first, progress)
    compared = pins.compare_pins(plan.imported.pins, locking.lockfile)
    if any(moved.new for moved in compared.moved):
        compared = _keep_more_pins(locking, plan, compared)
    hashes, noticed = pins.check_hashes(plan.imported, locking.lockfile)
    mismatches = tuple(f for f in noticed if f.severity is Severity.ERROR)
    if mismatches:
        raise needs_user_error(mismatches)
    moved = (moved.finding for moved in compared.moved)
    plan = plan.with_findings(*moved, *noticed)
    return InitResult(plan=plan, pins=compared, hashes=hashes)


@dataclass(frozen=True, kw_only=True)
class Locking:
    """Locks `plan` again and again, in place: sources may be relative to the project.

    `before` is the uv.lock to begin with, whose versions uv prefers: the old pins, or an older
    lockfile; empty for none.
    """

    plan: Plan
    uv: Uv
    environ: Mapping[str, str] = field(repr=False)
    files: ReversibleChange = field(repr=False)
    before: bytes = field(repr=False)

    @property
    def lockfile(self) -> bytes:
        """The uv.lock as it is now."""
        return read_bytes(self.plan.root / LOCKFILE)

    def write(self, manifest: str, lockfile: bytes) -> None:
        self.files.write(self.plan.root / MANIFEST, manifest.encode())
        self.files.write(self.plan.root / LOCKFILE, lockfile or None)

    def lock(self, manifest: str, lockfile: bytes, *options: str) -> str | None:
        """Why uv does not lock these files, once they are in place; None where it has."""
        self.write(manifest, lockfile)
        with self.files.uv_at_work(self.plan.root / LOCKFILE):
            completed = self._ask("lock", *options)
        if completed.code != 0:
            return lock_fallback.reason_in(completed.err)
        self.files.adopt(self.plan.root / LOCKFILE)
        return None

    def python(self) -> int | None:
        """The minor version of the Python 3 that uv chooses for the project."""
        wanted = self.environ.get("UV_PYTHON")  # which `uv python find` ignores
        found = self._ask("python", "find", "--show-version", *(("--", wanted) if wanted else ()))
        match = re.match(r"3\.(\d+)", found.out)
        return int(match[1]) if match and found.code == 0 else None

    def _ask(self, *arguments: str) -> Completed:
        return self.uv.capture(arguments, cwd=self.plan.root, environ=self.environ)


def _keep_more_pins(locking: Locking, plan: Plan, first: Comparison) -> Comparison:
    """The comparison after pins that moved were constraints for a while, if more are kept by that.

    uv only prefers what a first lockfile has: it moves a pin where the newest version of a package
    without one needs that, though an older version would fit. A pin that is impossible is dropped,
    as uv names it, for the sake of the others.
    """
    before = locking.lockfile
    demanded = [moved.pin for moved in first.moved if moved.new]
    for _ in range(_MOST_ROUNDS):
        constraints = tuple(pin.requirement for pin in (*first.kept, *demanded))
        edited = pyproject.edit(plan.text, ImportedRequirements(constraints=constraints))
        refusal = locking.lock(edited, before)
        named = (pin for pin in demanded if lock_fallback.is_named(pin.name, refusal or ""))
        impossible = next(named, None)
        demanded = [pin for pin in demanded if pin is not impossible]
        if not (impossible and demanded):
            break
    if refusal is None and locking.lock(plan.text, locking.lockfile) is None:
        second = pins.compare_pins(plan.imported.pins, locking.lockfile)
        if len(second.kept) > len(first.kept):
            return second
    locking.write(plan.text, before)
    return first


def _retry(locking: Locking, failed: Streamed, progress: Progress) -> Plan:
    """The plan, changed so that it has a lockfile, which is written by then.

    That is with all its indexes, or for some Pythons. Raises UvFailedError where
    neither helps, or where it is not for uvflow to choose.
    """
    plan, refusal = locking.plan, lock_fallback.reason_in(failed.output) or None
    if refusal is None:  # a terminal has got it from uv itself
        refusal = locking.lock(plan.text, locking.before)
    if refusal is None:
        return plan
    failure = failed._replace(output=failed.output or refusal).failure("uv lock")
    if isinstance(failure, NetworkError):
        raise failure.with_context(cause=None, hint=_WITHOUT_LOCK)
    is_behind_login = failure.hint is not None  # and not missing
    if lock_fallback.is_about_versions(refusal) and not is_behind_login:
        pinned = pin_to_index(locking)
        if pinned:
            reason = "these versions are not all on the first index that has their name"
            progress(f"{_SETTLED}: {reason}")
            return pinned
        if plan.may_narrow and lock_fallback.is_about_pythons(refusal):
            narrowed, first = _for_fewer_pythons(locking, progress)
            if narrowed:
                return narrowed
            refusal = first or refusal
    missing = {} if is_behind_login else _missing_packages(locking, refusal)
    if missing:
        lines = ", ".join(lock_fallback.wanted_lines(missing, plan.imported))
        cause: str | None = f"uv finds no version for {lines}"
    else:
        lines = ", ".join(lock_fallback.blamed_lines(refusal, plan.imported))
        cause = f"uv's error is about {lines}" if lines else None
    said = "\n".join([*missing.values(), refusal])
    hint = failure.hint or lock_fallback.failure_hint(said, missing) or _WITHOUT_LOCK
    raise failure.with_context(cause=cause, hint=hint)


def _missing_packages(locking: Locking, refusal: str) -> Mapping[str, str]:
    """The packages that no index has as they are required, each with what uv printed about it.

    uv stops at the first; so each is taken out, by an override that holds nowhere, for the next.
    """
    missing: dict[str, str] = {}
    while name := lock_fallback.missing_package(refusal):
        if name in missing or len(missing) == _MOST_ROUNDS:
            break
        missing[name] = refusal
        settings = {"override-dependencies": [f"{n} ; python_version < '0'" for n in missing]}
        text = pyproject.edit(locking.plan.text, ImportedRequirements(settings=settings))
        refusal = locking.lock(text, locking.before) or ""
    return missing


# More indexes: a source for each package that is not on the first index that has its name.

_STOPPED_AT = re.compile(r"`([\w.-]+)` was found on \S+, but not at the requested version")
_PYPI = {"name": "pypi", "url": PYPI, "default": True}  # where uv looks last by default


def pin_to_index(locking: Locking) -> Plan | None:
    """The plan with a source for each package that uv misses; None where that is not enough.

    Where they are is found by a search on all indexes. uv begins each time with the uv.lock of
    before: where it has one that fits, it does not look at the indexes again.
    """
    plan, everywhere = locking.plan, "--index-strategy=unsafe-first-match"
    if all("explicit" in index for index in plan.imported.indexes):
        return None
    if locking.lock(plan.text, locking.before, everywhere) is not None:
        return None
    urls = parse_lockfile(locking.lockfile).registries
    indexes = (*plan.imported.indexes, *((_PYPI,) if any(map(is_pypi, urls.values())) else ()))
    # Where uv.lock has the packages from that can be given a source: direct requirements.
    direct = {r.name for r in plan.imported.requirements if r.name and r.source is None}
    available = {
        name: index
        for name in direct & urls.keys()
        for index in reversed(indexes)
        if _is_same(str(index["url"]), urls[name], plan.root)
    }
    missing: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        pinned = _with_sources(plan, {name: available[name] for name in missing})
        refusal = locking.lock(pinned.text, locking.before)
        if refusal is None:
            return pinned
        names = {*_STOPPED_AT.findall(refusal)} & available.keys() - missing
        if not names:
            return None
        missing |= names
    return None


def _is_same(url: str, locked: str, root: Path) -> bool:
    """uv.lock has the path of an index that is a directory: relative to `root`, by uv 0.9.0."""
    if "://" in locked:
        return url.rstrip("/") == locked.rstrip("/")
    return os.path.normpath(root / url.removeprefix("file://")) == os.path.normpath(root / locked)


def _with_sources(plan: Plan, missing: Mapping[str, Mapping[str, Any]]) -> Plan:
    """`plan` with the index that each of the `missing` packages is to come from."""

    def with_source(requirement: Requirement) -> Requirement:
        index = missing.get(requirement.name or "")
        return replace(requirement, source={"index": index["name"]}) if index else requirement

    pypi = (_PYPI,) if _PYPI in missing.values() else ()
    indexes = (*plan.imported.indexes, *pypi)
    imported = replace(plan.imported.with_each(with_source), indexes=indexes)
    lists = ImportedRequirements(
        dependencies=imported.dependencies, groups=imported.groups, indexes=indexes
    )
    bound = (
        findings.warning(
            "index-bound",
            f"`{r.text}` is not on the first index that has the name; it is pinned to"
            f" {index['url']}",
            r.origin,
            f"if that is the wrong index, change `{r.name}` in [tool.uv.sources]",
        )
        for r in imported.requirements
        if (index := missing.get(r.name or ""))
    )
    text = pyproject.edit(plan.text, lists)
    return replace(plan, text=text, imported=imported).with_findings(*bound)


# Fewer Pythons: a range for which there is a solution.


def _for_fewer_pythons(locking: Locking, progress: Progress) -> tuple[Plan | None, str]:
    """The plan for Pythons for which uv can lock it, if any; and its first refusal."""
    here = locking.python()
    if here is None:
        return None, ""
    progress("Looking for the Pythons for which these versions fit together")
    declared = locking.plan.values["project"].get("requires-python", "")
    solved: dict[str, tuple[Plan, bytes]] = {}
    refusals: list[str] = []

    def can_lock(pythons: str) -> bool:
        if refusals and not lock_fallback.is_about_versions(refusals[-1]):
            return False  # what cannot be built or fetched is so for every range
        plan = locking.plan
        seed = plan.seed and pins.seed_lockfile(plan.imported, pythons)
        plan = replace(plan, text=pyproject.with_python(plan.text, pythons), seed=seed)
        refusal = locking.lock(plan.text, seed.encode() or locking.before)
        if refusal is None:
            solved[pythons] = plan, locking.lockfile
        else:
            refusals.append(refusal)
        return refusal is None

    pythons = lock_fallback.fewer_pythons(declared, here, can_lock)
    refusal = refusals[0] if refusals else ""
    if pythons is None:
        return None, refusal
    progress(f"{_SETTLED}: these versions fit together for Python {pythons}")
    plan, lockfile = solved[pythons]
    locking.write(plan.text, lockfile)
    narrowed = [lock_fallback.narrowing_finding(declared, pythons)] if pythons != declared else []
    return plan.with_findings(*narrowed), refusal
