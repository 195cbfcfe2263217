"""The cases C01 to C09 of conda environments: whole files in, whole files out."""

from pathlib import Path

import pytest
from plans import messages, planned
from rig import Tree

from uvflow.errors import UvflowError
from uvflow.migrate.formats.conda import _as_pep440


def test_c01_an_environment(tree: Tree) -> None:
    text = """\
name: lab
channels: [conda-forge]
dependencies:
  - python=3.11
  # the core
  - numpy=1.26.*  # pinned
  - matplotlib-base>=3.8
  - python-graphviz
  - graphviz
  - redis
  - cudatoolkit=11.8
  - pip
  - pip:
      - six==1.16.0  # py2
      - -r more.txt
prefix: /opt/conda
"""
    plan = planned(tree({"environment.yml": text, "more.txt": "idna\n"}))
    assert (
        plan.text
        == """\
[project]
name = "lab"
version = "0.1.0"
requires-python = "==3.11.*"
dependencies = [
    # the core
    "numpy==1.26.*", # pinned
    "matplotlib>=3.8",
    "graphviz",
    "six==1.16.0", # py2
    "idna",
]
"""
    )
    assert messages(plan) == [
        f"action environment.yml:{line}: `{name}` is not Python: uv installs no system libraries"
        for line, name in ((9, "graphviz"), (10, "redis"), (11, "cudatoolkit"))
    ]
    assert [(f.path, f.format, f.lines) for f in plan.imported.files] == [
        ("environment.yml", "conda", 13),
        ("more.txt", "requirements", 1),
    ]


def test_c02_the_build_of_pytorch_is_an_index(tree: Tree) -> None:
    text = "dependencies:\n  - pytorch=2.1.0=py3.10_cuda11.8_cudnn8.7.0_0\n"
    plan = planned(tree({"environment.yml": text}))
    assert plan.values["project"]["dependencies"] == ["torch==2.1.0"]
    assert plan.values["tool"]["uv"] == {
        "sources": {"torch": {"index": "pytorch-cu118"}},
        "index": [
            {
                "name": "pytorch-cu118",
                "url": "https://download.pytorch.org/whl/cu118",
                "explicit": True,
            }
        ],
    }
    assert messages(plan) == [
        (
            "warning environment.yml:2: the build py3.10_cuda11.8_cudnn8.7.0_0 of pytorch is left"
            " out, except for https://download.pytorch.org/whl/cu118"
        )
    ]


@pytest.mark.parametrize(("package", "build"), [("pytorch-cuda=12.1", "cu121"), ("cpuonly", "cpu")])
def test_c03_packages_that_say_which_pytorch(tree: Tree, package: str, build: str) -> None:
    text = f"channels: [nvidia]\ndependencies: [pytorch, torchvision, numpy, {package}]\n"
    plan = planned(tree({"environment.yml": text.replace(", ", "\n  , ")}))
    index = {"index": f"pytorch-{build}"}
    assert plan.values["tool"]["uv"]["sources"] == {"torch": index, "torchvision": index}
    assert messages(plan) == []


@pytest.mark.parametrize(
    ("conda", "pep440"),
    [
        ("", "*"),
        ("*", "*"),
        ("=1.26", "==1.26.*"),
        ("=1.26.*", "==1.26.*"),
        ("==1.26.*", "==1.26.*"),
        ("1.26*", "==1.26.*"),
        ("=1", "==1.*"),
        ("==1.26", "==1.26"),
        ("1.26", "==1.26"),
        (">=1.2,<2", ">=1.2,<2"),
        (">=1.26.*", ">=1.26"),
        ("!=1.26.*", "!=1.26.*"),
        ("=1.26,<1.26.4", "==1.26.*,<1.26.4"),
        ("=1.25|1.26", "==1.25.*||==1.26"),
    ],
)
def test_c05_versions(conda: str, pep440: str) -> None:
    assert _as_pep440(conda) == pep440


def test_c04_c06_c07_what_needs_action(tree: Tree) -> None:
    text = """\
channels:
  - https://conda.example/t/hunter2/ours
dependencies:
  - numpy=1.24|1.26
  - conda-forge::scipy=1.11=py311_0
  - mystery-pkg=1
  - ours::toml
  - six[version='>=1.2']
  - pip:
    - --extra-index-url https://u:hunter2@idx.example/simple
variables:
  A: b
"""
    plan = planned(tree({"environment.yml": text}))
    assert plan.values["project"]["dependencies"] == [
        "numpy>=1.24,<=1.26,!=1.25.*",
        "scipy==1.11",
        "six>=1.2",
    ]
    assert "hunter2" not in plan.text
    assert messages(plan)[2:] == [
        "action environment.yml:2: uv takes nothing from this channel",
        "warning environment.yml:5: the build py311_0 of scipy is left out",
        "action environment.yml:6: it is not known whether PyPI's `mystery-pkg` is the same",
        "action environment.yml:7: it is not known whether PyPI's `toml` is the same",
        "action environment.yml:11: conda sets these variables, and uv sets none",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dependencies:\n  - a: b\n", "environment.yml:2: this is neither a package nor `pip:`"),
        (
            "dependencies:\n  - numpy\n  - pip: six\n",
            "environment.yml:3: this is neither a package nor `pip:`",
        ),
        (
            "dependencies:\n  - pip:\n    - a: b\n",
            "environment.yml:2: this is neither a package nor `pip:`",
        ),
        ("dependencies: [\n", "environment.yml:2: this is not YAML: expected the node content"),
        ("a: [a]\n" * 100_000, "environment.yml is too large"),
        ("platforms: [linux]\n", "environment.yml:1: `platforms` is not understood here"),
        ("name: x\n", "environment.yml:1: the conda dependencies in this file are not imported"),
        ("- numpy\n", "environment.yml:1: the conda dependencies in this file are not imported"),
        ("dependencies: [redis]\n", "environment.yml:1: the conda dependencies in this file are"),
    ],
)
def test_c08_what_cannot_be_read_is_an_error(tree: Tree, text: str, message: str) -> None:
    with pytest.raises(UvflowError) as caught:
        planned(tree({"environment.yml": text}))
    assert str(caught.value).startswith(message)


