import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvflow.errors import UsageError
from uvflow.migrate.toml_lines import TomlLine
from uvflow.migrate.toml_text import TomlEdits, apply_edits, extend_array, literal

SIX = TomlLine(value="six")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('["idna"]', '[\n    "idna",\n    "six",\n]', id="on one line"),
        pytest.param('["a[b,c]>1,<2", "d"]', '[\n    "a[b,c]>1,<2",\n    "d",\n    "six",\n]'),
        pytest.param('[\n\t"idna"\n\t]', '[\n\t"idna",\n\t"six",\n\t]', id="tabs"),
        pytest.param(
            '[ # all\n  "idna" # why\n  # last\n]',
            '[ # all\n  "idna", # why\n  # last\n  "six",\n]',
            id="comments",
        ),
        pytest.param(
            "['''a''', \"b\"]", "[\n    '''a''',\n    \"b\",\n    \"six\",\n]", id="quotes"
        ),
        pytest.param("[\n]", '[\n    "six",\n]', id="empty"),
    ],
)
def test_an_array_keeps_its_style(before: str, after: str) -> None:
    assert extend_array(before, [SIX]) == after


def test_comments_come_with_their_entry_and_below_the_last() -> None:
    line = TomlLine(value={"include-group": "test"}, comment="# all", above=("# one", "# two"))
    assert (
        extend_array("[]", [line, SIX, TomlLine(above=("# end",))])
        == """\
[
    # one
    # two
    { include-group = "test" }, # all
    "six",
    # end
]"""
    )


def test_nothing_more_is_nothing_new() -> None:
    assert extend_array('[ "idna" ]', []) == '[ "idna" ]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("six", '"six"'),
        ('a; b == "c"', "'a; b == \"c\"'"),
        ("a\"'b", '"a\\"\'b"'),
        ("é\x7f\n", '"é\\u007f\\n"'),
        (True, "true"),
        (3, "3"),
        (("a", ["b"]), '["a", ["b"]]'),
        ({"a-b": 1, "a b": {}}, '{ a-b = 1, "a b" = {  } }'),
    ],
)
def test_a_value_is_written_on_one_line(value: object, text: str) -> None:
    assert literal(value) == text


@given(st.recursive(st.text() | st.booleans() | st.integers(), st.lists, max_leaves=5))
def test_any_value_comes_back_as_it_went_in(value: object) -> None:
    assert tomllib.loads(f"v = {literal(value)}") == {"v": value}


@given(st.text())
def test_any_comment_is_one_of_toml(text: str) -> None:
    array = extend_array("[]", [TomlLine(value=1, comment=f"# {text}", above=(f"# {text}",))])
    assert tomllib.loads(f"v = {array}") == {"v": [1]}


OLD = """\
# A licence.

[tool.poetry]
# the name
name = "app"
packages = ["app"]

# What it needs:
[tool.poetry.dependencies]
six = "*"
# toml = "*"

[tool.black]
line-length = 100
"""


def test_what_is_removed_goes_with_its_comments_and_an_empty_table_with_its_header() -> None:
    name, table = ("tool", "poetry", "name"), ("tool", "poetry", "dependencies")
    assert (
        apply_edits(OLD, TomlEdits(removed=[name, table]))
        == """\
# A licence.

[tool.poetry]
packages = ["app"]

[tool.black]
line-length = 100
"""
    )
    everything = [("tool", "poetry", "packages"), name, ("tool", "poetry", "dependencies", "six")]
    assert (
        apply_edits(OLD, TomlEdits(removed=everything))
        == """\
# A licence.

[tool.black]
line-length = 100
"""
    )


def test_a_value_comes_with_its_comments() -> None:
    line = TomlLine(value="app", comment="# ours", above=("# the name",))
    edits = TomlEdits(values={("project", "name"): line, ("project", "urls", "Home"): "https://h"})
    assert (
        apply_edits('[project]\nversion = "1"\n', edits)
        == """\
[project]
version = "1"
# the name
name = "app"  # ours

[project.urls]
Home = "https://h"
"""
    )


def test_an_edit_can_be_made_twice() -> None:
    path = ("project", "dependencies")
    edits = TomlEdits(values={path: TomlLine(value=[])}, arrays={path: [SIX]})
    assert apply_edits("", edits) == apply_edits("", edits)


def test_what_is_within_a_line_cannot_be_removed() -> None:
    with pytest.raises(UsageError, match="cannot be edited"):
        apply_edits("[tool]\nx = { a = 1, b = 2 }\n", TomlEdits(removed=[("tool", "x", "a")]))
