"""What is wrong with what the container of a hand-written Dockerfile starts. Pure."""

import itertools
import re

from uvflow.docker.lint import shell
from uvflow.docker.lint.model import BY_PIP, Dockerfile, ShellCommand, Violations, expanded
from uvflow.docker.lint.needs import DISTRIBUTIONS, SERVERS, missing

_PORTS = {**dict.fromkeys((*SERVERS, "fastapi"), "8000"), "waitress-serve": "8080"}
_PORTS["streamlit"] = "8501"
# What passes requests on to a server in the same container, or starts what does.
_PROXIES = {"apache2ctl", "caddy", "envoy", "haproxy", "httpd", "nginx", "supervisord", "traefik"}
_DEVELOPMENT = {"flask": "run", "fastapi": "dev"}
_OWN_PORT = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d+)")
_LINKS = re.compile(r"PATH=|bashrc|profile|^(?:cp|ln|mv) .*bin")  # what changes PATH, or fills it
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost|\[?::1\]?)(?::\d+)?")


def _nothing(linted: Dockerfile) -> Violations:
    files = (f for f in linted.context.files if re.fullmatch(r"(docker-)?compose.*\.ya?ml", f))
    composed = "\n".join(map(linted.context.text, files))
    by_compose = re.search(r"^ +(command|entrypoint):", composed, re.MULTILINE)
    if not linted.started and linted.is_plain and not by_compose:
        yield "starts-nothing", linted.final, "no CMD: the container starts a Python prompt"
    for command in linted.started:
        words = command.words
        option = words[1] if len(words) > 1 else ""
        if command is linted.started[-1] and all(map(shell.is_interpreter, words)):
            yield "starts-nothing", command.step, f"{command.text} is only a prompt"
        is_known, by_shell = command.program in DISTRIBUTIONS, "SHLVL" in command.environ
        variables = [word for word in words if re.search(r"\$\{?[A-Z_]", word)]
        if is_known and variables and not by_shell:
            yield "starts-nothing", command.step, f"no shell expands {variables[0]}"
        if is_known and "/bin/sh" in words:
            yield "starts-nothing", command.step, f"{command.program} is given a shell as arguments"
        if shell.is_python(words) and re.match(r"--(?!help|version|check-hash)", option):
            yield "starts-nothing", command.step, f"{words[0]} has no option {option}"
        if command.starts("uv", "run") and not _runs(command):
            yield "starts-nothing", command.step, "`uv run` is given no command: it starts nothing"


def _missing(linted: Dockerfile) -> Violations:
    for command in (*linted.started, *linted.probes):
        for code, message in missing(linted, command):
            yield code, command.step, message


def _path(linted: Dockerfile) -> Violations:
    """By ENV PATH, unless something else decides; what a RUN activates does not last."""
    by_start = any(re.search(r"activate|PATH=", command.text) for command in linted.started)
    by_build = any(BY_PIP.match(c.text) or _LINKS.search(c.text) for c in linted.building)
    environments = {f"{sync.environment}/bin" for sync in linted.syncs}
    if by_start or by_build or not environments or not linted.is_plain:
        return
    named = [folder.rstrip("/") for folder in linted.end.environ.get("PATH", "").split(":")]
    # In front of the PATH of the base image, which may have a Python.
    first = [*itertools.takewhile(lambda folder: folder.strip("${}") != "PATH", named)]
    targets = (i.state.path(i.words[-1]) for i in linted.image if i.is_copy)
    places = {*environments, ".venv/bin", *(f"{target}/bin" for target in targets)}
    pythons, scripts = {"python", "python3"}, linted.context.scripts
    known = {*pythons, *DISTRIBUTIONS, *scripts, *(linted.context.locked or ())}
    for command in linted.started:
        program, place = command.words[0], min(places & {*named} or environments)
        folders = first if program in pythons and "python" in linted.base else named
        is_lost = places.isdisjoint({*folders, "/usr/local/bin", "/usr/bin"})
        is_by_uv = "UV_RUN_RECURSION_DEPTH" in command.environ
        if is_lost and program in known and not is_by_uv:
            how = "behind the base image's own" if place in named else "not"
            message = f"{program} is in {place}, which is {how} in PATH"
            yield "start-not-on-path", command.step, message


