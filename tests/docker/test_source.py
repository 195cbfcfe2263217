"""By which names modules are imported: those of directories, and of packages as installed."""

from pathlib import Path

import pytest
from rig import Tree

from uvflow.docker.source import Sources, import_names

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def wheel(table: dict[str, object]) -> dict[str, object]:
    return {"hatch": {"build": {"targets": {"wheel": table}}}}


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


@pytest.mark.parametrize(
    ("tool", "path", "name"),
    [
        ({}, "src/shop/main.py", "shop.main"),
        ({}, "shop/main.py", "shop.main"),
        ({}, "other/main.py", None),
        ({"uv": {"build-backend": {"module-name": "a.b"}}}, "src/a/b/main.py", "a.b.main"),
        ({"uv": {"build-backend": {"module-root": "code"}}}, "code/shop/main.py", "shop.main"),
        (
            {"uv": {"build-backend": {"module-root": "", "module-name": ["x", "y"]}}},
            "y/main.py",
            "y.main",
        ),
        (wheel({"packages": ["src/py/app"]}), "src/py/app/main.py", "app.main"),
        (wheel({"sources": {"backend": "shop_api"}}), "backend/main.py", "shop_api.main"),
        (wheel({"sources": ["src"]}), "src/shop/main.py", "shop.main"),
        ({"setuptools": {"package-dir": {"a.b": "web"}}}, "web/x/main.py", "a.b.x.main"),
        ({"setuptools": {"package-dir": {"": "lib"}}}, "lib/shop/main.py", "shop.main"),
        ({"setuptools": {"packages": {"find": {"where": ["py"]}}}}, "py/z/main.py", "z.main"),
        ({"uv": {"build-backend": 1}, "setuptools": []}, "src/shop/main.py", "shop.main"),
    ],
)
def test_a_module_of_a_package_is_named_as_the_build_backend_installs_it(
    tree: Tree, tool: dict[str, object], path: str, name: str | None
) -> None:
    root = tree({path: APP})
    sources = Sources(root, {root: import_names("shop", {"tool": tool})})
    [module] = sources.modules
    assert module.is_installed == (name is not None)
    assert module.name == (name or "other.main")
