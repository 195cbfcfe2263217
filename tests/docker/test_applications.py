"""Which object a server loads: found where it is made, wrapped, mounted or completed."""

import os
from pathlib import Path

import pytest
from rig import Tree

from uvflow.docker.applications import Application, Applications, scripts_importing
from uvflow.docker.source import Sources

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def found(root: Path) -> str | None:
    """The one application; several, with a comma between."""
    classes = {"FastAPI": "asgi", "Dash.server": "wsgi"}
    applications = Applications(Sources(root), classes).likeliest()
    return ", ".join(map(named, applications)) or None


def named(application: Application) -> str:
    return f"{application.name}{'()' * application.is_factory}"


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


@pytest.mark.parametrize("decorator", ["cache", "functools.lru_cache(maxsize=1)"])
def test_a_factory_may_be_cached(tree: Tree, decorator: str) -> None:
    text = f"@{decorator}\ndef create_app():\n    return FastAPI()\n"
    assert found(tree({"main.py": text})) == "main:create_app()"


@pytest.mark.parametrize("decorator", ["cli.command()", "click.command", "contextmanager", "x[1]"])
def test_what_a_decorator_may_replace_is_no_factory(tree: Tree, decorator: str) -> None:
    text = f"@cache\n@{decorator}\ndef app():\n    return FastAPI()\n"
    assert found(tree({"main.py": text})) is None


def test_a_factory_that_needs_arguments_is_none(tree: Tree) -> None:
    assert found(tree({"main.py": "def create_app(name):\n    return FastAPI()\n"})) is None


def test_what_has_to_be_awaited_is_no_factory_and_has_no_names(tree: Tree) -> None:
    text = "async def main():\n    app = FastAPI()\n    return app\n"
    assert found(tree({"main.py": text})) is None


def test_an_application_that_a_factory_made_is_one(tree: Tree) -> None:
    text = "def create(x):\n    return FastAPI(title=x)\n\napp = create('y')\n"
    assert found(tree({"main.py": text})) == "main:app"


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
    sources = Sources(root, {root / "libs" / "web": {"src": ""}, root / "apps" / "x": {}})
    [application] = Applications(sources, {"FastAPI": "asgi"}).likeliest()
    assert named(application) == "web:app"
    assert application.module.is_installed
    assert [module.path for module in sources.modules] == ["libs/web/src/web/__init__.py"]


def test_an_installed_package_comes_before_what_does_not_import_it(tree: Tree) -> None:
    files = {"src/shop/web.py": APP, "stubs_of/bank/main.py": APP}
    for imports, names in (("import shop\n", "main:app"), ("", "shop.web:app")):
        root = tree({**files, "main.py": imports + APP})
        sources = Sources(root, {root: {"src": ""}})
        [application] = Applications(sources, {"FastAPI": "asgi"}).likeliest()
        assert named(application) == names


def test_the_module_with_the_usual_name_is_preferred(tree: Tree) -> None:
    root = tree({"admin.py": APP, "main.py": APP})
    assert found(root) == "main:app"


@pytest.mark.parametrize(
    "path",
    ["tests/main.py", ".venv/lib/main.py", "docs_src/main.py", "env/main.py", "build/lib/main.py"],
)
def test_what_is_not_shipped_is_not_looked_at(tree: Tree, path: str) -> None:
    assert found(tree({path: APP, "env/pyvenv.cfg": ""})) is None


def test_what_does_not_parse_says_nothing(tree: Tree) -> None:
    assert found(tree({"main.py": "app = FastAPI(\n", "web.py": APP})) == "web:app"


@pytest.mark.skipif("sys.platform == 'win32'", reason="there are no named pipes in directories")
def test_a_pipe_is_not_read(tree: Tree) -> None:
    root = tree({"web.py": APP})
    os.mkfifo(root / "main.py")
    assert found(root) == "web:app"


def test_a_name_in_a_string_or_comment_is_no_application(tree: Tree) -> None:
    assert found(tree({"main.py": "# app = FastAPI()\ntext = 'app = FastAPI()'\n"})) is None


def test_a_script_is_found_by_what_it_imports(tree: Tree) -> None:
    root = tree({"helpers.py": "x = 'streamlit'\n", "page.py": "import streamlit as st\n"})
    [script] = scripts_importing(Sources(root), "streamlit")
    assert script.name == "page.py"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"Home.py": "", "pages/a.py": "", "views/b.py": ""}, ["Home.py"]),
        ({"home.py": "st.Page('views/a.py')", "views/a.py": ""}, ["home.py"]),
        ({"home.py": "", "views/a.py": ""}, ["home.py", "views/a.py"]),
        ({"home.py": "st.navigation(found()).run()", "views/a.py": ""}, ["home.py"]),
    ],
)
def test_the_pages_of_a_script_are_none_themselves(
    tree: Tree, files: dict[str, str], names: list[str]
) -> None:
    root = tree({path: f"import streamlit as st\n{text}\n" for path, text in files.items()})
    assert [script.name for script in scripts_importing(Sources(root), "streamlit")] == names


