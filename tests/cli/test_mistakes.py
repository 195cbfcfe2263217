"""Likely mistakes on the command line, each answered with what to type."""

import shlex

import pytest
from rig import Command, Tree

OF_A_PROJECT = '[project]\nname = "shop"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("add 'a b'", "that is a command of uv: `uv add 'a b'`"),
        ("--json lock --upgrade", "that is a command of uv: `uv lock --upgrade`"),
        ("install six", "`uvflow sync` installs what is locked; `uv add NAME` adds a dependency"),
        ("upgrade", "`uv lock --upgrade`, then `uvflow sync`"),
        ("shell", '`eval "$(uvflow activate bash)"` activates the environment'),
        ("version", "`uvflow --version`"),
        ("freeze", "`uv pip freeze`"),
        ("clean", "`uvflow cache prune`, and `uv cache prune` for downloads"),
        (
            "--prod sync",
            "options of a command follow its name; `uvflow --help` lists the commands",
        ),
        ("-m pytest", "`uvflow run -m MODULE`"),
        ("sycn", "`uvflow --help` lists the commands"),
        ("hook instal", "`uvflow hook --help` lists the commands"),
        ("sync --locked", "a sync is always `--locked`; `uv lock` updates the lockfile"),
        (
            "sync --group test",
            "`[tool.uvflow.profiles]` selects groups and extras; see `uvflow profiles`",
        ),
        ("sync dev", "`--profile NAME` chooses a profile; `uvflow sync --help` lists the options"),
        (
            "status --fix",
            "`uvflow verify --repair` reinstalls damaged files, `uvflow doctor --fix` syncs",
        ),
        ("run --with six python", "a command of uv has that: `uv run --help`"),
        ("run --prof dev python", "`uvflow run --help` lists the options"),
        ("activate tcsh", "`uvflow activate --help` lists the options"),
    ],
)
def test_a_mistake_is_answered_with_what_to_type(
    tree: Tree, uvflow: Command, words: str, hint: str
) -> None:
    done = uvflow(*shlex.split(words), cwd=tree({"pyproject.toml": OF_A_PROJECT}))
    assert (done.code, done.err.splitlines()[1:]) == (2, [f"hint: {hint}"])


def test_what_is_nearest_by_its_letters_is_not_shown_beside_what_was_meant(
    tree: Tree, uvflow: Command
) -> None:
    root = tree({})
    assert uvflow("lock", cwd=root).err.startswith("error: No such command 'lock'.\n")
    assert "Did you mean 'sync'?" in uvflow("sycn", cwd=root).err


def test_a_missing_argument_is_reported_in_one_line(tree: Tree, uvflow: Command) -> None:
    assert uvflow("activate", cwd=tree({})).err.startswith(
        "error: Missing argument 'SHELL'. Choose from: bash, zsh, fish, powershell\n"
    )


def test_a_program_of_the_environment_is_pointed_to_run(tree: Tree, uvflow: Command) -> None:
    hint = "hint: `uvflow run pytest -q` runs a program of the environment; "
    assert hint in uvflow("pytest", "-q", cwd=tree({})).err
