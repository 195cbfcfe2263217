"""`uvflow docker`: plan each file, then write, print or check it. Nothing is printed here."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from uvflow import findings, uv
from uvflow.docker import companions, context, dockerfile, header, settings
from uvflow.docker import facts as facts_of
from uvflow.docker.facts import Facts, ImageOptions
from uvflow.docker.lint import check
from uvflow.docker.lint.model import CheckResult
from uvflow.errors import DriftError, UsageError, UvflowError
from uvflow.files import read_bytes, write_whole
from uvflow.findings import Finding, Origin
from uvflow.project.manifest import Project


class FileState(StrEnum):
    """What is at the place of a file, as compared with what it is to say."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"  # made by uvflow from other facts
    EDITED = "edited"  # made by uvflow, and edited since
    FOREIGN = "foreign"  # somebody else's


_NOT_OURS = {FileState.EDITED, FileState.FOREIGN}

_WHAT = {
    FileState.NEW: "is not there",
    FileState.CHANGED: "is not what today's facts give",
    FileState.EDITED: "was edited since uvflow made it",
    FileState.FOREIGN: "was not made by uvflow",
}
_ANEW = "`uvflow docker` makes it anew"
WAYS_OUT = {
    FileState.NEW: "`uvflow docker` makes it",
    FileState.CHANGED: f"`uvflow docker --check` shows the difference, {_ANEW}",
    FileState.EDITED: "`uvflow docker --force` overwrites it; without its first line it is your "
    "own, and `uvflow docker --check` tells what is wrong with it",
    FileState.FOREIGN: "`uvflow docker --check` tells what is wrong with it, `uvflow docker "
    "--print` what it would be, and `uvflow docker --force` overwrites it",
}


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A file as it is to be, and as it is now (`before`, None where there is none)."""

    path: Path
    text: str
    before: str | None
    state: FileState


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """Every file of an image, and what is to be told about them."""

    facts: Facts
    options: ImageOptions
    files: tuple[ImageFile, ...]
    not_ignored: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def to_write(self) -> tuple[ImageFile, ...]:
        """A .dockerignore is the user's as soon as it is there."""
        return tuple(f for f in self.files if f.state is not FileState.SAME and not _is_kept(f))

    @property
    def dockerfile(self) -> ImageFile:
        return self.files[0]


# The files besides the Dockerfile, by the option that asks for each.
MORE: Mapping[str, tuple[str, Callable[[Facts], str]]] = {
    "bake": ("docker-bake.hcl", companions.bake_file),
    "compose": ("compose.yaml", companions.compose_file),
}


def plan_image(project: Project, given: ImageOptions, *, more: Iterable[str] = ()) -> ImagePlan:
    """What `uvflow docker` does with these options; `more` are names of MORE.

    What `given` leaves open is as it was when the Dockerfile was made last, and a file of MORE
    that uvflow made once is kept up. Raises what reading the facts raises.
    """
    options = _options(given, project)
    facts = facts_of.read_facts(project, options)
    ignored = _image_file(_ignore_path(project), context.dockerignore())
    wanted = [name for name, (path, _) in MORE.items() if name in more or _is_ours(project, path)]
    made = [("Dockerfile", dockerfile.render_dockerfile), *(MORE[name] for name in wanted)]
    return ImagePlan(
        facts=facts,
        options=options,
        files=(*(_made(project, *file, facts, options) for file in made), ignored),
        not_ignored=context.missing_patterns(ignored.before or ignored.text),
        remarks=(*facts.remarks, *_on_an_older_uv(options)),
    )


def write_files(plan: ImagePlan, *, force: bool) -> tuple[Path, ...]:
    """Write what is not yet as planned and return it.

    Raises DriftError, with nothing written, for a file that was edited or made by somebody else,
    unless `force`.
    """
    for file in plan.to_write:
        if file.state in _NOT_OURS and not force:
            raise drift_error(file)
    for file in plan.to_write:
        write_whole(file.path, file.text.encode())
    return tuple(file.path for file in plan.to_write)


def drift_error(file: ImageFile) -> DriftError:
    """What is to be said of a file that is not as it is to be; its hint says the ways out."""
    return DriftError(f"{file.path} {_WHAT[file.state]}", hint=WAYS_OUT[file.state])


