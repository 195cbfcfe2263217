"""What to type instead of a command or an option that uvflow does not have."""

import shlex
from collections.abc import Sequence

import click

_COMMANDS_OF_UV = (
    *("add", "audit", "auth", "build", "export", "format", "lock", "pip", "publish"),
    *("python", "remove", "tool", "tree", "venv"),
)
_ALIASES = {
    **{name: f"`uv pip {name}`" for name in ("freeze", "list", "show")},
    **dict.fromkeys(("env", "shell"), '`eval "$(uvflow activate bash)"` activates the environment'),
    **dict.fromkeys(("update", "upgrade"), "`uv lock --upgrade`, then `uvflow sync`"),
    "check": "`uvflow status`, or `uvflow doctor` for the machine as well",
    "clean": "`uvflow cache prune`, and `uv cache prune` for downloads",
    "exec": "`uvflow run` runs a command in the environment",
    "fix": "`uvflow doctor --fix`",
    "help": "`uvflow --help`, and `uvflow COMMAND --help`",
    "install": "`uvflow sync` installs what is locked; `uv add NAME` adds a dependency",
    "migrate": "`uvflow init`",
    "repair": "`uvflow verify --repair`",
    "self": "`uv tool upgrade uvflow`, or as it was installed",
    "uninstall": "`uv remove NAME` removes a dependency",
    "version": "`uvflow --version`",
}
_SELECTION = "`[tool.uvflow.profiles]` selects groups and extras; see `uvflow profiles`"
_LOCKED = "a sync is always `--locked`; `uv lock` updates the lockfile"
_REPAIR = "`uvflow verify --repair` reinstalls damaged files, `uvflow doctor --fix` syncs"
_SELECTING = ("--all-extras", "--all-groups", "--extra", "--group", "--no-dev", "--only-group")
_OPTIONS = {
    **dict.fromkeys(_SELECTING, _SELECTION),
    **dict.fromkeys(("--frozen", "--locked", "--upgrade"), _LOCKED),
    **dict.fromkeys(("--fix", "--repair"), _REPAIR),
    "--offline": "`UV_OFFLINE=1` in front keeps uv off the network",
    **dict.fromkeys(("--no-sync", "--with"), "a command of uv has that: `uv run --help`"),
    "-m": "`uvflow run -m MODULE`",
}


def explain(error: click.ClickException, words: Sequence[str]) -> tuple[str, str]:
    """The message and the hint for a mistake in the command line `words`."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command if context else None
    path = context.command_path if context else "uvflow"
    is_group = command is None or isinstance(command, click.Group)
    instead, hint = "", f"`{path} --help` lists the {'commands' if is_group else 'options'}"
    message = " ".join(error.format_message().split())
    if isinstance(error, click.NoSuchCommand) and path == "uvflow":
        name = error.command_name
        typed = shlex.join(words[words.index(name) :])
        instead = _ALIASES.get(name, "")
        if name in _COMMANDS_OF_UV:
            instead = f"that is a command of uv: `uv {typed}`"
        elif not error.possibilities:
            hint = f"`uvflow run {typed}` runs a program of the environment; {hint}"
    elif isinstance(error, click.NoSuchOption):
        instead = _OPTIONS.get(error.option_name, "")
        if path == "uvflow":
            hint = f"options of a command follow its name; {hint}"
    elif "extra argument" in message and context and "profile" in context.params:
        hint = f"`--profile NAME` chooses a profile; {hint}"
    # With `instead`, click's own "did you mean" must not show: the name is spelt as it was meant.
    return (error.message, instead) if instead else (message, hint)
