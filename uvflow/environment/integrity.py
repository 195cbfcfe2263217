"""Is an environment intact? The proof is in its RECORD files; and what to install again if not.

Reads only, and starts no process.

RECORD is specified in "Recording installed projects" (packaging.python.org). What uv does beyond
that was watched with strace on uv 0.9.0 and 0.13.9: it copies the wheel's own RECORD with the
other files, then writes console scripts, REQUESTED, uv_cache.json and INSTALLER, and at last a
RECORD that lists those as well, sorted. It removes files in the order of RECORD.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from uvflow.environment.installed import (
    BYTE_CODE,
    LAUNCHER_SIZE,
    Distribution,
    Environment,
    directory_entries,
    distributions,
    is_launcher,
    is_whole_python,
    leftover_data_directories,
    read_start,
)

# Files in site-packages that belong to no distribution: uv (up to 0.9) and virtualenv write the
# first two into every environment, `uv run --with` the third, macOS the fourth, Python the last.
UNOWNED_BY_DESIGN = {
    "_virtualenv.py",
    "_virtualenv.pth",
    "_uv_ephemeral_overlay.pth",
    ".DS_Store",
    "__pycache__",
}

_LISTING_INSTALLERS = ("uv", "pip", "")  # system packagers may leave RECORD out

_SELF_RECORDING_INSTALLERS = (
    "conda"  # changes what it has installed, and records that elsewhere (conda-meta)
)

_SIZE_DIGITS = 20  # more is no size of a file; int() refuses thousands of them


class DamageKind(StrEnum):
    """What is wrong; the values are read by people."""

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

    `path` is relative to the environment (POSIX) where it lies below it, absolute elsewhere.
    `distribution` is a normalised name, empty where no distribution is concerned.
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
    """What an interrupted uv leaves, as far as the evidence in every dist-info goes.

    Takes about 4 ms for 55 distributions. It sees every interrupted install and most interrupted
    removals; it does not look at files one by one.
    """
    broken = missing_basics(environment)
    if broken:
        return broken
    found = distributions(environment)
    judged = (_commitment(environment, distribution) for distribution in found)
    return (*_duplicates(environment, found), *filter(None, judged), *_unspread(environment))


def missing_basics(environment: Environment) -> tuple[Damage, ...]:
    """What of the environment itself is not there: the directory, its configuration, its Python.

    Ask before uv runs. An environment whose pyvenv.cfg is gone has a `python` that is just a link
    to the base Python; uv then takes the base Python for the environment and removes from it what
    the lockfile does not list (0.9.0 and 0.13.9, where its cache does not know the interpreter).
    """
    if not environment.path.is_dir():
        return (Damage(kind=DamageKind.NO_ENVIRONMENT, path=environment.path.as_posix()),)
    if is_whole_python(environment):
        return ()
    if not environment.site_packages:
        lib = "Lib" if os.name == "nt" else "lib"
        return (Damage(kind=DamageKind.NO_SITE_PACKAGES, path=lib), *_base(environment))
    return tuple(_base(environment))


def _base(environment: Environment) -> Iterator[Damage]:
    home = _home(environment.path / "pyvenv.cfg")
    python = environment.scripts / ("python.exe" if os.name == "nt" else "python")
    if home is None:
        yield Damage(kind=DamageKind.NO_CONFIGURATION, path="pyvenv.cfg")
    elif not home or not Path(home).is_dir():
        yield Damage(kind=DamageKind.NO_INTERPRETER, path="pyvenv.cfg", detail=f"home = {home}")
    if not python.exists():
        yield Damage(kind=DamageKind.NO_INTERPRETER, path=environment.shown(python))


def _home(configuration: Path) -> str | None:
    """The `home` of a pyvenv.cfg, empty where it names none; None where there is no such file."""
    try:
        text = configuration.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"^[ \t]*home[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE | re.IGNORECASE)
    return match[1] if match else ""


def _unspread(environment: Environment) -> Iterator[Damage]:
    for half in leftover_data_directories(environment):
        path = environment.shown(half.path)
        yield Damage(kind=DamageKind.UNFINISHED, path=path, distribution=half.name)


def _duplicates(environment: Environment, found: Iterable[Distribution]) -> Iterator[Damage]:
    by_name = defaultdict(list)
    for distribution in found:
        by_name[distribution.name].append(distribution.path)
    for name, (first, *others) in by_name.items():
        if others:
            shown = environment.shown(first)
            also = ", ".join(path.name for path in others)
            yield Damage(
                kind=DamageKind.DUPLICATE, path=shown, distribution=name, detail=f"also {also}"
            )


def _commitment(environment: Environment, distribution: Distribution) -> Damage | None:
    """What the dist-info tells: the file that an installer writes last is there, and whole."""
    judged = _judged(distribution) if _has_evidence(distribution) else None
    if judged is None:
        return None
    kind, path, detail = judged
    shown = environment.shown(path)
    return Damage(kind=kind, path=shown, distribution=distribution.name, detail=detail)


def _has_evidence(distribution: Distribution) -> bool:
    return (
        distribution.path.suffix == ".dist-info"
        and _installer(distribution) != _SELF_RECORDING_INSTALLERS
    )


def _judged(distribution: Distribution) -> tuple[DamageKind, Path, str] | None:
    names = _names(distribution.path)
    if "METADATA" not in names:
        return DamageKind.NO_METADATA, distribution.path, ""
    if "RECORD" not in names:
        keeps_none = _installer(distribution) not in _LISTING_INSTALLERS
        return None if keeps_none else (DamageKind.UNFINISHED, distribution.path, "no RECORD")
    text = _record_text(distribution)
    if text is None:
        return DamageKind.UNREADABLE, distribution.record, ""
    if not text.endswith("\n"):  # uv truncates and writes it in place
        return DamageKind.UNFINISHED, distribution.record, "cut short"
    if _lists_installer(distribution, text):
        return _begun_removal(distribution, text)
    if "INSTALLER" in names or not _is_uvs_own(distribution, text):
        return DamageKind.UNFINISHED, distribution.record, "does not list INSTALLER"
    return None


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208  names are all that is asked
    except OSError:
        return []


def _installer(distribution: Distribution) -> str:
    written = read_start(f"{distribution.path}{os.sep}INSTALLER") or b""
    return written.decode(errors="replace").strip().lower()


def _lists_installer(distribution: Distribution, text: str) -> bool:
    row = f"{distribution.path.name}/INSTALLER,"
    return f"\n{row}" in text or text.startswith(row)


def _begun_removal(distribution: Distribution, text: str) -> tuple[DamageKind, Path, str] | None:
    """uv removes files in the order of RECORD, so the first row's is the first to go."""
    for row in _rows(distribution, text[: text.index("\n")]):
        kind, detail = _problem(row) or (None, "")
        if kind is DamageKind.MISSING:
            return kind, Path(row.path), detail
    return None


