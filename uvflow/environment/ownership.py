"""Which files of an environment are the user's, and whether it may be filled, set aside or emptied.

Where a new environment is needed, the old one is set aside by a rename; once the new one is
verified, what was set aside is removed if a virtual environment or an installer made every entry
in it. In every doubt it stays, and its path is reported.

A file that no RECORD lists is one that every environment has, a leftover of an interrupted uv, or
the user's. It is a leftover where a RECORD listed it when the interrupted sync began (an uninstall
was cut short), or where it is newer than that and equals, byte for byte, a file in uv's cache of a
distribution that is not installed (an install was cut short).
"""

import functools
import math
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from uvflow.environment.installed import (
    BYTE_CODE,
    SCHEMES,
    Environment,
    directory_entries,
    is_whole_python,
    read_quickly,
)
from uvflow.environment.integrity import is_written_by_installer, owned_files, read_metadata
from uvflow.environment.records import rows
from uvflow.errors import DamagedError, UsageError, disk_errors, shell_command
from uvflow.files import (
    SET_ASIDE,
    claim,
    free_name,
    is_inside,
    is_marked,
    mounts_in,
    move_by_hand,
    put_back,
    read_mark,
    remove,
    remove_set_aside,
    set_aside,
    write_whole,
)
from uvflow.state.journal import COPY, FETCHED, RECORDS, kept_records
from uvflow.state.store import Progress

_VARIABLE = "UV_PROJECT_ENVIRONMENT"

_REBUILD = "before-rebuild"
_SHOWN = 3  # how many entries an error names

# Files in site-packages that belong to no distribution: uv (up to 0.9) and virtualenv write the
# first two into every environment, `uv run --with` the third, macOS the fourth.
BY_DESIGN = {"_virtualenv.py", "_virtualenv.pth", "_uv_ephemeral_overlay.pth", ".DS_Store"}

RECEIPT = "uvflow-receipt.json"  # at the top of a release, see releases.py

# What a virtual environment has at its top; everything else has to be in a RECORD.
_TOP_FILES = {".gitignore", ".lock", "CACHEDIR.TAG", "pyvenv.cfg", COPY, RECORDS}
_TOP_FILES |= {SET_ASIDE, RECEIPT}
_TOP_FILES |= {".project", "rye-venv.json", "pip-selfcheck.json"}  # of Pipenv, Rye and an old pip
_TOP_DIRECTORIES = {"bin", "include", "lib", "lib64", "Include", "Lib", "Scripts", FETCHED}

# What a killed write of one of them leaves.
_UNFINISHED = tuple(f".{name}" for name in (COPY, RECORDS, SET_ASIDE, RECEIPT))

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


def check_location(
    environment: Path, workspace: Path, *, configured: str | None, is_users_choice: bool
) -> None:
    """Refuse to use a directory that cannot be an environment, before anything is done.

    That is the workspace, the home directory, one with a `.git`, every directory that contains one
    of these, and the workspace's `.git` itself. Another place outside the workspace is only used
    where the user's own variable names it (`is_users_choice`), not because a profile does
    (`configured`). Raises UsageError.
    """
    resolved = Path(os.path.realpath(environment))
    protected = {Path(os.path.realpath(workspace)), Path(os.path.realpath(Path.home()))}
    if any(place.is_relative_to(resolved) for place in protected):
        reason = "it is, or contains, the project or your home directory"
    elif os.path.lexists(resolved / ".git"):
        reason = "it holds a .git directory"
    elif is_inside(resolved, Path(os.path.realpath(workspace)) / ".git"):
        reason = "it is, or is in, the .git directory"
    elif configured is not None and Path(configured).is_absolute():
        reason = "the `environment` of a profile is a path relative to the workspace"
    elif (configured is not None or not is_users_choice) and not is_inside(resolved, workspace):
        reason = f"it is outside the workspace {workspace}"
    else:
        return
    is_link = resolved != environment
    where = f"{environment}, which is {resolved}," if is_link else f"{environment}"
    raise UsageError(
        f"{where} cannot be the environment: {reason}",
        hint=f"`environment` of a profile names a directory of its own; only {_VARIABLE} may name"
        " a place outside",
    )


