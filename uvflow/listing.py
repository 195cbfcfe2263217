"""The files that an import looks at by their names: in the root, and in the folders below it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from uvflow import imports
from uvflow.errors import unreadable
from uvflow.imports import places
from uvflow.imports.model import Options

# What makes a folder a project of its own, or no part of one.
_OF_THEIR_OWN = ("pyproject.toml", "setup.py", "pyvenv.cfg")
_NOT_ENTERED = (".git", "node_modules")


def names(root: Path, options: Options) -> list[str]:
    """Files relative to `root` (POSIX); of folders below it, only what may be requirements files.

    That includes what lies beside the files that `options` choose. Raises DiskError.
    """
    folder = root / imports.FOLDER
    try:
        found = {path for path in root.iterdir() if path.is_file()}
        found.update(_candidates(folder) if folder.is_dir() else ())
        below = [*_folders(root), *(_folders(folder) if folder.is_dir() else ())]
    except OSError as error:
        raise unreadable(str(error.filename or root), error) from error
    for other in (*below, *_chosen(root, options)):
        with contextlib.suppress(OSError):  # there may be a database's, for its own eyes
            found.update(_candidates(other))
    return sorted(path.relative_to(root).as_posix() for path in found)


def _folders(parent: Path) -> Iterator[Path]:
    for path in parent.iterdir():
        if path.is_dir() and not path.is_symlink() and not _is_foreign(path):
            yield path


def _chosen(root: Path, options: Options) -> Iterator[Path]:
    for path in (*options.from_files, *(path for _, path in options.groups)):
        if not places.is_outside(path):
            yield (root / path).parent


def _is_foreign(folder: Path) -> bool:
    is_marked = any(os.path.exists(folder / name) for name in _OF_THEIR_OWN)  # noqa: PTH110  that of pathlib raises where it may not look
    return is_marked or folder.name in _NOT_ENTERED


def _candidates(folder: Path) -> Iterator[Path]:
    """By their names first: there may be a million files of data."""
    for path in folder.iterdir():
        if imports.FORMATS["requirements"].search(path.name) and path.is_file():
            yield path
