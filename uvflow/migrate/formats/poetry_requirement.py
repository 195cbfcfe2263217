"""One dependency of Poetry → requirements with their markers and sources. Pure."""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.migrate.credentials import Userinfo
from uvflow.migrate.formats.markers import all_of, platform_marker, python_marker
from uvflow.migrate.formats.pip.requirements_txt import Line
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.formats.versions import read_constraint
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Read, Requirement
from uvflow.migrate.toml_lines import TomlEntry

_KNOWN = {
    *("version", "extras", "python", "platform", "markers", "optional", "source", "develop"),
    *("git", "branch", "tag", "rev", "subdirectory", "url", "path", "file"),
}


@dataclass(frozen=True, kw_only=True)
class DependencyReader:
    """`index_of` gives the name that an index has for uv, None for one that is not there.

    `locked` are the versions of poetry.lock by name. Logins of git are collected in `logins`.
    """

    read_file: Read
    outcomes: LineOutcomes
    index_of: Callable[[str], str | None]
    locked: Mapping[str, list[str]]
    logins: list[tuple[str, Userinfo]] = field(default_factory=list)

    def requirements(self, entry: TomlEntry) -> list[Requirement]:
        """One for each alternative, the comments with the first; errors are recorded."""
        alternatives = entry.value if isinstance(entry.value, list) else [entry.value]
        found: list[Requirement] = []
        for one in alternatives:
            keys = one if isinstance(one, dict) else {"version": str(one)}
            rest = replace(entry, comment="", above=()) if found else entry
            try:
                requirement = self._requirement(rest, keys)
            except ValueError as error:
                message = f"`{error}` of {entry.key} is not what Poetry takes"
                self._refuse("invalid-version", message, entry)
            else:
                found += [requirement] if requirement else []
        return found

    def _refuse(self, code: str, message: str, entry: TomlEntry) -> None:
        problem = findings.error(code, message, entry.origin, "correct it")
        self.outcomes.record_findings(problem)

    def _requirement(self, entry: TomlEntry, keys: Mapping[str, Any]) -> Requirement | None:
        """Raises ValueError for a version or a marker that is none."""
        name, extras = str(entry.key), tuple(keys.get("extras", ()))
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
        if location:
            line = Line(
                origin=entry.origin,
                text=f"{text} @ {location}",
                requirement=f"{text} @ {location}{f' ; {marker}' if marker else ''}",
                comment=entry.comment,
                above=entry.above,
                is_editable=bool(keys.get("develop")) and "git" not in keys,
            )
            return self._direct(entry, keys, line)
        return Requirement(
            text=f"{text}{self._specifier(entry, keys)}{f' ; {marker}' if marker else ''}",
            name=canonicalize_name(name),
            origin=entry.origin,
            comment=entry.comment,
            above=entry.above,
            source=self._index(entry, keys),
            extras=extras,
            marker=marker,
        )

    def _specifier(self, entry: TomlEntry, keys: Mapping[str, Any]) -> str:
        version = str(keys.get("version", "*"))
        locked = self.locked.get(canonicalize_name(str(entry.key)), ())
        constraint = read_constraint(version, locked)
        if constraint.dropped:
            reason = "that is locked" if locked else "with the highest versions"
            message = (
                f"PEP 440 cannot say `{version}`: `{constraint.specifier}` is the part {reason},"
                f" `{'`, `'.join(constraint.dropped)}` is left out"
            )
            hint = "write the versions that are right into pyproject.toml"
            self.outcomes.needs_action("version-union", message, entry.origin, hint)
        return constraint.specifier

    def _index(self, entry: TomlEntry, keys: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if "source" not in keys:
            return None
        name = self.index_of(str(keys["source"]))
        if name is None:
            self._refuse("unknown-source", f"there is no source `{keys['source']}`", entry)
        return {"index": name} if name else None

    def _direct(self, entry: TomlEntry, keys: Mapping[str, Any], line: Line) -> Requirement | None:
        """By URL, path or repository: pip's rules hold for credentials and missing paths, too."""
        result = read_requirement(line, self.outcomes.options, self.read_file)
        self.outcomes.record_findings(*result.findings)
        self.logins.extend([result.git_login] if result.git_login else [])
        if result.requirement is None or "git" not in keys:
            return result.requirement
        if keys.get("develop"):
            message = f"uv has no editable git sources: {entry.key} becomes a regular one"
            hint = "clone it, and make it a path source with `editable = true`"
            self.outcomes.needs_action("not-editable", message, entry.origin, hint)
        kinds = {kind: keys[kind] for kind in ("branch", "tag", "rev") if keys.get(kind)}
        return replace(result.requirement, source={**(result.requirement.source or {}), **kinds})


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
    return ""
