import os
import shutil
import subprocess
from pathlib import Path

import pytest
from edits import EDITS, SPELLINGS, TREE, edit
from rig import Tree

from uvflow import uv
from uvflow.lockfile import Verdict, judge, problem
from uvflow.project import Project
from uvflow.uv import Answer


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tree is kept that was locked once; `shop` copies it."""
    return tmp_path_factory.mktemp("locked") / "project"


@pytest.fixture
def shop(tree: Tree, locked: Path, tmp_path: Path) -> Path:
    if not locked.exists():
        root = tree(TREE)
        subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
        shutil.move(root, locked)
    shutil.copytree(locked, tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize("what", [*EDITS, *SPELLINGS])
def test_uv_decides_and_reading_explains(shop: Path, what: str) -> None:
    file, old, new, *expected = EDITS[what] if what in EDITS else SPELLINGS[what]
    edit(shop, file, old, new)
    judgement = judge(Project.load(shop), uv.find(), os.environ)
    if what in EDITS:
        assert judgement.verdict is Verdict.STALE
        reasons = tuple(text.replace("{root}", shop.as_posix()) for text in expected)
        assert judgement.reasons == reasons
    else:
        assert judgement.verdict is Verdict.FRESH


def test_without_uv_reading_has_to_do(shop: Path) -> None:
    judgement = judge(Project.load(shop), None, os.environ)
    assert judgement.verdict is Verdict.UNTOLD
    assert judgement.reasons == ("no difference to read; there is no uv to ask",)
    edit(shop, *EDITS["a pin"][:3])
    assert judge(Project.load(shop), None, os.environ).verdict is Verdict.STALE


def test_what_would_be_built_is_not_asked_of_uv(shop: Path) -> None:
    edit(shop, "lib/pyproject.toml", 'version = "2.0"', 'dynamic = ["version"]')
    judgement = judge(Project.load(shop), uv.find(), os.environ)
    assert judgement.verdict is Verdict.UNTOLD
    assert judgement.reasons == ("no difference to read; only a build tells the metadata of `lib`",)


def test_a_requirement_that_is_nowhere_is_a_stale_lockfile(shop: Path) -> None:
    edit(shop, "pyproject.toml", '"Toml"', '"nowhere"')
    judgement = judge(Project.load(shop), uv.find(), os.environ)
    assert judgement.verdict is Verdict.STALE
    assert judgement.reasons == (
        "shop: dependencies: `toml` was removed",
        "shop: dependencies: `nowhere` was added",
    )


def test_a_uv_that_cannot_tell_is_never_taken_for_fresh(shop: Path) -> None:
    environ = {**os.environ, "UV_PYTHON": str(shop / "no-python")}
    judgement = judge(Project.load(shop), uv.find(), environ)
    assert judgement.verdict is Verdict.STALE
    assert "no-python" in judgement.reasons[0]


@pytest.mark.parametrize(
    ("err", "said"),
    [
        ("error: A\n  cause: B\n  cause: C\n", "A: B"),
        ("error: A\n  Caused by: B\n", "A: B"),
        ("warning: W\nerror: A\n\nhint: H\n", "A"),
        ("DEBUG x\nThe lockfile needs to be updated\n", "The lockfile needs to be updated"),
        ("", "uv failed with exit code 2"),
    ],
)
def test_the_problem_is_one_line(err: str, said: str) -> None:
    assert problem(Answer(code=2, out="", err=err)) == said
