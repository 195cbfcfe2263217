"""Each problem with what the container starts is found on its line."""

from dataclasses import replace

import pytest
from dockerfiles import CONTEXT, GOOD, changed, found, reading

CMD = 'CMD ["uvicorn", "--host=0.0.0.0", "main:app"]'
UV = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/"


def test_nothing_is_started() -> None:
    assert changed(f"{CMD}\n", "") == [("command-missing", 9)]
    assert changed(CMD, 'CMD ["python3"]') == [("starts-nothing", 13)]


@pytest.mark.parametrize(
    "words",
    [
        '"python", "app.py"',
        '"uvicorn", "--host=::", "src.main:app"',
        '"/venv/bin/uvicorn", "--host", "::", "x:y"',
    ],
)
def test_what_is_started_is_not_there(words: str) -> None:
    assert changed(CMD, f"CMD [{words}]") == [("start-not-there", 13)]


@pytest.mark.parametrize(
    "words", ['"python", "./main.py"', '"uvicorn", "--host=::", "shop.app:make()"']
)
def test_what_is_started_is_there(words: str) -> None:
    assert changed(CMD, f"CMD [{words}]") == []


def test_what_an_entry_script_lacks_is_said_on_its_line() -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, is_executable=lambda _: False)
    found = changed(CMD, f'ENTRYPOINT ["./entry"]\n{CMD}', context)
    assert found == [("start-not-executable", 13)]
    none = 'ENTRYPOINT []\nCMD ["flask", "run", "--host=::"]'
    assert changed(CMD, none) == [("server-not-locked", 14), ("development-server", 14)]


def test_a_server_that_is_not_installed() -> None:
    assert changed(CMD, 'CMD ["gunicorn", "-b", ":80", "main:app"]') == [("server-not-locked", 13)]
    context = replace(CONTEXT, locked=None)
    assert changed(CMD, 'CMD ["gunicorn", "-b", ":80", "main:app"]', context) == []


def test_a_start_through_uv() -> None:
    words = '"uv", "run", "uvicorn", "--host=::", "main:app"'
    assert changed(CMD, f"{UV}\nCMD [{words}]") == [("uv-at-start", 14)]  # UV_NO_DEV is set
    assert changed(CMD, f"{UV}\nENV UV_NO_DEV=0\nCMD [{words}]") == [("starts-through-uv", 15)]
    for without in (
        f"ENV UV_NO_SYNC=1\nCMD [{words}]",
        f"CMD [{words}]".replace("run", "run --no-sync"),
    ):
        assert changed(CMD, f"{UV}\n" + without.replace("run --no-sync", 'run", "--no-sync')) == []


def test_a_start_that_installs_what_the_build_did_not() -> None:
    context = replace(CONTEXT, locked=frozenset({"shop", "uvicorn"}), packages=(".",))
    text = f"FROM python:3.13-slim-trixie\n{UV}\nWORKDIR /app\nCOPY . .\nENV UV_NO_DEV=1\n"
    start = 'CMD ["uv", "run", "--frozen", "uvicorn", "--host=::", "main:app"]\n'
    assert ("starts-through-uv", 6) in found(text + start, context)
    own = "RUN uv sync --locked"
    for step in (f"{own} --no-install-project", f"{own} --no-editable"):
        assert ("starts-through-uv", 7) in found(f"{text}{step}\n{start}", context)
    for step in (own, "RUN make install", f"{own} --no-editable && uv pip install -e ."):
        assert ("starts-through-uv", 7) not in found(f"{text}{step}\n{start}", context)


def test_a_script_that_a_shell_reads() -> None:
    context = replace(
        CONTEXT, files=CONTEXT.files | {"run.sh"}, text=reading({"run.sh": "exec python no.py\n"})
    )
    assert changed(CMD, "ENTRYPOINT . ./run.sh", context) == [("start-not-there", 13)]
    by_bash = changed(CMD, "ENTRYPOINT source run.sh", context)
    assert by_bash == [("start-not-there", 13), ("starts-nothing", 13)]
    shell = changed(CMD, 'SHELL ["/bin/bash", "-c"]\nCMD source run.sh && x', context)
    assert ("starts-nothing", 14) not in shell


