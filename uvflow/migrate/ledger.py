"""The outcome of an import: a bucket for each logical line, and the findings."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from uvflow import findings
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.model import Bucket, FileReport, ImportOptions, LineResult, Role
from uvflow.migrate.toml_lines import Path, TomlFile

# Of several buckets recorded for one line, the first of these counts.
_PRECEDENCE = (Bucket.ACTION, *Bucket)

# `--keep-going` skips a line; these are about more: a whole file, or two lines.
_ABOUT_MORE = ("undecodable", "unknown-encoding", "file-unreadable", "conflict", "two-sources")

_MAX_LENGTH = 1000  # characters of a message


@dataclass(kw_only=True)
class LineOutcomes:
    """Collects buckets and findings while an import is put together; nothing is ever removed."""

    options: ImportOptions = field(default_factory=ImportOptions)
    results: dict[Origin, LineResult] = field(default_factory=dict)  # of lines with a requirement
    buckets: dict[Origin, Bucket] = field(default_factory=dict)
    _findings: list[Finding] = field(default_factory=list)

    def record_bucket(self, bucket: Bucket, *origins: Origin) -> None:
        for origin in origins:
            known = self.buckets.get(origin, bucket)
            self.buckets[origin] = min(bucket, known, key=_PRECEDENCE.index)

    def record_findings(self, *found: Finding) -> None:
        """An action, or an error about a line, also puts its line into the bucket for action.

        With `--keep-going` such an error becomes an action, with `--strict` a warning an error.
        """
        for finding in found:
            severity = finding.severity
            is_about_line = severity is Severity.ERROR and finding.code not in _ABOUT_MORE
            if finding.origin and (is_about_line or severity is Severity.ACTION):
                self.record_bucket(Bucket.ACTION, finding.origin)
            if is_about_line and self.options.keep_going:
                severity = Severity.ACTION
            elif severity is Severity.WARNING and self.options.strict:
                severity = Severity.ERROR
            message, hint = _shorten(finding.message), finding.hint and _shorten(finding.hint)
            self._findings.append(replace(finding, severity=severity, message=message, hint=hint))

    def warn(self, code: str, message: str, origin: Origin | None, hint: str | None = None) -> None:
        self.record_findings(findings.warning(code, message, origin, hint))

    def refuse(self, code: str, message: str, origin: Origin | None, hint: str | None) -> None:
        self.record_findings(findings.error(code, message, origin, hint))

    def needs_action(self, code: str, message: str, origin: Origin, hint: str) -> None:
        self.record_findings(findings.action(code, message, origin, hint))

    def record_conflict(
        self, message: str, origin: Origin, hint: str = "remove one of the two lines"
    ) -> None:
        self.refuse("conflict", message, origin, hint)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each once, in the order in which they were recorded."""
        return tuple(dict.fromkeys(self._findings))

    def report(
        self, path: str, format_name: str, lines: Iterable[Origin], role: str = Role.PROJECT
    ) -> FileReport:
        """One of the file at `path`, with an outcome for each of its `lines`."""
        outcomes = {line: self.buckets.get(line, Bucket.ACTION) for line in lines}
        return FileReport(path=path, format=format_name, role=role, outcomes=outcomes)

    def report_tables(self, file: TomlFile, format_name: str, *tables: Path) -> FileReport:
        """The same of `tables` of a TOML file; a key that no rule was for needs action."""
        units = {origin: path for table in tables for origin, path in file.units(*table).items()}
        for origin, path in units.items():
            if origin not in self.buckets:
                message = f"`{'.'.join(map(str, path))}` is not imported: uv has no such setting"
                hint = "see whether it is needed; it stays in the file"
                self.needs_action("not-imported", message, origin, hint)
        return self.report(file.path, format_name, units)


def _shorten(text: str) -> str:
    """A line may have a megabyte, and nobody reads that."""
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}… ({len(text)} characters)"
