"""What a container starts: the command, its port, how its health is asked, and the evidence."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from uvflow.docker.settings import Settings
from uvflow.docker.source import Django, Module, Sources
from uvflow.errors import UsageError

_PORT = 8000
_STREAMLIT_PORT = 8501

Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Start:
    """A start command in the exec form, and `development`: the same, reloading on changes.

    `health` is the path of an HTTP probe; with a port and no path a TCP connect is asked for.
    `module` is the path of the source file that it loads (`.` where that is not known), None where
    it loads what is installed.
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
    stop_signal: str | None = None


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
    """A production server: its command for what it loads, and the flag that reloads."""

    words: Callable[[Loaded, int], Words]
    reload: Words = ("--reload",)


def _gunicorn(loaded: Loaded, port: int) -> Words:
    # Workers prove that they live by touching a file, which a disk can hold up: /dev/shm is memory.
    options = (f"--bind=0.0.0.0:{port}", "--access-logfile=-", "--worker-tmp-dir=/dev/shm")
    return ("gunicorn", *options, f"{loaded.name}()" if loaded.is_factory else loaded.name)


def _uvicorn(loaded: Loaded, port: int) -> Words:
    factory = ("--factory",) if loaded.is_factory else ()
    return ("uvicorn", "--host=0.0.0.0", f"--port={port}", *factory, loaded.name)


def _hypercorn(loaded: Loaded, port: int) -> Words:
    name = f"{loaded.name}()" if loaded.is_factory else loaded.name
    return ("hypercorn", f"--bind=0.0.0.0:{port}", "--access-logfile=-", name)


def _granian(loaded: Loaded, port: int) -> Words:
    factory = ("--factory",) if loaded.is_factory else ()
    options = (f"--interface={loaded.interface}", "--host=0.0.0.0", f"--port={port}", *factory)
    return ("granian", *options, loaded.name)


def _daphne(loaded: Loaded, port: int) -> Words:
    return ("daphne", "--bind=0.0.0.0", f"--port={port}", loaded.name)


def _waitress(loaded: Loaded, port: int) -> Words:
    factory = ("--call",) if loaded.is_factory else ()
    return ("waitress-serve", f"--listen=0.0.0.0:{port}", *factory, loaded.name)


