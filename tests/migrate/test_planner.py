import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from rig import Tree

from uvflow.errors import UvflowError
from uvflow.findings import Severity
from uvflow.migrate.model import Bucket, ImportOptions
from uvflow.migrate.plan import Change, InitOptions, Plan
from uvflow.migrate.planner import make_plan
from uvflow.uv import find


def planned(root: Path, **more: Any) -> Plan:
    return make_plan(root, InitOptions(**more), uv=find())


def refusal(root: Path, **more: Any) -> UvflowError:
    with pytest.raises(UvflowError) as caught:
        planned(root, **more)
    return caught.value


def test_a_plan_says_every_path_that_changes(tree: Tree) -> None:
    root = tree({"requirements.txt": "six\n", "pyproject.toml": "[tool.ruff]\n"})
    assert planned(root).changes == (
        Change(path="pyproject.toml", action="edit"),
        Change(path="uv.lock", action="create"),
        Change(path=".venv", action="create"),
    )


def test_an_environment_that_is_there_is_replaced(tree: Tree) -> None:
    root = tree({"requirements.txt": "six\n", ".venv/pyvenv.cfg": "x" * 100})
    (root / ".venv.before-init").mkdir()
    plan = planned(root)
    expected = Change(path=".venv", action="replace", kept_as=".venv.before-init-2", kept_size=100)
    assert (plan.changes[-1], plan.in_place) == (expected, False)
    assert planned(root, sync=False).changes[-1].path == "uv.lock"


