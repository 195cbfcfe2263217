"""One requirement of a requirements file as PEP 508 text with its `[tool.uv.sources]`. Pure."""

import re
from dataclasses import replace

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow import findings
from uvflow.errors import shell_command
from uvflow.migrate.credentials import remaining_secret, split_userinfo, variables
from uvflow.migrate.formats import tox
from uvflow.migrate.formats.local_project import is_installable, is_package, local_metadata
from uvflow.migrate.formats.pip.direct_reference import (
    ARCHIVE,
    DirectReference,
    as_path,
    is_outside,
    is_valid,
    parse_direct_reference,
    read_git_reference,
    requirement_at,
)
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.model import NAME, ImportOptions, LineResult, Read, Requirement, needs_action
from uvflow.redaction import redacted

_MAX_BRACKETS = 50  # in a marker, which has a handful
_MAX_LENGTH = 5000  # characters of a requirement without its hashes

# Where conda-build and rattler-build make packages, as `NAME_TIME/work` below a directory of many
# names; nothing is left there once a package is made.
_FEEDSTOCK = re.compile(
    r"/(?:feedstock_root|build_artifacts|conda-bld|croots?)/|/[^/]+_\d{9,}/work(?:/|$)",
    re.IGNORECASE,
)

# An exact pin, as most lines of a long file are; packaging takes five times as long to read it.
_PIN = re.compile(rf"(?P<name>{NAME.pattern})==[0-9]{{1,9}}(?:\.[0-9]{{1,9}}){{0,9}}")
_PKG_RESOURCES = "pkg-resources"

_DISTRIBUTIONS = re.compile(r"(?:ubuntu|debian|deb|dfsg|build)", re.IGNORECASE)


def read_requirement(line: Line, options: ImportOptions, read_file: Read) -> LineResult:
    """The result of a line with a requirement; an invalid one becomes an ERROR finding.

    `read_file` reads the files of local projects, and raises OSError.
    """
    # A number of thousands of digits, or brackets nested as deep, makes parsers give up.
    text = line.requirement
    if re.search(r"\d{640}", text) or text.count("(") > _MAX_BRACKETS or len(text) > _MAX_LENGTH:
        return _invalid(line)
    marker = text.partition(";")[2]
    if marker and redacted(marker) != marker:
        message = "the marker contains credentials, and would be written into pyproject.toml"
        hint = "remove them, or skip the line with `--keep-going`"
        return needs_action(findings.error("url-credentials", message, line.origin, hint))
    reference = parse_direct_reference(line)
    if reference is None:
        return _read_version(line)
    if not is_valid(reference):
        return _invalid(line)
    secret = remaining_secret(reference.location)
    if secret:  # the message is without the URL, which may be the secret
        message = f"{secret}, and would be written into pyproject.toml and uv.lock"
        hint = "remove it from the URL, and let uv log in with a netrc file or `uv auth login`"
        return needs_action(findings.error("url-credentials", message, line.origin, hint))
    match reference.scheme:
        case "" | "file:":
            return _read_local(reference, read_file)
        case "http:" | "https:" | "ftp:":
            return _read_url(reference, options)
        case "git+" | "git:":
            return read_git_reference(reference)
        case other:
            message = f"`{redacted(line.text)}`: uv does not install from {other[:-1]}"
            hint = "publish the package to an index, or move it to git"
            return needs_action(findings.action("vcs-not-supported", message, line.origin, hint))


def _invalid(line: Line) -> LineResult:
    text = line.requirement
    hint = "correct the line, or skip it with `--keep-going`"
    # A column of `pip list`, or a single `=`.
    name = r"[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?"
    pin = re.fullmatch(rf"({name})(?:\s+|\s*=\s*)(\d[\w.!+*]*)", text)
    if pin:
        hint = f"did you mean `{pin[1]}=={pin[2]}`?"
    elif variables(text):
        hint = f"write out the value of {' and '.join(variables(text))}"
    message = f"`{redacted(line.text)}` is not a requirement"
    if tox.file_of(line.origin.path) != line.origin.path:
        message = f"`{redacted(line.text)}`: only tox knows what this is"
        hint = "add what it stands for to the group"
        return needs_action(findings.action("no-equivalent", message, line.origin, hint))
    return needs_action(findings.error("invalid-requirement", message, line.origin, redacted(hint)))


def _read_version(line: Line) -> LineResult:
    text = " ".join(line.requirement.split())
    pin = _PIN.fullmatch(text)
    if pin and canonicalize_name(pin["name"]) != _PKG_RESOURCES:
        return _from_an_index(line, text, pin["name"])
    try:
        parsed = Pep508(text)
    except InvalidRequirement:
        return _invalid(line)
    oddity = _oddity(parsed)
    if oddity:
        message = f"`{text}` {oddity}"
        hint = "remove the line, or ask for a version that an index has"
        return needs_action(findings.action("not-on-an-index", message, line.origin, hint))
    extras = tuple(sorted(parsed.extras))
    return _from_an_index(line, text, parsed.name, extras, str(parsed.marker or ""))


