"""Each problem of the image and of what it starts is found on its line."""

from dataclasses import replace

import pytest
from dockerfiles import CONTEXT, GOOD, added, changed, found, linted, reading

from uvflow.docker.lint.check import CHECKS

BASE = "python:3.13-slim-trixie"
PATH = 'ENV PATH="/app/.venv/bin:$PATH"'
USER = "USER 10001:10001"


@pytest.mark.parametrize(
    "image", ["python", "python:latest", "python:3-slim-trixie", "python:3.13", "python:3.13-slim"]
)
def test_a_base_that_may_be_another_one_day(image: str) -> None:
    is_whole = [("compiler-in-image", 1)] * image.endswith(("python", "latest", "3.13"))
    assert changed(BASE, image) == [("base-not-pinned", 1), *is_whole]


def test_two_pythons_for_one_environment() -> None:
    text = GOOD.replace("FROM build\n", "FROM python:3.12-slim-trixie\nENV PYTHONUNBUFFERED=1\n")
    copies = "WORKDIR /app\nCOPY . .\nCOPY --from=build /app/.venv /app/.venv"
    text = text.replace("COPY . .", copies)
    assert found(text) == [("pythons-differ", 9)]


def test_the_base_of_a_stage_that_installs_counts() -> None:
    context = replace(CONTEXT, requires_python=">=3.14")
    between = "FROM python:3.13-slim-trixie AS base\nFROM base AS build"
    text = GOOD.replace("FROM python:3.13-slim-trixie AS build", between)
    assert ("python-not-allowed", 1) in found(text, context)


@pytest.mark.parametrize(
    ("allowed", "is_found"), [(">=3.14", True), (">=3.11,<3.13", True), ("==3.13.5", False)]
)
def test_a_base_with_a_python_that_the_project_excludes(allowed: str, is_found: bool) -> None:  # noqa: FBT001
    context = replace(CONTEXT, requires_python=allowed)
    codes = [("python-below-root", 4), ("python-not-allowed", 1)]
    assert found(GOOD, context) == codes * is_found
    system = GOOD.replace("UV_NO_DEV", "UV_PYTHON_DOWNLOADS=never UV_NO_DEV")
    assert found(system, context) == codes[1:] * is_found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FROM python:3.13-slim-trixie", "ARG V\nFROM python:$V-slim-trixie"),
        ("FROM python:3.13-slim-trixie AS", "FROM python:3.9-slim-trixie AS x\nFROM debian:13 AS"),
        ("FROM python:3.13-slim-trixie", "FROM registry.test/base:3.9"),
        ("ENV UV_COMPILE", "ENV UV_PYTHON=/python/bin/python UV_COMPILE"),
        ("uv sync", "uv python install -i /python 3.14 && uv sync"),
    ],
)
def test_another_python_may_be_used(old: str, new: str) -> None:
    context = replace(CONTEXT, requires_python=">=3.14")
    assert "python-not-allowed" not in {code for code, _ in changed(old, new, context)}


def test_uv_in_the_image() -> None:
    line = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/"
    assert added(line) == [("uv-in-image", 3)]
    image = "ghcr.io/astral-sh/uv:0.13.9-python3.13-trixie-slim"
    assert changed(BASE, image) == [("uv-in-image", 1)]


@pytest.mark.parametrize(("line", "number"), [("", 9), ("USER root\n", 12), ("USER 0:0\n", 12)])
def test_a_service_that_runs_as_root(line: str, number: int) -> None:
    assert changed(f"{USER}\n", line) == [("runs-as-root", number)]


def test_debug_mode() -> None:
    assert added("ENV FLASK_DEBUG=1") == [("debug-mode", 3)]
    assert added("ENV DEBUG=True\nENV DEBUG=0") == []
    assert added("ENV DJANGO_DEBUG=1") == []  # which nothing reads
    context = replace(CONTEXT, text=reading({"main.py": 'app = get("DJANGO_DEBUG")'}))
    assert added("ENV DJANGO_DEBUG=1", context) == [("debug-mode", 3)]


def test_an_image_that_is_nonroot_by_itself() -> None:
    image = "gcr.io/distroless/cc-debian13:nonroot"
    assert found(GOOD.replace(BASE, image).replace(f"{USER}\n", "")) == []


