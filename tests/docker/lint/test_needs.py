"""What a start needs, and the image does not have, is found with a message that names it."""

from dataclasses import replace

import pytest
from dockerfiles import CONTEXT, GOOD, linted, reading

from uvflow.docker.lint.check import CHECKS
from uvflow.docker.lint.model import LintContext

CMD = 'CMD ["uvicorn", "--host=0.0.0.0", "main:app"]'
DJANGO = "config/settings.py"
PACKAGE = replace(
    CONTEXT,
    files=CONTEXT.files | {"src/shop/web.py"},
    packages=(".",),
    local=frozenset({"shop"}),
    locked=frozenset({"shop", "uvicorn"}),
    scripts=frozenset({"shop"}),
)


def messages(text: str, context: LintContext = CONTEXT) -> list[str]:
    dockerfile = linted(text, context)
    return [message for check in CHECKS for _, _, message in check(dockerfile)]


def started(words: str, context: LintContext = CONTEXT, old: str = CMD) -> list[str]:
    """What is found when GOOD starts `words`, instead of its CMD."""
    assert old in GOOD
    return messages(GOOD.replace(old, words), context)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("gunicorn -k gevent -b :80 main:app", ["gevent is not in uv.lock"]),
        ("gunicorn -k uvicorn_worker.Worker -b :80 main:app", ["uvicorn-worker is not in uv.lock"]),
        ("gunicorn --worker-class=uvicorn.workers.UvicornWorker -b :80 main:app", []),
        ("gunicorn -k shop.workers.Own -b :80 main:app", []),
        ("fastapi run --host=:: main.py", ["fastapi-cli is not in uv.lock"]),
        ("alembic upgrade head", ["alembic is not in uv.lock"]),
    ],
)
def test_a_distribution_that_is_not_locked(words: str, found: list[str]) -> None:
    context = replace(CONTEXT, locked=frozenset({"fastapi", "gunicorn", "uvicorn"}))
    assert started(f"CMD exec {words}", context) == found


def test_a_script_needs_what_it_runs_before_the_service() -> None:
    script = '#!/bin/sh\ncase "$1" in celery) shift ;; esac\nalembic upgrade head\nexec "$@"\n'
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, text=reading({"entry": script}))
    assert started(f'ENTRYPOINT ["./entry"]\n{CMD}', context) == ["alembic is not in uv.lock"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("-c gunicorn.conf.py", ["gunicorn.conf.py does not exist in the image"]),
        ("-c deploy/gunicorn.conf.py", []),
        ("-c /etc/gunicorn.conf.py", []),
        ("-c python:shop.app", []),
    ],
)
@pytest.mark.parametrize("server", ["gunicorn", "hypercorn"])
def test_a_configuration_of_a_server(server: str, words: str, found: list[str]) -> None:
    files = CONTEXT.files | {"deploy/gunicorn.conf.py"}
    context = replace(CONTEXT, files=files, locked=frozenset({server}))
    assert started(f"CMD exec {server} {words} main:app", context) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("-A shop.worker", ["the image has no shop.worker in /app"]),
        ("--app=shop.worker:queue", ["the image has no shop.worker in /app"]),
        ("-A shop.app", []),
        ("-A shop.queue", []),  # an attribute of the package
        ("-A shop", []),
        ("-A shop.app -P gevent", ["gevent is not in uv.lock"]),
    ],
)
def test_what_celery_loads(words: str, found: list[str]) -> None:
    files = CONTEXT.files | {"shop/__init__.py"}
    text = reading({"shop/__init__.py": "from .app import queue\n"})
    context = replace(CONTEXT, files=files, locked=frozenset({"celery"}), text=text)
    assert started(f"CMD exec celery {words} worker", context) == found


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("chdir = 'srv'\n", []),
        ("pythonpath = '/app/srv'\n", []),
        ("chdir = str(BASE / 'srv')\n", []),
        ("chdir = 'other'\n", ["the image has no web in /app"]),
    ],
)
def test_a_directory_in_the_configuration_of_gunicorn(settings: str, found: list[str]) -> None:
    files = CONTEXT.files | {"gunicorn.conf.py", "srv/web.py"}
    texts = reading({"gunicorn.conf.py": settings})
    context = replace(CONTEXT, files=files, locked=frozenset({"gunicorn"}), text=texts)
    assert started("CMD exec gunicorn -b :80 web:app", context) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("api = FastAPI()\n", ["main has no app"]),
        ("if True:\n    app = FastAPI()\n", []),
        ("from shop.app import *\n", []),
        ("globals()['a' + 'pp'] = 1\n", []),
        ("", []),
    ],
)
def test_an_attribute_that_the_module_does_not_have(source: str, found: list[str]) -> None:
    assert started(CMD, replace(CONTEXT, text=reading({"main.py": source}))) == found


