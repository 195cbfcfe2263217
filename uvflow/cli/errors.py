"""The boundary where errors become text, JSON and an exit code."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from uvflow import uv
from uvflow.console import Console
from uvflow.errors import DiskError, InterruptedBySignalError, UvflowError
from uvflow.process import SignalReceivedError

Answer = tuple[int, Mapping[str, Any]]  # the exit code, and what `--json` has


def run_reported(console: Console, command: str, act: Callable[[], Answer | int | None]) -> int:
    """Run a command, report its answer or the error that it raises, and return the exit code."""
    report = console.detail if console.verbose else None
    uv.DISPLAY.set(uv.Display(is_quiet=console.quiet, report=report))
    try:
        answer = act()
        if not isinstance(answer, tuple):
            return answer or 0
        console.envelope(command, *answer)
        return answer[0]
    except (UvflowError, OSError, KeyboardInterrupt) as raised:
        error = as_uvflow_error(raised)
        if isinstance(error, InterruptedBySignalError) and sys.stderr.isatty():
            console.say("")  # the terminal has shown ^C on this line
        console.problem(error)
        described = {"message": error.message, "cause": error.cause, "hint": error.hint}
        console.envelope(command, error.exit_code, {**error.data, "error": described})
        return error.exit_code


def as_uvflow_error(error: BaseException | None) -> UvflowError:
    """An error of the system, or of the user's keyboard, as one of uvflow's."""
    match error:
        case UvflowError():
            return error
        case OSError():
            name = error.filename or "the current directory, a file or the output"
            name = os.fsdecode(name) if isinstance(name, bytes) else str(name)
            return DiskError(name, cause=error.strerror)
        case SignalReceivedError():
            return InterruptedBySignalError(error.number)
        case _:
            return InterruptedBySignalError(signal.SIGINT)
