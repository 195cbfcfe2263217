"""The cases D01 to D13 of PDM projects: whole files in, whole files out."""

import pytest
from plans import messages, planned
from rig import Tree

from uvflow.errors import UvflowError
from uvflow.migrate.report import diff

HEAD = """\
[project]
name = "app"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["six==1.16.0", "idna>=3"]
"""
FOO = '[project]\nname = "foo"\nversion = "1"\n'
BUILD = '\n[build-system]\nrequires = ["pdm-backend"]\nbuild-backend = "pdm.backend"\n'


def test_d01_an_application(tree: Tree) -> None:
    text = f"""\
{HEAD}
[project.optional-dependencies]
x = ["attrs"]

[dependency-groups]
test = ["iniconfig"]

[tool.pdm]
distribution = false

[tool.pdm.dev-dependencies]
# what we work with
dev = [
    "packaging<24",
    # the neighbour
    "-e file:///${{PROJECT_ROOT}}/libs/foo#egg=foo", # ours
    # "toml",
]

[tool.pdm.resolution]
excludes = ["zope"]

[tool.pdm.resolution.overrides]
pyparsing = "3.0.9"
certifi = ">=2020"

[tool.pdm.scripts]
start = "flask run"
"""
    plan = planned(tree({"pyproject.toml": text, "libs/foo/pyproject.toml": FOO}))
    assert (
        plan.text
        == f"""\
{HEAD}
[project.optional-dependencies]
x = ["attrs"]

[dependency-groups]
test = ["iniconfig"]
dev = [
    # what we work with
    "packaging<24",
    # the neighbour
    "foo", # ours
    # "toml",
]

[tool.pdm.scripts]
start = "flask run"

[tool.uv]
default-groups = [
    "test",
    "dev",
]
override-dependencies = [
    "pyparsing==3.0.9",
    "certifi>=2020",
]
exclude-dependencies = [
    "zope",
]
package = false

[tool.uv.sources]
foo = {{ path = "libs/foo", editable = true }}
"""
    )
    assert messages(plan) == [
        "action pyproject.toml:33: uv has no tasks, and `start` is one of PDM",
    ]


PDM_LOCK = """\
[metadata]
lock_version = "4.5.0"

[[package]]
name = "idna"
version = "3.7"
files = [
    {file = "idna-3.7-py3-none-any.whl", hash = "sha256:aa"},
]

[[package]]
name = "foo"
version = "1"
path = "./libs/foo"

[[package]]
name = "numpy"
version = "1.24"
marker = "python_version < \\"3.10\\""

[[package]]
name = "numpy"
version = "1.26"
marker = "python_version >= \\"3.10\\""

[[package]]
name = "gp"
version = "0.1"
git = "https://host.example/gp"
ref = "main"
revision = "abc"

[[package]]
name = "idna"
version = "3.7"
extras = ["all"]
"""
PYLOCK = """\
lock-version = "1.0"

[[packages]]
name = "idna"
version = "3.7"

[[packages.wheels]]
url = "https://files.example/idna-3.7-py3-none-any.whl"
hashes = {sha256 = "aa"}

[[packages]]
name = "foo"
directory = {path = "libs/foo"}

[[packages]]
name = "numpy"
version = "1.24"
marker = "python_version < \\"3.10\\""

[[packages]]
name = "numpy"
version = "1.26"
marker = "python_version >= \\"3.10\\""

[[packages]]
name = "gp"
version = "0.1"

[packages.vcs]
type = "git"
url = "https://host.example/gp"
requested-revision = "main"
commit-id = "abc"
"""


@pytest.mark.parametrize(("name", "lock"), [("pdm.lock", PDM_LOCK), ("pylock.toml", PYLOCK)])
def test_d02_d03_both_lock_files_give_the_same_pins(tree: Tree, name: str, lock: str) -> None:
    plan = planned(tree({"pyproject.toml": HEAD, name: lock}))
    assert [
        (pin.name, pin.version, pin.marker, pin.git, pin.hashes) for pin in plan.imported.pins
    ] == [
        ("idna", "3.7", "", "", ("sha256:aa",)),
        ("numpy", "1.24", 'python_version < "3.10"', "", ()),
        ("numpy", "1.26", 'python_version >= "3.10"', "", ()),
        ("gp", "0.1", "", "https://host.example/gp?rev=main#abc", ()),
    ]
    assert (plan.text, messages(plan)) == (HEAD, [])


