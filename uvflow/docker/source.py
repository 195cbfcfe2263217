"""Applications, routes and Django settings, found by parsing Python source. Nothing is run."""

import ast
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_NO_SOURCES = {
    "__pycache__", "build", "dist", "doc", "docs", "examples", "migrations", "node_modules",
    "scripts", "site-packages", "test", "tests", "venv",
}  # fmt: skip
_LARGEST = 1_000_000  # bytes; what is larger was generated

# The names that modules with an application have by custom, the likeliest first.
_CUSTOM = ("main", "app", "asgi", "wsgi", "server", "api", "web", "application", "__init__")


@dataclass(frozen=True, kw_only=True)
class Module:
    """A source file: its path relative to the root (POSIX), and what it is imported as.

    One that `is_installed` is part of a package that gets into the environment.
    """

    path: str
    name: str
    text: str
    is_installed: bool = False

    @property
    def body(self) -> list[ast.stmt]:
        """Its statements; none where it is not valid Python."""
        try:
            return ast.parse(self.text).body
        except (SyntaxError, ValueError, RecursionError):
            return []


@dataclass(frozen=True, kw_only=True)
class Application:
    """An object that a server loads: `module:attribute`, or a factory `module:function`."""

    module: Module
    attribute: str
    is_factory: bool = False


class Sources:
    """The Python files that may be part of what an image runs: of `root`, and of packages.

    `packages` are the directories of local packages that are installed, each with the name that it
    is imported by; `others` are directories of local packages that are none of the project's.
    """

    def __init__(
        self, root: Path, packages: Mapping[Path, str] | None = None, others: Iterable[Path] = ()
    ) -> None:
        self.root = root
        self.packages = packages or {}
        self.others = {*others, *self.packages}

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """The likeliest to hold an application first: near the root, named by custom."""
        bases = dict.fromkeys((self.root, *self.packages))
        found = (module for base in bases for module in self._modules_of(base))
        return tuple(sorted(found, key=_likelihood))

    def _modules_of(self, base: Path) -> Iterator[Module]:
        """All files of the root; of another directory only what is installed from there."""
        for path in _python_files(base, self.others - {base}):
            is_installed = path.startswith(("src/", f"{self.packages.get(base)}/"))
            module = _module(self.root, base, path, is_installed and base in self.packages)
            if module and (base == self.root or module.is_installed):
                yield module

    def application(self, classes: Iterable[str]) -> Application | None:
        """The first `NAME = CLASS(…)` of a module, else the first function that returns one.

        A call of such a function counts as one of the class.
        """
        classes = tuple(classes)
        makers = [m for m in self.modules if any(f"{c}(" in m.text for c in classes)]
        factories = {f.name for m in makers for f in _factories_in(m, classes)}
        calls = (*classes, *factories)
        likely = [m for m in self.modules if any(f"{name}(" in m.text for name in calls)]
        made = (_made_in(module, calls) for module in likely)
        functions = (_factory_in(module, classes) for module in makers)
        return next((a for a in (*made, *functions) if a), None)

    def script_importing(self, package: str) -> str | None:
        """The path of the first file that imports `package`."""
        found = (m.path for m in self.modules if package in m.text and _imports(m, package))
        return next(found, None)

    def health_path(self) -> str | None:
        """The path of a route that is named as a health check, such as `/healthz`."""
        found = {name: path for m in self.modules for name, path in _health_routes(m)}
        return next((found[name] for name in _HEALTH_NAMES if name in found), None)

    def named(self, name: str) -> Module | None:
        """The module that is imported as `name`."""
        return next((m for m in self.modules if m.name == name), None)


def _python_files(base: Path, left_out: Container[Path]) -> Iterator[str]:
    for directory, directories, files in os.walk(base):
        directories[:] = sorted(
            name
            for name in directories
            if not name.startswith(".")
            and name not in _NO_SOURCES
            and Path(directory, name) not in left_out
            and not Path(directory, name, "pyvenv.cfg").exists()
        )
        below = Path(directory).relative_to(base)
        yield from ((below / name).as_posix() for name in sorted(files) if name.endswith(".py"))


def _module(root: Path, base: Path, path: str, is_installed: object) -> Module | None:
    file = base / path
    try:
        if file.stat().st_size > _LARGEST:
            return None
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # what cannot be read says nothing
    name = path.removesuffix(".py").removeprefix("src/").removesuffix("/__init__")
    return Module(
        path=Path(os.path.relpath(file, root)).as_posix(),
        name=name.replace("/", "."),
        text=text,
        is_installed=bool(is_installed),
    )


def _likelihood(module: Module) -> tuple[int, int, str]:
    stem = module.path.removesuffix(".py").rpartition("/")[2]
    rank = _CUSTOM.index(stem) if stem in _CUSTOM else len(_CUSTOM)
    return (module.name.count("."), rank, module.path)


def _made_in(module: Module, classes: tuple[str, ...]) -> Application | None:
    for name, value in assignments(module.body):
        if isinstance(value, ast.Call) and _last_name(value.func) in classes:
            return Application(module=module, attribute=name)
    return None


def _factory_in(module: Module, classes: tuple[str, ...]) -> Application | None:
    for function in _factories_in(module, classes):
        if _takes_nothing(function.args):
            return Application(module=module, attribute=function.name, is_factory=True)
    return None


