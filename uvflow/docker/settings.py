"""`[tool.uvflow.docker]`: what the user says about the image, checked. Pure."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from uvflow.errors import UsageError

Table = Mapping[str, Any]

BASES = ("slim", "managed", "distroless")
STAGES = ("auto", "single", "multi")
PLATFORMS = ("linux/amd64", "linux/arm64")
DOCKER_HUB = "docker.io"
REGISTRIES = (DOCKER_HUB, "ghcr.io", "gcr.io")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user has decided; None is for what the facts decide.

    `command` is what the container starts, `app` a `module:attribute` for the server to load.
    `health` is the path of an HTTP probe, or False for none. `environment` is for the container,
    `build_environment` for the steps that run the project's own code (collectstatic).
    `mirrors` are registries and what images are pulled from in their place. `private_indexes` are
    names of `[[tool.uv.index]]` that ask for credentials.
    """

    base: str = "slim"
    stages: str = "auto"
    command: tuple[str, ...] | None = None
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


def read(table: Table, source: str) -> Settings:
    """The settings that `[tool.uvflow.docker]` of the file `source` declares.

    Raises UsageError for an unknown key, with the nearest one, and for a value that cannot be.
    """
    where = f"{source}: [tool.uvflow.docker]"
    for key in table:
        if key not in _CHECKS:
            raise UsageError(f"{where} has an unknown key `{key}`", hint=_known(key))
    return Settings(**{_FIELDS[key]: checked(key, table[key], f"{where} {key}") for key in table})


def checked(key: str, value: Any, where: str) -> Any:
    """`value` as a field of Settings; raises UsageError where it is none for `key`."""
    wanted, check = _CHECKS[key]
    if not check(value):
        raise UsageError(f"{where} must be {wanted}, not {value!r}")
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))  # the order it was written in is no fact
    return value


def _known(key: str) -> str:
    close = difflib.get_close_matches(key, _CHECKS, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(_CHECKS)}"


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _is_integer(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _each_is(pattern: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(v, str) and re.fullmatch(pattern, v) for v in value
        )

    return check


def _is(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


def _is_environ(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(v, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", k) for k, v in value.items()
    )


_DEBIAN_PACKAGE = r"[a-z0-9][a-z0-9+.-]+"  # Debian Policy, section 5.6.1
_IMAGE = r"[a-z0-9][A-Za-z0-9_./:@-]*"
_REGISTRY = r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9._-]+)*/?"  # a host, and the path below it
_MODULE_ATTRIBUTE = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?"
_VERSION = r"\d+\.\d+\.\d+"

# key → what it must be, and the check
_CHECKS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "base": (f"one of {', '.join(BASES)}", lambda v: v in BASES),
    "stages": (f"one of {', '.join(STAGES)}", lambda v: v in STAGES),
    "command": ('a list of strings, such as ["python", "-m", "app"]', _is_words),
    "app": ('"module:attribute"', _is(_MODULE_ATTRIBUTE)),
    "port": ("a number from 1 to 65535", lambda v: _is_integer(v, 1, 65535)),
    "health": ('a path such as "/healthz", or false', lambda v: v is False or _is(r"/\S*")(v)),
    "user": ("a numeric user id from 1", lambda v: _is_integer(v, 1, 2**31 - 1)),
    "uv": ("a version such as 0.13.9", _is(_VERSION)),
    "python-image": ("the name of an image", _is(_IMAGE)),
    "uv-image": ("the name of an image", _is(_IMAGE)),
    "mirrors": (
        f"a table with the keys {', '.join(REGISTRIES)} and the names of registries",
        lambda v: (
            isinstance(v, Mapping)
            and set(v) <= {*REGISTRIES}
            and all(map(_is(_REGISTRY), v.values()))
        ),
    ),
    "build-packages": ("a list of Debian packages", _each_is(_DEBIAN_PACKAGE)),
    "runtime-packages": ("a list of Debian packages", _each_is(_DEBIAN_PACKAGE)),
    "platforms": (
        f"a list of {' and '.join(PLATFORMS)}",
        lambda v: _is_words(v) and set(v) <= set(PLATFORMS),
    ),
    "private-indexes": ("a list of names of [[tool.uv.index]]", _each_is(r"[\w.-]+")),
    "source": ("true or false", lambda v: isinstance(v, bool)),
    "environment": ("a table of strings", _is_environ),
    "build-environment": ("a table of strings", _is_environ),
}

_FIELDS = {field.name.replace("_", "-"): field.name for field in fields(Settings)}
