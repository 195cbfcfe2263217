"""`uvflow setup`: the steps that make a fresh clone ready, of which only those due are run."""

import hashlib
import itertools
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from uvflow import __version__, fingerprint, process, uv
from uvflow.environment.context import SyncContext, last_synced_profile
from uvflow.environment.status import status, verdict_line
from uvflow.environment.sync import sync
from uvflow.errors import UsageError, UvflowError
from uvflow.files import read_bytes, remove_unfinished, target_inside, write_whole
from uvflow.paths import MANIFEST
from uvflow.project import schema
from uvflow.project.manifest import Project
from uvflow.project.schema import OnlyKeys, Rule
from uvflow.state.locks import mutex
from uvflow.state.store import Progress

_RECORDS = "setup.json"  # in the state: a digest of what each finished `run` step depended on
_EXAMPLE = {"from": ".env.example", "to": ".env"}


class Step(NamedTuple):
    """A step of one kind: `python` (a version), `sync`, `copy` (from, to) or `run` (a command).

    `sync` is a profile, or True for that of `uvflow sync`. `inputs` and `creates` are globs.
    """

    name: str
    python: str = ""
    sync: str | bool = False
    copy: Mapping[str, str] | None = None
    run: Sequence[str] = ()
    inputs: Sequence[str] = ()
    creates: Sequence[str] = ()


class StepReport(NamedTuple):
    """A step and its `state`: done, due or ran; `reason` says why it is or was due."""

    name: str
    state: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.state:4}  {self.name}" + (f": {self.reason}" if self.reason else "")


# Not the root itself, no third `**` and no 50th `/`: with these Path.glob fails or takes minutes.
_MODEST = r"(?![./]+$)(?!(?:.*\*\*){3})(?!(?:[^/]*/){50})"
# Not absolute and no `..`, nor what Windows takes for either; `**` is a part of its own.
_BELOW = _MODEST + r"(?!/)(?!(?:.*/)?\.\.(?:/|$))(?!.*(?:[^/]\*\*|\*\*[^/]))[^\\:]+"
_PATH = Rule(
    "a path below the root such as `src` or `data/**/*.sql`, with `**` twice at most",
    {"type": "string", "pattern": _BELOW},
)
_VERSION = Rule("a version such as `3.12`", {"type": "string", "pattern": r"\d+\.\d+(\.\d+)?"})
_COPY = OnlyKeys(dict.fromkeys(_EXAMPLE, _PATH))
_KINDS = {"python": _VERSION, "sync": (str, bool), "copy": _COPY, "run": [str]}
_SHAPE = OnlyKeys({"name": str, **_KINDS, "inputs": [_PATH], "creates": [_PATH]})


def read(tables: Sequence[Mapping[str, Any]], source: str) -> tuple[Step, ...]:
    """The steps in `[[tool.uvflow.setup]]` of the file `source`; raises UsageError."""
    names = [table.get("name") for table in tables]
    for number, table in enumerate(tables):
        where = f"tool.uvflow.setup[{number}]"
        schema.validate(table, _SHAPE, source, where)
        kinds = [kind for kind in _KINDS if table.get(kind)]
        problem = ""
        if not names[number] or names.count(names[number]) > 1:
            problem = "must have a `name` of its own"
        elif len(kinds) != 1 or table.get("copy", _EXAMPLE).keys() != _EXAMPLE.keys():
            problem = "must have one of `python`, `sync`, `run`, and `copy` with `from` and `to`"
        elif kinds != ["run"] and {"inputs", "creates"} & table.keys():
            problem = "can have `inputs` and `creates` only with `run`"
        if problem:
            raise UsageError(f"{source}: `{where}` {problem}")
    return tuple(Step(**table) for table in tables)


