"""`uvflow sync`: under the lock, journal, uv, proof, snapshot."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uvflow import backups, healing, inputs, journal, lockfile, snapshot
from uvflow.environment import Environment
from uvflow.errors import StaleLockfileError, UsageError, UvFailedError, UvflowError
from uvflow.healing import Depth, Patient
from uvflow.paths import MANIFEST
from uvflow.profiles import Choice, Profile
from uvflow.project import Project
from uvflow.state import DEFAULT_TIMEOUT, State, Tell, say_nothing
from uvflow.uv import Ended, Uv, find

# A file system may give two changes the same time stamp when they are closer than this (seconds;
# the kernel's clock tick). Past it, whatever changes an environment gives it another time.
_TICK = 0.02

_REASONS = 3  # how many are told in one line


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What a sync found and did.

    `already` when there was nothing to do; `repaired` are the distributions that were installed
    again because an earlier uv had been cut short.
    """

    profile: str
    chosen_by: str
    environment: Path
    already: bool
    repaired: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sync:
    """One sync, decided: a project, a profile, where its environment is, what is remembered."""

    project: Project
    profile: Profile
    chosen_by: str
    state: State
    environ: Mapping[str, str]

    @classmethod
    def of(cls, project: Project, choice: Choice) -> "Sync":
        return cls(
            project=project,
            profile=choice.profile,
            chosen_by=choice.chosen_by,
            state=State.of(project.workspace),
            environ=choice.profile.environ(os.environ),
        )

    @property
    def environment(self) -> Path:
        return self.profile.environment_path(self.project.workspace, self.environ)

    @property
    def was_interrupted(self) -> bool:
        return journal.was_interrupted(self.state, self.environment)

    def is_current(self) -> bool:
        return snapshot.is_current(self.state.recall(self.profile.name + journal.SNAPSHOT) or b"")

    def synced(self, *, already: bool = False, repaired: tuple[str, ...] = ()) -> Synced:
        return Synced(
            profile=self.profile.name,
            chosen_by=self.chosen_by,
            environment=self.environment,
            already=already,
            repaired=repaired,
        )


def sync(
    project: Project, choice: Choice, *, timeout: float = DEFAULT_TIMEOUT, tell: Tell = say_nothing
) -> Synced:
    """Make the environment what the lockfile and the profile say, and remember that it is.

    Raises UvFailedError (1), StaleLockfileError (3), DamagedError (5), BusyError (6),
    UvMissingError (7), DiskError (8).
    """
    work = Sync.of(project, choice)
    if work.is_current():  # told without the lock, so that it can be told of a read-only place
        return work.synced(already=True)
    with synced(work, timeout=timeout, tell=tell) as done:
        return done


@contextlib.contextmanager
def synced(work: Sync, *, timeout: float, tell: Tell) -> Iterator[Synced]:
    """An environment in sync that no other uvflow changes until the end of the `with`."""
    command = f"uvflow sync --profile {work.profile.name}"
    with work.state.exclusive(command, timeout=timeout, tell=tell):
        _recover(work, tell)
        if work.is_current():  # another uvflow may have done it meanwhile
            yield work.synced(already=True)
        else:
            yield carry_out(work, find(), timeout=timeout, tell=tell)


def _recover(work: Sync, tell: Tell) -> None:
    """An init that was killed is put back first; there may be no project then."""
    backups.recover(work.state, tell)
    if not (work.project.root / MANIFEST).exists():
        raise UsageError(
            f"{work.project.root} is no project, now that an unfinished `uvflow init` is put back",
            hint="`uvflow init` again",
        )


def last_profile(project: Project) -> str | None:
    """The profile that the project was last synced with, as far as that is remembered."""
    return journal.last_profile(State.of(project.workspace))


def repair(
    work: Sync, depth: Depth, *, timeout: float = DEFAULT_TIMEOUT, tell: Tell = say_nothing
) -> tuple[str, ...]:
    """Install again what is damaged, leaving the rest alone; returns the names of those.

    uv's cached copy is dropped where it has the same damage. Raises what `sync` raises but for
    StaleLockfileError: what is installed is what the lockfile says, be it stale.
    """
    with work.state.exclusive("uvflow verify --repair", timeout=timeout, tell=tell):
        work.state.await_leases(work.environment, timeout=timeout, tell=tell)
        uv = find()
        arguments = ("sync", "--frozen", "--inexact", *work.profile.selection())
        journal.begin(work.state, work.profile.name, work.environment)
        patient = _patient(work, lambda: _run_again(work, uv, arguments), uv)
        healing.remove_ruins(patient, tell)
        repaired = healing.heal(patient, depth, tell)
        journal.drop(work.state, work.environment)
        return repaired


