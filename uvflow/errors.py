"""Everything uvflow can fail with, each with its exit code.

The exit codes are part of the command line's contract; docs/reference lists them.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from uvflow.redaction import redacted

if TYPE_CHECKING:
    from uvflow.findings import Finding


class UvflowError(Exception):
    """A sentence to a person, with what caused it and what to type next.

    `cause` and `hint` are sentences of their own, without a full stop; both may be missing. None
    of the three holds a secret, whoever shows them. `findings` are the reasons, where these are
    lines of files; several are shown below the message. `data` are further keys for `--json`.
    """

    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        cause: str | None = None,
        hint: str | None = None,
        findings: tuple["Finding", ...] = (),
    ) -> None:
        self.message = redacted(message)
        self.cause = redacted(cause) if cause else None
        self.hint = redacted(hint) if hint else None
        self.findings = findings
        self.data: Mapping[str, Any] = {}
        super().__init__(self.message)

    def with_context(self, *, cause: str | None, hint: str | None) -> Self:
        """The same error, with a cause and a hint that its raiser could not know."""
        return type(self)(self.message, cause=cause, hint=hint, findings=self.findings)


class UvFailedError(UvflowError):
    """uv failed: a resolution or a build did not succeed, and uv's reason is on stderr."""

    output = ""  # the end of uv's output, if known; the user has seen it


class ImportNeedsUserError(UvflowError):
    """Files of other tools cannot be imported without a decision of the user."""


class DriftError(UvflowError):
    """A generated file is not what today's facts give."""


class UsageError(UvflowError):
    """The command line or the configuration is wrong, or no project was found."""

    exit_code = 2


class StaleLockfileError(UvflowError):
    """uv.lock is missing, or is not what pyproject.toml asks for."""

    exit_code = 3


class OutOfSyncError(UvflowError):
    """The environment is not what the lockfile and the profile say."""

    exit_code = 4


class DamagedError(UvflowError):
    """The environment is damaged, or is not uvflow's to change."""

    exit_code = 5


class BusyError(UvflowError):
    """Another process uses the project or its environment, and the time to wait is over."""

    exit_code = 6


class UvMissingError(UvflowError):
    """No usable uv: none found, or one too old."""

    exit_code = 7


class DiskError(UvflowError):
    """A file could not be read or written: permissions, a full or read-only disk."""

    exit_code = 8


class NetworkError(UvflowError):
    """The network is needed and not available."""

    exit_code = 9


class InterruptedBySignalError(UvflowError):
    """A signal ended the command; what it had changed has been put back or is in the journal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted")
        self.exit_code = 128 + signal_number  # the shells' convention


def shell_command(*words: str) -> str:
    """What a hint has to type, in backticks: a name in a checkout has to be no code of a shell."""
    import shlex  # rarely needed

    return f"`{shlex.join(words)}`"


@contextlib.contextmanager
def disk_errors(
    path: str | os.PathLike[str], problem: str = "cannot be written", *, hint: str | None = None
) -> Iterator[None]:
    """Raise DiskError about `path` for any OSError that is raised inside."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        raise DiskError(f"{os.fspath(path)} {problem}", cause=cause, hint=hint) from error
