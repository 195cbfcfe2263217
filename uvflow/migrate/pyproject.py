"""What an import adds to pyproject.toml: nothing twice, and what its author wrote stays."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.findings import Finding, Origin
from uvflow.migrate.merge import pinned_version
from uvflow.migrate.model import PROFILES, ImportedRequirements, IncludeGroup, Pin, Requirement
from uvflow.migrate.toml_lines import Keys, TomlLine, value_at
from uvflow.migrate.toml_text import (
    TomlEdits,
    Values,
    apply_edits,
    line_end,
    literal,
    parsed,
    without,
)
from uvflow.paths import MANIFEST
from uvflow.project import schema
from uvflow.project.profiles import ALL

UV: Keys = ("tool", "uv")
_DEPENDENCIES: Keys = ("project", "dependencies")
_EXTRAS: Keys = ("project", "optional-dependencies")
_GROUPS = "dependency-groups"

# The tables and lists that are edited (project/schema.py).
_SHAPE = {
    "project": {"dependencies": list, "optional-dependencies": {"*": list}},
    _GROUPS: {"*": list},
    "tool": {"uv": {"sources": dict, "index": list, "constraint-dependencies": list}},
}


@dataclass(frozen=True, kw_only=True)
class PyprojectEdits(TomlEdits):
    """The edits of an import, and what it does not write.

    `existing` are requirements that the file has already. `pins` are exact versions of packages for
    which the file has a range: they belong in the lockfile.
    """

    existing: list[Requirement] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def edit(text: str, imported: ImportedRequirements) -> str:
    """`text` with everything of `imported` that is not in it yet.

    The order, comments, indentation and line ends of what it has survive; where nothing is missing,
    the text is returned unchanged. Every requirement has to have its name. Raises UsageError where
    `text` is not TOML, or is written in a way that cannot be edited faithfully.
    """
    return apply_edits(text, decide(parsed(text), imported))


def with_project(text: str, base: str = "[project]\n") -> str:
    """`text`, which has no `[project]`, with the one of `base` (what `uv init` writes, or empty).

    It goes to the top, but below a comment that stands by itself there (such as a licence).
    """
    mark = schema.BYTE_ORDER_MARK
    if text.startswith(mark):
        return mark + with_project(text.removeprefix(mark), base)
    newline = line_end(text)
    table = base.replace("\n", newline)
    head = re.match(rf"(?:#[^\n]*\n)+{newline}", text)
    at = head.end() if head else 0
    if not re.match(r"\s*(?:[\[#]|\Z)", text[at:]):  # keys of the root would become its own
        return f"{text.rstrip()}{newline}{newline}{table}"
    rest = text[at:].lstrip("\r\n")
    return f"{text[:at]}{table}{newline if rest else ''}{rest}"


def with_python(text: str, requires_python: str) -> str:
    """`text` with another `requires-python` in its `[project]`, or with one for the first time."""
    edits = TomlEdits(values={("project", "requires-python"): requires_python})
    return apply_edits(text, edits)


def decide(before: Values, imported: ImportedRequirements) -> PyprojectEdits:
    """The edits for everything of `imported` that a pyproject.toml with the values `before` lacks.

    Every requirement has to have its name. Raises UsageError where a value that is to be edited has
    another type.
    """
    removed = [path for path in imported.moved if path not in imported.values]
    edits = PyprojectEdits(removed=removed)
    before = without(before, imported.moved)
    schema.validate(before, _SHAPE, MANIFEST)
    for path, line in imported.values.items():
        if value_at(before, path) is None:
            edits.values[path] = line
        else:
            _decide_setting(before, path, line.value, edits)
    _decide_project(before, imported, edits)
    for extra, required in imported.extras.items():
        _decide_list(before, (*_EXTRAS, extra), required, edits)
    # A group keeps the spelling of the file: PEP 735 compares the names normalised.
    spellings = {canonicalize_name(key): key for key in before.get(_GROUPS, ())}
    for name, entries in imported.groups.items():
        path = (_GROUPS, spellings.get(canonicalize_name(name), name))
        _decide_list(before, path, entries, edits, imported.tails.get(name, ()))
    _decide_list(before, (*UV, "constraint-dependencies"), imported.constraints, edits)
    for key, value in imported.settings.items():
        _decide_setting(before, (*UV, key), value, edits)
    for name, source in imported.sources.items():
        _decide_setting(before, (*UV, "sources", name), source, edits)
    for profile, extras in imported.own_extras.items():
        _decide_extras(before, profile, extras, imported, edits)
    existing = value_at(before, (*UV, "index")) or ()
    urls = {str(i.get("url", "")).rstrip("/") for i in existing if isinstance(i, Mapping)}
    by_url = {str(i["url"]).rstrip("/"): i for i in reversed(imported.indexes)}  # the first counts
    new = [index for url, index in reversed(by_url.items()) if url not in urls]
    if new:
        edits.tables[*UV, "index"] = new
    return edits


def read_by_build(before: Values) -> tuple[str, ...]:
    """The requirements files that a build takes the dependencies from."""
    read = value_at(before, ("tool", "setuptools", "dynamic", "dependencies"))
    files = read.get("file", ()) if isinstance(read, Mapping) else ()
    if isinstance(files, str):
        files = (files,)
    hook = value_at(before, ("tool", "hatch", "metadata", "hooks", "requirements_txt", "files"))
    return (*files, *(hook or ()))


def _decide_project(before: Values, imported: ImportedRequirements, edits: PyprojectEdits) -> None:
    if imported.requires_python and not value_at(before, ("project", "requires-python")):
        edits.values["project", "requires-python"] = imported.requires_python
    if "dependencies" in (*(value_at(before, ("project", "dynamic")) or ()), *imported.dynamic):
        # PEP 621: the build backend computes them, and they must not be written.
        files = read_by_build(before)
        hint = 'remove "dependencies" from `dynamic` in [project], or add it where they are read'
        for requirement in imported.dependencies:
            if requirement.origin.path not in files:
                message = f"`{requirement.text}` was not written: the dependencies are dynamic"
                found = findings.action("dynamic-dependencies", message, requirement.origin, hint)
                edits.findings.append(found)
        return
    _decide_list(before, _DEPENDENCIES, imported.dependencies, edits, imported.tails.get("", ()))


def _decide_list(
    before: Values,
    path: Keys,
    entries: Iterable[Requirement | IncludeGroup],
    edits: PyprojectEdits,
    tail: tuple[str, ...] = (),
) -> None:
    """Add the entries that are missing; one that differs in wording only stays as it is.

    `tail` are comments below the last entry, which are not added twice.
    """
    existing = value_at(before, path)
    included: set[str] = set()
    known: dict[tuple[str, str], list[str]] = {}
    for item in existing or ():
        if isinstance(item, Mapping):
            included.add(canonicalize_name(str(item.get("include-group", ""))))
        elif isinstance(item, str):
            known.setdefault(_name_and_marker(item), []).append(item)
    lines = []
    for entry in entries:
        value: Any
        if isinstance(entry, IncludeGroup):
            value = {"include-group": entry.group}
            is_missing = canonicalize_name(entry.group) not in included
        else:
            value = entry.text
            same = known.get(_name_and_marker(value)) if known else None  # parsing takes time
            is_missing = same is None
            if same:
                _compare(entry, same, edits)
        if is_missing:
            lines.append(TomlLine(value=value, comment=entry.comment, above=entry.above))
    if tail and (lines or not existing):
        lines.append(TomlLine(above=tail))
    is_named = path[0] == _GROUPS or path[:-1] == _EXTRAS  # an empty one can be selected, too
    if lines or (existing is None and is_named):
        edits.arrays[path] = lines


def _name_and_marker(text: str) -> tuple[str, str]:
    """What two requirements of the same package for the same machines share."""
    try:
        parsed = Parsed(text)
    except InvalidRequirement:
        return text, ""
    return canonicalize_name(parsed.name), str(parsed.marker or "")


def _compare(entry: Requirement, existing: list[str], edits: PyprojectEdits) -> None:
    edits.existing.append(entry)
    if entry.text in existing or any(Parsed(entry.text) == Parsed(text) for text in existing):
        return
    version = pinned_version(entry)
    if version and all(Parsed(t).specifier.contains(version, prereleases=True) for t in existing):
        name, _ = _name_and_marker(entry.text)
        edits.pins.append(Pin(name=name, version=version, origin=entry.origin))
        return
    message = f"pyproject.toml says `{existing[0]}`; `{entry.text}` was not written"
    hint = "write the one that counts into pyproject.toml"
    edits.findings.append(findings.action("already-there", message, entry.origin, hint))


def _decide_setting(before: Values, path: Keys, value: Any, edits: PyprojectEdits) -> None:
    existing = value_at(before, path)
    if existing is None:
        edits.values[path] = value
    elif isinstance(value, (list, tuple)) and isinstance(existing, list):
        missing = [TomlLine(value=item) for item in value if item not in existing]
        if missing:
            edits.arrays[path] = missing
    elif existing != value:
        message = f"pyproject.toml has a different `{'.'.join(path)}`, which stays"
        hint = f"the files ask for `{literal(value)}`"
        edits.findings.append(findings.action("setting-differs", message, None, hint))


def _decide_extras(
    before: Values,
    profile: str,
    extras: Mapping[str, Origin],
    imported: ImportedRequirements,
    edits: PyprojectEdits,
) -> None:
    """Let `profile` select `extras` of the project, each with the line that asks for it."""
    path = (*PROFILES, profile, "extras")
    existing = value_at(before, path) or ()
    dynamic = (*(value_at(before, ("project", "dynamic")) or ()), *imported.dynamic)
    declared = (*(value_at(before, _EXTRAS) or ()), *imported.extras)
    known = {canonicalize_name(extra) for extra in declared}
    selected = {canonicalize_name(extra) for extra in existing}
    table, wanted = f"[tool.uvflow.profiles.{profile}]", []
    for extra, origin in extras.items():
        if extra not in known and "optional-dependencies" not in dynamic:
            message = f"the project has no extra `{extra}`, so {table} does not select it"
            hint = "declare it in [project.optional-dependencies], then select it there"
            edits.findings.append(findings.action("project-extras", message, origin, hint))
        elif existing != ALL and extra not in selected:
            wanted.append(extra)
            message = f"{table} selects the project's extra `{extra}`, so that a sync installs it"
            edits.findings.append(findings.warning("project-extras", message, origin))
    if wanted:
        _decide_setting(before, path, wanted, edits)
