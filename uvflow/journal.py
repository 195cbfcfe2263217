"""That a sync of an environment is under way: told before uv runs, until its work is proven.

Kept in the project's state, one entry for each profile: `<profile>.journal` while a sync is under
way, `<profile>.snapshot` when it is done, and in `profile` the one that was synced last. Several
profiles may share an environment, so what counts is which environment an entry is about.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from uvflow import snapshot
from uvflow.state import State

JOURNAL, SNAPSHOT = ".journal", ".snapshot"
_LAST = "profile"


def begin(state: State, profile: str, environment: Path) -> None:
    """From here on the environment is in the making, whatever was known of it."""
    _forget(state, SNAPSHOT, environment)
    told = {
        "profile": profile,
        "environment": str(environment),
        "pid": os.getpid(),
        "boot": _boot_id(),
    }
    state.remember(profile + JOURNAL, json.dumps(told).encode())


def finish(state: State, profile: str, environment: Path, sealed: bytes | None) -> None:
    """The environment is what the profile says; `sealed` is its snapshot, if it can have one."""
    if sealed is not None:
        state.remember(profile + SNAPSHOT, sealed)
    state.remember(_LAST, profile.encode())
    drop(state, environment)


def drop(state: State, environment: Path) -> None:
    """Nothing is under way any more: the environment is intact, be it in sync or not."""
    _forget(state, JOURNAL, environment)


def was_interrupted(state: State, environment: Path) -> bool:
    """Whether a sync of the environment was begun and not finished, by whatever profile."""
    return bool(_about(state, JOURNAL, environment))


def last_profile(state: State) -> str | None:
    """The profile that was synced last, as far as that is remembered."""
    name = state.recall(_LAST)
    return None if name is None else name.decode(errors="replace")


def _forget(state: State, kind: str, environment: Path) -> None:
    for name in _about(state, kind, environment):
        state.forget(name)


def _about(state: State, kind: str, environment: Path) -> tuple[str, ...]:
    names = (path.name for path in state.directory.glob(f"*{kind}"))
    wanted = (None, str(environment))  # what cannot be read may be about this one
    return tuple(n for n in names if _ENVIRONMENT_OF[kind](state.recall(n) or b"") in wanted)


def _environment_of_journal(journal: bytes) -> str | None:
    try:
        return str(json.loads(journal)["environment"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


_ENVIRONMENT_OF: Mapping[str, Callable[[bytes], str | None]] = {
    JOURNAL: _environment_of_journal,
    SNAPSHOT: snapshot.environment_of,
}


def _boot_id() -> str | None:
    """Tells one start of the machine from another; Linux only."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
