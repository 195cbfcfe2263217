"""`uvflow docker --check` of a Dockerfile that a person wrote: what the rules find in it."""

import itertools
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from uvflow import findings
from uvflow.docker import context, settings
from uvflow.docker.instructions import json_array
from uvflow.docker.lint import rules_build, rules_image, rules_start, shell
from uvflow.docker.lint.model import Dockerfile, LintContext, Violations, is_for_development
from uvflow.docker.lint.parse import parse_instructions
from uvflow.docker.lint.shell import Words
from uvflow.docker.source import import_names
from uvflow.errors import UsageError
from uvflow.files import text_if_there
from uvflow.findings import Finding, Origin, Severity
from uvflow.lockfile.differences import differences
from uvflow.lockfile.packages import read_lockfile
from uvflow.lockfile.selection import optional_packages
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.manifest import Project, default_groups, group_names, manifest_in

# The code of a finding → its severity, and what to write instead.
_RULES = {
    "application-not-served": (Severity.ERROR, "its own kind of server, or `module:create_app()`"),
    "apt-after-sync": (Severity.WARNING, "install them before the first uv sync"),
    "apt-update-alone": (Severity.WARNING, "apt-get update and install in one RUN"),
    "apt-lists-kept": (Severity.NOTE, "rm -rf /var/lib/apt/lists/*, apk add --no-cache"),
    "argument-at-start": (Severity.WARNING, "ENV NAME=$NAME after it, or ${NAME:-default}"),
    "base-ended": (Severity.WARNING, "a release that is supported"),
    "base-not-pinned": (Severity.WARNING, "a tag with its version, such as python:X.Y-slim-trixie"),
    "command-missing": (Severity.WARNING, "a CMD, where `docker run` or compose names no command"),
    "command-unused": (Severity.WARNING, 'exec "$@" at the end of a script in the exec form'),
    "compiler-in-image": (Severity.WARNING, "compile in another stage; here -slim, or libpq5"),
    "context-not-ignored": (Severity.ERROR, "name them in .dockerignore"),
    "copy-missing": (Severity.WARNING, "name what is there, or make it before the build"),
    "debug-mode": (Severity.WARNING, "docker run --env NAME=1 … where it is wanted"),
    "development-server": (Severity.WARNING, "gunicorn for WSGI, uvicorn for ASGI, or fastapi run"),
    "download-unchecked": (
        Severity.NOTE,
        "the URL of a version, and its checksum: ADD --checksum=sha256:…",
    ),
    "env-file-in-image": (Severity.ERROR, "docker run --env-file .env, or --mount=type=ssh"),
    "environment-copied-again": (Severity.WARNING, "COPY --chown=…, or leave it to root"),
    "environment-moved": (Severity.ERROR, "one path for it in every stage"),
    "environment-without-source": (Severity.ERROR, "uv sync --no-editable, or copy it as well"),
    "failure-hidden": (Severity.WARNING, "`|| true` in a step of what alone may fail"),
    "health-by-curl": (Severity.ERROR, "a probe by Python, or install that program"),
    "health-path-unknown": (Severity.WARNING, "a path that the service answers"),
    "listens-locally": (Severity.WARNING, "0.0.0.0 in its place: --host, --bind, --server.address"),
    "ignore-unknown": (Severity.WARNING, "a code of docs/reference/findings.md"),
    "lockfile-passed-over": (Severity.WARNING, "`uv add` what it lacks, and uv sync --locked"),
    "lockfile-stale": (Severity.WARNING, "`uv lock`, and --locked in the build"),
    "mount-missing": (Severity.ERROR, "create it, or let .dockerignore have it"),
    "no-bytecode": (Severity.NOTE, "ENV UV_COMPILE_BYTECODE=1"),
    "output-buffered": (Severity.NOTE, "ENV PYTHONUNBUFFERED=1"),
    "package-missing": (Severity.WARNING, "apt-get install it in the last stage"),
    "path-empty-element": (Severity.WARNING, "directories only, each with its whole path"),
    "ports-differ": (Severity.WARNING, "name the port that the service listens on"),
    "python-below-root": (Severity.ERROR, "ENV UV_PYTHON_INSTALL_DIR=/python"),
    "python-not-allowed": (Severity.WARNING, "a tag of the Python that the project asks for"),
    "python-not-there": (Severity.ERROR, "a base with it, or copy UV_PYTHON_INSTALL_DIR as well"),
    "pythons-differ": (Severity.ERROR, "use the same Python in every stage"),
    "runs-as-root": (Severity.WARNING, "USER 10001:10001, at the end"),
    "secret-in-image": (Severity.ERROR, "docker run --env-file, or RUN --mount=type=secret"),
    "server-not-locked": (Severity.ERROR, "`uv add` it, or sync what has it"),
    "shell-form": (Severity.WARNING, 'CMD ["program", "argument"], or `exec` before it'),
    "source-before-dependencies": (Severity.WARNING, "uv sync --no-install-project, then COPY"),
    "source-with-environment": (Severity.WARNING, "copy the environment, then the source"),
    "start-not-executable": (Severity.ERROR, "COPY --chmod=755, or git update-index --chmod=+x"),
    "start-not-on-path": (Severity.ERROR, "put that directory first in ENV PATH"),
    "start-not-there": (Severity.ERROR, "name what the image has, or put it there"),
    "starts-nothing": (Severity.ERROR, "a CMD that starts the service, each word a string"),
    "starts-through-uv": (Severity.ERROR, "sync in the build alone, and start the program itself"),
    "static-not-collected": (Severity.WARNING, "RUN NAME=… manage.py collectstatic --noinput"),
    "stop-signal": (Severity.WARNING, "STOPSIGNAL SIGTERM, which is the default"),
    "sync-frozen": (Severity.NOTE, "--locked, at least in the last sync"),
    "sync-not-locked": (Severity.WARNING, "--locked, with uv.lock copied or mounted before"),
    "sync-with-dev": (Severity.WARNING, "--no-dev for each sync, or --no-default-groups"),
    "tls-not-verified": (Severity.WARNING, "the CA of that host, by ENV SSL_CERT_FILE"),
    "user-not-there": (Severity.ERROR, "RUN useradd …, or a numeric USER 10001:10001"),
    "uv-at-start": (Severity.WARNING, "start the program itself, or ENV UV_NO_SYNC=1"),
    "uv-bookworm-ended": (Severity.NOTE, "mount a newer uv for the steps that need it"),
    "uv-cache-in-layer": (Severity.WARNING, "a cache mount for its uid, or --no-cache-dir"),
    "uv-in-image": (Severity.NOTE, "mount uv for the steps that need it"),
    "uv-installed-unpinned": (Severity.WARNING, "a version; uv from ghcr.io/astral-sh/uv:X.Y.Z"),
    "uv-not-pinned": (Severity.WARNING, "a version: ghcr.io/astral-sh/uv:X.Y.Z"),
    "volume-over-application": (Severity.WARNING, "VOLUME of the data alone: /app/data"),
}
Check = Callable[[Dockerfile], Violations]
CHECKS: tuple[Check, ...] = (*rules_build.CHECKS, *rules_image.CHECKS, *rules_start.CHECKS)

