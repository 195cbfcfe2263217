"""The path and the host that a health check asks for, found by parsing. Nothing is run."""

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from uvflow.docker.applications import WRAPPERS
from uvflow.docker.source import (
    FUNCTION,
    Module,
    Sources,
    bindings,
    callee,
    string,
    strings_in,
)

# The usual names, the one that asks least of the service first.
_HEALTH_NAMES = (
    "healthz", "livez", "health", "healthcheck", "health-check", "health_check", "live", "alive",
    "readyz", "ready",
)  # fmt: skip
_HEALTH = re.compile(rf"\^?/?((?:[\w-]+/)*({'|'.join(_HEALTH_NAMES)})/?)\$?")
_DECORATORS = {"api_route", "get", "route"}
_ROUTES = {
    "Route", "add_api_route", "add_get", "add_route", "add_url_rule", "path", "re_path", "url",
}  # fmt: skip
_INCLUDING = {
    "Host", "Mount", "add_router", "host", "include_router", "mount", "path", "re_path",
    "register_blueprint", "url",
}  # fmt: skip
_LISTS = {"Host", "Mount", "i18n_patterns", "include"}
_ROUTER = re.compile(r"\w*(?:Router|Blueprint)|NinjaAPI")
_MENTIONS = re.compile(
    rf"[\"'/^](?:{'|'.join(_HEALTH_NAMES)})\b"
    r"|DispatcherMiddleware|\.urls\b|\bdependencies="
    r"|\b(?:add_router|[Hh]ost|include|include_router|[Mm]ount|register_blueprint"
    rf"|{_ROUTER.pattern})\("
)


def health_path(sources: Sources, owners: Collection[str]) -> str | None:
    """The path of a health check such as `/healthz`, of an application or a module in `owners`."""
    found = _Health(sources, owners)
    served = ((name, *found.served(path, owner)) for name, path, owner in found.routes)
    paths = {name: path for name, path, owner in served if path and owner in owners}
    return next((paths[name] for name in _HEALTH_NAMES if name in paths), None)


