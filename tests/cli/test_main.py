import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from uvflow import __version__
from uvflow.cli import main
from uvflow.cli.main import HELP_GROUPS
from uvflow.errors import BusyError, UvflowError
from uvflow.process import SignalReceivedError

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """Calls the command line in this process; returns exit code, stdout and stderr."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["uvflow", *arguments])
        code = main.main()
        return code, *capsys.readouterr()

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Adds a command `fail` that raises."""

    def add(error: BaseException) -> None:
        command = click.Command("fail", callback=raising(error))
        monkeypatch.setitem(main.uvflow.commands, "fail", command)

    return add


def test_help_lists_every_command_under_its_act(command_line: CommandLine) -> None:
    code, out, _ = command_line("--help")
    listed = re.findall(r"^  ([a-z]+)  +[A-Z]", out, re.MULTILINE)
    assert code == 0
    assert listed == [command.name for commands in HELP_GROUPS.values() for command in commands]
    assert [line[:-1] for line in out.splitlines() if line[:-1] in HELP_GROUPS] == list(HELP_GROUPS)


def test_every_command_has_a_line_and_the_common_options() -> None:
    for name, command in main.uvflow.commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert command.short_help, name
        if not isinstance(command, click.Group) or command.invoke_without_command:
            common = {"--directory", "--json", "--quiet", "--verbose", "--color"}
            assert common <= options, name


@pytest.mark.parametrize("is_before", [True, False])
def test_options_of_every_command_stand_before_or_after_it(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_before: bool
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pyproject.toml").write_text('[project]\nname = "s"\nversion = "1"\n')
    monkeypatch.chdir(tmp_path)
    options, command = ("--directory", "shop", "--json", "-q", "--color=always"), ("profiles",)
    code, out, err = command_line(*((*options, *command) if is_before else (*command, *options)))
    assert (code, err) == (0, "")
    assert json.loads(out)["default"] == "dev"
    assert Path.cwd() == tmp_path / "shop"


def test_a_directory_that_is_not_there_is_2(command_line: CommandLine) -> None:
    code, _, err = command_line("--directory", "nowhere", "status")
    assert (code, err) == (2, "error: --directory nowhere: No such file or directory\n")


def test_the_version(command_line: CommandLine) -> None:
    assert command_line("--version") == (0, f"uvflow {__version__}\n", "")


def test_an_unknown_command_is_2(command_line: CommandLine) -> None:
    code, out, err = command_line("snyc")
    assert (code, out) == (2, "")
    assert err.startswith("error: No such command 'snyc'.")


@pytest.mark.parametrize("words", [(), ("cache",), ("hook",)])
def test_a_group_alone_shows_its_help(command_line: CommandLine, words: tuple[str, ...]) -> None:
    code, out, err = command_line(*words)
    assert (code, err) == (0, "")
    assert out == command_line(*words, "--help")[1]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UvflowError("no", hint="do"), 1, "error: no\nhint: do\n"),
        (BusyError("busy", cause="it"), 6, "error: busy\n  cause: it\n"),
        (
            PermissionError(13, "Permission denied", "/some/file"),
            8,
            "error: /some/file\n  cause: Permission denied\n",
        ),
        (SignalReceivedError(15), 143, "\nerror: interrupted\n"),
        (KeyboardInterrupt(), 130, "\nerror: interrupted\n"),
    ],
)
def test_an_error_is_text_and_an_exit_code(
    command_line: CommandLine,
    failing: Callable[[BaseException], None],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    failing(error)
    assert command_line("fail") == (code, "", said)


def test_with_json_an_error_is_an_object_too(
    command_line: CommandLine, failing: Callable[[BaseException], None]
) -> None:
    failing(click.UsageError("wrong"))
    code, out, err = command_line("fail", "--json")
    assert code == 2
    assert json.loads(out)["exit_code"] == 2
    assert err.startswith("error: ")


def test_a_mistake_of_ours_is_not_dressed_up(
    command_line: CommandLine, failing: Callable[[BaseException], None]
) -> None:
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        command_line("fail")
