"""A small package index on disk, made of wheels that are built here: no network, no build backend.

The layout is the simple repository API's (PEP 503) as uv reads it from a directory.
"""

import base64
import hashlib
import io
import py_compile
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distribution
from importlib.util import cache_from_source
from pathlib import Path

_MODULE = """__version__ = {version!r}


def main():
    print({name!r})
"""

NO_REQUIREMENTS: tuple[str, ...] = ()
NO_FILES: Mapping[str, str] = {}

# name → version → its requirements
PACKAGES: dict[str, dict[str, Sequence[str]]] = {
    "attrs": {"22.2.0": (), "23.1.0": (), "23.2.0": (), "25.1.0": ()},
    "certifi": {"2020.1.1": (), "2024.2.2": (), "2025.1.31": ()},
    "idna": {"2.10": (), "3.7": (), "3.10": ()},
    "iniconfig": {"1.1.1": (), "2.0.0": ()},
    "packaging": {"23.0": (), "23.2": (), "25.0": ()},
    "pluggy": {"1.5.0": ()},
    "pytest": {"8.0.0": ("iniconfig", "packaging", "pluggy<2"), "8.3.4": ("iniconfig", "pluggy<2")},
    "requests": {
        "2.28.0": ("idna<4,>=2.5", "certifi>=2017"),
        "2.32.3": ("idna<4,>=2.5", "certifi>=2017", "six; extra == 'socks'"),
    },
    "six": {"1.15.0": (), "1.16.0": (), "1.17.0": ()},
    "toml": {"0.10.1": (), "0.10.2": ()},
}


def build_index(directory: Path) -> Path:
    """Write every package of PACKAGES below `directory` and return it."""
    for name, versions in PACKAGES.items():
        for version, requires in versions.items():
            add_wheel(directory, name, version, requires)
    return directory


def add_wheel(
    index: Path,
    name: str,
    version: str,
    requires: Sequence[str] = NO_REQUIREMENTS,
    *,
    more: Mapping[str, str] = NO_FILES,
) -> Path:
    """Put one more wheel into `index`; returns the wheel's path."""
    folder = index / name.replace("_", "-").lower()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(folder, name, version, requires, more=more)
    _list(folder)
    return wheel


def add_sdist(index: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    """Put an sdist with these `files` (path → text) into `index`."""
    folder = index / name
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    _list(folder)


def add_installed(index: Path, name: str) -> None:
    """Put the distribution `name` that the tests run with into `index`, a build backend perhaps.

    With its byte code, which uv would not make, and each step of a build would have to.
    """
    installed = distribution(name)
    wheel = index / name / f"{name}-{installed.version}-py3-none-any.whl"
    if wheel.exists():
        return
    wheel.parent.mkdir(exist_ok=True)
    byte_code = index / f"{name}.pyc"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in installed.files or ():
            if path.suffix == ".pyc" or ".." in path.parts:
                continue
            source = path.locate()
            archive.write(source, path.as_posix())
            if path.suffix == ".py":
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # its times will be others
                py_compile.compile(str(source), str(byte_code), invalidation_mode=mode)
                archive.write(byte_code, cache_from_source(path.as_posix()))
    byte_code.unlink(missing_ok=True)
    _list(wheel.parent)


def add_odd_wheel(index: Path, name: str, change: Callable[[dict[str, str]], None]) -> None:
    """Put `name` 1.0 into `index`, with its files (path → text) as `change` leaves them.

    RECORD among them is written before that, and says what it said.
    """
    wheel = add_wheel(index, name, "1.0")
    with zipfile.ZipFile(wheel) as archive:
        contents = {path: archive.read(path).decode() for path in archive.namelist()}
    change(contents)
    _write(wheel, contents)
    _list(wheel.parent)


def build_wheel(
    folder: Path,
    name: str,
    version: str,
    requires: Sequence[str] = NO_REQUIREMENTS,
    *,
    more: Mapping[str, str] = NO_FILES,
) -> Path:
    """A wheel of a package `NAME` with `__version__`, a console script `NAME`, and `more` files."""
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    extras = sorted({r.split("'")[1] for r in requires if "extra ==" in r})
    metadata = "".join(
        (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            *(f"Provides-Extra: {extra}\n" for extra in extras),
            *(f"Requires-Dist: {requirement}\n" for requirement in requires),
        )
    )
    contents = {
        f"{module}/__init__.py": _MODULE.format(name=name, version=version),
        f"{module}/data.txt": "data\n" * 100,
        **more,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {module}:main\n",
    }
    record = "".join(
        f"{name},sha256={_urlsafe(text)},{len(text)}\n" for name, text in contents.items()
    )
    _write(path, {**contents, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"})
    return path


def _write(wheel: Path, contents: Mapping[str, str]) -> None:
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)


def _list(folder: Path) -> None:
    links = (
        f'<a href="{path.name}#sha256={_sha256(path)}">{path.name}</a><br>'
        for path in sorted((*folder.glob("*.whl"), *folder.glob("*.tar.gz")))
    )
    (folder / "index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links))


def _urlsafe(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
