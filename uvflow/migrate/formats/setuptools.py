"""Local projects and archives: whether they are there, and what they are called."""

import ast
import configparser
import tomllib
import warnings
from collections.abc import Callable

from uvflow.migrate.model import Read


def is_there(path: str, read: Read) -> bool:
    """Whether `path` is an archive, or a directory with something to build in it."""
    return _read(path, read) is not None or bool(_metadata(path, read))


def local_project_name(path: str, read: Read) -> str | None:
    """The name of the project in the directory `path`, where it is written and not computed."""
    metadata = _metadata(path, read)
    names = (_NAME_IN[file](text) for file, text in metadata.items())
    return next((name for name in names if name), None)


def is_package(read: Read) -> bool:
    """Whether uv installs the project itself (uv docs, "Build systems")."""
    try:
        manifest = tomllib.loads((_read("pyproject.toml", read) or b"").decode("utf-8", "replace"))
    except tomllib.TOMLDecodeError:
        return False
    match manifest:
        case {"tool": {"uv": {"package": bool(said)}}}:
            return said
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


def _metadata(path: str, read: Read) -> dict[str, str]:
    found = {name: _read(f"{path}/{name}", read) for name in _NAME_IN}
    return {
        name: data.decode("utf-8", "replace") for name, data in found.items() if data is not None
    }


def _read(path: str, read: Read) -> bytes | None:
    try:
        return read(path)
    except (OSError, ValueError):  # a directory, which is no archive; a NUL in the path
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
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    name = parser.get("metadata", "name", fallback=None)
    return None if name is None or ":" in name else name  # `attr:` and `file:` are computed


def _in_setup_py(text: str) -> str | None:
    name = setup_literals(text).get("name")
    return name if isinstance(name, str) else None


_NAME_IN: dict[str, Callable[[str], str | None]] = {
    "pyproject.toml": _in_pyproject,
    "setup.cfg": _in_setup_cfg,
    "setup.py": _in_setup_py,
}