def _uv_run(linted: Dockerfile) -> Violations:
    is_prod = any(linted.is_without_dev(sync) for sync in linted.syncs)
    for command in (c for c in linted.started if c.run_syncs and _runs(c)):
        if is_prod and not linted.is_without_dev(command):
            yield "starts-through-uv", command.step, "it installs the dev group at every start"
        else:
            yield "uv-at-start", command.step, "`uv run` checks the environment at every start"


def check_servers(linted: Dockerfile) -> Violations:
    is_behind = any(command.program in _PROXIES for command in linted.started)
    for command in linted.started:
        develops = {"--reload", "runserver", _DEVELOPMENT.get(command.program, "--reload")}
        if develops & {*command.words[1:]} and "celery" not in command.words:
            yield "development-server", command.step, "this starts a development server"
        address = command.option("--host", "--bind", "-b", "-h", "--server.address")
        is_default = SERVERS.get(command.program) and not _is_configured(linted, command)
        is_local = command.program in {*_PORTS, "flask"} and _LOCAL.fullmatch(address or "")
        if (is_default or is_local) and not is_behind:
            local = address or "127.0.0.1"
            yield "listens-locally", command.step, f"only the container itself reaches {local}"


def _ports(linted: Dockerfile) -> Violations:
    if any(command.program in _PROXIES for command in linted.started):
        return
    served = [_port(linted, command) for command in linted.started if command.program in _PORTS]
    steps = [step for step in linted.image if step.keyword == "EXPOSE"]
    exposed = expanded(" ".join(step.text for step in steps), linted.end.environ)
    named = re.findall(r"\d+", exposed)
    if named and served and all(served) and not {*served} & {*named}:
        yield "ports-differ", steps[-1], f"EXPOSE names {named[0]}, but {served[0]} is served"
    for step in (step for step in linted.image if step.keyword == "HEALTHCHECK"):
        for port in _OWN_PORT.findall(expanded(step.text, linted.end.environ)):
            if served and all(served) and port not in {*served, *named}:
                yield "ports-differ", step, f"it asks port {port}, but {served[0]} is served"


def _signals(linted: Dockerfile) -> Violations:
    forwards = {"dumb-init", "exec", "supervisord", "trap"}
    is_forwarded = any(command.program in forwards for command in linted.started)
    for command in linted.started[-1:]:
        if "SHLVL" in command.environ and not is_forwarded:
            yield "shell-form", command.step, "its shell does not forward signals"


CHECKS = (_nothing, _missing, _path, _uv_run, check_servers, _ports, _signals)


def _runs(command: ShellCommand) -> bool:
    """Whether `uv run` is given a command, and not only options that it does not have."""
    inner = "".join(shell.inside(command.words)[:1])
    return command.has("-m", "--module") or re.match(r"[^\W\d]|[./$]", inner) is not None


def _is_configured(linted: Dockerfile, command: ShellCommand) -> bool:
    """Whether a server has an address, or may have one from where this does not look."""
    own = (command.program.upper(), *(["PORT"] if command.program == "gunicorn" else []))
    by_variable = (name for name in command.environ if name.startswith(own))
    is_open = any("$" in word or word.startswith(("-b", "-c")) for word in command.words)
    by_file = any(f.endswith(f"{command.program}.conf.py") for f in linted.context.files)
    return command.has(*SERVERS[command.program]) or is_open or by_file or any(by_variable)


def _port(linted: Dockerfile, command: ShellCommand) -> str:
    """The port that a server listens on, empty where that is not known."""
    value = command.option("--port", "--bind", "-b", "-p", "--listen", "--server.port")
    is_open = command.program in SERVERS and _is_configured(linted, command)
    if value is None:
        is_default = not is_open or command.has("--host")
        return _PORTS[command.program] if is_default else ""
    port = re.search(r"\d+$", value)
    return port[0] if port else ""
