"""The `uvflow` command: the fast path answers "already in sync", the command line all else.

The fast path may only say that there is nothing to do. It knows the words of one table, reads,
compares, prints and exits. Other words, any doubt and any error are left to the command line, which
comes to the same answer. `uvflow run` in an environment that is in sync has a short path of its
own.
"""

import os
import sys

from uvflow import __version__, fingerprint, paths

TYPE_CHECKING = False  # type checkers take it for that of typing, which takes 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Iterator

# What is understood without click: the words of an option, with what it sets, and to what. For an
# empty text that is the next word.
OPTIONS = {
    "--dev": ("profile", "dev"),
    "--prod": ("profile", "prod"),
    "--profile": ("profile", ""),
    "--check": ("check", "yes"),
    "--json": ("json", "yes"),
    "-q": ("quiet", "yes"),
    "--quiet": ("quiet", "yes"),
    "-v": ("verbose", "yes"),
    "--verbose": ("verbose", "yes"),
    "--color": ("color", ""),
    "--timeout": ("timeout", ""),
}
_OF_ALL = {"profile", "json", "quiet", "verbose", "color"}
COMMANDS = {"sync": {*_OF_ALL, "check", "timeout"}, "run": {*_OF_ALL, "timeout"}, "status": _OF_ALL}

Parsed = tuple[str, dict[str, str], tuple[str, ...]]


def main() -> None:
    """The entry point; does not return.

    Exits without finalizing the interpreter, object by object: that takes longer than the rest of
    the fast path, and by now nothing is left to be done.
    """
    try:
        code = execute()
    except KeyboardInterrupt:  # before the command line is there, which handles later ones
        code = 130
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # full or closed: the command line has reported lost results
            pass
    os._exit(code)


def execute() -> int:
    """Run the command that `sys.argv` asks for; returns the exit code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_streams()
    words = tuple(sys.argv[1:])
    parsed = parse_command_line(words)
    try:
        if words in {("--version",), ("-V",)}:
            sys.stdout.write(f"uvflow {__version__}\n")
            sys.stdout.flush()
            return 0
        if parsed and parsed[0] == "run":
            from uvflow.cli.run import become  # nothing else needs it

            _, options, command = parsed
            become(command, possible_fingerprints(options.get("profile")))  # returns only in doubt
        elif parsed and _is_reported_in_sync(parsed):
            return 0
    except OSError:  # a stream is closed or full, say: the command line reports it
        pass
    # What a command allocates is in use until it ends; collecting garbage meanwhile takes a tenth
    # of the time of a short one.
    import gc  # the fast path does without

    gc.disable()
    # What an encoding lacks is an escape, as on stderr, and no error: a name, the … in a help.
    if sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # no other stream
    if parsed:
        from uvflow.cli.sync import run_without_click  # slow: the fast path saves it

        return run_without_click(*parsed)
    from uvflow.cli.main import main as command_line  # as above

    return command_line()


def _open_streams() -> None:
    """Open closed streams on the null device: uv would use the next opened file as one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode))  # noqa: SIM115  for good


def parse_command_line(words: tuple[str, ...]) -> Parsed | None:
    """The command, its options, and for `run` the words of the command to run.

    None where only click knows what is meant, or what is wrong with it.
    """
    command, *rest = words or ("",)
    options: dict[str, str] = {}
    while rest and rest[0].startswith("-"):
        word, equals, value = rest.pop(0).partition("=")
        if word == "--" and not equals:
            break
        name, fixed = OPTIONS.get(word, ("", ""))
        if not fixed and not equals and rest:
            value = rest.pop(0)
        is_known = name in COMMANDS.get(command, ()) and not (fixed and equals)
        is_again = name == "profile" and name in options  # several may exclude each other
        if not is_known or is_again or not _is_valid(name, fixed or value):
            return None
        options[name] = fixed or value
    has_all_words = bool(rest) == (command == "run")  # that alone takes more words, and needs them
    return (command, options, tuple(rest)) if command in COMMANDS and has_all_words else None


def _is_valid(name: str, value: str) -> bool:
    if name == "color":
        return value in {"auto", "always", "never"}
    return value.isdecimal() if name == "timeout" else value[:1] not in {"", "-"}


def _is_reported_in_sync(parsed: Parsed) -> bool:
    """Report that there is nothing to do, where that is so."""
    found = find_in_sync(parsed)
    if not found:
        return False
    profile, chosen_by, environment = found
    _, options, _ = parsed
    if "quiet" not in options:
        sys.stderr.write(fingerprint.in_sync_message(profile, chosen_by) + "\n")
        sys.stderr.flush()
    if "json" in options:
        from uvflow.console import Console  # slow, and the only encoder

        data = {"profile": profile, "chosen_by": chosen_by, "environment": environment}
        nothing = dict.fromkeys(("repaired", "removed", "known_defects"), ())
        Console(as_json=True).envelope("sync", 0, {**data, "already_in_sync": True, **nothing})
    return True


def find_in_sync(parsed: Parsed) -> tuple[str, str, str] | None:
    """The profile, its origin and the environment, where a sync has nothing to do.

    That is, where nothing has changed since the last one; None for everything else.
    """
    command, options, _ = parsed
    if command != "sync" or {"check", "json"} <= options.keys():  # that has more to say
        return None
    for profile, chosen_by, last, workspace, name in possible_fingerprints(options.get("profile")):
        state = paths.state_dir(workspace)
        encoded = fingerprint.read_encoded(state, name)
        # Where it is another profile than last time, the command line has to remember that.
        is_remembered = profile == last or "check" in options
        if is_remembered and fingerprint.is_current(encoded, fingerprint.key(state, name)):
            return profile, chosen_by, fingerprint.environment_of(encoded) or ""
    return None


def possible_fingerprints(flag: str | None) -> "Iterator[tuple[str, str, str, str, str]]":
    """The fingerprints that may be about the current directory, each as five texts.

    Its profile, where that came from, the one of the last sync, the workspace, and its name in the
    state of that.
    """
    chosen = flag or os.environ.get("UVFLOW_PROFILE")
    root = paths.project_root(os.getcwd())
    # Any directory above may be the workspace that the project is a member of. A fingerprint in its
    # state says so, and is current only while that is so.
    workspace = root
    while root and workspace:
        state = paths.state_dir(workspace)
        last = fingerprint.read_encoded(state, "last-profile").decode(errors="replace")
        profile = chosen or last
        if profile:
            origin = paths.FROM_VARIABLE if chosen else paths.AS_LAST_TIME
            name = paths.fingerprint_name(profile, root, workspace)
            yield profile, "" if flag else origin, last, workspace, name
        parent = os.path.dirname(workspace)
        workspace = parent if parent != workspace else None


if __name__ == "__main__":
    # `python -m uvflow` puts the current directory first; the modules of a project are not ours.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