@pytest.mark.parametrize(
    "words",
    [
        '"python", "manage.py", "runserver"',
        '"flask", "--app", "main", "run"',
        '"fastapi", "dev", "main.py"',
        '"uvicorn", "--host=::", "--reload", "main:app"',
    ],
)
def test_a_development_server(words: str) -> None:
    there = frozenset({"fastapi-cli", "flask", "uvicorn"})
    context = replace(CONTEXT, files=CONTEXT.files | {"manage.py"}, locked=there)
    codes = dict(changed(CMD, f"CMD [{words}]", context))
    assert codes.pop("development-server") == 13
    assert codes == ({} if "--host=::" in words else {"listens-locally": 13})


def test_a_development_server_by_a_module() -> None:
    source = 'app.run(host=get("HOST"), debug=True)\n'
    for words in ('"python", "main.py"', '"python", "-m", "main"'):
        for text, codes in ((source, [("development-server", 13)]), ("app.run(debug=False)", [])):
            context = replace(CONTEXT, text=reading({"main.py": text}))
            assert changed(CMD, f"CMD [{words}]", context) == codes


def test_a_script_that_has_a_development_server_as_well() -> None:
    script = "#!/bin/sh\ncase $1 in dev) {};; *) exec uvicorn --host=:: main:app;; esac\n"
    files, entry = CONTEXT.files | {"entry", "manage.py"}, 'ENTRYPOINT ["./entry"]'
    text = reading({"entry": script.format("exec ./manage.py runserver")})
    assert changed(CMD, entry, replace(CONTEXT, files=files, text=text)) == []
    text = reading({"entry": "#!/bin/sh\nexec ./manage.py runserver 0:80\n"})
    found = changed(CMD, entry, replace(CONTEXT, files=files, text=text))
    assert {*found} == {("development-server", 13)}


@pytest.mark.parametrize(
    "words",
    [
        *("python manage.py runserver 0.0.0.0:8000", "python manage.py runserver 0:8000"),
        *("flask run --host=0.0.0.0", "env FLASK_RUN_HOST=:: flask run", "flask run -h ::"),
    ],
)
def test_a_development_server_with_an_address(words: str) -> None:
    files = CONTEXT.files | {"manage.py"}
    assert {*starts(words, files=files, locked=frozenset({"flask"}))} == {"development-server"}


@pytest.mark.parametrize(
    "words",
    ["gunicorn --host 0.0.0.0 main:app", "hypercorn --port=80 main:app", "uvicorn -b :80 main:app"],
)
def test_an_option_of_another_server(words: str) -> None:
    there = frozenset({"gunicorn", "hypercorn", "uvicorn"})
    assert starts(words, locked=there) == ["starts-nothing"]


def test_files_that_are_exported_start_nothing() -> None:
    assert found(f"{GOOD}FROM scratch AS dist\nCOPY --from=build /app/dist /\n") == []


def test_a_shell_between_the_service_and_its_signals() -> None:
    assert changed(CMD, "CMD uvicorn --host=:: main:app") == [("shell-form", 13)]
    assert changed(CMD, "CMD exec uvicorn --host=:: main:app") == []
    script = "python main.py migrate && {}uvicorn --host=:: main:app"
    assert changed(CMD, f'CMD ["sh", "-c", "{script.format("")}"]') == [("shell-form", 13)]
    assert changed(CMD, f'CMD ["sh", "-c", "{script.format("exec ")}"]') == []


def test_a_script_that_is_nowhere() -> None:
    assert changed(CMD, 'CMD ["./begin.sh"]') == [("start-not-there", 13)]
    context = replace(CONTEXT, files=CONTEXT.files | {"docker/begin.sh"})
    assert changed(CMD, 'CMD ["./begin.sh"]', context) == [("start-not-there", 13)]
    assert changed(CMD, 'CMD ["docker/begin.sh"]', context) == []
    assert changed(CMD, 'RUN make begin.sh\nCMD ["./begin.sh"]') == []


def test_what_an_image_that_is_built_on_this_one_adds_is_not_known() -> None:
    assert changed("COPY . .", "ONBUILD COPY . .") == []


def test_what_the_entry_point_of_another_image_starts_is_not_known() -> None:
    image = "gcr.io/distroless/python3-debian13:nonroot"
    assert found(f'FROM {image}\nCOPY main.py /\nCMD ["app.py"]\n') == []


