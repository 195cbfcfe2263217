"""Findings: what was noticed in files, each with a stable code and a place."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True, order=True)
class Origin:
    """Where something was said: a path relative to the project root (POSIX), a line from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


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
