"""What no RECORD in an environment lists: the usual, leftovers of an interrupted uv, the user's.

Reads only. Two things are leftovers: what a RECORD listed when the interrupted sync began and none
lists now (an uninstall was cut short), and what came to be since then and is, byte for byte, a file
in uv's cache of a distribution that is not installed (an install was cut short). Of the rest, what
neither a virtual environment nor an installer makes is the user's.
"""

import filecmp
import functools
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from uvflow.environment.installed import (
    BYTE_CODE,
    SCHEMES,
    Environment,
    directory_entries,
    is_whole_python,
)
from uvflow.environment.integrity import is_written_by_installer, owned_files, read_record, rows
from uvflow.files import SET_ASIDE
from uvflow.state.journal import COPY, RECORDS, kept_records

# Files in site-packages that belong to no distribution: uv (up to 0.9) and virtualenv write the
# first two into every environment, `uv run --with` the third, macOS the fourth.
BY_DESIGN = {"_virtualenv.py", "_virtualenv.pth", "_uv_ephemeral_overlay.pth", ".DS_Store"}

RECEIPT = "uvflow-receipt.json"  # at the top of a release, see releases.py

# What a virtual environment has at its top; everything else has to be in a RECORD.
_TOP_FILES = {".gitignore", ".lock", "CACHEDIR.TAG", "pyvenv.cfg", COPY, SET_ASIDE, RECEIPT}
_TOP_FILES |= {".project", "rye-venv.json", "pip-selfcheck.json"}  # of Pipenv, Rye and an old pip
_TOP_DIRECTORIES = {"bin", "include", "lib", "lib64", "Include", "Lib", "Scripts", RECORDS}

_UNFINISHED = (f".{COPY}", f".{SET_ASIDE}")  # what a killed write of one leaves

# Where the venv of older Debians has the wheels of pip and setuptools.
_WHEELS_OF_VENV = ("share", "python-wheels")

# The interpreter, and what uv, venv and virtualenv write beside it.
_SCRIPTS = (
    r"(?:python|pypy|graalpy)w?[\d.]*[a-z]?(?:\.exe)?|\N{MATHEMATICAL ITALIC SMALL PI}thon"
    r"|libpypy[\w.-]*|[aA]ctivate(?:\.(?:bat|csh|fish|nu|ps1|xsh))?|activate_this\.py"
    r"|deactivate\.(?:bat|nu)|pydoc\.bat"
)

# What installers write into the metadata of a distribution, also where no RECORD lists it (yet).
_METADATA = {
    *("METADATA", "RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json", "PKG-INFO"),
    *("uv_cache.json", "uv_build.json", "entry_points.txt", "top_level.txt", "SOURCES.txt"),
    *("dependency_links.txt", "requires.txt", "installed-files.txt", "namespace_packages.txt"),
    *("not-zip-safe", "zip-safe"),
}
_LICENSE = r"(?:LICEN[CS]E|COPYING|NOTICE|AUTHORS)[\w.-]*"  # as setuptools collects them

_DATA = r"[^-]+-\d[^-]*\.data"  # where the files of a wheel are that are not for site-packages

_TEMPORARY = ".tmp"  # how the names begin of files that uv renames when they are complete

_CACHE = "__pycache__"  # of byte code


def foreign_entries(environment: Environment) -> list[str]:
    """The entries at the top that neither a virtual environment nor an installer makes."""
    tops = {environment.relative(path).partition("/")[0] for path in owned_files(environment)}
    usual = _TOP_FILES | _TOP_DIRECTORIES | BY_DESIGN | {_CACHE} | tops
    share, wheels = _WHEELS_OF_VENV
    if [entry.name for entry in directory_entries(environment.path / share)] == [wheels]:
        usual.add(share)
    names = (entry.name for entry in directory_entries(environment.path))
    return sorted(n for n in names if n not in usual and not n.startswith(_UNFINISHED))


