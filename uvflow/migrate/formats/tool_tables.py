"""Tables of other tools in pyproject.toml: what the readers of Poetry, PDM, … share. Pure."""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self
from urllib.parse import quote

from packaging.utils import canonicalize_name

from uvflow.findings import Origin
from uvflow.migrate.formats.markers import all_of, platform_marker, python_marker
from uvflow.migrate.formats.pins_files import locked_versions
from uvflow.migrate.formats.pip.direct_reference import as_path
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.formats.versions import read_constraint
from uvflow.migrate.indexes import Index, index_credentials, is_pypi, named_index
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry
from uvflow.migrate.model import (
    PROFILES,
    Bucket,
    ImportedRequirements,
    IncludeGroup,
    LineResult,
    Read,
    Requirement,
)
from uvflow.migrate.toml_lines import Keys, Path, TomlEntry, TomlFile, TomlLine
from uvflow.paths import MANIFEST

ENV_FILE = (*PROFILES, "dev", "env-file")
# Entry points of setuptools and flit that have a table of their own in [project].
_SCRIPT_TABLES = {"console_scripts": ("scripts",), "gui_scripts": ("gui-scripts",)}

# Keys of an index that uv has no equivalent of.
_NOT_IN_UV = {
    "exclude_packages": "no packages are excluded from an index",
    "include_packages": "the index is for what pyproject.toml itself requires of these",
    **dict.fromkeys(("verify_ssl", "verify-ssl"), "see `allow-insecure-host`"),
}
_SHAPE = {
    "project": {"dependencies": [str], "dynamic": [str], "optional-dependencies": {"*": [str]}},
    "build-system": {"requires": [str]},
    "dependency-groups": {"*": list},
}
SOURCES_SHAPE = [{"name": str, "url": str, "include_packages": [str]}]
_NAME = re.compile(r"[\w.-]+")
_KEYS_OF_DEPENDENCY = {
    *("version", "extras", "python", "platform", "markers", "optional", "source", "develop"),
    *("git", "branch", "tag", "rev", "subdirectory", "url", "path", "file", "allow-prereleases"),
}
_LISTS = (("project", "dependencies"), ("project", "optional-dependencies"), ("dependency-groups",))


@dataclass(kw_only=True)
class Collector:
    """Collects what the files of one tool declare, by the fields of ImportedRequirements."""

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
        """Read `line` by the rules of a requirements file, and record its findings."""
        result = read_requirement(line, self.outcomes.options, self.read_file)
        self.outcomes.record_findings(*result.findings)
        for extra in result.own_extras:
            self.own_extras.setdefault("dev", {})[extra] = line.origin
        return result

    def refuse_same(self, place: Keys, first: Any, second: Any, origin: Origin) -> None:
        message = f"`{'.'.join(place)}` would be `{first}` and `{second}`"
        self.outcomes.refuse("same-name", message, origin, "remove one of them")


