"""The books of an import: the bucket of every logical line, and everything there is to tell."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.includes import Includes
from uvflow.migrate.model import Bucket, FileReport, ImportOptions

# Where a line goes that is told of twice: what needs the user, then what was taken over.
_PRECEDENCE = (Bucket.ACTION, Bucket.IMPORTED, Bucket.SETTING, Bucket.MERGED, Bucket.DEFAULT)

# A file that cannot be read is not one line to be left out: its lines are not even known.
_HOPELESS = ("undecodable", "unknown-encoding", "file-unreadable", "include-unreachable")

_LONGEST = 1000  # characters of a message


@dataclass(kw_only=True)
class LineOutcomes:
    """Collects while an import is put together; nothing in it is ever taken back."""

    options: ImportOptions
    buckets: dict[Origin, Bucket] = field(default_factory=dict)
    _findings: list[Finding] = field(default_factory=list)

    def mark(self, bucket: Bucket, *origins: Origin) -> None:
        for origin in origins:
            known = self.buckets.get(origin, bucket)
            self.buckets[origin] = min(bucket, known, key=_PRECEDENCE.index)

    def note(self, *findings: Finding) -> None:
        """Remember `findings`; with `--strict` a warning stops the import."""
        for finding in findings:
            stops = self.options.strict and finding.severity is Severity.WARNING
            told = replace(finding, severity=Severity.ERROR) if stops else finding
            hint = told.hint and _shortened(told.hint)
            self._findings.append(replace(told, message=_shortened(told.message), hint=hint))

    def refuse(self, *findings: Finding) -> None:
        """Remember what is said of single lines; `--keep-going` leaves their errors to the user."""
        for finding in findings:
            if finding.severity is not Severity.ERROR or finding.code in _HOPELESS:
                self.note(finding)
                continue
            left = replace(finding, severity=Severity.ACTION)
            self.note(left if self.options.keep_going else finding)
            self.mark(Bucket.ACTION, *([finding.origin] if finding.origin else []))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each once, in the order in which they were found."""
        return tuple(dict.fromkeys(self._findings))

    def reports(self, includes: Includes) -> tuple[FileReport, ...]:
        """One report a file; its buckets add up to its logical lines."""
        return tuple(
            FileReport(
                path=path,
                format="requirements",
                role=includes.roles[path].described,
                lines=len(file.lines),
                buckets=self._counted(line.origin for line in file.lines),
            )
            for path, file in includes.files.items()
        )

    def _counted(self, origins: Iterable[Origin]) -> dict[Bucket, int]:
        found = Counter(self.buckets.get(origin, Bucket.ACTION) for origin in origins)
        return {bucket: found[bucket] for bucket in Bucket if found[bucket]}


def _shortened(text: str) -> str:
    """A line may have a megabyte, and nobody reads that."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
