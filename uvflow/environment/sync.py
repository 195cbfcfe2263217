"""`uvflow sync`: under the lock, journal, uv, proof, snapshot."""

import contextlib
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from uvflow import fingerprint
from uvflow.environment import inputs, interpreter, relocation, repair
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment
from uvflow.environment.repair import Depth, Patient, RepairResult
from uvflow.errors import StaleLockfileError, UsageError, UvFailedError, UvflowError
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Project, canonical_name
from uvflow.project.profiles import Choice
from uvflow.state import backup, journal, locks
from uvflow.state.journal import LastSync
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Streamed, Uv, find, start_finding

# A file system may give two changes the same time stamp when they are closer than this (seconds): a
# tick of the clock that Linux stamps files by, CLOCK_REALTIME_COARSE of linux/time.h, with a
# margin. Past it, whatever changes an environment gives it another time.
if sys.platform == "linux":
    _TICK = time.clock_getres(5) + 0.001
else:
    _TICK = 0.02


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What a sync found and did.

    `already` when there was nothing to do; `healed` is what had to be done because an earlier uv
    had been cut short.
    """

    profile: str
    chosen_by: str
    environment: Path
    already: bool
    healed: RepairResult = field(default_factory=RepairResult)


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
    work = SyncContext.of(project, choice)
    if work.is_current():  # told without the lock, so that it can be told of a read-only place
        return _result(work, already=True)
    with locked_environment(work, timeout=timeout, progress=progress) as done:
        return done


@contextlib.contextmanager
def locked_environment(
    work: SyncContext, *, timeout: float, progress: Progress
) -> Iterator[SyncResult]:
    """An environment in sync that no other uvflow changes until the end of the `with`."""
    command = f"uvflow sync --profile {work.profile.name}"
    finding = None if work.is_current() else start_finding()
    with locks.mutex(work.state, command, timeout=timeout, progress=progress):
        _recover(work, progress)
        uv = finding() if finding else None
        if work.is_current():  # another uvflow may have done it meanwhile
            yield _result(work, already=True)
        else:
            yield carry_out(work, uv or find(), timeout=timeout, progress=progress)


def _recover(work: SyncContext, progress: Progress) -> None:
    """An init that was killed is put back first; there may be no project then."""
    backup.recover(work.state, progress)
    if not (work.project.root / MANIFEST).exists():
        raise UsageError(
            f"{work.project.root} is no project, now that an unfinished `uvflow init` is put back",
            hint="`uvflow init` again",
        )


def _result(
    work: SyncContext, *, already: bool = False, healed: RepairResult | None = None
) -> SyncResult:
    return SyncResult(
        profile=work.profile.name,
        chosen_by=work.chosen_by,
        environment=work.environment,
        already=already,
        healed=healed or RepairResult(),
    )


def repair_environment(
    work: SyncContext,
    depth: Depth,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> RepairResult:
    """Install again what is damaged, leaving the rest alone.

    uv's cached copy is dropped where it has the same damage. Raises what `sync` raises but for
    StaleLockfileError: what is installed is what the lockfile says, be it stale.
    """
    with locks.mutex(work.state, "uvflow verify --repair", timeout=timeout, progress=progress):
        locks.await_leases(work.state, work.environment, timeout=timeout, progress=progress)
        uv = find()
        arguments = ("sync", "--frozen", "--inexact", *work.profile.selection())
        patient = _patient(work, uv, arguments)
        least = _begin(work, patient, progress)
        gently = replace(
            patient, fill=patient.install, given_back=lambda names: _selected(work, uv, names)
        )
        healed = repair.repair(gently, max(depth, least), progress)
        journal.cancel(work.state, work.environment)
        return healed


def carry_out(work: SyncContext, uv: Uv, *, timeout: float, progress: Progress) -> SyncResult:
    """Steps 2 to 7 of the protocol (docs/explanation/sync.md), for one who holds the lock."""
    done, remember = sync_locked(work, uv, timeout=timeout, progress=progress)
    remember()
    return done


def sync_locked(
    work: SyncContext, uv: Uv, *, timeout: float, progress: Progress
) -> tuple[SyncResult, Callable[[], None]]:
    """Steps 2 to 6, and how to take the last: until then the next sync is a real one."""
    if not work.project.lockfile.exists():
        from uvflow.lockfile import check  # 2 ms, for a refusal alone

        judgement = check.missing_lockfile(work.project)
        raise StaleLockfileError(*judgement.reasons, hint=judgement.hint)
    if locks.leases(work.state, work.environment):
        if _would_change_nothing(work, uv):
            return _result(work, already=True), lambda: None
        locks.await_leases(work.state, work.environment, timeout=timeout, progress=progress)
    watched = inputs.sync_inputs(work.project, uv_path=uv.path, environ=os.environ)
    before = fingerprint.record(
        list(watched.questions)
    )  # an edit from here on makes the next one real
    found = _found(work)
    arguments = work.profile.sync_arguments()
    patient = _patient(work, uv, arguments)
    depth = _begin(work, patient, progress)
    try:
        healed = repair.repair(patient, depth, progress)
    except StaleLockfileError:
        _drop_if_untouched(work, depth)
        raise
    journal.remove_copy(work.environment)
    sealed = None if watched.unwatchable else _sealed(work, (before, found), healed)
    return _result(work, healed=healed), lambda: journal.finish(
        work.state, work.profile.name, work.environment, sealed
    )


# How closely to look after what became of the last sync.
_DEPTHS = {
    LastSync.FINISHED: Depth.METADATA,
    LastSync.REBOOTED: Depth.SIZES,
    LastSync.INTERRUPTED: Depth.SIZES,
    LastSync.UNFLUSHED: Depth.HASHES,
}


def _would_change_nothing(work: SyncContext, uv: Uv) -> bool:
    """Asked only while a command runs in the environment, which must not be changed under it."""
    there = Environment.at(work.environment)
    interruption = work.interruption
    if interruption >= LastSync.INTERRUPTED or relocation.relocation_problems(there):
        return False
    arguments = (*work.profile.sync_arguments(), "--check")
    answer = uv.capture(arguments, cwd=work.project.root, environ=work.environ)
    return answer.code == 0 and not repair.find_damage(there, _DEPTHS[interruption])


def _begin(work: SyncContext, patient: Patient, progress: Progress) -> Depth:
    """Write the journal, and take away what uv would build on; how closely to look afterwards."""
    interruption, began = work.interruption, journal.first_started(work.state, work.environment)
    journal.mark_running(work.state, work.profile.name, work.environment)
    is_lost = interruption is LastSync.UNFLUSHED
    repair.clear_unusable(patient, progress, lost_since=began if is_lost else math.inf)
    if interruption >= LastSync.INTERRUPTED:
        repair.drop_byte_code(Environment.at(work.environment))
    return _DEPTHS[interruption]


def _selected(work: SyncContext, uv: Uv, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that the profile selects; what the user has added, `--inexact` would not bring back."""
    selection = replace(work.profile, compile_bytecode=False).selection()
    arguments = ("export", "--frozen", "--no-hashes", "--color=never", *selection)
    answer = uv.capture(arguments, cwd=work.project.root, environ=work.environ)
    found = re.findall(r"^([\w.-]+)==", answer.out, re.MULTILINE)
    selected = set(map(canonical_name, found))
    return tuple(name for name in names if name in selected)


