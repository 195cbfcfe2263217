"""A Python that uv installs, as images have it: without what no service needs, packed. Pure."""

from uvflow.docker.facts import Facts
from uvflow.docker.instructions import Comment, From, Instruction, Mount, Script

PYTHONS = "/python"

Instructions = tuple[Instruction, ...]

# Globs, since releases differ: there are two versions of Tcl, and tests lie below packages too.
_UNUSED = """\
# What installs, tests and draws, with the libraries of that.
rm -rf bin/2to3* bin/idle* bin/pip* bin/pydoc* share
rm -rf lib/itcl* lib/libtcl* lib/libtk* lib/tcl* lib/thread* lib/tk*
cd lib/python{python}
rm -rf ensurepip idlelib lib2to3 pydoc_data site-packages/* tkinter turtle* test ./*/test ./*/tests
rm -rf lib-dynload/_*test* lib-dynload/_tkinter* lib-dynload/nis* lib-dynload/xx*"""

# The interpreter may have libpython in itself, and beside itself for those that are built with it.
_FOR_BUILDING = """\
# What only a build needs, and libraries that nothing links.
rm -rf ../../bin/*-config ../../include ../pkgconfig config-*
linked=$(find ../../bin/python{python} lib-dynload -type f -exec ldd '{{}}' ';')
for library in ../lib*.so*; do
  case $linked in *"/${{library##*/}} "*) ;; *) rm -f "$library" ;; esac
done"""

# Python knows its library by `os.py` and `lib-dynload`, be it empty (CPython's getpath.py).
# `strict_timestamps=False` takes a time of 0 for 1980, the first that an archive can say.
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
    """Python as a layer; where something is compiled it keeps what that needs."""
    lines = (
        "set -e",
        f"UV_PYTHON_INSTALL_DIR={PYTHONS} uv python install --no-bin {{python}}",
        f"cd {PYTHONS}/cpython-{{python}}.*-linux-*",
        'ln -s "$PWD/bin/python{python}" /usr/local/bin/python',
        _UNUSED,
        *(() if facts.system.build else (_FOR_BUILDING,)),
        "# Byte code: no Python comes with it, and the user cannot write it.",
        f'{compiling} "$PWD"',
    )
    script = "\n".join(lines).format(python=facts.python)
    return (
        Comment(
            lines=("Python as uv has it, without what no service needs.", "hadolint ignore=DL3003")
        ),
        Script(text=script, mounts=mounts),
    )


def packed(name: str, below: str) -> Instructions:
    """The standard library as an archive, from which Python imports before all else.

    Windows' embeddable Python is made that way ("Using Python on Windows", The embeddable package).
    """
    return (
        Comment(
            lines=(
                "The standard library in one compressed file, where Python looks for it first:",
                "sources and byte code in a third of their size. Outside is what marks the place.",
            )
        ),
        From(image=below, name=name),
        Script(program="python", text=_PACKING),
    )
