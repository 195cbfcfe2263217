"""A virtual environment on disk: its directories, distributions and scripts. Reads only."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from uvflow.files import read_text
from uvflow.fingerprint import read_beginning, read_file
from uvflow.project.manifest import canonical_name

# Byte code, also while it is being written (until then importlib adds a number to the name).
BYTE_CODE = r"\.pyc(\.\d+)?$"

# What the `.data` directory of a wheel may hold.
_SCHEMES = {"purelib", "platlib", "headers", "scripts", "data"}

_LAUNCHER_SIZE = 4096  # bytes; uv's have about 300 and the path of the interpreter


class Environment(NamedTuple):
    """A virtual environment (PEP 405), or the whole Python of a container image."""

    path: Path
    site_packages: tuple[Path, ...]

    @classmethod
    def at(cls, path: Path) -> "Environment":
        """The environment at `path`, in whatever condition; raises nothing."""
        root = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a linked .venv
        return cls(path=root, site_packages=_site_packages(root))

    @property
    def scripts(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    def relative(self, path: str | Path) -> str:
        """`path` relative to the environment where it is inside, as it is elsewhere; POSIX."""
        inside = Path(path).is_relative_to(self.path)
        return (Path(path).relative_to(self.path) if inside else Path(path)).as_posix()


def _site_packages(root: Path) -> tuple[Path, ...]:
    if os.name == "nt":
        libraries = [root / "Lib"]
    else:  # some Linux distributions keep platlib in lib64, which mostly is a link to lib
        folders = (*directory_entries(root / "lib"), *directory_entries(root / "lib64"))
        libraries = sorted(Path(folder) for folder in folders)
    candidates = (library / "site-packages" for library in reversed(libraries))
    by_real_path = {os.path.realpath(path): path for path in candidates if path.is_dir()}
    return tuple(reversed(by_real_path.values()))


class Distribution(NamedTuple):
    """An installed distribution: `path` is its `.dist-info`, or a legacy `.egg-info`, `.egg-link`.

    `name` is normalised (PEP 503).
    """

    name: str
    version: str
    path: Path

    @property
    def record(self) -> Path:
        return self.path / "RECORD"


def distributions(environment: Environment) -> tuple[Distribution, ...]:
    """Every distribution with any metadata, complete or not, sorted by path."""
    return _distributions_with(environment, (".dist-info", ".egg-info", ".egg-link"))


def leftover_data_directories(environment: Environment) -> tuple[Path, ...]:
    """The `.data` directories of wheels that were not removed.

    An installer moves the files out of it and removes it ("Binary distribution format",
    packaging.python.org). An interrupted one may leave it; uv then installs over it, and always
    fails where a file in it has no row in RECORD (0.13.9).
    """
    candidates = _distributions_with(environment, (".data",))
    paths = (one.path for one in candidates if one.version[:1].isdigit())
    found = (path for path in paths if path.is_dir() and not path.is_symlink())
    return tuple(p for p in found if {entry.name for entry in directory_entries(p)} <= _SCHEMES)


def _distributions_with(
    environment: Environment, suffixes: tuple[str, ...]
) -> tuple[Distribution, ...]:
    entries = (entry for path in environment.site_packages for entry in directory_entries(path))
    paths = sorted(entry.path for entry in entries if entry.name.endswith(suffixes))
    parts = ((path, path.stem.partition("-")) for path in map(Path, paths))  # as uv splits it
    return tuple(
        Distribution(name=canonical_name(name), version=version, path=path)
        for path, (name, _, version) in parts
    )


def script_files(environment: Environment) -> list[str]:
    """The paths of the scripts, sorted; without links, such as the interpreter."""
    entries = directory_entries(environment.scripts)
    return sorted(entry.path for entry in entries if entry.is_file(follow_symlinks=False))


def directory_entries(directory: str | Path) -> list["os.DirEntry[str]"]:
    """The entries of a directory; empty where it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:  # what it should contain is then reported as missing
        return []


def is_whole_python(environment: Environment) -> bool:
    """Whether the standard library is inside: this is a base Python, not a virtual environment."""
    library = environment.path / "lib"
    directories = (library, environment.path / "Lib", *map(Path, directory_entries(library)))
    return any((directory / "os.py").exists() for directory in directories)


def read_configuration(environment: Environment) -> dict[str, str] | None:
    """The keys (in lower case) and values of pyvenv.cfg (PEP 405); None without such a file."""
    try:
        text = read_text(environment.path / "pyvenv.cfg")
    except OSError:
        return None
    return parse_configuration(text)


def parse_configuration(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in reversed(text.split("\n")))  # the first one counts
    return {key.strip().lower(): value.strip() for key, separator, value in pairs if separator}


def python_version(environment: Environment) -> str | None:
    """The version in pyvenv.cfg, as `3.12.1`; venv has the key version, others version_info."""
    configuration = read_configuration(environment) or {}
    version = configuration.get("version_info") or configuration.get("version", "")
    match = re.match(r"\d+\.\d+(?:\.\d+)?", version)
    return match[0] if match else None


def is_created_since(environment: Environment, when: float) -> bool:
    """Whether it was created at or after `when`, in seconds since the epoch."""
    try:
        return (environment.path / "pyvenv.cfg").stat().st_mtime >= when
    except OSError:
        return False


def read_quickly(path: str, size: int | None = None) -> bytes | None:
    """The first `size` bytes of a file, or all of it; None where it cannot be read.

    For dozens of small files: to read a `Path` as text takes twice the time.
    """
    try:
        return read_file(path) if size is None else read_beginning(path, size)
    except (OSError, ValueError):  # ValueError: a name that this system cannot have
        return None


def read_launcher(path: str) -> bytes | None:
    """The beginning of a script that an installer wrote for an entry point; None for others."""
    beginning = read_quickly(path, _LAUNCHER_SIZE) or b""
    is_launcher = b"sys.argv[0]" in beginning and b"sys.exit(" in beginning
    return beginning if is_launcher and beginning.startswith(b"#!") else None
