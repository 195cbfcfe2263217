import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uvflow.errors import UsageError
from uvflow.findings import Finding, Origin, Severity
from uvflow.migrate.model import Bucket, FileReport, ImportedRequirements, ImportOptions, Pin
from uvflow.migrate.pins import Comparison, HashCheck, Moved
from uvflow.migrate.plan import (
    Change,
    Done,
    InitOptions,
    Plan,
    diff,
    init_options,
    needs_user,
    sections,
)

ORIGIN = Origin(path="requirements.txt", line=3)
FILE = FileReport(
    path="requirements.txt",
    format="requirements",
    role="project",
    lines=4,
    buckets={Bucket.IMPORTED: 3, Bucket.SETTING: 1},
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
KEPT = replace(PIN, name="idna", origin=replace(ORIGIN, line=1))
GONE = replace(PIN, name="toml", origin=replace(ORIGIN, line=2))
DONE = Done(
    plan=PLAN,
    pins=Comparison(kept=(KEPT,), moved=(Moved(pin=PIN, new=("1.16.0",)), Moved(pin=GONE, new=()))),
    hashes=HashCheck(expected=2, verified=2, findings=()),
)


def test_a_plan_is_told_as_what_would_be() -> None:
    assert sections(PLAN) == (
        ("Read", ("  requirements.txt  project  4 lines: 3 imported, 1 became settings",)),
        (
            "To be written",
            ("  pyproject.toml  would be created", "  uv.lock         would be edited"),
        ),
        ("Noticed", ("  requirements.txt:3: a warning",)),
        ("Needs action", ("  requirements.txt:3: an action", "    hint: do it")),
    )


def test_notes_are_for_those_who_ask() -> None:
    noticed = dict(sections(PLAN, verbose=True))["Noticed"]
    assert noticed == ("  requirements.txt:3: a note", "  requirements.txt:3: a warning")


def test_what_was_done_is_told_with_its_proofs() -> None:
    assert sections(PLAN, DONE) == (
        (
            "Read",
            ("  requirements.txt  project  4 lines: 2 imported, 1 became settings, 1 need action",),
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
                "    hint: look whether that will do; uv could not have the old version",
            ),
        ),
        (
            "Next",
            (
                "  uvflow sync         makes the environment",
                "  uvflow sync --prod  makes the environment as production has it",
                "  uvflow docker       writes a Dockerfile",
                "  uvflow undo         puts everything back",
            ),
        ),
    )


def test_a_file_that_has_done_its_duty_can_go() -> None:
    done = Done(plan=replace(PLAN, environment=Path(".venv")))
    assert dict(sections(done.plan, done))["Next"] == (
        "  uvflow sync --prod  makes the environment as production has it",
        "  uvflow docker       writes a Dockerfile",
        "  uvflow undo         puts everything back",
        "  To be removed by hand, once all is well: requirements.txt",
    )


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("[dependency-groups]\ndev = []\ndocs = []\n", "docs, lint"),
        ('[dependency-groups]\ndev = [{include-group = "docs"}]\ndocs = []\n', "lint"),
        ('[tool.uv]\ndefault-groups = ["lint"]\n', "dev, docs"),
    ],
)
def test_groups_that_dev_leaves_out_are_told(text: str, left_out: str) -> None:
    groups: dict[str, tuple[()]] = {"dev": (), "docs": (), "lint": ()}
    done = Done(plan=replace(PLAN, text=text, imported=ImportedRequirements(groups=groups)))
    assert dict(sections(done.plan, done))["Next"][-1] == (
        f"  Not in the dev profile: {left_out}"
        " (`uv sync --group NAME`, or `default-groups` in [tool.uv])"
    )


def test_all_groups_leave_nothing_out() -> None:
    text = '[dependency-groups]\ndocs = []\n[tool.uv]\ndefault-groups = "all"\n'
    done = Done(plan=replace(PLAN, text=text, imported=ImportedRequirements(groups={"docs": ()})))
    assert "Not in" not in "".join(dict(sections(done.plan, done))["Next"])


def test_an_empty_file_is_told() -> None:
    empty = ImportedRequirements(files=(replace(FILE, lines=0, buckets={}),))
    assert dict(sections(replace(PLAN, imported=empty)))["Read"] == (
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


def test_one_error_is_told_as_itself() -> None:
    error = needs_user(PLAN.imported.findings[-1:])
    assert (error.message, error.hint) == ("requirements.txt:3: an action", "do it")


def test_several_errors_are_told_at_once() -> None:
    assert needs_user(PLAN.imported.findings).message == (
        "3 lines need a decision; nothing was written\n"
        "  requirements.txt:3: a note\n"
        "  requirements.txt:3: a warning\n"
        "  requirements.txt:3: an action (do it)"
    )


def test_want_of_a_network_is_an_error_of_its_own() -> None:
    offline = replace(PLAN.imported.findings[0], code="include-unreachable")
    assert (needs_user((offline, offline)).exit_code, needs_user((offline,)).exit_code) == (9, 9)
    assert needs_user((offline, PLAN.imported.findings[1])).exit_code == 1


def test_what_lies_outside_is_not_to_be_removed() -> None:
    outside = (replace(FILE, path="../base.txt"), replace(FILE, path="https://h.example/c.txt"))
    plan = replace(
        PLAN, imported=ImportedRequirements(files=(FILE, *outside)), environment=Path(".venv")
    )
    assert dict(sections(plan, Done(plan=plan)))["Next"][-1] == (
        "  To be removed by hand, once all is well: requirements.txt"
    )


ASKED: dict[str, Any] = {
    "name": None,
    "python": None,
    "from_files": (),
    "groups": (),
    "constraints": (),
    "encoding": None,
    "on_conflict": "fail",
    "keep_going": False,
    "allow_outside": False,
    "strict": False,
    "strip_credentials": False,
    "direct_only": False,
    "no_lock": False,
    "no_sync": False,
    "timeout": 300.0,
}


def test_files_are_named_from_where_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"from_files": ("app/a.txt",), "groups": ("lint=b.txt",), "constraints": ("c.txt",)}
    assert init_options(tmp_path / "app", {**ASKED, **files}) == InitOptions(
        options=ImportOptions(
            from_files=("a.txt",),
            groups=(("lint", "../b.txt"),),
            constraints=("../c.txt",),
            environ=os.environ,
        )
    )


def test_a_url_is_what_it_is_from_anywhere(tmp_path: Path) -> None:
    url = "https://h.example/c.txt"
    asked = {**ASKED, "constraints": (url,), "groups": (f"lint={url}",)}
    options = init_options(tmp_path, asked).options
    assert (options.constraints, options.groups) == ((url,), (("lint", url),))


@pytest.mark.parametrize("group", ["lint", "lint=", "=lint.txt"])
def test_a_group_is_a_name_and_a_file(tmp_path: Path, group: str) -> None:
    with pytest.raises(UsageError) as caught:
        init_options(tmp_path, {**ASKED, "groups": (group,)})
    assert caught.value.message == f"`--group {group}` is not NAME=FILE"
