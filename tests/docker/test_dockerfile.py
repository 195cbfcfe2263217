"""The same facts give the same Dockerfile, and each fact has its place in it."""

import ast
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from images import DEV, PROD, facts

from uvflow.docker import dockerfile, instructions
from uvflow.docker.debian import DebianPackages
from uvflow.docker.django import Static
from uvflow.docker.dockerfile import CHECK_LIBRARIES, render_dockerfile
from uvflow.docker.instructions import json_array
from uvflow.project.profiles import Profile

PLAIN = """\
# Python 3.13: .python-version.
FROM python:3.13-slim-trixie AS base
# The standard library's byte code: the image has none, the user cannot write it.
RUN python -m compileall -qf --invalidation-mode unchecked-hash -x \\
      '/(site-packages|ensurepip|idlelib|lib2to3|pydoc_data|test|tkinter|turtledemo)/' \\
      /usr/local/lib/python3.13
WORKDIR /app
# Programs of the environment come first; output is not buffered.
ENV PATH=/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \\
    PYTHONUNBUFFERED=1

# The settings of uv for every step below; arguments are not kept in the image.
FROM base AS uv
ARG UV_PROJECT_ENVIRONMENT=/venv \\
    UV_PYTHON=/usr/local/bin/python3.13 \\
    UV_PYTHON_DOWNLOADS=never \\
    UV_LINK_MODE=copy \\
    UV_COMPILE_BYTECODE=1 \\
    PYC_INVALIDATION_MODE=UNCHECKED_HASH

# The environment without the project: changes when uv.lock does.
FROM uv AS dependencies
# 0 includes development dependencies; `--build-arg` changes it.
ARG UV_NO_DEV=1
RUN --mount=type=bind,from=ghcr.io/astral-sh/uv:0.13.9,source=/uv,target=/bin/uv \\
    --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=uv.lock,target=/app/uv.lock \\
    --mount=type=bind,source=pyproject.toml,target=/app/pyproject.toml \\
    uv sync --locked --no-install-project

# The image of the profile prod.
FROM dependencies AS prod
# Fails where a library that packages need is not in the image.
{check}
# The source, a layer of its own: an edit changes only this one.
COPY --link . /app
LABEL org.opencontainers.image.title=shop
# The user owns no file and has no home directory, which some servers write to.
ENV HOME=/tmp
USER 10001:10001
EXPOSE 8000
# Probed by Python: the image has no curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \\
    CMD ["python", "-IS", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), \
4).close()"]
# main.py has FastAPI(); uvicorn is a dependency.
CMD ["uvicorn", "main:app"]
"""


CHECK = f"RUN python <<'END'\n{CHECK_LIBRARIES}\nEND\n"


def stage(text: str, name: str) -> str:
    """The instructions of one stage, without comments and without the check of libraries."""
    _, _, rest = text.partition(f" AS {name}\n")
    rest = re.split(r"\n\n(?:#.*\n)*FROM ", rest.replace(f"{CHECK}\n", ""))[0]
    return "\n".join(line for line in rest.strip().split("\n") if not line.startswith("#"))


def test_a_plain_service() -> None:
    assert render_dockerfile(facts()) == PLAIN.replace("{check}\n", f"{CHECK}\n")


def test_dev_is_on_top_of_the_environment_and_reloads() -> None:
    text = render_dockerfile(facts(selections=(DEV, PROD)))
    assert text.index(" AS dev") < text.index(" AS prod")
    assert "FROM dependencies AS dev\n" in text
    assert "UV_NO_DEV=0 uv sync --locked --no-install-project\n" in stage(text, "dev")
    assert stage(text, "dev").endswith('CMD ["uvicorn", "--reload", "main:app"]')


def test_another_profile_has_an_environment_of_its_own() -> None:
    staging = Profile(name="staging", groups=(), extras=("metrics",), editable=False)
    text = render_dockerfile(facts(selections=(staging, PROD)))
    assert "FROM uv AS staging-dependencies\n" in text
    assert "uv sync --locked --no-install-project --extra=metrics\n" in text
    assert "FROM staging-dependencies AS staging\n" in text


