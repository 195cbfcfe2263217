"""The differences of a stale lockfile, against what uv says of it."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from edits import EDITS, SPELLINGS, TREE, edit
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Tree

from uvflow.lockfile.differences import (
    ComparableRequirement,
    differences,
    from_lockfile,
    from_pyproject,
    is_same_requirement,
)
from uvflow.project.manifest import Project

BASE = Path("/srv/shop")


def of_text(text: str, source: object = None) -> ComparableRequirement:
    sources = dict.fromkeys(("six", "lib", "api", "sic", "a-b"), source)
    return from_pyproject(text, sources, BASE, {"api": BASE / "packages/api"})


@pytest.mark.parametrize(
    ("row", "text", "source"),
    [
        ({"name": "six"}, "Six", None),
        ({"name": "six", "specifier": ">=1,<2"}, "six <2, >=1.0", None),
        ({"name": "a-b", "extras": ["x-y"]}, "A_b[X.Y]", None),
        (
            {"name": "six", "marker": "python_full_version < '3.12'"},
            "six; python_version<'3.12'",
            None,
        ),
        ({"name": "lib", "directory": "lib"}, "lib", {"path": "./lib"}),
        ({"name": "lib", "editable": "lib"}, "lib", {"path": "lib", "editable": True}),
        ({"name": "lib", "path": "/wheels/lib.whl"}, "lib @ file:///wheels/lib.whl", None),
        ({"name": "api", "editable": "packages/api"}, "api", {"workspace": True}),
        ({"name": "six", "url": "https://e.org/six.whl"}, "six @ https://e.org/six.whl", None),
        ({"name": "six", "url": "https://e.org/six.whl"}, "six", {"url": "https://e.org/six.whl"}),
        (
            {"name": "six", "git": "https://e.org/six?rev=abc"},
            "six @ git+https://e.org/six@abc",
            None,
        ),
        (
            {"name": "six", "git": "https://e.org/six?tag=1%2B1"},
            "six",
            {"git": "https://e.org/six", "tag": "1+1"},
        ),
        ({"name": "six", "git": "https://e.org/six"}, "six", {"git": "https://e.org/six"}),
        ({"name": "six", "index": "https://e.org/simple"}, "six", {"index": "mine"}),
        ({"name": "six", "git": "https://e.org/six"}, "six", [{"git": "https://e.org/other"}]),
    ],
)
def test_the_same_is_seen_in_both_spellings(
    row: dict[str, object], text: str, source: object
) -> None:
    assert is_same_requirement(from_lockfile(row, BASE), of_text(text, source))


@pytest.mark.parametrize(
    ("row", "text", "source"),
    [
        ({"name": "six"}, "sic", None),
        ({"name": "six", "specifier": ">=1"}, "six>=2", None),
        ({"name": "six", "extras": ["x"]}, "six", None),
        ({"name": "lib", "directory": "lib"}, "lib", {"path": "libs"}),
        ({"name": "lib", "directory": "lib"}, "lib", {"path": "lib", "editable": True}),
        ({"name": "six"}, "six", {"git": "https://e.org/six"}),
        (
            {"name": "six", "git": "https://e.org/six?rev=a"},
            "six",
            {"git": "https://e.org/six", "rev": "b"},
        ),
        ({"name": "six", "index": "https://e.org/simple"}, "six", None),
    ],
)
def test_a_difference_is_seen(row: dict[str, object], text: str, source: object) -> None:
    assert not is_same_requirement(from_lockfile(row, BASE), of_text(text, source))


def test_what_belongs_to_an_extra_is_told_apart() -> None:
    row = {"name": "six", "marker": "(os_name == 'nt' or os_name == 'posix') and extra == 'web'"}
    assert from_lockfile(row, BASE).extra == "web"
    assert from_lockfile({"name": "six", "marker": "extra == 'web'"}, BASE).extra == "web"
    assert from_lockfile({"name": "six", "marker": "os_name == 'nt'"}, BASE).extra == ""


def test_it_reads_as_pep_508_has_it() -> None:
    requirement = of_text("Six[B,a] >=1 ; os_name == 'nt'", {"path": "six", "editable": True})
    assert str(requirement) == "six[a,b]>=1"
    assert requirement.with_source() == "six[a,b]>=1 from /srv/shop/six (editable)"


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
    root = tmp_path / "project"
    shutil.copytree(locked, root)
    return root


def is_stale(root: Path) -> bool:
    check = ["uv", "lock", "--check", "--offline"]
    done = subprocess.run(check, cwd=root, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0 or "needs to be updated" in done.stderr, done.stderr
    return done.returncode != 0


def changes(root: Path) -> list[str]:
    return [*differences(Project.load(root))]


def test_nothing_is_told_of_a_lockfile_just_made(shop: Path) -> None:
    assert not is_stale(shop)
    assert changes(shop) == []


@pytest.mark.parametrize("what", EDITS)
def test_what_changed_is_told(shop: Path, what: str) -> None:
    file, old, new, *expected = EDITS[what]
    edit(shop, file, old, new)
    assert is_stale(shop)
    assert changes(shop) == [text.replace("{root}", shop.as_posix()) for text in expected]


@pytest.mark.parametrize("what", SPELLINGS)
def test_another_spelling_is_no_change(shop: Path, what: str) -> None:
    edit(shop, *SPELLINGS[what])
    assert not is_stale(shop)
    assert changes(shop) == []


@settings(max_examples=25)
@given(chosen=st.sets(st.sampled_from(["", *EDITS, *SPELLINGS]), min_size=1, max_size=5))
def test_something_is_told_just_when_uv_finds_it_stale(shop: Path, chosen: set[str]) -> None:
    with_room = shop.with_name("edited")
    shutil.copytree(shop, with_room)
    try:
        carry_out(with_room, sorted(chosen - {""}))
        assert bool(changes(with_room)) == is_stale(with_room)
    finally:
        shutil.rmtree(with_room)


def carry_out(root: Path, chosen: Iterable[str]) -> None:
    for what in chosen:
        file, old, new, *_ = EDITS[what] if what in EDITS else (*SPELLINGS[what], "")
        text = (root / file).read_text()  # another edit may have taken its place
        (root / file).write_text(text.replace(old, new))


def test_a_member_that_comes_and_one_that_goes(shop: Path) -> None:
    shutil.copytree(shop / "packages/api", shop / "packages/web")
    edit(shop, "packages/web/pyproject.toml", "api", "web")
    assert changes(shop) == ["workspace members: `web` was added"]
    assert is_stale(shop)
    shutil.rmtree(shop / "packages/web")
    shutil.rmtree(shop / "packages/api")
    edit(shop, "pyproject.toml", '    "api",\n', "")
    edit(shop, "pyproject.toml", "api = { workspace = true }\n", "")
    assert changes(shop)[0] == "workspace members: `api` was removed"
    assert is_stale(shop)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'name = "shop"',
            'name = "store"',
            ["workspace members: `shop` was removed", "workspace members: `store` was added"],
        ),
        ('["six"]', '["six<1.17"]', ["dependencies: `six` became `six<1.17`"]),
        (
            "[tool.uv.sources]",
            '[tool.uv.sources]\nsix = { git = "https://example.org/six", tag = "1.16.0" }',
            ["dependencies: `six from the index` became `six from https://example.org/six@1.16.0`"],
        ),
        (
            "[tool.uv.sources]",
            '[tool.uv.sources]\nsix = { url = "https://example.org/six-1.whl" }',
            ["dependencies: `six from the index` became `six from https://example.org/six-1.whl`"],
        ),
        (
            '["six"]',
            '["six @ git+https://example.org/six@main"]',
            ["dependencies: `six from the index` became `six from https://example.org/six@main`"],
        ),
    ],
)
def test_a_project_alone_names_no_member(
    tree: Tree, old: str, new: str, expected: list[str]
) -> None:
    head = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
    root = tree({"pyproject.toml": f'{head}dependencies = ["six"]\n[tool.uv.sources]\n'})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert changes(root) == []
    edit(root, "pyproject.toml", old, new)
    assert changes(root) == expected


def test_groups_of_a_workspace_without_a_project(tree: Tree) -> None:
    text = '[dependency-groups]\ndev = ["six"]\n[tool.uv.workspace]\nmembers = []\n'
    root = tree({"pyproject.toml": text})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert changes(root) == []
    edit(root, "pyproject.toml", '"six"', '"six>1"')
    assert is_stale(root)
    assert changes(root) == ["group dev: `six` became `six>1`"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("uv.lock", "garbage"),
        ("uv.lock", "version = 1"),
        ("uv.lock", 'requires-python = ">=3"\npackage = 3'),
        ("pyproject.toml", '[project]\nname = "shop"\ndependencies = ["=="]'),
        ("pyproject.toml", '[project]\nname="shop"\n[dependency-groups]\na=[{include-group="a"}]'),
    ],
)
def test_what_uv_cannot_read_is_left_to_uv(shop: Path, file: str, text: str) -> None:
    (shop / file).write_text(text)
    assert changes(shop) == []


def test_what_only_a_build_tells_is_not_told(shop: Path) -> None:
    edit(shop, "lib/pyproject.toml", 'version = "2.0"\n', 'dynamic = ["version", "dependencies"]\n')
    edit(shop, "lib/pyproject.toml", 'dependencies = ["packaging"]\n', "")
    assert changes(shop) == []
