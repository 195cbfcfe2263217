"""A shell text is looked at as the commands that it runs."""

import pytest

from uvflow.docker.lint import shell


def started(*words: str, scripts: dict[str, str] | None = None) -> list[str]:
    found = shell.started(words, lambda name: (scripts or {}).get(name, ""), {})
    return [" ".join(command) for _, command in found]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("a 'b && c' && d # e f\n g", [("a", "b && c"), ("d",), ("g",)]),
        ("if ! a; then b; else c; fi", [("a",), ("b",), ("c",), ("fi",)]),
        ("a $(b; c) --d", [("a", "$"), ("b",), ("c",), ("--d",)]),
        ("# don't\na \\\n  b", [("a", "b")]),
        ("a 'b\nc; d", [("a", "'b"), ("c",), ("d",)]),
    ],
)
def test_a_text_has_commands(text: str, commands: list[tuple[str, ...]]) -> None:
    assert list(shell.command_lists(text)) == commands


def test_only_the_beginning_of_a_very_long_text_is_looked_at() -> None:
    assert len(shell.command_lists("a && " * 200_000)) < 10_000


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (("sh", "-c", "cd x && exec y --z"), "y --z"),
        (("/usr/bin/tini", "-g", "--", "gosu", "app:app", "y"), "y"),
        (("uv", "run", "--extra", "x", "--no-sync", "y", "--z"), "y --z"),
        (("uv", "run", "--no-sync", "y.py", "--z"), "python y.py --z"),
        (("env", "-i", "A=1", "y"), "y"),
        (("su", "app", "-c", "y"), "y"),
        (("python", "-m", "y"), "python -m y"),
        (("bash", "-eo", "pipefail", "-c", "exec y"), "y"),
    ],
)
def test_what_a_wrapper_starts(words: tuple[str, ...], last: str) -> None:
    assert started(*words)[-1] == last


def test_a_script_runs_what_it_is_given() -> None:
    script = {"/entry": '#!/bin/sh\nset -e\nmigrate\nexec gosu app "$@"\n'}
    assert started("/entry", "y", "--z", scripts=script)[-1] == "y --z"
    assert started("bash", "/entry", "y", scripts=script)[-1] == "y"


def test_a_script_starts_nothing_by_its_end() -> None:
    assert started("/entry", scripts={"/entry": "#!/bin/sh\ny\nexit $?\n"})[-1] == "y"


def test_a_script_that_starts_itself_ends() -> None:
    assert len(started("/entry", scripts={"/entry": "/entry"})) < 20


def test_a_shell_waits_for_what_it_does_not_exec() -> None:
    found = shell.started(("sh", "-c", "A=1 x"), lambda _: "", {"B": "2"})
    assert [environ for environ, _ in found] == [{"B": "2"}, {"A": "1", "B": "2", "SHLVL": "1"}]


@pytest.mark.parametrize(
    ("words", "is_reset"),
    [
        (("bash", "-lc", "x"), True),
        (("sh", "--login", "-c", "x"), True),
        (("su", "-", "app", "-c", "x"), True),
        (("bash", "-c", "x -l"), False),
        (("bash", "-c", "x", "-l"), False),
    ],
)
def test_a_login_shell_sets_path(words: tuple[str, ...], is_reset: bool) -> None:  # noqa: FBT001
    *_, (environ, _) = shell.started(words, lambda _: "", {"PATH": "/env/bin"})
    assert environ["PATH"] == (shell.PATH_OF_PROFILE if is_reset else "/env/bin")
