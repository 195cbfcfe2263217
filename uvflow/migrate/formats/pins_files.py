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
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Pin, Read
from uvflow.migrate.toml_lines import TomlFile

Sources = Mapping[str, Any]  # of [tool.uv.sources], by normalised name
Packages = tuple[tuple[Origin, Mapping[str, Any]], ...]
Pins = tuple[tuple[Pin, ...], tuple[Origin, ...]]  # with the lines of all packages

POETRY_LOCK, PIPFILE_LOCK = "poetry.lock", "Pipfile.lock"
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


def _locked_packages(path: str, data: bytes) -> Packages:
    """The packages of a lock file in TOML, each with its place; raises UsageError for no TOML."""
    file = TomlFile.parse(path, data, _SHAPE)
    values = file.values
    of_old = values.get("metadata", {}).get("files", {})  # up to version 1.1 of poetry.lock
    lines = (n for n, line in enumerate(file.text.split("\n"), 1) if _HEADER.fullmatch(line))
    packages = values.get("packages", values.get("package", ()))
    return tuple(
        (Origin(path=path, line=line), {"files": of_old.get(package.get("name"), ()), **package})
        for line, package in zip(lines, packages, strict=False)
    )


def poetry_pins(data: bytes, sources: Sources, outcomes: LineOutcomes) -> Pins:
    """The pins of a poetry.lock of any version; `sources` are those of pyproject.toml.

    What came from a URL or a path has no pin: its source is one.
    """
    try:
        packages = _locked_packages(POETRY_LOCK, data)
    except UsageError as error:
        outcomes.refuse("file-unreadable", f"{error} ({error.cause})", None, _RESTORE)
        return (), ()
    counts = Counter(_name(package) for _, package in packages)
    pins = []
    for origin, package in packages:
        name, source = _name(package), package.get("source", {})
        kind = source.get("type")
        if _version(package) and kind not in ("url", "file", "directory"):
            git = _git(source, sources.get(name)) if kind == "git" else ""
            marker = _marker(package.get("markers")) if counts[name] > 1 else ""
            pins.append(_pin(package, origin, git, marker))
            outcomes.record_bucket(Bucket.IMPORTED, origin)
        elif name in sources:
            outcomes.record_bucket(Bucket.DEFAULT, origin)
        else:
            message = f"{name} came from a place that only another package names"
            hint = "add it as a requirement of its own, with its source"
            outcomes.needs_action("pin-without-index", message, origin, hint)
    return tuple(pins), tuple(origin for origin, _ in packages)


def _name(package: Mapping[str, Any]) -> str:
    return canonicalize_name(str(package.get("name")))


def _version(package: Mapping[str, Any]) -> str:
    """A Pipfile.lock has it behind `==`."""
    try:
        return str(Version(str(package.get("version")).removeprefix("==")))
    except InvalidVersion:
        return ""


def _pin(package: Mapping[str, Any], origin: Origin, git: str, marker: str = "") -> Pin:
    return Pin(
        name=_name(package),
        version=_version(package),
        origin=origin,
        hashes=tuple(_hashes(package)),
        marker=marker,
        git=git,
    )


def _hashes(package: Mapping[str, Any]) -> Iterator[str]:
    yield from package.get("hashes", ())  # of Pipfile.lock
    yield from (file["hash"] for file in package.get("files", ()) if "hash" in file)
    for file in (*package.get("wheels", ()), package.get("sdist", {})):
        yield from (f"{name}:{digest}" for name, digest in file.get("hashes", {}).items())


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


def read_pylock(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The pins of a pylock.toml (PEP 751) or a pdm.lock; raises UsageError where it is not TOML."""
    packages = _locked_packages(path, read_file(path))
    # pdm.lock has a package again for each set of its extras.
    counts = Counter(name for name, _ in {(_name(p), _version(p)) for _, p in packages})
    pins: dict[tuple[str, str, str], Pin] = {}
    for origin, package in packages:
        name, version = _name(package), _version(package)
        has_source = not version or {"path", "url", "archive", "directory"} & package.keys()
        outcomes.record_bucket(Bucket.DEFAULT if has_source else Bucket.IMPORTED, origin)
        if not has_source:
            marker = str(package.get("marker", "")) if counts[name] > 1 else ""
            pin = _pin(package, origin, _git_of_pylock(package), marker)
            pins.setdefault((name, version, marker), pin)
    report = outcomes.report(path, path, (origin for origin, _ in packages))
    return ImportedRequirements(pins=tuple(pins.values()), files=(report,))


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


def pipenv_pins(data: bytes, sources: Sources, outcomes: LineOutcomes) -> Pins:
    """The pins of a Pipfile.lock; of two versions the first counts."""
    text = data.decode("utf-8", "replace")
    try:
        sections = json.loads(text)
        packages = [
            (section, name, dict(package))
            for section, listed in sections.items()
            if section != "_meta"
            for name, package in listed.items()
        ]
    except (ValueError, TypeError, AttributeError) as error:
        origin = Origin(path=PIPFILE_LOCK, line=getattr(error, "lineno", 1))
        message = f"Pipenv did not write this: {error}"
        outcomes.refuse("file-unreadable", message, origin, _RESTORE)
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
    version = package.get("version", "0" if source["url"] else None)
    locked = {"name": name, "version": version, "hashes": package.get("hashes", ())}
    git = _git(source, declared) if source["url"] else ""
    return _pin(locked, origin, git) if _version(locked) else None
