"""Credentials in URLs: taken out, looked up, never shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# RFC 3986, section 3.2: userinfo is what stands before the last "@" of the authority.
_AUTHORITY = re.compile(r"(?P<before>^[^:/?#]*://)(?P<userinfo>[^/?#]*)@", re.ASCII)
_ANYWHERE = re.compile(r"(?<=://)[^/?#\s]*@")

# pip expands `${NAME}` of upper-case letters, digits and underscores, and nothing else.
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


@dataclass(frozen=True, kw_only=True)
class Userinfo:
    """The user name and the password of a URL, as written: percent-encoded, with `${VAR}`."""

    username: str = field(repr=False)
    password: str = field(repr=False)


def split_userinfo(url: str) -> tuple[str, Userinfo | None]:
    """`url` without its userinfo, and that userinfo."""
    match = _AUTHORITY.match(url)
    if match is None:
        return url, None
    username, _, password = match["userinfo"].partition(":")
    return match["before"] + url[match.end() :], Userinfo(username=username, password=password)


def redacted(text: str) -> str:
    """`text` with `****` for the userinfo of every URL in it."""
    return _ANYWHERE.sub("****@", text)


def variables(text: str) -> tuple[str, ...]:
    """The names of the environment variables that pip would expand in `text`."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its variables from `environ`; as in pip, one that is empty or unset stays."""
    return _VARIABLE.sub(lambda match: environ.get(match[1]) or match[0], text)
