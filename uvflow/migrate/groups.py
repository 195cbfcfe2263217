"""Requirements files → the project's dependencies and its dependency groups (PEP 735)."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.findings import Origin
from uvflow.migrate.formats import tox
from uvflow.migrate.formats.local_project import is_installable
from uvflow.migrate.formats.pip.requirements_txt import Line, as_comment, as_file
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.includes import Includes, Reader, follow_includes
from uvflow.migrate.indexes import (
    Index,
    collect_indexes,
    index_credentials,
    unused_indexes,
    with_index,
)
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry, merge_entries, resolve_conflicts
from uvflow.migrate.model import (
    PROFILES,
    Bucket,
    ImportedRequirements,
    ImportOptions,
    IncludeGroup,
    InputFile,
    Read,
    Requirement,
    Role,
)
from uvflow.migrate.pins import missing_hashes, sort_constraints
from uvflow.migrate.settings import collect_settings
from uvflow.migrate.toml_lines import TomlLine

PROJECT = ""  # the name of the project's own list, where groups have theirs


def import_files(inputs: Iterable[InputFile], reader: Reader) -> ImportedRequirements:
    """The requirements and settings of `inputs`, and of the files they include.

    What stops the import is an ERROR finding; every logical line is in one bucket of its file.
    """
    outcomes = LineOutcomes(options=reader.options)
    includes = follow_includes(inputs, reader)
    outcomes.record_findings(*includes.findings, *includes.cycles())
    indexes = collect_indexes(includes.lines(), outcomes)
    settings = collect_settings(
        includes.lines(), outcomes, lambda path: is_installable(path, reader.read_file)
    )
    _read_lines(includes, indexes, reader.read_file, outcomes)
    outcomes.record_findings(*missing_hashes(includes, outcomes.results))
    imported = ImportedRequirements(
        indexes=tuple(index.entry for index in indexes),
        settings=settings,
        credentials=index_credentials(indexes, reader.options.environ),
        own_extras=_own_extras(includes, outcomes),
    )
    imported = _with_lists(imported, includes, outcomes)
    pins, constraints = sort_constraints(imported.requirements, includes, outcomes)
    outcomes.record_findings(*unused_indexes(indexes, imported.requirements))
    files = []
    for path, file in includes.files.items():
        format_name = "requirements" if tox.file_of(path) == path else "tox"
        origins = [line.origin for line in file.lines]
        files.append(outcomes.report(path, format_name, origins, includes.roles[path].description))
    return replace(
        imported,
        pins=pins,
        constraints=constraints,
        findings=outcomes.findings,
        files=tuple(files),
    )


def import_lines(
    path: str, lines: Mapping[int, str], read_file: Read, options: ImportOptions
) -> ImportedRequirements:
    """Import `lines`, by their numbers, as if they were a requirements file at `path`."""
    data = as_file(lines)

    def read(other: str) -> bytes:
        return data if other == path else read_file(other)

    reader = Reader(read_file=read, options=options)
    return import_files([InputFile(path=path, role=Role.PROJECT)], reader)


def _read_lines(
    includes: Includes, indexes: tuple[Index, ...], read_file: Read, outcomes: LineOutcomes
) -> None:
    """Record the result of each requirement, and the includes that are no part of a list."""
    unlisted = (Role.CONSTRAINTS, Role.PINS)
    for line in includes.lines():
        role = includes.roles[line.origin.path].role
        constraints = includes.included_file(line, "--constraint")
        if constraints:
            bucket = Bucket.IMPORTED if constraints.role in unlisted else Bucket.DEFAULT
            outcomes.record_bucket(bucket, line.origin)
        elif role in unlisted and includes.included_file(line):
            outcomes.record_bucket(Bucket.IMPORTED, line.origin)
        if line.problem:
            outcomes.record_findings(line.problem)
        elif line.requirement:
            result = read_requirement(line, outcomes.options, read_file)
            requirement = result.requirement
            if requirement is None:  # the project itself, unless there is a finding
                bucket = Bucket.SETTING if result.own_extras else Bucket.DEFAULT
                outcomes.record_bucket(bucket, line.origin)
            elif role is Role.PINS:  # the `.in` file has the same findings
                result = result._replace(findings=())
            elif role not in unlisted:
                result = result._replace(requirement=with_index(requirement, indexes))
            outcomes.record_findings(*result.findings)
            outcomes.results[line.origin] = result


def _own_extras(includes: Includes, outcomes: LineOutcomes) -> dict[str, dict[str, Origin]]:
    """The extras of the project itself, by profile; those that a group asks for are in dev only."""
    extras: dict[str, dict[str, Origin]] = {}
    for origin, result in outcomes.results.items():
        is_of_project = includes.roles[origin.path].role is Role.PROJECT
        profiles = ("dev", "prod") if is_of_project else ("dev",)
        for profile, extra in itertools.product(profiles, result.own_extras):
            extras.setdefault(profile, {}).setdefault(canonicalize_name(extra), origin)
    return extras


def _with_lists(
    imported: ImportedRequirements, includes: Includes, outcomes: LineOutcomes
) -> ImportedRequirements:
    """`imported` with the requirements of the project and of its groups, in the files' order."""
    starts: dict[str, list[str]] = {PROJECT: []}
    for file in includes.roles.values():
        if file.role in (Role.PROJECT, Role.GROUP):
            starts.setdefault(file.of, []).append(file.path)
    collectors = {
        group: _ListCollector(group=group, starts=starts, includes=includes, outcomes=outcomes)
        for group in starts
    }
    lists = {group: collector.collect() for group, collector in collectors.items()}
    resolved, settings = resolve_conflicts(lists, outcomes)
    # `uvflow sync --prod` selects no default groups: a file for production is selected by name.
    production = [group for group in lists if group in {"prod", "production"}]
    path = (*PROFILES, "prod", "groups")
    values = {path: TomlLine(value=production)} if production else {}
    return replace(
        imported,
        values=values,
        dependencies=tuple(e for e in resolved[PROJECT] if isinstance(e, Requirement)),
        groups={name: entries for name, entries in resolved.items() if name != PROJECT},
        settings={**imported.settings, **settings},
        tails={group: tuple(c.comments) for group, c in collectors.items() if c.comments},
    )


