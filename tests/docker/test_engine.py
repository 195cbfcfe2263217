"""An engine that cannot build is told before it tries."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from uvflow.docker.engine import check, check_rewriting
from uvflow.errors import UsageError

pytestmark = pytest.mark.skipif(
    "sys.platform == 'win32'", reason="the docker of these tests is a shell script"
)

Answers = Callable[..., Mapping[str, str]]


@pytest.fixture
def docker(tmp_path: Path) -> Answers:
    """Variables with a `docker` on PATH that runs these lines of shell for its first word."""

    def write(**answers: str) -> Mapping[str, str]:
        cases = "".join(f"{word}) {shell};;\n" for word, shell in answers.items())
        (tmp_path / "docker").write_text(f"#!/bin/sh\ncase $1 in\n{cases}esac\n")
        (tmp_path / "docker").chmod(0o755)
        return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    return write


def message(function: Callable[[Mapping[str, str]], None], environ: Mapping[str, str]) -> str:
    with pytest.raises(UsageError) as raised:
        function(environ)
    return f"{raised.value.message}: {raised.value.cause}"


def test_a_docker_that_answers_will_do(docker: Answers) -> None:
    check(docker(version="echo 29.0.1"))


def test_another_engine_with_dockers_command_will_do(docker: Answers) -> None:
    check(docker(version="echo 5.4.2"))


def test_without_docker(tmp_path: Path) -> None:
    assert message(check, {"PATH": str(tmp_path)}).startswith("docker was not found on PATH")


def test_without_buildkit(docker: Answers) -> None:
    environ = {**docker(version="echo 29.0.1"), "DOCKER_BUILDKIT": "0"}
    assert message(check, environ).startswith("DOCKER_BUILDKIT=0 turns BuildKit off")


def test_without_an_engine(docker: Answers) -> None:
    environ = docker(version="echo Cannot connect >&2; exit 1")
    assert message(check, environ) == "the container engine does not answer: Cannot connect"


def test_with_an_engine_that_knows_no_link(docker: Answers) -> None:
    assert message(check, docker(version="echo 20.10.24")).startswith("Docker 20.10.24 is too old")


CLASSIC = """echo '[["Backing Filesystem","extfs"]]'"""
CONTAINERD = """echo '[["driver-type","io.containerd.snapshotter.v1"]]'"""


def test_dockers_own_builder_rewrites_times_in_one_store_alone(docker: Answers) -> None:
    own = "echo 'Driver:        docker'"
    check_rewriting(docker(buildx=own, info=CONTAINERD))
    said = message(check_rewriting, docker(buildx=own, info=CLASSIC))
    assert said.endswith("the engine keeps its images in the classic store")


def test_another_builder_rewrites_times_whatever_the_store(docker: Answers) -> None:
    check_rewriting(docker(buildx="echo 'Driver: docker-container'", info=CLASSIC))


def test_without_buildx_no_times_are_rewritten(docker: Answers) -> None:
    said = message(check_rewriting, docker(buildx="echo no such command >&2; exit 1"))
    assert said == "there is no `docker buildx`: no such command"
