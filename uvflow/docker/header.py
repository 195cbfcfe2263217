"""The header of a generated file, in comments: what made it, and was it edited since. Pure."""

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from uvflow.docker.instructions import comment
from uvflow.docker.lint.parse import split

OPTIONS = ("uv", "python", "base")  # those that are kept; a later uvflow may have others

_MADE_BY = re.compile(r"# Made by `(?P<command>uvflow docker[^`\n]*)`")
_DIGEST = re.compile(r"# (?:Facts [0-9a-f]{12}, t|T)ext (?P<text>[0-9a-f]{12})\b")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The options a file was made with, and whether nobody has edited it since."""

    options: Mapping[str, str]
    is_as_made: bool


def with_header(body: str, options: Mapping[str, str], usage: tuple[str, ...]) -> str:
    """`body` below its header; `usage` are commands to show in it."""
    given = (f"--{name}={value}" for name, value in options.items())
    command = shlex.join(("uvflow", "docker", *given))
    head = [
        f"# Made by `{command}`; do not edit it:",
        "# [tool.uvflow.docker] in pyproject.toml is the place for changes.",
        f"# Text {_digest(body)}.",
        "#",
        *(f"#   {comment(line)}" for line in usage),
    ]
    return "\n".join(head) + f"\n\n{body}"


def read(text: str) -> Header | None:
    """The header of `text`, whatever its line ends; None where uvflow did not make it."""
    made_by = _MADE_BY.match(text)
    digest = _DIGEST.search(text)
    if made_by is None or digest is None:
        return None
    words = (word.removeprefix("--").partition("=") for word in split(made_by["command"])[2:])
    _, _, body = text.replace("\r\n", "\n").partition("\n\n")
    return Header(
        options={name: value for name, _, value in words if name in OPTIONS},
        is_as_made=digest["text"] == _digest(body),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
