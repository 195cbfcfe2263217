"""What `pip freeze` lists on some machines, and no index has."""

import posixpath
import re
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

# Where conda-build and rattler-build make packages, as `NAME_TIME/work` below a directory of many
# names; nothing is left there once a package is made.
_FEEDSTOCK = re.compile(
    r"""
      / (?:feedstock_root|build_artifacts|conda-bld|croots?) /
    | / (?:tmp/build|ci) / .+ /work (?:/|$)
    | / [^/]+_\d{9,} /work (?:/|$)
    """,
    re.IGNORECASE | re.VERBOSE,
)

# What conda is made of; on an index it is missing, or years older.
_OF_CONDA = frozenset(
    (
        *("conda", "conda-build", "conda-content-trust", "conda-libmamba-solver"),
        *("conda-anaconda-telemetry", "conda-anaconda-tos", "anaconda-anon-usage"),
        *("anaconda-navigator", "navigator-updater"),
    )
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
    if name in _OF_CONDA:
        message = "is a part of conda, which uv does not install"
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


def version_in(path: str, name: str) -> str:
    """The version of the package `name` in a path such as `/croot/idna-3.7/work`, or nothing.

    A wheel has it in its name, as in `/croot/idna_1714/work/dist/idna-3.7-py3-none-any.whl`.
    """
    try:
        wheel, version, _, _ = parse_wheel_filename(posixpath.basename(path))
    except InvalidWheelFilename:
        spelled = canonicalize_name(name).replace("-", "[-_.]")
        match = re.search(rf"/{spelled}-(\d+(?:\.\d+)+)(?:[_/]|\.tar\.|\.zip)", path, re.IGNORECASE)
        return match[1] if match else ""
    return str(version) if wheel == canonicalize_name(name) else ""