def test_a_whole_python_is_changed_in_place(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr" / "lib" / "python3.12").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "python3.12" / "os.py").touch()
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", str(tmp_path / "usr"))
    plan = planned(tree({"requirements.txt": "six\n"}))
    assert plan.changes[-1] == Change(path=str(tmp_path / "usr"), action="edit")
    assert plan.in_place
    [finding] = plan.imported.findings
    assert finding.code == "environment-not-kept"
    assert finding.message == (
        f"{tmp_path / 'usr'} is changed in place, since it is a whole Python: neither `uvflow undo`"
        " nor a failure brings back what is in it now"
    )


def test_an_environment_outside_is_not_read_for_a_lockfile(tree: Tree, tmp_path: Path) -> None:
    info = tmp_path / "theirs" / "lib" / "python3.12" / "site-packages" / "six-1.15.0.dist-info"
    info.mkdir(parents=True)
    root = tree({"requirements.txt": "six\n"})
    (root / ".venv").symlink_to(tmp_path / "theirs")
    assert planned(root, sync=False).installed == ()


def test_an_older_lockfile_counts_before_what_is_installed(tree: Tree) -> None:
    info = ".venv/lib/python3.12/site-packages/six-1.15.0.dist-info/METADATA"
    files = {"requirements.txt": "six\n", ".venv/pyvenv.cfg": "", info: "Version: 1.15.0\n"}
    root = tree(files)
    assert [pin.version for pin in planned(root).installed] == ["1.15.0"]
    assert planned(root, fresh=True).installed == ()
    (root / "uv.lock").write_text("version = 1\n")
    assert planned(root).installed == ()


def test_without_a_lockfile_there_is_no_sync(tree: Tree) -> None:
    root = tree({"requirements.txt": "six\n"})
    assert planned(root, lock=False).changes == (Change(path="pyproject.toml", action="create"),)


def test_nothing_new_is_no_change_of_the_manifest(tree: Tree) -> None:
    root = tree(
        {"pyproject.toml": '[project]\nname = "app"\nversion = "1"\ndependencies = ["six"]\n'}
    )
    (root / "requirements.txt").write_text("six\n")
    assert planned(root, lock=False).changes == ()


def test_the_environment_is_where_the_dev_profile_has_it(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[tool.uvflow.profiles.dev]\nenvironment = ".venv-dev"\n'})
    assert planned(root).environment == root / ".venv-dev"


def test_the_environment_is_where_uv_is_told_to_put_it(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", "elsewhere")
    assert planned(tree({})).environment == tree({}) / "elsewhere"


@pytest.mark.parametrize(
    ("files", "asked", "specifier"),
    [
        ({"setup.cfg": "[options]\npython_requires = >=3.9\n"}, None, ">=3.9"),
        ({"setup.cfg": "[options]\npython_requires = >=3.9\n"}, "3.10", ">=3.10"),
        ({"Dockerfile": "FROM python:3.10-slim\n"}, None, ">=3.10"),
        ({}, ">=3.10,<4", ">=3.10, <4"),
    ],
)
def test_requires_python_follows_the_evidence(
    tree: Tree, files: dict[str, str], asked: str | None, specifier: str
) -> None:
    text = planned(tree(files), python=asked).text
    assert f'requires-python = "{specifier}"\n' in text


def test_a_project_without_requires_python_gets_it_from_the_evidence(tree: Tree) -> None:
    text = '[project]\nname = "app"\nversion = "1"\n'
    root = tree({"pyproject.toml": text, ".python-version": "3.12\n"})
    assert planned(root).text == f'{text}requires-python = ">=3.12"\n'


def test_a_requires_python_that_is_there_needs_no_evidence(tree: Tree) -> None:
    theirs = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'
    plan = planned(tree({"pyproject.toml": theirs, ".python-version": "3.12\n"}))
    assert (plan.text, plan.imported.findings) == (theirs, ())


def test_a_line_that_was_there_already_counts_as_merged(tree: Tree) -> None:
    theirs = '[project]\nname = "app"\ndependencies = ["six>=1"]\n'
    root = tree({"pyproject.toml": theirs, "requirements.txt": "six==1.16.0\nidna\n"})
    plan = planned(root)
    assert plan.imported.files[0].buckets == {Bucket.IMPORTED: 1, Bucket.MERGED: 1}
    assert 'name = "six"\nversion = "1.16.0"\n' in plan.seed


def test_a_line_that_contradicts_what_is_there_needs_action(tree: Tree) -> None:
    theirs = '[project]\nname = "app"\ndependencies = ["six>=2"]\n'
    root = tree({"pyproject.toml": theirs, "requirements.txt": "six==1.16.0\n"})
    assert planned(root).imported.files[0].buckets == {Bucket.ACTION: 1}


def test_a_lockfile_of_a_manifest_without_project_is_not_replaced(tree: Tree) -> None:
    root = tree({"requirements.in": "six\n", "requirements.txt": "six==1.16.0\n"})
    assert planned(root).seed
    (root / "uv.lock").write_text('version = 1\nrequires-python = ">=3.11"\n')
    assert planned(root).seed == ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "other"}, "`--name other`: pyproject.toml already says name = 'app'"),
        (
            {"python": "3.12"},
            "`--python 3.12`: pyproject.toml already says requires-python = '>=3.11'",
        ),
    ],
)
def test_what_a_project_says_is_not_changed(
    tree: Tree, asked: dict[str, str], message: str
) -> None:
    theirs = '[project]\nname = "app"\nrequires-python = ">=3.11"\n'
    assert refusal(tree({"pyproject.toml": theirs}), **asked).message == message


