"""Which requirements files include which: each read once; cycles, and what is not read, found."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from uvflow.imports.model import Finding, InputFile, Options, Origin, Role, Severity
from uvflow.imports.places import Place, named
from uvflow.imports.reading import Reader
from uvflow.imports.requirements import Line, RequirementsFile


@dataclass(frozen=True, kw_only=True)
class Edges:
    """The `-r` edges between files; an include of a compiled file is one of its source.

    `targets` are the paths of what lines include.
    """

    files: Mapping[str, RequirementsFile]
    compiled: Mapping[str, str]
    targets: Mapping[Origin, str]

    def of(self, path: str) -> Iterator[tuple[str, Origin]]:
        for line in self.files[path].lines:
            target = self.named_by(line, "--requirement") or ""
            source = self.compiled.get(target, target)
            if source in self.files:
                yield source, line.origin

    def named_by(self, line: Line, option: str) -> str | None:
        """The path of the file that `line` names with `option`."""
        include = line.include
        return self.targets[line.origin] if include and include[0] == option else None

    def reachable(self, path: str) -> tuple[str, ...]:
        """`path` and every file it includes, directly or not."""
        return _along(self._forwards, [path])

    def leading_to(self, paths: Iterable[str]) -> frozenset[str]:
        """`paths` and every file that includes one of them, directly or not."""
        return frozenset(_along(self._backwards, paths))

    @functools.cached_property
    def _forwards(self) -> Mapping[str, Iterable[str]]:
        return {path: dict.fromkeys(target for target, _ in self.of(path)) for path in self.files}

    @functools.cached_property
    def _backwards(self) -> Mapping[str, Iterable[str]]:
        found: dict[str, list[str]] = {path: [] for path in self.files}
        for path, targets in self._forwards.items():
            for target in targets:
                found[target].append(path)
        return found


def _along(edges: Mapping[str, Iterable[str]], starts: Iterable[str]) -> tuple[str, ...]:
    found, waiting = dict[str, None](), [*starts]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found[here] = None
            waiting.extend(edges[here])
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
        target = self.edges.named_by(line, option)
        return self.roles.get(target) if target else None


def follow(inputs: Iterable[InputFile], reader: Reader) -> Includes:
    """Read `inputs` and what they include; what cannot be read becomes an ERROR finding."""
    places = {named(file.path): file for file in inputs}
    given = {place.path: replace(file, path=place.path) for place, file in places.items()}
    files: dict[str, RequirementsFile] = {}
    targets: dict[Origin, str] = {}
    findings: list[Finding] = []
    unread: set[Origin] = set()
    waiting: list[tuple[Place, Origin | None]] = [(place, None) for place in reversed(places)]
    while waiting:
        place, origin = waiting.pop()
        if place.path in files:
            continue
        file = reader.file(place, origin)
        if isinstance(file, Finding):
            findings.append(file)
            unread.update(() if origin is None else (origin,))
            continue
        files[place.path] = file
        included = [*_included(file, place, reader.options)]
        targets.update({origin: place.path for place, origin in included})
        waiting.extend(reversed(included))
    edges = Edges(files=files, compiled=_compiled(given), targets=targets)
    return Includes(
        files=files,
        roles=_roles(given, edges),
        findings=(*findings, *_cycles(edges)),
        unread=frozenset(unread),
        edges=edges,
    )


def _included(
    file: RequirementsFile, place: Place, options: Options
) -> Iterator[tuple[Place, Origin]]:
    for line in file.lines:
        if line.include:
            yield place.included(line.include[1], options.environ), line.origin


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