@pytest.mark.parametrize("path", ["$PATH:", ":/a", "/a:", ".:/a"])
def test_a_path_that_searches_the_current_directory(path: str) -> None:
    assert changed(PATH, f'ENV PATH="{path}:/app/.venv/bin"') == [("path-empty-element", 11)]


def test_a_probe_by_a_program_that_is_not_there() -> None:
    line = "HEALTHCHECK CMD curl -f http://localhost/ || exit 1"
    assert added(line) == [("health-by-curl", 3)]
    assert added(line.lower()) == [("health-by-curl", 3)]
    uv = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/bin/"
    assert ("health-by-curl", 4) in added(f"{uv}\n{line}")


@pytest.mark.parametrize(
    "line",
    [
        *("ARG PIP_TOKEN", "ENV DB_PASSWORD=x", "RUN git clone https://me:s3cr3t@git.test/x"),
        *("ENV DATABASE_URL=postgres://me:s3cr3t@db/shop", "ENV A=1 TOKEN_URL=redis://:s3cr3t@r"),
        *("ENV DSN //me:s3cr3t@db", "ARG PIP_INDEX_URL=https://t0ken@h/simple"),
        *(
            "ADD --checksum=sha256:0 https://h.test/x?sig=s3cr3t /x",
            "LABEL from=https://me:s3cr3t@h.test/x",
        ),
        "RUN pip download --index-url https://dl.cloudsmith.io/t0ken/o/r/python/simple/ x",
        'RUN curl -H "Authorization: Bearer s3cr3t" https://h.test',
        "RUN wget --header='PRIVATE-TOKEN: s3cr3t' https://h.test",
        "RUN curl -fsSL -u me:s3cr3t https://h.test",
        *("RUN huggingface-cli login --token s3cr3t", "ENV STRIPE=sk_live_abcdefgh"),
    ],
)
def test_a_secret_in_the_history(line: str) -> None:
    assert added(line) == [("secret-in-image", 3)]


@pytest.mark.parametrize(
    "line",
    [
        *("ENV SECRET_KEY=", "ENV URL=https://h.test:8080/a", "ENV MAIL=me@example.org"),
        "RUN pip download git+https://me:$TOKEN@h.test/r.git@v1 git+https://h.test/r@main",
        "RUN pip download --index-url https://${ME}:$(cat /run/secrets/pw)@h.test/simple x",
        'RUN curl -H "Authorization: Bearer $TOKEN" -u "$ME:$PW" -u me https://h.test',
        *("ENV DATABASE_URL=postgres://web@db/web", "ENV BROKER=redis://:@r TO=mailto:x@y.test"),
        *("LABEL url=https://a@b.test/x", "ENV KEY=sk_test_abcdefgh"),
        "RUN adduser --disabled-password app && foo --token-file=x --password-stdin --token=$T",
    ],
)
def test_a_variable_for_a_secret_is_none(line: str) -> None:
    assert added(line) == []


def test_a_stage_that_is_copied_from_has_no_history() -> None:
    files = CONTEXT.files | {".env"}
    good = GOOD.replace("COPY . .", "COPY main.py ./")
    text = f"FROM node:24-alpine AS web\n{{}}\n{good}COPY --from=web /dist /dist\n"
    for line in ("ARG VITE_API_KEY=", "ENV TOKEN=x", "ARG PW\nENV A=//me:$PW@h", "COPY .env ./"):
        assert found(text.format(line), replace(CONTEXT, files=files)) == []
    url = "ENV URL=https://me:s3cr3t@h.test/a"
    assert found(text.format(url)) == [("secret-in-image", 2)]
    whole = text.format("COPY .env /app/").replace("/dist /dist", "/app /app")
    assert found(whole, replace(CONTEXT, files=files)) == [("env-file-in-image", 2)]


@pytest.mark.parametrize("line", ["COPY .env ./", "ADD conf/.env.prod /app/"])
def test_a_file_of_secrets_in_a_layer(line: str) -> None:
    files = CONTEXT.files | {".env", "conf/.env.prod"}
    assert added(line, replace(CONTEXT, files=files)) == [("env-file-in-image", 3)]


def test_a_context_that_is_not_ignored() -> None:
    context = replace(CONTEXT, not_ignored=(".venv",))
    assert found(GOOD, context) == [("context-not-ignored", 10)]


