"""What docker is asked besides builds: digests, which then stay in the Dockerfile."""

import os
from pathlib import Path

import pytest
from locks import local, locked, manifest
from rig import Command, Tree

from uvflow.docker.engine import check_engine, find_digest
from uvflow.errors import NetworkError, UsageError

pytestmark = pytest.mark.skipif(
    "sys.platform == 'win32'", reason="the docker of these tests is a shell script"
)

# A registry that has every image but `away`, and an engine that pulled just that.
DOCKER = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
case "$*" in
  *"{{.Manifest.Digest}} away:1") echo "no route to host" >&2; exit 1;;
  buildx*) echo sha256:REGISTRY;;
  "image inspect --format={{.RepoDigests}} away:1") echo "[away@sha256:PULLED]";;
esac
"""
REGISTRY, PULLED = "a" * 64, "b" * 64


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER.replace("REGISTRY", REGISTRY).replace("PULLED", PULLED))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


def test_without_docker(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="docker was not found on PATH"):
        check_engine({"PATH": str(tmp_path)})


@pytest.mark.usefixtures("docker")
def test_a_digest_is_that_of_the_registry_or_of_what_was_pulled() -> None:
    assert find_digest("python:3.12-slim-trixie", os.environ) == f"sha256:{REGISTRY}"
    assert find_digest("away:1", os.environ) == f"sha256:{PULLED}"


def test_a_digest_that_nobody_knows(docker: Path) -> None:
    docker.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(NetworkError) as caught:
        find_digest("corp.test/python:3", os.environ)
    assert caught.value.message == (
        "neither a registry nor the engine knows a digest of corp.test/python:3"
    )
    assert caught.value.hint == "`docker pull corp.test/python:3`, then again"


def test_digests_stay_until_an_image_is_another(tree: Tree, uvflow: Command, docker: Path) -> None:
    asked = docker.parent / "asked"
    root = tree(
        {
            "pyproject.toml": manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n'),
            "uv.lock": locked(local("shop")),
            ".python-version": "3.12\n",
        }
    )
    assert uvflow("docker", "--pin", "--uv=0.13.9", cwd=root).code == 0
    text = (root / "Dockerfile").read_text()
    assert f"\nFROM python:3.12-slim-trixie@sha256:{REGISTRY} AS base\n" in text
    assert f"from=ghcr.io/astral-sh/uv:0.13.9@sha256:{REGISTRY},source=/uv," in text
    asked.unlink()
    assert uvflow("docker", "--check", cwd=root).code == 0
    assert not asked.exists()
    (root / ".python-version").write_text("3.13\n")
    assert uvflow("docker", cwd=root).code == 0
    assert f"\nFROM python:3.13-slim-trixie@sha256:{REGISTRY} " in (root / "Dockerfile").read_text()
    assert asked.read_text() == (
        "buildx imagetools inspect --format={{.Manifest.Digest}} python:3.13-slim-trixie\n"
    )


@pytest.mark.usefixtures("docker")
def test_an_image_with_a_digest_of_the_users_is_left_alone(tree: Tree, uvflow: Command) -> None:
    image = f"corp.test/python:3@sha256:{PULLED}"
    rest = f'[tool.uvflow.docker]\ncommand = ["serve"]\npython-image = "{image}"\n'
    root = tree({"pyproject.toml": manifest(rest=rest), "uv.lock": locked(local("shop"))})
    for options in ((), ("--check",)):
        assert uvflow("docker", "--uv=0.13.9", *options, cwd=root).code == 0
    assert "astral-sh/uv:0.13.9," in (root / "Dockerfile").read_text()
