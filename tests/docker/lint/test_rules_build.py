"""Each problem with the environment is found on its line, and a good file has none."""

from dataclasses import replace
from typing import Any

import pytest
from dockerfiles import CONTEXT, GOOD, added, changed, found, linted, reading
from images import DEV, PROD, facts

from uvflow.docker.debian import DebianPackages
from uvflow.docker.dockerfile import render_dockerfile
from uvflow.docker.lint.check import CHECKS
from uvflow.docker.lint.model import LintContext
from uvflow.docker.lint.rules_build import _build_context

SYNC = "uv sync --locked --no-install-project"
MOUNTED = "--mount=from=ghcr.io/astral-sh/uv:0.13.9"
CACHE = "    --mount=type=cache,target=/root/.cache/uv \\\n"


def test_a_good_file_has_no_findings() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"selections": (DEV, PROD), "secrets": ("UV_INDEX_CORP_PASSWORD",)},
        {"base": "managed", "local_packages": ("shop",)},
        {"base": "distroless", "user": 65532},
        {
            "system": DebianPackages(build=("build-essential",), runtime=("libpq5",)),
            "built": ("psycopg2",),
        },
    ],
    ids=["plain", "dev", "managed", "distroless", "built"],
)
def test_what_uvflow_writes_has_no_findings(made: dict[str, Any]) -> None:
    start = replace(facts().start, command=("uvicorn", "--host=0.0.0.0", "main:app"))
    assert found(render_dockerfile(facts(**made, start=start))) == []


@pytest.mark.parametrize("image", ["ghcr.io/astral-sh/uv:latest", "ghcr.io/astral-sh/uv"])
def test_an_unpinned_uv(image: str) -> None:
    assert changed("ghcr.io/astral-sh/uv:0.13.9", image) == [("uv-not-pinned", 4)]


@pytest.mark.parametrize("what", ["-r pyproject.toml", ".", "--no-deps -e ."])
def test_an_install_that_does_not_read_the_lockfile(what: str) -> None:
    assert ("lockfile-passed-over", 4) in changed(SYNC, f"uv pip install --system {what}")


def test_an_install_by_the_tool_of_before() -> None:
    install = "pip install --no-cache-dir poetry==2.1 && poetry install --only main"
    assert changed(SYNC, install) == [("lockfile-passed-over", 4)]
    context = replace(CONTEXT, files=CONTEXT.files | {"poetry.lock"})
    assert changed(SYNC, install, context) == []  # its own lockfile


def test_a_target_of_an_install_is_no_project() -> None:
    install = "pip install --no-cache-dir -r requirements.txt"
    for option in ("-t .", "--target=."):
        assert changed(SYNC, f"{install} {option}") == []


def test_the_project_alone_is_installed_beside_what_is_locked() -> None:
    for first in (SYNC, "pip install --no-cache-dir -r requirements.txt"):
        assert changed(SYNC, f"{first} && uv pip install --no-deps .") == []
    declared = f"{SYNC} && uv pip install --no-deps -r pyproject.toml"
    assert changed(SYNC, declared) == [("lockfile-passed-over", 4)]


@pytest.mark.parametrize(
    "line",
    [
        "RUN uv pip install --no-cache-dir 'gunicorn[gevent]==23.0'",
        "RUN pip install --no-cache-dir --index-url https://pypi.test/simple gunicorn",
        "RUN uv add --no-cache gunicorn",
        "RUN uv lock",
    ],
)
def test_what_is_installed_beside_the_lockfile(line: str) -> None:
    assert added(line) == [("lockfile-passed-over", 3)]


def test_what_is_installed_beside_the_lockfile_for_a_reason() -> None:
    for line in (
        "pip install --no-cache-dir --upgrade pip supervisor==4.3",
        "uv pip install --no-cache --system 'awscli==2.1'",
        "uv pip install --no-cache --no-deps torch",
        "uv lock --check",
    ):
        assert added(f"RUN {line}") == []
    assert added("RUN pip install --no-cache-dir boto3", replace(CONTEXT, locked=None)) == []


def test_a_wheel_whose_dependencies_are_not_there() -> None:
    wheel = "uv pip install dist/*.whl"
    assert ("lockfile-passed-over", 4) in changed(SYNC, f"uv build && {wheel}")
    assert changed(SYNC, f"{SYNC} && uv build && {wheel}") == []


def test_a_tool_of_any_version() -> None:
    assert added("RUN uv tool install tinybird --python 3.13") == [("uv-installed-unpinned", 3)]
    assert added("RUN uv tool install tinybird==1.2") == []


