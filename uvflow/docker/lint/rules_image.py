"""What is wrong with the image that a hand-written Dockerfile makes, and with what it starts. Pure.

One function, one rule; each was met in a real Dockerfile of a uv project.
"""

import re
from collections.abc import Iterator

from uvflow.docker.lint.model import FindingKind, LintedDockerfile, Rule, commands
from uvflow.docker.lint.parse import Parsed
from uvflow.findings import Finding, Severity

_DISTRIBUTIONS = ("trixie", "bookworm", "bullseye", "alpine")
_SECRET = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|API_?KEY|CREDENTIAL", re.IGNORECASE)
_USERINFO = re.compile(r"://[^/\s:@$]+:[^/\s@$]+@")
_INTERPRETER = re.compile(r"(?:.*/)?(?:python[\d.]*|bash|sh)")
_SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve")
_PACKAGES = {"waitress-serve": "waitress"}


def base_is_not_pinned(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="base-not-pinned",
        severity=Severity.WARNING,
        fix="name version and distribution: python:X.Y-slim-trixie",
    )
    for stage in reading.dockerfile.stages:
        name, _, tag = stage.image.partition(":")
        is_stage = reading.dockerfile.stage(stage.image) not in {None, stage}
        is_python = name in {"python", "docker.io/python", "docker.io/library/python"}
        names_python = bool(re.match(r"3\.\d+", tag))
        if (
            is_python
            and not is_stage
            and not (names_python and any(d in tag for d in _DISTRIBUTIONS))
        ):
            message = f"{stage.image} is another Python or another Debian one day"
            yield reading.finding(kind, stage.line, message)


def pythons_differ(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="pythons-differ", severity=Severity.ERROR, fix="name the same Python in every stage"
    )
    versions = {}
    for stage in reading.environment_stages:
        match = re.search(r"python:?(3\.\d+)", stage.image)
        if match:
            versions[match[1]] = stage.line
    if len(versions) > 1:
        message = (
            f"the environment is made by one Python and run by another: {' and '.join(versions)}"
        )
        yield reading.finding(kind, max(versions.values()), message)


def uv_in_image(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="uv-in-image",
        severity=Severity.WARNING,
        fix="mount uv for the steps that need it, instead of copying it or building on its image",
    )
    base = reading.dockerfile.lineage(reading.final)[0]
    if "astral-sh/uv" in base.image:
        message = "the image is built on uv's: it has 45 MB that nothing uses when it runs"
        yield reading.finding(kind, base.line, message)
    for step in reading.image:
        if step.keyword == "COPY" and "astral-sh/uv" in (step.flag("from") or ""):
            message = "uv is copied into the image: 45 MB that nothing uses when it runs"
            yield reading.finding(kind, step.line, message)


def runs_as_root(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="runs-as-root", severity=Severity.WARNING, fix="USER 10001:10001, at the end"
    )
    user = reading.last("USER")
    is_nonroot = "nonroot" in reading.dockerfile.lineage(reading.final)[0].image
    if user is None and not is_nonroot:
        yield reading.finding(kind, reading.final.line, "the service runs as root")
    elif user and user.text.partition(":")[0] in {"root", "0"}:
        yield reading.finding(kind, user.line, "the service runs as root")


