"""What other files of a project tell an import: its name, its pins, what is in the way."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from uvflow.imports import local
from uvflow.imports.model import Finding, Import, InputFile, Origin, Role, Severity
from uvflow.paths import MANIFEST

Read = Callable[[str], bytes]  # of a path relative to the root; raises OSError

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


def name(read: Read) -> str | None:
    """What the project calls itself in another tool's metadata, where that is written plainly."""
    return local.name_of(".", read)


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
    names: Iterable[str], read: Read, imported: Import, manifest: str
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


def unlocked(imported: Import) -> Import:
    """`imported` when no lockfile is made: what only a lockfile can keep or prove is told."""
    pins, hashes = len(imported.pins), sum(len(r.hashes) for r in imported.requirements)
    lost = (
        *((f"keeps {_counted(pins, 'pinned version')}",) if pins else ()),
        *((f"compares {_counted(hashes, 'hash', 'hashes')}",) if hashes else ()),
    )
    if not lost:
        return imported
    finding = Finding(
        severity=Severity.ACTION,
        code="not-locked",
        message=f"without a lockfile nothing {' or '.join(lost)}",
        hint="`uvflow init` again, without `--no-lock`, while the old files are there",
    )
    return replace(imported, findings=(*imported.findings, finding))


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _ignored(imported: Import) -> Iterator[Finding]:
    """Beside a uv.toml uv ignores most of [tool.uv]: another index would be asked, say."""
    keys = [key for key in imported.settings if key not in _OF_PROJECTS]
    for key in (*(("index",) if imported.indexes else ()), *keys):
        yield Finding(
            severity=Severity.ERROR,
            code="uv-toml",
            message=f"uv would ignore `{key}` in [tool.uv] of pyproject.toml beside this file",
            origin=Origin(path="uv.toml", line=1),
            hint="move what uv.toml says into [tool.uv] of pyproject.toml",
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
        yield Finding(
            severity=Severity.ACTION,
            code="not-imported",
            message=f"what {tool} keeps here is not imported",
            origin=Origin(path=path, line=1),
            hint="add its packages with `uv add`, or list them in a requirements.in first",
        )


def _unbuilt(names: frozenset[str], read: Read, manifest: str) -> Iterator[Finding]:
    """setuptools takes no metadata of a setup script any more once there is a [project]."""
    if "build-system" in tomllib.loads(manifest):
        return
    for path in ("setup.cfg", "setup.py"):
        if path in names and _declares_a_package(path, read):
            yield Finding(
                severity=Severity.ACTION,
                code="not-built",
                message="uv does not install the project itself, and a build takes its version,"
                " scripts and extras from [project] from now on",
                origin=Origin(path=path, line=1),
                hint="move them into [project] of pyproject.toml, and add a [build-system]",
            )


def _declares_a_package(path: str, read: Read) -> bool:
    """A setup.cfg may hold nothing but the settings of linters."""
    try:
        text = read(path)
    except OSError:
        return False
    pattern = rb"^\[(?:metadata|options)\]" if path == "setup.cfg" else rb"\bsetup\s*\("
    return re.search(pattern, text, re.MULTILINE) is not None
