"""`uvflow docker`: decide what each file is to say, and write those that are uvflow's to write."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from uvflow import uv
from uvflow.docker import bake, compose, header, ignore, render, settings, usage
from uvflow.docker import facts as facts_of
from uvflow.docker.facts import Facts, Options
from uvflow.errors import DriftError
from uvflow.files import read_bytes, write_whole
from uvflow.project import Project


class State(StrEnum):
    """What is at the place of a file, as compared with what it is to say."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"  # made by uvflow from other facts
    EDITED = "edited"  # made by uvflow, and edited since
    FOREIGN = "foreign"  # somebody else's


_NOT_OURS = {State.EDITED, State.FOREIGN}

_WHAT = {
    State.NEW: "is not there",
    State.CHANGED: "is not what today's facts give",
    State.EDITED: "was edited since uvflow made it",
    State.FOREIGN: "was not made by uvflow",
}
_ANEW = "`uvflow docker` makes it anew"
WAYS_OUT = {
    State.NEW: "`uvflow docker` makes it",
    State.CHANGED: f"`uvflow docker --check` shows the difference, {_ANEW}",
    State.EDITED: "`uvflow docker --force` overwrites it; without its first line it is your own, "
    "and `uvflow docker --check` tells what is wrong with it",
    State.FOREIGN: "`uvflow docker --check` tells what is wrong with it, `uvflow docker --print` "
    "what it would be, and `uvflow docker --force` overwrites it",
}


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it is to be, and as it is now (`before`, None where there is none)."""

    path: Path
    text: str
    before: str | None
    state: State


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every file of an image, and what is to be told about them."""

    facts: Facts
    options: Options
    files: tuple[File, ...]
    not_ignored: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def to_write(self) -> tuple[File, ...]:
        """A .dockerignore is the user's as soon as it is there."""
        return tuple(f for f in self.files if f.state is not State.SAME and not _is_kept(f))

    @property
    def dockerfile(self) -> File:
        return self.files[0]


# The files besides the Dockerfile, by the option that asks for each.
MORE: Mapping[str, tuple[str, Callable[[Facts], str]]] = {
    "bake": ("docker-bake.hcl", bake.bake_file),
    "compose": ("compose.yaml", compose.compose_file),
}


def plan(project: Project, given: Options, *, more: Iterable[str] = ()) -> Plan:
    """What `uvflow docker` does with these options; `more` are names of MORE.

    What `given` leaves open is as it was when the Dockerfile was made last, and a file of MORE
    that uvflow made once is kept up. Raises what reading the facts raises.
    """
    options = _options(given, project)
    facts = facts_of.read(project, options)
    ignored = _file(_ignore_path(project), ignore.dockerignore())
    wanted = [name for name, (path, _) in MORE.items() if name in more or _is_ours(project, path)]
    made = [("Dockerfile", render.dockerfile), *(MORE[name] for name in wanted)]
    return Plan(
        facts=facts,
        options=options,
        files=(*(_made(project, *file, facts, options) for file in made), ignored),
        not_ignored=ignore.missing(ignored.before or ignored.text),
        remarks=(*facts.remarks, *_on_an_older_uv(options)),
    )


def carry_out(plan: Plan, *, force: bool) -> tuple[Path, ...]:
    """Write what is not yet as planned and return it.

    Raises DriftError, with nothing written, for a file that was edited or made by somebody else,
    unless `force`.
    """
    for file in plan.to_write:
        if file.state in _NOT_OURS and not force:
            raise not_as_planned(file)
    for file in plan.to_write:
        write_whole(file.path, file.text.encode())
    return tuple(file.path for file in plan.to_write)


def not_as_planned(file: File) -> DriftError:
    """What is to be said of a file that is not as it is to be; its hint says the ways out."""
    return DriftError(f"{file.path} {_WHAT[file.state]}", hint=WAYS_OUT[file.state])


def _options(given: Options, project: Project) -> Options:
    """`given`, completed from the header of the Dockerfile that is there, and by the uv here."""
    before = _options_before(project.root / "Dockerfile")
    options = Options(
        uv=given.uv or before.uv,
        python=given.python or before.python,
        base=given.base or before.base,
        stages=given.stages or before.stages,
    )
    said = project.table("tool", "uvflow", "docker")
    if options.uv or "uv" in said or "uv-image" in said:
        return options
    return replace(options, uv=uv.find().version)


def _options_before(dockerfile: Path) -> Options:
    """Raises UsageError where the first line was edited to say what cannot be."""
    made = header.read(_text(dockerfile) or "")
    if made is None:
        return Options()
    for name in ("base", "stages", "uv"):
        value = getattr(made.options, name)
        if value is not None:
            settings.checked(name, value, f"{dockerfile}:1: --{name}")
    return made.options


def _on_an_older_uv(options: Options) -> tuple[str, ...]:
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
    project: Project, path: str, body: Callable[[Facts], str], facts: Facts, options: Options
) -> File:
    text = header.with_header(body(facts), facts, options, usage.of(facts))
    return _file(project.root / path, text)


def _ignore_path(project: Project) -> Path:
    """BuildKit prefers NAME.dockerignore beside the Dockerfile; a member's context is not its own.

    (Docker docs, "Build context", "Filename and location".)
    """
    if project.root == project.workspace:
        return project.root / ".dockerignore"
    return project.root / "Dockerfile.dockerignore"


def _file(path: Path, text: str) -> File:
    before = _text(path)
    return File(path=path, text=text, before=before, state=_state(before, text))


def _state(before: str | None, text: str) -> State:
    if before is None:
        return State.NEW
    if before.replace("\r\n", "\n") == text:
        return State.SAME
    if header.read(before) is None:
        return State.FOREIGN
    return State.CHANGED if header.is_as_made(before) else State.EDITED


def _text(path: Path) -> str | None:
    return read_bytes(path).decode(errors="replace") if path.is_file() else None


def _is_kept(file: File) -> bool:
    return file.path.name.endswith(".dockerignore") and file.before is not None
