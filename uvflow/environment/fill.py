"""Run uv until an environment is intact: what is damaged is fetched, removed and reinstalled."""

import contextlib
import re
import sys
import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

from uvflow.environment import repair
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment, read_configuration
from uvflow.environment.integrity import (
    Damage,
    DamageKind,
    linked_packages,
    needs_rebuild,
)
from uvflow.environment.interpreter import broken_interpreter, ensure_uv_targets_environment
from uvflow.environment.ownership import discard_set_aside, make_room
from uvflow.environment.repair import Depth, Past, RepairResult
from uvflow.errors import DamagedError, UvFailedError, disk_errors
from uvflow.files import remove, write_whole
from uvflow.lockfile.check import stale_lockfile_error
from uvflow.paths import MANIFEST
from uvflow.process import Completed
from uvflow.project.manifest import Project, canonical_name
from uvflow.project.profiles import Profile
from uvflow.state import journal
from uvflow.state.locks import Mutex
from uvflow.state.store import Progress
from uvflow.uv import REFUSAL, Uv, failure_of

# A repair may reveal what the damage hid: unfinished installs, then leftovers. And where
# reinstalling from uv's cache does not help, downloading the distribution again may.
_ROUNDS = 5

_ASKING_SECONDS = 20  # how long to look for the reason of a failure

_PLANNED = r"(?m)^ \+ ([^\s=]+)"  # ` + six==1.16.0`, ` + lib @ file:///…`


