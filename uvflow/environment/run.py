"""`uvflow run`: a command in a synced environment that stays as it is."""

import contextlib
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from uvflow import process, uv
from uvflow.environment.command import command_environ, command_words, find_program
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment
from uvflow.environment.ownership import RECEIPT
from uvflow.environment.repair import RepairResult, reasons_to_recreate
from uvflow.environment.sync import SyncResult, locked_environment
from uvflow.errors import UsageError
from uvflow.files import is_inside
from uvflow.state import locks
from uvflow.state.store import Progress

# With these uv, where it reads an env-file, would run a command elsewhere.
_LEAD_AWAY = ("UV_ISOLATED", "UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY")


def run(
    context: SyncContext,
    words: Sequence[str],
    *,
    timeout: float,
    progress: Progress,
    report: Callable[[RepairResult], None],
) -> int:
    """Sync the profile's environment, and run the command `words` in it; returns its exit code.

    On POSIX it replaces this process, and this does not return. No uvflow process but the command's
    own children changes the environment before it ends, and the profile is not the one that a sync
    means from now on. What was repaired is reported first. A live release that can be used is
    taken as it is: only `sync` and `rollback` replace it. Raises what `sync.sync` does, and
    UsageError where the command does not exist, or PATH cannot name the environment.
    """
    require_name_for_path(context.environment)
    live = context.live_release
    syncing: AbstractContextManager[SyncResult] = locked_environment(
        context, timeout=timeout, progress=progress
    )
    if live and (live / RECEIPT).is_file() and not reasons_to_recreate(Environment(live)):
        syncing = contextlib.nullcontext(SyncResult(already=True))
    with syncing as synced:
        environment = context.environment  # once: another release may become the live one
        environ = command_environ(str(environment))
        command = _command(context, command_words(tuple(words)), environ["PATH"])
        holder = f"uvflow run {words[0]}"
        lease = locks.take_lease(
            context.state, environment, holder, timeout=timeout, progress=progress
        )
    report(synced.repair)
    environ |= lease.variables
    if context.profile.env_file is not None:
        environ = {name: value for name, value in environ.items() if name not in _LEAD_AWAY}
    if os.name != "nt":  # Windows would return to the shell before the command ends
        os.execve(command[0], command, environ)  # noqa: S606  the user's own command
    return process.run_program(command, environ=environ)


def require_name_for_path(environment: Path) -> None:
    """Raises UsageError where PATH cannot name it: another Python would run, without a word."""
    if os.pathsep in str(environment):
        problem = f"{environment} cannot be on PATH, which is split at `{os.pathsep}`"
        raise UsageError(problem, hint="rename the directory that has it in its name")


def _command(context: SyncContext, words: Sequence[str], path: str) -> tuple[str, ...]:
    """The words to execute: the program by its path, behind uv if the profile has an env-file."""
    program = find_program(words[0], path)
    if program is None:
        raise UsageError(
            f"`{words[0]}` is neither in {context.place.name} nor on PATH",
            hint="`uv add NAME` adds the package that provides it; `--dev` or `--profile NAME` "
            "chooses another profile",
        )
    file = find_env_file(context)
    if file is None:
        return (program, *words[1:])
    # uv reads the file, so that it means what it means to `uv run`.
    python = Environment(context.environment).python  # not that of UV_PYTHON
    reading = ("run", "--no-project", f"--python={python}", f"--env-file={file}", "--")
    return (uv.find().path, *reading, program, *words[1:])


def find_env_file(context: SyncContext) -> Path | None:
    """The env-file of the profile, if any; raises UsageError where it is missing or outside."""
    if context.profile.env_file is None:
        return None
    file = context.project.root / context.profile.env_file
    is_within = is_inside(file, context.project.workspace)  # a checkout names it
    if not (is_within and file.is_file()):
        problem = "does not exist" if is_within else "leads out of the workspace"
        raise UsageError(f"the env-file {file} of the profile `{context.profile.name}` {problem}")
    return file
