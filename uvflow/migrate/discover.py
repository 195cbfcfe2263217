"""Which files an import reads, and what each is to the project; which ones no rule covers."""

import contextlib
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.errors import unreadable
from uvflow.findings import Finding, Origin
from uvflow.migrate.formats.pip import direct_reference
from uvflow.migrate.model import FileReport, ImportOptions, InputFile, Role

# The folder of requirements files that is looked into; all other files lie in the project's root.
FOLDER = "requirements"

# A format → the names of its files, below the root or below FOLDER.
FORMATS = {"requirements": re.compile(r"\.(?:txt|in)$", re.IGNORECASE)}

# What a requirements file is called, once its suffix is gone: the group's name is the match.
_CONSTRAINTS = re.compile(r"constraints?.*|.+[-_.]constraints?", re.IGNORECASE)
_LOWEST = re.compile(r"(?:lower|lowest|min|minimum|oldest)[-_.]constraints?", re.IGNORECASE)
_GROUP = re.compile(
    r"requirements?[-_.](?P<after>.+)|(?P<before>.+)[-_.]requirements?|requirements?",
    re.IGNORECASE,
)
_PROSE = re.compile(r"readme|licen[cs]e|changelog", re.IGNORECASE)  # in FOLDER, but no group

# A group's name → the group it means; "" is the project's own dependencies.
_MEANINGS = {
    **dict.fromkeys(("", "base", "main", "common", "core", "default", "requirements"), ""),
    **dict.fromkeys(("dev", "develop", "development"), "dev"),
    **dict.fromkeys(("test", "tests", "testing"), "test"),
    **dict.fromkeys(("doc", "docs"), "docs"),
}


def input_files(
    names: Iterable[str], options: ImportOptions | None = None
) -> tuple[InputFile, ...]:
    """The input files among `names` (POSIX paths relative to the root), project files first.

    `from_files` of `options` takes the place of what is found by name; its `groups` and
    `constraints` come on top, and decide for the files they name.
    """
    options = options or ImportOptions()
    names = sorted(set(names))
    chosen = _chosen(options)
    found = (_project_file(n) for n in options.from_files) if options.from_files else _found(names)
    files = {**{file.path: file for file in found}, **{file.path: file for file in chosen}}
    paired = [_paired(file, files, names) for file in files.values()]
    return _in_reading_order([*paired, *_compiled_of(files, names)])


def _chosen(options: ImportOptions) -> list[InputFile]:
    return [
        *(
            InputFile(path=p, format="requirements", role=Role.GROUP, of=_group_name(name))
            for name, p in options.groups
        ),
        *(
            InputFile(path=p, format="requirements", role=Role.CONSTRAINTS)
            for p in options.constraints
        ),
    ]


def _project_file(path: str) -> InputFile:
    return InputFile(path=path, format="requirements", role=Role.PROJECT)


def _found(names: Iterable[str]) -> list[InputFile]:
    return [file for file in map(input_file, names) if file is not None]


def input_file(name: str) -> InputFile | None:
    """What the file at `name` is to the project; None where it is none that is looked for."""
    path = PurePosixPath(name)
    folder = str(path.parent)
    if folder not in (".", FOLDER) or not FORMATS["requirements"].search(path.name):
        return None
    if _LOWEST.fullmatch(path.stem):
        return None  # what a test of the oldest versions installs: nobody else has them
    if _CONSTRAINTS.fullmatch(path.stem):
        return InputFile(path=name, format="requirements", role=Role.CONSTRAINTS)
    match = _GROUP.fullmatch(path.stem)
    if match is None and (folder == "." or _PROSE.fullmatch(path.stem)):
        return None
    group = path.stem if match is None else match["after"] or match["before"] or ""
    return _in_group(name, _group_name(group))


def _group_name(text: str) -> str:
    """A normalised name (PEP 735, PEP 503) in ASCII, as uv wants it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", canonicalize_name(plain)).strip("-")
    return name or ("imported" if text else "")


def _in_group(path: str, name: str) -> InputFile:
    group = _MEANINGS.get(name, name)
    role = Role.GROUP if group else Role.PROJECT
    return InputFile(path=path, format="requirements", role=role, of=group)


def _paired(file: InputFile, files: Iterable[str], names: Iterable[str]) -> InputFile:
    """A `.txt` beside its `.in` was compiled from it: it holds the pins (pip-tools, uv)."""
    source = _with_suffix(file.path, ".in")
    is_compiled = file.path != source and source in files and source in names
    if not is_compiled or file.role is Role.CONSTRAINTS:
        return file
    return InputFile(path=file.path, format=file.format, role=Role.PINS, of=source)


def _compiled_of(files: Iterable[str], names: Iterable[str]) -> list[InputFile]:
    """What was compiled from a chosen `.in` file; nobody names it, and versions are not to move."""
    compiled = {_with_suffix(path, ".txt"): path for path in files if path.endswith(".in")}
    return [
        InputFile(path=path, format="requirements", role=Role.PINS, of=source)
        for path, source in compiled.items()
        if path in names and path not in files
    ]


def _with_suffix(path: str, suffix: str) -> str:
    return posixpath.splitext(path)[0] + suffix


_READING_ORDER = (Role.PROJECT, Role.GROUP, Role.CONSTRAINTS)


def _in_reading_order(files: list[InputFile]) -> tuple[InputFile, ...]:
    """The project's before those of groups, and compiled files in the order of their sources."""
    sources = [file for role in _READING_ORDER for file in files if file.role is role]
    compiled = [file for file in files if file.role is Role.PINS]
    places = {file.path: place for place, file in enumerate(sources)}
    return (*sources, *sorted(compiled, key=lambda file: places.get(file.of, len(places))))


