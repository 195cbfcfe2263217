import tomllib
from pathlib import Path
from typing import Any

import pytest
from wheels import add_wheel, build_index

from uvflow import pyproject, uv
from uvflow.imports.indexes import PYPI
from uvflow.imports.lockfile import packages
from uvflow.imports.model import Import, Origin, Pin, Requirement
from uvflow.imports.pins import as_constraints, compare, seed

Assembled = Any  # see conftest
BASE = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\ndependencies = []\n'


def pin(name: str, version: str, marker: str = "") -> Pin:
    origin = Origin(path="requirements.txt", line=1)
    return Pin(name=name, version=version, origin=origin, marker=marker)


def wanted(text: str, **fields: Any) -> Requirement:
    origin = Origin(path="requirements.in", line=1)
    return Requirement(text=text, name=text.split(" ", maxsplit=1)[0], origin=origin, **fields)


def locked(root: Path, imported: Import, lockfile: str) -> str:
    """The uv.lock that real uv makes of `imported`, starting with `lockfile`."""
    (root / "pyproject.toml").write_text(pyproject.edited(BASE, imported).text)
    (root / "uv.lock").write_text(lockfile)
    answer = uv.find().ask(("lock",), cwd=root)
    assert answer.code == 0, answer.err
    assert "warning" not in answer.err
    return (root / "uv.lock").read_text()


def versions(lockfile: str) -> dict[str, list[str]]:
    return {n: [p.version for p in ps] for n, ps in packages(lockfile).items() if n != "p"}


def test_without_pins_there_is_nothing_to_sow() -> None:
    assert seed(Import(), ">=3.9") == ""


def test_a_first_lockfile_has_names_versions_and_sources() -> None:
    imported = Import(pins=(pin("six", "1.16.0"), pin("idna", "2.10")))
    assert seed(imported, ">=3.9") == (
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
    lockfile = locked(tmp_path, imported, seed(imported, ">=3.9"))
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
    compared = compare(imported.pins, lockfile)
    assert len(compared.kept) == 6
    assert [(m.pin.name, m.pin.version, m.new) for m in compared.moved] == [
        ("packaging", "20.0", ("25.0",))
    ]


def test_a_package_that_was_pinned_twice_by_marker_keeps_both(tmp_path: Path) -> None:
    old, new = 'python_version < "3.10"', 'python_version >= "3.10"'
    imported = Import(
        dependencies=(wanted("attrs"), wanted("six"), wanted("idna")),
        pins=(
            pin("attrs", "22.2.0", old),
            pin("attrs", "23.1.0", new),
            pin("six", "1.15.0"),
            pin("idna", "2.10", 'sys_platform == "win32"'),
            pin("idna", "3.7", 'sys_platform != "win32"'),
        ),
    )
    lockfile = locked(tmp_path, imported, seed(imported, ">=3.9"))
    assert versions(lockfile) == {
        "attrs": ["22.2.0", "23.1.0"],
        "idna": ["2.10", "3.7"],
        "six": ["1.15.0"],
    }


def test_a_pin_of_one_platform_is_a_pin_for_all(tmp_path: Path) -> None:
    pins = (pin("six", "1.15.0", 'sys_platform == "win32"'),)
    imported = Import(dependencies=(wanted("six"),), pins=pins)
    assert versions(locked(tmp_path, imported, seed(imported, ">=3.9"))) == {"six": ["1.15.0"]}


def test_a_pin_of_a_prerelease_is_kept(
    assembled: Assembled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build_index(tmp_path / "index")
    add_wheel(index, "six", "2.0b1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.as_uri())
    imported = assembled({"requirements.in": "six\n", "requirements.txt": "six==2.0b1\n"})
    assert versions(locked(tmp_path, imported, seed(imported, ">=3.9"))) == {"six": ["2.0b1"]}


def test_a_pin_from_an_index_by_name_is_kept(tmp_path: Path) -> None:
    index = tmp_path / "cpu"
    for version in ("2.0.0+cpu", "2.1.0+cpu", "2.2.0+cpu"):
        add_wheel(index, "torch", version)
    imported = Import(
        dependencies=(wanted("torch", source={"index": "pytorch-cpu"}),),
        indexes=({"name": "pytorch-cpu", "url": index.as_uri(), "explicit": True},),
        pins=(pin("torch", "2.1.0+cpu"),),
    )
    lockfile = locked(tmp_path, imported, seed(imported, ">=3.9"))
    assert versions(lockfile) == {"torch": ["2.1.0+cpu"]}


def test_the_fallback_says_the_same_as_constraints(tmp_path: Path) -> None:
    old, new = 'python_version < "3.10"', 'python_version >= "3.10"'
    pins = (pin("attrs", "22.2.0", old), pin("attrs", "23.1.0", new), pin("six", "1.15.0"))
    constraints = as_constraints(pins)
    assert constraints == (
        'attrs==22.2.0 ; python_version < "3.10"',
        'attrs==23.1.0 ; python_version >= "3.10"',
        "six==1.15.0",
    )
    imported = Import(
        dependencies=(wanted("attrs"), wanted("six")),
        settings={"constraint-dependencies": list(constraints)},
    )
    lockfile = locked(tmp_path, imported, 'version = 1\nrequires-python = ">=3.9"\n')
    assert versions(lockfile) == {"attrs": ["22.2.0", "23.1.0"], "six": ["1.15.0"]}
    assert compare(pins, lockfile).kept == pins


def test_too_many_forks_are_not_asked_for() -> None:
    markers = ('python_version < "3.10"', 'python_version >= "3.10"')
    pins = (
        pin(f"p{n}", version, marker.replace("3.10", f"3.{n}"))
        for n in range(9, 14)
        for version, marker in zip(("1", "2"), markers, strict=True)
    )
    assert "resolution-markers" not in seed(Import(pins=tuple(pins)), ">=3.9")


def test_what_a_first_lockfile_quotes_is_toml() -> None:
    text = seed(Import(pins=(pin("six", "1", "os_name == 'a\"b\\\\c'"),)), '>="3')
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
    compared = compare(pins, lockfile)
    assert compared.kept == pins[:2]
    assert [(moved.pin, moved.new) for moved in compared.moved] == [
        (pins[2], ("2.1.0+cpu",)),
        (pins[3], ()),
    ]
