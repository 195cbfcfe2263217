"""`[tool.uvflow.docker]`: the user's settings for the image, validated. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from uvflow.project import schema
from uvflow.project.manifest import Table
from uvflow.project.schema import OnlyKeys, Rule

BASES = ("slim", "managed", "distroless")
PLATFORMS = ("linux/amd64", "linux/arm64")


def _setting(default: Any, shape: Any) -> Any:
    return field(default=default, metadata={"shape": shape})


def _text(pattern: str, wanted: str) -> Rule:
    return Rule(wanted, {"type": "string", "pattern": pattern})


def _texts(each: Table, wanted: str, *, least: int = 0) -> Rule:
    return Rule(f"a list of {wanted}", {"type": "array", "items": each, "minItems": least})


def _number(high: int, wanted: str) -> Rule:
    return Rule(wanted, {"type": "integer", "minimum": 1, "maximum": high})


_DEBIAN_PACKAGE = r"[a-z0-9][a-z0-9+.-]+"  # Debian Policy, section 5.6.1
_IMAGE = r"[a-z0-9][A-Za-z0-9_./:@-]*"
_MODULE_ATTRIBUTE = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?"
_VERSION = r"\d+\.\d+\.\d+"

_TEXT = {"type": "string"}
_NAME = {"type": "string", "pattern": r"[A-Za-z_][A-Za-z0-9_]*"}
_ENVIRONMENT = Rule(
    "a table of strings", {"type": "object", "propertyNames": _NAME, "additionalProperties": _TEXT}
)
_HEALTH = Rule(
    'a path such as "/healthz", or false',
    {"anyOf": [{"enum": [False]}, {"type": "string", "pattern": r"/\S*"}]},
)
_PLATFORMS = _texts({"enum": PLATFORMS}, " and ".join(PLATFORMS), least=1)
_PACKAGES = _texts({"type": "string", "pattern": _DEBIAN_PACKAGE}, "Debian packages")
_CODES = _texts({"type": "string", "pattern": "[a-z-]+"}, "codes of findings")
_COMMAND = _texts(_TEXT, 'strings, such as ["python", "-m", "app"]', least=1)
_SERVICE = {"type": "string", "pattern": r"[A-Za-z0-9._-]+"}  # Compose specification, "Services"
_PROCESSES = Rule(
    'lists of strings by simple names, such as { worker = ["celery", "worker"] }',
    {"type": "object", "propertyNames": _SERVICE, "additionalProperties": _COMMAND.keywords},
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user has decided; None leaves it to the facts.

    `command` is what the container starts, `processes` are others by name, `app` is a
    `module:attribute` for the server to load. `health` is the path of an HTTP probe, or False for
    none. `environment` is for the container, `build_environment` for the steps that run the
    project's own code (collectstatic). `ignore` are codes of findings that are not reported about a
    hand-written Dockerfile.
    """

    base: str = _setting("slim", Rule(f"one of {', '.join(BASES)}", {"enum": BASES}))
    command: tuple[str, ...] | None = _setting(None, _COMMAND)
    processes: tuple[tuple[str, tuple[str, ...]], ...] = _setting((), _PROCESSES)
    app: str | None = _setting(None, _text(_MODULE_ATTRIBUTE, '"module:attribute"'))
    port: int | None = _setting(None, _number(65535, "a number from 1 to 65535"))
    health: str | bool | None = _setting(None, _HEALTH)
    user: int | None = _setting(None, _number(2**31 - 1, "a numeric user id from 1"))
    uv: str | None = _setting(None, _text(_VERSION, "a version such as 0.13.9"))
    python_image: str | None = _setting(None, _text(_IMAGE, "the name of an image"))
    uv_image: str | None = _setting(None, _text(_IMAGE, "the name of an image"))
    build_packages: tuple[str, ...] | None = _setting(None, _PACKAGES)
    runtime_packages: tuple[str, ...] = _setting((), _PACKAGES)
    platforms: tuple[str, ...] = _setting(PLATFORMS, _PLATFORMS)
    source: bool | None = _setting(None, bool)
    environment: tuple[tuple[str, str], ...] = _setting((), _ENVIRONMENT)
    build_environment: tuple[tuple[str, str], ...] = _setting((), _ENVIRONMENT)
    ignore: tuple[str, ...] = _setting((), _CODES)


_FIELDS = {field.name.replace("_", "-"): field for field in fields(Settings)}
_SHAPE = OnlyKeys({key: field.metadata["shape"] for key, field in _FIELDS.items()})


def read(table: Table, source: str) -> Settings:
    """The settings that `[tool.uvflow.docker]` of the file `source` declares.

    Raises UsageError for an unknown key, with the nearest one, and for a value that cannot be.
    """
    schema.validate(table, _SHAPE, source, "tool.uvflow.docker")
    return Settings(**{_FIELDS[key].name: _frozen(value) for key, value in table.items()})


def checked(key: str, value: Any, where: str) -> Any:
    """`value` as a field of Settings; raises UsageError, with `where`, if `key` cannot be that."""
    schema.validate(value, _SHAPE[key], where)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((k, _frozen(v)) for k, v in value.items()))  # its order is not a fact
    return tuple(value) if isinstance(value, list) else value
