"""Replace secrets in a text by `****`: passwords and tokens in URLs. Pure, and quick to import.

Where a secret ends is not always clear, since people paste passwords into URLs unencoded, with `/`,
`@`, `#` or `?` in them. When in doubt, too much is hidden rather than too little.
"""

import re
from collections.abc import Iterator

HIDDEN = "****"

# Patterns are compiled when they are first needed, which most commands never do.
# Every repetition in them is bounded, so that no text takes more than linear time.
_LONGEST_SCHEME = 31  # characters
_LONGEST_USERINFO = 5_000  # characters

# What precedes an authority: `scheme://`, also with a slash too few or too many, with backslashes,
# or with slashes escaped as in JSON; and `//` on its own (RFC 3986, section 4.2).
_SLASHES = (
    r":(?P<run>(?:\\?[/\\]){1,9})|(?<![\w:/\\.-])//"
    r"|(?<![:/\\])//(?=[^\s:/@]{0,200}:[^\s/]{1,2000}@)"
)
_SCHEME = r"(?i)[a-z][a-z0-9+.-]{0,30}\Z"
_NAMED = r"(?i)(?!file\Z)[a-z][a-z0-9+.-]{2,30}\Z"  # not the letter of a drive
_WITHOUT_SLASH = r"(?i)(\b(?:https?|ftps?):)[^\s/\\@]{1,2000}@"

# A URL ends at the end of its line, or where the next URL begins; that may directly follow an
# option, as in `-ihttps://`.
_END = r"(?i)[\r\n]|(?:\b|(?<=-[a-z]))(?:(?:git|hg|svn|bzr)\+)?(?:https?|ssh|ftp|file):[/\\]"

# URLs of version control systems, which may end with `@revision` (pip docs, "VCS Support").
_VCS = r"(?i)(?:git|hg|svn|bzr)\+"
_DIGEST = r"@sha\d{3}:[0-9a-f]{32}"  # of an image

# A `:` with no port after it: the start of a password that contains a blank, or `%40`.
_HALF_LOGIN = r"[^:\[]*:(?!\d*\W*\Z)"

# Full-width and small forms, with the ASCII that software may take them for (Unicode, NFKC).
_WIDE = {**{0xFEE0 + code: code for code in range(0x21, 0x7F)}, 0xFE55: ord(":"), 0xFE6B: ord("@")}

# A URL that is percent-encoded once or several times, as in the query of another URL.
_ENCODED = r"(?i)[a-z][a-z0-9+.-]{0,30}%(?:25){0,3}3a(?:%(?:25){0,3}2f|/)[^\s&#\"'`<>]*"

# Variables that pip expands, and what looks like one.
_VARIABLES = r"(?:\$\{\w+\})+"

# Query parameters of signed cloud URLs (X-Amz-Signature, X-Goog-Credential, sig), of code hosts and
# package registries (private_token, access_token, api_key), and other names that mean a secret.
_QUERY = r"""(?ix)
    (?P<before> [?&;\#]
        (?= [\w.-]{2,120} = )  # most text fails here, quickly
        (?: [\w.-]{0,40} (?: token | secret | passw | passphrase | passcode | signature | credential
                      | session | ticket | cookie | bearer | oauth | (?:api|access|private)[_.-]?key
                      ) [\w.-]{0,40}
          | (?: [\w.-]{0,40} [_.-] )?
            (?: access | auth | authorization | jwt | pass | pat | pin | pwd? | pw | psw | sas | sid
              | sig | hmac | t?otp )
          | (?: auth[_-]? | verification[_-]? )? code | key ) = )
    (?P<secret> [^&\#\s"'`<>]+ )
    """

# Hosts whose URLs have a token in their path: package registries, and webhooks of chats.
_PATH = r"""(?ix)
    (?P<before>
        \bdl\.cloudsmith\.io/(?!public/|basic/)
      | \b(?:pypi|repo)\.fury\.io/(?=[^\s/]{1,300}/[^\s/])
      | \bpackagecloud\.io/priv/
      | conda[\w.-]{0,60}/t/
      | \bhooks\.slack\.com/(?:services|workflows|triggers)/
      | \bdiscord(?:app)?\.com/api/webhooks/\d{1,30}/
      | \bapi\.telegram\.org/(?:file/)?bot
    )
    (?P<secret> [^\s?\#"'`<>/]+ (?: (?<=/services/T) [^\s?\#"'`<>]* )? )
    """

