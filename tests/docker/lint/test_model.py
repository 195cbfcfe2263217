"""A Dockerfile is looked at as what ends up in the image."""

from uvflow.docker.lint.model import LintContext, LintedDockerfile, commands
from uvflow.docker.lint.parse import parse_dockerfile


def linted(text: str) -> LintedDockerfile:
    return LintedDockerfile(parse_dockerfile(text), LintContext(), "Dockerfile")


def test_the_commands_of_a_step_are_those_of_a_shell() -> None:
    found = commands(
        parse_dockerfile("FROM a\nRUN A=1 uv sync && rm -rf x; true | tee y\n")
        .stages[0]
        .instructions
    )
    assert [(command.environ, command.words) for command in found] == [
        ({"A": "1"}, ("uv", "sync")),
        ({}, ("rm", "-rf", "x")),
        ({}, ("true",)),
        ({}, ("tee", "y")),
    ]


def test_the_exec_form_is_one_command() -> None:
    [command] = commands(
        parse_dockerfile('FROM a\nRUN ["uv", "sync", "a && b"]\n').stages[0].instructions
    )
    assert command.words == ("uv", "sync", "a && b")


def test_a_sync_counts_where_its_environment_gets_into_the_image() -> None:
    text = (
        "FROM a AS build\nRUN uv sync --one\n"
        "FROM a AS test\nRUN uv sync --two\n"
        "FROM a\nCOPY --from=build /venv /venv\n"
    )
    assert [command.words[-1] for command in linted(text).syncs()] == ["--one"]


def test_the_environment_of_a_command_is_what_was_set_before_it() -> None:
    text = "FROM a AS b\nARG A=1\nFROM b\nRUN C=3 uv sync\nENV D=4\n"
    whole = linted(text)
    [command] = whole.syncs()
    assert whole.environ(command) == {"A": "1", "C": "3"}


def test_the_last_instruction_holds() -> None:
    user = linted("FROM a AS b\nUSER x\nFROM b\nUSER y\n").last("USER")
    assert user is not None
    assert user.text == "y"
