"""Backups: what a command is about to change, saved so that it can be put back, now or later."""

import contextlib
import json
import os
import re
import stat
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from uvflow.errors import DiskError, InterruptedBySignalError, UsageError, UvflowError, disk_errors
from uvflow.files import (
    free_name,
    keep_owner,
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
from uvflow.state.store import BACKUP, Progress, State, no_progress


@dataclass(frozen=True, kw_only=True)
class FileBackup:
    """A file before a change; `data` is None where it did not exist.

    `written` are the digests of what the change puts in its place, each known before that happens.
    """

    path: Path
    data: bytes | None
    mode: int = 0
    modified: int = 0  # in nanoseconds
    user: int = 0
    group: int = 0
    written: Sequence[str] = ()

    @classmethod
    def of(cls, path: Path) -> "FileBackup":
        """Raises DiskError where the file exists and cannot be read."""
        path = Path(os.path.realpath(path))  # a link's target is what gets written
        if not path.exists():
            return cls(path=path, data=None, written=(_digest(b""),))  # as `claim` makes it
        status = path.stat()
        return cls(
            path=path,
            data=read_bytes(path),
            mode=stat.S_IMODE(status.st_mode),
            modified=status.st_mtime_ns,
            user=status.st_uid,
            group=status.st_gid,
        )

    @property
    def now(self) -> str | None:
        """The digest of what is there; None for nothing, empty where it cannot be read."""
        try:
            return _digest(read_regular(self.path)) if os.path.lexists(self.path) else None
        except OSError:
            return ""

    @property
    def before(self) -> str | None:
        """The digest of what was there; None for nothing."""
        return None if self.data is None else _digest(self.data)

    @property
    def is_known(self) -> bool:
        """Whether what is there was there before the change, or is of the change, to the byte."""
        return self.now in {None, self.before, *self.written}

    def put_back(self) -> None:
        """Raises OSError or DiskError; may be called again."""
        remove_unfinished(self.path.parent, self.path.name)
        if self.data is None:
            remove_file(self.path)
        elif not self.path.exists() or read_regular(self.path) != self.data:
            write_whole(self.path, self.data, mode=self.mode)
            keep_owner(self.path, self.user, self.group)
        if self.data is not None and self.path.stat().st_mtime_ns != self.modified:
            # Also where an earlier attempt was killed before it.
            os.utime(self.path, ns=(self.modified, self.modified))


_BEFORE, _AFTER, _SCRAP = "before-init", "after-init", "being-removed"


@dataclass(frozen=True, kw_only=True)
class DirectoryBackup:
    """A directory before a change: absent, or renamed to a name beside it.

    `path` is real. `aside` is where it is set aside, None where it did not exist, and `scrap` where
    what the change made goes to be removed; nothing had these names when they were chosen.
    `is_begun` once a directory is being made that did not exist.
    """

    path: Path
    aside: Path | None
    scrap: Path
    is_begun: bool = False

    @classmethod
    def of(cls, path: Path) -> "DirectoryBackup":
        real = Path(os.path.realpath(path))  # an environment may be a link to another disk
        aside = free_name(real, _BEFORE) if os.path.lexists(real) else None
        while aside is None and not os.path.lexists(real.parent):
            real = real.parent  # uv makes what is missing above it, too
        return cls(path=real, aside=aside, scrap=free_name(real, _SCRAP))

    @property
    def is_replaced(self) -> bool:
        """Whether what is at `path` was made by the change, and what was there is set aside."""
        return self.is_begun if self.aside is None else read_mark(self.aside) is not None

    @property
    def is_lost(self) -> bool:
        """Whether what was there is not kept, after the change."""
        return self.aside is not None and not self.is_replaced

    def set_aside(self) -> None:
        """Make room for a new directory; raises DiskError, with this one as it was."""
        if self.aside is None:
            return
        by_hand = f"move it aside by hand: `mv {self.path} {self.path}.old`"
        hint = f"`--no-sync` leaves it as it is, or {by_hand}"
        with disk_errors(self.path, "cannot be set aside", hint=hint):
            set_aside(self.path, self.aside)
            self.path.mkdir()  # uv makes nothing behind a link that leads nowhere

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


_VERSION = 4  # of the format; no other one is read

# What build backends leave in a source tree when uv asks them for metadata (setuptools does), with
# the files in it; and the temporary file of a uv that was killed while it wrote the lockfile.
_LEFTOVERS = {
    "*.egg-info": r"PKG-INFO|(SOURCES|dependency_links|entry_points|requires|top_level)\.txt"
    r"|(not-)?zip-safe",
    ".pdm-build": r"\.gitignore|[^/]+\.(dist-info|pth)(/.+)?",
    "build": r"(lib|bdist\.|temp\.|__editable__).*",
    ".tmp??????": r"",
}

# What uv makes at the top of an environment, and every file in one with nothing installed.
_OF_AN_ENVIRONMENT = r"bin|[Ll]ib|lib64|[Ii]nclude|Scripts|share|etc|man|\.uvflow-.*"
_OF_AN_EMPTY_ONE = (
    r"pyvenv\.cfg|\.gitignore|\.lock|CACHEDIR\.TAG|\.uvflow-.*"
    r"|(de)?activate.*|pydoc\.bat|python.*|_virtualenv\..*"
)


@dataclass(frozen=True, kw_only=True)
class Backup:
    """The state before a change; `listings` are the names in directories that uv may build.

    `after` has the digests of the directories that were made, and of what builds have left, once
    the change is finished, and is None until then.
    """

    files: tuple[FileBackup, ...] = ()
    trees: tuple[DirectoryBackup, ...] = ()
    listings: Sequence[tuple[Path, Sequence[str]]] = ()
    after: Mapping[str, str | None] | None = None

    def part(self, paths: Iterable[Path], *, is_in: bool) -> "Backup":
        """What is about `paths`, or about all others."""
        files = (file for file in self.files if (file.path in paths) == is_in)
        trees = (tree for tree in self.trees if (tree.path in paths) == is_in)
        return replace(self, files=tuple(files), trees=tuple(trees))


class ReversibleChange:
    """A change that can be put back: each file is in the backup by its digest before it is there.

    `is_put_back`: nothing that was changed is left, after a failure.
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

        Raises UsageError where somebody else has changed it meanwhile, and DiskError.
        """
        before = self._file(path)
        if not before.is_known:
            raise UsageError(f"{path} was changed while `uvflow init` was at work")
        if data is None:
            remove_file(before.path)
        else:
            self._remember(before, data)
            write_whole(path, data)

    @contextlib.contextmanager
    def uv_at_work(self, path: Path) -> Iterator[None]:
        """While uv may make `path`: that is known also where a signal ends it. Raises DiskError."""
        is_known = self._file(path).is_known
        try:
            yield
        except (KeyboardInterrupt, InterruptedBySignalError):
            if is_known and os.path.lexists(path):
                self.adopt(path)
            raise

    def adopt(self, path: Path) -> None:
        """Call this right after uv has written a file of the backup. Raises DiskError."""
        self._remember(self._file(path), read_bytes(path))

    def set_aside_trees(self) -> None:
        """Call this right before the trees are made; without it they stay as they are."""
        trees = tuple(replace(tree, is_begun=True) for tree in self.backup.trees)
        self.save(replace(self.backup, trees=trees))
        for tree in trees:
            tree.set_aside()

    def _file(self, path: Path) -> FileBackup:
        real = Path(os.path.realpath(path))
        return next(before for before in self.backup.files if before.path == real)

    def _remember(self, before: FileBackup, data: bytes) -> None:
        known = replace(before, written=(*before.written, _digest(data)))
        files = (known if file is before else file for file in self.backup.files)
        self.save(replace(self.backup, files=tuple(files)))


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

    `files` and `trees` need not exist; they are changed by what is yielded. `built` are source
    directories that uv may build. The backup is on disk before anything is changed, so that
    `recover` can put things back after a kill. What somebody else has changed meanwhile stays, and
    `progress` gets it. Raises DiskError naming what could not be put back.
    """
    listings = tuple((directory, sorted(_names(directory))) for directory in built)
    saved = tuple(map(FileBackup.of, files))
    backup = Backup(files=saved, trees=tuple(trees), listings=listings)
    change = ReversibleChange(state, backup)
    try:
        yield change
        change.save(replace(change.backup, after=_after(change.backup)))
    except BaseException:
        left = _restore(state, change.backup)
        change.is_put_back = not left
        for sentence in left:
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
        strange = [] if is_forced else _strangers(state, backup)
        builds = [path for path in _appeared(backup) if _is_removable(path, backup.after)]
        if backup.after is not None:  # unfinished again, so that `recover` ends it after a kill
            files = tuple(replace(f, written=(*f.written, f.now or "")) for f in backup.files)
            trees = tuple(replace(t, scrap=free_name(t.path, _SCRAP)) for t in backup.trees)
            backup = replace(backup, files=files, trees=trees, after=None)
            state.write(BACKUP, _to_json(backup))
        known, left = (backup.part(strange, is_in=is_in) for is_in in (False, True))
        replaced = [tree.path for tree in known.trees if tree.is_replaced]
        _put_back(known, builds)
        for path in replaced:
            journal.delete_entries(state, journal.JOURNAL, path)  # the tree has its own copy
        if strange:  # only that is left, for an undo
            state.write(BACKUP, _to_json(replace(left, listings=(), after={})))
        else:
            state.delete(BACKUP)
    changed = "was not put back, since it changed; `uvflow undo --force` does that"
    new = "appeared meanwhile and was not removed: it may be yours"
    return [*(f"{path} {changed}" for path in strange), *(f"{p} {new}" for p in _appeared(backup))]


def _strangers(state: State, backup: Backup) -> list[Path]:
    """What is neither as it was before the change, nor as the change has made it."""
    files = [file.path for file in backup.files if not file.is_known]
    trees = [t.path for t in backup.trees if t.is_replaced and os.path.lexists(t.path)]
    if backup.after is not None:
        after = backup.after
        return [*files, *(path for path in trees if _tree_digest(path) != after.get(str(path)))]
    files = [path for path in files if not _is_own_lockfile(backup, path)]
    return [*files, *(path for path in trees if not _is_being_made(state, path))]


def _is_own_lockfile(backup: Backup, path: Path) -> bool:
    """Whether it is uv's for a manifest that is still to the byte what the change has written."""
    manifest = Path(os.path.realpath(path.with_name(MANIFEST)))  # as `FileBackup.of` has it
    written = any(f.path == manifest and f.now in f.written for f in backup.files)
    return path.name == LOCKFILE and written


def _is_being_made(state: State, directory: Path) -> bool:
    """Whether it is the environment that uv made for a change, or one with nothing in it yet.

    Or the directory above it, with nothing else in that.
    """
    if directory.is_symlink() or not directory.is_dir():
        return False
    is_usual = re.compile(f"{_OF_AN_ENVIRONMENT}|{_OF_AN_EMPTY_ONE}").fullmatch
    place, names = directory, _names(directory)
    while len(names) == 1 and not is_usual(min(names)) and (place / min(names)).is_dir():
        place /= min(names)
        names = _names(place)
    if all(map(is_usual, names)) and journal.is_made_by_uv(state, place):
        return True
    files = (name for _, _, names in os.walk(place) for name in names)
    return all(re.fullmatch(_OF_AN_EMPTY_ONE, name) for name in files)


def is_unfinished(state: State) -> bool:
    """Whether a command was killed and its changes are still to be put back."""
    with contextlib.suppress(DiskError):
        backup = _read_backup(state)
        return backup is not None and backup.after is None
    return False


def directories(state: State) -> tuple[DirectoryBackup, ...]:
    """Those that the last change is about. Raises DiskError."""
    backup = _read_backup(state)
    return backup.trees if backup else ()


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """The paths that are as they were before a change; those that did not exist are `removed`.

    `kept` is where directories are now that were not as the change had made them. Those that are
    `not_restored` stay as they are, since what was there before is not kept any more.
    """

    restored: tuple[Path, ...]
    removed: tuple[Path, ...]
    kept: tuple[Path, ...] = ()
    not_restored: tuple[Path, ...] = ()


def restore_last(
    state: State, *, even_if_edited: bool = False, progress: Progress = no_progress
) -> UndoResult:
    """Undo the last change while holding the mutex.

    Raises UsageError where there is nothing to undo, or where something was edited since, and
    DiskError. A directory that was edited is not removed even then, but set aside.
    """
    backup = _read_backup(state)
    if backup is None:
        raise UsageError(f"there is nothing to undo in {state.root}")
    strange = _strangers(state, backup)
    edited = [tree.path for tree in backup.trees if tree.path in strange]
    if strange and not even_if_edited:
        raise UsageError(
            f"edited since: {', '.join(path.name for path in strange)}",
            hint="`uvflow undo --force` puts it back all the same, and the edits are lost"
            + "".join(f", but {path.name} is kept as {path.name}.{_AFTER}" for path in edited),
        )
    lost = [t.path for t in backup.trees if t.is_lost and backup.after is not None]
    changed = [file.path for file in backup.files if file.now != file.before]
    paths = [*changed, *(t.path for t in backup.trees if t.path not in lost)]
    existing = [path for path in paths if os.path.lexists(path) and path not in edited]
    kept = [free_name(path, _AFTER) for path in edited]
    with signals_ignored():
        for path, target in zip(edited, kept, strict=True):
            with disk_errors(target):
                set_aside(path, target)
        left = _restore(state, backup, is_forced=True)
    for sentence in left:
        progress(sentence)
    restored = [path for path in paths if os.path.lexists(path)]
    return UndoResult(
        restored=tuple(restored),
        removed=tuple(path for path in existing if path not in restored),
        kept=tuple(kept),
        not_restored=tuple(lost),
    )


def _after(backup: Backup) -> dict[str, str | None]:
    made = [tree.path for tree in backup.trees if not tree.is_lost]
    builds = (path for path in _appeared(backup) if path.is_dir() and _is_build(path))
    return {str(path): _tree_digest(path) for path in (*made, *builds)}


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


def _digest(data: bytes) -> str:
    import hashlib  # 3 ms, and a sync only looks whether a backup exists

    return hashlib.sha256(data).hexdigest()


def _put_back(backup: Backup, builds: Iterable[Path]) -> None:
    """Try every step even if some fail; `builds` are removed.

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


def _appeared(backup: Backup) -> list[Path]:
    """What a build may have left, and was not there before."""
    new = ((d, name) for d, names in backup.listings for name in _names(d).difference(names))
    return sorted(d / name for d, name in new if any(fnmatch(name, one) for one in _LEFTOVERS))


def _is_removable(path: Path, after: Mapping[str, str | None] | None) -> bool:
    """Whether a build has left `path`, and once the change is finished, whether just that."""
    return _is_build(path) if after is None else after.get(str(path)) == _tree_digest(path)


def _is_build(path: Path) -> bool:
    """Whether nothing is lost with it: a lockfile of uv, metadata, or copies of what is beside."""
    usual = next(usual for name, usual in _LEFTOVERS.items() if fnmatch(path.name, name))
    try:
        if path.is_file():
            return not usual and read_regular(path)[:10] in {b"", b"version = "}
        files = [found for found in path.rglob("*") if found.is_symlink() or not found.is_dir()]
        is_usual = all(re.fullmatch(usual, f.relative_to(path).as_posix()) for f in files)
        return is_usual and (path.name != "build" or all(_is_copy(f, path) for f in files))
    except OSError:
        return False


def _is_copy(file: Path, build: Path) -> bool:
    """Whether a file of `build/lib*` is in the sources as well, or was about to be a copy of it."""
    folder, *parts = file.relative_to(build).parts
    if file.is_symlink() or not folder.startswith("lib"):
        return not file.is_symlink()
    sources = (one.joinpath(*parts) for one in (build.parent, *build.parent.iterdir()))
    return any(
        one.is_file() and read_regular(one).startswith(read_regular(file)) for one in sources
    )


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*")}


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
    """Raises DiskError where the backup is damaged, rather than guess from it."""
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
        hint=f"`uvflow cache clear {state.root}` forgets it",
    )
