"""Releases: verified environments beside each other, and a link to the live one.

`releases = N` in a profile with the environment `.venv-prod` keeps them in `.venv-prod.releases`,
and `.venv-prod` is a link that one rename switches. Each has a number and, once it is verified, a
receipt. Until then, and while it is being removed, a file beside it says that it is unfinished.
What was live once is never changed, so that processes keep what they began with.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Mapping
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
from uvflow.environment.integrity import origin_problem
from uvflow.environment.ownership import RECEIPT, foreign_entries, reason_to_keep
from uvflow.environment.repair import Depth, Past, find_damage, summary
from uvflow.errors import DamagedError, DiskError, UsageError, disk_errors
from uvflow.files import (
    claim,
    directory_size,
    link_to,
    move_by_hand,
    read_bytes,
    remove,
    write_whole,
)
from uvflow.project.schema import suggestion
from uvflow.state import journal, leases, locks
from uvflow.state.store import CACHEDIR_SIGNATURE, Progress

_UNFINISHED = ".unfinished"  # ends the name of that file
_DIGITS = 12  # of the digest of the lockfile, in the name of a release
_FACTS: Mapping[str, Any] = {  # of a receipt, beside its version and the distributions
    **dict.fromkeys(("name", "made", "profile", "uv", "lockfile_digest"), str),
    **dict.fromkeys(("python", "git_commit", "previous"), str | None),
    "git_is_clean": bool | None,
}
_MOST_RECEIPT = 1 << 21  # bytes; each distribution takes about 150


class Release(NamedTuple):
    """A verified environment; `receipt` is what was written when it was made, in `_FACTS`."""

    path: Path
    receipt: Mapping[str, Any]
    is_live: bool
    is_in_use: bool

    def as_json(self) -> dict[str, Any]:
        """The size is in bytes, of files that others may share."""
        size = directory_size(self.path)
        return {**self.receipt, "live": self.is_live, "in_use": self.is_in_use, "size": size}


def find_releases(context: SyncContext) -> list[Release]:
    """The releases of the profile, the oldest first; raises UsageError where it keeps none."""
    _require_releases(context)
    return [
        Release(
            path=path,
            receipt=receipt,
            is_live=path == context.live_release,
            is_in_use=locks.is_leased(context.state, path),
        )
        for path in _directories(context)
        if not _mark(path).exists() and (receipt := _read_receipt(path))
    ]


def _require_releases(context: SyncContext) -> None:
    if not context.profile.releases:
        raise UsageError(
            f"the profile `{context.profile.name}` keeps no releases",
            hint="`releases = 3` in its table, with an `environment` of its own, keeps three",
        )


def _directories(context: SyncContext) -> list[Path]:
    """Those that are named as releases, by their numbers; none where a link leads elsewhere."""
    directory = context.releases_directory
    entries = [] if directory.is_symlink() else directory_entries(directory)
    paths = (Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    return sorted(filter(_number, paths), key=_number)


def _read_receipt(path: Path) -> dict[str, Any]:
    """Empty where it has none, or one that is not as it was written, or of another release."""
    try:
        receipt = json.loads(read_quickly(str(path / RECEIPT), _MOST_RECEIPT) or b"")
        facts = {name: receipt.get(name) for name in _FACTS}
    except (ValueError, RecursionError, AttributeError):
        return {}
    is_ours = all(isinstance(facts[name], kind) for name, kind in _FACTS.items())
    return facts if is_ours and facts["name"] == path.name else {}


def _mark(path: Path) -> Path:
    return path.with_name(path.name + _UNFINISHED)


def _number(path: Path) -> int:
    """The number at the end of its name; 0 where that is not the name of a release."""
    match = re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}-([0-9]{{1,9}})", path.name)
    return int(match[1]) if match else 0


def begin_release(context: SyncContext, progress: Progress) -> SyncContext:
    """The context of the next release, which does not exist yet; removes what killed ones left.

    Raises UsageError, DamagedError and DiskError.
    """
    if sys.platform == "win32":
        raise UsageError("releases need links that are replaced by a rename: Windows has none")
    _check_places(context)
    directory = context.releases_directory
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    # Neither git nor the sources of the project have them, in whose directory they may be.
    for name, content in ((".gitignore", b"*\n"), ("CACHEDIR.TAG", CACHEDIR_SIGNATURE)):
        if not (directory / name).exists():
            write_whole(directory / name, content)
    for mark in directory.glob(f"*{_UNFINISHED}"):
        unfinished = directory / mark.name.removesuffix(_UNFINISHED)
        if not _number(unfinished):
            continue
        if users := foreign_entries(Environment(unfinished)):
            progress(f"{unfinished} is unfinished, and holds {users[0]}: it was kept")
        else:
            remove_release(context, unfinished, progress)
    # Not what a link names that is dangling: that would be live before it is made.
    named = filter(None, [*_directories(context), context.live_release])
    number = max(map(_number, named), default=0) + 1
    path = directory / f"{_lockfile_digest(context)[:_DIGITS]}-{number}"
    claim(_mark(path))
    relative = os.path.relpath(path, context.project.workspace)
    profile = context.profile._replace(environment=relative, releases=0)
    return context._replace(profile=profile, environ=profile.environ(context.environ))


def _check_places(context: SyncContext) -> None:
    """Raises DamagedError where anything else is in the place of the link or of the releases."""
    place, directory = context.place, context.releases_directory
    is_directory = directory.is_dir() and not directory.is_symlink()
    for path, is_ours in ((place, context.live_release), (directory, is_directory)):
        if os.path.lexists(path) and not is_ours:
            raise DamagedError(
                f"{path} is in the place of releases, and was not made by a sync with them",
                hint=f"{move_by_hand(path)}, then sync again",
            )


def live_answer(context: SyncContext, release: Path) -> tuple[bytes, bytes]:
    """The question about the link, and its answer while `release` is live, for a fingerprint."""
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
    last = context.live_release  # after a rollback an old one, and yet the one known to be good
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
        "previous": last.name if last else None,
        "distributions": [
            {"name": d.name, "version": d.version, "record_digest": _digest(Path(d.record))}
            for d in environment.distributions
        ],
    }
    write_whole(release / RECEIPT, json.dumps(receipt, indent=2).encode() + b"\n")
    with disk_errors(release):
        _mark(release).unlink()
    link_to(_target(context, release), context.place)
    ranked = sorted(find_releases(context), key=lambda each: (each.is_live, each.path == last))
    for old in ranked[: -context.profile.releases]:
        if old.is_in_use:
            continue
        if reason := reason_to_keep(old.path):
            progress(f"{old.path} {reason}: it was kept")
        else:
            remove_release(context, old.path, progress)


def _lockfile_digest(context: SyncContext) -> str:
    """Raises DiskError: a receipt must not say that a release was made from an empty lockfile."""
    return hashlib.sha256(read_bytes(context.project.lockfile)).hexdigest()


def _digest(path: Path) -> str:
    """The SHA-256 of a file; that of no bytes where it cannot be read."""
    return hashlib.sha256(read_quickly(str(path)) or b"").hexdigest()


def _git_state(context: SyncContext) -> tuple[str | None, bool | None]:
    """The commit of the project, and whether its tracked files are as in that; None if unknown."""
    root = context.project.root
    commit = process.ask_git(root, "rev-parse", "HEAD")
    changes = process.ask_git(root, "status", "--porcelain", "--untracked-files=no")
    return (None, None) if commit is None or changes is None else (commit, not changes)


def remove_release(context: SyncContext, path: Path, progress: Progress) -> None:
    """Remove a release that is old or unfinished, unless it is live or a command runs in it.

    What cannot be removed is named: another user's byte code must not stop the next release.
    """
    held: list[int] = []
    try:
        # A command of `run` that has just begun, or that has started this process, has the lease;
        # NFS locks no directory for it.
        is_free = leases.take_directory(str(Environment(path).scripts), leases.EXCLUSIVE, held)
        is_free &= not leases.running_leases(str(context.state.directory), str(path))
        if is_free and path != context.live_release:
            claim(_mark(path))  # half of one is not a release
            with disk_errors(path, "cannot be removed"):
                remove(path)
                _mark(path).unlink()
            journal.delete_entries(context.state, journal.JOURNAL, path)
    except DiskError as error:
        progress(f"{error}: {error.cause}")
    finally:
        leases.close(held)


def roll_back(
    context: SyncContext, name: str | None, *, timeout: float, progress: Progress
) -> Release:
    """Make the release `name`, or the one before the live one, live again, once it is verified.

    Raises UsageError, DamagedError, BusyError and DiskError.
    """
    _require_releases(context)
    state, directory = context.state, context.releases_directory
    with locks.mutex(
        state, "uvflow rollback", environment=directory, timeout=timeout, progress=progress
    ):
        _check_places(context)
        release = _choose(context, find_releases(context), name)
        environment = Environment(release.path)
        past = Past.of(context, environment)
        damages, _ = find_damage(environment, Depth.SIZES, past)
        # A script that starts the Python of the link starts this one's once it is live.
        problems = [*map(str, damages), *filter(None, [origin_problem(environment)])]
        if problems:
            raise DamagedError(
                f"the release {release.path.name} is damaged, so the live one stays",
                cause=summary(problems),
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
    earlier = releases
    if live := context.live_release:
        last = next((r.receipt["previous"] for r in releases if r.is_live), None)
        # What is between the two was rolled back from.
        most = _number(Path(last)) if last else _number(live) - 1
        earlier = [release for release in releases if _number(release.path) <= most]
    if not earlier:
        hint = "`uvflow releases` lists them; `uvflow sync` makes one from the lockfile"
        raise UsageError("there is no release before the live one", hint=hint)
    return earlier[-1]


def receipt_digest(context: SyncContext) -> str | None:
    """The SHA-256 of the live release's receipt; None without one."""
    release = context.live_release
    return _digest(release / RECEIPT) if release and _read_receipt(release) else None