def user_is_a_name(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(code="user-not-numeric", severity=Severity.NOTE, fix="USER 10001:10001")
    user = reading.last("USER")
    name = user.text.partition(":")[0] if user else "0"
    if user and not name.isdigit() and name != "root" and "$" not in name:
        message = f"Kubernetes cannot tell that {name} is not root (runAsNonRoot)"
        yield reading.finding(kind, user.line, message)


def path_with_empty_element(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="path-empty-element",
        severity=Severity.ERROR,
        fix='ENV PATH="/app/.venv/bin:$PATH"',
    )
    for step, path in _paths(reading):
        if any(element in {"", "."} for element in path.split(":")):
            message = f"PATH={path} searches the current directory for programs"
            yield reading.finding(kind, step.line, message)


def path_with_missing_directory(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="path-not-there",
        severity=Severity.WARNING,
        fix="take it out: the environment's bin directory is enough",
    )
    for step, path in _paths(reading):
        if "/python/bin" in path.split(":"):
            message = "/python/bin is not there: uv's Pythons are in directories of their own below"
            yield reading.finding(kind, step.line, message)


def nothing_is_started(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="starts-nothing",
        severity=Severity.ERROR,
        fix='CMD ["gunicorn", "--bind=0.0.0.0:8000", "config.wsgi:application"], or what yours is',
    )
    started = reading.last("CMD") or reading.last("ENTRYPOINT")
    if started is None:
        yield reading.finding(
            kind, reading.final.line, "no CMD: the container starts a Python prompt"
        )
    elif all(_INTERPRETER.fullmatch(word) for word in started.words):
        message = f"CMD {started.text} waits at a prompt and serves nothing"
        yield reading.finding(kind, started.line, message)


def started_file_is_missing(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="start-not-there", severity=Severity.ERROR, fix="name a file or a module that is there"
    )
    for started in _started(reading):
        words = _without_uv_run(started.words)
        script = words[1] if len(words) > 1 and _INTERPRETER.fullmatch(words[0]) else ""
        relative = script.endswith(".py") and not script.startswith("/")
        if relative and script.removeprefix("./") not in reading.around.files:
            yield reading.finding(kind, started.line, f"{script} is not there")
        if words and words[0].startswith("./") and not _is_named(reading, words[0][2:]):
            yield reading.finding(kind, started.line, f"{words[0]} is not there")
        module = next((w for w in words[1:] if re.fullmatch(r"[\w.]+:[\w.]+(\(\))?", w)), None)
        if words and _program(words) in _SERVERS and module and not _is_module(reading, module):
            message = f"{module.partition(':')[0]} is no module of the project"
            yield reading.finding(kind, started.line, message)


def started_server_is_missing(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(code="server-not-locked", severity=Severity.ERROR, fix="uv add it")
    installed = reading.around.installed
    for started in _started(reading):
        program = _program(_without_uv_run(started.words))
        missing = installed is not None and _PACKAGES.get(program, program) not in installed
        if program in _SERVERS and missing:
            message = f"{program} is not among the production dependencies"
            yield reading.finding(kind, started.line, message)


def starts_through_uv(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="starts-through-uv",
        severity=Severity.ERROR,
        fix="start the program itself, with the environment's bin directory first in PATH",
    )
    for started in _started(reading):
        words = started.words
        if words[:2] == ("uv", "run") and "--no-sync" not in words:
            message = (
                "`uv run` syncs again at each start: it installs the dev group, and needs a network"
            )
            yield reading.finding(kind, started.line, message)


def development_server(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="development-server",
        severity=Severity.ERROR,
        fix="a production server: gunicorn for WSGI, uvicorn for ASGI",
    )
    for started in _started(reading):
        text = " ".join(started.words)
        if re.search(r"\brunserver\b|\bflask\b.* run\b|\bfastapi dev\b|--reload\b", text):
            yield reading.finding(kind, started.line, "a development server is started")


def shell_form(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="shell-form",
        severity=Severity.WARNING,
        fix='the exec form: CMD ["program", "word"]; where a shell has to do something, `exec` '
        "before the program",
    )
    for started in _started(reading):
        script = _shell_script(started)
        if script is not None and not re.search(r"(^|[;&|]\s*)exec ", script):
            message = f"{started.keyword} runs below a shell, which keeps signals to itself"
            yield reading.finding(kind, started.line, message)


def health_by_missing_program(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="health-by-curl",
        severity=Severity.ERROR,
        fix='ask by Python: HEALTHCHECK CMD ["python", "-c", "import urllib.request; …"]',
    )
    health = reading.last("HEALTHCHECK")
    asked = re.search(r"\b(curl|wget)\b", health.text) if health else None
    installed = " ".join(" ".join(command.words) for command in commands(reading.image))
    if health and asked and asked[1] not in installed:
        message = f"{asked[1]} is not in the image, so the container is never healthy"
        yield reading.finding(kind, health.line, message)


def secret_in_layer(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="secret-in-image",
        severity=Severity.ERROR,
        fix="RUN --mount=type=secret,id=…,required=true",
    )
    for step in (*reading.dockerfile.before, *reading.everything):
        for name, value in step.assignments if step.keyword in {"ARG", "ENV"} else ():
            if _SECRET.search(name) and (step.keyword == "ARG" or (value and "$" not in value)):
                message = f"{name} is in the image's history, where everybody reads it"
                yield reading.finding(kind, step.line, message)
        if step.keyword == "RUN" and _USERINFO.search(step.text):
            message = "a URL with a password is in the image's history"
            yield reading.finding(kind, step.line, message)


def env_file_copied(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="env-file-in-image", severity=Severity.ERROR, fix="docker run --env-file .env …"
    )
    for step in reading.everything:
        copied = step.words[:-1] if step.is_copy else ()
        if any(re.fullmatch(r"(.*/)?\.env(\.\w+)?", word) for word in copied):
            yield reading.finding(kind, step.line, "the secrets of .env are in a layer")


def context_is_not_ignored(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="context-not-ignored", severity=Severity.ERROR, fix="name them in .dockerignore"
    )
    whole = next((i for i in reading.everything if i.copies_context), None)
    if whole and reading.around.not_ignored:
        message = f"`COPY .` takes {', '.join(reading.around.not_ignored)} of this machine along"
        yield reading.finding(kind, whole.line, message)


def fetches_front_end(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(
        code="syntax-line", severity=Severity.NOTE, fix="leave the line out, or pin it"
    )
    for number, (name, value) in enumerate(reading.dockerfile.directives, 1):
        if name == "syntax" and "@" not in value:
            message = f"each build asks a registry for {value}, and fails where it cannot"
            yield reading.finding(kind, number, message)


def output_is_held_back(reading: LintedDockerfile) -> Iterator[Finding]:
    kind = FindingKind(code="output-buffered", severity=Severity.NOTE, fix="ENV PYTHONUNBUFFERED=1")
    told = {name for i in reading.image if i.keyword == "ENV" for name, _ in i.assignments}
    if "PYTHONUNBUFFERED" not in told:
        message = "what a crashing service printed last is lost"
        yield reading.finding(kind, reading.final.line, message)


RULES: tuple[Rule, ...] = (
    base_is_not_pinned,
    pythons_differ,
    uv_in_image,
    runs_as_root,
    user_is_a_name,
    path_with_empty_element,
    path_with_missing_directory,
    nothing_is_started,
    started_file_is_missing,
    started_server_is_missing,
    starts_through_uv,
    development_server,
    shell_form,
    health_by_missing_program,
    secret_in_layer,
    env_file_copied,
    context_is_not_ignored,
    fetches_front_end,
    output_is_held_back,
)


def _started(reading: LintedDockerfile) -> Iterator[Parsed]:
    return (i for i in (reading.last("ENTRYPOINT"), reading.last("CMD")) if i)


def _shell_script(started: Parsed) -> str | None:
    """What a shell is to run; None where there is none between."""
    words = started.exec_form
    if words is None:
        return started.text
    is_shell = words[:1] and words[0].rpartition("/")[2] in {"sh", "bash"}
    return words[2] if is_shell and words[1:2] in {("-c",), ("-ec",)} and words[2:] else None


def _without_uv_run(words: tuple[str, ...]) -> tuple[str, ...]:
    if words[:2] != ("uv", "run"):
        return words
    rest = words[2:]
    while rest and rest[0].startswith("-"):
        rest = rest[1:]
    return rest


def _program(words: tuple[str, ...]) -> str:
    return words[0].rpartition("/")[2] if words else ""


def _is_named(reading: LintedDockerfile, path: str) -> bool:
    """Whether a file is called so, in any directory, or a step may make one."""
    name = path.rpartition("/")[2]
    made = any(name in step.text for step in reading.image if step.is_copy or step.keyword == "RUN")
    return made or any(file.rpartition("/")[2] == name for file in reading.around.files)


def _is_module(reading: LintedDockerfile, name: str) -> bool:
    path = name.partition(":")[0].replace(".", "/")
    places = (f"{path}.py", f"{path}/__init__.py", f"src/{path}.py", f"src/{path}/__init__.py")
    return any(place in reading.around.files for place in places)


def _paths(reading: LintedDockerfile) -> Iterator[tuple[Parsed, str]]:
    """What ENV makes of PATH; the one of the base image is none of ours."""
    for step in reading.image:
        pairs = step.assignments if step.keyword == "ENV" else ()
        yield from ((step, value) for name, value in pairs if name == "PATH")
