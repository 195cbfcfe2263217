"""The plan of `uvflow init`: all files are read, everything is decided, nothing is changed."""

import contextlib
import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.environment import ownership
from uvflow.environment.installed import Environment, is_whole_python
from uvflow.errors import UsageError, UvflowError, shell_command
from uvflow.files import (
    directory_size,
    is_inside,
    move_by_hand,
    read_bytes,
    read_regular,
    target_inside,
)
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate import discover, evidence, groups, model, pins, pyproject, truth
from uvflow.migrate.discover import Format
from uvflow.migrate.formats import tox
from uvflow.migrate.formats.local_project import local_metadata
from uvflow.migrate.formats.pip.direct_reference import is_outside
from uvflow.migrate.includes import Reader
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import NAME, Bucket, ImportedRequirements, with_buckets
from uvflow.migrate.old_environment import OldEnvironment, read_installed
from uvflow.migrate.plan import Change, InitOptions, Plan, relative_name
from uvflow.migrate.report import error_as_json, needs_user_error
from uvflow.migrate.temporary_project import TemporaryProject
from uvflow.migrate.toml_lines import TomlLine
from uvflow.migrate.toml_text import TomlEdits, apply_edits, literal, parsed
from uvflow.paths import LOCKFILE, MANIFEST, project_root
from uvflow.project import profiles, schema
from uvflow.project.manifest import Project, member_directories, parse_manifest, workspace_of
from uvflow.project.profiles import BUILT_IN
from uvflow.project.python import find_own_interpreter
from uvflow.state.backup import DirectoryBackup
from uvflow.state.store import Progress, no_progress
from uvflow.uv import Uv, check_readable

_MARKS_OF_PROJECTS = (MANIFEST, "setup.py", "setup.cfg", "Pipfile")

_KNOWS_PACKAGES_PRERELEASES = (0, 12, 1)  # the first uv with `prerelease-package`

_FIRST_VERSION = "0.1.0"  # as `uv init` has it

# uv wants a requires-python in every lockfile, and looks at nothing else of it in a first one.
_ANY_PYTHON = ">=3.8"


def make_plan(
    root: Path, options: InitOptions, *, uv: Uv, announce: Progress = no_progress
) -> Plan:
    """What `init` would do. Writes nothing below `root`; raises what `init` raises."""
    if not root.is_dir():
        raise UsageError(f"{root} is not a directory, or does not exist")
    path = root / MANIFEST
    manifest = parse_manifest(path) if path.exists() else {}
    before = read_bytes(path).decode() if path.exists() else None
    plan = Plan(root=root, before=before, text=before or "")
    check_readable(member_directories(root, manifest))
    if "project" in manifest and Project.load(root).lockfile.exists():
        return replace(plan, is_already_locked=True)
    for name in (MANIFEST, LOCKFILE):  # uv would write the latter through a link
        target_inside(root / name, root)
    _check_is_to_be_made(plan, options)
    imported = _for_uv(uv, _read(plan, options))
    try:
        if imported.errors:
            raise needs_user_error(imported.errors)
        plan = replace(plan, imported=imported)
        plan = _with_changes(_with_edits(plan, options, uv=uv, announce=announce), options)
        warnings = [f for f in plan.imported.findings if f.severity is Severity.WARNING]
        if warnings and options.imports.strict:
            raise needs_user_error(tuple(warning.as_error() for warning in warnings))
    except UvflowError as error:
        error.data = error_as_json(error, imported)
        raise
    return plan


def _check_is_to_be_made(plan: Plan, options: InitOptions) -> None:
    # A member has no lockfile of its own, and a new one makes that of the workspace stale.
    root, workspace = plan.root, workspace_of(plan.root)
    if workspace != root:
        raise UsageError(
            f"{root} is a member of the workspace in {workspace}",
            hint="exclude it there (`exclude` in [tool.uv.workspace]), or add it with `uv init`",
        )
    above = None if options.here else _project_above(root)
    if above:
        there = shell_command("uvflow", "init", str(above))
        raise UsageError(
            f"{root} is a folder of the project in {above}",
            hint=f"{there}, or `--here` for another project in this folder",
        )
    project = plan.values.get("project", {})
    for option, wanted, key in (
        ("--name", options.name, "name"),
        ("--python", options.python, "requires-python"),
    ):
        if wanted is not None and project.get(key, wanted) != wanted:
            raise UsageError(
                f"`{option} {wanted}`: pyproject.toml already says {key} = {project[key]!r}",
                hint="change it in pyproject.toml",
            )


