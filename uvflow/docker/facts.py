"""What a Dockerfile depends on, read from the project's settings, uv.lock and sources."""

import os
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from uvflow.docker import base_image, debian, settings
from uvflow.docker.base_image import newest_release, specifier
from uvflow.docker.context import BuildContext
from uvflow.docker.settings import Settings
from uvflow.docker.source import Sources, import_names
from uvflow.docker.start import Search, Start
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.files import text_if_there
from uvflow.lockfile.packages import LockedPackage, read_lockfile
from uvflow.lockfile.selection import (
    TargetPlatform,
    export_selection,
    packages_on,
    packages_to_build,
)
from uvflow.paths import MANIFEST
from uvflow.project.manifest import Project, Table, default_groups
from uvflow.project.profiles import ALL, Profile
from uvflow.project.python import MOST_REQUESTS, python_requests
from uvflow.uv import Uv

_USER = 10001
_NONROOT = 65532  # distroless images' own `nonroot`
_IN_DISTROLESS = {"ca-certificates", "libgomp1", "tzdata"}  # its image `cc`
_SSH = "openssh-client"

_TO_NAME = "list such files in [tool.setuptools.package-data]"

NO_DEFAULT_GROUPS = "UV_NO_DEFAULT_GROUPS"

# The stages of a Dockerfile that are not targets; profiles besides prod have some of their own.
_OF_EACH = {"dependencies", "project"}
_STAGES = {"base", "builder", "uv", "python", "static", *_OF_EACH}

# The first uv that knows a dev switch variable; one before ignores it silently.
_OLDEST_UV = {"UV_NO_DEV": (0, 9, 0), NO_DEFAULT_GROUPS: (0, 9, 10)}


def read_facts(project: Project, options: Mapping[str, str], here: Uv) -> "Facts":
    """The facts of `project`; `options` are those of the command line, without dashes.

    Raises StaleLockfileError without a uv.lock, UsageError where facts conflict with each other,
    nothing says what is to be started, or uv refuses what a profile selects.
    """
    table = project.table("tool", "uvflow", "docker")
    declared = settings.read(table, str(project.root / MANIFEST))
    checked = {k: settings.checked(k, v, f"--{k}") for k, v in options.items() if k != "python"}
    if not project.lockfile.exists():
        raise StaleLockfileError(
            f"no {project.lockfile.name} in {project.workspace}", hint="`uv lock` makes one"
        )
    return Facts(project, replace(declared, **checked), options.get("python"), here)


