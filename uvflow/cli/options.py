"""The options that commands share."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from uvflow.cli.errors import Answer, run_reported
from uvflow.console import Console, wants_color
from uvflow.errors import UsageError, UvflowError

_OF_ALL = (
    click.option("--directory", type=click.Path(), metavar="DIR", help="Run in DIR, not here."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only, also of uv."),
    click.option("-v", "--verbose", is_flag=True, help="Print what is done, and each uv command."),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colour the output (also: NO_COLOR, FORCE_COLOR).",
    ),
)


def options_of_all(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command has; they may also precede its name."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(_OF_ALL), command)


def common(command: Callable[..., Answer | int | None]) -> Callable[..., None]:
    """Add the options of every command, pass them as a Console, and report what it returns."""

    @options_of_all
    @functools.wraps(command)
    def with_console(
        *, as_json: bool, quiet: bool, verbose: bool, color: Any, directory: Any, **rest: Any
    ) -> None:
        context = click.get_current_context()
        before = context.find_root().params
        console = Console(
            color=wants_color(before["color"] if color == "auto" else color),
            quiet=quiet or before["quiet"],
            verbose=verbose or before["verbose"],
            as_json=as_json or before["as_json"],
        )
        name = context.command_path.removeprefix("uvflow ")

        def act() -> Answer | int | None:
            for place in filter(None, (before["directory"], directory)):
                _enter(place)
            answer = command(console, **rest)
            if isinstance(answer, tuple) and os.environ.get("GITHUB_ACTIONS") == "true":
                _annotate(console, answer[1].get("findings", ()))
            return answer

        code = run_reported(console, name, act)
        if code:
            raise click.exceptions.Exit(code)

    return with_console


def _enter(place: str) -> None:
    try:
        os.chdir(place)
    except OSError as error:
        raise UsageError(f"--directory {place}: {error.strerror}") from error


@contextlib.contextmanager
def busy(console: Console, text: str) -> Iterator[None]:
    """Show `text` at a terminal until the work inside is done."""
    is_shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not console.quiet
    if is_shown:
        sys.stderr.write(f"{text}…")
        sys.stderr.flush()
    try:
        yield
    finally:
        if is_shown:
            sys.stderr.write("\r\x1b[K")  # to the start of the line, and erase it
            sys.stderr.flush()


def _complete_profile(context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    from uvflow.project.manifest import Project  # slow, and only for completion

    place = context.params.get("directory") or context.find_root().params.get("directory") or ""
    with contextlib.suppress(UvflowError):
        names = Project.find(Path.cwd() / place).profiles.by_name
        return [name for name in names if name.startswith(begun)]
    return []


def profile_choice(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--dev`, `--prod` and `--profile NAME`; passed on as one argument, `profile`."""

    @click.option("--dev", is_flag=True, help="The dev profile: with development dependencies.")
    @click.option("--prod", is_flag=True, help="The prod profile: only what production needs.")
    @click.option(
        "--profile",
        metavar="NAME",
        help="A profile of [tool.uvflow.profiles].",
        shell_complete=_complete_profile,
    )
    @functools.wraps(command)
    def with_profile(*args: Any, dev: bool, prod: bool, profile: str | None, **rest: Any) -> None:
        if [dev, prod, bool(profile)].count(True) > 1:
            raise UsageError("--dev, --prod and --profile exclude each other")
        if dev or prod:
            profile = "dev" if dev else "prod"
        command(*args, profile=profile or None, **rest)

    return with_profile


def _annotate(console: Console, findings: Iterable[Mapping[str, Any]]) -> None:
    """Print findings so that GitHub shows them at their lines (its docs, "Workflow commands")."""
    for finding in findings:
        path = os.path.relpath(finding["path"] or ".", os.environ.get("GITHUB_WORKSPACE"))
        for character in "%:,":
            path = path.replace(character, f"%{ord(character):02X}")
        place = f"file={path},line={finding['line']}," if finding["path"] else ""
        level = {"note": "notice", "error": "error"}.get(finding["severity"], "warning")
        message = finding["message"].replace("%", "%25")
        console.say(f"::{level} {place}title={finding['code']}::{message}")


timeout_option = click.option(
    "--timeout",
    type=float,
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another uvflow process; negative: forever.",
)
