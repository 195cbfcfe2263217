r"""What a sync depends on, as bytes; is it what it was? Reads only.

Part of the front door, so `os` only. A snapshot is a list of questions with their answers: taking
it asks them, comparing it asks them again. Nothing in it is parsed into meaning. Its layout:

    uvflow <version> snapshot <checksum of all but the answers>\n
    <length>:<subject>,<length>:<environment>,<length>:<question>,<length>:<answer>,…

The subject is which profile of which project; the same file in another's place says nothing. A
question is a kind, a space and a path; the kinds are the functions of `_KINDS`.
"""

import os

from uvflow import __version__

_HEAD = f"uvflow {__version__} snapshot ".encode()

# The largest prime below 2**128. As a modulus it makes a checksum of C speed out of `int`; it
# guards against a damaged file, not against an adversary. Answers need none: a damaged answer is
# not the answer of now.
_CHECKSUM_PRIME = (1 << 128) - 159

# Set by `uv run` for its child, and without bearing on a sync; the others hold credentials, whose
# value must not be kept and does not change what is installed.
_NOT_WATCHED = ("UV_RUN_RECURSION_DEPTH",)
_CREDENTIALS = ("_PASSWORD", "_USERNAME", "_TOKEN")
_BESIDES_UV = ("HOME", "UVFLOW_UV", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "APPDATA")


def key(state: str, profile: str) -> str:
    """The subject of a snapshot: `profile` of the project whose state directory is `state`."""
    return os.path.basename(state) + " " + profile


def record(questions: list[str]) -> tuple[bytes, ...]:
    """The questions, each followed by its answer of now."""
    asked = [os.fsencode(question) for question in questions]
    return tuple(part for question in asked for part in (question, _answer(question)))


def encode(subject: str, environment: str, answers: tuple[bytes, ...]) -> bytes:
    """A snapshot of the sync of `environment`, from what `take` gave before and after it."""
    parts = [os.fsencode(subject), os.fsencode(environment), *answers]
    body = b"".join(b"%d:%b," % (len(part), part) for part in parts)
    return _HEAD + _checksum(parts) + b"\n" + body


def is_current(snapshot: bytes, subject: str) -> bool:
    """Whether it is of `subject`, and every question has the answer it had; never when damaged."""
    try:
        whose, _environment, *asked = _parts(snapshot)
        return (
            bool(asked)
            and whose == os.fsencode(subject)
            and all(
                _answer(question) == answer
                for question, answer in zip(asked[::2], asked[1::2], strict=True)
            )
        )
    except (ValueError, KeyError, OSError):
        return False


def environment_of(snapshot: bytes) -> str | None:
    """The environment that a snapshot is about; None where it is damaged."""
    try:
        return os.fsdecode(_parts(snapshot)[1])
    except (ValueError, IndexError):
        return None


def in_sync_message(profile: str, chosen_by: str) -> str:
    """The sentence for "nothing to do", the same from the door and from the command line."""
    return f"Already in sync: {profile_with_origin(profile, chosen_by)}"


def profile_with_origin(profile: str, chosen_by: str) -> str:
    """A profile, and where it came from when that was not a flag."""
    return f"{profile} ({chosen_by})" if chosen_by else profile


def _parts(snapshot: bytes) -> list[bytes]:
    head, _, body = snapshot.partition(b"\n")
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
    asked = b"\0".join((*parts[:2], *parts[2::2]))
    return b"%032x" % (int.from_bytes(asked, "little") % _CHECKSUM_PRIME)


def _answer(question: bytes) -> bytes:
    kind, _, path = question.partition(b" ")
    return _KINDS[kind](path)


def _content(path: bytes) -> bytes:
    """The bytes of a file; absent is an answer, unreadable is not."""
    try:
        with open(path, "rb") as file:
            return b"+" + file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b"-"


def _identity(path: bytes) -> bytes:
    """Which file it is and when it was last changed, through symbolic links."""
    try:
        return _told(os.stat(path))
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
    """The metadata directories and `.pth` files of a site-packages, and when they changed."""
    with os.scandir(path) as entries:
        return b"\n".join(
            sorted(
                entry.name + b" " + _told(entry.stat())
                for entry in entries
                if entry.name.endswith((b".dist-info", b".egg-info", b".egg-link", b".pth"))
            )
        )


def _variables(_path: bytes) -> bytes:
    """The variables that bear on a sync, with their values."""
    return os.fsencode(
        "\0".join(
            sorted(
                f"{name}={value}"
                for name, value in os.environ.items()
                if name in _BESIDES_UV
                or (
                    name.startswith("UV_")
                    and name not in _NOT_WATCHED
                    and not name.endswith(_CREDENTIALS)
                )
            )
        )
    )


def _told(status: os.stat_result) -> bytes:
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
