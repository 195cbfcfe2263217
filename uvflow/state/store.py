"""What is remembered of a project, changed by one uvflow at a time."""

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uvflow import paths
from uvflow.errors import BusyError, DiskError, unwritable
from uvflow.files import remove_unfinished, write_whole
from uvflow.paths import digest, state_name
from uvflow.state import locks
from uvflow.state.locks import ALONE, TOGETHER

if TYPE_CHECKING:
    import filelock


DEFAULT_TIMEOUT = 300.0

Progress = Callable[[str], None]


def no_progress(_text: str) -> None:
    """The Tell of who does not ask."""


HOLDER = "holder.json"  # who holds the lock, or held it last
LOCK = "lock"
_POLL = 0.05  # seconds; also the shortest wait, for who just looks holds a lock for an instant
_TELL_AFTER = 0.5  # seconds; shorter waits are not worth a line

# The signature is fixed by the Cache Directory Tagging Specification (bford.info/cachedir).
_CACHEDIR_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This directory holds what uvflow remembers; see https://bford.info/cachedir/
"""

_README = b"""What uvflow remembers of your projects, one directory each.

Deleting any of it loses nothing of yours: the next `uvflow sync` is a real one.
Only `uvflow undo` needs the backups kept here.
"""


def cache_root() -> Path:
    """UVFLOW_CACHE_DIR, or the user's cache directory: on Linux as the door finds it."""
    if os.environ.get("UVFLOW_CACHE_DIR") or sys.platform == "linux":
        return Path(paths.cache_dir())
    import platformdirs  # 20 ms, for what only Windows and macOS know better

    return platformdirs.user_cache_path("uvflow")


