"""Which Python an image has: X.Y, and the evidence for it. Pure."""

import re
from collections.abc import Callable

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow.errors import UsageError

# Those that the official image is published for on Debian 13, the newest first.
MINORS = ("3.14", "3.13", "3.12", "3.11", "3.10")

_NEWEST_PATCH = 99  # an image named X.Y has the newest X.Y.Z there is

# uv docs, "Python versions", "Requesting a version": the forms that name a CPython by its version.
_REQUEST = re.compile(r"(?:(?:cpython|cp|python)[-@]?)?(?P<minor>\d+\.\d+)(?:\.\d+)?(?:-[\w-]+)?")


def choose(
    requested: tuple[tuple[str, str], ...],
    requires_python: str,
    to_build: Callable[[str], int],
) -> tuple[str, str]:
    """X.Y and why: the first of `requested`, else the newest that needs the fewest packages built.

    `requested` are pairs of a request as uv takes it and where it was said. `to_build` says how
    many locked packages have no wheel for X.Y. Raises UsageError where they contradict each other.
    """
    wanted = _specifier(requires_python)
    for text, where in requested:
        minor = _minor(text, where)
        if not _allows(wanted, minor):
            raise UsageError(
                f"{where} asks for Python {minor}, which requires-python `{wanted}` does not allow",
                hint="change one of the two",
            )
        return minor, where
    fitting = [minor for minor in MINORS if _allows(wanted, minor)]
    if not fitting:
        raise UsageError(
            f"requires-python `{wanted}` allows the newest patch of no Python with an official "
            f"image ({', '.join(MINORS)})",
            hint="name one with `--python X.Y`, or take `--base managed`",
        )
    best = min(fitting, key=to_build)  # the first of equals, which is the newest
    return best, f"requires-python `{wanted}`" if requires_python else "the newest"


def _minor(text: str, where: str) -> str:
    match = _REQUEST.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"{where} asks for the Python `{text.strip()}`, which is no CPython by its version",
            hint="name one with `--python X.Y`",
        )
    return match["minor"]


def _specifier(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier as error:
        raise UsageError(f"requires-python `{text}` is not valid (PEP 440)") from error


def _allows(wanted: SpecifierSet, minor: str) -> bool:
    return wanted.contains(f"{minor}.{_NEWEST_PATCH}")