def _factories_in(module: Module, classes: tuple[str, ...]) -> Iterator[ast.FunctionDef]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            calls = (n for n in ast.walk(node) if isinstance(n, ast.Call))
            if any(_last_name(call.func) in classes for call in calls):
                yield node


def _takes_nothing(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional == 0 and all(arguments.kw_defaults)


def assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Every `NAME = VALUE` at the top level, and below an `if` or `try` there."""
    for node in body:
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                yield from assignments([*inner, *other])


def _last_name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def _imports(module: Module, package: str) -> bool:
    for node in module.body:
        match node:
            case ast.Import(names=names) if any(a.name.split(".")[0] == package for a in names):
                return True
            case ast.ImportFrom(module=str(name)) if name.split(".")[0] == package:
                return True
    return False


# By custom, the one that asks least of the service first.
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
    if not any(name in module.text for name in _HEALTH_NAMES):
        return
    for statement in module.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and _last_name(node.func) in _ROUTES:
                yield from _health_route(node)


def _health_route(call: ast.Call) -> Iterator[tuple[str, str]]:
    match call.args:
        case [ast.Constant(value=str(pattern)), *_]:
            match = _HEALTH.fullmatch(pattern.replace("/?$", "/$"))
            if match:
                yield match[2], f"/{match[1]}"


@dataclass(frozen=True, kw_only=True)
class Static:
    """Static files to collect into `directory`, with these variables set for that alone."""

    directory: str
    environment: tuple[tuple[str, str], ...]


class Django:
    """What manage.py and the settings that it names say."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    @cached_property
    def settings_module(self) -> str | None:
        """The settings that manage.py names, else those of the first wsgi.py or asgi.py."""
        likely = [m for m in self._sources.modules if "DJANGO_SETTINGS_MODULE" in m.text]
        likely.sort(key=lambda module: module.path != "manage.py")
        named = (_settings_named_in(module) for module in likely)
        return next((name for name in named if name), None)

    def value(self, name: str) -> ast.expr | None:
        """What the settings assign to `name`, in themselves or in what they import with `*`."""
        return self._value(self.settings_module, name, 0)

    def text(self, name: str) -> str | None:
        """The same where it is a string."""
        match self.value(name):
            case ast.Constant(value=str(text)):
                return text
        return None

    def variables_of(self, name: str) -> tuple[str, ...]:
        """The environment variables that the value of `name` is read from."""
        value = self.value(name)
        constants = ast.walk(value) if value else ()
        return tuple(
            dict.fromkeys(
                n.value
                for n in constants
                if isinstance(n, ast.Constant)
                and isinstance(n.value, str)
                and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", n.value)
            )
        )

    def static(self, environment: tuple[tuple[str, str], ...]) -> Static | None:
        """What `collectstatic` is to do, None where the settings ask for nothing.

        The settings may refuse to load without a secret key, so that gets some value, unless
        `environment` has a better one. No request is ever answered with it.
        """
        directory = self._directory("STATIC_ROOT")
        if directory is None or not self._installs("django.contrib.staticfiles"):
            return None
        made_up = dict.fromkeys(self.variables_of("SECRET_KEY"), "collectstatic-only")
        together = {**made_up, **dict(environment)}
        return Static(directory=directory, environment=tuple(sorted(together.items())))

    def remarks(self) -> Iterator[str]:
        """What a container that writes nothing cannot keep."""
        databases = self.value("DATABASES")
        if databases and "sqlite3" in ast.dump(databases):
            yield f"{self.settings_module} keeps an SQLite database, and the image is not writable"
        if self.value("MEDIA_ROOT"):
            yield f"{self.settings_module} has a MEDIA_ROOT: mount a volume there to keep uploads"

    def _directory(self, name: str) -> str | None:
        """A directory below the one of manage.py, or an absolute one."""
        match self.value(name):
            case ast.Constant(value=str(path)):
                return path.rstrip("/")
            case ast.BinOp(left=ast.Name(), op=ast.Div(), right=ast.Constant(value=str(path))):
                return path.rstrip("/")
            case ast.Call(args=[ast.Name(), ast.Constant(value=str(path))]):
                return path.rstrip("/")  # os.path.join(BASE_DIR, "…")
        return None

    def _installs(self, app: str) -> bool:
        apps = self.value("INSTALLED_APPS")
        return apps is not None and any(
            isinstance(n, ast.Constant) and n.value == app for n in ast.walk(apps)
        )

    def _value(self, module_name: str | None, name: str, depth: int) -> ast.expr | None:
        module = self._sources.named(module_name) if module_name else None
        if module is None or depth > len(self._sources.modules):
            return None
        own = [value for key, value in assignments(module.body) if key == name]
        if own:
            return own[0]
        below = (self._value(other, name, depth + 1) for other in _star_imports(module))
        return next((value for value in below if value is not None), None)


def _settings_named_in(module: Module) -> str | None:
    for statement in module.body:
        for node in ast.walk(statement):
            match node:
                case ast.Call(
                    args=[
                        ast.Constant(value="DJANGO_SETTINGS_MODULE"),
                        ast.Constant(value=str(name)),
                    ]
                ):
                    return name
                case ast.Assign(
                    targets=[ast.Subscript(slice=ast.Constant(value="DJANGO_SETTINGS_MODULE"))],
                    value=ast.Constant(value=str(name)),
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
