"""The differences of a stale lockfile, against what uv says of it."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from edits import EDITS, LIB, SPELLINGS, TREE, edit
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Tree

from uvflow.lockfile.differences import differences
from uvflow.project.manifest import Project


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


def test_a_new_lockfile_has_no_differences(shop: Path) -> None:
    assert not is_stale(shop)
    assert changes(shop) == []


@pytest.mark.parametrize("what", EDITS)
def test_what_changed_is_named(shop: Path, what: str) -> None:
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
def test_differences_are_found_exactly_when_uv_finds_it_stale(shop: Path, chosen: set[str]) -> None:
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


PATH = "path = 'lib'"


@pytest.mark.parametrize(
    "entry",
    [
        f"{{ {PATH} }}",
        f"""[{{ {PATH}, marker = "os_name == 'nt'" }}, {{ {PATH}, marker = "os_name != 'nt'" }}]""",
    ],
)
def test_uv_locks_no_specifier_of_what_is_not_from_an_index(tree: Tree, entry: str) -> None:
    head = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
    text = f'{head}dependencies = ["lib>=1", "six"]\n[tool.uv.sources]\nlib = {entry}\n'
    root = tree({"pyproject.toml": text, "lib/pyproject.toml": LIB})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert changes(root) == []
    edit(root, "pyproject.toml", '"six"', '"six", "attrs"')
    assert changes(root) == ["shop: dependencies: `attrs` was added"]


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


def test_what_only_a_build_knows_is_no_difference(shop: Path) -> None:
    edit(shop, "lib/pyproject.toml", 'version = "2.0"\n', 'dynamic = ["version", "dependencies"]\n')
    edit(shop, "lib/pyproject.toml", 'dependencies = ["packaging"]\n', "")
    assert changes(shop) == []