def users_files(environment: Environment, below: Path | None = None) -> Iterator[str]:
    """Files in it that neither a virtual environment nor an installer makes, as relative paths."""
    for path in _unowned_paths(environment, owned_files(environment), below):
        relative = environment.relative(path)
        if not path.endswith(os.sep) and not _is_usual(path, tuple(relative.split("/"))):
            yield relative


def _is_usual(path: str, parts: tuple[str, ...]) -> bool:
    match parts:
        case (name,):
            return name in _TOP_FILES or name == "lib64" or name.startswith(_UNFINISHED)
        case ("bin" | "Scripts", name):
            return bool(re.fullmatch(_SCRIPTS, name)) or is_written_by_installer(path)
        case ("share", "python-wheels", name):  # see _WHEELS_OF_VENV
            return name.endswith(".whl")
        case ("lib" | "lib64", _, "site-packages", top, *inner) | (
            "Lib",
            "site-packages",
            top,
            *inner,
        ):
            return _is_usual_package(top, *inner)
    return parts[0] == RECORDS


def _is_usual_package(top: str, *inner: str) -> bool:
    if not inner:  # of setuptools' develop
        return top == "easy-install.pth" or top.endswith(".egg-link")
    if re.fullmatch(_DATA, top):
        return len(inner) > 1 and inner[0] in SCHEMES
    is_known = len(inner) == 1 and (inner[0] in _METADATA or re.fullmatch(_LICENSE, inner[0]))
    is_known = is_known or inner[0] in ("licenses", "sboms")
    return bool(is_known) and top.endswith((".dist-info", ".egg-info"))


def _unowned_paths(
    environment: Environment, owned: set[str], below: Path | None = None
) -> Iterator[str]:
    """Every file and link that is not in `owned`, but for byte code.

    And every directory in which nothing else is; its path ends with a separator.
    """
    for folder, folders, names in os.walk(below or environment.path):
        place = f"{os.path.normcase(folder)}{os.sep}"
        is_cache = place.endswith(f"{os.sep}{_CACHE}{os.sep}")
        links = [name for name in folders if os.path.islink(place + name)]  # noqa: PTH114  a Path costs more than the walk
        for name in (*names, *links):
            path = place + os.path.normcase(name)
            is_byte_code = is_cache and re.search(BYTE_CODE, name)
            if path not in owned and name not in BY_DESIGN and not is_byte_code:
                yield path
        if not names and set(folders) <= {_CACHE} and not is_cache:
            yield place


@functools.cache  # of an Environment as it has found what is installed
def sort_unowned(
    environment: Environment, began: float = math.inf, cache: Path | None = None
) -> tuple[list[str], list[str]]:
    """What is in site-packages and in no RECORD, and launchers alike, as sorted relative paths.

    First what interrupted syncs have left, elsewhere too: `began` is when the first of them did, in
    seconds since the epoch, and `cache` is uv's. Then what is the user's. A directory of nothing
    else is one; byte code, and empty directories of the user's, are left out.

    Both are empty where an owner cannot be known: while a RECORD is missing, where an installer
    writes none (conda, egg-info), and in a base Python, which contains more than was installed.
    """
    installed = environment.distributions
    if is_whole_python(environment) or not all(read_record(d.record) for d in installed):
        return [], []
    owned = owned_files(environment)
    search = _Search.of(environment, owned, began, cache)
    left, users, launchers = [], [], []
    for path in _unowned_paths(environment, owned):
        if search.is_left(path):
            left.append(path)
        elif search.is_launcher(path):
            launchers.append(path)
        elif search.is_users(path):
            users.append(path)
    removable = search.highest(left, besides=users)
    shown = [p for p in search.highest(users, besides=left) if f"{os.sep}{_CACHE}{os.sep}" not in p]
    relative = environment.relative
    return sorted(map(relative, removable)), sorted(map(relative, (*shown, *launchers)))


