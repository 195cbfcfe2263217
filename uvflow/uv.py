"""uv, as uvflow uses it: find it, run it, ask it. Nothing else starts a process."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvflow import signals
from uvflow.errors import InterruptedBySignalError, UvMissingError

OLDEST = (0, 9)
_PROBE_SECONDS = 20
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a captured run of uv said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Uv:
    """A uv binary that has told its version."""

    path: str
    version: str

    def run(
        self, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str] | None = None
    ) -> int:
        """Run uv with its output untouched (all of it on stderr) and return its exit code.

        SIGINT, SIGTERM and SIGHUP are passed on and waited for; then InterruptedBySignalError is
        raised, so that what is under way can be put back.
        """
        with signals.passed_on() as passing:
            process = subprocess.Popen(
                (self.path, *arguments),
                cwd=cwd,
                env=_without_virtual_env(environ),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509  uvflow has no threads
            )
            passing.to(process.send_signal)
            code = process.wait()
        if passing.received:
            raise InterruptedBySignalError(passing.received[0])
        return code

    def ask(
        self, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str] | None = None
    ) -> Answer:
        """Run uv and return what it said."""
        done = subprocess.run(
            (self.path, *arguments),
            cwd=cwd,
            env=_without_virtual_env(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


def find(environ: Mapping[str, str] = os.environ) -> Uv:
    """The uv to use: UVFLOW_UV, UV (set by uv for its children), PATH, the `uv` package.

    Raises UvMissingError where there is none, or only one older than uv 0.9.
    """
    chosen = environ.get("UVFLOW_UV")
    if chosen:
        return _supported(_probe(chosen) or _not_usable(chosen))
    for candidate in _candidates(environ):
        uv = _probe(candidate)
        if uv:
            return _supported(uv)
    raise UvMissingError("uv was not found", hint="`pip install uv`, or set UVFLOW_UV to its path")


def run_program(words: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run a program with this process's streams, pass signals on, return its exit code."""
    with signals.passed_on() as passing:
        process = subprocess.Popen(words, env=environ)
        passing.to(process.send_signal)
        return process.wait()


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    if environ.get("UV"):
        yield environ["UV"]
    for directory in environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which("uv", path=directory) if directory else None
        if found:
            yield found
    with contextlib.suppress(ImportError, FileNotFoundError):
        from uv import find_uv_bin  # noqa: PLC0415  the last resort, not needed as a rule

        yield find_uv_bin()


def _probe(path: str) -> Uv | None:
    """None where `path` is no uv that runs, such as a version manager's shim for nothing."""
    try:
        said = subprocess.run(
            (path, "--version"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PROBE_SECONDS,
            encoding="utf-8",
            errors="replace",
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"uv (\d+\.\d+\.\d+\S*)", said)
    return Uv(path=path, version=match[1]) if match else None


def _not_usable(path: str) -> Uv:
    raise UvMissingError(f"UVFLOW_UV names {path}, which does not run as uv")


def _supported(uv: Uv) -> Uv:
    if tuple(map(int, uv.version.split(".")[:2])) < OLDEST:
        raise UvMissingError(
            f"uv {uv.version} is too old: uvflow needs uv {OLDEST[0]}.{OLDEST[1]} or later",
            cause=f"found at {uv.path}",
            hint="`uv self update`, or `pip install --upgrade uv`",
        )
    return uv


def _without_virtual_env(environ: Mapping[str, str] | None) -> dict[str, str]:
    """uv would warn that an activated environment is not the project's; the profile decides."""
    kept = dict(os.environ if environ is None else environ)
    kept.pop("VIRTUAL_ENV", None)
    return kept


def _dying_with(parent: int) -> Callable[[], None] | None:
    """What a child does first so that killing uvflow takes it along; Linux only (prctl(2))."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415  slow, and needed by those who really run uv

    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return die_with_parent
