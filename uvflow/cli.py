"""The command line: click declarations, output, and the boundary where errors become text."""

import functools
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvflow import __version__, signals
from uvflow.console import Console, wants_color
from uvflow.errors import (
    DiskError,
    InterruptedBySignalError,
    UsageError,
    UvflowError,
    exit_code_of,
)
from uvflow.signals import SignalReceivedError
from uvflow.snapshot import in_sync, named

if TYPE_CHECKING:
    from uvflow.profiles import Choice
    from uvflow.project import Project
    from uvflow.remembered import Remembered

ACTS = {
    "Move in": ("init", "undo"),
    "Live": ("sync", "run", "status", "verify", "profiles"),
    "Ship": ("docker",),
    "Keep house": ("cache",),
}


class Acts(click.Group):
    """A group whose help lists its commands by the act they belong to."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for names in ACTS.values() for name in names if name in self.commands]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for act, names in ACTS.items():
            commands = (self.commands[name] for name in names if name in self.commands)
            rows = [(command.name or "", command.get_short_help_str(80)) for command in commands]
            if rows:
                with formatter.section(act):
                    formatter.write_dl(rows)


@click.group(
    cls=Acts,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def uvflow() -> None:
    """A thin workflow wrapper around uv, for teams that come from pip.

    `uvflow init` moves in, `uvflow sync` lives, `uvflow docker` ships.
    """


def common(command: Callable[..., None]) -> Callable[..., None]:
    """The options every command has; they reach it as one Console."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Say what is done, and why.")
    @click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colour the output (also: NO_COLOR, FORCE_COLOR).",
    )
    @functools.wraps(command)
    def with_console(*, as_json: bool, quiet: bool, verbose: bool, color: Any, **rest: Any) -> None:
        console = Console(color=wants_color(color), quiet=quiet, verbose=verbose, as_json=as_json)
        click.get_current_context().find_root().obj = console
        command(console, **rest)

    return with_console


def profile_choice(command: Callable[..., None]) -> Callable[..., None]:
    """`--dev`, `--prod` and `--profile NAME`, as one argument `profile`."""

    @click.option("--dev", is_flag=True, help="The dev profile: with development dependencies.")
    @click.option("--prod", is_flag=True, help="The prod profile: only what production needs.")
    @click.option("--profile", metavar="NAME", help="A profile of [tool.uvflow.profiles].")
    @functools.wraps(command)
    def with_profile(*args: Any, dev: bool, prod: bool, profile: str | None, **rest: Any) -> None:
        chosen = [n for n, on in (("dev", dev), ("prod", prod), (profile, profile)) if on]
        if len(chosen) > 1:
            raise UsageError("--dev, --prod and --profile exclude each other")
        command(*args, profile=chosen[0] if chosen else None, **rest)

    return with_profile


_timeout = click.option(
    "--timeout",
    type=float,
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another uvflow; negative: for ever.",
)


# The commands import their module when they are called: `uvflow sync` need not load tomlkit.


