"""`uvflow status`: one verdict with reasons. Offline, and writes nothing."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from uvflow import elsewhere, lockfile, proof
from uvflow.environment import Environment, distributions
from uvflow.errors import UvMissingError
from uvflow.journal import Interruption
from uvflow.lockfile import Judgement, Verdict
from uvflow.profiles import SET_ASIDE, Choice
from uvflow.project import Project
from uvflow.proof import Damage
from uvflow.standing import Reason, Standing, Status
from uvflow.uv import Answer, Question, Uv, find
from uvflow.work import Work

_SILENT = "only uv could tell"
_PLACE = "UV_PROJECT_ENVIRONMENT"


def status(project: Project, choice: Choice) -> Status:
    """Look at lockfile, environment, uv and variables; what is wrong is told, not raised."""
    look = _Look.at(Work.of(project, choice))
    return Status(
        profile=look.work.profile.name,
        chosen_by=look.work.chosen_by,
        environment=look.there.path,
        reasons=(
            *_of_lockfile(look),
            *_of_environment(look),
            *_of_files(look),
            *_of_origin(look),
            *_of_uv(look),
            *_of_variables(look.work, os.environ),
            *_of_journal(look),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What was found.

    `judgement` is None where a snapshot tells enough, `check` where uv was not asked about the
    environment; `foreign` are the sentences of `elsewhere`.
    """

    work: Work
    there: Environment
    damages: tuple[Damage, ...]
    foreign: tuple[str, ...]
    uv: Uv | None
    without_uv: UvMissingError | None
    judgement: Judgement | None
    check: Answer | None

    @classmethod
    def at(cls, work: Work) -> "_Look":
        """Both questions to uv are asked at once, and the environment looked at meanwhile."""
        uv, without_uv = _found_uv(work.environ)
        judging = checking = None
        if not work.is_current():
            checking = _begin_to_check(work, uv)
            judging = lockfile.begin_to_judge(work.project, uv, work.environ)
        there = Environment.at(work.environment)
        exists = there.path.is_dir()
        return cls(
            work=work,
            there=there,
            damages=proof.unfinished(there) if exists else (),
            foreign=elsewhere.made_elsewhere(there) if exists else (),
            uv=uv,
            without_uv=without_uv,
            judgement=judging() if judging else None,
            check=checking.answer() if checking else None,
        )

    @property
    def exists(self) -> bool:
        return self.there.path.is_dir()

    @property
    def name(self) -> str:
        """The environment as it is told: relative to the workspace where it lies in there."""
        path = self.there.path
        return (
            path.relative_to(self.work.project.workspace) if self.is_within else path
        ).as_posix()

    @property
    def is_within(self) -> bool:
        return self.there.path.is_relative_to(self.work.project.workspace)

    @property
    def is_remade(self) -> bool:
        """Whether a sync makes it anew by itself; it never does that outside the workspace."""
        is_moved = any(sentence in self.foreign for sentence in elsewhere.moved(self.there))
        return self.is_within and (is_moved or proof.needs_rebuild(self.damages))

    @property
    def is_stale(self) -> bool:
        return self.judgement is not None and self.judgement.verdict is Verdict.STALE

    @property
    def sync(self) -> str:
        """What to type for a sync that succeeds."""
        flag = {"dev": " --dev", "prod": " --prod"}
        name = self.work.profile.name
        asked = "" if self.work.chosen_by else flag.get(name, f" --profile {name}")
        return f"{'`uv lock`, then ' if self.is_stale else ''}`uvflow sync{asked}`"


def _found_uv(environ: Mapping[str, str]) -> tuple[Uv | None, UvMissingError | None]:
    try:
        return find(environ), None
    except UvMissingError as error:
        return None, error


def _begin_to_check(work: Work, uv: Uv | None) -> Question | None:
    """What uv would do; `--frozen`, since what is asked is not whether the lockfile is stale."""
    if uv is None or not work.environment.is_dir() or not work.project.lockfile.exists():
        return None
    arguments = ("sync", "--frozen", "--check", "--offline", *work.profile.selection())
    return uv.begin_to_ask(
        (*arguments, "--color=never"), cwd=work.project.root, environ=work.environ
    )


def _of_lockfile(look: _Look) -> Iterator[Reason]:
    judgement = look.judgement
    if judgement is None:
        yield Reason(aspect="lockfile", state=Standing.OK, message="is as it was at the last sync")
        return
    if judgement.verdict is Verdict.NO_UV:
        yield Reason(aspect="lockfile", state=Standing.UNKNOWN, message=_SILENT)
        return
    standing = Standing(judgement.verdict)
    for sentence in judgement.reasons:
        yield Reason(aspect="lockfile", state=standing, message=sentence, hint=judgement.hint)


def _of_environment(look: _Look) -> Iterator[Reason]:
    """The environment against the lockfile and the profile."""
    profile = look.work.profile.name
    if not look.exists:
        chosen = "" if look.work.profile.environment else look.work.environ.get(_PLACE)
        yield _out_of_sync(look, f"there is no {look.name}" + (f" ({_PLACE})" if chosen else ""))
        return
    deviations = _deviations(look)
    if deviations is None:
        message = "not compared: uv cannot use the lockfile" if look.is_stale else _SILENT
        yield Reason(aspect="environment", state=Standing.UNKNOWN, message=message)
    elif deviations:
        yield from (_out_of_sync(look, sentence) for sentence in deviations)
    else:
        message = f"{look.name} has what uv.lock and the profile {profile} ask for"
        yield Reason(aspect="environment", state=Standing.OK, message=message)


