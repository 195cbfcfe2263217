"""The cases V01 to V19 of Pipenv projects: whole files in, whole files out."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plans import messages, planned, refusal
from rig import Command, Tree

PYPI = '[[source]]\nname = "pypi"\nurl = "https://pypi.org/simple"\nverify_ssl = true\n\n'
OR = "sys_platform == 'win32' or python_version < '3.9'"
V01 = f"""\
{PYPI}[[source]]
name = "acme"
url = "https://idx.acme.example/simple"
verify_ssl = false

[packages]
six = "*"  # py2 compat
# pinned for legal
idna = {{version = ">=3", markers = "{OR}", platform_machine = "== 'x86_64'"}}
toml = "==0.10.2"
attrs = {{version = "*", sys_platform = "== 'win32'", python_version = "< '3.13'"}}
requests = {{extras = ["socks"], version = "~=2.28", index = "pypi"}}
inner = {{version = "==2.0", index = "acme"}}

[dev-packages]
iniconfig = "*"

[docs]
packaging = ">=23"

[requires]
python_version = "3.12"

[scripts]
serve = "flask run"
test = "pytest"
"""


def locked(**sections: dict[str, Any]) -> str:
    return json.dumps({"_meta": {"hash": {"sha256": "x"}}, **sections}, indent=4)


def test_v01_a_whole_pipfile(tree: Tree) -> None:
    plan = planned(tree({"Pipfile": V01}), name="app")
    assert (
        plan.text
        == f"""\
[project]
name = "app"
version = "0.1.0"
requires-python = "==3.12.*"
dependencies = [
    "six", # py2 compat
    # pinned for legal
    "idna>=3 ; ({OR}) and platform_machine == 'x86_64'",
    "toml==0.10.2",
    "attrs ; python_version < '3.13' and sys_platform == 'win32'",
    "requests[socks]~=2.28",
    "inner==2.0",
]

[dependency-groups]
dev = [
    "iniconfig",
]
docs = [
    "packaging>=23",
]

[tool.uv.sources]
inner = {{ index = "acme" }}

[[tool.uv.index]]
name = "acme"
url = "https://idx.acme.example/simple"
explicit = true
"""
    )
    assert messages(plan) == [
        "action Pipfile:9: `verify_ssl` is not imported as it is: see `allow-insecure-host`",
        "action Pipfile:30: uv has no tasks, and `serve` is one of Pipenv",
        "action Pipfile:31: uv has no tasks, and `test` is one of Pipenv",
    ]
    assert [file.buckets for file in plan.imported.files] == [
        {"imported": 9, "settings": 2, "already_default": 3, "needs_action": 3}
    ]


GIT = "https://host.example/o/j.git"
SOURCES = {
    f'j = {{git = "{GIT}", ref = "v1", subdirectory = "sub", extras = ["x"]}}': (
        "j[x]",
        {"git": GIT, "rev": "v1", "subdirectory": "sub"},
        [],
    ),
    'k = {file = "https://host.example/k-1.0.tar.gz"}': (
        "k",
        {"url": "https://host.example/k-1.0.tar.gz"},
        [],
    ),
    'lib = {path = "./libs/l", editable = true}': (
        "lib",
        {"path": "libs/l", "editable": True},
        [],
    ),
    'lib = {file = "libs/l"}': ("lib", {"path": "libs/l"}, []),
    f'i = {{git = "{GIT}", editable = true}}': (
        "i",
        {"git": GIT},
        ["action Pipfile:2: uv has no editable git sources: i becomes a regular one"],
    ),
}


@pytest.mark.parametrize("line", SOURCES)
def test_v02_to_v05_where_a_package_comes_from(tree: Tree, line: str) -> None:
    text, source, noticed = SOURCES[line]
    plan = planned(tree({"Pipfile": f"[packages]\n{line}\n", "libs/l/setup.py": "setup(name='l')"}))
    assert plan.values["project"]["dependencies"] == [text]
    assert list(plan.values["tool"]["uv"]["sources"].values()) == [source]
    assert messages(plan) == noticed


def test_v04_the_project_itself(tree: Tree) -> None:
    script = "setup(name='me', version='1', install_requires=['six'], extras_require={'e': []})"
    pipfile = '[packages]\nme = {path = ".", editable = true, extras = ["e"]}\n'
    plan = planned(tree({"Pipfile": pipfile, "setup.py": script}))
    assert plan.values["project"]["dependencies"] == ["six"]
    assert plan.values["tool"]["uvflow"]["profiles"] == {
        "dev": {"extras": ["e"]},
        "prod": {"extras": ["e"]},
    }


def test_v05_another_version_control_system(tree: Tree) -> None:
    plan = planned(tree({"Pipfile": '[packages]\nsix = "*"\nw = {hg = "https://h.example"}\n'}))
    assert messages(plan) == ["action Pipfile:3: uv does not install from it"]


@pytest.mark.parametrize(
    ("requires", "python", "noticed"),
    [
        ('python_version = "3"', ">=3.11", []),
        ('python_version = "3.12"', "==3.12.*", []),
        (
            'python_full_version = "3.12.1"',
            "==3.12.*",
            ["warning Pipfile:4: uv takes any patch release of Python 3.12"],
        ),
    ],
)
def test_v06_v07_the_python(tree: Tree, requires: str, python: str, noticed: list[str]) -> None:
    pipfile = f'[packages]\nsix = "*"\n[requires]\n{requires}\n'
    files = {"Pipfile": pipfile, "Dockerfile": "FROM python:3.11\n" if python == ">=3.11" else ""}
    plan = planned(tree(files))
    assert plan.values["project"]["requires-python"] == python
    assert messages(plan) == noticed


def test_v08_settings(tree: Tree) -> None:
    pipfile = """\
