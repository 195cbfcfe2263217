"""Where things are: the project root, and what uvflow remembers of it.

Part of the fast path, so it imports `os` and `sys` only. All paths are absolute `str`.
"""

import os
import sys

MANIFEST = "pyproject.toml"
LOCKFILE = "uv.lock"
OWN_SETTINGS = "uvflow.local.toml"  # of one person, not committed

# Where a profile came from when that was not a flag, for the fast path and the command line.
FROM_VARIABLE = "from UVFLOW_PROFILE"
AS_LAST_TIME = "as last time"


def project_root(start: str) -> str | None:
    """The nearest directory from `start` upwards that has a pyproject.toml, as uv finds it."""
    directory = os.path.realpath(start)
    while not os.path.isfile(os.path.join(directory, MANIFEST)):
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return directory


def cache_dir() -> str:
    """Where uvflow keeps its state: UVFLOW_CACHE_DIR, or the user's cache directory.

    The directory that platformdirs gives, without its 20 ms of imports; a test compares the two.
    """
    chosen = os.environ.get("UVFLOW_CACHE_DIR")
    if chosen:
        return os.path.abspath(chosen)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
        return os.path.join(local, "uvflow", "uvflow", "Cache")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/uvflow")
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):  # XDG Base Directory Specification: relative paths are invalid
        caches = os.path.expanduser("~/.cache")
    return os.path.join(caches, "uvflow")


def state_dir(root: str) -> str:
    """Where uvflow keeps what it remembers of the project at `root`."""
    return os.path.join(cache_dir(), "projects", state_name(root))


def fingerprint_name(profile: str, root: str, workspace: str) -> str:
    """The file, in the state of `workspace`, that is about syncs of its member at `root`."""
    member = os.path.relpath(root, workspace)
    suffix = "" if member == os.curdir else f"@{digest(os.fsencode(member)):032x}"
    return f"{profile}{suffix}.fingerprint"


def state_name(root: str) -> str:
    """`<name>-<digest of the real root>`: readable, and the same for every spelling of `root`."""
    real = os.path.realpath(root)
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in os.path.basename(real))
    return f"{name[:40]}-{digest(os.fsencode(real)):032x}"


def digest(data: bytes) -> int:
    """FNV-1a, 128 bits (Fowler, Noll, Vo); importing `hashlib` would cost the fast path 3 ms."""
    value = 0x6C62272E07BB014262B821756295C58D
    for byte in data:
        value = (value ^ byte) * 0x0000000001000000000000000000013B & (1 << 128) - 1
    return value
