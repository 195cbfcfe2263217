"""One requirement of a requirements file → its PEP 508 text and its `[tool.uv.sources]` entry."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from uvflow.imports import freeze, local
from uvflow.imports.credentials import Userinfo, left_in, split_userinfo, variables
from uvflow.imports.local import Read
from uvflow.imports.model import Bucket, Finding, Options, Requirement, Severity
from uvflow.imports.places import as_path, is_outside
from uvflow.imports.requirements import Line
from uvflow.redaction import redacted

# pip's archive extensions (pip._internal.utils.filetypes).
_ARCHIVE = re.compile(
    r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|tar\.(?:gz|bz2|xz|lz|lzma))$", re.IGNORECASE
)
_SCHEME = re.compile(r"(?P<vcs>git|hg|svn|bzr)[+:]|(?:https?|ftp|file):", re.IGNORECASE)
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
_DEEPEST = 50  # brackets in a marker, which has a handful
_LONGEST = 5000  # characters of a requirement without its hashes


# What uv takes behind `git+`, and where the old `git://` is now.
_GIT_SCHEMES = ("https://", "http://", "ssh://", "file:")
_PUBLIC_HOSTS = r"(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org)"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a line with a requirement says; `requirement` is None where nothing is to be added."""

    requirement: Requirement | None = None
    findings: tuple[Finding, ...] = ()
    bucket: Bucket = Bucket.IMPORTED
    git_login: tuple[str, Userinfo] | None = None  # a URL, and what was taken out of it


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A requirement that names a place: the place, what its fragment says, what is around it."""

    line: Line
    place: str
    said: Mapping[str, str]
    name: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""


def read(line: Line, options: Options, there: Read) -> Reading:
    """What the requirement of `line` says; what cannot be read becomes an ERROR finding.

    `there` reads files of the project, and raises OSError: whether a local project is there, and
    what it is called, is looked up.
    """
    if _is_beyond_reading(line.requirement):
        return _refused(line)
    target = _target(line)
    if target is None:
        return _plain(line)
    scheme = _SCHEME.match(target.place)
    if _is_strange(target, scheme) or not _is_valid(target):
        return _refused(line)
    secret = left_in(target.place)
    if secret:
        return Reading(findings=(_with_secret(line, secret),), bucket=Bucket.ACTION)
    match scheme[0].lower() if scheme else "":
        case "" | "file:":
            return _local(target, there)
        case "http:" | "https:" | "ftp:":
            return _downloaded(target, options)
        case "git+" | "git:":
            return _git(target, options)
        case other:
            return _other_vcs(line, other[:-1])


def _is_beyond_reading(text: str) -> bool:
    """What makes parsers give up: a number of thousands of digits, brackets nested as deep."""
    has_number = re.search(r"\d{640}", text) is not None
    return has_number or text.count("(") > _DEEPEST or len(text) > _LONGEST


def _target(line: Line) -> _Target | None:
    """The place that a requirement names by URL or path, or None: it is a name with a version."""
    text = line.requirement
    direct = _DIRECT.fullmatch(text)
    if direct:
        place, marker = _split_marker(direct["place"], r"\s+;|;\s+")
        return _split_fragment(line, place, marker, direct["name"], direct["extras"])
    if _SCHEME.match(text):
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


def _split_fragment(line: Line, place: str, marker: str, name: str, extras: str | None) -> _Target:
    """`#egg=name[x]&subdirectory=s&sha256=…`; what stands behind the name means nothing to pip."""
    place, _, fragment = place.partition("#")
    said = dict(part.partition("=")[::2] for part in fragment.split("&"))
    egg = _EGG.match(_OLD_EGG.sub("", unquote(said.get("egg", ""))))
    return _Target(
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
    return is_path or _ARCHIVE.search(text) is not None


def _is_strange(target: _Target, scheme: re.Match[str] | None) -> bool:
    """Two lines that have become one, or a URL behind a quote: what is secret cannot be told."""
    if scheme is None:
        return "://" in target.place
    parts = () if scheme[0].lower() == "file:" else (target.place, *target.said.values())
    return any(re.search(r"\s", part) for part in parts)


def _is_valid(target: _Target) -> bool:
    """Whether uv can be told of it: a known marker, extras that are names, no variable left."""
    try:
        Marker(target.marker or "python_version > '0'")
        Pep508(f"name[{','.join(target.extras)}]")
    except (InvalidMarker, InvalidRequirement):
        return False
    return bool(target.place) and not variables(split_userinfo(target.place)[0])


def _plain(line: Line) -> Reading:
    text = " ".join(line.requirement.split())
    try:
        parsed = Pep508(text)
    except InvalidRequirement:
        return _refused(line)
    name = canonicalize_name(parsed.name)
    oddity = freeze.oddity(name, parsed.specifier)
    if oddity:
        return _left(line, "not-on-an-index", f"`{text}` {oddity.message}", oddity.hint)
    return Reading(
        requirement=Requirement(
            text=text,
            name=name,
            origin=line.origin,
            comment=line.comment,
            above=line.above,
            hashes=line.values("--hash"),
            extras=tuple(sorted(parsed.extras)),
            marker=str(parsed.marker or ""),
        )
    )


def _refused(line: Line) -> Reading:
    finding = Finding(
        severity=Severity.ERROR,
        code="invalid-requirement",
        message=f"`{redacted(line.text)}` is not a requirement",
        origin=line.origin,
        hint=redacted(_hint_for(line.requirement)),
    )
    return Reading(findings=(finding,), bucket=Bucket.ACTION)


def _with_secret(line: Line, what: str) -> Finding:
    """Nothing of the URL is told, for it is the secret that cannot be told from it."""
    return Finding(
        severity=Severity.ERROR,
        code="url-credentials",
        message=f"{what}, and would be written into pyproject.toml and uv.lock",
        origin=line.origin,
        hint="take it out of the URL, and let uv log in by a netrc file or `uv auth login`",
    )


def _hint_for(text: str) -> str:
    if re.fullmatch(r"[\w.-]+=[^=\s]+=[^=\s]+", text):
        return "`conda list` wrote this; `pip list --format=freeze` writes what pip can read"
    column = re.fullmatch(r"([A-Za-z0-9][\w.-]*)\s+(\d[\w.!+]*)", text)
    if column:
        return f"did you mean `{column[1]}=={column[2]}`?"
    single = re.fullmatch(r"([A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?)\s*=\s*([^=].*)", text)
    if single:
        return f"did you mean `{single[1]}=={single[2]}`?"
    if text[0] in "\"'" and text[-1] == text[0]:
        return f"pip takes no quotes here: `{redacted(text[1:-1])}`"
    if re.search(r"[<>~]=?\s*[\d.]+\.\*", text):
        return "`.*` goes with `==` and `!=` only"
    if variables(text):
        return f"write out what {' and '.join(variables(text))} stands for"
    return "correct the line, or leave it out with `--keep-going`"


def _left(line: Line, code: str, message: str, hint: str | None) -> Reading:
    return Reading(findings=(_action(line, code, message, hint),), bucket=Bucket.ACTION)


def _action(line: Line, code: str, message: str, hint: str | None) -> Finding:
    return Finding(
        severity=Severity.ACTION, code=code, message=message, origin=line.origin, hint=hint
    )


def _note(line: Line, code: str, message: str) -> Finding:
    return Finding(severity=Severity.NOTE, code=code, message=message, origin=line.origin)


def _requirement(target: _Target, text: str, name: str, source: Mapping[str, Any]) -> Requirement:
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


def _git(target: _Target, options: Options) -> Reading:
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
        return _left(target.line, "git-scheme", message, hint)
    subdirectory = target.said.get("subdirectory", "")
    source = {"git": url, "rev": revision, "subdirectory": subdirectory}
    text = f"git+{url}{revision and f'@{revision}'}"
    text += subdirectory and f"#subdirectory={subdirectory}"
    source = {key: value for key, value in source.items() if value}
    reading = Reading(requirement=_requirement(target, text, target.name, source))
    if target.line.is_editable:
        message = "uv has no editable git sources: it becomes a plain one"
        reading = replace(reading, findings=(_note(target.line, "not-editable", message),))
    return _logging_in(reading, target.line, url, userinfo, options) if userinfo else reading


def _logging_in(
    reading: Reading, line: Line, url: str, userinfo: Userinfo, options: Options
) -> Reading:
    """`reading`, with what was taken out of the URL for git to log in with during this run."""
    is_at_hand = userinfo.is_at_hand(options.environ) and not url.lower().startswith("ssh:")
    message = userinfo.told_of(url, line.origin.path, is_at_hand=is_at_hand)
    hint = "let git know them: `git config credential.helper`, or `gh auth setup-git`"
    return replace(
        reading,
        findings=(_action(line, "git-credentials", message, hint), *reading.findings),
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


def _other_vcs(line: Line, kind: str) -> Reading:
    message = f"`{redacted(line.text)}`: uv does not install from {kind}"
    hint = "publish the package to an index, or move it to git"
    return _left(line, "vcs-not-supported", message, hint)


def _downloaded(target: _Target, options: Options) -> Reading:
    url, userinfo = split_userinfo(target.place)
    if userinfo and not options.strip_credentials:
        return Reading(findings=(_url_with_credentials(target.line, url),), bucket=Bucket.ACTION)
    if not _ARCHIVE.search(re.split("[?#]", url)[0]):
        message = f"uv takes an archive by its ending (.whl, .tar.gz, .zip, …), not {url}"
        hint = "name the archive itself, or the repository as `NAME @ git+https://…`"
        return _left(target.line, "url-not-an-archive", message, hint)
    subdirectory = target.said.get("subdirectory")
    source = {"url": url, **({"subdirectory": subdirectory} if subdirectory else {})}
    requirement = _requirement(target, url, target.name or _wheel_name(url), source)
    if userinfo is None:
        return Reading(requirement=requirement)
    message = userinfo.told_of(url, target.line.origin.path, is_at_hand=False)
    hint = f"let uv know them: `uv auth login {url}`, or a netrc file"
    finding = _action(target.line, "url-credentials", message, hint)
    return Reading(requirement=requirement, findings=(finding,), bucket=Bucket.ACTION)


def _url_with_credentials(line: Line, url: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="url-credentials",
        message=f"the URL {url} holds credentials, and uv would write them into uv.lock",
        origin=line.origin,
        hint="leave them out with `--strip-credentials`, and log in with `uv auth login`",
    )


def _wheel_name(place: str) -> str:
    """The name in a wheel's file name (binary distribution format), or nothing."""
    try:
        return str(parse_wheel_filename(posixpath.basename(unquote(place.partition("?")[0])))[0])
    except InvalidWheelFilename:
        return ""


