import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement as Parsed

from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate import pyproject
from uvflow.migrate.model import ImportedRequirements, IncludeGroup, Pin, Requirement
from uvflow.migrate.pyproject import PyprojectEdits, decide
from uvflow.migrate.toml_lines import TomlLine

ORIGIN = Origin(path="requirements.txt", line=1)
SIX = Requirement(text="six==1.16.0", name="six", origin=ORIGIN)


def decided(text: str, *wanted: Requirement, **more: Any) -> PyprojectEdits:
    return decide(tomllib.loads(text), ImportedRequirements(dependencies=wanted, **more))


def having(requirement: str) -> str:
    return f'project.dependencies = ["{requirement}"]\n'


def test_what_is_missing_comes_with_its_comments() -> None:
    wanted = Requirement(text="six", name="six", origin=ORIGIN, comment="# why", above=("# first",))
    lines = [TomlLine(value="six", comment="# why", above=("# first",))]
    assert decided(having("idna"), wanted) == PyprojectEdits(
        arrays={("project", "dependencies"): lines}
    )


def test_what_is_there_in_the_same_words_is_not_added_again() -> None:
    wanted = Requirement(text="six<2,>=1", name="six", origin=ORIGIN)
    assert decided(having("Six>=1, <2"), wanted) == PyprojectEdits(existing=[wanted])


def test_a_pin_within_what_is_there_is_left_to_the_lockfile() -> None:
    pin = Pin(name="six", version="1.16.0", origin=ORIGIN)
    assert decided(having("six>=1"), SIX) == PyprojectEdits(existing=[SIX], pins=[pin])


def test_what_is_there_in_other_words_stays_and_is_told() -> None:
    edits = decided(having("six>=2"), SIX)
    assert edits.arrays == {}
    assert [str(finding) for finding in edits.findings] == [
        "requirements.txt:1: pyproject.toml says `six>=2`; `six==1.16.0` was not written"
    ]


def test_a_setting_that_differs_stays_and_is_told() -> None:
    edits = decided("tool.uv.no-index = false\n", settings={"no-index": True})
    assert edits.values == {}
    assert [(f.code, f.message, f.hint) for f in edits.findings] == [
        (
            "setting-differs",
            "pyproject.toml has a different `tool.uv.no-index`, which stays",
            "the files ask for `true`",
        )
    ]


def test_a_list_of_a_setting_gets_what_it_lacks() -> None:
    text = 'tool.uv.find-links = ["a"]\n'
    assert decided(text, settings={"find-links": ["a", "b"]}) == PyprojectEdits(
        arrays={("tool", "uv", "find-links"): [TomlLine(value="b")]}
    )


def test_dynamic_dependencies_are_left_to_the_build_backend() -> None:
    edits = decided('project.dynamic = ["dependencies"]\n', SIX)
    assert edits.arrays == {}
    assert [finding.code for finding in edits.findings] == ["dynamic-dependencies"]


def test_dependencies_that_are_read_from_the_file_are_there_already() -> None:
    text = (
        'project.dynamic = ["dependencies"]\n'
        'tool.setuptools.dynamic.dependencies = { file = ["requirements.txt"] }\n'
    )
    assert decided(text, SIX) == PyprojectEdits()


def test_requires_python_is_added_only_where_it_is_missing() -> None:
    asked = ImportedRequirements(requires_python=">=3.9")
    assert decide({"project": {"requires-python": ">=3.11"}}, asked) == PyprojectEdits()
    assert decide({"project": {}}, asked).values == {("project", "requires-python"): ">=3.9"}


BASE = """\
[project]
name = "app"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = []
"""


def wanted(text: str, **more: Any) -> Requirement:
    return Requirement(text=text, name=Parsed(text).name, origin=ORIGIN, **more)


EVERYTHING = ImportedRequirements(
    dependencies=(
        wanted("six==1.16.0", comment="# py2 compat, do not bump", above=("# ours", "#old==1")),
        wanted('toml; python_version < "3.11"'),
    ),
    groups={
        "dev": (IncludeGroup(group="test", origin=ORIGIN, comment="# all"), wanted("iniconfig")),
        "test": (wanted("gitpkg", source={"git": "https://host/gitpkg", "tag": "v1"}),),
        "empty": (),
    },
    constraints=(wanted("idna==3.7"),),
    settings={"no-index": True, "no-build-package": ("six",)},
    indexes=(
        {"name": "acme", "url": "https://acme.example/simple", "default": True},
        {"name": "more", "url": "https://more.example/simple"},
    ),
    tails={"": ("#certifi==2020.1.1",)},
)

