"""tox: the cases T04 and T05, of tox.ini and of tox.toml."""

import time
from pathlib import Path
from textwrap import dedent

import pytest
from plans import messages, planned, refusal
from rig import Tree

from uvflow.errors import ImportNeedsUserError
from uvflow.migrate.plan import InitResult
from uvflow.migrate.report import sections

PROJECT = (
    '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["six"]\n'
)

TOX = """\
[tox]
envlist = py{39,310}-django{4,5}, docs

[base]
deps =
    attrs
    {[testenv]deps}

[testenv]
deps = pytest
  -r dev.txt

  # what a factor is for
  py39, py{310}-django4: toml  # until 3.11
  py310: idna; sys_platform == 'linux'
  !py39-django5: certifi
  django{4,5}: requests  # by both
  lint: ruff
commands = pytest

[testenv:docs]
description-of-it: the pages
deps =
    sphinx
"""


def test_t04_tox_keeps_its_environments(tree: Tree) -> None:
    tox = "[tox]\nenvlist = py\n\n[testenv]\ndeps = pytest\n  -r dev.txt\ncommands = pytest\n"
    tox += "\n[testenv:docs]\ndeps =\n    sphinx\n"
    plan = planned(tree({"pyproject.toml": PROJECT, "tox.ini": tox}))
    assert plan.text == PROJECT
    assert messages(plan) == [
        (
            "warning tox.ini:5: tox goes on installing the `deps` of testenv (pytest, -r dev.txt),"
            " testenv:docs (sphinx)"
        )
    ]
    assert plan.imported.files[0].buckets == {"left": 2}


def group_of(tree: Tree, tox: str, environment: str, *more: str) -> tuple[str, list[str]]:
    """What the import of an environment adds to pyproject.toml, and what is noticed."""
    files = {"pyproject.toml": PROJECT, "tox.ini": tox, "dev.txt": "coverage\n"}
    root = tree({**files, **dict.fromkeys(more, "")})
    plan = planned(root, groups=(("it", f"tox.ini:{environment}"),), ignored=("dev.txt",))
    return plan.text.removeprefix(PROJECT), messages(plan)


def test_t05_an_environment_of_tox_becomes_a_group(tree: Tree) -> None:
    root = tree({"pyproject.toml": PROJECT, "tox.ini": TOX})
    plan = planned(root, groups=(("docs", "tox.ini:docs"),))
    assert plan.text == f'{PROJECT}\n[dependency-groups]\ndocs = [\n    "sphinx",\n]\n'
    assert [(f.path, f.format, f.role, dict(f.buckets)) for f in plan.imported.files] == [
        ("tox.ini", "tox", "project", {"left": 1}),
        ("tox.ini:docs", "tox", "group docs", {"imported": 1}),
    ]
    (left,) = messages(plan)
    assert "`deps` of testenv (pytest" in left
    assert "sphinx" not in left


def test_t05_a_factor_of_a_python_becomes_a_marker(tree: Tree) -> None:
    added, _ = group_of(tree, TOX, "py310-django4")
    assert added == dedent("""
        [dependency-groups]
        it = [
            "pytest",
            "coverage",
            # what a factor is for
            "toml ; python_version == '3.9' or python_version == '3.10'", # until 3.11
            "idna ; sys_platform == 'linux' and python_version == '3.10'",
            "requests", # by both
        ]
        """)


def test_t05_an_option_is_followed_where_another_factor_is_met(tree: Tree) -> None:
    tox = "[testenv:lint]\ndeps =\n  lint: -r dev.txt\n  !lint: -r more.txt\n"
    added, noticed = group_of(tree, tox, "lint")
    assert added == '\n[dependency-groups]\nit = [\n    "coverage",\n]\n'
    assert noticed == []


def test_t05_a_condition_that_is_no_marker_needs_action(tree: Tree) -> None:
    tox = "[testenv:py{310,311}]\ndeps =\n  py310: -r more.txt\n  py311: idna; python == '2'\n"
    added, noticed = group_of(tree, tox, "py310")
    assert added == (
        "\n[dependency-groups]\nit = [\n    # py310: -r more.txt\n"
        "    # py311: idna; python == '2'\n]\n"
    )
    assert noticed == [
        "action tox.ini:py310:3: pip ignores `--requirement more.txt` here",
        "action tox.ini:py310:3: `py310: -r more.txt`: only tox knows what this is",
        "action tox.ini:py310:4: `py311: idna; python == '2'`: only tox knows what this is",
    ]


