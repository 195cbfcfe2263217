"""`uvflow status`, `uvflow verify` and `uvflow sync --check`, as installed, with real uv."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from drifts import DRIFT, MANIFEST, inside, overwrite, pip
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import BIN, Command, Tree, already_in_sync

from uvflow.environment import integrity
from uvflow.environment.context import SyncContext, last_synced_profile
from uvflow.environment.installed import Environment
from uvflow.environment.status import status
from uvflow.lockfile.check import Level
from uvflow.project.manifest import Project
from uvflow.project.profiles import Choice
from uvflow.state import journal, locks
from uvflow.state.inventory import known_projects
from uvflow.state.store import State

# A build backend that leaves a trace of having been run.
BACKEND = """
import pathlib

pathlib.Path(__file__).with_name("ran").touch()

def build_wheel(directory, config_settings=None, metadata_directory=None):
    raise SystemExit("not to be built")

build_editable = build_wheel
"""


@pytest.fixture
def shop(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UV_LINK_MODE", "copy")  # what tests do to files stays in the environment
    root = tree({"pyproject.toml": MANIFEST})
    uv("lock", "-q", cwd=root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def synced(shop: Path, uvflow: Command) -> Path:
    assert uvflow("sync", cwd=shop).code == 0
    return shop


def uv(*arguments: str, cwd: Path) -> None:
    subprocess.run(["uv", *arguments], cwd=cwd, check=True, capture_output=True)


def remove_hook(root: Path) -> None:
    """What a uv before 0.13 writes, which runs code whenever the environment's Python starts."""
    for path in Environment(root / ".venv").site_packages[0].glob("_virtualenv.*"):
        path.unlink()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def lines(text: str) -> list[str]:
    """The lines of an output, with what differs between machines written as a word."""
    text = re.sub(r"(with Python|uv) \d+\.\d+\.\d+(?=\n)", r"\1 VERSION", text)
    return re.sub(r"[Ll]ib/(python3\.\d+/)?site-packages", "SITE", text).splitlines()


def traces(*directories: Path) -> dict[str, tuple[int, int]]:
    """Every file and directory below, with what a write would change."""
    paths = (path for directory in directories for path in (directory, *directory.rglob("*")))
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths}


# status


def test_all_is_well(synced: Path, uvflow: Command) -> None:
    done = uvflow("status", cwd=synced)
    assert (done.code, done.err) == (0, "")
    assert lines(done.out) == [
        "In sync: dev (as last time)",
        "  lockfile     ok  is as it was at the last sync",
        "  environment  ok  .venv has what uv.lock and the profile dev ask for",
        (
            "  files        ok  3 distributions, none half installed "
            "(`uvflow verify` checks each file)"
        ),
        "  origin       ok  created here, with Python VERSION",
        "  uv           ok  uv VERSION",
    ]


def test_all_is_well_without_a_fingerprint(synced: Path, uvflow: Command) -> None:
    shutil.rmtree(State.of(synced).directory)
    remove_hook(synced)
    done = uvflow("status", cwd=synced)
    assert done.code == 0
    assert lines(done.out)[:3] == [
        "In sync: dev (by default)",
        "  lockfile     ok  is what pyproject.toml asks for",
        "  environment  ok  .venv has what uv.lock and the profile dev ask for",
    ]


def test_a_project_never_synced_is_4(shop: Path, uvflow: Command) -> None:
    done = uvflow("status", cwd=shop)
    assert done.code == 4
    assert lines(done.out) == [
        "Out of sync: dev (by default)",
        "  lockfile     ok           is what pyproject.toml asks for",
        "  environment  out of sync  there is no .venv",
        "                            hint: `uvflow sync`",
        "  uv           ok           uv VERSION",
    ]


def test_a_stale_lockfile_is_3_with_what_changed(synced: Path, uvflow: Command) -> None:
    edit(synced / "pyproject.toml", "six==1.16.0", "six==1.17.0")
    edit(synced / "pyproject.toml", '"iniconfig"', '"iniconfig", "attrs"')
    done = uvflow("status", cwd=synced)
    assert done.code == 3
    assert lines(done.out)[:4] == [
        "Lockfile stale: dev (as last time)",
        "  lockfile     stale  dependencies: `six==1.16.0` became `six==1.17.0`",
        "               stale  group dev: `attrs` was added",
        "                      hint: `uv lock` updates the lockfile",
    ]


def test_a_missing_lockfile_is_3(synced: Path, uvflow: Command) -> None:
    (synced / "uv.lock").unlink()
    done = uvflow("status", cwd=synced)
    assert done.code == 3
    assert lines(done.out)[:4] == [
        "Lockfile stale: dev (as last time)",
        f"  lockfile     stale    no uv.lock in {synced}",
        (
            "                        hint: "
            "`uv lock` makes one; `uvflow init` first where there are requirements files"
        ),
        "  environment  unknown  not compared: uv cannot use the lockfile",
    ]


@pytest.mark.parametrize("text", ["garbage", "version = 99\n", ""])
def test_a_lockfile_that_uv_cannot_read_is_3(synced: Path, uvflow: Command, text: str) -> None:
    (synced / "uv.lock").write_text(text)
    done = uvflow("status", cwd=synced)
    assert done.code == 3
    assert re.match(r"  lockfile     stale    Failed to parse `uv\.lock`", lines(done.out)[1])


