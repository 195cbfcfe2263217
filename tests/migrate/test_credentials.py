import pytest

from uvflow.migrate.credentials import (
    UNCLEAR,
    Userinfo,
    remaining_secret,
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
    ("url", "secret"),
    [
        ("https://me:p/w@h/x", UNCLEAR),
        ("git+https://me:p#w@h/x", UNCLEAR),
        ("https://me:p@w/x@h/y", UNCLEAR),
        ("git+https://me:p@w/x@h/y.git", UNCLEAR),
        ("git+https://me:pw@h/r@feature/x", ""),
        ("https://me:pw@h/x", ""),
        ("https:/me:pw@h/x", UNCLEAR),
        ("https:///me:pw@h/x", UNCLEAR),
        ("git+https:me:pw@h/x", UNCLEAR),
        ("//me:pw@h/x", UNCLEAR),
        ("git+ssh://me%3Apw@h/r", UNCLEAR),
        ("git@h.example:o/r.git", ""),
        ("https://h/x?token=a", "the query of this URL contains a token"),
        ("https://h/x?sid=a", "the query of this URL contains a token"),
        ("https://dl.cloudsmith.io/t/o/r/", "the path of this URL contains a token"),
        ("git+https://me:pw@h/r@main", ""),
        ("https://h:80/x?token=${A}", ""),
        ("https://h:8080/r@v", ""),
        ("https://[::1]:80/x", ""),
        ("https://[::1]/x", ""),
        ("ssh://h:org/r", ""),
        ("git+file:///C:/r", ""),
        ("https://me:pw@h/x@main six @ https://me:pw@h/y", UNCLEAR),
        ("https://me@h/x https://h/y", ""),
    ],
)
def test_what_no_split_can_take_out_is_told(url: str, secret: str) -> None:
    assert remaining_secret(url) == secret


def test_variables_are_those_that_pip_expands() -> None:
    text = "${A_1}:${b}:$C:${A_1}:${D}"
    assert variables(text) == ("A_1", "D")
    userinfo = Userinfo(username="me", password=text)
    environ = {"A_1": "x", "b": "y", "C": "z", "D": ""}
    assert userinfo.login(environ) == ("me", "x:${b}:$C:x:${D}")
