"""The instructions of a Dockerfile as values, and the one place that writes them as text.

The rules of escaping are those of the Dockerfile reference ("Environment replacement", "Parser
directives", "Shell and exec form") and of BuildKit's parser, which splits the flags of an
instruction byte by byte. A test reads back what is written here.
"""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from uvflow.errors import UsageError

Pairs = tuple[tuple[str, str], ...]

_COLUMNS = 100
_END = "END"  # of a script
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STAGE = re.compile(r"[a-z][a-z0-9_.-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./@+=-]+")
_IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9_./:@-]*")


@dataclass(frozen=True, kw_only=True)
class Comment:
    """Lines of text for a reader."""

    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class From:
    """Begins the stage `name` on an image or on another stage."""

    image: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Workdir:
    path: str


@dataclass(frozen=True, kw_only=True)
class Arg:
    """Build arguments with their defaults; each is an environment variable of RUN steps only."""

    pairs: Pairs


@dataclass(frozen=True, kw_only=True)
class Env:
    """Environment variables of the image."""

    pairs: Pairs


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a RUN step.

    `environ` is set only for it; `secrets` are the names of variables whose values are in files of
    that name below /run/secrets.
    """

    words: tuple[str, ...]
    environ: Pairs = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A `--mount` of RUN: its fields in order; a value of None is a flag such as `rw`."""

    fields: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Commands, each run if the one before it succeeded."""

    commands: tuple[Command, ...]
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Script:
    """A heredoc: lines that `program`, or else a shell, reads as they are."""

    text: str
    program: str = ""
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Copy:
    """`COPY --link`: a layer of its own, whatever the layers below it are."""

    source: str
    target: str
    stage: str | None = None


@dataclass(frozen=True, kw_only=True)
class User:
    """A numeric user, whose group has the same number."""

    uid: int


@dataclass(frozen=True, kw_only=True)
class Expose:
    port: int


@dataclass(frozen=True, kw_only=True)
class StopSignal:
    name: str


@dataclass(frozen=True, kw_only=True)
class Healthcheck:
    """A probe in the exec form; `options` are in seconds."""

    words: tuple[str, ...]
    options: tuple[tuple[str, int], ...] = field(
        default=(("interval", 30), ("timeout", 5), ("start-period", 10))
    )


@dataclass(frozen=True, kw_only=True)
class Cmd:
    words: tuple[str, ...]


Instruction = (
    Comment
    | From
    | Workdir
    | Arg
    | Env
    | Run
    | Script
    | Copy
    | User
    | Expose
    | StopSignal
    | Healthcheck
    | Cmd
)
Instructions = tuple[Instruction, ...]


def comment(*lines: str) -> Comment:
    return Comment(lines=lines)


def serialise(instructions: Iterable[Instruction]) -> str:
    """The text of a Dockerfile; raises UsageError for what no Dockerfile can express."""
    return "".join(f"{_text(instruction)}\n" for instruction in instructions)


def _text(instruction: Instruction) -> str:  # noqa: C901, PLR0912  a table
    match instruction:
        case Comment(lines=lines):
            return "\n".join(f"# {_printable(line)}".rstrip() for line in lines)
        case From(image=image, name=name):
            return f"FROM {_matching(_IMAGE, image, 'image')} AS {_matching(_STAGE, name, 'stage')}"
        case Workdir(path=path):
            return f"WORKDIR {_path(path)}"
        case Arg(pairs=pairs):
            return _folded("ARG", (_assignment(*pair) for pair in pairs))
        case Env(pairs=pairs):
            return _folded("ENV", (_assignment(*pair) for pair in pairs))
        case Run(commands=commands, mounts=mounts):
            return _step(mounts, " \\\n && ".join(map(_shell, commands)))
        case Script(text=text, program=program, mounts=mounts):
            # hadolint does not see the end of a heredoc without an empty line after it
            return _step(mounts, f"{program} <<'{_END}'\n{text}\n{_END}\n".lstrip())
        case Copy(source=source, target=target, stage=stage):
            where = f"--from={stage} " if stage else ""
            return f"COPY --link {where}{_copied_paths(source, target)}"
        case User(uid=uid):
            return f"USER {uid}:{uid}"
        case Expose(port=port):
            return f"EXPOSE {port}"
        case StopSignal(name=name):
            return f"STOPSIGNAL {name}"
        case Healthcheck(words=words, options=options):
            flags = " ".join(f"--{name}={seconds}s" for name, seconds in options)
            return f"HEALTHCHECK {flags} \\\n    CMD {json_array(words)}"
        case Cmd(words=words):
            return f"CMD {json_array(words)}"


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


def _copied_paths(source: str, target: str) -> str:
    """A JSON array where there are blanks; a source is a pattern of Go's filepath.Match."""
    if re.search(r"[\\*?\[]", source):
        raise UsageError(f"a Dockerfile cannot copy the directory {source!r}")
    words = (_path(source), _path(target))
    return " ".join(words) if all(map(_PLAIN.fullmatch, words)) else json_array(words)


def _folded(keyword: str, words: Iterable[str]) -> str:
    return f" \\\n{' ' * (len(keyword) + 1)}".join(
        [f"{keyword} {next(words := iter(words))}", *words]
    )


def _step(mounts: tuple[Mount, ...], text: str) -> str:
    return "RUN " + " \\\n    ".join([*map(_mount_flag, mounts), text])


def _mount_flag(mount: Mount) -> str:
    """`--mount=…`: values are shell words in fields of CSV in a flag that is unquoted, in turn."""
    fields = (
        _csv(k if v is None else f"{k}={_word(v, 'a mounted path')}") for k, v in mount.fields
    )
    return "--mount=" + re.sub(r"([\\ '\"])", r"\\\1", ",".join(fields))


def can_be_mounted(path: str) -> bool:
    """Whether BuildKit finds a file of the build context by this name.

    It reads the bytes of a flag as Latin-1 letters, and the source of a mount as a pattern.
    """
    return path.isascii() and path.isprintable() and not re.search(r"[\\*?\[\]]|^!", path)


def _word(value: str, what: str) -> str:
    return re.sub(r"([\\$'\"`])", r"\\\1", _one_line_or_error(value, what))


def _csv(text: str) -> str:
    if "," not in text and '"' not in text:
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def _shell(command: Command) -> str:
    """A POSIX shell command, on as few lines as fit the width of a page."""
    words = [
        *(f'{name}="$(cat /run/secrets/{name})"' for name in command.secrets),
        *(f"{name}={_quoted(value)}" for name, value in command.environ),
        *(_quoted(word) for word in command.words),
    ]
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 7 > _COLUMNS:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return " \\\n      ".join(lines)


def _quoted(word: str) -> str:
    return shlex.quote(_one_line_or_error(word, "a word of a RUN step"))


def _one_line_or_error(text: str, what: str) -> str:
    if re.search(r"[\0-\x08\x0a-\x1f\x7f]", text):
        raise UsageError(
            f"{what} has a control character, which a Dockerfile cannot express: {text!r}"
        )
    return text


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise UsageError(f"{text!r} is not a valid {what} name in a Dockerfile")
    return text
