from uvflow.errors import ImportNeedsUserError, UsageError


def test_an_error_holds_no_secret_whoever_shows_it() -> None:
    url = "https://me:s3cret@h/x"
    error = UsageError(url, cause=url, hint=url)
    assert (error.message, error.cause, error.hint) == (("https://****@h/x",) * 3)
    assert "s3cret" not in f"{error!r} {error} {error.__dict__}"


def test_what_is_added_to_an_error_takes_nothing_away() -> None:
    error = ImportNeedsUserError("2 lines")
    error.findings, error.data = ("a",), {"files": []}
    more = error.but(cause="so", hint="do it")
    assert (more.message, more.cause, more.hint) == ("2 lines", "so", "do it")
    assert (more.findings, more.data) == (("a",), {"files": []})
