import math
import shutil
import time
from pathlib import Path

import pytest
from venvs import EXE, SCRIPTS, SITE, WINDOWS, Venv, posix_only

from uvflow.environment.installed import Environment
from uvflow.environment.ownership import sort_unowned
from uvflow.state import journal
from uvflow.state.store import State


def test_what_uv_makes_is_owned(venv: Venv) -> None:
    venv.sync("--compile-bytecode")
    assert venv.unowned() == ()


def test_files_of_uv_and_virtualenv_are_nobodys(venv: Venv) -> None:
    for name in ("_virtualenv.py", "_virtualenv.pth", "_uv_ephemeral_overlay.pth"):
        (venv.at / name).write_text("")
    assert venv.unowned() == ()


def test_a_module_of_the_users_is_unowned_and_no_damage(venv: Venv) -> None:
    (venv.at / "extra.py").write_text("")
    (venv.at / "six" / "extra.py").write_text("")
    assert venv.unowned() == (f"{SITE}/extra.py", f"{SITE}/six/extra.py")
    assert venv.damages() == ()


def test_an_unowned_package_is_one(venv: Venv) -> None:
    (venv.at / "left" / "over").mkdir(parents=True)
    (venv.at / "left" / "over" / "__init__.py").write_text("")
    assert venv.unowned() == (f"{SITE}/left",)


def test_directories_that_are_empty_but_for_byte_code_are_a_wheels(venv: Venv) -> None:
    (venv.at / "empty.libs").mkdir()
    (venv.at / "six" / "empty" / "__pycache__").mkdir(parents=True)
    for name in ("x.cpython-311.pyc", "x.cpython-311.pyc.140231"):
        (venv.at / "six" / "empty" / "__pycache__" / name).touch()
    assert not venv.unowned()
    assert not venv.damages()


@posix_only
def test_launchers_without_an_owner_are_listed_and_other_scripts_not(venv: Venv) -> None:
    launcher = (venv.path / "bin" / "six").read_text()
    (venv.path / "bin" / "left").write_text(launcher)
    for number, part in enumerate(("#!", "sys.argv[0]", "sys.exit(")):
        (venv.path / "bin" / f"mine{number}").write_text(launcher.replace(part, ""))
    assert venv.unowned() == ("bin/left",)


def test_a_distribution_without_metadata_is_unowned(venv: Venv) -> None:
    shutil.rmtree(venv.at / "six-1.17.0.dist-info")
    launchers = [] if WINDOWS else ["bin/six"]
    assert venv.unowned() == (*launchers, f"{SITE}/six")


def test_a_base_python_has_more_than_was_installed(venv: Venv) -> None:
    (venv.at.parent / "os.py").write_text("")
    (venv.at / "README.txt").write_text("")
    assert venv.unowned() == ()


def test_while_a_record_is_missing_no_owner_is_known(venv: Venv) -> None:
    (venv.at / "six-1.17.0.dist-info" / "RECORD").unlink()
    assert venv.unowned() == ()


def test_a_row_may_contain_parent_directories(venv: Venv) -> None:
    record = venv.at / "six-1.17.0.dist-info" / "RECORD"
    record.write_text(f"{record.read_text()}six/../extra.py,,\n")
    (venv.at / "extra.py").write_text("")
    assert venv.unowned() == ()


# What interrupted syncs leave


def now() -> float:
    """Further than a tick of the file system's clock from what comes before and after."""
    time.sleep(0.03)
    instant = time.time()
    time.sleep(0.03)
    return instant


def left(venv: Venv, began: float = math.inf, cache: Path | None = None) -> list[str]:
    """The paths of the leftovers."""
    return sort_unowned(Environment(venv.path), began, cache)[0]


