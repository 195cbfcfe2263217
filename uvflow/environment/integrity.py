"""Integrity: an environment against its RECORD files, and what to reinstall where it is damaged.

Reads only, and starts no process.

RECORD is specified in "Recording installed projects" (packaging.python.org). What uv does beyond
that was observed with strace on uv 0.9.0 and 0.13.9: it copies the wheel's own RECORD with the
other files, then writes console scripts, REQUESTED, uv_cache.json and INSTALLER, and finally a
sorted RECORD that lists those as well. It removes files in the order of RECORD.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from uvflow.environment.installed import (
    BYTE_CODE,
    Distribution,
    Environment,
    directory_entries,
    distributions,
    is_whole_python,
    leftover_data_directories,
    read_configuration,
    read_launcher,
    read_quickly,
    script_files,
)
from uvflow.fingerprint import open_regular

# Files in site-packages that belong to no distribution: uv (up to 0.9) and virtualenv write the
# first two into every environment, `uv run --with` the third, macOS the fourth, Python the last.
UNOWNED_BY_DESIGN = {
    "_virtualenv.py",
    "_virtualenv.pth",
    "_uv_ephemeral_overlay.pth",
    ".DS_Store",
    "__pycache__",
}

_RECORD_INSTALLERS = ("uv", "pip", "")  # always write RECORD; system packagers may not

_CONDA = "conda"  # modifies files after it has installed them, and records that in conda-meta

_SIZE_DIGITS = 20  # more are not a file's size; int() refuses thousands of them


class DamageKind(StrEnum):
    """What is wrong; users see the values."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    EDITED = "edited"
    UNFINISHED = "unfinished install"
    NO_METADATA = "no metadata"
    UNREADABLE = "unreadable RECORD"
    DUPLICATE = "duplicate version"
    ORPHAN = "orphan"
    NO_ENVIRONMENT = "missing environment"
    NO_SITE_PACKAGES = "missing site-packages"
    NO_CONFIGURATION = "missing pyvenv.cfg"
    NO_INTERPRETER = "missing interpreter"


_BASICS = {
    DamageKind.NO_ENVIRONMENT,
    DamageKind.NO_SITE_PACKAGES,
    DamageKind.NO_CONFIGURATION,
    DamageKind.NO_INTERPRETER,
}


@dataclass(frozen=True, kw_only=True)
class Damage:
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
    installed = distributions(environment)
    unfinished = (
        Damage(
            kind=DamageKind.UNFINISHED, path=environment.relative(data.path), distribution=data.name
        )
        for data in leftover_data_directories(environment)
    )
    incomplete = (_incomplete_metadata(environment, distribution) for distribution in installed)
    return (*_duplicates(environment, installed), *filter(None, incomplete), *unfinished)


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
    return tuple(_missing_python(environment))


def _missing_python(environment: Environment) -> Iterator[Damage]:
    configuration = read_configuration(environment)
    if configuration is None:
        yield Damage(kind=DamageKind.NO_CONFIGURATION, path="pyvenv.cfg")
    else:
        home = configuration.get("home", "")
        if not home or not Path(home).is_dir():
            yield Damage(kind=DamageKind.NO_INTERPRETER, path="pyvenv.cfg", detail=f"home = {home}")
    python = environment.scripts / ("python.exe" if os.name == "nt" else "python")
    if not python.exists():
        yield Damage(kind=DamageKind.NO_INTERPRETER, path=environment.relative(python))


def _duplicates(environment: Environment, installed: Iterable[Distribution]) -> Iterator[Damage]:
    by_name = defaultdict(list)
    for distribution in installed:
        by_name[distribution.name].append(distribution.path)
    for name, (first, *others) in by_name.items():
        if others:
            path = environment.relative(first)
            detail = f"also {', '.join(path.name for path in others)}"
            yield Damage(kind=DamageKind.DUPLICATE, path=path, distribution=name, detail=detail)


