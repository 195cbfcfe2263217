"""Applications, routes and Django settings, found by parsing Python source. Nothing is run."""

import ast
import os
import posixpath
import re
import sys
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from uvflow.docker.context import files_in, source_text
from uvflow.project.manifest import Table, table_at

SETTINGS_MODULE = "DJANGO_SETTINGS_MODULE"
# `environ.setdefault(…, NAME)` or `environ[…] = NAME`
_NAMED_SETTINGS = re.compile(
    rf"""^[^#\n]*[\"']{SETTINGS_MODULE}[\"'](?:,|\]\s*=(?:[^#\n]*\bor\b)?)\s*"""
    rf"""[\"']([\w.]+)[\"']""",
    re.MULTILINE,
)
_ENVIRONMENT_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")

# A word in the name of a directory, a file or a function with nothing that is served.
_NOT_SERVED = {
    "conftest", "debug", "demo", "devtools", "example", "fake", "mock", "playground", "sandbox",
    "scratch", "stub", "test", "tests",
}  # fmt: skip
_SKIPPED_DIRECTORIES = _NOT_SERVED | {
    "__pycache__", "alembic", "benchmarks", "build", "dist", "doc", "docs", "examples",
    "experiments", "fixtures", "migrations", "mocks", "node_modules", "notebooks", "samples",
    "scripts", "site-packages", "tools", "venv",
}  # fmt: skip

# The usual names of modules with an application.
_USUAL_NAMES = {
    "__init__", "api", "app", "application", "asgi", "main", "run", "serve", "server", "wsgi",
}  # fmt: skip

# Those of modules that are run, the likeliest first, and of those that are run by a person.
PROGRAM_NAMES = ("main", "__main__", "app", "run", "server", "bot", "worker", "scheduler")
_NO_PROGRAMS = {"fabfile", "manage", "noxfile", "setup"}


