"""`uvflow init`: read, plan, then carry out the plan or put everything back."""

import contextlib
import os
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment, python_version
from uvflow.environment.sync import SyncResult, finish, sync_locked
from uvflow.errors import DiskError, NetworkError, UsageError, UvFailedError, UvflowError
from uvflow.files import claim, is_inside, read_bytes
from uvflow.migrate import planner
from uvflow.migrate.lock import with_build_constraint, write_lockfile
from uvflow.migrate.plan import InitOptions, InitResult, Plan
from uvflow.migrate.report import error_as_json
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.manifest import Project
from uvflow.project.profiles import Choice
from uvflow.state import backup, journal, locks
from uvflow.state.backup import ReversibleChange
from uvflow.state.locks import Mutex
from uvflow.state.store import Progress, State, no_progress
from uvflow.uv import Uv, find

_WAY_OUT = "`--no-sync` skips the environment, `--fresh` the versions that were in the old one"


def init(
    root: Path,
    options: InitOptions,
    *,
    uv: Uv,
    progress: Progress = no_progress,
    announce: Progress = no_progress,
) -> InitResult:
    """Make `root` a locked uv project with an environment; on any failure it is as it was.

    `root` is absolute and real; `announce` gets what may run code of the project. Raises
    ImportNeedsUserError (1) with every line that needs a decision, UvFailedError (1), UsageError
    (2), BusyError (6), DiskError (8).
    """
    if options.dry_run:
        plan = planner.make_plan(root, options, uv=uv, announce=announce)
        return InitResult(plan=plan, is_dry_run=True)
    state = State.of(root)
    with locks.mutex(state, "uvflow init", timeout=options.timeout, progress=progress) as mutex:
        backup.recover(state, progress)
        plan = planner.make_plan(root, options, uv=uv, announce=announce)
        if plan.is_already_locked or not (plan.changes or plan.environment):
            return InitResult(plan=plan)  # and `undo` goes on being for the one before
        try:
            return _carry_out(plan, uv, mutex, progress=progress, announce=announce)
        except UvflowError as error:
            error.data = error_as_json(error, plan.imported)
            raise


def _carry_out(
    plan: Plan, uv: Uv, mutex: Mutex, *, progress: Progress, announce: Progress
) -> InitResult:
    if plan.environment:  # a command that runs in it must not lose its packages
        mutex.claim(plan.environment, make=False)
    state = State.of(plan.root)
    files = backup.restored_on_failure(
        state,
        files=(plan.root / MANIFEST, plan.root / LOCKFILE),
        trees=(plan.tree,) if plan.tree else (),
        built=plan.source_directories,
        progress=announce,
    )
    is_locked = False
    try:
        with files as change:
            result = _write_files(plan, uv, change, progress)
            is_locked = True
            if not plan.environment:
                return result
            if not plan.in_place:
                change.set_aside_trees()
            if not Path(uv.path).exists():
                uv = find()  # it was in the environment that was set aside
            result, context, synced = _sync(
                result, plan, uv, mutex, change=change, progress=progress
            )
    except (UvFailedError, NetworkError) as error:
        causes = [error.cause] if error.cause and not is_locked else []
        if change.is_put_back:
            is_changed = is_locked and plan.in_place
            unchanged = f"everything but {plan.environment}" if is_changed else "everything"
            causes.append(f"{unchanged} is as it was before")
        hint = _WAY_OUT if is_locked else error.hint
        raise error.with_context(cause="; ".join(causes) or None, hint=hint) from error
    with contextlib.suppress(DiskError):  # then the next sync is a real one
        finish(context, synced)
        journal.record_profile(state, context.profile.name)
    return result


def _write_files(plan: Plan, uv: Uv, change: ReversibleChange, progress: Progress) -> InitResult:
    manifest = plan.root / MANIFEST
    paths = {each.path for each in plan.changes}
    if plan.before is None:
        claim(manifest)  # from here on there is a project to recover
    if read_bytes(manifest) != (plan.before or "").encode():
        raise UsageError(f"{manifest} was changed while `uvflow init` was at work")
    if MANIFEST in paths:
        change.write(manifest, plan.text.encode())
    if LOCKFILE in paths:
        return write_lockfile(plan, uv=uv, environ=_environ(plan), files=change, progress=progress)
    return InitResult(plan=plan)


def _environ(plan: Plan) -> dict[str, str]:
    return {**plan.profile.environ(os.environ), **plan.imported.credentials}


def _sync(  # noqa: PLR0913  one caller
    result: InitResult,
    plan: Plan,
    uv: Uv,
    mutex: Mutex,
    *,
    change: ReversibleChange,
    progress: Progress,
) -> tuple[InitResult, SyncContext, SyncResult]:
    """Sync what was locked for `plan`; lock and sync again where an old sdist does not build."""
    context = SyncContext.of(Project.load(plan.root), Choice(profile=plan.profile))
    context = context._replace(environ={**_environ(plan), **_python_of_old(result.plan)})
    try:
        return result, context, sync_locked(context, uv, mutex, progress=progress)
    except UvFailedError as error:
        # The lock may have needed no build, but the metadata of a wheel for another Python.
        older = with_build_constraint(plan, error.output, progress)
        if older is None:
            raise
    change.write(plan.root / MANIFEST, older.text.encode())
    result = write_lockfile(older, uv=uv, environ=_environ(older), files=change, progress=progress)
    return _sync(result, older, uv, mutex, change=change, progress=progress)


def _python_of_old(plan: Plan) -> dict[str, str]:
    """UV_PYTHON for the Python of the environment before, unless another is chosen or required."""
    is_chosen = plan.profile.python or os.environ.get("UV_PYTHON")
    if plan.aside is None or is_chosen or (plan.root / ".python-version").exists():
        return {}
    environment = Environment(plan.aside)
    version, python = python_version(environment), environment.scripts / "python"
    if version is None or not python.exists() or is_inside(python, plan.root):
        return {}  # a file of the project is not started for this
    with contextlib.suppress(InvalidSpecifier):
        if version in SpecifierSet(plan.values["project"].get("requires-python", "")):
            return {"UV_PYTHON": os.path.realpath(python)}
    return {}