class Filling:
    """How uv fills an environment: with all that the profile selects, or what is damaged of it.

    `environment`, `damages` and `defects` are of the last inspection, `seen` are both of the one
    before it. `ended` is when uv last did, in seconds of `time.monotonic`. `taken` are the damaged
    distributions that were removed to be reinstalled, with the paths of their metadata; `refetched`
    were dropped from uv's cache before; `kept` uv would not reinstall. `own` are files of the
    environment itself that were put back, and `aside` is where the whole was set aside.
    """

    def __init__(
        self,
        context: SyncContext,
        uv: Uv,
        mutex: Mutex,
        environment: Environment,
        progress: Progress,
    ) -> None:
        # Before a sync is marked as running, which `Past.of` would take for an interrupted one.
        self.context = context
        self.uv = uv
        self.mutex = mutex
        self.environment = environment
        self.progress = progress
        self.past = Past.of(context, environment)
        self.depth = self.past.depth
        self.aside: Path | None = None
        self.exactly: tuple[str, ...] = ()
        self.ended = 0.0
        self.damages: list[Damage] = []
        self.defects: list[Damage] = []
        self.seen: list[Damage] = []
        self.taken: dict[str, str] = {}
        self.refetched: set[str] = set()
        self.kept: list[str] = []
        self.own: list[str] = []
        self.removed: list[str] = []

    def complete(
        self, exactly: tuple[str, ...] = (), *, depth: Depth = Depth.METADATA
    ) -> RepairResult:
        """Run uv and repair damage until only known defects of wheels remain.

        `exactly` are the arguments of uv; without any, what is damaged is reinstalled and nothing
        else. `depth` is how closely to look at least. Raises DamagedError when the environment
        cannot be repaired.
        """
        path = self.context.environment
        self.exactly, self.depth = exactly, max(depth, self.past.depth)
        self._inspect()
        if needs_rebuild(self.damages):  # what was there has been set aside, and uv makes another
            self.damages = []
        else:
            found = dict.fromkeys((*self.damages, *linked_packages(self.environment)))
            # Broken metadata would stop uv, so that is removed first. Leftovers can wait.
            self.damages = [d for d in found if d.kind is not DamageKind.LEFTOVER]
        for attempt in range(_ROUNDS):
            if self._is_intact_after_round(is_first=attempt == 0):
                discard_set_aside(path, self.progress)
                return self._result()
        raise DamagedError(
            f"could not repair {path}",
            cause=repair.summary(self.damages),
            hint=f"remove {path} and sync again; `uv cache clean` if that fails too",
        )

    def _is_intact_after_round(self, *, is_first: bool) -> bool:
        path, arguments, broken = self.context.environment, self.arguments, None
        if self.damages:
            self.progress(f"Repairing {path.name}: {repair.summary(self.damages)}")
            arguments = self._mend()
            self.depth = max(self.depth, Depth.SIZES)
        self.mutex.claim(path)  # what was there may have been set aside
        if arguments:
            run = _run_uv if is_first and self.exactly else _run_uv_offline_first
            try:
                run(self.context, self.uv, arguments)
            except UvFailedError:
                answer = self._capture(self.context, *arguments, "--offline", "--dry-run")
                broken = broken_interpreter(self.environment, answer.err)
                if broken is None:
                    raise
        self.ended = time.monotonic()
        self.environment = Environment(path)
        # Where uv has recreated it, another process may have got in between. Some settings make uv
        # do so every time.
        if self.mutex.claim(path) and is_first:
            self.damages = []
            return False
        self._inspect()
        self.damages = [broken] if broken else self.damages
        return not self.damages

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.exactly or self._arguments_for(self.context.profile)

    def _arguments_for(self, profile: Profile) -> tuple[str, ...]:
        if self.exactly:
            return profile.sync_arguments()
        return ("sync", "--frozen", "--inexact", *profile.selection())

    def _inspect(self) -> None:
        """Look for damage.

        What is back after a repair comes from the wheel itself where that was downloaded again.
        """
        damages, known = repair.find_damage(self.environment, self.depth, self.past)
        self.seen = [*self.damages, *self.defects]
        back = (d for d in damages if d in self.seen and d.distribution in self.refetched)
        self.defects = [*known, *filter(repair.can_be_defect, back)]
        others = (d for d in damages if d not in self.defects)
        self.damages = [d for d in others if d.distribution not in self.kept]

    def _mend(self) -> tuple[str, ...]:
        """Remove what is damaged, once uv has fetched it, and restore what uv does not install.

        Returns with which arguments uv then reinstalls it; none where it need not run.
        """
        environment = self.environment
        if not environment.path.exists():
            return self.arguments
        if needs_rebuild(self.damages):
            aside = make_room(environment, map(str, self.damages))
            self.aside = self.aside or aside
            return self.arguments
        self._restore_own_files()
        damaged = {damage.distribution for damage in self.damages} - {""}
        selected = self._selected() if damaged else frozenset()
        if selected is None:
            return self.arguments  # with which uv says why it refuses
        names = damaged if self.exactly else damaged & selected
        self.kept += sorted(damaged - names)
        # What comes back from uv's cache is damaged there too: the same file through a link, say.
        again = (d for d in self.damages if d in self.seen and repair.can_be_defect(d))
        spoilt = {damage.distribution for damage in again}
        repair.check_removable(environment, self.damages, names)
        self._fetch(names & selected, selected, names & selected & spoilt)
        installed = {d.name: environment.relative(d.path) for d in environment.distributions}
        self.taken.update((name, installed.get(name, "")) for name in sorted(names))
        self.removed += repair.remove_damaged(environment, self.damages, names)
        if self.exactly:
            return self.arguments
        return (*self.arguments, *_leave_out(selected - names)) if names else ()

    def _result(self) -> RepairResult:
        """The final result; known defects are recorded."""
        state, environment = self.context.state, self.environment
        if self.defects:
            repair.record_defects(state, environment, self.defects)
        installed = {distribution.name for distribution in environment.distributions}
        gone = (path for name, path in self.taken.items() if name not in installed)
        return RepairResult(
            repaired=(*(name for name in self.taken if name in installed), *self.own),
            removed=tuple(dict.fromkeys((*self.removed, *gone))),
            kept=tuple(self.kept),
            known_defects=tuple(self.defects),
        )

    def _restore_own_files(self) -> None:
        """Put back pyvenv.cfg and the scripts that activate the environment."""
        environment = self.environment
        configuration = environment.path / "pyvenv.cfg"
        damages = [d for d in self.damages if repair.can_be_defect(d) and not d.distribution]
        repair.check_removable(environment, damages, {""})
        paths = dict.fromkeys(damage.path for damage in damages)
        synced = self.past.configuration(environment)
        if configuration.name in paths and synced is not None:
            _rewrite(configuration, synced)
        scripts = paths.keys() - {configuration.name}
        if scripts:
            self._restore_scripts(scripts)
        self.own += (path for path in paths if path not in self.own)
        self.damages = [damage for damage in self.damages if damage not in damages]

    @property
    def _elsewhere(self) -> tuple[SyncContext, tuple[str, ...]]:
        """A context with an environment that does not exist, and the arguments to fill it."""
        environment = self.environment
        place = environment.path / journal.FETCHED
        profile = self.context.profile
        profile = profile._replace(environment=None, compile_bytecode=False, python=None)
        environ = {**self.context.environ, "UV_PROJECT_ENVIRONMENT": str(place)}
        context = self.context._replace(profile=profile, environ=environ)
        return context, (*self._arguments_for(profile), f"--python={environment.python}")

    def _selected(self) -> frozenset[str] | None:
        """The distributions that uv would install; None where it refuses to."""
        elsewhere, arguments = self._elsewhere
        _clear(elsewhere.environment)  # uv refuses what a kill has left half made
        answer = self._capture(elsewhere, *arguments, "--dry-run", "--offline", "--color=never")
        names = map(canonical_name, re.findall(_PLANNED, answer.err))
        return frozenset(names) if answer.code == 0 else None

    def _fetch(
        self, names: AbstractSet[str], selected: AbstractSet[str], refetched: AbstractSet[str]
    ) -> None:
        """Have uv fetch `names`; and `refetched` past its cache, which then drops them.

        uv installs them into an environment that is removed again, so that a fetch that fails
        leaves all as it was. Raises UvFailedError or NetworkError.
        """
        elsewhere, arguments = self._elsewhere

        def fetch(wanted: AbstractSet[str], *options: str) -> None:
            words = (*arguments, *options, *_leave_out(selected - wanted), "--quiet")
            _clear(elsewhere.environment)
            _run_uv_offline_first(elsewhere, self.uv, words)

        cached = names - refetched
        if cached:
            try:
                fetch(cached)
            except UvFailedError:  # the cache may have the same damage, and uv refuses it
                self.progress(f"Fetching again, past uv's cache: {', '.join(sorted(cached))}")
                refetched |= cached
        if refetched:
            fetch(refetched, "--no-cache", "--link-mode=copy")
            self._require("cache", "clean", *sorted(refetched))
            self.refetched |= refetched
        _clear(elsewhere.environment)

    def _restore_scripts(self, paths: Iterable[str]) -> None:
        """Put back the scripts that activate the environment, as uv writes them into another one.

        In this one it would write through links, and change more than is damaged.
        """
        environment, made = self.environment, self._elsewhere[0].environment
        _clear(made)
        configuration = read_configuration(environment) or {}
        prompt = configuration.get("prompt", "").strip("'\"")
        words = ["venv", "--quiet", "--no-project", f"--python={environment.python}"]
        if configuration.get("relocatable") == "true":
            words.append("--relocatable")
        if prompt:
            words.append(f"--prompt={prompt}")
        self._require(*words, str(made))
        below = str(made).removeprefix(str(environment.path)).encode()
        for source, target in ((made / path, environment.path / path) for path in paths):
            if source.is_symlink():  # to the interpreter beside it
                _clear(target)
                target.symlink_to(source.readlink())
            elif source.exists():
                _rewrite(target, source.read_bytes().replace(below, b""))
        _clear(made)

    def _require(self, *arguments: str) -> None:
        """Raises UvFailedError where uv fails."""
        completed = self._capture(self.context, *arguments)
        if completed.code != 0:
            raise UvFailedError(
                f"`uv {' '.join(arguments)}` failed with exit code {completed.code}",
                cause=completed.err.strip() or None,
            )

    def _capture(self, context: SyncContext, *arguments: str) -> Completed:
        # UV_VENV_CLEAR is another way to make an environment, and uv 0.9 wants but one.
        environ = {k: v for k, v in context.environ.items() if not k.startswith("UV_VENV_")}
        return self.uv.capture(arguments, cwd=context.project.root, environ=environ)


