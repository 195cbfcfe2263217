"""What `uvflow init` shows of a plan, a result or an error, as text and as JSON."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvflow.console import size_text
from uvflow.errors import ImportNeedsUserError, UvflowError
from uvflow.findings import Finding, Severity
from uvflow.migrate.formats.pip.direct_reference import is_outside
from uvflow.migrate.model import Bucket, FileReport, ImportedRequirements
from uvflow.migrate.plan import InitResult, Plan
from uvflow.paths import LOCKFILE, MANIFEST

Section = tuple[str, tuple[str, ...]]  # a title and its lines

# A key of the indexes of Rye and PDM. URLs are redacted wherever text is shown.
_PASSWORD = re.compile(r"""(\bpassword[ \t]*=[ \t]*)(?:"[^"\n]*"|'[^'\n]*')""")

_DONE = {"create": "created", "edit": "edited", "replace": "replaced"}
_WOULD = {action: f"would be {done}" for action, done in _DONE.items()}
_BUCKETS = {
    Bucket.IMPORTED: "imported",
    Bucket.SETTING: "became settings",
    Bucket.MERGED: "merged",
    Bucket.DEFAULT: "already the default",
    Bucket.LEFT: "left where they are",
    Bucket.ACTION: "need action",
}
_ONE_IN = _BUCKETS | {
    Bucket.SETTING: "became a setting",
    Bucket.LEFT: "left where it is",
    Bucket.ACTION: "needs action",
}


def sections(result: InitResult, *, verbose: bool = False) -> tuple[Section, ...]:
    """The files read and written, the findings, and what to do next."""
    if result.plan.is_already_locked:
        title = f"{result.plan.root.name} is already a locked uv project; nothing to do"
        return ((title, ()),)
    imported = result.plan.imported
    noticed = (Severity.WARNING, Severity.NOTE) if verbose else (Severity.WARNING,)
    parts = (
        ("Read", _columns((f.path, f.role, _line_counts(f)) for f in imported.files)),
        ("To be written" if result.is_dry_run else "Written", _columns(_changes(result))),
        ("Noticed", _finding_lines(imported.findings, *noticed)),
        ("Needs action", _finding_lines(imported.findings, Severity.ACTION)),
        ("Next", () if result.is_dry_run else _next_steps(result)),
    )
    return tuple((title, lines) for title, lines in parts if lines)


def urgent_findings(result: InitResult) -> tuple[Finding, ...]:
    """The findings that are shown even with --quiet."""
    urgent = (Severity.WARNING, Severity.ACTION)
    return tuple(f for f in result.plan.imported.findings if f.severity in urgent)


def _line_counts(file: FileReport) -> str:
    if not file.lines:
        return "empty"
    lines = "1 line" if file.lines == 1 else f"{file.lines} lines"
    counts = [
        f"1 {_ONE_IN[bucket]}" if count == 1 else f"{count} {_BUCKETS[bucket]}"
        for bucket, count in file.buckets.items()
    ]
    return f"{lines}: {', '.join(counts)}"


def _changes(result: InitResult) -> Iterator[tuple[str, str]]:
    kept, hashes = len(result.pins.kept), result.hashes
    pins = kept + len(result.pins.moved)
    installed = len({*result.plan.installed} & {*result.pins.kept})
    verbs = _WOULD if result.is_dry_run else _DONE
    for change in result.plan.changes:
        words = [verbs[change.action]]
        if change.path == LOCKFILE and pins:
            words.append(f"pins kept {kept}/{pins}")
        if change.path == LOCKFILE and installed:
            words.append(f"{installed} of them as installed")
        if change.path == LOCKFILE and hashes:
            words.append(f"hashes verified {hashes}/{hashes}")
        if change.kept_as is not None:
            size = size_text(change.kept_size or 0)
            words.append(f"the old one kept as {change.kept_as} ({size})")
        yield change.path, ", ".join(words)


