"""The values that an import is made of: requirements, findings, and where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, kw_only=True, order=True)
class Origin:
    """Where something was said: a path relative to the project root (POSIX), a line from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Bucket(StrEnum):
    """What became of a logical line; every line has exactly one."""

    IMPORTED = "imported"
    MERGED = "merged"
    SETTING = "settings"
    DEFAULT = "already_default"
    ACTION = "needs_action"


class Severity(StrEnum):
    """How much a finding matters: an error stops the import, an action is left to the user."""

    NOTE = "note"
    WARNING = "warning"
    ACTION = "action"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something told about a file; `code` is stable and listed in docs/reference."""

    severity: Severity
    code: str
    message: str
    origin: Origin | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" if self.origin else self.message


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One requirement as its author wrote it.

    `text` is PEP 508 without comment and hashes. `name` is normalised (PEP 503), None where only a
    build tells it (a bare URL or path). `source` is an entry of `[tool.uv.sources]` without its
    marker. `comment` is the line-end comment, `above` the comment lines right above, both with
    their `#`. `hashes` are `sha256:…` as pip takes them.
    """

    text: str
    name: str | None
    origin: Origin
    comment: str = ""
    above: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    source: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class IncludeGroup:
    """`{include-group = "…"}` (PEP 735)."""

    group: str
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Pin:
    """An exact version that was in force; a first uv.lock keeps it where that is possible."""

    name: str
    version: str
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What became of the logical lines of one file; the buckets add up to `lines`."""

    path: str
    format: str
    role: str
    lines: int
    buckets: Mapping[Bucket, int]


@dataclass(frozen=True, kw_only=True)
class Import:
    """Everything that the files of a project say, merged: what pyproject.toml is to say.

    `settings` are keys of `[tool.uv]`; `indexes` are entries of `[[tool.uv.index]]`, without
    credentials.
    """

    dependencies: tuple[Requirement, ...] = ()
    groups: Mapping[str, tuple[Requirement | IncludeGroup, ...]] = field(default_factory=dict)
    constraints: tuple[Requirement, ...] = ()
    indexes: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    requires_python: str | None = None
    pins: tuple[Pin, ...] = ()
    findings: tuple[Finding, ...] = ()
    files: tuple[FileReport, ...] = ()