def _project_above(root: Path) -> Path | None:
    """The project that `root` is a folder of, unless it is one, or a repository, of its own."""
    found = project_root(str(root.parent))
    if found is None or any((root / name).exists() for name in _MARKS_OF_PROJECTS):
        return None
    above = Path(found)
    below = itertools.takewhile(lambda path: path != above, (root, *root.parents))
    if any((path / ".git").exists() for path in below):
        return None
    match parse_manifest(above / MANIFEST):
        case {"project": _} | {"tool": {"poetry": _}}:
            return above
    return None


def _read(plan: Plan, options: InitOptions) -> ImportedRequirements:
    files = _ProjectFiles(plan.root, options.imports)
    given = replace(options.imports, leads_out=files.leads_out)
    read = tox.with_environments(files.read)
    names = discover.candidate_files(plan.root, given)
    count_lines = functools.cache(files.requirement_lines)
    inputs = discover.input_files(names, given, count_lines)
    if "project" in plan.values and not given.from_files:
        inputs = evidence.with_compiled(inputs, read)
    formats = discover.formats_in(names, plan.values, given, read)
    imported = truth.settle(
        [_source(each, files.read_inside, given) for each in formats if each.reader],
        groups.import_files(inputs, Reader(read_file=read, options=given)),
        plan.values.get("project", {}).get("dependencies", ()),
        built=pyproject.read_by_build(plan.values),
    )
    if (plan.root / LOCKFILE).exists():
        imported = _without_pins(imported)
    specifier, disagreements = _python(plan, options, names, imported)
    unclaimed: Iterable[Finding] = ()
    if not given.from_files:
        others = {*names} - {file.path for file in inputs}
        unclaimed = discover.unclaimed_files(others, imported.files, count_lines)
    # An empty project beside them would be locked, and proven.
    if not imported.files and evidence.is_empty(imported, plan.values):
        unclaimed = (finding.as_error() for finding in unclaimed)
    obstacles = evidence.obstacles(names, read, imported, plan.values)
    return replace(
        imported,
        requires_python=specifier,
        findings=(*imported.findings, *disagreements, *obstacles, *unclaimed),
    )


class _ProjectFiles(NamedTuple):
    """The files of a project, by their paths relative to `root` (POSIX)."""

    root: Path
    options: model.ImportOptions = model.ImportOptions()

    def read(self, path: str) -> bytes:
        """Raises OSError."""
        return read_regular(self.root / path)

    def read_inside(self, path: str) -> bytes:
        """As `read`, for a file of a format; raises UsageError for what may not be skipped."""
        if path in self.options.ignored:
            raise FileNotFoundError(path)
        is_of_root = "/" not in path  # others are of path dependencies, read as pip does
        if is_of_root and self.leads_out(path) and not self.options.allow_outside:
            message = f"{path} leads out of the project by a link, and is not read"
            raise UsageError(message, hint="`--allow-outside`, or copy the file into the project")
        try:
            return self.read(path)
        except OSError as error:  # a pipe in the place of a lock file, for example
            file = self.root / path
            if not is_of_root or file.is_dir() or not os.path.lexists(file):
                raise
            hint = f"restore it, or leave it out with {shell_command('--ignore', path)}"
            raise UsageError(f"{path} cannot be read", cause=str(error), hint=hint) from error

    def leads_out(self, path: str) -> bool:
        """Whether `path` leads out by a link; one that is outside by its name is another matter."""
        with contextlib.suppress(ValueError):  # a NUL in the path
            return not (is_outside(path) or is_inside(self.root / tox.file_of(path), self.root))
        return False

    def requirement_lines(self, path: str) -> int | None:
        """As `discover.requirement_lines`; 1 for what leads out, which an import refuses."""
        if self.leads_out(path):
            return 1
        return discover.requirement_lines(path, tox.with_environments(self.read))


