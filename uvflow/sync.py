"""`uvflow sync`: under the lock, journal, uv, proof, snapshot."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uvflow import environment, inputs, snapshot
from uvflow.environment import Damage, Environment
from uvflow.errors import DamagedError, StaleLockfileError, UvFailedError
from uvflow.profiles import Choice, Profile
from uvflow.project import Project
from uvflow.state import DEFAULT_TIMEOUT, State
from uvflow.uv import Uv, find

# A file system may give two changes the same time stamp when they are closer than this (seconds;
# the kernel's clock tick). Past it, whatever changes an environment gives it another time.
_TICK = 0.02

# A repair may bring to light what the damage hid: unfinished installs, then files that nobody owns.
_ROUNDS = 3

Tell = Callable[[str], None]


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
    state: State
    environ: Mapping[str, str]

    @property
    def environment(self) -> Path:
        return self.profile.environment_path(self.project.workspace, self.environ)

    @property
    def snapshot_name(self) -> str:
        return f"{self.profile.name}.snapshot"

    def is_current(self) -> bool:
        return snapshot.is_current(self.state.recall(self.snapshot_name) or b"")


def sync(
    project: Project,
    choice: Choice,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    tell: Tell = lambda _text: None,
) -> Synced:
    """Make the environment what the lockfile and the profile say, and remember that it is.

    Raises UvFailedError (1), StaleLockfileError (3), DamagedError (5), BusyError (6),
    UvMissingError (7), DiskError (8).
    """
    work = Sync(
        project=project,
        profile=choice.profile,
        state=State.of(project.workspace),
        environ=choice.profile.environ(os.environ),
    )
    already = work.is_current()
    repaired: tuple[str, ...] = ()
    if not already:
        command = f"uvflow sync --profile {choice.profile.name}"
        with work.state.exclusive(command, timeout=timeout, tell=tell):
            already = work.is_current()  # another uvflow may have done it meanwhile
            repaired = () if already else _carry_out(work, find(), tell)
    return Synced(
        profile=choice.profile.name,
        chosen_by=choice.chosen_by,
        environment=work.environment,
        already=already,
        repaired=repaired,
    )


def last_profile(project: Project) -> str | None:
    """The profile that the project was last synced with, as far as that is remembered."""
    name = State.of(project.workspace).recall("profile")
    return None if name is None else name.decode(errors="replace")


def _carry_out(work: Sync, uv: Uv, tell: Tell) -> tuple[str, ...]:
    """Steps 2 to 7 of the protocol (docs/explanation/sync.md); returns what was repaired."""
    if not work.project.lockfile.exists():
        raise StaleLockfileError(
            f"there is no {work.project.lockfile.name} in {work.project.workspace}",
            hint="`uv lock` makes one, `uvflow init` imports requirements files first",
        )
    watched = inputs.of_sync(work.project, uv_path=uv.path, environ=os.environ)
    before = snapshot.take(list(watched.questions))  # an edit from here on makes the next one real
    was_interrupted = bool(_about(work, "journal"))
    _forget(work, "snapshot")
    work.state.remember(f"{work.profile.name}.journal", _journal(work))
    if was_interrupted:
        _remove_ruins(work)
    _run_uv(work, uv)
    repaired = _prove(work, uv, tell, thorough=was_interrupted)
    if watched.unwatchable is None:
        _remember_snapshot(work, before)
    work.state.remember("profile", work.profile.name.encode())
    _forget(work, "journal")
    return repaired


def _about(work: Sync, kind: str) -> tuple[str, ...]:
    """What is remembered of this environment by whatever profile: snapshots or journals."""
    reader = {"snapshot": snapshot.environment_of, "journal": _environment_of_journal}[kind]
    names = (path.name for path in work.state.directory.glob(f"*.{kind}"))
    wanted = (None, str(work.environment))  # what cannot be read may be about this one
    return tuple(name for name in names if reader(work.state.recall(name) or b"") in wanted)


def _forget(work: Sync, kind: str) -> None:
    for name in _about(work, kind):
        work.state.forget(name)


def _journal(work: Sync) -> bytes:
    told = {
        "profile": work.profile.name,
        "environment": str(work.environment),
        "pid": os.getpid(),
        "boot": _boot_id(),
    }
    return json.dumps(told).encode()


def _environment_of_journal(journal: bytes) -> str | None:
    try:
        return str(json.loads(journal)["environment"])
    except (ValueError, KeyError, TypeError):
        return None


def _boot_id() -> str | None:
    """Tells one start of the machine from another; Linux only."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _remove_ruins(work: Sync) -> None:
    """What is left of an environment whose making was cut short: uv refuses to go on with it."""
    there = Environment.at(work.environment)
    damages = environment.unfinished(there)
    if there.path.exists() and environment.needs_rebuild(damages):
        _remove_whole(work, there, damages)