def test_t05_what_another_section_has_is_followed(tree: Tree) -> None:
    tox = "[base]\nall =\n  attrs\n  {[testenv:a]deps}\n"
    tox += "[testenv:a]\ndeps =\n  {[base]all}\n  idna\n"
    added, noticed = group_of(tree, tox, "a")
    assert added == '\n[dependency-groups]\nit = [\n    "attrs",\n    "idna",\n]\n'
    assert noticed == []


def test_t05_extras_of_the_project_are_for_the_dev_profile(tree: Tree) -> None:
    manifest = f'{PROJECT}\n[project.optional-dependencies]\ntest = ["attrs"]\n'
    tox = "[testenv:a]\ndeps =\n  -r{toxinidir}/dev.txt\n  -e .[test]\n  idna\n"
    root = tree({"pyproject.toml": manifest, "tox.ini": tox, "dev.txt": "toml\n"})
    plan = planned(root, groups=(("it", "tox.ini:a"),))
    assert plan.values["dependency-groups"]["it"] == ["toml", "idna"]
    assert plan.values["tool"]["uvflow"]["profiles"] == {"dev": {"extras": ["test"]}}


def test_t05_what_only_tox_can_fill_in_needs_action(tree: Tree) -> None:
    tox = "[testenv:a]\ndeps =\n  idna\n  six{env:SIX:}\n  {posargs}\n  py39: -r dev.txt\n"
    tox += "  {[gone]deps}\n"
    added, noticed = group_of(tree, tox, "a")
    lines = ("six{env:SIX:}", "{posargs}", "py39: -r dev.txt", "{[gone]deps}")
    comments = "".join(f"    # {line}\n" for line in lines)
    assert added == f'\n[dependency-groups]\nit = [\n    "idna",\n{comments}]\n'
    assert [one for one in noticed if "pip ignores" not in one] == [
        f"action tox.ini:a:{number}: `{line}`: only tox knows what this is"
        for number, line in enumerate(lines, 4)
    ]


def test_t05_an_environment_without_deps_of_its_own_has_those_of_all(tree: Tree) -> None:
    tox = "[testenv]\ndeps = idna\n[testenv:a]\ncommands = a\n"
    for name in ("a", "py311"):
        assert '"idna"' in group_of(tree, tox, name)[0]


def test_t05_an_environment_that_tox_does_not_have_is_refused(tree: Tree) -> None:
    root = tree({"pyproject.toml": PROJECT, "tox.ini": TOX})
    told = refusal(root, groups=(("it", "tox.ini:dosc"),))
    assert told == "tox.ini:dosc cannot be read: tox has no such environment"
    told = refusal(root, groups=(("it", "no/tox.ini:docs"),))
    assert told == "file no/tox.ini:docs not found"


def test_t05_a_tox_ini_that_leads_out_of_the_project_is_not_read(
    tree: Tree, tmp_path: Path
) -> None:
    (tmp_path / "tox.ini").write_text(TOX)
    root = tree({"pyproject.toml": PROJECT})
    (root / "tox.ini").symlink_to(tmp_path / "tox.ini")
    with pytest.raises(ImportNeedsUserError) as caught:
        planned(root, groups=(("it", "tox.ini:docs"),))
    assert [finding.message for finding in caught.value.findings] == [
        "tox.ini leads out of the project by a link, and is not read",
        "tox.ini:docs leads out of the project by a link, and is not read",
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"[testenv:{'{a,b}' * 100}]",
        f"[testenv:{'{' * 100_000}]",
        f"a{' ' * 100_000}b",
        f"  py311: a{' ' * 100_000}b",
        f"  {'{a,b}' * 100}: idna",
    ],
)
def test_an_odd_tox_ini_takes_no_time(tree: Tree, line: str) -> None:
    tox = f"[testenv:it]\ndeps =\n  idna\n{line}\ndeps = six\n"
    began = time.perf_counter()
    group_of(tree, tox, "it")
    assert time.perf_counter() - began < 2


