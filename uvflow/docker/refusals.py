"""Why no start command can be chosen, and the lines to write that say which one is meant."""

import ast
import json
import re
from collections.abc import Iterable, Iterator

from uvflow.docker.applications import FRAMEWORKS, Application, Applications, programs
from uvflow.docker.evidence import Evidence
from uvflow.docker.servers import servers_of
from uvflow.docker.source import Module, bindings, callee, string
from uvflow.errors import UsageError

# Frameworks with a service; that of some is not looked for.
WEB = {
    *FRAMEWORKS, "blacksheep", "chainlit", "cherrypy", "connexion", "django", "falcon", "gradio",
    "nicegui", "panel", "pyramid", "robyn", "sanic", "strawberry", "streamlit",
} - {"fastmcp"}  # fmt: skip
UNREAD = WEB - {*FRAMEWORKS, "django", "streamlit"}
_UNREAD_CLASSES = dict.fromkeys(("App", "Application", "AsyncApp", "FlaskApp", "GraphQL"), "")
# The arguments with which a server calls an application itself (PEP 3333, ASGI 3.0).
_CALLED_WITH = ["environ", "start_response"], ["scope", "receive", "send"]
# What makes an object that a program of its own package runs → that program.
_RUNNERS = {
    "fastmcp.FastMCP": "fastmcp run {1} --transport=http --host=0.0.0.0 --port=8000",
    "faststream.FastStream": "faststream run {}",
    "sanic.Sanic": "sanic {} --host=0.0.0.0 --port=8000",
}
_NOT_INSTALLED = "uv installs no project that has no [build-system]"
_HANDFUL = 5
_WAYS = (
    'set `command = ["python", "-m", "…"]` or `app = "module:attribute"` in [tool.uvflow.docker], '
    "or add a script to [project.scripts]"
)


def command_setting(words: Iterable[str]) -> str:
    """The line of `[tool.uvflow.docker]` that starts `words`."""
    return f"`command = {json.dumps([*words], ensure_ascii=False)}`"


def app_setting(name: str) -> str:
    return f'`app = "{name}"`'


def several_starts(found: Iterable[tuple[str, str]]) -> UsageError:
    """`found` are the evidence of each start and the line that means it."""
    evidence, lines = zip(*found, strict=True)
    return UsageError(
        "several things could be started, and nothing tells which is meant",
        cause=", ".join(dict.fromkeys(evidence)),
        hint=_to_write(lines),
    )


def not_meant(found: Iterable[tuple[str, str]], why: str) -> UsageError:
    evidence, lines = zip(*found, strict=True)
    return UsageError(
        "nothing tells that the project is a web application",
        cause=f"{', '.join(evidence)}, but {why}",
        hint=_to_write(lines),
    )


def no_server(evidence: Evidence, found: Application) -> UsageError:
    """No other server than gunicorn calls a factory with arguments."""
    servers = ["gunicorn"] if found.name.endswith(")") else servers_of(found.interface)
    cause = f"looked for {', '.join(servers)}; a development server does not count"
    take = "name the extra or group that has one in [tool.uvflow.profiles.prod]"
    tables = {
        "groups": evidence.project.table("dependency-groups"),
        "extras": evidence.project.table("project", "optional-dependencies"),
    }
    for key, lists in tables.items():
        for name, requirements in lists.items():
            text = " ".join(f" {each}".lower() for each in requirements)
            if server := re.search(rf" ({'|'.join(servers)})(?![\w-])", text):
                cause = f"{server[1]} is in the {key[:-1]} `{name}`, which prod leaves out"
                take = f'set `{key} = ["{name}"]` in [tool.uvflow.profiles.prod]'
    last = "set `command` in [tool.uvflow.docker]"
    if {"pyuwsgi", "uwsgi"} & evidence.installed and found.interface == "wsgi":
        has_file = evidence.file("uwsgi.ini")
        how = ["--ini=uwsgi.ini"] if has_file else ["--master", f"--module={found.name}"]
        last = _to_write([command_setting(["uwsgi", "--http=0.0.0.0:8000", *how])])
    return UsageError(
        f"no server for {found.name} is among the production dependencies",
        cause=cause,
        hint=f"`uv add {servers[0]}`, {take}, or {last}",
    )


def no_start(evidence: Evidence, others: Iterable[tuple[str, tuple[str, ...]]]) -> UsageError:
    """`others` are the processes that are no service, with their names."""
    runnable = programs(evidence.sources)
    visible = [command_setting(words) for _, words in others]
    cause, advice = _why_not(evidence, [path for path, _ in runnable], has_others=bool(visible))
    if not visible:
        unread = [*_unread_applications(evidence)]
        # What would serve for development, as far as it is run.
        served = {path for path, line in unread if line.startswith("`app")}
        served |= {path for path, _ in runnable if advice and path in cause}
        visible = [
            *(command_setting([name]) for name in evidence.scripts),
            *(line for _, line in unread),
            *(command_setting(words) for path, words in runnable if path not in served),
        ]
    lines = [_to_write(visible[:_HANDFUL])] if visible and not evidence.members else []
    return UsageError(
        "found nothing for the container to start",
        cause=cause,
        hint=", or ".join(filter(None, (advice, *lines))) or _WAYS,
    )


