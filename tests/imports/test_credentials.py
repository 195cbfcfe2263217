import pytest

from uvflow.imports.credentials import (
    Userinfo,
    expanded,
    for_git,
    redacted,
    split_userinfo,
    variables,
)


@pytest.mark.parametrize(
    ("url", "without", "userinfo"),
    [
        ("https://me:pw@h/x", "https://h/x", ("me", "pw")),
        ("https://token@h", "https://h", ("token", "")),
        ("https://a@b:p@ss:w@h/x", "https://h/x", ("a@b", "p@ss:w")),
        ("https://${A}:${B}@h/x@y", "https://h/x@y", ("${A}", "${B}")),
    ],
)
def test_userinfo_is_what_stands_before_the_last_at(
    url: str, without: str, userinfo: tuple[str, str]
) -> None:
    username, password = userinfo
    expected = Userinfo(username=username, password=password)
    assert split_userinfo(url) == (without, expected)
    assert repr(expected) == "Userinfo()"


@pytest.mark.parametrize("url", ["https://h/x@y", "./a@b", "https://h?x=a@b", "${URL}", ""])
def test_other_urls_have_none(url: str) -> None:
    assert split_userinfo(url) == (url, None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-i https://me:pw@h/x", "-i https://****@h/x"),
        ("x @ git+https://token@h/r@main", "x @ git+https://****@h/r@main"),
        ("https://me:p/w@h/x", "https://****@h/x"),
        ("a https://u@h b ftp://v@i", "a https://****@h b ftp://****@i"),
        ("git+ssh://git@h/r@v1", "git+ssh://git@h/r@v1"),
        ("https://h:8080/r.git@main", "https://h:8080/r.git@main"),
        ("https://h/r.git@main", "https://h/r.git@main"),
    ],
)
def test_no_userinfo_is_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_git_logs_in_by_headers_that_only_the_environment_has() -> None:
    logins = [
        ("https://h/a.git", Userinfo(username="me", password="p%40${P}")),
        ("https://h/b.git", Userinfo(username="token", password="")),
    ]
    assert for_git(logins, {"P": "w", "GIT_CONFIG_COUNT": "1"}) == {
        "GIT_CONFIG_KEY_1": "http.https://h/a.git.extraHeader",
        "GIT_CONFIG_VALUE_1": "Authorization: Basic bWU6cEB3",
        "GIT_CONFIG_KEY_2": "http.https://h/b.git.extraHeader",
        "GIT_CONFIG_VALUE_2": "Authorization: Basic dG9rZW46",
        "GIT_CONFIG_COUNT": "3",
    }
    assert for_git([], {}) == {}


def test_variables_are_those_that_pip_expands() -> None:
    text = "${A_1}:${b}:$C:${A_1}:${D}"
    assert variables(text) == ("A_1", "D")
    assert expanded(text, {"A_1": "x", "b": "y", "C": "z", "D": ""}) == "x:${b}:$C:x:${D}"
