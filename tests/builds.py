"""Old sdists, and a stand-in for setuptools that refuses to build them from some version on."""

from pathlib import Path

from wheels import add_sdist, add_wheel

# A backend of few lines: it runs setup.py, and makes a wheel of nothing but metadata.
_BACKEND = """\
import pathlib, runpy, sys, zipfile

__legacy__ = sys.modules[__name__]


def get_requires_for_build_wheel(settings=None):
    runpy.run_path("setup.py")
    return []


def build_wheel(directory, settings=None, metadata=None):
    text = pathlib.Path("PKG-INFO").read_text()
    name, version = (line.partition(": ")[2] for line in text.splitlines()[1:3])
    wheel, info = f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(pathlib.Path(directory, wheel), "w") as archive:
        archive.writestr(f"{info}/METADATA", text)
        text = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        archive.writestr(f"{info}/WHEEL", text)
        names = ("METADATA", "WHEEL", "RECORD")
        archive.writestr(f"{info}/RECORD", "".join(f"{info}/{name},,\\n" for name in names))
    return wheel
"""
_REFUSING = """\
import sys


def setup(use_2to3=False):
    if use_2to3:
        sys.exit("error in old setup command: use_2to3 is invalid.")
"""

USE_2TO3 = "import setuptools\nsetuptools.setup(use_2to3=True)\n"
PKG_RESOURCES = "import pkg_resources\n"


def add_setuptools(index: Path) -> None:
    """Put three versions into `index`: of before 58, of before 82, and of today."""
    tolerant = {"setuptools/__init__.py": "def setup(use_2to3=False):\n    pass\n"}
    refusing = {"setuptools/__init__.py": _REFUSING}
    resources = {"pkg_resources.py": ""}
    backend = {"setuptools/build_meta.py": _BACKEND}
    add_wheel(index, "setuptools", "57.5.0", more={**tolerant, **resources, **backend})
    add_wheel(index, "setuptools", "81.0.0", more={**refusing, **resources, **backend})
    add_wheel(index, "setuptools", "83.0.0", more={**refusing, **backend})


def add_old_sdist(index: Path, name: str, setup_py: str, *, is_static: bool = False) -> None:
    """Put `name` 1.0 into `index`; where its metadata `is_static`, a lock does not build it."""
    metadata = f"Metadata-Version: {'2.2' if is_static else '2.1'}\nName: {name}\nVersion: 1.0\n"
    add_sdist(index, name, "1.0", {"PKG-INFO": metadata, "setup.py": setup_py})