@pytest.mark.parametrize(
    ("settings", "words", "found"),
    [
        ("config.settings", "gunicorn -b :80 main:app", []),
        ("config.settings.prod", "python main.py", []),
        *(
            ("config.settings.prod", words, ["the image has no config.settings.prod in /app"])
            for words in ("gunicorn -b :80 main:app", "python manage.py rqworker")
        ),
        ("config.settings", "python manage.py rqworker", []),
        ("other", "python shop/manage.py rqworker", []),
    ],
)
def test_a_settings_module_of_django(settings: str, words: str, found: list[str]) -> None:
    files = CONTEXT.files | {DJANGO, "manage.py", "shop/manage.py", "shop/other.py"}
    context = replace(CONTEXT, files=files, locked=frozenset({"django", "gunicorn"}))
    assert started(f"ENV DJANGO_SETTINGS_MODULE={settings}\nCMD exec {words}", context) == found


LEFT_OUT = "shop is not installed: no step installs the project"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ('CMD ["shop"]', [LEFT_OUT]),
        ('CMD ["uvicorn", "--host=::", "shop.web:app"]', ["the image has no shop.web in /app"]),
        ('ENV PYTHONPATH=src\nCMD ["uvicorn", "--host=::", "shop.web:app"]', []),
        ('CMD ["python", "-m", "shop.other"]', ["the image has no shop.other in /app"]),
        ('RUN uv pip install --no-cache dist/shop.whl\nCMD ["shop"]', []),
    ],
)
def test_a_project_that_no_sync_installs(words: str, found: list[str]) -> None:
    assert started(words, PACKAGE) == found


def test_a_project_that_a_sync_installs() -> None:
    synced = GOOD.replace(" --no-install-project", "")
    assert messages(synced.replace(CMD, 'CMD ["shop"]'), PACKAGE) == []
    for module, found in (("web", []), ("other", ["the image has no shop.other in /app"])):
        start = f'CMD ["python", "-m", "shop.{module}"]'
        assert messages(synced.replace(CMD, start), PACKAGE) == found


def test_a_package_in_a_directory_of_another_name_is_installed() -> None:
    synced = GOOD.replace(" --no-install-project", "").replace("main:app", "bird.web:app")
    assert messages(synced, PACKAGE) == ["the image has no bird.web in /app"]
    assert messages(synced, replace(PACKAGE, renamed=frozenset({"bird"}))) == []


ALPINE = GOOD.replace("slim-trixie", "alpine3.22")


@pytest.mark.parametrize(
    ("line", "first", "found"),
    [
        ("", "#!/bin/bash", ["bash is not in the image"]),
        ("", "#!/usr/bin/env bash", ["bash is not in the image"]),
        ("", "#!/bin/sh", []),
        ("RUN apk add --no-cache bash\n", "#!/bin/bash", []),
        ("ARG MORE=bash\nRUN apk add --no-cache $MORE\n", "#!/bin/bash", []),
        ("COPY --from=registry.test/tools:1 /usr/bin /usr/bin\n", "#!/bin/bash", []),
    ],
)
def test_an_interpreter_that_the_base_lacks(line: str, first: str, found: list[str]) -> None:
    texts = reading({"entry": f'{first}\nexec "$@"\n'})
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, text=texts)
    start = f'{line}ENTRYPOINT ["./entry"]\n{CMD}'
    assert messages(ALPINE.replace(CMD, start), context) == found


def test_a_program_that_only_the_build_has() -> None:
    uv = "uv is not in the image"
    assert started('ENV UV_NO_SYNC=1\nCMD ["uv", "run", "uvicorn", "--host=::", "main:app"]') == [
        uv
    ]
    assert started(f"HEALTHCHECK CMD uv run --no-sync python main.py\n{CMD}") == [uv]
    assert started(f"HEALTHCHECK CMD pg_isready\n{CMD}") == ["pg_isready is not in the image"]
    assert started(f"RUN pip install --no-cache-dir curl==1\nHEALTHCHECK CMD uv run x\n{CMD}") == [
        uv
    ]
    assert started(f"HEALTHCHECK NONE\n{CMD}") == []


@pytest.mark.parametrize(
    ("line", "entry", "found"),
    [
        ("", "tini", ["tini is not in the image"]),
        ("", "/usr/bin/dumb-init", ["dumb-init is not in the image"]),
        ("RUN install-packages tini\n", "tini", []),
        ("ADD --checksum=sha256:0 --chmod=755 https://files.test/tini /tini\n", "/tini", []),
        ("COPY --from=registry.test/tini:1 /usr/bin/tini /sbin/tini\n", "tini", []),
    ],
)
def test_an_init_that_nothing_installs(line: str, entry: str, found: list[str]) -> None:
    assert started(f'{line}ENTRYPOINT ["{entry}", "--"]\n{CMD}') == found


