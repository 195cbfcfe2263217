"""A hand-written Dockerfile and its project as lint rules see them, and all rules. Pure."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from uvflow.docker.lint.parse import Dockerfile, Parsed, Stage, split
from uvflow.findings import Finding, Origin, Severity


@dataclass(frozen=True, kw_only=True)
class LintContext:
    """What rules know of the project; paths are relative to the build context, POSIX.

    `files` are those that exist, `members` the manifests of local packages, `not_ignored` the
    patterns that the .dockerignore lacks, `installed` what production installs (None: unknown).
    """

    files: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()
    not_ignored: tuple[str, ...] = ()
    installed: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """A shell command of a RUN step: the variables set for it, and its words."""

    step: Parsed
    environ: dict[str, str]
    words: tuple[str, ...]

    def starts(self, *words: str) -> bool:
        return self.words[: len(words)] == words

    @property
    def installs(self) -> bool:
        return any(
            self.starts("uv", *words) for words in (("sync",), ("pip", "install"), ("pip", "sync"))
        )

    def has(self, *options: str) -> bool:
        return any(word.partition("=")[0] in options for word in self.words)


@dataclass(frozen=True)
class LintedDockerfile:
    """A Dockerfile with at least one stage, its project, and its path for findings."""

    dockerfile: Dockerfile
    context: LintContext
    path: str

    @cached_property
    def final(self) -> Stage:
        return self.dockerfile.stages[-1]

    @cached_property
    def image(self) -> tuple[Parsed, ...]:
        """The instructions that contribute to the image of the last stage."""
        return self.dockerfile.inside(self.final)

    @cached_property
    def everything(self) -> tuple[Parsed, ...]:
        return tuple(i for stage in self.dockerfile.stages for i in stage.instructions)

    @cached_property
    def environment_stages(self) -> tuple[Stage, ...]:
        """The stages the image's environment may come from: its own, and those it copies from."""
        copied = (i.flag("from") for i in self.image if i.keyword == "COPY")
        sources = (self.dockerfile.stage(name) for name in copied if name)
        steps = [s for source in sources if source for s in self.dockerfile.lineage(source)]
        return tuple(dict.fromkeys((*steps, *self.dockerfile.lineage(self.final))))

    def syncs(self) -> Iterator[ShellCommand]:
        """Every `uv sync` whose environment may get into the image."""
        return (command for command in self.installs() if command.starts("uv", "sync"))

    def installs(self) -> Iterator[ShellCommand]:
        """The same, with `uv pip install` and `uv pip sync`."""
        return (command for command in self.environment_commands() if command.installs)

    def environment_commands(self) -> Iterator[ShellCommand]:
        """Every command of the stages whose environment may get into the image."""
        return commands(i for stage in self.environment_stages for i in stage.instructions)

    def environ(self, command: ShellCommand) -> dict[str, str]:
        """The variables of `command`: from ENV and ARG before it, and on its own line."""
        stage = next(s for s in self.dockerfile.stages if command.step in s.instructions)
        before = (
            i
            for i in self.dockerfile.inside(stage)
            if i.keyword in {"ENV", "ARG"} and i.line < command.step.line
        )
        return {**dict(p for i in before for p in i.assignments), **command.environ}

    def last(self, keyword: str) -> Parsed | None:
        """The instruction of that kind that counts for the image."""
        return next((i for i in reversed(self.image) if i.keyword == keyword), None)


_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")  # before a command, for it alone

Violations = Iterator[tuple[int, str]]  # the line, from 1, and what is wrong there
Rule = Callable[[LintedDockerfile], Iterator[Finding]]

RULES: list[Rule] = []


def rule(
    code: str, severity: Severity, fix: str
) -> Callable[[Callable[[LintedDockerfile], Violations]], Rule]:
    """Make a function a rule of RULES; `code` is stable, `fix` is what to write instead."""

    def register(violations: Callable[[LintedDockerfile], Violations]) -> Rule:
        def findings(linted: LintedDockerfile) -> Iterator[Finding]:
            for line, message in violations(linted):
                yield Finding(severity, code, message, Origin(path=linted.path, line=line), fix)

        RULES.append(findings)
        return findings

    return register


def commands(instructions: Iterable[Parsed]) -> Iterator[ShellCommand]:
    """The shell commands of every RUN step, as far as simple splitting finds them."""
    for step in instructions:
        if step.keyword == "RUN":
            pieces = re.split(r"&&|\|\||[;|\n]", step.text)
            lists = [step.exec_form] if step.exec_form else map(split, pieces)
            for words in filter(None, lists):
                assigned = [*itertools.takewhile(_ASSIGNMENT.match, words)]
                pairs = (word.partition("=") for word in assigned)
                environ = {name: value for name, _, value in pairs}
                yield ShellCommand(step=step, environ=environ, words=words[len(assigned) :])