[packages]
six = "*"
[pipenv]
allow_prereleases = true
cool-down-period = "30d"
sort_pipfile = true
"""
    plan = planned(tree({"Pipfile": pipfile}))
    assert plan.values["tool"]["uv"] == {"prerelease": "allow", "exclude-newer": "30 days"}
    assert messages(plan) == [
        "warning Pipfile:5: versions that are younger than this move, also locked ones"
    ]
    assert plan.imported.files[0].buckets == {"imported": 1, "settings": 2, "already_default": 1}


@pytest.mark.parametrize("variable", ["$PW", "${PW}"])
def test_v09_v10_a_private_index_in_place_of_pypi(tree: Tree, variable: str) -> None:
    source = f'[[source]]\nname = "acme"\nurl = "https://me:{variable}@idx.acme.example/simple"\n'
    root = tree({"Pipfile": f'{source}[packages]\nsix = "*"\n'})
    assert refusal(root) == "Pipfile:2: https://idx.acme.example/simple needs PW in the environment"
    plan = planned(root, environ={"PW": "secret"})
    assert plan.values["tool"]["uv"]["index"] == [
        {
            "name": "acme",
            "url": "https://idx.acme.example/simple",
            "default": True,
            "authenticate": "always",
        }
    ]
    assert plan.imported.credentials["UV_INDEX_ACME_PASSWORD"] == "secret"
    assert "secret" not in plan.text


def test_all_sources_are_searched_in_their_order(tree: Tree) -> None:
    more = '[[source]]\nname = "my idx"\nurl = "https://b.example/simple"\n'
    setting = "[pipenv]\ninstall_search_all_sources = true\n"
    plan = planned(tree({"Pipfile": f'{PYPI}{more}{setting}[packages]\nsix = "*"\n'}))
    assert plan.values["tool"]["uv"]["index"] == [
        {"name": "my-idx", "url": "https://b.example/simple"}
    ]
    assert messages(plan) == [
        (
            "warning Pipfile:7: Pipenv installs the best version of all indexes, uv that of the"
            " first index with the package: `my-idx` comes before the default index"
        )
    ]


LOCKED = locked(
    default={
        "idna": {"markers": "sys_platform == 'win32'", "version": "*"},
        "six": {"hashes": ["sha256:aa"], "index": "pypi", "version": "==1.16.0"},
    },
    develop={"iniconfig": {"version": "==2.0.0"}, "six": {"version": "==1.15.0"}},
)
SMALL = '[packages]\nsix = "*"\nidna = "*"\n[dev-packages]\niniconfig = "*"\n'


def test_v11_v12_the_pins_of_the_lock_file(tree: Tree) -> None:
    plan = planned(tree({"Pipfile": SMALL, "Pipfile.lock": LOCKED}))
    assert [(pin.name, pin.version, pin.hashes) for pin in plan.imported.pins] == [
        ("six", "1.16.0", ("sha256:aa",)),
        ("iniconfig", "2.0.0", ()),
    ]
    assert messages(plan) == [
        "action Pipfile.lock:24: six is 1.16.0 in Pipfile.lock:12, which counts"
    ]
    assert plan.imported.files[1].buckets == {
        "imported": 2,
        "already_default": 1,
        "needs_action": 1,
    }


BACKEND = """\
import os

def get_requires_for_build_wheel(config=None):
    return []

def prepare_metadata_for_build_wheel(directory, config=None):
    os.makedirs(f"{directory}/j-1.5.dist-info")
    with open(f"{directory}/j-1.5.dist-info/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\\nName: j\\nVersion: 1.5\\n")
    return "j-1.5.dist-info"
