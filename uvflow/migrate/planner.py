"""What `uvflow init` would do: everything is read and decided, and nothing is changed."""

import os
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from uvflow.errors import UsageError
from uvflow.files import read_bytes, read_regular
from uvflow.findings import Finding
from uvflow.migrate import discover, evidence, groups, model, pins, pyproject
from uvflow.migrate.fetch import fetcher
from uvflow.migrate.model import Bucket, ImportedRequirements
from uvflow.migrate.plan import Change, InitOptions, Plan, needs_user, recounted
from uvflow.migrate.report import accounted
from uvflow.migrate.temporary_project import TemporaryProject
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project import profiles
from uvflow.project.manifest import Project, parse_manifest, workspace_of
from uvflow.project.profiles import BUILT_IN
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Uv

# What uv takes for a project's name (packaging specifications, "Names and normalization").
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

# uv wants a requires-python in every lockfile, and looks at no more than that in a first one.
_ANY_PYTHON = ">=3.8"


def make_plan(
    root: Path, request: InitOptions, *, uv: Uv, progress: Progress = no_progress
) -> Plan:
    """What `init` would do. Writes nothing below `root`; raises what `init` raises."""
    before = _manifest(root)
    text = before or ""
    is_project = before is not None and "project" in parse_manifest(root / MANIFEST)
    if is_project and Project.load(root).lockfile.exists():
        return Plan(root=root, before=before, text=text, is_there=True)
    _refuse_membership(root)
    _refuse_renaming(text, request)
    imported = _read(root, request, text, progress)
    with accounted(imported):
        if imported.errors:
            raise needs_user(imported.errors)
        read = Plan(root=root, before=before, text=text, imported=imported)
        return _planned(read, request, uv=uv, progress=progress)


def _planned(read: Plan, request: InitOptions, *, uv: Uv, progress: Progress) -> Plan:
    """What is to be done with what was read; uv is asked for names and for the base file."""
    root, text, imported = read.root, read.text, read.imported
    environ = {**BUILT_IN["dev"].environ(os.environ), **imported.credentials}
    scratch = TemporaryProject(uv=uv, root=root, environ=environ)
    imported = scratch.named(imported, progress)
    if "project" not in read.values:
        base = scratch.base(_name(root, request, imported), imported.requires_python)
        text = pyproject.with_project(text, base)
    if request.direct_only:
        imported = pins.direct_only(imported, scratch.lockfile(imported, text))
    edited = pyproject.edit(text, imported)
    imported = _with_what_was_there(imported, edited)
    if not request.lock:
        imported = evidence.unlocked(imported)
    return _completed(replace(read, text=edited.text, imported=imported), request)


def _manifest(root: Path) -> str | None:
    """The text of pyproject.toml; raises UsageError where there is no place for one."""
    if not root.is_dir():
        raise UsageError(f"there is no directory {root}")
    path = root / MANIFEST
    try:
        return read_bytes(path).decode() if path.exists() else None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid TOML", cause=str(error)) from error


def _refuse_membership(root: Path) -> None:
    """A member has no lockfile of its own, and a new one makes that of the workspace stale."""
    workspace = workspace_of(root)
    if workspace != root:
        raise UsageError(
            f"{root} is among the members of the workspace in {workspace}",
            hint="exclude it there (`exclude` in [tool.uv.workspace]), or add it with `uv init`",
        )


def _refuse_renaming(text: str, request: InitOptions) -> None:
    project = tomllib.loads(text).get("project", {})
    for option, asked, key in (
        ("--name", request.name, "name"),
        ("--python", request.python, "requires-python"),
    ):
        if asked is not None and key in project and project[key] != asked:
            raise UsageError(
                f"`{option} {asked}`: pyproject.toml says {key} = {project[key]!r} already",
                hint="change it there",
            )


