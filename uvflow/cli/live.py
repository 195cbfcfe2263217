"""`uvflow sync`, `run`, `status`, `verify` and `profiles`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from uvflow.cli.options import common, profile_choice, timeout_option
from uvflow.cli.synced import chosen, synced, tell_healed
from uvflow.console import Console

if TYPE_CHECKING:
    from uvflow.profiles import Choice
    from uvflow.project import Project


@click.command(short_help="Make the environment what the lockfile and the profile say")
@profile_choice
@click.option("--check", is_flag=True, help="Say in one line whether it is so, changing nothing.")
@timeout_option
@common
def sync(console: Console, *, profile: str | None, check: bool, timeout: float) -> None:
    """Make the environment what the lockfile and the profile say.

    Without a flag the profile is that of UVFLOW_PROFILE, of the last sync, of `default-profile`
    in [tool.uvflow], or dev. The lockfile is never changed: a stale one is exit code 3.
    """
    if check:
        _check(console, *chosen(profile))
    synced(console, profile, timeout=timeout)


@click.command(
    short_help="Run a command in the synced environment",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@profile_choice
@timeout_option
@common
@click.argument("words", metavar="[--] COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def run(console: Console, *, profile: str | None, timeout: float, words: tuple[str, ...]) -> None:
    """Run COMMAND in the environment of the profile, synced first.

    No uvflow changes the environment while the command runs. The exit code is the command's own.
    """
    from uvflow.run import run  # noqa: PLC0415
    from uvflow.work import Work  # noqa: PLC0415

    code = run(
        Work.of(*chosen(profile)),
        words,
        timeout=timeout,
        tell=console.say,
        tell_healed=lambda healed: tell_healed(console, healed),
    )
    raise click.exceptions.Exit(code)


def _check(console: Console, project: "Project", choice: "Choice") -> NoReturn:
    from uvflow.standing import as_json, verdict_line  # noqa: PLC0415
    from uvflow.status import status  # noqa: PLC0415

    found = status(project, choice)
    console.say(verdict_line(found))
    console.envelope("sync", found.exit_code, as_json(found))
    raise click.exceptions.Exit(found.exit_code)


_COLOURS = {"ok": "green", "note": "cyan", "unknown": "cyan"}  # all else is red


@click.command(short_help="Tell whether lockfile, environment and uv are as they should be")
@profile_choice
@common
def status(console: Console, *, profile: str | None) -> None:
    """Tell whether lockfile, environment and uv are as they should be, with the reasons.

    Offline, changing nothing, running no code of the project's. The exit code is that of the worst
    finding: 5 damaged, 7 no usable uv, 3 stale lockfile, 4 out of sync, 0 nothing wrong.
    """
    from uvflow.standing import as_json, headline, rows  # noqa: PLC0415
    from uvflow.status import status  # noqa: PLC0415

    found = status(*chosen(profile))
    console.result(console.style(headline(found), "bold"))
    for aspect, state, message in rows(found, verbose=console.verbose):
        colour = _COLOURS.get(state.strip(), "red")
        console.result(f"  {aspect}  {console.style(state, colour)}  {message}".rstrip())
    console.envelope("status", found.exit_code, as_json(found))
    raise click.exceptions.Exit(found.exit_code)


@click.command(short_help="Look at every file of the environment")
@profile_choice
@click.option("--deep", is_flag=True, help="Compare contents as well, by hash.")
@click.option("--repair", is_flag=True, help="Install again what is damaged, and nothing else.")
@timeout_option
@common
def verify(
    console: Console, *, profile: str | None, deep: bool, repair: bool, timeout: float
) -> None:
    """Look at every file of the environment: that it is there, with the size it came with.

    Tells what is missing, truncated, edited, half installed, or there without an owner. The exit
    code is 0 where it is intact and 5 where it is damaged.
    """
    from uvflow.healing import Depth  # noqa: PLC0415
    from uvflow.verify import as_json, heal, lines, outcome, verify  # noqa: PLC0415

    project, choice = chosen(profile)
    depth = Depth.HASHES if deep else Depth.FILES
    if repair:
        found = heal(project, choice, depth, timeout=timeout, tell=console.say)
    else:
        found = verify(project, choice, depth)
    for damage in found.healed.removed:
        console.detail(f"Removed: {damage.path}")
    for line in lines(found, verbose=console.verbose):
        console.result(line)
    console.result(console.style(outcome(found), "red" if found.damages else "green"))
    console.envelope("verify", found.exit_code, as_json(found))
    raise click.exceptions.Exit(found.exit_code)


@click.command(short_help="Show the profiles, and the uv command each one means")
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
