"""Local projects and archives: whether they can be installed, and their names. Pure."""

from uvflow.errors import UsageError
from uvflow.migrate.model import Read
from uvflow.migrate.toml_text import lenient_values
from uvflow.paths import MANIFEST

_FILES = (MANIFEST, "setup.cfg", "setup.py")


def is_installable(path: str, read_file: Read) -> bool:
    """Whether `path` is a file, or a directory with a project."""
    return read_if_there(path, read_file) is not None or bool(_metadata(path, read_file))


def local_metadata(path: str, key: str, read_file: Read) -> str | None:
    """The name or the version of the project at `path`, None where it is not a literal."""
    found = (value_in(file, text, key) for file, text in _metadata(path, read_file).items())
    return next((value for value in found if isinstance(value, str) and value), None)


def _metadata(path: str, read_file: Read) -> dict[str, str]:
    files = ((name, read_if_there(f"{path}/{name}", read_file)) for name in _FILES)
    return {name: data.decode("utf-8", "replace") for name, data in files if data is not None}


def read_if_there(path: str, read_file: Read) -> bytes | None:
    """The bytes of a file, None where it cannot be read."""
    try:
        return read_file(path)
    except (OSError, ValueError):  # a directory, which is not an archive; a NUL in the path
        return None


def text_of(path: str, read_file: Read) -> str:
    """The text of a file, "" where it cannot be read."""
    return (read_if_there(path, read_file) or b"").decode("utf-8", "replace")


def value_in(file: str, text: str, key: str) -> object:
    """The metadata `key` in pyproject.toml, setup.cfg or setup.py; None if it is not a literal."""
    if file != MANIFEST:
        return _values(file, text).get(key)
    values = lenient_values(text)
    match values.get("project"), values.get("tool"):
        case {**project}, _ if key in project:
            return project[key]
        case _, {"poetry": {**poetry}}:
            return poetry.get(key)
    return None


def is_package(read_file: Read) -> bool:
    """Whether uv installs the project itself (uv docs, "Build systems")."""
    match lenient_values(text_of(MANIFEST, read_file)):
        case {"tool": {"uv": {"package": bool(is_package)}}}:
            return is_package
        case manifest:
            files = {} if "project" in manifest else _metadata(".", read_file)
            is_old = any(_values(file, files[file]) for file in files if file != MANIFEST)
            return is_old or "build-system" in manifest


def _values(file: str, text: str) -> dict[str, object]:
    """The arguments of `setup()`, None for one without a literal; none in an unreadable file."""
    # 6 ms, for the parsers of two formats that a project may not have.
    from uvflow.migrate.formats.setup_script import COMPUTED, Reference, read_options

    try:
        options = read_options(file, text.encode())
    except UsageError:
        return {}
    values = {name: option.value for name, option in options.items()}
    computed = [n for n, v in values.items() if v is COMPUTED or isinstance(v, Reference)]
    return values | dict.fromkeys(computed)
