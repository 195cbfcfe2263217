"""Poetry: `[tool.poetry]` of pyproject.toml. Pure."""

from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from uvflow import findings
from uvflow.migrate.formats import versions
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.model import Bucket, ImportedRequirements, Read, Requirement
from uvflow.migrate.toml_lines import Keys, TomlEntry, TomlFile, TomlLine

_POETRY = ("tool", "poetry")


def read(path: str, read_file: Read, outcomes: LineOutcomes) -> ImportedRequirements:
    """What `[tool.poetry]` of the pyproject.toml at `path` says."""
    file = TomlFile.parse(path, read_file(path).decode("utf-8", "replace"))
    return _Reader(file=file, outcomes=outcomes).read()


@dataclass(kw_only=True)
class _Reader:
    """Reads one pyproject.toml; `values` and `moved` are as in an import."""

    file: TomlFile
    outcomes: LineOutcomes
    values: dict[Keys, TomlLine] = field(default_factory=dict)
    moved: list[Keys] = field(default_factory=list)
    requires_python: str | None = None

    def read(self) -> ImportedRequirements:
        for key in ("name", "version", "description"):
            if self.file.value(*_POETRY, key) is not None:
                self._move(self.file.entry(*_POETRY, key), ("project", key))
        dependencies = self._list(*_POETRY, "dependencies")
        groups = {
            str(group.key): self._list(*_POETRY, "group", str(group.key), "dependencies")
            for group in self.file.entries(*_POETRY, "group")
        }
        report = self.outcomes.report_tables(self.file, "poetry", _POETRY)
        return ImportedRequirements(
            dependencies=dependencies,
            groups=groups,
            values=self.values,
            moved=tuple(self.moved),
            requires_python=self.requires_python,
            files=(report,),
        )

    def _move(self, entry: TomlEntry, to: Keys) -> None:
        self.values[to] = entry.line
        self.moved.append((*_POETRY, str(entry.key)))
        self.outcomes.record_bucket(Bucket.IMPORTED, entry.origin)

    def _list(self, *table: str) -> tuple[Requirement, ...]:
        self.moved.append(table)
        read = (self._requirement(entry) for entry in self.file.entries(*table))
        return tuple(requirement for requirement in read if requirement)

    def _requirement(self, entry: TomlEntry) -> Requirement | None:
        try:
            version = versions.pep440_specifier(str(entry.value))
        except ValueError:
            message = f"`{entry.value}` is not a version that Poetry knows"
            hint = "correct it"
            problem = findings.error("invalid-version", message, entry.origin, hint)
            self.outcomes.record_findings(problem)
            return None
        self.outcomes.record_bucket(Bucket.IMPORTED, entry.origin)
        name = str(entry.key)
        if name == "python":
            self.requires_python = version or None
            return None
        return Requirement(
            text=f"{name}{version}",
            name=canonicalize_name(name),
            origin=entry.origin,
            comment=entry.comment,
            above=entry.above,
        )