def test_a_health_check_by_a_file_that_is_not_there() -> None:
    assert started(f"HEALTHCHECK CMD python main.py\n{CMD}") == []
    found = ["probe.py does not exist in the image"]
    assert started(f"HEALTHCHECK --timeout=3s CMD python probe.py\n{CMD}") == found


def test_a_health_check_beside_no_command() -> None:
    assert started('HEALTHCHECK CMD ["python", "check.py"]') == [
        "no CMD: by itself it starts nothing of the project",
        "check.py does not exist in the image",
    ]


def test_a_script_that_only_a_shell_would_start() -> None:
    files = CONTEXT.files | {"run.sh"}
    context = replace(CONTEXT, files=files, text=reading({"run.sh": "exec uvicorn --host=:: x\n"}))
    why = "run.sh has no `#!` line, and no shell starts it"
    assert started('CMD ["./run.sh"]', context) == [why]
    for start in ("CMD ./run.sh", 'CMD ["sh", "run.sh"]', 'CMD ["tini", "./run.sh"]'):
        assert why not in started(start, context)


def test_a_script_that_is_not_executable() -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {"run.sh"}, is_executable=lambda _: False)
    assert started('CMD ["./run.sh"]', context) == ["run.sh is not executable"]
    by_uv = started('CMD ["uv", "run", "main.py"]', context)
    assert "main.py is not executable" not in by_uv
    for start in ('RUN chmod +x run.sh\nCMD ["./run.sh"]', 'CMD ["sh", "run.sh"]'):
        assert started(start, context) == []


def test_a_file_that_only_another_stage_makes_is_not_there() -> None:
    build = "uv sync --locked --no-install-project\nFROM build\n"
    other = GOOD.replace(build, build.replace("build\n", "python:3.13-slim-trixie\nWORKDIR /app\n"))
    copied = "COPY --from=build {} /app/\nENV PYTHONUNBUFFERED=1\nCOPY . ."
    made = other.replace(
        "FROM python:3.13-slim-trixie\n", "RUN ./make page.py\nFROM python:3.13-slim-trixie\n"
    )
    start = made.replace(CMD, 'CMD ["python", "page.py"]')
    found = ["page.py does not exist in the image"]
    assert messages(start.replace("COPY . .", copied.format("/app/.venv"))) == found
    assert messages(start.replace("COPY . .", copied.format("/app/page.py"))) == []


@pytest.mark.parametrize("archive", ["app.tar.gz", "app.tgz", "app.tar"])
def test_an_archive_that_is_unpacked_may_have_any_file(archive: str) -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {archive})
    start = GOOD.replace(CMD, 'CMD ["python", "page.py"]')
    assert messages(start.replace("COPY . .", f"ADD {archive} /app/"), context) == []
    copied = messages(start.replace("COPY . .", f"COPY {archive} /app/"), context)
    assert copied == ["page.py does not exist in the image"]


@pytest.mark.parametrize(
    ("chosen", "sync", "is_found"),
    [
        (("server",), "--locked", True),
        (("server",), "--locked --extra=web --group other", True),
        (("server", "prod"), "--locked --extra=prod", False),
        (("server",), "--locked --group server", False),
        (("server",), "--locked --all-extras", False),
        (("web-server",), "--locked --extra Web_Server", False),
        (("server",), "--locked --extra=web,server", False),
        (("server",), "--locked $OPTIONS", False),
        (("server",), "--locked $(test -f x && echo --extra server)", False),
        (("server",), "--locked && uv pip install .[server]", False),
        (("dev",), "--locked", True),  # UV_NO_DEV is set
        (("dev",), "--locked --group=dev", False),
        (("shop-api",), "--locked", True),
        (("shop-api",), "--locked --package shop-api", False),
        (("shop-api",), "--locked --all-packages", False),
        (("shop-api",), "--locked --directory=api", False),
        ((), "--locked", False),
    ],
)
def test_a_server_that_no_sync_installs(
    chosen: tuple[str, ...],
    sync: str,
    is_found: bool,  # noqa: FBT001
) -> None:
    optional = {"uvicorn": chosen} if chosen else {}
    context = replace(CONTEXT, optional=optional, local=frozenset({"shop_api"}))
    text = GOOD.replace("sync --locked", f"sync {sync}")
    why = f"uv.lock has it for {' and '.join(chosen)} alone, which no sync installs"
    assert (f"uvicorn is not in the image: {why}" in messages(text, context)) is is_found
    by_default = text.replace("UV_NO_DEV=1", "")
    is_dev = "dev" in chosen
    assert any("not in the image" in m for m in messages(by_default, context)) is (
        is_found and not is_dev
    )


