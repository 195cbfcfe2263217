"""The engine's own command is run, with what it needs."""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from locks import local, locked, manifest
from rig import Command, Tree

from uvflow.docker.build import build_reproducible
from uvflow.errors import UsageError

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
    tree: Tree, uvflow: Command
) -> None:
    index = '[[tool.uv.index]]\nname = "corp"\nurl = "https://corp.test"\n'
    settings = '[tool.uvflow.docker]\ncommand = ["serve"]\nprivate-indexes = ["corp"]\n'
    root = tree({**PROJECT, "pyproject.toml": manifest(rest=index + settings)})
    assert uvflow("docker", cwd=root).code == 0
    said = uvflow("docker", "build", cwd=root)
    assert said.code == 2
    assert "UV_INDEX_CORP_USERNAME and UV_INDEX_CORP_PASSWORD must be set" in said.err


pytestmark = pytest.mark.skipif(
    "sys.platform == 'win32'", reason="the docker of these tests is a shell script"
)


WORDS = ("--tag=shop", "--", "/project")

# Writes its arguments down, and puts an archive that is made already where one is asked for.
REWRITING_DOCKER = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/said"
case "$1 $2" in
  "buildx build")
    for word; do case $word in --output=*) word=${word#*dest=}; to=${word%%,*};; esac; done
    cp "$here/archive" "$to";;
esac
"""


def archive(path: Path, *, mtime: int) -> None:
    """An image of one layer with one file."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as inside:
        entry = tarfile.TarInfo("app")
        entry.mtime = mtime
        inside.addfile(entry)
    files = {
        "layer.tar": layer.getvalue(),
        "manifest.json": json.dumps([{"Layers": ["layer.tar"]}]).encode(),
        "index.json": json.dumps({"manifests": [{"digest": "sha256:abc"}]}).encode(),
    }
    with tarfile.open(path, "w") as image:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            image.addfile(entry, io.BytesIO(content))


@pytest.fixture
def rewriting_docker(tmp_path: Path) -> Mapping[str, str]:
    """Variables with a `docker` on PATH that builds an image whose files have a fixed date."""
    (tmp_path / "docker").write_text(REWRITING_DOCKER)
    (tmp_path / "docker").chmod(0o755)
    archive(tmp_path / "archive", mtime=315532800)
    return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def test_an_image_is_exported_with_one_date_and_loaded(
    rewriting_docker: Mapping[str, str], tmp_path: Path
) -> None:
    assert build_reproducible(WORDS, rewriting_docker) == (0, "sha256:abc")
    built, loaded = (tmp_path / "said").read_text().splitlines()
    place = loaded.removeprefix("load --input=")
    assert built == (
        "buildx build --provenance=false --build-arg=SOURCE_DATE_EPOCH=315532800 "
        f"--output=type=docker,dest={place},rewrite-timestamp=true --tag=shop -- /project"
    )
    assert not Path(place).exists()


def test_a_builder_that_passes_over_the_date_is_told(
    rewriting_docker: Mapping[str, str], tmp_path: Path
) -> None:
    archive(tmp_path / "archive", mtime=315532801)
    with pytest.raises(UsageError, match="the builder cannot set the timestamps of files"):
        build_reproducible(WORDS, rewriting_docker)
    assert "load" not in (tmp_path / "said").read_text()
    assert build_reproducible(WORDS, {**rewriting_docker, "SOURCE_DATE_EPOCH": "1700000000"}) == (
        0,
        "sha256:abc",
    )


def test_a_date_is_a_number_of_seconds(rewriting_docker: Mapping[str, str]) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH must be a number of seconds"):
        build_reproducible(WORDS, {**rewriting_docker, "SOURCE_DATE_EPOCH": "today"})


@pytest.mark.parametrize("option", ["--push", "--output=type=local", "-o"])
def test_where_the_image_goes_is_not_to_be_said(
    rewriting_docker: Mapping[str, str], option: str
) -> None:
    with pytest.raises(UsageError, match=f"{option} excludes --reproducible"):
        build_reproducible((option, *WORDS), rewriting_docker)
