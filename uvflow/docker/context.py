"""The build context: the local packages in it, and the .dockerignore that bounds it.

Patterns are those of the Docker documentation ("Dockerignore files"): Go's filepath.Match, `**` for
any number of directories, `!` for an exception, and the last match decides.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath
from tokenize import detect_encoding

from packaging.utils import canonicalize_name

from uvflow.docker.instructions import can_be_mounted
from uvflow.errors import UsageError
from uvflow.files import read_regular, text_if_there
from uvflow.lockfile.packages import LockedPackage, Lockfile
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project import schema
from uvflow.project.manifest import Table, manifest_in, parse_manifest, table_at

# A build requirement that takes the version from git's history, which the context does not have →
# the variable that gives it the version instead.
_FROM_GIT = {
    "hatch-vcs": "SETUPTOOLS_SCM_PRETEND_VERSION",
    "setuptools-scm": "SETUPTOOLS_SCM_PRETEND_VERSION",
    "uv-dynamic-versioning": "UV_DYNAMIC_VERSIONING_BYPASS",
}


_NAMING = ("MANIFEST.in", "setup.cfg", "setup.py")
_READ_AT_RUN_TIME, _TESTS = {"static", "templates"}, {"test", "tests"}

_UV_TOML = {"index": [{"name": str, "url": str}], "no-binary-package": [str]}


class BuildContext:
    """The directory of uv.lock, which is the build context, and the local packages in it.

    `mounts` are what `uv sync --locked` reads, as far as BuildKit can mount it, the lockfile first.
    Raises UsageError where something local is outside of the build context.
    """

    def __init__(self, root: Path, lock: Lockfile) -> None:
        self.root, self.lock = root, lock
        # local wheels and sdists, and directories that are indexes
        sources = (package.source for package in lock.packages)
        paths = (source.get("path") or source.get("registry", "://") for source in sources)
        archives = sorted(path for path in paths if "://" not in path)
        for path in (*(str(package.directory) for package in lock.local_packages), *archives):
            if Path(path).is_absolute() or path.split("/")[0] == "..":
                raise UsageError(
                    f"{path} is outside of {root}, the build context",
                    cause=f"it is a source in {LOCKFILE}",
                    hint="move it into the build context, or publish it to an index",
                )
        files = (MANIFEST, "uv.toml", *sorted(map(_manifest_of, lock.local_packages)), *archives)
        existing = [path for path in dict.fromkeys(files) if (root / path).exists()]
        self.mounts = (LOCKFILE, *filter(can_be_mounted, existing))

    @cached_property
    def uv_settings(self) -> Table:
        """What uv.toml has, where it exists, else `[tool.uv]` (uv docs, "Configuration files")."""
        path = self.root / "uv.toml"
        if not path.exists():
            return table_at(manifest_in(self.root), "tool", "uv")
        settings = parse_manifest(path)
        schema.validate(settings, _UV_TOML, str(path))
        return settings

    @property
    def indexes(self) -> tuple[Table, ...]:
        """The indexes of the settings, and those that members have for their own sources."""
        manifests = map(self._manifest, self.lock.local_packages)
        tables = [self.uv_settings, *(table_at(each, "tool", "uv") for each in manifests)]
        return tuple(index for table in tables for index in table.get("index", ()))

    @property
    def lock_check_needs_sources(self) -> bool:
        """Whether dependencies are dynamic, or a manifest is missing or cannot be mounted."""
        for package in self.lock.local_packages:
            project = self._manifest(package).get("project", {"dynamic": ["dependencies"]})
            dynamic = {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ()))
            if dynamic or not can_be_mounted(_manifest_of(package)):
                return True
        return False

    def local_packages(self, packages: Iterable[LockedPackage]) -> tuple[str, ...]:
        """Those of `packages` that are built from the build context and installed."""
        local = (package for package in packages if package.directory is not None)
        return tuple(package.name for package in local if "virtual" not in package.source)

    def build_requirements(self, names: Iterable[str]) -> tuple[str, ...]:
        """What the build backends of `names` require (PEP 518), normalised names."""
        packages = (p for name in names for p in self.lock.by_name[name] if p.directory is not None)
        tables = (self._manifest(package).get("build-system", {}) for package in packages)
        requirements = (text for table in tables for text in table.get("requires", ()))
        required = (re.split(r"[^\w.-]", text.strip(), maxsplit=1)[0] for text in requirements)
        return tuple(sorted({canonicalize_name(name) for name in required if name}))

    def version_variables(self, names: Iterable[str]) -> tuple[str, ...]:
        """The variables that give a version in place of git's history."""
        required = _FROM_GIT.keys() & self.build_requirements(names)
        return tuple(sorted({_FROM_GIT[name] for name in required}))

    def left_out(self, names: Iterable[str]) -> Iterator[str]:
        """The templates and static files that setuptools leaves out of the wheels of `names`.

        It takes what MANIFEST.in or `package-data` names, or a plugin that asks git (setuptools
        docs, "Data Files Support"). A setup.py or setup.cfg may name more.
        """
        packages = (p for name in names for p in self.lock.by_name[name] if p.directory is not None)
        for package in packages:
            directory, manifest = str(package.directory), self._manifest(package)
            build = manifest.get("build-system", {})
            is_setuptools = build.get("build-backend", "setuptools").startswith("setuptools")
            is_named = "package-data" in table_at(manifest, "tool", "setuptools")
            asks_git = re.search(r"setuptools[-_.](scm|git)", str(build.get("requires")))
            is_unknown = any((self.root / directory / name).exists() for name in _NAMING)
            if is_setuptools and not (is_named or asks_git or is_unknown):
                files = {*files_in(self.root / directory)}
                for path in sorted(files):
                    inner = path.parents[:-1]
                    is_in_package = any(above / "__init__.py" in files for above in inner)
                    is_in_package &= not any(above / MANIFEST in files for above in inner)
                    is_data = _READ_AT_RUN_TIME & {*path.parts} and not _TESTS & {*path.parts}
                    if is_in_package and is_data and path.suffix != ".py":
                        yield posixpath.normpath(f"{directory}/{path}")

    def _manifest(self, package: LockedPackage) -> Table:
        return manifest_in(self.root / str(package.directory))