@dataclass(frozen=True, kw_only=True)
class Module:
    """A source file: its path relative to the root (POSIX), and the name it is imported by.

    One that `is_installed` is part of a package that is installed into the environment; `base` is
    the directory that it is imported from. One that does not exist has the path `.` and no text.
    """

    path: str = "."
    name: str
    text: str = ""
    base: str = "."
    is_installed: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree; an empty one where it is not valid Python."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old escapes in the user's strings
                return ast.parse(self.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ast.Module(body=[], type_ignores=[])

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem

    @property
    def is_served(self) -> bool:
        """Whether its name allows that it has an application."""
        is_of_alembic = self.path.endswith("/env.py")
        return not is_of_alembic and _NOT_SERVED.isdisjoint(self.stem.split("_"))

    @property
    def is_program(self) -> bool:
        """Whether it does something where it is run, and not imported."""
        if self.stem in _NO_PROGRAMS or not self.is_served:
            return False
        acts = ast.While | ast.Expr if self.stem in PROGRAM_NAMES else ast.While
        return self.stem == "__main__" or any(
            (isinstance(node, ast.If) and _is_guard(node))
            or (
                isinstance(node, acts)
                and not isinstance(getattr(node, "value", None), ast.Constant)
            )
            for node in self.tree.body
        )

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """Those that an import runs: at the top level, and below an `if` or `try` there."""
        found, waiting = list[ast.stmt](), deque(self.tree.body)
        while waiting:  # no recursion: every `elif` is nested in the `if` before it
            match node := waiting.popleft():
                case ast.If() if _is_guard(node):
                    pass
                case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                    waiting.extendleft(reversed([*inner, *other]))
                case _:
                    found.append(node)
        return found

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """Each imported name with its dotted origin; a `PACKAGE.*` is its own name."""
        package = self.name if self.stem == "__init__" else _parent(self.name, 1)
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    base = ""
                case ast.ImportFrom(module=name, names=names, level=level):
                    above = _parent(package, level - 1) if level else ""
                    base = "".join(f"{part}." for part in (above, name) if part)
                case _:
                    continue
            for each in names:
                dotted = f"{base}{each.name}"
                found[dotted if each.name == "*" else each.asname or each.name] = dotted
        return found

    @property
    def imported_packages(self) -> set[str]:
        return {name.partition(".")[0] for name in self.imports.values()}

    def dotted(self, node: ast.AST) -> str:
        """The dotted origin of a name or an attribute; empty for anything else."""
        match node:
            case ast.Name(id=name):
                return self.imports.get(name) or f"{self.name}.{name}"
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self.imports:
                return f"{self.imports[name]}.{attribute}"
            case ast.Attribute(attr=attribute):
                return f"{self.name}.?.{attribute}"
        return ""


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
    def standing(self) -> int:
        """0 for the name that comes first, 1 in a package or with a usual name, 2 for others."""
        module = self.module
        if module.stem == "streamlit_app":
            return 0
        is_in_place = module.is_installed or "." in module.name or module.stem in _USUAL_NAMES
        return 1 if is_in_place or not self.interface else 2  # a script is of no package


class Modules:
    """Modules that import each other: sorted, those near the root first."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = sorted(modules, key=lambda m: (m.name.count("."), m.path))
        self.by_name = {module.name: module for module in self.modules[::-1]}

    @cached_property
    def imported(self) -> set[str]:
        """Every dotted name that a module imports, and what each is in."""
        names = {name for module in self.modules for name in module.imports.values()}
        return names | {_parent(name, 1) for name in names}

    def origin(self, dotted: str) -> str:
        """The dotted name by which an object is defined that modules import from each other."""
        for _ in self.modules:
            owner, _, name = dotted.rpartition(".")
            if owner not in self.by_name or name not in self.by_name[owner].imports:
                break
            dotted = self.by_name[owner].imports[name]
        return dotted

    def definition(self, dotted: str) -> tuple[Module, ast.stmt | None]:
        """The function or the class of that dotted name, and the module that has it."""
        owner, _, name = self.origin(dotted).rpartition(".")
        module = self.by_name.get(owner) or Module(name=owner)
        definitions = (each for each in module.statements if isinstance(each, _DEFINITION))
        return module, next((each for each in definitions if each.name == name), None)

    def references(self, module: Module, node: ast.AST) -> set[str]:
        """The dotted names in an expression."""
        found, waiting = set(), [node]  # no recursion: sums of many parts are nested as deep
        while waiting:
            if dotted := module.dotted(each := waiting.pop()):
                found.add(self.origin(re.sub(r"\.(urls|wsgi_app)$", "", dotted)))
            else:
                waiting += ast.iter_child_nodes(each)
        return found


class Sources(Modules):
    """The Python files an image may run: those of `root`, and those of local packages.

    `packages` are the directories of local packages with their `import_names`, which are empty for
    those that are not installed.
    """

    def __init__(self, root: Path, packages: Mapping[Path, Table] | None = None) -> None:
        self.root, self.packages = root, packages or {}
        installed = (directory for directory, names in self.packages.items() if names)
        bases = dict.fromkeys((root, *installed))
        super().__init__(module for base in bases for module in self._modules_below(base))

    def _modules_below(self, base: Path) -> Iterator[Module]:
        others, files = self.packages.keys() - {base}, {}
        for file in (file for file in files_in(base) if file.suffix == ".py"):
            folders = file.parts[:-1]
            is_skipped = any(n.startswith(".") or n in _SKIPPED_DIRECTORIES for n in folders)
            if not is_skipped and others.isdisjoint(base / each for each in file.parents):
                files[str(file)] = source_text(base / file)
        base_of, prefix = _import_bases(files), os.path.relpath(base, self.root)
        names = self.packages.get(base, {})
        for path, text in files.items():
            above = [each for each in names if path.startswith(f"{each}/")]
            start = max(above, key=len, default=base_of(path))
            name = posixpath.join(names.get(start, ""), posixpath.relpath(path, start))
            if base == self.root or above:
                name = name.removesuffix(".py").removesuffix("/__init__")
                yield Module(
                    path=Path(prefix, path).as_posix(),
                    name=name.replace("/", "."),
                    text=text,
                    base=base_of(path),
                    is_installed=bool(above),
                )

    def scripts_importing(self, package: str) -> list[Application]:
        """The likeliest of the files that import `package`, and are no page of another one.

        Pages are what it imports, what it names (`st.Page("views/a.py")`), and the files in `pages`
        beside it; a script with pages is likelier than one without.
        """
        imported = self.imported
        scripts, named, beside_pages = [], set[str](), set[str]()
        for m in self.modules:
            if package not in m.imported_packages:
                continue
            folder = posixpath.dirname(m.path)
            named |= {posixpath.join(folder, text) for text in _strings_in(m.tree)}
            if posixpath.basename(folder) == "pages":
                beside_pages.add(posixpath.dirname(folder))
            elif m.is_served and m.name not in imported:
                evidence = f"{m.path} imports {package}"
                scripts.append(Application(name=m.path, interface="", evidence=evidence, module=m))
        scripts = [each for each in scripts if each.name not in named]
        first = [each for each in scripts if posixpath.dirname(each.name) in beside_pages]
        return _likeliest(first or scripts)


def read_files(sources: Sources) -> bool:
    """Whether an installed module names a file of the project, as seen from its directory."""
    for module in (each for each in sources.modules if each.is_installed):
        if _READING.search(module.text):
            calls = [node for node in ast.walk(module.tree) if _called(node) in _READERS]
            texts = [text for call in calls for text in _strings_in(call) if text]
            if any((sources.root / text).exists() for text in texts if not text.startswith("/")):
                return True
    return False


_READERS = {"FileSystemLoader", "Jinja2Templates", "Path", "StaticFiles", "open"}
_READING = re.compile(rf"\b(?:{'|'.join(_READERS)})\(")


def import_names(distribution: str, manifest: Table) -> dict[str, str]:
    """Directories with the sources of a local package, and the path by which each is imported.

    Those that build backends have by default, and those that `manifest` has for one of them.
    """
    package = distribution.replace("-", "_")
    names = {"src": "", package: package}
    backends = ("uv", "build-backend"), ("hatch", "build", "targets", "wheel"), ("setuptools",)
    with suppress(AttributeError, TypeError, ValueError):  # of another shape than documented
        uv, hatch, setuptools = (table_at(manifest, "tool", *keys) for keys in backends)
        modules = uv.get("module-name", package)
        for module in [modules] if isinstance(modules, str) else modules:
            path = module.replace(".", "/")
            names[posixpath.join(uv.get("module-root", "src"), path)] = path
        names |= {path: posixpath.basename(path) for path in hatch.get("packages", ())}
        names |= hatch.get("sources", {})
        for module, path in setuptools.get("package-dir", {}).items():
            names[path] = module.replace(".", "/")
        names |= dict.fromkeys(table_at(setuptools, "packages", "find").get("where", ()), "")
    return {posixpath.normpath(str(path)): str(name) for path, name in names.items()}


# distribution → the class whose instance a server loads, and the interface
FRAMEWORKS = {
    "fastapi": ("FastAPI", "asgi"),
    "litestar": ("Litestar", "asgi"),
    "quart": ("Quart", "asgi"),
    "dash": ("Dash.server", "wsgi"),
    "starlette": ("Starlette", "asgi"),
    "flask": ("Flask", "wsgi"),
    "bottle": ("Bottle", "wsgi"),
    "python-socketio": ("ASGIApp", "asgi"),
}

_NAME = ast.Name | ast.Attribute
_MADE = ast.Call | ast.Attribute
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITION = _FUNCTION | ast.ClassDef
_DEPTH = 9  # of `Factory().debug(False).build().app`


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
            for module in sources.modules:
                if any(name in module.text for name in known) and _is_importable(module):
                    for node in module.statements:
                        self._read(module, node)
        # What calls a factory leaves it one.
        self.outermost = self.found.keys() - (self.parts - self.factories)

    def likeliest(self, within: Module | None = None) -> list[Application]:
        """Those that are outermost, or all that are `within`, as far as nothing stands out."""
        found = [self.found[name] for name in self.outermost]
        if within:
            found = [each for each in self.found.values() if each.module == within]
        else:
            found = _beside_packages(found)
        objects = [each for each in found if not each.is_factory]
        usual = [each for each in found if each.is_factory and each.is_usual]
        modules = [each.module for each in objects]
        others = [each for each in usual if each.module not in modules]
        if others and modules and not any(module.stem in _USUAL_NAMES for module in modules):
            # A script may make one for itself.
            return sorted([*objects, *others], key=lambda each: each.name)
        likeliest = _likeliest(objects or usual or found)
        if within or len(likeliest) != 1 or likeliest[0].is_factory:
            return likeliest
        return self._completed(likeliest[0]) or likeliest

    def _completed(self, one: Application) -> list[Application]:
        """The same object in modules with a usual name that import it, and do more.

        They may add its routes. What is imported itself is loaded with the object.
        """
        sources, dotted = self.sources, one.name.replace(":", ".")
        imported = sources.imported
        found = []
        for module in (m for m in sources.modules if m.stem in _USUAL_NAMES and _is_importable(m)):
            origins = {sources.origin(each) for each in module.imports.values()}
            parents = {_parent(each, 1) for each in origins}
            others = (origins | parents) & sources.by_name.keys() - {one.module.name, module.name}
            calls = (each for each in module.statements if isinstance(each, ast.Expr))
            does_more = others or any(isinstance(each.value, ast.Call) for each in calls)
            if dotted in origins and module.name not in imported and does_more:
                names = (n for n, each in module.imports.items() if sources.origin(each) == dotted)
                name, evidence = (
                    f"{module.name}:{next(names)}",
                    f"{module.path} completes {one.name}",
                )
                found.append(replace(one, name=name, evidence=evidence, module=module))
        return found

    def are_served_by_a_program(self) -> bool:
        """Whether one is served in a thread or a task, beside what a program does besides."""
        return any(
            self._serves(module, node)
            for module in self.sources.modules
            if module.is_served
            for call in ast.walk(module.tree)
            if _called(call) in _BESIDE
            for node in _with_functions(module, call)
        )

    def _serves(self, module: Module, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="run")):
                return module.dotted(owner) in self.kinds or module.dotted(owner) == "uvicorn"
        return _called(node) == "serve"

    def _read(self, module: Module, node: ast.stmt) -> None:
        values, parts = [*_values(node)], list[ast.AST]()
        own = {f"{module.name}.{name}" for name, _ in values}  # `app = mount(app, …)`
        if isinstance(node, ast.ClassDef):
            self.kinds[f"{module.name}.self"] = f"{module.name}.{node.name}"
        elif not isinstance(node, _FUNCTION):
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
        if isinstance(node, _FUNCTION):
            parts = [value for value in parts if _called(value)]  # not an object that it returns
        parts += [call for call in ast.walk(node) if _called(call) in _MOUNTING]
        for part in parts:
            self.parts |= self.sources.references(module, part) - own

    def _read_made(self, module: Module, node: ast.stmt, name: str) -> None:
        match node:
            case ast.ClassDef(name=of_class) if name != of_class:
                self.kinds.setdefault(f"{module.name}.{of_class}", f"{module.name}.{of_class}")
            case ast.FunctionDef(name=function) if name == function and not _is_replaced(node):
                self.factories.add(f"{module.name}.{name}")

    def _find(self, module: Module, name: str, *, is_factory: bool) -> None:
        kind = self.kinds.get(f"{module.name}.{name}")
        if kind in self.interfaces and _NOT_SERVED.isdisjoint(name.split("_")):
            self.found[f"{module.name}.{name}"] = Application(
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
        is_known = last in _WRAPPERS or last.endswith("Middleware")
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
        methods = (each for each in node.body if isinstance(each, _FUNCTION))
        called = (len(each.args.args) for each in methods if each.name == "__call__")
        return not {3, 4}.isdisjoint(called)


def _with_functions(module: Module, call: ast.AST) -> list[ast.AST]:
    """The nodes of a call, and of the functions of the module that it names."""
    nodes = list(ast.walk(call))
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    functions = (node for node in ast.walk(module.tree) if isinstance(node, _FUNCTION))
    return nodes + [node for each in functions if each.name in named for node in ast.walk(each)]


def _loadable(node: ast.stmt, values: list[tuple[str, ast.expr]]) -> list[str]:
    """The names of a statement that a server can load, or call without arguments or `await`."""
    match node:
        case ast.FunctionDef(name=name, args=a):
            needed = len(a.posonlyargs) + len(a.args) - len(a.defaults)
            runs = name not in _APPLICATIONS and not _RUNNING.isdisjoint(
                map(_called, ast.walk(node))
            )
            is_callable = needed == 0 and all(a.kw_defaults) and not _is_replaced(node)
            return [name] if is_callable and not runs else []
        case ast.AsyncFunctionDef() | ast.ClassDef():
            return []
    return [name for name, _ in values]


def _is_replaced(function: ast.FunctionDef) -> bool:
    """Whether a decorator may make something else of it, such as a command of click."""
    for decorator in function.decorator_list:
        match decorator.func if isinstance(decorator, ast.Call) else decorator:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _KEEPING:
                pass
            case _:
                return True
    return False


def _is_importable(module: Module) -> bool:
    """Whether it is served, and an import comes to an end: it runs no server for development."""
    values = [node.value for node in module.statements if isinstance(node, ast.Expr)]
    return module.is_served and _RUNNING.isdisjoint(map(_called, values))


_BESIDE = {"Process", "Thread", "create_task", "gather", "start_soon", "to_thread"}
_RUNNING = {"launch", "main", "run", "run_app", "serve"}
_APPLICATIONS = {
    "app", "app_factory", "application", "build_app", "create_app", "get_app", "make_app",
}  # fmt: skip
_KEEPING = {"cache", "lru_cache", "wraps"}  # decorators of functools
_MOUNTING = {"Mount", "mount", "mount_gradio_app"}
# What makes an application of one with another interface, and what wraps one, besides middleware.
_CONVERTERS = {
    **dict.fromkeys(("ASGIApp", "WSGIMiddleware", "WsgiToAsgi"), "asgi"),
    **dict.fromkeys(("ASGIMiddleware", "WSGIApp"), "wsgi"),
}
_WRAPPERS = {*_CONVERTERS, "ProxyFix", "WhiteNoise", "mount_gradio_app"}


def _beside_packages(applications: list[Application]) -> list[Application]:
    """Those of packages that are installed, where any is, and those that import such a package."""
    installed = [each for each in applications if each.module.is_installed]
    packages = {each.module.name.partition(".")[0] for each in installed}
    return [
        each
        for each in applications
        if each in installed
        or not installed
        or not packages.isdisjoint(each.module.imported_packages)
    ]


def _likeliest(applications: list[Application]) -> list[Application]:
    """Those of the best standing; of these one whose module, or name in a directory, is usual."""
    best = min((each.standing for each in applications), default=0)
    remaining = [each for each in applications if each.standing == best]
    usual = [each for each in remaining if each.module.stem in _USUAL_NAMES]
    # A name says little of two packages with applications of different kinds.
    kinds = {(each.interface, each.module.name.partition(".")[0]) for each in remaining}
    is_mixed = len({interface for interface, _ in kinds}) > 1 and len({top for _, top in kinds}) > 1
    if len({each.module.path for each in usual}) == 1 and not is_mixed:
        remaining = usual
    named = [each for each in remaining if each.is_usual]
    if len({posixpath.dirname(each.module.path) for each in remaining}) == len(named) == 1:
        return named
    return sorted(remaining, key=lambda each: each.name)


_IMPORTED = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\w+)", re.MULTILINE)


def _import_bases(files: Mapping[str, str]) -> Callable[[str], str]:
    """A function from a path of `files` (path → text) to the directory that it is imported from.

    That is where its own imports resolve, or those of the files beside it; else `src`, or what is
    above the package there; else the directory of the project.
    """
    here = {path.removesuffix(".py") for path in files}
    here |= {above.as_posix() for path in files for above in PurePosixPath(path).parents}
    packages = {posixpath.dirname(path) for path in files if path.endswith("/__init__.py")}
    tops = {path: set(_IMPORTED.findall(text)) for path, text in files.items()}
    used = {top for names in tops.values() for top in names}
    bases = {posixpath.dirname(path) or "." for path in files if path.endswith("/manage.py")}

    def base_of(path: str) -> str:
        above = [each.as_posix() for each in PurePosixPath(path).parents]
        outside = [each for each in above if each not in packages]
        if above[-2:-1] and above[-2] in used:
            return "."  # something imports its first directory by its name
        for each in outside[:-1]:
            names = tops[path] - sys.stdlib_module_names
            if each in bases or any(f"{each}/{name}" in here for name in names):
                return each
        if above[-2:-1] == ["src"]:
            return outside[0] if above[0] in packages else "src"
        return "."

    bases |= {base_of(path) for path in files} - {"src", "."}
    return base_of


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Every `NAME = VALUE` that a statement is."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def _is_guard(node: ast.If) -> bool:
    """Whether it is `if __name__ == "__main__"`."""
    match node.test:
        case ast.Compare(left=ast.Name(id="__name__")):
            return True
    return False


def assigned_text(text: str, name: str) -> str:
    """The expression that the source `text` assigns to `name`, in one line; `?` for several."""
    pairs = (pair for each in Module(name="", text=text).statements for pair in _assigned(each))
    values = [ast.unparse(value) for key, value in pairs if key == name]
    return "?" if values[1:] else "".join(values)


def _values(node: ast.AST, of_class: str = "") -> Iterator[tuple[str, ast.expr]]:
    """Names that a statement binds; `CLASS.name` for what methods return, or set of `self`."""
    match node:
        case ast.ClassDef(name=name, bases=bases, body=body):
            yield from ((name, base) for base in bases)
            yield from (pair for inner in body for pair in _values(inner, f"{name}."))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            definitions = (each for each in ast.walk(node) if isinstance(each, _DEFINITION))
            inside = (each for each in definitions if each is not node)
            nested = {each for definition in inside for each in ast.walk(definition)}
            for inner in (each for each in ast.walk(node) if each not in nested):
                match inner:
                    case ast.Return(value=ast.expr() as value):
                        yield f"{of_class}{name}", value
                    case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)]):
                        yield f"{of_class}{attr}", inner.value
                    case _:
                        yield from _assigned(inner)
        case _:
            yield from ((f"{of_class}{name}", value) for name, value in _assigned(node))


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
    open_routes = (
        route
        for route in found.routes
        if not any(route[1].startswith(p) and owner == route[2] for owner, p in found.mounted)
    )
    served = ((name, *found.served(path, owner)) for name, path, owner in open_routes)
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
        for variable, value in (pair for node in nodes for pair in _assigned(node)):
            if self._asks_more(module, value):
                self.routers[f"{module.name}.{variable}"] = None
            elif isinstance(value, ast.Call) and _ROUTER.fullmatch(_called(value) or ""):
                self.routers.setdefault(f"{module.name}.{variable}", _prefix(value))
        for function in (node for node in nodes if isinstance(node, _FUNCTION)):
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
            prefix = _text(key)
            if not prefix or prefix.startswith("/"):  # not another dictionary
                for child in self.sources.references(module, _without_wsgi_app(value)):
                    self.within[child] = module.name, prefix

    def _read_call(
        self, module: Module, call: ast.Call, decorated: ast.AST | None, above: list[ast.AST]
    ) -> None:
        name, owner = _called(call), ""  # a function that is decorated is given to something else
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
        is_nested = not _LISTS.isdisjoint(map(_called, above))
        is_route = name in _DECORATORS if decorated else name in _ROUTES and not is_nested
        asks_more = self._asks_more(module, decorated) or self._asks_more(module, call)
        is_sure = not (_may_not_run(above) or asks_more)
        path = _text(call.args[0]) if call.args and is_route and is_sure else None
        if route := _HEALTH.fullmatch((path or "").replace("/?$", "/$")):
            self.routes.append((route[2], f"/{route[1]}", owner))

    def _list_of(self, module: Module, above: list[ast.AST]) -> str:
        """The variable that has a list with the route, or that is made with it; else the module."""
        names = [name for node in above for name, _ in _assigned(node)]
        if not names:
            return module.name
        variable = f"{module.name}.{names[0]}"
        self.module_of[variable] = module.name
        return variable

    def _include(self, module: Module, call: ast.Call, owner: str, above: list[ast.AST]) -> None:
        strings = self.sources.by_name.keys() & _strings_in(call)
        calls = [node for node in above if isinstance(node, ast.Call)]
        prefixes = [_prefix(each) for each in (*calls[::-1], call) if _called(each) in _INCLUDING]
        prefix = "/".join(text.strip("/^") for text in prefixes if text)
        by_language = any(_called(each) == "i18n_patterns" for each in calls)
        if _called(call) == "mount" and prefix:
            self.mounted.add((owner, f"/{prefix}/"))
        is_unsure = by_language or _may_not_run(above) or self._asks_more(module, call)
        is_known = not (None in prefixes or is_unsure)
        for child in (*self.sources.references(module, call), *strings):
            if is_known:
                self.within[child] = owner, prefix
            else:
                self.within.setdefault(child, (owner, None))
            if _called(call) == "register_blueprint" and _prefix(call):
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
            calls = (c for c in ast.walk(named_in) if _called(c) in {"Depends", "Security"})
            for target in (t for call in calls for t in getattr(call, "args", ())[:1]):
                its_module, function = self.sources.definition(where.dotted(target))
                if isinstance(function, _FUNCTION) and function not in read:
                    if _needs_parameters(function):
                        return True
                    read.add(function)
                    waiting.append((its_module, function.args))
        return False

    def served(self, path: str, owner: str) -> tuple[str | None, str]:
        """The whole path, where it is known and served, and what serves it in the end."""
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


def _above(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    """What a node is in, from the inside to the outside."""
    while node in parents:
        node = parents[node]
        yield node


def _without_wsgi_app(node: ast.expr) -> ast.expr:
    match node:
        case ast.Attribute(value=application, attr="wsgi_app"):
            return application
    return node


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
    if not isinstance(function, _FUNCTION):
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
    if _called(call) in {"Host", "host"}:
        return None
    values = [k.value for k in call.keywords if k.arg in {"path", "prefix", "url_prefix"}]
    if not values and _called(call) in {"Mount", "add_router", "mount", "path", "re_path", "url"}:
        values = call.args[:1]
    return _text(values[0]) if values else ""


def _text(node: ast.AST | None) -> str | None:
    """The string that is written there; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _called(node: ast.AST) -> str | None:
    """The last name of what a call calls; None for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
    return None


@dataclass(frozen=True, kw_only=True)
class Static:
    """Static files that the script `manage` collects into `directory`, with some variables."""

    directory: str
    manage: str = "manage.py"
    environment: tuple[tuple[str, str], ...]


class Django:
    """The settings that a Django project is served with.

    The image has `named` them, or the line that starts it has (`in_line`), or wsgi.py.
    """

    def __init__(
        self, sources: Sources, named: str | None = None, in_line: str | None = None
    ) -> None:
        self.sources, self.named = sources, named
        found = ((m, _NAMED_SETTINGS.search(m.text)) for m in sources.modules[::-1])
        # `manage`, `wsgi`, `asgi` → the module nearest to the root, and the settings it names
        self._naming = {module.stem: (module, match[1]) for module, match in found if match}
        served = (self._naming.get(name) for name in ("wsgi", "asgi", "manage"))
        by_file = next((naming[1] for naming in served if naming), None)
        self.settings_module = named or in_line or by_file

    def served(self, interface: str) -> list[Module]:
        """Every wsgi.py, or every asgi.py."""
        named = (module for module in self.sources.modules if module.stem == interface)
        return [module for module in named if "application" in module.text]

    def value(self, name: str) -> ast.expr | None:
        """What the settings assign to `name`, the first that they do."""
        return next(self._values(name), None)

    def _values(self, name: str) -> Iterator[ast.expr]:
        """What they assign to `name`, themselves or through a `from … import *`."""
        waiting, read = [self.settings_module or ""], set[str]()
        while waiting:
            module = self.sources.by_name.get(waiting.pop())
            if module and module.name not in read:
                read.add(module.name)
                for key, value in (pair for s in module.statements for pair in _assigned(s)):
                    if key == name:
                        yield value
                stars = [dotted for dotted in module.imports if dotted.endswith(".*")]
                waiting += [dotted.removesuffix(".*") for dotted in stars[::-1]]

    def text(self, name: str) -> str | None:
        """The same where it is a string."""
        return _text(self.value(name))

    def static(self, environment: tuple[tuple[str, str], ...]) -> Static | None:
        """How to run `collectstatic`; None where the settings have nothing to collect.

        Settings may refuse to load without a secret key: it gets a placeholder, for this step.
        """
        directory = _directory(self.value("STATIC_ROOT"))
        apps = self._strings("INSTALLED_APPS")
        if directory is None or "django.contrib.staticfiles" not in apps:
            return None
        texts = filter(_ENVIRONMENT_VARIABLE.fullmatch, _strings_in(self.value("SECRET_KEY")))
        variables = dict.fromkeys(texts, "collectstatic-only")
        manage, named = self._naming.get("manage", (None, None))
        if self.settings_module not in (named, self.named):
            variables[SETTINGS_MODULE] = str(self.settings_module)
        path = manage.path if manage else "manage.py"
        return Static(
            directory=posixpath.join(posixpath.dirname(path), directory),
            manage=path,
            environment=tuple(sorted({**variables, **dict(environment)}.items())),
        )

    def _strings(self, name: str) -> set[str]:
        """The strings in what is assigned to `name`, and to the names that this is made of."""
        waiting, read, strings = [name], set[str](), set[str]()
        while waiting:
            if (each := waiting.pop()) not in read:
                read.add(each)
                nodes = [node for value in self._values(each) for node in ast.walk(value)]
                waiting += [node.id for node in nodes if isinstance(node, ast.Name)]
                strings |= {text for text in map(_text, nodes) if text is not None}
        return strings

    def allowed_host(self) -> str | None:
        """A name that ALLOWED_HOSTS has; empty where 127.0.0.1 will do, None where computed."""
        return _allowed_host(self.value("ALLOWED_HOSTS"))

    def remarks(self) -> Iterator[str]:
        """What the user should know: files that cannot be written, or are not collected."""
        root = self.value("STATIC_ROOT")
        if root and not _directory(root):
            yield f"the STATIC_ROOT of {self.settings_module} is computed: it is not collected"
        if any("sqlite3" in text for text in _strings_in(self.value("DATABASES"))):
            yield f"{self.settings_module} keeps an SQLite database, and the image is not writable"
        if self.value("MEDIA_ROOT"):
            yield f"{self.settings_module} has a MEDIA_ROOT: mount a volume there to keep uploads"


def trusted_host(sources: Sources) -> str | None:
    """The same of Starlette's TrustedHostMiddleware, where a module names it."""
    for module in sources.modules:
        if module.is_served and "TrustedHostMiddleware" in module.text:
            for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
                named = [each for each in (call.func, *call.args) if isinstance(each, _NAME)]
                if any(ast.unparse(each).endswith("TrustedHostMiddleware") for each in named):
                    hosts = [k.value for k in call.keywords if k.arg == "allowed_hosts"]
                    return _allowed_host(next(iter(hosts), None))
    return ""


def _allowed_host(value: ast.expr | None) -> str | None:
    if not isinstance(value, ast.List | ast.Tuple | None):
        return None
    elements = value.elts if value else []
    names = [text for text in map(_text, elements) if text is not None]
    if elements and not names:
        return None
    is_local = not names or {"*", "127.0.0.1"} & {*names}
    # Django's `.example.com` has the domain itself, Starlette's `*.example.com` has not.
    return "" if is_local else names[0].removeprefix(".").replace("*", "www", 1)


def _directory(value: ast.expr | None) -> str | None:
    """A directory below the one of manage.py, or an absolute one."""
    match value:  # BASE_DIR / "…", os.path.join(BASE_DIR, "…"), str(…)
        case ast.BinOp(left=ast.Name(), op=ast.Div(), right=inner):
            return _directory(inner)
        case ast.Call(args=[ast.Name(), inner]) | ast.Call(func=ast.Name(id="str"), args=[inner]):
            return _directory(inner)
    path = _text(value)
    return path and path.rstrip("/")


def _strings_in(value: ast.AST | None) -> list[str]:
    nodes = ast.walk(value) if value else ()
    return [text for text in map(_text, nodes) if text is not None]


def _parent(name: str, levels: int) -> str:
    parts = name.split(".")
    return ".".join(parts[: len(parts) - levels])
