"""uv.lock is read for what an image installs and what it has to build."""

import pytest
from locks import local, locked, package

from uvflow.errors import UsageError
from uvflow.lockfile.packages import Lock, TargetPlatform, closure, packages_to_build, read_lockfile

HERE = TargetPlatform(python="3.13", platform="linux/amd64")


def names(lock: Lock, **selected: tuple[str, ...]) -> list[str]:
    root = lock.local(".")
    assert root is not None
    return [found.name for found in closure(lock, (root,), HERE, **selected)]


def test_the_closure_is_what_production_installs() -> None:
    text = locked(
        local("shop", needs=["web"], dev=["pytest"]),
        package("web", needs=["markup"]),
        package("markup"),
        package("pytest"),
    )
    lock = read_lockfile(text.encode(), "uv.lock")
    assert names(lock) == ["markup", "shop", "web"]
    assert names(lock, groups=("dev",)) == ["markup", "pytest", "shop", "web"]


def test_markers_are_those_of_the_image_not_of_this_machine() -> None:
    windows = """{ name = "colorama", marker = "sys_platform == 'win32'" }"""
    linux = """{ name = "uvloop", marker = "sys_platform == 'linux'" }"""
    text = locked(local("shop", needs=[windows, linux]), package("colorama"), package("uvloop"))
    assert names(read_lockfile(text.encode(), "uv.lock")) == ["shop", "uvloop"]


def test_extras_of_dependencies_are_followed() -> None:
    binary = '[package.optional-dependencies]\nbinary = [{ name = "psycopg-binary" }]\n'
    text = locked(
        local("shop", needs=['{ name = "psycopg", extra = ["binary"] }']),
        package("psycopg") + binary,
        package("psycopg-binary"),
    )
    assert names(read_lockfile(text.encode(), "uv.lock")) == ["psycopg", "psycopg-binary", "shop"]


def test_extras_of_the_project_are_selected() -> None:
    extras = '\n[package.optional-dependencies]\npostgres = [{ name = "psycopg" }]\n'
    text = locked(local("shop", rest=extras), package("psycopg"))
    assert names(read_lockfile(text.encode(), "uv.lock")) == ["shop"]
    assert names(read_lockfile(text.encode(), "uv.lock"), extras=("postgres",)) == [
        "psycopg",
        "shop",
    ]


def test_of_a_forked_resolution_the_version_that_the_edge_names_is_taken() -> None:
    text = locked(
        local("shop", needs=['{ name = "numpy", version = "2.0" }']),
        package("numpy", "1.0"),
        package("numpy", "2.0"),
    )
    lock = read_lockfile(text.encode(), "uv.lock")
    root = lock.local(".")
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
    lock = read_lockfile(locked(package("x", wheels=[tag])).encode(), "uv.lock")
    assert [p.name for p in packages_to_build(lock.packages, HERE)] == ([] if fits else ["x"])


def test_a_wheel_given_by_its_url_or_path_is_a_wheel() -> None:
    lock = read_lockfile(
        locked(
            package("a", wheels=(), source='url = "https://x.test/a-1.0-py3-none-any.whl"'),
            package("b", wheels=(), source='path = "libs/b-1.0-py3-none-any.whl"'),
            package("c", wheels=(), source='url = "https://x.test/c-1.0.tar.gz"'),
        ).encode(),
        "uv.lock",
    )
    assert [p.name for p in packages_to_build(lock.packages, HERE)] == ["c"]


def test_a_lockfile_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uv\.lock has the version 2; uvflow reads version 1"):
        read_lockfile(b"version = 2", "uv.lock")


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uv\.lock is not valid TOML"):
        read_lockfile(b"version = ", "uv.lock")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("package = 1", "`package` must be an array, not 1"),
        ("[[package]]\nname = 1", r"`package\[0\]\.name` must be a string, not 1"),
        (
            '[[package]]\nname = "x"\ndependencies = [{ name = [] }]',
            r"`package\[0\]\.dependencies\[0\]\.name` must be a string, not \[\]",
        ),
        ("manifest = 1", "`manifest` must be a table, not 1"),
    ],
)
def test_what_is_of_another_type_than_uv_writes_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"uv\.lock: {message}$"):
        read_lockfile(f"version = 1\n{text}\n".encode(), "uv.lock")
