"""`uvflow docker --check`: are the files what today's facts give, and what is wrong with others'.

Reads only.
"""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from uvflow.docker import ignore, lock, parse, rules_build, rules_image
from uvflow.docker.lock import Target
from uvflow.docker.reading import Reading, Surroundings
from uvflow.docker.write import File, Plan, State
from uvflow.files import read_bytes
from uvflow.imports.model import Finding, Origin, Severity
from uvflow.paths import MANIFEST
from uvflow.project import Project

_NOT_LOOKED_INTO = {".git", ".venv", "node_modules", "__pycache__"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Differences as unified diffs, and findings; neither is in order.

    `edited` are the names of generated files that somebody has edited.
    """

    diffs: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_good(self) -> bool:
        """Notes and warnings are for the user to judge."""
        return not self.diffs and all(f.severity is not Severity.ERROR for f in self.findings)


def against_facts(plan: Plan) -> Verdict:
    """The generated files of `plan` against today's facts; a .dockerignore need not be ours."""
    *made, _ignored = plan.files
    missing = plan.not_ignored
    origin = Origin(path=plan.files[-1].path.name, line=1)
    message = f"lets into the image what is no part of it: {', '.join(missing)}"
    finding = Finding(
        severity=Severity.ERROR, code="context-not-ignored", message=message, origin=origin
    )
    return Verdict(
        diffs=tuple(difference(file) for file in made if file.state is not State.SAME),
        edited=tuple(file.path.name for file in made if file.state is State.EDITED),
        findings=(finding,) if missing else (),
    )


def by_hand(project: Project, path: Path) -> Verdict:
    """What the rules say about the hand-written Dockerfile at `path`, by line."""
    dockerfile = parse.parse(path.read_text(encoding="utf-8", errors="replace"))
    if not dockerfile.stages:
        origin = Origin(path=path.name, line=1)
        message = "there is no FROM in it"
        nothing = Finding(severity=Severity.ERROR, code="no-stage", message=message, origin=origin)
        return Verdict(findings=(nothing,))
    reading = Reading(dockerfile, surroundings(project), path.name)
    rules = (*rules_build.RULES, *rules_image.RULES)
    findings = (finding for rule in rules for finding in rule(reading))
    return Verdict(findings=tuple(sorted(findings, key=_by_line)))


def surroundings(project: Project) -> Surroundings:
    """What the rules ask of `project`; raises UsageError where its files cannot be read."""
    root = project.workspace
    ignored = root / ".dockerignore"
    text = ignored.read_text(encoding="utf-8", errors="replace") if ignored.is_file() else ""
    there = tuple(n for n in ignore.missing(text) if (root / n.removeprefix("**/")).exists())
    locked = _locked(project)
    return Surroundings(
        files=frozenset(_files(root)),
        members=tuple(
            f"{package.local}/{MANIFEST}"
            for package in (locked.packages if locked else ())
            if package.local not in (None, ".")
        ),
        not_ignored=there,
        installed=_installed(project, locked),
    )


def _locked(project: Project) -> lock.Lock | None:
    if not project.lockfile.is_file():
        return None
    return lock.read(read_bytes(project.lockfile), str(project.lockfile))


def _installed(project: Project, locked: lock.Lock | None) -> frozenset[str] | None:
    """What production installs on some platform; which Python it is for hardly matters here."""
    root = locked.local(".") if locked else None
    if locked is None or root is None:
        return None
    prod = project.profiles["prod"]
    target = Target(python="3.13", platform="linux/amd64")
    chosen = lock.closure(locked, (root,), target, extras=prod.extras, groups=prod.groups or ())
    return frozenset(package.name for package in chosen)


def _files(root: Path) -> list[str]:
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in _NOT_LOOKED_INTO]
        below = Path(directory).relative_to(root)
        found += [(below / name).as_posix() for name in (*names, *directories)]
    return found


def difference(file: File) -> str:
    before = (file.before or "").replace("\r\n", "\n").splitlines(keepends=True)
    name = file.path.name
    after = file.text.splitlines(keepends=True)
    return "".join(
        difflib.unified_diff(before, after, f"{name} (as it is)", f"{name} (as the facts give)")
    )


def _by_line(finding: Finding) -> tuple[int, str]:
    return (finding.origin.line if finding.origin else 0, finding.code)
