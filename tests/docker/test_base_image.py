"""Which images, and from which registry."""

import pytest
from packaging.specifiers import SpecifierSet

from uvflow.docker.base_image import base_images, choose_python, newest_release
from uvflow.docker.settings import Settings
from uvflow.errors import UsageError

UV = {"uv": "ghcr.io/astral-sh/uv:0.13.9"}


@pytest.mark.parametrize(
    ("base", "images"),
    [
        ("slim", {**UV, "base": "python:3.13-slim-trixie"}),
        ("managed", {**UV, "base": "debian:trixie-slim"}),
        (
            "distroless",
            {
                **UV,
                "base": "debian:trixie-slim",
                "distroless": "gcr.io/distroless/cc-debian13:nonroot",
            },
        ),
    ],
)
def test_every_image_is_on_one_debian(base: str, images: dict[str, str]) -> None:
    assert base_images(Settings(uv="0.13.9", base=base), "3.13") == images


def test_an_image_that_is_named_is_taken_as_it_is() -> None:
    said = Settings(python_image="ours:3", uv_image="our/uv:1")
    assert base_images(said, "3.13") == {"base": "ours:3", "uv": "our/uv:1"}


NOTHING = ()


def no_builds(_minor: str) -> int:
    return 0


def test_what_is_asked_for_first_wins() -> None:
    asked = (("3.12", "--python"), ("3.13", ".python-version"))
    assert choose_python(asked, ">=3.11", no_builds) == ("3.12", "--python")


@pytest.mark.parametrize("text", ["3.12", "3.12.4", "cpython-3.12", "cpython@3.12.4", "python3.12"])
def test_a_request_is_read_as_uv_reads_it(text: str) -> None:
    assert choose_python(((text, ".python-version"),), "", no_builds)[0] == "3.12"


@pytest.mark.parametrize("text", ["pypy3.10", "3", ">=3.12", "/usr/bin/python3"])
def test_a_request_that_names_no_cpython_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"only CPython versions \(X\.Y\) have an official image"):
        choose_python(((text, ".python-version"),), "", no_builds)


def test_without_a_request_it_is_the_newest_that_is_allowed() -> None:
    assert choose_python(NOTHING, ">=3.11,<3.14", no_builds) == (
        "3.13",
        "requires-python `<3.14,>=3.11`",
    )


def test_one_with_wheels_is_better_than_a_newer_one_without() -> None:
    def to_build(minor: str) -> int:
        return 2 if minor == "3.14" else 0

    assert choose_python(NOTHING, ">=3.11", to_build)[0] == "3.13"


def test_a_contradiction_is_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        choose_python((("3.11", ".python-version"),), ">=3.12", no_builds)
    assert caught.value.message == (
        ".python-version asks for Python 3.11, which requires-python `>=3.12` does not allow"
    )


def test_an_exact_release_is_a_choice_where_no_newest_one_is_allowed() -> None:
    assert choose_python(NOTHING, "==3.12.4", no_builds)[0] == "3.12"
    assert choose_python((("3.12", "--python"),), "==3.12.4", no_builds)[0] == "3.12"
    assert choose_python(NOTHING, ">=3.10,<3.11.9", no_builds)[0] == "3.10"
    with pytest.raises(UsageError, match="allows no Python with an official image"):
        choose_python(NOTHING, "==3.7.1", no_builds)


@pytest.mark.parametrize(
    ("wanted", "release"),
    [(">=3.11", "3.12"), ("==3.12.4", "3.12.4"), ("<3.12.9", "3.12.8"), (">=3.13", None)],
)
def test_the_newest_release_is_one_that_is_allowed(wanted: str, release: str | None) -> None:
    assert newest_release(SpecifierSet(wanted), "3.12") == release


def test_an_invalid_requires_python_is_told() -> None:
    with pytest.raises(UsageError, match="requires-python `three` is not valid"):
        choose_python(NOTHING, "three", no_builds)
