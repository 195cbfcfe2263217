"""The boundary where errors become text, JSON and an exit code."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from uvflow.console import Console
from uvflow.errors import DiskError, InterruptedBySignalError, UvflowError
from uvflow.process import SignalReceivedError

Answer = tuple[int, Mapping[str, Any]]  # the exit code, and what `--json` has


class Outcome:
    """How a command ended."""

    exit_code: int = 0


@contextlib.contextmanager
def report_errors(
    console: Console,
    command: str,
    as_json: Callable[[UvflowError], Mapping[str, Any]] = lambda _error: {},
) -> Iterator[Outcome]:
    """Report an error that is raised inside, and set the exit code of what is yielded.

    `as_json` gives the keys that `--json` has besides `error`.
    """
    outcome = Outcome()
    try:
        yield outcome
    except (UvflowError, OSError, KeyboardInterrupt) as raised:
        if isinstance(raised, KeyboardInterrupt) and sys.stderr.isatty():
            console.say("")  # the terminal has shown ^C on this line
        error = as_uvflow_error(raised)
        outcome.exit_code = error.exit_code
        console.problem(error)
        described = {"message": error.message, "cause": error.cause, "hint": error.hint}
        console.envelope(command, error.exit_code, {**as_json(error), "error": described})


def as_uvflow_error(error: BaseException | None) -> UvflowError:
    """An error of the system, or of the user's keyboard, as one of uvflow's."""
    match error:
        case UvflowError():
            return error
        case OSError():
            name = error.filename or "a file or the output"
            name = os.fsdecode(name) if isinstance(name, bytes) else str(name)
            return DiskError(name, cause=error.strerror)
        case SignalReceivedError():
            return InterruptedBySignalError(error.number)
        case _:
            return InterruptedBySignalError(signal.SIGINT)
