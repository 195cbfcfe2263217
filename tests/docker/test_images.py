"""Which images, and from which registry."""

from uvflow.docker.images import Images, images
from uvflow.docker.settings import Settings


def test_every_image_is_on_one_debian() -> None:
    assert images(Settings(uv="0.13.9"), "3.13") == Images(
        python="python:3.13-slim-trixie",
        uv="ghcr.io/astral-sh/uv:0.13.9",
        debian="debian:trixie-slim",
        distroless="gcr.io/distroless/cc-debian13:nonroot",
    )


def test_a_mirror_stands_in_place_of_a_registry() -> None:
    mirrors = (("docker.io", "hub.corp.test"), ("ghcr.io", "corp.test:5000/ghcr/"))
    assert images(Settings(uv="0.13.9", mirrors=mirrors), "3.13") == Images(
        python="hub.corp.test/library/python:3.13-slim-trixie",
        uv="corp.test:5000/ghcr/astral-sh/uv:0.13.9",
        debian="hub.corp.test/library/debian:trixie-slim",
        distroless="gcr.io/distroless/cc-debian13:nonroot",
    )


def test_an_image_that_is_named_is_taken_as_it_is() -> None:
    said = Settings(python_image="ours:3", uv_image="our/uv:1", mirrors=(("docker.io", "x"),))
    assert images(said, "3.13").python == "ours:3"
    assert images(said, "3.13").uv == "our/uv:1"
