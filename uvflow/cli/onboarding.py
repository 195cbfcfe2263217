"""`uvflow setup`, `doctor`, `completion`, `activate` and `hook`."""

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from uvflow.cli.errors import Answer
from uvflow.cli.options import busy, common, profile_choice, timeout_option
from uvflow.cli.sync import chosen_context, show_checks
from uvflow.console import Console
from uvflow.errors import OutOfSyncError, UsageError

_SHELL = click.Choice(["bash", "zsh", "fish", "powershell"])


@click.command(name="setup", short_help="Make a fresh clone ready, by the steps that are due")
@click.option("--check", is_flag=True, help="Fail (exit code 4) if a step is due; change nothing.")
@click.option("--dry-run", is_flag=True, help="Show which steps are due; change nothing.")
@click.option("--force", is_flag=True, help="Repeat what is done, too; a copy replaces no file.")
@click.option(
    "--script",
    type=click.Choice(["sh", "ps1"]),
    help="Print a script that installs uv and uvflow, and sets up.",
)
@timeout_option
@common
def setup_command(
    console: Console, *, script: str | None, timeout: float, force: bool, **looks: bool
) -> Answer | None:
    """Make a fresh clone ready: do the steps of [[tool.uvflow.setup]] that are due, in order.

    Without such steps it makes the environment, and .env from .env.example. After a failure or a
    kill, the next call resumes there. The exit code is that of the step that failed.
    """
    from uvflow.onboarding.setup import Setup, bootstrap_script
    from uvflow.project.manifest import Project

    if [force, bool(script), *looks.values()].count(True) > 1:
        raise UsageError("--check, --dry-run, --force and --script exclude each other")
    if script:
        return _print_script(console, bootstrap_script(script).splitlines())
    setup = Setup.of(Project.find(Path.cwd()), os.environ)
    if any(looks.values()):
        reports = setup.plan()
        console.result(*map(str, reports))
    else:
        reports = setup.carry_out(force=force, timeout=timeout, progress=console.say)
        ran = [report.name for report in reports if report.state == "ran"]
        console.say(f"Ready: {', '.join(ran) or 'nothing was due'}")
    is_due = looks["check"] and any(report.state == "due" for report in reports)
    data = {"steps": [report._asdict() for report in reports]}
    return OutOfSyncError.exit_code if is_due else 0, data


@click.command(name="doctor", short_help="Find what is wrong with the machine and the project")
@click.option("--fix", is_flag=True, help="Sync, where that mends something.")
@click.option("--offline", is_flag=True, help="Do not ask the indexes.")
@timeout_option
@common
def doctor_command(console: Console, *, fix: bool, offline: bool, timeout: float) -> Answer:
    """Find what is wrong with the machine and the project, and show what to type.

    Runs no code of the project, and changes nothing without --fix. The exit code is 1 if a check
    has failed; one that could not be made does not count.
    """
    from uvflow.environment.sync import sync
    from uvflow.onboarding.doctor import examine, findings_of, is_mended_by_sync, state_of

    context = chosen_context(None)
    with busy(console, "Checking the machine and the project"):
        checks = examine(context, is_offline=offline)
    is_mended = fix and is_mended_by_sync(checks)
    if is_mended:
        console.say("Fix: uvflow sync")
        sync(context, timeout=timeout, progress=console.say)
        checks = examine(context, is_offline=offline)
    states = {name: state_of(group) for name, group in groupby(checks, lambda one: one.aspect)}
    console.result(f"{[*states.values()].count('passed')} of {len(states)} checks passed")
    show_checks(console, [check for check in checks if check.level != "ok"])
    return int("failed" in states.values()), {
        "checks": [{"name": name, "state": state} for name, state in states.items()],
        "findings": [finding.as_json() for finding in findings_of(checks)],
        "fixed_by": ["uvflow sync"] if is_mended else [],
    }


@click.command(name="completion", short_help="Print the completion script for a shell")
@click.argument("shell", metavar="SHELL", type=_SHELL)
@common
def completion_command(console: Console, *, shell: str) -> Answer:
    """Print a script that makes SHELL complete the commands and options of uvflow.

    `eval "$(uvflow completion bash)"`, or of zsh; `uvflow completion fish | source`.
    """
    kind = get_completion_class(shell) or ShellComplete
    command = click.get_current_context().find_root().command
    complete = kind(command, {}, "uvflow", "_UVFLOW_COMPLETE")
    # Not `complete.source()`: for bash that starts bash, to ask for its version.
    return _print_script(console, ShellComplete.source(complete).splitlines())


@click.command(name="activate", short_help="Print code that activates an environment in a shell")
@click.argument("shell", metavar="SHELL", type=_SHELL)
@profile_choice
@common
def activate_command(console: Console, *, shell: str, profile: str | None) -> Answer:
    """Print code that activates the environment of a profile in SHELL; `deactivate` ends it.

    `eval "$(uvflow activate bash)"`, or of zsh; `uvflow activate fish | source`.
    """
    from uvflow.onboarding.shell import activation_lines

    return _print_script(console, activation_lines(chosen_context(profile), shell))


def _print_script(console: Console, lines: Sequence[str]) -> Answer:
    console.script(*lines)
    return 0, {"script": "".join(f"{line}\n" for line in lines)}


@click.group(name="hook", short_help="Let git report what is due after a pull or a checkout")
def hook_command() -> None:
    """Let git report what is due after a pull or a checkout."""


@hook_command.command(name="install", short_help="Write the git hooks")
@click.option("--sync", "syncs", is_flag=True, help="Sync, which may build code of any branch.")
@common
def install_command(console: Console, *, syncs: bool) -> Answer:
    """Write git hooks (post-checkout, post-merge, post-rewrite) that report what is due.

    They print one line if the environment is out of sync, else nothing, and never make git fail.
    """
    from uvflow.onboarding.shell import install_hooks
    from uvflow.project.manifest import Project

    files = install_hooks(Project.find(Path.cwd()), syncs=syncs)
    console.say(*(f"Wrote {file}" for file in files))
    return 0, {"files": [str(file) for file in files]}


ONBOARDING = (setup_command, doctor_command, completion_command, activate_command, hook_command)
