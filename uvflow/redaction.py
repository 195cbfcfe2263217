"""Replace secrets in a text by `****`: passwords and tokens in URLs. Pure, and quick to import.

Where a secret ends is not always clear, since people paste passwords into URLs unencoded, with `/`,
`@`, `#` or `?` in them. In doubt too much is hidden rather than too little.
"""

import re
from collections.abc import Iterator

HIDDEN = "****"

# Every repetition below is bounded, so that no text takes more than linear time.
_START = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,30})://\Z", re.IGNORECASE)
_LONGEST_SCHEME = 31  # characters

# A URL ends at white space, or where the next one begins.
_END = re.compile(r"\s|(?:\b(?:git|hg|svn|bzr)\+)?\b(?:https?|ssh|ftp|file)://", re.IGNORECASE)

# URLs of version control systems, which may end with `@revision` (pip docs, "VCS Support").
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+", re.IGNORECASE)

# Variables that pip expands, and what looks like one.
_VARIABLES = re.compile(r"(?:\$\{\w+\})+")

# Parameters of clouds' signed URLs (X-Amz-Signature, X-Goog-Credential, sig), of forges and
# registries (private_token, access_token, api_key), and names that speak for themselves.
_QUERY = re.compile(
    r"""
    (?P<before> [?&\#]
        (?= [\w.-]{2,120} = )  # spares most of them the rest
        (?: [\w.-]{0,40} (?: token | secret | passw | passphrase | signature | credential
                      | (?:api|access|private)[_-]?key ) [\w.-]{0,40}
          | auth | authorization | jwt | key | pass | pwd | sig ) = )
    (?P<secret> [^&\#\s"'`<>]+ )
    """,
    re.IGNORECASE | re.VERBOSE,
)

# A word that may end in `user:password@`, before a host with a top-level domain, so that neither
# `image:tag@sha256:…` nor `name:1.0@2.0` matches.
_BEFORE_A_HOST = re.compile(
    r"(?:(?<=[\s@/])|^)[^\s@/]++@(?=[\w.-]{1,250}\.[a-z]{2,60}(?::\d+)?[:/]\S)", re.IGNORECASE
)

# `user:password` at the end of that word (as in `user:password@host:path`, which has no scheme).
_LOGIN = re.compile(r"""(?:(?<=[\s"'`(=,+])|^)[^\s:@/"'`]{1,100}+:[^\s@/]{1,2000}+\Z""")
_LONGEST_LOGIN = 2101  # characters


def redacted(text: str) -> str:
    """`text` with `****` for the userinfo of every URL in it, and for tokens in their queries.

    What is not secret stays: variables (`${TOKEN}`), the user `git`, and user names for ssh.
    """
    if "@" not in text and "=" not in text:
        return text
    hidden = _QUERY.sub(
        lambda match: match["before"] + _hide(match["secret"]), _without_userinfo(text)
    )
    return _BEFORE_A_HOST.sub(_hide_login, hidden)


def _without_userinfo(text: str) -> str:
    parts = []
    done = 0
    for start in _starts(text):
        if start.end() < done:  # inside a password
            continue
        end = _END.search(text, start.end())
        rest = text[start.end() : end.start() if end else None]
        userinfo = rest[: _length_of_userinfo(start, rest)]
        if userinfo:
            parts += [text[done : start.end()], _hidden(start["scheme"], userinfo)]
            done = start.end() + len(userinfo)
    return "".join((*parts, text[done:]))


def _starts(text: str) -> Iterator[re.Match[str]]:
    """Every `scheme://`, searched from its end: in a long word a scheme may begin anywhere."""
    at = text.find("://")
    while at >= 0:
        behind = at + len("://")
        start = _START.search(text, max(at - _LONGEST_SCHEME, 0), behind)
        if start:
            yield start
        at = text.find("://", behind)


def _length_of_userinfo(start: re.Match[str], rest: str) -> int:
    """How much of `rest`, which is behind the `//`, stands before the `@` that ends the userinfo.

    By RFC 3986, section 3.2, that is the last `@` before the path. But a `:` before the path may
    begin a password with a `/` in it, which a later `@` ends.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    by_rule = authority.rfind("@")
    userinfo = authority[: max(by_rule, 0)]
    if ":" not in authority or (userinfo and userinfo == _hidden("", userinfo)):
        return len(userinfo)  # no password can follow a user without secrets
    last = rest.rfind("@")
    if last > by_rule and _is_revision(start, rest[:last], rest[last + 1 :]):
        last = rest.rfind("@", 0, last)
    return max(by_rule, last, 0)


def _is_revision(start: re.Match[str], before: str, after: str) -> bool:
    """Whether the `@` between is that of `…/repo.git@revision`, with no host after it."""
    is_vcs = _VCS.search(start[0]) is not None  # an option may precede it, as in `-egit+https://`
    return before.endswith(".git") or (is_vcs and "/" not in after.partition("#")[0])


def _hidden(scheme: str, userinfo: str) -> str:
    user, colon, password = userinfo.partition(":")
    if not colon and (user == "git" or scheme.lower().endswith("ssh")):
        return userinfo
    parts = [_hide(user), *([_hide(password)] if colon else [])]
    return HIDDEN if {*parts} == {HIDDEN} else ":".join(parts)


def _hide(part: str) -> str:
    return part if _VARIABLES.fullmatch(part) else HIDDEN


def _hide_login(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end() - len("@")
    login = _LOGIN.search(text, max(start, end - _LONGEST_LOGIN), end)
    return f"{text[start : login.start()]}{HIDDEN}@" if login else match[0]
