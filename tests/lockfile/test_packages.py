"""uv.lock is read into values, and by one reader."""

from pathlib import Path

import pytest
from locks import local, locked, package
from rig import Tree

from uvflow.errors import UsageError
from uvflow.lockfile.packages import (
    LocalSource,
    local_sources,
    parse_lockfile,
    read_local_part,
    read_lockfile,
)
from uvflow.project.manifest import Project


def test_a_package_is_what_uv_says_of_it() -> None:
    edges = """dependencies = [{ name = "a", extra = ["x"] }, { name = "b", marker = "os_name" }]"""
    text = f"""[[package]]
name = "shop"
version = "1.0"
source = {{ registry = "https://x.test" }}
{edges}
sdist = {{ url = "https://x.test/shop-1.0.tar.gz", hash = "sha256:1" }}
wheels = [{{ url = "https://x.test/shop-1.0%2Bcpu-py3-none-any.whl#x", hash = "sha256:2" }}]
"""
    (shop,) = parse_lockfile(locked(text)).packages
    assert (shop.name, shop.version, shop.directory) == ("shop", "1.0", None)
    assert shop.hashes == {"sha256:1", "sha256:2"}
    assert shop.wheels == ("shop-1.0+cpu-py3-none-any.whl",)
    assert shop.needs == {"": (("a", ""), ("a", "x"))}


def test_packages_of_one_name_are_kept_apart() -> None:
    lockfile = parse_lockfile(locked(package("six", "1.0"), package("six", "2.0")))
    assert [six.version for six in lockfile.by_name["six"]] == ["1.0", "2.0"]


PLACES = (
    local("shop", source='virtual = "."'),
    local("api", source='editable = "packages/api"'),
    package("six"),
    local("lib", source='directory = "../a \\"b"'),
    package("toml", source='path = "wheels/toml.whl"'),
)


def test_the_local_part_is_all_but_the_packages_of_indexes(tmp_path: Path) -> None:
    path = tmp_path / "uv.lock"
    path.write_bytes(locked(*PLACES).replace("\n", "\r\n").encode())
    whole, part = read_lockfile(path), read_local_part(path)
    assert [p.table for p in part.local_packages] == [p.table for p in whole.local_packages]
    assert [p.name for p in part.packages] == ["shop", "api", "lib", "toml"]
    assert (part.requires_python, part.members) == (whole.requires_python, ())


def test_local_sources_are_where_something_local_is_built_from(tree: Tree) -> None:
    root = tree({"pyproject.toml": "", "uv.lock": locked(*PLACES)})
    sources = local_sources(Project.load(root))
    assert sources == (
        LocalSource(name="shop", kind="virtual", path=root),
        LocalSource(name="api", kind="editable", path=root / "packages/api"),
        LocalSource(name="lib", kind="directory", path=root / '../a "b'),
        LocalSource(name="toml", kind="path", path=root / "wheels/toml.whl"),
    )
    assert [source.is_built for source in sources] == [False, True, True, True]


def test_local_sources_are_found_in_a_later_version_of_the_format(tree: Tree) -> None:
    text = locked(*PLACES).replace("version = 1\n", "version = 2\n", 1)
    assert len(local_sources(Project.load(tree({"pyproject.toml": "", "uv.lock": text})))) == 4


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD", "package = 3"])
def test_what_is_no_lockfile_has_no_local_sources(tree: Tree, text: str) -> None:
    assert local_sources(Project.load(tree({"pyproject.toml": ""}))) == ()
    assert local_sources(Project.load(tree({"uv.lock": text}))) == ()


def test_a_lockfile_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uv\.lock has the version 2; uvflow reads version 1"):
        parse_lockfile("version = 2")


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(UsageError, match=r"uv\.lock is not valid TOML"):
        parse_lockfile("version = ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("package = 1", "`package` must be a list, not 1"),
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
        parse_lockfile(f"version = 1\n{text}\n")
