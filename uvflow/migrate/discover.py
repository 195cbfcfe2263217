"""Which files an import reads, and what each is to the project; which ones no rule covers."""

import contextlib
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.errors import unreadable
from uvflow.findings import Finding, Origin
from uvflow.migrate.formats.pip.direct_reference import is_outside
from uvflow.migrate.model import FileReport, ImportOptions, InputFile, Role
from uvflow.paths import MANIFEST

# The folder of requirements files that is looked into; all other files lie in the project's root.
FOLDER = "requirements"

_SUFFIX = re.compile(r"\.(?:txt|in)$", re.IGNORECASE)

# What a requirements file is called, once its suffix is gone: the group's name is the match.
_CONSTRAINTS = re.compile(r"constraints?.*|.+[-_.]constraints?", re.IGNORECASE)
_LOWEST = re.compile(r"(?:lower|lowest|min|minimum|oldest)[-_.]constraints?", re.IGNORECASE)
_GROUP = re.compile(
    r"requirements?[-_.](?P<after>.+)|(?P<before>.+)[-_.]requirements?|requirements?",
    re.IGNORECASE,
)
_CONSTRAINTS_FILE = re.compile(r"constraints?\.(?:txt|in)$", re.IGNORECASE)
_PROSE = re.compile(r"readme|licen[cs]e|changelog", re.IGNORECASE)  # in FOLDER, but no group

# A group's name → the group it means; "" is the project's own dependencies.
_MEANINGS = {
    **dict.fromkeys(("", "base", "main", "common", "core", "default", "requirements"), ""),
    **dict.fromkeys(("dev", "develop", "development"), "dev"),
    **dict.fromkeys(("test", "tests", "testing"), "test"),
    **dict.fromkeys(("doc", "docs"), "docs"),
}
_DEVELOPMENT_GROUPS = ("dev", "docs", "test")

_READING_ORDER = (Role.PROJECT, Role.GROUP, Role.CONSTRAINTS, Role.PINS)

# Where other tools declare dependencies, a row for each place: the file, the keys of the table in
# it where the file has more than that, and the tool.
_OTHER_FORMATS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Pipfile", (), "pipenv"),
    ("Pipfile.lock", (), "pipenv"),
    ("environment.yml", (), "conda"),
    ("environment.yaml", (), "conda"),
    (MANIFEST, ("tool", "poetry", "dependencies"), "poetry"),
    (MANIFEST, ("tool", "pdm", "dev-dependencies"), "pdm"),
)

# What makes a folder a project of its own, or not a part of one.
_MARKS_OF_PROJECTS = ("pyproject.toml", "setup.py", "pyvenv.cfg")
_NOT_ENTERED = (".git", "node_modules")


def input_files(
    names: Iterable[str], options: ImportOptions | None = None
) -> tuple[InputFile, ...]:
    """The input files among `names` (POSIX paths relative to the root), project files first.

    `from_files` of `options` replaces what is discovered by name; its `groups` and `constraints`
    come on top, and decide for the files they name.
    """
    options = options or ImportOptions()
    names = sorted(set(names))
    if options.from_files:
        files = {path: InputFile(path=path, role=Role.PROJECT) for path in options.from_files}
    else:
        files = {file.path: file for file in map(input_file, names) if file}
    for name, path in options.groups:
        files[path] = InputFile(path=path, role=Role.GROUP, of=_group_name(name))
    for path in options.constraints:
        files[path] = InputFile(path=path, role=Role.CONSTRAINTS)
    found = sorted(_with_compiled(files, names), key=lambda file: _READING_ORDER.index(file.role))
    places = {file.path: place for place, file in enumerate(found)}
    # Compiled files come last, in the order of their sources.
    return tuple(
        sorted(found, key=lambda f: places.get(f.of, len(places)) if f.role is Role.PINS else -1)
    )


def input_file(name: str) -> InputFile | None:
    """What the file at `name` is to the project, or None for a file that is not looked for."""
    path = PurePosixPath(name)
    folder = str(path.parent)
    if folder not in (".", FOLDER) or not _SUFFIX.search(path.name):
        return None
    if _LOWEST.fullmatch(path.stem):
        return None  # a test of the oldest versions installs them, and nobody else
    if _CONSTRAINTS.fullmatch(path.stem):
        return InputFile(path=name, role=Role.CONSTRAINTS)
    match = _GROUP.fullmatch(path.stem)
    if match is None and (folder == "." or _PROSE.fullmatch(path.stem)):
        return None
    text = path.stem if match is None else match["after"] or match["before"] or ""
    group = _group_name(text)
    group = _MEANINGS.get(group, group)
    return InputFile(path=name, role=Role.GROUP if group else Role.PROJECT, of=group)


