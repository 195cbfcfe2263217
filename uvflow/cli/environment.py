"""`uvflow sync`, `run`, `status`, `verify`, `profiles`, `releases` and `rollback`."""

import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from uvflow.cli.errors import Answer
from uvflow.cli.options import busy, common, profile_choice, timeout_option
from uvflow.cli.sync import (
    check_sync,
    chosen_context,
    run_sync,
    run_words,
    show_plan,
    show_status,
)
from uvflow.console import Console
from uvflow.errors import UsageError


@click.command(name="sync", short_help="Sync the environment with the lockfile and the profile")
@profile_choice
@click.option(
    "--check", is_flag=True, help="Report in one line whether it is in sync; change nothing."
)
@click.option("--dry-run", is_flag=True, help="Show what a sync would do; change nothing.")
@timeout_option
@common
def sync_command(
    console: Console, *, profile: str | None, check: bool, dry_run: bool, timeout: float
) -> Answer:
    """Sync the environment with the lockfile and the profile, and verify it.

    Without a flag the profile is that of UVFLOW_PROFILE, else that of the last sync, else
    `default-profile` in [tool.uvflow], else dev. The lockfile is never changed: a stale one is
    exit code 3.
    """
    if check and dry_run:
        raise UsageError("--check and --dry-run exclude each other")
    if dry_run:
        return show_plan(console, profile)
    if not check:
        return run_sync(console, profile, timeout=timeout)
    return check_sync(console, profile)


@click.command(
    name="run",
    short_help="Run a command in the synced environment",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@profile_choice
@timeout_option
@common
@click.argument("words", metavar="[--] COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(
    console: Console, *, profile: str | None, timeout: float, words: tuple[str, ...]
) -> int:
    """Sync the environment of the profile, and run COMMAND in it.

    While the command runs, no uvflow process changes the environment but those that it starts
    itself. Which profile is meant without a flag stays as it is. The exit code is the command's
    own.
    """
    if words[0].startswith("-") and words[0] != "-m":
        context = click.get_current_context()
        options = [option for parameter in context.command.params for option in parameter.opts]
        raise click.NoSuchOption(words[0], possibilities=options, ctx=context)
    return run_words(console, profile, words, timeout=timeout)


@click.command(
    name="status", short_help="Report whether lockfile, environment and uv are as they should be"
)
@profile_choice
@common
def status_command(console: Console, *, profile: str | None) -> Answer:
    """Report whether lockfile, environment and uv are as they should be, and why not.

    Works offline, changes nothing and runs no code of the project. The exit code is that of the
    worst check: 5 damaged, 7 no usable uv, 3 stale lockfile, 4 out of sync, 0 nothing wrong.
    """
    return show_status(console, profile)


@click.command(name="verify", short_help="Check every file of the environment")
@profile_choice
@click.option("--deep", is_flag=True, help="Compare contents as well, by hash.")
@click.option("--repair", is_flag=True, help="Reinstall what is damaged, and nothing else.")
@timeout_option
@common
def verify_command(
    console: Console, *, profile: str | None, deep: bool, repair: bool, timeout: float
) -> Answer:
    """Check that every file of the environment exists with the size it was installed with.

    Lists files that are missing, truncated, edited or replaced, unfinished installs, and apart from
    those what no installed distribution owns: that is yours. The exit code is 0 where the
    environment is intact, 4 where a local package was installed as a copy and its sources have
    changed since, or while a sync is running, and 5 where files are damaged.
    """
    from uvflow.environment.repair import Depth
    from uvflow.environment.verify import damage_lines, verdict, verification_as_json, verify

    waiting = "Comparing every file by its hash" if deep else "Checking every file"
    with contextlib.nullcontext() if repair else busy(console, waiting):  # that has uv's progress
        depth = Depth.HASHES if deep else Depth.SIZES
        result = verify(
            chosen_context(profile), depth, repairs=repair, timeout=timeout, progress=console.say
        )
    for path in result.repair.removed:
        console.detail(f"Removed: {path}")
    for line in damage_lines(result, verbose=console.verbose):
        console.result(line)
    console.result(console.style(verdict(result), "red" if result.damages else "green"))
    return result.exit_code, verification_as_json(result)


@click.command(name="releases", short_help="List the releases of a profile")
@profile_choice
@common
def releases_command(console: Console, *, profile: str | None) -> Answer:
    """List the environments that `releases` of a profile keeps, the live one marked.

    When each was made, from which lockfile and git commit, and whether a command runs in it.
    """
    from uvflow.environment.releases import find_releases

    context = chosen_context(profile)
    rows = [release.as_json() for release in find_releases(context)]
    for row in rows:
        console.result(release_line(row))
    return 0, {**context.subject.as_json(), "releases": rows}


def release_line(row: Mapping[str, Any]) -> str:
    """A release in one line, from its JSON."""
    facts = [f"Python {row['python']}", f"uv {row['uv']}", f"{row['size'] / 1e6:.0f} MB"]
    if row["git_commit"]:
        edited = "" if row["git_is_clean"] else ", edited"
        facts.insert(0, f"git {row['git_commit'][:7]}{edited}")
    if row["in_use"]:
        facts.append("in use")
    mark = "*" if row["live"] else " "
    return f"{mark} {row['name']}  {row['made']}  {', '.join(facts)}"


@click.command(name="rollback", short_help="Make an earlier release live again")
@profile_choice
@timeout_option
@common
@click.argument("name", required=False)
def rollback_command(
    console: Console, *, profile: str | None, timeout: float, name: str | None
) -> Answer:
    """Make the release NAME live again, or the one before the live one, once it is verified.

    One rename switches, and running processes keep what they began with. The next `sync` of the
    profile goes by the lockfile again.
    """
    from uvflow.environment.releases import roll_back

    context = chosen_context(profile)
    release = roll_back(context, name, timeout=timeout, progress=console.say)
    console.say(f"Live: {release.path.name}")
    return 0, {**context.subject.as_json(), "release": release.as_json()}


@click.command(name="profiles", short_help="Show the profiles and their uv commands")
@common
def profiles_command(console: Console) -> Answer:
    """Show the profiles and the uv command that each one stands for."""
    from uvflow.project.manifest import Project

    declared = Project.find(Path.cwd()).profiles
    commands = {n: ["uv", *p.sync_arguments()] for n, p in declared.by_name.items()}
    for name, command in commands.items():
        default = "  (default)" if name == declared.default else ""
        console.verbatim(f"{name}{default}", f"  {shlex.join(command)}")
    return 0, {
        "default": declared.default,
        "profiles": {name: {"command": command} for name, command in commands.items()},
    }
