"""What setup.cfg and setup.py say: values with their lines. A setup.py is read, never run. Pure."""

import ast
import configparser
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Self

from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate.formats.pip.direct_reference import is_outside

SETUP_CFG, SETUP_PY = "setup.cfg", "setup.py"

COMPUTED: Final = object()  # what only a run of setup.py tells


class ComputedError(Exception):
    """A value is COMPUTED, or is written in a way that only setuptools reads."""

    def __init__(self, lineno: int | None = None) -> None:
        super().__init__("only a run tells which arguments `setup()` gets here")
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
    """What is read elsewhere: `file:` or `attr:` in setup.cfg, `open("…").read()` in setup.py."""

    kind: str
    names: tuple[str, ...]


class Option(NamedTuple):
    """An argument of `setup()`, or the key or the section of setup.cfg that stands for it.

    `value` is Text, a list or a dict of it, another literal, a Reference, or COMPUTED.
    """

    value: Any
    path: str
    lines: frozenset[int]

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The lines that say something."""
        return tuple(Origin(path=self.path, line=line) for line in sorted(self.lines))


Options = Mapping[str, Option]


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
    """A dict, or the `key = value` lines of a text; raises ComputedError."""
    if isinstance(value, Text):
        pairs = ((item.partition("="), item.line) for item in items_of(value, ","))
        return {key.strip(): Text(text.strip(), line) for (key, _, text), line in pairs}
    if not isinstance(value, dict):
        raise ComputedError
    return value


def groups_of(value: Any) -> Mapping[str, Any]:
    """Those of entry points, which setup.py may have as the text of an INI file."""
    if not isinstance(value, Text):
        return pairs_of(value)
    groups: dict[str, list[Text]] = {}
    for item in items_of(value):
        if header := re.fullmatch(r"\[\s*(.+?)\s*\]", item):
            groups[header[1]] = []
        elif not groups:
            raise ComputedError
        else:
            groups[[*groups][-1]].append(item)
    return groups


def read_options(path: str, data: bytes) -> Options:
    """Those of a setup.cfg or a setup.py; raises UsageError where it cannot be read."""
    try:
        if path == SETUP_CFG:
            return _read_cfg(data.decode())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in the user's strings
            return _Script(ast.parse(data)).options()
    except (configparser.Error, ComputedError, *_NOT_PYTHON) as error:
        line = getattr(error, "lineno", None)
        message = f"{path}{f':{line}' if line else ''} cannot be read"
        hint = f"correct it, or leave it out with `--ignore {path}`"
        raise UsageError(message, cause=str(error).partition(" (")[0], hint=hint) from error


_NOT_PYTHON = (SyntaxError, TypeError, ValueError, RecursionError, MemoryError)


# setup.cfg: its keys are the arguments of `setup()`, some by an old name, some in sections.

_ALIASES = {"home_page": "url", "summary": "description", "classifier": "classifiers"}
_SECTIONS = ("options.extras_require", "options.entry_points")
_COMMENT = re.compile(r"^[ \t]*[#;].*", re.MULTILINE)
_KEY = re.compile(r"\[(?P<section>[^\]]+)\]|\s*(?P<key>[^\s\[][^=:]*?)\s*[=:]")


def _read_cfg(text: str) -> Options:
    text = _COMMENT.sub("", text)  # an empty line: the parser forgets one with a comment
    parser = configparser.ConfigParser()
    parser.optionxform = lambda optionstr: optionstr  # type: ignore[method-assign]
    parser.read_string(text, SETUP_CFG)
    options: dict[str, Option] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        match = _KEY.match(line)
        section = (match and match["section"]) or section
        key = match and match["key"]
        if not key or not parser.has_option(section, key):
            continue
        value: Any = _cfg_value(parser.get(section, key), number)
        written = parser.get(section, key, raw=True).splitlines()
        numbers = {number, *(n for n, text in enumerate(written, number) if text.strip())}
        name = section.removeprefix("options.")
        known = options.get(name)
        if section in _SECTIONS:
            value = {**(known.value if known else {}), Text(key, number): value}
            numbers |= known.lines if known else set()
        elif section in ("metadata", "options"):
            name = key.replace("-", "_").lower()
            name = _ALIASES.get(name, name)
        else:
            continue
        options[name] = Option(value=value, path=SETUP_CFG, lines=frozenset(numbers))
    return options


def _cfg_value(value: str, line: int) -> Reference | Text:
    directive = re.match(r"(file|attr):", value)
    if directive is None:
        return Text(value, line)
    names = (path.strip() for path in value[directive.end() :].split(","))
    return Reference(kind=directive[1], names=tuple(names))


# setup.py: what is a literal, or has a name that nothing changes.


class _Script:
    """Reads values; a name counts where it is bound once, at the top, to what stays as it is."""

    def __init__(self, module: ast.Module) -> None:
        self._nodes = list(ast.walk(module))
        bound, touched = Counter[str](), set[str]()
        for node in self._nodes:
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                    bound[name] += 1
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    bound[name] += 1
                case ast.alias(name=name, asname=other):
                    bound[other or name] += 1
                case (
                    ast.Name(id="globals" | "locals" | "vars")
                    | ast.Call(func=ast.Name(id="exec"), args=[_])
                ):
                    bound["*"] += 1  # it may bind any name here
                case ast.Attribute(value=ast.Name(id=name)) | ast.Assign(value=ast.Name(id=name)):
                    touched.add(name)
                case ast.Subscript(value=ast.Name(id=name)):
                    touched.add(name)
                case ast.Call(args=[*arguments]):
                    touched |= {each.id for each in arguments if isinstance(each, ast.Name)}
        self._touched = touched
        self._names = {
            target.id: node.value
            for node in module.body
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and not bound["*"]
            for target in node.targets
            if isinstance(target, ast.Name) and bound[target.id] == 1
        }

    def options(self) -> Options:
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
                    option = Option(value=value, path=SETUP_PY, lines=frozenset(lines))
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
        """Of a dict."""
        match node:
            case ast.Name(id=name) if name in self._names and name not in self._touched:
                yield from self._items(self._names[name])
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
            case ast.Name(id=name) if name in self._names:
                value = self._constant(self._names[name])
                if name not in self._touched or isinstance(value, str):
                    return value
            case ast.Call(func=ast.Name(id="find_packages" | "find_namespace_packages")):
                return None
            case ast.Call() if path := _path_of_read(node):
                return Reference(kind="file", names=(path,))
        raise ComputedError


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
