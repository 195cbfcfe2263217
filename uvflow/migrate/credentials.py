"""Credentials in URLs: removed from what is written, and given to uv for one run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from uvflow.paths import MANIFEST
from uvflow.redaction import redacted

UNCLEAR = "the credentials of this URL have no clear end"

# RFC 3986, section 3.2: userinfo is what stands before the last "@" of the authority.
_AUTHORITY = re.compile(r"(?P<before>^[^:/?#]*://)(?P<userinfo>[^/?#]*)@", re.ASCII)

# A `:` in the host (RFC 3986, section 3.2.2) with no port after it: half of a password that was
# pasted with a character that ends the userinfo. ssh:// may have a path there.
_NO_PORT = re.compile(
    r"(?!(?:git\+)?ssh:)[^:/?#]*://(?:\[[^\]/]*\])?[^/?#\[]*:(?!\d*(?:[/?#]|$))", re.IGNORECASE
)

# `…@revision` at the end of a git URL; a host, which stands behind a password, has a path.
_REVISION = re.compile(r".*\.git@|(?:git|hg|svn|bzr)\+.*@(?!.*\.git$)", re.IGNORECASE)

# pip expands `${NAME}` of upper-case letters, digits and underscores, and nothing else.
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


@dataclass(frozen=True, kw_only=True)
class Userinfo:
    """The user name and the password of a URL, as written: percent-encoded, with `${VAR}`."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the environment variables in it."""
        return variables(f"{self.username}:{self.password}")

    def is_at_hand(self, environ: Mapping[str, str]) -> bool:
        """Whether `environ` has all the variables in it."""
        return all(map(environ.get, self.variables))

    def login(self, environ: Mapping[str, str]) -> tuple[str, str]:
        """The user name and the password, decoded, with the variables of `environ` expanded."""
        username, password = (
            # As in pip, one that is empty or unset stays.
            unquote(_VARIABLE.sub(lambda match: environ.get(match[1]) or match[0], part))
            for part in (self.username, self.password)
        )
        return username, password

    def removal_notice(self, url: str, path: str, *, is_at_hand: bool) -> str:
        """A sentence: they were removed from `url`, but the file at `path` may still have them."""
        use = ", but uv has them for this run" if is_at_hand else ""
        keeper = "the backup for `uvflow undo`" if path == MANIFEST else path
        rest = "" if self.variables else f"; {keeper} still contains them"
        return f"the credentials of {url} were removed{use}{rest}"


def split_userinfo(url: str) -> tuple[str, Userinfo | None]:
    """`url` without its userinfo, and that userinfo."""
    match = _AUTHORITY.match(url)
    if match is None:
        return url, None
    username, _, password = match["userinfo"].partition(":")
    return match["before"] + url[match.end() :], Userinfo(username=username, password=password)


def remaining_secret(url: str) -> str:
    """A sentence about what else than the userinfo of `url` is, or may be, secret; or ""."""
    bare, userinfo = split_userinfo(url)
    has_password = userinfo is not None and userinfo.password
    if _NO_PORT.match(bare) or (has_password and "@" in bare and not _REVISION.match(bare)):
        return UNCLEAR
    # Two lines that have become one, or a URL with a slash too few, too many or none.
    is_odd = bare.count("://") != 1 or ":///" in bare
    if is_odd and redacted(bare) != bare:
        return UNCLEAR
    if userinfo and "ssh:" in url.lower() and "%3a" in userinfo.username.lower():
        return UNCLEAR  # the user is kept, and this one has a password
    behind = "".join(re.findall(r"[?#].*", bare))
    if redacted(behind) != behind:
        return "the query of this URL contains a token"
    path = bare.replace("@", "/")  # one that is left stands before a revision
    return "the path of this URL contains a token" if redacted(path) != path else ""


def variables(text: str) -> tuple[str, ...]:
    """The names of the environment variables that pip would expand in `text`."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))