"""


def test_v13_an_old_commit_of_a_branch_is_kept(tree: Tree, tmp_path: Path, uvflow: Command) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    manifest = '[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n'
    (repository / "pyproject.toml").write_text(manifest)
    (repository / "b.py").write_text(BACKEND)

    def git(*words: str) -> str:
        user = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        command = ("git", *user, *words)
        done = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "main", ".")
    git("add", "-A")
    git("commit", "-qm", "one")
    old = git("rev-parse", "HEAD")
    git("commit", "-qm", "two", "--allow-empty")
    url = repository.as_uri()
    root = tree(
        {
            "Pipfile": f'[packages]\nj = {{git = "{url}", ref = "main"}}\n',
            "Pipfile.lock": locked(default={"j": {"git": url, "ref": old}}),
        }
    )
    done = uvflow("init", "--no-sync", cwd=root)
    assert done.code == 0, done.err
    assert "uv.lock         created, pins kept 1/1" in done.err
    assert f'source = {{ git = "{url}?rev=main#{old}" }}' in (root / "uv.lock").read_text()


def test_a_commit_that_is_gone_is_told_by_its_name(tree: Tree) -> None:
    pipfile = f'[packages]\nj = {{git = "{GIT}", ref = "main"}}\n'
    lock = locked(default={"j": {"git": GIT, "ref": "0123456789abcdef"}})
    (pin,) = planned(tree({"Pipfile": pipfile, "Pipfile.lock": lock})).imported.pins
    assert pin.git == f"{GIT}?rev=main#0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Pipfile", "[packages\n", "Pipfile is not valid TOML: "),
        ("Pipfile", '[packages]\na = {version = "*", markers = "x"}\n', "Pipfile:2: "),
        ("Pipfile", "requires = 1\n", "Pipfile: `requires` must be a table"),
        ("Pipfile.lock", '{\n"default": \n', "Pipfile.lock:3: this is no Pipfile.lock: "),
        ("Pipfile.lock", '{"default": []}', "Pipfile.lock:1: this is no Pipfile.lock: "),
    ],
)
def test_v15_what_cannot_be_read(tree: Tree, name: str, text: str, message: str) -> None:
    assert refusal(tree({"Pipfile": SMALL, name: text})).startswith(message)


def test_v16_three_names_of_the_dev_group(tree: Tree) -> None:
    pipfile = '[packages]\n[Dev-Packages]\nsix = "*"\n# the end\n[dev]\nidna = "*"\n'
    plan = planned(tree({"Pipfile": pipfile}))
    assert plan.values["dependency-groups"] == {"dev": ["six", "idna"]}
    assert messages(plan) == [
        "warning Pipfile:6: [dev] is in the dependency group `dev`, with what was there"
    ]


def test_v17_variables_in_a_file(tree: Tree) -> None:
    plan = planned(tree({"Pipfile": SMALL, ".env": "TOKEN=secret\n"}))
    message = "Pipenv loads this file; of the dev profile it is the `env-file` now"
    assert messages(plan) == [f"warning .env:1: {message}"]
    assert plan.values["tool"]["uvflow"]["profiles"] == {"dev": {"env-file": ".env"}}


def test_v18_what_pipenv_wrote_as_requirements(tree: Tree) -> None:
    lock = locked(default={"six": {"version": "==1.16.0"}}, develop={})
    files = {"Pipfile": '[packages]\nsix = "*"\n', "Pipfile.lock": lock}
    exported = "-i https://pypi.org/simple\nsix==1.16.0; python_version >= '2.7'\n"
    plan = planned(tree({**files, "requirements.txt": exported}))
    assert messages(plan) == [
        "warning requirements.txt:2: this is an export of the lock file of Pipfile"
    ]
    root = tree({**files, "requirements.txt": f"{exported}idna\n"})
    assert refusal(root) == (
        "requirements.txt:2: two sources of dependencies: Pipfile and requirements.txt"
    )


def test_v19_a_key_that_pipenv_refuses_too(tree: Tree) -> None:
    root = tree({"Pipfile": '[packages]\nsix = "*"\nt = {url = "https://h.example/t.whl"}\n'})
    assert refusal(root) == "Pipfile:3: Pipenv does not know `url` either"
    plan = planned(root, keep_going=True)
    assert messages(plan) == ["action Pipfile:3: Pipenv does not know `url` either"]


def test_a_lock_file_alone_is_no_project(tree: Tree) -> None:
    assert refusal(tree({"Pipfile.lock": LOCKED})) == (
        "Pipfile.lock:1: the pipenv dependencies in this file are not imported"
    )


def test_x08_a_pipfile_with_a_byte_order_mark(tree: Tree) -> None:
    plan = planned(tree({"Pipfile": '\N{BOM}[packages]\nsix = "*"\n'}))
    assert plan.values["project"]["dependencies"] == ["six"]
    assert plan.text.startswith("[project]")


def test_x04_requirements_that_say_something_else_are_a_second_source(tree: Tree) -> None:
    root = tree({"Pipfile": '[packages]\nsix = "*"\n', "requirements.txt": "idna\n"})
    assert refusal(root) == (
        "requirements.txt:1: two sources of dependencies: Pipfile and requirements.txt"
    )
    ignored = planned(root, ignored=("requirements.txt",))
    assert ignored.values["project"]["dependencies"] == ["six"]
    chosen = planned(root, from_files=("requirements.txt",))
    assert chosen.values["project"]["dependencies"] == ["idna"]
