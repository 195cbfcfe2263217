from pathlib import Path

import pytest
from rig import Tree

from uvflow.errors import UsageError
from uvflow.project import Project, member_directories


def test_a_project_without_a_workspace_is_its_own(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[project]\nname = "demo"\n', "src/app.py": ""})
    project = Project.find(root / "src")
    assert (project.root, project.workspace, project.name) == (root, root, "demo")
    assert project.lockfile == root / "uv.lock"


def test_a_member_has_the_lockfile_of_its_workspace(tree: Tree) -> None:
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["libs/*"]\nexclude = ["libs/old"]\n',
            "libs/api/pyproject.toml": "",
            "libs/old/pyproject.toml": "",
            "other/pyproject.toml": "",
        }
    )
    workspaces = {
        name: Project.load(root / name).workspace for name in ("libs/api", "libs/old", "other", ".")
    }
    assert workspaces == {
        "libs/api": root,
        "libs/old": root / "libs/old",
        "other": root / "other",
        ".": root / ".",
    }


def test_no_project_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Project.find(tmp_path)
    assert caught.value.message == f"no pyproject.toml in {tmp_path} or above it"
    assert caught.value.hint == "`uvflow init` makes a project of this directory"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["[project\n", "\xff\xfe"])
def test_a_manifest_that_is_no_toml_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"pyproject\.toml is not valid TOML"):
        Project.load(tmp_path)


def test_a_value_of_the_wrong_type_is_told(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[project]\nname = "shop"\ndependencies = "six"\n'})
    with pytest.raises(UsageError) as caught:
        Project.load(root)
    assert caught.value.message == (
        f"{root / 'pyproject.toml'}: `project.dependencies` must be an array, not 'six'"
    )


def test_a_value_where_a_table_belongs_is_told(tree: Tree) -> None:
    root = tree({"pyproject.toml": "[tool]\nuvflow = 1\n"})
    with pytest.raises(UsageError) as caught:
        _ = Project.load(root).profiles
    assert caught.value.message == f"{root / 'pyproject.toml'}: `tool.uvflow` is no table"


@pytest.mark.parametrize("pattern", ["libs/api", "libs/*", "./libs/api/", "../project/libs/api"])
@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_member_is_found_however_its_pattern_is_spelled(
    tree: Tree, pattern: str, *, is_absolute: bool
) -> None:
    root = tree({"libs/api/pyproject.toml": "", "libs/notes.txt": ""})
    table = {"members": [str(root / pattern) if is_absolute else pattern, "", "."]}
    assert root / "libs/api" in member_directories(root, table)
    assert member_directories(root, {**table, "exclude": ["libs/a*"]}) <= {root / "libs/notes.txt"}
