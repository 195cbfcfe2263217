"""Compare an environment with its RECORD files, and find what is damaged.

Reads only, and starts no process.

uv was observed with strace (0.9.0 and 0.13.9): it copies the wheel's own RECORD with the other
files, then writes console scripts, REQUESTED, uv_cache.json and INSTALLER, and finally a sorted
RECORD that lists those as well. It removes files in the order of RECORD.
"""

import contextlib
import functools
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from uvflow.environment.installed import (
    Distribution,
    Environment,
    directory_entries,
    is_whole_python,
    leftover_data_directories,
    parse_configuration,
    read_configuration,
    read_launcher,
    read_quickly,
)
from uvflow.environment.records import Row, absolute, fields, read_record, rows
from uvflow.files import is_inside
from uvflow.fingerprint import open_regular

# They always write RECORD, but for conda in its own environments; system packagers may not.
_RECORD_INSTALLERS = ("uv", "pip", "conda", "")

# What uv 0.9.0 and 0.13.9 both write beside the interpreter, for one shell each.
_ACTIVATORS = ("activate", "activate.csh", "activate.fish", "activate.nu", "activate.ps1")

_PYTHON = r"(?i).*(?:python|pypy|graalpy)(?!.*config)"  # `python3.11-dbg` of Debian

# Where the links lead that uv makes with the link mode `symlink`.
_UVS_CACHE = r"[/\\]archive-v\d+[/\\]"

# What uv reads in the metadata of a distribution, and fails at.
_JSON = ("direct_url.json", "uv_build.json", "uv_cache.json")
MOST_JSON = 1 << 20  # bytes of one, of which uv shows all where it cannot parse it

# In `activate`, as uv, venv and virtualenv write it; that of a relocatable environment has no path.
_ACTIVATE = (
    r"(?m)^[ \t]*(?:export[ \t]+)?VIRTUAL_ENV="
    r"""(["']?)((?:/|[A-Za-z]:[\\/])[^"'$\n]*)\1[ \t]*$"""
)

# A launcher starts its environment's Python by an absolute path, or through /bin/sh where that path
# is too long for a shebang.
_SHEBANG = rb"""^#!(?:/bin/sh\n'''exec' ['"]?)?(/[^\n'"]*?/bin)/python[\d.]*\b"""


