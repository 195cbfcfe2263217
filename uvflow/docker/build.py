"""`uvflow docker build`: check what the build needs, then run docker's own build command."""

import os
from dataclasses import dataclass

from uvflow import process, uv
from uvflow.docker import command, companions, trial
from uvflow.docker.command import DockerOptions, DockerResult, FileState
from uvflow.docker.engine import check_engine
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.lockfile.check import Freshness
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.manifest import Project


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The options of the command line, by their names; `more` are docker's own."""

    profile: str | None = None
    tag: str | None = None
    tries: bool = False
    more: tuple[str, ...] = ()


def build_image(project: Project, options: BuildOptions) -> DockerResult:
    """Have docker build the image of a profile, its output untouched.

    Raises, before docker is run: StaleLockfileError; DriftError for a Dockerfile that does not
    match the facts; UsageError for an unknown profile, a secret without a value, or no docker.
    """
    uv.check_readable(project.directories)
    profile = project.shared_profiles[options.profile or "prod"]
    plan = command.plan_image(project, DockerOptions())
    if plan.lockfile.verdict is Freshness.STALE:  # the build would fail as well, minutes later
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
    image = options.tag or companions.image_tag(plan.facts, profile.name)
    words = (
        *companions.credential_options(plan.facts),
        *(f"--target={profile.name}", f"--tag={image}", f"--file={plan.dockerfile.path}"),
        *(*options.more, "--", str(project.workspace)),
    )
    # Docker falls back to the classic builder where BuildKit is missing, unless this is set.
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    code = process.run_program(("docker", "build", *words), environ=environ)
    file = str(project.root / profile.env_file) if profile.env_file else ""
    tried = trial.try_image(image, plan.facts.start, file, environ) if options.tries else ()
    found = () if code else tuple(tried)
    return DockerResult(
        result=tuple(command.finding_lines(found)),
        data={"profile": profile.name, "findings": [f.as_json() for f in found]},
        error=command.error_of(found),
        code=code,
    )