def _local(target: _Target, there: Read) -> Reading:
    path = as_path(target.place)
    if path == ".":
        return _self(target)
    if freeze.is_feedstock(path) and target.name:
        return _feedstock(target, path)
    if not local.is_there(path, there):
        return _gone(target, path)
    name = target.name or _wheel_name(path) or local.name_of(path, there) or ""
    source = {"path": path, **({"editable": True} if target.line.is_editable else {})}
    text = path if is_outside(path) else f"./{path}"
    requirement = _requirement(target, text, name, source)
    if not is_outside(path):
        return Reading(requirement=requirement)
    message = f"{path} lies outside the project, which is not portable"
    hint = "make it a git or an index dependency"
    finding = _action(target.line, "not-portable", message, hint)
    return Reading(requirement=requirement, findings=(finding,), bucket=Bucket.ACTION)


def _self(target: _Target) -> Reading:
    if not target.extras:
        return Reading(bucket=Bucket.DEFAULT)
    extras = ", ".join(f'"{extra}"' for extra in target.extras)
    message = "uv installs the project itself, but the extras of it only where a profile has them"
    hint = f"`extras = [{extras}]` in [tool.uvflow.profiles.dev], or `uv sync --extra`"
    finding = Finding(
        severity=Severity.WARNING,
        code="project-extras",
        message=message,
        origin=target.line.origin,
        hint=hint,
    )
    return Reading(findings=(finding,), bucket=Bucket.DEFAULT)


