"""The values of an import: requirements, groups, pins, and the outcome of each line. Pure."""

import re
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeVar

from packaging.utils import canonicalize_name

from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.toml_lines import Keys, TomlLine

Read = Callable[[str], bytes]
SOURCES: Keys = ("tool", "uv", "sources")
PROFILES: Keys = ("tool", "uvflow", "profiles")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508, "Names"
OnConflict = Literal["fail", "prefer-base", "declare"]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """The options of an import; paths are relative to the root (POSIX).

    `groups` are (name, path) pairs. `environ` is where `${VAR}` in credentials is looked up. With
    `allow_outside`, includes may lead out of the project; `leads_out` tests paths for links.
    """

    from_files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    constraints: tuple[str, ...] = ()
    encoding: str | None = None
    keep_going: bool = False
    strict: bool = False
    allow_outside: bool = False
    on_conflict: OnConflict = "fail"
    strip_credentials: bool = False
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    leads_out: Callable[[str], bool] = field(default=lambda _path: False, repr=False)


class Role(StrEnum):
    """What a file is to the project."""

    PROJECT = "project"
    GROUP = "group"
    CONSTRAINTS = "constraints"
    PINS = "pins"
    INCLUDED = "included"


class InputFile(NamedTuple):
    """A file of the project that an import reads.

    `of` is the group's name for a GROUP, and the path of the `.in` file for PINS.
    """

    path: str
    role: Role
    of: str = ""

    @property
    def description(self) -> str:
        """`project`, `group dev`, `constraints`, `pins of requirements.in` or `included`."""
        of_another = {Role.GROUP: f"group {self.of}", Role.PINS: f"pins of {self.of}"}
        return of_another.get(self.role, self.role.value)


class Bucket(StrEnum):
    """The outcome of a logical line; every line has exactly one."""

    IMPORTED = "imported"
    SETTING = "settings"
    MERGED = "merged"
    DEFAULT = "already_default"
    LEFT = "left"  # a build backend or another tool goes on reading it where it is
    ACTION = "needs_action"


