"""setuptools: the metadata in setup.cfg and setup.py → [project]. Pure.

What only running setup.py computes is declared `dynamic`, so that the same wheel is built.
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
    items_of,
    pairs_of,
    read_options,
)
from uvflow.migrate.formats.tool_tables import Collector, entry_point_table
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

# What to do about arguments that are not imported; `tests_require` is if it is a literal.
_ACTIONS = {
    "dependency_links": "give what is needed of them a source in [tool.uv.sources]",
    "test_suite": "`uvflow run` runs the tests",
    "tests_require": "`uv add --group test` adds what the tests need",
}

_EMAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+\.[^@\s,<>]+")  # setuptools takes no other in [project]
_CONTENT = re.compile(r"\s*[^\s#;\[]")  # a line of setup.cfg that is no comment and no header
_REQUIREMENTS_FILE = re.compile(r"""["']([\w./-]+\.(?:txt|in))["']""")


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The metadata of setup.cfg and setup.py together; raises UsageError for an unreadable one."""
    options: dict[str, Option] = {}
    lines_of: dict[str, list[Origin]] = {}
    for file in (SETUP_CFG, SETUP_PY):
        data = read_if_there(file, read_file) or b""
        found = read_options(file, data)
        lines = {origin for option in found.values() for origin in option.origins}
        if found and file == SETUP_CFG:  # the report counts the settings of other tools, too
            numbered = enumerate(data.decode().splitlines(), 1)
            lines |= {Origin(path=file, line=n) for n, text in numbered if _CONTENT.match(text)}
        outcomes.record_bucket(Bucket.LEFT, *lines)
        if lines or file == path:
            lines_of[file] = sorted(lines)
        for name, option in found.items():
            if not option.value:
                continue
            if name in options:  # setup.py has the last word, as for setuptools
                message = f"this `{name}` counts, and not that of {options[name].origins[0]}"
                outcomes.warn("metadata-differs", message, option.origins[0])
            options[name] = option
    imported = _Metadata(options=options, read_file=read_file, outcomes=outcomes).read()
    files = (outcomes.report(file, "setuptools", lines) for file, lines in lines_of.items())
    return replace(imported, files=tuple(files))


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
                for option in given.values():
                    self.outcomes.record_bucket(Bucket.IMPORTED, *option.origins)
        self._write_build_system()
        self._report_computed()
        with contextlib.suppress(ComputedError):
            self._read_test_requirements()
        for name, hint in _ACTIONS.items():
            if name in self.options and not (name == "tests_require" and "test" in self.groups):
                origin = self.options[name].origins[0]
                message = f"`{name}` is not imported"
                self.outcomes.needs_action("not-imported", message, origin, hint)
        dynamic = [key for key in self.dynamic if key != "name"]
        if dynamic:
            self.values["project", "dynamic"] = TomlLine(value=dynamic)
        return replace(self.imported(), left=self.left)

    def _read_field(self, key: str, given: Mapping[str, Option]) -> None:
        """Raises ComputedError for what has to stay where it is."""
        if not given and key == "version":
            raise ComputedError  # a plugin computes it, such as setuptools-scm
        if not given:
            return
        option = next(iter(given.values()))
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
                self.dependencies += self._read_list(option, value)
            case "optional-dependencies", _:
                self._read_extras(option)
            case "scripts", groups:
                self._read_entry_points(option, pairs_of(groups))
            case _:
                values = {name: one.value for name, one in given.items()}
                for path, value in _project_values(key, values).items():
                    self.values["project", *path] = TomlLine(value=value)

    def _refer(self, key: str, reference: Reference) -> None:
        """Leave the value to setuptools, which reads it from the file or the attribute."""
        names = reference.names[0] if reference.kind == "attr" else [*reference.names]
        self.values[*_DYNAMIC, key] = TomlLine(value={reference.kind: names})
        self.dynamic.append(key)

    def _read_extras(self, option: Option) -> None:
        """`name`, `name:MARKER`, and `:MARKER` for dependencies."""
        extras: dict[str, tuple[Requirement, ...]] = {"": ()}
        for key, value in pairs_of(option.value).items():
            name, _, marker = (part.strip() for part in key.partition(":"))
            found = self._read_list(option, value, marker)
            if (name and not NAME.fullmatch(name)) or (not name and "dependencies" in self.dynamic):
                raise ComputedError
            extras[name] = (*extras.get(name, ()), *found)
        self.dependencies += extras.pop("")
        self.extras = extras

    def _read_entry_points(self, option: Option, groups: Values) -> None:
        found: dict[Keys, str] = {}
        for group, entries in groups.items():
            table = entry_point_table(str(group))
            for entry in items_of(entries):
                name, _, reference = (part.strip() for part in _line(entry).partition("="))
                path = (*table, name)
                if found.setdefault(path, reference) != reference:
                    self.refuse_same(path, found[path], reference, option.origins[0])
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

    def _read_list(self, option: Option, value: Any, marker: str = "") -> tuple[Requirement, ...]:
        """The requirements of `value`; a URL stays in the text, which is metadata."""
        found = []
        for text in items_of(value, ";" if option.origins[0].path == SETUP_CFG else "\n"):
            item, *comment = re.split(r"\s+#", text, maxsplit=1)
            if marker and ";" in item:
                raise ComputedError
            line = Line(
                origin=Origin(path=option.origins[0].path, line=text.line),
                text=item,
                requirement=f"{item} ; {marker}" if marker else item,
                comment=as_comment(f"#{comment[0]}") if comment else "",
            )
            result = self.read_line(line)
            requirement = result.requirement
            if requirement and not result.findings and "path" not in (requirement.source or {}):
                requirement = requirement._replace(text=line.requirement, source=None)
            if requirement:
                found.append(requirement)
        return tuple(found)

    def _read_test_requirements(self) -> None:
        """`tests_require`, which only `setup.py test` installed (removed in setuptools 72)."""
        option = self.options.get("tests_require")
        if option is None:
            return
        self.groups["test"] = self._read_list(option, option.value)
        self.outcomes.record_bucket(Bucket.IMPORTED, *option.origins)
        message = "`tests_require` becomes the dependency group `test`"
        hint = "uv installs it on request: `uv run --group test`, or `default-groups` in [tool.uv]"
        self.outcomes.warn("test-requirements", message, option.origins[0], hint)

    def _write_build_system(self) -> None:
        """Name the backend that pip and uv use for a project without [build-system]."""
        if "build-system" in lenient_values(text_of(MANIFEST, self.read_file)):
            return
        requires: list[Text] = []
        option = self.options.get("setup_requires")
        if option:
            with contextlib.suppress(ComputedError):  # setuptools asks for them all the same
                requires = items_of(option.value, ";")
                self.outcomes.record_bucket(Bucket.IMPORTED, *option.origins)
        names = {re.split(r"[^\w.-]", text)[0] for text in requires}
        if "setuptools" not in names:
            requires = [Text("setuptools", 0), *requires]
        backend = "setuptools.build_meta"
        if any(option.value is COMPUTED for option in self.options.values()):
            backend += ":__legacy__"  # setup.py may import what is beside it
        self.values["build-system", "requires"] = TomlLine(value=requires)
        self.values["build-system", "build-backend"] = TomlLine(value=backend)

    def _report_computed(self) -> None:
        if "pbr" in self.options or "name" in self.dynamic:
            key, what = ("pbr", "metadata") if "pbr" in self.options else ("name", "name")
            message = f"setup.py computes the {what}, and is not run"
            hint = f"write it out, or leave {SETUP_CFG} and {SETUP_PY} out with `--ignore`"
            self.outcomes.refuse("computed", message, self.options[key].origins[0], hint)
        computed = [key for key in self.dynamic if (*_DYNAMIC, key) not in self.values]
        if computed and self.options:
            message = f"uv builds the project to learn what stays there: {', '.join(computed)}"
            first = next(iter(self.options.values()))
            self.outcomes.warn("dynamic-metadata", message, first.origins[0])


def _line(value: Any) -> str:
    """`value` as one line; raises ComputedError for anything else, and for a secret."""
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
            person = {
                "email" if name.endswith("_email") else "name": _line(value)
                for name, value in given.items()
            }
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
