"""Start, stream, capture and signal child processes; the only importer of subprocess.

A signal that is ignored from the start (by `nohup`, or a shell's `&`) stays ignored.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from uvflow.errors import InterruptedBySignalError
from uvflow.redaction import redacted

_LAST_OUTPUT_SECONDS = 2  # how long to wait for output of a process that has ended
_POLL_SECONDS = 0.002  # 0.5 % of a core, and a tenth of what a uv takes that has nothing to do
_GIT_SECONDS = 10
_TAIL = 1 << 14  # bytes
NOTHING = r"(?!)"  # matches nowhere


class Completed(NamedTuple):
    """The exit code of a process, and its output, as far as that was captured."""

    code: int
    out: str = ""
    err: str = ""


def capture(
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    seconds: float | None = None,
) -> Completed:
    """Run a program and return its output; raises TimeoutError after `seconds`."""
    with signals_collected() as received:  # one that is raised in here would leave the program
        child = subprocess.Popen(
            words,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    with child:
        if received:
            child.kill()
            raise SignalReceivedError(received[0])
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise TimeoutError from error
        except BaseException:
            child.kill()
            raise
    return Completed(code=child.returncode, out=out, err=err)


def ask_git(directory: Path, *words: str) -> str | None:
    """The answer of git about a checkout; None without one, or where git is missing or slow.

    git writes nothing for it, and starts no monitor that the checkout's configuration names.
    """
    options = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(directory))
    try:
        answer = capture(("git", *options, *words), environ=os.environ, seconds=_GIT_SECONDS)
    except OSError:
        return None
    return None if answer.code else answer.out.strip()


def run_program(words: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run a program with this process's streams, forward signals, return its exit code."""
    with signals_collected() as received:
        return wait_for(subprocess.Popen(words, env=environ), received)


def wait_for(
    child: "subprocess.Popen[Any]",
    received: Sequence[int],
    meanwhile: Callable[[], bool] = lambda: True,
) -> int:
    """Send a child the signals that are `received`, until it ends; returns its exit code.

    `meanwhile` is called until it returns True, at least once. This asks over and over, because a
    signal that arrives just before Python starts to wait is noticed only after that.
    """
    sent, is_done = 0, False
    while True:
        is_done = is_done or meanwhile()
        for number in received[sent:]:
            sent += 1
            with contextlib.suppress(OSError, ValueError):  # Windows itself sends Ctrl+C
                child.send_signal(number)
        code = child.poll()
        if code is not None:
            return int(code)
        time.sleep(_POLL_SECONDS)


def stream(
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    meanwhile: Callable[[], bool] = lambda: True,
    until: str = NOTHING,
) -> Completed:
    """Run a program with all its output on our stderr, unchanged except for secrets in a pipe.

    Returns the end of all its output as `err`, which is empty where stderr is a terminal: the
    program itself writes to that. In a pipe, nothing is shown from the first line on that matches
    `until`. `meanwhile` is as in `wait_for`. Signals are forwarded; after one,
    InterruptedBySignalError is raised once the program has ended.
    """
    tail, reader, inlet = bytearray(), None, sys.stderr.fileno()
    if not sys.stderr.isatty():
        outlet, inlet = os.pipe()
        # In a thread, because children of the program may keep the pipe open after its end.
        reader = threading.Thread(target=_forward, args=(outlet, tail, until), daemon=True)
    with signals_collected() as received, _lifeline() as options:
        child = subprocess.Popen(
            words,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=inlet,
            stderr=subprocess.STDOUT,
            **options,
        )
        if reader:
            reader.start()
        code = wait_for(child, received, meanwhile)
    if reader:
        os.close(inlet)
        reader.join(_LAST_OUTPUT_SECONDS)
    if received:
        raise InterruptedBySignalError(received[0])
    return Completed(code=code, err=tail.decode(errors="replace"))


def _forward(outlet: int, tail: bytearray, until: str) -> None:
    """uv hides passwords itself, but not those that a build prints, nor tokens in a query."""
    is_shown = True
    with os.fdopen(outlet, "rb") as lines:
        for line in lines:  # whole lines, so that no secret is split
            text = redacted(line.decode(errors="surrogateescape"))
            is_shown = is_shown and not re.search(until, text)
            shown = text.encode(errors="surrogateescape")
            tail += shown
            del tail[:-_TAIL]
            if is_shown:
                with contextlib.suppress(OSError):  # nobody reads our stderr any more
                    os.write(sys.stderr.fileno(), shown)


@contextlib.contextmanager
def _lifeline() -> Iterator[dict[str, Any]]:
    """Options of Popen by which a child is killed along with this process; empty but on Linux.

    The child holds one end of a pipe, and asks for SIGKILL when the other end is closed, as it is
    with this process (fcntl(2), F_SETSIG). It cannot miss that: until it is uv, it has a copy of
    the other end as well. prctl(2) does the same, but by ctypes, which takes 2 ms to import.
    """
    if sys.platform != "linux":
        yield {}
        return
    import fcntl  # Windows has none

    end, other_end = os.pipe()

    def die_with_parent() -> None:
        with contextlib.suppress(OSError):  # what stands in for Linux may not know it
            fcntl.fcntl(end, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(end, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(end, fcntl.F_SETFL, os.O_ASYNC)

    with os.fdopen(end), os.fdopen(other_end, "w"):
        yield {"pass_fds": (end,), "preexec_fn": die_with_parent}


_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class SignalReceivedError(KeyboardInterrupt):
    """A signal, raised where it arrived; not an Exception, so that no handler swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def install_signal_handlers() -> None:
    """Raise signals as SignalReceivedError, so that changes are put back on the way out."""

    def raise_signal(number: int, _frame: FrameType | None) -> None:
        raise SignalReceivedError(number)

    _set_signal_handlers(raise_signal)


@contextlib.contextmanager
def signals_collected() -> Iterator[list[int]]:
    """Collect signals instead of raising them, for a child whose end the caller waits for."""
    received: list[int] = []
    with _signal_handlers(lambda number, _frame: received.append(number)):
        yield received


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore signals inside, so that putting things back is not interrupted."""
    with _signal_handlers(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _signal_handlers(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals only reach the main thread
        return
    before = _set_signal_handlers(handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _set_signal_handlers(handler: Any) -> dict[int, Any]:
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in handled}
