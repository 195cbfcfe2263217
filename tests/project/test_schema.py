"""What is of another type than its format asks for is named by its key."""

from typing import Any

import pytest

from uvflow.errors import UsageError
from uvflow.project import schema

SHAPE = {"name": str, "tags": [str], "any": {"*": [(str, dict)]}, "table": dict}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": "x", "tags": ["a"], "any": {"x": ["a", {}]}, "table": {"x": 1}},
        {"unknown": 1},
    ],
)
def test_what_is_as_it_should_be_passes(value: dict[str, Any]) -> None:
    schema.validate(value, SHAPE, "file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": 1}, "file: `name` must be a string, not 1"),
        ({"tags": "a"}, "file: `tags` must be an array, not 'a'"),
        ({"tags": ["a", []]}, "file: `tags[1]` must be a string, not []"),
        ({"any": {"x": [1]}}, "file: `any.x[0]` must be a string or a table, not 1"),
        ({"table": []}, "file: `table` must be a table, not []"),
    ],
)
def test_what_is_not_is_named(value: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        schema.validate(value, SHAPE, "file")
    assert caught.value.message == message
