"""The forks of tests/forked.py are what a start of the installed command is."""

import subprocess
import sys

import pytest
from rig import BIN, MANIFEST, Command, Tree

COMMANDS = {
    "nothing but a version": ("--version",),
    "help": ("--help",),
    "a wrong option": ("sync", "--nonsense"),
    "the fast path": ("sync",),
    "the command line": ("profiles", "--json"),
    "a command's streams and code": ("run", "--", "sh", "-c", "pwd; echo $WORD $0 >&2; exit 7"),
    "a command that is killed": ("run", "--", "sh", "-c", "kill -9 $$"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="forks are on Linux")
def test_a_fork_is_as_the_installed_command(
    tree: Tree, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", cwd=root).code == 0
    monkeypatch.setenv("WORD", "wörd")
    for name, words in COMMANDS.items():
        done = subprocess.run(
            [BIN / "uvflow", *words], cwd=root, capture_output=True, check=False, encoding="utf-8"
        )
        forked = uvflow(*words, cwd=root)
        found = (forked.code, forked.out, forked.err)
        assert found == (done.returncode, done.stdout, done.stderr), name


def test_what_a_python_heeds_when_it_starts_is_not_forked(
    uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that is verbose names each module that it imports."""
    assert "import 'uvflow" not in uvflow("--version").err
    monkeypatch.setenv("PYTHONVERBOSE", "1")
    assert "import 'uvflow" in uvflow("--version").err
