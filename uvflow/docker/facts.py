"""What a Dockerfile depends on, read from the project's settings, uv.lock and sources.

Reads only. Nothing of the project is imported or executed.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from uvflow.docker import base_image, debian, settings, targets
from uvflow.docker.base_image import BaseImages, base_images, newest_release, specifier
from uvflow.docker.context import BuildContext
from uvflow.docker.debian import DebianPackages
from uvflow.docker.settings import Settings
from uvflow.docker.source import Sources, Static
from uvflow.docker.start import FILES, Search, Start
from uvflow.docker.targets import NO_DEFAULT_GROUPS, Selection
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.files import text_if_there
from uvflow.lockfile.packages import LockedPackage, read_lockfile
from uvflow.lockfile.selection import (
    ExportedPackage,
    TargetPlatform,
    export_selection,
    packages_on,
    packages_to_build,
)
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Project
from uvflow.project.profiles import Profile
from uvflow.project.python import python_requests
from uvflow.uv import Uv

_USER = 10001
_NONROOT = 65532  # distroless images' own `nonroot`
_IN_DISTROLESS = ("libgomp1",)  # of its image `cc`, besides libgcc and libstdc++
_OLDEST_UV = (0, 9, 0)
_KNOWS_NO_DEFAULT_GROUPS = (0, 9, 10)  # before, uv ignores the variable silently


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """The options of the command line; None leaves it to the settings or the facts."""

    uv: str | None = None
    python: str | None = None
    base: str | None = None
    stages: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Whether a stage of its own builds the environment, and why."""

    is_multi: bool
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything a Dockerfile depends on; paths are relative to the build context, POSIX.

    `directory` is where the project is. `python` is X.Y, `python_release` is X.Y.Z where
    requires-python does not allow the newest. `dev_switch_variable` is the variable that makes uv
    skip development dependencies. `mounts` are the files that locking is checked by,
    `no_install_option` is the option that skips `local_packages`, those that are built and
    installed; `lock_check_needs_sources` says that only all sources tell whether the lockfile is
    current. `built` are the distributions of production without a wheel. `secrets` are the
    variables of credentials.
    """

    name: str
    directory: str
    python: str
    python_release: str
    python_evidence: str
    images: BaseImages
    base: str
    stages: Stages
    dev_switch_variable: str
    selections: tuple[Selection, ...]
    mounts: tuple[str, ...]
    no_install_option: str
    lock_check_needs_sources: bool
    built: tuple[str, ...]
    local_packages: tuple[str, ...]
    version_variables: tuple[str, ...]
    secrets: tuple[str, ...]
    uses_ssh: bool
    system: DebianPackages
    copies_source: bool
    static: Static | None
    start: Start
    processes: tuple[tuple[str, tuple[str, ...]], ...]
    user: int
    environment: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = field(default=(), compare=False)


def read_facts(project: Project, options: ImageOptions, here: Uv) -> Facts:
    """The facts of `project`; the uv that is `here` selects what each profile installs.

    Raises StaleLockfileError without a uv.lock, UsageError where facts conflict with each
    other, nothing says what is to be started, or uv refuses what a profile selects.
    """
    table = project.table("tool", "uvflow", "docker")
    declared = settings.read(table, str(project.root / MANIFEST))
    given = {"base": options.base, "stages": options.stages, "uv": options.uv}
    checked = {k: settings.checked(k, v, f"--{k}") for k, v in given.items() if v is not None}
    if not project.lockfile.exists():
        raise StaleLockfileError(
            f"no {project.lockfile.name} in {project.workspace}", hint="`uv lock` makes one"
        )
    return _Reader(project, replace(declared, **checked), options.python, here).facts()


class _Reader:
    """Reads each thing once; every property is one decision."""

    def __init__(
        self, project: Project, settings: Settings, wanted_python: str | None, here: Uv
    ) -> None:
        self.project = project
        self.settings = settings
        self.wanted_python = wanted_python
        self.here = here
        self.lock = read_lockfile(project.lockfile)
        self.workspace = BuildContext(root=project.workspace, lock=self.lock)

    def facts(self) -> Facts:
        self.workspace.check()
        self.check_uv()
        minor, python_evidence = self.python
        member = self.package.name if self.package and self.directory != "." else None
        return Facts(
            name=canonicalize_name(self.project.name),
            directory=self.directory,
            python=minor,
            python_release=self.python_release,
            python_evidence=python_evidence,
            images=self.images,
            base=self.settings.base,
            stages=self.stages,
            dev_switch_variable=self.dev_switch_variable,
            selections=targets.selections(self.profiles, self.default_groups, member),
            mounts=self.workspace.mounts,
            no_install_option=self.workspace.no_install_option(
                self.local_packages, self.package.name if self.package else None
            ),
            lock_check_needs_sources=self.workspace.lock_check_needs_sources,
            built=self.built(minor, self.production),
            local_packages=self.local_packages,
            version_variables=self.workspace.version_variables(self.local_packages),
            secrets=self.secrets,
            uses_ssh=uses_ssh(self.everything),
            system=self.system,
            copies_source=self.copies_source,
            static=self.static,
            start=self.start,
            processes=self.search.processes(),
            user=self.settings.user or (_NONROOT if self.is_distroless else _USER),
            environment=self.environment,
            remarks=tuple(self.remarks()),
        )

    def check_uv(self) -> None:
        """Raises UsageError where the uv that builds the image does not fit the project."""
        if self.settings.uv is None:
            return
        asked = str(self.project.table("tool", "uv").get("required-version", ""))
        if asked and self.settings.uv not in specifier(asked, "[tool.uv] required-version"):
            raise UsageError(
                f"uv {self.settings.uv} is to build the image, and [tool.uv] required-version is "
                f"`{asked}`",
                hint="name one that fits with `--uv X.Y.Z`",
            )
        needs_later = self.dev_switch_variable == NO_DEFAULT_GROUPS
        oldest = _KNOWS_NO_DEFAULT_GROUPS if needs_later else _OLDEST_UV
        if tuple(map(int, self.settings.uv.split("."))) < oldest:
            raise UsageError(
                f"uv {self.settings.uv} is too old to build the image: it does not know "
                f"{self.dev_switch_variable}",
                hint="name a later one with `--uv X.Y.Z`",
            )

    @cached_property
    def dev_switch_variable(self) -> str:
        return targets.dev_switch_variable(self.profiles, self.default_groups)

    @cached_property
    def images(self) -> BaseImages:
        if self.settings.python_image and self.settings.base != "slim":
            raise UsageError(
                f"[tool.uvflow.docker] python-image is for base slim, not {self.settings.base}",
                cause="with that base uv installs Python",
            )
        return base_images(self.settings, self.python[0])

    @cached_property
    def directory(self) -> str:
        return self.project.root.relative_to(self.project.workspace).as_posix()

    @cached_property
    def package(self) -> LockedPackage | None:
        """The project in the lockfile; None for a workspace's root that is not a project."""
        return self.lock.package_at(self.directory)

    @cached_property
    def is_installed(self) -> bool:
        """Whether the project itself is a package that is installed."""
        return self.package is not None and self.package.name in self.local_packages

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return tuple(self.project.shared_profiles.by_name.values())

    @cached_property
    def default_groups(self) -> tuple[str, ...]:
        groups = self.project.table("dependency-groups")
        return targets.default_groups(self.project.table("tool", "uv"), groups)

    @cached_property
    def python(self) -> tuple[str, str]:
        """X.Y, and the evidence for it."""
        wanted = ((self.wanted_python, "--python"),) if self.wanted_python else ()
        return base_image.choose_python(
            (*wanted, *_declared_pythons(self.project)),
            self.lock.requires_python,
            lambda minor: len(self.built(minor, self.installed("prod", minor))),
        )

    @property
    def python_release(self) -> str:
        minor, wanted = self.python[0], specifier(self.lock.requires_python, "requires-python")
        release = newest_release(wanted, minor) or minor
        if release != minor and self.settings.base == "slim" and not self.settings.python_image:
            raise UsageError(
                f"requires-python `{wanted}` allows Python {release} at most, and the official "
                f"image has the newest {minor}",
                hint=f"`--base managed` installs {release}; `python-image` in [tool.uvflow.docker] "
                "names an image that has it",
            )
        return release

    @cached_property
    def exported(self) -> Mapping[str, tuple[ExportedPackage, ...]]:
        """What each profile installs, by its name."""
        return {p.name: export_selection(self.project, p, self.here) for p in self.profiles}

    def installed(self, profile: str, minor: str) -> tuple[LockedPackage, ...]:
        """What `profile` installs on any of the platforms."""
        exported = self.exported[profile]
        packages = (p for t in self.platforms(minor) for p in packages_on(t, exported, self.lock))
        return tuple({f"{p.name} {p.version}": p for p in packages}.values())

    def platforms(self, minor: str) -> Iterator[TargetPlatform]:
        return (TargetPlatform(python=minor, platform=each) for each in self.settings.platforms)

    @cached_property
    def production(self) -> tuple[LockedPackage, ...]:
        return self.installed("prod", self.python[0])

    @cached_property
    def everything(self) -> tuple[LockedPackage, ...]:
        """What any of the profiles installs."""
        names = (profile.name for profile in self.profiles)
        packages = {p.name: p for name in names for p in self.installed(name, self.python[0])}
        return tuple(packages[name] for name in sorted(packages))

    def built(self, minor: str, packages: Iterable[LockedPackage]) -> tuple[str, ...]:
        """Those of `packages` that are compiled, or may be, on any of the platforms."""
        never = self.project.table("tool", "uv").get("no-binary-package", [])
        packages = [p for p in packages if p.directory is None]
        without = {
            package.name
            for target in self.platforms(minor)
            for package in packages_to_build(packages, target)
        }
        from_git = {package.name for package in packages if "git" in package.source}
        return tuple(sorted((without - from_git) | {p.name for p in packages if p.name in never}))

    @cached_property
    def system(self) -> DebianPackages:
        return debian.debian_packages(
            built=self.built(self.python[0], self.everything),
            installed=[package.name for package in self.production],
            backends=self.workspace.build_requirements(self.local_packages),
            fetchers=fetchers(self.everything),
            settings=self.settings,
        )

    @cached_property
    def is_distroless(self) -> bool:
        return self.settings.base == "distroless"

    @cached_property
    def stages(self) -> Stages:
        built = self.built(self.python[0], self.everything)
        if self.is_distroless:
            why = "a distroless image has nothing that could build"
        elif built and self.system.build:
            why = f"without a wheel: {', '.join(built)}"
        elif self.system.build:
            why = f"needed to build: {', '.join(self.system.build)}"
        elif self.settings.stages == "multi":
            why = "as asked for"
        elif built:
            pure = f"built without a compiler: {', '.join(built)}"
            return Stages(is_multi=False, evidence=pure)
        else:
            return Stages(is_multi=False, evidence="every locked package has a wheel")
        if self.settings.stages == "single":
            raise UsageError(
                "one stage would leave in the image what only the build needs", cause=why
            )
        return Stages(is_multi=True, evidence=why)

    @cached_property
    def local_packages(self) -> tuple[str, ...]:
        return self.workspace.local_packages(self.production)

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        indexes = self.project.table("tool", "uv").get("index", ())
        return secrets(indexes, self.settings.private_indexes, self.lock.packages)

    @cached_property
    def search(self) -> Search:
        directories = sorted(str(package.directory) for package in self.lock.local_packages)
        paths = {name: self.project.root / name for name in FILES}
        texts = {name: text_if_there(path) for name, path in paths.items() if not path.is_dir()}
        edges = self.package.table.get("dependencies", ()) if self.package else ()
        return Search(
            name=self.project.name,
            installed=frozenset(package.name for package in self.production),
            direct=frozenset(edge["name"] for edge in edges),
            sources=self.sources,
            scripts=self.project.table("project", "scripts") if self.is_installed else {},
            files={name: text for name, text in texts.items() if text},
            fastapi=self.project.table("tool", "fastapi"),
            settings=self.settings,
            members=() if self.package else tuple(directories),
            in_extras=dict(self._in_extras()),
        )

    @cached_property
    def start(self) -> Start:
        start = self.search.start()
        missing = [name for name in self.system.runtime if name not in _IN_DISTROLESS]
        if self.is_distroless and missing:
            raise UsageError(
                f"a distroless image cannot have {', '.join(missing)}",
                hint="`--base slim` can",
            )
        evidence = {start.evidence: start.command, **dict(self.search.processes())}
        for where, (program, *_) in evidence.items() if self.is_distroless else ():
            if program in {"sh", "env"}:
                raise UsageError(
                    f"{where} needs a shell, and a distroless image has none",
                    hint="set `command = […]` in [tool.uvflow.docker]",
                )
        return start

    @cached_property
    def sources(self) -> Sources:
        names = {
            Path(os.path.normpath(self.project.workspace / str(package.directory))): package.name
            for package in self.lock.local_packages
        }
        return Sources(
            self.project.root,
            packages={p: n.replace("-", "_") for p, n in names.items() if n in self.local_packages},
            others=names.keys() - {self.project.root},
        )

    def _in_extras(self) -> Iterator[tuple[str, str]]:
        """Distribution → the setting of the profile prod that would install it."""
        table = self.package.table if self.package else {}
        for key, kind in (("optional-dependencies", "extras"), ("dev-dependencies", "groups")):
            for group, edges in table.get(key, {}).items():
                yield from ((edge.get("name", ""), f'{kind} = ["{group}"]') for edge in edges)

    @cached_property
    def copies_source(self) -> bool:
        if self.settings.source is not None:
            return self.settings.source
        return self.start.module is not None or not self.is_installed

    @cached_property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """The container's variables besides those of every image."""
        variables = dict(self.start.environment)
        if self.copies_source and self.start.module and self.start.base != ".":
            variables["PYTHONPATH"] = posixpath.normpath(f"/app/{self.directory}/{self.start.base}")
        return tuple(sorted({**variables, **dict(self.settings.environment)}.items()))

    @cached_property
    def static(self) -> Static | None:
        names = {package.name for package in self.production}
        if not {"django", "whitenoise"} <= names:
            return None
        return self.search.django.static(self.settings.build_environment)

    def remarks(self) -> Iterator[str]:
        """What the user should know and what none of the files can say."""
        for name in self.workspace.version_variables(self.local_packages):
            yield f"a build does not see git's history: give the version by `--build-arg {name}=…`"
        if any(package.name == "django" for package in self.production):
            yield from self.search.django.remarks()
        without = sorted(p.name for p in self.everything if "git" in p.source)
        if without:
            yield f"built from git, without a compiler unless you name one: {', '.join(without)}"


