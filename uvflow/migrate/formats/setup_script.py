"""The arguments of `setup()` in setup.cfg and setup.py, which is parsed and never run. Pure."""

import ast
import configparser
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Self

from uvflow.errors import UsageError, shell_command
from uvflow.findings import Origin
from uvflow.migrate.formats.pip.direct_reference import is_outside

SETUP_CFG, SETUP_PY = "setup.cfg", "setup.py"

_SECTION = re.compile(r"^\s*\[\s*(.+?)\s*\]\s*$", re.MULTILINE)

COMPUTED: Final = object()  # the value of what only running setup.py computes

_NOT_PYTHON = (SyntaxError, TypeError, ValueError, RecursionError, MemoryError)  # of ast.parse


class ComputedError(Exception):
    """A value is COMPUTED, or is written in a way that only setuptools reads."""

    def __init__(self, lineno: int | None = None) -> None:
        super().__init__("the arguments of `setup()` are computed here")
        self.lineno = lineno


class Text(str):
    """A string, and the line where it begins."""

    __slots__ = ("line",)
    line: int

    def __new__(cls, text: str, line: int) -> Self:
        new = super().__new__(cls, text)
        new.line = line
        return new


class Reference(NamedTuple):
    """A value elsewhere: `file:` or `attr:` in setup.cfg, `open("…").read()` in setup.py."""

    kind: str
    names: tuple[str, ...]


class Option(NamedTuple):
    """An argument of `setup()`, or the key or the section of setup.cfg that stands for it.

    `value` is Text, a list or a dict of it, another literal, a Reference, or COMPUTED.
    """

    value: Any
    origins: tuple[Origin, ...]


def items_of(value: Any, separator: str = "\n") -> list[Text]:
    """The items of a list, or of a text: its lines, or one line split; raises ComputedError."""
    if isinstance(value, Text) and "\n" in value:
        value = [Text(line.strip(), n) for n, line in enumerate(value.splitlines(), value.line)]
    elif isinstance(value, Text):
        value = [Text(piece.strip(), value.line) for piece in value.split(separator)]
    if not isinstance(value, list) or not all(isinstance(item, Text) for item in value):
        raise ComputedError
    return [item for item in value if item and not item.startswith("#")]


def pairs_of(value: Any) -> dict[str, Any]:
    """A dict, the lines `key = value` of a text, or its `[sections]`; raises ComputedError."""
    before, *parts = _SECTION.split(value) if isinstance(value, Text) else [""]
    if parts:
        if items_of(Text(before, value.line)):
            raise ComputedError
        sections = zip(parts[::2], parts[1::2], strict=True)
        return {name: Text(lines, value.line) for name, lines in sections}
    if isinstance(value, Text):
        pairs = ((item.partition("="), item.line) for item in items_of(value, ","))
        return {key.strip(): Text(text.strip(), line) for (key, _, text), line in pairs}
    if not isinstance(value, dict):
        raise ComputedError
    return value


def read_options(path: str, data: bytes) -> Mapping[str, Option]:
    """The arguments in the file at `path`; raises UsageError where it cannot be parsed."""
    try:
        if path == SETUP_CFG:
            return _read_cfg(data.decode())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in the user's strings
            return _Script(ast.parse(data)).options()
    except (configparser.Error, ComputedError, *_NOT_PYTHON) as error:
        line = getattr(error, "lineno", None)
        message = f"{path}{f':{line}' if line else ''} cannot be read"
        hint = f"correct it, or leave it out with {shell_command('--ignore', path)}"
        raise UsageError(message, cause=str(error).partition(" (")[0], hint=hint) from error


# setup.cfg: its keys are the arguments of `setup()`, some by an old name, some in sections.
_ALIASES = {"home_page": "url", "summary": "description", "classifier": "classifiers"}
_SECTIONS = ("options.extras_require", "options.entry_points")
_COMMENT = re.compile(r"^[ \t]*[#;].*", re.MULTILINE)
_KEY = re.compile(r"\[(?P<section>[^\]]+)\]|\s*(?P<key>[^\s\[][^=:]*?)\s*[=:]")


def _read_cfg(text: str) -> Mapping[str, Option]:
    text = _COMMENT.sub("", text)  # an empty line: the parser forgets one with a comment
    parser = configparser.ConfigParser()
    parser.optionxform = lambda optionstr: optionstr  # type: ignore[method-assign]
    parser.read_string(text, SETUP_CFG)
    options: dict[str, Option] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        match = _KEY.match(line)
        if match and match["section"]:
            section = match["section"]
        if not match or not match["key"] or not parser.has_option(section, match["key"]):
            continue
        key = match["key"]
        value: Any = _cfg_value(parser.get(section, key), number)
        written = parser.get(section, key, raw=True).splitlines()
        numbers = {number, *(n for n, text in enumerate(written, number) if text.strip())}
        origins = _origins(SETUP_CFG, numbers)
        if section in ("metadata", "options"):
            name = key.replace("-", "_").lower()
            name = _ALIASES.get(name, name)
        elif section in _SECTIONS:
            name = section.removeprefix("options.")
            known = options.get(name, Option(value={}, origins=()))
            value = {**known.value, Text(key, number): value}
            origins = (*known.origins, *origins)
        else:
            continue
        options[name] = Option(value=value, origins=origins)
    return options


def _origins(path: str, lines: Iterable[int]) -> tuple[Origin, ...]:
    return tuple(Origin(path=path, line=line) for line in sorted({*lines}))


