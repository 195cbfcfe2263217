"""The cases S01 to S14 of setuptools projects: whole files in, whole files out, the same wheel."""

from pathlib import Path
from typing import Any

import pytest
from plans import lines_in, messages, planned, refusal, wheel_by
from rig import Tree
from wheels import add_installed

from uvflow.findings import Origin
from uvflow.migrate.model import Bucket

SETUP = "from setuptools import find_packages, setup\n"
BACKEND = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
STATIC = {
    "setup.cfg": """\
[metadata]
name = Pk_Demo
version = attr: pk.__version__
description = demo
long_description = file: README.rst
long_description_content_type = text/x-rst
author = A B
author_email = a@b.example
license = MIT
url = https://h.example
project_urls =
    Docs = https://d.example
keywords = one, two
classifiers =
    Programming Language :: Python :: 3

[options]
package_dir =
    = src
packages = find:
python_requires = >=3.9
install_requires =
    # what it needs
    six>=1.10  # py2 compat
    toml; python_version < "3.11"

[options.packages.find]
where = src

[options.extras_require]
x = attrs
test =
    iniconfig; python_version<"3.12"

[options.package_data]
pk = *.txt

[options.entry_points]
console_scripts =
    pk = pk:main
gui_scripts =
    pkg = pk:gui
my.plugins =
    p = pk:P

[flake8]
max-line-length = 100
""",
    "setup.py": "from setuptools import setup\n\nsetup()\n",
    "README.rst": "A demo.\n",
    "src/pk/__init__.py": '__version__ = "1.0"\n',
    "src/pk/data.txt": "data\n",
}


def test_s01_a_static_setup_cfg(tree: Tree) -> None:
    plan = planned(tree(STATIC))
    assert (
        plan.text
        == """\
[project]
name = "Pk_Demo"
description = "demo"
readme = { file = "README.rst", content-type = "text/x-rst" }
license = { text = "MIT" }
authors = [
    { name = "A B", email = "a@b.example" },
]
keywords = [
    "one",
    "two",
]
classifiers = [
    "Programming Language :: Python :: 3",
]
dynamic = [
    "version",
]
requires-python = ">=3.9"
dependencies = [
    "six>=1.10", # py2 compat
    'toml; python_version < "3.11"',
]

[project.urls]
Homepage = "https://h.example"
Docs = "https://d.example"

[project.scripts]
pk = "pk:main"

[project.gui-scripts]
pkg = "pk:gui"

[project.entry-points."my.plugins"]
p = "pk:P"

[project.optional-dependencies]
x = [
    "attrs",
]
test = [
    'iniconfig; python_version<"3.12"',
]

[tool.setuptools.dynamic]
version = { attr = "pk.__version__" }

[build-system]
requires = [
    "setuptools",
]
build-backend = "setuptools.build_meta"
"""
    )
    assert messages(plan) == []
    assert [file.buckets for file in plan.imported.files] == [{"imported": 27, "left": 6}]


SMALL = 'setup(name="a", version="1.0", {})\n'

