"""What uv has to see of local packages to check the lockfile, and what of it can be shown."""

from pathlib import Path

import pytest
from locks import local, locked, manifest, package
from rig import Tree

from uvflow.docker.lock import read
from uvflow.docker.workspace import Workspace
from uvflow.errors import UsageError

MEMBERS = 'manifest = { members = ["shelf", "shop"] }'


def workspace(root: Path, *packages: str) -> Workspace:
    return Workspace(root=root, lock=read((MEMBERS + "\n" + locked(*packages)).encode(), "uv.lock"))


SHOP = local("shop", source='editable = "."')
SHELF = local("shelf", source='editable = "packages/shelf"')


def test_every_manifest_is_mounted_the_lockfile_first(tree: Tree) -> None:
    root = tree({"pyproject.toml": "", "packages/shelf/pyproject.toml": "", "uv.toml": ""})
    assert workspace(root, SHOP, SHELF).mounts == (
        "uv.lock",
        "pyproject.toml",
        "uv.toml",
        "packages/shelf/pyproject.toml",
    )


def test_local_archives_and_indexes_are_mounted(tree: Tree) -> None:
    root = tree({"pyproject.toml": "", "libs/a.whl": "", "index/b.whl": ""})
    found = workspace(
        root,
        package("a", source='path = "libs/a.whl"'),
        package("b", source='registry = "index"'),
    )
    assert found.mounts == ("uv.lock", "pyproject.toml", "index", "libs/a.whl")


def test_own_packages_are_those_that_are_installed(tree: Tree) -> None:
    found = workspace(tree({}), local("shop"), SHELF, package("web"))
    assert found.own(found.lock.packages) == ("shelf",)


@pytest.mark.parametrize(
    ("own", "option"),
    [
        ((), "--no-install-project"),
        (("shop",), "--no-install-project"),
        (("shelf", "shop"), "--no-install-workspace"),
        (("elsewhere", "shop"), "--no-install-local"),
    ],
)
def test_the_option_leaves_out_what_is_not_there_yet(
    tree: Tree, own: tuple[str, ...], option: str
) -> None:
    assert workspace(tree({}), SHOP, SHELF).skips(own, "shop") == option


def test_static_dependencies_are_checked_early(tree: Tree) -> None:
    root = tree({"pyproject.toml": manifest()})
    assert not workspace(root, SHOP).locks_late


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "shop"\ndynamic = ["dependencies"]\n',
        '[tool.poetry]\nname = "shop"\n',
    ],
)
def test_what_only_a_build_tells_is_checked_late(tree: Tree, text: str) -> None:
    assert workspace(tree({"pyproject.toml": text}), SHOP).locks_late


def test_a_dynamic_version_alone_is_no_dependency(tree: Tree) -> None:
    text = '[project]\nname = "shop"\ndynamic = ["version"]\n'
    assert not workspace(tree({"pyproject.toml": text}), SHOP).locks_late


def test_a_manifest_that_no_mount_can_name_is_checked_late(tree: Tree) -> None:
    root = tree({"pyproject.toml": manifest(), "bücher/pyproject.toml": manifest("books")})
    found = workspace(root, SHOP, local("books", source='editable = "bücher"'))
    assert found.mounts == ("uv.lock", "pyproject.toml")
    assert found.locks_late


@pytest.mark.parametrize("source", ['editable = "../lib"', 'directory = "/srv/lib"'])
def test_what_lies_outside_of_the_context_is_refused(tree: Tree, source: str) -> None:
    with pytest.raises(UsageError, match="lies outside of"):
        workspace(tree({}), local("lib", source=source)).check()


def test_a_version_from_git_is_asked_for_in_another_way(tree: Tree) -> None:
    text = '[build-system]\nrequires = ["hatchling", "hatch-vcs>=0.4"]\n'
    found = workspace(tree({"pyproject.toml": text}), SHOP)
    assert found.build_requirements(["shop"]) == ("hatch-vcs", "hatchling")
    assert found.version_variables(["shop"]) == ("SETUPTOOLS_SCM_PRETEND_VERSION",)