def _declared_pythons(project: Project) -> Iterator[tuple[str, str]]:
    """What files of the project ask for, each with its place, the first to be followed first."""
    if of_profile := project.shared_profiles["prod"].python:
        yield of_profile, "python of [tool.uvflow.profiles.prod]"
    path = ".python-version"
    above = Path(os.path.relpath(project.workspace, project.root), path).as_posix()
    for place in dict.fromkeys((path, above)):
        text = text_if_there(project.root / place) or ""
        yield from ((request, place) for _, request in python_requests(text))


def python_in_use(project: Project) -> str | None:
    """X.Y of the environment .venv, where no file asks for a Python and that one is allowed."""
    settings = text_if_there(project.workspace / ".venv" / "pyvenv.cfg") or ""
    version = re.search(r"^version(?:_info)? = (\d+\.\d+)", settings, re.MULTILINE)
    wanted = str(project.table("project").get("requires-python", ""))
    if version is None or any(_declared_pythons(project)) or version[1] not in base_image.MINORS:
        return None
    fits = newest_release(specifier(wanted, "requires-python"), version[1])
    return version[1] if fits else None


Table = Mapping[str, Any]


def secrets(
    indexes: Iterable[Table], private: tuple[str, ...], packages: Iterable[LockedPackage]
) -> tuple[str, ...]:
    """The variables that hold the credentials of the indexes that `packages` are taken from.

    An index asks for them where `private` names it, where it has `authenticate = "always"`, or
    where its URL has a user (uv docs, "Authentication"). Raises UsageError for a name in `private`
    that no index has, and for a URL with a password in it.
    """
    indexes = tuple(indexes)
    names = {str(index.get("name")) for index in indexes}
    for name in private:
        if name not in names:
            raise UsageError(
                f"[tool.uvflow.docker] private-indexes names `{name}`, which no index is called",
                hint=f"[[tool.uv.index]] has: {', '.join(sorted(names)) or 'nothing'}",
            )
    used = {_address(str(package.source.get("registry", ""))) for package in packages}
    variables: list[str] = []
    for index in indexes:
        url = str(index.get("url", ""))
        if urlsplit(url).password:
            raise UsageError(
                f"the URL of the index `{index.get('name')}` has a password in it",
                hint="take it out: the build gets it as a secret",
            )
        is_asking = index.get("authenticate") == "always" or urlsplit(url).username
        if index.get("name") in private or (is_asking and _address(url) in used):
            variables += _credentials(index)
    return tuple(dict.fromkeys(variables))


def _credentials(index: Table) -> tuple[str, str]:
    """uv docs, "Providing credentials directly": the name in capitals, the rest underscores."""
    if "name" not in index:
        raise UsageError(
            "an index that asks for credentials has no name, and so no variables to give them by",
            hint='set `name = "…"` in its [[tool.uv.index]]',
        )
    name = re.sub(r"[^A-Z0-9]", "_", str(index["name"]).upper())
    return f"UV_INDEX_{name}_USERNAME", f"UV_INDEX_{name}_PASSWORD"


def uses_ssh(packages: Iterable[LockedPackage]) -> bool:
    return any(str(p.source.get("git", "")).startswith("ssh://") for p in packages)


def fetchers(packages: Iterable[LockedPackage]) -> tuple[str, ...]:
    """The Debian packages that fetch sources from git."""
    packages = tuple(packages)
    if not any("git" in package.source for package in packages):
        return ()
    return ("git", "openssh-client") if uses_ssh(packages) else ("git",)


def _address(url: str) -> str:
    """`url` without its user and without a slash at its end."""
    return re.sub(r"(?<=://)[^/@]*@", "", url).rstrip("/")
