"""`uvflow sync`, as installed, with real uv."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rig import BIN, Command, Result, Tree

from uvflow.state import locks
from uvflow.state.store import State

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0"]

[project.optional-dependencies]
web = ["idna"]

[dependency-groups]
dev = ["iniconfig"]
"""


def uv(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["uv", *arguments], cwd=cwd, capture_output=True, check=False, encoding="utf-8"
    )


@pytest.fixture
def shop(tree: Tree) -> Path:
    """A locked project: six for production, iniconfig for development, idna as an extra."""
    root = tree({"pyproject.toml": MANIFEST})
    assert uv("lock", cwd=root).returncode == 0
    return root


def installed(environment: Path) -> set[str]:
    infos = environment.glob("[Ll]ib/**/site-packages/*.dist-info")
    return {path.name.split("-")[0] for path in infos}


def test_dev_has_the_dev_group_and_prod_has_not(shop: Path, uvflow: Command) -> None:
    done = uvflow("sync", "--dev", cwd=shop)
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("\nSynced: dev\n")
    assert installed(shop / ".venv") == {"six", "iniconfig"}
    assert uvflow("sync", "--prod", cwd=shop).code == 0
    assert installed(shop / ".venv") == {"six"}


def test_prod_is_compiled(shop: Path, uvflow: Command) -> None:
    assert uvflow("sync", "--prod", cwd=shop).code == 0
    assert list((shop / ".venv").glob("[Ll]ib/**/site-packages/six/__pycache__/*.pyc"))


def test_a_profile_stays_until_another_is_chosen(shop: Path, uvflow: Command) -> None:
    assert uvflow("sync", cwd=shop).err.endswith("Synced: dev (by default)\n")
    uvflow("sync", "--prod", cwd=shop)
    assert uvflow("sync", cwd=shop).err == "Already in sync: prod (as last time)\n"
    shutil.rmtree(next(shop.glob(".venv/[Ll]ib/**/site-packages/six-1.16.0.dist-info")))
    assert uvflow("sync", cwd=shop).err.endswith("Synced: prod (as last time)\n")
    assert installed(shop / ".venv") == {"six"}


def test_a_profile_of_the_users_own(shop: Path, uvflow: Command) -> None:
    profile = '\n[tool.uvflow.profiles.web]\nextras = ["web"]\nextends = "prod"\n'
    (shop / "pyproject.toml").write_text(MANIFEST + profile)
    assert uvflow("sync", "--profile", "web", cwd=shop).code == 0
    assert installed(shop / ".venv") == {"six", "idna"}


def test_the_variable_names_the_profile(shop: Path, uvflow: Command) -> None:
    done = uvflow("sync", cwd=shop, environ={"UVFLOW_PROFILE": "prod"})
    assert done.err.endswith("Synced: prod (from UVFLOW_PROFILE)\n")
    assert installed(shop / ".venv") == {"six"}


def test_a_variable_of_uv_does_not_change_what_a_profile_is(shop: Path, uvflow: Command) -> None:
    environ = {"UV_NO_DEV": "1", "UV_FROZEN": "1"}
    assert uvflow("sync", "--dev", cwd=shop, environ=environ).code == 0
    assert installed(shop / ".venv") == {"six", "iniconfig"}


def test_quiet_is_uv_too_unless_it_fails(shop: Path, uvflow: Command) -> None:
    assert uvflow("sync", "-q", cwd=shop) == Result(0, "", "")
    done = uvflow("sync", "--prod", "-q", cwd=shop, environ={"UV_PYTHON": "2.7"})
    assert done.code == 1
    assert done.err.startswith("error: Invalid version request: ")


def questions(said: str) -> list[str]:
    """With which other options `uv sync` was run, by the lines of `-v`."""
    return re.findall(r"(?m)^uv sync --(?:locked|frozen) ?(.*) took ", said)