def _is_uvs_own(distribution: Distribution, text: str) -> bool:
    """Whether a RECORD without INSTALLER is the one uv writes under UV_NO_INSTALLER_METADATA.

    It differs from the wheel's, which has itself as the last row, in that it is sorted; and every
    file has to be there.
    """
    names = [name for name, _, _ in _fields(text)]
    return names == sorted(names) and not any(map(_problem, _rows(distribution, text)))


def size_damage(environment: Environment) -> tuple[Damage, ...]:
    """Every recorded file that is not there, or has not its size; 50 ms for 13,000 files."""
    return _compared(environment, _problem)


def hash_damage(environment: Environment) -> tuple[Damage, ...]:
    """Every recorded file that is there with its size, and is not what was installed.

    By the hash in its row, with the algorithm named there; 0.5 to 2 s for 13,000 files.
    """
    return _compared(environment, _difference)


class _Row(NamedTuple):
    """A row of a RECORD: an absolute path, `algorithm=digest` or nothing, a size in bytes."""

    path: str
    digest: str
    size: int | None


_Problem = tuple[DamageKind, str]


def _compared(
    environment: Environment, judge: Callable[[_Row], _Problem | None]
) -> tuple[Damage, ...]:
    suspects: list[tuple[str, str, _Problem]] = []
    sound = set()
    for distribution in distributions(environment):
        for row in _recorded(distribution):
            problem = judge(row)
            if problem:
                suspects.append((distribution.name, row.path, problem))
            else:
                sound.add(row.path)
    # Where distributions share a file, it is as the RECORD of the one installed last says.
    return tuple(
        Damage(kind=kind, path=environment.shown(Path(path)), distribution=name, detail=detail)
        for name, path, (kind, detail) in suspects
        if path not in sound
    )


