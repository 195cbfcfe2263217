"""`uvflow sync`, `run` and `status` once their arguments are parsed, with or without click.

Usual command lines do without click: loading it takes a sixth of the time of a short sync.
"""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from uvflow import process
from uvflow.cli.errors import Answer, run_reported
from uvflow.console import Console, wants_color
from uvflow.fingerprint import in_sync_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uvflow.environment.context import SyncContext
    from uvflow.environment.repair import RepairResult
    from uvflow.environment.status import Check

_COLOURS = {"ok": "green", "note": "cyan", "unknown": "cyan"}  # all else is red


def run_without_click(command: str, options: "Mapping[str, str]", words: tuple[str, ...]) -> int:
    """Run `sync`, `run` or `status` with the options of `__main__`; returns the exit code."""
    from uvflow.state.locks import DEFAULT_TIMEOUT

    process.install_signal_handlers()
    console = Console(
        color=wants_color(options.get("color", "auto")),
        quiet="quiet" in options,
        verbose="verbose" in options,
        as_json="json" in options,
    )
    profile, timeout = options.get("profile"), float(options.get("timeout", DEFAULT_TIMEOUT))

    def act() -> Answer | int:
        if command == "run":
            return run_words(console, profile, words, timeout=timeout)
        if command == "status":
            return show_status(console, profile)
        if "check" in options:
            return check_sync(console, profile)
        return run_sync(console, profile, timeout=timeout)

    return run_reported(console, command, act)


def run_sync(console: Console, profile: str | None, *, timeout: float) -> Answer:
    """Sync the environment with the lockfile and the profile, and report it."""
    from uvflow.environment.sync import sync

    context = chosen_context(profile)
    result = sync(context, timeout=timeout, progress=console.say)
    report_repair(console, result.repair)
    in_sync = in_sync_message(context.profile.name, context.chosen_by)
    console.say(in_sync if result.already else f"Synced: {context.subject}")
    return 0, {
        **context.subject.as_json(),
        "already_in_sync": result.already,
        "repaired": list(result.repair.repaired),
        "removed": list(result.repair.removed),
        "known_defects": [defect._asdict() for defect in result.repair.known_defects],
    }


def show_plan(console: Console, profile: str | None) -> Answer:
    """Show what a sync would do; change nothing."""
    from uvflow.environment.sync import plan_sync

    context = chosen_context(profile)
    listing, changes = plan_sync(context)
    console.verbatim(*listing.splitlines())
    console.result(*changes)
    console.say(f"Nothing is changed: {context.subject}")
    return 0, {**context.subject.as_json(), "changes": list(changes)}


def check_sync(console: Console, profile: str | None) -> Answer:
    """Report in one line whether the environment is in sync; change nothing."""
    from uvflow.environment.status import status, status_as_json, verdict_line

    result = status(chosen_context(profile))
    console.say(verdict_line(result))
    return result.exit_code, status_as_json(result)


def run_words(
    console: Console, profile: str | None, words: tuple[str, ...], *, timeout: float
) -> int:
    """Run a command in the synced environment; returns its exit code, if at all."""
    from uvflow.environment.run import run

    report = partial(report_repair, console)
    return run(chosen_context(profile), words, timeout=timeout, progress=console.say, report=report)


def show_status(console: Console, profile: str | None) -> Answer:
    """Report whether lockfile, environment and uv are as they should be, and why not."""
    from uvflow.environment.status import status, status_as_json

    result = status(chosen_context(profile))
    console.result(console.style(result.headline, "bold"))
    show_checks(console, result.checks)
    return result.exit_code, status_as_json(result)


def show_checks(console: Console, checks: "Sequence[Check]") -> None:
    """Show what was checked, in columns."""
    from uvflow.environment.status import format_rows

    for aspect, level, message in format_rows(checks, verbose=console.verbose):
        colour = _COLOURS.get(level.strip(), "red")
        console.result(f"  {aspect}  {console.style(level, colour)}  {message}".rstrip())


def chosen_context(profile: str | None) -> "SyncContext":
    """The project of the current directory, with the profile to use."""
    from uvflow.environment.context import SyncContext, last_synced_profile
    from uvflow.project.manifest import Project

    project, environ = Project.find(Path.cwd()), os.environ
    choice = project.profiles.choose(profile, environ, last_synced_profile(project))
    return SyncContext.of(project, choice)


def report_repair(console: Console, repair: "RepairResult") -> None:
    """Report what a repair has removed, and known defects of wheels."""
    from uvflow.environment.repair import describe_defect

    for path in repair.removed:
        console.detail(f"Removed: {path}")
    for defect in repair.known_defects:
        console.warn(describe_defect(defect))
