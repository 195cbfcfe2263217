"""What other files of a project say about its name, its Python and obstacles to an import. Pure."""

import configparser
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.formats import setuptools
from uvflow.migrate.formats.setuptools import setup_literals
from uvflow.migrate.model import ImportedRequirements, InputFile, Read, Role
from uvflow.paths import MANIFEST

# The first lines that pip-tools and uv write into a file compiled from a pyproject.toml.
_COMPILED = re.compile(rb"^#\s+(?:pip-compile|uv pip compile)\b.*\bpyproject\.toml\b", re.MULTILINE)
_HEAD = 2000  # bytes in which such a line stands

# uv reads these from pyproject.toml even where there is a uv.toml (uv docs, "Configuration files").
_OF_PROJECTS = ("conflicts",)

_FOREIGN = {
    "Pipfile": "pipenv",
    "Pipfile.lock": "pipenv",
    "environment.yml": "conda",
    "environment.yaml": "conda",
}

_FOREIGN_TABLES = {"poetry": "dependencies", "pdm": "dev-dependencies"}


def declared_name(read: Read) -> str | None:
    """What the project calls itself in another tool's metadata, where that is written plainly."""
    return setuptools.local_project_name(".", read)


def with_compiled(inputs: Iterable[InputFile], read: Read) -> tuple[InputFile, ...]:
    """`inputs`, those that were compiled from pyproject.toml as pins: it says what is wanted."""
    return tuple(
        replace(file, role=Role.PINS, of=MANIFEST) if _is_compiled(file, read) else file
        for file in inputs
    )


def _is_compiled(file: InputFile, read: Read) -> bool:
    if file.role not in (Role.PROJECT, Role.GROUP):
        return False
    try:
        return _COMPILED.search(read(file.path)[:_HEAD]) is not None
    except OSError:
        return False  # that it cannot be read is told where it is imported


def obstacles(
    names: Iterable[str], read: Read, imported: ImportedRequirements, manifest: str
) -> tuple[Finding, ...]:
    """What stands in the way of `imported`, or is left behind by it.

    `names` are the files of the root, `manifest` the text that pyproject.toml has or will have.
    """
    names = frozenset(names)
    return (
        *(_ignored(imported) if "uv.toml" in names else ()),
        *_foreign(names, manifest, frozenset(file.path for file in imported.files)),
        *_unbuilt(names, read, manifest),
    )


def unlocked(imported: ImportedRequirements) -> ImportedRequirements:
    """`imported` when no lockfile is made: what only a lockfile can keep or prove is told."""
    pins, hashes = len(imported.pins), sum(len(r.hashes) for r in imported.requirements)
    lost = (
        *((f"keeps {_counted(pins, 'pinned version')}",) if pins else ()),
        *((f"compares {_counted(hashes, 'hash', 'hashes')}",) if hashes else ()),
    )
    if not lost:
        return imported
    finding = findings.action(
        "not-locked",
        f"without a lockfile nothing {' or '.join(lost)}",
        None,
        "`uvflow init` again, without `--no-lock`, while the old files are there",
    )
    return replace(imported, findings=(*imported.findings, finding))


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _ignored(imported: ImportedRequirements) -> Iterator[Finding]:
    """Beside a uv.toml uv ignores most of [tool.uv]: another index would be asked, say."""
    keys = [key for key in imported.settings if key not in _OF_PROJECTS]
    for key in (*(("index",) if imported.indexes else ()), *keys):
        yield findings.error(
            "uv-toml",
            f"uv would ignore `{key}` in [tool.uv] of pyproject.toml beside this file",
            Origin(path="uv.toml", line=1),
            "move what uv.toml says into [tool.uv] of pyproject.toml",
        )


def _foreign(names: frozenset[str], manifest: str, imported: frozenset[str]) -> Iterator[Finding]:
    tools = tomllib.loads(manifest).get("tool", {})
    found = (
        *((path, tool) for path, tool in _FOREIGN.items() if path in names),
        *(
            (MANIFEST, tool)
            for tool, key in _FOREIGN_TABLES.items()
            if isinstance(said := tools.get(tool), dict) and key in said
        ),
    )
    for path, tool in (pair for pair in found if pair[0] not in imported):
        yield findings.action(
            "not-imported",
            f"what {tool} keeps here is not imported",
            Origin(path=path, line=1),
            "add its packages with `uv add`, or list them in a requirements.in first",
        )


def _unbuilt(names: frozenset[str], read: Read, manifest: str) -> Iterator[Finding]:
    """setuptools takes no metadata of a setup script any more once there is a [project]."""
    if "build-system" in tomllib.loads(manifest):
        return
    for path in ("setup.cfg", "setup.py"):
        if path in names and _declares_a_package(path, read):
            yield findings.action(
                "not-built",
                "uv does not install the project itself, and a build takes its version,"
                " scripts and extras from [project] from now on",
                Origin(path=path, line=1),
                "move them into [project] of pyproject.toml, and add a [build-system]",
            )


def _declares_a_package(path: str, read: Read) -> bool:
    """A setup.cfg may hold nothing but the settings of linters."""
    try:
        text = read(path)
    except OSError:
        return False
    pattern = rb"^\[(?:metadata|options)\]" if path == "setup.cfg" else rb"\bsetup\s*\("
    return re.search(pattern, text, re.MULTILINE) is not None


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


def requires_python_evidence(names: Iterable[str], read: Read) -> RequiresPython:
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
    return findings.action(
        "python-disagreement",
        f"this says Python {said}; requires-python is {chosen.specifier} ({chosen.origin})",
        other.origin,
        "make them agree, or choose with `--python`",
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
