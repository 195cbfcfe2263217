"""The steps of `uvflow setup`, through the installed command."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rig import BIN, MANIFEST, Command, Result, Tree

from uvflow import __version__, uv
from uvflow.errors import UsageError
from uvflow.onboarding.setup import read

STEPS = """
[[tool.uvflow.setup]]
name = "environment"
sync = "dev"

[[tool.uvflow.setup]]
name = "settings"
copy = { from = "settings.example", to = "settings" }

[[tool.uvflow.setup]]
name = "database"
run = ["python", "make.py"]
inputs = ["make.py", "migrations"]
creates = ["*.sqlite3"]
"""
FILES = {
    "pyproject.toml": MANIFEST + STEPS,
    "settings.example": "DEBUG=1\n",
    "make.py": "import six; print('made'); open('db.sqlite3', 'a').write('1')\n",
}
STEP = "`tool.uvflow.setup[0]`"
ONE_KIND = f"{STEP} must have one of `python`, `sync`, `run`, and `copy` with `from` and `to`"
NO_PATH = (
    "must be a path below the root such as `src` or `data/**/*.sql`, with `**` twice at most, not"
)
NO_LINE = "must be one line of visible characters, not"
DONE = "done  environment\ndone  settings\ndone  database\n"


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree(FILES)
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    return root


def due(done: Result) -> list[str]:
    """The names of the steps that were announced as due."""
    lines = [line for line in done.err.splitlines() if line.startswith("due ")]
    return [line.split()[1].rstrip(":") for line in lines]


def test_a_python_is_installed_where_there_is_none(
    tree: Tree, uvflow: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    step = '\n[[tool.uvflow.setup]]\nname = "old"\npython = "{}"\n'
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    root = tree({"pyproject.toml": MANIFEST + step.format(here)})
    assert uvflow("setup", "--check", cwd=root) == Result(0, "done  old\n", "")
    (root / "pyproject.toml").write_text(MANIFEST + step.format("3.0"))
    assert uvflow("setup", "--check", cwd=root).out == "due   old: Python 3.0 is not installed\n"
    done = uvflow("setup", cwd=root)
    assert done.code == 1
    assert "`uv python install` failed" in done.err


def test_the_steps_are_announced_done_in_order_and_left_out_then(
    shop: Path, uvflow: Command
) -> None:
    first = uvflow("setup", cwd=shop)
    assert (first.code, first.out) == (0, "")
    assert first.err.startswith(
        "due   environment: Out of sync: dev; environment: there is no .venv\n"
        "due   settings: settings does not exist\n"
        "due   database: `python make.py` has not been run yet\n"
        "Step environment\n"
    )
    assert first.err.endswith(
        "Step settings\nStep database\nmade\nReady: environment, settings, database\n"
    )
    assert (shop / "settings").read_text() == "DEBUG=1\n"
    second = uvflow("setup", cwd=shop, environ={"UV_OFFLINE": "1"})
    assert second == Result(0, "", "Ready: nothing was due\n")
    assert (shop / "db.sqlite3").read_text() == "1"


def test_without_steps_it_syncs_and_makes_the_env_file(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": MANIFEST, ".env.example": "A=1\n", "app/.keep": ""})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    done = uvflow("setup", cwd=root / "app")
    assert done.err.endswith("Step .env\nReady: environment, .env\n")
    assert (root / ".env").read_text() == "A=1\n"


@pytest.mark.parametrize("name", ["make.py", "migrations/1.sql", "uv.lock"])
def test_a_step_is_due_again_where_what_it_depends_on_has_changed(
    shop: Path, uvflow: Command, name: str
) -> None:
    uvflow("setup", cwd=shop)
    (shop / name).parent.mkdir(exist_ok=True)
    with (shop / name).open("a") as file:
        file.write("# edited\n")
    assert due(uvflow("setup", cwd=shop))[-1] == "database"
    assert due(uvflow("setup", cwd=shop)) == []


def test_a_step_is_due_again_in_an_environment_that_was_made_anew(
    shop: Path, uvflow: Command
) -> None:
    uvflow("setup", cwd=shop)
    shutil.rmtree(shop / ".venv")
    done = uvflow("setup", cwd=shop)
    assert due(done)[0] == "environment"
    assert done.err.endswith("made\nReady: environment, database\n")


def test_a_step_is_due_again_where_what_it_made_is_gone(shop: Path, uvflow: Command) -> None:
    uvflow("setup", cwd=shop)
    (shop / "db.sqlite3").unlink()
    assert uvflow("setup", cwd=shop).err == (
        "due   database: `python make.py` is to make *.sqlite3\n"
        "Step database\n"
        "made\n"
        "Ready: database\n"
    )


def test_check_fails_where_a_step_is_due_and_changes_nothing(shop: Path, uvflow: Command) -> None:
    before = sorted(shop.iterdir())
    checked = uvflow("setup", "--check", cwd=shop)
    assert checked.code == 4
    assert uvflow("setup", "--dry-run", cwd=shop) == Result(0, checked.out, "")
    assert sorted(shop.iterdir()) == before
    uvflow("setup", cwd=shop)
    assert uvflow("setup", "--check", cwd=shop) == Result(0, DONE, "")


def test_force_does_what_is_done_and_copies_over_nothing(shop: Path, uvflow: Command) -> None:
    uvflow("setup", cwd=shop)
    (shop / "settings").write_text("mine\n")
    done = uvflow("setup", "--force", cwd=shop)
    assert done.err.endswith("Step database\nmade\nReady: environment, settings, database\n")
    assert (shop / "settings").read_text() == "mine\n"
    assert (shop / "db.sqlite3").read_text() == "11"


def test_after_a_failure_it_goes_on_at_the_step_that_failed(shop: Path, uvflow: Command) -> None:
    (shop / "make.py").write_text("import sys; sys.exit(42)\n")
    failed = uvflow("setup", cwd=shop)
    assert failed.code == 42
    assert failed.err.endswith(
        "error: step database failed with exit code 42\n"
        "hint: once that is mended, `uvflow setup` goes on there\n"
    )
    (shop / "make.py").write_text(FILES["make.py"])
    assert due(uvflow("setup", cwd=shop)) == ["database"]


def test_a_step_that_does_not_make_what_it_is_to_make_fails(shop: Path, uvflow: Command) -> None:
    (shop / "make.py").write_text("")
    failed = uvflow("setup", cwd=shop)
    assert failed.code == 1
    assert "error: step database has not made *.sqlite3\n" in failed.err


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a POSIX signal")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_kill_it_goes_on_at_the_step_that_was_running(
    shop: Path, uvflow: Command, signal_number: int
) -> None:
    (shop / "make.py").write_text("print('running', flush=True); import time; time.sleep(600)\n")
    with subprocess.Popen([BIN / "uvflow", "setup"], cwd=shop, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert any(line == b"running\n" for line in process.stderr)
        process.send_signal(signal_number)
    (shop / "make.py").write_text(FILES["make.py"])
    assert due(uvflow("setup", cwd=shop)) == ["database"]
    assert uvflow("setup", "--check", cwd=shop) == Result(0, DONE, "")


def test_a_directory_of_the_project_is_not_taken_for_uvflow(shop: Path, uvflow: Command) -> None:
    (shop / "uvflow").mkdir()
    (shop / "uvflow/__init__.py").write_text("raise SystemExit('not uvflow')\n")
    assert uvflow("setup", cwd=shop).code == 0


def test_a_lockfile_that_is_stale_is_3(shop: Path, uvflow: Command) -> None:
    (shop / "uv.lock").unlink()
    failed = uvflow("setup", cwd=shop)
    assert failed.code == 3
    assert not (shop / "settings").exists()


def test_members_of_a_workspace_have_steps_of_their_own(tree: Tree, uvflow: Command) -> None:
    member = MANIFEST.replace("shop", "{}") + STEPS.replace("make.py", "-V").replace(
        'creates = ["*.sqlite3"]', ""
    )
    root = tree(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["*"]\n',
            "a/pyproject.toml": member.replace("{}", "a"),
            "b/pyproject.toml": member.replace("{}", "b"),
            **dict.fromkeys(("a/settings.example", "b/settings.example"), ""),
        }
    )
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    uvflow("setup", cwd=root / "a")
    assert due(uvflow("setup", cwd=root / "b"))[-1] == "database"
    assert uvflow("setup", "--check", cwd=root / "b").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
@pytest.mark.parametrize("name", ["settings.example", "migrations/1.sql"])
def test_nothing_is_read_through_a_link_that_leads_out(
    shop: Path, uvflow: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).unlink(missing_ok=True)
    (shop / name).symlink_to(tmp_path / "secret")
    failed = uvflow("setup", cwd=shop)
    assert failed.code == 8
    assert f"error: {shop / name} leads out of {shop}, so it is not used\n" in failed.err
    assert not (shop / "settings").exists() or name != "settings.example"


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_directory_that_a_link_leads_out_to_is_not_walked(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (shop / "migrations").symlink_to(tmp_path / "outside")
    failed = uvflow("setup", cwd=shop)
    assert failed.code == 8
    assert f"error: {shop / 'migrations'} leads out of {shop}" in failed.err


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_what_lies_outside_by_a_link_was_not_made(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    uvflow("setup", cwd=shop)
    (shop / "db.sqlite3").rename(tmp_path / "elsewhere")
    (shop / "db.sqlite3").symlink_to(tmp_path / "elsewhere")
    checked = uvflow("setup", "--check", cwd=shop)
    message = f"error: {shop}/db.sqlite3 leads out of {shop}, so it is not used\n"
    assert (checked.code, checked.err.startswith(message)) == (8, True)
    (shop / "db.sqlite3").unlink()
    (shop / "db.sqlite3").symlink_to("nowhere")
    assert uvflow("setup", "--check", cwd=shop).out.endswith("is to make *.sqlite3\n")


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_copy_is_not_done_by_a_link_that_leads_nowhere(shop: Path, uvflow: Command) -> None:
    (shop / "settings").symlink_to("nowhere")
    problem = "settings is a broken link"
    checked = uvflow("setup", "--check", cwd=shop)
    assert (checked.code, f"due   settings: {problem}\n" in checked.out) == (4, True)
    refused = uvflow("setup", cwd=shop)
    assert (refused.code, refused.err.splitlines()[-1]) == (2, f"error: step settings: {problem}")
    assert not (shop / "nowhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o777])
def test_a_copy_has_the_mode_of_its_source_and_the_umask(
    shop: Path, uvflow: Command, mode: int
) -> None:
    (shop / "settings.example").chmod(mode)
    uvflow("setup", cwd=shop)
    (shop / "other").touch(mode)
    assert (shop / "settings").stat().st_mode == (shop / "other").stat().st_mode


def test_a_copy_names_its_step_and_what_is_not_there(shop: Path, uvflow: Command) -> None:
    manifest = shop / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('to = "settings"', 'to = "conf/settings"'))
    for missing in ("conf", "settings.example"):
        refused = uvflow("setup", cwd=shop)
        error = f"error: step settings: {missing} does not exist"
        assert (refused.code, refused.err.splitlines()[-1]) == (2, error)
        (shop / "settings.example").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "a", "rum": ["x"]}, "unknown key `tool.uvflow.setup[0].rum`"),
        ({"run": ["x"]}, "`tool.uvflow.setup[0]` must have a `name` of its own"),
        ({"name": "a"}, ONE_KIND),
        (
            {"name": "a", "run": []},
            ONE_KIND,
        ),
        (
            {"name": "a", "run": ["x"], "sync": "dev"},
            ONE_KIND,
        ),
        (
            {"name": "a", "copy": {"from": "x"}},
            ONE_KIND,
        ),
        (
            {"name": "a", "sync": True, "creates": ["x"]},
            "`tool.uvflow.setup[0]` can have `inputs` and `creates` only with `run`",
        ),
        (
            {"name": "a", "copy": {"from": "x", "to": "/etc/x"}},
            f"`tool.uvflow.setup[0].copy.to` {NO_PATH} '/etc/x'",
        ),
        (
            {"name": "a", "run": ["x"], "inputs": ["a/../../b"]},
            f"`tool.uvflow.setup[0].inputs[0]` {NO_PATH} 'a/../../b'",
        ),
        (
            {"name": "a", "run": ["x"], "inputs": ["a**"]},
            f"`tool.uvflow.setup[0].inputs[0]` {NO_PATH} 'a**'",
        ),
        (
            {"name": "a", "run": ["x"], "creates": ["a\0"]},
            f"`tool.uvflow.setup[0].creates[0]` {NO_PATH} 'a\\x00'",
        ),
        (
            {"name": "a", "run": ["x"], "inputs": ["."]},
            f"`tool.uvflow.setup[0].inputs[0]` {NO_PATH} '.'",
        ),
        (
            {"name": "a", "run": ["x"], "creates": ["./"]},
            f"`tool.uvflow.setup[0].creates[0]` {NO_PATH} './'",
        ),
        (
            {"name": "a", "run": ["x"], "inputs": ["**/" * 3 + "*"]},
            f"`tool.uvflow.setup[0].inputs[0]` {NO_PATH} '**/**/**/*'",
        ),
        (
            {"name": "a", "run": ["x"], "inputs": ["a/" * 3000]},
            f"`tool.uvflow.setup[0].inputs[0]` {NO_PATH} '{'a/' * 49}",
        ),
        (
            {"name": "a\nStep b", "run": ["x"]},
            f"`tool.uvflow.setup[0].name` {NO_LINE} 'a\\nStep b'",
        ),
        (
            {"name": "a", "run": ["x", "\x1b[2K"]},
            f"`tool.uvflow.setup[0].run[1]` {NO_LINE} '\\x1b[2K'",
        ),
    ],
)
def test_a_step_that_is_none_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read([table], "pyproject.toml")
    assert raised.value.message == f"pyproject.toml: {message}"


def test_two_steps_of_one_name_are_an_error() -> None:
    with pytest.raises(UsageError, match="must have a `name` of its own"):
        read([{"name": "a", "sync": True}, {"name": "a", "run": ["x"]}], "pyproject.toml")


@pytest.mark.parametrize("kind", ["sh", "ps1"])
def test_the_script_names_the_versions_it_gets(uvflow: Command, kind: str) -> None:
    script = uvflow("setup", "--script", kind).out
    assert f"https://astral.sh/uv/{uv.find().version}/install.{kind}" in script
    assert f"uvflow=={__version__}" in script
    assert "@uv" not in script


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_the_script_runs_setup_where_it_lies_by_the_uv_that_is_there(
    uvflow: Command, tree: Tree
) -> None:
    root = tree({"uv": '#!/bin/sh\necho "$PWD" "$@"\n'})
    (root / "uv").chmod(0o755)
    (root / "setup").write_text(uvflow("setup", "--script", "sh").out)
    elsewhere = root / "elsewhere"  # where a relative `cd` would look first
    (elsewhere / root.name).mkdir(parents=True)
    done = subprocess.run(
        ["sh", f"{root.name}/setup", "--check"],
        cwd=root.parent,
        env={**os.environ, "PATH": f"{root}:{os.environ['PATH']}", "CDPATH": str(elsewhere)},
        capture_output=True,
        check=True,
        text=True,
    )
    uvflow_of_version = f"--from uvflow=={__version__} uvflow"
    assert done.stdout == f"{root} tool run {uvflow_of_version} setup --check\n"


def test_the_json_of_a_step(shop: Path, uvflow: Command) -> None:
    uvflow("setup", cwd=shop)
    (shop / "settings").unlink()
    assert json.loads(uvflow("setup", "--json", cwd=shop).out)["steps"] == [
        {"name": "environment", "state": "done", "reason": ""},
        {"name": "settings", "state": "ran", "reason": "settings does not exist"},
        {"name": "database", "state": "done", "reason": ""},
    ]
