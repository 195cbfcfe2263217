"""`uvflow run`: a command in a synced environment that stays as it is."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvflow import process, uv
from uvflow.environment.context import SyncContext
from uvflow.environment.repair import RepairResult
from uvflow.environment.sync import locked_environment
from uvflow.errors import UsageError
from uvflow.state import locks
from uvflow.state.locks import DEFAULT_TIMEOUT
from uvflow.state.store import Progress


@dataclass(frozen=True, kw_only=True)
class ProgramCall:
    """What is to run: the program's path, its arguments, its variables."""

    program: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]


def run(
    work: SyncContext,
    words: Sequence[str],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    progress: Progress,
    tell_healed: Callable[[RepairResult], None],
) -> int:
    """Run `words` in the profile's environment, synced first; returns the command's exit code.

    What had to be healed for that is told to `tell_healed`. Where the system can, the command takes
    the place of this process and this does not return. The command holds a lease on the
    environment: no uvflow changes it before the command ends. Raises what `sync.sync` does, and
    UsageError where there is no such command.
    """
    with locked_environment(work, timeout=timeout, progress=progress) as done:
        tell_healed(done.healed)
        command = _command(work, words)
        locks.take_lease(work.state, work.environment, f"uvflow run {words[0]}")
    return _become(command)


def _command(work: SyncContext, words: Sequence[str]) -> ProgramCall:
    scripts = work.environment / ("Scripts" if os.name == "nt" else "bin")
    environ = _activated(work.environment, scripts)
    words = _with_interpreter(words)
    program = shutil.which(words[0], path=environ["PATH"])
    if program is None:
        raise UsageError(
            f"`{words[0]}` is neither in {work.environment.name} nor on PATH",
            hint="is the dependency that brings it in the lockfile, and in this profile?",
        )
    if work.profile.env_file is None:
        return ProgramCall(program=program, arguments=tuple(words[1:]), environ=environ)
    return _with_env_file(work, program, words[1:], environ)


def _activated(environment: Path, scripts: Path) -> dict[str, str]:
    """This process's variables as the environment's own `activate` would leave them."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    environ["VIRTUAL_ENV"] = str(environment)
    environ["PATH"] = os.pathsep.join((str(scripts), os.environ.get("PATH", os.defpath)))
    return environ


def _with_interpreter(words: Sequence[str]) -> Sequence[str]:
    """`manage.py …` means `python manage.py …`, as it does for `uv run`."""
    is_script = words[0].endswith(".py") and Path(words[0]).is_file()
    return ("python", *words) if is_script else words


def _with_env_file(
    work: SyncContext, program: str, arguments: Sequence[str], environ: Mapping[str, str]
) -> ProgramCall:
    """uv reads the env-file, so that it means what it means to `uv run`."""
    file = work.project.root / str(work.profile.env_file)
    if not file.is_file():
        raise UsageError(
            f"the profile `{work.profile.name}` has the env-file {file}, which is not there"
        )
    return ProgramCall(
        program=uv.find().path,
        arguments=("run", "--no-project", f"--env-file={file}", "--", program, *arguments),
        environ=environ,
    )


def _become(command: ProgramCall) -> int:
    words = (command.program, *command.arguments)
    if os.name != "nt":  # Windows would return to the shell before the command ends
        os.execve(command.program, words, command.environ)  # noqa: S606  the user's own command
    return process.run_program(words, environ=command.environ)
