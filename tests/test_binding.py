import os
from pathlib import Path
from typing import Any

import pytest
from rig import Tree
from wheels import add_wheel

from uvflow import binding
from uvflow.files import Before
from uvflow.imports.lockfile import registries
from uvflow.imports.model import Import, IncludeGroup, Origin, Requirement
from uvflow.plan import Plan
from uvflow.pyproject import edited
from uvflow.uv import find

BASE = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'


def wanted(text: str, line: int) -> Requirement:
    origin = Origin(path="requirements.txt", line=line)
    return Requirement(text=text, name=text.partition("=")[0], origin=origin)


@pytest.fixture
def indexes(tmp_path: Path, index: Path) -> tuple[dict[str, Any], ...]:
    """One that has some names of the tests' own index, in other versions, and that one."""
    for name in ("six", "toml", "attrs"):
        add_wheel(tmp_path / "other", name, "99.0")
    return (
        {"name": "other", "url": (tmp_path / "other").as_uri()},
        {"name": "main", "url": index.as_uri(), "default": True},
    )


def bound(root: Path, imported: Import) -> Plan | None:
    """What is made of `imported`, once uv has found all of it somewhere."""
    text = edited(BASE, imported).text
    (root / "pyproject.toml").write_text(text)
    first = Before.of(root / "uv.lock")
    done = find().ask(("lock", "--index-strategy=unsafe-first-match"), cwd=root)
    assert done.code == 0
    work = Plan(root=root, before=None, text=text, imported=imported)
    return binding.bound(work, first, uv=find(), environ=os.environ)


def test_what_uv_misses_is_bound_and_nothing_else(
    tree: Tree, indexes: tuple[dict[str, Any], ...]
) -> None:
    imported = Import(
        dependencies=(wanted("six==1.16.0", 1), wanted("attrs", 2), wanted("idna==3.7", 3)),
        groups={
            "dev": (wanted("toml==0.10.2", 4),),
            "all": (IncludeGroup(group="dev", origin=Origin(path="requirements-all.txt", line=1)),),
        },
        indexes=indexes,
    )
    root = tree({})
    done = bound(root, imported)
    assert done
    assert (root / "pyproject.toml").read_text() == done.text
    assert done.values["tool"]["uv"]["sources"] == {
        "six": {"index": "main"},
        "toml": {"index": "main"},
    }
    assert "index-strategy" not in done.text
    reason = f"is not on the first index that has the name: it is bound to {indexes[1]['url']}"
    assert [str(finding) for finding in done.imported.findings] == [
        f"requirements.txt:1: `six==1.16.0` {reason}",
        f"requirements.txt:4: `toml==0.10.2` {reason}",
    ]
    taken = registries((root / "uv.lock").read_text())
    assert {name for name, place in taken.items() if place.endswith("other")} == {"attrs"}
    (root / "uv.lock").unlink()
    assert find().ask(("lock",), cwd=root).code == 0


def test_what_others_bring_along_cannot_be_bound(
    tree: Tree, tmp_path: Path, indexes: tuple[dict[str, Any], ...]
) -> None:
    add_wheel(tmp_path / "other", "idna", "99.0")
    imported = Import(dependencies=(wanted("requests==2.28.0", 1),), indexes=indexes)
    assert bound(tree({}), imported) is None