def _manifest_of(package: LockedPackage) -> str:
    return posixpath.normpath(f"{package.directory}/{MANIFEST}")


_PATTERNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("history, and what tools keep", (
        ".git", ".uvflow", "**/.mypy_cache", "**/.pytest_cache", "**/.ruff_cache", "**/.cache",
        "**/.tox", "**/.nox", "**/.hypothesis", "**/.coverage", "**/htmlcov", "**/node_modules",
        "**/.ipynb_checkpoints",
    )),
    ("what is built", ("**/*.egg-info", "dist")),
    ("what describes the image", (
        "**/Dockerfile*", "**/.dockerignore", "**/compose*.yaml", "**/compose*.yml",
        "**/docker-compose*", "docker-bake.*",
    )),
    ("of editors and systems", ("**/.idea", "**/.vscode", "**/.DS_Store")),
    ("made for this machine, of no use in another", (
        ".venv*", "venv", "**/__pycache__", "**/*.py[cod]", "uvflow.local.toml",
    )),
    ("secrets", (
        "**/.env", "**/.env.*", "!**/.env.example", "**/.envrc", "**/.netrc", "**/.pypirc",
        "**/.git-credentials", "**/.my.cnf", "**/.npmrc", "**/.ssh", "**/.gnupg", "**/.aws",
        "**/.azure", "**/.kube", "**/gcloud", "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx",
        "**/id_rsa*", "**/id_ed25519*", "**/*service-account*.json", "**/*service_account*.json",
        "**/client_secret*.json", "**/credentials*.json", "**/*.tfstate*", "**/*.tfvars",
        "**/.terraform", "**/.streamlit/secrets.toml",
    )),
    ("databases of a developer", ("*.db", "**/*.sqlite", "**/*.sqlite3*", "instance/*.db")),
)  # fmt: skip

# What must not get into an image, each with a path that a pattern has to match.
_MUST_NOT_GET_IN = {
    ".venv": ".venv/bin/python",
    ".git": ".git/config",
    "**/.env": ".env",
    "**/__pycache__": "package/__pycache__/module.pyc",
}
_SECRETS = (".envrc", ".my.cnf", ".netrc", ".pypirc", ".git-credentials", ".ssh", ".aws")

