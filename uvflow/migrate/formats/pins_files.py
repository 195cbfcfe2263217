"""The lock files of other tools → old pins with their hashes. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from uvflow import findings
from uvflow.errors import UsageError
from uvflow.findings import Origin
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Read
from uvflow.migrate.toml_lines import TomlFile

Sources = Mapping[str, Any]  # of [tool.uv.sources], by normalised name
Packages = tuple[tuple[Origin, Mapping[str, Any]], ...]

POETRY_LOCK = "poetry.lock"
_SHAPE = {"package": [{"source": dict, "files": [{"hash": str}]}], "metadata": {"files": dict}}
_EXTRA = r"extra == (?:\"[^\"]*\"|'[^']*')"
_EXTRAS = re.compile(rf"(?: and )?(?:\({_EXTRA}(?: or {_EXTRA})+\)|{_EXTRA})(?: and )?")


def poetry_packages(data: bytes, outcomes: LineOutcomes) -> Packages:
    """The packages of a poetry.lock, of any version, each with its place.

    One that is not TOML is an ERROR finding.
    """
    text = data.decode("utf-8", "replace")
    try:
        values = TomlFile.parse(POETRY_LOCK, text, _SHAPE).values
    except UsageError as error:
        hint = "restore the file, or move it away"
        problem = findings.error("file-unreadable", f"{error} ({error.cause})", None, hint)
        outcomes.record_findings(problem)
        return ()
    of_old = values.get("metadata", {}).get("files", {})  # up to version 1.1
    lines = (n for n, line in enumerate(text.split("\n"), 1) if line.rstrip() == "[[package]]")
    return tuple(
        (
            Origin(path=POETRY_LOCK, line=line),
            {"files": of_old.get(package.get("name"), ()), **package},
        )
        for line, package in zip(lines, values.get("package", ()), strict=False)
    )


def poetry_pins(packages: Packages, sources: Sources, outcomes: LineOutcomes) -> tuple[Pin, ...]:
    """The pins among `packages`; `sources` are those of pyproject.toml.

    What came from a URL or a path has no pin: its source is one.
    """
    counts = Counter(_name(package) for _, package in packages)
    pins = []
    for origin, package in packages:
        name = _name(package)
        pin = _poetry_pin(package, origin, sources.get(name), is_split=counts[name] > 1)
        if pin:
            pins.append(pin)
            outcomes.record_bucket(Bucket.IMPORTED, origin)
        elif name in sources:
            outcomes.record_bucket(Bucket.DEFAULT, origin)
        else:
            message = f"{name} came from a place that only another package names"
            hint = "add it as a requirement of its own, with its source"
            outcomes.needs_action("pin-without-index", message, origin, hint)
    return tuple(pins)


def _name(package: Mapping[str, Any]) -> str:
    return canonicalize_name(str(package.get("name")))


def _version(package: Mapping[str, Any]) -> str:
    try:
        return str(Version(str(package.get("version"))))
    except InvalidVersion:
        return ""


def _poetry_pin(
    package: Mapping[str, Any], origin: Origin, declared: Any, *, is_split: bool
) -> Pin | None:
    source, version = package.get("source", {}), _version(package)
    if not version or source.get("type") in ("url", "file", "directory"):
        return None
    return Pin(
        name=_name(package),
        version=version,
        origin=origin,
        hashes=tuple(file["hash"] for file in package["files"] if "hash" in file),
        marker=_marker(package.get("markers")) if is_split else "",
        git=_git(source, declared) if source.get("type") == "git" else "",
    )


def _marker(given: Any) -> str:
    """Where a version is for, whichever extra asks for it; each group may have a marker."""
    found = given.values() if isinstance(given, dict) else (given,)
    markers = dict.fromkeys(_EXTRAS.sub("", str(marker)) for marker in found if marker)
    plain = [marker for marker in markers if "extra" not in marker]
    return plain[0] if len(plain) == 1 else " or ".join(f"({marker})" for marker in plain)


def _git(source: Mapping[str, Any], declared: Any) -> str:
    """uv keeps the commit where the reference is the one that [tool.uv.sources] has."""
    known = declared if isinstance(declared, dict) else {"rev": source.get("reference")}
    kinds = ("subdirectory", "rev", "tag", "branch")
    query = "&".join(f"{kind}={known[kind]}" for kind in kinds if known.get(kind))
    url = known.get("git", source.get("url"))
    return f"{url}{'?' if query else ''}{query}#{source.get('resolved_reference')}"


_OF_PACKAGE = {"files": [dict], "wheels": [{"hashes": dict}], "sdist": {"hashes": dict}}
_OF_PACKAGE |= {"vcs": dict}
_PYLOCK_SHAPE = {"package": [_OF_PACKAGE], "packages": [_OF_PACKAGE]}


def read_pylock(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The pins of a pylock.toml (PEP 751) or a pdm.lock; raises UsageError where it is not TOML."""
    text = read_file(path).decode("utf-8", "replace")
    values = TomlFile.parse(path, text, _PYLOCK_SHAPE).values
    lines = (n for n, line in enumerate(text.split("\n"), 1) if line.startswith("[[package"))
    origins = [Origin(path=path, line=line) for line in lines]
    packages = values.get("packages", values.get("package", ()))
    # pdm.lock has a package again for each set of its extras.
    counts = Counter(name for name, _ in {(_name(p), _version(p)) for p in packages})
    pins: dict[tuple[str, str, str], Pin] = {}
    for origin, package in zip(origins, packages, strict=False):
        name, version = _name(package), _version(package)
        has_source = not version or {"path", "url", "archive", "directory"} & package.keys()
        outcomes.record_bucket(Bucket.DEFAULT if has_source else Bucket.IMPORTED, origin)
        if not has_source:
            marker = str(package.get("marker", "")) if counts[name] > 1 else ""
            pin = Pin(name=name, version=version, origin=origin, marker=marker)
            pin = replace(pin, hashes=tuple(_hashes(package)), git=_git_of_pylock(package))
            pins.setdefault((name, version, marker), pin)
    report = outcomes.report(path, path, origins)
    return ImportedRequirements(pins=tuple(pins.values()), files=(report,))


def _hashes(package: Mapping[str, Any]) -> Iterator[str]:
    for file in package.get("files", ()):  # of pdm.lock
        yield str(file.get("hash"))
    for file in (*package.get("wheels", ()), package.get("sdist", {})):
        yield from (f"{name}:{digest}" for name, digest in file.get("hashes", {}).items())


def _git_of_pylock(package: Mapping[str, Any]) -> str:
    """The commit, with the reference as a requirement has it."""
    vcs = package.get("vcs", {})
    url = package.get("git", vcs.get("url"))
    source = {
        "url": url,
        "subdirectory": package.get("subdirectory", vcs.get("subdirectory")),
        "rev": package.get("ref", vcs.get("requested-revision")),
        "resolved_reference": package.get("revision", vcs.get("commit-id")),
    }
    return _git(source, source) if url else ""
