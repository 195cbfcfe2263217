"""`uvflow docker`: from options to a plan of every file, which is printed, checked or written."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.version import Version

from uvflow import findings, uv
from uvflow.docker import companions, context, dockerfile, header
from uvflow.docker import facts as facts_of
from uvflow.docker.engine import find_digest
from uvflow.docker.facts import Facts
from uvflow.docker.header import Header
from uvflow.docker.lint.check import check_handwritten, check_start
from uvflow.docker.lint.parse import parse_instructions
from uvflow.errors import DriftError, UsageError, UvflowError, shell_command
from uvflow.files import target_inside, text_if_there, write_whole
from uvflow.findings import Finding, Origin, Severity
from uvflow.lockfile import check
from uvflow.lockfile.check import Level, LockfileCheck
from uvflow.paths import LOCKFILE, MANIFEST, project_root
from uvflow.project.manifest import Project
from uvflow.uv import Uv


@dataclass(frozen=True, kw_only=True)
class DockerOptions:
    """The options of the command line, by their names."""

    uv: str | None = None
    python: str | None = None
    base: str | None = None
    bake: bool = False
    compose: bool = False
    prints: bool = False
    check: bool = False
    dry_run: bool = False
    force: bool = False
    pin: bool = False


@dataclass(frozen=True, kw_only=True)
class DockerResult:
    """`text` and `result` are lines for stdout, `data` is for --json, `code` is that of docker."""

    text: tuple[str, ...] = ()
    result: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    error: UvflowError | None = None
    code: int = 0


def run_docker(project: Project, options: DockerOptions) -> DockerResult:
    """Do what the options ask for; raises what planning and writing raise."""
    modes = (options.prints, options.check, options.dry_run)
    if sum(modes) > 1:
        raise UsageError("--print, --check and --dry-run exclude each other")
    uv.check_readable(project.directories)
    path = project.root / "Dockerfile"
    if options.check and path.exists() and _header_of(path) is None:
        return _check_result(check_handwritten(project, path))
    plan = ImagePlan(project, options)
    if options.check:
        return replace(_check_result(plan.findings, plan.generated), warnings=plan.remarks)
    found = (f"{each}: {each.hint}" if each.hint else str(each) for each in plan.findings)
    warnings = (*plan.remarks, *found)
    if options.prints:
        text = plan.dockerfile.text
        return DockerResult(text=_lines(text), warnings=warnings, data={"dockerfile": text})
    for file in plan.to_write:  # before any is written, and before a dry run shows what is there
        target_inside(file.path, plan.workspace)
    if not options.dry_run:
        write_files(plan, force=options.force)
    names = [file.path.name for file in plan.to_write]
    verb = "Would write" if options.dry_run else "Wrote"
    written = [f"{verb} {name}" for name in names] or ["Current: nothing to write"]
    return DockerResult(
        text=_lines(*map(difference, plan.to_write)) if options.dry_run else (),
        messages=(*_evidence(plan), *written),
        warnings=warnings,
        data={"files": names, "dry_run": options.dry_run},
    )


def check_copied(start: Path) -> DockerResult | None:
    """Of the Dockerfile in `start`, where the one locked project that it copies is below it.

    Or where the project that it copies is above it. Raises UsageError for one of something else.
    """
    path = start / "Dockerfile"
    steps = [*parse_instructions(text_if_there(path) or "")]
    named = [name for step in steps for name in (*step.copied, *step.bound)]
    above, folders = project_root(str(start)), {start / name for name in named}
    folders = {each.parent if each.name == MANIFEST else each for each in folders}
    found = [folder for folder in folders if (folder / LOCKFILE).is_file()]
    words = [word for step in steps if step.is_copy for word in step.words[:-1]]
    is_open = any(re.match(r"(?:\./)?[^/]*[$*?]", word) for word in words)  # may be those here
    if len(found) == 1 and found[0] != start and not (above and is_open):
        return _check_result(check_handwritten(Project.load(found[0]), path))
    if above and path.exists() and not start.samefile(above):
        project = Project.load(Path(above))
        if any((start / name).exists() and not (project.root / name).exists() for name in named):
            command = shell_command("uvflow", "docker", "--check", "--directory", above)
            raise UsageError(
                f"{path} copies other files than those of the project in {above}",
                hint=f"{command} checks the one there",
            )
        return _check_result(check_handwritten(project, path))
    return None


def _evidence(plan: "ImagePlan") -> Iterator[str]:
    facts, start = plan.facts, plan.facts.start
    yield f"Python {facts.python}: {plan.python_origin}"
    yield f"Starts {' '.join(start.command)}: {start.evidence}"
    if start.port and start.probes and not start.health:
        advice = "`health` in [tool.uvflow.docker] is one"
        yield f"Probes port {start.port}: no path of a health check is known, {advice}"
    yield f"{'Two stages' if facts.has_builder else 'One stage'}: {facts.stages_evidence}"
    if facts.built_blindly:
        advice = "where that is not all it needs, `build-packages` in [tool.uvflow.docker] is"
        tools = " and ".join(facts.system.build)
        yield f"Builds {', '.join(facts.built_blindly)} with {tools}: {advice}"


class FileState(Enum):
    """A file, compared with what uvflow would write: what is the matter, and the ways out."""

    SAME = ("is as uvflow would write it", None)
    NEW = ("does not exist", "`uvflow docker` writes it")
    CHANGED = (
        "does not match today's facts",
        "`uvflow docker --check` shows the difference, `uvflow docker` updates it",
    )
    EDITED = (
        "was edited since uvflow made it",
        "`uvflow docker --force` overwrites it; delete its first line to keep the edits",
    )
    FOREIGN = (
        "was not made by uvflow",
        "`uvflow docker --check` lints it, `--print` shows uvflow's, `--force` overwrites it",
    )


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A file with the text it is to have, and the text it has (`before`, None if missing)."""

    path: Path
    text: str

    @cached_property
    def before(self) -> str | None:
        return text_if_there(self.path)

    @property
    def state(self) -> FileState:
        if self.before in {None, self.text}:
            return FileState.NEW if self.before is None else FileState.SAME
        made = header.read(self.before or "")
        if made is None:
            return FileState.FOREIGN
        return FileState.CHANGED if made.is_as_made else FileState.EDITED