def test_a_stage_that_another_stage_copies_from() -> None:
    text = GOOD.replace(
        "FROM build\n",
        "FROM python:3.13-slim-trixie AS list\nRUN uv pip compile pyproject.toml -o all.txt\n"
        "FROM debian:trixie-slim AS more\nCOPY --from=list /all.txt .\n"
        "FROM build\nCOPY --from=more /all.txt .\n",
    )
    assert found(text) == [("lockfile-passed-over", 10)]


def test_an_install_of_what_was_exported_is_like_a_sync() -> None:
    export = "uv export --frozen --no-dev -o r.txt && uv pip install --system -r r.txt"
    assert changed(SYNC, export) == [("sync-frozen", 4)]
    cached = "RUN uv pip sync --system r.txt"
    assert added(cached) == [("uv-cache-in-layer", 3)]
    bare = "FROM python:3.13-slim-trixie\nRUN uv pip sync --no-cache --system r.txt\n"
    assert ("no-bytecode", 2) in found(bare)


def test_a_compiler_of_alpine() -> None:
    line = "RUN apk add --no-cache gcc musl-dev libpq"
    assert added(line) == [("compiler-in-image", 3)]


def test_a_uv_pinned_by_its_digest_is_pinned() -> None:
    assert changed("uv:0.13.9", f"uv@sha256:{'0' * 64}") == []


def test_the_images_on_bookworm_ended() -> None:
    image = "ghcr.io/astral-sh/uv:0.9.30-python3.13-bookworm-slim"
    assert ("uv-bookworm-ended", 1) in changed("python:3.13-slim-trixie", image)
    moving = changed("python:3.13-slim-trixie", "ghcr.io/astral-sh/uv:bookworm-slim")
    assert ("uv-not-pinned", 1) not in moving  # it does not move any more


@pytest.mark.parametrize(
    "line",
    [
        "RUN pip install uv",
        "RUN python -m pip install -U uv",
        "RUN pip install --no-cache-dir 'uv>=0.9' pip",
        "RUN pip install poetry",
        "RUN curl -LsSf https://astral.sh/uv/install.sh | sh",
        "ADD https://astral.sh/uv/install.sh /uv.sh",
    ],
)
def test_a_uv_that_is_installed(line: str) -> None:
    assert added(line) == [("uv-installed-unpinned", 3)]


def test_uv_pip_and_a_pinned_uv_are_no_install_of_uv() -> None:
    assert added("RUN pip install uv==0.13.9") == []
    script = "https://astral.sh/uv/0.13.9/install.sh /uv.sh"
    assert added(f"ADD --checksum=sha256:0 {script}") == []
    assert added(f"ADD {script}") == [("download-unchecked", 3)]
    assert added("RUN uv pip list") == []


def test_a_sync_that_resolves() -> None:
    assert changed(SYNC, "uv sync --no-install-project") == [("sync-not-locked", 4)]


def test_a_sync_that_is_locked_by_a_variable() -> None:
    assert changed(SYNC, "UV_LOCKED=1 uv sync --no-install-project") == []


def test_a_frozen_sync_and_no_other() -> None:
    assert changed(SYNC, "uv sync --frozen --no-install-project") == [("sync-frozen", 4)]
    both = "uv sync --frozen --no-install-workspace && uv sync --locked --no-install-project"
    assert changed(SYNC, both) == []


def test_development_dependencies_in_the_image() -> None:
    assert changed("UV_NO_DEV=1 ", "") == [("sync-with-dev", 4)]
    for option in ("--dev", "--only-dev"):  # whatever the variable says
        assert changed(SYNC, f"{SYNC} {option}") == [("sync-with-dev", 4)]
    assert changed(SYNC, f"{SYNC} --group dev") == []


def test_default_groups_beside_dev() -> None:
    context = replace(CONTEXT, development=frozenset({"dev", "lint"}))
    assert found(GOOD, context) == [("sync-with-dev", 4)]
    assert changed(SYNC, f"{SYNC} --no-dev", context) == [("sync-with-dev", 4)]
    assert changed(SYNC, f"{SYNC} --no-default-groups", context) == []


def test_the_source_before_the_dependencies() -> None:
    assert added("COPY . /app") == [("source-before-dependencies", 3)]


def test_source_and_environment_in_one_layer() -> None:
    text = GOOD.replace("FROM build\n", "COPY . .\nFROM python:3.13-slim-trixie\n")
    text = text.replace("COPY . .\nENV", "COPY --from=build /app /app\nENV PYTHONUNBUFFERED=1\nENV")
    text = text.replace("USER", "WORKDIR /app\nUSER")
    assert found(text) == [("source-with-environment", 11)]
    data = text.replace("/app /app", "/data /data\nCOPY . /app")
    assert found(data) == []


