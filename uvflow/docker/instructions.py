"""The instructions of a Dockerfile: the one place that writes them as text, and escapes.

The rules of escaping are those of the Dockerfile reference ("Environment replacement", "Parser
directives", "Shell and exec form") and of BuildKit's parser, which splits the flags of an
instruction byte by byte. A test reads back what is written here.
"""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import NewType

from uvflow.errors import UsageError

Pairs = tuple[tuple[str, str], ...]

# Texts that are escaped: only the functions of this module make one.
Instruction = NewType("Instruction", str)
Command = NewType("Command", str)
Mount = NewType("Mount", str)
Instructions = Iterator[Instruction]

_COLUMNS = 100
_END = "END"  # of a script
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STAGE = re.compile(r"[a-z][a-z0-9_.-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./@+=-]+")
_IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9_./:@-]*")
_VALUE = re.compile(r"[A-Z0-9:]+")
_PROBED = "--interval=30s --timeout=5s --start-period=10s"


def comment(*lines: str) -> Instruction:
    """Lines of text for a reader."""
    shown = ("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in lines)
    return Instruction("\n".join(f"# {line}".rstrip() for line in shown))


def begin_stage(name: str, image: str) -> Instruction:
    """FROM: `image` is an image or another stage."""
    return Instruction(
        f"FROM {_matching(_IMAGE, image, 'image')} AS {_matching(_STAGE, name, 'stage')}"
    )


def workdir(path: str) -> Instruction:
    return Instruction(f"WORKDIR {_path(path)}")


def arg(pairs: Pairs) -> Instruction:
    """Build arguments with their defaults; each is an environment variable of RUN steps only."""
    return Instruction("ARG " + " \\\n    ".join(_assignment(*pair) for pair in pairs))


def env(pairs: Pairs) -> Instruction:
    """Environment variables of the image."""
    return Instruction("ENV " + " \\\n    ".join(_assignment(*pair) for pair in pairs))


def run(*commands: Command, mounts: Iterable[Mount] = ()) -> Instruction:
    """Commands, each run if the one before it succeeded."""
    return _step(mounts, " \\\n && ".join(commands))


def script(text: str, program: str = "", mounts: Iterable[Mount] = ()) -> Instruction:
    """A heredoc: lines that `program`, or else a shell, reads as they are."""
    # hadolint does not see the end of a heredoc without an empty line after it
    return _step(mounts, f"{program} <<'{_END}'\n{text}\n{_END}\n".lstrip())


def exec_form(keyword: str, words: Iterable[str]) -> Instruction:
    """What runs without a shell: a RUN step, the CMD, the ENTRYPOINT."""
    return Instruction(f"{keyword} {json_array(words)}")


def _step(mounts: Iterable[Mount], text: str) -> Instruction:
    return Instruction("RUN " + " \\\n    ".join((*mounts, text)))


def copy(source: str, target: str, stage: str | None = None) -> Instruction:
    """`COPY --link`: a layer of its own, whatever the layers below it are.

    A JSON array where there are blanks; a source is a pattern of Go's filepath.Match.
    """
    if re.search(r"[\\*?\[]", source):
        raise UsageError(f"a Dockerfile cannot copy the directory {source!r}")
    words = (_path(source), _path(target))
    paths = " ".join(words) if all(map(_PLAIN.fullmatch, words)) else json_array(words)
    return Instruction(f"COPY --link {f'--from={stage} ' if stage else ''}{paths}")


def plain(keyword: str, value: str | int) -> Instruction:
    """One value without anything to escape, as of USER, EXPOSE and STOPSIGNAL."""
    return Instruction(f"{keyword} {_matching(_VALUE, str(value), keyword)}")


def healthcheck(words: Iterable[str]) -> Instruction:
    """A probe in the exec form."""
    return exec_form(f"HEALTHCHECK {_PROBED} \\\n    CMD", words)


def command(*words: str, environ: Pairs = (), secrets: tuple[str, ...] = ()) -> Command:
    """One command of a RUN step, on as few lines as fit the width of a page.

    `environ` is set only for it; `secrets` are the names of variables whose values are in files of
    that name below /run/secrets.
    """
    texts = [
        *(f'{name}="$(cat /run/secrets/{name})"' for name in secrets),
        *(f"{name}={_quoted(value)}" for name, value in environ),
        *map(_quoted, words),
    ]
    lines = [texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + len(text) + 7 > _COLUMNS:
            lines.append(text)
        else:
            lines[-1] += f" {text}"
    return Command(" \\\n      ".join(lines))


def mount(fields: Mapping[str, str | None]) -> Mount:
    """A `--mount` of RUN: its fields in order; a value of None is a flag such as `rw`.

    Values are shell words in fields of CSV in a flag that is unquoted, in turn.
    """
    texts = [k if v is None else f"{k}={_word(v, 'a mounted path')}" for k, v in fields.items()]
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(texts)
    return Mount("--mount=" + re.sub(r"([\\ '\"])", r"\\\1", row.getvalue()))


def json_array(words: Iterable[str]) -> str:
    """The exec form: a JSON array on one line; nothing in it is expanded."""
    words = tuple(words)
    for word in words:
        if "\0" in word:
            raise UsageError("a command with a NUL character cannot be started", cause=repr(word))
    as_is = all(word.isprintable() for word in words)
    return json.dumps(words, ensure_ascii=not as_is)


def _assignment(name: str, value: str) -> str:
    """`NAME=value` for ENV and ARG, quoted where a Dockerfile would expand or split it."""
    _matching(_NAME, name, "variable")
    if re.fullmatch(r"[A-Za-z0-9_./:,@%+=-]*", value):
        return f"{name}={value}"
    escaped = re.sub(r'([\\"$])', r"\\\1", _one_line_or_error(value, f"the value of {name}"))
    return f'{name}="{escaped}"'


def _path(path: str) -> str:
    """A path as a shell word that may contain blanks, except at its ends."""
    if path != path.strip() or path.endswith("\\"):
        raise UsageError(f"a Dockerfile cannot name the directory {path!r}")
    return _word(path, "a path")


def can_be_mounted(path: str) -> bool:
    """Whether BuildKit finds a file of the build context by this name.

    It reads the bytes of a flag as Latin-1 letters, and the source of a mount as a pattern.
    """
    return path.isascii() and path.isprintable() and not re.search(r"[\\*?\[\]]|^!", path)


def _word(value: str, what: str) -> str:
    return re.sub(r"([\\$'\"`])", r"\\\1", _one_line_or_error(value, what))


def _quoted(word: str) -> str:
    return shlex.quote(_one_line_or_error(word, "a word of a RUN step"))


def _one_line_or_error(text: str, what: str) -> str:
    if re.search(r"[\0-\x08\x0a-\x1f\x7f]", text):
        raise UsageError(
            f"{what} has a control character, which a Dockerfile cannot express: {text!r}"
        )
    return text


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise UsageError(f"{text!r} is not a valid {what} name in a Dockerfile")
    return text
