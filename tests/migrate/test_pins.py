import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wheels import add_wheel, build_index

from uvflow import uv
from uvflow.findings import Finding, Origin, Severity
from uvflow.lockfile.packages import parse_lockfile
from uvflow.migrate import pyproject
from uvflow.migrate.indexes import PYPI
from uvflow.migrate.model import ImportedRequirements, Pin, Requirement
from uvflow.migrate.pins import (
    check_hashes,
    compare_pins,
    direct_only,
    seed_lockfile,
)

Assembled = Any  # see conftest

# As uv 0.13 writes it, with made-up hashes.
LOCKFILE = """
version = 1
revision = 5
requires-python = ">=3.9"

[[package]]
name = "idna"
version = "3.7"
source = { registry = "https://idx.example/simple" }
wheels = [
    { url = "https://idx.example/idna-3.7-py3-none-any.whl", hash = "sha256:cc", size = 9 },
]

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://idx.example/simple" }
sdist = { url = "https://idx.example/six-1.16.0.tar.gz", hash = "sha256:aa", size = 9 }
wheels = [
    { url = "https://idx.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:bb", size = 9 },
]
"""


def messages(findings: tuple[Finding, ...]) -> list[tuple[Severity, str]]:
    return [(finding.severity, str(finding)) for finding in findings]


def imported(assembled: Assembled, text: str) -> ImportedRequirements:
    found: ImportedRequirements = assembled({"requirements.txt": text})
    assert found.findings == ()
    return found


def test_a20_right_hashes_are_verified(assembled: Assembled) -> None:
    text = (
        "six==1.16.0 --hash=sha256:aa --hash=sha256:bb --hash=sha256:dd\n"
        "idna==3.7 --hash=sha256:cc\n"
    )
    compared, found = check_hashes(imported(assembled, text), LOCKFILE)
    assert (compared, found) == (2, ())


def test_a20_a_wrong_hash_is_an_error(assembled: Assembled) -> None:
    text = "six==1.16.0 --hash=sha256:ff\nidna==3.7 --hash=sha256:cc\n"
    compared, found = check_hashes(imported(assembled, text), LOCKFILE)
    assert compared == 2
    assert messages(found) == [
        (
            Severity.ERROR,
            "requirements.txt:1: no wheel or sdist of six 1.16.0 has the expected hash",
        )
    ]


def test_a20_archives_without_a_hash_are_a_warning(assembled: Assembled) -> None:
    compared, found = check_hashes(imported(assembled, "six==1.16.0 --hash=sha256:bb\n"), LOCKFILE)
    assert compared == 1
    assert messages(found) == [
        (Severity.WARNING, "requirements.txt:1: 1 of 2 files of six 1.16.0 have no hash here")
    ]


def test_a20_hashes_of_pins_are_compared_unless_the_version_moved(assembled: Assembled) -> None:
    files = {
        "requirements.in": "six\nidna\n",
        "requirements.txt": "six==1.15.0 --hash=sha256:ff\nidna==3.7 --hash=sha256:ee\n",
    }
    compared, found = check_hashes(assembled(files), LOCKFILE)
    assert compared == 1
    assert messages(found) == [
        (
            Severity.ERROR,
            "requirements.txt:2: no wheel or sdist of idna 3.7 has the expected hash",
        )
    ]


def test_a21_the_hash_of_a_url_is_compared(assembled: Assembled) -> None:
    text = "https://idx.example/idna-3.7-py3-none-any.whl#sha256=ff\n"
    _, found = check_hashes(imported(assembled, text), LOCKFILE)
    assert messages(found) == [
        (Severity.ERROR, "requirements.txt:1: no wheel or sdist of idna has the expected hash")
    ]


def test_an_index_without_hashes_is_told(assembled: Assembled) -> None:
    old = imported(assembled, "six==1.16.0 --hash=sha256:aa\nidna==3.7 --hash=sha256:cc\n")
    compared, found = check_hashes(old, re.sub(r', hash = ".*?"', "", LOCKFILE))
    assert compared == 0
    assert messages(found) == [
        (
            Severity.WARNING,
            "requirements.txt:1: the index gives no hash to compare of six 1.16.0, idna 3.7",
        )
    ]


def test_hashes_of_another_algorithm_are_not_compared(assembled: Assembled) -> None:
    compared, found = check_hashes(imported(assembled, "six==1.16.0 --hash=sha512:ff\n"), LOCKFILE)
    assert (compared, found) == (0, ())