def test_uv_finds_what_reading_does_not(
    synced: Path, uvflow: Command, index: Path, tmp_path: Path
) -> None:
    shutil.copytree(index, tmp_path / "other")
    environ = {"UV_DEFAULT_INDEX": (tmp_path / "other").as_uri()}
    done = uvflow("status", cwd=synced, environ=environ)
    assert done.code == 3
    assert lines(done.out)[1].startswith(
        "  lockfile     stale  UV_DEFAULT_INDEX is set; uv found missing local index: `idna` "
    )


def test_an_environment_that_differs_is_4_with_each_distribution(
    synced: Path, uvflow: Command
) -> None:
    pip(synced, "uninstall", "idna")
    pip(synced, "install", "six==1.15.0", "toml==0.10.2")
    done = uvflow("status", cwd=synced)
    assert done.code == 4
    assert lines(done.out)[:6] == [
        "Out of sync: dev (as last time)",
        "  lockfile     ok           is what pyproject.toml asks for",
        "  environment  out of sync  idna 3.10 is missing",
        "               out of sync  six is 1.15.0 instead of 1.16.0",
        "               out of sync  toml 0.10.2 is not asked for",
        "                            hint: `uvflow sync`",
    ]


def test_the_environment_of_another_profile_is_4(synced: Path, uvflow: Command) -> None:
    done = uvflow("status", "--prod", cwd=synced)
    assert done.code == 4
    assert lines(done.out)[2:4] == [
        "  environment  out of sync  iniconfig 2.0.0 is not asked for",
        "                            hint: `uvflow sync --prod`",
    ]


def test_a_group_that_does_not_exist_is_2(synced: Path, uvflow: Command) -> None:
    profile = '\n[tool.uvflow.profiles.ci]\ngroups = ["nope"]\n'
    (synced / "pyproject.toml").write_text(MANIFEST + profile)
    done = uvflow("status", "--profile", "ci", cwd=synced)
    assert done.code == 2
    assert "`groups` has `nope`, which does not exist" in done.err


def test_a_half_installed_distribution_is_5(synced: Path, uvflow: Command) -> None:
    inside(synced, "idna-*/RECORD").unlink()
    done = uvflow("status", cwd=synced)
    assert done.code == 5
    assert lines(done.out)[0] == "Environment damaged: dev (as last time)"
    assert lines(done.out)[3:5] == [
        "  files        damaged  idna: unfinished install: SITE/idna-3.10.dist-info (no RECORD)",
        "                        hint: `uvflow sync` repairs it",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
@pytest.mark.parametrize("name", ["METADATA", "RECORD", "INSTALLER", "uv_cache.json", "pyvenv.cfg"])
def test_a_pipe_in_the_environment_is_5_and_the_next_sync_repairs_it(
    synced: Path, uvflow: Command, name: str
) -> None:
    directory = synced / ".venv" if name == "pyvenv.cfg" else inside(synced, "six-*")
    (directory / name).unlink(missing_ok=True)
    os.mkfifo(directory / name)
    others = (("verify",), ("sync", "--dry-run")) if name == "RECORD" else ()
    for command in (("status",), *others):
        done = uvflow(*command, cwd=synced, seconds=20)
        assert done.code == 5, done.err
    done = uvflow("sync", cwd=synced)
    assert done.code == 0, done.err
    assert uvflow("status", cwd=synced).code == 0


def test_the_worst_decides(synced: Path, uvflow: Command) -> None:
    pip(synced, "uninstall", "idna")
    assert uvflow("status", cwd=synced).code == 4
    edit(synced / "pyproject.toml", "six==1.16.0", "six==1.17.0")
    assert uvflow("status", cwd=synced).code == 3
    inside(synced, "six-*/METADATA").unlink()
    assert uvflow("status", cwd=synced).code == 5


def test_an_environment_that_was_moved_is_5(synced: Path, uvflow: Command) -> None:
    remove_hook(synced)
    moved = synced.with_name("moved")
    synced.rename(moved)
    done = uvflow("status", cwd=moved)
    assert done.code == 5
    assert lines(done.out)[4:6] == [
        (
            f"  origin       damaged  it was created at {synced / '.venv'}, "
            "and its scripts point there"
        ),
        "                        hint: `uvflow sync` recreates it",
    ]
    assert uvflow("sync", cwd=moved).code == 0
    assert uvflow("status", cwd=moved).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="created on POSIX")
def test_what_a_sync_recreates_need_not_be_removed_by_hand(synced: Path, uvflow: Command) -> None:
    (synced / ".venv/bin").rename(synced / ".venv/Scripts")
    done = uvflow("status", cwd=synced)
    assert done.code == 5
    assert "missing interpreter: bin/python\n" in done.out
    assert "hint: `uvflow sync` repairs it\n" in done.out
    assert "remove" not in done.out
    assert uvflow("sync", cwd=synced).code == 0
    assert uvflow("status", cwd=synced).code == 0