EVERYTHING_IN_BASE = """\
[project]
name = "app"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
    # ours
    #old==1
    "six==1.16.0", # py2 compat, do not bump
    'toml; python_version < "3.11"',
    #certifi==2020.1.1
]

[dependency-groups]
dev = [
    { include-group = "test" }, # all
    "iniconfig",
]
test = [
    "gitpkg",
]
empty = []

[tool.uv]
constraint-dependencies = [
    "idna==3.7",
]
no-index = true
no-build-package = [
    "six",
]

[tool.uv.sources]
gitpkg = { git = "https://host/gitpkg", tag = "v1" }

[[tool.uv.index]]
name = "acme"
url = "https://acme.example/simple"
default = true

[[tool.uv.index]]
name = "more"
url = "https://more.example/simple"
"""


def test_everything_has_its_place() -> None:
    assert pyproject.edit(BASE, EVERYTHING) == EVERYTHING_IN_BASE


def test_twice_is_once() -> None:
    assert pyproject.edit(EVERYTHING_IN_BASE, EVERYTHING) == EVERYTHING_IN_BASE


def test_an_import_of_nothing_changes_nothing() -> None:
    text = '[project]\nname="app" # odd   \n\n\n'
    assert pyproject.edit(text, ImportedRequirements()) == text


def test_line_ends_survive() -> None:
    windows = BASE.replace("\n", "\r\n")
    assert pyproject.edit(windows, EVERYTHING) == EVERYTHING_IN_BASE.replace("\n", "\r\n")


def test_a_missing_newline_at_the_end_stays_missing() -> None:
    text = '[project]\nname = "app"\ndependencies = []\n[tool.ruff]\nline-length = 1'
    asked = ImportedRequirements(dependencies=(wanted("six"),))
    assert pyproject.edit(text, asked) == (
        '[project]\nname = "app"\ndependencies = [\n    "six",\n]\n[tool.ruff]\nline-length = 1'
    )


def test_tables_that_are_there_get_their_new_keys_in_place() -> None:
    text = """\
[tool.uv.sources]
mine = {path="mine"}
[tool.ruff]
line-length = 100

[project]
name = "app"
dependencies = []
"""
    asked = ImportedRequirements(
        dependencies=(wanted("other", source={"path": "other"}),), settings={"no-index": True}
    )
    assert (
        pyproject.edit(text, asked)
        == """\
[tool.uv]
no-index = true

[tool.uv.sources]
mine = {path="mine"}
other = { path = "other" }
[tool.ruff]
line-length = 100

[project]
name = "app"
dependencies = [
    "other",
]
"""
    )


def test_indexes_follow_those_that_are_there() -> None:
    text = f'{BASE}\n[[tool.uv.index]]\nname = "a"\nurl = "https://a.example/simple/"\n'
    asked = ImportedRequirements(
        indexes=(
            {"name": "again", "url": "https://a.example/simple"},
            {"name": "b", "url": "https://b.example/simple"},
        )
    )
    new = '\n[[tool.uv.index]]\nname = "b"\nurl = "https://b.example/simple"\n'
    assert pyproject.edit(text, asked) == text + new


def test_indexes_on_one_line_are_extended_as_a_list() -> None:
    text = '[project]\nname = "app"\n\n[tool.uv]\nindex = [{ url = "https://a.example" }]\n'
    asked = ImportedRequirements(indexes=({"name": "b", "url": "https://b.example"},))
    assert pyproject.edit(text, asked) == (
        '[project]\nname = "app"\n\n[tool.uv]\nindex = [\n    { url = "https://a.example" },\n'
        '    { name = "b", url = "https://b.example" },\n]\n'
    )


def test_a_group_is_found_however_it_is_spelled() -> None:
    text = f'{BASE}\n[dependency-groups]\nType_Check = [\n    "six",\n]\n'
    asked = ImportedRequirements(groups={"type-check": (wanted("six"), wanted("idna"))})
    assert pyproject.edit(text, asked) == text.replace('    "six",\n', '    "six",\n    "idna",\n')


