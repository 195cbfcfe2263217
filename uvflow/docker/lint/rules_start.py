"""What is wrong with what the container of a hand-written Dockerfile starts. Pure."""

import itertools
import posixpath
import re
import sys

from uvflow.docker.lint import shell
from uvflow.docker.lint.model import Dockerfile, ShellCommand, Violations, expanded

# server → the options for its address, without which only the container itself reaches it
_SERVERS = {
    "daphne": ("-b", "--bind", "-e", "--endpoint", "-u"),
    "granian": ("--host", "--uds"),
    "gunicorn": ("-b", "--bind", "-c", "--config"),
    "hypercorn": ("-b", "--bind", "-c", "--config"),
    "uvicorn": ("--host", "--uds", "--fd"),
    "waitress-serve": (),
}
_RUNNERS = {"hatch", "pdm", "pipenv", "poetry"}
_PORTS = {**dict.fromkeys((*_SERVERS, "fastapi"), "8000"), "waitress-serve": "8080"}
_PORTS["streamlit"] = "8501"
_DEVELOPMENT = {"flask": "run", "fastapi": "dev"}
_MODULE = re.compile(
    r"(?!python:|file:|unix:)[A-Za-z_][\w.]*(?P<attribute>:[A-Za-z_][\w.]*(\(.*\))?)?"
)
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
        if shell.is_python(words) and re.match(r"--(?!help|version|check-hash)", option):
            yield "starts-nothing", command.step, f"{words[0]} has no option {option}"
        if command.starts("uv", "run") and not _runs(command):
            yield "starts-nothing", command.step, "`uv run` is given no command: it starts nothing"


def _missing(linted: Dockerfile) -> Violations:
    """By where Python and servers look for what they load."""
    for command in linted.started:
        moved = [c.words[1] for c in linted.started if c.program == "cd" and c.words[1:]]
        option = command.option("--app-dir", "--chdir", "--pythonpath", "--directory")
        named = (".", *command.environ.get("PYTHONPATH", "").split(":"), *moved, option)
        folders = [linted.end.path(folder) for folder in named if folder]
        script = _script(linted, command)
        if script and "$" not in script:
            paths = (posixpath.normpath(posixpath.join(folder, script)) for folder in folders)
            if not any(map(linted.may_have, paths)):
                yield "start-not-there", command.step, f"{script} does not exist in the image"
        module = _module(command)
        if module and not _is_there(linted, module, folders):
            yield "start-not-there", command.step, f"the image has no {module} in {folders[0]}"


def _script(linted: Dockerfile, command: ShellCommand) -> str | None:
    program, *words = command.words
    is_own = command is linted.started[0] and "/" in program and "/bin/" not in program
    by_python = shell.is_python(command.words) and not {"-c", "-m"} & {*words}
    if by_python or command.program in {"chainlit", "fastapi", "streamlit"}:
        return next((word for word in words if re.fullmatch(r"[^-].*\.py", word)), None)
    return program if is_own or program.endswith(".py") else None


def _module(command: ShellCommand) -> str | None:
    """The module that a server or `python -m` is to load."""
    words = command.words
    if command.program not in _SERVERS:
        is_module = shell.is_python(words) and words[1:2] == ("-m",)
        return command.program if is_module else None
    for before, word in itertools.pairwise(words):
        match = _MODULE.fullmatch(word)
        is_value = before.startswith("-") and "=" not in before and before != "--factory"
        if match and (match["attribute"] or ("." in word and not is_value)):
            return word.partition(":")[0]
    return None


def _is_there(linted: Dockerfile, module: str, folders: list[str]) -> bool:
    """Whether the module may be found: in the image, or installed."""
    known = linted.context.locked or ()
    foreign = {name.replace("-", "_") for name in known} | sys.stdlib_module_names
    path = f"/{module.replace('.', '/')}"
    files = (f"{path}.py", f"{path}/__init__.py", f"{path}/__main__.py")
    own = (f"/{name}" for name in linted.context.files if linted.context.packages)
    return (
        not known
        or module.partition(".")[0] in foreign
        or any(name.endswith(files) for name in own)
        or any(linted.may_have(folder.rstrip("/") + file) for folder in folders for file in files)
    )


def _programs(linted: Dockerfile) -> Violations:
    locked = linted.context.locked
    if locked is None or not linted.is_plain:
        return
    by_hand = " ".join(step.text for step in linted.everything if step.keyword == "RUN")
    for command in linted.started:
        package = command.program.removesuffix("-serve")
        is_missing = package not in locked and package not in by_hand
        if command.program in {*_SERVERS, *_RUNNERS} and is_missing:
            yield "server-not-locked", command.step, f"{package} is not in uv.lock"