def _feedstock(target: _Target, path: str) -> Reading:
    """`pip freeze` in a conda environment tells where conda built a package, not which it is."""
    line = target.line
    version = freeze.version_in(path, target.name)
    marker = f" ; {target.marker}" if target.marker else ""
    text = f"{target.name}{version and f'=={version}'}{marker}"
    reading = _plain(replace(line, requirement=text, options=()))
    if reading.requirement is None:
        return reading
    message = f"`{target.name}` was built by conda; it becomes `{text}`"
    hint = "`pip list --format=freeze` in the conda environment tells the version: ask for that one"
    finding = _action(line, "built-by-conda", message, None if version else hint)
    return replace(reading, findings=(finding,), bucket=Bucket.ACTION)


def _gone(target: _Target, path: str) -> Reading:
    if is_outside(path):
        version = freeze.version_in(path, target.name or _wheel_name(path))
        hint = "make it a git or an index dependency"
        hint += version and f": `{target.name or _wheel_name(path)}=={version}`, if an index has it"
        return _left(target.line, "path-not-found", f"{path} is not on this machine", hint)
    hint = "correct the path, which is relative to the project's root, or take the line out"
    if "\\" in target.line.text:
        hint = "write it with `/`: pip takes a backslash for an escape"
    finding = Finding(
        severity=Severity.ERROR,
        code="path-not-found",
        message=f"{path} is neither an archive nor a project that can be built",
        origin=target.line.origin,
        hint=hint,
    )
    return Reading(findings=(finding,), bucket=Bucket.ACTION)