_PINNED = re.compile(r"([a-z0-9][\w./:-]*)@(sha256:[0-9a-f]{64})\b")

# The files besides the Dockerfile, by the option that asks for each.
MORE: Mapping[str, tuple[str, Callable[[Facts], str]]] = {
    "bake": ("docker-bake.hcl", companions.bake_file),
    "compose": ("compose.yaml", companions.compose_file),
}


class ImagePlan:
    """Every file of an image; `findings` are about the .dockerignore, and what is started.

    What the options leave open is taken from the header of the Dockerfile, and a file of MORE that
    uvflow wrote once is kept current. Raises what reading the facts raises.
    """

    def __init__(self, project: Project, given: DockerOptions) -> None:
        here, root, self.workspace = uv.find(), project.root, project.workspace
        text = text_if_there(root / "Dockerfile") or ""
        last = header.read(text)
        options = _complete_options(project, given, last, here)
        facts = self.facts = facts_of.read_facts(project, options, here)
        facts.images = _with_digests(facts.images, text, renew=given.pin)
        self.lockfile = check.check_lockfile(project, here, os.environ)
        self.python_origin = facts.python_evidence
        if "python" in options and not given.python:
            in_use = "that of .venv, and stays: `--python=X.Y` names another"
            self.python_origin = "--python in the first line of the Dockerfile" if last else in_use
        self.remarks = (*facts.remarks, *_remarks(options, here, self.lockfile))
        usage = companions.usage_lines(facts)
        bodies: dict[str, Callable[[Facts], str]] = {"Dockerfile": dockerfile.render_dockerfile}
        for option, (name, body) in MORE.items():
            if getattr(given, option) or _header_of(root / name):
                bodies[name] = body
        self.generated = tuple(
            ImageFile(path=root / name, text=header.with_header(body(facts), options, usage))
            for name, body in bodies.items()
        )
        self.dockerfile = self.generated[0]
        # BuildKit prefers NAME.dockerignore beside the Dockerfile; a member's build context is the
        # workspace (Docker docs, "Build context", "Filename and location").
        name = ".dockerignore" if root == self.workspace else "Dockerfile.dockerignore"
        text = context.dockerignore(self.workspace, facts.mounts)
        self.dockerignore = ImageFile(path=root / name, text=text)
        made = self.dockerfile
        self.findings = tuple(check_start(project, made.path, made.text, facts.processes))
        if lacks := context.missing_patterns(self.dockerignore.before or text, self.workspace):
            message, origin = f"does not exclude: {', '.join(lacks)}", Origin(path=name, line=1)
            error = findings.error("context-not-ignored", message, origin)
            self.findings = (error, *self.findings)

    @property
    def to_write(self) -> tuple[ImageFile, ...]:
        """A .dockerignore that exists is the user's."""
        ignore = (self.dockerignore,) if self.dockerignore.before is None else ()
        return (*(f for f in self.generated if f.state is not FileState.SAME), *ignore)


