"""`uvflow docker --check` of a Dockerfile that a person wrote: what the rules find in it.

Reads only.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from uvflow import findings, uv
from uvflow.docker import context, settings
from uvflow.docker.lint import parse, rules_build, rules_image, rules_start
from uvflow.docker.lint.model import LintContext, LintedDockerfile
from uvflow.errors import UvflowError
from uvflow.files import read_regular, read_text, text_if_there
from uvflow.findings import Finding, Origin
from uvflow.lockfile.packages import Lockfile, read_lockfile
from uvflow.lockfile.selection import TargetPlatform, export_selection, packages_on
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Project

CHECKS = (*rules_build.CHECKS, *rules_image.CHECKS, *rules_start.CHECKS)

_IGNORE = re.compile(r"\s*#\s*uvflow\s+ignore\s*=\s*([a-z, -]+)")
_LONGEST_SCRIPT = 100_000  # bytes
_SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}


def check_handwritten(project: Project, path: Path) -> tuple[Finding, ...]:
    """What the rules say about the hand-written Dockerfile at `path`, by line."""
    text = read_text(path)
    dockerfile = parse.parse_dockerfile(text)
    if not dockerfile.stages:
        origin = Origin(path=path.name, line=1)
        return (findings.error("no-stage", "there is no FROM in it", origin),)
    linted = LintedDockerfile(dockerfile, lint_context(project))
    table = project.table("tool", "uvflow", "docker")
    ignored = settings.read(table, str(project.root / MANIFEST)).ignore
    lines = text.splitlines()
    found = {(at.line, rule, text) for check in CHECKS for rule, at, text in check(linted)}
    return tuple(
        Finding(rule.severity, rule.code, message, Origin(path=path.name, line=line), rule.fix)
        for line, rule, message in sorted(found)
        if rule.code not in {*ignored, *_ignored(lines[: line - 1])}
    )


def _ignored(before: list[str]) -> set[str]:
    """The codes that the comments at the end of these lines name."""
    codes: set[str] = set()
    while before and before[-1].lstrip().startswith("#"):
        match = _IGNORE.match(before.pop())
        codes |= set(match[1].replace(",", " ").split()) if match else set()
    return codes


def lint_context(project: Project) -> LintContext:
    """What the rules ask of `project`; raises UsageError where its files cannot be read."""
    root = project.workspace
    ignored = text_if_there(project.root / "Dockerfile.dockerignore")
    ignored = text_if_there(root / ".dockerignore") or "" if ignored is None else ignored
    missing = context.missing_patterns(ignored, root)
    lockfile = read_lockfile(project.lockfile) if project.lockfile.exists() else None
    local = lockfile.local_packages if lockfile else ()
    return LintContext(
        files=frozenset(_files(root)),
        members=tuple(f"{p.directory}/{MANIFEST}" for p in local if p.directory != "."),
        packages=tuple(p.directory or "" for p in local if "editable" in p.source),
        not_ignored=tuple(n for n in missing if (root / n.removeprefix("**/")).exists()),
        installed=_installed(project, lockfile) if lockfile else None,
        locked=frozenset(p.name for p in lockfile.packages) if lockfile else None,
        has_dev=_has_dev(project),
        scripts=frozenset(project.table("project", "scripts")),
        text=lambda path: _text(root / path),
        is_ignored=lambda path: context.is_ignored(path, ignored),
    )


def _has_dev(project: Project) -> bool:
    settings = project.table("tool", "uv")
    groups = {
        *project.table("dependency-groups"),
        *(("dev",) if "dev-dependencies" in settings else ()),
    }
    default = settings.get("default-groups", ["dev"])
    return bool(groups if default == "all" else groups & {*default})


def _installed(project: Project, lockfile: Lockfile) -> frozenset[str]:
    """What production installs on some platform; which Python it is for hardly matters here."""
    exported = export_selection(project, project.shared_profiles["prod"], uv.find())
    target = TargetPlatform(python="3.13", platform="linux/amd64")
    return frozenset(package.name for package in packages_on(target, exported, lockfile))


def _files(root: Path) -> Iterator[str]:
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in _SKIPPED]
        below = Path(directory).relative_to(root)
        yield from ((below / name).as_posix() for name in names)


def _text(path: Path) -> str:
    """Empty where it cannot be read, or is no text."""
    try:
        return read_regular(path, _LONGEST_SCRIPT).decode()
    except (OSError, UvflowError, UnicodeDecodeError):
        return ""
