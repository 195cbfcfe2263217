"""Faults of a machine and of a project, planted one by one, and what `uvflow doctor` says."""

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from locks import local, locked, manifest
from rig import MANIFEST, Command, Result, Tree
from wheels import build_wheel

from uvflow.docker.header import with_header
from uvflow.environment.context import SyncContext
from uvflow.onboarding.doctor import examine
from uvflow.project.manifest import Project
from uvflow.project.profiles import BUILT_IN, Choice
from uvflow.uv import find

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="scripts and modes of POSIX")


@pytest.fixture
def shop(tree: Tree, uvflow: Command) -> Path:
    root = tree({"pyproject.toml": MANIFEST, ".env.example": "A=1\nexport B = 2\n"})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    assert uvflow("setup", cwd=root).code == 0
    return root


def findings(uvflow: Command, root: Path, environ: Mapping[str, str] | None = None) -> Any:
    done = uvflow("doctor", "--json", cwd=root, environ=environ)
    found = json.loads(done.out)["findings"]
    severities = {finding["severity"] for finding in found}
    assert done.code == bool(severities & {"warning", "error"})
    return [(one["code"], one["message"], one["hint"]) for one in found]


def test_where_all_is_well_it_says_how_much_it_has_checked(shop: Path, uvflow: Command) -> None:
    assert uvflow("doctor", cwd=shop) == Result(0, "14 of 14 checks passed\n", "")
    assert uvflow("doctor", "--offline", cwd=shop) == Result(0, "13 of 13 checks passed\n", "")


def test_details_are_shown_where_there_is_trouble(shop: Path, uvflow: Command) -> None:
    (shop / ".env").write_text("A=2\n")
    assert uvflow("doctor", cwd=shop) == Result(
        1,
        "13 of 14 checks passed\n"
        "  .env  out of sync  B is in .env.example only\n"
        "                     hint: set it in .env\n",
        "",
    )


def test_an_env_file_of_empty_lines_is_read_line_by_line(shop: Path, uvflow: Command) -> None:
    (shop / ".env").write_text("\n" * 1_000_000 + "A=2\n\texport  B =3\n")
    assert findings(uvflow, shop) == []


def test_no_environment(shop: Path, uvflow: Command) -> None:
    shutil.rmtree(shop / ".venv")
    assert findings(uvflow, shop) == [
        ("environment-not-synced", "there is no .venv", "`uvflow sync`")
    ]


def test_a_damaged_environment(shop: Path, uvflow: Command) -> None:
    next(shop.rglob("six-*.dist-info/RECORD")).unlink()
    ((code, _, hint),) = findings(uvflow, shop)
    assert (code, hint) == ("files-damaged", "`uvflow sync` repairs it")


def test_an_environment_from_elsewhere(shop: Path, uvflow: Command) -> None:
    moved = shop.rename(shop.with_name("moved"))
    codes = [code for code, _, _ in findings(uvflow, moved)]
    assert "environment-from-elsewhere" in codes


def test_a_stale_lockfile(shop: Path, uvflow: Command) -> None:
    (shop / "pyproject.toml").write_text(MANIFEST.replace("1.16.0", "1.15.0"))
    code, message, hint = findings(uvflow, shop)[0]
    assert (code, hint) == ("lockfile-not-current", "`uv lock` updates the lockfile")
    assert "six" in message


def test_a_uv_that_is_too_old_for_the_project(shop: Path, uvflow: Command) -> None:
    required = MANIFEST + '[tool.uv]\nrequired-version = ">=99"\n'
    (shop / "pyproject.toml").write_text(required)
    codes = [code for code, _, _ in findings(uvflow, shop)]
    assert "uv-unusable" in codes
    assert "index-unusable" not in codes


def test_no_uv_at_all(shop: Path, uvflow: Command) -> None:
    found = findings(uvflow, shop, {"UVFLOW_UV": str(shop / "none")})
    assert [code for code, _, _ in found] == ["uv-unusable"]


@posix_only
def test_a_shim_that_does_not_run(shop: Path, uvflow: Command) -> None:
    shim = shop / "shims" / "uv"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexit 1\n")
    shim.chmod(0o755)
    found = findings(uvflow, shop, {"PATH": f"{shim.parent}:{os.environ['PATH']}"})
    ((_, message, _),) = [one for one in found if one[0] == "uv-does-not-run"]
    assert message.startswith(f"{shim} comes before ")


def test_a_variable_that_the_profile_overrules(shop: Path, uvflow: Command) -> None:
    assert findings(uvflow, shop, {"UV_NO_DEV": "1"}) == [
        ("variable-without-effect", "UV_NO_DEV has no effect: the profile decides", None)
    ]