BASE = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\ndependencies = []\n'


def pin(name: str, version: str, marker: str = "") -> Pin:
    origin = Origin(path="requirements.txt", line=1)
    return Pin(name=name, version=version, origin=origin, marker=marker)


def wanted(text: str, **fields: Any) -> Requirement:
    origin = Origin(path="requirements.in", line=1)
    return Requirement(text=text, name=text.split(" ", maxsplit=1)[0], origin=origin, **fields)


def locked(root: Path, imported: ImportedRequirements, lockfile: str) -> str:
    """The uv.lock that real uv makes of `imported`, starting with `lockfile`."""
    (root / "pyproject.toml").write_text(pyproject.edit(BASE, imported))
    (root / "uv.lock").write_text(lockfile)
    answer = uv.find().capture(("lock",), cwd=root)
    assert answer.code == 0, answer.err
    assert "warning" not in answer.err
    return (root / "uv.lock").read_text()


def versions(lockfile: str) -> dict[str, list[str]]:
    return {
        n: [p.version for p in ps] for n, ps in parse_lockfile(lockfile).by_name.items() if n != "p"
    }


def test_one_version_under_two_markers_is_one_package(tmp_path: Path) -> None:
    same = (pin("six", "1.15.0", "python_version >= '3.9'"), pin("six", "1.15.0", "os_name != 'x'"))
    old = ImportedRequirements(dependencies=(wanted("six"),), pins=same)
    seed = seed_lockfile(old, ">=3.9")
    assert seed.count("[[package]]") == 1
    lockfile = locked(tmp_path, old, seed)
    assert versions(lockfile)["six"] == ["1.15.0"]
    assert compare_pins(same, lockfile).kept == same


def test_without_pins_there_is_nothing_to_sow() -> None:
    assert seed_lockfile(ImportedRequirements(), ">=3.9") == ""


def test_a_first_lockfile_has_names_versions_and_sources() -> None:
    imported = ImportedRequirements(pins=(pin("six", "1.16.0"), pin("idna", "2.10")))
    assert seed_lockfile(imported, ">=3.9") == (
        "version = 1\n"
        'requires-python = ">=3.9"\n'
        "\n"
        "[[package]]\n"
        'name = "idna"\n'
        'version = "2.10"\n'
        f'source = {{ registry = "{PYPI}" }}\n'
        "\n"
        "[[package]]\n"
        'name = "six"\n'
        'version = "1.16.0"\n'
        f'source = {{ registry = "{PYPI}" }}\n'
    )


def test_a27_uv_keeps_the_pins_of_a_first_lockfile(assembled: Assembled, tmp_path: Path) -> None:
    imported = assembled(
        {
            "requirements.in": "requests\nsix\n",
            "requirements.txt": "certifi==2020.1.1\nidna==2.10\nrequests==2.28.0\nsix==1.15.0\n",
            "requirements-dev.in": "pytest\n",
            "requirements-dev.txt": "iniconfig==1.1.1\npackaging==20.0\npytest==8.0.0\n",
        }
    )
    lockfile = locked(tmp_path, imported, seed_lockfile(imported, ">=3.9"))
    assert versions(lockfile) == {
        "certifi": ["2020.1.1"],
        "idna": ["2.10"],
        "iniconfig": ["1.1.1"],
        "packaging": ["25.0"],  # there is no 20.0 any more
        "pluggy": ["1.5.0"],
        "pytest": ["8.0.0"],
        "requests": ["2.28.0"],
        "six": ["1.15.0"],
    }
    compared = compare_pins(imported.pins, lockfile)
    assert len(compared.kept) == 6
    assert [(m.pin.name, m.pin.version, m.new) for m in compared.moved] == [
        ("packaging", "20.0", ("25.0",))
    ]


def test_a_package_that_was_pinned_twice_by_marker_keeps_both(tmp_path: Path) -> None:
    old, new = 'python_version < "3.10"', 'python_version >= "3.10"'
    imported = ImportedRequirements(
        dependencies=(wanted("attrs"), wanted("six"), wanted("idna")),
        pins=(
            pin("attrs", "22.2.0", old),
            pin("attrs", "23.1.0", new),
            pin("six", "1.15.0"),
            pin("idna", "2.10", 'sys_platform == "win32"'),
            pin("idna", "3.7", 'sys_platform != "win32"'),
        ),
    )
    lockfile = locked(tmp_path, imported, seed_lockfile(imported, ">=3.9"))
    assert versions(lockfile) == {
        "attrs": ["22.2.0", "23.1.0"],
        "idna": ["2.10", "3.7"],
        "six": ["1.15.0"],
    }