class _Health:
    """The `routes` that are named as health checks: name, path and owner of each.

    The owner is a router, an application, or a list of routes, which belongs to its module. A route
    that may not exist, or that may need more than its path, is none. `routers` have their own
    prefixes, `within` what includes each and by which prefix; one that is not known is None, also
    where a path is not all that is asked for. `makers` are the functions that return a variable.
    What is `mounted` by a prefix may hide a route of its owner's.
    """

    def __init__(self, sources: Sources, owners: Collection[str]) -> None:
        self.sources, self.owners = sources, owners
        self.module_of: dict[str, str] = {}
        self.routes: list[tuple[str, str, str]] = []
        self.routers: dict[str, str | None] = {}
        self.within: dict[str, tuple[str, str | None]] = {}
        self.makers: dict[str, set[str]] = {}
        self.mounted: set[tuple[str, str]] = set()
        for module in sources.modules:
            if module.is_served and _MENTIONS.search(module.text):
                self._read(module)

    def _read(self, module: Module) -> None:
        nodes = list(ast.walk(module.tree))
        for variable, value in (pair for node in nodes for pair in bindings(node)):
            if self._asks_more(module, value) or _moves(variable, value):
                self.routers[f"{module.name}.{variable}"] = None
            elif isinstance(value, ast.Call) and _ROUTER.fullmatch(callee(value) or ""):
                self.routers.setdefault(f"{module.name}.{variable}", _prefix(value))
        for function in (node for node in nodes if isinstance(node, FUNCTION)):
            for made in (each for each in ast.walk(function) if isinstance(each, ast.Return)):
                makers = self.makers.setdefault(module.dotted(made.value or made), set())
                makers.add(f"{module.name}.{function.name}")
        parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
        decorated = {each: n for n in nodes for each in getattr(n, "decorator_list", ())}
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            self._read_call(module, call, decorated.get(call), [*_above(call, parents)])
        if "DispatcherMiddleware" in module.text:
            for node in nodes:
                if isinstance(node, ast.Dict):
                    self._read_dispatcher(module, node)

    def _read_dispatcher(self, module: Module, prefixes: ast.Dict) -> None:
        """Of werkzeug: a prefix → what is served there."""
        for key, value in zip(prefixes.keys, prefixes.values, strict=True):
            prefix = string(key)
            if not prefix or prefix.startswith("/"):  # not another dictionary
                served = self.sources.references(module, value)
                for name, made in (pair for each in module.statements for pair in bindings(each)):
                    if f"{module.name}.{name}" in served:
                        served |= self.sources.references(module, made)
                for child in served:
                    self.within[child] = module.name, prefix

    def _read_call(
        self, module: Module, call: ast.Call, decorated: ast.AST | None, above: list[ast.AST]
    ) -> None:
        name, owner = callee(call), ""  # what is decorated is given to something else
        match call.func:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=attribute)):
                classes = [node.name for node in above if isinstance(node, ast.ClassDef)]
                owner = f"{module.name}.{next(iter(classes), None)}.{attribute}"
            case ast.Attribute(value=value):
                owner = self.sources.origin(module.dotted(value))
            case _ if name in _ROUTES | _INCLUDING and not decorated:
                owner = self._list_of(module, above)
        if name in _INCLUDING:
            self._include(module, call, owner, above)
        is_nested = not _LISTS.isdisjoint(map(callee, above))
        is_route = name in _DECORATORS if decorated else name in _ROUTES and not is_nested
        asks_more = self._asks_more(module, decorated) or self._asks_more(module, call)
        is_sure = not (_may_not_run(above) or asks_more)
        path = string(call.args[0]) if call.args and is_route and is_sure else None
        if route := _HEALTH.fullmatch((path or "").replace("/?$", "/$")):
            self.routes.append((route[2], f"/{route[1]}", owner))

    def _list_of(self, module: Module, above: list[ast.AST]) -> str:
        """The variable that has a list with the route, or that is made with it; else the module."""
        names = [name for node in above for name, _ in bindings(node)]
        if not names:
            return module.name
        variable = f"{module.name}.{names[0]}"
        self.module_of[variable] = module.name
        return variable

    def _include(self, module: Module, call: ast.Call, owner: str, above: list[ast.AST]) -> None:
        strings = self.sources.by_name.keys() & strings_in(call)
        calls = [node for node in above if isinstance(node, ast.Call)]
        prefixes = [_prefix(each) for each in (*calls[::-1], call) if callee(each) in _INCLUDING]
        prefix = "/".join(text.strip("/^") for text in prefixes if text)
        by_language = any(callee(each) == "i18n_patterns" for each in calls)
        if callee(call) == "mount" and prefix:
            self.mounted.add((owner, f"/{prefix}/"))
        is_unsure = by_language or _may_not_run(above) or self._asks_more(module, call)
        is_known = not (None in prefixes or is_unsure)
        for child in (*self.sources.references(module, call), *strings):
            if is_known:
                self.within[child] = owner, prefix
            else:
                self.within.setdefault(child, (owner, None))
            if callee(call) == "register_blueprint" and _prefix(call):
                self.routers[child] = ""  # its own is replaced

    def _asks_more(self, module: Module, node: ast.AST | None) -> bool:
        """Whether a call or a view asks for more than a path: for a host, or for a parameter."""
        match node:
            case ast.Call(keywords=keywords):
                given = {each.arg: each.value for each in keywords}
                listed = given.get("dependencies", ast.List(elts=[]))
                is_listed = isinstance(listed, ast.List | ast.Tuple | ast.Dict)  # that of Litestar
                return "subdomain" in given or not is_listed or self._depends(module, listed)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return _needs_parameters(node) or self._depends(module, node.args)
        return False

    def _depends(self, module: Module, node: ast.AST) -> bool:
        """Whether a function of the project that FastAPI is to call for it needs a parameter."""
        waiting, read = [(module, node)], set[ast.AST]()
        while waiting:
            where, named_in = waiting.pop()
            calls = (c for c in ast.walk(named_in) if callee(c) in {"Depends", "Security"})
            for target in (t for call in calls for t in getattr(call, "args", ())[:1]):
                its_module, function = self.sources.definition(where.dotted(target))
                if isinstance(function, FUNCTION) and function not in read:
                    if _needs_parameters(function):
                        return True
                    read.add(function)
                    waiting.append((its_module, function.args))
        return False

    def served(self, path: str, owner: str) -> tuple[str | None, str]:
        """The whole path, where it is known and served, and what serves it in the end."""
        if any(path.startswith(prefix) and owner == by for by, prefix in self.mounted):
            return None, owner
        for _ in (*self.within, *self.module_of):
            makers = self.makers.get(owner, set())
            if owner not in self.within and not makers.isdisjoint(self.within):
                owner = next(iter(makers)) if len(makers) == 1 else ""
            if owner not in self.within and owner not in self.owners:
                owner = self.module_of.get(owner, owner)
            above, prefix = self.within.get(owner, ("", None))
            own = self.routers.get(owner, "")
            if prefix is None or own is None:
                break
            parts = (part.strip("/^") for part in (prefix, own))
            path, owner = "".join(f"/{part}" for part in parts if part) + path, above
        is_whole = owner not in self.routers and owner not in self.within
        return path if is_whole else None, owner