def _drop_if_untouched(work: SyncContext, depth: Depth) -> None:
    """uv has refused before it began, and the next sync need not look for what this one left."""
    there = Environment.at(work.environment)
    if depth is Depth.METADATA and not repair.find_damage(there, Depth.SIZES):
        journal.cancel(work.state, work.environment)


def _patient(work: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> Patient:
    """`arguments` are those with which uv fills the environment."""
    return Patient(
        environment=work.environment,
        workspace=work.project.workspace,
        state=work.state,
        fill=lambda: _run_uv(work, uv, arguments),
        install=lambda: _run_again(work, uv, arguments),
        forget_cached=lambda names: _forget_cached(work, uv, names),
        given_back=lambda names: names,  # what is not, is not asked for
    )


def _forget_cached(work: SyncContext, uv: Uv, names: tuple[str, ...]) -> None:
    answer = uv.capture(("cache", "clean", *names), cwd=work.project.root, environ=work.environ)
    if answer.code != 0:
        raise UvFailedError(
            f"`uv cache clean {' '.join(names)}` failed with exit code {answer.code}",
            cause=answer.err.strip() or None,
        )


def _run_uv(work: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    _acquaint(work, uv)
    ended = uv.run(
        arguments,
        cwd=work.project.root,
        environ=work.environ,
        meanwhile=lambda: journal.copy_into(work.state, work.profile.name, work.environment),
    )
    if ended.code != 0:
        raise _refusal(work, uv, ended)


def _refusal(work: SyncContext, uv: Uv, ended: Streamed) -> UvflowError:
    """Why uv failed: its output went to the terminal, so it is asked about the lockfile again."""
    from uvflow.lockfile import check  # as above

    return check.stale_lockfile_error(work.project, uv, work.environ) or ended.failure("uv sync")


def _run_again(work: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Install what was forgotten, from uv's cache if that has it: no network, no second wait."""
    _acquaint(work, uv)
    answer = uv.capture((*arguments, "--offline"), cwd=work.project.root, environ=work.environ)
    if answer.code != 0:
        _run_uv(work, uv, arguments)


def _acquaint(work: SyncContext, uv: Uv) -> None:
    how = ("sync", "--frozen", "--dry-run", "--output-format=json", *work.profile.selection())
    # uv lets nobody refresh who is offline; here nothing is fetched.
    environ = {name: value for name, value in work.environ.items() if name != "UV_OFFLINE"}

    def dry_run(more: tuple[str, ...]) -> str:
        return uv.capture((*how, *more), cwd=work.project.root, environ=environ).out

    interpreter.ensure_uv_targets(work.state, work.environment, dry_run)


def _found(work: SyncContext) -> tuple[bytes, ...]:
    """What cannot be read is not what will be left."""
    try:
        return _left(work)
    except OSError:
        return ()


def _sealed(work: SyncContext, began: tuple[tuple[bytes, ...], ...], healed: RepairResult) -> bytes:
    """`began` is what the inputs and the environment were when uv began."""
    before, found = began
    left = _left(work)
    if left != found:  # most syncs change nothing
        time.sleep(max(0.0, healed.filled + _TICK - time.monotonic()))
        left = _left(work)
    return fingerprint.encode(work.subject, str(work.environment), (*before, *left))


def _left(work: SyncContext) -> tuple[bytes, ...]:
    return fingerprint.record(list(inputs.environment_inputs(Environment.at(work.environment))))
