"""Index options → entries of `[[tool.uv.index]]`; credentials are taken out of them.

uv never expands `${VAR}` in an index URL. Credentials reach it by UV_INDEX_<NAME>_USERNAME and
_PASSWORD, the name upper-cased with `_` for `.` and `-` (uv docs, "Indexes", "Authentication").
"""

import itertools
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from uvflow import findings
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.credentials import UNCLEAR, Userinfo, left_in, split_userinfo, variables
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import pinned_version
from uvflow.migrate.model import Bucket, ImportOptions, Requirement

PYPI = "https://pypi.org/simple"  # what uv asks when nothing else is said

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
    """An index as pip was told of it, its credentials apart from its URL."""

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


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """The indexes of an import."""

    found: tuple[Index, ...] = ()

    @property
    def entries(self) -> tuple[dict[str, Any], ...]:
        return tuple(index.entry for index in self.found)

    def credentials(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables by which uv gets to know what was taken out of the URLs."""
        found = {}
        for index in self.found:
            if index.userinfo and index.userinfo.is_at_hand(environ):
                said = zip(
                    _variable_names(index.name), index.userinfo.looked_up(environ), strict=True
                )
                found.update({name: value for name, value in said if value})
        return found

    def placed(self, requirement: Requirement) -> Requirement:
        """`requirement` with its source, if it is one that a PyTorch wheel index is there for."""
        pytorch = [index for index in self.found if index.build]
        if not pytorch or requirement.source is not None or requirement.name is None:
            return requirement
        build = _PYTORCH_BUILD.search(pinned_version(requirement) or "")
        if build is None and requirement.name not in _ON_PYTORCH:
            return requirement
        fitting = [index for index in pytorch if build and index.build == build["build"]]
        return replace(requirement, source={"index": (*fitting, *pytorch)[0].name})


def collect_indexes(lines: Iterable[Line], ledger: LineOutcomes, options: ImportOptions) -> Indexes:
    """The indexes that `lines` name. An unset variable, or one in the URL, is an ERROR finding."""
    said = [
        _Said(origin=line.origin, is_default=option == "--index-url", url=value)
        for line in lines
        for option, value in line.effective
        if option in ("--index-url", "--extra-index-url")
    ]
    reader = _Reader(ledger=ledger, environ=options.environ, default=_default(said))
    for index in said:
        reader.take(index)
    return reader.indexes()


@dataclass(frozen=True, kw_only=True)
class _Said:
    origin: Origin
    is_default: bool
    url: str = field(repr=False)


def _default(said: Iterable[_Said]) -> _Said | None:
    """pip takes the last `--index-url`; the first file decides, for it is the project's."""
    defaults = [index for index in said if index.is_default]
    return next((i for i in reversed(defaults) if i.origin.path == defaults[0].origin.path), None)


@dataclass(kw_only=True)
class _Reader:
    ledger: LineOutcomes
    environ: Mapping[str, str]
    default: _Said | None
    by_url: dict[str, Index] = field(default_factory=dict)
    is_pypi_wanted: bool = False  # besides another default

    def take(self, said: _Said) -> None:
        url, userinfo = split_userinfo(said.url)
        key = url.rstrip("/")
        if variables(url):
            self.ledger.refuse(_variable(said.origin, url))
        elif "@" in url or left_in(said.url):
            self.ledger.refuse(_unreadable(said.origin, left_in(said.url) or UNCLEAR))
        elif said.is_default and self._is_overruled(url):
            self._tell(_overruled(said.origin, url))
        elif is_pypi(url):
            self.is_pypi_wanted |= not said.is_default
            self.ledger.mark(Bucket.DEFAULT, said.origin)
        elif key in self.by_url:
            self._again(key, said, userinfo)
        else:
            self._add(key, url, said, userinfo)

    def _is_overruled(self, url: str) -> bool:
        chosen = split_userinfo(self.default.url)[0] if self.default else url
        return url.rstrip("/") != chosen.rstrip("/")

    def _again(self, key: str, said: _Said, userinfo: Userinfo | None) -> None:
        known = self.by_url[key]
        is_default = known.is_default or said.is_default
        kept = known.userinfo or userinfo
        self.by_url[key] = replace(known, is_default=is_default, userinfo=kept)
        self.ledger.mark(Bucket.MERGED, said.origin)
        if userinfo and known.userinfo is None:
            self._check_credentials(self.by_url[key], userinfo)

    def _add(self, key: str, url: str, said: _Said, userinfo: Userinfo | None) -> None:
        name = _name(url, {index.name for index in self.by_url.values()})
        index = Index(
            url=url, name=name, origin=said.origin, is_default=said.is_default, userinfo=userinfo
        )
        self.by_url[key] = index
        self.ledger.mark(Bucket.SETTING, said.origin)
        if not (said.is_default or index.build):
            self._tell(_order(index))
        if userinfo:
            self._check_credentials(index, userinfo)

    def _check_credentials(self, index: Index, userinfo: Userinfo) -> None:
        unset = [name for name in userinfo.variables if not self.environ.get(name)]
        if unset:
            self.ledger.refuse(_unset(index, unset))
        else:
            self._tell(_login(index, userinfo))

    def _tell(self, finding: Finding) -> None:
        self.ledger.note(finding)
        if finding.severity is Severity.ACTION and finding.origin:
            self.ledger.mark(Bucket.ACTION, finding.origin)

    def indexes(self) -> Indexes:
        """Where PyPI is wanted as well it stays uv's default: uv asks its default index last."""
        if not self.is_pypi_wanted:
            return Indexes(found=tuple(self.by_url.values()))
        return Indexes(found=tuple(replace(i, is_default=False) for i in self.by_url.values()))


def is_pypi(url: str) -> bool:
    """Whether `url` is PyPI's own index, in one of the ways it has been written over the years."""
    return _PYPI.fullmatch(url) is not None


def _name(url: str, taken: Iterable[str]) -> str:
    """A name for uv out of the host: `idx.acme.example` → `idx-acme-example`."""
    build = _PYTORCH.fullmatch(url)
    host = _HOST.match(url)
    place = host["host"] if host else posixpath.basename(url.rstrip("/"))
    name = f"pytorch-{build['build']}" if build else place
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "local"
    candidates = itertools.chain((name,), (f"{name}-{n}" for n in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _variable_names(name: str) -> tuple[str, str]:
    prefix = f"UV_INDEX_{re.sub(r'[.-]', '_', name).upper()}"
    return f"{prefix}_USERNAME", f"{prefix}_PASSWORD"


def _login(index: Index, userinfo: Userinfo) -> Finding:
    names = zip(_variable_names(index.name), (userinfo.username, userinfo.password), strict=True)
    listed = " and ".join(name for name, said in names if said)
    return findings.action(
        "index-credentials",
        userinfo.told_of(index.url, index.origin.path, is_at_hand=True),
        index.origin,
        f"log in with `uv auth login {index.url}`, or set {listed}",
    )


def _unset(index: Index, names: Iterable[str]) -> Finding:
    return findings.error(
        "variable-unset",
        f"{index.url} needs {' and '.join(names)}, which the environment does not have",
        index.origin,
        f"set {' and '.join(names)} for this run",
    )


def _variable(origin: Origin, url: str) -> Finding:
    return findings.error(
        "variable-in-url",
        f"uv expands no variables in an index URL: {url}",
        origin,
        "write the URL out, and leave only the credentials to variables",
    )


def _unreadable(origin: Origin, why: str) -> Finding:
    """Nothing of the URL is told: what is before the `@` may be half of a password."""
    return findings.error(
        "index-unreadable",
        why,
        origin,
        "write them as `user:password@`, percent-encoded where they have / ? # @ (RFC 3986)",
    )


def _overruled(origin: Origin, url: str) -> Finding:
    return findings.action(
        "index-overruled",
        f"{url} is not taken over: there is another `--index-url`, and only one counts",
        origin,
        "take one of them out, or make one an `--extra-index-url`",
    )


def _order(index: Index) -> Finding:
    return findings.warning(
        "index-order",
        f"pip takes the best version of all indexes, uv the first index that has the name:"
        f" {index.url} comes before the default index",
        index.origin,
        "bind packages to their index in [tool.uv.sources];"
        ' `index-strategy = "unsafe-best-match"` does as pip does',
    )


def unused(index: Index) -> Finding:
    """A PyTorch wheel index that nothing in the lists is taken from: uv sees only direct names."""
    return findings.action(
        "index-unused",
        f"no requirement is taken from {index.url}: torch is not among them",
        index.origin,
        f'add torch, with the source `torch = {{ index = "{index.name}" }}`',
    )
