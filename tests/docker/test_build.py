"""The engine's own command is run, with what it needs."""

from pathlib import Path

import pytest
from locks import local, locked, manifest, package
from rig import Command, Tree

DOCKER = """#!/bin/sh
case $1 in
  version) echo 26.1.5;;
  build) printf '%s\\n' "$DOCKER_BUILDKIT" "$@" > "$(dirname "$0")/said"; exit 3;;
esac
"""
PROJECT = {
    "pyproject.toml": manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n'),
    "uv.lock": locked(local("shop")),
}


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that writes down what it was asked to build, and ends with 3."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


@pytest.mark.skipif("sys.platform == 'win32'", reason="the docker of this test is a shell script")
def test_docker_is_asked_and_its_exit_code_is_ours(
    tree: Tree, uvflow: Command, on_path: Path
) -> None:
    root = tree(PROJECT)
    assert uvflow("docker", cwd=root).code == 0
    said = uvflow("docker", "build", "--dev", "-t", "mine", "--", "--pull", cwd=root)
    assert said.code == 3
    assert (on_path / "said").read_text().splitlines() == [
        "1",
        "build",
        "--target=dev",
        "--tag=mine",
        f"--file={root}/Dockerfile",
        "--label=org.opencontainers.image.version=1.0",
        "--pull",
        "--",
        str(root),
    ]
    uvflow("docker", "build", cwd=root)
    assert {"--target=prod", "--tag=shop"} <= {*(on_path / "said").read_text().splitlines()}


@pytest.mark.usefixtures("on_path")
def test_files_that_are_not_current_are_not_built(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    said = uvflow("docker", "build", cwd=root)
    assert (said.code, "Dockerfile does not exist" in said.err) == (1, True)
    assert uvflow("docker", cwd=root).code == 0
    (root / ".python-version").write_text("3.12\n")
    said = uvflow("docker", "build", cwd=root)
    assert (said.code, "Dockerfile does not match today's facts" in said.err) == (1, True)


def test_a_stale_lockfile_is_told_before_anything_is_built(
    tree: Tree, uvflow: Command, on_path: Path
) -> None:
    root = tree(PROJECT)
    assert uvflow("docker", cwd=root).code == 0
    (root / "pyproject.toml").write_text(
        PROJECT["pyproject.toml"].replace("dependencies = []", 'dependencies = ["idna"]')
    )
    said = uvflow("docker", "build", cwd=root)
    assert said.code == 3
    assert said.err == (
        "error: uv.lock is not what pyproject.toml asks for\n"
        "  cause: dependencies: `idna` was added\n"
        "hint: `uv lock` updates the lockfile\n"
    )
    assert not (on_path / "said").exists()


@pytest.mark.usefixtures("on_path")
def test_a_profile_that_is_not_declared_is_told(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", "build", "--profile=stagin", cwd=tree(PROJECT))
    assert said.code == 2
    assert "stagin" in said.err


@pytest.mark.usefixtures("on_path")
def test_a_secret_without_a_value_is_told_before_anything_is_built(
    tree: Tree, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")  # so that the lockfile is current
    index = '[[tool.uv.index]]\nname = "corp"\nurl = "https://corp.test/simple"\n'
    index += 'authenticate = "always"\n'
    settings = '[tool.uvflow.docker]\ncommand = ["serve"]\n'
    lock = locked(
        local("shop", needs=["a"]), package("a", source='registry = "https://corp.test/simple"')
    )
    root = tree({"pyproject.toml": manifest(rest=index + settings), "uv.lock": lock})
    assert uvflow("docker", cwd=root).code == 0
    said = uvflow("docker", "build", cwd=root)
    assert said.code == 2
    assert "UV_INDEX_CORP_USERNAME and UV_INDEX_CORP_PASSWORD must be set" in said.err


pytestmark = pytest.mark.skipif(
    "sys.platform == 'win32'", reason="the docker of these tests is a shell script"
)
