from pathlib import Path
from typing import Any

import pytest

from uvflow import pyproject, uv
from uvflow.imports.lockfile import packages
from uvflow.imports.model import Import, Severity

Assembled = Any  # see conftest

GROUPS = {
    "requirements.txt": "attrs\n",
    "requirements-dev.txt": "-r requirements-test.txt\n",
    "requirements-test.txt": "six==1.15.0\n",
    "requirements-docs.txt": "six==1.16.0\n",
}
CONTRADICTION = (
    "requirements-test.txt:1: `six==1.15.0` contradicts `six==1.16.0` (requirements-docs.txt:1)"
)


def told(imported: Import) -> list[tuple[Severity, str, str | None]]:
    return [(f.severity, str(f), f.hint) for f in imported.findings]


def test_a14_groups_that_contradict_stop_the_import(assembled: Assembled) -> None:
    hint = "make the two lines agree, or keep the two groups apart with `--on-conflict=declare`"
    assert told(assembled(GROUPS)) == [(Severity.ERROR, CONTRADICTION, hint)]


def test_a14_prefer_base_knows_no_base_between_groups(assembled: Assembled) -> None:
    assert told(assembled(GROUPS, on_conflict="prefer-base")) == told(assembled(GROUPS))


def test_a14_declared_conflicts_keep_both(assembled: Assembled) -> None:
    imported = assembled(GROUPS, on_conflict="declare")
    assert imported.settings == {"conflicts": [[{"group": "docs"}, {"group": "test"}]]}
    assert told(imported) == [
        (
            Severity.WARNING,
            f"{CONTRADICTION}: groups docs and test cannot be synced together",
            None,
        )
    ]


def test_a14_a_declared_conflict_is_locked_with_both(assembled: Assembled, tmp_path: Path) -> None:
    imported = assembled(GROUPS, on_conflict="declare")
    base = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\n'
    (tmp_path / "pyproject.toml").write_text(pyproject.edited(base, imported).text)
    answer = uv.find().ask(("lock",), cwd=tmp_path)
    assert answer.code == 0, answer.err
    locked = packages((tmp_path / "uv.lock").read_text())
    assert [package.version for package in locked["six"]] == ["1.15.0", "1.16.0"]


@pytest.mark.parametrize("on_conflict", ["fail", "declare"])
def test_a14_the_project_cannot_be_kept_apart_from_its_groups(
    assembled: Assembled, on_conflict: str
) -> None:
    files = {"requirements.txt": "six==1.16.0\n", "requirements-dev.txt": "six==1.15.0\n"}
    hint = "make the two lines agree, or take the project's with `--on-conflict=prefer-base`"
    assert told(assembled(files, on_conflict=on_conflict)) == [
        (
            Severity.ERROR,
            "requirements-dev.txt:1: `six==1.15.0` contradicts `six==1.16.0` (requirements.txt:1)",
            hint,
        )
    ]


def test_a14_a_group_cannot_be_kept_apart_from_one_it_includes(assembled: Assembled) -> None:
    files = {
        "requirements-dev.txt": "-r requirements-test.txt\nsix==1.16.0\n",
        "requirements-test.txt": "six==1.15.0\n",
    }
    imported = assembled(files, on_conflict="declare")
    assert [(severity, hint) for severity, _, hint in told(imported)] == [
        (Severity.ERROR, "make the two lines agree")
    ]
    assert imported.settings == {}


def test_two_sources_need_a_marker_each(assembled: Assembled) -> None:
    text = "x @ git+https://h/a\nx @ git+https://h/b ; os_name == 'nt'\n"
    assert told(assembled({"requirements.txt": text}, on_conflict="prefer-base")) == [
        (
            Severity.ERROR,
            "requirements.txt:2: `x ; os_name == 'nt'` contradicts `x` (requirements.txt:1)",
            "make the two lines agree",
        )
    ]


def test_different_markers_are_left_to_the_resolver(assembled: Assembled) -> None:
    files = {
        "requirements.txt": "six==1.16.0 ; python_version >= '3.10'\n",
        "requirements-dev.txt": "six==1.15.0 ; python_version < '3.10'\n",
    }
    assert assembled(files).findings == ()
