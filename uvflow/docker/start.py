"""What a container starts: the command, its port, its health check, and the evidence."""

import ast
import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from uvflow.docker.lint import shell
from uvflow.docker.settings import Settings
from uvflow.docker.source import (
    SETTINGS_MODULE,
    Application,
    Applications,
    Django,
    Module,
    Sources,
    health_path,
)
from uvflow.errors import UsageError
from uvflow.files import text_if_there
from uvflow.project.manifest import Project

_PORT = 8000
_STREAMLIT_PORT = 8501

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Start:
    """A start command in the exec form, and `development`: the same, reloading where it can.

    `health` is the path of an HTTP probe; with a port and no path the probe is a TCP connect.
    `loads_source` says that it may load what is not installed, from the directory `base`. What
    `is_program` takes the arguments of `docker run`. As process 1, Python does not end at SIGTERM
    by itself.
    """

    command: Words
    evidence: str
    development: Words = ()
    port: int | None = None
    health: str | None = None
    probes: bool = True
    loads_source: bool = False
    base: str = "."
    environment: tuple[tuple[str, str], ...] = ()
    is_program: bool = False
    ends_at_sigterm: bool = True


Candidate = Start | Application


# Production servers by their distributions, of each interface the preferred first: the interfaces,
# the command before the application, and how a factory is named. Workers of gunicorn show that
# they live by touching a file, which a disk may delay.
_GUNICORN = "gunicorn --bind=0.0.0.0:{port} --access-logfile=- --worker-tmp-dir=/dev/shm"
_GRANIAN = "granian --interface={interface} --host=0.0.0.0 --port={port}"
_HYPERCORN = "hypercorn --bind=0.0.0.0:{port} --access-logfile=-"
_WAITRESS = "waitress-serve --listen=0.0.0.0:{port}"
_SERVERS: Mapping[str, tuple[Words, str, str]] = {
    "gunicorn": (("wsgi",), _GUNICORN, "{name}()"),
    "uvicorn": (("asgi",), "uvicorn --host=0.0.0.0 --port={port}", "--factory {name}"),
    "hypercorn": (("asgi",), _HYPERCORN, "{name}()"),
    "granian": (("wsgi", "asgi"), _GRANIAN, "--factory {name}"),
    "waitress": (("wsgi",), _WAITRESS, "--call {name}"),
    "daphne": (("asgi",), "daphne --bind=0.0.0.0 --port={port}", "{name}"),
}
_RELOADING = {"gunicorn", "hypercorn", "uvicorn"}

# `waitress-serve` is none of them, nor is a program of the project.
_END_AT_SIGTERM = {*_SERVERS, "arq", "celery", "dramatiq", "fastapi", "flask", "rq", "streamlit"}


# distribution → the class whose instance a server loads, and the interface
_FRAMEWORKS = {
    "fastapi": ("FastAPI", "asgi"),
    "litestar": ("Litestar", "asgi"),
    "quart": ("Quart", "asgi"),
    "dash": ("Dash.server", "wsgi"),
    "starlette": ("Starlette", "asgi"),
    "flask": ("Flask", "wsgi"),
    "bottle": ("Bottle", "wsgi"),
    "python-socketio": ("ASGIApp", "asgi"),
}
# Those with a service of their own as well, which is not looked for.
_WEB = {
    *_FRAMEWORKS, "blacksheep", "chainlit", "cherrypy", "connexion", "django", "falcon", "gradio",
    "nicegui", "panel", "pyramid", "robyn", "sanic", "streamlit",
}  # fmt: skip

# The variable that tells a framework its application → the interface of that.
_APP_VARIABLES = {"FLASK_APP": "wsgi", "LITESTAR_APP": "asgi", "QUART_APP": "asgi"}
_APP_VARIABLE = re.compile(
    rf"^(?:export )?({'|'.join(_APP_VARIABLES)})=[\"']?(.+?)[\"']?\s*$", re.MULTILINE
)
_WSGI_APP = re.compile(r"^wsgi_app *= *[\"']([\w.]+:\w+(?:\(\))?)[\"']", re.MULTILINE)
_MOST = 1 << 16  # bytes of a Procfile, or of a file that may name the application
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")

