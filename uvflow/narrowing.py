"""For which Pythons and platforms old versions fit together, where they do not for all.

pip resolves for the machine it runs on. uv resolves for every Python that `requires-python` allows
and for every platform (uv docs, "Resolution", "Universal resolution"), so that versions which pip
has installed may have no solution.
"""

import itertools
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet

from uvflow.imports.model import Finding, Severity

Version = tuple[int, int]  # major and minor

_KNOWN: tuple[Version, ...] = tuple((3, minor) for minor in range(6, 17))


@dataclass(frozen=True, kw_only=True)
class Range:
    """The Pythons from `lowest` up to, and without, `below`; `environment` is a marker."""

    lowest: Version
    below: Version | None = None
    environment: str = ""

    @property
    def requires_python(self) -> str:
        """A specifier (PEP 440)."""
        upper = f",<{_told(self.below)}" if self.below else ""
        return f">={_told(self.lowest)}{upper}"


def widest(declared: str, here: Version, is_possible: Callable[[Range], bool]) -> Range | None:
    """The widest range within the specifier `declared` that `is_possible`, around one Python.

    That is `here`, or else the lowest of `declared`. None where nothing is possible for either,
    not even on this platform alone. A range that holds a possible one within may be impossible; so
    it is widened step by step, and `is_possible` is called about five times.
    """
    admitted = [version for version in _KNOWN if _admits(declared, version)]
    starts = dict.fromkeys((*([here] if here in admitted else []), *admitted[:1]))
    for start in starts:
        found = next(filter(is_possible, _narrowest(start)), None)
        if found:
            return _lowered(_raised(found, admitted, is_possible), admitted, is_possible)
    return None


def told(declared: str, found: Range) -> tuple[Finding, ...]:
    """What the user has to know of a range that is narrower than `declared`.

    That later Pythons are shut out is told to all; that some are which are declared needs action.
    """
    reason = "the versions that are asked for do not fit together"
    is_later_alone = _admits(declared, found.lowest) and not any(
        _admits(declared, version) for version in _KNOWN if version < found.lowest
    )
    python = Finding(
        severity=Severity.WARNING if is_later_alone else Severity.ACTION,
        code="python-narrowed",
        message=f"requires-python is {found.requires_python}, and not {declared}: {reason}"
        " for other Pythons",
        hint="let go of the pins that are in the way, then widen it in pyproject.toml",
    )
    platforms = Finding(
        severity=Severity.ACTION,
        code="platform-narrowed",
        message=f"uv.lock is for `{found.environment}` alone: {reason} elsewhere",
        hint="let go of the pins that are in the way, then take `environments` out of [tool.uv]",
    )
    is_narrower = found.requires_python != declared
    return (*((python,) if is_narrower else ()), *((platforms,) if found.environment else ()))


def _admits(specifier: str, version: Version) -> bool:
    """Any patch release will do."""
    return any(f"{_told(version)}.{patch}" in SpecifierSet(specifier) for patch in (0, 99))


def _told(version: Version) -> str:
    return ".".join(map(str, version))


def _next(version: Version) -> Version:
    return version[0], version[1] + 1


def _narrowest(start: Version) -> Iterator[Range]:
    """One Python, everywhere; then on platforms like this one alone."""
    alone = Range(lowest=start, below=_next(start))
    system = f"sys_platform == '{sys.platform}'"
    machine = f"platform_machine == '{platform.machine()}'"
    yield alone
    yield replace(alone, environment=system)
    yield replace(alone, environment=f"{system} and {machine}")


def _raised(found: Range, admitted: list[Version], is_possible: Callable[[Range], bool]) -> Range:
    """`found` for later Pythons as well, up to the first for which that is impossible."""
    later = [version for version in admitted if version > found.lowest]
    if later and later[-1] == _KNOWN[-1] and is_possible(replace(found, below=None)):
        return replace(found, below=None)
    wider = (replace(found, below=_next(version)) for version in later)
    return _last(itertools.takewhile(is_possible, wider), found)


def _lowered(found: Range, admitted: list[Version], is_possible: Callable[[Range], bool]) -> Range:
    """`found` for earlier Pythons as well, down to the first for which that is impossible."""
    earlier = [version for version in admitted if version < found.lowest]
    wider = (replace(found, lowest=version) for version in reversed(earlier))
    return _last(itertools.takewhile(is_possible, wider), found)


def _last(ranges: Iterator[Range], default: Range) -> Range:
    for found in ranges:
        default = found
    return default
