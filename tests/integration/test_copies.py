"""Local packages that are copied into an environment, with real uv and its cache."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from rig import Command, Tree, already_in_sync

BUILD = '[build-system]\nrequires = ["uv_build>=0.9,<1"]\nbuild-backend = "uv_build"\n'
FILES = {
    "pyproject.toml": f"""[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six", "lib"]

[tool.uv.sources]
lib = {{ path = "lib" }}

{BUILD}""",
    "src/shop/__init__.py": "",
    "src/shop/__main__.py": "print('one')\n",
    "lib/pyproject.toml": f'[project]\nname = "lib"\nversion = "0.1.0"\n\n{BUILD}',
    "lib/src/lib/__init__.py": "",
    "lib/src/lib/__main__.py": "print('one')\n",
}


@pytest.fixture
def shop(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tree(FILES)
    subprocess.run(["uv", "lock", "-q"], cwd=root, check=True)
    monkeypatch.chdir(root)
    return root


def edit(root: Path, module: str, text: str) -> None:
    path = {"shop": root / "src/shop", "lib": root / "lib/src/lib"}[module] / "__main__.py"
    path.write_text(f"print({text!r})\n")


def output(uvflow: Command, root: Path, module: str) -> str:
    return uvflow("run", "--prod", "python", "-m", module, cwd=root).out.strip()


def reinstalled(uvflow: Command, root: Path, *arguments: str) -> set[str]:
    """The packages that uv was told to reinstall, by what it says that it did."""
    done = uvflow("sync", *arguments, cwd=root)
    assert done.code == 0, done.err
    return {line.split()[1].partition("==")[0] for line in done.err.splitlines() if " ~ " in line}


def test_an_edit_is_installed_and_nothing_else(shop: Path, uvflow: Command) -> None:
    assert output(uvflow, shop, "shop") == "one"
    edit(shop, "shop", "two")
    assert already_in_sync(("sync", "--prod")) is None
    assert reinstalled(uvflow, shop, "--prod") == {"shop"}
    assert output(uvflow, shop, "shop") == "two"
    assert already_in_sync(("sync", "--prod")) == "Already in sync: prod"


def test_an_edit_that_changes_no_content_is_no_reason_to_reinstall(
    shop: Path, uvflow: Command
) -> None:
    uvflow("sync", "--prod", cwd=shop)
    os.utime(shop / "src/shop/__main__.py")
    assert already_in_sync(("sync", "--prod")) is None
    assert reinstalled(uvflow, shop, "--prod") == set()
    assert already_in_sync(("sync", "--prod")) == "Already in sync: prod"


@pytest.mark.parametrize("lost", [".venv", "state"])
def test_old_code_does_not_come_back_from_the_cache(
    shop: Path, uvflow: Command, tmp_path: Path, lost: str
) -> None:
    uvflow("sync", "--prod", cwd=shop)
    edit(shop, "shop", "two")
    shutil.rmtree(shop / ".venv" if lost == ".venv" else tmp_path / "uvflow-cache")
    subprocess.run(["uv", "sync", "-q", "--no-editable"], cwd=shop, check=True)
    assert output(uvflow, shop, "shop") == "two"


def test_an_edit_is_installed_offline(
    shop: Path, uvflow: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    uvflow("sync", "--prod", cwd=shop)
    edit(shop, "shop", "two")
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert output(uvflow, shop, "shop") == "two"


def test_a_dry_run_tells_what_is_installed_again(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--prod", cwd=shop)
    edit(shop, "shop", "two")
    done = uvflow("sync", "--prod", "--dry-run", cwd=shop)
    changes = [line for line in done.out.splitlines() if "has changed at its source" in line]
    assert changes == ["shop has changed at its source since it was installed"]
    assert output(uvflow, shop, "shop") == "two"


def test_dev_installs_a_copied_dependency_again(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--dev", cwd=shop)
    edit(shop, "shop", "two")
    assert already_in_sync(("sync", "--dev")) == "Already in sync: dev"
    edit(shop, "lib", "two")
    assert already_in_sync(("sync", "--dev")) is None
    assert reinstalled(uvflow, shop, "--dev") == {"lib"}


def test_status_and_verify_name_an_outdated_copy(shop: Path, uvflow: Command) -> None:
    uvflow("sync", "--prod", cwd=shop)
    assert uvflow("verify", "--prod", cwd=shop).code == 0
    edit(shop, "shop", "two")
    verified = uvflow("verify", "--prod", cwd=shop)
    assert verified.code == 4
    assert verified.out.splitlines() == [
        "shop: the installed copy is older than its sources",
        "Out of sync: prod; a sync installs shop again",
    ]
    checked = uvflow("sync", "--prod", "--check", cwd=shop)
    assert (checked.code, checked.err) == (
        4,
        "Out of sync: prod; environment: shop has changed at its source since it was installed\n",
    )
    uvflow("sync", "--prod", cwd=shop)
    assert uvflow("verify", "--prod", cwd=shop).out == "Intact: prod\n"
    assert uvflow("status", "--prod", cwd=shop).code == 0
