"""Index options → entries of `[[tool.uv.index]]`; credentials are taken out of them.

uv never expands `${VAR}` in an index URL. Credentials reach it by UV_INDEX_<NAME>_USERNAME and
_PASSWORD, the name upper-cased with `_` for `.` and `-` (uv docs, "Indexes", "Authentication").
"""

import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from uvflow import findings
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

_PYPI = re.compile(
    r"https?://(?:www\.)?(?:pypi\.org|pypi\.python\.org)(?:/(?:simple|pypi)?/?)?", re.IGNORECASE
)
_HOST = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[^/?#]+)", re.IGNORECASE)
_PYTORCH = re.compile(
    r"https?://download\.pytorch\.org/whl/(?:\w+/)*(?P<build>\w+)/?", re.IGNORECASE
)
_PYTORCH_BUILD = re.compile(r"\+(?P<build>cpu|cu\d+|rocm[\d.]+|xpu)$")
_ON_PYTORCH = ("torch", "torchvision", "torchaudio")


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index that pip was given, its credentials apart from its URL."""

    url: str
    name: str
    origin: Origin
    is_default: bool = False
    userinfo: Userinfo | None = field(default=None, repr=False)

    @property
    def build(self) -> str:
        """`cpu`, `cu121`, … where this is a PyTorch wheel index, else nothing."""
        match = _PYTORCH.fullmatch(self.url)
        return match["build"] if match else ""

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of `[[tool.uv.index]]`."""
        return {
            "name": self.name,
            "url": self.url,
            **({"default": True} if self.is_default and not self.build else {}),
            **({"explicit": True} if self.build else {}),
            **({"authenticate": "always"} if self.userinfo else {}),
        }


def collect_indexes(lines: Iterable[Line], outcomes: LineOutcomes) -> tuple[Index, ...]:
    """The indexes that `lines` name. An unset variable, or one in the URL, is an ERROR finding."""
    index_options = [
        _IndexOption(origin=line.origin, is_default=option == "--index-url", url=value)
        for line in lines
        for option, value in line.effective
        if option in ("--index-url", "--extra-index-url")
    ]
    # pip uses the last `--index-url`; the first file decides, for it is the project's.
    defaults = [option for option in index_options if option.is_default]
    default = next(
        (o for o in reversed(defaults) if o.origin.path == defaults[0].origin.path), None
    )
    collector = _Collector(outcomes=outcomes, default=default)
    for option in index_options:
        collector.add(option)
    return collector.indexes()


@dataclass(frozen=True, kw_only=True)
class _IndexOption:
    origin: Origin
    is_default: bool
    url: str = field(repr=False)


@dataclass(kw_only=True)
class _Collector:
    outcomes: LineOutcomes
    default: _IndexOption | None
    by_url: dict[str, Index] = field(default_factory=dict)
    is_pypi_wanted: bool = False  # besides another default

    def add(self, option: _IndexOption) -> None:
        url, userinfo = split_userinfo(option.url)
        refusal, known = self._refusal(option, url), self.by_url.get(url.rstrip("/"))
        if refusal:
            self.outcomes.record_line_findings(refusal)
        elif is_pypi(url):
            self.is_pypi_wanted |= not option.is_default
            self.outcomes.record_bucket(Bucket.DEFAULT, option.origin)
        elif known:
            index = replace(
                known,
                is_default=known.is_default or option.is_default,
                userinfo=known.userinfo or userinfo,
            )
            self.by_url[url.rstrip("/")] = index
            self.outcomes.record_bucket(Bucket.MERGED, option.origin)
            if userinfo and known.userinfo is None:
                self._record_login(index, userinfo)
        else:
            self._add_new(option, url, userinfo)

    def _refusal(self, option: _IndexOption, url: str) -> Finding | None:
        if variables(url):
            message = f"uv does not expand variables in an index URL: {url}"
            hint = "write the URL out; only its credentials may be variables"
            return findings.error("variable-in-url", message, option.origin, hint)
        if "@" in url or remaining_secret(option.url):
            # Without the URL: what stands before the `@` may be half of a password.
            message = remaining_secret(option.url) or UNCLEAR
            hint = "write them as `user:password@`, percent-encoded where they have / ? # @"
            return findings.error("index-unreadable", message, option.origin, f"{hint} (RFC 3986)")
        default = split_userinfo(self.default.url)[0] if self.default else url
        if option.is_default and url.rstrip("/") != default.rstrip("/"):
            message = f"{url} ignored: another `--index-url` is the default index"
            hint = "remove one of them, or make one an `--extra-index-url`"
            return findings.action("index-overruled", message, option.origin, hint)
        return None

    def _add_new(self, option: _IndexOption, url: str, userinfo: Userinfo | None) -> None:
        index = Index(
            url=url,
            name=_index_name(url, {index.name for index in self.by_url.values()}),
            origin=option.origin,
            is_default=option.is_default,
            userinfo=userinfo,
        )
        self.by_url[url.rstrip("/")] = index
        self.outcomes.record_bucket(Bucket.SETTING, option.origin)
        if not (option.is_default or index.build):
            message = (
                f"pip installs the best version of all indexes, uv that of the first index with the"
                f" package: {url} comes before the default index"
            )
            hint = (
                "bind packages to their index in [tool.uv.sources], or do as pip does with"
                ' `index-strategy = "unsafe-best-match"`'
            )
            warning = findings.warning("index-order", message, option.origin, hint)
            self.outcomes.record_findings(warning)
        if userinfo:
            self._record_login(index, userinfo)

    def _record_login(self, index: Index, userinfo: Userinfo) -> None:
        environ = self.outcomes.options.environ
        unset = " and ".join(name for name in userinfo.variables if not environ.get(name))
        if unset:
            message = f"{index.url} needs {unset} in the environment"
            hint = f"set {unset} for this run"
            finding = findings.error("variable-unset", message, index.origin, hint)
        else:
            login = (userinfo.username, userinfo.password)
            names = zip(_variable_names(index.name), login, strict=True)
            given = " and ".join(name for name, value in names if value)
            message = userinfo.removal_notice(index.url, index.origin.path, is_at_hand=True)
            hint = f"log in with `uv auth login {index.url}`, or set {given}"
            finding = findings.action("index-credentials", message, index.origin, hint)
        self.outcomes.record_line_findings(finding)

    def indexes(self) -> tuple[Index, ...]:
        """Where PyPI is wanted as well it stays uv's default: uv asks its default index last."""
        indexes = tuple(self.by_url.values())
        return tuple(
            replace(i, is_default=i.is_default and not self.is_pypi_wanted) for i in indexes
        )


def is_pypi(url: str) -> bool:
    """Whether `url` is PyPI's own index, in one of the ways it has been written over the years."""
    return _PYPI.fullmatch(url) is not None


def _index_name(url: str, known: Iterable[str]) -> str:
    """A name for uv out of the host: `idx.acme.example` → `idx-acme-example`."""
    build = _PYTORCH.fullmatch(url)
    host = _HOST.match(url)
    place = host["host"] if host else posixpath.basename(url.rstrip("/"))
    name = f"pytorch-{build['build']}" if build else place
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "local"
    candidates = itertools.chain((name,), (f"{name}-{n}" for n in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in known)


def index_credentials(indexes: Iterable[Index], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which uv gets the credentials that were taken out of the URLs."""
    values = {}
    for index in indexes:
        if index.userinfo and index.userinfo.is_at_hand(environ):
            login = zip(_variable_names(index.name), index.userinfo.login(environ), strict=True)
            values.update({name: value for name, value in login if value})
    return values


def _variable_names(name: str) -> tuple[str, str]:
    prefix = f"UV_INDEX_{re.sub(r'[.-]', '_', name).upper()}"
    return f"{prefix}_USERNAME", f"{prefix}_PASSWORD"


def with_index(requirement: Requirement, indexes: Iterable[Index]) -> Requirement:
    """`requirement` with its source, if it is one that a PyTorch wheel index exists for."""
    pytorch = [index for index in indexes if index.build]
    if not pytorch or requirement.source is not None or requirement.name is None:
        return requirement
    build = _PYTORCH_BUILD.search(pinned_version(requirement) or "")
    if build is None and requirement.name not in _ON_PYTORCH:
        return requirement
    fitting = [index for index in pytorch if build and index.build == build["build"]]
    return replace(requirement, source={"index": (*fitting, *pytorch)[0].name})


def unused_indexes(
    indexes: Iterable[Index], requirements: Iterable[Requirement]
) -> Iterator[Finding]:
    """The PyTorch wheel indexes that no requirement is bound to: uv sees only direct names."""
    used = {(requirement.source or {}).get("index") for requirement in requirements}
    for index in indexes:
        if index.build and index.name not in used:
            message = f"no requirement uses {index.url}: torch is not among them"
            hint = f'add torch, with the source `torch = {{ index = "{index.name}" }}`'
            yield findings.action("index-unused", message, index.origin, hint)
