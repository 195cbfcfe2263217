"""What a container starts: the command, its port, its health check, and the evidence."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from uvflow.docker.settings import Settings
from uvflow.docker.source import Django, Module, Sources
from uvflow.errors import UsageError

_PORT = 8000
_STREAMLIT_PORT = 8501

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Start:
    """A start command in the exec form, and `development`: the same, reloading where it can.

    `health` is the path of an HTTP probe; with a port and no path the probe is a TCP connect.
    `module` is the path of the source file that it loads (`.` where that is not known), None where
    it loads what is installed. What `is_program` takes the arguments of `docker run`.
    """

    command: Words
    evidence: str
    development: Words = ()
    port: int | None = None
    health: str | None = None
    probes: bool = True
    module: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    needs_shell: bool = False
    is_program: bool = False


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a server is to load: `module:attribute`, which may be a factory."""

    interface: str
    name: str
    evidence: str
    module: str | None = None
    is_factory: bool = False


@dataclass(frozen=True, kw_only=True)
class _Server:
    """A production server: its command without the application, and the option that reloads.

    A factory is marked by an option before its name, or by a suffix; daphne takes none.
    """

    interfaces: Words
    command: Words
    factory_option: Words = ()
    factory_suffix: str = ""
    reload: Words = ("--reload",)

    def words(self, loaded: Loaded, port: int) -> Words:
        words = (word.format(port=port, interface=loaded.interface) for word in self.command)
        if loaded.is_factory:
            return (*words, *self.factory_option, loaded.name + self.factory_suffix)
        return (*words, loaded.name)


