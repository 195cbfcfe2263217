"""Backups: what a command is about to change, saved so that it can be put back, now or later."""

import contextlib
import json
import os
import stat
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from uvflow.errors import DiskError, UsageError, UvflowError, unwritable
from uvflow.files import (
    free_name,
    put_back,
    read_bytes,
    read_mark,
    read_regular,
    remove,
    remove_file,
    remove_unfinished,
    require_unmounted,
    set_aside,
    unmark,
    write_whole,
)
from uvflow.process import signals_ignored
from uvflow.state import journal
from uvflow.state.store import BACKUP, Progress, State


@dataclass(frozen=True, kw_only=True)
class FileBackup:
    """A file before a change; `data` is None where it did not exist."""

    path: Path
    data: bytes | None
    mode: int = 0
    times: tuple[int, int] = (0, 0)  # access and modification, in nanoseconds

    @classmethod
    def of(cls, path: Path) -> "FileBackup":
        """Raises DiskError where the file exists and cannot be read."""
        path = Path(os.path.realpath(path))  # a link's target is what gets written
        if not path.exists():
            return cls(path=path, data=None)
        status = path.stat()
        return cls(
            path=path,
            data=read_bytes(path),
            mode=stat.S_IMODE(status.st_mode),
            times=(status.st_atime_ns, status.st_mtime_ns),
        )

    def put_back(self) -> None:
        """Raises OSError or DiskError; may be called again."""
        remove_unfinished(self.path.parent, self.path.name)
        if self.data is None:
            remove_file(self.path)
        elif not self.path.exists() or read_regular(self.path) != self.data:
            write_whole(self.path, self.data, mode=self.mode)
        if self.data is not None and self.path.stat().st_mtime_ns != self.times[1]:
            os.utime(self.path, ns=self.times)  # also where an earlier attempt was killed before it


_BEFORE, _AFTER = "before-init", "after-init"


@dataclass(frozen=True, kw_only=True)
class DirectoryBackup:
    """A directory before a change: absent, or renamed to a name beside it.

    `path` is real. `aside` is where it is set aside, None where it did not exist, and `scrap` where
    what the change made goes to be removed; nothing had these names when they were chosen.
    `is_begun` once a directory is being made that did not exist. `is_marked` is False for a copy
    that an earlier uvflow made.
    """

    path: Path
    aside: Path | None
    scrap: Path
    is_begun: bool = False
    is_marked: bool = True

    @classmethod
    def of(cls, path: Path) -> "DirectoryBackup":
        real = Path(os.path.realpath(path))  # an environment may be a link to another disk
        aside = free_name(real, _BEFORE) if os.path.lexists(real) else None
        while aside is None and not os.path.lexists(real.parent):
            real = real.parent  # uv makes what is missing above it, too
        return cls(path=real, aside=aside, scrap=_scrap(real))

    @property
    def is_replaced(self) -> bool:
        """Whether what is at `path` was made by the change, and what was there is set aside."""
        if self.aside is None:
            return self.is_begun
        return read_mark(self.aside) is not None if self.is_marked else self.aside.is_dir()

    @property
    def is_lost(self) -> bool:
        """Whether what was there is not kept, after the change."""
        return self.aside is not None and not self.is_replaced

    def set_aside(self) -> None:
        """Make room for a new directory; raises DiskError, with this one as it was."""
        if self.aside is None:
            return
        try:
            set_aside(self.path, self.aside)
            self.path.mkdir()  # uv makes nothing behind a link that leads nowhere
        except OSError as error:
            raise DiskError(
                f"{self.path} cannot be set aside",
                cause=error.strerror,
                hint="`--no-sync` leaves it as it is, or move it aside by hand:"
                f" `mv {self.path} {self.path}.old`",
            ) from error

    def put_back(self) -> None:
        """Raises OSError; may be called again, whatever an earlier call or a kill left."""
        remove(self.scrap)
        if not self.is_replaced:
            unmark(self.path)
            return
        if os.path.lexists(self.path):
            require_unmounted(self.path)
            self.path.rename(self.scrap)  # what is partly removed could be used as if it were whole
        if self.aside is not None:
            put_back(self.aside, self.path)
        remove(self.scrap)


