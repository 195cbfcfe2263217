"""How a project stands: a verdict with its reasons, and how they are told."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from uvflow.errors import DamagedError, OutOfSyncError, StaleLockfileError, UvMissingError
from uvflow.snapshot import in_sync, named


class Standing(StrEnum):
    """How something stands, better ones first; the values are read by people."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    OUT_OF_SYNC = "out of sync"
    STALE = "stale"
    UNUSABLE = "unusable"
    DAMAGED = "damaged"


_RANKS = list(Standing)
_EXIT_CODES = {
    Standing.OUT_OF_SYNC: OutOfSyncError.exit_code,
    Standing.STALE: StaleLockfileError.exit_code,
    Standing.UNUSABLE: UvMissingError.exit_code,
    Standing.DAMAGED: DamagedError.exit_code,
}
_HEADLINES = {
    Standing.OK: "In sync",
    Standing.UNKNOWN: "In sync as far as can be told",
    Standing.OUT_OF_SYNC: "Out of sync",
    Standing.STALE: "Lockfile stale",
    Standing.UNUSABLE: "No usable uv",
    Standing.DAMAGED: "Environment damaged",
}

_SHOWN = 5  # how many lines there are of one aspect


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One sentence about one aspect, and what to type."""

    aspect: str
    state: Standing
    message: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a project's environment stands; `reasons` tell of every aspect at least once."""

    profile: str
    chosen_by: str
    environment: Path
    reasons: tuple[Reason, ...]

    @property
    def worst(self) -> Reason:
        """The reason for the verdict."""
        return max(self.reasons, key=lambda reason: _RANKS.index(reason.state))

    @property
    def verdict(self) -> Standing:
        """The worst standing; notes do not count."""
        return Standing.OK if self.worst.state is Standing.NOTE else self.worst.state

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES.get(self.verdict, 0)


def headline(status: Status) -> str:
    """The verdict as one short line."""
    return f"{_HEADLINES[status.verdict]}: {named(status.profile, status.chosen_by)}"


def verdict_line(status: Status) -> str:
    """The verdict with its first reason, for `uvflow sync --check`."""
    if status.verdict is Standing.OK:
        return in_sync(status.profile, status.chosen_by)
    worst = status.worst
    others = sum((r.aspect, r.state) == (worst.aspect, worst.state) for r in status.reasons) - 1
    more = f" (and {others} more, see `uvflow status`)" if others else ""
    return f"{headline(status)}; {worst.aspect}: {worst.message}{more}"


def rows(status: Status, *, verbose: bool) -> Iterator[tuple[str, str, str]]:
    """Aspect, standing and message, padded to columns; a hint is a row of its own."""
    wide = max(len(reason.aspect) for reason in status.reasons)
    width = max(len(reason.state) for reason in status.reasons)
    for aspect, some in itertools.groupby(status.reasons, key=lambda reason: reason.aspect):
        reasons = list(some)
        shown = reasons if verbose else reasons[:_SHOWN]
        for place, reason in enumerate(shown):
            label = "" if place else aspect
            yield label.ljust(wide), reason.state.ljust(width), reason.message
        blank = " " * wide, " " * width
        if len(shown) < len(reasons):
            yield *blank, f"and {len(reasons) - len(shown)} more (`--verbose` tells them)"
        for hint in dict.fromkeys(reason.hint for reason in shown if reason.hint):
            yield *blank, f"hint: {hint}"


def as_json(status: Status) -> dict[str, Any]:
    return {
        "profile": status.profile,
        "chosen_by": status.chosen_by,
        "environment": str(status.environment),
        "verdict": status.verdict,
        "reasons": [asdict(reason) for reason in status.reasons],
    }
