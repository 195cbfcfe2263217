"""What no RECORD in an environment lists: leftovers of an interrupted uv, and what is the user's.

Reads only. Two things are leftovers: what a RECORD listed when the interrupted sync began and none
lists now (an uninstall was cut short), and what came to be since then and is, byte for byte, a file
in uv's cache of a distribution that is not installed (an install was cut short). All else is the
user's.
"""

import filecmp
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from uvflow.environment.installed import (
    BYTE_CODE,
    Environment,
    directory_entries,
    distributions,
    is_whole_python,
    script_files,
)
from uvflow.environment.integrity import (
    UNOWNED_BY_DESIGN,
    is_written_by_installer,
    owned_files,
    read_record,
    rows,
)
from uvflow.files import is_inside
from uvflow.state.journal import kept_records

_TEMPORARY = ".tmp"  # how the names begin of files that uv renames when they are complete

_BYTE_CODE_FOLDER = f"{os.sep}__pycache__{os.sep}"

_Paths = tuple[list[str], list[str]]  # leftovers, and what is the user's


def sort_unowned(
    environment: Environment, began: float = math.inf, cache: Path | None = None
) -> _Paths:
    """What is in site-packages and in no RECORD, and launchers alike, as sorted relative paths.

    First what interrupted syncs have left: `began` is when the first of them did, in seconds since
    the epoch, and `cache` is uv's. Then what is the user's. A directory of nothing else is one;
    byte code, and empty directories of the user's, are left out.

    Both are empty where an owner cannot be known: while a RECORD is missing, where an installer
    writes none (conda, egg-info), and in a base Python, which contains more than was installed.
    """
    installed = distributions(environment)
    if is_whole_python(environment) or not all(read_record(d.record) for d in installed):
        return [], []
    owned = owned_files(environment)
    kept = {
        row.path
        for record, site_packages in kept_records(environment.path)
        for row in rows(site_packages, read_record(record) or "")
    }
    archives = cache.glob("archive-v*") if cache else ()
    search = _Search(
        owned=owned,
        owned_directories=_directories_of(owned),
        kept=kept - owned,
        kept_directories=_directories_of(kept),
        tops=tuple(f"{os.path.normcase(top)}{os.sep}" for top in environment.site_packages),
        installed={distribution.path.name for distribution in installed},
        began=began,
        archives=[entry.path for folder in archives for entry in directory_entries(folder)],
    )
    left, users = search.sort(*environment.site_packages)
    for script in map(os.path.normcase, script_files(environment)):
        if script not in owned | search.kept and is_written_by_installer(script):
            (left if search.is_new(script) else users).append(script)
    left += (path for path in search.kept if not path.startswith(search.tops) and _is_file(path))
    left = [path for path in left if is_inside(Path(path).parent, environment.path)]
    users = [path for path in users if _BYTE_CODE_FOLDER not in path]  # such as numba's
    return sorted(map(environment.relative, left)), sorted(map(environment.relative, users))


def _directories_of(files: Iterable[str]) -> set[str]:
    """Every directory that has one of `files` in or below it."""
    directories: set[str] = set()
    for path in files:
        directory = os.path.dirname(path)  # noqa: PTH120  a Path costs more than the loop
        while directory not in directories:
            directories.add(directory)
            directory = os.path.dirname(directory)  # noqa: PTH120  as above
    return directories


@dataclass(frozen=True, kw_only=True)
class _Search:
    """`kept` are files that a RECORD listed before the sync, and that none lists now.

    `archives` are the wheels in uv's cache, `by_name` those of them that have an entry of this name
    and are not installed.
    """

    owned: set[str]
    owned_directories: set[str]
    kept: set[str]
    kept_directories: set[str]
    tops: tuple[str, ...]
    installed: set[str]
    began: float
    archives: list[str]
    by_name: dict[str, list[str]] = field(default_factory=dict)

    def sort(self, *directories: str | Path) -> _Paths:
        left: list[str] = []
        users: list[str] = []
        for entry in (entry for folder in directories for entry in directory_entries(folder)):
            is_directory = entry.is_dir(follow_symlinks=False)
            found = self._sort_directory(entry) if is_directory else self._sort_file(entry)
            left += found[0]
            users += found[1]
        return left, users

    def _sort_file(self, entry: "os.DirEntry[str]") -> _Paths:
        path = os.path.normcase(entry.path)
        if path in self.owned or path in self.owned_directories or entry.name in UNOWNED_BY_DESIGN:
            return [], []
        if BYTE_CODE.search(path) and _BYTE_CODE_FOLDER in path:
            return [], []
        is_left = path in self.kept or self._is_of_install(path)
        return ([path], []) if is_left else ([], [path])

    def _sort_directory(self, entry: "os.DirEntry[str]") -> _Paths:
        path = os.path.normcase(entry.path)
        left, users = self.sort(path)
        if path in self.owned_directories or (left and users):
            return left, users
        if users:
            return [], [path]
        # An empty one at the top can be imported; others a wheel may bring, and does not list them.
        is_top = path.removesuffix(os.path.basename(path)) in self.tops  # noqa: PTH119  as above
        is_left = left or path in self.kept_directories or (is_top and self._is_of_install(path))
        return ([path], []) if is_left else ([], [])

    def _is_of_install(self, path: str) -> bool:
        """Whether an interrupted sync has made it, or one exactly like it."""
        if not self.is_new(path):
            return False
        if os.path.basename(path).startswith(_TEMPORARY):  # noqa: PTH119  as above
            return True
        relative = next(path.removeprefix(top) for top in self.tops if path.startswith(top))
        archives = self._archives_with(relative.partition(os.sep)[0])
        return any(_is_same(f"{archive}{os.sep}{relative}", path) for archive in archives)

    def is_new(self, path: str) -> bool:
        """Whether it was made, linked or changed since the interrupted sync began."""
        try:
            return os.lstat(path).st_ctime >= self.began
        except OSError:
            return False

    def _archives_with(self, name: str) -> list[str]:
        if name not in self.by_name:
            candidates = (a for a in self.archives if os.path.lexists(f"{a}{os.sep}{name}"))
            self.by_name[name] = [a for a in candidates if not self._is_installed(a)]
        return self.by_name[name]

    def _is_installed(self, archive: str) -> bool:
        """Old uv installs files that it does not record: those in a wheel that lists them not."""
        return any(entry.name in self.installed for entry in directory_entries(archive))


def _is_file(path: str) -> bool:
    return os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path))  # noqa: PTH112, PTH114  as above


def _is_same(cached: str, path: str) -> bool:
    if os.path.isdir(path):  # noqa: PTH112  as above
        return os.path.isdir(cached)  # noqa: PTH112  as above
    try:
        return filecmp.cmp(cached, path, shallow=False)
    except OSError:
        return False