def _incomplete_metadata(environment: Environment, distribution: Distribution) -> Damage | None:
    """Whether the file that an installer writes last is missing or incomplete."""
    problem = _metadata_problem(distribution) if _has_record(distribution) else None
    if problem is None:
        return None
    kind, path, detail = problem
    path = environment.relative(path)
    return Damage(kind=kind, path=path, distribution=distribution.name, detail=detail)


def _has_record(distribution: Distribution) -> bool:
    return distribution.path.suffix == ".dist-info" and _installer(distribution) != _CONDA


def _metadata_problem(distribution: Distribution) -> tuple[DamageKind, str | Path, str] | None:
    names = set()
    for entry in directory_entries(distribution.path):
        if not (entry.is_file() or entry.is_dir()):  # a named pipe, say, at which uv would wait
            return DamageKind.MISSING, entry.path, "not a regular file"
        names.add(entry.name)
    if "METADATA" not in names:
        return DamageKind.NO_METADATA, distribution.path, ""
    if "RECORD" not in names:
        is_expected = _installer(distribution) in _RECORD_INSTALLERS
        return (DamageKind.UNFINISHED, distribution.path, "no RECORD") if is_expected else None
    text = _record_text(distribution)
    if text is None:
        return DamageKind.UNREADABLE, distribution.record, ""
    if not text.endswith("\n"):  # uv truncates the file and writes it in place
        return DamageKind.UNFINISHED, distribution.record, "truncated"
    row_start = f"{distribution.path.name}/INSTALLER,"
    if text.startswith(row_start) or f"\n{row_start}" in text:
        return _started_removal(distribution, text)
    if "INSTALLER" in names or not _is_without_installer(distribution, text):
        return DamageKind.UNFINISHED, distribution.record, "does not list INSTALLER"
    return None


def _installer(distribution: Distribution) -> str:
    content = read_quickly(f"{distribution.path}{os.sep}INSTALLER") or b""
    return content.decode(errors="replace").strip().lower()


def _started_removal(distribution: Distribution, text: str) -> tuple[DamageKind, str, str] | None:
    """uv removes files in the order of RECORD, so that of the first row goes first."""
    for row in _rows(distribution, text[: text.index("\n")]):
        kind, detail = _size_problem(row) or (None, "")
        if kind is DamageKind.MISSING:
            return kind, row.path, detail
    return None


def _is_without_installer(distribution: Distribution, text: str) -> bool:
    """Whether this is the RECORD that uv writes last under UV_NO_INSTALLER_METADATA.

    It differs from the wheel's own, whose last row is RECORD itself, in that it is sorted; and
    every file has to be present.
    """
    names = [name for name, _, _ in _fields(text)]
    return names == sorted(names) and not any(map(_size_problem, _rows(distribution, text)))


def size_damage(environment: Environment) -> tuple[Damage, ...]:
    """Every recorded file that is missing or has another size; 50 ms for 13,000 files."""
    return _file_damage(environment, _size_problem)


def hash_damage(environment: Environment) -> tuple[Damage, ...]:
    """Every recorded file with the recorded size and another hash.

    The algorithm is the one named in its row; 0.5 to 2 s for 13,000 files.
    """
    return _file_damage(environment, _hash_problem)


class _Row(NamedTuple):
    """A row of a RECORD: an absolute path, `algorithm=digest` or nothing, a size in bytes."""

    path: str
    digest: str
    size: int | None


_Problem = tuple[DamageKind, str]


def _file_damage(
    environment: Environment, problem_of: Callable[[_Row], _Problem | None]
) -> tuple[Damage, ...]:
    suspects: list[tuple[str, str, _Problem]] = []
    intact = set()
    for distribution in filter(_has_record, distributions(environment)):
        for row in _rows(distribution, _record_text(distribution) or ""):
            if _is_cached_byte_code(row.path):
                continue  # Python compiles it again where it is missing
            problem = problem_of(row)
            if problem:
                suspects.append((distribution.name, row.path, problem))
            else:
                intact.add(row.path)
    # A file that several distributions share is as the one installed last has it.
    return tuple(
        Damage(kind=kind, path=environment.relative(path), distribution=name, detail=detail)
        for name, path, (kind, detail) in suspects
        if path not in intact
    )


