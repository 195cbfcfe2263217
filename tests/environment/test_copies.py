"""Copies are made here by hand; tests/integration/test_copies.py has uv make them."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from rig import Tree

from uvflow.environment import copies
from uvflow.environment.context import SyncContext
from uvflow.environment.copies import LocalCopy, find_copies, outdated_copies, remember_copies
from uvflow.project.manifest import Project
from uvflow.project.profiles import BUILT_IN, Choice

MANIFEST = '[project]\nname = "shop"\nversion = "1"\n'
SITE = "Lib/site-packages" if sys.platform == "win32" else "lib/python3.12/site-packages"


def lock(**sources: str) -> str:
    return "".join(
        f'\n[[package]]\nname = "{name}"\nsource = {{ {source} }}\n'
        for name, source in sources.items()
    )


@pytest.fixture
def shop(tree: Tree) -> Path:
    """A project whose package lies around that of another package."""
    return tree(
        {
            "pyproject.toml": MANIFEST,
            "src/shop.py": "price = 1",
            "libs/api/api.py": "",
            "uv.lock": lock(shop='editable = "."', api='editable = "libs/api"'),
        }
    )


def context_of(root: Path, profile: str = "prod") -> SyncContext:
    return SyncContext.of(Project.load(root), Choice(profile=BUILT_IN[profile]))


def install(root: Path, name: str = "shop", *, editable: bool = False) -> Path:
    info = root / ".venv" / SITE / f"{name}-1.dist-info"
    shutil.rmtree(info, ignore_errors=True)
    info.mkdir(parents=True)
    (root / ".venv" / "pyvenv.cfg").touch()
    origin = {"url": root.as_uri(), "dir_info": {"editable": editable}}
    (info / "direct_url.json").write_text(json.dumps(origin))
    return info


def copy_of(root: Path, name: str = "shop") -> LocalCopy:
    return next(copy for copy in find_copies(context_of(root)) if copy.name == name)


def sync(root: Path) -> None:
    """What a sync does about copies."""
    found = find_copies(context_of(root))
    install(root)
    remember_copies(context_of(root), found)


def test_a_copy_is_current_until_its_sources_change(shop: Path) -> None:
    sync(shop)
    assert copy_of(shop).is_current
    os.utime(shop / "src" / "shop.py")
    assert copy_of(shop).is_current
    (shop / "src" / "shop.py").write_text("price = 2")
    assert not copy_of(shop).is_current
    assert outdated_copies(context_of(shop)) == ("shop",)


def test_a_copy_that_another_made_may_be_of_any_age(shop: Path) -> None:
    sync(shop)
    install(shop)
    assert not copy_of(shop).is_current


def test_where_nothing_is_remembered_the_times_tell_whether_a_copy_is_outdated(shop: Path) -> None:
    info = install(shop)
    (shop / "src" / "shop.py").touch()
    os.utime(info, ns=(0, 0))
    assert outdated_copies(context_of(shop)) == ("shop",)
    for path in (shop / "pyproject.toml", shop / "src" / "shop.py"):
        os.utime(path, ns=(0, 0))
    assert outdated_copies(context_of(shop)) == ()
    assert not copy_of(shop).is_current


def test_what_is_not_installed_is_neither_current_nor_outdated(shop: Path) -> None:
    sync(shop)
    shutil.rmtree(shop / ".venv")
    assert not copy_of(shop).is_current
    assert outdated_copies(context_of(shop)) == ()


def test_an_editable_install_is_not_a_copy(shop: Path) -> None:
    install(shop, editable=True)
    assert copy_of(shop).installed == ""


def test_dev_copies_what_its_source_says_is_not_editable(shop: Path) -> None:
    assert find_copies(context_of(shop, "dev")) == ()
    (shop / "uv.lock").write_text(lock(shop='editable = "."', api='directory = "libs/api"'))
    assert [copy.name for copy in find_copies(context_of(shop, "dev"))] == ["api"]


def test_a_change_in_a_package_inside_is_a_change_of_that_one_only(shop: Path) -> None:
    before = copy_of(shop), copy_of(shop, "api")
    (shop / "libs" / "api" / "api.py").write_text("x = 1")
    assert copy_of(shop).digest == before[0].digest
    assert copy_of(shop, "api").digest != before[1].digest


def test_only_what_is_installed_is_watched(shop: Path) -> None:
    found = find_copies(context_of(shop))
    assert remember_copies(context_of(shop), found) == ()
    install(shop, "api")
    answers = remember_copies(context_of(shop), found)
    assert answers == copy_of(shop, "api").answers
    assert answers[0] == os.fsencode(f"sources {shop / 'libs' / 'api'}")


def test_too_many_sources_are_neither_compared_nor_watched(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_MOST", 2)
    found = find_copies(context_of(shop))
    install(shop)
    assert remember_copies(context_of(shop), found) is None
    assert not copy_of(shop).is_current


@pytest.mark.parametrize("garbled", [b"", b"{", b"[]", b'{"x": 1}', b"\xff"])
def test_a_garbled_memory_counts_as_none(shop: Path, garbled: bytes) -> None:
    sync(shop)
    context_of(shop).state.write("copies.json", garbled)
    assert not copy_of(shop).is_current
    sync(shop)
    assert copy_of(shop).is_current


def test_each_environment_has_a_memory_of_its_own(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(shop)
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", ".venv-other")
    assert not copy_of(shop).is_current
    monkeypatch.delenv("UV_PROJECT_ENVIRONMENT")
    assert copy_of(shop).is_current


def test_what_is_remembered_of_an_environment_goes_with_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(shop)
    (shop / ".venv").rename(shop / ".venv-renamed")
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", ".venv-renamed")
    remember_copies(context_of(shop), find_copies(context_of(shop)))
    assert [*context_of(shop).state.read_json("copies.json")] == [f"{shop}/.venv-renamed shop"]