def _to_write(lines: Iterable[str]) -> str:
    return f"write in [tool.uvflow.docker]: {' or '.join(lines)}"


def _why_not(evidence: Evidence, runnable: list[str], *, has_others: bool) -> tuple[str, str]:
    """Why there is nothing to start, and advice, which may be empty."""
    project, web = evidence.project, evidence.web
    modules = [module for module in evidence.sources.modules if module.is_served]
    calls = [f"{name.partition('.')[0]}()" for name in evidence.classes if name[:7] != "FastMCP"]
    has = ", ".join(f"{m.path} has {c}" for m in modules for c in calls if c[:-1] in m.text)
    made = [m for m in modules if m.path in has or "Celery(" in m.text]
    hidden = next((m.path for m in made if evidence.sources.is_hidden(m)), "")
    unread = {m.path: sorted(m.imported_packages & UNREAD) for m in modules}
    imports = ", ".join(f"{path} imports {n}" for path, names in unread.items() for n in names)
    factories = [f"{each}()" for each in sorted(web.factories - web.found.keys())]
    named = " and ".join(project.table("project", "scripts"))
    is_off = "build-system" in project.manifest
    off = "[tool.uv] has `package = false`" if is_off else _NOT_INSTALLED
    add = "" if is_off else "add a [build-system], or "
    tools = " or ".join(runnable[:_HANDFUL])
    reasons: tuple[tuple[object, str, str], ...] = (
        (
            evidence.members,
            "this is the root of a workspace, and has nothing of its own",
            f"run `uvflow docker` in {' or '.join(evidence.members)}",
        ),
        (has_others, "the Procfile has no `web`", ""),
        (
            evidence.scripts,
            "the programs of a project with a web framework are not its service",
            "",
        ),
        (
            factories,
            f"{' and '.join(factories)} cannot be called without arguments",
            "assign what it returns to `app` in a module, such as main.py or wsgi.py",
        ),
        ("Dash()" in has, f"{has}, and no name for its server", "add `server = app.server`"),
        (hidden, f"{hidden} has the name of another module, also by its directory", "rename it"),
        (has, f"{has}, but no name for it can be read there", ""),
        (imports, f"{imports}, whose applications are not looked for", ""),
        (
            "django" in evidence.installed and evidence.django.settings_module,
            "Django has no wsgi.py and no asgi.py here, and its settings name none",
            "",
        ),
        (
            named,
            f"{named} of [project.scripts] is not in the image: {off}",
            f"{add}set `package = true` in [tool.uv], and run `uv lock`",
        ),
        (tools, f"nothing tells that {tools} is the service, and not a tool", ""),
        (True, "no web application, no installed program, no `web` in a Procfile", ""),
    )
    return next((cause, advice) for holds, cause, advice in reasons if holds)


def _unread_applications(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Those of frameworks that are not looked for, with a name in a module: path and line."""
    modules = [module for module in evidence.sources.modules if module.is_served]
    for module in modules:
        yield from ((module.path, line) for n in module.statements for line in _bound(module, n))
        if "@dramatiq.actor" in module.text:
            yield module.path, command_setting(["dramatiq", module.name])
    own = {*evidence.classes, *({"django"} & evidence.installed)}
    own |= {name.partition(".")[0] for name in evidence.sources.by_name if own}
    seen = (module for module in modules if not evidence.sources.is_hidden(module))
    for module, node in ((each, node) for each in seen for node in each.statements):
        for name, value in bindings(node):
            made = {callee(value), module.dotted(getattr(value, "func", value)).partition(".")[0]}
            if name in {"app", "application"} and callee(value) and made & own:
                yield module.path, app_setting(f"{module.name}:{name}")
    if any(UNREAD & module.imported_packages for module in modules):
        for found in Applications(evidence.sources, _UNREAD_CLASSES).likeliest():
            yield found.module.path, app_setting(f"{found.name}{'()' if found.is_factory else ''}")
    if "pyramid" in evidence.installed and evidence.file("production.ini"):
        yield "", command_setting(["pserve", "production.ini"])


def _bound(module: Module, node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name), *_], value=ast.Call(func=made)):
            first, dot, rest = ast.unparse(made).partition(".")
            dotted = f"{module.imports.get(first, first)}{dot}{rest}"
            where, runner = f"{module.name}:{name}", _RUNNERS.get(dotted)
            if rest == "bind" and "ray" in module.imported_packages:
                yield command_setting(["serve", "run", where])
            elif runner and not ("{1}" in runner and "." in module.name):  # a path has no package
                line = runner.format(where, f"{module.path}:{name}")
                yield command_setting(line.split())
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="app" as name), *_])]):
            yield app_setting(f"{module.name}:{name}")
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            if [each.arg for each in node.args.args] in _CALLED_WITH:
                yield app_setting(f"{module.name}:{name}")
        case ast.ClassDef(body=body) if "scrapy" in module.imported_packages:
            names = (value for each in body for key, value in bindings(each) if key == "name")
            yield from (command_setting(["scrapy", "crawl", n]) for n in map(string, names) if n)
        case ast.ClassDef(name="WorkerSettings"):
            yield command_setting(["arq", f"{module.name}.WorkerSettings"])
