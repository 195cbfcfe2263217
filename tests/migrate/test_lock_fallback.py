import http.server
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from builds import PKG_RESOURCES, USE_2TO3, add_old_sdist, add_setuptools
from rig import Tree, changing
from wheels import add_wheel

from uvflow.errors import UvFailedError
from uvflow.findings import Origin, Severity
from uvflow.migrate.lock import write_lockfile
from uvflow.migrate.lock_fallback import (
    build_constraint,
    failure_cause,
    failure_hint,
    is_about_pythons,
    missing_package,
    reason_in,
)
from uvflow.migrate.model import ImportedRequirements, Requirement
from uvflow.migrate.plan import InitResult, Plan
from uvflow.migrate.pyproject import edit
from uvflow.state.store import Progress, no_progress
from uvflow.uv import find

BASE = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'


def wanted(text: str, line: int) -> Requirement:
    origin = Origin(path="requirements.txt", line=line)
    return Requirement(text=text, name=text.partition("=")[0], origin=origin)


MINOR = sys.version_info.minor
PYTHON = f">=3.{MINOR}"


def locked(
    root: Path,
    *needs: str,
    may_narrow: bool,
    indexes: tuple[dict[str, Any], ...] = (),
    progress: Progress = no_progress,
) -> InitResult:
    """A lock of a project that needs these packages, as lines of a requirements.txt."""
    text = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{PYTHON}"\n'
    text += f"dependencies = {list(needs)}\n"
    text = edit(text, ImportedRequirements(indexes=indexes))
    (root / "pyproject.toml").write_text(text)
    wanted = tuple(
        Requirement(
            text=need,
            name=re.split(r"[\s;=<>]", need)[0],
            origin=Origin(path="requirements.txt", line=number),
        )
        for number, need in enumerate(needs, 1)
    )
    old = ImportedRequirements(dependencies=wanted, indexes=indexes)
    plan = Plan(root=root, before=None, text=text, imported=old, may_narrow=may_narrow)
    with changing(root) as files:
        return write_lockfile(plan, uv=find(), environ=os.environ, files=files, progress=progress)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often `uv lock` was run so far."""
    script, log = tmp_path / "counting-uv", tmp_path / "locks"
    script.write_text(f'#!/bin/sh\n[ "$1" != lock ] || echo >> {log}\nexec {find().path} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("UVFLOW_UV", str(script))
    return lambda: len(log.read_text().splitlines())


class Refusing:
    """A server that lets nobody in, by `status`; its URL."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status

    def __enter__(self) -> str:
        status = self.status

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            do_HEAD = do_GET  # noqa: N815  its name in http.server

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


LATER = f"gone ; python_version >= '3.{MINOR + 1}'"


def test_versions_that_fit_together_for_one_python_are_locked_for_that(tree: Tree) -> None:
    root = tree({})
    done = locked(root, "six", LATER, may_narrow=True)
    narrowed = f"{PYTHON},<3.{MINOR + 1}"
    assert (root / "pyproject.toml").read_text() == done.plan.text
    assert f'requires-python = "{narrowed}"\n' in done.plan.text
    [finding] = done.plan.imported.findings
    assert (finding.severity, finding.code) == (Severity.ACTION, "python-narrowed")
    assert finding.message == (
        f"requires-python is {narrowed}, and not {PYTHON}: the requested versions conflict on"
        " other Pythons"
    )
    assert find().capture(("lock", "--check"), cwd=root).code == 0


