import sys
from pathlib import Path

import pytest
from rig import Tree

from uvflow.errors import UsageError
from uvflow.project.manifest import (
    Project,
    Workspace,
    canonical_name,
    default_groups,
    member_directories,
)


def test_a_project_without_a_workspace_is_its_own(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[project]\nname = "demo"\n', "src/app.py": ""})
    project = Project.find(root / "src")
    assert (project.root, project.workspace, project.name) == (root, root, "demo")
    assert project.lockfile == root / "uv.lock"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Python takes such a pattern")
def test_a_pattern_of_members_that_python_cannot_follow(tree: Tree) -> None:
    root = tree({})
    with pytest.raises(UsageError, match=r"invalid pattern in tool.uv.workspace.members"):
        member_directories(root, {"tool": {"uv": {"workspace": {"members": ["libs/a**"]}}}})


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


def test_a_project_between_ends_the_search_for_a_workspace(tree: Tree) -> None:
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["libs/*"]\n',
            "libs/pyproject.toml": '[project]\nname = "libs"\n',
            "libs/api/pyproject.toml": "",
        }
    )
    assert Project.load(root / "libs" / "api").workspace == root / "libs" / "api"


def test_a_missing_project_is_reported_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Project.find(tmp_path)
    assert caught.value.message == f"no pyproject.toml in {tmp_path} or above it"
    assert caught.value.hint == "`uvflow init` makes a project of this directory"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["[project\n", "\xff\xfe"])
def test_a_manifest_that_is_not_toml_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"pyproject\.toml is not valid TOML"):
        Project.load(tmp_path)


