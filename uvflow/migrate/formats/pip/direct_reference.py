"""Requirements by URL or path (PEP 508 direct references), and their `[tool.uv.sources]`. Pure."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508

from uvflow import findings
from uvflow.migrate.credentials import Userinfo, split_userinfo, variables
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.model import Bucket, ImportOptions, LineResult, Requirement, needs_action

_URL = re.compile(r"(?:https?|ftp|file):", re.IGNORECASE)
_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?", re.IGNORECASE)  # RFC 8089


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


# pip's archive extensions (pip._internal.utils.filetypes).
ARCHIVE = re.compile(
    r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|tar\.(?:gz|bz2|xz|lz|lzma))$", re.IGNORECASE
)
SCHEME = re.compile(r"(?P<vcs>git|hg|svn|bzr)[+:]|(?:https?|ftp|file):", re.IGNORECASE)
_DIRECT = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*(?P<place>.+)",
    re.IGNORECASE | re.ASCII,
)
_WITH_EXTRAS = re.compile(r"(?P<place>.+?)\s*\[(?P<extras>[^\[\]]*)\]")
_EGG = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?:\[(?P<extras>[^\]]*)\])?",
    re.IGNORECASE | re.ASCII,
)
_OLD_EGG = re.compile(r"-\d+(?:\.\w+)+$")  # setuptools once wanted `#egg=name-1.0`
_ALGORITHMS = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, kw_only=True)
class DirectReference:
    """A requirement that names a place: the place, what its fragment says, what is around it."""

    line: Line
    place: str
    said: Mapping[str, str]
    name: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""


def parse_direct_reference(line: Line) -> DirectReference | None:
    """The place that a requirement names by URL or path, or None: it is a name with a version."""
    text = line.requirement
    direct = _DIRECT.fullmatch(text)
    if direct:
        place, marker = _split_marker(direct["place"], r"\s+;|;\s+")
        return _split_fragment(line, place, marker, direct["name"], direct["extras"])
    if SCHEME.match(text):
        place, marker = _split_marker(text, r"\s+;|;\s+")
    else:
        place, marker = _split_marker(text, r";")
        if not (line.is_editable or _looks_like_path(place)):
            return None
    behind = _WITH_EXTRAS.fullmatch(place) if "egg=" not in place else None
    if behind:
        return _split_fragment(line, behind["place"], marker, "", behind["extras"])
    return _split_fragment(line, place, marker, "", "")


def _split_marker(text: str, separator: str) -> tuple[str, str]:
    place, *marker = re.split(separator, text, maxsplit=1)
    return place.strip(), "".join(marker).strip()


def _split_fragment(
    line: Line, place: str, marker: str, name: str, extras: str | None
) -> DirectReference:
    """`#egg=name[x]&subdirectory=s&sha256=…`; what stands behind the name means nothing to pip."""
    place, _, fragment = place.partition("#")
    said = dict(part.partition("=")[::2] for part in fragment.split("&"))
    egg = _EGG.match(_OLD_EGG.sub("", unquote(said.get("egg", ""))))
    return DirectReference(
        line=line,
        place=place,
        said=said,
        name=name or (egg["name"] if egg else ""),
        extras=tuple(sorted({*_listed(extras), *_listed(egg["extras"] if egg else "")})),
        marker=marker,
    )


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _looks_like_path(text: str) -> bool:
    """pip goes by the look: a separator, a dot in front, or an archive's extension."""
    is_path = text.startswith(".") or "/" in text or "\\" in text
    return is_path or ARCHIVE.search(text) is not None


def is_strange(target: DirectReference, scheme: re.Match[str] | None) -> bool:
    """Two lines that have become one, or a URL behind a quote: what is secret cannot be told."""
    if scheme is None:
        return "://" in target.place
    parts = () if scheme[0].lower() == "file:" else (target.place, *target.said.values())
    return any(re.search(r"\s", part) for part in parts)


def is_valid(target: DirectReference) -> bool:
    """Whether uv can be told of it: a known marker, extras that are names, no variable left."""
    try:
        Marker(target.marker or "python_version > '0'")
        Pep508(f"name[{','.join(target.extras)}]")
    except (InvalidMarker, InvalidRequirement):
        return False
    return bool(target.place) and not variables(split_userinfo(target.place)[0])


