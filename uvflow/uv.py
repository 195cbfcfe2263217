"""Find uv and run it."""

import contextlib
import itertools
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from uvflow import fingerprint, process
from uvflow.errors import (
    DiskError,
    NetworkError,
    StaleLockfileError,
    UsageError,
    UvFailedError,
    UvflowError,
    UvMissingError,
)
from uvflow.fingerprint import MAX_BYTES, uv_candidates
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed


class Display(NamedTuple):
    """What is shown of each uv: nothing unless it fails (`is_quiet`), or a `report` of it too."""

    is_quiet: bool = False
    report: Callable[[str], None] | None = None


DISPLAY = ContextVar("display", default=Display())  # noqa: B039  it cannot be changed

OLDEST = (0, 9)
ERROR = r"(?m)^(?:error: |  × )"  # uv 0.9 marks some errors with ×
REQUIRED = "Required uv version `"  # what uv begins with where a project asks for another
# What uv writes where it refuses the lockfile itself.
REFUSAL = (
    rf"(?i:the lockfile) at .*{re.escape(LOCKFILE)}.* (?:needs to be updated|uses an unsupported)"
    rf"|Failed to parse .*{re.escape(LOCKFILE)}"
)
ANOTHER = "`uv self update`, or name another uv in UVFLOW_UV"
_VERSION = r"\d+\.\d+\.\d+\S*"
_PROBE_SECONDS = 20
_SMALLEST = 1 << 23  # bytes; the shim of a version manager is smaller, and so is a script

# What uv reads in a project, and above it where it looks for a configuration.
_READ_BY_UV = (MANIFEST, LOCKFILE, "uv.toml", ".python-version", ".python-versions")
_READ_TO_RUN = (*_READ_BY_UV, ".venv/pyvenv.cfg")  # a sync first sets aside one that is not a file
SIGNS_OF_NO_NETWORK = (  # of uv, and of the git or ssh it has started
    *("client error (Connect)", "etwork was disabled", "etwork connectivity is"),
    *("operation timed out", "etwork timeout"),
    *("Could not resolve host", "Failed to connect to ", "ssh: connect to host "),  # of git
)

# Not permitted, input or output, access, full, read-only, and quota, as uv writes them on Unix and
# on Windows, and as a build backend in Python does.
_DISK = r"\(os error (?:1|5|13|28|30|112|122)\)|\[Errno (?:28|30|122)\]"
_LOGIN = r"\(40[13] (?:Unauthorized|Forbidden)\)|returned a 40[13] "
_SELECTION = (
    r"(?:roup|xtra) .+ is not defined in|does not have a member |incompatible with the .*conflicts"
)
_LOG_IN = (
    "log in with `uv auth login URL`, or set UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD,"
    " NAME being that of the index in [[tool.uv.index]]"
)


def failure_of(answer: Completed, command: str) -> UvflowError:
    """The error to raise for the `command` of uv that failed; its own message has been shown."""
    words = " ".join(answer.err.split())  # uv breaks long lines
    message = f"`{command}` failed with exit code {answer.code}; its reason is above"
    if any(sign in words for sign in SIGNS_OF_NO_NETWORK):
        return NetworkError(f"`{command}` needs the network, and could not reach it")
    if re.search(_DISK, words):
        return DiskError(f"`{command}` could not read or write a file; its reason is above")
    if REQUIRED in words:
        return UvMissingError(message, hint=ANOTHER)
    if re.search(_SELECTION, words):
        return UsageError(message)
    if re.search(_LOGIN, words):
        return UvFailedError(message, hint=_LOG_IN)
    failure = UvFailedError(message)
    failure.output = answer.err
    return failure