@dataclass(kw_only=True)
class ToolTables(Collector):
    """Reads the tables of the tool `name`; the keys in `moved` leave pyproject.toml.

    `root` are the tool's variables for the project root in requirements.
    """

    name: str
    file: TomlFile
    root: ClassVar[tuple[str, ...]] = ()
    moved: list[Keys] = field(default_factory=list)

    @classmethod
    def parse(
        cls, name: str, path: str, read_file: Read, outcomes: LineOutcomes, shape: Mapping[str, Any]
    ) -> Self:
        """Parse the file at `path`; raises UsageError where it does not have this `shape`."""
        file = TomlFile.parse(path, read_file(path), {**_SHAPE, **shape})
        return cls(name=name, file=file, read_file=read_file, outcomes=outcomes)

    def imported(self, *tables: Path) -> ImportedRequirements:
        """Everything that was collected; a key of `tables` without an outcome needs action."""
        report = self.outcomes.report_tables(self.file, self.name.lower(), *tables)
        moved = tuple(self._removable()) if self.file.path == MANIFEST else ()
        return replace(super().imported(), moved=moved, files=(report,))

    def _removable(self) -> Iterator[Keys]:
        """The keys of `moved`; an inline table goes if all of its keys do."""
        for path in self.moved:
            around = self.file.statement(*path).path
            if len(around) >= len(path):
                yield path
            elif all((*around, key) in self.moved for key in self.file.value(*around)):
                yield tuple(map(str, around))

    def record(self, bucket: Bucket, *path: str | int) -> None:
        """Record the outcome of each line at `path`, if it exists."""
        if self.file.value(*path) is not None:
            origins = self.file.units(*path) or (self.file.origin(*path),)
            self.outcomes.record_bucket(bucket, *origins)

    def drop(self, *path: str) -> None:
        """Remove a key that is about the old tool only, or that uv does not need."""
        self.record(Bucket.DEFAULT, *path)
        self.moved.append(path)

    def take(self, *path: str) -> Any:
        """Remove the key at `path` for a setting of uv, and return its value, if it exists."""
        value = self.file.value(*path)
        if value is not None:
            self.record(Bucket.SETTING, *path)
            self.moved.append(path)
        return value

    def move(self, path: Keys, to: Keys, value: Any = None) -> None:
        """Move a key with its comments, with another `value` if one is given."""
        entry = self.file.entry(*path)
        if entry.value is None:
            return
        entry = replace(entry, value=entry.value if value is None else value)
        known = self.values.get(to, entry)
        if known.value != entry.value and to[1] in ("scripts", "gui-scripts"):
            self.refuse_same(to, known.value, entry.value, entry.origin)
        self.record(Bucket.IMPORTED if to[0] == "project" else Bucket.SETTING, *path)
        self.moved.append(path)
        self.values[to] = entry

    def move_each(self, path: Keys, to: Keys) -> None:
        """Move a key, or each key of a table and of the tables in it."""
        value = self.file.value(*path)
        if not isinstance(value, dict):
            self.move(path, to)
            return
        for key in value:
            self.move_each((*path, key), (*to, key))

    def move_entry_points(self, *path: str) -> None:
        """Move the groups of entry points."""
        for group in self.file.value(*path) or ():
            self.move_each((*path, group), entry_point_table(group))

    def change(self, path: Keys, value: Any) -> None:
        """Replace the value at `path`, if it exists."""
        if self.file.value(*path) not in (None, value):
            self.values[path] = TomlLine(value=value)
            self.moved.append(path)

    def warn(self, code: str, message: str, path: Path, hint: str | None = None) -> None:
        self.outcomes.warn(code, message, self.file.origin(*path), hint)

    def needs_action(self, path: Path, message: str, hint: str) -> None:
        self.outcomes.needs_action("not-imported", message, self.file.origin(*path), hint)

    def requirements(self, *path: str, group: str | None = None) -> tuple[Requirement, ...]:
        """Move the array of requirements at `path`."""
        entries = self.entries(*path, group=group)
        return tuple(entry for entry in entries if isinstance(entry, Requirement))

    def entries(self, *path: str, group: str | None = None) -> tuple[Entry, ...]:
        """Move the array at `path` with its comments, those at its end to the list of `group`."""
        return tuple(e for e in map(self.entry, self.items(*path, group=group)) if e)

    def items(self, *path: str, group: str | None = None) -> Iterator[TomlEntry]:
        """Move the array or the table at `path`; the first item gets the comments of its header."""
        self.record(Bucket.IMPORTED, *path)
        if self.file.value(*path) is not None:
            self.moved.append(path)
        above: tuple[str, ...] = ()
        # A group of Poetry has two headers: [tool.poetry.group.X] and [….dependencies].
        for place in (path[:-1], path) if "group" in path else (path,):
            header = self.file.statement(*place)
            if header.path == place:
                above += tuple(text for text in (*header.above, header.comment) if text)
        for entry in self.file.entries(*path):
            if entry.key == "python":  # of Poetry, and no dependency
                yield entry
                continue
            yield replace(entry, above=(*above, *entry.above))
            above = ()
        if group is not None:
            self.tails[group] = (*self.tails.get(group, ()), *above, *self.file.tail(*path))

    def entry(self, item: TomlEntry) -> Entry | None:
        match item.value:
            case str() as text:
                for spelling in self.root:
                    text = text.replace(spelling, ".")
                return self.requirement(text, item)
            case {"include-group": str() as group}:
                return IncludeGroup(group, item.origin, item.comment, item.above)
        message, hint = f"`{item.value}` is not a requirement", "see whether it is needed"
        self.outcomes.needs_action("not-imported", message, item.origin, hint)
        return None

    def requirement(
        self, text: str, entry: TomlEntry, *, is_editable: bool = False
    ) -> Requirement | None:
        """The requirement `text`, also `-e PATH`, with the comments of `entry`."""
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
        """Install all groups but the `optional` ones; without a setting uv installs `dev`."""
        declared = self.file.value("dependency-groups") or {}
        names = {canonicalize_name(name): name for name in (*declared, *self.groups)}
        default = {plain: name for plain, name in names.items() if name not in optional}
        if default.keys() != names.keys() & {"dev"}:
            self.settings["default-groups"] = list(default.values())

    def read_own_lists(self) -> None:
        """Move the lists of [project] that use a variable for the project root."""
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
        """Ask for action for each task, with the command that does the same."""
        for entry in self.file.entries(*path):
            command = entry.value.get("cmd") if isinstance(entry.value, dict) else entry.value
            if isinstance(command, str):
                command = re.sub(r"\{args:?([^}]*)\}", r"\1", command).strip()  # Hatch's arguments
            hint = f"`{run} {command}`" if isinstance(command, str) else "write a script"
            message = f"uv has no tasks, and `{entry.key}` is one of {self.name}"
            self.needs_action((*path, entry.key), message, hint)
            self.record(Bucket.ACTION, *path, entry.key)  # each of its lines

    def read_sources(self, *path: str, default: str) -> None:
        """Read the indexes of an array of tables; the one called `default` replaces PyPI."""
        self.moved.append(path)
        for number, table in enumerate(self.file.value(*path) or ()):
            self.read_source(table, (*path, number), is_default=table.get("name") == default)

    def read_source(
        self, table: Any, where: Path, *, is_default: bool, is_explicit: bool = False
    ) -> Index | None:
        """Read an index with its login, or a directory of wheels; None for PyPI or an error."""
        url, login = str(table.get("url", "")), [table.get("username"), table.get("password")]
        if any(spelling in url for spelling in self.root):
            url = as_path(url.replace(self.root[0], "."))
        elif any(login):
            userinfo = ":".join(quote(str(part), safe="${}") for part in login if part)
            url = url.replace("://", f"://{userinfo}@", 1)
        for key, reason in _NOT_IN_UV.items():
            if table.get(key, True) is not True:
                message = f"`{key}` is not imported as it is: {reason}"
                hint = "see [tool.uv.sources] and [[tool.uv.index]]"
                self.needs_action((*where, key), message, hint)
        is_known = is_default and is_pypi(url)
        self.record(Bucket.DEFAULT if is_known else Bucket.SETTING, *where)
        if is_known:
            return None
        if not url:
            self.needs_action(where, "this index has no URL", "see [[tool.uv.index]]")
            return None
        name, included = str(table.get("name", "")), table.get("include_packages", ())
        index = named_index(name, url, self.file.origin(*where), self.outcomes, self.indexes)
        if index is None:
            self.refused.append(name)
            return None
        index = index._replace(
            is_default=is_default,
            is_flat=table.get("type") in ("find_links", "find-links"),
            is_explicit=is_explicit or bool(included),
        )
        self.indexes.append(index)
        for package in filter(_NAME.fullmatch, included):  # the others are patterns
            self.values["tool", "uv", "sources", package] = TomlLine(value={"index": index.name})
        return index


