"""The commands that build an image and run it, as its files tell them. Pure."""

import re
import shlex

from uvflow.docker.facts import Facts


def of(facts: Facts) -> tuple[str, ...]:
    """Lines for a reader: build, run, and build for development where there is such a target."""
    name = image_name(facts)
    building = ("docker", "build", *build_arguments(facts))
    development = (selection.name for selection in facts.selections if selection.is_development)
    return (
        shlex.join((*building, "--tag", name, ".")),
        shlex.join(("docker", "run", "--rm", *run_arguments(facts), name)),
        *(shlex.join((*building, "--target", d, "--tag", f"{name}:{d}", ".")) for d in development),
    )


def image_name(facts: Facts) -> str:
    """The project's name as far as an image may be called so (OCI distribution specification)."""
    return re.sub(r"[^a-z0-9]+", "-", facts.name.lower()).strip("-") or "app"


def dockerfile(facts: Facts) -> str:
    """The path of the Dockerfile, as seen from the build context."""
    return "Dockerfile" if facts.directory == "." else f"{facts.directory}/Dockerfile"


def build_arguments(facts: Facts) -> tuple[str, ...]:
    """Options of `docker build` for what the Dockerfile needs besides its context."""
    file = () if facts.directory == "." else ("--file", dockerfile(facts))
    return (*file, *access(facts))


def access(facts: Facts) -> tuple[str, ...]:
    """Options of `docker build` that hand on credentials, which the Dockerfile never holds."""
    secrets = (w for name in facts.secrets for w in ("--secret", f"id={name},env={name}"))
    return (*secrets, *(("--ssh", "default") if facts.uses_ssh else ()))


def run_arguments(facts: Facts) -> tuple[str, ...]:
    """Options of `docker run`: as little as the service needs."""
    ports = ("--publish", f"{facts.start.port}:{facts.start.port}") if facts.start.port else ()
    return (*ports, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108  inside
