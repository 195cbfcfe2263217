"""The start command is found by evidence, in an order, or asked for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rig import Tree

from uvflow.docker.header import with_header
from uvflow.docker.servers import GRADIO_ADDRESS
from uvflow.docker.settings import Settings
from uvflow.docker.source import Sources
from uvflow.docker.start import Search, Start
from uvflow.errors import DiskError, UsageError
from uvflow.project.manifest import Project, parse_manifest
from uvflow.project.schema import BYTE_ORDER_MARK

FASTAPI = {"main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"}
FLASK = {"src/shop/web.py": "from flask import Flask\n\ndef create_app():\n    return Flask('x')\n"}
DJANGO = {
    "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")\n',
    "core/settings.py": 'WSGI_APPLICATION = "core.wsgi.application"\n',
    "core/wsgi.py": "application = get_wsgi_application()\n",
    "core/asgi.py": "application = get_asgi_application()\n",
}


def start(
    root: Path, *installed: str, scripts: Mapping[str, str] | None = None, **said: Any
) -> Start:
    return search(root, *installed, scripts=scripts, **said).start()


def search(
    root: Path,
    *installed: str,
    scripts: Mapping[str, str] | None = None,
    members: tuple[str, ...] = (),
    **said: Any,
) -> Search:
    path = root / "pyproject.toml"
    manifest = {"project": {"name": "shop"}, **(parse_manifest(path) if path.exists() else {})}
    return Search(
        project=Project(root=root, workspace=root, manifest=manifest),
        settings=Settings(**said),
        sources=Sources(root),
        versions=dict.fromkeys(installed, "1.0"),
        direct=frozenset(installed),
        scripts=scripts or {},
        members=members,
    )


def test_django_is_served_by_gunicorn_with_the_application_of_its_settings(tree: Tree) -> None:
    found = start(tree(DJANGO), "django", "gunicorn")
    assert found == Start(
        command=(
            "gunicorn",
            "--bind=0.0.0.0:8000",
            "--access-logfile=-",
            "--worker-tmp-dir=/dev/shm",
            "core.wsgi:application",
        ),
        development=(
            "gunicorn",
            "--reload",
            "--bind=0.0.0.0:8000",
            "--access-logfile=-",
            "--worker-tmp-dir=/dev/shm",
            "core.wsgi:application",
        ),
        evidence="WSGI_APPLICATION of core.settings; gunicorn is a dependency",
        port=8000,
        loads_source=True,
    )


def test_django_with_an_asgi_server_alone_gets_its_asgi_module(tree: Tree) -> None:
    found = start(tree(DJANGO), "django", "uvicorn")
    assert found.command == ("uvicorn", "--host=0.0.0.0", "--port=8000", "core.asgi:application")


def test_django_that_names_an_asgi_application_gets_it(tree: Tree) -> None:
    settings = 'ASGI_APPLICATION = "core.asgi.application"\n'
    root = tree(DJANGO | {"core/settings.py": settings})
    found = start(root, "django", "daphne", "gunicorn")
    assert found.command == ("daphne", "--bind=0.0.0.0", "--port=8000", "core.asgi:application")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("uvicorn", "uvicorn --host=0.0.0.0 --port=8000 main:app"),
        ("hypercorn", "hypercorn --bind=0.0.0.0:8000 --access-logfile=- main:app"),
        ("granian", "granian --interface=asgi --host=0.0.0.0 --port=8000 main:app"),
        ("daphne", "daphne --bind=0.0.0.0 --port=8000 main:app"),
    ],
)
def test_fastapi_is_served_by_the_server_that_is_locked(
    tree: Tree, server: str, words: str
) -> None:
    assert " ".join(start(tree(FASTAPI), "fastapi", server).command) == words


@pytest.mark.parametrize(
    ("server", "last"),
    [
        ("gunicorn", ("shop.web:create_app()",)),
        ("granian", ("--factory", "shop.web:create_app")),
        ("waitress", ("--call", "shop.web:create_app")),
    ],
)
def test_a_factory_is_called_as_the_server_wants_it(
    tree: Tree, server: str, last: tuple[str, ...]
) -> None:
    assert start(tree(FLASK), "flask", server).command[-len(last) :] == last


def test_without_a_server_the_error_names_one_to_add(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree(FASTAPI), "fastapi", "gunicorn")
    assert caught.value.message == ("no server for main:app is among the production dependencies")
    assert caught.value.hint == (
        "`uv add uvicorn`, name the extra or group that has one in [tool.uvflow.profiles.prod], "
        "or set `command` in [tool.uvflow.docker]"
    )


def test_the_line_for_uwsgi_is_named_where_that_is_locked(tree: Tree) -> None:
    line = '`command = ["uwsgi", "--http=0.0.0.0:8000", {}]`'
    for files, words in (
        (DJANGO, '"--master", "--module=core.wsgi:application"'),
        ({**DJANGO, "uwsgi.ini": "[uwsgi]\n"}, '"--ini=uwsgi.ini"'),
    ):
        with pytest.raises(UsageError, match="no server") as caught:
            start(tree(files), "django", "uwsgi")
        hint = str(caught.value.hint)
        assert hint.endswith(f"or write in [tool.uvflow.docker]: {line.format(words)}")


def test_a_framework_that_is_not_locked_is_not_taken_from_the_text(tree: Tree) -> None:
    with pytest.raises(UsageError, match="found nothing for the container to start"):
        start(tree(FASTAPI), "uvicorn")


def test_streamlit_runs_the_file_that_imports_it(tree: Tree) -> None:
    found = start(tree({"page.py": "import streamlit\n"}), "streamlit")
    assert found.command[-1] == "page.py"
    assert (found.port, found.health) == (8501, "/_stcore/health")


def test_celery_works_on_no_port(tree: Tree) -> None:
    found = start(tree({"shop/tasks.py": "queue = Celery('x')\n"}), "celery")
    assert found.command == ("celery", "--app=shop.tasks:queue", "worker", "--loglevel=INFO")
    assert found.port is None


def test_one_script_is_what_is_started(tree: Tree) -> None:
    found = start(tree({"shop.py": ""}), scripts={"sell": "shop:sell"})
    assert found == Start(
        command=("sell",),
        development=("sell",),
        evidence="`sell` of [project.scripts]",
        is_program=True,
        ends_at_sigterm=False,
    )


def test_several_scripts_are_a_question_also_where_one_is_named_as_the_project(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({}), scripts={"shop": "a:b", "shop-server": "a:c"})
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `command = ["shop"]` or `command = ["shop-server"]`'
    )


def test_two_names_of_one_program_are_no_question(tree: Tree) -> None:
    scripts = {"shop": "a:b", "shop-cli": "a:b"}
    assert start(tree({}), scripts=scripts).command == ("shop",)


def test_a_procfile_comes_before_what_the_sources_make(tree: Tree) -> None:
    text = "worker: x\nweb: gunicorn core.wsgi --log-file -\n"
    found = start(tree({**FASTAPI, "Procfile": text}), "fastapi", "uvicorn")
    assert found.command == ("gunicorn", "core.wsgi", "--log-file", "-")
    assert (found.port, found.environment) == (8000, (("PORT", "8000"),))


def test_a_procfile_may_begin_with_a_byte_order_mark(tree: Tree) -> None:
    assert start(tree({"Procfile": f"{BYTE_ORDER_MARK}web: sh x\n"})).command == ("sh", "x")


@pytest.mark.parametrize("command", ["gunicorn 'a:b", "gunicorn -b :$PORT a:b\\"])
def test_a_procfile_that_no_shell_reads_is_refused(tree: Tree, command: str) -> None:
    with pytest.raises(UsageError, match="`web` of the Procfile") as caught:
        start(tree({"Procfile": f"web: {command}\n"}))
    assert caught.value.cause
    assert command in caught.value.cause


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gunicorn -b :$PORT a:b", ("sh", "-c", "exec gunicorn -b :$PORT a:b")),
        ("gunicorn -k gevent \"a:f('x')\"", ("gunicorn", "-k", "gevent", "a:f('x')")),
        ("./up && serve a", ("sh", "-c", "./up && exec serve a")),
        ("cd web; serve a 2>&1", ("sh", "-c", "cd web; exec serve a 2>&1")),
        ("a | b", ("sh", "-c", "trap 'trap : TERM; kill 0; wait' TERM; { a | b; } & wait $!")),
        ("a & b &", ("sh", "-c", "trap 'trap : TERM; kill 0; wait' TERM; { a & b & } & wait $!")),
        (
            "a | b # c",
            ("sh", "-c", "trap 'trap : TERM; kill 0; wait' TERM; { a | b # c\n} & wait $!"),
        ),
        ("a && b 'x && y'", ("sh", "-c", "a && exec b 'x && y'")),
        ("exec serve a", ("serve", "a")),
        ("exec serve $PORT", ("sh", "-c", "exec serve $PORT")),
        ("a; exec serve", ("sh", "-c", "a; exec serve")),
        ("serve -w $(nproc)", ("sh", "-c", "exec serve -w $(nproc)")),
        ("A=1 serve a", ("env", "A=1", "serve", "a")),
        ("A=1 serve $PORT", ("sh", "-c", "exec env A=1 serve $PORT")),
        ("uv run --no-dev serve a", ("serve", "a")),
        ("uv run -m serve", ("python", "-m", "serve")),
        ("poetry run serve.py", ("python", "serve.py")),
        ("uv run up && uv run --extra web serve", ("sh", "-c", "up && exec serve")),
        ("uv run -q --no-sync -- serve a", ("serve", "a")),
        ("uv run -p 3.12 --project . --no-project serve a", ("serve", "a")),
        ("uv run --refresh-package x --index-url=u --index-url u serve a", ("serve", "a")),
        ("uv run --module serve a", ("python", "-m", "serve", "a")),
        ("exec uv run serve a", ("serve", "a")),
        ("A='1 2' uv run serve a", ("env", "A=1 2", "serve", "a")),
        ("python -m uv run serve a", ("serve", "a")),
        ("sh -c 'up && serve a'", ("sh", "-c", "up && exec serve a")),
        ("bash -c 'up; serve $PORT'", ("bash", "-c", "up; exec serve $PORT")),
        ("sh -c 'serve a'", ("serve", "a")),
        ("python -c 'a; b()'", ("python", "-c", "a; b()")),
        ("source env.sh && serve a", ("bash", "-c", "source env.sh && exec serve a")),
        ("[[ -n $X ]] && serve a", ("bash", "-c", "[[ -n $X ]] && exec serve a")),
        ("up && uv run --directory web serve", ("sh", "-c", "up && cd web && exec serve")),
    ],
)
def test_a_line_of_a_procfile_keeps_its_words(
    tree: Tree, line: str, words: tuple[str, ...]
) -> None:
    assert start(tree({"Procfile": f"web: {line}\n"})).command == words


@pytest.mark.parametrize(
    "line",
    [
        "serve --port 5000",
        "serve -p 5000",
        "gunicorn -b 0.0.0.0:5000 a:b",
        "gunicorn -b :${PORT:-5000} a:b",
        "PORT=5000 gunicorn a:b",
        "uv run -p 3.12 serve -p 5000",
        "wait-for-it -p 5432 && gunicorn -b :5000 a:b",
        "export PORT=5000; gunicorn a:b",
        "GUNICORN_CMD_ARGS=--bind=0.0.0.0:5000 gunicorn a:b",
        "UVICORN_PORT=5000 uvicorn a:b",
        "daphne -e tcp:port=5000:interface=0.0.0.0 a:b",
        "streamlit run a.py --server.port=5000",
        "flask run",
        "gunicorn -c deploy/config.py a:b",
        "gunicorn -c file:deploy/config.py a:b",
        "gunicorn -c python:deploy.config a:b",
        "cd deploy && gunicorn --config=config.py a:b",
        "gunicorn a:b",
        "gunicorn a:b | tee log",
        "hypercorn -c deploy/h.toml a:b",
        "hypercorn --config file:deploy/config.py a:b",
        "hypercorn --config python:deploy.config a:b",
    ],
)
def test_the_port_that_a_line_names_is_the_port(tree: Tree, line: str) -> None:
    files = dict.fromkeys(("deploy/config.py", "gunicorn.conf.py"), 'bind = ":5000"\n')
    files["deploy/h.toml"] = 'bind = [\n  "[::1]:5000",\n]\n'
    found = start(tree({"Procfile": f"web: {line}\n", **files}))
    assert (found.port, found.environment) == (5000, (("PORT", "5000"),))


def test_a_variable_of_the_settings_may_name_the_port(tree: Tree) -> None:
    root = tree({"Procfile": "web: uvicorn a:b --port $PORT\n"})
    assert start(root, environment=(("PORT", "5000"),)).port == 5000


@pytest.mark.parametrize(
    ("line", "port"),
    [
        ("waitress-serve a:b", 8080),
        ("uvicorn a:b", 8000),
        ("psql -p 5432 -f x.sql && uvicorn a:b", 8000),
        ("streamlit run a.py", 8501),
    ],
)
def test_a_server_that_is_told_no_port_has_its_own(tree: Tree, line: str, port: int) -> None:
    assert start(tree({"Procfile": f"web: {line}\n"})).port == port


COMPUTED = "`bind` of gunicorn.conf.py is computed"


@pytest.mark.parametrize(
    ("line", "bind", "why"),
    [
        ("uvicorn a:b --uds /tmp/a", "", "it listens on a socket"),
        ("gunicorn --bind unix:/tmp/a a:b", "", "it listens on a socket"),
        ("gunicorn a:b", "bind = ['unix:/tmp/a']", "gunicorn.conf.py binds a socket"),
        ("gunicorn a:b", "bind = environ['BIND']", COMPUTED),
        ("gunicorn a:b", "bind = ':1'\nif X:\n    bind = ':2'", COMPUTED),
        ("gunicorn -c x.py a:b", "", "x.py cannot be read"),
        ("hypercorn -c python:x a:b", "", "python:x cannot be read"),
        ("uvicorn a:b --port $API_PORT", "", "its port is in a variable"),
    ],
)
def test_a_port_that_nothing_tells_is_not_claimed(
    tree: Tree, line: str, bind: str, why: str
) -> None:
    root = tree({**FASTAPI, "Procfile": f"web: {line}\n", "gunicorn.conf.py": bind + "\n"})
    found = start(root, "fastapi")
    assert (found.port, found.health) == (None, None)
    [remark] = found.remarks
    assert remark == (
        f"`web` of the Procfile: {why}, so no port is exposed or probed: where it has one, "
        "set `port` in [tool.uvflow.docker]"
    )
    assert start(root, "fastapi", port=9000).remarks == ()


def test_gunicorn_that_binds_its_port_reads_the_port_it_is_given(tree: Tree) -> None:
    bind = "bind = f\"0.0.0.0:{os.environ['PORT']}\"\n"
    root = tree({"Procfile": "web: gunicorn a:b\n", "gunicorn.conf.py": bind})
    assert start(root).port == 8000


def test_a_socket_of_the_configuration_is_not_bound_by_a_command_of_uvflow(tree: Tree) -> None:
    found = start(tree({**FLASK, "gunicorn.conf.py": "bind = 'unix:/x'\n"}), "flask", "gunicorn")
    assert (found.port, found.command[1]) == (8000, "--bind=0.0.0.0:8000")
    assert found.remarks == ("gunicorn.conf.py binds a socket: the image listens on port 8000",)


def test_a_command_that_is_a_program_of_the_project_takes_arguments(tree: Tree) -> None:
    scripts = {"shop": "shop:main", "sell": "shop:sell"}
    root = tree(FASTAPI)
    found = start(root, "fastapi", "uvicorn", scripts=scripts, command=("sell",))
    assert found.is_program
    found = start(root, "fastapi", "uvicorn", scripts=scripts, command=("sell", "--all"))
    assert not found.is_program
    found = start(root, "fastapi", "uvicorn", scripts=scripts, command=("sell",), port=9000)
    assert not found.is_program


@pytest.mark.parametrize(
    ("said", "remark"),
    [
        (
            {"command": ("uvicorn", "a:b", "--port", "9001"), "port": 9002},
            "[tool.uvflow.docker] command listens on 9001, and `port` {} is 9002",
        ),
        (
            {"command": ("python", "bot.py"), "health": "/up"},
            "`health` of [tool.uvflow.docker] has no port: set `port` {}",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_remarked(
    tree: Tree, said: dict[str, Any], remark: str
) -> None:
    assert start(tree(FASTAPI), **said).remarks == (
        remark.replace("{}", "in [tool.uvflow.docker]"),
    )


def test_an_object_is_not_called_as_a_factory(tree: Tree) -> None:
    with pytest.raises(UsageError, match="main:app is no function to call") as caught:
        start(tree(FASTAPI), "fastapi", "uvicorn", app="main:app()")
    assert caught.value.hint == 'write `app = "main:app"`'


def test_a_page_of_gradio_listens_where_it_is_reached(tree: Tree) -> None:
    page = "import gradio as gr\ndemo = gr.Blocks()\ndemo.launch({})\n"
    root = tree({"app.py": page.format("share=True")})
    found = start(root, "gradio", command=("python", "app.py"))
    assert (found.port, found.reads_port) == (7860, False)
    assert found.environment == (
        *GRADIO_ADDRESS.items(),
        ("GRADIO_SERVER_PORT", "7860"),
        ("PORT", "7860"),
    )
    root = tree({"app.py": page.format("server_port=9000")})
    assert start(root, "gradio", command=("python", "app.py")).port is None


def test_a_command_of_the_settings_has_the_port_that_it_names(tree: Tree) -> None:
    root = tree({"conf.py": "bind = ':5000'\n"})
    assert start(root, command=("gunicorn", "-c", "python:conf", "a:b")).port == 5000
    assert start(root, command=("uvicorn", "--port=5000", "a:b")).port == 5000
    assert start(root, command=("python", "bot.py")).port is None


def test_the_health_check_is_that_of_the_application_that_a_line_names(tree: Tree) -> None:
    made = "from fastapi import FastAPI\napi = FastAPI()\n"
    files = {"a.py": made, "b.py": made + "@api.get('/healthz')\ndef h(): ...\n"}
    for name, health in (("a", None), ("b", "/healthz")):
        root = tree({**files, "Procfile": f"web: uvicorn {name}:api\n"})
        assert start(root, "fastapi").health == health


def test_an_argument_after_a_variable_is_no_port(tree: Tree) -> None:
    assert start(tree({"Procfile": "web: ./run.sh $PORT 4\n"})).port == 8000


def test_what_is_outside_of_the_project_is_no_configuration(tree: Tree) -> None:
    root = tree({"x.py": 'bind = ":5000"\n', "shop/Procfile": "web: gunicorn -c ../x.py a:b\n"})
    assert start(root / "shop").port is None


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("uvx gunicorn a:b", "uvx"),
        ("poetry -C backend run gunicorn a:b", "poetry"),
        ("pdm run -p backend gunicorn a:b", "pdm"),
        ("hatch run prod:serve", "hatch"),
        ("chamber exec prod -- gunicorn a:b", "chamber"),
        ("newrelic-admin run-program gunicorn a:b", "newrelic-admin"),
        ("make serve", "make"),
    ],
)
def test_a_program_that_the_image_lacks_is_refused(tree: Tree, line: str, program: str) -> None:
    root = tree({"Procfile": f"web: {line}\n"})
    with pytest.raises(UsageError) as caught:
        start(root)
    assert caught.value.message == (
        f"`web` of the Procfile starts {program}, which the image does not have"
    )
    assert caught.value.hint == "set `command` in [tool.uvflow.docker] to what that starts"


def test_a_program_that_is_locked_is_none_that_the_image_lacks(tree: Tree) -> None:
    root = tree({"Procfile": "web: newrelic-admin run-program gunicorn a:b\n"})
    assert start(root, "newrelic").command[0] == "newrelic-admin"


def test_a_program_of_a_named_package_is_none_that_the_image_lacks(tree: Tree) -> None:
    found = start(tree({"Procfile": "web: make serve\n"}), runtime_packages=("make",))
    assert found.command == ("make", "serve")


def test_what_a_runner_adds_is_remarked(tree: Tree) -> None:
    root = tree({"Procfile": "web: uv run --with gevent --env-file=.env serve\n"})
    assert start(root).remarks == (
        "--with gevent and --env-file=.env of `web` of the Procfile is left out",
    )


def test_a_huge_procfile_is_not_read(tree: Tree) -> None:
    with pytest.raises(DiskError, match="Procfile cannot be read"):
        start(tree({"Procfile": "web: python x\n" * 10_000}))


def test_the_other_processes_are_kept(tree: Tree) -> None:
    root = tree({"Procfile": "web: a\nworker: celery -A x worker\nrelease: b && c\n"})
    assert search(root).processes() == (
        ("worker", ("celery", "-A", "x", "worker")),
        ("release", ("sh", "-c", "b && exec c")),
    )
    said = (("beat", ("celery", "beat")),)
    assert search(root, processes=said).processes() == said


def test_nothing_at_all_is_told_with_three_ways_out(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({}))
    assert caught.value.message == "found nothing for the container to start"
    assert caught.value.hint == (
        'set `command = ["python", "-m", "…"]` or `app = "module:attribute"` in '
        "[tool.uvflow.docker], or add a script to [project.scripts]"
    )


GUARD = "def main(): ...\nif __name__ == '__main__':\n    main()\n"
UNREAD = "{} imports {}, whose applications are not looked for"
RUN = 'command = ["{}", "run", "--headless", "--host=0.0.0.0", "--port=8000", "{}"]'
MCP = 'command = ["fastmcp", "run", "web.py:mcp", "--transport=http", "--host=0.0.0.0", '
MCP += '"--port=8000"]'
NOTHING = "no web application, no installed program, no `web` in a Procfile"
TOOLS = "nothing tells that {} is the service, and not a tool"


@pytest.mark.parametrize(
    ("files", "cause", "lines"),
    [
        ({"bot.py": GUARD}, TOOLS.format("bot.py"), ['command = ["python", "bot.py"]']),
        (
            dict.fromkeys(("bot.py", "jobs/clean.py", "main.py", "x.py", "tests/t.py"), GUARD),
            TOOLS.format("main.py or bot.py or x.py"),
            [f'command = ["python", "{name}.py"]' for name in ("main", "bot", "x")],
        ),
        (
            {"bot/__main__.py": "from .cli import main\nmain()\n"},
            TOOLS.format("bot/__main__.py"),
            ['command = ["python", "-m", "bot"]'],
        ),
        (
            {"main.py": "while True:\n    work()\n", "shop.py": "x = 1\n", "manage.py": GUARD},
            TOOLS.format("main.py"),
            ['command = ["python", "main.py"]'],
        ),
        (
            {"web.py": "from sanic import Sanic\nserver = Sanic('x')\n"},
            UNREAD.format("web.py", "sanic"),
            ['command = ["sanic", "web:server", "--host=0.0.0.0", "--port=8000"]'],
        ),
        (
            {"web.py": "import falcon\ndef make():\n    return falcon.App()\napp = make()\n"},
            UNREAD.format("web.py", "falcon"),
            ['app = "web:app"'],
        ),
        (
            {"chat.py": "import chainlit as cl\n@cl.on_message\nasync def main(text): ...\n"},
            UNREAD.format("chat.py", "chainlit"),
            [RUN.format("chainlit", "chat.py")],
        ),
        (
            {"book.py": "import marimo\napp = marimo.App()\n"},
            TOOLS.format("book.py"),
            [RUN.format("marimo", "book.py")],
        ),
        (
            {"web/app.py": "import falcon.asgi\napp = api = falcon.asgi.App()\n"},
            UNREAD.format("web/app.py", "falcon"),
            ['app = "web.app:app"'],
        ),
        (
            {"app.py": "import panel as pn\npn.extension()\n"},
            UNREAD.format("app.py", "panel"),
            ['command = ["panel", "serve", "--address=0.0.0.0", "--port=5006", "app.py"]'],
        ),
        (
            {"work.py": "class WorkerSettings: ...\n"},
            NOTHING,
            ['command = ["arq", "work.WorkerSettings"]'],
        ),
        (
            {"jobs/work.py": "import scrapy\nclass Shops(scrapy.Spider):\n    name = 'shops'\n"},
            NOTHING,
            ['command = ["scrapy", "crawl", "shops"]'],
        ),
        (
            {"work.py": "import dramatiq\n@dramatiq.actor\ndef clean(): ...\n"},
            NOTHING,
            ['command = ["dramatiq", "work"]'],
        ),
        (
            {"work.py": "from faststream import FastStream\nevents = FastStream(broker)\n"},
            NOTHING,
            ['command = ["faststream", "run", "work:events"]'],
        ),
        (
            {"work.py": "from ray import serve\nmodel = Model.bind()\n"},
            NOTHING,
            ['command = ["serve", "run", "work:model"]'],
        ),
        (
            {"wsgi.py": "from shop import create_app\napp, socketio = create_app()\n"},
            NOTHING,
            ['app = "wsgi:app"'],
        ),
        (
            {"web.py": "from fastmcp import FastMCP\nmcp = FastMCP('x')\n"},
            NOTHING,
            [MCP],
        ),
        (
            {"app.py": f"import connexion\napp = connexion.FlaskApp('x')\n{GUARD}"},
            UNREAD.format("app.py", "connexion"),
            ['app = "app:app"'],
        ),
        (
            {"web.py": "from strawberry.asgi import GraphQL\napp = GraphQL(x)\n"},
            UNREAD.format("web.py", "strawberry"),
            ['app = "web:app"'],
        ),
        (
            {"web.py": "async def app(scope, receive, send): ...\n"},
            NOTHING,
            ['app = "web:app"'],
        ),
        (
            {
                "web.py": "import strawberry.asgi\ndef make():\n    return GraphQL(x)\n",
                "main.py": "from web import make\napp = make()\n",
            },
            UNREAD.format("web.py", "strawberry"),
            ['app = "main:app"'],
        ),
        (
            {"wsgi.py": "def application(environ, start_response): ...\n"},
            NOTHING,
            ['app = "wsgi:application"'],
        ),
    ],
)
def test_what_is_plainly_there_is_listed_with_the_line_to_write(
    tree: Tree, files: dict[str, str], cause: str, lines: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree(files))
    assert caught.value.cause == cause
    ways = " or ".join(f"`{line}`" for line in lines)
    assert caught.value.hint == f"write in [tool.uvflow.docker]: {ways}"


@pytest.mark.parametrize(
    ("more", "why", "add"),
    [
        ("", "uv installs no project that has no [build-system]", "add a [build-system], or "),
        (
            "[build-system]\nrequires = []\n[tool.uv]\npackage = false\n",
            "[tool.uv] has `package = false`",
            "",
        ),
    ],
)
def test_a_script_that_no_sync_installs_is_told(tree: Tree, more: str, why: str, add: str) -> None:
    text = f'[project]\nname = "shop"\n[project.scripts]\nsell = "shop:sell"\n{more}'
    with pytest.raises(UsageError) as caught:
        start(tree({"pyproject.toml": text, "bot.py": GUARD}))
    assert caught.value.cause == f"sell of [project.scripts] is not in the image: {why}"
    assert caught.value.hint == (
        f"{add}set `package = true` in [tool.uv], and run `uv lock`, "
        'or write in [tool.uvflow.docker]: `command = ["python", "bot.py"]`'
    )


@pytest.mark.parametrize(
    ("table", "key"),
    [("dependency-groups", "group"), ("project.optional-dependencies", "extra")],
)
def test_a_server_in_a_group_is_found_there(tree: Tree, table: str, key: str) -> None:
    text = f'[project]\nname = "shop"\n[{table}]\nserve = ["uvicorn-x", "uvicorn[standard]>=0.3"]\n'
    with pytest.raises(UsageError) as caught:
        start(tree({**FASTAPI, "pyproject.toml": text}), "fastapi")
    assert caught.value.cause == f"uvicorn is in the {key} `serve`, which prod leaves out"
    assert f'`{key}s = ["serve"]` in [tool.uvflow.profiles.prod]' in str(caught.value.hint)


def test_django_without_a_wsgi_module_is_a_cause(tree: Tree) -> None:
    root = tree({"manage.py": DJANGO["manage.py"], "core/settings.py": "X = 1\n"})
    with pytest.raises(UsageError) as caught:
        start(root, "django", "gunicorn")
    assert caught.value.cause == (
        "Django has no wsgi.py and no asgi.py here, and its settings name none"
    )


def test_dash_without_its_server_is_a_cause(tree: Tree) -> None:
    root = tree({"app.py": "from dash import Dash\napp = Dash()\n"})
    with pytest.raises(UsageError) as caught:
        start(root, "dash", "gunicorn")
    assert caught.value.cause == "app.py has Dash(), and no name for its server"
    assert caught.value.hint == "add `server = app.server`"


def test_a_module_that_a_package_hides_is_a_cause(tree: Tree) -> None:
    text = "from flask import Flask\napp = Flask('x')\nif __name__ == '__main__':\n    app.run()\n"
    with pytest.raises(UsageError) as caught:
        start(tree({"app.py": text, "app/__init__.py": ""}), "flask", "gunicorn")
    assert caught.value.cause == "app.py has the name of another module, also by its directory"
    assert caught.value.hint == "rename it"


def test_the_service_of_the_compose_file_is_listed_beside_a_page(tree: Tree) -> None:
    page = {"page.py": "import streamlit\n", "job/__main__.py": "work()\n"}
    compose = {"compose.yaml": "services:\n  job:\n    build: .\n"}
    with pytest.raises(UsageError) as caught:
        start(tree(page | compose), "streamlit")
    assert caught.value.cause == "page.py imports streamlit, job of the compose file"


def test_a_program_whose_package_is_not_there_is_remarked(tree: Tree) -> None:
    found = start(tree({"src/a.py": ""}), scripts={"bank": "bank:main"})
    assert found.remarks == ("`bank` of [project.scripts] is in bank, which no source here has",)
    assert not start(tree({"src/bank.py": ""}), scripts={"bank": "bank:main"}).remarks
    assert not start(tree({}), "a-bank", scripts={"bank": "a_bank.x:main"}).remarks


def test_the_application_of_an_mcp_server_is_served(tree: Tree) -> None:
    text = "from fastmcp import FastMCP\nmcp = FastMCP('x')\n"
    served = {"web.py": f"{text}app = mcp.http_app()\n"}
    assert start(tree(served), "fastmcp", "uvicorn").command[-1] == "web:app"
    with pytest.raises(UsageError) as caught:
        start(tree({"web.py": f"{text}mcp.run()\n"}), "fastmcp", "uvicorn")
    assert "FastMCP" not in str(caught.value.cause)


def test_the_default_application_of_bottle_is_one(tree: Tree) -> None:
    root = tree({"web.py": "import bottle\nsite = bottle.default_app()\n"})
    assert start(root, "bottle", "waitress").command[-1] == "web:site"


def test_a_program_that_adds_routes_to_another_modules_object_is_listed(tree: Tree) -> None:
    boot = f"from shop import api, core\napi.init(core.app)\n{GUARD}"
    files = {"shop/core.py": FASTAPI["main.py"], "shop/api.py": "def init(app): ...\n"}
    with pytest.raises(UsageError) as caught:
        start(tree({**files, "boot.py": boot}), "fastapi", "uvicorn")
    lines = '`app = "shop.core:app"` or `command = ["python", "boot.py"]`'
    assert caught.value.hint == f"write in [tool.uvflow.docker]: {lines}"


@pytest.mark.parametrize(
    ("more", "is_asked"),
    [
        ("import shop.routes\n", True),
        ("from shop.admin import init\ninit(app)\n", True),
        ("from shop.admin import init\nwith app.state:\n    init()\n", False),
        ("import shop.known\n", False),
    ],
)
def test_a_program_that_loads_more_routes_stands_beside_the_object(
    tree: Tree, more: str, *, is_asked: bool
) -> None:
    routes = "from shop.core import app\n@app.get('/')\ndef h(): ...\n"
    files = {
        "shop/core.py": f"{FASTAPI['main.py']}import shop.known\n",
        "shop/known.py": routes,
        "shop/admin.py": "def init(app): ...\n",
        "boot.py": f"from shop.core import app\n{more}",
    } | ({"shop/routes.py": routes} if "routes" in more else {})
    if is_asked:
        with pytest.raises(UsageError) as caught:
            start(tree(files), "fastapi", "uvicorn")
        assert str(caught.value.hint).endswith('`app = "shop.core:app"` or `app = "boot:app"`')
    else:
        assert start(tree(files), "fastapi", "uvicorn").command[-1] == "shop.core:app"


@pytest.mark.parametrize(
    "more",
    ["app.include_router(router)\n", "import shop.routes\n", "from shop.admin import init\n"],
)
@pytest.mark.parametrize("name", ["wsgi", "index"])
def test_a_module_that_completes_an_imported_application_is_served(
    tree: Tree, name: str, more: str
) -> None:
    files = {
        "shop/core.py": FASTAPI["main.py"],
        "shop/routes.py": "from shop.core import app\n@app.get('/healthz')\ndef h(): ...\n",
        "shop/admin.py": "def init(app): ...\n",
        f"{name}.py": f"from shop.core import app\n{more}",
    }
    found = start(tree(files), "fastapi", "uvicorn")
    assert (found.command[-1], found.health) == (f"{name}:app", "/healthz")
    assert found.evidence == f"{name}.py completes shop.core:app; uvicorn is a dependency"


@pytest.mark.parametrize(
    "more", ["", "if __name__ == '__main__':\n    app.run()\n", "app.run()\nimport shop\n"]
)
def test_a_module_that_adds_nothing_is_not_needed(tree: Tree, more: str) -> None:
    root = tree({"shop.py": FASTAPI["main.py"], "main.py": f"from shop import app\n{more}"})
    assert start(root, "fastapi", "uvicorn").command[-1] == "shop:app"


def test_applications_of_two_kinds_in_two_packages_are_a_question(tree: Tree) -> None:
    other = {"admin/site.py": "from flask import Flask\nsite = Flask('x')\n"}
    root = tree({"api/main.py": FASTAPI["main.py"], **other})
    with pytest.raises(UsageError) as caught:
        start(root, "fastapi", "flask", "gunicorn", "uvicorn")
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `app = "admin.site:site"` or `app = "api.main:app"`'
    )
    found = start(root, "fastapi", "flask", "gunicorn", "uvicorn", app="admin.site:site")
    assert found.command[0] == "gunicorn"


def test_a_streamlit_page_finds_the_modules_of_the_project(tree: Tree) -> None:
    page = "import streamlit\nfrom shop.charts import c\n"
    root = tree({"src/shop/page.py": page, "src/shop/charts.py": "c = 1\n"})
    assert start(root, "streamlit").base == "src"


def test_a_streamlit_page_in_a_folder_finds_the_root(tree: Tree) -> None:
    assert start(tree({"ui/page.py": "import streamlit\n"}), "streamlit").base == ""


def test_the_line_of_a_procfile_names_the_settings_of_django(tree: Tree) -> None:
    root = tree({**DJANGO, "Procfile": "web: DJANGO_SETTINGS_MODULE=core.prod gunicorn x\n"})
    assert search(root, "django").django.settings_module == "core.prod"


SERVED = "import uvicorn\nfrom fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    "text",
    [
        "def run(): app.run()\ndef start(): Thread(target=run).start()\n",
        "def start(): threading.Thread(target=lambda: uvicorn.run(app)).start()\n",
        "async def start(): await asyncio.gather(server.serve(), work())\n",
        "def start():\n    Popen(['celery'])\n    app.run()\n",
        "def start():\n    begin()\n    uvicorn.run(app)\ndef begin(): scheduler.start()\n",
    ],
)
def test_a_program_that_serves_in_a_thread_is_listed(tree: Tree, text: str) -> None:
    main = "import alive\nalive.start()\nbot.run()\n"
    with pytest.raises(UsageError) as caught:
        start(tree({"alive.py": SERVED + text, "main.py": main}), "fastapi", "uvicorn")
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `app = "alive:app"` or `command = ["python", "main.py"]`'
    )


def test_a_module_may_import_itself_in_a_function(tree: Tree) -> None:
    text = f"{SERVED}def again():\n    from main import app\n"
    assert start(tree({"main.py": text}), "fastapi", "uvicorn").command[-1] == "main:app"


def test_a_server_for_development_may_start_more(tree: Tree) -> None:
    guard = "if __name__ == '__main__':\n    Popen(['npm'])\n    uvicorn.run(app, reload=True)\n"
    assert start(tree({"main.py": SERVED + guard}), "fastapi", "uvicorn").command[-1] == "main:app"


def test_a_guard_that_starts_more_than_the_server_is_listed(tree: Tree) -> None:
    guard = "if __name__ == '__main__':\n    scheduler.start()\n    uvicorn.run(app)\n"
    with pytest.raises(UsageError) as caught:
        start(
            tree({"main.py": SERVED + guard, "run.py": "while True: x()\n"}), "fastapi", "uvicorn"
        )
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `app = "main:app"` or `command = ["python", "main.py"]`'
    )


@pytest.mark.parametrize(
    "lines",
    [
        "app.state.model = load()\n    uvicorn.run(app)",
        "app.add_middleware(x)\n    uvicorn.run(app)",
        "app.config.from_file(x)\n    app.run()",
        "uvicorn.run(AuthMiddleware(app))",
    ],
)
def test_a_guard_that_changes_what_it_serves_is_listed(tree: Tree, lines: str) -> None:
    guard = f"import uvicorn\nif __name__ == '__main__':\n    {lines}\n"
    with pytest.raises(UsageError) as caught:
        start(tree({"main.py": FASTAPI["main.py"] + guard}), "fastapi", "uvicorn")
    assert caught.value.cause == "main.py has FastAPI(), main.py"


def test_two_modules_of_one_name_are_listed_with_their_directories(tree: Tree) -> None:
    text = f"from conf import X\n{FASTAPI['main.py']}"
    folders = ("api", "jobs")
    files = {f"{each}/{name}": text for each in folders for name in ("conf.py", "main.py")}
    with pytest.raises(UsageError) as caught:
        start(
            tree(files | {f"{each}/conf.py": "X = 1\n" for each in folders}), "fastapi", "uvicorn"
        )
    serve = "exec uvicorn --host=0.0.0.0 --port=8000 main:app"
    lines = (f'`command = ["sh", "-c", "cd {each} && {serve}"]`' for each in folders)
    assert caught.value.hint == f"write in [tool.uvflow.docker]: {' or '.join(lines)}"


def test_a_directory_with_the_name_of_a_module_of_python_is_where_imports_begin(tree: Tree) -> None:
    found = start(tree({"platform/main.py": FASTAPI["main.py"]}), "fastapi", "uvicorn")
    assert (found.command[-1], found.base) == ("main:app", "platform")


@pytest.mark.parametrize(
    ("path", "distribution", "text"),
    [
        ("email/main.py", "fastapi", "from email.conf import X\nfrom fastapi import FastAPI\n"),
        ("celery.py", "celery", "from celery import Celery\napp = Celery()\n"),
    ],
)
def test_a_module_that_an_import_cannot_find_is_a_cause(
    tree: Tree, path: str, distribution: str, text: str
) -> None:
    root = tree({path: f"{text}app = FastAPI()\n", "email/__init__.py": "", "email/conf.py": ""})
    with pytest.raises(UsageError) as caught:
        start(root, distribution, "uvicorn")
    assert caught.value.cause == f"{path} has the name of another module, also by its directory"


def test_a_module_that_is_served_is_no_program_beside_it(tree: Tree) -> None:
    text = f"{FASTAPI['main.py']}app.include_router(x)\nThread(target=app.run)\n"
    root = tree({"main.py": text})
    assert start(root, "fastapi", "uvicorn").command[-1] == "main:app"


def test_the_program_of_pyramid_has_its_configuration(tree: Tree) -> None:
    with pytest.raises(UsageError, match="nothing for the container") as caught:
        start(tree({"web.py": "import pyramid\n", "production.ini": "[app:main]\n"}), "pyramid")
    line = 'command = ["pserve", "production.ini"]'
    assert caught.value.hint == f"write in [tool.uvflow.docker]: `{line}`"


def test_a_thread_that_serves_nothing_is_no_question(tree: Tree) -> None:
    text = "def poll(): subprocess.run(x)\nThread(target=poll).start()\n"
    guard = "if __name__ == '__main__':\n    uvicorn.run(app)\n"
    root = tree({"main.py": SERVED + text + guard})
    assert start(root, "fastapi", "uvicorn").command[-1] == "main:app"


def test_a_page_of_another_framework_is_listed(tree: Tree) -> None:
    page = "import gradio\nif __name__ == '__main__':\n    gradio.Interface().launch()\n"
    files = {**FASTAPI, "page.py": page}
    with pytest.raises(UsageError) as caught:
        start(tree(files), "fastapi", "uvicorn", "gradio")
    assert caught.value.cause == "main.py has FastAPI(), page.py"
    mounted = {"main.py": FASTAPI["main.py"] + "import page\n", "page.py": page}
    assert start(tree(mounted), "fastapi", "uvicorn", "gradio").command[-1] == "main:app"


def test_a_factory_that_needs_arguments_is_a_cause(tree: Tree) -> None:
    text = "def create_app(x):\n    return FastAPI()\n"
    with pytest.raises(UsageError) as caught:
        start(tree({"shop/main.py": text}), "fastapi", "uvicorn")
    assert caught.value.cause == "shop.main.create_app() cannot be called without arguments"
    assert caught.value.hint == (
        "assign what it returns to `app` in a module, such as main.py or wsgi.py"
    )


def test_a_schedule_that_nothing_follows_is_told(tree: Tree) -> None:
    text = "from celery import Celery\napp = Celery('x')\napp.conf.beat_schedule = {}\n"
    root = tree({"queue.py": text})
    [remark] = start(root, "celery").remarks
    assert remark == (
        "the schedule of queue.py is not followed: name `celery … beat` in "
        "[tool.uvflow.docker.processes]"
    )
    beat = (("beat", ("celery", "--app=queue", "beat")),)
    assert start(root, "celery", processes=beat).remarks == ()


def test_a_subclass_of_flask_in_a_package_is_served(tree: Tree) -> None:
    root = tree({"main.py": "from apiflask import APIFlask\napp = APIFlask(__name__)\n"})
    assert start(root, "apiflask", "flask", "gunicorn").command[-1] == "main:app"


def test_a_command_that_makes_an_application_is_a_cause(tree: Tree) -> None:
    text = "@click.command()\ndef app():\n    return FastAPI()\n"
    with pytest.raises(UsageError) as caught:
        start(tree({"main.py": text}), "fastapi", "uvicorn")
    assert caught.value.cause == "main.py has FastAPI(), but no name for it can be read there"


def test_an_application_without_a_name_is_a_cause(tree: Tree) -> None:
    text = "from fastapi import FastAPI\napps = {1: FastAPI()}\n"
    with pytest.raises(UsageError) as caught:
        start(tree({"main.py": text}), "fastapi", "uvicorn")
    assert caught.value.cause == "main.py has FastAPI(), but no name for it can be read there"


def test_the_root_of_a_workspace_points_to_its_members(tree: Tree) -> None:
    root = search(tree({}), members=("backend", "worker"))
    with pytest.raises(UsageError) as caught:
        root.start()
    assert caught.value.hint == "run `uvflow docker` in backend or worker"


def test_what_the_user_says_is_started(tree: Tree) -> None:
    found = start(tree(FASTAPI), "fastapi", "uvicorn", command=("python", "-m", "shop"))
    assert (found.command, found.port) == (("python", "-m", "shop"), None)


def test_an_application_that_the_user_names_is_served(tree: Tree) -> None:
    found = start(tree({}), "fastapi", "uvicorn", app="shop.odd:make()")
    assert found.command[-2:] == ("--factory", "shop.odd:make")


def test_an_application_that_the_user_names_is_not_given_to_a_server_for_others(tree: Tree) -> None:
    with pytest.raises(UsageError, match="no server for shop"):
        start(tree({}), "fastapi", "gunicorn", app="shop:app")


def test_port_and_health_are_the_users(tree: Tree) -> None:
    found = start(tree(FASTAPI), "fastapi", "uvicorn", port=9000, health="/up")
    assert (found.port, found.health) == (9000, "/up")
    assert not start(tree(FASTAPI), "fastapi", "uvicorn", health=False).probes


COMPOSE = "services:\n  db:\n    image: postgres\n  web:\n    build: {}\n    command: {}\n"


def test_the_framework_is_told_its_application(tree: Tree) -> None:
    other = {"web/server.py": "from fastapi import FastAPI\napi = FastAPI()\n"}
    told = '[tool.fastapi]\nentrypoint = "web.server:api"\n'
    found = start(tree({**FASTAPI, **other, "pyproject.toml": told}), "fastapi", "uvicorn")
    assert found.command[-1] == "web.server:api"
    assert found.evidence == "[tool.fastapi] entrypoint; uvicorn is a dependency"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("shop.web", "shop.web:create_app()"),
        ("src/shop/web.py", "shop.web:create_app()"),
        ("shop.web:create_app", "shop.web:create_app()"),
        ("'shop.web:create_app'  # in main", "shop.web:create_app()"),
        ("\"shop.web:create_app('dev')\"", "shop.web:create_app('dev')"),
    ],
)
def test_flask_app_names_the_application(tree: Tree, value: str, name: str) -> None:
    other = {"app.py": "from flask import Flask\napp = Flask('x')\n"}
    root = tree({**FLASK, **other, ".flaskenv": f"FLASK_ENV=x\nFLASK_APP={value}\n"})
    assert start(root, "flask", "gunicorn").command[-1] == name


def test_a_server_that_cannot_call_a_factory_with_arguments_is_refused(tree: Tree) -> None:
    root = tree({".env": "FLASK_APP=\"web:create('x')\"\n"})
    with pytest.raises(UsageError, match="no server for web:create") as caught:
        start(root, "flask", "waitress")
    assert caught.value.cause == "looked for gunicorn; a development server does not count"


@pytest.mark.parametrize("build", [".", "{ context: . }"])
def test_the_command_of_the_service_that_is_built_here_is_evidence(tree: Tree, build: str) -> None:
    command = "[uv, run, uvicorn, 'other:app', --port, 9000]"
    root = tree({**FASTAPI, "compose.yml": COMPOSE.format(build, command)})
    found = start(root, "fastapi", "uvicorn")
    assert found.command == ("uvicorn", "other:app", "--port", "9000")
    assert found.port == 9000


@pytest.mark.parametrize(
    "text",
    [
        COMPOSE.format(".", "uvicorn main:other --reload"),
        COMPOSE.format(".", "/start"),
        COMPOSE.format("../other", "serve"),
        COMPOSE.format(".", "serve") + "    working_dir: /x\n",
        COMPOSE.format(".", "./serve") + "  worker:\n    build: .\n    command: ./work\n",
        COMPOSE.format(".", "sleep infinity"),
        COMPOSE.format(".", "[tail, -f, /dev/null]"),
        COMPOSE.format(".", "bash"),
        COMPOSE.format(".", "pytest -q"),
        COMPOSE.format(".", "[--workers, '4', --port, '9000']"),
        COMPOSE.format(".", "make serve"),
        COMPOSE.format(".", "migrate && honcho start"),
        "services: [\n",
        "services:\n  web:\n",
        "",
    ],
)
def test_a_compose_file_that_tells_nothing_is_passed_over(tree: Tree, text: str) -> None:
    root = tree({**FASTAPI, "compose.yaml": text})
    assert start(root, "fastapi", "uvicorn").command[-1] == "main:app"


def test_a_compose_file_of_uvflow_is_no_evidence(tree: Tree) -> None:
    made = with_header(COMPOSE.format(".", "./mine"), {}, ())
    files = {"compose.yaml": made, "docker-compose.yml": COMPOSE.format(".", "./first")}
    root = tree({**files, "docker-compose.yaml": COMPOSE.format(".", "./second")})
    assert start(root).command == ("./first",)


@pytest.mark.parametrize(
    ("command", "more", "port"),
    [
        ("python bot.py", "", None),
        ("sh start.sh", "", None),
        ("uvicorn main:app --port 9000", "    ports: ['80:5000']\n", 9000),
        ("uvicorn main:app", "", 8000),
    ],
)
def test_the_port_of_a_command_is_one_that_the_compose_file_has(
    tree: Tree, command: str, more: str, port: int | None
) -> None:
    root = tree({**FASTAPI, "compose.yaml": COMPOSE.format(".", command) + more})
    assert start(root, "fastapi", "uvicorn").port == port


@pytest.mark.parametrize(
    ("ports", "port", "remark"),
    [
        ("['80:5000']", 5000, ""),
        ("[{target: 5000, published: 80}, '53:53/udp']", 5000, ""),
        ("['127.0.0.1:80:${PORT:-5000}/tcp']", 5000, ""),
        ("['8000', '5678:5678']", 8000, ""),
        ("['80:80']", 8000, "port 80"),
        ("['80:5001', '81:5002']", 8000, "port 5001 and 5002"),
    ],
)
def test_the_port_of_a_service_without_a_command_is_the_one_to_listen_on(
    tree: Tree, ports: str, port: int, remark: str
) -> None:
    text = f"services:\n  web:\n    build: .\n    ports: {ports}\n"
    found = start(tree({**FASTAPI, "compose.yaml": text}), "fastapi", "uvicorn")
    assert (found.port, found.command[2]) == (port, f"--port={port}")
    told = "main.py has FastAPI(); uvicorn is a dependency"
    assert found.evidence == told + ("; port 5000 of the compose file" if port == 5000 else "")
    why = f"the compose file has {remark} for web, and the image listens on 8000"
    advice = "change it there, or set `port` in [tool.uvflow.docker]"
    assert found.remarks == ((f"{why}: {advice}",) if remark else ())


def test_a_port_of_the_compose_file_is_given_to_a_line_that_asks_for_one(tree: Tree) -> None:
    text = "services:\n  web:\n    build: .\n    expose: [5000]\n"
    for line, port in (("serve $PORT", 5000), ("serve --port 7000", 7000)):
        found = start(tree({"compose.yaml": text, "Procfile": f"web: {line}\n"}))
        assert (found.port, len(found.remarks)) == (port, port == 7000)
        assert found.environment == (("PORT", str(port)),)


def test_a_port_that_nothing_listens_on_is_remarked(tree: Tree) -> None:
    text = COMPOSE.format(".", "python bot.py") + "    ports: ['80:5000']\n"
    [remark] = start(tree({"compose.yaml": text})).remarks
    assert "port 5000 for web, and it is not known that it listens" in remark


@pytest.mark.parametrize("extends", ["base", "{ file: common.yml, service: base }"])
def test_a_service_has_what_it_extends(tree: Tree, extends: str) -> None:
    base = "  base:\n    build: .\n    profiles: [x]\n    command: uvicorn two:app\n"
    text = f"services:\n{base}  web:\n    extends: {extends}\n    profiles: []\n"
    root = tree({**FASTAPI, "compose.yaml": text, "common.yml": f"services:\n{base}"})
    assert start(root, "fastapi", "uvicorn").command == ("uvicorn", "two:app")


def test_the_compose_file_for_production_changes_the_other(tree: Tree) -> None:
    prod = "services:\n  web:\n    command: uvicorn prod:app\n    ports: !override ['5000']\n"
    files = {
        "docker-compose.yml": COMPOSE.format(".", "uvicorn main:app --reload"),
        "docker-compose.prod.yml": prod + "    volumes: !reset null\n",
    }
    found = search(tree({**FASTAPI, **files}), "fastapi", "uvicorn")
    assert found.start().command == ("uvicorn", "prod:app")
    assert found.published == [5000]


PROXY = "  nginx:\n    ports: ['80:80']\n"


@pytest.mark.parametrize(
    "proxy",
    [
        PROXY + "    image: nginx\n",
        PROXY + "    build: ./nginx\n",
        PROXY + "    build: { context: ., dockerfile: nginx/Dockerfile }\n",
    ],
)
@pytest.mark.parametrize("worker", ["", "  jobs:\n    build: .\n    command: rq worker\n"])
def test_a_proxy_in_front_is_not_the_service(tree: Tree, proxy: str, worker: str) -> None:
    text = COMPOSE.format(".", "gunicorn -b :5000 a:b") + worker + proxy
    found = search(tree({"compose.yaml": text}))
    assert (found.service, found.start().port, found.start().remarks) == ("web", 5000, ())
    assert [name for name, _ in found.processes()] == (["jobs"] if worker else [])


OTHERS = """\
    ports: ["80:5000"]
  worker:
    build: .
    command: [celery, -A, shop, worker]
  shell:
    build: .
    command: bash
  tools:
    build: .
    command: migrate
    profiles: [tools]
