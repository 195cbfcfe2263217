from dataclasses import replace
from pathlib import Path

import pytest

from uvflow.errors import UsageError, UvFailedError
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.model import Bucket, FileReport, ImportedRequirements, Pin
from uvflow.migrate.pins import Comparison, Moved
from uvflow.migrate.plan import Change, InitResult, Plan
from uvflow.migrate.report import (
    diff,
    error_as_json,
    needs_user_error,
    result_as_json,
    sections,
    urgent_findings,
)

ORIGIN = Origin(path="requirements.txt", line=3)
FILE = FileReport(
    path="requirements.txt",
    format="requirements",
    role="project",
    outcomes={
        **{ORIGIN._replace(line=line): Bucket.IMPORTED for line in (1, 2, 3)},
        ORIGIN._replace(line=4): Bucket.SETTING,
    },
)
PLAN = Plan(
    root=Path("app"),
    before=None,
    text="[project]\n",
    imported=ImportedRequirements(
        files=(FILE,),
        findings=(
            Finding(severity=Severity.NOTE, code="n", message="a note", origin=ORIGIN),
            Finding(severity=Severity.WARNING, code="w", message="a warning", origin=ORIGIN),
            Finding(
                severity=Severity.ACTION, code="a", message="an action", origin=ORIGIN, hint="do it"
            ),
        ),
    ),
    changes=(
        Change(path="pyproject.toml", action="create"),
        Change(path="uv.lock", action="edit"),
    ),
)
PIN = Pin(name="six", version="1.15.0", origin=ORIGIN)
KEPT = replace(PIN, name="idna", origin=ORIGIN._replace(line=1))
GONE = replace(PIN, name="toml", origin=ORIGIN._replace(line=2))
MOVED = (Moved(pin=PIN, new=("1.16.0",)), Moved(pin=GONE, new=()))
DONE = InitResult(
    plan=PLAN.with_findings(*(moved.finding for moved in MOVED)),
    pins=Comparison(kept=(KEPT,), moved=MOVED),
    hashes=2,
)
DRY_RUN = InitResult(plan=PLAN, is_dry_run=True)


def test_a_plan_is_told_as_what_would_be() -> None:
    assert sections(DRY_RUN) == (
        ("Read", ("  requirements.txt  project  4 lines: 3 imported, 1 became a setting",)),
        (
            "To be written",
            ("  pyproject.toml  would be created", "  uv.lock         would be edited"),
        ),
        ("Noticed", ("  requirements.txt:3: a warning",)),
        ("Needs action", ("  requirements.txt:3: an action", "    hint: do it")),
    )


def test_notes_are_for_those_who_ask() -> None:
    noticed = dict(sections(DRY_RUN, verbose=True))["Noticed"]
    assert noticed == ("  requirements.txt:3: a note", "  requirements.txt:3: a warning")


def test_what_was_done_is_told_with_its_proofs() -> None:
    counts = "2 imported, 1 became a setting, 1 needs action"
    assert sections(DONE) == (
        (
            "Read",
            (f"  requirements.txt  project  4 lines: {counts}",),
        ),
        (
            "Written",
            (
                "  pyproject.toml  created",
                "  uv.lock         edited, pins kept 1/3, hashes verified 2/2",
            ),
        ),
        (
            "Noticed",
            (
                "  requirements.txt:3: a warning",
                "  requirements.txt:2: toml 1.15.0 is not locked: nothing requires it",
                "    hint: if it is needed, `uv add toml==1.15.0`",
            ),
        ),
        (
            "Needs action",
            (
                "  requirements.txt:3: an action",
                "    hint: do it",
                "  requirements.txt:3: six 1.15.0 became 1.16.0",
                "    hint: check that this version works; uv could not lock the old one",
            ),
        ),
        (
            "Next",
            (
                "  uvflow sync         makes the environment",
                "  uvflow sync --prod  makes the environment for production",
                "  uvflow docker       writes a Dockerfile",
                "  uvflow undo         puts everything back",
            ),
        ),
    )


def test_where_the_old_environment_is_kept_is_in_the_report() -> None:
    change = Change(path=".venv", action="replace", kept_as=".venv.before-init", kept_size=2**21)
    plan = replace(PLAN, changes=(PLAN.changes[1], change), installed=(KEPT,))
    done = InitResult(plan=plan, pins=DONE.pins)
    assert dict(sections(done))["Written"] == (
        "  uv.lock  edited, pins kept 1/3, 1 of them as installed",
        "  .venv    replaced, the old one kept as .venv.before-init (2 MiB)",
    )
    assert result_as_json(done)["changes"][1] == {
        "path": ".venv",
        "action": "replace",
        "kept_as": ".venv.before-init",
        "kept_size": 2**21,
    }


def test_what_is_changed_in_place_is_not_put_back() -> None:
    done = InitResult(plan=replace(PLAN, environment=Path(".venv"), in_place=True))
    assert (
        "  uvflow undo         puts everything but the environment back"
        in (dict(sections(done))["Next"])
    )


def test_a_file_that_has_done_its_duty_can_go() -> None:
    done = InitResult(plan=replace(PLAN, environment=Path(".venv")))
    assert dict(sections(done))["Next"] == (
        "  uvflow sync --prod  makes the environment for production",
        "  uvflow docker       writes a Dockerfile",
        "  uvflow undo         puts everything back",
        "  You can delete these once everything works: requirements.txt",
    )


