"""What is wrong with the image of a hand-written Dockerfile, and with what it starts. Pure.

Each rule was met in a real Dockerfile of a uv project.
"""

import re
from collections.abc import Iterator

from uvflow.docker.lint.model import LintedDockerfile, Violations, commands, rule
from uvflow.docker.lint.parse import Parsed
from uvflow.findings import Severity
from uvflow.redaction import redacted

_DISTRIBUTIONS = ("trixie", "bookworm", "bullseye", "alpine")
_SECRET = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|API_?KEY|CREDENTIAL", re.IGNORECASE)

# A login of HTTP as a header or an option: a variable in its place is no secret.
_LOGIN = re.compile(
    r"""
    \b (?: authorization | (?:private|job|deploy|x-[\w-]{0,20})-token | x-[\w-]{0,20}key )
    \s*:\s* (?: (?:bearer|basic|token|digest|negotiate)\s+ )?+ [^\s"'$]
    | \bcurl\b [^\n]{0,500} \s (?:-u|--user|--proxy-user) [\s=]? ["']? [^\s"':]*: [^\s"'$]
    | \s--oauth2-bearer [\s=] ["']? [^\s"'$]
    | \s-- (?!disabled-) [\w-]{0,30} (?:password|passwd|token|api-key) [\s=] ["']? [^\s"'$-]
    """,
    re.IGNORECASE | re.VERBOSE,
)
_VARIABLE = re.compile(r"\$(?:\([^)]*\)|\{[^}]*\}|\w+)")
_VARIABLE_AS_PASSWORD = re.compile(r"//[^\s/@:]*:\$\{X\}@")
_INTERPRETER = re.compile(r"(?:.*/)?(?:python[\d.]*|bash|sh)")
_SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve")
_PACKAGES = {"waitress-serve": "waitress"}


@rule(
    "base-not-pinned",
    Severity.WARNING,
    "name the version and the distribution: python:X.Y-slim-trixie",
)
def base_is_not_pinned(linted: LintedDockerfile) -> Violations:
    for stage in linted.dockerfile.stages:
        name, _, tag = stage.image.partition(":")
        is_stage = linted.dockerfile.stage(stage.image) not in {None, stage}
        is_python = name in {"python", "docker.io/python", "docker.io/library/python"}
        is_pinned = re.match(r"3\.\d+", tag) and any(d in tag for d in _DISTRIBUTIONS)
        if is_python and not is_stage and not is_pinned:
            message = f"{stage.image} is not pinned: it will move to another Python or Debian"
            yield stage.line, message


@rule("pythons-differ", Severity.ERROR, "use the same Python in every stage")
def pythons_differ(linted: LintedDockerfile) -> Violations:
    versions = {}
    for stage in linted.environment_stages:
        match = re.search(r"python:?(3\.\d+)", stage.image)
        if match:
            versions[match[1]] = stage.line
    if len(versions) > 1:
        named = " and ".join(versions)
        message = f"the environment is made with one Python and run with another: {named}"
        yield max(versions.values()), message


@rule(
    "uv-in-image",
    Severity.WARNING,
    "mount uv for the steps that need it, instead of copying it or building on its image",
)
def uv_in_image(linted: LintedDockerfile) -> Violations:
    base = linted.dockerfile.lineage(linted.final)[0]
    if "astral-sh/uv" in base.image:
        yield base.line, "the image is based on uv's: 45 MB that nothing uses at run time"
    for step in linted.image:
        if step.keyword == "COPY" and "astral-sh/uv" in (step.flag("from") or ""):
            yield step.line, "uv is copied into the image: 45 MB that nothing uses at run time"


@rule("runs-as-root", Severity.WARNING, "USER 10001:10001, at the end")
def runs_as_root(linted: LintedDockerfile) -> Violations:
    user = linted.last("USER")
    is_nonroot = "nonroot" in linted.dockerfile.lineage(linted.final)[0].image
    name = user.text.partition(":")[0] if user else "nonroot" if is_nonroot else "root"
    if name in {"root", "0"}:
        yield (user or linted.final).line, "the service runs as root"


@rule("user-not-numeric", Severity.NOTE, "USER 10001:10001")
def user_is_a_name(linted: LintedDockerfile) -> Violations:
    user = linted.last("USER")
    name = user.text.partition(":")[0] if user else "0"
    if user and not name.isdigit() and name != "root" and "$" not in name:
        yield user.line, f"Kubernetes cannot verify that {name} is not root (runAsNonRoot)"


