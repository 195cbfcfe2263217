"""Requirements that one platform alone can install, and that have no marker to say so."""

from collections.abc import Iterator

from uvflow.imports.lockfile import Locked, packages
from uvflow.imports.model import Finding, Import, Requirement, Severity

# What a wheel's platform tag begins with (PEP 425, PEP 600, PEP 656) → `sys_platform`, its name.
_FAMILIES = {
    "win": ("win32", "Windows"),
    "macosx": ("darwin", "macOS"),
    "manylinux": ("linux", "Linux"),
    "musllinux": ("linux", "Linux"),
    "linux": ("linux", "Linux"),
}


def elsewhere(imported: Import, lockfile: str, here: str) -> Iterator[Finding]:
    """A WARNING for each requirement that can be had on another platform than `here` alone.

    `here` is a `sys.platform`, `lockfile` the text of a uv.lock of `imported`. `pip freeze` on
    Windows lists pywin32, say, which has no source and no archive for anything else.
    """
    locked = packages(lockfile)
    for requirement in imported.requirements:
        if requirement.marker or requirement.source is not None:
            continue
        families = {_family(package) for package in locked.get(requirement.name or "", ())}
        found = _FAMILIES.get(families.pop() if len(families) == 1 else "")
        if found and found[0] != here:
            yield _told(requirement, *found)


def _family(package: Locked) -> str:
    """The one platform that all archives of a package are for, or nothing."""
    tags = [wheel.removesuffix(".whl").rpartition("-")[2] for wheel in package.wheels]
    found = {next((f for f in _FAMILIES if tag.startswith(f)), "") for tag in tags}
    names = {_FAMILIES.get(family, ("",))[0] for family in found}
    return "" if package.is_built or len(names) != 1 else found.pop()


def _told(requirement: Requirement, platform: str, name: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="other-platform",
        message=f"`{requirement.text}` has archives for {name} alone, and is wanted everywhere",
        origin=requirement.origin,
        hint=f"`{requirement.text} ; sys_platform == '{platform}'`",
    )
