import os
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from uvflow.errors import DiskError
from uvflow.files import (
    SET_ASIDE,
    claim,
    is_marked,
    move_by_hand,
    read_bytes,
    read_mark,
    read_regular,
    read_text,
    remove_set_aside,
    set_aside,
    write_whole,
)
from uvflow.state.backup import DirectoryBackup, FileBackup

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@posix_only
def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@posix_only
def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)
    write_whole(tmp_path / "file", b"new")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@posix_only
@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root may give files away"
)
def test_a_file_keeps_its_owner_and_its_group(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1000, 1001)
    before = FileBackup.of(path)
    write_whole(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1000, 1001)
    path.unlink()
    before.put_back()
    assert (path.stat().st_uid, path.stat().st_gid) == (1000, 1001)


@pytest.mark.skipif(sys.platform != "linux", reason="attributes of Linux")
def test_a_file_keeps_its_attributes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.origin", b"mine")
    except OSError:
        pytest.skip("this file system has none")
    write_whole(path, b"new")
    assert os.getxattr(path, "user.origin") == b"mine"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


@posix_only
@pytest.mark.parametrize("target", ["../outside", "../new", "folder/outside"])
def test_a_link_out_is_not_written_through(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_bytes(b"theirs")
    root = tmp_path / "root"
    root.mkdir()
    (root / "folder").symlink_to("..")
    (root / "link").symlink_to(target)
    with pytest.raises(DiskError) as caught:
        write_whole(root / "link", b"new")
    assert caught.value.message == f"{root / 'link'} leads out of {root}, so it is not used"
    assert caught.value.cause == f"it is a link to {tmp_path / Path(target).name}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "root"]
    assert (tmp_path / "outside").read_bytes() == b"theirs"


@posix_only
def test_a_link_is_followed_within_the_directory_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "member").mkdir()
    (tmp_path / "member" / "link").symlink_to("../file")
    write_whole(tmp_path / "member" / "link", b"new", within=tmp_path)
    assert (tmp_path / "file").read_bytes() == b"new"


@posix_only
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskError) as caught:
        write_whole(tmp_path / "pipe", b"new")
    assert caught.value.cause == "Not a regular file"
    assert (tmp_path / "pipe").is_fifo()


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "directory" / "inside").mkdir(parents=True)
    with pytest.raises(DiskError) as caught:
        write_whole(tmp_path / "directory", b"new")
    assert caught.value.message == f"{tmp_path / 'directory'} cannot be written"
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught:
        read_bytes(tmp_path / "file")
    assert caught.value.message == f"{tmp_path / 'file'} cannot be read"


@posix_only
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"whole")
    assert read_regular(tmp_path / "file") == b"whole"
    with pytest.raises(OSError, match="Not a regular file"):
        read_regular(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)


def test_more_than_a_bound_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="More than 4 bytes"):
        read_regular(tmp_path / "file", 4)


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_a_file_without_a_size_is_read_to_its_end() -> None:
    assert read_regular(Path("/proc/self/limits")).endswith(b"\n")


def test_text_has_newlines_and_no_undecodable_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb\rc\xff")
    assert read_text(tmp_path / "file") == "a\nb\nc\N{REPLACEMENT CHARACTER}"


def test_leftovers_of_interrupted_writes_are_removed(tmp_path: Path) -> None:
    for name in ("[a]", "b"):
        (tmp_path / f".{name}.uvflow-unfinished-x1").touch()
    (tmp_path / "[a]").touch()
    FileBackup.of(tmp_path / "[a]").put_back()
    FileBackup.of(tmp_path / "b").put_back()
    assert [path.name for path in tmp_path.iterdir()] == ["[a]"]


def test_a_changed_file_is_put_back_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.utime(path, ns=(10**18, 10**18))
    before = FileBackup.of(path)
    path.write_bytes(b"new")
    before.put_back()
    assert path.read_bytes() == b"old"
    assert path.stat().st_mtime_ns == 10**18


