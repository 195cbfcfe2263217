r"""The fingerprint of a sync: what it depended on, as bytes that can be compared. Reads only.

Part of the fast path, so it imports `os`, `stat` and `sys` only. A fingerprint is a list of
questions about the file system and the variables, with their answers: to record one is to ask them,
to compare one is to ask them again. Answers are compared as bytes and never interpreted. The layout
of an encoded one:

    uvflow <version> fingerprint <checksum of all but the answers>\n
    <length>:<subject>,<length>:<environment>,<length>:<question>,<length>:<answer>,…

The subject is a profile of a project, so that a fingerprint copied to another place is not valid
there. A question is a kind, a space and a path; the kinds are the functions of `_KINDS`.
"""

import os
import stat
import sys

from uvflow import __version__

TYPE_CHECKING = False  # as in __main__
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEAD = f"uvflow {__version__} fingerprint ".encode()

# The largest prime below 2**128: `int` modulo it is a checksum at the speed of C. It guards against
# a damaged file, not against an adversary. Answers need none: a damaged one differs from today's.
_CHECKSUM_PRIME = (1 << 128) - 159

# No sync depends on these where they hold a number or a truth value, and nothing else is accepted.
# Credentials must not be stored, and do not decide what is installed.
HARMLESS = (
    *("UV_CONCURRENT_BUILDS", "UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_INSTALLS"),
    *("UV_HTTP_TIMEOUT", "UV_NO_PROGRESS", "UV_OFFLINE", "UV_RUN_RECURSION_DEPTH"),
)
_OF_URLS = ("INDEX", "LINKS", "MIRROR", "PROXY", "URL")  # in names
CREDENTIALS = ("_PASSWORD", "_USERNAME", "_TOKEN", "_SECRET", "_KEY")  # ends of names
_WATCHED_BESIDE_UV = (
    *("APPDATA", "HOME", "UVFLOW_ACTIVATED", "UVFLOW_UV", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME"),
)

# In the place of what a sync depended on where that cannot be watched: no question is of this kind.
NEVER_CURRENT = (b"unwatchable", b"")

_METADATA = (b".dist-info", b".egg-info", b".egg-link", b".data", b".pth")

# What no build backend takes for a package: in any directory, and in the topmost.
_NOT_SOURCES = (b".git", b".hg", b".svn", b".nox", b".tox", b"__pycache__", b"node_modules")
_NOT_SOURCES_ON_TOP = (b"build", b"dist", b"uv.lock")
_MARKS = (b"pyvenv.cfg", b"CACHEDIR.TAG")  # of environments (PEP 405) and caches (bford.info)

CHANGED: "dict[bytes, bytes]" = {}  # what was found not to be current, with the first question why

MOST_SOURCES = 3000  # files and directories; 17 ms, as much as uv takes in all

OTHERS_WRITE = "others may write to it"

MAX_BYTES = 32 << 20  # of a file that is read; large lockfiles have a tenth of this

# So that a named pipe is not waited for, and a terminal not taken over. Windows has none of these.
_READING = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NOCTTY", "O_NONBLOCK")
)


def read_file(path: str | bytes, most: int = MAX_BYTES, *, is_own: bool = False) -> bytes:
    """The bytes of a regular file of at most `most` bytes; raises OSError for any other.

    `is_own` is as in `open_regular`.
    """
    data = read_beginning(path, most + 1, is_own=is_own)
    if len(data) > most:
        raise OSError(0, f"More than {most:,} bytes", path)
    return data


def read_beginning(path: str | bytes, most: int, *, is_own: bool = False) -> bytes:
    """What a regular file begins with, up to `most` bytes; raises OSError."""
    descriptor = open_regular(path, is_own=is_own)
    try:
        size = os.fstat(descriptor).st_size
        chunk = size or 4096  # in /proc every file has 0
        data = os.read(descriptor, min(chunk + 1, most))
        while len(data) != size and (more := os.read(descriptor, min(chunk, most - len(data)))):
            data += more
        return data
    finally:
        os.close(descriptor)


