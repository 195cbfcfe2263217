"""The first lockfile of an import: old versions kept where that is possible, and proved."""

import sys
from collections.abc import Mapping

from uvflow.files import read_bytes, write_whole
from uvflow.findings import Severity
from uvflow.migrate import lock_fallback, pins, pyproject
from uvflow.migrate.model import ImportedRequirements, Pin, Requirement
from uvflow.migrate.pins import Comparison
from uvflow.migrate.plan import Done, Plan, needs_user
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Uv


def write_lockfile(
    work: Plan, *, uv: Uv, environ: Mapping[str, str], progress: Progress = no_progress
) -> Done:
    """Write uv.lock for `work`, whose pyproject.toml is written, and compare it with the old files.

    Where the old versions fit together for some Pythons only, and nobody has said which are wanted,
    pyproject.toml is narrowed to these. Raises UvFailedError where there is no solution,
    ImportNeedsUserError where a hash differs.
    """
    if work.seed:
        write_whole(work.root / LOCKFILE, work.seed.encode())
    ended = uv.run(("lock",), cwd=work.root, environ=environ)
    if ended.code != 0:
        work = lock_fallback.retry(work, ended, uv=uv, environ=environ, progress=progress)
    kept = _compared(work)
    if any(moved.new for moved in kept.moved):
        kept = _locked_by_constraints(work, uv, environ) or kept
    proof = pins.check_hashes(work.imported, _text(work))
    mismatches = tuple(f for f in proof.findings if f.severity is Severity.ERROR)
    if mismatches:
        raise needs_user(mismatches)
    found = pins.single_platform_findings(work.imported, _text(work), sys.platform)
    return Done(plan=work.told(*found), pins=kept, hashes=proof)


def _text(work: Plan) -> str:
    return read_bytes(work.root / LOCKFILE).decode()


def _compared(work: Plan) -> Comparison:
    return pins.compare_pins(work.imported.pins, _text(work))


def _locked_by_constraints(work: Plan, uv: Uv, environ: Mapping[str, str]) -> Comparison | None:
    """What becomes of the pins by documented means, should a uv ever not take a first lockfile.

    None, and the lockfile as it was, where there is no such solution: a pin may be gone for good.
    """
    manifest, lockfile = work.root / MANIFEST, work.root / LOCKFILE
    first = read_bytes(lockfile)
    hard = pyproject.edit(work.text, ImportedRequirements(constraints=_hard(work.imported.pins)))
    write_whole(manifest, hard.text.encode())
    lockfile.unlink()
    is_found = uv.capture(("lock",), cwd=work.root, environ=environ).code == 0
    write_whole(manifest, work.text.encode())
    if is_found and uv.capture(("lock",), cwd=work.root, environ=environ).code == 0:
        return _compared(work)
    write_whole(lockfile, first)
    return None


def _hard(kept: tuple[Pin, ...]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(text=text, name=pin.name, origin=pin.origin)
        for pin, text in zip(kept, pins.as_constraints(kept), strict=True)
    )
