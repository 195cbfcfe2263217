"""A hand-written Dockerfile, as lint rules see it, and what they know of its project. Pure."""

import difflib
import itertools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath

from uvflow.docker.lint import shell
from uvflow.docker.lint.parse import Parsed, StepState, expanded, parse_instructions, relative
from uvflow.paths import MANIFEST
from uvflow.project.schema import BYTE_ORDER_MARK

_FROM = re.compile(r"^(\S*)(?:\s+(?i:as)\s+(\S+))?")
# Images that are known to have no USER, ENTRYPOINT or application of their own.
_PLAIN = re.compile(
    r"(?:(?:docker\.io|public\.ecr\.aws/docker|mirror\.gcr\.io)/)?(?:library/)?"
    r"(?:python|debian|ubuntu|alpine|buildpack-deps|scratch)(?:[:@].*)?"
    r"|(?:.*/)?(?:astral(?:-sh)?/uv|distroless/(?!python)[\w-]+|nvidia/cuda|pytorch/pytorch)(?:[:@].*)?"
)
# The names of stages and of groups of dependencies.
_DEVELOPMENT = re.compile(r"(?i:dev|devel|development|debug|tests?|testing|lint|typing|ci|docs)")
# How a sync leaves development out.
_WITHOUT_DEV = ("--no-dev", "--no-default-groups", "--only-group", "--no-group")
_MOST_FILES = 100_000  # of a stage that copies itself from another, twice
_ARCHIVE = re.compile(r"\.(?:tar|tgz|tbz2|txz)(?:\.\w+)?(?=[\s\"])")  # which ADD unpacks
# Installs packages, and not only tools.
BY_PIP = re.compile(
    r"uv pip\b|(?:pdm|poetry)\b|(?:\S*python\S* -m )?pip\S* install\b"
    r"(?!(?: -\S+| (?:pip|pipx|poetry|setuptools|uv|wheel)\b(?:[<=>~!]\S*)?)*$)"
)
# How a sync leaves the project out.
NO_PROJECT = (
    *("--no-install-project", "--no-install-workspace", "--no-install-local", "--only-group"),
    *("UV_NO_INSTALL_PROJECT", "UV_NO_INSTALL_WORKSPACE", "UV_NO_INSTALL_LOCAL"),
)
# What starts services by files of their own, and how these name a user.
_SUPERVISORS = {"init", "runsvdir", "s6-svscan", "supervisord"}
_SERVICE = re.compile(r"(?:^|/)run$|\.(?:conf|ini)$")
_DROPS = re.compile(r"\b(?:s6-setuidgid|setuidgid|chpst -u)\b|(?m:^user *= *(?!root\b|0\b)\w)")
_LONGEST_OPTIONS = 500  # characters: many words may name the variable that has them
_MOST_COMMANDS = 300  # of scripts that start each other
# What an image for the checks of a project starts.
_CHECKERS = {"coverage", "mypy", "nox", "pre-commit", "pyright", "pytest", "ruff", "tox"}
_SUBSHELL = re.compile(r"(?:^|[;&|])\s*\(|\bcd [^;&|]*\$")  # which keeps its directory
# Programs after which an image may have any file.
_FETCHES = {"cp", "curl", "git", "ln", "make", "mv", "npm", "pnpm", "tar", "unzip", "wget", "yarn"}


# AWS Lambda's image: CMD names a function, for which its own Python looks in the WORKDIR.
_LAMBDA_IMAGE = re.compile(r"\blambda/python\b")
_LAMBDA = StepState(environ={"LAMBDA_TASK_ROOT": "/var/task"}, workdir="/var/task")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A FROM and what follows it; `image` has the defaults of earlier ARGs filled in.

    A variable without one stays as it is written. `below` is the stage that it is built on, `end`
    is the state after its last instruction.
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


def is_for_development(name: str) -> bool:
    """Whether a stage or a group of dependencies has such a name."""
    return any(map(_DEVELOPMENT.fullmatch, re.split("[-_.]", name)))


Violations = Iterator[tuple[str, Parsed | Stage, str]]  # the code, where, and what is wrong


