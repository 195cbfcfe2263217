"""The first lockfile of an import: old versions are kept where possible, and compared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from uvflow import findings
from uvflow.errors import NetworkError
from uvflow.files import read_bytes
from uvflow.findings import Severity
from uvflow.migrate import lock_fallback, pins, pyproject
from uvflow.migrate.evidence import admits_python
from uvflow.migrate.model import ImportedRequirements
from uvflow.migrate.pins import Comparison
from uvflow.migrate.plan import Change, InitResult, Plan
from uvflow.migrate.report import needs_user_error
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.state.backup import ReversibleChange
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Uv, failure_of

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

    Where the old versions fit together for one Python only, and no file declares which are
    supported, pyproject.toml is narrowed to that one. Raises UvFailedError where uv finds no
    solution, ImportNeedsUserError where a hash differs.
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
    """Attempts to lock `plan`, in its own directory: sources may be relative to the project.

    `before` is the uv.lock that each attempt starts with, whose versions uv prefers: the old pins,
    or an older lockfile; empty for none.
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

    def lock(self, manifest: str, lockfile: bytes) -> str | None:
        """Put these files in place and lock; returns uv's error, None where it has locked."""
        self.write(manifest, lockfile)
        with self.files.uv_at_work(self.plan.root / LOCKFILE):
            completed = self._ask("lock")
        if completed.code != 0:
            return lock_fallback.reason_in(completed.err)
        self.files.adopt(self.plan.root / LOCKFILE)
        return None

    def python(self) -> int | None:
        """The minor version of the Python 3 that uv chooses for the project."""
        wanted = self.environ.get("UV_PYTHON")  # which `uv python find` ignores
        arguments = ["python", "find", "--show-version"]
        if wanted:
            arguments += ["--", wanted]
        found = self._ask(*arguments)
        match = re.match(r"3\.(\d+)", found.out)
        return int(match[1]) if match and found.code == 0 else None

    def _ask(self, *arguments: str) -> Completed:
        return self.uv.capture(arguments, cwd=self.plan.root, environ=self.environ)


def _keep_more_pins(locking: Locking, plan: Plan, first: Comparison) -> Comparison:
    """Lock with the pins as constraints, and then without; the better of both comparisons.

    uv only prefers what a first lockfile has: it moves a pin where the newest version of a package
    without one needs that, though an older version would fit. A pin that uv names as impossible is
    left out, for the sake of the others.
    """
    locking = replace(locking, before=locking.lockfile)
    demanded = [moved.pin for moved in first.moved if moved.new]
    for _ in range(_MOST_ROUNDS):
        constraints = tuple(pin.requirement for pin in (*first.kept, *demanded))
        imported = ImportedRequirements(constraints=constraints)
        refusal = locking.lock(pyproject.edit(plan.text, imported), locking.before)
        if refusal is None:
            break
        blamed = [pin.name for pin in demanded if lock_fallback.is_named(pin.name, refusal)]
        if not blamed:
            break
        demanded = [pin for pin in demanded if pin.name != blamed[0]]
    if refusal is None and locking.lock(plan.text, locking.lockfile) is None:
        second = pins.compare_pins(plan.imported.pins, locking.lockfile)
        if len(second.kept) > len(first.kept):
            return second
    locking.write(plan.text, locking.before)
    return first


def _retry(locking: Locking, failed: Completed, progress: Progress) -> Plan:
    """Lock again with what may help; returns the plan whose lockfile is written.

    Raises UvFailedError where nothing helps, or where it is not for uvflow to choose.
    """
    plan, refusal = locking.plan, lock_fallback.reason_in(failed.err) or None
    if refusal is None:  # a terminal has got it from uv itself
        refusal = locking.lock(plan.text, locking.before)
    if refusal is None:
        return plan
    failure = failure_of(failed._replace(err=failed.err or refusal), "uv lock")
    if isinstance(failure, NetworkError):
        raise failure.with_context(cause=None, hint=_WITHOUT_LOCK)
    is_behind_login = failure.hint is not None  # and not missing
    older = None if is_behind_login else with_build_constraint(plan, refusal, progress)
    if older:
        again = locking.lock(older.text, locking.before)
        if again is None:
            progress("uv's error above is settled by that")  # the terminal has it already
            return older
        for line in again.splitlines():
            progress(line)
        return _retry(replace(locking, plan=older), failed._replace(err=again), progress)
    if plan.may_narrow and not is_behind_login and lock_fallback.is_about_pythons(refusal):
        narrowed = _lock_for_one_python(locking, progress)
        if narrowed:
            return narrowed
    missing = [] if is_behind_login else _missing_packages(locking, refusal)
    cause = lock_fallback.failure_cause(refusal, missing, plan.imported)
    hint = failure.hint or lock_fallback.failure_hint(refusal, missing) or _WITHOUT_LOCK
    raise failure.with_context(cause=cause, hint=hint)


def with_build_constraint(plan: Plan, output: str, progress: Progress) -> Plan | None:
    """`plan` with a build constraint for the old sdist that failed to build, by uv's `output`.

    None where no constraint is known to help, or where pyproject.toml has it already.
    """
    constraint = lock_fallback.build_constraint(output)
    if constraint is None:
        return None
    settings = {"build-constraint-dependencies": [constraint]}
    text = pyproject.edit(plan.text, ImportedRequirements(settings=settings))
    if text == plan.text:
        return None
    name = lock_fallback.unbuilt_package(output)
    progress(f"Looking whether {name} builds with {constraint}")
    message = f"every build gets {constraint} from now on: {name} does not build with a later one"
    hint = "ask for a version that has a wheel, then remove it from build-constraint-dependencies"
    plan = plan.with_findings(findings.warning("build-constrained", message, None, hint))
    changes = plan.changes
    if all(change.path != MANIFEST for change in changes):
        changes = (Change(path=MANIFEST, action="edit"), *changes)
    return replace(plan, text=text, changes=changes)


def _missing_packages(locking: Locking, refusal: str) -> list[str]:
    """The packages that no index has as they are required.

    uv stops at the first: each is taken out, by an override that never applies, for the next.
    """
    missing: list[str] = []
    following: str | None = refusal
    while following is not None and len(missing) < _MOST_ROUNDS:
        name = lock_fallback.missing_package(following)
        if name is None or name in missing:
            break
        missing.append(name)
        settings = {"override-dependencies": [f"{one} ; python_version < '0'" for one in missing]}
        manifest = pyproject.edit(locking.plan.text, ImportedRequirements(settings=settings))
        following = locking.lock(manifest, locking.before)
    return missing


def _lock_for_one_python(locking: Locking, progress: Progress) -> Plan | None:
    """The plan for no other Python than the one that uv chooses; None if that does not lock."""
    plan, minor = locking.plan, locking.python()
    declared = plan.values["project"].get("requires-python", "")
    if minor is None or not admits_python(declared, (3, minor)):
        return None
    pythons = f">=3.{minor},<3.{minor + 1}"
    progress(f"Looking whether these versions fit together for Python {pythons}")
    text = pyproject.with_python(plan.text, pythons)
    if locking.lock(text, locking.before) is not None:
        return None
    # The terminal has uv's own output already.
    progress(f"uv's error above is settled: these versions fit for Python {pythons}")
    message = f"requires-python is {pythons}, and not {declared}: the requested versions conflict"
    message += " on other Pythons"
    hint = "relax the pins that conflict, then widen it in pyproject.toml"
    finding = findings.action("python-narrowed", message, None, hint)
    return replace(plan, text=text).with_findings(finding)
