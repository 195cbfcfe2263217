"""Many files into the project's dependencies and its dependency groups (PEP 735). Pure."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate import constraints, includes, indexes, merge, pins, settings
from uvflow.migrate.credentials import for_git
from uvflow.migrate.formats.pip import sources
from uvflow.migrate.formats.pip.requirements_txt import Line, as_comment
from uvflow.migrate.formats.setuptools import is_there
from uvflow.migrate.includes import Fetch, Includes, Reader, no_network
from uvflow.migrate.indexes import Indexes
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry, merge_entries
from uvflow.migrate.model import (
    Bucket,
    ImportedRequirements,
    ImportOptions,
    IncludeGroup,
    InputFile,
    LineResult,
    Read,
    Requirement,
    Role,
)


def import_files(
    inputs: Iterable[InputFile],
    read: Read,
    options: ImportOptions | None = None,
    *,
    fetch: Fetch = no_network,
) -> ImportedRequirements:
    """Everything that `inputs`, and the files they include, say.

    `read` and `fetch` are as in a Reader. Nothing is raised for what the files say: what stops the
    import is an ERROR finding, and every logical line is in one bucket of its file's report.
    """
    options = options or ImportOptions()
    ledger = LineOutcomes(options=options)
    files = includes.follow(inputs, Reader(read=read, fetch=fetch, options=options))
    ledger.refuse(*files.findings, *pins.missing_hashes(files))
    ledger.mark(Bucket.ACTION, *files.unread)
    found = indexes.collect_indexes(files.lines(), ledger, options)
    spoken = settings.collect_settings(files.lines(), ledger, lambda path: is_there(path, read))
    readings = _readings(files, found, read, ledger)
    listed = collect_lists(files, readings, ledger)
    settled = merge.resolve_conflicts(
        {n: li.entries for n, li in listed.items()}, options.on_conflict
    )
    ledger.note(*settled.findings)
    ledger.mark(Bucket.ACTION, *settled.dropped)
    imported = ImportedRequirements(
        dependencies=tuple(e for e in settled.lists[PROJECT] if isinstance(e, Requirement)),
        groups={name: entries for name, entries in settled.lists.items() if name != PROJECT},
        indexes=found.entries,
        settings={**spoken, **settled.settings},
        tails={name: li.tail for name, li in listed.items() if li.tail},
        credentials={**found.credentials(options.environ), **_for_git(readings, options)},
    )
    return _completed(imported, files, readings, found, ledger)


def _readings(
    files: Includes, found: Indexes, read: Read, ledger: LineOutcomes
) -> dict[Origin, LineResult]:
    """What every line with a requirement says, wherever the line will end."""
    readings = {}
    for line in files.lines():
        role = files.roles[line.origin.path].role
        if line.problem:
            ledger.refuse(line.problem)
        elif line.requirement:
            reading = sources.read(line, ledger.options, read)
            if role is Role.PINS and reading.requirement:
                reading = replace(reading, findings=(), bucket=Bucket.IMPORTED)  # the `.in` says it
            if reading.requirement and role not in (Role.PINS, Role.CONSTRAINTS):
                reading = replace(reading, requirement=found.placed(reading.requirement))
            ledger.refuse(*reading.findings)
            if reading.bucket is not Bucket.IMPORTED:  # that it is depends on the list it is in
                ledger.mark(reading.bucket, line.origin)
            readings[line.origin] = reading
    return readings


def _for_git(readings: Mapping[Origin, LineResult], options: ImportOptions) -> dict[str, str]:
    logins = (reading.git_login for reading in readings.values() if reading.git_login)
    return for_git(logins, options.environ)


def _completed(
    imported: ImportedRequirements,
    files: Includes,
    readings: Mapping[Origin, LineResult],
    found: Indexes,
    ledger: LineOutcomes,
) -> ImportedRequirements:
    """`imported` with what depends on which packages are wanted, and with the books closed."""
    wanted = imported.requirements
    held = constraints.sort_constraints(
        wanted,
        compiled=_read_in(Role.PINS, files, readings),
        constraining=_read_in(Role.CONSTRAINTS, files, readings),
        ledger=ledger,
    )
    ledger.note(*_unused(found, wanted))
    _mark_includes(files, ledger)
    return replace(
        imported,
        pins=tuple(held.pins.values()),
        constraints=held.constraints,
        findings=ledger.findings,
        files=ledger.reports(files),
    )


def _read_in(
    role: Role, files: Includes, readings: Mapping[Origin, LineResult]
) -> Iterator[Requirement]:
    for origin, reading in readings.items():
        if files.roles[origin.path].role is role and reading.requirement:
            yield reading.requirement


def _unused(found: Indexes, wanted: Iterable[Requirement]) -> Iterator[Finding]:
    used = {(requirement.source or {}).get("index") for requirement in wanted}
    for index in found.found:
        if index.build and index.name not in used:
            yield indexes.unused(index)


def _mark_includes(files: Includes, ledger: LineOutcomes) -> None:
    """The includes that no list is made of: those of constraints, and in compiled files."""
    for line in files.lines():
        constraining = files.constraining(line)
        if constraining:
            is_read = constraining.role in (Role.CONSTRAINTS, Role.PINS)
            ledger.mark(Bucket.IMPORTED if is_read else Bucket.DEFAULT, line.origin)
        elif line.include and files.roles[line.origin.path].role in (Role.CONSTRAINTS, Role.PINS):
            ledger.mark(Bucket.IMPORTED, line.origin)


PROJECT = ""  # the name of the project's own list, where groups have theirs


@dataclass(frozen=True, kw_only=True)
class DependencyList:
    """One list of pyproject.toml, and the comment lines below its last entry."""

    entries: tuple[Entry, ...]
    tail: tuple[str, ...]


def collect_lists(
    includes: Includes, readings: Mapping[Origin, LineResult], ledger: LineOutcomes
) -> dict[str, DependencyList]:
    """The project's list and those of its groups, in the order their files are met."""
    starts: dict[str, list[str]] = {PROJECT: []}
    for file in includes.roles.values():
        if file.role in (Role.PROJECT, Role.GROUP):
            starts.setdefault(file.of, []).append(file.path)
    return {
        group: _collected(
            _Walk(group=group, starts=starts, includes=includes, readings=readings, ledger=ledger)
        )
        for group in starts
    }


