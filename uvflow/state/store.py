"""What uvflow remembers of a project: small files in one directory, each replaced atomically.

Only this user may write them, since uvflow acts on them: a backup names files to put back.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from uvflow import paths
from uvflow.errors import DiskError, disk_errors, shell_command
from uvflow.files import require_writable, write_whole
from uvflow.fingerprint import MAX_BYTES, OTHERS_WRITE, exposure, read_file

Progress = Callable[[str], None]  # called with a sentence about something that takes long

BACKUP = "backup.json"  # of what `init` changes, for `undo`
_MAX_BYTES = 4 * MAX_BYTES  # a backup holds two files in base64

# Hints where something cannot be written.
ELSEWHERE = "UVFLOW_CACHE_DIR can name another directory for what uvflow remembers"
OTHER_ENVIRONMENT = "UV_PROJECT_ENVIRONMENT can name another place for the environment"

# The signature is fixed by the Cache Directory Tagging Specification (bford.info/cachedir).
CACHEDIR_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55\n"
_CACHEDIR_TAG = (
    CACHEDIR_SIGNATURE
    + b"""# What uvflow remembers of your projects, one directory each; see https://bford.info/cachedir/
# Deleting any of it loses nothing of yours: the next `uvflow sync` is a real one.
# Only `uvflow undo` needs the backups kept here.
"""
)
_REMEMBERS = b"uvflow remembers"  # in the tag of every version


def no_progress(_text: str) -> None:
    """A no-op progress callback."""


def cache_root() -> Path:
    """The directory of all state: UVFLOW_CACHE_DIR, or in the user's cache directory."""
    if os.environ.get("UVFLOW_CACHE_DIR") or sys.platform == "linux":
        return Path(paths.cache_dir())
    import platformdirs  # 20 ms, and only needed on Windows and macOS

    return platformdirs.user_cache_path("uvflow")


class State(NamedTuple):
    """The directory in which uvflow keeps what it remembers of the project at `root`.

    A `durable` change is on the disk when the call returns. Any other does not wait for the disk: a
    power failure may undo it, or leave a file empty.
    """

    directory: Path
    root: Path

    @classmethod
    def of(cls, root: Path) -> "State":
        """The state of the project at `root`; raises DiskError if others could have written it."""
        state = cls(directory=Path(paths.state_dir(str(root))), root=root)
        require_private(*state._levels)
        return state

    @property
    def _levels(self) -> tuple[Path, Path, Path]:
        projects = self.directory.parent
        return projects.parent, projects, self.directory

    def read(self, name: str) -> bytes | None:
        """The content of the file `name`; None if it is missing, unreadable, a link or not ours."""
        try:
            return read_file(str(self.directory / name), _MAX_BYTES, is_own=True)
        except OSError:
            return None

    def read_json(self, name: str) -> dict[str, Any]:
        """The JSON object in the file `name`; empty where it cannot be read."""
        try:
            found = json.loads(self.read(name) or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Replace the file `name`. Raises DiskError."""
        self.make()
        try:
            write_whole(self.directory / name, data, mode=0o600, flush=durable)
        except DiskError as error:
            raise error.with_context(cause=error.cause, hint=ELSEWHERE) from error
        if durable:
            self._flush()

    def delete(self, name: str, *, durable: bool = True) -> None:
        """Remove the file `name` if it exists. Raises DiskError."""
        path = self.directory / name
        if os.path.lexists(path):
            with disk_errors(path, hint=ELSEWHERE):
                path.unlink(missing_ok=True)
            if durable:
                self._flush()

    def make(self) -> None:
        """Create the directory with mode 0700; raises DiskError, also if it cannot be written."""
        cache = self._levels[0]
        with disk_errors(self.directory, hint=ELSEWHERE):
            for level in (*reversed(cache.parents), *self._levels):
                if not level.exists():
                    level.mkdir(mode=0o700, exist_ok=True)
        require_private(*self._levels)
        require_writable(self.directory, hint=ELSEWHERE)
        if not (cache / "CACHEDIR.TAG").exists():
            write_whole(cache / "CACHEDIR.TAG", _CACHEDIR_TAG, mode=0o600, flush=False)

    def _flush(self) -> None:
        """Make a rename or an unlink durable; Windows cannot flush a directory."""
        if sys.platform == "win32":
            return
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_tagged(cache: Path) -> bool:
    """Whether `cache` has the CACHEDIR.TAG of uvflow: no other program had tagged it before."""
    try:
        return _REMEMBERS in read_file(str(cache / "CACHEDIR.TAG"), is_own=True)
    except OSError:
        return False


def require_private(*directories: Path) -> None:
    """Raises DiskError for a link, and for a directory that another user owns or may write to."""
    for directory in directories:
        reason = exposure(str(directory))
        way_out = "set UVFLOW_CACHE_DIR to a directory that only you can write to"
        if reason == OTHERS_WRITE:
            close = shell_command("chmod", "go-w", str(directory))
            way_out = f"{close} if only you have written there, or {way_out}"
        if reason:
            raise DiskError(
                f"{directory} cannot hold what uvflow remembers: {reason}", hint=way_out
            )
