"""`python -m uvflow`: the module run as a program. The fast path has tests of its own."""

import itertools
import os
import subprocess
import sys

import click
import pytest
from rig import Tree

from uvflow.__main__ import COMMANDS, OPTIONS, parse_command_line
from uvflow.cli import main

MODULES = ("json", "click", "tomllib", "platformdirs", "filelock", "tomlkit", "packaging")


@pytest.mark.parametrize("command", ["sync", "status", "--help", "init --dry-run", "docker"])
def test_python_m_imports_nothing_from_the_current_directory(tree: Tree, command: str) -> None:
    ours = {f"{name}.py": "raise SystemExit('a module of the project was run')" for name in MODULES}
    root = tree({"pyproject.toml": '[project]\nname = "x"\nversion = "1"\n', **ours})
    words = [sys.executable, "-m", "uvflow", *command.split()]
    done = subprocess.run(words, cwd=root, capture_output=True, check=False, encoding="utf-8")
    assert "a module of the project was run" not in done.stderr
    assert done.stdout + done.stderr


def test_python_m_leaves_alone_what_pythonpath_names(tree: Tree) -> None:
    root = tree({"more/click.py": "raise SystemExit('chosen')"})
    environ = {**os.environ, "PYTHONPATH": str(root / "more")}
    words = [sys.executable, "-m", "uvflow", "--help"]
    for safe in ({}, {"PYTHONSAFEPATH": "1"}):
        done = subprocess.run(
            words, cwd=root, env={**environ, **safe}, capture_output=True, check=False
        )
        assert done.stderr == b"chosen\n"


def meaning_by_click(command: str, words: tuple[str, ...]) -> tuple[dict[str, object], object]:
    """The options that differ from their defaults, and the words of the command to run."""
    group = click.Context(main.uvflow, info_name="uvflow", **main.uvflow.context_settings)
    line = list(words)
    with main.uvflow.commands[command].make_context(command, line, parent=group) as context:
        given = context.params
    profiles = [name for name in ("dev", "prod") if given[name]]
    profiles += [given["profile"]] if given["profile"] else []
    assert len(profiles) < 2
    assert not given.get("dry_run")
    options = {
        "profile": next(iter(profiles), None),
        "json": given["as_json"],
        "timeout": given.get("timeout", 300.0),
        **{name: given.get(name, False) for name in ("check", "quiet", "verbose", "color")},
    }
    return options, given.get("words", ())


VALUES = ("dev", "never", "7", "--", "-", "x=y")
OTHERS = ("--profile=x", "--color=auto", "--timeout=7", "--json=x", "-qv", "--dry-run", "-h", "-1")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_line_means_what_it_means_to_click(command: str) -> None:
    vocabulary = (*OPTIONS, *VALUES, *OTHERS)
    lines = (line for n in range(4) for line in itertools.product(vocabulary, repeat=n))
    understood = 0
    for line in lines:
        parsed = parse_command_line((command, *line))
        if parsed:
            understood += 1
            _, options, words = parsed
            meant = {
                **dict.fromkeys(("check", "json", "quiet", "verbose"), False),
                "profile": None,
                "color": "auto",
                **{name: value == "yes" or value for name, value in options.items()},
                "timeout": float(options.get("timeout", "300")),
            }
            assert (meant, words) == meaning_by_click(command, line), line
    assert understood > 100


@pytest.mark.parametrize(
    "line",
    [
        *("", "--help", "verify", "run", "run --", "sync x", "sync --dev --dev"),
        *("sync --profile", "sync --profile=", "sync --timeout x", "status --check"),
    ],
)
def test_what_click_has_to_explain_is_left_to_it(line: str) -> None:
    assert parse_command_line(tuple(line.split())) is None


def test_a_ctrl_c_is_130_from_the_first_moment_on() -> None:
    code = (
        "import os\n"
        "from uvflow import __main__\n"
        "def interrupted():\n"
        "    raise KeyboardInterrupt\n"
        "os.getcwd = interrupted\n"
        "__main__.main()\n"
    )
    words = [sys.executable, "-c", code]
    for line in (["sync"], ["run", "true"]):
        done = subprocess.run([*words, *line], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (130, b"")