def test_a_pin_of_one_platform_is_a_pin_for_all(tmp_path: Path) -> None:
    pins = (pin("six", "1.15.0", 'sys_platform == "win32"'),)
    imported = ImportedRequirements(dependencies=(wanted("six"),), pins=pins)
    assert versions(locked(tmp_path, imported, seed_lockfile(imported, ">=3.9"))) == {
        "six": ["1.15.0"]
    }


def test_a_pin_of_a_prerelease_is_kept(
    assembled: Assembled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build_index(tmp_path / "index")
    add_wheel(index, "six", "2.0b1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.as_uri())
    imported = assembled({"requirements.in": "six\n", "requirements.txt": "six==2.0b1\n"})
    assert versions(locked(tmp_path, imported, seed_lockfile(imported, ">=3.9"))) == {
        "six": ["2.0b1"]
    }


def test_a_pin_from_an_index_by_name_is_kept(tmp_path: Path) -> None:
    index = tmp_path / "cpu"
    for version in ("2.0.0+cpu", "2.1.0+cpu", "2.2.0+cpu"):
        add_wheel(index, "torch", version)
    imported = ImportedRequirements(
        dependencies=(wanted("torch", source={"index": "pytorch-cpu"}),),
        indexes=({"name": "pytorch-cpu", "url": index.as_uri(), "explicit": True},),
        pins=(pin("torch", "2.1.0+cpu"),),
    )
    lockfile = locked(tmp_path, imported, seed_lockfile(imported, ">=3.9"))
    assert versions(lockfile) == {"torch": ["2.1.0+cpu"]}


def test_the_fallback_says_the_same_as_constraints(tmp_path: Path) -> None:
    old, new = 'python_version < "3.10"', 'python_version >= "3.10"'
    pins = (pin("attrs", "22.2.0", old), pin("attrs", "23.1.0", new), pin("six", "1.15.0"))
    constraints = tuple(pin.requirement.text for pin in pins)
    assert constraints == (
        'attrs==22.2.0 ; python_version < "3.10"',
        'attrs==23.1.0 ; python_version >= "3.10"',
        "six==1.15.0",
    )
    imported = ImportedRequirements(
        dependencies=(wanted("attrs"), wanted("six")),
        settings={"constraint-dependencies": list(constraints)},
    )
    lockfile = locked(tmp_path, imported, 'version = 1\nrequires-python = ">=3.9"\n')
    assert versions(lockfile) == {"attrs": ["22.2.0", "23.1.0"], "six": ["1.15.0"]}
    assert compare_pins(pins, lockfile).kept == pins


def test_too_many_forks_are_not_asked_for() -> None:
    markers = ('python_version < "3.10"', 'python_version >= "3.10"')
    pins = (
        pin(f"p{n}", version, marker.replace("3.10", f"3.{n}"))
        for n in range(9, 14)
        for version, marker in zip(("1", "2"), markers, strict=True)
    )
    assert "resolution-markers" not in seed_lockfile(
        ImportedRequirements(pins=tuple(pins)), ">=3.9"
    )


def test_what_a_first_lockfile_quotes_is_toml() -> None:
    text = seed_lockfile(
        ImportedRequirements(pins=(pin("six", "1", "os_name == 'a\"b\\\\c'"),)), '>="3'
    )
    assert tomllib.loads(text)["requires-python"] == '>="3'


def test_pins_are_compared_as_versions() -> None:
    lockfile = """
version = 1
[[package]]
name = "six"
version = "1.16.0"
source = { registry = "x" }
[[package]]
name = "torch"
version = "2.1.0+cpu"
source = { registry = "x" }
"""
    pins = (pin("six", "1.16"), pin("torch", "2.1.0"), pin("torch", "2.1.0+cu121"), pin("x", "1"))
    compared = compare_pins(pins, lockfile)
    assert compared.kept == pins[:2]
    assert [(moved.pin, moved.new) for moved in compared.moved] == [
        (pins[2], ("2.1.0+cpu",)),
        (pins[3], ()),
    ]


FREEZE = (
    "attrs==22.2.0\ncertifi==2020.1.1\nidna==2.10\niniconfig==1.1.1\npluggy==1.5.0\n"
    "pytest==8.3.4\nrequests==2.28.0\n"
)


def test_a_commit_is_compared_by_its_name() -> None:
    old = replace(pin("j", "0"), git="https://h.example/j.git?rev=main#0123456789abcdef")
    source = 'source = { git = "https://h.example/j.git?rev=main#%s" }'
    package = 'version = 1\n[[package]]\nname = "j"\nversion = "1.5"\n' + source
    kept = compare_pins([old], package % "0123456789abcdef")
    assert (kept.kept, kept.moved) == ((old,), ())
    (moved,) = compare_pins([old], package % "fedcba9876543210").moved
    assert moved.finding.message == "j 01234567 became 1.5"


def lock(root: Path, imported: ImportedRequirements, lockfile: str = "") -> str:
    (root / "pyproject.toml").write_text(pyproject.edit(BASE, imported))
    (root / "uv.lock").unlink(missing_ok=True)
    if lockfile:
        (root / "uv.lock").write_text(lockfile)
    answer = uv.find().capture(("lock",), cwd=root)
    assert answer.code == 0, answer.err
    return (root / "uv.lock").read_text()


def resolved(lockfile: str) -> str:
    """What is locked, without what the project itself asks for."""
    parts = lockfile.split("[[package]]")
    return "[[package]]".join(part for part in parts if 'name = "p"' not in part)


def texts(imported: ImportedRequirements) -> list[str]:
    return [requirement.text for requirement in imported.dependencies]


def test_a28_only_the_roots_of_a_freeze_stay(assembled: Assembled, tmp_path: Path) -> None:
    imported = assembled({"requirements.txt": FREEZE})
    whole = lock(tmp_path, imported)
    direct = direct_only(imported, whole)
    assert texts(direct) == ["attrs==22.2.0", "pytest==8.3.4", "requests==2.28.0"]
    assert [pin.name for pin in direct.pins] == ["certifi", "idna", "iniconfig", "pluggy"]
    assert resolved(lock(tmp_path, direct, seed_lockfile(direct, ">=3.9"))) == resolved(whole)


GRAPH = """
version = 1
[[package]]
name = "a"
version = "1"
dependencies = [{ name = "b", extra = ["x"] }, { name = "d", marker = "os_name == 'nt'" }]
[[package]]
name = "b"
version = "1"
dependencies = [{ name = "a" }]
[package.optional-dependencies]
x = [{ name = "c" }]
[[package]]
name = "c"
version = "1"
[[package]]
name = "d"
version = "1"
"""


def test_extras_bring_what_they_need_and_markers_do_not(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "a==1\nc==1\nd==1\n"})
    assert texts(direct_only(imported, GRAPH)) == ["a==1", "d==1"]


def test_of_several_on_one_line_only_those_are_left_out() -> None:
    both = (pin("a", "1").requirement, pin("c", "1").requirement)
    assert {r.origin for r in both} == {both[0].origin}
    assert texts(direct_only(ImportedRequirements(dependencies=both), GRAPH)) == ["a==1"]


def test_of_packages_that_need_each_other_the_first_stays(assembled: Assembled) -> None:
    assert texts(direct_only(assembled({"requirements.txt": "b==1\na==1\n"}), GRAPH)) == ["b==1"]


def test_an_extra_that_nobody_else_asks_for_stays(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "a==1\nb[y]==1\n"})
    assert texts(direct_only(imported, GRAPH)) == ["b[y]==1"]


def test_what_is_no_plain_pin_stays(assembled: Assembled) -> None:
    text = "a==1\nb>=1\nc @ git+https://h/c\n"
    imported = assembled({"requirements.txt": text})
    assert texts(direct_only(imported, GRAPH)) == ["b>=1", "c"]  # b brings a along


def test_a_group_need_not_repeat_what_the_project_brings(assembled: Assembled) -> None:
    files = {"requirements.txt": "a==1\n", "requirements-dev.txt": "c==1\nd==1\n"}
    direct = direct_only(assembled(files), GRAPH)
    assert [e.text for e in direct.groups["dev"]] == ["d==1"]  # type: ignore[union-attr]  # no include
    assert [str(pin.origin) for pin in direct.pins] == ["requirements-dev.txt:1"]
