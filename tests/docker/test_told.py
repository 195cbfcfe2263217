"""Each option of `uvflow docker` does its one thing, through the installed command."""

import json

import pytest
from locks import local, locked, manifest
from rig import Command, Tree

PROJECT = {
    "pyproject.toml": manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n'),
    "uv.lock": locked(local("shop")),
    ".python-version": "3.12\n",
}


def test_files_are_written_and_the_evidence_is_told(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", "--uv=0.13.9", cwd=tree(PROJECT))
    assert (said.code, said.out) == (0, "")
    assert said.err == (
        "Python 3.12: .python-version\n"
        "Starts serve: [tool.uvflow.docker] command\n"
        "One stage: every locked package has a wheel\n"
        "Wrote Dockerfile\n"
        "Wrote .dockerignore\n"
    )


def test_print_writes_to_stdout_alone(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    said = uvflow("docker", "--print", "--uv=0.13.9", cwd=root)
    assert said.out.startswith("# Made by `uvflow docker --uv=0.13.9`;")
    assert not (root / "Dockerfile").exists()
    uvflow("docker", "--uv=0.13.9", cwd=root)
    assert (root / "Dockerfile").read_text() == said.out


def test_facts_are_json(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", "--facts", cwd=tree(PROJECT))
    assert json.loads(said.out)["start"]["command"] == ["serve"]


def test_a_dry_run_shows_the_difference_and_writes_nothing(tree: Tree, uvflow: Command) -> None:
    root = tree(PROJECT)
    said = uvflow("docker", "--dry-run", cwd=root)
    assert "+FROM python:3.12-slim-trixie AS base\n" in said.out
    assert said.err.endswith("Would write Dockerfile\nWould write .dockerignore\n")
    assert not (root / "Dockerfile").exists()


def test_check_is_0_when_current_and_1_with_a_difference_otherwise(
    tree: Tree, uvflow: Command
) -> None:
    root = tree(PROJECT)
    uvflow("docker", cwd=root)
    said = uvflow("docker", "--check", cwd=root)
    assert (said.code, said.out) == (0, "")
    assert said.err == "Current: the files are what today's facts give\n"
    (root / ".python-version").write_text("3.13\n")
    said = uvflow("docker", "--check", cwd=root)
    assert said.code == 1
    assert "-FROM python:3.12-slim-trixie AS base\n" in said.out
    assert "+FROM python:3.13-slim-trixie AS base\n" in said.out
    assert said.err == (
        "error: the files of the image are not what today's facts give\n"
        "hint: `uvflow docker` makes them anew\n"
    )


def test_check_as_json_is_one_object(tree: Tree, uvflow: Command) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM python:3.12-slim-trixie\nUSER 1\n"})
    said = uvflow("docker", "--check", "--json", cwd=root)
    data = json.loads(said.out)
    assert (said.code, data["exit_code"], data["command"]) == (1, 1, "docker")
    assert data["findings"][0] == {
        "code": "output-buffered",
        "severity": "note",
        "path": "Dockerfile",
        "line": 1,
        "message": "what a crashing service printed last is lost",
        "hint": "ENV PYTHONUNBUFFERED=1",
    }


def test_a_hand_written_file_is_checked_without_facts(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": manifest(), "Dockerfile": "FROM python:3.12-slim-trixie\n"})
    said = uvflow("docker", "--check", cwd=root)
    assert said.code == 1
    assert "Dockerfile:1: error[starts-nothing] no CMD: the container starts a Python prompt\n" in (
        said.out
    )


def test_an_edited_file_is_overwritten_by_force_or_becomes_the_users(
    tree: Tree, uvflow: Command
) -> None:
    root = tree(PROJECT)
    assert uvflow("docker", cwd=root).code == 0
    with (root / "Dockerfile").open("a") as file:
        file.write("LABEL mine=1\n")
    for arguments in (("docker",), ("docker", "--check"), ("docker", "build")):
        said = uvflow(*arguments, cwd=root)
        assert said.code == 1
        assert "Dockerfile was edited since uvflow made it" in said.err
        assert said.err.endswith(
            "hint: `uvflow docker --force` overwrites it; without its first line it is your own, "
            "and `uvflow docker --check` tells what is wrong with it\n"
        )
    own = (root / "Dockerfile").read_text().partition("\n")[2]
    (root / "Dockerfile").write_text(own)
    assert uvflow("docker", "--check", cwd=root).code == 0
    said = uvflow("docker", cwd=root)
    assert (said.code, "was not made by uvflow" in said.err) == (1, True)
    assert (root / "Dockerfile").read_text() == own
    assert uvflow("docker", "--force", cwd=root).code == 0


def test_a_file_of_somebody_else_needs_force(tree: Tree, uvflow: Command) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM x\n"})
    assert uvflow("docker", cwd=root).code == 1
    assert uvflow("docker", "--force", cwd=root).code == 0


@pytest.mark.parametrize("pair", [("--print", "--check"), ("--facts", "--dry-run")])
def test_two_ways_at_once_are_refused(tree: Tree, uvflow: Command, pair: tuple[str, str]) -> None:
    said = uvflow("docker", *pair, cwd=tree(PROJECT))
    assert said.code == 2
    assert said.err == "error: --print, --facts, --check and --dry-run exclude each other\n"


def test_what_a_dockerignore_lets_in_is_a_warning(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", cwd=tree({**PROJECT, ".dockerignore": ".git\n.venv\n"}))
    assert said.code == 0
    assert said.err.startswith(
        "warning: your .dockerignore lets into the image what is no part of it: **/.env, "
        "**/__pycache__\n"
    )


def test_without_a_lockfile_it_is_exit_code_3(tree: Tree, uvflow: Command) -> None:
    said = uvflow("docker", cwd=tree({"pyproject.toml": manifest()}))
    assert said.code == 3
    assert said.err.endswith("hint: `uv lock` makes one\n")
