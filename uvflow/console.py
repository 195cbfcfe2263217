"""How text reaches a terminal: colour, sanitising, errors, the JSON envelope, without secrets."""

import json
import os
import re
import sys
from collections.abc import Mapping

from uvflow.redaction import redacted

TYPE_CHECKING = False  # as in __main__: the fast path takes this module for `--json`
if TYPE_CHECKING:
    from typing import Any, TextIO

    from uvflow.errors import UvflowError

SCHEMA_VERSION = 2

# Printable for Python, but invisible to a reader: fillers, joiners and variation selectors
# (Unicode, "Default_Ignorable_Code_Point"), and the blank Braille pattern.
_UNSEEN = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f"
    "\uffa0\U000e0100-\U000e01ef]"
)

# What `style` writes; foreign text that contains one of these can at most colour itself.
_OWN_STYLE = r"(\x1b\[(?:0|(?:[12]|3[1236])(?:;(?:[12]|3[1236]))*)m)"
_STYLES = {"red": "31", "yellow": "33", "green": "32", "cyan": "36", "bold": "1", "dim": "2"}


# What precedes the text of a line: indentation, columns, and a label. Further lines of the text are
# indented by as much.
_BEFORE_TEXT = r" *(?:\S.{,40}  (?=\S))? *(?:(?:error|warning|cause|hint): )?"
_WORDS = r"( *)((?:`[^`]*`|[^ ])+)"  # a command in backticks is one word: it can be copied whole


def harmless(text: str) -> str:
    """`text` as one line: characters that a reader would not see as such become escapes.

    These are line ends, control characters, those that reorder text (Unicode TR 36), those without
    a width, tags, and bytes of file names that are not text. A tab stays.
    """
    if text.isprintable() and (text.isascii() or not re.search(_UNSEEN, text)):
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character == "\t" or (character.isprintable() and not re.match(_UNSEEN, character)):
        return character
    return character.encode("unicode_escape").decode()


def size_text(size: int) -> str:
    """Bytes as `12 KiB` or `340 MiB`, rounded up."""
    unit, name = (1 << 20, "MiB") if size > 1 << 20 else (1 << 10, "KiB")
    return f"{-(-size // unit)} {name}"


class Console:
    """Results go to stdout, everything else to stderr; with `as_json` stdout is one object.

    Each text is one line: a line end in it came from a file or a name, and is shown as an escape.
    At a terminal, text is wrapped between words, but for lines of files and commands.
    """

    def __init__(
        self,
        *,
        color: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        as_json: bool = False,
    ) -> None:
        self.color = color
        self.quiet = quiet
        self.verbose = verbose
        self.as_json = as_json

    def say(self, *lines: str) -> None:
        if not self.quiet:
            self._write(sys.stderr, *lines)

    def detail(self, text: str) -> None:
        if self.verbose:
            self._write(sys.stderr, self.style(text, "dim"), wraps=False)

    def warn(self, text: str) -> None:
        self._write(sys.stderr, f"{self.style('warning', 'yellow', 'bold')}: {text}")

    def result(self, *lines: str) -> None:
        if not self.as_json:
            self._write(sys.stdout, *lines)

    def verbatim(self, *lines: str) -> None:
        """As `result`, for lines of files and for commands, which must not be wrapped."""
        if not self.as_json:
            self._write(sys.stdout, *lines, wraps=False)

    def script(self, *lines: str) -> None:
        """Print lines for a shell; in a pipe unchanged, since an escape in PATH would change it."""
        if self.as_json or sys.stdout.isatty():
            self.verbatim(*lines)
            return
        text = "".join(f"{line}\n" for line in lines)
        if os.name == "nt":
            _print(sys.stdout, text)
        else:
            _print(sys.stdout.buffer, os.fsencode(text))

    def envelope(self, command: str, exit_code: int, data: "Mapping[str, Any]") -> None:
        """Print the one object of `--json`."""
        if self.as_json:
            head = {"schema_version": SCHEMA_VERSION, "command": command, "exit_code": exit_code}
            _print(sys.stdout, json.dumps(_redacted_in({**head, **data}), indent=2) + "\n")

    def problem(self, error: "UvflowError") -> None:
        """Print an error as uv prints its own: `error:`, `  cause:`, `hint:`."""
        self._write(sys.stderr, f"{self.style('error', 'red', 'bold')}: {error.message}")
        if len(error.findings) > 1:
            for finding in error.findings:
                hint = f" ({finding.hint})" if finding.hint else ""
                self._write(sys.stderr, f"  {finding}{hint}")
        if error.cause:
            first, *more = error.cause.splitlines()  # further lines are uv's: indent them
            label = self.style("cause", "red")
            self._write(sys.stderr, f"  {label}: {first}", *(f"    {line}" for line in more))
        if error.hint:
            self._write(sys.stderr, f"{self.style('hint', 'cyan', 'bold')}: {error.hint}")

    def style(self, text: str, *styles: str) -> str:
        if not self.color:
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"

    def _write(self, stream: "TextIO", *lines: str, wraps: bool = True) -> None:
        def shown(line: str) -> str:
            if not self.color:
                return harmless(line)
            parts = re.split(_OWN_STYLE, line)
            return "".join(p if re.fullmatch(_OWN_STYLE, p) else harmless(p) for p in parts)

        texts = (shown(redacted(line)) for line in lines)
        width = _terminal_width(stream) if wraps else 0
        _print(stream, "".join(f"{_wrapped(text, width) if width else text}\n" for text in texts))


def _terminal_width(stream: "TextIO") -> int:
    """In characters; 0 for a file or a pipe, and for a terminal of unknown width."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def _wrapped(text: str, width: int) -> str:
    """`text` with line ends between words; it has no control characters but those of `style`."""
    before = re.match(_BEFORE_TEXT, re.sub(_OWN_STYLE, "", text))
    hang = before.end() if before and before[0].strip() else width
    if hang > width // 2:
        hang = len(text) - len(text.lstrip(" ")) + 4  # deeper than a hint below
    shown, used = "", 0
    for blanks, word in re.findall(_WORDS, text):
        length = len(re.sub(_OWN_STYLE, "", word))
        is_full = hang < used and used + len(blanks) + length > width
        shown += f"\n{' ' * hang}{word}" if is_full else blanks + word
        used = length + (hang if is_full else used + len(blanks))
    return shown


def _print(stream: "Any", text: str | bytes) -> None:
    """Write at once; on a closed pipe, discard this and all further output.

    Raises DiskError where results are lost. After a failure the stream leads to os.devnull, or
    Python would try again as it exits.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if stream is not sys.stderr and not isinstance(error, BrokenPipeError):
            from uvflow.errors import DiskError  # slow, and most often not needed

            raise DiskError("standard output cannot be written", cause=error.strerror) from error


def _redacted_in(value: "Any") -> "Any":
    """`value` with every text in it redacted, before JSON adds escapes."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {key: _redacted_in(item) for key, item in value.items()}
        case list() | tuple():
            return [_redacted_in(item) for item in value]
        case _:
            return value


def wants_color(choice: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Flag over NO_COLOR (no-color.org) over FORCE_COLOR (force-color.org) over the terminal."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return sys.stderr.isatty() and environ.get("TERM") != "dumb"
