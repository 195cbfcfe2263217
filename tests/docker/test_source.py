"""By which names modules are imported: those of directories, and of packages as installed."""

from pathlib import Path

import pytest
from rig import Tree

from uvflow.docker.source import Sources, import_names

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("path", "line", "name", "base"),
    [
        ("src/py/app/main.py", "", "app.main", "src/py"),
        ("src/main.py", "import db", "main", "src"),
        ("src/main.py", "from src.db import x", "src.main", "."),
        ("backend/app/main.py", "from app.db import x", "app.main", "backend"),
        ("backend/app/main.py", "from backend.app.db import x", "backend.app.main", "."),
        ("backend/main.py", "import db", "main", "backend"),
        ("backend/main.py", "from .db import x", "backend.main", "."),
        ("shop/main.py", "import json", "shop.main", "."),
    ],
)
def test_a_module_is_named_as_its_imports_resolve(
    tree: Tree, path: str, line: str, name: str, base: str
) -> None:
    directory = Path(path).parent.as_posix()
    files = {path: f"{line}\n", f"{directory}/db.py": "", f"{directory}/json.py": ""}
    if directory.endswith("app"):
        files[f"{directory}/__init__.py"] = ""
    module = Sources(tree(files)).by_name.get(name)
    assert module is not None
    assert (module.path, module.base) == (path, base)


@pytest.mark.parametrize(
    ("line", "base"), [("from app.db import x", "backend"), ("from celery import x", ".")]
)
def test_a_package_is_where_its_imports_resolve_but_for_the_name_of_a_library(
    tree: Tree, line: str, base: str
) -> None:
    packages = ("backend/__init__.py", "backend/app/__init__.py")
    files = dict.fromkeys((*packages, "backend/app/db.py", "backend/app/celery.py"), "")
    modules = Sources(tree({**files, "backend/app/main.py": f"{line}\n"})).modules
    assert {(m.path, m.base) for m in modules if m.stem == "main"} == {
        ("backend/app/main.py", base)
    }


def test_a_directory_with_a_project_of_its_own_has_no_module_of_this_one(tree: Tree) -> None:
    files = {"main.py": "", "packages/x/x/web.py": "", "tools_of/x.py": ""}
    manifests = {"packages/x/pyproject.toml": "[project]\n", "tools_of/pyproject.toml": "[tool]\n"}
    modules = Sources(tree({**files, **manifests})).modules
    assert [module.path for module in modules] == ["main.py", "tools_of/x.py"]


WHEEL = "[tool.hatch.build.targets.wheel]\n"
BACKEND = "[tool.uv.build-backend]\n"


@pytest.mark.parametrize(
    ("tool", "path", "name"),
    [
        ("", "src/shop/main.py", "shop.main"),
        ("", "shop/main.py", "shop.main"),
        ("", "other/main.py", None),
        (f"{BACKEND}module-name = 'a.b'", "src/a/b/main.py", "a.b.main"),
        (f"{BACKEND}module-root = 'code'", "code/shop/main.py", "shop.main"),
        (f"{BACKEND}module-root = ''\nmodule-name = ['x', 'y']", "y/main.py", "y.main"),
        (f"{WHEEL}packages = ['src/py/app']", "src/py/app/main.py", "app.main"),
        (f"{WHEEL}packages = ['py/app/']", "py/app/main.py", "app.main"),
        (f"{WHEEL}packages = ['src']", "src/main.py", "src.main"),
        (f"{WHEEL}sources = {{backend = 'shop_api'}}", "backend/main.py", "shop_api.main"),
        (f"{WHEEL}sources = ['backend']", "backend/shop/main.py", "shop.main"),
        ("[tool.hatch.build]\nsources = ['py']", "py/shop/main.py", "shop.main"),
        ("[tool.setuptools]\npackage-dir = {'a.b' = 'web'}", "web/x/main.py", "a.b.x.main"),
        ("[tool.setuptools]\npackage-dir = {'' = 'lib'}", "lib/shop/main.py", "shop.main"),
        ("[tool.setuptools]\npackages = ['z']\npackage-dir = {z = 'y'}", "y/main.py", "z.main"),
        ("[tool.poetry]\npackages = [{from = 'lib'}]", "src/z/main.py", "z.main"),
        ("[tool.setuptools.packages.find]\nwhere = ['py']", "py/z/main.py", "z.main"),
        ("[tool.pdm.build]\npackage-dir = 'py'", "py/z/main.py", "z.main"),
        ("[tool.poetry]\npackages = [{include = 'z', from = 'lib'}]", "lib/z/main.py", "z.main"),
        ("[tool.poetry]\npackages = [{include = 'z/**/*.py'}]", "z/main.py", "z.main"),
        ("[tool]\nsetuptools = []\n[tool.uv]\nbuild-backend = 1", "src/z/main.py", "z.main"),
    ],
)
def test_a_module_of_a_package_is_named_as_the_build_backend_installs_it(
    tree: Tree, tool: str, path: str, name: str | None
) -> None:
    root = tree({path: APP, "pyproject.toml": f"{tool}\n"})
    [module] = Sources(root, {root: import_names("shop", root)}).modules
    assert module.is_installed == (name is not None)
    assert module.name == (name or "other.main")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("setup.cfg", "[options]\npackage_dir =\n    = code\n"),
        ("setup.cfg", "[options]\npackage_dir = =code\n"),
        ("setup.py", "setup(package_dir={'': 'code'}, packages=find_packages('code'))\n"),
    ],
)
def test_the_older_files_of_setuptools_name_the_directory_as_well(
    tree: Tree, file: str, text: str
) -> None:
    root = tree({"code/z/main.py": APP, file: text})
    assert "z.main" in Sources(root, {root: import_names("shop", root)}).by_name


def test_what_setup_py_computes_is_passed_over(tree: Tree) -> None:
    root = tree({"setup.py": "setup(package_dir=directories())\n", "setup.cfg": "?\n"})
    assert import_names("shop", root) == {"src": "", "shop": "shop", "src/shop": "shop"}


def test_a_package_may_be_called_as_what_is_not_served(tree: Tree) -> None:
    root = tree({"src/playground/main.py": APP})
    names = import_names("playground", root)
    assert "playground.main" in Sources(root, {root: names}).by_name


def test_a_file_that_no_import_can_name_is_no_module(tree: Tree) -> None:
    root = tree({"app.bak.py": APP, "template/{{name}}/x.py": APP, "my-app.py": APP})
    assert [module.name for module in Sources(root).modules] == ["my-app"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfimport shop\n",
        b"# -*- coding: latin-1 -*-\nimport shop  # \xe9\n",
    ],
)
def test_a_source_is_read_in_its_own_encoding(tree: Tree, data: bytes) -> None:
    root = tree({"main.py": ""})
    (root / "main.py").write_bytes(data)
    assert Sources(root).by_name["main"].imported_packages == {"shop"}


def test_an_encoding_that_there_is_not_makes_no_source(tree: Tree) -> None:
    assert not Sources(tree({"main.py": "# coding: klingon\n"})).by_name["main"].text
