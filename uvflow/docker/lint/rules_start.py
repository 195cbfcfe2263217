"""What is wrong with what the container of a hand-written Dockerfile starts. Pure."""

import itertools
import posixpath
import re
from dataclasses import replace

from uvflow.docker.lint import needs, shell
from uvflow.docker.lint.model import BY_PIP, NO_PROJECT, Dockerfile, ShellCommand, Violations
from uvflow.docker.lint.needs import DISTRIBUTIONS, SERVER_PROGRAMS
from uvflow.docker.lint.parse import expanded
from uvflow.docker.lint.server import WEB_SERVERS, is_configured, ports, unknown_path, unserved
from uvflow.paths import MANIFEST

# What passes requests on to a server in the same container, or starts what does.
_PROXIES = {"apache2ctl", "caddy", "envoy", "haproxy", "httpd", "nginx", "supervisord", "traefik"}
_DEVELOPMENT = {"flask": "run", "fastapi": "dev"}
# Options of other servers, with which one does not start.
_NO_OPTIONS = {
    "gunicorn": ("--host", "--port"),
    "hypercorn": ("--host", "--port"),
    "uvicorn": ("--bind", "-b", "-w"),
}
_OWN_PORT = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d+)")
_EXPANDED = re.compile(r"(?<!\\)\$(?:\{(\w+)\}|(\w+))")
# Variables that shells set, or images below.
_OF_IMAGES = re.compile(r"(?:CUDA|NV|PYTHON|UV_).*|GPG_KEY|HOME|HOSTNAME|LANG|PATH|PWD|UID|USER")
_DEPLOYS = re.compile(r"\.ya?ml$|\.toml$|(?:^|/)\.env|(?:^|/)app\.json$")  # may set variables
_LINKS = re.compile(r"PATH=|bashrc|profile|^(?:cp|ln|mv) .*bin")  # what changes PATH, or fills it
_MAY_INSTALL = re.compile(r"\b(?:sync|venv|run|make|conda|just|task)\b|\.sh\b|setup")
_RUNS = re.compile(r"(?<!asyncio)\.run\((?:[^()]|\([^()]*\))*\b(?:debug|reload) *= *True\b")
_OPENS = re.compile(r"\b(?:chmod|chown|setfacl|usermod)\b[^;&|\n]*(?:/root\b|~|\$HOME)")
_ANOTHER_UV = re.compile(
    r"\w_INSTALL|HOME=|\b(?:add|cp|install|ln|mv) [^;&|\n]*\buvx?\b(?![-/.])|(?m:^\S*/uvx? )"
)
# What may make an environment, or bring one to another place.
_ELSEWHERE = re.compile(r"\b(?:cd|cp|just|ln|make|mv|pushd|task|UV_PROJECT\w*)\b|\.(?:sh|py)\b")
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost|\[?::1\]?)(?::\d+)?")


def _nothing(linted: Dockerfile) -> Violations:
    is_service = linted.has_project and linted.base != "scratch"  # of which files are exported
    if not linted.started and linted.is_plain and is_service and not linted.composed:
        yield "command-missing", linted.final, "no CMD: by itself it starts nothing of the project"
    for command in linted.started:
        words = command.words
        option = words[1] if len(words) > 1 else ""
        is_last = command is linted.started[-1] and not linted.composed
        if is_last and all(map(shell.is_interpreter, words)):
            yield "starts-nothing", command.step, f"{command.text} is only a prompt"
        is_known, by_shell = command.program in DISTRIBUTIONS, "SHLVL" in command.environ
        variables = [word for word in words if re.search(r"\$\{?[A-Z_]", word)]
        if is_known and variables and not by_shell:
            yield "starts-nothing", command.step, f"no shell expands {variables[0]}"
        if is_known and "/bin/sh" in words:
            yield "starts-nothing", command.step, f"{command.program} is given a shell as arguments"
        if shell.is_python(words) and re.match(r"--(?!help|version|check-hash)", option):
            yield "starts-nothing", command.step, f"{words[0]} has no option {option}"
        for wrong in filter(command.has, _NO_OPTIONS.get(command.program, ())):
            yield "starts-nothing", command.step, f"{command.program} has no option {wrong}"
        if is_last and command.starts("uv", "run") and not _runs(command):
            yield "starts-nothing", command.step, "`uv run` is given no command: it starts nothing"


