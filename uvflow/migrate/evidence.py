"""The evidence of other files: the project's name, its Python, obstacles to an import. Pure."""

import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow import findings
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.discover import other_formats
from uvflow.migrate.formats.setuptools import read_if_there, read_setup_cfg, setup_literals
from uvflow.migrate.model import ImportedRequirements, InputFile, Read, Role
from uvflow.paths import MANIFEST

# The first lines that pip-tools and uv write into a file compiled from a pyproject.toml.
_COMPILED = re.compile(rb"^#\s+(?:pip-compile|uv pip compile)\b.*\bpyproject\.toml\b", re.MULTILINE)
_HEAD = 2000  # bytes in which such a line stands

# uv reads these from pyproject.toml even where there is a uv.toml (uv docs, "Configuration files").
_READ_BESIDE_UV_TOML = ("conflicts",)

# How a setup script declares a package: a setup.cfg may hold nothing but the settings of linters.
_PACKAGE_IN = {
    "setup.cfg": re.compile(rb"^\[(?:metadata|options)\]", re.MULTILINE),
    "setup.py": re.compile(rb"\bsetup\s*\("),
}

# pyenv's and uv's `.python-version`, Heroku's `runtime.txt`.
_VERSION = re.compile(r"(?:c?python-?)?(?P<major>\d+)\.(?P<minor>\d+)(?:\.\S*)?$", re.IGNORECASE)
_FROM = re.compile(
    r"FROM\s+(?:--\S+\s+)*(?:\S+/)?python:(?P<major>\d+)\.(?P<minor>\d+)\b", re.IGNORECASE
)
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (?P<major>\d+)\.(?P<minor>\d+)")
_EVIDENCE = re.compile(
    r"\.python-version|runtime\.txt|setup\.(?:cfg|py)|dockerfile(?:\..+)?|.+\.dockerfile",
    re.IGNORECASE,
)
_OUR_DOCKERFILE = "# Made by `uvflow docker"


def with_compiled(inputs: Iterable[InputFile], read_file: Read) -> tuple[InputFile, ...]:
    """`inputs`, with those compiled from pyproject.toml as its pins."""
    return tuple(
        replace(file, role=Role.PINS, of=MANIFEST)
        if file.role in (Role.PROJECT, Role.GROUP)
        and _COMPILED.search((read_if_there(file.path, read_file) or b"")[:_HEAD])
        else file
        for file in inputs
    )


def obstacles(
    names: Iterable[str], read_file: Read, imported: ImportedRequirements, manifest: str
) -> Iterator[Finding]:
    """What is in the way of `imported`, or is not imported along with it.

    `names` are the files of the root, `manifest` the text that pyproject.toml has or will have.
    """
    names = frozenset(names)
    tables = tomllib.loads(manifest)
    # Beside a uv.toml uv ignores most of [tool.uv]: it would use another index, for example.
    settings = [key for key in imported.settings if key not in _READ_BESIDE_UV_TOML]
    ignored = [*(["index"] if imported.indexes else []), *settings]
    for key in ignored if "uv.toml" in names else ():
        yield findings.error(
            "uv-toml",
            f"because of this file, uv would ignore `{key}` in [tool.uv] of pyproject.toml",
            Origin(path="uv.toml", line=1),
            "move the settings of uv.toml into [tool.uv] of pyproject.toml",
        )
    project = tables.get("project", {})
    is_empty = not (
        imported.requirements
        or "dependencies" in project
        or "dependencies" in project.get("dynamic", ())
    )
    imported_files = {file.path for file in imported.files}
    for path, tool in other_formats(names, tables):
        if path not in imported_files:
            yield _not_imported(path, f"the {tool} dependencies", is_empty=is_empty)
    yield from _setup_scripts(names, read_file, tables, is_empty=is_empty)


def _not_imported(path: str, what: str, *, is_empty: bool) -> Finding:
    """An error where nothing else gives dependencies: an empty project would count as in sync."""
    finding = findings.action(
        "not-imported",
        f"{what} in this file are not imported",
        Origin(path=path, line=1),
        "list its packages in a requirements.in first, or add them with `uv add`",
    )
    return replace(finding, severity=Severity.ERROR) if is_empty else finding


def _setup_scripts(
    names: frozenset[str], read_file: Read, tables: Mapping[str, Any], *, is_empty: bool
) -> Iterator[Finding]:
    """setuptools ignores the metadata of a setup script once there is a [project]."""
    is_built = "build-system" in tables
    for path, pattern in _PACKAGE_IN.items() if "project" not in tables or not is_built else ():
        text = read_if_there(path, read_file) or b"" if path in names else b""
        if not pattern.search(text):
            continue
        if is_empty and b"install_requires" in text:
            yield _not_imported(path, "the dependencies", is_empty=True)
        finding = findings.action(
            "not-built",
            "a build takes version, scripts, extras and dependencies from [project] from now on"
            + ("" if is_built else ", and uv does not install the project itself"),
            Origin(path=path, line=1),
            "move them into [project] of pyproject.toml" + ("" if is_built else _ADD_BUILD_SYSTEM),
        )
        yield replace(finding, severity=Severity.ERROR) if is_built else finding


_ADD_BUILD_SYSTEM = ", and add a [build-system]"