def carry_out(work: Sync, uv: Uv, *, timeout: float, tell: Tell) -> Synced:
    """Steps 2 to 7 of the protocol (docs/explanation/sync.md), for one who holds the lock."""
    if not work.project.lockfile.exists():
        judgement = lockfile.missing(work.project)
        raise StaleLockfileError(*judgement.reasons, hint=judgement.hint)
    if work.state.leases(work.environment):
        if _would_change_nothing(work, uv):
            return work.synced(already=True)
        work.state.await_leases(work.environment, timeout=timeout, tell=tell)
    watched = inputs.of_sync(work.project, uv_path=uv.path, environ=os.environ)
    before = snapshot.take(list(watched.questions))  # an edit from here on makes the next one real
    was_cut_short = work.was_interrupted
    journal.begin(work.state, work.profile.name, work.environment)
    arguments = work.profile.sync_arguments()
    patient = _patient(work, lambda: _run_again(work, uv, arguments), uv)
    healing.remove_ruins(patient, tell)
    _run_uv(work, uv, arguments)
    depth = Depth.FILES if was_cut_short else Depth.COMMITMENT
    repaired = healing.heal(patient, depth, tell)
    sealed = None if watched.unwatchable else _sealed(work, before)
    journal.finish(work.state, work.profile.name, work.environment, sealed)
    return work.synced(repaired=repaired)


def _would_change_nothing(work: Sync, uv: Uv) -> bool:
    """Asked only while a command runs in the environment, which must not be changed under it."""
    arguments = (*work.profile.sync_arguments(), "--check")
    answer = uv.ask(arguments, cwd=work.project.root, environ=work.environ)
    depth = Depth.FILES if work.was_interrupted else Depth.COMMITMENT
    return answer.code == 0 and not healing.examine(Environment.at(work.environment), depth)


def _patient(work: Sync, install: Callable[[], None], uv: Uv) -> Patient:
    return Patient(
        environment=work.environment,
        workspace=work.project.workspace,
        install=install,
        forget_cached=lambda names: _forget_cached(work, uv, names),
    )


def _forget_cached(work: Sync, uv: Uv, names: tuple[str, ...]) -> None:
    answer = uv.ask(("cache", "clean", *names), cwd=work.project.root, environ=work.environ)
    if answer.code != 0:
        raise UvFailedError(
            f"`uv cache clean {' '.join(names)}` failed with exit code {answer.code}",
            cause=answer.err.strip() or None,
        )


def _run_uv(work: Sync, uv: Uv, arguments: tuple[str, ...]) -> None:
    ended = uv.run(arguments, cwd=work.project.root, environ=work.environ)
    if ended.code != 0:
        raise _refusal(work, uv, ended)


def _refusal(work: Sync, uv: Uv, ended: Ended) -> UvflowError:
    """Why uv failed: its output went to the terminal, so it is asked about the lockfile again."""
    answer = uv.ask(("lock", "--check", "--offline"), cwd=work.project.root, environ=work.environ)
    if answer.code != 0 and "needs to be updated" in answer.err:
        return StaleLockfileError(
            "uv.lock is not what pyproject.toml asks for; the environment is as it was",
            cause=", ".join(lockfile.reasons(work.project, work.environ)[:_REASONS]) or None,
            hint=f"{lockfile.UPDATE}, then sync again",
        )
    return ended.failure("uv sync")


def _run_again(work: Sync, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Install what was forgotten, from uv's cache if that has it: no network, no second wait."""
    answer = uv.ask((*arguments, "--offline"), cwd=work.project.root, environ=work.environ)
    if answer.code != 0:
        _run_uv(work, uv, arguments)


def _sealed(work: Sync, before: tuple[bytes, ...]) -> bytes:
    time.sleep(_TICK)
    after = snapshot.take(list(inputs.of_environment(Environment.at(work.environment))))
    return snapshot.seal(str(work.environment), (*before, *after))
