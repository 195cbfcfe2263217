"""`uvflow cache`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvflow.cli.options import common
from uvflow.console import Console

if TYPE_CHECKING:
    from uvflow.remembered import Remembered


@click.group(short_help="What uvflow remembers, and of which projects")
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
    if not found:
        console.say("Nothing is remembered")
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
    if not (done.gone or done.left):
        console.say("Nothing to forget")
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