@dataclass(frozen=True, kw_only=True)
class State:
    """The directory that holds what is remembered of one project."""

    directory: Path
    root: Path

    @classmethod
    def of(cls, root: Path) -> "State":
        return cls(directory=cache_root() / "projects" / state_name(str(root)), root=root)

    def recall(self, name: str) -> bytes | None:
        """What is remembered under `name`, or None: a state that cannot be read is no state."""
        try:
            return (self.directory / name).read_bytes()
        except OSError:
            return None

    def remember(self, name: str, data: bytes) -> None:
        """Replace what is remembered under `name`, flushed to disk."""
        self._make()
        write_whole(self.directory / name, data, mode=0o600)
        _flush_directory(self.directory)

    def note(self, name: str, data: bytes) -> None:
        """As `remember`, but not flushed: a power failure may take it, or leave it empty."""
        self._make()
        write_whole(self.directory / name, data, mode=0o600, flush=False)

    def forget(self, name: str) -> None:
        """Drop what is remembered under `name`, flushed to disk."""
        if self.drop(name):
            _flush_directory(self.directory)

    def drop(self, name: str) -> bool:
        """As `forget`, but not flushed: a power failure may bring it back; whether it was there."""
        path = self.directory / name
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unwritable(str(path), error) from error
        return True

    @contextlib.contextmanager
    def exclusive(
        self,
        command: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        tell: Progress = no_progress,
    ) -> Iterator[None]:
        """Hold the project's locks: one uvflow at a time changes the project or its environment.

        `tell` is called once, within a second, when another uvflow holds them. Raises BusyError
        after `timeout` seconds (negative: never) and DiskError where the state cannot be locked.
        """
        self._make()
        lock = self._lock()
        with contextlib.ExitStack() as held:
            self._wait(
                "another uvflow",
                lambda: None if self._is_entered(lock, held) else self._who(),
                tell_after=_TELL_AFTER,
                timeout=timeout,
                tell=tell,
            )
            remove_unfinished(self.directory)
            self.note(HOLDER, _holder(command, self.root))
            yield

    def lease(self, environment: Path, command: str) -> tuple[int, ...]:
        """Say that a command runs in `environment`; call it while holding the lock.

        Returns the descriptors that stand for the lease: it lasts until every process that has
        inherited them is gone. Raises DiskError.
        """
        self.leases(environment)  # takes away those of ended commands, so that they do not pile up
        path = self.directory / f"{_lease_prefix(environment)}{os.getpid()}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(descriptor, _holder(command, self.root))
            _try_to_lock(descriptor)
        except OSError as error:
            raise unwritable(str(path), error) from error
        lease = (descriptor, *_lease_for_others(environment))
        for part in lease:
            os.set_inheritable(part, True)
        return lease

    def await_leases(self, environment: Path, *, timeout: float, tell: Progress) -> None:
        """Wait until no command runs in `environment`; call it while holding the lock.

        Raises BusyError after `timeout` seconds (negative: never).
        """
        self._wait(
            "a command to end",
            lambda: next(iter(self.leases(environment)), None),
            tell_after=0,
            timeout=timeout,
            tell=tell,
        )

    def is_busy(self) -> bool:
        """Whether a uvflow is at work on the project; writes nothing."""
        return self._is_locked() or locks.is_directory_locked(self.root)

    def has_leases(self) -> bool:
        """Whether a command runs in any of the project's environments."""
        return any(_is_leased(path) for path in self.directory.glob("*.lease.*"))

    def clear(self) -> None:
        """Drop all but the lock: who waits for that would not keep out who comes later.

        Call it while holding the lock. Raises DiskError.
        """
        for path in self.directory.iterdir():
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()
            except OSError as error:
                raise unwritable(str(path), error) from error

    def leases(self, environment: Path) -> tuple[str, ...]:
        """The commands that run in `environment`, as a person reads it.

        The leases of ended ones are dropped.
        """
        files = sorted(self.directory.glob(f"{_lease_prefix(environment)}*"))
        ours = tuple(_described(self.recall(path.name)) for path in files if _is_leased(path))
        if ours or not self._is_leased_to_others(environment):
            return ours
        return (_seen_from_outside(environment),)

    def _is_leased_to_others(self, environment: Path) -> bool:
        """Not to be told where the environment is the root, which we have locked ourselves."""
        is_root = os.path.realpath(environment) == os.path.realpath(self.root)
        return not is_root and locks.is_directory_locked(environment)

    def _lock(self) -> "filelock.BaseFileLock":
        import filelock  # 45 ms, and who only reads needs no lock

        return filelock.FileLock(
            self.directory / LOCK, mode=0o600, fallback_to_soft=False, preserve_lock_file=True
        )

    def _wait(
        self,
        whom: str,
        in_the_way: Callable[[], str | None],
        *,
        tell_after: float,
        timeout: float,
        tell: Progress,
    ) -> None:
        began = time.monotonic()
        told = False
        while who := in_the_way():
            waited = time.monotonic() - began
            if not told and waited >= tell_after:
                tell(f"Waiting for {whom}: {who}")
                told = True
            if timeout >= 0 and waited >= max(timeout, _POLL):
                raise _busy(self.root, who)
            time.sleep(_POLL)

    def _is_entered(self, lock: "filelock.BaseFileLock", held: contextlib.ExitStack) -> bool:
        """Take both locks or none: the root's keeps out who has another state than this."""
        import filelock  # as above

        with contextlib.ExitStack() as taken:
            with contextlib.suppress(OSError):  # where there is none, this state's has to do
                descriptor = locks.lock_directory(self.root, ALONE)
                if descriptor is None:
                    return False
                taken.callback(os.close, descriptor)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                return False
            except (OSError, NotImplementedError) as error:
                raise DiskError(f"{lock.lock_file} cannot be locked", cause=str(error)) from error
            taken.callback(lock.release)
            held.enter_context(taken.pop_all())
        return True

    def _who(self) -> str:
        if self._is_locked():
            return _described(self.recall(HOLDER))
        return _seen_from_outside(self.root)

    def _is_locked(self) -> bool:
        try:
            return _is_held(self.directory / LOCK)
        except OSError:  # who cannot write into the state is not kept from reading it
            return False

    def _make(self) -> None:
        """Create the directory for this user's eyes only."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            cache = self.directory.parent.parent
            if not (cache / "CACHEDIR.TAG").exists():
                write_whole(cache / "README", _README, flush=False)
                write_whole(cache / "CACHEDIR.TAG", _CACHEDIR_TAG, flush=False)
        except OSError as error:
            raise unwritable(str(self.directory), error) from error


def _busy(root: Path, holder: str) -> BusyError:
    return BusyError(
        f"another uvflow is at work on {root}",
        cause=holder,
        hint="try again when it is done, or wait longer with `--timeout SECONDS`",
    )


def _lease_prefix(environment: Path) -> str:
    return f"{digest(os.fsencode(os.path.realpath(environment))):032x}.lease."


def _lease_for_others(environment: Path) -> tuple[int, ...]:
    """What tells them who have another state; nothing where a directory cannot be locked."""
    try:
        descriptor = locks.lock_directory(environment, TOGETHER)
    except OSError:
        return ()
    return () if descriptor is None else (descriptor,)


def _is_leased(path: Path) -> bool:
    """Whether a process still has it; takes away what a process has left."""
    held = _is_held(path)
    if not held:
        path.unlink(missing_ok=True)
    return held


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_to_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor: int) -> bool:
    import filelock  # as above

    return filelock.lock_descriptor(descriptor, blocking=False)


def _described(holder: bytes | None) -> str:
    try:
        told = json.loads(holder or b"")
        return _sentence(told["command"], told["pid"], time.time() - told["since"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "it has not said who it is"


def _seen_from_outside(directory: Path) -> str:
    """Who is in `directory`, and has said so in a state that is not ours to read."""
    holder = locks.directory_holder(directory)
    if holder is None:
        return "one of another user, or with another cache directory"
    return _sentence(holder.command, holder.pid, holder.age)


def _sentence(command: object, pid: object, age: float) -> str:
    return f"`{command}` (pid {pid}, for {max(0, round(age))} s)"


def _holder(command: str, root: Path) -> bytes:
    told = {"pid": os.getpid(), "command": command, "since": time.time(), "root": str(root)}
    return json.dumps(told).encode()


def _flush_directory(directory: Path) -> None:
    """Make a rename or an unlink durable; Windows has no handle to flush a directory by."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
