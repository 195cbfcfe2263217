"""Requirements files: bytes → logical lines, as pip's own parser reads them. Pure.

See pip's documentation, "Requirements File Format". Variables (`${VAR}`) are not expanded.
"""

import codecs
import itertools
import optparse
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, NoReturn

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.redaction import redacted

_MAX_LENGTH = 10_000  # characters of an option with its value; a path has 4096 at most
_MAX_WORDS = 20_000  # words of a line; a release has some hundred hashes at most

# pip: a comment starts at a `#` that begins the line or follows white space.
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The annotation that pip-compile and uv write below a pin, in one line or several.
_ANNOTATION = re.compile(r"\s{3,}#")
# PEP 263, as pip reads it: in the first two lines, in a comment.
_COOKIE = re.compile(rb"#.*?coding[:=]\s*([-\w.]+)")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_ALONE = ("--editable", "--requirement", "--constraint")  # the first is all that pip reads
_REQUIREMENT_OPTIONS = ("--hash", "--global-option", "--config-settings")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A logical line: one requirement (with options of its own), or options of the file.

    `requirement` is the text before the options, or the value of `-e`. `options` are pairs of a
    long name and a value; those that pip acts on in this line are `effective`, and `overlooked` is
    the text of the others. `comment` is the line-end comment, `above` are the comment lines since
    the last logical line. `repr` has no credentials, nor do comments: they go into other files.
    """

    origin: Origin
    text: str = field(repr=False)
    requirement: str = field(default="", repr=False)
    is_editable: bool = False
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    effective: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    overlooked: tuple[str, ...] = field(default=(), repr=False)
    comment: str = ""
    above: tuple[str, ...] = ()
    problem: Finding | None = None

    def values(self, option: str) -> tuple[str, ...]:
        return tuple(value for name, value in self.effective if name == option)

    @property
    def include(self) -> tuple[str, str] | None:
        """The option, and the path."""
        for option in self.effective:
            if option[0] in _ALONE[1:]:
                return option
        return None


class RequirementsFile(NamedTuple):
    """The logical lines and the comments after the last one, or why they cannot be read."""

    lines: tuple[Line, ...] = ()
    tail: tuple[str, ...] = ()
    problem: Finding | None = None


def parse_requirements(data: bytes, path: str, encoding: str | None = None) -> RequirementsFile:
    """The logical lines of `data`, the content of the file at `path`."""
    marks = ((m, name) for m, name in _BYTE_ORDER_MARKS if data.startswith(m))
    mark, tried = next(marks, (b"", ""))
    cookies = (_COOKIE.match(line) for line in data.split(b"\n", 2)[:2])
    cookie = next(filter(None, cookies), None)
    tried = encoding or tried or (cookie[1].decode("ascii", "replace") if cookie else "utf-8")
    origin = Origin(path=path, line=1)
    hint = "name the encoding of the files with `--encoding NAME`"
    try:
        if tried == "utf-8" and data.count(0) > len(data) / 4:
            raise UnicodeDecodeError(tried, data, data.index(0), len(data), "UTF-16")  # noqa: TRY301  as the codec itself does
        text = data.removeprefix(mark).decode(tried)
    except UnicodeDecodeError as error:
        offset = error.start + len(data) - len(error.object)
        origin = Origin(path=path, line=data[:offset].count(b"\n") + 1)
        message = f"byte {offset} (0x{data[offset : offset + 1].hex()}) is not {tried}"
        problem = findings.error("undecodable", message, origin, hint)
    except (LookupError, ValueError):  # unknown, or one that does not decode text
        problem = findings.error("unknown-encoding", f"unknown encoding `{tried}`", origin, hint)
    else:
        return _parse_text(path, text)
    return RequirementsFile(problem=problem)


def _parse_text(path: str, text: str) -> RequirementsFile:
    lines: list[Line] = []
    above: list[str] = []
    for number, joined in _logical_lines(text.splitlines()):
        start = _COMMENT.search(joined)
        content = joined[: start.start()].strip() if start else joined.strip()
        comment = as_comment(start[0].strip()) if start else ""
        if content:
            origin = Origin(path=path, line=number)
            lines.append(_parse_line(content, origin, comment, tuple(above)))
            above.clear()
        elif lines and not above and _ANNOTATION.match(joined):
            known = lines[-1].comment
            comment = f"{known} {comment.lstrip('# ')}" if known else comment
            lines[-1] = replace(lines[-1], comment=comment)
        elif comment:
            above.append(comment)
    return RequirementsFile(lines=tuple(lines), tail=tuple(above))


def _logical_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    r"""Join lines that end in `\` with the next one, as pip does; a comment line ends this."""
    first, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            first = first if parts else number
            parts.append(line.strip("\\"))
            continue
        rest = f" {line}" if is_comment else line  # so that `a\` and `#b` do not become `a#b`
        yield (first if parts else number), "".join((*parts, rest))
        parts.clear()
    if parts:
        yield first, "".join(parts)


