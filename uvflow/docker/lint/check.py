"""`uvflow docker --check`: are the files what today's facts give, and what is wrong with others'.

Reads only.
"""

import os
from pathlib import Path

from uvflow import findings, uv
from uvflow.docker import context
from uvflow.docker.lint import parse, rules_build, rules_image  # noqa: F401  they fill RULES
from uvflow.docker.lint.model import RULES, CheckResult, LintContext, LintedDockerfile
from uvflow.findings import Finding, Origin
from uvflow.lockfile.packages import Lockfile, read_lockfile
from uvflow.lockfile.selection import TargetPlatform, export_selection, packages_on
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Project

_NOT_LOOKED_INTO = {".git", ".venv", "node_modules", "__pycache__"}


def check_handwritten(project: Project, path: Path) -> CheckResult:
    """What the rules say about the hand-written Dockerfile at `path`, by line."""
    dockerfile = parse.parse_dockerfile(path.read_text(encoding="utf-8", errors="replace"))
    if not dockerfile.stages:
        origin = Origin(path=path.name, line=1)
        message = "there is no FROM in it"
        nothing = findings.error("no-stage", message, origin)
        return CheckResult(findings=(nothing,))
    linted = LintedDockerfile(dockerfile, lint_context(project), path.name)
    found = (finding for rule in RULES for finding in rule(linted))
    return CheckResult(findings=tuple(sorted(found, key=_by_line)))


def lint_context(project: Project) -> LintContext:
    """What the rules ask of `project`; raises UsageError where its files cannot be read."""
    root = project.workspace
    ignored = root / ".dockerignore"
    text = ignored.read_text(encoding="utf-8", errors="replace") if ignored.is_file() else ""
    there = tuple(
        n for n in context.missing_patterns(text) if (root / n.removeprefix("**/")).exists()
    )
    locked = read_lockfile(project.lockfile) if project.lockfile.is_file() else None
    return LintContext(
        files=frozenset(_files(root)),
        members=tuple(
            f"{package.directory}/{MANIFEST}"
            for package in (locked.local_packages if locked else ())
            if package.directory != "."
        ),
        not_ignored=there,
        installed=_installed(project, locked),
    )


def _installed(project: Project, locked: Lockfile | None) -> frozenset[str] | None:
    """What production installs on some platform; which Python it is for hardly matters here."""
    if locked is None:
        return None
    exported = export_selection(project, project.profiles["prod"], uv.find())
    target = TargetPlatform(python="3.13", platform="linux/amd64")
    return frozenset(package.name for package in packages_on(target, exported, locked))


def _files(root: Path) -> list[str]:
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in _NOT_LOOKED_INTO]
        below = Path(directory).relative_to(root)
        found += [(below / name).as_posix() for name in (*names, *directories)]
    return found


def _by_line(finding: Finding) -> tuple[int, str]:
    return (finding.origin.line if finding.origin else 0, finding.code)
