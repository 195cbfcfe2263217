"""What the options do that all commands share."""

from pathlib import Path

from locks import local, locked, manifest
from rig import Command, Tree


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
