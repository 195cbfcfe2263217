import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import Tree
from venvs import INFO, PROJECT, SCRIPTS, SITE, Venv, damage, posix_only, replace, symlink

from uvflow.environment import repair
from uvflow.environment.installed import Environment
from uvflow.environment.integrity import (
    DamageKind,
    damaged_distributions,
    metadata_damage,
    needs_rebuild,
)
from uvflow.environment.repair import (
    drop_byte_code,
    empty_environment,
    remove_metadata,
    remove_orphans,
)
from uvflow.errors import DiskError, UsageError


def test_forgotten_distributions_are_installed_again_by_uv(venv: Venv) -> None:
    neither = ["certifi-2025.1.31.dist-info", "idna-3.10.dist-info"]
    shutil.rmtree(venv.at / "six")
    (venv.at / "requests-2.32.3.dist-info" / "METADATA").unlink()
    remove_metadata(Environment.at(venv.path), damaged_distributions(venv.damages()))
    assert sorted(path.name for path in venv.at.glob("*.dist-info")) == neither
    venv.sync("--locked")
    assert venv.damages() == ()


@pytest.mark.parametrize("mode", ["clone", "copy", "hardlink", symlink])
def test_uv_overwrites_what_a_forgotten_distribution_left(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", mode)
    venv = Venv(tree({"pyproject.toml": PROJECT}))
    replace(venv.at / "six" / "data.txt", "edited")
    remove_metadata(Environment.at(venv.path), ("six",))
    venv.sync("--locked")
    assert venv.damages() == ()


def test_both_of_two_versions_are_forgotten(venv: Venv) -> None:
    shutil.copytree(venv.at / "six-1.17.0.dist-info", venv.at / "six-1.16.0.dist-info")
    remove_metadata(Environment.at(venv.path), damaged_distributions(venv.damages()))
    assert list(venv.at.glob("six-*")) == []


def test_a_legacy_file_of_metadata_is_forgotten(venv: Venv) -> None:
    (venv.at / "six-1.16.0.egg-info").write_text("Metadata-Version: 1.0\n")
    first = f"{SITE}/six-1.16.0.egg-info"
    found = venv.damages()
    assert found == (damage(DamageKind.DUPLICATE, first, detail="also six-1.17.0.dist-info"),)
    remove_metadata(Environment.at(venv.path), damaged_distributions(found))
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
    left = {p for p in venv.path.rglob("*") if p.name != "__pycache__"} - set(before)
    assert left == {cache / "six.nbi", venv.at / "six" / "secret.pyc"}


def test_forgetting_that_is_cut_short_leaves_no_metadata_behind(
    venv: Venv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remove_metadata(Environment.at(venv.path), ("six",))
    assert metadata_damage(Environment.at(venv.path)) == (damage(DamageKind.NO_METADATA, INFO),)


def interrupt(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_removed_environment_is_made_anew_by_uv(venv: Venv) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    empty_environment(Environment.at(venv.path))
    assert list(venv.path.iterdir()) == []
    venv.sync("--locked")
    assert venv.damages() == ()


@pytest.mark.parametrize("removed", range(1, 6))  # with `python` there uv would change its base
def test_a_removal_cut_short_is_seen_and_uv_does_not_refuse(
    venv: Venv, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    monkeypatch.setattr(repair, "_remove", removing(removed, repair._remove))
    with pytest.raises(KeyboardInterrupt):
        empty_environment(Environment.at(venv.path))
    assert needs_rebuild(venv.damages())
    venv.sync("--locked")


def removing(count: int, remove_one: Callable[[Path], None]) -> Callable[[Path], None]:
    """`remove_one` for the first `count` calls, and Ctrl-C in the next one."""
    left = iter(range(count))

    def remove_while_it_lasts(path: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        remove_one(path)

    return remove_while_it_lasts


def test_a_removal_begins_with_the_interpreter(venv: Venv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "_remove", removing(1, repair._remove))
    with pytest.raises(KeyboardInterrupt):
        empty_environment(Environment.at(venv.path))
    assert not (venv.path / SCRIPTS).exists()
    assert (venv.at / "six" / "data.txt").exists()


def test_what_an_interrupted_uv_venv_leaves_is_removed(tmp_path: Path) -> None:
    for name in (".gitignore", "CACHEDIR.TAG"):
        (tmp_path / name).write_text("")
    (tmp_path / SCRIPTS).mkdir()
    empty_environment(Environment.at(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "names",
    [
        ("notes.txt",),
        ("bin/tool",),
        ("CACHEDIR.TAG", "notes.txt"),
        ("lib/python3.11/os.py", "lib/python3.11/site-packages/six.py"),
    ],
)
def test_what_is_no_virtual_environment_is_left_as_it_is(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match="is not a virtual environment, so nothing"):
        empty_environment(Environment.at(tmp_path))
    assert all((tmp_path / name).exists() for name in names)


def test_removing_an_environment_that_is_not_there_is_done(tmp_path: Path) -> None:
    empty_environment(Environment.at(tmp_path / "absent"))


@posix_only
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write anywhere")
def test_metadata_that_cannot_be_removed_is_an_error(venv: Venv) -> None:
    info = venv.at / "six-1.17.0.dist-info"
    info.chmod(0o500)
    with pytest.raises(DiskError, match="METADATA cannot be written"):
        remove_metadata(Environment.at(venv.path), ("six",))
    info.chmod(0o700)
