"""Whether what a TOML file says is of the types that its format asks for. Pure."""

from collections.abc import Mapping
from typing import Any

from uvflow.errors import UsageError

_NAMES = {bool: "a boolean", dict: "a table", int: "an integer", list: "an array", str: "a string"}


def validate(value: Any, shape: Any, source: str, key: str = "") -> None:
    """Raises UsageError with the key of what is not of its type.

    A shape is a type, several of which one will do, an array of the shape that each item has, or a
    table of shapes: a key need not be there, and "*" stands for every other one.
    """
    match shape:
        case [each]:
            _be(value, (list,), source, key)
            for number, item in enumerate(value):
                validate(item, each, source, f"{key}[{number}]")
        case Mapping():
            _be(value, (dict,), source, key)
            for name, item in value.items():
                if name in shape or "*" in shape:
                    inner = shape.get(name, shape.get("*"))
                    validate(item, inner, source, f"{key}.{name}" if key else name)
        case _:
            _be(value, shape if isinstance(shape, tuple) else (shape,), source, key)


def _be(value: Any, types: tuple[type, ...], source: str, key: str) -> None:
    if not isinstance(value, types):
        wanted = " or ".join(_NAMES[one] for one in types)
        raise UsageError(f"{source}: `{key}` must be {wanted}, not {value!r:.99}")