def unlocked(imported: ImportedRequirements) -> ImportedRequirements:
    """`imported` without a lockfile: a finding names what only a lockfile can keep or verify."""
    pins, hashes = len(imported.pins), sum(len(r.hashes) for r in imported.requirements)
    lost = (
        *((f"keeps {pins} pinned version{'' if pins == 1 else 's'}",) if pins else ()),
        *((f"compares {hashes} hash{'' if hashes == 1 else 'es'}",) if hashes else ()),
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


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A `requires-python` that one place in a file suggests, as a specifier (PEP 440).

    `version` is the one Python that is used there; None where a range is declared.
    """

    specifier: str
    origin: Origin
    version: tuple[int, int] | None = None  # major and minor

    @property
    def python(self) -> str:
        return ".".join(map(str, self.version)) if self.version else self.specifier

    def fits(self, chosen: "Candidate") -> bool:
        """Whether both can hold: a Python that is used has to be in a range that is declared."""
        if self.version is None or chosen.version is not None:
            return self.specifier == chosen.specifier
        return admits_python(chosen.specifier, self.version)


@dataclass(frozen=True, kw_only=True)
class RequiresPython:
    """The conclusion; `specifier` is None without evidence."""

    specifier: str | None
    candidates: tuple[Candidate, ...] = ()
    findings: tuple[Finding, ...] = ()


def requires_python_evidence(names: Iterable[str], read_file: Read) -> RequiresPython:
    """The `requires-python` that fits the files among `names` (POSIX paths relative to the root).

    What is declared (`python_requires`, classifiers) decides; else it is the oldest Python in use.
    What does not fit with it needs action. A file of which `read_file` raises OSError is ignored.
    """
    candidates = tuple(c for name in sorted(names) for c in _candidates(name, read_file))
    declared = [c for c in candidates if c.version is None]
    used = sorted(
        (c for c in candidates if c.version), key=lambda c: (c.version or (0, 0), c.origin)
    )
    chosen = next(iter((*declared, *used)), None)
    if chosen is None:
        return RequiresPython(specifier=None)
    conflicts = [c for c in (*declared, *used) if not c.fits(chosen)]
    return RequiresPython(
        specifier=chosen.specifier,
        candidates=candidates,
        findings=tuple(
            findings.action(
                "python-disagreement",
                f"this says Python {c.python}; requires-python is {chosen.specifier}"
                f" ({chosen.origin})",
                c.origin,
                "make them agree, or choose with `--python`",
            )
            for c in conflicts
        ),
    )


def admits_python(specifier: str, version: tuple[int, int]) -> bool:
    """Whether any patch release of a Python will do: `>3.9.1` admits 3.9."""
    major, minor = version
    return any(f"{major}.{minor}.{patch}" in SpecifierSet(specifier) for patch in (0, 99))


def _candidates(name: str, read_file: Read) -> Iterator[Candidate]:
    if not _EVIDENCE.fullmatch(name):
        return
    text = (read_if_there(name, read_file) or b"").decode("utf-8", "replace")
    match name.lower():
        case ".python-version" | "runtime.txt":
            # The first version counts, as it does for pyenv and uv.
            yield from itertools.islice(_used_versions(_VERSION, text, name), 1)
        case "setup.cfg":
            options = read_setup_cfg(text)
            python_requires = options.get("options", "python_requires", fallback="")
            classifiers = options.get("metadata", "classifiers", fallback="")
            yield from _declared_range(python_requires, classifiers, text, name)
        case "setup.py":
            arguments = setup_literals(text)
            python_requires = str(arguments.get("python_requires", ""))
            listed = arguments.get("classifiers")
            classifiers = "\n".join(map(str, listed)) if isinstance(listed, list) else ""
            yield from _declared_range(python_requires, classifiers, text, name)
        case _ if not text.startswith(_OUR_DOCKERFILE):  # ours follows requires-python
            yield from _used_versions(_FROM, text, name)


def _used_versions(pattern: re.Pattern[str], text: str, path: str) -> Iterator[Candidate]:
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.match(line.strip())
        if match:
            version = int(match["major"]), int(match["minor"])
            origin = Origin(path=path, line=number)
            yield Candidate(
                specifier=f">={version[0]}.{version[1]}", origin=origin, version=version
            )


def _declared_range(
    python_requires: str, classifiers: str, text: str, path: str
) -> Iterator[Candidate]:
    """`python_requires`, or else the oldest Python of the classifiers."""
    # setuptools once let `>=3.6.*` pass, which PEP 440 does not.
    specifier = re.sub(r"([<>]=?\s*\d+(?:\.\d+)*)\.\*", r"\1", python_requires).strip()
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        specifier = ""
    versions = [(int(m["major"]), int(m["minor"])) for m in _CLASSIFIER.finditer(classifiers)]
    if specifier:
        origin = Origin(path=path, line=_line_of("python_requires", text))
        yield Candidate(specifier=specifier, origin=origin)
    elif versions:
        origin = Origin(path=path, line=_line_of("Programming Language", text))
        yield Candidate(specifier=f">={min(versions)[0]}.{min(versions)[1]}", origin=origin)


def _line_of(word: str, text: str) -> int:
    return text[: text.find(word)].count("\n") + 1 if word in text else 1
