"""`uvflow sync`: the protocol from the mutex to the fingerprint (docs/explanation/sync.md)."""

import contextlib
import itertools
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from uvflow import fingerprint
from uvflow.environment import inputs, integrity, repair
from uvflow.environment.context import SyncContext, is_sync_running
from uvflow.environment.copies import LocalCopy, find_copies, remember_copies
from uvflow.environment.fill import Filling
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage, DamageKind, can_be_read_by_uv, read_metadata
from uvflow.environment.interpreter import (
    is_replaced_by_uv,
    is_trusted,
    own_interpreter,
    remember_use,
)
from uvflow.environment.ownership import BY_DESIGN, RECEIPT, check_mounts, restore_set_aside
from uvflow.environment.repair import Depth, Past, RepairResult
from uvflow.errors import (
    DamagedError,
    DiskError,
    OutOfSyncError,
    StaleLockfileError,
    UvflowError,
)
from uvflow.files import mounts_in, require_writable
from uvflow.lockfile.check import (
    Level,
    check_lockfile,
    failure_reason,
    missing_lockfile,
    stale_error,
    stale_lockfile_error,
)
from uvflow.project.manifest import Project
from uvflow.state import journal, locks
from uvflow.state.locks import Mutex
from uvflow.state.store import BACKUP, OTHER_ENVIRONMENT, Progress
from uvflow.uv import Uv, failure_of

# Seconds: two changes that are closer may get the same time stamp, for which Linux takes a clock of
# at least 100 Hz, and Windows one of 64.
_TICK = 0.02 if sys.platform == "win32" else 0.011


class SyncResult(NamedTuple):
    """What a sync did.

    `already` when there was nothing to do. `repair` is what was damaged before, by an interrupted
    uv for example. `answers` are what the fingerprint depends on.
    """

    already: bool = False
    repair: RepairResult = RepairResult()
    answers: tuple[bytes, ...] = ()


def sync(context: SyncContext, *, timeout: float, progress: Progress) -> SyncResult:
    """Make the environment what the lockfile and the profile say, and remember that it is.

    Raises UvFailedError (1), StaleLockfileError (3), DamagedError (5), BusyError (6),
    UvMissingError (7), DiskError (8).
    """
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
            yield SyncResult(already=True)
            return
    command = f"uvflow sync --profile {context.profile.name}"
    # Releases are not changed once they are made, so that commands may run in them meanwhile.
    changed = context.releases_directory if context.profile.releases else environment
    with locks.mutex(
        state, command, environment=changed, timeout=timeout, progress=progress
    ) as mutex:
        if state.read(BACKUP):
            from uvflow.state import backup  # 3 ms, and hardly ever needed

            backup.recover(state, progress)
        if context.is_current():  # another uvflow process may have done it meanwhile
            yield SyncResult(already=True)
            return
        if context.profile.releases:
            yield _make_release(context, context.find_uv(), mutex, progress)
            return
        result = sync_locked(context, context.find_uv(), mutex, progress=progress)
        finish(context, result)
        yield result


def _make_release(context: SyncContext, uv: Uv, mutex: Mutex, progress: Progress) -> SyncResult:
    """Make and verify an environment beside the live one, and switch to it by one rename."""
    from uvflow.environment import releases  # few profiles have them

    _require_lockfile(context.project)
    inputs.check_inputs(context.project)
    release = releases.begin_release(context, progress)
    path = release.environment
    try:
        # All of it: nothing repairs a release, and no rollback switches to a damaged one.
        result = sync_locked(release, uv, mutex, depth=Depth.HASHES, progress=progress)
        finish(release, result, *releases.live_answer(context, path))
        releases.finish_release(context, path, uv.version, progress)
    except BaseException:
        releases.remove_release(context, path, progress)  # it may have filled the disk
        raise
    return result


