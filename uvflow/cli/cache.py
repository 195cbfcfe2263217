"""`uvflow cache`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvflow.cli.errors import Answer
from uvflow.cli.options import common
from uvflow.console import Console, size_text
from uvflow.errors import BusyError

if TYPE_CHECKING:
    from uvflow.state.inventory import KnownProject


@click.group(name="cache", short_help="What uvflow remembers, and of which projects")
def cache_command() -> None:
    """What uvflow remembers, and of which projects.

    A project that is forgotten loses nothing of its own: its next `uvflow sync` is a full one. Only
    `uvflow undo` needs what is kept here.
    """


@cache_command.command(name="dir", short_help="Print where it is kept")
@common
def directory(console: Console) -> Answer:
    """Print the directory in which uvflow keeps what it remembers (also: UVFLOW_CACHE_DIR)."""
    from uvflow.state.store import cache_root

    console.result(str(cache_root()))
    return 0, {"directory": str(cache_root())}


@cache_command.command(name="list", short_help="List the projects that are remembered")
@common
def list_(console: Console) -> Answer:
    """List the projects that are remembered, the one used last first."""
    from uvflow.state.inventory import known_projects

    projects = known_projects()
    for project in projects:
        console.result(project.row)
    if not projects:
        console.say("Nothing is remembered")
    return 0, {"projects": [project.as_json() for project in projects]}


@cache_command.command(name="prune", short_help="Forget projects that are gone; free space")
@common
def prune_command(console: Console) -> Answer:
    """Forget the projects whose directory is gone, and remove what was set aside in the others.

    That is the environment from before `uvflow init`, which `uvflow undo` cannot bring back after
    that, and what `uvflow undo --force` has kept. One with files of your own stays.
    """
    from uvflow.environment.prune import prune
    from uvflow.state.inventory import known_projects

    known = known_projects()
    found = prune(project for project in known if not project.is_gone)
    for one in found:
        size = size_text(one.size)
        if one.reason:
            console.warn(f"{one.path} ({size}) is kept: {one.reason}")
        else:
            console.result(f"Removed {one.path} ({size})")
    code, data = _forget(console, [project for project in known if project.is_gone])
    return code, {
        **data,
        "removed": [one.as_json() for one in found if not one.reason],
        "kept": [one.as_json() for one in found if one.reason],
    }


@cache_command.command(short_help="Forget all projects, or the named ones")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]…")
@common
def clear(console: Console, *, paths: tuple[Path, ...]) -> Answer:
    """Forget all projects, or those at PATH.

    A project that another uvflow process is using, or in which one was cut short, is kept; the exit
    code is 6 then.
    """
    from uvflow.state.inventory import known_projects, project_at

    known = known_projects()
    chosen = [project_at(known, path) for path in paths] if paths else known
    return _forget(console, chosen)


def _forget(console: Console, projects: "Iterable[KnownProject]") -> Answer:
    from uvflow.state.inventory import forget

    tried = [(project, forget(project)) for project in projects]
    forgotten = [project for project, reason in tried if not reason]
    kept = [(project, reason) for project, reason in tried if reason]
    for project in forgotten:
        console.result(f"Forgot {project.name}")
    if not tried:
        console.say("No project to forget")
    for project, reason in kept:
        console.warn(f"{project.name} is kept: {reason}")
    exit_code = BusyError.exit_code if kept else 0
    return exit_code, {
        "forgotten": [project.as_json() for project in forgotten],
        "left": [{**project.as_json(), "reason": reason} for project, reason in kept],
    }