def _scrap(path: Path) -> Path:
    return free_name(path, "being-removed")


_NAME = BACKUP
_VERSION = 2

# What build backends leave in a source tree when uv asks them for metadata (setuptools does), and
# the temporary file of a uv that was killed while it wrote the lockfile.
_LEFTOVERS = ("*.egg-info", "build", ".tmp??????")


@dataclass(frozen=True, kw_only=True)
class Backup:
    """The state before a change; `listings` are the names in directories that uv may build.

    `after` has the digest of every file, and of every directory that was made, once the change is
    finished, and is None until then.
    """

    files: tuple[FileBackup, ...] = ()
    trees: tuple[DirectoryBackup, ...] = ()
    listings: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    after: Mapping[str, str | None] | None = None


@contextlib.contextmanager
def restored_on_failure(
    state: State,
    *,
    files: Iterable[Path],
    trees: Iterable[DirectoryBackup] = (),
    built: Iterable[Path] = (),
) -> Iterator[Callable[[], None]]:
    """Put everything back as it was when anything is raised inside, KeyboardInterrupt included.

    `files` and `trees` need not exist; call what is yielded right before the trees are made. Trees
    for which it is not called stay as they are, whatever becomes of them. `built` are source
    directories that uv may build. The backup is on disk before anything is changed, so that
    `recover` can put things back after a kill. Raises DiskError naming what could not be put back.
    """
    saved = tuple(map(FileBackup.of, files))
    listings = {directory: _names(directory) for directory in built}
    backup = Backup(files=saved, trees=tuple(trees), listings=listings)

    def set_aside_trees() -> None:
        nonlocal backup
        backup = replace(backup, trees=tuple(replace(t, is_begun=True) for t in backup.trees))
        state.write(_NAME, _to_json(backup))
        for tree in backup.trees:
            tree.set_aside()

    state.write(_NAME, _to_json(backup))
    try:
        yield set_aside_trees
        state.write(_NAME, _to_json(replace(backup, after=_digests(backup))))
    except BaseException:
        with signals_ignored():
            _restore(state, backup)
        raise


def recover(state: State, progress: Progress) -> None:
    """Put back what a killed command had changed, while holding the mutex. Raises DiskError."""
    backup = _read_backup(state)
    if backup is None or backup.after is not None:
        return
    with signals_ignored():
        _restore(state, backup)
    progress("An earlier command was interrupted; what it had changed has been put back")


def _restore(state: State, backup: Backup) -> None:
    replaced = [tree.path for tree in backup.trees if tree.is_replaced]
    _put_back(backup)
    for path in replaced:
        journal.delete_entries(
            state, journal.JOURNAL, path
        )  # a tree was restored with its own journal copy
    state.delete(_NAME)


def is_unfinished(state: State) -> bool:
    """Whether a command was killed and its changes are still to be put back."""
    try:
        backup = _read_backup(state)
    except DiskError:
        return False
    return backup is not None and backup.after is None


