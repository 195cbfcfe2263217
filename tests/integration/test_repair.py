"""After any interruption the next `uvflow sync` ends with an intact environment, or says why."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import BIN, Command, Tree, is_running
from wheels import add_wheel

from uvflow.environment import integrity
from uvflow.environment.installed import Environment
from uvflow.environment.ownership import sort_unowned
from uvflow.state import journal
from uvflow.state.store import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "requests==2.32.3"]

[dependency-groups]
dev = ["iniconfig"]
"""
UV = shutil.which("uv", path=str(BIN))


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    return root


def scripted_uv(directory: Path, on_sync: str) -> dict[str, str]:
    """Real uv, but for `uv sync`, which is what the shell script `on_sync` says."""
    path = directory / "scripted" / "uv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nif [ "$1" = sync ]; then\n{on_sync}\nfi\nexec {UV} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"UVFLOW_UV": str(path)}


def assert_intact(root: Path, *names: str) -> None:
    environment = Environment(root / ".venv")
    assert integrity.metadata_damage(environment) == ()
    assert integrity.file_damage(environment, by_hash=True) == ()
    assert sort_unowned(environment) == ([], [])
    assert {d.name for d in environment.distributions} == set(names)


DEV = ("certifi", "idna", "iniconfig", "requests", "six")
PROD = ("certifi", "idna", "requests", "six")

WAYS_TO_DIE = {
    "before it has done anything": "true",
    "with a distribution half installed": (
        f'{UV} "$@"; cd .venv/lib/*/site-packages; rm six/data.txt; rm six-*/RECORD'
    ),
    "with files missing and a complete RECORD": (
        f'{UV} "$@"; cd .venv/lib/*/site-packages; rm -r six idna/data.txt'
    ),
    "with an uninstall started": (
        f'{UV} "$@"; cd .venv/lib/*/site-packages; rm -r iniconfig-*.dist-info'
    ),
    "with an empty environment": "mkdir -p .venv/lib/python3.99/site-packages",
    "with a file truncated": f'{UV} "$@"; cd .venv/lib/*/site-packages; : > idna/__init__.py',
}


@pytest.mark.parametrize("way", WAYS_TO_DIE)
@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_a_sync_killed_with_uv_is_repaired_by_the_next(
    shop: Path, uvflow: Command, way: str, profile: str
) -> None:
    dying = scripted_uv(shop, f"({WAYS_TO_DIE[way]}); kill -9 $PPID; exit 1")
    assert uvflow("sync", "--dev", cwd=shop, environ=dying).code == -signal.SIGKILL
    done = uvflow("sync", f"--{profile}", cwd=shop)
    assert done.code == 0, done.err
    assert_intact(shop, *(DEV if profile == "dev" else PROD))
    assert uvflow("sync", f"--{profile}", cwd=shop).err == f"Already in sync: {profile}\n"


@pytest.mark.parametrize("profile", ["dev", "prod"])
def test_the_first_sync_is_repaired_even_without_its_state(
    shop: Path, uvflow: Command, profile: str
) -> None:
    started = (
        f"{UV} venv -q; {UV} pip install -q --python .venv iniconfig;"
        " rm -r .venv/lib/*/site-packages/iniconfig-*.dist-info"
    )
    wait_for_copy = "for _ in 1 2 3 4 5 6 7 8 9; do [ -e .venv/.uvflow-journal ] || sleep 0.5; done"
    dying = scripted_uv(shop, f"({started}; {wait_for_copy}; kill -9 $PPID); exit 1")
    assert uvflow("sync", "--dev", cwd=shop, environ=dying).code == -signal.SIGKILL
    shutil.rmtree(State.of(shop).directory)
    assert uvflow("sync", f"--{profile}", cwd=shop).code == 0
    assert_intact(shop, *(DEV if profile == "dev" else PROD))


