"""What the options do that all commands share."""

from pathlib import Path

import pytest
from locks import local, locked, manifest
from rig import Command, Tree

from uvflow.cli.options import busy
from uvflow.console import Console


def annotations(root: Path, uvflow: Command, *words: str, workspace: Path) -> list[str]:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(workspace)}
    done = uvflow(*words, cwd=root, environ=environ)
    return [line for line in done.err.splitlines() if line.startswith("::")]


def test_a_job_of_github_shows_findings_at_their_lines(tree: Tree, uvflow: Command) -> None:
    files = {
        "pyproject.toml": manifest(),
        "uv.lock": locked(local("shop")),
        "Dockerfile": "FROM python:3.13-slim-trixie\nUSER 1:1\nCMD python\n",
    }
    root = tree({f"50%, a/{name}": text for name, text in files.items()}) / "50%, a"
    words = ("docker", "--check")
    shown = annotations(root, uvflow, *words, workspace=root.parent)
    place = "file=50%25%2C a/Dockerfile,line"
    starts = [line[: line.index("::", 2)] for line in shown]
    assert f"::error {place}=3,title=starts-nothing" in starts
    assert f"::notice {place}=1,title=output-buffered" in starts
    assert annotations(root, uvflow, *words, "--json", workspace=root.parent) == shown
    assert "::" not in uvflow(*words, cwd=root).err


def test_a_finding_without_a_line_is_shown_as_well(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": manifest(), "uv.lock": locked(local("shop"))})
    assert annotations(root, uvflow, "doctor", "--offline", workspace=root) == [
        "::error title=environment-not-synced::there is no .venv"
    ]


@pytest.mark.parametrize(
    ("is_terminal", "is_quiet", "shown"),
    [(True, False, "Checking…\r\x1b[K"), (True, True, ""), (False, False, "")],
)
def test_long_work_shows_a_line_at_a_terminal_until_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    is_terminal: bool,
    is_quiet: bool,
    shown: str,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(ZeroDivisionError), busy(Console(quiet=is_quiet), "Checking"):
        raise ZeroDivisionError
    assert capsys.readouterr().err == shown
