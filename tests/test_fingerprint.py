import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvflow import fingerprint

SUBJECT = fingerprint.key("/cache/projects/shop-0123", "dev")


def is_current(encoded: bytes) -> bool:
    return fingerprint.is_current(encoded, SUBJECT)


def fingerprint_of(*questions: str) -> bytes:
    return fingerprint.encode(SUBJECT, "/env", fingerprint.record(list(questions)))


def test_it_is_current_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    encoded = fingerprint_of(f"content {tmp_path}/a", f"content {tmp_path}/absent", "variables ")
    assert is_current(encoded)
    assert fingerprint.environment_of(encoded) == "/env"


def test_changed_removed_and_new_files_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("a")
    encoded = fingerprint_of(f"content {file}")
    file.write_text("b")
    assert not is_current(encoded)
    file.unlink()
    assert not is_current(encoded)
    absent = fingerprint_of(f"content {file}")
    file.write_text("")
    assert not is_current(absent)


@pytest.mark.skipif("sys.platform == 'win32'", reason="there are no named pipes in directories")
def test_a_pipe_is_never_current_and_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "uv.lock"
    file.write_text("")
    encoded = fingerprint_of(f"content {file}")
    file.unlink()
    os.mkfifo(file)
    assert not is_current(encoded)


@pytest.mark.skipif("sys.platform == 'win32'", reason="links of POSIX")
def test_a_link_is_not_read_as_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert fingerprint.read_file(str(tmp_path / "file"), is_own=True) == b"x"
    assert fingerprint.read_file(str(tmp_path / "link")) == b"x"
    with pytest.raises(OSError, match="link"):
        fingerprint.read_file(str(tmp_path / "link"), is_own=True)


@pytest.mark.skipif("not hasattr(os, 'geteuid') or os.geteuid()", reason="only root can chown")
def test_a_file_of_another_user_is_not_ones_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.chown(tmp_path / "file", 65534, -1)
    with pytest.raises(OSError, match="Not a regular file of this user"):
        fingerprint.read_file(str(tmp_path / "file"), is_own=True)


def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "uv.lock"
    file.write_text("version = 1")
    before = file.stat()
    encoded = fingerprint_of(f"content {file}")
    file.write_text("version = 2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not is_current(encoded)


def test_a_file_replaced_by_an_equal_one_has_another_identity(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("same")
    encoded = fingerprint_of(f"identity {file}")
    other = tmp_path / "other"
    other.write_text("same")
    other.replace(file)
    assert not is_current(encoded)


def test_distributions_are_watched_and_byte_code_is_not(tmp_path: Path) -> None:
    (tmp_path / "six-1.0.dist-info").mkdir()
    encoded = fingerprint_of(f"distributions {tmp_path}")
    (tmp_path / "__pycache__").mkdir()
    assert is_current(encoded)
    (tmp_path / "six-1.0.dist-info" / "METADATA").write_text("")
    assert not is_current(encoded)


def test_a_distribution_that_comes_or_goes_is_seen(tmp_path: Path) -> None:
    (tmp_path / "six-1.0.dist-info").mkdir()
    encoded = fingerprint_of(f"distributions {tmp_path}")
    (tmp_path / "toml-1.0.dist-info").mkdir()
    assert not is_current(encoded)
    (tmp_path / "toml-1.0.dist-info").rmdir()
    (tmp_path / "six-1.0.dist-info").rmdir()
    assert not is_current(encoded)


def test_a_new_directory_is_seen_and_a_new_file_is_not(tmp_path: Path) -> None:
    encoded = fingerprint_of(f"directories {tmp_path}", f"is-directory {tmp_path}/src")
    (tmp_path / "file").write_text("")
    assert is_current(encoded)
    (tmp_path / "member").mkdir()
    assert not is_current(encoded)


def test_variables_of_uv_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = fingerprint_of("variables ")
    monkeypatch.setenv("UV_NO_BINARY", "1")
    assert not is_current(encoded)


def test_credentials_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_ACME_PASSWORD", "hunter2")
    encoded = fingerprint_of("variables ")
    assert b"hunter2" not in encoded
    monkeypatch.setenv("UV_INDEX_ACME_PASSWORD", "changed")
    assert is_current(encoded)


def test_a_fingerprint_of_another_version_is_not_current() -> None:
    encoded = fingerprint_of("variables ")
    assert not is_current(encoded.replace(b"uvflow ", b"uvflow 9", 1))


def test_a_fingerprint_copied_to_another_place_is_not_current() -> None:
    encoded = fingerprint_of("variables ")
    for state, profile in (("shop-0123", "prod"), ("shop-4567", "dev")):
        subject = fingerprint.key(f"/cache/projects/{state}", profile)
        assert not fingerprint.is_current(encoded, subject)


def test_a_fingerprint_without_questions_is_not_current() -> None:
    assert not is_current(fingerprint.encode(SUBJECT, "/env", ()))
    assert not is_current(b"")


@given(st.binary())
def test_garbage_is_not_current(garbage: bytes) -> None:
    assert not is_current(garbage)
    assert fingerprint.environment_of(garbage) is None


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_fingerprint_is_never_current(data: st.DataObject) -> None:
    """Whatever byte flips, is lost or cut off: a question that is gone would hide a change."""
    encoded = fingerprint_of(
        f"content {__file__}", "variables ", "content /absent", "is-directory /"
    )
    at = data.draw(st.integers(0, len(encoded) - 1))
    damaged = data.draw(
        st.sampled_from(
            (
                encoded[:at],
                encoded[:at] + encoded[at + 1 :],
                encoded[:at]
                + bytes((encoded[at] ^ data.draw(st.integers(1, 255)),))
                + encoded[at + 1 :],
            )
        )
    )
    assert not is_current(damaged)
