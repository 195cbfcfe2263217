"""Local projects and archives: whether they can be installed, and their names."""

import ast
import configparser
import warnings

from uvflow.migrate.model import Read
from uvflow.migrate.toml_text import lenient_values


def is_installable(path: str, read_file: Read) -> bool:
    """Whether `path` is an archive, or a directory with something to build in it."""
    return read_if_there(path, read_file) is not None or bool(_metadata(path, read_file))


def local_metadata(path: str, key: str, read_file: Read) -> str | None:
    """The name or the version of the project at `path`, where it is written and not computed."""
    found = (value_in(file, text, key) for file, text in _metadata(path, read_file).items())
    return next((value for value in found if isinstance(value, str) and value), None)


_FILES = ("pyproject.toml", "setup.cfg", "setup.py")


def _metadata(path: str, read_file: Read) -> dict[str, str]:
    files = {name: read_if_there(f"{path}/{name}", read_file) for name in _FILES}
    return {
        name: data.decode("utf-8", "replace") for name, data in files.items() if data is not None
    }


def read_if_there(path: str, read_file: Read) -> bytes | None:
    """The bytes of a file, None where it cannot be read."""
    try:
        return read_file(path)
    except (OSError, ValueError):  # a directory, which is not an archive; a NUL in the path
        return None


def value_in(file: str, text: str, key: str) -> object:
    """What the file of a project has for `key`, which is of its metadata; None if not written."""
    if file == "setup.py":
        return setup_literals(text).get(key)
    if file == "setup.cfg":
        section = "options" if key == "python_requires" else "metadata"
        value = _read_setup_cfg(text).get(section, key, fallback="")
        return None if value.startswith(("attr:", "file:")) else value  # they are computed
    values = lenient_values(text)
    match values.get("project"), values.get("tool"):
        case {**project}, _ if key in project:
            return project[key]
        case _, {"poetry": {**poetry}}:
            return poetry.get(key)
    return None


def is_package(read_file: Read) -> bool:
    """Whether uv installs the project itself (uv docs, "Build systems")."""
    data = read_if_there("pyproject.toml", read_file) or b""
    match lenient_values(data.decode("utf-8", "replace")):
        case {"tool": {"uv": {"package": bool(is_package)}}}:
            return is_package
        case manifest:
            return "build-system" in manifest


def setup_literals(text: str) -> dict[str, object]:
    """The arguments of `setup()`, or `setuptools.setup()`, that are literals.

    A setup.py is read as text, never run.
    """

    def literal(value: ast.expr) -> object:
        try:
            return ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return None

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in the user's strings
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {
        keyword.arg: literal(keyword.value)
        for call in calls
        if "setup" in (getattr(call.func, "id", ""), getattr(call.func, "attr", ""))
        for keyword in call.keywords
        if keyword.arg
    }


def _read_setup_cfg(text: str) -> configparser.RawConfigParser:
    """Without sections where `text` is not valid."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser
