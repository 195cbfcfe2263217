"""Taking away what is damaged in an environment, so that the next `uv sync` installs it again."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from uvflow.environment import (
    BYTE_CODE,
    Environment,
    distributions,
    is_whole_python,
    listed,
    unspread,
)
from uvflow.errors import UsageError, unwritable
from uvflow.proof import Damage, Kind

# What a virtual environment has at its top; packages may add data files.
_USUAL = {
    *(".gitignore", ".lock", ".uvflow-journal", "CACHEDIR.TAG"),
    *("bin", "include", "lib", "lib64", "share", "Include", "Lib", "Scripts"),
}


def forget_distributions(environment: Environment, names: Iterable[str]) -> None:
    """Remove the metadata of the named, so that the next `uv sync` installs them again.

    uv overwrites their files, whatever its link mode; what the new version does not have is left
    to `remove_orphans`. Raises DiskError.
    """
    names = set(names)
    for half in unspread(environment):
        if half.name in names:
            _remove(half.path)
    for distribution in distributions(environment):
        if distribution.name in names:
            # First, so that being interrupted here leaves a ghost, which is seen.
            _remove(distribution.path / "METADATA")
            _remove(distribution.path)


def remove_orphans(environment: Environment, damages: Iterable[Damage]) -> None:
    """Remove the orphans among `damages`. Raises DiskError."""
    for damage in damages:
        if damage.kind is Kind.ORPHAN:
            _remove(environment.path / damage.path)


def drop_byte_code(environment: Environment) -> None:
    """Remove the byte code in site-packages, which Python and uv make anew from the sources.

    No RECORD lists it, and Python takes it for the source's where time and size of that fit: it
    may be the byte code of another version, or cut short, which fails each import for good
    (importlib does not catch EOFError). Raises DiskError.
    """
    for site_packages in environment.site_packages:
        for folder, _, names in os.walk(site_packages):
            if folder.endswith("__pycache__"):
                for name in filter(BYTE_CODE.search, names):
                    _remove(Path(folder, name))


def remove(environment: Environment) -> None:
    """Empty a broken environment, so that the next `uv sync` makes it anew.

    The directory itself stays; it may be a link, or the mount point of a volume. Raises
    UsageError where this is no virtual environment, with nothing removed, and DiskError.
    """
    if not environment.path.is_dir():
        return
    if not _is_virtual(environment):
        raise UsageError(
            f"{environment.path} is no virtual environment, so it is left as it is",
            hint="name another directory for the environment, or empty this one",
        )
    configuration = environment.path / "pyvenv.cfg"
    _remove(environment.scripts)  # first: see `foundations` for what uv would do with it
    _keep(configuration)  # last: where it is there, uv replaces what is left, and else refuses
    for path in (Path(entry.path) for entry in listed(environment.path)):
        if path != configuration:
            _remove(path)
    _remove(configuration)


def _is_virtual(environment: Environment) -> bool:
    if is_whole_python(environment):
        return False
    if (environment.path / "pyvenv.cfg").exists():
        return True
    names = {entry.name for entry in listed(environment.path)}
    has_traces = not names or "CACHEDIR.TAG" in names or environment.site_packages
    return names <= _USUAL and bool(has_traces)  # uv begins with CACHEDIR.TAG


def _keep(configuration: Path) -> None:
    try:
        configuration.touch()
    except OSError as error:
        raise unwritable(str(configuration), error) from error


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return  # it is gone, or was never there: a legacy .egg-info may be a file
    except OSError as error:
        raise unwritable(str(path), error) from error