def _complete_options(
    project: Project, given: DockerOptions, last: Header | None, here: Uv
) -> dict[str, str]:
    before = last.options if last else {"python": facts_of.python_in_use(project) or ""}
    options = {name: getattr(given, name) or before.get(name, "") for name in header.OPTIONS}
    if not {"uv", "uv-image"} & project.table("tool", "uvflow", "docker").keys():
        options["uv"] = options["uv"] or here.version
    return {name: value for name, value in options.items() if value}


def _with_digests(images: Mapping[str, str], before: str, *, renew: bool) -> dict[str, str]:
    """`images` with their digests of `before`, a Dockerfile, or with those of today.

    Where `before` has a digest, an image that is not in it gets one as well.
    """
    known = dict(pair for pair in _PINNED.findall(before) if pair[0] in images.values())
    pinned = dict(images)
    if renew or known:
        for use, name in images.items():
            if "@" not in name:
                kept = None if renew else known.get(name)
                pinned[use] = f"{name}@{kept or find_digest(name, os.environ)}"
    return pinned


def _remarks(options: Mapping[str, str], here: Uv, lockfile: LockfileCheck) -> Iterator[str]:
    if lockfile.verdict is Level.STALE:
        why = ", ".join(lockfile.reasons)
        yield f"{LOCKFILE} is stale, and the build will fail: {why}; {lockfile.hint}"
    # An older uv may not understand a lockfile that the uv here writes.
    builder = options.get("uv", here.version)
    if Version(builder).release[:2] < Version(here.version).release[:2]:
        take = f"`uvflow docker --uv={here.version}` takes this one"
        yield f"uv {builder} builds the image, and uv {here.version} is here: {take}"


def _header_of(path: Path) -> Header | None:
    return header.read(text_if_there(path) or "")


def _check_result(
    findings: tuple[Finding, ...], generated: tuple[ImageFile, ...] = ()
) -> DockerResult:
    """Of the files that are generated: a .dockerignore may be anybody's."""
    changed = [file for file in generated if file.state is not FileState.SAME]
    diffs, error = [*map(difference, changed)], error_of(findings)
    edited = [file for file in changed if file.state is FileState.EDITED]
    if edited:
        error = drift_error(edited[0])
    elif changed:
        what = "the files of the image do not match today's facts"
        error = DriftError(what, hint="`uvflow docker` updates them")
    good = "Current: the files match today's facts" if generated else "No findings"
    return DockerResult(
        text=_lines(*diffs),
        result=tuple(finding_lines(findings)),
        messages=() if findings or changed else (good,),
        data={"diffs": diffs, "findings": [finding.as_json() for finding in findings]},
        error=error,
    )


def _lines(*texts: str) -> tuple[str, ...]:
    return tuple(line for text in texts for line in text.removesuffix("\n").split("\n"))


def error_of(findings: Iterable[Finding]) -> UvflowError | None:
    if all(finding.severity is not Severity.ERROR for finding in findings):
        return None
    return DriftError("the check found errors", hint="each finding says what to write instead")


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        where = f"{finding.origin}: " if finding.origin else ""
        yield f"{where}{finding.severity.value}[{finding.code}] {finding.message}"
        if finding.hint:
            yield f"  {finding.hint}"


def difference(file: ImageFile) -> str:
    """A unified diff; line ends do not count."""
    before, after = ((text or "").splitlines(keepends=True) for text in (file.before, file.text))
    name = file.path.name
    return "".join(difflib.unified_diff(before, after, f"{name} (on disk)", f"{name} (generated)"))


def write_files(plan: ImagePlan, *, force: bool) -> None:
    """Raises DriftError, with nothing written, for a file that is not uvflow's, unless `force`."""
    for file in plan.to_write:
        if file.state in {FileState.EDITED, FileState.FOREIGN} and not force:
            raise drift_error(file)
    for file in plan.to_write:
        write_whole(file.path, file.text.encode(), within=plan.workspace)


def drift_error(file: ImageFile) -> DriftError:
    message, hint = file.state.value
    return DriftError(f"{file.path} {message}", hint=hint)
