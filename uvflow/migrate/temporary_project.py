"""Questions to uv that need a project: a temporary one, so that the user's tree stays as it is."""

import contextlib
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import Requirement as Parsed

from uvflow.errors import ImportNeedsUserError
from uvflow.migrate import pyproject
from uvflow.migrate.lock_fallback import reason_in
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.uv import Uv, failure_of


@dataclass(frozen=True, kw_only=True)
class TemporaryProject:
    """Asks `uv` on behalf of the directory `root`, with the variables `environ`.

    Raises ImportNeedsUserError instead where uv would start `own_interpreter`, a file of `root`.
    """

    uv: Uv
    root: Path
    environ: Mapping[str, str] = field(repr=False)
    may_build: bool = True
    own_interpreter: Path | None = None

    def initial_pyproject(self, name: str, python: str | None) -> str:
        """The pyproject.toml that `uv init` writes for `root`; raises UvFailedError.

        uv runs in `root`, so that its `.python-version` and `uv.toml` count, and writes elsewhere.
        """
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as directory:
            project = Path(directory, "project")
            arguments = ["init", "--bare", "--no-workspace", "--no-pin-python", "--vcs=none"]
            arguments += ["--no-python-downloads", f"--name={name}"]
            if python:
                arguments.append(f"--python={python}")
            self._ask((*arguments, str(project)), self.root, "`uv init` failed")
            return (project / MANIFEST).read_text(encoding="utf-8")

    def with_names(
        self, imported: ImportedRequirements, announce: Callable[[str], None]
    ) -> ImportedRequirements:
        """`imported` with a name for every requirement; uv may download and build to learn it.

        A build is announced. Raises UvFailedError or NetworkError where uv cannot find a name, with
        the line.
        """
        # The same indexes: a build needs its own requirements from somewhere.
        manifest = pyproject.edit(_EMPTY_PROJECT, ImportedRequirements(indexes=imported.indexes))
        names: dict[str, str] = {}
        for requirement in imported.requirements:
            if requirement.name is None and requirement.text not in names:
                if self.may_build:
                    announce(
                        f"uv may build {requirement.text} to learn its name ({requirement.origin}),"
                        " which runs its code; `--no-build` refuses that"
                    )
                names[requirement.text] = self._name(requirement, manifest)
        return imported.with_each(lambda r: r.with_name(names[r.text]) if r.name is None else r)

    def _name(self, requirement: Requirement, manifest: str) -> str:
        with _project(manifest) as directory:
            argument = _requirement_argument(requirement, self.root, directory)
            failed = f"{requirement.origin}: uv cannot find the name of `{requirement.text}`"
            hint = f"write its name in front: `NAME @ {requirement.text}`"
            self._ask(("add", "--frozen", "--no-workspace", argument), directory, failed, hint)
            values = tomllib.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        return Parsed(values["project"]["dependencies"][0]).name

    def lockfile(self, imported: ImportedRequirements, base: str) -> str:
        """The text of a uv.lock of `imported`, without requirements by path.

        So what these need is not in it, and counts as wanted on its own. Raises UvFailedError where
        `imported` has no solution.
        """
        locked = replace(
            imported.with_each(lambda r: None if "path" in (r.source or {}) else r),
            settings={k: v for k, v in imported.settings.items() if k != "find-links"},
        )
        with _project(pyproject.edit(base, locked)) as directory:
            self._ask(("lock",), directory, "`uv lock` failed")
            return (directory / LOCKFILE).read_text(encoding="utf-8")

    def _ask(
        self, arguments: Sequence[str], directory: Path, failed: str, hint: str | None = None
    ) -> None:
        if self.own_interpreter:
            raise ImportNeedsUserError(
                f"the interpreter {self.own_interpreter} is a file of this project and was not"
                " started, so uv was not asked",
                hint="`uvflow init` without `--dry-run` starts it",
            )
        environ = dict(self.environ)
        if not self.may_build:
            environ["UV_NO_BUILD"] = "1"
        completed = self.uv.capture(arguments, cwd=directory, environ=environ)
        if completed.code != 0:
            failure = failure_of(completed, "uv")
            cause = reason_in(completed.err)
            raise type(failure)(failed, cause=cause, hint=failure.hint or hint)


_PREFIX = "uvflow-"
_EMPTY_PROJECT = '[project]\nname = "uvflow-scratch"\nversion = "0"\n'


@contextlib.contextmanager
def _project(manifest: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as directory:
        Path(directory, MANIFEST).write_text(manifest, encoding="utf-8")
        yield Path(directory)


def _requirement_argument(requirement: Requirement, root: Path, directory: Path) -> str:
    """What `uv add` gets; a source directory is copied, since a build leaves files in it."""
    source = requirement.source or {}
    if "path" not in source:
        return requirement.text
    path = root / str(source["path"])
    if not path.is_dir():
        return str(path)

    def environments(parent: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(parent) / name / "pyvenv.cfg").exists()]

    copy = shutil.copytree(path, directory / "source", symlinks=True, ignore=environments)
    return str(copy)
