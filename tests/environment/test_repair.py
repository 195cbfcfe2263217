import os
import shutil

import pytest
from rig import Tree
from venvs import INFO, PROJECT, SITE, Venv, damage, posix_only, replace, symlink

from uvflow.environment.installed import Environment
from uvflow.environment.integrity import (
    DamageKind,
    damaged_distributions,
    metadata_damage,
)
from uvflow.environment.repair import (
    drop_byte_code,
    remove_metadata,
    remove_orphans,
)
from uvflow.errors import DiskError


def test_uv_reinstalls_distributions_without_metadata(venv: Venv) -> None:
    undamaged = ["certifi-2025.1.31.dist-info", "idna-3.10.dist-info"]
    shutil.rmtree(venv.at / "six")
    (venv.at / "requests-2.32.3.dist-info" / "METADATA").unlink()
    remove_metadata(Environment.at(venv.path), damaged_distributions(venv.damages()))
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
    remove_metadata(Environment.at(venv.path), ("six",))
    venv.sync("--locked")
    assert venv.damages() == ()


def test_the_metadata_of_both_versions_is_removed(venv: Venv) -> None:
    shutil.copytree(venv.at / "six-1.17.0.dist-info", venv.at / "six-1.16.0.dist-info")
    remove_metadata(Environment.at(venv.path), damaged_distributions(venv.damages()))
    assert list(venv.at.glob("six-*")) == []


def test_a_legacy_metadata_file_is_removed(venv: Venv) -> None:
    (venv.at / "six-1.16.0.egg-info").write_text("Metadata-Version: 1.0\n")
    first = f"{SITE}/six-1.16.0.egg-info"
    duplicates = venv.damages()
    assert duplicates == (damage(DamageKind.DUPLICATE, first, detail="also six-1.17.0.dist-info"),)
    remove_metadata(Environment.at(venv.path), damaged_distributions(duplicates))
    assert list(venv.at.glob("six-*")) == []


def test_orphans_are_removed_and_nothing_else(venv: Venv) -> None:
    before = sorted(venv.path.rglob("*"))
    replace(venv.at / "six" / "data.txt", "edited")
    (venv.at / "left" / "over").mkdir(parents=True)
    (venv.at / "six" / "extra.py").write_text("")
    remove_orphans(Environment.at(venv.path), venv.damages())
    assert sorted(venv.path.rglob("*")) == before


def test_byte_code_is_dropped_and_nothing_else(venv: Venv) -> None:
    before = sorted(path for path in venv.path.rglob("*"))
    venv.sync("--compile-bytecode")
    cache = next(venv.at.glob("six/__pycache__"))
    (cache / "x.cpython-311.pyc.140231").touch()
    (cache / "six.nbi").touch()  # as numba keeps it
    (venv.at / "six" / "secret.pyc").touch()
    drop_byte_code(Environment.at(venv.path))
    remaining = {p for p in venv.path.rglob("*") if p.name != "__pycache__"} - set(before)
    assert remaining == {cache / "six.nbi", venv.at / "six" / "secret.pyc"}


def test_an_interrupted_removal_leaves_no_metadata_file(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remove_metadata(Environment.at(venv.path), ("six",))
    assert metadata_damage(Environment.at(venv.path)) == (damage(DamageKind.NO_METADATA, INFO),)


def interrupt(*_arguments: object) -> None:
    raise KeyboardInterrupt


@posix_only
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write anywhere")
def test_metadata_that_cannot_be_removed_is_an_error(venv: Venv) -> None:
    info = venv.at / "six-1.17.0.dist-info"
    info.chmod(0o500)
    with pytest.raises(DiskError, match="METADATA cannot be written"):
        remove_metadata(Environment.at(venv.path), ("six",))
    info.chmod(0o700)