def _arguments(linted: Dockerfile) -> Violations:
    """An ARG that a shell is to expand when the container runs, and that nothing else sets."""
    steps = [step for step in (*linted.before, *linted.image) if step.keyword == "ARG"]
    names = {name for step in steps for name, _ in step.assignments} - linted.end.environ.keys()
    scripts = filter(None, (linted.origin(command.words[0]) for command in linted.started))
    for step in dict.fromkeys(command.step for command in (*linted.started, *linted.probes)):
        by_shell = step.exec_form is None or any(" " in word for word in step.words)
        found = _EXPANDED.findall(step.text) if by_shell and linted.is_plain else ()
        gone = {each for pair in found for each in pair if each in names}
        if not gone:
            continue
        files = {*scripts, *filter(_DEPLOYS.search, linted.context.files)}
        texts = (step.text, *map(linted.context.text, sorted(files)))
        for name in sorted(gone):
            given = rf"(?m)\b{name}\b[\"']?(?:=|: )|- {name}$|\bread\b|\bsource\b|\benv_file\b"
            is_set = any(re.search(given, text) for text in texts)
            if not is_set and not _OF_IMAGES.fullmatch(name):
                yield "argument-at-start", step, f"{name} is an ARG: the container does not have it"


def _missing(linted: Dockerfile) -> Violations:
    for command in (*linted.started, *linted.probes):
        for code, message in needs.missing(linted, command):
            yield code, command.step, message
        for message in unserved(linted, command):
            yield "application-not-served", command.step, message


def _lambda(linted: Dockerfile) -> Violations:
    """Its Python looks into no environment, unless something else decides."""
    texts = "\n".join(step.text for step in linted.image)
    is_other = re.search(r"PYTHONPATH|UV_PROJECT_ENVIRONMENT|\b(?:cp|ln|mv|pip)\b", texts)
    syncs = [sync for sync in linted.syncs if sync.step in linted.image]
    for sync in syncs[-1:] if linted.is_lambda and not is_other else ():
        message = f"the Python of Lambda does not look into {sync.environment}"
        yield "start-not-there", linted.last("CMD") or linted.final, message


def _path(linted: Dockerfile) -> Violations:
    """By ENV PATH, unless something else decides; what a RUN activates does not last."""
    by_start = any(re.search(r"activate|PATH=", command.text) for command in linted.started)
    by_build = any(BY_PIP.match(c.text) or _LINKS.search(c.text) for c in linted.building)
    by_build = by_build or any("profile" in step.text for step in linted.image if step.is_copy)
    environments = {f"{sync.environment}/bin" for sync in linted.syncs}
    if by_start or by_build or not environments or not linted.is_plain:
        return
    targets = (i.state.path(i.words[-1]) for i in linted.image if i.is_copy)
    places = {*environments, ".venv/bin", *(f"{target}/bin" for target in targets)}
    pythons, scripts = {"python", "python3"}, linted.context.scripts
    known = {*pythons, *DISTRIBUTIONS, *scripts, *(linted.context.locked or ())}
    has_profile = re.search(r"python|debian|/uv:", linted.base) and "alpine" not in linted.base
    for command in linted.started:
        path = (command if has_profile else linted.end).environ.get("PATH", "")
        named = [folder.rstrip("/") for folder in path.split(":")]
        # In front of the PATH of the base image, which may have a Python.
        first = [*itertools.takewhile(lambda folder: folder.strip("${}") != "PATH", named)]
        program, place = command.words[0], min(places & {*named} or environments)
        folders = first if program in pythons and "python" in linted.base else named
        is_lost = places.isdisjoint({*folders, "/usr/local/bin", "/usr/bin"})
        is_by_uv = "UV_RUN_RECURSION_DEPTH" in command.environ
        if is_lost and program in known and not is_by_uv:
            how = "behind the base image's own" if place in named else "not"
            why = ": a login shell sets it anew" if path == shell.PATH_OF_PROFILE else ""
            message = f"{program} is in {place}, which is {how} in PATH{why}"
            yield "start-not-on-path", command.step, message
            return  # what else is started lacks the same directory


def _uv_run(linted: Dockerfile) -> Violations:
    started = () if linted.is_for_checks else linted.started
    for command in (c for c in started if c.run_syncs and _runs(c)):
        if left_out := _left_to_start(linted, command):
            message = f"it installs {left_out} at every start"
            yield "starts-through-uv", command.step, message
        else:
            yield "uv-at-start", command.step, "`uv run` checks the environment at every start"


def _left_to_start(linted: Dockerfile, command: ShellCommand) -> str:
    """What `uv run` has to install; empty where the build did, or may have."""
    locked, own = linted.context.locked or (), (*NO_PROJECT, "--no-editable", "UV_NO_EDITABLE")
    if not all(map(linted.development, linted.syncs)) and linted.development(command):
        return "the dev group"
    if linted.syncs:
        # what `uv pip install -e` brought may be what it looks for
        is_by_pip = any(c.has("-e", "--editable") for c in linted.building)
        if _is_elsewhere(linted, command):
            return "everything"
        is_left_out = linted.syncs[-1].has(*own) and not (command.has(*own) or is_by_pip)
        return "the project" if is_left_out and "." in linted.context.packages else ""
    texts = [step.text for step in linted.everything if step.keyword == "RUN"]
    is_open = any(_MAY_INSTALL.search(text) or BY_PIP.search(text) for text in texts)
    copies = (step for step in linted.image if step.flag("from") and not linted.source(step))
    is_open = is_open or any("/uv" not in step.text for step in copies) or not linted.is_plain
    is_project = linted.end.path(MANIFEST) in linted.end.files and len(locked) > 1
    return "everything" if is_project and not is_open else ""


