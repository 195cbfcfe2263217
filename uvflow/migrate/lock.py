"""The first lockfile of an import: old versions kept where that is possible, and verified."""

import sys
from collections.abc import Mapping

from uvflow.files import read_bytes, write_whole
from uvflow.findings import Severity
from uvflow.migrate import lock_fallback, pins, pyproject
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.migrate.pins import Comparison
from uvflow.migrate.plan import InitResult, Plan
from uvflow.migrate.report import needs_user_error
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Uv


def write_lockfile(
    plan: Plan, *, uv: Uv, environ: Mapping[str, str], progress: Progress = no_progress
) -> InitResult:
    """Write uv.lock for `plan`, whose pyproject.toml is written, and compare it with the old files.

    Where the old versions fit together for some Pythons only, and none are declared, pyproject.toml
    is narrowed to these. Raises UvFailedError where uv finds no solution, ImportNeedsUserError
    where a hash differs.
    """
    if plan.seed:
        write_whole(plan.root / LOCKFILE, plan.seed.encode())
    first = uv.run(("lock",), cwd=plan.root, environ=environ)
    if first.code != 0:
        plan = lock_fallback.retry(plan, first, uv=uv, environ=environ, progress=progress)
    compared = _comparison(plan)
    if any(moved.new for moved in compared.moved):
        compared = _lock_by_constraints(plan, uv, environ) or compared
    hashes = pins.check_hashes(plan.imported, _lockfile_text(plan))
    mismatches = tuple(f for f in hashes.findings if f.severity is Severity.ERROR)
    if mismatches:
        raise needs_user_error(mismatches)
    platform = pins.single_platform_findings(plan.imported, _lockfile_text(plan), sys.platform)
    return InitResult(plan=plan.with_findings(*platform), pins=compared, hashes=hashes)


def _lockfile_text(plan: Plan) -> str:
    return read_bytes(plan.root / LOCKFILE).decode()


def _comparison(plan: Plan) -> Comparison:
    return pins.compare_pins(plan.imported.pins, _lockfile_text(plan))


def _lock_by_constraints(plan: Plan, uv: Uv, environ: Mapping[str, str]) -> Comparison | None:
    """What becomes of the pins by documented means, should a uv ever ignore a first lockfile.

    None, and the lockfile as it was, where uv finds no such solution: a pin may be gone for good.
    """
    manifest, lockfile = plan.root / MANIFEST, plan.root / LOCKFILE
    before = read_bytes(lockfile)
    old = plan.imported.pins
    constraints = tuple(
        Requirement(text=text, name=pin.name, origin=pin.origin)
        for pin, text in zip(old, pins.as_constraints(old), strict=True)
    )
    edited = pyproject.edit(plan.text, ImportedRequirements(constraints=constraints))
    write_whole(manifest, edited.text.encode())
    lockfile.unlink()
    is_solved = uv.capture(("lock",), cwd=plan.root, environ=environ).code == 0
    write_whole(manifest, plan.text.encode())
    if is_solved and uv.capture(("lock",), cwd=plan.root, environ=environ).code == 0:
        return _comparison(plan)
    write_whole(lockfile, before)
    return None
