"""What `uvflow docker` does for each of its options: what is told, and what is an error.

Values only; nothing is printed here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uvflow.docker import check, header, write
from uvflow.docker.check import Verdict
from uvflow.docker.facts import Options
from uvflow.docker.write import Plan, State
from uvflow.errors import DriftError, UsageError, UvflowError
from uvflow.files import read_bytes
from uvflow.imports.model import Finding
from uvflow.project import Project


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for, by the names of the command line's options."""

    python: str | None = None
    base: str | None = None
    stages: str | None = None
    uv: str | None = None
    bake: bool = False
    compose: bool = False
    prints: bool = False
    facts: bool = False
    check: bool = False
    dry_run: bool = False
    force: bool = False

    @property
    def options(self) -> Options:
        return Options(uv=self.uv, python=self.python, base=self.base, stages=self.stages)

    @property
    def more(self) -> tuple[str, ...]:
        return tuple(n for n, on in (("bake", self.bake), ("compose", self.compose)) if on)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`result` is data for stdout, `said` and `warnings` are talk, `data` is for --json."""

    result: str = ""
    said: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    error: UvflowError | None = None


def outcome(project: Project, request: Request) -> Outcome:
    """Do what is asked for; raises what planning and writing raise."""
    modes = [n for n in ("prints", "facts", "check", "dry_run") if getattr(request, n)]
    if len(modes) > 1:
        raise UsageError("--print, --facts, --check and --dry-run exclude each other")
    if request.check and _is_by_hand(project.root / "Dockerfile"):
        return _checked(check.by_hand(project, project.root / "Dockerfile"))
    plan = write.plan(project, request.options, more=request.more)
    if request.check:
        return _checked(check.against_facts(plan))
    if request.facts:
        return _with_facts(plan)
    if request.prints:
        text = plan.dockerfile.text
        return Outcome(result=text, warnings=_warnings(plan), data={"dockerfile": text})
    return _dry(project, plan) if request.dry_run else _written(project, plan, request)


def _is_by_hand(path: Path) -> bool:
    return path.is_file() and header.read(read_bytes(path).decode(errors="replace")) is None


def _checked(verdict: Verdict) -> Outcome:
    count = len(verdict.findings)
    return Outcome(
        result="".join(verdict.diffs) + "".join(map(_line, verdict.findings)),
        said=() if count or verdict.diffs else ("Current: the files are what today's facts give",),
        data={
            "diffs": list(verdict.diffs),
            "findings": [_finding_as_json(finding) for finding in verdict.findings],
        },
        error=None if verdict.is_good else _error(verdict),
    )


def _error(verdict: Verdict) -> DriftError:
    if verdict.edited:
        names = " and ".join(verdict.edited)
        return DriftError(
            f"{names} was edited since uvflow made it", hint=write.WAYS_OUT[State.EDITED]
        )
    if verdict.diffs:
        return DriftError(
            "the files of the image are not what today's facts give",
            hint="`uvflow docker` makes them anew",
        )
    return DriftError("the Dockerfile has faults", hint="each finding says what to write instead")


def _line(finding: Finding) -> str:
    fix = f"\n  {finding.hint}" if finding.hint else ""
    return f"{finding.origin}: {finding.severity.value}[{finding.code}] {finding.message}{fix}\n"


def _finding_as_json(finding: Finding) -> Mapping[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "path": finding.origin.path if finding.origin else None,
        "line": finding.origin.line if finding.origin else None,
        "message": finding.message,
        "hint": finding.hint,
    }


def _with_facts(plan: Plan) -> Outcome:
    facts = asdict(plan.facts)
    return Outcome(result=json.dumps(facts, indent=2), data={"facts": facts})


def _dry(project: Project, plan: Plan) -> Outcome:
    names = [_name(project, file.path) for file in plan.to_write]
    said = tuple(f"Would write {name}" for name in names) or ("Nothing to write",)
    diffs = "".join(check.difference(file) for file in plan.to_write)
    return Outcome(
        result=diffs,
        said=(*_evidence(plan), *said),
        warnings=_warnings(plan),
        data={"files": names, "dry_run": True},
    )


def _written(project: Project, plan: Plan, request: Request) -> Outcome:
    paths = write.carry_out(plan, force=request.force)
    names = [_name(project, path) for path in paths]
    said = tuple(f"Wrote {name}" for name in names) or ("Current: nothing to write",)
    return Outcome(
        said=(*_evidence(plan), *said),
        warnings=_warnings(plan),
        data={"files": names, "dry_run": False},
    )


def _evidence(plan: Plan) -> tuple[str, ...]:
    facts = plan.facts
    return (
        f"Python {facts.python}: {facts.python_evidence}",
        f"Starts {' '.join(facts.start.command)}: {facts.start.evidence}",
        f"{'Two stages' if facts.stages.is_multi else 'One stage'}: {facts.stages.evidence}",
    )


def _warnings(plan: Plan) -> tuple[str, ...]:
    missing = ", ".join(plan.not_ignored)
    kept = f"your .dockerignore lets into the image what is no part of it: {missing}"
    return (*plan.remarks, *((kept,) if missing else ()))


def _name(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()
