"""Evidence for requires-python, in what tells other tools which Python to take."""

import configparser
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow.imports.local import Read, setup_literals
from uvflow.imports.model import Finding, Origin, Severity

Version = tuple[int, int]  # major and minor

# pyenv's and uv's `.python-version`, Heroku's `runtime.txt`.
_VERSION = re.compile(r"(?:c?python-?)?(?P<major>\d+)\.(?P<minor>\d+)(?:\.\S*)?$", re.IGNORECASE)
_FROM = re.compile(
    r"FROM\s+(?:--\S+\s+)*(?:\S+/)?python:(?P<major>\d+)\.(?P<minor>\d+)\b", re.IGNORECASE
)
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (?P<major>\d+)\.(?P<minor>\d+)")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one place says, as a specifier (PEP 440).

    `version` is the one Python that is used there; None where a range is declared.
    """

    specifier: str
    origin: Origin
    version: Version | None = None


@dataclass(frozen=True, kw_only=True)
class RequiresPython:
    """What the evidence comes to; `specifier` is None where there is none."""

    specifier: str | None
    candidates: tuple[Candidate, ...] = ()
    findings: tuple[Finding, ...] = ()


def required(names: Iterable[str], read: Read) -> RequiresPython:
    """The `requires-python` that fits the files among `names` (POSIX paths relative to the root).

    What is declared (`python_requires`, classifiers) decides; else it is the oldest Python in use.
    What does not fit with it needs action. A file of which `read` raises OSError is no evidence.
    """
    candidates = tuple(c for name in sorted(names) for c in _candidates(name, read))
    declared = [c for c in candidates if c.version is None]
    used = sorted((c for c in candidates if c.version), key=_by_version)
    chosen = next(iter((*declared, *used)), None)
    if chosen is None:
        return RequiresPython(specifier=None)
    others = [c for c in (*declared, *used) if not _fits(c, chosen)]
    findings = tuple(_disagreement(chosen, other) for other in others)
    return RequiresPython(specifier=chosen.specifier, candidates=candidates, findings=findings)


def _by_version(candidate: Candidate) -> tuple[Version, Origin]:
    return candidate.version or (0, 0), candidate.origin


def _fits(candidate: Candidate, chosen: Candidate) -> bool:
    if candidate.version is None or chosen.version is not None:
        return candidate.specifier == chosen.specifier
    return _admits(chosen.specifier, candidate.version)


def _admits(specifier: str, version: Version) -> bool:
    """Any patch release will do: `>3.9.1` admits 3.9."""
    return any(f"{version[0]}.{version[1]}.{patch}" in SpecifierSet(specifier) for patch in (0, 99))


def _disagreement(chosen: Candidate, other: Candidate) -> Finding:
    said = ".".join(map(str, other.version)) if other.version else other.specifier
    return Finding(
        severity=Severity.ACTION,
        code="python-disagreement",
        message=f"this says Python {said}; requires-python is {chosen.specifier} ({chosen.origin})",
        origin=other.origin,
        hint="make them agree, or choose with `--python`",
    )


def _candidates(name: str, read: Read) -> Iterator[Candidate]:
    reader = _reader_for(name)
    if reader is None:
        return
    try:
        text = read(name).decode("utf-8", "replace")
    except OSError:
        return
    yield from reader(text, name)


def _reader_for(name: str) -> Callable[[str, str], Iterator[Candidate]] | None:
    match name.lower():
        case ".python-version" | "runtime.txt":
            return _in_version_file
        case "setup.cfg":
            return _in_setup_cfg
        case "setup.py":
            return _in_setup_py
        case other if re.fullmatch(r"dockerfile(\..+)?|.+\.dockerfile", other):
            return _in_dockerfile
        case _:
            return None


def _in_version_file(text: str, path: str) -> Iterator[Candidate]:
    """The first version counts, as it does for pyenv and uv."""
    for number, line in enumerate(text.splitlines(), 1):
        match = _VERSION.match(line.strip())
        if match:
            yield _used(match, Origin(path=path, line=number))
            return


_OURS = "# Made by `uvflow docker"


def _in_dockerfile(text: str, path: str) -> Iterator[Candidate]:
    if text.startswith(_OURS):
        return  # it follows requires-python, so it is no evidence of that
    for number, line in enumerate(text.splitlines(), 1):
        match = _FROM.match(line.strip())
        if match:
            yield _used(match, Origin(path=path, line=number))


def _used(match: re.Match[str], origin: Origin) -> Candidate:
    version = int(match["major"]), int(match["minor"])
    return Candidate(specifier=f">={version[0]}.{version[1]}", origin=origin, version=version)


def _in_setup_cfg(text: str, path: str) -> Iterator[Candidate]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    said = parser.get("options", "python_requires", fallback="")
    yield from _declared(said, parser.get("metadata", "classifiers", fallback=""), text, path)


def _in_setup_py(text: str, path: str) -> Iterator[Candidate]:
    said = setup_literals(text)
    classifiers = said.get("classifiers", ())
    listed = "\n".join(map(str, classifiers)) if isinstance(classifiers, list) else ""
    yield from _declared(str(said.get("python_requires", "")), listed, text, path)


def _declared(said: str, classifiers: str, text: str, path: str) -> Iterator[Candidate]:
    """`python_requires`, or else the oldest Python of the classifiers."""
    specifier = _specifier(said)
    listed = [(int(m["major"]), int(m["minor"])) for m in _CLASSIFIER.finditer(classifiers)]
    if specifier:
        origin = Origin(path=path, line=_line_of("python_requires", text))
        yield Candidate(specifier=specifier, origin=origin)
    elif listed:
        origin = Origin(path=path, line=_line_of("Programming Language", text))
        yield Candidate(specifier=f">={min(listed)[0]}.{min(listed)[1]}", origin=origin)


def _specifier(said: str) -> str:
    """A specifier that is one; setuptools once let `>=3.6.*` pass, which PEP 440 does not."""
    text = re.sub(r"([<>]=?\s*\d+(?:\.\d+)*)\.\*", r"\1", said).strip()
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return ""
    return text


def _line_of(word: str, text: str) -> int:
    return text[: text.find(word)].count("\n") + 1 if word in text else 1
