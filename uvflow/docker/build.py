"""`uvflow docker build`: check the engine, then run its own build command.

A reproducible image has the same digest whenever and wherever it is built from the same files.
BuildKit stamps files with the time of the build unless SOURCE_DATE_EPOCH is set and it is told to
rewrite times (BuildKit documentation, "Build reproducibility"). It can do that only where it writes
an archive, which is then loaded into the engine.
"""

import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvflow import process, uv
from uvflow.docker import command, companions
from uvflow.docker.command import FileState
from uvflow.docker.facts import Facts, ImageOptions
from uvflow.errors import StaleLockfileError, UsageError, UvflowError
from uvflow.lockfile import check
from uvflow.paths import LOCKFILE, MANIFEST
from uvflow.process import Completed, capture
from uvflow.project.manifest import Project


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What is to be built: the target of a profile, under a name, with options for docker."""

    profile: str = "prod"
    tag: str | None = None
    is_reproducible: bool = False
    more: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """The exit code of docker, and the digest of a reproducible image."""

    code: int
    digest: str | None = None


def build_image(
    project: Project, order: BuildOptions, environ: Mapping[str, str] = os.environ
) -> BuildResult:
    """Have docker build the image, its output untouched.

    Raises, before docker is run: StaleLockfileError; DriftError where the Dockerfile is not what
    the facts give; UsageError where there is no such profile, a secret has no value, or the engine
    cannot do it.
    """
    profile = project.profiles[order.profile].name
    _check_lockfile(project, environ)
    plan = command.plan_image(project, ImageOptions())
    if plan.dockerfile.state is not FileState.SAME:
        raise command.drift_error(plan.dockerfile)
    _check_secrets(plan.facts, environ)
    check_engine(environ)
    options = (*build_options(plan.facts, profile, order.tag), f"--file={plan.dockerfile.path}")
    words = (*options, *order.more, "--", str(project.workspace))
    if order.is_reproducible:
        code, digest = build_reproducible(words, environ)
        return BuildResult(code=code, digest=digest)
    # Docker 20.10 and later take the classic builder where they find no BuildKit, unless told to.
    return BuildResult(
        code=process.run_program(
            ("docker", "build", *words), environ={**environ, "DOCKER_BUILDKIT": "1"}
        )
    )


def build_options(facts: Facts, profile: str, tag: str | None) -> tuple[str, ...]:
    """Options of `docker build` for a profile, all but those that name files."""
    name = companions.image_name(facts)
    named = tag or (name if profile == "prod" else f"{name}:{profile}")
    return (*companions.access(facts), f"--target={profile}", f"--tag={named}")


def _check_lockfile(project: Project, environ: Mapping[str, str]) -> None:
    """The build would say so too, minutes later and without the reason."""
    judgement = check.start_check(project, uv.find(environ), environ)()
    if judgement.verdict is check.Freshness.STALE:
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


_OFF = ("0", "f", "false")  # as docker reads a variable
_KNOWS_LINK = 23  # the first Docker Engine whose own BuildKit knows `COPY --link`
_FIRST_BY_YEAR = 17  # what is numbered below is no Docker Engine, but an engine with its command


def check_engine(environ: Mapping[str, str]) -> None:
    """Raises UsageError where `docker build` would not get as far as the first step."""
    if shutil.which("docker", path=environ.get("PATH")) is None:
        raise UsageError(
            "docker was not found on PATH",
            hint="install it, or build where it is: the Dockerfile does not need uvflow",
        )
    if environ.get("DOCKER_BUILDKIT", "").lower() in _OFF:
        raise UsageError(
            f"DOCKER_BUILDKIT={environ['DOCKER_BUILDKIT']} turns BuildKit off, and the Dockerfile "
            "needs it",
            hint="unset DOCKER_BUILDKIT",
        )
    answer = _asked(environ, "version", "--format={{.Server.Version}}")
    if answer.code:
        raise UsageError("the container engine does not answer", cause=_last_line(answer.err))
    major = re.match(r"\d+", answer.out)
    if major and _FIRST_BY_YEAR <= int(major[0]) < _KNOWS_LINK:
        raise UsageError(
            f"Docker {answer.out.strip()} is too old: the Dockerfile needs the BuildKit of Docker "
            f"{_KNOWS_LINK} or later"
        )


def check_rewriting(environ: Mapping[str, str]) -> None:
    """Raises UsageError where the builder cannot give the files of an image the times it is told.

    Docker's own builder can where the engine keeps images in containerd's store, every other one
    from BuildKit 0.13 on; that is seen from what it has made.
    """
    answer = _asked(environ, "buildx", "inspect")
    if answer.code:
        raise UsageError("there is no `docker buildx`", cause=_last_line(answer.err))
    if not re.search(r"^Driver: +docker$", answer.out, re.MULTILINE):
        return
    if "containerd" not in _asked(environ, "info", "--format={{.DriverStatus}}").out:
        raise cannot_rewrite("the engine keeps its images in the classic store")


def cannot_rewrite(cause: str) -> UsageError:
    return UsageError(
        "the builder cannot give files the times it is told, so no two images would be the same",
        cause=cause,
        hint="turn on Docker's containerd image store, or `docker buildx create --use` with "
        "BuildKit 0.13 or later",
    )


def _asked(environ: Mapping[str, str], *words: str) -> Completed:
    return capture(("docker", *words), environ=environ)


def _last_line(text: str) -> str | None:
    return next((line for line in reversed(text.splitlines()) if line.strip()), None)


# 1980-01-01, the earliest that a zip file can hold. One date for all: that of the last commit would
# make every layer another one with each commit, those of the dependencies too.
_EPOCH = 315532800

_WRITTEN_BY_US = ("--output", "-o", "--push", "--load")


def build_reproducible(words: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str | None]:
    """Run `docker buildx build` with `words`, and load the image; its exit code, and the digest.

    SOURCE_DATE_EPOCH of `environ` counts before the date that is built in. Raises UsageError where
    the builder cannot rewrite times, and for options about what is done with the image.
    """
    epoch = _epoch(environ)
    for word in words[: words.index("--")]:
        if word.partition("=")[0] in _WRITTEN_BY_US:
            raise UsageError(
                f"{word} cannot be said with --reproducible, which loads the image into the engine",
                hint="push it from there with `docker push`",
            )
    check_rewriting(environ)
    with tempfile.TemporaryDirectory(prefix="uvflow-image-") as place:
        archive = Path(place) / "image.tar"
        command = ("docker", "buildx", "build", *_options(epoch, archive), *words)
        code = process.run_program(command, environ=environ)
        if code:
            return code, None
        _check_times(archive, epoch)
        _load(archive, environ)
        return 0, _digest(archive)


def _epoch(environ: Mapping[str, str]) -> int:
    said = environ.get("SOURCE_DATE_EPOCH", str(_EPOCH))
    if not (said.isascii() and said.isdigit()):
        raise UsageError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {said!r}")
    return int(said)


def _options(epoch: int, archive: Path) -> tuple[str, ...]:
    return (
        "--provenance=false",  # it tells when and how the image was built
        f"--build-arg=SOURCE_DATE_EPOCH={epoch}",
        f"--output=type=docker,dest={archive},rewrite-timestamp=true",
    )


def _check_times(archive: Path, epoch: int) -> None:
    """A BuildKit that does not know the option passes over it without a word."""
    with tarfile.open(archive) as image:
        [manifest] = _json_in(image, "manifest.json")
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][-1])) as layer:
            if any(entry.mtime > epoch for entry in layer):
                raise cannot_rewrite("its BuildKit is older than 0.13")


def _load(archive: Path, environ: Mapping[str, str]) -> None:
    answer = process.capture(("docker", "load", f"--input={archive}"), environ=environ)
    if answer.code:
        raise UvflowError("the image was built and could not be loaded", cause=answer.err.strip())


def _digest(archive: Path) -> str:
    """That of the manifest, by which registries know it (OCI image layout specification)."""
    with tarfile.open(archive) as image:
        return str(_json_in(image, "index.json")["manifests"][0]["digest"])


def _json_in(image: tarfile.TarFile, name: str) -> Any:
    file = image.extractfile(name)
    return json.load(file) if file else None
