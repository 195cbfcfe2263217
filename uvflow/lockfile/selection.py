"""What a profile installs on a platform, and which of it has no wheel there.

`uv export` selects, since extras, groups, members and `[tool.uv] conflicts` are uv's business. The
wheels are those of uv.lock: an exported pylock.toml has them as well, but to write one, uv 0.13
downloads every wheel for which an index gives no hash.
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
from uvflow.lockfile.packages import LockedPackage, Lockfile, Node, Table, edge_nodes
from uvflow.project.manifest import Project, default_groups, group_names, table_at
from uvflow.project.profiles import Profile
from uvflow.uv import Uv

# Without configuration: `required-version` must not forbid an export.
_EXPORT = ("export", "--frozen", "--offline", "--no-config", "--color=never")
_PLAIN = ("--no-hashes", "--no-header", "--no-annotate")

# `name==version`, `name @ url`, `-e ./path` or `./path`, and a marker.
_LINE = re.compile(
    r"(?:(?P<name>[\w.-]+)(?:==(?P<version>\S+)| @ .+?)|(?:-e )?(?P<path>.+?))"
    r"(?: ; (?P<marker>.+))?"
)

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBC_MINOR = 41  # Debian 13 "trixie" has glibc 2.41


@dataclass(frozen=True, kw_only=True)
class ExportedPackage:
    """What uv installs where `marker` holds: from an index, a URL or a path.

    `version` is empty for the last two, `name` for a path, which is relative to the lockfile.
    """

    name: str
    version: str
    path: str
    marker: str


def export_selection(
    project: Project, profile: Profile, uv: Uv, environ: Mapping[str, str] = os.environ
) -> tuple[ExportedPackage, ...]:
    """What `profile` installs on every platform, as uv exports it.

    Raises UsageError if uv refuses, for example for an extra that the project does not have.
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
    """The Python (X.Y) and the platform, such as `linux/amd64`, of the environment in an image."""

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
        """The tags of wheels that can be installed (PEP 425, PEP 600)."""
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
            local = lockfile.package_at(posixpath.normpath(each.path))
            if local:
                found.append(local)
        for package in lockfile.by_name.get(each.name, ()):
            version = package.version if "registry" in package.source else ""  # as it is exported
            if version == each.version:
                found.append(package)
    return tuple(found)


def packages_to_build(
    packages: Iterable[LockedPackage], target: TargetPlatform
) -> tuple[LockedPackage, ...]:
    """Those of `packages` that uv builds on `target`, because none of their wheels fits."""
    tags = target.tags

    def fits(wheel: str) -> bool:
        try:
            return not tags.isdisjoint(parse_wheel_filename(wheel)[3])
        except InvalidWheelFilename:
            return False

    indexed = (package for package in packages if package.directory is None)
    return tuple(package for package in indexed if not any(map(fits, package.wheels)))


def optional_packages(lockfile: Lockfile, manifests: Iterable[Table]) -> dict[str, tuple[str, ...]]:
    """The packages that `uv sync` alone does not bring → extras, groups and members that do.

    Of the groups that a sync installs by default, only `dev` is one of these.
    """
    tables = ((table_at(each, "tool", "uv"), group_names(each)) for each in manifests)
    defaults = {name for table, names in tables for name in default_groups(table, names)} - {"dev"}
    plain, chosen = list[Table](), list[tuple[str, Iterable[Table]]]()
    at_root = lockfile.package_at(".")  # without one, a sync installs every member
    for package in lockfile.local_packages:
        needs = package.table.get("dependencies", ())
        if at_root in {None, package}:
            plain += needs
        else:
            chosen.append((package.name, [{"name": package.name}, *needs]))
        chosen += package.table.get("optional-dependencies", {}).items()
        chosen += package.table.get("dev-dependencies", {}).items()
    plain += (row for name, rows in chosen if name in defaults for row in rows)
    always = _reached(lockfile, plain, set())
    names, found = {name for name, _ in always}, dict[str, tuple[str, ...]]()
    for name, rows in chosen:
        for each in {each for each, _ in _reached(lockfile, rows, always)} - names:
            found[each] = tuple(dict.fromkeys((*found.get(each, ()), name)))
    # The groups of a root that is no project are not in the table of a package.
    return {} if "dependency-groups" in lockfile.table.get("manifest", {}) else found


def _reached(lockfile: Lockfile, rows: Iterable[Table], known: set[Node]) -> set[Node]:
    """What these rows of dependencies bring on some platform, besides what is `known`."""
    waiting, reached = [*edge_nodes(rows)], set[Node]()
    while waiting:
        node = name, extra = waiting.pop()
        if node not in reached and node not in known:
            reached.add(node)
            for package in lockfile.by_name.get(name, ()):
                optional = package.table.get("optional-dependencies", {})
                own = package.table.get("dependencies", ())
                waiting += edge_nodes(optional.get(extra, ()) if extra else own)
    return reached
