"""The port that a command listens on, by its options and the configuration it names. Pure."""

import re
import tomllib
from collections.abc import Callable

from uvflow.docker.lint import shell
from uvflow.docker.source import assigned_text

Port = int | str | None  # or why there is none, or nothing that tells

# Where a server listens that is told no port, but for gunicorn, which reads PORT.
_DEFAULTS = {
    **dict.fromkeys(("daphne", "fastapi", "granian", "hypercorn", "uvicorn"), 8000),
    "flask": 5000,
    "waitress-serve": 8080,
}
_NAMED = re.compile(
    r"(?:--port|-p|\b(?:FLASK_RUN_|GRANIAN_|STREAMLIT_SERVER_|UVICORN_)?PORT(?==)|--server\.port"
    r"|\btcp:port|(?:--bind|--listen|-b)[ =]?\S*?:|\b0\.0\.0\.0:)[ =]?(?:\$\{\w+:[-=])?(\d{1,5})\b"
)
_COMPUTED = re.compile(r"(?:--port|--server\.port|--bind|--listen|-[bp])[ =]?\S*\$(?!\{?PORT\b)")
_SOCKET = re.compile(r"\bunix:|\bfd://|--(?:uds|fd|unix-socket)\b|^daphne .*-u ")
_IN_VARIABLE = re.compile(r"(?:environ|getenv)(?:\.get)?\W{1,2}PORT\b")
# The port after a colon, or the default of a variable such as PORT.
_BOUND = re.compile(r"(?::|PORT[\"'] *, *[\"']?)(\d{1,5})\b")


def named_port(
    command: shell.Words, variables: str, read: Callable[[str], str], given: int
) -> Port:
    """The port of a command that is run with `variables`, and with PORT, which is `given`.

    `read` gives the text of a configuration by the name that a server has for it.
    """
    program, line = shell.program(command), " ".join(command)
    if _SOCKET.search(line):
        return "it listens on a socket"
    if named := _NAMED.findall(f"{variables} {line}"):
        return int(named[-1])
    if _COMPUTED.search(line):
        return "its port is in a variable"
    if "$PORT" in line or "${PORT" in line:
        return given
    configured = configured_port(program, line, read, given)
    return configured or (given if program == "gunicorn" else _DEFAULTS.get(program))


def configured_port(program: str, line: str, read: Callable[[str], str], given: int) -> Port:
    """The same by `bind` in the configuration of gunicorn or hypercorn."""
    option = re.search(r"\s(?:-c|--config)[ =]?(\S+)", line)
    if program not in {"gunicorn", "hypercorn"} or not (option or program == "gunicorn"):
        return None
    name = option[1] if option else "gunicorn.conf.py"
    text = read(name)
    if option and not text:
        return f"{name} cannot be read"
    is_toml = program == "hypercorn" and not name.startswith(("file:", "python:"))
    bind = _bind_of_toml(text) if is_toml else assigned_text(text, "bind")
    if re.match(r"\W*f?\W*(?:unix|fd):", bind):
        return f"{name} binds a socket"
    if ports := _BOUND.findall(bind):
        return int(ports[-1])
    if bind and not _IN_VARIABLE.search(bind):
        return f"`bind` of {name} is computed"
    return given if bind else None


def _bind_of_toml(text: str) -> str:
    try:
        return str(tomllib.loads(text).get("bind", ""))
    except tomllib.TOMLDecodeError:
        return "?"
