from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from uvflow.requirement import Requirement, asked, is_same, is_same_marker, noted

BASE = Path("/srv/shop")
PYTHONS = SpecifierSet(">=3.11")


def of_text(text: str, source: object = None) -> Requirement:
    return asked(text, source, BASE, {"api": BASE / "packages/api"})


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
    assert is_same(noted(row, BASE), of_text(text, source), PYTHONS)


@pytest.mark.parametrize(
    ("row", "text", "source"),
    [
        ({"name": "six"}, "sic", None),
        ({"name": "six", "specifier": ">=1"}, "six>=2", None),
        ({"name": "six", "extras": ["x"]}, "six", None),
        ({"name": "six", "marker": "sys_platform == 'win32'"}, "six", None),
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
    assert not is_same(noted(row, BASE), of_text(text, source), PYTHONS)


def test_what_belongs_to_an_extra_is_told_apart() -> None:
    row = {"name": "six", "marker": "(os_name == 'nt' or os_name == 'posix') and extra == 'web'"}
    requirement = noted(row, BASE)
    assert requirement.extra == "web"
    assert requirement.marker == "(os_name == 'nt' or os_name == 'posix')"
    assert noted({"name": "six", "marker": "extra == 'web'"}, BASE).marker == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("platform_system == 'Windows'", "sys_platform == 'win32'"),
        ("python_version >= '3.8'", ""),
        ("python_version > '3.11'", "python_full_version >= '3.12'"),
        ("sys_platform == 'linux' and os_name == 'posix'", "sys_platform == 'linux'"),
        ("implementation_name == 'cpython'", "platform_python_implementation == 'CPython'"),
        ("python_version in '3.11 3.12'", "python_full_version < '3.13'"),
    ],
)
def test_markers_that_mean_the_same(one: str, other: str) -> None:
    assert is_same_marker(one, other, PYTHONS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("python_version >= '3.12'", ""),
        ("python_full_version >= '3.12.4'", "python_full_version >= '3.12.5'"),
        ("sys_platform == 'linux'", "sys_platform != 'win32'"),
        ("platform_machine == 'x86_64'", "platform_machine == 'arm64'"),
    ],
)
def test_markers_that_do_not(one: str, other: str) -> None:
    assert not is_same_marker(one, other, PYTHONS)


def test_it_reads_as_pep_508_has_it() -> None:
    requirement = of_text("Six[B,a] >=1 ; os_name == 'nt'", {"path": "six", "editable": True})
    assert str(requirement) == 'six[a,b]>=1 ; os_name == "nt"'
    assert requirement.with_source() == (
        'six[a,b]>=1 ; os_name == "nt" from /srv/shop/six (editable)'
    )
