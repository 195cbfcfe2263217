"""Local projects and archives: whether they can be installed, and their names."""

import ast
import configparser
import tomllib
import warnings
from collections.abc import Callable

from uvflow.migrate.model import Read


def is_installable(path: str, read_file: Read) -> bool:
    """Whether `path` is an archive, or a directory with something to build in it."""
    return _read(path, read_file) is not None or bool(_metadata(path, read_file))


def local_project_name(path: str, read_file: Read) -> str | None:
    """The name of the project in the directory `path`, where it is written and not computed."""
    metadata = _metadata(path, read_file)
    names = (_NAME_IN[file](text) for file, text in metadata.items())
    return next((name for name in names if name), None)


def is_package(read_file: Read) -> bool:
    """Whether uv installs the project itself (uv docs, "Build systems")."""
    data = _read("pyproject.toml", read_file) or b""
    try:
        manifest = tomllib.loads(data.decode("utf-8", "replace"))
    except tomllib.TOMLDecodeError:
        return False
    match manifest:
        case {"tool": {"uv": {"package": bool(is_package)}}}:
            return is_package
        case _:
            return "build-system" in manifest


def setup_literals(text: str) -> dict[str, object]:
    """The arguments of `setup()` that are literals; a setup.py is read as text, never run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in the user's strings
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    keywords = (k for call in calls if _is_setup(call.func) for k in call.keywords)
    return {k.arg: _literal(k.value) for k in keywords if k.arg}


def _is_setup(function: ast.expr) -> bool:
    """`setup(…)` or `setuptools.setup(…)`."""
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return name == "setup"


def _literal(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def read_setup_cfg(text: str) -> configparser.RawConfigParser:
    """Without sections where `text` is not valid."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def _metadata(path: str, read_file: Read) -> dict[str, str]:
    files = {name: _read(f"{path}/{name}", read_file) for name in _NAME_IN}
    return {
        name: data.decode("utf-8", "replace") for name, data in files.items() if data is not None
    }


def _read(path: str, read_file: Read) -> bytes | None:
    try:
        return read_file(path)
    except (OSError, ValueError):  # a directory, which is not an archive; a NUL in the path
        return None


def _in_pyproject(text: str) -> str | None:
    try:
        manifest = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    match manifest:
        case {"project": {"name": str(name)}} | {"tool": {"poetry": {"name": str(name)}}}:
            return name
        case _:
            return None


def _in_setup_cfg(text: str) -> str | None:
    name = read_setup_cfg(text).get("metadata", "name", fallback=None)
    return None if name is None or ":" in name else name  # `attr:` and `file:` are computed


def _in_setup_py(text: str) -> str | None:
    name = setup_literals(text).get("name")
    return name if isinstance(name, str) else None


_NAME_IN: dict[str, Callable[[str], str | None]] = {
    "pyproject.toml": _in_pyproject,
    "setup.cfg": _in_setup_cfg,
    "setup.py": _in_setup_py,
}
