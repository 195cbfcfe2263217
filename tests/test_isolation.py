"""The suite cannot touch the machine it runs on."""

import os
from pathlib import Path


def test_home_is_a_directory_of_the_tests(sealed: Path, machine: Path) -> None:
    assert Path.home() == sealed
    assert sealed.is_relative_to(machine)


def test_uv_reads_no_variable_of_the_machine() -> None:
    assert sorted(name for name in os.environ if name.startswith("UV")) == [
        "UVFLOW_CACHE_DIR",
        "UV_CACHE_DIR",
        "UV_DEFAULT_INDEX",
        "UV_PYTHON",
        "UV_PYTHON_DOWNLOADS",
    ]
