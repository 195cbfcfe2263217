import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import Tree

from uvflow.findings import Severity
from uvflow.migrate.discover import (
    candidate_files,
    input_files,
    requirement_lines,
    unclaimed_files,
)
from uvflow.migrate.model import FileReport, ImportOptions, Role


def described(*names: str, options: ImportOptions | None = None) -> dict[str, str]:
    return {file.path: file.description for file in input_files(names, options)}


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
        *("README.txt", "setup.py", "requirements.yml", "x.in", "docs/base.txt"),
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
    options = ImportOptions(from_files=("deps/prod.txt",))
    assert described("requirements.txt", "deps/prod.txt", options=options) == {
        "deps/prod.txt": "project"
    }


def test_a_chosen_source_brings_what_was_compiled_from_it() -> None:
    options = ImportOptions(from_files=("deps/prod.in",))
    assert described("deps/prod.in", "deps/prod.txt", options=options) == {
        "deps/prod.in": "project",
        "deps/prod.txt": "pins of deps/prod.in",
    }


@given(st.lists(st.text() | st.from_regex(r"requirements[/_.-].*\.(txt|in)")))
def test_any_name_has_one_role_at_most(names: list[str]) -> None:
    files = input_files(names)
    assert len({file.path for file in files}) == len(files)
    groups = [file.of for file in files if file.role is Role.GROUP]
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", group) for group in groups)


@pytest.mark.parametrize("path", [".", "..", "", "a/.."])
def test_a_file_that_is_none_is_still_a_choice(path: str) -> None:
    assert described("x.in", options=ImportOptions(from_files=(path,))) == {path: "project"}


def test_groups_and_constraints_come_on_top_and_decide() -> None:
    options = ImportOptions(
        groups=(("Lint", "tools/lint.txt"),), constraints=("requirements-dev.txt",)
    )
    assert described("requirements.txt", "requirements-dev.txt", options=options) == {
        "requirements.txt": "project",
        "tools/lint.txt": "group lint",
        "requirements-dev.txt": "constraints",
    }


def counting(contents: Mapping[str, str]) -> Callable[[str], int | None]:
    def read(path: str) -> bytes:
        return contents[path].encode("latin-1")

    return lambda path: requirement_lines(path, read)


def in_files(contents: Mapping[str, str]) -> dict[str, str]:
    found = input_files(contents, None, counting(contents))
    return {file.path: file.description for file in found}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("six\n# a comment\nidna==3.7\n-r base.txt\n", 2),
        ("hello\nworld\n", 0),
        ("Read me.\n\nThis is how it works.\n", None),
        ("six==1.16.0\n\nsix = 1\n", 1),
        ("six = 1\nidna = 3\nattrs>=23\n", None),
        ("attrs>=23  # caf\xe9\nsix\n", 1),
        ("", None),
        ("six @ https://h.example/six-1.whl\nx[y]\na; python_version > '3'\n./libs/a\n", 4),
        ("six==1.0\n" * 20_000 + "not a requirement\n" * 30_000, 64 * 1024 // 9),
    ],
)
def test_a_file_is_known_by_lines_that_can_only_be_meant_for_pip(
    text: str, lines: int | None
) -> None:
    assert counting({"x.txt": text})("x.txt") == lines


def test_plain_names_in_the_root_have_a_role() -> None:
    names = ("base.in", "Dev.txt", "development.txt", "doc.txt", "lint.in", "main.txt", "tests.txt")
    assert in_files(dict.fromkeys(names, "six==1.16.0\n")) == {
        "base.in": "project",
        "main.txt": "project",
        "Dev.txt": "group dev",
        "development.txt": "group dev",
        "doc.txt": "group docs",
        "lint.in": "group lint",
        "tests.txt": "group test",
    }


@pytest.mark.parametrize(
    ("contents", "roles"),
    [
        ({"prod.txt": "six\n", "dev.txt": "-r prod.txt\n"}, ["project", "group dev"]),
        ({"prod.txt": "six\n", "dev.txt": "idna\n"}, ["project", "group dev"]),
        ({"test.txt": "hello\n"}, []),
        ({"test.txt": "hello\n", "docs.txt": "How to read this.\n"}, []),
        ({"test.txt": "a = b\n", "dev.txt": "idna\nsix\n"}, []),
    ],
)
def test_a_plain_name_alone_says_nothing_of_a_list_of_words(
    contents: dict[str, str], roles: list[str]
) -> None:
    assert [*in_files(contents).values()] == roles


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("prod.txt", "dev.txt"), ["project", "group dev"]),
        (("requirements-prod.txt", "requirements-dev.txt"), ["project", "group dev"]),
        (("requirements/production.in",), ["project"]),
        (("requirements_versions.txt",), ["project"]),
        (("requirements-lock.txt",), ["project"]),
        (("requirements.txt", "requirements-prod.txt"), ["project", "group prod"]),
        (("requirements/base.txt", "requirements/production.txt"), ["project", "group production"]),
        (("requirements-gpu.txt",), ["group gpu"]),
    ],
)
def test_what_production_has_is_the_projects_where_nothing_else_is(
    names: tuple[str, ...], roles: list[str]
) -> None:
    assert [*in_files(dict.fromkeys(names, "six==1.16.0\n")).values()] == roles