class Requirement(NamedTuple):
    """One requirement as its author wrote it.

    `text` is PEP 508 without comment, hashes and URL: what goes into the list. `name` is normalised
    (PEP 503), None where only a build knows it; then `text` is the bare URL or path that has to be
    named first (see `with_name`). `source` is an entry of `[tool.uv.sources]` without its marker.
    `comment` is the line-end comment, `above` the comment lines since the requirement before, both
    with their `#`. `hashes` are `sha256:…` as pip takes them. URLs have no credentials any more, so
    that `repr` shows none.
    """

    text: str
    name: str | None
    origin: Origin
    comment: str = ""
    above: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    source: Mapping[str, Any] | None = None
    extras: tuple[str, ...] = ()
    marker: str = ""

    def with_name(self, name: str) -> "Requirement":
        """This requirement, once `name` has been learned from a build or from metadata."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return self._replace(name=canonicalize_name(name), text=f"{name}{extras}{marker}")


class IncludeGroup(NamedTuple):
    """`{include-group = "…"}` (PEP 735); `comment` and `above` as with a requirement."""

    group: str
    origin: Origin
    comment: str = ""
    above: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pin:
    """An exact version that was installed so far; a first uv.lock keeps it where possible.

    `hashes` are as in a Requirement. `marker` is what the pin was made for, "" for everything.
    `git` is the source of a commit as uv.lock has it: `URL?branch=main#COMMIT`.
    """

    name: str
    version: str
    origin: Origin
    hashes: tuple[str, ...] = ()
    marker: str = ""
    git: str = ""

    @property
    def commit(self) -> str:
        return self.git.rpartition("#")[2]

    @property
    def requirement(self) -> Requirement:
        marker = f" ; {self.marker}" if self.marker else ""
        text = f"{self.name}=={self.version}{marker}"
        return Requirement(text=text, name=self.name, origin=self.origin)


class FileReport(NamedTuple):
    """What became of each logical line of one file."""

    path: str
    format: str
    role: str
    outcomes: Mapping[Origin, Bucket] = {}

    @property
    def lines(self) -> int:
        return len(self.outcomes)

    @property
    def buckets(self) -> Mapping[Bucket, int]:
        """How many lines are in which bucket, of those that have any."""
        counts = Counter(self.outcomes.values())
        return {bucket: counts[bucket] for bucket in Bucket if counts[bucket]}


def with_buckets(
    files: Iterable[FileReport], moves: Mapping[Origin, Bucket]
) -> tuple[FileReport, ...]:
    """`files` with their lines in the buckets of `moves`; a line that needs action stays there."""

    def outcomes(file: FileReport) -> dict[Origin, Bucket]:
        return {
            origin: bucket if bucket is Bucket.ACTION else moves.get(origin, bucket)
            for origin, bucket in file.outcomes.items()
        }

    return tuple(file._replace(outcomes=outcomes(file)) for file in files)


@dataclass(frozen=True, kw_only=True)
class ImportedRequirements:
    """The merged content of the files of a project, for pyproject.toml.

    `settings` are keys of `[tool.uv]`; `indexes` are entries of `[[tool.uv.index]]`, without
    credentials. `credentials` are environment variables for uv, for this run only and never to be
    written or shown. `tails` are comment lines below the last entry of a list, by group name; ""
    is the project's own list. `own_extras` are extras of the project itself, by the profile that
    has to select them, each with the first line that asks for it.

    From projects of other tools: `extras` are `[project.optional-dependencies]`; `values` are
    further values of pyproject.toml with their comments, by paths such as `("project", "name")` or
    `("build-system", "requires")`. A value that the file already has stays, unless its path is one
    of `moved`: the keys and tables that leave the file, since their content is elsewhere now.
    `left` are requirements files that a build goes on reading, so that nothing of them becomes a
    dependency of the project.
    """

    dependencies: tuple[Requirement, ...] = ()
    extras: Mapping[str, tuple[Requirement, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[Requirement | IncludeGroup, ...]] = field(default_factory=dict)
    constraints: tuple[Requirement, ...] = ()
    indexes: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    requires_python: str | None = None
    pins: tuple[Pin, ...] = ()
    findings: tuple[Finding, ...] = ()
    files: tuple[FileReport, ...] = ()
    tails: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_extras: Mapping[str, Mapping[str, Origin]] = field(default_factory=dict)
    values: Mapping[Keys, TomlLine] = field(default_factory=dict)
    moved: tuple[Keys, ...] = ()
    left: tuple[str, ...] = ()
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Every requirement of the project, of its extras and of its groups."""
        lists = (self.dependencies, *self.extras.values(), *self.groups.values())
        return tuple(e for entries in lists for e in entries if isinstance(e, Requirement))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The keys of `[project]` among the values."""
        return {path[1]: line.value for path, line in self.values.items() if path[0] == "project"}

    @property
    def dynamic(self) -> tuple[str, ...]:
        """The keys of `[project]` that the build backend computes (PEP 621)."""
        return tuple(self.metadata.get("dynamic", ()))

    def with_more(self, other: "ImportedRequirements") -> "ImportedRequirements":
        """This import and `other`; of settings and values that both have, those of this one."""
        together: dict[str, Any] = {}
        for each in fields(self):
            ours, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(ours, tuple):
                together[each.name] = (*ours, *theirs)
            elif each.name in ("groups", "extras", "tails"):
                names = dict.fromkeys((*ours, *theirs))
                lists = {name: (*ours.get(name, ()), *theirs.get(name, ())) for name in names}
                together[each.name] = lists
            elif isinstance(ours, Mapping):
                together[each.name] = {**theirs, **ours}
        together["requires_python"] = self.requires_python or other.requires_python
        return replace(self, **together)

    def with_each(
        self, change: Callable[[Requirement], Requirement | None]
    ) -> "ImportedRequirements":
        """This import with every requirement of the project and its groups changed, or dropped."""

        def changed(entries: Iterable[Any]) -> tuple[Any, ...]:
            new = (change(e) if isinstance(e, Requirement) else e for e in entries)
            return tuple(entry for entry in new if entry)

        return replace(
            self,
            dependencies=changed(self.dependencies),
            extras={extra: changed(entries) for extra, entries in self.extras.items()},
            groups={group: changed(entries) for group, entries in self.groups.items()},
        )

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def sources(self) -> dict[str, dict[str, Any] | list[dict[str, Any]]]:
        """`[tool.uv.sources]`: by known name a table, or a list of tables with markers."""
        sources: dict[str, list[dict[str, Any]]] = {}
        for requirement in self.requirements:
            if requirement.source and requirement.name:
                entry = dict(requirement.source)
                if requirement.marker:
                    entry["marker"] = requirement.marker
                entries = sources.setdefault(requirement.name, [])
                if entry not in entries:
                    entries.append(entry)
        tables = {name: each[0] if len(each) == 1 else each for name, each in sources.items()}
        of_tool = {path[-1]: v.value for path, v in self.values.items() if path[:-1] == SOURCES}
        return of_tool | tables


def source_entries(source: Any) -> list[Any]:
    """The entries of one name in `[tool.uv.sources]`: it has a table, or a list of them."""
    return source if isinstance(source, list) else [source]


_Node = TypeVar("_Node", bound=Hashable)


def reachable(
    starts: Iterable[_Node], neighbours: Callable[[_Node], Iterable[_Node]]
) -> tuple[_Node, ...]:
    """`starts` and every node that a path leads to from them, each once, the nearest first."""
    nodes = dict.fromkeys(starts)
    waiting = deque(nodes)
    while waiting:
        for node in neighbours(waiting.popleft()):
            if node not in nodes:
                nodes[node] = None
                waiting.append(node)
    return tuple(nodes)


class LineResult(NamedTuple):
    """What a line with a requirement adds; `requirement` is None where it adds none.

    `own_extras` are extras of the project itself, as in `-e .[test]`.
    """

    requirement: Requirement | None = None
    own_extras: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def needs_action(finding: Finding, requirement: Requirement | None = None) -> LineResult:
    """The result of a line that the user has to settle; only a `requirement` is imported."""
    return LineResult(requirement=requirement, findings=(finding,))
