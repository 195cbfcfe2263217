"""Run uv until an environment is intact: what is damaged is fetched, removed and reinstalled."""

import re
import sys
import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from uvflow.environment import known_defects, repair
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment, read_configuration
from uvflow.environment.integrity import (
    Damage,
    DamageKind,
    damaged_distributions,
    missing_basics,
    needs_rebuild,
)
from uvflow.environment.interpreter import broken_interpreter, ensure_uv_targets_environment
from uvflow.environment.ownership import discard_set_aside, make_room
from uvflow.environment.repair import Depth, Past, RepairResult
from uvflow.errors import DamagedError, UvFailedError, unwritable
from uvflow.files import remove, write_whole
from uvflow.process import Completed
from uvflow.project.manifest import canonical_name
from uvflow.project.profiles import Profile
from uvflow.state import journal
from uvflow.state.locks import Mutex
from uvflow.state.store import Progress
from uvflow.uv import Streamed, Uv

# A repair may reveal what the damage hid: unfinished installs, then leftovers. And where
# reinstalling from uv's cache does not help, downloading the distribution again may.
_ROUNDS = 5

_ASKING_SECONDS = 20  # how long to look for the reason of a failure

_PLANNED = re.compile(r"^ \+ ([^\s=]+)", re.MULTILINE)  # ` + six==1.16.0`, ` + lib @ file:///…`


def fill(  # noqa: PLR0913, PLR0917  one loop for a sync and for a repair
    context: SyncContext,
    uv: Uv,
    mutex: Mutex,
    past: Past,
    depth: Depth,
    progress: Progress,
    *,
    arguments: tuple[str, ...] = (),
) -> tuple[RepairResult, float]:
    """Run uv and repair damage until only known defects of wheels remain.

    `arguments` are those of uv; without any, what is damaged is reinstalled and nothing else. Also
    returns when uv last ended, in seconds of `time.monotonic`. Raises DamagedError when the
    environment cannot be repaired.
    """
    filling = _Filling(context=context, uv=uv, past=past, exactly=arguments)
    result, ended = RepairResult(), time.monotonic()
    if not missing_basics(filling.environment):
        result = result.inspected(filling.environment, depth, context.state, past)
        # Broken metadata would stop uv, so that is removed first. Leftovers can wait.
        urgent = (d for d in result.damages if d.kind is not DamageKind.LEFTOVER)
        result = replace(result, damages=tuple(urgent))
    for attempt in range(_ROUNDS):
        words = filling.arguments
        if result.damages:
            summary = repair.summary(result.damages)
            progress(f"Repairing {context.environment.name}: {summary}")
            result, words = filling.mend(result)
            depth = max(depth, Depth.SIZES)
        mutex.claim(context.environment)  # what was there may have been set aside
        broken = filling.run(words, is_first=attempt == 0) if words else ()
        ended = time.monotonic()
        # Where uv has recreated it, another process may have got in between. Some settings make uv
        # do so every time.
        if mutex.claim(context.environment) and attempt == 0:
            result = replace(result, damages=())
            continue
        result = result.inspected(filling.environment, depth, context.state, past)
        result = replace(result, damages=broken or result.damages)
        if not result.damages:
            discard_set_aside(context.environment, progress)
            return result.finished(filling.environment, context.state), ended
    raise DamagedError(
        f"could not repair {context.environment}",
        cause=repair.summary(result.damages),
        hint=f"remove {context.environment} and sync again; `uv cache clean` if that fails too",
    )


