"""The start command is found by evidence, in an order, or asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rig import Tree

from uvflow.docker.settings import Settings
from uvflow.docker.source import Sources
from uvflow.docker.start import Search, Start
from uvflow.errors import UsageError

FASTAPI = {"main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"}
FLASK = {"src/shop/web.py": "from flask import Flask\n\ndef create_app():\n    return Flask('x')\n"}
DJANGO = {
    "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site.settings")\n',
    "site/settings.py": 'WSGI_APPLICATION = "site.wsgi.application"\n',
    "site/wsgi.py": "application = get_wsgi_application()\n",
    "site/asgi.py": "application = get_asgi_application()\n",
}


def start(
    root: Path,
    *installed: str,
    scripts: Mapping[str, str] | None = None,
    procfile: str | None = None,
    **said: Any,
) -> Start:
    search = Search(
        name="shop",
        installed=frozenset(installed),
        sources=Sources(root),
        scripts=scripts or {},
        procfile=procfile,
        settings=Settings(**said),
    )
    return search.start()


def test_django_is_served_by_gunicorn_with_the_application_of_its_settings(tree: Tree) -> None:
    found = start(tree(DJANGO), "django", "gunicorn")
    assert found == Start(
        command=(
            "gunicorn",
            "--bind=0.0.0.0:8000",
            "--access-logfile=-",
            "--worker-tmp-dir=/dev/shm",
            "site.wsgi:application",
        ),
        development=(
            "gunicorn",
            "--reload",
            "--bind=0.0.0.0:8000",
            "--access-logfile=-",
            "--worker-tmp-dir=/dev/shm",
            "site.wsgi:application",
        ),
        evidence="WSGI_APPLICATION of site.settings; gunicorn is a dependency",
        port=8000,
        module="site/wsgi.py",
    )


def test_django_with_an_asgi_server_alone_gets_its_asgi_module(tree: Tree) -> None:
    found = start(tree(DJANGO), "django", "uvicorn")
    assert found.command == ("uvicorn", "--host=0.0.0.0", "--port=8000", "site.asgi:application")


def test_django_that_names_an_asgi_application_gets_it(tree: Tree) -> None:
    settings = 'ASGI_APPLICATION = "site.asgi.application"\n'
    root = tree(DJANGO | {"site/settings.py": settings})
    found = start(root, "django", "daphne", "gunicorn")
    assert found.command == ("daphne", "--bind=0.0.0.0", "--port=8000", "site.asgi:application")


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
    assert caught.value.hint == ("`uv add uvicorn`, or set `command` in [tool.uvflow.docker]")


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
    found = start(tree({}), scripts={"sell": "shop:sell"})
    assert found == Start(
        command=("sell",),
        development=("sell",),
        evidence="`sell` of [project.scripts]",
        is_program=True,
    )


def test_of_several_scripts_the_one_named_as_the_project(tree: Tree) -> None:
    assert start(tree({}), scripts={"sell": "a:b", "shop": "a:c"}).command == ("shop",)


def test_several_scripts_of_other_names_are_a_question(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({}), scripts={"sell": "a:b", "buy": "a:c"})
    assert caught.value.cause == (
        "[project.scripts] has several entries, none named shop: sell, buy"
    )


def test_a_procfile_is_the_last_evidence(tree: Tree) -> None:
    found = start(tree({}), procfile="worker: x\nweb: gunicorn site.wsgi --log-file -\n")
    assert found.command == ("gunicorn", "site.wsgi", "--log-file", "-")
    assert (found.port, found.environment) == (8000, (("PORT", "8000"),))


@pytest.mark.parametrize("command", ["gunicorn 'a:b", "gunicorn -b :$PORT a:b\\"])
def test_a_procfile_that_no_shell_reads_is_refused(tree: Tree, command: str) -> None:
    with pytest.raises(UsageError, match="`web` of the Procfile") as caught:
        start(tree({}), procfile=f"web: {command}\n")
    assert caught.value.cause
    assert command in caught.value.cause


def test_a_procfile_with_variables_needs_a_shell(tree: Tree) -> None:
    found = start(tree({}), procfile="web: gunicorn -b :$PORT a:b\n")
    assert found.command == ("sh", "-c", "exec gunicorn -b :$PORT a:b")
    assert found.needs_shell


def test_nothing_at_all_is_told_with_three_ways_out(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        start(tree({}))
    assert caught.value.message == "found nothing for the container to start"
    assert caught.value.hint == (
        'set `command = ["python", "-m", "…"]` or `app = "module:attribute"` in '
        "[tool.uvflow.docker], or add a script to [project.scripts]"
    )


def test_the_root_of_a_workspace_points_to_its_members(tree: Tree) -> None:
    search = Search(
        name="all",
        installed=frozenset(),
        sources=Sources(tree({})),
        scripts={},
        procfile=None,
        settings=Settings(),
        members=("backend", "worker"),
    )
    with pytest.raises(UsageError) as caught:
        search.start()
    assert caught.value.hint == "run `uvflow docker` in backend or worker"


def test_what_the_user_says_is_started(tree: Tree) -> None:
    found = start(tree(FASTAPI), "fastapi", "uvicorn", command=("python", "-m", "shop"))
    assert found.command == ("python", "-m", "shop")
    assert not found.probes


def test_an_application_that_the_user_names_is_served(tree: Tree) -> None:
    found = start(tree({}), "fastapi", "uvicorn", app="shop.odd:make()")
    assert found.command[-2:] == ("--factory", "shop.odd:make")


def test_port_and_health_are_the_users(tree: Tree) -> None:
    found = start(tree(FASTAPI), "fastapi", "uvicorn", port=9000, health="/up")
    assert (found.port, found.health) == (9000, "/up")
    assert not start(tree(FASTAPI), "fastapi", "uvicorn", health=False).probes
