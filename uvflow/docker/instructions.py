"""Values for the text of a Dockerfile, escaped.

The rules are those of the Dockerfile reference ("Environment replacement", "Parser directives",
"Shell and exec form") and of BuildKit's parser, which splits flags byte by byte.
"""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterable, Mapping

from uvflow.errors import UsageError

Mount = Mapping[str, str | None]

_COLUMNS = 100


def comment(text: str) -> str:
    """Text for a reader, which stays in its line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def image(name: str) -> str:
    """An image, or a stage."""
    return _matching(r"[a-z0-9][a-zA-Z0-9_./:@-]*", name, "image")


def stage(name: str) -> str:
    return _matching(r"[a-z][a-z0-9_.-]*", name, "stage")


def assignments(values: Mapping[str, str]) -> str:
    """`NAME=value` for ENV, ARG and LABEL, quoted where a Dockerfile would expand or split it."""
    return " \\\n    ".join(_assignment(*pair) for pair in values.items())


def _assignment(name: str, value: str) -> str:
    _matching(r"[A-Za-z_][A-Za-z0-9_.]*", name, "variable")
    if re.fullmatch(r"[A-Za-z0-9_./:,@%+=-]*", value):
        return f"{name}={value}"
    escaped = re.sub(r'([\\"$])', r"\\\1", _one_line_or_error(value, f"the value of {name}"))
    return f'{name}="{escaped}"'


def command(
    *words: str, environ: Mapping[str, str] | None = None, secrets: Iterable[str] = ()
) -> str:
    """One command of a RUN step, on as few lines as fit the width of a page.

    `environ` is set only for it, and so are `secrets`, whose values are files in /run/secrets.
    """
    texts = [
        *(f'{name}="$(cat /run/secrets/{name})"' for name in secrets),
        *(f"{name}={_quoted(value)}" for name, value in (environ or {}).items()),
        *map(_quoted, words),
    ]
    lines = [texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + len(text) + 7 > _COLUMNS:
            lines.append(text)
        else:
            lines[-1] += f" {text}"
    return " \\\n      ".join(lines)


def mounts(*mounts: Mount) -> str:
    """The `--mount` flags of a RUN, each on a line: fields in order, None for one such as `rw`.

    Values are shell words in fields of CSV in a flag that is unquoted, in turn.
    """
    flags = []
    for fields in mounts:
        row = io.StringIO()
        words = (k if v is None else f"{k}={_word(v, 'a mounted path')}" for k, v in fields.items())
        csv.writer(row, lineterminator="").writerow(words)
        flags.append("--mount=" + re.sub(r"([\\ '\"])", r"\\\1", row.getvalue()))
    return "".join(f"{flag} \\\n    " for flag in flags)


def json_array(words: Iterable[str]) -> str:
    """The exec form: a JSON array on one line; nothing in it is expanded."""
    words = tuple(words)
    for word in words:
        if "\0" in word:
            raise UsageError("a command with a NUL character cannot be started", cause=repr(word))
    return json.dumps(words, ensure_ascii=not all(map(str.isprintable, words)))


def paths(source: str, target: str) -> str:
    """Those of a COPY; the source is a pattern of Go's filepath.Match."""
    if re.search(r"[\\*?\[]", source):
        raise UsageError(f"a Dockerfile cannot copy the directory {source!r}")
    both = workdir(source), workdir(target)
    is_plain = all(re.fullmatch(r"[A-Za-z0-9_./@+=-]+", path) for path in both)
    return " ".join(both) if is_plain else json_array(both)


def workdir(path: str) -> str:
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


def _matching(pattern: str, text: str, what: str) -> str:
    if not re.fullmatch(pattern, text):
        raise UsageError(f"{text!r} is not a valid {what} name in a Dockerfile")
    return text
