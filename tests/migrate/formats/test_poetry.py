"""The cases Q01 to Q20 of Poetry projects: whole files in, whole files out."""

import re
from typing import Any

import pytest
from plans import lines_in, messages, planned, refusal, wheel_by
from rig import Tree

from uvflow.errors import UvflowError
from uvflow.migrate.model import Bucket, Pin
from uvflow.migrate.pins import seed_lockfile
from uvflow.migrate.plan import Plan

HEAD = """\
[tool.poetry]
name = "app"
version = "1.0"
package-mode = false
"""
PYTHON = '[tool.poetry.dependencies]\npython = "^3.9"\n'


def uv_settings(plan: Plan) -> dict[str, Any]:
    settings: dict[str, Any] = plan.values["tool"]["uv"]
    return settings


def test_q01_an_application(tree: Tree) -> None:
    text = """\
# A licence.

[tool.poetry]
name = "app"  # the name
version = "1.0"
description = "d"
authors = ["A B <a@b.c>", "C"]
package-mode = false

# What it needs:
[tool.poetry.dependencies]
python = "^3.9"
six = "~1.16"  # py2 compat
# pinned for legal
idna = "^3"
zipp = {version = "^3", source = "my idx"}
# attrs = "*"

[tool.poetry.group.dev.dependencies]
iniconfig = "^2"

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies.toml]
version = "*"  # any

[[tool.poetry.source]]
name = "my idx"
url = "https://idx.example/simple/"
priority = "explicit"

[tool.black]
line-length = 100
"""
    plan = planned(tree({"pyproject.toml": text}))
    assert (
        plan.text
        == """\
# A licence.

[project]
name = "app"  # the name
version = "1.0"
description = "d"
authors = [
    { name = "A B", email = "a@b.c" },
    { name = "C" },
]
requires-python = ">=3.9,<4.0"
dependencies = [
    # What it needs:
    "six>=1.16,<1.17", # py2 compat
    # pinned for legal
    "idna>=3,<4",
    "zipp>=3,<4",
    # attrs = "*"
]

[tool.black]
line-length = 100

[tool.uv]
package = false

[tool.uv.sources]
zipp = { index = "my-idx" }

[[tool.uv.index]]
name = "my-idx"
url = "https://idx.example/simple/"
explicit = true

[dependency-groups]
dev = [
    "iniconfig>=2,<3",
]
docs = [
    "toml",
]
"""
    )
    assert messages(plan) == [
        "warning pyproject.toml:1: comments without a place in the new pyproject.toml: # any"
    ]


def test_x08_windows_line_ends_give_the_same(tree: Tree) -> None:
    text = HEAD + PYTHON + 'six = "*"  # all\n'
    plain = planned(tree({"pyproject.toml": text})).text
    windows = planned(tree({"pyproject.toml": text.replace("\n", "\r\n")})).text
    assert windows == plain.replace("\n", "\r\n")


@pytest.mark.parametrize("head", [HEAD, '[project]\nname = "app"\nversion = "1"\n'])
def test_x08_a_byte_order_mark_stays(tree: Tree, head: str) -> None:
    text = f'{head}[[tool.poetry.source]]\nname = "a"\nurl = "https://a.example"\n'
    plan = planned(tree({"pyproject.toml": f"\N{BOM}{text}"}))
    assert plan.text == "\N{BOM}" + planned(tree({"pyproject.toml": text})).text
    assert plan.values["tool"]["uv"]["index"]


def test_q02_groups_and_what_is_installed_without_being_asked(tree: Tree) -> None:
    groups = """\
[tool.poetry.group.dev.dependencies]
iniconfig = "^2"
[tool.poetry.group.test.dependencies]
idna = "^3"
[tool.poetry.group.docs]
optional = true
dependencies = { attrs = "*" }
[tool.poetry.group.ci]
include-groups = ["dev", "test"]
[tool.poetry.dev-dependencies]
toml = "*"
"""
    plan = planned(tree({"pyproject.toml": HEAD + groups}))
    assert plan.values["dependency-groups"] == {
        "dev": ["iniconfig>=2,<3", "toml"],
        "test": ["idna>=3,<4"],
        "docs": ["attrs"],
        "ci": [{"include-group": "dev"}, {"include-group": "test"}],
    }
    assert uv_settings(plan) == {"package": False, "default-groups": ["dev", "test", "ci"]}
    assert messages(plan) == []


