"""What a profile installs on a platform, and which of it has no wheel there.

uv selects (`uv export`), since extras, groups, members and `[tool.uv] conflicts` are its own to
understand. Its pylock.toml would have wheels and markers as well, but uv 0.13 downloads every wheel
that an index gives no hash of to write one; so the wheels are those of uv.lock.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from uvflow.errors import UsageError
from uvflow.lockfile.check import failure_reason
from uvflow.lockfile.packages import LockedPackage, Lockfile
from uvflow.project.manifest import Project
from uvflow.project.profiles import Profile
from uvflow.uv import Uv

# Without a configuration, or `required-version` would have a say in what needs no such uv.
_EXPORT = ("export", "--frozen", "--offline", "--no-config", "--color=never")
_PLAIN = ("--no-hashes", "--no-header", "--no-annotate")

# `name==version`, `name @ url`, `-e ./path` or `./path`, and where it is so for some platforms.
_LINE = re.compile(
    r"(?:(?P<name>[\w.-]+)(?:==(?P<version>\S+)| @ .+?)|(?:-e )?(?P<path>.+?))"
    r"(?: ; (?P<marker>.+))?"
)

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBC_MINOR = 41  # Debian 13 "trixie" has glibc 2.41


@dataclass(frozen=True, kw_only=True)
class ExportedPackage:
    """What uv installs where `marker` holds: of an index, by a URL, or from a path.

    `version` is empty for the last two, and `name` for the last. `path` is relative to the
    lockfile.
    """

    name: str
    version: str
    path: str
    marker: str


def export_selection(
    project: Project, profile: Profile, uv: Uv, environ: Mapping[str, str] = os.environ
) -> tuple[ExportedPackage, ...]:
    """What `profile` installs on every platform, without reading uv.lock here.

    Raises UsageError where uv refuses, as for an extra that the project does not have.
    """
    project.check_selection(profile)
    selection = profile._replace(compile_bytecode=False, python=None).selection()
    arguments = (*_EXPORT, *_PLAIN, *selection)
    answer = uv.capture(arguments, cwd=project.root, environ=profile.environ(environ))
    if answer.code != 0:
        raise UsageError(
            f"uv cannot select what the profile `{profile.name}` installs",
            cause=failure_reason(answer),
        )
    lines = filter(None, map(_LINE.fullmatch, answer.out.splitlines()))
    return tuple(ExportedPackage(**line.groupdict(default="")) for line in lines)


@dataclass(frozen=True, kw_only=True)
class TargetPlatform:
    """What the environment of an image is made for."""

    python: str
    platform: str

    @property
    def environment(self) -> dict[str, str]:
        """The marker environment of PEP 508."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": _MACHINES[self.platform],
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }

    @property
    def tags(self) -> frozenset[Tag]:
        """What a wheel may be tagged with to fit (PEP 425, PEP 600)."""
        version = tuple(map(int, self.python.split(".")))
        machine = _MACHINES[self.platform]
        manylinux = (f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR, 4, -1))
        older = (f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1"))
        platforms = [*manylinux, *older, f"linux_{machine}"]
        interpreter = f"cp{self.python.replace('.', '')}"
        tags = cpython_tags(version, [interpreter], platforms)
        return frozenset((*tags, *compatible_tags(version, interpreter, platforms)))


def packages_on(
    target: TargetPlatform, exported: Iterable[ExportedPackage], lockfile: Lockfile
) -> tuple[LockedPackage, ...]:
    """The packages of `lockfile` that are installed on `target`."""
    found: list[LockedPackage] = []
    for each in exported:
        if each.marker and not Marker(each.marker).evaluate(target.environment):
            continue
        if each.path:
            package = lockfile.package_at(posixpath.normpath(each.path))
            found += [package] if package else []
        for package in lockfile.by_name.get(each.name, ()):
            if each.version == (package.version if "registry" in package.source else ""):
                found.append(package)
    return tuple(found)


def packages_to_build(
    packages: Iterable[LockedPackage], target: TargetPlatform
) -> tuple[LockedPackage, ...]:
    """Those of `packages` that uv builds on `target`, since no wheel of theirs fits it."""
    tags = target.tags

    def fits(wheel: str) -> bool:
        try:
            return not tags.isdisjoint(parse_wheel_filename(wheel)[3])
        except InvalidWheelFilename:
            return False

    indexed = (package for package in packages if package.directory is None)
    return tuple(package for package in indexed if not any(map(fits, package.wheels)))