# The script, what is written beside name and version, and the findings.
CASES = {
    "s02_literals": (
        SMALL.format(
            """install_requires=["six"], extras_require={"t": ["toml"],
            "t:python_version<'3.12'": ["idna"], ":os_name=='nt'": ["attrs"]}"""
        ),
        {
            "dependencies": ["six", "attrs ; os_name=='nt'"],
            "optional-dependencies": {"t": ["toml", "idna ; python_version<'3.12'"]},
        },
        [],
    ),
    "s05_a_condition": (
        'reqs = []\nif x:\n    reqs.append("six")\n' + SMALL.format("install_requires=reqs"),
        {"dynamic": ["dependencies"]},
        [("warning setup.py:5: uv builds the project to learn what stays there: dependencies")],
    ),
    "s07_a_dict": (
        'kw = dict(install_requires=["six"])\n' + SMALL.format("**kw"),
        {"dependencies": ["six"]},
        [],
    ),
    "s09_python_requires": (
        'setup(name="a", python_requires=">=3.9", version=v())\n',
        {"dynamic": ["version"], "requires-python": ">=3.9", "dependencies": []},
        ["warning setup.py:2: uv builds the project to learn what stays there: version"],
    ),
    "s11_an_entry_point_with_extras": (
        SMALL.format('entry_points={"console_scripts": ["a = b:c [x]"]}'),
        {"dependencies": [], "scripts": {"a": "b:c [x]"}},
        [("action setup.py:2: `b:c [x]`: nothing installs the extras of an entry point any more")],
    ),
    "what_uv_has_no_place_for": (
        SMALL.format('test_suite="tests", tests_require=open("t.txt").readlines(), zip_safe=False'),
        {"dependencies": []},
        [
            "action setup.py:2: `test_suite` is not imported",
            "action setup.py:2: `tests_require` is not imported",
        ],
    ),
    "an_address_that_setuptools_refuses_in_project": (
        SMALL.format('author="A", author_email="nobody", url="https://u:secret@h.example"'),
        {"dynamic": ["authors", "urls"], "dependencies": []},
        [("warning setup.py:2: uv builds the project to learn what stays there: authors, urls")],
    ),
}


PYTHON_ADDED = (
    'warning `requires-python = ">=3.11"` is added, which uv needs: pip installs the package on no'
    " other Python"
)


@pytest.mark.parametrize(("script", "project", "noticed"), CASES.values(), ids=CASES)
def test_a_setup_script(
    tree: Tree, script: str, project: dict[str, Any], noticed: list[str]
) -> None:
    plan = planned(tree({"setup.py": SETUP + script, ".python-version": "3.11\n"}))
    written = dict(plan.values["project"])
    common = {"name": "a", "version": "1.0", "requires-python": ">=3.11"}
    common = {k: v for k, v in common.items() if k not in project.get("dynamic", ())}
    assert written == {**common, **project}
    is_added = "requires-python" not in (*project, *project.get("dynamic", ()))
    assert messages(plan) == [*noticed, *([PYTHON_ADDED] if is_added else [])]
    is_run = "dynamic" in project and "authors" not in project["dynamic"]
    assert plan.values["build-system"] == {
        "requires": ["setuptools"],
        "build-backend": f"setuptools.build_meta{':__legacy__' if is_run else ''}",
    }


def test_the_python_that_uv_takes_is_named(tree: Tree) -> None:
    plan = planned(tree({"setup.py": SETUP + SMALL.format("")}))
    python = plan.values["project"]["requires-python"]
    assert messages(plan) == [PYTHON_ADDED.replace(">=3.11", python)]
    (finding,) = plan.imported.findings
    assert finding.hint == "`--python 3.9`, for example, if the package supports older ones"
    assert messages(planned(plan.root, python="3.9")) == []


@pytest.mark.parametrize(
    "read", ["open('requirements.txt').read().splitlines()", 'parse(open("requirements.txt"))']
)
def test_s03_requirements_that_a_build_reads(tree: Tree, read: str) -> None:
    script = SETUP + SMALL.format(f"install_requires={read}")
    dev = "-r requirements.txt\niniconfig\n"
    files = {"setup.py": script, "requirements.txt": "six\n", "requirements-dev.txt": dev}
    plan = planned(tree(files))
    assert plan.values["project"]["dynamic"] == ["dependencies"]
    assert plan.values["dependency-groups"] == {"dev": ["iniconfig"]}
    is_static = read.startswith("open")
    dynamic = plan.values.get("tool", {}).get("setuptools", {}).get("dynamic", {})
    assert dynamic == ({"dependencies": {"file": ["requirements.txt"]}} if is_static else {})
    assert [(f.path, f.buckets) for f in plan.imported.files[1:]] == [
        ("requirements.txt", {"left": 1}),
        ("requirements-dev.txt", {"imported": 1, "already_default": 1}),
    ]


