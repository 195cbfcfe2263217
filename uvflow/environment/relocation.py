"""Was an environment made somewhere else: at another path, on another platform? Reads only."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from uvflow.environment.installed import (
    LAUNCHER_SIZE,
    Environment,
    distributions,
    is_launcher,
    is_whole_python,
    read_start,
)

# How uv, venv and virtualenv write it; a relocatable environment has no path there.
_ACTIVATE = re.compile(
    r"""^\s*(?:export\s+)?VIRTUAL_ENV=(["']?)((?:/|[A-Za-z]:[\\/])[^"'$\n]*)\1\s*$""", re.MULTILINE
)

# A launcher starts its environment's Python by an absolute path, or through /bin/sh where that
# is too long for a shebang.
_SHEBANG = re.compile(rb"""^#!(?:/bin/sh\n'''exec' ['"]?)?(/[^\n'"]*?/bin)/python[\d.]*\b""")

_TAG = re.compile(rb"^Tag: \S+-(\S+)\r?$", re.MULTILINE)

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
    """Sentences about what cannot run here, empty where the environment is of this place."""
    return (*relocation_problems(environment), *_of_another_platform(environment))


def relocation_problems(environment: Environment) -> tuple[str, ...]:
    """The first script that names another place than this one, as a sentence.

    uv does not look: it goes on to install into such an environment. Takes 2 ms for 60 scripts.
    A relocatable environment names no place; a whole Python is not asked, since its scripts may be
    for the environments of others.
    """
    return () if is_whole_python(environment) else tuple(_of_another_path(environment))


def python_version(environment: Environment) -> str | None:
    """What pyvenv.cfg says, as `3.12.1`; uv and virtualenv call it version_info, venv version."""
    text = _text(environment.path / "pyvenv.cfg")
    found = re.search(
        r"^version(?:_info)?\s*=\s*(\d+\.\d+(?:\.\d+)?)", text, re.MULTILINE | re.IGNORECASE
    )
    return found[1] if found else None


def _of_another_path(environment: Environment) -> Iterator[str]:
    found = _ACTIVATE.search(_text(environment.scripts / "activate"))
    if found and not _is_here(Path(found[2]), environment):
        yield f"it was made at {found[2]}, and its scripts point there"
        return
    ours = set()
    for script in _scripts(environment):
        beginning = read_start(script, LAUNCHER_SIZE) or b""
        place = _SHEBANG.match(beginning) if is_launcher(beginning) else None
        if not place or place[1] in ours:
            continue
        if _is_foreign(Path(os.fsdecode(place[1])), environment):
            yield f"{environment.shown(Path(script))} points to {os.fsdecode(place[1])}"
            return
        ours.add(place[1])


def _is_here(path: Path, environment: Environment) -> bool:
    """By the directory itself, which links, mounts and other letter case spell differently."""
    try:
        return path.samefile(environment.path)
    except OSError:
        return False


def _scripts(environment: Environment) -> list[str]:
    try:
        with os.scandir(environment.scripts) as entries:
            return sorted(entry.path for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return []


def _is_foreign(scripts: Path, environment: Environment) -> bool:
    """Whether it is of another environment, or of one that is gone; a system's Python is not."""
    if _is_here(scripts.parent, environment):
        return False
    return (scripts.parent / "pyvenv.cfg").exists() or not scripts.exists()


def _of_another_platform(environment: Environment) -> Iterator[str]:
    other = "bin" if os.name == "nt" else "Scripts"
    if not environment.scripts.is_dir() and (environment.path / other).is_dir():
        yield f"it was made on {'a POSIX system' if os.name == 'nt' else 'Windows'}"
        return
    for distribution in distributions(environment):
        tags = _TAG.findall(read_start(f"{distribution.path}{os.sep}WHEEL") or b"")
        platforms = [tag.decode(errors="replace") for tag in tags]
        if platforms and not any(_fits(tag) for some in platforms for tag in some.split(".")):
            yield f"{distribution.name} {distribution.version} is for {platforms[0]}"
            return


def _fits(tag: str) -> bool:
    """Whether a platform tag is of this system and machine, as far as that can be told."""
    system = next((_SYSTEMS[start] for start in _SYSTEMS if tag.startswith(start)), None)
    if system is None:
        return True  # "any", and what we know nothing of
    if system != sys.platform:
        return False
    machine = next((_MACHINES[end] for end in _MACHINES if tag.endswith(end)), None)
    import platform  # 1 ms, for `status` alone

    here = _MACHINES.get(platform.machine().lower())
    # macOS and Windows run programs of other machines; on Linux a container's is the machine's.
    return sys.platform != "linux" or None in {machine, here} or machine == here


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
