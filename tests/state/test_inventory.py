import os
import sys
from pathlib import Path

import pytest

from uvflow.state import locks
from uvflow.state.inventory import forget, known_projects, project_at
from uvflow.state.store import State


def test_what_is_kept_of_a_project_is_counted(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    with locks.mutex(state, "uvflow sync"):
        state.write("snapshot", b"x" * 5000)
    [project] = known_projects()
    holder = len(state.read("holder") or b"")
    assert (project.root, project.size) == (tmp_path, 5000 + holder)
    assert not project.is_gone
    assert project_at([project], tmp_path / "." / "x" / "..") == project


def test_a_row_is_when_how_much_and_what(tmp_path: Path) -> None:
    with locks.mutex(State.of(tmp_path / "gone"), "uvflow sync"):
        pass
    [project] = known_projects()
    day, clock, size, unit, *rest = project.row.split()
    assert (len(day), len(clock), size, unit) == (10, 5, "1", "KiB")
    assert rest == [str(tmp_path / "gone"), "(gone)"]


def test_the_time_is_in_utc(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("last-profile", b"")
    os.utime(state.directory / "last-profile", (0, 0))
    [project] = known_projects()
    assert project.as_json()["last_used"] == "1970-01-01T00:00:00+00:00"
    assert project.as_json()["root"] is None


def test_forgetting_leaves_the_lock_alone(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("last-profile", b"dev")
    (state.directory / "backups").mkdir()
    (state.directory / "backups/file").write_text("")
    [project] = known_projects()
    assert forget(project) == ""
    assert [path.name for path in state.directory.iterdir()] == ["lock"]
    assert known_projects() == ()


def test_a_directory_without_a_file_or_a_tag_of_uvflow_holds_no_project(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("last-profile", b"dev")
    backup = state.directory.with_name(f"backup-{'0' * 32}")
    (backup / "src").mkdir(parents=True)
    (backup / "src" / "a.py").touch()
    assert [project.directory for project in known_projects()] == [state.directory]
    tag = state.directory.parent.parent / "CACHEDIR.TAG"
    tag.write_text(
        "Signature: x\n# This directory holds what uvflow remembers\n"
    )  # as once written
    assert known_projects()
    tag.write_text("Signature: theirs")
    assert known_projects() == ()


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_link_among_the_projects_is_not_followed(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    state.write("last-profile", b"dev")
    real = tmp_path / "theirs"
    state.directory.rename(real)
    state.directory.symlink_to(real)
    assert known_projects() == ()
    assert [path.name for path in real.iterdir()] == ["last-profile"]