@dataclass(frozen=True, kw_only=True)
class LintContext:
    """What rules know of the project; paths are relative to the build context, POSIX.

    `files` are those that exist, `packages` the directories of packages that are installed
    editable, `not_ignored` the patterns that the .dockerignore lacks, `locking` the files that
    `--locked` needs, those of the root first, `locked` the distributions in uv.lock (None:
    unknown), `optional` those that only extras, groups or members bring, with the names of these,
    `local` the packages of the build context as modules, `renamed` those that are in a
    directory of another name, `scripts` the project's own, `development` the groups for development
    that uv installs by default. `is_stale` is whether uv.lock is seen to lack what is asked for.
    """

    requires_python: str = ""
    files: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    not_ignored: tuple[str, ...] = ()
    locking: tuple[str, ...] = ()
    locked: frozenset[str] | None = None
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local: frozenset[str] = frozenset()
    renamed: frozenset[str] = frozenset()
    scripts: frozenset[str] = frozenset()
    development: frozenset[str] = frozenset({"dev"})
    text: Callable[[str], str] = field(default=lambda _: "", compare=False)
    is_stale: Callable[[], bool] = field(default=lambda: False, compare=False)
    is_ignored: Callable[[str], bool] = field(default=lambda _: False, compare=False)
    is_executable: Callable[[str], bool] = field(default=lambda _: True, compare=False)

    def has(self, path: str) -> bool:
        """Whether the build context has that file or directory; it is itself the empty path."""
        inside = (f for f in self.files if f == path or f.startswith(f"{path}/"))
        return path == "" or any(not self.is_ignored(file) for file in inside)

    def is_in_sources(self, pattern: str) -> bool:
        """Whether a Python file of the project has what matches, in small letters or capitals."""
        sources = (file for file in self.files if file.endswith(".py"))
        return any(re.search(pattern, self.text(file), re.IGNORECASE) for file in sources)


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """A shell command of a step: the state before it, all variables set for it, and its words."""

    step: Parsed
    state: StepState
    environ: Mapping[str, str]
    words: tuple[str, ...]
    root: str = ""  # of the project or the workspace that uv finds; empty where that is not known

    @cached_property
    def text(self) -> str:
        return " ".join(self.words)

    @cached_property
    def program(self) -> str:
        return shell.program(self.words)

    @cached_property
    def installs(self) -> bool:
        return re.match(r"uv (sync|pip install|pip sync)\b", self.text) is not None

    @property
    def run_syncs(self) -> bool:
        """Whether it is a `uv run` that syncs the environment first."""
        without = ("--no-sync", "--no-project", "--isolated", "--script", "UV_NO_SYNC")
        return self.starts("uv", "run") and not self.has(*without)

    @property
    def is_of_member(self) -> bool:
        """Whether the project that uv finds is a member of a workspace above WORKDIR."""
        return self.root not in {"", self.state.workdir}

    @cached_property
    def environment(self) -> str:
        """The path of the environment that `uv sync` or `venv` makes; empty for others."""
        if self.starts("uv", "sync"):
            active = self.environ.get("VIRTUAL_ENV") if self.has("--active") else ""
            chosen = self.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv"
            return self.state.path(active or posixpath.join(self.root, chosen))
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

    The image is made by `final`: stage `target`, or the last that is not for development.
    `base` is the image below all its stages; it `is_plain` where that is a known one. `image` is
    every instruction of these stages, `end` the state after the last. `environment_stages` are
    those and the stages it copies from; `building` are all their commands. It `knows_files` where
    the build context is the project's directory, and the base has nothing of it. `started` are the
    commands that the container starts, wrappers and entry scripts included, `probes` the first of
    its health check.
    """

    def __init__(self, text: str, context: LintContext, target: int = -1) -> None:
        text = text.removeprefix(BYTE_ORDER_MARK)
        self.context, self.lines = context, text.splitlines()
        text = text.replace("\r\n", "\n")
        steps = tuple(parse_instructions(text))
        begins = [number for number, step in enumerate(steps) if step.keyword == "FROM"]
        self.before = steps[: begins[0] if begins else None]
        self.defaults: dict[str, str] = {}
        for step in (step for step in self.before if step.keyword == "ARG"):
            for name, value in step.assignments:
                if value:
                    self.defaults[name] = expanded(value, self.defaults)
        self.stages: list[Stage] = []
        self._stage_of: dict[str, Stage] = {}
        for begin, end in itertools.pairwise((*begins, len(steps))):
            stage = self._stage(steps[begin], steps[begin + 1 : end])
            self._stage_of |= {str(len(self.stages)): stage, stage.name.lower(): stage}
            self.stages.append(stage)
        self.everything = tuple(step for stage in self.stages for step in stage.instructions)
        runs = (step for step in self.everything if step.keyword == "RUN")
        self._commands_of = {step.line: [*self._commands(step)] for step in runs}
        if not self.stages:
            return
        named = [stage for stage in self.stages if not is_for_development(stage.name)]
        last = (named or self.stages)[-1]
        is_below, starts = any(s.below is last for s in self.stages), {"CMD", "ENTRYPOINT"}
        if is_below and starts.isdisjoint(step.keyword for step in last.inside):
            last = self.stages[-1]  # it is no image
        self.final = self.stages[target] if target >= 0 else last
        self.image = self.final.inside
        self.base = self.final.lineage[0].image
        # Where there is an ONBUILD, the image that is built on this one has more.
        self.is_plain = _PLAIN.fullmatch(self.base) is not None and not self.last("ONBUILD")
        self.environment_stages = self._sources(self.final)
        variables = (step.assignments for step in self.steps("ENV"))
        kept = {name for pairs in variables for name, _ in pairs}
        environ = {name: v for name, v in self.final.end.environ.items() if name in kept}
        self.end = replace(self.final.end, environ=environ)
        copied = (source for step in self.everything for source in step.copied)
        self.knows_files = self.is_plain and all(map(context.has, copied))
        inside = (step for stage in self.environment_stages for step in stage.instructions)
        self.building = tuple(self.commands(inside))
        self.syncs = [command for command in self.building if command.starts("uv", "sync")]
        entry, cmd = self.last("ENTRYPOINT"), self.last("CMD")
        if entry and entry.exec_form is None:
            cmd = None  # it is not given to a shell
        self.started = self._started(entry, cmd)
        self.probes = self._started(self.last("HEALTHCHECK"))[:2]  # the rest may be alternatives

    def _stage(self, begin: Parsed, rest: Iterable[Parsed]) -> Stage:
        """The next stage, of its FROM and what follows that."""
        image, name = _FROM.findall(begin.text)[0]
        image, steps = expanded(image, self.defaults), list[Parsed]()
        below = self.stage(image)
        end = below.end if below else _LAMBDA if _LAMBDA_IMAGE.search(image) else StepState()
        for step in rest:
            steps.append(replace(step, state=end))
            end = self._after(steps[-1])
        inside, line = tuple(steps), begin.line
        return Stage(name=name, image=image, line=line, instructions=inside, below=below, end=end)

    def _after(self, step: Parsed) -> StepState:
        """The state after `step`, of the stage that follows `self.stages`."""
        state = step.state
        match step.keyword:
            case "ENV" | "ARG":
                known = self.defaults if step.keyword == "ARG" else {}
                environ = dict(state.environ)
                for name, value in step.assignments:
                    environ[name] = expanded(value, state.environ) or known.get(name, "")
                return replace(state, environ=environ)
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
        return self._stage_of.get(name.lower()) if name else None

    def source(self, step: Parsed) -> Stage | None:
        """The stage that a COPY takes from, or the one that a misspelt name means."""
        name = (step.flag("from") or "") if step.is_copy else ""
        if (stage := self.stage(name)) or not re.fullmatch(r"[\w-]{4,50}", name):
            return stage
        names = [stage.name for stage in self.stages[:20]]  # each is compared
        return self.stage("".join(difflib.get_close_matches(name, names, n=1, cutoff=0.8)))

    def _sources(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that `stage` copies from or is built on, and itself, in their order."""
        found, waiting = set[int](), [stage]
        while waiting:
            for each in waiting.pop().lineage:
                if each.line not in found:
                    found.add(each.line)
                    waiting += filter(None, map(self.source, each.instructions))
        return tuple(each for each in self.stages if each.line in found)

    @property
    def leaves(self) -> list[Stage]:
        """The stages that make images: `final`, and those that no other is made of."""
        mounted = (self.stage(m.get("from", "")) for step in self.everything for m in step.mounts)
        used = (*map(self.source, self.everything), *mounted, *(s.below for s in self.stages))
        lines = {stage.line for stage in used if stage} - {self.final.line}
        return [stage for stage in self.stages if stage.line not in lines]

    @property
    def histories(self) -> set[int]:
        """The lines of what is in the history of an image: not of stages that are copied from."""
        return {step.line for stage in self.leaves for step in stage.inside}

    def _started(self, *steps: Parsed | None) -> tuple[ShellCommand, ...]:
        forms = [step for step in steps if step and step.text and step.exec_form != ()]
        words = list[str]()
        shell_form = self.last("SHELL")
        before = (shell_form.exec_form if shell_form else None) or ("/bin/sh", "-c")
        for form in forms:
            words += (*before, form.text) if form.exec_form is None else form.exec_form
        # Only a shell expands, and what it is given has blanks.
        words = [expanded(word, self.end.environ) if " " in word else word for word in words]
        every = shell.started(tuple(words), self.script, self.end.environ)
        return tuple(
            # A script of ENTRYPOINT comes first, and what it is given is in CMD.
            ShellCommand(step=forms[-1 if n else 0], state=self.end, environ=environ, words=words)
            for n, (environ, words) in enumerate(itertools.islice(every, _MOST_COMMANDS))
        )

    def steps(self, keyword: str) -> list[Parsed]:
        """The instructions of the image with that keyword."""
        return [step for step in self.image if step.keyword == keyword]

    def last(self, keyword: str) -> Parsed | None:
        return next(reversed(self.steps(keyword)), None)

    def may_have(self, path: str) -> bool:
        """Whether the image may have that file: a COPY from the context says for certain."""
        origin = self.end.files.get(path)
        is_copied = origin is not None and not self.context.is_ignored(origin)
        return is_copied or not self.knows_files or self.makes(posixpath.basename(path))

    def makes(self, name: str) -> bool:
        """Whether a step may put a file of that name into the image from somewhere else."""
        stages = [*self.final.lineage]
        for step in self.image:
            stage = self.source(step)
            if stage and not self.copies_environment(step):
                stages += stage.lineage
        steps = [step for stage in dict.fromkeys(stages) for step in stage.instructions]
        for step in steps:
            is_from_image = step.flag("from") is not None and "/uv" not in step.text
            if step.is_copy and not self.source(step) and (is_from_image or "://" in step.text):
                return True
            is_source = step.keyword == "RUN" or step.flag("from") or "<<" in step.text
            if is_source and name in step.text:
                return True
            if step.keyword == "ADD" and _ARCHIVE.search(step.text):
                return True
        return any(command.program in _FETCHES for command in self.commands(steps))

    def copies_environment(self, step: Parsed) -> bool:
        """Whether it takes environments, and nothing else, from another stage."""
        stage = self.source(step)
        made = {command.environment for command in self.commands(stage.inside if stage else ())}
        words = (expanded(word, step.state.environ) for word in step.words[:-1])
        return stage is not None and made.issuperset(f"/{relative(word)}" for word in words)

    @property
    def installs_project(self) -> bool:
        """Whether the environment may have it; which members of a workspace it has is not known."""
        commands, packages = (*self.building, *self.started), self.context.packages
        is_by_pip = any(BY_PIP.match(command.text) for command in commands)
        syncs = [c for c in commands if c.starts("uv", "sync") or c.run_syncs]
        is_left_out = packages == (".",) and syncs and all(sync.has(*NO_PROJECT) for sync in syncs)
        return is_by_pip or bool(packages and not is_left_out)

    @cached_property
    def composed(self) -> str:
        """The compose files, where one has a `command` or an `entrypoint`."""
        files = [file for file in self.context.files if re.search(r"compose.*\.ya?ml$", file)]
        text = "\n".join(map(self.context.text, files))
        return text if re.search(r"^ +(command|entrypoint):", text, re.MULTILINE) else ""

    @property
    def is_lambda(self) -> bool:
        """Whether the runtime of AWS Lambda starts the function that CMD names."""
        return _LAMBDA_IMAGE.search(self.base) is not None and not self.last("ENTRYPOINT")

    @property
    def is_for_checks(self) -> bool:
        """Whether it is for development, as by tests or linters that it starts, and no service."""
        is_checker = any(command.program in _CHECKERS for command in self.started[-1:])
        is_named = is_for_development(self.final.name)
        return is_checker or is_named or "/devcontainers/" in self.base

    @property
    def has_project(self) -> bool:
        """Whether the image has source or the package, and is not for others to build upon."""
        return self.installs_project or any(path.endswith(".py") for path in self.end.files)

    def commands(self, instructions: Iterable[Parsed]) -> Iterator[ShellCommand]:
        """The shell commands of every RUN step, as far as simple splitting finds them."""
        return (each for step in instructions for each in self._commands_of.get(step.line, ()))

    def _commands(self, step: Parsed) -> Iterator[ShellCommand]:
        lists = [step.exec_form] if step.exec_form else shell.command_lists(step.text)
        given_to = ((ws, shell.script_in(ws, lambda _: "")[0]) for ws in lists)  # `sh -c`
        lists = [each for words, text in given_to for each in shell.command_lists(text) or (words,)]
        values, state = step.state.environ.items(), step.state
        known = {name: value for name, value in values if 0 < len(value) < _LONGEST_OPTIONS}
        for given, words in map(shell.without_assignments, lists):
            environ = {**step.state.environ, **given}
            known |= {} if words else {n: v for n, v in given.items() if v.split()[-1:] == ["uv"]}
            if words[:1] == ("cd",) and not _SUBSHELL.search(step.text):
                state = replace(state, workdir=state.path("".join(words[1:2])))
            program = tuple(_expanded(words[:1], known))  # `$UV sync`
            program = ("uv",) if "".join(program[-1:]).endswith("/uv") else program
            program = program[program.index("uv") :] if "uv" in program else program
            whole = (*program, *_expanded(words[1:], known))
            command = ShellCommand(step=step, state=state, environ=environ, words=whole)
            root = self.root_of(command) if program[:1] == ("uv",) else ""
            yield replace(command, root=root)

    def root_of(self, command: ShellCommand) -> str:
        """Where the project is that uv finds, or the workspace that it is a member of."""
        chosen, state = command.option("--directory", "--project"), command.state
        place = PurePosixPath(state.path(chosen or ""))
        members, folders = {*self.context.locking[2:]}, (place, *place.parents)
        origins = ((str(each), state.files.get(str(each / MANIFEST))) for each in folders)
        found = () if command.step.bound else (at for at, f in origins if f not in {None, *members})
        return next(iter(found), str(place) if chosen else "")

    def development(self, command: ShellCommand) -> str:
        """Why a sync installs groups for development; empty where it does not."""
        groups, step = self.context.development, command.step
        if self.is_for_checks or not groups:
            return ""
        text = expanded(step.text, command.environ) if step.keyword == "RUN" else ""
        # in the text: a command that is substituted may choose
        is_given = command.has(*_WITHOUT_DEV) or any(option in text for option in _WITHOUT_DEV)
        asked = next((word for word in command.words if word in {"--dev", "--only-dev"}), "")
        if asked and "dev" in groups and not (is_given or re.search(r"\bif\b|\[ ", text)):
            return f"`{asked}` installs the development dependencies"
        is_by_variable = command.has("UV_NO_DEFAULT_GROUPS") or "UV_NO_GROUP" in command.environ
        is_dev_alone = command.has("--no-dev", "UV_NO_DEV") and not is_by_variable
        if not (is_given or is_dev_alone or is_by_variable):
            return "development dependencies get into the image"
        if (more := groups - {"dev"}) and is_dev_alone and not command.has(*_WITHOUT_DEV[1:]):
            return f"without dev there are the default groups {', '.join(sorted(more))}"
        return ""

    def lacks_manifests(self, command: ShellCommand) -> bool:
        """Whether it does not see all that `--locked` reads besides uv.lock."""
        seen, folders = {*command.state.files.values()}, tuple(f"{b}/" for b in command.step.bound)
        unseen = (file for file in self.context.locking[1:] if file not in seen)
        return "/" not in folders and any(not f"{f}/".startswith(folders) for f in unseen)

    def pin(self, command: ShellCommand) -> str:
        """The text of the .python-version that it reads."""
        name, seen = ".python-version", command.step.bound
        is_copied = command.state.files.get(command.state.path(name)) == name
        is_seen = is_copied or not {name, ""}.isdisjoint(seen)
        return self.context.text(name) if is_seen and not self.context.is_ignored(name) else ""

    @property
    def runs_as_root(self) -> bool:
        """Unless a program that it starts takes another user."""
        by_base = "root" if self.is_plain and "nonroot" not in self.base else ""
        programs = {"gosu", "runuser", "s6-setuidgid", "setpriv", "setuidgid", "su", "su-exec"}
        drops = any(c.program in programs or c.has("--uid", "--user") for c in self.started)
        if any(c.program in _SUPERVISORS for c in self.started):
            services = [*filter(_SERVICE.search, self.end.files.values())]  # none: not known
            texts = (*map(self.context.text, services), *(step.text for step in self.image))
            drops = drops or not services or any(map(_DROPS.search, texts))
        return (self.end.user or by_base) in {"root", "0"} and not (drops or self.is_for_checks)

    def origin(self, program: str) -> str | None:
        """The file of the build context that a program is, found by its path or by PATH."""
        path = self.end.environ.get("PATH", "").split(":")
        places = [""] if "/" in program else [*path, "/usr/local/bin", "/usr/bin", "/bin"]
        paths = (self.end.path(posixpath.join(place, program)) for place in places)
        return next((self.end.files[path] for path in paths if path in self.end.files), None)

    def script(self, program: str) -> str:
        """The text of a shell script that a program is; empty for any other."""
        origin = self.origin(program)
        text = self.context.text(origin) if origin else self._written(program)
        return text if re.match(r"#!.*sh\b", text) or program.endswith(".sh") else ""

    def _written(self, program: str) -> str:
        """The text of a file that a COPY or RUN has in a heredoc, whose first line names it."""
        name = re.compile(rf"(?:^|[\s/>]){re.escape(posixpath.basename(program))}(?:\s|$)")
        heredocs = (step.text.partition("\n") for step in reversed(self.image))
        return next((body for first, _, body in heredocs if body and name.search(first)), "")


