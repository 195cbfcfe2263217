"""The docker command: whether it is there, and what it answers."""

import re
import shutil
from collections.abc import Mapping

from uvflow import process
from uvflow.errors import NetworkError, UsageError
from uvflow.process import Completed

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def check_engine(environ: Mapping[str, str]) -> None:
    """Raises UsageError without a docker."""
    if shutil.which("docker", path=environ.get("PATH")) is None:
        raise UsageError(
            "docker was not found on PATH",
            hint="install it, or build on a machine that has it: the Dockerfile needs no uvflow",
        )


def ask_docker(environ: Mapping[str, str], *words: str) -> Completed:
    return process.capture(("docker", *words), environ=environ)


def find_digest(image: str, environ: Mapping[str, str]) -> str:
    """That of `image` for all platforms, from its registry, or as the engine has pulled it."""
    check_engine(environ)
    in_registry = ("buildx", "imagetools", "inspect", "--format={{.Manifest.Digest}}", image)
    for words in (in_registry, ("image", "inspect", "--format={{.RepoDigests}}", image)):
        if digest := _DIGEST.search(ask_docker(environ, *words).out):
            return digest[0]
    raise NetworkError(
        f"neither a registry nor the engine knows a digest of {image}",
        hint=f"`docker pull {image}`, then again",
    )
