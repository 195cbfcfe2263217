"""What is written into a Dockerfile is what BuildKit reads out of it."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable

import pytest
import readback
from hypothesis import given
from hypothesis import strategies as st

from uvflow.docker.instructions import (
    Instruction,
    arg,
    begin_stage,
    can_be_mounted,
    command,
    comment,
    copy,
    env,
    exec_form,
    healthcheck,
    json_array,
    mount,
    plain,
    run,
    script,
    workdir,
)
from uvflow.errors import UsageError

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
ODD = LINES | st.text(st.sampled_from("\\\"'$`{}()#!&|;<>*?[]~-= ,äü中"))


@given(st.lists(WORDS | ODD, min_size=1))
def test_a_command_reads_back(words: list[str]) -> None:
    line = exec_form("CMD", words)
    assert "\n" not in line
    assert not line.endswith("\\")
    assert json.loads(line.removeprefix("CMD ")) == words


@given(st.lists(WORDS | ODD, min_size=1))
def test_a_probe_reads_back(words: list[str]) -> None:
    [line] = readback.lines(healthcheck(words))
    assert json.loads(line.partition("CMD ")[2]) == words


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), ODD, min_size=1))
def test_an_environment_reads_back(environ: dict[str, str]) -> None:
    whole = env(tuple(environ.items())).removeprefix("ENV ")
    pairs = [line.strip().partition("=") for line in whole.split(" \\\n")]
    assert {name: readback.value(quoted) for name, _, quoted in pairs} == environ


@given(ODD)
def test_a_mounted_path_reads_back(path: str) -> None:
    fields = {"type": "bind", "source": path, "rw": None}
    flag = run(command("true"), mounts=(mount(fields),)).partition(" \\\n")[0]
    assert readback.mount(flag.removeprefix("RUN ")) == fields


@given(st.lists(ODD, min_size=1))
def test_the_words_of_a_step_read_back(words: list[str]) -> None:
    [line] = readback.lines(run(command("printf", *words)))
    assert shlex.split(line.removeprefix("RUN ")) == ["printf", *words]


def test_a_shell_reads_a_step_as_it_was_meant() -> None:
    words = ("$HOME", "`id`", "a'b", 'a"b', "#x", "!", "*", "\\", "")
    [line] = readback.lines(run(command("printf", "%s|", *words, environ=(("A", "$x"),))))
    done = subprocess.run(["sh", "-c", line[4:]], capture_output=True, check=True, text=True)
    assert done.stdout == "".join(f"{word}|" for word in words)


def test_a_step_is_folded_at_the_width_of_a_page() -> None:
    step = run(
        command("first", "--option", secrets=("TOKEN",)),
        command("second", "x y", environ=(("A", "$b"),)),
        mounts=(mount({"type": "cache", "target": "/c"}),),
    )
    assert step == (
        "RUN --mount=type=cache,target=/c \\\n"
        '    TOKEN="$(cat /run/secrets/TOKEN)" first --option \\\n'
        " && A='$b' second 'x y'"
    )


def test_a_script_stands_as_it_is_with_an_empty_line_behind_it() -> None:
    cache = mount({"type": "cache", "target": "/c"})
    lines = "import os\nprint('$HOME')"
    assert script(lines, "python", mounts=(cache,)) == (
        "RUN --mount=type=cache,target=/c \\\n    python <<'END'\n" + lines + "\nEND\n"
    )
    assert script("ls") == "RUN <<'END'\nls\nEND\n"


def test_every_instruction_has_its_line() -> None:
    instructions = (
        comment("why", ""),
        begin_stage("prod", "python:3.13-slim-trixie"),
        workdir("/app"),
        arg((("A", "1"), ("B", "a b"))),
        copy(".", "/app"),
        copy("/venv", "/venv", "build"),
        plain("USER", "10001:10001"),
        plain("EXPOSE", 80),
        plain("STOPSIGNAL", "SIGINT"),
    )
    assert "\n".join(instructions) == (
        "# why\n#\n"
        "FROM python:3.13-slim-trixie AS prod\n"
        "WORKDIR /app\n"
        'ARG A=1 \\\n    B="a b"\n'
        "COPY --link . /app\n"
        "COPY --link --from=build /venv /venv\n"
        "USER 10001:10001\n"
        "EXPOSE 80\n"
        "STOPSIGNAL SIGINT"
    )


def test_a_comment_stays_one_line() -> None:
    assert comment("a\nRUN x\r\u2028") == "# a\\nRUN x\\r\\u2028"


@pytest.mark.parametrize(
    "write",
    [
        lambda: exec_form("CMD", ["a\0b"]),
        lambda: env((("A", "two\nlines"),)),
        lambda: env((("A-B", "x"),)),
        lambda: run(command("two\nlines")),
        lambda: run(command("true"), mounts=(mount({"source": "two\nlines"}),)),
        lambda: begin_stage("a", "python AS x\nRUN y"),
        lambda: begin_stage("Not A Stage", "python"),
    ],
)
def test_what_no_dockerfile_can_say_is_refused(write: Callable[[], Instruction]) -> None:
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


def test_only_the_first_lines_of_a_file_are_directives() -> None:
    assert not re.match(r"#\s*(syntax|escape|check)\s*=", comment("Made by x"))


def test_a_directory_with_odd_letters_is_one_word() -> None:
    assert workdir("/app/my $x's") == "WORKDIR /app/my \\$x\\'s"
    assert copy("/app/my $x", "/app/my $x", "static") == (
        'COPY --link --from=static ["/app/my \\\\$x", "/app/my \\\\$x"]'
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda: workdir("/app/x "),
        lambda: workdir("/app/x\\"),
        lambda: copy("/app/[x]", "/app/x"),
    ],
)
def test_a_directory_that_no_dockerfile_can_name_is_refused(
    write: Callable[[], Instruction],
) -> None:
    with pytest.raises(UsageError, match="a Dockerfile cannot"):
        write()
