import os
from pathlib import Path

import platformdirs
import pytest
from rig import Tree

from uvflow import paths
from uvflow.state import store


def test_the_project_root_is_the_nearest_directory_with_a_manifest(tree: Tree) -> None:
    root = tree({"pyproject.toml": "", "inner/pyproject.toml": "", "inner/src/app.py": ""})
    assert paths.project_root(str(root / "inner" / "src")) == str((root / "inner").resolve())
    assert paths.project_root(str(root / "inner")) == str((root / "inner").resolve())
    assert paths.project_root(str(root)) == str(root.resolve())


def test_a_directory_named_pyproject_toml_makes_no_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    assert paths.project_root(str(tmp_path)) != str(tmp_path)


def test_the_cache_is_where_platformdirs_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UVFLOW_CACHE_DIR")
    for value in (None, "/elsewhere/cache", "relative/is/invalid"):
        if value is None:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert paths.cache_dir() == platformdirs.user_cache_dir("uvflow")


def test_the_fast_path_and_the_state_agree_on_the_directory(tmp_path: Path) -> None:
    assert paths.state_dir(str(tmp_path)) == str(store.State.of(tmp_path).directory)


def test_every_spelling_of_a_root_has_one_state(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert paths.state_name(str(tmp_path / "link")) == paths.state_name(str(tmp_path / "real"))
    assert paths.state_name(str(tmp_path / "real") + os.sep) == paths.state_name(
        str(tmp_path / "real")
    )


def test_a_state_has_a_readable_name_whatever_the_directory_is_called(tmp_path: Path) -> None:
    name = paths.state_name(str(tmp_path / "été & co"))
    assert name.startswith("-t----co-")
    assert name.isascii()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # Test vectors of the FNV specification (draft-eastlake-fnv, appendix on 128 bits).
        (b"", 0x6C62272E07BB014262B821756295C58D),
        (b"a", 0xD228CB696F1A8CAF78912B704E4A8964),
        (b"foobar", 0x343E1662793C64BF6F0D3597BA446F18),
    ],
)
def test_the_digest_is_fnv_1a(data: bytes, expected: int) -> None:
    assert paths.digest(data) == expected


def test_each_member_of_a_workspace_has_a_fingerprint_of_its_own() -> None:
    names = [
        paths.fingerprint_name("dev", root, "/shop")
        for root in ("/shop", "/shop/packages/api", "/shop/packages/core")
    ]
    assert names[0] == "dev.fingerprint"
    assert len(set(names)) == 3
    assert all(name.startswith("dev@") for name in names[1:])