class _Search(NamedTuple):
    """`kept` are paths that had an owner before the sync; those of directories end with `/`.

    So do `tops`, the directories of site-packages. `cached` are the wheels in uv's cache, by the
    names of their entries; not those that are installed, which may bring files that no RECORD lists
    (old uv).
    """

    owned_directories: set[str]
    kept: set[str]
    tops: tuple[str, ...]
    scripts: str
    began: float
    cached: Mapping[str, list[str]]

    @classmethod
    def of(
        cls, environment: Environment, owned: set[str], began: float, cache: Path | None
    ) -> "_Search":
        kept = {
            row.path
            for record, site_packages in kept_records(environment.path)
            for row in rows(str(site_packages), read_record(str(record)) or "")
        }
        tops = tuple(f"{os.path.normcase(top)}{os.sep}" for top in environment.site_packages)
        installed = {distribution.directory for distribution in environment.distributions}
        cached = defaultdict(list)
        for folder in cache.glob("archive-v*") if cache else ():
            for archive in directory_entries(folder):
                names = {entry.name for entry in directory_entries(archive.path)}
                for name in names if names.isdisjoint(installed) else ():
                    cached[name].append(archive.path)
        return cls(
            owned_directories=_directories_of((*owned, *tops)),
            kept=kept.union(f"{directory}{os.sep}" for directory in _directories_of(kept)),
            tops=tops,
            scripts=os.path.normcase(environment.scripts),
            began=began,
            cached=cached,
        )

    def top_of(self, path: str) -> str:
        """The site-packages that `path` is in; empty where it is in none."""
        return next((top for top in self.tops if path.startswith(top) and path != top), "")

    def is_users(self, path: str) -> bool:
        """Whether it is in site-packages, and no directory; a link to one may be a damage."""
        is_directory = path.endswith(os.sep) or path in self.owned_directories
        return bool(self.top_of(path)) and not is_directory

    def is_launcher(self, path: str) -> bool:
        """Whether it is a script as installers write them, none of which is a link."""
        is_script = os.path.dirname(path) == self.scripts and not os.path.islink(path)  # noqa: PTH114, PTH120  a Path costs more than the walk
        return is_script and is_written_by_installer(path)

    def is_left(self, path: str) -> bool:
        """Whether an interrupted sync has left it, or made it, or one exactly like it."""
        top, is_directory = self.top_of(path), path.endswith(os.sep)
        if is_directory and not top:
            return False
        if path in self.kept or not self._is_new(path):
            return path in self.kept
        if not top:
            return self.is_launcher(path)
        relative = path.removeprefix(top).rstrip(os.sep)
        name = relative.partition(os.sep)[0]
        if is_directory and f"{top}{name}" in self.owned_directories:
            return False  # a wheel may bring empty directories, and does not list them
        is_temporary = relative.rpartition(os.sep)[2].startswith(_TEMPORARY)
        archives = self.cached.get(name, ())
        return is_temporary or any(_is_same(f"{a}{os.sep}{relative}", path) for a in archives)

    def _is_new(self, path: str) -> bool:
        """Whether it was made, linked or changed since the interrupted sync began."""
        try:
            return os.lstat(path.rstrip(os.sep)).st_ctime >= self.began
        except OSError:
            return False

    def highest(self, paths: Iterable[str], *, besides: Iterable[str]) -> set[str]:
        """In the place of all that is in a directory of nothing else, that directory."""
        shared = self.owned_directories | _directories_of(besides)
        return {self._highest(path.rstrip(os.sep), shared) for path in paths}

    def _highest(self, path: str, shared: set[str]) -> str:
        above = os.path.dirname(path)  # noqa: PTH120  as above
        return self._highest(above, shared) if self.top_of(path) and above not in shared else path


def _directories_of(paths: Iterable[str]) -> set[str]:
    """Every directory that has one of `paths` in or below it."""
    directories: set[str] = set()
    for path in paths:
        directory = os.path.dirname(path)  # noqa: PTH120  as above
        while directory not in directories:
            directories.add(directory)
            directory = os.path.dirname(directory)  # noqa: PTH120  as above
    return directories


def _is_same(cached: str, path: str) -> bool:
    if os.path.isdir(path):  # noqa: PTH112  as above
        return os.path.isdir(cached)  # noqa: PTH112  as above
    try:
        return filecmp.cmp(cached, path, shallow=False)
    except OSError:
        return False