def _is_elsewhere(linted: Dockerfile, command: ShellCommand) -> bool:
    """Whether the project that `uv run` finds has its environment where no step makes one."""
    start = replace(command, words=("uv", "sync"), root=linted.root_of(command))
    made = {each.environment for each in linted.building}
    is_open = any(_ELSEWHERE.search(step.text) for step in linted.steps("RUN"))
    is_open = is_open or any(map(linted.source, linted.image)) or command.has("--active")
    is_known = f"{start.root}/{MANIFEST}" in linted.end.files and linted.is_plain
    return is_known and not is_open and start.environment not in made


def _is_behind_proxy(linted: Dockerfile) -> bool:
    return any(_PROXIES & {command.program, *command.words} for command in linted.started)


def _below_root(linted: Dockerfile) -> Violations:
    """What is started may be where root alone may look, as what uv's script installs."""
    user, is_root = linted.end.user, linted.end.is_root or linted.base == "scratch"
    texts = "\n".join(f"{s.text} {s.flags if s.is_copy else ''}" for s in linted.image)
    is_open = is_root or "$" in user or not linted.is_plain or _OPENS.search(texts)
    is_below = "/root/.local/bin" in linted.end.environ.get("PATH", "") and "/uv" not in linted.base
    is_below = is_below and "astral.sh/uv/install" in texts and not _ANOTHER_UV.search(texts)
    for command in () if is_open else linted.started:
        name = command.words[0]
        if name.startswith("/root/") or (is_below and name in {"uv", "uvx"}):
            message = f"{user} may not enter /root, where {posixpath.basename(name)} is"
            yield "start-not-executable", command.step, message
            return


def _servers(linted: Dockerfile) -> Violations:
    is_behind = _is_behind_proxy(linted)
    develops = [command for command in linted.started if _develops(linted, command)]
    is_production = any(c.program in SERVER_PROGRAMS and c not in develops for c in linted.started)
    for command in develops[-1:]:  # wrappers and entry scripts have its words as well
        if not (is_production and "SHLVL" in command.environ):  # a script that has the choice
            yield "development-server", command.step, "this starts a development server"
    for command in linted.started:
        if is_production and command in develops and "SHLVL" in command.environ:
            continue
        address = command.option("--host", "--bind", "-b", "-h", "--server.address")
        is_bare = not command.has(*_NO_OPTIONS.get(command.program, ()))
        is_server = SERVER_PROGRAMS.get(command.program) and is_bare
        is_default = is_server and not is_configured(linted, command)
        is_default = is_default or (_is_for_here(linted, command) and address is None)
        is_local = command.program in {*WEB_SERVERS, "flask"} and _LOCAL.fullmatch(address or "")
        if (is_default or is_local) and not is_behind:
            local = address or "127.0.0.1"
            yield "listens-locally", command.step, f"only the container itself reaches {local}"


def _develops(linted: Dockerfile, command: ShellCommand) -> bool:
    options = {"--reload", "runserver", _DEVELOPMENT.get(command.program, "--reload")}
    named = command.option("-m") or next((w for w in command.words if w.endswith(".py")), "")
    name = named.removesuffix(".py").replace("/", ".")
    folders = needs.import_folders(linted, command)
    by_source = _RUNS.search(needs.module_text(linted, name, folders)) is not None
    is_open = options.isdisjoint(command.words[1:]) or "celery" in command.words
    return by_source or not is_open


def _is_for_here(linted: Dockerfile, command: ShellCommand) -> bool:
    """Whether it is a development server, or one of FastMCP, without an address."""
    if command.option("--transport", "-t") in {"http", "sse", "streamable-http"}:
        own, names = {"fastmcp", *linted.context.scripts}, {command.program, *command.words[:2]}
        if "fastmcp" not in (linted.context.locked or ()) or own.isdisjoint(names):
            return False
        is_set = any("HOST" in name for name in command.environ)
        return not (is_set or linted.context.is_in_sources(r"\bhost\b"))
    _, runserver, arguments = command.text.partition(" runserver")
    if runserver:
        return not re.search(r" (?:[\w.]+:|0|\[|\$)", arguments)
    is_flask = command.program == "flask" and "FLASK_RUN_HOST" not in command.environ
    return command.starts("fastapi", "dev") or (is_flask and "run" in command.words)


