import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rig import Tree

from uvflow.environment import inputs
from uvflow.environment.context import SyncContext
from uvflow.environment.installed import Environment
from uvflow.errors import UsageError
from uvflow.project.manifest import Project
from uvflow.project.profiles import BUILT_IN, SET_ASIDE, Choice

MANIFEST = '[project]\nname = "shop"\nversion = "1"\n'
BUILT = MANIFEST + "[build-system]\nrequires = []\n"


def lock(*sources: str) -> str:
    return "".join(f'[[package]]\nname = "x"\nsource = {{ {source} }}\n' for source in sources)


def inputs_of(root: Path, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    context = SyncContext.of(Project.load(root), Choice(profile=BUILT_IN["dev"]))
    return inputs.sync_inputs(context._replace(environ=environ or {}), "/bin/uv")


def refusal(root: Path, environ: Mapping[str, str]) -> str:
    with pytest.raises(inputs.UnwatchableError) as caught:
        inputs_of(root, environ)
    return str(caught.value)


def test_the_files_that_uv_reads_are_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": ""})
    questions = inputs_of(root)
    for name in ("pyproject.toml", "uv.lock", "uv.toml", ".python-version", ".python-versions"):
        assert f"content {root / name}" in questions
    assert f"content {root / 'uvflow.local.toml'}" in questions
    assert f"content {root.parent / 'pyproject.toml'}" in questions  # it may become a workspace
    assert f"content {root.parent / 'uv.toml'}" in questions
    assert questions[0] == f"variables {' '.join(SET_ASIDE)}"
    assert questions[1] == "uv /bin/uv"


@pytest.mark.skipif(sys.platform == "win32", reason="directories of the XDG specification")
def test_the_configuration_of_user_and_machine_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST})
    environ = {"XDG_CONFIG_HOME": "/mine", "XDG_CONFIG_DIRS": "/a:/b"}
    questions = inputs_of(root, environ)
    assert [q for q in questions if q.endswith("/uv/uv.toml")] == [
        "content /mine/uv/uv.toml",
        "content /a/uv/uv.toml",
        "content /b/uv/uv.toml",
        "content /etc/uv/uv.toml",
    ]
    assert "content /mine/uv/.python-version" in questions


def test_a_relative_configuration_directory_is_ignored_as_uv_ignores_it(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST})
    questions = inputs_of(root, {"XDG_CONFIG_HOME": "mine", "XDG_CONFIG_DIRS": ""})
    assert f"content {Path.home() / '.config/uv/uv.toml'}" in questions
    assert f"content {Path('/etc/xdg/uv/uv.toml')}" in questions


def test_a_file_that_a_variable_names_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "more.toml": ""})
    environ = {"UV_CONFIG_FILE": str(root / "more.toml"), "UV_CACHE_DIR": str(root)}
    questions = inputs_of(root, environ)
    assert f"identity {root / 'more.toml'}" in questions
    assert f"identity {root}" not in questions


def test_what_makes_uv_rebuild_a_local_source_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "lib/pyproject.toml": BUILT, "lib/x.py": ""})
    (root / "uv.lock").write_text(lock('virtual = "."', 'editable = "lib"'))
    questions = inputs_of(root)
    lib = root / "lib"
    assert [q for q in questions if str(lib) in q] == [
        f"content {lib / 'pyproject.toml'}",
        f"identity {lib / 'pyproject.toml'}",
        f"identity {lib / 'setup.py'}",
        f"identity {lib / 'setup.cfg'}",
        f"identity {lib / 'src'}",
    ]


def test_a_wheel_beside_the_project_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": lock('path = "x.whl"'), "x.whl": ""})
    assert f"identity {root / 'x.whl'}" in inputs_of(root)