def _without_pins(imported: ImportedRequirements) -> ImportedRequirements:
    """Old pins give way to the uv.lock of the project."""
    if not imported.pins:
        return imported
    locks = ", ".join(dict.fromkeys(pin.origin.path for pin in imported.pins))
    message = f"uv.lock counts, and the versions of {locks} are not used"
    hint = "move uv.lock away to take those"
    found = findings.warning("lock-counts", message, Origin(path=LOCKFILE, line=1), hint)
    return replace(imported, pins=(), findings=(*imported.findings, found))


def _for_uv(uv: Uv, imported: ImportedRequirements) -> ImportedRequirements:
    """`imported` without the setting for which an older uv would ignore all of [tool.uv]."""
    key = "prerelease-package"
    if key not in imported.settings or uv.release >= _KNOWS_PACKAGES_PRERELEASES:
        return imported
    settings = {name: value for name, value in imported.settings.items() if name != key}
    value = literal(imported.settings[key])
    message = f"uv {uv.version} has no `{key} = {value}`, so that it is not written"
    hint = "update uv to 0.12.1 or later, and add it to [tool.uv]"
    found = findings.action("no-equivalent", message, None, hint)
    return replace(imported, settings=settings, findings=(*imported.findings, found))


def _source(each: Format, read: model.Read, options: model.ImportOptions) -> truth.Source:
    """The import of another tool's file; one that is not in its format is an ERROR finding."""
    outcomes = LineOutcomes(options=options)
    imported = ImportedRequirements()
    try:
        imported = each.read(read, outcomes)
    except UsageError as error:
        if each.path == MANIFEST:
            raise
        message = f"{error}: {error.cause}" if error.cause else str(error)
        outcomes.refuse("file-unreadable", message, None, error.hint)
        imported = replace(imported, files=(outcomes.report(each.path, each.name, ()),))
    imported = replace(imported, findings=(*imported.findings, *outcomes.findings))
    return truth.Source(title=each.title, path=each.path, is_aside=each.is_aside, imported=imported)


def _python(
    plan: Plan, options: InitOptions, names: Iterable[str], imported: ImportedRequirements
) -> tuple[str | None, tuple[Finding, ...]]:
    """The requires-python to write: that of the options, or else the one that files suggest.

    A bare version stands for itself and all later ones, as it does for `uv init`.
    """
    if options.python:
        is_version = options.python[0].isdigit()
        return f">={options.python}" if is_version else options.python, ()
    if "requires-python" in (*plan.values.get("project", ()), *imported.dynamic):
        return None, ()
    files = [file.path for file in imported.files if not is_outside(file.path)]
    pythons = [*evidence.pythons(names, _ProjectFiles(plan.root).read, files)]
    if imported.requires_python:
        origin = Origin(path=files[0], line=1)
        declared = evidence.Python(specifier=imported.requires_python, origin=origin)
        pythons = [declared, *(python for python in pythons if python.version)]
    specifier, found = evidence.requires_python(pythons)
    if specifier and not imported.requires_python and _is_built(plan, imported):
        found = (*found, _python_added(specifier))
    return specifier, found


def _is_built(plan: Plan, imported: ImportedRequirements) -> bool:
    """Whether the import makes a package of [project] from the metadata of another tool."""
    has_backend = "build-system" in plan.values or ("build-system", "requires") in imported.values
    return bool(imported.metadata) and has_backend and imported.settings.get("package") is not False


def _python_added(specifier: str) -> Finding:
    message = (
        f"`requires-python = {literal(specifier)}` is added, which uv needs: pip installs the"
        " package on no other Python"
    )
    hint = "`--python 3.9`, for example, if the package supports older ones"
    return findings.warning("requires-python-added", message, None, hint)


def _with_edits(plan: Plan, options: InitOptions, *, uv: Uv, announce: Progress) -> Plan:
    """`plan` with the new pyproject.toml; uv finds names that are missing, and writes a base."""
    environ = {**BUILT_IN["dev"].environ(os.environ), **plan.imported.credentials}
    own = find_own_interpreter(plan.root, plan.root, environ) if options.dry_run else None
    project = TemporaryProject(
        uv=uv, root=plan.root, environ=environ, may_build=options.build, own_interpreter=own
    )
    imported = project.with_names(plan.imported, announce)
    plan = _with_project(replace(plan, imported=imported), options, project)
    imported = plan.imported
    if options.direct_only:
        imported = pins.direct_only(imported, project.lockfile(imported, plan.text))
    edits = pyproject.decide(plan.values, imported)
    moves = {requirement.origin: Bucket.MERGED for requirement in edits.existing}
    imported = replace(
        imported,
        pins=tuple(dict.fromkeys((*imported.pins, *edits.pins))),
        files=with_buckets(imported.files, moves),
    )
    plan = replace(plan, text=apply_edits(plan.text, edits), imported=imported)
    homeless = evidence.lost_comments(plan.before or "", plan.text) if imported.moved else ()
    return plan.with_findings(*edits.findings, *homeless)


