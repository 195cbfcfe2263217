"""Requirements files that lie where no rule takes them in: named, so that none is overlooked."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from uvflow.imports import FOLDER, by_name
from uvflow.imports.model import FileReport, Finding, Origin, Severity

_OF_DEVELOPERS = ("dev", "docs", "test")

_CONSTRAINTS = re.compile(r"constraints?\.(?:txt|in)$", re.IGNORECASE)


def told(names: Iterable[str], files: Iterable[FileReport]) -> Iterator[Finding]:
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
        return by_name(name) is None and _CONSTRAINTS.search(base) is not None
    return by_name(f"{FOLDER}/{base}" if folder.startswith(f"{FOLDER}/") else base) is not None


def _by_folder(name: str) -> tuple[str, bool, str]:
    """What is wanted stands before what was compiled from it."""
    return posixpath.dirname(name), not name.endswith(".in"), name


def _not_imported(folder: str, first: str, *others: str) -> Finding:
    more = f", nor {len(others)} more beside it" if others else ""
    why = f"requirements files are looked for in the root and in {FOLDER}/"
    if folder in ("", FOLDER):
        why = "it has the lowest versions, not those in force"
    return Finding(
        severity=Severity.ACTION,
        code="not-looked-for",
        message=f"not imported{more}: {why}",
        origin=Origin(path=first, line=1),
        hint=_hint(folder, first),
    )


def _hint(folder: str, path: str) -> str:
    if _CONSTRAINTS.search(path):
        return f"`uvflow init --constraint {path}` takes it in"
    named = by_name(f"{FOLDER}/{posixpath.basename(folder)}.txt")  # in tests/ it is the group test
    group = (named and named.of) or "NAME"
    if group in _OF_DEVELOPERS:
        return f"`uvflow init --group {group}={path}` takes it in"
    return f"`--from {path}` takes it for the project's own, `--group {group}={path}` for a group"
