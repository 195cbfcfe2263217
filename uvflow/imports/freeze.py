"""What `pip freeze` lists on some machines, and no index has."""

import re
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

# Where conda builds packages; nothing is left there once a package is made.
_FEEDSTOCK = re.compile(
    r"/(?:feedstock_root|build_artifacts|conda-bld|croot|tmp/build|ci)/", re.IGNORECASE
)
_DISTRIBUTIONS = re.compile(r"(?:ubuntu|debian|deb|dfsg|build)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """What is odd about a pin, as the end of a sentence, and what to do."""

    message: str
    hint: str


def oddity(name: str, specifier: SpecifierSet) -> Oddity | None:
    """Why no index has `name` in the version that `specifier` pins, or None."""
    if name == "pkg-resources":
        message = "is no package: Debian's pip lists a part of setuptools under this name"
        return Oddity(message=message, hint="take the line out")
    for version in (pin.version for pin in specifier if pin.operator in ("==", "===")):
        if _DISTRIBUTIONS.search(version.partition("+")[2]):
            message = "is a version that only a Linux distribution has"
            public = version.partition("+")[0]
            return Oddity(message=message, hint=f"see whether an index has `{name}=={public}`")
        if not _is_version(version):
            message = "is a version that uv cannot read (PEP 440)"
            return Oddity(message=message, hint="ask for a version that an index has")
    return None


def _is_version(text: str) -> bool:
    try:
        Version(text.removesuffix(".*"))
    except InvalidVersion:
        return False
    return True


def is_feedstock(path: str) -> bool:
    """Whether an absolute `path` is where conda built a package."""
    return _FEEDSTOCK.search(path) is not None


def feedstock_version(path: str, name: str) -> str:
    """The version in a path such as `/croot/idna-3.7/work`, or nothing."""
    spelled = name.replace("-", "[-_.]")
    match = re.search(rf"/{spelled}-(\d+(?:\.\d+)+)[_/]", path, re.IGNORECASE)
    return match[1] if match else ""