@pytest.mark.parametrize(
    "imports",
    [
        "from streamlit.web import cli",
        "import streamlit.web.bootstrap",
        "from streamlit import cli",
    ],
)
def test_a_launcher_is_no_script(tree: Tree, imports: str) -> None:
    text = f"import sys\n{imports}\nsys.argv = ['streamlit', 'run', 'page.py']\n"
    root = tree({"page.py": "import streamlit as st\n", "run_app.py": text})
    assert [script.name for script in scripts_importing(Sources(root), "streamlit")] == ["page.py"]


MADE = "from fastapi import FastAPI\n{} = FastAPI()\n"
FACTORY = "from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\n"
MAKING = "from web import create_app\n"
FOUND = "web:create_app()"
WRAPPER = "class Wrap:\n    async def __call__(self, scope, receive, send): ...\n"
FILLED = "from fastapi import FastAPI\napp = FastAPI()\n"
FILLED += "def create():\n    app.include_router(x)\n    return app\n"
SERVER = {
    "web.py": "class Server:\n    def __init__(self):\n        self.app = FastAPI()\n"
    "    def wire(self):\n        return self\n"
    "    def build(self, x):\n        return self.app\n"
    "class Own(Server): ...\n"
}


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"main.py": MADE.format("v1") + "api = FastAPI()\napi.mount('/v1', v1)\n"}, "main:api"),
        (
            {
                "main.py": "from fastapi import FastAPI\nfrom sub import v1\n\ndef create():\n"
                "    app = FastAPI()\n    app.mount('/v1', v1)\n    return app\n\napp = create()\n",
                "sub.py": MADE.format("v1"),
            },
            "main:app",
        ),
        ({"main.py": MADE.format("api") + "app = socketio.ASGIApp(x, api)\n"}, "main:app"),
        ({"main.py": f"{APP}api = app\ndel app\n"}, "main:api"),
        ({"main.py": f"{APP}api = app\nfor app in x: pass\n"}, "main:api"),
        ({"main.py": f"{APP}api = app\ndef app(): ...\n"}, "main:api"),
        ({"main.py": f"{APP}api = app\napp = Typer()\n"}, "main:api"),
        ({"main.py": f"{APP}api = app\nfrom jobs import app\n"}, "main:api"),
        ({"main.py": f"{APP}app = more(app)\n"}, "main:app"),
        ({"main.py": "app = None\nif x:\n    app = FastAPI()\n"}, None),
        ({"main.py": "try:\n    from x import app\nexcept X:\n    app = FastAPI()\n"}, "main:app"),
        (
            {"main.py": "from a import app as a\nfrom b import app as b\napp = a if x else b\n",
             "a.py": APP, "b.py": APP},
            "main:app",
        ),
        ({"main.py": MADE.format("api") + "app = TimingMiddleware(api)\n"}, "main:app"),
        ({"main.py": MADE.format("app") + "app = CORSMiddleware(app)\n"}, "main:app"),
        ({"main.py": MADE.format("x") + "app = SecurityHeaders(x)\n"}, "main:app"),
        ({"main.py": MADE.format("x") + "db = Database(x)\n"}, "main:x"),
        ({"main.py": MADE.format("app") + WRAPPER + "asgi = Wrap(Cors(app=app))\n"}, "main:asgi"),
        (
            {
                "main.py": MADE.format("app") + "from wrap import Wrap as W\nasgi = W(app)\n",
                "wrap.py": WRAPPER.replace("scope, receive, send", "environ, start_response"),
            },
            "main:asgi",
        ),
        ({"main.py": MADE.format("app") + WRAPPER.replace("__call__", "call") + "x = Wrap(app)\n"},
         "main:app"),
        ({"main.py": MADE.format("x") + "app = make_celery(x)\n"}, "main:x"),
        (
            {"main.py": f"{APP}app = gradio.mount_gradio_app(app, demo, path='/ui')\n"},
            "main:app",
        ),
        ({"main.py": "import web\napplication = web.app\n", "web.py": APP}, "main:application"),
        ({**SERVER, "main.py": "from web import Server\napp = Server().app\n"}, "main:app"),
        ({**SERVER, "main.py": "import web\napp = web.Server().wire().build(1)\n"}, "main:app"),
        ({**SERVER, "main.py": "from web import Own\ns = Own()\napp = s.app\n"}, "main:app"),
        ({**SERVER, "main.py": "from web import Server\ndb = Server().database\n"}, None),
        (
            {"web.py": APP, "serve.py": "from web import app\nclass Own(BaseApplication):\n"
             "    def __init__(self):\n        self.application = app\n"},
            "web:app",
        ),
        ({"main.py": MADE.format("v1") + "api = FastAPI()\napi.host('v1.shop', v1)\n"}, "main:api"),
        ({"main.py": f"{APP}x = app{'.x' * 2000}\n"}, "main:app"),
        ({"main.py": "app = Dash('x')\nserver = app.server\n"}, "main:server"),
        ({"main.py": "app = Dash('x')\n"}, None),
        ({"main.py": "server = FastAPI()\napp = Dash(server=server)\n"}, "main:server"),
        ({"tools/x.py": APP, "notebooks/x.py": APP, "debug_server.py": APP}, None),
        ({"main.py": MADE.format("x") + "y = Starlette(routes=[Mount('/', app=x)])\n"}, None),
        (
            {
                "shop/base.py": "from fastapi import FastAPI\nclass Base(FastAPI): ...\n",
                "shop/web.py": "from .base import Base\nclass Api(Base): ...\nserver = Api()\n",
            },
            "shop.web:server",
        ),
        ({"shop/__init__.py": "", "shop/web.py": APP, "thing.py": APP}, "shop.web:app"),
        ({"main.py": APP, "shop/main.py": APP}, "main:app, shop.main:app"),
        ({"v1/x.py": APP, "v2/x.py": APP, "shop/main.py": APP}, "shop.main:app"),
        ({"main.py": "app = setup(FastAPI())\n"}, "main:app"),
        ({"web.py": APP, "x.py": "from web import app\ndef x():\n    return app\n"}, "web:app"),
        ({"web.py": FACTORY, "seed.py": f"{MAKING}def seed():\n    app = create_app()\n"}, FOUND),
        ({"web.py": FACTORY, "dev.py": f"{MAKING}def dev():\n    return create_app()\n"}, FOUND),
        (
            {
                "web.py": FACTORY,
                "x.py": f"{MAKING}def main():\n    a = create_app()\n    a.run()\n    return a\n",
            },
            FOUND,
        ),
        ({"web.py": FACTORY, "run.py": f"{MAKING}app = create_app()\n"}, "run:app"),
        (
            {"web.py": FACTORY, "a.py": f"{MAKING}x = create_app()\n", "b.py": f"{MAKING}y = x\n"},
            "a:x, web:create_app()",
        ),
        (
            {
                "web.py": "def create_app(x):\n    return FastAPI()\n",
                "x.py": f"{MAKING}def serve():\n    class Server:\n        def load(self):\n"
                "            return create_app(1)\n    Server().run()\n",
            },
            None,
        ),
        ({"a.py": FACTORY.replace("create_app", "a"), "web.py": FACTORY}, FOUND),
        (
            {name: FACTORY.replace("create_app", "make") for name in ("a.py", "b.py")},
            "a:make(), b:make()",
        ),
        ({"main.py": MADE.format("a") + "b = FastAPI()\n"}, "main:a, main:b"),
        ({"main.py": MADE.format("app") + "admin = FastAPI()\n"}, "main:app"),
        ({"web.py": APP, "admin.py": MADE.format("admin")}, "web:app"),
        ({"web.py": FACTORY, "wsgi.py": f"{MAKING}app = create_app()\n",
          "shop/tasks.py": f"{MAKING}app = create_app()\n"}, "wsgi:app"),
        ({"a/web.py": APP, "b/admin.py": MADE.format("admin")}, "a.web:app, b.admin:admin"),
        ({"web.py": APP, "third_party/bank/main.py": APP, "old/main.py": APP}, "web:app"),
        ({"old/main.py": APP}, "old.main:app"),
        ({"main.py": "app, version = FastAPI(), '1'\n"}, "main:app"),
        ({"web.py": APP, "mock_bank.py": APP, "playground/x.py": APP, "db/env.py": APP}, "web:app"),
        (
            {
                "run.py": "from shop import create\napp = create()\napp.run(debug=True)\n",
                "shop/__init__.py": "def create():\n    return FastAPI()\n",
            },
            "shop:create()",
        ),
        ({"run.py": "def main():\n    app = FastAPI()\n    uvicorn.run(app)\n"}, None),
        ({"web.py": FILLED}, "web:create()"),
        ({"web.py": f"{FILLED}create()\n"}, "web:app"),
        ({"web.py": FILLED, "boot.py": "import web\n\ndef boot():\n    web.create()\nboot()\n"},
         "web:app"),
        (
            {"web.py": FILLED,
             "x.py": "class X(B):\n    def x(self):\n        self.create()\nX()\n"},
            "web:create()",
        ),
        (
            {"shop/web.py": FILLED, "boot.py": "import shop.web\nshop.web.create()\n"},
            "shop.web:app",
        ),
        ({"web.py": FILLED.replace("    app.include_router(x)\n", "")}, "web:app"),
        ({"web.py": f"{FACTORY}{MAKING}app = create_app()\n", "web/__init__.py": FACTORY}, FOUND),
        (
            {"web.py": "def make():\n    return FastAPI()\nif __name__ == 'x':\n    a = make()\n"},
            "web:make()",
        ),
        (
            {
                "wsgi.py": "from shop import create\napp = create()\n",
                "shop/__init__.py": "from .web import create\n",
                "shop/web.py": "def create():\n    return FastAPI()\n",
            },
            "wsgi:app",
        ),
    ],
)  # fmt: skip
def test_what_is_outermost_and_stands_out_is_the_application(
    tree: Tree, files: dict[str, str], name: str | None
) -> None:
    assert found(tree(files)) == name
