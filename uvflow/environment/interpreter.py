"""Which interpreter uv would start, and where it believes an environment to be.

Whoever only looks starts no code of a project: neither an interpreter that is a file of the project
nor one that would run code of it at its start, unless a sync has used the same environment.

uv asks an interpreter once for its environment, and relies on the answer as long as the binary is
the same (seen with uv 0.9.30 and 0.13.9). One that was asked while its environment had no
pyvenv.cfg has answered with the base Python. If the environment is then recreated in the same
place, uv would install into the base Python, and remove from it what the lockfile does not list.
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from uvflow.environment.context import SyncContext
from uvflow.environment.inputs import check_inputs
from uvflow.environment.installed import (
    Environment,
    directory_entries,
    python_version,
    read_quickly,
)
from uvflow.environment.integrity import Damage, DamageKind, can_be_read_by_uv
from uvflow.errors import DamagedError, UvflowError
from uvflow.files import is_inside, leads_through_proc, may_lead_into
from uvflow.project.python import find_own_interpreter
from uvflow.uv import Uv

# The state has files with the identity of environments: of those that a sync has used, and of those
# that uv was found to know.
_USED = "interpreters-used.json"
_CHECKED = "interpreter-checks.json"

# The names of interpreters, and of files beside one that say where its library is (getpath.py).
_PYTHON = r"(?i)(?:python|pypy|graalpy)[\d.]*[a-z]?(?:\.exe)?"
_FINDS_LIBRARY = r"(?i)\._pth$|^pyvenv\.cfg$"

# Modules that Python imports at its start, those that a distributor's sitecustomize does, and those
# that the question of uv does; the standard library need not have any of these names.
_STARTED = {"sitecustomize", "usercustomize", "apport_python_hook", "_manylinux", "distutils"}

_SMALL = 4096  # bytes, of a file that says where to find modules

# uv asks the interpreter again when a package is to be refreshed. No package has this name, so
# nothing else is refreshed.
_REFRESH_INTERPRETER = ("--refresh-package", "uvflow-looks-again")


def own_interpreter(context: SyncContext, *, is_made_anew: bool = False) -> str:
    """Why uv is not to be asked, as a sentence; empty where it may start the interpreter.

    That of an environment that is made anew is not started.
    """
    project, environment = context.project, Environment(context.environment)
    python = find_own_interpreter(
        project.root, project.workspace, context.environ, context.profile.python
    )
    why = "is a file of this project"
    if python is None and not (is_made_anew or _is_recorded(context, _USED)):
        python = environment.python
        why = _own_code(environment, project.workspace)
    if python is None or not why:
        return ""
    is_within = python.is_relative_to(project.workspace)
    shown = python.relative_to(project.workspace) if is_within else python
    return f"the interpreter {shown.as_posix()} {why} and was not started"


def _own_code(environment: Environment, workspace: Path) -> str:
    """The predicate of the sentence in `own_interpreter`; empty where no code of the project runs.

    Of an environment inside, what is not known to run nothing.
    """
    is_own = is_inside(environment.path, workspace)
    scripts = {entry.name: Path(entry.path) for entry in directory_entries(environment.scripts)}
    pythons = [path for name, path in scripts.items() if re.fullmatch(_PYTHON, name)]
    if any(may_lead_into(python, workspace) for python in pythons):
        return "is a file of this project"
    lines = _plain_lines(str(environment.path / "pyvenv.cfg"))
    pairs = (line.partition("=") for line in lines or ())
    homes = [Path(value.strip()) for key, _, value in pairs if key.strip().lower() == "home"]
    is_elsewhere = lines is not None and all(map(Path.is_absolute, homes))
    is_elsewhere = is_elsewhere and not any(map(re.compile(_FINDS_LIBRARY).search, scripts))
    if any(may_lead_into(home, workspace) for home in homes) or (is_own and not is_elsewhere):
        return "takes its library from this project" if pythons else ""
    folders: dict[str, str] = {}
    for entry in itertools.chain(*map(directory_entries, _site_directories(environment))):
        paths = _paths_in(entry.path) if entry.name.endswith(".pth") else ()
        if is_own and (paths is None or _runs_at_start(entry.name)):
            return f"would run {entry.name} of this project"
        folders.update((os.path.realpath(path), entry.name) for path in paths or ())
    for folder, name in folders.items():
        is_watched = is_own or is_inside(Path(folder), workspace)
        if is_watched and any(_runs_at_start(e.name) for e in directory_entries(folder)):
            return f"would run {name} of this project"
    return ""


def _plain_lines(path: str) -> list[str] | None:
    """The lines of a file that all Pythons split alike; None where it is large, or another one."""
    content = read_quickly(path, _SMALL)
    if content is None or len(content) == _SMALL:
        return None
    lines = content.decode(errors="surrogateescape").split("\n")
    return lines if all(map(str.isprintable, lines)) else None


def _site_directories(environment: Environment) -> Iterator[str]:
    """Where an interpreter looks for `.pth` files; that of Debian does so in several places."""
    yield str(environment.path / "Lib" / "site-packages")
    for library in ("lib", "lib64", "local/lib"):
        for folder in directory_entries(environment.path / library):
            yield from (f"{folder.path}/{name}" for name in ("site-packages", "dist-packages"))


def _runs_at_start(name: str) -> bool:
    return name.partition(".")[0].lower() in _STARTED or name.endswith(".start")


def _paths_in(pth: str) -> list[str] | None:
    """The directories that a `.pth` file names; None where Python may take it for anything else."""
    lines = _plain_lines(pth)
    paths = [line for line in lines or () if line]
    is_plain = lines is not None and all(
        path == path.strip() == os.path.abspath(path)  # noqa: PTH100  a text
        and os.path.isdir(path)  # noqa: PTH112  as above
        and not leads_through_proc(Path(path))
        for path in paths
    )
    return paths if is_plain else None


def is_trusted(context: SyncContext) -> bool:
    """Whether a sync has used the environment as it is now, or it is outside the workspace."""
    is_own = is_inside(context.environment, context.project.workspace)
    return not is_own or _is_recorded(context, _USED)


def is_replaced_by_uv(context: SyncContext, uv: Uv) -> bool:
    """Whether uv would empty the environment, to make one with another Python."""
    project, environ, profile = context.project, context.environ, context.profile
    environment = Environment(context.environment)
    if not python_version(environment) or not can_be_read_by_uv(environment):
        return False
    # Not `--locked`: to compare the lockfile uv may build what has dynamic metadata.
    arguments = ("sync", "--frozen", *profile.selection(), "--dry-run")
    answer = uv.capture(arguments, cwd=project.root, environ=environ)
    return "Would replace project environment" in answer.err


def remember_use(context: SyncContext) -> None:
    """A sync has used the environment as it is now: whoever looks at it may start it as well."""
    if not _is_recorded(context, _USED):
        _record(context, _USED)


def ensure_uv_targets_environment(context: SyncContext, uv: Uv) -> None:
    """Make sure that uv installs into the environment; checked once each time it was created.

    Call this while holding the mutex. An environment that does not exist is created by uv, which
    then knows it. Raises DamagedError where uv insists on another place.
    """
    environment = context.environment
    if not _identity(environment) or _is_recorded(context, _CHECKED):
        return
    target = _uv_target(context, uv)
    if target and not _is_same(target, environment):
        target = _uv_target(context, uv, *_REFRESH_INTERPRETER) or target
        if not _is_same(target, environment):
            raise DamagedError(
                f"uv would install into {target} instead of the environment {environment}",
                hint="`uv cache clean` makes it ask the interpreter again",
            )
    if target:
        _record(context, _CHECKED)


# What uv 0.9.0 and 0.13.9 say of an interpreter that ends with an error, answers with something
# else, or cannot be started.
_NO_ANSWER = r"(?:Querying Python at|Failed to query Python interpreter at) `(.+?)`"


def broken_interpreter(environment: Environment, output: str) -> Damage | None:
    """The damage where uv has reported that the environment's own interpreter does not answer."""
    found = re.search(_NO_ANSWER, output)
    if not found or not Path(os.path.abspath(found[1])).is_relative_to(environment.path):  # noqa: PTH100  resolve() would follow links
        return None
    path = environment.relative(environment.python)
    return Damage(kind=DamageKind.BROKEN_INTERPRETER, path=path, detail="it does not answer")


