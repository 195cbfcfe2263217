"""What a Django project is started with is read from manage.py and the settings it names."""

import os
from pathlib import Path

import pytest
from rig import Tree

from uvflow.docker.source import (
    Application,
    Applications,
    Django,
    Sources,
    Static,
    health_path,
    import_names,
)

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'


def django(root: Path) -> Django:
    return Django(Sources(root))


def test_the_settings_that_are_served_come_before_those_of_manage_py(tree: Tree) -> None:
    root = tree({"manage.py": MANAGE.format("a.b")})
    assert django(root).settings_module == "a.b"
    tree({"site/asgi.py": MANAGE.format("c.d")})
    assert django(root).settings_module == "c.d"
    assert Django(Sources(root), "e.f").settings_module == "e.f"


def test_static_files_are_collected_with_the_settings_that_are_served(tree: Tree) -> None:
    root = tree(
        {
            "web/manage.py": MANAGE.format("local"),
            "web/site/wsgi.py": MANAGE.format("production"),
            "production.py": STATIC.format('str(BASE_DIR / "static")'),
        }
    )
    assert django(root).static(()) == Static(
        directory="web/static",
        manage="web/manage.py",
        environment=(("DJANGO_SETTINGS_MODULE", "production"),),
    )


def test_apps_are_added_up_for_the_static_files(tree: Tree) -> None:
    text = 'ALL = OWN + THEIRS\nOWN = ["shop"]\nTHEIRS = ["django.contrib.staticfiles"]\n'
    text += 'INSTALLED_APPS = ALL + ["x"]\nSTATIC_ROOT = "static"\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert django(root).static(()) == Static(directory="static", environment=())


def test_apps_that_one_file_of_settings_adds_to_another_are_added_up(tree: Tree) -> None:
    root = tree(
        {
            "manage.py": MANAGE.format("production"),
            "production.py": 'from base import *\nINSTALLED_APPS = [*INSTALLED_APPS, "shop"]\n',
            "base.py": STATIC.format('"static"'),
        }
    )
    assert django(root).static(()) == Static(directory="static", environment=())


def test_settings_that_the_line_of_a_start_names_are_served(tree: Tree) -> None:
    root = tree({"manage.py": MANAGE.format("dev"), "prod.py": STATIC.format('"s"')})
    found = Django(Sources(root), in_line="prod")
    assert found.static(()) == Static(
        directory="s", environment=(("DJANGO_SETTINGS_MODULE", "prod"),)
    )


def test_settings_that_a_variable_may_replace_are_served(tree: Tree) -> None:
    text = 'os.environ["DJANGO_SETTINGS_MODULE"] = os.environ.get("X") or "site.prod"\n'
    root = tree({"manage.py": MANAGE.format("site.dev"), "site/wsgi.py": text})
    assert django(root).settings_module == "site.prod"


def test_a_static_root_that_is_computed_is_remarked(tree: Tree) -> None:
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": STATIC.format("where()")})
    assert list(django(root).remarks()) == [
        "the STATIC_ROOT of settings is computed: it is not collected"
    ]


def test_without_manage_py_the_wsgi_module_does(tree: Tree) -> None:
    text = 'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "site.settings"\n'
    assert django(tree({"site/wsgi.py": text})).settings_module == "site.settings"


@pytest.mark.parametrize("line", ["from .base import *", "from config.settings.base import *"])
def test_settings_are_followed_into_what_they_import(tree: Tree, line: str) -> None:
    root = tree(
        {
            "manage.py": MANAGE.format("config.settings.local"),
            "config/settings/local.py": f"{line}\nDEBUG = True\n",
            "config/settings/base.py": 'WSGI_APPLICATION = "config.wsgi.application"\n',
        }
    )
    assert django(root).text("WSGI_APPLICATION") == "config.wsgi.application"


def test_settings_that_import_each_other_end(tree: Tree) -> None:
    root = tree(
        {
            "manage.py": MANAGE.format("a"),
            "a.py": "from b import *\n",
            "b.py": "from a import *\n",
        }
    )
    assert django(root).text("WSGI_APPLICATION") is None


def test_the_variables_of_a_secret_key_are_named(tree: Tree) -> None:
    text = 'import os\nSECRET_KEY = os.environ["DJANGO_SECRET_KEY"]\nSTATIC_ROOT = "static"\n'
    text += 'INSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert django(root).static(()) == Static(
        directory="static", environment=(("DJANGO_SECRET_KEY", "collectstatic-only"),)
    )


