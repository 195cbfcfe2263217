"""What a profile installs on a platform, and what has no wheel there."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from locks import local, locked, manifest, package
from rig import Tree

from uvflow import uv
from uvflow.errors import UsageError
from uvflow.lockfile.packages import parse_lockfile, read_lockfile
from uvflow.lockfile.selection import (
    ExportedPackage,
    TargetPlatform,
    export_selection,
    packages_on,
    packages_to_build,
)
from uvflow.migrate.indexes import PYPI
from uvflow.project.manifest import Project
from uvflow.project.profiles import BUILT_IN, Profile

LINUX = TargetPlatform(python="3.13", platform="linux/amd64")
PROD, DEV = BUILT_IN["prod"], BUILT_IN["dev"]


def project(*packages: str, rest: str = "") -> Mapping[str, str]:
    return {"pyproject.toml": manifest(rest=rest), "uv.lock": locked(*packages)}


def installed(root: Path, profile: Profile = PROD, target: TargetPlatform = LINUX) -> list[str]:
    found = Project.load(root)
    exported = export_selection(found, profile, uv.find())
    packages = packages_on(target, exported, read_lockfile(found.lockfile))
    return [f"{package.name} {package.version}" for package in packages]


def test_a_profile_installs_what_it_selects(tree: Tree) -> None:
    root = tree(
        project(
            local("shop", needs=["web"], dev=["pytest"]),
            package("web", needs=["markup"]),
            package("markup"),
            package("pytest"),
        )
    )
    assert installed(root) == ["markup 1.0", "web 1.0"]
    assert installed(root, DEV) == ["markup 1.0", "pytest 1.0", "web 1.0"]


def test_markers_are_those_of_the_image_not_of_this_machine(tree: Tree) -> None:
    windows = """{ name = "colorama", marker = "sys_platform == 'win32'" }"""
    arm = """{ name = "fast", marker = "platform_machine == 'aarch64'" }"""
    shop = local("shop", needs=[windows, arm, "six"])
    root = tree(project(shop, *map(package, ("colorama", "fast", "six"))))
    assert installed(root) == ["six 1.0"]
    arm64 = TargetPlatform(python="3.13", platform="linux/arm64")
    assert installed(root, target=arm64) == ["fast 1.0", "six 1.0"]


def test_extras_of_dependencies_are_followed(tree: Tree) -> None:
    binary = '[package.optional-dependencies]\nbinary = [{ name = "psycopg-binary" }]\n'
    shop = local("shop", needs=['{ name = "psycopg", extra = ["binary"] }'])
    root = tree(project(shop, package("psycopg") + binary, package("psycopg-binary")))
    assert installed(root) == ["psycopg 1.0", "psycopg-binary 1.0"]


def test_extras_of_the_project_are_selected(tree: Tree) -> None:
    extras = '\n[package.optional-dependencies]\npostgres = [{ name = "psycopg" }]\n'
    extras += '[package.metadata]\nprovides-extras = ["postgres"]\n'
    declared = '[project.optional-dependencies]\npostgres = ["psycopg"]\n'
    root = tree(project(local("shop", rest=extras), package("psycopg"), rest=declared))
    assert installed(root) == []
    assert installed(root, Profile(name="db", extras=("postgres",))) == ["psycopg 1.0"]
    with pytest.raises(UsageError, match="`extras` has `mysql`, which does not exist"):
        installed(root, Profile(name="db", extras=("mysql",)))


def test_of_a_forked_resolution_the_version_of_the_platform_is_taken(tree: Tree) -> None:
    edge = f'name = "numpy", source = {{ registry = "{PYPI}" }}'
    needs = [
        f"""{{ {edge}, version = "1.0", marker = "python_full_version < '3.12'" }}""",
        f"""{{ {edge}, version = "2.0", marker = "python_full_version >= '3.12'" }}""",
    ]
    forks = (package("numpy", "1.0"), package("numpy", "2.0"))
    root = tree(project(local("shop", needs=needs), *forks))
    assert installed(root) == ["numpy 2.0"]
    older = TargetPlatform(python="3.11", platform="linux/amd64")
    assert installed(root, target=older) == ["numpy 1.0"]


def test_local_packages_and_those_of_urls_are_named_by_the_lockfile(tree: Tree) -> None:
    sources = {
        "lib": 'directory = "libs/lib"',
        "tool": f'git = "https://git.test/tool?rev=a#{40 * "b"}"',
        "wheel": 'path = "libs/wheel-1.0-py3-none-any.whl"',
    }
    shop = local("shop", needs=list(sources), source='editable = "."')
    found = (package(name, wheels=(), source=source) for name, source in sources.items())
    root = tree({**project(shop, *found), "libs/lib/pyproject.toml": manifest("lib")})
    assert sorted(installed(root, DEV)) == ["lib 1.0", "shop 1.0", "tool 1.0", "wheel 1.0"]
    assert sorted(installed(root, PROD)) == sorted(installed(root, DEV))


CONFLICTING = """[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = ["requests"]
[project.optional-dependencies]
old = ["idna==3.7"]
new = ["idna==3.10"]
[tool.uv]
conflicts = [[{ extra = "old" }, { extra = "new" }]]
"""


def test_of_extras_that_conflict_the_selected_one_decides(tree: Tree) -> None:
    root = tree({"pyproject.toml": CONFLICTING})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    for extra, version in (("old", "3.7"), ("new", "3.10")):
        names = installed(root, Profile(name=extra, extras=(extra,)))
        assert [name for name in names if name.startswith("idna")] == [f"idna {version}"]


def test_members_of_a_workspace_select_for_themselves(tree: Tree) -> None:
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["api", "web"]\n',
            "api/pyproject.toml": manifest("api", needs=["six"]),
            "web/pyproject.toml": manifest("web", needs=["toml"]),
        }
    )
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert installed(root / "api") == ["six 1.17.0"]
    assert installed(root) == ["six 1.17.0", "toml 0.10.2"]


def test_what_is_exported_is_read_without_a_lockfile(tree: Tree) -> None:
    marked = """{ name = "six", marker = "sys_platform == 'linux'" }"""
    root = tree(project(local("shop", needs=[marked], source='editable = "."'), package("six")))
    assert export_selection(Project.load(root), DEV, uv.find()) == (
        ExportedPackage(name="", version="", path=".", marker=""),
        ExportedPackage(name="six", version="1.0", path="", marker="sys_platform == 'linux'"),
    )


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("cp39-abi3-manylinux_2_28_x86_64", True),
        ("cp313-cp313-manylinux_2_41_x86_64", True),
        ("cp313-cp313-manylinux_2_42_x86_64", False),
        ("cp312-cp312-manylinux_2_17_x86_64", False),
        ("cp313-cp313-musllinux_1_2_x86_64", False),
        ("cp313-cp313t-manylinux_2_17_x86_64", False),
        ("cp313-cp313-manylinux_2_17_aarch64", False),
        ("cp313-cp313-win_amd64", False),
    ],
)
def test_a_wheel_fits_by_its_tags(tag: str, fits: bool) -> None:  # noqa: FBT001  a table's column
    lock = parse_lockfile(locked(package("x", wheels=[tag])))
    assert [p.name for p in packages_to_build(lock.packages, LINUX)] == ([] if fits else ["x"])


def test_a_wheel_given_by_its_url_or_path_is_a_wheel() -> None:
    lock = parse_lockfile(
        locked(
            package("a", wheels=(), source='url = "https://x.test/a-1.0-py3-none-any.whl"'),
            package("b", wheels=(), source='path = "libs/b-1.0-py3-none-any.whl"'),
            package("c", wheels=(), source='url = "https://x.test/c-1.0.tar.gz"'),
        ),
    )
    assert [p.name for p in packages_to_build(lock.packages, LINUX)] == ["c"]
