"""The cases of Poetry projects, by their names in the specification of formats."""

from rig import Tree

from uvflow.migrate.plan import InitOptions
from uvflow.migrate.planner import make_plan
from uvflow.uv import find

SMALL = """\
# A licence.

[tool.poetry]
name = "app"  # the name
version = "1.0"
description = "d"

[tool.poetry.dependencies]
python = "^3.9"
six = "~1.16"  # py2 compat
# pinned for legal
idna = "^3"

[tool.poetry.group.dev.dependencies]
iniconfig = "^2"

[tool.black]
line-length = 100
"""


def test_a_small_project(tree: Tree) -> None:
    plan = make_plan(tree({"pyproject.toml": SMALL}), InitOptions(), uv=find())
    assert (
        plan.text
        == """\
# A licence.

[project]
name = "app"  # the name
version = "1.0"
description = "d"
requires-python = ">=3.9,<4.0"
dependencies = [
    "six>=1.16,<1.17", # py2 compat
    # pinned for legal
    "idna>=3,<4",
]

[tool.black]
line-length = 100

[dependency-groups]
dev = [
    "iniconfig>=2,<3",
]
"""
    )
    assert plan.imported.files[0].buckets == {"imported": 7}


def test_what_no_rule_is_for_needs_action_and_stays(tree: Tree) -> None:
    text = SMALL.replace('description = "d"', 'strange = "d"')
    plan = make_plan(tree({"pyproject.toml": text}), InitOptions(), uv=find())
    assert '[tool.poetry]\nstrange = "d"\n' in plan.text
    assert [str(f) for f in plan.imported.findings] == [
        "pyproject.toml:6: `tool.poetry.strange` is not imported: uv has no such setting"
    ]
