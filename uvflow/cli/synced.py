"""`uvflow sync` once its command line is understood: by click, or by the door.

The door knows the spellings without other options, and they have no need of click: to load that
takes a sixth of the time of a short sync.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from uvflow import signals
from uvflow.cli.boundary import as_ours, told
from uvflow.console import Console, wants_color
from uvflow.errors import UvflowError
from uvflow.snapshot import in_sync, named

if TYPE_CHECKING:
    from uvflow.healing import Healed
    from uvflow.profiles import Choice
    from uvflow.project import Project


def plainly(profile: str | None) -> int:
    """`uvflow sync`, `sync --dev` or `sync --prod`; returns the exit code."""
    from uvflow.state import DEFAULT_TIMEOUT  # noqa: PLC0415

    signals.raise_them()
    console = Console(color=wants_color("auto"))
    try:
        synced(console, profile, timeout=DEFAULT_TIMEOUT)
    except (UvflowError, OSError, KeyboardInterrupt) as error:
        return told(console, "sync", as_ours(error))
    return 0


def synced(console: Console, profile: str | None, *, timeout: float) -> None:
    """Make the environment what the lockfile and the profile say, and tell of it."""
    from uvflow.sync import sync  # noqa: PLC0415

    done = sync(*chosen(profile), timeout=timeout, tell=console.say)
    tell_healed(console, done.healed)
    console.say(
        in_sync(done.profile, done.chosen_by)
        if done.already
        else f"Synced: {named(done.profile, done.chosen_by)}"
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


def chosen(profile: str | None) -> "tuple[Project, Choice]":
    """The project that the command is called in, and the profile it is to have."""
    from uvflow.project import Project  # noqa: PLC0415
    from uvflow.work import last_profile  # noqa: PLC0415

    project = Project.find(Path.cwd())
    return project, project.profiles.choose(profile, os.environ, last_profile(project))


def tell_healed(console: Console, healed: "Healed") -> None:
    """What was repaired on the way, and what a wheel has brought so."""
    from uvflow.flaws import told as told_of  # noqa: PLC0415

    for damage in healed.removed:
        console.detail(f"Removed: {damage.path}")
    for flaw in healed.flaws:
        console.warn(told_of(flaw))
