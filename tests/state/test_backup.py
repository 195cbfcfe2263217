import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uvflow.errors import DiskError, UsageError
from uvflow.files import remove_set_aside
from uvflow.state import backup, journal, locks
from uvflow.state.backup import DirectoryBackup, FileBackup, ReversibleChange, UndoResult
from uvflow.state.journal import LastSync
from uvflow.state.store import State


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".venv").mkdir(parents=True)
    (root / ".venv" / "old").write_bytes(b"old")
    (root / "edited").write_bytes(b"old")
    return root


@pytest.fixture
def state(root: Path) -> Iterator[State]:
    state = State.of(root)
    with locks.mutex(state, "a test"):
        yield state


def change(root: Path, by: ReversibleChange) -> None:
    by.write(root / "edited", b"new")
    by.write(root / "created", b"new")
    (root / ".venv" / "pyvenv.cfg").touch()
    (root / "made").mkdir()


@contextlib.contextmanager
def backed_up(state: State, root: Path) -> Iterator[ReversibleChange]:
    files = (root / "edited", root / "created")
    trees = map(DirectoryBackup.of, (root / ".venv", root / "made"))
    with backup.restored_on_failure(state, files=files, trees=trees) as by:
        by.set_aside_trees()
        yield by


BEFORE = {".venv": None, ".venv/old": b"old", "edited": b"old"}
ASIDE = ".venv.before-init"
AFTER = {
    **dict.fromkeys((".venv", "made", ASIDE)),
    f"{ASIDE}/.gitignore": b"*\n",
    f"{ASIDE}/old": b"old",
    ".venv/pyvenv.cfg": b"",
    "created": b"new",
    "edited": b"new",
}


def after(root: Path) -> dict[str, bytes | None]:
    """With the mark of the directory itself that was set aside."""
    mark = f"{(root / ASIDE).stat().st_ino} {ASIDE}\n.gitignore\n"
    return {**AFTER, f"{ASIDE}/.uvflow-set-aside": mark.encode()}


