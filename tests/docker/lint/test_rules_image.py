"""Each problem of the image and of what it starts is found on its line."""

from dataclasses import replace

import pytest
from dockerfiles import CONTEXT, GOOD, changed, found

BASE = "python:3.13-slim-trixie"
CMD = 'CMD ["uvicorn", "main:app"]'
PATH = 'ENV PATH="/app/.venv/bin:$PATH"'
USER = "USER 10001:10001"


@pytest.mark.parametrize(
    "image", ["python", "python:latest", "python:3-slim-trixie", "python:3.13", "python:3.13-slim"]
)
def test_a_base_that_may_be_another_one_day(image: str) -> None:
    assert changed(BASE, image) == [("base-not-pinned", 1)]


def test_two_pythons_for_one_environment() -> None:
    text = GOOD.replace("FROM build\n", "FROM python:3.12-slim-trixie\nENV PYTHONUNBUFFERED=1\n")
    text = text.replace("COPY . .", "COPY --from=build /app/.venv /app/.venv")
    assert found(text) == [("pythons-differ", 9)]


def test_uv_in_the_image() -> None:
    line = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/"
    assert changed("WORKDIR /app", line) == [("uv-in-image", 3)]
    image = "ghcr.io/astral-sh/uv:0.13.9-python3.13-trixie-slim"
    assert changed(BASE, image) == [("uv-in-image", 1)]


@pytest.mark.parametrize(("line", "number"), [("", 9), ("USER root\n", 12), ("USER 0:0\n", 12)])
def test_a_service_that_runs_as_root(line: str, number: int) -> None:
    assert changed(f"{USER}\n", line) == [("runs-as-root", number)]


def test_an_image_that_is_nonroot_by_itself() -> None:
    image = "gcr.io/distroless/cc-debian13:nonroot"
    assert found(GOOD.replace(BASE, image).replace(f"{USER}\n", "")) == []


def test_a_user_by_name() -> None:
    assert changed(USER, "USER app") == [("user-not-numeric", 12)]


@pytest.mark.parametrize("path", ["/app/.venv/bin::$PATH", ":/a", "/a:", ".:/a"])
def test_a_path_that_searches_the_current_directory(path: str) -> None:
    assert changed(PATH, f'ENV PATH="{path}"') == [("path-empty-element", 11)]


def test_a_path_to_nowhere() -> None:
    assert changed(PATH, 'ENV PATH="/python/bin:$PATH"') == [("path-not-there", 11)]


def test_nothing_is_started() -> None:
    assert changed(f"{CMD}\n", "") == [("starts-nothing", 9)]
    assert changed(CMD, 'CMD ["python3"]') == [("starts-nothing", 13)]


@pytest.mark.parametrize(
    "words", ['"python", "app.py"', '"uvicorn", "src.main:app"', '"/venv/bin/uvicorn", "x:y"']
)
def test_what_is_started_is_not_there(words: str) -> None:
    assert changed(CMD, f"CMD [{words}]") == [("start-not-there", 13)]


@pytest.mark.parametrize("words", ['"python", "./main.py"', '"uvicorn", "shop.app:make()"'])
def test_what_is_started_is_there(words: str) -> None:
    assert changed(CMD, f"CMD [{words}]") == []


def test_a_server_that_is_not_installed() -> None:
    assert changed(CMD, 'CMD ["gunicorn", "main:app"]') == [("server-not-locked", 13)]
    context = replace(CONTEXT, installed=None)
    assert changed(CMD, 'CMD ["gunicorn", "main:app"]', context) == []


def test_a_start_through_uv() -> None:
    words = '"uv", "run", "uvicorn", "main:app"'
    assert changed(CMD, f"CMD [{words}]") == [("starts-through-uv", 13)]
    assert changed(CMD, f"CMD [{words}]".replace('"run"', '"run", "--no-sync"')) == []


@pytest.mark.parametrize(
    "words",
    [
        '"python", "manage.py", "runserver"',
        '"flask", "--app", "main", "run"',
        '"fastapi", "dev", "main.py"',
        '"uvicorn", "--reload", "main:app"',
    ],
)
def test_a_development_server(words: str) -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {"manage.py"})
    assert changed(CMD, f"CMD [{words}]", context) == [("development-server", 13)]