@pytest.mark.parametrize(
    ("step", "user", "codes"),
    [
        ("RUN true", "web", ["user-not-there"]),
        ("RUN useradd web", "web", []),
        ("COPY main.py start.sh\nRUN chmod +x start.sh", "web", ["user-not-there"]),
        ("ARG NAME=web\nRUN useradd $NAME", "$NAME", []),
        ("COPY --from=build /etc/passwd /etc/", "web", []),
        ("RUN ./setup.sh", "web", []),
        ("RUN true", "nobody", []),
        ("RUN true", "$OTHER", []),
    ],
)
def test_a_user_that_nothing_adds(step: str, user: str, codes: list[str]) -> None:
    assert [code for code, _ in changed(USER, f"{step}\nUSER {user}")] == codes
    based = GOOD.replace(BASE, "registry.test/base:1").replace(USER, f"{step}\nUSER {user}")
    assert found(based) == []


def test_output_that_is_held_back() -> None:
    assert changed(" PYTHONUNBUFFERED=1", "") == [("output-buffered", 9)]
    binary = GOOD[: GOOD.index("FROM build")] + (
        "FROM debian:trixie-slim\nCOPY --from=build /app/dist/tool /opt/tool\n"
        'USER 10001\nENTRYPOINT ["/opt/tool"]\n'
    )
    assert found(binary) == []


@pytest.mark.parametrize("image", ["ubuntu:latest", "nvidia/cuda", "registry.test:5000/web"])
def test_whatever_is_the_latest(image: str) -> None:
    assert ("base-not-pinned", 1) in changed(BASE, image)


@pytest.mark.parametrize(
    "image", ["python@sha256:0", "python:3@sha256:0", "registry.test:5000/web:1", "$BASE"]
)
def test_a_base_that_stays_or_is_not_known(image: str) -> None:
    assert changed(BASE, image) == []


def test_the_python_of_a_stage_that_makes_no_environment() -> None:
    text = "FROM python:3.11-slim-trixie AS site\nRUN make html\n"
    assert found(text + GOOD.replace("COPY . .", "COPY --from=site /x /x\nCOPY . .")) == []


def test_a_uv_that_is_started_is_used() -> None:
    line = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/"
    text = GOOD.replace("WORKDIR", f"{line}\nWORKDIR", 1)
    assert found(text) == [("uv-in-image", 3)]
    assert found(text.replace('CMD ["', 'CMD ["uv", "run", "--no-sync", "')) == []


@pytest.mark.parametrize("drop", ["gosu app", "su-exec app:app", "setpriv --reuid=app"])
def test_a_service_that_drops_root_by_itself(drop: str) -> None:
    text = GOOD.replace("USER 10001:10001\n", "RUN install-packages gosu su-exec\n")
    script = f'#!/bin/sh\nexec {drop} "$@"\n'
    context = replace(CONTEXT, files=CONTEXT.files | {"entry"}, text=reading({"entry": script}))
    assert found(text.replace("CMD", 'ENTRYPOINT ["./entry"]\nCMD'), context) == []
    assert ("runs-as-root", 9) in found(text, context)


@pytest.mark.parametrize("step", ["COPY --chmod=755 <<'EOF' /entry", "RUN cat <<EOF >/entry"])
def test_a_script_in_the_dockerfile_drops_root(step: str) -> None:
    script = '#!/usr/bin/env bash\nset -eu\nexec gosu app "$@"\nEOF'
    written = f'RUN apt-get install gosu\n{step}\n{script}\nENTRYPOINT ["/entry"]'
    text = GOOD.replace("FROM build\n", f"FROM build\n{written}\n")
    assert "runs-as-root" not in {code for code, _ in found(text.replace(f"{USER}\n", ""))}


@pytest.mark.parametrize(
    ("start", "path", "service", "is_found"),
    [
        ("/init", "etc/s6-overlay/s6-rc.d/web/run", "#!/bin/sh\ns6-setuidgid app\nuvicorn", False),
        ("/init", "etc/s6-overlay/s6-rc.d/web/run", "#!/bin/sh\nuvicorn", True),
        ("supervisord", "supervisord.conf", "[program:web]\nuser=app\n", False),
        ("supervisord", "supervisord.conf", "[supervisord]\nuser=root\n", True),
        ("supervisord", "notes.txt", "", False),
    ],
)
def test_a_service_whose_file_drops_root(
    start: str, path: str, service: str, *, is_found: bool
) -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {path}, text=reading({path: service}))
    text = GOOD.replace(f"{USER}\n", "") + f'ENTRYPOINT ["{start}"]\n'
    assert ("runs-as-root" in {code for code, _ in found(text, context)}) is is_found


