"""A virtual environment: where its packages are, and what each has as its metadata. Reads only."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from uvflow.project.manifest import canonical_name

# Byte code, and byte code that was being written (importlib adds a number to the name until then).
BYTE_CODE = re.compile(r"\.pyc(\.\d+)?$")

LAUNCHER_SIZE = 4096  # bytes; uv's have about 300, and the path of the interpreter


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment (PEP 405), or the whole Python of a container image."""

    path: Path
    site_packages: tuple[Path, ...]

    @classmethod
    def at(cls, path: Path) -> "Environment":
        """The environment at `path`, whatever is left of it; raises nothing."""
        root = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a linked .venv
        return cls(path=root, site_packages=_site_packages(root))

    @property
    def scripts(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    def shown(self, path: Path) -> str:
        """`path` as a Damage has it."""
        inside = path.is_relative_to(self.path)
        return (path.relative_to(self.path) if inside else path).as_posix()


def _site_packages(root: Path) -> tuple[Path, ...]:
    if os.name == "nt":
        libraries = [root / "Lib"]
    else:  # lib64 is where some distributions of Linux keep platlib; mostly a link to lib
        folders = (*directory_entries(root / "lib"), *directory_entries(root / "lib64"))
        libraries = sorted(Path(folder) for folder in folders)
    candidates = (library / "site-packages" for library in reversed(libraries))
    there = {os.path.realpath(path): path for path in candidates if path.is_dir()}
    return tuple(reversed(there.values()))


@dataclass(frozen=True, kw_only=True)
class Distribution:
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
    """Every distribution that has a trace of its metadata, in the order of paths."""
    return _named(environment, (".dist-info", ".egg-info", ".egg-link"))


def leftover_data_directories(environment: Environment) -> tuple[Distribution, ...]:
    """Those of which a wheel's `.data` is still there, as `path`.

    An installer puts what is in it elsewhere, and removes it ("Binary distribution format",
    packaging.python.org). One that was cut short may leave it; uv goes on to install over it, and
    fails for good where a file in it has no row in RECORD (0.13.9).
    """
    found = _named(environment, (".data",))
    return tuple(d for d in found if d.version[:1].isdigit() and d.path.is_dir())


def _named(environment: Environment, suffixes: tuple[str, ...]) -> tuple[Distribution, ...]:
    entries = [entry for path in environment.site_packages for entry in directory_entries(path)]
    found = [entry for entry in entries if entry.name.endswith(suffixes)]
    return tuple(map(_distribution, sorted(found, key=lambda entry: entry.path)))


def _distribution(entry: "os.DirEntry[str]") -> Distribution:
    stem, _ = os.path.splitext(entry.name)  # noqa: PTH122  a name, not a path
    name, _, version = stem.partition("-")  # where uv cuts as well
    return Distribution(name=canonical_name(name), version=version, path=Path(entry.path))


def directory_entries(directory: str | Path) -> list["os.DirEntry[str]"]:
    """The entries of a directory; none where it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:  # gone, or not ours to read: what it should hold is told as missing
        return []


def is_whole_python(environment: Environment) -> bool:
    """Whether the standard library is here: no virtual environment, but what one is made from."""
    library = environment.path / "lib"
    places = (library, environment.path / "Lib", *map(Path, directory_entries(library)))
    return any((place / "os.py").exists() for place in places)


def is_made_since(environment: Environment, when: float) -> bool:
    """Whether it was made at or after `when`, in seconds since the epoch."""
    try:
        return (environment.path / "pyvenv.cfg").stat().st_mtime >= when
    except OSError:
        return False


def read_start(path: str, most: int = -1) -> bytes | None:
    """What a file begins with, up to `most` bytes; None where it cannot be read.

    For small files by the dozen: a `Path` that is read as text takes twice the time.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  as told
            return file.read(most)
    except (OSError, ValueError):  # ValueError: a name that this system cannot have
        return None


def is_launcher(beginning: bytes) -> bool:
    """Whether a file begins as installers write the script of an entry point."""
    is_script = beginning.startswith(b"#!")
    return is_script and b"sys.argv[0]" in beginning and b"sys.exit(" in beginning