def _recorded(distribution: Distribution) -> Iterator[_Row]:
    """The rows of RECORD but for byte code, which Python makes anew where it is missing."""
    text = _record_text(distribution) if _has_evidence(distribution) else ""
    return (row for row in _rows(distribution, text or "") if not _is_made_anew(row.path))


def _is_made_anew(path: str) -> bool:
    """Not a module that is installed as byte code alone: that lies beside the others (PEP 3147)."""
    return path.endswith(".pyc") and Path(path).parent.name == "__pycache__"


def _problem(row: _Row) -> _Problem | None:
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


def _difference(row: _Row) -> _Problem | None:
    import base64  # 5 ms with the next, and few look this closely
    import hashlib  # as above

    algorithm, _, digest = row.digest.partition("=")
    is_known = algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")
    if not is_known or _problem(row):  # shake has no length of its own to compare
        return None
    try:
        with Path(row.path).open("rb") as file:
            found = hashlib.file_digest(file, algorithm).digest()
    except OSError as error:
        return DamageKind.EDITED, error.strerror or str(error)
    expected = digest.rstrip("=")
    if base64.urlsafe_b64encode(found).decode().rstrip("=") == expected:
        return None
    return DamageKind.EDITED, f"{algorithm} differs"


def _record_text(distribution: Distribution) -> str | None:
    """The text of RECORD; None where there is none, or it is no text."""
    written = read_start(f"{distribution.path}{os.sep}RECORD")
    try:
        return None if written is None or b"\0" in written else written.decode()
    except UnicodeDecodeError:
        return None


def _rows(distribution: Distribution, text: str) -> Iterator[_Row]:
    base = str(distribution.path.parent)
    for name, digest, size in _fields(text):
        is_size = size.isdecimal() and len(size) < _SIZE_DIGITS
        yield _Row(_located(base, name), digest, int(size) if is_size else None)


def _fields(text: str) -> Iterator[tuple[str, str, str]]:
    """The fields of each row as they are written.

    RECORD is CSV in the dialect of Python's csv module. That module refuses what a garbled file
    may hold, and takes 5 ms longer for 13,000 rows; only the name can need quotes.
    """
    for line in text.split("\n"):
        name, digest, size = (*line.rstrip("\r").rsplit(",", 2), "", "")[:3]
        if name.startswith('"'):
            name = name[1:].removesuffix('"').replace('""', '"')
        if name:
            yield name, digest.strip('"'), size.strip('"')


def _located(base: str, name: str) -> str:
    """The file that a row names: relative to site-packages, or absolute."""
    if os.sep == "/" and name[0] not in "./" and "/." not in name:
        return f"{base}/{name}"  # nothing to resolve, which costs 40 ms for 13,000 rows
    joined = os.path.join(base, name)  # noqa: PTH118  as above
    return os.path.normcase(os.path.normpath(joined))


def orphans(environment: Environment) -> tuple[Damage, ...]:
    """What lies in site-packages and no RECORD owns: left by an interrupted uv, or put there.

    And console scripts that nobody owns. A directory without any recorded file is told as one;
    byte code is not told. Ask when `unfinished` has nothing to say: while a RECORD is missing
    nobody knows who owns what, and the answer is empty. So it is where an installer keeps no
    RECORD (conda, egg-info), and in a whole Python, which has more than what was installed.
    """
    found = distributions(environment)
    if not all(map(_record_text, found)) or is_whole_python(environment):
        return ()
    owned = owned_files(environment)
    folders = _folders(owned)
    entries = (e for path in environment.site_packages for e in directory_entries(path))
    paths = (path for entry in entries for path in _unowned(entry, owned, folders))
    return tuple(
        Damage(kind=DamageKind.ORPHAN, path=environment.shown(Path(path)))
        for path in sorted((*paths, *_unowned_scripts(environment, owned)))
    )