_SERVERS: Mapping[str, Mapping[str, _Server]] = {
    "wsgi": {
        "gunicorn": _Server(words=_gunicorn),
        "granian": _Server(words=_granian, reload=()),
        "waitress": _Server(words=_waitress, reload=()),
    },
    "asgi": {
        "uvicorn": _Server(words=_uvicorn),
        "hypercorn": _Server(words=_hypercorn),
        "granian": _Server(words=_granian, reload=()),
        "daphne": _Server(words=_daphne, reload=()),
    },
}

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
    workspace whose root is no project; `in_extras` says of a distribution in which extra or group
    of the project it is (as `extras = ["web"]`).
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
        found = (
            self._said()
            or self._served()
            or self._streamlit()
            or self._celery()
            or self._script()
            or self._procfile()
        )
        if found is None:
            raise self._nothing_found()
        return self._adjusted(found)

    def _said(self) -> Start | None:
        settings = self.settings
        if settings.command:
            return Start(
                command=settings.command,
                development=settings.command,
                evidence="[tool.uvflow.docker] command",
                port=settings.port,
                probes=settings.port is not None,
                module=".",
            )
        return None

    def _served(self) -> Start | None:
        loaded = self._app_said() or self._django() or self._application()
        return self._serving(loaded) if loaded else None

    def _app_said(self) -> Loaded | None:
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
        return self._django_module()

    def _django_module(self) -> Loaded | None:
        """Without either setting: the wsgi.py or asgi.py that `startproject` makes."""
        for interface in ("wsgi", "asgi"):
            named = (m for m in self.sources.modules if m.name.split(".")[-1] == interface)
            module = next((m for m in named if "application" in m.text), None)
            if module and (self._server(interface) or interface == "asgi"):
                return self._of_django(interface, f"{module.name}.application", module.path)
        return None

    def _of_django(self, interface: str, dotted: str, evidence: str) -> Loaded:
        name, _, attribute = dotted.rpartition(".")
        module = self.sources.module(name)
        return Loaded(
            interface=interface,
            name=f"{name}:{attribute}",
            evidence=evidence,
            module=_path_of(module),
        )

    def _application(self) -> Loaded | None:
        for name, (classes, interface) in _FRAMEWORKS.items():
            found = self.sources.application(classes) if name in self.installed else None
            if found:
                return Loaded(
                    interface=interface,
                    name=f"{found.module.name}:{found.attribute}",
                    evidence=f"{found.module.path} has {classes[0]}()",
                    module=_path_of(found.module),
                    is_factory=found.is_factory,
                )
        return None

    def _server(self, interface: str) -> str | None:
        return next((name for name in _SERVERS[interface] if name in self.installed), None)

    def _serving(self, loaded: Loaded) -> Start:
        name = self._server(loaded.interface)
        if name is None:
            raise self._no_server(loaded)
        server = _SERVERS[loaded.interface][name]
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
        found = self.sources.application(("Celery",)) if "celery" in self.installed else None
        if found is None:
            return None
        words = ("celery", f"--app={found.module.name}:{found.attribute}", "worker")
        return Start(
            command=(*words, "--loglevel=INFO"),
            development=(*words, "--loglevel=INFO"),
            evidence=f"{found.module.path} has Celery()",
            module=_path_of(found.module),
        )

    def _script(self) -> Start | None:
        names = list(self.scripts)
        chosen = names if len(names) == 1 else [name for name in names if name == self.name]
        if not chosen:
            return None
        return Start(
            command=(chosen[0],),
            development=(chosen[0],),
            evidence=f"`{chosen[0]}` of [project.scripts]",
            port=self.settings.port,
            stop_signal="SIGINT",  # Python as process 1 does not end on SIGTERM by itself
        )

    def _procfile(self) -> Start | None:
        """The `web` process of a Procfile; what starts it gives it a PORT to listen on."""
        match = re.search(r"^web:[ \t]*(\S.*)$", self.procfile or "", re.MULTILINE)
        if match is None:
            return None
        line = match[1].strip()
        needs_shell = bool(re.search(r"[$`|&;<>*?~()]", line))
        port = self.settings.port or _PORT
        words = _words(line)
        if needs_shell:
            words = ("sh", "-c", f"exec {line}")
        return Start(
            command=words,
            development=words,
            evidence="`web` of the Procfile",
            port=port,
            health=self.sources.health_path(),
            module=".",
            environment=(("PORT", str(port)),),
            needs_shell=needs_shell,
        )

    def _adjusted(self, start: Start) -> Start:
        """`start` with the probe that the user asks for."""
        match self.settings.health:
            case str(path):
                return replace(start, health=path, probes=True)
            case False:
                return replace(start, health=None, probes=False)
        return start

    def _no_server(self, loaded: Loaded) -> UsageError:
        servers = _SERVERS[loaded.interface]
        named = ", ".join(servers)
        add = f"`uv add {next(iter(servers))}`"
        there = next((name for name in servers if name in self.in_extras), None)
        if there:
            add = f"say `{self.in_extras[there]}` in [tool.uvflow.profiles.prod] for {there}"
        return UsageError(
            f"no server for {loaded.name} is among the production dependencies",
            cause=f"looked for {named}; a development server is not taken for one",
            hint=f"{add}, or name what starts it in [tool.uvflow.docker] command",
        )

    def _nothing_found(self) -> UsageError:
        several = ", ".join(self.scripts)
        if self.members:
            return UsageError(
                "what the container is to start was not found",
                cause="this is the root of a workspace, and no project",
                hint=f"run `uvflow docker` in {' or '.join(self.members)}",
            )
        return UsageError(
            "what the container is to start was not found",
            cause=f"[project.scripts] has several and none is named {self.name}: {several}"
            if several
            else "no web application, no [project.scripts], no `web` in a Procfile",
            hint='say `command = ["python", "-m", "…"]` or `app = "module:attribute"` in '
            "[tool.uvflow.docker], or add a script to [project.scripts]",
        )


def _words(line: str) -> Words:
    """The words of `web` in a Procfile; raises UsageError where no shell would read them."""
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise UsageError(
            "`web` of the Procfile is no command that a shell can read",
            cause=f"{str(error).lower()} in `{line}`",
            hint="correct it, or say what starts the container in [tool.uvflow.docker] command",
        ) from error


def _path_of(module: Module | None) -> str | None:
    if module is None:
        return "."
    return None if module.is_installed else module.path
