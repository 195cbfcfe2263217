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
            {"main.py": "from sub import bp\napp = Flask('x')\n"
             "app.register_blueprint(bp, url_prefix='/api')\n",
             "sub.py": "bp = Blueprint('x', __name__)\n@bp.get('/health')\ndef h(): ...\n"},
            "/api/health",
        ),
        ({"main.py": f"{APP}{ROUTER.format('')}app.include_router(router)\nrouter = APIRouter()\n"},
         None),
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
                "core/urls.py": "urlpatterns = [path('api/', include('shop.urls'))]\n",
                "shop/urls.py": "urlpatterns = [path('health/', view)]\n",
            },
            "/api/health/",
        ),
        (
            {
                "core/urls.py": "from .api import api\nurlpatterns = [path('api/', api.urls)]\n",
                "core/api.py": "api = NinjaAPI()\nops = Router()\napi.add_router('/ops/', ops)\n"
                "@ops.get('/health')\ndef h(request): ...\n",
            },
            "/api/ops/health",
        ),
        ({"main.py": "@get('/health')\ndef h(): ...\napi = Router('/x', [h])\n"}, None),
        ({"main.py": "class C:\n    path = '/x'\n    @get('/health')\n    def h(s): ...\n"}, None),
        ({"main.py": f"{APP}ns = Namespace()\n@ns.route('/health')\nclass H: ...\n"}, None),
        ({"main.py": IN_A_CLASS.format("app")}, "/health"),
        ({"main.py": IN_A_CLASS.format("client")}, None),
        ({"main.py": "routes = [Mount('/x', routes=[Route('/health', h)])]\n"}, "/x/health"),
        ({"main.py": "routes = [Mount(PREFIX, routes=[Route('/health', h)])]\n"}, None),
        (
            {"main.py": "urlpatterns = [path('api/', include([path('health/', view)]))]\n"},
            "/api/health/",
        ),
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
                "core/urls.py": "urlpatterns = i18n_patterns(path('api/', include('shop.urls')))\n",
                "shop/urls.py": "urlpatterns = [path('health/', view)]\n",
            },
            None,
        ),
        (
            {
                "main.py": "app = Flask('x')\n@app.get('/health')\ndef h(): ...\n"
                "app.wsgi_app = DispatcherMiddleware(NotFound(), {'/svc': app.wsgi_app})\n"
            },
            None,
        ),
        (
            {
                "main.py": "app = Flask('x')\n@app.get('/health')\ndef h(): ...\n"
                "app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {'/metrics': metrics()})\n"
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
        ("deep: bool = False", "/health"),
        ("probe: str", None),
        ("*, probe: str", None),
        ("probe: str = Header(...)", None),
        ("probe: Annotated[str, Header()]", None),
        ("db=Depends(session)", None),
        ("db: Annotated[Session, Depends(session)]", None),
        ("db: SessionDep", None),
    ],
)
def test_a_health_route_that_may_need_more_than_its_path_is_not_asked(
    tree: Tree, parameters: str, path: str | None
) -> None:
    text = f"{APP}@app.get('/health')\ndef h({parameters}): ...\n"
    assert health_path(Sources(tree({"main.py": text})), {"main.app"}) == path
    text = f"{APP}def h({parameters}): ...\napp.add_api_route('/health', h)\n"
    assert health_path(Sources(tree({"main.py": text})), {"main.app"}) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("app = FastAPI(dependencies=[Depends(key)])\n@app.get('/health')\ndef h(): ...\n", None),
        ("app = FastAPI(dependencies=NEEDED)\n@app.get('/health')\ndef h(): ...\n", None),
        ("app = Litestar([h], dependencies={'db': db})\n@get('/health')\ndef h(): ...", "/health"),
        (f"{APP}@app.get('/health', dependencies=[Depends(key)])\ndef h(): ...\n", None),
        (f"{APP}{ROUTER.format('dependencies=[Depends(key)]')}app.include_router(router)\n", None),
        (f"{APP}{ROUTER.format('')}app.include_router(router, dependencies=[Depends(a)])\n", None),
        (f"{APP}{ROUTER.format('')}app.include_router(router, dependencies=None)\n", "/health"),
    ],
)
def test_a_health_route_with_a_dependency_is_not_asked(
    tree: Tree, text: str, path: str | None
) -> None:
    assert health_path(Sources(tree({"main.py": text})), {"main", "main.app"}) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("@app.route('/health', methods=['GET', 'POST'])\ndef h(): ...\n", "/health"),
        ("@app.route('/health', methods=['POST'])\ndef h(): ...\n", None),
        ("@app.api_route('/health', methods=METHODS)\ndef h(): ...\n", None),
        ("urlpatterns = [path('health', h)]\n@require_GET\ndef h(request): ...\n", "/health"),
        ("urlpatterns = [path('health', h)]\n@require_POST\ndef h(request): ...\n", None),
        ("urlpatterns = [path('health', require_POST(h))]\n", None),
        ("urlpatterns = [path('health', h)]\n@api_view(['POST'])\ndef h(request): ...\n", None),
        ("class H(View):\n    def get(s, r): ...\nx = [path('health', H.as_view())]", "/health"),
        ("class H(View):\n    def post(s, r): ...\nx = [path('health', H.as_view())]", None),
        ("class H(MethodView):\n    def put(s): ...\napp.add_url_rule('/health', '', H)", None),
    ],
)
def test_a_health_route_is_asked_where_it_answers_get(
    tree: Tree, text: str, path: str | None
) -> None:
    assert health_path(Sources(tree({"main.py": text})), {"main", "main.app"}) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("def add(app):\n    @app.get('/health')\n    def h(): ...\n", None),
        ("def add(app):\n    @app.get('/health')\n    def h(): ...\nadd(app)\n", "/health"),
        ("try:\n    import x\nexcept E:\n    @app.get('/health')\n    def h(): ...\n", None),
        ("@app.get('/health', host='x.example')\ndef h(): ...\n", None),
        ("app = Flask('x', host_matching=True)\n@app.get('/health')\ndef h(): ...\n", None),
        ("app = Flask('', subdomain_matching=False)\n@app.get('/health')\ndef h(): ...", "/health"),
    ],
)  # fmt: skip
def test_a_health_route_is_asked_where_it_is_sure_to_be_there(
    tree: Tree, text: str, path: str | None
) -> None:
    assert health_path(Sources(tree({"main.py": APP + text})), {"main", "main.app"}) == path