def test_a_package_is_built_apart_and_its_files_alone_are_added() -> None:
    text = render_dockerfile(facts(local_packages=("shop",), copies_source=False))
    assert stage(text, "project") == (
        "RUN --mount=type=bind,from=ghcr.io/astral-sh/uv:0.13.9,source=/uv,target=/bin/uv \\\n"
        "    --mount=type=cache,target=/root/.cache/uv \\\n"
        "    --mount=type=bind,target=/app,rw \\\n"
        "    touch /before \\\n"
        " && UV_COMPILE_BYTECODE=0 uv sync --locked --no-editable \\\n"
        " && find /venv -name RECORD -exec grep -q /uv_cache.json, '{}' ';' -exec sed -i "
        "/uv_cache.json,/d \\\n"
        "      '{}' + \\\n"
        " && find /venv -name uv_cache.json -delete \\\n"
        " && find /venv -cnewer /before -name '*.py' -exec python -m compileall -qf "
        "--invalidation-mode \\\n"
        "      unchecked-hash '{}' + \\\n"
        " && mkdir /project \\\n"
        " && find /venv -cnewer /before -not -type d -exec cp --parents --preserve=mode,links \\\n"
        "      --target-directory=/project '{}' +"
    )
    assert stage(text, "prod").startswith(
        "COPY --link --from=project /project/ /\n"
        "LABEL org.opencontainers.image.title=shop\nENV HOME=/tmp\n"
    )


def test_what_is_built_leaves_its_tools_in_the_builder() -> None:
    system = DebianPackages(build=("build-essential", "libpq-dev"), runtime=("libpq5",))
    text = render_dockerfile(facts(system=system, built=("psycopg2",)))
    install = "apt-get install --yes --no-install-recommends"
    assert f" && {install} libpq5 \\\n" in stage(text, "base")
    assert f" && {install} build-essential libpq-dev \\\n" in stage(text, "builder")
    assert "FROM base AS prod\n" in text
    assert "ARG LDFLAGS=-s" in stage(text, "builder")
    _, _, prod = text.partition("\nCOPY --link --from=dependencies /venv /venv\n")
    assert prod.partition("\n")[2].startswith(CHECK)


def test_a_build_leaves_nothing_in_the_temporary_directory_of_dev() -> None:
    text = render_dockerfile(facts(selections=(DEV, PROD), system=DebianPackages(build=("gcc",))))
    assert "    --mount=type=tmpfs,target=/tmp \\\n" in stage(text, "dev")


def test_an_editable_project_is_installed_without_the_times_of_its_sources() -> None:
    text = stage(render_dockerfile(facts(selections=(DEV, PROD), local_packages=("shop",))), "dev")
    assert "    --mount=type=tmpfs,target=/tmp \\\n    UV_NO_DEV=0 uv sync --locked \\\n" in text
    assert " && find /venv -name uv_cache.json -delete\n" in text


def test_a_managed_python_is_installed_by_uv() -> None:
    text = render_dockerfile(facts(base="managed"))
    assert "FROM debian:trixie-slim AS base\n" in text
    assert "UV_PYTHON_INSTALL_DIR=/python uv python install --no-bin 3.13\n" in text
    assert "    UV_PYTHON_PREFERENCE=only-managed \\\n" in stage(text, "uv")
    assert "FROM dependencies AS prod\n" in text


def test_nothing_of_the_cache_of_uv_gets_into_an_image() -> None:
    runs = re.findall(r"^RUN (?:.*\\\n)*.*", render_dockerfile(facts(base="managed")), re.MULTILINE)
    of_uv = [run for run in runs if "target=/bin/uv" in run]
    assert len(of_uv) == 2
    assert all("--mount=type=cache,target=/root/.cache/uv " in run for run in of_uv)


def test_headers_stay_where_something_is_compiled() -> None:
    assert "/include " in render_dockerfile(facts(base="managed"))
    built = facts(base="managed", system=DebianPackages(build=("gcc",)))
    assert "/include " not in render_dockerfile(built)


def test_a_distroless_image_is_copied_together() -> None:
    text = render_dockerfile(facts(base="distroless", user=65532))
    assert "FROM gcr.io/distroless/cc-debian13:nonroot AS prod\n" in text
    assert re.findall("^RUN .*", stage(text, "prod"), re.MULTILINE) == [
        f"RUN {json_array(('python', '-c', CHECK_LIBRARIES))}"
    ]
    assert "COPY --link --from=python /python /python\n" in stage(text, "prod")