class Facts:
    """Everything a Dockerfile depends on; paths are relative to the build context, POSIX.

    `directory` is where the project is, `package` is the project in the lockfile, None for a
    workspace's root that is not one. `python` is X.Y, `python_release` is X.Y.Z where
    requires-python does not allow the newest. `dev_switch_variable` makes uv skip development
    dependencies, `no_install_option` skips `local_packages`, which are built and installed.
    `mounts` are the files that a check of the lockfile reads, unless `lock_check_needs_sources`.
    `names` are the distributions of production, `built` those of any profile that have no wheel,
    `secrets` the variables of credentials, `version_variables` those that give a version in place
    of git, `shadowed` is the compose file that a new compose.yaml would replace. Nothing of the
    project is imported or executed.
    """

    def __init__(
        self, project: Project, settings: Settings, wanted_python: str | None, here: Uv
    ) -> None:
        self.project, self.settings, self.base = project, settings, settings.base
        self.lock = read_lockfile(project.lockfile)
        workspace = BuildContext(project.workspace, self.lock)
        self.directory = Path(os.path.relpath(project.root, project.workspace)).as_posix()
        self.package = self.lock.package_at(self.directory)
        name = self.package.name if self.package else None
        # What a repository may be called (OCI distribution specification).
        self.name = re.sub(r"[^a-z0-9]+", "-", project.name.lower()).strip("-") or "app"
        self.uv_settings = workspace.uv_settings
        profiles = tuple(project.shared_profiles.by_name.values())
        self.selections = selections(profiles, name if self.directory != "." else None)
        defaults = default_groups(project.table("tool", "uv"), project.table("dependency-groups"))
        self.dev_switch_variable = dev_switch_variable(profiles, defaults)
        self.exported = {p.name: export_selection(project, p, here) for p in profiles}
        self.python, self.python_evidence = base_image.choose_python(
            [(wanted_python, "--python")] if wanted_python else _declared_pythons(project),
            self.lock.requires_python,
            lambda minor: len(self.built_for(minor, self.installed(minor, "prod"))),
        )
        self.requires_python = specifier(self.lock.requires_python, "requires-python")
        self.python_release = newest_release(self.requires_python, self.python) or self.python
        self.images = base_image.base_images(settings, self.python)
        production = self.installed(self.python, "prod")
        self.versions = {package.name: package.version for package in production}
        self.names = frozenset(self.versions)
        self.everything = self.installed(self.python, *self.exported)
        self.built = self.built_for(self.python, self.everything)
        self.local_packages = workspace.local_packages(production)
        self.is_installed = name in self.local_packages
        self.version_variables = workspace.version_variables(self.local_packages)
        self.mounts = workspace.mounts
        self.lock_check_needs_sources = workspace.lock_check_needs_sources
        others = {*self.local_packages} - {name}
        self.no_install_option = "--no-install-local" if others else "--no-install-project"
        self.secrets = secrets(workspace.indexes, self.lock.packages)
        fetching = fetchers(self.everything)
        self.uses_ssh = _SSH in fetching
        # By its present name, and by the one before.
        self.reads_certificates = any(map(self.uv_settings.get, ("system-certs", "native-tls")))
        self.system = debian.debian_packages(
            built=self.built,
            installed=self.names,
            backends=workspace.build_requirements(self.local_packages),
            fetchers=fetching,
            settings=settings,
        )
        self.labels = tuple(labels(project.name, project.table("project")))
        self.user = settings.user or (_NONROOT if settings.base == "distroless" else _USER)
        self._check()
        search = self._search()
        self.processes, self.shadowed = search.processes(), search.shadowed
        self.start = self._startable(search.start())
        is_collected = self.names >= {"django", "whitenoise"}
        self.static = search.django.static(settings.build_environment) if is_collected else None
        if self.static and search.django.is_installed:  # its files are beside the sources
            self.start = replace(self.start, loads_source=True)
        is_needed = self.start.loads_source or not self.is_installed
        self.copies_source = is_needed if settings.source is None else settings.source
        left_out = () if self.copies_source else workspace.left_out(self.local_packages)
        files = (f"setuptools leaves {path} out of the image: {_TO_NAME}" for path in left_out)
        self.remarks = (*self._remarks(search), *islice(files, 1))

    def _check(self) -> None:
        uv, base = self.settings.uv, self.base
        if uv and tuple(map(int, uv.split("."))) < _OLDEST_UV[self.dev_switch_variable]:
            raise UsageError(
                f"uv {uv} is too old to build the image: it does not know "
                f"{self.dev_switch_variable}",
                hint="name a later one with `--uv X.Y.Z`",
            )
        if self.settings.python_image and base != "slim":
            raise UsageError(
                f"[tool.uvflow.docker] python-image is for base slim, not {base}",
                cause="with that base uv installs Python",
            )
        release = self.python_release
        if base == "slim" and release != self.python and not self.settings.python_image:
            raise UsageError(
                f"requires-python `{self.requires_python}` allows Python {release} at most, and "
                f"the official image has the newest {self.python}",
                hint=f"`--base managed` installs {release}; `python-image` in [tool.uvflow.docker] "
                "names an image that has it",
            )

    def installed(self, minor: str, *profiles: str) -> tuple[LockedPackage, ...]:
        """What any of `profiles` installs on any of the platforms."""
        exported = tuple(line for name in profiles for line in self.exported[name])
        packages = (p for t in self.platforms(minor) for p in packages_on(t, exported, self.lock))
        return tuple({f"{p.name} {p.version}": p for p in packages}.values())

    def platforms(self, minor: str) -> list[TargetPlatform]:
        return [TargetPlatform(python=minor, platform=each) for each in self.settings.platforms]

    def built_for(self, minor: str, packages: Iterable[LockedPackage]) -> tuple[str, ...]:
        """Those of `packages` that are compiled, or may be, on any of the platforms."""
        indexed = [p for p in packages if p.directory is None and "git" not in p.source]
        found = {p.name for t in self.platforms(minor) for p in packages_to_build(indexed, t)}
        never = set(self.uv_settings.get("no-binary-package", ()))
        return tuple(sorted(found | {p.name for p in packages if p.directory is None} & never))

    @cached_property
    def has_builder(self) -> bool:
        """Whether a stage of its own builds the environment."""
        return self.base == "distroless" or bool(self.system.build)

    @cached_property
    def stages_evidence(self) -> str:
        if self.base == "distroless":
            return "a distroless image has nothing that could build"
        tools = self.system.build
        if self.built:
            how = "without a wheel" if tools else "built without a compiler"
            return f"{how}: {', '.join(self.built)}"
        return (
            f"needed to build: {', '.join(tools)}" if tools else "every locked package has a wheel"
        )

    @property
    def built_blindly(self) -> tuple[str, ...]:
        """Those that are built with a compiler alone, since nothing tells what they need."""
        is_said = self.settings.build_packages is not None
        return () if is_said else tuple(n for n in self.built if not debian.is_known(n))

    def _search(self) -> Search:
        directories = {str(p.directory): p.name for p in self.lock.local_packages}
        packages = dict[Path, dict[str, str]]()
        for directory, name in directories.items():
            path = Path(os.path.normpath(self.project.workspace / directory))
            is_installed = name in self.local_packages
            packages[path] = import_names(name, path) if is_installed else {}
        edges = self.package.table.get("dependencies", ()) if self.package else ()
        return Search(
            project=self.project,
            settings=self.settings,
            sources=Sources(self.project.root, packages),
            versions=self.versions,
            direct=frozenset(edge["name"] for edge in edges),
            scripts=self.project.table("project", "scripts") if self.is_installed else {},
            members=tuple(sorted({*directories} - {"."})) if self.directory == "." else (),
        )

    def _startable(self, start: Start) -> Start:
        """Raises UsageError where the base image lacks what it needs."""
        if self.base != "distroless":
            return start
        if missing := ", ".join(sorted({*self.system.runtime} - _IN_DISTROLESS)):
            raise UsageError(f"a distroless image cannot have {missing}", hint="`--base slim` can")
        commands = {start.evidence: start.command, **dict(self.processes)}
        for where, (program, *_) in commands.items():
            if program in {"bash", "env", "sh"}:
                raise UsageError(
                    f"{where} needs a shell, and a distroless image has none",
                    hint="set `command = […]` in [tool.uvflow.docker]",
                )
        return start

    @cached_property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """The container's variables besides those of every image."""
        variables = dict(self.start.environment)
        if self.copies_source and self.start.loads_source and self.start.base != ".":
            variables["PYTHONPATH"] = posixpath.normpath(f"/app/{self.directory}/{self.start.base}")
        return tuple(sorted({**variables, **dict(self.settings.environment)}.items()))

    def _remarks(self, search: Search) -> Iterator[str]:
        """What the user should know and what none of the files can say."""
        for name in self.version_variables:
            yield (
                "a build does not see git's history: `uvflow docker build` gives it the version, "
                f"another needs `--build-arg {name}=…`"
            )
        yield from (*self.start.remarks, *search.remarks())
        if "django" in self.names:
            yield from search.django.remarks()
        made_up = dict(self.static.environment).keys() if self.static else set()
        if self.static and (names := sorted(search.django.demanded() - made_up)):
            give = "give each a value by `build-environment` in [tool.uvflow.docker]"
            yield f"collectstatic needs {' and '.join(names)}, for want of a default: {give}"
        if without := sorted(p.name for p in self.everything if "git" in p.source):
            yield f"built from git, without a compiler unless you name one: {', '.join(without)}"


