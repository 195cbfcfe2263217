"""`[tool.uvflow.docker]`: the user's settings for the image, validated. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from uvflow.project import schema
from uvflow.project.manifest import Table
from uvflow.project.schema import OnlyKeys, Rule

BASES = ("slim", "managed", "distroless")
STAGES = ("auto", "single", "multi")
PLATFORMS = ("linux/amd64", "linux/arm64")
DOCKER_HUB = "docker.io"
REGISTRIES = (DOCKER_HUB, "ghcr.io", "gcr.io")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user has decided; None leaves it to the facts.

    `command` is what the container starts, `processes` are others by name, `app` is a
    `module:attribute` for the server to load. `health` is the path of an HTTP probe, or False for
    none. `environment` is for the container, `build_environment` for the steps that run the
    project's own code (collectstatic). `mirrors` are registries and what images are pulled from in
    their place. `private_indexes` are names of `[[tool.uv.index]]` that ask for credentials.
    `ignore` are codes of findings that are not reported about a hand-written Dockerfile.
    """

    base: str = "slim"
    stages: str = "auto"
    command: tuple[str, ...] | None = None
    processes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    app: str | None = None
    port: int | None = None
    health: str | bool | None = None
    user: int | None = None
    uv: str | None = None
    python_image: str | None = None
    uv_image: str | None = None
    mirrors: tuple[tuple[str, str], ...] = ()
    build_packages: tuple[str, ...] | None = None
    runtime_packages: tuple[str, ...] = ()
    platforms: tuple[str, ...] = PLATFORMS
    private_indexes: tuple[str, ...] = ()
    source: bool | None = None
    environment: tuple[tuple[str, str], ...] = ()
    build_environment: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()


def read(table: Table, source: str) -> Settings:
    """The settings that `[tool.uvflow.docker]` of the file `source` declares.

    Raises UsageError for an unknown key, with the nearest one, and for a value that cannot be.
    """
    schema.validate(table, _SHAPE, source, "tool.uvflow.docker")
    names = {field.name.replace("_", "-"): field.name for field in fields(Settings)}
    return Settings(**{names[key]: _frozen(value) for key, value in table.items()})


def checked(key: str, value: Any, where: str) -> Any:
    """`value` as a field of Settings; raises UsageError, with `where`, if `key` cannot be that."""
    schema.validate(value, _SHAPE[key], where)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((k, _frozen(v)) for k, v in value.items()))  # its order is not a fact
    return tuple(value) if isinstance(value, list) else value


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
_REGISTRY = r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9._-]+)*/?"  # a host, and the path below it
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
_PACKAGES = _texts(_DEBIAN_PACKAGE, "Debian packages")
_COMMAND = _texts(r"(?s).*", 'strings, such as ["python", "-m", "app"]', least=1)

_SHAPE = OnlyKeys(
    {
        "base": _text("|".join(BASES), f"one of {', '.join(BASES)}"),
        "stages": _text("|".join(STAGES), f"one of {', '.join(STAGES)}"),
        "command": _COMMAND,
        "processes": {"*": _COMMAND},
        "app": _text(_MODULE_ATTRIBUTE, '"module:attribute"'),
        "port": _number(1, 65535, "a number from 1 to 65535"),
        "health": Rule(
            wanted='a path such as "/healthz", or false',
            holds=lambda v: v is False or _matches(r"/\S*", v),
        ),
        "user": _number(1, 2**31 - 1, "a numeric user id from 1"),
        "uv": _text(_VERSION, "a version such as 0.13.9"),
        "python-image": _text(_IMAGE, "the name of an image"),
        "uv-image": _text(_IMAGE, "the name of an image"),
        "mirrors": OnlyKeys(dict.fromkeys(REGISTRIES, _text(_REGISTRY, "the name of a registry"))),
        "build-packages": _PACKAGES,
        "runtime-packages": _PACKAGES,
        "platforms": _texts("|".join(PLATFORMS), " and ".join(PLATFORMS), least=1),
        "private-indexes": _texts(r"[\w.-]+", "names of [[tool.uv.index]]"),
        "source": bool,
        "environment": _ENVIRONMENT,
        "build-environment": _ENVIRONMENT,
        "ignore": _texts(r"[a-z-]+", "codes of findings"),
    }
)