def _is_cached_byte_code(path: str) -> bool:
    """Not so a module that was installed without its source, which is elsewhere (PEP 3147)."""
    return path.endswith(".pyc") and Path(path).parent.name == "__pycache__"


def _size_problem(row: _Row) -> _Problem | None:
    try:
        size = os.stat(row.path).st_size  # noqa: PTH116  a Path costs more than the stat
    except FileNotFoundError:
        return DamageKind.MISSING, ""
    except (OSError, ValueError) as error:  # ValueError: a name that this system cannot have
        return DamageKind.MISSING, getattr(error, "strerror", None) or str(error)
    if row.size is None or row.size == size:
        return None
    kind = DamageKind.TRUNCATED if size < row.size else DamageKind.EDITED
    return kind, f"{size} bytes, installed with {row.size}"


def _hash_problem(row: _Row) -> _Problem | None:
    import base64  # 5 ms with the next, and only needed for `--deep`
    import hashlib  # as above

    algorithm, _, expected = row.digest.partition("=")
    # shake has no fixed length
    is_known = algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")
    if not is_known or _size_problem(row):
        return None
    try:
        with os.fdopen(open_regular(row.path), "rb") as file:
            digest = hashlib.file_digest(file, algorithm).digest()
    except OSError as error:
        return DamageKind.EDITED, error.strerror or str(error)
    if base64.urlsafe_b64encode(digest).decode().rstrip("=") == expected.rstrip("="):
        return None
    return DamageKind.EDITED, f"{algorithm} differs"


def _record_text(distribution: Distribution) -> str | None:
    """The text of RECORD; None where the file is missing or not text."""
    content = read_quickly(f"{distribution.path}{os.sep}RECORD")
    try:
        return None if content is None or b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _rows(distribution: Distribution, text: str) -> Iterator[_Row]:
    base = str(distribution.path.parent)
    for name, digest, size in _fields(text):
        is_size = size.isdecimal() and len(size) < _SIZE_DIGITS
        yield _Row(_absolute(base, name), digest, int(size) if is_size else None)


def _fields(text: str) -> Iterator[tuple[str, str, str]]:
    """The path, hash and size of each row, as they are written.

    RECORD is CSV in the dialect of Python's csv module. That module raises for what a garbled file
    may contain, and takes 5 ms longer for 13,000 rows; only the path can need quotes.
    """
    for line in text.split("\n"):
        name, digest, size = (*line.rstrip("\r").rsplit(",", 2), "", "")[:3]
        if name.startswith('"'):
            name = name[1:].removesuffix('"').replace('""', '"')
        if name:
            yield name, digest.strip('"'), size.strip('"')


def _absolute(base: str, name: str) -> str:
    """The path of a row is relative to site-packages, or absolute."""
    if os.sep == "/" and name[0] not in "./" and "/." not in name:
        return f"{base}/{name}"  # there is nothing to normalise, which costs 40 ms for 13,000 rows
    joined = os.path.join(base, name)  # noqa: PTH118  as above
    return os.path.normcase(os.path.normpath(joined))


def orphans(environment: Environment) -> tuple[Damage, ...]:
    """What is in site-packages, or an entry point's script, and is not listed in any RECORD.

    Either left by an interrupted uv, or put there by someone else. A directory without any recorded
    file is one orphan; byte code is none. Empty where an owner cannot be known: while a RECORD is
    missing (check `metadata_damage` first), where an installer writes none (conda, egg-info), and
    in a base Python, which contains more than was installed.
    """
    if is_whole_python(environment) or not all(map(_record_text, distributions(environment))):
        return ()
    owned = owned_files(environment)
    directories = _directories_of(owned)
    entries = (e for path in environment.site_packages for e in directory_entries(path))
    files = (path for entry in entries for path in _unowned(entry, owned, directories))
    scripts = map(os.path.normcase, script_files(environment))
    return tuple(
        Damage(kind=DamageKind.ORPHAN, path=environment.relative(path))
        for path in sorted(
            (*files, *(s for s in scripts if s not in owned and is_written_by_installer(s)))
        )
    )