# A part of a path that ends with an `@`: a login in the wrong place.
_PART_OF_A_PATH = r"(?P<before>/)(?P<secret>[^\s/@]{1,2000}+)(?=@/)"

# A host without a dot or a port, as the value of an option.
_HOST_OPTION = (
    r"""(?P<before>--(?:proxy|trusted-host)[ =]{1,9}["']?+)(?P<secret>[^\s"'@/]++)(?=@)"""
)

# An option or a variable whose name means a secret, unless its value is a variable; HTTP headers.
_ASSIGNED = r"""(?ix)
    (?P<before> (?: (?<=[\s"'`(,=]) | ^ )
        (?: [\w.-]{0,40} (?: token | secret | passw | passphrase | credential
                         | (?:api|access|private)[_.-]?key ) [\w.-]{0,20} ={1,2} ["']?+
          | (?: (?:proxy-)? authorization | cookie
            | x-[\w-]{0,40} (?:auth|key|secret|token) ) :
            [ ]?+ (?: (?:basic|bearer)[ ] )?+
        ) (?![${]) )
    (?P<secret> [^\s"'`]+ )
    """

# Tokens with a known prefix, anywhere in a text (GitHub, GitLab, PyPI, Slack, …).
_RECOGNISED = (
    r"\b(?:gh[opusr]_\w{30,250}|github_pat_\w{22,250}|glpat-[\w.-]{20,250}|pypi-AgE[\w-]{16,250}"
    r"|xox[a-z]-[\w-]{10,250}|hf_[A-Za-z0-9]{30,250}|npm_[A-Za-z0-9]{36}|dckr_pat_[\w-]{20,250})"
)

# A word that may end in `user:password@`, if a host with a top-level domain or a port follows:
# neither `image:tag@sha256:…` nor `name:1.0@2.0` may match.
_BEFORE_A_HOST = (
    r"(?i)(?:(?<=[\s@/])|^)[^\s@/]++@"
    r"(?=[\w.-]{1,250}(?:\.[a-z]{2,60}(?::\d+)?[:/]\S|:\d{1,5}(?![\w.:])))"
)

# `user:password` at the end of such a word (as in `user:password@host:path`, without a scheme).
_LOGIN = r"""(?:(?<=[\s"'`(=,+])|^)[^\s:@/"'`]{1,100}+:[^\s@/]{1,2000}+\Z"""
_LONGEST_LOGIN = 2101  # characters


def redacted(text: str) -> str:
    """As `redacted_urls`, and with `****` for the values of `--password=`, `TOKEN=` and so on."""
    text, lower = redacted_urls(text), text.lower()
    if not any(mark in lower for mark in ("=", "authorization:", "cookie:", "x-")):
        return text  # compiling the pattern takes 0.5 ms
    return re.sub(_ASSIGNED, _hide_secret, text)


def redacted_urls(text: str) -> str:
    """`text` with `****` for the userinfo of every URL in it, and for tokens in URLs.

    What is not secret stays: variables (`${TOKEN}`), the user `git`, and user names for ssh.
    """
    if not text.isascii():
        text = re.sub(r"\S+", lambda word: _as_meant(word[0], word[0].translate(_WIDE)), text)
    if "%" in text:
        text = re.sub(_ENCODED, lambda url: _as_meant(url[0], _decoded(url[0])), text)
    return _without_tokens(_without_userinfo(text))


def _as_meant(written: str, meant: str) -> str:
    """`meant` where it holds secrets, which the caller hides; else `written`."""
    return written if _without_tokens(_without_userinfo(meant)) == meant else meant


def _decoded(url: str) -> str:
    from urllib.parse import unquote  # 5 ms, and rarely needed

    for _ in range(5):  # times that it may have been encoded
        url = unquote(url)
    return url