def starts(words: str, **more: object) -> list[str]:
    """The codes about GOOD when it starts `words`, in the shell form."""
    context = replace(CONTEXT, **more)  # type: ignore[arg-type]  # fields by name
    form = f"CMD exec {words}" if not words.startswith("CMD") else words
    form = f"{UV}\n{form}" if words.startswith("uv ") else form
    return [code for code, _ in changed(CMD, form, context)]


@pytest.mark.parametrize("words", ["python3 --host 0.0.0.0", "uv run --host 0.0.0.0"])
def test_what_cannot_run_starts_nothing(words: str) -> None:
    assert starts(words) == ["starts-nothing"]


def test_an_image_to_build_upon_needs_no_command() -> None:
    assert changed(f"{CMD}\n", "").count(("command-missing", 9)) == 1
    assert found(GOOD.replace(f"{CMD}\n", "").replace("COPY . .\n", "")) == []
    based = GOOD.replace("python:3.13-slim-trixie", "registry.test/web:1").replace(f"{CMD}\n", "")
    assert found(based) == []


def test_a_compose_file_may_have_the_command() -> None:
    compose = "services:\n  web:\n    build: .\n    command: uv run --no-sync uvicorn main:app\n"
    context = replace(
        CONTEXT, files=CONTEXT.files | {"compose.yaml"}, text=reading({"compose.yaml": compose})
    )
    assert changed(f"{CMD}\n", "", context) == []
    assert changed(CMD, f"{UV}\n{CMD}", context) == []
    entry = f'{UV}\nENTRYPOINT ["uv", "run", "--no-sync"]'
    assert changed(CMD, entry, context) == []
    assert changed(CMD, 'CMD ["bash"]', context) == []
    assert changed(CMD, entry) == [("starts-nothing", 14)]


@pytest.mark.parametrize(
    "words",
    [
        "gunicorn --bind 0.0.0.0:8000 -c python:shop.app shop.app",
        "gunicorn -b unix:/run/x.sock -k uvicorn.workers.UvicornWorker shop.app:make('a')",
        "python -m gunicorn -c gunicorn.conf.py shop.app:app",
        "hypercorn --bind=[::]:8000 --reload-nothing shop.app:app",
        "uvicorn --host :: --factory shop.app:make",
        "uvicorn --host :: litestar.app:app",
    ],
)
def test_words_of_options_are_no_modules(words: str) -> None:
    there = frozenset({"gunicorn", "hypercorn", "uvicorn", "litestar"})
    files = CONTEXT.files | {"gunicorn.conf.py"}
    assert starts(words.replace("('a')", ""), locked=there, files=files) == []


@pytest.mark.parametrize(
    ("files", "words", "codes"),
    [
        ({"api/app/main.py"}, "uvicorn --host :: app.main:app", ["start-not-there"]),
        ({"api/app/main.py"}, "uvicorn --host :: --app-dir api app.main:app", []),
        ({"api/app/main.py"}, "CMD cd api && exec uvicorn --host :: app.main:app", []),
        ({"api/app/main.py"}, "env PYTHONPATH=api uvicorn --host :: app.main:app", []),
        ({"app/__main__.py"}, "python -m app", []),
        (set(), "python -m app", ["start-not-there"]),
        (set(), "python -m http.server", []),
        ({"page.py"}, "streamlit run page.py", []),
        (set(), "streamlit run page.py", ["start-not-there"]),
        (set(), "python $SCRIPT.py", []),
    ],
)
def test_what_is_started_is_looked_for_where_it_runs(
    files: set[str], words: str, codes: list[str]
) -> None:
    there = frozenset({"streamlit", "uvicorn"})
    assert starts(words, files=CONTEXT.files | files, locked=there) == codes


def test_what_is_not_in_the_context_is_not_in_the_image() -> None:
    ignored = {"main.py"}.__contains__
    assert starts("uvicorn --host :: main:app", is_ignored=ignored) == ["start-not-there"]


def test_a_module_of_an_installed_package_is_there() -> None:
    files = CONTEXT.files | {"packages/api/src/api/app.py"}
    words = "uvicorn --host :: api.app:app"
    assert starts(words, files=files) == ["start-not-there"]
    assert starts(words, files=files, packages=("packages/api",)) == []


