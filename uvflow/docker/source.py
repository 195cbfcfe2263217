"""The Python source of a project: its modules and what they import. Nothing is run."""

import ast
import gc
import os
import posixpath
import re
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from uvflow.docker.context import files_in, source_text
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Table, manifest_in, table_at

# A word in the name of a directory, a file or a function with nothing that is served.
NOT_SERVED = {
    "conftest", "debug", "demo", "devtools", "e2e", "example", "fake", "locustfile", "mock",
    "playground", "sandbox", "scratch", "stub", "test", "tests",
}  # fmt: skip
_SKIPPED_DIRECTORIES = NOT_SERVED | {
    "__pycache__", "alembic", "benchmarks", "build", "cookbook", "demos", "dist", "doc", "docs",
    "docs_src", "examples", "experiments", "fixtures", "migrations", "mocks", "node_modules",
    "notebooks", "quickstart", "samples", "scripts", "site-packages", "snippets", "tools",
    "tutorial", "tutorials", "venv",
}  # fmt: skip

# Those of modules that are run, the likeliest first, and of those that are run by a person.
PROGRAM_NAMES = ("main", "__main__", "app", "run", "server", "bot", "worker", "scheduler")
_NO_PROGRAMS = {"fabfile", "manage", "noxfile", "setup"}


FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITION = FUNCTION | ast.ClassDef


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
        finally:
            gc.freeze()  # else each collection would visit the nodes of all trees

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem

    @property
    def last_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def is_served(self) -> bool:
        """Whether its name allows that it has an application."""
        is_of_alembic = self.path.endswith("/env.py")
        return not is_of_alembic and NOT_SERVED.isdisjoint(self.stem.split("_"))

    @property
    def is_program(self) -> bool:
        """Whether it does something where it is run, and not imported."""
        if self.stem in _NO_PROGRAMS or not self.is_served:
            return False
        return self.stem == "__main__" or any(map(self._acts, self.tree.body))

    def _acts(self, node: ast.stmt) -> bool:
        match node:
            case ast.Expr(value=value) if self.stem in PROGRAM_NAMES:
                return not isinstance(value, ast.Constant)  # a docstring
        return isinstance(node, ast.While) or is_guard(node)

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """Those that an import runs: at the top level, and below an `if` or `try` there."""
        found, waiting = list[ast.stmt](), deque(self.tree.body)
        while waiting:  # no recursion: every `elif` is nested in the `if` before it
            match node := waiting.popleft():
                case ast.If() if is_guard(node):
                    pass  # of what is run, and not imported
                case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                    handlers = [n for each in getattr(node, "handlers", ()) for n in each.body]
                    waiting.extendleft(reversed([*inner, *handlers, *other]))
                case _:
                    found.append(node)
        return found

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """Each imported name with its dotted origin; a `PACKAGE.*` is its own name."""
        package = self.name if self.stem == "__init__" else parent_name(self.name, 1)
        found, waiting = dict[str, str](), deque[ast.AST](self.tree.body)
        while waiting:
            match node := waiting.popleft():
                case ast.Import(names=names):
                    base = ""
                case ast.ImportFrom(module=name, names=names, level=level):
                    above = parent_name(package, level - 1) if level else ""
                    base = "".join(f"{part}." for part in (above, name) if part)
                case _:
                    inner = (n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.expr))
                    waiting.extend(inner)
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
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=top), attr=name), attr=last):
                owner = f"{top}.{name}"  # `import shop.web`
                return f"{owner if owner in self.imports else f'{self.name}.?'}.{last}"
            case ast.Attribute(attr=attribute):
                return f"{self.name}.?.{attribute}"
        return ""


