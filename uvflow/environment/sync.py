"""`uvflow sync`: the protocol from the mutex to the fingerprint (docs/explanation/sync.md)."""

import contextlib
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from uvflow import fingerprint
from uvflow.environment import inputs, repair
from uvflow.environment.context import SyncContext
from uvflow.environment.copies import LocalCopy, find_copies, remember_copies
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import can_be_read_by_uv, missing_basics
from uvflow.environment.interpreter import ensure_uv_targets_environment, remember_use
from uvflow.environment.ownership import discard_set_aside
from uvflow.environment.relocation import relocation_problems
from uvflow.environment.repair import Depth, RepairResult
from uvflow.errors import DamagedError, DiskError, StaleLockfileError, UsageError, UvFailedError
from uvflow.files import require_writable
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Project, canonical_name
from uvflow.project.profiles import Choice
from uvflow.state import backup, journal, locks
from uvflow.state.journal import LastSync
from uvflow.state.locks import DEFAULT_TIMEOUT, Mutex
from uvflow.state.store import OTHER_ENVIRONMENT, Progress, no_progress
from uvflow.uv import Streamed, Uv, find, start_finding

# A file system may give two changes the same time stamp when they are closer than this (seconds): a
# tick of the clock that Linux uses for it, CLOCK_REALTIME_COARSE of linux/time.h, with a margin.
# After that, every change to an environment gives it another time.
if sys.platform == "linux":
    _TICK = time.clock_getres(5) + 0.001
else:
    _TICK = 0.02

# A repair may reveal what the damage hid: unfinished installs, then orphans. And where reinstalling
# from uv's cache does not help, downloading the distribution again may.
_ROUNDS = 5

_ASKING_SECONDS = 20  # how long to look for the reason of a failure

# How closely to look, by how the last sync ended.
_DEPTHS = {
    LastSync.FINISHED: Depth.METADATA,
    LastSync.REBOOTED: Depth.SIZES,
    LastSync.INTERRUPTED: Depth.SIZES,
    LastSync.UNFLUSHED: Depth.HASHES,
}


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What a sync did.

    `already` when there was nothing to do. `repair` is what was damaged before, by an interrupted
    uv for example. `fingerprint` is None where what the sync depended on cannot be watched.
    """

    profile: str
    chosen_by: str
    environment: Path
    already: bool = False
    repair: RepairResult = field(default_factory=RepairResult)
    fingerprint: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """What a sync would do: uv's own list, and a sentence for each distribution in it."""

    context: SyncContext
    listing: str
    changes: tuple[str, ...]


def plan_sync(project: Project, choice: Choice) -> SyncPlan:
    """Ask uv what a sync would do; changes nothing. Raises what `sync` raises."""
    from uvflow.environment.status import planned_changes  # not needed for a sync
    from uvflow.lockfile import check

    context = SyncContext.of(project, choice)
    inputs.check_inputs(project)
    if not can_be_read_by_uv(Environment.at(context.environment)):
        raise DamagedError(
            f"uv cannot read {context.environment}: a file of its metadata is not a regular file",
            hint="`uvflow status` names it, and `uvflow sync` repairs it",
        )
    uv = find()
    arguments = (*_arguments(context, find_copies(context)), "--dry-run", "--color=never")
    answer = uv.capture(arguments, cwd=project.root, environ=context.environ)
    if answer.code != 0:
        _require_lockfile(project)
        stale = check.stale_lockfile_error(project, uv, context.environ, has_failed=True)
        failure = Streamed(code=answer.code, output=answer.err).failure("uv sync --dry-run")
        raise stale or failure.with_context(cause=check.failure_reason(answer), hint=failure.hint)
    return SyncPlan(context=context, listing=answer.err, changes=planned_changes(answer.err))


