"""Backups: what a command is about to change, saved so that it can be put back, now or later."""

import contextlib
import json
import os
import shutil
import stat
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from uvflow.errors import DiskError, UsageError, UvflowError, unwritable
from uvflow.files import (
    read_bytes,
    read_regular,
    remove,
    remove_file,
    remove_unfinished,
    write_whole,
)
from uvflow.process import signals_ignored
from uvflow.state import journal
from uvflow.state.store import Progress, State


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


@dataclass(frozen=True, kw_only=True)
class DirectoryBackup:
    """A directory before a change: absent, or with a copy beside it.

    The copy consists of hard links where the file system has them: it takes no space, and stays as
    it is as long as files are replaced and not written into, which is how installers work.
    """

    path: Path
    existed: bool

    @classmethod
    def of(cls, path: Path) -> "DirectoryBackup":
        real = Path(os.path.realpath(path))  # an environment may be a link to another disk
        return cls(path=real, existed=real.exists())

    @property
    def copy(self) -> Path:
        return self.path.with_name(f"{self.path.name}.before-uvflow")

    @property
    def _unfinished(self) -> Path:
        return self.path.with_name(f"{self.path.name}.before-uvflow-unfinished")

    def make_copy(self) -> None:
        """Copy the directory if it exists; raises DiskError."""
        if not self.existed:
            return
        try:
            remove(self._unfinished)
            remove(self.copy)
            shutil.copytree(self.path, self._unfinished, symlinks=True, copy_function=_link)
            self._unfinished.rename(self.copy)  # a copy with this name is complete
        except OSError as error:
            raise unwritable(str(self.copy), error) from error

    def put_back(self) -> None:
        """Raises OSError; may be called again, and whether or not `make_copy` has finished."""
        if not self.existed or self.copy.exists():
            self._move_away(self.path)
        if self.existed and self.copy.exists():
            self.copy.rename(self.path)
        remove(self._unfinished)

    def remove_copy(self) -> None:
        """Raises OSError."""
        self._move_away(self.copy)
        remove(self._unfinished)

    def _move_away(self, path: Path) -> None:
        """Rename before removing: a partly removed tree could be used as a complete one."""
        if os.path.lexists(path):
            remove(self._unfinished)
            path.rename(self._unfinished)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without hard links, or another device mounted below
        shutil.copy2(source, target, follow_symlinks=False)


_NAME = "backup.json"
_VERSION = 1

# What build backends leave in a source tree when uv asks them for metadata (setuptools does), and
# the temporary file of a uv that was killed while it wrote the lockfile.
_LEFTOVERS = ("*.egg-info", "build", ".tmp??????")


