"""What interrupted uv and build backends leave behind, and whether it is safe to remove."""

import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from uvflow.files import read_regular, read_text
from uvflow.state import journal
from uvflow.state.store import State

# What build backends leave in a source tree when uv asks them for metadata (setuptools does), with
# the files in it; and the temporary file of a uv that was killed while it wrote the lockfile.
_LEFTOVERS = {
    "*.egg-info": r"PKG-INFO|(SOURCES|dependency_links|entry_points|requires|top_level)\.txt"
    r"|(not-)?zip-safe",
    ".pdm-build": r"\.gitignore|[^/]+\.(dist-info|pth)(/.+)?",
    "build": r"(lib|bdist\.|temp\.|__editable__).*",
    ".tmp??????": r"",
}

# What uv makes at the top of an environment, and every file in one with nothing installed.
_OF_AN_ENVIRONMENT = r"bin|[Ll]ib|lib64|[Ii]nclude|Scripts|share|etc|man|\.uvflow-.*"
_OF_AN_EMPTY_ONE = (
    r"pyvenv\.cfg|\.gitignore|\.lock|\.tmp[A-Za-z0-9]{6}|CACHEDIR\.TAG|\.uvflow-.*"
    r"|(de)?activate.*|pydoc\.bat|python.*|_virtualenv\..*"
)


def names_in(directory: Path) -> set[str]:
    """The names of what is in a directory; empty where it does not exist."""
    return {path.name for path in directory.glob("*")}


def new_leftovers(listings: Iterable[tuple[Path, Sequence[str]]]) -> list[Path]:
    """Possible leftovers of builds in directories that had only these names before."""
    new = (d / name for d, before in listings for name in names_in(d).difference(before))
    return sorted(path for path in new if any(fnmatch(path.name, known) for known in _LEFTOVERS))


def is_left_by_build(path: Path) -> bool:
    """Whether nothing is lost with it: a lockfile of uv, metadata, or copies of sources."""
    usual = next(usual for name, usual in _LEFTOVERS.items() if fnmatch(path.name, name))
    try:
        if path.is_file():
            return not usual and read_regular(path)[:10] in {b"", b"version = "}
        files = [found for found in path.rglob("*") if found.is_symlink() or not found.is_dir()]
        is_usual = all(re.fullmatch(usual, file.relative_to(path).as_posix()) for file in files)
        return is_usual and (path.name != "build" or all(_is_copy(file, path) for file in files))
    except OSError:
        return False


def _is_copy(file: Path, build: Path) -> bool:
    """Whether `file` is made from sources; one in `build/lib*` must be a copy, or a part of one."""
    folder, *parts = file.relative_to(build).parts
    if file.is_symlink():
        return False
    if not folder.startswith("lib"):
        return True
    data = read_regular(file)
    sources = (place.joinpath(*parts) for place in (build.parent, *build.parent.iterdir()))
    return any(source.is_file() and read_regular(source).startswith(data) for source in sources)


def is_being_made(state: State, directory: Path) -> bool:
    """Whether it is an environment that uv made last, or one that uv has only begun to make.

    Not one with a program of the user's. A new directory above the environment counts as well, if
    it has nothing else in it.
    """
    if directory.is_symlink() or not directory.is_dir():
        return False
    is_usual = re.compile(f"{_OF_AN_ENVIRONMENT}|{_OF_AN_EMPTY_ONE}").fullmatch
    place, entries = directory, list(directory.glob("*"))
    while len(entries) == 1 and not is_usual(entries[0].name) and entries[0].is_dir():
        place = entries[0]
        entries = list(place.glob("*"))
    if all(is_usual(entry.name) for entry in entries) and journal.is_made_by_uv(state, place):
        return not _has_own_programs(place)
    files = (name for _, _, names in os.walk(place) for name in names)
    return all(re.fullmatch(_OF_AN_EMPTY_ONE, name) for name in files)


def _has_own_programs(environment: Path) -> bool:
    """Whether a program in it is no distribution's: uv writes the RECORD after the programs."""
    places = ("lib/*/site-packages", "Lib/site-packages")  # of POSIX, and of Windows
    lists = [f"{place}/*/{name}" for place in places for name in ("RECORD", "entry_points.txt")]
    texts = "\n".join(read_text(path) for pattern in lists for path in environment.glob(pattern))
    known = set(re.findall(r"^(?:.*/)?([^/,=\n]+?)(?:,| *=)", texts, re.MULTILINE))
    names = names_in(environment / "bin") | names_in(environment / "Scripts")
    unknown = (name for name in names - known if not re.fullmatch(_OF_AN_EMPTY_ONE, name))
    return not known.issuperset(name.removesuffix(".exe") for name in unknown)
