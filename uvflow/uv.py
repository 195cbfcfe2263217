"""uv, as uvflow uses it: find it, run it, ask it. Nothing else starts a process."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvflow import signals
from uvflow.errors import (
    InterruptedBySignalError,
    NetworkError,
    UvFailedError,
    UvflowError,
    UvMissingError,
)
from uvflow.redaction import redacted

OLDEST = (0, 9)
_PROBE_SECONDS = 20
_PATIENCE = 2  # seconds, for the last words of a process that has ended
_MOMENT = 0.005  # seconds, between two looks at what uv is making
_TAIL = 1 << 14  # bytes
_SIGNS_OF_NO_NETWORK = (
    *("client error (Connect)", "etwork was disabled", "etwork connectivity is"),
    *("Could not resolve host", "Failed to connect to ", "ssh: connect to host "),  # of git's
)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a captured run of uv said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run whose output went on to stderr ended.

    `said` is the end of that output; empty where stderr is a terminal, which uv itself has then.
    """

    code: int
    said: str = ""

    def failure(self, command: str) -> UvflowError:
        """What to tell of it: uv's own words stand above on stderr."""
        if is_for_want_of_network(self.said):
            return NetworkError(f"`{command}` needs the network, and could not reach it")
        return UvFailedError(f"`{command}` failed with exit code {self.code}; its reason is above")


@dataclass(frozen=True, kw_only=True)
class Uv:
    """A uv binary that has told its version."""

    path: str
    version: str

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        beside: Callable[[], bool] = lambda: True,
    ) -> Ended:
        """Run uv with its output as it is, all of it on stderr, but for secrets in a pipe.

        `beside` is called again and again while uv is at work, until it says that it is done.
        SIGINT, SIGTERM and SIGHUP are passed on and waited for; then InterruptedBySignalError is
        raised, so that what is under way can be put back.
        """
        stream = _Stream()
        with signals.passed_on() as passing:
            process = subprocess.Popen(
                (self.path, *arguments),
                cwd=cwd,
                env=_without_virtual_env(environ),
                stdin=subprocess.DEVNULL,
                stdout=stream.inlet,
                stderr=subprocess.STDOUT,
                preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509  no thread runs by now
            )
            passing.to(process.send_signal)
            stream.start()
            while not beside() and process.poll() is None:
                time.sleep(_MOMENT)
            code = process.wait()
        said = stream.end()
        if passing.received:
            raise InterruptedBySignalError(passing.received[0])
        return Ended(code=code, said=said)

    def ask(
        self, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str] | None = None
    ) -> Answer:
        """Run uv and return what it said."""
        return self.begin_to_ask(arguments, cwd=cwd, environ=environ).answer()

    def begin_to_ask(
        self, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str] | None = None
    ) -> "Question":
        """As `ask`, without waiting: several may be asked at once."""
        return _begin((self.path, *arguments), cwd=cwd, environ=_without_virtual_env(environ))


class Question:
    """What uv, or another program, has been asked, and is at work on."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def answer(self, seconds: float | None = None) -> Answer:
        """Wait for it; call this once. Raises TimeoutExpired where it takes more than `seconds`."""
        with self._process as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except BaseException:
                process.kill()
                raise
        return Answer(code=process.returncode, out=out, err=err)


def is_for_want_of_network(said: str) -> bool:
    """Whether uv, or the git or ssh that it has started, says so."""
    words = " ".join(said.split())  # uv breaks long lines
    return any(sign in words for sign in _SIGNS_OF_NO_NETWORK)


def find(environ: Mapping[str, str] = os.environ) -> Uv:
    """The uv to use: UVFLOW_UV, UV (set by uv for its children), PATH, the `uv` package.

    Raises UvMissingError where there is none, or only one older than uv 0.9.
    """
    return begin_to_find(environ)()


def begin_to_find(environ: Mapping[str, str] = os.environ) -> Callable[[], Uv]:
    """As `find`, without waiting for what the first candidate says: what is returned does."""
    chosen = environ.get("UVFLOW_UV")
    candidates = iter([chosen]) if chosen else _candidates(environ)
    probes = map(_begin_to_probe, candidates)
    first = next(probes, lambda: None)

    def found() -> Uv:
        for probed in itertools.chain([first], probes):
            uv = probed()
            if uv:
                return _supported(uv)
        raise _missing(chosen)

    return found


def run_program(words: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run a program with this process's streams, pass signals on, return its exit code."""
    with signals.passed_on() as passing:
        process = subprocess.Popen(words, env=environ)
        passing.to(process.send_signal)
        return process.wait()


def ask_program(words: Sequence[str], *, environ: Mapping[str, str]) -> Answer:
    """Run a program and return what it said."""
    return _begin(words, environ=environ).answer()


def _begin(
    words: Sequence[str], *, environ: Mapping[str, str], cwd: Path | None = None
) -> Question:
    return Question(
        subprocess.Popen(
            words,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    )


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


def _begin_to_probe(path: str) -> Callable[[], Uv | None]:
    """Gives None where `path` is no uv that runs, such as a version manager's shim for nothing."""
    try:
        question = _begin((path, "--version"), environ=os.environ)
    except OSError:
        return lambda: None
    return lambda: _probed(path, question)


def _probed(path: str, question: Question) -> Uv | None:
    try:
        answer = question.answer(_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    match = re.match(r"uv (\d+\.\d+\.\d+\S*)", answer.out)
    return Uv(path=path, version=match[1]) if match and answer.code == 0 else None


def _missing(chosen: str | None) -> UvMissingError:
    if chosen:
        return UvMissingError(
            f"UVFLOW_UV names {chosen}, which does not run as uv",
            hint="correct UVFLOW_UV, or unset it",
        )
    return UvMissingError("uv was not found", hint="`pip install uv`, or set UVFLOW_UV to its path")


def _supported(uv: Uv) -> Uv:
    if tuple(map(int, uv.version.split(".")[:2])) < OLDEST:
        raise UvMissingError(
            f"uv {uv.version} is too old: uvflow needs uv {OLDEST[0]}.{OLDEST[1]} or later",
            cause=f"found at {uv.path}",
            hint="`uv self update`, or `pip install --upgrade uv`",
        )
    return uv


class _Stream:
    """Where uv writes to: our stderr itself where that is a terminal, else a pipe into it.

    A thread reads the pipe, for what uv has started may keep it open for longer than uv lives.
    """

    def __init__(self) -> None:
        self._tail = bytearray()
        self._reader: threading.Thread | None = None
        self.inlet = sys.stderr.fileno()
        if not sys.stderr.isatty():
            outlet, self.inlet = os.pipe()
            self._reader = threading.Thread(target=self._pass_on, args=(outlet,), daemon=True)

    def end(self) -> str:
        """The end of what was said, once uv has ended."""
        if self._reader is not None:
            os.close(self.inlet)
            self._reader.join(_PATIENCE)
        return self._tail.decode(errors="replace")

    def start(self) -> None:
        if self._reader is not None:
            self._reader.start()

    def _pass_on(self, outlet: int) -> None:
        with os.fdopen(outlet, "rb") as said:
            for line in said:  # whole lines, so that no secret is cut in two
                shown = _redacted(line)
                self._tail += shown
                del self._tail[:-_TAIL]
                with contextlib.suppress(OSError):  # nobody reads our stderr any more
                    os.write(sys.stderr.fileno(), shown)


def _redacted(line: bytes) -> bytes:
    """uv hides passwords itself; a build that it runs, or a token in a query, is another matter."""
    return redacted(line.decode(errors="surrogateescape")).encode(errors="surrogateescape")


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