def test_an_environment_that_the_variable_names_is_recreated_outside_too(
    synced: Path, uvflow: Command
) -> None:
    outside = synced.with_name("outside")
    (synced / ".venv").rename(outside)
    environ = {"UV_PROJECT_ENVIRONMENT": str(outside)}
    done = uvflow("status", cwd=synced, environ=environ)
    assert done.code == 5
    assert "hint: `uvflow sync` recreates it\n" in done.out
    (outside / "notebooks").mkdir()
    done = uvflow("status", cwd=synced, environ=environ)
    assert f"hint: move {outside.as_posix()} aside, then `uvflow sync`\n" in done.out
    assert uvflow("sync", cwd=synced, environ=environ).code == 5
    (outside / "notebooks").rmdir()
    assert uvflow("sync", cwd=synced, environ=environ).code == 0


def test_a_wheel_for_another_platform_is_4(synced: Path, uvflow: Command) -> None:
    shutil.rmtree(State.of(synced).directory)  # another machine has synced it
    remove_hook(synced)
    other = "win_amd64" if sys.platform != "win32" else "macosx_11_0_arm64"
    edit(inside(synced, "idna-*/WHEEL"), "none-any", f"cp311-{other}")
    done = uvflow("status", cwd=synced)
    assert done.code == 4
    assert "idna is to be installed again\n" in done.out
    assert uvflow("sync", cwd=synced).code == 0
    assert uvflow("status", cwd=synced).code == 0


def test_an_environment_of_another_python_is_4(synced: Path, uvflow: Command) -> None:
    remove_hook(synced)
    configuration = synced / ".venv/pyvenv.cfg"
    version = re.sub(r"(?m)^version_info = .*$", "version_info = 3.9.1", configuration.read_text())
    configuration.write_text(version)
    found = "  environment  out of sync  it has Python 3.9.1, and "
    done = uvflow("status", cwd=synced)
    assert done.code == 4
    assert lines(done.out)[2] == f"{found}UV_PYTHON is {sys.executable}"
    done = uvflow("status", cwd=synced, environ={"UV_PYTHON": ""})
    assert lines(done.out)[2] == f"{found}uv would use another (requires-python: >=3.11)"


def test_a_uv_that_the_project_does_not_want_is_7(synced: Path, uvflow: Command) -> None:
    (synced / "uv.toml").write_text('required-version = ">=99"\n')
    done = uvflow("status", cwd=synced)
    assert done.code == 7
    assert lines(done.out)[:3] == [
        "No usable uv: dev (as last time)",
        "  lockfile     unknown   cannot be checked without uv",
        "  environment  unknown   cannot be checked without uv",
    ]
    assert "  uv           unusable  Required uv version `>=99` does not match" in done.out


def test_without_uv_reading_has_to_do(synced: Path, uvflow: Command) -> None:
    nowhere = {"UVFLOW_UV": str(synced / "nope")}
    assert uvflow("status", cwd=synced, environ=nowhere).code == 7
    edit(synced / "pyproject.toml", "six==1.16.0", "six==1.17.0")
    done = uvflow("status", cwd=synced, environ=nowhere)
    assert done.code == 7
    assert "  lockfile     stale     dependencies: `six==1.16.0` became `six==1.17.0`\n" in done.out
    inside(synced, "idna-*/RECORD").unlink()
    assert uvflow("status", cwd=synced, environ=nowhere).code == 5


def test_variables_that_conflict_are_noted(synced: Path, uvflow: Command) -> None:
    profile = '\n[tool.uvflow.profiles.dev]\nenvironment = ".venv"\n'
    (synced / "pyproject.toml").write_text(MANIFEST + profile)
    environ = {"UV_NO_DEV": "1", "UV_PROJECT_ENVIRONMENT": "other", "VIRTUAL_ENV": "/elsewhere"}
    done = uvflow("status", cwd=synced, environ=environ)
    assert done.code == 0
    assert lines(done.out)[-3:] == [
        "  variables    note  UV_NO_DEV has no effect: the profile decides",
        "               note  UV_PROJECT_ENVIRONMENT has no effect: the profile says .venv",
        "               note  another environment is activated: /elsewhere",
    ]


