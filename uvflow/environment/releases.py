"""Releases: verified environments beside each other, and a link to the live one.

`releases = N` in a profile with the environment `.venv-prod` keeps them in `.venv-prod.releases`,
and `.venv-prod` is a link that one rename switches. Each has a number and, once it is verified, a
receipt: one without is what a killed sync has left. What was live once is never changed, so that
processes keep what they began with.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from uvflow import process
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import (
    Environment,
    directory_entries,
    python_version,
    read_quickly,
)
from uvflow.environment.known_defects import select_known
from uvflow.environment.ownership import move_by_hand
from uvflow.environment.repair import Depth, Past, find_damage, summary
from uvflow.environment.unowned import RECEIPT, users_files
from uvflow.errors import DamagedError, UsageError, disk_errors
from uvflow.files import directory_size, link_to, read_bytes, remove, write_whole
from uvflow.project.schema import suggestion
from uvflow.state import journal, leases, locks
from uvflow.state.store import Progress

_DIGITS = 12  # of the digest of the lockfile, in the name of a release
_GIT_SECONDS = 10


class Release(NamedTuple):
    """A verified environment; `receipt` is what was written when it was made."""

    path: Path
    receipt: Mapping[str, Any]
    is_live: bool
    is_in_use: bool

    def as_json(self) -> dict[str, Any]:
        """Without the distributions; the size is in bytes, of files that others may share."""
        facts = {
            k: v for k, v in self.receipt.items() if k not in {"schema_version", "distributions"}
        }
        size = directory_size(self.path)
        return {**facts, "live": self.is_live, "in_use": self.is_in_use, "size": size}


def find_releases(context: SyncContext) -> list[Release]:
    """The releases of the profile, the oldest first; raises UsageError where it keeps none."""
    if not context.profile.releases:
        raise UsageError(
            f"the profile `{context.profile.name}` keeps no releases",
            hint="`releases = 3` in its table, with an `environment` of its own, keeps three",
        )
    return [
        Release(
            path=path,
            receipt=receipt,
            is_live=path == context.live_release,
            is_in_use=locks.is_leased(context.state, path),
        )
        for path, receipt in _directories(context)
        if receipt
    ]


def _directories(context: SyncContext) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every directory of a release by its number, with its receipt: empty where it has none."""
    entries = directory_entries(context.releases_directory)
    paths = (Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    for path in sorted(filter(_number, paths), key=_number):
        try:
            receipt = json.loads(read_quickly(str(path / RECEIPT)) or b"{}")
        except (ValueError, RecursionError):
            receipt = {}
        yield path, receipt if isinstance(receipt, dict) else {}


def _number(path: Path) -> int:
    """What its name ends with; 0 where it is not the name of a release."""
    digest, _, digits = path.name.rpartition("-")
    is_release = len(digest) == _DIGITS and digits.isdecimal() and digits.isascii()
    return int(digits) if is_release else 0


def begin_release(context: SyncContext, progress: Progress) -> SyncContext:
    """The context of the next release, which does not exist yet; removes what killed ones left.

    Raises UsageError, DamagedError and DiskError.
    """
    if sys.platform == "win32":
        raise UsageError("releases need links that are replaced by a rename: Windows has none")
    place, directory = context.place, context.releases_directory
    for path, is_ours in ((place, context.live_release), (directory, not directory.is_symlink())):
        if os.path.lexists(path) and not is_ours:
            raise DamagedError(
                f"{path} is in the place of releases, and was not made by a sync with them",
                hint=f"{move_by_hand(path)}, then sync again",
            )
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    if not (directory / ".gitignore").exists():
        write_whole(directory / ".gitignore", b"*\n")
    number = 0
    for path, receipt in _directories(context):
        number = _number(path)
        if not receipt and path != context.live_release:
            journal.delete_entries(context.state, journal.JOURNAL, path)
            _remove(context, path, progress)
    name = f"{_lockfile_digest(context)[:_DIGITS]}-{number + 1}"
    relative = os.path.relpath(directory / name, context.project.workspace)
    profile = context.profile._replace(environment=relative, releases=0)
    return context._replace(profile=profile, environ=profile.environ(context.environ))


def _lockfile_digest(context: SyncContext) -> str:
    return hashlib.sha256(read_bytes(context.project.lockfile)).hexdigest()


def live_answer(context: SyncContext, release: Path) -> tuple[bytes, bytes]:
    """What the link answers while `release` is live, for a fingerprint."""
    return os.fsencode(f"link {context.place}"), os.fsencode(_target(context, release))


def _target(context: SyncContext, release: Path) -> str:
    return os.path.relpath(release, context.place.parent)


def finish_release(
    context: SyncContext, release: Path, uv_version: str, progress: Progress
) -> None:
    """Give a verified environment its receipt, switch to it, and remove what is too old.

    Raises DiskError.
    """
    environment = Environment(release)
    commit, is_clean = _git_state(context)
    receipt = {
        "schema_version": 1,
        "name": release.name,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "profile": context.profile.name,
        "uv": uv_version,
        "python": python_version(environment),
        "lockfile_digest": _lockfile_digest(context),
        "git_commit": commit,
        "git_is_clean": is_clean,
        "distributions": [
            {"name": d.name, "version": d.version, "record_digest": _digest(d.record)}
            for d in environment.distributions
        ],
    }
    write_whole(release / RECEIPT, json.dumps(receipt, indent=2).encode() + b"\n")
    link_to(_target(context, release), context.place)
    for old in find_releases(context)[: -context.profile.releases]:
        if not (old.is_live or old.is_in_use):
            _remove(context, old.path, progress)


def _digest(path: str) -> str:
    return hashlib.sha256(read_quickly(path) or b"").hexdigest()


def _git_state(context: SyncContext) -> tuple[str | None, bool | None]:
    """The commit of the project, and whether its tracked files are as in that; None if unknown."""
    words = ("git", "-c", "core.fsmonitor=false", "-C", str(context.project.root))
    try:
        answers = [
            process.start((*words, *rest), environ=os.environ).wait(_GIT_SECONDS)
            for rest in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except OSError:  # there is no git, or it takes too long
        return None, None
    if any(answer.code for answer in answers):
        return None, None
    return answers[0].out.strip(), not answers[1].out


def _remove(context: SyncContext, path: Path, progress: Progress) -> None:
    """Remove a release, unless a command runs in it or it holds what no installer made."""
    held: list[int] = []
    try:
        scripts = str(Environment(path).scripts)
        if locks.is_leased(context.state, path):
            return
        if not leases.take_directory(scripts, leases.EXCLUSIVE, held):  # of a parent of ours, say
            return
        users = next(users_files(Environment(path)), None)
        if users is not None:
            progress(f"{path} holds files that no installer made, such as {users}: it was kept")
            return
        with disk_errors(path):
            (path / RECEIPT).unlink(missing_ok=True)  # what a kill leaves now is no release
            remove(path)
    finally:
        leases.close(held)


def roll_back(
    context: SyncContext, name: str | None, *, timeout: float, progress: Progress
) -> Release:
    """Make the release `name`, or the one before the live one, live again, once it is verified.

    Raises UsageError, DamagedError, BusyError and DiskError.
    """
    with locks.mutex(
        context.state,
        "uvflow rollback",
        environment=context.releases_directory,
        timeout=timeout,
        progress=progress,
    ):
        release = _choose(context, find_releases(context), name)
        environment = Environment(release.path)
        found = find_damage(environment, Depth.SIZES, Past.of(context.state, environment))
        known = select_known(context.state, environment, found)
        damages = [damage for damage in found if damage not in known]
        if damages:
            raise DamagedError(
                f"the release {release.path.name} is damaged, so the live one stays",
                cause=summary(damages),
                hint="`uvflow releases` lists the others",
            )
        link_to(_target(context, release.path), context.place)
        return release._replace(is_live=True)


def _choose(context: SyncContext, releases: list[Release], name: str | None) -> Release:
    if name is not None:
        for release in releases:
            if release.path.name == name:
                return release
        names = [release.path.name for release in releases]
        hint = suggestion(name, names, "releases") if names else None
        raise UsageError(f"there is no release `{name}`", hint=hint)
    live = context.live_release
    earlier = [r for r in releases if not (live and _number(r.path) >= _number(live))]
    if not earlier:
        raise UsageError("there is no release before the live one")
    return earlier[-1]


def receipt_digest(context: SyncContext) -> str | None:
    """The SHA-256 of the live release's receipt; None without one."""
    receipt = context.live_release and read_quickly(str(context.live_release / RECEIPT))
    return hashlib.sha256(receipt).hexdigest() if receipt else None