def test_what_was_asked_before_is_not_asked_again(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    for _ in range(2):  # where the environment is, uv is asked once
        shutil.rmtree(next(shop.glob(".venv/[Ll]ib/**/site-packages/six-1.16.0.dist-info")))
        said = uvflow("sync", "-v", cwd=shop).err
    assert questions(said) == [""]
    site = next(shop.glob(".venv/[Ll]ib/**/site-packages"))
    (site / "legacy.egg-info").mkdir()
    assert questions(uvflow("sync", "-v", cwd=shop).err) == ["", "--check"]
    (site / "legacy.egg-info").rmdir()
    manifest = (shop / "pyproject.toml").read_text()
    (shop / "pyproject.toml").write_text(manifest.replace("six==1.16.0", "six==1.17.0"))
    uv("lock", cwd=shop)
    assert questions(uvflow("sync", "-v", cwd=shop).err) == ["", "--check"]
    (shop / "uv.toml").write_text("# settings, of which one may be that for another Python\n")
    shutil.rmtree(next(shop.glob(".venv/[Ll]ib/**/site-packages/six-1.17.0.dist-info")))
    assert questions(uvflow("sync", "-v", cwd=shop).err) == ["--dry-run", "", "--check"]
    assert uvflow("sync", "-v", cwd=shop).err == "Already in sync: dev (as last time)\n"


def test_what_changes_nothing_for_uv_is_no_reason_to_sync(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    (shop / "pyproject.toml").write_text(f"{MANIFEST}# a comment\n")
    done = uvflow("sync", "-v", cwd=shop)
    assert questions(done.err) == ["--check"]
    assert done.err.endswith("Already in sync: dev (as last time)\n")
    assert questions(uvflow("sync", "-v", cwd=shop).err) == []


COMPILING = "\n[tool.uvflow.profiles.dev]\ncompile-bytecode = true\n"


@pytest.mark.parametrize(
    ("more", "environ"),
    [
        (COMPILING, {}),
        ("\n[tool.uv]\ncompile-bytecode = true\n", {}),
        ("", {"UV_COMPILE_BYTECODE": "1"}),
    ],
)
def test_byte_code_is_compiled_where_nothing_else_is_due(
    shop: Path, uvflow: Command, more: str, environ: dict[str, str]
) -> None:
    uvflow("sync", cwd=shop)
    (shop / "pyproject.toml").write_text(MANIFEST + more)
    assert uvflow("sync", cwd=shop, environ=environ).code == 0
    assert list(shop.glob(".venv/[Ll]ib/**/six/__pycache__/*.pyc"))


def test_verbose_shows_each_uv_and_what_it_took(shop: Path, uvflow: Command) -> None:
    said = uvflow("sync", "-v", cwd=shop).err
    assert re.search(r"(?m)^uv sync --locked took \d+\.\d\d s$", said)
    said = uvflow("status", "--prod", "-v", cwd=shop).err
    assert re.search(r"(?m)^uv sync --check .* took \d+\.\d\d s$", said)


def test_it_works_from_a_directory_below(shop: Path, uvflow: Command) -> None:
    (shop / "src").mkdir()
    assert uvflow("sync", cwd=shop / "src").code == 0
    assert (shop / ".venv").is_dir()
    assert uvflow("sync", cwd=shop / "src").err == "Already in sync: dev (as last time)\n"


def test_profiles_with_environments_of_their_own_keep_them(shop: Path, uvflow: Command) -> None:
    profile = '\n[tool.uvflow.profiles.prod]\nenvironment = ".venv-prod"\n'
    (shop / "pyproject.toml").write_text(MANIFEST + profile)
    for flag in ("--dev", "--prod"):
        assert uvflow("sync", flag, cwd=shop).code == 0
    assert installed(shop / ".venv") == {"six", "iniconfig"}
    assert installed(shop / ".venv-prod") == {"six"}
    assert uvflow("sync", "--dev", cwd=shop).err == "Already in sync: dev\n"
    assert uvflow("sync", "--prod", cwd=shop).err == "Already in sync: prod\n"


def test_a_profile_that_is_in_sync_is_chosen_all_the_same(shop: Path, uvflow: Command) -> None:
    profile = '\n[tool.uvflow.profiles.prod]\nenvironment = ".venv-prod"\n'
    (shop / "pyproject.toml").write_text(MANIFEST + profile)
    for flag in ("--dev", "--prod"):
        uvflow("sync", flag, cwd=shop)
    for name in ("dev", "prod", "dev"):
        assert uvflow("sync", f"--{name}", cwd=shop).err == f"Already in sync: {name}\n"
        assert uvflow("sync", cwd=shop).err == f"Already in sync: {name} (as last time)\n"


def test_a_stale_lockfile_is_3_and_changes_nothing(shop: Path, uvflow: Command) -> None:
    before = (shop / "uv.lock").read_bytes()
    (shop / "pyproject.toml").write_text(MANIFEST.replace("six==1.16.0", "six==1.17.0"))
    done = uvflow("sync", cwd=shop)
    assert done.code == 3
    assert done.err.endswith(
        "error: uv.lock is not what pyproject.toml asks for; the environment is as it was\n"
        "  cause: dependencies: `six==1.16.0` became `six==1.17.0`\n"
        "hint: `uv lock` updates the lockfile, then sync again\n"
    )
    assert (shop / "uv.lock").read_bytes() == before


def test_a_stale_lockfile_is_not_an_interruption(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    (shop / "pyproject.toml").write_text(MANIFEST.replace("six==1.16.0", "six==1.17.0"))
    assert uvflow("sync", cwd=shop).code == 3
    assert not list(State.of(shop).directory.glob("*.journal"))
    assert not (shop / ".venv" / ".uvflow-journal").exists()


def test_a_missing_lockfile_is_3(shop: Path, uvflow: Command) -> None:
    (shop / "uv.lock").unlink()
    done = uvflow("sync", cwd=shop)
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        f"error: no uv.lock in {shop}\n"
        "hint: `uv lock` makes one; `uvflow init` first where there are requirements files\n"
    )
    assert not (shop / ".venv").exists()


def test_a_stale_lockfile_is_one_error_also_where_it_is_newer(shop: Path, uvflow: Command) -> None:
    (shop / "pyproject.toml").write_text(MANIFEST.replace("six==1.16.0", "six==1.17.0"))
    os.utime(shop / "uv.lock")
    done = uvflow("sync", cwd=shop)
    assert (done.code, done.err.count("error:"), done.err.count("hint:")) == (3, 1, 1)


def test_a_lockfile_with_conflict_markers_is_3(shop: Path, uvflow: Command) -> None:
    with (shop / "uv.lock").open("a") as file:
        file.write("<<<<<<< ours\n")
    done = uvflow("sync", cwd=shop)
    assert (done.code, done.err.count("error:")) == (3, 1)
    assert "error: uv.lock cannot be used; the environment is as it was\n" in done.err
    assert uvflow("sync", "--check", cwd=shop).code == 3


def test_a_lockfile_that_only_reading_may_judge_is_3(shop: Path, uvflow: Command) -> None:
    """Where no interpreter may be started to ask uv."""
    (shop / "x").write_text("#!/bin/sh\n")
    (shop / ".python-version").write_text("./x\n")
    assert uvflow("sync", "--check", cwd=shop).code == 4
    with (shop / "uv.lock").open("a") as file:
        file.write("<<<<<<< ours\n")
    done = uvflow("sync", "--check", cwd=shop)
    assert done.code == 3
    assert "uv.lock" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_no_network_is_9_in_a_pipe_and_at_a_terminal(shop: Path, uvflow: Command) -> None:
    lockfile = (shop / "uv.lock").read_text()
    lockfile = re.sub(r'registry = "[^"]*"', 'registry = "http://127.0.0.1:9/simple"', lockfile)
    lockfile = re.sub(r'path = ".*/', 'url = "http://127.0.0.1:9/', lockfile)
    (shop / "uv.lock").write_text(lockfile)
    environ = {
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "UV_HTTP_RETRIES": "0",
        "UV_CACHE_DIR": str(shop / "cache"),
    }
    assert uvflow("sync", cwd=shop, environ=environ).code == 9
    at_terminal = "import os, pty; print(pty.spawn(['uvflow', 'sync']))"
    done = subprocess.run(
        [sys.executable, "-c", at_terminal],
        cwd=shop,
        env={**os.environ, **environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
    )
    assert os.waitstatus_to_exitcode(int(done.stdout.split()[-1])) == 9, done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("sync", "--profile", "prd"),
            "error: unknown profile `prd`\nhint: did you mean `prod`?\n",
        ),
        (("sync", "--dev", "--prod"), "error: --dev, --prod and --profile exclude each other\n"),
        (
            ("sync", "--nope"),
            "error: No such option '--nope'.\nhint: `uvflow sync --help` lists the options\n",
        ),
    ],
)
def test_wrong_usage_is_2(
    shop: Path, uvflow: Command, arguments: tuple[str, ...], message: str
) -> None:
    done = uvflow(*arguments, cwd=shop)
    assert (done.code, done.err) == (2, message)


