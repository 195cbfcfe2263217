from pathlib import Path

import pytest

from uvflow import journal, snapshot
from uvflow.state import State

VENV = Path("/shop/.venv")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.of(tmp_path)


def sealed(environment: Path) -> bytes:
    return snapshot.seal(str(environment), snapshot.take(["variables "]))


def names(state: State) -> set[str]:
    return {path.name for path in state.directory.iterdir()}


def test_what_is_begun_is_under_way_until_it_is_finished(state: State) -> None:
    journal.begin(state, "dev", VENV)
    assert journal.was_interrupted(state, VENV)
    journal.finish(state, "dev", VENV, sealed(VENV))
    assert not journal.was_interrupted(state, VENV)
    assert names(state) == {"dev.snapshot", "profile"}
    assert journal.last_profile(state) == "dev"


def test_beginning_forgets_the_snapshots_of_every_profile_of_that_environment(
    state: State,
) -> None:
    other = Path("/shop/.venv-prod")
    for profile, environment in (("dev", VENV), ("ci", VENV), ("prod", other)):
        state.remember(f"{profile}.snapshot", sealed(environment))
    journal.begin(state, "dev", VENV)
    assert names(state) == {"dev.journal", "prod.snapshot"}


def test_a_profile_finishes_what_another_one_began(state: State) -> None:
    journal.begin(state, "dev", VENV)
    journal.begin(state, "prod", VENV)
    journal.finish(state, "prod", VENV, None)
    assert not journal.was_interrupted(state, VENV)
    assert names(state) == {"profile"}


def test_environments_do_not_mix(state: State) -> None:
    journal.begin(state, "dev", VENV)
    assert not journal.was_interrupted(state, Path("/shop/.venv-prod"))


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"\xff", b'{"environment": 1}'[:-3]])
def test_a_journal_that_cannot_be_read_may_be_about_any_environment(
    state: State, garbage: bytes
) -> None:
    state.remember("dev.journal", garbage)
    assert journal.was_interrupted(state, VENV)
    journal.drop(state, VENV)
    assert not journal.was_interrupted(state, VENV)


def test_without_memory_there_is_no_last_profile(state: State) -> None:
    assert journal.last_profile(state) is None
    state.remember("profile", b"\xff")
    assert journal.last_profile(state) == "\N{REPLACEMENT CHARACTER}"
