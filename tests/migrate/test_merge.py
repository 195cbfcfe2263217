import itertools
from pathlib import Path
from typing import Any

import pytest

from uvflow import uv
from uvflow.findings import Severity
from uvflow.lockfile.packages import read_lockfile
from uvflow.migrate import pyproject
from uvflow.migrate.formats.pip.requirements_txt import parse_requirements
from uvflow.migrate.formats.pip.sources import read_requirement
from uvflow.migrate.ledger import LineOutcomes
from uvflow.migrate.merge import cannot_both_hold, merge_entries, pinned_version
from uvflow.migrate.model import ImportedRequirements, ImportOptions, Requirement

Assembled = Any  # see conftest

GROUPS = {
    "requirements.txt": "attrs\n",
    "requirements-dev.txt": "-r requirements-test.txt\n",
    "requirements-test.txt": "six==1.15.0\n",
    "requirements-docs.txt": "six==1.16.0\n",
}
CONTRADICTION = (
    "requirements-test.txt:1: `six==1.15.0` conflicts with `six==1.16.0` (requirements-docs.txt:1)"
)


def messages(imported: ImportedRequirements) -> list[tuple[Severity, str, str | None]]:
    return [(f.severity, str(f), f.hint) for f in imported.findings]


def test_a14_groups_that_contradict_stop_the_import(assembled: Assembled) -> None:
    hint = "make the two lines agree, or keep the two groups apart with `--on-conflict=declare`"
    assert messages(assembled(GROUPS)) == [(Severity.ERROR, CONTRADICTION, hint)]


def test_a14_prefer_base_knows_no_base_between_groups(assembled: Assembled) -> None:
    assert messages(assembled(GROUPS, on_conflict="prefer-base")) == messages(assembled(GROUPS))


def test_a14_declared_conflicts_keep_both(assembled: Assembled) -> None:
    imported = assembled(GROUPS, on_conflict="declare")
    assert imported.settings == {"conflicts": [[{"group": "docs"}, {"group": "test"}]]}
    assert messages(imported) == [
        (
            Severity.WARNING,
            f"{CONTRADICTION}: groups docs and test cannot be synced together",
            None,
        )
    ]


def test_a14_a_declared_conflict_is_locked_with_both(assembled: Assembled, tmp_path: Path) -> None:
    imported = assembled(GROUPS, on_conflict="declare")
    base = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\n'
    (tmp_path / "pyproject.toml").write_text(pyproject.edit(base, imported))
    answer = uv.find().capture(("lock",), cwd=tmp_path)
    assert answer.code == 0, answer.err
    locked = read_lockfile(tmp_path / "uv.lock").by_name
    assert [package.version for package in locked["six"]] == ["1.15.0", "1.16.0"]


BASE = {"requirements.txt": "six==1.16.0\n", "requirements-dev.txt": "six==1.15.0\n"}
WITH_BASE = (
    "requirements-dev.txt:1: `six==1.15.0` conflicts with `six==1.16.0` (requirements.txt:1)"
)


def test_a14_a_group_that_contradicts_the_project_stops_the_import(assembled: Assembled) -> None:
    hint = "make the two lines agree, or use the project's with `--on-conflict=prefer-base`"
    assert messages(assembled(BASE)) == [(Severity.ERROR, WITH_BASE, hint)]


@pytest.mark.parametrize("on_conflict", ["prefer-base", "declare"])
def test_a14_the_project_cannot_be_kept_apart_from_its_groups(
    assembled: Assembled, on_conflict: str
) -> None:
    imported = assembled(BASE, on_conflict=on_conflict)
    assert messages(imported) == [
        (Severity.ACTION, f"{WITH_BASE}: the project's line is used", None)
    ]
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
    assert [(severity, hint) for severity, _, hint in messages(imported)] == [
        (Severity.ERROR, "make the two lines agree")
    ]
    assert imported.settings == {}


def test_two_sources_need_a_marker_each(assembled: Assembled) -> None:
    text = "x @ git+https://h/a\nx @ git+https://h/b ; os_name == 'nt'\n"
    assert messages(assembled({"requirements.txt": text}, on_conflict="prefer-base")) == [
        (
            Severity.ERROR,
            "requirements.txt:2: `x ; os_name == 'nt'` conflicts with `x` (requirements.txt:1)",
            "make the two lines agree",
        )
    ]


def test_different_markers_are_left_to_the_resolver(assembled: Assembled) -> None:
    files = {
        "requirements.txt": "six==1.16.0 ; python_version >= '3.10'\n",
        "requirements-dev.txt": "six==1.15.0 ; python_version < '3.10'\n",
    }
    assert assembled(files).findings == ()


