"""Each problem with the environment is found on its line, and a good file has none."""

from dataclasses import replace

import pytest
from dockerfiles import CONTEXT, GOOD, changed, found
from images import DEV, PROD, facts

from uvflow.docker.debian import DebianPackages
from uvflow.docker.dockerfile import render_dockerfile
from uvflow.docker.facts import Stages
from uvflow.docker.lint.model import LintContext

SYNC = "uv sync --locked --no-install-project"
MOUNTED = "--mount=from=ghcr.io/astral-sh/uv:0.13.9"
CACHE = "    --mount=type=cache,target=/root/.cache/uv \\\n"


def test_a_good_file_has_no_findings() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    "made",
    [
        facts(),
        facts(selections=(DEV, PROD), secrets=("UV_INDEX_CORP_PASSWORD",)),
        facts(base="managed", local_packages=("shop",)),
        facts(base="distroless", stages=Stages(is_multi=True, evidence="x"), user=65532),
        facts(
            stages=Stages(is_multi=True, evidence="x"),
            system=DebianPackages(build=("build-essential",), runtime=("libpq5",)),
            built=("psycopg2",),
        ),
    ],
    ids=["plain", "dev", "managed", "distroless", "built"],
)
def test_what_uvflow_writes_has_no_findings(made: object) -> None:
    assert isinstance(made, type(facts()))
    assert found(render_dockerfile(made)) == []


@pytest.mark.parametrize("image", ["ghcr.io/astral-sh/uv:latest", "ghcr.io/astral-sh/uv"])
def test_an_unpinned_uv(image: str) -> None:
    assert changed("ghcr.io/astral-sh/uv:0.13.9", image) == [("uv-not-pinned", 4)]


@pytest.mark.parametrize("what", ["-r pyproject.toml", ".", "--no-deps -e ."])
def test_an_install_that_does_not_read_the_lockfile(what: str) -> None:
    assert ("lockfile-passed-over", 4) in changed(SYNC, f"uv pip install --system {what}")


def test_an_install_of_what_was_exported_is_like_a_sync() -> None:
    export = "uv export --frozen --no-dev -o r.txt && uv pip install --system -r r.txt"
    assert changed(SYNC, export) == [("sync-frozen", 4)]
    cached = "RUN uv pip sync --system r.txt"
    assert changed("WORKDIR /app", cached) == [("uv-cache-in-layer", 3)]
    bare = "FROM python:3.13-slim-trixie\nRUN uv pip sync --no-cache --system r.txt\n"
    assert ("no-bytecode", 2) in found(bare)


def test_a_compiler_of_alpine() -> None:
    line = "RUN apk add --no-cache gcc musl-dev libpq"
    assert changed("WORKDIR /app", line) == [("compiler-in-image", 3)]


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
        "RUN curl -LsSf https://astral.sh/uv/install.sh | sh",
        "ADD https://astral.sh/uv/install.sh /uv.sh",
    ],
)
def test_a_uv_that_is_installed(line: str) -> None:
    assert changed("WORKDIR /app", line) == [("uv-installed-unpinned", 3)]


def test_uv_pip_and_a_pinned_uv_are_no_install_of_uv() -> None:
    assert changed("WORKDIR /app", "RUN pip install uv==0.13.9") == []
    assert changed("WORKDIR /app", "ADD https://astral.sh/uv/0.13.9/install.sh /uv.sh") == []
    assert changed("WORKDIR /app", "RUN uv pip list") == []


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


def test_the_source_before_the_dependencies() -> None:
    assert changed("WORKDIR /app", "COPY . /app") == [("source-before-dependencies", 3)]


def test_source_and_environment_in_one_layer() -> None:
    text = GOOD.replace("FROM build\n", "COPY . .\nFROM python:3.13-slim-trixie\n")
    text = text.replace("COPY . .\nENV", "COPY --from=build /app /app\nENV PYTHONUNBUFFERED=1\nENV")
    assert found(text) == [("source-with-environment", 11)]
    assert found(text.replace("/app /app", "/data /data")) == []


def test_the_cache_of_uv_in_a_layer() -> None:
    assert changed(CACHE, "") == [("uv-cache-in-layer", 4)]
    assert changed(CACHE, "") != changed(SYNC, f"{SYNC} --no-cache")


def test_links_from_a_cache_mount() -> None:
    assert changed("UV_LINK_MODE=copy ", "") == [("uv-link-mode", 4)]


def test_nothing_is_compiled() -> None:
    assert changed("UV_COMPILE_BYTECODE=1 ", "") == [("no-bytecode", 4)]


APT = "apt-get update && apt-get install -y {} && rm -rf /var/lib/apt/lists/*"


def test_apt_after_the_sync() -> None:
    text = f"{SYNC}\nRUN {APT.format('libpq5')}\n"
    assert changed(f"{SYNC}\n", text) == [("apt-after-sync", 9)]


@pytest.mark.parametrize("package", ["gcc", "build-essential", "libpq-dev", "cargo"])
def test_a_compiler_in_the_image(package: str) -> None:
    assert changed("WORKDIR /app", f"RUN {APT.format(package)}") == [("compiler-in-image", 3)]


def test_package_lists_in_a_layer() -> None:
    line = "RUN apt-get update && apt-get install -y libpq5"
    assert changed("WORKDIR /app", line) == [("apt-lists-kept", 3)]


def test_a_version_file_that_uv_does_not_see() -> None:
    context = replace(CONTEXT, files=CONTEXT.files | {".python-version"})
    assert changed("WORKDIR /app", "WORKDIR /app", context) == [("python-version-not-seen", 4)]
    assert changed("UV_NO_DEV=1", "UV_NO_DEV=1 UV_PYTHON=3.13", context) == []
    assert changed("WORKDIR /app", "COPY .python-version ./", context) == []
    assert changed(",source=pyproject.toml", "", context) == []
    other = changed(",source=pyproject.toml", ",src=pyproject.toml", context)
    assert other == [("python-version-not-seen", 4)]


def test_a_mount_of_what_is_not_there() -> None:
    context = LintContext(files=CONTEXT.files - {"uv.lock"}, installed=CONTEXT.installed)
    assert changed("WORKDIR /app", "WORKDIR /app", context) == [("mount-missing", 4)]


def test_members_that_uv_does_not_see() -> None:
    context = replace(CONTEXT, members=("packages/lib/pyproject.toml",))
    assert changed("WORKDIR /app", "WORKDIR /app", context) == [("members-not-seen", 4)]
    assert changed("WORKDIR /app", "COPY packages packages", context) == []


def test_a_python_below_root() -> None:
    assert changed("WORKDIR /app", "RUN uv python install 3.13") == [("python-below-root", 3)]
    named = "RUN UV_PYTHON_INSTALL_DIR=/python uv python install 3.13"
    assert changed("WORKDIR /app", named) == []


def test_an_environment_at_another_path() -> None:
    text = GOOD.replace("FROM build\n", "FROM python:3.13-slim-trixie\nENV PYTHONUNBUFFERED=1\n")
    moved = text.replace("COPY . .", "COPY --from=build /app/.venv /venv")
    assert found(moved) == [("environment-moved", 11)]
    assert found(moved.replace(" /venv\n", " /app/.venv\n")) == []