def _path(linted: Dockerfile) -> Violations:
    environments = {f"{sync.environment}/bin" for sync in linted.syncs}
    named = linted.end.environ.get("PATH", "").split(":")
    path = {*(folder.rstrip("/") for folder in named), "/usr/local/bin", "/usr/bin"}
    targets = (step.state.path(step.words[-1]) for step in linted.image if step.is_copy)
    copied = {f"{target}/bin" for target in targets}
    others = [*linted.building, *linted.started]
    chosen = any(re.search(r"^(uv )?pip|activate|PATH=", command.text) for command in others)
    known = {*_SERVERS, *linted.context.scripts, *(linted.context.locked or ())}
    is_known = environments and linted.is_plain and not chosen
    if not is_known or path & {*environments, *copied, ".venv/bin"}:
        return
    for command in linted.started:
        is_by_uv = "UV_RUN_RECURSION_DEPTH" in command.environ
        if not is_by_uv and command.words[0] in {*known, "python", "python3"}:
            place = min(environments)
            message = f"{command.words[0]} is in {place}, which is not in PATH"
            yield "start-not-on-path", command.step, message


def _uv_run(linted: Dockerfile) -> Violations:
    is_prod = any(linted.is_without_dev(sync) for sync in linted.syncs)
    for command in (c for c in linted.started if c.run_syncs and _runs(c)):
        if is_prod and not linted.is_without_dev(command):
            yield "starts-through-uv", command.step, "it installs the dev group at every start"
        else:
            yield "uv-at-start", command.step, "`uv run` checks the environment at every start"


def check_servers(linted: Dockerfile) -> Violations:
    for command in linted.started:
        develops = {"--reload", "runserver", _DEVELOPMENT.get(command.program, "--reload")}
        if develops & {*command.words[1:]} and "celery" not in command.words:
            yield "development-server", command.step, "this starts a development server"
        address = command.option("--host", "--bind", "-b", "-h", "--server.address")
        is_default = _SERVERS.get(command.program) and not _is_configured(linted, command)
        is_local = command.program in {*_PORTS, "flask"} and _LOCAL.fullmatch(address or "")
        if is_default or is_local:
            local = address or "127.0.0.1"
            yield "listens-locally", command.step, f"only the container itself reaches {local}"


def _ports(linted: Dockerfile) -> Violations:
    served = [_port(linted, command) for command in linted.started if command.program in _PORTS]
    steps = [step for step in linted.image if step.keyword == "EXPOSE"]
    texts = (expanded(step.text, linted.end.environ) for step in steps)
    named = [port for text in texts for port in re.findall(r"\d+", text)]
    if named and served and all(served) and not {*served} & {*named}:
        yield "ports-differ", steps[-1], f"EXPOSE names {named[0]}, but {served[0]} is served"


def _signals(linted: Dockerfile) -> Violations:
    forwards = {"dumb-init", "exec", "supervisord", "trap"}
    is_forwarded = any(command.program in forwards for command in linted.started)
    for command in linted.started[-1:]:
        if "SHLVL" in command.environ and not is_forwarded:
            yield "shell-form", command.step, "its shell does not forward signals"


CHECKS = (_nothing, _missing, _programs, _path, _uv_run, check_servers, _ports, _signals)


def _runs(command: ShellCommand) -> bool:
    """Whether `uv run` is given a command, and not only options that it does not have."""
    inner = next(iter(shell.inside(command.words)), "")
    return command.has("-m", "--module") or re.match(r"[^\W\d]|[./$]", inner) is not None


def _is_configured(linted: Dockerfile, command: ShellCommand) -> bool:
    """Whether a server has an address, or may have one from where this does not look."""
    own = (command.program.upper(), *(["PORT"] if command.program == "gunicorn" else []))
    by_variable = (name for name in command.environ if name.startswith(own))
    is_open = any("$" in word or word.startswith(("-b", "-c")) for word in command.words)
    by_file = any(f.endswith(f"{command.program}.conf.py") for f in linted.context.files)
    return command.has(*_SERVERS[command.program]) or is_open or by_file or any(by_variable)


def _port(linted: Dockerfile, command: ShellCommand) -> str:
    """The port that a server listens on, empty where that is not known."""
    value = command.option("--port", "--bind", "-b", "-p", "--listen", "--server.port")
    is_open = command.program in _SERVERS and _is_configured(linted, command)
    if value is None:
        is_default = not is_open or command.has("--host")
        return _PORTS[command.program] if is_default else ""
    port = re.search(r"\d+$", value)
    return port[0] if port else ""
