"""A Dockerfile as instructions and stages. Pure.

The format is that of the Dockerfile reference; what BuildKit would reject is read as far as it
makes sense.
"""

import itertools
import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_CONTINUES = re.compile(r"\\[ \t]*$")  # the escape directive of Windows' images is not read
# A heredoc begins with a whole word, in the instructions for which BuildKit's parser allows one.
_WITH_HEREDOCS = ("ADD", "COPY", "ONBUILD", "RUN")
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+""")
_HEREDOC = re.compile(r"\d*<<(?P<dash>-?)(?P<quote>['\"]?)(?P<end>[^<'\"]+)(?P=quote)")
_FLAG = re.compile(r"--(?P<name>[a-z-]+)(?:=(?P<value>(?:\\.|\"[^\"]*\"|'[^']*'|\S)*))?\s*")
_LONGEST_VALUE = 10_000  # characters: a variable may hold another one twice, and so on
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>\w+)(?::?(?P<operator>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))"
)


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """One instruction: its keyword in capitals, and its first line, from 1.

    `text` is what follows the keyword and its flags, with lines joined by a space, and the text of
    heredocs.
    """

    keyword: str
    line: int
    text: str
    flags: tuple[tuple[str, str], ...] = ()

    def flag(self, name: str) -> str | None:
        return dict(self.flags).get(name)

    @property
    def exec_form(self) -> tuple[str, ...] | None:
        """The words of a JSON array; None in the shell form."""
        try:
            words = json.loads(self.text)
        except (ValueError, RecursionError):  # not JSON, or nested too deep
            return None
        is_array = isinstance(words, list) and all(isinstance(word, str) for word in words)
        return tuple(words) if is_array else None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of either form; the shell form is split as a shell would, without heredocs."""
        words = self.exec_form
        return split(self.text.partition("\n")[0]) if words is None else words

    @property
    def is_copy(self) -> bool:
        return self.keyword in {"COPY", "ADD"}

    @property
    def copies_context(self) -> bool:
        return self.copied[:1] == ("",)

    @property
    def copied(self) -> tuple[str, ...]:
        """What a COPY or ADD takes from the build context, as far as that is written out."""
        words = self.words[:-1] if self.is_copy and not self.flag("from") else ()
        return tuple(relative(word) for word in words if not re.search(r"[$*?<:\[]", word))

    @property
    def bound(self) -> tuple[str, ...]:
        """What is mounted from the build context, in the same way."""
        binds = [m for m in self.mounts if m.get("type", "bind") == "bind" and "from" not in m]
        sources = (mount.get("source", "") for mount in binds)
        return tuple(relative(source) for source in sources if "$" not in source)

    @property
    def assignments(self) -> tuple[tuple[str, str], ...]:
        """The pairs of ENV and ARG, also in ENV's older form of one name and one value."""
        words = split(self.text)
        if self.keyword == "ENV" and words and "=" not in words[0]:
            return ((words[0], " ".join(words[1:])),)
        return tuple((name, value) for name, _, value in (word.partition("=") for word in words))

    @property
    def mounts(self) -> tuple[dict[str, str], ...]:
        fields = (v.split(",") for name, v in self.flags if name == "mount")
        pairs = ([field.partition("=") for field in each] for each in fields)
        names = {"src": "source", "dst": "target", "destination": "target"}
        return tuple({names.get(name, name): value for name, _, value in each} for each in pairs)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A FROM and what follows it; `image` has the defaults of earlier ARGs filled in.

    A variable without one stays as it is written.
    """

    name: str
    image: str
    line: int
    instructions: tuple[Parsed, ...]


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """The instructions before the first FROM, their ARGs, and the stages."""

    before: tuple[Parsed, ...]
    defaults: Mapping[str, str]
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage | None:
        """By its name, ignoring case, or by its number."""
        by_number = {str(number): stage for number, stage in enumerate(self.stages)}
        by_name = {stage.name.lower(): stage for stage in self.stages if stage.name}
        return by_name.get(name.lower()) or by_number.get(name)

    def source(self, step: Parsed) -> Stage | None:
        return self.stage(step.flag("from") or "") if step.is_copy else None

    def lineage(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that `stage` is built on, the earliest first, and itself."""
        below = self.stage(stage.image)
        earlier = below is not None and self.stages.index(below) < self.stages.index(stage)
        return (*(self.lineage(below) if below and earlier else ()), stage)

    def inside(self, stage: Stage) -> tuple[Parsed, ...]:
        return tuple(i for step in self.lineage(stage) for i in step.instructions)


def parse_dockerfile(text: str) -> Dockerfile:
    steps = tuple(_instructions(text.replace("\r\n", "\n")))
    begins = [number for number, step in enumerate(steps) if step.keyword == "FROM"]
    before = steps[: begins[0] if begins else None]
    defaults: dict[str, str] = {}
    for name, value in (pair for i in before if i.keyword == "ARG" for pair in i.assignments):
        if value:
            defaults[name] = expanded(value, defaults)
    stages = []
    for number, end in itertools.pairwise((*begins, len(steps))):
        begin, rest = steps[number], steps[number + 1 : end]
        image, as_, name = (*begin.text.split()[:3], "", "", "")[:3]  # FROM image AS name
        name, image = name if as_.lower() == "as" else "", expanded(image, defaults)
        stages.append(Stage(name=name, image=image, line=begin.line, instructions=rest))
    return Dockerfile(before=before, defaults=defaults, stages=tuple(stages))


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
    """`text` with variables as far as they are known, or have a default where they stand."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match["braced"] or match["plain"])
        if match["operator"] == "+":
            return match["word"] if known else ""
        if match["operator"]:
            return known or match["word"]
        return match[0] if known is None else known

    return _VARIABLE.sub(value, text)[:_LONGEST_VALUE]


def _instructions(text: str) -> Iterator[Parsed]:
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        if _is_passed_over(line):
            continue
        whole = [line]
        while _CONTINUES.search(whole[-1]):
            whole[-1] = _CONTINUES.sub("", whole[-1])
            whole.append(next((line for _, line in lines if not _is_passed_over(line)), ""))
        joined = " ".join(part.strip() for part in whole)
        keyword, rest = (*joined.split(maxsplit=1), "", "")[:2]
        keyword, flags = keyword.upper(), []
        words = _WORD.findall(joined) if keyword in _WITH_HEREDOCS else ()
        heredocs = filter(None, map(_HEREDOC.fullmatch, words))
        while keyword != "CMD" and (match := _FLAG.match(rest)):
            flags.append((match["name"], "".join(split(match["value"] or ""))))  # without quotes
            rest = rest[match.end() :]
        text = "\n".join([rest.strip(), *(_heredoc_body(lines, here) for here in heredocs)])
        yield Parsed(keyword=keyword, line=number, text=text, flags=tuple(flags))


def _is_passed_over(line: str) -> bool:
    """Comments and empty lines, also those inside an instruction."""
    return not line.strip() or line.lstrip().startswith("#")


def _heredoc_body(lines: Iterator[tuple[int, str]], heredoc: re.Match[str]) -> str:
    stripped = "\t" * (heredoc["dash"] != "")
    rest = (line for _, line in lines)
    return "\n".join(itertools.takewhile(lambda x: x.lstrip(stripped) != heredoc["end"], rest))