class DamageKind(StrEnum):
    """What is wrong; users see the values."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    EDITED = "edited"
    UNFINISHED = "unfinished install"
    NO_METADATA = "no metadata"
    UNREADABLE = "unreadable RECORD"
    DUPLICATE = "duplicate version"
    REPLACED = "replaced"
    LEFTOVER = "leftover"
    NO_ENVIRONMENT = "missing environment"
    NO_SITE_PACKAGES = "missing site-packages"
    NO_CONFIGURATION = "missing pyvenv.cfg"
    NO_INTERPRETER = "missing interpreter"
    BROKEN_INTERPRETER = "broken interpreter"


_BASICS = {
    DamageKind.NO_ENVIRONMENT,
    DamageKind.NO_SITE_PACKAGES,
    DamageKind.NO_CONFIGURATION,
    DamageKind.NO_INTERPRETER,
    DamageKind.BROKEN_INTERPRETER,
}


class Damage(NamedTuple):
    """One thing that is wrong.

    `path` is relative to the environment (POSIX) where it is inside, and absolute elsewhere.
    `distribution` is a normalised name, empty where the damage is not a distribution's.
    """

    kind: DamageKind
    path: str
    distribution: str = ""
    detail: str = ""

    def __str__(self) -> str:
        owner = f"{self.distribution}: " if self.distribution else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{owner}{self.kind}: {self.path}{detail}"


def metadata_damage(environment: Environment) -> tuple[Damage, ...]:
    """What an interrupted uv leaves, as far as the metadata of the distributions shows it.

    Takes about 4 ms for 55 distributions. Shows every interrupted install and most interrupted
    removals, without a look at each file.
    """
    missing = missing_basics(environment)
    if missing:
        return missing
    damages = [*_script_damage(environment), *_duplicates(environment)]
    for distribution in environment.distributions:
        if not _has_record(environment, distribution):
            continue
        metadata = read_metadata(distribution)
        problem, first = metadata.problem, metadata.first
        if first and not problem and not os.path.exists(first.path):  # noqa: PTH110  a Path costs more than the stat
            problem = DamageKind.MISSING, first.path, ""
        if problem:
            kind, path, detail = problem
            damages.append(Damage(kind, environment.relative(path), distribution.name, detail))
    left = map(environment.relative, leftover_data_directories(environment))
    damages += (Damage(DamageKind.UNFINISHED, path) for path in left)
    if any(entry.is_symlink() and entry.is_dir() for entry in environment.entries):
        damages += linked_packages(environment)
    return tuple(damages)


def missing_basics(environment: Environment) -> tuple[Damage, ...]:
    """What is missing of the environment itself: the directory, its configuration, its Python.

    Check this before uv runs. An environment without pyvenv.cfg has a `python` that is just a link
    to the base Python; uv then uses the base Python as the environment and removes from it what the
    lockfile does not list (0.9.0 and 0.13.9, where its cache does not know the interpreter).
    """
    if not environment.path.is_dir():
        return (Damage(kind=DamageKind.NO_ENVIRONMENT, path=environment.path.as_posix()),)
    if is_whole_python(environment):
        return ()
    if not environment.site_packages:
        lib = "Lib" if os.name == "nt" else "lib"
        return (Damage(kind=DamageKind.NO_SITE_PACKAGES, path=lib), *_missing_python(environment))
    places = [(DamageKind.NO_SITE_PACKAGES, path) for path in environment.site_packages]
    places.append((DamageKind.NO_INTERPRETER, environment.scripts))
    links = (
        Damage(kind=kind, path=environment.relative(path), detail=_target(path))
        for kind, path in places
        if not is_inside(path, environment.path)
    )
    return (*links, *_missing_python(environment))


def links_out(environment: Environment) -> Iterator[str]:
    """Sentences about the directories that are links out of it: uv would write through them."""
    for folder, folders, _ in os.walk(environment.path):
        for path in (Path(folder, name) for name in folders):
            if path.is_symlink() and not is_inside(path, environment.path):
                yield f"{environment.relative(path)} is {_target(path)}"


def _missing_python(environment: Environment) -> Iterator[Damage]:
    configuration = read_configuration(environment)
    if configuration is None:
        yield Damage(kind=DamageKind.NO_CONFIGURATION, path="pyvenv.cfg")
    else:
        home = configuration.get("home", "")
        if not home or not os.path.isdir(home):  # noqa: PTH112  a Path fails where it is another user's
            yield Damage(kind=DamageKind.NO_INTERPRETER, path="pyvenv.cfg", detail=f"home = {home}")
    python = environment.python
    path = environment.relative(python)
    if not os.path.isfile(python):  # noqa: PTH113  as above
        yield Damage(kind=DamageKind.NO_INTERPRETER, path=path)
    elif not os.access(python, os.X_OK):
        yield Damage(kind=DamageKind.BROKEN_INTERPRETER, path=path, detail="it cannot be run")
    elif configuration and not _leads_to(python, configuration.get("home", "")):
        detail = f"it leads to {os.path.realpath(python)}, and pyvenv.cfg to another Python"
        yield Damage(kind=DamageKind.BROKEN_INTERPRETER, path=path, detail=detail)


def _leads_to(python: Path, home: str) -> bool:
    """Whether it is a link to a Python in the directory `home` (PEP 405), or no link."""
    if os.name == "nt" or not python.is_symlink() or not os.path.isdir(home):  # noqa: PTH112  of a file
        return True
    names = {Path(os.readlink(python)).name, Path(os.path.realpath(python)).name}  # noqa: PTH115  as above
    is_python = any(map(re.compile(_PYTHON).match, names))
    for name in {"python", "python3", *(names if is_python else ())}:
        with contextlib.suppress(OSError):
            if python.samefile(Path(home, name)):
                return True
    return False


def _script_damage(environment: Environment) -> Iterator[Damage]:
    """What uv writes into every environment; others write at least `activate`, or none."""
    if is_whole_python(environment):
        return
    configuration = read_configuration(environment) or {}
    is_uvs = "uv" in configuration
    expected: tuple[str, ...] = ()
    if is_uvs:
        expected = _ACTIVATORS
    elif any(e.name.startswith("activate.") for e in directory_entries(environment.scripts)):
        expected = ("activate",)
    for name in expected:
        if name == "activate.csh" and configuration.get("relocatable") == "true":
            continue  # csh cannot find out where a script is
        path = environment.scripts / name
        problem = _size_problem(Row(str(path), "", None))
        if problem is None and path.stat().st_size == 0:
            problem = DamageKind.TRUNCATED, "empty"
        if problem:
            kind, detail = problem
            yield Damage(kind, environment.relative(path), "", detail)
    alias = environment.scripts / "python3"
    if is_uvs and os.name != "nt" and not alias.exists():
        yield Damage(DamageKind.MISSING, environment.relative(alias))
    elif is_uvs and os.name != "nt" and not alias.samefile(environment.python):
        yield Damage(DamageKind.REPLACED, environment.relative(alias), "", "it is not bin/python")


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


def configuration_damage(environment: Environment, synced: bytes | None) -> Iterator[Damage]:
    """The keys of pyvenv.cfg that decide which packages Python finds, where `synced` has others."""
    configuration = read_configuration(environment)
    if synced is None or configuration is None:
        return
    before = parse_configuration(synced)
    for key in ("home", "include-system-site-packages"):
        if configuration.get(key) != before.get(key):
            detail = f"{key} = {configuration.get(key)}, at the last sync {before.get(key)}"
            yield Damage(DamageKind.EDITED, "pyvenv.cfg", "", detail)


def _duplicates(environment: Environment) -> Iterator[Damage]:
    by_name = defaultdict(list)
    for distribution in environment.distributions:
        by_name[distribution.name].append(distribution)
    for name, (first, *others) in by_name.items():
        if others:
            detail = f"also {', '.join(other.directory for other in others)}"
            yield Damage(DamageKind.DUPLICATE, environment.relative(first.location), name, detail)


class Metadata(NamedTuple):
    """The metadata of a distribution, and what is wrong with it.

    `record` is the text of RECORD, empty where that cannot be read, `first` the row whose file uv
    would remove first.
    """

    problem: tuple[DamageKind, str, str] | None = None
    first: Row | None = None
    names: frozenset[str] = frozenset()
    unreadable: str = ""  # what uv must not read: a named pipe, say, at which it would wait
    record: str = ""


def read_metadata(distribution: Distribution) -> Metadata:
    return _read_metadata(distribution.location, distribution.identity)


@functools.cache  # by the identity: uv may have changed some distributions meanwhile
def _read_metadata(location: str, _identity: tuple[int, ...]) -> Metadata:
    distribution = Distribution(location)
    entries = directory_entries(location)
    names = frozenset(entry.name for entry in entries)
    text = read_record(distribution.record)
    first = next(rows(distribution.site_packages, (text or "").partition("\n")[0]), None)
    unreadable = next((e.path for e in entries if not _is_readable(e)), "")
    problem = _metadata_problem(distribution, names, text)
    if unreadable:
        problem = DamageKind.MISSING, unreadable, "not a regular file, or a large one"
    elif problem is None:
        problem = _json_problem(distribution, names, text or "")
    return Metadata(problem, first, names, unreadable, text or "")


def _is_readable(entry: os.DirEntry[str]) -> bool:
    if entry.name in _JSON:
        return entry.is_file() and entry.stat().st_size <= MOST_JSON
    return entry.is_file() or entry.is_dir()


def _metadata_problem(
    distribution: Distribution, names: AbstractSet[str], text: str | None
) -> tuple[DamageKind, str, str] | None:
    """Whether the file that an installer writes last, with `text` in it, is incomplete."""
    location, record = distribution.location, distribution.record
    if "METADATA" not in names:
        return DamageKind.NO_METADATA, location, ""
    if "RECORD" not in names:
        is_expected = _installer(location) in _RECORD_INSTALLERS
        return (DamageKind.UNFINISHED, location, "no RECORD") if is_expected else None
    if text is None:
        return DamageKind.UNREADABLE, record, ""
    if not text.endswith("\n"):  # uv truncates the file and writes it in place
        return DamageKind.UNFINISHED, record, "truncated"
    is_listed = f"\n{distribution.directory}/INSTALLER," in f"\n{text}"
    if not is_listed and ("INSTALLER" in names or not _is_without_installer(distribution, text)):
        return DamageKind.UNFINISHED, record, "does not list INSTALLER"
    return None


def _json_problem(
    distribution: Distribution, names: AbstractSet[str], text: str
) -> tuple[DamageKind, str, str] | None:
    """Whether uv cannot read one of its files, or would follow one that RECORD does not list.

    It does not remove the latter, and so installs the distribution again and again.
    """
    for name in _JSON:
        if name not in names:
            continue
        path = f"{distribution.location}{os.sep}{name}"
        try:
            is_object = isinstance(json.loads(read_quickly(path) or b""), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            return DamageKind.EDITED, path, "uv cannot read it"
        if text and f"\n{distribution.directory}/{name}," not in f"\n{text}":
            return DamageKind.EDITED, path, "RECORD does not list it"
    return None


def _has_record(environment: Environment, distribution: Distribution) -> bool:
    """Not where conda installed it, which changes files afterwards and has records of its own."""
    if not distribution.directory.endswith(".dist-info"):
        return False
    return not environment.is_of_conda or _installer(distribution.location) != "conda"


def _installer(location: str) -> str:
    content = read_quickly(f"{location}{os.sep}INSTALLER") or b""
    return content.decode(errors="replace").strip().lower()


def _is_without_installer(distribution: Distribution, text: str) -> bool:
    """Whether this is the RECORD that uv writes last under UV_NO_INSTALLER_METADATA.

    It differs from the wheel's own, whose last row is RECORD itself, in that it is sorted; and
    every file has to be present.
    """
    names = [name for name, _, _ in fields(text)]
    listed = rows(distribution.site_packages, text)
    return names == sorted(names) and not any(map(_size_problem, listed))


def linked_packages(environment: Environment) -> Iterator[Damage]:
    """The directories of distributions that are links: uv makes none, and writes through them.

    Also those of byte code, which no RECORD lists.
    """
    link_above = _link_finder(environment)

    @functools.cache  # distributions share `bin`
    def links_to(base: str, folder: str) -> set[str]:
        names = (f"{folder}/-", f"{folder}/__pycache__/-")
        return {link_above(absolute(base, name)) for name in names} - {""}

    for distribution in environment.distributions:
        links: set[str] = set()
        recorded = fields(read_metadata(distribution).record)
        for folder in {name.rpartition("/")[0] or "." for name, _, _ in recorded}:
            links |= links_to(distribution.site_packages, folder)
        for link in sorted(links):
            kind, detail = _link_problem(link)
            yield Damage(kind, environment.relative(link), distribution.name, detail)


_Problem = tuple[DamageKind, str]


def file_damage(environment: Environment, *, by_hash: bool = False) -> tuple[Damage, ...]:
    """Every recorded file that is missing, no file or of another size; 50 ms for 13,000 files.

    Or another hash, of the algorithm that is named in its row; that takes 0.5 to 2 s.
    """
    suspects: list[tuple[str, str, _Problem]] = []
    intact = set()
    link_above = _link_finder(environment)
    scripts = os.path.normcase(f"{environment.scripts}{os.sep}")
    recorded = [one for one in environment.distributions if _has_record(environment, one)]
    for name, row in ((one.name, row) for one in recorded for row in recorded_rows(one)):
        # A module that was installed without its source is elsewhere (PEP 3147).
        if row.path.endswith(".pyc") and f"{os.sep}__pycache__{os.sep}" in row.path:
            continue  # Python compiles it again where it is missing
        link = link_above(row.path)
        problem = _link_problem(link) if link else _size_problem(row)
        problem = problem or (_hash_problem(row) if by_hash else None)
        is_inert = row.path.startswith(scripts) and not os.access(row.path, os.X_OK)
        if not problem and is_inert and read_launcher(row.path) is not None:
            problem = DamageKind.EDITED, "not executable"  # others may have any mode in a wheel
        if problem:
            suspects.append((name, link or row.path, problem))
        else:
            intact.add(row.path)
    # A file that several distributions share is as the one installed last has it.
    found = (
        Damage(kind, environment.relative(path), name, detail)
        for name, path, (kind, detail) in suspects
        if path not in intact
    )
    return tuple(dict.fromkeys(found))


def _link_finder(environment: Environment) -> Callable[[str], str]:
    """A function that gives what on the way to a file is no directory; empty where all are.

    uv would write through a link, and fail at anything else.
    """
    top = os.path.normcase(f"{environment.path}{os.sep}")
    usual = (*environment.site_packages, environment.path / "lib64", environment.scripts)
    known = dict.fromkeys(map(os.path.normcase, usual), "")

    def link_above(path: str) -> str:
        directory, unknown = _parent(path), []
        while directory not in known and directory.startswith(top):
            unknown.append(directory)
            directory = _parent(directory)
        link = known.get(directory, "")
        for each in reversed(unknown):
            with contextlib.suppress(OSError):
                link = link if link or stat.S_ISDIR(os.lstat(each).st_mode) else each
            known[each] = link
        return link

    return link_above


def _parent(path: str) -> str:
    return path.rpartition(os.sep)[0]  # a Path costs more than the stat


def _size_problem(row: Row) -> _Problem | None:
    try:
        status = os.lstat(row.path)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(row.path)  # noqa: PTH116  a Path costs more than the stat
    except FileNotFoundError:
        return DamageKind.MISSING, ""
    except (OSError, ValueError) as error:  # ValueError: a name that this system cannot have
        return DamageKind.MISSING, getattr(error, "strerror", None) or str(error)
    if is_link and not re.search(_UVS_CACHE, os.readlink(row.path)):  # noqa: PTH115  as above
        return _link_problem(row.path)
    if not stat.S_ISREG(status.st_mode):
        is_directory = stat.S_ISDIR(status.st_mode)
        return DamageKind.REPLACED, "a directory" if is_directory else "not a regular file"
    if row.size is None or row.size == status.st_size:
        return None
    kind = DamageKind.TRUNCATED if status.st_size < row.size else DamageKind.EDITED
    return kind, f"{status.st_size} bytes, installed with {row.size}"


def _link_problem(link: str) -> _Problem:
    return DamageKind.REPLACED, _target(link) if os.path.islink(link) else "not a directory"  # noqa: PTH114  as above


def _target(link: str | Path) -> str:
    return f"a link to {os.path.realpath(link)}"


def _hash_problem(row: Row) -> _Problem | None:
    import base64  # 5 ms with the next, and only needed for `--deep`
    import hashlib  # as above

    algorithm, _, expected = row.digest.partition("=")
    # shake has no fixed length
    is_known = algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")
    if not is_known:
        return None
    try:
        with os.fdopen(open_regular(row.path), "rb") as file:
            digest = hashlib.file_digest(file, algorithm).digest()
    except OSError as error:
        return DamageKind.EDITED, error.strerror or str(error)
    if base64.urlsafe_b64encode(digest).decode().rstrip("=") == expected.rstrip("="):
        return None
    return DamageKind.EDITED, f"{algorithm} differs"


def recorded_rows(distribution: Distribution) -> Iterator[Row]:
    """The rows of its RECORD; none where that cannot be read."""
    return rows(distribution.site_packages, read_metadata(distribution).record)


def owned_files(environment: Environment) -> set[str]:
    """Every path that a RECORD in the environment lists."""
    return {
        row.path
        for distribution in environment.distributions
        for row in recorded_rows(distribution)
    }


def is_written_by_installer(script: str) -> bool:
    """Whether a script is a launcher, or uv's temporary file for one; `activate` is neither."""
    return Path(script).name.startswith(".tmp") or read_launcher(script) is not None


def can_be_read_by_uv(environment: Environment) -> bool:
    """Whether no file of the metadata is a named pipe, say, at which uv would wait."""
    configuration = environment.path / "pyvenv.cfg"
    return (configuration.is_file() or not configuration.exists()) and not any(
        read_metadata(distribution).unreadable for distribution in environment.distributions
    )


def needs_rebuild(damages: Iterable[Damage]) -> bool:
    """Whether the environment itself is broken, which reinstalling cannot repair."""
    return any(damage.kind in _BASICS for damage in damages)
