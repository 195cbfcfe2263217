"""What a profile installs on a platform, and which of it has no wheel there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from uvflow.lockfile.packages import LockedPackage, Lockfile, Table

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBC_MINOR = 41  # Debian 13 "trixie" has glibc 2.41


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
        platforms = list(_platforms(_MACHINES[self.platform]))
        interpreter = f"cp{self.python.replace('.', '')}"
        return frozenset(
            (
                *cpython_tags(version, [interpreter], platforms),
                *compatible_tags(version, interpreter, platforms),
            )
        )


def closure(
    lock: Lockfile,
    roots: Iterable[LockedPackage],
    target: TargetPlatform,
    *,
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
) -> tuple[LockedPackage, ...]:
    """What `uv sync` installs for `roots` with these extras and dependency groups, by name."""
    found: dict[int, LockedPackage] = {}
    done: set[tuple[int, str]] = set()
    waiting = [(root, extra) for root in roots for extra in ("", *extras)]
    edges = [edge for root, extra in waiting if not extra for edge in _of_groups(root, groups)]
    while waiting or edges:
        for edge in edges:
            waiting += _followed(lock, edge, target)
        edges = []
        if waiting:
            package, extra = waiting.pop()
            found[id(package)] = package
            if (id(package), extra) not in done:
                done.add((id(package), extra))
                edges = _edges(package, extra)
    return tuple(sorted(found.values(), key=lambda package: package.name))


def _of_groups(root: LockedPackage, groups: tuple[str, ...]) -> Iterator[Table]:
    for group in groups:
        yield from root.table.get("dev-dependencies", {}).get(group, ())


def _edges(package: LockedPackage, extra: str) -> list[Table]:
    if extra:
        return list(package.table.get("optional-dependencies", {}).get(extra, ()))
    return list(package.table.get("dependencies", ()))


def _followed(
    lock: Lockfile, edge: Table, target: TargetPlatform
) -> Iterator[tuple[LockedPackage, str]]:
    marker = edge.get("marker")
    if marker and not Marker(marker).evaluate(target.environment):
        return
    for package in lock.by_name.get(edge.get("name", ""), ()):
        if any(
            key in edge and edge[key] != package.table.get(key) for key in ("version", "source")
        ):
            continue
        for extra in ("", *edge.get("extra", ())):
            yield package, extra


def packages_to_build(
    packages: Iterable[LockedPackage], target: TargetPlatform
) -> tuple[LockedPackage, ...]:
    """Those of `packages` that uv builds on `target`, since no wheel of theirs fits it."""
    tags = target.tags
    return tuple(p for p in packages if p.directory is None and not _has_wheel(p, tags))


def _has_wheel(package: LockedPackage, tags: frozenset[Tag]) -> bool:
    return any(_fits(name, tags) for name in package.wheels)


def _fits(file_name: str, tags: frozenset[Tag]) -> bool:
    try:
        return not tags.isdisjoint(parse_wheel_filename(file_name)[3])
    except InvalidWheelFilename:
        return False


def _platforms(machine: str) -> Iterator[str]:
    """The platform tags of a glibc system (PEP 600), and the three older names of some."""
    yield from (f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR, 4, -1))
    yield from (f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1"))
    yield f"linux_{machine}"