def _is_good_as_it_is(context: SyncContext) -> bool:
    """Whether uv finds nothing to do; False without asking it where a sync can be done at once.

    It is asked where a place cannot be written, where a sync would have to wait for a command, and
    where another release would be the same. Raises StaleLockfileError, and DiskError where there is
    something to do in a place that cannot be written.
    """
    refusal = None
    try:
        if context.environment.is_dir():
            require_writable(context.environment, hint=OTHER_ENVIRONMENT)
        context.state.make()
    except DiskError as error:
        refusal = error
    is_free = not (context.live_release or locks.is_leased(context.state, context.environment))
    if refusal is None and is_free:
        return False
    project, uv = context.project, context.find_uv()
    _require_lockfile(project)
    inputs.check_inputs(project)
    if _would_change_nothing(context, uv):
        return True
    if refusal:
        raise stale_lockfile_error(project, uv, context.environ, has_failed=True) or refusal
    return False


def _would_change_nothing(context: SyncContext, uv: Uv) -> bool:
    environment = Environment(context.environment)
    past = Past.of(context, environment)
    is_suspect = past.is_interrupted or integrity.relocation_problem(environment)
    if is_suspect or not can_be_read_by_uv(environment):
        return False
    if not all(copy.is_current for copy in find_copies(context) if copy.installed):
        return False
    if not _agrees(context, uv):
        return False
    depth = Depth.HASHES if context.live_release else past.depth  # nothing repairs a release
    return not repair.find_damage(environment, depth, past)[0]


def _agrees(context: SyncContext, uv: Uv) -> bool:
    """Whether uv finds nothing to do."""
    arguments = (*context.profile.sync_arguments(), "--check")
    return uv.capture(arguments, cwd=context.project.root, environ=context.environ).code == 0


def sync_locked(
    context: SyncContext, uv: Uv, mutex: Mutex, *, progress: Progress, depth: Depth = Depth.METADATA
) -> SyncResult:
    """Sync and verify, while holding the mutex; until `finish`, the next sync is a real one."""
    _require_lockfile(context.project)
    _check_no_release(context)
    inputs.check_inputs(context.project)
    mutex.claim(context.environment)
    asked = _sync_answers(context, uv)  # an edit from here on is seen next time
    last = context.read_fingerprint()  # of a sync after which uv had nothing to do
    known = fingerprint.recorded_answers(last)
    environment, copies = Environment(context.environment), find_copies(context)
    is_mounted = bool(mounts_in(context.environment))
    found: tuple[bytes, ...] = ()
    change = fingerprint.CHANGED.get(last, b"")
    # Every distribution is looked at, so not where the sync is a real one in any case.
    if is_mounted or _may_change_nothing(context, asked, known, change):
        found = _answers(inputs.environment_inputs(environment))
    if is_mounted or _is_in(known, found):
        if _would_change_nothing(context, uv):
            answers = _watched(asked, remember_copies(context, copies), found)
            return SyncResult(already=True, answers=answers)
        check_mounts(context.environment)
    python = _answers(inputs.interpreter_inputs(environment))
    has_same_python = _is_in(known, python) and inputs.ask_for_same_python(asked, known)
    filling = Filling(context, uv, mutex, environment, progress)
    with _changing(filling, has_same_python=has_same_python):
        result = filling.complete(_arguments(context, copies), depth=depth)
    journal.remove_copy(context.environment)
    remember_use(context)
    context.remember_uv(uv)
    sources = remember_copies(context, copies)
    time.sleep(max(0.0, filling.ended + _TICK - time.monotonic()))  # most often that is over by now
    found = _answers(inputs.environment_inputs(filling.environment))
    # Settings, and legacy metadata that uv leaves where it is, may give uv the same to do again;
    # not where the same was asked before, with the same result.
    is_same = _is_in(known, asked) and _names(fingerprint.pairs(found)) == _names(known)
    if asked and not (is_same or _agrees(context, uv)):
        asked = ()
    return SyncResult(repair=result, answers=_watched(asked, sources, found))


def _sync_answers(context: SyncContext, uv: Uv) -> tuple[bytes, ...]:
    """What a sync depends on, with the answers; none where that cannot be watched."""
    try:
        return _answers(inputs.sync_inputs(context, uv.path))
    except (inputs.UnwatchableError, UvflowError):
        return ()


def _answers(questions: Sequence[str]) -> tuple[bytes, ...]:
    """The questions with their answers; none where something cannot be read."""
    try:
        return fingerprint.record(list(questions))
    except OSError:
        return ()