class Setup(NamedTuple):
    """A project's steps; the context of each has the profile that is synced last before it."""

    project: Project
    steps: tuple[tuple[Step, SyncContext], ...]

    @classmethod
    def of(cls, project: Project, environ: Mapping[str, str]) -> "Setup":
        """The steps that the project declares, else a sync, and `.env` from `.env.example`."""
        profiles, found = project.profiles, []
        choice = profiles.choose(None, environ, last_synced_profile(project))
        steps = read(project.table("tool", "uvflow").get("setup", ()), str(project.root / MANIFEST))
        if not steps:
            steps = (Step(name="environment", sync=True),)
            if (project.root / _EXAMPLE["from"]).is_file():
                steps += (Step(name=".env", copy=_EXAMPLE),)
        for step in steps:
            if isinstance(step.sync, str):
                choice = profiles.choose(step.sync, environ, None)
            found.append((step, SyncContext.of(project, choice)))
        return cls(project, tuple(found))

    def plan(self, *, force: bool = False) -> tuple[StepReport, ...]:
        """Which steps are due, and why; writes nothing and runs no code of the project."""
        reports = []
        for step, context in self.steps:
            reason = self._reason(step, context) or ("--force" if force else "")
            reports.append(StepReport(step.name, "due" if reason else "done", reason))
        return tuple(reports)

    def carry_out(
        self, *, force: bool, timeout: float, progress: Progress
    ) -> tuple[StepReport, ...]:
        """Announce what is due, and do it in order; raises the error of the step that fails."""
        reports = list(self.plan(force=force))
        for report in reports:
            if report.reason:
                progress(str(report))
        for number, (step, context) in enumerate(self.steps):
            reason, announcement = reports[number].reason, f"Step {step.name}"
            if not reason and any(report.state == "ran" for report in reports):
                reason = self._reason(step, context)  # an earlier step may have changed it
                announcement += f": {reason}"
            if reason:
                progress(announcement)
                self._do(step, context, timeout=timeout, progress=progress)
                reports[number] = StepReport(step.name, "ran", reason)
        return tuple(reports)

    def _reason(self, step: Step, context: SyncContext) -> str:
        """Why a step is due; empty if it is done."""
        if step.copy:
            return _absence(self.project.root, step.copy["to"])
        if step.python:
            words = ("python", "find", "--system", "--no-project", "--no-python-downloads")
            found = context.find_uv().capture(
                (*words, step.python), cwd=self.project.root, environ=context.environ
            )
            return f"Python {step.python} is not installed" if found.code else ""
        if step.sync:
            if context.is_current():
                return ""
            current = status(context)
            return verdict_line(current) if current.exit_code else ""
        command = shlex.join(step.run)
        digest = context.state.read_json(_RECORDS).get(f"{self.project.root}: {step.name}")
        if digest is None:
            return f"`{command}` has not been run yet"
        if digest != self._digest(step, context):
            return f"`{command}` was run with other inputs, or in another environment"
        missing = self._missing(step)
        return f"`{command}` is to make {missing}" if missing else ""

    def _do(self, step: Step, context: SyncContext, *, timeout: float, progress: Progress) -> None:
        root = self.project.root
        if step.copy:
            with mutex(context.state, "uvflow setup", timeout=timeout, progress=progress):
                _copy(root, step.copy["from"], step.copy["to"], step.name)
        elif step.python:
            words = ("python", "install", step.python)
            answer = context.find_uv().run(words, cwd=root, environ=context.environ)
            if answer.code:
                raise uv.failure_of(answer, "uv python install")
        else:
            sync(context, timeout=timeout, progress=progress)
            if step.run:
                self._run(step, context)

    def _run(self, step: Step, context: SyncContext) -> None:
        root = self.project.root
        digest = self._digest(step, context)  # before the command, so as not to miss later edits
        # With -P, since a project may have a directory named uvflow.
        run = (sys.executable, "-P", "-m", "uvflow", "run", "--profile", context.profile.name)
        code = process.stream((*run, "--", *step.run), environ=os.environ, cwd=root).code
        if code < 0:
            code = 128 - code  # as shells do
        missing = "" if code else self._missing(step)
        if code or missing:
            problem = f"failed with exit code {code}" if code else f"has not made {missing}"
            hint = "once that is mended, `uvflow setup` goes on there"
            error = UvflowError(f"step {step.name} {problem}", hint=hint)
            error.exit_code = code or error.exit_code
            raise error
        key = f"{root}: {step.name}"  # the members of a workspace have steps of their own
        records = {**context.state.read_json(_RECORDS), key: digest}
        context.state.write(_RECORDS, json.dumps(records).encode())

    def _missing(self, step: Step) -> str:
        """The first of `creates` that matches nothing; raises DiskError if a link leads out."""
        root = self.project.root
        for glob in step.creates:
            if not any(target_inside(path, root).exists() for path in sorted(root.glob(glob))):
                return glob
        return ""

    def _digest(self, step: Step, context: SyncContext) -> str:
        """A digest of the step, its inputs, the lockfile and the environment; raises DiskError."""
        root = self.project.root
        questions = [
            f"content {self.project.lockfile}",
            f"identity {context.environment / 'pyvenv.cfg'}",
        ]
        found = set()
        for path in itertools.chain(*map(root.glob, step.inputs)):
            target_inside(path, root)  # before the glob walks on through it
            found.add(path)
        for path in sorted(found):
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            inside = (target_inside(file, root) for file in files if file.is_file())
            questions += (f"content {file}" for file in inside)
        words = repr((step, context.profile.sync_arguments())).encode()
        return hashlib.sha256(b"\0".join((words, *fingerprint.record(questions)))).hexdigest()


def _absence(root: Path, name: str) -> str:
    """Why `name` does not exist; empty if it does."""
    path = root / name
    if path.exists():
        return ""
    return f"{name} is a broken link" if path.is_symlink() else f"{name} does not exist"


def _copy(root: Path, source: str, target: str, step: str) -> None:
    """Copy a file to a path that does not exist yet; nothing is written through a link."""
    if not _absence(root, target):
        return
    problem = _absence(root, source) or _absence(root, str(PurePosixPath(target).parent))
    if problem or os.path.lexists(root / target):
        raise UsageError(f"step {step}: {problem or _absence(root, target)}")
    data = read_bytes(target_inside(root / source, root))
    place = target_inside(root / target, root)
    remove_unfinished(place.parent, place.name)  # of a setup that was killed
    umask = os.umask(0o077)
    os.umask(umask)
    mode = (root / source).stat().st_mode & 0o777 & ~umask  # a script, or for nobody else's eyes
    write_whole(place, data, mode=mode)


def bootstrap_script(kind: str) -> str:
    """A script to commit as `./setup`: installs uv, and runs this version of `uvflow setup`."""
    text = Path(__file__).with_name(f"setup.{kind}").read_text(encoding="ascii")
    return text.replace("@uvflow@", __version__).replace("@uv@", uv.find().version)
