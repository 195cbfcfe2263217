from pathlib import Path

import pytest

from uvflow.state import journal
from uvflow.state.leftovers import is_being_made, is_left_by_build, names_in, new_leftovers
from uvflow.state.store import State


def test_a_missing_directory_has_no_names(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    assert (names_in(tmp_path), names_in(tmp_path / "missing")) == ({".hidden"}, set())


def test_only_new_names_that_builds_use_are_leftovers(tmp_path: Path) -> None:
    for name in ("build", "app.egg-info", ".pdm-build", "notes"):
        (tmp_path / name).mkdir()
    found = new_leftovers([(tmp_path, ["build"]), (tmp_path / "missing", [])])
    assert found == [tmp_path / ".pdm-build", tmp_path / "app.egg-info"]


@pytest.mark.parametrize(
    ("name", "content", "is_left"),
    [
        *((".tmpF3LEHu", "", True), (".tmpF3LEHu", "version = 1\n", True)),
        *((".tmpF3LEHu", "mine", False), ("app.egg-info/PKG-INFO", "x", True)),
        *(("app.egg-info/notes", "x", False), ("build/bdist.linux/x", "x", True)),
        *(("build/lib/app.py", "source", True), ("build/lib/app.py", "sou", True)),
        *(("build/lib/app.py", "other", False), ("build/mine", "source", False)),
    ],
)
def test_nothing_is_lost_with_what_a_build_has_left(
    tmp_path: Path, name: str, content: str, *, is_left: bool
) -> None:
    (tmp_path / "app.py").write_text("source", encoding="ascii")
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="ascii")
    assert is_left_by_build(tmp_path / name.partition("/")[0]) == is_left


@pytest.mark.parametrize(
    ("names", "is_made"),
    [
        *((["new/.venv/pyvenv.cfg"], True), (["new/.venv/bin/python3"], True)),
        *((["new/.venv/notes"], False), (["new/.venv/pyvenv.cfg", "new/notes"], False)),
        *((["new/.venv/lib/app.py"], False), (["new/.venv/.tmpQ2epSp"], True)),
    ],
)
def test_an_environment_with_nothing_in_it_is_being_made(
    tmp_path: Path, names: list[str], *, is_made: bool
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert is_being_made(State.of(tmp_path), tmp_path / "new") == is_made


def test_an_environment_with_a_program_of_the_users_is_not_being_made(tmp_path: Path) -> None:
    state, environment = State.of(tmp_path), tmp_path / ".venv"
    record = environment / "lib/python3.11/site-packages/toy-1.dist-info/RECORD"
    files = {record: "../../../bin/toy,,\n", environment / "pyvenv.cfg": "home = /usr/bin\n"}
    # Of this one, uv has not yet written the RECORD.
    files |= {record.with_name("entry_points.txt"): "[console_scripts]\nnew = toy:main\n"}
    files |= {environment / "bin" / name: "" for name in ("python3", "activate", "toy", "new")}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    journal.mark_running(state, "dev", environment)
    (environment / journal.COPY).unlink()
    assert journal.copy_into(state, "dev", environment)
    assert is_being_made(state, environment)
    (environment / "bin" / "mine").touch()
    assert not is_being_made(state, environment)
