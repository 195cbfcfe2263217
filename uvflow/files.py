"""Reading files, writing them atomically, and removing files and directories."""

import errno
import glob
import os
import shutil
import stat
from pathlib import Path

from uvflow.errors import unreadable, unwritable

SET_ASIDE = ".uvflow-set-aside"  # in a directory that was renamed to make room for another
_IGNORE_ALL = "*\n"

# In the name of a file that is being written; one that stays behind was interrupted.
_UNFINISHED = ".uvflow-unfinished-"


def read_bytes(path: Path) -> bytes:
    """The bytes of `path`; raises DiskError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error) from error


def read_regular(path: Path) -> bytes:
    """As `Path.read_bytes`, but raises OSError for a device or a pipe, which may have no end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return path.read_bytes()


def write_whole(path: Path, data: bytes, *, mode: int | None = None, flush: bool = True) -> None:
    """Replace the content of `path` atomically: a reader sees the old file or the new one.

    The mode is `mode`, else that of the existing file, else what the umask says. A symbolic link is
    written through. Without `flush` this does not wait for the disk, and a power failure may leave
    an empty file. Raises DiskError.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target, data, _mode_for(target) if mode is None else mode, flush=flush)
    except OSError as error:
        raise unwritable(str(path), error) from error


def claim(path: Path) -> None:
    """Create `path` as an empty file if it does not exist; raises DiskError."""
    try:
        path.touch()
    except OSError as error:
        raise unwritable(str(path), error) from error


def remove_unfinished(directory: Path, name: str | None = None) -> None:
    """Remove leftovers of interrupted writes of `name`, or of any file in `directory`.

    Nothing else may be writing there. Raises DiskError.
    """
    written = "*" if name is None else glob.escape(name)
    for path in directory.glob(f".{written}{_UNFINISHED}*"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(str(path), error) from error


def _replace(target: Path, data: bytes, mode: int, *, flush: bool) -> None:
    import tempfile  # 2 ms, and only needed to write

    prefix = f".{target.name}{_UNFINISHED}"
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=prefix)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode_for(target: Path) -> int:
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        return 0o666 & ~umask


def remove(path: Path) -> None:
    """Remove a file, a link or a directory with its content if it exists; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        remove_file(path)


def remove_file(path: Path) -> None:
    if os.path.lexists(path):  # a read-only file system refuses to remove even what does not exist
        path.unlink()


def is_inside(path: Path, directory: Path) -> bool:
    """Whether `path` is `directory` or below it, once links are resolved."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory))


def free_name(path: Path, suffix: str) -> Path:
    """`<path>.<suffix>`, or with another number where there is something of that name."""
    candidate, number = path.with_name(f"{path.name}.{suffix}"), 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}.{suffix}-{number}")
    return candidate


def set_aside(path: Path, target: Path) -> None:
    """Rename a directory to `target`, marked as ours and ignored by git.

    Raises OSError, with the directory as it was, where it cannot be renamed.
    """
    ignore = path / ".gitignore"
    is_ignored = os.path.lexists(ignore)
    try:
        (path / SET_ASIDE).write_text("" if is_ignored else f"{ignore.name}\n", encoding="ascii")
        if not is_ignored:
            ignore.write_text(_IGNORE_ALL, encoding="ascii")
        path.rename(target)
    except OSError:
        unmark(path)
        raise


def unmark(path: Path) -> None:
    """Remove what `set_aside` put into a directory."""
    mark = read_mark(path)
    if mark is None:
        return
    if ".gitignore" in mark:
        (path / ".gitignore").unlink(missing_ok=True)
    (path / SET_ASIDE).unlink()


def read_mark(path: Path) -> str | None:
    """What the mark of `set_aside` says; None where there is none."""
    try:
        return read_regular(path / SET_ASIDE).decode("ascii", "replace")
    except OSError:
        return None
