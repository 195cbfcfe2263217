"""A library that is packed is imported from its archive as it was from its files."""

import compileall
import subprocess
import sys
import zipfile
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from uvflow.docker.managed_python import PACKED

# In place of the library of the Python that runs this.
PLACED = """\
import sys, sysconfig
sysconfig.get_path = lambda name: "lib/python3"
sys.path.insert(0, "lib/python3.zip")
"""
FAILING = "def fail():\n    raise OSError  # as it does\n"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The only package has one module, and beside it what is no Python."""
    found = tmp_path / "lib" / "python3"
    (found / "pack").mkdir(parents=True)
    (found / "lib-dynload").mkdir()
    for name in ("os.py", "plain.py", "pack/__init__.py", "LICENSE.txt"):
        (found / name).write_text("")
    (found / "pack" / "failing.py").write_text(FAILING)
    return found


def pack(library: Path) -> None:
    compileall.compile_dir(library, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    code = PACKED.partition("RUN python <<'END'\n")[2].removesuffix("END\n")
    assert run(library, PLACED + code) == ""


def run(library: Path, code: str) -> str:
    words = [sys.executable, "-IS", "-c", code]
    done = subprocess.run(
        words, cwd=library.parents[1], capture_output=True, check=False, text=True
    )
    return done.stdout + done.stderr


def test_what_is_no_python_stays_and_the_landmarks(library: Path) -> None:
    pack(library)
    left = {path.name for path in library.rglob("*") if path.is_file()}
    assert left == {"LICENSE.txt", "os.py", Path(cache_from_source("os.py")).name}
    directories = {path.name for path in library.iterdir() if path.is_dir()}
    assert directories == {"__pycache__", "lib-dynload"}


def test_an_archive_has_byte_code_beside_its_source_and_no_times(library: Path) -> None:
    pack(library)
    with zipfile.ZipFile(library.with_suffix(".zip")) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries if "pack" in entry.filename] == [
        "pack/__init__.py",
        "pack/__init__.pyc",
        "pack/failing.py",
        "pack/failing.pyc",
    ]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_a_traceback_shows_the_lines_of_what_is_packed(library: Path) -> None:
    pack(library)
    code = "import sys, traceback; sys.path.insert(0, 'lib/python3.zip')\n"
    code += "import pack.failing\ntry: pack.failing.fail()\nexcept OSError: traceback.print_exc()"
    assert "    raise OSError  # as it does\n" in run(library, code)
