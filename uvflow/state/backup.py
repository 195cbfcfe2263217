"""What a command changes, remembered first, so that it can be put back: at once or later."""

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
from uvflow.files import read_bytes, remove, remove_file, remove_unfinished, write_whole
from uvflow.process import signals_ignored
from uvflow.state import journal
from uvflow.state.store import Progress, State


@dataclass(frozen=True, kw_only=True)
class FileBackup:
    """What was at `path` before a change: its bytes, mode and times, or nothing at all."""

    path: Path
    data: bytes | None
    mode: int = 0
    times: tuple[int, int] = (0, 0)  # of access and of change, in nanoseconds

    @classmethod
    def of(cls, path: Path) -> "FileBackup":
        """Raises DiskError where the file is there and cannot be read."""
        path = Path(os.path.realpath(path))  # what is written through a link is put back there
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
        elif not self.path.exists() or self.path.read_bytes() != self.data:
            write_whole(self.path, self.data, mode=self.mode)
        if self.data is not None and self.path.stat().st_mtime_ns != self.times[1]:
            os.utime(self.path, ns=self.times)  # on its own: a kill may have come before it


@dataclass(frozen=True, kw_only=True)
class DirectoryBackup:
    """A directory before a change: absent, or copied to stand beside itself.

    The copy is one of hard links where the file system has them: it takes no room, and stays as it
    is as long as files are replaced and not written into, which is how installers work.
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

    def set_aside(self) -> None:
        """Make the copy, if there is something to copy; raises DiskError."""
        if not self.existed:
            return
        try:
            remove(self._unfinished)
            remove(self.copy)
            shutil.copytree(self.path, self._unfinished, symlinks=True, copy_function=_link)
            self._unfinished.rename(self.copy)  # a copy that has this name is whole
        except OSError as error:
            raise unwritable(str(self.copy), error) from error

    def put_back(self) -> None:
        """Raises OSError; may be called again, and whatever `set_aside` came to."""
        if not self.existed or self.copy.exists():
            self._retire(self.path)
        if self.existed and self.copy.exists():
            self.copy.rename(self.path)
        remove(self._unfinished)

    def forget(self) -> None:
        """Remove the copy; raises OSError."""
        self._retire(self.copy)
        remove(self._unfinished)

    def _retire(self, path: Path) -> None:
        """Take `path` away at once: half of it might be taken for all of it."""
        if os.path.lexists(path):
            remove(self._unfinished)
            path.rename(self._unfinished)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another device below it, or a file system without hard links
        shutil.copy2(source, target, follow_symlinks=False)


_NAME = "backup.json"
_VERSION = 1

# What build backends leave in a source tree when uv asks them for metadata (setuptools does), and
# a lockfile that uv was writing when it was killed.
_LEFTOVERS = ("*.egg-info", "build", ".tmp??????")


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What was there before a change; `listings` are the names in directories that are built.

    `after` has the digest of every file once the change was finished, and is None until then.
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
    """Whatever is raised inside, Ctrl-C included: everything is as it was before.

    `files` and `trees` (directories) may be there or not; what is given is to be called before one
    of the trees that are there is changed. `built` are source directories that uv may build. The
    backup is on disk before anything is changed, so that `recover` can finish what a kill cut
    short. Raises DiskError where something could not be put back, saying what.
    """
    backup = Backup(
        files=tuple(map(FileBackup.of, files)),
        trees=tuple(map(DirectoryBackup.of, trees)),
        listings={directory: _names(directory) for directory in built},
    )
    _forget_copies(backup)  # of a backup that nobody remembers: they would be put back
    state.write(_NAME, _to_json(backup))
    try:
        yield lambda: _set_aside(backup)
        state.write(_NAME, _to_json(replace(backup, after=_digests(backup))))
    except BaseException:
        with signals_ignored():
            _restore(state, backup)
        raise
    with signals_ignored():
        _forget_copies(backup)


def _set_aside(backup: Backup) -> None:
    for tree in backup.trees:
        tree.set_aside()


def recover(state: State, progress: Progress) -> None:
    """Put back what a command that was killed had changed; call it under the project's lock."""
    backup = _recall(state)
    if backup is None:
        return
    if backup.after is not None:
        _forget_copies(backup)  # it may have been killed right after it was done
        return
    with signals_ignored():
        _restore(state, backup)
    progress("An earlier command was cut short; what it had changed has been put back")