@pytest.mark.parametrize("folder", ["reqs", "deps", "requirements/base", "requirements/edx", "Req"])
def test_one_folder_of_requirements_files_has_roles_too(folder: str) -> None:
    names = [f"{folder}/{n}" for n in ("base.in", "base.txt", "dev.txt", "requirements-x.txt")]
    assert in_files(dict.fromkeys((*names, f"{folder}/worker.txt"), "six\n")) == {
        names[0]: "project",
        names[2]: "group dev",
        names[3]: "group x",
        names[1]: f"pins of {names[0]}",
    }


@pytest.mark.parametrize(
    "names",
    [
        ("reqs/base.txt", "deps/base.txt"),
        ("requirements/edx/base.txt", "requirements/sandbox/base.txt"),
        ("services/api/base.txt", "docs/dev.txt"),
    ],
)
def test_of_several_folders_none_is_the_projects(names: tuple[str, ...]) -> None:
    assert in_files(dict.fromkeys(names, "six==1.16.0\n")) == {}


def test_a_folder_of_something_else_is_passed_over() -> None:
    names = ("deps/main.txt", "deps/test.txt")
    assert in_files(dict.fromkeys(names, "How to build what we need.\n")) == {}


def test_beside_groups_a_folder_within_is_not_of_requirements_files() -> None:
    names = ("requirements/dev.txt", "requirements/ci/base.txt")
    assert in_files(dict.fromkeys(names, "six==1\n")) == {"requirements/dev.txt": "group dev"}


def unclaimed(
    *names: str, read: tuple[str, ...] = (), contents: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    files = (FileReport(path=path, format="requirements", role="project") for path in read)
    texts = dict.fromkeys(names, "six\n") | {**contents}
    found = unclaimed_files(names, files, counting(texts))
    return [f"{finding}; {finding.hint}" for finding in found]


@pytest.mark.parametrize(
    ("name", "text", "group"),
    [
        ("worker.txt", "celery>=4\n", "worker"),
        ("prod.txt", "celery\n", "prod"),
        ("reqs/Worker_2.in", "celery\n", "worker-2"),
    ],
)
def test_what_reads_as_requirements_is_named_with_the_flags_to_type(
    name: str, text: str, group: str
) -> None:
    assert unclaimed(name, contents={name: text}) == [
        (
            f"{name}:1: not imported: its name does not say what it is for; `--from {name}`"
            f" imports it for the project, `--group {group}={name}` for a group"
        )
    ]


def test_each_file_in_the_root_is_named() -> None:
    text = {"a.txt": "six>1\n", "a.in": "six\n-c c.txt\n", "b.txt": "six>1\n", "words.txt": "six\n"}
    named = [line.partition(";")[0] for line in unclaimed(*text, contents=text)]
    assert named == [
        "a.in:1: not imported: its name does not say what it is for",
        "b.txt:1: not imported: its name does not say what it is for",
    ]


WHERE = "requirements files are looked for in the root and in requirements/"


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("docs/requirements.txt", "docs"),
        ("tests/requirements.txt", "test"),
        ("doc/dev-requirements.in", "docs"),
        ("backend/requirements.txt", "backend"),
        ("requirements/edx/base.txt", "edx"),
    ],
)
def test_a_file_that_is_not_looked_for_is_named_with_what_takes_it_in(
    path: str, group: str
) -> None:
    hint = f"`--from {path}` imports it for the project, `--group {group}={path}` for a group"
    assert unclaimed(path) == [f"{path}:1: not imported: {WHERE}; {hint}"]


def test_a_name_that_would_be_code_of_a_shell_is_quoted_in_a_hint() -> None:
    [found] = unclaimed("a;reboot/requirements.txt")
    assert "`--from 'a;reboot/requirements.txt'` imports it" in found
    assert "`--group 'a-reboot=a;reboot/requirements.txt'` for a group" in found


