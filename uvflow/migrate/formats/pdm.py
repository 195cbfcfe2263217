"""PDM: `[tool.pdm]` of pyproject.toml, pdm.toml, and the pins of its lock files. Pure."""

from uvflow.migrate.formats.local_project import read_if_there
from uvflow.migrate.formats.tool_tables import ENV_FILE, SOURCES_SHAPE, ToolTables
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Read
from uvflow.migrate.toml_lines import TomlEntry

_PDM = ("tool", "pdm")
_PDM_TOML = "pdm.toml"
_READ_BY_BACKEND = (
    *("build", "version"),
    *("includes", "excludes", "source-includes", "package-dir", "editable-backend"),  # of old ones
)
_IGNORED = ("ignore_package_warnings", "options", "use_uv")
_SHAPE = {
    "tool": {
        "pdm": {
            "dev-dependencies": {"*": [str]},
            "resolution": {"excludes": [str], "overrides": {"*": str}},
            "source": SOURCES_SHAPE,
        }
    }
}


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """`[tool.pdm]` of the pyproject.toml at `path`, with the indexes of pdm.toml."""
    tables = _Pdm.parse("PDM", path, read_file, outcomes, _SHAPE)
    tables.read()
    imported = tables.imported(_PDM)
    if read_if_there(_PDM_TOML, read_file) is None:
        return imported
    own = ToolTables.parse("PDM", _PDM_TOML, read_file, outcomes, {"pypi": dict})
    pypi = own.file.value("pypi") or {}
    if pypi.get("verify_ssl") is False:
        message = "the certificate of this index was not verified"
        own.needs_action(("pypi", "verify_ssl"), message, "see `allow-insecure-host` of uv")
    for key in own.file.values:
        own.drop(key)  # all that is no index configures PDM
    given = {"": {key: pypi[key] for key in ("url", "username", "password") if key in pypi}}
    given |= {name: table for name, table in pypi.items() if isinstance(table, dict)}
    own.indexes = list(tables.indexes)  # where both have one of a name, that of pyproject.toml
    names = {index.name for index in own.indexes}
    has_default = any(index.is_default for index in own.indexes)
    for name, table in given.items():
        where = ("pypi", name or "url")
        if (name or "pypi") in names or (not name and has_default):
            own.record(Bucket.MERGED, *where)
        elif "url" in table:
            own.read_source({"name": name or "pypi", **table}, where, is_default=not name)
    own.indexes = own.indexes[len(tables.indexes) :]
    return imported.with_more(own.imported(()))


class _Pdm(ToolTables):
    root = ("file:///${PROJECT_ROOT}",)

    def read(self) -> None:
        self.read_own_lists()
        for group in self.file.value(*_PDM, "dev-dependencies") or ():
            self.groups[group] = self.entries(*_PDM, "dev-dependencies", group, group=group)
        self.write_default_groups()
        self._read_resolution()
        install = str(self.file.value(*_PDM, "options", "install"))
        if self.file.value(*_PDM, "distribution") is False or "--no-self" in install:
            self.settings["package"] = False
            self.record(Bucket.SETTING, *_PDM, "distribution")
        elif "build-system" not in self.file.values:
            message = "PDM builds this with setuptools, since nothing else is named"
            hint = "add a [build-system], or `package = false` in [tool.uv]"
            self.needs_action((*_PDM, "distribution"), message, hint)
        for key in ("distribution", *_IGNORED):
            self.drop(*_PDM, key)
        for key in _READ_BY_BACKEND:
            self.record(Bucket.LEFT, *_PDM, key)
        self.read_sources(*_PDM, "source", default="pypi")
        others = [index for index in self.indexes if not (index.is_default or index.is_explicit)]
        if others:
            self.warn_of_order(others[0])
        self.move((*_PDM, "scripts", "_", "env_file"), ENV_FILE)
        self.read_tasks(*_PDM, "scripts")

    def _read_resolution(self) -> None:
        where = (*_PDM, "resolution")
        overrides = [self._override(e) for e in self.file.entries(*where, "overrides")]
        if any(overrides):
            self.settings["override-dependencies"] = [text for text in overrides if text]
        if excluded := self.take(*where, "excludes"):
            self.settings["exclude-dependencies"] = excluded
        allows = self.take(*where, "allow-prereleases")
        if allows is not None:
            self.settings["prerelease"] = "allow" if allows else "disallow"
        self.drop(*where, "respect-source-order")

    def _override(self, entry: TomlEntry) -> str | None:
        """The requirement in place of others: by an exact version, a specifier or a URL."""
        value = str(entry.value).removeprefix("*")
        if "://" in value:
            value = f" @ {value}"
        elif value[:1].isdigit():
            value = f"=={value}"
        requirement = self.requirement(f"{entry.key}{value}", entry)
        if requirement is None:
            return None
        where, source = (*_PDM, "resolution", "overrides", str(entry.key)), requirement.source or {}
        if source.keys() - {"url"}:
            hint = f"write `{entry.key}` into `override-dependencies` of [tool.uv]"
            message = f"uv overrides `{entry.key}` with a version or an archive, not with this"
            self.needs_action(where, message, hint)
            return None
        self.take(*where)
        return f"{requirement.text} @ {source['url']}" if source else requirement.text
