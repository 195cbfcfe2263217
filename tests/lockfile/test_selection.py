"""What a profile installs on a platform, and what has no wheel there."""

import pytest
from locks import local, locked, package

from uvflow.lockfile.packages import Lockfile, parse_lockfile
from uvflow.lockfile.selection import TargetPlatform, closure, packages_to_build

HERE = TargetPlatform(python="3.13", platform="linux/amd64")


def names(lock: Lockfile, **selected: tuple[str, ...]) -> list[str]:
    root = lock.package_in(".")
    assert root is not None
    return [found.name for found in closure(lock, (root,), HERE, **selected)]


def test_the_closure_is_what_production_installs() -> None:
    text = locked(
        local("shop", needs=["web"], dev=["pytest"]),
        package("web", needs=["markup"]),
        package("markup"),
        package("pytest"),
    )
    lock = parse_lockfile(text)
    assert names(lock) == ["markup", "shop", "web"]
    assert names(lock, groups=("dev",)) == ["markup", "pytest", "shop", "web"]


def test_markers_are_those_of_the_image_not_of_this_machine() -> None:
    windows = """{ name = "colorama", marker = "sys_platform == 'win32'" }"""
    linux = """{ name = "uvloop", marker = "sys_platform == 'linux'" }"""
    text = locked(local("shop", needs=[windows, linux]), package("colorama"), package("uvloop"))
    assert names(parse_lockfile(text)) == ["shop", "uvloop"]


def test_extras_of_dependencies_are_followed() -> None:
    binary = '[package.optional-dependencies]\nbinary = [{ name = "psycopg-binary" }]\n'
    text = locked(
        local("shop", needs=['{ name = "psycopg", extra = ["binary"] }']),
        package("psycopg") + binary,
        package("psycopg-binary"),
    )
    assert names(parse_lockfile(text)) == ["psycopg", "psycopg-binary", "shop"]


def test_extras_of_the_project_are_selected() -> None:
    extras = '\n[package.optional-dependencies]\npostgres = [{ name = "psycopg" }]\n'
    text = locked(local("shop", rest=extras), package("psycopg"))
    assert names(parse_lockfile(text)) == ["shop"]
    assert names(parse_lockfile(text), extras=("postgres",)) == [
        "psycopg",
        "shop",
    ]


def test_of_a_forked_resolution_the_version_that_the_edge_names_is_taken() -> None:
    text = locked(
        local("shop", needs=['{ name = "numpy", version = "2.0" }']),
        package("numpy", "1.0"),
        package("numpy", "2.0"),
    )
    lock = parse_lockfile(text)
    root = lock.package_in(".")
    assert root is not None
    versions = [found.version for found in closure(lock, (root,), HERE) if found.name == "numpy"]
    assert versions == ["2.0"]


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
    assert [p.name for p in packages_to_build(lock.packages, HERE)] == ([] if fits else ["x"])


def test_a_wheel_given_by_its_url_or_path_is_a_wheel() -> None:
    lock = parse_lockfile(
        locked(
            package("a", wheels=(), source='url = "https://x.test/a-1.0-py3-none-any.whl"'),
            package("b", wheels=(), source='path = "libs/b-1.0-py3-none-any.whl"'),
            package("c", wheels=(), source='url = "https://x.test/c-1.0.tar.gz"'),
        ),
    )
    assert [p.name for p in packages_to_build(lock.packages, HERE)] == ["c"]