def test_an_environment_beside_the_source_is_a_layer_of_its_own() -> None:
    text = GOOD.replace("ENV UV_", "ENV UV_PROJECT_ENVIRONMENT=/venv UV_")
    text = text.replace(
        "FROM build\nCOPY . .",
        "COPY . .\nFROM python:3.13-slim-trixie\nCOPY --from="
        "build /venv /venv\nCOPY --from=build /app /app",
    )
    text = text.replace('PATH="/app/.venv', 'PYTHONUNBUFFERED=1 PATH="/venv').replace(
        "USER", "WORKDIR /app\nUSER"
    )
    assert found(text) == []


def test_the_cache_of_uv_in_a_layer() -> None:
    assert changed(CACHE, "") == [("uv-cache-in-layer", 4)]
    assert changed(CACHE, "") != changed(SYNC, f"{SYNC} --no-cache")


def test_a_cache_mount_of_another_tool() -> None:
    assert changed("/.cache/uv", "/.cache/pip") == [("uv-cache-in-layer", 4)]
    assert changed("/root/.cache/uv", "/root/.cache") == []


def test_an_environment_of_a_stage_that_makes_none() -> None:
    stage = "FROM python:3.13-slim-trixie AS tools\nWORKDIR /app\nFROM build\n"
    copy = "COPY --from=tools /app/.venv /app/.venv\n"
    assert ("copy-missing", 12) in changed("FROM build\n", stage + copy)


def test_nothing_is_compiled() -> None:
    assert changed("UV_COMPILE_BYTECODE=1 ", "") == [("no-bytecode", 4)]


APT = "apt-get update && apt-get install -y {} && rm -rf /var/lib/apt/lists/*"


def test_apt_after_the_sync() -> None:
    text = f"{SYNC}\nRUN {APT.format('libpq5')}\n"
    assert changed(f"{SYNC}\n", text) == [("apt-after-sync", 9)]


@pytest.mark.parametrize("package", ["gcc", "build-essential", "libpq-dev", "cargo"])
def test_a_compiler_in_the_image(package: str) -> None:
    assert added(f"RUN {APT.format(package)}") == [("compiler-in-image", 3)]


def test_the_lists_of_alpine_in_a_layer() -> None:
    assert added("RUN apk add libpq") == [("apt-lists-kept", 3)]


def test_package_lists_in_a_layer() -> None:
    line = "RUN apt-get update && apt-get install -y libpq5"
    assert added(line) == [("apt-lists-kept", 3)]


def test_a_mount_of_what_is_not_there() -> None:
    context = LintContext(files=CONTEXT.files - {"uv.lock"}, locked=CONTEXT.locked)
    assert found(GOOD, context) == [("mount-missing", 4)]
    [(_, _, why)] = _build_context(linted(GOOD, replace(CONTEXT, is_ignored="uv.lock".__eq__)))
    assert why.startswith("uv.lock is excluded by .dockerignore")


def test_an_environment_at_another_path() -> None:
    text = GOOD.replace("FROM build\n", "FROM python:3.13-slim-trixie\nENV PYTHONUNBUFFERED=1\n")
    text = text.replace("COPY . .", "WORKDIR /app\nCOPY . .\nCOPY --from=build /app/.venv /venv")
    assert found(text) == [("environment-moved", 13)]
    assert found(text.replace(" /venv\n", " .venv\n")) == []
    assert found(text.replace('"uvicorn", ', '"python", "-m", "uvicorn", ')) == []


def test_a_link_keeps_the_path_of_an_environment() -> None:
    link = "RUN mkdir /app && ln -s /usr/local /app/.venv"
    text = TWO_STAGES.replace(
        "COPY . .", f"COPY . .\n{link}\nCOPY --from=build /app/.venv /usr/local"
    )
    assert "environment-moved" not in dict(found(text))
    assert "environment-moved" in dict(found(text.replace(link, "")))


def test_the_environment_of_a_member_is_that_of_its_workspace() -> None:
    members = ("api/pyproject.toml", "web/pyproject.toml")
    context = replace(
        CONTEXT,
        files=CONTEXT.files | {*members, "web/a.py"},
        locking=("uv.lock", "pyproject.toml", *members),
        packages=("api", "web"),
    )
    text = (
        "FROM python:3.13-slim-trixie AS build\nWORKDIR /app\nCOPY pyproject.toml uv.lock ./\n"
        "COPY web/pyproject.toml web/\nWORKDIR /app/web\nRUN uv sync --locked --no-dev\n"
        "FROM python:3.13-slim-trixie\nCOPY web /app/web\nCOPY --from=build /app/.venv /app/.venv\n"
    )
    assert {"environment-moved", "environment-without-source"}.isdisjoint(
        dict(found(text, context))
    )
    assert linted(text, context).syncs[0].environment == "/app/.venv"
    own = replace(context, locking=())
    assert linted(text, own).syncs[0].environment == "/app/web/.venv"


