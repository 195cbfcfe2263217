"""What uv is asked in a scratch project, so that nothing happens in the user's tree."""

import contextlib
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import Requirement as Parsed

from uvflow.errors import NetworkError, UvFailedError
from uvflow.migrate import pyproject
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.uv import ERROR, Uv, is_network_failure


@dataclass(frozen=True, kw_only=True)
class TemporaryProject:
    """Asks `uv` on behalf of the directory `root`, with the variables `environ`."""

    uv: Uv
    root: Path
    environ: Mapping[str, str] = field(repr=False)

    def base(self, name: str, python: str | None) -> str:
        """The pyproject.toml that `uv init` writes for `root`; raises UvFailedError.

        uv runs in `root`, so that its `.python-version` and `uv.toml` count, and writes elsewhere.
        """
        with _directory() as scratch:
            target = scratch / "project"
            asked = (
                *("init", "--bare", "--no-workspace", "--no-pin-python", "--vcs=none"),
                *(f"--name={name}", *((f"--python={python}",) if python else ())),
                *("--no-python-downloads", str(target)),
            )
            _succeeded(
                self.uv.capture(asked, cwd=self.root, environ=self.environ), "`uv init` failed"
            )
            return (target / MANIFEST).read_text(encoding="utf-8")

    def named(
        self, imported: ImportedRequirements, progress: Callable[[str], None]
    ) -> ImportedRequirements:
        """`imported` with a name for every requirement; uv may download and build to learn it.

        Raises UvFailedError where that fails, with the line that has no name, and NetworkError.
        """
        names: dict[str, str] = {}
        for requirement in imported.requirements:
            if requirement.name is None and requirement.text not in names:
                progress(f"Asking uv what {requirement.text} is called ({requirement.origin})")
                names[requirement.text] = self._name_of(requirement, imported)
        return imported.with_each(lambda r: r.named(names[r.text]) if r.name is None else r)

    def lockfile(self, imported: ImportedRequirements, base: str) -> str:
        """The text of a uv.lock of `imported`, but for what is taken from a path.

        Raises UvFailedError where there is no solution.
        """
        elsewhere = pyproject.edit(base, _without_paths(imported)).text
        with _project(elsewhere) as scratch:
            answer = self.uv.capture(("lock",), cwd=scratch, environ=self.environ)
            _succeeded(answer, "`uv lock` failed")
            return (scratch / LOCKFILE).read_text(encoding="utf-8")

    def _name_of(self, requirement: Requirement, imported: ImportedRequirements) -> str:
        # The same indexes: a build needs its own requirements from somewhere.
        manifest = pyproject.edit(_NOTHING, ImportedRequirements(indexes=imported.indexes)).text
        with _project(manifest) as scratch:
            place = _place(requirement, self.root, scratch)
            asked = ("add", "--frozen", "--no-workspace", place)
            _succeeded(
                self.uv.capture(asked, cwd=scratch, environ=self.environ),
                f"{requirement.origin}: uv cannot tell what `{requirement.text}` is called",
                f"write its name in front: `NAME @ {requirement.text}`",
            )
            text = (scratch / MANIFEST).read_text(encoding="utf-8")
        return Parsed(tomllib.loads(text)["project"]["dependencies"][0]).name


_NOTHING = '[project]\nname = "uvflow-scratch"\nversion = "0"\n'


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="uvflow-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def _project(manifest: str) -> Iterator[Path]:
    with _directory() as scratch:
        (scratch / MANIFEST).write_text(manifest, encoding="utf-8")
        yield scratch


def _succeeded(answer: Completed, message: str, hint: str | None = None) -> None:
    if answer.code != 0:
        kind = NetworkError if is_network_failure(answer.err) else UvFailedError
        raise kind(message, cause=_reason(answer.err), hint=hint)


def _reason(said: str) -> str:
    """uv's error; above it uv tells what it is doing."""
    found = ERROR.search(said)
    return said[found.end() if found else 0 :].strip()


def _place(requirement: Requirement, root: Path, scratch: Path) -> str:
    """Where uv looks; a directory is copied, since a build leaves its traces in it."""
    source = requirement.source or {}
    if "path" not in source:
        return requirement.text
    path = root / str(source["path"])
    if not path.is_dir():
        return str(path)
    return str(shutil.copytree(path, scratch / "source", symlinks=True, ignore=_environments))


def _environments(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(directory) / name / "pyvenv.cfg").exists()]


def _without_paths(imported: ImportedRequirements) -> ImportedRequirements:
    """What they need stays unknown, so that it counts as wanted on its own."""

    def is_elsewhere(entry: object) -> bool:
        return not (isinstance(entry, Requirement) and "path" in (entry.source or {}))

    return replace(
        imported,
        dependencies=tuple(filter(is_elsewhere, imported.dependencies)),
        groups={g: tuple(filter(is_elsewhere, es)) for g, es in imported.groups.items()},
        settings={k: v for k, v in imported.settings.items() if k != "find-links"},
    )