def _ports(linted: Dockerfile) -> Violations:
    if _is_behind_proxy(linted):
        return
    listening = [ports(linted, c) for c in linted.started if c.program in WEB_SERVERS]
    served = [port for each in listening for port in each] if all(listening) else []
    if "a socket" in served and any(_PROXIES & {*c.words} for c in linted.commands(linted.image)):
        return
    steps = linted.steps("EXPOSE")
    exposed = " ".join(expanded(step.text, step.state.environ) for step in steps)
    named = re.findall(r"\d+", exposed)
    if named and served and not {*served} & {*named}:
        yield "ports-differ", steps[-1], f"EXPOSE names {named[0]}, but {served[0]} is served"
    known = {*served, *named} if {*served} & {*named} else {*served}
    for step in linted.steps("HEALTHCHECK"):
        for port in _OWN_PORT.findall(expanded(step.text, linted.end.environ)):
            if served and port not in known:
                yield "ports-differ", step, f"it asks port {port}, but {served[0]} is served"


def _health_path(linted: Dockerfile) -> Violations:
    for step in [] if _is_behind_proxy(linted) else linted.steps("HEALTHCHECK"):
        if path := unknown_path(linted, expanded(step.text, linted.end.environ)):
            yield "health-path-unknown", step, f"no route of the source is {path}"


def _signals(linted: Dockerfile) -> Violations:
    forwards = {"dumb-init", "exec", "supervisord", "trap"}
    is_forwarded = any(command.program in forwards for command in linted.started)
    for command in linted.started[-1:]:
        is_forwarded |= command.words[0].startswith("[")  # it does not start
        # bash becomes the last command of its -c, where that is in no other
        texts = [c.text for c in linted.started if c.program == "bash" and "-c" in c.words]
        texts = [text for text in texts if not re.search(r"\||\b(?:done|esac|fi)\b|}", text)]
        is_forwarded |= any(command.words[0] in text for text in texts)
        if "SHLVL" in command.environ and not is_forwarded:
            message = f"the shell before {command.program} does not forward signals"
            yield "shell-form", command.step, message


def _forms(linted: Dockerfile) -> Violations:
    """What is neither an array nor a line for a shell, and a CMD that ENTRYPOINT does not take."""
    for step in dict.fromkeys(command.step for command in linted.started):
        is_dash = re.search(r"^(?!.*alpine).*(?:slim|debian:|ubuntu:|^python:3)", linted.base)
        by_sh = is_dash and step.exec_form is None and not linted.last("SHELL")
        if by_sh and re.search(r"(?:^|&& *)source [^;|\n]*(?:&&|$)", step.text):
            yield "starts-nothing", step, "the sh of Debian has no `source`, only `.`"
        if step.exec_form is None and re.fullmatch(r"\[.*\]", step.text):
            yield "starts-nothing", step, "this is no JSON array: a shell runs it as it stands"
    for command in linted.started:
        step, name = command.step, command.words[0]
        if " " in name and name in (step.exec_form or ()):
            yield "starts-nothing", step, f"no program has the name `{name}`"
    entry, cmd = linted.last("ENTRYPOINT"), linted.last("CMD")
    if entry and cmd and cmd.text and cmd.exec_form != ():
        by_script = "".join(map(linted.script, entry.exec_form or ()))
        text = entry.text if entry.exec_form is None else by_script
        if text and not re.search(r"\$\{?[@*#\d]|(?m:^\s*(?:\.|source) )", text):
            yield "command-unused", cmd, "ENTRYPOINT runs no arguments: CMD has no effect"


def _static_files(linted: Dockerfile) -> Violations:
    """Django finds those that a manifest names only where collectstatic has made it."""
    files, text = linted.context.files, linted.context.text
    settings = (f for f in files if "settings" in f and f.endswith(".py"))
    is_wanted = any("ManifestStaticFilesStorage" in text(file) for file in settings)
    is_served = any(c.program in SERVER_PROGRAMS or "runserver" in c.words for c in linted.started)
    texts = [*(step.text for step in linted.everything), *(c.text for c in linted.started)]
    scripts = (f for f in files if re.search(r"\.(?:sh|toml|ya?ml)$|Makefile|Procfile", f))
    if is_wanted and is_served and "collectstatic" not in "\n".join((*texts, *map(text, scripts))):
        at = linted.last("CMD") or linted.final
        yield "static-not-collected", at, "no step runs collectstatic"


CHECKS = (
    *(_nothing, _arguments, _missing, _lambda, _path, _uv_run, _below_root, _servers),
    *(_ports, _health_path, _signals, _forms, _static_files),
)


def _runs(command: ShellCommand) -> bool:
    """Whether `uv run` is given a command, and not only options that it does not have."""
    inner = "".join(shell.inside(command.words)[:1])
    return command.has("-m", "--module") or re.match(r"[^\W\d]|[./$]", inner) is not None
