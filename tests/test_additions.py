import tomllib
from typing import Any

from uvflow.additions import Additions, decide
from uvflow.arrays import Line
from uvflow.imports.model import Import, Origin, Pin, Requirement

ORIGIN = Origin(path="requirements.txt", line=1)
SIX = Requirement(text="six==1.16.0", name="six", origin=ORIGIN)


def decided(text: str, *wanted: Requirement, **more: Any) -> Additions:
    return decide(tomllib.loads(text), Import(dependencies=wanted, **more))


def having(requirement: str) -> str:
    return f'project.dependencies = ["{requirement}"]\n'


def test_what_is_missing_comes_with_its_comments() -> None:
    wanted = Requirement(text="six", name="six", origin=ORIGIN, comment="# why", above=("# first",))
    lines = [Line(value="six", comment="# why", above=("# first",))]
    assert decided(having("idna"), wanted) == Additions(arrays={("project", "dependencies"): lines})


def test_what_is_there_in_the_same_words_is_not_added_again() -> None:
    wanted = Requirement(text="six<2,>=1", name="six", origin=ORIGIN)
    assert decided(having("Six>=1, <2"), wanted) == Additions(there=[wanted])


def test_a_pin_within_what_is_there_is_left_to_the_lockfile() -> None:
    pin = Pin(name="six", version="1.16.0", origin=ORIGIN)
    assert decided(having("six>=1"), SIX) == Additions(there=[SIX], pins=[pin])


def test_what_is_there_in_other_words_stays_and_is_told() -> None:
    additions = decided(having("six>=2"), SIX)
    assert additions.arrays == {}
    assert [str(finding) for finding in additions.findings] == [
        "requirements.txt:1: pyproject.toml says `six>=2`; `six==1.16.0` was not written"
    ]


def test_a_setting_that_differs_stays_and_is_told() -> None:
    additions = decided("tool.uv.no-index = false\n", settings={"no-index": True})
    assert additions.values == {}
    assert [(f.code, f.message, f.hint) for f in additions.findings] == [
        (
            "setting-differs",
            "pyproject.toml has another `tool.uv.no-index`; it stays as it is",
            "the files ask for `true`",
        )
    ]


def test_a_list_of_a_setting_gets_what_it_lacks() -> None:
    text = 'tool.uv.find-links = ["a"]\n'
    assert decided(text, settings={"find-links": ["a", "b"]}) == Additions(
        arrays={("tool", "uv", "find-links"): [Line(value="b")]}
    )


def test_dynamic_dependencies_are_left_to_the_build_backend() -> None:
    additions = decided('project.dynamic = ["dependencies"]\n', SIX)
    assert additions.arrays == {}
    assert [finding.code for finding in additions.findings] == ["dynamic-dependencies"]


def test_dependencies_that_are_read_from_the_file_are_there_already() -> None:
    text = (
        'project.dynamic = ["dependencies"]\n'
        'tool.setuptools.dynamic.dependencies = { file = ["requirements.txt"] }\n'
    )
    assert decided(text, SIX) == Additions()


def test_requires_python_is_added_only_where_it_is_missing() -> None:
    asked = Import(requires_python=">=3.9")
    assert decide({"project": {"requires-python": ">=3.11"}}, asked) == Additions()
    assert decide({"project": {}}, asked).values == {("project", "requires-python"): ">=3.9"}
