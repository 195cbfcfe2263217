import json
import math
import os
import sys
from pathlib import Path

import pytest

from uvflow import fingerprint, paths
from uvflow.state import journal
from uvflow.state.journal import LastSync
from uvflow.state.store import State

VENV = Path("/shop/.venv")
INTERRUPTED, UNFLUSHED = LastSync.INTERRUPTED, LastSync.UNFLUSHED


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.of(tmp_path)


def fingerprint_of(environment: Path) -> bytes:
    answers = fingerprint.record(["variables ", f"content {journal.BOOT_ID}"])
    return fingerprint.encode("shop dev", str(environment), answers)


def names(state: State) -> set[str]:
    return {path.name for path in state.directory.iterdir()}


def test_a_sync_is_running_until_it_is_recorded(state: State) -> None:
    journal.mark_running(state, "dev", VENV)
    assert journal.last_sync(state, VENV)
    journal.end_sync(state, VENV, {"dev.fingerprint": fingerprint_of(VENV)})
    assert not journal.last_sync(state, VENV)
    assert names(state) == {"dev.fingerprint"}


def test_the_last_profile_is_remembered(state: State) -> None:
    assert journal.last_profile(state) is None
    journal.record_profile(state, "dev")
    journal.record_profile(state, "prod")
    assert journal.last_profile(state) == "prod"


def test_starting_drops_every_fingerprint_of_the_environment(
    state: State,
) -> None:
    other = Path("/shop/.venv-prod")
    for profile, environment in (("dev", VENV), ("ci", VENV), ("prod", other)):
        state.write(f"{profile}.fingerprint", fingerprint_of(environment))
    journal.mark_running(state, "dev", VENV)
    assert names(state) == {"dev.journal", "prod.fingerprint"}


def test_starting_drops_the_fingerprint_of_every_member(state: State) -> None:
    for member in (".", "packages/api"):
        name = paths.fingerprint_name("dev", f"/shop/{member}", "/shop")
        state.write(name, fingerprint_of(VENV))
    assert len(names(state)) == 2
    journal.mark_running(state, "dev", VENV)
    assert names(state) == {"dev.journal"}


def test_a_profile_finishes_the_sync_of_another_profile(state: State) -> None:
    journal.mark_running(state, "dev", VENV)
    journal.mark_running(state, "prod", VENV)
    journal.end_sync(state, VENV, {})
    assert not journal.last_sync(state, VENV)
    assert names(state) == set()


def test_an_unfinished_sync_elsewhere_hides_none_of_the_same_profile(
    state: State, tmp_path: Path
) -> None:
    """UV_PROJECT_ENVIRONMENT names another environment at another time."""
    first = tmp_path / "first"
    first.mkdir()
    (first / "pyvenv.cfg").touch()
    for environment in (first, VENV):
        journal.mark_running(state, "dev", environment)
    assert journal.last_sync(state, first)
    assert journal.last_sync(state, VENV)
    journal.end_sync(state, VENV, {})
    assert journal.last_sync(state, first)
    assert not journal.last_sync(state, VENV)


def test_a_journal_of_this_boot_means_a_kill(state: State) -> None:
    journal.mark_running(state, "dev", VENV)
    assert journal.last_sync(state, VENV) is (INTERRUPTED if sys.platform == "linux" else UNFLUSHED)


@pytest.mark.parametrize("boot", ["of-yesterday", None])
def test_a_journal_of_another_boot_means_that_data_may_be_lost(
    state: State, boot: str | None
) -> None:
    rebooted(state, boot)
    assert journal.last_sync(state, VENV) is UNFLUSHED


def rebooted(state: State, boot: str | None) -> None:
    state.write("dev.journal", json.dumps({"environment": str(VENV), "boot": boot}).encode())


