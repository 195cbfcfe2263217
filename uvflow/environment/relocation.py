"""Whether an environment was created at another path or on another platform. Reads only."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from uvflow.environment.installed import (
    Environment,
    is_whole_python,
    read_launcher,
    read_quickly,
    script_files,
)
from uvflow.files import read_text

# In `activate`, as uv, venv and virtualenv write it; that of a relocatable environment has no path.
_ACTIVATE = r"""(?m)^\s*(?:export\s+)?VIRTUAL_ENV=(["']?)((?:/|[A-Za-z]:[\\/])[^"'$\n]*)\1\s*$"""

# A launcher starts its environment's Python by an absolute path, or through /bin/sh where that path
# is too long for a shebang.
_SHEBANG = rb"""^#!(?:/bin/sh\n'''exec' ['"]?)?(/[^\n'"]*?/bin)/python[\d.]*\b"""

_TAG = rb"(?m)^Tag: \S+-(\S+)\r?$"

# A wheel's platform tag begins with one of these (PyPA, "Platform compatibility tags").
_SYSTEMS = {
    "manylinux": "linux",
    "musllinux": "linux",
    "linux": "linux",
    "macosx": "darwin",
    "win": "win32",
}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def origin_problems(environment: Environment) -> tuple[str, ...]:
    """Sentences about what cannot run here; empty where the environment was created here."""
    return (*relocation_problems(environment), *_platform_problems(environment))


def relocation_problems(environment: Environment) -> tuple[str, ...]:
    """A sentence about the first script that points to another place, if any does.

    uv does not check this, and installs into such an environment. Takes 2 ms for 60 scripts. A
    relocatable environment has no paths in its scripts. A base Python is not checked, since its
    scripts may be for other environments.
    """
    return () if is_whole_python(environment) else tuple(_path_problems(environment))


def _path_problems(environment: Environment) -> Iterator[str]:
    try:
        text = read_text(environment.scripts / "activate")
    except OSError:
        text = ""
    origin = re.search(_ACTIVATE, text)
    if origin and not _is_here(Path(origin[2]), environment):
        yield f"it was created at {origin[2]}, and its scripts point there"
        return
    checked = set()
    for script in script_files(environment):
        shebang = re.match(_SHEBANG, read_launcher(script) or b"")
        if not shebang or shebang[1] in checked:
            continue
        directory = os.fsdecode(shebang[1])
        if _is_foreign(Path(directory), environment):
            yield f"{environment.relative(script)} points to {directory}"
            return
        checked.add(shebang[1])


def _is_here(path: Path, environment: Environment) -> bool:
    """Compares the directories, since links, mounts and letter case give one several paths."""
    try:
        return path.samefile(environment.path)
    except (OSError, ValueError):  # ValueError: a name that this system cannot have
        return False


def _is_foreign(scripts: Path, environment: Environment) -> bool:
    """Whether it belongs to another environment, or a removed one; a system's Python does not."""
    if _is_here(scripts.parent, environment):
        return False
    return (scripts.parent / "pyvenv.cfg").exists() or not scripts.exists()


def _platform_problems(environment: Environment) -> Iterator[str]:
    other = "bin" if os.name == "nt" else "Scripts"
    if not environment.scripts.is_dir() and (environment.path / other).is_dir():
        yield f"it was created on {'a POSIX system' if os.name == 'nt' else 'Windows'}"
        return
    for distribution in environment.distributions:
        tags = re.findall(_TAG, read_quickly(f"{distribution.location}{os.sep}WHEEL") or b"")
        platforms = [tag.decode(errors="replace") for tag in tags]
        if platforms and not any(_fits(tag) for some in platforms for tag in some.split(".")):
            yield f"{distribution.name} {distribution.version} is for {platforms[0]}"
            return


def _fits(tag: str) -> bool:
    """Whether a platform tag may be of this system and machine."""
    system = next((_SYSTEMS[start] for start in _SYSTEMS if tag.startswith(start)), None)
    if system is None:
        return True  # "any", and unknown systems
    if system != sys.platform:
        return False
    machine = next((_MACHINES[end] for end in _MACHINES if tag.endswith(end)), None)
    import platform  # 1 ms, and only `status` needs it

    here = _MACHINES.get(platform.machine().lower())
    # macOS and Windows also run programs for other machines.
    return sys.platform != "linux" or None in {machine, here} or machine == here