def test_s06_a_syntax_error(tree: Tree) -> None:
    root = tree({"setup.py": "x = 1\nprint 'x'\nsetup()\n"})
    assert refusal(root).startswith("setup.py:2 cannot be read: Missing parentheses")


def test_s07_arguments_that_are_computed(tree: Tree) -> None:
    root = tree({"setup.py": SETUP + "setup(name='a', **kw)\n"})
    assert refusal(root) == (
        "setup.py:2 cannot be read: the arguments of `setup()` are computed here"
    )


@pytest.mark.parametrize("script", ["setup(name=name())", "setup(pbr=True)"])
def test_a_name_or_metadata_that_is_computed(tree: Tree, script: str) -> None:
    assert refusal(tree({"setup.py": SETUP + script})).startswith(
        "setup.py:2: setup.py computes the "
    )


def test_s08_setup_py_counts_before_setup_cfg(tree: Tree) -> None:
    cfg = "[metadata]\nname = a\nversion = 1\n[options]\ninstall_requires = idna; six\n"
    script = SETUP + "setup(install_requires=['six'], python_requires='>=3.9', classifiers=[])\n"
    plan = planned(tree({"setup.cfg": cfg, "setup.py": script}))
    assert plan.values["project"]["dependencies"] == ["six"]
    assert messages(plan) == [
        "warning setup.py:2: this `install_requires` counts, and not that of setup.cfg:5"
    ]


@pytest.mark.parametrize(
    ("files", "is_built"),
    [
        ({"setup.cfg": "[flake8]\nmax-line-length = 100\n"}, False),
        ({"setup.py": SETUP, "pyproject.toml": "[build-system]\nbuild-backend = 'flit'\n"}, True),
    ],
)
def test_s10_what_is_no_setuptools_project(
    tree: Tree, files: dict[str, str], *, is_built: bool
) -> None:
    plan = planned(tree({**files, "requirements.txt": "six\n"}))
    assert [file.path for file in plan.imported.files] == ["requirements.txt"]
    assert ("build-system" in plan.values) is is_built


def test_s12_a_version_that_a_plugin_makes(tree: Tree) -> None:
    script = "setup(name='a', setup_requires=['setuptools_scm'], use_scm_version=True)\n"
    plan = planned(tree({"setup.py": SETUP + script}))
    assert plan.values["project"]["dynamic"] == ["version"]
    assert plan.values["build-system"] == {
        "requires": ["setuptools", "setuptools_scm"],
        "build-backend": "setuptools.build_meta",
    }


def test_s14_a_requirements_file_with_all_of_them_pinned(tree: Tree) -> None:
    pins = "requests==2.28.0\nidna==3.7\ncertifi==2024.2.2\n"
    script = SETUP + SMALL.format("install_requires=['requests']")
    plan = planned(tree({"setup.py": script, "requirements.txt": pins}))
    assert plan.values["project"]["dependencies"] == ["requests"]
    assert [f"{pin.name}=={pin.version}" for pin in plan.imported.pins] == pins.split()


def test_a_build_system_stays(tree: Tree) -> None:
    plan = planned(tree({"setup.py": SETUP + SMALL.format(""), "pyproject.toml": BACKEND}))
    assert plan.text.endswith(BACKEND)


def test_another_source_of_dependencies_is_compared(tree: Tree) -> None:
    script = SETUP + SMALL.format("install_requires=['six']")
    root = tree({"setup.py": script, "requirements.txt": "idna\n"})
    assert refusal(root) == (
        "requirements.txt:1: two sources of dependencies: setup.py and requirements.txt"
    )
    ignored = planned(root, ignored=("setup.py",))
    chosen = planned(root, from_files=("setup.py",))
    assert ignored.values["project"]["dependencies"] == ["idna"]
    assert chosen.values["project"]["dependencies"] == ["six"]


