"""What a container starts: the command, its port, its health check, and the evidence."""

import ast
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from uvflow.docker import refusals
from uvflow.docker.applications import (
    FRAMEWORKS,
    Application,
    Applications,
    programs,
    scripts_importing,
)
from uvflow.docker.context import files_in
from uvflow.docker.evidence import SERVING, Evidence, command_line
from uvflow.docker.exec_form import (
    TRAP,
    exec_form,
    forwarding,
    options_left_out,
    without_runners,
    without_substitutions,
)
from uvflow.docker.health import health_path, trusted_host
from uvflow.docker.lint import shell
from uvflow.docker.lint.shell import Words
from uvflow.docker.servers import (
    GRADIO_ADDRESS,
    GRADIO_PORT,
    RELOADING,
    SERVERS,
    STREAMLIT_PORT,
    WEBSOCKET_WORKERS,
    Ports,
    check_worker,
    configured_ports,
    follows_port,
    named_ports,
    servers_of,
)
from uvflow.docker.source import Module, Sources, bindings, parent_name, read_files
from uvflow.errors import UsageError

_STREAMLIT_SET_PORT = re.compile(r"^\s*port\s*=\s*(\d{1,5})\b", re.MULTILINE)
_STREAMLIT_SET_PATH = re.compile(r"^\s*baseUrlPath\s*=\s*[\"']/?([\w/-]*\w)", re.MULTILINE)

_DOTTED = re.compile(r"(?<![\w./-])[A-Za-z_]\w*(?:\.\w+)+")
_MOVES = re.compile(r"\bcd |PYTHONPATH|--(?:app-dir|chdir|pythonpath|workdir)\b")
# A page of gradio at the address and the port of GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
_LAUNCH = re.compile(
    r"^(?:from|import) gradio\b[\s\S]*\.launch\((?![^)]*server_port)", re.MULTILINE
)

_SET_PORT = "set `port` in [tool.uvflow.docker]"


@dataclass(frozen=True, kw_only=True)
class Start:
    """A start command in the exec form, and `development`: the same, reloading where it can.

    `health` is the path of an HTTP probe, which asks for `host` where the service allows only some:
    None where it is not known which, so that status 400 may mean another host. With a port and no
    path the probe is a TCP connect. What `loads_source` may load modules that
    are not installed, from the directory `base`. What `is_program` takes the arguments of
    `docker run`, and what `reads_port` listens on the PORT that is given there. `remarks` are what
    the user should know of it.
    """

    command: Words
    evidence: str
    development: Words = ()
    port: int | None = None
    health: str | None = None
    host: str | None = ""
    probes: bool = True
    loads_source: bool = False
    base: str = "."
    environment: tuple[tuple[str, str], ...] = ()
    reads_port: bool = False
    is_program: bool = False
    ends_at_sigterm: bool = True  # as process 1, Python does not by itself
    remarks: tuple[str, ...] = ()


Candidate = Start | Application

# `waitress-serve` is none of them, nor is a program of the project. A shell that waits has a trap,
# and a script of a shell most often ends with `exec` of a server.
_END_AT_SIGTERM = {*SERVERS, "arq", "celery", "dramatiq", "fastapi", "flask", "rq", "streamlit"}
_SHELL_ENDS = re.compile(r"(?:.*\.)?(?:ba)?sh|wait")
_HANDLER = re.compile(r"SIGTERM|\bgunicorn\.app\b")  # a server in a script is one as well

