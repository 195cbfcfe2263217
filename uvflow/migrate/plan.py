"""What `uvflow init` will do and what it did, as values, and the options it was given. Pure."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from uvflow.errors import UsageError
from uvflow.findings import Finding, Severity
from uvflow.migrate.formats.pip import direct_reference
from uvflow.migrate.model import (
    Bucket,
    ImportedRequirements,
    ImportOptions,
    Pin,
    source_entries,
    with_buckets,
)
from uvflow.migrate.pins import Comparison
from uvflow.paths import MANIFEST
from uvflow.project import schema
from uvflow.project.profiles import Profile
from uvflow.state.backup import DirectoryBackup
from uvflow.state.locks import DEFAULT_TIMEOUT


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """What the command line asks for; `python` is a version or a specifier (PEP 440)."""

    name: str | None = None
    python: str | None = None
    lock: bool = True
    sync: bool = True
    build: bool = True  # to learn the name of a requirement
    dry_run: bool = False
    direct_only: bool = False  # leave to the lockfile what other requirements need anyway
    fresh: bool = False  # do not keep the versions that are installed
    here: bool = False  # also in a directory of another project
    timeout: float = DEFAULT_TIMEOUT  # seconds to wait for another uvflow process
    imports: ImportOptions = field(default_factory=ImportOptions)


def init_options(root: Path, given: Mapping[str, Any]) -> InitOptions:
    """The options of the command line, `given` by their names there.

    Files are named there relative to the current directory. Raises UsageError.
    """
    given = dict(given)
    known = [option.name for option in fields(ImportOptions) if option.name in given]
    imports = {name: given.pop(name) for name in known}
    groups = [text.partition("=")[::2] for text in imports["groups"]]
    for text, (name, path) in zip(imports["groups"], groups, strict=True):
        if not (name and path):
            raise UsageError(f"`--group {text}` is not NAME=FILE")
    imports |= {
        key: tuple(_relative_to(root, path) for path in imports[key])
        for key in ("from_files", "ignored", "constraints")
    }
    imports["groups"] = tuple((name, _relative_to(root, path)) for name, path in groups)
    given |= {name: not given.pop(f"no_{name}") for name in ("lock", "sync", "build")}
    return InitOptions(imports=ImportOptions(environ=os.environ, **imports), **given)


def _relative_to(root: Path, path: str) -> str:
    if direct_reference.is_url(path):
        return path
    return Path(os.path.relpath(path, root)).as_posix()


def relative_name(path: Path, root: Path) -> str:
    """`path` relative to `root` (POSIX), or as it is where it lies outside."""
    plain = Path(os.path.normpath(path))
    return plain.relative_to(root).as_posix() if plain.is_relative_to(root) else str(plain)


class Change(NamedTuple):
    """A path relative to the root (POSIX), or absolute outside it, and what happens to it.

    What is replaced is an environment; `kept_as` is where the old one is then, and `kept_size` how
    large that is, in bytes.
    """

    path: str
    action: Literal["create", "edit", "replace"]
    kept_as: str | None = None
    kept_size: int | None = None


_parse = functools.lru_cache(maxsize=2)(schema.parse)  # many plans have one text


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that will be done.

    `before` is the text of pyproject.toml, None where there is none, and `text` what it becomes.
    `seed` is a first uv.lock made of the old pins, empty for none. `profile` is what gets synced.
    `may_narrow`: it is not declared which Pythons the project supports. `installed` are the pins
    that no file has, but the environment that is there. `tree` is that environment, which is
    changed `in_place` where it cannot be set aside.
    """

    root: Path
    before: str | None
    text: str
    imported: ImportedRequirements = field(default_factory=ImportedRequirements)
    changes: tuple[Change, ...] = ()
    seed: str = ""
    profile: Profile = field(default_factory=lambda: Profile(name="dev"))
    environment: Path | None = None
    tree: DirectoryBackup | None = None
    in_place: bool = False
    installed: tuple[Pin, ...] = ()
    may_narrow: bool = False
    is_already_locked: bool = False  # a project with its lockfile: nothing to do

    @property
    def values(self) -> Mapping[str, Any]:
        """`text`, parsed."""
        return _parse(self.text, MANIFEST)

    @property
    def aside(self) -> Path | None:
        """Where the environment is that was there, once the new one is being made."""
        return self.tree.aside if self.tree and not self.in_place else None

    @property
    def source_directories(self) -> tuple[Path, ...]:
        """Where a build may leave files behind: in the project and in local sources."""
        entries = (e for source in self.imported.sources.values() for e in source_entries(source))
        local = (self.root / str(entry["path"]) for entry in entries if "path" in entry)
        roots = (self.root, *(path for path in local if path.is_dir()))
        return (*roots, *(root / "src" for root in roots))

    def with_findings(self, *findings: Finding) -> "Plan":
        """Lines that need action by one of `findings` are counted as such."""
        acted = [f.origin for f in findings if f.origin and f.severity is Severity.ACTION]
        imported = replace(
            self.imported,
            findings=(*self.imported.findings, *findings),
            files=with_buckets(self.imported.files, dict.fromkeys(acted, Bucket.ACTION)),
        )
        return replace(self, imported=imported)


class InitResult(NamedTuple):
    """A plan that was carried out, and what the finished lockfile made of old pins and hashes.

    `hashes` are those packages whose hashes were verified. After a dry run, or where there was
    nothing to do, a plan only.
    """

    plan: Plan
    is_dry_run: bool = False
    pins: Comparison = Comparison()
    hashes: int = 0
