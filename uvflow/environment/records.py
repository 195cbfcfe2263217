"""Read RECORD files, as "Recording installed projects" (packaging.python.org) specifies them."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from uvflow.environment.installed import read_quickly

# Of a RECORD: three times what the largest distributions have.
_MOST_RECORD, _MOST_ROWS = 12 << 20, 100_000

_SIZE_DIGITS = 20  # more are not a file's size; int() refuses thousands of them


class Row(NamedTuple):
    """A row of a RECORD: an absolute path, `algorithm=digest` or nothing, a size in bytes."""

    path: str
    digest: str
    size: int | None


def read_record(path: str) -> str | None:
    """The text of a RECORD; None where the file is missing, not text or too long for one."""
    content = read_quickly(path, _MOST_RECORD)
    if content is None or b"\0" in content or content.count(b"\n") > _MOST_ROWS:
        return None
    try:
        return None if len(content) == _MOST_RECORD else content.decode()
    except UnicodeDecodeError:
        return None


def rows(site_packages: str, text: str) -> Iterator[Row]:
    """The rows of the RECORD `text`, which are relative to `site_packages`."""
    for name, digest, size in fields(text):
        is_size = size.isdecimal() and len(size) < _SIZE_DIGITS
        yield Row(absolute(site_packages, name), digest, int(size) if is_size else None)


def fields(text: str) -> Iterator[tuple[str, str, str]]:
    """The path, hash and size of each row, as they are written.

    RECORD is CSV in the dialect of Python's csv module. That module raises for what a garbled file
    may contain, and takes 5 ms longer for 13,000 rows; only the path can need quotes.
    """
    for line in text.replace("\r", "\n").split("\n"):
        name, digest, size = (*line.rsplit(",", 2), "", "")[:3]
        if name.startswith('"'):
            name = '"'.join(part.replace('"', "") for part in name[1:].split('""'))
        if name:
            yield name, digest.strip('"'), size.strip('"')


def absolute(base: str, name: str) -> str:
    """The path of a row is relative to site-packages, or absolute."""
    if os.sep == "/" and name[0] not in "./" and "/." not in name:
        return f"{base}/{name}"  # there is nothing to normalise, which costs 40 ms for 13,000 rows
    joined = os.path.join(base, name)  # noqa: PTH118  as above
    return os.path.normcase(os.path.normpath(joined))