def _options(given: ImageOptions, project: Project) -> ImageOptions:
    """`given`, completed from the header of the Dockerfile that is there, and by the uv here."""
    before = _options_before(project.root / "Dockerfile")
    options = ImageOptions(
        uv=given.uv or before.uv,
        python=given.python or before.python,
        base=given.base or before.base,
        stages=given.stages or before.stages,
    )
    said = project.table("tool", "uvflow", "docker")
    if options.uv or "uv" in said or "uv-image" in said:
        return options
    return replace(options, uv=uv.find().version)


def _options_before(dockerfile: Path) -> ImageOptions:
    """Raises UsageError where the first line was edited to say what cannot be."""
    made = header.read(_text(dockerfile) or "")
    if made is None:
        return ImageOptions()
    for name in ("base", "stages", "uv"):
        value = getattr(made.options, name)
        if value is not None:
            settings.checked(name, value, f"{dockerfile}:1: --{name}")
    return made.options


def _on_an_older_uv(options: ImageOptions) -> tuple[str, ...]:
    """A lockfile that the uv here writes may be one that an older uv does not understand."""
    if options.uv is None:
        return ()
    here = uv.find().version
    if _minor(here) <= _minor(options.uv):
        return ()
    take = f"`uvflow docker --uv={here}` takes this one"
    return (f"uv {options.uv} builds the image, and uv {here} is here: {take}",)


