"""The `uvflow` command: the fast path answers "already in sync", the command line all else.

The fast path may only say that there is nothing to do. It knows the command lines of one table,
reads, compares, prints and exits. Other arguments, any doubt and any error are left to the command
line, which comes to the same answer.
"""

import os
import sys

from uvflow import fingerprint, paths

# The command lines that the fast path answers, each with the profile it names.
FAST_PATH_ARGUMENTS = {("sync",): None, ("sync", "--dev"): "dev", ("sync", "--prod"): "prod"}


def main() -> None:
    """The entry point; does not return.

    Exits without finalizing the interpreter, object by object: that takes longer than the rest of
    the fast path, and by now nothing is left to be done.
    """
    code = execute()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def execute() -> int:
    """Run the command that `sys.argv` asks for; returns the exit code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_streams()
    arguments = tuple(sys.argv[1:])
    answer = already_in_sync(arguments)
    try:
        if answer is not None:
            sys.stderr.write(answer + "\n")
            return 0
    except OSError:  # stderr is closed or full, which the command line handles
        pass
    return _run_cli(arguments)


def _open_streams() -> None:
    """Open closed streams on the null device: uv would use the next opened file as one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode))  # noqa: SIM115  for good


def already_in_sync(arguments: tuple[str, ...]) -> str | None:
    """The message when nothing has changed since the last sync; None for everything else."""
    if arguments not in FAST_PATH_ARGUMENTS:
        return None
    try:
        root = paths.project_root(os.getcwd())
    except OSError:  # the command line reports what is wrong
        root = None
    if root is None:
        return None
    # Any directory above may be the workspace that the project is a member of. A fingerprint in its
    # state says so, and is current only while that is so.
    workspace = root
    while workspace:
        answer = _already_in_sync(root, workspace, FAST_PATH_ARGUMENTS[arguments])
        parent = os.path.dirname(workspace)
        if answer or parent == workspace:
            return answer
        workspace = parent
    return None


def _already_in_sync(root: str, workspace: str, flag: str | None) -> str | None:
    state = paths.state_dir(workspace)
    try:
        profile, chosen_by = _profile(flag, state)
        name = paths.fingerprint_name(profile, root, workspace)
        encoded = fingerprint.read_file(os.path.join(state, name), is_own=True)
    except (OSError, ValueError):  # not there, or the command line reports what is wrong
        return None
    if not fingerprint.is_current(encoded, fingerprint.key(state, name)):
        return None
    return fingerprint.in_sync_message(profile, chosen_by)


def _profile(flag: str | None, state: str) -> tuple[str, str]:
    """Raises ValueError for another profile than last time: the command line remembers the new."""
    last = fingerprint.read_file(os.path.join(state, "last-profile"), is_own=True).decode()
    chosen = flag or os.environ.get("UVFLOW_PROFILE")
    if chosen and chosen != last:
        raise ValueError(chosen)
    origin = "" if flag else paths.FROM_VARIABLE if chosen else paths.AS_LAST_TIME
    return last, origin


def _run_cli(arguments: tuple[str, ...]) -> int:
    # What a command allocates is in use until it ends; collecting garbage meanwhile takes a tenth
    # of the time of a short one.
    import gc  # the fast path does without

    gc.disable()
    try:
        if arguments in FAST_PATH_ARGUMENTS:
            from uvflow.cli.sync import sync_without_click  # slow: the fast path saves it

            return sync_without_click(FAST_PATH_ARGUMENTS[arguments])
        from uvflow.cli.main import main as command_line  # as above

        return command_line()
    except KeyboardInterrupt:  # during the imports; the command line handles later ones
        return 130


if __name__ == "__main__":
    # `python -m uvflow` puts the current directory first; the modules of a project are not ours.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