def open_regular(path: str | bytes, *, is_own: bool = False) -> int:
    """Open a regular file; raises OSError for a pipe, a device or a directory.

    With `is_own` it also has to belong to this user, and a symbolic link is not followed.
    """
    descriptor = os.open(path, _READING | (getattr(os, "O_NOFOLLOW", 0) if is_own else 0))
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and (not is_own or status.st_uid == user_id()):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(0, "Is a directory", path)
    raise OSError(0, "Not a regular file of this user" if is_own else "Not a regular file", path)


def user_id() -> int:
    """The user that files have to belong to; on Windows all seem to belong to 0."""
    return int(getattr(os, "geteuid", int)())


def exposure(directory: str) -> str:
    """The reason why others may have written into a directory; empty where nobody can.

    What others may only read passes: the files in it are for their owner only, and a directory that
    UVFLOW_CACHE_DIR names may have other uses.
    """
    try:
        status = os.lstat(directory)
    except OSError:  # not there, or not to be looked at: then nothing in it is read either
        return ""
    if sys.platform == "win32":
        return ""
    if stat.S_ISLNK(status.st_mode):
        return "it is a link"
    if status.st_uid != user_id():
        return "it belongs to another user"
    return OTHERS_WRITE if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""


def key(state: str, name: str) -> str:
    """The subject of the fingerprint that is the file `name` in the state directory `state`."""
    return os.path.basename(state) + " " + name


def record(questions: list[str]) -> tuple[bytes, ...]:
    """The questions, each followed by its present answer."""
    encoded = [os.fsencode(question) for question in questions]
    return tuple(part for question in encoded for part in (question, _answer(question)))


def encode(subject: str, environment: str, answers: tuple[bytes, ...]) -> bytes:
    """The fingerprint of a sync of `environment`, from what `record` gave before and after it."""
    parts = [os.fsencode(subject), os.fsencode(environment), *answers]
    body = b"".join(b"%d:%b," % (len(part), part) for part in parts)
    return _head(parts) + b"\n" + body


def _head(parts: list[bytes]) -> bytes:
    """The first line, with a checksum of the subject, the environment and the questions."""
    return _HEAD + _checksum([*parts[:2], *parts[2::2]])


def read_encoded(state: str, name: str) -> bytes:
    """The fingerprint `name` in a state directory; empty where it cannot be read."""
    try:
        return read_file(os.path.join(state, name), is_own=True)
    except (OSError, ValueError):  # the name of a profile that cannot be a file name
        return b""


def is_current(encoded: bytes, subject: str) -> bool:
    """Whether `encoded` is of `subject` and no answer has changed; False where it is damaged."""
    recorded_subject, _environment, *answers = _parts(encoded) or [b"", b""]
    if encoded in CHANGED or not answers or recorded_subject != os.fsencode(subject):
        return False
    for question, answer in zip(answers[::2], answers[1::2], strict=True):
        if not _is_answered_by(question, answer):
            CHANGED[encoded] = question
            return False
    return True


def _is_answered_by(question: bytes, answer: bytes) -> bool:
    try:
        return _answer(question) == answer
    except (ValueError, KeyError, OSError):
        return False


def environment_of(encoded: bytes) -> str | None:
    """The environment that a fingerprint is about; None where it is damaged."""
    parts = _parts(encoded)
    return os.fsdecode(parts[1]) if parts else None


def recorded_answers(encoded: bytes) -> dict[bytes, bytes]:
    """The answers of a fingerprint by question; none where it is damaged."""
    return pairs(tuple(_parts(encoded)[2:]))


