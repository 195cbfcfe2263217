"""Requirements files and what they include: each is read once, and cycles are found."""

import functools
import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.credentials import variables
from uvflow.migrate.formats.pip.direct_reference import FILE_URL, as_path, is_outside, is_url
from uvflow.migrate.formats.pip.requirements_txt import Line, RequirementsFile, parse_requirements
from uvflow.migrate.model import ImportOptions, InputFile, Read, Role, reachable
from uvflow.redaction import redacted

_DRIVE = re.compile(r"[A-Za-z]:/")


@dataclass(frozen=True, kw_only=True)
class Includes:
    """The files of an import in the order in which they are read, and what their lines include.

    Paths are relative to the root (POSIX), or absolute. `given` are the input files; the others
    are only included. `targets` are the paths that lines include, by the origin of the line.
    """

    files: Mapping[str, RequirementsFile]
    given: Mapping[str, InputFile]
    targets: Mapping[Origin, str] = field(repr=False)
    findings: tuple[Finding, ...] = ()

    def lines(self) -> Iterator[Line]:
        return itertools.chain.from_iterable(file.lines for file in self.files.values())

    @functools.cached_property
    def roles(self) -> Mapping[str, InputFile]:
        """The role of each file; what a project file includes is the project's as well."""
        roles = {path: file for path, file in self.given.items() if path in self.files}
        for role in (Role.PROJECT, Role.GROUP, Role.CONSTRAINTS, Role.PINS):
            for start in [file for file in roles.values() if file.role is role]:
                for path in self.with_included(start.path):
                    known = roles.get(path)
                    if role is Role.PROJECT and (known is None or known.role is not Role.PINS):
                        roles[path] = InputFile(path=path, role=Role.PROJECT)
                    elif role is Role.GROUP and (known is None or known.role is Role.CONSTRAINTS):
                        roles[path] = InputFile(path=path, role=Role.INCLUDED)
                    else:
                        roles.setdefault(path, start._replace(path=path))
        return roles | {
            path: InputFile(path=path, role=Role.CONSTRAINTS)
            for path in self.files
            if path not in roles
        }

    def included_file(self, line: Line, option: str = "--requirement") -> InputFile | None:
        """The file that `line` includes with `option`, if it could be read."""
        return self.roles.get(self._target(line, option))

    def _target(self, line: Line, option: str = "--requirement") -> str:
        """The path of that file, or ""; of a compiled file, which has pins, that of its source."""
        if not line.include or line.include[0] != option:
            return ""
        target = self.targets[line.origin]
        given = self.given.get(target)
        if option == "--requirement" and given and given.role is Role.PINS:
            return given.of if given.of in self.files else target
        return target

    @functools.cached_property
    def _graph(self) -> Mapping[str, Mapping[str, Origin]]:
        """The files that each file includes, with the first line that includes them."""
        graph: dict[str, dict[str, Origin]] = {path: {} for path in self.files}
        for line in self.lines():
            target = self._target(line)
            if target in self.files:
                graph[line.origin.path].setdefault(target, line.origin)
        return graph

    def with_included(self, path: str) -> tuple[str, ...]:
        """`path` and every file it includes, directly or not."""
        return reachable([path], self._graph.__getitem__)

    def cycles(self) -> Iterator[Finding]:
        """A warning about files that include each other, where there are any."""
        try:
            TopologicalSorter(self._graph).prepare()
        except CycleError as error:
            names = error.args[1][::-1]
            message = f"files include each other: {' → '.join(names)}"
            hint = "each is imported once; remove one of the includes"
            origin = self._graph[names[-2]][names[-1]]
            yield findings.warning("include-cycle", message, origin, hint)


def follow_includes(inputs: Iterable[InputFile], reader: "Reader") -> Includes:
    """Read `inputs` and what they include; what cannot be read becomes an ERROR finding."""
    given = {file.path: file for file in inputs}
    files: dict[str, RequirementsFile] = {}
    targets: dict[Origin, str] = {}
    problems: list[Finding] = []
    waiting: list[tuple[str, Origin | None]] = [(path, None) for path in reversed(given)]
    while waiting:
        path, origin = waiting.pop()
        if path in files:
            continue
        file = reader.read(path, origin)
        if isinstance(file, Finding):
            problems.append(file)
            continue
        files[path] = file
        place = len(waiting)
        for line in file.lines:
            if line.include:
                targets[line.origin] = included_path(line.include[1], path)
                waiting.insert(place, (targets[line.origin], line.origin))  # the first comes next
    return Includes(files=files, given=given, targets=targets, findings=tuple(problems))


def included_path(target: str, within: str) -> str:
    """Where an include of `target` in the file `within` leads: as in pip, relative to that file."""
    if not FILE_URL.match(target) and ("://" in target or is_url(target)):
        return target
    path = as_path(target)
    if _DRIVE.match(path):
        return path
    return posixpath.normpath(posixpath.join(posixpath.dirname(within), path))


class Reader(NamedTuple):
    """`read_file` takes a path relative to the root; it raises OSError."""

    read_file: Read
    options: ImportOptions = ImportOptions()

    def read(self, path: str, origin: Origin | None) -> RequirementsFile | Finding:
        """The file at `path`, included at `origin` or named by the user; else an ERROR finding."""
        refusal = self._refusal(path, origin)
        if refusal:
            return refusal
        try:
            file = parse_requirements(self.read_file(path), path, self.options.encoding)
        except FileNotFoundError:
            kind = "file" if origin is None else "included file"
            message, hint = f"{kind} {path} not found", "create the file, or remove the line"
            return findings.error("file-not-found", message, origin, hint)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or "no file can have this name"
            return findings.error("file-unreadable", f"{path} cannot be read: {reason}", origin)
        return file.problem or file

    def _refusal(self, path: str, origin: Origin | None) -> Finding | None:
        """Why the file is not read: what is outside the project is left to the user."""
        if "://" in path or is_url(path):
            message, hint = f"{redacted(path)} is not fetched", "save the file in the project"
            return findings.error("include-url", message, origin, f"{hint} and include that")
        if variables(path):
            message = f"{path} is not read: variables in it are not expanded"
            return findings.error("include-variable", message, origin, "write the path out")
        is_out = origin and is_outside(path)
        if not self.options.allow_outside and (is_out or self.options.leads_out(path)):
            how = "is outside the project" if is_out else "leads out of the project by a link"
            message = f"{path} {how}, and is not read"
            hint = "`--allow-outside`, or copy the file into the project and include that"
            return findings.error("include-outside", message, origin, hint)
        return None
