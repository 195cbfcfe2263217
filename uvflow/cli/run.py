"""The short path of `uvflow run`: its environment is in sync, and no process is in the way.

It does what `environment.run` does, in the time that importing that takes. In any doubt nothing has
happened, and the command line takes the long way.
"""

import os

from uvflow import fingerprint, paths
from uvflow.environment.command import command_environ, command_words, find_program
from uvflow.state import leases

TYPE_CHECKING = False  # as in __main__
if TYPE_CHECKING:
    from collections.abc import Iterable


def become(
    words: tuple[str, ...], fingerprints: "Iterable[tuple[str, str, str, str, str]]"
) -> None:
    """Replace this process by the command `words`; returns if the long way has to be taken.

    `fingerprints` is what `__main__.possible_fingerprints` gives. Raises OSError.
    """
    if os.name == "nt":  # it would return to the shell before the command ends
        return
    for _profile, _origin, _last, workspace, name in fingerprints:
        state = paths.state_dir(workspace)
        environment = fingerprint.environment_of(fingerprint.read_encoded(state, name))
        levels = state, os.path.dirname(state), os.path.dirname(os.path.dirname(state))
        if environment is None or any(map(fingerprint.exposure, levels)):
            continue
        held = leases.share(state, workspace, environment)
        if held is None:
            return
        try:
            encoded = fingerprint.read_encoded(state, name)
            is_same = fingerprint.environment_of(encoded) == environment
            if is_same and fingerprint.is_current(encoded, fingerprint.key(state, name)):
                if not fingerprint.has_env_file(encoded):
                    _become(words, state, environment)
                return
        finally:
            leases.close(held)


def _become(words: tuple[str, ...], state: str, environment: str) -> None:
    environ = command_environ(environment)
    name, *arguments = command_words(words)
    program = find_program(name, environ["PATH"])
    if program is None or os.pathsep in environment:
        return
    lease = leases.try_to_lease(state, environment, f"uvflow run {words[0]}")
    if lease is None:
        return
    try:
        os.execve(program, (program, *arguments), {**environ, **lease.variables})  # noqa: S606  the user's own command
    finally:
        leases.close([*lease.descriptors])
