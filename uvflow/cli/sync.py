"""`uvflow sync` once its command line is understood: by click, or by the door.

The door knows the spellings without other options, and they have no need of click: to load that
takes a sixth of the time of a short sync.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from uvflow import process
from uvflow.cli.errors import as_uvflow_error, report_error
from uvflow.console import Console, wants_color
from uvflow.errors import UvflowError
from uvflow.fingerprint import in_sync_message, profile_with_origin

if TYPE_CHECKING:
    from uvflow.environment.repair import RepairResult
    from uvflow.project.manifest import Project
    from uvflow.project.profiles import Choice


def sync_without_click(profile: str | None) -> int:
    """`uvflow sync`, `sync --dev` or `sync --prod`; returns the exit code."""
    from uvflow.state.locks import DEFAULT_TIMEOUT

    process.install_signal_handlers()
    console = Console(color=wants_color("auto"))
    try:
        run_sync(console, profile, timeout=DEFAULT_TIMEOUT)
    except (UvflowError, OSError, KeyboardInterrupt) as error:
        return report_error(console, "sync", as_uvflow_error(error))
    return 0


def run_sync(console: Console, profile: str | None, *, timeout: float) -> None:
    """Make the environment what the lockfile and the profile say, and tell of it."""
    from uvflow.environment.sync import sync

    done = sync(*project_and_profile(profile), timeout=timeout, progress=console.say)
    report_repair(console, done.healed)
    console.say(
        in_sync_message(done.profile, done.chosen_by)
        if done.already
        else f"Synced: {profile_with_origin(done.profile, done.chosen_by)}"
    )
    console.envelope(
        "sync",
        0,
        {
            "profile": done.profile,
            "chosen_by": done.chosen_by,
            "environment": str(done.environment),
            "already_in_sync": done.already,
            "repaired": list(done.healed.repaired),
            "removed": [damage.path for damage in done.healed.removed],
            "flaws": [asdict(flaw) for flaw in done.healed.flaws],
        },
    )


def project_and_profile(profile: str | None) -> "tuple[Project, Choice]":
    """The project that the command is called in, and the profile it is to have."""
    from uvflow.environment.context import last_synced_profile
    from uvflow.project.manifest import Project

    project = Project.find(Path.cwd())
    return project, project.profiles.choose(profile, os.environ, last_synced_profile(project))


def report_repair(console: Console, healed: "RepairResult") -> None:
    """What was repaired on the way, and what a wheel has brought so."""
    from uvflow.environment.known_defects import describe_defect as told_of

    for damage in healed.removed:
        console.detail(f"Removed: {damage.path}")
    for flaw in healed.flaws:
        console.warn(told_of(flaw))
