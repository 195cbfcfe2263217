"""Where a path or an include leads: what the file is called in the report, where it is read."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin

from uvflow.imports.credentials import expanded, split_userinfo
from uvflow.redaction import redacted

_URL = re.compile(r"(?:https?|ftp|file):", re.IGNORECASE)
_WEB = re.compile(r"https?://[^/]", re.IGNORECASE)
_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?", re.IGNORECASE)  # RFC 8089
_DRIVE = re.compile(r"[A-Za-z]:/")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file: `path` is what it is called, `address` where it is read, "" for nowhere.

    Either is relative to the root (POSIX), absolute, or a URL; only the address has the userinfo of
    a URL, and the values of variables.
    """

    path: str
    address: str = field(repr=False)

    @property
    def is_on_the_web(self) -> bool:
        return _WEB.match(self.address) is not None

    def included(self, said: str, environ: Mapping[str, str]) -> "Place":
        """Where an include in this file leads.

        As in pip, variables are expanded, and a path is relative to the file that has it, a URL to
        that of the file. What is on the web names no file of this machine.
        """
        value = expanded(said, environ)
        if self.is_on_the_web:
            return _on_the_web(_joined(self.path, said) or said, _joined(self.address, value))
        if is_url(value) and not _FILE.match(value):
            return _on_the_web(said, value)
        if "://" in value and not is_url(value):  # two lines that have become one
            return Place(path=redacted(said), address="")
        path = as_path(value)
        if not _DRIVE.match(path):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.address), path))
        return Place(path=path, address=path)


def named(text: str) -> Place:
    """The file that the command line names, or that was found: a path or a URL."""
    return _on_the_web(text, text) if is_url(text) else Place(path=text, address=text)


def is_url(text: str) -> bool:
    """Whether pip takes `text` for a URL, and not for a path."""
    return _URL.match(text) is not None


def as_path(place: str) -> str:
    """A path or a file URL as a normalised POSIX path."""
    path = _FILE.sub("", place, count=1) if _FILE.match(place) else place
    path = unquote(path) if path != place else path.replace("\\", "/")
    return posixpath.normpath(re.sub(r"^/(?=[A-Za-z]:/)", "", path))


def is_outside(path: str) -> bool:
    """Whether a normalised path leaves the project: upwards, absolute, on a drive, or a URL."""
    is_upwards = path == ".." or path.startswith(("../", "/"))
    return is_upwards or is_url(path) or re.match(r"[A-Za-z]:", path) is not None


def _on_the_web(said: str, url: str) -> Place:
    """By the URL as it is written, where a variable does not stand for all of it."""
    name = redacted(said if is_url(said) else url)
    return Place(path=split_userinfo(name)[0], address=url if _WEB.match(url) else "")


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:  # what is no URL
        return ""