def test_a_server_that_is_installed_by_hand_is_there() -> None:
    gunicorn = 'CMD ["gunicorn", "-b", ":80", "main:app"]'
    by_hand = GOOD.replace("COPY . .", "RUN uv pip install gunicorn==23").replace(CMD, gunicorn)
    assert ("server-not-locked", 13) not in found(by_hand)


def test_a_program_that_is_not_on_path() -> None:
    path = 'ENV PATH="/app/.venv/bin:$PATH"\n'
    assert changed(path, "") == [("start-not-on-path", 12)]
    elsewhere = GOOD.replace("ENV UV_", "ENV UV_PROJECT_ENVIRONMENT=/opt/env UV_", 1)
    assert found(elsewhere) == [("start-not-on-path", 13)]
    assert found(elsewhere.replace("/app/.venv/bin", "/opt/env/bin")) == []
    for start in (
        'CMD ["/app/.venv/bin/uvicorn", "--host=::", "main:app"]',
        "CMD . .venv/bin/activate && exec uvicorn --host=:: main:app",
        f'{UV}\nENV UV_NO_SYNC=1\nCMD ["uv", "run", "uvicorn", "--host=::", "main:app"]',
    ):
        assert found(GOOD.replace(path, "").replace(CMD, start)) == []


@pytest.mark.parametrize(
    ("path", "words", "is_found"),
    [
        ("$PATH:/app/.venv/bin", "python -m uvicorn --host=:: main:app", True),
        ("${PATH}:/app/.venv/bin", "python main.py", True),
        ("$PATH:/app/.venv/bin", "uvicorn --host=:: main:app", False),
        ("/opt/bin:/app/.venv/bin:$PATH", "python main.py", False),
    ],
)
def test_a_python_of_the_base_image_comes_first(path: str, words: str, is_found: bool) -> None:  # noqa: FBT001
    text = GOOD.replace('"/app/.venv/bin:$PATH"', f'"{path}"').replace(CMD, f"CMD exec {words}")
    assert ("start-not-on-path" in dict(found(text))) is is_found


@pytest.mark.parametrize(
    ("step", "is_found"),
    [
        ("RUN pip install uv==0.13.9", True),
        ("RUN pip install --no-cache-dir -U pip uv && uv --version", True),
        ("RUN . /app/.venv/bin/activate", True),
        ("RUN pip install gunicorn", False),
        ("RUN python -m pip install -r requirements.txt", False),
        ("RUN ln -s /app/.venv/bin/uvicorn /usr/local/bin/", False),
        ("RUN echo . /app/.venv/bin/activate >> /root/.bashrc", False),
    ],
)
def test_what_a_step_does_for_path(step: str, is_found: bool) -> None:  # noqa: FBT001
    found = changed('ENV PATH="/app/.venv/bin:$PATH"', step)
    assert ("start-not-on-path" in dict(found)) is is_found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ('ENV PORT=8000\nCMD ["uvicorn", "--host=::", "--port", "$PORT", "main:app"]', True),
        ('ENTRYPOINT ["uvicorn"]\nCMD uvicorn --host=:: main:app', True),
        ('ENV PORT=8000\nCMD ["sh", "-c", "exec uvicorn --host=:: --port $PORT main:app"]', False),
        ('ENTRYPOINT ["env", "X=1"]\nCMD exec uvicorn --host=:: main:app', False),
    ],
)
def test_arguments_that_a_server_cannot_read(words: str, found: bool) -> None:  # noqa: FBT001
    assert ("starts-nothing" in dict(changed(CMD, words))) is found


def test_a_server_behind_a_proxy_listens_where_it_likes() -> None:
    server = "uvicorn --host 127.0.0.1 --port 8000 main:app"
    words = f"EXPOSE 80\nCMD {server} & exec nginx -g 'daemon off;'"
    assert changed(CMD, words) == []


@pytest.mark.parametrize(
    ("port", "codes"), [("5000", ["ports-differ"]), ("8000", []), ("9000", []), ("$PORT", [])]
)
def test_the_port_of_a_health_check(port: str, codes: list[str]) -> None:
    probe = f"""HEALTHCHECK CMD python -c "u.urlopen('http://localhost:{port}/health')\""""
    lines = f"ENV PORT=8000\nEXPOSE 8000 9000\n{probe}\n{CMD}"
    assert [code for code, _ in changed(CMD, lines)] == codes


