"""What `uvflow init --json` prints, of a plan, of what was done and of a failure alike. Pure."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvflow.errors import UvflowError
from uvflow.migrate.model import Bucket, FileReport, ImportedRequirements
from uvflow.migrate.plan import Done, Plan, diff


@contextlib.contextmanager
def accounted(imported: ImportedRequirements) -> Iterator[None]:
    """An error inside takes along what is known of the files: `--json` tells it as of a success."""
    try:
        yield
    except UvflowError as error:
        error.read = imported
        raise


def error_as_json(error: UvflowError) -> Mapping[str, Any]:
    """The data of an error: nothing is to be changed, and maybe nothing was read yet."""
    imported = error.read or ImportedRequirements()
    known = tuple(dict.fromkeys((*imported.findings, *error.findings)))
    complete = replace(imported, findings=known)
    return report_as_json(Plan(root=Path(), before="", text="", imported=complete))


def report_as_json(plan: Plan, done: Done | None = None) -> Mapping[str, Any]:
    """The data of `--json`, as docs/reference describes it."""
    done = done or Done(plan=plan)
    return {
        "error": None,
        "already_a_project": plan.is_there,
        "files": [_file(file) for file in done.files],
        "findings": [finding.as_json() for finding in done.findings],
        "changes": [{"path": change.path, "action": change.action} for change in plan.changes],
        "diff": diff(plan),
        **_proofs(done),
    }


def _proofs(done: Done) -> dict[str, Any]:
    moved = [{"name": m.pin.name, "old": m.pin.version, "new": m.new} for m in done.pins.moved]
    return {
        "pins": {"kept": len(done.pins.kept), "moved": moved},
        "hashes": {"expected": done.hashes.expected, "verified": done.hashes.verified},
    }


def _file(file: FileReport) -> dict[str, Any]:
    return {
        "path": file.path,
        "format": file.format,
        "role": file.role,
        "lines": file.lines,
        **{bucket.value: file.buckets.get(bucket, 0) for bucket in Bucket},
    }
