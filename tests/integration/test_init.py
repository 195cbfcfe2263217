"""`uvflow init` and `uvflow undo`, as installed, with real uv."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from builds import PKG_RESOURCES, add_old_sdist, add_setuptools
from rig import BIN, Command, Tree
from venvs import replace
from wheels import add_installed

from uvflow.state import locks
from uvflow.state.store import State
from uvflow.uv import find

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="scripts and signals of POSIX")

COMMON = {
    "requirements.txt": "# what the app needs\nrequests==2.28.0  # http\nsix\n",
    "requirements-dev.txt": "-r requirements.txt\npytest==8.0.0\n",
}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
MANIFEST = f"""\
[project]
name = "project"
version = "0.1.0"
requires-python = ">={PYTHON}"
dependencies = [
    # what the app needs
    "requests==2.28.0", # http
    "six",
]

[dependency-groups]
dev = [
    "pytest==8.0.0",
]
"""
DIFF = "--- /dev/null\n+++ pyproject.toml\n@@ -0,0 +1,14 @@\n" + "".join(
    f"+{line}\n" for line in MANIFEST.splitlines()
)
BARE = f"""\
[project]
name = "project"
version = "0.1.0"
requires-python = ">={PYTHON}"
dependencies = []
"""


def uv(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [find().path, *arguments], cwd=cwd, capture_output=True, check=False, encoding="utf-8"
    )


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every path below `root`, with its mode and its bytes."""
    return {
        path.relative_to(root).as_posix(): (_mode(path), _data(path)) for path in root.rglob("*")
    }


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _data(path: Path) -> bytes:
    if path.is_symlink():
        return bytes(path.readlink())
    return b"" if path.is_dir() else path.read_bytes()


def installed(environment: Path) -> set[str]:
    infos = environment.glob("[Ll]ib/**/site-packages/*.dist-info")
    return {path.name.removesuffix(".dist-info") for path in infos}


