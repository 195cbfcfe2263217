"""`uvflow init`: read, plan, carry out or put everything back."""

import contextlib
import os
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from uvflow import backups, evidence, imports, listing, profiles, pyproject
from uvflow.accounts import accounted
from uvflow.errors import DiskError, NetworkError, UsageError, UvFailedError
from uvflow.fetching import fetcher
from uvflow.files import claim, read_bytes, read_regular, write_whole
from uvflow.imports import groups, pins, places, python, roots, unclaimed
from uvflow.imports.model import Bucket, Finding, Import, Options
from uvflow.locking import lock
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.plan import Change, Done, Plan, needs_user, recounted
from uvflow.profiles import BUILT_IN, Choice
from uvflow.project import Project, parse_manifest, workspace_of
from uvflow.scratch import Scratch
from uvflow.state import DEFAULT_TIMEOUT, State, Tell, say_nothing
from uvflow.sync import Sync, proven
from uvflow.uv import Uv

# What uv takes for a project's name (packaging specifications, "Names and normalization").
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


# uv wants a requires-python in every lockfile, and looks at no more than that in a first one.
_ANY_PYTHON = ">=3.8"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. `python` is a version or a specifier, for `requires-python`."""

    name: str | None = None
    python: str | None = None
    lock: bool = True
    sync: bool = True
    direct_only: bool = False  # leave to the lockfile what others bring along
    timeout: float = DEFAULT_TIMEOUT  # seconds to wait for another uvflow
    options: Options = field(default_factory=Options)


def requested(root: Path, asked: Mapping[str, Any]) -> Request:
    """What the command line asks for; `asked` has its options by their names.

    Files are named there as seen from where it is typed. Raises UsageError.
    """
    how = (
        *("allow_outside", "encoding", "keep_going", "strict"),
        *("on_conflict", "strip_credentials"),
    )
    options = Options(
        from_files=tuple(_seen_from(root, path) for path in asked["from_files"]),
        groups=tuple(_group(root, text) for text in asked["groups"]),
        constraints=tuple(_seen_from(root, path) for path in asked["constraints"]),
        environ=os.environ,
        **{name: asked[name] for name in how},
    )
    return Request(
        name=asked["name"],
        python=asked["python"],
        lock=not asked["no_lock"],
        sync=not asked["no_sync"],
        direct_only=asked["direct_only"],
        timeout=asked["timeout"],
        options=options,
    )


def _seen_from(root: Path, path: str) -> str:
    if places.is_url(path):
        return path
    return Path(os.path.relpath(path, root)).as_posix()


def _group(root: Path, text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise UsageError(f"`--group {text}` is not NAME=FILE")
    return name, _seen_from(root, path)


def init(root: Path, request: Request, *, uv: Uv, tell: Tell = say_nothing) -> Done:
    """Make `root` a locked uv project with an environment; on any failure it is as it was.

    `root` is absolute and real. Raises ImportNeedsUserError (1) with every line that needs a
    decision, UvFailedError (1), UsageError (2), BusyError (6), DiskError (8).
    """
    state = State.of(root)
    with state.exclusive("uvflow init", timeout=request.timeout, tell=tell):
        backups.recover(state, tell)
        work = plan(root, request, uv=uv, tell=tell)
        if work.is_there:
            return Done(plan=work)
        with accounted(work.imported):
            if work.environment:  # what runs in it is not to lose its packages
                state.await_leases(work.environment, timeout=request.timeout, tell=tell)
            return _carry_out(work, request, state=state, uv=uv, tell=tell)


# Read and plan: nothing in the user's tree is touched.


def plan(root: Path, request: Request, *, uv: Uv, tell: Tell = say_nothing) -> Plan:
    """What `init` would do. Writes nothing below `root`; raises what `init` raises."""
    before = _manifest(root)
    text = before or ""
    is_project = before is not None and "project" in parse_manifest(root / MANIFEST)
    if is_project and Project.load(root).lockfile.exists():
        return Plan(root=root, before=before, text=text, is_there=True)
    _refuse_membership(root)
    _refuse_renaming(text, request)
    imported = _read(root, request, text, tell)
    with accounted(imported):
        if imported.errors:
            raise needs_user(imported.errors)
        read = Plan(root=root, before=before, text=text, imported=imported)
        return _planned(read, request, uv=uv, tell=tell)


def _planned(read: Plan, request: Request, *, uv: Uv, tell: Tell) -> Plan:
    """What is to be done with what was read; uv is asked for names and for the base file."""
    root, text, imported = read.root, read.text, read.imported
    environ = {**BUILT_IN["dev"].environ(os.environ), **imported.credentials}
    scratch = Scratch(uv=uv, root=root, environ=environ)
    imported = scratch.named(imported, tell)
    if "project" not in tomllib.loads(text):
        base = scratch.base(_name(root, request, imported), imported.requires_python)
        text = pyproject.with_project(text, base)
    if request.direct_only:
        imported = roots.direct_only(imported, scratch.lockfile(imported, text))
    edited = pyproject.edited(text, imported)
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


def _refuse_renaming(text: str, request: Request) -> None:
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


def _read(root: Path, request: Request, text: str, tell: Tell) -> Import:
    """Everything that the files of `root` say; `text` is that of pyproject.toml, or nothing."""
    names, read = listing.names(root, request.options), _reader(root)
    inputs = imports.roles(names, request.options)
    if "project" in tomllib.loads(text) and not request.options.from_files:
        inputs = evidence.with_compiled(inputs, read)
    fetch = fetcher(tell, os.environ)
    imported = groups.assemble(inputs, read, request.options, fetch=fetch)
    specifier, findings = _python(request, names, read, text)
    obstacles = evidence.obstacles(names, read, imported, text)
    left_out = () if request.options.from_files else unclaimed.told(names, imported.files)
    return replace(
        imported,
        requires_python=specifier,
        findings=(*imported.findings, *findings, *obstacles, *left_out),
    )


def _reader(root: Path) -> evidence.Read:
    return lambda path: read_regular(root / path)


def _python(
    request: Request, names: Iterable[str], read: evidence.Read, text: str
) -> tuple[str | None, tuple[Finding, ...]]:
    """The requires-python to write: what is asked for, or else what other files tell of it.

    A version alone stands for itself and all later ones, as it does for `uv init`.
    """
    if request.python:
        wanted = request.python
        return (f">={wanted}" if _is_version(wanted) else wanted), ()
    if "requires-python" in tomllib.loads(text).get("project", {}):
        return None, ()
    found = python.required(names, read)
    return found.specifier, found.findings


def _is_version(text: str) -> bool:
    return re.match(r"\d", text) is not None


def _name(root: Path, request: Request, imported: Import) -> str:
    name = request.name or evidence.name(_reader(root)) or root.name
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


def _with_what_was_there(imported: Import, edited: pyproject.Edited) -> Import:
    """`imported`, its books and its pins as they are once pyproject.toml had its say."""
    moves = {requirement.origin: Bucket.MERGED for requirement in edited.there}
    moves.update({f.origin: Bucket.ACTION for f in edited.findings if f.origin})
    return replace(
        imported,
        pins=tuple(dict.fromkeys((*imported.pins, *edited.pins))),
        findings=(*imported.findings, *edited.findings),
        files=tuple(recounted(file, moves) for file in imported.files),
    )


def _completed(work: Plan, request: Request) -> Plan:
    """`work` with the profile to sync, where its environment is, and every path that changes."""
    settings: Any = tomllib.loads(work.text).get("tool", {}).get("uvflow", {})
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


def _may_narrow(work: Plan, request: Request) -> bool:
    """Evidence of what Python is used, and a version alone, set no limit to what is supported."""
    there = tomllib.loads(work.before or "").get("project", {}).get("requires-python")
    return there is None and not (request.python and not _is_version(request.python))


def _seed(work: Plan, request: Request) -> str:
    """A first uv.lock, unless there is one: that is older than the files, or says more."""
    if not request.lock or (work.root / LOCKFILE).exists():
        return ""
    project = tomllib.loads(work.text)["project"]
    return pins.seed(work.imported, project.get("requires-python", _ANY_PYTHON))


def _change(root: Path, path: Path) -> Change:
    name = Path(os.path.relpath(path, root)).as_posix()
    return Change(path=name, action="edit" if path.exists() else "create")


# Carry out: everything that changes the tree is below.


def _carry_out(work: Plan, request: Request, *, state: State, uv: Uv, tell: Tell) -> Done:
    environ = {**work.profile.environ(os.environ), **work.imported.credentials}
    changed = {change.path for change in work.changes}
    done = Done(plan=work)
    with backups.kept(
        state,
        files=(work.root / MANIFEST, work.root / LOCKFILE),
        trees=_trees(work),
        built=_built(work),
    ) as set_aside:
        if work.before is None:
            claim(work.root / MANIFEST)  # from here on there is a project to recover
        if MANIFEST in changed:
            write_whole(work.root / MANIFEST, work.text.encode())
        if LOCKFILE in changed:
            done = lock(work, uv=uv, environ=environ, tell=tell)
        if not work.environment:
            return done
        set_aside()
        decided = Sync.of(Project.load(work.root), Choice(profile=work.profile))
        decided = replace(decided, environ=environ)
        remember = _sync(decided, done, uv, timeout=request.timeout, tell=tell)
    with contextlib.suppress(DiskError):  # then the next sync is a real one
        remember()
    return done


def _trees(work: Plan) -> tuple[Path, ...]:
    """The environment; but an installation that uv is told to use, or a volume, is not to move."""
    path = work.environment
    if path is None or path.is_mount():
        return ()
    is_foreign = path.exists() and any(path.iterdir()) and not _is_environment(path)
    return () if is_foreign else (path,)


def _is_environment(path: Path) -> bool:
    return (path / "pyvenv.cfg").exists()


def _built(work: Plan) -> tuple[Path, ...]:
    """The directories in which a build may leave its traces: the project's and local sources."""
    entries = (
        e for e in work.imported.sources.values() for e in (e if isinstance(e, list) else [e])
    )
    local = (work.root / str(entry["path"]) for entry in entries if "path" in entry)
    roots = (work.root, *(path for path in local if path.is_dir()))
    return (*roots, *(root / "src" for root in roots))


def _sync(work: Sync, done: Done, uv: Uv, *, timeout: float, tell: Tell) -> Callable[[], None]:
    """Returns how to remember it, once there is no going back."""
    try:
        return proven(work, uv, timeout=timeout, tell=tell)[1]
    except (UvFailedError, NetworkError) as error:
        markers = [f"{f.origin} {f.hint}" for f in done.findings if f.code == "other-platform"]
        hint = "`--no-sync` leaves the environment for later"
        hint += f"; what is for another platform has to say so: {', '.join(markers)}" * bool(
            markers
        )
        raise error.but(cause="everything is as it was before", hint=hint) from error