STATIC = 'INSTALLED_APPS = ["django.contrib.staticfiles"]\nSTATIC_ROOT = {}\n'


@pytest.mark.parametrize(
    ("value", "directory"),
    [
        ('BASE_DIR / "static"', "static"),
        ('os.path.join(BASE_DIR, "static")', "static"),
        ('"/srv/static/"', "/srv/static"),
    ],
)
def test_static_files_are_collected_where_the_settings_say(
    tree: Tree, value: str, directory: str
) -> None:
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": STATIC.format(value)})
    assert django(root).static(()) == Static(directory=directory, environment=())


def test_the_secret_key_is_made_up_unless_one_is_given(tree: Tree) -> None:
    text = STATIC.format('"/s"') + 'SECRET_KEY = env("THE_KEY")\n'
    found = django(tree({"manage.py": MANAGE.format("settings"), "settings.py": text}))
    assert found.static(()) == Static(
        directory="/s", environment=(("THE_KEY", "collectstatic-only"),)
    )
    assert found.static((("THE_KEY", "x"),)) == Static(
        directory="/s", environment=(("THE_KEY", "x"),)
    )


def test_without_a_static_root_nothing_is_collected(tree: Tree) -> None:
    text = 'INSTALLED_APPS = ["django.contrib.staticfiles"]\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert django(root).static(()) is None


def test_what_a_container_cannot_keep_is_remarked(tree: Tree) -> None:
    text = 'DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}\nMEDIA_ROOT = "m"\n'
    root = tree({"manage.py": MANAGE.format("settings"), "settings.py": text})
    assert list(django(root).remarks()) == [
        "settings keeps an SQLite database, and the image is not writable",
        "settings has a MEDIA_ROOT: mount a volume there to keep uploads",
    ]


APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


def wheel(table: dict[str, object]) -> dict[str, object]:
    return {"hatch": {"build": {"targets": {"wheel": table}}}}


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
    ["tests/main.py", ".venv/lib/main.py", "docs/main.py", "env/main.py", "build/lib/main.py"],
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
    assert health_path(Sources(tree({"main.py": text})), {"main", "main.app"}) == path


def test_a_script_is_found_by_what_it_imports(tree: Tree) -> None:
    root = tree({"helpers.py": "x = 'streamlit'\n", "page.py": "import streamlit as st\n"})
    [script] = Sources(root).scripts_importing("streamlit")
    assert script.name == "page.py"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"Home.py": "", "pages/a.py": "", "views/b.py": ""}, ["Home.py"]),
        ({"home.py": "st.Page('views/a.py')", "views/a.py": ""}, ["home.py"]),
        ({"home.py": "", "views/a.py": ""}, ["home.py", "views/a.py"]),
    ],
)
def test_the_pages_of_a_script_are_none_themselves(
    tree: Tree, files: dict[str, str], names: list[str]
) -> None:
    root = tree({path: f"import streamlit as st\n{text}\n" for path, text in files.items()})
    assert [script.name for script in Sources(root).scripts_importing("streamlit")] == names


MADE = "from fastapi import FastAPI\n{} = FastAPI()\n"
FACTORY = "from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\n"
MAKING = "from web import create_app\n"
FOUND = "web:create_app()"
WRAPPER = "class Wrap:\n    async def __call__(self, scope, receive, send): ...\n"
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
        ({"web.py": APP, "mock_bank.py": APP, "playground/x.py": APP, "db/env.py": APP}, "web:app"),
        (
            {
                "run.py": "from shop import create\napp = create()\napp.run(debug=True)\n",
                "shop/__init__.py": "def create():\n    return FastAPI()\n",
            },
            "shop:create()",
        ),
        ({"run.py": "def main():\n    app = FastAPI()\n    uvicorn.run(app)\n"}, None),
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


ROUTER = (
    "from fastapi import APIRouter\nrouter = APIRouter({})\n@router.get('/health')\ndef h(): ...\n"
)