def test_the_lockfile_is_compared_by_an_export_as_well() -> None:
    export = "uv export -o r.txt && uv pip install --system -r r.txt"
    assert changed(SYNC, export) == [("sync-not-locked", 4)]
    assert changed(SYNC, export.replace("export", "export --locked")) == []


@pytest.mark.parametrize(
    "line", ["RUN uv pip compile pyproject.toml -o r.txt", "RUN pip3 install --no-cache-dir .[web]"]
)
def test_other_ways_to_pass_over_the_lockfile(line: str) -> None:
    assert added(line) == [("lockfile-passed-over", 3)]


def test_uv_run_in_a_step_is_a_sync() -> None:
    run = "ENV UV_NO_DEV=0\nRUN uv run python main.py"
    assert changed("COPY . .", f"COPY . .\n{run}") == [("sync-with-dev", 12)]
    for without in ("uv run --no-sync", "uv run --no-dev", "UV_NO_SYNC=1 uv run"):
        assert changed("COPY . .", f"COPY . .\n{run}".replace("uv run", without)) == []


def test_where_there_are_no_development_dependencies_none_are_in_the_image() -> None:
    assert changed("UV_NO_DEV=1 ", "", replace(CONTEXT, development=frozenset())) == []
    chosen = f"{SYNC} $(if [ -n x ]; then echo --no-dev; fi)"
    assert found(GOOD.replace("UV_NO_DEV=1 ", "").replace(SYNC, chosen)) == []


def test_a_directory_of_sources_before_the_dependencies() -> None:
    assert added("COPY shop /app/shop") == [("source-before-dependencies", 3)]
    assert added("COPY pyproject.toml main.py ./") == []


@pytest.mark.parametrize(
    "sync", [f"{SYNC} --no-cache-dir", f"{SYNC} && rm -rf /root/.cache", f"UV_NO_CACHE=1 {SYNC}"]
)
def test_a_cache_that_does_not_stay(sync: str) -> None:
    assert found(GOOD.replace(CACHE, "").replace(SYNC, sync)) == []


def test_options_and_mounts_by_variables() -> None:
    no_dev = GOOD.replace("UV_NO_DEV=1 ", "")
    arg = no_dev.replace("WORKDIR", 'ARG HOW="--locked --no-dev"\nWORKDIR', 1)
    assert found(arg.replace("uv sync --locked", "uv sync ${HOW}")) == []
    assert found(arg.replace("uv sync --locked", "uv run a && uv sync $HOW")) == []
    assert found(arg.replace("uv sync --locked", "uv sync $WHAT")) == [
        ("sync-not-locked", 5),
        ("sync-with-dev", 5),
    ]
    cache = GOOD.replace("ENV UV_", "ENV UV_CACHE_DIR=/cache UV_", 1)
    assert found(cache.replace("target=/root/.cache/uv", "target=${UV_CACHE_DIR}")) == []


def test_a_cache_mount_that_is_not_of_uv() -> None:
    assert changed("target=/root/.cache/uv", "target=/var/cache/apt") == [("uv-cache-in-layer", 4)]
    elsewhere = GOOD.replace("ENV UV_", "ENV UV_CACHE_DIR=/cache UV_", 1)
    assert found(elsewhere) == [("uv-cache-in-layer", 4)]
    assert found(elsewhere.replace("/root/.cache/uv", "/cache")) == []


@pytest.mark.parametrize(
    "line",
    [
        f"RUN {APT.format('gcc')} && uv pip list && apt-get purge -y --auto-remove gcc",
        "RUN apk add --no-cache --virtual .build gcc && uv pip list && apk --purge del .build",
    ],
)
def test_a_compiler_that_the_same_step_removes(line: str) -> None:
    assert added(line) == []


def test_package_lists_on_a_mount() -> None:
    mounts = "--mount=type=cache,dst=/var/lib/apt/lists"
    assert added(f"RUN {mounts} apt-get update && apt-get install -y libpq5") == []


def test_a_mount_of_what_is_ignored() -> None:
    context = replace(CONTEXT, is_ignored={"uv.lock"}.__contains__)
    assert found(GOOD, context) == [("mount-missing", 4)]


TWO_STAGES = GOOD.replace(" --no-install-project", "").replace(
    "FROM build\n", "FROM python:3.13-slim-trixie\nENV PYTHONUNBUFFERED=1\nWORKDIR /app\n"
)
COPIED = TWO_STAGES.replace("COPY . .", "COPY --from=build /app/.venv /app/.venv")


