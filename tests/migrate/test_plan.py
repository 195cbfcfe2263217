import os
from pathlib import Path
from typing import Any

import pytest

from uvflow.errors import UsageError
from uvflow.findings import Origin, warning
from uvflow.migrate.model import Bucket, FileReport, ImportOptions, with_buckets
from uvflow.migrate.plan import InitOptions, Plan, init_options

ORIGIN = Origin(path="requirements.txt", line=3)


def test_findings_are_added_to_those_of_the_files() -> None:
    first, second = warning("a", "first", ORIGIN), warning("b", "second", ORIGIN)
    plan = Plan(root=Path("app"), before=None, text="").with_findings(first)
    assert plan.with_findings(second).imported.findings == (first, second)


def test_a_line_is_counted_in_the_bucket_it_went_to() -> None:
    file = FileReport(
        path="requirements.txt",
        format="requirements",
        role="project",
        outcomes={
            Origin(path="requirements.txt", line=1): Bucket.IMPORTED,
            Origin(path="requirements.txt", line=2): Bucket.IMPORTED,
            ORIGIN: Bucket.IMPORTED,
            Origin(path="requirements.txt", line=4): Bucket.SETTING,
        },
    )
    elsewhere = Origin(path="requirements-dev.txt", line=3)
    moves = {ORIGIN: Bucket.ACTION, elsewhere: Bucket.ACTION}
    buckets = {Bucket.IMPORTED: 2, Bucket.SETTING: 1, Bucket.ACTION: 1}
    (moved,) = with_buckets((file,), moves)
    assert moved.buckets == buckets


@pytest.mark.parametrize(
    ("outcome", "move", "buckets"),
    [
        (Bucket.ACTION, Bucket.MERGED, {Bucket.ACTION: 1}),  # a password was taken out of it
        (Bucket.SETTING, Bucket.MERGED, {Bucket.MERGED: 1}),  # a constraint that is there already
        (Bucket.MERGED, Bucket.ACTION, {Bucket.ACTION: 1}),  # a pin that moved
    ],
)
def test_a_line_leaves_the_bucket_that_it_was_in(
    outcome: Bucket, move: Bucket, buckets: dict[Bucket, int]
) -> None:
    file = FileReport(
        path="requirements.txt",
        format="requirements",
        role="project",
        outcomes={ORIGIN: outcome},
    )
    once = with_buckets((file,), {ORIGIN: move})
    twice = with_buckets(once, {ORIGIN: move})
    assert [once[0].buckets, twice[0].buckets] == [buckets, buckets]


GIVEN: dict[str, Any] = {
    "name": None,
    "python": None,
    "from_files": (),
    "ignored": (),
    "groups": (),
    "constraints": (),
    "encoding": None,
    "on_conflict": "fail",
    "keep_going": False,
    "allow_outside": False,
    "strict": False,
    "strip_credentials": False,
    "direct_only": False,
    "fresh": False,
    "here": False,
    "dry_run": False,
    "no_lock": False,
    "no_sync": False,
    "no_build": False,
    "timeout": 300.0,
}


def test_files_are_named_from_where_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"from_files": ("app/a.txt",), "groups": ("lint=b.txt",), "constraints": ("c.txt",)}
    assert init_options(tmp_path / "app", {**GIVEN, **files}) == InitOptions(
        imports=ImportOptions(
            from_files=("a.txt",),
            groups=(("lint", "../b.txt"),),
            constraints=("../c.txt",),
            environ=os.environ,
        )
    )


def test_a_url_is_what_it_is_from_anywhere(tmp_path: Path) -> None:
    url = "https://h.example/c.txt"
    given = {**GIVEN, "constraints": (url,), "groups": (f"lint={url}",)}
    options = init_options(tmp_path, given).imports
    assert (options.constraints, options.groups) == ((url,), (("lint", url),))


@pytest.mark.parametrize("group", ["lint", "lint=", "=lint.txt"])
def test_a_group_is_a_name_and_a_file(tmp_path: Path, group: str) -> None:
    with pytest.raises(UsageError) as caught:
        init_options(tmp_path, {**GIVEN, "groups": (group,)})
    assert caught.value.message == f"`--group {group}` is not NAME=FILE"