def _restore(state: State, backup: Backup) -> None:
    _put_back(backup)
    for tree in backup.trees:
        journal.withdraw(state, tree.path)
    state.delete(_NAME)


def is_unfinished(state: State) -> bool:
    """Whether a command was killed, and what it had changed is still to be put back."""
    try:
        backup = _recall(state)
    except DiskError:
        return False
    return backup is not None and backup.after is None


def restore_last(state: State, *, even_if_edited: bool = False) -> tuple[Path, ...]:
    """Put back what the last change was made on, and return the paths that may have changed.

    Call it under the project's lock. An environment that was there before is left as it is. Raises
    UsageError where there is nothing to undo, or where a file was edited since.
    """
    backup = _recall(state)
    if backup is None:
        raise UsageError(f"there is nothing to undo in {state.root}")
    edited = _edited_since(backup)
    if edited and not even_if_edited:
        raise UsageError(
            f"edited since: {', '.join(path.name for path in edited)}",
            hint="`uvflow undo --force` puts it back all the same, and the edits are lost",
        )
    paths = (*(b.path for b in backup.files), *(t.path for t in backup.trees if not t.existed))
    there = {path for path in paths if path.exists()}
    with signals_ignored():
        state.write(_NAME, _to_json(replace(backup, after=None)))  # `recover` ends it if killed
        _put_back(backup)
        state.delete(_NAME)
    return tuple(path for path in paths if path in there or path.exists())


def _edited_since(backup: Backup) -> list[Path]:
    """The files that are neither as the change left them nor as they were before it."""
    if backup.after is None:
        return []  # cut short: what is there now was nobody's edit
    known = {str(b.path): (_digest(b.data), backup.after[str(b.path)]) for b in backup.files}
    return [Path(path) for path, now in _digests(backup).items() if now not in known[path]]


def _digests(backup: Backup) -> dict[str, str | None]:
    paths = [before.path for before in backup.files]
    return {str(p): _digest(p.read_bytes() if p.exists() else None) for p in paths}


def _digest(data: bytes | None) -> str | None:
    import hashlib  # 3 ms, and a sync only asks whether there is a backup

    return None if data is None else hashlib.sha256(data).hexdigest()


def _forget_copies(backup: Backup) -> None:
    """What cannot be removed is in nobody's way, and the next command tries again."""
    for tree in backup.trees:
        with contextlib.suppress(OSError):
            tree.forget()


def _put_back(backup: Backup) -> None:
    """All of it, whatever fails; what is new goes first, so that a full disk has room again.

    Otherwise the last file first: where the first one makes the project, it can be found again
    should this be cut short.
    """
    backwards = backup.files[::-1]
    new_first = sorted(backwards, key=lambda before: before.data is not None)
    steps = (
        *(tree.put_back for tree in backup.trees),
        *(lambda d=d, n=n: _remove_leftovers(d, n) for d, n in backup.listings.items()),
        *(before.put_back for before in new_first),
    )
    failures = [failure for failure in map(_attempt, steps) if failure]
    if failures:
        raise DiskError(
            "not everything could be put back",
            cause="; ".join(failures),
            hint="`uvflow undo` tries again; until then the copies are kept",
        )


def _attempt(step: Callable[[], None]) -> str | None:
    try:
        step()
    except (OSError, UvflowError) as error:
        return str(error)
    return None


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


def _recall(state: State) -> Backup | None:
    """Raises DiskError where a backup is there and damaged: nothing is guessed from it."""
    try:
        data = json.loads(state.read(_NAME) or b"{}")
        return _from_json(data) if data.get("version") == _VERSION else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DiskError(
            f"{state.directory / _NAME} is damaged, so nothing can be put back from it",
            cause=f"{type(error).__name__}: {error}",
            hint=f"`uvflow cache clear {state.root}` forgets it",
        ) from error


def _from_json(data: Mapping[str, Any]) -> Backup:
    return Backup(
        files=tuple(
            FileBackup(
                path=Path(file["path"]),
                data=None if file["data"] is None else a2b_base64(file["data"]),
                mode=file["mode"],
                times=(file["times"][0], file["times"][1]),
            )
            for file in data["files"]
        ),
        trees=tuple(
            DirectoryBackup(path=Path(t["path"]), existed=t["existed"]) for t in data["trees"]
        ),
        listings={Path(path): frozenset(names) for path, names in data["listings"].items()},
        after=data["after"],
    )