def dev_switch_variable(profiles: Iterable[Profile], defaults: tuple[str, ...]) -> str:
    """UV_NO_DEV, which skips the group `dev` alone, and skips it in every profile, or another."""
    selects_dev = any(p.groups == ALL or "dev" in (p.groups or ()) for p in profiles)
    return "UV_NO_DEV" if defaults == ("dev",) and not selects_dev else NO_DEFAULT_GROUPS


def selections(profiles: Collection[Profile], package: str | None) -> tuple[Profile, ...]:
    """One for each profile, prod last; `package` is the workspace member that uv is to install.

    Raises UsageError for a profile with the name of a stage.
    """
    own = {f"{p.name}-{stage}" for p in profiles if not p.editable for stage in _OF_EACH}
    for profile in profiles:
        if profile.name in _STAGES | own:
            raise UsageError(
                f"the profile `{profile.name}` cannot be a target of the Dockerfile",
                cause="a stage has that name",
                hint="give the profile another name",
            )
    targets = sorted(profiles, key=lambda profile: profile.name == "prod")
    return tuple(profile._replace(package=profile.package or package) for profile in targets)


def _declared_pythons(project: Project) -> Iterator[tuple[str, str]]:
    """What files of the project ask for, each with its place, the first to be followed first."""
    if of_profile := project.shared_profiles.by_name["prod"].python:
        yield of_profile, "python of [tool.uvflow.profiles.prod]"
    path = ".python-version"
    above = Path(os.path.relpath(project.workspace, project.root), path).as_posix()
    for place in dict.fromkeys((path, above)):
        text = text_if_there(project.root / place, MOST_REQUESTS) or ""
        yield from ((request, place) for _, request in python_requests(text))


