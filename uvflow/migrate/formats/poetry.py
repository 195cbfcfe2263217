"""Poetry: `[tool.poetry]` of pyproject.toml, with poetry.lock and poetry.toml beside it. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from packaging.requirements import Requirement as Pep508
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from uvflow.migrate.formats.local_project import read_if_there
from uvflow.migrate.formats.markers import python_marker
from uvflow.migrate.formats.pins_files import POETRY_LOCK, read_lock
from uvflow.migrate.formats.tool_tables import DependencyTables, ToolTables
from uvflow.migrate.formats.versions import read_python
from uvflow.migrate.indexes import PYPI, Index
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, IncludeGroup, Read, Requirement
from uvflow.migrate.toml_lines import Keys, TomlEntry, TomlLine

_POETRY: Keys = ("tool", "poetry")
_POETRY_TOML = "poetry.toml"
_DEPENDENCIES = (*_POETRY, "dependencies")
_CORE = "poetry-core>=2.0"  # the first that reads [project]
_CORE_BACKEND = "poetry.core.masonry.api"
_POETRY_ITSELF = re.compile(r"poetry(?:-core)?\b(?!-)(?!\s*(?:>=|==|~=|\^)\s*2)", re.IGNORECASE)
_POETRY_1 = re.compile(r"poetry(?:-core)?\s*(?:.*<\s*2|[=~]=\s*1)", re.IGNORECASE)

# Keys of [tool.poetry] whose value stays the same, with their place in [project].
_MOVED: Mapping[str, Keys] = {
    **{key: (key,) for key in ("name", "version", "description", "keywords", "readme")},
    **{key: ("urls", key.title()) for key in ("homepage", "repository", "documentation")},
    "classifiers": ("classifiers",),
    "urls": ("urls",),
}
# Keys of poetry.toml with those of uv: for all packages, and with `-package` for some.
_BUILDS = {"no-binary": "no-binary", "only-binary": "no-build"}
_READ_BY_BACKEND = ("packages", "include", "exclude", "build")

_LISTS = {"dependencies": {"*": (str, dict, list)}, "include-groups": [str]}
_SHAPE = {
    "tool": {
        "poetry-dynamic-versioning": dict,
        "poetry": {
            **_LISTS,
            "dev-dependencies": _LISTS["dependencies"],
            "group": {"*": _LISTS},
            "extras": {"*": [str]},
            "plugins": {"*": dict},
            **dict.fromkeys(("name", "version", "description", "license"), str),
            **dict.fromkeys(("homepage", "repository", "documentation"), str),
            "authors": [str],
            "maintainers": [str],
            "source": [{"name": str, "url": str}],
        },
    }
}
_EXCLUSIVE = re.compile(r"extra == '(?P<extra>[^']+)' and extra != '([^']+)'")
_AUTHOR = re.compile(r"(?P<name>[^<>]+?)(?:\s*<(?P<email>[^<>\s]+@[^<>\s]+)>)?")


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """`[tool.poetry]` of the pyproject.toml at `path`, with poetry.lock and poetry.toml."""
    tables = _Poetry.parse("Poetry", path, read_file, outcomes, _SHAPE)
    tables.read()
    imported = tables.imported(_POETRY)
    imported = imported.with_more(read_lock(POETRY_LOCK, read_file, outcomes, imported))
    if read_if_there(_POETRY_TOML, read_file) is None:
        return imported
    shape = {"installer": dict.fromkeys(_BUILDS, (bool, str, list))}
    settings = ToolTables.parse("Poetry", _POETRY_TOML, read_file, outcomes, shape)
    _read_settings(settings)
    return imported.with_more(settings.imported(()))


def _read_settings(tables: ToolTables) -> None:
    tables.record(Bucket.DEFAULT, "virtualenvs", "in-project")
    if tables.file.value("virtualenvs", "create") is False:
        message = "Poetry made no environment, and uv makes one in .venv"
        hint = "`UV_PROJECT_ENVIRONMENT` names another, also one that is there, as in an image"
        tables.needs_action(("virtualenvs", "create"), message, hint)
    for entry in tables.file.entries("installer"):
        setting, value = _BUILDS.get(str(entry.key)), entry.value
        names = value.split(",") if isinstance(value, str) else value
        if setting is None or names in (False, [], [":none:"]):
            tables.record(Bucket.DEFAULT, "installer", str(entry.key))
            continue
        tables.record(Bucket.SETTING, "installer", str(entry.key))
        if names is True or ":all:" in names:
            tables.settings[setting] = True
        else:
            tables.settings[f"{setting}-package"] = [str(name).strip() for name in names]


class _Poetry(DependencyTables):
    def read(self) -> None:
        self._read_sources()
        for entry in self.file.entries(*_POETRY):
            self._read_key(entry)
        self._read_build_system()
        self._read_dependencies()
        self._read_groups()
        self._read_build_constraints()
        self._write_dynamic()

    @property
    def _project(self) -> Mapping[str, Any]:
        return self.file.value("project") or {}

    # Metadata.

    def _read_key(self, entry: TomlEntry) -> None:
        key, value = str(entry.key), entry.value
        path = (*_POETRY, key)
        if key in _READ_BY_BACKEND or self._is_computed(key, value):
            self.record(Bucket.LEFT, *path)
        elif key in _MOVED:
            self.move_each(path, ("project", *_MOVED[key]))
        elif key == "license":
            self.move(path, ("project", key), {"text": value})
        elif key in ("authors", "maintainers"):
            people = (self._person(person, entry) for person in value)
            self.move(path, ("project", key), [person for person in people if person])
        elif key in ("package-mode", "requires-poetry"):
            self.record(Bucket.DEFAULT if value else Bucket.SETTING, *path)
            self.moved.append(path)
            if not value:
                self.settings["package"] = False
        elif key == "scripts":
            self._read_scripts(path)
        elif key == "plugins":
            self.move_entry_points(*path)

    def _is_computed(self, key: str, value: Any) -> bool:
        """Whether poetry-core or a plugin of it computes the key, so that it stays `dynamic`."""
        backend = str(self.file.value("build-system", "build-backend") or _CORE_BACKEND)
        if key == "version":
            plugin = self.file.value("tool", "poetry-dynamic-versioning", "enable")
            return plugin is True or backend.startswith("poetry_dynamic_versioning")
        if key == "classifiers":  # poetry-core adds those of the licence and of the Pythons
            return backend.startswith("poetry")
        return key == "readme" and isinstance(value, list)

    def _read_scripts(self, path: Keys) -> None:
        for entry in self.file.entries(*path):
            within, to = (*path, str(entry.key)), ("project", "scripts", str(entry.key))
            match entry.value:
                case {"type": "file"}:
                    self.record(Bucket.LEFT, *within)
                # Extras of a script, which nothing installs any more, need action by their key.
                case {"type": "console", "reference": str(reference), **more} if not more:
                    self.move(within, to, reference)
                case str():
                    self.move(within, to)

    def _person(self, text: str, entry: TomlEntry) -> dict[str, str]:
        match = _AUTHOR.fullmatch(text.strip())
        if match is None:
            message = f"`{text}` is not `Name <address>`"
            self.outcomes.refuse("invalid-author", message, entry.origin, "correct it")
            return {}
        return {key: value for key, value in match.groupdict().items() if value}

    def move(self, path: Keys, to: Keys, value: Any = None) -> None:
        """Move the key, unless [project] has it, which counts, or declares it dynamic."""
        given = self.file.value(*to)
        if to[1] in self._project.get("dynamic", ()):
            self.record(Bucket.LEFT, *path)
        elif given is None:
            super().move(path, to, value)
        else:
            self.moved.append(path)
            self.record(Bucket.MERGED, *path)
            if given != (self.file.value(*path) if value is None else value):
                table = f"[{'.'.join(to[:-1])}]"
                message = f"{table} has another {to[-1]}, which counts"
                self.warn("metadata-differs", message, path)

    def _write_dynamic(self) -> None:
        """Add to `dynamic` what the backend computes, and take out what has moved."""
        given, values = self._project.get("dynamic", []), self.file.value(*_POETRY)
        computed = (k for k in values if self._is_computed(k, values[k]) and k not in self._project)
        moved = {
            "dependencies": self.dependencies,
            "optional-dependencies": self.extras,
            "requires-python": self.requires_python,
        }
        dynamic = [k for k in dict.fromkeys((*given, *computed)) if not moved.get(k)]
        if given != dynamic:
            self.moved.append(("project", "dynamic"))
            if dynamic:
                self.values["project", "dynamic"] = TomlLine(value=dynamic)

    # The build.

    def _read_build_system(self) -> None:
        requires, backend = (
            self.file.value("build-system", "requires"),
            str(self.file.value("build-system", "build-backend")),
        )
        is_other = requires is not None and not backend.startswith("poetry")
        if is_other or self.settings.get("package") is False:
            return
        if not self._has_package():
            self.settings["package"] = False
            message = "no package is found to build, so uv does not install the project itself"
            hint = "if it is one, say where with `packages`, and remove `package = false`"
            self.warn("no-package", message, _POETRY, hint)
        elif requires is None:
            self.values["build-system", "requires"] = TomlLine(value=[_CORE])
            self.values["build-system", "build-backend"] = TomlLine(value=_CORE_BACKEND)
            message = "a [build-system] is added: Poetry installs the project without one"
            self.warn("build-system", message, _POETRY)
        elif not self._project:
            self._update_build_system(requires)

    def _has_package(self) -> bool:
        name = str(self.file.value(*_POETRY, "name") or self._project.get("name", ""))
        module = re.sub(r"[^a-z0-9]+", "_", canonicalize_name(name))
        places = (module, f"{module}.py", f"src/{module}", f"src/{module}.py")
        return bool(self.file.value(*_POETRY, "packages")) or any(map(self._exists, places))

    def _exists(self, path: str) -> bool:
        try:
            self.read_file(path)
        except OSError as error:  # a directory exists, and cannot be read
            return not isinstance(error, FileNotFoundError)
        return True

    def _update_build_system(self, requires: list[str]) -> None:
        """Require poetry-core 2 instead of versions that do not read [project]."""
        updated = [_CORE if _POETRY_ITSELF.match(text) else text for text in requires]
        backend = str(self.file.value("build-system", "build-backend")).replace(
            "poetry.masonry.api", _CORE_BACKEND
        )
        self.change(("build-system", "requires"), updated)
        self.change(("build-system", "build-backend"), backend)
        path = (*_POETRY, "include")
        plain = [item for item in self.file.value(*path) or () if isinstance(item, str)]
        if plain and any(_POETRY_1.match(text) for text in requires):
            both = ({"path": file, "format": ["sdist", "wheel"]} for file in plain)
            self.change(path, [*both, *(i for i in self.file.value(*path) if i not in plain)])
            message = f"{', '.join(plain)}: poetry-core 2 puts it into wheels by `format` only"
            self.warn("include-format", message, path)

    # Dependencies.

    def _read_dependencies(self) -> None:
        texts = self._project.get("dependencies")
        lists = (texts or (), *self._project.get("optional-dependencies", {}).values())
        names = (re.split(r"[^\w.-]", text)[0] for listed in lists for text in listed)
        declared = set(map(canonicalize_name, names))
        optional: dict[str, tuple[Requirement, ...]] = {}
        for entry in self.items(*_DEPENDENCIES, group=""):
            name = canonicalize_name(str(entry.key))
            if name == "python":
                self._read_python(entry)
                continue
            requirements = self.dependency(entry)
            alternatives = entry.value if isinstance(entry.value, list) else [entry.value]
            is_optional = any(isinstance(a, dict) and a.get("optional") for a in alternatives)
            if texts is None and is_optional:
                optional[name] = requirements
            elif texts is None:
                self.dependencies += requirements
            elif name in declared:
                self._enrich(name, requirements)
            else:
                message = f"Poetry ignores `{entry.key}`: [project] does not have it"
                hint = "add it to `dependencies` in [project] if it is needed"
                self.outcomes.needs_action("not-in-project", message, entry.origin, hint)
        if texts is None:  # else Poetry does not read them either
            self._read_extras(optional)

    def _read_python(self, entry: TomlEntry) -> None:
        """The Pythons of the project, or only of its lock file beside those of [project]."""
        text = str(entry.value)
        declared = self._project.get("requires-python")
        try:
            python = read_python(text)
            is_other = SpecifierSet(declared or "") != SpecifierSet(python.specifier)
        except ValueError:
            message = f"`{text}` is not what Poetry takes for a Python"
            self.outcomes.refuse("invalid-version", message, entry.origin, "correct it")
            return
        if python.dropped:
            message = f"of `{text}` this is left out: {', '.join(python.dropped)}"
            self.outcomes.warn("python-union", message, entry.origin)
        if re.fullmatch(r"==\d+\.\d+\.\d+", python.specifier):
            message = f"uv takes no Python but {text}, as Poetry did"
            hint = "write a range into `requires-python` where another would do"
            self.outcomes.warn("python-patch", message, entry.origin, hint)
        if declared is None:
            self.requires_python = python.specifier or None
        elif python.specifier and is_other:
            self.settings["environments"] = [python_marker(text)]

    def _enrich(self, name: str, requirements: tuple[Requirement, ...]) -> None:
        """Add the source of a dependency of [project], and constrain the versions to lock."""
        sources = []
        for requirement in requirements:
            match = _EXCLUSIVE.fullmatch(requirement.marker.replace('"', "'"))
            if match and requirement.source:
                sources.append({**requirement.source, "extra": match["extra"]})
                pair = [{"extra": extra} for extra in sorted(match.groups())]
                conflicts = self.settings.setdefault("conflicts", [])
                if pair not in conflicts:
                    conflicts.append(pair)
                continue
            if "extra" in requirement.marker:
                message = f"the source of {name} for an extra is not imported"
                hint = "see `extra` and `conflicts` in uv's documentation of sources"
                self.outcomes.needs_action("no-equivalent", message, requirement.origin, hint)
                continue
            if Pep508(requirement.text).specifier:
                self.constraints += (requirement,)
            if requirement.source:
                marker = {"marker": requirement.marker} if requirement.marker else {}
                sources.append({**requirement.source, **marker})
        if sources:
            value = sources if len(sources) > 1 else sources[0]
            self.values["tool", "uv", "sources", name] = TomlLine(value=value)

    def _read_extras(self, optional: Mapping[str, tuple[Requirement, ...]]) -> None:
        path, known = (*_POETRY, "extras"), dict(optional)
        for requirement in self.dependencies:
            name = requirement.name or ""
            known[name] = (*known.get(name, ()), requirement)
        for extra in self.file.entries(*path):
            names = [canonicalize_name(str(name)) for name in extra.value]
            for name in (name for name in names if name not in known):
                message = f"the extra {extra.key} names {name}, which is not a dependency"
                self.outcomes.refuse("unknown-extra", message, extra.origin, "correct it")
            self.extras[str(extra.key)] = tuple(r for name in names for r in known.get(name, ()))
            self.record(Bucket.IMPORTED, *path, str(extra.key))
        if self.extras:
            self.moved.append(path)
        used = {requirement.name for entries in self.extras.values() for requirement in entries}
        for requirement in (r for name in optional.keys() - used for r in optional[name]):
            message = f"{requirement.name} is optional, and in no extra: Poetry never installs it"
            hint = "add it to [project.optional-dependencies] if it is needed"
            self.outcomes.needs_action("not-imported", message, requirement.origin, hint)

    def _read_groups(self) -> None:
        optional = set()
        for entry in self.file.entries(*_POETRY, "group"):
            name, path = str(entry.key), (*_POETRY, "group", str(entry.key))
            included = self.file.entries(*path, "include-groups")
            groups = (IncludeGroup(group=str(one.value), origin=one.origin) for one in included)
            self.groups[name] = (*groups, *self._group((*path, "dependencies"), name))
            if self.file.value(*path, "optional"):
                optional.add(name)
            for key in ("optional", "include-groups"):
                self.record(Bucket.IMPORTED, *path, key)
                self.moved.append((*path, key))
        old = self._group((*_POETRY, "dev-dependencies"), "dev")
        if old:
            self.groups["dev"] = (*self.groups.get("dev", ()), *old)
        self.write_default_groups(optional)

    def _group(self, table: Keys, name: str) -> list[Requirement]:
        return [r for entry in self.items(*table, group=name) for r in self.dependency(entry)]

    def _read_build_constraints(self) -> None:
        """Constraints for the build of one package, which uv has for every build only."""
        path, found = (*_POETRY, "build-constraints"), dict[str, str]()  # names by texts
        for package in self.file.entries(*path):
            for entry in self.file.entries(*path, str(package.key)):
                found |= {one.text: one.name or "" for one in self.dependency(entry)}
        texts = [*found]
        if texts and len(texts) == len({*found.values()}):
            self.take(*path)
            self.settings["build-constraint-dependencies"] = texts
            message = f"these hold for the build of every package now: {', '.join(texts)}"
            self.needs_action(path, message, "see whether they may")
        elif texts:
            message = f"for uv they hold for every build, and do not agree: {', '.join(texts)}"
            hint = "choose some for `build-constraint-dependencies` of [tool.uv]"
            self.needs_action(path, message, hint)
            self.record(Bucket.ACTION, *path)

    # Sources.

    def _read_sources(self) -> None:
        """Order the indexes: uv takes the first that has a package, the default one last."""
        path, here = (*_POETRY, "source"), self.file.origin(*_POETRY)
        kinds: dict[str, list[Index]] = {"primary": [], "supplemental": [], "explicit": []}
        for number, entry in enumerate(self.file.entries(*path)):
            is_pypi = str(entry.value.get("name", "")).lower() == "pypi"
            table = {"name": "pypi", "url": PYPI} if is_pypi else entry.value
            index = self.read_source(table, (*path, number), is_default=False)
            if index is None:
                continue
            kind = str(entry.value.get("priority", "primary")).lower()
            if kind == "secondary" or entry.value.get("secondary"):  # before Poetry 1.5
                kind = "supplemental"
            kinds.get(kind, kinds["primary"]).append(index)
        if any(kinds.values()):
            self.moved.append(path)
        explicit = [index._replace(is_explicit=True) for index in kinds["explicit"]]
        primary = kinds["primary"] or [Index(url=PYPI, origin=here, name="pypi")]
        *first, last = (*primary, *kinds["supplemental"])
        self.indexes = [*explicit, *first]
        if last.name != "pypi":
            self.indexes.append(last._replace(is_default=True))
        if first:
            self.warn_of_order(first[0]._replace(origin=last.origin))