@dataclass(kw_only=True)
class _ListCollector:
    """Collects the entries of one list from its files and their includes, each file once.

    `starts` are the files of each list. `comments` are those since the last entry: they belong to
    the next one, or to the list's end.
    """

    group: str
    starts: Mapping[str, list[str]]
    includes: Includes
    outcomes: LineOutcomes
    entries: list[Entry] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    _entered: set[str] = field(default_factory=set)
    _waiting: list[Line | tuple[str, ...]] = field(default_factory=list)  # the next one is last

    def collect(self) -> tuple[Entry, ...]:
        paths = self.starts[self.group]
        for path in paths:
            self._enter(path)
            while self._waiting:  # without recursion: includes may be deeper than Python's stack
                step = self._waiting.pop()
                if isinstance(step, Line):
                    self._add_line(step)
                else:
                    self.comments += step
        if self.group != PROJECT:
            for path in paths[1:]:
                message = f"group {self.group} combines this file and {paths[0]}"
                note = findings.note("group-merged", message, Origin(path=path, line=1))
                self.outcomes.record_findings(note)
        merged = merge_entries(self.entries, self.outcomes)
        self.outcomes.record_bucket(Bucket.IMPORTED, *(entry.origin for entry in merged))
        return merged

    def _enter(self, path: str) -> bool:
        """Whether the file at `path` is read next: each is read once."""
        if path in self._entered:
            return False
        self._entered.add(path)
        file = self.includes.files[path]
        self._waiting += reversed((*file.lines, file.tail))
        return True

    def _add_line(self, line: Line) -> None:
        self.comments += line.above
        target = self.includes.included_file(line)
        result = self.outcomes.results.get(line.origin)
        entry: Entry | None = result.requirement if result else None
        # Only a whole group means exactly `{include-group}`: not one that has more files, nor one
        # that leads back here, for PEP 735 forbids cycles.
        if target and target.role is Role.GROUP and self.starts[target.of] == [target.path]:
            included = self.includes.with_included(target.path)
            if set(self.starts[self.group]).isdisjoint(included):
                entry = IncludeGroup(group=target.of, origin=line.origin, comment=line.comment)
        if entry:
            self.entries.append(entry._replace(above=tuple(self.comments)))
            self.comments.clear()
            return
        if not target and self.outcomes.buckets.get(line.origin) is Bucket.ACTION:
            self.comments.append(as_comment(f"# {line.text}"))  # it stays for the user to see
        if line.comment:
            self.comments.append(line.comment)
        if target and target.role is Role.PROJECT and self.group != PROJECT:
            self.outcomes.record_bucket(Bucket.DEFAULT, line.origin)  # it is installed as well
        elif target:
            is_new = self._enter(target.path)
            self.outcomes.record_bucket(Bucket.IMPORTED if is_new else Bucket.MERGED, line.origin)
