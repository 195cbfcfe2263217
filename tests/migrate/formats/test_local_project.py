from collections.abc import Mapping

import pytest

from uvflow.migrate.formats.local_project import (
    is_installable,
    is_package,
    local_metadata,
)
from uvflow.migrate.model import Read


def reader(files: Mapping[str, str]) -> Read:
    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[path].encode()

    return read


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("pyproject.toml", '[project]\nname = "foo"\n', "foo"),
        ("pyproject.toml", '[tool.poetry]\nname = "foo"\n', "foo"),
        ("pyproject.toml", "[project]\nname = 1\n[tool.ruff]\n", None),
        ("pyproject.toml", "no TOML", None),
        ("setup.cfg", "[metadata]\nname = foo\n", "foo"),
        ("setup.cfg", "[metadata]\nname = attr: foo.NAME\n", None),
        ("setup.cfg", "name = foo\n", None),
        ("setup.py", "from setuptools import setup\nsetup(name='foo')\n", "foo"),
        ("setup.py", "import setuptools\nsetuptools.setup(version='1', name='foo')\n", "foo"),
        ("setup.py", "setup(name=NAME)\n", None),
        ("setup.py", "setup(**meta)\n", None),
        ("setup.py", "print 'python 2'\n", None),
    ],
)
def test_a_name_that_is_written_is_read(file: str, text: str, name: str | None) -> None:
    read = reader({f"lib/{file}": text})
    assert is_installable("lib", read)
    assert local_metadata("lib", "name", read) == name


def test_pyproject_is_asked_before_setup() -> None:
    files = {"lib/setup.py": "setup(name='old')", "lib/pyproject.toml": '[project]\nname = "new"\n'}
    assert local_metadata("lib", "name", reader(files)) == "new"


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("", False),
        ("[build-system]\nrequires = []\n", True),
        ("[build-system]\nrequires = []\n[tool.uv]\npackage = false\n", False),
        ("[tool.uv]\npackage = true\n", True),
    ],
)
def test_what_makes_a_project_a_package(manifest: str, *, expected: bool) -> None:
    assert is_package(reader({"pyproject.toml": manifest})) is expected


def test_an_archive_is_there_and_an_empty_directory_is_not() -> None:
    assert is_installable("foo.whl", reader({"foo.whl": ""}))
    assert not is_installable("lib", reader({"lib/README": ""}))
