"""What a project says of its start: settings, Procfile, compose file, sources, dependencies."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvflow.docker import header
from uvflow.docker.applications import FRAMEWORKS, Applications
from uvflow.docker.context import source_text
from uvflow.docker.django import SETTINGS_MODULE, Django
from uvflow.docker.servers import SERVERS
from uvflow.docker.settings import Settings
from uvflow.docker.source import Sources
from uvflow.files import text_if_there
from uvflow.project.manifest import Project
from uvflow.project.schema import BYTE_ORDER_MARK

_PORT = 8000
_RESERVED = 1023  # the highest port of root's
_MOST = 1 << 16  # bytes of a Procfile, or of a file that may name the application
# In the order in which Compose looks for them; it reads the first alone.
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")

SERVING = re.compile(rf"^\[|\b(?:{'|'.join(SERVERS)})\b")  # of a compose file
_PROXY = re.compile(r"caddy|envoy|frontend|haproxy|nginx|proxy|traefik")
_BESIDE_NAME = re.compile(r"(?:^|[_-])(?:beat|debug|dev|flower|local|tests?|worker)(?:[_-]|$)")
# A schedule, a monitor or a build for browsers: not the service, although it may have a port.
_BESIDE = re.compile(r"\bcelery\b.* (?:beat|flower)\b|(?:^|run |-m )flower\b|^(?:npm|yarn) ")
_PROCESS = re.compile(r"^([\w-]+):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)  # of a Procfile


@dataclass(kw_only=True)
class Evidence:
    """What tells which command is to be started.

    `versions` are those of production's distributions, `direct` the project's own dependencies,
    `scripts` is `[project.scripts]` of a project that is installed, `members` are the directories
    of the others in a workspace whose root this is. Of the `services` that a compose file builds
    here, `service` is the web process: the only one, or the only one that publishes a port.
    `shadowed` is the compose file that Compose would not read beside a new compose.yaml.
    """

    project: Project
    settings: Settings
    sources: Sources
    versions: Mapping[str, str]
    direct: frozenset[str]
    scripts: Mapping[str, str]
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.installed = self.versions.keys()
        self.entries = dict(_PROCESS.findall(self.file("Procfile")))
        self.classes = dict(row for name, row in FRAMEWORKS.items() if name in self.installed)
        if "Bottle" in self.classes:
            self.classes["default_app"] = "wsgi"
        self.web = Applications(self.sources, self.classes)
        line = " ".join(self.settings.command or ()) or self.entries.get("web", "")
        named = re.search(rf"\b{SETTINGS_MODULE}=[\"']?([\w.]+)", line)
        in_image = dict(self.settings.environment).get(SETTINGS_MODULE)
        self.django = Django(self.sources, in_image, in_line=named[1] if named else None)
        files = {name: text for name in _COMPOSE if (text := self.file(name))}
        self.shadowed = "" if "compose.yaml" in files else next(iter(files), "")
        compose = next((text for text in files.values() if header.read(text) is None), "")
        found = self.project.root.glob("*compose[.-]prod*.y*ml")
        texts = [compose, *(self.file(path.name) for path in sorted(found)[:1])]
        self.services = _built_here([self._compose_services(text) for text in texts if text])
        self.service = _web_service(self.services)
        self.published = _container_ports(self.services.get(self.service, {}))
        # A user that is not root may bind no lower one, but in Docker.
        one = self.published[0] if len(self.published) == 1 else 0
        self.usable = one if one > _RESERVED else 0
        self.given = self.settings.port or self.usable or _PORT

    def file(self, name: str) -> str:
        path = self.project.root / name
        text = "" if path.is_dir() else text_if_there(path, _MOST) or ""
        return text.removeprefix(BYTE_ORDER_MARK)

    def _compose_services(self, text: str) -> dict[str, Mapping[str, Any]]:
        """The services of a compose file, each with what it extends."""
        services = _services(text)
        whole: dict[str, Mapping[str, Any]] = {}
        for name, service in services.items():
            extends = service.get("extends") or {}
            of = extends if isinstance(extends, Mapping) else {"service": extends}
            file = str(of.get("file") or "")
            others = _services(self.configuration(file)) if file else services
            whole[name] = {**others.get(str(of.get("service")), {}), **service}
        return whole

    def configuration(self, name: str, folder: str = "") -> str:
        """The text of a file or a module of the project that configures a server."""
        kind, _, place = name.rpartition(":")
        if kind == "python":
            return self.sources.by_name[place].text if place in self.sources.by_name else ""
        path = Path(folder, place)
        is_inside = not path.is_absolute() and ".." not in path.parts
        return source_text(self.project.root / path) if is_inside else ""


def _services(text: str) -> dict[str, Mapping[str, Any]]:
    """Those of a compose file."""
    import yaml  # 15 ms, for a project with a compose file only

    class Loader(yaml.SafeLoader):  # with the tags `!reset` and `!override` of Compose
        pass

    def list_of(loader: Loader, _tag: str, node: yaml.Node) -> list[Any]:
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return []

    Loader.add_multi_constructor("!", list_of)
    try:
        services = yaml.load(text, Loader)["services"].items()  # noqa: S506  a safe loader
        return {str(name): each for name, each in services if isinstance(each, Mapping)}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def _built_here(files: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    """The services of files, the later of which change the earlier, that are built here.

    Neither a proxy is one, nor what is started with a profile, unless that is of production.
    """
    services: dict[str, Mapping[str, Any]] = {}
    for file in files:
        services |= {name: {**services.get(name, {}), **each} for name, each in file.items()}
    return {
        name: each
        for name, each in services.items()
        if _build(each, "context") in {".", "./"}
        and not re.search(r"\b(?!prod)\w", str(each.get("profiles") or ""))
        and not _PROXY.search(f"{name} {_build(each, 'dockerfile')}")
    }


def command_line(service: Mapping[str, Any]) -> str:
    """Its `command` for a shell."""
    command = service.get("command") or ""
    line = shlex.join(map(str, command)) if isinstance(command, list) else str(command)
    return line.replace("$$", "$").strip()


def _web_service(services: Mapping[str, Mapping[str, Any]]) -> str:
    """The only one; else the only one with a port, or that starts a server where none has.

    Of several the only one whose name does not tell that it is another.
    """
    lines = {name: command_line(each) for name, each in services.items()}
    able = {name: each for name, each in services.items() if not _BESIDE.search(lines[name])}
    published = [name for name, each in able.items() if each.get("ports")]
    texts = {name: f"{each.get('expose')} {lines[name]}" for name, each in able.items()}
    serving = [name for name, text in texts.items() if SERVING.search(text)]
    web = [*able] if len(services) == 1 else published or serving
    web = web if len(web) == 1 else [name for name in web if not _BESIDE_NAME.search(name)]
    return web[0] if len(web) == 1 else ""


def _container_ports(service: Mapping[str, Any]) -> list[int]:
    """The TCP ports of the container that are published, else those that are exposed."""
    texts = (
        f"{each.get('target')}/{each.get('protocol', 'tcp')}" if isinstance(each, Mapping) else each
        for each in service.get("ports") or service.get("expose") or ()
    )
    found = (re.search(r"(?:^|:|:-)(\d{1,5})\}?(?:/tcp)?$", str(text)) for text in texts)
    return [int(match[1]) for match in found if match]


def _build(service: Mapping[str, Any], key: str) -> Any:
    """What it is built by; a string is the context, and the dockerfile has a default."""
    build = service.get("build")
    if isinstance(build, Mapping):
        return build.get(key, "." if key == "context" else "")
    return build if key == "context" else ""