# What takes a second or two to check; the longest that was met has a third of it.
_MOST_BYTES, _MOST_INSTRUCTIONS, _MOST_COMMANDS, _MOST_IMAGES = 1 << 16, 500, 1000, 5

# A line of .env that is not for compose alone, and not computed.
_SETS = re.compile(r"(?m)^[ \t]*(?:export +)?(?!COMPOSE_)\w+ *= *[\"']?[^\s\"'$#]")
_OF_SECRETS = {".env": _SETS, ".envrc": _SETS, ".my.cnf": re.compile(r"(?m)^ *password *=")}
_OF_ONE_PROJECT = 2  # its lockfile and its manifest
_IGNORE = re.compile(r"\s*#\s*uvflow\s+ignore\s*=\s*([a-z, -]+)")


def check_handwritten(project: Project, path: Path) -> tuple[Finding, ...]:
    """What the rules say about the hand-written Dockerfile at `path`, by line.

    Raises DiskError or UsageError where it is too long to be checked.
    """
    text = text_if_there(path, _MOST_BYTES) or ""
    steps = [*parse_instructions(text)]
    count = sum(len(shell.command_lists(s.text)) for s in steps if s.keyword == "RUN")
    if len(steps) > _MOST_INSTRUCTIONS or count > _MOST_COMMANDS:
        most = f"{_MOST_INSTRUCTIONS} instructions and {_MOST_COMMANDS} shell commands"
        cause = f"it has {len(steps)} and {count}, at most {most} are checked"
        raise UsageError(f"{path} is too long to be checked", cause=cause)
    known = lint_context(project, path.parent)
    linted = Dockerfile(text, known)
    if not linted.stages:
        origin = Origin(path=path.name, line=1)
        return (findings.error("no-stage", "there is no FROM in it", origin),)
    leaves = [s for s in linted.leaves if s != linted.final and not is_for_development(s.name)]
    others = [s for s in leaves if {"CMD", "ENTRYPOINT"} & {x.keyword for x in s.instructions}]
    images = (Dockerfile(text, known, linted.stages.index(s)) for s in others[: _MOST_IMAGES - 1])
    return _findings((linted, *images), CHECKS, project, path)


