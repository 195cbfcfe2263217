"""The .dockerignore keeps out what is no part of an image, and knows when another one does."""

import time
from pathlib import Path

import pytest
from locks import local, locked, manifest, package
from rig import Tree

from uvflow.docker.context import BuildContext, dockerignore, is_ignored, missing_patterns
from uvflow.errors import UsageError
from uvflow.lockfile.packages import parse_lockfile


@pytest.mark.parametrize(
    "path",
    [
        ".venv/bin/python",
        ".git/config",
        ".env",
        ".env.local",
        "deploy/.env",
        "shop/__pycache__/x.pyc",
        "Dockerfile",
        "packages/api/Dockerfile",
        "node_modules/x/index.js",
        "src/shop.egg-info/PKG-INFO",
        "compose.yaml",
        "venv/bin/python",
        ".ssh/id_rsa",
        "deploy/.aws/credentials",
        ".netrc",
        ".pypirc",
        ".envrc",
        ".streamlit/secrets.toml",
        "certs/server.pem",
        "certs/server.key",
        "my-service-account.json",
        "infra/terraform.tfstate.backup",
        "db.sqlite3",
        "instance/app.db",
    ],
)
def test_ours_keeps_out(path: str, tmp_path: Path) -> None:
    assert is_ignored(path, dockerignore(tmp_path))


@pytest.mark.parametrize(
    "path",
    [
        "pyproject.toml",
        "uv.lock",
        "README.md",
        ".python-version",
        ".env.example",
        "src/env.py",
        "shop/geo.db",
    ],
)
def test_ours_lets_in(path: str, tmp_path: Path) -> None:
    assert not is_ignored(path, dockerignore(tmp_path))


def test_ours_misses_nothing(tree: Tree) -> None:
    root = tree({"work/py/pyvenv.cfg": "", "env/pyvenv.cfg": "", ".aws/credentials": ""})
    text = dockerignore(root)
    assert missing_patterns(text, root) == ()
    assert "\n\n# virtual environments\nenv\nwork/py\n" in text


def test_an_empty_one_misses_everything(tree: Tree) -> None:
    always = (".venv", ".git", "**/.env", "**/__pycache__")
    root = tree({"a": ""})
    assert missing_patterns("", root) == always
    tree({"env/pyvenv.cfg": "", ".ssh/id_rsa": "", ".pypirc": ""})
    assert missing_patterns("", root) == (*always, ".pypirc", ".ssh", "env")


@pytest.mark.parametrize("text", ["*\n!src\n", "**\n!src\n"])
def test_one_that_keeps_out_all_but_a_list_misses_nothing(text: str, tree: Tree) -> None:
    assert missing_patterns(text, tree({".netrc": ""})) == ()


def test_what_git_ignores_stays_out_but_for_what_the_build_needs(tree: Tree) -> None:
    ignored = "# comment\n/local/\n*.log\nnotes/*.md\n!notes/keep.md\nuv.lock\n\n/\n.env.example\n"
    text = dockerignore(tree({".gitignore": ignored}), ("uv.lock", "pyproject.toml"))
    lines = text.split("\n\n")[1].splitlines()
    assert lines == [
        "# what git ignores",
        "local",
        "**/*.log",
        "notes/*.md",
        "!notes/keep.md",
        "**/uv.lock",
        "**/.env.example",
        "!uv.lock",
    ]
    for path, is_out in (("local/x", True), ("a/local", False), ("a/b.log", True)):
        assert is_ignored(path, text) is is_out
    assert is_ignored("notes/a.md", text)
    assert not is_ignored("notes/keep.md", text)
    assert not is_ignored("uv.lock", text)


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        (".git", ".git/config", True),
        ("/.git/", ".git/config", True),
        ("./.git", ".git", True),
        (".env", "sub/.env", False),
        ("**/.env", ".env", True),
        ("*/temp*", "a/temporary", True),
        ("*/temp*", "a/b/temporary", False),
        ("temp?", "tempa", True),
        ("[a-c]x", "bx", True),
        ("\\#x", "#x", True),
        ("# x", "# x", False),
        ("docs\n!docs/a.md", "docs/a.md", False),
        ("!docs/a.md\ndocs", "docs/a.md", True),
        ("[^b]x", "ax", True),
        ("[^b]x", "bx", False),
        ("[.]env*", ".env.local", True),
        ("*", "a/b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/c/d/b", True),
        ("a**", "a/c", True),
        ("?", "/", False),
    ],
)
def test_patterns_match_as_dockers_do(pattern: str, path: str, ignored: object) -> None:
    assert is_ignored(path, pattern) is ignored


@pytest.mark.parametrize(
    "pattern", ["[", "a[", "[z-a]", "[[:alpha:]]", "\\", "[]", "[^]", "!", "!["]
)
def test_a_pattern_that_docker_refuses_matches_nothing(pattern: str) -> None:
    assert not is_ignored("a", pattern)


