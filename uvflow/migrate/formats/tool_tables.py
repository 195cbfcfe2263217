"""Tables of other tools, as in pyproject.toml: what the modules that read them share. Pure."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self
from urllib.parse import quote

from packaging.utils import canonicalize_name

from uvflow.findings import Origin
from uvflow.migrate.formats.markers import all_of, platform_marker, python_marker
from uvflow.migrate.formats.pip.direct_reference import as_path
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.formats.versions import read_constraint
from uvflow.migrate.indexes import Index, index_credentials, is_pypi, named_index
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry
from uvflow.migrate.model import (
    PROFILES,
    SOURCES,
    Bucket,
    ImportedRequirements,
    IncludeGroup,
    LineResult,
    Read,
    Requirement,
)
from uvflow.migrate.toml_lines import Keys, Path, TomlEntry, TomlFile, TomlLine
from uvflow.paths import MANIFEST

# Keys of pyproject.toml that several tools give a value.
BUILD_REQUIRES: Keys = ("build-system", "requires")
BUILD_BACKEND: Keys = ("build-system", "build-backend")
ENV_FILE = (*PROFILES, "dev", "env-file")

# What an index of uv cannot have.
_NOT_IN_UV = {
    "exclude_packages": "no packages are excluded from an index",
    "include_packages": "the index is for what pyproject.toml itself requires of these",
    "verify_ssl": "see `allow-insecure-host`",
    "verify-ssl": "see `allow-insecure-host`",
}
_SHAPE = {
    "project": {"dependencies": [str], "dynamic": [str], "optional-dependencies": {"*": [str]}},
    "build-system": {"requires": [str]},
    "dependency-groups": {"*": list},
}
# Indexes, as PDM and Rye have them.
SOURCES_SHAPE = [
    {"name": str, "url": str, "username": str, "password": str, "include_packages": [str]}
]
_NAME = re.compile(r"[\w.-]+")
# Keys of a dependency, as Poetry has them.
_KEYS_OF_DEPENDENCY = {
    *("version", "extras", "python", "platform", "markers", "optional", "source", "develop"),
    *("git", "branch", "tag", "rev", "subdirectory", "url", "path", "file", "allow-prereleases"),
}
_LISTS = (("project", "dependencies"), ("project", "optional-dependencies"), ("dependency-groups",))


@dataclass(kw_only=True)
class Collector:
    """What the files of one tool say, while they are read.

    The fields with a default are as in an import.
    """

    read_file: Read
    outcomes: LineOutcomes
    dependencies: tuple[Requirement, ...] = ()
    extras: dict[str, tuple[Requirement, ...]] = field(default_factory=dict)
    groups: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    tails: dict[str, tuple[str, ...]] = field(default_factory=dict)
    constraints: tuple[Requirement, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    values: dict[Keys, TomlLine] = field(default_factory=dict)
    requires_python: str | None = None
    indexes: list[Index] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # names of indexes with an error of their own
    own_extras: dict[str, dict[str, Origin]] = field(default_factory=dict)

    def imported(self) -> ImportedRequirements:
        names = {each.name for each in fields(ImportedRequirements)}
        found = {name: value for name, value in vars(self).items() if name in names}
        found["indexes"] = tuple(index.entry for index in self.indexes)
        found["credentials"] = index_credentials(self.indexes, self.outcomes.options.environ)
        return ImportedRequirements(**found)

    def read_line(self, line: Line) -> LineResult:
        """As pip takes it: its rules hold for credentials, missing paths and odd versions, too."""
        result = read_requirement(line, self.outcomes.options, self.read_file)
        self.outcomes.record_findings(*result.findings)
        for extra in result.own_extras:
            self.own_extras.setdefault("dev", {})[extra] = line.origin
        return result


@dataclass(kw_only=True)
class ToolTables(Collector):
    """Reads the tables of the tool called `name`; what was in those of `moved` is elsewhere now.

    `root` are the spellings of the project's root in its requirements.
    """

    name: str
    file: TomlFile
    root: ClassVar[tuple[str, ...]] = ()
    moved: list[Keys] = field(default_factory=list)

    @classmethod
    def parse(
        cls, name: str, path: str, read_file: Read, outcomes: LineOutcomes, shape: Mapping[str, Any]
    ) -> Self:
        """Those of the file at `path`; raises UsageError where it is not of its `shape`."""
        file = TomlFile.parse(path, read_file(path), {**_SHAPE, **shape})
        return cls(name=name, file=file, read_file=read_file, outcomes=outcomes)

    def imported(self, *tables: Path) -> ImportedRequirements:
        """Everything that was collected; a key of `tables` that no rule was for needs action."""
        report = self.outcomes.report_tables(self.file, self.name.lower(), *tables)
        moved = tuple(self._removable()) if self.file.path == MANIFEST else ()
        return replace(super().imported(), moved=moved, files=(report,))

    def _removable(self) -> Iterator[Keys]:
        """What moved, as far as it has lines of its own: an inline table stays or goes whole."""
        for path in self.moved:
            around = self.file.statement(*path).path
            if len(around) >= len(path):
                yield path
            elif all((*around, key) in self.moved for key in self.file.value(*around)):
                yield tuple(map(str, around))

    def record(self, bucket: Bucket, *path: str | int) -> None:
        """The outcome of every line of what is at `path`, if anything is."""
        if self.file.value(*path) is not None:
            origins = self.file.units(*path) or (self.file.origin(*path),)
            self.outcomes.record_bucket(bucket, *origins)

    def drop(self, *path: str) -> None:
        """It concerns the old tool only, or uv does the same without."""
        self.record(Bucket.DEFAULT, *path)
        self.moved.append(path)

    def take(self, *path: str) -> Any:
        """The value at `path`, if one is there: it becomes something else, and leaves the file."""
        value = self.file.value(*path)
        if value is not None:
            self.record(Bucket.SETTING, *path)
            self.moved.append(path)
        return value

    def move(self, path: Keys, to: Keys, value: Any = None) -> None:
        """A key goes elsewhere with its comments, with another `value` if there is one."""
        entry = self.file.entry(*path)
        if entry.value is not None:
            self.record(Bucket.IMPORTED if to[0] == "project" else Bucket.SETTING, *path)
            self.moved.append(path)
            self.values[to] = replace(entry, value=entry.value if value is None else value)

    def move_each(self, path: Keys, to: Keys) -> None:
        """The same for a key or for every key of a table, and of the tables in it."""
        value = self.file.value(*path)
        for key in value if isinstance(value, dict) else ():
            self.move_each((*path, key), (*to, key))
        if not isinstance(value, dict):
            self.move(path, to)

    def change(self, path: Keys, value: Any) -> None:
        """Another value in the place of the one at `path`, if there is one."""
        if self.file.value(*path) not in (None, value):
            self.values[path] = TomlLine(value=value)
            self.moved.append(path)

    def warn(self, code: str, message: str, path: Path, hint: str | None = None) -> None:
        self.outcomes.warn(code, message, self.file.origin(*path), hint)

    def needs_action(self, path: Path, message: str, hint: str) -> None:
        self.outcomes.needs_action("not-imported", message, self.file.origin(*path), hint)

    def requirements(self, *path: str, group: str | None = None) -> tuple[Requirement, ...]:
        """The array of requirements at `path`, which moves."""
        entries = self.entries(*path, group=group)
        return tuple(entry for entry in entries if isinstance(entry, Requirement))

    def entries(self, *path: str, group: str | None = None) -> tuple[Entry, ...]:
        """The array at `path` with its comments; those at its end go below the list of `group`."""
        return tuple(e for e in map(self.entry, self.items(*path, group=group)) if e)

    def items(self, *path: str, group: str | None = None) -> Iterator[TomlEntry]:
        """What is in the array or the table at `path`, which moves, with the comments around it.

        The first one gets those of the header, but for the Python of Poetry, which is no item.
        """
        self.record(Bucket.IMPORTED, *path)
        self.moved += [path] if self.file.value(*path) is not None else []
        places = (path[:-1], path) if "group" in path else (path,)  # of Poetry: it has two headers
        heads = [head for place in places if (head := self.file.statement(*place)).path == place]
        above = tuple(text for head in heads for text in (*head.above, head.comment) if text)
        for entry in self.file.entries(*path):
            yield entry if entry.key == "python" else replace(entry, above=(*above, *entry.above))
            above = above if entry.key == "python" else ()
        if group is not None:
            self.tails[group] = (*self.tails.get(group, ()), *above, *self.file.tail(*path))

    def entry(self, item: TomlEntry) -> Entry | None:
        match item.value:
            case str() as text:
                for spelling in self.root:
                    text = text.replace(spelling, ".")
                return self.requirement(text, item)
            case {"include-group": str() as group}:
                return IncludeGroup(
                    group=group, origin=item.origin, comment=item.comment, above=item.above
                )
        message, hint = f"`{item.value}` is not a requirement", "see whether it is needed"
        self.outcomes.needs_action("not-imported", message, item.origin, hint)
        return None

    def requirement(
        self, text: str, entry: TomlEntry, *, is_editable: bool = False
    ) -> Requirement | None:
        """That of `text`, also `-e PATH`; with the comments of `entry`."""
        text = text.strip()
        plain = re.sub(r"^(?:-e|--editable)[ =]\s*", "", text)
        line = Line(
            origin=entry.origin,
            text=text,
            requirement=plain,
            is_editable=is_editable or plain != text,
            comment=entry.comment,
            above=entry.above,
        )
        return self.read_line(line).requirement

    def write_default_groups(self, optional: Collection[str] = ()) -> None:
        """What the tool installs unasked; nothing where that is `dev` alone, as it is for uv."""
        declared = self.file.value("dependency-groups") or {}
        names = {canonicalize_name(name): name for name in (*declared, *self.groups)}
        default = {plain: name for plain, name in names.items() if name not in optional}
        if default.keys() != names.keys() & {"dev"}:
            self.settings["default-groups"] = list(default.values())

    def read_own_lists(self) -> None:
        """The standard lists that name the project's root, which uv does not know by that name."""
        for path in _LISTS:
            value = self.file.value(*path)
            tables = value if isinstance(value, dict) else {"": value}
            for key, items in tables.items():
                if not any(spelling in str(items) for spelling in self.root):
                    continue
                match path:
                    case ("dependency-groups",):
                        self.groups[key] = self.entries(*path, key, group=key)
                    case ("project", "dependencies"):
                        self.dependencies = self.requirements(*path, group="")
                    case _:
                        self.extras[key] = self.requirements(*path, key)

    def warn_of_order(self, index: Index) -> None:
        message = (
            f"{self.name} installs the best version of all indexes, uv that of the first index"
            f" with the package: `{index.name}` comes before the default index"
        )
        hint = "bind packages to their index in [tool.uv.sources], or see `index-strategy`"
        self.outcomes.warn("index-order", message, index.origin, hint)

    def read_tasks(self, *path: str, run: str = "uvflow run --") -> None:
        """uv has no tasks: one line each, with the command that does the same."""
        for entry in self.file.entries(*path):
            command = entry.value.get("cmd") if isinstance(entry.value, dict) else entry.value
            if isinstance(command, str):  # Hatch has `{args:DEFAULT}`
                command = re.sub(
                    r"\s*\{args(?::([^}]*))?\}", lambda m: f" {m[1] or ''}", command
                ).strip()
            hint = f"`{run} {command}`" if isinstance(command, str) else "write a script"
            message = f"uv has no tasks, and `{entry.key}` is one of {self.name}"
            self.needs_action((*path, entry.key), message, hint)
            self.record(Bucket.ACTION, *path, entry.key)  # each of its lines

    def read_sources(self, *path: str, default: str) -> None:
        """The indexes of an array of tables; the one called `default` is instead of PyPI."""
        self.moved.append(path)
        for number, table in enumerate(self.file.value(*path) or ()):
            self.read_source(table, (*path, number), is_default=table.get("name") == default)

    def read_source(
        self, table: Any, where: Path, *, is_default: bool, is_explicit: bool = False
    ) -> Index | None:
        """An index, or a directory of wheels; a login that stands beside its URL goes with it.

        None for PyPI, which uv knows, and for one that needs action.
        """
        url, login = str(table.get("url", "")), [table.get("username"), table.get("password")]
        if any(spelling in url for spelling in self.root):
            url = as_path(url.replace(self.root[0], "."))
        elif any(login):
            userinfo = ":".join(quote(str(part), safe="${}") for part in login if part)
            url = url.replace("://", f"://{userinfo}@", 1)
        for key in (key for key in _NOT_IN_UV if table.get(key, True) is not True):
            message = f"`{key}` is not imported as it is: {_NOT_IN_UV[key]}"
            self.needs_action((*where, key), message, "see [tool.uv.sources] and [[tool.uv.index]]")
        is_known = is_default and is_pypi(url)
        self.record(Bucket.DEFAULT if is_known else Bucket.SETTING, *where)
        if is_known:
            return None
        if not url:
            self.needs_action(where, "this index has no URL", "see [[tool.uv.index]]")
            return None
        origin, included = self.file.origin(*where), table.get("include_packages", ())
        index = named_index(str(table.get("name", "")), url, origin, self.outcomes, self.indexes)
        if index is None:
            self.refused.append(str(table.get("name", "")))
        else:
            is_flat = table.get("type") in ("find_links", "find-links")
            index = index._replace(is_default=is_default, is_flat=is_flat)
            index = index._replace(is_explicit=is_explicit or bool(included))
            self.indexes.append(index)
            for name in filter(_NAME.fullmatch, included):  # the others are patterns
                self.values[*SOURCES, name] = TomlLine(value={"index": index.name})
        return index


