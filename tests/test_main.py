"""`python -m uvflow`: the module run as a program. The fast path has tests of its own."""

import os
import subprocess
import sys

import pytest
from rig import Tree

MODULES = ("json", "click", "tomllib", "platformdirs", "filelock", "tomlkit", "packaging")


@pytest.mark.parametrize("command", ["sync", "status", "--help", "init --dry-run", "docker"])
def test_python_m_imports_nothing_from_the_current_directory(tree: Tree, command: str) -> None:
    ours = {f"{name}.py": "raise SystemExit('a module of the project was run')" for name in MODULES}
    root = tree({"pyproject.toml": '[project]\nname = "x"\nversion = "1"\n', **ours})
    words = [sys.executable, "-m", "uvflow", *command.split()]
    done = subprocess.run(words, cwd=root, capture_output=True, check=False, encoding="utf-8")
    assert "a module of the project was run" not in done.stderr
    assert done.stdout + done.stderr


def test_python_m_leaves_alone_what_pythonpath_names(tree: Tree) -> None:
    root = tree({"more/click.py": "raise SystemExit('chosen')"})
    environ = {**os.environ, "PYTHONPATH": str(root / "more")}
    words = [sys.executable, "-m", "uvflow", "--help"]
    for safe in ({}, {"PYTHONSAFEPATH": "1"}):
        done = subprocess.run(
            words, cwd=root, env={**environ, **safe}, capture_output=True, check=False
        )
        assert done.stderr == b"chosen\n"