def test_a_base_that_nobody_knows_may_have_a_user_of_its_own() -> None:
    text = GOOD.replace(BASE, "registry.test/python:1").replace("USER 10001:10001\n", "")
    assert found(text.replace(" PYTHONUNBUFFERED=1", "")) == []


@pytest.mark.parametrize(
    ("image", "program"), [("python:3.13-trixie", "curl"), ("python:3.13-alpine3.22", "wget")]
)
def test_a_probe_by_a_program_that_is_there(image: str, program: str) -> None:
    line = f"HEALTHCHECK CMD {program} http://localhost:8000/"
    assert found(GOOD.replace(BASE, image).replace("WORKDIR", f"{line}\nWORKDIR", 1)) == []


@pytest.mark.parametrize(
    "line",
    [
        "ENV PASSWORD_RESET_TIMEOUT=300 TOKENIZERS_PARALLELISM=false MAX_TOKENS=4096",
        "ENV SECRET_KEY_FILE=/run/secrets/key DB_PASSWORD=$PW USE_AUTH_TOKEN=true",
        "ARG ACCESS_TOKEN_EXPIRE_MINUTES=30",
    ],
)
def test_names_that_are_like_those_of_secrets(line: str) -> None:
    assert added(line) == []


def test_an_example_of_a_file_of_secrets() -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {".env.example", ".netrc"})
    assert added("COPY .env.example ./", context) == []
    assert added("COPY .netrc /root/", context) == [("env-file-in-image", 3)]


def test_a_uv_that_is_named_without_a_slash() -> None:
    assert added("COPY --from=ghcr.io/astral-sh/uv:0.13.9 uv /bin/uv") == [("uv-in-image", 3)]


def test_a_program_that_drops_root_by_an_option() -> None:
    text = GOOD.replace("USER 10001:10001\n", "")
    assert found(text.replace('"main:app"', '"--user=app", "main:app"')) == []


def test_a_program_that_is_no_service_may_buffer() -> None:
    context = replace(CONTEXT, scripts=frozenset({"shop"}), packages=(".",))
    text = GOOD.replace(" PYTHONUNBUFFERED=1", "").replace(" --no-install-project", "")
    text = text[: text.index("CMD")]
    program = f'{text}ENTRYPOINT ["shop"]\n'
    assert found(program, context) == []
    assert found(f"{program}EXPOSE 80\n", context) == [("output-buffered", 9)]
    assert found(f'{text}CMD ["shop"]\n', context) == [("output-buffered", 9)]


def test_uv_is_for_the_images_that_are_built_on_this_one() -> None:
    line = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/uv\nONBUILD RUN uv sync --locked"
    assert "uv-in-image" not in dict(added(line))


@pytest.mark.parametrize("start", ["init", "entry"])
def test_a_start_that_takes_another_user(start: str) -> None:
    script = "COPY <<EOF /entry\n#!/bin/sh\nexec setpriv --reuid=app flask\nEOF\n"
    text = f'{script}ENTRYPOINT ["/{start}"]'
    assert "runs-as-root" not in dict(changed(f"{USER}\n", f"{text}\n"))


def test_an_image_without_anything_of_the_project() -> None:
    context = replace(CONTEXT, requires_python=">=3.14")
    text = "FROM python:3.13-slim-trixie\nENV PYTHONUNBUFFERED=1\nCOPY run.conf /\nUSER 10001\n"
    context = replace(context, files=context.files | {"run.conf"})
    assert found(text, context) == []
    assert dict(found(f"{text}COPY main.py /\n", context)).keys() == {
        "command-missing",
        "python-not-allowed",
    }


@pytest.mark.parametrize("name", ["USE_ID_TOKEN", "APP_REQUIRE_PASSWORD", "VERIFY_API_KEY"])
def test_a_switch_is_no_secret(name: str) -> None:
    assert added(f"ARG {name}") == []


@pytest.mark.parametrize("words", ['"pytest"', '"tox"', '"uv", "run", "ruff"'])
def test_an_image_for_the_checks_is_no_service(words: str) -> None:
    text = GOOD.replace(" UV_NO_DEV=1 PYTHONUNBUFFERED=1", "").replace(f"{USER}\n", "")
    uv = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/\n" if "uv" in words else ""
    assert found(f"{text[: text.index('CMD')]}{uv}CMD [{words}]\n") == []