class Modules:
    """Modules that import each other: sorted, those near the root first."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = sorted(modules, key=lambda m: (m.name.count("."), m.path))
        self.by_name = {module.name: module for module in self.modules[::-1]}
        packages = (module for module in self.modules[::-1] if module.stem == "__init__")
        self.by_name |= {module.name: module for module in packages}  # before a module of that name

    def is_hidden(self, module: Module) -> bool:
        """Whether its name is that of a package beside it, of Python's, or that it imports."""
        other, (top, *below) = self.by_name[module.name], module.name.split(".")
        is_own = not below and module.stem == top and top in module.imported_packages
        imports = re.compile(rf"(?:from|import) {top}\b")  # in a function it would find itself
        hides = is_own and any(imports.match(ast.unparse(each)) for each in module.statements)
        is_pythons = bool(below) and top in sys.stdlib_module_names
        is_beside = other.path == f"{module.path.removesuffix('.py')}/__init__.py"
        return is_beside or is_pythons or hides

    @cached_property
    def imported(self) -> set[str]:
        """Every dotted name that a module imports, and what each is in."""
        names = {name for module in self.modules for name in module.imports.values()}
        return names | {parent_name(name, 1) for name in names}

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
        definitions = (each for each in module.statements if isinstance(each, DEFINITION))
        return module, next((each for each in definitions if each.name == name), None)

    def references(self, module: Module, node: ast.AST) -> set[str]:
        """The dotted names in an expression."""
        found, waiting = set(), [node]  # no recursion: sums of many parts are nested as deep
        while waiting:
            match each := waiting.pop():
                case ast.Attribute(value=served, attr="urls" | "wsgi_app"):
                    each = served
            if dotted := module.dotted(each):
                found.add(self.origin(dotted))
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
        found, files, names = [*files_in(base)], dict[str, str](), self.packages.get(base, {})
        skipped = _SKIPPED_DIRECTORIES - {posixpath.basename(each) for each in names}
        manifests = (base / file for file in found if file.name == MANIFEST)
        projects = {file.parent for file in manifests if "[project]" in source_text(file)}
        others = (self.packages.keys() | projects) - {base}
        for file in (file for file in found if file.suffix == ".py"):
            folders = file.parts[:-1]
            is_skipped = any(n.startswith((".", "{{")) or n in skipped for n in folders)
            is_skipped |= "." in file.stem  # which no import can name
            if not is_skipped and others.isdisjoint(base / each for each in file.parents):
                files[str(file)] = source_text(base / file)
        base_of, prefix = _import_bases(files), os.path.relpath(base, self.root)
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


def read_files(sources: Sources) -> bool:
    """Whether an installed module names a file of the project, as seen from its directory."""
    for module in (each for each in sources.modules if each.is_installed):
        if _READING.search(module.text):
            calls = [node for node in ast.walk(module.tree) if callee(node) in _READERS]
            texts = [text for call in calls for text in strings_in(call) if text]
            if any((sources.root / text).exists() for text in texts if not text.startswith("/")):
                return True
    return False


_READERS = {"FileSystemLoader", "Jinja2Templates", "Path", "StaticFiles", "open"}
_READING = re.compile(rf"\b(?:{'|'.join(_READERS)})\(")


def import_names(distribution: str, directory: Path) -> dict[str, str]:
    """Directories with the sources of a local package, and the path by which each is imported.

    Those that build backends have by default, and those that its manifest has for one of them.
    """
    package = distribution.replace("-", "_")
    names = {"src": "", package: package}
    with suppress(
        AttributeError, LookupError, TypeError, ValueError
    ):  # of another shape than documented
        tools = manifest_in(directory).get("tool", {})
        names[table_at(tools, "pdm", "build").get("package-dir", "src")] = ""
        uv, setuptools = table_at(tools, "uv", "build-backend"), table_at(tools, "setuptools")
        hatch = table_at(tools, "hatch", "build")
        hatch = {**hatch, **table_at(hatch, "targets", "wheel")}
        modules = uv.get("module-name", package)
        for module in [modules] if isinstance(modules, str) else modules:
            path = module.replace(".", "/")
            names[posixpath.join(uv.get("module-root", "src"), path)] = path
        for path in hatch.get("packages", ()):
            names[path] = posixpath.basename(posixpath.normpath(path))
        sources = hatch.get("sources", {})
        names |= sources if isinstance(sources, Mapping) else dict.fromkeys(sources, "")
        for each in table_at(tools, "poetry").get("packages", ()):
            path = each["include"].partition("*")[0].rstrip("/")
            names[posixpath.join(each.get("from", ""), path)] = path
        for module, path in setuptools.get("package-dir", {}).items():
            names[path] = module.replace(".", "/")
        for file in ("setup.cfg", "setup.py"):
            names |= dict.fromkeys(_PACKAGE_DIR.findall(source_text(directory / file)), "")
        names |= dict.fromkeys(table_at(setuptools, "packages", "find").get("where", ()), "")
    return {posixpath.normpath(str(path)): str(name) for path, name in names.items()}