def test_sources_of_one_name_become_a_list() -> None:
    both = (
        wanted("a; os_name == 'nt'", source={"url": "https://h/a.whl"}, marker="os_name == 'nt'"),
        wanted("a; os_name != 'nt'", source={"url": "https://h/b.whl"}, marker="os_name != 'nt'"),
    )
    assert pyproject.edit(BASE, ImportedRequirements(dependencies=both)).endswith("""\
[tool.uv.sources]
a = [
    { url = "https://h/a.whl", marker = "os_name == 'nt'" },
    { url = "https://h/b.whl", marker = "os_name != 'nt'" },
]
""")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "{base}"),
        ("[tool.ruff]\nx = 1\n", "{base}\n[tool.ruff]\nx = 1\n"),
        ("# licence\n\n[tool.ruff]\n", "# licence\n\n{base}\n[tool.ruff]\n"),
        ("# of ruff\n[tool.ruff]\n", "{base}\n# of ruff\n[tool.ruff]\n"),
        ("tool.ruff.x = 1\n", "tool.ruff.x = 1\n\n{base}"),
    ],
)
def test_a_project_goes_to_the_top(text: str, expected: str) -> None:
    assert pyproject.with_project(text, BASE) == expected.format(base=BASE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[project", "pyproject.toml is not valid TOML"),
        ("project = 1", "pyproject.toml: `project` must be a table, not 1"),
        (
            "[project]\ndependencies = 'six'",
            "pyproject.toml: `project.dependencies` must be a list, not 'six'",
        ),
        (
            "[project]\n[dependency-groups]\ndev = 1",
            "pyproject.toml: `dependency-groups.dev` must be a list, not 1",
        ),
        (
            "[project]\n[tool]\nuv.package = false",
            "pyproject.toml cannot be edited without changing what its author wrote",
        ),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        pyproject.edit(text, EVERYTHING)
    assert caught.value.message == message


def test_values_that_json_does_not_have_are_no_obstacle() -> None:
    text = f"{BASE}\n[tool.x]\na = nan\nb = 1979-05-27\n"
    assert pyproject.with_python(text, ">=3.9") == text.replace(">=3.11", ">=3.9")


@given(st.text())
def test_any_comment_leaves_valid_toml(comment: str) -> None:
    asked = ImportedRequirements(
        dependencies=(wanted("six", comment=f"# {comment}", above=(f"# {comment}",)),)
    )
    once = pyproject.edit(BASE, asked)
    assert pyproject.edit(once, asked) == once


@given(st.text())
def test_any_value_comes_back_from_toml_as_it_went_in(value: str) -> None:
    asked = ImportedRequirements(
        settings={"some-key": value, "some-list": [value], "some-table": {value: [1]}}
    )
    once = pyproject.edit(BASE, asked)
    assert pyproject.edit(once, asked) == once


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_another_python_takes_the_place_of_the_one_that_is_there(newline: str) -> None:
    text = '[project] # ours\nname = "app"\nrequires-python = ">=3.6" # why\n\n[tool.x]\n'
    text = text.replace("\n", newline)
    assert pyproject.with_python(text, ">=3.9") == text.replace(">=3.6", ">=3.9")


def test_a_python_is_written_where_there_was_none() -> None:
    text = '[project]\nname = "app"\n'
    assert pyproject.with_python(text, ">=3.9") == f'{text}requires-python = ">=3.9"\n'


def test_a_header_with_a_comment_keeps_it() -> None:
    text = f"{BASE}\n[tool.x] # new\na = 1\n"
    assert "\n[tool.x] # new\na = 1\n" in pyproject.edit(text, EVERYTHING)


def test_a_comment_of_the_users_is_not_taken_for_a_mark_of_ours() -> None:
    group = (wanted("six", comment="# new"), wanted("toml", above=("# newer than [most]",)))
    text = pyproject.edit(BASE, ImportedRequirements(groups={"dev": group}))
    assert (
        text
        == f"""{BASE}
[dependency-groups]
dev = [
    "six", # new
    # newer than [most]
    "toml",
]
"""
    )
