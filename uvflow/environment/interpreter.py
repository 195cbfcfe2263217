"""Where uv believes an environment to be: asked before it installs there, and put right.

uv asks an interpreter once for its environment, and goes by the answer as long as the binary is the
same (seen with uv 0.9.30 and 0.13.9). One that was asked while the environment had no pyvenv.cfg
has answered: in the base Python. Once the environment is made anew in the same place, uv would
install into that, and remove from it what the lockfile does not list.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from uvflow.errors import DamagedError
from uvflow.state.store import State

# Runs `uv sync`, changing nothing, with these arguments on top, and returns what it says as JSON.
DryRun = Callable[[tuple[str, ...]], str]

_NAME = "interpreter-checks.json"

# uv asks again where a package is to be refreshed; none has this name, so nothing else is.
_REFRESH_INTERPRETER = ("--refresh-package", "uvflow-looks-again")


def ensure_uv_targets(state: State, environment: Path, dry_run: DryRun) -> None:
    """Make sure that uv knows where `environment` is, once for each time it is made.

    Call it while holding the lock. One that is not there is made by uv, which knows it then. Raises
    DamagedError where uv insists on another place.
    """
    identity = _identity(environment)
    known = _known(state)
    if identity is None or known.get(str(environment)) == identity:
        return
    place = _place(dry_run(()))
    if place and not _is_same(place, environment):
        place = _place(dry_run(_REFRESH_INTERPRETER)) or place
        if not _is_same(place, environment):
            raise DamagedError(
                f"uv takes {place} for the environment {environment}",
                hint="`uv cache clean` makes it look again",
            )
    if place:
        state.write(
            _NAME, json.dumps({**known, str(environment): identity}).encode(), durable=False
        )


def _identity(environment: Path) -> list[int] | None:
    """Tells one pyvenv.cfg from another; None where there is none."""
    try:
        status = (environment / "pyvenv.cfg").stat()
    except OSError:
        return None
    return [status.st_ino, status.st_mtime_ns]


def _known(state: State) -> dict[str, object]:
    try:
        return dict(json.loads(state.read(_NAME) or b"{}"))
    except (ValueError, TypeError, RecursionError):
        return {}


def _place(said: str) -> str:
    """`sync.environment.path`; nothing where uv does not tell, as when it has no lockfile."""
    try:
        return str(json.loads(said)["sync"]["environment"]["path"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _is_same(place: str, environment: Path) -> bool:
    return os.path.realpath(place) == os.path.realpath(environment)
