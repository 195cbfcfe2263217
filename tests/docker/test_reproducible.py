"""A reproducible image is checked to be one."""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from uvflow.docker.reproducible import build
from uvflow.errors import UsageError

pytestmark = pytest.mark.skipif(
    "sys.platform == 'win32'", reason="the docker of these tests is a shell script"
)

WORDS = ("--tag=shop", "--", "/project")

# Writes its arguments down, and puts an archive that is made already where one is asked for.
DOCKER = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/said"
case "$1 $2" in
  "buildx inspect") echo "Driver: docker-container";;
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
def docker(tmp_path: Path) -> Mapping[str, str]:
    """Variables with a `docker` on PATH that builds an image whose files have a fixed date."""
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    archive(tmp_path / "archive", mtime=315532800)
    return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def test_an_image_is_exported_with_one_date_and_loaded(
    docker: Mapping[str, str], tmp_path: Path
) -> None:
    assert build(WORDS, docker) == (0, "sha256:abc")
    _, built, loaded = (tmp_path / "said").read_text().splitlines()
    place = loaded.removeprefix("load --input=")
    assert built == (
        "buildx build --provenance=false --build-arg=SOURCE_DATE_EPOCH=315532800 "
        f"--output=type=docker,dest={place},rewrite-timestamp=true --tag=shop -- /project"
    )
    assert not Path(place).exists()


def test_a_builder_that_passes_over_the_date_is_told(
    docker: Mapping[str, str], tmp_path: Path
) -> None:
    archive(tmp_path / "archive", mtime=315532801)
    with pytest.raises(UsageError, match="the builder cannot give files the times it is told"):
        build(WORDS, docker)
    assert "load" not in (tmp_path / "said").read_text()
    assert build(WORDS, {**docker, "SOURCE_DATE_EPOCH": "1700000000"}) == (0, "sha256:abc")


def test_a_date_is_a_number_of_seconds(docker: Mapping[str, str]) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH must be a number of seconds"):
        build(WORDS, {**docker, "SOURCE_DATE_EPOCH": "today"})


@pytest.mark.parametrize("option", ["--push", "--output=type=local", "-o"])
def test_where_the_image_goes_is_not_to_be_said(docker: Mapping[str, str], option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} cannot be said with --reproducible"):
        build((option, *WORDS), docker)
