"""The Python of an image is chosen by evidence."""

import pytest

from uvflow.docker.python import choose
from uvflow.errors import UsageError

NOTHING = ()


def no_builds(_minor: str) -> int:
    return 0


def test_what_is_asked_for_first_wins() -> None:
    asked = (("3.12", "--python"), ("3.13", ".python-version"))
    assert choose(asked, ">=3.11", no_builds) == ("3.12", "--python")


@pytest.mark.parametrize("text", ["3.12", "3.12.4", "cpython-3.12", "cpython@3.12.4", "python3.12"])
def test_a_request_is_read_as_uv_reads_it(text: str) -> None:
    assert choose(((text, ".python-version"),), "", no_builds)[0] == "3.12"


@pytest.mark.parametrize("text", ["pypy3.10", "3", ">=3.12", "/usr/bin/python3"])
def test_a_request_that_names_no_cpython_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="which is no CPython by its version"):
        choose(((text, ".python-version"),), "", no_builds)


def test_without_a_request_it_is_the_newest_that_is_allowed() -> None:
    assert choose(NOTHING, ">=3.11,<3.14", no_builds) == ("3.13", "requires-python `<3.14,>=3.11`")


def test_one_with_wheels_is_better_than_a_newer_one_without() -> None:
    def to_build(minor: str) -> int:
        return 2 if minor == "3.14" else 0

    assert choose(NOTHING, ">=3.11", to_build)[0] == "3.13"


def test_a_contradiction_is_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        choose((("3.11", ".python-version"),), ">=3.12", no_builds)
    assert caught.value.message == (
        ".python-version asks for Python 3.11, which requires-python `>=3.12` does not allow"
    )


def test_an_exact_patch_is_what_no_image_of_a_minor_version_has() -> None:
    with pytest.raises(
        UsageError, match=r"requires-python `==3\.12\.4` allows the newest patch of"
    ):
        choose(NOTHING, "==3.12.4", no_builds)


def test_an_invalid_requires_python_is_told() -> None:
    with pytest.raises(UsageError, match="requires-python `three` is not valid"):
        choose(NOTHING, "three", no_builds)