def owned_files(environment: Environment) -> set[str]:
    """Every path that a RECORD in the environment names."""
    return {
        row.path
        for distribution in distributions(environment)
        for row in _rows(distribution, _record_text(distribution) or "")
    }


def _folders(owned: Iterable[str]) -> set[str]:
    """Every directory that a recorded file is in or below."""
    folders: set[str] = set()
    for path in owned:
        folder = os.path.dirname(path)  # noqa: PTH120  as above
        while folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120  as above
    return folders


def _unowned(entry: "os.DirEntry[str]", owned: set[str], folders: set[str]) -> Iterator[str]:
    path = os.path.normcase(entry.path)
    if path in owned or entry.name in UNOWNED_BY_DESIGN:
        return
    if path in folders:
        if entry.is_symlink():
            return  # what is behind a link is somebody else's
        below = (p for inner in directory_entries(path) for p in _unowned(inner, owned, folders))
        yield from (p for p in below if not _is_hollow(p))
    else:  # hollow or not: `import pytest` takes an empty directory for a package
        yield path


def _is_hollow(path: str) -> bool:
    """Whether this is a directory without files but byte code; wheels may bring such along."""
    names = (name for _, _, names in os.walk(path) for name in names)
    return Path(path).is_dir() and all(map(BYTE_CODE.search, names))


def _unowned_scripts(environment: Environment, owned: set[str]) -> Iterator[str]:
    """Not what merely lies there: `activate`, the interpreter, a user's own scripts."""
    for entry in directory_entries(environment.scripts):
        path = os.path.normcase(entry.path)
        if (
            path not in owned
            and entry.is_file(follow_symlinks=False)
            and is_written_by_installer(path)
        ):
            yield path


def is_written_by_installer(path: str) -> bool:
    """Whether an installer wrote this: uv's temporary file, or the launcher of an entry point."""
    if Path(path).name.startswith(".tmp"):
        return True
    try:
        return is_launcher(Path(path).read_bytes()[:LAUNCHER_SIZE])
    except OSError:
        return False


def damaged_distributions(damages: Iterable[Damage]) -> tuple[str, ...]:
    """The distributions to forget, so that the next `uv sync` installs them again."""
    return tuple(sorted({d.distribution for d in damages if d.distribution}))


def possible_owners(environment: Environment, damages: Iterable[Damage]) -> tuple[str, ...]:
    """The distributions that may have brought the orphans among `damages`.

    uv before 0.12 installs all that a wheel holds, and lists what the wheel's RECORD does. Whose a
    file at the top of site-packages is cannot be told, so there it is any distribution.
    """
    orphans = tuple(environment.path / d.path for d in damages if d.kind is DamageKind.ORPHAN)
    found = distributions(environment) if orphans else ()
    if any(path.parent in environment.site_packages for path in orphans):
        return tuple(sorted({distribution.name for distribution in found}))
    parents = (parent for path in orphans for parent in path.parents)
    below = (parent for parent in parents if parent.parent in environment.site_packages)
    tops = tuple(os.path.normcase(f"{folder}{os.sep}") for folder in below)
    return tuple(sorted({d.name for d in found if _has_below(d, tops)}))


def _has_below(distribution: Distribution, folders: tuple[str, ...]) -> bool:
    rows = _rows(distribution, _record_text(distribution) or "")
    return any(row.path.startswith(folders) for row in rows)


def needs_rebuild(damages: Iterable[Damage]) -> bool:
    """Whether the environment itself is broken, which no reinstallation mends."""
    return any(damage.kind in _BASICS for damage in damages)


def shared_with_cache(environment: Environment, damages: Iterable[Damage]) -> tuple[str, ...]:
    """The distributions whose damaged files are uv's cached ones as well, by a link.

    uv would install the same damage again, even with `--reinstall --refresh`; only
    `uv cache clean NAME` (or `--no-cache`) makes it fetch the distribution anew.
    """
    changed = (d for d in damages if d.kind in {DamageKind.EDITED, DamageKind.TRUNCATED})
    return damaged_distributions(d for d in changed if _is_link(environment.path / d.path))


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink() or path.stat().st_nlink > 1
    except OSError:
        return False
