import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvflow import fingerprint

SUBJECT = fingerprint.key("/cache/projects/shop-0123", "dev.fingerprint")


def is_current(encoded: bytes) -> bool:
    fingerprint.CHANGED.clear()  # a process asks but once
    return fingerprint.is_current(encoded, SUBJECT)


def fingerprint_of(*questions: str) -> bytes:
    return fingerprint.encode(SUBJECT, "/env", fingerprint.record(list(questions)))


def test_what_was_found_stale_stays_so(tmp_path: Path) -> None:
    encoded = fingerprint_of(f"content {tmp_path / 'a'}")
    (tmp_path / "a").touch()
    assert not is_current(encoded)
    (tmp_path / "a").unlink()
    assert not fingerprint.is_current(encoded, SUBJECT)


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


def test_another_link_to_a_file_is_no_change_of_it(tmp_path: Path) -> None:
    file = tmp_path / "uv"
    file.write_text("same")
    encoded = fingerprint_of(f"uv {file}", f"linkable {file}")
    (tmp_path / "link").hardlink_to(file)
    assert is_current(encoded)
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


@pytest.mark.parametrize("name", ["RECORD", "WHEEL", "uv_cache.json"])
def test_what_uv_reads_of_a_distribution_is_watched(tmp_path: Path, name: str) -> None:
    file = tmp_path / "six-1.0.dist-info" / name
    file.parent.mkdir()
    file.write_text("{}")
    encoded = fingerprint_of(f"distributions {tmp_path}")
    file.write_text("")
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


@pytest.mark.parametrize("value", ["me:pw@h/simple", "https://token@h", "me:pw@h"])
def test_a_login_in_a_variable_is_not_kept(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    encoded = fingerprint_of("variables ")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", value)
    with pytest.raises(OSError, match="May hold credentials"):
        fingerprint_of("variables ")
    assert not is_current(encoded)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("UV_HTTP_TIMEOUT", "soon"), ("UV_HTTP_TIMEOUT", "true"), ("UV_OFFLINE", "77")),
        *(("UV_CONCURRENT_DOWNLOADS", "0"), ("UV_RUN_RECURSION_DEPTH", "9" * 11)),
    ],
)
def test_variables_that_a_profile_sets_aside_or_that_do_no_harm_are_not_watched(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    encoded = fingerprint_of("variables UV_NO_DEV UV_LOCKED")
    monkeypatch.setenv("UV_NO_DEV", "1")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "60")
    assert is_current(encoded)
    monkeypatch.setenv(name, value)  # an error for uv
    assert not is_current(encoded)


def test_the_value_of_a_variable_is_watched_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = fingerprint_of("variable TOKEN")
    monkeypatch.setenv("TOKEN", "hunter2")
    encoded = fingerprint_of("variable TOKEN")
    assert is_current(encoded)
    assert not is_current(unset)
    assert b"hunter2" not in encoded
    monkeypatch.setenv("TOKEN", "hunter3")
    assert not is_current(encoded)


def test_the_working_directory_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = fingerprint_of("working-directory ")
    assert is_current(encoded)
    monkeypatch.chdir(tmp_path)
    assert not is_current(encoded)


def uv_on_path(directory: Path, text: str = "") -> Path:
    directory.mkdir(exist_ok=True)
    uv = directory / ("uv.exe" if os.name == "nt" else "uv")
    uv.write_text(text)
    return uv


def test_another_uv_before_the_one_that_was_used_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = [tmp_path / name for name in ("first", "used", "last")]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, directories)))
    used = uv_on_path(directories[1])
    encoded = fingerprint_of(f"uv {used}")
    uv_on_path(directories[2])
    monkeypatch.setenv("UV", str(used))  # as `uv run` sets it
    assert is_current(encoded)
    monkeypatch.setenv("UVFLOW_UV", str(uv_on_path(tmp_path / "named")))
    assert not is_current(encoded)
    monkeypatch.delenv("UVFLOW_UV")
    monkeypatch.delenv("UV")
    assert is_current(encoded)
    uv_on_path(directories[0])
    assert not is_current(encoded)


def test_an_upgraded_uv_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    used = uv_on_path(tmp_path / "bin")
    encoded = fingerprint_of(f"uv {used}")
    uv_on_path(tmp_path / "new", "another").replace(used)
    assert not is_current(encoded)


def test_the_uv_of_the_package_belongs_to_one_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    encoded = fingerprint_of(f"uv {uv_on_path(tmp_path / 'package')}")
    assert is_current(encoded)
    monkeypatch.setattr("sys.prefix", "/another/python")
    assert not is_current(encoded)


def package(root: Path, *names: str) -> bytes:
    """The fingerprint of the sources of a package in `root`, to which these files are added."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return fingerprint_of(f"sources {root}")


@pytest.mark.parametrize(
    "name",
    [
        *(".git/HEAD", "src/shop/__pycache__/x.pyc", "node_modules/x/index.js"),
        *("build/lib/shop.py", "dist/shop.whl", "src/shop.egg-info/PKG-INFO", "uv.lock"),
        *("env/bin/python", ".cache/x"),
    ],
)
def test_what_no_build_takes_is_not_watched(tmp_path: Path, name: str) -> None:
    encoded = package(tmp_path, "src/shop/x.py", "env/pyvenv.cfg", ".cache/CACHEDIR.TAG")
    package(tmp_path, name)
    assert is_current(encoded)


@pytest.mark.parametrize("name", ["src/shop/new.py", "src/build/x.py", "src/shop/x.py", "data.csv"])
def test_sources_that_come_or_change_are_seen(tmp_path: Path, name: str) -> None:
    encoded = package(tmp_path, "src/shop/x.py")
    before = (tmp_path / "src/shop/x.py").stat()
    assert is_current(encoded)
    package(tmp_path, name)
    os.utime(tmp_path / "src/shop/x.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not is_current(encoded)


def test_sources_of_another_package_inside_are_left_out(tmp_path: Path) -> None:
    package(tmp_path, "src/shop/x.py", "libs/one/x.py")
    encoded = fingerprint_of(f"sources {tmp_path}\0{tmp_path / 'libs' / 'one'}")
    package(tmp_path, "libs/one/y.py")
    assert is_current(encoded)
    package(tmp_path, "libs/two/y.py")
    assert not is_current(encoded)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_linked_sources_are_followed_once(tmp_path: Path) -> None:
    package(tmp_path / "shared", "x.py")
    package(tmp_path / "shop", "x.py")
    (tmp_path / "shop/shared").symlink_to(tmp_path / "shared")
    (tmp_path / "shop/back").symlink_to(tmp_path / "shop")
    (tmp_path / "shop/nowhere").symlink_to(tmp_path / "nowhere")
    encoded = package(tmp_path / "shop")
    assert is_current(encoded)
    package(tmp_path / "shared", "y.py")
    assert not is_current(encoded)


def test_too_many_sources_are_not_watched(tmp_path: Path) -> None:
    package(tmp_path, *(f"{number}.py" for number in range(4)))
    question = os.fsencode(tmp_path)
    assert len(fingerprint.source_files(question, most=5)) == 4
    with pytest.raises(ValueError, match=re.escape(tmp_path.name)):
        fingerprint.source_files(question, most=4)


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
    for state, name in (("shop-0123", "prod"), ("shop-4567", "dev")):
        subject = fingerprint.key(f"/cache/projects/{state}", f"{name}.fingerprint")
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
