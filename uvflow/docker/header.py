"""The first lines of a generated file: what made it, from which facts, and is it as made.

Pure. The lines are comments, so this serves every format that has comments with `#`.
"""

import hashlib
import json
import re
import shlex
from dataclasses import asdict, dataclass, fields

from uvflow.docker.facts import Facts, ImageOptions
from uvflow.docker.lint.parse import split

_MADE_BY = re.compile(r"# Made by `(?P<command>uvflow docker[^`\n]*)`")
_DIGESTS = re.compile(r"# Facts (?P<facts>[0-9a-f]{12}), text (?P<text>[0-9a-f]{12})\b")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the first lines of a generated file say."""

    command: str
    facts: str
    text: str

    @property
    def options(self) -> ImageOptions:
        """The options that the file was made with; those of a later uvflow are passed over."""
        words = (word.removeprefix("--").partition("=") for word in split(self.command)[2:])
        known = {field.name for field in fields(ImageOptions)}
        return ImageOptions(**{name: value for name, _, value in words if name in known})


def with_header(body: str, facts: Facts, options: ImageOptions, usage: tuple[str, ...]) -> str:
    """`body` below the lines that tell where it came from and how it is used."""
    head = [
        f"# Made by `{command(options)}`; what is edited here is lost when it is made again:",
        "# [tool.uvflow.docker] in pyproject.toml is the place for changes.",
        f"# Facts {digest_of(facts)}, text {_digest(body)}.",
        "#",
        *(f"#   {line}" for line in usage),
    ]
    return "\n".join(head) + f"\n\n{body}"


def read(text: str) -> Header | None:
    """The header of `text`; None where uvflow did not make it."""
    made_by = _MADE_BY.match(text)
    digests = _DIGESTS.search(text)
    if made_by is None or digests is None:
        return None
    return Header(command=made_by["command"], facts=digests["facts"], text=digests["text"])


def is_as_made(text: str) -> bool:
    """Whether the generated `text` was not edited since; line ends do not count."""
    found = read(text)
    _, _, body = text.replace("\r\n", "\n").partition("\n\n")
    return found is not None and found.text == _digest(body)


def command(options: ImageOptions) -> str:
    """The command that makes the same file from the same facts."""
    given = ((name, value) for name, value in asdict(options).items() if value is not None)
    return shlex.join(("uvflow", "docker", *(f"--{name}={value}" for name, value in given)))


def digest_of(facts: Facts) -> str:
    """Of everything but the remarks, which are for the person at the prompt."""
    said = {name: value for name, value in asdict(facts).items() if name != "remarks"}
    return _digest(json.dumps(said, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