def test_escapes_in_a_path_of_the_lockfile_are_decoded(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": lock(r'path = "a\"b/\u00e9.whl"')})
    wheel = root / 'a"b' / "é.whl"
    wheel.parent.mkdir()
    wheel.touch()
    assert f"identity {wheel}" in inputs_of(root)


@pytest.mark.parametrize(
    ("files", "environ"),
    [
        ({"uv.toml": 'find-links = ["wheels"]'}, {}),
        ({"pyproject.toml": MANIFEST + '[tool.uv]\nfind-links = ["wheels"]\n'}, {}),
        ({"uv.toml": '[[index]]\nurl = "wheels"\nformat = "flat"\n'}, {}),
        ({}, {"UV_FIND_LINKS": "{root}/wheels,{root}/more"}),
    ],
)
def test_a_folder_of_find_links_is_watched(
    tree: Tree, files: dict[str, str], environ: dict[str, str]
) -> None:
    root = tree({"pyproject.toml": MANIFEST, **files})
    filled = {name: value.format(root=root) for name, value in environ.items()}
    assert f"is-directory {root / 'wheels'}" in inputs_of(root, filled)


@pytest.mark.parametrize(
    ("settings", "environ", "is_watched"),
    [
        *(
            ('exclude-newer = "2030-01-01"', {}, True),
            ("", {"UV_EXCLUDE_NEWER": "2030-01-01"}, True),
        ),
        ("", {}, False),
    ],
)
def test_the_time_zone_is_watched_where_a_date_decides(
    tree: Tree, settings: str, environ: dict[str, str], *, is_watched: bool
) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.toml": settings})
    zone = {"variable TZ", "identity /etc/localtime"}
    assert zone.intersection(inputs_of(root, environ)) == (zone if is_watched else set())


def test_the_variables_in_requirements_are_watched(tree: Tree) -> None:
    manifest = MANIFEST + 'dependencies = ["toy @ https://h/${A}/toy-${B}.whl"]\n'
    root = tree({"pyproject.toml": manifest, "uv.lock": "${C}@"})
    questions = inputs_of(root)
    assert [q for q in questions if q.startswith("variable ")] == ["variable A", "variable B"]


@pytest.mark.parametrize(
    ("url", "value"),
    [
        *(("https://${A}@h/toy.whl", "short"), ("https://me:${A}@h/toy.whl", "short")),
        *(("https://h/toy.whl?token=${A}", "short"), ("${A}/toy.whl", "https://me:pw@h")),
    ],
)
def test_a_credential_in_a_requirement_is_not_kept_as_a_digest(
    tree: Tree, url: str, value: str
) -> None:
    root = tree({"pyproject.toml": MANIFEST + f'dependencies = ["toy @ {url}"]\n'})
    reason = f"A is a credential in {root / 'pyproject.toml'}"
    assert refusal(root, {"A": value}) == reason
    assert "variable A" in inputs_of(root)


def test_the_bytes_of_a_file_with_credentials_are_not_kept(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, "uv.lock": lock('url = "https://h/x-1.whl"')})
    assert f"content {root / 'uv.lock'}" in inputs_of(root)
    for name in ("uv.lock", "uv.toml"):
        (root / name).write_text(lock('url = "https://me:pw@h/x-1.whl"'))
        assert f"content {root / name}" not in inputs_of(root)
        assert f"identity {root / name}" in inputs_of(root)


@pytest.mark.parametrize(
    ("manifest", "environ"),
    [
        ('dependencies = ["toy @ file://${PROJECT_ROOT}/toy.whl"]\n', {}),
        ("", {"UV_CONFIG_FILE": "more.toml"}),
        ("", {"UV_PYTHON": "./python"}),
    ],
)
def test_what_depends_on_where_uv_is_started_is_watched_in_the_root_only(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, manifest: str, environ: dict[str, str]
) -> None:
    root = tree({"pyproject.toml": MANIFEST + manifest, "more.toml": "", "docs/index.md": ""})
    monkeypatch.chdir(root)
    assert "working-directory " in inputs_of(root, environ)
    monkeypatch.chdir(root / "docs")
    reason = "a path is relative to the directory in which uv is started"
    assert refusal(root, environ) == reason


def test_a_python_requested_by_its_path_is_watched(tree: Tree) -> None:
    root = tree({"pyproject.toml": MANIFEST, ".python-version": "# ours\n/opt/python\n"})
    questions = inputs_of(root, {"UV_PYTHON": "3.12"})
    assert f"identity {Path('/opt/python')}" in questions
    assert f"identity {Path('/opt/python/bin/python')}" in questions
    assert not [q for q in questions if "3.12" in q]


