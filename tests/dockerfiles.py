"""Reading a Dockerfile by rules: which codes, on which lines."""

from collections.abc import Callable

from uvflow.docker.lint.check import CHECKS
from uvflow.docker.lint.model import Dockerfile, LintContext

NOTHING = LintContext()
CONTEXT = LintContext(
    files=frozenset({"uv.lock", "pyproject.toml", "main.py", "shop/app.py"}),
    locked=frozenset({"uvicorn"}),
)

GOOD = """\
FROM python:3.13-slim-trixie AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_DEV=1 PYTHONUNBUFFERED=1
WORKDIR /app
RUN --mount=from=ghcr.io/astral-sh/uv:0.13.9,source=/uv,target=/bin/uv \\
    --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=uv.lock,target=uv.lock \\
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \\
    uv sync --locked --no-install-project
FROM build
COPY . .
ENV PATH="/app/.venv/bin:$PATH"
USER 10001:10001
CMD ["uvicorn", "--host=0.0.0.0", "main:app"]
"""


def reading(texts: dict[str, str]) -> Callable[[str], str]:
    """What LintContext reads files by."""
    return lambda path: texts.get(path, "")


def linted(text: str, context: LintContext = NOTHING) -> Dockerfile:
    return Dockerfile(text, context)


def found(text: str, context: LintContext = CONTEXT) -> list[tuple[str, int]]:
    """Code and line of every finding."""
    dockerfile = linted(text, context)
    return [(code, at.line) for check in CHECKS for code, at, _ in check(dockerfile)]


def changed(old: str, new: str, context: LintContext = CONTEXT) -> list[tuple[str, int]]:
    """What is found in GOOD when one thing of it is another."""
    assert old in GOOD
    return found(GOOD.replace(old, new), context)


def added(line: str, context: LintContext = CONTEXT) -> list[tuple[str, int]]:
    """What is found in GOOD when `line` is the third of it."""
    return changed("WORKDIR /app\n", f"{line}\nWORKDIR /app\n", context)