TOX_TOML = """\
env_list = ["3.13", "docs"]

[env_run_base]
deps = ["pytest", "coverage>=7"]

[env.docs]
deps = [
    "sphinx",  # the pages
    { replace = "ref", of = ["env_run_base", "deps"], extend = true },
    "-r{tox_root}/dev.txt",
]

[env.lint]
base = ["docs"]

[env.text]
deps = '''
  idna
  attrs'''

[env.odd]
deps = [{ replace = "env", name = "DEPS" }, "idna"]
"""


def test_t04_a_tox_toml_is_left_to_tox(tree: Tree) -> None:
    tox = TOX_TOML.partition("[env.lint]")[0]
    plan = planned(tree({"pyproject.toml": PROJECT, "tox.toml": tox}))
    assert plan.text == PROJECT
    assert messages(plan) == [
        (
            "warning tox.toml:4: tox goes on installing the `deps` of testenv (pytest,"
            " coverage>=7), testenv:docs (sphinx, {[testenv]deps}, -r{tox_root}/dev.txt)"
        )
    ]
    assert plan.imported.files[0].buckets == {"left": 2}


@pytest.mark.parametrize(
    ("environment", "group"),
    [
        ("docs", ["sphinx", "pytest", "coverage>=7", "toml"]),
        ("text", ["idna", "attrs"]),
        ("3.13", ["pytest", "coverage>=7"]),
        ("3.14", ["pytest", "coverage>=7"]),
    ],
)
def test_t05_an_environment_of_tox_toml_becomes_a_group(
    tree: Tree, environment: str, group: list[str]
) -> None:
    files = {"pyproject.toml": PROJECT, "tox.toml": TOX_TOML, "dev.txt": "toml\n"}
    plan = planned(tree(files), groups=(("it", f"tox.toml:{environment}"),), ignored=("dev.txt",))
    assert sorted(plan.values["dependency-groups"]["it"]) == sorted(group)
    assert [(file.path, file.format) for file in plan.imported.files[:2]] == [
        ("tox.toml", "tox"),
        (f"tox.toml:{environment}", "tox"),
    ]


def test_t05_what_only_tox_can_fill_in_of_a_tox_toml_needs_action(tree: Tree) -> None:
    root = tree({"pyproject.toml": PROJECT, "tox.toml": TOX_TOML})
    plan = planned(root, groups=(("it", "tox.toml:odd"),))
    assert plan.values["dependency-groups"] == {"it": ["idna"]}
    assert (
        "action tox.toml:odd:22: `{'replace': 'env', 'name': 'DEPS'}`: only tox knows what this is"
    ) in messages(plan)


def test_t05_a_tox_toml_that_is_not_valid_is_refused(tree: Tree) -> None:
    root = tree({"pyproject.toml": PROJECT, "tox.toml": "env_list = [\n"})
    assert refusal(root).startswith("tox.toml is not valid TOML: ")
    ignored = planned(root, ignored=("tox.toml",))
    assert ignored.text == PROJECT


def test_tox_reads_tox_ini_before_tox_toml(tree: Tree) -> None:
    tox = "[testenv]\ndeps = idna\n"
    plan = planned(tree({"pyproject.toml": PROJECT, "tox.ini": tox, "tox.toml": TOX_TOML}))
    assert [file.path for file in plan.imported.files] == ["tox.ini"]


@pytest.mark.parametrize(
    ("name", "tox"),
    [
        ("tox.toml:lint", TOX_TOML),
        ("tox.ini:b", "[testenv]\ndeps = six\n[testenv:a]\ndeps = idna\n[testenv:b]\nbase = a\n"),
    ],
)
def test_t05_an_environment_with_the_deps_of_another_one_is_refused(
    tree: Tree, name: str, tox: str
) -> None:
    root = tree({"pyproject.toml": PROJECT, name.partition(":")[0]: tox})
    assert refusal(root, groups=(("it", name),)) == (
        f"{name} cannot be read: the environment inherits from another one by `base`: name that one"
    )


def test_nobody_is_told_to_delete_a_tox_ini(tree: Tree) -> None:
    tox = "[flake8]\nmax-line-length = 100\n[testenv:docs]\ndeps = idna\n"
    root = tree({"requirements.txt": "six\n", "tox.ini": tox})
    plan = planned(root, groups=(("docs", "tox.ini:docs"),))
    (_, steps) = sections(InitResult(plan=plan))[-1]
    assert steps[-1] == "  You can delete these once everything works: requirements.txt"
