import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from rig import Tree, changing
from wheels import add_wheel

from uvflow.errors import ImportNeedsUserError
from uvflow.findings import Origin
from uvflow.migrate import pins
from uvflow.migrate.lock import write_lockfile
from uvflow.migrate.model import ImportedRequirements, Pin, Requirement
from uvflow.migrate.plan import InitResult, Plan
from uvflow.uv import find

ORIGIN = Origin(path="requirements.txt", line=1)
PYTHON = f">={sys.version_info.major}.{sys.version_info.minor}"


def locked(root: Path, needs: str, **imported: Any) -> InitResult:
    """A lock of a project that needs one thing."""
    text = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{PYTHON}"\n'
    text += f'dependencies = ["{needs}"]\n'
    (root / "pyproject.toml").write_text(text)
    old = ImportedRequirements(**imported)
    plan = Plan(
        root=root, before=None, text=text, imported=old, seed=pins.seed_lockfile(old, PYTHON)
    )
    with changing(root) as files:
        return write_lockfile(plan, uv=find(), environ=os.environ, files=files)


def test_an_old_pin_is_kept(tree: Tree) -> None:
    pin = Pin(name="six", version="1.15.0", origin=ORIGIN)
    root = tree({})
    done = locked(root, "six", pins=(pin,))
    assert (done.pins.kept, done.pins.moved) == ((pin,), ())
    assert 'name = "six"\nversion = "1.15.0"\n' in (root / "uv.lock").read_text()


def test_a_pin_that_is_gone_leaves_the_best_there_is(tree: Tree) -> None:
    pin = Pin(name="six", version="0.0.1", origin=ORIGIN)
    root = tree({})
    done = locked(root, "six", pins=(pin,))
    assert [(moved.pin, moved.new) for moved in done.pins.moved] == [(pin, ("1.17.0",))]
    assert 'name = "six"\nversion = "1.17.0"\n' in (root / "uv.lock").read_text()
    assert "constraint" not in (root / "pyproject.toml").read_text()


NEWER = ("1.0", "2.0", "3.0")  # versions of a checker, of which the first takes an old six


@pytest.fixture
def checker(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(index, tmp_path / "index")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "index").as_uri())
    for version in NEWER:
        requires = ("six>=1.17", "idna>=3.10") if version != "1.0" else ("six", "idna")
        add_wheel(tmp_path / "index", "checker", version, requires)


def old_pin(name: str, version: str) -> Pin:
    return Pin(name=name, version=version, origin=ORIGIN)


@pytest.mark.usefixtures("checker")
def test_pins_are_kept_though_something_newer_would_move_them(tree: Tree) -> None:
    old = (old_pin("six", "1.15.0"), old_pin("idna", "2.10"))
    root = tree({})
    done = locked(root, "checker", pins=old)
    assert (done.pins.kept, done.pins.moved) == (old, ())
    assert "constraint" not in (root / "pyproject.toml").read_text()
    assert find().capture(("lock", "--check"), cwd=root).code == 0


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize(
    ("needs", "impossible"),
    [
        ("toml", old_pin("toml", "0.9.9")),  # no index has it
        ("toml>=0.10.2", old_pin("toml", "0.10.1")),  # the project excludes it
        ("requests==2.28.0", old_pin("certifi", "1.0")),
    ],
)
def test_a_pin_that_is_impossible_does_not_cost_the_others(
    tree: Tree, needs: str, impossible: Pin
) -> None:
    kept = (old_pin("six", "1.15.0"), old_pin("idna", "2.10"))
    done = locked(tree({}), f'checker", "{needs}', pins=(impossible, *kept))
    assert (done.pins.kept, [moved.pin for moved in done.pins.moved]) == (kept, [impossible])


@pytest.mark.usefixtures("checker")
def test_of_pins_that_exclude_each_other_one_is_kept(tree: Tree) -> None:
    old = (old_pin("checker", "3.0"), old_pin("six", "1.15.0"), old_pin("idna", "2.10"))
    root = tree({})
    done = locked(root, "checker", pins=old)
    assert (done.pins.kept, len(done.pins.moved)) == (old[:1], 2)
    assert find().capture(("lock", "--check"), cwd=root).code == 0


def test_another_hash_is_told(tree: Tree) -> None:
    hashed = Requirement(text="six", name="six", origin=ORIGIN, hashes=(f"sha256:{'0' * 64}",))
    with pytest.raises(ImportNeedsUserError) as caught:
        locked(tree({}), "six", dependencies=(hashed,))
    assert caught.value.message == (
        "requirements.txt:1: no wheel or sdist of six has the expected hash"
    )
