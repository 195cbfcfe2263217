"""Files and their includes → the project's own list, and one for each dependency group."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from uvflow.imports.includes import Includes
from uvflow.imports.ledger import Ledger
from uvflow.imports.merge import Entry, merge
from uvflow.imports.model import Bucket, Finding, IncludeGroup, InputFile, Origin, Role, Severity
from uvflow.imports.requirements import Line, as_comment
from uvflow.imports.said import Reading

PROJECT = ""  # the name of the project's own list, where groups have theirs


@dataclass(frozen=True, kw_only=True)
class List:
    """One list of pyproject.toml, and the comment lines below its last entry."""

    entries: tuple[Entry, ...]
    tail: tuple[str, ...]


def collect(
    includes: Includes, readings: Mapping[Origin, Reading], ledger: Ledger
) -> dict[str, List]:
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


def _collected(walk: "_Walk") -> List:
    walk.through(walk.starts[walk.group])
    merged = merge(walk.entries)
    walk.ledger.note(*_several_files(walk), *merged.findings)
    walk.ledger.mark(Bucket.MERGED, *merged.dropped)
    walk.ledger.mark(Bucket.IMPORTED, *(entry.origin for entry in merged.entries))
    return List(entries=merged.entries, tail=tuple(walk.comments))


def _several_files(walk: "_Walk") -> Iterator[Finding]:
    first, *others = walk.starts[walk.group] or [""]
    for path in others if walk.group != PROJECT else ():
        message = f"group {walk.group} is made of this file and {first}"
        origin = Origin(path=path, line=1)
        yield Finding(severity=Severity.NOTE, code="group-merged", message=message, origin=origin)


@dataclass(kw_only=True)
class _Walk:
    """One list, collected along the includes of its files, each file once.

    `comments` are those since the last entry: they belong to the next one, or to the list's end.
    """

    group: str
    starts: Mapping[str, list[str]]
    includes: Includes
    readings: Mapping[Origin, Reading]
    ledger: Ledger
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