# The variable that tells a framework its application → the interface of that.
_APP_VARIABLES = {"FLASK_APP": "wsgi", "LITESTAR_APP": "asgi", "QUART_APP": "asgi"}
_APP_VARIABLE = re.compile(
    rf"^(?:export )?({'|'.join(_APP_VARIABLES)})=[\"']?(.+?)[\"']?\s*(?:\s#.*)?$", re.MULTILINE
)
_WSGI_APP = re.compile(r"^wsgi_app *= *[\"']([\w.]+:\w+(?:\(\))?)[\"']", re.MULTILINE)
# A worker that serves ASGI (uvicorn docs, "Deployment", "Gunicorn").
_ASGI_WORKER = re.compile(r"^worker_class *= *[\"'][\w.]*[Uu]vicorn[\w.]*[\"']", re.MULTILINE)
# Programs that the image lacks, unless the distribution is locked that their names begin with, or
# the package of Debian is named.
_ELSEWHERE = {
    "chamber", "conda", "docker", "doppler", "foreman", "hatch", "heroku", "honcho", "make",
    "newrelic-admin", "npm", "nginx", "pdm", "pipenv", "poetry", "rye", "uv", "uvx", "uwsgi",
    "yarn",
}  # fmt: skip
_DEVELOPMENT = re.compile(r"\b(?:runserver|flask (?:.* )?run|fastapi dev)\b|--(?:reload|debug)\b")
_NO_BEAT = "is not followed: name `celery … beat` in [tool.uvflow.docker.processes]"
_OF_DJANGO = {f"django.core.{each}.get_{each}_application" for each in ("asgi", "wsgi")}
_OF_SHELLS = {"bash", "cd", "echo", "exec", "export", "python", "python3", "sh", "wait"}
_ABSOLUTE = re.compile(r"(?<![\w.:$}/])/(?!app/)\w[\w./-]*\.\w+")  # files outside of the image
_WORKS = re.compile(r"\b(?:arq|celery|dramatiq|rq|worker)\b")
_NO_SERVICE = {"cat", "ipython", "pytest", "sleep", "tail", "true"}


