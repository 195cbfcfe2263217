"""`[tool.uvflow.docker]`: the user's settings for the image, validated. Pure."""

import re
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
    return Rule(wanted=wanted, holds=lambda value: _matches(pattern, value))


def _texts(pattern: str, wanted: str, *, least: int = 0) -> Rule:
    return Rule(
        wanted=f"a list of {wanted}",
        holds=lambda value: (
            isinstance(value, list)
            and len(value) >= least
            and all(_matches(pattern, each) for each in value)
        ),
    )


def _number(low: int, high: int, wanted: str) -> Rule:
    return Rule(wanted=wanted, holds=lambda value: type(value) is int and low <= value <= high)


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


_DEBIAN_PACKAGE = r"[a-z0-9][a-z0-9+.-]+"  # Debian Policy, section 5.6.1
_IMAGE = r"[a-z0-9][A-Za-z0-9_./:@-]*"
_MODULE_ATTRIBUTE = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?"
_VERSION = r"\d+\.\d+\.\d+"

_ENVIRONMENT = Rule(
    wanted="a table of strings",
    holds=lambda value: (
        isinstance(value, Mapping)
        and all(_matches(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in value)
        and all(isinstance(text, str) for text in value.values())
    ),
)
_HEALTH = Rule(
    wanted='a path such as "/healthz", or false',
    holds=lambda value: value is False or _matches(r"/\S*", value),
)
_PLATFORMS = _texts("|".join(PLATFORMS), " and ".join(PLATFORMS), least=1)
_PACKAGES = _texts(_DEBIAN_PACKAGE, "Debian packages")
_COMMAND = _texts(r"(?s).*", 'strings, such as ["python", "-m", "app"]', least=1)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user has decided; None leaves it to the facts.

    `command` is what the container starts, `processes` are others by name, `app` is a
    `module:attribute` for the server to load. `health` is the path of an HTTP probe, or False for
    none. `environment` is for the container, `build_environment` for the steps that run the
    project's own code (collectstatic). `ignore` are codes of findings that are not reported about a
    hand-written Dockerfile.
    """

    base: str = _setting("slim", _text("|".join(BASES), f"one of {', '.join(BASES)}"))
    command: tuple[str, ...] | None = _setting(None, _COMMAND)
    processes: tuple[tuple[str, tuple[str, ...]], ...] = _setting((), {"*": _COMMAND})
    app: str | None = _setting(None, _text(_MODULE_ATTRIBUTE, '"module:attribute"'))
    port: int | None = _setting(None, _number(1, 65535, "a number from 1 to 65535"))
    health: str | bool | None = _setting(None, _HEALTH)
    user: int | None = _setting(None, _number(1, 2**31 - 1, "a numeric user id from 1"))
    uv: str | None = _setting(None, _text(_VERSION, "a version such as 0.13.9"))
    python_image: str | None = _setting(None, _text(_IMAGE, "the name of an image"))
    uv_image: str | None = _setting(None, _text(_IMAGE, "the name of an image"))
    build_packages: tuple[str, ...] | None = _setting(None, _PACKAGES)
    runtime_packages: tuple[str, ...] = _setting((), _PACKAGES)
    platforms: tuple[str, ...] = _setting(PLATFORMS, _PLATFORMS)
    source: bool | None = _setting(None, bool)
    environment: tuple[tuple[str, str], ...] = _setting((), _ENVIRONMENT)
    build_environment: tuple[tuple[str, str], ...] = _setting((), _ENVIRONMENT)
    ignore: tuple[str, ...] = _setting((), _texts(r"[a-z-]+", "codes of findings"))


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
