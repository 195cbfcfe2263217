"""The engine that builds images: is it there, and can it do what is asked of it? Asks only."""

import re
import shutil
from collections.abc import Mapping

from uvflow.errors import UsageError
from uvflow.uv import Answer, ask_program

_OFF = ("0", "f", "false")  # as docker reads a variable
_KNOWS_LINK = 23  # the first Docker Engine whose own BuildKit knows `COPY --link`
_FIRST_BY_YEAR = 17  # what is numbered below is no Docker Engine, but an engine with its command


def check(environ: Mapping[str, str]) -> None:
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


def _asked(environ: Mapping[str, str], *words: str) -> Answer:
    return ask_program(("docker", *words), environ=environ)


def _last_line(text: str) -> str | None:
    return next((line for line in reversed(text.splitlines()) if line.strip()), None)