@pytest.fixture
def old_index(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with several versions of a build backend."""
    real = shutil.ignore_patterns("setuptools")  # of another test
    copy = shutil.copytree(index, tmp_path / "index", ignore=real)
    monkeypatch.setenv("UV_DEFAULT_INDEX", copy.as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))  # builds with another setuptools
    add_setuptools(copy)
    return copy


@pytest.mark.parametrize(
    ("setup_py", "constraints"),
    [
        (PKG_RESOURCES, ["setuptools<82"]),
        (USE_2TO3, ["setuptools<58"]),
        (PKG_RESOURCES + USE_2TO3, ["setuptools<82", "setuptools<58"]),
    ],
)
def test_an_old_sdist_is_built_with_an_older_setuptools(
    tree: Tree, old_index: Path, setup_py: str, constraints: list[str]
) -> None:
    add_old_sdist(old_index, "old", setup_py)
    root = tree({})
    done = locked(root, "six", "old", may_narrow=True)
    assert done.plan.values["tool"] == {"uv": {"build-constraint-dependencies": constraints}}
    assert (root / "pyproject.toml").read_text() == done.plan.text
    assert [(f.severity, f.code, f.message) for f in done.plan.imported.findings] == [
        (
            Severity.WARNING,
            "build-constrained",
            f"every build gets {constraint} from now on: old does not build with a later one",
        )
        for constraint in constraints
    ]
    assert find().capture(("lock", "--check"), cwd=root).code == 0


def test_a_constraint_that_does_not_help_is_not_kept(tree: Tree, old_index: Path) -> None:
    add_old_sdist(old_index, "old", f"{PKG_RESOURCES}import gone\n")
    root = tree({})
    with pytest.raises(UvFailedError) as caught:
        locked(root, "old", may_narrow=True)
    assert caught.value.cause == "uv's error is about `old` (requirements.txt:1)"
    assert "tool" not in (root / "pyproject.toml").read_text()


def test_what_is_missing_beside_an_old_sdist_is_named(tree: Tree, old_index: Path) -> None:
    add_old_sdist(old_index, "old", PKG_RESOURCES)
    add_old_sdist(old_index, "older", USE_2TO3)
    said: list[str] = []
    with pytest.raises(UvFailedError) as caught:
        locked(tree({}), "old", "older", "six==99", may_narrow=True, progress=said.append)
    assert caught.value.cause == "uv finds no version for `six==99` (requirements.txt:3)"


@pytest.mark.parametrize(
    ("output", "constraint"),
    [
        ("error in anyjson setup command: use_2to3 is invalid.", "setuptools<58"),
        ("error in setup command: use_2to3 is invalid.", "setuptools<58"),  # one without a name
        ("ModuleNotFoundError: No module named 'pkg_resources'", "setuptools<82"),
        ("AttributeError: 'build_ext' object has no attribute 'cython_sources'", "cython<3"),
        ("AttributeError: cython_sources", "cython<3"),
        ("ModuleNotFoundError: No module named 'numpy'", None),
    ],
)
def test_signs_of_an_old_sdist(output: str, constraint: str | None) -> None:
    assert build_constraint(output) == constraint


def test_versions_that_conflict_on_another_platform_are_for_the_user_to_settle(tree: Tree) -> None:
    elsewhere = f"sys_platform != '{sys.platform}'"
    both = (f"six==1.15.0 ; {elsewhere}", f"six==1.16.0 ; {elsewhere}")
    with pytest.raises(UvFailedError) as caught:
        locked(tree({}), *both, may_narrow=True)
    assert (caught.value.hint or "").startswith("uv resolves for every platform: give these lines")


def test_what_only_a_later_index_has_is_for_the_user_to_allow(tree: Tree, index: Path) -> None:
    first = add_wheel(tree({}) / "first", "six", "99.0").parent.parent
    indexes = (
        {"name": "first", "url": first.as_uri()},
        {"name": "main", "url": index.as_uri(), "default": True},
    )
    root = tree({})
    with pytest.raises(UvFailedError) as caught:
        locked(root, "six==1.16.0", may_narrow=True, indexes=indexes)
    assert caught.value.cause == "uv finds no version for `six==1.16.0` (requirements.txt:1)"
    assert caught.value.hint == (
        "`uvflow init --no-lock`, then name the index of six in [tool.uv.sources], or write"
        ' `index-strategy = "unsafe-best-match"` into [tool.uv], as pip does; then `uvflow init`'
    )


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
    assert caught.value.cause == ("uv finds no version for `gone` (requirements.txt:2)")
    assert caught.value.hint == "remove gone from the file, or name the index to use"


def test_everything_that_is_missing_is_named_at_once(tree: Tree) -> None:
    with pytest.raises(UvFailedError) as caught:
        locked(tree({}), "six==9", "idna", "toml>9", "gone", "attrs==8", may_narrow=True)
    assert caught.value.cause == (
        "uv finds no version for `six==9` (requirements.txt:1), `toml>9` (requirements.txt:3),"
        " `gone` (requirements.txt:4), `attrs==8` (requirements.txt:5)"
    )
    assert caught.value.hint == (
        "ask for a version of each of them that an index has, or name the index to use"
    )


def test_what_another_package_needs_and_nobody_has_is_named(tree: Tree) -> None:
    other = add_wheel(tree({}) / "other", "tool", "1.0", ("gone==1.0",)).parent.parent
    indexes = ({"name": "other", "url": other.as_uri()},)
    with pytest.raises(UvFailedError) as caught:
        locked(tree({}), "tool", "six==9", may_narrow=True, indexes=indexes)
    assert (caught.value.cause or "").startswith("uv finds no version for `six==9` (")
    assert (caught.value.cause or "").endswith(", gone")


@pytest.mark.parametrize("needs", [("six", "gone"), ("six==1.16.0", "tool"), ("six==9", "tool")])
def test_no_other_python_is_tried_where_it_would_not_help(
    tree: Tree, needs: tuple[str, ...]
) -> None:
    progress: list[str] = []
    other = add_wheel(tree({}) / "other", "tool", "1.0", ("six<1.16",)).parent.parent
    indexes = ({"name": "other", "url": other.as_uri()},)
    with pytest.raises(UvFailedError):
        locked(tree({}), *needs, may_narrow=True, indexes=indexes, progress=progress.append)
    assert progress == []


@pytest.mark.skipif(sys.platform == "win32", reason="a script of POSIX")
def test_one_python_is_enough_to_see_that_pythons_are_not_the_reason(
    tree: Tree, counted: Callable[[], int]
) -> None:
    split = (f"idna==3.7; python_version<='3.{MINOR}'", f"idna; python_version>'3.{MINOR}'")
    other = add_wheel(tree({}) / "other", "tool", "1.0", ("six<1.16",)).parent.parent
    indexes = ({"name": "other", "url": other.as_uri()},)
    with pytest.raises(UvFailedError) as caught:
        locked(tree({}), "six==1.16.0", "tool", *split, may_narrow=True, indexes=indexes)
    assert "`six==1.16.0` (requirements.txt:1), `tool`" in (caught.value.cause or "")
    assert counted() == 2  # as it is, for one Python


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
def test_behind_a_login_nothing_is_missing(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: HTTPStatus
) -> None:
    monkeypatch.setenv("UV_CREDENTIALS_DIR", str(tmp_path))
    with Refusing(status) as url, pytest.raises(UvFailedError) as caught:
        locked(tree({}), "six", may_narrow=True, indexes=({"name": "acme", "url": url},))
    assert (caught.value.hint or "").startswith("log in with `uv auth login")
    assert caught.value.cause == ("uv's error is about `six` (requirements.txt:1)")


def requirements(*texts: str) -> ImportedRequirements:
    names = [text.partition("=")[0].partition(">")[0].lower() for text in texts]
    return ImportedRequirements(
        dependencies=tuple(
            Requirement(text=text, name=name, origin=Origin(path="requirements.txt", line=n))
            for n, (text, name) in enumerate(zip(texts, names, strict=True), 1)
        )
    )


SAID = """Using CPython 3.11.7 interpreter at: six
error: No solution found when resolving dependencies for split (markers: python_full_version >= '3')
  cause: Because idna{python_full_version >= '3'}==2.0 depends on toml>=2 and toml-x<1, ...
"""


OF_OLD_UV = SAID.replace("error: ", "  × ").replace("  cause: ", "  ╰─▶ ")


@pytest.mark.parametrize("output", [SAID, OF_OLD_UV])
def test_the_lines_that_uv_speaks_of_are_named(output: str) -> None:
    required = requirements("six==1.0", "Idna==2.0", "toml==1.0", "x>1", "split")
    assert failure_cause(reason_in(output), [], required) == (
        "uv's error is about `Idna==2.0` (requirements.txt:2), `toml==1.0` (requirements.txt:3)"
    )


def test_of_many_lines_six_are_named() -> None:
    names = [f"p{number}==1" for number in range(9)]
    cause = failure_cause(f"error: {' and '.join(names)}", [], requirements(*names)) or ""
    assert cause.count("`p") == 6
    assert cause.endswith("`p5==1` (requirements.txt:6), 3 more")


@pytest.mark.parametrize(
    ("output", "missing"),
    [
        ("Because there is no version of six==99 and your project depends on six==99", "six"),
        ("Because there is no version of six[x]{os_name == 'nt'}==9 and tool", "six"),
        ("Because there are no versions of tool and your project depends on tool", ""),
        ("Because there are no versions of tool>1 and tool==1 depends on six<1, we can", ""),
        ("Because gone was not found in the package registry and your", "gone"),
        ("Because gone was not found in the provided package locations and", "gone"),
        (
            (
                "Because only idna<=3.10 is available and your project depends on idna>4,"
                " we can conclude that your project's requirements are unsatisfiable."
            ),
            "idna",
        ),
        (
            (
                "Because only the following versions of idna are available:\n    idna<=3.6\n"
                "    idna>3.7\nand your project depends on idna>3.6,<3.7, we can conclude that your"
                " project's requirements are unsatisfiable."
            ),
            "idna",
        ),
        (
            (
                "Because your project depends on six>1.16 and only the following versions of six"
                " are available:\n six<=1.16\n six>=1.17\nwe can conclude that your project depends"
                " on six>=1.17.\nAnd because app:dev depends on six<1.17, we can conclude your"
                " project's requirements are unsatisfiable."
            ),
            "",
        ),
        ("Because tool==1.0 depends on six<1.16 and your project depends on six==1.16.0", ""),
    ],
)
def test_a_package_is_missing_where_nobody_has_what_is_required(output: str, missing: str) -> None:
    assert missing_package(output) == (missing or None)


@pytest.mark.parametrize(
    "output",
    [
        "when resolving dependencies for split (markers: python_full_version",
        "the requested Python version (>=3.8) does not satisfy Python>=3.10 and",
        "tensorflow==2.5.0 has no wheels with a matching Python version tag (e.g., `cp311`)",
    ],
)
def test_uv_says_where_pythons_are_the_reason(output: str) -> None:
    assert is_about_pythons(f"No solution found: {output}")
    assert not is_about_pythons(output)


def test_a_name_is_not_the_reason() -> None:
    assert not is_about_pythons("Because python-dateutil==2 depends on six<1 and os-x==1")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "there is no version of torch==2.1.0+cu118 and",
            "add `--extra-index-url https://download.pytorch.org/whl/cu118` to the file",
        ),
        ("there is no version of x==9 and", "ask for a version of x that an index has"),
        ("Because gone was not found in the package registry", "remove gone from the file"),
        (
            "the following Python ABI tags: `cp37m`, `cp310`",
            "choose a Python that fits",
        ),
        ("resolved to Python 3.11.7, which is", "choose a Python that fits"),
        ("No interpreter found for Python >=3.14", "choose a Python that fits"),
        (
            "No solution found. hint: Consider limiting your project's supported Python versions",
            "narrow `requires-python`",
        ),
        ("No solution found when resolving", "remove the version from one of these lines"),
        ("error: Failed to build `x==1.0`", "ask for a version of x that has a wheel"),
        ("something else", ""),
    ],
)
def test_what_uv_says_has_a_hint(output: str, expected: str) -> None:
    assert (failure_hint(output, []) or "").startswith(expected)
    assert (failure_hint(output, []) is None) is (not expected)
