"""What a container starts: the command, its port, its health check, and the evidence."""

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from uvflow.docker.settings import Settings
from uvflow.docker.source import SETTINGS_MODULE, Application, Django, Sources
from uvflow.errors import UsageError

_PORT = 8000
_STREAMLIT_PORT = 8501

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Start:
    """A start command in the exec form, and `development`: the same, reloading where it can.

    `health` is the path of an HTTP probe; with a port and no path the probe is a TCP connect.
    `module` is the path of the source file that it loads (`.` where that is not known), None where
    it loads what is installed; `base` is the directory that it is imported from. What `is_program`
    takes the arguments of `docker run`.
    """

    command: Words
    evidence: str
    development: Words = ()
    port: int | None = None
    health: str | None = None
    probes: bool = True
    module: str | None = None
    base: str = "."
    environment: tuple[tuple[str, str], ...] = ()
    is_program: bool = False


Candidate = Start | Application


@dataclass(frozen=True)
class _Server:
    """A production server: its command before the application, and how that or a factory is named.

    A server that `reloads` has an option to do that when a source file changes.
    """

    interfaces: Words
    command: str
    factory: str = "{name}"
    reloads: bool = True

    def words(self, loaded: Application, port: int) -> Words:
        words = f"{self.command} {self.factory if loaded.is_factory else '{name}'}".split()
        values = {"port": port, "interface": loaded.interface, "name": loaded.name}
        return tuple(word.format_map(values) for word in words)


# By their distributions, of each interface the preferred first. Workers of gunicorn show that they
# live by touching a file, which a disk may delay.
_GUNICORN = "gunicorn --bind=0.0.0.0:{port} --access-logfile=- --worker-tmp-dir=/dev/shm"
_GRANIAN = "granian --interface={interface} --host=0.0.0.0 --port={port}"
_HYPERCORN = "hypercorn --bind=0.0.0.0:{port} --access-logfile=-"
_WAITRESS = "waitress-serve --listen=0.0.0.0:{port}"
_SERVERS: Mapping[str, _Server] = {
    "gunicorn": _Server(("wsgi",), _GUNICORN, "{name}()"),
    "uvicorn": _Server(("asgi",), "uvicorn --host=0.0.0.0 --port={port}", "--factory {name}"),
    "hypercorn": _Server(("asgi",), _HYPERCORN, "{name}()"),
    "granian": _Server(("wsgi", "asgi"), _GRANIAN, "--factory {name}", reloads=False),
    "waitress": _Server(("wsgi",), _WAITRESS, "--call {name}", reloads=False),
    "daphne": _Server(("asgi",), "daphne --bind=0.0.0.0 --port={port}"),
}


def _servers_of(interface: str) -> list[str]:
    return [name for name, server in _SERVERS.items() if interface in server.interfaces]


# distribution → the classes whose instance a server loads, and the interface
_FRAMEWORKS: Mapping[str, tuple[Words, str]] = {
    "fastapi": (("FastAPI",), "asgi"),
    "litestar": (("Litestar",), "asgi"),
    "quart": (("Quart",), "asgi"),
    "starlette": (("Starlette",), "asgi"),
    "flask": (("Flask",), "wsgi"),
    "bottle": (("Bottle",), "wsgi"),
    "python-socketio": (("ASGIApp",), "asgi"),
}
_WEB = {*_FRAMEWORKS, "django", "streamlit"}

# The variable that tells a framework its application.
_APP_VARIABLES = {"FLASK_APP": "flask", "LITESTAR_APP": "litestar", "QUART_APP": "quart"}
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
FILES = ("Procfile", ".env", ".flaskenv", *_COMPOSE)  # that may have evidence

