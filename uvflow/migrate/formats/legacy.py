"""Rye, pip-tools, flit's own tables, and keys of an early uv: what precedes uv. Pure."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uvflow.migrate.formats.local_project import read_if_there
from uvflow.migrate.formats.tool_tables import SOURCES_SHAPE, ToolTables
from uvflow.migrate.groups import import_files, import_lines
from uvflow.migrate.includes import Reader
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, InputFile, Read, Role
from uvflow.migrate.toml_lines import TomlLine

_RYE = ("tool", "rye")
_RYE_LOCKS = ("requirements.lock", "requirements-dev.lock")
_PIP_TOOLS = ("tool", "pip-tools")
# What pip reads in a requirements file as well; of the rest uv needs only `pip-args`, if anything.
_OF_PIP = ("constraint", "extra-index-url", "find-links", "index-url", "pre", "trusted-host")
_UV = ("tool", "uv")
_FLIT = ("tool", "flit")
_METADATA = (*_FLIT, "metadata")
# One that may be older than 3.2, the first that reads [project].
_FLIT_CORE = re.compile(
    r"flit(?:[-_]core)?\b(?!.*[>~=]=\s*(?:3\.[2-9]|3\.\d\d|[4-9]))(?P<bounds>.*)"
)

_SHAPE = {
    "tool": {
        "rye": {
            "dev-dependencies": [str],
            "excluded-dependencies": [str],
            "sources": SOURCES_SHAPE,
            "workspace": {"members": [str]},
        },
        "uv": {"dev-dependencies": [str], "extra-index-url": [str], "index-url": str},
        "flit": {
            "metadata": {
                **dict.fromkeys(("keywords", "requires-python"), str),
                **{key: [str] for key in ("requires", "dev-requires")},
                "requires-extra": {"*": [str]},
                "urls": dict,
            },
            "scripts": dict,
            "entrypoints": {"*": dict},
        },
    }
}

# Keys of [tool.flit.metadata] → those of [project] that have the same value.
_SAME = {
    "description-file": ("readme",),
    "classifiers": ("classifiers",),
    "home-page": ("urls", "Homepage"),
    "module": ("name",),
    "dist-name": ("name",),
    "urls": ("urls",),
}


def read_rye(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """`[tool.rye]` of the pyproject.toml at `path`, with the pins of Rye's lock files."""
    tables = ToolTables.parse("Rye", path, read_file, outcomes, _SHAPE)
    if tables.file.value(*_RYE, "dev-dependencies"):
        tables.groups["dev"] = tables.entries(*_RYE, "dev-dependencies", group="dev")
    tables.read_sources(*_RYE, "sources", default="default")
    if tables.take(*_RYE, "virtual"):
        tables.settings["package"] = False
    if excluded := tables.take(*_RYE, "excluded-dependencies"):
        tables.settings["exclude-dependencies"] = excluded
    members = (*_RYE, "workspace", "members")
    if tables.file.value(*members):
        tables.move(members, (*_UV, "workspace", "members"))
        message = "the members of this workspace are uv's from now on, as they are"
        hint = "look at [tool.rye] of each of them: it is not imported"
        tables.needs_action(members, message, hint)
    for key in ("managed", "universal", "lock-with-sources", "generate-hashes"):
        tables.drop(*_RYE, key)
    tables.read_tasks(*_RYE, "scripts")

    def read_lock(path: str) -> bytes:
        return re.sub(rb"(?m)^-e file:\.\s*$", b"", read_file(path))  # the project itself

    names = [lock for lock in _RYE_LOCKS if read_if_there(lock, read_file) is not None]
    locks = [InputFile(path=name, role=Role.PINS, of=path) for name in names]
    reader = Reader(read_file=read_lock, options=outcomes.options)
    return tables.imported(_RYE).with_more(import_files(locks, reader))


