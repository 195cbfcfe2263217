"""Files are decided before any is written, and what is the user's stays the user's."""

from pathlib import Path

import pytest
from locks import local, locked, manifest
from rig import Tree

from uvflow.docker.facts import Options
from uvflow.docker.write import Plan, State, carry_out, plan
from uvflow.errors import DriftError, UsageError
from uvflow.project import Project

PROJECT = {
    "pyproject.toml": manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n'),
    "uv.lock": locked(local("shop")),
    ".python-version": "3.12\n",
}


def planned(root: Path, *more: str, **options: str) -> Plan:
    return plan(Project.load(root), Options(**{"uv": "0.13.9", **options}), more=more)


def states(work: Plan) -> dict[str, State]:
    return {file.path.name: file.state for file in work.files}


@pytest.fixture
def made(tree: Tree) -> Path:
    """A project whose files uvflow has made."""
    root = tree(PROJECT)
    carry_out(planned(root), force=False)
    return root


def test_both_files_are_written(tree: Tree) -> None:
    root = tree(PROJECT)
    work = planned(root)
    assert carry_out(work, force=False) == (root / "Dockerfile", root / ".dockerignore")
    assert [file.path.read_text() for file in work.files] == [file.text for file in work.files]


def test_a_second_time_nothing_is_written(made: Path) -> None:
    before = (made / "Dockerfile").stat().st_mtime_ns
    assert carry_out(planned(made), force=False) == ()
    assert (made / "Dockerfile").stat().st_mtime_ns == before


def test_other_facts_make_it_anew(made: Path) -> None:
    (made / ".python-version").write_text("3.13\n")
    work = planned(made)
    assert states(work) == {"Dockerfile": State.CHANGED, ".dockerignore": State.SAME}
    assert carry_out(work, force=False) == (made / "Dockerfile",)


def test_what_was_said_last_time_holds_until_it_is_said_otherwise(tree: Tree) -> None:
    root = tree(PROJECT)
    carry_out(planned(root, base="managed"), force=False)
    again = plan(Project.load(root), Options())
    assert again.options == Options(uv="0.13.9", base="managed")
    assert states(again)["Dockerfile"] is State.SAME
    assert planned(root, base="slim").facts.base == "slim"


def test_the_uv_of_this_machine_is_named_the_first_time(tree: Tree) -> None:
    work = plan(Project.load(tree(PROJECT)), Options())
    assert work.options.uv is not None
    assert work.facts.images.uv == f"ghcr.io/astral-sh/uv:{work.options.uv}"


def test_a_uv_that_is_older_than_the_one_here_is_remarked(tree: Tree) -> None:
    work = planned(tree(PROJECT), uv="0.9.30")
    [remark] = work.remarks
    assert remark.startswith("uv 0.9.30 builds the image, and uv ")
    assert planned(tree(PROJECT), uv="99.0.0").remarks == ()


def test_an_edited_file_is_not_overwritten(made: Path) -> None:
    with (made / "Dockerfile").open("a") as file:
        file.write("LABEL mine=1\n")
    work = planned(made)
    assert states(work)["Dockerfile"] is State.EDITED
    with pytest.raises(DriftError, match="Dockerfile was edited since uvflow made it"):
        carry_out(work, force=False)
    assert (made / "Dockerfile").read_text().endswith("LABEL mine=1\n")
    assert carry_out(work, force=True) == (made / "Dockerfile",)


def test_a_file_of_somebody_else_is_not_overwritten(tree: Tree) -> None:
    root = tree({**PROJECT, "Dockerfile": "FROM scratch\n"})
    with pytest.raises(DriftError, match="Dockerfile was not made by uvflow"):
        carry_out(planned(root), force=False)
    assert not (root / ".dockerignore").exists()


def test_a_dockerignore_is_kept_and_what_it_lacks_is_named(tree: Tree) -> None:
    root = tree({**PROJECT, ".dockerignore": ".git\n.venv\n"})
    work = planned(root)
    assert work.not_ignored == ("**/.env", "**/__pycache__")
    carry_out(work, force=True)
    assert (root / ".dockerignore").read_text() == ".git\n.venv\n"


def test_windows_line_ends_are_no_difference(made: Path) -> None:
    path = made / "Dockerfile"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert states(planned(made))["Dockerfile"] is State.SAME


def test_more_files_are_written_when_asked_for_and_kept_up_then(made: Path) -> None:
    work = planned(made, "bake", "compose")
    assert list(states(work)) == [
        "Dockerfile",
        "docker-bake.hcl",
        "compose.yaml",
        ".dockerignore",
    ]
    carry_out(work, force=False)
    assert list(states(planned(made))) == list(states(work))


def test_a_compose_file_of_somebody_else_is_nobodys_business(made: Path) -> None:
    (made / "compose.yaml").write_text("services: {}\n")
    assert "compose.yaml" not in states(planned(made))


def test_a_member_has_its_files_beside_it(tree: Tree) -> None:
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["api"]\n',
            "uv.lock": locked(local("api", source='virtual = "api"')),
            "api/pyproject.toml": PROJECT["pyproject.toml"].replace("shop", "api"),
        }
    )
    assert list(states(planned(root / "api"))) == ["Dockerfile", "Dockerfile.dockerignore"]


def test_a_first_line_that_was_edited_to_say_what_cannot_be_is_named(made: Path) -> None:
    text = (made / "Dockerfile").read_text()
    (made / "Dockerfile").write_text(text.replace("docker --uv", "docker --base='slim --uv", 1))
    with pytest.raises(UsageError, match=r"Dockerfile:1: --base must be one of slim, "):
        planned(made)