def test_the_common_project(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    done = uvflow("init", cwd=root)
    assert (done.code, done.out) == (0, "")
    assert (root / "pyproject.toml").read_text() == MANIFEST
    assert installed(root / ".venv") >= {"requests-2.28.0", "pytest-8.0.0"}
    assert uv("sync", "--locked", "--check", cwd=root).returncode == 0
    assert {name: (root / name).read_text() for name in COMMON} == COMMON


def test_the_report_of_the_common_project_fits_one_screen(tree: Tree, uvflow: Command) -> None:
    said = uvflow("init", cwd=tree(COMMON)).err
    assert said.endswith("""

Read
  requirements.txt      project    2 lines: 2 imported
  requirements-dev.txt  group dev  2 lines: 1 imported, 1 already the default

Written
  pyproject.toml  created
  uv.lock         created
  .venv           created

Next
  uvflow sync --prod  makes the environment for production
  uvflow docker       writes a Dockerfile
  uvflow undo         puts everything back
  You can delete these once everything works: requirements.txt, requirements-dev.txt
""")
    assert len(said.splitlines()) <= 40


def test_a_dry_run_shows_the_plan_and_writes_nothing(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    before = everything(root)
    done = uvflow("init", "--dry-run", cwd=root)
    assert done.code == 0
    assert everything(root) == before
    assert done.out == DIFF
    assert json.loads(uvflow("init", "--dry-run", "--json", cwd=root).out)["diff"] == DIFF


def test_the_second_time_there_is_nothing_to_do(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    uvflow("init", cwd=root)
    before = everything(root)
    done = uvflow("init", cwd=root)
    assert (done.code, done.err) == (0, "project is already a locked uv project; nothing to do\n")
    assert everything(root) == before


def test_an_old_sdist_that_only_a_sync_builds_gets_an_older_setuptools(
    tree: Tree, uvflow: Command, tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.ignore_patterns("setuptools")  # of another test
    copy = shutil.copytree(index, tmp_path / "index", ignore=real)
    monkeypatch.setenv("UV_DEFAULT_INDEX", copy.as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    add_setuptools(copy)
    add_old_sdist(copy, "old", PKG_RESOURCES, is_static=True)
    manifest = BARE.replace("[]", '["old"]')
    root = tree({"pyproject.toml": manifest})
    done = uvflow("init", cwd=root)
    assert done.code == 0, done.err
    assert (root / "pyproject.toml").read_text() == (
        f'{manifest}\n[tool.uv]\nbuild-constraint-dependencies = [\n    "setuptools<82",\n]\n'
    )
    assert "old-1.0" in installed(root / ".venv")
    assert uv("sync", "--locked", "--check", cwd=root).returncode == 0
    assert (
        "  pyproject.toml  edited\n  uv.lock         created\n  .venv           created\n"
        "\nNoticed\n"
        "  every build gets setuptools<82 from now on: old does not build with a later one\n"
    ) in done.err
    assert uvflow("undo", cwd=root).code == 0
    assert everything(root).keys() == {"pyproject.toml"}
    assert (root / "pyproject.toml").read_text() == manifest


def test_an_empty_directory_becomes_a_project(tree: Tree, uvflow: Command) -> None:
    root = tree({})
    assert uvflow("init", root).code == 0
    assert (root / "pyproject.toml").read_text() == BARE
    assert {path.name for path in root.iterdir()} == {"pyproject.toml", "uv.lock", ".venv"}


def test_the_base_is_what_uv_init_writes_there(tree: Tree, uvflow: Command) -> None:
    root = tree({".python-version": f"{PYTHON}\n", "uv.toml": 'python-preference = "system"\n'})
    assert uvflow("init", "--no-lock", cwd=root).code == 0
    by_uvflow = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").unlink()
    uv("init", "--bare", "--no-workspace", "--no-pin-python", "--vcs=none", cwd=root)
    assert by_uvflow == (root / "pyproject.toml").read_text()


def test_a_manifest_of_tools_gets_a_project(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": "[tool.ruff]\nline-length = 100\n", "requirements.txt": "six\n"})
    assert uvflow("init", cwd=root).code == 0
    assert (root / "pyproject.toml").read_text() == (
        BARE.replace("[]", '[\n    "six",\n]') + "\n[tool.ruff]\nline-length = 100\n"
    )


def test_a_project_without_lockfile_gets_what_it_has_not(tree: Tree, uvflow: Command) -> None:
    theirs = '[project]\r\nname = "theirs"\r\nversion = "1"\r\ndependencies = ["six"]  # ours\r\n'
    root = tree({**COMMON, "pyproject.toml": theirs})
    assert uvflow("init", cwd=root).code == 0
    assert (root / "pyproject.toml").read_bytes().decode() == (
        '[project]\r\nname = "theirs"\r\nversion = "1"\r\ndependencies = [\r\n    "six",\r\n'
        '    # what the app needs\r\n    "requests==2.28.0", # http\r\n]  # ours\r\n'
        '\r\n[dependency-groups]\r\ndev = [\r\n    "pytest==8.0.0",\r\n]\r\n'
    )


def test_a_project_is_not_named_like_what_it_needs(tree: Tree, uvflow: Command) -> None:
    done = uvflow("init", "--name", "Six", cwd=tree(COMMON))
    assert (done.code, done.err) == (
        2,
        (
            "error: a project named `Six` cannot depend on six (requirements.txt:3)\n"
            "hint: `uvflow init --name six-project`\n"
        ),
    )


def test_a_workspace_around_it_stays_untouched(tmp_path: Path, tree: Tree, uvflow: Command) -> None:
    parent = BARE + '\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    (tmp_path / "pyproject.toml").write_text(parent)
    uv("lock", cwd=tmp_path)
    locked = (tmp_path / "uv.lock").read_bytes()
    root = tree(COMMON)
    assert uvflow("init", "--here", cwd=root).code == 0
    assert (root / "uv.lock").exists()
    assert (tmp_path / "pyproject.toml").read_text() == parent
    assert (tmp_path / "uv.lock").read_bytes() == locked


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
@pytest.mark.parametrize("arguments", [("--dry-run",), ()])
def test_a_pipe_as_a_members_pyproject_toml_is_not_waited_for(
    tree: Tree, uvflow: Command, arguments: tuple[str, ...]
) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*"]\n'
    root = tree({"pyproject.toml": workspace, "requirements.txt": "six\n", "libs/a/x": ""})
    os.mkfifo(root / "libs/a/pyproject.toml")
    done = uvflow("init", *arguments, cwd=root, seconds=20)
    assert done.code == 2
    assert "libs/a/pyproject.toml cannot be read" in done.err


def test_a_workspace_that_would_take_it_in_is_told(
    tmp_path: Path, tree: Tree, uvflow: Command
) -> None:
    (tmp_path / "pyproject.toml").write_text(BARE + '\n[tool.uv.workspace]\nmembers = ["*"]\n')
    root = tree(COMMON)
    before = everything(tmp_path)
    done = uvflow("init", cwd=root)
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        f"error: {root} is a member of the workspace in {tmp_path}",
    )
    assert {path: what for path, what in everything(tmp_path).items() if path in before} == before


def test_only_the_manifest(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    assert uvflow("init", "--no-lock", cwd=root).code == 0
    assert {path.name for path in root.iterdir()} == {*COMMON, "pyproject.toml"}
    assert uvflow("init", "--no-lock", cwd=root).code == 0  # and undo is for the first
    assert uvflow("undo", cwd=root).code == 0
    assert {path.name for path in root.iterdir()} == {*COMMON}


def test_the_environment_can_wait(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    assert uvflow("init", "--no-sync", cwd=root).code == 0
    assert {path.name for path in root.iterdir()} == {*COMMON, "pyproject.toml", "uv.lock"}


def test_files_are_named_on_the_command_line(tree: Tree, uvflow: Command) -> None:
    root = tree({"app.txt": "six\n", "lint.txt": "idna\n", "limits.txt": "idna<3.10\n"})
    chosen = ("--from", "app.txt", "--group", "lint=lint.txt", "--constraint", "limits.txt")
    assert uvflow("init", *chosen, cwd=root).code == 0
    assert 'dependencies = [\n    "six",\n]' in (root / "pyproject.toml").read_text()
    assert 'lint = [\n    "idna",\n]' in (root / "pyproject.toml").read_text()
    assert "idna-3.7" in "\n".join(uv_export(root))


def uv_export(root: Path) -> list[str]:
    asked = ("export", "--no-hashes", "--all-groups", "--locked", "--no-header", "--no-annotate")
    return [line.replace("==", "-") for line in uv(*asked, cwd=root).stdout.splitlines()]


def test_json_has_the_books(tree: Tree, uvflow: Command) -> None:
    said = json.loads(uvflow("init", "--json", cwd=tree(COMMON)).out)
    assert said == {
        "schema_version": 2,
        "command": "init",
        "exit_code": 0,
        "error": None,
        "already_a_project": False,
        "files": [
            {
                "path": "requirements.txt",
                "format": "requirements",
                "role": "project",
                "lines": 2,
                "imported": 2,
                "merged": 0,
                "settings": 0,
                "already_default": 0,
                "left": 0,
                "needs_action": 0,
            },
            {
                "path": "requirements-dev.txt",
                "format": "requirements",
                "role": "group dev",
                "lines": 2,
                "imported": 1,
                "merged": 0,
                "settings": 0,
                "already_default": 1,
                "left": 0,
                "needs_action": 0,
            },
        ],
        "findings": [],
        "changes": [
            {"path": path, "action": "create", "kept_as": None, "kept_size": None}
            for path in ("pyproject.toml", "uv.lock", ".venv")
        ],
        "diff": DIFF,
        "pins": {"kept": 0, "moved": []},
        "hashes": {"expected": 0, "verified": 0},
    }


def test_a_project_of_poetry_keeps_its_versions(tree: Tree, uvflow: Command) -> None:
    package = '[[package]]\nname = "{}"\nversion = "{}"\nfiles = []\n'
    marker = 'markers = "python_version {} \\"3.12\\""\n'
    files = {
        "pyproject.toml": (
            '[tool.poetry]\nname = "app"\nversion = "1.0"\npackage-mode = false\n'
            f'[tool.poetry.dependencies]\npython = ">={PYTHON}"\nrequests = "^2.28"\nsix = "*"\n'
        ),
        "poetry.lock": package.format("requests", "2.28.0")
        + package.format("idna", "2.10")
        + package.format("six", "1.15.0")
        + marker.format("<")
        + package.format("six", "1.16.0")
        + marker.format(">="),
    }
    root = tree(files)
    before = everything(root)
    done = uvflow("init", cwd=root)
    assert (done.code, "pins kept 4/4" in done.err) == (0, True)
    assert uvflow("init", cwd=root).err.endswith("nothing to do\n")
    assert uvflow("undo", cwd=root).code == 0
    assert everything(root) == before


PDM_PACKAGE = '[[package]]\nname = "{}"\nversion = "{}"\nfiles = []\n'


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {
                "pyproject.toml": MANIFEST.partition("[dependency-groups]")[0]
                + '[tool.pdm]\ndistribution = false\ndev-dependencies = { t = ["iniconfig"] }\n',
                "pdm.lock": PDM_PACKAGE.format("six", "1.15.0")
                + PDM_PACKAGE.format("iniconfig", "1.1.1"),
            },
            "pins kept 2/2",
        ),
        (
            {
                "environment.yml": f"dependencies:\n- python={PYTHON}\n- six=1.15\n- pip:\n"
                "  - -r more.txt\n",
                "more.txt": "idna==3.7\n",
            },
            "environment.yml  project",
        ),
    ],
)
def test_a_project_of_another_tool_is_locked_and_put_back(
    tree: Tree, uvflow: Command, files: dict[str, str], message: str
) -> None:
    root = tree(files)
    before = everything(root)
    done = uvflow("init", cwd=root)
    assert (done.code, message in done.err) == (0, True)
    assert 'name = "six"\nversion = "1.15.0"\n' in (root / "uv.lock").read_text()
    assert uvflow("init", cwd=root).err.endswith("nothing to do\n")
    assert uvflow("undo", cwd=root).code == 0
    assert everything(root) == before


def test_every_bad_line_is_told_at_once(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six=1.16.0\n-r nope.txt\n"})
    before = everything(root)
    done = uvflow("init", cwd=root)
    assert done.code == 1
    assert done.err.startswith(
        "error: 2 lines cannot be imported as they are; nothing was written\n"
    )
    assert "requirements.txt:1: " in done.err
    assert "requirements.txt:2: included file nope.txt not found" in done.err
    assert everything(root) == before


def test_a_resolution_that_fails_leaves_no_trace(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\nnowhere-to-be-found\n"})
    before = everything(root)
    done = uvflow("init", cwd=root)
    assert done.code == 1
    assert done.err.endswith(
        "error: `uv lock` failed with exit code 1; its reason is above\n"
        "  cause: uv finds no version for `nowhere-to-be-found` (requirements.txt:2); everything is"
        " as it was before\n"
        "hint: remove nowhere-to-be-found from the file, or name the index to use\n"
    )
    assert everything(root) == before


SLOW = """\
#!/bin/sh
test "$1" != lock || until test -e go; do sleep 0.05; done
exec {uv} "$@"
"""


@posix_only
@pytest.mark.parametrize("needs", ["six", "nowhere-to-be-found"])
def test_what_is_written_while_init_runs_stays(tree: Tree, tmp_path: Path, needs: str) -> None:
    manifest = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'
    root = tree({"pyproject.toml": manifest, "requirements.txt": f"{needs}\n"})
    slow = tmp_path / "slow-uv"
    slow.write_text(SLOW.format(uv=find().path))
    slow.chmod(0o755)
    environ = {**os.environ, "UVFLOW_UV": str(slow)}
    with subprocess.Popen(
        [BIN / "uvflow", "init"], cwd=root, env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        path = root / "pyproject.toml"
        while needs not in path.read_text():
            time.sleep(0.01)
        path.write_text(edited := path.read_text() + "# mine\n")
        (root / "build").mkdir()
        (root / "build" / "mine").touch()
        lockfile = root / "uv.lock"
        lockfile.write_text(locked := 'version = 1\nrequires-python = ">=3.11"\n# mine\n')
        (root / "go").touch()
        _, err = process.communicate(timeout=60)
    assert path.read_text() == edited
    if process.returncode:
        assert lockfile.read_text() == locked
        assert f"{lockfile} was not put back, since it changed" in err
        assert (root / "build" / "mine").exists()
        assert f"{path} was not put back, since it changed" in err
        assert f"{root / 'build'} appeared meanwhile and was not removed" in err
        assert "as it was before" not in err


def test_a_secret_in_a_marker_is_refused(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": 'six ; python_version == "https://u:hunter2@h"\n'})
    done = uvflow("init", cwd=root)
    assert (done.code, "hunter2" in done.err) == (1, False)
    assert "the marker contains credentials" in done.err
    assert [path.name for path in root.iterdir()] == ["requirements.txt"]


def test_no_uv_no_change(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    before = everything(root)
    assert uvflow("init", cwd=root, environ={"UVFLOW_UV": str(root / "nothing")}).code == 7
    assert everything(root) == before


Scripted = Callable[[str, str], dict[str, str]]


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    """Variables for a uv that runs `instead` (Python) for one of its commands."""

    def write(command: str, instead: str) -> dict[str, str]:
        script = tmp_path / "scripted-uv"
        script.write_text(
            dedent("""\
            #!{python}
            import os, pathlib, signal, subprocess, sys, time
            uv = {uv!r}
            if sys.argv[1] == {command!r}:
            {instead}
            os.execv(uv, [uv, *sys.argv[1:]])
            """).format(
                python=sys.executable,
                uv=find().path,
                command=command,
                instead="\n".join(f"    {line}" for line in instead.splitlines()),
            )
        )
        script.chmod(0o755)
        return {"UVFLOW_UV": str(script)}

    return write


@posix_only
@pytest.mark.parametrize(
    ("command", "instead"),
    [
        pytest.param("lock", "sys.exit(2)", id="uv lock fails"),
        pytest.param("lock", "os.kill(os.getpid(), signal.SIGKILL)", id="uv lock is killed"),
        pytest.param("sync", "sys.exit(2)", id="uv sync fails"),
        pytest.param("sync", "subprocess.run([uv, *sys.argv[1:]]); sys.exit(1)", id="at its end"),
    ],
)
def test_whatever_uv_does_the_tree_is_as_before(
    tree: Tree, uvflow: Command, scripted: Scripted, command: str, instead: str
) -> None:
    root = tree(COMMON)
    before = everything(root)
    done = uvflow("init", cwd=root, environ=scripted(command, instead))
    assert done.code == 1
    assert f"error: `uv {command}` failed with exit code" in done.err
    assert everything(root) == before


@posix_only
def test_an_environment_that_was_there_is_put_back(
    tree: Tree, uvflow: Command, scripted: Scripted
) -> None:
    root = tree(COMMON)
    uv("venv", cwd=root)
    environment = str(root / ".venv")
    uv("pip", "install", f"--python={environment}", "six==1.15.0", "toml", cwd=root)
    assert installed(root / ".venv") == {"six-1.15.0", "toml-0.10.2"}
    before = everything(root)
    instead = "subprocess.run([uv, *sys.argv[1:]]); sys.exit(1)"
    done = uvflow("init", cwd=root, environ=scripted("sync", instead))
    assert done.code == 1
    assert " + pytest==8.0.0\n" in done.err
    assert everything(root) == before


def with_environment(root: Path, *packages: str) -> dict[str, tuple[int, bytes]]:
    uv("venv", cwd=root)
    uv("pip", "install", f"--python={root / '.venv'}", *packages, cwd=root)
    assert len(installed(root / ".venv")) >= len(packages)
    return everything(root)


def test_undo_brings_back_the_environment_that_was_there(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six==1.17.0\n"})
    before = with_environment(root, "six==1.16.0", "toml")
    done = uvflow("init", cwd=root)
    assert re.search(
        r"\n  .venv +replaced, the old one kept as .venv.before-init \(\d+ KiB\)\n", done.err
    )
    assert installed(root / ".venv") == {"six-1.17.0"}
    assert uv("sync", "--locked", cwd=root).returncode == 0
    done = uvflow("undo", cwd=root)
    assert (done.code, done.err) == (0, "Put back: .venv\nRemoved: pyproject.toml, uv.lock\n")
    assert everything(root) == before


def test_what_was_added_to_the_new_environment_is_kept(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    before = with_environment(root, "six")
    uvflow("init", cwd=root)
    (root / ".venv" / "notes.txt").write_text("mine")
    done = uvflow("undo", cwd=root)
    assert done.code == 2
    assert done.err == (
        "error: edited since: .venv\n"
        "hint: `uvflow undo --force` puts it back all the same, and the edits are lost, but .venv"
        " is kept as .venv.after-init\n"
    )
    told = json.loads(uvflow("undo", "--force", "--json", cwd=root).out)
    kept = root / ".venv.after-init"
    assert told == {
        "schema_version": 2,
        "command": "undo",
        "exit_code": 0,
        "restored": [".venv"],
        "removed": ["pyproject.toml", "uv.lock"],
        "kept": [str(kept)],
        "not_restored": [],
    }
    assert (kept / "notes.txt").read_text() == "mine"
    after = everything(root)
    assert {path: after[path] for path in after if not path.startswith(kept.name)} == before


def test_packages_that_no_file_declares_are_named(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    with_environment(root, "requests==2.28.0", "toml==0.10.2", "attrs==23.1.0")
    named = "packages in .venv that no file declares are not kept: attrs 23.1.0, toml 0.10.2\n"
    for arguments in (("--dry-run",), ()):
        assert named in uvflow("init", *arguments, cwd=root).err
    assert uvflow("undo", cwd=root).code == 0
    done = uvflow("init", "--strict", cwd=root)
    assert (done.code, done.err.startswith(f"error: {named}")) == (1, True)


def test_installed_versions_are_kept(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "requests\nsix>=1.16\n"})
    with_environment(root, "requests==2.28.0", "idna==3.7", "certifi==2020.1.1", "six==1.15.0")
    versions = ("requests-2.28.0", "idna-3.7", "certifi-2020.1.1", "six-1.17.0")
    done = uvflow("init", "-v", cwd=root)
    assert "  uv.lock         created, pins kept 3/3, 3 of them as installed\n" in done.err
    assert installed(root / ".venv") == {*versions}
    assert '"requests",\n    "six>=1.16",' in (root / "pyproject.toml").read_text()
    assert uvflow("undo", cwd=root).code == 0
    assert uvflow("init", "--fresh", cwd=root).code == 0
    assert installed(root / ".venv") >= {"requests-2.32.3", "idna-3.10"}


def test_an_installed_version_that_is_gone_is_named(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n"})
    with_environment(root, "six==1.15.0")
    info = next(root.glob(".venv/**/six-1.15.0.dist-info"))
    metadata = info / "METADATA"
    replace(metadata, metadata.read_text().replace("1.15.0", "1.15.1"))
    place = metadata.relative_to(root).as_posix()
    assert f"  {place}:1: six 1.15.1 became 1.17.0\n" in uvflow("init", cwd=root).err


@posix_only
def test_the_python_of_the_environment_is_kept(tree: Tree, uvflow: Command) -> None:
    other = Path("/usr/bin/python3")
    if not other.exists() or other.resolve() == Path(sys.executable).resolve():
        pytest.skip("no other Python here")
    root = tree({"requirements.txt": "six\n"})
    subprocess.run([find().path, "venv", "-q", "--python", other], cwd=root, check=True)
    before = (root / ".venv" / "pyvenv.cfg").read_text().splitlines()[0]
    assert uvflow("init", "--python", "3.9", cwd=root, environ={"UV_PYTHON": ""}).code == 0
    assert (root / ".venv" / "pyvenv.cfg").read_text().splitlines()[0] == before


@posix_only
def test_another_uv_goes_on_for_one_of_the_environment(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n"})
    with_environment(root, "six")
    (root / ".venv" / "bin" / "uv").symlink_to(find().path)
    path = f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    assert uvflow("init", cwd=root, environ={"PATH": path}).code == 0


@pytest.mark.parametrize("name", ["notes.txt", "share/notes.txt", "src/lib/setup.py"])
@pytest.mark.parametrize("is_virtual", [True, False])
def test_a_directory_with_files_of_the_users_is_left_alone(
    tree: Tree, uvflow: Command, name: str, *, is_virtual: bool
) -> None:
    root = tree({"requirements.txt": "six\n", f".venv/{name}": "mine"})
    (root / ".venv" / "bin").mkdir()
    if is_virtual:
        (root / ".venv" / "pyvenv.cfg").touch()
    before = everything(root)
    path, top = root / ".venv", name.partition("/")[0]
    by_hand = f"mv {path} {path}.old"
    for arguments in ((), ("--dry-run",)):
        done = uvflow("init", *arguments, cwd=root)
        assert done.code == 5
        assert done.err.splitlines() == [
            f"error: {path} holds what no installer made: {top}",
            f"hint: `--no-sync` leaves it as it is, or move it aside by hand: `{by_hand}`",
        ]
    assert everything(root) == before
    done = uvflow("init", "--no-sync", cwd=root)
    # A uv of 0.9 locks nothing beside a directory of that name that is not an environment.
    assert done.code == 0 or "is not a valid Python environment" in done.err
    assert (path / name).read_text() == "mine"


def test_directories_of_the_users_beside_the_environment_stay(tree: Tree, uvflow: Command) -> None:
    names = ("before-uvflow", "before-uvflow-unfinished", "before-init", "being-removed")
    mine = {f".venv.{name}/notes.txt": "mine" for name in names}
    root = tree({"requirements.txt": "six\n", **mine})
    before = with_environment(root, "six")
    assert uvflow("init", cwd=root).code == 0
    assert uvflow("undo", cwd=root).code == 0
    assert everything(root) == before


@pytest.mark.parametrize("name", [".", "link"])
def test_an_environment_that_cannot_be_one_is_refused(
    tree: Tree, uvflow: Command, tmp_path: Path, name: str
) -> None:
    root = tree({"requirements.txt": "six\n"})
    (root / "link").symlink_to(tmp_path)
    manifest = f'[tool.uvflow.profiles.dev]\nenvironment = "{name}"\n'
    (root / "pyproject.toml").write_text(manifest)
    done = uvflow("init", "--dry-run", cwd=root)
    assert done.code == 2
    assert "cannot be the environment" in done.err


@posix_only
def test_directories_above_a_new_environment_are_undone_too(tree: Tree, uvflow: Command) -> None:
    root = tree({"requirements.txt": "six\n"})
    place = {"UV_PROJECT_ENVIRONMENT": "environments/mine/dev"}
    assert uvflow("init", cwd=root, environ=place).code == 0
    done = uvflow("undo", cwd=root)
    assert done.err == "Put back: nothing\nRemoved: pyproject.toml, uv.lock, environments\n"
    assert {path.name for path in root.iterdir()} == {"requirements.txt"}


@contextlib.contextmanager
def leased(environment: Path) -> Iterator[None]:
    """As while a command runs in the environment."""
    state = State.of(environment.parent)
    with locks.mutex(state, "uvflow run"):
        lease = locks.take_lease(state, environment, "a server")
    yield
    for descriptor in lease.descriptors:
        os.close(descriptor)


@posix_only
def test_undo_waits_for_a_command_that_runs_in_the_environment(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    uvflow("init", cwd=root)
    with leased(root / ".venv"):
        done = uvflow("undo", "--timeout", "0.1", cwd=root)
    assert done.code == 6
    assert (root / ".venv").exists()


# Writes half a lockfile, says so, and stays. Python heeds a signal that comes right before a sleep
# after it, so that has to be short.
WAITING = """\
pathlib.Path("uv.lock").write_text("version = 1")
print("waiting", file=sys.stderr, flush=True)
for _ in range(1000):
    time.sleep(0.05)
"""


@contextlib.contextmanager
def started(root: Path, environ: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """`uvflow init --json`, as far as its uv is waiting."""
    with subprocess.Popen(
        [Path(sys.executable).with_name("uvflow"), "init", "--json"],
        cwd=root,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert any(line == "waiting\n" for line in process.stderr)
        yield process
        process.kill()


@posix_only
@pytest.mark.parametrize("is_python", [True, False])
def test_an_installation_that_is_no_environment_is_left_alone(
    tree: Tree, tmp_path: Path, uvflow: Command, scripted: Scripted, *, is_python: bool
) -> None:
    usr = tmp_path / "usr"
    (usr / "bin").mkdir(parents=True)
    if is_python:  # uv is let at it, as in an image; here it fails
        (usr / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
        (usr / "lib" / "python3.11" / "os.py").touch()
    environ = {**scripted("sync", "sys.exit(1)"), "UV_PROJECT_ENVIRONMENT": str(usr)}
    before = (usr / "bin").stat().st_ino
    refused = {1} if is_python else {1, 5}  # uv 0.9.0 fails at it as soon as it locks
    assert uvflow("init", cwd=tree(COMMON), environ=environ).code in refused
    assert (usr / "bin").stat().st_ino == before


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_init_leaves_no_trace(
    tree: Tree, scripted: Scripted, number: signal.Signals
) -> None:
    root = tree(COMMON)
    before = everything(root)
    with started(root, scripted("lock", WAITING)) as process:
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
        assert process.stdout
        told = json.load(process.stdout)
    assert everything(root) == before
    assert told["exit_code"] == 128 + number
    assert told["error"] == {"message": "interrupted", "cause": None, "hint": None}
    assert told["changes"] == []


@pytest.fixture
def killed(tree: Tree, scripted: Scripted) -> Path:
    """The common project, after `uvflow init` was killed there while uv was at work."""
    root = tree(COMMON)
    with started(root, scripted("lock", WAITING.partition("\n")[2])) as process:
        process.kill()
    assert (root / "pyproject.toml").exists()
    return root


@posix_only
def test_a_killed_init_is_put_back_by_the_next(killed: Path, uvflow: Command) -> None:
    done = uvflow("init", cwd=killed)
    assert done.code == 0
    assert done.err.startswith(
        "An earlier command was interrupted; what it had changed has been put"
    )
    assert (killed / "pyproject.toml").read_text() == MANIFEST


@posix_only
def test_a_killed_init_can_be_undone(killed: Path, uvflow: Command) -> None:
    assert uvflow("undo", cwd=killed).code == 0
    assert {path.name: path.read_text() for path in killed.iterdir()} == COMMON


@posix_only
@pytest.mark.parametrize("is_edited", [False, True])
def test_an_unknown_lockfile_goes_with_the_manifest_of_a_killed_init(
    killed: Path, uvflow: Command, *, is_edited: bool
) -> None:
    """The killed init had no time to note what uv wrote, or it is somebody else's."""
    (killed / "uv.lock").write_text("version = 1")
    if is_edited:
        (killed / "pyproject.toml").write_text("# mine")
    done = uvflow("undo", *(["--force"] if is_edited else []), cwd=killed)
    assert done.code == 0, done.err
    assert {path.name: path.read_text() for path in killed.iterdir()} == COMMON


@posix_only
def test_two_at_once_wait_for_each_other(tree: Tree, uvflow: Command, scripted: Scripted) -> None:
    root = tree(COMMON)
    with started(root, scripted("lock", WAITING)):
        before = everything(root)
        assert uvflow("init", "--timeout", "0.1", cwd=root).code == 6
        assert everything(root) == before


@posix_only
def test_a_full_disk_leaves_no_trace(tree: Tree, tmp_path: Path) -> None:
    root = tree({"requirements.txt": "".join(f"# {'x' * 80}\n" for _ in range(200)) + "six\n"})
    before = everything(root)
    done = subprocess.run(
        ["sh", "-c", "ulimit -f 8; exec uvflow init"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode in (1, 8)
    assert everything(root) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_told(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    before = everything(root)
    root.chmod(0o555)
    try:
        done = uvflow("init", cwd=root)
    finally:
        root.chmod(0o755)
    assert (done.code, done.err) == (
        8,
        f"error: {root / 'pyproject.toml'} cannot be written\n  cause: Permission denied\n",
    )
    assert everything(root) == before


def test_a_command_that_runs_in_the_environment_is_waited_for(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    assert uvflow("init", cwd=root).code == 0
    (root / "uv.lock").unlink()
    with leased(root / ".venv"):
        done = uvflow("init", "--timeout", "0.1", cwd=root)
    assert done.code == 6
    assert not (root / "uv.lock").exists()


def test_undo_puts_everything_back(tree: Tree, uvflow: Command) -> None:
    theirs = "[tool.ruff]\nline-length = 100\n"
    root = tree({**COMMON, "pyproject.toml": theirs})
    before = everything(root)
    uvflow("init", cwd=root)
    done = uvflow("undo", cwd=root)
    assert (done.code, done.err) == (
        0,
        "Put back: pyproject.toml\nRemoved: uv.lock, .venv\n",
    )
    assert everything(root) == before


def test_undo_does_not_lose_an_edit(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    uvflow("init", "--no-sync", cwd=root)
    with (root / "pyproject.toml").open("a") as file:
        file.write("# mine\n")
    done = uvflow("undo", cwd=root)
    assert (done.code, done.err) == (
        2,
        (
            "error: edited since: pyproject.toml\n"
            "hint: `uvflow undo --force` puts it back all the same, and the edits are lost\n"
        ),
    )
    assert uvflow("undo", "--force", cwd=root).code == 0
    assert {path.name for path in root.iterdir()} == {*COMMON}


def test_a_setup_script_that_reads_the_requirements_still_does(
    tree: Tree, index: Path, uvflow: Command
) -> None:
    add_installed(index, "setuptools")
    script = 'from setuptools import setup\nsetup(name="shop", version="2.1", py_modules=["shop"],'
    script += ' install_requires=open("requirements.txt").read().splitlines())\n'
    root = tree({**COMMON, "setup.py": script, "shop.py": ""})
    before = everything(root)
    done = uvflow("init", cwd=root)
    assert done.code == 0, done.err
    assert done.err.endswith("once everything works: requirements-dev.txt\n")
    assert {path: data for path, data in everything(root).items() if path in before} == before
    assert installed(root / ".venv") >= {"shop-2.1", "requests-2.28.0", "pytest-8.0.0"}
    assert uv("sync", "--locked", "--check", cwd=root).returncode == 0
    assert uvflow("undo", cwd=root).code == 0
    assert everything(root) == before


def test_time_passes(tree: Tree, uvflow: Command) -> None:
    """The inputs are not even touched."""
    root = tree(COMMON)
    before = (root / "requirements.txt").stat().st_mtime_ns
    time.sleep(0.01)
    uvflow("init", "--no-sync", cwd=root)
    assert (root / "requirements.txt").stat().st_mtime_ns == before


def test_no_network_where_one_is_needed_is_9(tree: Tree, uvflow: Command) -> None:
    root = tree(COMMON)
    before = everything(root)
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    done = uvflow("init", cwd=root, environ=nowhere)
    assert done.code == 9
    assert done.err.endswith(
        "error: `uv lock` needs the network, and could not reach it\n"
        "  cause: everything is as it was before\n"
        "hint: `--no-lock` writes pyproject.toml only, to try it with uv\n"
    )
    assert everything(root) == before
