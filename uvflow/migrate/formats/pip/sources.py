"""One requirement of a requirements file as PEP 508 text with its `[tool.uv.sources]`. Pure."""

import posixpath
import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from uvflow import findings
from uvflow.migrate.credentials import left_in, split_userinfo, variables
from uvflow.migrate.formats import setuptools
from uvflow.migrate.formats.pip import direct_reference
from uvflow.migrate.formats.pip.direct_reference import (
    ARCHIVE,
    SCHEME,
    DirectReference,
    as_path,
    is_outside,
    is_strange,
    is_valid,
    parse_direct_reference,
    requirement_at,
)
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.model import (
    Bucket,
    ImportOptions,
    LineResult,
    Read,
    Requirement,
    needs_action,
)
from uvflow.redaction import redacted

_DEEPEST = 50  # brackets in a marker, which has a handful
_LONGEST = 5000  # characters of a requirement without its hashes


def read(line: Line, options: ImportOptions, there: Read) -> LineResult:
    """What the requirement of `line` says; what cannot be read becomes an ERROR finding.

    `there` reads files of the project, and raises OSError: whether a local project is there, and
    what it is called, is looked up.
    """
    if _is_beyond_reading(line.requirement):
        return _refused(line)
    target = parse_direct_reference(line)
    if target is None:
        return _plain(line)
    scheme = SCHEME.match(target.place)
    if is_strange(target, scheme) or not is_valid(target):
        return _refused(line)
    secret = left_in(target.place)
    if secret:
        return _with_secret(line, secret)
    match scheme[0].lower() if scheme else "":
        case "" | "file:":
            return _local(target, there)
        case "http:" | "https:" | "ftp:":
            return _downloaded(target, options)
        case "git+" | "git:":
            return direct_reference.read_git_reference(target, options)
        case other:
            return _other_vcs(line, other[:-1])


def _is_beyond_reading(text: str) -> bool:
    """What makes parsers give up: a number of thousands of digits, brackets nested as deep."""
    has_number = re.search(r"\d{640}", text) is not None
    return has_number or text.count("(") > _DEEPEST or len(text) > _LONGEST


