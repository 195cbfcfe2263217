"""Hatch: the environments of `[tool.hatch]` in pyproject.toml, or of hatch.toml. Pure."""

from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name

from uvflow.migrate.formats.local_project import text_of
from uvflow.migrate.formats.markers import all_of
from uvflow.migrate.formats.tool_tables import ToolTables
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import Entry
from uvflow.migrate.model import (
    PROFILES,
    Bucket,
    ImportedRequirements,
    IncludeGroup,
    Read,
    reachable,
)
from uvflow.migrate.toml_lines import Keys, TomlLine
from uvflow.migrate.toml_text import lenient_values
from uvflow.paths import MANIFEST

_READ_BY_BACKEND = ("build", "metadata", "publish", "version")
_LISTS = ("dependencies", "extra-dependencies", "dependency-groups")
_IGNORED = ("description", "detached", "installer", "path", "skip-install", "template", "type")
_PLATFORMS = {"linux": "linux", "macos": "darwin", "windows": "win32"}
_SHAPE = {
    "envs": {
        "*": {
            **{key: [str] for key in (*_LISTS, "features")},
            "overrides": {"platform": {key: {"dependencies": list} for key in _PLATFORMS}},
            "python": str,
            "template": str,
        }
    }
}


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """`[tool.hatch]` of the pyproject.toml at `path`, or the same without prefix in hatch.toml."""
    shape = {"tool": {"hatch": _SHAPE}} if path == MANIFEST else _SHAPE
    tables = _Hatch.parse("Hatch", path, read_file, outcomes, shape)
    prefix: Keys = ("tool", "hatch") if path == MANIFEST else ()
    tables.read_own_lists()
    for key in _READ_BY_BACKEND:
        tables.record(Bucket.LEFT, *prefix, key)
    tables.envs = (*prefix, "envs")
    for name in tables.file.value(*tables.envs) or ():
        tables.read_environment(name)
    return tables.imported(prefix)


class _Hatch(ToolTables):
    root = ("{root:uri}", "{root}")
    envs: Keys = ()

    def read_environment(self, name: str) -> None:
        """An environment with requirements of its own becomes a group; its options, a profile."""
        where, group, owner = (*self.envs, name), self._group(name), self._owner(name)
        if owner == name:
            self.groups[group] = tuple(self._entries(name))
            if self._value(name, "detached") or self._value(name, "skip-install"):
                self._notice(where, f"Hatch makes the environment {name} without the project")
            if name.startswith("hatch-"):
                self._notice(where, f"Hatch has packages of its own for {name}, the group has not")
            if group not in ("dev", name):
                self._notice(where, f"the environment {name} becomes the group {group}")
        self._read_profile(name)
        for key in _IGNORED:
            self.drop(*where, key)
        is_dev = owner in (None, "default")
        run = "uvflow run --" if is_dev else f"uv run --group {self._group(str(owner))}"
        self.read_tasks(*where, "scripts", run=run)

    def _notice(self, where: Keys, message: str) -> None:
        self.outcomes.warn("environment-differs", message, self.file.origin(*where))

    def _chain(self, name: str) -> tuple[str, ...]:
        """The environment and the templates whose keys it inherits, the nearest first."""

        def template(of: str) -> tuple[str, ...]:
            table = self.file.value(*self.envs, of) or {}
            is_alone = table.get("detached") or of.startswith("hatch-")
            return () if is_alone else (table.get("template", "default"),)

        return reachable((name,), template)

    def _value(self, name: str, key: str) -> Any:
        found = (self.file.value(*self.envs, each, key) for each in self._chain(name))
        return next((value for value in found if value is not None), None)

    def _owner(self, name: str) -> str | None:
        """The nearest environment of the chain with requirements; its group has them."""
        tables = {each: self.file.value(*self.envs, each) or () for each in self._chain(name)}
        return next((each for each, keys in tables.items() if {*_LISTS} & {*keys}), None)

    def _group(self, name: str) -> str:
        """`dev` for the default environment; a declared group keeps its name."""
        if name == "default":
            return "dev"
        manifest = lenient_values(text_of(MANIFEST, self.read_file))
        taken = map(canonicalize_name, manifest.get("dependency-groups", ()))
        is_taken = canonicalize_name(name) in {*taken, "dev"}
        return f"{name}-env" if is_taken else name

    def _entries(self, name: str) -> Iterator[Entry]:
        where, table = (*self.envs, name), self.file.value(*self.envs, name)
        origin, templates = self.file.origin(*where), self._chain(name)[1:]
        template = templates[0] if templates else ""
        owner = self._owner(template) if template else None
        if owner and "dependencies" not in table:
            yield IncludeGroup(group=self._group(owner), origin=origin)
        for included in table.get("dependency-groups", ()):
            if canonicalize_name(included) != self._group(name):
                yield IncludeGroup(group=included, origin=origin)
        self.record(Bucket.IMPORTED, *where, "dependency-groups")
        self.moved.append((*where, "dependency-groups"))
        yield from self.entries(*where, "dependencies", group=self._group(name))
        yield from self.entries(*where, "extra-dependencies", group=self._group(name))
        for platform, system in _PLATFORMS.items():
            listed = (*where, "overrides", "platform", platform, "dependencies")
            for requirement in self.requirements(*listed):
                marker = all_of(requirement.marker, f"sys_platform == '{system}'")
                text = f"{requirement.text.partition(';')[0].strip()} ; {marker}"
                yield requirement._replace(text=text, marker=marker)
        if owner and self._value(template, "extra-dependencies") and {*_LISTS[:2]} & table.keys():
            message = f"{name} does not inherit its requirements from {template} as a whole"
            self.needs_action(where, message, f"compare the group {self._group(name)} with it")

    def _read_profile(self, name: str) -> None:
        for key in ("features", "python"):
            self.take(*self.envs, name, key)
        extras, python = self._value(name, "features") or None, self._value(name, "python")
        if not (extras or python):
            return
        profile, owner = self._group(name), self._owner(name)
        table = {"extras": extras, "python": python}
        if name != "default":
            groups = [self._group(owner)] if owner else []
            table = {"groups": groups, **table, "environment": f".venv-{profile}"}
        for key, value in table.items():
            if value is not None:
                self.values[*PROFILES, profile, key] = TomlLine(value=value)
