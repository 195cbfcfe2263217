"""`uvflow verify`: the files of an environment against its RECORD files, and their repair."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from uvflow.environment.context import Subject, SyncContext, is_sync_running
from uvflow.environment.copies import outdated_copies
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import Damage
from uvflow.environment.ownership import sort_unowned
from uvflow.environment.repair import (
    Depth,
    Past,
    RepairResult,
    describe_defect,
    find_damage,
    summary,
)
from uvflow.environment.sync import repair_environment
from uvflow.errors import DamagedError, DiskError, OutOfSyncError
from uvflow.state import journal
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress, no_progress

_SHOWN = 5  # how many files of one distribution are listed


class Verification(NamedTuple):
    """An environment against its RECORD files.

    `outdated` are the local packages whose copy is older than their sources. `known_defects` are
    not damage: the wheels themselves do not match their RECORD. Nor are the paths in `unowned`: no
    RECORD lists them, so they are the user's. While a sync is running, nothing is known.
    """

    subject: Subject
    damages: tuple[Damage, ...] = ()
    outdated: tuple[str, ...] = ()
    known_defects: tuple[Damage, ...] = ()
    unowned: tuple[str, ...] = ()
    is_running: bool = False
    is_release: bool = False  # the live one of a profile
    repair: RepairResult = RepairResult()

    @property
    def exit_code(self) -> int:
        if self.damages:
            return DamagedError.exit_code
        return OutOfSyncError.exit_code if self.outdated or self.is_running else 0


def verify(
    context: SyncContext,
    depth: Depth,
    *,
    repairs: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress = no_progress,
) -> Verification:
    """Check the environment's files; changes nothing in it.

    With `repairs` what is damaged is reinstalled first; raises what `repair_environment` does. A
    damaged release is not: the next sync, which then knows nothing of it, makes another one.
    """
    verification = _verification(context, depth)
    if verification.damages and verification.is_release:
        with contextlib.suppress(DiskError):
            journal.delete_entries(context.state, journal.FINGERPRINT, context.environment)
    if not repairs or not (verification.damages or verification.is_running):
        return verification
    result = repair_environment(context, depth, timeout=timeout, progress=progress)
    return _verification(context, depth)._replace(repair=result)


def _verification(context: SyncContext, depth: Depth) -> Verification:
    environment = Environment(context.environment)
    past = Past.of(context, environment)
    damages, defects = find_damage(environment, depth, past)
    if is_sync_running(context):  # now, since one may have begun meanwhile
        return Verification(subject=context.subject, is_running=True)
    return Verification(
        subject=context.subject,
        damages=damages,
        outdated=outdated_copies(context),
        known_defects=defects,
        unowned=tuple(sort_unowned(environment, past.began, past.cache)[1]),
        is_release=context.live_release is not None,
    )


def damage_lines(verification: Verification, *, verbose: bool) -> Iterator[str]:
    """What is damaged, at most a few files of each distribution unless `verbose`."""
    ordered = sorted(verification.damages, key=lambda damage: damage.distribution)
    for _, group in itertools.groupby(ordered, key=lambda damage: damage.distribution):
        damages = list(group)
        shown = damages if verbose else damages[:_SHOWN]
        yield from map(str, shown)
        if len(shown) < len(damages):
            yield f"  and {len(damages) - len(shown)} more (`--verbose` lists them)"
    for name in verification.outdated:
        yield f"{name}: the installed copy is older than its sources"
    yield from map(describe_defect, verification.known_defects)
    if verification.unowned:
        paths = ", ".join(verification.unowned) if verbose else summary(verification.unowned)
        yield f"not from any distribution: {paths}"


def verdict(verification: Verification) -> str:
    """The verdict as one line."""
    profile = verification.subject
    if verification.is_running:
        return f"Not verified: {profile}; a sync is running"
    repair = verification.repair
    removed = f"{len(repair.removed)} removed" if repair.removed else ""
    done = ", ".join(filter(None, (*repair.repaired, removed)))
    if verification.damages and repair.kept:
        more = f"; repaired: {done}" if done else ""
        return f"Damaged: {profile}; left as it is: {', '.join(repair.kept)}{more}"
    if verification.damages and verification.is_release:
        return (
            f"Damaged: {profile}; `uvflow sync --profile {profile.profile}` makes another release"
        )
    if verification.damages:
        return f"Damaged: {profile}; `uvflow verify --repair` reinstalls it"
    if verification.outdated:
        return f"Out of sync: {profile}; a sync installs {', '.join(verification.outdated)} again"
    return f"Repaired: {profile}; {done}" if done else f"Intact: {profile}"


def verification_as_json(verification: Verification) -> dict[str, Any]:
    return {
        **verification.subject.as_json(),
        "damages": [damage._asdict() for damage in verification.damages],
        "outdated": list(verification.outdated),
        "known_defects": [defect._asdict() for defect in verification.known_defects],
        "unowned": list(verification.unowned),
        "running": verification.is_running,
        "repaired": list(verification.repair.repaired),
        "removed": list(verification.repair.removed),
    }
