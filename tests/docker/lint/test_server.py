"""The ports of a server and what it cannot serve: by its options, its settings, the source."""

from dataclasses import replace

import pytest
from dockerfiles import CONTEXT, GOOD, changed, linted, reading

from uvflow.docker.lint.check import CHECKS

CMD = 'CMD ["uvicorn", "--host=0.0.0.0", "main:app"]'
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\napp: Flask = Flask(__name__)\n"
FACTORY = "def create_app(config=None):\n    app = Flask('shop')\n    return app\n"
FOR_ASGI = FACTORY.replace("Flask", "FastAPI")
THERE = frozenset({"daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress"})


def messages(words: str, main: str, **texts: str) -> list[str]:
    """What is said of `words` beside main.py, and of a file of settings with a dot for a `_`."""
    files = {"main.py": main, **{name.replace("_", "."): text for name, text in texts.items()}}
    context = replace(
        CONTEXT, files=CONTEXT.files | {*files}, locked=THERE, text=reading(files), packages=(".",)
    )
    dockerfile = linted(GOOD.replace(CMD, f"CMD exec {words}"), context)
    found = [found for check in CHECKS for found in check(dockerfile)]
    return [text for code, _, text in found if code == "application-not-served"]


@pytest.mark.parametrize(
    ("words", "main", "found"),
    [
        ("gunicorn -b :80 main:app", FASTAPI, "gunicorn serves WSGI, and main:app is ASGI"),
        ("gunicorn -b :80 -k gevent main:app", FASTAPI, "gunicorn serves WSGI"),
        ("waitress-serve main:app", FASTAPI, "waitress-serve serves WSGI"),
        ("uvicorn --host :: main:app", FLASK, "uvicorn serves ASGI, and main:app is WSGI"),
        ("gunicorn -b :80 -k uvicorn.workers.UvicornWorker main:app", FLASK, "gunicorn serves A"),
        (
            "gunicorn -b :80 'main:make()'",
            "def make():\n    return FastAPI()\n",
            "gunicorn serves WSGI",
        ),
        ("gunicorn -b :80 -k uvicorn.workers.UvicornWorker main:app", FASTAPI, ""),
        ("gunicorn -b :80 -kuvicorn.workers.UvicornWorker main:app", FASTAPI, ""),
        ("gunicorn -b :80 -k own.Worker main:app", FASTAPI, ""),
        ("env GUNICORN_CMD_ARGS='-k asgi' gunicorn -b :80 main:app", FASTAPI, ""),
        ("gunicorn -b :80 $OPTIONS main:app", FASTAPI, ""),
        ("gunicorn -b :80 main:app", f"{FASTAPI}app = ASGIMiddleware(app)\n", ""),
        ("gunicorn -b :80 main:app.wsgi", FASTAPI, ""),
        ("uvicorn --host :: --interface=wsgi main:app", FLASK, ""),
        ("uvicorn --host :: main:app", FASTAPI, ""),
        ("hypercorn -b :80 main:app", FLASK, ""),
    ],
)
def test_an_interface_that_the_server_does_not_serve(words: str, main: str, found: str) -> None:
    said = messages(words, main)
    assert len(said) == bool(found)
    assert all(each.startswith(found) for each in said)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ("workers = 2\n", 1),
        ("# worker_class = 'uvicorn.workers.UvicornWorker'\n", 1),
        ("worker_class = 'uvicorn.workers.UvicornWorker'\n", 0),
        ("from deploy import *\n", 0),
    ],
)
def test_a_worker_class_in_the_configuration(settings: str, count: int) -> None:
    assert len(messages("gunicorn main:app", FASTAPI, gunicorn_conf_py=settings)) == count
    named = messages("gunicorn -c ./own.py main:app", FASTAPI, own_py=settings)
    by_module = messages("gunicorn -c python:own main:app", FASTAPI, own_py=settings)
    assert len(named) == len(by_module) == count