@dataclass(frozen=True, kw_only=True)
class _Filling:
    """How uv fills the environment: with all that the profile selects, or what is damaged of it."""

    context: SyncContext
    uv: Uv
    past: Past
    exactly: tuple[str, ...]

    @property
    def environment(self) -> Environment:
        """As it is now."""
        return Environment.at(self.context.environment)

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.exactly or self._arguments_for(self.context.profile)

    def _arguments_for(self, profile: Profile) -> tuple[str, ...]:
        if self.exactly:
            return profile.sync_arguments()
        return ("sync", "--frozen", "--inexact", *profile.selection())

    def run(self, arguments: tuple[str, ...], *, is_first: bool) -> tuple[Damage, ...]:
        """Run uv; returns the damage where the environment's Python does not answer it."""
        run = _run_uv if is_first and self.exactly else _run_uv_offline_first
        try:
            run(self.context, self.uv, arguments)
        except UvFailedError:
            answer = self._capture(self.context, *arguments, "--offline", "--dry-run")
            broken = broken_interpreter(self.environment, answer.err)
            if broken is None:
                raise
            return (broken,)
        return ()

    def mend(self, result: RepairResult) -> tuple[RepairResult, tuple[str, ...]]:
        """Remove what is damaged, once uv has fetched it, and restore what uv does not install.

        Also returns with which arguments uv then reinstalls it; none where it need not run.
        """
        environment = self.environment
        if not environment.path.exists():
            return result, self.arguments
        if needs_rebuild(result.damages):
            make_room(environment, map(str, result.damages))
            return result, self.arguments
        result = self._restore_own_files(result)
        damaged = set(damaged_distributions(result.damages))
        selected = self._selected() if damaged else frozenset()
        if selected is None:
            return result, self.arguments  # with which uv says why it refuses
        kept = set() if self.exactly else damaged - selected
        names = damaged - kept
        refetched = selected & names.intersection(result.to_refetch(environment))
        repair.check_removable(environment, result.damages, names)
        self._fetch(names & selected, selected, refetched)
        result = replace(
            repair.remove_damaged(environment, result, names),
            kept=(*result.kept, *sorted(kept)),
            refetched=result.refetched | refetched,
        )
        if self.exactly:
            return result, self.arguments
        return result, (*self.arguments, *_leave_out(selected - names)) if names else ()

    def _restore_own_files(self, result: RepairResult) -> RepairResult:
        """Put back pyvenv.cfg and the scripts that activate the environment."""
        environment = self.environment
        configuration = environment.path / "pyvenv.cfg"
        own = tuple(
            d for d in result.damages if known_defects.can_be_defect(d) and not d.distribution
        )
        paths = [damage.path for damage in own]
        repair.check_removable(environment, own, {""})
        if configuration.name in paths and self.past.configuration is not None:
            _rewrite(configuration, self.past.configuration)
        if set(paths) - {configuration.name}:
            for damage in own:
                if damage.kind is DamageKind.REPLACED:
                    _clear(environment.path / damage.path)
            content = configuration.read_bytes()
            self._run_venv()
            _rewrite(configuration, content)  # uv knows no more than a part of it
        return replace(
            result,
            repaired=tuple(dict.fromkeys((*result.repaired, *paths))),
            damages=tuple(damage for damage in result.damages if damage not in own),
        )

    @property
    def _elsewhere(self) -> tuple[SyncContext, tuple[str, ...]]:
        """A context with an environment that does not exist, and the arguments to fill it."""
        environment = self.environment
        place = environment.path / journal.RECORDS / journal.FETCHED
        profile = self.context.profile
        profile = replace(profile, environment=None, compile_bytecode=False, python=None)
        environ = {**self.context.environ, "UV_PROJECT_ENVIRONMENT": str(place)}
        context = replace(self.context, profile=profile, environ=environ)
        return context, (*self._arguments_for(profile), f"--python={environment.python}")

    def _selected(self) -> frozenset[str] | None:
        """The distributions that uv would install; None where it refuses to."""
        elsewhere, arguments = self._elsewhere
        answer = self._capture(elsewhere, *arguments, "--dry-run", "--offline", "--color=never")
        names = map(canonical_name, _PLANNED.findall(answer.err))
        return frozenset(names) if answer.code == 0 else None

    def _fetch(
        self, names: AbstractSet[str], selected: AbstractSet[str], refetched: AbstractSet[str]
    ) -> None:
        """Have uv fetch `names`; and `refetched` past its cache, which then drops them.

        uv installs them into an environment that is removed again, so that a fetch that fails
        leaves all as it was. Raises UvFailedError or NetworkError.
        """
        elsewhere, arguments = self._elsewhere
        fresh = ("--no-cache", "--link-mode=copy")
        for wanted, options in ((names - refetched, ()), (refetched, fresh)):
            if wanted:
                words = (*arguments, *options, *_leave_out(selected - wanted), "--quiet")
                _clear(elsewhere.environment)
                _run_uv_offline_first(elsewhere, self.uv, words)
        _clear(elsewhere.environment)
        if refetched:
            self._require("cache", "clean", *sorted(refetched))

    def _run_venv(self) -> None:
        """Write the scripts that activate the environment again."""
        environment = self.environment
        configuration = read_configuration(environment) or {}
        prompt = configuration.get("prompt", "").strip("'\"")
        flags = ["--relocatable"] if configuration.get("relocatable") == "true" else []
        flags += [f"--prompt={prompt}"] if prompt else []
        words = ("--quiet", "--no-project", "--allow-existing", f"--python={environment.python}")
        self._require("venv", *words, *flags, str(environment.path))

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
    if path.is_symlink():
        _clear(path)
    write_whole(path, content)


def _clear(path: Path) -> None:
    try:
        remove(path)
    except OSError as error:
        raise unwritable(str(path), error) from error


def _run_uv(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Raises what `uv sync` failed with, the same at a terminal and in a pipe."""
    from uvflow.lockfile import check  # slow, and only needed to refuse

    ensure_uv_targets_environment(context, uv)
    project, environ = context.project, context.environ
    at_terminal = sys.stderr.isatty()
    # A refusal that uv writes to a terminal cannot be replaced by ours, which has the reason.
    if "--locked" in arguments and (at_terminal or check.is_edited(project)):
        stale = check.stale_lockfile_error(project, uv, environ, has_failed=False)
        if stale:
            raise stale
    streamed = uv.run(
        arguments,
        cwd=project.root,
        environ=environ,
        meanwhile=lambda: journal.copy_into(
            context.state, context.profile.name, context.environment
        ),
        until=check.REFUSAL,
    )
    if streamed.code != 0 and at_terminal:
        streamed = _ask_again(context, uv, arguments)
    if streamed.code == 0:
        return
    failure, stale = streamed.failure("uv sync"), None
    if "--locked" in arguments:
        stale = check.stale_lockfile_error(project, uv, environ, has_failed=True)
    if stale and (type(failure) is not UvFailedError or failure.hint):
        # uv would resolve again, and did not get as far as the lockfile.
        raise failure.with_context(cause=stale.cause, hint=failure.hint or stale.hint)
    raise stale or failure


def _ask_again(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> Streamed:
    """Run uv once more to learn why it failed: what it writes to a terminal nobody else reads."""
    environ = {**context.environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "5"}
    running = uv.start((*arguments, "--color=never"), cwd=context.project.root, environ=environ)
    try:
        completed = running.wait(_ASKING_SECONDS)
    except TimeoutError:  # a long build, which has failed before
        return Streamed(code=1)
    return Streamed(code=completed.code, output=completed.err)


def _run_uv_offline_first(context: SyncContext, uv: Uv, arguments: tuple[str, ...]) -> None:
    """Reinstall from uv's cache if it has everything: no network, no second wait."""
    ensure_uv_targets_environment(context, uv)
    offline = (*arguments, "--offline")
    if uv.capture(offline, cwd=context.project.root, environ=context.environ).code != 0:
        _run_uv(context, uv, arguments)
