"""A Dockerfile as instructions and stages, and with its project as lint rules see them. Pure.

The format is that of the Dockerfile reference; what BuildKit would reject is read as far as it
makes sense.
"""

import itertools
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from uvflow.docker.lint import shell

# A directive, before anything else, by which a backtick continues a line.
_ESCAPE = re.compile(r"(?:#[ \t]*\w+[ \t]*=.*\n)*?#[ \t]*(?i:escape)[ \t]*=[ \t]*`")
# A heredoc begins with a whole word, in the instructions for which BuildKit's parser allows one.
_WITH_HEREDOCS = ("ADD", "COPY", "ONBUILD", "RUN")
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+""")
_HEREDOC = re.compile(r"\d*<<(?P<dash>-?)(?P<quote>['\"]?)(?P<end>[^<'\"]+)(?P=quote)")
_FLAG = re.compile(r"--(?P<name>[a-z-]+)(?:=(?P<value>(?:\\.|\"[^\"]*\"|'[^']*'|\S)*))?\s*")
_LONGEST_VALUE = 10_000  # characters: a variable may hold another one twice, and so on
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>\w+)(?::?(?P<operator>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))"
)
# Images that are known to have no USER, CMD or application of their own.
_PLAIN = re.compile(
    r"(?:(?:docker\.io|public\.ecr\.aws/docker|mirror\.gcr\.io)/)?(?:library/)?"
    r"(?:python|debian|ubuntu|alpine|buildpack-deps|scratch)(?:[:@].*)?"
    r"|(?:.*/)?(?:astral(?:-sh)?/uv|distroless/[\w-]+|nvidia/cuda|pytorch/pytorch)(?:[:@].*)?"
)
_DEVELOPMENT = re.compile(r"(?i:dev|devel|development|debug|tests?|testing|lint|ci|docs)")
_MOST_FILES = 100_000  # of a stage that copies itself from another, twice
_MOST_COMMANDS = 300  # of scripts that start each other
# Programs after which an image may have any file.
_FETCHES = {"cp", "curl", "git", "ln", "make", "mv", "npm", "pnpm", "tar", "unzip", "wget", "yarn"}


@dataclass(frozen=True, kw_only=True)
class StepState:
    """What an instruction meets.

    `files` are those from the build context: the path in the image → in the context.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def path(self, text: str) -> str:
        """Absolute, as the image has it."""
        return posixpath.normpath(posixpath.join(self.workdir, expanded(text, self.environ)))


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """One instruction: its keyword in capitals, its first line, from 1, and what it meets.

    `text` is what follows the keyword and its flags, with lines joined by a space, and the text of
    heredocs.
    """

    keyword: str
    line: int
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    state: StepState = field(default_factory=StepState, compare=False)

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

    A variable without one stays as it is written. `below` is the stage that it is built on, `end`
    is what it leaves.
    """

    name: str
    image: str
    line: int
    instructions: tuple[Parsed, ...]
    below: "Stage | None" = field(default=None, compare=False)
    end: StepState = field(default_factory=StepState, compare=False)

    @property
    def lineage(self) -> tuple["Stage", ...]:
        """The stages that it is built on, the earliest first, and itself."""
        found = [self]
        while below := found[0].below:  # no recursion: a file may have thousands
            found.insert(0, below)
        return tuple(found)

    @property
    def inside(self) -> tuple[Parsed, ...]:
        return tuple(step for stage in self.lineage for step in stage.instructions)


Violations = Iterator[tuple[str, Parsed | Stage, str]]  # the code, where, and what is wrong


@dataclass(frozen=True, kw_only=True)
class LintContext:
    """What rules know of the project; paths are relative to the build context, POSIX.

    `files` are those that exist, `members` the manifests of local packages, `packages` the
    directories of those that are installed editable, `not_ignored` the patterns that the
    .dockerignore lacks, `installed` what production installs and `locked` all that uv.lock has
    (None: unknown), `scripts` the names of the project's own, `has_dev` whether uv installs a group
    unless it is kept from it. `text` reads a file, `is_ignored` asks the .dockerignore of a path,
    `is_executable` its mode.
    """

    files: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    not_ignored: tuple[str, ...] = ()
    installed: frozenset[str] | None = None
    locked: frozenset[str] | None = None
    scripts: frozenset[str] = frozenset()
    has_dev: bool = True
    text: Callable[[str], str] = field(default=lambda _: "", compare=False)
    is_ignored: Callable[[str], bool] = field(default=lambda _: False, compare=False)
    is_executable: Callable[[str], bool] = field(default=lambda _: True, compare=False)

    def has(self, path: str) -> bool:
        """Whether the build context has that file or directory, or is it (``)."""
        inside = (f for f in self.files if f == path or f.startswith(f"{path}/"))
        return path == "" or any(not self.is_ignored(file) for file in inside)


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """A shell command of a step: what it meets, all variables set for it, and its words."""

    step: Parsed
    state: StepState
    environ: Mapping[str, str]
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def program(self) -> str:
        return shell.program(self.words)

    @property
    def installs(self) -> bool:
        return re.match(r"uv (sync|pip install|pip sync)\b", self.text) is not None

    @property
    def run_syncs(self) -> bool:
        """Whether it is a `uv run` that syncs the environment first."""
        without = ("--no-sync", "--no-project", "--isolated", "--script", "UV_NO_SYNC")
        return self.starts("uv", "run") and not self.has(*without)

    @property
    def environment(self) -> str:
        """The path of the environment that `uv sync` or `venv` makes; empty for others."""
        if self.starts("uv", "sync"):
            return self.state.path(self.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv")
        is_made = self.starts("uv", "venv") or self.program == "venv"
        paths = (word for word in reversed(self.words[2:]) if not word.startswith("-"))
        return self.state.path(next(paths, ".venv")) if is_made else ""

    def starts(self, *words: str) -> bool:
        return self.words[: len(words)] == words

    def has(self, *names: str) -> bool:
        """Whether one of these options is given, or one of these variables is true for uv."""
        given = {word.partition("=")[0] for word in self.words if word.startswith("-")}
        true = {n for n in names if self.environ.get(n, "").lower() in {"1", "true", "yes", "on"}}
        return not given.isdisjoint(names) or bool(true)

    def option(self, *names: str) -> str | None:
        """The value of the last of these options, in one word or two."""
        found = None
        for word, following in itertools.zip_longest(self.words, self.words[1:], fillvalue=""):
            name, equals, value = word.partition("=")
            if name in names:
                found = value if equals else following
        return found


class Dockerfile:
    """The instructions before the first FROM, their ARGs, the stages, the project, and the image.

    That is made by `final`: the last stage, or the last that is not for development. It is built on
    `base`, directly or not; it `is_plain` where nothing comes from an unknown image. `image` is
    every instruction for it, `end` what it is. Its environment may come from `environment_stages`:
    its own, and those it copies from; `building` are all their commands. It `knows_files` where the
    build context is the project's directory, and the base has nothing of it. `started` is what the
    container starts, wrappers and what they start, and what entry scripts run.
    """

    def __init__(self, text: str, context: LintContext) -> None:
        self.context, self.lines = context, text.splitlines()
        steps = tuple(_instructions(text.replace("\r\n", "\n")))
        begins = [number for number, step in enumerate(steps) if step.keyword == "FROM"]
        self.before = steps[: begins[0] if begins else None]
        self.defaults: dict[str, str] = {}
        assigned = (pair for i in self.before if i.keyword == "ARG" for pair in i.assignments)
        for name, value in assigned:
            if value:
                self.defaults[name] = expanded(value, self.defaults)
        self.stages: list[Stage] = []
        for number, end in itertools.pairwise((*begins, len(steps))):
            self.stages.append(self._stage(steps[number], steps[number + 1 : end]))
        self.everything = tuple(step for stage in self.stages for step in stage.instructions)
        if not self.stages:
            return
        named = [stage for stage in self.stages if not _DEVELOPMENT.fullmatch(stage.name)]
        self.final = (named or self.stages)[-1]
        self.image = self.final.inside
        self.base = self.final.lineage[0].image
        # Where there is an ONBUILD, the image that is built on this one has more.
        self.is_plain = _PLAIN.fullmatch(self.base) is not None and not self.last("ONBUILD")
        sources = (*filter(None, map(self.source, self.image)), self.final)
        lineages = (each for stage in sources for each in stage.lineage)
        self.environment_stages = tuple(dict.fromkeys(lineages))
        kept = {n for i in self.image if i.keyword == "ENV" for n, _ in i.assignments}
        environ = {n: value for n, value in self.final.end.environ.items() if n in kept}
        self.end = replace(self.final.end, environ=environ)
        copied = (source for step in self.everything for source in step.copied)
        self.knows_files = self.is_plain and all(map(context.has, copied))
        inside = (step for stage in self.environment_stages for step in stage.instructions)
        self.building = tuple(self.commands(inside))
        self.syncs = [command for command in self.building if command.starts("uv", "sync")]
        self.started = self._started()

    def _stage(self, begin: Parsed, rest: Iterable[Parsed]) -> Stage:
        """The next one, `begin` and what follows it."""
        image, as_, name = (*begin.text.split()[:3], "", "", "")[:3]  # FROM image AS name
        name, image = name if as_.lower() == "as" else "", expanded(image, self.defaults)
        below, inside = self.stage(image), list[Parsed]()
        state = below.end if below else StepState()
        for step in rest:
            inside.append(replace(step, state=state))
            state = self._after(inside[-1])
        steps, line = tuple(inside), begin.line
        return Stage(name=name, image=image, line=line, instructions=steps, below=below, end=state)

    def _after(self, step: Parsed) -> StepState:
        """What `step` leaves, in the stage behind these."""
        state = step.state
        match step.keyword:
            case "ENV" | "ARG":
                known = self.defaults if step.keyword == "ARG" else {}
                given = {
                    name: expanded(value, state.environ) or known.get(name, "")
                    for name, value in step.assignments
                }
                return replace(state, environ={**state.environ, **given})
            case "WORKDIR":
                return replace(state, workdir=state.path(step.text))
            case "USER":
                return replace(state, user=expanded(step.text, state.environ).partition(":")[0])
            case "COPY" | "ADD":
                there = {path: path for path in self.context.files}
                if step.flag("from"):
                    source = self.source(step)
                    files = source.end.files.items() if source else ()
                    there = {path.lstrip("/"): origin for path, origin in files}
                return replace(state, files={**state.files, **_copied(step, there, state)})
        return state

    def stage(self, name: str) -> Stage | None:
        """By its name, ignoring case, or by its number."""
        by_number = {str(number): stage for number, stage in enumerate(self.stages)}
        by_name = {stage.name.lower(): stage for stage in self.stages if stage.name}
        return by_name.get(name.lower()) or by_number.get(name)

    def source(self, step: Parsed) -> Stage | None:
        return self.stage(step.flag("from") or "") if step.is_copy else None

    def _started(self) -> tuple[ShellCommand, ...]:
        entry, cmd = self.last("ENTRYPOINT"), self.last("CMD")
        if entry and entry.exec_form is None:
            cmd = None  # it is not given to a shell
        forms = [form for form in (entry, cmd) if form]
        # The only image of those known to be plain with an entry point of its own.
        by_base = ["python3"] if "distroless/python" in self.base and forms == [cmd] else []
        words = by_base + [
            expanded(word, self.end.environ)
            for form in forms  # the shell form is run by a shell
            for word in (("/bin/sh", "-c", form.text) if form.exec_form is None else form.exec_form)
        ]
        every = shell.started(tuple(words), self._script, self.end.environ)
        return tuple(
            ShellCommand(step=forms[-1], state=self.end, environ=environ, words=words)
            for environ, words in itertools.islice(every, _MOST_COMMANDS)
        )

    def last(self, keyword: str) -> Parsed | None:
        return next((i for i in reversed(self.image) if i.keyword == keyword), None)

    def may_have(self, path: str) -> bool:
        """Whether the image may have that file: a COPY from the context says for certain."""
        origin = self.end.files.get(path)
        is_copied = origin is not None and not self.context.is_ignored(origin)
        return is_copied or not self.knows_files or self._makes(posixpath.basename(path))

    def _makes(self, name: str) -> bool:
        """Whether a step may put a file of that name into the image from somewhere else."""
        steps = [i for stage in self.environment_stages for i in stage.instructions]
        foreign = (i for i in steps if i.is_copy and not self.source(i))
        return (
            any("://" in i.text or (i.flag("from") and "/uv" not in i.text) for i in foreign)
            or any(name in i.text for i in steps if i.keyword == "RUN" or "<<" in i.text)
            or any(command.program in _FETCHES for command in self.building)
        )

    def commands(self, instructions: Iterable[Parsed]) -> Iterator[ShellCommand]:
        """The shell commands of every RUN step, as far as simple splitting finds them."""
        for step in (i for i in instructions if i.keyword == "RUN"):
            lists = [step.exec_form] if step.exec_form else shell.command_lists(step.text)
            for given, words in map(shell.without_assignments, lists):
                environ = {**step.state.environ, **given}
                yield ShellCommand(step=step, state=step.state, environ=environ, words=words)

    def is_without_dev(self, command: ShellCommand) -> bool:
        # in the text: a command that is substituted may choose
        options = ("--no-dev", "--no-default-groups", "--only-group", "--no-group")
        in_text = command.step.keyword == "RUN" and any(o in command.step.text for o in options)
        variables = ("UV_NO_DEV", "UV_NO_DEFAULT_GROUPS", "UV_NO_GROUP")
        return in_text or command.has(*options, *variables) or not self.context.has_dev

    @property
    def runs_as_root(self) -> bool:
        """Unless a program that it starts takes another user."""
        is_root = self.is_plain and "nonroot" not in self.base
        programs = {"gosu", "runuser", "setpriv", "su", "su-exec", "setuidgid"}
        drops = any(c.program in programs or c.has("--uid", "--user") for c in self.started)
        return (self.end.user or "root" * is_root) in {"root", "0"} and not drops

    def origin(self, program: str) -> str | None:
        """The file of the build context that a program is, by its path or by PATH."""
        path = self.end.environ.get("PATH", "").split(":")
        places = [*path, "/usr/local/bin", "/usr/bin", "/bin"] if "/" not in program else [""]
        paths = (self.end.path(posixpath.join(place, program)) for place in places)
        return next((self.end.files[p] for p in paths if p in self.end.files), None)

    def _script(self, program: str) -> str:
        origin = self.origin(program)
        text = self.context.text(origin) if origin else ""
        return text if re.match(r"#!.*sh\b", text) or program.endswith(".sh") else ""


def _copied(step: Parsed, there: Mapping[str, str], state: StepState) -> dict[str, str]:
    """Where the files of `there` get that `step` copies."""
    *sources, target = ("", *(expanded(word, state.environ) for word in step.words))
    place = state.path(target)
    is_directory = target.endswith(("/", ".")) or len(sources) > 2 or place == state.workdir  # noqa: PLR2004
    is_directory = is_directory or any(path.startswith(f"{place}/") for path in state.files)
    copied = {}
    for source in sources[1:]:
        pattern = relative(source)
        depth = len(pattern.split("/")) if pattern else 0
        for path, origin in itertools.islice(there.items(), _MOST_FILES):
            parts = path.split("/")
            if fnmatchcase("/".join(parts[:depth]), pattern):
                rest = parts if step.flag("parents") is not None else parts[depth:]
                name = "/".join(rest) or (parts[-1] if is_directory else "")
                copied[posixpath.normpath(posixpath.join(place, name))] = origin
    return copied


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
    continues = re.compile(r"`[ \t]*$" if _ESCAPE.match(text) else r"\\[ \t]*$")
    for number, line in lines:
        if _is_passed_over(line):
            continue
        whole = [line]
        while continues.search(whole[-1]):
            whole[-1] = continues.sub("", whole[-1])
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