def _out_of_sync(look: _Look, message: str) -> Reason:
    return Reason(aspect="environment", state=Standing.OUT_OF_SYNC, message=message, hint=look.sync)


def _deviations(look: _Look) -> tuple[str, ...] | None:
    """Sentences about what uv would change; None where it does not say."""
    if look.judgement is None:
        return ()
    if look.check is None or look.judgement.verdict is Verdict.NO_UV:
        return None
    if look.check.code == 0:
        return ()
    if "Would replace" in look.check.err:
        return (_another_python(look),)
    return changes(look.check.err) or _refused(look.check, look.judgement)


# ` + six==1.16.0`, ` - six==1.15.0`, ` ~ shop==0.1.0 (from file:///…)`, ` + lib @ file:///…`
_CHANGE = re.compile(r"^ ([-+~]) ([^\s=]+)(?:==(\S+))?", re.MULTILINE)


def changes(said: str) -> tuple[str, ...]:
    """Sentences about what `uv sync --check` lists, one a distribution."""
    found: dict[str, dict[str, str]] = {}
    for sign, name, version in _CHANGE.findall(said):
        found.setdefault(name, {})[sign] = version
    return tuple(_sentence(name, change) for name, change in found.items())


def _sentence(name: str, change: Mapping[str, str]) -> str:
    if set(change) == {"+"}:
        return f"{name} {change['+']}".strip() + " is missing"
    if set(change) == {"-"}:
        return f"{name} {change['-']} is not asked for"
    then, now = change.get("-", ""), change.get("+", "")
    if now and then != now:
        return f"{name} is {then} instead of {now}"
    return f"{name} has changed at its source since it was installed"


def _refused(check: Answer, judgement: Judgement) -> tuple[str, ...] | None:
    """Why uv does not compare, unless that is the lockfile, of which is told."""
    refusal = lockfile.problem(check)
    is_told = any(refusal in reason for reason in judgement.reasons) or "`--frozen`" in refusal
    return None if is_told else (refusal,)


def _another_python(look: _Look) -> str:
    """uv makes an environment anew when it has the wrong Python, or one that does not run."""
    if proof.needs_rebuild(look.damages):
        return "uv would make it anew"
    found = elsewhere.python_version(look.there) or "a Python that does not run"
    asked = look.work.profile.python
    required = look.work.project.metadata.get("requires-python")
    if asked:
        return f"it has Python {found}, and the profile asks for {asked}"
    return f"it has Python {found}, and uv would take another (requires-python: {required})"


def _of_files(look: _Look) -> Iterator[Reason]:
    """The environment against the disk, by the metadata alone: `uvflow verify` sees more."""
    is_lost = proof.needs_rebuild(look.damages) and not look.is_within
    hint = _by_hand(look) if is_lost else f"{look.sync} repairs it"
    for damage in look.damages:
        yield Reason(
            aspect="files",
            state=Standing.DAMAGED,
            message=str(damage),
            hint=hint,
        )
    if look.exists and not look.damages:
        count = len(distributions(look.there))
        yield Reason(
            aspect="files",
            state=Standing.OK,
            message=f"{count} distributions, none half installed (`uvflow verify` looks closer)",
        )


def _by_hand(look: _Look) -> str:
    verb = "remove" if look.is_within else "empty"  # elsewhere a directory may be a mount point
    return f"{verb} {look.name}, then {look.sync}"


def _of_origin(look: _Look) -> Iterator[Reason]:
    for sentence in look.foreign:
        hint = f"{look.sync} makes it anew" if look.is_remade else _by_hand(look)
        yield Reason(aspect="origin", state=Standing.DAMAGED, message=sentence, hint=hint)
    if look.exists and not look.foreign:
        version = elsewhere.python_version(look.there)
        message = f"made here, with Python {version}" if version else "made here"
        yield Reason(aspect="origin", state=Standing.OK, message=message)


def _of_uv(look: _Look) -> Iterator[Reason]:
    if look.uv is None:
        error = look.without_uv
        message, hint = (error.message, error.hint or "") if error else ("", "")
        yield Reason(aspect="uv", state=Standing.UNUSABLE, message=message, hint=hint)
    elif look.judgement is not None and look.judgement.verdict is Verdict.NO_UV:
        yield Reason(
            aspect="uv",
            state=Standing.UNUSABLE,
            message=look.judgement.reasons[0],
            hint=look.judgement.hint,
        )
    else:
        yield Reason(aspect="uv", state=Standing.OK, message=f"uv {look.uv.version}")


def _of_variables(work: Work, environ: Mapping[str, str]) -> Iterator[Reason]:
    """Variables that say something else than the profile."""
    for name in SET_ASIDE:
        if environ.get(name):
            yield _note(f"{name} has no effect: the profile decides")
    decided = {_PLACE: work.profile.environment, "UV_PYTHON": work.profile.python}
    for name, value in decided.items():
        if value and environ.get(name, value) != value:
            yield _note(f"{name} has no effect: the profile says {value}")
    active = environ.get("VIRTUAL_ENV")
    if active and os.path.realpath(active) != os.path.realpath(work.environment):
        yield _note(f"another environment is activated: {active}")


def _note(message: str) -> Reason:
    return Reason(aspect="variables", state=Standing.NOTE, message=message)


def _of_journal(look: _Look) -> Iterator[Reason]:
    """A sync that got as far as its snapshot was done."""
    if look.judgement is None or look.work.interruption < Interruption.KILLED:
        return
    is_busy = look.work.state.is_busy()
    yield Reason(
        aspect="sync",
        state=Standing.OUT_OF_SYNC,
        message="a sync is under way" if is_busy else "the last sync did not get to its end",
        hint="" if is_busy else look.sync,
    )
