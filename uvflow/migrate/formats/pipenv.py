"""Pipenv: Pipfile, and Pipfile.lock beside it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from packaging.markers import Environment
from packaging.utils import canonicalize_name

from uvflow.findings import Origin
from uvflow.migrate.formats.local_project import read_if_there
from uvflow.migrate.formats.pins_files import PIPFILE_LOCK, read_lock
from uvflow.migrate.formats.tool_tables import ENV_FILE, DependencyTables
from uvflow.migrate.indexes import is_pypi
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Read, Requirement
from uvflow.migrate.toml_lines import TomlLine

_SHAPE = {"source": [{"name": str, "url": str}], "requires": dict, "pipenv": dict, "scripts": dict}
_MARKERS = {"markers", *Environment.__annotations__}
_NAMES = {"ref": "rev", "editable": "develop", "index": "source"}  # as Poetry has them
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """The Pipfile at `path`, with the pins of Pipfile.lock."""
    tables = _Pipfile.parse("Pipenv", path, read_file, outcomes, _SHAPE)
    tables.read()
    imported = tables.imported(())
    return imported.with_more(read_lock(PIPFILE_LOCK, read_file, outcomes, imported))


class _Pipfile(DependencyTables):
    def read(self) -> None:
        self._read_sources()
        self._read_settings()
        self._read_python()
        for table, value in self.file.values.items():
            if isinstance(value, dict) and table not in _SHAPE:
                self._read_packages(table)
        self.read_tasks("scripts")
        if read_if_there(".env", self.read_file) is not None:
            self.values[ENV_FILE] = TomlLine(value=".env")
            message = "Pipenv loads this file; of the dev profile it is the `env-file` now"
            hint = "plain uv does not load it: `UV_ENV_FILE=.env`"
            self.outcomes.warn("env-file", message, Origin(path=".env", line=1), hint)

    def _read_sources(self) -> None:
        """The first index is the default one; the others are explicit, unless all are searched."""
        searches_all = self.file.value("pipenv", "install_search_all_sources") is True
        for number, entry in enumerate(self.file.entries("source")):
            url = _VARIABLE.sub(r"${\1}", str(entry.value.get("url", "")))
            index = self.read_source(
                {**entry.value, "url": url},
                ("source", number),
                is_default=number == 0,
                is_explicit=number > 0 and not searches_all,
            )
            if index is None and is_pypi(url):
                self.pypi = str(entry.value.get("name"))
        if searches_all and self.indexes:
            self.warn_of_order(self.indexes[0])

    def _read_settings(self) -> None:
        for entry in self.file.entries("pipenv"):
            match entry.key, entry.value:
                case "allow_prereleases", True:
                    self.settings["prerelease"] = "allow"
                case "cool-down-period", str(text) if re.fullmatch(r"\d+d", text):
                    self.settings["exclude-newer"] = f"{text[:-1]} days"
                    message = "versions that are younger than this move, also locked ones"
                    self.outcomes.warn("cool-down", message, entry.origin)
                case "cool-down-period", _:
                    continue  # and needs action
                case _:  # about Pipenv itself
                    self.record(Bucket.DEFAULT, "pipenv", str(entry.key))
                    continue
            self.record(Bucket.SETTING, "pipenv", str(entry.key))

    def _read_python(self) -> None:
        """`3.12` and `3.12.1` become `==3.12.*`: uv takes any patch release. `3` adds nothing."""
        for entry in self.file.entries("requires"):
            version = re.fullmatch(r"(3\.\d+)(\.\d+)?|3", str(entry.value))
            if version is None or entry.key not in ("python_version", "python_full_version"):
                continue  # and needs action
            if not version[1]:
                self.outcomes.record_bucket(Bucket.DEFAULT, entry.origin)
                continue
            self.requires_python = f"=={version[1]}.*"
            self.outcomes.record_bucket(Bucket.IMPORTED, entry.origin)
            if version[2]:
                message = f"uv takes any patch release of Python {version[1]}"
                hint = f"`uv python pin {version[0]}` for this one"
                self.outcomes.warn("python-patch", message, entry.origin, hint)

    def _read_packages(self, table: str) -> None:
        """Read the packages of a category into its group; dev has three spellings."""
        plain = canonicalize_name(table)
        group = {"packages": "", "dev-packages": "dev"}.get(plain, plain)
        if group in self.tails:
            message = f"[{table}] is in the dependency group `{group}`, with what was there"
            self.warn("group-merged", message, (table,))
        entries: list[Requirement] = []
        for entry in self.items(table, group=group):
            value = entry.value if isinstance(entry.value, dict) else {"version": entry.value}
            if value.get("path") == ".":  # uv installs the project itself
                extras = dict.fromkeys(value.get("extras", ()), entry.origin)
                for profile in ("dev",) if group else ("dev", "prod"):
                    self.own_extras[profile] = self.own_extras.get(profile, {}) | extras
            if value.keys() & {"hg", "svn", "bzr"}:
                message, hint = "uv does not install from it", "move the package to git"
                self.outcomes.needs_action("vcs-not-supported", message, entry.origin, hint)
            elif "url" in value:
                message, hint = "Pipenv does not know `url` either", "did you mean `file`?"
                self.outcomes.refuse("invalid-requirement", message, entry.origin, hint)
            else:
                found = self.dependency(replace(entry, value=self._keys(value)))
                hashes = tuple(value.get("hashes", ()))
                entries += (requirement._replace(hashes=hashes) for requirement in found)
        if group:
            self.groups[group] = (*self.groups.get(group, ()), *entries)
        else:
            self.dependencies += tuple(entries)

    def _keys(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of an entry under their names in Poetry."""
        conditions = (
            f"({value[key]})" if key == "markers" else f"({key} {value[key]})"
            for key in sorted(_MARKERS & value.keys())
        )
        keys = {key: one for key, one in value.items() if key not in (*_MARKERS, "hashes")}
        if "://" in str(keys.get("file", "")):
            keys["url"] = keys.pop("file")
        keys = {_NAMES.get(key, key): one for key, one in keys.items()}
        return {**keys, "markers": " and ".join(conditions)}