def test_d02_an_export_of_the_lock_file_is_no_second_source(tree: Tree) -> None:
    files = {"pyproject.toml": HEAD, "pdm.lock": PDM_LOCK, "requirements.txt": "idna==3.7\n"}
    plan = planned(tree(files))
    assert plan.text == HEAD
    assert messages(plan) == [
        (
            "warning requirements.txt:1: this is an export of the lock file of [project] of"
            " pyproject.toml"
        )
    ]


@pytest.mark.parametrize("name", ["pdm.lock", "pylock.toml"])
def test_a_lock_file_alone_is_no_project(tree: Tree, name: str) -> None:
    with pytest.raises(UvflowError, match=rf"{name}:1: the .* dependencies in this file are not"):
        planned(tree({name: PDM_LOCK}))


def test_a_lock_file_that_is_not_toml_is_an_error(tree: Tree) -> None:
    with pytest.raises(UvflowError, match=r"pdm\.lock is not valid TOML"):
        planned(tree({"pyproject.toml": HEAD, "pdm.lock": "[[package]\n"}))


SOURCES = """
[tool.pdm]
distribution = true
resolution = { allow-prereleases = false, respect-source-order = true }

[[tool.pdm.source]]
name = "pypi"
url = "https://mirror.acme.example/simple"

[[tool.pdm.source]]
name = "wheels"
type = "find_links"
url = "file:///${PROJECT_ROOT}/wheels"

[[tool.pdm.source]]
name = "my priv"
url = "https://priv.acme.example/simple"
username = "u"
password = "hunter2"
verify_ssl = false
include_packages = ["six", "six-*"]

[tool.pdm.build]
includes = ["src"]

[tool.pdm.version]
source = "scm"
"""


def test_d04_to_d08_and_d12_sources_and_what_the_backend_reads(tree: Tree) -> None:
    plan = planned(tree({"pyproject.toml": f"{HEAD}{SOURCES}{BUILD}"}))
    assert (
        plan.text
        == f"""\
{HEAD}
[tool.pdm.build]
includes = ["src"]

[tool.pdm.version]
source = "scm"

[tool.uv]
prerelease = "disallow"

[tool.uv.sources]
six = {{ index = "my-priv" }}

[[tool.uv.index]]
name = "pypi"
url = "https://mirror.acme.example/simple"
default = true

[[tool.uv.index]]
name = "wheels"
url = "wheels"
format = "flat"

[[tool.uv.index]]
name = "my-priv"
url = "https://priv.acme.example/simple"
explicit = true
authenticate = "always"
{BUILD}"""
    )
    assert messages(plan) == [
        (
            "action pyproject.toml:26: `include_packages` is not imported as it is: the index is"
            " for what pyproject.toml itself requires of these"
        ),
        (
            "action pyproject.toml:25: `verify_ssl` is not imported as it is: see"
            " `allow-insecure-host`"
        ),
        (
            "action pyproject.toml:21: the credentials of https://priv.acme.example/simple were"
            " removed, but uv has them for this run; the backup"
            " for `uvflow undo` still contains them"
        ),
        (
            "warning pyproject.toml:16: PDM installs the best version of all indexes, uv that of"
            " the first index with the package: `wheels` comes before the default index"
        ),
    ]
    assert "hunter2" not in diff(plan)


