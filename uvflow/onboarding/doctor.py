"""`uvflow doctor`: what is wrong with the machine and the project, and what to type then.

Checks what `uvflow status` checks, and more. Runs no code of the project.
"""

import contextlib
import itertools
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from uvflow.docker import header
from uvflow.docker.command import DockerOptions, run_docker
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment, python_version
from uvflow.environment.interpreter import cache_directory
from uvflow.environment.status import Check, status
from uvflow.errors import NetworkError, UsageError, UvFailedError, UvflowError, UvMissingError
from uvflow.files import read_regular, target_inside, text_if_there
from uvflow.findings import Finding, Severity
from uvflow.fingerprint import uv_candidates
from uvflow.lockfile.check import ASK, Level, failure_reason
from uvflow.lockfile.packages import read_lockfile
from uvflow.onboarding.setup import Setup
from uvflow.onboarding.shell import has_idle_hooks
from uvflow.uv import SIGNS_OF_NO_NETWORK, failure_of, find

_Fault = tuple[Level, str, str]  # a level, a message and a hint
_Look = Callable[[SyncContext], Iterator[_Fault]]

# The code of a finding → its severity, and the aspect that it is about.
_RULES = {
    "cache-not-linked": (Severity.NOTE, "links"),
    "directory-not-writable": (Severity.ERROR, "directories"),
    "dockerfile-not-current": (Severity.ERROR, "Dockerfile"),
    "env-file-incomplete": (Severity.WARNING, ".env"),
    "environment-from-elsewhere": (Severity.ERROR, "origin"),
    "environment-not-synced": (Severity.ERROR, "environment"),
    "files-damaged": (Severity.ERROR, "files"),
    "hook-without-effect": (Severity.WARNING, "hooks"),
    "image-python-differs": (Severity.NOTE, "image"),
    "index-unusable": (Severity.ERROR, "index"),
    "lockfile-not-current": (Severity.ERROR, "lockfile"),
    "setup-not-done": (Severity.WARNING, "setup"),
    "sync-unfinished": (Severity.ERROR, "sync"),
    "uv-does-not-run": (Severity.WARNING, "PATH"),
    "uv-unusable": (Severity.ERROR, "uv"),
    "variable-without-effect": (Severity.NOTE, "variables"),
}

_MOST_VARIABLES = 1 << 20  # bytes of a file of variables


def examine(context: SyncContext, *, is_offline: bool) -> tuple[Check, ...]:
    """All checks, which are made in parallel."""
    with contextlib.suppress(UvMissingError):
        find(context.environ)  # before threads start: to find uv's package it reads sysconfig
    with ThreadPoolExecutor() as pool:
        cache = pool.submit(cache_directory, context).result  # two checks ask uv for it once
        looks: dict[str, _Look] = {
            "PATH": _look_for_uv,
            "index": _ask_indexes,
            ".env": _compare_env_files,
            "setup": _look_at_steps,
            "directories": lambda context: _look_at_directories(context, cache()),
            "links": lambda context: _look_at_links(context, cache()),
            "Dockerfile": _look_at_dockerfile,
            "image": _compare_pythons,
            "hooks": _look_at_hooks,
        }
        if is_offline or os.environ.get("UV_OFFLINE"):
            del looks["index"]
        found = pool.map(partial(_checks, context), looks.keys(), looks.values())
        known = status(context).checks
        # If uv fails, that is a fault, unless damage may be the reason, which a sync repairs.
        if not any(check.level is Level.DAMAGED for check in known):
            known = tuple(map(_as_failure, known))
        return (*known, *itertools.chain(*found))


def _as_failure(check: Check) -> Check:
    if check.hint != ASK or any(sign in check.message for sign in SIGNS_OF_NO_NETWORK):
        return check
    is_python = "No interpreter found" in check.message
    return check._replace(level=Level.UNUSABLE, hint="`uv python install`" if is_python else ASK)


def state_of(checks: Iterable[Check]) -> str:
    """The result of all checks of one aspect: failed, unknown or passed."""
    levels = {check.level for check in checks} - {Level.OK, Level.NOTE}
    if levels - {Level.UNKNOWN}:
        return "failed"
    return "unknown" if levels else "passed"


def findings_of(checks: Iterable[Check]) -> Iterator[Finding]:
    """A finding for each check that did not pass, notes included."""
    rules = {aspect: (severity, code) for code, (severity, aspect) in _RULES.items()}
    for check in checks:
        if check.level not in {Level.OK, Level.UNKNOWN}:
            yield Finding(*rules[check.aspect], check.message, hint=check.hint or None)


def is_mended_by_sync(checks: Iterable[Check]) -> bool:
    """Whether a sync would mend something, and can run."""
    failed = [check for check in checks if state_of([check]) == "failed"]
    is_mended = any(check.hint.startswith("`uvflow sync") for check in failed)
    return is_mended and not {"lockfile", "uv"} & {check.aspect for check in failed}


def _checks(context: SyncContext, aspect: str, look: _Look) -> tuple[Check, ...]:
    try:
        found = tuple(look(context))
    except (NetworkError, UvMissingError) as error:
        found = ((Level.UNKNOWN, error.message, ""),)
    except (UvflowError, OSError) as error:
        found = ((Level.UNUSABLE, str(error), getattr(error, "hint", "") or ""),)
    return tuple(Check(aspect, *each) for each in found or ((Level.OK, "", ""),))


