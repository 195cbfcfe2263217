"""Requirements files and what they include: each is read once, and cycles are found. Pure."""

import functools
import itertools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from urllib.parse import urljoin

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.credentials import (
    UNCLEAR,
    expand_variables,
    has_unclear_credentials,
    split_userinfo,
    variables,
)
from uvflow.migrate.formats.pip.direct_reference import FILE_URL, as_path, is_outside, is_url
from uvflow.migrate.formats.pip.requirements_txt import Line, RequirementsFile, parse_requirements
from uvflow.migrate.model import ImportOptions, InputFile, Read, Role, reachable
from uvflow.redaction import redacted

_WEB = re.compile(r"https?://[^/]", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:/")

_SAVE = "save the file in the project and include that"
_LOGIN = f"log in with variables, as in `https://${{USER}}:${{TOKEN}}@…`, or {_SAVE}"
_ALLOW = "`--allow-outside`, or copy the file into the project and include that"

Fetch = Callable[[str, str], bytes]


@dataclass(frozen=True, kw_only=True)
class Includes:
    """The files of an import in the order they are met, and what their lines include.

    `given` are the files that were not only met. `targets` are the paths that lines include, by the
    origin of the line.
    """

    files: Mapping[str, RequirementsFile]
    given: Mapping[str, InputFile]
    targets: Mapping[Origin, str]
    findings: tuple[Finding, ...] = ()

    def lines(self) -> Iterator[Line]:
        return itertools.chain.from_iterable(file.lines for file in self.files.values())

    @functools.cached_property
    def roles(self) -> Mapping[str, InputFile]:
        """What each file is: as given, but what a project file includes is the project's, too."""
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
                        roles.setdefault(path, replace(start, path=path))
        return roles | {
            path: InputFile(path=path, role=Role.CONSTRAINTS)
            for path in self.files
            if path not in roles
        }

    def included_file(self, line: Line) -> InputFile | None:
        """The file that `line` includes with `-r`, if that could be read."""
        return self.roles.get(self._included_path(line))

    def constraints_file(self, line: Line) -> InputFile | None:
        """The file that `line` names with `-c`, if that could be read."""
        return self.roles.get(self._target(line, "--constraint"))

    def _target(self, line: Line, option: str) -> str:
        """The path of the file that `line` names with `option`, or nothing."""
        include = line.include
        return self.targets[line.origin] if include and include[0] == option else ""

    def _included_path(self, line: Line) -> str:
        """For a compiled file it is the source, which has what is wanted; the compiled has pins."""
        target = self._target(line, "--requirement")
        given = self.given.get(target)
        is_compiled = given and given.role is Role.PINS and given.of in self.files
        return given.of if given and is_compiled else target

    @functools.cached_property
    def _graph(self) -> Mapping[str, Mapping[str, Origin]]:
        """What each file includes, with the first line that does."""
        graph: dict[str, dict[str, Origin]] = {path: {} for path in self.files}
        for line in self.lines():
            target = self._included_path(line)
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
    given = {input_path(file.path): file for file in inputs}
    known = {path.address: path for path in given}  # a variable may lead to the same file
    files: dict[str, RequirementsFile] = {}
    targets: dict[Origin, str] = {}
    problems: list[Finding] = []
    waiting: list[tuple[IncludePath, Origin | None]] = [(path, None) for path in reversed(given)]
    while waiting:
        path, origin = waiting.pop()
        if path.path in files:
            continue
        file = reader.read(path, origin)
        if isinstance(file, Finding):
            problems.append(file)
            continue
        files[path.path] = file
        place = len(waiting)
        for line in file.lines:
            if line.include:
                target = path.resolve(line.include[1], reader.options.environ)
                target = known.setdefault(target.address or target.path, target)
                waiting.insert(place, (target, line.origin))  # the first one comes next
                targets[line.origin] = target.path
    return Includes(
        files=files,
        given={path.path: replace(file, path=path.path) for path, file in given.items()},
        targets=targets,
        findings=tuple(problems),
    )


@dataclass(frozen=True, kw_only=True)
class Reader:
    """`read_file` takes a path relative to the root, `fetch` a URL of the web and what to call it.

    Both raise OSError, FileNotFoundError where the file does not exist. Where `fetch` raises
    ConnectionError or TimeoutError, the network is the reason. `leads_out` says whether a path in
    the project leads out of it by a link.
    """

    read_file: Read
    fetch: Fetch
    leads_out: Callable[[str], bool] = lambda _path: False
    options: ImportOptions = field(default_factory=ImportOptions)

    def read(self, path: "IncludePath", origin: Origin | None) -> RequirementsFile | Finding:
        """The file at `path`, included at `origin` or named by the user; else an ERROR finding."""
        refusal = self._refusal(path, origin)
        if refusal:
            return refusal
        try:
            if path.is_on_the_web:
                data = self.fetch(path.address, path.path)
            else:
                data = self.read_file(path.address)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            return _read_failure(path, origin, error)
        file = parse_requirements(data, path.path, self.options.encoding)
        if path.is_on_the_web:
            file = replace(file, lines=tuple(map(_without_variables, file.lines)))
        return file.problem or file

    def _refusal(self, path: "IncludePath", origin: Origin | None) -> Finding | None:
        """A file must not make uvflow read, or fetch, whatever it names."""
        if not path.address:
            return findings.error("include-url", f"{path.path} is not fetched", origin, _SAVE)
        if origin and is_url(path.address) and not self.options.allow_outside:
            message, hint = f"{path.path} is not fetched", f"`--allow-outside`, or {_SAVE}"
            return findings.error("include-url", message, origin, hint)
        is_out = origin and is_outside(path.address)
        if not self.options.allow_outside and (is_out or self.leads_out(path.address)):
            how = "is outside the project" if is_out else "leads out of the project by a link"
            message = f"{path.path} {how}, and is not read"
            return findings.error("include-outside", message, origin, _ALLOW)
        unset = " and ".join(variables(path.address))
        if unset:
            message = f"{path.path} needs {unset} in the environment"
            return findings.error("variable-unset", message, origin, f"set {unset} for this run")
        if has_unclear_credentials(path.address):
            hint = "percent-encode what the password has of / ? # @ (RFC 3986)"
            return findings.error("include-url", f"{UNCLEAR}, so it is not fetched", origin, hint)
        return None


def _without_variables(line: Line) -> Line:
    """A server must not learn variables, nor have them sent to another one that it names."""
    if not variables(line.text):
        return line
    message = f"`{redacted(line.text)}`: variables are not expanded in a file from the web"
    problem = findings.error("variable-from-web", message, line.origin, _SAVE)
    return Line(origin=line.origin, text=line.text, problem=problem)


def _read_failure(
    path: "IncludePath", origin: Origin | None, error: OSError | ValueError
) -> Finding:
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, ValueError):  # its own message may quote the address
        reason = "no file can have this name"
    match error:
        case FileNotFoundError():
            kind = "file" if origin is None else "included file"
            message, hint = f"{kind} {path.path} not found", "create the file, or remove the line"
            return findings.error("file-not-found", message, origin, hint)
        case ConnectionError() | TimeoutError():
            message = f"{path.path} cannot be reached: {reason}"
            return findings.error("include-unreachable", message, origin, f"try again, or {_SAVE}")
        case _:
            message = f"{path.path} cannot be read: {reason}"
            is_login = path.is_on_the_web and isinstance(error, PermissionError)
            return findings.error("file-unreadable", message, origin, _LOGIN if is_login else None)