@pytest.mark.parametrize(
    ("words", "main", "is_found"),
    [
        ("gunicorn -b :80 main:create_app", FACTORY, True),
        ("waitress-serve main:create_app", FACTORY, True),
        ("hypercorn -b :80 main:create_app", FACTORY, True),
        ("granian --host=:: --interface=wsgi main:create_app", FACTORY, True),
        ("gunicorn -b :80 'main:create_app()'", FACTORY, False),
        ("waitress-serve --call main:create_app", FACTORY, False),
        ("granian --host=:: --interface=wsgi --factory main:create_app", FACTORY, False),
        ("uvicorn --host=:: main:create_app", FOR_ASGI, False),  # it finds that out
        ("gunicorn -b :80 -k uvicorn.workers.UvicornWorker main:create_app", FOR_ASGI, False),
        ("gunicorn -b :80 main:create_app", f"@wsgi\n{FACTORY}", False),
        ("gunicorn -b :80 main:create_app", f"{FACTORY}create_app = create_app()\n", False),
        ("gunicorn -b :80 main:app", "def app(environ, start_response):\n    ...\n", False),
        ("hypercorn -b :80 main:app", "async def app(scope, receive, send):\n    ...\n", False),
        ("gunicorn -b :80 main:create_app", "def create_app(:\n", False),
    ],
)
def test_a_factory_that_is_taken_for_the_application(
    words: str,
    main: str,
    is_found: bool,  # noqa: FBT001
) -> None:
    server = words.partition(" ")[0]
    called = f"{server} calls main:create_app for every request: it returns the application"
    assert messages(words, main) == [called] * is_found


@pytest.mark.parametrize(
    ("words", "file", "settings", "served"),
    [
        ("gunicorn main:app", "gunicorn.conf.py", "bind = '0.0.0.0:5000'\n", "5000"),
        ("gunicorn -c file:own.py main:app", "own.py", "bind = ':5000'  # all\n", "5000"),
        ("gunicorn -c python:shop.own main:app", "shop/own.py", "bind = ['[::]:5000']\n", "5000"),
        ("hypercorn -c own.toml main:app", "own.toml", 'bind = ["0.0.0.0:5000"]\n', "5000"),
        ("gunicorn main:app", "gunicorn.conf.py", "bind = 'unix:/run/web.sock'\n", "a socket"),
        ("gunicorn -b unix:/run/web.sock main:app", "", "", "a socket"),
        ("uvicorn --uds /run/web.sock main:app", "", "", "a socket"),
        ("gunicorn -b :5000 main:app", "gunicorn.conf.py", "bind = ':8000'\n", "5000"),
        ("gunicorn -b :5000 -b :8000 main:app", "", "", ""),
        ("env UVICORN_PORT=5000 uvicorn --host=:: main:app", "", "", "5000"),
        ("env GUNICORN_CMD_ARGS=--bind=:5000 gunicorn main:app", "", "", "5000"),
        ("daphne -e tcp:port=5000:interface=0.0.0.0 main:app", "", "", "5000"),
        ("daphne -b 0.0.0.0 main:app", "", "", ""),
        ("gunicorn main:app", "gunicorn.conf.py", "bind = f'0.0.0.0:{PORT}'\n", ""),
        ("gunicorn main:app", "gunicorn.conf.py", "bind = ':' + '5000'\n", ""),
        ("gunicorn main:app", "gunicorn.conf.py", "bind = ':1'\nif X:\n    bind = ':2'\n", ""),
        ("gunicorn -c /etc/own.py main:app", "", "", ""),
        ("gunicorn -b :5000 -b :$PORT main:app", "", "", ""),
    ],
)
def test_the_port_that_is_served(words: str, file: str, settings: str, served: str) -> None:
    context = replace(
        CONTEXT,
        files=CONTEXT.files | ({file} - {""}),
        locked=THERE,
        text=reading({file: settings}),
    )
    dockerfile = linted(GOOD.replace(CMD, f"EXPOSE 8000\nCMD exec {words}"), context)
    found = [found for check in CHECKS for found in check(dockerfile)]
    said = [text for code, _, text in found if code == "ports-differ"]
    assert said == ([f"EXPOSE names 8000, but {served} is served"] if served else [])


def test_a_health_check_of_a_port_that_is_exposed_and_not_served() -> None:
    probe = """HEALTHCHECK CMD python -c "u.urlopen('http://localhost:80/')\""""
    assert changed(CMD, f"EXPOSE 80\n{probe}\n{CMD}") == [
        ("ports-differ", 13),
        ("ports-differ", 14),
    ]


def test_the_port_of_streamlit_in_a_variable() -> None:
    start = 'ENV STREAMLIT_SERVER_PORT=7860\nEXPOSE {}\nCMD ["streamlit", "run", "main.py"]'
    there = replace(CONTEXT, locked=frozenset({"streamlit"}))
    assert changed(CMD, start.format(7860), there) == []
    assert changed(CMD, start.format(8501), there) == [("ports-differ", 14)]
