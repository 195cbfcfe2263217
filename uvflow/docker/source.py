"""Applications, routes and Django settings, found by parsing Python source. Nothing is run."""

import ast
import os
import posixpath
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from uvflow.files import read_regular

_SKIPPED_DIRECTORIES = {
    "__pycache__", "build", "dist", "doc", "docs", "examples", "migrations", "node_modules",
    "scripts", "site-packages", "test", "tests", "venv",
}  # fmt: skip
SETTINGS_MODULE = "DJANGO_SETTINGS_MODULE"
_MAX_BYTES = 1_000_000  # a larger file is generated

# The usual names of modules with an application, the likeliest first.
_USUAL_NAMES = ("main", "app", "asgi", "wsgi", "server", "api", "web", "application", "__init__")


@dataclass(frozen=True, kw_only=True)
class Module:
    """A source file: its path relative to the root (POSIX), and the name it is imported by.

    One that `is_installed` is part of a package that is installed into the environment.
    """

    path: str
    name: str
    text: str
    is_installed: bool = False

    @cached_property
    def body(self) -> list[ast.stmt]:
        """Its statements; none where it is not valid Python."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old escapes in the user's strings
                return ast.parse(self.text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []

    def nodes(self) -> Iterator[ast.AST]:
        return (node for statement in self.body for node in ast.walk(statement))


@dataclass(frozen=True, kw_only=True)
class Application:
    """An object that a server loads: `module:attribute`, or a factory `module:function`."""

    module: Module
    attribute: str
    is_factory: bool = False


class Sources:
    """The Python files an image may run: those of `root`, and those of local packages.

    `packages` are the directories of local packages that are installed, each with its import name;
    `others` are directories of local packages that are not searched.
    """

    def __init__(
        self, root: Path, packages: Mapping[Path, str] | None = None, others: Iterable[Path] = ()
    ) -> None:
        self.root = root
        self.packages = packages or {}
        self.others = {*others, *self.packages}

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The likeliest to hold an application first: near the root, then by usual names."""
        bases = dict.fromkeys((self.root, *self.packages))
        modules = (self._module(base, path) for base in bases for path in self._python_files(base))
        return tuple(sorted((m for m in modules if m), key=_likelihood))

    def _python_files(self, base: Path) -> Iterator[str]:
        skipped = self.others - {base}
        for directory, directories, files in os.walk(base):
            directories[:] = sorted(
                name
                for name in directories
                if not name.startswith(".")
                and name not in _SKIPPED_DIRECTORIES
                and Path(directory, name) not in skipped
                and not Path(directory, name, "pyvenv.cfg").exists()
            )
            below = Path(directory).relative_to(base)
            yield from ((below / name).as_posix() for name in sorted(files) if name.endswith(".py"))

    def _module(self, base: Path, path: str) -> Module | None:
        """None for a file that cannot be read, or that is neither the root's nor installed."""
        package = self.packages.get(base)
        is_installed = package is not None and path.startswith(("src/", f"{package}/"))
        file = base / path
        try:
            if not (is_installed or base == self.root):
                return None
            text = read_regular(file, _MAX_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            return None
        name = path.removesuffix(".py").removeprefix("src/").removesuffix("/__init__")
        return Module(
            path=Path(os.path.relpath(file, self.root)).as_posix(),
            name=name.replace("/", "."),
            text=text,
            is_installed=is_installed,
        )

    def module(self, name: str) -> Module | None:
        """The module that is imported as `name`."""
        return next((m for m in self.modules if m.name == name), None)

    def application(self, classes: Iterable[str]) -> Application | None:
        """The first `NAME = CLASS(…)` of a module, else the first function that returns one.

        A call of such a function counts as one of the class.
        """
        classes = tuple(classes)
        makers = [m for m in self.modules if any(f"{c}(" in m.text for c in classes)]
        factories = [(m, function) for m in makers for function in _factories_in(m, classes)]
        calls = {*classes, *(function.name for _, function in factories)}
        for module in self.modules:
            if any(f"{name}(" in module.text for name in calls):
                for name, value in _assignments(module.body):
                    if isinstance(value, ast.Call) and _last_name(value.func) in calls:
                        return Application(module=module, attribute=name)
        for module, function in factories:
            if _needs_no_arguments(function.args):
                return Application(module=module, attribute=function.name, is_factory=True)
        return None

    def script_importing(self, package: str) -> str | None:
        """The path of the first file that imports `package`."""
        mentions = (m for m in self.modules if package in m.text)
        return next((m.path for m in mentions if _imports(m, package)), None)

    def health_path(self) -> str | None:
        """The path of a route that is named as a health check, such as `/healthz`."""
        paths = {name: path for m in self.modules for name, path in _health_routes(m)}
        return next((paths[name] for name in _HEALTH_NAMES if name in paths), None)


def _likelihood(module: Module) -> tuple[int, int, str]:
    stem = module.path.removesuffix(".py").rpartition("/")[2]
    rank = _USUAL_NAMES.index(stem) if stem in _USUAL_NAMES else len(_USUAL_NAMES)
    return (module.name.count("."), rank, module.path)


def _factories_in(module: Module, classes: tuple[str, ...]) -> Iterator[ast.FunctionDef]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            calls = (n for n in ast.walk(node) if isinstance(n, ast.Call))
            if any(_last_name(call.func) in classes for call in calls):
                yield node


def _needs_no_arguments(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional == 0 and all(arguments.kw_defaults)


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Every `NAME = VALUE` at the top level, and below an `if` or `try` there."""
    waiting = body[::-1]  # no recursion: every `elif` is nested in the `if` before it
    while waiting:
        match waiting.pop():
            case ast.Assign(targets=targets, value=value):
                yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                waiting += [*inner, *other][::-1]


def _imports(module: Module, package: str) -> bool:
    for node in module.body:
        match node:
            case ast.Import(names=names) if any(a.name.split(".")[0] == package for a in names):
                return True
            case ast.ImportFrom(module=str(name)) if name.split(".")[0] == package:
                return True
    return False


# The usual names, the one that asks least of the service first.
_HEALTH_NAMES = (
    "healthz", "livez", "health", "healthcheck", "health-check", "health_check", "live", "alive",
    "readyz", "ready",
)  # fmt: skip
_HEALTH = re.compile(rf"\^?/?((?:[\w-]+/)*({'|'.join(_HEALTH_NAMES)})/?)\$?")
_ROUTES = {
    "Route", "add_api_route", "add_get", "add_route", "add_url_rule", "api_route", "get", "path",
    "re_path", "route", "url",
}  # fmt: skip


def _health_routes(module: Module) -> Iterator[tuple[str, str]]:
    """Name → path."""
    if not any(name in module.text for name in _HEALTH_NAMES):
        return
    for node in module.nodes():
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str(pattern)), *_]):
                route = _HEALTH.fullmatch(pattern.replace("/?$", "/$"))
                if route and _last_name(function) in _ROUTES:
                    yield route[2], f"/{route[1]}"


def _last_name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


@dataclass(frozen=True, kw_only=True)
class Static:
    """Static files that the script `manage` collects into `directory`.

    The variables of `environment` are set for that step only.
    """

    directory: str
    manage: str = "manage.py"
    environment: tuple[tuple[str, str], ...]


class Django:
    """What the settings module of a Django project contains; `named` is one that is named."""

    def __init__(self, sources: Sources, named: str | None = None) -> None:
        self._sources = sources
        self._named = named

    @cached_property
    def _naming(self) -> Mapping[str, tuple[Module, str]]:
        """`manage`, `wsgi`, `asgi` → the module nearest to the root, and the settings it names."""
        likely = [m for m in self._sources.modules if SETTINGS_MODULE in m.text][::-1]
        named = ((m, name) for m in likely if (name := _settings_named_in(m)))
        return {module.name.rpartition(".")[2]: (module, name) for module, name in named}

    @cached_property
    def settings_module(self) -> str | None:
        """The settings that are served: manage.py may name others."""
        served = (self._naming.get(name) for name in ("wsgi", "asgi", "manage"))
        return self._named or next((naming[1] for naming in served if naming), None)

    def value(self, name: str) -> ast.expr | None:
        """What the settings assign to `name`, themselves or through a `from … import *`."""
        return self._value(self.settings_module, name, 0)

    def _value(self, module_name: str | None, name: str, depth: int) -> ast.expr | None:
        module = self._sources.module(module_name) if module_name else None
        if module is None or depth > len(self._sources.modules):
            return None
        for key, value in _assignments(module.body):
            if key == name:
                return value
        below = (self._value(other, name, depth + 1) for other in _star_imports(module))
        return next((value for value in below if value is not None), None)

    def text(self, name: str) -> str | None:
        """The same where it is a string."""
        match self.value(name):
            case ast.Constant(value=str(text)):
                return text
        return None

    def variables_of(self, name: str) -> tuple[str, ...]:
        """The environment variables that the value of `name` is read from."""
        variable = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
        return tuple(dict.fromkeys(filter(variable.fullmatch, _strings_in(self.value(name)))))

    def static(self, environment: tuple[tuple[str, str], ...]) -> Static | None:
        """What `collectstatic` is to do, None where the settings ask for nothing.

        Settings may refuse to load without a secret key, so a placeholder is set unless
        `environment` has a better one. No request is ever answered with it.
        """
        directory = _directory(self.value("STATIC_ROOT"))
        apps = _strings_in(self.value("INSTALLED_APPS"))
        if directory is None or "django.contrib.staticfiles" not in apps:
            return None
        variables = dict.fromkeys(self.variables_of("SECRET_KEY"), "collectstatic-only")
        manage, named = self._naming.get("manage", (None, None))
        if self.settings_module not in (named, self._named):
            variables[SETTINGS_MODULE] = str(self.settings_module)
        path = manage.path if manage else "manage.py"
        return Static(
            directory=posixpath.join(posixpath.dirname(path), directory),
            manage=path,
            environment=tuple(sorted({**variables, **dict(environment)}.items())),
        )

    def remarks(self) -> Iterator[str]:
        """What a container that cannot write cannot keep, and what is not collected."""
        root = self.value("STATIC_ROOT")
        if root and not _directory(root):
            yield f"the STATIC_ROOT of {self.settings_module} is computed: it is not collected"
        if any("sqlite3" in text for text in _strings_in(self.value("DATABASES"))):
            yield f"{self.settings_module} keeps an SQLite database, and the image is not writable"
        if self.value("MEDIA_ROOT"):
            yield f"{self.settings_module} has a MEDIA_ROOT: mount a volume there to keep uploads"


def _directory(value: ast.expr | None) -> str | None:
    """A directory below the one of manage.py, or an absolute one."""
    match value:
        case (
            ast.Constant(value=str(path))
            | ast.BinOp(left=ast.Name(), op=ast.Div(), right=ast.Constant(value=str(path)))
            | ast.Call(args=[ast.Name(), ast.Constant(value=str(path))])
        ):
            return path.rstrip("/")  # also of BASE_DIR / "…" and os.path.join(BASE_DIR, "…")
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return _directory(inner)
    return None


def _strings_in(value: ast.expr | None) -> list[str]:
    nodes = ast.walk(value) if value else ()
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _settings_named_in(module: Module) -> str | None:
    for node in module.nodes():
        match node:
            case (
                ast.Call(
                    args=[
                        ast.Constant(value="DJANGO_SETTINGS_MODULE"),
                        ast.Constant(value=str(name)),
                    ]
                )
                | ast.Assign(
                    targets=[ast.Subscript(slice=ast.Constant(value="DJANGO_SETTINGS_MODULE"))],
                    value=ast.Constant(value=str(name)),
                )
            ):
                return name
    return None


def _star_imports(module: Module) -> Iterator[str]:
    package = module.name if module.path.endswith("__init__.py") else _parent(module.name, 1)
    for node in module.body:
        match node:
            case ast.ImportFrom(module=name, names=[ast.alias(name="*")], level=level):
                base = _parent(package, level - 1) if level else ""
                yield ".".join(part for part in (base, name or "") if part)


def _parent(name: str, levels: int) -> str:
    parts = name.split(".")
    return ".".join(parts[: len(parts) - levels])