def test_uv_is_for_what_is_mounted_into_a_dev_container() -> None:
    uv = "COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/\n"
    assert found(f"FROM mcr.microsoft.com/devcontainers/python:1-3.12-bookworm\n{uv}") == []


@pytest.mark.parametrize(
    ("line", "packages"),
    [
        ("", ["git", "libgomp1"]),
        ("RUN apt-get install git curl # /var/lib/apt", ["libgomp1"]),
        ("RUN apt-get install libgomp1 # /var/lib/apt", ["git"]),
        ("RUN apt-get install ffmpeg # /var/lib/apt", ["git"]),  # it may bring the library
        ("COPY --from=debian:13 /usr/lib/x /usr/lib/", []),
        ("RUN uv sync --locked --no-cache --package shop", []),
    ],
)
def test_what_a_distribution_needs_of_the_system(line: str, packages: list[str]) -> None:
    locked = CONTEXT.locked or frozenset()
    context = replace(CONTEXT, locked=locked | {"lightgbm", "gitpython", "numba"})
    text = GOOD.replace("COPY . .", f"COPY . .\n{line}")
    lacking = [
        message.split()[2].rstrip(",")
        for check in CHECKS
        for code, _, message in check(linted(text, context))
        if code == "package-missing"
    ]
    assert lacking == packages
    extra = replace(context, optional={"gitpython": ("git",), "lightgbm": ("ml",)})
    extras = text.replace(" --no-install-project", ' "$@" --extra git')
    assert "package-missing" not in dict(found(extras, extra))
    by_streamlit = replace(context, locked=locked | {"gitpython", "streamlit"})
    assert "package-missing" not in dict(found(text, by_streamlit))
    optional = dict.fromkeys(("gitpython", "lightgbm"), ("dev",))
    assert found(GOOD, replace(context, optional=optional)) == []


def test_the_whole_image_of_python_has_compilers() -> None:
    whole = GOOD.replace("FROM build", "FROM python:3.13-trixie\nENV PYTHONUNBUFFERED=1")
    assert ("compiler-in-image", 9) in found(whole)
    probe = "HEALTHCHECK CMD curl -f http://localhost:8000/\nCMD"
    assert "compiler-in-image" not in dict(found(whole.replace("CMD", probe)))


@pytest.mark.parametrize(
    "line",
    [
        "ARG PW=\nENV UV_INDEX_URL=https://me:${PW}@h.test/simple",
        "\nRUN --mount=type=secret,id=netrc cp /run/secrets/netrc /root/.netrc",
        "\nRUN --mount=type=secret,id=t echo machine x password $(cat /run/secrets/t) > ~/.netrc",
        "\nRUN --mount=type=secret,id=t git config --global url.$(cat /run/secrets/t).insteadOf x",
    ],
)
def test_a_secret_that_the_build_writes_into_the_image(line: str) -> None:
    assert ("secret-in-image", 4) in added(line)


@pytest.mark.parametrize(
    "line",
    [
        "ENV UV_INDEX_URL=https://me:${PW}@h.test/simple",
        "RUN pip download --index-url $(cat /run/secrets/index) shop",
        "RUN cp /run/secrets/netrc ~/.netrc && uv sync --locked --no-cache && rm ~/.netrc",
        "RUN TOKEN=$(cat /run/secrets/t 2>/dev/null) ./fetch >/dev/null",
        "RUN uv sync --locked --no-cache --config-file /run/secrets/uv.toml",
    ],
)
def test_a_secret_that_is_gone_after_its_step(line: str) -> None:
    assert "secret-in-image" not in dict(added(line))


@pytest.mark.parametrize("file", ["id_ed25519", "tls/server.key", "my-service-account.json"])
def test_a_file_with_a_key(file: str) -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {file, "ca.pem"})
    assert added(f"COPY {file} /etc/", context) == [("env-file-in-image", 3)]
    assert added("COPY ca.pem /etc/", context) == []


@pytest.mark.parametrize(
    "line", ["ENV UV_INSECURE_HOST=pypi.org", "RUN uv sync --locked --allow-insecure-host x"]
)
def test_certificates_that_are_not_checked(line: str) -> None:
    assert "tls-not-verified" in dict(added(line))
    assert "tls-not-verified" not in dict(added("ENV UV_INSECURE_HOST="))


