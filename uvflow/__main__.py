"""The front door: says "already in sync", or opens the command line.

It may only say that there is nothing to do. It knows a few whole spellings, reads, compares, prints
and leaves; any doubt, any error and any other spelling go the long way to the same answer.
"""

import os
import sys

from uvflow import fingerprint, paths

# The spellings of `uvflow sync` that the door knows, each with the profile it names.
FAST_PATH_ARGUMENTS = {("sync",): None, ("sync", "--dev"): "dev", ("sync", "--prod"): "prod"}


def main() -> None:
    """The `uvflow` command.

    Ends the process itself: taking Python apart first, object by object, would take longer than the
    rest of the door's work, and nothing is left that has to be done by then.
    """
    code = execute()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def execute() -> int:
    """Do what the command line says; returns the exit code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_streams()
    arguments = tuple(sys.argv[1:])
    answer = already_in_sync(arguments)
    try:
        if answer is not None:
            sys.stderr.write(answer + "\n")
            return 0
    except OSError:  # the long way knows how not to tell it
        pass
    return _run_cli(arguments)


def _open_streams() -> None:
    """What was closed leads nowhere; or uv would take the next file that is opened for it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode))  # noqa: SIM115  for good


def already_in_sync(arguments: tuple[str, ...]) -> str | None:
    """What to say when nothing has changed since the last sync; None for everything else."""
    if arguments not in FAST_PATH_ARGUMENTS:
        return None
    try:
        return _answer(FAST_PATH_ARGUMENTS[arguments])
    except (OSError, ValueError):  # the command line tells what is wrong
        return None


def _answer(flag: str | None) -> str | None:
    root = paths.project_root(os.getcwd())
    if root is None:
        return None
    state = paths.state_dir(root)
    profile, chosen_by = _profile(flag, state)
    known = _read(os.path.join(state, f"{profile}.fingerprint"))
    if not fingerprint.is_current(known, fingerprint.key(state, profile)):
        return None
    return fingerprint.in_sync_message(profile, chosen_by)


def _profile(flag: str | None, state: str) -> tuple[str, str]:
    if flag is not None:
        return flag, ""
    chosen = os.environ.get("UVFLOW_PROFILE")
    if chosen:
        return chosen, paths.FROM_VARIABLE
    return _read(os.path.join(state, "last-profile")).decode(), paths.AS_LAST_TIME


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _run_cli(arguments: tuple[str, ...]) -> int:
    # What a command makes is in use until it ends. Looking for garbage in it now and then takes a
    # tenth of the time of a short one.
    import gc  # no need of the door's

    gc.disable()
    try:
        if arguments in FAST_PATH_ARGUMENTS:
            from uvflow.cli.sync import sync_without_click  # what the door is there to save

            return sync_without_click(FAST_PATH_ARGUMENTS[arguments])
        from uvflow.cli.main import main as command_line  # as above

        return command_line()
    except KeyboardInterrupt:  # while importing; the command line tells its own
        return 130


if __name__ == "__main__":
    main()
