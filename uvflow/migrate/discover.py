"""The files that an import reads and their roles, and those for which there is no rule."""

import contextlib
import importlib
import itertools
import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from uvflow import findings
from uvflow.errors import DiskError, shell_command
from uvflow.findings import Finding, Origin
from uvflow.migrate import formats
from uvflow.migrate.formats.local_project import read_if_there, text_of
from uvflow.migrate.formats.pip.direct_reference import is_outside
from uvflow.migrate.formats.pip.requirements_txt import parse_requirements
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import (
    FileReport,
    ImportedRequirements,
    ImportOptions,
    InputFile,
    Read,
    Role,
)
from uvflow.migrate.toml_lines import value_at
from uvflow.paths import MANIFEST

# The folder of requirements files, where each file is named after its group, and other names of it.
# There, in a single folder within it, and in the root, plain names such as `dev.txt` have a role.
FOLDER = "requirements"
_FOLDERS = ("requirement", "reqs", "req", "deps", "dependencies")
_PLAIN = re.compile(
    r"(?:prod(?:uction)?|base|main|dev(?:elopment)?|tests?|docs?|lint)\.(?:txt|in)", re.IGNORECASE
)

_SUFFIX = re.compile(r"\.(?:txt|in)$", re.IGNORECASE)

# Names of requirements files without the suffix: the group's name is the match.
_CONSTRAINTS = re.compile(r"constraints?.*|.+[-_.]constraints?", re.IGNORECASE)
_LOWEST = re.compile(r"(?:lower|lowest|min|minimum|oldest)[-_.]constraints?", re.IGNORECASE)
_GROUP = re.compile(
    r"requirements?[-_.](?P<after>.+)|(?P<before>.+)[-_.]requirements?|requirements?", re.IGNORECASE
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
# The groups that are the project's own dependencies where no file is called as those are.
_IN_PLACE_OF_PROJECT = (
    *("prod", "production", "deploy", "runtime", "versions", "pinned"),
    *("lock", "locked", "freeze", "frozen"),
)

_READING_ORDER = (Role.PROJECT, Role.GROUP, Role.CONSTRAINTS)

CountLines = Callable[[str], int | None]


class Format(NamedTuple):
    """A place where another tool declares a project: a file, or the table `keys` of pyproject.toml.

    A file counts only if it matches `pattern`. `reader` is the function of formats/ that reads it,
    as MODULE.NAME, "" for a format that is not supported. One that `is_aside` counts after all
    others. The reader of the path or the format `beside` reads this one as well.
    """

    name: str
    path: str
    reader: str = ""
    keys: tuple[str, ...] = ()
    pattern: str = ""
    is_aside: bool = False
    beside: str = ""

    @property
    def title(self) -> str:
        """The place in a message: `[tool.pdm] of pyproject.toml`, or the path."""
        return f"[{'.'.join(self.keys)}] of {self.path}" if self.keys else self.path

    def is_in(self, read_file: Read) -> bool:
        """Whether the file, which exists, declares a project."""
        text = text_of(self.path, read_file) if self.pattern else ""
        return re.search(self.pattern, text) is not None

    def read(self, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
        """Import it; `read_file` reads files of the root."""
        # Most projects have none of them, and all together take 30 ms to import.
        module, _, name = self.reader.partition(".")
        reader = getattr(importlib.import_module(f"{formats.__name__}.{module}"), name)
        imported: ImportedRequirements = reader(self.path, read_file, outcomes)
        return imported


_PYLOCK = "pins_files.read_lock"

# The first that declares dependencies counts.
_FORMATS = (
    Format("poetry", MANIFEST, "poetry.read", keys=("tool", "poetry")),
    Format("pdm", MANIFEST, "pdm.read", keys=("tool", "pdm")),
    Format("pip-tools", MANIFEST, "legacy.read_pip_tools", keys=("tool", "pip-tools")),
    Format("pip-tools", ".pip-tools.toml", "legacy.read_pip_tools"),
    Format("rye", MANIFEST, "legacy.read_rye", keys=("tool", "rye")),
    Format("flit", MANIFEST, "legacy.read_flit", keys=("tool", "flit", "metadata")),
    Format("hatch", MANIFEST, "hatch.read", keys=("tool", "hatch")),
    Format("hatch", "hatch.toml", "hatch.read"),
    Format(
        *("uv", MANIFEST, "legacy.read_uv", ("tool", "uv")),
        pattern=r"(?m)^\s*(?:dev-dependencies|extra-index-url|index-url)\s*=",  # of an early one
    ),
    Format("tox", "tox.ini", "tox.read"),
    Format("tox", "tox.toml", "tox.read", beside="tox.ini"),  # tox reads the first of them
    Format("pdm.lock", "pdm.lock", _PYLOCK, is_aside=True),
    # Beside a [project] alone; [tool.poetry] is read along with it.
    Format("poetry.lock", "poetry.lock", _PYLOCK, beside="poetry", is_aside=True),
    Format("pylock", "pylock.toml", _PYLOCK, is_aside=True),
    Format("pipenv", "Pipfile", "pipenv.read"),
    Format("pipenv", "Pipfile.lock", beside="Pipfile"),
    Format(
        *("setuptools", "setup.cfg", "setuptools.read"),
        # It may hold nothing but the settings of linters, or the place of a licence.
        pattern=r"(?m)^\[options\]|^\[metadata\][^\[]*^[ \t]*name\b",
    ),
    Format(
        *("setuptools", "setup.py", "setuptools.read"), pattern=r"\bsetup\s*\(", beside="setup.cfg"
    ),
    Format("pixi", "pixi.toml", is_aside=True),
    Format("pixi", MANIFEST, keys=("tool", "pixi"), is_aside=True),
    *(
        Format("conda", f"{name}.{end}", "conda.read", is_aside=True)
        for name in ("environment", "conda", "env")
        for end in ("yml", "yaml")
    ),
)

# What else an environment of conda's is called.
_CONDA = re.compile(r"(?:.+[-_.])?(?:conda|env|environment)(?:[-_.].+)?\.ya?ml", re.IGNORECASE)

# Files of a folder that is a project of its own, or an environment.
_MARKS_OF_PROJECTS = ("pyproject.toml", "setup.py", "pyvenv.cfg")
_NOT_ENTERED = (".git", "node_modules")
_MOST_FOLDERS = 1_000  # in one folder

_MOST_INSPECTED = 64 * 1024  # bytes of a file whose name does not say what it is

# A requirement has this, a line of a list of words does not.
_NO_WORD = re.compile(r"[=<>~!]=|[<>@;\[]|://|^\.")


def requirement_lines(path: str, read_file: Read) -> int | None:
    """The number of lines at `path` that only pip can read; None where pip cannot read more lines.

    Of a long file only the head counts. A list of words, which could be names, has 0.
    """
    data = read_if_there(path, read_file) or b""
    if len(data) > _MOST_INSPECTED:
        data = data[: data.rfind(b"\n", 0, _MOST_INSPECTED) + 1]
    file = parse_requirements(data, path)
    if file.problem:  # its encoding, of which an import will complain
        file = parse_requirements(data, path, "latin-1")
    meant = unread = 0
    for line in file.lines:
        needs = line.requirement
        found = read_requirement(line, ImportOptions(), _no_files).findings if needs else ()
        if line.problem or any(finding.code == "invalid-requirement" for finding in found):
            unread += 1
        elif line.options or _NO_WORD.search(needs):
            meant += 1
    return meant if file.lines and unread <= meant else None


def _no_files(path: str) -> bytes:
    raise FileNotFoundError(path)


def input_files(
    names: Iterable[str],
    options: ImportOptions | None = None,
    count_lines: CountLines = lambda _path: None,
) -> tuple[InputFile, ...]:
    """The input files among `names` (POSIX paths relative to the root), project files first.

    `count_lines` is `requirement_lines` of one of them. `from_files` of `options` replaces what is
    discovered by name; its `groups` and `constraints` are added, and decide for the files they
    name.
    """
    options = options or ImportOptions()
    names = sorted(set(names))
    if options.from_files:
        of_tools = {each.path for each in (*_FORMATS, *_by_name(names, options.from_files))}
        chosen = (path for path in options.from_files if path not in of_tools)
        files = {path: InputFile(path=path, role=Role.PROJECT) for path in chosen}
    else:
        files = _discovered_files(names, count_lines)
    for name, path in options.groups:
        files[path] = InputFile(path=path, role=Role.GROUP, of=_group_name(name))
    for path in options.constraints:
        files[path] = InputFile(path=path, role=Role.CONSTRAINTS)
    found = list(_with_compiled(files, names))
    sources = [file for role in _READING_ORDER for file in found if file.role is role]
    # Compiled files come last, in the order of their sources.
    pins = [f for source in sources for f in found if (f.role, f.of) == (Role.PINS, source.path)]
    return (*sources, *pins)


def _discovered_files(names: list[str], count_lines: CountLines) -> dict[str, InputFile]:
    files = {file.path: file for file in map(input_file, names) if file}
    files |= {file.path: file for file in _plain_files(names, count_lines)}
    if all(file.role is not Role.PROJECT for file in files.values()):
        for path, file in files.items():
            if file.role is Role.GROUP and file.of in _IN_PLACE_OF_PROJECT:
                files[path] = InputFile(path=path, role=Role.PROJECT)
    return files


def input_file(name: str) -> InputFile | None:
    """The role of the file `name` by that name; None where it has none."""
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
    text = path.stem
    if match:
        text = match["after"] or match["before"] or ""
    group = _group_name(text)
    group = _MEANINGS.get(group, group)
    return InputFile(path=name, role=Role.GROUP if group else Role.PROJECT, of=group)


def _plain_files(names: Collection[str], count_lines: CountLines) -> Iterator[InputFile]:
    """Files such as `dev.txt`: in the root where their content is clear, and in a single folder."""
    counts = {n: count_lines(n) for n in names if "/" not in n and _PLAIN.fullmatch(n)}
    plain = [name for name, count in counts.items() if count is not None]
    if len(plain) > 1 or any(counts.values()):
        yield from (_in_folder(name) for name in plain)
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, base = posixpath.split(name)
        is_clear = _PLAIN.fullmatch(base) or input_file(base)
        if is_clear and _is_folder(folder, names) and count_lines(name) is not None:
            folders.setdefault(folder, []).append(name)
    if len(folders) == 1:
        (in_folder,) = folders.values()
        yield from map(_in_folder, in_folder)


def _is_folder(folder: str, names: Collection[str]) -> bool:
    """Whether `folder` is for requirements files; one in FOLDER is, if that has no other files."""
    parent, base = posixpath.split(folder)
    is_within = parent == FOLDER and all(posixpath.dirname(name) != FOLDER for name in names)
    return is_within or (not parent and base.lower() in _FOLDERS)


def _in_folder(path: str) -> InputFile:
    """The role that the file at `path` would have in the folder of requirements files."""
    file = input_file(f"{FOLDER}/{posixpath.basename(path)}")
    return file._replace(path=path) if file else InputFile(path=path, role=Role.PROJECT)


def _group_name(text: str) -> str:
    return plain_name(text) or ("imported" if text else "")


def plain_name(text: str) -> str:
    """A normalised name (PEP 735, PEP 503) in ASCII, as uv wants it; empty where nothing is."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")


def _with_compiled(files: Mapping[str, InputFile], names: Iterable[str]) -> Iterator[InputFile]:
    """`files`, with the role PINS for a `.txt` beside its `.in`: it was compiled from that."""
    for path, file in files.items():
        base, suffix = posixpath.splitext(path)
        source, compiled = f"{base}.in", f"{base}.txt"
        is_compiled = suffix != ".in" and source in files and source in names
        if is_compiled and file.role is not Role.CONSTRAINTS:
            yield file._replace(role=Role.PINS, of=source)
        else:
            yield file
        if suffix == ".in" and compiled in names and compiled not in files:
            yield InputFile(path=compiled, role=Role.PINS, of=path)


def candidate_files(root: Path, options: ImportOptions) -> list[str]:
    """The files in `root`, and what may be requirements files in two levels of folders below it.

    Also beside the files that `options` choose. Relative to `root` (POSIX). Raises DiskError.
    """
    folder = root / FOLDER
    parents = (root, folder) if folder.is_dir() else (root,)
    try:
        paths = {path for path in root.iterdir() if path.is_file()}
        paths.update(path for parent in parents for path in _requirements_files(parent))
        below = [path for parent in parents for path in _folders(parent) if not _is_foreign(path)]
    except OSError as error:
        problem = f"{error.filename or root} cannot be read"
        raise DiskError(problem, cause=error.strerror) from error
    chosen = (*options.from_files, *(path for _, path in options.groups))
    beside = (root / posixpath.dirname(path) for path in chosen if not is_outside(path))
    for other in (*below, *beside):
        with contextlib.suppress(OSError):  # a database's data directory is unreadable, for example
            paths.update(_requirements_files(other))
    if len(below) > _MOST_FOLDERS:
        below = []
    linked = folder.resolve()  # whose files have their names from FOLDER
    for outer in below:
        with contextlib.suppress(OSError):
            for inner in itertools.islice(_folders(outer), _MOST_FOLDERS):
                found = [path for path in _requirements_files(inner) if input_file(path.name)]
                if found and inner != linked and not _is_foreign(inner):
                    paths.update(found)
    names = {path.relative_to(root).as_posix() for path in paths}
    return sorted(names.difference(options.ignored))


def _requirements_files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:  # by name first: there may be a million files of data
            is_named = _SUFFIX.search(entry.name) or _CONDA.fullmatch(entry.name)
            if is_named and entry.is_file():
                yield folder / entry.name


def _folders(parent: Path) -> Iterator[Path]:
    with os.scandir(parent) as entries:
        for entry in entries:
            if entry.name not in _NOT_ENTERED and entry.is_dir(follow_symlinks=False):
                yield parent / entry.name


def _is_foreign(folder: Path) -> bool:
    return any(os.path.exists(folder / name) for name in _MARKS_OF_PROJECTS)  # noqa: PTH110  that of pathlib raises where it may not look


def _by_name(names: Iterable[str], chosen: Collection[str] = ()) -> Iterator[Format]:
    """Further formats by a file's name; an environment of conda is read only where `chosen`."""
    known = {each.path for each in _FORMATS}
    for path in sorted({*names} - known):
        if path in chosen and path.endswith((".yml", ".yaml")):
            yield Format("conda", path, "conda.read", is_aside=True)
        elif _CONDA.fullmatch(posixpath.basename(path)):
            yield Format("conda", path, pattern=r"(?m)^dependencies\s*:", is_aside=True)
        elif re.fullmatch(r"pylock\.[^./]+\.toml", path):
            yield Format("pylock", path, _PYLOCK, is_aside=True)


def formats_in(
    names: Iterable[str], manifest: Mapping[str, Any], options: ImportOptions, read_file: Read
) -> list[Format]:
    """The formats of other tools that declare the project, in the order in which they count.

    `names` are the files of the root, `manifest` the values of pyproject.toml.
    """
    chosen = options.from_files or [*names, MANIFEST]
    found: list[Format] = []
    left = ""
    match manifest:
        case {"project": _} | {"tool": {"poetry": _}}:
            left = "setuptools"  # it is not the build backend, or reads nothing else
        case {"build-system": {"build-backend": str(name)}} if not name.startswith("setuptools"):
            left = "setuptools"
    for each in (*_FORMATS, *_by_name(names, options.from_files)):
        exists = each.path in names
        if each.keys:
            exists = value_at(manifest, each.keys) is not None
        is_chosen = each.path in chosen and each.path not in options.ignored
        is_read = any(each.beside in (other.path, other.name) for other in found)
        if exists and is_chosen and not is_read and each.name != left and each.is_in(read_file):
            found.append(each)
    return found


def unclaimed_files(
    names: Iterable[str], files: Iterable[FileReport], count_lines: CountLines = lambda _path: None
) -> Iterator[Finding]:
    """A finding for each requirements file that is not among `files`, nor compiled from a `.in`.

    `names` are all candidate files, as POSIX paths relative to the root.
    """
    others = {*names} - {file.path for file in files}
    unclaimed = {name for name in others if _has_requirements(name, count_lines)}
    for name in sorted(unclaimed):
        base, suffix = posixpath.splitext(name)
        if suffix == ".txt" and f"{base}.in" in unclaimed:
            continue
        reason = f"requirements files are looked for in the root and in {FOLDER}/"
        if _has_own_role(name):
            reason = "its name does not say what it is for"
        origin = Origin(path=name, line=1)
        message = f"not imported: {reason}"
        yield findings.action("not-looked-for", message, origin, _import_hint(name))


def _has_own_role(name: str) -> bool:
    """Whether the file is in a folder where files have roles by their names."""
    return posixpath.dirname(name).lower() in ("", FOLDER, *_FOLDERS)


def _has_requirements(name: str, count_lines: CountLines) -> bool:
    """By the name; in the root and in folders of requirements files also by the content."""
    folder, base = posixpath.split(name)
    stem, suffix = posixpath.splitext(base)
    if not _SUFFIX.fullmatch(suffix):
        return False
    if not _has_own_role(name):
        is_within = folder.startswith(f"{FOLDER}/")
        return input_file(f"{FOLDER}/{base}" if is_within else base) is not None
    if _LOWEST.fullmatch(stem) and folder in ("", FOLDER):
        return True
    if folder == FOLDER or _PROSE.fullmatch(stem):
        return False
    count = count_lines(name)
    return count is not None and bool(folder or count or _PLAIN.fullmatch(base))


def _import_hint(path: str) -> str:
    if _CONSTRAINTS_FILE.search(path):
        return f"import it with {shell_command('uvflow', 'init', '--constraint', path)}"
    # A file in tests/ is for the group test.
    folder = posixpath.dirname(path)
    group = _in_folder(path if _has_own_role(path) else f"{folder}.txt").of or "NAME"
    of_group = shell_command("--group", f"{group}={path}")
    return f"{shell_command('--from', path)} imports it for the project, {of_group} for a group"
