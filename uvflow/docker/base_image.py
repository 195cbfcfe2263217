"""Which images a Dockerfile starts from, and which Python they have. Pure.

All images are on Debian 13 "trixie" by name, so that a rebuild does not move to another release:
uv's own images on bookworm ended with uv 0.9.30.
"""

from collections.abc import Callable, Iterable

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow.docker.settings import Settings
from uvflow.errors import UsageError
from uvflow.project.python import requested_minor


def base_images(settings: Settings, python: str) -> dict[str, str]:
    """By use, those that a Dockerfile with Python X.Y names; `settings` may name others."""
    images = {"uv": settings.uv_image or f"ghcr.io/astral-sh/uv:{settings.uv}"}
    if settings.base == "slim":
        return {**images, "base": settings.python_image or f"python:{python}-slim-trixie"}
    if settings.base == "distroless":
        images["distroless"] = "gcr.io/distroless/cc-debian13:nonroot"
    return {**images, "base": "debian:trixie-slim"}  # on which uv installs Python


# The Pythons that have an official image on Debian 13, newest first.
MINORS = ("3.14", "3.13", "3.12", "3.11", "3.10")

_NEWEST_PATCH = 99  # an image named X.Y has the newest X.Y.Z


def choose_python(
    requested: Iterable[tuple[str, str]],
    requires_python: str,
    to_build: Callable[[str], int],
) -> tuple[str, str]:
    """X.Y and why: the first of `requested`, else the newest that needs the fewest packages built.

    `requested` are pairs of a request as uv takes it and where it stands. `to_build` says how
    many locked packages have no wheel for X.Y. Raises UsageError where they conflict.
    """
    wanted = specifier(requires_python, "requires-python")
    for text, where in requested:
        minor = requested_minor(text)
        if minor is None:
            raise UsageError(
                f"{where} requests `{text.strip()}`; only CPython versions (X.Y) have an official "
                "image",
                hint="name one with `--python X.Y`",
            )
        if newest_release(wanted, minor) is None:
            raise UsageError(
                f"{where} asks for Python {minor}, which requires-python `{wanted}` does not allow",
                hint="change one of the two",
            )
        return minor, where
    releases = {minor: newest_release(wanted, minor) for minor in MINORS}
    with_newest = [minor for minor in MINORS if releases[minor] == minor]
    fitting = with_newest or [minor for minor in MINORS if releases[minor]]
    if not fitting:
        raise UsageError(
            f"requires-python `{wanted}` allows no Python with an official image "
            f"({', '.join(MINORS)})",
            hint="name one with `--python X.Y`",
        )
    best = min(fitting, key=to_build)  # the first of equals, which is the newest
    return best, f"requires-python `{wanted}`" if requires_python else "the newest"


def specifier(text: str, key: str) -> SpecifierSet:
    """The versions that `key` allows; a bare version is that one."""
    try:
        return SpecifierSet(text if text[:1] in "<>=!~" else f"=={text}")
    except InvalidSpecifier as error:
        raise UsageError(f"{key} `{text}` is not valid (PEP 440)") from error


def newest_release(wanted: SpecifierSet, minor: str) -> str | None:
    """X.Y where its newest patch is allowed, else the newest X.Y.Z that is, if any."""
    patches = range(_NEWEST_PATCH, -1, -1)
    newest = next((patch for patch in patches if wanted.contains(f"{minor}.{patch}")), None)
    if newest is None:
        return None
    return minor if newest == _NEWEST_PATCH else f"{minor}.{newest}"