def python_in_use(project: Project) -> str | None:
    """X.Y of .venv, unless a file asks for a Python or requires-python does not allow that one."""
    settings = text_if_there(project.workspace / ".venv" / "pyvenv.cfg") or ""
    version = re.search(r"^version(?:_info)? = (\d+\.\d+)", settings, re.MULTILINE)
    wanted = str(project.table("project").get("requires-python", ""))
    if version is None or any(_declared_pythons(project)) or version[1] not in base_image.MINORS:
        return None
    fits = newest_release(specifier(wanted, "requires-python"), version[1])
    return version[1] if fits else None


# The labels of the well-known URLs (Python Packaging User Guide) that lead to the sources.
_SOURCE = {"github", "repository", "source", "sourcecode"}


def labels(name: str, metadata: Table) -> Iterator[tuple[str, str]]:
    """The annotations of OCI's image specification that do not change with every release."""
    urls = metadata.get("urls", {}).items()
    sources = (url for label, url in urls if re.sub(r"[\W_]", "", label).lower() in _SOURCE)
    for key, value in (("title", name), ("source", next(sources, ""))):
        if value and value.isprintable():
            yield f"org.opencontainers.image.{key}", value


def secrets(indexes: Iterable[Table], packages: Iterable[LockedPackage]) -> tuple[str, ...]:
    """The variables that hold the credentials of the indexes that `packages` are taken from.

    An index asks for them where it has `authenticate = "always"`, or where its URL has a user (uv
    docs, "Authentication"). Raises UsageError for a URL with a password in it, and for an index
    without a name, to which uv gives none.
    """
    used = {_address(str(package.source.get("registry", ""))) for package in packages}
    variables: list[str] = []
    for index in indexes:
        url = str(index.get("url", ""))
        login = re.match(r"[^/]*//(?P<user>[^/:@]*)(?P<password>:[^/]+)?@", url)
        if login and login["password"]:
            raise UsageError(
                f"the URL of the index `{index.get('name')}` has a password in it",
                hint="take it out: the build gets it as a secret",
            )
        has_user = login is not None and login["user"] != ""
        is_asking = index.get("authenticate") == "always" or has_user
        if is_asking and _address(url) in used:
            if "name" not in index:
                raise UsageError(
                    f"the index {_address(url)} needs a login, and has no name",
                    hint="give it one: uv finds the login of an index by its name",
                )
            name = re.sub(r"[^A-Z0-9]", "_", str(index["name"]).upper())
            variables += (f"UV_INDEX_{name}_USERNAME", f"UV_INDEX_{name}_PASSWORD")
    return tuple(dict.fromkeys(variables))


def _address(url: str) -> str:
    """`url` without its user and without a slash at its end."""
    return re.sub(r"(?<=://)[^/@]*@", "", url).rstrip("/")


def fetchers(packages: Iterable[LockedPackage]) -> tuple[str, ...]:
    urls = [str(package.source["git"]) for package in packages if "git" in package.source]
    ssh = (_SSH,) if any(url.startswith("ssh://") for url in urls) else ()
    return ("git", *ssh) if urls else ()