def test_d09_an_override_by_url(tree: Tree) -> None:
    url = "https://files.example/pytz-2020.9-py3-none-any.whl"
    more = (
        f'[tool.pdm.resolution.overrides]\npytz = "{url}"\nsix = "git+https://host.example/six"\n'
    )
    plan = planned(tree({"pyproject.toml": f"{HEAD}{BUILD}\n{more}"}))
    assert plan.values["tool"] == {
        "pdm": {"resolution": {"overrides": {"six": "git+https://host.example/six"}}},
        "uv": {"override-dependencies": [f"pytz @ {url}"]},
    }
    assert messages(plan) == [
        "action pyproject.toml:13: uv overrides `six` with a version or an archive, not with this"
    ]


def test_d10_a_path_in_the_list_of_the_project(tree: Tree) -> None:
    head = HEAD.replace(
        '["six==1.16.0", "idna>=3"]',
        """[
    "six",  # py2
    # the neighbour
    "foo @ file:///${PROJECT_ROOT}/libs/foo",
]""",
    )
    text = f"{head}\n[tool.pdm]\ndistribution = false\n"
    plan = planned(tree({"pyproject.toml": text, "libs/foo/pyproject.toml": FOO}))
    assert (
        plan.text
        == """\
[project]
name = "app"
version = "1.0"
requires-python = ">=3.9"
dependencies = [
    "six", # py2
    # the neighbour
    "foo",
]

[tool.uv]
package = false

[tool.uv.sources]
foo = { path = "libs/foo" }
"""
    )
    assert messages(plan) == []


def test_d11_a_group_in_both_places_is_their_union(tree: Tree) -> None:
    text = f"""\
{HEAD}
[dependency-groups]
dev = ["iniconfig"]

[tool.pdm]
distribution = false
dev-dependencies = {{ Dev = ["iniconfig", "toml"] }}
"""
    plan = planned(tree({"pyproject.toml": text}))
    assert plan.values["dependency-groups"] == {"dev": ["iniconfig", "toml"]}
    assert plan.values["tool"] == {"uv": {"package": False}}


def test_d13_indexes_of_pdm_toml_complete_those_of_the_project(tree: Tree) -> None:
    settings = """\
[pypi]
url = "https://u:hunter2@mirror.example/simple"
[pypi.priv]
url = "https://priv.example/simple"
username = "me"
password = "hunter2"
[pypi.extra]
url = "https://other.example/simple"
[python]
use_venv = true
"""
    source = '[[tool.pdm.source]]\nname = "extra"\nurl = "https://extra.example/simple"\n'
    text = f"{HEAD}\n[tool.pdm]\ndistribution = false\n{source}"
    plan = planned(tree({"pyproject.toml": text, "pdm.toml": settings}))
    assert [(i["name"], i["url"], "default" in i) for i in plan.values["tool"]["uv"]["index"]] == [
        ("extra", "https://extra.example/simple", False),
        ("pypi", "https://mirror.example/simple", True),
        ("priv", "https://priv.example/simple", False),
    ]
    assert "hunter2" not in plan.text + str(messages(plan))
    assert plan.imported.files[1].buckets == {
        "merged": 1,
        "already_default": 1,
        "settings": 2,
        "needs_action": 2,
    }


def test_an_index_of_pdm_toml_that_is_not_verified_needs_action(tree: Tree) -> None:
    settings = '[pypi]\nurl = "https://mirror.example/simple"\nverify_ssl = false\n'
    text = f"{HEAD}\n[tool.pdm]\ndistribution = false\n"
    root = tree({"pyproject.toml": text, "pdm.toml": settings})
    assert messages(planned(root)) == [
        "action pdm.toml:3: the certificate of this index was not verified"
    ]


def test_what_no_rule_is_for_needs_action_and_stays(tree: Tree) -> None:
    text = f'{HEAD}\n[tool.pdm]\ndistribution = false\nplugins = ["pdm-x"]\n'
    plan = planned(tree({"pyproject.toml": text}))
    assert plan.text.endswith('[tool.pdm]\nplugins = ["pdm-x"]\n\n[tool.uv]\npackage = false\n')
    assert messages(plan) == [
        "action pyproject.toml:9: `tool.pdm.plugins` is not imported: uv has no such setting"
    ]