LIBRARY = {
    "pyproject.toml": """\
[tool.poetry]
name = "app"
version = "1.0"
description = "d"
authors = ["A B <a@b.c>"]
license = "MIT"
readme = "README.md"
homepage = "https://h.example"
packages = [{ include = "app", from = "src" }]
include = ["CHANGES.md"]
exclude = ["src/app/secret.py"]
classifiers = ["Topic :: Software Development"]
keywords = ["one", "two"]

[tool.poetry.urls]
Issues = "https://i.example"

[tool.poetry.dependencies]
python = "^3.9"
six = "~1.16"
idna = { version = "^3", optional = true }

[tool.poetry.extras]
x = ["idna"]

[tool.poetry.scripts]
cli = "app:main"
tool = { reference = "bin/tool.sh", type = "file" }

[tool.poetry.plugins."my.plugins"]
p = "app:P"

[build-system]
requires = ["poetry-core>=1.0.0"]
build-backend = "poetry.core.masonry.api"
""",
    "src/app/__init__.py": "",
    "src/app/secret.py": "",
    "CHANGES.md": "",
    "README.md": "hello\n",
    "bin/tool.sh": "#!/bin/sh\n",
}


def test_q03_a_library_keeps_what_its_backend_reads(tree: Tree) -> None:
    plan = planned(tree(LIBRARY))
    assert (
        plan.text
        == """\
[project]
name = "app"
version = "1.0"
description = "d"
authors = [
    { name = "A B", email = "a@b.c" },
]
license = { text = "MIT" }
readme = "README.md"
keywords = [
    "one",
    "two",
]
dynamic = [
    "classifiers",
]
requires-python = ">=3.9,<4.0"
dependencies = [
    "six>=1.16,<1.17",
]

[project.urls]
Homepage = "https://h.example"
Issues = "https://i.example"

[project.scripts]
cli = "app:main"

[project.entry-points."my.plugins"]
p = "app:P"

[project.optional-dependencies]
x = [
    "idna>=3,<4",
]

[tool.poetry]
packages = [{ include = "app", from = "src" }]
include = ["CHANGES.md"]
exclude = ["src/app/secret.py"]
classifiers = ["Topic :: Software Development"]

[tool.poetry.scripts]
tool = { reference = "bin/tool.sh", type = "file" }

[build-system]
requires = [
    "poetry-core>=2.0",
]
build-backend = "poetry.core.masonry.api"
"""
    )
    assert messages(plan) == []


