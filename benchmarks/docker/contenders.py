"""Dockerfiles for a service: those of `uvflow docker`, and others of usual shapes."""

import json
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.docker import service
from benchmarks.docker.service import Service

PYTHON = "3.12"
UVFLOW = Path(sysconfig.get_path("scripts")) / "uvflow"

_CACHE = "--mount=type=cache,target=/root/.cache/uv"
_LOCK = """--mount=type=bind,source=uv.lock,target=uv.lock \\
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml"""
_SYNC = f"""\
WORKDIR /app
RUN {_CACHE} \\
    {_LOCK} \\
    uv sync --locked --no-install-project --no-dev
COPY . /app
RUN {_CACHE} \\
    uv sync --locked --no-dev
"""
_SYNC_BY_PROFILE = _SYNC.replace("--no-dev", '$([ "$PROFILE" = prod ] && echo --no-dev)')
_START = """\
WORKDIR /app
ENV PATH="/app/.venv/bin:$PATH"
"""
_COMPILERS = """\
RUN apt-get update && apt-get install -y --no-install-recommends build-essential \\
    && rm -rf /var/lib/apt/lists/*
"""
_MANAGED = f"""\
FROM ghcr.io/astral-sh/uv:trixie-slim AS builder
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
ENV UV_PYTHON_INSTALL_DIR=/python UV_PYTHON_PREFERENCE=only-managed
RUN uv python install {PYTHON}
"""
_NONROOT = """\
RUN groupadd --system --gid 999 nonroot \\
    && useradd --system --gid 999 --uid 999 --create-home nonroot
"""

# The two that uvflow was sketched with; what they start, and its PATH, mended so that they do.
_SKETCH = f"""\
FROM ghcr.io/astral-sh/uv:python{PYTHON}-trixie-slim
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
{_SYNC}{_COMPILERS}{_START}"""

_SKETCH_MULTI = f"""\
{_MANAGED}ARG PROFILE=prod
{_SYNC_BY_PROFILE}{_COMPILERS}
FROM debian:trixie-slim
COPY --from=builder /python /python
COPY --from=builder /app /app
{_START}"""

# The shapes of astral-sh/uv-docker-example.
_EXAMPLE_MULTISTAGE = f"""\
FROM ghcr.io/astral-sh/uv:python{PYTHON}-trixie-slim AS builder
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=0
{_SYNC}
FROM python:{PYTHON}-slim-trixie
{_NONROOT}COPY --from=builder --chown=nonroot:nonroot /app /app
USER nonroot
{_START}"""

_EXAMPLE_STANDALONE = f"""\
{_MANAGED}{_SYNC}
FROM debian:trixie-slim
{_NONROOT}COPY --from=builder /python /python
COPY --from=builder --chown=nonroot:nonroot /app /app
USER nonroot
{_START}"""

_PIP = f"""\
FROM python:{PYTHON}-slim-trixie
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
{_START}"""

_IGNORED = ".venv\n.git\nDockerfile\n"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """`options` are for `uvflow docker`, where there is no `dockerfile` of another hand.

    That has all but the CMD.
    """

    name: str
    options: tuple[str, ...] = ()
    dockerfile: str = ""
    ignored: str | None = _IGNORED
    needs_requirements: bool = False

    @property
    def tag(self) -> str:
        return re.sub(r"[^a-z]+", "-", self.name)

    def prepare(self, root: Path, served: Service, nonce: str) -> None:
        """Write what the image of the service in `root` is built from."""
        if not self.dockerfile:
            words: tuple[str, ...] = (
                str(UVFLOW),
                "docker",
                "--quiet",
                f"--python={PYTHON}",
                *self.options,
            )
            subprocess.run(words, cwd=root, check=True)
            return
        command = f"CMD {json.dumps(served.start)}\n"
        (root / "Dockerfile").write_text(self.dockerfile + command)
        if self.ignored:
            (root / ".dockerignore").write_text(self.ignored)
        if self.needs_requirements:
            (root / "requirements.txt").write_text(service.requirements(root, nonce))


DEFAULT = Contender(name="uvflow")
MANAGED = Contender(name="uvflow, managed", options=("--base=managed",))
DISTROLESS = Contender(name="uvflow, distroless", options=("--base=distroless",))
SKETCH = Contender(name="sketch, one stage", dockerfile=_SKETCH, ignored=None)
SKETCH_MULTI = Contender(name="sketch, two stages", dockerfile=_SKETCH_MULTI, ignored=None)
EXAMPLE = Contender(name="uv example, multistage", dockerfile=_EXAMPLE_MULTISTAGE)
STANDALONE = Contender(name="uv example, standalone", dockerfile=_EXAMPLE_STANDALONE)
PIP = Contender(name="pip", dockerfile=_PIP, needs_requirements=True)

EVERY = (
    SKETCH,
    SKETCH_MULTI,
    EXAMPLE,
    STANDALONE,
    PIP,
    DEFAULT,
    MANAGED,
    DISTROLESS,
)


def images_named(root: Path) -> Iterator[str]:
    """The images that the Dockerfile in `root` is built from."""
    text = (root / "Dockerfile").read_text()
    named: list[str] = re.findall(r"(?:^FROM |from=)([^\s,]+)", text, re.MULTILINE)
    return (name for name in named if ":" in name)
