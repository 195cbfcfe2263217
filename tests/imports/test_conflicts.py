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


BASE = {"requirements.txt": "six==1.16.0\n", "requirements-dev.txt": "six==1.15.0\n"}
WITH_BASE = "requirements-dev.txt:1: `six==1.15.0` contradicts `six==1.16.0` (requirements.txt:1)"


def test_a14_a_group_that_contradicts_the_project_stops_the_import(assembled: Assembled) -> None:
    hint = "make the two lines agree, or take the project's with `--on-conflict=prefer-base`"
    assert told(assembled(BASE)) == [(Severity.ERROR, WITH_BASE, hint)]


@pytest.mark.parametrize("on_conflict", ["prefer-base", "declare"])
def test_a14_the_project_cannot_be_kept_apart_from_its_groups(
    assembled: Assembled, on_conflict: str
) -> None:
    imported = assembled(BASE, on_conflict=on_conflict)
    assert told(imported) == [(Severity.ACTION, f"{WITH_BASE}: the project's is taken", None)]
    assert imported.groups == {"dev": ()}
    assert imported.settings == {}


def test_a14_conflicts_of_both_kinds_can_be_settled_at_once(assembled: Assembled) -> None:
    files = {**BASE, "requirements-a.txt": "toml==0.10.1\n", "requirements-b.txt": "toml==0.10.2\n"}
    imported = assembled(files, on_conflict="declare")
    assert [finding.severity for finding in imported.findings] == [
        Severity.ACTION,
        Severity.WARNING,
    ]
    assert imported.settings == {"conflicts": [[{"group": "a"}, {"group": "b"}]]}


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


def test_sources_of_groups_that_are_kept_apart_say_their_group(assembled: Assembled) -> None:
    files = {
        "requirements-a.txt": "x @ https://h.example/a/x-1.tar.gz ; os_name == 'nt'\n",
        "requirements-b.txt": "x @ https://h.example/b/x-1.tar.gz ; os_name == 'nt'\n",
        "requirements-dev.txt": "-r requirements-a.txt\n",
    }
    marker = "os_name == 'nt'"
    assert assembled(files, on_conflict="declare").sources == {
        "x": [
            {"url": "https://h.example/a/x-1.tar.gz", "marker": marker, "group": "a"},
            {"url": "https://h.example/a/x-1.tar.gz", "marker": marker, "group": "dev"},
            {"url": "https://h.example/b/x-1.tar.gz", "marker": marker, "group": "b"},
        ]
    }
