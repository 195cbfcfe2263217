import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvflow.imports import roles
from uvflow.imports.model import Options, Role


def described(*names: str, options: Options | None = None) -> dict[str, str]:
    return {file.path: file.described for file in roles(names, options)}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("requirements.txt", "project"),
        ("requirements.in", "project"),
        ("Requirements.TXT", "project"),
        ("requirements-base.txt", "project"),
        ("requirements/base.txt", "project"),
        ("requirements/main.in", "project"),
        ("requirements/common.txt", "project"),
        ("requirements/core.txt", "project"),
        ("requirements/default.txt", "project"),
        ("requirements/requirements.txt", "project"),
        ("requirements-dev.txt", "group dev"),
        ("requirements_dev.txt", "group dev"),
        ("requirements.dev.txt", "group dev"),
        ("dev-requirements.txt", "group dev"),
        ("dev_requirements.txt", "group dev"),
        ("requirements/dev.txt", "group dev"),
        ("requirements/requirements-dev.txt", "group dev"),
        ("requirements-develop.txt", "group dev"),
        ("requirements/development.in", "group dev"),
        ("requirements-tests.txt", "group test"),
        ("requirements/testing.txt", "group test"),
        ("requirements_doc.txt", "group docs"),
        ("requirements-My_Extra.txt", "group my-extra"),
        ("requirements/local.txt", "group local"),
        ("requirements/été & co.txt", "group ete-co"),
        ("requirements/日本.txt", "group imported"),
        ("constraints.txt", "constraints"),
        ("constraints-3.9.txt", "constraints"),
        ("dev-constraints.txt", "constraints"),
        ("requirements/constraints.txt", "constraints"),
    ],
)
def test_a_file_has_its_role_by_its_name(name: str, role: str) -> None:
    assert described(name) == {name: role}


@pytest.mark.parametrize(
    "name",
    [
        *("README.txt", "setup.py", "requirements.yml", "x.in", "reqs/base.txt"),
        *("requirements/a/b.txt", "requirements/README.txt", "requirements/LICENSE.txt"),
    ],
)
def test_other_files_have_none(name: str) -> None:
    assert described(name) == {}


def test_a27_a_compiled_file_beside_its_source_has_the_pins() -> None:
    assert described("requirements.in", "requirements.txt", "requirements/dev.txt") == {
        "requirements.in": "project",
        "requirements/dev.txt": "group dev",
        "requirements.txt": "pins of requirements.in",
    }


def test_project_files_come_first() -> None:
    names = ("constraints.txt", "a-requirements.txt", "requirements.txt")
    assert [*described(*names)] == ["requirements.txt", "a-requirements.txt", "constraints.txt"]


def test_chosen_files_take_the_place_of_found_ones() -> None:
    options = Options(from_files=("deps/prod.txt",))
    assert described("requirements.txt", "deps/prod.txt", options=options) == {
        "deps/prod.txt": "project"
    }


def test_a_chosen_source_brings_what_was_compiled_from_it() -> None:
    options = Options(from_files=("deps/prod.in",))
    assert described("deps/prod.in", "deps/prod.txt", options=options) == {
        "deps/prod.in": "project",
        "deps/prod.txt": "pins of deps/prod.in",
    }


@given(st.lists(st.text() | st.from_regex(r"requirements[/_.-].*\.(txt|in)")))
def test_any_name_has_one_role_at_most(names: list[str]) -> None:
    files = roles(names)
    assert len({file.path for file in files}) == len(files)
    groups = [file.of for file in files if file.role is Role.GROUP]
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", group) for group in groups)


@pytest.mark.parametrize("path", [".", "..", "", "a/.."])
def test_a_file_that_is_none_is_still_a_choice(path: str) -> None:
    assert described("x.in", options=Options(from_files=(path,))) == {path: "project"}


def test_groups_and_constraints_come_on_top_and_decide() -> None:
    options = Options(groups=(("Lint", "tools/lint.txt"),), constraints=("requirements-dev.txt",))
    assert described("requirements.txt", "requirements-dev.txt", options=options) == {
        "requirements.txt": "project",
        "tools/lint.txt": "group lint",
        "requirements-dev.txt": "constraints",
    }
