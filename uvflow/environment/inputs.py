"""What a sync depends on, as questions for a fingerprint.

A question is a kind of answer and a path (fingerprint.py). The paths are those that uv looks at
(docs/explanation/fast-path.md has the list, and where uv documents it). Where something cannot be
watched cheaply and soundly, there is a reason instead of questions.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from uvflow import fingerprint, uv
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import (
    Environment,
    directory_entries,
    read_configuration,
    read_quickly,
)
from uvflow.environment.integrity import read_metadata
from uvflow.errors import UsageError
from uvflow.lockfile.packages import LocalSource, local_sources
from uvflow.paths import LOCKFILE, MANIFEST, OWN_SETTINGS
from uvflow.project.manifest import (
    Project,
    Table,
    manifest_in,
    member_directories,
    parse_table,
    table_at,
    workspace_of,
)
from uvflow.project.profiles import SET_ASIDE
from uvflow.project.python import python_requests
from uvflow.redaction import redacted
from uvflow.state.journal import BOOT_ID, COPY

_PYTHON_VERSIONS = (".python-version", ".python-versions")
_WORKING_DIRECTORY = "working-directory "
OF_DISTRIBUTIONS = (b"present ", b"distributions ")  # the kinds of what `environment_inputs` asks
_WILDCARDS = r"[*?\[]"

# With these uv does something at every sync: it installs again, or asks an index.
_EVERY_TIME = ("reinstall", "refresh", "upgrade", "malware-check")

# For uv a date is the end of that day here (uv docs, "exclude-newer"): another time zone, another
# lockfile.
_DATE, _TIME_ZONE = "exclude-newer", ("variable TZ", "identity /etc/localtime")

# uv docs, "Requesting a version": what names no path and no program.
_VERSION = r"[<>=!~\d]|any$|default$|c?python|cp|pypy|pp|graalpy|gp|pyodide"


class UnwatchableError(Exception):
    """A sync cannot be remembered; the message is the reason."""


def sync_inputs(context: SyncContext, uv_path: str) -> tuple[str, ...]:
    """What a sync depends on, as questions: files, variables and uv itself.

    Raises UnwatchableError, and UvflowError where uv says more.
    """
    project, environ, env_file = context.project, context.environ, context.profile.env_file
    questions = list(dict.fromkeys(_questions(context)))
    questions += dict.fromkeys(_expanded_variables(questions, environ))
    if _WORKING_DIRECTORY in questions and Path.cwd() != project.root:
        # uv is started in the root, and would find something else here.
        raise UnwatchableError("a path is relative to the directory in which uv is started")
    if env_file is not None:
        questions.append(f"env-file {env_file}")
    variables = f"variables {' '.join(SET_ASIDE)}"
    return (variables, f"uv {uv_path}", *map(_without_secrets, questions))


def _without_secrets(question: str) -> str:
    """The question; in the place of the content of a file with secrets, its identity."""
    kind, _, path = question.partition(" ")
    if kind != "content":
        return question
    text = _text(path)
    if path.endswith(LOCKFILE):  # a long one would take 100 ms, and few lines have such a URL
        text = "\n".join(line for line in text.splitlines() if "@" in line or "?" in line)
    return question if redacted(text) == text else f"identity {path}"


def _text(path: str | Path) -> str:
    """The text of a file; empty where it cannot be read."""
    return (read_quickly(str(path)) or b"").decode(errors="replace")


def ask_for_same_python(recorded: tuple[bytes, ...], known: Mapping[bytes, bytes]) -> bool:
    """Whether only requirements have changed since the `known` answers: uv keeps the Python."""
    answers = fingerprint.pairs(recorded)
    for question, answer in answers.items():
        path = os.fsdecode(question).partition(" ")[2]
        if known.get(question) == answer or path.endswith(LOCKFILE):
            continue
        content = os.fsencode(f"content {path}")
        if not path.endswith(MANIFEST) or content not in answers or content not in known:
            return False
        if _but_requirements(answers[content]) != _but_requirements(known[content]):
            return False
    return bool(answers)


def _but_requirements(answer: bytes) -> Table:
    table = {**parse_table(answer[1:], MANIFEST)}  # what stands before it says whether there is one
    table.pop("dependency-groups", None)
    names = {"dependencies", "optional-dependencies", "version"}
    return {
        **table,
        "project": {k: v for k, v in table_at(table, "project").items() if k not in names},
    }


def check_inputs(project: Project) -> None:
    """`uv.check_readable` for files of the project, its local sources and settings of the user."""
    sources = (source.path for source in local_sources(project))
    uv.check_readable((*project.directories, *sources, *_configuration_directories(os.environ)))


def interpreter_inputs(environment: Environment) -> tuple[str, ...]:
    """Which Python an environment has."""
    configuration = read_configuration(environment) or {}
    return (
        f"content {environment.path / 'pyvenv.cfg'}",
        f"is-directory {configuration.get('home', '')}",
        *(f"link {path}" for path in (environment.path, *environment.path.parents)),
        f"identity {environment.python}",
        f"identity {environment.scripts / 'python3'}",
    )


def environment_inputs(environment: Environment) -> tuple[str, ...]:
    """The result of a sync: the environment's configuration, interpreter and distributions.

    Includes all that `status` calls damaged without a look at each file, the copy of the journal,
    since a sync with another state may have been killed here, and the boot id: uv flushes nothing
    to disk, so a power failure may take what a sync has written.
    """
    scripts = directory_entries(environment.scripts)
    own = (entry.path for entry in scripts if entry.name.startswith(("activate", "python3")))
    metadata = {d.location: read_metadata(d) for d in environment.distributions}
    first = (found.first.path for found in metadata.values() if found.first)
    # Where uv reads from which source, and with which settings, a distribution was built.
    origins = (
        f"{location}{os.sep}{name}"
        for location, found in metadata.items()
        for name in sorted(found.names & {"direct_url.json", "uv_build.json"})
    )
    return (
        f"content {BOOT_ID}",
        f"content {environment.path / COPY}",
        *interpreter_inputs(environment),
        f"identity {environment.scripts / 'activate'}",
        "present " + "\0".join(sorted((*own, *first))),
        *(f"distributions {directory}" for directory in environment.site_packages),
        *(f"identity {path}" for path in origins),
    )


def _questions(context: SyncContext) -> Iterator[str]:
    """Raises UnwatchableError."""
    project, environ = context.project, context.environ
    request = context.profile.python or environ.get("UV_PYTHON", "")
    sources = local_sources(project)
    inside = (project.workspace / p for p in project.root.relative_to(project.workspace).parents)
    places = (project.root, *inside, _configuration_directories(environ)[0])
    pins = [place / name for place in places for name in _PYTHON_VERSIONS]
    pinned = (asked for path in pins for _, asked in python_requests(_text(path)))
    yield f"content {project.workspace / LOCKFILE}"
    yield f"content {project.root / OWN_SETTINGS}"
    above = (project.root, *project.root.parents)
    settings = [directory / name for directory in above for name in (MANIFEST, "uv.toml")]
    settings += [directory / "uv.toml" for directory in _configuration_directories(environ)]
    if environ.get("UV_CONFIG_FILE"):
        settings.append(project.root / environ["UV_CONFIG_FILE"])
    yield from (f"content {path}" for path in (*settings, *pins))
    for path in settings:
        yield from _find_links(path)
    if _DATE in "".join(map(_text, settings)) or any("UV_EXCLUDE_NEWER" in n for n in environ):
        yield from _TIME_ZONE
    yield from _variables(project.root, environ)
    yield from _python(project.root, (request, *pinned))
    yield from _workspaces(project, sources)
    for source in sources:
        yield from _source(source)


def _configuration_directories(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The user's configuration directory of uv, then those of the system."""
    if sys.platform == "win32":
        system = Path(environ.get("SYSTEMDRIVE", "C:") + r"\ProgramData\uv")
        return (Path(environ.get("APPDATA", "")) / "uv", system)
    chosen = Path(environ.get("XDG_CONFIG_HOME", ""))  # invalid where it is relative
    user = (chosen if chosen.is_absolute() else Path.home() / ".config") / "uv"
    shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return (user, *(Path(directory) / "uv" for directory in shared), Path("/etc/uv"))


