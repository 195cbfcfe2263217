import json
import sys
from pathlib import Path

import pytest
from rig import Tree

from uvflow.environment.context import SyncContext
from uvflow.environment.interpreter import (
    ensure_uv_targets_environment,
    own_interpreter,
    remember_use,
)
from uvflow.errors import DamagedError
from uvflow.project.manifest import Project
from uvflow.project.profiles import BUILT_IN
from uvflow.state.store import State
from uvflow.uv import Uv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripted uv is a shell script")

DRY_RUN = "sync --frozen --dry-run --output-format=json"
REFRESH = f"{DRY_RUN} --refresh-package uvflow-looks-again"


@pytest.fixture
def context(tree: Tree) -> SyncContext:
    root = tree({"pyproject.toml": "", ".venv/pyvenv.cfg": "home = /usr/bin\n"})
    return SyncContext(
        project=Project.load(root),
        profile=BUILT_IN["dev"],
        chosen_by="",
        state=State.of(root),
        environ={"UV_OFFLINE": "1"},
    )


class ScriptedUv:
    """A uv whose dry runs name `target`, and `refreshed` once the interpreter was asked again."""

    def __init__(self, directory: Path, target: str | Path, refreshed: str | Path = "") -> None:
        self.log = directory / "log"
        self.log.touch()
        script = directory / "uv"
        script.write_text(
            f'#!/bin/sh\necho "$@" "$UV_OFFLINE" >> {self.log}\n'
            f"case \"$*\" in\n*--refresh-package*) echo '{report(refreshed or target)}' ;;\n"
            f"*) echo '{report(target)}' ;;\nesac\n"
        )
        script.chmod(0o755)
        self.uv = Uv(path=str(script), version="0.13.9")

    @property
    def runs(self) -> list[str]:
        return [line.rstrip() for line in self.log.read_text().splitlines()]


def report(target: str | Path) -> str:
    return json.dumps({"sync": {"environment": {"path": str(target)}}}) if target else "error"


def test_an_environment_with_another_library_is_not_started(context: SyncContext) -> None:
    root, environment = context.project.root, context.environment
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(sys.executable)
    assert own_interpreter(context) == ""
    for home in (root / "evil" / "bin", Path("../evil/bin")):
        (environment / "pyvenv.cfg").write_text(f"home = {home}\n")
        assert own_interpreter(context) == (
            "the interpreter .venv/bin/python takes its library from this project"
            " and was not started"
        )


@pytest.mark.parametrize(
    "files",
    [
        {"lib/python3/site-packages/_manylinux.py": ""},  # which the question of uv imports
        {"lib64/python3/site-packages/usercustomize.cpython-311.so": ""},
        {"local/lib/python3/dist-packages/sitecustomize/__init__.pyc": ""},
        {"lib/python3/site-packages/apport_python_hook.py": ""},
        {"lib/python3/site-packages/x.pth": "/usr \n"},  # Python removes the blank
        {"lib/python3/site-packages/x.pth": "#\fimport os\n"},
        {"lib/python3/site-packages/x.pth": "#\u2028import os\n"},
        {"lib/python3/site-packages/x.pth": "../../..\n"},
        {"lib/python3/site-packages/x.pth": "/etc/passwd\n"},  # as a zip may be named
        {"lib/python3/site-packages/x.pth": "/proc/self/cwd\n"},
        {"lib/python3/site-packages/x.pth": "/usr\n" + "#" * 5000},
        {"bin/python._pth": "/usr\n"},
        {"bin/pyvenv.cfg": "home = /usr/bin\n"},
        {"bin/python3": "#!/bin/sh\n"},
        {"pyvenv.cfg": "x\rhome = /usr/bin\nhome = /\n"},
        {"pyvenv.cfg": "home = /proc/self/cwd\n"},
        {"pyvenv.cfg": "home = bin\n"},
        {"pyvenv.cfg": "home = /\0\n"},
    ],
    ids=str,
)
def test_an_environment_that_may_run_anything_at_its_start_is_not_started(
    context: SyncContext, tree: Tree, files: dict[str, str]
) -> None:
    tree({f".venv/{name}": "" for name in ("bin/activate", "lib/python3/site-packages/six.py")})
    (context.environment / "bin" / "python").symlink_to(sys.executable)
    tree({".venv/lib/python3/site-packages/a.pth": f"{Path(sys.executable).parent}\n"})
    assert own_interpreter(context) == ""
    tree({f".venv/{name}": text for name, text in files.items()})
    assert own_interpreter(context).endswith("and was not started")


