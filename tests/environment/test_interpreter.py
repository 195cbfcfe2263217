import json
from collections.abc import Callable
from pathlib import Path

import pytest

from uvflow.environment.interpreter import ensure_uv_targets
from uvflow.errors import DamagedError
from uvflow.state.store import State

LOOK_AGAIN = ("--refresh-package", "uvflow-looks-again")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.of(tmp_path)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return tmp_path / ".venv"


class Uv:
    """Says where the environment is: `at_first`, and `then` when it has looked again."""

    def __init__(self, at_first: str, then: str = "") -> None:
        self.answers = {(): at_first, LOOK_AGAIN: then or at_first}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, arguments: tuple[str, ...]) -> str:
        self.asked.append(arguments)
        place = self.answers[arguments]
        return json.dumps({"sync": {"environment": {"path": place}}}) if place else "error"


def never(_arguments: tuple[str, ...]) -> str:
    pytest.fail("uv was asked")


def test_uv_is_asked_once_for_each_environment(state: State, environment: Path) -> None:
    uv = Uv(str(environment))
    ensure_uv_targets(state, environment, uv)
    ensure_uv_targets(state, environment, never)
    assert uv.asked == [()]
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\nmade = anew\n")
    ensure_uv_targets(state, environment, uv)
    assert uv.asked == [(), ()]


def test_what_uv_is_to_make_is_not_asked_for(state: State, tmp_path: Path) -> None:
    ensure_uv_targets(state, tmp_path / ".venv", never)


def test_uv_looks_again_where_it_is_mistaken(state: State, environment: Path) -> None:
    uv = Uv("/usr", str(environment))
    ensure_uv_targets(state, environment, uv)
    assert uv.asked == [(), LOOK_AGAIN]


def test_uv_is_not_let_at_another_place(state: State, environment: Path) -> None:
    for _ in "twice":
        with pytest.raises(DamagedError) as caught:
            ensure_uv_targets(state, environment, Uv("/usr"))
        assert caught.value.message == f"uv takes /usr for the environment {environment}"


@pytest.mark.parametrize("damaged", [b"[", b"[1]", b'"x"'])
def test_of_a_damaged_memory_nothing_is_known(
    state: State, environment: Path, damaged: bytes
) -> None:
    state.write("interpreter-checks.json", damaged)
    uv: Callable[[tuple[str, ...]], str] = Uv(str(environment))
    ensure_uv_targets(state, environment, uv)
    ensure_uv_targets(state, environment, never)


def test_a_uv_that_does_not_tell_is_asked_again(state: State, environment: Path) -> None:
    uv = Uv("")
    ensure_uv_targets(state, environment, uv)
    ensure_uv_targets(state, environment, uv)
    assert uv.asked == [(), ()]