class DependencyTables(ToolTables):
    """Tables of dependencies by name, in Poetry's words; Pipenv's are translated to them."""

    pypi = "pypi"  # the tool's name for PyPI

    def _index_of(self, source: str) -> str | None:
        """The name of an index for uv, "" for PyPI as the default index, None if unknown."""
        names = {str(canonicalize_name(index.name)): index.name for index in self.indexes}
        if not any(index.is_default for index in self.indexes):
            names = {canonicalize_name(self.pypi): "", **names}
        return names.get(canonicalize_name(re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-")))

    def dependency(self, entry: TomlEntry) -> tuple[Requirement, ...]:
        """The requirements of `entry`, one for each alternative; errors are recorded."""
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
                if requirement:
                    found.append(requirement)
        return tuple(found)

    def _requirement(self, entry: TomlEntry, keys: Mapping[str, Any]) -> Requirement | None:
        """Raises ValueError for an invalid version, marker or location."""
        name, extras = str(entry.key), keys.get("extras", [])
        if not (isinstance(extras, list) and all(type(extra) is str for extra in extras)):
            raise ValueError(f"extras = {extras}")
        for key in sorted(keys.keys() - _KEYS_OF_DEPENDENCY):
            message = f"`{key} = {keys[key]}` of {name} is not imported"
            hint = "see the settings of uv for what does the same"
            self.outcomes.needs_action("not-imported", message, entry.origin, hint)
        allows = keys.get("allow-prereleases")
        if isinstance(allows, bool):
            packages = self.settings.setdefault("prerelease-package", {})
            packages[name] = "allow" if allows else "disallow"
        marker = all_of(
            str(keys.get("markers", "")),
            python_marker(str(keys.get("python", "*"))),
            platform_marker(str(keys.get("platform", "*"))),
        )
        text = f"{name}[{','.join(extras)}]" if extras else name
        location = _location(keys)
        text += f" @ {location}" if location else self._specifier(entry, keys)
        if marker:
            text += f" ; {marker}"
        is_editable = bool(keys.get("develop")) and "path" in keys
        requirement = self.requirement(text, entry, is_editable=is_editable)
        if requirement is None or (location and "git" not in keys):
            return requirement
        return requirement._replace(source=self._source(entry, keys, requirement))

    def _specifier(self, entry: TomlEntry, keys: Mapping[str, Any]) -> str:
        version = str(keys.get("version", "*"))
        constraint = read_constraint(version)
        if constraint.dropped:
            constraint = read_constraint(version, locked_versions(str(entry.key), self.read_file))
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
        """The entry of `[tool.uv.sources]`: a repository with its reference, or an index."""
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


def entry_point_table(group: str) -> Keys:
    """The table of a group of entry points (PEP 621)."""
    return ("project", *_SCRIPT_TABLES.get(group, ("entry-points", group)))


def _location(keys: Mapping[str, Any]) -> str:
    """The URL or path of a direct reference (PEP 508), "" for a dependency by version."""
    kind = next((key for key in ("git", "url", "path", "file") if key in keys), None)
    if kind is None:
        return ""
    place, within = keys[kind], str(keys.get("subdirectory", ""))
    if not isinstance(place, str):
        raise ValueError(f"{kind} = {place}")  # noqa: TRY004  as any other value that is none
    if kind in ("git", "url"):
        fragment = f"#subdirectory={within}" if within else ""
        return f"git+{place}{fragment}" if kind == "git" else f"{place}{fragment}"
    path = posixpath.normpath(posixpath.join(place, within))
    return path if path.startswith((".", "/")) else f"./{path}"
