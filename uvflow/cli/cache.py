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

    Forgetting loses nothing of the projects themselves: the next `uvflow sync` is a real one. Only
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
    from uvflow.state.inventory import (
        format_row,
        known_projects,
        project_as_json,
    )

    found = known_projects()
    for project in found:
        console.result(format_row(project))
    if not found:
        console.say("Nothing is remembered")
    console.envelope("cache list", 0, {"projects": [project_as_json(project) for project in found]})


@cache_command.command(short_help="Forget the projects that are gone")
@common
def prune(console: Console) -> None:
    """Forget the projects whose directory is gone."""
    from uvflow.state.inventory import known_projects

    gone = [project for project in known_projects() if project.is_gone]
    _forget(console, gone, "uvflow cache prune")


@cache_command.command(short_help="Forget all projects, or the named ones")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]…")
@common
def clear(console: Console, *, paths: tuple[Path, ...]) -> None:
    """Forget all projects, or those at PATH.

    A project at which a uvflow is at work, or where one was cut short, is left alone, and exit code
    6 tells so.
    """
    from uvflow.state.inventory import (
        known_projects,
        project_at,
    )

    found = known_projects()
    chosen = [project_at(found, path) for path in paths] if paths else found
    _forget(console, chosen, "uvflow cache clear")


def _forget(console: Console, projects: "Iterable[KnownProject]", command: str) -> None:
    from uvflow.state.inventory import (
        forget,
        project_as_json,
    )

    done = forget(projects, command)
    for project in done.gone:
        console.result(f"Forgot {project.name}")
    if not (done.gone or done.left):
        console.say("Nothing to forget")
    for left in done.left:
        console.warn(f"{left.project.name} is left alone: {left.reason}")
    console.envelope(
        command.removeprefix("uvflow "),
        done.exit_code,
        {
            "forgotten": [project_as_json(project) for project in done.gone],
            "left": [
                {**project_as_json(left.project), "reason": left.reason} for left in done.left
            ],
        },
    )
    raise click.exceptions.Exit(done.exit_code)