class DependencyTables(ToolTables):
    """Tables of dependencies by their names, as Poetry and Pipenv have them."""

    pypi = "pypi"  # what it is called

    def _index_of(self, source: str) -> str | None:
        """The name that an index has for uv, "" for PyPI as its default, None for no index."""
        names = {str(canonicalize_name(index.name)): index.name for index in self.indexes}
        if not any(index.is_default for index in self.indexes):
            names = {canonicalize_name(self.pypi): "", **names}
        return names.get(canonicalize_name(re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-")))

    def dependency(self, entry: TomlEntry) -> tuple[Requirement, ...]:
        """One for each alternative, the comments with the first; errors are recorded."""
        alternatives = entry.value if isinstance(entry.value, list) else [entry.value]
        found: list[Requirement] = []
        for one in alternatives:
            keys = one if isinstance(one, dict) else {"version": str(one)}
            rest = replace(entry, comment="", above=()) if found else entry
            try:
                requirement = self._requirement(rest, keys)
            except ValueError as error:
                message = f"`{error}` of {entry.key} is not what {self.name} takes"
                self.outcomes.refuse("invalid-version", message, entry.origin, "correct it")
            else:
                found += [requirement] if requirement else []
        return tuple(found)

    def _requirement(self, entry: TomlEntry, keys: Mapping[str, Any]) -> Requirement | None:
        """Raises ValueError for a version or a marker that is none."""
        name, extras = str(entry.key), keys.get("extras", [])
        if not (isinstance(extras, list) and all(type(extra) is str for extra in extras)):
            raise ValueError(f"extras = {extras}")
        for key in keys.keys() - _KEYS_OF_DEPENDENCY:
            message = f"`{key} = {keys[key]}` of {name} is not imported"
            hint = "see the settings of uv for what does the same"
            self.outcomes.needs_action("not-imported", message, entry.origin, hint)
        if isinstance(allows := keys.get("allow-prereleases"), bool):
            of_packages = self.settings.setdefault("prerelease-package", {})
            of_packages[name] = "allow" if allows else "disallow"
        marker = all_of(
            str(keys.get("markers", "")),
            python_marker(str(keys.get("python", "*"))),
            platform_marker(str(keys.get("platform", "*"))),
        )
        text = f"{name}[{','.join(extras)}]" if extras else name
        location = _location(keys)
        text += f" @ {location}" if location else self._specifier(entry, keys)
        text += f" ; {marker}" if marker else ""
        is_editable = bool(keys.get("develop")) and "path" in keys
        requirement = self.requirement(text, entry, is_editable=is_editable)
        if requirement is None or (location and "git" not in keys):
            return requirement
        return requirement._replace(source=self._source(entry, keys, requirement))

    def locked_versions(self, name: str) -> Iterable[str]:
        """Those of the package in a lock file beside it, which only Poetry has unions for."""
        del name
        return ()

    def _specifier(self, entry: TomlEntry, keys: Mapping[str, Any]) -> str:
        version = str(keys.get("version", "*"))
        constraint = read_constraint(version)
        if constraint.dropped:
            constraint = read_constraint(version, self.locked_versions(str(entry.key)))
            message = (
                f"PEP 440 cannot say `{version}`: `{constraint.specifier}` is written, and"
                f" `{'`, `'.join(constraint.dropped)}` is left out"
            )
            hint = "write the versions that are right into pyproject.toml"
            self.outcomes.needs_action("version-union", message, entry.origin, hint)
        return constraint.specifier

    def _source(
        self, entry: TomlEntry, keys: Mapping[str, Any], requirement: Requirement
    ) -> Mapping[str, Any] | None:
        """With the kind of reference that git is given, or by index."""
        if "git" in keys:
            if keys.get("develop"):
                message = f"uv has no editable git sources: {entry.key} becomes a regular one"
                hint = "clone it, and make it a path source with `editable = true`"
                self.outcomes.needs_action("not-editable", message, entry.origin, hint)
            kinds = {kind: keys[kind] for kind in ("branch", "tag", "rev") if keys.get(kind)}
            return {**(requirement.source or {}), **kinds}
        if "source" not in keys:
            return None
        name = self._index_of(str(keys["source"]))
        if name is None and keys["source"] not in self.refused:
            message = f"there is no source `{keys['source']}`"
            self.outcomes.refuse("unknown-source", message, entry.origin, "correct it")
        return {"index": name} if name else None


def _location(keys: Mapping[str, Any]) -> str:
    """What pip writes behind `@`; "" for a dependency by version."""
    kind = next((key for key in ("git", "url", "path", "file") if key in keys), None)
    if kind is None:
        return ""
    place, within = keys[kind], str(keys.get("subdirectory", ""))
    if not isinstance(place, str):
        raise ValueError(f"{kind} = {place}")  # noqa: TRY004  as any other value that is none
    if kind in ("git", "url"):
        fragment = f"#subdirectory={within}" if within else ""
        return f"{'git+' if kind == 'git' else ''}{place}{fragment}"
    path = posixpath.normpath(posixpath.join(place, within))
    return path if path.startswith((".", "/")) else f"./{path}"
