"""Fixtures of every test: a sealed machine, a local index of wheels, the installed command."""

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from forked import ForkServer
from rig import BIN, Command, Result, Tree
from venvs import PROJECT, Venv
from wheels import build_index

import uvflow as uvflow_package

# A shell's background job ignores Ctrl-C, and what nohup starts ignores SIGHUP; commands that tests
# interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Whatever the variables say: the tests are compiled once, not by every worker of every run.
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # else a worker of xdist, which starts after this
        compile_what_commands_import()
    # Here, as pytest compiles it too: at the top it would be before the line above.
    from hypothesis import HealthCheck, settings  # noqa: PLC0415

    # No deadline, since machines differ; our fixtures expect several examples to share them. With
    # CI set hypothesis runs the same examples every time.
    settings.register_profile(
        "uvflow",
        settings.default,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    settings.load_profile("uvflow")


def compile_what_commands_import() -> None:
    """The commands under test write no byte code, and without it one takes twice its time."""
    places = (str(Path(uvflow_package.__file__).parent), sysconfig.get_path("purelib"))
    of_no_test = r"[/\\](mypy|mypyc|pygments)[/\\]"
    command = (sys.executable, "-m", "compileall", "-qq", "-x", of_no_test, *places)
    subprocess.run(command, check=False)  # where nothing can be written, it is slower and no more


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of tests/wheels.py as a directory that uv uses as an index."""
    return build_index(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where uv's cache and the home directory of one session of tests are."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(autouse=True)
def sealed(
    machine: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """No variables of the machine, no network, and a home directory that has to stay empty."""
    home = machine / "home"
    home.mkdir(exist_ok=True)
    for name in list(os.environ):
        if name.startswith(("UV", "PIP_", "XDG_", "PYTHON", "VIRTUAL_ENV", "CONDA")):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "HOME": home,
        "USERPROFILE": home,
        "LOCALAPPDATA": home,
        "APPDATA": home,
        "GIT_CONFIG_GLOBAL": machine / "gitconfig",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # its uv first, however pytest started
        "PYTHONDONTWRITEBYTECODE": 1,
        "UVFLOW_CACHE_DIR": tmp_path / "uvflow-cache",
        "UV_CACHE_DIR": machine / "uv-cache",
        "UV_DEFAULT_INDEX": index.as_uri(),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    yield home
    assert list(home.iterdir()) == [], "a test wrote into the home directory"


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer | None]:
    """None where commands are started one by one: with INSTALLED=1, as in one step of CI."""
    if sys.platform != "linux" or os.environ.get("INSTALLED"):
        yield None
        return
    server = ForkServer(BIN / "uvflow")
    yield server
    server.close()


@pytest.fixture
def uvflow(tmp_path: Path, fork_server: ForkServer | None) -> Command:
    """Runs the installed `uvflow` command, by default in tmp_path."""

    def run(
        *arguments: str | Path,
        cwd: Path = tmp_path,
        environ: Mapping[str, str] | None = None,
        seconds: float = 120,
    ) -> Result:
        variables = {**os.environ, **(environ or {})}
        words = [str(word) for word in arguments]
        if fork_server and fork_server.starts_alike(variables):
            return Result(*fork_server.run(words, cwd=cwd, environ=variables, seconds=seconds))
        done = subprocess.run(
            [BIN / "uvflow", *words],
            cwd=cwd,
            env=variables,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=seconds,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes files, given as path → text, into a new project directory and returns it."""

    def write(files: Mapping[str, str]) -> Path:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return root

    return write


@pytest.fixture
def venv(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Venv:
    monkeypatch.setenv("UV_LINK_MODE", "copy")  # or tests would edit uv's cache through links
    return Venv(tree({"pyproject.toml": PROJECT}))