class Search(Evidence):
    """Where a start command is looked for."""

    def start(self) -> Start:
        """The start command, by the first evidence that exists.

        Raises UsageError with the lines to write where none does, or for more than one candidate.
        """
        files = (self._procfile, self._configured, self._django, self._compose)
        evidence = (self._settings, *files, self._objects, self._scripts)
        candidates = next(filter(None, (tuple[Candidate, ...](find()) for find in evidence)), ())
        if not candidates:
            raise refusals.no_start(self, self.processes())
        if len(candidates) > 1:
            lines = self._lines(candidates)
            raise refusals.several_starts(zip((c.evidence for c in candidates), lines, strict=True))
        [chosen] = candidates
        start = self._published(chosen if isinstance(chosen, Start) else self._served(chosen))
        *_, program = self._programs(start.command)
        if program == "gunicorn":
            text = f"{' '.join(start.command)}\n{self.file('gunicorn.conf.py')}"
            check_worker(text, self.versions)
        is_handled = any(_HANDLER.search(module.text) for module in self.sources.modules)
        is_ended = program in _END_AT_SIGTERM or _SHELL_ENDS.fullmatch(program) is not None
        return replace(
            self._probed(start),
            development=start.development or start.command,
            ends_at_sigterm=is_handled or is_ended,
            probes=self.settings.health is not False,
        )

    def _lines(self, candidates: Collection[Candidate]) -> Iterator[str]:
        """The line that means each: where two have one name, what starts each in its directory."""
        lines = [_setting(each) for each in candidates]
        for each, line in zip(candidates, lines, strict=True):
            if lines.count(line) == 1:
                yield line
                continue
            start = each if isinstance(each, Start) else self._served(each)
            inside = f"cd {shlex.quote(start.base)} && exec {shlex.join(start.command)}"
            words = start.command if start.base == "." else ("sh", "-c", inside)
            yield refusals.command_setting(words)

    def _published(self, start: Start) -> Start:
        """The same with what the ports in the compose file are to it: evidence, or a remark."""
        port, evidence = start.port, start.evidence
        if port in self.published or not self.published:
            is_taken = port == self.usable != self.settings.port and "compose file" not in evidence
            more = f"; port {port} of the compose file" if is_taken else ""
            return replace(start, evidence=f"{evidence}{more}")
        ports = " and ".join(map(str, self.published))
        listens = f"the image listens on {port}" if port else "it is not known that it listens"
        remark = f"the compose file has port {ports} for {self.service}, and {listens}"
        return replace(
            start, remarks=(*start.remarks, f"{remark}: change it there, or {_SET_PORT}")
        )

    def processes(self) -> tuple[tuple[str, Words], ...]:
        """Other commands of the image, by name: of the settings, the Procfile, or compose."""
        lines = {name: line for name, line in self.entries.items() if name != "web"}
        if self.service and not self.entries:
            others = {name: self._line(each) for name, each in self.services.items()}
            lines = {name: line for name, line in others.items() if line and name != self.service}
        return self.settings.processes or tuple(
            (k, exec_form(line, k)) for k, line in lines.items()
        )

    def remarks(self) -> Iterator[str]:
        """What the user should know of files that are no evidence."""
        if len(self.services) > 1 and not (self.service or self.settings.command or self.entries):
            names = " and ".join(self.services)
            yield f"the compose file builds {names} here: none stands out as the service"
        for name, words in self.processes():
            yield from self._misnamed(words, f"the process {name}")
        for name, each in self.services.items() if not self.entries else ():
            command = re.match(r"\w[\w-]*(?= |$)", without_runners(command_line(each)))
            if command and not self._is_program(command[0]):
                where = f"`command` of {name} in the compose file"
                yield f"{where} is passed over: no locked package is known to have {command[0]}"

    def _started(self, words: Words) -> list[tuple[Mapping[str, str], Words]]:
        """The commands that `words` start, each with its variables: the last is what runs on."""
        plain = tuple(map(without_substitutions, words))
        return [({}, words), *shell.started(plain, lambda _: "", dict(self.settings.environment))]

    def _programs(self, words: Words) -> list[str]:
        return [shell.program(each) for _, each in self._started(words)]

    def _lacking(self, words: Words) -> list[str]:
        """The programs that `words` start and the image does not have."""
        available = {*self.installed, *self.settings.runtime_packages}
        known = filter(_ELSEWHERE.__contains__, self._programs(words))
        return [program for program in known if program.partition("-")[0] not in available]

    def _probed(self, start: Start) -> Start:
        """The same with the health path of the settings, and a host that the service allows."""
        given, remarks = self.settings.health, start.remarks
        if given and not start.port:
            remarks = (*remarks, f"`health` of [tool.uvflow.docker] has no port: {_SET_PORT}")
        health = given if isinstance(given, str) else start.health
        module = self.django.settings_module if "django" in self.installed else None
        host = self.django.allowed_host() if module else trusted_host(self.sources)
        if health and host is None and given is None:
            hosts = f"ALLOWED_HOSTS of {module}" if module else "the list of trusted hosts"
            why = f"{hosts} is computed, and may not allow 127.0.0.1"
            remarks = (*remarks, f"{why}: with status 400 the image counts as healthy as well")
        return replace(start, health=health, host=host, remarks=remarks)

    def _is_program(self, name: str) -> bool:
        """Whether the image has it: files, programs of a shell and of locked distributions are."""
        own = {*self.scripts, *self.settings.runtime_packages, *_OF_SHELLS, *_END_AT_SIGTERM}
        is_locked = any(name.startswith(each) or name in each for each in self.installed)
        return is_locked or name in own or not re.fullmatch(r"\w[\w-]*", name)

    def _line(self, service: Mapping[str, Any]) -> str:
        """Its `command` for a shell; empty where that serves nothing, or needs another image."""
        line = command_line(service)
        is_moved = not service.keys().isdisjoint({"entrypoint", "working_dir"})
        words = ("sh", "-c", without_runners(line))
        *_, (_, last) = self._started(words)
        program = shell.program(last)
        is_moved |= self._names_elsewhere(f"{line}\n{self._script_text(last)}")
        is_idle = program in _NO_SERVICE or line in {"bash", "sh"}
        is_of_entrypoint = line.startswith(("/", "-"))  # or options for it
        is_other = is_idle or is_of_entrypoint or not ("/" in last[0] or self._is_program(program))
        is_other = bool(is_other or _DEVELOPMENT.search(line) or self._lacking(words))
        return "" if is_moved or is_other else line

    def _names_elsewhere(self, text: str) -> bool:
        """Whether a file of the project has a path in it that the image does not have."""
        named = (PurePosixPath(path).parts[1:] for path in _ABSOLUTE.findall(text))
        ends = (parts[number:] for parts in named for number in range(len(parts)))
        return any(self.project.root.joinpath(*end).is_file() for end in ends)

    def _listens(self, words: Words, given: int) -> Ports:
        """The ports that `words` listen on with `given` as PORT."""
        started = self._started(words)
        exported = [word for _, (name, *rest) in started if name == "export" for word in rest]
        folder = "/".join(rest[0] for _, (name, *rest) in started if name == "cd" and rest)
        ports = (
            named_ports(
                command,
                " ".join((*exported, *(f"{key}={value}" for key, value in environ.items()))),
                lambda name: self.configuration(name, folder),
                given,
            )
            for environ, command in (started if words[-1].startswith(TRAP) else started[-1:])
        )
        return next((each for each in ports if each), ())

    def _settings(self) -> Iterator[Candidate]:
        command, app = self.settings.command, self.settings.app
        if command:
            start = self._of_words(command, "[tool.uvflow.docker] command")
            is_program = len(command) == 1 and command[0] in self.scripts and not start.port
            yield replace(start, is_program=is_program)
        elif app:
            known = self.web.found.get(app.replace(":", ".").removesuffix("()"))
            if known and app.endswith("()") and not known.is_factory:
                line = refusals.app_setting(known.name)
                raise UsageError(f"{known.name} is no function to call", hint=f"write {line}")
            interfaces = (*self.classes.values(), "wsgi", "asgi")
            interfaces = (known.interface,) if known else interfaces
            # One that asks for asgi is not given to a server for wsgi.
            usable = (each for each in interfaces if self._server(each) or each == "asgi")
            interface = next(usable, interfaces[0])
            yield self._named(app, interface, "[tool.uvflow.docker] app")

    def _procfile(self) -> Iterator[Start]:
        if line := self.entries.get("web"):
            yield self._of_line(line, "`web` of the Procfile", self.given)

    def _configured(self) -> Iterator[Application]:
        entrypoint = self.project.table("tool", "fastapi").get("entrypoint")
        named = _WSGI_APP.search(self.file("gunicorn.conf.py"))
        if isinstance(entrypoint, str) and ":" in entrypoint:
            yield self._named(entrypoint, "asgi", "[tool.fastapi] entrypoint")
        elif named and "gunicorn" in self.installed:
            yield self._named(named[1], "wsgi", "wsgi_app in gunicorn.conf.py")
        else:
            for file in (".env", ".flaskenv"):
                if match := _APP_VARIABLE.search(self.file(file)):
                    variable, value = match.groups()
                    interface = _APP_VARIABLES[variable]
                    yield from self._of_variable(value, interface, f"{variable} in {file}")
                    return

    def _of_variable(self, value: str, interface: str, evidence: str) -> list[Application]:
        """A module or a file, and which object there, by default the application."""
        place, colon, attribute = value.partition(":")
        module = next((m for m in self.sources.modules if place in (m.name, m.path)), None)
        if not colon:
            found = self.web.likeliest(within=module) if module else []
            return [replace(each, evidence=evidence) for each in found]
        if module:
            functions = {n.name for n in module.statements if isinstance(n, ast.FunctionDef)}
            value = f"{module.name}:{attribute}{'()' if attribute in functions else ''}"
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
        if "django" not in self.installed:
            return
        django, found = self.django, list[list[Application]]()
        files = {interface: django.served(interface) for interface in ("wsgi", "asgi")}
        if django.named or all(len(modules) <= 1 for modules in files.values()):
            for interface in ("asgi", "wsgi"):
                key = f"{interface.upper()}_APPLICATION"
                if dotted := django.text(key):
                    name = ":".join(dotted.rsplit(".", 1))
                    evidence = f"{key} of {django.settings_module}"
                    found.append([self._named(name, interface, evidence)])
        for interface, modules in files.items():
            named = [self._named(f"{m.name}:application", interface, m.path) for m in modules]
            found.append([replace(a, module=m) for a, m in zip(named, modules, strict=True)])
        objects = {
            f"{module.name}.{name}"
            for modules in files.values()
            for module in modules
            for node in module.statements
            for name, value in bindings(node)
            if name == "application" or module.dotted(getattr(value, "func", value)) in _OF_DJANGO
        }
        if self.web.parts & (objects | _OF_DJANGO) and (mounting := self.web.likeliest()):
            yield from mounting
            return
        found = [each for each in found if each]
        served = [each for each in found if self._server(each[0].interface)]
        if found:
            chosen = (served or found)[0]
            self._check_meant([each for each in chosen if each.module.base != "."])
            yield from chosen

    def _compose(self) -> Iterator[Candidate]:
        """The `command` of the service in the compose file, unless that is for development.

        Where none is the service, those of several that start a server.
        """
        if line := self._line(self.services.get(self.service, {})):
            yield self._of_line(line, "`command` of the compose file")
            if _WORKS.search(f"{self.service} {line}"):  # the service may be started by hand
                yield from (each for each in self.web.likeliest() if self._server(each.interface))
        elif not self.service:
            lines = dict[str, str]()
            for name, each in self.services.items():
                lines.setdefault(self._line(each), name)  # which others may extend
            serving = {line: name for line, name in lines.items() if SERVING.search(line)}
            for line, name in serving.items() if len(serving) > 1 else ():
                yield self._of_line(line, f"`command` of {name} in the compose file")

    def _objects(self) -> Iterator[Candidate]:
        """Objects in the sources: web applications and Streamlit pages, else a Celery queue."""
        found = self.web.likeliest()
        self._check_members(found)
        self._check_meant(found)
        yield from [each for each in found if self._server(each.interface)] or found
        if found and any("uvicorn.Server(" in module.text for module in self.sources.modules):
            yield from map(self._script, self.scripts)  # which may do more than to serve that
        yield from self._beside(found) if found else ()
        names = {"streamlit"} & self.installed
        pages = [page for name in names for page in scripts_importing(self.sources, name)]
        yield from map(self._streamlit, pages)
        if pages and f"{self.service}.__main__" in self.sources.by_name:
            evidence = f"{self.service} of the compose file"
            yield Start(command=("python", "-m", self.service), evidence=evidence)
        if not (found or pages) and "celery" in self.installed:
            processes = [word for _, words in self.processes() for word in words]
            schedules = [m.path for m in self.sources.modules if "beat_schedule" in m.text]
            lacks = schedules if "beat" not in processes else []
            for queue in Applications(self.sources, {"Celery": ""}).likeliest():
                yield Start(
                    command=("celery", f"--app={queue.name}", "worker", "--loglevel=INFO"),
                    evidence=queue.evidence,
                    loads_source=not queue.module.is_installed,
                    base=queue.module.base,
                    remarks=tuple(f"the schedule of {path} {_NO_BEAT}" for path in lacks[:1]),
                )

    def _check_meant(self, found: Collection[Application]) -> None:
        """Raises UsageError where nothing tells that the project is for one of `found`."""
        names, modules = self.sources.packages.get(self.project.root, {}), self.sources.modules
        own = {m.name for m in modules if any(m.path.startswith(f"{each}/") for each in names)}
        made = {parent_name(each, 1) for each in self.web.factories} & own
        reasons = {
            "its framework and its server come with other packages": not self._is_web(),
            "its path is that of a copy or an example": all(each.is_copy for each in found),
            "it is beside the package that is installed": own
            and not made
            and all(each.is_aside and each.module.name not in own for each in found),
        }
        for why in (why for why, holds in reasons.items() if found and holds):
            raise refusals.not_meant(((each.evidence, _setting(each)) for each in found), why)

    def _beside(self, found: Collection[Application]) -> list[Start]:
        """Programs that serve one of `found` beside their own work, or that serve another page."""
        sources = self.sources
        # Python would import one of these, and end.
        modules = {each.module.path for each in found if "__name__ ==" not in each.module.text}
        runnable = [Start(command=w, evidence=p) for p, w in programs(sources) if p not in modules]
        unread = sorted(refusals.UNREAD & self.installed)
        pages = {page.name for name in unread for page in scripts_importing(sources, name)}
        pages -= {each.module.path for each in found}
        served = [each for each in runnable if each.evidence in pages]
        more = self.web.served_beside_others()
        serving = [each for each in runnable if each.evidence in more]
        is_beside = more or any(map(self.web.is_filled_later, found))
        return served or serving or (runnable[:2] if is_beside else [])

    def _is_web(self) -> bool:
        """Whether the project itself asks for a web framework or a server, as far as is known."""
        words = re.findall(r"[\w-]+", str(self.project.manifest).lower())
        is_alone = self.direct and not self.sources.packages.keys() - {self.project.root}
        return not is_alone or not {*refusals.WEB, *SERVERS}.isdisjoint({*self.direct, *words})

    def _check_members(self, found: Collection[Application]) -> None:
        """Raises UsageError where `found` is of a member, and one that no sync installs has more.

        A project at the root depends on the members that it means.
        """
        paths = [each.module.path for each in found]
        members = {m for m in self.members for path in paths if path.startswith(f"{m}/")}
        if "project" in self.project.manifest or not members:
            return
        directories = {member: self.project.root / member for member in self.members}
        apart = [m for m, path in directories.items() if not self.sources.packages.get(path)]
        others = [m for m in apart if Applications(Sources(directories[m]), self.classes).found]
        if others:
            names = sorted(members.union(others))
            commands = (f"`uvflow docker --directory {shlex.quote(name)}`" for name in names)
            raise UsageError(
                "several members of the workspace could be started",
                cause=f"{' and '.join(names)} have applications",
                hint=f"run {' or '.join(commands)}",
            )

    def _streamlit(self, page: Application) -> Start:
        set_port, health = self._streamlit_config()
        port = set_port or self.usable or STREAMLIT_PORT
        options = ("--server.address=0.0.0.0", f"--server.port={port}", "--server.headless=true")
        return Start(
            command=("streamlit", "run", *options, page.name),
            development=("streamlit", "run", *options, "--server.runOnSave=true", page.name),
            evidence=page.evidence,
            port=port,
            health=health,
            loads_source=True,
            # Streamlit looks for modules beside the page alone; "" is the root.
            base="" if page.module.base == "." and "/" in page.name else page.module.base,
        )

    def _streamlit_config(self) -> tuple[int | None, str]:
        """The port that is set, and the path of the health check (Streamlit docs, "Docker")."""
        text = self.file(".streamlit/config.toml")
        port, path = _STREAMLIT_SET_PORT.search(text), _STREAMLIT_SET_PATH.search(text)
        health = f"{'/' + path[1] if path else ''}/_stcore/health"
        return self.settings.port or (int(port[1]) if port else None), health

    def _scripts(self) -> Iterator[Start]:
        """Programs; a project with a web framework has them beside its service."""
        # Of several names for one function the first.
        programs = {target: name for name, target in reversed([*self.scripts.items()])}
        # aiohttp and tornado are clients as well
        is_web = any("web.Application(" in module.text for module in self.sources.modules)
        if not (is_web or refusals.WEB & self.direct):
            yield from map(self._script, sorted(programs.values()))

    def _script(self, name: str) -> Start:
        where, package = f"`{name}` of [project.scripts]", re.split(r"[.:]", self.scripts[name])[0]
        is_known = package in self._names_there or package.replace("_", "-") in self.installed
        return Start(
            command=(name,),
            evidence=where,
            port=self.settings.port,
            is_program=True,
            remarks=() if is_known else (f"{where} is in {package}, which no source here has",),
        )

    @cached_property
    def _names_there(self) -> set[str]:
        """The names of the files and directories of the project, as modules have them."""
        paths = files_in(self.sources.root)
        return {part.removesuffix(".py") for path in paths for part in path.parts}

    def _served(self, found: Application) -> Start:
        name = self._server(found.interface)
        if name is None or (found.name.endswith(")") and name != "gunicorn"):
            raise refusals.no_server(self, found)
        server, command = SERVERS[name], SERVERS[name].command
        settings = self.file("gunicorn.conf.py") if name == "gunicorn" else ""
        if reads_port := follows_port(settings):
            command = command.replace("--bind=0.0.0.0:{port} ", "")
        if name == "gunicorn" and "flask-socketio" in self.installed:
            worker = next(w for each, w in WEBSOCKET_WORKERS.items() if each in self.installed)
            command = f"{command} --workers=1 {worker}"
        bound = configured_ports(name, command, self.configuration, self.given)
        port = self.settings.port or _last(bound) or self.given
        line = f"{command} {server.factory if found.is_factory else '{name}'}"
        values = {"port": port, "interface": found.interface, "name": found.name}
        words = tuple(word.format_map(values) for word in line.split())
        own = self.sources.origin(found.name.replace(":", "."))
        inside = self.django.inside(found.name.partition(".")[0])
        return Start(
            command=words,
            development=(words[0], *(["--reload"] if name in RELOADING else []), *words[1:]),
            evidence=f"{found.evidence}; {name} is a dependency",
            port=port,
            health=self._health(self.web.outermost - {own}),
            loads_source=bool(inside)
            or not found.module.is_installed
            or bool(settings)
            or read_files(self.sources),
            base=inside or found.module.base,
            environment=(("PORT", str(port)),) if reads_port else (),
            reads_port=reads_port,
            remarks=(f"{bound}: the image listens on port {port}",)
            if isinstance(bound, str)
            else (),
        )

    def _of_line(self, line: str, evidence: str, given: int | None = None) -> Start:
        """The start by a line as a shell reads it, as `_of_words`."""
        words = exec_form(line, evidence)
        for program in self._lacking(words):
            raise UsageError(
                f"{evidence} starts {program}, which the image does not have",
                hint="set `command` in [tool.uvflow.docker] to what that starts",
            )
        left_out = " and ".join(options_left_out(line))
        start = self._of_words(self._forwarding(words), evidence, given)
        more = (f"{left_out} of {evidence} is left out",) if left_out else ()
        return replace(start, remarks=(*start.remarks, *more))

    def _of_words(self, words: Words, evidence: str, given: int | None = None) -> Start:
        """The start by `words` with a PORT to listen on: `given`, where nothing names another."""
        named, started = self._listens(words, self.given), re.split(r"[\s()]", " ".join(words))
        reads_port = not named or named != self._listens(words, 0)
        apps = self.web.found.keys() & {word.replace(":", ".") for word in started}
        program, variables, health = self._programs(words)[-1], dict[str, str](), None
        if program not in self.installed - {*FRAMEWORKS, *SERVERS}:  # another has its own routes
            health = self._health(self.web.outermost - apps if apps else ())
        if not named and program == "streamlit":
            set_port, health = self._streamlit_config()
            named, reads_port = (set_port or STREAMLIT_PORT,), False
        elif not named and self._launches_gradio(words):
            named, reads_port = (self.settings.port or given or GRADIO_PORT,), False
            variables = {**GRADIO_ADDRESS, "GRADIO_SERVER_PORT": str(named[-1])}
        port = self.settings.port or (_last(named) if named else given)
        variables |= {"PORT": str(port or self.given)} if port or named else {}
        return Start(
            command=words,
            evidence=evidence,
            port=port,
            health=health if port else None,
            loads_source=True,
            environment=tuple(variables.items()),
            reads_port=reads_port,
            remarks=tuple(self._doubts(words, evidence, named)),
        )

    def _doubts(self, words: Words, evidence: str, named: Ports) -> Iterator[str]:
        """What is wrong with a command that listens on the ports `named`."""
        port = self.settings.port
        if isinstance(named, str):
            why = f"{evidence}: {named}, so no port is exposed or probed"
            yield from [] if port else [f"{why}: where it has one, {_SET_PORT}"]
        elif named and port and port not in named:
            yield f"{evidence} listens on {named[-1]}, and `port` in [tool.uvflow.docker] is {port}"
        yield from self._misnamed(words, evidence)

    def _misnamed(self, words: Words, evidence: str) -> Iterator[str]:
        """What names modules as another directory has them."""
        line, root = " ".join(words), self.project.root
        for named in [] if _MOVES.search(line) else _DOTTED.findall(line):
            for module in filter(_DOTTED.fullmatch, (named, parent_name(named, 1))):
                path, known = module.replace(".", "/"), self.sources.by_name
                if module in known or (root / path).exists() or (root / f"{path}.py").exists():
                    break
                for name in (each for each in known if each.endswith(f".{module}")):
                    yield f"{evidence} has {module}, which is {name} in the image"

    def _launches_gradio(self, words: Words) -> bool:
        """Whether a file or a module that is run leaves the address of its page to variables."""
        _, run = self._started(words)[-1]
        texts = (m.text for m in self.sources.modules if not {m.path, m.name}.isdisjoint(run))
        return "gradio" in self.installed and any(map(_LAUNCH.search, texts))

    def _forwarding(self, words: Words) -> Words:
        """The same, by a shell that hands signals on if the script that they start does not."""
        text = self._script_text(words)
        if not re.match(r"#!.*sh\b", text) or re.search(r"\b(?:exec|trap)\b", text):
            return words
        return ("sh", "-c", forwarding(f"{shlex.join(words)}; "))

    def _script_text(self, words: Words) -> str:
        script = words[1:2] if shell.program(words) in {"bash", "sh"} else words[:1]
        return self.configuration(script[0]) if script else ""

    def _health(self, others: Collection[str]) -> str | None:
        """Of the URLs of Django, or of an application that is none of `others`."""
        urls = self.django.text("ROOT_URLCONF") if "django" in self.installed else None
        lists = [urls] if urls else [module.name for module in self.sources.modules]
        return health_path(self.sources, {*lists, *self.web.kinds} - {*others})

    def _server(self, interface: str) -> str | None:
        has_both = self.installed >= {"gunicorn", "uvicorn"}
        if interface == "asgi" and has_both and _ASGI_WORKER.search(self.file("gunicorn.conf.py")):
            return "gunicorn"
        return next((name for name in servers_of(interface) if name in self.installed), None)


def _setting(candidate: Candidate) -> str:
    if isinstance(candidate, Start):
        return refusals.command_setting(candidate.command)
    return refusals.app_setting(f"{candidate.name}{'()' if candidate.is_factory else ''}")


def _last(ports: Ports) -> int | None:
    return ports[-1] if ports and not isinstance(ports, str) else None
