"""What is written into a Dockerfile is what BuildKit reads out of it."""

import json
import re
import shlex
import subprocess

import pytest
import readback
from hypothesis import given
from hypothesis import strategies as st

from uvflow.docker.instructions import (
    Arg,
    Cmd,
    Command,
    Comment,
    Copy,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Mount,
    Run,
    Script,
    StopSignal,
    User,
    Workdir,
    can_be_mounted,
    json_array,
    serialise,
)
from uvflow.errors import UsageError

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]))
ODD = LINES | st.text(st.sampled_from("\\\"'$`{}()#!&|;<>*?[]~-= ,äü中"))


def text(*instructions: Instruction) -> str:
    return serialise(instructions)


@given(st.lists(WORDS | ODD, min_size=1))
def test_a_command_reads_back(words: list[str]) -> None:
    line = text(Cmd(words=tuple(words))).removesuffix("\n")
    assert "\n" not in line
    assert not line.endswith("\\")
    assert json.loads(line.removeprefix("CMD ")) == words


@given(st.lists(WORDS | ODD, min_size=1))
def test_a_probe_reads_back(words: list[str]) -> None:
    [line] = readback.lines(text(Healthcheck(words=tuple(words))))
    assert json.loads(line.partition("CMD ")[2]) == words


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), ODD, min_size=1))
def test_an_environment_reads_back(environ: dict[str, str]) -> None:
    whole = text(Env(pairs=tuple(environ.items()))).removeprefix("ENV ").removesuffix("\n")
    pairs = [line.strip().partition("=") for line in whole.split(" \\\n")]
    assert {name: readback.value(quoted) for name, _, quoted in pairs} == environ


@given(ODD)
def test_a_mounted_path_reads_back(path: str) -> None:
    mount = Mount(fields=(("type", "bind"), ("source", path), ("rw", None)))
    flag = text(Run(commands=(Command(words=("true",)),), mounts=(mount,))).partition(" \\\n")[0]
    read = readback.mount(flag.removeprefix("RUN "))
    assert read == {"type": "bind", "source": path, "rw": None}


@given(st.lists(ODD, min_size=1))
def test_the_words_of_a_step_read_back(words: list[str]) -> None:
    [line] = readback.lines(text(Run(commands=(Command(words=("printf", *words)),))))
    assert shlex.split(line.removeprefix("RUN ")) == ["printf", *words]


def test_a_shell_reads_a_step_as_it_was_meant() -> None:
    words = ("$HOME", "`id`", "a'b", 'a"b', "#x", "!", "*", "\\", "")
    step = Command(words=("printf", "%s|", *words), environ=(("A", "$x"),))
    [line] = readback.lines(text(Run(commands=(step,))))
    done = subprocess.run(["sh", "-c", line[4:]], capture_output=True, check=True, text=True)
    assert done.stdout == "".join(f"{word}|" for word in words)


def test_a_step_is_folded_at_the_width_of_a_page() -> None:
    step = Run(
        commands=(
            Command(words=("first", "--option"), secrets=("TOKEN",)),
            Command(words=("second", "x y"), environ=(("A", "$b"),)),
        ),
        mounts=(Mount(fields=(("type", "cache"), ("target", "/c"))),),
    )
    assert text(step) == (
        "RUN --mount=type=cache,target=/c \\\n"
        '    TOKEN="$(cat /run/secrets/TOKEN)" first --option \\\n'
        " && A='$b' second 'x y'\n"
    )


def test_a_script_stands_as_it_is_with_an_empty_line_behind_it() -> None:
    mount = Mount(fields=(("type", "cache"), ("target", "/c")))
    lines = "import os\nprint('$HOME')"
    assert text(Script(program="python", text=lines, mounts=(mount,))) == (
        "RUN --mount=type=cache,target=/c \\\n    python <<'END'\n" + lines + "\nEND\n\n"
    )
    assert text(Script(text="ls")) == "RUN <<'END'\nls\nEND\n\n"


def test_every_instruction_has_its_line() -> None:
    whole = text(
        Comment(lines=("why", "")),
        From(image="python:3.13-slim-trixie", name="prod"),
        Workdir(path="/app"),
        Arg(pairs=(("A", "1"), ("B", "a b"))),
        Copy(source=".", target="/app"),
        Copy(source="/venv", target="/venv", stage="build"),
        User(uid=10001),
        Expose(port=80),
        StopSignal(name="SIGINT"),
    )
    assert whole == (
        "# why\n#\n"
        "FROM python:3.13-slim-trixie AS prod\n"
        "WORKDIR /app\n"
        'ARG A=1 \\\n    B="a b"\n'
        "COPY --link . /app\n"
        "COPY --link --from=build /venv /venv\n"
        "USER 10001:10001\n"
        "EXPOSE 80\n"
        "STOPSIGNAL SIGINT\n"
    )


def test_a_comment_stays_one_line() -> None:
    assert text(Comment(lines=("a\nRUN x\r\u2028",))) == "# a\\nRUN x\\r\\u2028\n"


@pytest.mark.parametrize(
    "instruction",
    [
        Cmd(words=("a\0b",)),
        Env(pairs=(("A", "two\nlines"),)),
        Env(pairs=(("A-B", "x"),)),
        Run(commands=(Command(words=("two\nlines",)),)),
        Run(
            commands=(Command(words=("true",)),),
            mounts=(Mount(fields=(("source", "two\nlines"),)),),
        ),
        From(image="python AS x\nRUN y", name="a"),
        From(image="python", name="Not A Stage"),
    ],
)
def test_what_no_dockerfile_can_say_is_refused(instruction: Instruction) -> None:
    with pytest.raises(UsageError):
        text(instruction)


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
    assert not re.match(r"#\s*(syntax|escape|check)\s*=", text(Comment(lines=("Made by x",))))


def test_a_directory_with_odd_letters_is_one_word() -> None:
    whole = text(
        Workdir(path="/app/my $x's"),
        Copy(source="/app/my $x", target="/app/my $x", stage="static"),
    )
    assert whole == (
        "WORKDIR /app/my \\$x\\'s\n"
        'COPY --link --from=static ["/app/my \\\\$x", "/app/my \\\\$x"]\n'
    )


@pytest.mark.parametrize(
    "instruction",
    [
        Workdir(path="/app/x "),
        Workdir(path="/app/x\\"),
        Copy(source="/app/[x]", target="/app/x"),
    ],
)
def test_a_directory_that_no_dockerfile_can_name_is_refused(instruction: Instruction) -> None:
    with pytest.raises(UsageError, match="a Dockerfile cannot"):
        text(instruction)
