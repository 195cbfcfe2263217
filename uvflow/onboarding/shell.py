"""What a shell evaluates for an activated environment, and hooks that watch a git checkout."""

import contextlib
import os
import re
import shlex
from pathlib import Path

from uvflow import process
from uvflow.environment.command import command_environ, find_program
from uvflow.environment.context import SyncContext
from uvflow.environment.interpreter import is_trusted
from uvflow.environment.run import find_env_file
from uvflow.errors import OutOfSyncError, UsageError, UvflowError
from uvflow.files import is_inside, target_inside, text_if_there, write_whole
from uvflow.project.manifest import Project
from uvflow.project.profiles import ACTIVATED, ALL

# How a shell sets a variable, removes one, and defines `deactivate`; and what it has to have for a
# character in a text between '.
_POSIX = "export {}={}", "unset {}", "deactivate() {{ {}; unset -f deactivate; }}", {"'": r"'\''"}
_FISH = (
    *("set -gx {} {}", "set -e {}", "function deactivate; {}; functions -e deactivate; end"),
    {"\\": r"\\", "'": r"\'"},
)
_POWERSHELL = (
    *("$env:{} = {}", "Remove-Item Env:{}"),
    "function global:deactivate {{ {}; Remove-Item Function:deactivate }}",
    {quote: quote * 2 for quote in "'\u2018\u2019\u201a\u201b"},
)
_SHELLS = {"bash": _POSIX, "zsh": _POSIX, "fish": _FISH, "powershell": _POWERSHELL}


def activation_lines(context: SyncContext, shell: str) -> tuple[str, ...]:
    """What to evaluate; the `deactivate` it defines puts every variable back.

    None of it is code of the environment. Raises OutOfSyncError where no sync has used that.
    """
    if not (context.environment / "pyvenv.cfg").is_file() or not is_trusted(context):
        hint = f"`uvflow sync --profile {context.profile.name}` makes it"
        raise OutOfSyncError(f"there is no environment in {context.environment}", hint=hint)
    assign, remove, define, replacements = _SHELLS[shell]

    def line(name: str, value: str | None) -> str:
        if value is None:
            return remove.format(name)
        text = "".join(replacements.get(character, character) for character in value)
        return assign.format(name, f"'{text}'")

    wanted = _variables(context)
    before = "; ".join(line(name, os.environ.get(name)) for name in wanted)
    return (define.format(before), *(line(name, value) for name, value in wanted.items()))


def _variables(context: SyncContext) -> dict[str, str]:
    """Those of an activated environment; uv has none for groups and extras.

    The environment is relative, as in the profile: in another project that is another one.
    """
    profile, own = context.profile, command_environ(str(context.environment))
    wanted = {name: own[name] for name in ("VIRTUAL_ENV", "PATH")}
    if not profile.editable:
        wanted["UV_NO_EDITABLE"] = "1"
    if profile.groups not in {None, ALL}:
        wanted["UV_NO_DEFAULT_GROUPS"] = "1"
    if profile.environment:
        wanted |= dict.fromkeys(("UV_PROJECT_ENVIRONMENT", ACTIVATED), profile.environment)
    if env_file := find_env_file(context):  # uv takes a blank for the end of a name
        wanted["UV_ENV_FILE"] = re.sub(r"([\\\s])", r"\\\1", str(env_file))
    return wanted


_HOOKS = ("post-checkout", "post-merge", "post-rewrite")
_SIGNATURE = "# Made by `uvflow hook install`"
_MOST_HOOK = 1 << 16  # bytes
_CHECK = """due=$(uvflow sync --check 2>&1) || printf 'uvflow: %s\\n' "$due" >&2"""


def install_hooks(project: Project, *, syncs: bool) -> tuple[Path, ...]:
    """Write git hooks that say what is due, or sync; returns their files.

    Raises UsageError, with nothing written, where a hook is not as uvflow makes it for this
    project, or outside of the repository, where it may be that of all.
    """
    common, directory, folder = _hooks_of(project)
    place = shlex.quote(f"./{folder}")
    hook = Path(__file__).with_name("hook.sh").read_text(encoding="ascii")
    commands = ("uvflow sync", _CHECK) if syncs else (_CHECK, "uvflow sync")
    text, other = (hook.replace("@command@", c).replace("@folder@", place) for c in commands)
    files = tuple(directory / name for name in _HOOKS)
    is_shared = not is_inside(directory, common)
    for file in files:
        if is_shared or text_if_there(target_inside(file, directory)) not in {None, text, other}:
            reason = "may be that of other repositories" if is_shared else "is not uvflow's alone"
            line = f"(cd {place} && {commands[0]})" if folder else commands[0]
            raise UsageError(f"{file} {reason}", hint=f"write into it by hand: {line}")
    directory.mkdir(exist_ok=True)
    for file in files:
        write_whole(file, text.encode(), mode=0o755)
    return files


def idle_hooks(project: Project) -> tuple[Path, ...]:
    """The hooks of uvflow that do nothing, since it is not on PATH."""
    if find_program("uvflow", os.environ.get("PATH", os.defpath)):
        return ()
    with contextlib.suppress(UvflowError):
        _, directory, _ = _hooks_of(project)
        texts = {directory / name: text_if_there(directory / name, _MOST_HOOK) for name in _HOOKS}
        return tuple(file for file, text in texts.items() if _SIGNATURE in (text or ""))
    return ()


def _hooks_of(project: Project) -> tuple[Path, Path, str]:
    """The repository, the directory of its hooks, and where the project is in it (`a/b/`)."""
    git = find_program("git", os.environ.get("PATH", os.defpath))
    question = ("rev-parse", "--git-common-dir", "--git-path", "hooks", "--show-prefix")
    answer = git and process.capture((git, *question), environ=os.environ, cwd=project.root)
    # A name with a line end, or that is not text, would lead the hook into another directory.
    places = answer and re.fullmatch(r"(.+)\n(.+)\n([^\n\ufffd]*)\n", answer.out)
    if not places:
        hint = "that needs git, a repository, and directories with plain text as their names"
        raise UsageError(f"git names no place for hooks of {project.root}", hint=hint)
    common, hooks, folder = places.groups()
    return project.root / common, project.root / hooks, folder