def _look_for_uv(context: SyncContext) -> Iterator[_Fault]:
    """The files called uv that PATH has before the one that runs."""
    uv = find(context.environ)
    for path in map(os.path.abspath, uv_candidates(context.environ)):
        if path == uv.path:
            return
        hint = "mend or remove it, or name the right one in UVFLOW_UV"
        yield Level.UNUSABLE, f"{path} comes before {uv.path}, and does not run as uv", hint


def _ask_indexes(context: SyncContext) -> Iterator[_Fault]:
    """Have uv ask each index in uv.lock for one package."""
    lockfile = context.project.lockfile
    try:
        packages = read_lockfile(lockfile).packages if lockfile.exists() else ()
    except UsageError:
        yield Level.UNKNOWN, "uv.lock, which names them, cannot be read", ""
        return
    indexed = (package for package in packages if "registry" in package.source)
    names = {package.source["registry"]: package.name for package in indexed}
    # With uvflow's own Python: `[tool.uv.pip]` may name one of the project, which uv would start.
    words = ("pip", "install", "--dry-run", "--no-deps", "--no-build", f"--python={sys.executable}")
    refreshed = (f"--refresh-package={name}" for name in names.values())
    with tempfile.TemporaryDirectory() as target:
        answer = find().capture(
            (*words, f"--target={target}", *refreshed, "--", *names.values()),
            cwd=context.project.root,
            environ={**context.environ, "UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"},
        )
    failure = failure_of(answer, "uv pip install")
    if isinstance(failure, NetworkError):
        reason = failure_reason(answer)
        raise NetworkError(f"an index of uv.lock could not be reached: {reason}")
    if isinstance(failure, UvFailedError) and failure.hint:  # without one, it is not the index
        yield Level.UNUSABLE, "an index of uv.lock does not accept the login", failure.hint


def _compare_env_files(context: SyncContext) -> Iterator[_Fault]:
    root = context.project.root
    example, own = root / ".env.example", root / ".env"
    if example.is_file() and own.is_file():
        for name in sorted(_keys(target_inside(example, root)) - _keys(own)):
            yield Level.OUT_OF_SYNC, f"{name} is in {example.name} only", f"set it in {own.name}"


def _keys(path: Path) -> set[str]:
    text = read_regular(path, _MOST_VARIABLES).decode(errors="replace")
    # Not `\s`, which on many empty lines takes quadratic time.
    return set(re.findall(r"(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=", text))


def _look_at_steps(context: SyncContext) -> Iterator[_Fault]:
    """All steps but syncs, which `status` checks."""
    setup = Setup.of(context.project, os.environ)
    others = tuple(pair for pair in setup.steps if not pair[0].sync)
    for report in setup._replace(steps=others).plan():
        if report.reason:
            yield Level.OUT_OF_SYNC, f"{report.name} is due: {report.reason}", "`uvflow setup`"


def _look_at_directories(context: SyncContext, cache: Path | None) -> Iterator[_Fault]:
    """The directories that a sync writes to, or creates."""
    places = [context.project.workspace, context.environment, context.state.directory]
    if cache:
        places.append(cache)
    missing: dict[Path, Path] = {}  # by what exists of its path
    for place in places:
        missing.setdefault(_existing(place), place)
    for existing, place in missing.items():
        if not os.access(existing, os.W_OK):
            hint = f'`sudo chown -R "$(id -u)" {shlex.quote(str(place))}`, if it is yours'
            if existing != place:  # which may be the root of the file system
                hint = f'`sudo install -d -o "$(id -u)" {shlex.quote(str(place))}`'
            yield Level.UNUSABLE, f"{existing} cannot be written", hint


def _look_at_links(context: SyncContext, cache: Path | None) -> Iterator[_Fault]:
    """Whether uv can link files from its cache into the environment."""
    if cache and _device(cache) != _device(context.environment):
        hint = "let UV_CACHE_DIR name a directory on the same one"
        message = f"uv copies instead of linking: its cache {cache} is on another file system"
        yield Level.NOTE, message, hint


def _device(place: Path) -> int:
    return _existing(place).stat().st_dev


def _existing(place: Path) -> Path:
    return place if place.exists() else _existing(place.parent)


def _look_at_dockerfile(context: SyncContext) -> Iterator[_Fault]:
    if (context.project.root / "Dockerfile").exists():
        error = run_docker(context.project, DockerOptions(check=True)).error
        if error:
            yield Level.STALE, error.message, "`uvflow docker --check` says more"


def _compare_pythons(context: SyncContext) -> Iterator[_Fault]:
    """Compare the Python of a generated Dockerfile with that of the environment."""
    generated = header.read(text_if_there(context.project.root / "Dockerfile") or "")
    wanted = generated.options.get("python") if generated else None
    used = python_version(Environment(context.environment))
    if wanted and used and not used.startswith(f"{wanted}."):
        minor = ".".join(used.split(".")[:2])
        message = f"the image has Python {wanted}, and {context.environment.name} {minor}"
        yield Level.NOTE, message, f"`uvflow docker --python={minor}`"


def _look_at_hooks(context: SyncContext) -> Iterator[_Fault]:
    if has_idle_hooks(context.project):
        reason = "the git hooks of uvflow do nothing: uvflow is not on PATH"
        yield Level.UNUSABLE, reason, "`uv tool install uvflow`"