@dataclass(frozen=True, kw_only=True)
class Backup:
    """The state before a change; `listings` are the names in directories that uv may build.

    `after` has the digest of every file once the change is finished, and is None until then.
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
    trees: Iterable[Path] = (),
    built: Iterable[Path] = (),
) -> Iterator[Callable[[], None]]:
    """Put everything back as it was when anything is raised inside, KeyboardInterrupt included.

    `files` and `trees` (directories) need not exist; call what is yielded before an existing tree
    is changed. `built` are source directories that uv may build. The backup is on disk before
    anything is changed, so that `recover` can put things back after a kill. Raises DiskError naming
    what could not be put back.
    """
    backup = Backup(
        files=tuple(map(FileBackup.of, files)),
        trees=tuple(map(DirectoryBackup.of, trees)),
        listings={directory: _names(directory) for directory in built},
    )
    _remove_copies(backup)  # leftovers of a backup whose record is lost would be put back

    def copy_trees() -> None:
        for tree in backup.trees:
            tree.make_copy()

    state.write(_NAME, _to_json(backup))
    try:
        yield copy_trees
        state.write(_NAME, _to_json(replace(backup, after=_digests(backup))))
    except BaseException:
        with signals_ignored():
            _restore(state, backup)
        raise
    with signals_ignored():
        _remove_copies(backup)


def recover(state: State, progress: Progress) -> None:
    """Put back what a killed command had changed, while holding the mutex. Raises DiskError."""
    backup = _read_backup(state)
    if backup is None:
        return
    if backup.after is not None:
        _remove_copies(backup)  # the command may have been killed right after its last change
        return
    with signals_ignored():
        _restore(state, backup)
    progress("An earlier command was interrupted; what it had changed has been put back")


def _restore(state: State, backup: Backup) -> None:
    _put_back(backup)
    for tree in backup.trees:
        journal.delete_entries(state, tree.path)  # a tree was restored with its own journal copy
    state.delete(_NAME)


def is_unfinished(state: State) -> bool:
    """Whether a command was killed and its changes are still to be put back."""
    try:
        backup = _read_backup(state)
    except DiskError:
        return False
    return backup is not None and backup.after is None


def restore_last(state: State, *, even_if_edited: bool = False) -> tuple[Path, ...]:
    """Undo the last change while holding the mutex, and return the paths that may have changed.

    An environment that existed before the change stays as it is now. Raises UsageError where there
    is nothing to undo or a file was edited since, and DiskError.
    """
    backup = _read_backup(state)
    if backup is None:
        raise UsageError(f"there is nothing to undo in {state.root}")
    edited = _edited_since(backup)
    if edited and not even_if_edited:
        raise UsageError(
            f"edited since: {', '.join(path.name for path in edited)}",
            hint="`uvflow undo --force` puts it back all the same, and the edits are lost",
        )
    paths = (*(b.path for b in backup.files), *(t.path for t in backup.trees if not t.existed))
    existing = {path for path in paths if path.exists()}
    with signals_ignored():
        # Unfinished again, so that `recover` completes it if this is killed.
        state.write(_NAME, _to_json(replace(backup, after=None)))
        _put_back(backup)
        state.delete(_NAME)
    return tuple(path for path in paths if path in existing or path.exists())


def _edited_since(backup: Backup) -> list[Path]:
    """The files that are neither as they were before the change nor as they were after it."""
    if backup.after is None:
        return []  # interrupted: any difference is the command's own
    known = {str(b.path): (_digest(b.data), backup.after[str(b.path)]) for b in backup.files}
    return [Path(path) for path, now in _digests(backup).items() if now not in known[path]]


def _digests(backup: Backup) -> dict[str, str | None]:
    paths = [before.path for before in backup.files]
    return {str(p): _digest(read_regular(p) if p.exists() else None) for p in paths}


def _digest(data: bytes | None) -> str | None:
    import hashlib  # 3 ms, and a sync only looks whether a backup exists

    return None if data is None else hashlib.sha256(data).hexdigest()


def _remove_copies(backup: Backup) -> None:
    for tree in backup.trees:
        with contextlib.suppress(OSError):  # a leftover does no harm; the next command tries again
            tree.remove_copy()


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
            hint="`uvflow undo` tries again; until then the copies are kept",
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
    data = {
        "version": _VERSION,
        "files": [
            {
                "path": str(before.path),
                "data": None
                if before.data is None
                else b2a_base64(before.data, newline=False).decode(),
                "mode": before.mode,
                "times": before.times,
            }
            for before in backup.files
        ],
        "trees": [{"path": str(tree.path), "existed": tree.existed} for tree in backup.trees],
        "listings": {str(path): sorted(names) for path, names in backup.listings.items()},
        "after": backup.after,
    }
    return json.dumps(data, indent=1).encode()


def _read_backup(state: State) -> Backup | None:
    """Raises DiskError where the backup is damaged, rather than guess from it."""
    try:
        data = json.loads(state.read(_NAME) or b"{}")
        return _from_json(data) if data.get("version") == _VERSION else None
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
            DirectoryBackup(path=_path(t["path"]), existed=bool(t["existed"]))
            for t in data["trees"]
        ),
        listings={_path(path): frozenset(names) for path, names in data["listings"].items()},
        after=None if after is None else {f["path"]: after[f["path"]] for f in data["files"]},
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