def _minor(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def _is_ours(project: Project, path: str) -> bool:
    return header.read(_text(project.root / path) or "") is not None


def _made(
    project: Project, path: str, body: Callable[[Facts], str], facts: Facts, options: ImageOptions
) -> ImageFile:
    text = header.with_header(body(facts), facts, options, companions.usage_lines(facts))
    return _image_file(project.root / path, text)


def _ignore_path(project: Project) -> Path:
    """BuildKit prefers NAME.dockerignore beside the Dockerfile; a member's context is not its own.

    (Docker docs, "Build context", "Filename and location".)
    """
    if project.root == project.workspace:
        return project.root / ".dockerignore"
    return project.root / "Dockerfile.dockerignore"


def _image_file(path: Path, text: str) -> ImageFile:
    before = _text(path)
    return ImageFile(path=path, text=text, before=before, state=_state(before, text))


def _state(before: str | None, text: str) -> FileState:
    if before is None:
        return FileState.NEW
    if before.replace("\r\n", "\n") == text:
        return FileState.SAME
    if header.read(before) is None:
        return FileState.FOREIGN
    return FileState.CHANGED if header.is_as_made(before) else FileState.EDITED


def _text(path: Path) -> str | None:
    return read_bytes(path).decode(errors="replace") if path.is_file() else None


def _is_kept(file: ImageFile) -> bool:
    return file.path.name.endswith(".dockerignore") and file.before is not None


def check_generated(plan: ImagePlan) -> CheckResult:
    """The generated files of `plan` against today's facts; a .dockerignore need not be ours."""
    *made, _ignored = plan.files
    missing = plan.not_ignored
    origin = Origin(path=plan.files[-1].path.name, line=1)
    message = f"lets into the image what is no part of it: {', '.join(missing)}"
    finding = findings.error("context-not-ignored", message, origin)
    return CheckResult(
        diffs=tuple(difference(file) for file in made if file.state is not FileState.SAME),
        edited=tuple(file.path.name for file in made if file.state is FileState.EDITED),
        findings=(finding,) if missing else (),
    )


def difference(file: ImageFile) -> str:
    before = (file.before or "").replace("\r\n", "\n").splitlines(keepends=True)
    name = file.path.name
    after = file.text.splitlines(keepends=True)
    return "".join(
        difflib.unified_diff(before, after, f"{name} (as it is)", f"{name} (as the facts give)")
    )


@dataclass(frozen=True, kw_only=True)
class DockerOptions:
    """What is asked for, by the names of the command line's options."""

    python: str | None = None
    base: str | None = None
    stages: str | None = None
    uv: str | None = None
    bake: bool = False
    compose: bool = False
    prints: bool = False
    facts: bool = False
    check: bool = False
    dry_run: bool = False
    force: bool = False

    @property
    def options(self) -> ImageOptions:
        return ImageOptions(uv=self.uv, python=self.python, base=self.base, stages=self.stages)

    @property
    def more(self) -> tuple[str, ...]:
        return tuple(n for n, on in (("bake", self.bake), ("compose", self.compose)) if on)


@dataclass(frozen=True, kw_only=True)
class DockerResult:
    """`result` is data for stdout, `said` and `warnings` are talk, `data` is for --json."""

    result: str = ""
    said: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    error: UvflowError | None = None


def run_docker(project: Project, request: DockerOptions) -> DockerResult:
    """Do what is asked for; raises what planning and writing raise."""
    modes = [n for n in ("prints", "facts", "check", "dry_run") if getattr(request, n)]
    if len(modes) > 1:
        raise UsageError("--print, --facts, --check and --dry-run exclude each other")
    if request.check and _is_by_hand(project.root / "Dockerfile"):
        return _checked(check.check_handwritten(project, project.root / "Dockerfile"))
    plan = plan_image(project, request.options, more=request.more)
    if request.check:
        return _checked(check_generated(plan))
    if request.facts:
        return _with_facts(plan)
    if request.prints:
        text = plan.dockerfile.text
        return DockerResult(result=text, warnings=_warnings(plan), data={"dockerfile": text})
    return _dry(project, plan) if request.dry_run else _written(project, plan, request)


def _is_by_hand(path: Path) -> bool:
    return path.is_file() and header.read(read_bytes(path).decode(errors="replace")) is None


def _checked(verdict: CheckResult) -> DockerResult:
    count = len(verdict.findings)
    return DockerResult(
        result="".join(verdict.diffs) + "".join(map(_line, verdict.findings)),
        said=() if count or verdict.diffs else ("Current: the files are what today's facts give",),
        data={
            "diffs": list(verdict.diffs),
            "findings": [finding.as_json() for finding in verdict.findings],
        },
        error=None if verdict.is_good else _error(verdict),
    )


def _error(verdict: CheckResult) -> DriftError:
    if verdict.edited:
        names = " and ".join(verdict.edited)
        return DriftError(
            f"{names} was edited since uvflow made it", hint=WAYS_OUT[FileState.EDITED]
        )
    if verdict.diffs:
        return DriftError(
            "the files of the image are not what today's facts give",
            hint="`uvflow docker` makes them anew",
        )
    return DriftError("the Dockerfile has faults", hint="each finding says what to write instead")


def _line(finding: Finding) -> str:
    fix = f"\n  {finding.hint}" if finding.hint else ""
    return f"{finding.origin}: {finding.severity.value}[{finding.code}] {finding.message}{fix}\n"


def _with_facts(plan: ImagePlan) -> DockerResult:
    facts = asdict(plan.facts)
    return DockerResult(result=json.dumps(facts, indent=2), data={"facts": facts})


def _dry(project: Project, plan: ImagePlan) -> DockerResult:
    names = [_name(project, file.path) for file in plan.to_write]
    said = tuple(f"Would write {name}" for name in names) or ("Nothing to write",)
    diffs = "".join(difference(file) for file in plan.to_write)
    return DockerResult(
        result=diffs,
        said=(*_evidence(plan), *said),
        warnings=_warnings(plan),
        data={"files": names, "dry_run": True},
    )


def _written(project: Project, plan: ImagePlan, request: DockerOptions) -> DockerResult:
    paths = write_files(plan, force=request.force)
    names = [_name(project, path) for path in paths]
    said = tuple(f"Wrote {name}" for name in names) or ("Current: nothing to write",)
    return DockerResult(
        said=(*_evidence(plan), *said),
        warnings=_warnings(plan),
        data={"files": names, "dry_run": False},
    )


def _evidence(plan: ImagePlan) -> tuple[str, ...]:
    facts = plan.facts
    return (
        f"Python {facts.python}: {facts.python_evidence}",
        f"Starts {' '.join(facts.start.command)}: {facts.start.evidence}",
        f"{'Two stages' if facts.stages.is_multi else 'One stage'}: {facts.stages.evidence}",
    )


def _warnings(plan: ImagePlan) -> tuple[str, ...]:
    missing = ", ".join(plan.not_ignored)
    kept = f"your .dockerignore lets into the image what is no part of it: {missing}"
    return (*plan.remarks, *((kept,) if missing else ()))


def _name(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()
