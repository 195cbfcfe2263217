"""Commands and syncs of different profiles beside each other: no import ever fails."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig import BIN, Tree

# BESIDE_COMMANDS=500 is the long run.
COMMANDS = int(os.environ.get("BESIDE_COMMANDS", "24"))

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["requests==2.32.3"]

[dependency-groups]
dev = ["iniconfig"]

[tool.uvflow.profiles.prod]
environment = ".venv-prod"
compile-bytecode = false
"""
CALLS = (
    ("run", "--dev", "python", "-c", "import requests, iniconfig"),
    ("sync", "--prod"),
    ("run", "--prod", "python", "-c", "import requests, certifi, idna"),
    ("sync", "--dev"),
)


@pytest.mark.parametrize("profiles", ["apart", "together"])
def test_no_import_fails(tree: Tree, profiles: str) -> None:
    """Apart, each profile has its environment; together, commands of one profile share it."""
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    calls = CALLS if profiles == "apart" else (CALLS[0], CALLS[3])

    def call(number: int) -> tuple[int, str]:
        command = [BIN / "uvflow", *calls[number % len(calls)]]
        done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
        return done.returncode, done.stderr

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(call, range(COMMANDS)))
    assert [err for code, err in results if code != 0] == []
