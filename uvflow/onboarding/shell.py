"""Code for a shell that activates an environment, and git hooks that report what is due."""

import contextlib
import os
import re
import shlex
from pathlib import Path

from uvflow import process
from uvflow.environment.command import command_environ, find_program
from uvflow.environment.context import SyncContext
from uvflow.environment.interpreter import is_trusted
from uvflow.environment.run import find_env_file, require_name_for_path
from uvflow.errors import OutOfSyncError, UsageError, UvflowError
from uvflow.files import is_inside, target_inside, text_if_there, write_whole
from uvflow.project.manifest import Project
from uvflow.project.profiles import ACTIVATED, ALL

# How a shell sets a variable, removes one and defines `deactivate`, and how it writes characters
# that are special between single quotes.
_POSIX = "export {}={}", "unset {}", "deactivate() {{ {}; unset -f deactivate; }}", {"'": r"'\''"}
_FISH = (
    "set -gx {} {}",
    "set -e {}",
    "function deactivate; {}; functions -e deactivate; end",
    {"\\": r"\\", "'": r"\'"},
)
_POWERSHELL = (
    "$env:{} = {}",
    "Remove-Item Env:{}",
    "function global:deactivate {{ {}; Remove-Item Function:deactivate }}",
    {quote: quote * 2 for quote in "'\u2018\u2019\u201a\u201b"},
)
_SHELLS = {"bash": _POSIX, "zsh": _POSIX, "fish": _FISH, "powershell": _POWERSHELL}


def activation_lines(context: SyncContext, shell: str) -> tuple[str, ...]:
    """Lines for `shell` to evaluate; the `deactivate` they define restores every variable.

    None of it is code of the environment. Raises OutOfSyncError if no sync has used that, and
    UsageError where PATH cannot name it.
    """
    if not (context.environment / "pyvenv.cfg").is_file() or not is_trusted(context):
        hint = f"`uvflow sync --profile {context.profile.name}` makes it"
        raise OutOfSyncError(f"{context.environment} has not been synced", hint=hint)
    require_name_for_path(context.environment)
    assign, remove, define, replacements = _SHELLS[shell]

    def line(name: str, value: str | None) -> str:
        if value is None:
            return remove.format(name)
        text = "".join(replacements.get(character, character) for character in value)
        return assign.format(name, f"'{text}'")

    wanted = _variables(context)
    before = "; ".join(line(name, os.environ.get(name)) for name in wanted)
    return (define.format(before), *(line(name, value) for name, value in wanted.items()))


# Variables that may be those of another profile, which was activated before.
_OF_ANOTHER = ("UV_PROJECT_ENVIRONMENT", "UV_NO_EDITABLE", "UV_NO_DEFAULT_GROUPS", "UV_ENV_FILE")


def _variables(context: SyncContext) -> dict[str, str | None]:
    """The variables of an activated environment, None to remove one.

    uv has none for groups and extras. UV_PROJECT_ENVIRONMENT is relative, as in the profile, so as
    not to name it in other projects.
    """
    profile = context.profile
    own = profile.environ(command_environ(str(context.environment)))
    others = (name for name in _OF_ANOTHER if name in os.environ)
    wanted = {name: own.get(name) for name in ("VIRTUAL_ENV", "PATH", *others)}
    if not profile.editable:
        wanted["UV_NO_EDITABLE"] = "1"
    if profile.groups not in {None, ALL}:
        wanted["UV_NO_DEFAULT_GROUPS"] = "1"
    if profile.environment:
        wanted |= dict.fromkeys(("UV_PROJECT_ENVIRONMENT", ACTIVATED), profile.environment)
    env_file = find_env_file(context)
    if env_file:  # uv splits the variable at blanks
        wanted["UV_ENV_FILE"] = re.sub(r"([\\\s])", r"\\\1", str(env_file))
    return wanted


_HOOKS = ("post-checkout", "post-merge", "post-rewrite")
_SIGNATURE = "# Made by `uvflow hook install`"
_MOST_HOOK = 1 << 16  # bytes
_CHECK = """due=$(uvflow sync --check 2>&1) || printf 'uvflow: %s\\n' "$due" >&2"""


def install_hooks(project: Project, *, syncs: bool) -> tuple[Path, ...]:
    """Write git hooks that report what is due, or with `syncs` sync; returns their files.

    Raises UsageError, with nothing written, for a hook that uvflow did not make for this project,
    and for one outside of the repository, which other repositories may share.
    """
    common, directory, folder = _hooks_of(project)
    place = shlex.quote(f"./{folder}")
    hook = (
        Path(__file__).with_name("hook.sh").read_text(encoding="ascii").replace("@folder@", place)
    )
    command = "uvflow sync" if syncs else _CHECK
    own = {each: hook.replace("@command@", each) for each in ("uvflow sync", _CHECK)}
    files = tuple(directory / name for name in _HOOKS)
    is_shared = not is_inside(directory, common)
    for file in files:
        if is_shared or text_if_there(target_inside(file, directory)) not in {None, *own.values()}:
            reason = "may be that of other repositories" if is_shared else "is not uvflow's alone"
            line = f"(cd {place} && {command})" if folder else command
            raise UsageError(f"{file} {reason}", hint=f"write into it by hand: {line}")
    directory.mkdir(exist_ok=True)
    for file in files:
        write_whole(file, own[command].encode(), mode=0o755)
    return files


def has_idle_hooks(project: Project) -> bool:
    """Whether there are hooks of uvflow that do nothing, because it is not on PATH."""
    if find_program("uvflow", os.environ.get("PATH", os.defpath)):
        return False
    with contextlib.suppress(UvflowError):
        _, directory, _ = _hooks_of(project)
        texts = (text_if_there(directory / name, _MOST_HOOK) or "" for name in _HOOKS)
        return any(_SIGNATURE in text for text in texts)
    return False


def _hooks_of(project: Project) -> tuple[Path, Path, str]:
    """The repository, the directory of its hooks, and the project's path in it (`a/b/`)."""
    git = find_program("git", os.environ.get("PATH", os.defpath))
    question = ("rev-parse", "--git-common-dir", "--git-path", "hooks", "--show-prefix")
    answer = git and process.capture((git, *question), environ=os.environ, cwd=project.root)
    # A name with a line end, or not in UTF-8, would lead the hook into another directory.
    places = answer and re.fullmatch(r"(.+)\n(.+)\n([^\n\ufffd]*)\n", answer.out)
    if not places:
        hint = "that needs git, a repository, and directories with plain text as their names"
        raise UsageError(f"git names no place for hooks of {project.root}", hint=hint)
    common, hooks, folder = places.groups()
    return project.root / common, project.root / hooks, folder
