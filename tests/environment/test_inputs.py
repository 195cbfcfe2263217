import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rig import Tree

from uvflow.environment import inputs
from uvflow.environment.installed import Environment
from uvflow.errors import UsageError
from uvflow.project.manifest import Project

MANIFEST = '[project]\nname = "shop"\nversion = "1"\n'
BUILT = MANIFEST + "[build-system]\nrequires = []\n"


def lock(*sources: str) -> str:
    return "".join(f'[[package]]\nname = "x"\nsource = {{ {source} }}\n' for source in sources)


def inputs_of(root: Path, environ: Mapping[str, str] | None = None) -> inputs.SyncInputs:
    return inputs.sync_inputs(Project.load(root), uv_path="/bin/uv", environ=environ or {})


def test_the_files_that_uv_reads_are_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": ""})
    questions = inputs_of(root).questions
    for name in ("pyproject.toml", "uv.lock", "uv.toml", ".python-version", ".python-versions"):
        assert f"content {root / name}" in questions
    assert f"content {root / 'uvflow.local.toml'}" in questions
    assert f"content {root.parent / 'pyproject.toml'}" in questions  # it may become a workspace
    assert f"content {root.parent / 'uv.toml'}" in questions
    assert "identity /bin/uv" in questions
    assert "variables " in questions


@pytest.mark.skipif(sys.platform == "win32", reason="directories of the XDG specification")
def test_the_configuration_of_user_and_machine_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST})
    environ = {"XDG_CONFIG_HOME": "/mine", "XDG_CONFIG_DIRS": "/a:/b"}
    questions = inputs_of(root, environ).questions
    assert [q for q in questions if q.endswith("/uv/uv.toml")] == [
        "content /mine/uv/uv.toml",
        "content /a/uv/uv.toml",
        "content /b/uv/uv.toml",
        "content /etc/uv/uv.toml",
    ]
    assert "content /mine/uv/.python-version" in questions


def test_a_file_that_a_variable_names_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "more.toml": ""})
    environ = {"UV_CONFIG_FILE": str(root / "more.toml"), "UV_CACHE_DIR": str(root)}
    questions = inputs_of(root, environ).questions
    assert f"identity {root / 'more.toml'}" in questions
    assert f"identity {root}" not in questions


def test_what_makes_uv_rebuild_a_local_source_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "lib/pyproject.toml": BUILT, "lib/x.py": ""})
    (root / "uv.lock").write_text(lock('virtual = "."', 'editable = "lib"'))
    questions = inputs_of(root).questions
    lib = root / "lib"
    assert [q for q in questions if str(lib) in q] == [
        f"content {lib / 'pyproject.toml'}",
        f"identity {lib / 'pyproject.toml'}",
        f"identity {lib / 'setup.py'}",
        f"identity {lib / 'setup.cfg'}",
        f"is-directory {lib / 'src'}",
    ]


def test_a_wheel_beside_the_project_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": lock('path = "x.whl"'), "x.whl": ""})
    assert f"identity {root / 'x.whl'}" in inputs_of(root).questions


def test_escapes_in_a_path_of_the_lockfile_are_decoded(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": lock(r'path = "a\"b/\u00e9.whl"')})
    wheel = root / 'a"b' / "é.whl"
    wheel.parent.mkdir()
    wheel.touch()
    assert f"identity {wheel}" in inputs_of(root).questions


def test_members_that_come_and_go_are_watched(tree: Tree) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*", "app"]\n'
    root = tree({"pyproject.toml": MANIFEST + workspace, "libs/one/pyproject.toml": MANIFEST})
    questions = inputs_of(root).questions
    assert f"directories {root / 'libs'}" in questions
    assert f"content {root / 'libs' / 'one' / 'pyproject.toml'}" in questions
    assert f"content {root / 'app' / 'pyproject.toml'}" in questions


@pytest.mark.parametrize(
    ("files", "environ", "reason"),
    [
        ({"lib/setup.py": ""}, {}, "{lib} has metadata that is only known after a build"),
        (
            {"lib/pyproject.toml": BUILT.replace('version = "1"', 'dynamic = ["version"]')},
            {},
            "{lib} has metadata that is only known after a build",
        ),
        (
            {"lib/pyproject.toml": BUILT + "[tool.uv]\ncache-keys = []\n"},
            {},
            "{lib} has cache-keys of its own",
        ),
        (
            {"pyproject.toml": MANIFEST + '[tool.uv.workspace]\nmembers = ["**/lib*"]\n'},
            {},
            "the workspace pattern `**/lib*` can match anywhere",
        ),
        (
            {},
            {"UV_INDEX_URL": "https://user:password@idx.example/simple"},
            "UV_INDEX_URL may hold credentials",
        ),
        ({}, {"UV_INDEX": "https:/t0ken@h/x"}, "UV_INDEX may hold credentials"),
        ({}, {"UV_FIND_LINKS": "https://h/x?sig=a"}, "UV_FIND_LINKS may hold credentials"),
        (
            {},
            {"UV_DEFAULT_INDEX": "https://dl.cloudsmith.io/t0k/o/r/python/simple/"},
            "UV_DEFAULT_INDEX may hold credentials",
        ),
    ],
)
def test_what_cannot_be_watched_soundly_is_not(
    tree: Tree, files: dict[str, str], environ: dict[str, str], reason: str
) -> None:
    defaults = {"pyproject.toml": MANIFEST, "uv.lock": lock('editable = "lib"')}
    root = tree({**defaults, "lib/x.py": "", **files})
    if "lib/pyproject.toml" not in files and "lib/setup.py" not in files:
        (root / "lib" / "pyproject.toml").write_text(BUILT)
    result = inputs_of(root, environ)
    assert (result.unwatchable, result.questions) == (reason.format(lib=root / "lib"), ())


def test_a_member_is_not_watched_from_itself(tree: Tree) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    root = tree({"pyproject.toml": MANIFEST + workspace, "libs/one/pyproject.toml": MANIFEST})
    assert inputs_of(root / "libs" / "one").unwatchable == "the project is a member of a workspace"


def test_an_environment_is_watched_by_what_a_sync_changes(tmp_path: Path) -> None:
    site_packages = tmp_path / ("Lib" if sys.platform == "win32" else "lib/python3.12")
    (site_packages / "site-packages").mkdir(parents=True)
    questions = inputs.environment_inputs(Environment.at(tmp_path))
    assert [question.split()[0] for question in questions] == [
        "content",
        "content",
        "identity",
        "identity",
        "distributions",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
@pytest.mark.parametrize("place", ["libs/one", "local", "config/uv"])
def test_a_project_where_uv_would_wait_for_a_pipe_is_refused(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    root = tree({"pyproject.toml": MANIFEST + workspace, "uv.lock": lock('editable = "local"')})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(root / "config"))
    inputs.check_inputs(Project.load(root))
    pipe = root / place / ("uv.toml" if place == "config/uv" else "pyproject.toml")
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=f"{pipe} cannot be read"):
        inputs.check_inputs(Project.load(root))