def cache_directory(context: SyncContext) -> Path | None:
    """uv's cache; None where there is no uv, or it does not answer, or would wait at a pipe."""
    root, environ = context.project.root, context.environ
    try:
        check_inputs(context.project)
        answer = context.find_uv().capture(("cache", "dir"), cwd=root, environ=environ)
    except UvflowError:
        return None
    return Path(answer.out.strip()) if answer.code == 0 else None


def _identity(environment: Path) -> list[int]:
    """Distinguishes a pyvenv.cfg and the interpreter beside it from others; empty without one."""
    found: list[int] = []
    for file in (environment / "pyvenv.cfg", Environment(environment).python):
        with contextlib.suppress(OSError):
            status = file.lstat()
            found += (status.st_ino, status.st_mtime_ns)
    return found if (environment / "pyvenv.cfg").exists() else []


def _is_recorded(context: SyncContext, name: str) -> bool:
    identity = _identity(context.environment)
    known = context.state.read_json(name).get(str(context.environment))
    return bool(identity) and known == identity


def _record(context: SyncContext, name: str) -> None:
    known = context.state.read_json(name).items()
    records = {place: value for place, value in known if os.path.lexists(place)}  # no old releases
    records[str(context.environment)] = _identity(context.environment)
    context.state.write(name, json.dumps(records).encode(), durable=False)


def _uv_target(context: SyncContext, uv: Uv, *options: str) -> str:
    """The environment of a dry run; empty where uv does not say, as without a lockfile."""
    dry_run = ("sync", "--frozen", "--dry-run", "--output-format=json")
    completed = uv.capture(
        (*dry_run, *context.profile.selection(), *options),
        cwd=context.project.root,
        # uv rejects --refresh-package with UV_OFFLINE, and this fetches nothing.
        environ={name: v for name, v in context.environ.items() if name != "UV_OFFLINE"},
    )
    try:
        return str(json.loads(completed.out)["sync"]["environment"]["path"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _is_same(target: str, environment: Path) -> bool:
    return os.path.realpath(target) == os.path.realpath(environment)