def test_an_editable_environment_without_its_source() -> None:
    context = replace(CONTEXT, packages=(".",))
    assert found(COPIED, context) == [("environment-without-source", 12)]
    assert found(COPIED.replace("--locked", "--locked --no-editable"), context) == []
    assert found(COPIED.replace("ENV PATH", "COPY shop shop\nENV PATH"), context) == []


def test_a_sync_for_where_there_is_no_lockfile() -> None:
    other = f"if [ -f uv.lock ]; then {SYNC}; else {SYNC.replace(' --locked', '')}; fi"
    assert changed(SYNC, other) == []


def test_a_build_context_that_is_the_directory_above() -> None:
    above = GOOD.replace("source=uv.lock", "source=shop/uv.lock").replace(
        "COPY . .", "COPY shop/ ."
    )
    context = replace(CONTEXT, files=frozenset({"uv.lock", "pyproject.toml", "main.py"}))
    assert found(above, context) == []
    assert changed("source=uv.lock", "source=shop/poetry.lock", context) == [("mount-missing", 4)]


@pytest.mark.parametrize("line", ["COPY setup.cfg ./", "ADD shop main.py data/ /app/"])
def test_a_copy_of_what_is_not_there(line: str) -> None:
    assert ("copy-missing", 3) in added(line)


@pytest.mark.parametrize(
    "line", ["COPY *.lock* $X https://h.test/a /x/", "COPY --from=build /a /b", "COPY <<E /a\nE"]
)
def test_a_copy_that_nobody_can_judge(line: str) -> None:
    assert added(line) == []


def test_an_environment_of_pip_is_not_editable() -> None:
    made = "uv venv /app/.venv && uv pip install --no-cache --compile-bytecode -r r.txt"
    context = replace(CONTEXT, packages=(".",))
    assert found(COPIED.replace("uv sync --locked", made), context) == []


@pytest.mark.parametrize("command", ["chown -R 10001 /app", "chmod --recursive -R a+rX .venv"])
def test_an_environment_in_two_layers(command: str) -> None:
    assert changed("COPY . .\n", f"COPY . .\nRUN {command}\n") == [("environment-copied-again", 11)]
    assert changed("COPY . .\n", "COPY . .\nRUN chown -R 10001 /app/data\n") == []


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ("RUN apt-get update\nRUN apt-get install -y tini && rm -r /var/lib/apt", True),
        ("RUN apt-get update && apt-get install -y tini && rm -r /var/lib/apt", False),
        ("RUN apt-get install -y tini && rm -r /var/lib/apt", False),
        ("RUN apt-get update\nRUN x | bash - && apt-get install -y x && rm -r /var/lib/apt", False),
    ],
)
def test_package_lists_of_an_older_layer(lines: str, codes: bool) -> None:  # noqa: FBT001
    assert added(lines) == ([("apt-update-alone", 4)] if codes else [])


@pytest.mark.parametrize("name", ["biuld", "buidl", "bulid", "builld"])
def test_a_misspelt_stage_is_the_one_that_is_meant(name: str) -> None:
    copy = f"FROM python:3.13-slim-trixie\nWORKDIR /app\nCOPY --from={name} /app/.venv .venv"
    text = GOOD.replace("FROM build", f"{copy}\nENV PYTHONUNBUFFERED=1")
    [(code, _, message)] = [each for check in CHECKS for each in check(linted(text, CONTEXT))]
    assert (code, message) == ("copy-missing", f"there is no stage {name}, did you mean build?")


@pytest.mark.parametrize("step", ["COPY --from=assets /x /x", "RUN --mount=from=assets cp /x /y"])
def test_a_stage_that_is_not_there(step: str) -> None:
    text = GOOD.replace("COPY . .", f"{step}\nCOPY . .")
    assert found(text) == [("copy-missing", 10)]
    bake = reading({"docker-bake.hcl": 'contexts = { assets = "../assets" }'})
    context = replace(CONTEXT, files=CONTEXT.files | {"docker-bake.hcl"}, text=bake)
    assert found(text, context) == []


@pytest.mark.parametrize("name", ["python:3.13", "node", "registry.test/build"])
def test_an_image_is_no_misspelt_stage(name: str) -> None:
    first = "FROM python:3.13-slim-trixie AS python-3.13\nFROM scratch AS code\n"
    text = first + GOOD.replace("COPY . .", f"COPY --from={name} /x /x\nCOPY . .")
    assert "copy-missing" not in dict(found(text))


