"""What a sync depends on, as questions for a fingerprint.

A question is a kind of answer and a path (fingerprint.py). The paths are those that uv looks at (uv
docs, "Configuration files" and "Python versions"; traced with uv 0.13). Where something cannot be
watched cheaply and soundly, there is a reason instead of questions.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uvflow import fingerprint, uv
from uvflow.environment.installed import Environment, read_quickly
from uvflow.lockfile.packages import LocalSource, local_sources
from uvflow.paths import LOCKFILE, MANIFEST, OWN_SETTINGS
from uvflow.project.manifest import Project, parse_manifest
from uvflow.redaction import redacted
from uvflow.state.journal import BOOT_ID, COPY


@dataclass(frozen=True, kw_only=True)
class SyncInputs:
    """The questions whose answers a sync depends on, or why it can have no fingerprint."""

    questions: tuple[str, ...] = ()
    unwatchable: str | None = None


def sync_inputs(project: Project, *, uv_path: str, environ: Mapping[str, str]) -> SyncInputs:
    """What `uv sync` of `project` depends on: files, variables and uv itself."""
    sources = local_sources(project)
    reason = _unwatchable(project, sources, environ)
    if reason:
        return SyncInputs(unwatchable=reason)
    questions = (
        "variables ",
        f"identity {uv_path}",
        *(f"content {path}" for path in _configuration(project.workspace, environ)),
        f"content {project.workspace / LOCKFILE}",
        f"content {project.root / OWN_SETTINGS}",
        *_members(project),
        *(question for source in sources for question in _source(source)),
        *(f"identity {path}" for path in _files_named_by(environ)),
    )
    return SyncInputs(questions=tuple(map(_without_secrets, dict.fromkeys(questions))))


def _without_secrets(question: str) -> str:
    """The question whose answer keeps no secret: of a file that has one, not the content.

    uv writes none into a lockfile, which would take 100 ms to look through where it is long.
    """
    kind, _, path = question.partition(" ")
    if kind != "content" or path.endswith(LOCKFILE):
        return question
    text = (read_quickly(path) or b"").decode(errors="replace")
    return question if redacted(text) == text else f"identity {path}"


def check_inputs(project: Project) -> None:
    """Refuse a project where uv would wait at a file of its own, a local source or the user's.

    Raises what `uv.check_readable` does.
    """
    sources = (source.path for source in local_sources(project))
    uv.check_readable((*project.directories, *sources, *_configuration_directories(os.environ)))


def environment_inputs(environment: Environment) -> tuple[str, ...]:
    """The result of a sync: the environment's configuration, interpreter and distributions.

    Includes the copy of the journal, since a sync with another state may have been killed here, and
    the boot id: uv flushes nothing to disk, so a power failure may take what a sync has written.
    """
    return (
        f"content {BOOT_ID}",
        f"content {environment.path / COPY}",
        f"identity {environment.path / 'pyvenv.cfg'}",
        f"identity {environment.scripts / ('python.exe' if os.name == 'nt' else 'python')}",
        *(f"distributions {directory}" for directory in environment.site_packages),
    )


def _configuration(workspace: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    for directory in (workspace, *workspace.parents):
        yield directory / MANIFEST
        yield directory / "uv.toml"
    for directory in _configuration_directories(environ):
        yield directory / "uv.toml"
    for directory in (workspace, _user_configuration(environ)):
        yield directory / ".python-version"
        yield directory / ".python-versions"


def _configuration_directories(environ: Mapping[str, str]) -> Iterator[Path]:
    yield _user_configuration(environ)
    if sys.platform == "win32":
        yield Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / "uv"
        return
    for directory in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(directory) / "uv"
    yield Path("/etc/uv")


def _user_configuration(environ: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("APPDATA", "")) / "uv"
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv"


def _files_named_by(environ: Mapping[str, str]) -> Iterator[Path]:
    """Files that variables name, such as UV_CONFIG_FILE, UV_CONSTRAINT or UV_PYTHON."""
    for name, value in sorted(environ.items()):
        is_credential = name.endswith(fingerprint.CREDENTIALS)
        # Whatever cannot be looked at is not a file, which Path.is_file does not say.
        if name.startswith("UV_") and not is_credential and os.path.isfile(value):  # noqa: PTH113
            yield Path(value)


def _source(source: LocalSource) -> Iterator[str]:
    """What makes uv rebuild a local source (uv docs, "Dynamic metadata")."""
    if source.path.is_file():
        yield f"identity {source.path}"
        return
    yield f"content {source.path / MANIFEST}"
    if source.is_built:
        for name in (MANIFEST, "setup.py", "setup.cfg"):
            yield f"identity {source.path / name}"
        yield f"is-directory {source.path / 'src'}"


def _members(project: Project) -> Iterator[str]:
    """Where workspace members come and go: the directories that the `members` patterns list."""
    for pattern in _workspace_patterns(project):
        directory = project.workspace / pattern.removesuffix("/*")
        if pattern.endswith("/*"):
            yield f"directories {directory}"
            for member in sorted(directory.glob("*/")):
                yield f"content {member / MANIFEST}"
        else:
            yield f"content {directory / MANIFEST}"


def _workspace_patterns(project: Project) -> Iterable[str]:
    return tuple(map(str, project.table("tool", "uv", "workspace").get("members", ())))


def _unwatchable(
    project: Project, sources: Iterable[LocalSource], environ: Mapping[str, str]
) -> str | None:
    if project.root != project.workspace:
        return "the project is a member of a workspace"
    for pattern in _workspace_patterns(project):
        if re.search(r"[*?\[]", pattern.removesuffix("/*")):
            return f"the workspace pattern `{pattern}` can match anywhere"
    for name, value in environ.items():
        is_kept = name.startswith("UV_") and not name.endswith(fingerprint.CREDENTIALS)
        if is_kept and redacted(value) != value:
            return f"{name} may hold credentials"
    return next(filter(None, map(_unwatchable_source, sources)), None)


def _unwatchable_source(source: LocalSource) -> str | None:
    if source.path.is_file() or not source.is_built:
        return None
    manifest = parse_manifest(source.path / MANIFEST) if (source.path / MANIFEST).exists() else {}
    match manifest:
        case {"tool": {"uv": {"cache-keys": _}}}:
            return f"{source.path} has cache-keys of its own"
        case {"project": dict(metadata)} if not metadata.get("dynamic"):
            return None
    return f"{source.path} has metadata that is only known after a build"
