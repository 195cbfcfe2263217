"""`uvflow docker build`: check what the build needs, then run docker's own build command.

A reproducible image has the same digest whenever and wherever it is built from the same files.
BuildKit stamps files with the time of the build unless SOURCE_DATE_EPOCH is set and it is asked to
rewrite timestamps (BuildKit documentation, "Build reproducibility"). It can do that only where it
writes a tar archive, which is then loaded into the engine.
"""

import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uvflow import process, uv
from uvflow.docker import command, companions
from uvflow.docker.command import FileState
from uvflow.docker.facts import Facts, ImageOptions
from uvflow.errors import StaleLockfileError, UsageError, UvflowError
from uvflow.lockfile.check import Freshness
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed
from uvflow.project.manifest import Project


def build_image(
    project: Project, *, profile: str, tag: str | None, is_reproducible: bool, more: Sequence[str]
) -> tuple[int, str | None]:
    """Have docker build the image of a profile, its output untouched, with `more` options.

    Returns docker's exit code, and the digest of a reproducible image. Raises, before docker is
    run: StaleLockfileError; DriftError for a Dockerfile that does not match the facts; UsageError
    for an unknown profile, a secret without a value, or an unsuitable engine.
    """
    uv.check_readable(project.directories)
    profile = project.shared_profiles[profile].name
    plan = command.plan_image(project, ImageOptions())
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
    image = build_options(plan.facts, profile, tag)
    words = (*image, f"--file={plan.dockerfile.path}", *more, "--", str(project.workspace))
    if is_reproducible:
        return build_reproducible(words, os.environ)
    # Docker 20.10 and later fall back to the classic builder where BuildKit is missing, unless set.
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return process.run_program(("docker", "build", *words), environ=environ), None


_OFF = ("0", "f", "false")  # as docker reads a variable
_FIRST_WITH_LINK = 23  # the first Docker Engine whose own BuildKit has `COPY --link`
_FIRST_BY_YEAR = 17  # a lower number is not Docker's, but of an engine with a docker command


def check_engine(environ: Mapping[str, str]) -> None:
    """Raises UsageError where `docker build` would not get as far as the first step."""
    if shutil.which("docker", path=environ.get("PATH")) is None:
        raise UsageError(
            "docker was not found on PATH",
            hint="install it, or build on a machine that has it: the Dockerfile needs no uvflow",
        )
    if environ.get("DOCKER_BUILDKIT", "").lower() in _OFF:
        raise UsageError(
            f"DOCKER_BUILDKIT={environ['DOCKER_BUILDKIT']} turns BuildKit off, and the Dockerfile "
            "needs it",
            hint="unset DOCKER_BUILDKIT",
        )
    version = _docker(environ, "version", "--format={{.Server.Version}}")
    if version.code:
        raise UsageError("the container engine does not answer", cause=_last_line(version.err))
    major = re.match(r"\d+", version.out)
    if major and _FIRST_BY_YEAR <= int(major[0]) < _FIRST_WITH_LINK:
        raise UsageError(
            f"Docker {version.out.strip()} is too old: the Dockerfile needs the BuildKit of Docker "
            f"{_FIRST_WITH_LINK} or later"
        )


def build_options(facts: Facts, profile: str, tag: str | None) -> tuple[str, ...]:
    """Options of `docker build` for a profile, except those that name files."""
    tagged = tag or companions.image_tag(facts, profile)
    return (*companions.credential_options(facts), f"--target={profile}", f"--tag={tagged}")


# 1980-01-01, the earliest date a zip file can hold. A fixed one: the date of the last commit would
# change every layer with each commit, those of the dependencies as well.
_EPOCH = 315532800

_OUTPUT_OPTIONS = ("--output", "-o", "--push", "--load")


def build_reproducible(words: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str | None]:
    """Run `docker buildx build` with `words` and load the image; its exit code, and the digest.

    SOURCE_DATE_EPOCH of `environ` counts before the built-in date. Raises UsageError where the
    builder cannot rewrite timestamps, and for options that send the image elsewhere.
    """
    epoch = environ.get("SOURCE_DATE_EPOCH", str(_EPOCH))
    if not (epoch.isascii() and epoch.isdigit()):
        raise UsageError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {epoch!r}")
    for word in words[: words.index("--")]:
        if word.partition("=")[0] in _OUTPUT_OPTIONS:
            raise UsageError(
                f"{word} excludes --reproducible, which loads the image into the engine",
                hint="push it from there with `docker push`",
            )
    check_rewriting(environ)
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
        loaded = _docker(environ, "load", f"--input={archive}")
        if loaded.code:
            cause = loaded.err.strip()
            raise UvflowError("the image was built but could not be loaded", cause=cause)
        # The digest of the manifest names an image in registries (OCI image layout specification).
        with tarfile.open(archive) as image:
            return 0, str(_json_in(image, "index.json")["manifests"][0]["digest"])


def check_rewriting(environ: Mapping[str, str]) -> None:
    """Raises UsageError where the builder is known not to rewrite the timestamps of files.

    Docker's own builder does where the engine uses containerd's image store, every other one
    from BuildKit 0.13 on; that shows in what it has built.
    """
    builder = _docker(environ, "buildx", "inspect")
    if builder.code:
        raise UsageError("`docker buildx` does not work", cause=_last_line(builder.err))
    if not re.search(r"^Driver: +docker$", builder.out, re.MULTILINE):
        return
    if "containerd" not in _docker(environ, "info", "--format={{.DriverStatus}}").out:
        raise _cannot_rewrite("the engine uses the classic image store")


def _check_timestamps(archive: Path, epoch: int) -> None:
    """A BuildKit that does not know the option ignores it silently."""
    with tarfile.open(archive) as image:
        [manifest] = _json_in(image, "manifest.json")
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][-1])) as layer:
            if any(entry.mtime > epoch for entry in layer):
                raise _cannot_rewrite("its BuildKit is older than 0.13")


def _cannot_rewrite(cause: str) -> UsageError:
    return UsageError(
        "the builder cannot set the timestamps of files, so no two images would be the same",
        cause=cause,
        hint="turn on Docker's containerd image store, or `docker buildx create --use` with "
        "BuildKit 0.13 or later",
    )


def _json_in(image: tarfile.TarFile, name: str) -> Any:
    file = image.extractfile(name)
    return json.load(file) if file else None


def _docker(environ: Mapping[str, str], *words: str) -> Completed:
    return process.capture(("docker", *words), environ=environ)


def _last_line(text: str) -> str | None:
    return next((line for line in reversed(text.splitlines()) if line.strip()), None)