@pytest.mark.parametrize(
    ("volume", "is_found"),
    [
        ("/app", True),
        ('["/app/.venv"]', True),
        ("/data /app/", True),
        ("$HERE", True),
        ("/data", False),
        ("/app/static", False),
        ("/app/shop", False),
        ("/ap", False),
    ],
)
def test_a_volume_over_the_application(volume: str, is_found: bool) -> None:  # noqa: FBT001
    user = "USER 10001:10001"
    codes = changed(user, f"ENV HERE=/app\nVOLUME {volume}\n{user}")
    assert codes == [("volume-over-application", 13)] * is_found


MANAGED = """\
FROM ghcr.io/astral-sh/uv:0.13.9-trixie-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_NO_DEV=1 UV_NO_CACHE=1
WORKDIR /app
RUN --mount=type=bind,source=uv.lock,target=uv.lock uv sync --locked --no-install-project
FROM debian:trixie-slim
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY . .
ENV PATH="/app/.venv/bin:$PATH" PYTHONUNBUFFERED=1
USER 10001
CMD ["uvicorn", "--host=0.0.0.0", "main:app"]
"""
LINES, BRINGS = "ENV UV_COMPILE", "COPY --from=build /app/.venv /app/.venv\n"
AT = "UV_PYTHON_INSTALL_DIR=/python"
SYSTEM = MANAGED.replace("uv:0.13.9-trixie-slim", "uv:0.13.9-python3.13-trixie-slim")


@pytest.mark.parametrize(
    "text",
    [
        MANAGED,
        MANAGED.replace("FROM debian:trixie-slim", "FROM python:3.13-slim-trixie"),
        MANAGED.replace(LINES, f"ENV {AT}\n{LINES}"),
        SYSTEM,
        SYSTEM.replace("RUN --mount", "RUN uv python install 3.13\nRUN --mount").replace(
            "FROM debian:trixie-slim", "FROM python:3.13-slim-trixie"
        ),
    ],
)
def test_an_environment_whose_python_is_elsewhere(text: str) -> None:
    assert [code for code, _ in found(text)] == ["python-not-there"]


@pytest.mark.parametrize(
    "text",
    [
        MANAGED.replace(LINES, f"ENV {AT}\n{LINES}").replace(
            BRINGS, f"COPY --from=build /python /python\n{BRINGS}"
        ),
        MANAGED.replace("USER 10001", "USER 10001\nENV PYTHONPATH=/app/.venv/lib/site-packages"),
        MANAGED.replace(LINES, f"ENV HOME=/home/app\n{LINES}"),
        MANAGED.replace(LINES, f"RUN apt-get install -y python3\n{LINES}"),
        MANAGED.replace(BRINGS, f"RUN apt-get install -y python3.13\n{BRINGS}"),
        MANAGED.replace(LINES, f"ENV UV_PYTHON_INSTALL_DIR=/py\n{LINES}").replace(
            BRINGS, f"ENV AT=/py\nCOPY --from=build $AT $AT\n{BRINGS}"
        ),
        MANAGED.replace("uv sync", "uv sync --python-preference=only-system"),
        SYSTEM.replace("FROM debian:trixie-slim", "FROM python:3.13-slim-trixie"),
        SYSTEM.replace(BRINGS, f"COPY --from=build /usr/local /usr/local\n{BRINGS}"),
        SYSTEM.replace(LINES, f"ENV UV_PYTHON=/usr/local/bin/python\n{LINES}").replace(
            "FROM debian:trixie-slim", "FROM python:3.13-slim-trixie"
        ),
    ],
)
def test_an_environment_whose_python_may_be_there(text: str) -> None:
    assert {"python-not-there", "python-below-root"}.isdisjoint(dict(found(text)))


def test_a_python_that_its_user_may_not_read() -> None:
    one = MANAGED.replace(f"FROM debian:trixie-slim\nWORKDIR /app\n{BRINGS}", "")
    assert "python-below-root" in dict(found(one))
    for other in (
        one.replace("USER 10001", "RUN chmod 755 /root"),
        one.replace("USER 10001\n", ""),
        one.replace(LINES, f"ENV {AT}\n{LINES}"),
    ):
        assert "python-below-root" not in dict(found(other))
    root = "COPY --from=build /root/.local /root/.local\n"
    assert ("python-below-root", 8) in found(MANAGED.replace(BRINGS, root + BRINGS))


