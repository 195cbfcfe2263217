"""The lock files of other tools → old pins with their hashes. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate.formats.local_project import read_if_there
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Read
from uvflow.migrate.toml_lines import TomlFile

Package = Mapping[str, Any]
Sources = Mapping[str, Any]  # of [tool.uv.sources], by normalised name

_POETRY_LOCK, _PIPFILE_LOCK = "poetry.lock", "Pipfile.lock"
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


def read_poetry_lock(
    sources: Sources, read_file: Read, outcomes: LineOutcomes
) -> ImportedRequirements:
    """The pins of a poetry.lock of any version, if there is one beside the `sources`.

    What came from a URL or a path has no pin: its source is one.
    """
    if read_if_there(_POETRY_LOCK, read_file) is None:
        return ImportedRequirements()
    return _read_lock(_POETRY_LOCK, "poetry", read_file, outcomes, sources)


def read_pylock(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The pins of a pylock.toml (PEP 751) or a pdm.lock."""
    return _read_lock(path, path, read_file, outcomes, None)


def _read_lock(
    path: str, tool: str, read_file: Read, outcomes: LineOutcomes, sources: Sources | None
) -> ImportedRequirements:
    packages = tuple(_locked_packages(path, read_file(path), outcomes))
    counts = Counter(name for name, _ in {(_name(p), _version(p)) for _, p in packages})
    pins: dict[Any, Pin] = {}  # pdm.lock has a package again for each set of its extras
    for origin, package in packages:
        name, version = _name(package), _version(package)
        kind = package.get("source", {}).get("type")
        has_source = not version or {"path", "url", "archive", "directory"} & package.keys()
        if not has_source and kind not in ("url", "file", "directory"):
            given = package.get("markers", package.get("marker"))
            marker = _marker(given) if counts[name] > 1 else ""
            git = _git(_commit(package), (sources or {}).get(name))
            pins.setdefault((name, version, marker), _pin(package, origin, git, marker))
            outcomes.record_bucket(Bucket.IMPORTED, origin)
        elif sources is None or name in sources:
            outcomes.record_bucket(Bucket.DEFAULT, origin)
        else:
            message = f"{name} came from a place that only another package names"
            hint = "add it as a requirement of its own, with its source"
            outcomes.needs_action("pin-without-index", message, origin, hint)
    report = outcomes.report(path, tool, (origin for origin, _ in packages))
    return ImportedRequirements(pins=tuple(pins.values()), files=(report,))


def _locked_packages(
    path: str, data: bytes, outcomes: LineOutcomes
) -> Iterator[tuple[Origin, Package]]:
    """The packages of a lock file in TOML, each with its place."""
    try:
        file = TomlFile.parse(path, data, _SHAPE)
    except UsageError as error:
        outcomes.refuse("file-unreadable", f"{error} ({error.cause})", None, _RESTORE)
        return
    of_old = file.value("metadata", "files") or {}  # up to version 1.1 of poetry.lock
    lines = (n for n, line in enumerate(file.text.split("\n"), 1) if _HEADER.fullmatch(line))
    packages = file.values.get("packages", file.values.get("package", ()))
    for line, package in zip(lines, packages, strict=False):
        yield (
            Origin(path=path, line=line),
            {"files": of_old.get(package.get("name"), ()), **package},
        )


def _name(package: Package) -> str:
    return canonicalize_name(str(package.get("name")))


def _version(package: Package) -> str:
    """A Pipfile.lock has it behind `==`."""
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


def _marker(given: Any) -> str:
    """Where a version is for, whichever extra asks for it; each group may have a marker."""
    found = given.values() if isinstance(given, dict) else (given,)
    markers = dict.fromkeys(_EXTRAS.sub("", str(marker)) for marker in found if marker)
    plain = [marker for marker in markers if "extra" not in marker]
    return plain[0] if len(plain) == 1 else " or ".join(f"({marker})" for marker in plain)


def _commit(package: Package) -> Mapping[str, Any]:
    """Where a package is from, in the words of poetry.lock; without a `url` it is not a commit."""
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
    """uv keeps the commit where the reference is the one that [tool.uv.sources] has."""
    if not commit.get("url"):
        return ""
    plain = {"rev": commit.get("reference"), "subdirectory": commit.get("subdirectory")}
    known = declared if isinstance(declared, dict) else plain
    kinds = ("subdirectory", "rev", "tag", "branch")
    query = "&".join(f"{kind}={known[kind]}" for kind in kinds if known.get(kind))
    url = known.get("git", commit["url"])
    return f"{url}{'?' if query else ''}{query}#{commit.get('resolved_reference')}"


def read_pipfile_lock(
    sources: Sources, read_file: Read, outcomes: LineOutcomes
) -> ImportedRequirements:
    """The pins of a Pipfile.lock, if there is one; of two versions the first counts."""
    text = (read_if_there(_PIPFILE_LOCK, read_file) or b"{}").decode("utf-8", "replace")
    try:
        packages = [
            (name, dict(package))
            for section, listed in json.loads(text).items()
            if section != "_meta"
            for name, package in listed.items()
        ]
    except (ValueError, TypeError, AttributeError) as error:
        origin = Origin(path=_PIPFILE_LOCK, line=getattr(error, "lineno", 1))
        message = f"Pipenv did not write this: {error}"
        outcomes.refuse("file-unreadable", message, origin, _RESTORE)
        return ImportedRequirements()
    pins: dict[str, Pin] = {}
    origins, at = [], 0
    for written, package in packages:
        at = max(at, text.find(f'"{written}": {{', at))
        origin = Origin(path=_PIPFILE_LOCK, line=text.count("\n", 0, at) + 1)
        origins.append(origin)
        name = canonicalize_name(written)
        # Without a version it is from a URL or a path, or the machine that locked had no need.
        commit = {"url": package.get("git"), "resolved_reference": package.get("ref")}
        locked = {"name": name, "version": "0" if commit["url"] else None, **package}
        is_pin = bool(_version(locked))
        if is_pin:
            pin = _pin(locked, origin, _git(commit, sources.get(name)))
            known = pins.setdefault(name, pin)
            if pin.version != known.version:
                message = f"{name} is {known.version} in {known.origin}, which counts"
                outcomes.needs_action("pin-conflict", message, origin, "lock both as one version")
        outcomes.record_bucket(Bucket.IMPORTED if is_pin else Bucket.DEFAULT, origin)
    reports = (outcomes.report(_PIPFILE_LOCK, "pipenv", origins),) if origins else ()
    return ImportedRequirements(pins=tuple(pins.values()), files=reports)