@pytest.mark.parametrize("name", ["UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"])
def test_a_variable_does_not_lead_to_another_project(
    shop: Path, uvflow: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/pyproject.toml").write_text(MANIFEST.replace("shop", "other"))
    environ = {name: str(tmp_path / "other"), "UV_ONLY_INSTALL_PROJECT": "1"}
    assert uvflow("sync", cwd=shop, environ=environ).code == 0
    assert inside(shop, "six").is_dir()
    assert not (tmp_path / "other/.venv").exists()
    assert uvflow("status", cwd=shop, environ=environ).code == 0


def test_an_interrupted_sync_is_4(synced: Path, uvflow: Command) -> None:
    state = State.of(synced)
    state.delete("dev.fingerprint")
    state.write("dev.journal", json.dumps({"environment": str(synced / ".venv")}).encode())
    done = uvflow("status", cwd=synced)
    assert done.code == 4
    assert lines(done.out)[-2:] == [
        "  sync         out of sync  the last sync was interrupted",
        "                            hint: `uvflow sync`",
    ]
    inside(synced, "idna-*/RECORD").unlink()  # it is being installed
    with locks.mutex(state, "uvflow sync"):
        done = uvflow("status", cwd=synced)
        assert done.code == 4
        assert lines(done.out)[-1] == "  sync         out of sync  a sync is running"
        done = uvflow("verify", cwd=synced)
        assert (done.code, done.out) == (4, "Not verified: dev (as last time); a sync is running\n")
    assert uvflow("sync", cwd=synced).code == 0
    assert uvflow("status", cwd=synced).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
def test_after_an_interrupted_sync_verify_waits_at_no_pipe_of_a_member(
    synced: Path, uvflow: Command
) -> None:
    state = State.of(synced)
    state.delete("dev.fingerprint")
    state.write("dev.journal", json.dumps({"environment": str(synced / ".venv")}).encode())
    with (synced / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.workspace]\nmembers = ["libs/*"]\n')
    (synced / "libs/lib").mkdir(parents=True)
    os.mkfifo(synced / "libs/lib/pyproject.toml")
    for words in (("verify",), ("status",), ("sync",)):
        assert uvflow(*words, cwd=synced, seconds=20).code in {0, 2, 4}


def test_a_leftover_journal_does_not_matter_beside_a_fingerprint(
    synced: Path, uvflow: Command
) -> None:
    State.of(synced).write("dev.journal", b"{}")
    assert uvflow("status", cwd=synced).code == 0


def test_it_lists_a_few_of_many_unless_verbose(synced: Path, uvflow: Command) -> None:
    names = ("attrs", "certifi", "packaging", "pluggy", "toml", "requests")
    pip(synced, "install", *names)
    done = uvflow("status", cwd=synced)
    assert done.out.count("is not asked for") == 5
    assert "                            and 1 more (`--verbose` lists them)\n" in done.out
    assert uvflow("status", "-v", cwd=synced).out.count("is not asked for") == 6


def test_json_is_the_verdict_with_its_reasons(synced: Path, uvflow: Command) -> None:
    inside(synced, "idna-*/RECORD").unlink()
    done = uvflow("status", "--json", cwd=synced)
    data = json.loads(done.out)
    reasons = data.pop("checks")
    assert data == {
        "schema_version": 2,
        "command": "status",
        "exit_code": 5,
        "profile": "dev",
        "chosen_by": "as last time",
        "environment": str(synced / ".venv"),
        "verdict": "damaged",
        "receipt_digest": None,
    }
    assert [(reason["aspect"], reason["level"]) for reason in reasons] == [
        ("lockfile", "ok"),
        ("environment", "ok"),
        ("files", "damaged"),
        ("origin", "ok"),
        ("uv", "ok"),
    ]
    assert set(reasons[2]) == {"aspect", "level", "message", "hint"}


def test_it_writes_nothing(synced: Path, uvflow: Command, tmp_path: Path) -> None:
    pip(synced, "install", "toml")
    edit(synced / "pyproject.toml", "six==1.16.0", "six==1.17.0")
    before = traces(synced, tmp_path / "uvflow-cache")
    for arguments in (["status"], ["sync", "--check"], ["verify", "--deep"], ["cache", "list"]):
        uvflow(*arguments, cwd=synced)
    assert traces(synced, tmp_path / "uvflow-cache") == before


def test_it_writes_nothing_where_nothing_is_remembered(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    uvflow("status", cwd=shop)
    assert not (tmp_path / "uvflow-cache").exists()
    assert not (shop / ".venv").exists()


@pytest.mark.parametrize("where", ["locked", "a member", "a source"])
def test_it_runs_no_code_of_the_project(tree: Tree, uvflow: Command, where: str) -> None:
    build = '\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    lib = '[project]\nname = "lib"\nversion = "1"\n'
    files = {
        "pyproject.toml": MANIFEST.replace('"idna"', '"lib"')
        + '\n[tool.uv.sources]\nlib = { path = "lib" }\n',
        "lib/pyproject.toml": lib + build,
        "lib/backend.py": BACKEND,
    }
    root = tree(files)
    uv("lock", "-q", cwd=root)
    assert uvflow("status", cwd=root).code == 4
    dynamic = lib.replace('version = "1"', 'dynamic = ["version"]') + build
    if where == "locked":
        (root / "lib/pyproject.toml").write_text(dynamic)
    else:
        (root / "more").mkdir()
        (root / "more/pyproject.toml").write_text(dynamic.replace("lib", "more"))
        (root / "more/backend.py").write_text(BACKEND)
        source = '[tool.uv.workspace]\nmembers = ["m*"]\n'
        if where == "a source":
            source = '[tool.uv.sources]\nmore = { path = "more" }\n'
        edit(root / "pyproject.toml", "[tool.uv.sources]\n", source)
    done = uvflow("status", cwd=root)
    assert not list(root.glob("*/ran"))
    assert done.code in {3, 4}
    assert "  lockfile     ok" not in done.out


def plant(path: Path) -> None:
    """A Python that leaves a trace of having been started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(f'#!/bin/sh\ntouch "{path.parent}/ran"\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="the planted Python is a shell script")
@pytest.mark.parametrize(
    ("command", "where"),
    [
        *(("status", where) for where in (".python-version", "profile", "UV_PYTHON")),
        *((command, "environment") for command in ("status", "sync --check", "sync --dry-run")),
    ],
)
def test_an_interpreter_of_the_project_is_not_started(
    shop: Path, uvflow: Command, command: str, where: str
) -> None:
    environ = {"UV_PYTHON": "./tools/x" if where == "UV_PYTHON" else ""}
    uv("sync", cwd=shop)
    remove_hook(shop)
    assert uvflow(*command.split(), cwd=shop).code == 0
    python = shop / ("tools/x" if where != "environment" else ".venv/bin/python")
    plant(python)
    if where == "profile":
        with (shop / "pyproject.toml").open("a") as file:
            file.write('[tool.uvflow.profiles.dev]\npython = "tools/x"\n')
    if where == ".python-version":
        (shop / where).write_text("# ours\n./tools/x\n")
    done = uvflow(*command.split(), cwd=shop, environ=environ)
    assert done.code == 4
    name = python.relative_to(shop)
    assert f"the interpreter {name} is a file of this project and was not started" in (
        done.out + done.err
    )
    assert not (python.parent / "ran").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="an environment has a copy of Python there")
@pytest.mark.parametrize(
    "file", ["x.pth", "sitecustomize.py", "sitecustomize/__init__.py", "y.pth"]
)
def test_an_environment_that_no_sync_has_used_runs_nothing_at_its_start(
    shop: Path, uvflow: Command, file: str
) -> None:
    uv("sync", cwd=shop)
    remove_hook(shop)
    planted = Environment(shop / ".venv").site_packages[0] / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"import os; os.mkdir({str(shop / 'ran')!r})\n")
    if file == "y.pth":  # a path, which leads to such a module
        (shop / "src").mkdir()
        planted.rename(shop / "src" / "sitecustomize.py")
        planted.write_text(f"{shop / 'src'}\n")
    done = uvflow("status", "--json", cwd=shop)
    assert (done.code, json.loads(done.out)["verdict"]) == (4, "unknown")
    reason = f"would run {file.partition('/')[0]} of this project and was not started"
    assert reason in done.out
    assert not (shop / "ran").exists()


def test_what_a_sync_has_used_is_started(shop: Path, uvflow: Command) -> None:
    """By its copy of Python, as on Windows, and with a `.pth` that has an import."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--copies", ".venv"], cwd=shop, check=True
    )
    (Environment(shop / ".venv").site_packages[0] / "x.pth").write_text("import os\n")
    assert uvflow("status", cwd=shop).code == 4
    assert uvflow("sync", cwd=shop).code == 0
    (shop / "pyproject.toml").write_text(f"{(shop / 'pyproject.toml').read_text()}# edited\n")
    assert uvflow("status", cwd=shop).code == 0  # not by its fingerprint


