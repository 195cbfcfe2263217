"""`uvflow docker build`: check what the build needs, then run docker's own build command.

A reproducible image has the same digest whenever and wherever it is built from the same files.
BuildKit stamps files with the time of the build unless SOURCE_DATE_EPOCH is set and it is asked to
rewrite timestamps (BuildKit documentation, "Build reproducibility"). It can do that only where it
writes a tar archive, which is then loaded into the engine.
"""

import json
import os
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvflow import process, uv
from uvflow.docker import command, companions, trial
from uvflow.docker.command import DockerOptions, DockerResult, FileState
from uvflow.docker.engine import ask_docker, check_engine
from uvflow.errors import StaleLockfileError, UsageError, UvflowError
from uvflow.lockfile.check import Freshness
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.project.manifest import Project


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """The options of the command line, by their names; `more` are docker's own."""

    profile: str | None = None
    tag: str | None = None
    reproducible: bool = False
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
    environ, digest = {**os.environ, "DOCKER_BUILDKIT": "1"}, None
    if options.reproducible:
        code, digest = build_reproducible(words, environ)
    else:
        code = process.run_program(("docker", "build", *words), environ=environ)
    file = str(project.root / profile.env_file) if profile.env_file else ""
    tried = trial.try_image(image, plan.facts.start, file, environ) if options.tries else ()
    found = () if code else tuple(tried)
    return DockerResult(
        result=(*([digest] if digest else []), *command.finding_lines(found)),
        data={"profile": profile.name, "digest": digest, "findings": [f.as_json() for f in found]},
        error=command.error_of(found),
        code=code,
    )


# 1980-01-01, the earliest date a zip file can hold. A fixed one: the date of the last commit would
# change every layer with each commit, those of the dependencies as well.
_EPOCH = 315532800


def build_reproducible(words: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str | None]:
    """Run `docker buildx build` with `words` and load the image; its exit code, and the digest.

    SOURCE_DATE_EPOCH of `environ` counts before the built-in date. Raises UsageError where the
    builder did not rewrite timestamps (docker refuses where it cannot write an archive), and for
    options that send the image elsewhere.
    """
    epoch = environ.get("SOURCE_DATE_EPOCH", str(_EPOCH))
    if not (epoch.isascii() and epoch.isdigit()):
        raise UsageError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {epoch!r}")
    for word in words[: words.index("--")]:
        if word.partition("=")[0] in {"--output", "-o", "--push", "--load"}:
            raise UsageError(
                f"{word} excludes --reproducible, which loads the image into the engine",
                hint="push it from there with `docker push`",
            )
    with tempfile.TemporaryDirectory(prefix="uvflow-image-") as directory:
        archive = Path(directory) / "image.tar"
        options = (
            "--provenance=false",  # it records when and how the image was built
            f"--build-arg=SOURCE_DATE_EPOCH={int(epoch)}",
            f"--output=type=docker,dest={archive},rewrite-timestamp=true",
        )
        build = ("docker", "buildx", "build", *options, *words)
        code = process.run_program(build, environ=environ)
        if code:
            return code, None
        _check_timestamps(archive, int(epoch))
        loaded = ask_docker(environ, "load", f"--input={archive}")
        if loaded.code:
            cause = loaded.err.strip()
            raise UvflowError("the image was built but could not be loaded", cause=cause)
        # The digest of the manifest names an image in registries (OCI image layout specification).
        with tarfile.open(archive) as image:
            return 0, str(_json_in(image, "index.json")["manifests"][0]["digest"])


def _check_timestamps(archive: Path, epoch: int) -> None:
    """A BuildKit that does not know the option ignores it silently."""
    with tarfile.open(archive) as image:
        [manifest] = _json_in(image, "manifest.json")
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][-1])) as layer:
            if any(entry.mtime > epoch for entry in layer):
                raise UsageError(
                    "the builder cannot set the timestamps of files, so no two images would be the "
                    "same",
                    cause="its BuildKit is older than 0.13",
                    hint="turn on Docker's containerd image store, or `docker buildx create --use` "
                    "with BuildKit 0.13 or later",
                )


def _json_in(image: tarfile.TarFile, name: str) -> Any:
    file = image.extractfile(name)
    return json.load(file) if file else None
