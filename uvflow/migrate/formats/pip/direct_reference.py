"""Requirements by URL or path (PEP 508, direct references) → `[tool.uv.sources]`. Pure."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from uvflow import findings
from uvflow.migrate.credentials import Userinfo, split_userinfo, variables
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.model import LineResult, Requirement, needs_action

_URL = re.compile(r"(?:https?|ftp|file):", re.IGNORECASE)
FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/))?", re.IGNORECASE)  # RFC 8089
# pip's archive extensions (pip._internal.utils.filetypes).
ARCHIVE = re.compile(
    r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|tar\.(?:gz|bz2|xz|lz|lzma))$", re.IGNORECASE
)
_SCHEME = re.compile(r"(?P<vcs>git|hg|svn|bzr)[+:]|(?:https?|ftp|file):", re.IGNORECASE)
_DIRECT = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*(?P<location>.+)",
    re.IGNORECASE | re.ASCII,
)
_WITH_EXTRAS = re.compile(r"(?P<location>.+?)\s*\[(?P<extras>[^\[\]]*)\]")
_EGG = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?:\[(?P<extras>[^\]]*)\])?",
    re.IGNORECASE | re.ASCII,
)
_OLD_EGG = re.compile(r"-\d+(?:\.\w+)+$")  # setuptools once wanted `#egg=name-1.0`
_ALGORITHMS = ("sha256", "sha384", "sha512")
_GIT_SCHEMES = ("https://", "http://", "ssh://", "file:")  # what uv takes behind `git+`


@dataclass(frozen=True, kw_only=True)
class DirectReference:
    """The parts of a requirement by URL or path; `location` is without the fragment."""

    line: Line
    location: str
    fragment: Mapping[str, str]
    name: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""

    @property
    def scheme(self) -> str:
        """`git+`, `https:`, … in lower case, or "" for a path."""
        match = _SCHEME.match(self.location)
        return match[0].lower() if match else ""


def parse_direct_reference(line: Line) -> DirectReference | None:
    """The requirement of `line`, None where it is a name with a version."""
    direct = _DIRECT.fullmatch(line.requirement)
    name, extras, location = direct.groups() if direct else ("", "", line.requirement)
    has_scheme = direct or _SCHEME.match(location)
    location, *marker = re.split(r"\s+;|;\s+" if has_scheme else ";", location, maxsplit=1)
    location = location.strip()
    # pip goes by the look: a separator, a dot in front, or an archive's extension.
    is_path = location.startswith(".") or re.search(r"[/\\]", location) or ARCHIVE.search(location)
    if not (has_scheme or line.is_editable or is_path):
        return None
    behind = _WITH_EXTRAS.fullmatch(location) if not direct and "egg=" not in location else None
    if behind:
        location, extras = behind.groups()
    # `#egg=name[x]&subdirectory=s&sha256=…`; pip ignores what follows the name.
    location, _, text = location.partition("#")
    fragment = dict(part.partition("=")[::2] for part in text.split("&"))
    egg = _EGG.match(_OLD_EGG.sub("", unquote(fragment.get("egg", ""))))
    all_extras = ",".join((extras or "", (egg and egg["extras"]) or ""))
    return DirectReference(
        line=line,
        location=location,
        fragment=fragment,
        name=name or (egg["name"] if egg else _wheel_name(location)),
        extras=tuple(sorted({extra.strip() for extra in all_extras.split(",")} - {""})),
        marker="".join(marker).strip(),
    )


def _wheel_name(location: str) -> str:
    """The name in the file name of a wheel (binary distribution format), "" for another file."""
    try:
        file = re.split(r"[/\\]", unquote(location.partition("?")[0]))[-1]
        name = str(parse_wheel_filename(file)[0])  # which takes more than ASCII
        return name if name.isascii() else ""
    except InvalidWheelFilename:
        return ""


def is_valid(reference: DirectReference) -> bool:
    """Whether uv can read it: a valid marker, valid extras, no variables."""
    # Two lines joined by mistake, or a URL after a quote, may have secrets anywhere.
    parts = (reference.location, *reference.fragment.values())
    if reference.scheme not in ("", "file:") and any(re.search(r"\s", part) for part in parts):
        return False
    if not reference.scheme and "://" in reference.location:
        return False
    marker = reference.marker and f" ; {reference.marker}"
    try:
        Pep508(f"name[{','.join(reference.extras)}]{marker}")
    except InvalidRequirement:
        return False
    return bool(reference.location) and not variables(split_userinfo(reference.location)[0])


def requirement_at(
    reference: DirectReference, text: str, name: str, source: Mapping[str, Any]
) -> Requirement:
    """The requirement with `source`; without a `name`, `text` has to be built to learn it."""
    line = reference.line
    in_url = (f"{a}:{reference.fragment[a]}" for a in _ALGORITHMS if a in reference.fragment)
    requirement = Requirement(
        text=text,
        name=None,
        origin=line.origin,
        comment=line.comment,
        above=line.above,
        hashes=(*line.values("--hash"), *in_url),
        source=source,
        extras=reference.extras,
        marker=reference.marker,
    )
    return requirement.with_name(name) if name else requirement


def read_git_reference(reference: DirectReference) -> LineResult:
    """The requirement of a git repository, without credentials."""
    line, origin = reference.line, reference.line.origin
    url, revision, userinfo = _split_git_url(reference.location)
    if not url.startswith(_GIT_SCHEMES):
        scheme, _, rest = url.partition("://")
        message = f"uv does not support git repositories by {scheme}://"
        hint = f"try `git+https://{rest}{revision and f'@{revision}'}`"
        return needs_action(findings.action("git-scheme", message, origin, hint))
    subdirectory = reference.fragment.get("subdirectory", "")
    source = {"git": url, "rev": revision, "subdirectory": subdirectory}
    source = {key: value for key, value in source.items() if value}
    text = f"git+{url}{revision and f'@{revision}'}"
    text += subdirectory and f"#subdirectory={subdirectory}"
    requirement, found = requirement_at(reference, text, reference.name, source), []
    if userinfo:
        message = userinfo.removal_notice(url, origin.path, is_at_hand=False)
        hint = "give them to git: `git config credential.helper`, or `gh auth setup-git`"
        found.append(findings.action("git-credentials", message, origin, hint))
    if line.is_editable:
        message = "uv has no editable git sources: it becomes a regular one"
        found.append(findings.note("not-editable", message, origin))
    return LineResult(requirement=requirement, findings=tuple(found))


def _split_git_url(location: str) -> tuple[str, str, Userinfo | None]:
    """The URL for git, the revision (a branch, a tag or a commit), and the credentials."""
    url = re.sub(r"^git\+", "", location, flags=re.IGNORECASE)
    if "://" not in url and not url.lower().startswith("file:"):
        url = "ssh://" + url.replace(":", "/", 1)  # the scp form: git@host:path
    url, userinfo = split_userinfo(url)
    url = re.sub(r"^(ssh://[^/:]+):(?!\d+(?:/|$))", r"\1/", url)  # ssh://git@host:org/repo
    if userinfo and url.lower().startswith("ssh:"):
        url = url.replace("://", f"://{userinfo.username}@", 1)  # the user is not a secret
        userinfo = userinfo if userinfo.password else None
    at_revision = re.fullmatch(r"([^/]*//[^/]*/.*)@([^@]*)", url)
    if at_revision:
        return at_revision[1], at_revision[2], userinfo
    return url, "", userinfo


def is_url(text: str) -> bool:
    """Whether pip reads `text` as a URL, and not as a path."""
    return _URL.match(text) is not None


def as_path(location: str) -> str:
    """A path or a file URL as a normalised POSIX path."""
    file_url = FILE_URL.match(location)
    path = unquote(location[file_url.end() :]) if file_url else location.replace("\\", "/")
    return posixpath.normpath(re.sub(r"^/(?=[A-Za-z]:/)", "", path))


def is_outside(path: str) -> bool:
    """Whether a normalised path is outside the project: upwards, absolute, a drive, a URL."""
    is_upwards = path == ".." or path.startswith(("../", "/"))
    return is_upwards or is_url(path) or re.match(r"[A-Za-z]:", path) is not None
