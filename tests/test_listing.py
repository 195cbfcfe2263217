import os

import pytest
from rig import Tree

from uvflow.imports.model import Options
from uvflow.listing import names


def test_the_root_is_listed_whole_and_folders_for_requirements(tree: Tree) -> None:
    files = ("setup.cfg", "requirements.txt", "requirements/dev.in", "requirements/ci/a.txt")
    root = tree(dict.fromkeys((*files, "docs/index.txt", "docs/conf.py", "a/b/c/x.txt"), ""))
    assert names(root, Options()) == sorted((*files, "docs/index.txt"))


def test_projects_of_their_own_and_environments_are_not_entered(tree: Tree) -> None:
    marks = ("api/pyproject.toml", "lib/setup.py", ".venv/pyvenv.cfg", "node_modules/x", ".git/x")
    root = tree(dict.fromkeys((*marks, "api/r.txt", "lib/r.txt", ".venv/r.txt", ".git/r.txt"), ""))
    (root / "elsewhere").symlink_to(root / "requirements")
    assert names(root, Options()) == []


def test_a_folder_of_requirements_files_may_be_a_link(tree: Tree) -> None:
    root = tree({"deploy/python/requirements.txt": "", "requirements.txt": ""})
    (root / "requirements").symlink_to(root / "deploy" / "python")
    assert names(root, Options()) == ["requirements.txt", "requirements/requirements.txt"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_for_other_eyes_is_passed_over(tree: Tree) -> None:
    root = tree({"requirements.txt": "", "pgdata/r.txt": ""})
    (root / "pgdata").chmod(0)
    assert names(root, Options()) == ["requirements.txt"]
    (root / "pgdata").chmod(0o700)


def test_what_lies_beside_a_chosen_file_is_seen(tree: Tree) -> None:
    files = ("deps/prod/app.in", "deps/prod/app.txt", "deps/prod/setup.py", "deps/lint/x.in")
    root = tree(dict.fromkeys(files, ""))
    chosen = Options(from_files=("deps/prod/app.in",), groups=(("lint", "deps/lint/x.in"),))
    assert names(root, chosen) == ["deps/lint/x.in", "deps/prod/app.in", "deps/prod/app.txt"]
    outside = Options(from_files=("../x.in", "https://h/x.in", "nowhere/x.in"))
    assert names(root, outside) == []
