"""A virtual environment on disk: its directories, distributions and scripts. Reads only."""

import os
import re
from functools import cached_property
from pathlib import Path

from uvflow.fingerprint import read_beginning, read_file
from uvflow.project.manifest import canonical_name

# Byte code, also while it is being written (until then importlib adds a number to the name).
BYTE_CODE = r"\.pyc(\.\d+)?$"

# What the `.data` directory of a wheel may hold.
SCHEMES = {"purelib", "platlib", "headers", "scripts", "data"}

_MOST_CONFIGURATION = 1 << 16  # bytes; uv writes about 200
_LAUNCHER_SIZE = 4096  # bytes; uv's have about 300 and the path of the interpreter


class Environment:
    """A virtual environment (PEP 405), or the whole Python of a container image.

    In whatever condition: this raises nothing. What is installed is read once, when it is first
    asked for; of an environment that may have changed since, take another.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a linked .venv
        if os.name == "nt":
            libraries = [self.path / "Lib"]
        else:  # some Linux distributions keep platlib in lib64, which mostly is a link to lib
            folders = (f for n in ("lib", "lib64") for f in directory_entries(self.path / n))
            libraries = sorted(map(Path, folders))
        candidates = (library / "site-packages" for library in reversed(libraries))
        by_real_path = {os.path.realpath(path): path for path in candidates if path.is_dir()}
        self.site_packages = tuple(reversed(by_real_path.values()))

    @cached_property
    def distributions(self) -> tuple["Distribution", ...]:
        """Every distribution with any metadata, complete or not, sorted by path."""
        suffixes = (".dist-info", ".egg-info", ".egg-link")
        paths = (entry.path for entry in self.entries if entry.name.endswith(suffixes))
        return tuple(map(Distribution, sorted(paths)))

    @cached_property
    def is_of_conda(self) -> bool:
        return (self.path / "conda-meta").is_dir()

    @cached_property
    def entries(self) -> tuple["os.DirEntry[str]", ...]:
        """The entries of site-packages."""
        return tuple(entry for path in self.site_packages for entry in directory_entries(path))

    @property
    def scripts(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    def relative(self, path: str | Path) -> str:
        """`path` relative to the environment where it is inside, as it is elsewhere; POSIX."""
        return str(path).removeprefix(f"{self.path}{os.sep}").replace(os.sep, "/")  # no Path: 20 µs


class Distribution:
    """An installed distribution: its `.dist-info`, or a legacy `.egg-info` or `.egg-link`.

    `name` is normalised (PEP 503). Paths are texts, since a `Path` costs more than a stat.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self.site_packages, _, self.directory = location.rpartition(os.sep)
        name, _, self.version = self.directory.rpartition(".")[0].partition("-")  # as uv splits it
        self.name = canonical_name(name)

    @property
    def path(self) -> Path:
        return Path(self.location)

    @property
    def record(self) -> str:
        return f"{self.location}{os.sep}RECORD"

    @cached_property
    def identity(self) -> tuple[int, ...]:
        """Which files these are, by the directory and by RECORD, which an installer writes last."""
        found: list[int] = []
        for path in (self.location, self.record):
            try:
                status = os.stat(path)  # noqa: PTH116  a Path costs more than the stat
            except OSError:
                continue
            found += (status.st_ino, status.st_size, status.st_mtime_ns)
        return tuple(found)


def leftover_data_directories(environment: Environment) -> tuple[str, ...]:
    """The `.data` directories of wheels that were not removed.

    An installer moves the files out of it and removes it ("Binary distribution format",
    packaging.python.org). An interrupted one may leave it; uv then installs over it, and always
    fails where a file in it has no row in RECORD (0.13.9).
    """
    ends = (entry for entry in environment.entries if entry.name.endswith(".data"))
    found = sorted(e.path for e in ends if e.is_dir(follow_symlinks=False))
    paths = (path for path in found if Distribution(path).version[:1].isdigit())
    return tuple(p for p in paths if {entry.name for entry in directory_entries(p)} <= SCHEMES)


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
    """The keys (in lower case) and values of pyvenv.cfg (PEP 405); None without one of its size."""
    content = read_quickly(str(environment.path / "pyvenv.cfg"), _MOST_CONFIGURATION)
    is_whole = content is not None and len(content) < _MOST_CONFIGURATION
    return parse_configuration(content or b"") if is_whole else None


def parse_configuration(content: bytes) -> dict[str, str]:
    lines = reversed(content.splitlines())  # the first one counts
    pairs = (line.decode(errors="replace").partition("=") for line in lines)
    return {key.strip().lower(): value.strip() for key, separator, value in pairs if separator}


def python_version(environment: Environment) -> str | None:
    """The version in pyvenv.cfg, as `3.12.1`; venv has the key version, others version_info."""
    configuration = read_configuration(environment) or {}
    version = configuration.get("version_info") or configuration.get("version", "")
    match = re.match(r"\d+\.\d+(?:\.\d+)?", version)
    return match[0] if match else None


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
    is_launcher = b"sys.argv[0] = " in beginning and b"sys.exit(" in beginning
    return beginning if is_launcher and beginning.startswith(b"#!") else None