@pytest.mark.parametrize(
    ("pin", "more", "is_found"),
    [
        ("3.14\n", "", True),
        ("3.14.1\n", "", True),
        ("3.13\n", "", False),
        ("pypy@3.11\n", "", False),
        ("3.14\n", "ENV UV_PYTHON_DOWNLOADS=never", False),
        ("3.14\n", "ENV UV_PYTHON=3.13", False),
    ],
)
def test_a_python_version_that_the_base_image_has_not(pin: str, more: str, is_found: bool) -> None:  # noqa: FBT001
    files = CONTEXT.files | {".python-version"}
    context = replace(
        CONTEXT, files=files, text={".python-version": pin, "main.py": ""}.__getitem__
    )
    text = SYSTEM.replace("FROM debian:trixie-slim", "FROM python:3.13-slim-trixie")
    assert "python-not-there" not in dict(found(text, context))  # no step has the file
    seen = text.replace("RUN --mount", f"{more}\nCOPY .python-version .\nRUN --mount")
    assert ("python-not-there" in dict(found(seen, context))) is is_found


PACKAGES = """\
FROM python:3.13-slim-trixie AS build
RUN pip install -r requirements.txt
FROM python:3.13-slim-trixie
COPY --from=build /usr/local/lib/python3.13/site-packages /usr/local/lib/python3.13/site-packages
WORKDIR /app
COPY main.py .
USER 10001
CMD ["python", "-u", "main.py"]
"""


def test_packages_that_are_copied_for_another_python() -> None:
    assert found(PACKAGES) == []
    other = PACKAGES.replace("FROM python:3.13-slim-trixie\n", "FROM python:3.14-slim-trixie\n")
    assert found(other) == [("pythons-differ", 3)]


def test_packages_that_are_copied_without_their_programs() -> None:
    words = 'CMD ["uvicorn", "--host=0.0.0.0", "main:app"]'
    text = PACKAGES.replace('CMD ["python", "-u", "main.py"]', f"ENV PYTHONUNBUFFERED=1\n{words}")
    assert found(text) == [("start-not-there", 9)]
    for other in (
        text.replace('"uvicorn", ', '"python", "-m", "uvicorn", '),
        text.replace("WORKDIR", "COPY --from=build /usr/local/bin /usr/local/bin\nWORKDIR"),
    ):
        assert found(other) == []


@pytest.mark.parametrize(
    "make", ["uv venv --relocatable && uv sync", "UV_VENV_RELOCATABLE=1 uv sync"]
)
def test_an_environment_that_may_be_moved(make: str) -> None:
    text = GOOD.replace("FROM build\n", "FROM python:3.13-slim-trixie\nENV PYTHONUNBUFFERED=1\n")
    text = text.replace("COPY . .", "WORKDIR /app\nCOPY . .\nCOPY --from=build /app/.venv /venv")
    assert found(text.replace("uv sync", make)) == []


def test_a_lockfile_that_is_stale_and_taken_as_it_is() -> None:
    stale = replace(CONTEXT, is_stale=lambda: True)
    frozen = SYNC.replace("locked", "frozen")
    assert changed(SYNC, frozen, stale) == [("lockfile-stale", 4)]
    assert found(GOOD, stale) == []


def test_a_program_that_is_frozen_needs_no_bytecode() -> None:
    frozen = f"{SYNC} && uv run --no-sync pyinstaller --onefile main.py"
    assert found(GOOD.replace("UV_COMPILE_BYTECODE=1 ", "").replace(SYNC, frozen)) == []


@pytest.mark.parametrize(
    ("listed", "text", "is_found"),
    [
        ("requirements.txt", "Uvicorn==0.20\n", True),
        ("requirements.txt", "# This file was autogenerated by uv via …\nuvicorn==0.20\n", False),
        ("requirements.txt", "supervisor==4.2\n", False),
        ("pylock.toml", "uvicorn\n", False),
    ],
)
def test_a_list_that_is_not_made_from_the_lockfile(listed: str, text: str, is_found: bool) -> None:  # noqa: FBT001
    texts = reading({listed: text})
    context = replace(CONTEXT, files=CONTEXT.files | {listed}, text=texts)
    for install in ("/root/.local/bin/uv pip install --system", "pip install --no-cache-dir"):
        line = f"COPY {listed} /tmp/\nRUN {install} --no-cache -r /tmp/{listed}"
        assert ("lockfile-passed-over" in dict(added(line, context))) is is_found
        exported = f"RUN uv export --locked -o /tmp/{listed}\n{line}"
        assert "lockfile-passed-over" not in dict(added(exported, context))


def test_an_export_with_development_dependencies() -> None:
    text = GOOD.replace("UV_NO_DEV=1 ", "").replace("uv sync --locked --no-install-project", "{}")
    export = "uv export --locked {} -o r.txt && uv pip install --system -r r.txt"
    assert found(text.format(export.format(""))) == [("sync-with-dev", 4)]
    assert found(text.format(export.format("--no-dev"))) == []


