"""Findings: what was noticed in a file, each with a stable code and a place."""

import functools
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple


class Severity(StrEnum):
    """How much a finding matters: an error stops a command, an action is left to the user."""

    NOTE = "note"
    WARNING = "warning"
    ACTION = "action"
    ERROR = "error"


class Origin(NamedTuple):
    """A place in a file: its path relative to the project root (POSIX), and a line from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Finding:
    """Something noticed in a file; `code` is stable and listed in docs/reference."""

    severity: Severity
    code: str
    message: str
    origin: Origin | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" if self.origin else self.message

    def as_error(self) -> "Finding":
        return replace(self, severity=Severity.ERROR)

    def as_json(self) -> dict[str, Any]:
        """The same keys in every command."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "path": self.origin.path if self.origin else None,
            "line": self.origin.line if self.origin else None,
            "message": self.message,
            "hint": self.hint,
        }


note = functools.partial(Finding, Severity.NOTE)
warning = functools.partial(Finding, Severity.WARNING)
action = functools.partial(Finding, Severity.ACTION)
error = functools.partial(Finding, Severity.ERROR)
