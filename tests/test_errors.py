from uvflow.errors import (
    ImportNeedsUserError,
    InterruptedBySignalError,
    UsageError,
    shell_command,
)
from uvflow.findings import error as error_finding


def test_an_error_holds_no_secret_whoever_shows_it() -> None:
    url = "https://me:s3cret@h/x"
    error = UsageError(url, cause=url, hint=url)
    assert (error.message, error.cause, error.hint) == (("https://****@h/x",) * 3)
    assert "s3cret" not in f"{error!r} {error} {error.__dict__}"


def test_context_is_added_to_an_error_and_takes_nothing_away() -> None:
    findings = (error_finding("a", "a message", None),)
    error = ImportNeedsUserError("2 lines", findings=findings)
    more = error.with_context(cause="so", hint="do it")
    assert type(more) is ImportNeedsUserError
    assert (more.message, more.cause, more.hint) == ("2 lines", "so", "do it")
    assert more.findings == findings


def test_a_signal_has_the_exit_code_of_the_shells() -> None:
    assert InterruptedBySignalError(15).exit_code == 143


def test_a_name_in_a_command_of_a_hint_is_no_code() -> None:
    assert shell_command("--from", "requirements.txt") == "`--from requirements.txt`"
    assert shell_command("--from", "$(reboot).txt") == "`--from '$(reboot).txt'`"
