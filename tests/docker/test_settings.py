"""`[tool.uvflow.docker]` is checked whole."""

import pytest

from uvflow.docker.settings import Settings, read
from uvflow.errors import UsageError

PROCESSES = 'lists of strings by simple names, such as { worker = ["celery", "worker"] }'


def test_nothing_said_is_the_defaults() -> None:
    assert read({}, "pyproject.toml") == Settings()


def test_lists_and_tables_become_values() -> None:
    said = {"command": ["a", "b"], "environment": {"B": "2", "A": "1"}, "health": False}
    assert read(said, "pyproject.toml") == Settings(
        command=("a", "b"), environment=(("A", "1"), ("B", "2")), health=False
    )


def test_an_unknown_key_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        read({"comand": ["x"]}, "pyproject.toml")
    assert caught.value.message == "pyproject.toml: unknown key `tool.uvflow.docker.comand`"
    assert caught.value.hint == "did you mean `command`?"


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("base", "alpine", "one of slim, managed, distroless"),
        ("command", "python app.py", 'a list of strings, such as ["python", "-m", "app"]'),
        ("command", [], 'a list of strings, such as ["python", "-m", "app"]'),
        ("app", "main", '"module:attribute"'),
        ("port", 0, "a number from 1 to 65535"),
        ("port", True, "a number from 1 to 65535"),
        ("port", "8000", "a number from 1 to 65535"),
        ("health", "healthz", 'a path such as "/healthz", or false'),
        ("health", True, 'a path such as "/healthz", or false'),
        ("user", 0, "a numeric user id from 1"),
        ("uv", "latest", "a version such as 0.13.9"),
        ("python-image", "python; rm", "the name of an image"),
        ("build-packages", ["gcc; rm -rf /"], "a list of Debian packages"),
        ("runtime-packages", "libpq5", "a list of Debian packages"),
        ("platforms", ["windows/amd64"], "a list of linux/amd64 and linux/arm64"),
        ("source", "yes", "true or false"),
        ("environment", {"A-B": "x"}, "a table of strings"),
        ("processes", {"my worker!": ["x"]}, PROCESSES),
        ("processes", {"worker": "x"}, PROCESSES),
        ("environment", {"A": 1}, "a table of strings"),
    ],
)
def test_a_value_that_cannot_be_is_told(key: str, value: object, wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        read({key: value}, "pyproject.toml")
    assert caught.value.message == (
        f"pyproject.toml: `tool.uvflow.docker.{key}` must be {wanted}, not {value!r}"
    )
