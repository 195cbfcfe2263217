"""Web applications and other objects that a server loads, found by parsing. Nothing is run."""

import ast
import posixpath
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from uvflow.docker.source import (
    DEFINITION,
    FUNCTION,
    NOT_SERVED,
    PROGRAM_NAMES,
    Module,
    Modules,
    bindings,
    callee,
    is_guard,
    names_bound,
    parent_name,
    strings_in,
)

# distribution → the class whose instance a server loads, and the interface
FRAMEWORKS = {
    "fastapi": ("FastAPI", "asgi"),
    "litestar": ("Litestar", "asgi"),
    "quart": ("Quart", "asgi"),
    "dash": ("Dash.server", "wsgi"),
    "starlette": ("Starlette", "asgi"),
    "flask": ("Flask", "wsgi"),
    "apiflask": ("APIFlask", "wsgi"),
    "bottle": ("Bottle", "wsgi"),
    "flask-openapi3": ("OpenAPI", "wsgi"),
    "python-socketio": ("ASGIApp", "asgi"),
    "fastmcp": ("FastMCP.http_app", "asgi"),
}

# The usual names of modules with an application.
_USUAL_NAMES = {
    "__init__", "api", "app", "application", "asgi", "index", "main", "run", "serve", "server",
    "wsgi",
}  # fmt: skip

# distribution → how a file that imports it is run
_RUN_BY = {
    "chainlit": "chainlit run --headless --host=0.0.0.0 --port=8000",
    "marimo": "marimo run --headless --host=0.0.0.0 --port=8000",
    "panel": "panel serve --address=0.0.0.0 --port=5006",
}

# In the path of what is kept, copied or shown, and not served.
_COPY = re.compile(
    r"(?:^|/)_?(?:archive|attic|backup|bak|boilerplate|contrib|deprecated|legacy|old|poc|prototypes"
    r"|recipes|samples?|starter|templates?|testing|third_party|vendor)/|_(?:backup|bak|copy|old)[/.]"
)

_RANKS = {stem: rank for rank, stem in enumerate(PROGRAM_NAMES)}
_MADE = ast.Call | ast.Attribute | ast.IfExp
_DEPTH = 9  # of `Factory().debug(False).build().app`


@dataclass(frozen=True, kw_only=True)
class Application:
    """What a server loads: `module:attribute`, which may be a factory, or a script."""

    name: str
    interface: str
    evidence: str
    module: Module
    is_factory: bool = False

    @property
    def is_usual(self) -> bool:
        return self.name.rpartition(":")[2] in _APPLICATIONS

    @property
    def is_copy(self) -> bool:
        return _COPY.search(self.module.path) is not None

    @property
    def is_aside(self) -> bool:
        """Whether it is in directories whose names do not tell that it is served."""
        return "/" in self.module.path and _USUAL_NAMES.isdisjoint(self.module.path.split("/"))

    @property
    def standing(self) -> int:
        """0 for the first name, 1 in a package or with a usual name, 2 for others, 3 for copies."""
        module = self.module
        if self.is_copy:
            return 3
        if module.stem == "streamlit_app":
            return 0
        is_in_place = module.is_installed or "." in module.name or module.stem in _USUAL_NAMES
        return 1 if is_in_place or not self.interface else 2  # a script is of no package