def test_a_lockfile_that_a_sync_does_not_have() -> None:
    unseen = "RUN --mount=from=ghcr.io/astral-sh/uv:0.13.9,source=/uv,target=/bin/uv uv sync"
    for line, why in (("", "in every build: uv.lock is not there"), ("COPY uv.lock .\n", "if uv")):
        messages = [
            message
            for check in CHECKS
            for code, _, message in check(linted(f"FROM python:3.13-slim\n{line}{unseen}", CONTEXT))
            if code == "sync-not-locked"
        ]
        assert [f"`uv sync` resolves again {why}" in message for message in messages] == [True]


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("pip install shop==1", True),
        ("python3 -m pip install shop==1", True),
        ("pip install --no-cache-dir shop==1", False),
        ("pip install shop==1 && rm -rf /root/.cache", False),
        ("PIP_NO_CACHE_DIR=1 pip install shop==1", False),
        ("--mount=type=cache,target=/root/.cache/pip pip install shop==1", False),
    ],
)
def test_the_cache_of_pip(line: str, *, is_found: bool) -> None:
    assert added(f"RUN {line}") == [("uv-cache-in-layer", 3)] * is_found


def test_a_cache_mount_of_another_user() -> None:
    text = GOOD.replace("WORKDIR /app\n", "USER 10001\nWORKDIR /app\n")
    assert found(text) == [("uv-cache-in-layer", 5)]
    assert found(text.replace("USER", "ENV HOME=/root\nUSER")) == []
    assert found(text.replace("target=/root/", "target=/home/app/")) == []


def test_an_environment_that_the_sync_passes_over() -> None:
    made = "RUN uv venv /venv\nENV VIRTUAL_ENV=/venv\nWORKDIR /app\n"
    text = GOOD.replace("WORKDIR /app\n", made)
    text = text.replace("FROM build\n", "FROM python:3.13-slim-trixie\nENV PYTHONUNBUFFERED=1\n")
    text = text.replace("COPY . .", "WORKDIR /app\nCOPY . .\nCOPY --from=build /venv /venv")
    assert found(text.replace("/app/.venv/bin", "/venv/bin")) == [("start-not-there", 6)]
    for right in ("uv sync --active", "UV_PROJECT_ENVIRONMENT=/venv uv sync"):
        assert found(text.replace("/app/.venv/bin", "/venv/bin").replace("uv sync", right)) == []


@pytest.mark.parametrize(
    ("variable", "requires", "codes"),
    [
        ("UV_PYTHON=3.12", "", ["python-below-root"]),
        ("UV_PYTHON=cpython@3.12", "", ["python-below-root"]),
        ("UV_PYTHON=3.13", ">=3.14", []),
        ("X=1", ">=3.14", ["python-below-root", "python-not-allowed"]),
        ("UV_PYTHON_DOWNLOADS=never", ">=3.14", ["python-not-allowed"]),
        ("UV_PYTHON=/usr/local/bin/python", ">=3.14", []),
    ],
)
def test_another_python_than_that_of_the_base_image(
    variable: str, requires: str, codes: list[str]
) -> None:
    context = replace(CONTEXT, requires_python=requires)
    assert sorted(dict(added(f"ENV {variable}", context))) == codes


def test_the_source_comes_before_an_install_of_the_project() -> None:
    lines = "COPY shop shop\nRUN pip install --no-cache-dir ."
    assert ("source-before-dependencies", 3) in added(lines)
    base = "FROM registry.test/base:1\nWORKDIR /app\n"
    assert "source-before-dependencies" not in dict(found(f"{base}{lines}\n"))
    env = "FROM python:3.13-slim-trixie\nCOPY . /app\nCOPY --from=build /app/.venv /app/.venv"
    brought = f"{env}\nRUN uv pip install /app\n"
    assert "source-before-dependencies" not in dict(changed("FROM build\nCOPY . .", brought))


def test_a_lockfile_without_the_manifests_that_it_is_compared_with() -> None:
    context = replace(CONTEXT, locking=("uv.lock", "pyproject.toml", "shop/pyproject.toml"))
    frozen = GOOD.replace("--locked", "--frozen")
    assert found(frozen) == [("sync-frozen", 4)]
    assert found(frozen, context) == []  # --locked would fail
    bound = "    --mount=type=bind,source=shop,target=shop \\\n"
    assert found(frozen.replace(CACHE, CACHE + bound), context) == [("sync-frozen", 4)]


def test_a_step_that_hides_that_a_sync_fails() -> None:
    hiding = f"{SYNC} && find / -exec rm {{}} + || true && ls"
    assert changed(SYNC, hiding) == [("failure-hidden", 4)]
    for line in (f"{SYNC}; rm x || true", f"{SYNC} && (rm x || true)", f"{SYNC} || exit 1"):
        assert changed(SYNC, line) == []