def _from_an_index(
    line: Line, text: str, name: str, extras: tuple[str, ...] = (), marker: str = ""
) -> LineResult:
    requirement = Requirement(
        text=text,
        name=canonicalize_name(name),
        origin=line.origin,
        comment=line.comment,
        above=line.above,
        hashes=line.values("--hash"),
        extras=extras,
        marker=marker,
    )
    return LineResult(requirement=requirement)


def _oddity(pin: Pep508) -> str:
    """Why no index has this version, "" if one may."""
    if canonicalize_name(pin.name) == _PKG_RESOURCES:
        return "is not a package: Debian's pip lists a part of setuptools under this name"
    for version in (clause.version for clause in pin.specifier if clause.operator[:2] == "=="):
        if _DISTRIBUTIONS.search(version.partition("+")[2]):
            return "is a version that only a Linux distribution has"
        try:
            Version(version.removesuffix(".*"))
        except InvalidVersion:
            return "is a version that uv cannot read (PEP 440)"
    return ""


def _read_url(reference: DirectReference, options: ImportOptions) -> LineResult:
    url, userinfo = split_userinfo(reference.location)
    origin = reference.line.origin
    if userinfo and not options.strip_credentials:
        message = f"the URL {url} contains credentials, which uv would write into uv.lock"
        hint = "remove them with `--strip-credentials`, and log in with `uv auth login`"
        return needs_action(findings.error("url-credentials", message, origin, hint))
    if not ARCHIVE.search(re.split("[?#]", url)[0]):
        message = f"uv needs the file extension of a wheel or sdist (.whl, .tar.gz, .zip, …): {url}"
        hint = "name the file itself, or the repository as `NAME @ git+https://…`"
        return needs_action(findings.action("url-not-an-archive", message, origin, hint))
    subdirectory = reference.fragment.get("subdirectory")
    source = {"url": url, **({"subdirectory": subdirectory} if subdirectory else {})}
    requirement = requirement_at(reference, url, reference.name, source)
    if userinfo is None:
        return LineResult(requirement=requirement)
    message = userinfo.removal_notice(url, origin.path, is_at_hand=False)
    hint = f"give them to uv with {shell_command('uv', 'auth', 'login', url)} or a netrc file"
    return needs_action(findings.action("url-credentials", message, origin, hint), requirement)


def _read_local(reference: DirectReference, read_file: Read) -> LineResult:
    path = as_path(reference.location)
    if path == ".":
        return _read_project_itself(reference, read_file)
    if _FEEDSTOCK.search(path) and reference.name:
        return _read_feedstock(reference, path)
    if not is_installable(path, read_file):
        return _missing(reference, path)
    name = reference.name or local_metadata(path, "name", read_file) or ""
    name = name if NAME.fullmatch(name) else ""  # nor will a build give it another
    source = {"path": path, **({"editable": True} if reference.line.is_editable else {})}
    text = path if is_outside(path) else f"./{path}"
    requirement = requirement_at(reference, text, name, source)
    if not is_outside(path):
        return LineResult(requirement=requirement)
    message = f"{path} is outside the project, which is not portable"
    hint = "make it a git or an index dependency"
    finding = findings.action("not-portable", message, reference.line.origin, hint)
    return needs_action(finding, requirement)


def _read_project_itself(reference: DirectReference, read_file: Read) -> LineResult:
    found = []
    if not is_package(read_file):
        message = "uv installs the project itself only where pyproject.toml has a [build-system]"
        hint = "add one, and move what setup.cfg or setup.py has to [project]; or remove this line"
        found.append(findings.action("not-built", message, reference.line.origin, hint))
    return LineResult(findings=tuple(found), own_extras=reference.extras)


def _read_feedstock(reference: DirectReference, path: str) -> LineResult:
    """The pin that `pip freeze` gives in a conda environment as the directory of a build."""
    line, name = reference.line, reference.name
    # As in `/croot/idna-3.7/work` and `/croot/idna_1714/work/dist/idna-3.7-py3-none-any.whl`.
    pattern = canonicalize_name(name).replace("-", "[-_.]")
    version = re.search(rf"/{pattern}-(\d+(?:\.\d+)+)[_/-]", path, re.IGNORECASE)
    marker = f" ; {reference.marker}" if reference.marker else ""
    text = f"{name}=={version[1]}{marker}" if version else f"{name}{marker}"
    result = _read_version(replace(line, requirement=text, effective=()))
    if result.requirement is None:
        return result
    message = f"`{name}` was built by conda; it becomes `{text}`"
    hint = "`pip list --format=freeze` in the conda environment shows the version to pin"
    finding = findings.action("built-by-conda", message, line.origin, None if version else hint)
    return needs_action(finding, result.requirement)


def _missing(reference: DirectReference, path: str) -> LineResult:
    origin = reference.line.origin
    if is_outside(path):
        message, hint = f"{path} is not on this machine", "make it a git or an index dependency"
        return needs_action(findings.action("path-not-found", message, origin, hint))
    hint = "correct the path (with `/`, relative to the project's root), or remove the line"
    message = f"{path} is not a package: no wheel, sdist, pyproject.toml, setup.py or setup.cfg"
    return needs_action(findings.error("path-not-found", message, origin, hint))
