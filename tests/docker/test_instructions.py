"""What is written into a Dockerfile is what BuildKit reads out of it."""

import json
import shlex
import subprocess
from collections.abc import Callable

import pytest
import readback
from hypothesis import given
from hypothesis import strategies as st

from uvflow.docker.instructions import (
    assignments,
    can_be_mounted,
    command,
    comment,
    image,
    json_array,
    mounts,
    paths,
    stage,
    workdir,
)
from uvflow.errors import UsageError

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
ODD = LINES | st.text(st.sampled_from("\\\"'$`{}()#!&|;<>*?[]~-= ,äü中"))


@given(st.lists(WORDS | ODD, min_size=1))
def test_the_exec_form_reads_back(words: list[str]) -> None:
    line = json_array(words)
    assert "\n" not in line
    assert not line.endswith("\\")
    assert json.loads(line) == words


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), ODD, min_size=1))
def test_an_environment_reads_back(environ: dict[str, str]) -> None:
    pairs = [line.strip().partition("=") for line in assignments(environ).split(" \\\n")]
    assert {name: readback.value(quoted) for name, _, quoted in pairs} == environ


@given(ODD)
def test_a_mounted_path_reads_back(path: str) -> None:
    fields = {"type": "bind", "source": path, "rw": None}
    flag, end, rest = mounts(fields).partition(" \\\n")
    assert (readback.mount(flag), bool(end), rest.strip()) == (fields, True, "")


@given(st.lists(ODD, min_size=1))
def test_the_words_of_a_step_read_back(words: list[str]) -> None:
    [line] = readback.lines(f"RUN {command('printf', *words)}")
    assert shlex.split(line.removeprefix("RUN ")) == ["printf", *words]


def test_a_shell_reads_a_step_as_it_was_meant() -> None:
    words = ("$HOME", "`id`", "a'b", 'a"b', "#x", "!", "*", "\\", "")
    [line] = readback.lines(command("printf", "%s|", *words, environ={"A": "$x"}))
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True, text=True)
    assert done.stdout == "".join(f"{word}|" for word in words)


def test_a_command_is_folded_at_the_width_of_a_page() -> None:
    step = command("first", "x y", *["--option"] * 8, environ={"A": "$b"}, secrets=("TOKEN",))
    assert step == (
        "TOKEN=\"$(cat /run/secrets/TOKEN)\" A='$b' first 'x y' "
        "--option --option --option --option \\\n"
        "      --option --option --option --option"
    )


def test_every_value_has_its_form() -> None:
    assert image("python:3.13-slim-trixie") == "python:3.13-slim-trixie"
    assert stage("prod") == "prod"
    assert workdir("/app") == "/app"
    assert assignments({"A": "1", "B": "a b"}) == 'A=1 \\\n    B="a b"'
    assert paths(".", "/app") == ". /app"
    cache = {"type": "cache", "target": "/c"}
    assert mounts(cache, {"type": "ssh"}) == (
        "--mount=type=cache,target=/c \\\n    --mount=type=ssh \\\n    "
    )


def test_a_comment_stays_one_line() -> None:
    assert comment("a\nRUN x\r\u2028") == "a\\nRUN x\\r\\u2028"


@pytest.mark.parametrize(
    "write",
    [
        lambda: json_array(["a\0b"]),
        lambda: assignments({"A": "two\nlines"}),
        lambda: assignments({"A-B": "x"}),
        lambda: command("two\nlines"),
        lambda: mounts({"source": "two\nlines"}),
        lambda: image("python AS x\nRUN y"),
        lambda: stage("Not A Stage"),
    ],
)
def test_what_no_dockerfile_can_say_is_refused(write: Callable[[], str]) -> None:
    with pytest.raises(UsageError):
        write()


def test_what_a_terminal_would_hide_is_escaped() -> None:
    assert json_array(["ü", "\u202e"]) == '["\\u00fc", "\\u202e"]'
    assert json_array(["ü"]) == '["ü"]'


@pytest.mark.parametrize("path", ["a b/x", "d$x/x", "c,c/x", "-dash/x", "#h/x", "a=b/x"])
def test_most_paths_can_be_mounted(path: str) -> None:
    assert can_be_mounted(path)


@pytest.mark.parametrize("path", ["bücher/x", "a\\b/x", "[x]/x", "st*r/x", "!n/x", "a\nb/x"])
def test_paths_that_buildkit_takes_for_others_cannot(path: str) -> None:
    assert not can_be_mounted(path)


def test_a_directory_with_odd_letters_is_one_word() -> None:
    assert workdir("/app/my $x's") == "/app/my \\$x\\'s"
    assert paths("/app/my $x", "/app/my $x") == '["/app/my \\\\$x", "/app/my \\\\$x"]'


@pytest.mark.parametrize(
    "write",
    [
        lambda: workdir("/app/x "),
        lambda: workdir("/app/x\\"),
        lambda: paths("/app/[x]", "/app/x"),
    ],
)
def test_a_directory_that_no_dockerfile_can_name_is_refused(
    write: Callable[[], str],
) -> None:
    with pytest.raises(UsageError, match="a Dockerfile cannot"):
        write()
