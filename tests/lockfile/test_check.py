import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from edits import EDITS, SETTINGS, SPELLINGS, TREE, edit
from rig import Tree

from uvflow import uv
from uvflow.lockfile.check import (
    Level,
    LockfileCheck,
    check_lockfile,
    failure_reason,
    stale_lockfile_error,
)
from uvflow.lockfile.packages import read_lockfile
from uvflow.process import Completed
from uvflow.project.manifest import Project
from uvflow.uv import Uv


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


def judge(root: Path, uv: Uv | None, environ: Mapping[str, str] = os.environ) -> LockfileCheck:
    return check_lockfile(Project.load(root), uv, environ)


@pytest.mark.parametrize("what", [*EDITS, *SPELLINGS])
def test_uv_decides_and_reading_explains(shop: Path, what: str) -> None:
    file, old, new, *expected = EDITS[what] if what in EDITS else SPELLINGS[what]
    edit(shop, file, old, new)
    judgement = judge(shop, uv.find())
    if what in EDITS:
        assert judgement.verdict is Level.STALE
        reasons = tuple(text.replace("{root}", shop.as_posix()) for text in expected)
        assert judgement.reasons == reasons
    else:
        assert judgement.verdict is Level.OK


@pytest.mark.parametrize("what", SETTINGS)
def test_uv_says_which_setting_has_changed(shop: Path, what: str) -> None:
    file, old, new, expected = SETTINGS[what]
    edit(shop, file, old, new)
    judgement = judge(shop, uv.find())
    assert judgement.verdict is Level.STALE
    assert judgement.reasons[0].startswith(expected)
    assert "{" not in judgement.reasons[0]


def test_without_uv_reading_has_to_do(shop: Path) -> None:
    judgement = judge(shop, None)
    assert judgement.verdict is Level.UNKNOWN
    assert judgement.reasons == ("reading shows no difference; uv was not asked",)
    edit(shop, *EDITS["a pin"][:3])
    assert judge(shop, None).verdict is Level.STALE


def test_what_would_be_built_is_not_asked_of_uv(shop: Path) -> None:
    edit(shop, "lib/pyproject.toml", 'version = "2.0"', 'dynamic = ["version"]')
    judgement = judge(shop, uv.find())
    assert judgement.verdict is Level.UNKNOWN
    assert judgement.reasons == (
        "reading shows no difference; uv would have to build `lib` to know",
    )


def test_a_requirement_that_is_nowhere_is_a_stale_lockfile(shop: Path) -> None:
    edit(shop, "pyproject.toml", '"Toml"', '"nowhere"')
    judgement = judge(shop, uv.find())
    assert judgement.verdict is Level.STALE
    assert judgement.reasons == (
        "shop: dependencies: `toml` was removed",
        "shop: dependencies: `nowhere` was added",
    )


def test_a_uv_that_cannot_check_is_never_taken_for_fresh(shop: Path) -> None:
    environ = {**os.environ, "UV_PYTHON": str(shop / "no-python")}
    judgement = judge(shop, uv.find(), environ)
    assert judgement.verdict is Level.UNKNOWN
    assert re.match(r"uv cannot check it: .*no-python", judgement.reasons[0])
    assert judgement.hint == "`uv lock --check` says more"


@pytest.mark.parametrize("text", ["garbage", "version = 99", "<<<<<<< HEAD", ""])
def test_a_lockfile_that_uv_cannot_read_is_not_for_uv_to_update(shop: Path, text: str) -> None:
    (shop / "uv.lock").write_text(text)
    judgement = judge(shop, uv.find())
    assert judgement.verdict is Level.STALE
    assert judgement.reasons[0].startswith("Failed to parse `uv.lock`")
    assert judgement.hint == ("put uv.lock back from version control, or remove it and `uv lock`")
    assert subprocess.run(["uv", "lock", "-q"], cwd=shop, check=False).returncode != 0


def test_an_index_that_is_gone_is_named(shop: Path, index: Path, tmp_path: Path) -> None:
    place = read_lockfile(shop / "uv.lock").by_name["attrs"][0].source["registry"]
    assert (shop / place).resolve() == index  # which is a relative path in uv 0.9.0
    shutil.copytree(index, tmp_path / "other")
    environ = {**os.environ, "UV_DEFAULT_INDEX": (tmp_path / "other").as_uri()}
    judgement = judge(shop, uv.find(), environ)
    assert judgement.verdict is Level.STALE
    [reason] = judgement.reasons
    assert reason.startswith("UV_DEFAULT_INDEX is set; uv found missing local index: `attrs`")
    assert f"from `{place}`" in reason
    assert "`uv lock`" not in judgement.hint


def test_a_variable_that_makes_it_stale_is_the_cause(shop: Path) -> None:
    environ = {**os.environ, "UV_RESOLUTION": "lowest"}
    error = stale_lockfile_error(Project.load(shop), uv.find(), environ, has_failed=False)
    assert error is not None
    assert error.cause == (
        "UV_RESOLUTION is set; uv found change in resolution mode: `highest` vs. `lowest`"
    )
    assert (
        error.hint == "unset UV_RESOLUTION for this project, or lock with the same value everywhere"
    )


def test_a_lockfile_of_a_later_uv_is_not_for_uv_to_update(shop: Path) -> None:
    edit(shop, "uv.lock", "version = 1\n", "version = 99\n")
    error = stale_lockfile_error(Project.load(shop), uv.find(), os.environ, has_failed=False)
    assert error is not None
    assert error.hint == "`uv self update`, or name another uv in UVFLOW_UV"


def test_a_refusal_is_reported_only_if_the_lockfile_is_the_reason(shop: Path) -> None:
    project, found = Project.load(shop), uv.find()
    assert stale_lockfile_error(project, found, os.environ, has_failed=True) is None
    elsewhere = {**os.environ, "UV_PYTHON": str(shop / "no-python")}
    assert stale_lockfile_error(project, found, elsewhere, has_failed=True) is None
    edit(shop, *EDITS["a pin"][:3])
    error = stale_lockfile_error(project, found, os.environ, has_failed=True)
    assert error is not None
    assert str(error) == "uv.lock is not what pyproject.toml asks for; the environment is as it was"
    assert error.cause == EDITS["a pin"][3]
    assert error.hint == "`uv lock` updates the lockfile, then sync again"


@pytest.mark.parametrize(
    ("err", "reason"),
    [
        ("error: A\n  cause: B\n  cause: C\n", "A: B"),
        ("error: A\n  Caused by: B\n", "A: B"),
        ("Using P\n  × A:\n  ╰─▶ B\n\n      hint: H\n", "A: B"),
        ("  × A\n  ├─▶ B\n  ╰─▶ C\n", "A: B"),
        ("warning: W\nerror: A\n\nhint: H\n", "A"),
        ("DEBUG x\nThe lockfile needs to be updated\n", "The lockfile needs to be updated"),
        ("", "uv failed with exit code 2"),
    ],
)
def test_the_problem_is_one_line(err: str, reason: str) -> None:
    assert failure_reason(Completed(code=2, out="", err=err)) == reason
