"""What the fast path says, `uv sync --locked --check` and the command line say as well."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import BIN, Command, Tree, already_in_sync, by_click

from uvflow.project.profiles import BUILT_IN
from uvflow.state import journal
from uvflow.state.store import State

MANIFEST = """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "lib"]

[dependency-groups]
dev = ["iniconfig"]

[tool.uv.sources]
lib = { path = "lib", editable = true }
"""
LIB = """[project]
name = "lib"
version = "0.1.0"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# A build backend of a few lines, so that a local source is really built without a network.
BACKEND = """
import pathlib
import zipfile

INFO = "lib-0.1.0.dist-info"
FILES = {
    "lib.pth": str(pathlib.Path.cwd()),
    f"{INFO}/METADATA": "Metadata-Version: 2.1\\nName: lib\\nVersion: 0.1.0\\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    record = "".join(f"{name},,\\n" for name in (*FILES, f"{INFO}/RECORD"))
    with zipfile.ZipFile(pathlib.Path(directory, "lib-0.1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in {**FILES, f"{INFO}/RECORD": record}.items():
            wheel.writestr(name, text)
    return "lib-0.1.0-py3-none-any.whl"

build_editable = build_wheel
"""


@pytest.fixture
def shop(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tree({"pyproject.toml": MANIFEST, "lib/pyproject.toml": LIB, "lib/backend.py": BACKEND})
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    monkeypatch.chdir(root)
    return root


def uv_agrees(root: Path, profile: str = "dev") -> bool:
    arguments = BUILT_IN[profile].sync_arguments()
    command = ["uv", *arguments, "--check"]
    return subprocess.run(command, cwd=root, check=False, capture_output=True).returncode == 0


def edit(path: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def carry_out(root: Path) -> None:
        (root / path).write_text(change((root / path).read_text()))

    return carry_out


def write(path: str, text: str) -> Callable[[Path], None]:
    def carry_out(root: Path) -> None:
        (root / path).write_text(text)

    return carry_out


def by_hand(*arguments: str) -> Callable[[Path], None]:
    """The user runs uv on the environment of the project."""

    def carry_out(root: Path) -> None:
        environ = {**os.environ, "VIRTUAL_ENV": str(root / ".venv")}
        del environ["UV_PYTHON"]
        subprocess.run(["uv", *arguments], cwd=root, env=environ, check=True, capture_output=True)

    return carry_out


def remove_distribution(root: Path) -> None:
    for path in root.glob(".venv/[Ll]ib/**/six-*.dist-info/*"):
        path.unlink()


def write_another_uv(root: Path) -> None:
    """Another program of that name is found first."""
    directory = root.parent / "first"
    directory.mkdir()
    program = directory / ("uv.exe" if os.name == "nt" else "uv")
    program.touch(mode=0o755)
    os.environ["PATH"] = f"{directory}{os.pathsep}{os.environ['PATH']}"


def replace_by_copy(root: Path) -> None:
    shutil.copytree(root / "lib", root / "copy")
    shutil.rmtree(root / "lib")
    (root / "copy").rename(root / "lib")


def leave_legacy(root: Path) -> None:
    """Metadata that uv wants to remove, and cannot: in a list of files it would find them."""
    [package] = root.glob(".venv/[Ll]ib/**/six")
    (package.parent / "foo.egg-info").mkdir()
    (package.parent / "foo.egg-info/PKG-INFO").write_text(
        "Metadata-Version: 1.0\nName: foo\nVersion: 1.0\n"
    )
    subprocess.run([BIN / "uvflow", "sync"], cwd=root, check=True, capture_output=True)


def lead_out(root: Path) -> None:
    (root / ".venv").rename(root.parent / "elsewhere")
    (root / ".venv").symlink_to(root.parent / "elsewhere")


def empty_origin(root: Path) -> None:
    [path] = root.glob(".venv/[Ll]ib/**/six-*.dist-info/uv_cache.json")
    path.write_text("")


CHANGES: dict[str, Callable[[Path], None]] = {
    "a requirement": edit("pyproject.toml", lambda text: text.replace("1.16", "1.17")),
    "a group": edit("pyproject.toml", lambda text: text.replace('"iniconfig"', '"toml"')),
    "the lockfile": edit("uv.lock", lambda text: text.replace('"1.16.0"', '"1.15.0"')),
    "no lockfile": lambda root: (root / "uv.lock").unlink(),
    "a pinned Python": write(".python-version", "3.99\n"),
    "uv.toml": write("uv.toml", 'required-version = ">=99"\n'),
    "a local source": edit("lib/pyproject.toml", lambda text: text.replace("0.1.0", "0.2.0")),
    "a local source touched": lambda root: os.utime(root / "lib/pyproject.toml", (1, 1)),
    "another uv": write_another_uv,
    "a local source replaced by its copy": replace_by_copy,
    "a local source that gains src": lambda root: (root / "lib/src").mkdir(),
    "a package added by hand": by_hand("pip", "install", "toml"),
    "a package removed by hand": by_hand("pip", "uninstall", "six"),
    "another version by hand": by_hand("pip", "install", "six==1.15.0"),
    "prod by hand": by_hand("sync", "--no-dev"),
    "a distribution emptied": remove_distribution,
    "an origin emptied": empty_origin,
    "metadata that uv leaves": leave_legacy,
    "the environment elsewhere": lead_out,
    "no pyvenv.cfg": lambda root: (root / ".venv/pyvenv.cfg").unlink(),
    "no interpreter": lambda root: next(root.glob(".venv/[bS]*/python")).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_uv_sees_is_seen(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert uvflow("sync", cwd=shop).code == 0
    assert already_in_sync(("sync",)) == "Already in sync: dev (as last time)"
    assert uv_agrees(shop)
    CHANGES[change](shop)
    assert already_in_sync(("sync",)) is None


SPELLINGS = (
    *("sync", "sync --dev", "sync --prod", "sync --profile dev", "sync --profile=prod"),
    *("sync -q", "sync --quiet --dev", "sync -v", "sync --json", "sync --json --quiet"),
    *("sync --color always", "sync --timeout 5 --dev", "sync --check", "sync --check --prod -q"),
    *("--version", "-V"),
)


@pytest.mark.parametrize("last", ["dev", "prod"])
def test_the_fast_path_answers_as_the_command_line_does(
    shop: Path, uvflow: Command, last: str
) -> None:
    uvflow("sync", "--profile", last, cwd=shop)
    for spelling in SPELLINGS:
        words = spelling.split()
        if already_in_sync(tuple(words)) or words[0] != "sync":
            assert uvflow(*words, cwd=shop) == by_click(*words, cwd=shop), spelling
        else:
            assert {"dev", "prod"} - {last} & set(re.split(r"\W+", spelling)), spelling


def test_every_spelling_is_answered(shop: Path, uvflow: Command) -> None:
    for profile in ("dev", "prod"):
        uvflow("sync", "--profile", profile, cwd=shop)
        assert already_in_sync(("sync", f"--{profile}")) == f"Already in sync: {profile}"
        assert uv_agrees(shop, profile)
    for spelling in SPELLINGS[:-2]:
        answer = None if "dev" in spelling else "Already in sync: prod"
        said = already_in_sync(tuple(spelling.split()))
        assert said in {answer, f"{answer} (as last time)"}, spelling


def test_a_profile_synced_over_by_another_is_not_in_sync(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--dev", cwd=shop)
    uvflow("sync", "--prod", cwd=shop)
    assert already_in_sync(("sync", "--dev")) is None


def test_a_fingerprint_copied_to_another_profile_is_not_current(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", "--dev", cwd=shop)
    state = State.of(shop)
    state.write("prod.fingerprint", state.read("dev.fingerprint") or b"")
    assert already_in_sync(("sync", "--dev")) == "Already in sync: dev"
    assert already_in_sync(("sync", "--prod")) is None


def test_an_unfinished_sync_of_another_user_is_seen(
    shop: Path, uvflow: Command, tmp_path: Path
) -> None:
    uvflow("sync", cwd=shop)
    other = State(directory=tmp_path / "other" / "projects" / "shop", root=shop)
    journal.mark_running(other, "dev", shop / ".venv")
    assert already_in_sync(("sync",)) is None
    assert uvflow("sync", cwd=shop).code == 0
    assert already_in_sync(("sync",)) == "Already in sync: dev (as last time)"


MEMBER = """[project]
name = "member"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["attrs"]
"""


def test_in_a_member_a_sync_is_one_of_that_member(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "member").mkdir()
    (shop / "member/pyproject.toml").write_text(MEMBER)
    workspace = '\n[tool.uv.workspace]\nmembers = ["member"]\n'
    (shop / "pyproject.toml").write_text(MANIFEST + workspace)
    subprocess.run(["uv", "lock", "-q"], cwd=shop, check=True)
    uvflow("sync", "--dev", cwd=shop)
    for place, other in ((shop / "member", shop), (shop, shop / "member")):
        monkeypatch.chdir(place)
        assert already_in_sync(("sync", "--dev")) is None
        assert uvflow("sync", "--dev", cwd=place).err.endswith("Synced: dev\n")
        assert already_in_sync(("sync", "--dev")) == "Already in sync: dev"
        assert uv_agrees(place)
        monkeypatch.chdir(other)
        assert already_in_sync(("sync", "--dev")) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", MANIFEST + '\n[tool.uv]\nreinstall-package = ["six"]\n'),
        ("uv.toml", "reinstall = true\n"),
        ("uv.toml", 'python-preference = "only-managed"\n'),  # UV_PYTHON names another one
    ],
)
def test_what_uv_does_at_every_sync_is_never_in_sync(
    shop: Path, uvflow: Command, name: str, text: str
) -> None:
    (shop / name).write_text(text)
    assert uvflow("sync", "--dev", cwd=shop).code == 0
    assert not uv_agrees(shop)
    assert already_in_sync(("sync", "--dev")) is None
    assert uvflow("sync", "--dev", cwd=shop).err.endswith("Synced: dev\n")


def test_packages_of_the_system_are_damage_without_a_fingerprint_too(
    shop: Path, uvflow: Command
) -> None:
    (shop / "uv.toml").write_text("reinstall = true\n")
    assert uvflow("sync", cwd=shop).code == 0
    configuration, name = shop / ".venv" / "pyvenv.cfg", "include-system-site-packages = "
    before = configuration.read_text()
    configuration.write_text(before.replace(f"{name}false", f"{name}true"))
    assert uvflow("status", cwd=shop).code == 5
    assert uvflow("sync", cwd=shop).code == 0
    assert configuration.read_text() == before


def test_previews_of_uv_are_no_obstacle(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PREVIEW", "1")
    assert uvflow("sync", cwd=shop).code == 0
    assert (shop / ".venv" / "pyvenv.cfg").is_file()
    assert already_in_sync(("sync",)) == "Already in sync: dev (as last time)"


def test_a_configuration_is_of_the_directory_that_uv_is_called_in(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "docs").mkdir()
    (shop / "docs" / "my.toml").touch()
    monkeypatch.setenv("UV_CONFIG_FILE", "my.toml")
    assert uvflow("sync", cwd=shop / "docs").code == 0
    assert uvflow("sync", "--check", cwd=shop / "docs").code == 0
    assert not uv_agrees(shop)
    assert uvflow("sync", "--check", cwd=shop).code == 4


def test_metadata_known_only_after_a_build_gets_no_fingerprint(shop: Path, uvflow: Command) -> None:
    keys = '\n[tool.uv]\ncache-keys = [{ file = "**/*.py" }]\n'
    (shop / "lib/pyproject.toml").write_text(LIB + keys)
    subprocess.run(["uv", "lock", "-q"], cwd=shop, check=True)
    assert uvflow("sync", cwd=shop).code == 0
    assert already_in_sync(("sync",)) is None


def test_other_command_lines_are_not_answered(shop: Path, uvflow: Command) -> None:
    uvflow("sync", cwd=shop)
    lines = "", "sync --dev --prod", "sync --check --json", "sync --dry-run", "status", "run x"
    for line in lines:
        assert already_in_sync(tuple(line.split())) is None