def test_data_may_be_lost_until_a_sync_is_finished(state: State) -> None:
    rebooted(state, "of-yesterday")
    journal.mark_running(state, "dev", VENV)  # and killed
    assert journal.last_sync(state, VENV) is UNFLUSHED
    journal.end_sync(state, VENV, {})
    journal.mark_running(state, "dev", VENV)
    assert journal.last_sync(state, VENV) is (INTERRUPTED if sys.platform == "linux" else UNFLUSHED)


def test_the_first_unfinished_sync_gives_the_time(state: State) -> None:
    journal.mark_running(state, "dev", VENV)
    os.utime(state.directory / "dev.journal", (1000, 1000))
    for profile in ("dev", "prod"):
        journal.mark_running(state, profile, VENV)
    assert journal.first_started(state, VENV) == 1000
    journal.end_sync(state, VENV, {})
    assert journal.first_started(state, VENV) == math.inf


def test_the_worst_of_several_journals_counts(state: State) -> None:
    rebooted(state, "of-yesterday")
    journal.mark_running(state, "prod", VENV)
    assert journal.last_sync(state, VENV) is UNFLUSHED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has boot ids")
def test_a_finished_sync_before_a_reboot_may_not_all_be_on_the_disk(state: State) -> None:
    state.write("dev.fingerprint", fingerprint_of(VENV))
    assert journal.last_sync(state, VENV) is LastSync.FINISHED
    older = fingerprint.encode(
        "shop dev", str(VENV), (f"content {journal.BOOT_ID}".encode(), b"+old")
    )
    state.write("dev.fingerprint", older)
    assert journal.last_sync(state, VENV) is LastSync.REBOOTED


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """What the journal needs of an environment."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    return tmp_path / ".venv"


def test_the_environments_copy_warns_processes_with_another_state(
    state: State, venv: Path, tmp_path: Path
) -> None:
    other = State.of(tmp_path / "other")
    journal.mark_running(state, "dev", venv)
    assert journal.last_sync(other, venv) is journal.last_sync(state, venv)
    assert journal.last_sync(other, venv)
    journal.remove_copy(venv)
    assert not journal.last_sync(other, venv)
    assert journal.last_sync(state, venv)  # until it is finished


def test_a_missing_environment_is_not_created(state: State, tmp_path: Path) -> None:
    journal.mark_running(state, "dev", tmp_path / ".venv")
    assert not (tmp_path / ".venv").exists()
    journal.remove_copy(tmp_path / ".venv")


def test_a_new_environment_gets_its_copy_once_it_exists(state: State, tmp_path: Path) -> None:
    environment = tmp_path / ".venv"
    journal.mark_running(state, "dev", environment)
    assert not journal.copy_into(state, "dev", environment)
    environment.mkdir()
    (environment / "pyvenv.cfg").touch()
    assert not journal.copy_into(state, "dev", environment)  # uv is about to fill it
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    os.utime(state.directory / "dev.journal", (1000, 1000))
    assert journal.copy_into(state, "dev", environment)
    assert (environment / journal.COPY).stat().st_mtime == 1000
    assert (environment / journal.COPY).read_bytes() == state.read("dev.journal")


def test_an_environment_in_the_place_of_the_one_that_uv_made_is_another(
    state: State, venv: Path
) -> None:
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\n")
    assert journal.copy_into(state, "dev", venv)
    assert journal.is_made_by_uv(state, venv)
    text = (venv / "pyvenv.cfg").read_text()
    (venv / "pyvenv.cfg").unlink()
    (venv / "pyvenv.cfg").write_text(text)
    assert not journal.is_made_by_uv(state, venv)


def test_a_link_in_the_place_of_the_copy_is_not_written_through(
    state: State, venv: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (venv / journal.COPY).symlink_to(outside)
    journal.mark_running(state, "dev", venv)
    assert outside.read_text() == "mine"


def test_a_copy_from_another_boot_is_kept(state: State, venv: Path) -> None:
    (venv / journal.COPY).write_text('{"boot": "of-yesterday"}')
    os.utime(venv / journal.COPY, (1000, 1000))
    for _ in range(2):
        journal.mark_running(state, "dev", venv)
        assert journal.last_sync(state, venv) is UNFLUSHED
        assert journal.first_started(state, venv) == 1000
    (venv / journal.COPY).unlink()  # with the environment, that is
    assert journal.last_sync(state, venv) is UNFLUSHED


def test_a_journal_is_about_one_environment(state: State) -> None:
    journal.mark_running(state, "dev", VENV)
    assert not journal.last_sync(state, Path("/shop/.venv-prod"))


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"\xff", b'{"environment": 1}'[:-3]])
def test_a_journal_that_cannot_be_read_may_be_about_any_environment(
    state: State, garbage: bytes
) -> None:
    state.write("dev.journal", garbage)
    assert journal.last_sync(state, VENV)
    journal.end_sync(state, VENV, {})
    assert not journal.last_sync(state, VENV)


def test_the_last_profile_is_unknown_at_first_and_decoded_whatever_it_is(state: State) -> None:
    assert journal.last_profile(state) is None
    state.write("last-profile", b"\xff")
    assert journal.last_profile(state) == "\N{REPLACEMENT CHARACTER}"


def test_an_interrupted_copy_is_removed_once_the_environment_is_verified(tmp_path: Path) -> None:
    (tmp_path / f".{journal.COPY}.uvflow-unfinished-x").touch()
    (tmp_path / ".other.uvflow-unfinished-x").touch()
    journal.remove_copy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".other.uvflow-unfinished-x"]


# The RECORD files that are kept


def record_of(venv: Path, name: str, text: str = "a.py,,\n") -> Path:
    path = venv / "lib" / "site-packages" / f"{name}.dist-info" / "RECORD"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def texts(*records: Path) -> dict[str, str]:
    return {str(record.parent): record.read_text() for record in records}


def kept(venv: Path) -> dict[str, str]:
    found = journal.kept_records(venv)
    return {str(Path(place).relative_to("lib/site-packages")): found[place] for place in found}


def test_records_are_kept_as_they_were_until_the_environment_is_verified(
    state: State, venv: Path
) -> None:
    record = record_of(venv, "six-1.0")
    journal.mark_running(state, "dev", venv, texts(record))
    record.unlink()
    assert kept(venv) == {"six-1.0.dist-info": "a.py,,\n"}
    journal.remove_copy(venv)
    assert sorted(path.name for path in venv.iterdir()) == ["lib", "pyvenv.cfg"]


def test_a_second_interruption_does_not_lose_what_the_first_knew(state: State, venv: Path) -> None:
    first = record_of(venv, "six-1.0")
    journal.mark_running(state, "dev", venv, texts(first))
    first.unlink()
    second = record_of(venv, "idna-1.0")
    journal.mark_running(state, "dev", venv, texts(second))
    assert set(kept(venv)) == {"six-1.0.dist-info", "idna-1.0.dist-info"}
    journal.end_sync(state, venv, {})
    journal.mark_running(state, "dev", venv, texts(second))
    assert set(kept(venv)) == {"idna-1.0.dist-info"}


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_nothing_is_kept_through_a_link(state: State, venv: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (venv / journal.RECORDS).symlink_to(outside)
    assert kept(venv) == {}
    journal.mark_running(state, "dev", venv, texts(record_of(venv, "six-1.0")))
    assert (kept(venv), outside.read_text()) == ({"six-1.0.dist-info": "a.py,,\n"}, "mine")


def test_a_sync_that_changed_nothing_leaves_what_was_known(state: State, venv: Path) -> None:
    state.write("dev.fingerprint", fingerprint_of(venv))
    known = journal.fingerprints(state, venv)
    journal.mark_running(state, "dev", venv)
    assert journal.fingerprints(state, venv) == {}
    journal.end_sync(state, venv, known)
    assert journal.fingerprints(state, venv) == known
    assert not journal.last_sync(state, venv)
    assert [path.name for path in venv.iterdir()] == ["pyvenv.cfg"]
