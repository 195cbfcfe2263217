"""The engine's own command is run, with what it needs, and what was built is tried."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from images import facts
from locks import local, locked, manifest, package
from rig import Command, Tree, git

from uvflow.docker.build import try_image

pytestmark = pytest.mark.skipif(
    "sys.platform == 'win32'", reason="the docker of these tests is a shell script"
)

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


@pytest.fixture
def repository(tree: Tree, uvflow: Command) -> Path:
    """A project that takes its version from git, with a current Dockerfile, committed."""
    settings = PROJECT["pyproject.toml"].replace('version = "1.0"', 'dynamic = ["version"]')
    build_system = '[build-system]\nrequires = ["hatch-vcs"]\nbuild-backend = "hatchling.build"\n'
    lockfile = locked(local("shop", source='editable = "."')).replace('version = "1.0"\n', "")
    root = tree({"pyproject.toml": f"{settings}{build_system}", "uv.lock": lockfile})
    assert uvflow("docker", cwd=root).code == 0
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def passed(on_path: Path) -> set[str]:
    """What docker was told of the version and the revision."""
    words = (on_path / "said").read_text().splitlines()
    return {word for word in words if word.startswith(("--build-arg", "--label"))}


def version_passed(version: str) -> set[str]:
    variable, label = "SETUPTOOLS_SCM_PRETEND_VERSION", "org.opencontainers.image.version"
    return {f"--build-arg={variable}={version}", f"--label={label}={version}"}


def test_the_version_of_the_tag_is_given_to_the_build(
    repository: Path, uvflow: Command, on_path: Path
) -> None:
    git(repository, "tag", "shop-v1.4.0")
    git(repository, "tag", "nightly")
    said = uvflow("docker", "build", cwd=repository)
    assert "SETUPTOOLS_SCM_PRETEND_VERSION is 1.4.0, by git's tags\n" in said.err
    revision = f"--label=org.opencontainers.image.revision={git(repository, 'rev-parse', 'HEAD')}"
    assert passed(on_path) == {*version_passed("1.4.0"), revision}
    own = "--build-arg=SETUPTOOLS_SCM_PRETEND_VERSION=2"
    uvflow("docker", "build", "--", own, cwd=repository)
    assert passed(on_path) == {own, revision}


def test_what_came_after_the_tag_is_in_the_version(
    repository: Path, uvflow: Command, on_path: Path
) -> None:
    git(repository, "tag", "v1.4.0-rc1")
    git(repository, "commit", "-qm", "more", "--allow-empty")
    commit = f"g{git(repository, 'describe', '--always')}"
    uvflow("docker", "build", cwd=repository)
    assert version_passed(f"1.4.0rc1.post1+{commit}") <= passed(on_path)
    with (repository / "pyproject.toml").open("a") as file:
        file.write("# edited\n")
    uvflow("docker", "build", cwd=repository)
    assert passed(on_path) == version_passed(f"1.4.0rc1.post1+{commit}.dirty")


@pytest.mark.parametrize("tag", ["nightly", "v2-final"])
def test_no_tag_of_a_version_is_told(
    repository: Path, uvflow: Command, on_path: Path, tag: str
) -> None:
    git(repository, "tag", tag)
    said = uvflow("docker", "build", cwd=repository)
    assert "SETUPTOOLS_SCM_PRETEND_VERSION is not given, and the version is 0.0.0\n" in said.err
    assert not any("PRETEND" in word for word in passed(on_path))


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


# Answers with variables, and writes down what it was asked, with a name for the random one.
ANSWERING = """#!/bin/sh
echo "$@" | sed 's/uvflow-try-[0-9a-f]*/NAME/' >> "$(dirname "$0")/asked"
case "$*" in
  *--entrypoint*) [ -z "$LOADS" ] || { echo Traceback >&2; echo "$LOADS" >&2; exit 1; };;
  *--detach*) [ -z "$STARTS" ] || { echo "$STARTS" >&2; exit 125; };;
  *State.ExitCode*) echo "${CODE:-0}";;
  *Health.Log*) echo "$ANSWER";;
  inspect*) echo "${STATE:-running healthy}";;
  logs*) echo "${LOG:-no such table}" >&2;;