def _read(root: Path, request: InitOptions, text: str, progress: Progress) -> ImportedRequirements:
    """Everything that the files of `root` say; `text` is that of pyproject.toml, or nothing."""
    names, read = discover.candidate_files(root, request.options), _reader(root)
    inputs = discover.input_files(names, request.options)
    if "project" in tomllib.loads(text) and not request.options.from_files:
        inputs = evidence.with_compiled(inputs, read)
    fetch = fetcher(progress, os.environ)
    imported = groups.import_files(inputs, read, request.options, fetch=fetch)
    specifier, findings = _python(request, names, read, text)
    obstacles = evidence.obstacles(names, read, imported, text)
    left_out = () if request.options.from_files else discover.unclaimed_files(names, imported.files)
    return replace(
        imported,
        requires_python=specifier,
        findings=(*imported.findings, *findings, *obstacles, *left_out),
    )


def _reader(root: Path) -> model.Read:
    return lambda path: read_regular(root / path)


def _python(
    request: InitOptions, names: Iterable[str], read: model.Read, text: str
) -> tuple[str | None, tuple[Finding, ...]]:
    """The requires-python to write: what is asked for, or else what other files tell of it.

    A version alone stands for itself and all later ones, as it does for `uv init`.
    """
    if request.python:
        wanted = request.python
        return (f">={wanted}" if _is_version(wanted) else wanted), ()
    if "requires-python" in tomllib.loads(text).get("project", {}):
        return None, ()
    found = evidence.requires_python_evidence(names, read)
    return found.specifier, found.findings


def _is_version(text: str) -> bool:
    return re.match(r"\d", text) is not None


def _name(root: Path, request: InitOptions, imported: ImportedRequirements) -> str:
    name = request.name or evidence.declared_name(_reader(root)) or root.name
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot be the name of a project",
            cause="a name is made of ASCII letters, digits, `-`, `_` and `.`",
            hint=f"`uvflow init --name {_proposed(name)}`",
        )
    same = next((r for r in imported.requirements if r.name == canonicalize_name(name)), None)
    if same:
        raise UsageError(
            f"a project named `{name}` cannot depend on {same.name} ({same.origin})",
            hint=f"`uvflow init --name {same.name}-project`",
        )
    return name


def _proposed(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-") or "my-project"


def _with_what_was_there(
    imported: ImportedRequirements, edited: pyproject.EditedPyproject
) -> ImportedRequirements:
    """`imported`, its books and its pins as they are once pyproject.toml had its say."""
    moves = {requirement.origin: Bucket.MERGED for requirement in edited.there}
    moves.update({f.origin: Bucket.ACTION for f in edited.findings if f.origin})
    return replace(
        imported,
        pins=tuple(dict.fromkeys((*imported.pins, *edited.pins))),
        findings=(*imported.findings, *edited.findings),
        files=tuple(recounted(file, moves) for file in imported.files),
    )


def _completed(work: Plan, request: InitOptions) -> Plan:
    """`work` with the profile to sync, where its environment is, and every path that changes."""
    settings = work.values.get("tool", {}).get("uvflow", {})
    profile = profiles.read(settings, str(work.root / MANIFEST))["dev"]
    environment = profile.environment_path(work.root, os.environ)
    wants_sync = request.lock and request.sync
    paths = (
        *((work.root / MANIFEST,) if work.text != work.before else ()),
        *((work.root / LOCKFILE,) if request.lock else ()),
        *((environment,) if wants_sync else ()),
    )
    return replace(
        work,
        changes=tuple(_change(work.root, path) for path in paths),
        seed=_seed(work, request),
        profile=profile,
        environment=environment if wants_sync else None,
        may_narrow=_may_narrow(work, request),
    )


def _may_narrow(work: Plan, request: InitOptions) -> bool:
    """Evidence of what Python is used, and a version alone, set no limit to what is supported."""
    there = tomllib.loads(work.before or "").get("project", {}).get("requires-python")
    return there is None and not (request.python and not _is_version(request.python))


def _seed(work: Plan, request: InitOptions) -> str:
    """A first uv.lock, unless there is one: that is older than the files, or says more."""
    if not request.lock or (work.root / LOCKFILE).exists():
        return ""
    required = work.values["project"].get("requires-python", _ANY_PYTHON)
    return pins.seed_lockfile(work.imported, required)


def _change(root: Path, path: Path) -> Change:
    name = Path(os.path.relpath(path, root)).as_posix()
    return Change(path=name, action="edit" if path.exists() else "create")