class Applications:
    """The instances of `classes` (name → interface) in `sources`: `found`, by dotted names.

    The class `Dash.server` is that attribute of an instance, which is not served itself.

    Instances of subclasses count, functions that make and return one, and what wraps one. `kinds`
    has the class of each by its dotted name, also by `MODULE.CLASS.NAME` where a method returns one
    or an attribute of `self` is one. `parts` are mounted or wrapped by another application,
    `factories` are functions that return one, also those that need arguments; `outermost` are those
    of `found` that are no part.
    """

    def __init__(self, sources: Modules, classes: Mapping[str, str]) -> None:
        self.sources, self.interfaces = sources, {**classes, **_CONVERTERS}
        self.found: dict[str, Application] = {}
        self.kinds = {name.partition(".")[0]: name.partition(".")[0] for name in classes}
        self.parts: set[str] = set()
        self.factories: set[str] = set()
        size = 0
        while size < len(self.kinds):  # a module may be read before the one that it imports from
            size = len(self.kinds)
            known = {name.rpartition(".")[2] for name in self.kinds}
            for module in (each for each in sources.modules if not sources.is_hidden(each)):
                if any(name in module.text for name in known) and _is_importable(module):
                    for node in module.statements:
                        self._read(module, node)
        for key in [key for key, each in self.found.items() if self._is_lost(each)]:
            self._rename(key)
        # What calls a factory leaves it one.
        self.outermost = self.found.keys() - (self.parts - self.factories)

    def likeliest(self, within: Module | None = None) -> list[Application]:
        """Those that are outermost, or all that are `within`, as far as nothing stands out."""
        found = [self.found[name] for name in self.outermost]
        if within:
            found = [each for each in self.found.values() if each.module == within]
        else:
            found = _beside_packages(found)
        objects = [self._filled(each) for each in found if not each.is_factory]
        usual = [each for each in found if each.is_factory and each.is_usual]
        modules = [each.module for each in objects]
        others = [each for each in usual if each.module not in modules]
        if others and modules and not any(module.stem in _USUAL_NAMES for module in modules):
            # A script may make one for itself.
            return sorted([*objects, *others], key=lambda each: each.name)
        likeliest = _likeliest(objects or usual or found)
        if within or len(likeliest) != 1 or likeliest[0].is_factory:
            return likeliest
        chosen = self._completed(likeliest[0])
        modules = [each.module for each in (*chosen, likeliest[0])]
        return [*chosen, *(each for each in self._named() if each.module not in modules)]

    def _named(self) -> list[Application]:
        """Those that a module names for a server, as in `uvicorn.run("shop.api:app")`."""
        texts = [module.text for module in self.sources.modules if module.is_served]
        names = {name.replace(":", ".") for text in texts for name in _NAMED.findall(text)}
        return [self.found[name] for name in sorted(names & self.outermost)]

    def _filled(self, one: Application) -> Application:
        """The function that does more to that object and returns it, where no import calls it."""
        for function in self._uncalled(one):
            whole = self.found.get(f"{one.module.name}.{function.name}")
            does_more = any(isinstance(each, ast.Expr) for each in function.body)
            match function.body[-1]:
                case ast.Return(value=ast.Name(id=name)) if whole and does_more:
                    if one.name == f"{one.module.name}:{name}":
                        return whole
        return one

    def is_filled_later(self, one: Application) -> bool:
        """Whether a program that nothing imports may add routes to an object of another module."""
        modules, dotted = self.sources.modules, one.name.replace(":", ".")
        programs = {m.name for m in modules if m.is_program and m.name != one.module.name}
        return any(self._adds(each, dotted) for each in programs - self.sources.imported)

    def _uncalled(self, one: Application) -> list[ast.FunctionDef]:
        """The functions beside an object, and of its name for it, that no import calls."""
        name = one.name.rpartition(":")[2]
        return [
            each
            for each in one.module.statements
            if isinstance(each, ast.FunctionDef)
            and not (each.decorator_list or f"{one.module.name}.{each.name}" in self._called)
            and name not in {argument.arg for argument in each.args.args}
            and name not in {bound for node in ast.walk(each) for bound, _ in bindings(node)}
        ]

    @cached_property
    def _called(self) -> set[str]:
        """The dotted names of the functions and classes that an import may call."""
        served = (module for module in self.sources.modules if module.is_served)
        pairs = ((module, node) for module in served for node in module.statements)
        called, waiting = set[str](), [p for p in pairs if not isinstance(p[1], DEFINITION)]
        while waiting:
            module, node = waiting.pop()
            for each in ast.walk(node):
                dotted = self.sources.origin(module.dotted(each))
                if dotted and dotted not in called:
                    called.add(dotted)
                    where, definition = self.sources.definition(dotted)
                    waiting += [(where, definition)] if definition else []
        return called

    def _completed(self, one: Application) -> list[Application]:
        """The same object in modules that no other imports, and that do more: that add its routes.

        One with a usual name is meant if it may do so; others stand beside the object.
        """
        sources, dotted = self.sources, one.name.replace(":", ".")
        usual, others, loaded = [], [one], self._loaded_with(dotted)
        for module in sources.modules:
            origins = {sources.origin(each) for each in module.imports.values()}
            if (
                dotted not in origins
                or module.name in sources.imported
                or not _is_importable(module)
            ):
                continue
            parents = {parent_name(each, 1) for each in origins}
            with_it = (origins | parents) & sources.by_name.keys() - {one.module.name, module.name}
            calls = (each for each in module.statements if isinstance(each, ast.Expr))
            does_more = with_it or any(isinstance(each.value, ast.Call) for each in calls)
            name = next(n for n, each in module.imports.items() if sources.origin(each) == dotted)
            evidence = f"{module.path} completes {one.name}"
            whole = replace(one, name=f"{module.name}:{name}", evidence=evidence, module=module)
            if module.stem in _USUAL_NAMES and does_more:
                usual.append(whole)
            elif any(self._adds(each, dotted) for each in {module.name, *with_it} - loaded):
                others.append(whole)
        return usual or others

    def _adds(self, name: str, dotted: str) -> bool:
        """Whether importing the module of that name adds to the object."""
        module, origin = self.sources.by_name[name], self.sources.origin
        for node in module.statements:
            for call in (*getattr(node, "decorator_list", ()), getattr(node, "value", None)):
                match call:
                    case ast.Call(func=ast.Attribute(value=owner, attr=name)) if origin(
                        module.dotted(owner)
                    ) == dotted and re.fullmatch(_ADDING, name):
                        return True
                    case ast.Call(args=given) if callee(call) not in _RUNNING:
                        objects = {origin(module.dotted(each)) for each in given}
                        if isinstance(node, ast.Expr) and dotted in objects:
                            return True
        return False

    def _loaded_with(self, dotted: str) -> set[str]:
        """The modules that are loaded with an object; any may be where one imports by a name."""
        loaded, waiting = set[str](), [dotted]
        while waiting:
            name = waiting.pop()
            module = self.sources.by_name.get(name)
            if module and name not in loaded:
                if _IMPORTING.search(module.text):
                    return {*self.sources.by_name}
                loaded.add(name)
                waiting += module.imports.values()
            waiting += [parent] if (parent := parent_name(name, 1)) else []
        return loaded

    def served_beside_others(self) -> set[str]:
        """The paths of modules that serve one in a function or a guard that starts more as well."""
        return {
            module.path
            for module in self.sources.modules
            if module.is_served and _RUNS.search(module.text)
            if any(self._serves_more(module, scope) for scope in _scopes(module))
        }

    def _serves_more(self, module: Module, scope: list[ast.stmt]) -> bool:
        nodes = [(module, node) for statement in scope for node in ast.walk(statement)]
        # A function that makes an application starts the same for a server.
        named = {self.sources.origin(module.dotted(node)) for _, node in nodes} - self.kinds.keys()
        for where, function in map(self.sources.definition, named):
            if isinstance(function, FUNCTION):
                nodes += [(where, node) for node in ast.walk(function)]
        starts = any(callee(node) in _STARTING or self._changes(m, node) for m, node in nodes)
        return starts and any(self._serves(*each) for each in nodes)

    def _changes(self, module: Module, node: ast.AST) -> bool:
        """Whether it gives one a route, a setting or a wrapper."""
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if re.match(_CHANGING, name):
                pass
            case ast.Assign(targets=[ast.Attribute(value=ast.Attribute(value=owner))]):
                pass
            case ast.Call(func=made, args=[owner, *_]) if callee(node) not in _RUNNING:
                function = self.sources.origin(module.dotted(made))
                if function in self.factories:  # which may fill an object with that
                    objects = (each for each in self.found.values() if not each.is_factory)
                    return parent_name(function, 1) in {each.module.name for each in objects}
                if self._kind(module, node) is None:
                    return False
            case _:
                return False
        owner = owner.value if isinstance(owner, ast.Attribute) else owner
        return self.sources.origin(module.dotted(owner)) in self.kinds

    def _serves(self, module: Module, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="run"), args=given, keywords=more):
                known = {self.sources.origin(module.dotted(each)) for each in (owner, *given)}
                is_reloading = "reload=True" in map(ast.unparse, more)  # for development
                return not (is_reloading or known.isdisjoint({*self.kinds, "uvicorn"}))
            case ast.Attribute(attr="serve"):
                return True
        return callee(node) == "serve"

    def _read(self, module: Module, node: ast.stmt) -> None:
        values, parts = [*_values(node)], list[ast.AST]()
        own = {f"{module.name}.{name}" for name, _ in values}  # `app = mount(app, …)`
        if isinstance(node, ast.ClassDef):
            self.kinds.pop(f"{module.name}.self", None)
            if made := self.kinds.get(f"{module.name}.{node.name}"):
                self.kinds[f"{module.name}.self"] = made
        elif not isinstance(node, FUNCTION):
            values = [(name, value) for name, value in values if isinstance(value, _MADE)]
        for name, value in values:
            kind = self._kind(module, value, is_wrapper=name in _APPLICATIONS)
            if kind is None:
                continue
            self.kinds[f"{module.name}.{name}"] = kind
            if kind in self.interfaces:
                self._read_made(module, node, name)
                parts.append(value)
        for name in _loadable(node, values):
            self._find(module, name, is_factory=isinstance(node, ast.FunctionDef))
        if isinstance(node, DEFINITION):
            parts = [value for value in parts if callee(value)]  # not an object that it hands out
        parts += [call for call in ast.walk(node) if callee(call) in _MOUNTING]
        for part in parts:
            self.parts |= self.sources.references(module, part) - own

    def _is_lost(self, one: Application) -> bool:
        """Whether the last statement that binds its name may make of that what is not served."""
        module, name = one.module, one.name.rpartition(":")[2]
        binding = [node for node in module.statements if name in names_bound(node)]
        sure = [node for node in binding if node in module.tree.body]
        value = dict(bindings(sure[-1])).get(name) if sure else None
        if binding[-1] not in sure:
            return len(binding) == len(sure) + 1 and isinstance(value, ast.Constant)
        match sure[-1]:
            case ast.Assign() | ast.AnnAssign() if value:
                names = {getattr(each, "id", "") for each in ast.walk(value)}
                kind = self._kind(module, value, is_wrapper=name in _APPLICATIONS)
                return kind is None and name not in names
            case ast.FunctionDef():
                return f"{module.name}.{name}" not in self.factories
            case ast.Import() | ast.ImportFrom():
                return self.sources.origin(f"{module.name}.{name}") not in self.kinds
        return not isinstance(sure[-1], ast.Assign)

    def _rename(self, key: str) -> None:
        """Calls an application by another name that it has in its module, if there is one."""
        one = replace(self.found.pop(key), is_factory=False)
        module, _, name = one.name.rpartition(":")
        for node in one.module.statements:
            match node:
                case ast.Assign(targets=[ast.Name(id=other)], value=ast.Name(id=same)):
                    if same == name:
                        self.found[f"{module}.{other}"] = replace(one, name=f"{module}:{other}")

    def _read_made(self, module: Module, node: ast.stmt, name: str) -> None:
        match node:
            case ast.ClassDef(name=of_class) if name != of_class:
                self.kinds.setdefault(f"{module.name}.{of_class}", f"{module.name}.{of_class}")
            case ast.FunctionDef(name=function) if name == function and not _is_replaced(node):
                self.factories.add(f"{module.name}.{name}")

    def _find(self, module: Module, name: str, *, is_factory: bool) -> None:
        kind = self.kinds.get(f"{module.name}.{name}")
        if kind in self.interfaces and NOT_SERVED.isdisjoint(name.split("_")):
            is_first = self.sources.by_name[module.name] is module  # of those of that name
            self.found[f"{module.name if is_first else module.path}.{name}"] = Application(
                name=f"{module.name}:{name}",
                interface=self.interfaces[kind],
                evidence=f"{module.path} has {kind}{'' if '.' in kind else '()'}",
                module=module,
                is_factory=is_factory,
            )

    def _kind(
        self, module: Module, node: ast.expr, *, is_wrapper: bool = False, depth: int = _DEPTH
    ) -> str | None:
        """The class of the application that an expression is, or that is wrapped in it.

        Other calls that are given one are extensions, unless an `is_wrapper`.
        """
        if isinstance(node, ast.IfExp):
            return self._kind(module, node.body) or self._kind(module, node.orelse)
        made_by = node.func if isinstance(node, ast.Call) else node
        if isinstance(made_by, ast.Attribute) and depth:
            owner = self._kind(module, made_by.value, depth=depth - 1)
            member = f"{owner}.{made_by.attr}"
            if member in self.interfaces:
                return member
            if member in self.kinds:
                return self.kinds[member]
        dotted = self.sources.origin(module.dotted(made_by))
        last = dotted.rpartition(".")[2]
        for name in (dotted, last):
            if name in self.kinds:
                return self.kinds[name]
        is_wrapper = is_wrapper and isinstance(node, ast.Call) and "celery" not in last
        is_known = last in WRAPPERS or last.endswith("Middleware")
        if is_wrapper or is_known or self._is_middleware(dotted):
            named = self.sources.references(module, node)
            named |= {name.rpartition(".")[2] for name in named}  # `setup(FastAPI())`
            if wrapped := named & self.kinds.keys():
                return last if last in _CONVERTERS else self.kinds[min(wrapped)]
        return None

    def _is_middleware(self, dotted: str) -> bool:
        """Whether a class of the project has the signature by which a server calls it.

        It is `scope, receive, send` (ASGI 3.0) or `environ, start_response` (PEP 3333).
        """
        _, node = self.sources.definition(dotted)
        if not isinstance(node, ast.ClassDef):
            return False
        methods = (each for each in node.body if isinstance(each, FUNCTION))
        called = (len(each.args.args) for each in methods if each.name == "__call__")
        return not {3, 4}.isdisjoint(called)


