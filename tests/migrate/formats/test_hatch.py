"""The cases H01 to H06 of Hatch projects: whole files in, whole files out."""

from plans import messages, planned
from rig import Tree

HEAD = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.9"
dependencies = ["six"]
"""
BUILD = '\n[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


LISTS = """
[project.optional-dependencies]
x = ["attrs"]

[dependency-groups]
test = ["iniconfig"]
"""
ENVS = """
[envs.default]
# tools
dependencies = ["packaging"]

[envs.default.overrides]
platform.windows.dependencies = ["colorama ; python_version < '3.12' or os_name == 'nt'"]

[envs.test]
extra-dependencies = ["toml"]  # config
features = ["x"]
dependency-groups = ["test"]
python = "3.12"

[envs.test.scripts]
run = "pytest {args}"

[envs.lint]
detached = true
dependencies = ["zipp"]
"""
GROUPS = """\
dev = [
    # tools
    "packaging",
    "colorama ; (python_version < '3.12' or os_name == 'nt') and sys_platform == 'win32'",
]
test-env = [
    { include-group = "dev" },
    { include-group = "test" },
    # config
    "toml",
]
lint = [
    "zipp",
]
"""
PROFILE = """
[tool.uvflow.profiles.test-env]
groups = [
    "test-env",
]
extras = [
    "x",
]
python = "3.12"
environment = ".venv-test-env"
"""


def test_h01_environments(tree: Tree) -> None:
    envs = ENVS.replace("[envs", "[tool.hatch.envs")
    plan = planned(tree({"pyproject.toml": f"{HEAD}{LISTS}{envs}{BUILD}"}))
    scripts = '\n[tool.hatch.envs.test.scripts]\nrun = "pytest {args}"\n'
    assert plan.text == f"{HEAD}{LISTS}{GROUPS}{scripts}{PROFILE}{BUILD}"
    assert messages(plan) == [
        "warning pyproject.toml:21: the environment test becomes the group test-env",
        "action pyproject.toml:27: uv has no tasks, and `run` is one of Hatch",
        "warning pyproject.toml:30: Hatch makes the environment lint without the project",
    ]


def test_h01_in_a_file_of_its_own(tree: Tree) -> None:
    plan = planned(tree({"pyproject.toml": f"{HEAD}{LISTS}{BUILD}", "hatch.toml": ENVS[1:]}))
    assert plan.text == f"{HEAD}{LISTS}{GROUPS}{BUILD}{PROFILE}"
    assert messages(plan) == [
        "warning hatch.toml:9: the environment test becomes the group test-env",
        "action hatch.toml:15: uv has no tasks, and `run` is one of Hatch",
        "warning hatch.toml:18: Hatch makes the environment lint without the project",
    ]


def groups_of(tree: Tree, envs: str) -> tuple[object, list[str]]:
    plan = planned(tree({"pyproject.toml": f"{HEAD}{BUILD}\n{envs}"}))
    return plan.values.get("dependency-groups"), messages(plan)


def test_h02_a_template_that_is_detached(tree: Tree) -> None:
    envs = """\
[tool.hatch.envs.default]
dependencies = ["six"]

[tool.hatch.envs.lint]
detached = true
dependencies = ["zipp"]

[tool.hatch.envs.docs]
template = "lint"
dependencies = ["toml"]

[tool.hatch.envs.more]
template = "docs"
extra-dependencies = ["idna"]
"""
    alone = "Hatch makes the environment {} without the project"
    assert groups_of(tree, envs) == (
        {
            "dev": ["six"],
            "lint": ["zipp"],
            "docs": ["toml"],
            "more": [{"include-group": "docs"}, "idna"],
        },
        [
            f"warning pyproject.toml:15: {alone.format('lint')}",
            f"warning pyproject.toml:19: {alone.format('docs')}",
            f"warning pyproject.toml:23: {alone.format('more')}",
        ],
    )


def test_a_list_that_replaces_an_inherited_one_in_part_needs_action(tree: Tree) -> None:
    envs = """\
[tool.hatch.envs.default]
dependencies = ["six"]
extra-dependencies = ["toml"]

[tool.hatch.envs.test]
dependencies = ["idna"]
"""
    assert groups_of(tree, envs) == (
        {"dev": ["six", "toml"], "test": ["idna"]},
        [
            (
                "action pyproject.toml:16: test does not inherit its requirements from"
                " default as a whole"
            )
        ],
    )


def test_tasks_are_named_with_the_group_that_they_need(tree: Tree) -> None:
    envs = """\
[tool.hatch.envs.default]
dependencies = ["six"]

[tool.hatch.envs.types.scripts]
check = "mypy ."

[tool.hatch.envs.docs]
dependencies = ["toml"]

[tool.hatch.envs.docs.scripts]
build = [
    "one",
    "two",
]
serve = "mkdocs serve"
"""
    plan = planned(tree({"pyproject.toml": f"{HEAD}{BUILD}\n{envs}"}))
    assert [finding.hint for finding in plan.imported.findings] == [
        "`uvflow run -- mypy .`",
        "write a script",
        "`uv run --group docs mkdocs serve`",
    ]


def test_h03_a_matrix_needs_action(tree: Tree) -> None:
    envs = """\
[tool.hatch.envs.test]
dependencies = ["toml"]

[[tool.hatch.envs.test.matrix]]
python = ["3.11", "3.12"]
"""
    message = "action pyproject.toml:15: `tool.hatch.envs.test.matrix.0.python` is not imported:"
    assert groups_of(tree, envs) == (
        {"test": ["toml"]},
        [f"{message} uv has no such setting"],
    )


def test_h04_paths_of_the_project(tree: Tree) -> None:
    head = HEAD.replace('["six"]', '["foo @ {root:uri}/libs/foo"]')
    envs = "[tool.hatch.metadata]\nallow-direct-references = true\n"
    foo = '[project]\nname = "foo"\nversion = "1"\n'
    files = {"pyproject.toml": f"{head}{BUILD}\n{envs}", "libs/foo/pyproject.toml": foo}
    plan = planned(tree(files))
    assert plan.values["project"]["dependencies"] == ["foo"]
    assert plan.values["tool"] == {
        "hatch": {"metadata": {"allow-direct-references": True}},
        "uv": {"sources": {"foo": {"path": "libs/foo"}}},
    }
    assert messages(plan) == []


def test_h05_environments_of_hatch_itself(tree: Tree) -> None:
    envs = '[tool.hatch.envs.hatch-test]\nextra-dependencies = ["toml"]\nenv-vars = { A = "b" }\n'
    assert groups_of(tree, envs) == (
        {"hatch-test": ["toml"]},
        [
            (
                "warning pyproject.toml:12: Hatch has packages of its own for hatch-test, the"
                " group has not"
            ),
            (
                "action pyproject.toml:13: `tool.hatch.envs.hatch-test.env-vars` is not imported:"
                " uv has no such setting"
            ),
        ],
    )


def test_h06_what_the_backend_reads_stays(tree: Tree) -> None:
    text = f"""\
{HEAD.replace('dependencies = ["six"]', 'dynamic = ["dependencies"]')}{BUILD}
[tool.hatch.metadata.hooks.requirements_txt]
files = ["requirements.txt"]

[tool.hatch.build.targets.wheel]
packages = ["src/app"]
"""
    plan = planned(tree({"pyproject.toml": text}))
    assert (plan.text, messages(plan)) == (text, [])
    assert plan.imported.files[0].buckets == {"left": 2}
