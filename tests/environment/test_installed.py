import platform
import subprocess
import sys
from pathlib import Path

import pytest

from uvflow.environment.installed import Environment, python_version, read_configuration


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("version_info = 3.12.1", "3.12.1"),
        ("version = 3.11.0", "3.11.0"),
        ("version_info = 3.13.0.final.0", "3.13.0"),
        ("VERSION_INFO=3.14", "3.14"),
        ("version_info = 3.12.1.final.0\r\nversion = 3.11", "3.12.1"),
        ("versions = 3.12.1", None),
        ("version = three", None),
    ],
)
def test_pyvenv_cfg_has_the_version_of_python(
    tmp_path: Path, line: str, version: str | None
) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\n")
    assert python_version(Environment(tmp_path)) == version


@pytest.mark.parametrize(
    "command", [(sys.executable, "-m", "venv", "--without-pip"), ("uv", "venv", "-q")]
)
def test_each_creator_writes_the_version(tmp_path: Path, command: tuple[str, ...]) -> None:
    subprocess.run([*command, str(tmp_path / "env")], check=True)
    assert python_version(Environment(tmp_path / "env")) == platform.python_version()


def test_a_missing_environment_has_no_configuration(tmp_path: Path) -> None:
    missing = Environment(tmp_path / "missing")
    assert read_configuration(missing) is None
    assert python_version(missing) is None


def test_the_first_of_two_values_counts(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("no value\nHome = /a = b \nhome = /c\n")
    assert read_configuration(Environment(tmp_path)) == {"home": "/a = b"}
