"""Random histories of a project: whenever the fast path says "already in sync", uv agrees."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import BIN

from uvflow.__main__ import already_in_sync
from uvflow.project.profiles import BUILT_IN

FILES = {
    "pyproject.toml": """[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "lib", "member"]

[project.optional-dependencies]
web = ["idna"]

[dependency-groups]
dev = ["iniconfig"]

[tool.uv.workspace]
members = ["members/*"]

[tool.uv.sources]
lib = { path = "lib", editable = true }
member = { workspace = true }
""",
    "lib/pyproject.toml": """[project]
name = "lib"
version = "0.1.0"
dependencies = ["toml"]

[tool.uv]
package = false
""",
    "members/one/pyproject.toml": """[project]
name = "member"
version = "0.1.0"
requires-python = ">=3.11"

[tool.uv]
package = false
""",
}
EDITS = {
    "pyproject.toml": [
        ("1.16.0", "1.15.0"),
        ('["iniconfig"]', '["iniconfig", "toml"]'),
        ("[tool.uv.workspace]", "[tool.uv]\nlink-mode = 'copy'\n[tool.uv.workspace]"),
        ('web = ["idna"]', 'web = ["idna", "attrs"]'),
        ("dependencies", "# a comment\ndependencies"),
        (">=3.11", ">=3.11,<4"),
    ],
    "lib/pyproject.toml": [('["toml"]', '["certifi"]'), ("0.1.0", "0.2.0")],
    "members/one/pyproject.toml": [("0.1.0", "0.2.0"), ("[tool.uv]", "[tool.uv]\n# more")],
    "uv.lock": [('version = "1.16.0"', 'version = "1.15.0"'), ("revision", "# revision")],
}

Step = Callable[[Path], None]


def edit(name: str, old: str, new: str) -> Step:
    def step(root: Path) -> None:
        path = root / name
        if path.exists():
            path.write_text(path.read_text().replace(old, new.replace("\\\n", "\n")))

    return step


def write(name: str, text: str) -> Step:
    def step(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return step


def remove(name: str) -> Step:
    def step(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return step


def touch(name: str) -> Step:
    def step(root: Path) -> None:
        if (root / name).exists():
            os.utime(root / name)

    return step


def by_hand(*arguments: str) -> Step:
    def step(root: Path) -> None:
        environ = {k: v for k, v in os.environ.items() if k != "UV_PYTHON"}
        environ["VIRTUAL_ENV"] = str(root / ".venv")
        subprocess.run(["uv", *arguments], cwd=root, env=environ, check=False, capture_output=True)

    return step


def remove_from_environment(pattern: str) -> Step:
    def step(root: Path) -> None:
        for path in sorted(root.glob(f".venv/[Ll]ib/*/site-packages/{pattern}")):
            remove(path.name)(path.parent)

    return step


def uvflow(*arguments: str) -> Step:
    def step(root: Path) -> None:
        subprocess.run([BIN / "uvflow", *arguments], cwd=root, check=False, capture_output=True)

    return step


STEPS: dict[str, Step] = {
    **{f"{n}: {o} → {w}": edit(n, o, w) for n, edits in EDITS.items() for o, w in edits},
    **{f"back: {n}": write(n, text) for n, text in FILES.items()},
    ".python-version": write(".python-version", "3.99\n"),
    "no .python-version": remove(".python-version"),
    "uv.toml": write("uv.toml", "no-binary = true\n"),
    "no uv.toml": remove("uv.toml"),
    "a new member": write("members/two/pyproject.toml", '[project]\nname = "two"\nversion = "1"\n'),
    "no new member": remove("members/two"),
    "no lockfile": remove("uv.lock"),
    "touched": touch("pyproject.toml"),
    "touched lib": touch("lib/pyproject.toml"),
    "uv lock": by_hand("lock"),
    "uv sync": by_hand("sync"),
    "uv sync --no-dev": by_hand("sync", "--no-dev"),
    "uv pip install": by_hand("pip", "install", "certifi"),
    "uv pip uninstall": by_hand("pip", "uninstall", "six"),
    "another version": by_hand("pip", "install", "six==1.17.0"),
    "reinstall": by_hand("pip", "install", "--reinstall", "six==1.16.0"),
    "no six": remove_from_environment("six*"),
    "no metadata": remove_from_environment("six*.dist-info/METADATA"),
    "no environment": remove(".venv"),
    "no configuration": remove(".venv/pyvenv.cfg"),
    "no interpreter": remove(".venv/bin/python"),
    "byte code": write(".venv/__pycache__/x.pyc", ""),
    "sync --dev": uvflow("sync", "--dev"),
    "sync --prod": uvflow("sync", "--prod"),
    "sync": uvflow("sync"),
}
REPAIRS = ("uv lock", "sync --dev", "sync --prod", "sync")


def uv_agrees(root: Path, profile: str) -> bool:
    command = ["uv", *BUILT_IN[profile].sync_arguments(), "--check"]
    return subprocess.run(command, cwd=root, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("property") / "shop"


@settings(max_examples=int(os.environ.get("FAST_PATH_EXAMPLES", "8")))
@given(steps=st.lists(st.sampled_from(list(STEPS)) | st.sampled_from(REPAIRS), max_size=4))
def test_uv_agrees_with_the_fast_path(
    shop: Path, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    shutil.rmtree(shop, ignore_errors=True)
    for name, text in FILES.items():
        write(name, text)(shop)
    monkeypatch.chdir(shop)
    for step in ("uv lock", "sync --dev", *steps):
        STEPS[step](shop)
        for profile in ("dev", "prod"):
            message = already_in_sync(("sync", f"--{profile}"))
            assert message is None or uv_agrees(shop, profile), f"after {step}: {message}"