def _scopes(module: Module) -> Iterator[list[ast.stmt]]:
    """What runs together: an import, each function that is in no other, the guard of a program."""
    yield [each for each in module.statements if not isinstance(each, DEFINITION)]
    waiting = deque[ast.AST](module.tree.body)
    while waiting:
        node = waiting.popleft()
        if isinstance(node, FUNCTION) or is_guard(node):
            yield [node]
        elif not isinstance(node, ast.expr):
            waiting.extend(ast.iter_child_nodes(node))


def _loadable(node: ast.stmt, values: list[tuple[str, ast.expr]]) -> list[str]:
    """The names of a statement that a server can load, or call without arguments or `await`."""
    match node:
        case ast.FunctionDef(name=name, args=a):
            needed = len(a.posonlyargs) + len(a.args) - len(a.defaults)
            runs = name not in _APPLICATIONS and not _RUNNING.isdisjoint(
                map(callee, ast.walk(node))
            )
            is_callable = needed == 0 and all(a.kw_defaults) and not _is_replaced(node)
            return [name] if is_callable and not runs else []
        case ast.AsyncFunctionDef() | ast.ClassDef():
            return []
    return [name for name, _ in values]


def _is_replaced(function: ast.FunctionDef) -> bool:
    """Whether a decorator may make something else of it, such as a command of click."""
    texts = (ast.unparse(each).partition("(")[0] for each in function.decorator_list)
    return not _KEEPING.issuperset(text.rpartition(".")[2] for text in texts)