def _collected(walk: "_Walk") -> DependencyList:
    walk.through(walk.starts[walk.group])
    merged = merge_entries(walk.entries)
    walk.ledger.note(*_several_files(walk), *merged.findings)
    walk.ledger.mark(Bucket.MERGED, *merged.dropped)
    walk.ledger.mark(Bucket.IMPORTED, *(entry.origin for entry in merged.entries))
    return DependencyList(entries=merged.entries, tail=tuple(walk.comments))


def _several_files(walk: "_Walk") -> Iterator[Finding]:
    first, *others = walk.starts[walk.group] or [""]
    for path in others if walk.group != PROJECT else ():
        message = f"group {walk.group} is made of this file and {first}"
        origin = Origin(path=path, line=1)
        yield findings.note("group-merged", message, origin)


@dataclass(kw_only=True)
class _Walk:
    """One list, collected along the includes of its files, each file once.

    `comments` are those since the last entry: they belong to the next one, or to the list's end.
    """

    group: str
    starts: Mapping[str, list[str]]
    includes: Includes
    readings: Mapping[Origin, LineResult]
    ledger: LineOutcomes
    entries: list[Entry] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _open: list[Iterator[Line | tuple[str, ...]]] = field(default_factory=list)

    def through(self, paths: list[str]) -> None:
        for path in paths:
            self._enter(path)
            while self._open:  # no recursion: includes may be nested deeper than Python's stack
                step = next(self._open[-1], None)
                if step is None:
                    self._open.pop()
                elif isinstance(step, Line):
                    self._take(step)
                else:
                    self.comments += step

    def _enter(self, path: str) -> bool:
        """Read the file at `path` next, unless that has been done."""
        if path in self._seen:
            return False
        self._seen.add(path)
        file = self.includes.files[path]
        self._open.append(itertools.chain(file.lines, (file.tail,)))
        return True

    def _take(self, line: Line) -> None:
        self.comments += line.above
        target = self.includes.included(line)
        reading = self.readings.get(line.origin)
        if target:
            self._include(line, target)
        elif reading and reading.requirement:
            self._add(replace(reading.requirement, above=tuple(self.comments)))
        else:
            self._leave(line)

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.comments.clear()

    def _include(self, line: Line, target: InputFile) -> None:
        if target.role is Role.GROUP and self._is_whole_group(target):
            above = tuple(self.comments)
            self._add(
                IncludeGroup(group=target.of, origin=line.origin, comment=line.comment, above=above)
            )
            return
        self._keep_comment(line)
        if target.role is Role.PROJECT and self.group != PROJECT:
            self.ledger.mark(Bucket.DEFAULT, line.origin)  # a group sits on top of the project
            return
        is_new = self._enter(target.path)
        self.ledger.mark(Bucket.IMPORTED if is_new else Bucket.MERGED, line.origin)

    def _is_whole_group(self, target: InputFile) -> bool:
        """Whether `{include-group}` says exactly what an include of `target` says.

        It does not where the group has more files, or leads back here: PEP 735 forbids cycles.
        """
        is_other = target.of != self.group and len(self.starts[target.of]) == 1
        return is_other and target.path not in self._leading_back

    @functools.cached_property
    def _leading_back(self) -> frozenset[str]:
        return self.includes.edges.leading_to(self.starts[self.group])

    def _leave(self, line: Line) -> None:
        """What is no entry of the list; a line that needs the user stays as a comment."""
        if self.ledger.buckets.get(line.origin) is Bucket.ACTION:
            self.comments.append(as_comment(f"# {line.text}"))
        self._keep_comment(line)

    def _keep_comment(self, line: Line) -> None:
        self.comments += [line.comment] if line.comment else []