def test_below_distroless_apt_is_asked_only_where_debian_runs_something() -> None:
    needed = DebianPackages(runtime=("ca-certificates", "tzdata"))
    changes = {"static": Static(directory="static", environment=()), "system": needed}
    text = render_dockerfile(facts(base="distroless", selections=(DEV, PROD), **changes))
    asking = [part for part in text.split("\nFROM ") if "apt-get" in part]
    assert [part.split("\n")[0] for part in asking] == [
        "dependencies AS static",
        "dependencies AS dev",
    ]
    built = facts(base="distroless", system=replace(needed, build=("gcc",)))
    assert "ca-certificates tzdata gcc" in stage(render_dockerfile(built), "builder")
    secured = facts(base="distroless", system=needed, reads_certificates=True)
    assert "ca-certificates tzdata" in stage(render_dockerfile(secured), "builder")


def test_the_library_is_packed_for_distroless_alone() -> None:
    assert "FROM base AS python\nRUN python <<'END'\n" in render_dockerfile(
        facts(base="distroless")
    )
    assert " AS python\n" not in render_dockerfile(facts(base="managed"))


def test_secrets_are_mounted_and_never_arguments() -> None:
    text = render_dockerfile(facts(secrets=("UV_INDEX_CORP_PASSWORD",)))
    assert (
        "    --mount=type=secret,id=UV_INDEX_CORP_PASSWORD,required=true \\\n"
        '    UV_INDEX_CORP_PASSWORD="$(cat /run/secrets/UV_INDEX_CORP_PASSWORD)" '
        "uv sync --locked \\\n"
        "      --no-install-project\n"
    ) in text
    assert "ARG UV_INDEX" not in text


def test_git_over_ssh_gets_the_agent() -> None:
    text = render_dockerfile(facts(uses_ssh=True))
    assert "    --mount=type=ssh \\\n" in text
    assert "GIT_SSH_COMMAND='ssh -o StrictHostKeyChecking=accept-new' uv sync" in text


def test_a_late_check_is_frozen_first() -> None:
    text = render_dockerfile(facts(lock_check_needs_sources=True, local_packages=("shop",)))
    assert stage(text, "dependencies").endswith("    uv sync --frozen --no-install-project")
    assert "uv sync --locked --no-editable" in stage(text, "project")


def test_members_are_mounted_and_left_out_at_first() -> None:
    mounts = ("uv.lock", "pyproject.toml", "my lib/pyproject.toml")
    text = render_dockerfile(facts(mounts=mounts, no_install_option="--no-install-workspace"))
    path = r"my\ lib/pyproject.toml"
    assert f"    --mount=type=bind,source={path},target=/app/{path} \\\n" in text
    assert "    uv sync --locked --no-install-workspace\n" in text


def test_a_member_is_started_in_its_directory() -> None:
    text = render_dockerfile(facts(directory="packages/api"))
    assert stage(text, "prod").startswith("COPY --link . /app\nWORKDIR /app/packages/api\n")


def test_static_files_are_collected_in_a_stage_of_their_own() -> None:
    static = Static(directory="static", environment=(("KEY", "x"),))
    text = render_dockerfile(facts(static=static))
    assert stage(text, "static") == (
        "COPY --link . /app\nRUN KEY=x python manage.py collectstatic --no-input \\\n"
        " && mkdir -p static"
    )
    assert "COPY --link --from=static /app/static /app/static\n" in stage(text, "prod")


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "is_healthy"),
    [(200, True), (301, True), (401, True), (403, True), (400, False), (404, False), (503, False)],
)
def test_a_probe_takes_an_answer_that_is_no_failure(status: int, is_healthy: object) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        start = replace(facts().start, port=server.server_port, health=f"/{status}")
        text = stage(render_dockerfile(facts(start=start)), "prod")
        [words] = re.findall(r"^    CMD (.*)$", text, re.MULTILINE)
        _, *arguments = json.loads(words)
        done = subprocess.run(
            [sys.executable, *arguments], check=False, capture_output=True, text=True
        )
    assert (done.returncode == 0) is is_healthy
    assert done.stderr == ("" if is_healthy else f"status {status}\n")


def test_a_probe_asks_for_a_host_that_is_allowed() -> None:
    start = replace(facts().start, health="/up", host="shop.example")
    text = stage(render_dockerfile(facts(start=start)), "prod")
    assert "c.request('GET', '/up', headers={'Host': 'shop.example'}); " in text


