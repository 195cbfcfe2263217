"""Index options → entries of `[[tool.uv.index]]`; credentials are taken out of them.

uv never expands `${VAR}` in an index URL. Credentials reach it by UV_INDEX_<NAME>_USERNAME and
_PASSWORD, the name upper-cased with `_` for `.` and `-` (uv docs, "Indexes", "Authentication").
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from uvflow import findings
from uvflow.errors import shell_command
from uvflow.findings import Finding, Origin
from uvflow.migrate.credentials import (
    UNCLEAR,
    Userinfo,
    remaining_secret,
    split_userinfo,
    variables,
)
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import pinned_version
from uvflow.migrate.model import Bucket, Requirement

PYPI = "https://pypi.org/simple"  # uv's default index

# PyPI's own index, in the ways it has been written over the years.
_PYPI = re.compile(
    r"https?://(?:www\.)?(?:pypi\.org|pypi\.python\.org)(?:/(?:simple|pypi)?/?)?", re.IGNORECASE
)
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[^/?#]+)", re.IGNORECASE)
_PYTORCH = re.compile(
    r"https?://download\.pytorch\.org/whl/(?:\w+/)*(?P<build>\w+)/?", re.IGNORECASE
)
_PYTORCH_BUILD = re.compile(r"\+(?P<build>cpu|cu\d+|rocm[\d.]+|xpu)$")
_AS_PIP = (
    "bind packages to their index in [tool.uv.sources], or do as pip does with"
    ' `index-strategy = "unsafe-best-match"`'
)
_ON_PYTORCH = ("torch", "torchvision", "torchaudio")


class Index(NamedTuple):
    """An index of pip or another tool, its credentials apart from its URL."""

    url: str
    origin: Origin
    is_default: bool = False
    is_explicit: bool = False
    is_flat: bool = False
    userinfo: Userinfo | None = None
    name: str = ""

    @property
    def key(self) -> str:
        """The URL, compared without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def build(self) -> str:
        """`cpu`, `cu121`, … where this is a PyTorch wheel index, else nothing."""
        match = _PYTORCH.fullmatch(self.url)
        return match["build"] if match else ""

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of `[[tool.uv.index]]`."""
        values = {
            "name": self.name,
            "url": self.url,
            "default": self.is_default and not self.build,
            "explicit": self.is_explicit or bool(self.build),
            "authenticate": "always" if self.userinfo else None,
            "format": "flat" if self.is_flat else None,
        }
        return {key: value for key, value in values.items() if value}


def collect_indexes(lines: Iterable[Line], outcomes: LineOutcomes) -> tuple[Index, ...]:
    """The indexes that `lines` name. An unset variable, or one in the URL, is an ERROR finding."""
    found = list(_requested_indexes(lines, outcomes))
    # Where PyPI is wanted as well it stays uv's default: uv asks its default index last.
    is_pypi_wanted = any(is_pypi(index.url) and not index.is_default for index in found)
    # pip uses the last `--index-url`; the first file decides, for it is the project's.
    defaults = [index for index in found if index.is_default]
    of_first_file = [i.key for i in defaults if i.origin.path == defaults[0].origin.path]
    by_key: dict[str, list[Index]] = {}
    for index in found:
        if index.is_default and index.key != of_first_file[-1]:
            message = f"{index.url} ignored: another `--index-url` is the default index"
            hint = "remove one of them, or make one an `--extra-index-url`"
            outcomes.needs_action("index-overruled", message, index.origin, hint)
        elif is_pypi(index.url):
            outcomes.record_bucket(Bucket.DEFAULT, index.origin)
        else:
            by_key.setdefault(index.key, []).append(index)
    indexes: list[Index] = []
    for same in by_key.values():
        outcomes.record_bucket(Bucket.SETTING, same[0].origin)
        outcomes.record_bucket(Bucket.MERGED, *(index.origin for index in same[1:]))
        name = _index_name(same[0], [index.name for index in indexes])
        is_default = any(index.is_default for index in same) and not is_pypi_wanted
        login = next((index for index in same if index.userinfo), same[0])
        indexes.append(login._replace(url=same[0].url, name=name, is_default=is_default))
        if not (same[0].is_default or indexes[-1].build):
            message = (
                "pip installs the best version of all indexes, uv that of the first index with the"
                f" package: {indexes[-1].url} comes before the default index"
            )
            outcomes.warn("index-order", message, same[0].origin, _AS_PIP)
        if login.userinfo:
            finding = _login_finding(indexes[-1], login.userinfo, outcomes.options.environ)
            outcomes.record_findings(finding)
    return tuple(indexes)


def _requested_indexes(lines: Iterable[Line], outcomes: LineOutcomes) -> Iterator[Index]:
    for line in lines:
        for option, url in line.effective:
            if option in ("--index-url", "--extra-index-url"):
                is_default = option == "--index-url"
                index = _read_index(url, line.origin, outcomes, is_default=is_default)
                if index:
                    yield index


def _read_index(
    value: str, origin: Origin, outcomes: LineOutcomes, *, is_default: bool = False
) -> Index | None:
    url, userinfo = split_userinfo(value)
    secret = remaining_secret(value) or ("@" in url and UNCLEAR)
    if variables(url):
        message = f"uv does not expand variables in an index URL: {url}"
        hint = "write the URL out; only its credentials may be variables"
        outcomes.refuse("variable-in-url", message, origin, hint)
    elif secret:  # the message is without the URL, which may have half of a password
        hint = "write them as `user:password@`, percent-encoded where they have / ? # @ (RFC 3986)"
        outcomes.refuse("index-unreadable", secret, origin, hint)
    else:
        return Index(url=url, origin=origin, userinfo=userinfo, is_default=is_default)
    return None


def named_index(
    name: str, url: str, origin: Origin, outcomes: LineOutcomes, known: Iterable[Index]
) -> Index | None:
    """The index that another tool calls `name`, under a name that uv takes.

    An index that uv cannot use, or whose name another of the `known` has, is an ERROR finding.
    """
    index = _read_index(url, origin, outcomes)
    if index is None:
        return None
    # uv takes ASCII letters, digits, `-`, `_` and `.`.
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
    index = index._replace(name=plain or _index_name(index, {other.name for other in known}))
    if any(other.name == index.name and other.key != index.key for other in known):
        message = f"two indexes would be called `{index.name}`"
        hint = "give one of them another name"
        outcomes.refuse("index-name", message, origin, hint)
    if index.userinfo:
        finding = _login_finding(index, index.userinfo, outcomes.options.environ)
        outcomes.record_findings(finding)
    return index


def _login_finding(index: Index, userinfo: Userinfo, environ: Mapping[str, str]) -> Finding:
    if not userinfo.is_at_hand(environ):
        unset = " and ".join(name for name in userinfo.variables if not environ.get(name))
        message, hint = f"{index.url} needs {unset} in the environment", f"set {unset} for this run"
        return findings.error("variable-unset", message, index.origin, hint)
    given = " and ".join(_login_variables(index, userinfo.username, userinfo.password))
    message = userinfo.removal_notice(index.url, index.origin.path, is_at_hand=True)
    hint = f"log in with {shell_command('uv', 'auth', 'login', index.url)}, or set {given}"
    return findings.action("index-credentials", message, index.origin, hint)


def is_pypi(url: str) -> bool:
    """Whether `url` is PyPI's own index, in any of its spellings."""
    return _PYPI.fullmatch(url) is not None