def _with_project(plan: Plan, options: InitOptions, project: TemporaryProject) -> Plan:
    """`plan` with a [project] that has what uv needs: a name and a version."""
    given, read = plan.values.get("project"), _ProjectFiles(plan.root).read
    metadata = plan.imported.metadata
    name = options.name or metadata.get("name") or local_metadata(".", "name", read) or ""
    if not name:
        folder = plan.root.name
        name = folder if NAME.fullmatch(folder) else discover.plain_name(folder)
        message = f"the project is called `{name}`, since `{folder}` cannot be its name"
        renamed = findings.warning("renamed", message, None, "choose another with `--name`")
        if name != folder:
            plan = plan.with_findings(renamed)
    if given is None or "name" not in given:
        _check_name(name, plan)
    if given is None and not metadata:
        base = project.initial_pyproject(name, plan.imported.requires_python)
        return replace(plan, text=pyproject.with_project(plan.text, base))
    if given is None:
        return _with_metadata(plan, name, project)
    # Tools such as linters read single keys of the file, and need neither name nor version.
    values = {"name": name, "version": local_metadata(".", "version", read) or _FIRST_VERSION}
    dynamic = (*given.get("dynamic", ()), *metadata.get("dynamic", ()))
    missing = values.keys() - {*given, *metadata, *dynamic}
    edits = TomlEdits(values={("project", key): values[key] for key in sorted(missing)})
    for (_, key), value in edits.values.items():
        message = f"[project] has no {key}, which uv needs: `{key} = {literal(value)}` is added"
        hint = f"write the {key} that is right"
        found = findings.warning("project-completed", message, Origin(path=MANIFEST, line=1), hint)
        plan = plan.with_findings(found)
    return replace(plan, text=apply_edits(plan.text, edits))


def _with_metadata(plan: Plan, name: str, project: TemporaryProject) -> Plan:
    """`plan` with an empty [project], and the values for it that another tool's file has."""
    imported, dynamic = plan.imported, plan.imported.metadata.get("dynamic", ())
    python = imported.requires_python
    if python is None and "requires-python" not in dynamic:  # then uv chooses it
        base = parsed(project.initial_pyproject(name, None))
        python = base["project"].get("requires-python")
        if python and _is_built(plan, imported):
            imported = plan.with_findings(_python_added(python)).imported
    own = {path: line for path, line in imported.values.items() if path == ("project", path[-1])}
    first = {"name": name, "version": _FIRST_VERSION}
    keys = {("project", key): TomlLine(value=first[key]) for key in first if key not in dynamic}
    keys |= {path: line for path, line in own.items() if path[-1] != "name" or line.value == name}
    if python:
        keys["project", "requires-python"] = TomlLine(value=python)
    if "dependencies" not in dynamic:
        keys["project", "dependencies"] = TomlLine(value=[])
    others = {path: line for path, line in imported.values.items() if path not in own}
    imported = replace(imported, values=keys | others, requires_python=python)
    return replace(plan, text=pyproject.with_project(plan.text), imported=imported)


def _check_name(name: str, plan: Plan) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"`{name or plan.root.name}` cannot be the name of a project",
            cause="a name is made of ASCII letters, digits, `-`, `_` and `.`",
            hint="`uvflow init --name my-project`",
        )
    for requirement in plan.imported.requirements:
        if requirement.name == canonicalize_name(name):
            raise UsageError(
                f"a project named `{name}` cannot depend on {requirement.name}"
                f" ({requirement.origin})",
                hint=f"`uvflow init --name {requirement.name}-project`",
            )


