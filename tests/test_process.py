import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from uvflow import process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

RAISE = """
import os, signal, sys
from uvflow.process import install_signal_handlers
install_signal_handlers()
try:
    os.kill(os.getpid(), int(sys.argv[1]))
except KeyboardInterrupt as error:
    print("put back", error.number)
else:
    print("went on")
"""


def python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_raised_where_it_arrives(number: signal.Signals) -> None:
    assert python(RAISE, str(int(number))) == f"put back {int(number)}\n"


def test_what_nohup_ignores_stays_ignored() -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert python(ignoring + RAISE, str(int(signal.SIGHUP))) == "went on\n"


def test_signals_are_ignored_inside_and_raised_afterwards() -> None:
    with process.signals_ignored():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_signal_received_before_the_child_starts_reaches_it() -> None:
    with process.signals_collected() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        child = subprocess.Popen(["sleep", "60"])
        assert process.wait_for(child, received) == -signal.SIGTERM
    assert received == [signal.SIGTERM]


def test_a_signal_that_does_not_wake_the_main_thread_reaches_the_child() -> None:
    """As when it arrives just before that starts to wait; here it is sent to another thread."""
    with process.signals_collected() as received:
        other = threading.Timer(
            0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        )
        other.start()
        child = subprocess.Popen(["sleep", "60"])
        assert process.wait_for(child, received) == -signal.SIGTERM
        other.join()
    assert received == [signal.SIGTERM]


def test_a_signal_while_a_program_is_started_ends_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(process.SignalReceivedError):
        process.capture(("sleep", "60"), environ=os.environ)
    assert started[0].returncode == -signal.SIGKILL
