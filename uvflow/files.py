"""Reading files, writing them atomically, and removing files and directories."""

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path

from uvflow.errors import DiskError, disk_errors, shell_command
from uvflow.fingerprint import MAX_BYTES, read_file

SET_ASIDE = ".uvflow-set-aside"  # the mark in a directory that was renamed to make room for another
_UNFINISHED = ".uvflow-unfinished-"  # in the names of temporary files; a kill leaves one behind


def read_bytes(path: Path) -> bytes:
    """As `read_regular`, but raises DiskError where `path` cannot be read."""
    with disk_errors(path, "cannot be read"):
        return read_regular(path)


def read_regular(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most `most` bytes (32 MiB); raises OSError for any other.

    Does not wait at a named pipe, and reads nothing from a device, which may be endless.
    """
    return read_file(str(path), most)


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    """As `read_regular`, for UTF-8: other bytes are replaced, and line ends become newlines."""
    text = read_regular(path, most).decode(errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_if_there(path: Path, most: int = MAX_BYTES) -> str | None:
    """As `read_text`; None if `path` does not exist. Raises DiskError if it cannot be read."""
    with disk_errors(path, "cannot be read"), contextlib.suppress(FileNotFoundError):
        return read_text(path, most)
    return None


def write_whole(
    path: Path,
    data: bytes,
    *,
    within: Path | None = None,
    mode: int | None = None,
    flush: bool = True,
) -> None:
    """Replace the content of `path` atomically: a reader sees the old file or the new one.

    A symbolic link is followed inside `within` (default: the directory of `path`), and refused if
    it leads out. The mode is `mode`, else that of the existing file, else by the umask. Without
    `flush` this does not wait for the disk, and a power failure may leave an empty file. Raises
    DiskError.
    """
    target = target_inside(path, within or path.parent)
    with disk_errors(path):
        _replace(target, data, mode, flush=flush)


def require_writable(directory: Path, *, hint: str) -> None:
    """Raises DiskError where nothing can be created in `directory`."""
    if os.access(directory, os.W_OK):
        return
    is_read_only = sys.platform != "win32" and os.statvfs(directory).f_flag & os.ST_RDONLY
    number = errno.EROFS if is_read_only else errno.EACCES
    raise DiskError(f"{directory} cannot be written", cause=os.strerror(number), hint=hint)


def target_inside(path: Path, within: Path) -> Path:
    """`path` with all links resolved; raises DiskError where that is not in `within`."""
    target = Path(os.path.realpath(path))
    if not is_inside(target, within):
        raise DiskError(
            f"{path} leads out of {within}, so it is not used",
            cause=f"it is a link to {target}",
            hint="put a file in the place of the link, or remove the link",
        )
    return target


def link_to(target: str, path: Path) -> None:
    """Make `path` a link to `target` by one rename, which replaces an earlier link.

    No other process may do so at the same time. Raises DiskError.
    """
    remove_unfinished(path.parent, path.name)
    fresh = path.with_name(f".{path.name}{_UNFINISHED}{os.urandom(4).hex()}")
    with disk_errors(path):
        if os.path.lexists(path) and not path.is_symlink():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        fresh.symlink_to(target)
        fresh.replace(path)


def claim(path: Path) -> None:
    """Create `path` as an empty file if it does not exist, atomically.

    Raises DiskError, also for a link that leads out of its directory.
    """
    target = target_inside(path, path.parent)
    with disk_errors(path):
        target.touch()


def remove_unfinished(directory: Path, name: str | None = None) -> None:
    """Remove leftovers of interrupted writes of `name`, or of any file in `directory`.

    Nothing else may be writing there. Raises DiskError.
    """
    beginning = "." if name is None else f".{name}{_UNFINISHED}"
    for path in directory.iterdir() if directory.is_dir() else ():  # a glob takes 0.1 ms more
        if path.name.startswith(beginning) and _UNFINISHED in path.name:
            with disk_errors(path):
                path.unlink(missing_ok=True)


def _replace(target: Path, data: bytes, mode: int | None, *, flush: bool) -> None:
    before = target.stat() if target.exists() else None
    if before and not stat.S_ISREG(before.st_mode):
        raise OSError(0, "Not a regular file", str(target))
    if before and mode is None:
        mode = stat.S_IMODE(before.st_mode)
    # Others cannot read it before it has its mode; without one, the umask applies.
    first = 0o666 if mode is None else 0o600
    name = f"{target.parent}{os.sep}.{target.name}{_UNFINISHED}{os.urandom(4).hex()}"
    # As tempfile does, which takes 4 ms to import.
    file = open(name, "xb", opener=lambda path, flags: os.open(path, flags, first))  # noqa: SIM115  Path has no opener
    try:
        with file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        if before:
            keep_owner(Path(name), before.st_uid, before.st_gid)
            _keep_attributes(str(target), name)
        if mode is not None:
            Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def keep_owner(path: Path, user: int, group: int) -> None:
    """Give `path` to the ids `user` and `group`, as far as this process may."""
    if sys.platform != "win32" and (path.stat().st_uid, path.stat().st_gid) != (user, group):
        with contextlib.suppress(OSError):
            os.chown(path, user, group)


def _keep_attributes(source: str, target: str) -> None:
    """Copy extended attributes, such as access lists (acl(5), xattr(7))."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not on every file system, and some for root only
            for name in os.listxattr(source):
                os.setxattr(target, name, os.getxattr(source, name))


def remove(path: Path) -> None:
    """Remove a file, a link or a directory with its content if it exists; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        import shutil  # 3 ms

        require_unmounted(path)  # rmtree would empty what is mounted
        shutil.rmtree(path)
    else:
        remove_file(path)


def remove_file(path: Path) -> None:
    if os.path.lexists(path):  # a read-only file system refuses to remove even what does not exist
        path.unlink()


def mounts_in(directory: Path) -> list[Path]:
    """The mount points at or below a directory, as far as the system lists them (Linux does)."""
    real = os.path.realpath(directory)
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()  # proc_pid_mountinfo(5)
    except OSError:
        return [Path(real)] if os.path.ismount(real) else []  # Path.is_mount may raise on Windows
    places = [os.fsdecode(_unescaped(line.split(b" ", 5)[4])) for line in lines]
    return [Path(p) for p in sorted(places) if p == real or p.startswith(real.rstrip("/") + "/")]


def _unescaped(place: bytes) -> bytes:
    return place.decode("unicode_escape").encode("latin-1") if b"\\" in place else place


def require_unmounted(directory: Path) -> None:
    """Raises OSError if something is mounted at or below a directory: it would be removed too."""
    mounted = mounts_in(directory)
    if mounted:
        raise OSError(errno.EBUSY, "Something is mounted here", str(mounted[0]))


def directory_size(path: Path) -> int:
    """The size of all files below a directory, in bytes; raises nothing."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):  # removed meanwhile
                size += os.lstat(f"{folder}{os.sep}{name}").st_size
    return size


def is_inside(path: Path, directory: Path) -> bool:
    """Whether `path` is `directory` or below it, once links are resolved."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory))


def may_lead_into(path: Path, directory: Path) -> bool:
    """As `is_inside`, and True where a link on the way means another place in each process."""
    return is_inside(path, directory) or leads_through_proc(path)


def leads_through_proc(path: Path, links: int = 40) -> bool:
    """Whether a link on the way to an absolute `path` leads through proc(5), or links never end."""
    for place in map(str, (*reversed(path.parents), path)):
        if os.path.islink(place):  # noqa: PTH114  Path.is_symlink may raise
            target = Path(place).parent / Path(place).readlink() / path.relative_to(place)
            return not links or leads_through_proc(target, links - 1)
        if os.path.lexists(f"{place}/self/cwd"):
            return True
    return False


def free_name(path: Path, suffix: str) -> Path:
    """`<path>.<suffix>`, with a number where that exists."""
    candidate = path.with_name(f"{path.name}.{suffix}")
    number = 1
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.name}.{suffix}-{number}")
    return candidate


def move_by_hand(path: Path) -> str:
    return f"move it aside by hand: {shell_command('mv', str(path), f'{path}.old')}"


def set_aside(path: Path, target: Path) -> None:
    """Rename a directory to `target`, marked as ours and ignored by git; a file or link unmarked.

    Raises OSError, with the directory as it was, if it cannot be renamed.
    """
    if path.is_symlink() or not path.is_dir():
        path.rename(target)
        return
    require_unmounted(path)
    ignore = path / ".gitignore"
    is_ignored = os.path.lexists(ignore)
    try:
        mark = f"{path.stat().st_ino} {target.name}\n"
        if not is_ignored:
            mark += f"{ignore.name}\n"
        # A rename replaces a link that somebody has put in its place, and does not follow it.
        _replace(path / SET_ASIDE, os.fsencode(mark), 0o644, flush=False)
        if not is_ignored:
            ignore.write_text("*\n", encoding="ascii")
        path.rename(target)
    except OSError:
        unmark(path)
        raise


def put_back(aside: Path, path: Path) -> None:
    """Undo `set_aside`: rename `aside` back to `path`; raises OSError.

    The mark is removed last, so that after a kill the directory is still known to be ours.
    """
    require_unmounted(aside)
    aside.rename(path)
    unmark(path)


def unmark(path: Path) -> None:
    """Remove what `set_aside` has put into a directory, even if it was killed meanwhile."""
    remove_unfinished(path, SET_ASIDE)
    mark = read_mark(path)
    if mark is None:
        return
    if ".gitignore" in mark.splitlines():
        (path / ".gitignore").unlink(missing_ok=True)
    (path / SET_ASIDE).unlink()


def remove_set_aside(path: Path) -> None:
    """Rename what was set aside and remove it: half of it must never be put back.

    The mark is removed last, so that what a kill leaves is still known to be ours. Raises OSError.
    """
    require_unmounted(path)
    scrap = path.rename(free_name(path, "being-removed"))
    for entry in scrap.iterdir():
        if entry.name != SET_ASIDE:
            remove(entry)
    remove(scrap)


def is_marked(path: Path) -> bool:
    """Whether `path` is what `set_aside` made, and not a copy of it or renamed by somebody else."""
    inode, _, name = (read_mark(path) or "").partition("\n")[0].partition(" ")
    is_name = path.name == name or path.name.startswith(f"{name}.being-removed")
    return is_name and inode == str(path.stat().st_ino)


def read_mark(path: Path) -> str | None:
    """The text of the mark that `set_aside` makes; None without one."""
    try:
        return os.fsdecode(read_file(str(path / SET_ASIDE), is_own=True))  # a link is not ours
    except OSError:
        return None