@pytest.mark.parametrize(
    "other",
    [
        "app.mount('/', static)\n",
        "if STATIC:\n    app.mount('/', static)\n",
        "@app.get('/{path:path}')\ndef page(path): ...\n",
        "@app.get('/{item}')\ndef item(item: int): ...\n",
    ],
)
def test_a_mount_or_a_pattern_takes_a_health_route_that_comes_after_it(
    tree: Tree, other: str
) -> None:
    route = "@app.get('/health')\ndef h(): ...\n"
    for text, path in ((route + other, "/health"), (other + route, None)):
        assert health_path(Sources(tree({"main.py": APP + text})), {"main", "main.app"}) == path


def test_a_pattern_of_django_takes_what_comes_after_it(tree: Tree) -> None:
    routes = "path('health/', view)", "re_path(r'^(?P<page>.*)$', page)"
    for pair, path in ((routes, "/health/"), (routes[::-1], None)):
        text = f"urlpatterns = [{', '.join(pair)}]\n"
        assert health_path(Sources(tree({"main.py": text})), {"main"}) == path


def test_a_router_that_is_included_before_a_mount_is_asked(tree: Tree) -> None:
    lines = "app.include_router(router)\n", "app.mount('/', static)\n"
    for pair, path in ((lines, "/health"), (lines[::-1], None)):
        text = APP + ROUTER.format("") + "".join(pair)
        assert health_path(Sources(tree({"main.py": text})), {"main", "main.app"}) == path


def test_a_pattern_that_is_included_before_a_health_route_takes_it(tree: Tree) -> None:
    lines = "path('health/', view)", "path('', include('pages.urls'))"
    for pair, path in ((lines, "/health/"), (lines[::-1], None)):
        files = {
            "core/urls.py": f"urlpatterns = [{', '.join(pair)}]\n",
            "pages/urls.py": "urlpatterns = [path('', home), path('<slug:page>/', page)]\n",
        }
        assert health_path(Sources(tree(files)), {"core.urls"}) == path


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        (["/v1/redis/health"], None),
        (["/orders/health"], "/orders/health"),
        (["/orders/health", "/api/v1/health"], "/api/v1/health"),
        (["/internal/health", "/health"], "/health"),
        (["/redis/healthz", "/ready"], "/ready"),
    ],
)
def test_the_health_of_the_whole_service_is_asked(
    tree: Tree, paths: list[str], path: str | None
) -> None:
    text = APP + "".join(f"@app.get('{each}')\ndef h(): ...\n" for each in paths)
    assert health_path(Sources(tree({"main.py": text})), {"main.app"}) == path


def test_handlers_that_litestar_is_given_are_asked(tree: Tree) -> None:
    files = {
        "main.py": "from health import h\ndef make():\n    return Litestar(route_handlers=[h])\n",
        "health.py": "from litestar import get\n@get('/health')\nasync def h() -> str: ...\n",
    }
    assert health_path(Sources(tree(files)), {"main", "main.make"}) == "/health"
    given = {**files, "main.py": "app = Litestar([h], path='/api')\nfrom health import h\n"}
    assert health_path(Sources(tree(given)), {"main", "main.app"}) == "/api/health"