def test_two_sources_cannot_be_kept_apart(assembled: Assembled) -> None:
    files = {
        "requirements-a.txt": "x @ https://h.example/a/x-1.tar.gz ; os_name == 'nt'\n",
        "requirements-b.txt": "x @ https://h.example/b/x-1.tar.gz ; os_name == 'nt'\n",
    }
    imported = assembled(files, on_conflict="declare")
    assert [(severity, hint) for severity, _, hint in messages(imported)] == [
        (Severity.ERROR, "make the two lines agree")
    ]
    assert imported.settings == {}


def absent(_path: str) -> bytes:
    raise FileNotFoundError


def requirements(*lines: str) -> list[Requirement]:
    parsed = parse_requirements("\n".join(lines).encode(), "r.txt").lines
    found = [read_requirement(line, ImportOptions(), absent).requirement for line in parsed]
    return [requirement for requirement in found if requirement]


def outcomes() -> LineOutcomes:
    return LineOutcomes(options=ImportOptions())


def merged(*lines: str) -> list[str]:
    entries = merge_entries(requirements(*lines), outcomes())
    return [entry.text for entry in entries if isinstance(entry, Requirement)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("six", "Six"), ["six"]),
        (("six>=1.15", "six>=1.15,<2"), ["six>=1.15,<2"]),
        (("six>=1.15", "six", "six==1.16.0"), ["six==1.16.0"]),
        (("six==1.16", "six==1.16.0"), ["six==1.16"]),
        (("six>=1.15", "six<2"), ["six>=1.15", "six<2"]),
        (("requests", "requests[socks]"), ["requests[socks]"]),
        (("requests[socks]", "requests>=2"), ["requests[socks]", "requests>=2"]),
        (("six", "six ; os_name == 'nt'"), ["six", "six ; os_name == 'nt'"]),
        (("six ; os_name == 'nt'", "six;os_name=='nt'"), ["six ; os_name == 'nt'"]),
        (("a", "six", "b", "six==1.16.0"), ["a", "six==1.16.0", "b"]),
        (("x", "x @ git+https://h/r"), ["x"]),
        (("git+https://h/r", "git+https://h/r"), ["git+https://h/r"]),
        (("torch==2.1.0", "torch==2.1.0+cpu"), ["torch==2.1.0+cpu"]),
    ],
)
def test_a12_what_says_the_same_becomes_one(lines: tuple[str, ...], expected: list[str]) -> None:
    assert merged(*lines) == expected


def test_of_a_plain_name_and_one_with_a_source_the_source_stays() -> None:
    (kept,) = merge_entries(requirements("x", "x @ git+https://h/r"), outcomes())
    assert isinstance(kept, Requirement)
    assert kept.source == {"git": "https://h/r"}


def test_comments_and_hashes_of_what_is_merged_are_kept() -> None:
    lines = ("# one", "six  # two", "# three", "six==1.16.0 --hash=sha256:aa  # four")
    (kept,) = merge_entries(requirements(*lines, "six==1.16.0 --hash=sha256:bb"), outcomes())
    assert isinstance(kept, Requirement)
    assert (kept.above, kept.comment) == (("# three", "# one", "# two"), "# four")
    assert kept.hashes == ("sha256:aa", "sha256:bb")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("six==1.16.0", "six==1.15.0", True),
        ("six==1.16.0", "six<1.16", True),
        ("six==1.16.0", "six>=1.16", False),
        ("six==1.16.0", "six==1.*", False),
        ("six>=2", "six<1", False),
        ("torch==2.1.0+cpu", "torch==2.1.0+cu121", True),
        ("x @ git+https://h/r", "x @ git+https://h/s", True),
        ("x @ git+https://h/r@main", "x @ git+https://h/r@main", False),
        ("x @ git+https://h/r", "x==1.0", False),
        ("six==2.0b1", "six>=1", False),
    ],
)
def test_a13_what_cannot_both_hold_is_known(one: str, other: str, *, expected: bool) -> None:
    for pair in itertools.permutations(requirements(one, other)):
        assert cannot_both_hold(*pair) is expected


def test_a13_each_line_is_told_once_however_many_there_are() -> None:
    found = outcomes()
    merge_entries(requirements("six==1", "six==2", "six==3", "six==4"), found)
    assert [str(finding) for finding in found.findings] == [
        f"r.txt:{line}: `six=={line}` conflicts with `six==1` (r.txt:1)" for line in (2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("six==1.16.0", "1.16.0"),
        ("six === 1.16.0", "1.16.0"),
        ("six==1.*", None),
        ("six>=1.16.0", None),
        ("six==1.16.0,!=1.17", None),
        ("six", None),
    ],
)
def test_a_pin_is_one_exact_version(line: str, version: str | None) -> None:
    assert pinned_version(requirements(line)[0]) == version