"""


def test_the_service_with_a_port_is_the_web_process_of_several(tree: Tree) -> None:
    text = COMPOSE.format(".", "uvicorn main:app --port ${PORT:-5000}") + OTHERS
    found = search(tree({**FASTAPI, "compose.yaml": text}), "fastapi", "uvicorn")
    assert found.start().evidence == "`command` of the compose file"
    assert found.start().port == 5000
    assert found.processes() == (("worker", ("celery", "-A", "shop", "worker")),)
    assert list(found.remarks()) == []


DEV = "    ports: ['80:5000']\n  dev:\n    build: .\n    command: flask run\n    ports: [5000]\n"


@pytest.mark.parametrize(
    "other",
    [
        DEV,
        "    profiles: [prod]\n",
        "  tasks:\n    build: .\n    command: celery -A x flower\n    ports: [5]\n",
        "    ports: [80]\n  x_flower:\n    build: .\n    command: bash up\n    ports: [5]\n",
        "  static:\n    build: .\n    command: [npm, run, watch]\n    ports: [5]\n",
    ],
)
def test_what_is_for_development_or_watches_is_not_the_service(tree: Tree, other: str) -> None:
    text = COMPOSE.format(".", "uvicorn main:app --port 5000") + other
    found = search(tree({**FASTAPI, "compose.yaml": text}), "celery", "fastapi", "uvicorn")
    assert found.service == "web"
    assert found.start().command == ("uvicorn", "main:app", "--port", "5000")


def test_a_program_with_routes_of_its_own_is_not_asked_for_those_of_an_application(
    tree: Tree,
) -> None:
    files = {"main.py": FASTAPI["main.py"] + "@app.get('/healthz')\ndef h(): ...\n"}
    for line, health in (("celery -A x flower", None), ("python main.py", "/healthz")):
        root = tree({**files, "Procfile": f"web: {line}\n"})
        assert start(root, "celery", "fastapi").health == health


@pytest.mark.parametrize("text", ["-c /code/conf/g.py", "-c /usr/src/conf/g.py"])
def test_what_needs_files_of_another_image_tells_nothing(tree: Tree, text: str) -> None:
    files = {**FASTAPI, "conf/g.py": "", "bin/up.sh": f"#!/bin/sh\nexec gunicorn {text} x:y\n"}
    for command in (f"gunicorn {text} x:y", "bin/up.sh", "sh bin/up.sh"):
        root = tree({**files, "compose.yaml": COMPOSE.format(".", command)})
        assert start(root, "fastapi", "gunicorn", "uvicorn").command[-1] == "main:app"
    kept = tree({**files, "compose.yaml": COMPOSE.format(".", "gunicorn -c /app/conf/g.py x:y")})
    assert start(kept, "fastapi", "gunicorn", "uvicorn").command[-1] == "x:y"


def test_a_module_that_the_image_has_by_another_name_is_told(tree: Tree) -> None:
    files = {"src/app/main.py": "", "src/app/jobs.py": "from src.app import main\n"}
    text = COMPOSE.format(".", "uvicorn app.main:app") + "    ports: ['8000']\n"
    text += "  jobs:\n    build: .\n    command: arq app.jobs.Settings --x src.app.main a.yaml\n"
    text += "  moved:\n    build: .\n    command: cd src && exec arq app.jobs.Settings\n"
    found = search(tree({**files, "compose.yaml": text}), "uvicorn")
    assert found.start().remarks == (
        "`command` of the compose file has app.main, which is src.app.main in the image",
    )
    assert list(found.remarks()) == [
        "the process jobs has app.jobs, which is src.app.jobs in the image"
    ]


def test_services_with_one_command_are_one_candidate(tree: Tree) -> None:
    text = COMPOSE.format(".", "uvicorn main:app") + "    ports: ['80:8000']\n"
    text += "  other:\n    extends: { service: web }\n    command: uvicorn two:app\n"
    text += "  bench:\n    extends: { service: web }\n"
    with pytest.raises(UsageError) as raised:
        start(tree({**FASTAPI, "compose.yaml": text}), "fastapi", "uvicorn")
    assert raised.value.cause == (
        "`command` of web in the compose file, `command` of other in the compose file"
    )


def test_several_services_with_a_server_are_candidates(tree: Tree) -> None:
    text = COMPOSE.format(".", "uvicorn main:app") + "    ports: ['80:8000']\n"
    text += "  admin:\n    build: .\n    command: uvicorn admin:app\n    ports: ['81:8000']\n"
    with pytest.raises(UsageError) as raised:
        start(tree({**FASTAPI, "compose.yaml": text}), "fastapi", "uvicorn")
    assert raised.value.cause == (
        "`command` of web in the compose file, `command` of admin in the compose file"
    )


def test_what_no_locked_package_has_is_passed_over(tree: Tree) -> None:
    text = (
        COMPOSE.format(".", "uv run dev_server")
        + "  worker:\n    build: .\n    command: start-rq x\n"
    )
    found = search(tree({**FASTAPI, "compose.yaml": text}), "fastapi", "uvicorn")
    assert found.start().command[-1] == "main:app"
    assert found.processes() == ()
    assert list(found.remarks())[1:] == [
        f"`command` of {name} in the compose file is passed over: no locked package is known to "
        f"have {program}"
        for name, program in (("web", "dev_server"), ("worker", "start-rq"))
    ]


@pytest.mark.parametrize("name", ["application", "django_app"])
def test_an_object_that_mounts_django_is_started(tree: Tree, name: str) -> None:
    text = f"from fastapi import FastAPI\napp = FastAPI()\napp.mount('/', {name})\n"
    asgi = f"from django.core.asgi import get_asgi_application\n{name} = get_asgi_application()\n"
    root = tree({**DJANGO, "core/asgi.py": f"{asgi}{text}"})
    installed = ("django", "fastapi", "gunicorn", "uvicorn")
    assert start(root, *installed).command[-1] == "core.asgi:app"


def test_the_package_asgi_is_served_where_there_is_no_server_for_the_other(tree: Tree) -> None:
    asgi = {"core/asgi/__init__.py": "application = get_asgi_application()\n"}
    root = tree({**{name: text for name, text in DJANGO.items() if "asgi" not in name}, **asgi})
    assert start(root, "django", "uvicorn").command[-1] == "core.asgi:application"


def test_settings_that_are_named_inside_of_a_package_are_found_there(tree: Tree) -> None:
    line = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")\n'
    wsgi = f"import os\n{line}application = get_wsgi_application()\n"
    files = {"lab/__init__.py": "", "lab/core/wsgi.py": wsgi, "lab/core/settings.py": "X = 1\n"}
    found = start(tree(files), "django", "gunicorn")
    assert (found.command[-1], found.base) == ("lab.core.wsgi:application", "lab")
    assert found.loads_source


def test_what_comes_with_another_framework_is_not_started(tree: Tree) -> None:
    root = tree(FASTAPI)
    installed = dict.fromkeys(("apache-airflow", "fastapi", "uvicorn"), "1.0")
    whole = replace(search(root), versions=installed, direct=frozenset({"apache-airflow"}))
    with pytest.raises(UsageError) as raised:
        whole.start()
    assert (raised.value.cause, raised.value.hint) == (
        "main.py has FastAPI(), but its framework and its server come with other packages",
        'write in [tool.uvflow.docker]: `app = "main:app"`',
    )


def test_a_worker_of_the_compose_file_is_listed_beside_the_application(tree: Tree) -> None:
    root = tree({**FASTAPI, "compose.yaml": COMPOSE.format(".", "celery -A shop worker")})
    with pytest.raises(UsageError) as caught:
        start(root, "celery", "fastapi", "uvicorn")
    line = 'command = ["celery", "-A", "shop", "worker"]'
    assert caught.value.hint == f'write in [tool.uvflow.docker]: `{line}` or `app = "main:app"`'


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("hello/x.py", "it is beside the package that is installed"),
        ("shop/contrib/x.py", "its path is that of a copy or an example"),
        ("templates/x.py", "its path is that of a copy or an example"),
    ],
)
def test_an_example_of_a_library_is_named_and_not_started(tree: Tree, path: str, why: str) -> None:
    root = tree({path: FASTAPI["main.py"], "shop/quota.py": "X = 1\n"})
    library = replace(
        search(root, "fastapi", "uvicorn"), sources=Sources(root, {root: {"shop": "shop"}})
    )
    with pytest.raises(UsageError) as caught:
        library.start()
    assert caught.value.cause == f"{path} has FastAPI(), but {why}"


@pytest.mark.parametrize(
    "text",
    [
        "from web import make\napp = make()\n",
        "app = None\nif x:\n    app = FastAPI()\n",
        "class Wrap: ...\napp = Wrap(apps)\n",
    ],
)
def test_a_name_that_may_be_an_application_is_listed(tree: Tree, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({"boot.py": text, "web.py": "make = partial(FastAPI)\n"}), "fastapi", "uvicorn")
    assert caught.value.hint == 'write in [tool.uvflow.docker]: `app = "boot:app"`'


def test_an_object_that_only_a_program_fills_is_one_of_two(tree: Tree) -> None:
    text = f"{FASTAPI['main.py']}def setup():\n    app.include_router(x)\n"
    text += "if __name__ == '__main__':\n    setup()\n    uvicorn.run(app)\n"
    with pytest.raises(UsageError) as raised:
        start(tree({"main.py": text}), "fastapi", "uvicorn")
    assert raised.value.cause == "main.py has FastAPI(), main.py"


def test_an_application_that_a_program_names_for_a_server_is_one_of_two(tree: Tree) -> None:
    files = {f"shop/{name}.py": FASTAPI["main.py"] for name in ("api", "admin")}
    program = "import uvicorn\nif __name__ == '__main__':\n    uvicorn.run({!r})\n"
    root = tree({**files, "serve.py": program.format("shop.admin:app")})
    with pytest.raises(UsageError) as raised:
        start(root, "fastapi", "uvicorn")
    lines = '`app = "shop.api:app"` or `app = "shop.admin:app"`'
    assert raised.value.hint == f"write in [tool.uvflow.docker]: {lines}"
    root = tree({**files, "serve.py": program.format("shop.api:app")})
    assert start(root, "fastapi", "uvicorn").command[-1] == "shop.api:app"


@pytest.mark.parametrize(
    ("data", "more", "name"),
    [
        ("data=None", "app.include_router(data)", "fill()"),
        ("data", "app.include_router(data)", "app"),
        ("data", "@app.get('/')\n    def index(): ...", "app"),
    ],
)
def test_a_function_that_only_a_program_gives_arguments_is_one_of_two(
    tree: Tree, data: str, more: str, name: str
) -> None:
    text = f"{FASTAPI['main.py']}allow(app)\ndef fill({data}):\n    {more}\n"
    program = "import uvicorn\nfrom main import fill\n"
    program += "if __name__ == '__main__':\n    uvicorn.run(fill(data()))\n"
    with pytest.raises(UsageError) as raised:
        start(tree({"main.py": f"{text}    return app\n", "run.py": program}), "fastapi", "uvicorn")
    lines = f'`app = "main:{name}"` or `command = ["python", "run.py"]`'
    assert raised.value.hint == f"write in [tool.uvflow.docker]: {lines}"


@pytest.mark.parametrize(
    ("line", "bind"),
    [
        ("gunicorn main:app", ""),
        ("gunicorn -c gunicorn.conf.py main:app", "bind = f\"[::]:{os.getenv('PORT', 5006)}\""),
        ("gunicorn main:app", "bind = f\"0.0.0.0:{os.environ.get('PORT', 5006)}\""),
        ("python -m app", ""),
        ("uvicorn main:app --port $PORT", ""),
    ],
)
def test_the_probe_asks_the_port_that_the_service_is_given(
    tree: Tree, line: str, bind: str
) -> None:
    files = {"Procfile": f"web: {line}\n", "gunicorn.conf.py": bind}
    assert start(tree({**FASTAPI, **files}), "fastapi", "gunicorn", "uvicorn").reads_port


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn main:app",
        "uvicorn main:app --port 8000",
        "uvicorn main:app",
        "streamlit run page.py",
    ],
)
def test_the_probe_asks_a_port_that_nothing_changes(tree: Tree, line: str) -> None:
    files = {"Procfile": f"web: {line}\n", "gunicorn.conf.py": "bind = '0.0.0.0:5006'\n"}
    assert not start(tree({**FASTAPI, **files}), "fastapi", "gunicorn", "uvicorn").reads_port


def test_several_services_of_which_none_stands_out_are_remarked(tree: Tree) -> None:
    text = COMPOSE.format(".", "./serve") + "  worker:\n    build: .\n    command: ./work\n"
    found = search(tree({**FASTAPI, "compose.yaml": text}), "fastapi", "uvicorn")
    assert list(found.remarks()) == [
        "the compose file builds web and worker here: none stands out as the service"
    ]
    assert found.processes() == ()


@pytest.mark.parametrize(
    "bind",
    [
        '"0.0.0.0:7000"',
        "f\"0.0.0.0:{os.environ.get('PORT', '7000')}\"",
        "'0.0.0.0:' + os.getenv('PORT', \"7000\")  # RFC:12",
        "['[::1]:7000']",
    ],
)
def test_the_port_that_gunicorn_is_configured_with_is_the_port(tree: Tree, bind: str) -> None:
    files = {"gunicorn.conf.py": f"bind = {bind}\n", **FLASK}
    found = start(tree(files), "flask", "gunicorn")
    follows = "PORT" in bind
    assert (found.port, found.reads_port) == (7000, follows)
    assert ("--bind=0.0.0.0:7000" in found.command) is not follows
    assert found.environment == ((("PORT", "7000"),) if follows else ())


def test_a_configuration_that_binds_port_where_only_the_container_is_gives_no_address(
    tree: Tree,
) -> None:
    bind = "bind = '127.0.0.1:' + os.environ['PORT']\n"
    found = start(tree({"gunicorn.conf.py": bind, **FLASK}), "flask", "gunicorn")
    assert (found.port, found.command[1]) == (8000, "--bind=0.0.0.0:8000")


@pytest.mark.parametrize(
    ("installed", "worker"),
    [
        (("eventlet", "gevent"), "--worker-class=eventlet"),
        (("gevent",), "--worker-class=gevent"),
        (
            ("gevent", "gevent-websocket"),
            "--worker-class=geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
        ),
        ((), "--threads=100"),
    ],
)
def test_flask_socketio_has_one_worker_that_serves_websockets(
    tree: Tree, installed: tuple[str, ...], worker: str
) -> None:
    found = start(tree(FLASK), "flask", "gunicorn", "flask-socketio", *installed)
    assert found.command[-3:] == ("--workers=1", worker, "shop.web:create_app()")


@pytest.mark.parametrize(
    ("worker", "version", "why", "advice"),
    [
        ("eventlet", "26.0", "gunicorn 26.0 has no worker for eventlet", "gunicorn<26"),
        ("gevent", "27.0", "gunicorn 27.0 needs packaging for its worker of gevent", "gevent"),
    ],
)
def test_a_worker_that_gunicorn_cannot_load_is_not_started(
    tree: Tree, worker: str, version: str, why: str, advice: str
) -> None:
    versions = {"flask": "1", "flask-socketio": "1", "gunicorn": version, worker: "1"}
    root = tree(FLASK)
    with pytest.raises(UsageError) as caught:
        replace(search(root), versions=versions).start()
    assert caught.value.message == why
    assert advice in str(caught.value.hint)
    said = replace(search(root, command=("gunicorn", "-k", worker, "a:b")), versions=versions)
    with pytest.raises(UsageError, match=why):
        said.start()
    old = {**versions, "gunicorn": "25.3", "packaging": "1"}
    assert f"--worker-class={worker}" in replace(search(root), versions=old).start().command


@pytest.mark.parametrize(
    "worker", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker"]
)
def test_gunicorn_serves_asgi_by_the_worker_of_its_configuration(tree: Tree, worker: str) -> None:
    files = {"gunicorn.conf.py": f'bind = ":9000"\nworker_class = "{worker}"\n', **FASTAPI}
    found = start(tree(files), "fastapi", "gunicorn", "uvicorn")
    assert (found.command[0], found.command[-1]) == ("gunicorn", "main:app")
    assert (found.port, found.loads_source) == (9000, True)
    assert found.evidence == "main.py has FastAPI(); gunicorn is a dependency"
    with pytest.raises(UsageError, match="no server for main:app"):
        start(tree({}), "fastapi", "gunicorn")


def test_gunicorn_with_another_worker_serves_no_asgi(tree: Tree) -> None:
    files = {"gunicorn.conf.py": 'worker_class = "gevent"\n', **FASTAPI}
    found = start(tree(files), "fastapi", "gunicorn", "uvicorn")
    assert found.command[0] == "uvicorn"


def test_streamlit_listens_where_its_configuration_says(tree: Tree) -> None:
    config = '[server]\nport = 8080\nbaseUrlPath = "/ui/"\n'
    root = tree({"page.py": "import streamlit\n", ".streamlit/config.toml": config})
    found = start(root, "streamlit")
    assert (found.port, found.health) == (8080, "/ui/_stcore/health")
    assert found.command[3] == "--server.port=8080"


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ("[]", ""),
        ("['*']", ""),
        ("['shop.example', '127.0.0.1']", ""),
        ("('.shop.example', other())", "shop.example"),
        ("['shop.example']\nCSRF_TRUSTED_ORIGINS = ALLOWED_HOSTS", "shop.example"),
    ],
)
def test_the_health_check_asks_as_a_host_that_django_allows(
    tree: Tree, hosts: str, host: str
) -> None:
    settings = f"from core.base import *\nALLOWED_HOSTS = {hosts}\n"
    files = {**served(settings), "core/base.py": "ALLOWED_HOSTS = ['other.example']\n"}
    found = start(tree(files), "django", "gunicorn")
    assert (found.health, found.host, found.remarks) == ("/healthz", host, ())


TRUSTED = (
    "from fastapi import FastAPI\n\napp = FastAPI()\n"
    "app.add_middleware(TrustedHostMiddleware, allowed_hosts={})\n"
    "@app.get('/healthz')\ndef h(): ...\n"
)


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ("['*']", ""),
        ("['shop.example', '127.0.0.1']", ""),
        ("['shop.example', '*.shop.example']", "shop.example"),
        ("['*.shop.example']", "www.shop.example"),
    ],
)
def test_the_health_check_asks_as_a_host_that_starlette_trusts(
    tree: Tree, hosts: str, host: str
) -> None:
    found = start(tree({"main.py": TRUSTED.format(hosts)}), "fastapi", "uvicorn")
    assert (found.health, found.host, found.remarks) == ("/healthz", host, ())


@pytest.mark.parametrize(
    "line",
    [
        "app.config['TRUSTED_HOSTS'] = ['a.example']",
        "app.config.update(TRUSTED_HOSTS=['a.example'])",
        "class Config:\n    TRUSTED_HOSTS = ['a.example']",
    ],
)
def test_the_health_check_asks_as_a_host_that_flask_trusts(tree: Tree, line: str) -> None:
    text = f"app = Flask(__name__)\n{line}\n@app.get('/healthz')\ndef h(): ...\n"
    found = start(tree({"main.py": text}), "flask", "gunicorn")
    assert (found.health, found.host) == ("/healthz", "a.example")


def test_the_health_check_asks_as_a_host_that_litestar_allows(tree: Tree) -> None:
    route = "from litestar import get\n@get('/healthz')\ndef h(): ...\n"
    hosts = "allowed_hosts=AllowedHostsConfig(allowed_hosts=['a.example'])"
    root = tree({"main.py": f"{route}app = Litestar([h], {hosts})\n"})
    found = start(root, "litestar", "uvicorn")
    assert (found.health, found.host) == ("/healthz", "a.example")


def test_where_the_trusted_hosts_are_computed_status_400_may_be_about_the_host(tree: Tree) -> None:
    found = start(tree({"main.py": TRUSTED.format("HOSTS")}), "fastapi", "uvicorn")
    assert (found.health, found.host) == ("/healthz", None)
    [remark] = found.remarks
    assert remark == (
        "the list of trusted hosts is computed, and may not allow 127.0.0.1: with status 400"
        " the image counts as healthy as well"
    )


@pytest.mark.parametrize(
    "hosts",
    [
        "ALLOWED_HOSTS = env.list('HOSTS')\n",
        "ALLOWED_HOSTS = []\nALLOWED_HOSTS += ['shop.example']\n",
        "ALLOWED_HOSTS = []\nALLOWED_HOSTS.append(HOST)\n",
        "ALLOWED_HOSTS = ['localhost']\nif not DEBUG:\n    ALLOWED_HOSTS = ['shop.example']\n",
        "if DEBUG:\n    ALLOWED_HOSTS = ['localhost']\n",
        "from core.base import *\nALLOWED_HOSTS += ['shop.example']\n",
    ],
)
def test_where_the_hosts_are_computed_status_400_may_be_about_the_host(
    tree: Tree, hosts: str
) -> None:
    root = tree({**served(hosts), "core/base.py": "ALLOWED_HOSTS = ['*']\n"})
    found = start(root, "django", "gunicorn")
    assert (found.health, found.host) == ("/healthz", None)
    [remark] = found.remarks
    assert remark == (
        "ALLOWED_HOSTS of core.settings is computed, and may not allow 127.0.0.1: with status 400"
        " the image counts as healthy as well"
    )
    given = start(root, "django", "gunicorn", health="/up")
    assert (given.health, given.host, given.remarks) == ("/up", None, ())


def served(settings: str) -> dict[str, str]:
    text = DJANGO["core/settings.py"] + 'ROOT_URLCONF = "core.urls"\n' + settings
    urls = "urlpatterns = [path('healthz', view)]\n"
    return {**DJANGO, "core/settings.py": text, "core/urls.py": urls}


def test_a_program_that_runs_a_server_of_its_own_is_listed(tree: Tree) -> None:
    files = {
        "shop/api.py": "def build():\n    return FastAPI()\n",
        "shop/run.py": "def main():\n    uvicorn.Server(config)\n",
    }
    with pytest.raises(UsageError) as caught:
        start(tree(files), "fastapi", "uvicorn", scripts={"shop": "shop.run:main"})
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `app = "shop.api:build()"` or `command = ["shop"]`'
    )


def test_the_configuration_of_gunicorn_names_the_application(tree: Tree) -> None:
    files = {"gunicorn.conf.py": 'wsgi_app = "admin:site"\n', **FLASK}
    assert start(tree(files), "flask", "gunicorn").command[-1] == "admin:site"


def test_a_procfile_without_web_is_listed(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({"Procfile": "worker: python bot.py\n"}))
    assert caught.value.hint == 'write in [tool.uvflow.docker]: `command = ["python", "bot.py"]`'


def test_two_candidates_are_listed_with_the_lines_to_write(tree: Tree) -> None:
    page = {"pages.py": "import streamlit\n"}
    with pytest.raises(UsageError) as caught:
        start(tree({**FASTAPI, **page}), "fastapi", "uvicorn", "streamlit")
    assert caught.value.message == (
        "several things could be started, and nothing tells which is meant"
    )
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `app = "main:app"` or '
        '`command = ["streamlit", "run", "--server.address=0.0.0.0", "--server.port=8501", '
        '"--server.headless=true", "pages.py"]`'
    )


def test_an_application_without_a_server_is_no_candidate_beside_one_that_has(tree: Tree) -> None:
    other = {"admin.py": "from flask import Flask\napp = Flask('x')\n"}
    root = tree({**FASTAPI, **other})
    assert start(root, "fastapi", "flask", "uvicorn").command[-1] == "main:app"


def test_a_script_beside_a_web_framework_is_no_service(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({}), "fastapi", "uvicorn", scripts={"seed": "shop:seed"})
    assert caught.value.hint == 'write in [tool.uvflow.docker]: `command = ["seed"]`'


def test_a_script_beside_a_server_of_aiohttp_is_no_service(tree: Tree) -> None:
    scripts = {"seed": "shop:seed"}
    assert start(tree({}), "aiohttp", scripts=scripts).command == ("seed",)
    with pytest.raises(UsageError, match="found nothing"):
        start(tree({"web.py": "app = web.Application()\n"}), "aiohttp", scripts=scripts)
    with pytest.raises(UsageError, match="found nothing"):
        start(tree({}), "sanic", scripts=scripts)


def test_two_django_projects_are_a_question(tree: Tree) -> None:
    text = 'os.environ["DJANGO_SETTINGS_MODULE"] = "s"\napplication = 1\n'
    with pytest.raises(UsageError) as caught:
        start(tree({"a/wsgi.py": text, "b/wsgi.py": text}), "django", "gunicorn")
    assert caught.value.hint == (
        'write in [tool.uvflow.docker]: `app = "a.wsgi:application"` '
        'or `app = "b.wsgi:application"`'
    )


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        ("gunicorn shop:app", True),
        ("python -m celery -A shop worker", True),
        ("migrate && uvicorn shop:app", True),
        ("waitress-serve shop:app", False),
        ("python serve.py", False),
        ("migrate && python serve.py", False),
        ("gunicorn shop:app -w $(nproc)", True),
        ('gunicorn shop:app -w $(python -c "import os; print(os.cpu_count())")', True),
        ('python serve.py -w $(python -c "import os; print(os.cpu_count())")', False),
        ("nice -n 5 gunicorn shop:app", True),
        ("opentelemetry-instrument --traces_exporter none gunicorn shop:app", True),
        ("ddtrace-run python -m gunicorn.app.wsgiapp shop:app", True),
        ("python -u -m gunicorn shop:app", True),
        ("exec nice -n5 python serve.py", False),
        ("python serve.py | tee log", True),
        ("bin/start.sh", True),
        ("./wait-for-it.sh db:5432 -- gunicorn shop:app", True),
        ("sh bin/start 8000", True),
        ("bin/start", False),
    ],
)
def test_what_python_runs_does_not_end_at_sigterm_by_itself(
    tree: Tree, command: str, *, ends: bool
) -> None:
    root = tree({"Procfile": f"web: {command}\n"})
    assert start(root).ends_at_sigterm is ends


@pytest.mark.parametrize("line", ["bin/start --x", "sh bin/start --x"])
def test_a_script_that_keeps_signals_to_itself_is_run_by_a_shell_that_does_not(
    tree: Tree, line: str
) -> None:
    text = "#!/bin/sh\nmigrate\n{}gunicorn a:b\n"
    root = tree({"Procfile": f"web: {line}\n", "bin/start": text.format("")})
    trap = "trap 'trap : TERM; kill 0; wait' TERM;"
    found = start(root)
    assert found.command == ("sh", "-c", f"{trap} {{ {line}; }} & wait $!")
    assert found.ends_at_sigterm
    root = tree({"bin/start": text.format("exec ")})
    assert start(root).command == tuple(line.split())


@pytest.mark.parametrize(
    "code",
    [
        "import signal\nsignal.signal(signal.SIGTERM, stop)\n",
        "from gunicorn.app.base import BaseApplication\n",
    ],
)
def test_a_service_that_knows_sigterm_gets_it(tree: Tree, code: str) -> None:
    root = tree({"Procfile": "web: python serve.py\n", "serve.py": code})
    assert start(root).ends_at_sigterm
