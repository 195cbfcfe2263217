"""Which requirements files include which: every file read once, cycles and missing files found."""

import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from uvflow.imports import requirements
from uvflow.imports.credentials import redacted
from uvflow.imports.local import Read
from uvflow.imports.model import Finding, InputFile, Options, Origin, Role, Severity
from uvflow.imports.requirements import Line, RequirementsFile


@dataclass(frozen=True, kw_only=True)
class Edges:
    """The `-r` edges between files; an include of a compiled file is one of its source."""

    files: Mapping[str, RequirementsFile]
    compiled: Mapping[str, str]

    def of(self, path: str) -> Iterator[tuple[str, Origin]]:
        for line in self.files[path].lines:
            target = _target(line, "--requirement")
            source = self.compiled.get(target or "", target or "")
            if source in self.files:
                yield source, line.origin

    def reachable(self, path: str) -> tuple[str, ...]:
        """`path` and every file it includes, directly or not."""
        found, waiting = dict[str, None](), [path]
        while waiting:
            here = waiting.pop()
            if here not in found:
                found[here] = None
                waiting.extend(target for target, _ in self.of(here))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Includes:
    """The files of an import in the order they are met, and what each is to the project.

    `unread` are the origins of the includes whose file could not be read.
    """

    files: Mapping[str, RequirementsFile]
    roles: Mapping[str, InputFile]
    findings: tuple[Finding, ...] = ()
    unread: frozenset[Origin] = frozenset()
    edges: Edges = field(repr=False)

    def lines(self) -> Iterator[Line]:
        return itertools.chain.from_iterable(file.lines for file in self.files.values())

    def included(self, line: Line) -> InputFile | None:
        """The file that `line` includes with `-r`, if that could be read.

        Of a compiled file it is the source: what is wanted, where the compiled one has the pins.
        """
        target = self._named_by(line, "--requirement")
        if target is None or target.role is not Role.PINS:
            return target
        return self.roles.get(target.of, target)

    def constraining(self, line: Line) -> InputFile | None:
        """The file that `line` names with `-c`, if that could be read."""
        return self._named_by(line, "--constraint")

    def _named_by(self, line: Line, option: str) -> InputFile | None:
        target = _target(line, option)
        return self.roles.get(target) if target else None


def follow(inputs: Iterable[InputFile], read: Read, options: Options) -> Includes:
    """Read `inputs` and what they include; what cannot be read becomes an ERROR finding.

    `read` takes a path relative to the root and raises OSError, FileNotFoundError where there is
    no such file.
    """
    given = {file.path: file for file in inputs}
    files: dict[str, RequirementsFile] = {}
    findings: list[Finding] = []
    unread: set[Origin] = set()
    waiting: list[tuple[str, Origin | None]] = [(path, None) for path in reversed(given)]
    while waiting:
        path, origin = waiting.pop()
        if path in files:
            continue
        file = _read(path, origin, read, options)
        if isinstance(file, Finding):
            findings.append(file)
            unread.update(() if origin is None else (origin,))
            continue
        files[path] = file
        waiting.extend(reversed(list(_targets(file))))
    edges = Edges(files=files, compiled=_compiled(given))
    return Includes(
        files=files,
        roles=_roles(given, edges),
        findings=(*findings, *_cycles(edges)),
        unread=frozenset(unread),
        edges=edges,
    )


def _read(
    path: str, origin: Origin | None, read: Read, options: Options
) -> RequirementsFile | Finding:
    if re.match(r"(?:https?|ftp|file):", path, re.IGNORECASE):
        hint = "save the file in the project and include that"
        return _unread(origin, "include-url", f"{redacted(path)} is not fetched", hint)
    try:
        file = requirements.parse(read(path), path, options.encoding)
    except FileNotFoundError:
        kind = "file" if origin is None else "included file"
        hint = "write the file, or take the line out"
        return _unread(origin, "file-not-found", f"{kind} {path} not found", hint)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        return _unread(origin, "file-unreadable", f"{path} cannot be read: {why}")
    return file.problem or file


def _unread(origin: Origin | None, code: str, message: str, hint: str | None = None) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, message=message, origin=origin, hint=hint)


def _targets(file: RequirementsFile) -> Iterator[tuple[str, Origin]]:
    for line in file.lines:
        for option in ("--requirement", "--constraint"):
            target = _target(line, option)
            if target:
                yield target, line.origin


def _target(line: Line, option: str) -> str | None:
    """Relative to the file that has the line."""
    include = line.include
    if include is None or include[0] != option:
        return None
    path = include[1].replace("\\", "/")
    if _is_url(path):
        return path
    return posixpath.normpath(posixpath.join(posixpath.dirname(line.origin.path), path))


def _is_url(path: str) -> bool:
    return re.match(r"(?:https?|ftp|file):", path, re.IGNORECASE) is not None


def _roles(given: Mapping[str, InputFile], edges: Edges) -> dict[str, InputFile]:
    """What each file is: as given, but what a project file includes is the project's as well."""
    roles = {path: file for path, file in given.items() if path in edges.files}
    for role in (Role.PROJECT, Role.GROUP, Role.CONSTRAINTS, Role.PINS):
        for start in [file for file in roles.values() if file.role is role]:
            for path in edges.reachable(start.path):
                roles[path] = _role_of(path, start, roles.get(path))
    for path in edges.files:
        roles.setdefault(path, _file(path, Role.CONSTRAINTS))
    return roles


def _role_of(path: str, start: InputFile, known: InputFile | None) -> InputFile:
    """The role of the file at `path`, once `start` is known to include it."""
    match start.role:
        case Role.PROJECT if known is None or known.role is not Role.PINS:
            return _file(path, Role.PROJECT)
        case Role.GROUP if known is None or known.role is Role.CONSTRAINTS:
            return _file(path, Role.INCLUDED)
        case _:
            return known or replace(start, path=path)


def _file(path: str, role: Role) -> InputFile:
    return InputFile(path=path, format="requirements", role=role)


def _compiled(given: Mapping[str, InputFile]) -> dict[str, str]:
    return {file.path: file.of for file in given.values() if file.role is Role.PINS}


def _cycles(edges: Edges) -> Iterator[Finding]:
    """One warning for each include that leads back to a file that is being read."""
    done: set[str] = set()
    for start in edges.files:
        trail = {start: edges.of(start)} if start not in done else {}
        while trail:
            here = next(reversed(trail))
            target, origin = next(trail[here], ("", None))
            if origin is None:
                done.add(here)
                del trail[here]
            elif target in trail:
                yield _cycle(list(trail), target, origin)
            elif target not in done:
                trail[target] = edges.of(target)


def _cycle(trail: list[str], target: str, origin: Origin) -> Finding:
    members = (*trail[trail.index(target) :], target)
    return Finding(
        severity=Severity.WARNING,
        code="include-cycle",
        message=f"files include each other: {' → '.join(members)}",
        origin=origin,
        hint="each is imported once; take one of the includes out",
    )
