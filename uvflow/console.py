"""How text reaches a terminal: colour, sanitising, errors, the JSON envelope; nothing secret."""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from uvflow.errors import UvflowError, unwritable
from uvflow.redaction import redacted

SCHEMA_VERSION = 2

ColorChoice = Literal["auto", "always", "never"]

# C0 and C1 controls except tab and newline, and the marks that reorder what a reader sees
# (Unicode TR 36, "bidirectional text spoofing").
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# What `style` writes; foreign text that holds one of these can at most colour itself.
_OWN_STYLE = re.compile(r"(\x1b\[(?:0|(?:[12]|3[1236])(?:;(?:[12]|3[1236]))*)m)")
_STYLES = {"red": "31", "yellow": "33", "green": "32", "cyan": "36", "bold": "1", "dim": "2"}


def harmless(text: str) -> str:
    """`text` with control characters shown as escapes, so that it cannot drive a terminal."""
    return _HARMFUL.sub(lambda match: repr(match[0])[1:-1], text)


@dataclass(frozen=True, kw_only=True)
class Console:
    """Results go to stdout, everything else to stderr; with `as_json` stdout is one object."""

    color: bool = False
    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    def say(self, text: str) -> None:
        if not self.quiet:
            self._write(sys.stderr, text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self._write(sys.stderr, self.style(text, "dim"))

    def warn(self, text: str) -> None:
        self._write(sys.stderr, f"{self.style('warning', 'yellow', 'bold')}: {text}")

    def result(self, text: str) -> None:
        if not self.as_json:
            self._write(sys.stdout, text)

    def envelope(self, command: str, exit_code: int, data: Mapping[str, Any]) -> None:
        """The one object that `--json` prints."""
        if self.as_json:
            head = {"schema_version": SCHEMA_VERSION, "command": command, "exit_code": exit_code}
            _print(sys.stdout, json.dumps(_redacted_in({**head, **data}), indent=2))

    def problem(self, error: UvflowError) -> None:
        """An error as uv shows its own: `error:`, `  cause:`, `hint:`."""
        self._write(sys.stderr, f"{self.style('error', 'red', 'bold')}: {error.message}")
        if error.cause:
            self._write(sys.stderr, f"  {self.style('cause', 'red')}: {error.cause}")
        if error.hint:
            self._write(sys.stderr, f"{self.style('hint', 'cyan', 'bold')}: {error.hint}")

    def style(self, text: str, *styles: str) -> str:
        if not self.color:
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"

    def _write(self, stream: TextIO, text: str) -> None:
        def shown(part: str) -> str:
            return part if self.color and _OWN_STYLE.fullmatch(part) else harmless(part)

        _print(stream, "".join(map(shown, _OWN_STYLE.split(redacted(text)))))


def _print(stream: TextIO, text: str) -> None:
    """On a closed pipe, discard this and all further output; raises DiskError for lost results.

    After a failure the stream is pointed at os.devnull, or Python would try again as it exits.
    """
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            raise unwritable("standard output", error) from error


def _redacted_in(value: Any) -> Any:
    """Every text in `value`, before JSON's escapes are added to it."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {key: _redacted_in(item) for key, item in value.items()}
        case list() | tuple():
            return [_redacted_in(item) for item in value]
        case _:
            return value


def wants_color(choice: ColorChoice, environ: Mapping[str, str] = os.environ) -> bool:
    """Flag over NO_COLOR (no-color.org) over FORCE_COLOR (force-color.org) over the terminal."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return sys.stderr.isatty() and environ.get("TERM") != "dumb"