def _expanded(words: Iterable[str], known: Mapping[str, str]) -> Iterator[str]:
    """As a shell does, which splits what a variable alone has."""
    for word in words:
        value = expanded(word, known)
        yield from value.split() if word.startswith("$") else (value,)


def _copied(step: Parsed, there: Mapping[str, str], state: StepState) -> dict[str, str]:
    """The files of `there` that `step` copies, by their paths in the image."""
    words = [expanded(word, state.environ) for word in step.words]
    if not words:
        return {}
    *sources, target = words
    place = state.path(target)
    is_named_so = len(sources) > 1 or target.endswith(("/", ".")) or place == state.workdir
    takes_file = any(relative(source) in there or "*" in source for source in sources)
    before = state.files if takes_file and not is_named_so else ()  # which may be many
    is_directory = is_named_so or any(path.startswith(f"{place}/") for path in before)
    copied, has_parents = {}, step.flag("parents") is not None
    for source in sources:
        pattern = relative(source)
        depth = len(pattern.split("/")) if pattern else 0
        for path, origin in itertools.islice(there.items(), _MOST_FILES):
            parts = path.split("/")
            if fnmatchcase("/".join(parts[:depth]), pattern):
                rest = parts if has_parents else parts[depth:]
                name = "/".join(rest) or (parts[-1] if is_directory else "")
                copied[posixpath.normpath(posixpath.join(place, name))] = origin
    return copied
