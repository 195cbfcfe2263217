"""The servers of applications: how each is started, and the ports a command listens on. Pure."""

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from uvflow.docker.lint import shell
from uvflow.docker.source import assigned_text
from uvflow.errors import UsageError


class Server(NamedTuple):
    """What it serves, and its command; the names in braces are filled in."""

    interfaces: tuple[str, ...]
    command: str  # before the application
    factory: str  # how the application is named where it is one
    address: tuple[str, ...] = ()  # options without which only the container itself reaches it


# Production servers by their distributions, of each interface the preferred first. Workers of
# gunicorn show that they live by touching a file, which a disk may delay.
_GUNICORN = "gunicorn --bind=0.0.0.0:{port} --access-logfile=- --worker-tmp-dir=/dev/shm"
_GRANIAN = "granian --interface={interface} --host=0.0.0.0 --port={port}"
_HYPERCORN = "hypercorn --bind=0.0.0.0:{port} --access-logfile=-"
_UVICORN = "uvicorn --host=0.0.0.0 --port={port}"
_DAPHNE = "daphne --bind=0.0.0.0 --port={port}"
_WAITRESS = "waitress-serve --listen=0.0.0.0:{port}"
_BIND = ("-b", "--bind", "-c", "--config")
SERVERS: Mapping[str, Server] = {
    "gunicorn": Server(("wsgi",), _GUNICORN, "{name}()", _BIND),
    "uvicorn": Server(("asgi",), _UVICORN, "--factory {name}", ("--host", "--uds", "--fd")),
    "hypercorn": Server(("asgi",), _HYPERCORN, "{name}()", _BIND),
    "granian": Server(("wsgi", "asgi"), _GRANIAN, "--factory {name}", ("--host", "--uds")),
    "waitress": Server(("wsgi",), _WAITRESS, "--call {name}"),
    "daphne": Server(("asgi",), _DAPHNE, "{name}", ("-b", "--bind", "-e", "--endpoint", "-u")),
}
RELOADING = {"gunicorn", "hypercorn", "uvicorn"}

# How gunicorn serves WebSockets, in the order of Flask-SocketIO (its docs, "Gunicorn Web Server").
WEBSOCKET_WORKERS = {
    "eventlet": "--worker-class=eventlet",
    "gevent-websocket": "--worker-class=geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
    "gevent": "--worker-class=gevent",
    "flask-socketio": "--threads=100",
}
_NAMED_WORKER = re.compile(r"(?:(?<!\S)-k|--worker-class|\bworker_class)[ =]*\S*?(eventlet|gevent)")
_FEWER_WORKERS = 26  # gunicorn without one for eventlet; after it, packaging is of an extra

Ports = tuple[int, ...] | str  # empty where nothing tells; or why there is none

# Where a server listens that is told no port, but for gunicorn, which reads PORT.
DEFAULTS = {
    **dict.fromkeys(("daphne", "fastapi", "granian", "hypercorn", "uvicorn"), 8000),
    "flask": 5000,
    "waitress-serve": 8080,
}
GRADIO_ADDRESS = {"GRADIO_SERVER_NAME": "0.0.0.0"}  # noqa: S104  inside the container
GRADIO_PORT, STREAMLIT_PORT = 7860, 8501  # unless its configuration has one
_NAMED = re.compile(
    r"(?:--port|(?<![\w-])-p|--server\.port|\btcp:port|\b0\.0\.0\.0:"
    r"|\b(?:FLASK_RUN_|GRANIAN_|STREAMLIT_SERVER_|UVICORN_)?PORT(?==)"
    r"|(?:--bind|--listen|(?<![\w-])-b)[ =]?\S*?:)[ =]?(?:\$\{\w+:[-=])?(\d{1,5})\b"
)
_COMPUTED = re.compile(
    r"(?:--port|--server\.port|--bind|--listen|(?<![\w-])-[bp])[ =]?\S*"
    r"\$(?!\{?PORT\b|\{\w+:[-=]\d{1,5}\b)"
)
_SOCKET = re.compile(r"\bunix:|\bfd://|--(?:uds|fd|unix-socket)\b|^daphne .*-u ")
_IN_VARIABLE = re.compile(r"(?:environ|getenv)(?:\.get)?\W{1,2}PORT\b")
# The port after a colon, or the default of a variable such as PORT.
_BOUND = re.compile(r"(?::|PORT[\"'] *, *[\"']?)(\d{1,5})\b")


def servers_of(interface: str) -> list[str]:
    """Those that serve it, the preferred first."""
    return [name for name, server in SERVERS.items() if interface in server.interfaces]


def named_ports(
    command: shell.Words, variables: str, read: Callable[[str], str | None], given: int
) -> Ports:
    """The ports of a command that is run with `variables`, and with PORT, which is `given`.

    `read` gives the text of a configuration by the name that a server has for it, or None where
    there may be one.
    """
    program, line = shell.program(command), " ".join(command)
    if _SOCKET.search(line):
        return "it listens on a socket"
    if _COMPUTED.search(line):
        return "its port is in a variable"
    if named := _NAMED.findall(f"{variables} {line}"):
        return tuple(map(int, named))
    if "$PORT" in line or "${PORT" in line:
        return (given,)
    if configured := configured_ports(program, line, read, given):
        return configured
    default = given if program == "gunicorn" else DEFAULTS.get(program)
    return () if default is None else (default,)


def configured_ports(
    program: str, line: str, read: Callable[[str], str | None], given: int
) -> Ports:
    """The same by `bind` in the configuration of gunicorn or hypercorn."""
    option = re.search(r"\s(?:-c|--config)[ =]?(\S+)", line)
    if program not in {"gunicorn", "hypercorn"} or not (option or program == "gunicorn"):
        return ()
    name = option[1] if option else "gunicorn.conf.py"
    text = read(name)
    if text is None or (option and not text):
        return f"{name} cannot be read"
    is_toml = program == "hypercorn" and not name.startswith(("file:", "python:"))
    bind = _bind_of_toml(text) if is_toml else assigned_text(text, "bind")
    if re.match(r"\W*f?\W*(?:unix|fd):", bind):
        return f"{name} binds a socket"
    is_variable = _IN_VARIABLE.search(bind) is not None
    if (ports := _BOUND.findall(bind)) and (given or not is_variable):
        return tuple(map(int, ports))
    if bind and not is_variable:
        return f"`bind` of {name} is computed"
    return (given,) if bind else ()


def follows_port(text: str) -> bool:
    """Whether a configuration of gunicorn binds the variable PORT at every address."""
    return (
        re.match(r"f?.(?:0\.0\.0\.0|\[::\])?:.*\bPORT\b", assigned_text(text, "bind")) is not None
    )


def check_worker(text: str, versions: Mapping[str, str]) -> None:
    """Raises UsageError where gunicorn cannot load the worker of its command or configuration."""
    named, version = _NAMED_WORKER.search(text), versions.get("gunicorn", "")
    if named is None or int(version.partition(".")[0] or 0) < _FEWER_WORKERS:
        return
    if named[1] == "eventlet":
        hint = f"`uv add 'gunicorn<{_FEWER_WORKERS}'`"
        raise UsageError(f"gunicorn {version} has no worker for eventlet", hint=hint)
    if "packaging" not in versions:
        what = f"gunicorn {version} needs packaging for its worker of gevent"
        raise UsageError(what, hint="`uv add 'gunicorn[gevent]'`")


def _bind_of_toml(text: str) -> str:
    try:
        return str(tomllib.loads(text).get("bind", ""))
    except tomllib.TOMLDecodeError:
        return "?"
