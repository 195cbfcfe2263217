"""`uvflow run`, as installed: the right environment, and nobody changes it meanwhile."""

import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rig import BIN, MANIFEST, Command, Tree, by_click

from uvflow.state.store import State

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

SHOW = "import os, sys; print(sys.prefix, os.environ['VIRTUAL_ENV'], os.environ['PATH'])"
HOLD = "print('running', flush=True); input()"


@pytest.fixture
def shop(tree: Tree) -> Path:
    root = tree({"pyproject.toml": MANIFEST})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    return root


SYNC = (BIN / "uvflow", "sync", "--prod")


@contextlib.contextmanager
def waiting_sync(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """A `uvflow sync --prod`, from when it says that it waits for a command to end."""
    with subprocess.Popen(SYNC, cwd=root, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("Waiting for a command to end: ")
        yield waiting


@pytest.fixture
def running(shop: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command that runs under `uvflow run --dev` until it reads a line."""
    with subprocess.Popen(
        [BIN / "uvflow", "run", "--dev", "python", "-c", HOLD],
        cwd=shop,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        yield process
        process.kill()


def test_a_command_is_not_run_in_an_environment_that_path_cannot_name(
    shop: Path, uvflow: Command
) -> None:
    """Another Python would run, with exit code 0."""
    shop = shop.rename(shop.with_name("a:b"))
    assert uvflow("sync", cwd=shop).code == 0
    problem = f"{shop / '.venv'} cannot be on PATH, which is split at `:`"
    for words in (("run", "python", "-c", SHOW), ("activate", "bash")):
        done = uvflow(*words, cwd=shop)
        assert (done.code, done.out, done.err.splitlines()[0]) == (2, "", f"error: {problem}")


def test_the_command_runs_in_the_synced_environment(shop: Path, uvflow: Command) -> None:
    done = uvflow("run", "python", "-c", SHOW, cwd=shop)
    prefix, virtual_env, path = done.out.split(maxsplit=2)
    assert prefix == virtual_env == str(shop / ".venv")
    assert path.split(os.pathsep)[0] == str(shop / ".venv" / "bin")


@pytest.mark.parametrize("code", [0, 1, 3, 77])
def test_the_exit_code_is_the_commands_own(shop: Path, uvflow: Command, code: int) -> None:
    assert uvflow("run", "python", "-c", f"exit({code})", cwd=shop).code == code


def test_what_follows_the_command_is_its_own(shop: Path, uvflow: Command) -> None:
    code = "import sys; print(sys.argv[1:])"
    done = uvflow("run", "--dev", "--", "python", "-c", code, "--prod", "-v", "--", "x", cwd=shop)
    assert done.out == "['--prod', '-v', '--', 'x']\n"


def test_a_script_runs_with_the_environments_python(shop: Path, uvflow: Command) -> None:
    (shop / "manage.py").write_text("import sys; print(sys.prefix, sys.argv)")
    done = uvflow("run", "manage.py", "check", cwd=shop)
    assert done.out == f"{shop / '.venv'} ['manage.py', 'check']\n"


def test_prod_stays_prod(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--prod", cwd=shop)
    assert uvflow("run", "python", "-c", "import six, iniconfig", cwd=shop).code == 1
    assert uvflow("run", "python", "-c", "import six", cwd=shop).code == 0


def test_run_does_not_choose_the_profile_of_the_next_command(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--dev", cwd=shop)
    uvflow("run", "--prod", "python", "-c", "pass", cwd=shop)
    assert uvflow("run", "python", "-c", "import iniconfig", cwd=shop).code == 0
    assert uvflow("sync", cwd=shop).err == "Already in sync: dev (as last time)\n"


def test_the_env_file_is_read_as_uv_reads_it(shop: Path, uvflow: Command) -> None:
    (shop / "pyproject.toml").write_text(
        MANIFEST + '\n[tool.uvflow.profiles.dev]\nenv-file = ".env"\n'
    )
    for greeting in ("hello", "good night"):
        (shop / ".env").write_text(f"export GREETING='{greeting} ${{HOME}}'\n")
        done = uvflow("run", "python", "-c", "import os; print(os.environ['GREETING'])", cwd=shop)
        assert done.out == f"{greeting} ${{HOME}}\n"


@pytest.mark.parametrize("name", ["UV_ISOLATED", "UV_PROJECT", "UV_WORKING_DIR"])
def test_with_an_env_file_the_environment_is_that_of_the_profile(
    shop: Path, uvflow: Command, name: str
) -> None:
    manifest = MANIFEST + '\n[tool.uvflow.profiles.dev]\nenv-file = ".env"\n'
    (shop / "pyproject.toml").write_text(manifest)
    (shop / ".env").touch()
    (shop / "1").mkdir()
    code = "import os; print(os.environ['VIRTUAL_ENV'], os.getcwd())"
    done = uvflow("run", "python", "-c", code, cwd=shop, environ={name: "1"})
    assert done.out == f"{shop / '.venv'} {shop}\n"


@pytest.mark.parametrize("name", ["../secrets", "link", "/proc/self/environ"])
def test_an_env_file_outside_of_the_workspace_is_not_read(
    shop: Path, uvflow: Command, name: str
) -> None:
    (shop.parent / "secrets").write_text("TOKEN=secret\n")
    (shop / "link").symlink_to("../secrets")
    (shop / "pyproject.toml").write_text(
        MANIFEST + f'\n[tool.uvflow.profiles.dev]\nenv-file = "{name}"\n'
    )
    done = uvflow("run", "--", "env", cwd=shop)
    assert done.code == 2
    assert f"{shop / name} of the profile `dev` leads out of the workspace\n" in done.err
    assert "secret" not in (done.out + done.err).replace("secrets", "")


def test_a_missing_env_file_is_2(shop: Path, uvflow: Command) -> None:
    (shop / "pyproject.toml").write_text(
        MANIFEST + '\n[tool.uvflow.profiles.dev]\nenv-file = ".env"\n'
    )
    done = uvflow("run", "python", cwd=shop)
    assert done.code == 2
    expected = f"error: the env-file {shop / '.env'} of the profile `dev` does not exist\n"
    assert done.err.endswith(expected)


def test_a_missing_command_is_2(shop: Path, uvflow: Command) -> None:
    done = uvflow("run", "no-such-command", cwd=shop)
    assert done.code == 2
    assert "error: `no-such-command` is neither in .venv nor on PATH\n" in done.err
    assert "hint: `uv add NAME` adds the package that provides it; " in done.err


@pytest.mark.parametrize("words", [("-m",), ("--", "-m"), ("--dev", "-m")])
def test_a_module_is_run_by_python(shop: Path, uvflow: Command, words: tuple[str, ...]) -> None:
    done = uvflow("run", *words, "platform", cwd=shop)
    assert done.code == 0
    assert done.out.startswith(platform.system())


def test_a_sync_that_would_change_the_environment_waits(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    done = uvflow("sync", "--prod", "--timeout", "0.7", cwd=shop)
    assert done.code == 6
    expected = f"Waiting for a command to end: `uvflow run python` (pid {running.pid}, for "
    assert done.err.startswith(expected)
    assert list(shop.glob(".venv/lib/*/site-packages/iniconfig"))


def test_beside_a_command_an_edited_configuration_is_not_in_sync(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    configuration, text = shop / ".venv" / "pyvenv.cfg", "include-system-site-packages = "
    before = configuration.read_text()
    configuration.write_text(before.replace(f"{text}false", f"{text}true"))
    assert uvflow("sync", "--dev", "--timeout", "0", cwd=shop).code == 6
    running.communicate("\n")
    assert uvflow("sync", "--dev", cwd=shop).code == 0
    assert configuration.read_text() == before


def test_a_sync_continues_once_the_command_has_ended(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    running.communicate("\n")
    assert running.returncode == 0
    assert uvflow("sync", "--prod", "--timeout", "0", cwd=shop).code == 0


def test_a_killed_command_frees_the_environment(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    running.kill()
    running.wait()
    assert uvflow("sync", "--prod", "--timeout", "0", cwd=shop).code == 0


def test_a_child_that_outlives_its_command_keeps_the_environment(
    shop: Path, uvflow: Command
) -> None:
    child = "for i in $(seq 400); do [ -e over ] && exit; sleep 0.1; done > /dev/null 2>&1 &"
    uvflow("run", "--dev", "sh", "-c", child, cwd=shop)
    assert uvflow("sync", "--prod", "--timeout", "0", cwd=shop).code == 6
    (shop / "over").touch()
    assert uvflow("sync", "--prod", cwd=shop).code == 0


def test_a_child_that_outlives_its_command_is_named_by_its_pid(shop: Path, uvflow: Command) -> None:
    script = "sleep 40 > /dev/null 2>&1 & echo $!"
    pid = int(uvflow("run", "--dev", "sh", "-c", script, cwd=shop).out)
    done = uvflow("sync", "--prod", "--timeout", "0", cwd=shop)
    os.kill(pid, signal.SIGKILL)
    assert done.code == 6
    assert re.fullmatch(
        rf"error: a command is running in {shop / '.venv'}\n"
        rf"  cause: process {pid}, started by `uvflow run sh`\n"
        r"hint: .*\n",
        done.err,
    )


# Python's subprocess closes the descriptors that the command has inherited.
CALL = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"


@pytest.mark.parametrize("caller", [("sh", "-c", '"$@"', "sh"), ("python", "-c", CALL)])
@pytest.mark.parametrize("inner", [("sync", "--prod"), ("run", "--prod", "--", "python", "-c", "")])
def test_a_command_may_change_its_own_environment(
    shop: Path, uvflow: Command, caller: tuple[str, ...], inner: tuple[str, ...]
) -> None:
    words = (*caller, str(BIN / "uvflow"), *inner, "--timeout", "0")
    if inner[0] == "run":
        words = (*caller, str(BIN / "uvflow"), "run", "--timeout", "0", *inner[1:])
    done = uvflow("run", "--dev", "--", *words, cwd=shop)
    assert done.code == 0, done.err
    assert not list(shop.glob(".venv/lib/*/site-packages/iniconfig"))


def test_a_command_may_repair_its_own_environment(shop: Path, uvflow: Command) -> None:
    script = "rm .venv/lib/*/site-packages/six/__init__.py; exec uvflow verify --repair --timeout 0"
    environ = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = uvflow("run", "--dev", "--", "sh", "-c", script, cwd=shop, environ=environ)
    assert (done.code, done.out.splitlines()[-1:]) == (0, ["Repaired: dev (by default); six"]), done


def test_a_command_waits_for_another_before_it_changes_the_environment(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    inner = (BIN / "uvflow", "sync", "--prod", "--timeout", "0")
    done = uvflow("run", "--dev", "--", *inner, cwd=shop)
    assert done.code == 6
    assert f"`uvflow run python` (pid {running.pid}, for " in done.err


def test_a_command_may_sync_while_a_sync_waits_for_it(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    with waiting_sync(shop) as waiting:
        leases = Path(f"/proc/{running.pid}/environ").read_text().split("\0")
        environ = dict(
            variable.split("=", 1) for variable in leases if "UVFLOW_LEASES=" in variable
        )
        done = uvflow("sync", "--dev", "--timeout", "0.2", cwd=shop, environ=environ)
        assert (done.code, done.err) == (0, "Already in sync: dev\n")
        assert uvflow("run", "--dev", "--timeout", "0.2", "python", "-c", "", cwd=shop).code == 0
        running.communicate("\n")
        assert waiting.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_waits_leaves_nothing(
    shop: Path, running: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    state = State.of(shop).directory
    before = {path.name for path in state.iterdir()}
    assert running.poll() is None
    with waiting_sync(shop) as waiting:
        waiting.send_signal(number)
        assert waiting.wait() == 128 + number
    assert {path.name for path in state.iterdir()} == before
    assert list(shop.glob(".venv/lib/*/site-packages/iniconfig"))


def test_more_commands_of_the_same_profile_run_beside_it(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    assert running.poll() is None
    assert uvflow("run", "--timeout", "0", "python", "-c", "import six", cwd=shop).code == 0
    (shop / "pyproject.toml").write_text(MANIFEST + "# nothing that matters to an environment\n")
    assert uvflow("run", "--timeout", "0", "python", "-c", "import six", cwd=shop).code == 0


def test_leases_of_ended_commands_do_not_pile_up(shop: Path, uvflow: Command) -> None:
    for _ in range(3):
        uvflow("run", "python", "-c", "pass", cwd=shop)
    assert len(list(State.of(shop).directory.glob("*.lease.*"))) == 1


def test_environments_of_their_own_do_not_wait_for_each_other(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    environ: Mapping[str, str] = {"UV_PROJECT_ENVIRONMENT": ".venv-prod"}
    assert running.poll() is None
    done = uvflow("sync", "--prod", "--timeout", "0", cwd=shop, environ=environ)
    assert done.code == 0, done.err


def test_a_sync_that_waits_keeps_nobody_from_another_environment(
    shop: Path, uvflow: Command, running: "subprocess.Popen[str]"
) -> None:
    with waiting_sync(shop) as waiting:
        environ = {"UV_PROJECT_ENVIRONMENT": ".venv-other"}
        done = uvflow("sync", "--prod", "--timeout", "0", cwd=shop, environ=environ)
        assert done.code == 0, done.err
        running.communicate("\n")
        assert waiting.wait() == 0


@pytest.mark.parametrize(
    "words",
    [
        ("sh", "-c", "env | grep -Ev '^(UVFLOW_LEASES|_|COLUMNS|LINES)=' | sort; pwd; echo $0"),
        ("python", "-c", SHOW),
        ("python", "-c", "raise SystemExit(3)"),
        ("manage.py", "check"),
        ("./tool", "x"),
        ("no-such-command",),
        ("./manage.py",),  # no program
    ],
)
def test_the_short_path_runs_what_the_long_one_runs(
    shop: Path, uvflow: Command, words: tuple[str, ...]
) -> None:
    (shop / "manage.py").write_text("import sys; print(sys.prefix, sys.argv)")
    (shop / "tool").write_text("#!/bin/sh\necho $0 $*\n")
    (shop / "tool").chmod(0o755)
    uvflow("sync", cwd=shop)
    for options in ((), ("--dev", "-q", "--"), ("--json", "--timeout", "0")):
        line = ("run", *options, *words)
        assert uvflow(*line, cwd=shop) == by_click(*line, cwd=shop)


def modules_loaded(shop: Path, *words: str) -> set[str]:
    line = [sys.executable, "-X", "importtime", "-m", "uvflow", *words]
    done = subprocess.run(line, cwd=shop, capture_output=True, text=True, check=True)
    return {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}


def test_the_short_path_loads_little(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    slow = {"click", "dataclasses", "filelock", "re", "pathlib", "json"}
    assert not slow & modules_loaded(shop, "run", "--dev", "--", "true")
    assert "pathlib" in modules_loaded(shop, "run", "--prod", "--", "true")


def test_a_state_that_others_can_write_to_is_refused_in_sync_too(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", cwd=shop)
    State.of(shop).directory.chmod(0o777)
    assert uvflow("run", "true", cwd=shop).code == 8
