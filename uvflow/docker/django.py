"""The settings of a Django project, read by parsing them. Nothing is run."""

import ast
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from uvflow.docker.health import allowed_host
from uvflow.docker.source import Module, Sources, bindings, callee, string, strings_in

SETTINGS_MODULE = "DJANGO_SETTINGS_MODULE"
# `environ.setdefault(…, NAME)` or `environ[…] = NAME`
_NAMED_SETTINGS = re.compile(
    rf"""^[^#\n]*[\"']{SETTINGS_MODULE}[\"'](?:,|\]\s*=(?:[^#\n]*\bor\b)?)\s*"""
    rf"""[\"']([\w.]+)[\"']""",
    re.MULTILINE,
)
_READING = re.compile(r"(?:env|config)(?:\.\w+)?")  # of django-environ, environs and decouple
_LATER = (ast.If, ast.Try, ast.FunctionDef, ast.ClassDef)  # what may not run
_IN_CLASS = re.compile(r"^[ \t]+STATIC_ROOT *[:=]", re.MULTILINE)  # of django-configurations
_HOSTS = re.compile(r"^[ \t]*ALLOWED_HOSTS\b\s*[.:+=]", re.MULTILINE)
_ENVIRONMENT_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


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
        self._naming = {m.last_name: (m, match[1]) for m, match in found if match}
        served = (self._naming.get(name) for name in ("wsgi", "asgi", "manage"))
        by_file = next((naming[1] for naming in served if naming), None)
        self.settings_module = named or in_line or by_file

    def served(self, interface: str) -> list[Module]:
        """Every wsgi.py, or every asgi.py, or a package of that name."""
        named = (module for module in self.sources.modules if module.last_name == interface)
        return [module for module in named if "application" in module.text]

    @property
    def is_installed(self) -> bool:
        """Whether the settings are in a package that is installed into the environment."""
        module = self.sources.by_name.get(self.settings_module or "")
        return module is not None and module.is_installed

    def inside(self, package: str) -> str:
        """The directory of a package, where the settings are named as if it were the project's."""
        is_inside = f"{package}.{self.settings_module}" in self.sources.by_name
        if self.settings_module in self.sources.by_name or not is_inside:
            return ""
        return posixpath.dirname(self.sources.by_name[package].path)

    def value(self, name: str) -> ast.expr | None:
        """What the settings assign to `name`, the first that they do."""
        return next((value for _, value in self._values(name)), None)

    def _values(self, name: str) -> Iterator[tuple[Module, ast.expr]]:
        """What they assign to `name`, and which of their modules does."""
        for module in self._modules():
            for key, value in (pair for s in module.statements for pair in bindings(s)):
                if key == name:
                    yield module, value

    def _modules(self) -> Iterator[Module]:
        """That of the settings, and those that it has by a `from … import *`."""
        waiting, read = [self.settings_module or ""], set[str]()
        while waiting:
            module = self.sources.by_name.get(waiting.pop())
            if module and module.name not in read:
                read.add(module.name)
                yield module
                stars = [dotted for dotted in module.imports if dotted.endswith(".*")]
                waiting += [dotted.removesuffix(".*") for dotted in stars[::-1]]

    def demanded(self) -> set[str]:
        """The variables that the settings read where they are loaded, without a default."""
        loaded = (s for m in self._modules() for s in m.tree.body if not isinstance(s, _LATER))
        nodes = [node for statement in loaded for node in ast.walk(statement)]
        given = {k.arg for node in nodes if callee(node) == "Env" for k in _keywords(node)}
        found = set[str]()
        for node in nodes:
            match node:
                case ast.Subscript(value=read, slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                    is_read = ast.unparse(read).endswith("environ")
                case ast.Call(func=read, args=[ast.Constant(value=str(name))]):
                    has_default = any(keyword.arg == "default" for keyword in _keywords(node))
                    is_read = bool(_READING.fullmatch(ast.unparse(read))) and not has_default
                case _:
                    continue
            if is_read and name.isupper():
                found.add(name)
        return found - given

    def text(self, name: str) -> str | None:
        """The same where it is a string."""
        return string(self.value(name))

    def static(self, environment: tuple[tuple[str, str], ...]) -> Static | None:
        """How to run `collectstatic`; None where the settings have nothing to collect.

        Settings may refuse to load without a secret key: it gets a placeholder, for this step.
        """
        directory = _directory(self.value("STATIC_ROOT"))
        apps = self._strings("INSTALLED_APPS")
        if directory is None or "django.contrib.staticfiles" not in apps:
            return None
        texts = filter(_ENVIRONMENT_VARIABLE.fullmatch, strings_in(self.value("SECRET_KEY")))
        variables = dict.fromkeys(texts, "collectstatic-only")
        manage, named = self._naming.get("manage", (None, None))
        if self.settings_module not in (named, self.named):
            variables[SETTINGS_MODULE] = str(self.settings_module)
        path = manage.path if manage else "manage.py"
        base = self._base() or posixpath.dirname(path)
        return Static(
            directory=posixpath.normpath(posixpath.join(base, directory)),
            manage=path,
            environment=tuple(sorted({**variables, **dict(environment)}.items())),
        )

    def _base(self) -> str:
        """The directory that STATIC_ROOT is below, where it is counted from a file of settings."""
        nodes = ast.walk(self.value("STATIC_ROOT") or ast.Pass())
        names = [node.id for node in nodes if isinstance(node, ast.Name)]
        for module, value in (pair for name in names for pair in self._values(name)):
            text = ast.unparse(value)
            levels = len(re.findall(r"\.parent\b|dirname\(", text))
            levels += sum(int(number) + 1 for number in re.findall(r"parents\[(\d)\]", text))
            if levels and "__file__" in text and not re.search(r"\.\.|pardir", text):
                return "/".join([".", *module.path.split("/")[:-levels]])
        return ""

    def _strings(self, name: str) -> set[str]:
        """The strings in what is assigned to `name`, and to the names that this is made of."""
        waiting, read, strings = [name], set[str](), set[str]()
        while waiting:
            if (each := waiting.pop()) not in read:
                read.add(each)
                nodes = [node for _, value in self._values(each) for node in ast.walk(value)]
                waiting += [node.id for node in nodes if isinstance(node, ast.Name)]
                strings |= {text for text in map(string, nodes) if text is not None}
        return strings

    def allowed_host(self) -> str | None:
        """What the function of that name says of ALLOWED_HOSTS, where it is assigned but once."""
        for module in self._modules():
            if changes := _HOSTS.findall(module.text):
                pairs = [pair for each in module.tree.body for pair in bindings(each)]
                values = [value for name, value in pairs if name == "ALLOWED_HOSTS"]
                return allowed_host(values[0]) if len(changes) == len(values) == 1 else None
        return ""

    def remarks(self) -> Iterator[str]:
        """What the user should know: files that cannot be written, or are not collected."""
        root = self.value("STATIC_ROOT")
        module = self.sources.by_name.get(self.settings_module or "")
        if not root and module and _IN_CLASS.search(module.text):
            yield f"the STATIC_ROOT of {self.settings_module} is in a class: it is not collected"
        if root and not _directory(root):
            yield f"the STATIC_ROOT of {self.settings_module} is computed: it is not collected"
        if any("sqlite3" in text for text in strings_in(self.value("DATABASES"))):
            yield f"{self.settings_module} keeps an SQLite database, and the image is not writable"
        if self.value("MEDIA_ROOT"):
            yield f"{self.settings_module} has a MEDIA_ROOT: mount a volume there to keep uploads"


def _keywords(node: ast.AST) -> list[ast.keyword]:
    return node.keywords if isinstance(node, ast.Call) else []


def _directory(value: ast.AST | None) -> str | None:
    """A directory below the one of manage.py, or an absolute one."""
    match value:  # BASE_DIR / "…" / "…", os.path.join(BASE_DIR, "…", "…"), str(…)
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return _directory(inner)
        case ast.BinOp(left=base, op=ast.Div(), right=part):
            parts = [part]
        case ast.Call(func=ast.Name(id="Path") | ast.Attribute(attr="join"), args=[base, *parts]):
            pass
        case _:
            path = string(value)
            return path and path.rstrip("/")
    texts = ["" if isinstance(base, ast.Name) else _directory(base), *map(string, parts)]
    given = [text for text in texts if text is not None]
    return (posixpath.join(*given) or None) if given == texts else None
