"""Requirements files and what they include: each is read once, and cycles are found. Pure."""

import functools
import itertools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.credentials import UNCLEAR, are_unclear, expanded, split_userinfo, variables
from uvflow.migrate.formats.pip import requirements_txt
from uvflow.migrate.formats.pip.direct_reference import _FILE, as_path, is_outside, is_url
from uvflow.migrate.formats.pip.requirements_txt import Line, RequirementsFile
from uvflow.migrate.model import ImportOptions, InputFile, Read, Role, reachable
from uvflow.redaction import redacted

_WEB = re.compile(r"https?://[^/]", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:/")


@dataclass(frozen=True, kw_only=True)
class IncludePath:
    """A file: `path` is what it is called, `address` where it is read, "" for nowhere.

    Either is relative to the root (POSIX), absolute, or a URL; only the address has the userinfo of
    a URL, and the values of variables.
    """

    path: str
    address: str = field(repr=False)

    @property
    def is_on_the_web(self) -> bool:
        return _WEB.match(self.address) is not None

    def included(self, said: str, environ: Mapping[str, str]) -> "IncludePath":
        """Where an include in this file leads.

        As in pip, variables are expanded, and a path is relative to the file that has it, a URL to
        that of the file. What is on the web names no file of this machine.
        """
        value = expanded(said, environ)
        if self.is_on_the_web:
            return _on_the_web(_joined(self.path, said) or said, _joined(self.address, value))
        if is_url(value) and not _FILE.match(value):
            return _on_the_web(said, value)
        if "://" in value and not is_url(value):  # two lines that have become one
            return IncludePath(path=redacted(said), address="")
        path = as_path(value)
        if not _DRIVE.match(path):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.address), path))
        return IncludePath(path=path, address=path)


def named_path(text: str) -> IncludePath:
    """The file that the command line names, or that was found: a path or a URL."""
    return _on_the_web(text, text) if is_url(text) else IncludePath(path=text, address=text)


def _on_the_web(said: str, url: str) -> IncludePath:
    """By the URL as it is written, where a variable does not stand for all of it."""
    name = redacted(said if is_url(said) else url)
    return IncludePath(path=split_userinfo(name)[0], address=url if _WEB.match(url) else "")


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:  # what is no URL
        return ""


Fetch = Callable[[str], bytes]


def no_network(_url: str) -> bytes:
    """The Fetch of who has no network."""
    raise ConnectionError("there is no network here")


@dataclass(frozen=True, kw_only=True)
class Reader:
    """`read` takes a path relative to the root, `fetch` a URL of the web.

    Both raise OSError, FileNotFoundError where there is no such file. Where `fetch` raises
    ConnectionError or TimeoutError, the network is the reason.
    """

    read: Read
    fetch: Fetch = no_network
    options: ImportOptions

    def file(self, place: IncludePath, origin: Origin | None) -> RequirementsFile | Finding:
        """The file at `place`, included at `origin` or named by the user; else an ERROR finding."""
        refusal = self._refusal(place, origin)
        if refusal:
            return refusal
        try:
            data = (self.fetch if place.is_on_the_web else self.read)(place.address)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            return _unread(place, origin, error)
        file = requirements_txt.parse_requirements(data, place.path, self.options.encoding)
        return file.problem or file

    def _refusal(self, place: IncludePath, origin: Origin | None) -> Finding | None:
        """What a file says is not to make uvflow read or ask whatever there is to be read."""
        if not place.address:
            return _error(origin, "include-url", f"{place.path} is not fetched", _SAVE)
        if origin and not self.options.allow_outside and is_outside(place.address):
            if is_url(place.address):
                message = f"{place.path} is not fetched"
                return _error(origin, "include-url", message, f"`--allow-outside`, or {_SAVE}")
            message = f"{place.path} lies outside the project, and is not read"
            return _error(origin, "include-outside", message, f"`--allow-outside`, or {_COPY}")
        unset = variables(place.address)
        if unset:
            message = (
                f"{place.path} needs {' and '.join(unset)}, which the environment does not have"
            )
            return _error(
                origin, "variable-unset", message, f"set {' and '.join(unset)} for this run"
            )
        if are_unclear(place.address):
            hint = "percent-encode what the password has of / ? # @ (RFC 3986)"
            return _error(origin, "include-url", f"{UNCLEAR}, which is not fetched", hint)
        return None


_SAVE = "save the file in the project and include that"
_COPY = "copy the file into the project and include that"


def _unread(place: IncludePath, origin: Origin | None, error: OSError | ValueError) -> Finding:
    why = getattr(error, "strerror", None) or error
    match error:
        case FileNotFoundError():
            kind = "file" if origin is None else "included file"
            hint = "write the file, or take the line out"
            return _error(origin, "file-not-found", f"{kind} {place.path} not found", hint)
        case ConnectionError() | TimeoutError():
            message = f"{place.path} cannot be reached: {why}"
            return _error(origin, "include-unreachable", message, f"try again, or {_SAVE}")
        case _:
            return _error(origin, "file-unreadable", f"{place.path} cannot be read: {why}")


def _error(origin: Origin | None, code: str, message: str, hint: str | None = None) -> Finding:
    return findings.error(code, message, origin, hint)


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
        return reachable([path], self._forwards.__getitem__)

    def leading_to(self, paths: Iterable[str]) -> frozenset[str]:
        """`paths` and every file that includes one of them, directly or not."""
        return frozenset(reachable(paths, self._backwards.__getitem__))

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
    places = {named_path(file.path): file for file in inputs}
    given = {place.path: replace(file, path=place.path) for place, file in places.items()}
    files: dict[str, RequirementsFile] = {}
    targets: dict[Origin, str] = {}
    findings: list[Finding] = []
    unread: set[Origin] = set()
    waiting: list[tuple[IncludePath, Origin | None]] = [(place, None) for place in reversed(places)]
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
    file: RequirementsFile, place: IncludePath, options: ImportOptions
) -> Iterator[tuple[IncludePath, Origin]]:
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
    return findings.warning(
        "include-cycle",
        f"files include each other: {' → '.join(members)}",
        origin,
        "each is imported once; take one of the includes out",
    )
