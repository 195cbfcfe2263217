import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from rig import is_running

from uvflow import process, uv
from uvflow.errors import StaleLockfileError, UsageError, UvflowError, UvMissingError
from uvflow.process import Completed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")


def script(directory: Path, text: str) -> str:
    """A program named uv that does what the shell script `text` says."""
    directory.mkdir(exist_ok=True)
    path = directory / "uv"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def uv_with_version(directory: Path, version: str) -> str:
    return script(directory, f"echo 'uv {version} (a test)'")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("uv.toml", UsageError),
            (".python-version", UsageError),
            ("uv.lock", StaleLockfileError),
        ),
        *(("pyproject.toml", UsageError), (".venv/pyvenv.cfg", UsageError)),
    ],
)
def test_uv_is_not_started_where_it_would_wait_for_a_pipe(
    tmp_path: Path, name: str, kind: type[UvflowError]
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    (tmp_path / "below").mkdir()
    found = uv.Uv(path=uv_with_version(tmp_path / "a", "0.13.9"), version="0.13.9")
    for act in (found.capture, found.run):
        with pytest.raises(UvflowError) as caught:
            act(("sync",), cwd=tmp_path / "below")
        assert (type(caught.value), caught.value.message) == (
            kind,
            f"{tmp_path / name} cannot be read",
        )


def test_uv_is_not_started_on_a_directory_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").mkdir()
    with pytest.raises(StaleLockfileError, match=r"uv\.lock cannot be read"):
        uv.check_readable([tmp_path])


def test_uv_is_not_started_on_a_device(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").symlink_to("/dev/zero")
    with pytest.raises(StaleLockfileError):
        uv.check_readable([tmp_path])


def test_uvflow_uv_comes_first(tmp_path: Path) -> None:
    chosen, other = (
        uv_with_version(tmp_path / "a", "0.13.9"),
        uv_with_version(tmp_path / "b", "0.12.0"),
    )
    assert uv.find({"UVFLOW_UV": chosen, "UV": other}).path == chosen


def test_the_uv_that_started_us_comes_before_path(tmp_path: Path) -> None:
    parent = uv_with_version(tmp_path / "a", "0.13.9")
    uv_with_version(tmp_path / "b", "0.12.0")
    found = uv.find({"UV": parent, "PATH": str(tmp_path / "b")})
    assert (found.path, found.version) == (parent, "0.13.9")


def test_a_broken_shim_on_path_is_skipped(tmp_path: Path) -> None:
    script(tmp_path / "shims", "echo 'pyenv: uv: command not found' >&2; exit 127")
    real = uv_with_version(tmp_path / "bin", "0.13.9")
    path = os.pathsep.join(("", str(tmp_path / "shims"), str(tmp_path / "bin")))
    assert uv.find({"PATH": path}).path == real


def test_without_path_the_uv_package_is_used() -> None:
    found = uv.find({"PATH": ""})
    assert Path(found.path).name == "uv"
    assert found.version


def test_a_chosen_uv_that_does_not_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        UvMissingError, match=r"UVFLOW_UV names .*nowhere, which does not run as uv"
    ):
        uv.find({"UVFLOW_UV": str(tmp_path / "nowhere")})


def test_a_relative_uvflow_uv_is_of_the_directory_it_was_set_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = uv_with_version(tmp_path / "a", "0.13.9")
    monkeypatch.chdir(tmp_path)
    assert uv.find({"UVFLOW_UV": "./a/uv"}).path == chosen
    assert uv.find({"UV": "a/uv"}).path == chosen


def test_a_name_in_uvflow_uv_is_a_program_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv_with_version(tmp_path / "project", "0.12.0")
    chosen = uv_with_version(tmp_path / "bin", "0.13.9")
    monkeypatch.chdir(tmp_path / "project")
    assert uv.find({"UVFLOW_UV": "uv", "PATH": str(tmp_path / "bin")}).path == chosen


@pytest.mark.parametrize("entry", ["", ".", "bin", "./bin"])
def test_uv_is_not_looked_for_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    for directory in (tmp_path, tmp_path / "bin"):
        script(directory, f"touch {tmp_path}/ran; echo 'uv 0.13.9'")
    real = uv_with_version(tmp_path / "real", "0.13.9")
    monkeypatch.chdir(tmp_path)
    assert uv.find({"PATH": os.pathsep.join((entry, str(tmp_path / "real")))}).path == real
    assert not (tmp_path / "ran").exists()


def test_an_old_uv_is_an_error_that_names_it(tmp_path: Path) -> None:
    old = uv_with_version(tmp_path / "a", "0.8.22")
    with pytest.raises(UvMissingError) as caught:
        uv.find({"UVFLOW_UV": old})
    assert caught.value.message == "uv 0.8.22 is too old: uvflow needs uv 0.9 or later"
    assert caught.value.cause == f"found at {old}"
    assert caught.value.exit_code == 7


def test_capture_returns_both_streams(tmp_path: Path) -> None:
    path = script(tmp_path / "a", 'echo "out $1"; echo err >&2; exit 3')
    completed = uv.Uv(path=path, version="0.13.9").capture(("lock",), cwd=tmp_path)
    assert completed == process.Completed(code=3, out="out lock\n", err="err\n")


def test_run_does_not_change_the_output_and_leaves_stdout_to_data(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = script(tmp_path / "a", "echo out; echo err >&2; exit 2")
    streamed = uv.Uv(path=path, version="0.13.9").run(("sync",), cwd=tmp_path)
    assert streamed == Completed(code=2, err="out\nerr\n")
    assert capfd.readouterr() == ("", "out\nerr\n")


def test_secrets_in_the_output_are_hidden_and_nothing_else_changes(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = r"get https://me:p/w@h/x?token=a\n\033[1m\303\251 \351\n\tno end"
    path = script(tmp_path / "a", f"printf '{output}'")
    uv.Uv(path=path, version="0.13.9").run(("sync",), cwd=tmp_path)
    assert capfdbinary.readouterr().err == (
        b"get https://****@h/x?token=****\n\x1b[1m\xc3\xa9 \xe9\n\tno end"
    )


@pytest.mark.parametrize(
    "output",
    [
        "error: Failed to fetch\n  cause: client error (Connect)\n  cause: dns error\n",
        "  cause: Remote Git fetches are not allowed because network connectivity is disabled",
        "fatal: unable to access 'https://h/r.git/': Could not resolve host: h\n",
        "fatal: unable to access 'https://h/r.git/': Failed to connect to h port 443 after 0 ms",
        "ssh: Could not resolve hostname h: Name or service not known\n",
        "ssh: connect to host h port 22: Connection timed out\n",
    ],
)
def test_a_network_failure_has_its_own_exit_code(output: str) -> None:
    assert uv.failure_of(Completed(code=1, err=output), "uv sync").exit_code == 9


@pytest.mark.parametrize(
    "output",
    [
        "  cause: failed to create directory `/p/.venv`: Read-only file system (os error 30)",
        "error: failed to write to file `/c/CACHEDIR.TAG`: No space left on device (os error 28)",
        "OSError: [Errno 28] No space left on device: 'build'",
    ],
)
def test_a_write_that_is_denied_inside_uv_has_the_code_of_the_disk(output: str) -> None:
    assert uv.failure_of(Completed(code=2, err=output), "uv sync").exit_code == 8


def test_a_network_that_is_not_permitted_is_a_network_failure() -> None:
    output = "cause: client error (Connect)\n  cause: Operation not permitted (os error 1)"
    assert uv.failure_of(Completed(code=2, err=output), "uv sync").exit_code == 9


@pytest.mark.parametrize(
    "output",
    [
        "HTTP status client error (401 Unauthorized) for url (https://h/x)",
        "hint: An index URL (https://h) could not be queried (403 Forbidden)",
        "hint: An index (https://h) returned a 403 Forbidden error. Check",
    ],
)
def test_a_login_that_is_missing_has_a_hint(output: str) -> None:
    failure = uv.failure_of(Completed(code=1, err=output), "uv sync")
    assert (failure.exit_code, "`uv auth login" in str(failure.hint)) == (1, True)


def test_other_failures_are_uvs() -> None:
    assert (
        uv.failure_of(Completed(code=1, err="error: No solution found"), "uv sync").exit_code == 1
    )


def test_a_process_that_outlives_uv_does_not_delay_uvflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "_LAST_OUTPUT_SECONDS", 0.1)
    path = script(tmp_path / "a", "sleep 30 & echo done")
    began = time.monotonic()
    assert uv.Uv(path=path, version="0.13.9").run((), cwd=tmp_path).code == 0
    assert time.monotonic() - began < 10
    assert capfd.readouterr().err == "done\n"


def test_uv_looks_for_no_python_in_the_current_directory(tmp_path: Path) -> None:
    path = script(tmp_path / "a", 'echo "[$PATH]"')
    searched = os.pathsep.join((".", "/usr/bin", "", "tools", "/bin"))
    completed = uv.Uv(path=path, version="0.13.9").capture(
        (), cwd=tmp_path, environ={"PATH": searched}
    )
    assert completed.out == "[/usr/bin:/bin]\n"


def test_an_activated_environment_is_hidden_from_uv(tmp_path: Path) -> None:
    path = script(tmp_path / "a", 'echo "[$VIRTUAL_ENV]"')
    completed = uv.Uv(path=path, version="0.13.9").capture(
        (), cwd=tmp_path, environ={"VIRTUAL_ENV": "/x"}
    )
    assert completed.out == "[]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_uv_and_is_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    """The scripted uv takes a moment to clean up; uvflow must not exit before it."""
    path = script(
        tmp_path / "a",
        f"trap 'sleep 0.3; echo cleaned > {tmp_path}/done; exit 1' INT TERM HUP\n"
        f"echo started > {tmp_path}/started\nwhile :; do sleep 0.05; done",
    )
    code = textwrap.dedent(f"""
        from pathlib import Path
        from uvflow import uv
        from uvflow.errors import InterruptedBySignalError
        try:
            uv.Uv(path={path!r}, version="0.13.9").run((), cwd=Path("."))
        except InterruptedBySignalError as error:
            print(error.exit_code)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
        process.send_signal(number)
        try:
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert int(out) == 128 + number
    assert (tmp_path / "done").read_text() == "cleaned\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let uv finish")
def test_uv_is_killed_along_with_uvflow(tmp_path: Path) -> None:
    path = script(
        tmp_path / "a", f"echo $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/id\nsleep 60"
    )
    code = f"""
        from pathlib import Path
        from uvflow import uv
        uv.Uv(path={path!r}, version="0.13.9").run((), cwd=Path("."))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as process:
        while not (tmp_path / "id").exists():
            assert process.poll() is None
        process.kill()
    number = int((tmp_path / "id").read_text())
    deadline = time.monotonic() + 10
    while is_running(number):
        assert time.monotonic() < deadline