# What runs a command in an environment that the image does not need, with its options.
_RUNNER = re.compile(
    r"(^|&&\s*|;\s*)(?:uv|poetry|pipenv|pdm|rye|hatch) run "
    r"(?:(?:--(?:env-file|extra|group|package|python|with)[ =]\S+|--[\w-]+) )*(-m |(?=\S+\.py\b))?"
)
_DEVELOPMENT = re.compile(r"\b(?:runserver|flask (?:.* )?run|fastapi dev)\b|--(?:reload|debug)\b")
_NAMED_PORT = re.compile(r"(?:--port|-p|(?:--bind|--listen|-b)[ =]?\S*?:)[ =]?(\d+)\b")
_PROCESS = re.compile(r"^([\w-]+):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)  # of a Procfile


@dataclass(kw_only=True)
class Search:
    """Where a start command is looked for.

    `installed` are the normalised names of the production closure, `direct` those that the project
    itself depends on; `scripts` is `[project.scripts]` where that is installed; `members` are the
    directories of a workspace whose root is not a project. `web` is what the sources make of the
    web frameworks that are installed.
    """

    project: Project
    settings: Settings
    sources: Sources
    installed: frozenset[str]
    direct: frozenset[str]
    scripts: Mapping[str, str]
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.entries = dict(_PROCESS.findall(self._file("Procfile")))
        self.classes = dict(row for name, row in _FRAMEWORKS.items() if name in self.installed)
        self.web = Applications(self.sources, self.classes)
        self.django = Django(self.sources, dict(self.settings.environment).get(SETTINGS_MODULE))

    def start(self) -> Start:
        """The start command, by the first evidence that there is.

        Raises UsageError with the lines to write where there is none, or more than one.
        """
        files = (self._procfile, self._configured, self._django, self._compose)
        evidence = (self._settings, *files, self._objects, self._scripts)
        found = (tuple[Candidate, ...](find()) for find in evidence)
        candidates = next(filter(None, found), ())
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
        *_, last = start.command, *(w for _, w in shell.started(start.command, lambda _: "", {}))
        is_handled = any("SIGTERM" in module.text for module in self.sources.modules)
        health = self.settings.health
        return replace(
            start,
            development=start.development or start.command,
            ends_at_sigterm=is_handled or shell.program(last) in _END_AT_SIGTERM,
            health=start.health if health is None else str(health or "") or None,
            probes=health is not False,
        )

    def processes(self) -> tuple[tuple[str, Words], ...]:
        """What else the image can run, by name: as set, or what the Procfile has besides `web`."""
        others = ((name, line) for name, line in self.entries.items() if name != "web")
        return self.settings.processes or tuple((name, _words(line, name)) for name, line in others)

    def _file(self, name: str) -> str:
        path = self.project.root / name
        return "" if path.is_dir() else text_if_there(path, _MOST) or ""

    def _settings(self) -> Iterator[Candidate]:
        command, app = self.settings.command, self.settings.app
        if command:
            evidence = "[tool.uvflow.docker] command"
            yield Start(
                command=command, evidence=evidence, port=self.settings.port, loads_source=True
            )
        elif app:
            interfaces = (*self.classes.values(), "wsgi", "asgi")
            # One that asks for asgi is not given to a server for wsgi.
            interface = next(each for each in interfaces if self._server(each) or each == "asgi")
            yield self._named(app, interface, "[tool.uvflow.docker] app")

    def _procfile(self) -> Iterator[Start]:
        if line := self.entries.get("web"):
            yield self._of_line(line, "`web` of the Procfile")

    def _configured(self) -> Iterator[Application]:
        entrypoint = self.project.table("tool", "fastapi").get("entrypoint")
        named = _WSGI_APP.search(self._file("gunicorn.conf.py"))
        texts = ((name, _APP_VARIABLE.search(self._file(name))) for name in (".env", ".flaskenv"))
        name, said = next((pair for pair in texts if pair[1]), ("", None))
        if isinstance(entrypoint, str) and ":" in entrypoint:
            yield self._named(entrypoint, "asgi", "[tool.fastapi] entrypoint")
        elif named and "gunicorn" in self.installed:
            yield self._named(named[1], "wsgi", "wsgi_app in gunicorn.conf.py")
        elif said:
            yield from self._of_variable(said[2], _APP_VARIABLES[said[1]], f"{said[1]} in {name}")

    def _of_variable(self, value: str, interface: str, evidence: str) -> list[Application]:
        """A module or a file, and which object there, by default the application."""
        place, colon, attribute = value.partition(":")
        module = next((m for m in self.sources.modules if place in (m.name, m.path)), None)
        if not colon:
            found = self.web.likeliest(within=module) if module else []
            return [replace(each, evidence=evidence) for each in found]
        if module:
            functions = (n.name for n in module.statements if isinstance(n, ast.FunctionDef))
            value = f"{module.name}:{attribute}{'()' * (attribute in functions)}"
        return [self._named(value, interface, evidence)]

    def _named(self, name: str, interface: str, evidence: str) -> Application:
        """The application of that name; with `()` at its end it is a factory."""
        module = name.partition(":")[0]
        return Application(
            name=name.removesuffix("()"),
            interface=interface,
            evidence=evidence,
            module=self.sources.by_name.get(module) or Module(name=module),
            is_factory=name.endswith("()"),
        )

    def _django(self) -> Iterator[Application]:
        """By the settings, or the wsgi.py and asgi.py that `startproject` makes."""
        django, found = self.django, list[list[Application]]()
        made = {interface: django.served(interface) for interface in ("wsgi", "asgi")}
        if django.named or max(map(len, made.values())) <= 1:
            for interface in ("asgi", "wsgi"):
                key = f"{interface.upper()}_APPLICATION"
                if dotted := django.text(key):
                    name, where = ":".join(dotted.rsplit(".", 1)), django.settings_module
                    found.append([self._named(name, interface, f"{key} of {where}")])
        for interface, modules in made.items():
            named = ((f"{m.name}:application", m.path) for m in modules)
            found.append([self._named(name, interface, path) for name, path in named])
        if "django" in self.installed:
            found = [each for each in found if each]
            served = (each for each in found if self._server(each[0].interface))
            yield from next(served, found[0] if found else [])

    def _compose(self) -> Iterator[Start]:
        """The `command` of the one service that is built here, unless that is for development."""
        text = next(filter(None, map(self._file, _COMPOSE)), "")
        if not text:
            return
        import yaml  # 15 ms, for a project with a compose file only

        try:
            services = yaml.safe_load(text)["services"].values()
            every = [(each.get("build"), each) for each in services]
            places = ((at["context"] if isinstance(at, dict) else at, each) for at, each in every)
            [service] = [each for at, each in places if at in {".", "./"}]
            command = service.get("command") or ""
            line = command if isinstance(command, str) else shlex.join(map(str, command))
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
            return  # no such service
        moves = {"entrypoint", "working_dir"} & service.keys()
        if line and not (moves or line.startswith("/") or _DEVELOPMENT.search(line)):
            start = self._of_line(line.replace("$$", "$"), "`command` of the compose file")
            yield self._published(start, service)

    def _published(self, start: Start, service: Mapping[str, Any]) -> Start:
        """On the port of the container that the service publishes, if any: a worker has none."""
        listed = [*(service.get("ports") or ()), *(service.get("expose") or ())]
        texts = (str(p.get("target")) if isinstance(p, Mapping) else str(p) for p in listed)
        ports = [int(match[0]) for text in texts if (match := re.search(r"\d+(?=(/tcp)?$)", text))]
        is_named = self.settings.port or _NAMED_PORT.search(shlex.join(start.command))
        if is_named or shell.program(start.command) in _SERVERS:
            return start
        if not ports:
            return replace(start, port=None, health=None, environment=())
        return replace(start, port=ports[0], environment=(("PORT", str(ports[0])),))

    def _objects(self) -> Iterator[Candidate]:
        """What the sources make: web applications and Streamlit pages, else a queue."""
        found = self.web.likeliest()
        yield from [each for each in found if self._server(each.interface)] or found
        pages = self.sources.scripts_importing("streamlit") if "streamlit" in self.installed else []
        yield from map(self._streamlit, pages)
        if not (found or pages) and "celery" in self.installed:
            for queue in Applications(self.sources, {"Celery": ""}).likeliest():
                yield Start(
                    command=("celery", f"--app={queue.name}", "worker", "--loglevel=INFO"),
                    evidence=queue.evidence,
                    loads_source=not queue.module.is_installed,
                    base=queue.module.base,
                )

    def _streamlit(self, page: Application) -> Start:
        port = self.settings.port or _STREAMLIT_PORT
        options = ("--server.address=0.0.0.0", f"--server.port={port}", "--server.headless=true")
        return Start(
            command=("streamlit", "run", *options, page.name),
            development=("streamlit", "run", *options, "--server.runOnSave=true", page.name),
            evidence=page.evidence,
            port=port,
            health="/_stcore/health",  # Streamlit docs, "Deploy Streamlit using Docker"
            loads_source=True,
        )

    def _scripts(self) -> Iterator[Start]:
        """A program; what a project with a web framework installs beside its service is none."""
        programs = {str(target): name for name, target in [*self.scripts.items()][::-1]}  # one each
        # aiohttp and tornado are clients as well
        is_web = any("web.Application(" in module.text for module in self.sources.modules)
        if not (is_web or _WEB & self.direct):
            yield from map(self._script, sorted(programs.values()))

    def _script(self, name: str) -> Start:
        where = f"`{name}` of [project.scripts]"
        return Start(command=(name,), evidence=where, port=self.settings.port, is_program=True)

    def _served(self, found: Application) -> Start:
        name = self._server(found.interface)
        if name is None or (found.name.endswith(")") and name != "gunicorn"):
            raise _no_server_error(found)
        _, command, factory = _SERVERS[name]
        port = self.settings.port or _PORT
        line = f"{command} {factory if found.is_factory else '{name}'}"
        values = {"port": port, "interface": found.interface, "name": found.name}
        words = tuple(word.format_map(values) for word in line.split())
        others = self.web.outermost - {found.name.replace(":", ".")}
        return Start(
            command=words,
            development=(words[0], *(["--reload"] if name in _RELOADING else []), *words[1:]),
            evidence=f"{found.evidence}; {name} is a dependency",
            port=port,
            health=self._health(others),
            loads_source=not found.module.is_installed,
            base=found.module.base,
        )

    def _of_line(self, line: str, evidence: str) -> Start:
        """A line as for a shell; it is given a PORT to listen on."""
        named = _NAMED_PORT.search(line)
        port = self.settings.port or (int(named[1]) if named else _PORT)
        return Start(
            command=_words(line, evidence),
            evidence=evidence,
            port=port,
            health=self._health(),
            loads_source=True,
            environment=(("PORT", str(port)),),
        )

    def _health(self, others: Collection[str] = ()) -> str | None:
        """Of the URLs of Django, or of an application that is none of `others`."""
        urls = self.django.text("ROOT_URLCONF") if "django" in self.installed else None
        lists = [urls] if urls else [module.name for module in self.sources.modules]
        return health_path(self.sources, {*lists, *self.web.kinds} - {*others})

    def _server(self, interface: str) -> str | None:
        fitting = (name for name, (interfaces, *_) in _SERVERS.items() if interface in interfaces)
        return next((name for name in fitting if name in self.installed), None)

    def _no_start_error(self) -> UsageError:
        modules = [module for module in self.sources.modules if module.is_served]
        calls = [f"{name.partition('.')[0]}()" for name in self.classes]
        made = [f"{m.path} has {call}" for m in modules for call in calls if call[:-1] in m.text]
        cause = "no web application, no program in [project.scripts], no `web` in a Procfile"
        hint = (
            'set `command = ["python", "-m", "…"]` or `app = "module:attribute"` in '
            "[tool.uvflow.docker], or add a script to [project.scripts]"
        )
        if self.members:
            cause = "this is the root of a workspace, not a project"
            hint = f"run `uvflow docker` in {' or '.join(self.members)}"
        elif others := self.processes():
            cause = "the Procfile has no `web`"
            hint = _lines(Start(command=words, evidence=name) for name, words in others)
        elif self.scripts:
            cause = "the programs of a project with a web framework are not its service"
            hint = _lines(map(self._script, self.scripts))
        elif made:
            cause = f"{', '.join(made)}, but no name for it can be read there"
        return UsageError("found nothing for the container to start", cause=cause, hint=hint)


def _lines(candidates: Iterable[Candidate]) -> str:
    lines = (
        f"`command = {json.dumps(each.command, ensure_ascii=False)}`"
        if isinstance(each, Start)
        else f'`app = "{each.name}{"()" * each.is_factory}"`'
        for each in candidates
    )
    return f"write in [tool.uvflow.docker]: {' or '.join(lines)}"


def _no_server_error(loaded: Application) -> UsageError:
    fitting = [
        name for name, (interfaces, *_) in _SERVERS.items() if loaded.interface in interfaces
    ]
    # No other one calls a factory with arguments.
    servers = ["gunicorn"] if loaded.name.endswith(")") else fitting
    return UsageError(
        f"no server for {loaded.name} is among the production dependencies",
        cause=f"looked for {', '.join(servers)}; a development server does not count",
        hint=f"`uv add {servers[0]}`, name the extra or group that has one in "
        "[tool.uvflow.profiles.prod], or set `command` in [tool.uvflow.docker]",
    )


_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
_PYTHON = {"-m ": "python -m ", "": "python "}


def _words(line: str, evidence: str) -> Words:
    """A line for a shell in the exec form, without a shell where none is needed.

    Raises UsageError where a shell could not read it.
    """
    line = _RUNNER.sub(lambda match: match[1] + _PYTHON.get(match[2], ""), line)
    line = f"env {line}" if re.match(r"\w+=", line) else line
    try:
        plain = tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(
            f"{evidence} is not a command that a shell can read",
            cause=f"{str(error).lower()} in `{line.removeprefix('env ')}`",
            hint="correct it, or set `command` in [tool.uvflow.docker]",
        ) from error
    bare = _QUOTED.sub(lambda q: ("$" if re.match(r"\".*[$`]", q[0]) else "_") * len(q[0]), line)
    if not re.search(r"[$`|&;<>*?~()#]", bare):
        return plain
    bare = re.sub(r"[<>]&|&>|\$\([^()]*\)", lambda match: "_" * len(match[0]), bare)
    operators = list(re.finditer(r"&&|\|\||[|;&()]", bare))
    end = operators[-1].end() if operators else 0
    # The last command replaces the shell, which would not hand on signals.
    is_program = re.match(r"\s*(?!\w+=|(?:done|esac|fi)\b|\})\S", bare[end:])
    if is_program and {match[0] for match in operators} <= {"&&", ";"}:
        line = f"{line[:end]} exec {line[end:].strip()}".strip()
    return ("sh", "-c", line)
