"""Reading a Dockerfile by rules: which codes, on which lines."""

from uvflow.docker.lint import rules_build, rules_image  # noqa: F401  they fill RULES
from uvflow.docker.lint.model import RULES, LintContext, LintedDockerfile
from uvflow.docker.lint.parse import parse_dockerfile

CONTEXT = LintContext(
    files=frozenset({"uv.lock", "pyproject.toml", "main.py", "shop/app.py"}),
    installed=frozenset({"uvicorn"}),
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
CMD ["uvicorn", "main:app"]
"""


def found(text: str, context: LintContext = CONTEXT) -> list[tuple[str, int]]:
    """Code and line of every finding."""
    linted = LintedDockerfile(parse_dockerfile(text), context, "Dockerfile")
    findings = (finding for rule in RULES for finding in rule(linted))
    return [(finding.code, finding.origin.line if finding.origin else 0) for finding in findings]


def changed(old: str, new: str, context: LintContext = CONTEXT) -> list[tuple[str, int]]:
    """What is found in GOOD when one thing of it is another."""
    assert old in GOOD
    return found(GOOD.replace(old, new), context)