def test_a_directory_has_to_be_there(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nowhere")
    assert (error.exit_code, error.message) == (
        2,
        f"{tmp_path / 'nowhere'} is not a directory, or does not exist",
    )


def test_a_manifest_that_is_no_text_is_told(tree: Tree) -> None:
    root = tree({})
    (root / "pyproject.toml").write_bytes(b'name = "\xe9"\n')
    assert refusal(root).message == f"{root / 'pyproject.toml'} is not valid TOML"


links = pytest.mark.skipif("sys.platform == 'win32'", reason="links of POSIX")


@links
@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock"])
@pytest.mark.parametrize("target", ["../outside.toml", "../nowhere.toml"])
def test_what_would_be_written_through_a_link_out_is_refused(
    tree: Tree, name: str, target: str
) -> None:
    root = tree({"requirements.txt": "six\n"})
    root.with_name("outside.toml").write_text("[tool.x]\n")
    (root / name).symlink_to(target)
    error = refusal(root)
    assert error.exit_code == 8
    assert error.message == f"{root / name} leads out of {root}, so it is not used"


@pytest.fixture
def netrc(tree: Tree) -> Path:
    """A project with links to the directory above, which has a file `netrc`."""
    root = tree({"requirements.txt": "-r above/netrc\n", "dev/empty": ""})
    (root.parent / "netrc").write_text("quagga77\n")
    (root / "above").symlink_to("..")
    (root / "requirements-dev.txt").symlink_to("../netrc")
    (root / "constraints.txt").symlink_to("above/netrc")
    return root


@links
def test_a_link_out_is_outside_whether_it_is_included_or_found(netrc: Path) -> None:
    error = refusal(netrc)
    assert [(f.code, str(f.origin), f.message) for f in error.findings] == [
        *(
            (
                "include-outside",
                "None",
                f"{name} leads out of the project by a link, and is not read",
            )
            for name in ("requirements-dev.txt", "constraints.txt")
        ),
        (
            "include-outside",
            "requirements.txt:1",
            "above/netrc leads out of the project by a link, and is not read",
        ),
    ]
    assert "quagga77" not in repr(error.findings)


@links
def test_a_link_out_is_followed_where_the_user_allows_it(netrc: Path) -> None:
    plan = planned(netrc, lock=False, imports=ImportOptions(allow_outside=True))
    assert [r.text for r in plan.imported.dependencies] == ["quagga77"]


@links
def test_a_link_within_the_project_is_read(tree: Tree) -> None:
    root = tree({"requirements/main.in": "six\n"})
    (root / "requirements.txt").symlink_to("requirements/main.in")
    plan = planned(root, lock=False)
    assert [r.text for r in plan.imported.dependencies] == ["six"]


def test_the_root_itself_is_not_a_file_to_import(tree: Tree) -> None:
    root = tree({})
    (root.parent / "requirements.txt").write_text("six\n")
    error = refusal(root, imports=ImportOptions(from_files=(".",)))
    assert [f.message for f in error.findings] == [". cannot be read: Is a directory"]


@pytest.mark.parametrize(
    ("table", "added"),
    [
        ('name = "app"', {"version": "0.1.0"}),
        ('version = "1.0"', {"name": "project"}),
        ('requires-python = ">=3.9"', {"name": "project", "version": "0.1.0"}),
        ('name = "app"\ndynamic = ["version"]', {}),
    ],
)
def test_a_project_without_a_name_or_a_version_gets_them(
    tree: Tree, table: str, added: dict[str, str]
) -> None:
    text = f"[project]\n{table}\n"
    plan = planned(tree({"pyproject.toml": text, "requirements.txt": "six\n"}))
    before = tomllib.loads(text)["project"]
    assert plan.values["project"] == {**before, **added, "dependencies": ["six"]}
    assert [f.code for f in plan.imported.findings] == ["project-completed"] * len(added)


def test_a_project_whose_metadata_was_completed_can_be_locked(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[project]\nrequires-python = ">=3.9"\n'})
    (root / "pyproject.toml").write_text(planned(root).text)
    assert find().capture(("lock",), cwd=root).code == 0


def test_a_directory_with_accents_gives_a_plain_name(tmp_path: Path) -> None:
    root = tmp_path / "Été d'août"
    root.mkdir()
    plan = planned(root)
    assert plan.values["project"]["name"] == "ete-d-aout"
    [finding] = plan.imported.findings
    assert finding.message == (
        "the project is called `ete-d-aout`, since `Été d'août` cannot be its name"
    )
    assert refusal(root, imports=ImportOptions(strict=True)).message == finding.message


@pytest.mark.parametrize(("directory", "name"), [("日本", None), ("app", "été"), ("app", "a b")])
def test_a_name_that_cannot_be_one_is_refused(
    tmp_path: Path, directory: str, name: str | None
) -> None:
    root = tmp_path / directory
    root.mkdir()
    error = refusal(root, name=name)
    assert (error.exit_code, error.message) == (
        2,
        f"`{name or directory}` cannot be the name of a project",
    )


ABOVE = '[project]\nname = "above"\nversion = "1"\n'


@pytest.mark.parametrize("above", [ABOVE, '[tool.poetry]\nname = "above"\n'])
def test_a_folder_of_a_project_is_not_made_one_without_a_word(tree: Tree, above: str) -> None:
    root = tree({"pyproject.toml": above, "scripts/deep/requirements.txt": "six\n"})
    error = refusal(root / "scripts" / "deep")
    assert (error.exit_code, error.message) == (
        2,
        f"{root / 'scripts' / 'deep'} is a folder of the project in {root}",
    )
    assert error.hint == f"`uvflow init {root}`, or `--here` for another project in this folder"
    assert planned(root / "scripts" / "deep", here=True).values["project"]["name"] == "deep"


@pytest.mark.parametrize(
    ("above", "mark"),
    [
        ("[tool.ruff]\n", "x"),
        (ABOVE, ".git/HEAD"),
        (ABOVE, "setup.py"),
        (ABOVE, "pyproject.toml"),
    ],
)
def test_a_folder_that_is_a_project_of_its_own_becomes_one(
    tree: Tree, above: str, mark: str
) -> None:
    root = tree({"pyproject.toml": above, f"scripts/{mark}": "", "scripts/requirements.txt": "six"})
    assert planned(root / "scripts").values["project"]["name"] == "scripts"


def test_a_second_import_counts_no_line_twice(tree: Tree) -> None:
    lines = "foo @ git+https://user:quagga77@git.example.com/acme/foo.git@main\nsix\n"
    root = tree({"requirements.txt": lines, "constraints.txt": "idna<4\n"})
    (root / "pyproject.toml").write_text(planned(root, lock=False).text)
    counts = {file.path: dict(file.buckets) for file in planned(root, lock=False).imported.files}
    assert counts == {
        "requirements.txt": {Bucket.MERGED: 1, Bucket.ACTION: 1},
        "constraints.txt": {Bucket.MERGED: 1},
    }


def test_files_of_unknown_roles_alone_make_no_empty_project(tree: Tree) -> None:
    root = tree({"services/api/requirements.txt": "six\n", "worker.txt": "celery>=4\n"})
    error = refusal(root)
    assert (error.exit_code, error.message, error.hint) == (
        1,
        "no requirements file is where one is looked for; nothing was written",
        "`--from FILE` and `--group NAME=FILE` choose the files that count",
    )
    assert [f"{f.origin} {f.code}" for f in error.findings] == [
        "services/api/requirements.txt:1 not-looked-for",
        "worker.txt:1 not-looked-for",
    ]
    chosen = ImportOptions(from_files=("worker.txt",))
    assert planned(root, imports=chosen).values["project"]["dependencies"] == ["celery>=4"]


@pytest.mark.parametrize(
    "files",
    [
        {"requirements-dev.txt": "six\n"},
        {"requirements.txt": ""},
        {"pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = ["six"]\n'},
        {"pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndynamic = ["dependencies"]\n'},
    ],
)
def test_beside_a_source_of_dependencies_they_are_for_the_user_to_name(
    tree: Tree, files: dict[str, str]
) -> None:
    plan = planned(tree({**files, "services/api/requirements.txt": "six\n"}), lock=False)
    assert [(f.code, f.severity) for f in plan.imported.findings] == [
        ("not-looked-for", Severity.ACTION)
    ]


@links
def test_a_plain_name_that_leads_out_is_refused_and_not_read(tree: Tree) -> None:
    root = tree({})
    (root.parent / "elsewhere").write_text("quagga77\n")
    (root / "prod.txt").symlink_to("../elsewhere")
    error = refusal(root)
    assert [f.code for f in error.findings] == ["include-outside"]
    assert "quagga77" not in repr(error.findings)


OPTIONAL = """\
[project]
name = "app"
version = "1"
dependencies = []

[project.optional-dependencies]
test = ["six"]
My_CLI = ["idna"]

[build-system]
requires = ["flit_core>=3.2,<5"]
build-backend = "flit_core.buildapi"
"""
DEV = {"requirements-dev.txt": "-e .[test,my-cli]\nattrs\n"}


def selected(plan: Plan) -> dict[str, list[str]]:
    found = plan.values.get("tool", {}).get("uvflow", {}).get("profiles", {})
    return {profile: table["extras"] for profile, table in found.items()}


def test_the_extras_of_a_dev_file_are_in_the_dev_profile(tree: Tree) -> None:
    root = tree({"pyproject.toml": OPTIONAL, **DEV})
    plan = planned(root, lock=False)
    assert selected(plan) == {"dev": ["my-cli", "test"]}
    assert plan.profile.extras == ("my-cli", "test")
    assert [(str(f.origin), f.code) for f in plan.imported.findings] == [
        ("requirements-dev.txt:1", "project-extras")
    ] * 2
    assert plan.imported.files[0].buckets == {Bucket.SETTING: 1, Bucket.IMPORTED: 1}
    (root / "pyproject.toml").write_text(plan.text)
    again = planned(root, lock=False)
    assert (again.text, again.imported.findings) == (plan.text, ())


def test_the_extras_of_the_projects_own_file_are_installed_in_production_too(tree: Tree) -> None:
    plan = planned(tree({"pyproject.toml": OPTIONAL, **DEV, "requirements.txt": ".[test]\n"}))
    assert selected(plan) == {"dev": ["test", "my-cli"], "prod": ["test"]}


@pytest.mark.parametrize(
    ("before", "after"), [('["x"]', ["x", "my-cli", "test"]), ('"all"', "all")]
)
def test_extras_that_a_profile_selects_already_stay(
    tree: Tree, before: str, after: list[str] | str
) -> None:
    profile = f"\n[tool.uvflow.profiles.dev]\nextras = {before}\n"
    assert selected(planned(tree({"pyproject.toml": OPTIONAL + profile, **DEV}))) == {"dev": after}


def test_an_extra_that_the_project_has_not_is_reported(tree: Tree) -> None:
    root = tree({"pyproject.toml": OPTIONAL, "requirements-dev.txt": "-e .[nope]\n"})
    plan = planned(root, lock=False)
    assert selected(plan) == {}
    [finding] = plan.imported.findings
    assert (finding.severity, str(finding)) == (
        Severity.ACTION,
        (
            "requirements-dev.txt:1: the project has no extra `nope`, so"
            " [tool.uvflow.profiles.dev] does not select it"
        ),
    )
    assert plan.imported.files[0].buckets == {Bucket.ACTION: 1}


def test_a_project_that_is_no_package_has_extras_too(tree: Tree) -> None:
    text = OPTIONAL.partition("[build-system]")[0]
    plan = planned(tree({"pyproject.toml": text, **DEV}))
    assert selected(plan) == {"dev": ["my-cli", "test"]}


def test_a_bad_line_does_not_hide_a_file(tree: Tree) -> None:
    error = refusal(tree({"prod.txt": "six==1.16.0\nidna = 3\nattrs>=23\n"}))
    assert error.message == "prod.txt:2: `idna = 3` is not a requirement"


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": '[project]\n[tool.poetry]\nname = "lib"\nversion = "2.1"\n'},
        {"pyproject.toml": "[project]\n", "setup.cfg": "[metadata]\nname=lib\nversion=2.1\n"},
        {"pyproject.toml": "[project]\n", "setup.py": 'setup(name="lib", version="2.1")\n'},
    ],
)
def test_a_name_and_a_version_that_are_written_elsewhere_are_taken(
    tree: Tree, files: dict[str, str]
) -> None:
    project = planned(tree({**files, "requirements.txt": "six\n"})).values["project"]
    assert (project["name"], project["version"]) == ("lib", "2.1")


POETRY = '[tool.poetry]\nname = "app"\nversion = "1"\n[tool.poetry.dependencies]\nidna = "^3"\n'


def test_two_sources_of_dependencies_are_not_added_up(tree: Tree) -> None:
    root = tree({"pyproject.toml": POETRY, "requirements.txt": "six\n"})
    assert refusal(root).message == (
        "requirements.txt:1: two sources of dependencies: [tool.poetry] of pyproject.toml and"
        " requirements.txt"
    )
    ignoring = planned(root, imports=ImportOptions(ignored=("requirements.txt",)))
    assert ignoring.values["project"]["dependencies"] == ["idna>=3,<4"]
    alone = planned(root, imports=ImportOptions(from_files=("pyproject.toml",)))
    assert alone.text == ignoring.text
    other = planned(root, imports=ImportOptions(from_files=("requirements.txt",)))
    assert other.values["project"]["dependencies"] == ["six"]


def test_the_metadata_of_another_tool_becomes_the_projects(tree: Tree) -> None:
    plan = planned(tree({"pyproject.toml": POETRY}), name="other")
    assert plan.values["project"]["name"] == "other"
    assert plan.values["project"]["version"] == "1"
    assert plan.values["project"]["requires-python"].startswith(">=3.")  # as uv has it
    assert not plan.may_narrow


def test_a_lock_file_that_leads_out_is_not_read(tree: Tree) -> None:
    root = tree({"pyproject.toml": POETRY})
    outside = root.parent / "poetry.lock"
    outside.write_text('[[package]]\nname = "idna"\nversion = "3.7"\nfiles = []\n')
    (root / "poetry.lock").symlink_to(outside)
    assert (
        refusal(root).message == "poetry.lock leads out of the project by a link, and is not read"
    )
    allowed = planned(root, imports=ImportOptions(allow_outside=True))
    assert [pin.name for pin in allowed.imported.pins] == ["idna"]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
def test_a_lock_file_that_cannot_be_read_is_not_passed_over(tree: Tree) -> None:
    root = tree({"pyproject.toml": '[tool.poetry]\nname = "app"\nversion = "1.0"\n'})
    os.mkfifo(root / "poetry.lock")
    error = refusal(root)
    assert (error.exit_code, str(error)) == (2, "poetry.lock cannot be read")
    assert planned(root, imports=ImportOptions(ignored=("poetry.lock",))).imported.pins == ()


def test_tables_on_one_line_are_not_added_to(tree: Tree) -> None:
    error = refusal(tree({"pyproject.toml": 'tool = {poetry={name="app",version="1"}}\n'}))
    assert (error.exit_code, error.cause) == (2, "`tool` is written on one line")


@pytest.mark.parametrize(
    "table",
    [
        '[tool.setuptools.dynamic]\ndependencies = { file = ["requirements.txt"] }\n',
        '[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ["requirements.txt"]\n',
    ],
)
def test_what_a_build_reads_is_left_where_it_is(tree: Tree, table: str) -> None:
    project = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.9"\n'
    text = f'{project}dynamic = ["dependencies"]\n{table}'
    plan = planned(tree({"pyproject.toml": text, "requirements.txt": "six\n"}))
    assert plan.imported.files[-1].buckets == {"left": 1}
    assert plan.imported.findings == ()