def make_room(environment: Environment, reasons: Iterable[str]) -> Path | None:
    """Set an unusable environment aside, or empty it where it cannot be renamed.

    Returns where it is now, if it was set aside. Raises DamagedError, with nothing touched, where
    something in it is not an environment's.
    """
    cause = f"it is not usable as it is: {', '.join(reasons)}"
    by_hand = f"{move_by_hand(environment.path)}, then sync again"
    check_replaceable(environment, cause=cause, hint=by_hand)
    check_not_running_from(environment.path)
    check_mounts(environment.path)
    try:
        real = Path(os.path.realpath(environment.path))
        target = free_name(real, _REBUILD)
        set_aside(real, target)
        if environment.path.is_symlink():
            real.mkdir()  # uv makes nothing behind a link that leads nowhere
    except OSError as error:  # the mount point of a volume, or another file system
        if next(users_files(environment), None):
            raise DamagedError(
                f"{environment.path} cannot be set aside, and holds files that no installer made",
                cause=error.strerror,
                hint=by_hand,
            ) from error
        _empty(environment)
        return None
    return target


def restore_set_aside(environment: Path, aside: Path, progress: Progress) -> None:
    """Put back what `make_room` set aside, or say where it is if something is in its place."""
    real, fresh = Path(os.path.realpath(environment)), Environment(environment)
    if fresh.distributions or next(users_files(fresh), None) is not None:
        progress(f"What was in {environment} is kept in {aside}")
        return
    with disk_errors(real):
        remove(real)
        put_back(aside, real)


def check_replaceable(environment: Environment, *, cause: str | None, hint: str) -> None:
    """Raises DamagedError for what is not an environment, or in which something is not."""
    foreign = foreign_entries(environment)
    if foreign:
        first = ", ".join(foreign[:_SHOWN])
        raise DamagedError(
            f"{environment.path} holds what no installer made: {first}", cause=cause, hint=hint
        )
    names = {entry.name for entry in directory_entries(environment.path)}
    traces = names & {"pyvenv.cfg", "CACHEDIR.TAG"} or environment.site_packages  # uv's first two
    is_virtual = environment.path.is_dir() and not is_whole_python(environment)
    if not (is_virtual and (traces or not names)):
        raise DamagedError(
            f"{environment.path} is not a virtual environment, so nothing in it was touched",
            cause=cause,
            hint=hint,
        )


def check_mounts(environment: Path) -> None:
    """Refuse to change an environment in which something is mounted. Raises DamagedError.

    Its files would be removed, and they are somewhere else as well.
    """
    for place in mounts_in(environment):
        if place != Path(os.path.realpath(environment)):
            raise DamagedError(
                f"{place} is mounted in {environment}, which has to be changed",
                hint=f"{shell_command('umount', str(place))}, then sync again",
            )


def check_not_running_from(directory: Path) -> None:
    """Refuse to rename the environment in which uvflow itself is running. Raises DamagedError."""
    if sys.prefix != sys.base_prefix and is_inside(Path(sys.prefix), directory):
        raise DamagedError(
            f"uvflow is running from {directory}, so it cannot be renamed",
            hint="run it from another place: `uvx uvflow`, or `pipx install uvflow`",
        )


def rename_obstacle(directory: Path) -> str:
    """Why an existing directory cannot be renamed, as far as can be seen; empty where it can be."""
    real = Path(os.path.realpath(directory))
    for place in mounts_in(real):
        return "it is a mount point" if place == real else f"{place} is mounted in it"
    if real.stat().st_dev != real.parent.stat().st_dev:
        return f"it is on another file system than {real.parent}"
    if not os.access(real.parent, os.W_OK):
        return f"{real.parent} cannot be written to"
    return ""


def discard_set_aside(environment: Path, progress: Progress) -> None:
    """Remove what `make_room` set aside, now that the new environment is verified.

    What holds files of the user's stays, and its path is reported, once.
    """
    for path, mark in set_aside_beside(environment, _REBUILD):
        if "kept" in mark.splitlines():
            continue
        reason = reason_to_keep(path)
        if not reason:
            remove_set_aside(path)
        else:
            progress(f"{path} {reason}: it was kept")
            write_whole(path / SET_ASIDE, os.fsencode(f"{mark}kept\n"))


