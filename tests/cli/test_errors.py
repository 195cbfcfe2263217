import json
from unittest.mock import Mock

import pytest

from uvflow.cli.errors import run_reported
from uvflow.console import Console
from uvflow.errors import BusyError, UsageError
from uvflow.process import SignalReceivedError


def test_without_an_error_the_exit_code_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_reported(Console(), "sync", lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (BusyError("busy", cause="it"), 6, "error: busy\n  cause: it\n"),
        (PermissionError(13, "denied", "/file"), 8, "error: /file\n  cause: denied\n"),
        (PermissionError(13, "denied", b"/file"), 8, "error: /file\n  cause: denied\n"),
        (SignalReceivedError(15), 143, "error: interrupted\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_an_error_is_text_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
) -> None:
    assert run_reported(Console(), "sync", Mock(side_effect=error)) == code
    assert capsys.readouterr() == ("", text)


def test_an_error_brings_further_keys(capsys: pytest.CaptureFixture[str]) -> None:
    error = UsageError("wrong")
    error.data = {"error": None, "files": []}
    run_reported(Console(as_json=True), "init", Mock(side_effect=error))
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 2,
        "command": "init",
        "exit_code": 2,
        "error": {"message": "wrong", "cause": None, "hint": None},
        "files": [],
    }


def test_an_error_is_an_object_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    act = Mock(side_effect=UsageError("wrong", hint="right"))
    run_reported(Console(as_json=True), "sync", act)
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 2,
        "command": "sync",
        "exit_code": 2,
        "error": {"message": "wrong", "cause": None, "hint": "right"},
    }