def test_a_signal_that_leaves_no_time_to_stop() -> None:
    assert added("STOPSIGNAL SIGKILL") == [("stop-signal", 3)]
    assert added("STOPSIGNAL SIGINT") == []


@pytest.mark.parametrize(
    ("pin", "is_other"),
    [("3.12", True), ("3.13", False), ("3.13.5\n", True), ("cpython@3.12", True)],
)
def test_a_python_version_that_the_base_has_not(pin: str, *, is_other: bool) -> None:
    files = CONTEXT.files | {".python-version"}
    context = replace(CONTEXT, files=files, text=reading({".python-version": pin}))
    both = f"{GOOD}RUN --mount=from=ghcr.io/astral-sh/uv:0.13.9 uv sync --locked --no-cache\n"
    assert ("python-not-allowed", 1) not in found(GOOD, context)  # which no sync sees
    assert (("python-not-allowed", 1) in found(both, context)) is is_other
    assert found(both.replace("ENV UV_", "ENV UV_PYTHON=3.13 UV_"), context) == found(both)


@pytest.mark.parametrize(
    "image",
    ["debian:buster-slim", "python:3.9-slim-trixie", "ubuntu:18.04", "python:3.13-bullseye"],
)
def test_a_base_that_has_ended(image: str) -> None:
    assert ("base-ended", 1) in changed("python:3.13-slim-trixie", image)
    assert ("base-ended", 1) not in changed("python:3.13-slim-trixie", "team/buster:python3.10")


def test_a_base_that_is_whatever_is_current() -> None:
    for image in ("python:3.13-alpine", "debian:stable-slim", "team/base:debian"):
        assert ("base-not-pinned", 1) in changed("python:3.13-slim-trixie", image)


def test_a_login_in_a_file_that_is_written() -> None:
    netrc = "machine pypi.test login bob{}password s3cr3t"
    for line in (f"RUN echo '{netrc.format(' ')}' > ~/.netrc", f"COPY <<E /x\n{netrc}\nE"):
        assert ("secret-in-image", 3) in added(line.format("\n"))
    assert added("RUN echo 'machine pypi.test login bob password '$(cat /run/x) > x") == []


def test_a_download_without_checks() -> None:
    for line in ("curl -fsSk https://x.test/y -o /y", "wget --no-check-certificate x.test/y"):
        assert ("tls-not-verified", 3) in added(f"RUN {line}")
    assert added("RUN curl -fsS https://x.test/k -o /k") == []


def test_a_stage_whose_name_ends_so_is_for_development() -> None:
    dev = f"{GOOD}FROM build AS shop-dev\nRUN uv sync --no-cache --frozen\nUSER root\n"
    assert found(dev) == found(GOOD.replace("FROM build\n", "FROM build AS shop\n"))


def test_the_base_of_a_stage_for_development_is_no_image() -> None:
    text = "FROM python:3.13-slim-trixie AS build\nRUN useradd app\nFROM build AS development\n"
    assert found(f"{text}USER app\n") == []
    assert found(text.replace("RUN", "CMD app\nRUN")) != []


def test_an_image_that_is_copied_from_is_pinned_as_well() -> None:
    assert added("COPY --from=docker:cli /usr/local/bin/docker /bin/") == [("base-not-pinned", 3)]
    for name in ("docker:29.1-cli", "golang@sha256:0", "docker.io/astral/uv:0.9.2"):
        assert "base-not-pinned" not in dict(added(f"COPY --from={name} /a /b"))


def test_a_download_of_the_latest_release() -> None:
    line = "RUN curl -fL https://github.com/a/b/releases/{}/tool -o /bin/tool"
    assert added(line.format("latest/download")) == [("download-unchecked", 3)]
    assert added(line.format("download/1.2")) == []


def test_a_python_version_that_uv_run_alone_sees() -> None:
    context = replace(
        CONTEXT,
        files=CONTEXT.files | {".python-version"},
        text=reading({".python-version": "3.12"}),
    )
    assert found(GOOD, context) == []
    start = 'CMD ["uv", "run", "uvicorn", "--host=::", "main:app"]'
    text = GOOD.replace('CMD ["uvicorn", "--host=0.0.0.0", "main:app"]', start)
    assert ("python-not-allowed", 1) in found(text, context)
