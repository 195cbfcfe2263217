"""What a line with a requirement says, and what there is to tell of it."""

from dataclasses import dataclass

from uvflow.imports.credentials import Userinfo
from uvflow.imports.model import Bucket, Finding, Requirement, Severity
from uvflow.imports.requirements import Line


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a line with a requirement says; `requirement` is None where nothing is to be added."""

    requirement: Requirement | None = None
    findings: tuple[Finding, ...] = ()
    bucket: Bucket = Bucket.IMPORTED
    git_login: tuple[str, Userinfo] | None = None  # a URL, and what was taken out of it


def left(line: Line, code: str, message: str, hint: str | None) -> Reading:
    """The line is left out, and to the user."""
    return Reading(findings=(action(line, code, message, hint),), bucket=Bucket.ACTION)


def refused(line: Line, code: str, message: str, hint: str) -> Reading:
    """The line cannot be taken, and the import does not go on with it."""
    finding = Finding(
        severity=Severity.ERROR, code=code, message=message, origin=line.origin, hint=hint
    )
    return Reading(findings=(finding,), bucket=Bucket.ACTION)


def action(line: Line, code: str, message: str, hint: str | None) -> Finding:
    return Finding(
        severity=Severity.ACTION, code=code, message=message, origin=line.origin, hint=hint
    )


def note(line: Line, code: str, message: str) -> Finding:
    return Finding(severity=Severity.NOTE, code=code, message=message, origin=line.origin)
