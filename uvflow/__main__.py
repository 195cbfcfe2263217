"""The front door: says "already in sync", or opens the command line.

It may only say that there is nothing to do. It knows a few whole spellings, reads, compares, prints
and leaves; any doubt, any error and any other spelling go the long way to the same answer.
"""

import os
import sys

from uvflow import paths, snapshot

# The spellings of `uvflow sync` that the door knows, each with the profile it names.
SPELLINGS = {("sync",): None, ("sync", "--dev"): "dev", ("sync", "--prod"): "prod"}


def main() -> int:
    """The `uvflow` command; returns its exit code."""
    answer = already_in_sync(tuple(sys.argv[1:]))
    if answer is not None:
        sys.stderr.write(answer + "\n")
        return 0
    return _long_way()


def already_in_sync(arguments: tuple[str, ...]) -> str | None:
    """What to say when nothing has changed since the last sync; None for everything else."""
    if arguments not in SPELLINGS:
        return None
    try:
        return _answer(SPELLINGS[arguments])
    except (OSError, ValueError):  # the command line tells what is wrong
        return None


def _answer(flag: str | None) -> str | None:
    root = paths.project_root(os.getcwd())
    if root is None:
        return None
    state = paths.state_dir(root)
    profile, chosen_by = _profile(flag, state)
    known = _read(os.path.join(state, f"{profile}.snapshot"))
    if not snapshot.is_current(known, snapshot.of(state, profile)):
        return None
    return snapshot.in_sync(profile, chosen_by)


def _profile(flag: str | None, state: str) -> tuple[str, str]:
    if flag is not None:
        return flag, ""
    chosen = os.environ.get("UVFLOW_PROFILE")
    if chosen:
        return chosen, paths.FROM_VARIABLE
    return _read(os.path.join(state, "profile")).decode(), paths.AS_LAST_TIME


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _long_way() -> int:
    # What a command makes is in use until it ends. Looking for garbage in it, now and then and at
    # the end, takes a sixth of the time of a short one.
    import gc  # noqa: PLC0415  no need of the door's

    gc.disable()
    try:
        from uvflow.cli import main as command_line  # noqa: PLC0415  what the door is there to save

        return command_line()
    except KeyboardInterrupt:  # while importing; the command line tells its own
        return 130
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