def pairs(answers: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """The answers that `record` gave, by question."""
    return dict(zip(answers[::2], answers[1::2], strict=False))


def has_env_file(encoded: bytes) -> bool:
    """Whether the profile of a fingerprint has an env-file."""
    return any(question.startswith(_ENV_FILE) for question in recorded_answers(encoded))


def in_sync_message(profile: str, chosen_by: str) -> str:
    """The message for "nothing to do", the same on the fast path and from the command line."""
    return f"Already in sync: {profile_with_origin(profile, chosen_by)}"


def profile_with_origin(profile: str, chosen_by: str) -> str:
    """A profile, and where it came from when that was not a flag."""
    return f"{profile} ({chosen_by})" if chosen_by else profile


def _parts(encoded: bytes) -> list[bytes]:
    """The subject, the environment, then questions and answers by turns.

    None where it is damaged, or of another version of uvflow.
    """
    head, _, body = encoded.partition(b"\n")
    parts = []
    start = 0
    while start < len(body):
        length = body[start : start + 20].partition(b":")[0]
        begin = start + len(length) + 1
        end = begin + int(length) if length.isdigit() else len(body)
        if body[end : end + 1] != b",":
            return []
        parts.append(body[begin:end])
        start = end + 1
    is_whole = len(parts) > 1 and len(parts) % 2 == 0
    return parts if is_whole and head == _head(parts) else []


def _checksum(parts: list[bytes]) -> bytes:
    return b"%032x" % (int.from_bytes(b"\0".join(parts), "little") % _CHECKSUM_PRIME)


def _answer(question: bytes) -> bytes:
    kind, _, path = question.partition(b" ")
    return _KINDS[kind](path)


def _content(path: bytes) -> bytes:
    """The bytes of a file; that it does not exist is an answer, that it is unreadable is not."""
    try:
        return b"+" + read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return b"-"


def _identity(path: bytes) -> bytes:
    """Which file it is and when it was last changed; symbolic links are followed."""
    try:
        return _stat_fields(os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return b"-"


def _linkable(path: bytes) -> bytes:
    """The identity of a file that others may be hard links to: without the ctime.

    That changes with the number of links, and uv links what it installs to the files in its cache.
    """
    return _identity(path).rpartition(b" ")[0]


def _directories(path: bytes) -> bytes:
    """The names of the directories in a directory."""
    try:
        with os.scandir(path) as entries:
            return b"/".join(sorted(entry.name for entry in entries if entry.is_dir()))
    except (FileNotFoundError, NotADirectoryError):
        return b"-"


def _present(paths: bytes) -> bytes:
    """Which of several paths exist; NUL is between them."""
    return b"".join(b"+" if os.path.exists(path) else b"-" for path in paths.split(b"\0"))


def _distributions(path: bytes) -> bytes:
    """The metadata in a site-packages, the links and `.pth` files, and when each has changed."""
    with os.scandir(path) as entries:
        return b"\n".join(
            sorted(
                entry.name + b" " + _metadata(entry)
                for entry in entries
                if entry.name.endswith(_METADATA) or entry.is_symlink()
            )
        )


def _metadata(entry: "os.DirEntry[bytes]") -> bytes:
    """When an entry of site-packages has changed, and of metadata the files that uv reads.

    RECORD and WHEEL may be links into uv's cache.
    """
    fields = _stat_fields(entry.stat(follow_symlinks=False))
    if not entry.name.endswith(b".dist-info"):
        return fields
    record, wheel = _linkable(entry.path + b"/RECORD"), _linkable(entry.path + b"/WHEEL")
    return b" ".join((fields, record, wheel, _identity(entry.path + b"/uv_cache.json")))


def source_files(question: bytes, most: int = MOST_SOURCES) -> list[tuple[bytes, bytes]]:
    """The files that a build of a package may take, in order, each with its identity.

    `question` is the directory of the package, then those in it that are packages of their own,
    separated by NUL. Raises ValueError where there are more than `most` files and directories.
    """
    top, *others = question.split(b"\0")
    files: list[tuple[bytes, bytes]] = []
    folders = [top]
    seen = {_inode(os.stat(top))}
    for folder in folders:  # which grows
        with os.scandir(folder) as scan:
            entries = list(scan)
        if folder != top and any(entry.name in _MARKS for entry in entries):
            continue
        skipped = _NOT_SOURCES if folder != top else (*_NOT_SOURCES, *_NOT_SOURCES_ON_TOP)
        for entry in entries:
            if entry.name in skipped or entry.name.endswith(b".egg-info") or entry.path in others:
                continue
            if not entry.is_dir():
                files.append((entry.path, _identity(entry.path)))
            elif (inode := _inode(entry.stat())) not in seen:  # a link may lead back
                seen.add(inode)
                folders.append(entry.path)
        if len(files) + len(folders) > most:
            raise ValueError(top)
    return sorted(files)


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def sources_answer(files: list[tuple[bytes, bytes]]) -> bytes:
    """The answer to a question for `files`, which `source_files` gave."""
    return _checksum([part for file in files for part in file])


def _uv(path: bytes) -> bytes:
    """Which uv would be found: all that is looked at before the one at `path`, and that one."""
    wanted = _linkable(path)
    found = []
    for candidate in uv_candidates(os.environ):
        found.append(_linkable(os.fsencode(candidate)))
        if found[-1] == wanted:
            return b"\n".join(found)
    return b"\n".join((*found, wanted, os.fsencode(sys.prefix)))  # that of the `uv` package


def uv_candidates(environ: "Mapping[str, str]") -> list[str]:
    """Where a uv may be: UVFLOW_UV, or UV and PATH. Relative entries of PATH do not count.

    They would find what lies in the current directory.
    """
    chosen = environ.get("UVFLOW_UV")
    names = [chosen] if chosen else [environ.get("UV"), "uv"]
    directories = environ.get("PATH", os.defpath).split(os.pathsep)
    suffixes = (".exe", ".cmd", ".bat") if os.name == "nt" else ("",)
    found = []
    for name in filter(None, names):
        if os.path.dirname(name):
            found.append(name)
            continue
        files = [name.removesuffix(suffix) + suffix for suffix in suffixes]
        paths = [os.path.join(d, file) for d in directories if os.path.isabs(d) for file in files]
        found += filter(os.path.exists, paths)
    return found


def _variable(name: bytes) -> bytes:
    """A digest of a variable's value, which may be a secret: it is part of a URL."""
    import hashlib  # 3 ms, and few projects have a variable in a URL

    value = os.environ.get(os.fsdecode(name))
    return b"-" if value is None else hashlib.sha256(os.fsencode(value)).hexdigest().encode()


def _variables(set_aside: bytes) -> bytes:
    """The variables that a sync depends on, with their values, without those of these names."""
    not_watched = os.fsdecode(set_aside).split()
    for name, value in os.environ.items():
        if "@" in value and name.startswith("UV_") and any(part in name for part in _OF_URLS):
            raise OSError(0, "May hold credentials", name)
    return os.fsencode(
        "\0".join(
            sorted(
                f"{name}={value}"
                for name, value in os.environ.items()
                if name in _WATCHED_BESIDE_UV
                or (
                    name.startswith("UV_")
                    and name not in not_watched
                    and not name.endswith(CREDENTIALS)
                    and not (name in HARMLESS and _is_plain(name, value))
                )
            )
        )
    )


def _is_plain(name: str, value: str) -> bool:
    if name in ("UV_NO_PROGRESS", "UV_OFFLINE"):
        return value.lower() in ("0", "1", "true", "false")
    return value.isascii() and value.isdigit() and value[0] != "0" and len(value) < 10  # noqa: PLR2004  of 32 bits


def _stat_fields(status: os.stat_result) -> bytes:
    times = status.st_mtime_ns, status.st_ctime_ns
    return b"%d %d %d %d" % (status.st_ino, status.st_size, *times)


_ENV_FILE = b"env-file "  # which `run` reads each time, so there is nothing to compare

_KINDS: "dict[bytes, Callable[[bytes], bytes]]" = {
    b"env-file": lambda _path: b"",
    b"content": _content,
    b"identity": _identity,
    b"is-directory": lambda path: b"+" if os.path.isdir(path) else b"-",
    b"link": lambda path: os.readlink(path) if os.path.islink(path) else b"-",
    b"directories": _directories,
    b"distributions": _distributions,
    b"present": _present,
    b"linkable": _linkable,
    b"sources": lambda path: sources_answer(source_files(path)),
    b"uv": _uv,
    b"variable": _variable,
    b"variables": _variables,
    b"working-directory": lambda _path: os.fsencode(os.getcwd()),
}