def _plain(line: Line) -> LineResult:
    text = " ".join(line.requirement.split())
    try:
        parsed = Pep508(text)
    except InvalidRequirement:
        return _refused(line)
    name = canonicalize_name(parsed.name)
    oddity = pin_oddity(name, parsed.specifier)
    if oddity:
        message = f"`{text}` {oddity.message}"
        return needs_action(findings.action("not-on-an-index", message, line.origin, oddity.hint))
    return LineResult(
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


def _refused(line: Line) -> LineResult:
    message = f"`{redacted(line.text)}` is not a requirement"
    hint = redacted(_hint_for(line.requirement))
    return needs_action(findings.error("invalid-requirement", message, line.origin, hint))


def _with_secret(line: Line, what: str) -> LineResult:
    """Nothing of the URL is told, for it is the secret that cannot be told from it."""
    message = f"{what}, and would be written into pyproject.toml and uv.lock"
    hint = "take it out of the URL, and let uv log in by a netrc file or `uv auth login`"
    return needs_action(findings.error("url-credentials", message, line.origin, hint))


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


def _other_vcs(line: Line, kind: str) -> LineResult:
    message = f"`{redacted(line.text)}`: uv does not install from {kind}"
    hint = "publish the package to an index, or move it to git"
    return needs_action(findings.action("vcs-not-supported", message, line.origin, hint))


def _downloaded(target: DirectReference, options: ImportOptions) -> LineResult:
    url, userinfo = split_userinfo(target.place)
    if userinfo and not options.strip_credentials:
        return _url_with_credentials(target.line, url)
    if not ARCHIVE.search(re.split("[?#]", url)[0]):
        message = f"uv takes an archive by its ending (.whl, .tar.gz, .zip, …), not {url}"
        hint = "name the archive itself, or the repository as `NAME @ git+https://…`"
        finding = findings.action("url-not-an-archive", message, target.line.origin, hint)
        return needs_action(finding)
    subdirectory = target.said.get("subdirectory")
    source = {"url": url, **({"subdirectory": subdirectory} if subdirectory else {})}
    requirement = requirement_at(target, url, target.name or _wheel_name(url), source)
    if userinfo is None:
        return LineResult(requirement=requirement)
    message = userinfo.told_of(url, target.line.origin.path, is_at_hand=False)
    hint = f"let uv know them: `uv auth login {url}`, or a netrc file"
    finding = findings.action("url-credentials", message, target.line.origin, hint)
    return needs_action(finding, requirement)


def _url_with_credentials(line: Line, url: str) -> LineResult:
    message = f"the URL {url} holds credentials, and uv would write them into uv.lock"
    hint = "leave them out with `--strip-credentials`, and log in with `uv auth login`"
    return needs_action(findings.error("url-credentials", message, line.origin, hint))


def _wheel_name(place: str) -> str:
    """The name in a wheel's file name (binary distribution format), or nothing."""
    try:
        return str(parse_wheel_filename(posixpath.basename(unquote(place.partition("?")[0])))[0])
    except InvalidWheelFilename:
        return ""


def _local(target: DirectReference, there: Read) -> LineResult:
    path = as_path(target.place)
    if path == ".":
        return _self(target, there)
    if is_feedstock(path) and target.name:
        return _feedstock(target, path)
    if not setuptools.is_there(path, there):
        return _gone(target, path)
    name = target.name or _wheel_name(path) or setuptools.local_project_name(path, there) or ""
    source = {"path": path, **({"editable": True} if target.line.is_editable else {})}
    text = path if is_outside(path) else f"./{path}"
    requirement = requirement_at(target, text, name, source)
    if not is_outside(path):
        return LineResult(requirement=requirement)
    message = f"{path} lies outside the project, which is not portable"
    hint = "make it a git or an index dependency"
    finding = findings.action("not-portable", message, target.line.origin, hint)
    return needs_action(finding, requirement)


def _self(target: DirectReference, there: Read) -> LineResult:
    if not setuptools.is_package(there):
        message = "uv installs the project itself only where pyproject.toml has a [build-system]"
        hint = "add one, and to [project] what setup.cfg or setup.py asks for; else drop this line"
        return needs_action(findings.action("not-built", message, target.line.origin, hint))
    if not target.extras:
        return LineResult(bucket=Bucket.DEFAULT)
    extras = ", ".join(f'"{extra}"' for extra in target.extras)
    message = "uv installs the project itself, but the extras of it only where a profile has them"
    hint = f"`extras = [{extras}]` in [tool.uvflow.profiles.dev], or `uv sync --extra`"
    finding = findings.warning("project-extras", message, target.line.origin, hint)
    return LineResult(findings=(finding,), bucket=Bucket.DEFAULT)


def _feedstock(target: DirectReference, path: str) -> LineResult:
    """`pip freeze` in a conda environment tells where conda built a package, not which it is."""
    line = target.line
    version = version_in(path, target.name)
    marker = f" ; {target.marker}" if target.marker else ""
    text = f"{target.name}{version and f'=={version}'}{marker}"
    reading = _plain(replace(line, requirement=text, options=()))
    if reading.requirement is None:
        return reading
    message = f"`{target.name}` was built by conda; it becomes `{text}`"
    hint = "`pip list --format=freeze` in the conda environment tells the version: ask for that one"
    finding = findings.action("built-by-conda", message, line.origin, None if version else hint)
    return needs_action(finding, reading.requirement)


def _gone(target: DirectReference, path: str) -> LineResult:
    if is_outside(path):
        version = version_in(path, target.name or _wheel_name(path))
        hint = "make it a git or an index dependency"
        hint += version and f": `{target.name or _wheel_name(path)}=={version}`, if an index has it"
        message = f"{path} is not on this machine"
        return needs_action(findings.action("path-not-found", message, target.line.origin, hint))
    hint = "correct the path, which is relative to the project's root, or take the line out"
    if "\\" in target.line.text:
        hint = "write it with `/`: pip takes a backslash for an escape"
    message = f"{path} is neither an archive nor a project that can be built"
    return needs_action(findings.error("path-not-found", message, target.line.origin, hint))


# Where conda-build and rattler-build make packages, as `NAME_TIME/work` below a directory of many
# names; nothing is left there once a package is made.
_FEEDSTOCK = re.compile(
    r"""
      / (?:feedstock_root|build_artifacts|conda-bld|croots?) /
    | / (?:tmp/build|ci) / .+ /work (?:/|$)
    | / [^/]+_\d{9,} /work (?:/|$)
    """,
    re.IGNORECASE | re.VERBOSE,
)

# What conda is made of; on an index it is missing, or years older.
_OF_CONDA = frozenset(
    (
        *("conda", "conda-build", "conda-content-trust", "conda-libmamba-solver"),
        *("conda-anaconda-telemetry", "conda-anaconda-tos", "anaconda-anon-usage"),
        *("anaconda-navigator", "navigator-updater"),
    )
)
_DISTRIBUTIONS = re.compile(r"(?:ubuntu|debian|deb|dfsg|build)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """What is odd about a pin, as the end of a sentence, and what to do."""

    message: str
    hint: str


def pin_oddity(name: str, specifier: SpecifierSet) -> Oddity | None:
    """Why no index has `name` in the version that `specifier` pins, or None."""
    if name == "pkg-resources":
        message = "is no package: Debian's pip lists a part of setuptools under this name"
        return Oddity(message=message, hint="take the line out")
    if name in _OF_CONDA:
        message = "is a part of conda, which uv does not install"
        return Oddity(message=message, hint="take the line out")
    for version in (pin.version for pin in specifier if pin.operator in ("==", "===")):
        if _DISTRIBUTIONS.search(version.partition("+")[2]):
            message = "is a version that only a Linux distribution has"
            public = version.partition("+")[0]
            return Oddity(message=message, hint=f"see whether an index has `{name}=={public}`")
        if not _is_version(version):
            message = "is a version that uv cannot read (PEP 440)"
            return Oddity(message=message, hint="ask for a version that an index has")
    return None


def _is_version(text: str) -> bool:
    try:
        Version(text.removesuffix(".*"))
    except InvalidVersion:
        return False
    return True


def is_feedstock(path: str) -> bool:
    """Whether an absolute `path` is where conda built a package."""
    return _FEEDSTOCK.search(path) is not None


def version_in(path: str, name: str) -> str:
    """The version of the package `name` in a path such as `/croot/idna-3.7/work`, or nothing.

    A wheel has it in its name, as in `/croot/idna_1714/work/dist/idna-3.7-py3-none-any.whl`.
    """
    try:
        wheel, version, _, _ = parse_wheel_filename(posixpath.basename(path))
    except InvalidWheelFilename:
        spelled = canonicalize_name(name).replace("-", "[-_.]")
        match = re.search(rf"/{spelled}-(\d+(?:\.\d+)+)(?:[_/]|\.tar\.|\.zip)", path, re.IGNORECASE)
        return match[1] if match else ""
    return str(version) if wheel == canonicalize_name(name) else ""