@rule("path-empty-element", Severity.ERROR, 'ENV PATH="/app/.venv/bin:$PATH"')
def path_with_empty_element(linted: LintedDockerfile) -> Violations:
    for step, path in _paths(linted):
        if any(element in {"", "."} for element in path.split(":")):
            yield step.line, f"PATH={path} searches the current directory for programs"


@rule("path-not-there", Severity.WARNING, "remove it: the environment's bin directory is enough")
def path_with_missing_directory(linted: LintedDockerfile) -> Violations:
    for step, path in _paths(linted):
        if "/python/bin" in path.split(":"):
            yield step.line, "/python/bin does not exist: uv puts each Python one level deeper"


@rule(
    "starts-nothing",
    Severity.ERROR,
    'CMD ["gunicorn", "--bind=0.0.0.0:8000", "config.wsgi:application"], or your own command',
)
def nothing_is_started(linted: LintedDockerfile) -> Violations:
    started = linted.last("CMD") or linted.last("ENTRYPOINT")
    if started is None:
        yield linted.final.line, "no CMD: the container starts a Python prompt"
    elif all(_INTERPRETER.fullmatch(word) for word in started.words):
        message = f"CMD {started.text} starts an interactive interpreter, not the application"
        yield started.line, message


@rule("start-not-there", Severity.ERROR, "name a file or a module that exists")
def started_file_is_missing(linted: LintedDockerfile) -> Violations:
    for started in _start_instructions(linted):
        words = _without_uv_run(started.words)
        script = words[1] if len(words) > 1 and _INTERPRETER.fullmatch(words[0]) else ""
        relative = script.endswith(".py") and not script.startswith("/")
        if relative and script.removeprefix("./") not in linted.context.files:
            yield started.line, f"{script} does not exist"
        if words and words[0].startswith("./") and not _is_named(linted, words[0][2:]):
            yield started.line, f"{words[0]} does not exist"
        module = next((w for w in words[1:] if re.fullmatch(r"[\w.]+:[\w.]+(\(\))?", w)), None)
        if words and _program(words) in _SERVERS and module and not _is_module(linted, module):
            yield started.line, f"{module.partition(':')[0]} is not a module of the project"


@rule("server-not-locked", Severity.ERROR, "uv add the server")
def started_server_is_missing(linted: LintedDockerfile) -> Violations:
    installed = linted.context.installed
    for started in _start_instructions(linted):
        program = _program(_without_uv_run(started.words))
        missing = installed is not None and _PACKAGES.get(program, program) not in installed
        if program in _SERVERS and missing:
            yield started.line, f"{program} is not among the production dependencies"


@rule(
    "starts-through-uv",
    Severity.ERROR,
    "start the program itself, with the environment's bin directory first in PATH",
)
def starts_through_uv(linted: LintedDockerfile) -> Violations:
    for started in _start_instructions(linted):
        words = started.words
        if words[:2] == ("uv", "run") and "--no-sync" not in words:
            message = "`uv run` syncs at every start: it installs the dev group and needs a network"
            yield started.line, message


@rule(
    "development-server",
    Severity.ERROR,
    "use a production server: gunicorn for WSGI, uvicorn for ASGI",
)
def development_server(linted: LintedDockerfile) -> Violations:
    for started in _start_instructions(linted):
        text = " ".join(started.words)
        if re.search(r"\brunserver\b|\bflask\b.* run\b|\bfastapi dev\b|--reload\b", text):
            yield started.line, "this starts a development server"


@rule(
    "shell-form",
    Severity.WARNING,
    'use the exec form: CMD ["program", "argument"]; where a shell is needed, put `exec` '
    "before the program",
)
def shell_form(linted: LintedDockerfile) -> Violations:
    for started in _start_instructions(linted):
        script = _shell_script(started)
        if script is not None and not re.search(r"(^|[;&|]\s*)exec ", script):
            message = f"{started.keyword} runs under a shell, which does not forward signals"
            yield started.line, message


