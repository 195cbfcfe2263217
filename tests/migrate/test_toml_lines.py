import pytest

from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate.toml_lines import TomlEntry, TomlFile

TEXT = '''\
# A licence.

[tool.poetry]
name = "app"  # the name
# for the index

version = "1.0"
classifiers = [
    "a",  # first
    # on b
    "b",
]
# the end

# What it needs:
[tool.poetry.dependencies]
idna = { version = "3", python = "<3.12" }
six.version = """
1"""
# toml = "*"

[[tool.poetry.source]]
name = "x"
[[tool.poetry.source]]
"full name" = "y"
'''
FILE = TomlFile.parse("pyproject.toml", TEXT)


def at(line: int) -> Origin:
    return Origin(path="pyproject.toml", line=line)


def test_a_key_has_its_line_and_its_comments() -> None:
    assert FILE.entry("tool", "poetry", "version") == TomlEntry(
        key="version", value="1.0", origin=at(7), above=("# for the index",)
    )
    name = FILE.entry("tool", "poetry", "name")
    assert (name.value, name.comment) == ("app", "# the name")


def test_the_items_of_an_array_have_theirs() -> None:
    assert FILE.entries("tool", "poetry", "classifiers") == (
        TomlEntry(key=0, value="a", origin=at(9), comment="# first"),
        TomlEntry(key=1, value="b", origin=at(11), above=("# on b",)),
    )


def test_a_table_is_where_its_first_key_is_and_what_is_within_a_line_is_there() -> None:
    assert FILE.entry("tool", "poetry", "dependencies").above == ("# What it needs:",)
    assert FILE.origin("tool", "poetry", "dependencies") == at(17)
    assert FILE.origin("tool", "poetry", "dependencies", "idna", "python") == at(17)
    assert [entry.origin for entry in FILE.entries("tool", "poetry", "source")] == [at(23), at(25)]


def test_a_dotted_key_is_where_its_first_part_is() -> None:
    assert FILE.origin("tool", "poetry", "dependencies", "six") == at(18)


def test_comments_below_the_last_key_end_the_table() -> None:
    assert FILE.tail("tool", "poetry") == ("# the end",)
    assert FILE.tail("tool", "poetry", "dependencies") == ('# toml = "*"',)
    assert FILE.tail() == ("# A licence.",)


def test_units_are_the_lines_that_say_something() -> None:
    lines = [origin.line for origin in FILE.units("tool", "poetry")]
    assert lines == [4, 7, 9, 11, 17, 18, 23, 25]
    assert FILE.units("tool", "poetry", "source") == {
        at(23): ("tool", "poetry", "source", 0, "name"),
        at(25): ("tool", "poetry", "source", 1, "full name"),
    }


def test_what_is_not_there_has_no_entries_and_stands_at_the_nearest_line() -> None:
    assert FILE.entries("tool", "poetry", "extras") == ()
    assert FILE.value("tool", "poetry", "name", "first") is None
    assert FILE.origin("tool", "poetry", "extras").line == 3
    assert FILE.origin("project").line == 1


def test_windows_line_ends_are_as_others() -> None:
    windows = TomlFile.parse("pyproject.toml", TEXT.replace("\n", "\r\n"))
    assert windows.statements == FILE.statements


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(UsageError, match="Pipfile is not valid TOML"):
        TomlFile.parse("Pipfile", "a = ")


def test_the_comments_at_the_end_of_an_array() -> None:
    text = 'a = [\n    "x",  # of x\n    # "y",\n    # more\n]\nb = ["z"]  # of b\n'
    file = TomlFile.parse("f.toml", text)
    assert (file.tail("a"), file.tail("b")) == (('# "y",', "# more"), ())
