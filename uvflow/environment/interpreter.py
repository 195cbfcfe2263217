"""Where uv believes an environment to be: checked before it installs there, and corrected.

uv asks an interpreter once for its environment, and relies on the answer as long as the binary is
the same (seen with uv 0.9.30 and 0.13.9). One that was asked while its environment had no
pyvenv.cfg has answered with the base Python. If the environment is then recreated in the same
place, uv would install into the base Python, and remove from it what the lockfile does not list.
"""

import json
import os
from pathlib import Path

from uvflow.environment.context import SyncContext
from uvflow.errors import DamagedError
from uvflow.state.store import State
from uvflow.uv import Uv

_NAME = "interpreter-checks.json"

# uv asks the interpreter again when a package is to be refreshed. No package has this name, so
# nothing else is refreshed.
_REFRESH_INTERPRETER = ("--refresh-package", "uvflow-looks-again")


def ensure_uv_targets_environment(context: SyncContext, uv: Uv) -> None:
    """Make sure that uv installs into the environment; checked once each time it was created.

    Call this while holding the mutex. An environment that does not exist is created by uv, which
    then knows it. Raises DamagedError where uv insists on another place.
    """
    environment = context.environment
    identity = _identity(environment)
    checked = _checked(context.state)
    if identity is None or checked.get(str(environment)) == identity:
        return
    target = _uv_target(context, uv)
    if target and not _is_same(target, environment):
        target = _uv_target(context, uv, *_REFRESH_INTERPRETER) or target
        if not _is_same(target, environment):
            raise DamagedError(
                f"uv would install into {target} instead of the environment {environment}",
                hint="`uv cache clean` makes it ask the interpreter again",
            )
    if target:
        data = json.dumps({**checked, str(environment): identity}).encode()
        context.state.write(_NAME, data, durable=False)


def _identity(environment: Path) -> list[int] | None:
    """Distinguishes one pyvenv.cfg from another; None without one."""
    try:
        status = (environment / "pyvenv.cfg").stat()
    except OSError:
        return None
    return [status.st_ino, status.st_mtime_ns]


def _checked(state: State) -> dict[str, object]:
    try:
        return dict(json.loads(state.read(_NAME) or b"{}"))
    except (ValueError, TypeError, RecursionError):
        return {}


def _uv_target(context: SyncContext, uv: Uv, *options: str) -> str:
    """The environment of a dry run; empty where uv does not say, as without a lockfile."""
    dry_run = ("sync", "--frozen", "--dry-run", "--output-format=json")
    completed = uv.capture(
        (*dry_run, *context.profile.selection(), *options),
        cwd=context.project.root,
        # uv rejects --refresh-package with UV_OFFLINE, and this fetches nothing.
        environ={name: v for name, v in context.environ.items() if name != "UV_OFFLINE"},
    )
    try:
        return str(json.loads(completed.out)["sync"]["environment"]["path"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _is_same(target: str, environment: Path) -> bool:
    return os.path.realpath(target) == os.path.realpath(environment)