_LONGEST_SOURCE = 1_000_000  # bytes
_NOT_ENTERED = {".git", "node_modules", "__pycache__"}


def dockerignore(root: Path, mounts: Iterable[str] = ()) -> str:
    """The text of a .dockerignore: what git ignores, except `mounts`, and what no image needs."""
    of_git = _of_git(text_if_there(root / ".gitignore") or "")
    needed = [f"!{path}" for path in mounts if is_ignored(path, "\n".join(of_git))]
    environments = [path for path in _environments(root) if not path.startswith(".venv")]
    first, last = ("what git ignores", of_git + needed), ("virtual environments", environments)
    every = (first, *_PATTERNS, last)
    sections = ("\n".join((f"# {why}", *patterns)) for why, patterns in every if patterns)
    return "\n\n".join(("# Made by `uvflow docker`; yours to edit.", *sections)) + "\n"


def _of_git(text: str) -> list[str]:
    """The patterns of a .gitignore, which apply at any depth where no slash is inside of them."""
    patterns = []
    for line in _lines(text):
        negation, pattern = ("!", line[1:]) if line.startswith("!") else ("", line)
        depth = "" if "/" in pattern.rstrip("/") else "**/"
        if path := pattern.strip("/"):
            patterns.append(f"{negation}{depth}{path}")
    return patterns


def _lines(text: str) -> Iterator[str]:
    """The patterns of a .gitignore or a .dockerignore."""
    lines = map(str.strip, text.removeprefix(schema.BYTE_ORDER_MARK).splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def files_in(root: Path) -> Iterator[PurePosixPath]:
    """The files below `root`, relative to it; of a virtual environment only its pyvenv.cfg."""
    for folder, folders, names in os.walk(root):
        path = PurePosixPath(Path(folder).relative_to(root).as_posix())
        is_environment = bool(path.parts) and "pyvenv.cfg" in names
        folders[:] = [] if is_environment else sorted({*folders} - _NOT_ENTERED)
        yield from (path / name for name in (("pyvenv.cfg",) if is_environment else names))


def source_text(path: Path) -> str:
    """As Python reads it: with a BOM, or in the encoding that its first lines name (PEP 263).

    Empty where it cannot be read, is not text, or is long enough to be generated.
    """
    try:
        data = read_regular(path, _LONGEST_SOURCE)
        return data.decode(detect_encoding(BytesIO(data).readline)[0])
    except (OSError, SyntaxError, LookupError, UnicodeError):
        return ""


def _environments(root: Path) -> Iterator[str]:
    return (str(path.parent) for path in files_in(root) if path.name == "pyvenv.cfg")


def missing_patterns(text: str, root: Path) -> tuple[str, ...]:
    """The patterns that `text`, a .dockerignore of `root`, needs but does not have."""
    there = (*(name for name in _SECRETS if (root / name).exists()), *_environments(root))
    needs = {**_MUST_NOT_GET_IN, **{path: f"{path}/file" for path in there}}
    return tuple(need for need, path in needs.items() if not is_ignored(path, text))


def is_ignored(path: str, text: str) -> bool:
    ignored = False
    for line in _lines(text):
        if _matches(line.removeprefix("!").strip(), path):
            ignored = not line.startswith("!")
    return ignored


def _matches(pattern: str, path: str) -> bool:
    """A pattern that matches a directory matches what is in it."""
    pattern = re.sub(r"(?<=\*)\*+(?=[^*/])", "*/", pattern)  # `**a` is `**/a`
    names, ends = path.split("/"), {0}  # how many names the pieces so far may match
    for piece in pattern.strip("/").removeprefix("./").split("/"):
        if piece == "**":
            ends = {end for start in ends for end in range(start, len(names) + 1)}
        else:
            glob = re.sub(r"\\(.)", r"[\1]", piece).replace("[^", "[!")  # as fnmatch has it
            ends = {
                n for n, name in enumerate(names, 1) if n - 1 in ends and fnmatchcase(name, glob)
            }
    return any(ends)
