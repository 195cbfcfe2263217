"""The images that a Dockerfile starts from, and where they are pulled from. Pure.

All are on Debian 13 "trixie" by name, so that a rebuild does not jump: uv's own images on bookworm
ended with uv 0.9.30.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from uvflow.docker.settings import DOCKER_HUB, Settings


@dataclass(frozen=True, kw_only=True)
class Images:
    """`python` is what base slim starts from; the others install Python on `debian`."""

    python: str
    uv: str
    debian: str
    distroless: str


def images(said: Settings, python: str) -> Images:
    """The images for Python X.Y: those that the user names, else from the registries' mirrors."""
    mirrors = dict(said.mirrors)
    return Images(
        python=said.python_image or _mirrored(f"python:{python}-slim-trixie", mirrors),
        uv=said.uv_image or _mirrored(f"ghcr.io/astral-sh/uv:{said.uv}", mirrors),
        debian=_mirrored("debian:trixie-slim", mirrors),
        distroless=_mirrored("gcr.io/distroless/cc-debian13:nonroot", mirrors),
    )


def _mirrored(image: str, mirrors: Mapping[str, str]) -> str:
    """An image without a host is one of Docker Hub's, where the official ones are in `library`."""
    host, slash, path = image.partition("/")
    if not slash:
        host, path = DOCKER_HUB, f"library/{image}"
    return f"{mirrors[host].rstrip('/')}/{path}" if host in mirrors else image
