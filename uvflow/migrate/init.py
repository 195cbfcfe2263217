"""`uvflow init`: read, plan, carry out or put everything back."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from uvflow.environment.context import SyncContext
from uvflow.environment.sync import SyncResult, finish, sync_locked
from uvflow.errors import DiskError, NetworkError, UvFailedError
from uvflow.files import claim, write_whole
from uvflow.migrate.lock import write_lockfile
from uvflow.migrate.plan import Done, InitOptions, Plan
from uvflow.migrate.planner import make_plan
from uvflow.migrate.report import accounted
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.manifest import Project
from uvflow.project.profiles import Choice
from uvflow.state import backup, locks
from uvflow.state.store import Progress, State, no_progress
from uvflow.uv import Uv


def init(root: Path, request: InitOptions, *, uv: Uv, progress: Progress = no_progress) -> Done:
    """Make `root` a locked uv project with an environment; on any failure it is as it was.

    `root` is absolute and real. Raises ImportNeedsUserError (1) with every line that needs a
    decision, UvFailedError (1), UsageError (2), BusyError (6), DiskError (8).
    """
    state = State.of(root)
    with locks.mutex(state, "uvflow init", timeout=request.timeout, progress=progress):
        backup.recover(state, progress)
        work = make_plan(root, request, uv=uv, progress=progress)
        if work.is_there:
            return Done(plan=work)
        with accounted(work.imported):
            if work.environment:  # what runs in it is not to lose its packages
                locks.await_leases(
                    state, work.environment, timeout=request.timeout, progress=progress
                )
            return _carry_out(work, request, state=state, uv=uv, progress=progress)


def _carry_out(
    work: Plan, request: InitOptions, *, state: State, uv: Uv, progress: Progress
) -> Done:
    environ = {**work.profile.environ(os.environ), **work.imported.credentials}
    changed = {change.path for change in work.changes}
    done = Done(plan=work)
    with backup.restored_on_failure(
        state,
        files=(work.root / MANIFEST, work.root / LOCKFILE),
        trees=_trees(work),
        built=_built(work),
    ) as set_aside:
        if work.before is None:
            claim(work.root / MANIFEST)  # from here on there is a project to recover
        if MANIFEST in changed:
            write_whole(work.root / MANIFEST, work.text.encode())
        if LOCKFILE in changed:
            done = write_lockfile(work, uv=uv, environ=environ, progress=progress)
        if not work.environment:
            return done
        set_aside()
        decided = SyncContext.of(Project.load(work.root), Choice(profile=work.profile))
        decided = replace(decided, environ=environ)
        synced = _sync(decided, done, uv, timeout=request.timeout, progress=progress)
    with contextlib.suppress(DiskError):  # then the next sync is a real one
        finish(decided, synced)
    return done


def _trees(work: Plan) -> tuple[Path, ...]:
    """The environment; but an installation that uv is told to use, or a volume, is not to move."""
    path = work.environment
    if path is None or os.path.ismount(path):  # Python 3.11 has no is_mount on Windows
        return ()
    is_foreign = path.exists() and any(path.iterdir()) and not _is_environment(path)
    return () if is_foreign else (path,)


def _is_environment(path: Path) -> bool:
    return (path / "pyvenv.cfg").exists()


def _built(work: Plan) -> tuple[Path, ...]:
    """The directories in which a build may leave its traces: the project's and local sources."""
    entries = (
        e for e in work.imported.sources.values() for e in (e if isinstance(e, list) else [e])
    )
    local = (work.root / str(entry["path"]) for entry in entries if "path" in entry)
    roots = (work.root, *(path for path in local if path.is_dir()))
    return (*roots, *(root / "src" for root in roots))


def _sync(
    work: SyncContext, done: Done, uv: Uv, *, timeout: float, progress: Progress
) -> SyncResult:
    try:
        return sync_locked(work, uv, timeout=timeout, progress=progress)
    except (UvFailedError, NetworkError) as error:
        markers = [f"{f.origin} {f.hint}" for f in done.findings if f.code == "other-platform"]
        hint = "`--no-sync` leaves the environment for later"
        hint += f"; what is for another platform has to say so: {', '.join(markers)}" * bool(
            markers
        )
        raise error.with_context(cause="everything is as it was before", hint=hint) from error