def _may_change_nothing(
    context: SyncContext, asked: tuple[bytes, ...], known: Mapping[bytes, bytes], change: bytes
) -> bool:
    """Whether `change`, the first since the sync, may be of a comment, a setting or a variable.

    Not where it may be that byte code is compiled: of that, uv's `--check` knows nothing.
    """
    if not asked or change.startswith(inputs.OF_DISTRIBUTIONS):
        return False
    lockfile = os.fsencode(f"content {context.project.lockfile}")
    changed = dict(fingerprint.pairs(asked).items() - known.items())
    compiles = any(re.search(rb"(?i)compile[-_]bytecode", text) for text in changed.values())
    return not (lockfile in changed or compiles or context.profile.compile_bytecode)


def _is_in(known: Mapping[bytes, bytes], answers: tuple[bytes, ...]) -> bool:
    """Whether there are `answers`, and all of them are known."""
    return bool(answers) and fingerprint.pairs(answers).items() <= known.items()


def _watched(
    asked: tuple[bytes, ...], sources: tuple[bytes, ...] | None, found: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """All that a fingerprint depends on, which is never current where a part cannot be watched."""
    is_watchable = asked and found and sources is not None
    return (*(asked if is_watchable else fingerprint.NEVER_CURRENT), *(sources or ()), *found)


def _names(answers: Mapping[bytes, bytes]) -> dict[bytes, list[bytes]]:
    """The metadata, links and `.pth` files of an environment, whenever they were made."""
    found = ((q, a) for q, a in answers.items() if q.startswith(b"distributions "))
    return {question: re.findall(rb"(?m)^.+?(?= \d+ \d+)", answer) for question, answer in found}


def _check_no_release(context: SyncContext) -> None:
    """Raises DamagedError where the environment that would be changed is one."""
    if context.live_release or (context.environment / RECEIPT).is_file():
        hint = f"`uvflow sync --profile {context.profile.name}` makes another one"
        if not context.live_release:
            hint = f"remove the link {context.place}, or name another place"
        raise DamagedError(
            f"{context.environment} is a release, and a release is not changed", hint=hint
        )


def _require_lockfile(project: Project) -> None:
    if not project.lockfile.exists():
        check = missing_lockfile(project)
        raise StaleLockfileError(*check.reasons, hint=check.hint)


def _arguments(context: SyncContext, copies: Sequence[LocalCopy]) -> tuple[str, ...]:
    """Those of the profile. What uv is to reinstall it also rebuilds, whatever is in its cache.

    It would refuse an explicit `--refresh-package` while it is offline.
    """
    changed = (f"--reinstall-package={copy.name}" for copy in copies if not copy.is_current)
    return (*context.profile.sync_arguments(), *changed)


@contextlib.contextmanager
def _changing(filling: Filling, *, has_same_python: bool = False) -> Iterator[None]:
    """Keep a journal while the environment is being changed inside the `with`.

    What uv must not use is removed at its beginning: another Python than is asked for, unless it is
    known to be the one that was asked for at the last sync. If an error or a signal ends it before
    anything was changed, the journal goes, and what is known of the environment is as it was.
    """
    context, environment, past = filling.context, filling.environment, filling.past
    records = {d.location: read_metadata(d).record for d in environment.distributions}
    journal.mark_running(context.state, context.profile.name, context.environment, records)
    began = journal.first_started(context.state, context.environment)  # by the clock of the files
    try:
        reasons = [] if is_trusted(context) else [*integrity.links_out(environment)]
        may_be_replaced = not (has_same_python or integrity.missing_basics(environment))
        if may_be_replaced and is_replaced_by_uv(context, filling.uv):
            reasons.append("another Python is asked for")
        filling.aside = repair.clear_unusable(environment, filling.progress, past, reasons)
        if past.is_interrupted or filling.aside is not None:
            filling.environment = Environment(context.environment)
        if past.is_interrupted:
            repair.drop_byte_code(filling.environment)
        yield
    except BaseException:
        if filling.aside is not None:
            restore_set_aside(context.environment, filling.aside, filling.progress)
        # One that was interrupted before has to be looked at all the same.
        if not (past.is_interrupted or _has_changed(environment, began)):
            journal.end_sync(context.state, context.environment, past.fingerprints)
        raise


def _has_changed(environment: Environment, since: float) -> bool:
    """Whether uv may have begun to change it since then: a file, or the names in a directory.

    Where anything else has changed them, a byte code, the next sync is one too many.
    """
    if _is_empty(environment):
        return not _is_empty(Environment(environment.path))
    places = [str(place) for place in (environment.scripts, *environment.site_packages)]
    walk = itertools.chain(*map(os.walk, places))
    inside = (f"{folder}/{name}" for folder, _, files in walk for name in (".", *files))
    paths = itertools.chain((f"{environment.path}/pyvenv.cfg", *places), inside)
    try:
        return any(os.lstat(path).st_mtime >= since for path in paths)
    except OSError:  # it has gone
        return True


def _is_empty(environment: Environment) -> bool:
    return {entry.name for entry in environment.entries} <= BY_DESIGN


def finish(context: SyncContext, result: SyncResult, *more: bytes) -> None:
    """Remember the fingerprint, with `more` answers, and drop the journal: the last step."""
    answers, environment = (*result.answers, *more), context.environment
    encoded = fingerprint.encode(context.key, str(environment), answers)
    journal.end_sync(context.state, environment, {context.fingerprint_name: encoded})


def repair_environment(
    context: SyncContext, depth: Depth, *, timeout: float, progress: Progress
) -> RepairResult:
    """Reinstall what is damaged, and leave the rest as it is.

    uv's cached copy is dropped where it has the same damage. Raises what `sync` raises but for
    StaleLockfileError: what is installed is what the lockfile says, even where that is stale.
    """
    state, environment = context.state, context.environment
    _check_no_release(context)
    inputs.check_inputs(context.project)
    basics = integrity.missing_basics(Environment(environment))
    is_made_anew = any(damage.kind is DamageKind.NO_CONFIGURATION for damage in basics)
    if unasked := own_interpreter(context, is_made_anew=is_made_anew):
        raise DamagedError(
            f"{environment} is not repaired: {unasked}", hint="`uvflow sync` starts it"
        )
    if environment.is_dir():
        require_writable(environment, hint=OTHER_ENVIRONMENT)
    command = "uvflow verify --repair"
    with locks.mutex(
        state, command, environment=environment, timeout=timeout, progress=progress
    ) as mutex:
        uv = context.find_uv()
        check_mounts(environment)
        filling = Filling(context, uv, mutex, Environment(environment), progress)
        with _changing(filling):
            result = filling.complete(depth=depth)
        journal.end_sync(state, environment, {})
        return result


def plan_sync(context: SyncContext) -> tuple[str, tuple[str, ...]]:
    """What a sync would do: uv's own list, and sentences about what is damaged or changes.

    Changes nothing. Raises what `sync` raises.
    """
    from uvflow.environment.status import planned_changes  # not needed for a sync

    project = context.project
    inputs.check_inputs(project)
    environment = Environment(context.environment)
    if not can_be_read_by_uv(environment):
        raise DamagedError(
            f"uv cannot read {context.environment}: a file of its metadata is not a regular file",
            hint="`uvflow status` names it, and `uvflow sync` repairs it",
        )
    unasked = own_interpreter(context)
    if unasked:
        raise OutOfSyncError(
            f"what it would do is not known: {unasked}", hint="`uvflow sync` starts it"
        )
    _require_lockfile(project)
    uv = context.find_uv()
    # To compare the lockfile as well, uv may build what has dynamic metadata, and run its code.
    found = check_lockfile(project, uv, context.environ)
    if found.verdict in {Level.STALE, Level.UNUSABLE}:
        raise stale_error(found)
    arguments = (*_arguments(context, find_copies(context)), "--dry-run", "--color=never")
    words = tuple("--frozen" if word == "--locked" else word for word in arguments)
    answer = uv.capture(words, cwd=project.root, environ=context.environ)
    if answer.code != 0:
        failure = failure_of(answer, "uv sync --dry-run")
        raise failure.with_context(cause=failure_reason(answer), hint=failure.hint)
    damages: tuple[Damage, ...] = ()  # of which uv knows nothing
    if environment.path.is_dir() and not is_sync_running(context):
        past = Past.of(context, environment)
        damages, _ = repair.find_damage(environment, past.depth, past)
    moved = filter(None, [integrity.relocation_problem(environment)])
    return answer.err, (*map(str, damages), *moved, *planned_changes(answer.err))
