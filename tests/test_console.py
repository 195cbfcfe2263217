import json
import os
import select
import sys
from collections.abc import Callable

import pytest

from uvflow import findings
from uvflow.console import Console, harmless, wants_color
from uvflow.errors import ImportNeedsUserError, StaleLockfileError
from uvflow.findings import Origin


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb é …", "a\tb é …"),
        ("a\nhint: b", "a\\nhint: b"),
        ("\x1b[2J\r\x07\x85", "\\x1b[2J\\r\\x07\\x85"),
        ("\u2028\u2029\x0b\x0c", "\\u2028\\u2029\\x0b\\x0c"),
        ("\u061c\u200e\u202e\u2066", "\\u061c\\u200e\\u202e\\u2066"),
        ("\u200b\u200d\u2060\ufeff\u00ad", "\\u200b\\u200d\\u2060\\ufeff\\xad"),
        ("\u034f\u3164\ufe0f\U000e0100", "\\u034f\\u3164\\ufe0f\\U000e0100"),
        ("\U000e0061\udcff", "\\U000e0061\\udcff"),
    ],
)
def test_what_is_not_seen_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_foreign_text_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    forged = "a\nhint: b\nSynced: c"
    console = Console(verbose=True)
    for show in (console.say, console.detail, console.warn, console.result):
        show(forged)
    where = Origin(path=forged, line=1)
    found = (findings.error("x", forged, where, forged), findings.error("y", forged, None))
    console.problem(StaleLockfileError(forged, hint=forged, findings=found))
    shown = capsys.readouterr()
    starts = {line.partition("a")[0] for line in (shown.out + shown.err).splitlines()}
    assert starts == {"", "w", "error: ", "  ", "hint: "}  # "w" is that of "warning"


def test_a_cause_of_several_lines_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    Console().problem(StaleLockfileError("stale", cause="error: a\nhint: b\x1b"))
    assert capsys.readouterr().err == "error: stale\n  cause: error: a\n    hint: b\\x1b\n"


def test_several_findings_are_shown_below_their_error(capsys: pytest.CaptureFixture[str]) -> None:
    where = Origin(path="requirements.txt", line=3)
    found = (findings.error("x", "first", where), findings.error("y", "second", where, "do it"))
    Console().problem(ImportNeedsUserError("2 lines cannot be imported", findings=found))
    assert capsys.readouterr().err == (
        "error: 2 lines cannot be imported\n"
        "  requirements.txt:3: first\n"
        "  requirements.txt:3: second (do it)\n"
    )


def test_json_has_foreign_text_as_json_escapes_it(capsys: pytest.CaptureFixture[str]) -> None:
    Console(as_json=True).envelope("sync", 0, {"profile": "a\n\u200b\udcff"})
    out = capsys.readouterr().out
    assert r'"a\n\u200b\udcff"' in out
    assert json.loads(out)["profile"] == "a\n\u200b\udcff"


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


LONG = StaleLockfileError(
    "the lockfile /srv/my-shop/back-end/uv.lock is not what its pyproject.toml asks for",
    cause="six 1.16.0 is locked, and `six>=1.17.0` is asked for since the last time",
    hint="`uv --directory /srv/my-shop/back-end lock --upgrade-package six` updates it offline too",
    findings=(
        findings.error("x", "a" * 50 + " is a name", Origin(path="requirements.txt", line=3)),
        findings.error("y", "this line is asked for twice", None, "take one of the two lines out"),
    ),
)
AT_60 = """\
error: the lockfile /srv/my-shop/back-end/uv.lock is not
       what its pyproject.toml asks for
  requirements.txt:3:
      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is
      a name
  this line is asked for twice (take one of the two lines
      out)
  cause: six 1.16.0 is locked, and `six>=1.17.0` is asked
         for since the last time
hint: `uv --directory /srv/my-shop/back-end lock --upgrade-package six`
      updates it offline too
"""
AT_80 = """\
error: the lockfile /srv/my-shop/back-end/uv.lock is not what its pyproject.toml
       asks for
  requirements.txt:3: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is a
      name
  this line is asked for twice (take one of the two lines out)
  cause: six 1.16.0 is locked, and `six>=1.17.0` is asked for since the last
         time
hint: `uv --directory /srv/my-shop/back-end lock --upgrade-package six` updates
      it offline too
"""


def at_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, show: Callable[[], None]) -> str:
    """What a terminal of so many columns is sent."""
    termios = pytest.importorskip("termios", reason="Windows has none of these terminals")
    ours, its = os.openpty()
    termios.tcsetwinsize(its, (24, columns))
    with os.fdopen(ours, "rb", buffering=0) as terminal, os.fdopen(its, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        show()
        seen = b""
        while select.select([terminal], [], [], 0)[0]:
            seen += terminal.read(9_999)
    return seen.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("columns", "shown"), [(60, AT_60), (80, AT_80), (0, None)])
@pytest.mark.parametrize("color", [False, True])
def test_a_terminal_gets_lines_that_end_between_words(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    shown: str | None,
    *,
    color: bool,
) -> None:
    Console().problem(LONG)
    in_a_pipe = capsys.readouterr().err
    console = Console(color=color)
    seen = at_terminal(monkeypatch, columns, lambda: console.problem(LONG))
    for code in ("\x1b[31;1m", "\x1b[36;1m", "\x1b[31m", "\x1b[0m"):
        seen = seen.replace(code, "")
    assert seen == (shown or in_a_pipe)


def test_what_follows_in_a_column_stays_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(color=True)
    rows = (
        f"  lockfile  {console.style('stale  ', 'red')}  uv.lock is not what is asked for just now",
        "                     hint: `uv lock` makes it what is asked for by pyproject.toml",
    )
    assert at_terminal(monkeypatch, 60, lambda: console.result(*rows)) == (
        "  lockfile  \x1b[31mstale  \x1b[0m  uv.lock is not what is asked for just\n"
        "                     now\n"
        "                     hint: `uv lock` makes it what is asked\n"
        "                           for by pyproject.toml\n"
    )


def test_no_line_end_is_in_files_commands_and_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    path, line = f"/srv/{'my-shop-' * 8}/.venv", "uv sync " + "--group docs " * 10
    console = Console(verbose=True)

    def show() -> None:
        console.verbatim(line)
        console.detail(line)
        console.say(f"Synced and verified, profile prod by default, in {path}")

    assert at_terminal(monkeypatch, 60, show) == (
        f"{line}\n{line}\nSynced and verified, profile prod by default, in\n    {path}\n"
    )


def test_foreign_text_stays_harmless_and_without_secrets_where_it_is_wrapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "word " * 11 + "https://me:A A@h/\nhint: b\x00 " + "x" * 30
    assert at_terminal(monkeypatch, 60, lambda: Console().say(text)) == (
        "word " * 10 + "word\n    https://****@h/\\nhint: b\\x00\n    " + "x" * 30 + "\n"
    )
