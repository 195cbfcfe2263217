"""A Python that uv installs, for an image: without what no service needs, and packed."""

# Globs, since releases differ: there are two versions of Tcl, and packages have tests as well.
INSTALL = """\
# Python as uv installs it, less what no service needs.
# hadolint ignore=DL3003
RUN {mounts}<<'END'
set -e
UV_PYTHON_INSTALL_DIR=/python uv python install --no-bin {release}
cd /python/cpython-{python}.*-linux-*
ln -s "$PWD/bin/python{python}" /usr/local/bin/python
# Remove installers, tests and Tk, with their libraries.
rm -rf bin/2to3* bin/idle* bin/pip* bin/pydoc* share
rm -rf lib/itcl* lib/libtcl* lib/libtk* lib/tcl* lib/thread* lib/tk*
cd lib/python{python}
rm -rf ensurepip idlelib lib2to3 pydoc_data site-packages/* tkinter turtle* test ./*/test ./*/tests
rm -rf lib-dynload/_*test* lib-dynload/_tkinter* lib-dynload/nis* lib-dynload/xx*
"""

# An interpreter with libpython linked in still comes with the library, for builds against it.
THIN = """\
# Remove what only a build needs, and libraries that nothing links.
rm -rf ../../bin/*-config ../../include ../pkgconfig config-*
linked=$(find ../../bin/python{python} lib-dynload -type f -exec ldd '{{}}' ';')
for library in ../lib*.so*; do
  case $linked in *"/${{library##*/}} "*) ;; *) rm -f "$library" ;; esac
done
"""

COMPILE = """\
# Compile the library: it comes without byte code, and the user cannot write it.
python -m compileall -qf --invalidation-mode unchecked-hash "$PWD"
END

"""

# As in the embeddable Python of Windows ("Using Python on Windows", "The embeddable package").
# Python finds its library by `os.py` and `lib-dynload`, even an empty one (CPython's getpath.py).
# A ZipInfo has the date 1980; setting the files' own times would copy each into the layer first.
PACKED = """\
# The standard library in one zip file, where Python looks for it first: sources and
# byte code at a third of their size. Files that Python finds its library by stay.
FROM base AS python
RUN python <<'END'
import os, sys, sysconfig, zipfile
from importlib.util import cache_from_source
from pathlib import Path
library = Path(sysconfig.get_path("stdlib"))
packed = next(path for path in sys.path if path.endswith(".zip"))
with zipfile.ZipFile(packed, "w") as archive:
    for source in sorted(library.rglob("*.py")):
        for path, suffix in (source, ".py"), (Path(cache_from_source(source)), ".pyc"):
            entry = zipfile.ZipInfo(str(source.relative_to(library).with_suffix(suffix)))
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
            if source.name != "os.py":
                path.unlink()
for directory, _, _ in os.walk(library, topdown=False):
    if not os.listdir(directory) and Path(directory).name != "lib-dynload":
        os.rmdir(directory)
END
"""
