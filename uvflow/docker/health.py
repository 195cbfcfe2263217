"""The path and the host that a health check asks for, found by parsing. Nothing is run."""

import ast
import re
from collections.abc import Collection, Iterator
from functools import cached_property

from uvflow.docker.applications import WRAPPERS
from uvflow.docker.source import DEFINITION, FUNCTION, Module, Sources, bindings, callee, string

# The usual names, the one that asks least of the service first.
_HEALTH_NAMES = (
    "healthz", "livez", "health", "healthcheck", "health-check", "health_check", "live", "alive",
    "readyz", "ready",
)  # fmt: skip
# What stands before one, perhaps after the name of the service: another word there tells of a part
# of it, as in `/api/redis/health`.
_BEFORE = r"_?(?:actuator|api|health|internal|ops|public|rest|service|status|system|v\d+)/"
_HEALTH = re.compile(rf"/((?!{_BEFORE})[\w-]+/)?((?:{_BEFORE})*)({'|'.join(_HEALTH_NAMES)})/?")
# But with the metrics beside it, an application may be below any prefix.
_DISPATCHED = re.compile(
    r"DispatcherMiddleware\((?!\s*[\w.]+,\s*\{\s*[\"']/metrics[\"']:[^,{}]*\},?\s*\))"
)
_HOSTS = re.compile(r"\ballowed_hosts=|\bTRUSTED_HOSTS\b")
_DECORATORS = {"api_route", "get", "route"}
_OF_DJANGO = {"path", "re_path", "url"}
_ROUTES = {"Route", "add_api_route", "add_get", "add_route", "add_url_rule", *_OF_DJANGO}
_MOUNTING = {"Mount", "mount"}
_UNKNOWN = {"Host", "host", "i18n_patterns"}  # where a path is not all that is asked for
_WITHOUT_PATH = {"Litestar", "include_router", "register_blueprint"}  # as their first argument
_INCLUDING = {"add_router"} | _OF_DJANGO | _MOUNTING | _UNKNOWN | _WITHOUT_PATH
_ROUTER = re.compile(r"\w*(?:Router|Blueprint)|NinjaAPI")
_MENTIONS = re.compile(
    rf"\b(?:{'|'.join(_ROUTES | _INCLUDING)}|{_ROUTER.pattern})\(|\bdependencies="
    rf"|@.*\b(?:{'|'.join(_DECORATORS)})\("
)

Place = tuple[str, int, int]  # a module, a line and a column
Level = tuple[str, str, Place]  # a path, what has it below itself, and where that is said
Within = tuple[str, str | None, Place]  # what includes something, by which prefix, and where


def health_path(sources: Sources, owners: Collection[str]) -> str | None:
    """The path of a health check such as `/healthz`, of an application or a module in `owners`."""
    if any(_DISPATCHED.search(module.text) for module in sources.modules):
        return None
    matches = map(_HEALTH.fullmatch, _Health(sources, owners).served())
    ranked = ((bool(m[1]), _HEALTH_NAMES.index(m[3]), len(m[2]), m[0]) for m in matches if m)
    return next((path for *_, path in sorted(ranked)), None)


