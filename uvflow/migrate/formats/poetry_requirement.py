"""One dependency of Poetry → requirements with their markers and sources. Pure."""

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uvflow.migrate.formats.markers import all_of, platform_marker, python_marker
from uvflow.migrate.formats.tool_tables import ToolTables
from uvflow.migrate.formats.versions import read_constraint
from uvflow.migrate.model import Requirement
from uvflow.migrate.toml_lines import TomlEntry

_KNOWN = {
    *("version", "extras", "python", "platform", "markers", "optional", "source", "develop"),
    *("git", "branch", "tag", "rev", "subdirectory", "url", "path", "file"),
}


class DependencyTables(ToolTables):
    """Tables of dependencies by their names, as Poetry and Pipenv have them."""

    def index_of(self, source: str) -> str | None:
        """The name that an index has for uv, None for one that is not there."""
        raise NotImplementedError

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
        for key in keys.keys() - _KNOWN:
            message = f"`{key} = {keys[key]}` of {name} is not imported"
            hint = "see the settings of uv for what does the same"
            self.outcomes.needs_action("not-imported", message, entry.origin, hint)
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
        return replace(requirement, source=self._source(entry, keys, requirement))

    def _specifier(self, entry: TomlEntry, keys: Mapping[str, Any]) -> str:
        version = str(keys.get("version", "*"))
        constraint = read_constraint(version)
        if constraint.dropped:
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
        name = self.index_of(str(keys["source"]))
        if name is None:
            message = f"there is no source `{keys['source']}`"
            self.outcomes.refuse("unknown-source", message, entry.origin, "correct it")
        return {"index": name}


def _location(keys: Mapping[str, Any]) -> str:
    """What pip writes behind `@`; "" for a dependency by version."""
    within = str(keys.get("subdirectory", ""))
    fragment = f"#subdirectory={within}" if within else ""
    match keys:
        case {"git": str(url)}:
            return f"git+{url}{fragment}"
        case {"url": str(url)}:
            return f"{url}{fragment}"
        case {"path": str(path)} | {"file": str(path)}:
            place = posixpath.normpath(posixpath.join(path, within))
            return place if place.startswith((".", "/")) else f"./{place}"
    for key in ("git", "url", "path", "file"):
        if key in keys:
            raise ValueError(f"{key} = {keys[key]}")
    return ""
