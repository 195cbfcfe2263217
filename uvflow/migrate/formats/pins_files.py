"""Lock files of other tools → pins with their hashes. Pure."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate.formats.local_project import read_if_there, text_of
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Read
from uvflow.migrate.toml_lines import TomlFile
from uvflow.migrate.toml_text import lenient_values

Package = Mapping[str, Any]
Packages = Iterator[tuple[Origin, Package]]  # each with its place

POETRY_LOCK, PIPFILE_LOCK = "poetry.lock", "Pipfile.lock"
_TOOLS = {POETRY_LOCK: "poetry", PIPFILE_LOCK: "pipenv"}
_RESTORE = "restore the file, or move it away"
_PACKAGE = {
    "source": dict,
    "files": [{"hash": str}],
    "wheels": [{"hashes": dict}],
    "sdist": {"hashes": dict},
    "vcs": dict,
}
_SHAPE = {"package": [_PACKAGE], "packages": [_PACKAGE], "metadata": {"files": dict}}
_HEADER = re.compile(r"\[\[packages?\]\]\s*")
_EXTRA = r"extra == (?:\"[^\"]*\"|'[^']*')"
_EXTRAS = re.compile(rf"(?: and )?(?:\({_EXTRA}(?: or {_EXTRA})+\)|{_EXTRA})(?: and )?")


def read_lock(
    path: str,
    read_file: Read,
    outcomes: LineOutcomes,
    declared: ImportedRequirements | None = None,
) -> ImportedRequirements:
    """The pins of the lock file at `path` (PEP 751 and others), none where it does not exist.

    Packages from a URL or a path have no pin. References of git are those of `declared`.
    """
    data = read_if_there(path, read_file)
    if data is None:
        return ImportedRequirements()
    sources = declared.sources if declared else None
    read_packages = _pipfile_packages if path == PIPFILE_LOCK else _locked_packages
    packages = tuple(read_packages(path, data, outcomes))
    versions = Counter(name for name, _ in {(_name(p), _version(p)) for _, p in packages})
    pins: dict[Any, Pin] = {}  # pdm.lock repeats a package for each set of its extras
    for origin, package in packages:
        name, version = _name(package), _version(package)
        kind = package.get("source", {}).get("type")
        has_source = not version or {"path", "url", "archive", "directory"} & package.keys()
        if not has_source and kind not in ("url", "file", "directory"):
            marker = _marker(package) if versions[name] > 1 else ""
            git = _git(_commit(package), (sources or {}).get(name))
            pins.setdefault((name, version, marker), _pin(package, origin, git, marker))
            outcomes.record_bucket(Bucket.IMPORTED, origin)
        elif path != POETRY_LOCK or sources is None or name in sources:
            outcomes.record_bucket(Bucket.DEFAULT, origin)
        else:
            message = f"{name} came from a place that only another package names"
            hint = "add it as a requirement of its own, with its source"
            outcomes.needs_action("pin-without-index", message, origin, hint)
    if declared and packages:
        _warn_of_age(
            path, {r.name for r in declared.requirements if r.name} - {*versions}, outcomes
        )
    report = outcomes.report(path, _TOOLS.get(path, path), (origin for origin, _ in packages))
    return ImportedRequirements(pins=tuple(pins.values()), files=(report,))


def locked_versions(name: str, read_file: Read) -> list[str]:
    """The versions of a package in poetry.lock, none where it cannot be read."""
    packages = lenient_values(text_of(POETRY_LOCK, read_file)).get("package", ())
    same = (p for p in packages if isinstance(p, dict) and _name(p) == canonicalize_name(name))
    return [version for version in map(_version, same) if version]


def _warn_of_age(path: str, missing: Collection[str], outcomes: LineOutcomes) -> None:
    """Report requirements that the lock file lacks, since they were added after it was made."""
    if missing:
        message = f"this was made before what it does not have: {', '.join(sorted(missing))}"
        hint = "uv chooses the versions of these, and the others keep theirs"
        outcomes.warn("lock-older", message, Origin(path=path, line=1), hint)


def _locked_packages(path: str, data: bytes, outcomes: LineOutcomes) -> Packages:
    """The packages of a lock file in TOML."""
    try:
        file = TomlFile.parse(path, data, _SHAPE)
    except UsageError as error:
        outcomes.refuse("file-unreadable", f"{error} ({error.cause})", None, _RESTORE)
        return
    of_old = file.value("metadata", "files") or {}  # up to version 1.1 of poetry.lock
    lines = (n for n, line in enumerate(file.text.split("\n"), 1) if _HEADER.fullmatch(line))
    packages = file.values.get("packages", file.values.get("package", ()))
    for line, package in zip(lines, packages, strict=False):
        hashes = {"files": of_old.get(package.get("name"), ())}
        yield Origin(path=path, line=line), {**hashes, **package}


def _pipfile_packages(path: str, data: bytes, outcomes: LineOutcomes) -> Packages:
    """The packages with the keys of other lock files, without the markers, which may be wrong."""
    text, at = data.decode("utf-8", "replace"), 0
    try:
        packages = [
            (name, dict(package))
            for section, listed in json.loads(text).items()
            if section != "_meta"
            for name, package in listed.items()
        ]
    except (ValueError, TypeError, AttributeError) as error:
        origin = Origin(path=path, line=getattr(error, "lineno", 1))
        outcomes.refuse("file-unreadable", f"this is no Pipfile.lock: {error}", origin, _RESTORE)
        return
    first: dict[str, tuple[str, Origin]] = {}
    for name, package in packages:
        at = max(at, text.find(f'"{name}": {{', at))
        origin = Origin(path=path, line=text.count("\n", 0, at) + 1)
        # Without a version it is from a URL or a path, or the machine that locked had no need.
        locked = {"name": name, "version": "0" if "git" in package else None, **package}
        version = _version(locked)
        if version:
            known, where = first.setdefault(_name(locked), (version, origin))
            if version != known:
                message = f"{_name(locked)} is {known} in {where}, which counts"
                outcomes.needs_action("pin-conflict", message, origin, "lock both as one version")
                locked["version"] = None
        yield origin, {**locked, "markers": "", "ref": None, "revision": package.get("ref")}


def _name(package: Package) -> str:
    return canonicalize_name(str(package.get("name")))


def _version(package: Package) -> str:
    """The normalised version (PEP 440), "" for none; Pipfile.lock has `==` before it."""
    try:
        return str(Version(str(package.get("version")).removeprefix("==")))
    except InvalidVersion:
        return ""


def _pin(package: Package, origin: Origin, git: str, marker: str = "") -> Pin:
    name, version = _name(package), _version(package)
    hashes = [*package.get("hashes", ())]  # of Pipfile.lock
    hashes += (file["hash"] for file in package.get("files", ()) if "hash" in file)
    for file in (*package.get("wheels", ()), package.get("sdist", {})):
        hashes += (f"{kind}:{digest}" for kind, digest in file.get("hashes", {}).items())
    return Pin(
        name=name, version=version, origin=origin, hashes=tuple(hashes), marker=marker, git=git
    )


def _marker(package: Package) -> str:
    """The marker of a version without its extras; poetry.lock may have one for each group."""
    given = package.get("markers", package.get("marker"))
    markers = given.values() if isinstance(given, dict) else (given,)
    plain = dict.fromkeys(_EXTRAS.sub("", str(marker)) for marker in markers if marker)
    without = [marker for marker in plain if "extra" not in marker]
    return without[0] if len(without) == 1 else " or ".join(f"({marker})" for marker in without)


def _commit(package: Package) -> Mapping[str, Any]:
    """The repository and commit with the keys of poetry.lock; no `url` for other packages."""
    source, vcs = package.get("source", {}), package.get("vcs", {})
    if source:
        return source if source.get("type") == "git" else {}
    return {
        "url": package.get("git", vcs.get("url")),
        "subdirectory": package.get("subdirectory", vcs.get("subdirectory")),
        "reference": package.get("ref", vcs.get("requested-revision")),
        "resolved_reference": package.get("revision", vcs.get("commit-id")),
    }


def _git(commit: Mapping[str, Any], declared: Any) -> str:
    """The source in uv.lock; uv keeps a commit whose reference is that of [tool.uv.sources]."""
    if not commit.get("url"):
        return ""
    source = {"rev": commit.get("reference"), "subdirectory": commit.get("subdirectory")}
    if isinstance(declared, dict):
        source = declared
    kinds = ("subdirectory", "rev", "tag", "branch")
    query = "&".join(f"{kind}={source[kind]}" for kind in kinds if source.get(kind))
    url = source.get("git") or commit["url"]
    return f"{url}{'?' if query else ''}{query}#{commit.get('resolved_reference')}"