def test_unfinished_work_of_another_tool_is_repaired_and_named(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    [record] = shop.glob(".venv/lib/*/site-packages/idna-*/RECORD")
    record.unlink()
    done = uvflow("sync", cwd=shop)
    assert done.code == 0
    lines = [line for line in done.err.splitlines() if line.startswith("Repairing")]
    place = record.parent.relative_to(shop / ".venv").as_posix()
    assert lines == [f"Repairing .venv: idna: unfinished install: {place} (no RECORD)"]
    assert_intact(shop, *DEV)


@pytest.fixture
def deep(
    tree: Tree, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A project with a distribution that is two directories deep, and where the inner one goes."""
    shutil.copytree(index, tmp_path / "index")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "index").as_uri())
    add_wheel(tmp_path / "index", "tool", "1.0", more={"tool/deep/notes.txt": "new"})
    root = tree({"pyproject.toml": MANIFEST.replace("six==1.16.0", "tool"), "docs/notes.txt": "my"})
    (root / "docs").rename(tmp_path / "docs")
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    subprocess.run(["uv", "venv", "-q"], cwd=root, check=True)
    return root, next(root.glob(".venv/lib/*/site-packages")) / "tool" / "deep"


def test_a_sync_removes_nothing_through_a_link_in_a_package(
    deep: tuple[Path, Path], uvflow: Command, tmp_path: Path
) -> None:
    root, inner = deep
    assert uvflow("sync", cwd=root).code == 0
    shutil.rmtree(inner)
    inner.symlink_to(tmp_path / "docs")
    (root / "pyproject.toml").write_text(MANIFEST)
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", cwd=root).code == 0
    assert (tmp_path / "docs" / "notes.txt").read_text() == "my"
    assert not inner.is_symlink()


@pytest.mark.parametrize("place", ["tool/deep", "../../../bin"])
def test_a_first_sync_installs_nothing_through_a_link(
    deep: tuple[Path, Path], uvflow: Command, tmp_path: Path, place: str
) -> None:
    root, inner = deep
    link = inner.parent.parent / place
    link.parent.mkdir(exist_ok=True)
    if link.exists():
        shutil.copytree(link, tmp_path / "docs", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(link)
    link.symlink_to(tmp_path / "docs")
    before = sorted(path.name for path in (tmp_path / "docs").iterdir())
    done = uvflow("sync", cwd=root)
    assert done.code == 0
    assert f"a link to {tmp_path / 'docs'}" in done.err
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == before
    assert (tmp_path / "docs" / "notes.txt").read_text() == "my"
    assert f"{root}/.venv.before-rebuild holds files that no installer made" in done.err


def test_no_byte_code_is_written_through_a_link(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    assert uvflow("sync", "--dev", cwd=shop).code == 0
    (tmp_path / "outside").mkdir()
    cache = inside(shop, "six") / "__pycache__"
    cache.symlink_to(tmp_path / "outside")
    done = uvflow("sync", "--prod", cwd=shop)
    assert (done.code, cache.is_symlink(), *(tmp_path / "outside").iterdir()) == (0, False)
    assert list(cache.glob("*.pyc"))


def test_a_leftover_data_directory_does_not_stop_uv_for_good(
    tree: Tree, uvflow: Command, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(index, tmp_path / "index")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "index").as_uri())
    add_wheel(tmp_path / "index", "tool", "1.0", more={"tool-1.0.data/scripts/it": "#!python\n"})
    root = tree({"pyproject.toml": MANIFEST.replace("six==1.16.0", "tool")})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("sync", "--prod", cwd=root).code == 0
    [info] = root.glob(".venv/lib/*/site-packages/tool-1.0.dist-info")
    (info / "METADATA").unlink()
    scripts = info.with_suffix(".data") / "scripts"
    scripts.mkdir(parents=True)
    (scripts / ".tmpAbCdEf").touch()
    done = uvflow("sync", cwd=root)
    assert done.code == 0, done.err
    assert_intact(root, "certifi", "idna", "requests", "tool")
    assert not scripts.parent.exists()


def test_an_environment_that_cannot_be_repaired_is_5_with_its_damage(
    shop: Path, uvflow: Command
) -> None:
    breaking = scripted_uv(shop, f'{UV} "$@"; rm .venv/lib/*/site-packages/six-*/RECORD; exit 0')
    done = uvflow("sync", cwd=shop, environ=breaking)
    assert done.code == 5
    error = done.err[done.err.index("error:") :].splitlines()
    assert error[0] == f"error: could not repair {shop / '.venv'}"
    assert error[1].startswith("  cause: six: unfinished install: lib/python3")
    assert uvflow("sync", cwd=shop).code == 0
    assert_intact(shop, *DEV)


def test_a_file_of_the_users_keeps_an_environment_from_being_made_anew(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    outside = {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "outside")}
    assert uvflow("sync", cwd=shop, environ=outside).code == 0
    (tmp_path / "outside" / "keep").write_text("mine")
    breaking = scripted_uv(shop, f"rm {tmp_path}/outside/pyvenv.cfg; exit 0")
    done = uvflow("sync", "--prod", cwd=shop, environ={**outside, **breaking})
    assert done.code == 5
    refusal = "holds what no installer made: keep"
    assert f"error: {tmp_path / 'outside'} {refusal}\n" in done.err
    assert (tmp_path / "outside" / "keep").read_text() == "mine"


def interrupt(root: Path, environ: dict[str, str], number: signal.Signals) -> None:
    """Send a signal to `uvflow sync`, once its uv has written its pid."""
    with subprocess.Popen(
        [BIN / "uvflow", "sync"], cwd=root, env={**os.environ, **environ}, stderr=subprocess.PIPE
    ) as process:
        while not (root / "pid").exists() or not (root / "pid").read_text():
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert err.endswith(b"error: interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((root / "pid").read_text()), 0)


# uv finds something to do, so that the sync is a real one.
DIFFERS = 'case "$*" in *--check*) exit 1;; esac; '
SLOW = 'echo $$ > "$PWD/pid"; exec sleep 60'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_uv_too_and_leaves_the_journal(
    shop: Path, uvflow: Command, number: signal.Signals
) -> None:
    interrupt(shop, scripted_uv(shop, f'{UV} "$@"; {SLOW}'), number)
    assert State.of(shop).read("dev.journal")
    assert uvflow("sync", cwd=shop).code == 0
    assert State.of(shop).read("dev.journal") is None
    assert_intact(shop, *DEV)


def test_a_signal_before_uv_has_changed_anything_leaves_all_as_it_was(
    shop: Path, uvflow: Command
) -> None:
    interrupt(shop, scripted_uv(shop, SLOW), signal.SIGINT)
    assert [path.name for path in State.of(shop).directory.glob("dev.*")] == []
    assert not (shop / ".venv").exists()
    uvflow("sync", cwd=shop)
    (shop / "pid").unlink()
    (shop / "pyproject.toml").write_text(f"{MANIFEST}\n")
    interrupt(shop, scripted_uv(shop, DIFFERS + SLOW), signal.SIGINT)
    (shop / "pyproject.toml").write_text(MANIFEST)
    assert uvflow("sync", cwd=shop).err == "Already in sync: dev (as last time)\n"


def test_a_file_in_a_directory_that_was_there_is_a_change(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    [package] = (shop / ".venv").glob("lib/*/site-packages/six")
    (shop / "pyproject.toml").write_text(f"{MANIFEST}\n")
    late = f'{DIFFERS}touch "{package}/late.py"; {SLOW}'
    interrupt(shop, scripted_uv(shop, late), signal.SIGINT)
    (shop / "pyproject.toml").write_text(MANIFEST)
    assert uvflow("sync", cwd=shop).err.endswith("Synced: dev (as last time)\n")


def test_an_environment_that_uv_makes_anew_is_not_edited(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.base_prefix)
    environ = {"UV_PYTHON": str(python / "bin" / "python3")}
    assert uvflow("sync", cwd=shop, environ=environ).code == 0
    python.unlink()
    done = uvflow("sync", cwd=shop)
    assert (done.code, "edited" in done.err) == (0, False)
    assert str(python) not in (shop / ".venv/pyvenv.cfg").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_killing_uvflow_takes_uv_with_it(shop: Path) -> None:
    slow = scripted_uv(shop, 'echo $$ > "$PWD/pid"; exec sleep 60')
    with subprocess.Popen(
        [BIN / "uvflow", "sync"], cwd=shop, env={**os.environ, **slow}
    ) as process:
        while not (shop / "pid").exists() or not (shop / "pid").read_text():
            time.sleep(0.02)
        process.kill()
    time.sleep(0.2)
    assert not is_running(int((shop / "pid").read_text()))


@pytest.mark.parametrize("is_begun", [True, False], ids=["begun", "whole"])
def test_an_empty_file_that_a_killed_uv_had_not_renamed_is_a_leftover(
    shop: Path, uvflow: Command, *, is_begun: bool
) -> None:
    """uv makes the `.lock` of an environment under such a name first."""
    environment = shop / ".venv"
    if is_begun:
        environment.mkdir()
        (environment / "CACHEDIR.TAG").touch()
    else:
        uvflow("sync", cwd=shop)
    journal.mark_running(State.of(shop), "dev", environment)
    (environment / ".tmpQ2epSp").touch()
    done = uvflow("sync", cwd=shop)
    assert (done.code, (environment / ".tmpQ2epSp").exists()) == (0, False), done.err
    assert uvflow("status", cwd=shop).code == 0


@pytest.mark.parametrize("command", ["sync", "verify"])
def test_uv_does_not_run_before_a_broken_environment_is_emptied(
    shop: Path, uvflow: Command, command: str
) -> None:
    """Its `python` is only a link to the base Python, which uv would use as the environment."""
    uvflow("sync", cwd=shop)
    (shop / ".venv" / "pyvenv.cfg").unlink()
    look = "[ -e seen ] || ls .venv/bin/python > seen 2>&1"
    scripted = scripted_uv(shop, f'{look}; exec {UV} "$@"')
    done = uvflow(
        command, *(["--repair"] if command == "verify" else []), cwd=shop, environ=scripted
    )
    assert done.code == 0, done.err
    assert "Recreating .venv: missing pyvenv.cfg: pyvenv.cfg\n" in done.err
    assert "No such file" in (shop / "seen").read_text()
    assert_intact(shop, *DEV)


def test_no_other_python_is_asked_for_where_there_is_none(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    (shop / ".venv" / "bin" / "python").unlink()
    done = uvflow("sync", cwd=shop)
    assert done.err.startswith("Recreating .venv: missing interpreter: bin/python\n")
    assert_intact(shop, *DEV)


def test_a_python_of_the_project_is_not_started_for_a_repair(shop: Path, uvflow: Command) -> None:
    subprocess.run(["uv", "sync", "-q"], cwd=shop, check=True)
    inside(shop, "six/data.txt").unlink()
    python = shop / ".venv" / "bin" / "python"
    started = f'#!/bin/sh\ntouch {shop}/started\nexec {python.resolve()} "$@"\n'
    python.unlink()
    python.write_text(started)
    python.chmod(0o755)
    done = uvflow("verify", "--repair", cwd=shop)
    assert done.code == 5
    assert done.err == (
        f"error: {shop / '.venv'} is not repaired: the interpreter .venv/bin/python is a file of"
        " this project and was not started\nhint: `uvflow sync` starts it\n"
    )
    assert not (shop / "started").exists()


def lose_power(root: Path) -> None:
    """The state says that a sync was running when the machine was last booted."""
    state = State.of(root)
    state.delete("dev.fingerprint")
    entry = {"environment": str(root / ".venv"), "boot": "another"}
    state.write("dev.journal", json.dumps(entry).encode())


def inside(root: Path, pattern: str) -> Path:
    return next(root.glob(f".venv/lib/*/site-packages/{pattern}"))


def test_after_a_power_failure_contents_are_compared(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    uvflow("sync", cwd=shop)
    lose_power(shop)
    inside(shop, "six/data.txt").write_bytes(b"\0" * 500)  # its size was on the disk, no more
    assert uvflow("sync", cwd=shop).code == 0
    assert_intact(shop, *DEV)


COMPILED = "\n[tool.uvflow.profiles.dev]\ncompile-bytecode = true\n"


@pytest.mark.parametrize(("profile", "count"), [("", 0), (COMPILED, 1)])
def test_after_a_power_failure_byte_code_is_compiled_again(
    shop: Path, uvflow: Command, profile: str, count: int
) -> None:
    (shop / "pyproject.toml").write_text(MANIFEST + profile)
    uvflow("sync", cwd=shop)
    python = shop / ".venv" / "bin" / "python"
    environ = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([python, "-c", "import six"], check=True, env=environ)
    byte_code = inside(shop, "six/__pycache__/*.pyc")
    whole = byte_code.read_bytes()
    byte_code.write_bytes(whole[:40])  # the header matches the source, so Python uses it
    byte_code.with_name(f"{byte_code.name}.140231").touch()
    lose_power(shop)
    assert uvflow("sync", cwd=shop).code == 0
    assert [p.name for p in byte_code.parent.iterdir()] == [byte_code.name] * count
    subprocess.run([python, "-c", "import six"], check=True, env=environ)


@pytest.mark.parametrize(
    ("name", "torn"),
    [("METADATA", b""), ("RECORD", b"\0" * 100), ("uv_cache.json", b"\0" * 100)],
)
def test_metadata_that_would_stop_uv_is_repaired_first(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch, name: str, torn: bytes
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    uvflow("sync", cwd=shop)
    lose_power(shop)
    inside(shop, f"six-*/{name}").write_bytes(torn)
    done = uvflow("sync", cwd=shop)
    assert done.code == 0, done.err
    assert_intact(shop, *DEV)


@pytest.mark.parametrize("left", ["a directory", "a link"])
def test_what_a_kill_left_of_a_fetch_is_in_the_way_of_no_repair(
    shop: Path, uvflow: Command, tmp_path: Path, left: str
) -> None:
    uvflow("sync", cwd=shop)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/CACHEDIR.TAG").touch()
    fetched = shop / ".venv/.uvflow-fetched"
    if left == "a link":
        fetched.symlink_to(tmp_path / "mine")
    else:
        shutil.copytree(tmp_path / "mine", fetched)
    inside(shop, "six/data.txt").unlink()
    assert uvflow("verify", "--repair", cwd=shop).code == 0
    assert_intact(shop, *DEV)
    assert (tmp_path / "mine/CACHEDIR.TAG").exists()


def test_what_uv_refuses_to_install_from_its_cache_is_fetched_again(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(shop.parent / "uv-cache"))
    monkeypatch.setenv("UV_LINK_MODE", "hardlink")
    uvflow("sync", cwd=shop)
    inside(shop, "six-*/METADATA").write_text("")  # in the cache as well
    done = uvflow("verify", "--repair", cwd=shop)
    assert (done.code, done.out) == (0, "Repaired: dev (as last time); six\n"), done.err
    assert "Fetching again, past uv's cache: six\n" in done.err
    assert_intact(shop, *DEV)


def test_only_the_damaged_scripts_of_an_environment_are_written(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    """What uv writes with them, and what a link in their place leads to, stays as it is."""
    uvflow("sync", cwd=shop)
    scripts = shop / ".venv" / "bin"
    before = {path.name: path.read_bytes() for path in scripts.glob("activate*")}
    (tmp_path / "mine").write_text("mine")
    for name in ("activate", "activate_this.py", "activate.bat", "pydoc.bat", "../CACHEDIR.TAG"):
        (scripts / name).unlink()
        (scripts / name).symlink_to(tmp_path / "mine")
    (scripts / "python3").unlink()
    for command in (("verify", "--repair"), ("sync",)):
        (scripts / "activate.fish").write_text("")
        assert uvflow(*command, cwd=shop).code == 0
    assert (tmp_path / "mine").read_text() == "mine"
    for name in ("activate", "activate.fish"):
        assert (scripts / name).read_bytes() == before[name]
    assert (scripts / "python3").readlink() == Path("python")
    assert not list(shop.glob(".venv/.uvflow*"))


def test_a_relocatable_environment_has_no_activate_for_csh(shop: Path, uvflow: Command) -> None:
    subprocess.run(["uv", "venv", "-q", "--relocatable"], cwd=shop, check=True)
    assert uvflow("sync", cwd=shop).code == 0
    assert uvflow("status", cwd=shop).code == 0


def test_an_environment_comes_back_where_its_repair_fails(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    python = shop / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    failing = scripted_uv(shop, f'[ -e .venv.before-rebuild ] && exit 1; exec {UV} "$@"')
    assert uvflow("sync", cwd=shop, environ=failing).code != 0
    assert python.read_text() == "#!/bin/sh\nexit 1\n"
    assert [path.name for path in shop.glob(".venv*")] == [".venv"]
    half_done = f'[ -e .venv.before-rebuild ] && {UV} "$@" && exit 1; exec {UV} "$@"'
    done = uvflow("sync", cwd=shop, environ=scripted_uv(shop, half_done))
    kept = f"What was in {shop}/.venv is kept in {shop}/.venv.before-rebuild\n"
    assert kept in done.err
    assert uvflow("sync", cwd=shop).code == 0
    assert_intact(shop, *DEV)
    assert [path.name for path in shop.glob(".venv*")] == [".venv"]


def test_an_environment_that_was_being_created_at_a_power_failure_is_recreated(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    lose_power(shop)
    os.utime(State.of(shop).directory / "dev.journal", (1000, 1000))
    for name in ("pyvenv.cfg", "bin/activate"):  # which no RECORD lists
        torn = (shop / ".venv" / name).read_text()[:60]
        (shop / ".venv" / name).write_text(torn)
    done = uvflow("sync", cwd=shop)
    assert done.code == 0
    assert (
        "Recreating .venv: it was being created when the machine may have gone down\n" in done.err
    )
    assert "include-system-site-packages = false" in (shop / ".venv" / "pyvenv.cfg").read_text()
    assert "VIRTUAL_ENV=" in (shop / ".venv" / "bin" / "activate").read_text()
    assert_intact(shop, *DEV)


def test_leftovers_that_are_removed_are_all_named(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    names = [f".tmp{number}" for number in range(5)]
    for _ in range(2):
        lose_power(shop)
        site_packages = inside(shop, "six").parent
        for name in names:
            (site_packages / name).touch()
        done = uvflow("sync", "--json", "--verbose", cwd=shop)
        place = site_packages.relative_to(shop / ".venv").as_posix()
        assert json.loads(done.out)["removed"] == [f"{place}/{name}" for name in names]
        assert [line for line in done.err.splitlines() if "/.tmp" in line] == [
            "Repairing .venv: "
            + ", ".join(f"leftover: {place}/{name}" for name in names[:3])
            + " and 2 more",
            *(f"Removed: {place}/{name}" for name in names),
        ]


def move(shop: Path) -> Path:
    return shop.rename(shop.with_name("moved"))


def copy(shop: Path) -> Path:
    return Path(shutil.copytree(shop, shop.with_name("copied"), symlinks=True))


@pytest.mark.parametrize("way", [move, copy])
def test_a_moved_or_copied_environment_is_recreated(
    shop: Path, uvflow: Command, way: Callable[[Path], Path]
) -> None:
    uvflow("sync", cwd=shop)
    root = way(shop)
    done = uvflow("sync", cwd=root)
    assert done.code == 0
    assert done.err.startswith(
        f"Recreating .venv: it was created at {shop / '.venv'}, and its scripts point there\n"
    )
    assert_intact(root, *DEV)
    completed = subprocess.run([root / ".venv" / "bin" / "six"], check=True, capture_output=True)
    assert completed.stdout == b"six\n"
    assert (root / ".venv" / "bin" / "six").read_text().startswith(f"#!{root}/.venv/bin/python")
    assert uvflow("sync", cwd=root).err == "Already in sync: dev (as last time)\n"


def test_a_relocatable_environment_may_be_moved(shop: Path, uvflow: Command) -> None:
    subprocess.run(["uv", "venv", "-q", "--relocatable"], cwd=shop, check=True)
    uvflow("sync", cwd=shop)
    root = move(shop)
    assert "Recreating" not in uvflow("sync", cwd=root).err
    subprocess.run([root / ".venv" / "bin" / "six"], check=True, capture_output=True)


def test_a_project_may_be_reached_by_a_link(shop: Path, uvflow: Command) -> None:
    link = shop.with_name("link")
    link.symlink_to(shop)
    for first, second in ((link, shop), (shop, link)):
        shutil.rmtree(shop / ".venv", ignore_errors=True)
        assert uvflow("sync", "--dev", cwd=first).code == 0
        assert "Recreating" not in uvflow("sync", "--prod", cwd=second).err


def test_a_directory_that_is_not_an_environment_stays_as_it_is(shop: Path, uvflow: Command) -> None:
    (shop / ".venv").mkdir()
    (shop / ".venv" / "thesis.txt").write_text("mine")
    done = uvflow("sync", cwd=shop)
    assert done.code == 5
    refusal = "holds what no installer made: thesis.txt"
    assert f"error: {shop / '.venv'} {refusal}\n" in done.err
    assert (shop / ".venv" / "thesis.txt").read_text() == "mine"


def test_what_was_set_aside_stays_where_it_holds_files_of_the_users(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    (shop / ".venv" / "bin" / "deploy").write_text("#!/bin/sh\n")
    moved = move(shop)
    done = uvflow("sync", cwd=moved)
    assert done.code == 0, done.err
    aside = moved / ".venv.before-rebuild"
    kept = f"{aside} holds files that no installer made, such as bin/deploy: it was kept\n"
    assert kept in done.err
    assert (aside / "bin" / "deploy").exists()
    assert (aside / ".gitignore").read_text() == "*"  # uv's own
    assert_intact(moved, *DEV)
    assert kept not in uvflow("sync", "--prod", cwd=moved).err


def test_what_was_set_aside_goes_where_installers_made_all_of_it(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    (shop / ".venv.before-rebuild").mkdir()  # somebody's own
    moved = move(shop)
    assert uvflow("sync", cwd=moved).code == 0
    assert sorted(path.name for path in moved.glob(".venv*")) == [".venv", ".venv.before-rebuild"]


def test_a_link_that_leads_out_is_not_followed(shop: Path, uvflow: Command) -> None:
    elsewhere = shop.with_name("elsewhere")
    elsewhere.mkdir()
    (shop / ".venv").symlink_to(elsewhere)
    done = uvflow("sync", cwd=shop)
    assert done.code == 2
    assert f"{shop / '.venv'}, which is {elsewhere}, cannot be the environment" in done.err
    assert list(elsewhere.iterdir()) == []
