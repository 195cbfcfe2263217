"""The outcome of an import: the bucket of every logical line, and all findings. Pure."""

from collections import Counter
from dataclasses import dataclass, field, replace

from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.includes import Includes
from uvflow.migrate.model import Bucket, FileReport, ImportOptions

# Of several buckets recorded for one line, the first of these counts.
_PRECEDENCE = (Bucket.ACTION, Bucket.IMPORTED, Bucket.SETTING, Bucket.MERGED, Bucket.DEFAULT)

# `--keep-going` skips a line, but here the lines of a whole file are unknown.
_ABOUT_WHOLE_FILES = ("undecodable", "unknown-encoding", "file-unreadable", "include-unreachable")

_MAX_LENGTH = 1000  # characters of a message


@dataclass(kw_only=True)
class LineOutcomes:
    """Collects while an import is put together; nothing in it is ever removed."""

    options: ImportOptions
    buckets: dict[Origin, Bucket] = field(default_factory=dict)
    _findings: list[Finding] = field(default_factory=list)

    def record_bucket(self, bucket: Bucket, *origins: Origin) -> None:
        for origin in origins:
            known = self.buckets.get(origin, bucket)
            self.buckets[origin] = min(bucket, known, key=_PRECEDENCE.index)

    def record_findings(self, *findings: Finding) -> None:
        """With `--strict`, a warning becomes an error."""
        for finding in findings:
            is_raised = self.options.strict and finding.severity is Severity.WARNING
            self._findings.append(
                replace(
                    finding,
                    severity=Severity.ERROR if is_raised else finding.severity,
                    message=_shorten(finding.message),
                    hint=finding.hint and _shorten(finding.hint),
                )
            )

    def record_line_findings(self, *findings: Finding) -> None:
        """An action or an error also puts its line into the bucket of those that need action.

        With `--keep-going`, an error about a single line becomes an action.
        """
        for finding in findings:
            is_error = finding.severity is Severity.ERROR
            if is_error and finding.code in _ABOUT_WHOLE_FILES:
                self.record_findings(finding)
                continue
            is_lowered = is_error and self.options.keep_going
            self.record_findings(
                replace(finding, severity=Severity.ACTION) if is_lowered else finding
            )
            if finding.origin and finding.severity in (Severity.ACTION, Severity.ERROR):
                self.record_bucket(Bucket.ACTION, finding.origin)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each once, in the order in which they were recorded."""
        return tuple(dict.fromkeys(self._findings))

    def reports(self, includes: Includes) -> tuple[FileReport, ...]:
        """One report a file; its buckets add up to its logical lines."""
        reports = []
        for path, file in includes.files.items():
            origins = [line.origin for line in file.lines]
            outcomes = {origin: self.buckets.get(origin, Bucket.ACTION) for origin in origins}
            counts = Counter(outcomes.values())
            reports.append(
                FileReport(
                    path=path,
                    format=includes.roles[path].format,
                    role=includes.roles[path].description,
                    lines=len(file.lines),
                    buckets={bucket: counts[bucket] for bucket in Bucket if counts[bucket]},
                    outcomes=outcomes,
                )
            )
        return tuple(reports)


def _shorten(text: str) -> str:
    """A line may have a megabyte, and nobody reads that."""
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}… ({len(text)} characters)"
