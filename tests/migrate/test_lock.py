import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rig import Tree

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
    return write_lockfile(plan, uv=find(), environ=os.environ)


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


def test_another_hash_is_told(tree: Tree) -> None:
    hashed = Requirement(text="six", name="six", origin=ORIGIN, hashes=(f"sha256:{'0' * 64}",))
    with pytest.raises(ImportNeedsUserError) as caught:
        locked(tree({}), "six", dependencies=(hashed,))
    assert caught.value.message == (
        "requirements.txt:1: no wheel or sdist of six has the expected hash"
    )