# By their distributions, of each interface the preferred first.
_SERVERS: Mapping[str, _Server] = {
    "gunicorn": _Server(
        interfaces=("wsgi",),
        command=(
            *("gunicorn", "--bind=0.0.0.0:{port}", "--access-logfile=-"),
            # Workers show that they live by touching a file, which a disk may delay.
            "--worker-tmp-dir=/dev/shm",
        ),
        factory_suffix="()",
    ),
    "uvicorn": _Server(
        interfaces=("asgi",),
        command=("uvicorn", "--host=0.0.0.0", "--port={port}"),
        factory_option=("--factory",),
    ),
    "hypercorn": _Server(
        interfaces=("asgi",),
        command=("hypercorn", "--bind=0.0.0.0:{port}", "--access-logfile=-"),
        factory_suffix="()",
    ),
    "granian": _Server(
        interfaces=("wsgi", "asgi"),
        command=("granian", "--interface={interface}", "--host=0.0.0.0", "--port={port}"),
        factory_option=("--factory",),
        reload=(),
    ),
    "waitress": _Server(
        interfaces=("wsgi",),
        command=("waitress-serve", "--listen=0.0.0.0:{port}"),
        factory_option=("--call",),
        reload=(),
    ),
    "daphne": _Server(interfaces=("asgi",), command=("daphne", "--bind=0.0.0.0", "--port={port}")),
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
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where a start command is looked for.

    `installed` are the normalised names of the production closure, `scripts` is
    `[project.scripts]`, `procfile` the text of a Procfile; `members` are the directories of a
    workspace whose root is not a project; `in_extras` says for a distribution which extra or group
    of the project has it (as `extras = ["web"]`).
    """

    name: str
    installed: frozenset[str]
    sources: Sources
    scripts: Mapping[str, str]
    procfile: str | None
    settings: Settings
    members: tuple[str, ...] = ()
    in_extras: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Start:
        """The start command; raises UsageError with the ways to name one when there is none."""
        start = (
            self._command()
            or self._web_application()
            or self._streamlit()
            or self._celery()
            or self._script()
            or self._procfile_entry()
        )
        if start is None:
            raise self._no_start_error()
        start = replace(start, development=start.development or start.command)
        match self.settings.health:
            case str(path):
                return replace(start, health=path, probes=True)
            case False:
                return replace(start, health=None, probes=False)
        return start

    def _command(self) -> Start | None:
        settings = self.settings
        if settings.command is None:
            return None
        return Start(
            command=settings.command,
            evidence="[tool.uvflow.docker] command",
            port=settings.port,
            probes=settings.port is not None,
            module=".",
        )

    def _web_application(self) -> Start | None:
        loaded = self._app_setting() or self._django() or self._framework_instance()
        if loaded is None:
            return None
        name = self._server(loaded.interface)
        if name is None:
            raise self._no_server_error(loaded)
        server = _SERVERS[name]
        port = self.settings.port or _PORT
        words = server.words(loaded, port)
        return Start(
            command=words,
            development=(words[0], *server.reload, *words[1:]),
            evidence=f"{loaded.evidence}; {name} is a dependency",
            port=port,
            health=self.sources.health_path(),
            module=loaded.module,
        )

    def _app_setting(self) -> Loaded | None:
        app = self.settings.app
        if app is None:
            return None
        kinds = [i for name, (_classes, i) in _FRAMEWORKS.items() if name in self.installed]
        kinds += ["wsgi", "asgi"]
        return Loaded(
            interface=next(kind for kind in kinds if self._server(kind) or kind == kinds[-1]),
            name=app.removesuffix("()"),
            evidence="[tool.uvflow.docker] app",
            module=".",
            is_factory=app.endswith("()"),
        )

    def _django(self) -> Loaded | None:
        if "django" not in self.installed:
            return None
        django = Django(self.sources)
        asgi = django.text("ASGI_APPLICATION")
        wsgi = django.text("WSGI_APPLICATION")
        if asgi and (self._server("asgi") or not wsgi):
            return self._of_django("asgi", asgi, f"ASGI_APPLICATION of {django.settings_module}")
        if wsgi and (self._server("wsgi") or not self._server("asgi")):
            return self._of_django("wsgi", wsgi, f"WSGI_APPLICATION of {django.settings_module}")
        # Without either setting: the wsgi.py or asgi.py that `startproject` makes.
        for interface in ("wsgi", "asgi"):
            named = (m for m in self.sources.modules if m.name.split(".")[-1] == interface)
            module = next((m for m in named if "application" in m.text), None)
            if module and (self._server(interface) or interface == "asgi"):
                return self._of_django(interface, f"{module.name}.application", module.path)
        return None

    def _of_django(self, interface: str, dotted: str, evidence: str) -> Loaded:
        name, _, attribute = dotted.rpartition(".")
        path = _source_path(self.sources.module(name))
        loads = f"{name}:{attribute}"
        return Loaded(interface=interface, name=loads, evidence=evidence, module=path)

    def _framework_instance(self) -> Loaded | None:
        for name, (classes, interface) in _FRAMEWORKS.items():
            application = self.sources.application(classes) if name in self.installed else None
            if application:
                return Loaded(
                    interface=interface,
                    name=f"{application.module.name}:{application.attribute}",
                    evidence=f"{application.module.path} has {classes[0]}()",
                    module=_source_path(application.module),
                    is_factory=application.is_factory,
                )
        return None

    def _server(self, interface: str) -> str | None:
        return next((name for name in _servers_of(interface) if name in self.installed), None)

    def _streamlit(self) -> Start | None:
        path = self.sources.script_importing("streamlit") if "streamlit" in self.installed else None
        if path is None:
            return None
        port = self.settings.port or _STREAMLIT_PORT
        options = ("--server.address=0.0.0.0", f"--server.port={port}", "--server.headless=true")
        return Start(
            command=("streamlit", "run", *options, path),
            development=("streamlit", "run", *options, "--server.runOnSave=true", path),
            evidence=f"{path} imports streamlit",
            port=port,
            health="/_stcore/health",  # Streamlit docs, "Deploy Streamlit using Docker"
            module=path,
        )

    def _celery(self) -> Start | None:
        queue = self.sources.application(("Celery",)) if "celery" in self.installed else None
        if queue is None:
            return None
        app = f"--app={queue.module.name}:{queue.attribute}"
        words = ("celery", app, "worker", "--loglevel=INFO")
        return Start(
            command=words,
            evidence=f"{queue.module.path} has Celery()",
            module=_source_path(queue.module),
        )

    def _script(self) -> Start | None:
        names = list(self.scripts)
        chosen = names if len(names) == 1 else [name for name in names if name == self.name]
        if not chosen:
            return None
        return Start(
            command=(chosen[0],),
            evidence=f"`{chosen[0]}` of [project.scripts]",
            port=self.settings.port,
            is_program=True,
        )

    def _procfile_entry(self) -> Start | None:
        """The `web` process of a Procfile; it is given a PORT to listen on."""
        match = re.search(r"^web:[ \t]*(\S.*)$", self.procfile or "", re.MULTILINE)
        if match is None:
            return None
        line = match[1].strip()
        needs_shell = bool(re.search(r"[$`|&;<>*?~()]", line))
        port = self.settings.port or _PORT
        plain = _shell_words(line)  # raises where a shell could not read it, either
        words = ("sh", "-c", f"exec {line}") if needs_shell else plain
        return Start(
            command=words,
            evidence="`web` of the Procfile",
            port=port,
            health=self.sources.health_path(),
            module=".",
            environment=(("PORT", str(port)),),
            needs_shell=needs_shell,
        )

    def _no_server_error(self, loaded: Loaded) -> UsageError:
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
        cause = "no web application, no [project.scripts], no `web` in a Procfile"
        hint = (
            'set `command = ["python", "-m", "…"]` or `app = "module:attribute"` in '
            "[tool.uvflow.docker], or add a script to [project.scripts]"
        )
        if self.scripts:
            several = ", ".join(self.scripts)
            cause = f"[project.scripts] has several entries, none named {self.name}: {several}"
        if self.members:
            cause = "this is the root of a workspace, not a project"
            hint = f"run `uvflow docker` in {' or '.join(self.members)}"
        return UsageError("found nothing for the container to start", cause=cause, hint=hint)


def _shell_words(line: str) -> Words:
    """The words of `web` in a Procfile; raises UsageError where a shell could not read them."""
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(
            "`web` of the Procfile is not a command that a shell can read",
            cause=f"{str(error).lower()} in `{line}`",
            hint="correct it, or set `command` in [tool.uvflow.docker]",
        ) from error


def _source_path(module: Module | None) -> str | None:
    if module is None:
        return "."
    return None if module.is_installed else module.path
