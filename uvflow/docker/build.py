"""`uvflow docker build`: check what the build needs, then run docker's own build command."""

import os

from uvflow import process, uv
from uvflow.docker import command, companions, trial
from uvflow.docker.command import DockerOptions, DockerResult, FileState
from uvflow.docker.engine import check_engine
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.lockfile.check import Level
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.manifest import Project


def build_image(
    project: Project, *, profile: str | None, tag: str | None, tries: bool, more: tuple[str, ...]
) -> DockerResult:
    """Have docker build the image of a profile, its output untouched; `more` are its own options.

    Raises, before docker is run: StaleLockfileError; DriftError for a Dockerfile that does not
    match the facts; UsageError for an unknown profile, a secret without a value, or no docker.
    """
    uv.check_readable(project.directories)
    target = project.shared_profiles.find(profile or "prod")
    plan = command.plan_image(project, DockerOptions())
    if plan.lockfile.verdict is Level.STALE:  # the build would fail as well, minutes later
        raise StaleLockfileError(
            f"{LOCKFILE} is not what {MANIFEST} asks for",
            cause=", ".join(plan.lockfile.reasons),
            hint=plan.lockfile.hint,
        )
    if plan.dockerfile.state is not FileState.SAME:
        raise command.drift_error(plan.dockerfile)
    missing = [name for name in plan.facts.secrets if not os.environ.get(name)]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be set: an index asks for credentials")
    check_engine(os.environ)
    image = tag or companions.image_tag(plan.facts, target.name)
    version = project.table("project").get("version")
    labels = [f"--label=org.opencontainers.image.version={version}"] if version else []
    words = (
        *companions.credential_options(plan.facts),
        *(f"--target={target.name}", f"--tag={image}", f"--file={plan.dockerfile.path}"),
        *(*labels, *more, "--", str(project.workspace)),
    )
    # Docker falls back to the classic builder where BuildKit is missing, unless this is set.
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    code = process.run_program(("docker", "build", *words), environ=environ)
    file = str(project.root / target.env_file) if target.env_file else ""
    is_tried = tries and code == 0
    found = [*trial.try_image(image, plan.facts.start, file, environ)] if is_tried else []
    return DockerResult(
        result=tuple(command.finding_lines(found)),
        data={"profile": target.name, "findings": [f.as_json() for f in found]},
        error=command.error_of(found),
        code=code,
    )