def _is_importable(module: Module) -> bool:
    """Whether it is served, and an import comes to an end: it runs no server for development."""
    values = [node.value for node in module.statements if isinstance(node, ast.Expr)]
    return module.is_served and _RUNNING.isdisjoint(map(callee, values))


_STARTING = {
    "Popen", "Process", "Thread", "create_task", "gather", "start", "start_soon", "to_thread",
}  # fmt: skip
_RUNS = re.compile(rf"\b(?:{'|'.join(_STARTING)}|run|serve)\(")
_RUNNING = {"launch", "main", "run", "run_app", "serve"}
_APPLICATIONS = {
    "app", "app_factory", "application", "build_app", "create_app", "get_app", "make_app",
}  # fmt: skip
_KEEPING = {"cache", "lru_cache", "wraps"}  # decorators of functools
_FILLING = r"(?:add_\w*route|add_url_rule|include_router|mount|register_blueprint)"
_NAMED = re.compile(r"[\"']([\w.]+:\w+)[\"']")
_CHANGING = rf"{_FILLING}|add_middleware|from_\w+"
_ADDING = rf"{_FILLING}|get|post|put|patch|delete|route|api_route|websocket"
_IMPORTING = re.compile(r"\b(?:import_module|find_modules|iter_modules|walk_packages)\(")
_MOUNTING = {"Host", "Mount", "host", "mount", "mount_gradio_app"}
# What makes an application of one with another interface, and what wraps one, besides middleware.
_CONVERTERS = {
    **dict.fromkeys(("ASGIApp", "WSGIMiddleware", "WsgiToAsgi"), "asgi"),
    **dict.fromkeys(("ASGIMiddleware", "WSGIApp"), "wsgi"),
}
WRAPPERS = {*_CONVERTERS, "ProxyFix", "WhiteNoise", "mount_gradio_app"}