def _group_name(text: str) -> str:
    """A normalised name (PEP 735, PEP 503) in ASCII, as uv wants it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", canonicalize_name(plain)).strip("-")
    return name or ("imported" if text else "")


def _with_compiled(files: Mapping[str, InputFile], names: Iterable[str]) -> Iterator[InputFile]:
    """`files`; a `.txt` beside its `.in`, chosen or not, was compiled from it and has the pins."""
    for path, file in files.items():
        base, suffix = posixpath.splitext(path)
        source, compiled = f"{base}.in", f"{base}.txt"
        is_compiled = suffix != ".in" and source in files and source in names
        if is_compiled and file.role is not Role.CONSTRAINTS:
            yield replace(file, role=Role.PINS, of=source)
        else:
            yield file
        if suffix == ".in" and compiled in names and compiled not in files:
            yield InputFile(path=compiled, role=Role.PINS, of=path)


def candidate_files(root: Path, options: ImportOptions) -> list[str]:
    """Files relative to `root` (POSIX); of folders below it, only what may be requirements files.

    That includes what lies beside the files that `options` choose. Raises DiskError.
    """
    folder = root / FOLDER
    try:
        paths = {path for path in root.iterdir() if path.is_file()}
        paths.update(_requirements_files(folder) if folder.is_dir() else ())
        below = [*_folders(root), *(_folders(folder) if folder.is_dir() else ())]
    except OSError as error:
        raise unreadable(str(error.filename or root), error) from error
    chosen = (*options.from_files, *(path for _, path in options.groups))
    beside = (root / posixpath.dirname(path) for path in chosen if not is_outside(path))
    for other in (*below, *beside):
        with contextlib.suppress(OSError):  # a database's data directory is unreadable, for example
            paths.update(_requirements_files(other))
    return sorted(path.relative_to(root).as_posix() for path in paths)


def _requirements_files(folder: Path) -> Iterator[Path]:
    """By their names first: there may be a million files of data."""
    for path in folder.iterdir():
        if _SUFFIX.search(path.name) and path.is_file():
            yield path


def _folders(parent: Path) -> Iterator[Path]:
    for path in parent.iterdir():
        if path.is_dir() and not path.is_symlink() and not _is_foreign(path):
            yield path


def _is_foreign(folder: Path) -> bool:
    is_project = any(os.path.exists(folder / name) for name in _MARKS_OF_PROJECTS)  # noqa: PTH110  that of pathlib raises where it may not look
    return is_project or folder.name in _NOT_ENTERED


def other_formats(names: Iterable[str], manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files that declare dependencies in another tool's format, each with the tool.

    `names` are the files of the root, `manifest` the values of pyproject.toml.
    """
    for path, keys, tool in _OTHER_FORMATS:
        table: Any = manifest
        for key in keys:
            table = table.get(key) if isinstance(table, Mapping) else None
        if table is not None if keys else path in names:
            yield path, tool


def unclaimed_files(names: Iterable[str], files: Iterable[FileReport]) -> Iterator[Finding]:
    """One finding for each folder with requirements files that are not among `files`.

    `names` are all candidate files, as POSIX paths relative to the root.
    """
    imported = {file.path for file in files}
    unclaimed = [name for name in names if name not in imported and _is_requirements_file(name)]
    # What is wanted stands before what was compiled from it.
    unclaimed.sort(key=lambda name: (posixpath.dirname(name), not name.endswith(".in"), name))
    for folder, (first, *others) in groupby(unclaimed, posixpath.dirname):
        more = f", nor {len(others)} more beside it" if others else ""
        reason = f"requirements files are looked for in the root and in {FOLDER}/"
        if folder in ("", FOLDER):
            reason = "it has the lowest versions, not those in use"
        message = f"not imported{more}: {reason}"
        origin = Origin(path=first, line=1)
        yield findings.action("not-looked-for", message, origin, _import_hint(folder, first))


def _is_requirements_file(name: str) -> bool:
    """Whether it would be imported elsewhere; in the root, only lowest constraints are not."""
    folder, base = posixpath.split(name)
    if folder in ("", FOLDER):
        return input_file(name) is None and _CONSTRAINTS_FILE.search(base) is not None
    return input_file(f"{FOLDER}/{base}" if folder.startswith(f"{FOLDER}/") else base) is not None


def _import_hint(folder: str, path: str) -> str:
    if _CONSTRAINTS_FILE.search(path):
        return f"import it with `uvflow init --constraint {path}`"
    # A file in tests/ is for the group test.
    file = input_file(f"{FOLDER}/{posixpath.basename(folder)}.txt")
    group = (file and file.of) or "NAME"
    if group in _DEVELOPMENT_GROUPS:
        return f"import it with `uvflow init --group {group}={path}`"
    return f"`--from {path}` imports it for the project, `--group {group}={path}` for a group"
