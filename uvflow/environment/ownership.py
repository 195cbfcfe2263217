"""May this directory be filled, set aside, emptied? What is the user's stays.

Where a new environment is needed, the old one is set aside by a rename; once the new one is
verified, what was set aside is removed if a virtual environment or an installer made every entry
in it. In every doubt it stays, and its path is reported.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from uvflow.environment.installed import (
    Environment,
    directory_entries,
    is_whole_python,
)
from uvflow.environment.unowned import foreign_entries, users_files
from uvflow.errors import DamagedError, UsageError, disk_errors
from uvflow.files import (
    SET_ASIDE,
    claim,
    free_name,
    is_inside,
    is_marked,
    mounts_in,
    put_back,
    read_mark,
    remove,
    remove_set_aside,
    set_aside,
    write_whole,
)
from uvflow.state.store import Progress

_VARIABLE = "UV_PROJECT_ENVIRONMENT"

_REBUILD = "before-rebuild"
_SHOWN = 3  # how many entries an error names


def check_location(
    environment: Path, workspace: Path, *, configured: str | None, is_users_choice: bool
) -> None:
    """Refuse to use a directory that cannot be an environment, before anything is done.

    That is the workspace, the home directory, one with a `.git`, and every directory that contains
    one of these. Another place outside the workspace is only used where the user's own variable
    names it (`is_users_choice`), not because a profile does (`configured`). Raises UsageError.
    """
    resolved = Path(os.path.realpath(environment))
    protected = {Path(os.path.realpath(workspace)), Path(os.path.realpath(Path.home()))}
    if any(place.is_relative_to(resolved) for place in protected):
        reason = "it is, or contains, the project or your home directory"
    elif os.path.lexists(resolved / ".git"):
        reason = "it holds a .git directory"
    elif configured is not None and Path(configured).is_absolute():
        reason = "the `environment` of a profile is a path relative to the workspace"
    elif (configured is not None or not is_users_choice) and not is_inside(resolved, workspace):
        reason = f"it is outside the workspace {workspace}"
    else:
        return
    is_link = resolved != environment
    where = f"{environment}, which is {resolved}," if is_link else f"{environment}"
    raise UsageError(
        f"{where} cannot be the environment: {reason}",
        hint=f"`environment` of a profile names a directory of its own; only {_VARIABLE} may name"
        " a place outside",
    )


def make_room(environment: Environment, reasons: Iterable[str]) -> Path | None:
    """Set an unusable environment aside, or empty it where it cannot be renamed.

    Returns where it is now, if it was set aside. Raises DamagedError, with nothing touched, where
    something in it is not an environment's.
    """
    cause = f"it is not usable as it is: {', '.join(reasons)}"
    by_hand = f"{move_by_hand(environment.path)}, then sync again"
    check_replaceable(environment, cause=cause, hint=by_hand)
    check_not_running_from(environment.path)
    check_mounts(environment.path)
    try:
        real = Path(os.path.realpath(environment.path))
        target = free_name(real, _REBUILD)
        set_aside(real, target)
        if environment.path.is_symlink():
            real.mkdir()  # uv makes nothing behind a link that leads nowhere
    except OSError as error:  # the mount point of a volume, or another file system
        if next(users_files(environment), None):
            raise DamagedError(
                f"{environment.path} cannot be set aside, and holds files that no installer made",
                cause=error.strerror,
                hint=by_hand,
            ) from error
        _empty(environment)
        return None
    return target


def restore_set_aside(environment: Path, aside: Path, progress: Progress) -> None:
    """Put back what `make_room` set aside, or say where it is if something is in its place."""
    real, fresh = Path(os.path.realpath(environment)), Environment(environment)
    if fresh.distributions or next(users_files(fresh), None) is not None:
        progress(f"What was in {environment} is kept in {aside}")
        return
    with disk_errors(real):
        remove(real)
        put_back(aside, real)


def check_replaceable(environment: Environment, *, cause: str | None, hint: str) -> None:
    """Refuse to rename a directory that is not an environment, or in which something is not.

    Raises DamagedError.
    """
    foreign = foreign_entries(environment)
    if foreign:
        first = ", ".join(foreign[:_SHOWN])
        raise DamagedError(
            f"{environment.path} holds what no installer made: {first}", cause=cause, hint=hint
        )
    names = {entry.name for entry in directory_entries(environment.path)}
    traces = names & {"pyvenv.cfg", "CACHEDIR.TAG"} or environment.site_packages  # uv's first two
    is_virtual = environment.path.is_dir() and not is_whole_python(environment)
    if not (is_virtual and (traces or not names)):
        raise DamagedError(
            f"{environment.path} is not a virtual environment, so nothing in it was touched",
            cause=cause,
            hint=hint,
        )


def check_mounts(environment: Path) -> None:
    """Refuse to change an environment in which something is mounted. Raises DamagedError.

    Its files would be removed, and they are somewhere else as well.
    """
    for place in mounts_in(environment):
        if place != Path(os.path.realpath(environment)):
            raise DamagedError(
                f"{place} is mounted in {environment}, which has to be changed",
                hint=f"`umount {place}`, then sync again",
            )


def check_not_running_from(directory: Path) -> None:
    """Refuse to rename the environment in which uvflow itself is running. Raises DamagedError."""
    if sys.prefix != sys.base_prefix and is_inside(Path(sys.prefix), directory):
        raise DamagedError(
            f"uvflow is running from {directory}, so it cannot be renamed",
            hint="run it from another place: `uvx uvflow`, or `pipx install uvflow`",
        )


def rename_obstacle(directory: Path) -> str:
    """Why an existing directory cannot be renamed, as far as can be seen; empty where it can be."""
    real = Path(os.path.realpath(directory))
    for place in mounts_in(real):
        return "it is a mount point" if place == real else f"{place} is mounted in it"
    if real.stat().st_dev != real.parent.stat().st_dev:
        return f"it is on another file system than {real.parent}"
    if not os.access(real.parent, os.W_OK):
        return f"{real.parent} cannot be written to"
    return ""


def move_by_hand(path: Path) -> str:
    return f"move it aside by hand: `mv {path} {path}.old`"


def discard_set_aside(environment: Path, progress: Progress) -> None:
    """Remove what `make_room` set aside, now that the new environment is verified.

    What holds files of the user's stays, and its path is reported, once.
    """
    for path, mark in set_aside_beside(environment, _REBUILD):
        if "kept" in mark.splitlines():
            continue
        users = next(users_files(Environment(path)), None)
        if users is None:
            remove_set_aside(path)
        else:
            progress(f"{path} holds files that no installer made, such as {users}: it was kept")
            write_whole(path / SET_ASIDE, os.fsencode(f"{mark}kept\n"))


def set_aside_beside(environment: Path, suffix: str = "") -> list[tuple[Path, str]]:
    """What uvflow has set aside beside an environment, with its mark; never a link."""
    real = Path(os.path.realpath(environment))
    entries = sorted(directory_entries(real.parent), key=lambda entry: entry.name)
    paths = [
        Path(entry.path)
        for entry in entries
        if entry.name.startswith(f"{real.name}.{suffix}") and not entry.is_symlink()
    ]
    return [(path, read_mark(path) or "") for path in paths if is_marked(path)]


def _empty(environment: Environment) -> None:
    """Empty a directory of nothing but what installers made; it stays itself. Raises DiskError.

    The interpreter goes first (see `missing_basics` for what uv would do with it), pyvenv.cfg last:
    where that is, uv replaces what is left, and else refuses.
    """
    configuration = environment.path / "pyvenv.cfg"
    with disk_errors(environment.path):
        remove(environment.scripts)
        claim(configuration)
        for entry in directory_entries(environment.path):
            if entry.name != configuration.name:
                remove(Path(entry.path))
        remove(configuration)
