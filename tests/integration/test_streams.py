"""Standard streams that are closed, full or read by nobody change nothing but what is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rig import BIN, Command, Tree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0"]
"""
needs_a_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no /dev/full"
)


@pytest.fixture
def shop(tree: Tree, uvflow: Command) -> Path:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", cwd=root).code == 0
    return root


def shell(line: str, root: Path) -> "subprocess.CompletedProcess[str]":
    """Run `line`, in which `uvflow` is the command under test."""
    environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=root,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "line",
    [
        "uvflow sync 2>&-",
        "uvflow sync <&- >&- 2>&-",
        "uvflow status >&-",
        "uvflow status --json 2>&-",
        "rm -r .venv && uvflow sync <&- >&- 2>&- && test -e .venv/pyvenv.cfg",
        "uvflow run python -c 'print()' >&-",
        pytest.param("uvflow sync 2>/dev/full", marks=needs_a_full_device),
        pytest.param("rm -r .venv && uvflow sync 2>/dev/full", marks=needs_a_full_device),
    ],
)
def test_what_cannot_be_told_is_done_all_the_same(shop: Path, line: str) -> None:
    done = shell(line, shop)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_usage_errors_keep_their_exit_code(shop: Path) -> None:
    assert shell("uvflow status --wrong 2>&-", shop).returncode == 2


@needs_a_full_device
@pytest.mark.parametrize("options", ["", "--json"])
def test_results_that_are_lost_are_an_error(shop: Path, options: str) -> None:
    done = shell(f"uvflow status {options} >/dev/full", shop)
    assert done.returncode == 8
    assert done.stderr.startswith("error: standard output cannot be written\n")


@needs_a_full_device
@pytest.mark.parametrize("line", ["uvflow --help", "uvflow --version", "uvflow sync --help"])
def test_help_that_is_lost_is_an_error_and_no_traceback(shop: Path, line: str) -> None:
    done = shell(f"{line} >/dev/full", shop)
    assert done.returncode == 8
    assert (
        done.stderr
        == "error: the current directory, a file or the output\n  cause: No space left on device\n"
    )


@pytest.mark.parametrize("options", ["", "--json"])
def test_a_reader_that_has_enough_is_no_error(shop: Path, options: str) -> None:
    done = shell(f"{{ sleep 0.2; uvflow status {options}; }} | true", shop)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", ["cache list", "run --help", "status --color=always"])
def test_what_an_encoding_lacks_is_shown_as_an_escape(shop: Path, line: str) -> None:
    odd = shop.rename(shop.with_name("Ω"))
    (odd / ".venv").rename(odd / ".venv-moved")
    shell("uvflow sync", odd)
    done = shell(f"PYTHONIOENCODING=latin-1 uvflow {line}", odd)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u2026" in done.stdout or r"\u03a9" in done.stdout or "status" in line