def _beside_packages(applications: list[Application]) -> list[Application]:
    """Those of packages that are installed, where any is, and those that import such a package."""
    installed = [each for each in applications if each.module.is_installed]
    packages = {each.module.name.partition(".")[0] for each in installed}
    using = [each for each in applications if packages & each.module.imported_packages]
    return [each for each in applications if each in installed or each in using or not installed]


def _likeliest(applications: list[Application]) -> list[Application]:
    """Those of the best standing; of these one whose module, or name in a directory, is usual."""
    best = min((each.standing for each in applications), default=0)
    remaining = [each for each in applications if each.standing == best]
    usual = [each for each in remaining if each.module.stem in _USUAL_NAMES]
    # A name says little of two packages with applications of different kinds.
    interfaces = {each.interface for each in remaining}
    packages = {each.module.name.partition(".")[0] for each in remaining}
    is_mixed = len(interfaces) > 1 and len(packages) > 1
    if len({each.module.path for each in usual}) == 1 and not is_mixed:
        remaining = usual
    named = [each for each in remaining if each.is_usual]
    if len({posixpath.dirname(each.module.path) for each in remaining}) == len(named) == 1:
        return named
    return sorted(remaining, key=lambda each: (each.name, each.module.path))


def scripts_importing(sources: Modules, package: str) -> list[Application]:
    """The likeliest of the files that import `package`, and are no page of another one.

    Pages are what it imports, what it names (`st.Page("views/a.py")`), and the files in `pages`
    beside it. A script with pages is likelier than one without, and a launcher, which has only the
    modules by which Streamlit itself is started, is none.
    """
    scripts, named, beside_pages = [], set[str](), set[str]()
    for m in sources.modules:
        of_package = [n for n in m.imports.values() if n.partition(".")[0] == package]
        if all(_LAUNCHING.match(name) for name in of_package):
            continue
        folder = posixpath.dirname(m.path)
        named |= {posixpath.join(folder, text) for text in strings_in(m.tree)}
        if posixpath.basename(folder) == "pages":
            beside_pages.add(posixpath.dirname(folder))
        elif m.is_served and m.name not in sources.imported:
            evidence = f"{m.path} imports {package}"
            scripts.append(Application(name=m.path, interface="", evidence=evidence, module=m))
    scripts = [each for each in scripts if each.name not in named]
    beside = (each for each in scripts if posixpath.dirname(each.name) in beside_pages)
    first = [each for each in scripts if ".navigation(" in each.module.text] or [*beside]
    return _likeliest(first or scripts)