def test_no_project_is_2(tmp_path: Path, uvflow: Command) -> None:
    done = uvflow("sync", cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith(f"error: no pyproject.toml in {tmp_path} or above it\n")


def test_no_uv_is_7(shop: Path, uvflow: Command) -> None:
    done = uvflow("sync", cwd=shop, environ={"UVFLOW_UV": str(shop / "nope")})
    assert done.code == 7
    assert done.err == (
        f"error: UVFLOW_UV names {shop / 'nope'}, which does not run as uv\n"
        "hint: correct UVFLOW_UV, or unset it\n"
    )


def test_waiting_too_long_is_6_and_touches_nothing(shop: Path, uvflow: Command) -> None:
    with locks.mutex(State.of(shop), "uvflow sync --prod"):
        done = uvflow("sync", "--timeout", "0.8", cwd=shop)
    assert done.code == 6
    first, rest = done.err.split("\n", 1)
    assert first.startswith(
        f"Waiting for another uvflow process: `uvflow sync --prod` (pid {os.getpid()}"
    )
    assert rest.startswith(f"error: another uvflow process is using {shop}\n  cause: ")
    assert not (shop / ".venv").exists()


AT_WORK = """\
#!{python}
import os, subprocess, sys, time
if sys.argv[1] != "sync" or "--dry-run" in sys.argv:
    os.execv({uv!r}, [{uv!r}, *sys.argv[1:]])
os.mkdir({busy!r})
time.sleep(0.5)
code = subprocess.call([{uv!r}, *sys.argv[1:]])
os.rmdir({busy!r})
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="uv is a script")
@pytest.mark.parametrize("apart", ["UVFLOW_CACHE_DIR", "project", "nothing"])
@pytest.mark.parametrize("exists", [False, True])
def test_one_uv_at_a_time_is_at_work_on_an_environment(
    shop: Path, uvflow: Command, tmp_path: Path, apart: str, *, exists: bool
) -> None:
    shared = tmp_path / "shared"
    script = tmp_path / "uv-at-work"
    real, busy = str(shutil.which("uv")), str(tmp_path / "busy")
    script.write_text(AT_WORK.format(python=sys.executable, uv=real, busy=busy))
    script.chmod(0o755)
    roots = [shop, shop]
    if apart == "project":
        roots[1] = tmp_path / "other"
        shutil.copytree(shop, roots[1])
    environ = {"UV_PROJECT_ENVIRONMENT": str(shared), "UVFLOW_UV": str(script)}
    if exists:
        subprocess.run([real, "venv", "-q", shared], check=True)

    def sync(number: int) -> Result:
        own = {apart: str(tmp_path / f"state-{number}")}
        return uvflow(
            "sync",
            f"--{'dev' if number else 'prod'}",
            cwd=roots[number],
            environ={**environ, **own},
        )

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(sync, (0, 1)))
    assert [done.code for done in results] == [0, 0], results


def test_json_is_one_object_on_stdout(shop: Path, uvflow: Command) -> None:
    done = uvflow("sync", "--json", cwd=shop)
    assert json.loads(done.out) == {
        "schema_version": 2,
        "command": "sync",
        "exit_code": 0,
        "profile": "dev",
        "chosen_by": "by default",
        "environment": str(shop / ".venv"),
        "already_in_sync": False,
        "repaired": [],
        "removed": [],
        "known_defects": [],
    }


def test_an_error_is_json_too(shop: Path, uvflow: Command) -> None:
    (shop / "uv.lock").unlink()
    result = json.loads(uvflow("sync", "--json", cwd=shop).out)
    assert (result["exit_code"], result["error"]["message"]) == (
        3,
        f"no uv.lock in {shop}",
    )


def test_a_state_that_cannot_be_written_is_8(shop: Path, uvflow: Command) -> None:
    done = uvflow("sync", cwd=shop, environ={"UVFLOW_CACHE_DIR": str(shop / "pyproject.toml")})
    assert done.code == 8
    assert "Traceback" not in done.err


def test_python_m_uvflow_is_the_same_command(shop: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uvflow", "sync"], cwd=shop, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert (shop / ".venv").is_dir()


@pytest.mark.parametrize("arguments", [("sync",), ("sync", "--prod"), ("sync", "--dev")])
def test_a_sync_without_options_says_what_one_with_options_says(
    tree: Tree, uvflow: Command, arguments: tuple[str, ...]
) -> None:
    """The first does without click."""
    nowhere = tree({})
    plain = uvflow(*arguments, cwd=nowhere)
    assert plain == uvflow(*arguments, "--color", "auto", cwd=nowhere)
    assert plain.code == 2
    unlocked = tree({"pyproject.toml": '[project]\nname = "shop"\nversion = "0.1.0"\n'})
    plain = uvflow(*arguments, cwd=unlocked)
    assert plain == uvflow(*arguments, "--color", "auto", cwd=unlocked)
    assert plain.code == 3


def test_a_dry_run_builds_nothing(tree: Tree, uvflow: Command) -> None:
    backend = "def get_requires_for_build_editable(*_):\n    open('built', 'w').close()\n"
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    root = tree(
        {
            "pyproject.toml": MANIFEST.replace("[dep", system + "[dep"),
            "backend.py": f"{backend}    return []\n",
        }
    )
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    manifest = (root / "pyproject.toml").read_text()
    changed = manifest.replace("six==1.16.0", "six==1.15.0")
    dynamic = changed.replace('version = "0.1.0"', 'dynamic = ["version"]')
    for text in (changed, dynamic):
        (root / "pyproject.toml").write_text(text)
        done = uvflow("sync", "--dry-run", cwd=root)
        assert done.code == 3, done.err
    assert not (root / "built").exists()


def test_a_dry_run_lists_what_would_change_and_changes_nothing(shop: Path, uvflow: Command) -> None:
    assert uvflow("sync", cwd=shop).code == 0
    (shop / "pyproject.toml").write_text(MANIFEST)
    done = uvflow("sync", "--prod", "--dry-run", "--json", cwd=shop)
    plan = json.loads(done.out)
    assert (done.code, plan["profile"]) == (0, "prod")
    assert [change.split()[0] for change in plan["changes"]] == ["iniconfig"]
    assert plan["changes"][0].endswith("is not asked for")
    lines = uvflow("sync", "--prod", "--dry-run", cwd=shop).out.splitlines()
    assert any(line.startswith(" - iniconfig==") for line in lines)
    assert installed(shop / ".venv") == {"six", "iniconfig"}
    assert uvflow("sync", "--dry-run", "--check", cwd=shop).code == 2


def test_a_dry_run_names_what_a_sync_repairs(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    record = next((shop / ".venv").glob("[Ll]ib/**/six-*/RECORD"))
    record.unlink()
    plan = json.loads(uvflow("sync", "--dry-run", "--json", cwd=shop).out)
    directory = record.parent.relative_to(shop / ".venv").as_posix()
    assert plan["changes"] == [f"six: unfinished install: {directory} (no RECORD)"]
    assert not record.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_shim_of_uv_is_asked_for_its_version_each_time(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    shim, asked = tmp_path / "shims" / "uv", tmp_path / "asked"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$1" >> {asked}\nexec {BIN / "uv"} "$@"\n')
    shim.chmod(0o755)
    for _ in range(2):
        asked.write_text("")
        assert uvflow("sync", cwd=shop, environ={"UVFLOW_UV": str(shim)}).code == 0
        assert "--version" in asked.read_text().split()
        (shop / ".python-version").write_text("3\n")  # so that the next one is a real one


def test_files_of_the_user_survive_another_python(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = "{}.{}".format(*sys.version_info)
    listed = uv("python", "list", "--only-installed", "--output-format=json", cwd=shop).stdout
    others = [found for found in json.loads(listed) if found["version_parts"]["major"] == 3]
    newer = [found for found in others if found["version_parts"]["minor"] > 11]
    other = next((p["path"] for p in newer if not p["version"].startswith(here)), None)
    if other is None:
        pytest.skip("there is no other Python")
    assert uvflow("sync", cwd=shop).code == 0
    (mine,) = (shop / ".venv").rglob("site-packages")
    (mine / "mine.py").touch()
    monkeypatch.setenv("UV_PYTHON", other)
    done = uvflow("sync", cwd=shop)
    assert done.code == 0, done.err
    assert "Recreating .venv: another Python is asked for" in done.err
    assert list(shop.glob(".venv.before-rebuild/**/mine.py"))