@dataclass(frozen=True, kw_only=True)
class IncludePath:
    """A file: `path` is what it is called, `address` where it is read, "" for nowhere.

    Either is relative to the root (POSIX), absolute, or a URL; only the address, which nobody is
    shown, has the userinfo of a URL and the values of variables.
    """

    path: str
    address: str = field(repr=False)

    @property
    def is_on_the_web(self) -> bool:
        return _WEB.match(self.address) is not None

    def resolve(self, target: str, environ: Mapping[str, str]) -> "IncludePath":
        """Where an include of `target` in this file leads.

        As in pip, variables are expanded, and a path is relative to the file that has it, a URL to
        that of the file. A file from the web names no file of this machine.
        """
        value = expand_variables(target, environ)
        if self.is_on_the_web:
            return _on_the_web(_join(self.path, target) or target, _join(self.address, target))
        if is_url(value) and not FILE_URL.match(value):
            return _on_the_web(target, value)
        if "://" in value and not is_url(value):  # two lines that have become one
            return IncludePath(path=redacted(target), address="")
        path, address = as_path(target), as_path(value)
        if not _DRIVE.match(address):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), path))
            address = posixpath.normpath(posixpath.join(posixpath.dirname(self.address), address))
        return IncludePath(path=path, address=address)


def input_path(text: str) -> IncludePath:
    """A file that the command line names, or that was discovered: a path or a URL."""
    return _on_the_web(text, text) if is_url(text) else IncludePath(path=text, address=text)


def _on_the_web(target: str, url: str) -> IncludePath:
    """Named by the URL as it is written."""
    name = split_userinfo(redacted(target))[0]
    return IncludePath(path=name, address=url if _WEB.match(url) else "")


def _join(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:  # what is not a URL
        return ""