def reason_to_keep(path: Path) -> str:
    """Why a whole environment is not removed; empty where installers made all of it."""
    users = next(users_files(Environment(path)), None)
    return "" if users is None else f"holds files that no installer made, such as {users}"


def set_aside_beside(environment: Path, suffix: str = "") -> list[tuple[Path, str]]:
    """What uvflow has set aside beside an environment, with its mark; never a link."""
    real = Path(os.path.realpath(environment))
    entries = sorted(directory_entries(real.parent), key=lambda entry: entry.name)
    paths = [
        Path(entry.path)
        for entry in entries
        if entry.name.startswith(f"{real.name}.{suffix}") and not entry.is_symlink()
    ]
    return [(path, read_mark(path) or "") for path in paths if is_marked(path)]


def _empty(environment: Environment) -> None:
    """Empty a directory of nothing but what installers made; it stays itself. Raises DiskError.

    The interpreter goes first (see `missing_basics` for what uv would do with it), pyvenv.cfg last:
    where that is, uv replaces what is left, and else refuses.
    """
    configuration = environment.path / "pyvenv.cfg"
    with disk_errors(environment.path):
        remove(environment.scripts)
        claim(configuration)
        for entry in directory_entries(environment.path):
            if entry.name != configuration.name:
                remove(Path(entry.path))
        remove(configuration)


def foreign_entries(environment: Environment) -> list[str]:
    """The entries at the top that neither a virtual environment nor an installer makes."""
    tops = {environment.relative(path).partition("/")[0] for path in owned_files(environment)}
    usual = _TOP_FILES | _TOP_DIRECTORIES | BY_DESIGN | {_CACHE} | tops
    names = {entry.name for entry in directory_entries(environment.path)}
    foreign = (name for name in names - usual if not name.startswith(_UNFINISHED))
    return sorted(name for name in foreign if not _is_empty_temporary(environment.path / name))


def users_files(environment: Environment, below: Path | None = None) -> Iterator[str]:
    """Files that neither a virtual environment nor an installer makes, as relative paths."""
    for path in _unowned_paths(environment, owned_files(environment), below):
        relative = environment.relative(path)
        if not path.endswith(os.sep) and not _is_usual(path, tuple(relative.split("/"))):
            yield relative


def _is_usual(path: str, parts: tuple[str, ...]) -> bool:
    match parts:
        case (name,):
            is_known = name in _TOP_FILES or name == "lib64" or name.startswith(_UNFINISHED)
            return is_known or _is_empty_temporary(Path(path))
        case ("bin" | "Scripts", name):
            return bool(re.fullmatch(_SCRIPTS, name)) or is_written_by_installer(path)
        case ("lib" | "lib64", _, "site-packages", top, *inner):
            return _is_usual_package(top, *inner)
        case ("Lib", "site-packages", top, *inner):  # of Windows
            return _is_usual_package(top, *inner)
    return parts[0] == FETCHED


def _is_empty_temporary(path: Path) -> bool:
    """Whether nothing is lost with it: a uv that was killed had not yet renamed it to `.lock`."""
    is_named = bool(re.fullmatch(rf"\{_TEMPORARY}[A-Za-z0-9]{{6}}", path.name))
    return is_named and not path.is_symlink() and read_quickly(str(path), 1) == b""


