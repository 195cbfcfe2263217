"""What manage.py of a Django project and the settings that it names say, read by AST."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from uvflow.docker.source import Module, Sources, assignments


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
