from dataclasses import replace
from pathlib import Path

import pytest

from uvflow.errors import UsageError, UvFailedError
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.model import Bucket, FileReport, ImportedRequirements, Pin
from uvflow.migrate.pins import Comparison, HashCheck, Moved
from uvflow.migrate.plan import Change, Done, Plan, needs_user
from uvflow.migrate.report import accounted, error_as_json, report_as_json

ORIGIN = Origin(path="requirements.txt", line=3)
FILE = FileReport(
    path="requirements.txt",
    format="requirements",
    role="project",
    lines=2,
    buckets={Bucket.IMPORTED: 1, Bucket.SETTING: 1},
)
WARNING = Finding(severity=Severity.WARNING, code="w", message="a warning", origin=ORIGIN)
ERROR = Finding(severity=Severity.ERROR, code="e", message="an error", hint="do it")
IMPORTED = ImportedRequirements(files=(FILE,), findings=(WARNING,))
PLAN = Plan(
    root=Path("app"),
    before=None,
    text="[project]\n",
    imported=IMPORTED,
    changes=(Change(path="pyproject.toml", action="create"),),
)
PIN = Pin(name="six", version="1.15.0", origin=ORIGIN)
DONE = Done(
    plan=PLAN,
    pins=Comparison(
        kept=(replace(PIN, name="idna"),),
        moved=(Moved(pin=PIN, new=("1.16.0",)), Moved(pin=replace(PIN, name="toml"), new=())),
    ),
    hashes=HashCheck(expected=2, verified=2, findings=()),
)
FILE_AS_JSON = {
    "path": "requirements.txt",
    "format": "requirements",
    "role": "project",
    "lines": 2,
    "imported": 1,
    "merged": 0,
    "settings": 1,
    "already_default": 0,
    "needs_action": 0,
}
WARNING_AS_JSON = {
    "severity": "warning",
    "code": "w",
    "path": "requirements.txt",
    "line": 3,
    "message": "a warning",
    "hint": None,
}
ERROR_AS_JSON = {
    "severity": "error",
    "code": "e",
    "path": None,
    "line": None,
    "message": "an error",
    "hint": "do it",
}


def test_json_has_the_findings_and_the_proofs() -> None:
    said = report_as_json(PLAN, DONE)
    assert said["findings"][-2] == {
        "severity": "action",
        "code": "pin-moved",
        "path": "requirements.txt",
        "line": 3,
        "message": "six 1.15.0 became 1.16.0",
        "hint": "look whether that will do; uv could not have the old version",
    }
    assert said["pins"] == {
        "kept": 1,
        "moved": [
            {"name": "six", "old": "1.15.0", "new": ("1.16.0",)},
            {"name": "toml", "old": "1.15.0", "new": ()},
        ],
    }
    assert said["hashes"] == {"expected": 2, "verified": 2}


def test_an_error_takes_along_what_is_known_of_the_files() -> None:
    with pytest.raises(UvFailedError) as caught, accounted(IMPORTED):
        raise UvFailedError("uv lock failed")
    assert error_as_json(caught.value) == {
        "error": None,
        "already_a_project": False,
        "files": [FILE_AS_JSON],
        "findings": [WARNING_AS_JSON],
        "changes": [],
        "diff": "",
        "pins": {"kept": 0, "moved": []},
        "hashes": {"expected": 0, "verified": 0},
    }


def test_what_an_error_was_found_by_comes_on_top_and_once() -> None:
    imported = replace(IMPORTED, findings=(WARNING, ERROR))
    for known in (IMPORTED, imported):
        error = needs_user((ERROR,)).with_context(cause="so", hint="do it")
        with pytest.raises(type(error)), accounted(known):
            raise error
        assert error_as_json(error)["findings"] == [WARNING_AS_JSON, ERROR_AS_JSON]


def test_an_error_before_anything_was_read_has_the_same_keys() -> None:
    nothing = error_as_json(UsageError("there is no directory"))
    assert nothing.keys() == report_as_json(PLAN, DONE).keys()
    assert (nothing["files"], nothing["findings"]) == ([], [])
