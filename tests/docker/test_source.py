"""Applications and routes are found by reading sources, without running them."""

from pathlib import Path

import pytest
from rig import Tree

from uvflow.docker.source import Application, Sources

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def found(root: Path, *classes: str) -> str | None:
    application = Sources(root).application(classes or ("FastAPI",))
    return named(application) if application else None


def named(application: Application) -> str:
    call = "()" if application.is_factory else ""
    return f"{application.module.name}:{application.attribute}{call}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("main.py", "main:app"),
        ("shop/app.py", "shop.app:app"),
        ("src/shop/web.py", "shop.web:app"),
        ("shop/__init__.py", "shop:app"),
    ],
)
def test_an_application_is_found_where_it_is_made(tree: Tree, path: str, name: str) -> None:
    assert found(tree({path: APP})) == name


@pytest.mark.parametrize(
    "text",
    [
        "import fastapi\n\napp: fastapi.FastAPI = fastapi.FastAPI(title='x')\n",
        "import fastapi\n\nif True:\n    app = fastapi.FastAPI()\n",
        "try:\n    app = FastAPI()\nexcept ImportError:\n    app = None\n",
    ],
)
def test_it_may_be_made_in_other_words(tree: Tree, text: str) -> None:
    assert found(tree({"main.py": text})) == "main:app"


def test_a_factory_is_taken_where_no_application_is_made(tree: Tree) -> None:
    text = "def create_app(name: str = 'x'):\n    return FastAPI(title=name)\n"
    assert found(tree({"main.py": text})) == "main:create_app()"


def test_a_factory_that_needs_arguments_is_none(tree: Tree) -> None:
    assert found(tree({"main.py": "def create_app(name):\n    return FastAPI()\n"})) is None


def test_an_application_that_a_factory_made_is_one(tree: Tree) -> None:
    text = "def create(x):\n    return FastAPI(title=x)\n\napp = create('y')\n"
    assert found(tree({"main.py": text, "shop/deep/app.py": APP})) == "main:app"


def test_the_factory_may_be_somewhere_else(tree: Tree) -> None:
    root = tree(
        {
            "main.py": "from shop.factory import create\n\napp = create()\n",
            "shop/factory.py": "def create():\n    return FastAPI()\n",
        }
    )
    assert found(root) == "main:app"


def test_other_packages_are_looked_at_where_they_are_installed(tree: Tree) -> None:
    root = tree({"libs/web/src/web/__init__.py": APP, "libs/web/main.py": APP, "apps/x/x.py": APP})
    sources = Sources(root, {root / "libs" / "web": "web"}, [root / "apps" / "x"])
    application = sources.application(["FastAPI"])
    assert application is not None
    assert named(application) == "web:app"
    assert application.module.is_installed
    assert [module.path for module in sources.modules] == ["libs/web/src/web/__init__.py"]


def test_the_module_with_the_usual_name_is_preferred(tree: Tree) -> None:
    root = tree({"admin.py": APP, "main.py": APP, "deep/main.py": APP})
    assert found(root) == "main:app"


@pytest.mark.parametrize(
    "path",
    ["tests/main.py", ".venv/lib/main.py", "docs/main.py", "env/main.py", "build/lib/main.py"],
)
def test_what_is_not_shipped_is_not_looked_at(tree: Tree, path: str) -> None:
    assert found(tree({path: APP, "env/pyvenv.cfg": ""})) is None


def test_what_does_not_parse_says_nothing(tree: Tree) -> None:
    assert found(tree({"main.py": "app = FastAPI(\n", "web.py": APP})) == "web:app"


def test_a_name_in_a_string_or_comment_is_no_application(tree: Tree) -> None:
    assert found(tree({"main.py": "# app = FastAPI()\ntext = 'app = FastAPI()'\n"})) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("urlpatterns = [path('healthz', view)]", "/healthz"),
        ("urlpatterns = [path('api/health/', view)]", "/api/health/"),
        ("urlpatterns = [re_path(r'^livez/?$', view)]", "/livez/"),
        ("@app.get('/ready')\ndef ready(): ...", "/ready"),
        ("app.add_url_rule('/healthz', view_func=f)", "/healthz"),
        ("@app.route('/readyz')\ndef a(): ...\n@app.route('/healthz')\ndef b(): ...", "/healthz"),
        ("x = get('/health-insurance')", None),
        ("name = 'healthz'", None),
    ],
)
def test_a_health_route_is_found_by_its_name(tree: Tree, text: str, path: str | None) -> None:
    assert Sources(tree({"main.py": text})).health_path() == path


def test_a_script_is_found_by_what_it_imports(tree: Tree) -> None:
    root = tree({"helpers.py": "x = 'streamlit'\n", "page.py": "import streamlit as st\n"})
    assert Sources(root).script_importing("streamlit") == "page.py"
