from pathlib import Path

import pytest
from rig import Tree

from uvflow.errors import UsageError
from uvflow.workspace import Workspace, normalised

ROOT = """[project]
name = "Shop_App"
version = "1"

[tool.uv.workspace]
members = ["packages/*", "tools"]
exclude = ["packages/old"]

[tool.uv.sources]
lib = { path = "lib" }
"""


def member(name: str, version: str = 'version = "1"') -> str:
    return f'[project]\nname = "{name}"\n{version}\n'


@pytest.fixture
def shop(tree: Tree) -> Path:
    return tree(
        {
            "pyproject.toml": ROOT,
            "packages/api/pyproject.toml": member("api"),
            "packages/old/pyproject.toml": member("old"),
            "packages/other/pyproject.toml": member("other") + "[tool.uv]\nmanaged = false\n",
            "packages/notes/README": "",
            "tools/pyproject.toml": member("tools"),
            "lib/setup.py": "",
        }
    )


def test_members_are_found_as_uv_finds_them(shop: Path) -> None:
    assert list(Workspace.at(shop).members) == [".", "packages/api", "tools"]


def test_the_roots_sources_hold_for_members_alone(shop: Path) -> None:
    workspace = Workspace.at(shop)
    assert workspace.sources("packages/api") == {"lib": {"path": "lib"}}
    assert workspace.sources("lib") == {}
    assert workspace.manifest("lib") == {}


def test_what_only_a_build_tells_is_found_through_paths(shop: Path) -> None:
    assert Workspace.at(shop).untold(()) == (shop / "lib",)
    (shop / "lib/pyproject.toml").write_text(
        member("lib")
        + '[tool.uv.sources]\nfar = [{ path = "../far", marker = "os_name == \'nt\'" }]\n'
    )
    assert Workspace.at(shop).untold(()) == ()
    (shop / "far").mkdir()
    (shop / "far/pyproject.toml").write_text(member("far", 'dynamic = ["version"]'))
    assert Workspace.at(shop).untold(()) == (shop / "far",)


def test_what_the_lockfile_names_is_looked_at_as_well(shop: Path) -> None:
    (shop / "lib/pyproject.toml").write_text(member("lib"))
    assert Workspace.at(shop).untold([shop / "packages/notes"]) == (shop / "packages/notes",)


def test_a_root_need_be_no_project(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[tool.uv.workspace]\nmembers = ["a"]\n'})
    assert Workspace.at(root).members == {}
    assert Workspace.at(root).untold(()) == ()


def test_no_toml_is_told(tree: Tree) -> None:
    with pytest.raises(UsageError):
        Workspace.at(tree({"pyproject.toml": "["}))


def test_names_are_normalised() -> None:
    assert normalised("A__b.-C") == "a-b-c"
