import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rig import Command, Tree

from uvflow.errors import DiskError, NetworkError, UvFailedError
from uvflow.findings import Origin
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.migrate.temporary_project import TemporaryProject
from uvflow.uv import Uv, find

ORIGIN = Origin(path="requirements.txt", line=1)
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BASE = f"""\
[project]
name = "app"
version = "0.1.0"
requires-python = ">={PYTHON}"
dependencies = []
"""


def scratch(root: Path) -> TemporaryProject:
    return TemporaryProject(uv=find(), root=root, environ=os.environ)


def test_the_base_is_uvs_and_is_not_written(tree: Tree) -> None:
    root = tree({})
    assert scratch(root).initial_pyproject("app", None) == BASE
    assert list(root.iterdir()) == []


def test_the_base_follows_the_python_version_of_the_directory(tree: Tree) -> None:
    assert scratch(tree({".python-version": f"{PYTHON}\n"})).initial_pyproject("app", None) == BASE


def test_the_base_takes_a_specifier(tree: Tree) -> None:
    assert 'requires-python = ">=3.9, <4"\n' in scratch(tree({})).initial_pyproject(
        "app", ">=3.9,<4"
    )


def test_what_uv_init_refuses_is_told(tree: Tree) -> None:
    with pytest.raises(UvFailedError) as caught:
        scratch(tree({})).initial_pyproject("app", "no version")
    assert caught.value.message == "`uv init` failed"
    assert "no version" in (caught.value.cause or "")


def test_what_has_its_name_is_not_asked_about(tree: Tree) -> None:
    six = Requirement(text="six", name="six", origin=ORIGIN)
    imported = ImportedRequirements(dependencies=(six,), groups={"dev": (six,)})
    assert scratch(tree({})).with_names(imported, pytest.fail) == imported


def test_a_nameless_archive_is_asked_about_once(tree: Tree, index: Path) -> None:
    wheel = next(index.rglob("six-1.16.0-*.whl"))
    nameless = Requirement(
        text=wheel.as_uri(),
        name=None,
        origin=ORIGIN,
        source={"url": wheel.as_uri()},
        extras=("x",),
        marker="os_name == 'nt'",
    )
    progress: list[str] = []
    imported = ImportedRequirements(dependencies=(nameless,), groups={"dev": (nameless,)})
    named = scratch(tree({})).with_names(imported, progress.append)
    assert [(r.name, r.text) for r in named.requirements] == [
        ("six", "six[x] ; os_name == 'nt'"),
        ("six", "six[x] ; os_name == 'nt'"),
    ]
    (announced,) = progress
    assert announced == (
        f"uv may build {wheel.as_uri()} to learn its name (requirements.txt:1),"
        " which runs its code; `--no-build` refuses that"
    )


NAMELESS = """
from pathlib import Path
from setuptools import setup
Path(r"{ran}").touch()
setup(name="".join("abc"))
"""


@pytest.mark.parametrize("arguments", [("--no-build",), ("--no-build", "--dry-run")])
def test_a_build_for_a_name_can_be_refused(
    tree: Tree, uvflow: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    setup = NAMELESS.format(ran=tmp_path / "ran")
    root = tree({"requirements.txt": "six\n./lib\n", "lib/setup.py": setup})
    done = uvflow("init", *arguments, cwd=root)
    assert done.code == 1
    assert done.err == (
        "error: requirements.txt:2: uv cannot find the name of `./lib`\n"
        "  cause: Building source distributions is disabled\n"
        "hint: write its name in front: `NAME @ ./lib`\n"
    )
    assert not (tmp_path / "ran").exists()
    assert not (root / "pyproject.toml").exists()


def test_a_build_for_a_name_is_announced_even_when_quiet(
    tree: Tree, uvflow: Command, tmp_path: Path
) -> None:
    setup = NAMELESS.format(ran=tmp_path / "ran")
    root = tree({"requirements.txt": "./lib\n", "lib/setup.py": setup})
    done = uvflow("init", "--dry-run", "-q", cwd=root)
    assert done.err.startswith("warning: uv may build ./lib to learn its name (requirements.txt:1)")


@pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is a shell script")
@pytest.mark.parametrize("where", [".python-version", "UV_PYTHON"])
def test_a_dry_run_starts_no_interpreter_of_the_project(
    tree: Tree, uvflow: Command, where: str
) -> None:
    root = tree({"requirements.txt": "six\n", "x": "#!/bin/sh\ntouch ran\n"})
    (root / "x").chmod(0o755)
    if where == ".python-version":
        (root / where).write_text("./x\n")
    environ = {"UV_PYTHON": str(root / "x") if where == "UV_PYTHON" else ""}
    done = uvflow("init", "--dry-run", cwd=root, environ=environ)
    assert done.code == 1
    assert f"the interpreter {root / 'x'} is a file of this project and was not" in done.err
    assert not (root / "ran").exists()


def test_a_resolution_leaves_paths_out(tree: Tree) -> None:
    six = Requirement(text="six", name="six", origin=ORIGIN)
    mine = Requirement(text="mine", name="mine", origin=ORIGIN, source={"path": "mine"})
    text = scratch(tree({})).lockfile(ImportedRequirements(dependencies=(six, mine)), BASE)
    assert 'name = "six"' in text
    assert 'name = "mine"' not in text


def test_a_resolution_without_solution_is_told(tree: Tree) -> None:
    gone = Requirement(text="gone", name="gone", origin=ORIGIN)
    with pytest.raises(UvFailedError) as caught:
        scratch(tree({})).lockfile(ImportedRequirements(dependencies=(gone,)), BASE)
    assert "gone" in (caught.value.cause or "")


def test_a_name_that_takes_a_network_is_told_apart(tree: Tree) -> None:
    away = Requirement(
        text="git+http://127.0.0.1:9/away.git",
        name=None,
        origin=ORIGIN,
        source={"git": "http://127.0.0.1:9/away.git"},
    )
    with pytest.raises(NetworkError) as caught:
        scratch(tree({})).with_names(ImportedRequirements(dependencies=(away,)), lambda _: None)
    assert caught.value.message == (
        "requirements.txt:1: uv cannot find the name of `git+http://127.0.0.1:9/away.git`"
    )


def test_a_full_disk_is_told_apart(tree: Tree) -> None:
    root = tree({"uv": "#!/bin/sh\necho 'error: no room (os error 28)' >&2\nexit 2\n"})
    (root / "uv").chmod(0o755)
    full = replace(scratch(root), uv=Uv(path=str(root / "uv"), version="0.13.9"))
    with pytest.raises(DiskError) as caught:
        full.initial_pyproject("app", None)
    assert (caught.value.message, caught.value.cause) == (
        "`uv init` failed",
        "no room (os error 28)",
    )
