"""`uvflow sync`: under the lock, journal, uv, proof, snapshot."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uvflow import inputs, snapshot
from uvflow.environment import Environment
from uvflow.errors import StaleLockfileError, UvFailedError
from uvflow.profiles import Choice, Profile
from uvflow.project import Project
from uvflow.state import DEFAULT_TIMEOUT, State
from uvflow.uv import Uv, find

# A file system may give two changes the same time stamp when they are closer than this (seconds;
# the kernel's clock tick). Past it, whatever changes an environment gives it another time.
_TICK = 0.02


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What a sync found and did; `already` when there was nothing to do."""

    profile: str
    chosen_by: str
    environment: Path
    already: bool


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
    tell: Callable[[str], None] = lambda _text: None,
) -> Synced:
    """Make the environment what the lockfile and the profile say, and remember that it is.

    Raises StaleLockfileError (3), BusyError (6), UvMissingError (7), UvFailedError (1).
    """
    work = Sync(
        project=project,
        profile=choice.profile,
        state=State.of(project.workspace),
        environ=choice.profile.environ(os.environ),
    )
    already = work.is_current()
    if not already:
        command = f"uvflow sync --profile {choice.profile.name}"
        with work.state.exclusive(command, timeout=timeout, tell=tell):
            already = work.is_current()  # another uvflow may have done it meanwhile
            if not already:
                _carry_out(work, find())
    return Synced(
        profile=choice.profile.name,
        chosen_by=choice.chosen_by,
        environment=work.environment,
        already=already,
    )


def last_profile(project: Project) -> str | None:
    """The profile that the project was last synced with, as far as that is remembered."""
    name = State.of(project.workspace).recall("profile")
    return None if name is None else name.decode(errors="replace")


def _carry_out(work: Sync, uv: Uv) -> None:
    if not work.project.lockfile.exists():
        raise StaleLockfileError(
            f"there is no {work.project.lockfile.name} in {work.project.workspace}",
            hint="`uv lock` makes one, `uvflow init` imports requirements files first",
        )
    watched = inputs.of_sync(work.project, uv_path=uv.path, environ=os.environ)
    before = snapshot.take(list(watched.questions))  # an edit from here on makes the next one real
    _forget_snapshots(work)
    work.state.remember("journal", _journal(work))
    _run_uv(work, uv)
    if watched.unwatchable is None:
        _remember_snapshot(work, before)
    work.state.remember("profile", work.profile.name.encode())
    work.state.forget("journal")


def _forget_snapshots(work: Sync) -> None:
    """Drop every profile's snapshot of this environment: it is about to become another's."""
    for path in work.state.directory.glob("*.snapshot"):
        about = snapshot.environment_of(work.state.recall(path.name) or b"")
        if about is None or about == str(work.environment):
            work.state.forget(path.name)


def _journal(work: Sync) -> bytes:
    told = {
        "profile": work.profile.name,
        "environment": str(work.environment),
        "pid": os.getpid(),
        "boot": _boot_id(),
    }
    return json.dumps(told).encode()


def _boot_id() -> str | None:
    """Tells one start of the machine from another; Linux only."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


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


def _remember_snapshot(work: Sync, before: tuple[bytes, ...]) -> None:
    time.sleep(_TICK)
    questions = inputs.of_environment(Environment.at(work.environment))
    after = snapshot.take(list(questions))
    work.state.remember(work.snapshot_name, snapshot.seal(str(work.environment), (*before, *after)))
