"""`uvflow docker build`: the image, by the engine's own command, from files that are current."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from uvflow import lockfile, uv
from uvflow.docker import engine, reproducible, usage, write
from uvflow.docker.facts import Facts, Options
from uvflow.docker.write import State
from uvflow.errors import StaleLockfileError, UsageError
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project import Project


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be built: the target of a profile, under a name, with options for docker."""

    profile: str = "prod"
    tag: str | None = None
    is_reproducible: bool = False
    more: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Built:
    """The exit code of docker, and the digest of a reproducible image."""

    code: int
    digest: str | None = None


def build(project: Project, order: Order, environ: Mapping[str, str] = os.environ) -> Built:
    """Have docker build the image, its output untouched.

    Raises, before docker is run: StaleLockfileError; DriftError where the Dockerfile is not what
    the facts give; UsageError where there is no such profile, a secret has no value, or the engine
    cannot do it.
    """
    profile = project.profiles[order.profile].name
    _check_lockfile(project, environ)
    plan = write.plan(project, Options())
    if plan.dockerfile.state is not State.SAME:
        raise write.not_as_planned(plan.dockerfile)
    _check_secrets(plan.facts, environ)
    engine.check(environ)
    options = (*arguments(plan.facts, profile, order.tag), f"--file={plan.dockerfile.path}")
    words = (*options, *order.more, "--", str(project.workspace))
    if order.is_reproducible:
        code, digest = reproducible.build(words, environ)
        return Built(code=code, digest=digest)
    # Docker 20.10 and later take the classic builder where they find no BuildKit, unless told to.
    return Built(
        code=uv.run_program(
            ("docker", "build", *words), environ={**environ, "DOCKER_BUILDKIT": "1"}
        )
    )


def arguments(facts: Facts, profile: str, tag: str | None) -> tuple[str, ...]:
    """Options of `docker build` for a profile, all but those that name files."""
    name = usage.image_name(facts)
    named = tag or (name if profile == "prod" else f"{name}:{profile}")
    return (*usage.access(facts), f"--target={profile}", f"--tag={named}")


def _check_lockfile(project: Project, environ: Mapping[str, str]) -> None:
    """The build would say so too, minutes later and without the reason."""
    judgement = lockfile.begin_to_judge(project, uv.find(environ), environ)()
    if judgement.verdict is lockfile.Verdict.STALE:
        raise StaleLockfileError(
            f"{LOCKFILE} is not what {MANIFEST} asks for",
            cause=", ".join(judgement.reasons),
            hint=judgement.hint,
        )


def _check_secrets(facts: Facts, environ: Mapping[str, str]) -> None:
    missing = [name for name in facts.secrets if not environ.get(name)]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} must be set, for an index that asks for credentials"
        )
