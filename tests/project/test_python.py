"""What asks for a Python."""

import sys
from pathlib import Path

import pytest
from rig import Tree

from uvflow.project.python import (
    find_own_interpreter,
    python_requests,
    requested_minor,
)


def test_requests_are_lines_without_comments() -> None:
    text = "# ours\n\n3.12  # for the image\n  pypy@3.11\n"
    assert list(python_requests(text)) == [(3, "3.12"), (4, "pypy@3.11")]


@pytest.mark.parametrize(
    ("request_of_uv", "minor"),
    [
        ("3.12", "3.12"),
        (" 3.12.4\n", "3.12"),
        ("cpython@3.12", "3.12"),
        ("cp3.12", "3.12"),
        ("python3.12", "3.12"),
        ("cpython-3.12.4-linux-x86_64-gnu", "3.12"),
        ("pypy@3.11", None),
        (">=3.11", None),
        ("3", None),
        ("3.99999999", None),
        ("/usr/bin/python3.12", None),
    ],
)
def test_a_cpython_is_requested_by_its_version(request_of_uv: str, minor: str | None) -> None:
    assert requested_minor(request_of_uv) == minor


@pytest.mark.parametrize(
    "request_of_uv", ["./x", "x", "tools/../x", "{root}/x", "tools", "../link/x", "x # ours", "a#b"]
)
@pytest.mark.parametrize("where", [".python-version", ".python-versions", "UV_PYTHON", "profile"])
def test_a_path_into_the_workspace_is_of_the_project(
    tree: Tree, request_of_uv: str, where: str
) -> None:
    root = tree({"x": "", "tools/bin/python": "", "a#b": ""})
    (root.parent / "link").symlink_to(root)
    request_of_uv = request_of_uv.format(root=root)
    if where.startswith("."):
        (root / where).write_text(f"# ours\n\n{request_of_uv}\n")
    elif "#" in request_of_uv:
        request_of_uv = request_of_uv.partition(" ")[0]
    environ = {where: request_of_uv} if where == "UV_PYTHON" else {}
    python = request_of_uv if where == "profile" else None
    assert find_own_interpreter(root, root, environ, python) is not None


@pytest.mark.parametrize(
    "request_of_uv",
    [
        "3.12",
        ">=3.11",
        "cpython@3.12",
        "python3.12",
        "/usr/bin/python3",
        "y",
        "\0",
        "x" * 5000,
        "lk",
    ],
)
def test_any_other_request_is_not(tree: Tree, request_of_uv: str) -> None:
    root = tree({"3.12/x": "", "python3.12": "", ".python-version": f"{request_of_uv}\n"})
    (root / "lk").symlink_to(sys.executable)
    assert find_own_interpreter(root, root, {}) is None
    assert find_own_interpreter(root, root, {"UV_PYTHON": request_of_uv}, request_of_uv) is None


def test_a_member_has_the_requests_of_its_workspace(tree: Tree) -> None:
    root = tree({".python-version": "./x\n", "libs/a/x": "", "x": ""})
    (root.parent / ".python-version").write_text("project/x\n")
    assert find_own_interpreter(root / "libs/a", root, {}) == root / "libs/a" / "x"
    assert find_own_interpreter(root, root, {}) == root / "x"
    assert find_own_interpreter(root, root, {"UV_PYTHON": "3.12"}) is None
    (root / ".python-version").unlink()
    assert find_own_interpreter(root, root, {}) is None


def test_a_file_of_more_requests_than_anybody_has_may_name_any_interpreter(tree: Tree) -> None:
    root = tree({".python-version": "3.12\n" * 4000})
    assert find_own_interpreter(root, root, {}) == root / ".python-version"


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_an_interpreter_in_the_current_directory_of_a_process_may_be_the_projects(
    tree: Tree,
) -> None:
    root = tree({".python-version": "/proc/self/cwd/x\n"})
    assert find_own_interpreter(root, root, {}) == Path("/proc/self/cwd/x")