def test_a_success_is_kept(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    assert content(root) == after(root)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_is_raised_everything_is_put_back(
    state: State, root: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        change_and_fail(state, root, error)
    assert content(root) == BEFORE


def test_after_putting_back_there_is_nothing_to_undo(state: State, root: Path) -> None:
    with pytest.raises(ValueError, match="inside"):
        change_and_fail(state, root, ValueError("inside"))
    with pytest.raises(UsageError) as caught:
        backup.restore_last(state)
    assert caught.value.message == f"there is nothing to undo in {root}"


def test_leftovers_of_uv_and_builds_in_the_sources_are_removed(state: State, root: Path) -> None:
    (root / "build").mkdir()
    with (
        contextlib.suppress(ValueError),
        backup.restored_on_failure(state, files=(), built=(root,)),
    ):
        (root / "app.egg-info").mkdir()
        (root / ".pdm-build" / "app.dist-info").mkdir(parents=True)
        (root / ".tmpF3LEHu").touch()
        (root / "notes.txt").touch()
        raise ValueError
    assert content(root) == {**BEFORE, "build": None, "notes.txt": b""}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("build/mine", b"data"), ("build/lib/app.py", b"other"), ("app.egg-info/notes", b"")),
        (".pdm-build/notes", b"mine"),
        *((".tmpF3LEHu", b"mine"), ("build/lib/app.py/x", b"")),
    ],
)
def test_what_no_build_has_left_stays_and_is_named(
    state: State, root: Path, name: str, content: bytes
) -> None:
    (root / "app.py").write_bytes(b"source")
    sentences: list[str] = []
    with (
        contextlib.suppress(ValueError),
        backup.restored_on_failure(state, files=(), built=(root,), progress=sentences.append),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        raise ValueError
    assert (root / name).read_bytes() == content
    top = root / name.partition("/")[0]
    assert sentences == [f"{top} appeared meanwhile and was not removed: it may be yours"]


def test_copies_of_sources_that_a_build_has_left_are_removed(state: State, root: Path) -> None:
    (root / "src").mkdir()
    (root / "src" / "app.py").write_bytes(b"source")
    before = content(root)
    with (
        contextlib.suppress(ValueError),
        backup.restored_on_failure(state, files=(), built=(root,)),
    ):
        (root / "build" / "bdist.linux").mkdir(parents=True)
        shutil.copytree(root / "src", root / "build" / "lib")
        raise ValueError
    assert content(root) == before


def test_leftovers_of_builds_of_a_killed_command_are_removed(state: State, root: Path) -> None:
    with (
        contextlib.suppress(SystemExit),
        backup.restored_on_failure(state, files=(), built=(root,)),
    ):
        saved = state.read("backup.json") or b""
        raise SystemExit
    state.write("backup.json", saved)
    (root / "app.egg-info").mkdir()
    messages: list[str] = []
    backup.recover(state, messages.append)
    assert not (root / "app.egg-info").exists()
    put_back = "what it had changed has been put back"
    assert messages == [f"An earlier command was interrupted; {put_back}"]


@pytest.mark.parametrize("is_own", [True, False])
def test_a_lockfile_goes_with_the_manifest_that_a_killed_command_wrote(
    state: State, root: Path, *, is_own: bool
) -> None:
    manifest, lockfile = root / "pyproject.toml", root / "uv.lock"
    with (
        contextlib.suppress(SystemExit),
        backup.restored_on_failure(state, files=(manifest, lockfile)) as change,
    ):
        change.write(manifest, b"[project]")
        saved = state.read("backup.json") or b""
        raise SystemExit
    state.write("backup.json", saved)
    manifest.write_bytes(b"[project]" if is_own else b"[project]  # mine")
    lockfile.write_bytes(b"version = 1")
    backup.recover(state, lambda _text: None)
    assert manifest.exists() == lockfile.exists() == (not is_own)


@pytest.mark.parametrize("is_built_again", [False, True])
def test_an_undo_removes_what_a_build_has_left_unless_it_changed_since(
    state: State,
    root: Path,
    is_built_again: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    with backup.restored_on_failure(state, files=(), built=(root,)):
        (root / "app.egg-info").mkdir()
        (root / "app.egg-info" / "PKG-INFO").write_bytes(b"1")
    if is_built_again:
        (root / "app.egg-info" / "PKG-INFO").write_bytes(b"other")
    messages: list[str] = []
    backup.restore_last(state, progress=messages.append)
    assert (root / "app.egg-info").exists() == bool(messages) == is_built_again


STAYS = "was not put back, since it changed; `uvflow undo --force` does that"


def test_what_somebody_else_has_written_meanwhile_stays(state: State, root: Path) -> None:
    files = (root / "edited", root / "created")
    sentences: list[str] = []
    with (
        contextlib.suppress(ValueError),
        backup.restored_on_failure(state, files=files, progress=sentences.append) as by,
    ):
        by.write(root / "edited", b"new")
        by.write(root / "created", b"new")
        (root / "edited").write_bytes(b"mine")
        raise ValueError
    assert content(root) == {**BEFORE, "edited": b"mine"}
    assert sentences == [f"{root / 'edited'} {STAYS}"]
    assert not by.is_put_back
    with pytest.raises(UsageError, match="edited since: edited"):
        backup.restore_last(state)
    backup.restore_last(state, even_if_edited=True)
    assert content(root) == BEFORE


def test_what_somebody_else_has_written_is_not_overwritten(state: State, root: Path) -> None:
    with backup.restored_on_failure(state, files=(root / "edited",)) as by:
        (root / "edited").write_bytes(b"mine")
        with pytest.raises(UsageError) as caught:
            by.write(root / "edited", b"new")
    assert caught.value.message == f"{root / 'edited'} was changed while `uvflow init` was at work"
    assert (root / "edited").read_bytes() == b"mine"


def test_a_link_that_leads_elsewhere_by_now_is_not_followed(state: State, root: Path) -> None:
    link = root / "link"
    link.symlink_to("first")
    with backup.restored_on_failure(state, files=[link]) as by:
        link.unlink()
        link.symlink_to("second")
        with pytest.raises(UsageError, match="link was changed while"):
            by.write(link, b"new")
    assert not (root / "second").exists()


def test_the_project_that_was_made_after_a_kill_stays(state: State, root: Path) -> None:
    interrupt(state, root)
    shutil.rmtree(root / "made")
    mine = {"created": b"mine", "made/lib/x.dist-info": b"", "made/pyvenv.cfg": b""}
    for name, data in mine.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    messages: list[str] = []
    backup.recover(state, messages.append)
    assert content(root).items() >= {**BEFORE, **mine}.items()
    begin = "An earlier command was interrupted;"
    assert messages == [f"{begin} {root / name} {STAYS}" for name in ("created", "made")]
    assert not backup.is_unfinished(state)
    backup.restore_last(state, even_if_edited=True)
    assert content(root).items() >= {**BEFORE, "made.after-init/pyvenv.cfg": b""}.items()


def test_an_interrupted_command_is_put_back_later(state: State, root: Path) -> None:
    interrupt(state, root)
    messages: list[str] = []
    backup.recover(state, messages.append)
    assert content(root) == BEFORE
    assert messages == ["An earlier command was interrupted; what it had changed has been put back"]


def test_the_journal_is_gone_once_the_environment_is_put_back(state: State, root: Path) -> None:
    with contextlib.suppress(ValueError), backed_up(state, root):
        journal.mark_running(state, "dev", root / ".venv")
        raise ValueError
    assert journal.last_sync(state, root / ".venv") is LastSync.FINISHED
    interrupt(state, root)
    journal.mark_running(state, "dev", root / ".venv")
    backup.recover(state, lambda _: None)
    assert journal.last_sync(state, root / ".venv") is LastSync.FINISHED


def test_an_edit_after_an_interruption_is_undone_by_force_only(state: State, root: Path) -> None:
    interrupt(state, root)
    (root / "edited").write_bytes(b"newer")
    with pytest.raises(UsageError, match="edited since: edited"):
        backup.restore_last(state)
    backup.restore_last(state, even_if_edited=True)
    assert content(root) == BEFORE


def test_there_is_nothing_to_recover_from_a_success(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    backup.recover(state, pytest.fail)
    assert content(root) == after(root)


def test_a_success_is_undone(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    expected = UndoResult(
        restored=(root / "edited", root / ".venv"), removed=(root / "created", root / "made")
    )
    assert backup.restore_last(state) == expected
    assert content(root) == BEFORE


def test_an_interrupted_undo_is_finished_later(
    state: State, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    with monkeypatch.context() as patched:
        patched.setattr(backup, "_put_back", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit):
            backup.restore_last(state)
    assert backup.is_unfinished(state)
    backup.recover(state, print)
    assert content(root) == BEFORE


def test_the_first_file_is_put_back_last(
    state: State, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []
    files = (root / "project", root / "other")
    with contextlib.suppress(ValueError), backup.restored_on_failure(state, files=files):
        for path in files:
            path.touch()
        monkeypatch.setattr(FileBackup, "put_back", lambda before: gone.append(before.path.name))
        raise ValueError
    assert gone == ["other", "project"]


def test_trees_that_were_not_set_aside_stay_as_they_are(state: State, root: Path) -> None:
    trees = tuple(map(DirectoryBackup.of, (root / ".venv", root / "made")))
    with (
        contextlib.suppress(ValueError),
        backup.restored_on_failure(state, files=(), trees=trees),
    ):
        (root / ".venv" / "mine").touch()
        (root / "made").mkdir()
        raise ValueError
    assert content(root) == {**BEFORE, ".venv/mine": b"", "made": None}


def test_a_tree_that_was_changed_in_place_stays_as_it_is(state: State, root: Path) -> None:
    trees = (DirectoryBackup.of(root / ".venv"),)
    with backup.restored_on_failure(state, files=(root / "edited",), trees=trees) as by:
        by.write(root / "edited", b"new")
        (root / ".venv" / "new").touch()
    assert backup.restore_last(state).not_restored == (root / ".venv",)
    assert content(root).items() >= {**BEFORE, ".venv/new": b""}.items()


def test_a_tree_of_which_nothing_is_kept_any_more_stays_as_it_is(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    remove_set_aside(root / ASIDE)
    assert backup.restore_last(state).not_restored == (root / ".venv",)
    assert content(root) == {".venv": None, ".venv/pyvenv.cfg": b"", "edited": b"old"}


def test_a_tree_that_was_changed_since_is_kept(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    (root / ".venv" / "mine").write_bytes(b"mine")
    with pytest.raises(UsageError) as caught:
        backup.restore_last(state)
    assert caught.value.message == "edited since: .venv"
    kept = root / ".venv.after-init"
    assert backup.restore_last(state, even_if_edited=True).kept == (kept,)
    assert {path.name for path in kept.iterdir()} >= {"mine", "pyvenv.cfg"}
    assert content(root).items() >= BEFORE.items()


def test_byte_code_and_the_journal_are_no_changes(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    (root / ".venv" / "__pycache__").mkdir()
    for name in ("__pycache__/a.pyc", "__pycache__/a.pyc.123", "b.pyc", journal.COPY):
        (root / ".venv" / name).touch()
    backup.restore_last(state)
    assert content(root) == BEFORE


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_link_in_the_place_of_a_tree_is_not_followed(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    shutil.rmtree(root / ".venv")
    elsewhere = root.with_name("elsewhere")
    elsewhere.mkdir()
    (root / ".venv").symlink_to(elsewhere)
    backup.restore_last(state, even_if_edited=True)
    assert (root / ".venv.after-init").readlink() == elsewhere
    assert list(elsewhere.iterdir()) == []
    assert content(root).items() >= BEFORE.items()


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_links_that_are_gone_are_made_again(state: State, root: Path) -> None:
    (root / "there").mkdir()
    (root / ".venv").rename(root / "there/venv")
    (root / "edited").rename(root / "there/file")
    links = {root / ".venv": Path("there/venv"), root / "edited": Path("there/file")}
    for link, target in links.items():
        link.symlink_to(target)
    before = content(root)
    for replacement in (None, "mine"):
        with backed_up(state, root) as by:
            change(root, by)
        for link in links:
            link.unlink()
            if replacement:
                link.write_text(replacement, encoding="ascii")
        sentences: list[str] = []
        backup.restore_last(state, progress=sentences.append)
        if not replacement:
            assert ({link: link.readlink() for link in links}, sentences) == (links, [])
            assert content(root) == before
    others = [f"{root / link} was a link to {target}" for link, target in reversed(links.items())]
    assert sentences == [f"{other}, and stays as it is" for other in others]
    assert content(root) == {**before, ".venv": b"mine", "edited": b"mine"}


def test_a_tree_that_is_gone_is_put_back(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    shutil.rmtree(root / ".venv")
    backup.restore_last(state)
    assert content(root) == BEFORE


def test_edits_since_are_not_undone_unless_forced(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    (root / "edited").write_bytes(b"newer")
    with pytest.raises(UsageError) as caught:
        backup.restore_last(state)
    assert caught.value.message == "edited since: edited"
    assert (root / "edited").read_bytes() == b"newer"
    backup.restore_last(state, even_if_edited=True)
    assert (root / "edited").read_bytes() == b"old"


def test_a_file_put_back_by_hand_is_not_an_edit(state: State, root: Path) -> None:
    with backed_up(state, root) as by:
        change(root, by)
    (root / "edited").write_bytes(b"old")
    (root / "created").unlink()
    backup.restore_last(state)
    assert content(root) == BEFORE


def test_what_cannot_be_put_back_is_named_and_tried_again(state: State, root: Path) -> None:
    in_the_way = root / "created" / "in the way"
    with pytest.raises(ValueError, match="inside"):
        change_and_fail(state, root, ValueError("inside"), in_the_way=in_the_way)
    with pytest.raises(DiskError) as caught:
        backup.restore_last(state, even_if_edited=True)
    assert caught.value.message == "not everything could be put back"
    assert str(root / "created") in (caught.value.cause or "")
    shutil.rmtree(in_the_way.parent)
    backup.restore_last(state)
    assert content(root) == BEFORE


def change_and_fail(
    state: State,
    root: Path,
    error: BaseException | type[BaseException],
    in_the_way: Path | None = None,
) -> None:
    with backed_up(state, root) as by:
        change(root, by)
        if in_the_way:
            in_the_way.parent.unlink()
            in_the_way.mkdir(parents=True)
        raise error


VERSION_2 = b'{"version": 2, "files": [], "trees": [], "listings": {}, "after": null}'


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda _: b"", lambda _: b"[]", lambda _: b"[" * 100_000, lambda _: VERSION_2),
        *(lambda sound: sound[:-1], lambda sound: sound.replace(b"edited", b"victim")),
        *(lambda sound: sound.replace(b'"mode": ', b'"mode": 1'), lambda sound: sound + b"\xff"),
        lambda sound: sound.replace(b'"version": 4', b'"version": 5'),
    ],
)
def test_a_damaged_backup_is_reported_and_nothing_is_done(
    state: State, root: Path, damage: Callable[[bytes], bytes]
) -> None:
    interrupt(state, root)
    before = content(root)
    sound = state.read("backup.json") or b""
    state.write("backup.json", damage(sound))
    assert state.read("backup.json") != sound
    for act in (lambda: backup.recover(state, print), lambda: backup.restore_last(state)):
        with pytest.raises(DiskError) as caught:
            act()
        path = state.directory / "backup.json"
        assert caught.value.message == f"nothing can be put back from {path}"
        assert caught.value.hint == f"`uvflow cache clear {root}` forgets it"
    assert not backup.is_unfinished(state)
    assert content(root) == before


def test_an_interrupted_command_is_unfinished_until_it_is_put_back(
    state: State, root: Path
) -> None:
    assert not backup.is_unfinished(state)
    interrupt(state, root)
    assert backup.is_unfinished(state)
    backup.recover(state, print)
    assert not backup.is_unfinished(state)


def interrupt(state: State, root: Path) -> None:
    """As after a kill: the change is made, and neither put back nor finished."""
    with backed_up(state, root) as by:
        change(root, by)
        journal = state.read("backup.json") or b""
        as_killed = shutil.copytree(root, root.with_name("as killed"))
    shutil.rmtree(root)
    as_killed.rename(root)
    assert json.loads(journal)["content"]["after"] is None
    state.write("backup.json", journal)


def content(root: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
    }