def _run_uv(work: Sync, uv: Uv) -> None:
    arguments = work.profile.sync_arguments()
    code = uv.run(arguments, cwd=work.project.root, environ=work.environ)
    if code != 0:
        raise _refusal(work, uv, code)


def _refusal(work: Sync, uv: Uv, code: int) -> StaleLockfileError | UvFailedError:
    """Why uv failed: its output went to the terminal, so it is asked about the lockfile again."""
    answer = uv.ask(("lock", "--check", "--offline"), cwd=work.project.root, environ=work.environ)
    if answer.code != 0 and "needs to be updated" in answer.err:
        return StaleLockfileError(
            "uv.lock is not what pyproject.toml asks for; the environment is as it was",
            hint="`uv lock` updates the lockfile, then sync again",
        )
    return UvFailedError(f"`uv sync` failed with exit code {code}; its reason is above")


def _prove(work: Sync, uv: Uv, tell: Tell, *, thorough: bool) -> tuple[str, ...]:
    """Heal what an interrupted uv has left; returns the names of what was installed again.

    `thorough` looks at every file, for a sync that comes after an interrupted one. Raises
    DamagedError when the environment does not heal.
    """
    repaired: dict[str, None] = {}
    for _ in range(_ROUNDS):
        damages = _damages(work, thorough=thorough)
        if not damages:
            return tuple(repaired)
        tell(f"Repairing {work.environment.name}: {_summary(damages)}")
        repaired.update(dict.fromkeys(environment.for_reinstall(damages)))
        _repair(work, damages)
        _run_again(work, uv)
        thorough = True
    damages = _damages(work, thorough=True)
    if damages:
        raise DamagedError(
            f"{work.environment} is damaged, and does not heal",
            cause=_summary(damages),
            hint=f"remove {work.environment} and sync again; `uv cache clean` if that fails too",
        )
    return tuple(repaired)


def _damages(work: Sync, *, thorough: bool) -> tuple[Damage, ...]:
    there = Environment.at(work.environment)
    found = environment.unfinished(there)
    if found or not thorough:
        return found
    # Orphans can be told only where every RECORD is whole.
    return environment.missing(there) or environment.orphans(there)


def _summary(damages: tuple[Damage, ...]) -> str:
    first, others = damages[:3], len(damages[3:])
    return ", ".join(map(str, first)) + (f" and {others} more" if others else "")


def _repair(work: Sync, damages: tuple[Damage, ...]) -> None:
    there = Environment.at(work.environment)
    if environment.needs_rebuild(damages):
        _remove_whole(work, there, damages)
        return
    environment.forget_distributions(there, environment.for_reinstall(damages))
    environment.remove_orphans(there, damages)


def _remove_whole(work: Sync, there: Environment, damages: tuple[Damage, ...]) -> None:
    """Only what is the project's own is removed, never a Python that is used as an environment."""
    if not there.path.is_relative_to(work.project.workspace):
        raise DamagedError(
            f"{there.path} is damaged, and lies outside the project",
            cause=_summary(damages),
            hint=f"remove {there.path} by hand and sync again",
        )
    environment.remove(there)


def _run_again(work: Sync, uv: Uv) -> None:
    """Install what was forgotten, from uv's cache if that has it: no network, no second wait."""
    offline = (*work.profile.sync_arguments(), "--offline")
    answer = uv.ask(offline, cwd=work.project.root, environ=work.environ)
    if answer.code != 0:
        _run_uv(work, uv)


def _remember_snapshot(work: Sync, before: tuple[bytes, ...]) -> None:
    time.sleep(_TICK)
    after = snapshot.take(list(inputs.of_environment(Environment.at(work.environment))))
    sealed = snapshot.seal(str(work.environment), (*before, *after))
    work.state.remember(work.snapshot_name, sealed)
