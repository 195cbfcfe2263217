"""setuptools: the metadata in setup.cfg and setup.py → [project]. Pure.

What can be read moves; what only a run of setup.py tells stays there and is `dynamic`, so that a
wheel is the same before and after.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from uvflow.findings import Origin
from uvflow.migrate.formats.local_project import read_if_there, text_of
from uvflow.migrate.formats.pip.requirements_txt import Line, as_comment
from uvflow.migrate.formats.setup_script import (
    COMPUTED,
    SETUP_CFG,
    SETUP_PY,
    ComputedError,
    Option,
    Reference,
    Text,
    groups_of,
    items_of,
    pairs_of,
    read_options,
)
from uvflow.migrate.formats.tool_tables import BUILD_BACKEND, BUILD_REQUIRES, Collector
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import NAME, Bucket, ImportedRequirements, Read, Requirement
from uvflow.migrate.toml_lines import Keys, TomlLine
from uvflow.migrate.toml_text import lenient_values
from uvflow.paths import MANIFEST
from uvflow.redaction import redacted

Values = Mapping[str, Any]  # by the names of arguments

_DYNAMIC: Keys = ("tool", "setuptools", "dynamic")

# Keys of [project] that are dynamic together → the arguments they are made of.
_FIELDS = {
    ("name",): ("name",),
    ("version",): ("version",),
    ("description",): ("description",),
    ("readme",): ("long_description", "long_description_content_type"),
    ("requires-python",): ("python_requires",),
    ("license",): ("license",),
    ("authors",): ("author", "author_email"),
    ("maintainers",): ("maintainer", "maintainer_email"),
    ("keywords",): ("keywords",),
    ("classifiers",): ("classifiers",),
    ("urls",): ("url", "project_urls"),
    ("scripts", "gui-scripts", "entry-points"): ("entry_points",),
    ("dependencies",): ("install_requires",),
    ("optional-dependencies",): ("extras_require",),
}
_TABLES = {"console_scripts": ("scripts",), "gui_scripts": ("gui-scripts",)}

# What uv has no place for, with what to do instead; setuptools has no `test` command any more.
_ACTIONS = {
    "dependency_links": "give what is needed of them a source in [tool.uv.sources]",
    "test_suite": "`uvflow run` runs the tests",
    "tests_require": "`uv add --group test` adds what the tests need",
}

_EMAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+\.[^@\s,<>]+")  # setuptools takes no other in [project]
_SAYS = re.compile(r"\s*[^\s#;\[]")  # a line of setup.cfg
_REQUIREMENTS_FILE = re.compile(r"""["']([\w./-]+\.(?:txt|in))["']""")


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """What setup.cfg and setup.py say together; raises UsageError where one cannot be read."""
    options: dict[str, Option] = {}
    reports = []
    for file in (SETUP_CFG, SETUP_PY):
        data = read_if_there(file, read_file) or b""
        found = read_options(file, data)
        lines = {origin for option in found.values() for origin in option.origins}
        if found and file == SETUP_CFG:
            numbered = enumerate(data.decode().splitlines(), 1)  # also what other tools read
            lines |= {Origin(path=file, line=n) for n, text in numbered if _SAYS.match(text)}
        for name, option in found.items():
            if option.value and name in options:  # as it is for setuptools
                message = f"this `{name}` counts, and not that of {options[name].origins[0]}"
                outcomes.warn("metadata-differs", message, option.origins[0])
            options |= {name: option} if option.value else {}
        outcomes.record_bucket(Bucket.LEFT, *lines)
        reports += [(file, sorted(lines))] if lines or file == path else []
    imported = _Metadata(options=options, read_file=read_file, outcomes=outcomes).read()
    files = tuple(outcomes.report(file, "setuptools", lines) for file, lines in reports)
    return replace(imported, files=files)


@dataclass(kw_only=True)
class _Metadata(Collector):
    options: Mapping[str, Option]
    dynamic: list[str] = field(default_factory=list)
    left: tuple[str, ...] = ()

    def read(self) -> ImportedRequirements:
        for keys, names in _FIELDS.items():
            given = {name: self.options[name] for name in names if name in self.options}
            try:
                self._read_field(keys[0], given)
            except (ComputedError, InvalidSpecifier):
                self.dynamic += keys
            else:
                origins = (origin for option in given.values() for origin in option.origins)
                self.outcomes.record_bucket(Bucket.IMPORTED, *origins)
        self._write_build_system()
        self._notice()
        dynamic = [key for key in self.dynamic if key != "name"]
        if dynamic:
            self.values["project", "dynamic"] = TomlLine(value=dynamic)
        return replace(self.imported(), left=self.left)

    def _read_field(self, key: str, given: Mapping[str, Option]) -> None:
        """Raises ComputedError for what has to stay where it is."""
        if not given and key == "version":
            raise ComputedError  # a plugin makes it, as setuptools-scm does
        for option in [*given.values()][:1]:
            match key, option.value:
                case "version", Reference() as reference:
                    self._refer(key, reference)
                case "requires-python", value:
                    SpecifierSet(_line(value))  # setuptools may read more than that
                    self.requires_python = _line(value)
                case "dependencies", Reference(kind="file") as reference:
                    self.left = reference.names
                    self._refer(key, reference)
                case "dependencies", value:
                    script = text_of(SETUP_PY, self.read_file) if value is COMPUTED else ""
                    self.left = tuple(_REQUIREMENTS_FILE.findall(script))
                    self.dependencies += self._requirements(option, value)
                case "optional-dependencies", _:
                    self._read_extras(option)
                case "scripts", groups:
                    self._read_entry_points(option, groups_of(groups))
                case _:
                    values = {name: one.value for name, one in given.items()}
                    found = _project_values(key, values)
                    self.values |= {("project", *to): TomlLine(value=v) for to, v in found.items()}

    def _refer(self, key: str, reference: Reference) -> None:
        """setuptools goes on reading it elsewhere."""
        names = reference.names[0] if reference.kind == "attr" else [*reference.names]
        self.values[*_DYNAMIC, key] = TomlLine(value={reference.kind: names})
        self.dynamic.append(key)

    def _read_extras(self, option: Option) -> None:
        """`name`, `name:MARKER`, and `:MARKER` for dependencies."""
        extras: dict[str, tuple[Requirement, ...]] = {"": ()}
        for key, value in pairs_of(option.value).items():
            name, _, marker = (part.strip() for part in key.partition(":"))
            found = self._requirements(option, value, marker)
            if not (NAME.fullmatch(name) if name else "dependencies" not in self.dynamic):
                raise ComputedError
            extras[name] = (*extras.get(name, ()), *found)
        self.dependencies += extras.pop("")
        self.extras = extras

    def _read_entry_points(self, option: Option, groups: Values) -> None:
        found: dict[Keys, str] = {}
        for group, entries in groups.items():
            table = _TABLES.get(str(group), ("entry-points", str(group)))
            for entry in items_of(entries):
                name, _, reference = _line(entry).partition("=")
                found["project", *table, name.strip()] = reference.strip()
        if isinstance(option.value, Text):  # setuptools fails at it where [project] has no table
            tables = {path[1] for path in found}
            empty = {"scripts", "gui-scripts", "entry-points"} - tables
            self.values |= {("project", key): TomlLine(value={}) for key in sorted(empty)}
        for path, reference in found.items():
            self.values[path] = TomlLine(value=reference)
            if reference.endswith("]"):
                message = f"`{reference}`: nothing installs the extras of an entry point any more"
                hint = "require them elsewhere"
                self.outcomes.needs_action("entry-point", message, option.origins[0], hint)

    def _requirements(
        self, option: Option, value: Any, marker: str = ""
    ) -> tuple[Requirement, ...]:
        """A URL stays in the text: it is part of the metadata."""
        found = []
        for text in items_of(value, ";" if option.path == SETUP_CFG else "\n"):
            item, *comment = re.split(r"\s+#", text, maxsplit=1)
            if marker and ";" in item:
                raise ComputedError
            line = Line(
                origin=Origin(path=option.path, line=text.line),
                text=item,
                requirement=f"{item} ; {marker}" if marker else item,
                comment=as_comment(f"#{comment[0]}") if comment else "",
            )
            result = self.read_line(line)
            requirement = result.requirement
            if requirement and not result.findings and "path" not in (requirement.source or {}):
                requirement = requirement._replace(text=line.requirement, source=None)
            found += [requirement] if requirement else []
        return tuple(found)

    def _write_build_system(self) -> None:
        """Where none is written, pip and uv build with setuptools, and what is beside setup.py."""
        if "build-system" in lenient_values(text_of(MANIFEST, self.read_file)):
            return
        option, requires = self.options.get("setup_requires"), list[Text]()
        with contextlib.suppress(ComputedError):  # setuptools asks for them all the same
            requires = items_of(option.value if option else [], ";")
            self.outcomes.record_bucket(Bucket.IMPORTED, *(option.origins if option else ()))
        names = {re.split(r"[^\w.-]", text)[0] for text in requires}
        requires = requires if "setuptools" in names else [Text("setuptools", 0), *requires]
        is_run = any(option.value is COMPUTED for option in self.options.values())
        backend = f"setuptools.build_meta{':__legacy__' if is_run else ''}"
        self.values[BUILD_REQUIRES] = TomlLine(value=requires)
        self.values[BUILD_BACKEND] = TomlLine(value=backend)

    def _notice(self) -> None:
        if "pbr" in self.options or "name" in self.dynamic:
            key = "pbr" if "pbr" in self.options else "name"
            message = f"only a run of setup.py tells the {'name' if key == 'name' else 'metadata'}"
            hint = f"write it out, or leave {SETUP_CFG} and {SETUP_PY} out with `--ignore`"
            origin = self.options[key].origins[0]
            self.outcomes.refuse("computed", message, origin, hint)
        run = [key for key in self.dynamic if (*_DYNAMIC, key) not in self.values]
        for first in [*self.options.values()][:1] if run else ():
            message = f"uv builds the project to learn what stays there: {', '.join(run)}"
            self.outcomes.warn("dynamic-metadata", message, first.origins[0])
        for name in (name for name in _ACTIONS if name in self.options):
            option, texts = self.options[name], list[Text]()
            message, origin = f"`{name}` is not imported", option.origins[0]
            with contextlib.suppress(ComputedError):
                texts = items_of(option.value, ";") if name == "tests_require" else []
            named = " ".join(f'"{text}"' for text in texts)
            hint = f"`uv add --group test {redacted(named)}`" if named else _ACTIONS[name]
            self.outcomes.needs_action("not-imported", message, origin, hint)


def _line(value: Any) -> str:
    """One line without secrets."""
    if not isinstance(value, Text) or "\n" in value.strip() or redacted(value) != value:
        raise ComputedError
    return value.strip()


def _project_values(key: str, given: Values) -> dict[Keys, Any]:
    """The values of `key` in [project], by their paths below it; raises ComputedError."""
    match key, given:
        case "name" | "version" | "description", _:
            return {(key,): _line(given[key])}
        case "license", {"license": value}:
            return {(key,): {"text": _line(value)}}
        case "readme", {"long_description": text, **more}:
            kind = _line(more.get("long_description_content_type"))  # else a guess would be new
            if not isinstance(text, Reference) or len(text.names) > 1:
                raise ComputedError
            return {(key,): {"file": text.names[0], "content-type": kind}}
        case "authors" | "maintainers", _:
            words = ("email" if name.endswith("_email") else "name" for name in given)
            person = dict(zip(words, map(_line, given.values()), strict=True))
            if not _EMAIL.fullmatch(person.get("email", "a@b.c")):
                raise ComputedError
            return {(key,): [person]}
        case "keywords" | "classifiers", _:
            # In setup.py a text has commas only.
            return {(key,): [_line(item) for item in items_of(given[key], ",")]}
        case "urls", _:
            home = {"Homepage": given["url"]} if "url" in given else {}
            urls = home | pairs_of(given.get("project_urls", {}))
            return {(key, name): _line(url) for name, url in urls.items()}
    return {}