def check_start(
    project: Project, path: Path, text: str, processes: Iterable[tuple[str, Words]]
) -> Iterator[Finding]:
    """What serves in a generated Dockerfile, and errors: a user may have named what is started.

    Of other `processes`, by name, what they need and the image lacks.
    """
    context = lint_context(project)
    servers = {"development-server", "listens-locally", "shell-form"}
    linted = Dockerfile(text, context)
    for each in _findings((linted,), rules_start.CHECKS, project, path):
        if each.severity is Severity.ERROR or each.code in servers:
            yield each
    for each in _findings((linted,), rules_image.CHECKS, project, path):
        if each.code == "secret-in-image":
            yield replace(each, hint="docker run --env-file .env …")
    keyword = "ENTRYPOINT" if "\nENTRYPOINT " in text else "CMD"
    for name, words in processes:
        other = Dockerfile(f"{text}{keyword} {json_array(words)}\n", context)
        last = Origin(path=path.name, line=len(other.lines))
        for each in _findings((other,), rules_start.CHECKS, project, path):
            if each.severity is Severity.ERROR and each.origin == last:
                yield replace(each, message=f"{name}: {each.message}", origin=None)


def _findings(
    images: tuple[Dockerfile, ...], checks: Iterable[Check], project: Project, path: Path
) -> tuple[Finding, ...]:
    """What is found in any of the images that a file makes."""
    table, linted = project.table("tool", "uvflow", "docker"), images[0]
    ignored = {*settings.read(table, str(project.root / MANIFEST)).ignore}
    every = (each for image, check in itertools.product(images, checks) for each in check(image))
    found = {(at.line, code, text) for code, at, text in every}
    for line, codes in enumerate((ignored, *map(_codes, linted.lines))):
        names = codes - _RULES.keys()  # those of the table are told at the first line
        found |= {(line or 1, "ignore-unknown", f"there is no finding `{name}`") for name in names}
    return tuple(
        Finding(_RULES[code][0], code, text, Origin(path.name, line), _hint(code, text, linted))
        for line, code, text in sorted(found)
        if code not in ignored | _ignored(linted.lines[: line - 1])
    )