def as_file(lines: Mapping[int, str]) -> bytes:
    """A requirements file with `lines` at their numbers, and blank ones between them."""
    return "\n".join(lines.get(at, "") for at in range(1, max(lines, default=0) + 1)).encode()


def as_comment(text: str) -> str:
    """A comment of a TOML file: without credentials, and of control characters only tabs."""
    return f"#{redacted(_CONTROL.sub('', text).removeprefix('#'))}"


def _parse_line(text: str, origin: Origin, comment: str, above: tuple[str, ...]) -> Line:
    # pip: the options begin at the first space that a `-` follows; before, quotes mean nothing.
    tokens = text.split(" ")
    words = list(itertools.takewhile(lambda token: not token.startswith("-"), tokens))
    requirement, rest = " ".join(words), " ".join(tokens[len(words) :])
    line = Line(origin=origin, text=text, requirement=requirement, comment=comment, above=above)
    if not rest:
        return line
    try:
        options, ignored = _parse_options(rest)
    except ValueError as error:
        return replace(line, problem=_bad_option(line, str(error)))
    effective = tuple(o for o in options if (o[0] in _REQUIREMENT_OPTIONS) is bool(requirement))
    alone = next((option for name in _ALONE for option in effective if option[0] == name), None)
    if alone:
        effective = (alone,)
    unused = (Counter(options) - Counter(effective)).elements()
    overlooked = (*(f"{name} {value}".rstrip() for name, value in unused), " ".join(ignored))
    overlooked = tuple(filter(None, overlooked))
    line = replace(line, options=options, effective=effective, overlooked=overlooked)
    match alone:
        case ("--editable", ""):
            return replace(line, problem=_bad_option(line, "`-e` names nothing"))
        case ("--editable", location):
            return replace(line, requirement=location, is_editable=True)
    return line


def _bad_option(line: Line, reason: str) -> Finding:
    message = f"`{redacted(line.text)}` cannot be read: {redacted(reason)}"
    hint = "correct the line, or skip it with `--keep-going`"
    return findings.error("invalid-option", message, line.origin, hint)


def _parse_options(text: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Raises ValueError for what pip cannot read either: an unknown option, an open quote."""
    # Many times faster than shlex, and most lines with options are rows of hashes.
    words = shlex.split(text) if re.search(r"""["'\\]""", text) else text.split()
    if any(len(word) > _MAX_LENGTH for word in words):
        raise ValueError(f"a word of more than {_MAX_LENGTH} characters")
    if len(words) > _MAX_WORDS:
        raise ValueError(f"more than {_MAX_WORDS} words")
    values = optparse.Values({"pairs": []})
    _, ignored = _PARSER.parse_args(words, values)
    return tuple(values.pairs), tuple(ignored)


class _Option(optparse.Option):
    """Adds its long name and its value to the `pairs` of the values, which keeps their order."""

    def process(self, _written: str, value: Any, values: Any, _parser: Any) -> int:
        values.pairs.append((self.get_opt_string(), value or ""))
        return 1


class _Parser(optparse.OptionParser):
    def error(self, msg: str) -> NoReturn:
        raise ValueError(msg)


# pip's options of a requirements file: those with a value, and those without.
_WITH_VALUE = (
    *(("-i", "--index-url", "--pypi-url"), ("--extra-index-url",), ("-f", "--find-links")),
    *(("-c", "--constraint"), ("-r", "--requirement"), ("-e", "--editable")),
    *(("--no-binary",), ("--only-binary",), ("--all-releases",), ("--only-final",)),
    *(("--trusted-host",), ("--use-feature",), ("--hash",), ("--global-option",)),
    ("-C", "--config-settings", "--config-setting"),
)
_FLAGS = ("--no-index", "--prefer-binary", "--require-hashes", "--pre")

# optparse, since pip's spellings are optparse's: `-rfile`, `--req=file`, `-e file`.
_PARSER = _Parser(
    add_help_option=False,
    option_list=[
        *(_Option(*names) for names in _WITH_VALUE),
        *(_Option(name, action="store_true") for name in _FLAGS),
    ],
)