def test_uv_run_that_installs_nothing_is_no_error() -> None:
    assert starts("uv run uvicorn --host=:: main:app", development=frozenset()) == ["uv-at-start"]
    assert starts("uv run --no-dev uvicorn --host=:: main:app") == ["uv-at-start"]


def test_uv_run_in_an_entry_script() -> None:
    script = '#!/bin/sh\nuv run --dev python main.py migrate\nexec "$@"\n'
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, text=reading({"entry": script}))
    text = f'{UV}\nENV UV_NO_DEV=\nENTRYPOINT ["./entry"]\n{CMD}'
    assert changed(CMD, text, context) == [("starts-through-uv", 16)]


@pytest.mark.parametrize(
    "words",
    [
        *("uvicorn main:app", "uvicorn --host localhost main:app", "fastapi run --host=127.0.0.1"),
        *("gunicorn main:app", "gunicorn -b 127.0.0.1:8000 main:app", "daphne main:app"),
    ],
)
def test_a_server_that_only_the_container_reaches(words: str) -> None:
    there = frozenset({"uvicorn", "gunicorn", "fastapi-cli", "daphne"})
    assert starts(words, locked=there) == ["listens-locally"]


def test_a_configuration_of_gunicorn_that_is_not_in_the_image() -> None:
    files = CONTEXT.files | {"gunicorn.conf.py"}
    context = replace(CONTEXT, files=files, locked=frozenset({"gunicorn"}))
    text = GOOD.replace(CMD, 'CMD ["gunicorn", "main:app"]')
    assert found(text, context) == []
    assert found(text.replace("COPY . .", "COPY main.py ."), context) == [("listens-locally", 13)]


@pytest.mark.parametrize(
    "words",
    [
        *("env UVICORN_HOST=:: uvicorn main:app", "env PORT=80 gunicorn main:app"),
        *("gunicorn $OPTIONS main:app", "uvicorn --uds /run/x main:app", "gunicorn -b:80 main:app"),
    ],
)
def test_an_address_may_come_from_elsewhere(words: str) -> None:
    assert starts(words, locked=frozenset({"uvicorn", "gunicorn"})) == []


@pytest.mark.parametrize(
    ("line", "words", "codes"),
    [
        ("EXPOSE 80", "uvicorn --host=:: main:app", ["ports-differ"]),
        ("EXPOSE 80/tcp 443", "uvicorn --host=:: --port 80 main:app", []),
        ("ENV P=80\nEXPOSE $P", "uvicorn --host=:: --port=$P main:app", []),
        ("EXPOSE 80", "env X=1 sh -c 'exec uvicorn --host=:: --port=$PORT main:app'", []),
        ("EXPOSE 80", "python main.py", []),
    ],
)
def test_another_port_than_the_one_that_is_served(line: str, words: str, codes: list[str]) -> None:
    assert [code for code, _ in changed(CMD, f"{line}\nCMD exec {words}")] == codes


def test_a_script_that_waits_for_the_service() -> None:
    files = CONTEXT.files | {"entry"}
    waits, replaced = ('#!/bin/sh\npython main.py\nuvicorn --host=:: main:app "$@"\n', "exec uvi")
    entry = 'ENTRYPOINT ["./entry"]'
    context = replace(CONTEXT, files=files, text=reading({"entry": waits}))
    assert changed(CMD, entry, context) == [("shell-form", 13)]
    context = replace(context, text=reading({"entry": waits.replace("uvi", replaced)}))
    assert changed(CMD, entry, context) == []


def test_a_script_is_started_by_its_name() -> None:
    start = f'{UV}\nENV UV_NO_SYNC=1\nCMD ["uv", "run", "{{}}.py"]'
    assert changed(CMD, start.format("main")) == []
    assert changed(CMD, start.format("other")) == [("start-not-there", 15)]


def test_a_path_may_end_with_a_slash() -> None:
    assert found(GOOD.replace("/.venv/bin:", "/.venv/bin/:")) == []


