import json

import pytest

from uvflow.console import Console, harmless, wants_color
from uvflow.errors import StaleLockfileError


def test_an_error_looks_like_uvs(capsys: pytest.CaptureFixture[str]) -> None:
    Console().problem(StaleLockfileError("uv.lock is stale", cause="six", hint="`uv lock`"))
    assert capsys.readouterr() == (
        "",
        "error: uv.lock is stale\n  cause: six\nhint: `uv lock`\n",
    )


def test_results_go_to_stdout_and_talk_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.result("data")
    console.say("talk")
    assert capsys.readouterr() == ("data\n", "talk\n")


def test_quiet_leaves_warnings_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.say("talk")
    console.warn("careful")
    assert capsys.readouterr().err == "warning: careful\n"


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.result("not shown")
    console.envelope("sync", 0, {"profile": "dev"})
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 2,
        "command": "sync",
        "exit_code": 0,
        "profile": "dev",
    }


def test_escape_sequences_are_shown_not_sent() -> None:
    assert harmless("a\x1b[2Jb\r\x07\u202ec\td\n") == "a\\x1b[2Jb\\r\\x07\\u202ec\td\n"


def test_color_keeps_foreign_escapes_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(color=True)
    console.say(console.style("ok", "green") + "\x1b[2J")
    assert capsys.readouterr().err == "\x1b[32mok\x1b[0m\\x1b[2J\n"


def test_no_secret_is_shown_in_any_way(capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://me:p/w@h/x"
    for console in (Console(verbose=True), Console(as_json=True)):
        console.say(url)
        console.detail(url)
        console.warn(url)
        console.result(url)
        console.problem(StaleLockfileError(url, cause=url, hint=url))
        console.envelope("sync", 0, {"a": [{"b": (url, 1, None)}]})
    shown = capsys.readouterr()
    assert "p/w" not in shown.out + shown.err
    assert '"https://****@h/x",' in shown.out


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, False),  # an empty one does not count; the test has no terminal
        ({}, False),
    ],
)
def test_what_decides_about_color(environ: dict[str, str], *, expected: bool) -> None:
    assert wants_color("auto", environ) is expected
    assert wants_color("always", environ)
    assert not wants_color("never", environ)