WORKSPACE = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
FORGED = r"x\nSynced: all good"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"pyproject.toml": f'[project]\nname = "{FORGED}"\n'}, "`project.name`"),
        ({"pyproject.toml": f'[dependency-groups]\n"{FORGED}" = []\n'}, "`dependency-groups`"),
        (
            {"pyproject.toml": f'[dependency-groups]\ndev = [{{include-group = "{FORGED}"}}]\n'},
            "`dependency-groups.dev[0]`",
        ),
        (
            {"pyproject.toml": f'[project.optional-dependencies]\n"{FORGED}" = []\n'},
            "`project.optional-dependencies`",
        ),
        ({"pyproject.toml": f'[tool.uv]\ndefault-groups = ["{FORGED}"]\n'}, "`tool.uv.default"),
        (
            {
                "pyproject.toml": WORKSPACE,
                "libs/a/pyproject.toml": f'[project]\nname = "{FORGED}"\n',
            },
            "`project.name`",
        ),
    ],
)
def test_a_name_that_would_forge_a_line_of_uvs_output_is_refused(
    tree: Tree, files: dict[str, str], where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Project.load(tree(files))
    assert f"{where}" in caught.value.message
    assert "one line of visible characters" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_so_is_a_member_in_a_directory_of_such_a_name(tree: Tree) -> None:
    root = tree({"pyproject.toml": WORKSPACE, "libs/a\nb/pyproject.toml": ""})
    with pytest.raises(UsageError, match=r"`tool.uv.workspace.members` must be one line"):
        Project.load(root)


def test_a_value_of_the_wrong_type_is_reported(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[project]\nname = "shop"\ndependencies = "six"\n'})
    with pytest.raises(UsageError) as caught:
        Project.load(root)
    assert caught.value.message == (
        f"{root / 'pyproject.toml'}: `project.dependencies` must be a list of strings, not 'six'"
    )


def test_a_value_where_a_table_belongs_is_reported(tree: Tree) -> None:
    root = tree({"pyproject.toml": "[tool]\nuvflow = 1\n"})
    with pytest.raises(UsageError) as caught:
        _ = Project.load(root).profiles
    assert (
        caught.value.message == f"{root / 'pyproject.toml'}: `tool.uvflow` must be a table, not 1"
    )


@pytest.mark.parametrize("pattern", ["libs/api", "libs/*", "./libs/api/", "../project/libs/api"])
@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_member_is_found_however_its_pattern_is_spelled(
    tree: Tree, pattern: str, *, is_absolute: bool
) -> None:
    root = tree({"libs/api/pyproject.toml": "", "libs/notes.txt": ""})
    table = {"members": [str(root / pattern) if is_absolute else pattern, "", "."]}
    manifest = {"tool": {"uv": {"workspace": table}}}
    assert root / "libs/api" in member_directories(root, manifest)
    table["exclude"] = ["libs/a*"]
    assert member_directories(root, manifest) <= {root / "libs/notes.txt"}


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


def test_what_only_a_build_knows_is_found_through_paths(shop: Path) -> None:
    assert Workspace.at(shop).sources_to_build(()) == (shop / "lib",)
    (shop / "lib/pyproject.toml").write_text(
        member("lib")
        + '[tool.uv.sources]\nfar = [{ path = "../far", marker = "os_name == \'nt\'" }]\n'
    )
    assert Workspace.at(shop).sources_to_build(()) == ()
    (shop / "far").mkdir()
    (shop / "far/pyproject.toml").write_text(member("far", 'dynamic = ["version"]'))
    assert Workspace.at(shop).sources_to_build(()) == (shop / "far",)


def test_what_the_lockfile_names_is_looked_at_as_well(shop: Path) -> None:
    (shop / "lib/pyproject.toml").write_text(member("lib"))
    assert Workspace.at(shop).sources_to_build([shop / "packages/notes"]) == (
        shop / "packages/notes",
    )


def test_a_root_need_be_no_project(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[tool.uv.workspace]\nmembers = ["a"]\n'})
    assert Workspace.at(root).members == {}
    assert Workspace.at(root).sources_to_build(()) == ()


def test_invalid_toml_is_reported(tree: Tree) -> None:
    with pytest.raises(UsageError):
        Workspace.at(tree({"pyproject.toml": "["}))


def test_names_are_normalised() -> None:
    assert canonical_name("A__b.-C") == "a-b-c"


SELECTION = """\
[project]
name = "app"
optional-dependencies = { postgres = [] }
[dependency-groups]
test = []
[tool.uv.workspace]
members = ["lib"]
[tool.uvflow.profiles.ci]
"""
LIB = """\
[project]
name = "lib"
optional-dependencies = { fast = [] }
[dependency-groups]
lint = []
"""


@pytest.mark.parametrize(
    ("selection", "problem", "hint"),
    [
        ('groups = ["tests"]', "`groups` has `tests`", "did you mean `test`?"),
        ('groups = ["lint"]', "`groups` has `lint`", "groups: test"),
        ('extras = ["postgre"]', "`extras` has `postgre`", "did you mean `postgres`?"),
        ('extras = ["fast"]', "`extras` has `fast`", "extras: postgres"),
        ('package = "libs"', "`package` has `libs`", "did you mean `lib`?"),
        ('package = "lib"\nextras = ["postgres"]', "`extras` has `postgres`", "extras: fast"),
        ('package = "all"\ngroups = ["nope"]', "`groups` has `nope`", "groups: lint, test"),
    ],
)
def test_a_profile_that_selects_what_is_not_there_has_its_place_and_the_nearest_name(
    tree: Tree, selection: str, problem: str, hint: str
) -> None:
    root = tree({"pyproject.toml": SELECTION + selection, "lib/pyproject.toml": LIB})
    project = Project.load(root)
    with pytest.raises(UsageError) as raised:
        project.check_selection(project.profiles.by_name["ci"])
    place = f"{root / 'pyproject.toml'}: `tool.uvflow.profiles.ci`"
    assert str(raised.value) == f"{place}: {problem}, which does not exist"
    assert raised.value.hint == hint


@pytest.mark.parametrize(
    "selection",
    [
        'groups = ["Test"]\nextras = ["Postgres"]',
        'groups = "all"\nextras = "all"\npackage = "all"',
        'package = "lib"\ngroups = ["lint", "test"]\nextras = ["fast"]',
        'package = "all"\ngroups = ["lint", "test"]\nextras = ["fast", "postgres"]',
    ],
)
def test_a_profile_may_select_what_uv_finds(tree: Tree, selection: str) -> None:
    root = tree({"pyproject.toml": SELECTION + selection, "lib/pyproject.toml": LIB})
    project = Project.load(root)
    project.check_selection(project.profiles.by_name["ci"])


def test_a_member_without_a_name_is_for_uv_to_refuse(tree: Tree) -> None:
    selection = SELECTION + 'package = "lib"'
    project = Project.load(tree({"pyproject.toml": selection, "lib/pyproject.toml": "[project]\n"}))
    project.check_selection(project.profiles.by_name["ci"])


def test_a_persons_own_profiles_are_not_shared(tree: Tree) -> None:
    own = 'default-profile = "me"\n[profiles.me]\ngroups = "all"\n'
    project = Project.load(tree({"pyproject.toml": LIB, "uvflow.local.toml": own}))
    assert project.profiles.default == "me"
    assert (project.shared_profiles.default, "me" in project.shared_profiles.by_name) == (
        "dev",
        False,
    )


def test_default_groups_are_uvs() -> None:
    assert default_groups({}, ["dev", "docs"]) == ("dev",)
    assert default_groups({"default-groups": ["docs"]}, ["dev", "docs"]) == ("docs",)
    assert default_groups({"default-groups": "all"}, ["dev", "docs"]) == ("dev", "docs")