def _without_tokens(text: str) -> str:
    signs = {_QUERY: "=", _PATH: "/", _PART_OF_A_PATH: "@", _HOST_OPTION: "@"}
    for pattern, sign in signs.items():  # to compile a pattern takes 0.3 ms
        if sign in text:
            text = re.sub(pattern, _hide_secret, text)
    return re.sub(_RECOGNISED, HIDDEN, text)


def _hide_secret(match: re.Match[str]) -> str:
    return match["before"] + _hide(match["secret"])


def _without_userinfo(text: str) -> str:
    if "@" not in text and "%40" not in text:
        return text
    parts = []
    done, end = 0, -1
    for scheme, start in _starts(text):
        if start < done:  # inside a password
            continue
        if end < start:
            found = re.compile(_END).search(text, start)
            end = found.start() if found else len(text)
        rest = text[start : min(end, start + _LONGEST_USERINFO)]
        userinfo = rest[: _length_of_userinfo(scheme, rest)]
        if userinfo:
            parts += [text[done:start], _hidden(scheme, userinfo)]
            done = start + len(userinfo)
    without = re.sub(_WITHOUT_SLASH, rf"\1{HIDDEN}@", "".join((*parts, text[done:])))
    return re.sub(_BEFORE_A_HOST, _hide_login, without)


def _starts(text: str) -> Iterator[tuple[str, int]]:
    """The scheme of every URL, empty where it has none, and where its authority starts.

    A scheme is searched from its end: in a long word it may begin anywhere.
    """
    for slashes in re.finditer(_SLASHES, text):
        at = slashes.start()
        scheme = re.compile(_SCHEME).search(text, max(at - _LONGEST_SCHEME, 0), at)
        name = scheme[0] if scheme and slashes["run"] else ""
        if slashes["run"] in {None, "//", r"\/\/"} or re.search(_NAMED, name):
            yield name, slashes.end()


def _length_of_userinfo(scheme: str, rest: str) -> int:
    """The length of the userinfo at the start of `rest`, which is the text after the `//`.

    By RFC 3986, section 3.2, it ends at the last `@` before the path. But a `:` before the path may
    start a password that contains a `/` or a blank, and that ends at a later `@`.
    """
    word = re.split(r"\s", rest, maxsplit=1)[0]
    word = re.split(_DIGEST, word, maxsplit=1)[0]
    authority = re.split(r"[/?#\\]", word, maxsplit=1)[0]
    by_rule = authority.rfind("@")
    if "@" not in word and re.match(_HALF_LOGIN, authority):
        later = re.search(r"(?:@|%40)[^\s/?#]*", rest)
        if later is None:
            return 0
        return later.start() + max(later[0].rfind("@"), 0)
    userinfo = authority[: max(by_rule, 0)]
    if ":" not in authority or (userinfo and userinfo == _hidden("", userinfo)):
        is_unended = authority.endswith("@")  # no host follows: it is part of a password
        return word.rfind("@") if is_unended else len(userinfo)
    last = word.rfind("@")
    if last > by_rule and _is_revision(scheme, word[:last], word[last + 1 :]):
        last = word.rfind("@", 0, last)
    return max(by_rule, last, 0)


def _is_revision(scheme: str, before: str, after: str) -> bool:
    """Whether the `@` between `before` and `after` is that of `…/repo.git@revision`."""
    # An option may precede it, as in `-egit+https://`.
    is_vcs = re.search(_VCS, scheme) is not None
    return before.endswith(".git") or (is_vcs and "/" not in after.partition("#")[0])


def _hidden(scheme: str, userinfo: str) -> str:
    colon = re.search("(?i):|%3a", userinfo)
    if colon is None:
        is_public = userinfo == "git" or scheme.lower().endswith("ssh")
        return userinfo if is_public else _hide(userinfo)
    user, password = _hide(userinfo[: colon.start()]), _hide(userinfo[colon.end() :])
    return HIDDEN if user == password == HIDDEN else f"{user}:{password}"


def _hide(part: str) -> str:
    return part if re.fullmatch(_VARIABLES, part) else HIDDEN


def _hide_login(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end() - len("@")
    login = re.compile(_LOGIN).search(text, max(start, end - _LONGEST_LOGIN), end)
    return f"{text[start : login.start()]}{_hidden('', login[0])}@" if login else match[0]