def equal_lines(wheel: Path) -> dict[str, set[str]]:
    """Metadata as equals: `Dynamic` says where a value is from, uv needs `Requires-Python`."""
    equal = {
        "Home-page: https://h.example": "Project-URL: Homepage, https://h.example",
        "Author-email: A B <a@b.example>": "Author-email: a@b.example",
    }
    left_out = ("Dynamic:", "Requires-Python: >=3.1", "Author: A B")
    return {
        name: {equal.get(line, line) for line in lines if not line.startswith(left_out)}
        for name, lines in lines_in(wheel).items()
    }


@pytest.mark.parametrize(
    "files",
    [
        STATIC,
        {"setup.py": SETUP + 'setup(name="a", version="1.0", py_modules=["a"])\n', "a.py": ""},
        {
            "setup.py": f"""{SETUP}
reqs = ["six"]
setup(
    name="a",
    version="1.0",
    description="d",
    long_description="several\\nlines",
    author="A B",
    author_email="nobody",
    maintainer="C",
    license="MIT",
    url="https://h.example",
    keywords="one two",
    packages=find_packages(),
    install_requires=reqs,
    extras_require={{
        "t": ["toml"], "t:python_version<'3.12'": ["idna"], ":os_name=='nt'": ["attrs"]
    }},
    entry_points={{"console_scripts": ["a = a:b", "c = a:d [t]"]}},
)
""",
            "a/__init__.py": "",
        },
        {
            "setup.py": SETUP
            + 'setup(name="a", version="1.0", py_modules=["a"],'
            + ' install_requires=open("requirements.txt").read().splitlines())\n',
            "requirements.txt": "six\nidna>=3\n",
            "a.py": "",
        },
        {
            "setup.py": SETUP
            + """
import os, sys
import a

reqs = ["six"]
if os.name == "nt":
    reqs.append("attrs")
extras = {"t": ["toml"]}
extras["all"] = sum(extras.values(), [])
setup(name="a", version=a.version(), description=a.__doc__, long_description=open("README").read(),
      author=a.author, license="".join("MIT"), classifiers=list(a.classifiers), url=a.url,
      python_requires=a.pythons, keywords=a.words, install_requires=reqs, extras_require=extras,
      entry_points=a.points, py_modules=["a"])
""",
            "a.py": '"""doc"""\ndef version(): return "1.0"\nauthor = "A"\n'
            'classifiers = ("Topic :: Home Automation",)\nurl = "https://h.example"\n'
            'pythons = ">=3.9"\nwords = ["w"]\npoints = {"console_scripts": ["a = a:version"]}\n',
            "README": "hi\n",
        },
        {
            "setup.py": SETUP
            + 'setup(name="a", version="1.0", py_modules=["a"],'
            + " entry_points='''\n[console_scripts]\ncli = a:main\n''')\n",
            "a.py": "",
        },
    ],
    ids=["cfg", "small", "literals", "requirements", "computed", "ini"],
)
def test_s04_s13_the_wheel_is_the_same_before_and_after(
    tree: Tree, index: Path, files: dict[str, str]
) -> None:
    add_installed(index, "setuptools")
    root = tree(files)
    before = equal_lines(wheel_by("uv", root))
    (root / "pyproject.toml").write_text(planned(root).text)
    after = equal_lines(wheel_by("uv", root))
    assert before.keys() == after.keys()
    assert after == before


def test_a_description_in_brackets_is_no_entry_point(tree: Tree) -> None:
    text = "[metadata]\nname = app\nversion = 1\ndescription = [demo]\n"
    plan = planned(tree({"setup.cfg": text, "setup.py": "from setuptools import setup\nsetup()\n"}))
    assert plan.values["project"]["description"] == "[demo]"
    assert not [message for message in messages(plan) if "entry point" in message]


