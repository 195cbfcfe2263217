r"""The fingerprint of a sync: what it depended on, as bytes that can be compared. Reads only.

Part of the fast path, so it imports `os` and `stat` only. A fingerprint is a list of questions
about the file system and the variables, with their answers: to record one is to ask them, to
compare one is to ask them again. Answers are compared as bytes and never interpreted. The layout of
an encoded one:

    uvflow <version> fingerprint <checksum of all but the answers>\n
    <length>:<subject>,<length>:<environment>,<length>:<question>,<length>:<answer>,…

The subject is a profile of a project, so that a fingerprint copied to another place is not valid
there. A question is a kind, a space and a path; the kinds are the functions of `_KINDS`.
"""

import os
import stat

from uvflow import __version__

_HEAD = f"uvflow {__version__} fingerprint ".encode()

# The largest prime below 2**128: `int` modulo it is a checksum at the speed of C. It guards against
# a damaged file, not against an adversary. Answers need none: a damaged one differs from today's.
_CHECKSUM_PRIME = (1 << 128) - 159

# `uv run` sets the first for its child, and no sync depends on it. Credentials must not be stored,
# and do not decide what is installed.
_NOT_WATCHED = ("UV_RUN_RECURSION_DEPTH",)
CREDENTIALS = ("_PASSWORD", "_USERNAME", "_TOKEN", "_SECRET", "_KEY")  # ends of names
_WATCHED_BESIDE_UV = ("HOME", "UVFLOW_UV", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "APPDATA")


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
        size = os.fstat(descriptor).st_size or 4096  # in /proc every file has 0
        data = os.read(descriptor, min(size + 1, most))
        while len(data) < most and (more := os.read(descriptor, min(size, most - len(data)))):
            data += more
        return data
    finally:
        os.close(descriptor)


def open_regular(path: str | bytes, *, is_own: bool = False) -> int:
    """A descriptor to read a regular file by; raises OSError for a pipe, a device or a directory.

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
    """Whom files have to belong to; on Windows all seem to belong to 0."""
    return int(getattr(os, "geteuid", int)())


def key(state: str, profile: str) -> str:
    """The subject of a fingerprint: `profile` of the project whose state directory is `state`."""
    return os.path.basename(state) + " " + profile


def record(questions: list[str]) -> tuple[bytes, ...]:
    """The questions, each followed by its present answer."""
    encoded = [os.fsencode(question) for question in questions]
    return tuple(part for question in encoded for part in (question, _answer(question)))


def encode(subject: str, environment: str, answers: tuple[bytes, ...]) -> bytes:
    """The fingerprint of a sync of `environment`, from what `record` gave before and after it."""
    parts = [os.fsencode(subject), os.fsencode(environment), *answers]
    body = b"".join(b"%d:%b," % (len(part), part) for part in parts)
    return _HEAD + _checksum(parts) + b"\n" + body


def is_current(encoded: bytes, subject: str) -> bool:
    """Whether `encoded` is of `subject` and no answer has changed; False where it is damaged."""
    try:
        recorded_subject, _environment, *answers = _parts(encoded)
        return (
            bool(answers)
            and recorded_subject == os.fsencode(subject)
            and all(
                _answer(question) == answer
                for question, answer in zip(answers[::2], answers[1::2], strict=True)
            )
        )
    except (ValueError, KeyError, OSError):
        return False


def environment_of(encoded: bytes) -> str | None:
    """The environment that a fingerprint is about; None where it is damaged."""
    try:
        return os.fsdecode(_parts(encoded)[1])
    except (ValueError, IndexError):
        return None


def in_sync_message(profile: str, chosen_by: str) -> str:
    """The message for "nothing to do", the same on the fast path and from the command line."""
    return f"Already in sync: {profile_with_origin(profile, chosen_by)}"


def profile_with_origin(profile: str, chosen_by: str) -> str:
    """A profile, and where it came from when that was not a flag."""
    return f"{profile} ({chosen_by})" if chosen_by else profile


def _parts(encoded: bytes) -> list[bytes]:
    """Raises ValueError where it is damaged, or of another version of uvflow."""
    head, _, body = encoded.partition(b"\n")
    parts = []
    start = 0
    while start < len(body):
        colon = body.index(b":", start)
        end = colon + 1 + int(body[start:colon])
        if body[end : end + 1] != b",":
            raise ValueError(start)
        parts.append(body[colon + 1 : end])
        start = end + 1
    if head != _HEAD + _checksum(parts):
        raise ValueError(head)
    return parts


def _checksum(parts: list[bytes]) -> bytes:
    unanswered = b"\0".join((*parts[:2], *parts[2::2]))
    return b"%032x" % (int.from_bytes(unanswered, "little") % _CHECKSUM_PRIME)


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


def _is_directory(path: bytes) -> bytes:
    return b"+" if os.path.isdir(path) else b"-"


def _directories(path: bytes) -> bytes:
    """The names of the directories in a directory."""
    try:
        with os.scandir(path) as entries:
            return b"/".join(sorted(entry.name for entry in entries if entry.is_dir()))
    except (FileNotFoundError, NotADirectoryError):
        return b"-"


def _distributions(path: bytes) -> bytes:
    """The metadata directories and `.pth` files in a site-packages, and when they changed."""
    with os.scandir(path) as entries:
        return b"\n".join(
            sorted(
                entry.name + b" " + _stat_fields(entry.stat())
                for entry in entries
                if entry.name.endswith((b".dist-info", b".egg-info", b".egg-link", b".pth"))
            )
        )


def _variables(_path: bytes) -> bytes:
    """The variables that a sync depends on, with their values."""
    return os.fsencode(
        "\0".join(
            sorted(
                f"{name}={value}"
                for name, value in os.environ.items()
                if name in _WATCHED_BESIDE_UV
                or (
                    name.startswith("UV_")
                    and name not in _NOT_WATCHED
                    and not name.endswith(CREDENTIALS)
                )
            )
        )
    )


def _stat_fields(status: os.stat_result) -> bytes:
    return b"%d %d %d %d" % (
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


_KINDS = {
    b"content": _content,
    b"identity": _identity,
    b"is-directory": _is_directory,
    b"directories": _directories,
    b"distributions": _distributions,
    b"variables": _variables,
}
