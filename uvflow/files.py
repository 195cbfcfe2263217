"""Writing files whole, and putting everything back when a change does not succeed."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uvflow.errors import unreadable, unwritable


def read_bytes(path: Path) -> bytes:
    """The bytes of `path`; raises DiskError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error) from error


def write_whole(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, nothing between.

    Keeps the mode of a file that is there (`mode` decides otherwise; new files follow the umask),
    and writes through a symbolic link. Raises DiskError.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target, data, _mode_for(target) if mode is None else mode)
    except OSError as error:
        raise unwritable(str(path), error) from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
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
    times: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, path: Path) -> "Before":
        """Raises DiskError where the file is there and cannot be read."""
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
        if self.data is None:
            self.path.unlink(missing_ok=True)
        elif not self.path.exists() or self.path.read_bytes() != self.data:
            write_whole(self.path, self.data, mode=self.mode)
            os.utime(self.path, ns=self.times)


@contextlib.contextmanager
def put_back_on_failure(
    files: Iterable[Path], *, directories: Iterable[Path] = ()
) -> Iterator[None]:
    """Whatever is raised inside, Ctrl-C included: `files` are as before, new `directories` gone."""
    before = [Before.of(path) for path in files]
    absent = [path for path in directories if not path.exists()]
    try:
        yield
    except BaseException:
        for file in before:
            file.put_back()
        for directory in absent:
            shutil.rmtree(directory, ignore_errors=True)
        raise