def test_entry_points_as_the_text_of_an_ini_file(tree: Tree) -> None:
    text = """\
from setuptools import setup
setup(name="a", version="1", entry_points='''
    # what is run
    [console_scripts]
    cli = a:main
    [my.plugins]
    p = a:P
''')
"""
    project = planned(tree({"setup.py": text})).values["project"]
    assert project["scripts"] == {"cli": "a:main"}
    assert project["entry-points"] == {"my.plugins": {"p": "a:P"}}
    assert project["gui-scripts"] == {}  # or setuptools looks for them in the text, and fails


def test_two_scripts_of_one_name_are_refused(tree: Tree) -> None:
    scripts = "entry_points={'console_scripts': ['a = a:b', 'c = a:b', 'a = a:b', 'c = a:d']}"
    assert refusal(tree({"setup.py": SETUP + SMALL.format(scripts)})) == (
        "setup.py:2: `project.scripts.c` would be `a:b` and `a:d`"
    )


TESTS = "warning {}: `tests_require` becomes the dependency group `test`"


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": SETUP + SMALL.format("tests_require=['six>=1', 'idna']")},
        {
            "setup.cfg": "[metadata]\nname = a\n[options]\n"
            "tests_require =\n  six>=1  # old\n  idna\n"
        },
    ],
    ids=["py", "cfg"],
)
def test_what_the_tests_need_becomes_the_group_test(tree: Tree, files: dict[str, str]) -> None:
    plan = planned(tree(files))
    assert plan.values["dependency-groups"] == {"test": ["six>=1", "idna"]}
    (name,) = files
    line = 2 if name == "setup.py" else 4
    assert TESTS.format(f"{name}:{line}") in messages(plan)
    (file,) = plan.imported.files
    assert file.outcomes[Origin(path=name, line=line)] is Bucket.IMPORTED


def test_what_the_tests_need_is_merged_with_the_files_of_the_group(tree: Tree) -> None:
    script = SETUP + SMALL.format(
        "python_requires='>=3.9', install_requires=['six'],\ntests_require=['idna', 'toml>=0.9'],"
    )
    tests = "idna==3.7\ncertifi\ntoml >= 0.9\n"
    plan = planned(tree({"setup.py": script, "requirements-test.txt": tests}))
    assert plan.values["project"]["dependencies"] == ["six"]
    assert plan.values["dependency-groups"] == {"test": ["idna==3.7", "toml>=0.9", "certifi"]}
    assert messages(plan) == [
        TESTS.format("setup.py:3"),
        "note setup.py:3: `idna` is covered by `idna==3.7` (requirements-test.txt:1)",
        "note requirements-test.txt:3: `toml >= 0.9` is covered by `toml>=0.9` (setup.py:3)",
    ]
    assert plan.imported.files[1].buckets == {"imported": 2, "merged": 1}


def test_what_the_tests_need_and_a_pin_that_it_excludes_are_a_conflict(tree: Tree) -> None:
    script = SETUP + SMALL.format("tests_require=['idna<3']")
    root = tree({"setup.py": script, "requirements-test.txt": "idna==3.7\n"})
    assert refusal(root) == (
        "requirements-test.txt:1: `idna==3.7` conflicts with `idna<3` (setup.py:2)"
    )


def test_a_group_test_of_pyproject_gets_what_it_lacks_of_what_the_tests_need(tree: Tree) -> None:
    script = SETUP + SMALL.format("tests_require=['idna', 'toml']")
    manifest = f'{BACKEND}\n[dependency-groups]\ntest = ["idna", "certifi"]\n'
    plan = planned(tree({"setup.py": script, "pyproject.toml": manifest}))
    assert plan.values["dependency-groups"] == {"test": ["idna", "certifi", "toml"]}


def test_a_requirements_file_that_says_the_same_is_merged(tree: Tree) -> None:
    text = SETUP + SMALL.format('python_requires=">=3.9", install_requires=["six>=1"]')
    plan = planned(tree({"setup.py": text, "requirements.txt": "six >= 1\n"}))
    assert plan.values["project"]["dependencies"] == ["six>=1"]
    assert messages(plan) == ["warning requirements.txt:1: setup.py has the same"]