def requirement_at(
    target: DirectReference, text: str, name: str, source: Mapping[str, Any]
) -> Requirement:
    """The requirement with `source`; `text` is what has to be named first where `name` is empty."""
    line = target.line
    in_url = (f"{a}:{target.said[a]}" for a in _ALGORITHMS if a in target.said)
    requirement = Requirement(
        text=text,
        name=None,
        origin=line.origin,
        comment=line.comment,
        above=line.above,
        hashes=(*(line.values("--hash") if not line.is_editable else ()), *in_url),
        source=source,
        extras=target.extras,
        marker=target.marker,
    )
    return requirement.named(name) if name else requirement


# What uv takes behind `git+`, and where the old `git://` is now.
_GIT_SCHEMES = ("https://", "http://", "ssh://", "file:")
_PUBLIC_HOSTS = r"(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org)"


def read_git_reference(target: DirectReference, options: ImportOptions) -> LineResult:
    """What a line that names a git repository says; `options` has where `${VAR}` is looked up."""
    url, userinfo = split_userinfo(_git_url(target.place))
    url = re.sub(r"^(ssh://[^/:]+):(?!\d+(?:/|$))", r"\1/", url)  # ssh://git@host:org/repo
    if userinfo and url.lower().startswith("ssh:"):
        url = url.replace("://", f"://{userinfo.username}@", 1)  # who, which is no secret
        userinfo = userinfo if userinfo.password else None
    url, revision = _split_revision(_securely(url))
    if not url.startswith(_GIT_SCHEMES):
        scheme, _, rest = url.partition("://")
        message = f"uv takes no git repository by {scheme}://"
        hint = f"`git+https://{rest}{revision and f'@{revision}'}`, if that answers"
        return needs_action(findings.action("git-scheme", message, target.line.origin, hint))
    subdirectory = target.said.get("subdirectory", "")
    source = {"git": url, "rev": revision, "subdirectory": subdirectory}
    text = f"git+{url}{revision and f'@{revision}'}"
    text += subdirectory and f"#subdirectory={subdirectory}"
    source = {key: value for key, value in source.items() if value}
    reading = LineResult(requirement=requirement_at(target, text, target.name, source))
    if target.line.is_editable:
        message = "uv has no editable git sources: it becomes a plain one"
        note = findings.note("not-editable", message, target.line.origin)
        reading = replace(reading, findings=(note,))
    return _logging_in(reading, target.line, url, userinfo, options) if userinfo else reading


def _logging_in(
    reading: LineResult, line: Line, url: str, userinfo: Userinfo, options: ImportOptions
) -> LineResult:
    """`reading`, with what was taken out of the URL for git to log in with during this run."""
    is_at_hand = userinfo.is_at_hand(options.environ) and not url.lower().startswith("ssh:")
    message = userinfo.told_of(url, line.origin.path, is_at_hand=is_at_hand)
    hint = "let git know them: `git config credential.helper`, or `gh auth setup-git`"
    finding = findings.action("git-credentials", message, line.origin, hint)
    return replace(
        reading,
        findings=(finding, *reading.findings),
        bucket=Bucket.ACTION,
        git_login=(url, userinfo) if is_at_hand else None,
    )


def _git_url(place: str) -> str:
    """git's own URL: without `git+`, and the scp form `git@host:path` as `ssh://git@host/path`."""
    url = re.sub(r"^git\+", "", place, flags=re.IGNORECASE)
    if "://" in url or url.lower().startswith("file:"):
        return url
    return "ssh://" + url.replace(":", "/", 1)


def _securely(url: str) -> str:
    """The public hosts have the same repositories by https, and those alone."""
    return re.sub(rf"^(?:git|http)://(?={_PUBLIC_HOSTS}/)", "https://", url, flags=re.IGNORECASE)


def _split_revision(url: str) -> tuple[str, str]:
    """`…/repo.git@rev`; uv finds out whether `rev` is a branch, a tag or a commit."""
    before, separator, after = url.partition("://")
    host, slash, path = after.partition("/")
    path, _, revision = path.rpartition("@") if "@" in path else (path, "", "")
    return f"{before}{separator}{host}{slash}{path}", revision