def test_a_block_at_the_end(tree: Tree) -> None:
    plan = planned(tree({"environment.yml": "dependencies:\n- pip:\n  - |\n    six\n    >=1\n"}))
    assert plan.values["project"]["dependencies"] == ["six >=1"]


def test_an_export_has_a_patch_of_python_that_nobody_asked_for(tree: Tree) -> None:
    text = "dependencies:\n  - python=3.11.8=hd12c33a_1_cpython\n  - numpy\n"
    plan = planned(tree({"environment.yml": text}))
    assert plan.values["project"]["requires-python"] == "==3.11.*"


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("numpy", "warning environment.yml:1: all that is on PyPI of this is in requirements.txt"),
        ("scipy=1", "action environment.yml:1: requirements.txt does not have what this has: "),
    ],
)
def test_c09_beside_requirements_it_stays_for_conda(tree: Tree, package: str, message: str) -> None:
    text = f"name: lab\ndependencies:\n  - python=3.10\n  - {package}\n  - redis\n"
    plan = planned(tree({"environment.yml": text, "requirements.txt": "numpy==1.26\nsix\n"}))
    assert plan.values["project"]["name"] == "project"
    assert plan.values["project"]["dependencies"] == ["numpy==1.26", "six"]
    assert [finding[: len(message)] for finding in messages(plan)] == [message]
    assert plan.imported.files[-1].buckets == {"left": 4}


def test_the_keys_of_a_package_in_brackets(tree: Tree) -> None:
    text = """\
dependencies:
  - six[version='>=1.15,<2',channel=conda-forge/linux-64]
  - idna[version=3.7, build="py312_0"]
  - numpy=1.26[version="1.25.*"]
"""
    plan = planned(tree({"environment.yml": text}))
    assert plan.values["project"]["dependencies"] == ["six>=1.15,<2", "idna==3.7", "numpy==1.25.*"]
    assert messages(plan) == ["warning environment.yml:3: the build py312_0 of idna is left out"]


@pytest.mark.parametrize(
    "spec",
    ["six[all]", "six[url=https://h.example/six.conda]", "six[version=1", "six[version=[1]]"],
)
def test_other_brackets_behind_a_package_need_action(tree: Tree, spec: str) -> None:
    plan = planned(tree({"environment.yml": f"dependencies:\n  - idna\n  - {spec}\n"}))
    assert plan.values["project"]["dependencies"] == ["idna"]
    assert messages(plan) == [
        f"action environment.yml:3: `{spec}` is not a package with its versions"
    ]


def test_c08_several_packages_on_a_line_are_refused(tree: Tree) -> None:
    with pytest.raises(UvflowError, match="`idna` is on the line of another package"):
        planned(tree({"environment.yml": "dependencies: [python=3.11, six, idna]\n"}))


@pytest.mark.parametrize("name", ["environment-dev.yml", "my_env.yaml", "envs/environment.yml"])
def test_an_environment_of_another_name_is_no_empty_project(tree: Tree, name: str) -> None:
    root = tree({name: "dependencies:\n  - six\n"})
    with pytest.raises(UvflowError) as raised:
        planned(root)
    assert f"`--from {name}` imports it" in f"{raised.value} {raised.value.hint}"
    plan = planned(root, from_files=(name,))
    assert plan.values["project"]["dependencies"] == ["six"]
    assert messages(planned(tree({"requirements.txt": "idna\n"}))) == [
        f"action {name}:1: the conda dependencies in this file are not imported"
    ]


def test_a_patch_release_of_python_is_not_asked_for(tree: Tree) -> None:
    plan = planned(tree({"environment.yml": "dependencies:\n  - python=3.11.4\n  - six\n"}))
    assert plan.values["project"]["requires-python"] == "==3.11.*"


def test_a_link_that_leads_out_of_the_project_is_not_read(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("idna==3.7\n")
    root = tree({"environment.yml": "dependencies:\n- pip:\n  - -r sub/in.txt\n", "sub/a": ""})
    (root / "sub" / "in.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UvflowError) as caught:
        planned(root)
    assert str(caught.value) == (
        "environment.yml:3: sub/in.txt leads out of the project by a link, and is not read"
    )
    plan = planned(root, allow_outside=True)
    assert plan.values["project"]["dependencies"] == ["idna==3.7"]