def sync(
    project: Project,
    choice: Choice,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> SyncResult:
    """Make the environment what the lockfile and the profile say, and remember that it is.

    Raises UvFailedError (1), StaleLockfileError (3), DamagedError (5), BusyError (6),
    UvMissingError (7), DiskError (8).
    """
    context = SyncContext.of(project, choice)
    if context.is_current() and context.is_last:  # without the mutex, as on the fast path
        return _result(context, already=True)
    with locked_environment(context, timeout=timeout, progress=progress) as result:
        try:
            journal.record_profile(context.state, context.profile.name)
        except DiskError:
            if not result.already:  # else the place is read-only, and the profile is not remembered
                raise
        return result


@contextlib.contextmanager
def locked_environment(
    context: SyncContext, *, timeout: float, progress: Progress
) -> Iterator[SyncResult]:
    """An environment in sync that no other uvflow process changes until the end of the `with`."""
    state, environment = context.state, context.environment
    with locks.shared_mutex(state, environment, timeout=timeout, progress=progress):
        if context.is_current() or _is_good_as_it_is(context):
            yield _result(context, already=True)
            return
    command = f"uvflow sync --profile {context.profile.name}"
    finding = start_finding()  # uv starts while we wait
    with locks.mutex(
        state, command, environment=environment, timeout=timeout, progress=progress
    ) as mutex:
        backup.recover(state, progress)
        if not (context.project.root / MANIFEST).exists():
            raise UsageError(
                f"an unfinished `uvflow init` was put back, and {context.project.root} is not a"
                " project without it",
                hint="`uvflow init` again",
            )
        uv = finding()
        if context.is_current():  # another uvflow process may have done it meanwhile
            yield _result(context, already=True)
            return
        result = sync_locked(context, uv, mutex, progress=progress)
        finish(context, result)
        yield result


def _is_good_as_it_is(context: SyncContext) -> bool:
    """Whether uv finds nothing to do, asked only where a sync is impossible or would have to wait.

    Raises StaleLockfileError, and DiskError where a place that something has to be done in cannot
    be written.
    """
    refusal = None
    try:
        if context.environment.is_dir():
            require_writable(context.environment, hint=OTHER_ENVIRONMENT)
        context.state.make()
    except DiskError as error:
        refusal = error
    if refusal is None and not locks.is_leased(context.state, context.environment):
        return False
    project, uv = context.project, find()
    _require_lockfile(project)
    inputs.check_inputs(project)
    if _would_change_nothing(context, uv):
        return True
    if refusal:
        from uvflow.lockfile import check  # as below

        stale = check.stale_lockfile_error(project, uv, context.environ, has_failed=True)
        raise stale or refusal
    return False


def sync_locked(context: SyncContext, uv: Uv, mutex: Mutex, *, progress: Progress) -> SyncResult:
    """Sync and verify, while holding the mutex; until `finish`, the next sync is a real one."""
    _require_lockfile(context.project)
    inputs.check_inputs(context.project)
    mutex.claim(context.environment)
    watched = inputs.sync_inputs(
        context.project, uv_path=uv.path, environ=context.environ, python=context.profile.python
    )
    before = _answers(watched.questions)  # an edit from here on is seen next time
    environment_before = _environment_answers(context)
    copies = find_copies(context)
    depth = _start(context, progress)
    try:
        result, ended = _fill(
            context, uv, mutex, _arguments(context, copies), depth, progress, is_exact=True
        )
    except StaleLockfileError:  # uv refused before it changed anything
        is_untouched = not repair.find_damage(Environment.at(context.environment), Depth.SIZES)
        if depth is Depth.METADATA and is_untouched:
            journal.cancel(context.state, context.environment)
        raise
    journal.remove_copy(context.environment)
    remember_use(context)
    sources = remember_copies(context, copies)
    after = _environment_answers(context)
    if after != environment_before:  # most syncs change nothing
        time.sleep(max(0.0, ended + _TICK - time.monotonic()))
        after = _environment_answers(context)
    is_done = watched.is_familiar or _agrees(context, uv)
    if not (before and after and is_done) or sources is None:
        return _result(context, result=result)
    encoded = fingerprint.encode(context.key, str(context.environment), (*before, *sources, *after))
    return _result(context, result=result, encoded=encoded)


def _require_lockfile(project: Project) -> None:
    if not project.lockfile.exists():
        from uvflow.lockfile.check import missing_lockfile  # 2 ms, only to refuse

        check = missing_lockfile(project)
        raise StaleLockfileError(*check.reasons, hint=check.hint)


def finish(context: SyncContext, result: SyncResult) -> None:
    """The last step: remember the fingerprint, and drop the journal."""
    if not result.already:
        encoded = result.fingerprint
        fingerprints = {} if encoded is None else {context.fingerprint_name: encoded}
        journal.record_sync(context.state, context.environment, fingerprints)


def repair_environment(
    context: SyncContext,
    depth: Depth,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> RepairResult:
    """Reinstall what is damaged, and leave the rest as it is.

    uv's cached copy is dropped where it has the same damage. Raises what `sync` raises but for
    StaleLockfileError: what is installed is what the lockfile says, even where that is stale.
    """
    inputs.check_inputs(context.project)
    with locks.mutex(
        context.state,
        "uvflow verify --repair",
        environment=context.environment,
        timeout=timeout,
        progress=progress,
    ) as mutex:
        arguments = ("sync", "--frozen", "--inexact", *context.profile.selection())
        least = _start(context, progress)
        depth = max(depth, least)
        result, _ = _fill(context, find(), mutex, arguments, depth, progress, is_exact=False)
        journal.cancel(context.state, context.environment)
        return result


def _arguments(context: SyncContext, copies: Sequence[LocalCopy]) -> tuple[str, ...]:
    """Those of the profile. What uv is to reinstall it also rebuilds, whatever is in its cache.

    It would refuse an explicit `--refresh-package` while it is offline.
    """
    changed = (f"--reinstall-package={copy.name}" for copy in copies if not copy.is_current)
    return (*context.profile.sync_arguments(), *changed)


def _result(
    context: SyncContext,
    *,
    already: bool = False,
    result: RepairResult | None = None,
    encoded: bytes | None = None,
) -> SyncResult:
    return SyncResult(
        profile=context.profile.name,
        chosen_by=context.chosen_by,
        environment=context.environment,
        already=already,
        repair=result or RepairResult(),
        fingerprint=encoded,
    )


def _would_change_nothing(context: SyncContext, uv: Uv) -> bool:
    environment = Environment.at(context.environment)
    last_sync = context.last_sync
    is_suspect = last_sync >= LastSync.INTERRUPTED or relocation_problems(environment)
    if is_suspect or not can_be_read_by_uv(environment):
        return False
    if not all(copy.is_current for copy in find_copies(context) if copy.installed):
        return False
    return _agrees(context, uv) and not repair.find_damage(environment, _DEPTHS[last_sync])


def _agrees(context: SyncContext, uv: Uv) -> bool:
    """Whether there is nothing to do for uv either."""
    arguments = (*context.profile.sync_arguments(), "--check")
    return uv.capture(arguments, cwd=context.project.root, environ=context.environ).code == 0


def _start(context: SyncContext, progress: Progress) -> Depth:
    """Write the journal and remove what uv must not use; returns how closely to look afterwards."""
    last_sync = context.last_sync
    started = journal.first_started(context.state, context.environment)
    journal.mark_running(context.state, context.profile.name, context.environment)
    repair.clear_unusable(
        Environment.at(context.environment),
        progress,
        created_since=started if last_sync is LastSync.UNFLUSHED else math.inf,
    )
    if last_sync >= LastSync.INTERRUPTED:
        repair.drop_byte_code(Environment.at(context.environment))
    return _DEPTHS[last_sync]


def _fill(  # noqa: PLR0913, PLR0917  the loop of a sync and of a repair
    context: SyncContext,
    uv: Uv,
    mutex: Mutex,
    arguments: tuple[str, ...],
    depth: Depth,
    progress: Progress,
    *,
    is_exact: bool,
) -> tuple[RepairResult, float]:
    """Run uv and repair damage until only known defects of wheels remain.

    Also returns when uv last ended, in seconds of `time.monotonic`. Raises DamagedError when the
    environment cannot be repaired.
    """
    name, result = context.environment.name, RepairResult()
    if not missing_basics(Environment.at(context.environment)):
        result = result.inspected(Environment.at(context.environment), depth, context.state)
        # Broken metadata would stop uv, so that is removed first. Orphans can wait.
        result = replace(result, damages=tuple(d for d in result.damages if d.distribution))
    for attempt in range(_ROUNDS):
        if result.damages:
            progress(f"Repairing {name}: {repair.summary(result.damages)}")
            result = _remove_damaged(context, uv, result, is_exact=is_exact)
            depth = max(depth, Depth.SIZES)
        mutex.claim(context.environment)  # what was there may have been set aside
        if attempt == 0 and is_exact:
            _run_uv(context, uv, arguments)
        else:
            _run_uv_offline_first(context, uv, arguments)
        ended = time.monotonic()
        # Where uv has recreated it, another process may have got in between. Some settings make uv
        # do so every time.
        if mutex.claim(context.environment) and attempt == 0:
            continue
        environment = Environment.at(context.environment)
        result = result.inspected(environment, depth, context.state)
        if not result.damages:
            discard_set_aside(context.environment, progress)
            return result.finished(environment, context.state), ended
    raise DamagedError(
        f"could not repair {context.environment}",
        cause=repair.summary(result.damages),
        hint=f"remove {context.environment} and sync again; `uv cache clean` if that fails too",
    )


def _remove_damaged(
    context: SyncContext, uv: Uv, result: RepairResult, *, is_exact: bool
) -> RepairResult:
    environment = Environment.at(context.environment)
    refetched = result.to_refetch(environment)
    if refetched:
        arguments = ("cache", "clean", *refetched)
        completed = uv.capture(arguments, cwd=context.project.root, environ=context.environ)
        if completed.code != 0:
            raise UvFailedError(
                f"`uv {' '.join(arguments)}` failed with exit code {completed.code}",
                cause=completed.err.strip() or None,
            )

    def reinstallable(names: tuple[str, ...]) -> tuple[str, ...]:
        # An exact sync reinstalls every name; with `--inexact` uv skips what the user has added.
        return names if is_exact else _select_locked(context, uv, names)

    return repair.remove_damaged(
        environment,
        result,
        refetched=refetched,
        reinstallable=reinstallable,
    )


def _select_locked(context: SyncContext, uv: Uv, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `names` that the profile selects from the lockfile."""
    selection = replace(context.profile, compile_bytecode=False).selection()
    arguments = ("export", "--frozen", "--no-hashes", "--color=never", *selection)
    completed = uv.capture(arguments, cwd=context.project.root, environ=context.environ)
    selected = set(map(canonical_name, re.findall(r"^([\w.-]+)==", completed.out, re.MULTILINE)))
    return tuple(name for name in names if name in selected)


def _run_uv(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Raises what `uv sync` failed with, the same at a terminal and in a pipe."""
    from uvflow.lockfile import check  # as above

    ensure_uv_targets_environment(context, uv)
    project, environ = context.project, context.environ
    at_terminal = sys.stderr.isatty()
    # A refusal that uv writes to a terminal cannot be replaced by ours, which has the reason.
    if "--locked" in arguments and (at_terminal or check.is_edited(project)):
        stale = check.stale_lockfile_error(project, uv, environ, has_failed=False)
        if stale:
            raise stale
    streamed = uv.run(
        arguments,
        cwd=project.root,
        environ=environ,
        meanwhile=lambda: journal.copy_into(
            context.state, context.profile.name, context.environment
        ),
        until=check.REFUSAL,
    )
    if streamed.code != 0 and at_terminal:
        streamed = _ask_again(context, uv, arguments)
    if streamed.code == 0:
        return
    failure, stale = streamed.failure("uv sync"), None
    if "--locked" in arguments:
        stale = check.stale_lockfile_error(project, uv, environ, has_failed=True)
    if stale and (type(failure) is not UvFailedError or failure.hint):
        # uv would resolve again, and did not get as far as the lockfile.
        raise failure.with_context(cause=stale.cause, hint=failure.hint or stale.hint)
    raise stale or failure


def _ask_again(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> Streamed:
    """Run uv once more to learn why it failed: what it writes to a terminal nobody else reads."""
    environ = {**context.environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5"}
    running = uv.start((*arguments, "--color=never"), cwd=context.project.root, environ=environ)
    try:
        completed = running.wait(_ASKING_SECONDS)
    except TimeoutError:  # a long build, which has failed before
        return Streamed(code=1)
    return Streamed(code=completed.code, output=completed.err)


def _run_uv_offline_first(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Reinstall from uv's cache if it has everything: no network, no second wait."""
    ensure_uv_targets_environment(context, uv)
    offline = (*arguments, "--offline")
    if uv.capture(offline, cwd=context.project.root, environ=context.environ).code != 0:
        _run_uv(context, uv, arguments)


def _environment_answers(context: SyncContext) -> tuple[bytes, ...]:
    return _answers(inputs.environment_inputs(Environment.at(context.environment)))


def _answers(questions: Sequence[str]) -> tuple[bytes, ...]:
    """The questions with their answers; none where something cannot be read."""
    try:
        return fingerprint.record(list(questions))
    except OSError:
        return ()
