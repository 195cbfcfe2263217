"""Writing files whole, and what has to be known to put things back as they were."""

import errno
import glob
import os
import shutil
import stat
from dataclasses import dataclass
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
    import tempfile  # noqa: PLC0415  2 ms, and looking needs none of it

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


@dataclass(frozen=True, kw_only=True)
class Before:
    """What was at `path` before a change: its bytes, mode and times, or nothing at all."""

    path: Path
    data: bytes | None
    mode: int = 0
    times: tuple[int, int] = (0, 0)  # of access and of change, in nanoseconds

    @classmethod
    def of(cls, path: Path) -> "Before":
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
            _remove_file(self.path)
        elif not self.path.exists() or self.path.read_bytes() != self.data:
            write_whole(self.path, self.data, mode=self.mode)
        if self.data is not None and self.path.stat().st_mtime_ns != self.times[1]:
            os.utime(self.path, ns=self.times)  # on its own: a kill may have come before it


@dataclass(frozen=True, kw_only=True)
class BeforeTree:
    """A directory before a change: absent, or copied to stand beside itself.

    The copy is one of hard links where the file system has them: it takes no room, and stays as it
    is as long as files are replaced and not written into, which is how installers work.
    """

    path: Path
    existed: bool

    @classmethod
    def of(cls, path: Path) -> "BeforeTree":
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


def remove(path: Path) -> None:
    """A file, a link or a whole directory, which need not be there; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        _remove_file(path)


def _remove_file(path: Path) -> None:
    if os.path.lexists(path):  # a read-only file system refuses even what is not there
        path.unlink()
