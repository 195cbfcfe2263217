"""`uvflow docker --check`: are the files what today's facts give, and what is wrong with others'.

Reads only.
"""

import os
from pathlib import Path

from uvflow import findings
from uvflow.docker import context
from uvflow.docker.lint import parse, rules_build, rules_image  # noqa: F401  they fill RULES
from uvflow.docker.lint.model import RULES, CheckResult, LintContext, LintedDockerfile
from uvflow.files import read_bytes
from uvflow.findings import Finding, Origin
from uvflow.lockfile import packages
from uvflow.lockfile.packages import TargetPlatform
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
    locked = _locked(project)
    return LintContext(
        files=frozenset(_files(root)),
        members=tuple(
            f"{package.local}/{MANIFEST}"
            for package in (locked.packages if locked else ())
            if package.local not in (None, ".")
        ),
        not_ignored=there,
        installed=_installed(project, locked),
    )


def _locked(project: Project) -> packages.Lock | None:
    if not project.lockfile.is_file():
        return None
    return packages.read_lockfile(read_bytes(project.lockfile), str(project.lockfile))


def _installed(project: Project, locked: packages.Lock | None) -> frozenset[str] | None:
    """What production installs on some platform; which Python it is for hardly matters here."""
    root = locked.local(".") if locked else None
    if locked is None or root is None:
        return None
    prod = project.profiles["prod"]
    target = TargetPlatform(python="3.13", platform="linux/amd64")
    chosen = packages.closure(locked, (root,), target, extras=prod.extras, groups=prod.groups or ())
    return frozenset(package.name for package in chosen)


def _files(root: Path) -> list[str]:
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in _NOT_LOOKED_INTO]
        below = Path(directory).relative_to(root)
        found += [(below / name).as_posix() for name in (*names, *directories)]
    return found


def _by_line(finding: Finding) -> tuple[int, str]:
    return (finding.origin.line if finding.origin else 0, finding.code)