def owned_files(environment: Environment) -> set[str]:
    """Every path that a RECORD in the environment lists."""
    return {
        row.path
        for distribution in distributions(environment)
        for row in _rows(distribution, _record_text(distribution) or "")
    }


def _directories_of(owned: Iterable[str]) -> set[str]:
    """Every directory that has a recorded file in or below it."""
    directories: set[str] = set()
    for path in owned:
        directory = os.path.dirname(path)  # noqa: PTH120  as above
        while directory not in directories:
            directories.add(directory)
            directory = os.path.dirname(directory)  # noqa: PTH120  as above
    return directories


def _unowned(entry: "os.DirEntry[str]", owned: set[str], directories: set[str]) -> Iterator[str]:
    path = os.path.normcase(entry.path)
    if path in owned or entry.name in UNOWNED_BY_DESIGN:
        return
    if path in directories:
        if entry.is_symlink():
            return  # what it leads to is not the environment's
        inside = (p for e in directory_entries(path) for p in _unowned(e, owned, directories))
        yield from (p for p in inside if not _is_empty_directory(p))
    else:  # even if it is empty: `import pytest` imports an empty directory as a package
        yield path


def _is_empty_directory(path: str) -> bool:
    """Whether it has no files besides byte code; wheels may contain such directories."""
    names = (name for _, _, names in os.walk(path) for name in names)
    return Path(path).is_dir() and all(map(BYTE_CODE.search, names))


def is_written_by_installer(script: str) -> bool:
    """Unlike `activate` and the user's own: a launcher, or the temporary file of uv for one."""
    return Path(script).name.startswith(".tmp") or read_launcher(script) is not None


def damaged_distributions(damages: Iterable[Damage]) -> tuple[str, ...]:
    """The distributions whose metadata to remove, so that the next `uv sync` reinstalls them."""
    return tuple(sorted({d.distribution for d in damages if d.distribution}))


def possible_owners(environment: Environment, damages: Iterable[Damage]) -> tuple[str, ...]:
    """The distributions whose wheels may contain the orphans among `damages`.

    uv before 0.12 installs every file in a wheel, but records only those that the wheel's RECORD
    lists. A file at the top of site-packages may come from any distribution.
    """
    orphans = tuple(environment.path / d.path for d in damages if d.kind is DamageKind.ORPHAN)
    installed = distributions(environment) if orphans else ()
    if any(path.parent in environment.site_packages for path in orphans):
        return tuple(sorted({distribution.name for distribution in installed}))
    parents = (parent for path in orphans for parent in path.parents)
    tops = (parent for parent in parents if parent.parent in environment.site_packages)
    prefixes = tuple(os.path.normcase(f"{top}{os.sep}") for top in tops)
    return tuple(
        sorted(
            {
                distribution.name
                for distribution in installed
                for row in _rows(distribution, _record_text(distribution) or "")
                if row.path.startswith(prefixes)
            }
        )
    )


def can_be_read_by_uv(environment: Environment) -> bool:
    """Whether every file of the metadata is one, and no named pipe at which uv would wait."""
    configuration = environment.path / "pyvenv.cfg"
    folders = (distribution.path for distribution in distributions(environment))
    entries = (entry for folder in folders for entry in directory_entries(folder))
    return (configuration.is_file() or not configuration.exists()) and all(
        entry.is_file() or entry.is_dir() for entry in entries
    )


def needs_rebuild(damages: Iterable[Damage]) -> bool:
    """Whether the environment itself is broken, which reinstalling cannot repair."""
    return any(damage.kind in _BASICS for damage in damages)


def shared_with_cache(environment: Environment, damages: Iterable[Damage]) -> tuple[str, ...]:
    """The distributions whose damaged files are links to those in uv's cache.

    uv would reinstall the same damage, even with `--reinstall --refresh`; only
    `uv cache clean NAME` (or `--no-cache`) makes it download the distribution again.
    """
    changed = (d for d in damages if d.kind in {DamageKind.EDITED, DamageKind.TRUNCATED})
    return damaged_distributions(d for d in changed if _is_link(environment.path / d.path))


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink() or path.stat().st_nlink > 1
    except OSError:
        return False
