"""The .dockerignore keeps out what is no part of an image, and knows when another one does."""

import pytest

from uvflow.docker.ignore import dockerignore, is_ignored, missing


@pytest.mark.parametrize(
    "path",
    [
        ".venv/bin/python",
        ".git/config",
        ".env",
        ".env.local",
        "deploy/.env",
        "shop/__pycache__/x.pyc",
        "Dockerfile",
        "packages/api/Dockerfile",
        "node_modules/x/index.js",
        "src/shop.egg-info/PKG-INFO",
        "compose.yaml",
    ],
)
def test_ours_keeps_out(path: str) -> None:
    assert is_ignored(path, dockerignore())


@pytest.mark.parametrize(
    "path",
    ["pyproject.toml", "uv.lock", "README.md", ".python-version", ".env.example", "src/env.py"],
)
def test_ours_lets_in(path: str) -> None:
    assert not is_ignored(path, dockerignore())


def test_ours_misses_nothing() -> None:
    assert missing(dockerignore()) == ()


def test_an_empty_one_misses_everything() -> None:
    assert missing("") == (".venv", ".git", "**/.env", "**/__pycache__")


@pytest.mark.parametrize("text", ["*\n!src\n", "**\n!src\n"])
def test_one_that_keeps_out_all_but_a_list_misses_nothing(text: str) -> None:
    assert missing(text) == ()


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        (".git", ".git/config", True),
        ("/.git/", ".git/config", True),
        ("./.git", ".git", True),
        (".env", "sub/.env", False),
        ("**/.env", ".env", True),
        ("*/temp*", "a/temporary", True),
        ("*/temp*", "a/b/temporary", False),
        ("temp?", "tempa", True),
        ("[a-c]x", "bx", True),
        ("\\#x", "#x", True),
        ("# x", "# x", False),
        ("docs\n!docs/a.md", "docs/a.md", False),
        ("!docs/a.md\ndocs", "docs/a.md", True),
    ],
)
def test_patterns_match_as_dockers_do(pattern: str, path: str, ignored: object) -> None:
    assert is_ignored(path, pattern) is ignored