def test_a_script_with_the_line_ends_of_windows() -> None:
    script = '#!/bin/sh\r\nexec "$@"\r\n'
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, text=reading({"entry": script}))
    entry = f'ENTRYPOINT ["./entry"]\n{CMD}'
    why = "entry has the line ends of Windows: `/bin/sh\\r` is nowhere"
    assert started(entry, context) == [why]
    assert started(f"RUN sed -i 's/\\r$//' entry\n{entry}", context) == []


def test_a_script_that_a_wrapper_is_to_start() -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {"bin/entry.sh"})
    entry = 'RUN apt-get install tini\nENTRYPOINT ["tini", "--", "{}"]'
    copied = f"COPY bin/entry.sh /usr/local/bin/\n{entry}\n{CMD}"
    missing = "entri.sh does not exist in the image"
    assert missing in started(copied.format("entri.sh"), context)
    assert not any("exist" in each for each in started(copied.format("entry.sh"), context))


def test_an_entry_script_in_the_dockerfile_itself() -> None:
    script = "COPY --chmod=755 <<EOF /entry\n#!/bin/sh\nexec flask run\nEOF"
    said = started(f'{script}\nENTRYPOINT ["/entry"]')
    assert "flask is not in uv.lock" in said


LAMBDA = """\
FROM public.ecr.aws/lambda/python:3.13
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --compile-bytecode
COPY main.py ${LAMBDA_TASK_ROOT}
CMD ["main.handle"]
"""


def test_a_function_for_lambda() -> None:
    context = replace(CONTEXT, text=reading({"main.py": "def handle(event, context): ..."}))
    environment = "the Python of Lambda does not look into /var/task/.venv"
    assert messages(LAMBDA, context) == [environment]
    target = LAMBDA.replace("sync --locked", "pip install --target . -r requirements.txt")
    assert messages(target, context) == []
    assert messages(target.replace("main.h", "main.H"), context) == ["main has no Handle"]
    copied = LAMBDA.replace(
        "COPY main", "COPY --from=build /app/.venv/lib/python3.13 ./\nCOPY main"
    )
    build = "FROM python:3.13-slim-trixie AS build\nWORKDIR /app\n"
    sync = LAMBDA.splitlines(keepends=True)[2]
    assert messages(build + sync + copied.replace(sync, ""), context) == []
    started = LAMBDA + 'ENTRYPOINT [".venv/bin/python", "-m", "awslambdaric"]\n'
    assert messages(started, context) == []


@pytest.mark.parametrize(
    ("line", "probe", "found"),
    [
        ("", "pgrep -f main", ["pgrep is not in the image"]),
        ("", "nc -z localhost 8000", ["nc is not in the image"]),
        ("", "pg_isready -q", ["pg_isready is not in the image"]),
        ("RUN apt-get install procps # /var/lib/apt", "pgrep -f main", []),
        ("RUN apt-get install netcat-openbsd # /var/lib/apt", "nc -z localhost 8000", []),
        ("RUN apt-get install postgresql-client-17 # /var/lib/apt", "pg_isready -q", []),
    ],
)
def test_a_program_that_a_slim_image_lacks(line: str, probe: str, found: list[str]) -> None:
    assert started(f"{line}\nHEALTHCHECK CMD {probe}\n{CMD}") == found


def test_a_program_that_a_script_asks_for_first() -> None:
    script = '#!/bin/sh\ncommand -v git && git log -1\nexec "$@"\n'
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, text=reading({"entry": script}))
    assert started(f'ENTRYPOINT ["./entry"]\n{CMD}', context) == []


def test_a_runner_of_before_is_not_what_starts() -> None:
    message = "poetry is not in uv.lock: start uvicorn itself"
    assert started('CMD ["poetry", "run", "uvicorn", "--host=::", "main:app"]') == [message]


@pytest.mark.parametrize(
    ("sync", "module", "is_found"),
    [
        ("--package shop-api", "shop_jobs", True),
        ("--package shop-api", "shop_api", False),
        ("--package shop-api", "shop_core", False),
        ("--all-packages", "shop_jobs", False),
        ("--package shop-jobs", "shop_jobs", False),
    ],
)
def test_a_member_that_no_sync_installs(sync: str, module: str, *, is_found: bool) -> None:
    members = ("shop-api", "shop-core", "shop-jobs")
    sources = {f"{name}/src/{name.replace('-', '_')}/__init__.py" for name in members}
    context = replace(
        CONTEXT,
        files=CONTEXT.files | sources,
        packages=members,
        local=frozenset({"shop_api", "shop_core", "shop_jobs"}),
        locked=frozenset({"uvicorn", *members}),
        optional={**{name: (name,) for name in members}, "shop-core": ("shop-api", "shop-core")},
    )
    text = GOOD.replace("--locked --no-install-project", f"--locked {sync}")
    missing = ["shop-jobs is not in the image: no sync installs it"]
    found = messages(text.replace(CMD, f'CMD ["python", "-m", "{module}"]'), context)
    assert found == missing * is_found
