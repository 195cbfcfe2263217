"""What a server of a hand-written Dockerfile serves, and by which ports. Pure."""

import re
from collections.abc import Iterator

from uvflow.docker import servers
from uvflow.docker.applications import FRAMEWORKS, Applications
from uvflow.docker.lint.model import Dockerfile, ShellCommand
from uvflow.docker.lint.needs import (
    SERVER_PROGRAMS,
    configuration,
    import_folders,
    loaded_modules,
    module_text,
)
from uvflow.docker.source import Module, Modules

WEB_SERVERS = {*SERVER_PROGRAMS, "fastapi", "streamlit"}
_OPTIONS = re.compile("GUNICORN_CMD_ARGS|(?:GRANIAN|STREAMLIT_SERVER|UVICORN)_")
# The worker classes of gunicorn that serve WSGI alone.
_FOR_WSGI = {None, "eventlet", "gevent", "gthread", "sync"}
_OWN_PATH = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::[\w${}:-]+)?/([\w./-]*\w/?)(?![\w$?{])"
)
_OF_FRAMEWORKS = re.compile(r"docs|redoc|openapi\.json|static/.*")
# Distributions that add routes by themselves.
_WITH_ROUTES = re.compile("health|alive|watchman|dockerflow|class|connexion|gradio|nicegui")
# A route whose path is computed, or that takes any path; an application that others extend.
_OPEN_ROUTES = re.compile(
    r"""
    @[\w.]+\.(?:get|api_route|route)\((?!\s*r?["'])
    | [{<]\w*:path\b | <path: | @(?:app|application)\.\w+\(\s*["']/?[{<]
    | \.(?:add_url_rule|add_api_route|add_route|mount)\(\s*(?!["']/?\w)
    | \b(?!CORS|run)\w+\((?:app|application)[,)]
    | (?:include_router|register_blueprint)\(\s*[\w.]+\s*\)(?=[\s\S]*\(\s*["']/?[{<])
    """,
    re.VERBOSE,
)
_CLASSES = dict(FRAMEWORKS.values()) | {f"get_{i}_application": i for i in ("asgi", "wsgi")}


def is_configured(linted: Dockerfile, command: ShellCommand) -> bool:
    """Whether a server has an address, or may have one from where this does not look."""
    own = (command.program.upper(), *(["PORT"] if command.program == "gunicorn" else []))
    by_variable = (name for name in command.environ if name.startswith(own))
    is_open = any("$" in word or word.startswith(("-b", "-c")) for word in command.words)
    files = linted.end.files if linted.knows_files else linted.context.files
    by_file = any(f.endswith(f"{command.program}.conf.py") for f in files)
    return command.has(*SERVER_PROGRAMS[command.program]) or is_open or by_file or any(by_variable)


def ports(linted: Dockerfile, command: ShellCommand) -> list[str]:
    """The ports that a server listens on, or `a socket`; empty where that is not known."""
    settings, environ = configuration(linted, command), command.environ
    is_named = command.has("--host", "--port", "-p", "--bind", "-b", "--listen")
    is_open = "$" in command.text and not is_named
    if is_open or re.search(r"\bPORT\b", f"{command.text} {settings}"):
        return []
    own = {name: value for name, value in environ.items() if _OPTIONS.match(name)}
    variables, given = " ".join(map("=".join, own.items())), environ.get("PORT", "")
    port = int(given) if given.isdecimal() else 8000
    found = servers.named_ports(command.words, variables, lambda _: settings, port)
    if isinstance(found, str):
        return ["a socket"] if found.endswith("a socket") else []
    return [*map(str, found or (servers.STREAMLIT_PORT,))]


def unserved(linted: Dockerfile, command: ShellCommand) -> Iterator[str]:
    """Why every request fails: the application has another interface, or is a factory."""
    program, served = command.program, _interface(linted, command)
    is_open = "$" in command.text or any(map(_OPTIONS.match, command.environ))
    for module, attribute in () if is_open else loaded_modules(linted, command):
        name, written = attribute or "application", f"{module}:{attribute or ''}".rstrip(":")
        is_called = any(word.startswith(f"{written}(") for word in command.words)
        if not is_called and written not in command.words:
            continue  # the settings of Django, or an attribute of an object
        text = module_text(linted, module, import_folders(linted, command))
        found = Applications(Modules([Module(name=module, text=text)]), _CLASSES).found
        if (application := found.get(f"{module}.{name}")) is None:
            continue
        made = application.interface.upper()
        makes = application.is_factory and not (is_called or command.has("--factory", "--call"))
        if served not in {"", made}:
            yield f"{program} serves {served}, and {written} is {made}"
        elif makes and (served == "WSGI" or program in {"daphne", "granian", "hypercorn"}):
            yield f"{program} calls {written} for every request: it returns the application"


def unknown_path(linted: Dockerfile, probe: str) -> str:
    """The path that a health check asks, where all routes can be read, and none is written so."""
    loaded = ((c, *each) for c in linted.started for each in loaded_modules(linted, c))
    texts = [module_text(linted, module, import_folders(linted, c)) for c, module, _ in loaded]
    is_read = any(re.search(r"\b(?:FastAPI|Flask|Starlette)\(", text) for text in texts)
    path = _OWN_PATH.search(probe)
    if not (path and is_read and linted.knows_files):
        return ""
    files = [f for f in linted.context.files if f.endswith((".py", ".toml", ".yaml", ".yml"))]
    source = "\n".join(map(linted.context.text, sorted(files)))
    last = re.escape(path[1].strip("/").rpartition("/")[2])
    written = rf"[\"'/}}]{last}(?![\w-])|\.{last}|\b(?:from|import) .*{last}"
    is_written = re.search(written, source, re.IGNORECASE) or _OF_FRAMEWORKS.fullmatch(path[1])
    by_library = any(map(_WITH_ROUTES.search, linted.context.locked or ()))
    is_known = not (is_written or by_library or _OPEN_ROUTES.search(source))
    return f"/{path[1]}" if is_known and linted.context.locked else ""


def _interface(linted: Dockerfile, command: ShellCommand) -> str:
    """The only interface that a server serves; empty for both, or where that is not known."""
    program, worker = command.program, command.option("-k", "--worker-class")
    if program != "gunicorn":
        fixed = {"uvicorn": "ASGI", "daphne": "ASGI", "waitress-serve": "WSGI"}
        return "" if command.has("--interface") else fixed.get(program, "")
    settings = configuration(linted, command)
    is_open = settings is None or re.search(r"worker_class|import \*", settings)
    if re.search(r" -k\S", command.text) or (worker is None and is_open):
        return ""
    return "WSGI" if worker in _FOR_WSGI else "ASGI" if "uvicorn" in str(worker) else ""