def keep_records(venv: Venv, tmp_path: Path) -> None:
    distributions = Environment(venv.path).distributions
    records = {one.location: Path(one.record).read_text() for one in distributions}
    journal.mark_running(State.of(tmp_path), "dev", venv.path, records)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of uv with an unpacked wheel of `half`, which is not installed."""
    wheel = tmp_path / "cache" / "archive-v0" / "0axIPG_-YLK0hFxi"
    for name in ("half/__init__.py", "half/deep/a.py", "half-1.0.dist-info/METADATA"):
        (wheel / name).parent.mkdir(parents=True, exist_ok=True)
        (wheel / name).write_text(f"# {name}\n")
    return tmp_path / "cache"


def install(venv: Venv, cache: Path, *names: str) -> None:
    """As uv would, without the metadata."""
    [wheel] = (cache / "archive-v0").iterdir()
    for name in names:
        (venv.at / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel / name, venv.at / name)


def test_what_an_interrupted_sync_has_made_is_left_by_it(venv: Venv, cache: Path) -> None:
    began = now()
    install(venv, cache, "half/__init__.py")
    (venv.at / "six" / ".tmpAbCdEf").touch()
    (venv.at / ".tmp1").mkdir()
    (venv.at / ".tmp1" / ".tmp2").touch()
    paths = [f"{SITE}/{name}" for name in (".tmp1", "half", "six/.tmpAbCdEf")]
    assert left(venv, began, cache) == paths
    assert left(venv, now(), cache) == left(venv) == []


def test_an_empty_directory_is_left_where_it_can_be_imported(venv: Venv, cache: Path) -> None:
    began = now()
    (venv.at / "half" / "deep").mkdir(parents=True)
    (venv.at / "mine").mkdir()
    assert left(venv, began, cache) == [f"{SITE}/half"]


def test_what_is_not_in_uvs_cache_is_the_users_whenever_it_was_made(
    venv: Venv, cache: Path
) -> None:
    began = now()
    (venv.at / "mylib").mkdir()
    (venv.at / "mylib" / "a.py").touch()
    (venv.at / "startup.pth").touch()
    install(venv, cache, "half/__init__.py", "half/deep/a.py")
    (venv.at / "half" / "deep" / "a.py").write_text("edited = True\n")
    (venv.at / "half" / "mine.py").touch()
    assert left(venv, began, cache) == [f"{SITE}/half/__init__.py"]
    assert left(venv, began) == []


def test_what_was_there_before_is_the_users_even_where_uvs_cache_has_it(
    venv: Venv, cache: Path
) -> None:
    install(venv, cache, "half/__init__.py")
    assert left(venv, now(), cache) == []


def test_files_of_an_installed_wheel_that_it_does_not_list_stay(venv: Venv, cache: Path) -> None:
    began = now()
    [wheel] = (cache / "archive-v0").iterdir()
    (wheel / "half-1.0.dist-info").rename(wheel / "six-1.17.0.dist-info")
    install(venv, cache, "half/__init__.py")
    assert left(venv, began, cache) == []


def test_what_a_record_listed_before_and_none_lists_now_is_left_by_an_uninstall(
    venv: Venv, tmp_path: Path
) -> None:
    (venv.at / "six" / "mine.py").touch()
    (venv.path / "share" / "doc").mkdir(parents=True)
    (venv.path / "share" / "doc" / "idna.txt").touch()
    record = venv.at / "idna-3.10.dist-info" / "RECORD"
    record.write_text(f"../../../share/doc/idna.txt,,\n{record.read_text()}")
    keep_records(venv, tmp_path)
    for name in ("six-1.17.0", "idna-3.10"):
        shutil.rmtree(venv.at / f"{name}.dist-info")
    (venv.at / "six" / "data.txt").unlink()
    scripts = (f"{SCRIPTS}/idna{EXE}", f"{SCRIPTS}/six{EXE}")
    paths = (*scripts, f"{SITE}/idna", f"{SITE}/six/__init__.py", "share/doc/idna.txt")
    assert left(venv) == list(paths)


def test_an_emptied_directory_of_a_distribution_is_left_by_an_uninstall(
    venv: Venv, tmp_path: Path
) -> None:
    (venv.at / "users").mkdir()
    keep_records(venv, tmp_path)
    shutil.rmtree(venv.at / "six-1.17.0.dist-info")
    for path in (venv.at / "six").iterdir():
        path.unlink()
    (venv.path / SCRIPTS / f"six{EXE}").unlink()
    assert left(venv) == [f"{SITE}/six"]


def test_what_was_installed_again_is_not_left(venv: Venv, tmp_path: Path) -> None:
    keep_records(venv, tmp_path)
    venv.sync("--reinstall-package", "six")
    assert left(venv) == []


@posix_only
def test_nothing_outside_of_the_environment_is_a_leftover(venv: Venv, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").touch()
    (venv.path / "share").symlink_to(outside)
    record = venv.at / "six-1.17.0.dist-info" / "RECORD"
    record.write_text(f"{outside}/a.txt,,\n../../../share/a.txt,,\n{record.read_text()}")
    keep_records(venv, tmp_path)
    shutil.rmtree(record.parent)
    assert set(left(venv)) == {"bin/six", f"{SITE}/six"}


@posix_only
def test_scripts_of_the_users_are_no_leftovers(venv: Venv) -> None:
    began = now()
    launcher = (venv.path / "bin" / "six").read_text()
    (venv.path / "bin" / "half").write_text(launcher)
    (venv.path / "bin" / ".tmpAb12Cd").touch()
    (venv.path / "bin" / "deploy").write_text("#!/bin/sh\n")
    assert left(venv, began) == ["bin/.tmpAb12Cd", "bin/half"]