# Of setup.cfg and setup.py: the directory of all packages.
_PACKAGE_DIR = re.compile(r"package_dir\s*=\s*(?:=|\{\s*(?:\"\"|'')\s*:)\s*[\"']?([\w./-]+)")

_IMPORTED = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\w[\w.]*)", re.MULTILINE)


def _import_bases(files: Mapping[str, str]) -> Callable[[str], str]:
    """A function from a path of `files` (path → text) to the directory that it is imported from.

    That is where its own imports resolve, or those of the files beside it; else `src`, or what is
    above the package there; else the directory of the project.
    """
    here = {path.removesuffix(".py") for path in files}
    here |= {above.as_posix() for path in files for above in PurePosixPath(path).parents}
    packages = {posixpath.dirname(path) for path in files if path.endswith("/__init__.py")}
    imported = {path: set(_IMPORTED.findall(text)) for path, text in files.items()}
    used = {name.partition(".")[0] for names in imported.values() for name in names}
    beneath = {
        name.partition(".")[0] for names in imported.values() for name in names if "." in name
    }
    bases = {posixpath.dirname(path) or "." for path in files if path.endswith("/manage.py")}

    def base_of(path: str) -> str:
        above = [each.as_posix() for each in PurePosixPath(path).parents]
        outside, first = [each for each in above if each not in packages], above[-2:-1]
        if first and first[0] in sys.stdlib_module_names and not beneath.intersection(first):
            return first[0]  # by whose name an import finds Python's own
        if used.intersection(first):
            return "."  # something imports its first directory by its name
        names = {name.partition(".")[0] for name in imported[path]} - sys.stdlib_module_names
        # A module of a package may have the name of the library that it imports.
        deep = {name.replace(".", "/") for name in imported[path] if "." in name}
        for each in above[:-1]:
            known = deep if each in packages else names
            if each in bases or any(f"{each}/{name}" in here for name in known):
                return each
        if first == ["src"]:
            return outside[0] if above[0] in packages else "src"
        return "."

    bases |= {base_of(path) for path in files} - {"src", "."}
    return base_of


def is_guard(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether it is `if __name__ == "__main__":`, which an import passes over."""
    match node:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
    return False


def names_bound(node: ast.stmt) -> set[str]:
    """The names that a statement itself binds, or unbinds."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(each.asname or each.name).partition(".")[0] for each in names}
        case ast.AnnAssign(value=None):
            return set()
    items = [each.optional_vars for each in getattr(node, "items", ())]
    targets = [*items, *getattr(node, "targets", ()), getattr(node, "target", None)]
    nodes = (each for target in targets if target for each in ast.walk(target))
    return {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}


def bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Every `NAME = VALUE` that a statement is."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            pairs = zip(names, values, strict=False)
            yield from ((name.id, each) for name, each in pairs if isinstance(name, ast.Name))
        case ast.Assign(targets=targets, value=value):
            yield from ((t.id, value) for t in targets if isinstance(t, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def assigned_text(text: str, name: str) -> str:
    """The expression that the source `text` assigns to `name`, in one line; `?` for several."""
    pairs = (pair for each in Module(name="", text=text).statements for pair in bindings(each))
    values = [ast.unparse(value) for key, value in pairs if key == name]
    return "?" if values[1:] else "".join(values)


def string(node: ast.AST | None) -> str | None:
    """The string that is written there; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def callee(node: ast.AST) -> str | None:
    """The last name of what a call calls; None for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
    return None


def strings_in(value: ast.AST | None) -> list[str]:
    nodes = ast.walk(value) if value else ()
    return [text for text in map(string, nodes) if text is not None]


def parent_name(name: str, levels: int) -> str:
    parts = name.split(".")
    return ".".join(parts[: len(parts) - levels])
