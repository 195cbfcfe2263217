"""The cases P01 to P40 of Poetry's dependencies: a line each, and what becomes of it."""

import re

import pytest
from packaging.specifiers import SpecifierSet
from poetry.core.constraints.version import Version, parse_constraint

from uvflow.migrate.formats import poetry
from uvflow.migrate.formats.versions import read_constraint
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import ImportedRequirements, ImportOptions

HEAD = """\
[tool.poetry]
name = "app"
package-mode = false
[tool.poetry.dependencies]
python = "^3.9"
"""
SOURCES = """
[[tool.poetry.source]]
name = "a"
url = "https://a.example/simple"
priority = "explicit"
"""


def imported(
    lines: str, more: dict[str, str] | None = None
) -> tuple[ImportedRequirements, list[str]]:
    """What is imported of the lines of `[tool.poetry.dependencies]`, and the findings."""
    files = {"pyproject.toml": HEAD + lines, **(more or {})}

    def read_file(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path].encode()

    outcomes = LineOutcomes(options=ImportOptions())
    found = poetry.read("pyproject.toml", read_file, outcomes)
    for file in found.files:
        assert sum(file.buckets.values()) == file.lines
    return found, [f"{finding.severity} {finding}" for finding in outcomes.findings]


CASES = """\
P01 six = "^1.10"
  six>=1.10,<2.0
P02 six = "~1.16"
  six>=1.16,<1.17
P03 six = "~1"
  six>=1,<2
P04 toml = "^0.9"
  toml>=0.9,<0.10
P05 toml = "^0"
  toml>=0,<1
P06 six = "1.16.0"
  six==1.16.0
P07 six = "1.*"
  six==1.*
P08 six = "*"
  six
P09 idna = ">=2.5 <3.5"
  idna>=2.5,<3.5
P10 idna = "^2.5,!=2.7"
  idna>=2.5,<3.0,!=2.7
P11 idna = "~=3.4"
  idna~=3.4
P12 packaging = "^21 || ^22 || ^23"
  packaging>=21,<24
P13 packaging = "^20 | ^22"
  packaging>=20,<23,!=21.*
P14 packaging = "23.0 || 23.2"
  packaging>=23.0,<=23.2,!=23.1.*
P15 attrs = "* || ^19"
  attrs
P16 six = {version = "^1", python = "<3.11"}
  six>=1,<2 ; python_version < '3.11'
P17 six = {version = "^1", python = "~3.9 || ^3.11"}
  six>=1,<2 ; python_version == '3.9' or (python_version >= '3.11' and python_version < '4.0')
P18 six = {version = "^1", python = ">3.9"}
  six>=1,<2 ; python_full_version > '3.9.0'
P19 six = {version = "^1", python = "^3.9.1"}
  six>=1,<2 ; python_full_version >= '3.9.1' and python_full_version < '4.0.0'
P20 six = {version = "^1", platform = "linux|darwin"}
  six>=1,<2 ; sys_platform == 'linux' or sys_platform == 'darwin'
P21 six = {version = "^1", markers = "sys_platform == 'win32' or python_version < '3.10'", python = "<3.12"}
  six>=1,<2 ; (sys_platform == 'win32' or python_version < '3.10') and python_version < '3.12'
P22 six = {version = "^1", markers = "sys_platform == 'win32' or os_name == 'nt'", platform = "!=cygwin"}
  six>=1,<2 ; (sys_platform == 'win32' or os_name == 'nt') and sys_platform != 'cygwin'
P23 toml = [{version = "<0.10", python = "<3.10"}, {version = "^0.10", python = ">=3.10"}]
  toml<0.10 ; python_version < '3.10'
  toml>=0.10,<0.11 ; python_version >= '3.10'
P24 requests = {version = "^2.28", extras = ["socks"]}
  requests[socks]>=2.28,<3.0
P25 packaging = "^24.0rc1"
  packaging>=24.0rc1,<25.0
P26 six = "v1.16.0"
  six==1.16.0
P27 idna = "^3.7-alpha"
  idna>=3.7a0,<4.0
P28 six = {version = "^1", python = "*", markers = ""}
  six>=1,<2
P29 six = {version = "*", python = "!=3.10.*"}
  six ; python_version < '3.10' or python_version >= '3.11'
P30 packaging = ">=20,<21 || >=22,<23"
  packaging>=20,<23,!=21.*
"""  # noqa: E501


@pytest.mark.parametrize("case", re.split(r"\n(?=\S)", CASES.rstrip()))
def test_a_dependency(case: str) -> None:
    line, *texts = case.split("\n")
    found, findings = imported(line.partition(" ")[2])
    assert [r.text for r in found.dependencies] == [text.strip() for text in texts]
    assert findings == []


@pytest.mark.parametrize(
    "text", ["^0.2.3", "~1.2", "~1", ">=1,<1.5 || >=1.6,<2", "^1 || ^3", "^0.0.3", "1.*"]
)
def test_a_constraint_admits_what_poetry_admits(text: str) -> None:
    ours, theirs = SpecifierSet(read_constraint(text).specifier), parse_constraint(text)
    for version in (
        "0.0.3",
        "0.0.4",
        "0.2.3",
        "0.3.0",
        "1.0",
        "1.2.9",
        "1.5.1",
        "1.6",
        "2.1",
        "3.0",
    ):
        assert ours.contains(version) == theirs.allows(Version.parse(version)), version