def test_no_lockfile(shop: Path, uvflow: Command) -> None:
    (shop / "uv.lock").unlink()
    assert findings(uvflow, shop) == [
        (
            "lockfile-not-current",
            f"no uv.lock in {shop}",
            "`uv lock` makes one; `uvflow init` first where there are requirements files",
        )
    ]


def test_a_lockfile_that_cannot_be_read(shop: Path, uvflow: Command) -> None:
    (shop / "uv.lock").write_text("[[package\n")
    assert {code for code, _, _ in findings(uvflow, shop)} >= {"lockfile-not-current"}


def test_a_lockfile_of_a_newer_uv_is_one_finding(shop: Path, uvflow: Command) -> None:
    lockfile = shop / "uv.lock"
    lockfile.write_text(lockfile.read_text().replace("version = 1\n", "version = 99\n", 1))
    ((code, _, hint),) = findings(uvflow, shop)
    assert (code, hint) == (
        "lockfile-not-current",
        "`uv self update`, or name another uv in UVFLOW_UV",
    )


def test_a_lockfile_with_no_wheel_for_this_machine(shop: Path, uvflow: Command) -> None:
    (shop / "wheels").mkdir()
    wheel = build_wheel(shop / "wheels", "moon", "1.0")
    wheel.rename(wheel.with_name("moon-1.0-py3-none-win_arm64.whl"))
    edited = MANIFEST.replace('"six==1.16.0"', '"six==1.16.0", "moon"')
    (shop / "pyproject.toml").write_text(edited + '\n[tool.uv]\nfind-links = ["wheels"]\n')
    subprocess.run(["uv", "lock", "-q"], cwd=shop, check=True)
    ((code, message, hint),) = findings(uvflow, shop)
    assert code == "environment-not-synced"
    assert "doesn't have a source distribution or wheel for the current platform" in message
    assert "`moon` (v1.0) only has wheels" in hint
    assert uvflow("doctor", "--fix", cwd=shop).err == ""


def test_a_python_that_is_not_there(shop: Path, uvflow: Command) -> None:
    ((code, message, hint),) = findings(uvflow, shop, {"UV_PYTHON": "3.99"})
    assert (code, hint) == ("lockfile-not-current", "`uv python install`")
    assert "No interpreter found for Python 3.99" in message


def test_a_variable_that_makes_uv_fail(shop: Path, uvflow: Command) -> None:
    ((code, message, _),) = findings(uvflow, shop, {"UV_INDEX_STRATEGY": "best"})
    assert (code, message) == (
        "lockfile-not-current",
        "uv cannot check it: invalid value 'best' for '--index-strategy <INDEX_STRATEGY>'",
    )


@posix_only
def test_a_state_that_others_can_write_to(shop: Path, uvflow: Command, tmp_path: Path) -> None:
    state = tmp_path / "exposed"
    state.mkdir()
    state.chmod(0o777)
    done = uvflow("doctor", cwd=shop, environ={"UVFLOW_CACHE_DIR": str(state)})
    assert done.code == 8
    assert f"hint: `chmod go-w {state}` if only you have written there" in done.err


@posix_only
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_of_uv_that_cannot_be_written(shop: Path, uvflow: Command, tmp_path: Path) -> None:
    cache = tmp_path / "read-only"
    cache.mkdir(mode=0o500)
    found = findings(uvflow, shop, {"UV_CACHE_DIR": str(cache)})
    assert ("directory-not-writable", f"{cache} cannot be written") in [one[:2] for one in found]


