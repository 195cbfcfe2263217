"""What other tools left behind, read into values: the table of formats, and which file is which."""

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from uvflow.imports.model import InputFile, Options, Role

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


def roles(names: Iterable[str], options: Options | None = None) -> tuple[InputFile, ...]:
    """The input files among `names` (POSIX paths relative to the root), project files first.

    `from_files` of `options` takes the place of what is found by name; its `groups` and
    `constraints` come on top, and decide for the files they name.
    """
    options = options or Options()
    names = sorted(set(names))
    chosen = _chosen(options)
    found = (_project_file(n) for n in options.from_files) if options.from_files else _found(names)
    files = {**{file.path: file for file in found}, **{file.path: file for file in chosen}}
    paired = [_paired(file, files, names) for file in files.values()]
    return _in_reading_order([*paired, *_compiled_of(files, names)])


def _chosen(options: Options) -> list[InputFile]:
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
    return [file for file in map(by_name, names) if file is not None]


def by_name(name: str) -> InputFile | None:
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