@uvflow.command(short_help="Make a locked uv project of what is there")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="The project's name; default: the directory's.")
@click.option("--python", metavar="VERSION", help="What Python it requires, as 3.12 or '>=3.11'.")
@click.option("--from", "from_files", multiple=True, metavar="FILE", help="Import this file.")
@click.option("--group", "groups", multiple=True, metavar="NAME=FILE", help="FILE as a group.")
@click.option("--constraint", "constraints", multiple=True, metavar="FILE", help="As pip's -c.")
@click.option("--encoding", metavar="NAME", help="How the files are encoded, where not as UTF-8.")
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "prefer-base", "declare"]),
    default="fail",
    help="What to do where two files contradict each other.",
)
@click.option("--keep-going", is_flag=True, help="Leave out lines that cannot be read, and say so.")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option("--strip-credentials", is_flag=True, help="Import URLs without their passwords.")
@click.option("--direct-only", is_flag=True, help="Leave out what others bring along anyway.")
@click.option("--no-lock", is_flag=True, help="Write pyproject.toml alone.")
@click.option("--no-sync", is_flag=True, help="Leave the environment for later.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@_timeout
@common
def init(console: Console, *, path: Path, dry_run: bool, **asked: Any) -> None:
    """Make PATH (default: here) a locked uv project of what is there.

    Requirements files become dependencies and dependency groups, their pins a lockfile. They stay
    where they are, and where anything fails everything is as it was.
    """
    from uvflow import plan as told  # noqa: PLC0415
    from uvflow.init import init, plan, requested  # noqa: PLC0415
    from uvflow.uv import find  # noqa: PLC0415

    root = Path(os.path.realpath(path))
    request = requested(root, asked)
    if dry_run:
        work, done = plan(root, request, uv=find(), tell=console.say), None
        console.result(told.diff(work).removesuffix("\n"))
    else:
        done = init(root, request, uv=find(), tell=console.say)
        work = done.plan
    for title, lines in told.sections(work, done, verbose=console.verbose):
        console.say("\n".join((console.style(title, "bold"), *lines, "")))
    for finding in told.pressing(work, done) if console.quiet else ():
        console.warn(str(finding))
    console.envelope("init", 0, told.as_json(work, done))


@uvflow.command(short_help="Put back what the last init changed")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Even where a file was edited since.")
@_timeout
@common
def undo(console: Console, *, path: Path, force: bool, timeout: float) -> None:
    """Put back what the last `uvflow init` changed in PATH (default: here), byte for byte.

    An environment that init made is removed; one that was there before stays as it is now.
    """
    from uvflow.undo import undo  # noqa: PLC0415

    root = Path(os.path.realpath(path))
    done = undo(root, even_if_edited=force, timeout=timeout, tell=console.say)
    for said, paths in (("Put back", done.restored), ("Removed", done.removed)):
        console.say(f"{said}: {', '.join(paths)}" if paths else f"{said}: nothing")
    console.envelope("undo", 0, {"restored": done.restored, "removed": done.removed})


@uvflow.command(short_help="Make the environment what the lockfile and the profile say")
@profile_choice
@click.option("--check", is_flag=True, help="Say in one line whether it is so, changing nothing.")
@_timeout
@common
def sync(console: Console, *, profile: str | None, check: bool, timeout: float) -> None:
    """Make the environment what the lockfile and the profile say.

    Without a flag the profile is that of UVFLOW_PROFILE, of the last sync, of `default-profile`
    in [tool.uvflow], or dev. The lockfile is never changed: a stale one is exit code 3.
    """
    from uvflow.project import Project  # noqa: PLC0415
    from uvflow.sync import last_profile, sync  # noqa: PLC0415

    project = Project.find(Path.cwd())
    choice = project.profiles.choose(profile, os.environ, last_profile(project))
    if check:
        _check(console, project, choice)
        return
    done = sync(project, choice, timeout=timeout, tell=console.say)
    console.say(
        in_sync(done.profile, done.chosen_by)
        if done.already
        else f"Synced: {named(done.profile, done.chosen_by)}"
    )
    console.envelope(
        "sync",
        0,
        {
            "profile": done.profile,
            "chosen_by": done.chosen_by,
            "environment": str(done.environment),
            "already_in_sync": done.already,
            "repaired": list(done.repaired),
        },
    )


@uvflow.command(
    short_help="Run a command in the synced environment",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@profile_choice
@_timeout
@common
@click.argument("words", metavar="[--] COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def run(console: Console, *, profile: str | None, timeout: float, words: tuple[str, ...]) -> None:
    """Run COMMAND in the environment of the profile, synced first.

    No uvflow changes the environment while the command runs. The exit code is the command's own.
    """
    from uvflow.project import Project  # noqa: PLC0415
    from uvflow.run import run  # noqa: PLC0415
    from uvflow.sync import last_profile  # noqa: PLC0415

    project = Project.find(Path.cwd())
    choice = project.profiles.choose(profile, os.environ, last_profile(project))
    raise click.exceptions.Exit(run(project, choice, words, timeout=timeout, tell=console.say))


def _chosen(profile: str | None) -> "tuple[Project, Choice]":
    from uvflow.project import Project  # noqa: PLC0415
    from uvflow.sync import last_profile  # noqa: PLC0415

    project = Project.find(Path.cwd())
    return project, project.profiles.choose(profile, os.environ, last_profile(project))


def _check(console: Console, project: "Project", choice: "Choice") -> None:
    from uvflow.status import as_json, status, verdict_line  # noqa: PLC0415

    found = status(project, choice)
    console.say(verdict_line(found))
    console.envelope("sync", found.exit_code, as_json(found))
    raise click.exceptions.Exit(found.exit_code)


_COLOURS = {"ok": "green", "note": "cyan", "unknown": "cyan"}  # all else is red


@uvflow.command(short_help="Tell whether lockfile, environment and uv are as they should be")
@profile_choice
@common
def status(console: Console, *, profile: str | None) -> None:
    """Tell whether lockfile, environment and uv are as they should be, with the reasons.

    Offline, changing nothing, running no code of the project's. The exit code is that of the worst
    finding: 5 damaged, 7 no usable uv, 3 stale lockfile, 4 out of sync, 0 nothing wrong.
    """
    from uvflow.status import as_json, headline, rows, status  # noqa: PLC0415

    found = status(*_chosen(profile))
    console.result(console.style(headline(found), "bold"))
    for aspect, state, message in rows(found, verbose=console.verbose):
        colour = _COLOURS.get(state.strip(), "red")
        console.result(f"  {aspect}  {console.style(state, colour)}  {message}".rstrip())
    console.envelope("status", found.exit_code, as_json(found))
    raise click.exceptions.Exit(found.exit_code)


@uvflow.command(short_help="Look at every file of the environment")
@profile_choice
@click.option("--deep", is_flag=True, help="Compare contents as well, by hash.")
@click.option("--repair", is_flag=True, help="Install again what is damaged, and nothing else.")
@_timeout
@common
def verify(
    console: Console, *, profile: str | None, deep: bool, repair: bool, timeout: float
) -> None:
    """Look at every file of the environment: that it is there, with the size it came with.

    Tells what is missing, truncated, edited, half installed, or there without an owner. The exit
    code is 0 where it is intact and 5 where it is damaged.
    """
    from uvflow.healing import Depth  # noqa: PLC0415
    from uvflow.status import damage_as_json, damage_lines, heal, outcome, verify  # noqa: PLC0415

    project, choice = _chosen(profile)
    depth = Depth.HASHES if deep else Depth.FILES
    if repair:
        found = heal(project, choice, depth, timeout=timeout, tell=console.say)
    else:
        found = verify(project, choice, depth)
    for line in damage_lines(found, verbose=console.verbose):
        console.result(line)
    console.result(console.style(outcome(found), "red" if found.damages else "green"))
    console.envelope("verify", found.exit_code, damage_as_json(found))
    raise click.exceptions.Exit(found.exit_code)


@uvflow.command(short_help="Show the profiles, and the uv command each one means")
@common
def profiles(console: Console) -> None:
    """Show what each profile selects, and the uv command that it means."""
    from uvflow.project import Project  # noqa: PLC0415

    declared = Project.find(Path.cwd()).profiles
    commands = {n: ["uv", *p.sync_arguments()] for n, p in declared.by_name.items()}
    for name, command in commands.items():
        default = "  (default)" if name == declared.default else ""
        console.result(f"{name}{default}\n  {shlex.join(command)}")
    console.envelope(
        "profiles",
        0,
        {
            "default": declared.default,
            "profiles": {name: {"command": command} for name, command in commands.items()},
        },
    )


@uvflow.group(
    short_help="Write a Dockerfile made from facts of the project", invoke_without_command=True
)
@click.option("--python", metavar="X.Y", help="The Python of the image.")
@click.option("--base", type=click.Choice(["slim", "managed", "distroless"]), help="Built on what.")
@click.option("--stages", type=click.Choice(["auto", "single", "multi"]), help="How many stages.")
@click.option("--uv", metavar="X.Y.Z", help="The uv that builds; default: as before, or this one.")
@click.option("--bake", is_flag=True, help="Write docker-bake.hcl as well.")
@click.option("--compose", is_flag=True, help="Write compose.yaml as well.")
@click.option("--print", "prints", is_flag=True, help="Print the Dockerfile, and write nothing.")
@click.option("--facts", is_flag=True, help="Print what it depends on as JSON, and write nothing.")
@click.option("--check", is_flag=True, help="Fail where files are not what today's facts give.")
@click.option("--dry-run", is_flag=True, help="Show what would be written.")
@click.option("--force", is_flag=True, help="Overwrite what was written or edited by hand.")
@common
def docker(console: Console, **asked: Any) -> None:
    """Write a Dockerfile and a .dockerignore, made from facts of the project.

    --check compares them with today's facts, or tells what is wrong with a Dockerfile that was
    written by hand. What an option says is kept in the Dockerfile, for the next time.
    """
    from uvflow.docker import told  # noqa: PLC0415
    from uvflow.project import Project  # noqa: PLC0415

    if click.get_current_context().invoked_subcommand:
        return
    outcome = told.outcome(Project.find(Path.cwd()), told.Request(**asked))
    for finding in outcome.warnings:
        console.warn(finding)
    for line in outcome.said:
        console.say(line)
    if outcome.result:
        console.result(outcome.result.removesuffix("\n"))
    if outcome.error:
        console.problem(outcome.error)
    code = exit_code_of(outcome.error) if outcome.error else 0
    console.envelope("docker", code, outcome.data)
    raise click.exceptions.Exit(code)


@docker.command(short_help="Build the image", context_settings={"ignore_unknown_options": True})
@click.option("--profile", default="prod", show_default=True, help="The target to build.")
@click.option("--tag", metavar="NAME", help="What to call the image; default: as the project.")
@click.argument("more", metavar="[-- OPTIONS…]", nargs=-1, type=click.UNPROCESSED)
@common
def build(console: Console, *, profile: str, tag: str | None, more: tuple[str, ...]) -> None:
    """Build the image by `docker build`, with the secrets it needs; OPTIONS are for that."""
    from uvflow.docker.build import build  # noqa: PLC0415
    from uvflow.docker.facts import Options  # noqa: PLC0415
    from uvflow.docker.write import plan  # noqa: PLC0415
    from uvflow.project import Project  # noqa: PLC0415

    project = Project.find(Path.cwd())
    code = build(project, plan(project, Options()), profile=profile, tag=tag, more=more)
    console.envelope("docker build", code, {"profile": profile})
    raise click.exceptions.Exit(code)


@uvflow.group(short_help="What uvflow remembers, and of which projects")
def cache() -> None:
    """What uvflow remembers, and of which projects.

    Forgetting loses nothing of the projects themselves: the next `uvflow sync` is a real one. Only
    `uvflow undo` needs what is kept here.
    """


@cache.command(name="dir", short_help="Print where it is kept")
@common
def directory(console: Console) -> None:
    """Print the directory in which uvflow keeps what it remembers (also: UVFLOW_CACHE_DIR)."""
    from uvflow.state import cache_dir  # noqa: PLC0415

    console.result(str(cache_dir()))
    console.envelope("cache dir", 0, {"directory": str(cache_dir())})


@cache.command(name="list", short_help="List the projects that are remembered")
@common
def list_(console: Console) -> None:
    """List the projects that are remembered, the one used last first."""
    from uvflow.remembered import as_json, remembered, row  # noqa: PLC0415

    found = remembered()
    for project in found:
        console.result(row(project))
    console.envelope("cache list", 0, {"projects": [as_json(project) for project in found]})


@cache.command(short_help="Forget the projects that are gone")
@common
def prune(console: Console) -> None:
    """Forget the projects whose directory is gone."""
    from uvflow.remembered import remembered  # noqa: PLC0415

    gone = [project for project in remembered() if project.is_gone]
    _forget(console, gone, "uvflow cache prune")


@cache.command(short_help="Forget all projects, or the named ones")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]…")
@common
def clear(console: Console, *, paths: tuple[Path, ...]) -> None:
    """Forget all projects, or those at PATH.

    A project at which a uvflow is at work, or where one was cut short, is left alone, and exit code
    6 tells so.
    """
    from uvflow.remembered import named, remembered  # noqa: PLC0415

    found = remembered()
    chosen = [named(found, path) for path in paths] if paths else found
    _forget(console, chosen, "uvflow cache clear")


def _forget(console: Console, projects: "Iterable[Remembered]", command: str) -> None:
    from uvflow.remembered import as_json, forget  # noqa: PLC0415

    done = forget(projects, command)
    for project in done.gone:
        console.result(f"Forgot {project.name}")
    for left in done.left:
        console.warn(f"{left.project.name} is left alone: {left.reason}")
    console.envelope(
        command.removeprefix("uvflow "),
        done.exit_code,
        {
            "forgotten": [as_json(project) for project in done.gone],
            "left": [{**as_json(left.project), "reason": left.reason} for left in done.left],
        },
    )
    raise click.exceptions.Exit(done.exit_code)


def main() -> int:
    """Run the command line and return its exit code; errors come out as text, never raised."""
    signals.raise_them()
    try:
        code = uvflow.main(standalone_mode=False)  # a number where a command leaves with one
    except click.Abort as abort:  # click's word for a KeyboardInterrupt
        return _tell(_as_ours(abort.__cause__))
    except (UvflowError, click.ClickException, OSError, KeyboardInterrupt) as error:
        return _tell(_as_ours(error))
    return code or 0


def _as_ours(error: BaseException | None) -> UvflowError:
    match error:
        case UvflowError():
            return error
        case click.ClickException():
            return UsageError(error.format_message(), hint="`uvflow --help` lists the commands")
        case OSError():
            return DiskError(str(error.filename or "a file"), cause=error.strerror)
        case SignalReceivedError():
            return InterruptedBySignalError(error.number)
        case _:
            return InterruptedBySignalError(signal.SIGINT)


def _tell(error: UvflowError) -> int:
    as_json = "--json" in sys.argv[1:]
    console = Console(color=wants_color("auto"), as_json=as_json)
    console.problem(error)
    console.problem_as_json(next(_words(sys.argv[1:]), ""), error)
    return exit_code_of(error)


def _words(arguments: list[str]) -> Iterator[str]:
    return (argument for argument in arguments if not argument.startswith("-"))
