"""What a shell makes of a text: commands, and what wrappers and entry scripts start. Pure."""

import functools
import itertools
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

Words = tuple[str, ...]

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")  # before a command, for it alone
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_SEPARATORS = "();|&\n"
_KEYWORDS = {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "sudo"}
_ENDS = {"fi", "done", "esac", "}", "exit"}
_SHELL = re.compile(r"(?:.*/)?(?:ash|bash|dash|sh|su|zsh)")
_LOGIN = re.compile(r"-\w*l\w*|--login|-")
PATH_OF_PROFILE = "/usr/local/bin:/usr/bin:/bin"  # Debian's /etc/profile sets it
_PYTHON = re.compile(r"(?:.*/)?python[\d.]*")
_FLAGS = re.compile("-[BEIOPSdqsuv]+")  # of Python, without a value

# Programs that start another one → how many words come before that one, besides options.
_WRAPPERS = {
    **dict.fromkeys(("catatonit", "ddtrace-run", "dumb-init", "env", "exec", "nice", "nohup"), 0),
    **dict.fromkeys(("opentelemetry-instrument", "setpriv", "tini"), 0),
    **dict.fromkeys(("dotenv", "gosu", "newrelic-admin", "pdm", "poetry", "su-exec", "timeout"), 1),
}
_LONGEST = 1 << 15  # characters: more would take seconds
_DEPTH = 9  # of wrappers and scripts in each other
_MOST_WORDS = 100  # of scripts that pass their arguments on, twice
# Options of `uv run` that have a value, by how they end; no other does but a few of one letter.
OPTION_WITH_VALUE = (
    r"(?:--(?!no-(?:env-file|index|project|managed)|managed)[\w-]*"
    r"(?:package|extra|group|file|with|editable|requirements|platform|index|url|links|strategy|"
    r"provider|resolution|prerelease|newer|mode|setting|dir|python|color|host|directory|project)"
    r"|-[CPfipw])"
)
_OF_WRAPPERS = {"nice": "-n", "opentelemetry-instrument": r"--(?!version)\w+"}
_OF_WRAPPERS |= dict.fromkeys(("pdm", "poetry", "uv"), OPTION_WITH_VALUE)


def is_python(words: Words) -> bool:
    return bool(words) and _PYTHON.fullmatch(words[0]) is not None


def program(words: Words) -> str:
    """What runs, without its directory; the module of `python -m`."""
    rest = [*itertools.dropwhile(_FLAGS.fullmatch, words[1:] if is_python(words) else ())]
    if rest[:1] == ["-m"]:
        return "".join(rest[1:2]).removesuffix(".app.wsgiapp")  # that of gunicorn
    return PurePosixPath("".join(words[:1])).name


def is_interpreter(word: str) -> bool:
    return bool(_SHELL.fullmatch(word) or _PYTHON.fullmatch(word))


@functools.lru_cache(maxsize=1000)  # each check asks
def command_lists(text: str) -> tuple[Words, ...]:
    """The words of every simple command, also of those in conditions and substitutions."""
    text = _COMMENT.sub("", text[:_LONGEST].replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_SEPARATORS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        tokens = list(lexer)
    except ValueError:  # a quote that is not closed, as in the body of a heredoc
        tokens = re.findall(r"[;|&\n]+|[^\s;|&]+", text)
    groups = itertools.groupby(tokens, lambda token: token.strip(_SEPARATORS) != "")
    commands = (itertools.dropwhile(_KEYWORDS.__contains__, ws) for is_one, ws in groups if is_one)
    return tuple(filter(None, map(tuple, commands)))


def without_assignments(words: Words) -> tuple[dict[str, str], Words]:
    """The variables that are set before a command, and the command."""
    assigned = [*itertools.takewhile(_ASSIGNMENT.match, words)]
    pairs = (word.partition("=") for word in assigned)
    return {name: value for name, _, value in pairs}, words[len(assigned) :]


def started(
    words: Words, script: Callable[[str], str], environ: Mapping[str, str], depth: int = _DEPTH
) -> Iterator[tuple[Mapping[str, str], Words]]:
    """`words` and every command that they start, each with its variables.

    `script` returns the text of a shell script by the name of the program. As in a shell, SHLVL is
    set for what a shell waits for, and PATH for what a login shell starts.
    """
    given, words = without_assignments(words)
    environ = {**environ, **given}
    if not words or not depth or words[0] in _ENDS:
        return
    yield environ, words
    text, arguments = script_in(words, script)
    if _SHELL.fullmatch(words[0]) and any(map(_LOGIN.fullmatch, _options(words))):
        environ = {**environ, "PATH": PATH_OF_PROFILE}
    for inner in command_lists(text):
        passed = (arguments if "$@" in word or word == "$*" else (word,) for word in inner)
        whole = tuple(itertools.islice(itertools.chain(*passed), _MOST_WORDS))
        yield from started(whole, script, {**environ, "SHLVL": "1"}, depth - 1)
    inner = inside(words)
    if words[:2] == ("uv", "run"):
        environ["UV_RUN_RECURSION_DEPTH"] = "1"  # as uv does: PATH has the environment
        inner = ("python", *inner) if inner and inner[0].endswith(".py") else inner
    yield from started(inner, script, environ, depth - 1)


def script_in(words: Words, script: Callable[[str], str]) -> tuple[str, Words]:
    """The shell text that `words` run, and its arguments."""
    if words[0] in {".", "source"}:
        return script(posixpath.join(".", *words[1:2])), words[2:]
    if not _SHELL.fullmatch(words[0]):
        return script(words[0]), words[1:]
    for number, word in enumerate(words[1:], 2):
        if re.fullmatch(r"-\w*c", word):
            return "".join(words[number : number + 1]), words[number + 2 :]
        is_value = re.fullmatch(r"-\w*o", words[number - 2])  # `-o pipefail`
        if not (word.startswith("-") or is_value) and PurePosixPath(words[0]).name != "su":
            return script(word if "/" in word else f"./{word}"), words[number:]
    return "", ()


def _options(words: Words) -> Words:
    return tuple(itertools.takewhile(lambda word: word.startswith("-"), words[1:]))


def inside(words: Words) -> Words:
    """The command that a wrapper starts; empty for any other program."""
    name = PurePosixPath(words[0]).name
    count = 1 if words[:2] == ("uv", "run") else _WRAPPERS.get(name)
    with_value = re.compile(_OF_WRAPPERS.get(name, "-u"))
    rest = words[1:] if count is not None else ()
    while rest and (count or rest[0].startswith("-")):
        if rest[0] == "--":
            return rest[1:]
        if not rest[0].startswith("-"):
            count = (count or 0) - 1
        rest = rest[2 if with_value.fullmatch(rest[0]) else 1 :]
    return rest