def test_a_file_may_be_in_another_build_context() -> None:
    text = GOOD.replace("COPY . .", "COPY backend/src ./").replace("main:app", "other:app")
    assert found(text) == [("copy-missing", 10)]
    assert found(text.replace("backend/src", "shop")) == [("start-not-there", 13)]


def test_a_program_that_is_no_dependency() -> None:
    start = 'CMD ["uvicorn", "--host=0.0.0.0", "main:app"]'
    words = 'CMD ["poetry", "run", "uvicorn", "--host=0.0.0.0", "main:app"]'
    assert changed(start, words) == [("server-not-locked", 13)]


def test_an_environment_that_was_moved_is_on_path() -> None:
    text = """FROM python:3.13-slim-trixie AS build
WORKDIR /build
RUN uv sync --locked
FROM python:3.13-slim-trixie
COPY --from=build /build/.venv /app/.venv
ENV PATH="/app/.venv/bin:$PATH"
CMD ["uvicorn", "--host=0.0.0.0", "main:app"]
"""
    assert "start-not-on-path" not in dict(found(text))


@pytest.mark.parametrize(
    ("start", "is_found"),
    [
        ('CMD ["bash", "-lc", "exec uvicorn --host=:: main:app"]', True),
        ('SHELL ["/bin/bash", "-lc"]\nCMD exec uvicorn --host=:: main:app', True),
        ('SHELL ["/bin/bash", "-o", "pipefail", "-c"]\nCMD exec uvicorn --host=:: main:app', False),
        ('CMD ["bash", "-lc", "exec /app/.venv/bin/uvicorn --host=:: main:app"]', False),
        ('CMD ["bash", "-lc", ". .venv/bin/activate; exec uvicorn --host=:: main:app"]', False),
        (
            'COPY main.py /etc/profile.d/\nCMD ["bash", "-lc", "exec uvicorn --host=:: main:app"]',
            False,
        ),
    ],
)
def test_a_login_shell_has_another_path(start: str, is_found: bool) -> None:  # noqa: FBT001
    assert ("start-not-on-path" in dict(changed(CMD, start))) is is_found
    alpine = GOOD.replace("slim-trixie", "alpine3.22").replace(CMD, start)
    assert "start-not-on-path" not in dict(found(alpine))


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("ARG PORT=80\nCMD exec uvicorn --host=:: --port=$PORT main:app", 1),
        ('ARG A B\nCMD ["sh", "-c", "exec uvicorn --host=:: --port=${A}${B} main:app"]', 2),
        ("ARG PORT=80\nHEALTHCHECK CMD python main.py $PORT\nCMD exec python main.py", 1),
        ("ARG PORT=80\nENV PORT=$PORT\nCMD exec uvicorn --host=:: --port=$PORT main:app", 0),
        ("ARG PORT\nCMD exec uvicorn --host=:: --port=${PORT:-80} main:app", 0),
        ("ARG PORT\nCMD PORT=80; exec uvicorn --host=:: --port=$PORT main:app", 0),
        ("ARG PORT\nCMD exec python main.py", 0),
        ("ARG PORT\nCMD exec python main.py '\\$PORT'", 0),
        ("ARG PYTHON_VERSION\nCMD exec python main.py $PYTHON_VERSION", 0),
        ("CMD exec python main.py $PORT", 0),
    ],
)
def test_an_argument_of_the_build_is_gone_at_the_start(lines: str, count: int) -> None:
    codes = [code for code, _ in changed(CMD, lines)]
    assert codes.count("argument-at-start") == count


@pytest.mark.parametrize("file", ["compose.yaml", "entry.sh", "deploy/web.yml", "fly.toml"])
def test_an_argument_may_be_set_elsewhere(file: str) -> None:
    texts = {"entry.sh": '#!/bin/sh\nexport PORT=80\nexec "$@"\n', "compose.yaml": "- PORT=80\n"}
    texts |= {"deploy/web.yml": "  - PORT\n", "fly.toml": "'PORT'= 80\n"}
    context = replace(CONTEXT, files=CONTEXT.files | {file}, text=reading(texts))
    entry = 'ENTRYPOINT ["./entry.sh"]\n' if file == "entry.sh" else ""
    lines = f'ARG PORT\n{entry}CMD ["sh", "-c", "exec uvicorn --host=:: --port=$PORT main:app"]'
    assert "argument-at-start" not in dict(changed(CMD, lines, context))


FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
ROUTE = '@app.get("/healthz")\ndef health(): ...\n'


@pytest.mark.parametrize(
    ("main", "path", "is_found"),
    [
        (FASTAPI + ROUTE, "/health", True),
        (FASTAPI + ROUTE, "/api/health/", True),
        (FASTAPI + ROUTE, "/api/healthz", False),
        (FASTAPI + ROUTE, "/docs", False),
        (FASTAPI + ROUTE, "/", False),
        (FASTAPI + ROUTE, "/$CHECK", False),
        (f'{FASTAPI}@app.get("/{{name}}")\ndef any(name): ...\n', "/health", False),
        (f"{FASTAPI}@app.get(PATH)\ndef check(): ...\n", "/health", False),
        (f'{FASTAPI}app.mount("/", other)\n', "/health", False),
        (f"{FASTAPI}extend(app)\n", "/health", False),
        (f"{FASTAPI}import kit.healths\n", "/health", False),
        ("from kit import app\n", "/health", False),
    ],
)
def test_the_path_of_a_health_check(main: str, path: str, is_found: bool) -> None:  # noqa: FBT001
    probe = f"""HEALTHCHECK CMD python -c "u.urlopen('http://localhost:8000{path}')\""""
    context = replace(CONTEXT, text=reading({"main.py": main}))
    codes = [("health-path-unknown", 13)] if is_found else []
    assert changed(CMD, f"{probe}\n{CMD}", context) == codes
    by_library = replace(context, locked=frozenset({"uvicorn", "fastapi-healthchecks"}))
    assert changed(CMD, f"{probe}\n{CMD}", by_library) == []


@pytest.mark.parametrize(
    ("words", "is_found"),
    [
        ("CMD ['uvicorn', '--host=::', 'main:app']", True),
        ('CMD ["uvicorn", "--host=::", "main:app",]', True),
        ('ENTRYPOINT ["tini", "--"]\nCMD ["uvicorn" "--host=::" "main:app"]', True),
        ('CMD ["uvicorn --host=:: main:app"]', True),
        ('ENTRYPOINT ["tini", "--"]\nCMD ["uvicorn --host=:: main:app"]', True),
        ('CMD ["sh", "-c", "exec uvicorn --host=:: main:app"]', False),
        ('ENTRYPOINT ["sh", "-c"]\nCMD ["exec uvicorn --host=:: main:app"]', False),
    ],
)
def test_words_that_are_no_program(words: str, *, is_found: bool) -> None:
    codes = [code for code, _ in changed(CMD, words) if code != "start-not-there"]
    assert codes == ["starts-nothing"] * is_found


@pytest.mark.parametrize(
    ("entry", "script", "is_found"),
    [
        ("ENTRYPOINT exec uvicorn --host=:: main:app", "", True),
        ('ENTRYPOINT exec uvicorn --host=:: "$@"', "", False),
        ('ENTRYPOINT ["./entry"]', "#!/bin/sh\nexec uvicorn --host=:: main:app\n", True),
        ('ENTRYPOINT ["sh", "./entry"]', "#!/bin/sh\nexec uvicorn --host=:: main:app\n", True),
        ('ENTRYPOINT ["./entry"]', '#!/bin/sh\nexec "${@}"\n', False),
        ('ENTRYPOINT ["./entry"]', "#!/bin/sh\nexec uvicorn --host=:: $1\n", False),
        ('ENTRYPOINT ["./entry"]', "#!/bin/sh\n. ./other\n", False),
        ('ENTRYPOINT ["./entry"]', "#!/usr/bin/env python\nmain()\n", False),
        ('ENTRYPOINT ["uvicorn"]', "", False),
    ],
)
def test_a_command_that_its_entry_point_does_not_run(
    entry: str, script: str, *, is_found: bool
) -> None:
    files, texts = CONTEXT.files | {"entry"}, reading({"entry": script})
    found = changed(CMD, f"{entry}\n{CMD}", replace(CONTEXT, files=files, text=texts))
    assert ("command-unused" in dict(found)) is is_found


MANIFEST_STORAGE = 'BACKEND = "whitenoise.storage.CompressedManifestStaticFilesStorage"\n'


