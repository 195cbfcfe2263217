import os
import sys
from pathlib import Path

import pytest
from rig import Tree
from wheels import add_wheel

from uvflow.errors import UvFailedError
from uvflow.imports.lockfile import packages
from uvflow.imports.model import Import, Origin, Requirement
from uvflow.locking import lock
from uvflow.plan import Done, Plan
from uvflow.pyproject import edited
from uvflow.uv import find

MINOR = sys.version_info.minor
PYTHON = f">=3.{MINOR}"


def locked(
    root: Path, *needs: str, may_narrow: bool, indexes: tuple[dict[str, str], ...] = ()
) -> Done:
    """A lock of a project that needs these packages, as lines of a requirements.txt."""
    text = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{PYTHON}"\n'
    text += f"dependencies = {list(needs)}\n"
    text = edited(text, Import(indexes=indexes)).text
    (root / "pyproject.toml").write_text(text)
    wanted = tuple(
        Requirement(
            text=need,
            name=need.split()[0].partition("=")[0],
            origin=Origin(path="requirements.txt", line=number),
        )
        for number, need in enumerate(needs, 1)
    )
    old = Import(dependencies=wanted, indexes=indexes)
    work = Plan(root=root, before=None, text=text, imported=old, may_narrow=may_narrow)
    return lock(work, uv=find(), environ=os.environ)


LATER = f"gone ; python_version >= '3.{MINOR + 1}'"


def test_versions_that_fit_together_for_one_python_are_locked_for_that(tree: Tree) -> None:
    root = tree({})
    done = locked(root, "six", LATER, may_narrow=True)
    narrowed = f"{PYTHON},<3.{MINOR + 1}"
    assert (root / "pyproject.toml").read_text() == done.plan.text
    assert f'requires-python = "{narrowed}"\n' in done.plan.text
    assert [(f.code, f.message.partition(":")[0]) for f in done.findings] == [
        ("python-narrowed", f"requires-python is {narrowed}, and not {PYTHON}")
    ]
    assert find().ask(("lock", "--check"), cwd=root).code == 0


def test_versions_that_fit_together_on_this_platform_are_locked_for_that(tree: Tree) -> None:
    root = tree({})
    done = locked(root, "six", f"gone ; sys_platform != '{sys.platform}'", may_narrow=True)
    assert f'requires-python = "{PYTHON}"\n' in done.plan.text
    assert f"environments = [\n    \"sys_platform == '{sys.platform}'\",\n]\n" in done.plan.text
    assert [finding.code for finding in done.findings] == ["platform-narrowed"]


def test_what_others_bring_along_is_found_on_a_later_index_as_pip_finds_it(
    tree: Tree,
) -> None:
    root = tree({})
    other = add_wheel(root / "other", "idna", "99.0").parent.parent
    found = {"name": "other", "url": other.as_uri()}
    done = locked(root, "requests==2.28.0", may_narrow=False, indexes=(found,))
    assert 'index-strategy = "unsafe-first-match"\n' in done.plan.text
    assert [finding.code for finding in done.findings] == ["all-indexes"]
    (idna,) = packages((root / "uv.lock").read_text())["idna"]
    assert idna.version == "3.10"


def test_an_older_lockfile_is_preferred_all_the_while(tree: Tree) -> None:
    root = tree({})
    locked(root, "six==1.15.0", may_narrow=True)
    locked(root, "six", LATER, may_narrow=True)
    assert 'name = "six"\nversion = "1.15.0"\n' in (root / "uv.lock").read_text()


def test_a_range_that_was_asked_for_stays(tree: Tree) -> None:
    with pytest.raises(UvFailedError):
        locked(tree({}), "six", LATER, may_narrow=False)


@pytest.mark.parametrize("may_narrow", [True, False])
def test_no_solution_is_told_with_the_line_and_what_to_do(tree: Tree, may_narrow: bool) -> None:  # noqa: FBT001  a parameter of the test
    with pytest.raises(UvFailedError) as caught:
        locked(tree({}), "six", "gone", may_narrow=may_narrow)
    assert caught.value.message == "`uv lock` failed with exit code 1; its reason is above"
    assert caught.value.cause == (
        "uv speaks of `gone` (requirements.txt:2); everything is as it was before"
    )
    assert caught.value.hint == "take gone out of the file, or name the index that has it"
