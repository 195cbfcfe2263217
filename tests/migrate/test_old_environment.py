"""What is in the environment that was there: what nobody declares, and versions to keep."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from uvflow.findings import Origin
from uvflow.migrate.model import Pin
from uvflow.migrate.old_environment import (
    InstalledPackage,
    OldEnvironment,
    read_installed,
)

ORIGIN = Origin(path="METADATA", line=3)


def packages(**needs: str) -> dict[str, InstalledPackage]:
    """Packages in version 1.0, each with what it needs, one requirement a line."""
    return {
        name: InstalledPackage(
            name=name,
            version="1.0",
            origin=ORIGIN,
            needs=tuple(map(Requirement, lines.splitlines())),
        )
        for name, lines in needs.items()
    }


def undeclared(installed: dict[str, InstalledPackage], manifest: str) -> list[str]:
    values = tomllib.loads(manifest)
    old = OldEnvironment(installed=installed, values=values, own=("app", "My.App"))
    return [package.name for package in old.undeclared_packages()]


def kept(installed: dict[str, InstalledPackage], manifest: str, *pins: Pin) -> list[str]:
    values = tomllib.loads(manifest)
    old = OldEnvironment(installed=installed, values=values, pins=pins, own=("app",))
    return [f"{pin.name} {pin.version}" for pin in old.versions_to_keep()]


def project(*dependencies: str, more: str = "") -> str:
    return f"[project]\nname = 'app'\ndependencies = {list(dependencies)}\n{more}"


def test_what_is_declared_and_what_that_brings_along_is_not_named() -> None:
    installed = packages(a="b\nc ; python_version < '3'", b="d", c="", d="", e="f", f="e")
    assert undeclared(installed, project("A >= 1")) == ["e", "f"]


@pytest.mark.parametrize(
    "more",
    [
        "[project.optional-dependencies]\nx = ['e']",
        "[dependency-groups]\nx = ['e', {include-group = 'y'}]\ny = []",
        "[tool.uv]\ndev-dependencies = ['e']",
    ],
)
def test_extras_and_groups_declare_as_well(more: str) -> None:
    assert undeclared(packages(e="f", f="", g=""), project(more=more)) == ["g"]


def test_an_extra_brings_along_what_it_needs_where_it_is_asked_for() -> None:
    installed = packages(
        a="b ; extra == 'x-y'\na[z] ; extra == 'x-y'\nc ; extra == 'z'", b="", c=""
    )
    assert undeclared(installed, project("a")) == ["b", "c"]
    assert undeclared(installed, project("a[X.Y]")) == []


def test_a_pin_names_a_package_and_a_constraint_does_not() -> None:
    installed, values = (
        packages(a="", b=""),
        project(more="[tool.uv]\nconstraint-dependencies=['b']"),
    )
    pin = Pin(name="a", version="1.0", origin=ORIGIN)
    old = OldEnvironment(installed=installed, values=tomllib.loads(values), pins=(pin,))
    assert [package.name for package in old.undeclared_packages()] == ["b"]


def test_installers_and_the_project_itself_are_not_named() -> None:
    installed = packages(pip="", setuptools="", wheel="", uv="", app="a", a="") | packages(
        **{"my-app": ""}
    )
    assert undeclared(installed, project()) == ["a"]
    assert undeclared(installed, "[project]\nname = 'app'\ndynamic = ['dependencies']") == []


def test_versions_of_what_is_declared_without_a_pin_are_kept() -> None:
    installed = packages(a="b", b="", c="", d="", e="", f="")
    manifest = project(
        "a", "c==0.9", "d>=2", "e", more="[tool.uv.sources]\ne = {git='https://h/e'}"
    )
    assert kept(installed, manifest) == ["a 1.0", "b 1.0"]


def test_a_pin_of_a_file_counts_first() -> None:
    pin = Pin(name="a", version="0.5", origin=ORIGIN)
    assert kept(packages(a="b", b=""), project("a"), pin) == ["b 1.0"]


def test_a_constraint_limits_what_is_kept() -> None:
    more = "[tool.uv]\nconstraint-dependencies = ['a<1', \"b<1 ; sys_platform == 'win32'\"]"
    assert kept(packages(a="", b=""), project("a", "b", more=more)) == ["b 1.0"]


def test_one_requirement_of_several_has_to_allow_a_version() -> None:
    split = ("a<1 ; python_version < '3.9'", "a>=1 ; python_version >= '3.9'")
    assert kept(packages(a=""), project(*split)) == ["a 1.0"]


def test_a_source_that_is_an_index_has_the_version() -> None:
    sources = "[tool.uv.sources]\na = {index='x'}\nb = [{index='x'}, {path='b'}]"
    assert kept(packages(a="", b=""), project("a", "b", more=sources)) == ["a 1.0"]


def test_metadata_is_read(tmp_path: Path) -> None:
    site = tmp_path / ".venv" / "lib" / "python3.12" / "site-packages"
    info = site / "my_lib-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: My.Lib\nVersion: 1.0+local\n"
        "Requires-Dist: six>=1 ; extra == 'x'\nRequires-Dist: not a requirement\n\nVersion: 2\n"
    )
    place = ".venv/lib/python3.12/site-packages/my_lib-1.0.dist-info/METADATA"
    assert read_installed(tmp_path / ".venv", tmp_path) == {
        "my-lib": InstalledPackage(
            name="my-lib",
            version="1.0+local",
            origin=Origin(path=place, line=1),
            needs=(Requirement("six>=1 ; extra == 'x'"),),
        )
    }


def test_legacy_metadata_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    (site / "a.egg-info").mkdir(parents=True)
    (site / "a.egg-info" / "PKG-INFO").write_text("Name: a\nVersion: 1.0\n")
    (site / "b-2.0-py3.12.egg-info").write_text("Name: b\nVersion: 2.0\n")
    (site / "c.egg-link").write_text("/home/me/c\n.")
    (site / "d-3.0.dist-info").mkdir()
    found = read_installed(tmp_path, tmp_path)
    versions = {name: package.version for name, package in found.items()}
    assert versions == {"a": "1.0", "b": "2.0", "c": "", "d": "3.0"}


def test_without_an_environment_nothing_is_installed(tmp_path: Path) -> None:
    assert read_installed(tmp_path / ".venv", tmp_path) == {}