@pytest.mark.parametrize("part", ["*?", "**?", "**/", "[^/]*", "*a", "**", "**/*"])
def test_a_long_pattern_takes_no_time(part: str) -> None:
    before = time.process_time()
    is_ignored("package/__pycache__/module.pyc", f"{part * 5000}x")
    assert time.process_time() - before < 30


MEMBERS = 'manifest = { members = ["shelf", "shop"] }'


def workspace(root: Path, *packages: str) -> BuildContext:
    return BuildContext(root=root, lock=parse_lockfile(MEMBERS + "\n" + locked(*packages)))


SHOP = local("shop", source='editable = "."')
SHELF = local("shelf", source='editable = "packages/shelf"')


def test_every_manifest_is_mounted_the_lockfile_first(tree: Tree) -> None:
    root = tree({"pyproject.toml": "", "packages/shelf/pyproject.toml": "", "uv.toml": ""})
    assert workspace(root, SHOP, SHELF).mounts == (
        "uv.lock",
        "pyproject.toml",
        "uv.toml",
        "packages/shelf/pyproject.toml",
    )


def test_local_archives_and_indexes_are_mounted(tree: Tree) -> None:
    root = tree({"pyproject.toml": "", "libs/a.whl": "", "index/b.whl": ""})
    found = workspace(
        root,
        package("a", source='path = "libs/a.whl"'),
        package("b", source='registry = "index"'),
    )
    assert found.mounts == ("uv.lock", "pyproject.toml", "index", "libs/a.whl")


def test_own_packages_are_those_that_are_installed(tree: Tree) -> None:
    found = workspace(tree({}), local("shop"), SHELF, package("web"))
    assert found.local_packages(found.lock.packages) == ("shelf",)


def test_static_dependencies_are_checked_early(tree: Tree) -> None:
    root = tree({"pyproject.toml": manifest()})
    assert not workspace(root, SHOP).lock_check_needs_sources


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "shop"\ndynamic = ["dependencies"]\n',
        '[tool.poetry]\nname = "shop"\n',
    ],
)
def test_what_only_a_build_tells_is_checked_late(tree: Tree, text: str) -> None:
    assert workspace(tree({"pyproject.toml": text}), SHOP).lock_check_needs_sources


def test_a_dynamic_version_alone_is_no_dependency(tree: Tree) -> None:
    text = '[project]\nname = "shop"\ndynamic = ["version"]\n'
    assert not workspace(tree({"pyproject.toml": text}), SHOP).lock_check_needs_sources


def test_a_manifest_that_no_mount_can_name_is_checked_late(tree: Tree) -> None:
    root = tree({"pyproject.toml": manifest(), "bücher/pyproject.toml": manifest("books")})
    found = workspace(root, SHOP, local("books", source='editable = "bücher"'))
    assert found.mounts == ("uv.lock", "pyproject.toml")
    assert found.lock_check_needs_sources


@pytest.mark.parametrize("source", ['editable = "../lib"', 'directory = "/srv/lib"'])
def test_what_lies_outside_of_the_context_is_refused(tree: Tree, source: str) -> None:
    with pytest.raises(UsageError, match="is outside of"):
        workspace(tree({}), local("lib", source=source))


@pytest.mark.parametrize(
    ("settings", "more", "found"),
    [
        ('requires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n', {}, True),
        ('requires = ["setuptools"]\n', {}, True),
        ('requires = ["setuptools", "setuptools_scm>=8"]\n', {}, False),
        ('requires = ["setuptools"]\n[tool.setuptools.package-data]\n"*" = ["*"]\n', {}, False),
        ('requires = ["setuptools"]\n', {"MANIFEST.in": "graft src\n"}, False),
        ('requires = ["hatchling"]\nbuild-backend = "hatchling.build"\n', {}, False),
    ],
)
def test_a_template_that_setuptools_leaves_out_is_found(
    tree: Tree, settings: str, more: dict[str, str], *, found: bool
) -> None:
    files = {
        "pyproject.toml": f"[build-system]\n{settings}",
        "src/shop/__init__.py": "",
        "src/shop/py.typed": "",
        "src/shop/templates/__init__.py": "",
        "src/shop/templates/index.html": "",
        "src/shop/tests/templates/a.html": "",
        "templates/of_no_package.html": "",
        "member/pyproject.toml": "",
        "member/src/member/__init__.py": "",
        "member/src/member/static/a.css": "",
        **more,
    }
    names = ["src/shop/templates/index.html"] if found else []
    assert list(workspace(tree(files), SHOP).left_out(["shop"])) == names


def test_a_version_from_git_is_asked_for_in_another_way(tree: Tree) -> None:
    text = '[build-system]\nrequires = ["hatchling", "hatch-vcs>=0.4"]\n'
    found = workspace(tree({"pyproject.toml": text}), SHOP)
    assert found.build_requirements(["shop"]) == ("hatch-vcs", "hatchling")
    assert found.version_variables(["shop"]) == ("SETUPTOOLS_SCM_PRETEND_VERSION",)