class _Health:
    """The `routes` that are named as health checks.

    Each has an owner: a router, an application, a handler of Litestar, or a list of routes, which
    belongs to its module. A route that may not exist or answer GET, or may need more than its path,
    is none. `routers` have their own prefixes, `within` what includes each, by which prefix and
    where; one that is not known is None, also where a path is not all that is asked for. `makers`
    are the functions that return a variable. `taking` are the beginnings of mounts and patterns,
    which take such paths from the routes after them.
    """

    def __init__(self, sources: Sources, owners: Collection[str]) -> None:
        self.sources, self.owners = sources, owners
        self.module_of: dict[str, str] = {}
        self.routes: list[Level] = []
        self.routers: dict[str, str | None] = {}
        self.within: dict[str, Within] = {}
        self.makers: dict[str, set[str]] = {}
        self.taking: list[Level] = []
        for module in sources.modules:
            if module.is_served and _MENTIONS.search(module.text):
                self._read(module)

    @cached_property
    def _named(self) -> set[str]:
        """The words that are called or given to something, in whichever module."""
        texts = (module.text for module in self.sources.modules if module.is_served)
        words = (re.findall(r"(?<!def )\b(\w+)[(),\]]", text) for text in texts)
        return {"__init__"}.union(*words)

    def _read(self, module: Module) -> None:
        nodes = list(ast.walk(module.tree))
        pairs = [pair for node in nodes for pair in bindings(node)]
        names = [name for name, _ in pairs]
        for variable, value in pairs:
            if _asks_more(value) or _moves(variable, value):
                self.routers[f"{module.name}.{variable}"] = None
            elif isinstance(value, ast.Call) and _ROUTER.fullmatch(callee(value) or ""):
                prefix = _prefix(value) if names.count(variable) == 1 else None
                self.routers.setdefault(f"{module.name}.{variable}", prefix)
        for function in (node for node in nodes if isinstance(node, FUNCTION)):
            for made in (each for each in ast.walk(function) if isinstance(each, ast.Return)):
                makers = self.makers.setdefault(module.dotted(made.value or made), set())
                makers.add(f"{module.name}.{function.name}")
        parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
        definitions = (node for node in nodes if isinstance(node, DEFINITION))
        decorated = {each: node for node in definitions for each in node.decorator_list}
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            if callee(call) in _DECORATORS | _ROUTES | _INCLUDING:
                above: list[ast.AST] = [call]
                while above[-1] in parents:
                    above.append(parents[above[-1]])
                self._read_call(module, call, decorated.get(call), above[1:])

    def _read_call(
        self, module: Module, call: ast.Call, decorated: DEFINITION | None, above: list[ast.AST]
    ) -> None:
        name, owner = callee(call), ""
        match call.func:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=attribute)):
                classes = [node.name for node in above if isinstance(node, ast.ClassDef)]
                owner = f"{module.name}.{next(iter(classes), None)}.{attribute}"
            case ast.Attribute(value=value):
                owner = self.sources.origin(module.dotted(value))
            case _ if decorated:  # it is given to something else
                owner = f"{module.name}.{decorated.name}"
            case _:
                owner = self._list_of(module, above)
        calls = (each for each in above[::-1] if isinstance(each, ast.Call))
        around = [*(each for each in calls if callee(each) in _INCLUDING), call]
        place = module.name, around[0].lineno, around[0].col_offset
        runs = self._runs(module, above)
        before, prefix = _joined(around[:-1]), _joined(around)
        if name in _MOUNTING and prefix is not None:
            self.taking.append((f"/{prefix}/".replace("//", "/"), owner, place))
        if name in _INCLUDING:
            is_sure = runs and not _asks_more(call)
            self._include(module, call, (owner, prefix if is_sure else None, place))
        if name in (_DECORATORS if decorated else _ROUTES) and call.args and before is not None:
            path = (string(call.args[0]) or "").replace("/?$", "/$").strip("^$").lstrip("/")
            path = f"/{before}/{path}" if before else f"/{path}"
            opening = re.search(r"[<([.*+?\\]" if name in _OF_DJANGO else r"{", path)
            if opening:
                self.taking.append((path[: opening.start()], owner, place))
            elif _HEALTH.fullmatch(path) and runs and self._answers(module, call, decorated):
                self.routes.append((path, owner, place))

    def _list_of(self, module: Module, above: list[ast.AST]) -> str:
        """The variable that has a list with the route, or that is made with it; else the module."""
        names = [name for node in above for name, _ in bindings(node)]
        owner = ".".join((module.name, *names[:1]))
        self.module_of[owner] = module.name
        return owner

    def _include(self, module: Module, call: ast.Call, within: Within) -> None:
        strings = self.sources.by_name.keys() & set(map(string, ast.walk(call)))
        for child in (*self.sources.references(module, call), *strings):
            if within[1] is not None:
                self.within[child] = within
            self.within.setdefault(child, within)
            if callee(call) == "register_blueprint" and _prefix(call):
                self.routers[child] = ""  # its own is replaced

    def _runs(self, module: Module, above: list[ast.AST]) -> bool:
        """Whether a call is sure to run: below no `if`, and in no function that nothing names."""
        conditions = ast.If | ast.IfExp | ast.Match | ast.ExceptHandler
        if any(isinstance(each, conditions) for each in above):
            return False
        functions = (n for n in above if isinstance(n, FUNCTION) and not n.decorator_list)
        uncalled = {n.name for n in functions if f"{module.name}.{n.name}" not in self.owners}
        return not uncalled or uncalled <= self._named

    def _answers(self, module: Module, call: ast.Call, decorated: DEFINITION | None) -> bool:
        """Whether a GET is answered, as far as the call and the views that it names tell."""
        nodes = (node for node in ast.walk(call) if isinstance(node, ast.Name | ast.Attribute))
        found = (self.sources.definition(module.dotted(node))[1] for node in nodes)
        views = [decorated or each for each in (decorated, *found) if isinstance(each, DEFINITION)]
        decorators = (each for view in views for each in view.decorator_list)
        texts = map(ast.unparse, (call, *decorators))
        takes_get = all("GET" in text or not _LISTING.search(text) for text in texts)
        return takes_get and not any(map(_asks_more, (call, *views)))

    def served(self) -> Iterator[str]:
        """The whole paths of the routes that are sure to be served by one of `owners`."""
        taking = [level for each in self.taking for level in self._levels(*each)]
        for route in self.routes:
            levels = [*self._levels(*route)]
            path, owner, _ = levels[-1]
            is_taken = any(
                has == by and below.startswith(beginning) and (at < since or at[0] != since[0])
                for below, has, since in levels
                for beginning, by, at in taking
            )
            if owner in self.owners and not (is_taken or owner in self.routers | self.within):
                yield path

    def _levels(self, path: str, owner: str, place: Place) -> Iterator[Level]:
        """A path as its owner has it, and as what includes that has it, up to what is known."""
        for _ in (owner, *self.within, *self.module_of):
            makers = self.makers.get(owner, set())
            if owner not in self.within and not makers.isdisjoint(self.within):
                owner = next(iter(makers)) if len(makers) == 1 else ""
            if owner not in self.within and owner not in self.owners:
                owner = self.module_of.get(owner, owner)
            yield path, owner, place
            own = self.routers.get(owner, "")
            above, prefix, place = self.within.get(owner, ("", None, place))
            if prefix is None or own is None:
                return
            parts = (part.strip("/^") for part in (prefix, own))
            path, owner = "".join(f"/{part}" for part in parts if part) + path, above