def _hint(code: str, text: str, linted: Dockerfile) -> str:
    """What to write instead, so that it works in this file."""
    hint, probe, locking = _RULES[code][1], linted.last("HEALTHCHECK"), linted.context.locking
    lacking = [file for file in locking if not linted.context.has(file)]
    url = re.search(r"https?://[^\s\"'|;]+", probe.text if probe else "")
    image = re.search(r"\buv:(?:[\d.]+-)?([a-z][\w.-]+) may be", text)
    if code == "health-by-curl" and url:
        return f"CMD python -c \"from urllib.request import *; urlopen('{url[0]}')\""
    if code == "runs-as-root" and any(c.program in {"uv", "uvx"} for c in linted.started):
        return f"ENV HOME=/tmp UV_NO_SYNC=1, then {hint}"  # its cache is below HOME
    if code == "uv-not-pinned" and image and image[1] != "latest":
        return f"{hint}-{image[1]}"
    if code == "base-not-pinned" and not re.match(r"python:(?!.*alpine)", text):
        return "a tag with its version, or a digest"
    if code == "source-before-dependencies" and len(locking) > _OF_ONE_PROJECT:
        hint = "uv sync --frozen --no-install-workspace, COPY, and uv sync --locked"
    if "enter /root" in text:
        return "ENV UV_INSTALL_DIR=/usr/local/bin, before it is installed"
    if "no shell expands" in text:
        return 'CMD ["sh", "-c", "exec …"]'
    if "--locked" in hint and any(map(linted.lacks_manifests, linted.syncs[-1:])):
        return hint.replace("--locked", "--frozen")  # which needs no manifests of other members
    if lacking and "--locked" in hint:
        return f"{hint}; {lacking[0]} is not in the build context"
    return hint


def _ignored(before: list[str]) -> set[str]:
    """The codes that the comments at the end of these lines name."""
    comments = itertools.takewhile(lambda line: line.lstrip().startswith("#"), reversed(before))
    return set[str]().union(*map(_codes, comments))


def _codes(line: str) -> set[str]:
    match = _IGNORE.match(line)
    return {*match[1].replace(",", " ").split()} if match else set()


def lint_context(project: Project, place: Path | None = None) -> LintContext:
    """What the rules know of `project`; raises UsageError where its files cannot be read.

    The build context is `place` where that is above uv.lock.
    """
    workspace = project.workspace
    root = place if place and place in workspace.parents else workspace
    prefix = workspace.relative_to(root).as_posix()
    places = (project.root / "Dockerfile.dockerignore", root / ".dockerignore")
    ignored = next((text for text in map(text_if_there, places) if text is not None), "")
    missing = (n.removeprefix("**/") for n in context.missing_patterns(ignored, root))
    texts = {name: context.source_text(root / name) for name in _OF_SECRETS}
    missing = (n for n in missing if n not in texts or _OF_SECRETS[n].search(texts[n]))
    lockfile = read_lockfile(project.lockfile) if project.lockfile.exists() else None
    local = lockfile.local_packages if lockfile else ()
    groups = {*group_names(project.manifest)}
    default = default_groups(project.table("tool", "uv"), groups)
    groups -= {name for name, listed in project.table("dependency-groups").items() if not listed}
    renamed = (each for p in local for each in _renamed(p.name, workspace / str(p.directory)))
    manifests = (project.manifest, *(manifest_in(workspace / str(p.directory)) for p in local))
    read = (LOCKFILE, MANIFEST, *(f"{p.directory}/{MANIFEST}" for p in local))
    locking = (posixpath.normpath(f"{prefix}/{file}") for file in read)
    return LintContext(
        requires_python=project.table("project").get("requires-python", ""),
        files=frozenset(map(str, context.files_in(root))),
        packages=tuple(p.directory or "" for p in local if "editable" in p.source),
        not_ignored=tuple(n for n in missing if (root / n).exists()),
        locking=tuple(dict.fromkeys(locking)),
        locked=frozenset(p.name for p in lockfile.packages) if lockfile else None,
        optional=optional_packages(lockfile, manifests) if lockfile else {},
        development=frozenset(n for n in groups & {*default} if is_for_development(n)),
        local=frozenset(p.name.replace("-", "_") for p in local if "directory" not in p.source),
        renamed=frozenset(renamed),
        scripts=frozenset(project.table("project", "scripts")),
        text=lambda path: context.source_text(root / path),
        is_stale=lambda: any("version: " not in each for each in differences(project)),
        is_ignored=lambda path: context.is_ignored(path, ignored),
        is_executable=lambda path: os.name == "nt" or os.access(root / path, os.X_OK),
    )


def _renamed(distribution: str, directory: Path) -> Iterator[str]:
    """The packages of `directory` that are installed under another name than their directory's."""
    for path, name in import_names(distribution, directory).items():
        if name and name.rpartition("/")[2] != posixpath.basename(path):
            yield name.partition("/")[0]