# What makes a folder a project of its own, or no part of one.
_OF_THEIR_OWN = ("pyproject.toml", "setup.py", "pyvenv.cfg")
_NOT_ENTERED = (".git", "node_modules")


def candidate_files(root: Path, options: ImportOptions) -> list[str]:
    """Files relative to `root` (POSIX); of folders below it, only what may be requirements files.

    That includes what lies beside the files that `options` choose. Raises DiskError.
    """
    folder = root / FOLDER
    try:
        found = {path for path in root.iterdir() if path.is_file()}
        found.update(_candidates(folder) if folder.is_dir() else ())
        below = [*_folders(root), *(_folders(folder) if folder.is_dir() else ())]
    except OSError as error:
        raise unreadable(str(error.filename or root), error) from error
    for other in (*below, *_chosen_folders(root, options)):
        with contextlib.suppress(OSError):  # there may be a database's, for its own eyes
            found.update(_candidates(other))
    return sorted(path.relative_to(root).as_posix() for path in found)


def _folders(parent: Path) -> Iterator[Path]:
    for path in parent.iterdir():
        if path.is_dir() and not path.is_symlink() and not _is_foreign(path):
            yield path


def _chosen_folders(root: Path, options: ImportOptions) -> Iterator[Path]:
    for path in (*options.from_files, *(path for _, path in options.groups)):
        if not direct_reference.is_outside(path):
            yield (root / path).parent


def _is_foreign(folder: Path) -> bool:
    is_marked = any(os.path.exists(folder / name) for name in _OF_THEIR_OWN)  # noqa: PTH110  that of pathlib raises where it may not look
    return is_marked or folder.name in _NOT_ENTERED


def _candidates(folder: Path) -> Iterator[Path]:
    """By their names first: there may be a million files of data."""
    for path in folder.iterdir():
        if FORMATS["requirements"].search(path.name) and path.is_file():
            yield path


_OF_DEVELOPERS = ("dev", "docs", "test")

_CONSTRAINTS_FILE = re.compile(r"constraints?\.(?:txt|in)$", re.IGNORECASE)


def unclaimed_files(names: Iterable[str], files: Iterable[FileReport]) -> Iterator[Finding]:
    """One finding for each folder with requirements files that are not among `files`.

    `names` are all that was looked at, as POSIX paths relative to the root.
    """
    imported = {file.path for file in files}
    left = [name for name in names if name not in imported and _is_one(name)]
    for folder, found in groupby(sorted(left, key=_by_folder), posixpath.dirname):
        yield _not_imported(folder, *found)


def _is_one(name: str) -> bool:
    folder, base = posixpath.split(name)
    if folder in ("", FOLDER):
        return input_file(name) is None and _CONSTRAINTS_FILE.search(base) is not None
    return input_file(f"{FOLDER}/{base}" if folder.startswith(f"{FOLDER}/") else base) is not None


def _by_folder(name: str) -> tuple[str, bool, str]:
    """What is wanted stands before what was compiled from it."""
    return posixpath.dirname(name), not name.endswith(".in"), name


def _not_imported(folder: str, first: str, *others: str) -> Finding:
    more = f", nor {len(others)} more beside it" if others else ""
    why = f"requirements files are looked for in the root and in {FOLDER}/"
    if folder in ("", FOLDER):
        why = "it has the lowest versions, not those in force"
    return findings.action(
        "not-looked-for",
        f"not imported{more}: {why}",
        Origin(path=first, line=1),
        _hint(folder, first),
    )


def _hint(folder: str, path: str) -> str:
    if _CONSTRAINTS_FILE.search(path):
        return f"`uvflow init --constraint {path}` takes it in"
    named = input_file(
        f"{FOLDER}/{posixpath.basename(folder)}.txt"
    )  # in tests/ it is the group test
    group = (named and named.of) or "NAME"
    if group in _OF_DEVELOPERS:
        return f"`uvflow init --group {group}={path}` takes it in"
    return f"`--from {path}` takes it for the project's own, `--group {group}={path}` for a group"