def _is_usual_package(top: str, *inner: str) -> bool:
    if not inner:  # of setuptools' develop
        return top == "easy-install.pth" or top.endswith(".egg-link")
    name = inner[0]
    if re.fullmatch(_DATA, top):
        return len(inner) > 1 and name in SCHEMES
    if not top.endswith((".dist-info", ".egg-info")):
        return False
    is_file = len(inner) == 1 and (name in _METADATA or re.fullmatch(_LICENSE, name))
    return bool(is_file) or name in ("licenses", "sboms")


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
    """What no RECORD lists, in site-packages and of launchers, as sorted relative paths.

    First what interrupted syncs have left, elsewhere too: `began` is when the first of them did, in
    seconds since the epoch, and `cache` is uv's. Then what is the user's. A directory of nothing
    else is one; byte code, and empty directories of the user's, are left out.

    Both are empty where an owner cannot be known: while a RECORD is missing, where an installer
    writes none (conda, egg-info), and in a base Python, which contains more than was installed.
    """
    installed = environment.distributions
    if is_whole_python(environment) or not all(read_metadata(d).record for d in installed):
        return [], []
    owned = owned_files(environment)
    search = _Search(environment, owned, began, cache)
    left, users, launchers = [], [], []
    for path in _unowned_paths(environment, owned):
        is_file_of_package = search.top_of(path) and not path.endswith(os.sep)
        if search.is_left(path):
            left.append(path)
        elif search.is_launcher(path):
            launchers.append(path)
        elif is_file_of_package and path not in search.owned_directories:
            users.append(path)  # else it is a link in the place of a directory: damage
    removable = search.highest(left, besides=users)
    shown = [p for p in search.highest(users, besides=left) if f"{os.sep}{_CACHE}{os.sep}" not in p]
    relative = environment.relative
    return sorted(map(relative, removable)), sorted(map(relative, (*shown, *launchers)))


class _Search:
    """What is known of the paths that no RECORD lists.

    `kept` are those that had an owner before the sync. Of directories they end with `/`, and so do
    `tops`, the directories of site-packages. `cached` are the wheels in uv's cache, by the names of
    their entries; without those that are installed, which may bring files that no RECORD lists (old
    uv).
    """

    def __init__(
        self, environment: Environment, owned: set[str], began: float, cache: Path | None
    ) -> None:
        kept = {
            row.path
            for place, text in kept_records(environment.path).items()
            for row in rows(str((environment.path / place).parent), text)
        }
        self.kept = kept.union(f"{directory}{os.sep}" for directory in _directories_of(kept))
        self.tops = tuple(f"{os.path.normcase(top)}{os.sep}" for top in environment.site_packages)
        self.owned_directories = _directories_of((*owned, *self.tops))
        self.scripts = os.path.normcase(environment.scripts)
        self.began = began
        self.cached = defaultdict[str, list[str]](list)
        installed = {distribution.directory for distribution in environment.distributions}
        for folder in cache.glob("archive-v*") if cache else ():
            for archive in directory_entries(folder):
                names = {entry.name for entry in directory_entries(archive.path)}
                for name in names if names.isdisjoint(installed) else ():
                    self.cached[name].append(archive.path)

    def top_of(self, path: str) -> str:
        """The site-packages that `path` is in; empty where it is in none."""
        return next((top for top in self.tops if path.startswith(top) and path != top), "")

    def is_launcher(self, path: str) -> bool:
        """Whether it is a script that an installer wrote; none of those is a link."""
        is_script = os.path.dirname(path) == self.scripts and not os.path.islink(path)  # noqa: PTH114, PTH120  a Path costs more than the walk
        return is_script and is_written_by_installer(path)

    def is_left(self, path: str) -> bool:
        """Whether it is a leftover of an interrupted sync (see the top of this module)."""
        top, is_directory = self.top_of(path), path.endswith(os.sep)
        if is_directory and not top:
            return False
        if path in self.kept:
            return True
        try:
            if os.lstat(path.rstrip(os.sep)).st_ctime < self.began:
                return False  # it was there before, not made, linked or changed since
        except OSError:
            return False
        if not top:
            return self.is_launcher(path) or _is_empty_temporary(Path(path))
        relative = path.removeprefix(top).rstrip(os.sep)
        name = relative.partition(os.sep)[0]
        if is_directory and f"{top}{name}" in self.owned_directories:
            return False  # a wheel may bring empty directories, and does not list them
        is_temporary = relative.rpartition(os.sep)[2].startswith(_TEMPORARY)
        archives = self.cached.get(name, ())
        return is_temporary or any(_is_same(f"{a}{os.sep}{relative}", path) for a in archives)

    def highest(self, paths: Iterable[str], *, besides: Iterable[str]) -> set[str]:
        """The paths; where a directory has nothing else in it, that directory in their place."""
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
    import filecmp  # only needed after an interrupted sync

    try:
        return filecmp.cmp(cached, path, shallow=False)
    except OSError:
        return False
