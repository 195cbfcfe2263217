"""Credentials in URLs: taken out, looked up, never shown."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

# RFC 3986, section 3.2: userinfo is what stands before the last "@" of the authority.
_AUTHORITY = re.compile(r"(?P<before>^[^:/?#]*://)(?P<userinfo>[^/?#]*)@", re.ASCII)
# The same within a text. A password with `/` in it is no valid URL, and still nobody's business;
# that the user is git is no secret.
_ANYWHERE = re.compile(r"(?<=://)(?!git@)(?:[^/?#\s]*|[^/?#\s:@]*:(?!\d+/)[^\s@]*)@")

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
        """Whether `environ` has all that it takes."""
        return all(map(environ.get, self.variables))

    def looked_up(self, environ: Mapping[str, str]) -> tuple[str, str]:
        """The user name and the password themselves, the variables taken from `environ`."""
        return unquote(expanded(self.username, environ)), unquote(expanded(self.password, environ))

    def told_of(self, url: str, path: str, *, is_at_hand: bool) -> str:
        """That they are left out of `url`, with what is left in the file at `path`."""
        use = ", uv has them for this run" if is_at_hand else ""
        rest = "" if self.variables else f"; {path} still holds them"
        return f"the credentials of {url} are left out{use}{rest}"


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


def for_git(logins: Iterable[tuple[str, Userinfo]], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which git logs in to the URLs of `logins`, on top of what `environ` says.

    A header of its own for each URL reaches git by the environment alone: neither an argument nor a
    file has the password (git-config, `http.extraHeader` and GIT_CONFIG_COUNT).
    """
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    found = {}
    for number, (url, userinfo) in enumerate(dict(logins).items(), first):
        token = base64.b64encode(":".join(userinfo.looked_up(environ)).encode()).decode()
        found[f"GIT_CONFIG_KEY_{number}"] = f"http.{url}.extraHeader"
        found[f"GIT_CONFIG_VALUE_{number}"] = f"Authorization: Basic {token}"
        found["GIT_CONFIG_COUNT"] = str(number + 1)
    return found
