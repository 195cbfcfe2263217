"""`uvflow run`: a command in a synced environment that stays as it is."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from uvflow import process, uv
from uvflow.environment.command import command_environ, command_words, find_program
from uvflow.environment.context import SyncContext
from uvflow.environment.repair import RepairResult
from uvflow.environment.sync import locked_environment
from uvflow.errors import UsageError
from uvflow.files import is_inside
from uvflow.state import locks
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress


class PreparedCommand(NamedTuple):
    """A command that is ready to run; `repair` is what was repaired in its environment."""

    program: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    repair: RepairResult

    def run(self) -> int:
        """Run the command; returns its exit code.

        On POSIX it replaces this process, and this does not return.
        """
        words = (self.program, *self.arguments)
        if os.name != "nt":  # Windows would return to the shell before the command ends
            os.execve(self.program, words, self.environ)  # noqa: S606  the user's own command
        return process.run_program(words, environ=self.environ)


def prepare(
    context: SyncContext,
    words: Sequence[str],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress,
) -> PreparedCommand:
    """Sync the profile's environment, and take a lease on it for the command `words`.

    A live release is taken as it is: a process that is started again must not switch to another.
    No uvflow process but the command's own children changes the environment before it ends, and
    the profile is not the one that a sync means from now on. Raises what `sync.sync` does, and
    UsageError where the command does not exist.
    """
    with contextlib.ExitStack() as held:
        repair = RepairResult()
        if not context.live_release:  # which only `sync` and `rollback` replace
            synced = locked_environment(context, timeout=timeout, progress=progress)
            repair = held.enter_context(synced).repair
        environment = context.environment
        command = _prepare_command(context, environment, words, repair)
        lease = locks.take_lease(
            context.state,
            environment,
            f"uvflow run {words[0]}",
            timeout=timeout,
            progress=progress,
        )
    return command._replace(environ={**command.environ, **lease.variables})


def _prepare_command(
    context: SyncContext, environment: Path, words: Sequence[str], repair: RepairResult
) -> PreparedCommand:
    environ = command_environ(str(environment))
    name, *arguments = command_words(tuple(words))
    program = find_program(name, environ["PATH"])
    if program is None:
        raise UsageError(
            f"`{name}` is neither in {environment.name} nor on PATH",
            hint="is the dependency that provides it in the lockfile, and in this profile?",
        )
    file = find_env_file(context)
    if file:
        # uv reads the file, so that it means what it means to `uv run`.
        arguments = ["run", "--no-project", f"--env-file={file}", "--", program, *arguments]
        program = uv.find().path
    return PreparedCommand(
        program=program, arguments=tuple(arguments), environ=environ, repair=repair
    )


def find_env_file(context: SyncContext) -> Path | None:
    """The env-file of the profile, if it has one; raises UsageError where it is not to be read."""
    if context.profile.env_file is None:
        return None
    file = context.project.root / context.profile.env_file
    is_within = is_inside(file, context.project.workspace)  # a checkout names it
    if not (is_within and file.is_file()):
        problem = "does not exist" if is_within else "leads out of the workspace"
        raise UsageError(f"the env-file {file} of the profile `{context.profile.name}` {problem}")
    return file