def _with_changes(plan: Plan, options: InitOptions) -> Plan:
    """`plan` with the profile to sync, its environment, and every path that changes."""
    settings = plan.values.get("tool", {}).get("uvflow", {})
    profile = profiles.read(settings, str(plan.root / MANIFEST)).by_name["dev"]
    # What other files suggest, and a bare version, set no limit to what is supported.
    declared = schema.parse(plan.before or "", MANIFEST).get("project", {}).get("requires-python")
    is_limited = options.python and not options.python[0].isdigit()
    plan = replace(
        plan, profile=profile, may_narrow=not (declared or is_limited or plan.imported.metadata)
    )
    if options.lock and options.sync:
        plan = _with_environment(plan)
    if options.lock:
        plan = _with_installed(plan, options)
    seed = ""
    if options.lock and not (plan.root / LOCKFILE).exists():  # that is older, or says more
        required = plan.values["project"].get("requires-python", _ANY_PYTHON)
        seed = pins.seed_lockfile(plan.imported, required)
    return replace(plan, changes=tuple(_changes(plan, options)), seed=seed)


def _with_environment(plan: Plan) -> Plan:
    """`plan` with the environment to make, and what happens to the one before.

    Raises UsageError or DamagedError where it is not uvflow's to change.
    """
    path = plan.profile.environment_path(plan.root, os.environ)
    ownership.check_location(
        path,
        plan.root,
        configured=plan.profile.environment,
        is_users_choice=bool(os.environ.get("UV_PROJECT_ENVIRONMENT")),
    )
    plan = replace(plan, environment=path, tree=DirectoryBackup.of(path))
    if not os.path.lexists(path):
        return plan
    environment = Environment(path)
    obstacle: str | None = "it is a whole Python"
    if not is_whole_python(environment):
        hint = f"`--no-sync` leaves it as it is, or {move_by_hand(path)}"
        ownership.check_replaceable(environment, cause=None, hint=hint)
        obstacle = ownership.rename_obstacle(path)
    if not obstacle:
        ownership.check_not_running_from(path)
        return plan
    message = f"{path} is changed in place, since {obstacle}: neither `uvflow undo` nor a failure"
    message += " brings back what is in it now"
    hint = "`--no-sync` leaves it as it is"
    found = findings.warning("environment-not-kept", message, None, hint)
    return replace(plan, in_place=True).with_findings(found)


def _with_installed(plan: Plan, options: InitOptions) -> Plan:
    """`plan` with the versions that are installed as pins, and with what no file declares."""
    path = plan.profile.environment_path(plan.root, os.environ)
    if plan.environment is None and not is_inside(path, plan.root):
        return plan  # it is not even to be changed
    packages = read_installed(path, plan.root)
    if not packages:
        return plan
    read = _ProjectFiles(plan.root).read
    names = (plan.values["project"].get("name"), local_metadata(".", "name", read))
    old = OldEnvironment(
        installed=packages,
        values=plan.values,
        pins=plan.imported.pins,
        own=tuple(name for name in names if name),
    )
    where = relative_name(path, plan.root)
    undeclared = old.undeclared_packages()
    if undeclared:
        versions = ", ".join(f"{package.name} {package.version}".rstrip() for package in undeclared)
        message = f"packages in {where} that no file declares are not kept: {versions}"
        added = shell_command("uv", "add", *(package.name for package in undeclared))
        hint = f"{added}, or those that are needed"
        plan = plan.with_findings(findings.warning("undeclared-packages", message, None, hint))
    is_locked = (plan.root / LOCKFILE).exists()
    installed = () if options.fresh or is_locked else old.versions_to_keep()
    if not installed:
        return plan
    imported = replace(plan.imported, pins=(*plan.imported.pins, *installed))
    return replace(plan, imported=imported, installed=installed)


def _changes(plan: Plan, options: InitOptions) -> Iterator[Change]:
    paths = []
    if plan.text != plan.before:
        paths.append(plan.root / MANIFEST)
    if options.lock:
        paths.append(plan.root / LOCKFILE)
    if plan.environment:
        paths.append(plan.environment)
    for path in paths:
        name = relative_name(path, plan.root)
        change = Change(path=name, action="edit" if path.exists() else "create")
        if path == plan.environment and plan.tree and plan.aside:
            kept_as, size = relative_name(plan.aside, plan.root), directory_size(plan.tree.path)
            change = change._replace(action="replace", kept_as=kept_as, kept_size=size)
        yield change
