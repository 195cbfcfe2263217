"""Which credentials a build needs."""

import pytest
from locks import locked, package

from uvflow.docker.indexes import fetchers, secrets, uses_ssh
from uvflow.docker.lock import Package, read
from uvflow.errors import UsageError

URL = "https://corp.test/simple"


def packages(*sources: str) -> tuple[Package, ...]:
    entries = [package(f"p{number}", source=source) for number, source in enumerate(sources)]
    return read(locked(*entries).encode(), "uv.lock").packages


CORP = packages(f'registry = "{URL}"')
VARIABLES = ("UV_INDEX_MY_CORP_USERNAME", "UV_INDEX_MY_CORP_PASSWORD")


@pytest.mark.parametrize(
    "asking",
    [
        {"name": "my-corp", "url": URL, "authenticate": "always"},
        {"name": "my-corp", "url": "https://me@corp.test/simple/"},
    ],
)
def test_an_index_that_asks_for_a_user_has_two_variables(asking: dict[str, str]) -> None:
    assert secrets([asking], (), CORP) == VARIABLES


def test_an_index_is_private_when_the_user_says_so() -> None:
    assert secrets([{"name": "my-corp", "url": URL}], ("my-corp",), CORP) == VARIABLES


def test_an_open_index_needs_nothing() -> None:
    assert secrets([{"name": "my-corp", "url": URL}], (), CORP) == ()


def test_an_index_that_nothing_is_taken_from_needs_nothing() -> None:
    index = {"name": "other", "url": "https://other.test", "authenticate": "always"}
    assert secrets([index], (), CORP) == ()


def test_a_private_index_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="names `corp`, which no index is called"):
        secrets([{"name": "my-corp", "url": URL}], ("corp",), CORP)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    index = {"name": "corp", "url": "https://me:s3cr3t@corp.test/simple"}
    with pytest.raises(UsageError, match="has a password in it") as caught:
        secrets([index], (), CORP)
    assert "s3cr3t" not in str(caught.value)


def test_an_index_without_a_name_cannot_get_credentials() -> None:
    with pytest.raises(UsageError, match="has no name"):
        secrets([{"url": "https://me@corp.test/simple"}], (), CORP)


def test_what_is_in_git_is_fetched_by_git() -> None:
    assert fetchers(packages('registry = "x"')) == ()
    assert fetchers(packages('git = "https://git.test/a"')) == ("git",)
    over_ssh = packages('git = "ssh://git@git.test/a"')
    assert fetchers(over_ssh) == ("git", "openssh-client")
    assert uses_ssh(over_ssh)
