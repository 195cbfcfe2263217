"""`uvflow docker build`: check what the build needs, run docker's own build command, try the image.

A trial has no network, no capabilities and a read-only file system, so that it reaches nothing.
"""

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from packaging.version import InvalidVersion, Version

from uvflow import findings, process, uv
from uvflow.docker import command, companions
from uvflow.docker.command import DockerOptions, DockerResult, FileState, ImagePlan
from uvflow.docker.engine import ask_docker, check_engine
from uvflow.docker.start import Start
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.findings import Finding
from uvflow.lockfile.check import Level
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.project.manifest import Project


def build_image(
    project: Project, *, profile: str | None, tag: str | None, tries: bool, more: tuple[str, ...]
) -> DockerResult:
    """Have docker build the image of a profile, its output untouched; `more` are its own options.

    Raises, before docker is run: StaleLockfileError; DriftError for a Dockerfile that does not
    match the facts; UsageError for an unknown profile, a secret without a value, or no docker.
    """
    uv.check_readable(project.directories)
    target = project.shared_profiles.find(profile or "prod")
    plan = ImagePlan(project, DockerOptions())
    if plan.lockfile.verdict is Level.STALE:  # the build would fail as well, minutes later
        raise StaleLockfileError(
            f"{LOCKFILE} is not what {MANIFEST} asks for",
            cause=", ".join(plan.lockfile.reasons),
            hint=plan.lockfile.hint,
        )
    if plan.dockerfile.state is not FileState.SAME:
        raise command.drift_error(plan.dockerfile)
    missing = [name for name in plan.facts.secrets if not os.environ.get(name)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be set: an index asks for credentials")
    check_engine(os.environ)
    image = tag or companions.image_tag(plan.facts, target.name)
    open_variables = [v for v in plan.facts.version_variables if not any(v in w for w in more)]
    described = _version_in_git(project) if open_variables else ""
    given = dict.fromkeys(open_variables if described else (), described)
    labels = {
        "revision": _clean_commit(project),
        "version": project.table("project").get("version") or described,
    }
    words = (
        *companions.credential_options(plan.facts),
        *(f"--target={target.name}", f"--tag={image}", f"--file={plan.dockerfile.path}"),
        *(f"--build-arg={name}={value}" for name, value in given.items()),
        *(
            f"--label=org.opencontainers.image.{key}={value}"
            for key, value in labels.items()
            if value
        ),
        *(*more, "--", str(project.workspace)),
    )
    # Docker falls back to the classic builder where BuildKit is missing, unless this is set.
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    code = process.run_program(("docker", "build", *words), environ=environ)
    file = str(project.root / target.env_file) if target.env_file else ""
    is_tried = tries and code == 0
    found = [*try_image(image, plan.facts.start, file, environ)] if is_tried else []
    return DockerResult(
        result=tuple(command.finding_lines(found)),
        messages=tuple(f"{name} is {version}, by git's tags" for name, version in given.items()),
        warnings=tuple(_NO_TAG.format(name=name) for name in open_variables if not described),
        data={"profile": target.name, "findings": [f.as_json() for f in found]},
        error=command.error_of(found),
        code=code,
    )


_NO_TAG = "git has no tag of a version: {name} is not given, and the version is 0.0.0"
# What `git describe --tags --long --dirty` writes: a tag, the commits since, the commit.
_DESCRIBED = re.compile(r"(?:.*?-)??[vV]?(\d.*?)-(\d+)-(g[0-9a-f]+)(-dirty)?")


def _clean_commit(project: Project) -> str | None:
    """The commit that the sources are; None where something is not in it."""
    changes = process.ask_git(project.workspace, "status", "--porcelain")
    return None if changes else process.ask_git(project.workspace, "rev-parse", "HEAD")


def _version_in_git(project: Project) -> str:
    """That of the last tag, as a post-release where something came after; empty without one.

    The build backend is not asked: it is code of the project, and this is not a container.
    """
    words = ("describe", "--tags", "--long", "--dirty", "--match=*[0-9]*")
    described = _DESCRIBED.fullmatch(process.ask_git(project.root, *words) or "")
    if not described:
        return ""
    tag, commits, commit, dirty = described.groups(default="")
    later = f".post{commits}+{commit}{dirty.replace('-', '.')}"
    try:
        return str(Version(tag if commits == "0" and not dirty else f"{tag}{later}"))
    except InvalidVersion:
        return ""


_HARDENED = ("--pull=never", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL")
# `module:attribute`, and options that say it is imported from elsewhere
_OBJECT = re.compile(r"(?<!\S)(?!python:)[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?=\(|\s|$)")
_MOVES = re.compile(r"(?<!\S)(?:cd\s|--(?:app-dir|chdir|pythonpath)\b|PYTHONPATH=)")
_LOAD = (
    "import sys, importlib.metadata as m, pkgutil; name = sys.argv[1]; "
    "[s.load() for s in m.entry_points(group='console_scripts', name=name)] or "
    "pkgutil.resolve_name(name)"
)
_STATE = "--format={{.State.Status}}{{if .State.Health}} {{.State.Health.Status}}{{end}}"
_ANSWERS = "--format={{range .State.Health.Log}}{{println .Output}}{{end}}"
_HEALTH = ("--health-interval=1s", "--health-retries=60")
_LONGEST_START, _LEAST_RUN, _LONGEST_STOP = 60, 3, 2  # seconds

_VARIABLES = "the variables it needs are those of the profile's `env-file`"
_HINTS = {
    "image-loads": f"import what is there, without a network; {_VARIABLES}",
    "image-runs": "start without a network, write to /tmp alone, and answer the health check, that "
    f"of `health` in [tool.uvflow.docker], below 400; {_VARIABLES}",
    "image-stops": "end at the signal that `docker stop` sends: SIGTERM, or the image's STOPSIGNAL",
}


def try_image(
    image: str, start: Start, env_file: str, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """A note for each thing that holds, an error for the first that does not."""
    docker = partial(ask_docker, environ)
    variables = [f"--env-file={env_file}"] if env_file else []
    given = (*_HARDENED, *variables, image)
    line = " ".join(start.command)
    named = None if _MOVES.search(line) else _OBJECT.search(line)
    name = named[0] if named else ""
    if start.is_program:
        name = start.command[0]
    if name:
        load = docker("run", "--rm", "--entrypoint=python", *given, "-c", _LOAD, name)
        problem = f"{name} cannot be loaded: {_last_line(load)}"
        yield _finding("image-loads", f"{name} can be loaded", problem if load.code else "")
        if load.code:
            return
    if not start.is_program:  # a program takes arguments, and ends by itself
        yield from _try_service(docker, *given, is_probed=bool(start.port and start.probes))


def _try_service(
    docker: Callable[..., Completed], *given: str, is_probed: bool
) -> Iterator[Finding]:
    container = f"uvflow-try-{uuid.uuid4().hex}"
    try:
        health = _HEALTH if is_probed else ()
        began = docker("run", "--detach", f"--name={container}", *health, *given)
        state = _settled_state(partial(docker, "inspect", _STATE, container), is_probed=is_probed)
        last = _last_line(began if began.code else docker("logs", "--tail=20", container))
        is_well = state in {"running", "running healthy"}
        problem = f"it is {state or 'not started'}: {last}"
        if is_probed and state.startswith("running") and not is_well:
            answer = _last_line(docker("inspect", _ANSWERS, container))
            problem = f"it is running, and its health check fails: {answer}"
        yield _finding("image-runs", f"it is {state}", "" if is_well else problem)
        if is_well:
            docker("stop", "-t", str(_LONGEST_STOP), container)
            code = docker("inspect", "--format={{.State.ExitCode}}", container).out.strip()
            late = f"it does not stop within {_LONGEST_STOP} seconds, and is killed"
            yield _finding("image-stops", "it stops when told to", late if code == "137" else "")
    finally:
        docker("rm", "--force", container)


def _settled_state(inspect: Callable[[], Completed], *, is_probed: bool) -> str:
    """The state once it is `healthy`, or has been `running` for long enough."""
    waiting = "running starting" if is_probed else "running"
    end = time.monotonic() + (_LONGEST_START if is_probed else _LEAST_RUN)
    while (state := inspect().out.strip()) == waiting and time.monotonic() < end:
        time.sleep(0.2)
    return state


def _finding(code: str, fact: str, problem: str) -> Finding:
    error = findings.error(code, problem, hint=_HINTS[code])
    return error if problem else findings.note(code, fact)


def _last_line(done: Completed) -> str:
    lines = [line.strip() for line in f"{done.out}\n{done.err}".splitlines()]
    printed = [line for line in lines if line and "docker run --help" not in line]
    return printed[-1] if printed else "it printed nothing"
