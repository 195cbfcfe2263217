"""One judge for all tools: what is in the pyproject.toml and uv.lock that an import left?

Reads what uv and PDM write, each in its own tables, and knows nothing of how it came there.
"""

import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from benchmarks.import_cases import (
    BROKE,
    KEPT,
    LOST,
    REFUSED,
    REQUIREMENTS,
    SAID,
    Case,
    Wants,
)
from benchmarks.import_wheels import MACHINES, Wheel, differences

Tree = Mapping[str, bytes]  # path relative to the project's directory → what is in it

# The tables of `[tool]` that an import reads, and may take away.
_OLD_TOOLS = ("poetry", "pdm", "hatch", "rye", "flit")

_CRASH = re.compile(r"^Traceback \(most recent|panicked at", re.MULTILINE)
_EXCEPTION = re.compile(r"[\w.]*Error: ")
# How PDM ends what it shows of another program's traceback: that of setup.py, for example.
_HANDLED = re.compile(r"^\[\w+\]: ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a tool did to a project: `before` and `after` its last command, and all it said.

    `inputs` are the files of the case, `elsewhere` what it wrote outside the project. `wheels` are
    those of a package before and after; in the place of one that cannot be built is the reason.
    """

    code: int
    said: str
    inputs: Tree
    before: Tree
    after: Tree
    elsewhere: Tree
    wheels: tuple[Wheel | str, Wheel | str] | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """`why` is what is missing or changed; what nobody was told of begins with an exclamation.

    `deleted` are input files, `secret` the files that were written with the secret in them.
    """

    verdict: str
    why: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something a case wants that is not there; `named` is what a tool has to say of it."""

    what: str
    named: str

    def is_named(self, said: str) -> bool:
        return self.named.lower() in said.lower()


def judged(case: Case, run: Run, secret: str) -> Judgement:
    """The verdict on a finished run; `secret` is what must not be in any file it wrote."""
    verdict, why = _verdict(case, run)
    written = {**run.after, **run.elsewhere}
    return Judgement(
        verdict=verdict,
        why=why,
        deleted=tuple(sorted(run.inputs.keys() - run.after.keys())),
        secret=tuple(
            path
            for path, data in sorted(written.items())
            if secret.encode() in data and run.inputs.get(path) != data
        ),
    )


def _verdict(case: Case, run: Run) -> tuple[str, tuple[str, ...]]:
    if _CRASH.search(run.said) and not _HANDLED.search(run.said):
        return BROKE, ("a traceback",)
    if run.code != 0:
        changed = tuple(f"! {path} changed" for path in _changed(run))
        return (BROKE, changed) if changed else (REFUSED, (_reason(run.said),))
    missing = tuple(_missing(case, run))
    unsaid = [m for m in missing if not m.is_named(run.said)]
    why = tuple(f"{'! ' if m in unsaid else ''}{m.what}" for m in missing)
    return (LOST if unsaid else SAID if missing else KEPT), why


def _changed(run: Run) -> list[str]:
    paths = {*run.before, *run.after}
    return sorted(path for path in paths if run.before.get(path) != run.after.get(path))


def _reason(said: str) -> str:
    """The first line that is about an error."""
    lines = [line.strip() for line in said.strip().splitlines()] or ["nothing was said"]
    return next((line for line in lines if "error" in line.lower()), lines[-1])


def _missing(case: Case, run: Run) -> Iterator[Missing]:
    """Everything that is not as the case wants it."""
    try:
        found = Found.read(run.after)
    except (KeyError, tomllib.TOMLDecodeError) as error:
        yield Missing(what=f"pyproject.toml cannot be read: {error}", named="cannot be read")
        return
    if not case.is_package:  # of a package, the wheel has them
        yield from _missing_requirements(case.wants, found)
    yield from _missing_groups(case.wants, found)
    yield from _missing_metadata(case.wants, found)
    yield from _missing_settings(case.wants, found)
    yield from _missing_versions(case.wants, found)
    yield from _changed_tables(case, run)
    yield from _changed_wheel(run)
    for text in found.unreadable:
        yield Missing(what=f"`{text}` is no requirement (PEP 508)", named=text)
    for comment in case.wants.comments:
        if comment not in found.text:
            yield Missing(what=f"comment `{comment}`", named=comment)
    for words in case.wants.told:
        if words not in found.values:
            yield Missing(what=f"`{words}`", named=words)


def _missing_requirements(wants: Wants, found: "Found") -> Iterator[Missing]:
    project = _wanted(wants.project, wants)
    yield from _compared("project", project, found.project, wants, found)
    for name, texts in wants.extras.items():
        have = found.extras.get(name, {})
        yield from _compared(f"extra {name}", _wanted(texts, wants), have, wants, found)
    for key, versions in _wanted(wants.constraints, wants).items():
        if found.constraints.get(key) != versions:
            yield Missing(what=f"constraint {_shown(key, versions)}", named=key.name)


def _missing_groups(wants: Wants, found: "Found") -> Iterator[Missing]:
    project = _wanted(wants.project, wants)
    for name, texts in wants.groups.items():
        have = {**found.project, **found.groups.get(name, {})}
        wanted = {**{k: v for k, v in project.items() if k in have}, **_wanted(texts, wants)}
        yield from _compared(f"group {name}", wanted, have, wants, found)
    if wants.default_groups is not None:
        for name in sorted(found.default_groups ^ set(wants.default_groups)):
            is_default = "" if name in found.default_groups else "not "
            what = f"group {name} is {is_default}installed by default"
            yield Missing(what=what, named=name)


def _missing_metadata(wants: Wants, found: "Found") -> Iterator[Missing]:
    for key, value in wants.metadata.items():
        if found.metadata.get(key) != value:
            yield Missing(what=f"{key} is {found.metadata.get(key, 'gone')!r}", named=key)
    have = SpecifierSet(found.metadata.get("requires-python", ""))
    if wants.python and not _admit_the_same(SpecifierSet(wants.python), have):
        yield Missing(
            what=f"requires-python is `{have}`, not `{wants.python}`", named="requires-python"
        )


def _missing_settings(wants: Wants, found: "Found") -> Iterator[Missing]:
    for url, kind in wants.indexes.items():
        # An explicit index that is wanted for all packages is found by the versions that it lacks.
        enough = ("extra", "explicit") if kind == "extra" else (kind,)
        if found.indexes.get(url) not in enough:
            is_kind = found.indexes.get(url, "gone")
            what = f"index {url} ({kind}) is {is_kind}"
            yield Missing(what=what, named=urlsplit(url).netloc)
    for name, url in wants.indexed.items():
        if found.indexed.get(name) != url:
            yield Missing(what=f"{name} comes from {url} alone", named=name)
    for path in wants.find_links:
        if path not in found.find_links:
            yield Missing(what=f"--find-links {path}", named="find-links")
    for setting in wants.settings:
        is_set = any(value in _values(found.manifest, *keys) for keys, value in setting.places)
        is_written = setting.written and setting.written in found.values
        if not (is_set or is_written):
            yield Missing(what=setting.what, named=setting.named)


def _missing_versions(wants: Wants, found: "Found") -> Iterator[Missing]:
    for name, versions in wants.locked.items():
        have = found.locked.get(name, set())
        if have != set(versions.split()):
            instead = ", ".join(sorted(have)) or "nothing"
            yield Missing(what=f"{name} {versions} is locked as {instead}", named=name)
    for digest in wants.hashes:
        if digest not in found.text:
            yield Missing(what=f"hash {digest[:8]}…", named=digest)


def _changed_tables(case: Case, run: Run) -> Iterator[Missing]:
    """What was in the user's own pyproject.toml has to be there still, but for what was imported.

    Lists of dependencies may grow. Of a package the wheel tells what its build backend makes.
    """
    before = tomllib.loads(run.inputs.get("pyproject.toml", b"").decode())
    after = tomllib.loads(run.after["pyproject.toml"].decode())
    imported = {"dependencies", "dynamic", *_OLD_TOOLS}
    for table in before:
        if table == "build-system" and case.format != REQUIREMENTS:
            continue
        for key, value in before[table].items():
            have = after.get(table, {}).get(key)
            has_grown = table == "dependency-groups" and _is_within(value, have)
            if key not in imported and have != value and not has_grown:
                yield Missing(what=f"[{table}] {key} of pyproject.toml", named=key)


def _is_within(value: Any, have: Any) -> bool:
    return isinstance(have, list) and all(entry in have for entry in value)


def _changed_wheel(run: Run) -> Iterator[Missing]:
    if run.wheels is None:
        return
    before, after = run.wheels
    if isinstance(before, str):
        raise TypeError(f"the case's own wheel cannot be built: {before}")
    if isinstance(after, str):
        lines = after.splitlines()
        reason = next((line for line in lines if _EXCEPTION.match(line)), lines[-1])
        yield Missing(what=f"no wheel can be built: {reason.strip()}", named="cannot be built")
        return
    for what, named in differences(before, after):
        yield Missing(what=f"wheel: {what}", named=named)


# Requirements


@dataclass(frozen=True, kw_only=True)
class Key:
    """What tells two requirements of one list apart."""

    name: str
    marker: tuple[bool, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Versions:
    extras: frozenset[str]
    specifier: SpecifierSet

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{extras}{self.specifier}"


Requirements = Mapping[Key, Versions]


def _compared(
    where: str, wanted: Requirements, have: Requirements, wants: Wants, found: "Found"
) -> Iterator[Missing]:
    for key, versions in wanted.items():
        if key not in have or not _agree(versions, have[key], wants):
            others = [_shown(k, v) for k, v in have.items() if k.name == key.name]
            others += [f"in group {n}" for n, g in found.groups.items() if _has(g, key.name)]
            instead = ", ".join(others) or "gone"
            yield Missing(what=f"{where}: {_shown(key, versions)} is {instead}", named=key.name)
    names = {key.name for key in wanted} | {found.name}
    for key, versions in have.items():
        if key.name not in names:
            what = f"{where}: {_shown(key, versions)}, which nobody asked for"
            yield Missing(what=what, named=key.name)


def _has(requirements: Requirements, name: str) -> bool:
    return any(key.name == name for key in requirements)


def _agree(wanted: Versions, have: Versions, wants: Wants) -> bool:
    if wanted.extras != have.extras:
        return False
    is_bound = [s.operator for s in have.specifier] == [">="]
    if not wanted.specifier and is_bound and not wants.unbounded:
        return True
    return _admit_the_same(wanted.specifier, have.specifier)


def _admit_the_same(wanted: SpecifierSet, have: SpecifierSet) -> bool:
    """Whether both admit the same releases at, before and after each bound; not pre-releases."""
    if wanted == have:
        return True
    bounds = {Version(s.version.removesuffix(".*")).release for s in (*wanted, *have)}
    near = {near for release in bounds for near in _near(release)}
    versions = [".".join(map(str, release)) for release in near]
    return all(wanted.contains(version) == have.contains(version) for version in versions)


def _near(release: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The releases around one: of each of its components one less and one more, and a patch."""
    padded = (*release, 0, 0)[: max(3, len(release))]
    for place, number in enumerate(padded):
        for other in {max(number - 1, 0), number, number + 1}:
            changed = (*padded[:place], other)
            yield changed
            yield (*changed, *padded[place + 1 :])
            yield (*changed, 99)
    yield (*padded, 1)


def _shown(key: Key, versions: Versions) -> str:
    marker = " (by marker)" if not all(key.marker) else ""
    source = f" from {key.source}" if key.source else ""
    return f"{key.name}{versions}{source}{marker}"


def _wanted(texts: Iterable[str], wants: Wants) -> Requirements:
    """`texts` with the sources of the case, each of a name or of a name and a marker."""
    sources = [(Requirement(text), source) for text, source in wants.sources.items()]
    pairs = []
    for requirement in map(Requirement, texts):
        own = (
            source
            for other, source in sources
            if other.name == requirement.name and other.marker in (None, requirement.marker)
        )
        pairs.append((requirement, next(own, "")))
    return _merged(pairs)


def _merged(pairs: Iterable[tuple[Requirement, str]]) -> Requirements:
    """What a list of requirements comes to: who asks twice asks for both."""
    merged: dict[Key, Versions] = {}
    for requirement, source in pairs:
        key = Key(
            name=canonicalize_name(requirement.name),
            marker=_signature(requirement.marker),
            source=source,
        )
        there = merged.get(key, Versions(extras=frozenset(), specifier=SpecifierSet()))
        merged[key] = Versions(
            extras=there.extras | requirement.extras,
            specifier=there.specifier & requirement.specifier,
        )
    return merged


def _signature(marker: Marker | None) -> tuple[bool, ...]:
    return tuple(marker is None or marker.evaluate(machine) for machine in MACHINES)


# What tools write


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an import left.

    `indexes` are URLs without userinfo → "default", "extra" or "explicit", `indexed` name → the
    URL of the one index that is asked for it.
    """

    name: str
    project: Requirements
    extras: Mapping[str, Requirements]
    groups: Mapping[str, Requirements]
    default_groups: frozenset[str]
    metadata: Mapping[str, Any]
    constraints: Requirements
    indexes: Mapping[str, str]
    indexed: Mapping[str, str]
    find_links: frozenset[str]
    manifest: Mapping[str, Any]
    locked: Mapping[str, set[str]]
    unreadable: tuple[str, ...]  # what stands in a list of requirements, and is none
    text: str
    values: str  # of pyproject.toml, so without its comments

    @classmethod
    def read(cls, tree: Tree) -> "Found":
        text = tree["pyproject.toml"].decode()
        manifest = tomllib.loads(text)
        lock_text = tree.get("uv.lock", b"").decode()
        locked: dict[str, set[str]] = {}
        for package in tomllib.loads(lock_text).get("package", ()):
            locked.setdefault(package["name"], set()).add(package.get("version", ""))
        project = manifest.get("project", {})
        tool = manifest.get("tool", {})
        lists = (project.get("dependencies", ()), *manifest.get("dependency-groups", {}).values())
        sources = _sources(tool)
        return cls(
            name=canonicalize_name(project.get("name", "")),
            project=_merged(_pairs(project.get("dependencies", ()), sources)),
            extras={
                canonicalize_name(name): _merged(_pairs(texts, sources))
                for name, texts in project.get("optional-dependencies", {}).items()
            },
            default_groups=frozenset(_default_groups(manifest)),
            metadata=project,
            groups={name: _merged(pairs) for name, pairs in _groups(manifest, sources)},
            constraints=_merged(_pairs(_at(tool, "uv", "constraint-dependencies") or (), {})),
            indexes=dict(_indexes(tool)),
            indexed=dict(_indexed(tool)),
            find_links=frozenset(_find_links(tool)),
            manifest=manifest,
            locked=locked,
            unreadable=tuple(t for texts in lists for t in texts if _is_unreadable(t)),
            values=repr(manifest),
            text=f"{text}\n{lock_text}",
        )


def _is_unreadable(text: Any) -> bool:
    return isinstance(text, str) and _read(text) is None


def _read(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _values(table: Any, *keys: str) -> list[Any]:
    """What is at the end of `keys`, in every table of a list; of a list there, each entry too."""
    if not keys:
        return [table, *table] if isinstance(table, list) else [table]
    tables = table if isinstance(table, list) else [table]
    inside = (t[keys[0]] for t in tables if isinstance(t, Mapping) and keys[0] in t)
    return [value for below in inside for value in _values(below, *keys[1:])]


def _at(table: Any, *keys: str) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


Sources = Mapping[str, list[tuple[tuple[bool, ...], str]]]
Pairs = list[tuple[Requirement, str]]


def _sources(tool: Mapping[str, Any]) -> Sources:
    """`[tool.uv.sources]`: name → (marker, source)."""
    found: dict[str, list[tuple[tuple[bool, ...], str]]] = {}
    for name, given in (_at(tool, "uv", "sources") or {}).items():
        for entry in given if isinstance(given, list) else [given]:
            marker = Marker(entry["marker"]) if "marker" in entry else None
            place = (_signature(marker), _source_of(entry))
            found.setdefault(canonicalize_name(name), []).append(place)
    return found


def _source_of(entry: Mapping[str, Any]) -> str:
    if "git" in entry:
        reference = next((f"@{entry[k]}" for k in ("tag", "branch", "rev") if k in entry), "")
        below = f"#subdirectory={entry['subdirectory']}" if "subdirectory" in entry else ""
        return f"git+{_without_userinfo(entry['git'])}{reference}{below}"
    if "url" in entry:
        return _without_userinfo(entry["url"]).partition("#")[0]
    if "path" in entry:
        return _path(entry["path"], is_editable=entry.get("editable", False))
    return ""


def _path(path: str, *, is_editable: bool) -> str:
    return f"path:{posixpath.normpath(path)}{' editable' if is_editable else ''}"


def _without_userinfo(url: str) -> str:
    return re.sub(r"(?<=://)[^/?#\s]*@", "", url)


def _pairs(texts: Iterable[Any], sources: Sources) -> Pairs:
    read = (_read(text) for text in texts if isinstance(text, str))
    return [_pair(requirement, sources) for requirement in read if requirement]


def _pair(requirement: Requirement, sources: Sources) -> tuple[Requirement, str]:
    """A requirement and its source: from its own URL, or else from `sources`."""
    if requirement.url:
        return requirement, _source_of_url(requirement.url, is_editable=False)
    signature = _signature(requirement.marker)
    found = [
        source
        for marker, source in sources.get(canonicalize_name(requirement.name), ())
        if marker == signature or all(marker)
    ]
    return requirement, found[0] if found else ""


def _source_of_url(url: str, *, is_editable: bool) -> str:
    """A URL of PEP 508 or of PDM, as `_source_of` writes it."""
    inside = re.sub(r"^file://.*\$\{PROJECT_ROOT\}/", "", url.partition("#")[0])
    if inside != url.partition("#")[0] or inside.startswith("file://"):
        return _path(inside.removeprefix("file://"), is_editable=is_editable)
    bare, _, fragment = _without_userinfo(url).partition("#")
    if not url.startswith("git+"):
        return bare
    below = re.search(r"subdirectory=([^&]+)", fragment)
    return f"{bare}#subdirectory={below[1]}" if below else bare


def _groups(manifest: Mapping[str, Any], sources: Sources) -> Iterator[tuple[str, Pairs]]:
    """Every group with all that it includes; PDM keeps editable ones in a table of its own."""
    groups: dict[str, Any] = {
        canonicalize_name(n): g for n, g in manifest.get("dependency-groups", {}).items()
    }
    own = _at(manifest, "tool", "pdm", "dev-dependencies") or {}
    for name in {*groups, *own}:
        pairs = [p for n in _closure(name, groups) for p in _pairs(groups.get(n, ()), sources)]
        yield name, [*pairs, *(_of_pdm(text) for text in own.get(name, ()))]


def _default_groups(manifest: Mapping[str, Any]) -> Iterable[str]:
    """What an installation has that nobody asks for: all groups with PDM, `dev` with uv."""
    groups = {canonicalize_name(name) for name in manifest.get("dependency-groups", {})}
    groups |= {canonicalize_name(n) for n in _at(manifest, "tool", "pdm", "dev-dependencies") or ()}
    chosen = _at(manifest, "tool", "uv", "default-groups")
    is_of_pdm = "pdm" in manifest.get("tool", {}) and "uv" not in manifest["tool"]
    if chosen == "all" or is_of_pdm:
        return groups
    return groups & set(map(canonicalize_name, ["dev"] if chosen is None else chosen))


def _closure(name: str, groups: Mapping[str, Any]) -> Iterator[str]:
    waiting, seen = [name], set[str]()
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            yield current
            entries = (e for e in groups.get(current, ()) if isinstance(e, Mapping))
            waiting += [canonicalize_name(e["include-group"]) for e in entries]


def _of_pdm(text: str) -> tuple[Requirement, str]:
    """`-e URL#egg=NAME[EXTRA]`."""
    url = text.removeprefix("-e ")
    egg = re.search(r"egg=([^&]+)", url)
    return Requirement(egg[1] if egg else "unnamed"), _source_of_url(url, is_editable=True)


def _indexes(tool: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in _at(tool, "uv", "index") or ():
        explicit = "explicit" if entry.get("explicit") else "extra"
        yield _plain(entry["url"]), "default" if entry.get("default") else explicit
    for entry in _at(tool, "pdm", "source") or ():
        if entry.get("type") != "find_links":
            explicit = "explicit" if entry.get("include_packages") else "extra"
            yield _plain(entry["url"]), "default" if entry.get("name") == "pypi" else explicit


def _indexed(tool: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    urls = {entry.get("name"): _plain(entry["url"]) for entry in _at(tool, "uv", "index") or ()}
    for name, given in (_at(tool, "uv", "sources") or {}).items():
        for entry in given if isinstance(given, list) else [given]:
            if "index" in entry:
                yield canonicalize_name(name), urls.get(entry["index"], "")
    for entry in _at(tool, "pdm", "source") or ():
        for name in entry.get("include_packages", ()):
            yield canonicalize_name(name), _plain(entry["url"])


def _plain(url: str) -> str:
    return _without_userinfo(url).rstrip("/")


def _find_links(tool: Mapping[str, Any]) -> Iterator[str]:
    flat = (e for e in _at(tool, "uv", "index") or () if e.get("format") == "flat")
    of_pdm = (e for e in _at(tool, "pdm", "source") or () if e.get("type") == "find_links")
    for url in (*(_at(tool, "uv", "find-links") or ()), *(e["url"] for e in (*flat, *of_pdm))):
        yield posixpath.normpath(re.sub(r"^file://.*\$\{PROJECT_ROOT\}/", "", url))


def tree_of(root: Path, ignored: tuple[str, ...]) -> Tree:
    """Every file below `root`, but for what is below a directory of `ignored`."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not set(path.relative_to(root).parts) & set(ignored)
    }
