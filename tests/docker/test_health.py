"""Which path a health check asks: the routes of applications, routers and lists."""

import pytest
from rig import Tree

from uvflow.docker.applications import Applications
from uvflow.docker.health import health_path
from uvflow.docker.source import Sources

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"
MADE = "from fastapi import FastAPI\n{} = FastAPI()\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("urlpatterns = [path('healthz', view)]", "/healthz"),
        ("urlpatterns = [path('api/health/', view)]", "/api/health/"),
        ("urlpatterns = [re_path(r'^livez/?$', view)]", "/livez/"),
        ("@app.get('/ready')\ndef ready(): ...", "/ready"),
        ("app.add_url_rule('/healthz', view_func=f)", "/healthz"),
        ("@app.route('/readyz')\ndef a(): ...\n@app.route('/healthz')\ndef b(): ...", "/healthz"),
        ("@app.get('/health')\ndef a(): ...\napp = VersionedFastAPI(app)", None),
        ("@app.get('/health')\ndef a(): ...\napp = CORSMiddleware(app)", "/health"),
        ("x = get('/health-insurance')", None),
        ("name = 'healthz'", None),
    ],
)
def test_a_health_route_is_found_by_its_name(tree: Tree, text: str, path: str | None) -> None:
    assert health_path(Sources(tree({"main.py": text})), {"main", "main.app"}) == path


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
                "main.py": "from sub import make\napp = make()\n"
                "app.wsgi_app = DispatcherMiddleware(NotFound(), {'/svc': app.wsgi_app})\n",
                "sub.py": "def make():\n    app = Flask('x')\n    @app.get('/health')\n"
                "    def h(): ...\n    return app\n",
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