def _find_links(path: Path) -> Iterator[str]:
    """The folders that settings name: uv reads them at every sync, and fails without them."""
    table: Table = {}
    with contextlib.suppress(UsageError, ValueError, TypeError, AttributeError):
        parsed = parse_table(read_quickly(str(path)) or b"", str(path))  # uv says what is wrong
        table = dict(table_at(parsed, "tool", "uv")) if path.name == MANIFEST else parsed
    audit = table.get("audit")
    for name, value in {**table, **(audit if isinstance(audit, dict) else {})}.items():
        if name.startswith(_EVERY_TIME) and value:
            raise UnwatchableError(f"with the {name} of {path} a sync is never done")
    places = table.get("find-links", ())
    flat = (i for i in table.get("index", ()) if isinstance(i, dict) and i.get("format") == "flat")
    for place in (*(places if isinstance(places, list) else ()), *(i.get("url") for i in flat)):
        yield _folder(str(place), path.parent)


def _folder(place: str, base: Path) -> str:
    if "://" in place and not place.startswith("file:"):
        raise UnwatchableError("uv asks a URL of find-links at every sync")
    return f"is-directory {base / unquote(place.removeprefix('file://'))}"


def _variables(root: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Files and folders that variables name: UV_CONFIG_FILE, UV_FIND_LINKS or UV_PYTHON."""
    for name, value in sorted(environ.items()):
        if not name.startswith("UV_") or name.endswith(fingerprint.CREDENTIALS):
            continue
        if redacted(value) != value:
            raise UnwatchableError(f"{name} may hold credentials")
        if name.removeprefix("UV_").lower().replace("_", "-").startswith(_EVERY_TIME):
            raise UnwatchableError(f"with {name} a sync is never done")
        for part in filter(None, dict.fromkeys((value, *re.split(r"[,\s]+", value)))):
            path = os.path.join(root, part)  # noqa: PTH118  no value need be a path
            if os.path.isfile(path):  # noqa: PTH113  Path.is_file raises where it cannot be one
                yield f"identity {path}"
            if name == "UV_FIND_LINKS":
                yield _folder(part, root)
            is_relative = path != part and name != "UV_PROJECT_ENVIRONMENT"
            if is_relative and (name == "UV_CONFIG_FILE" or os.path.exists(path)):  # noqa: PTH110  as above
                yield _WORKING_DIRECTORY


def _python(root: Path, requests: Iterable[str]) -> Iterator[str]:
    """The Pythons that are requested by path: whether the environment is made from them."""
    for request in filter(None, requests):
        if os.path.dirname(request):  # noqa: PTH120  a request need not be a path
            for place in ("", "bin/python", "Scripts/python.exe"):
                yield f"identity {root / request / place}"
            if not Path(request).is_absolute():
                yield _WORKING_DIRECTORY
        elif not re.match(_VERSION, request):
            raise UnwatchableError(f"the Python `{request}` is looked for on PATH")


def _workspaces(project: Project, sources: Iterable[LocalSource]) -> Iterator[str]:
    """The workspace of the project, and those of local sources elsewhere."""
    yield from _members(project.workspace)
    members = member_directories(project.workspace, manifest_in(project.workspace))
    places = {Path(os.path.normpath(source.path)) for source in sources if source.kind != "path"}
    elsewhere = places - members - {project.workspace}
    above = {parent for place in (*elsewhere, *members) for parent in place.parents}
    yield from (f"content {parent / MANIFEST}" for parent in sorted(above))
    for workspace in {workspace_of(place) for place in elsewhere} - {project.workspace}:
        yield from _members(workspace)


def _members(workspace: Path) -> Iterator[str]:
    """Where workspace members come and go: the directories that the `members` patterns list."""
    manifest = manifest_in(workspace)
    for pattern in table_at(manifest, "tool", "uv", "workspace").get("members", ()):
        place = Path(os.path.normpath(workspace / pattern))
        above = os.path.relpath(place.parent, workspace)
        if re.search(_WILDCARDS, above) or "**" in place.name:
            raise UnwatchableError(f"the workspace pattern `{pattern}` can match anywhere")
        if re.search(_WILDCARDS, place.name):
            yield f"directories {place.parent}"
        else:
            yield f"is-directory {place}"
            yield f"content {place / MANIFEST}"
    for member in sorted(filter(Path.is_dir, member_directories(workspace, manifest))):
        if not (member / MANIFEST).is_file() and not member.name.startswith("."):
            # uv refuses it as a member once git does not ignore a file in it.
            raise UnwatchableError(f"{member} matches a workspace pattern and is not a project")
        yield f"content {member / MANIFEST}"


def _source(source: LocalSource) -> Iterator[str]:
    """What makes uv rebuild a local source (uv docs, "Dynamic metadata")."""
    if source.kind == "path":
        yield f"identity {source.path}"
        return
    yield f"content {source.path / MANIFEST}"
    match manifest_in(source.path):
        case {"tool": {"uv": {"cache-keys": _}}} if source.is_built:
            raise UnwatchableError(f"{source.path} has cache-keys of its own")
        case {"project": dict(metadata)} if not metadata.get("dynamic"):
            pass
        case _:
            reason = f"{source.path} has metadata that is only known after a build"
            raise UnwatchableError(reason)
    if source.is_built:
        for name in (MANIFEST, "setup.py", "setup.cfg", "src"):
            yield f"identity {source.path / name}"


def _expanded_variables(questions: Iterable[str], environ: Mapping[str, str]) -> Iterator[str]:
    """The variables in requirements, which uv expands in direct references (PEP 508)."""
    for question in questions:
        kind, _, path = question.partition(" ")
        if kind != "content" or path.endswith(LOCKFILE):
            continue
        text = _text(path)
        for line in text.splitlines() if "@" in text else ():
            for name in re.findall(r"\$\{([A-Z0-9_]+)\}", line):
                value, mark = environ.get(name, ""), "uvflowputsthishere"
                is_hidden = mark not in redacted(line.replace(f"${{{name}}}", mark))
                if value and (is_hidden or redacted(value) != value):  # a digest is soon guessed
                    raise UnwatchableError(f"{name} is a credential in {path}")
                yield f"variable {name}"
                if name == "PROJECT_ROOT" and name not in environ:
                    yield _WORKING_DIRECTORY