def test_an_interpreter_that_depends_on_the_current_directory_is_not_started(
    context: SyncContext, tree: Tree
) -> None:
    tree({".venv/bin/activate": ""})
    (context.environment / "here").symlink_to("../../../../../../../proc/self/cwd")
    (context.environment / "bin" / "python").symlink_to("../here/x")
    why = "the interpreter .venv/bin/python is a file of this project and was not started"
    assert own_interpreter(context) == why


def test_a_sync_vouches_for_the_environment_as_it_was(context: SyncContext) -> None:
    python = context.environment / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    why = "the interpreter .venv/bin/python is a file of this project and was not started"
    assert own_interpreter(context) == why
    remember_use(context)
    assert own_interpreter(context) == ""
    python.rename(python.with_name("old"))
    python.write_text("#!/bin/sh\n")
    assert own_interpreter(context) == why


def test_the_use_of_an_environment_that_is_gone_is_forgotten(context: SyncContext) -> None:
    name, gone = "interpreters-used.json", str(context.environment.with_name("gone"))
    context.state.write(name, json.dumps({gone: [1, 2]}).encode())
    remember_use(context)
    assert [*context.state.read_json(name)] == [str(context.environment)]


def test_an_environment_elsewhere_is_not_of_the_project(
    context: SyncContext, tmp_path: Path
) -> None:
    context.environment.rename(tmp_path / "elsewhere")
    context.environment.symlink_to(tmp_path / "elsewhere")
    (context.environment / "bin").mkdir()
    (context.environment / "bin" / "python").write_text("#!/bin/sh\n")
    assert own_interpreter(context) == ""


def test_uv_is_asked_once_for_each_environment(context: SyncContext, tmp_path: Path) -> None:
    scripted = ScriptedUv(tmp_path, context.environment)
    for _ in range(2):
        ensure_uv_targets_environment(context, scripted.uv)
    assert scripted.runs == [DRY_RUN]
    (context.environment / "pyvenv.cfg").write_text("home = /usr/bin\nnew = true\n")
    ensure_uv_targets_environment(context, scripted.uv)
    assert scripted.runs == [DRY_RUN, DRY_RUN]


def test_an_environment_that_uv_has_yet_to_create_is_not_checked(
    context: SyncContext, tmp_path: Path
) -> None:
    (context.environment / "pyvenv.cfg").unlink()
    scripted = ScriptedUv(tmp_path, "/usr")
    ensure_uv_targets_environment(context, scripted.uv)
    assert scripted.runs == []


def test_uv_asks_the_interpreter_again_where_it_is_mistaken(
    context: SyncContext, tmp_path: Path
) -> None:
    scripted = ScriptedUv(tmp_path, "/usr", context.environment)
    ensure_uv_targets_environment(context, scripted.uv)
    assert scripted.runs == [DRY_RUN, REFRESH]


def test_uv_may_not_install_into_another_place(context: SyncContext, tmp_path: Path) -> None:
    scripted = ScriptedUv(tmp_path, "/usr")
    for _ in range(2):
        with pytest.raises(DamagedError) as caught:
            ensure_uv_targets_environment(context, scripted.uv)
        assert caught.value.message == (
            f"uv would install into /usr instead of the environment {context.environment}"
        )


@pytest.mark.parametrize("damaged", [b"[", b"[1]", b'"x"'])
def test_damaged_records_of_checks_do_not_count(
    context: SyncContext, tmp_path: Path, damaged: bytes
) -> None:
    context.state.write("interpreter-checks.json", damaged)
    scripted = ScriptedUv(tmp_path, context.environment)
    for _ in range(2):
        ensure_uv_targets_environment(context, scripted.uv)
    assert scripted.runs == [DRY_RUN]


def test_a_uv_that_does_not_say_is_asked_again(context: SyncContext, tmp_path: Path) -> None:
    scripted = ScriptedUv(tmp_path, "")
    for _ in range(2):
        ensure_uv_targets_environment(context, scripted.uv)
    assert scripted.runs == [DRY_RUN, DRY_RUN]