esac
"""
START = facts().start


@pytest.fixture
def docker(tmp_path: Path) -> Callable[..., Mapping[str, str]]:
    """Variables with a `docker` on PATH that answers with these."""

    def write(**answers: str) -> Mapping[str, str]:
        (tmp_path / "docker").write_text(ANSWERING)
        (tmp_path / "docker").chmod(0o755)
        return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", **answers}

    return write


Docker = Callable[..., Mapping[str, str]]
HARDENED = "--pull=never --network=none --read-only --tmpfs=/tmp --cap-drop=ALL"


def test_a_service_that_loads_answers_and_stops(docker: Docker, tmp_path: Path) -> None:
    found = list(try_image("shop", START, "/x/.env", docker()))
    assert [(each.severity.value, each.code, each.message) for each in found] == [
        ("note", "image-loads", "main:app can be loaded"),
        ("note", "image-runs", "it is running healthy"),
        ("note", "image-stops", "it stops when told to"),
    ]
    load, run, *_, stop, _, remove = (tmp_path / "asked").read_text().splitlines()
    given = f"{HARDENED} --env-file=/x/.env shop"
    assert load.startswith(f"run --rm --entrypoint=python {given} -c import sys, ")
    assert run == (f"run --detach --name=NAME --health-interval=1s --health-retries=60 {given}")
    assert (stop, remove) == ("stop -t 2 NAME", "rm --force NAME")


@pytest.mark.parametrize(
    ("answers", "code", "message"),
    [
        ({"LOADS": "No module named 'x'"}, "image-loads", "main:app cannot be loaded: No module"),
        ({"STATE": "exited"}, "image-runs", "it is exited: no such table"),
        (
            {"STATE": "running unhealthy", "ANSWER": "status 400"},
            "image-runs",
            "it is running, and its health check fails: status 400",
        ),
        ({"STARTS": "no such image", "STATE": " "}, "image-runs", "it is not started: no such im"),
        ({"CODE": "137"}, "image-stops", "it does not stop within 2 seconds, and is killed"),
    ],
)
def test_the_first_that_does_not_hold_is_an_error(
    docker: Docker, tmp_path: Path, answers: dict[str, str], code: str, message: str
) -> None:
    *notes, error = try_image("shop", START, "", docker(**answers))
    assert {note.severity for note in notes} <= {"note"}
    assert (error.severity, error.code) == ("error", code)
    assert error.message.startswith(message)
    assert error.hint
    started = "--detach" in (tmp_path / "asked").read_text()
    assert started == (code != "image-loads")
    assert ("rm --force NAME" in (tmp_path / "asked").read_text()) == started


def test_a_program_is_loaded_and_not_run(docker: Docker, tmp_path: Path) -> None:
    program = replace(START, command=("shop",), port=None, is_program=True)
    [note] = try_image("shop", program, "", docker())
    assert note.message == "shop can be loaded"
    assert "--detach" not in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    ("command", "loaded"),
    [
        ("gunicorn -c python:shop.conf shop.web:make(1)", ["shop.web:make"]),
        ("gunicorn --chdir=src shop:app", []),
        ("env PYTHONPATH=src gunicorn shop:app", []),
        ("celery --app=shop.tasks:queue worker", []),
    ],
)
def test_what_is_imported_from_elsewhere_is_only_run(
    docker: Docker, command: str, loaded: list[str]
) -> None:
    start = replace(START, command=tuple(command.split()))
    messages = [each.message for each in try_image("shop", start, "", docker())]
    assert messages[:-2] == [f"{name} can be loaded" for name in loaded]


def test_build_tries_with_the_variables_of_the_profile(
    tree: Tree, uvflow: Command, docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = (
        '[tool.uvflow.docker]\ncommand = ["serve"]\n[tool.uvflow.profiles.prod]\nenv-file = "e"\n'
    )
    root = tree({"pyproject.toml": manifest(rest=rest), "uv.lock": locked(local("shop"))})
    monkeypatch.setenv("PATH", docker()["PATH"])
    monkeypatch.setenv("STATE", "exited")
    assert uvflow("docker", cwd=root).code == 0
    said = uvflow("docker", "build", "--try", cwd=root)
    assert said.code == 1
    assert said.out.startswith("error[image-runs] it is exited: no such table\n  start without ")
    assert said.err == (
        "error: the check found errors\nhint: each finding says what to write instead\n"
    )
    assert f" --env-file={root}/e shop\n" in (tmp_path / "asked").read_text()
    shown = json.loads(uvflow("docker", "build", "--try", "--json", cwd=root).out)
    assert [finding["code"] for finding in shown["findings"]] == ["image-runs"]
