import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import Tree
from venvs import (
    EXE,
    INFO,
    PROJECT,
    SCRIPTS,
    SITE,
    WINDOWS,
    Venv,
    damage,
    posix_only,
    symlink,
)

from uvflow.environment.installed import Environment
from uvflow.environment.integrity import (
    Damage,
    DamageKind,
    file_damage,
    linked_packages,
    metadata_damage,
    needs_rebuild,
)

# Healthy environments


@pytest.mark.parametrize("mode", ["clone", "copy", "hardlink", symlink])
def test_what_uv_makes_is_intact(tree: Tree, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("UV_LINK_MODE", mode)
    assert Venv(tree({"pyproject.toml": PROJECT})).damages() == ()


def test_byte_code_is_not_damage(venv: Venv) -> None:
    venv.sync("--compile-bytecode")
    assert list(venv.at.glob("six/__pycache__/*.pyc"))
    assert venv.damages() == ()


def test_byte_code_that_pip_records_may_be_missing(venv: Venv) -> None:
    add_row(venv, "six/__pycache__/__init__.cpython-311.pyc,,")
    assert venv.damages() == ()


def add_row(venv: Venv, row: str, info: str = "six-1.17.0.dist-info") -> None:
    record = venv.at / info / "RECORD"
    record.write_text(f"{record.read_text()}{row}\n")


def test_without_installer_metadata_it_is_intact(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_INSTALLER_METADATA", "1")
    venv = Venv(tree({"pyproject.toml": PROJECT}))
    assert not (venv.at / "six-1.17.0.dist-info" / "INSTALLER").exists()
    assert venv.damages() == ()


def test_an_editable_project_is_intact(tree: Tree) -> None:
    build = '[build-system]\nrequires = ["uv_build<2"]\nbuild-backend = "uv_build"\n'
    venv = Venv(tree({"pyproject.toml": PROJECT + build, "src/shop/__init__.py": ""}))
    assert (venv.at / "shop.pth").exists()
    assert venv.damages() == ()


def test_what_pip_installed_is_intact(venv: Venv, index: Path, tmp_path: Path) -> None:
    wheel = next((index / "toml").glob("toml-0.10.2*.whl"))
    pip = (sys.executable, "-m", "pip", "--python", venv.path / SCRIPTS / f"python{EXE}")
    home = {**os.environ, "HOME": str(tmp_path)}  # pip runs rustc, which writes there
    subprocess.run(
        (*pip, "install", "-q", "--no-cache-dir", "--no-index", wheel), check=True, env=home
    )
    assert (venv.at / "toml-0.10.2.dist-info" / "INSTALLER").read_text() == "pip\n"
    assert venv.damages() == ()


def test_conda_writes_no_record_and_its_files_are_not_unowned(venv: Venv) -> None:
    (venv.path / "conda-meta").mkdir()
    (venv.at / "six-1.17.0.dist-info" / "INSTALLER").write_text("conda\n")
    (venv.at / "six-1.17.0.dist-info" / "RECORD").unlink()
    assert not venv.damages()
    assert not venv.unowned()


def test_conda_may_change_what_its_record_lists(venv: Venv) -> None:
    (venv.path / "conda-meta").mkdir()
    (venv.at / "six-1.17.0.dist-info" / "INSTALLER").write_text("conda\n")
    (venv.at / "six" / "data.txt").write_text("with the prefix replaced")
    assert venv.damages() == ()


def test_conda_is_believed_in_its_own_environments_only(venv: Venv) -> None:
    (venv.at / "six-1.17.0.dist-info" / "INSTALLER").write_text("conda\n")
    (venv.at / "six" / "data.txt").unlink()
    assert damage(DamageKind.MISSING, f"{SITE}/six/data.txt") in venv.damages()
    (venv.at / "six-1.17.0.dist-info" / "RECORD").unlink()
    assert venv.damages() == (damage(DamageKind.UNFINISHED, INFO, detail="no RECORD"),)


def test_a_legacy_egg_info_has_no_evidence_and_no_damage(venv: Venv) -> None:
    (venv.at / "old-1.0-py3.11.egg-info").write_text("Metadata-Version: 1.0\n")
    (venv.at / "old.py").write_text("")
    assert not venv.damages()
    assert not venv.unowned()


def test_an_environment_without_packages_is_intact(tree: Tree) -> None:
    bare = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
    assert Venv(tree({"pyproject.toml": bare})).damages() == ()


@posix_only
def test_a_linked_environment_is_intact(venv: Venv, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(venv.path)
    read = Environment(link)
    assert (*metadata_damage(read), *file_damage(read, by_hash=True)) == ()


@posix_only
@pytest.mark.parametrize(
    "row",
    ["six/a/b", '"six/a"/b', "x,,\rsix/a/b", "six/../six/a/b"],  # as uv's CSV has them
)
def test_a_link_in_a_package_is_found_however_a_record_names_what_is_in_it(
    venv: Venv, tmp_path: Path, row: str
) -> None:
    (venv.at / "six" / "a").symlink_to(tmp_path)
    assert list(linked_packages(Environment(venv.path))) == []
    add_row(venv, f"{row},,")
    detail = f"a link to {tmp_path}"
    assert list(linked_packages(Environment(venv.path))) == [
        damage(DamageKind.REPLACED, f"{SITE}/six/a", detail=detail)
    ]


@posix_only
def test_a_link_in_the_place_of_byte_code_is_found(venv: Venv, tmp_path: Path) -> None:
    shutil.rmtree(venv.at / "six" / "__pycache__", ignore_errors=True)
    (venv.at / "six" / "__pycache__").symlink_to(tmp_path)
    assert list(linked_packages(Environment(venv.path))) == [
        damage(DamageKind.REPLACED, f"{SITE}/six/__pycache__", detail=f"a link to {tmp_path}")
    ]


# The environment itself


def test_no_environment(tmp_path: Path) -> None:
    read = Environment(tmp_path / "absent")
    path = (tmp_path / "absent").as_posix()
    assert metadata_damage(read) == (Damage(kind=DamageKind.NO_ENVIRONMENT, path=path),)
    assert needs_rebuild(metadata_damage(read))


def test_no_site_packages(venv: Venv) -> None:
    shutil.rmtree(venv.at)
    lib = "Lib" if WINDOWS else "lib"
    assert metadata_damage(Environment(venv.path)) == (
        Damage(kind=DamageKind.NO_SITE_PACKAGES, path=lib),
    )


def test_no_pyvenv_cfg(venv: Venv) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    assert venv.damages() == (Damage(kind=DamageKind.NO_CONFIGURATION, path="pyvenv.cfg"),)
    assert needs_rebuild(venv.damages())


def test_a_base_python_needs_no_pyvenv_cfg(venv: Venv) -> None:
    (venv.path / "pyvenv.cfg").unlink()
    (venv.at.parent / "os.py").write_text("")
    assert venv.damages() == ()


def test_a_missing_base_python(venv: Venv) -> None:
    (venv.path / "pyvenv.cfg").write_text("version_info = 3.11.7\nhome = /absent python\n")
    detail = "home = /absent python"
    assert venv.damages() == (
        Damage(kind=DamageKind.NO_INTERPRETER, path="pyvenv.cfg", detail=detail),
    )


def test_an_empty_pyvenv_cfg_names_no_base(venv: Venv) -> None:
    (venv.path / "pyvenv.cfg").write_text("")
    assert venv.damages() == (
        Damage(kind=DamageKind.NO_INTERPRETER, path="pyvenv.cfg", detail="home = "),
    )


@posix_only
@pytest.mark.parametrize("name", ["python3.11-dbg", "python-mine", "py"])
def test_a_base_python_may_have_any_name(venv: Venv, tmp_path: Path, name: str) -> None:
    base = tmp_path / name
    base.symlink_to(os.path.realpath(venv.path / "bin/python"))
    (venv.path / "bin/python").unlink()
    (venv.path / "bin/python").symlink_to(base)
    (venv.path / "pyvenv.cfg").write_text(f"home = {tmp_path}\n")
    assert venv.damages() == ()


def test_no_interpreter(venv: Venv) -> None:
    name = f"{SCRIPTS}/python{EXE}"
    (venv.path / name).unlink()
    assert venv.damages() == (Damage(kind=DamageKind.NO_INTERPRETER, path=name),)


@posix_only
def test_lib64_counts_where_it_is_not_a_link_to_lib(venv: Venv) -> None:
    (venv.path / "lib64").unlink(missing_ok=True)
    (venv.path / "lib64").symlink_to("lib")
    assert Environment(venv.path).site_packages == (venv.at,)
    platlib = venv.path / SITE.replace("lib/", "lib64/")
    (venv.path / "lib64").unlink()
    platlib.mkdir(parents=True)
    assert Environment(venv.path).site_packages == (venv.at, platlib)


# Metadata


def test_names_are_normalised(venv: Venv) -> None:
    (venv.at / "Zope.Interface_x-5.0.dist-info").mkdir()
    info = f"{SITE}/Zope.Interface_x-5.0.dist-info"
    assert venv.damages() == (damage(DamageKind.NO_METADATA, info, "zope-interface-x"),)


def test_no_record(venv: Venv) -> None:
    (venv.at / "six-1.17.0.dist-info" / "RECORD").unlink()
    assert venv.damages() == (damage(DamageKind.UNFINISHED, INFO, detail="no RECORD"),)


def test_no_metadata(venv: Venv) -> None:
    (venv.at / "six-1.17.0.dist-info" / "METADATA").unlink()
    assert venv.damages() == (
        damage(DamageKind.NO_METADATA, INFO),
        damage(DamageKind.MISSING, f"{INFO}/METADATA"),
    )


def test_an_empty_dist_info(venv: Venv) -> None:
    shutil.rmtree(venv.at / "six-1.17.0.dist-info")
    (venv.at / "six-1.17.0.dist-info").mkdir()
    assert venv.damages() == (damage(DamageKind.NO_METADATA, INFO),)


def test_the_wheels_own_record_is_an_unfinished_install(venv: Venv) -> None:
    record = venv.at / "six-1.17.0.dist-info" / "RECORD"
    as_in_the_wheel = [row for row in record.read_text().splitlines() if "INSTALLER" not in row]
    record.write_text("\n".join(as_in_the_wheel) + "\n")
    assert metadata_damage(Environment(venv.path)) == (
        damage(DamageKind.UNFINISHED, f"{INFO}/RECORD", detail="does not list INSTALLER"),
    )


def test_a_leftover_data_directory_is_an_unfinished_install(venv: Venv) -> None:
    (venv.at / "six-1.17.0.data" / "scripts").mkdir(parents=True)
    assert metadata_damage(Environment(venv.path)) == (
        Damage(kind=DamageKind.UNFINISHED, path=f"{SITE}/six-1.17.0.data"),
    )


@pytest.mark.parametrize("name", ["six-1.17.0.data/scripts/x", "trial-1.data/results.csv"])
def test_a_data_directory_is_a_wheels_by_what_it_holds(venv: Venv, name: str) -> None:
    (venv.at / name).parent.mkdir(parents=True)
    (venv.at / name).touch()
    assert (venv.damages() == ()) is name.startswith("trial")


@pytest.mark.parametrize("keep", [0, 1, 300, -1])
def test_a_truncated_record_is_an_unfinished_install(venv: Venv, keep: int) -> None:
    record = venv.at / "six-1.17.0.dist-info" / "RECORD"
    record.write_bytes(record.read_bytes()[:keep])
    assert metadata_damage(Environment(venv.path)) == (
        damage(DamageKind.UNFINISHED, f"{INFO}/RECORD", detail="truncated"),
    )


def test_installed_without_metadata_and_unsorted_is_an_unfinished_install(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_INSTALLER_METADATA", "1")
    venv = Venv(tree({"pyproject.toml": PROJECT}))
    record = venv.at / "six-1.17.0.dist-info" / "RECORD"
    rows = record.read_text().splitlines(keepends=True)
    record.write_text("".join(sorted(rows, key=lambda row: "RECORD" in row)))
    assert venv.damages() == (
        damage(DamageKind.UNFINISHED, f"{INFO}/RECORD", detail="does not list INSTALLER"),
    )


def test_installed_without_metadata_and_a_file_missing_is_an_unfinished_install(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_INSTALLER_METADATA", "1")
    venv = Venv(tree({"pyproject.toml": PROJECT}))
    (venv.at / "six" / "data.txt").unlink()
    assert metadata_damage(Environment(venv.path)) == (
        damage(DamageKind.UNFINISHED, f"{INFO}/RECORD", detail="does not list INSTALLER"),
    )


@pytest.mark.parametrize("garbage", [b"\xff\xfe\n", b"a\0b\n"])
def test_a_record_that_is_not_text_is_unreadable(venv: Venv, garbage: bytes) -> None:
    (venv.at / "six-1.17.0.dist-info" / "RECORD").write_bytes(garbage)
    assert venv.damages() == (damage(DamageKind.UNREADABLE, f"{INFO}/RECORD"),)


@pytest.mark.parametrize("more", ["1,,\n" * 100_001, "a" * (12 << 20)], ids=["rows", "bytes"])
def test_a_record_of_a_size_that_none_has_is_unreadable(venv: Venv, more: str) -> None:
    with (venv.at / "six-1.17.0.dist-info" / "RECORD").open("a") as record:
        record.write(more)
    assert venv.damages() == (damage(DamageKind.UNREADABLE, f"{INFO}/RECORD"),)


def test_a_configuration_of_a_size_that_none_has_is_none(venv: Venv) -> None:
    with (venv.path / "pyvenv.cfg").open("a") as configuration:
        configuration.write("a = b\n" * 20_000)
    assert damage(DamageKind.NO_CONFIGURATION, "pyvenv.cfg", "") in venv.damages()


def test_two_versions(venv: Venv) -> None:
    shutil.copytree(venv.at / "six-1.17.0.dist-info", venv.at / "six-1.16.0.dist-info")
    duplicates = [d for d in venv.damages() if d.kind is DamageKind.DUPLICATE]
    first = f"{SITE}/six-1.16.0.dist-info"
    assert duplicates == [damage(DamageKind.DUPLICATE, first, detail="also six-1.17.0.dist-info")]


def test_a_started_removal_is_seen_in_the_metadata(venv: Venv) -> None:
    script = f"{SCRIPTS}/six{EXE}"
    (venv.path / script).unlink()
    assert metadata_damage(Environment(venv.path)) == (damage(DamageKind.MISSING, script),)


# Files


def test_a_missing_file(venv: Venv) -> None:
    (venv.at / "six" / "data.txt").unlink()
    assert venv.damages() == (damage(DamageKind.MISSING, f"{SITE}/six/data.txt"),)


def test_a_missing_package(venv: Venv) -> None:
    shutil.rmtree(venv.at / "six")
    paths = [f"{SITE}/six/__init__.py", f"{SITE}/six/data.txt"]
    assert venv.damages() == tuple(damage(DamageKind.MISSING, path) for path in paths)


def test_a_truncated_file(venv: Venv) -> None:
    (venv.at / "six" / "data.txt").write_text("data\n")
    detail = "5 bytes, installed with 500"
    assert venv.damages() == (damage(DamageKind.TRUNCATED, f"{SITE}/six/data.txt", detail=detail),)


def test_an_edited_file_of_another_size(venv: Venv) -> None:
    (venv.at / "six" / "data.txt").write_text("x" * 501)
    detail = "501 bytes, installed with 500"
    assert venv.damages() == (damage(DamageKind.EDITED, f"{SITE}/six/data.txt", detail=detail),)


def test_an_edited_file_of_the_same_size_is_seen_by_its_hash(venv: Venv) -> None:
    (venv.at / "six" / "data.txt").write_text("x" * 500)
    read = Environment(venv.path)
    assert file_damage(read) == ()
    assert file_damage(read, by_hash=True) == (
        damage(DamageKind.EDITED, f"{SITE}/six/data.txt", detail="sha256 differs"),
    )


@pytest.mark.parametrize("algorithm", ["sha384", "sha512", "blake2b"])
def test_a_row_names_its_algorithm(venv: Venv, algorithm: str) -> None:
    rewrite(venv, "six/data.txt", lambda data: hashlib.new(algorithm, data).digest(), algorithm)
    assert venv.damages() == ()
    rewrite(venv, "six/data.txt", lambda data: hashlib.new(algorithm, data[1:]).digest(), algorithm)
    assert venv.damages() == (
        damage(DamageKind.EDITED, f"{SITE}/six/data.txt", detail=f"{algorithm} differs"),
    )


@pytest.mark.parametrize("size", ["", "many", "-5", pytest.param("9" * 5000, id="endless")])
def test_a_size_that_is_not_a_number_is_ignored(venv: Venv, size: str) -> None:
    (venv.at / "extra.py").write_text("")
    add_row(venv, f"extra.py,,{size}")
    assert venv.damages() == ()


def test_an_unknown_algorithm_is_ignored(venv: Venv) -> None:
    rewrite(venv, "six/data.txt", lambda _: b"?", "rot13")
    assert venv.damages() == ()


def rewrite(venv: Venv, name: str, digest: Callable[[bytes], bytes], algorithm: str) -> None:
    """Give `name` another hash in the RECORD of six."""
    record = venv.at / "six-1.17.0.dist-info" / "RECORD"
    value = base64.urlsafe_b64encode(digest((venv.at / name).read_bytes())).decode().rstrip("=")
    rows = [row.split(",") for row in record.read_text().splitlines()]
    record.write_text(
        "".join(
            f"{path},{algorithm}={value},{size}\n" if path == name else f"{path},{old},{size}\n"
            for path, old, size in rows
        )
    )


@posix_only
def test_a_dangling_link_is_a_missing_file(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", "symlink")
    venv = Venv(tree({"pyproject.toml": PROJECT}))
    (venv.at / "six" / "data.txt").unlink()
    (venv.at / "six" / "data.txt").symlink_to(tmp_path / "pruned")
    assert venv.damages() == (damage(DamageKind.MISSING, f"{SITE}/six/data.txt"),)


def test_a_file_of_two_distributions_may_match_either(venv: Venv) -> None:
    add_row(venv, "six/data.txt,sha256=AAAA,499", "requests-2.32.3.dist-info")
    assert venv.damages() == ()
    (venv.at / "six" / "data.txt").unlink()
    path = f"{SITE}/six/data.txt"
    assert venv.damages() == (
        damage(DamageKind.MISSING, path, "requests"),
        damage(DamageKind.MISSING, path),
    )


def test_a_row_may_be_absolute(venv: Venv, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    add_row(venv, f"{outside.as_posix()},,")
    assert venv.damages() == (damage(DamageKind.MISSING, outside.as_posix()),)
    outside.write_text("")
    assert venv.damages() == ()


def test_a_row_may_name_a_file_deeper_than_any_system_has(venv: Venv) -> None:
    name = "deep/" * 3000 + "er.py"
    add_row(venv, f"{name},,")
    assert [(each.kind, each.path) for each in venv.damages()] == [
        (DamageKind.MISSING, f"{SITE}/{name}")
    ]


def test_a_module_installed_only_as_byte_code_is_a_file_like_others(venv: Venv) -> None:
    add_row(venv, "six/secret.pyc,,")
    assert venv.damages() == (damage(DamageKind.MISSING, f"{SITE}/six/secret.pyc"),)


def test_a_damage_reads_as_a_sentence() -> None:
    truncated = damage(DamageKind.TRUNCATED, "lib/six.py", detail="5 bytes, installed with 500")
    assert str(truncated) == "six: truncated: lib/six.py (5 bytes, installed with 500)"
    assert str(Damage(kind=DamageKind.LEFTOVER, path="lib/x.py")) == "leftover: lib/x.py"