def test_p32_a_union_that_cannot_be_said_needs_action() -> None:
    found, findings = imported('packaging = "<20 || >=21.3"')
    assert [r.text for r in found.dependencies] == ["packaging>=21.3"]
    assert findings == [
        (
            "action pyproject.toml:6: PEP 440 cannot say `<20 || >=21.3`: `>=21.3` is written, and"
            " `<20` is left out"
        )
    ]


def test_p33_what_poetry_refuses_is_refused_all_at_once() -> None:
    _, findings = imported('six = "===1.16.0"\nidna = "1.x.y"\ntoml = ""\n')
    assert [finding.split(":")[:2] for finding in findings] == [
        ["error pyproject.toml", "6"],
        ["error pyproject.toml", "7"],
        ["error pyproject.toml", "8"],
    ]


def test_p34_a_key_that_uv_does_not_have_needs_action() -> None:
    found, findings = imported('six = {version = "^1", strange = true}')
    assert [r.text for r in found.dependencies] == ["six>=1,<2"]
    assert findings == ["action pyproject.toml:6: `strange = True` of six is not imported"]


def test_p35_p36_an_optional_dependency_is_in_each_extra_that_names_it() -> None:
    found, findings = imported(
        'iniconfig = {version = "^2", optional = true}\n'
        'packaging = {version = "^24", optional = true}\n'
        "[tool.poetry.extras]\n"
        'x = ["IniConfig"]\n'
        'y = ["iniconfig"]\n'
    )
    extras = {name: [r.text for r in entries] for name, entries in found.extras.items()}
    assert extras == {"x": ["iniconfig>=2,<3"], "y": ["iniconfig>=2,<3"]}
    assert found.dependencies == ()
    assert findings == [
        "action pyproject.toml:7: packaging is optional, and in no extra: Poetry never installs it"
    ]


def test_alternatives_are_optional_together() -> None:
    found, _ = imported(
        'six = [{version = "1.15.0", python = "<3.12", optional = true},'
        ' {version = "1.16.0", python = ">=3.12", optional = true}]\n'
        '[tool.poetry.extras]\nx = ["six"]\n'
    )
    assert (found.dependencies, [r.text for r in found.extras["x"]]) == (
        (),
        ["six==1.15.0 ; python_version < '3.12'", "six==1.16.0 ; python_version >= '3.12'"],
    )


def test_p40_a_repository_keeps_its_reference() -> None:
    found, findings = imported(
        'gp = {git = "git@host.example:o/r.git", branch = "main", subdirectory = "sub",'
        ' develop = true, extras = ["x"]}'
    )
    assert [r.text for r in found.dependencies] == ["gp[x]"]
    assert found.sources == {
        "gp": {"git": "ssh://git@host.example/o/r.git", "branch": "main", "subdirectory": "sub"}
    }
    assert findings == [
        "action pyproject.toml:6: uv has no editable git sources: gp becomes a regular one"
    ]


def test_q11_paths_and_urls() -> None:
    lines = (
        'foo = {path = "libs/foo", develop = true}\n'
        'bar = {path = "./libs", subdirectory = "bar"}\n'
        'whl = {path = "dist/whl-1.0-py3-none-any.whl"}\n'
        'sdist = {url = "https://host.example/sdist-1.0.tar.gz"}\n'
        'gone = {path = "nope"}\n'
    )
    files = {"libs/foo/setup.py": "", "libs/bar/setup.py": "", "dist/whl-1.0-py3-none-any.whl": ""}
    found, findings = imported(lines, more=files)
    assert found.sources == {
        "foo": {"path": "libs/foo", "editable": True},
        "bar": {"path": "libs/bar"},
        "whl": {"path": "dist/whl-1.0-py3-none-any.whl"},
        "sdist": {"url": "https://host.example/sdist-1.0.tar.gz"},
    }
    assert findings == [
        (
            "error pyproject.toml:10: nope is not a package: no wheel, sdist, pyproject.toml,"
            " setup.py or setup.cfg"
        )
    ]


def test_a_source_is_an_index() -> None:
    found, findings = imported(f'six = {{version = "*", source = "A"}}\n{SOURCES}')
    assert found.sources == {"six": {"index": "a"}}
    assert findings == []
    _, findings = imported('six = {version = "*", source = "b"}\n')
    assert findings == ["error pyproject.toml:6: there is no source `b`"]


def test_a_source_that_is_refused_is_no_second_error() -> None:
    source = '[[tool.poetry.source]]\nname = "A"\nurl = "https://${HOST}/simple"\n'
    _, [finding] = imported(f'six = {{version = "*", source = "A"}}\n{source}')
    assert "uv does not expand variables" in finding


def test_one_patch_release_of_python_is_kept_and_reported() -> None:
    files = {"pyproject.toml": HEAD.replace("^3.9", "3.11.4")}
    found, messages = imported("", files)
    assert found.requires_python == "==3.11.4"
    assert messages == ["warning pyproject.toml:5: uv takes no Python but 3.11.4, as Poetry did"]