def _columns(rows: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    rows = tuple(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = (zip(row, widths, strict=True) for row in rows)
    return tuple(f"  {'  '.join(c.ljust(width) for c, width in row)}".rstrip() for row in cells)


def _finding_lines(findings: Iterable[Finding], *severities: Severity) -> tuple[str, ...]:
    lines: list[str] = []
    for finding in findings:
        if finding.severity in severities:
            lines.append(f"  {finding}")
            if finding.hint:
                lines.append(f"    hint: {finding.hint}")
    return tuple(lines)


def _next_steps(result: InitResult) -> tuple[str, ...]:
    is_locked = LOCKFILE in {change.path for change in result.plan.changes}
    back = "everything but the environment" if result.plan.in_place else "everything"
    steps = [
        ("uvflow sync --prod", "makes the environment for production"),
        ("uvflow docker", "writes a Dockerfile"),
        ("uvflow undo", f"puts {back} back"),
    ]
    if not result.plan.environment:
        steps.insert(0, ("uvflow sync", "makes the environment"))
    if not is_locked:
        steps.insert(0, ("uvflow init", "makes the lockfile, with the old pins"))
        return _columns(steps)
    files = ", ".join(f.path for f in result.plan.imported.files if _is_replaced(f))
    if not files:
        return _columns(steps)
    return (*_columns(steps), f"  You can delete these once everything works: {files}")


def _is_replaced(file: FileReport) -> bool:
    """Whether the new files have everything that `file` had; uvflow itself deletes nothing."""
    # A build reads all of setup.py, also where a line of it was imported, and tox all of tox.ini.
    if file.format in ("setuptools", "tox") or file.path == MANIFEST or is_outside(file.path):
        return False
    return file.buckets.keys().isdisjoint((Bucket.ACTION, Bucket.LEFT))


def diff(plan: Plan) -> str:
    """The change of pyproject.toml as a unified diff, "" for none; passwords are hidden."""
    import difflib  # 2 ms, where the diff is shown only

    old = (plan.before or "").splitlines(keepends=True)
    new = plan.text.splitlines(keepends=True)
    before = "/dev/null" if plan.before is None else MANIFEST
    lines = difflib.unified_diff(old, new, before, MANIFEST)
    unended = "\n\\ No newline at end of file\n"  # as diff and patch have it
    text = "".join(line if line.endswith("\n") else line + unended for line in lines)
    return _PASSWORD.sub(r"\1****", text)


def needs_user_error(errors: tuple[Finding, ...]) -> UvflowError:
    """One error of all `errors`: a user wants to know every line to correct at once."""
    if len(errors) == 1:
        return ImportNeedsUserError(str(errors[0]), hint=errors[0].hint, findings=errors)
    in_order = sorted(errors, key=lambda error: (error.origin is not None, error.origin))
    message = f"{len(errors)} lines cannot be imported as they are; nothing was written"
    if all(error.code == "not-looked-for" for error in errors):
        message = "no requirements file is where one is looked for; nothing was written"
    hint = None
    if any(error.code in ("conflict", "not-looked-for") for error in errors):
        hint = "`--from FILE` and `--group NAME=FILE` choose the files that count"
    return ImportNeedsUserError(message, hint=hint, findings=tuple(in_order))


def result_as_json(result: InitResult) -> Mapping[str, Any]:
    """The data of `--json`, as docs/reference describes it."""
    pins = result.pins
    moved = [{"name": m.pin.name, "old": m.pin.version, "new": m.new} for m in pins.moved]
    return {
        "error": None,
        "files": [
            {
                "path": file.path,
                "format": file.format,
                "role": file.role,
                "lines": file.lines,
                **{bucket.value: file.buckets.get(bucket, 0) for bucket in Bucket},
            }
            for file in result.plan.imported.files
        ],
        "findings": [finding.as_json() for finding in result.plan.imported.findings],
        "already_a_project": result.plan.is_already_locked,
        "changes": [change._asdict() for change in result.plan.changes],
        "diff": diff(result.plan),
        "pins": {"kept": len(pins.kept), "moved": moved},
        "hashes": {"expected": result.hashes, "verified": result.hashes},
    }


def error_as_json(
    error: UvflowError, read: ImportedRequirements | None = None
) -> Mapping[str, Any]:
    """The same keys for an error: what was `read` before it, and that nothing was changed."""
    read = read or ImportedRequirements()
    found = tuple(dict.fromkeys((*read.findings, *error.findings)))
    plan = Plan(root=Path(), before=None, text="", imported=replace(read, findings=found))
    return result_as_json(InitResult(plan=plan))