@pytest.mark.parametrize(
    ("texts", "line", "is_found"),
    [
        ({"shop/settings.py": MANIFEST_STORAGE}, "", True),
        ({"shop/settings.py": "STATIC_URL = '/static/'\n"}, "", False),
        ({"shop/settings.py": MANIFEST_STORAGE}, "RUN python manage.py collectstatic", False),
        ({"shop/settings.py": MANIFEST_STORAGE, "up.sh": "manage.py collectstatic"}, "", False),
    ],
)
def test_static_files_that_no_step_collects(
    texts: dict[str, str], line: str, *, is_found: bool
) -> None:
    context = replace(CONTEXT, files=CONTEXT.files | texts.keys(), text=reading(texts))
    assert changed(CMD, f"{line}\n{CMD}", context) == [("static-not-collected", 14)] * is_found


def test_bash_becomes_the_last_command_that_it_is_given() -> None:
    for words, is_found in {"cd /app && ": False, "cd /app; ": False, "date | ": True}.items():
        cmd = f'CMD ["bash", "-c", "{words}uvicorn --host=:: main:app"]'
        assert ("shell-form" in dict(changed(CMD, cmd))) is is_found
        assert "shell-form" in dict(changed(CMD, cmd.replace('"bash"', '"sh"')))


def test_an_empty_command_clears_that_of_the_base() -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {"run.sh"}, text=lambda _: "#!/bin/sh\nexec x")
    for cmd, is_found in {"[]": False, '["a"]': True}.items():
        text = f'ENTRYPOINT ["/app/run.sh"]\nCMD {cmd}'
        assert ("command-unused" in dict(changed(CMD, text, context))) is is_found


def test_what_root_alone_may_start() -> None:
    uv = "ADD https://astral.sh/uv/install.sh /i.sh\nRUN sh /i.sh\n"
    uv += 'ENV PATH="/root/.local/bin:$PATH"\n'
    start = 'CMD ["uv", "run", "--no-sync", "uvicorn", "--host=::", "main:app"]'
    text = GOOD.replace("COPY . .\n", f"COPY . .\n{uv}").replace(CMD, start)
    assert ("start-not-executable", 16) in found(text)
    for line in (
        "RUN apk add uv\n",
        "ENV UV_INSTALL_DIR=/bin\n",
        "RUN chmod a+x /root\n",
        f"{UV}\n",
        "USER root\n",
    ):
        other = text.replace(start, f"{line}{start}").replace("RUN sh", f"{line}RUN sh")
        assert "start-not-executable" not in dict(found(other))
    assert ("start-not-executable", 13) in changed(CMD, 'CMD ["/root/.venv/bin/serve"]')


def test_a_server_of_fastmcp_listens_for_itself() -> None:
    context = replace(CONTEXT, locked=frozenset({"fastmcp"}), scripts=frozenset({"shop"}))
    start = 'CMD ["fastmcp", "run", "main.py", "--transport=http"]'
    assert ("listens-locally", 13) in changed(CMD, start, context)
    assert ("listens-locally", 13) in changed(CMD, "CMD exec uvx shop --transport sse", context)
    chosen = replace(context, text=lambda _: 'mcp.run(host="0.0.0.0")')
    assert "listens-locally" not in dict(changed(CMD, start, chosen))
    for other in (f"ENV FASTMCP_HOST=::\n{start}", start.replace("http", "stdio")):
        assert "listens-locally" not in dict(changed(CMD, other, context))


def test_an_environment_that_is_made_where_uv_run_does_not_look() -> None:
    text = f"FROM python:3.13-slim-trixie\n{UV}\nENV UV_NO_DEV=1\nCOPY pyproject.toml uv.lock ./\n"
    text += "RUN uv sync --locked\nCOPY . /app\nWORKDIR /app\n"
    start = 'CMD ["uv", "run", "uvicorn", "--host=::", "main:app"]\n'
    assert ("starts-through-uv", 8) in found(text + start)
    for line in (
        *("ENV UV_PROJECT_ENVIRONMENT=/.venv\n", "RUN mv /.venv .\n", "RUN uv sync\n"),
        "RUN (cd /app && uv sync)\n",
    ):
        assert "starts-through-uv" not in dict(found(f"{text}{line}{start}"))
