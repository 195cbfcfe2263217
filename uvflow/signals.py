"""What a signal does: end the command in order, reach a child, or wait until it suits.

A signal that is ignored from the start (by `nohup`, or a shell's `&`) stays ignored.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class SignalReceivedError(KeyboardInterrupt):
    """A signal, raised where it arrived; not an Exception, so that nothing takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_them() -> None:
    """From here on a signal is raised, so that what is under way is put back on the way out."""

    def raise_it(number: int, _frame: FrameType | None) -> None:
        raise SignalReceivedError(number)

    _set(raise_it)


@contextlib.contextmanager
def passed_on() -> Iterator["Passing"]:
    """Signals go to a child, which is to be waited for, and are told afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield Passing(None)  # signals reach the main thread alone
        return
    outlet, inlet = os.pipe()
    if sys.platform != "win32":  # where a pipe need not be, and before 3.12 cannot be told to be
        os.set_blocking(inlet, False)
    passing = Passing(outlet)
    before = signal.set_wakeup_fd(inlet)
    try:
        with _handled_by(lambda _number, _frame: None):
            yield passing
    finally:
        signal.set_wakeup_fd(before)
        os.close(inlet)
        passing.end()


class Passing:
    """The signals received, and the child they are sent to once there is one.

    The system writes each into a pipe (signal.set_wakeup_fd), and a thread reads that. A handler
    alone would be called too late: for one that arrives just before the main thread begins to wait
    for the child, only when the child has ended.
    """

    def __init__(self, outlet: int | None) -> None:
        self.received: list[int] = []
        self._outlet = outlet
        self._thread: threading.Thread | None = None

    def to(self, send: Callable[[int], None]) -> None:
        """Send what comes, and what has come before the child was there."""
        if self._outlet is not None:
            self._thread = threading.Thread(target=self._read, args=(self._outlet, send))
            self._thread.start()

    def end(self) -> None:
        """Once nothing writes into the pipe any more."""
        if self._thread is not None:
            self._thread.join()
        if self._outlet is not None:
            os.close(self._outlet)

    def _read(self, outlet: int, send: Callable[[int], None]) -> None:
        while number := os.read(outlet, 1):
            self.received.append(number[0])
            with contextlib.suppress(OSError):  # the child may be gone already
                send(number[0])


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals do nothing inside: putting things back is not to be cut short."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    before = _set(handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _set(handler: Any) -> dict[int, Any]:
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heeded}