def normal(metadata: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without the two spellings of one fact that metadata may have."""
    home = {"Home-page: https://h.example": "Project-URL: Homepage, https://h.example"}
    return {
        name: sorted(home.get(line, line) for line in lines if "Author" not in line)
        for name, lines in metadata.items()
    }


PLUGINS = """\
[tool.poetry.plugins.console_scripts]
other = "app:other"  # by a plugin

[tool.poetry.plugins."gui_scripts"]
window = "app:window"

"""


def test_plugins_that_are_scripts_join_the_scripts(tree: Tree) -> None:
    text = LIBRARY["pyproject.toml"].replace("[build-system]", f"{PLUGINS}[build-system]")
    plan = planned(tree({**LIBRARY, "pyproject.toml": text}))
    project = plan.values["project"]
    assert project["scripts"] == {"cli": "app:main", "other": "app:other"}
    assert project["gui-scripts"] == {"window": "app:window"}
    assert project["entry-points"] == {"my.plugins": {"p": "app:P"}}
    assert 'other = "app:other"  # by a plugin\n' in plan.text
    assert messages(plan) == []


def test_two_scripts_of_one_name_are_refused(tree: Tree) -> None:
    text = LIBRARY["pyproject.toml"] + PLUGINS
    same = tree(
        {**LIBRARY, "pyproject.toml": text.replace('other = "app:other"', 'cli = "app:main"')}
    )
    assert planned(same).values["project"]["scripts"] == {"cli": "app:main"}
    assert refusal(tree({**LIBRARY, "pyproject.toml": text.replace("other =", "cli =")})) == (
        "pyproject.toml:37: `project.scripts.cli` would be `app:main` and `app:other`"
    )


# Where both are there, poetry-core takes the plugins only.
@pytest.mark.parametrize(("script", "plugins"), [('cli = "app:main"\n', ""), ("", PLUGINS)])
def test_q03_x03_a_library_builds_the_same_wheel(tree: Tree, script: str, plugins: str) -> None:
    text = LIBRARY["pyproject.toml"].replace('cli = "app:main"\n', script) + plugins
    root = tree({**LIBRARY, "pyproject.toml": text})
    before = lines_in(wheel_by("poetry.core.masonry.api", root))
    (root / "pyproject.toml").write_text(planned(root).text)
    after = lines_in(wheel_by("poetry.core.masonry.api", root))
    assert before.keys() == after.keys()
    assert normal(after) == normal(before)


@pytest.mark.parametrize("files", [{"app/__init__.py": ""}, {"src/app/__init__.py": ""}])
def test_q05_a_package_without_a_build_system_gets_one(tree: Tree, files: dict[str, str]) -> None:
    text = HEAD.replace("package-mode = false\n", "") + PYTHON
    plan = planned(tree({"pyproject.toml": text, **files}))
    assert plan.values["build-system"] == {
        "requires": ["poetry-core>=2.0"],
        "build-backend": "poetry.core.masonry.api",
    }
    assert messages(plan) == [
        (
            "warning pyproject.toml:2: a [build-system] is added: Poetry installs the project"
            " without one"
        )
    ]


def test_q05_a_project_that_is_no_package_is_not_built(tree: Tree) -> None:
    plan = planned(tree({"pyproject.toml": HEAD.replace("package-mode = false\n", "") + PYTHON}))
    assert uv_settings(plan) == {"package": False}
    assert messages(plan) == [
        (
            "warning pyproject.toml:2: no package is found to build, so uv does not install"
            " the project itself"
        )
    ]


def test_q04_an_old_poetry_core_and_what_it_takes_into_a_wheel(tree: Tree) -> None:
    text = LIBRARY["pyproject.toml"].replace("poetry-core>=1.0.0", "poetry-core>=1.0.0,<2")
    plan = planned(tree({**LIBRARY, "pyproject.toml": text}))
    assert plan.values["build-system"]["requires"] == ["poetry-core>=2.0"]
    assert plan.values["tool"]["poetry"]["include"] == [
        {"path": "CHANGES.md", "format": ["sdist", "wheel"]}
    ]
    assert messages(plan) == [
        "warning pyproject.toml:10: CHANGES.md: poetry-core 2 puts it into wheels by `format` only"
    ]


def test_q06_poetry_2_completes_its_project(tree: Tree) -> None:
    text = """\
[project]
name = "app"
version = "1.0"
requires-python = ">=3.9,<4"
dependencies = ["requests>=2.13", "torch>=2", "idna>=2"]

[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.10"
requests = { source = "priv" }
torch = [
    { source = "cu", platform = "linux" },
    { source = "cpu", markers = "sys_platform != 'linux'" },
]
idna = { version = "^3" }
onlytool = "^1"

[[tool.poetry.source]]
name = "priv"
url = "https://priv.example/simple"

[[tool.poetry.source]]
name = "cu"
url = "https://wheels.example/cu"
priority = "explicit"

[[tool.poetry.source]]
name = "cpu"
url = "https://wheels.example/cpu"
priority = "explicit"
"""
    plan = planned(tree({"pyproject.toml": text}))
    assert (
        plan.text
        == """\
[project]
name = "app"
version = "1.0"
requires-python = ">=3.9,<4"
dependencies = ["requests>=2.13", "torch>=2", "idna>=2"]

[tool.uv]
constraint-dependencies = [
    "idna>=3,<4",
]
package = false
environments = [
    "python_version >= '3.10' and python_version < '4.0'",
]

[tool.uv.sources]
requests = { index = "priv" }
torch = [
    { index = "cu", marker = 'sys_platform == "linux"' },
    { index = "cpu", marker = 'sys_platform != "linux"' },
]

[[tool.uv.index]]
name = "cu"
url = "https://wheels.example/cu"
explicit = true

[[tool.uv.index]]
name = "cpu"
url = "https://wheels.example/cpu"
explicit = true

[[tool.uv.index]]
name = "priv"
url = "https://priv.example/simple"
default = true
"""
    )
    assert messages(plan) == [
        "action pyproject.toml:18: Poetry ignores `onlytool`: [project] does not have it"
    ]


def test_dynamic_dependencies_of_poetry_2_become_static(tree: Tree) -> None:
    text = (
        '[project]\nname = "app"\nversion = "1.0"\ndynamic = ["dependencies", "classifiers"]\n'
        "[tool.poetry]\npackage-mode = false\nclassifiers = []\n"
        f'{PYTHON}six = "*"\n'
    )
    project = planned(tree({"pyproject.toml": text})).values["project"]
    assert project["dependencies"] == ["six"]
    assert project["dynamic"] == ["classifiers"]
    assert project["requires-python"] == ">=3.9,<4.0"


def source(name: str, **more: str) -> str:
    url = {} if name == "PyPI" else {"url": f"https://{name}.example"}
    lines = {"name": name, **url, **more}
    return "\n".join(("[[tool.poetry.source]]", *(f'{k} = "{v}"' for k, v in lines.items()), ""))


@pytest.mark.parametrize(
    ("sources", "indexes"),
    [
        (source("sup", priority="supplemental"), ["pypi", "sup default"]),
        (source("a") + source("b") + source("PyPI"), ["a", "b"]),
        (source("a") + source("b"), ["a", "b default"]),
        (source("PyPI") + source("a"), ["pypi", "a default"]),
        (source("a", priority="default"), ["a default"]),
        (source("x", priority="explicit"), ["x explicit"]),
        (source("PyPI"), []),
        (source("a") + source("sup", priority="supplemental"), ["a", "sup default"]),
    ],
)
def test_q07_q08_sources_are_asked_in_the_order_of_poetry(
    tree: Tree, sources: str, indexes: list[str]
) -> None:
    plan = planned(tree({"pyproject.toml": HEAD + PYTHON + sources}))
    written = uv_settings(plan).get("index", ())
    kinds = ("default", "explicit")
    assert [" ".join((i["name"], *(k for k in kinds if k in i))) for i in written] == indexes


def test_x11_two_sources_of_one_name_are_refused(tree: Tree) -> None:
    sources = source("my idx", url="https://a.example") + source("my-idx", url="https://b.example")
    with pytest.raises(UvflowError, match="two indexes would be called `my-idx`"):
        planned(tree({"pyproject.toml": HEAD + PYTHON + sources}))


def test_a_password_of_a_source_is_in_no_file(tree: Tree) -> None:
    text = HEAD + PYTHON + source("a").replace("https://", "https://user:hunter2@")
    plan = planned(tree({"pyproject.toml": text}))
    assert "hunter2" not in plan.text
    assert plan.imported.credentials == {
        "UV_INDEX_A_USERNAME": "user",
        "UV_INDEX_A_PASSWORD": "hunter2",
    }
    (message,) = messages(plan)
    assert message == (
        "action pyproject.toml:8: the credentials of https://a.example were removed, but uv has"
        " them for this run; the backup for `uvflow undo` still contains them"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["A B <a@b.c>"]', '["just <weird"]', "`just <weird` is not `Name <address>`"),
        ('x = ["idna"]', 'x = ["nope"]', "the extra x names nope, which is not a dependency"),
    ],
)
def test_q13_what_poetry_refuses_too(tree: Tree, old: str, new: str, message: str) -> None:
    files = {**LIBRARY, "pyproject.toml": LIBRARY["pyproject.toml"].replace(old, new)}
    with pytest.raises(UvflowError) as caught:
        planned(tree(files))
    assert message in [finding.message for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("old", "new", "dynamic", "kept"),
    [
        ('readme = "README.md"', 'readme = ["README.md", "CHANGES.md"]', "readme", "readme"),
        (
            "[build-system]",
            "[tool.poetry-dynamic-versioning]\nenable = true\n[build-system]",
            "version",
            "version",
        ),
    ],
)
def test_q12_q13_what_the_backend_computes_stays(
    tree: Tree, old: str, new: str, dynamic: str, kept: str
) -> None:
    text = LIBRARY["pyproject.toml"].replace(old, new)
    values = planned(tree({**LIBRARY, "pyproject.toml": text})).values
    assert values["project"]["dynamic"] == [dynamic, "classifiers"]
    assert kept in values["tool"]["poetry"]


def test_q19_what_no_rule_is_for_needs_action_and_stays(tree: Tree) -> None:
    text = HEAD + 'strange = "d"\n[tool.poetry.requires-plugins]\nexport = "*"\n'
    plan = planned(tree({"pyproject.toml": text, "poetry.toml": "virtualenvs.create = false\n"}))
    assert plan.text.endswith(
        '[tool.poetry]\nstrange = "d"\n[tool.poetry.requires-plugins]\nexport = "*"\n'
        "\n[tool.uv]\npackage = false\n"
    )
    assert messages(plan) == [
        "action pyproject.toml:5: `tool.poetry.strange` is not imported: uv has no such setting",
        (
            "action pyproject.toml:7: `tool.poetry.requires-plugins.export` is not imported:"
            " uv has no such setting"
        ),
        "action poetry.toml:1: Poetry made no environment, and uv makes one in .venv",
    ]


LOCK = """\
[[package]]
name = "numpy"
version = "1.24.4"
python-versions = ">=3.9"
files = [{file = "numpy.whl", hash = "sha256:aa"}]
markers = "python_version == \\"3.9\\" and extra == \\"x\\""

[[package]]
name = "numpy"
version = "1.26.4"
files = []
[package.markers]
main = "python_version >= \\"3.10\\""
dev = "python_version >= \\"3.10\\" and extra == \\"x\\""

[[package]]
name = "Gp"
version = "1.0"
files = []
[package.source]
type = "git"
url = "https://host.example/gp.git"
reference = "main"
resolved_reference = "abc"

[[package]]
name = "foo"
version = "1.0"
files = []
[package.source]
type = "directory"
url = "libs/foo"
"""


def test_q14_q16_the_versions_of_a_lock_file_are_pins(tree: Tree) -> None:
    git = "gp = {git = 'https://host.example/gp.git', branch = 'main'}"
    text = f"{HEAD}{PYTHON}numpy = '*'\n{git}\n"
    plan = planned(tree({"pyproject.toml": text, "poetry.lock": LOCK}))
    assert plan.imported.pins == (
        Pin(
            name="numpy",
            version="1.24.4",
            origin=plan.imported.pins[0].origin,
            hashes=("sha256:aa",),
            marker='python_version == "3.9"',
        ),
        Pin(
            name="numpy",
            version="1.26.4",
            origin=plan.imported.pins[1].origin,
            marker='python_version >= "3.10"',
        ),
        Pin(
            name="gp",
            version="1.0",
            origin=plan.imported.pins[2].origin,
            git="https://host.example/gp.git?branch=main#abc",
        ),
    )
    assert [pin.origin.line for pin in plan.imported.pins] == [1, 8, 16]
    assert 'source = { git = "https://host.example/gp.git?branch=main#abc" }' in seed_lockfile(
        plan.imported, ">=3.9"
    )
    assert messages(plan) == [
        "action poetry.lock:26: foo came from a place that only another package names"
    ]


def test_hashes_of_old_lock_files_stand_at_their_end(tree: Tree) -> None:
    lock = (
        '[[package]]\nname = "six"\nversion = "1.16.0"\n'
        '[metadata.files]\nsix = [{file = "six.whl", hash = "sha256:aa"}]\n'
    )
    text = f"{HEAD}{PYTHON}six = '*'\n"
    plan = planned(tree({"pyproject.toml": text, "poetry.lock": lock}))
    assert [pin.hashes for pin in plan.imported.pins] == [("sha256:aa",)]


def test_a_broken_lock_file_is_no_reason_to_do_without(tree: Tree) -> None:
    with pytest.raises(UvflowError, match=r"poetry\.lock is not valid TOML.*line 2") as caught:
        planned(tree({"pyproject.toml": HEAD + PYTHON, "poetry.lock": "[[package]]\nname = =\n"}))
    assert caught.value.exit_code == 1


def test_q20_an_export_of_the_lock_file_adds_nothing(tree: Tree) -> None:
    lock = '[[package]]\nname = "six"\nversion = "1.16.0"\nfiles = []\n'
    files = {"pyproject.toml": HEAD + PYTHON + "six = '*'\n", "poetry.lock": lock}
    root = tree({**files, "requirements.txt": "six==1.16.0 ; python_version >= '3.9'\n"})
    plan = planned(root)
    assert plan.values["project"]["dependencies"] == ["six"]
    assert messages(plan) == [
        (
            "warning requirements.txt:1: this is an export of the lock file of [tool.poetry] of"
            " pyproject.toml"
        )
    ]
    (root / "requirements.txt").write_text("six==1.16.0\nidna==3.7\n")
    with pytest.raises(UvflowError, match="two sources of dependencies"):
        planned(root)


def test_a_comment_without_a_place_is_told(tree: Tree) -> None:
    text = HEAD + PYTHON + "[tool.poetry.extras]\nx = []  # nothing yet\n"
    (message,) = messages(planned(tree({"pyproject.toml": text})))
    assert message.endswith(": comments without a place in the new pyproject.toml: # nothing yet")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("authors = 1", "pyproject.toml: `tool.poetry.authors` must be a list of strings, not 1"),
        ("extras = []", "pyproject.toml: `tool.poetry.extras` must be a table, not []"),
        ("dependencies.six = 1", "pyproject.toml: `tool.poetry.dependencies.six` must be a string"),
        ("dependencies.six.path = 1", "`path = 1` of six is not what Poetry takes"),
        ("dependencies.python = 'x.y'", "`x.y` is not what Poetry takes for a Python"),
    ],
)
def test_what_is_not_of_its_type_is_no_traceback(tree: Tree, line: str, message: str) -> None:
    with pytest.raises(UvflowError, match=re.escape(message)):
        planned(tree({"pyproject.toml": f"{HEAD}{line}\n"}))


def test_a_build_that_is_not_poetrys_stays(tree: Tree) -> None:
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    text = '[project]\nname = "app"\nversion = "1"\ndependencies = []\n' + build
    group = "[tool.poetry.group.test.dependencies]\nsix = '*'\n"
    assert planned(tree({"pyproject.toml": text + group})).text == (
        text
        + '\n[dependency-groups]\ntest = [\n    "six",\n]\n'
        + '\n[tool.uv]\ndefault-groups = [\n    "test",\n]\n'
    )


@pytest.mark.parametrize("key", ["name", "version", "description", "homepage"])
def test_a_value_of_another_type_is_an_error_with_its_key(tree: Tree, key: str) -> None:
    with pytest.raises(UvflowError) as caught:
        planned(tree({"pyproject.toml": f"[tool.poetry]\n{key} = 1\n"}))
    message = f"`tool.poetry.{key}` must be a string, not 1"
    assert (caught.value.exit_code, str(caught.value).endswith(message)) == (2, True)


@pytest.mark.parametrize("extras", ["1", '"socks"', "[1]"])
def test_extras_that_are_no_list_of_names_are_an_error(tree: Tree, extras: str) -> None:
    text = f"{HEAD}{PYTHON}idna = {{ version = '*', extras = {extras} }}\n"
    with pytest.raises(UvflowError) as caught:
        planned(tree({"pyproject.toml": text}))
    assert "of idna is not what Poetry takes" in str(caught.value)


def test_a_script_with_extras_needs_action(tree: Tree) -> None:
    script = 'x = { reference = "a:b", type = "console", extras = ["q"] }'
    plan = planned(tree({"pyproject.toml": f"{HEAD}[tool.poetry.scripts]\n{script}\n{PYTHON}"}))
    [message] = messages(plan)
    assert message.startswith("action pyproject.toml:6: ")
    assert script in plan.text


def test_a_lock_file_that_is_no_text_is_an_error(tree: Tree) -> None:
    root = tree({"pyproject.toml": HEAD + PYTHON})
    (root / "poetry.lock").write_bytes(b'[[package]]\nname = "idna\xff"\nversion = "3.1"\n')
    with pytest.raises(UvflowError) as caught:
        planned(root)
    assert "poetry.lock is not valid TOML" in str(caught.value)


def test_q09_extras_that_exclude_each_other(tree: Tree) -> None:
    text = """\
[project]
name = "app"
version = "1.0"
requires-python = ">=3.10"
dependencies = []
[project.optional-dependencies]
cpu = ["six==1.16.0"]
cuda = ["six==1.15.0"]
[tool.poetry]
package-mode = false
[tool.poetry.dependencies]
six = [
    {markers = "extra == 'cpu' and extra != 'cuda'", source = "a"},
    {markers = "extra == 'cuda' and extra != 'cpu'", source = "b"},
]
[[tool.poetry.source]]
name = "a"
url = "https://a.example/simple"
priority = "explicit"
[[tool.poetry.source]]
name = "b"
url = "https://b.example/simple"
priority = "explicit"
"""
    plan = planned(tree({"pyproject.toml": text}))
    assert uv_settings(plan)["conflicts"] == [[{"extra": "cpu"}, {"extra": "cuda"}]]
    assert uv_settings(plan)["sources"] == {
        "six": [{"index": "a", "extra": "cpu"}, {"index": "b", "extra": "cuda"}]
    }
    assert messages(plan) == []


@pytest.mark.parametrize(
    ("more", "written", "message"),
    [
        ("", ["setuptools<78"], "hold for the build of every package now: setuptools<78"),
        ('idna = {setuptools = ">=78"}', None, "and do not agree: setuptools"),
    ],
)
def test_q10_build_constraints(
    tree: Tree, more: str, written: list[str] | None, message: str
) -> None:
    constraints = f'[tool.poetry.build-constraints]\nsix = {{setuptools = "<78"}}\n{more}\n'
    plan = planned(tree({"pyproject.toml": HEAD + PYTHON + constraints}))
    assert uv_settings(plan).get("build-constraint-dependencies") == written
    assert [message in text for text in messages(plan)] == [True]


def test_p31_of_a_union_the_part_that_is_locked_is_kept(tree: Tree) -> None:
    text = f'{HEAD}{PYTHON}packaging = "<20 || >=21.3"\n'
    lock = '[[package]]\nname = "packaging"\nversion = "19.2"\n'
    plan = planned(tree({"pyproject.toml": text, "poetry.lock": lock}))
    assert plan.values["project"]["dependencies"] == ["packaging<20"]


def test_p38_prereleases_of_single_packages(tree: Tree) -> None:
    given = "six = {version = '^1', allow-prereleases = true}\n"
    given += "attrs = {version = '*', allow-prereleases = false}\n"
    root = tree({"pyproject.toml": HEAD + PYTHON + given})
    plan = planned(root, uv_version="0.12.1")
    assert uv_settings(plan)["prerelease-package"] == {"six": "allow", "attrs": "disallow"}
    assert messages(plan) == []
    plan = planned(root, uv_version="0.12.0")
    assert "prerelease-package" not in uv_settings(plan)
    (message,) = messages(plan)
    assert "uv 0.12.0 has no `prerelease-package = " in message


def test_q18_what_a_lock_file_does_not_have_is_named(tree: Tree) -> None:
    text, lock = (
        f'{HEAD}{PYTHON}six = "*"\nidna = "*"\n',
        '[[package]]\nname = "six"\nversion = "1"\n',
    )
    plan = planned(tree({"pyproject.toml": text, "poetry.lock": lock}))
    assert messages(plan) == [
        "warning poetry.lock:1: this was made before what it does not have: idna"
    ]
    assert [pin.name for pin in plan.imported.pins] == ["six"]


@pytest.mark.parametrize(
    ("installer", "settings"),
    [
        (
            'no-binary = ["six"]\nonly-binary = ":all:"\nmax-workers = 3',
            {"no-binary-package": ["six"], "no-build": True},
        ),
        ('only-binary = "six, idna"', {"no-build-package": ["six", "idna"]}),
        ("no-binary = true\nonly-binary = false", {"no-binary": True}),
        ('no-binary = ":none:"', {}),
    ],
)
def test_q19_what_poetry_toml_builds_itself(
    tree: Tree, installer: str, settings: dict[str, Any]
) -> None:
    text = f"[installer]\n{installer}\n"
    plan = planned(tree({"pyproject.toml": HEAD + PYTHON, "poetry.toml": text}))
    assert uv_settings(plan) == {"package": False, **settings}
    assert plan.imported.files[1].buckets.get(Bucket.SETTING, 0) == len(settings)
    assert messages(plan) == []


def test_q19_what_poetry_toml_cannot_have_is_refused(tree: Tree) -> None:
    text = "[installer]\nno-binary = 1\n"
    assert refusal(tree({"pyproject.toml": HEAD + PYTHON, "poetry.toml": text})) == (
        "poetry.toml: `installer.no-binary` must be true or false or a string or a list, not 1"
    )


def test_x05_a_uv_lock_counts_before_other_lock_files(tree: Tree) -> None:
    text, lock = f'{HEAD}{PYTHON}six = "*"\n', '[[package]]\nname = "six"\nversion = "1"\n'
    plan = planned(tree({"pyproject.toml": text, "poetry.lock": lock, "uv.lock": "version = 1\n"}))
    assert plan.imported.pins == ()
    assert messages(plan) == [
        "warning uv.lock:1: uv.lock counts, and the versions of poetry.lock are not used"
    ]


def test_x12_two_groups_that_are_one_for_uv_are_refused(tree: Tree) -> None:
    groups = "".join(f"[tool.poetry.group.{n}.dependencies]\nsix = '*'\n" for n in ("a_b", "A-B"))
    with pytest.raises(UvflowError, match="the groups `a_b` and `A-B` for one"):
        planned(tree({"pyproject.toml": HEAD + PYTHON + groups}))


def test_an_empty_table_of_poetry_goes_with_the_last_of_it(tree: Tree) -> None:
    project = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = []\n'
    group = '[tool.poetry]\n\n[tool.poetry.group.dev.dependencies]\nidna = "^3"\n'
    plan = planned(tree({"pyproject.toml": project + group, "a.py": ""}))
    assert "poetry" not in plan.values.get("tool", {})
    assert plan.values["dependency-groups"] == {"dev": ["idna>=3,<4"]}


def test_a_lock_file_beside_a_project_alone_has_its_pins(tree: Tree) -> None:
    project = (
        '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["six"]\n'
    )
    files = {"poetry.lock": '[[package]]\nname = "six"\nversion = "1.15.0"\n'}
    plan = planned(tree({**files, "pyproject.toml": project}))
    assert [(pin.name, pin.version) for pin in plan.imported.pins] == [("six", "1.15.0")]
    (plan.root / "pyproject.toml").unlink()
    with pytest.raises(UvflowError, match="not imported"):
        planned(plan.root)