@posix_only
def test_nothing_that_exists_changes_its_owner_for_what_is_to_be_made(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an environment in /venv, that would be `/`."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: str(place) != "/" and access(place, mode))
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", "/venv")
    context = SyncContext.of(Project.load(shop), Choice(profile=BUILT_IN["dev"]))
    checks = examine(context, is_offline=True)
    assert [(one.message, one.hint) for one in checks if one.aspect == "directories"] == [
        ("/ cannot be written", '`sudo install -d -o "$(id -u)" /venv`')
    ]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs another file system")  # noqa: S108
def test_a_cache_on_another_file_system_is_a_note(shop: Path, uvflow: Command) -> None:
    cache = f"/dev/shm/{shop.parent.name}-is-not-there"  # noqa: S108
    assert findings(uvflow, shop, {"UV_CACHE_DIR": cache}) == [
        (
            "cache-not-linked",
            f"uv copies instead of linking: its cache {cache} is on another file system",
            "let UV_CACHE_DIR name a directory on the same one",
        )
    ]
    shutil.rmtree(cache, ignore_errors=True)


def test_an_index_that_asks_for_a_login(shop: Path, uvflow: Command) -> None:
    """A server that refuses everybody, in a thread."""
    with serving(401) as url:
        lockfile = shop / "uv.lock"
        lockfile.write_text(lockfile.read_text().replace(os.environ["UV_DEFAULT_INDEX"], url))
        store = {"XDG_DATA_HOME": str(shop.parent / "logins")}  # uv's, where it looks for one
        found = findings(uvflow, shop, {"UV_DEFAULT_INDEX": url, **store})
    assert "an index of uv.lock does not accept the login" in [message for _, message, _ in found]


@contextlib.contextmanager
def serving(status: int) -> Iterator[str]:
    class Refusal(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_an_index_that_cannot_be_reached_is_excused(shop: Path, uvflow: Command) -> None:
    lockfile = shop / "uv.lock"
    text = lockfile.read_text().replace(os.environ["UV_DEFAULT_INDEX"], "http://127.0.0.1:9/simple")
    lockfile.write_text(text)
    index = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}
    uvflow("sync", cwd=shop, environ={**index, "UV_OFFLINE": "1"})
    done = uvflow("doctor", cwd=shop, environ=index)
    assert "  unknown  an index of uv.lock could not be reached: " in done.out
    assert "http://127.0.0.1:9/simple/six/" in done.out


def test_a_step_of_setup_that_is_due(shop: Path, uvflow: Command) -> None:
    (shop / ".env").unlink()
    assert findings(uvflow, shop) == [
        ("setup-not-done", ".env is due: .env does not exist", "`uvflow setup`")
    ]


def test_a_dockerfile_that_has_drifted(tree: Tree, uvflow: Command) -> None:
    text = manifest(rest='[tool.uvflow.docker]\ncommand = ["serve"]\n')
    root = tree({"pyproject.toml": text, "uv.lock": locked(local("shop"))})
    assert uvflow("docker", cwd=root).code == 0
    (root / "pyproject.toml").write_text(text.replace("serve", "other"))
    assert findings(uvflow, root)[-1] == (
        "dockerfile-not-current",
        "the files of the image do not match today's facts",
        "`uvflow docker --check` says more",
    )


def test_an_image_with_another_python_than_the_environment(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    options = {"python": "3.9"}
    (shop / "Dockerfile").write_text(with_header("FROM scratch\n", options, ()))
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert findings(uvflow, shop)[-1] == (
        "image-python-differs",
        f"the image has Python 3.9, and .venv {here}",
        f"`uvflow docker --python={here}`",
    )


def test_hooks_without_a_uvflow_on_path(shop: Path, uvflow: Command) -> None:
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    uvflow("sync", cwd=shop)
    assert uvflow("hook", "install", cwd=shop).code == 0
    path = os.environ["PATH"].split(os.pathsep)
    without = os.pathsep.join(place for place in path if not (Path(place) / "uvflow").exists())
    done = uvflow("doctor", cwd=shop, environ={"PATH": without, "UVFLOW_UV": find().path})
    assert "the git hooks of uvflow do nothing: uvflow is not on PATH" in done.out
    assert "hooks" not in uvflow("doctor", cwd=shop).out


def test_a_fault_of_the_configuration_is_2(shop: Path, uvflow: Command) -> None:
    with (shop / "pyproject.toml").open("a") as file:
        file.write('[tool.uvflow]\ndefault-profle = "dev"\n')
    done = uvflow("doctor", cwd=shop)
    assert done.code == 2
    assert done.err.endswith("hint: did you mean `default-profile`?\n")


def test_fix_syncs_where_that_mends_something(shop: Path, uvflow: Command) -> None:
    assert "Fix" not in uvflow("doctor", "--fix", cwd=shop).err
    next(shop.rglob("six-*.dist-info/RECORD")).unlink()
    done = uvflow("doctor", "--fix", cwd=shop)
    assert (done.code, done.out) == (0, "14 of 14 checks passed\n")
    assert done.err.startswith("Fix: uvflow sync\n")


def test_fix_does_not_sync_with_a_stale_lockfile(shop: Path, uvflow: Command) -> None:
    (shop / "uv.lock").unlink()
    shutil.rmtree(shop / ".venv")
    done = uvflow("doctor", "--fix", cwd=shop)
    assert (done.code, done.err) == (1, "")


@posix_only
def test_no_code_of_the_project_is_started(shop: Path, uvflow: Command) -> None:
    """Neither an interpreter that is a file of the checkout, nor what it runs at its start."""
    shutil.rmtree(shop / ".venv")
    fake = shop / ".venv/bin/python"
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\ntouch {shop}/started\n")
    fake.chmod(0o755)
    (shop / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    with (shop / "pyproject.toml").open("a") as file:
        file.write(f'[tool.uv.pip]\npython = "{fake}"\n')
    uvflow("doctor", cwd=shop)
    assert not (shop / "started").exists()


def test_an_endless_file_of_variables_is_not_read(tree: Tree, uvflow: Command) -> None:
    root = tree({"pyproject.toml": MANIFEST, ".env.example": "A=\n" * 400_000, ".env": "B=\n"})
    done = uvflow("doctor", "--offline", cwd=root)
    assert "More than 1,048,576 bytes" in done.out
