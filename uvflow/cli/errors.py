"""The boundary where errors become text, and an exit code."""

import signal

from uvflow.console import Console
from uvflow.errors import DiskError, InterruptedBySignalError, UvflowError, exit_code_of
from uvflow.process import SignalReceivedError


def report_error(console: Console, command: str, error: UvflowError) -> int:
    """Tell an error, as JSON too where that is asked for; returns the exit code."""
    console.problem(error)
    console.problem_as_json(command, error)
    return exit_code_of(error)


def as_uvflow_error(error: BaseException | None) -> UvflowError:
    """An error of the system or of the user's keyboard, as uvflow tells it."""
    match error:
        case UvflowError():
            return error
        case OSError():
            return DiskError(str(error.filename or "a file or the output"), cause=error.strerror)
        case SignalReceivedError():
            return InterruptedBySignalError(error.number)
        case _:
            return InterruptedBySignalError(signal.SIGINT)
