import tomllib
from pathlib import Path

import uvflow

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_one_that_is_released() -> None:
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert uvflow.__version__ == manifest["project"]["version"]
