"""`uvflow init` and `uvflow undo`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvflow.cli.errors import Answer, as_uvflow_error
from uvflow.cli.options import common, timeout_option
from uvflow.console import Console
from uvflow.errors import UvflowError

if TYPE_CHECKING:
    from uvflow.migrate.plan import InitResult


@click.command(name="init", short_help="Make a locked uv project of what is there")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option(
    "--name", metavar="NAME", help="The project's name; default: setup.py's, or the directory's."
)
@click.option(
    "--python", metavar="VERSION", help="The Python it requires, such as 3.12 or '>=3.11'."
)
@click.option("--from", "from_files", multiple=True, metavar="FILE", help="Import this file.")
@click.option("--ignore", "ignored", multiple=True, metavar="FILE", help="Leave this file out.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME=FILE",
    help="Import FILE, or tox.ini:ENV, as a dependency group.",
)
@click.option(
    "--constraint", "constraints", multiple=True, metavar="FILE", help="Import FILE as constraints."
)
@click.option("--encoding", metavar="NAME", help="The files' encoding, if not UTF-8.")
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "prefer-base", "declare"]),
    default="fail",
    help="What to do where two files conflict.",
)
@click.option("--keep-going", is_flag=True, help="Skip lines that cannot be read, and say which.")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option("--allow-outside", is_flag=True, help="Follow includes that lead out of the project.")
@click.option("--strip-credentials", is_flag=True, help="Import URLs without their passwords.")
@click.option("--direct-only", is_flag=True, help="Skip what other requirements need anyway.")
@click.option("--fresh", is_flag=True, help="Do not keep the versions that are installed.")
@click.option("--here", is_flag=True, help="Make a project inside of another one.")
@click.option("--no-lock", is_flag=True, help="Write pyproject.toml only.")
@click.option("--no-sync", is_flag=True, help="Do not make the environment yet.")
@click.option("--no-build", is_flag=True, help="Build nothing to learn a requirement's name.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@timeout_option
@common
def init_command(console: Console, *, path: Path, **given: Any) -> Answer:
    """Make PATH (default: here) a locked uv project of what is there.

    Requirements files become dependencies and dependency groups, their pins a lockfile; so do the
    versions in the environment that is there, which is set aside for `uvflow undo`. The files stay,
    and if anything fails, everything is put back as it was.
    """
    from uvflow.migrate import report
    from uvflow.migrate.init import init
    from uvflow.migrate.plan import init_options
    from uvflow.uv import find

    root = Path(os.path.realpath(path))
    try:
        result = init(
            root,
            init_options(root, given),
            uv=find(),
            progress=console.say,
            announce=console.warn,  # also with --quiet
        )
    except (UvflowError, OSError, KeyboardInterrupt) as raised:
        error = as_uvflow_error(raised)
        error.data = error.data or report.error_as_json(error)
        raise error from raised
    data = report.result_as_json(result)
    _show(console, result, data["diff"])
    return 0, data


def _show(console: Console, result: "InitResult", diff: str) -> None:
    from uvflow.migrate import report

    if result.is_dry_run:
        console.verbatim(*diff.removesuffix("\n").split("\n"))
    elif result.plan.changes:
        console.say("")  # uv's output stands above
    for number, (title, lines) in enumerate(report.sections(result, verbose=console.verbose)):
        if number:
            console.say("")
        console.say(console.style(title, "bold"), *lines)
    if console.quiet:
        for finding in report.urgent_findings(result):
            console.warn(str(finding))


@click.command(name="undo", short_help="Put back what the last init changed")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option(
    "--force",
    is_flag=True,
    help="Undo even if a file was edited since, or the environment, which is set aside then.",
)
@timeout_option
@common
def undo_command(console: Console, *, path: Path, force: bool, timeout: float) -> Answer:
    """Put back what the last `uvflow init` changed in PATH (default: here), byte for byte.

    The environment, too: the one that init made is removed, the one that was there before is back.
    """
    from uvflow.migrate.plan import relative_name
    from uvflow.migrate.undo import undo

    root = Path(os.path.realpath(path))
    result = undo(root, even_if_edited=force, timeout=timeout, progress=console.say)
    restored = [relative_name(path, root) for path in result.restored]
    removed = [relative_name(path, root) for path in result.removed]
    for verb, names in (("Put back", restored), ("Removed", removed)):
        console.say(f"{verb}: {', '.join(names) or 'nothing'}")
    for kept in result.kept:
        console.say(f"Changed since init, so it is kept: {kept}")
    for lost in result.not_restored:
        console.warn(f"{lost} stays as it is now: what was there before init is not kept any more")
    return 0, {
        "restored": restored,
        "removed": removed,
        "kept": [*map(str, result.kept)],
        "not_restored": [*map(str, result.not_restored)],
    }
