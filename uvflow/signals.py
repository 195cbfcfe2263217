"""What a signal does: end the command in order, reach a child, or wait until it suits.

A signal that is ignored from the start (by `nohup`, or a shell's `&`) stays ignored.
"""

import contextlib
import signal
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
    passing = Passing()
    with _handled_by(passing.receive):
        yield passing


class Passing:
    """The signals received, and the child they are sent to once there is one."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._send: Callable[[int], None] | None = None

    def receive(self, number: int, _frame: FrameType | None = None) -> None:
        self.received.append(number)
        if self._send is not None:
            with contextlib.suppress(OSError):  # the child may be gone already
                self._send(number)

    def to(self, send: Callable[[int], None]) -> None:
        """Send what comes, and what has come before the child was there."""
        self._send = send
        for number in tuple(self.received):
            with contextlib.suppress(OSError):
                send(number)


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
