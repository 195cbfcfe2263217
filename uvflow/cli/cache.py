"""`uvflow cache`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvflow.cli.options import common
from uvflow.console import Console

if TYPE_CHECKING:
    from uvflow.state.inventory import KnownProject


@click.group(name="cache", short_help="What uvflow remembers, and of which projects")
def cache_command() -> None:
    """What uvflow remembers, and of which projects.

    Forgetting loses nothing of the projects themselves: the next `uvflow sync` is a full one. Only
    `uvflow undo` needs what is kept here.
    """


@cache_command.command(name="dir", short_help="Print where it is kept")
@common
def directory(console: Console) -> None:
    """Print the directory in which uvflow keeps what it remembers (also: UVFLOW_CACHE_DIR)."""
    from uvflow.state.store import cache_root

    console.result(str(cache_root()))
    console.envelope("cache dir", 0, {"directory": str(cache_root())})


@cache_command.command(name="list", short_help="List the projects that are remembered")
@common
def list_(console: Console) -> None:
    """List the projects that are remembered, the one used last first."""
    from uvflow.state.inventory import known_projects

    projects = known_projects()
    for project in projects:
        console.result(project.row)
    if not projects:
        console.say("Nothing is remembered")
    console.envelope("cache list", 0, {"projects": [project.as_json() for project in projects]})


@cache_command.command(short_help="Forget the projects that are gone")
@common
def prune(console: Console) -> None:
    """Forget the projects whose directory is gone."""
    from uvflow.state.inventory import known_projects

    gone = [project for project in known_projects() if project.is_gone]
    _forget(console, gone, "cache prune")


@cache_command.command(short_help="Forget all projects, or the named ones")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]…")
@common
def clear(console: Console, *, paths: tuple[Path, ...]) -> None:
    """Forget all projects, or those at PATH.

    A project that another uvflow process is using, or where one was cut short, is kept; the exit
    code is 6 then.
    """
    from uvflow.state.inventory import known_projects, project_at

    known = known_projects()
    chosen = [project_at(known, path) for path in paths] if paths else known
    _forget(console, chosen, "cache clear")


def _forget(console: Console, projects: "Iterable[KnownProject]", command: str) -> None:
    from uvflow.state.inventory import forget

    result = forget(projects, f"uvflow {command}")
    for project in result.forgotten:
        console.result(f"Forgot {project.name}")
    if not (result.forgotten or result.kept):
        console.say("Nothing to forget")
    for kept in result.kept:
        console.warn(f"{kept.project.name} is kept: {kept.reason}")
    console.envelope(command, result.exit_code, result.as_json())
    raise click.exceptions.Exit(result.exit_code)