@pytest.mark.parametrize("health", ["/200", None])
def test_a_service_that_takes_its_port_is_probed_there(health: str | None) -> None:
    command = ("sh", "-c", "exec gunicorn --bind=:${PORT:-8000} shop:app")
    start = replace(facts().start, command=command, health=health)
    [words] = re.findall(
        r"^    CMD (.*)$", stage(render_dockerfile(facts(start=start)), "prod"), re.MULTILINE
    )
    _, *arguments = json.loads(words)
    assert "environ.get('PORT', 8000)" in arguments[-1]
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        environ = {**os.environ, "PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, *arguments], check=False, env=environ)
    assert done.returncode == 0


def test_without_a_port_nothing_is_exposed_or_probed() -> None:
    start = replace(facts().start, port=None)
    text = render_dockerfile(facts(start=start))
    assert "EXPOSE" not in text
    assert "HEALTHCHECK" not in text


def test_a_program_takes_the_arguments_of_docker_run() -> None:
    command = ("shop",)
    start = replace(
        facts().start, command=command, port=None, is_program=True, ends_at_sigterm=False
    )
    text = render_dockerfile(facts(start=start))
    assert "STOPSIGNAL SIGINT\n" in text
    assert text.endswith('ENTRYPOINT ["shop"]\n')


def test_a_version_that_git_knows_can_be_given() -> None:
    known = facts(
        local_packages=("shop",),
        selections=(DEV, PROD),
        version_variables=("SETUPTOOLS_SCM_PRETEND_VERSION",),
    )
    text = render_dockerfile(known)
    for name, has in {"uv": 0, "dependencies": 0, "project": 1, "dev": 1}.items():
        found = stage(text, name).count("ARG SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0\n")
        assert found == has, name


def test_the_environment_of_the_user_is_in_the_image() -> None:
    text = render_dockerfile(facts(environment=(("GREETING", "a $b"),)))
    assert '    GREETING="a \\$b"\n' in stage(text, "base") + "\n"


def test_a_stage_begins_after_an_empty_line() -> None:
    staging = Profile(name="staging", groups=(), extras=("metrics",), editable=False)
    text = render_dockerfile(facts(selections=(DEV, staging, PROD), local_packages=("shop",)))
    paragraphs = text.replace(f"{CHECK}\n", "").split("\n\n")
    assert [len(re.findall("^FROM", p, re.MULTILINE)) for p in paragraphs] == [1] * len(paragraphs)


WRITTEN = ast.parse(Path(dockerfile.__file__).read_text(encoding="utf-8"))
FUNCTIONS = [node for node in WRITTEN.body if isinstance(node, ast.FunctionDef)]
PARTS = [f for f in FUNCTIONS if f.returns and ast.unparse(f.returns) == "str"][1:]
SAFE = {f.name for f in PARTS} | {name for name in vars(dockerfile) if hasattr(instructions, name)}


def unescaped(value: ast.expr, names: dict[str, list[ast.expr]]) -> Iterator[str]:
    """What is in a text without standing in the module or coming from what escapes."""
    match value:
        case ast.Constant() | ast.Attribute(value=ast.Name(id="managed_python")):
            return
        case ast.FormattedValue(format_spec=ast.JoinedStr()):  # `:d`, a number
            return
        case ast.Call(func=ast.Name(id=name)) if name in SAFE:
            return
        case ast.Name(id=name) if name in names:
            inside = names[name]
            names = {**names, name: []}
        case ast.Call(func=ast.Attribute(value=template, attr="format"), keywords=keywords):
            inside = [template, *(keyword.value for keyword in keywords)]
        case ast.JoinedStr(values=inside):
            pass
        case ast.FormattedValue(value=part):
            inside = [part]
        case ast.IfExp(body=left, orelse=right) | ast.BinOp(left=left, right=right):
            inside = [left, right]
        case _:
            yield ast.unparse(value)
            return
    for part in inside:
        yield from unescaped(part, names)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_no_value_is_in_a_text_as_it_is(part: ast.FunctionDef) -> None:
    constants = (n for n, value in vars(dockerfile).items() if n.isupper() and type(value) is str)
    names: dict[str, list[ast.expr]] = {name: [] for name in constants}
    for node in (node for node in ast.walk(part) if isinstance(node, ast.Assign)):
        for target in node.targets:
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                names.setdefault(ast.unparse(name), []).append(value)
    returned = [node.value for node in ast.walk(part) if isinstance(node, ast.Return)]
    assert [text for value in returned if value for text in unescaped(value, names)] == []