class Uv(NamedTuple):
    """A uv binary."""

    path: str
    version: str

    @property
    def release(self) -> tuple[int, ...]:
        """The three numbers that its version begins with."""
        return tuple(map(int, re.findall(r"\d+", self.version)[:3]))

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        meanwhile: Callable[[], bool] = lambda: True,
        until: str = process.NOTHING,
    ) -> Completed:
        """Run uv with all its output on our stderr, unchanged except for secrets in a pipe.

        `meanwhile`, `until` and signals are as in `process.stream`. Raises what `check_readable`
        does.
        """
        check_readable((cwd, *cwd.parents), _READ_TO_RUN)
        is_quieter = DISPLAY.get().is_quiet and "--quiet" not in arguments  # twice hides errors
        report = _reporter(arguments)
        completed = process.stream(
            (self.path, *arguments, *(("--quiet",) if is_quieter else ())),
            environ=_uv_environ(environ),
            cwd=cwd,
            meanwhile=meanwhile,
            until=until,
        )
        report()
        return completed

    def capture(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Completed:
        """Run uv and return its output; raises TimeoutError after `seconds`."""
        check_readable((cwd, *cwd.parents), _READ_TO_RUN)
        report = _reporter(arguments)
        completed = process.capture(
            (self.path, *arguments), environ=_uv_environ(environ), cwd=cwd, seconds=seconds
        )
        report()
        return completed


def _reporter(arguments: Sequence[str]) -> Callable[[], None]:
    """A function to call when a uv that starts now has ended, which reports how long it took."""
    began, report = time.monotonic(), DISPLAY.get().report
    if report is None:
        return lambda: None
    import shlex  # rarely needed

    return lambda: report(f"{shlex.join(('uv', *arguments))} took {time.monotonic() - began:.2f} s")


def check_readable(directories: Iterable[Path], names: Iterable[str] = _READ_BY_UV) -> None:
    """Refuse a file that uv would wait at, or read, without an end: a named pipe, a device.

    Raises StaleLockfileError for uv.lock, else UsageError.
    """
    for path in itertools.starmap(Path, itertools.product(directories, names)):
        try:
            status = path.stat()
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            kind = StaleLockfileError if path.name == LOCKFILE else UsageError
            cause = f"it is not a regular file of at most {MAX_BYTES:,} bytes"
            raise kind(f"{path} cannot be read", cause=cause)


def find(environ: Mapping[str, str] = os.environ, known: Mapping[str, str] | None = None) -> Uv:
    """The uv to use: UVFLOW_UV, UV (set by uv for its children), PATH, the `uv` package.

    `known` are versions by what `identity` says, which need not be asked for again: that takes as
    long as a sync that has nothing to do. Raises UvMissingError where none runs, or where it is
    older than uv 0.9.
    """
    found = next(filter(None, (_probe(path, known) for path in _candidates(environ))), None)
    if found is None and environ.get("UVFLOW_UV"):
        raise UvMissingError(
            f"UVFLOW_UV names {environ['UVFLOW_UV']}, which does not run as uv",
            hint="correct UVFLOW_UV, or unset it",
        )
    if found is None:
        hint = "`pip install uv`, or set UVFLOW_UV to its path"
        raise UvMissingError("uv was not found", hint=hint)
    if found.release < OLDEST:
        raise UvMissingError(
            f"uv {found.version} is too old: uvflow needs uv {OLDEST[0]}.{OLDEST[1]} or later",
            cause=f"found at {found.path}",
            hint="`uv self update`, or `pip install --upgrade uv`",
        )
    return found


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    # By their full paths: Windows would look for a name in the current directory first.
    for path in map(os.path.abspath, uv_candidates(environ)):
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112  a str
            yield path
    if not environ.get("UVFLOW_UV"):
        with contextlib.suppress(ImportError, FileNotFoundError):
            from uv import find_uv_bin  # the last resort, rarely needed

            yield find_uv_bin()


def identity(path: str) -> str:
    """What a version is remembered by; empty for a shim, which may lead elsewhere by now."""
    real = Path(os.path.realpath(path))
    if real.stem != "uv" or not real.is_file() or real.stat().st_size < _SMALLEST:
        return ""
    return " ".join(map(os.fsdecode, fingerprint.record([f"linkable {real}"])))


def _probe(path: str, known: Mapping[str, str] | None) -> Uv | None:
    """None where `path` does not run as uv: a version manager's shim without a uv, say."""
    version = str(known.get(identity(path))) if known else ""
    if re.match(_VERSION, version):
        return Uv(path=path, version=version)
    try:
        completed = process.capture((path, "--version"), environ=os.environ, seconds=_PROBE_SECONDS)
    except OSError:  # it cannot be started, or takes too long
        return None
    match = re.match(rf"uv ({_VERSION})", completed.out)
    return Uv(path=path, version=match[1]) if match and completed.code == 0 else None


def _uv_environ(environ: Mapping[str, str] | None) -> dict[str, str]:
    """Without VIRTUAL_ENV: uv would warn about an activated environment, but the profile decides.

    Without relative entries of PATH, by which uv would find a Python in a project. UV_CONFIG_FILE
    is relative to the directory that uvflow was called in. UV_NO_WRAP keeps uv 0.9 from breaking
    the lines of its messages, some of which are parsed.
    """
    variables = dict(os.environ if environ is None else environ)
    variables.pop("VIRTUAL_ENV", None)
    if variables.get("UV_CONFIG_FILE"):
        variables["UV_CONFIG_FILE"] = os.path.abspath(variables["UV_CONFIG_FILE"])  # noqa: PTH100  a text
    path = variables.get("PATH", os.defpath).split(os.pathsep)
    variables["PATH"] = os.pathsep.join(filter(os.path.isabs, path))
    return {**variables, "UV_NO_WRAP": "1"}