def test_an_empty_file_is_told() -> None:
    empty = ImportedRequirements(files=(FILE._replace(outcomes={}),))
    assert dict(sections(InitResult(plan=replace(PLAN, imported=empty))))["Read"] == (
        "  requirements.txt  project  empty",
    )


def test_a_diff_says_what_becomes_of_the_manifest() -> None:
    assert diff(PLAN) == "--- /dev/null\n+++ pyproject.toml\n@@ -0,0 +1 @@\n+[project]\n"
    assert diff(replace(PLAN, before=PLAN.text)) == ""


def test_a_diff_says_where_a_newline_is_missing() -> None:
    assert diff(replace(PLAN, before="old", text="new")) == (
        "--- pyproject.toml\n+++ pyproject.toml\n@@ -1 +1 @@\n"
        "-old\n\\ No newline at end of file\n+new\n\\ No newline at end of file\n"
    )


def test_a_diff_hides_passwords_and_nothing_of_another_line() -> None:
    text = 'password = \'secret\'\n# password = "\nname = "app"\n'
    lines = diff(replace(PLAN, text=text)).splitlines()
    assert lines[3:] == ["+password = ****", '+# password = "', '+name = "app"']


def test_one_error_is_told_as_itself() -> None:
    error = needs_user_error(PLAN.imported.findings[-1:])
    assert (error.message, error.hint) == ("requirements.txt:3: an action", "do it")


def test_several_errors_are_told_at_once() -> None:
    error = needs_user_error(PLAN.imported.findings)
    assert error.message == "3 lines cannot be imported as they are; nothing was written"
    assert error.findings == PLAN.imported.findings


def test_what_lies_outside_is_not_to_be_removed() -> None:
    outside = (FILE._replace(path="../base.txt"), FILE._replace(path="https://h.example/c.txt"))
    plan = replace(
        PLAN, imported=ImportedRequirements(files=(FILE, *outside)), environment=Path(".venv")
    )
    assert dict(sections(InitResult(plan=plan)))["Next"][-1] == (
        "  You can delete these once everything works: requirements.txt"
    )


def test_warnings_and_actions_are_shown_even_with_quiet() -> None:
    assert [finding.code for finding in urgent_findings(DRY_RUN)] == ["w", "a"]


def test_a_project_that_is_locked_already_has_one_line() -> None:
    plan = replace(PLAN, is_already_locked=True)
    assert sections(InitResult(plan=plan)) == (
        ("app is already a locked uv project; nothing to do", ()),
    )


JSON_FILE = FILE._replace(
    outcomes={ORIGIN: Bucket.IMPORTED, ORIGIN._replace(line=4): Bucket.SETTING}
)
WARNING = Finding(severity=Severity.WARNING, code="w", message="a warning", origin=ORIGIN)
ERROR = Finding(severity=Severity.ERROR, code="e", message="an error", hint="do it")
IMPORTED = ImportedRequirements(files=(JSON_FILE,), findings=(WARNING,))
FILE_AS_JSON = {
    "path": "requirements.txt",
    "format": "requirements",
    "role": "project",
    "lines": 2,
    "imported": 1,
    "merged": 0,
    "settings": 1,
    "already_default": 0,
    "left": 0,
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


def test_json_has_the_findings_and_what_became_of_pins_and_hashes() -> None:
    data = result_as_json(DONE)
    assert data["findings"][-2] == {
        "severity": "action",
        "code": "pin-moved",
        "path": "requirements.txt",
        "line": 3,
        "message": "six 1.15.0 became 1.16.0",
        "hint": "check that this version works; uv could not lock the old one",
    }
    assert data["pins"] == {
        "kept": 1,
        "moved": [
            {"name": "six", "old": "1.15.0", "new": ("1.16.0",)},
            {"name": "toml", "old": "1.15.0", "new": ()},
        ],
    }
    assert data["hashes"] == {"expected": 2, "verified": 2}


def test_an_error_shows_what_had_been_read() -> None:
    assert error_as_json(UvFailedError("uv lock failed"), IMPORTED) == {
        "error": None,
        "already_a_project": False,
        "files": [FILE_AS_JSON],
        "findings": [WARNING_AS_JSON],
        "changes": [],
        "diff": "",
        "pins": {"kept": 0, "moved": []},
        "hashes": {"expected": 0, "verified": 0},
    }


@pytest.mark.parametrize("known", [(WARNING,), (WARNING, ERROR)])
def test_the_reasons_of_an_error_come_on_top_and_once(known: tuple[Finding, ...]) -> None:
    error = needs_user_error((ERROR,)).with_context(cause="so", hint="do it")
    read = replace(IMPORTED, findings=known)
    assert error_as_json(error, read)["findings"] == [WARNING_AS_JSON, ERROR_AS_JSON]


def test_an_error_before_anything_was_read_has_the_same_keys() -> None:
    nothing = error_as_json(UsageError("not a directory"))
    assert nothing.keys() == result_as_json(DONE).keys()
    assert (nothing["files"], nothing["findings"]) == ([], [])
