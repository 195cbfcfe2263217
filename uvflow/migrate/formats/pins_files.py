"""The lock files of other tools → old pins with their hashes. Pure."""

import json
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

POETRY_LOCK, PIPFILE_LOCK = "poetry.lock", "Pipfile.lock"
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


_LOCKED = re.compile(r'^(?P<indent> {4}| {8})"(?P<name>[^"]+)": \{', re.MULTILINE)


def pipenv_pins(
    data: bytes | None, sources: Sources, outcomes: LineOutcomes
) -> tuple[tuple[Pin, ...], tuple[Origin, ...]]:
    """The pins of a Pipfile.lock, and the lines of its packages; of two versions the first counts.

    One that is not JSON is an ERROR finding.
    """
    text = (data or b"{}").decode("utf-8", "replace")
    try:
        sections = json.loads(text)
        packages = [
            (section, name, dict(package))
            for section, listed in sections.items()
            if section != "_meta"
            for name, package in listed.items()
        ]
    except (ValueError, TypeError, AttributeError) as error:
        line, hint = getattr(error, "lineno", 1), "restore the file, or move it away"
        message, origin = (
            f"Pipenv did not write this: {error}",
            Origin(path=PIPFILE_LOCK, line=line),
        )
        outcomes.record_findings(findings.error("file-unreadable", message, origin, hint))
        return (), ()
    lines, section = dict[tuple[str, str], int](), ""
    for match in _LOCKED.finditer(text):
        section = match["name"] if len(match["indent"]) == len("    ") else section
        lines[section, match["name"]] = text.count("\n", 0, match.start()) + 1
    pins: dict[str, Pin] = {}
    origins = []
    for section, written, package in packages:
        name = canonicalize_name(written)
        origin = Origin(path=PIPFILE_LOCK, line=lines.get((section, written), 1))
        origins.append(origin)
        pin = _pipenv_pin(name, package, origin, sources.get(name))
        known = pins.setdefault(name, pin) if pin else None
        if pin and known and pin.version != known.version:
            message = f"{name} is {known.version} in {known.origin}, which counts"
            outcomes.needs_action("pin-conflict", message, origin, "lock both as one version")
        outcomes.record_bucket(Bucket.IMPORTED if pin else Bucket.DEFAULT, origin)
    return tuple(pins.values()), tuple(origins)


def _pipenv_pin(name: str, package: Mapping[str, Any], origin: Origin, declared: Any) -> Pin | None:
    """None for what came from a URL or a path, and where the machine that locked had no need."""
    source = {"url": package.get("git"), "resolved_reference": package.get("ref")}
    version = str(package.get("version", "==0" if package.get("git") else ""))
    try:
        version = str(Version(version.removeprefix("==")))
    except InvalidVersion:
        return None
    hashes, is_git = tuple(package.get("hashes", ())), "git" in package
    git = _git(source, declared) if is_git else ""
    return Pin(name=name, version=version, origin=origin, hashes=hashes, git=git)
