"""What is of another type than its format asks for is named by its key."""

from typing import Any

import pytest

from uvflow.errors import UsageError
from uvflow.project import schema

SHAPE = {
    "name": str,
    "tags": [str],
    "any": {"*": [(str, dict)]},
    "table": dict,
    "ours": schema.OnlyKeys(
        {"digit": schema.Rule("a digit", {"type": "integer", "minimum": 0, "maximum": 9})}
    ),
}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": "x", "tags": ["a"], "any": {"x": ["a", {}]}, "table": {"x": 1}},
        {"ours": {"digit": 2}},
        {"unknown": 1},
    ],
)
def test_what_is_as_it_should_be_passes(value: dict[str, Any]) -> None:
    schema.validate(value, SHAPE, "file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": 1}, "file: `name` must be a string, not 1"),
        ({"tags": "a"}, "file: `tags` must be a list of strings, not 'a'"),
        ({"tags": ["a", []]}, "file: `tags[1]` must be a string, not []"),
        ({"any": {"x": [1]}}, "file: `any.x[0]` must be a string or a table, not 1"),
        ({"table": []}, "file: `table` must be a table, not []"),
        ({"name": "a\nb"}, "file: `name` must be one line of visible characters, not 'a\\nb'"),
        (
            {"tags": ["a\u200b"]},
            "file: `tags[0]` must be one line of visible characters, not 'a\\u200b'",
        ),
        (
            {"any": {"x\x1b": []}},
            "file: `any` must be one line of visible characters as a key, not 'x\\x1b'",
        ),
        (
            {"any": {"x": [{"y": "\u202e"}]}},
            "file: `any.x[0]` must be one line of visible characters, not '\\u202e'",
        ),
        ({"ours": {"digit": 10}}, "file: `ours.digit` must be a digit, not 10"),
        ({"ours": {"digt": 2}}, "file: unknown key `ours.digt`"),
    ],
)
def test_what_is_not_is_named(value: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        schema.validate(value, SHAPE, "file")
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("name", "hint"), [("evn", "did you mean `even`?"), ("other", "known keys: even, odd")]
)
def test_a_mistake_is_answered_with_the_nearest_name_or_all(name: str, hint: str) -> None:
    assert schema.suggestion(name, ("even", "odd"), "known keys") == hint


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"a = 1\nb = ]", "Invalid value (at line 2, column 5)"),
        (b"a = 1\nb = " + b"1" * 5000, "Exceeds the limit (4300 digits)"),
        (b"a = 1\nb = " + b"[" * 3000 + b"]" * 3000, "more than 100 levels are nested"),
        (b"a = 1\n" + b"b." * 20_000 + b"c = 1", "more than 100 levels are nested"),
        (b"a = 1\n" + b"b." * 101 + b"c = 1", "more than 100 levels are nested"),
        (
            b"a = 1\nb = '\xff'",
            "'utf-8' codec can't decode byte 0xff in position 11: invalid start byte (at line 2)",
        ),
    ],
)
def test_what_cannot_be_parsed_is_reported(text: bytes, cause: str) -> None:
    with pytest.raises(UsageError) as caught:
        schema.parse(text, "file")
    assert caught.value.message == "file is not valid TOML"
    assert (caught.value.cause or "").startswith(cause)


@pytest.mark.parametrize("each", ["[t%d]\n", "[[t%d]]\n", "t%d.a=1\n"])
def test_what_would_take_the_memory_of_the_machine_is_not_parsed(each: str) -> None:
    tables = "".join(map(each.__mod__, range(130_000)))
    for text in (tables, f"a = [{'[],' * 600_000}]", "#\n" * 1_000_001):
        with pytest.raises(UsageError) as caught:
            schema.parse(text, "file")
        assert (caught.value.message, caught.value.cause) == (
            "file is too large",
            "more than 1,000,000 values",
        )


def test_what_can_be_parsed_is() -> None:
    text = "a.b = [[1]]\r\ntext = '" + "www.example." * 99 + "'\n"
    assert schema.parse(text, "file") == {"a": {"b": [[1]]}, "text": "www.example." * 99}
    assert schema.parse("b." * 90 + "c = 1", "file")


def test_without_a_key_the_source_is_what_must_be() -> None:
    with pytest.raises(UsageError, match=r"^--name must be a string, not 1$"):
        schema.validate(1, str, "--name")


def test_a_byte_order_mark_is_no_part_of_a_file() -> None:
    assert schema.parse(b'\xef\xbb\xbfa = "b"\n', "a.toml") == {"a": "b"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_inline_table_may_have_several_lines_as_in_toml_1_1(end: str) -> None:
    lines = ("a = [", "  {", '    b = "}", # {', "    c = [", "      1,", "    ],", "  },", "]")
    assert schema.parse(end.join(lines), "x.toml") == {"a": [{"b": "}", "c": [1]}]}
