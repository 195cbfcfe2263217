"""Whether an environment was created at another path. Reads only."""

import os
import re
from pathlib import Path

from uvflow.environment.installed import (
    Environment,
    directory_entries,
    is_whole_python,
    read_launcher,
    read_quickly,
)

# In `activate`, as uv, venv and virtualenv write it; that of a relocatable environment has no path.
_ACTIVATE = (
    r"(?m)^[ \t]*(?:export[ \t]+)?VIRTUAL_ENV="
    r"""(["']?)((?:/|[A-Za-z]:[\\/])[^"'$\n]*)\1[ \t]*$"""
)

# A launcher starts its environment's Python by an absolute path, or through /bin/sh where that path
# is too long for a shebang.
_SHEBANG = rb"""^#!(?:/bin/sh\n'''exec' ['"]?)?(/[^\n'"]*?/bin)/python[\d.]*\b"""


def relocation_problem(environment: Environment) -> str:
    """A sentence about the first script that points to another place; empty where none does.

    uv does not check this, and installs into such an environment. Takes 2 ms for 60 scripts. A
    relocatable environment has no paths in its scripts. A base Python is not checked, since its
    scripts may be for other environments.
    """
    if is_whole_python(environment):
        return ""
    if problem := origin_problem(environment):
        return problem
    entries = directory_entries(environment.scripts)
    checked = set()
    for script in sorted(e.path for e in entries if e.is_file(follow_symlinks=False)):
        shebang = re.match(_SHEBANG, read_launcher(script) or b"")
        if shebang and shebang[1] not in checked:
            checked.add(shebang[1])
            place = Path(os.fsdecode(shebang[1]))
            # Of another environment, or a removed one; a system's Python may be elsewhere.
            is_one = (place.parent / "pyvenv.cfg").exists() or not place.exists()
            if is_one and not _is_here(place.parent, environment):
                return f"{environment.relative(script)} points to {place}"
    return ""


def origin_problem(environment: Environment) -> str:
    """A sentence where the environment itself was created at another place; empty else."""
    activate = read_quickly(str(environment.scripts / "activate")) or b""
    origin = re.search(_ACTIVATE, activate.decode(errors="replace"))
    if origin and not _is_here(Path(origin[2]), environment):
        return f"it was created at {origin[2]}, and its scripts point there"
    return ""


def _is_here(path: Path, environment: Environment) -> bool:
    """Compares the directories, since links, mounts and letter case give one several paths."""
    try:
        return path.samefile(environment.path)
    except (OSError, ValueError):  # ValueError: a name that this system cannot have
        return False
