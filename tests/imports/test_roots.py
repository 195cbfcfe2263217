from pathlib import Path
from typing import Any

from uvflow import pyproject, uv
from uvflow.imports.model import Import
from uvflow.imports.pins import seed
from uvflow.imports.roots import direct_only

Assembled = Any  # see conftest

BASE = '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\ndependencies = []\n'
FREEZE = (
    "attrs==22.2.0\ncertifi==2020.1.1\nidna==2.10\niniconfig==1.1.1\npluggy==1.5.0\n"
    "pytest==8.3.4\nrequests==2.28.0\n"
)


def lock(root: Path, imported: Import, lockfile: str = "") -> str:
    (root / "pyproject.toml").write_text(pyproject.edited(BASE, imported).text)
    (root / "uv.lock").unlink(missing_ok=True)
    if lockfile:
        (root / "uv.lock").write_text(lockfile)
    answer = uv.find().ask(("lock",), cwd=root)
    assert answer.code == 0, answer.err
    return (root / "uv.lock").read_text()


def resolved(lockfile: str) -> str:
    """What is locked, without what the project itself asks for."""
    parts = lockfile.split("[[package]]")
    return "[[package]]".join(part for part in parts if 'name = "p"' not in part)


def texts(imported: Import) -> list[str]:
    return [requirement.text for requirement in imported.dependencies]


def test_a28_only_the_roots_of_a_freeze_stay(assembled: Assembled, tmp_path: Path) -> None:
    imported = assembled({"requirements.txt": FREEZE})
    whole = lock(tmp_path, imported)
    direct = direct_only(imported, whole)
    assert texts(direct) == ["attrs==22.2.0", "pytest==8.3.4", "requests==2.28.0"]
    assert [pin.name for pin in direct.pins] == ["certifi", "idna", "iniconfig", "pluggy"]
    assert resolved(lock(tmp_path, direct, seed(direct, ">=3.9"))) == resolved(whole)


LOCKFILE = """
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
    assert texts(direct_only(imported, LOCKFILE)) == ["a==1", "d==1"]


def test_of_packages_that_need_each_other_the_first_stays(assembled: Assembled) -> None:
    assert texts(direct_only(assembled({"requirements.txt": "b==1\na==1\n"}), LOCKFILE)) == ["b==1"]


def test_an_extra_that_nobody_else_asks_for_stays(assembled: Assembled) -> None:
    imported = assembled({"requirements.txt": "a==1\nb[y]==1\n"})
    assert texts(direct_only(imported, LOCKFILE)) == ["b[y]==1"]


def test_what_is_no_plain_pin_stays(assembled: Assembled) -> None:
    text = "a==1\nb>=1\nc @ git+https://h/c\n"
    imported = assembled({"requirements.txt": text})
    assert texts(direct_only(imported, LOCKFILE)) == ["a==1", "b>=1", "c"]


def test_a_group_need_not_repeat_what_the_project_brings(assembled: Assembled) -> None:
    files = {"requirements.txt": "a==1\n", "requirements-dev.txt": "c==1\nd==1\n"}
    direct = direct_only(assembled(files), LOCKFILE)
    assert [e.text for e in direct.groups["dev"]] == ["d==1"]  # type: ignore[union-attr]  # no include
    assert [str(pin.origin) for pin in direct.pins] == ["requirements-dev.txt:1"]
