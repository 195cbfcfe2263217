"""Backups: what a command is about to change, saved so that it can be put back, now or later."""

import contextlib
import json
import os
import stat
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from uvflow.errors import (
    DiskError,
    InterruptedBySignalError,
    UsageError,
    UvflowError,
    disk_errors,
    shell_command,
)
from uvflow.files import (
    free_name,
    keep_owner,
    move_by_hand,
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
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import signals_ignored
from uvflow.state import journal
from uvflow.state.leftovers import is_being_made, is_left_by_build, names_in, new_leftovers
from uvflow.state.store import BACKUP, Progress, State, no_progress


@dataclass(frozen=True, kw_only=True)
class FileBackup:
    """A file before a change; `data` is None where it did not exist.

    `written` are the digests of what the change writes to it, each added before it is written;
    `link` is as in `_link_at`.
    """

    path: Path
    data: bytes | None
    link: Sequence[Path] = ()
    mode: int = 0
    modified: int = 0  # in nanoseconds
    user: int = 0
    group: int = 0
    written: Sequence[str] = ()

    @classmethod
    def of(cls, path: Path) -> "FileBackup":
        """Raises DiskError if the file exists and cannot be read."""
        link = _link_at(path)
        path = Path(os.path.realpath(path))  # a write replaces the target of a link
        if not path.exists():  # `files.claim` makes it so
            return cls(path=path, data=None, link=link, written=(_digest(b""),))
        status = path.stat()
        return cls(
            path=path,
            data=read_bytes(path),
            link=link,
            mode=stat.S_IMODE(status.st_mode),
            modified=status.st_mtime_ns,
            user=status.st_uid,
            group=status.st_gid,
        )

    @property
    def current_digest(self) -> str | None:
        """Of the file as it is now; None if it does not exist, empty if it cannot be read."""
        try:
            return _digest(read_regular(self.path)) if os.path.lexists(self.path) else None
        except OSError:
            return ""

    @property
    def original_digest(self) -> str | None:
        return None if self.data is None else _digest(self.data)

    @property
    def is_known(self) -> bool:
        """Whether the file is missing, as before the change, or as the change has written it."""
        return self.current_digest in {None, self.original_digest, *self.written}

    def put_back(self) -> None:
        """Raises OSError or DiskError; may be called again, also after a kill."""
        remove_unfinished(self.path.parent, self.path.name)
        _link_again(self.link)
        if self.data is None:
            remove_file(self.path)
            return
        if not self.path.exists() or read_regular(self.path) != self.data:
            write_whole(self.path, self.data, mode=self.mode)
            keep_owner(self.path, self.user, self.group)
        if self.path.stat().st_mtime_ns != self.modified:
            os.utime(self.path, ns=(self.modified, self.modified))


def _link_at(path: Path) -> tuple[Path, ...]:
    """A link and its target, for `_link_again`; empty where `path` is none."""
    return (path, path.readlink()) if path.is_symlink() else ()


def _link_again(link: Sequence[Path]) -> None:
    """Make a link that is gone; what is in its place by now stays."""
    if link and not os.path.lexists(link[0]):
        link[0].symlink_to(link[1])


_BEFORE, _AFTER, _SCRAP = "before-init", "after-init", "being-removed"


@dataclass(frozen=True, kw_only=True)
class DirectoryBackup:
    """A directory before a change, which renames it to a name beside it if it exists.

    `path` has its links resolved. `aside` is its other name, or None if it did not exist. `scrap`
    is the name under which what the change made is removed. Both names were free when they were
    chosen. `is_begun` is set before a directory is made that did not exist; `link` is as in
    `_link_at`.
    """

    path: Path
    aside: Path | None
    scrap: Path
    is_begun: bool = False
    link: Sequence[Path] = ()

    @classmethod
    def of(cls, path: Path) -> "DirectoryBackup":
        real = Path(os.path.realpath(path))  # an environment may be a link to another disk
        aside = free_name(real, _BEFORE) if os.path.lexists(real) else None
        while aside is None and not os.path.lexists(real.parent):
            real = real.parent  # uv also makes the directories above it
        return cls(path=real, aside=aside, scrap=free_name(real, _SCRAP), link=_link_at(path))

    @property
    def is_replaced(self) -> bool:
        """Whether the change made what is at `path`; an earlier directory is set aside then."""
        if self.aside is None:
            return self.is_begun
        return read_mark(self.aside) is not None

    @property
    def is_lost(self) -> bool:
        """Whether it existed and is not set aside: after the change it cannot be put back."""
        return self.aside is not None and not self.is_replaced

    def set_aside(self) -> None:
        """Make room for a new directory; raises DiskError, with this one as it was."""
        if self.aside is None:
            return
        hint = f"`--no-sync` leaves it as it is, or {move_by_hand(self.path)}"
        with disk_errors(self.path, "cannot be set aside", hint=hint):
            set_aside(self.path, self.aside)
            self.path.mkdir()  # uv makes no target for a broken link

    def put_back(self) -> None:
        """Raises OSError; may be called again, also after a kill."""
        remove(self.scrap)
        _link_again(self.link)
        if not self.is_replaced:
            unmark(self.path)
            return
        if os.path.lexists(self.path):
            require_unmounted(self.path)
            self.path.rename(self.scrap)  # nobody must use it while it is partly removed
        if self.aside is not None:
            put_back(self.aside, self.path)
        remove(self.scrap)


@dataclass(frozen=True, kw_only=True)
class Backup:
    """The state before a change; `listings` are the names in directories that uv may build.

    `after` is None until the change is finished. Then it has the digests of the directories that
    were made, and of what builds have left.
    """

    files: tuple[FileBackup, ...] = ()
    trees: tuple[DirectoryBackup, ...] = ()
    listings: Sequence[tuple[Path, Sequence[str]]] = ()
    after: Mapping[str, str | None] | None = None

    def only(self, paths: Sequence[Path]) -> "Backup":
        """The part of the backup that is about `paths`."""
        files = (file for file in self.files if file.path in paths)
        trees = (tree for tree in self.trees if tree.path in paths)
        return replace(self, files=tuple(files), trees=tuple(trees))

    @property
    def paths(self) -> list[Path]:
        return [*(file.path for file in self.files), *(tree.path for tree in self.trees)]


class ReversibleChange:
    """A change that can be put back: the backup has the digest of each file before it is written.

    After a failure, `is_put_back` says whether everything is as it was.
    """

    is_put_back = False

    def __init__(self, state: State, backup: Backup) -> None:
        self._state = state
        self.save(backup)

    def save(self, backup: Backup) -> None:
        self._state.write(BACKUP, _to_json(backup))
        self.backup = backup

    def write(self, path: Path, data: bytes | None) -> None:
        """Replace a file of the backup, or remove it for None.

        Raises UsageError if somebody else has changed it meanwhile, and DiskError.
        """
        before = self._file(path)
        if not before.is_known:
            raise _changed_meanwhile(path)
        if data is None:
            remove_file(before.path)
        else:
            self._remember(before, data)
            write_whole(path, data)

    @contextlib.contextmanager
    def uv_at_work(self, path: Path) -> Iterator[None]:
        """Run uv inside: what it writes to `path` is adopted if a signal ends it; DiskError."""
        is_known = self._file(path).is_known
        try:
            yield
        except (KeyboardInterrupt, InterruptedBySignalError):
            if is_known and os.path.lexists(path):
                self.adopt(path)
            raise

    def adopt(self, path: Path) -> None:
        """Record what uv has just written to a file of the backup. Raises DiskError."""
        self._remember(self._file(path), read_bytes(path))

    def set_aside_trees(self) -> None:
        """Set the directories aside, right before new ones are made; raises DiskError."""
        trees = tuple(replace(tree, is_begun=True) for tree in self.backup.trees)
        self.save(replace(self.backup, trees=trees))
        for tree in trees:
            tree.set_aside()

    def _file(self, path: Path) -> FileBackup:
        real = Path(os.path.realpath(path))
        for before in self.backup.files:
            if before.path == real:
                return before
        raise _changed_meanwhile(path)  # a link leads elsewhere

    def _remember(self, before: FileBackup, data: bytes) -> None:
        known = replace(before, written=(*before.written, _digest(data)))
        files = (known if file is before else file for file in self.backup.files)
        self.save(replace(self.backup, files=tuple(files)))


def _changed_meanwhile(path: Path) -> UsageError:
    return UsageError(f"{path} was changed while `uvflow init` was at work")


@contextlib.contextmanager
def restored_on_failure(
    state: State,
    *,
    files: Iterable[Path],
    trees: Iterable[DirectoryBackup] = (),
    built: Iterable[Path] = (),
    progress: Progress = no_progress,
) -> Iterator[ReversibleChange]:
    """Put everything back as it was when anything is raised inside, KeyboardInterrupt included.

    `files` and `trees` need not exist; change them by what is yielded. `built` are source
    directories that uv may build. The backup is on disk before anything is changed, so that
    `recover` can put things back after a kill. What somebody else has changed meanwhile stays, and
    `progress` is called with it. Raises DiskError naming what could not be put back.
    """
    listings = tuple((directory, sorted(names_in(directory))) for directory in built)
    saved = tuple(map(FileBackup.of, files))
    backup = Backup(files=saved, trees=tuple(trees), listings=listings)
    change = ReversibleChange(state, backup)
    try:
        yield change
        change.save(replace(change.backup, after=_after(change.backup)))
    except BaseException:
        remaining = _restore(state, change.backup)
        change.is_put_back = not remaining
        for sentence in remaining:
            progress(sentence)
        raise


def recover(state: State, progress: Progress) -> None:
    """Put back what a killed command had changed, while holding the mutex. Raises DiskError."""
    backup = _read_backup(state)
    if backup is None or backup.after is not None:
        return
    for sentence in _restore(state, backup) or ["what it had changed has been put back"]:
        progress(f"An earlier command was interrupted; {sentence}")


def _restore(state: State, backup: Backup, *, is_forced: bool = False) -> list[str]:
    """Put back what is known, or all; returns sentences about what stays as it is."""
    with signals_ignored():
        edited = [] if is_forced else _edited_since(state, backup)
        leftovers = new_leftovers(backup.listings)
        builds = [path for path in leftovers if _is_removable(path, backup.after)]
        if backup.after is not None:  # unfinished again, so that `recover` ends it after a kill
            backup = _as_unfinished(backup)
            state.write(BACKUP, _to_json(backup))
        known = backup.only([path for path in backup.paths if path not in edited])
        replaced = [tree.path for tree in known.trees if tree.is_replaced]
        _put_back(known, builds)
        for path in replaced:
            journal.delete_entries(state, journal.JOURNAL, path)  # the tree has its own copy
        if edited:  # a forced undo can still put that back
            state.write(BACKUP, _to_json(replace(backup.only(edited), listings=(), after={})))
        else:
            state.delete(BACKUP)
    changed = "was not put back, since it changed; `uvflow undo --force` does that"
    new = "appeared meanwhile and was not removed: it may be yours"
    remaining = new_leftovers(backup.listings)
    return [
        *(f"{path} {changed}" for path in edited),
        *(f"{path} {new}" for path in remaining),
        *(
            f"{path} was a link to {target}, and stays as it is"
            for path, target in _replaced(known)
        ),
    ]


def _replaced(backup: Backup) -> list[Sequence[Path]]:
    """The links, as in `_link_at`, with something else in their place."""
    links = (*(file.link for file in backup.files), *(tree.link for tree in backup.trees))
    return [link for link in links if link and _link_at(link[0]) != tuple(link)]


def _as_unfinished(backup: Backup) -> Backup:
    """`backup` as of a change that is not finished and has made what is there now."""
    files = (replace(f, written=(*f.written, f.current_digest or "")) for f in backup.files)
    trees = (replace(tree, scrap=free_name(tree.path, _SCRAP)) for tree in backup.trees)
    return replace(backup, files=tuple(files), trees=tuple(trees), after=None)


def _edited_since(state: State, backup: Backup) -> list[Path]:
    """The paths that are neither as before the change, nor as the change has made them."""
    files = [file.path for file in backup.files if not file.is_known]
    trees = [tree.path for tree in backup.trees if tree.is_replaced and os.path.lexists(tree.path)]
    after = backup.after
    if after is not None:
        return [*files, *(path for path in trees if _tree_digest(path) != after.get(str(path)))]
    files = [path for path in files if not _is_own_lockfile(backup, path)]
    return [*files, *(path for path in trees if not is_being_made(state, path))]


def _is_own_lockfile(backup: Backup, path: Path) -> bool:
    """Whether uv made it for a pyproject.toml that is still as the change has written it."""
    manifest = Path(os.path.realpath(path.with_name(MANIFEST)))  # as in `FileBackup.of`
    of_manifest = (file for file in backup.files if file.path == manifest)
    is_ours = any(file.current_digest in file.written for file in of_manifest)
    return path.name == LOCKFILE and is_ours


def is_unfinished(state: State) -> bool:
    """Whether a command was killed and its changes have not been put back yet."""
    with contextlib.suppress(DiskError):
        backup = _read_backup(state)
        return backup is not None and backup.after is None
    return False


def directories(state: State) -> tuple[DirectoryBackup, ...]:
    """The directories in the backup of the last change. Raises DiskError."""
    backup = _read_backup(state)
    return backup.trees if backup else ()


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """The paths that are as they were before a change; those that did not exist are `removed`.

    `kept` are the new names of directories that were edited since the change. Directories in
    `not_restored` stay as they are, since the earlier ones no longer exist.
    """

    restored: tuple[Path, ...]
    removed: tuple[Path, ...]
    kept: tuple[Path, ...] = ()
    not_restored: tuple[Path, ...] = ()


def restore_last(
    state: State, *, even_if_edited: bool = False, progress: Progress = no_progress
) -> UndoResult:
    """Undo the last change while holding the mutex.

    Raises UsageError if there is nothing to undo, or something was edited since and not
    `even_if_edited`; and DiskError. An edited directory is never removed, but set aside.
    """
    backup = _read_backup(state)
    if backup is None:
        raise UsageError(f"there is nothing to undo in {state.root}")
    edited = _edited_since(state, backup)
    edited_trees = [tree.path for tree in backup.trees if tree.path in edited]
    if edited and not even_if_edited:
        raise _edited_error(edited, edited_trees)
    is_finished = backup.after is not None
    lost = [tree.path for tree in backup.trees if tree.is_lost and is_finished]
    changed = (f.path for f in backup.files if f.current_digest != f.original_digest)
    paths = [*changed, *(tree.path for tree in backup.trees if tree.path not in lost)]
    existing = [path for path in paths if os.path.lexists(path) and path not in edited_trees]
    kept = [free_name(path, _AFTER) for path in edited_trees]
    with signals_ignored():
        for path, target in zip(edited_trees, kept, strict=True):
            with disk_errors(target):
                set_aside(path, target)
        remaining = _restore(state, backup, is_forced=True)
    for sentence in remaining:
        progress(sentence)
    restored = [path for path in paths if os.path.lexists(path)]
    return UndoResult(
        restored=tuple(restored),
        removed=tuple(path for path in existing if path not in restored),
        kept=tuple(kept),
        not_restored=tuple(lost),
    )


def _edited_error(edited: Iterable[Path], trees: Iterable[Path]) -> UsageError:
    hint = "`uvflow undo --force` puts it back all the same, and the edits are lost"
    for path in trees:
        hint += f", but {path.name} is kept as {path.name}.{_AFTER}"
    return UsageError(f"edited since: {', '.join(path.name for path in edited)}", hint=hint)


def _after(backup: Backup) -> dict[str, str | None]:
    """The digests of what a finished change has made, for `Backup.after`."""
    made = [tree.path for tree in backup.trees if not tree.is_lost]
    leftovers = new_leftovers(backup.listings)
    builds = [path for path in leftovers if path.is_dir() and is_left_by_build(path)]
    return {str(path): _tree_digest(path) for path in (*made, *builds)}


def _is_removable(path: Path, after: Mapping[str, str | None] | None) -> bool:
    """Whether a build has left `path`; if the change is finished, also unchanged since then."""
    return is_left_by_build(path) if after is None else after.get(str(path)) == _tree_digest(path)


def _tree_digest(directory: Path) -> str | None:
    """A digest of all paths, sizes and times, except byte code and the copy of the journal.

    None if the directory does not exist.
    """
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


def _digest(data: bytes) -> str:
    import hashlib  # 3 ms, and a sync only looks whether a backup exists

    return hashlib.sha256(data).hexdigest()


def _put_back(backup: Backup, builds: Iterable[Path]) -> None:
    """Put all of `backup` back and remove `builds`; try every step even if some fail.

    New files are removed first, which makes room on a full disk. Otherwise the last file comes
    first: the first one makes the project, which `recover` has to find if this is interrupted.
    """
    backwards = backup.files[::-1]
    new_first = sorted(backwards, key=lambda before: before.data is not None)
    steps: tuple[Callable[[], None], ...] = (
        *(tree.put_back for tree in backup.trees),
        *(partial(remove, path) for path in builds),
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


_VERSION = 4  # of the format; no other version is read
_CONTENT = b'"content": '


def _to_json(backup: Backup) -> bytes:
    def encoded(value: Path | bytes) -> dict[str, str]:
        if isinstance(value, Path):
            return {"path": str(value)}
        return {"base64": b2a_base64(value, newline=False).decode()}

    content = json.dumps(asdict(backup), default=encoded).encode()
    head = f'{{"version": {_VERSION}, "digest": "{_digest(content)}", '
    return b"".join((head.encode(), _CONTENT, content, b"}"))


def _decoded(found: dict[str, Any]) -> Any:
    match [*found.items()]:
        case [("path", path)]:
            return Path(path)
        case [("base64", data)]:
            return a2b_base64(data)
    return found


def _read_backup(state: State) -> Backup | None:
    """Raises DiskError if the backup is damaged, instead of guessing."""
    found = state.read(BACKUP)
    if found is None:
        return None
    content = found.partition(_CONTENT)[2][:-1]
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        data = json.loads(found, object_hook=_decoded)
        if (data["version"], data["digest"]) == (_VERSION, _digest(content)):
            saved = data["content"]
            files = tuple(FileBackup(**file) for file in saved["files"])
            trees = tuple(DirectoryBackup(**tree) for tree in saved["trees"])
            return Backup(**{**saved, "files": files, "trees": trees})
    raise DiskError(
        f"nothing can be put back from {state.directory / BACKUP}",
        cause="it is damaged, or was made by another version of uvflow, which can still use it",
        hint=f"{shell_command('uvflow', 'cache', 'clear', str(state.root))} forgets it",
    )
