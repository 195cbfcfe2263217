"""Is uv.lock what the project asks for? uv's verdict, with the reasons."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from uvflow import inputs
from uvflow.errors import UvflowError
from uvflow.project import Project
from uvflow.uv import Answer, Uv
from uvflow.workspace import Workspace

# `--no-build`: no code of what is not ours; `--verbose`: why uv would resolve again.
_CHECK = ("lock", "--check", "--offline", "--no-build", "--verbose", "--color=never")

_WHY = re.compile(r"(?:Resolving despite|Ignoring) existing lockfile due to (.+)")

UPDATE = "`uv lock` updates the lockfile"


class Verdict(StrEnum):
    """The values are read by people."""

    FRESH = "ok"
    UNTOLD = "unknown"  # only a build would tell, and it was not made
    STALE = "stale"
    NO_UV = "unusable"  # the project asks for another version of uv


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is to be said of a lockfile; `reasons` are sentences, at least one."""

    verdict: Verdict
    reasons: tuple[str, ...]
    hint: str = ""


def judge(project: Project, uv: Uv | None, environ: Mapping[str, str]) -> Judgement:
    """Ask uv, offline, writing nothing and running no code of the project's.

    Where uv would have to build a source to know, or there is no uv, what can be read has to do.
    """
    if not project.lockfile.exists():
        return missing(project)
    unasked = "there is no uv to ask" if uv is None else _needs_build(project)
    if uv is None or unasked:
        return _read(project, environ, unasked)
    return _told(project, uv.ask(_CHECK, cwd=project.root, environ=environ), environ)


def missing(project: Project) -> Judgement:
    """What is to be said where there is no uv.lock."""
    return Judgement(
        verdict=Verdict.STALE,
        reasons=(f"there is no {project.lockfile.name} in {project.workspace}",),
        hint="`uv lock` makes one, `uvflow init` imports requirements files first",
    )


def _needs_build(project: Project) -> str:
    """Why uv is not asked: it would run the project's own code; empty where it would not."""
    try:
        locked = [source.path for source in inputs.local_sources(project) if source.is_built]
        untold = Workspace.at(project.workspace).untold(locked)
    except (UvflowError, ValueError, TypeError, AttributeError):
        return ""  # uv says what is wrong with a pyproject.toml, and builds nothing then
    names = (Path(os.path.relpath(path, project.workspace)).as_posix() for path in untold)
    shown = ", ".join(names)
    return f"only a build tells the metadata of `{shown}`" if untold else ""


def _read(project: Project, environ: Mapping[str, str], unasked: str) -> Judgement:
    found = reasons(project, environ)
    if found:
        return Judgement(verdict=Verdict.STALE, reasons=found, hint=UPDATE)
    return Judgement(
        verdict=Verdict.UNTOLD,
        reasons=(f"no difference to read; {unasked}",),
        hint="`uv lock --check` asks uv",
    )


def reasons(project: Project, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What changed since uv.lock was made, as far as reading tells."""
    from uvflow.staleness import differences  # noqa: PLC0415  50 ms, for a stale lockfile alone

    return tuple(map(str, differences(project, environ)))


def _told(project: Project, answer: Answer, environ: Mapping[str, str]) -> Judgement:
    if answer.code == 0:
        return Judgement(verdict=Verdict.FRESH, reasons=("is what pyproject.toml asks for",))
    said = problem(answer)
    if said.startswith("Required uv version"):
        return Judgement(verdict=Verdict.NO_UV, reasons=(said,))
    why = _WHY.search(answer.err)
    found = reasons(project, environ) or (f"uv found {why[1].rstrip(':')}" if why else said,)
    return Judgement(verdict=Verdict.STALE, reasons=found, hint=UPDATE)


def problem(answer: Answer) -> str:
    """What uv gives as the reason for a failure, as one line."""
    lines = answer.err.splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("error: ")), None)
    if first is None:
        return lines[-1].strip() if lines else f"uv failed with exit code {answer.code}"
    cause = lines[first + 1] if first + 1 < len(lines) else ""
    causes = re.match(r"  (?:cause|Caused by): (.*)", cause)
    said = lines[first].removeprefix("error: ")
    return f"{said}: {causes[1]}" if causes else said