@posix_only
def test_a_removed_file_is_put_back_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o640)
    before = FileBackup.of(path)
    path.unlink()
    before.put_back()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_did_not_exist_is_removed(tmp_path: Path) -> None:
    before = FileBackup.of(tmp_path / "file")
    (tmp_path / "file").touch()
    before.put_back()
    before.put_back()
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_the_new_target_of_a_broken_link_is_removed_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    before = FileBackup.of(tmp_path / "link")
    write_whole(tmp_path / "link", b"new")
    before.put_back()
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


WHOLE = ["tree", "tree/file", "tree/inside", "tree/inside/file"]


def test_a_tree_that_was_replaced_is_put_back(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    before = DirectoryBackup.of(tree)
    before.set_aside()
    assert list(tree.iterdir()) == []
    assert (tmp_path / "tree.before-init" / ".gitignore").read_text() == "*\n"
    (tree / "more").touch()
    before.put_back()
    before.put_back()
    assert names_below(tmp_path) == WHOLE


def test_a_gitignore_of_the_users_stays(tmp_path: Path) -> None:
    (a_tree(tmp_path / "tree") / ".gitignore").write_text("mine\n")
    before = DirectoryBackup.of(tmp_path / "tree")
    before.set_aside()
    before.put_back()
    assert (tmp_path / "tree" / ".gitignore").read_text() == "mine\n"


def test_a_tree_is_set_aside_under_a_name_that_is_free(tmp_path: Path) -> None:
    a_tree(tmp_path / "tree")
    a_tree(tmp_path / "tree.before-init")
    before = DirectoryBackup.of(tmp_path / "tree")
    before.set_aside()
    assert before.aside == tmp_path / "tree.before-init-2"
    before.put_back()
    assert "tree.before-init/file" in names_below(tmp_path)


def test_a_tree_that_was_not_replaced_stays(tmp_path: Path) -> None:
    before = DirectoryBackup.of(a_tree(tmp_path / "tree"))
    before.put_back()
    assert names_below(tmp_path) == WHOLE
    (tmp_path / "tree" / SET_ASIDE).write_text(".gitignore\n")  # killed before it was renamed
    (tmp_path / "tree" / ".gitignore").write_text("*\n")
    before.put_back()
    assert names_below(tmp_path) == WHOLE


def test_what_is_not_marked_as_ours_is_not_put_back(tmp_path: Path) -> None:
    before = DirectoryBackup.of(a_tree(tmp_path / "tree"))
    a_tree(tmp_path / "tree.before-init")
    before.put_back()
    assert len(names_below(tmp_path)) == 2 * len(WHOLE)


def test_a_tree_that_did_not_exist_is_removed_once_it_is_being_made(tmp_path: Path) -> None:
    before = DirectoryBackup.of(tmp_path / "tree")
    a_tree(tmp_path / "tree")
    before.put_back()
    assert names_below(tmp_path) == WHOLE  # of somebody else
    replace(before, is_begun=True).put_back()
    assert list(tmp_path.iterdir()) == []


def test_directories_that_are_made_above_a_tree_are_removed(tmp_path: Path) -> None:
    before = DirectoryBackup.of(tmp_path / "trees" / "of mine" / "tree")
    a_tree(tmp_path / "trees" / "of mine" / "tree")
    replace(before, is_begun=True).put_back()
    assert list(tmp_path.iterdir()) == []


def test_a_tree_is_moved_away_before_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = DirectoryBackup.of(a_tree(tmp_path / "tree"))
    before.set_aside()
    (tmp_path / "tree" / "new").touch()
    with monkeypatch.context() as patched:  # as after a kill while it is being removed
        patched.setattr("shutil.rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            before.put_back()
    assert (tmp_path / "tree" / "file").exists()
    before.put_back()
    assert names_below(tmp_path) == WHOLE


@posix_only
def test_a_tree_is_replaced_behind_a_link(tmp_path: Path) -> None:
    a_tree(tmp_path / "tree")
    (tmp_path / "link").symlink_to("tree")
    before = DirectoryBackup.of(tmp_path / "link")
    before.set_aside()
    (tmp_path / "link" / "new").touch()
    before.put_back()
    assert (tmp_path / "link").readlink() == Path("tree")
    assert [name for name in names_below(tmp_path) if name.startswith("tree")] == WHOLE


@posix_only
def test_nothing_is_written_through_a_link_that_is_set_aside(tmp_path: Path) -> None:
    a_tree(tmp_path / "tree")
    (tmp_path / "link").symlink_to("tree")
    set_aside(tmp_path / "link", tmp_path / "aside")
    assert (tmp_path / "aside").is_symlink()
    assert [name for name in names_below(tmp_path) if name != "aside"] == WHOLE


def test_a_mark_that_is_half_written_is_removed(tmp_path: Path) -> None:
    before = DirectoryBackup.of(a_tree(tmp_path / "tree"))
    (tmp_path / "tree" / "..uvflow-set-aside.uvflow-unfinished-x").touch()
    before.put_back()
    assert names_below(tmp_path) == WHOLE


def test_a_tree_that_cannot_be_renamed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = DirectoryBackup.of(a_tree(tmp_path / "tree"))
    with monkeypatch.context() as patched:

        def fail(_: Path, __: Path) -> None:
            raise OSError(18, "Invalid cross-device link")

        patched.setattr(Path, "rename", fail)
        with pytest.raises(DiskError) as caught:
            before.set_aside()
    assert caught.value.message == f"{tmp_path / 'tree'} cannot be set aside"
    before.put_back()
    assert names_below(tmp_path) == WHOLE


def test_removing_what_was_set_aside_can_be_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_aside(a_tree(tmp_path / "tree"), tmp_path / "aside")
    with monkeypatch.context() as patched:  # as after a kill while it is being removed
        patched.setattr("shutil.rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            remove_set_aside(tmp_path / "aside")
    assert is_marked(tmp_path / "aside.being-removed")
    assert not (tmp_path / "aside").exists()
    remove_set_aside(tmp_path / "aside.being-removed")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_what_was_set_aside_is_the_users_and_so_is_one_with_a_name_of_theirs(
    tmp_path: Path,
) -> None:
    set_aside(a_tree(tmp_path / "tree"), tmp_path / "aside")
    assert is_marked(tmp_path / "aside")
    shutil.copytree(tmp_path / "aside", tmp_path / "copy")
    assert not is_marked(tmp_path / "copy")
    (tmp_path / "aside").rename(tmp_path / "mine")
    assert not is_marked(tmp_path / "mine")
    (tmp_path / "copy").rename(tmp_path / "aside")
    assert not is_marked(tmp_path / "aside")


def a_tree(root: Path) -> Path:
    (root / "inside").mkdir(parents=True)
    (root / "file").write_bytes(b"old")
    (root / "inside" / "file").write_bytes(b"old")
    return root


def names_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_a_file_of_the_same_bytes_gets_its_times_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = FileBackup.of(path)
    os.utime(path, ns=(0, 1))
    before.put_back()
    assert FileBackup.of(path).modified == before.modified


@posix_only
@pytest.mark.parametrize("target", ["../outside", "../new", "notes.txt"])
def test_the_mark_of_what_is_set_aside_is_not_written_through_a_link(
    tmp_path: Path, target: str
) -> None:
    directory = a_tree(tmp_path / "tree")
    for victim in (tmp_path / "outside", directory / "notes.txt"):
        victim.write_bytes(b"theirs")
    (directory / SET_ASIDE).symlink_to(target)
    assert read_mark(directory) is None
    set_aside(directory, tmp_path / "aside")
    assert is_marked(tmp_path / "aside")
    assert (tmp_path / "outside").read_bytes() == b"theirs"
    assert (tmp_path / "aside" / "notes.txt").read_bytes() == b"theirs"
    assert not (tmp_path / "new").exists()


@posix_only
def test_nothing_is_claimed_through_a_link_out(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").symlink_to("../new")
    with pytest.raises(DiskError):
        claim(tmp_path / "root" / "file")
    assert not (tmp_path / "new").exists()


def test_a_hint_with_the_name_of_a_checkout_is_no_code() -> None:
    hint = move_by_hand(Path("/x;reboot/.venv"))
    assert hint == "move it aside by hand: `mv '/x;reboot/.venv' '/x;reboot/.venv.old'`"