def test_constraints_that_are_not_looked_for_are_named_as_such() -> None:
    hint = "import it with `uvflow init --constraint docs/constraints.txt`"
    assert unclaimed("docs/constraints.txt") == [
        f"docs/constraints.txt:1: not imported: {WHERE}; {hint}"
    ]


def test_it_is_left_to_the_user_even_where_warnings_are_errors() -> None:
    (finding,) = unclaimed_files(["docs/requirements.txt"], ())
    assert (finding.severity, finding.code) == (Severity.ACTION, "not-looked-for")


def test_of_a_folder_each_is_named_but_what_was_compiled_from_another() -> None:
    names = ("docs/requirements-dev.txt", "docs/requirements.txt", "docs/requirements.in")
    assert [line.partition(";")[0] for line in unclaimed(*names)] == [
        f"docs/requirements-dev.txt:1: not imported: {WHERE}",
        f"docs/requirements.in:1: not imported: {WHERE}",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("requirements.txt", "requirements/dev.txt", "notes.txt", "constraints.txt"),
        *("docs/index.txt", "requirements/edx/README.txt", "requirements/README.txt"),
    ],
)
def test_other_names_are_passed_over(name: str) -> None:
    assert unclaimed(name) == []


def test_what_an_include_or_an_option_took_in_is_not_named() -> None:
    assert unclaimed("docs/requirements.txt", read=("docs/requirements.txt",)) == []


@pytest.mark.parametrize("path", ["lower-constraints.txt", "requirements/min-constraints.txt"])
def test_the_lowest_versions_are_not_those_in_force(path: str) -> None:
    assert unclaimed(path) == [
        (
            f"{path}:1: not imported: its name does not say what it is for;"
            f" import it with `uvflow init --constraint {path}`"
        )
    ]


def test_the_root_is_listed_whole_and_folders_for_requirements(tree: Tree) -> None:
    files = ("setup.cfg", "requirements.txt", "requirements/dev.in", "requirements/ci/a.txt")
    root = tree(dict.fromkeys((*files, "docs/index.txt", "docs/conf.py", "a/b/c/x.txt"), ""))
    assert candidate_files(root, ImportOptions()) == sorted((*files, "docs/index.txt"))


def test_two_levels_of_folders_are_looked_at_by_name(tree: Tree) -> None:
    files = ("services/api/requirements.txt", "deploy/docker/dev-requirements.in")
    others = ("services/api/notes.txt", "a/b/c/requirements.txt", "a/own/requirements.txt")
    root = tree(dict.fromkeys((*files, *others, "a/own/setup.py"), ""))
    assert candidate_files(root, ImportOptions()) == sorted(files)


def test_projects_of_their_own_and_environments_are_not_entered(tree: Tree) -> None:
    marks = ("api/pyproject.toml", "lib/setup.py", ".venv/pyvenv.cfg", "node_modules/x", ".git/x")
    root = tree(dict.fromkeys((*marks, "api/r.txt", "lib/r.txt", ".venv/r.txt", ".git/r.txt"), ""))
    (root / "elsewhere").symlink_to(root / "requirements")
    assert candidate_files(root, ImportOptions()) == []


def test_a_folder_of_requirements_files_may_be_a_link(tree: Tree) -> None:
    root = tree({"deploy/python/requirements.txt": "", "requirements.txt": ""})
    (root / "requirements").symlink_to(root / "deploy" / "python")
    assert candidate_files(root, ImportOptions()) == [
        "requirements.txt",
        "requirements/requirements.txt",
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_for_other_eyes_is_passed_over(tree: Tree) -> None:
    root = tree({"requirements.txt": "", "pgdata/r.txt": ""})
    (root / "pgdata").chmod(0)
    assert candidate_files(root, ImportOptions()) == ["requirements.txt"]
    (root / "pgdata").chmod(0o700)


def test_what_lies_beside_a_chosen_file_is_seen(tree: Tree) -> None:
    files = ("deps/prod/app.in", "deps/prod/app.txt", "deps/prod/setup.py", "deps/lint/x.in")
    root = tree(dict.fromkeys(files, ""))
    chosen = ImportOptions(from_files=("deps/prod/app.in",), groups=(("lint", "deps/lint/x.in"),))
    assert candidate_files(root, chosen) == [
        "deps/lint/x.in",
        "deps/prod/app.in",
        "deps/prod/app.txt",
    ]
    outside = ImportOptions(from_files=("../x.in", "https://h/x.in", "nowhere/x.in"))
    assert candidate_files(root, outside) == []