IN_A_CLASS = (
    "from fastapi import FastAPI\nclass Server:\n    def __init__(self):\n"
    "        self.app = FastAPI()\n"
    "        @self.{}.get('/health')\n        def health(): ...\napp = Server().app\n"
)


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (
            {
                "main.py": f"{APP}from sub import router as r\n"
                "app.include_router(r, prefix='/api')\n",
                "sub.py": ROUTER.format("prefix='/v1'"),
            },
            "/api/v1/health",
        ),
        ({"main.py": f"{APP}{ROUTER.format('')}app.include_router(router, prefix=P)\n"}, None),
        ({"main.py": f"{APP}{ROUTER.format('')}app.include_router(router)\n"}, "/health"),
        ({"main.py": APP + ROUTER.format("")}, None),
        (
            {
                "main.py": "app = Flask('x')\nbp = Blueprint('a', __name__, url_prefix='/a')\n"
                "@bp.route('/health')\ndef h(): ...\napp.register_blueprint(bp)\n"
            },
            "/a/health",
        ),
        (
            {
                "main.py": "app = Flask('x')\nbp = Blueprint('a', __name__, url_prefix='/a')\n"
                "@bp.route('/health')\ndef h(): ...\napp.register_blueprint(bp, url_prefix='/b')\n"
            },
            "/b/health",
        ),
        (
            {
                "site/urls.py": "urlpatterns = [path('api/', include('shop.urls'))]\n",
                "shop/urls.py": "urlpatterns = [path('health/', view)]\n",
            },
            "/api/health/",
        ),
        (
            {
                "site/urls.py": "from .api import api\nurlpatterns = [path('api/', api.urls)]\n",
                "site/api.py": "api = NinjaAPI()\nops = Router()\napi.add_router('/ops/', ops)\n"
                "@ops.get('/health')\ndef h(request): ...\n",
            },
            "/api/ops/health",
        ),
        ({"main.py": "@get('/health')\ndef h(): ...\napi = Router('/x', [h])\n"}, None),
        ({"main.py": "class C:\n    path = '/x'\n    @get('/health')\n    def h(s): ...\n"}, None),
        ({"main.py": f"{APP}ns = Namespace()\n@ns.route('/health')\nclass H: ...\n"}, None),
        ({"main.py": IN_A_CLASS.format("app")}, "/health"),
        ({"main.py": IN_A_CLASS.format("client")}, None),
        ({"main.py": "routes = [Mount('/x', routes=[Route('/health', h)])]\n"}, None),
        ({"main.py": f"{APP}import requests\nrequests.get('/health')\n"}, None),
        (
            {
                "main.py": "import v1\nroutes = [Mount('/v1', v1.app)]\napp = Starlette(routes)\n",
                "v1.py": "app = Starlette(routes=[Route('/health', h)])\n",
            },
            "/v1/health",
        ),
        (
            {
                "main.py": "v1 = [Route('/health', h)]\n"
                "app = Starlette(routes=[Mount('/api', routes=[Mount('/v1', routes=v1)])])\n"
            },
            "/api/v1/health",
        ),
        ({"main.py": "urlpatterns = i18n_patterns(path('health/', view))\n"}, None),
        (
            {
                "site/urls.py": "urlpatterns = i18n_patterns(path('api/', include('shop.urls')))\n",
                "shop/urls.py": "urlpatterns = [path('health/', view)]\n",
            },
            None,
        ),
        (
            {
                "main.py": "from admin import admin\n"
                "app = ProxyFix(DispatcherMiddleware(site, {'/admin': admin}))\n",
                "admin.py": "admin = Flask('admin')\n@admin.route('/health')\ndef h(): ...\n",
            },
            "/admin/health",
        ),
        (
            {
                "main.py": "app = Flask('x')\n@app.get('/health')\ndef h(): ...\n"
                "app.wsgi_app = DispatcherMiddleware(NotFound(), {'/svc': app.wsgi_app})\n"
            },
            "/svc/health",
        ),
        (
            {
                "main.py": "app = Flask('x')\n@app.get('/health')\ndef h(): ...\n"
                "app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {'/metrics': metrics()})\n"
                "def shell():\n    return {'app': app}\n"
            },
            "/health",
        ),
        (
            {"main.py": APP + ROUTER.format("") + "if DEBUG:\n    app.include_router(router)\n"},
            None,
        ),
        ({"main.py": APP + "if DEBUG:\n    @app.get('/health')\n    def h(): ...\n"}, None),
        (
            {
                "main.py": f"{APP}{MADE.format('v1')}app.mount('/api', v1)\n"
                "@app.get('/api/health')\ndef h(): ...\n"
            },
            None,
        ),
        (
            {
                "main.py": f"{APP}{MADE.format('v1')}app.mount('/api', v1)\n"
                "@app.get('/health')\ndef h(): ...\n"
            },
            "/health",
        ),
        (
            {"main.py": APP, "sub.py": f"{MADE.format('v1')}@v1.get('/health')\ndef h(): ...\n"},
            None,
        ),
        (
            {
                "main.py": "from sub import make\n"
                "app = DispatcherMiddleware(Flask('x'), {'/svc': make()})\n",
                "sub.py": "def make():\n    made = Flask('y')\n    @made.get('/health')\n"
                "    def h(): ...\n    return made\n",
            },
            "/svc/health",
        ),
        (
            {
                "main.py": f"{APP}from sub import make, other\napp.mount('/v1', make())\n",
                "sub.py": "def make():\n    made = FastAPI()\n    @made.get('/health')\n"
                "    def h(): ...\n    return made\n"
                "def other():\n    made = FastAPI()\n    return made\n",
            },
            None,
        ),
        (
            {
                "main.py": f"{APP}{MADE.format('v1')}@v1.get('/health')\ndef h(): ...\n"
                "app.host('api.example.com', v1)\n"
            },
            None,
        ),
        (
            {
                "main.py": f"{MADE.format('v1')}@v1.get('/health')\ndef h(): ...\n"
                "app = Starlette(routes=[Host('api.example.com', app=v1)])\n"
            },
            None,
        ),
        (
            {
                "main.py": "app = Flask('x')\nbp = Blueprint('a', 'b', subdomain='api')\n"
                "@bp.route('/health')\ndef h(): ...\napp.register_blueprint(bp)\n"
            },
            None,
        ),
    ],
)  # fmt: skip
def test_a_health_route_is_asked_where_it_is_served(
    tree: Tree, files: dict[str, str], path: str | None
) -> None:
    sources = Sources(tree(files))
    web = Applications(sources, {"FastAPI": "asgi", "Flask": "wsgi"})
    owners = {*sources.by_name, *web.kinds} - (web.outermost - {"main.app"})
    assert health_path(sources, owners) == path


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ("request: Request, response: Response", "/health"),
        ("request", "/health"),
        ("db=Depends(session)", "/health"),
        ("db: Annotated[Session, Depends(session)], deep: bool = False", "/health"),
        ("db: SessionDep, *, probe: str = Header(None)", "/health"),
        ("probe: str", None),
        ("*, probe: str", None),
        ("probe: str = Header(...)", None),
        ("probe: str = Query(alias='p')", None),
        ("probe: Annotated[str, Header()]", None),
    ],
)
def test_a_health_route_that_needs_more_than_its_path_is_not_asked(
    tree: Tree, parameters: str, path: str | None
) -> None:
    text = f"{APP}@app.get('/health')\ndef h({parameters}): ...\n"
    assert health_path(Sources(tree({"main.py": text})), {"main.app"}) == path


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ("", "/health"),
        ("user: str | None = Header(None)", "/health"),
        ("request: Request", "/health"),
        ("db=Depends(elsewhere)", "/health"),
        ("token: str", None),
        ("token: str = Header()", None),
        ("user: Annotated[str, Depends(needy)]", None),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "app = FastAPI(dependencies=[Depends(given)])\n@app.get('/health')\ndef h(): ...\n",
        "app = FastAPI()\n@app.get('/health', dependencies=[Depends(given)])\ndef h(): ...\n",
        "app = FastAPI()\n@app.get('/health')\ndef h(x: Annotated[str, Security(given)]): ...\n",
        f"{APP}{ROUTER.format('dependencies=[Depends(given)]')}app.include_router(router)\n",
        f"{APP}{ROUTER.format('')}app.include_router(router, dependencies=[Depends(given)])\n",
    ],
)
def test_a_health_route_with_a_dependency_that_needs_a_parameter_is_not_asked(
    tree: Tree, text: str, parameters: str, path: str | None
) -> None:
    needed = f"def needy(token: str): ...\nasync def given({parameters}): ...\n"
    sources = Sources(tree({"main.py": f"from needed import given\n{text}", "needed.py": needed}))
    assert health_path(sources, {"main", "main.app"}) == path


def test_a_health_route_is_not_asked_where_a_list_of_dependencies_is_computed(tree: Tree) -> None:
    text = "app = FastAPI(dependencies=NEEDED)\n@app.get('/health')\ndef h(): ...\n"
    assert health_path(Sources(tree({"main.py": text})), {"main", "main.app"}) is None