@rule(
    "health-by-curl",
    Severity.ERROR,
    'probe with Python: HEALTHCHECK CMD ["python", "-c", "import urllib.request; …"]',
)
def health_by_missing_program(linted: LintedDockerfile) -> Violations:
    health = linted.last("HEALTHCHECK")
    program = re.search(r"\b(curl|wget)\b", health.text) if health else None
    installed = " ".join(" ".join(command.words) for command in commands(linted.image))
    if health and program and program[1] not in installed:
        message = f"{program[1]} is not in the image, so the container never becomes healthy"
        yield health.line, message


@rule("secret-in-image", Severity.ERROR, "RUN --mount=type=secret,id=…,required=true")
def secret_in_layer(linted: LintedDockerfile) -> Violations:
    for step in (*linted.dockerfile.before, *linted.everything):
        pairs = step.assignments if step.keyword in {"ARG", "ENV"} else ()
        names = [name for name, value in pairs if _is_secret(step.keyword, name, value)]
        text = _VARIABLE_AS_PASSWORD.sub("//", _VARIABLE.sub("${X}", step.text))
        if names:
            message = (
                f"{' and '.join(names)} is in the image's history, where everybody can read it"
            )
            yield step.line, message
        elif redacted(text) != text:
            yield step.line, "a URL with a password or a token is in the image's history"
        elif step.keyword == "RUN" and _LOGIN.search(text):
            yield step.line, "a password or a token is in the image's history"


def _is_secret(keyword: str, name: str, value: str) -> bool:
    is_given = keyword == "ARG" or (value != "" and "$" not in value)
    return is_given and _SECRET.search(name) is not None


@rule("env-file-in-image", Severity.ERROR, "docker run --env-file .env …")
def env_file_copied(linted: LintedDockerfile) -> Violations:
    for step in linted.everything:
        copied = step.words[:-1] if step.is_copy else ()
        if any(re.fullmatch(r"(.*/)?\.env(\.\w+)?", word) for word in copied):
            yield step.line, "the secrets of .env are in a layer"


@rule("context-not-ignored", Severity.ERROR, "name them in .dockerignore")
def context_is_not_ignored(linted: LintedDockerfile) -> Violations:
    whole = next((i for i in linted.everything if i.copies_context), None)
    if whole and linted.context.not_ignored:
        yield whole.line, f"`COPY .` copies {', '.join(linted.context.not_ignored)} of this machine"


@rule("syntax-line", Severity.NOTE, "remove the line, or pin it by digest")
def fetches_front_end(linted: LintedDockerfile) -> Violations:
    for number, (name, value) in enumerate(linted.dockerfile.directives, 1):
        if name == "syntax" and "@" not in value:
            yield number, f"every build asks a registry for {value}, and fails if it cannot"


@rule("output-buffered", Severity.NOTE, "ENV PYTHONUNBUFFERED=1")
def output_is_held_back(linted: LintedDockerfile) -> Violations:
    variables = {name for i in linted.image if i.keyword == "ENV" for name, _ in i.assignments}
    if "PYTHONUNBUFFERED" not in variables:
        yield linted.final.line, "the last output of a crashing service is lost"


def _start_instructions(linted: LintedDockerfile) -> Iterator[Parsed]:
    return (i for i in (linted.last("ENTRYPOINT"), linted.last("CMD")) if i)


def _shell_script(started: Parsed) -> str | None:
    """What a shell runs; None in the exec form without one."""
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


def _is_named(linted: LintedDockerfile, path: str) -> bool:
    """Whether a file in any directory has that name, or a step may create one."""
    name = path.rpartition("/")[2]
    is_made = any(
        name in step.text for step in linted.image if step.is_copy or step.keyword == "RUN"
    )
    return is_made or any(file.rpartition("/")[2] == name for file in linted.context.files)


def _is_module(linted: LintedDockerfile, name: str) -> bool:
    path = name.partition(":")[0].replace(".", "/")
    places = (f"{path}.py", f"{path}/__init__.py", f"src/{path}.py", f"src/{path}/__init__.py")
    return any(place in linted.context.files for place in places)


def _paths(linted: LintedDockerfile) -> Iterator[tuple[Parsed, str]]:
    """The values that ENV gives to PATH; that of the base image is not known."""
    for step in linted.image:
        pairs = step.assignments if step.keyword == "ENV" else ()
        yield from ((step, value) for name, value in pairs if name == "PATH")