def _cfg_value(value: str, line: int) -> Reference | Text:
    kind, _, names = value.partition(":")
    if kind not in ("file", "attr"):
        return Text(value, line)
    return Reference(kind=kind, names=tuple(name.strip() for name in names.split(",")))


# setup.py: literals, and names that stand for one.
_NAMESPACES = {"globals", "locals", "vars"}
# Around a name, these read it: `for … in NAME`, `[*NAME]`, `{"key": NAME}`, `NAME + […]`.
_READERS = ast.BinOp | ast.Dict | ast.For | ast.List | ast.Starred | ast.Tuple | ast.keyword
_ASSIGNMENTS = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr


class _Script:
    """Reads literals; a name counts if it is bound once, at the top level of the module.

    Any use of a list or a dict that does not only read it may change it.
    """

    def __init__(self, module: ast.Module) -> None:
        self._nodes = list(ast.walk(module))
        names = (node for node in self._nodes if isinstance(node, ast.Name))
        uses = Counter(node.id for node in names if isinstance(node.ctx, ast.Load))
        readers = (node for node in self._nodes if isinstance(node, _READERS))
        read = Counter(name for node in readers for name in _names(ast.iter_child_nodes(node)))
        self._changes = uses - read
        self._around: dict[str, set[str]] = {}  # names of what may have the value in it
        for node in self._nodes:
            if isinstance(node, _ASSIGNMENTS) and node.value:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for name in _names(ast.walk(node.value)):
                    around = (getattr(target, "id", "") for target in targets)
                    self._around.setdefault(name, set()).update(around)
        # An identifier is a field of the node that binds it: a name, an import, an argument, …
        identifiers = Counter(
            text
            for node in self._nodes
            if not isinstance(node, ast.Attribute | ast.Constant | ast.keyword)
            for _, text in ast.iter_fields(node)
            if isinstance(text, str)
        )
        bindings = identifiers - uses
        if uses.keys() & _NAMESPACES or "*" in identifiers or any(map(_is_exec, self._nodes)):
            bindings.clear()  # they may bind any name
        self._values = {
            node.targets[0].id: node.value
            for node in module.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if len(node.targets) == 1 and bindings[node.targets[0].id] == 1
        }

    def options(self) -> Mapping[str, Option]:
        """The arguments of every call of `setup()`; one that differs among them is COMPUTED."""
        found: dict[str, Option] = {}
        for call in (node for node in self._nodes if isinstance(node, ast.Call)):
            if "setup" in (getattr(call.func, "id", ""), getattr(call.func, "attr", "")):
                for name, node in self._arguments(call.keywords):
                    try:
                        value = self._constant(node)
                    except ComputedError:
                        value = COMPUTED
                    lines = (getattr(each, "lineno", node.lineno) for each in ast.walk(node))
                    option = Option(value=value, origins=_origins(SETUP_PY, lines))
                    known = found.setdefault(name, option)
                    if value != known.value:
                        found[name] = known._replace(value=COMPUTED)
        return found

    def _arguments(self, keywords: Iterable[ast.keyword]) -> Iterator[tuple[str, ast.expr]]:
        for keyword in keywords:
            if keyword.arg:
                yield keyword.arg, keyword.value
            else:
                yield from self._items(keyword.value)

    def _items(self, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
        """The keys of a dict with their values."""
        match node:
            case ast.Name(id=name) if self._is_constant(name):
                yield from self._items(self._values[name])
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
                yield from self._arguments(keywords)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    yield self._constant(key), value
            case _:
                raise ComputedError(node.lineno)

    def _constant(self, node: ast.expr | None) -> Any:
        match node:
            case ast.Constant(value=value):
                return Text(value, node.lineno) if isinstance(value, str) else value
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._constant(element) for element in elements]
            case ast.Dict() | ast.Call(func=ast.Name(id="dict")):
                return {name: self._constant(value) for name, value in self._items(node)}
            case ast.Name(id=name) if name in self._values:
                value = self._constant(self._values[name])
                if isinstance(value, str) or self._is_constant(name):
                    return value
            case ast.Call(func=ast.Name(id="find_packages" | "find_namespace_packages")):
                return None
            case ast.Call() if path := _path_of_read(node):
                return Reference(kind="file", names=(path,))
        raise ComputedError

    def _is_constant(self, name: str) -> bool:
        """Whether nothing changes the list or dict, nor the ones that it is in."""
        around = self._around.get(name, ())
        is_read = name in self._values and not self._changes[name]
        return is_read and all(map(self._is_constant, around))


def _names(nodes: Iterable[ast.AST]) -> list[str]:
    """The names among `nodes` that are used, and not bound."""
    names = (node for node in nodes if isinstance(node, ast.Name))
    return [node.id for node in names if isinstance(node.ctx, ast.Load)]


def _is_exec(node: ast.AST) -> bool:
    """Whether it is a call of exec() in the module's own namespace."""
    match node:
        case ast.Call(func=ast.Name(id="exec"), args=[_]):
            return True
    return False


_READS = ("read", "read_text", "readlines", "splitlines")


def _path_of_read(node: ast.expr) -> str:
    """The path in `open("…").read().splitlines()` or `Path("…").read_text()`; else nothing."""
    match node:
        case ast.Call(func=ast.Attribute(value=inner, attr=method)) if method in _READS:
            return _path_of_read(inner)
        case ast.Call(
            func=ast.Name(id="open" | "Path") | ast.Attribute(attr="open"),
            args=[ast.Constant(value=str(path)), *_],
        ) if not is_outside(path):
            return path
    return ""
