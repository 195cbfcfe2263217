"""Which files an import reads, and what each is to the project; which ones no rule covers."""

import contextlib
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.errors import unreadable
from uvflow.findings import Finding, Origin
from uvflow.migrate.formats.pip.direct_reference import is_outside
from uvflow.migrate.model import FileReport, ImportOptions, InputFile, Role

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
    paired = [_as_compiled(file, files, names) for file in files.values()]
    return _in_reading_order([*paired, *_compiled_beside(files, names)])


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


def _as_compiled(file: InputFile, files: Iterable[str], names: Iterable[str]) -> InputFile:
    """A `.txt` beside its `.in` was compiled from it: it holds the pins (pip-tools, uv)."""
    source = _with_suffix(file.path, ".in")
    is_compiled = file.path != source and source in files and source in names
    if not is_compiled or file.role is Role.CONSTRAINTS:
        return file
    return replace(file, role=Role.PINS, of=source)


def _compiled_beside(files: Iterable[str], names: Iterable[str]) -> Iterator[InputFile]:
    """What was compiled from a chosen `.in` file: unnamed, but it keeps versions from moving."""
    for source in files:
        path = _with_suffix(source, ".txt")
        if source.endswith(".in") and path in names and path not in files:
            yield InputFile(path=path, role=Role.PINS, of=source)


def _with_suffix(path: str, suffix: str) -> str:
    return posixpath.splitext(path)[0] + suffix


def _in_reading_order(files: list[InputFile]) -> tuple[InputFile, ...]:
    """The project's before those of groups, and compiled files in the order of their sources."""
    roles = (Role.PROJECT, Role.GROUP, Role.CONSTRAINTS)
    sources = [file for role in roles for file in files if file.role is role]
    compiled = [file for file in files if file.role is Role.PINS]
    positions = {file.path: position for position, file in enumerate(sources)}
    return (*sources, *sorted(compiled, key=lambda file: positions.get(file.of, len(positions))))


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
