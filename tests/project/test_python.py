"""What asks for a Python, and what an environment says of its own."""

from pathlib import Path

import pytest

from uvflow.project.python import (
    PyvenvConfiguration,
    python_requests,
    read_pyvenv_configuration,
    requested_minor,
)


def test_requests_are_lines_without_comments() -> None:
    text = "# ours\n\n3.12  # for the image\n  pypy@3.11\n"
    assert list(python_requests(text)) == [(3, "3.12"), (4, "pypy@3.11")]


@pytest.mark.parametrize(
    ("request_of_uv", "minor"),
    [
        ("3.12", "3.12"),
        (" 3.12.4\n", "3.12"),
        ("cpython@3.12", "3.12"),
        ("cp3.12", "3.12"),
        ("python3.12", "3.12"),
        ("cpython-3.12.4-linux-x86_64-gnu", "3.12"),
        ("pypy@3.11", None),
        (">=3.11", None),
        ("3", None),
        ("3.99999999", None),
        ("/usr/bin/python3.12", None),
    ],
)
def test_a_cpython_is_requested_by_its_version(request_of_uv: str, minor: str | None) -> None:
    assert requested_minor(request_of_uv) == minor


@pytest.mark.parametrize(
    ("text", "home", "version"),
    [
        ("home = /usr/bin\nversion_info = 3.12.1\n", "/usr/bin", "3.12.1"),
        ("home=/usr/bin\r\nVersion = 3.12.1\r\n", "/usr/bin", "3.12.1"),
        ("version_info = 3.12.1.final.0\nversion = 3.11\n", "", "3.12.1"),
        ("home = \nversion = three\n", "", None),
        ("", "", None),
    ],
)
def test_a_pyvenv_cfg_names_its_python(
    tmp_path: Path, text: str, home: str, version: str | None
) -> None:
    (tmp_path / "pyvenv.cfg").write_text(text)
    expected = PyvenvConfiguration(home=home, version=version)
    assert read_pyvenv_configuration(tmp_path) == expected


def test_without_a_pyvenv_cfg_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read_pyvenv_configuration(tmp_path) is None