def _index_name(index: Index, known: Collection[str]) -> str:
    """A name that uv takes, made of the host: `idx.acme.example` → `idx-acme-example`."""
    host = _HOST.match(index.url)
    text = host["host"] if host else posixpath.basename(index.key)
    if index.build:
        text = f"pytorch-{index.build}"
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "local"
    name, number = base, 1
    while name in known:
        number += 1
        name = f"{base}-{number}"
    return name


def index_credentials(indexes: Iterable[Index], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that give uv the credentials removed from the URLs."""
    values: dict[str, str] = {}
    for index in indexes:
        if index.userinfo and index.userinfo.is_at_hand(environ):
            values |= _login_variables(index, *index.userinfo.login(environ))
    return values


def _login_variables(index: Index, username: str, password: str) -> dict[str, str]:
    prefix = f"UV_INDEX_{re.sub(r'[.-]', '_', index.name).upper()}"
    values = {f"{prefix}_USERNAME": username, f"{prefix}_PASSWORD": password}
    return {name: value for name, value in values.items() if value}


def with_index(requirement: Requirement, indexes: Iterable[Index]) -> Requirement:
    """`requirement` with a PyTorch wheel index as its source, if it is one of PyTorch's."""
    pytorch = [index for index in indexes if index.build]
    if not pytorch or requirement.source is not None or requirement.name is None:
        return requirement
    build = _PYTORCH_BUILD.search(pinned_version(requirement) or "")
    if build is None and requirement.name not in _ON_PYTORCH:
        return requirement
    fitting = [index for index in pytorch if build and index.build == build["build"]]
    return requirement._replace(source={"index": (*fitting, *pytorch)[0].name})


def unused_indexes(
    indexes: Iterable[Index], requirements: Iterable[Requirement]
) -> Iterator[Finding]:
    """A finding for each PyTorch wheel index that no requirement has as its source."""
    used = {(requirement.source or {}).get("index") for requirement in requirements}
    for index in indexes:
        if index.build and index.name not in used:
            message = f"no requirement uses {index.url}: torch is not among them"
            hint = f'add torch, with the source `torch = {{ index = "{index.name}" }}`'
            yield findings.action("index-unused", message, index.origin, hint)