def _leave_out(names: Iterable[str]) -> Iterator[str]:
    return (f"--no-install-package={name}" for name in sorted(names))


def _rewrite(path: Path, content: bytes) -> None:
    """Never through a link. Raises DiskError."""
    if path.is_symlink() or path.is_dir():
        _clear(path)
    write_whole(path, content)


def _clear(path: Path) -> None:
    with disk_errors(path):
        remove(path)


def _run_uv(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Raises what `uv sync` failed with, the same at a terminal and in a pipe."""
    ensure_uv_targets_environment(context, uv)
    project, environ = context.project, context.environ
    is_locked, at_terminal = "--locked" in arguments, sys.stderr.isatty()
    # A refusal that uv writes to a terminal cannot be replaced by ours, which has the reason.
    if is_locked and (at_terminal or _is_edited(project)):
        stale = stale_lockfile_error(project, uv, environ, has_failed=False)
        if stale:
            raise stale
    copy = partial(journal.copy_into, context.state, context.profile.name, context.environment)
    answer = uv.run(arguments, cwd=project.root, environ=environ, meanwhile=copy, until=REFUSAL)
    if answer.code != 0 and at_terminal:  # what uv writes to that nobody else reads
        quick = {**environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5"}
        plain = (*arguments, "--color=never")
        with contextlib.suppress(TimeoutError):  # a long build, which has failed before
            answer = uv.capture(plain, cwd=project.root, environ=quick, seconds=_ASKING_SECONDS)
    if answer.code == 0:
        return
    failure = failure_of(answer, "uv sync")
    stale = None
    if is_locked:
        stale = stale_lockfile_error(project, uv, environ, has_failed=True)
    if stale and (type(failure) is not UvFailedError or failure.hint):
        # uv would resolve again, and did not get as far as the lockfile.
        raise failure.with_context(cause=stale.cause, hint=failure.hint or stale.hint)
    raise stale or failure


def _is_edited(project: Project) -> bool:
    """Whether pyproject.toml is newer than the lockfile."""
    try:
        locked = project.lockfile.stat().st_mtime_ns
        return (project.root / MANIFEST).stat().st_mtime_ns > locked
    except OSError:
        return False


def _run_uv_offline_first(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Reinstall from uv's cache if it has everything: no network, no second wait."""
    ensure_uv_targets_environment(context, uv)
    offline = (*arguments, "--offline")
    if uv.capture(offline, cwd=context.project.root, environ=context.environ).code != 0:
        _run_uv(context, uv, arguments)