# What runs a command in an environment that the image does not need, with its options.
_RUNNER = re.compile(
    r"(^|&&\s*|;\s*)(?:uv|poetry|pipenv|pdm|rye|hatch) run "
    r"(?:(?:--(?:env-file|extra|group|package|python|with)[ =]\S+|--[\w-]+) )*(-m |(?=\S+\.py\b))?"
)
_DEVELOPMENT = re.compile(r"\b(?:runserver|flask (?:.* )?run|fastapi dev)\b|--(?:reload|debug)\b")
_NAMED_PORT = re.compile(r"(?:--port|-p|(?:--bind|--listen|-b)[ =]?\S*?:)[ =]?(\d+)\b")
_PROCESS = re.compile(r"^([\w-]+):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)  # of a Procfile
_HERE = (".", "./")


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where a start command is looked for.

    `installed` are the normalised names of the production closure, `direct` those that the project
    itself depends on; `scripts` is `[project.scripts]` where that is installed, `files` are the
    texts of FILES that there are, `fastapi` is `[tool.fastapi]`; `members` are the directories of a
    workspace whose root is not a project; `in_extras` says for a distribution which extra or group
    of the project has it (as `extras = ["web"]`).
    """

    name: str
    installed: frozenset[str]
    sources: Sources
    settings: Settings
    direct: frozenset[str] = frozenset()
    scripts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    fastapi: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    in_extras: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Start:
        """The start command, by the first evidence that there is.

        Raises UsageError with the lines to write where there is none, or more than one.
        """
        sources_of_evidence: tuple[Callable[[], Sequence[Candidate]], ...] = (
            self._command,
            self._app_setting,
            self._procfile,
            self._configured,
            self._django,
            self._compose,
            self._objects,
            self._scripts,
        )
        found = (evidence() for evidence in sources_of_evidence)
        candidates: Sequence[Candidate] = next(filter(None, found), ())
        if not candidates:
            raise self._no_start_error()
        if len(candidates) > 1:
            raise UsageError(
                "several things could be started, and nothing tells which is meant",
                cause=", ".join(each.evidence for each in candidates),
                hint=_lines(candidates),
            )
        [chosen] = candidates
        start = chosen if isinstance(chosen, Start) else self._served(chosen)
        start = replace(start, development=start.development or start.command)
        match self.settings.health:
            case str(path):
                return replace(start, health=path, probes=True)
            case False:
                return replace(start, health=None, probes=False)
        return start

    def processes(self) -> tuple[tuple[str, Words], ...]:
        """What else the image can run, by name: as set, or what the Procfile has besides `web`."""
        others = ((name, line) for name, line in self._entries if name != "web")
        return self.settings.processes or tuple((name, _words(line, name)) for name, line in others)

    @property
    def _entries(self) -> list[tuple[str, str]]:
        """Names and lines of the Procfile."""
        return _PROCESS.findall(self.files.get("Procfile", ""))

    @cached_property
    def django(self) -> Django:
        return Django(self.sources, dict(self.settings.environment).get(SETTINGS_MODULE))

    def _command(self) -> list[Start]:
        settings = self.settings
        if settings.command is None:
            return []
        start = Start(
            command=settings.command,
            evidence="[tool.uvflow.docker] command",
            port=settings.port,
            probes=settings.port is not None,
            module=".",
        )
        return [start]

    def _app_setting(self) -> list[Application]:
        app = self.settings.app
        if app is None:
            return []
        kinds = [i for name, (_classes, i) in _FRAMEWORKS.items() if name in self.installed]
        kinds += ["wsgi", "asgi"]
        interface = next(kind for kind in kinds if self._server(kind) or kind == kinds[-1])
        return [self._named(app, interface, "[tool.uvflow.docker] app")]

    def _procfile(self) -> list[Start]:
        lines = (line for name, line in self._entries if name == "web")
        return [self._of_line(line, "`web` of the Procfile") for line in lines][:1]

    def _configured(self) -> list[Application]:
        entrypoint = self.fastapi.get("entrypoint")
        if isinstance(entrypoint, str) and ":" in entrypoint:
            return [self._named(entrypoint, "asgi", "[tool.fastapi] entrypoint")]
        for name in (".env", ".flaskenv"):
            text = self.files.get(name, "")
            for variable, value in re.findall(r"^(?:export )?(\w+_APP)=(.+)$", text, re.MULTILINE):
                if framework := _APP_VARIABLES.get(variable):
                    place = value.strip().strip("\"'") if value[0] in "\"'" else value.strip()
                    return self._of_variable(place, framework, f"{variable} in {name}")
        return []

    def _of_variable(self, value: str, framework: str, evidence: str) -> list[Application]:
        """A module or a file, and which object there, by default one of the framework."""
        place, colon, attribute = value.partition(":")
        module = next((m for m in self.sources.modules if place in (m.name, m.path)), None)
        classes, interface = _FRAMEWORKS[framework]
        if not colon:
            found = self.sources.applications(dict.fromkeys(classes, interface), within=module)
            return [replace(each, evidence=evidence) for each in found]
        body = module.body if module else []
        functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        name = f"{module.name if module else place}:{attribute}"
        return [self._named(f"{name}()" if attribute in functions else name, interface, evidence)]

    def _named(self, name: str, interface: str, evidence: str) -> Application:
        """The application of that name; with `()` at its end it is a factory."""
        module = self.sources.module(name.partition(":")[0])
        return Application(
            name=name.removesuffix("()"),
            interface=interface,
            evidence=evidence,
            module=None if module and module.is_installed else module,
            is_factory=name.endswith("()"),
        )

    def _django(self) -> list[Application]:
        if "django" not in self.installed:
            return []
        django = self.django
        asgi, wsgi = (django.text(f"{i}_APPLICATION") for i in ("ASGI", "WSGI"))
        made = {i: [m for m in django.served if m.stem == i] for i in ("wsgi", "asgi")}
        if django.named or max(map(len, made.values())) <= 1:
            where = f"_APPLICATION of {django.settings_module}"
            if asgi and (self._server("asgi") or not wsgi):
                return [self._of_django("asgi", asgi, f"ASGI{where}")]
            if wsgi and (self._server("wsgi") or not self._server("asgi")):
                return [self._of_django("wsgi", wsgi, f"WSGI{where}")]
        # Without either setting: the wsgi.py or asgi.py that `startproject` makes.
        for interface, modules in made.items():
            if modules and (self._server(interface) or interface == "asgi"):
                return [
                    self._of_django(interface, f"{m.name}.application", m.path) for m in modules
                ]
        return []

    def _of_django(self, interface: str, dotted: str, evidence: str) -> Application:
        name, _, attribute = dotted.rpartition(".")
        module, loads = self.sources.module(name), f"{name}:{attribute}"
        return Application(interface=interface, name=loads, evidence=evidence, module=module)

    def _compose(self) -> list[Start]:
        """The `command` of the one service that is built here, unless that is for development."""
        text = next((self.files[name] for name in _COMPOSE if name in self.files), "")
        if not text:
            return []
        import yaml  # 15 ms, for a project with a compose file only

        try:
            services = yaml.safe_load(text)["services"].values()
            builds = [(each, each.get("build")) for each in services]
            [service] = [
                s for s, b in builds if (b if isinstance(b, str) else b and b["context"]) in _HERE
            ]
            command = service.get("command") or ""
            line = command if isinstance(command, str) else shlex.join(map(str, command))
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
            return []  # no such service
        moves = {"entrypoint", "working_dir"} & service.keys()
        if not line or moves or line.startswith("/") or _DEVELOPMENT.search(line):
            return []
        return [self._of_line(line.replace("$$", "$"), "`command` of the compose file")]

    def _objects(self) -> Sequence[Candidate]:
        """What the sources make: web applications and Streamlit pages, else a queue."""
        frameworks = (row for name, row in _FRAMEWORKS.items() if name in self.installed)
        classes = {name: interface for names, interface in frameworks for name in names}
        found = self.sources.applications(classes)
        found = [each for each in found if self._server(each.interface)] or found
        names = ("streamlit", "celery")
        is_page, is_queue = (name in self.installed for name in names)
        pages = self.sources.scripts_importing("streamlit") if is_page else []
        queues = self.sources.applications({"Celery": ""}) if is_queue and not found + pages else []
        return [*found, *map(self._streamlit, pages), *map(self._celery, queues)]

    def _streamlit(self, page: Application) -> Start:
        port = self.settings.port or _STREAMLIT_PORT
        options = ("--server.address=0.0.0.0", f"--server.port={port}", "--server.headless=true")
        return Start(
            command=("streamlit", "run", *options, page.name),
            development=("streamlit", "run", *options, "--server.runOnSave=true", page.name),
            evidence=page.evidence,
            port=port,
            health="/_stcore/health",  # Streamlit docs, "Deploy Streamlit using Docker"
            module=page.name,
        )

    def _celery(self, queue: Application) -> Start:
        words = ("celery", f"--app={queue.name}", "worker", "--loglevel=INFO")
        return Start(command=words, evidence=queue.evidence, **_place(queue))

    def _scripts(self) -> list[Start]:
        """A program; what a project with a web framework installs beside its service is none."""
        if _WEB & self.direct:
            return []
        named = [name for name in self.scripts if name == self.name]
        return [self._script(name) for name in named or self.scripts]

    def _script(self, name: str) -> Start:
        where = f"`{name}` of [project.scripts]"
        return Start(command=(name,), evidence=where, port=self.settings.port, is_program=True)

    def _served(self, found: Application) -> Start:
        name = self._server(found.interface)
        if name is None:
            raise self._no_server_error(found)
        if found.name.endswith(")") and name != "gunicorn":
            raise UsageError(
                f"{name} cannot call {found.name}, which {found.evidence} names",
                hint="`uv add gunicorn`, or set `command` in [tool.uvflow.docker]",
            )
        server = _SERVERS[name]
        port = self.settings.port or _PORT
        words = server.words(found, port)
        return Start(
            command=words,
            development=(words[0], *(("--reload",) if server.reloads else ()), *words[1:]),
            evidence=f"{found.evidence}; {name} is a dependency",
            port=port,
            health=self.sources.health_path(found.name),
            **_place(found),
        )

    def _of_line(self, line: str, evidence: str) -> Start:
        """A line as for a shell; it is given a PORT to listen on."""
        named = _NAMED_PORT.search(line)
        port = self.settings.port or (int(named[1]) if named else _PORT)
        return Start(
            command=_words(line, evidence),
            evidence=evidence,
            port=port,
            health=self.sources.health_path(),
            module=".",
            environment=(("PORT", str(port)),),
        )

    def _server(self, interface: str) -> str | None:
        return next((name for name in _servers_of(interface) if name in self.installed), None)

    def _no_server_error(self, loaded: Application) -> UsageError:
        servers = _servers_of(loaded.interface)
        add = f"`uv add {servers[0]}`"
        optional = next((name for name in servers if name in self.in_extras), None)
        if optional:
            add = f"set `{self.in_extras[optional]}` in [tool.uvflow.profiles.prod] for {optional}"
        return UsageError(
            f"no server for {loaded.name} is among the production dependencies",
            cause=f"looked for {', '.join(servers)}; a development server does not count",
            hint=f"{add}, or set `command` in [tool.uvflow.docker]",
        )

    def _no_start_error(self) -> UsageError:
        cause = "no web application, no program in [project.scripts], no `web` in a Procfile"
        hint = (
            'set `command = ["python", "-m", "…"]` or `app = "module:attribute"` in '
            "[tool.uvflow.docker], or add a script to [project.scripts]"
        )
        if self.scripts:
            hint = _lines(map(self._script, self.scripts))
            cause = (
                "what a project with a web framework has in [project.scripts] is not its service"
            )
        if self.members:
            cause = "this is the root of a workspace, not a project"
            hint = f"run `uvflow docker` in {' or '.join(self.members)}"
        return UsageError("found nothing for the container to start", cause=cause, hint=hint)


def _lines(candidates: Iterable[Candidate]) -> str:
    lines = (
        f"`command = {json.dumps(each.command, ensure_ascii=False)}`"
        if isinstance(each, Start)
        else f'`app = "{each.name}{"()" * each.is_factory}"`'
        for each in candidates
    )
    return f"write in [tool.uvflow.docker]: {' or '.join(lines)}"


def _place(found: Application) -> dict[str, Any]:
    """Which file a start loads, and from where that is imported."""
    if found.module is None:
        return {"module": "."}
    return {
        "module": None if found.module.is_installed else found.module.path,
        "base": found.module.base,
    }


def _words(line: str, evidence: str) -> Words:
    """A line for a shell in the exec form, without a shell where none is needed.

    Raises UsageError where a shell could not read it.
    """
    line = _RUNNER.sub(lambda match: match[1] + _PYTHON.get(match[2], ""), line)
    try:
        plain = tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(
            f"{evidence} is not a command that a shell can read",
            cause=f"{str(error).lower()} in `{line}`",
            hint="correct it, or set `command` in [tool.uvflow.docker]",
        ) from error
    if re.match(r"\w+=", line):
        line, plain = f"env {line}", ("env", *plain)
    quoted = r"'[^']*'|\"(?:\\.|[^\"\\])*\""
    bare = re.sub(quoted, lambda text: "$" if re.search(r"^\".*[$`]", text[0]) else "", line)
    if not re.search(r"[$`|&;<>*?~()#]", bare):
        return plain
    operators = re.findall(r"&&|\|\||[|;&()]", re.sub(r"[<>]&|&>|\$\([^()]*\)", "", bare))
    if not operators:
        return ("sh", "-c", f"exec {line}")
    head, operator, last = line.rpartition(operators[-1])
    # The last command replaces the shell, which would not hand on signals.
    if set(operators) <= {"&&", ";"} and _is_whole(last):
        line = f"{head}{operator} exec {last.strip()}"
    return ("sh", "-c", line)


def _is_whole(line: str) -> bool:
    """Whether a shell can read it and run it as one program."""
    try:
        return bool(shlex.split(line)) and not re.match(r"\s*\w+=", line)
    except ValueError:
        return False


_PYTHON = {"-m ": "python -m ", "": "python "}