def test_a_shell_between_the_service_and_its_signals() -> None:
    assert changed(CMD, "CMD uvicorn main:app") == [("shell-form", 13)]
    assert changed(CMD, "CMD exec uvicorn main:app") == []
    script = "python manage.py migrate && {}uvicorn main:app"
    assert changed(CMD, f'CMD ["sh", "-c", "{script.format("")}"]') == [("shell-form", 13)]
    assert changed(CMD, f'CMD ["sh", "-c", "{script.format("exec ")}"]') == []


def test_a_script_that_is_nowhere() -> None:
    assert changed(CMD, 'CMD ["./begin.sh"]') == [("start-not-there", 13)]
    context = replace(CONTEXT, files=CONTEXT.files | {"docker/begin.sh"})
    assert changed(CMD, 'CMD ["./begin.sh"]', context) == []
    assert changed(CMD, 'RUN make begin.sh\nCMD ["./begin.sh"]') == []


def test_a_probe_by_a_program_that_is_not_there() -> None:
    line = "HEALTHCHECK CMD curl -f http://localhost/ || exit 1"
    assert changed("WORKDIR /app", line) == [("health-by-curl", 3)]


@pytest.mark.parametrize(
    "line",
    [
        *("ARG PIP_TOKEN", "ENV DB_PASSWORD=x", "RUN git clone https://me:s3cr3t@git.test/x"),
        *("ENV DATABASE_URL=postgres://me:s3cr3t@db/shop", "ENV A=1 TOKEN_URL=redis://:s3cr3t@r"),
        *("ENV DSN //me:s3cr3t@db", "ARG PIP_INDEX_URL=https://t0ken@h/simple"),
        *("ADD https://h.test/x?sig=s3cr3t /x", "LABEL from=https://me:s3cr3t@h.test/x"),
        "RUN pip install --index-url https://dl.cloudsmith.io/t0ken/o/r/python/simple/ x",
        'RUN curl -H "Authorization: Bearer s3cr3t" https://h.test',
        "RUN wget --header='PRIVATE-TOKEN: s3cr3t' https://h.test",
        "RUN curl -fsSL -u me:s3cr3t https://h.test",
        "RUN huggingface-cli login --token s3cr3t",
    ],
)
def test_a_secret_in_the_history(line: str) -> None:
    assert changed("WORKDIR /app", line) == [("secret-in-image", 3)]


@pytest.mark.parametrize(
    "line",
    [
        *("ENV SECRET_KEY=", "ENV URL=https://h.test:8080/a", "ENV MAIL=me@example.org"),
        "RUN pip install git+https://me:$TOKEN@h.test/r.git@v1 git+https://h.test/r@main",
        "RUN pip install --index-url https://${ME}:$(cat /run/secrets/pw)@h.test/simple x",
        'RUN curl -H "Authorization: Bearer $TOKEN" -u "$ME:$PW" -u me https://h.test',
        "RUN adduser --disabled-password app && foo --token-file=x --password-stdin --token=$T",
    ],
)
def test_a_variable_for_a_secret_is_none(line: str) -> None:
    assert changed("WORKDIR /app", line) == []


@pytest.mark.parametrize("line", ["COPY .env ./", "ADD conf/.env.prod /app/"])
def test_a_file_of_secrets_in_a_layer(line: str) -> None:
    assert changed("WORKDIR /app", line) == [("env-file-in-image", 3)]


def test_a_context_that_is_not_ignored() -> None:
    context = replace(CONTEXT, not_ignored=(".venv",))
    assert changed("WORKDIR /app", "WORKDIR /app", context) == [("context-not-ignored", 10)]


def test_a_front_end_that_is_fetched() -> None:
    assert found("# syntax=docker/dockerfile:1\n" + GOOD) == [("syntax-line", 1)]
    assert found(f"# syntax=docker/dockerfile:1@sha256:{'0' * 64}\n" + GOOD) == []


def test_output_that_is_held_back() -> None:
    assert changed(" PYTHONUNBUFFERED=1", "") == [("output-buffered", 9)]
