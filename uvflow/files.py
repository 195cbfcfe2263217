"""Writing files whole, and what has to be known to put things back as they were."""

import errno
import glob
import os
import shutil
import stat
from pathlib import Path

from uvflow.errors import unreadable, unwritable

# In the name of a file that is being written; one that is left over was cut short.
_UNFINISHED = ".uvflow-unfinished-"


def read_bytes(path: Path) -> bytes:
    """The bytes of `path`; raises DiskError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error) from error


def read_regular(path: Path) -> bytes:
    """As `Path.read_bytes`, but OSError for a device or a pipe: those may have no end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return path.read_bytes()


def write_whole(path: Path, data: bytes, *, mode: int | None = None, flush: bool = True) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, nothing between.

    Keeps the mode of a file that is there (`mode` decides otherwise; new files follow the umask),
    and writes through a symbolic link. Without `flush` a power failure may leave an empty file,
    which saves a wait for the disk. Raises DiskError.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target, data, _mode_for(target) if mode is None else mode, flush=flush)
    except OSError as error:
        raise unwritable(str(path), error) from error


def claim(path: Path) -> None:
    """Create `path`, empty, before it is written whole; raises DiskError."""
    try:
        path.touch()
    except OSError as error:
        raise unwritable(str(path), error) from error


def remove_unfinished(directory: Path, name: str | None = None) -> None:
    """Remove what writes of `name`, or of any file in `directory`, left when they were cut short.

    Nobody else may be writing there. Raises DiskError.
    """
    written = "*" if name is None else glob.escape(name)
    for path in directory.glob(f".{written}{_UNFINISHED}*"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(str(path), error) from error


def _replace(target: Path, data: bytes, mode: int, *, flush: bool) -> None:
    import tempfile  # 2 ms, and looking needs none of it

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
    """A file, a link or a whole directory, which need not be there; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        remove_file(path)


def remove_file(path: Path) -> None:
    if os.path.lexists(path):  # a read-only file system refuses even what is not there
        path.unlink()
