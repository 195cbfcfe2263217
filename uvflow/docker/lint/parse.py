"""The instructions of a Dockerfile, and the state that each finds. Pure.

The format is that of the Dockerfile reference.
"""

import itertools
import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

# A directive, before anything else, by which a backtick continues a line.
_ESCAPE = re.compile(r"(?:#[ \t]*\w+[ \t]*=.*\n)*?#[ \t]*(?i:escape)[ \t]*=[ \t]*`")
# A heredoc begins with a whole word, in the instructions for which BuildKit's parser allows one.
_WITH_HEREDOCS = ("ADD", "COPY", "ONBUILD", "RUN")
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+""")
_HEREDOC = re.compile(r"\d*<<(?P<dash>-?)(?P<quote>['\"]?)(?P<end>[^<'\"]+)(?P=quote)")
_FLAG = re.compile(r"--(?P<name>[a-z-]+)(?:=(?P<value>(?:\\.|\"[^\"]*\"|'[^']*'|\S)*))?\s*")
_LONGEST_VALUE = 10_000  # characters: a variable may hold another one twice, and so on
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>\w+)(?::?(?P<operator>[-+])(?P<word>[^}]{0,500}))?\}|(?P<plain>\w+))"
)


@dataclass(frozen=True, kw_only=True)
class StepState:
    """The state of the image before an instruction.

    `files` are those from the build context: the path in the image → in the context.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        """Whether commands run as root, as far as instructions say."""
        return self.user in {"", "0", "root"}

    def path(self, text: str) -> str:
        """Absolute, as the image has it."""
        return posixpath.normpath(posixpath.join(self.workdir, expanded(text, self.environ)))


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """One instruction: its keyword in capitals, its first line, from 1, and the state before it.

    `text` is what follows the keyword and its flags (and the CMD of a HEALTHCHECK), with lines
    joined by a space, and the text of heredocs.
    """

    keyword: str
    line: int
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    state: StepState = field(default_factory=StepState, compare=False)

    def flag(self, name: str) -> str | None:
        return dict(self.flags).get(name)

    @cached_property
    def exec_form(self) -> tuple[str, ...] | None:
        """The words of a JSON array; None in the shell form."""
        try:
            words = json.loads(self.text)
        except (ValueError, RecursionError):  # not JSON, or nested too deep
            return None
        is_array = isinstance(words, list) and all(isinstance(word, str) for word in words)
        return tuple(words) if is_array else None

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of either form; the shell form is split as a shell would, without heredocs."""
        words = self.exec_form
        return split(self.text.partition("\n")[0]) if words is None else words

    @property
    def is_copy(self) -> bool:
        return self.keyword in {"COPY", "ADD"} and self.words != ()

    @property
    def copies_context(self) -> bool:
        return "" in self.copied

    @cached_property
    def copied(self) -> tuple[str, ...]:
        """What a COPY or ADD takes from the build context, as far as that is written out."""
        words = self.words[:-1] if self.is_copy and not self.flag("from") else ()
        return tuple(relative(word) for word in words if not re.search(r"[$*?<:\[]", word))

    @cached_property
    def bound(self) -> tuple[str, ...]:
        """What is mounted from the build context, in the same way."""
        binds = [m for m in self.mounts if m.get("type", "bind") == "bind" and "from" not in m]
        sources = (mount.get("source", "") for mount in binds)
        return tuple(relative(source) for source in sources if "$" not in source)

    @cached_property
    def assignments(self) -> tuple[tuple[str, str], ...]:
        """The pairs of ENV and ARG, also in ENV's older form of one name and one value."""
        words = split(self.text)
        if self.keyword == "ENV" and words and "=" not in words[0]:
            return ((words[0], " ".join(words[1:])),)
        return tuple((name, value) for name, _, value in (word.partition("=") for word in words))

    @cached_property
    def mounts(self) -> tuple[dict[str, str], ...]:
        fields = (v.split(",") for name, v in self.flags if name == "mount")
        pairs = ([field.partition("=") for field in each] for each in fields)
        names = {"src": "source", "dst": "target", "destination": "target"}
        known = self.state.environ
        return tuple({names.get(n, n): expanded(value, known) for n, _, value in p} for p in pairs)


def parse_instructions(text: str) -> Iterator[Parsed]:
    """Those of all stages, each with an empty state before it."""
    lines = iter(enumerate(text.split("\n"), 1))
    continues = re.compile(r"`[ \t]*$" if _ESCAPE.match(text) else r"\\[ \t]*$")
    for number, line in lines:
        if _is_passed_over(line):
            continue
        whole = [line]
        while continues.search(whole[-1]):
            whole[-1] = continues.sub("", whole[-1])
            whole.append(next((line for _, line in lines if not _is_passed_over(line)), ""))
        joined = " ".join(part.strip() for part in whole).strip()
        keyword, *others = joined.split(maxsplit=1) or ("",)  # a line may only continue
        keyword, rest, flags = keyword.upper(), "".join(others), []
        words = _WORD.findall(joined) if keyword in _WITH_HEREDOCS else ()
        heredocs = filter(None, map(_HEREDOC.fullmatch, words))
        while keyword != "CMD" and (match := _FLAG.match(rest)):
            flags.append((match["name"], "".join(split(match["value"] or ""))))  # without quotes
            rest = rest[match.end() :]
        if keyword == "HEALTHCHECK":
            rest = re.sub(r"^(?i:CMD\s+|NONE$)", "", rest)
        text = "\n".join([rest.strip(), *(_heredoc_body(lines, here) for here in heredocs)])
        yield Parsed(keyword=keyword, line=number, text=text, flags=tuple(flags))


def _is_passed_over(line: str) -> bool:
    """Comments and empty lines, also those inside an instruction."""
    return not line.strip() or line.lstrip().startswith("#")


def _heredoc_body(lines: Iterator[tuple[int, str]], heredoc: re.Match[str]) -> str:
    indent = "\t" if heredoc["dash"] else ""
    rest = (line for _, line in lines)
    return "\n".join(itertools.takewhile(lambda x: x.lstrip(indent) != heredoc["end"], rest))


def relative(path: str) -> str:
    """To the build context or to the root of an image, which are empty."""
    return posixpath.normpath(f"/{path}").strip("/")


def split(text: str) -> tuple[str, ...]:
    """Words as a POSIX shell splits them, or at blanks where it could not."""
    try:
        return tuple(shlex.split(text, comments=False))
    except ValueError:
        return tuple(text.split())


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """`text` with every variable replaced that is known or has a default there (`${V:-x}`)."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match["braced"] or match["plain"])
        if match["operator"] == "+":
            return match["word"] if known else ""
        if match["operator"]:
            return known or match["word"]
        return match[0] if known is None else known

    return _VARIABLE.sub(value, text)[:_LONGEST_VALUE]
