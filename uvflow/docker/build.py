"""`uvflow docker build`: the image, by the engine's own command, from files that are current."""

import os
import shutil
from collections.abc import Mapping, Sequence

from uvflow import uv
from uvflow.docker import usage
from uvflow.docker.facts import Facts
from uvflow.docker.write import Plan, State
from uvflow.errors import DriftError, UsageError
from uvflow.project import Project


def build(
    project: Project, plan: Plan, *, profile: str, tag: str | None, more: Sequence[str] = ()
) -> int:
    """Build the target of `profile` and return the exit code of `docker build`.

    `more` are options for it. Raises DriftError where the Dockerfile is not what the facts give,
    UsageError where there is no docker, no such profile, or a secret has no value.
    """
    if plan.dockerfile.state is not State.SAME:
        raise DriftError(
            f"{plan.dockerfile.path} is not what today's facts give",
            hint="`uvflow docker --check` shows the difference, `uvflow docker` makes it anew",
        )
    if shutil.which("docker") is None:
        raise UsageError("docker was not found on PATH")
    words = command(plan.facts, profile=project.profiles[profile].name, tag=tag)
    _check_secrets(plan.facts, os.environ)
    context = (f"--file={plan.dockerfile.path}", *more, "--", str(project.workspace))
    return uv.run_program((*words, *context), environ=os.environ)


def command(facts: Facts, *, profile: str, tag: str | None) -> tuple[str, ...]:
    """`docker build` for a profile, without the Dockerfile and the context."""
    name = usage.image_name(facts)
    named = tag or (name if profile == "prod" else f"{name}:{profile}")
    return ("docker", "build", *usage.access(facts), f"--target={profile}", f"--tag={named}")


def _check_secrets(facts: Facts, environ: Mapping[str, str]) -> None:
    missing = [name for name in facts.secrets if not environ.get(name)]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} must be set, for an index that asks for credentials"
        )