def test_a_new_member_is_reported_whether_or_not_uv_compares(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": MANIFEST + '[tool.uv.workspace]\nmembers = ["packages/*"]\n'})
    uv("lock", "-q", cwd=root)
    assert uvflow("sync", cwd=root).code == 0
    tree({"packages/web/pyproject.toml": '[project]\nname = "web"\nversion = "1"\n'})
    done = uvflow("status", cwd=root)
    assert done.code == 3
    *lockfile, environment = (" ".join(line.split()) for line in lines(done.out)[:4])
    assert lockfile == [
        "Lockfile stale: dev (as last time)",
        "lockfile stale workspace members: `web` was added",
        "hint: `uv lock` updates the lockfile",
    ]
    assert environment in {
        "environment unknown not compared: uv cannot use the lockfile",
        "environment ok .venv has what uv.lock and the profile dev ask for",  # uv 0.9.0 can
    }


def test_what_to_type_leads_to_a_sync_that_succeeds(synced: Path, uvflow: Command) -> None:
    edit(synced / "pyproject.toml", '"idna"', '"attrs"')
    shutil.rmtree(synced / ".venv")
    assert "there is no .venv\n" in (out := uvflow("status", cwd=synced).out)
    assert "hint: `uv lock`, then `uvflow sync`\n" in out
    assert uvflow("sync", cwd=synced).code == 3
    uv("lock", cwd=synced)
    assert uvflow("sync", cwd=synced).code == 0


def test_an_environment_without_its_python_is_recreated(synced: Path, uvflow: Command) -> None:
    remove_hook(synced)
    for python in synced.glob(".venv/[bS]*/python*"):
        python.unlink()
    done = uvflow("status", cwd=synced)
    assert done.code == 5
    assert "  environment  out of sync  uv would recreate it\n" in done.out


def test_a_variable_that_names_the_environment_is_named(shop: Path, uvflow: Command) -> None:
    environ = {"UV_PROJECT_ENVIRONMENT": "envs/here"}
    done = uvflow("status", cwd=shop, environ=environ)
    assert done.code == 4
    assert "there is no envs/here (UV_PROJECT_ENVIRONMENT)\n" in done.out


# sync --check


def test_check_is_one_line_and_an_exit_code(synced: Path, uvflow: Command) -> None:
    done = uvflow("sync", "--check", cwd=synced)
    assert (done.code, done.out, done.err) == (0, "", "Already in sync: dev (as last time)\n")
    done = uvflow("sync", "--check", "--prod", cwd=synced)
    assert (done.code, done.out) == (4, "")
    assert done.err == "Out of sync: prod; environment: iniconfig 2.0.0 is not asked for\n"
    edit(synced / "pyproject.toml", "six==1.16.0", "six==1.17.0")
    done = uvflow("sync", "--check", cwd=synced)
    assert done.code == 3
    assert done.err == (
        "Lockfile stale: dev (as last time); "
        "lockfile: dependencies: `six==1.16.0` became `six==1.17.0`\n"
    )


def test_check_as_json_is_what_status_says(synced: Path, uvflow: Command) -> None:
    by_check = json.loads(uvflow("sync", "--check", "--json", cwd=synced).out)
    by_status = json.loads(uvflow("status", "--json", cwd=synced).out)
    assert by_check == {**by_status, "command": "sync"}


# verify


@pytest.mark.parametrize("what", DRIFT)
def test_every_drift_is_named_and_the_next_sync_mends_what_status_names(
    synced: Path, uvflow: Command, what: str
) -> None:
    drift, command, expected = DRIFT[what]
    drift(synced)
    arguments = ["status"] if command == "status" else ["verify", "--deep"]
    done = uvflow(*arguments, cwd=synced)
    assert any(expected in line for line in lines(done.out)), done.out
    assert done.code in {4, 5}
    if command == "status":
        assert uvflow("sync", cwd=synced).code == 0
        for command_after in (("status",), ("verify", "--deep")):
            done = uvflow(*command_after, cwd=synced)
            assert done.code == 0, done.out


def test_nothing_has_drifted_after_a_sync(synced: Path, uvflow: Command) -> None:
    assert uvflow("status", cwd=synced).code == uvflow("verify", "--deep", cwd=synced).code == 0


def test_what_the_user_has_put_there_is_listed_apart_and_stays(
    synced: Path, uvflow: Command
) -> None:
    names = ("mine.py", "mylib/__init__.py", "startup.pth", "idna/more.py", "trial-1.data/x.csv")
    for name in names:
        path = inside(synced, "idna").parent / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (synced / ".venv/share/jupyter/kernels").mkdir(parents=True)
    inside(synced, "six/data.txt").unlink()
    done = uvflow("verify", "--repair", "-v", cwd=synced)
    assert done.code == 0, done.err
    listed = ("idna/more.py", "mine.py", "mylib", "startup.pth", "trial-1.data")
    assert lines(done.out) == [
        f"not from any distribution: {', '.join(f'SITE/{name}' for name in listed)}",
        "Repaired: dev (as last time); six",
    ]
    assert uvflow("status", cwd=synced).code == uvflow("sync", cwd=synced).code == 0
    assert uvflow("verify", cwd=synced).code == 0
    assert all((inside(synced, "idna").parent / name).exists() for name in names)
    assert (synced / ".venv/share/jupyter/kernels").is_dir()


@pytest.mark.parametrize("what", DRIFT)
def test_repair_makes_it_intact(synced: Path, uvflow: Command, what: str) -> None:
    DRIFT[what][0](synced)
    environment = Environment(synced / ".venv")
    before = {d.name for d in environment.distributions}
    done = uvflow("verify", "--deep", "--repair", cwd=synced)
    if done.code == 5 and what in {"system packages", "another home", "another program"}:
        # Another environment than was synced, and an import in it: of uv before 0.13 (security.md).
        assert "would run _virtualenv.pth of this project and was not started" in done.err
        done = uvflow("sync", cwd=synced)
    else:
        assert lines(done.out)[-1].startswith(("Repaired: dev", "Intact: dev"))
    assert done.code == 0, done.err
    environment = Environment(synced / ".venv")
    assert integrity.metadata_damage(environment) == ()
    assert integrity.file_damage(environment, by_hash=True) == ()
    assert before <= {d.name for d in environment.distributions}
    assert lines(uvflow("verify", "--deep", cwd=synced).out)[-1] == "Intact: dev (as last time)"


def test_a_stat_does_not_see_an_edit_of_the_same_size(synced: Path, uvflow: Command) -> None:
    overwrite(synced)
    assert uvflow("verify", cwd=synced).code == 0
    assert uvflow("verify", "--deep", cwd=synced).code == 5


def test_damage_is_named_by_distribution(synced: Path, uvflow: Command) -> None:
    shutil.rmtree(inside(synced, "idna"))
    inside(synced, "six/data.txt").unlink()
    done = uvflow("verify", cwd=synced)
    assert (done.code, done.err) == (5, "")
    assert lines(done.out) == [
        "idna: missing: SITE/idna/__init__.py",
        "idna: missing: SITE/idna/data.txt",
        "six: missing: SITE/six/data.txt",
        "Damaged: dev (as last time); `uvflow verify --repair` reinstalls it",
    ]


def test_damage_is_json(synced: Path, uvflow: Command) -> None:
    inside(synced, "six/data.txt").unlink()
    data = json.loads(uvflow("verify", "--json", cwd=synced).out)
    [damage] = data.pop("damages")
    assert data == {
        "schema_version": 2,
        "command": "verify",
        "exit_code": 5,
        "profile": "dev",
        "chosen_by": "as last time",
        "environment": str(synced / ".venv"),
        "outdated": [],
        "known_defects": [],
        "unowned": [],
        "running": False,
        "repaired": [],
        "removed": [],
    }
    assert damage["kind"] == "missing"
    assert damage["distribution"] == "six"


def test_repair_leaves_what_it_cannot_reinstall(synced: Path, uvflow: Command) -> None:
    pip(synced, "install", "six==1.15.0", "toml==0.10.2")
    for name in ("toml/data.txt", "idna/data.txt"):
        inside(synced, name).unlink()
    untouched = inside(synced, "six/__init__.py").lstat()
    done = uvflow("verify", "--repair", cwd=synced)
    assert done.code == 5
    assert lines(done.out) == [
        "toml: missing: SITE/toml/data.txt",
        "Damaged: dev (as last time); left as it is: toml; repaired: idna",
    ]
    assert inside(synced, "six-1.15.0.dist-info").is_dir()
    assert inside(synced, "six/__init__.py").lstat() == untouched
    assert inside(synced, "toml/__init__.py").exists()


def test_what_cannot_be_fetched_is_not_removed(
    synced: Path, uvflow: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", "hardlink")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    shutil.rmtree(synced / ".venv")
    assert uvflow("sync", cwd=synced).code == 0
    with inside(synced, "idna/__init__.py").open("a") as file:
        file.write("poison = True\n")  # in uv's cache as well
    lockfile = synced / "uv.lock"
    text = lockfile.read_text()
    lockfile.write_text(text.replace("idna-3.10-py3", "idna-3.10-1-py3"))
    before = traces(synced / ".venv" / "bin", inside(synced, "idna").parent)
    done = uvflow("verify", "--repair", cwd=synced)
    assert done.code == 1
    assert traces(synced / ".venv" / "bin", inside(synced, "idna").parent) == before
    lockfile.write_text(text)
    assert uvflow("sync", cwd=synced).err == "Already in sync: dev (as last time)\n"
    shutil.rmtree(synced / ".venv")
    assert uvflow("sync", cwd=synced, environ={"UV_OFFLINE": "1"}).code == 0  # from the cache


def test_repair_does_not_touch_the_rest(synced: Path, uvflow: Command) -> None:
    pip(synced, "install", "toml==0.10.2")
    edit(synced / "pyproject.toml", '"idna"', '"idna", "attrs"')
    untouched = inside(synced, "six/__init__.py").lstat()
    inside(synced, "idna/data.txt").unlink()
    done = uvflow("verify", "--repair", cwd=synced)
    assert done.code == 0, done.err
    assert lines(done.out) == ["Repaired: dev (as last time); idna"]
    assert inside(synced, "six/__init__.py").lstat() == untouched
    assert inside(synced, "toml/__init__.py").exists()
    assert uvflow("status", cwd=synced).code == 3


def test_an_edit_of_the_cache_is_repaired(
    synced: Path, uvflow: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_LINK_MODE", "hardlink")
    shutil.rmtree(synced / ".venv")
    assert uvflow("sync", cwd=synced).code == 0
    with inside(synced, "idna/__init__.py").open("a") as file:
        file.write("poison = True\n")
    assert uvflow("verify", cwd=synced).code == 5
    assert uvflow("verify", "--repair", cwd=synced).code == 0
    assert "poison" not in inside(synced, "idna/__init__.py").read_text()
    shutil.rmtree(synced / ".venv")
    assert uvflow("sync", cwd=synced).code == 0
    assert "poison" not in inside(synced, "idna/__init__.py").read_text()


def test_verify_needs_no_uv(synced: Path, uvflow: Command) -> None:
    done = uvflow("verify", cwd=synced, environ={"UVFLOW_UV": "/nowhere"})
    assert (done.code, done.out) == (0, "Intact: dev (as last time)\n")


def test_a_missing_environment_is_5(shop: Path, uvflow: Command) -> None:
    done = uvflow("verify", cwd=shop)
    assert done.code == 5
    assert done.out.startswith(f"missing environment: {(shop / '.venv').as_posix()}\nDamaged: dev")


@pytest.mark.parametrize("place", [".venv", "../outside"])
def test_repair_creates_a_missing_environment(shop: Path, uvflow: Command, place: str) -> None:
    environ = {"UV_PROJECT_ENVIRONMENT": place}
    done = uvflow("verify", "--repair", cwd=shop, environ=environ)
    assert done.code == 0, done.err
    assert Environment(shop / place).path.is_dir()


def test_repair_waits_for_its_turn(synced: Path, uvflow: Command) -> None:
    inside(synced, "six/data.txt").unlink()
    with locks.mutex(State.of(synced), "uvflow sync"):
        done = uvflow("verify", "--repair", "--timeout", "0.6", cwd=synced)
    assert done.code == 6
    assert not inside(synced, "six").joinpath("data.txt").exists()


# what is remembered may be damaged in any way


@pytest.fixture
def kept(synced: Path) -> dict[str, bytes]:
    """The state of a project in sync, with another environment that is not: name → content."""
    directory = State.of(synced).directory
    (directory / "ci.journal").write_text('{"profile": "ci", "environment": "/elsewhere"}')
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def corrupt(directory: Path, changes: Mapping[str, bytes | None]) -> None:
    for name, data in changes.items():
        if data is None:  # something else in its place
            (directory / name).unlink()
            (directory / name).mkdir()
        else:
            (directory / name).write_bytes(data)


def put_back(directory: Path, kept: dict[str, bytes]) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
    for name, data in kept.items():
        (directory / name).write_bytes(data)


def damaged(data: bytes) -> st.SearchStrategy[bytes | None]:
    """What may have happened to a file: truncated, a byte changed, garbage, a directory."""
    size = max(len(data) - 1, 0)
    place = st.integers(0, size)
    return st.one_of(
        st.none(),
        st.binary(max_size=200),
        place.map(lambda end: data[:end]),
        st.tuples(place, st.integers(0, 255)).map(
            lambda at: data[: at[0]] + bytes([at[1]]) + data[at[0] + 1 :]
        ),
        place.map(lambda at: data[:at] + data[at:] * 2),
        st.sampled_from(
            [b"\xff\xfe\0" * 9, b"[" * 100_000, b'{"root": "\\u0000", "since": 1e999}']
        ),
    )


@settings(max_examples=int(os.environ.get("STATE_EXAMPLES", "100")))  # 10000 is the long run
@given(draw=st.data())
def test_a_damaged_state_never_counts_as_in_sync(
    synced: Path, kept: dict[str, bytes], draw: st.DataObject
) -> None:
    state = State.of(synced)
    inside(synced, "six-*").joinpath("RECORD").touch()
    (synced / "uv.lock").touch()
    directory = inside(synced, "idna").parent
    (directory / "late-1.dist-info").mkdir(exist_ok=True)  # it is not as it was synced any more
    names = draw.draw(st.sets(st.sampled_from(sorted(kept)), min_size=1))
    changes = {name: draw.draw(damaged(kept[name])) for name in sorted(names)}
    try:
        corrupt(state.directory, changes)
        project = Project.load(synced)
        choice = project.profiles.choose(None, {}, last_synced_profile(project))
        assert already_in_sync(("sync",)) is None
        assert not SyncContext.of(project, choice).is_current()
        assert all(one.row and one.directory == state.directory for one in known_projects())
        assert not locks.is_mutex_held(state, synced / ".venv")
        journal.last_sync(state, synced / ".venv")
    finally:
        put_back(state.directory, kept)


@settings(max_examples=6)
@given(draw=st.data())
def test_with_a_damaged_state_the_commands_still_work(
    synced: Path, uvflow: Command, kept: dict[str, bytes], draw: st.DataObject
) -> None:
    directory = State.of(synced).directory
    drawn = {name: draw.draw(damaged(data)) for name, data in kept.items()}
    try:
        corrupt(directory, {name: data for name, data in drawn.items() if data is not None})
        assert status(SyncContext.of(*chosen(synced))).exit_code in {0, 4}
        done = uvflow("sync", "--dev", cwd=synced)
        assert (done.code, done.out) == (0, ""), done.err
        assert "Traceback" not in done.err
        assert status(SyncContext.of(*chosen(synced))).verdict is Level.OK
    finally:
        put_back(directory, kept)


def chosen(root: Path) -> tuple[Project, Choice]:
    project = Project.load(root)
    return project, project.profiles.choose("dev", {}, None)


def test_in_sync_is_reported_with_a_state_that_cannot_be_written(
    synced: Path, uvflow: Command, tmp_path: Path
) -> None:
    cache = tmp_path / "uvflow-cache"
    paths = [cache, *cache.rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = traces(cache, synced)
    try:
        for arguments in (("sync",), ("sync", "-v"), ("sync", "--check"), ("status",)):
            done = uvflow(*arguments, cwd=synced)
            assert done.code == 0, done.err
        assert traces(cache, synced) == before
    finally:
        for path in paths:
            path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="HOME is POSIX")
@pytest.mark.parametrize("home", [None, "", "/nonexistent", "relative"])
def test_any_home_will_do(shop: Path, home: str | None) -> None:
    environ = {k: v for k, v in os.environ.items() if k not in {"HOME", "UVFLOW_CACHE_DIR"}}
    environ["XDG_CACHE_HOME"] = str(shop / "cache")
    if home is not None:
        environ["HOME"] = home
    for arguments, code in ((["status"], 4), (["sync"], 0), (["sync"], 0), (["status"], 0)):
        done = subprocess.run(
            [BIN / "uvflow", *arguments], cwd=shop, env=environ, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr


@pytest.mark.parametrize("name", ["uv_cache.json", "direct_url.json"])
def test_a_huge_file_of_the_metadata_is_damage_at_which_uv_is_not_asked(
    synced: Path, uvflow: Command, name: str
) -> None:
    file = next(synced.glob(".venv/lib/*/site-packages/six-*.dist-info")) / name
    file.unlink(missing_ok=True)
    file.write_text('"' + "a" * (2 << 20))
    done = uvflow("status", cwd=synced)
    assert done.code == 5
    assert f"{name} (not a regular file, or a large one)" in done.out
    assert len(done.out) < 5000
    assert uvflow("sync", "--dry-run", cwd=synced).code == 5
    assert uvflow("sync", cwd=synced).code == 0