_LAUNCHING = re.compile(r"streamlit\.(?:web|cli|bootstrap)\b")


def programs(sources: Modules) -> list[tuple[str, tuple[str, ...]]]:
    """Files that can be run, and how, in the order in which a person would name them."""
    ranked: list[tuple[int, int, str, tuple[str, ...]]] = []
    for module in (each for each in sources.modules if each.is_served):
        is_run = _RUN_BY.keys() & module.imported_packages and module.name not in sources.imported
        if not (module.is_program or is_run):
            continue
        name, stem, path = module.name.removesuffix(".__main__"), module.stem, module.path
        rank = _RANKS.get(stem, 0 if is_run else len(_RANKS))
        is_found = module.is_installed or ("." in module.name and module.base == ".")
        words: tuple[str, ...] = ("python", "-m", name) if is_found else ("python", path)
        for framework in _RUN_BY.keys() & module.imported_packages:
            words = (*_RUN_BY[framework].split(), path)
        ranked.append((name.count("."), rank, path, words))
    # A module that is deeper, and has no name of a program, has a demonstration of itself.
    top = min(ranked, default=(0,))[0]
    known = (each for each in sorted(ranked) if each[0] == top or each[1] < len(_RANKS))
    return [(path, words) for _, _, path, words in known]


def _values(node: ast.AST, of_class: str = "") -> Iterator[tuple[str, ast.expr]]:
    """Names that a statement binds; `CLASS.name` for what methods return, or set of `self`."""
    match node:
        case ast.ClassDef(name=name, bases=bases, body=body):
            yield from ((name, base) for base in bases)
            yield from (pair for inner in body for pair in _values(inner, f"{name}."))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            waiting = deque[ast.AST](node.body)
            while waiting:
                match inner := waiting.popleft():
                    case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.expr():
                        continue
                    case ast.Return(value=ast.expr() as value):
                        yield f"{of_class}{name}", value
                    case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)]):
                        yield f"{of_class}{attr}", inner.value
                    case _:
                        yield from bindings(inner)
                waiting.extend(ast.iter_child_nodes(inner))
        case _:
            yield from ((f"{of_class}{name}", value) for name, value in bindings(node))
