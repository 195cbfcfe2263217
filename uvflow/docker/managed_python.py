"""A Python that uv installs, for an image: without what no service needs, and packed. Pure."""

from uvflow.docker.facts import Facts
from uvflow.docker.instructions import Instructions, Mount, begin_stage, comment, script

PYTHONS = "/python"

# Globs, since releases differ: there are two versions of Tcl, and packages have tests as well.
_UNUSED = """\
# Remove installers, tests and Tk, with their libraries.
rm -rf bin/2to3* bin/idle* bin/pip* bin/pydoc* share
rm -rf lib/itcl* lib/libtcl* lib/libtk* lib/tcl* lib/thread* lib/tk*
cd lib/python{python}
rm -rf ensurepip idlelib lib2to3 pydoc_data site-packages/* tkinter turtle* test ./*/test ./*/tests
rm -rf lib-dynload/_*test* lib-dynload/_tkinter* lib-dynload/nis* lib-dynload/xx*"""

# An interpreter with libpython linked in still comes with the library, for builds against it.
_FOR_BUILDING = """\
# Remove what only a build needs, and libraries that nothing links.
rm -rf ../../bin/*-config ../../include ../pkgconfig config-*
linked=$(find ../../bin/python{python} lib-dynload -type f -exec ldd '{{}}' ';')
for library in ../lib*.so*; do
  case $linked in *"/${{library##*/}} "*) ;; *) rm -f "$library" ;; esac
done"""

# Python finds its library by `os.py` and `lib-dynload`, even an empty one (CPython's getpath.py).
# `strict_timestamps=False` writes a time of 0 as 1980, the earliest that a zip file can hold.
_PACKING = """\
import os, sys, sysconfig, zipfile
from importlib.util import cache_from_source
from pathlib import Path
library = Path(sysconfig.get_path("stdlib"))
packed = next(path for path in sys.path if path.endswith(".zip"))
deflated = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 9}
with zipfile.ZipFile(packed, "w", **deflated, strict_timestamps=False) as archive:
    for source in sorted(library.rglob("*.py")):
        for path, suffix in (source, ".py"), (Path(cache_from_source(source)), ".pyc"):
            os.utime(path, (0, 0))
            archive.write(path, source.relative_to(library).with_suffix(suffix))
            if source.name != "os.py":
                path.unlink()
for directory, _, _ in os.walk(library, topdown=False):
    if not os.listdir(directory) and Path(directory).name != "lib-dynload":
        os.rmdir(directory)"""


def installed(facts: Facts, compiling: str, mounts: tuple[Mount, ...]) -> Instructions:
    """Python as a layer; it keeps what compiling needs where something is compiled."""
    lines = (
        "set -e",
        f"UV_PYTHON_INSTALL_DIR={PYTHONS} uv python install --no-bin {facts.python_release}",
        f"cd {PYTHONS}/cpython-{{python}}.*-linux-*",
        'ln -s "$PWD/bin/python{python}" /usr/local/bin/python',
        _UNUSED,
        *(() if facts.system.build else (_FOR_BUILDING,)),
        "# Compile the library: it comes without byte code, and the user cannot write it.",
        f'{compiling} "$PWD"',
    )
    text = "\n".join(lines).format(python=facts.python)
    yield comment("Python as uv installs it, less what no service needs.", "hadolint ignore=DL3003")
    yield script(text, mounts=mounts)


def packed(name: str, below: str) -> Instructions:
    """The standard library as a zip file, where Python looks for it first.

    As in the embeddable Python of Windows ("Using Python on Windows", "The embeddable package").
    """
    yield comment(
        "The standard library in one zip file, where Python looks for it first: sources and",
        "byte code at a third of their size. Files that Python finds its library by stay.",
    )
    yield begin_stage(name, below)
    yield script(_PACKING, "python")