def _moves(variable: str, value: ast.expr) -> bool:
    """Whether an application is replaced by one of an unknown class that may move its paths."""
    name = callee(value) or ""
    is_known = name in WRAPPERS or name.endswith("Middleware") or not name[:1].isupper()
    named = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    return variable in named and not is_known


def _above(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    """What a node is in, from the inside to the outside."""
    while node in parents:
        node = parents[node]
        yield node


def _may_not_run(above: list[ast.AST]) -> bool:
    return any(isinstance(node, ast.If | ast.IfExp | ast.Match) for node in above)


# A parameter that a framework fills without a word of the request, and one of FastAPI's that asks
# for a part of the request.
_GIVEN = re.compile(
    r"\b(?:BackgroundTasks|Depends|(?:Http)?Request|Response|Security|State|\w+Dep)\b"
)
_ASKING = re.compile(r"(?:Body|Cookie|File|Form|Header|Query)\((?:\.\.\.|\w+=(?!.*default)|\))")


def _needs_parameters(function: ast.AST | None) -> bool:
    """Whether a view may need more than the request: no such request is a health check."""
    if not isinstance(function, FUNCTION):
        return False
    arguments, defaults = function.args, function.args.defaults
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(defaults)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    required += [argument for argument, default in named if default is None]
    others = [each for each in required if each.arg not in {"self", "cls"}]
    if others and others[0].annotation is None:
        others = others[1:]  # the request
    given = [each.annotation and _GIVEN.search(ast.unparse(each.annotation)) for each in others]
    values = [*defaults, *filter(None, arguments.kw_defaults)]
    return not all(given) or any(_ASKING.match(ast.unparse(value)) for value in values)


def _prefix(call: ast.Call) -> str | None:
    """What a call puts before the paths of what it includes; None where that is computed."""
    if callee(call) in {"Host", "host"}:
        return None
    values = [k.value for k in call.keywords if k.arg in {"path", "prefix", "url_prefix"}]
    if not values and callee(call) in _INCLUDING - {"include_router", "register_blueprint"}:
        values = call.args[:1]
    return string(values[0]) if values else ""


def trusted_host(sources: Sources) -> str | None:
    """What `allowed_host` says of Starlette's TrustedHostMiddleware, where a module names it."""
    for module in sources.modules:
        if module.is_served and "TrustedHostMiddleware" in module.text:
            for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
                named = map(ast.unparse, (call.func, *call.args))
                if any(each.endswith("TrustedHostMiddleware") for each in named):
                    hosts = [k.value for k in call.keywords if k.arg == "allowed_hosts"]
                    return allowed_host(next(iter(hosts), None))
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