def directories(state: State) -> tuple[DirectoryBackup, ...]:
    """Those that the last change is about. Raises DiskError."""
    backup = _read_backup(state)
    return backup.trees if backup else ()


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What undoing a change did: the paths that are as they were before it, and the others.

    `kept` are directories that were not as the change had made them, with their new paths. `lost`
    are those that stay as they are, since what was there before is not kept any more.
    """

    paths: tuple[Path, ...]
    kept: Mapping[Path, Path]
    lost: tuple[Path, ...]


def restore_last(state: State, *, even_if_edited: bool = False) -> Restored:
    """Undo the last change while holding the mutex.

    Raises UsageError where there is nothing to undo, or where something was edited since, and
    DiskError. A directory that was edited is not removed even then, but set aside.
    """
    backup = _read_backup(state)
    if backup is None:
        raise UsageError(f"there is nothing to undo in {state.root}")
    is_finished = backup.after is not None  # or else any difference is the command's own
    now = _digests(backup) if is_finished else {}
    if not even_if_edited:
        _require_unedited(backup, now)
    lost = tuple(tree.path for tree in backup.trees if is_finished and tree.is_lost)
    paths = (*(b.path for b in backup.files), *(t.path for t in backup.trees))
    paths = tuple(path for path in paths if path not in lost)
    existing = {path for path in paths if os.path.lexists(path)}
    with signals_ignored():
        kept = {path: _keep(path) for path in _unknown_directories(backup, now)}
        if is_finished:
            # Unfinished again, so that `recover` completes it if this is killed.
            trees = tuple(replace(tree, scrap=_scrap(tree.path)) for tree in backup.trees)
            backup = replace(backup, trees=trees, after=None)
            state.write(_NAME, _to_json(backup))
        _put_back(backup)
        state.delete(_NAME)
    changed = tuple(path for path in paths if path in existing or os.path.lexists(path))
    return Restored(paths=changed, kept=kept, lost=lost)


def _require_unedited(backup: Backup, now: Mapping[str, str | None]) -> None:
    """Raises UsageError where something is neither as it was before the change nor as after it."""
    before = {str(file.path): _digest(file.data) for file in backup.files}
    after = backup.after or {}
    known = ((path, (before.get(path), after[path])) for path in now if path in after)
    edited = [Path(path) for path, digests in known if now[path] not in digests]
    if edited:
        made = {tree.path.name for tree in backup.trees if tree.path in edited}
        raise UsageError(
            f"edited since: {', '.join(path.name for path in edited)}",
            hint="`uvflow undo --force` puts it back all the same, and the edits are lost"
            + "".join(f", but {name} is kept as {name}.{_AFTER}" for name in made),
        )


def _unknown_directories(backup: Backup, now: Mapping[str, str | None]) -> list[Path]:
    """Those that are not as the change made them, as far as that is known."""
    after, paths = backup.after or {}, [str(tree.path) for tree in backup.trees]
    return [Path(path) for path in paths if now.get(path) not in (None, after.get(path))]


def _keep(path: Path) -> Path:
    """Set aside what is at `path`, and return where it is then; raises DiskError."""
    kept = free_name(path, _AFTER)
    try:
        set_aside(path, kept)
    except OSError as error:
        raise unwritable(str(kept), error) from error
    return kept


def _digests(backup: Backup) -> dict[str, str | None]:
    """Of every file, and of every directory that the change has made."""
    paths = [before.path for before in backup.files]
    files = {str(p): _digest(read_regular(p) if p.exists() else None) for p in paths}
    made = (tree.path for tree in backup.trees if not tree.is_lost)
    return files | {str(path): _tree_digest(path) for path in made}


def _tree_digest(directory: Path) -> str | None:
    """Of every path with its size and time, but for byte code and the copy of the journal."""
    if not os.path.lexists(directory):
        return None
    if directory.is_symlink() or not directory.is_dir():
        return "another kind"
    rows = []
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in (*folders, *names):
            if name.endswith(".pyc") or journal.COPY in name:
                continue
            path = f"{folder}{os.sep}{name}"  # a Path takes three times as long
            with contextlib.suppress(FileNotFoundError):  # a program may be at work there
                status = os.lstat(path)
                is_folder = stat.S_ISDIR(status.st_mode)
                about = (0, 0) if is_folder else (status.st_size, status.st_mtime_ns)
                rows.append((path.removeprefix(str(directory)), *about))
    return _digest(repr(sorted(rows)).encode())


def _digest(data: bytes | None) -> str | None:
    import hashlib  # 3 ms, and a sync only looks whether a backup exists

    return None if data is None else hashlib.sha256(data).hexdigest()


def _put_back(backup: Backup) -> None:
    """Try every step even if some fail.

    New files are removed first, which makes room on a full disk. Otherwise the last file comes
    first: the first one makes the project, which `recover` has to find if this is interrupted.
    """
    backwards = backup.files[::-1]
    new_first = sorted(backwards, key=lambda before: before.data is not None)
    steps = (
        *(tree.put_back for tree in backup.trees),
        *(lambda d=d, n=n: _remove_leftovers(d, n) for d, n in backup.listings.items()),
        *(before.put_back for before in new_first),
    )
    failures = []
    for step in steps:
        try:
            step()
        except (OSError, UvflowError) as error:
            failures.append(str(error))
    if failures:
        raise DiskError(
            "not everything could be put back",
            cause="; ".join(failures),
            hint="`uvflow undo` tries again; until then the backup is kept",
        )


def _remove_leftovers(directory: Path, names: frozenset[str]) -> None:
    for name in _names(directory) - names:
        if any(fnmatch(name, pattern) for pattern in _LEFTOVERS):
            remove(directory / name)


def _names(directory: Path) -> frozenset[str]:
    return (
        frozenset(path.name for path in directory.iterdir()) if directory.is_dir() else frozenset()
    )


def _to_json(backup: Backup) -> bytes:
    def encoded(value: Any) -> str:
        is_data = isinstance(value, bytes)
        return b2a_base64(value, newline=False).decode() if is_data else str(value)

    listings = {str(path): sorted(names) for path, names in backup.listings.items()}
    data = {"version": _VERSION, **asdict(backup), "listings": listings}
    return json.dumps(data, indent=1, default=encoded).encode()


def _read_backup(state: State) -> Backup | None:
    """Raises DiskError where the backup is damaged, rather than guess from it."""
    try:
        data = json.loads(state.read(_NAME) or b"{}")
        return _from_json(data) if data.get("version") in (1, _VERSION) else None
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError),
        *(OverflowError, RecursionError),
    ) as error:
        raise DiskError(
            f"{state.directory / _NAME} is damaged, so nothing can be put back from it",
            cause=f"{type(error).__name__}: {error}",
            hint=f"`uvflow cache clear {state.root}` forgets it",
        ) from error


def _from_json(data: Mapping[str, Any]) -> Backup:
    """Raises one of the errors of `_read_backup` for what this version does not write."""
    after = data["after"]
    digested = [file["path"] for file in data["files"]]
    digested += [tree["path"] for tree in data["trees"] if after and tree["path"] in after]
    return Backup(
        files=tuple(
            FileBackup(
                path=_path(file["path"]),
                data=None if file["data"] is None else a2b_base64(file["data"]),
                mode=stat.S_IMODE(file["mode"]),
                times=(_time(file["times"][0]), _time(file["times"][1])),
            )
            for file in data["files"]
        ),
        trees=tuple(
            _from_version_1(tree, after)
            if data["version"] == 1
            else DirectoryBackup(
                path=_path(tree["path"]),
                aside=None if tree["aside"] is None else _path(tree["aside"]),
                scrap=_path(tree["scrap"]),
                is_begun=bool(tree["is_begun"]),
            )
            for tree in data["trees"]
        ),
        listings={_path(path): frozenset(names) for path, names in data["listings"].items()},
        after=None if after is None else {path: after[path] for path in digested},
    )


def _path(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise ValueError(text)
    return path


def _time(nanoseconds: Any) -> int:
    if not isinstance(nanoseconds, int) or abs(nanoseconds) >= 1 << 63:
        raise ValueError(nanoseconds)
    return nanoseconds


def _from_version_1(data: Mapping[str, Any], after: object) -> DirectoryBackup:
    """A change that is not finished has a whole copy with a name of its own, or one begun.

    After a finished one there was no copy any more, and what has that name is the user's.
    """
    path, is_finished = _path(data["path"]), after is not None
    copy = path.with_name(f"{path.name}.before-uvflow")
    begun = path.with_name(f"{path.name}.before-uvflow-unfinished")
    return DirectoryBackup(
        path=path,
        aside=copy if data["existed"] else None,
        scrap=_scrap(path) if is_finished else begun,
        is_begun=True,
        is_marked=is_finished,
    )