def read_pip_tools(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """`[tool.pip-tools]` of the file at `path`, by a requirements file with the same options."""
    tables = ToolTables.parse("pip-tools", path, read_file, outcomes, {})
    lines = defaultdict[int, list[str]](list)  # items of an array may share a line
    for table in (_PIP_TOOLS, (*_PIP_TOOLS, "compile"), (*_PIP_TOOLS, "sync")):
        for entry in tables.file.entries(*table):
            option, where = str(entry.key).replace("_", "-"), (*table, str(entry.key))
            if option in _OF_PIP and entry.value:
                tables.moved.append(where)
                for item in tables.file.entries(*where) or (entry,):
                    value = "" if item.value is True else f" {item.value}"
                    lines[item.origin.line].append(f"--{option}{value}")
            elif option != "pip-args" and not isinstance(entry.value, dict):
                tables.drop(*where)
    joined = {number: " ".join(texts) for number, texts in lines.items()}
    imported = import_lines(path, joined, read_file, outcomes.options)
    own, *others = imported.files
    for origin, bucket in own.outcomes.items():
        outcomes.record_bucket(bucket, origin)
    return tables.imported(_PIP_TOOLS).with_more(replace(imported, files=tuple(others)))


def read_uv(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The keys of an early uv: `dev-dependencies`, and indexes, the default one last."""
    tables = ToolTables.parse("uv", path, read_file, outcomes, _SHAPE)
    dev, default, extra = (*_UV, "dev-dependencies"), (*_UV, "index-url"), (*_UV, "extra-index-url")
    if tables.file.value(*dev) is not None:
        tables.groups["dev"] = tables.entries(*dev, group="dev")
    for number, url in enumerate(tables.take(*extra) or ()):
        tables.read_source({"url": url}, (*extra, number), is_default=False)
    if url := tables.take(*default):
        tables.read_source({"name": "default", "url": url}, default, is_default=True)
    return tables.imported(dev, default, extra)


def read_flit(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """`[tool.flit.metadata]` of the pyproject.toml at `path`, for the same build backend."""
    tables = ToolTables.parse("flit", path, read_file, outcomes, _SHAPE)
    metadata = tables.file.value(*_METADATA)
    _read_flit_metadata(tables, metadata)
    tables.move_each((*_FLIT, "scripts"), ("project", "scripts"))
    tables.move_entry_points(*_FLIT, "entrypoints")
    tables.dependencies = tables.requirements(*_METADATA, "requires", group="")
    for extra in metadata.get("requires-extra", ()):
        tables.extras[extra] = tables.requirements(*_METADATA, "requires-extra", extra)
    if "dev-requires" in metadata:  # the extra dev, as flit has it
        tables.extras["dev"] = tables.requirements(*_METADATA, "dev-requires")
    tables.requires_python = tables.take(*_METADATA, "requires-python")
    requires = tables.file.value("build-system", "requires") or ()
    tables.change(("build-system", "requires"), [_flit_core(text) for text in requires])
    if tables.file.value("build-system", "build-backend") == "flit.buildapi":
        tables.change(("build-system", "build-backend"), "flit_core.buildapi")
    for key in ("module", "sdist", "external-data"):
        tables.record(Bucket.LEFT, *_FLIT, key)
    for origin, keys in tables.file.units(*_METADATA).items():
        if origin not in outcomes.buckets:
            message = (
                f"`{'.'.join(map(str, keys))}` cannot be imported, and flit_core builds nothing"
                " from [tool.flit.metadata] beside [project]"
            )
            hint = "remove it, and write what it is for into [project] after the import"
            outcomes.refuse("not-imported", message, origin, hint)
    return tables.imported(_FLIT)


def _read_flit_metadata(tables: ToolTables, metadata: Mapping[str, Any]) -> None:
    tables.values["project", "dynamic"] = TomlLine(value=["version", "description"])
    for key, place in _SAME.items():
        tables.move_each((*_METADATA, key), ("project", *place))
    if "dist-name" in metadata:
        tables.values[*_FLIT, "module", "name"] = TomlLine(value=metadata.get("module"))
    words = re.split(r"[,\s]+", metadata.get("keywords", ""))
    tables.move((*_METADATA, "keywords"), ("project", "keywords"), words)
    tables.move((*_METADATA, "license"), ("project", "license"), {"text": metadata.get("license")})
    if "license" in metadata:
        message = "of this, flit_core writes no `License` into a package: its classifiers say it"
        tables.warn("metadata-differs", message, (*_METADATA, "license"))
    for role in ("author", "maintainer"):
        keys = {"name": role, "email": f"{role}-email"}
        person = {name: tables.take(*_METADATA, key) for name, key in keys.items()}
        person = {name: value for name, value in person.items() if value is not None}
        if person:
            tables.values["project", f"{role}s"] = TomlLine(value=[person])
    for key in metadata:
        if key.startswith("x-"):  # flit refuses the table beside [project]
            tables.drop(*_METADATA, key)


def _flit_core(text: str) -> str:
    """A requirement of one that reads [project]; an upper bound stays."""
    match = _FLIT_CORE.fullmatch(text)
    if match is None:
        return text
    upper = [clause for clause in match["bounds"].split(",") if re.match(r"\s*<=?\s*[4-9]", clause)]
    return ",".join(("flit_core>=3.2", *map(str.strip, upper)))
