import os
import shutil
from pathlib import Path

import pytest
from rig import Tree
from venvs import INFO, PROJECT, SITE, Venv, damage, posix_only, replace, symlink

from uvflow.environment.installed import Environment
from uvflow.environment.integrity import (
    DamageKind,
    metadata_damage,
)
from uvflow.environment.repair import (
    Depth,
    Past,
    check_removable,
    drop_byte_code,
    find_damage,
    remove_damaged,
    remove_metadata,
)
from uvflow.errors import DamagedError, DiskError


def test_uv_reinstalls_distributions_without_metadata(venv: Venv) -> None:
    undamaged = ["certifi-2025.1.31.dist-info", "idna-3.10.dist-info"]
    shutil.rmtree(venv.at / "six")
    (venv.at / "requests-2.32.3.dist-info" / "METADATA").unlink()
    remove_metadata(Environment(venv.path), {d.distribution for d in venv.damages()})
    assert sorted(path.name for path in venv.at.glob("*.dist-info")) == undamaged
    venv.sync("--locked")
    assert venv.damages() == ()


@pytest.mark.parametrize("mode", ["clone", "copy", "hardlink", symlink])
def test_uv_overwrites_the_files_of_a_distribution_without_metadata(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", mode)
    venv = Venv(tree({"pyproject.toml": PROJECT}))
    replace(venv.at / "six" / "data.txt", "edited")
    remove_metadata(Environment(venv.path), ("six",))
    venv.sync("--locked")
    assert venv.damages() == ()


def test_the_metadata_of_both_versions_is_removed(venv: Venv) -> None:
    shutil.copytree(venv.at / "six-1.17.0.dist-info", venv.at / "six-1.16.0.dist-info")
    remove_metadata(Environment(venv.path), {d.distribution for d in venv.damages()})
    assert list(venv.at.glob("six-*")) == []


def test_a_legacy_metadata_file_is_removed(venv: Venv) -> None:
    (venv.at / "six-1.16.0.egg-info").write_text("Metadata-Version: 1.0\n")
    first = f"{SITE}/six-1.16.0.egg-info"
    duplicates = venv.damages()
    assert duplicates == (damage(DamageKind.DUPLICATE, first, detail="also six-1.17.0.dist-info"),)
    remove_metadata(Environment(venv.path), {d.distribution for d in duplicates})
    assert list(venv.at.glob("six-*")) == []


def removed(venv: Venv, *names: str, past: Past | None = None) -> list[str]:
    """What is damaged is removed, and the distributions `names` with it."""
    environment = Environment(venv.path)
    damages, _ = find_damage(environment, Depth.SIZES, past or Past())
    check_removable(environment, damages, names)
    return remove_damaged(environment, damages, names)


def test_leftovers_are_removed_and_nothing_else(venv: Venv) -> None:
    before = sorted(venv.path.rglob("*"))
    (venv.at / ".tmp1").mkdir(parents=True)
    (venv.at / ".tmp1" / ".tmp2").touch()
    (venv.at / "six" / ".tmp3").touch()
    assert removed(venv, past=Past(began=0)) == [f"{SITE}/.tmp1", f"{SITE}/six/.tmp3"]
    assert sorted(venv.path.rglob("*")) == before


@posix_only
@pytest.mark.parametrize("name", ["six", "six/data.txt"])
def test_a_link_in_the_place_of_what_uv_made_is_removed_and_not_followed(
    venv: Venv, tmp_path: Path, name: str
) -> None:
    (venv.at / name).rename(tmp_path / "outside")
    (venv.at / name).symlink_to(tmp_path / "outside")
    assert removed(venv, "six") == [f"{SITE}/{name}"]
    assert not os.path.lexists(venv.at / name)
    assert (tmp_path / "outside").exists()


def test_a_directory_in_the_place_of_a_file_is_removed_where_installers_made_all_of_it(
    venv: Venv,
) -> None:
    data = venv.at / "six" / "data.txt"
    data.unlink()
    (data / "__pycache__").mkdir(parents=True)
    (data / "__pycache__" / "x.cpython-311.pyc").touch()
    removed(venv, "six")
    assert not data.exists()


def test_a_directory_in_the_place_of_a_file_stays_where_it_holds_the_users(venv: Venv) -> None:
    data = venv.at / "six" / "data.txt"
    data.unlink()
    data.mkdir()
    (data / "notes.txt").touch()
    with pytest.raises(DamagedError, match=r"data\.txt is in the place of a file, .*notes\.txt"):
        removed(venv, "six")
    assert (data / "notes.txt").exists()
    removed(venv)  # six is to stay as it is


def test_only_the_byte_code_of_what_is_reinstalled_is_dropped(venv: Venv) -> None:
    venv.sync("--compile-bytecode")
    (venv.at / "six" / "data.txt").unlink()
    removed(venv, "six")
    assert not list(venv.at.glob("six/__pycache__/*"))
    assert list(venv.at.glob("idna/__pycache__/*"))


def test_byte_code_is_dropped_and_nothing_else(venv: Venv) -> None:
    before = sorted(path for path in venv.path.rglob("*"))
    venv.sync("--compile-bytecode")
    cache = next(venv.at.glob("six/__pycache__"))
    (cache / "x.cpython-311.pyc.140231").touch()
    (cache / "six.nbi").touch()  # as numba keeps it
    (venv.at / "six" / "secret.pyc").touch()
    drop_byte_code(Environment(venv.path))
    remaining = {p for p in venv.path.rglob("*") if p.name != "__pycache__"} - set(before)
    assert remaining == {cache / "six.nbi", venv.at / "six" / "secret.pyc"}


def test_an_interrupted_removal_leaves_no_metadata_file(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remove_metadata(Environment(venv.path), ("six",))
    assert metadata_damage(Environment(venv.path)) == (damage(DamageKind.NO_METADATA, INFO),)


def interrupt(*_arguments: object) -> None:
    raise KeyboardInterrupt


@posix_only
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write anywhere")
def test_metadata_that_cannot_be_removed_is_an_error(venv: Venv) -> None:
    info = venv.at / "six-1.17.0.dist-info"
    info.chmod(0o500)
    with pytest.raises(DiskError, match="METADATA cannot be written"):
        remove_metadata(Environment(venv.path), ("six",))
    info.chmod(0o700)