def test_the_workspace_of_a_source_elsewhere_is_watched(tree: Tree) -> None:
    other = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    lib = {f"other/libs/{name}/pyproject.toml": MANIFEST for name in ("one", "two")}
    root = tree({"other/pyproject.toml": other, "shop/pyproject.toml": MANIFEST, **lib})
    (root / "shop/uv.lock").write_text(lock('editable = "../other/libs/one"'))
    questions = inputs_of(root / "shop")
    assert f"content {root / 'other/pyproject.toml'}" in questions
    assert f"directories {root / 'other/libs'}" in questions
    assert f"content {root / 'other/libs/two/pyproject.toml'}" in questions


def test_members_that_come_and_go_are_watched(tree: Tree) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*", "app"]\n'
    root = tree({"pyproject.toml": MANIFEST + workspace, "libs/one/pyproject.toml": MANIFEST})
    questions = inputs_of(root)
    assert f"directories {root / 'libs'}" in questions
    assert f"content {root / 'libs' / 'one' / 'pyproject.toml'}" in questions
    assert f"content {root / 'libs' / 'pyproject.toml'}" in questions  # it may become the nearest
    assert f"content {root / 'app' / 'pyproject.toml'}" in questions
    assert f"is-directory {root / 'app'}" in questions


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
            {"pyproject.toml": MANIFEST + '[tool.uv.workspace]\nmembers = ["apps/*"]\n'}
            | {"apps/old/x.py": ""},
            {},
            f"{{root}}{os.sep}apps{os.sep}old matches a workspace pattern and is not a project",
        ),
        (
            {"uv.toml": 'reinstall-package = ["six"]'},
            {},
            f"with the reinstall-package of {{root}}{os.sep}uv.toml a sync is never done",
        ),
        (
            {"pyproject.toml": MANIFEST + "[tool.uv]\nupgrade = true\n"},
            {},
            f"with the upgrade of {{root}}{os.sep}pyproject.toml a sync is never done",
        ),
        ({}, {"UV_REINSTALL": "1"}, "with UV_REINSTALL a sync is never done"),
        (
            {"uv.toml": 'find-links = ["https://h/wheels"]'},
            {},
            "uv asks a URL of find-links at every sync",
        ),
        ({}, {"UV_PYTHON": "my-python"}, "the Python `my-python` is looked for on PATH"),
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
    assert refusal(root, environ) == reason.format(lib=root / "lib", root=root)


def test_a_member_is_watched_with_its_workspace_and_what_lies_between(tree: Tree) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    root = tree({"pyproject.toml": MANIFEST + workspace, "libs/one/pyproject.toml": MANIFEST})
    questions = inputs_of(root / "libs" / "one")
    for directory in (root / "libs" / "one", root / "libs", root):
        assert f"content {directory / 'pyproject.toml'}" in questions
        assert f"content {directory / '.python-version'}" in questions
    assert f"content {root / 'uv.lock'}" in questions
    assert f"directories {root / 'libs'}" in questions


def test_an_environment_is_watched_by_what_a_sync_changes(tmp_path: Path) -> None:
    site_packages = tmp_path / ("Lib" if sys.platform == "win32" else "lib/python3.12")
    (site_packages / "site-packages").mkdir(parents=True)
    questions = inputs.environment_inputs(Environment(tmp_path))
    assert [question.split()[0] for question in questions] == [
        "content",
        "content",
        "content",
        "is-directory",
        *["link"] * len([tmp_path, *tmp_path.parents]),
        "identity",
        "identity",
        "identity",
        "present",
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


def test_how_local_distributions_were_made_is_watched(tmp_path: Path) -> None:
    site_packages = (
        "Lib/site-packages" if sys.platform == "win32" else "lib/python3.12/site-packages"
    )
    for name, files in {"six": ["uv_cache"], "lib": ["direct_url", "uv_build"]}.items():
        info = tmp_path / site_packages / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        for file in files:
            (info / f"{file}.json").touch()
    questions = inputs.environment_inputs(Environment(tmp_path))
    info = tmp_path / site_packages / "lib-1.dist-info"
    assert [q for q in questions if q.endswith(".json")] == [
        f"identity {info / 'direct_url.json'}",
        f"identity {info / 'uv_build.json'}",
    ]