def _moves(variable: str, value: ast.expr) -> bool:
    """Whether an application is replaced by one of an unknown class that may move its paths."""
    name = callee(value) or ""
    is_known = name in WRAPPERS or name.endswith("Middleware") or not name[:1].isupper()
    named = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    return variable in named and not is_known


# The methods that are answered are listed there.
_LISTING = re.compile("POST|api_view|methods")
_ASKING = {"dependencies", "host", "subdomain"}
# No dependencies or hosts, or those that Litestar gives by name.
_NOTHING = re.compile(r"(?:False|None|\[\])$|\{")
# A parameter that a framework fills without a word of the request.
_GIVEN = re.compile(r"\b(?:BackgroundTasks|(?:Http)?Request|Response|State)\b")


def _asks_more(node: ast.AST) -> bool:
    """Whether a call or a view may need more than a GET: a host, a parameter, a dependency."""
    match node:
        case ast.Call(keywords=keywords):
            asking = (k for k in keywords if (k.arg or "").partition("_")[0] in _ASKING)
            return not all(_NOTHING.match(ast.unparse(each.value)) for each in asking)
        case ast.ClassDef(body=body):
            return all(getattr(each, "name", None) != "get" for each in body)
        case ast.FunctionDef(args=given) | ast.AsyncFunctionDef(args=given):
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            defaults = [*given.defaults, *given.kw_defaults]
            defaults = [*[None] * (len(named) - len(defaults)), *defaults]
            pairs = zip(named, defaults, strict=True)
            others = [pair for pair in pairs if pair[0].arg not in {"self", "cls"}]
            if others and others[0][0].annotation is others[0][1] is None:
                others = others[1:]  # the request
            texts = ((ast.unparse(p.annotation or p), default) for p, default in others)
            return not all(isinstance(d, ast.Constant) or _GIVEN.search(text) for text, d in texts)
    return False


def _joined(calls: list[ast.Call]) -> str | None:
    """What calls put before a path, each in the one before; None where that is not known."""
    prefixes = [_prefix(call) for call in calls]
    texts = [text.strip("/^") for text in prefixes if text is not None]
    return None if None in prefixes else "/".join(filter(None, texts))


def _prefix(call: ast.Call) -> str | None:
    """What a call puts before the paths of what it includes; None where that is computed."""
    if callee(call) in _UNKNOWN:
        return None
    values = [k.value for k in call.keywords if k.arg in {"path", "prefix", "url_prefix"}]
    if not values and callee(call) in _INCLUDING - _WITHOUT_PATH:
        values = call.args[:1]
    return string(values[0]) if values else ""


def trusted_host(sources: Sources) -> str | None:
    """What `allowed_host` says of the hosts that an application of another framework allows.

    They are Starlette's and Litestar's `allowed_hosts`, and Flask's TRUSTED_HOSTS.
    """
    texts = (module for module in sources.modules if _HOSTS.search(module.text))
    for node in (node for m in texts if m.is_served for node in ast.walk(m.tree)):
        match node:
            case ast.keyword(arg="allowed_hosts" | "TRUSTED_HOSTS", value=value):
                if callee(value) != "AllowedHostsConfig":
                    return allowed_host(value)
            case ast.Assign(
                targets=[
                    ast.Subscript(slice=ast.Constant(value="TRUSTED_HOSTS"))
                    | ast.Name(id="TRUSTED_HOSTS")
                ]
            ):
                return allowed_host(node.value)
    return ""


def allowed_host(value: ast.expr | None) -> str | None:
    """A name that a list of hosts has; empty where 127.0.0.1 will do, None where computed."""
    if not isinstance(value, ast.List | ast.Tuple | None):
        return None
    elements = value.elts if value else []
    names = [text for text in map(string, elements) if text is not None]
    if elements and not names:
        return None
    is_local = not names or {"*", "127.0.0.1"} & {*names}
    # Django's `.example.com` has the domain itself, Starlette's `*.example.com` has not.
    return "" if is_local else names[0].removeprefix(".").replace("*", "www", 1)
